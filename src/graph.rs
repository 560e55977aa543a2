//! A directed acyclic graph of *needs*: order, reverse order, and the frontier that may be worked on now.
//!
//! Every order in the program that follows from dependencies (components, scopes, variables) is one of these. Knows nothing of
//! what the nodes are, and draws no distinction between kinds of edge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

/// A graph whose nodes are in an order in which every node follows what it needs; ties are broken by key, so equal graphs have
/// equal orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag<K: Ord> {
    order: Vec<K>,
    needs: BTreeMap<K, Vec<K>>,
    dependents: BTreeMap<K, Vec<K>>,
}

/// Why a set of needs is not a graph that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphError<K> {
    /// These nodes need each other in this order; the last needs the first.
    Cycle(Vec<K>),
    /// A node needs something that is not a node.
    Unknown {
        /// The node.
        node: K,
        /// What it needs.
        need: K,
    },
}

impl<K: Display> Display for GraphError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle(nodes) => {
                f.write_str("cycle: ")?;
                for node in nodes {
                    write!(f, "{node} needs ")?;
                }
                match nodes.first() {
                    Some(first) => write!(f, "{first}"),
                    None => Ok(()),
                }
            }
            Self::Unknown { node, need } => write!(f, "{node} needs {need}, which does not exist"),
        }
    }
}

impl<K: fmt::Debug + Display> std::error::Error for GraphError<K> {}

/// How far one node has come, as the caller of [`Dag::frontier`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Finished: those that need it may go on.
    Done,
    /// Begun and not finished.
    Running,
    /// Not begun.
    Pending,
    /// Begun and failed: those that need it are blocked.
    Failed,
}

/// What may be begun now, and what keeps the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier<K: Ord> {
    /// Pending nodes of which every need is done, in order.
    pub ready: Vec<K>,
    /// Pending nodes with the needs that are not done, in key order.
    pub blocked: BTreeMap<K, Vec<K>>,
}

impl<K: Ord> Default for Frontier<K> {
    fn default() -> Self {
        Self { ready: Vec::new(), blocked: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Dag<K> {
    /// Orders `nodes` by `needs`. Repeated nodes and needs count once; a node without an entry needs nothing; entries of `needs`
    /// for keys that are not nodes are ignored.
    pub fn new(nodes: impl IntoIterator<Item = K>, needs: &BTreeMap<K, Vec<K>>) -> Result<Self, GraphError<K>> {
        let nodes: BTreeSet<K> = nodes.into_iter().collect();
        let mut wanted: BTreeMap<K, Vec<K>> = BTreeMap::new();
        let mut dependents: BTreeMap<K, Vec<K>> = nodes.iter().map(|n| (n.clone(), Vec::new())).collect();
        for node in &nodes {
            let own: BTreeSet<&K> = needs.get(node).into_iter().flatten().collect();
            for &need in &own {
                match dependents.get_mut(need) {
                    Some(list) => list.push(node.clone()),
                    None => return Err(GraphError::Unknown { node: node.clone(), need: need.clone() }),
                }
            }
            wanted.insert(node.clone(), own.into_iter().cloned().collect());
        }
        let mut open: BTreeMap<&K, usize> = wanted.iter().map(|(node, own)| (node, own.len())).collect();
        let mut ready: BTreeSet<&K> = open.iter().filter(|(_, n)| **n == 0).map(|(k, _)| *k).collect();
        let mut order = Vec::with_capacity(nodes.len());
        while let Some(node) = ready.pop_first() {
            order.push(node.clone());
            open.remove(node);
            for dependent in &dependents[node] {
                if let Some(left) = open.get_mut(dependent) {
                    *left -= 1;
                    if *left == 0 {
                        ready.insert(dependent);
                    }
                }
            }
        }
        let cycle = open.keys().next().map(|first| cycle_from::<K>(first, &wanted, &open));
        match cycle {
            Some(cycle) => Err(GraphError::Cycle(cycle)),
            None => Ok(Self { order, needs: wanted, dependents }),
        }
    }

    /// All nodes; each after what it needs.
    #[must_use]
    pub fn order(&self) -> &[K] {
        &self.order
    }

    /// All nodes; each before what it needs.
    #[must_use]
    pub fn reversed(&self) -> Vec<K> {
        self.order.iter().rev().cloned().collect()
    }

    /// What a node needs directly, sorted; empty for strangers.
    #[must_use]
    pub fn needs(&self, node: &K) -> &[K] {
        self.needs.get(node).map_or(&[], Vec::as_slice)
    }

    /// What needs a node directly, sorted; empty for strangers.
    #[must_use]
    pub fn dependents(&self, node: &K) -> &[K] {
        self.dependents.get(node).map_or(&[], Vec::as_slice)
    }

    /// Everything that a node needs, directly or not.
    #[must_use]
    pub fn all_needs(&self, node: &K) -> BTreeSet<K> {
        reach(node, |k| self.needs(k))
    }

    /// Everything that needs a node, directly or not.
    #[must_use]
    pub fn all_dependents(&self, node: &K) -> BTreeSet<K> {
        reach(node, |k| self.dependents(k))
    }

    /// Whether this is one of the nodes.
    #[must_use]
    pub fn contains(&self, node: &K) -> bool {
        self.needs.contains_key(node)
    }

    /// What may be begun now, given how far each node has come.
    #[must_use]
    pub fn frontier(&self, state: impl Fn(&K) -> NodeState) -> Frontier<K> {
        let mut frontier = Frontier::default();
        for node in self.order.iter().filter(|node| state(node) == NodeState::Pending) {
            let missing: Vec<K> = self.needs(node).iter().filter(|need| state(need) != NodeState::Done).cloned().collect();
            if missing.is_empty() {
                frontier.ready.push(node.clone());
            } else {
                frontier.blocked.insert(node.clone(), missing);
            }
        }
        frontier
    }
}

impl<K: Ord + Clone + Display> Dag<K> {
    /// The graph in Graphviz's language; an arrow points from a need to its dependent.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let quoted = |node: &K| format!("\"{}\"", node.to_string().replace('\\', "\\\\").replace('"', "\\\""));
        let mut out = String::from("digraph {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in &self.order {
            out.push_str(&format!("  {};\n", quoted(node)));
        }
        for node in &self.order {
            for need in self.needs(node) {
                out.push_str(&format!("  {} -> {};\n", quoted(need), quoted(node)));
            }
        }
        out.push_str("}\n");
        out
    }

    /// The graph as a Mermaid flow chart; an arrow points from a need to its dependent.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let number: BTreeMap<&K, usize> = self.order.iter().enumerate().map(|(i, k)| (k, i)).collect();
        let mut out = String::from("flowchart LR\n");
        for node in &self.order {
            out.push_str(&format!("  n{}[\"{}\"]\n", number[node], node.to_string().replace('"', "#quot;")));
        }
        for node in &self.order {
            for need in self.needs(node) {
                out.push_str(&format!("  n{} --> n{}\n", number[need], number[node]));
            }
        }
        out
    }
}

/// Follows needs among the nodes that could not be ordered until one comes up again. Every such node needs another such node or
/// is on a cycle, because whatever has no open need is ordered.
fn cycle_from<K: Ord + Clone>(start: &K, needs: &BTreeMap<K, Vec<K>>, open: &BTreeMap<&K, usize>) -> Vec<K> {
    let mut path: Vec<&K> = Vec::new();
    let mut node = start;
    loop {
        if let Some(at) = path.iter().position(|seen| *seen == node) {
            return path[at..].iter().map(|k| (*k).clone()).collect();
        }
        path.push(node);
        match needs[node].iter().find(|need| open.contains_key(need)) {
            Some(next) => node = next,
            None => return path.into_iter().cloned().collect(),
        }
    }
}

fn reach<'a, K: Ord + Clone + 'a>(start: &K, next: impl Fn(&K) -> &'a [K]) -> BTreeSet<K> {
    let mut seen = BTreeSet::new();
    let mut stack: Vec<K> = next(start).to_vec();
    while let Some(node) = stack.pop() {
        if seen.insert(node.clone()) {
            stack.extend(next(&node).iter().cloned());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(edges: &[(&'static str, &[&'static str])]) -> Result<Dag<&'static str>, GraphError<&'static str>> {
        let needs: BTreeMap<_, _> = edges.iter().map(|(node, needs)| (*node, needs.to_vec())).collect();
        Dag::new(needs.keys().copied().collect::<Vec<_>>(), &needs)
    }

    #[test]
    fn order_follows_needs_and_breaks_ties_by_key() {
        let dag = graph(&[("c", &[]), ("b", &["d"]), ("a", &["c", "b", "c"]), ("d", &[])]).expect("no cycle");
        assert_eq!(dag.order(), ["c", "d", "b", "a"]);
        assert_eq!(dag.reversed(), ["a", "b", "d", "c"]);
        assert_eq!((dag.needs(&"a"), dag.dependents(&"d"), dag.needs(&"x")), (&["b", "c"][..], &["b"][..], &[][..]));
        assert_eq!(dag.all_needs(&"a"), BTreeSet::from(["b", "c", "d"]));
        assert_eq!(dag.all_dependents(&"d"), BTreeSet::from(["a", "b"]));
        assert!(dag.contains(&"a") && !dag.contains(&"x"));
    }

    #[test]
    fn cycles_and_strangers_are_named() {
        let cycle = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["d", "b"]), ("d", &[])]).expect_err("b and c need each other");
        assert_eq!(cycle, GraphError::Cycle(vec!["b", "c"]));
        assert_eq!(cycle.to_string(), "cycle: b needs c needs b");
        assert_eq!(graph(&[("a", &["a"])]), Err(GraphError::Cycle(vec!["a"])));
        assert_eq!(graph(&[("a", &["x"])]).expect_err("a stranger").to_string(), "a needs x, which does not exist");
    }

    #[test]
    fn the_frontier_is_what_may_begin() {
        let dag = graph(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"]), ("e", &[])]).expect("no cycle");
        let frontier = dag.frontier(|node| match *node {
            "a" => NodeState::Done,
            "b" => NodeState::Running,
            "e" => NodeState::Failed,
            _ => NodeState::Pending,
        });
        assert_eq!(frontier, Frontier { ready: vec!["c"], blocked: BTreeMap::from([("d", vec!["b", "c"])]) });
    }

    #[test]
    fn drawings_quote_names() {
        let dag = graph(&[("a\"b", &[]), ("c", &["a\"b"])]).expect("no cycle");
        assert!(dag.to_dot().contains("  \"a\\\"b\" -> \"c\";\n"), "{}", dag.to_dot());
        assert_eq!(dag.to_mermaid(), "flowchart LR\n  n0[\"a#quot;b\"]\n  n1[\"c\"]\n  n0 --> n1\n");
    }

    proptest! {
        #[test]
        fn every_node_follows_its_needs_or_there_is_a_cycle(edges in prop::collection::vec((0_u8..12, 0_u8..12), 0..30)) {
            let mut needs: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            for (node, need) in &edges {
                needs.entry(*node).or_default().push(*need);
            }
            match Dag::new(0_u8..12, &needs) {
                Ok(dag) => {
                    prop_assert_eq!(dag.order().len(), 12);
                    let place = |k: &u8| dag.order().iter().position(|n| n == k);
                    for (node, need) in &edges {
                        prop_assert!(place(need) < place(node));
                    }
                }
                Err(GraphError::Cycle(cycle)) => {
                    prop_assert!(!cycle.is_empty());
                    for (at, node) in cycle.iter().enumerate() {
                        prop_assert!(edges.contains(&(*node, cycle[(at + 1) % cycle.len()])));
                    }
                }
                Err(GraphError::Unknown { .. }) => prop_assert!(false, "every need is a node"),
            }
        }
    }
}
