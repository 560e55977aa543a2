//! A cursor into a manifest: a value together with the pointer that leads to it, so that whoever dislikes the value can name
//! its place. Knows JSON and pointers, no kinds.

use serde_json::{Map, Value};

use crate::finding::Pointer;

/// A place in a manifest and what stands there, if anything does. `null` counts as absent.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    value: Option<&'a Value>,
    pointer: Pointer,
}

impl<'a> Node<'a> {
    /// The whole manifest.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value: Some(value).filter(|v| !v.is_null()), pointer: Pointer::root() }
    }

    /// A place in no manifest at all: everything below it is absent.
    pub(crate) fn absent() -> Self {
        Self { value: None, pointer: Pointer::root() }
    }

    /// The entry of a map.
    pub(crate) fn get(&self, key: &str) -> Self {
        let value = self.value.and_then(|v| v.get(key)).filter(|v| !v.is_null());
        Self { value, pointer: self.pointer.key(key) }
    }

    /// The entry reached by several keys, written `spec/kubernetes/version`.
    pub(crate) fn at(&self, path: &str) -> Self {
        // The keys are fixed ones of our own and need no escaping, so the pointer is made at once.
        let step = |value: Option<&'a Value>, key: &str| value.and_then(|v| v.get(key)).filter(|v| !v.is_null());
        let value = path.split('/').fold(self.value, step);
        let mut pointer = String::with_capacity(self.pointer.0.len() + 1 + path.len());
        pointer.push_str(&self.pointer.0);
        pointer.push('/');
        pointer.push_str(path);
        Self { value, pointer: Pointer(pointer) }
    }

    /// The items of a list; none if this is no list. One that is `null` says nothing.
    pub(crate) fn items(&self) -> Vec<Self> {
        let list = self.value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let item =
            |(i, value): (usize, &'a Value)| Self { value: Some(value).filter(|v| !v.is_null()), pointer: self.pointer.index(i) };
        list.iter().enumerate().map(item).collect()
    }

    /// The entries of a map in key order; none if this is no map.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Some(map) = self.map() else { return Vec::new() };
        map.iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.as_str(), Self { value: Some(v), pointer: self.pointer.key(k) }))
            .collect()
    }

    /// The map that stands here.
    pub(crate) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.and_then(Value::as_object)
    }

    /// The value that stands here.
    pub(crate) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// The text that stands here.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.and_then(Value::as_str)
    }

    /// The text that stands here, or an empty one.
    pub(crate) fn str(&self) -> &'a str {
        self.text().unwrap_or_default()
    }

    /// The integer that stands here.
    pub(crate) fn int(&self) -> Option<i64> {
        self.value.and_then(Value::as_i64)
    }

    /// The truth value that stands here.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.value.and_then(Value::as_bool)
    }

    /// Whether anything stands here.
    pub(crate) fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Whether nothing stands here, or an empty text, list or map.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            None => true,
            Some(Value::String(s)) => s.is_empty(),
            Some(Value::Array(a)) => a.is_empty(),
            Some(Value::Object(o)) => o.is_empty(),
            Some(_) => false,
        }
    }

    /// Whether both say the same, or both nothing.
    pub(crate) fn same(&self, other: &Node<'_>) -> bool {
        self.value == other.value
    }

    /// The pointer that leads here.
    pub(crate) fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// The way Kubernetes spells this place.
    pub(crate) fn field(&self) -> String {
        self.pointer.field()
    }

    /// What stands here, the way a message quotes it.
    pub(crate) fn shown(&self) -> String {
        match self.value {
            None => "nothing".to_owned(),
            Some(Value::String(s)) => format!("`{s}`"),
            Some(v) => format!("`{v}`"),
        }
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
