//! Sets of field paths, as `fieldsV1` writes them: `f:` a field, `k:` an item of a list by its keys, `v:` a member of a set.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of paths: a tree in which some nodes are members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    /// Whether the path that leads here is in the set.
    pub(crate) member: bool,
    /// What lies below, by path element.
    pub(crate) children: BTreeMap<Box<str>, Set>,
}

impl Set {
    /// A set with nothing but the path that leads to it.
    pub(crate) fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    /// Reads `fieldsV1`.
    pub(crate) fn parse(value: &Value) -> Self {
        let mut set = Self::default();
        for (element, below) in value.as_object().into_iter().flatten() {
            if element == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::parse(below);
            if child.children.is_empty() {
                child.member = true;
            }
            set.children.insert(element.as_str().into(), child);
        }
        set
    }

    /// Writes `fieldsV1`.
    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            map.insert(element.to_string(), child.to_value());
        }
        Value::Object(map)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Adds a subtree under an element, unless it is empty.
    pub(crate) fn insert(&mut self, element: String, child: Self) {
        if !child.is_empty() {
            self.children.insert(element.into_boxed_str(), child);
        }
    }

    /// Removes what lies at a path, and everything below it.
    pub(crate) fn cut(&mut self, path: &[&str]) {
        match path {
            [] => *self = Self::default(),
            [last] => {
                self.children.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(*first) {
                    child.cut(rest);
                    if child.is_empty() {
                        self.children.remove(*first);
                    }
                }
            }
        }
    }

    pub(crate) fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, child) in &other.children {
            match self.children.get_mut(element) {
                Some(mine) => mine.union(child),
                None => {
                    self.children.insert(element.clone(), child.clone());
                }
            }
        }
    }

    /// Takes away the members of another set.
    pub(crate) fn subtract(&mut self, other: &Self) {
        if other.member {
            self.member = false;
        }
        for (element, child) in &other.children {
            if let Some(mine) = self.children.get_mut(element) {
                mine.subtract(child);
                if mine.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// The members of both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self { member: self.member && other.member, children: BTreeMap::new() };
        let (small, large) = if self.children.len() <= other.children.len() { (self, other) } else { (other, self) };
        for (element, child) in &small.children {
            if let Some(twin) = large.children.get(element) {
                let common = child.intersection(twin);
                if !common.is_empty() {
                    both.children.insert(element.clone(), common);
                }
            }
        }
        both
    }

    /// The members as error messages print them: `.spec.containers[name="x"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk("", &mut paths);
        paths
    }

    /// First the members at one level, then what is below them.
    fn walk(&self, prefix: &str, paths: &mut Vec<String>) {
        let below = || self.children.iter().map(|(element, child)| (format!("{prefix}{}", print(element)), child));
        paths.extend(below().filter(|(_, child)| child.member).map(|(path, _)| path));
        for (path, child) in below() {
            child.walk(&path, paths);
        }
    }
}

fn print(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let pairs: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", pairs.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => format!("[{}]", element.trim_start_matches("i:")),
    }
}
