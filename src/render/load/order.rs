//! What components of a scope say of each other: the order in which they need each other, and names that lead nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Compiled, NEEDS};
use crate::finding::{Finding, Findings, Place};
use crate::graph::{Dag, GraphError};

/// Graph order. Unknown needs and cycles are findings, and their components are left out, as is what needs those.
pub(super) fn order(mut compiled: BTreeMap<String, Compiled>, findings: &mut Findings) -> Vec<Arc<Compiled>> {
    let mut complain = |c: &Compiled, message: String| {
        findings.push(Finding::error(NEEDS, message).at(Place::file(c.path.clone())));
    };
    let unknown: Vec<(String, String)> = compiled
        .values()
        .flat_map(|c| c.component.outlasts.iter().map(|other| (c.component.id.name.clone(), other.clone())))
        .filter(|(_, other)| !compiled.contains_key(other))
        .collect();
    for (node, other) in unknown {
        if let Some(c) = compiled.remove(&node) {
            complain(&c, format!("`{node}` outlasts `{other}`, which is not a usable component of this scope"));
        }
    }
    let astray: Vec<(String, String)> = compiled
        .values()
        .filter_map(|c| {
            let (node, other) = (&c.component.id.name, c.component.follows.as_ref()?);
            let why = match compiled.get(other).map(|other| &other.component) {
                None => "which is not a usable component of this scope",
                Some(other) if other.each.is_some() => "of which there are several",
                Some(other) if other.follows.is_some() => "which follows another itself",
                Some(_) => return None,
            };
            Some((node.clone(), format!("`{node}` follows `{other}`, {why}")))
        })
        .collect();
    for (node, message) in astray {
        if let Some(c) = compiled.remove(&node) {
            complain(&c, message);
        }
    }
    // What is made for an item holds up only what is made for the same item.
    let lists: BTreeMap<String, String> =
        compiled.iter().filter_map(|(name, c)| Some((name.clone(), c.component.each.clone()?))).collect();
    let others: Vec<(String, String)> = compiled
        .values()
        .flat_map(|c| c.component.needs.iter().map(move |need| (c, need)))
        .filter(|(c, need)| lists.get(*need).is_some_and(|list| c.component.each.as_ref() != Some(list)))
        .map(|(c, need)| (c.component.id.name.clone(), need.clone()))
        .collect();
    for (node, need) in others {
        if let Some(c) = compiled.remove(&node) {
            complain(&c, format!("`{node}` needs `{need}`, of which there is one for each item of `{}`", lists[&need]));
        }
    }
    let order = loop {
        let needs: BTreeMap<String, Vec<String>> =
            compiled.iter().map(|(name, c)| (name.clone(), c.component.needs.clone())).collect();
        match Dag::new(compiled.keys().cloned(), &needs) {
            Ok(dag) => break dag.order().to_vec(),
            Err(GraphError::Unknown { node, need }) => {
                if let Some(c) = compiled.remove(&node) {
                    complain(&c, format!("`{node}` needs `{need}`, which is not a usable component of this scope"));
                }
            }
            Err(GraphError::Cycle(nodes)) => {
                let around = format!("`{}`", nodes.join("` → `"));
                for c in nodes.iter().filter_map(|node| compiled.remove(node)) {
                    complain(&c, format!("`{}` is part of a cycle of needs: {around}", c.component.id));
                }
            }
        }
    };
    order.iter().filter_map(|name| compiled.remove(name)).map(Arc::new).collect()
}
