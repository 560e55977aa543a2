//! A cursor into a manifest: a value, and the way to it for whoever dislikes the value and must name its place. Moving costs
//! nothing that a rule with no complaint would have to pay: the way is looked up when it is asked for. Knows JSON and pointers,
//! no kinds.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::finding::Pointer;

/// A place in a manifest and what stands there, if anything does. `null` counts as absent.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    /// The manifest; none for a place in no manifest at all.
    root: Option<&'a Value>,
    /// What stands here, or the nearest above that is there.
    near: Option<&'a Value>,
    /// The rest of the way from there.
    rest: Rest<'a>,
}

/// What leads from a value to a place below it where nothing stands.
#[derive(Debug, Clone)]
enum Rest<'a> {
    /// Nothing: the value stands at the place itself.
    Here,
    One(Step<'a>),
    More(Rc<(Rest<'a>, Step<'a>)>),
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    /// Several keys that need no escaping, with slashes between them.
    Path(&'a str),
    Index(usize),
}

impl<'a> Node<'a> {
    /// The whole manifest.
    pub(crate) fn root(value: &'a Value) -> Self {
        let root = present(value);
        Self { root, near: root, rest: Rest::Here }
    }

    /// A place in no manifest at all: everything below it is absent.
    pub(crate) fn absent() -> Self {
        Self { root: None, near: None, rest: Rest::Here }
    }

    fn found(&self, value: &'a Value) -> Self {
        Self { root: self.root, near: Some(value), rest: Rest::Here }
    }

    fn missing(&self, step: Step<'a>) -> Self {
        let rest = match &self.rest {
            Rest::Here => Rest::One(step),
            rest => Rest::More(Rc::new((rest.clone(), step))),
        };
        Self { root: self.root, near: self.near, rest }
    }

    /// The entry of a map.
    pub(crate) fn get(&self, key: &'a str) -> Self {
        match self.value().and_then(|v| v.get(key)).and_then(present) {
            Some(value) => self.found(value),
            None => self.missing(Step::Key(key)),
        }
    }

    /// The entry reached by several keys, written `spec/kubernetes/version`.
    pub(crate) fn at(&self, path: &'a str) -> Self {
        let Some(mut value) = self.value() else { return self.missing(Step::Path(path)) };
        let mut rest = path;
        loop {
            // The ways are short: a search for long texts costs more than it finds.
            let slash = rest.bytes().position(|byte| byte == b'/');
            let (key, more) = slash.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
            let Some(next) = value.get(key).and_then(present) else {
                return Self { root: self.root, near: Some(value), rest: Rest::One(Step::Path(rest)) };
            };
            value = next;
            match more {
                Some(more) => rest = more,
                None => return self.found(value),
            }
        }
    }

    /// The items of a list; none if this is no list. One that is `null` says nothing.
    pub(crate) fn items(&self) -> Vec<Self> {
        let list = self.value().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let item = |(i, value): (usize, &'a Value)| match present(value) {
            Some(value) => self.found(value),
            None => self.missing(Step::Index(i)),
        };
        list.iter().enumerate().map(item).collect()
    }

    /// The entries of a map in key order; none if this is no map.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Some(map) = self.map() else { return Vec::new() };
        map.iter().filter_map(|(k, v)| Some((k.as_str(), self.found(present(v)?)))).collect()
    }

    /// The map that stands here.
    pub(crate) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value().and_then(Value::as_object)
    }

    /// The value that stands here.
    pub(crate) fn value(&self) -> Option<&'a Value> {
        match self.rest {
            Rest::Here => self.near,
            Rest::One(_) | Rest::More(_) => None,
        }
    }

    /// The text that stands here.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value().and_then(Value::as_str)
    }

    /// The text that stands here, or an empty one.
    pub(crate) fn str(&self) -> &'a str {
        self.text().unwrap_or_default()
    }

    /// The integer that stands here.
    pub(crate) fn int(&self) -> Option<i64> {
        self.value().and_then(Value::as_i64)
    }

    /// The truth value that stands here.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.value().and_then(Value::as_bool)
    }

    /// Whether anything stands here.
    pub(crate) fn is_set(&self) -> bool {
        self.value().is_some()
    }

    /// Whether nothing stands here, or an empty text, list or map.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value() {
            None => true,
            Some(Value::String(s)) => s.is_empty(),
            Some(Value::Array(a)) => a.is_empty(),
            Some(Value::Object(o)) => o.is_empty(),
            Some(_) => false,
        }
    }

    /// Whether both say the same, or both nothing.
    pub(crate) fn same(&self, other: &Node<'_>) -> bool {
        self.value() == other.value()
    }

    /// Whether both say the same; what is empty says as much as what is absent.
    pub(crate) fn alike(&self, other: &Node<'_>) -> bool {
        self.same(other) || (self.is_empty() && other.is_empty())
    }

    /// The pointer that leads here. It is looked for in the whole manifest: for complaints, not for every step.
    pub(crate) fn pointer(&self) -> Pointer {
        let mut steps = Vec::new();
        if let (Some(root), Some(near)) = (self.root, self.near) {
            way(root, near, &mut steps);
        }
        self.rest.push_to(&mut steps);
        steps.iter().fold(Pointer::root(), Step::follow)
    }

    /// The way Kubernetes spells this place.
    pub(crate) fn field(&self) -> String {
        self.pointer().field()
    }

    /// What stands here, the way a message quotes it.
    pub(crate) fn shown(&self) -> String {
        match self.value() {
            None => "nothing".to_owned(),
            Some(Value::String(s)) => format!("`{s}`"),
            Some(v) => format!("`{v}`"),
        }
    }
}

impl<'a> Rest<'a> {
    fn push_to(&self, steps: &mut Vec<Step<'a>>) {
        match self {
            Self::Here => {}
            Self::One(step) => steps.push(*step),
            Self::More(more) => {
                more.0.push_to(steps);
                steps.push(more.1);
            }
        }
    }
}

impl Step<'_> {
    fn follow(from: Pointer, step: &Self) -> Pointer {
        match step {
            Self::Key(key) => from.key(key),
            Self::Path(path) => path.split('/').fold(from, |from, key| from.key(key)),
            Self::Index(index) => from.index(*index),
        }
    }
}

/// What is not `null`.
fn present(value: &Value) -> Option<&Value> {
    Some(value).filter(|v| !v.is_null())
}

/// Finds the steps from a value to one within it: to that very value, not to one like it.
fn way<'a>(from: &'a Value, to: &Value, steps: &mut Vec<Step<'a>>) -> bool {
    if std::ptr::eq(from, to) {
        return true;
    }
    let mut through = |step, below| {
        steps.push(step);
        let found = way(below, to, steps);
        if !found {
            steps.pop();
        }
        found
    };
    match from {
        Value::Array(list) => list.iter().enumerate().any(|(i, item)| through(Step::Index(i), item)),
        Value::Object(map) => map.iter().any(|(key, entry)| through(Step::Key(key), entry)),
        _ => false,
    }
}

/// Sets the value at `path` (`spec/purpose`) if nothing stands there, making the maps on the way.
pub(crate) fn fill(manifest: &mut Value, path: &str, value: impl Into<Value>) {
    let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
    let Some(map) = section(manifest, parents) else { return };
    let slot = map.entry(last).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// Sets the value at `path`, whatever stands there, making the maps on the way.
pub(crate) fn put(manifest: &mut Value, path: &str, value: impl Into<Value>) {
    let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some(map) = section(manifest, parents) {
        map.insert(last.to_owned(), value.into());
    }
}

/// The map at `path`, made if nothing stands there; `None` if something else does.
pub(crate) fn section<'a>(manifest: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut at = manifest;
    for key in path.split('/').filter(|k| !k.is_empty()) {
        let map = at.as_object_mut()?;
        at = map.entry(key).or_insert(Value::Null);
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
    }
    at.as_object_mut()
}

/// The maps of the list at `path`, to change them; none if there is no list. One that is `null` is an empty one.
pub(crate) fn list<'a>(manifest: &'a mut Value, path: &str) -> &'a mut [Value] {
    let pointer = format!("/{path}");
    let items = manifest.pointer_mut(&pointer).and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default();
    for item in items.iter_mut().filter(|item| item.is_null()) {
        *item = Value::Object(Map::new());
    }
    items
}
