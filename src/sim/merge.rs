//! The algebra behind server-side apply: which fields an object has, how two objects merge, what changed between them, and what
//! to take out when nobody wants it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::fields::Set;
use super::shape::{Merge, Shape};

/// What lies between two states of an object.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: Set,
    pub(crate) modified: Set,
    pub(crate) removed: Set,
}

/// The fields that a configuration names.
pub(crate) fn fields(value: &Value, shape: Shape<'_>) -> Set {
    named(value, shape, true, false, false)
}

/// `all`: containers count as fields themselves, as when something comes into being. `fresh`: what it is in came into being, too.
fn named<'a>(value: &'a Value, shape: Shape<'a>, at_root: bool, all: bool, fresh: bool) -> Set {
    let mut set = Set::default();
    let counted = fresh || shape.is_counted();
    match value {
        Value::Object(map) if map.is_empty() && all && !counted && !at_root => {}
        Value::Object(map) if !at_root && (map.is_empty() || shape.is_atomic_map()) => return Set::leaf(),
        Value::Object(map) => {
            set.member = all && !at_root && counted;
            for (key, below) in map {
                let mut child = named(below, shape.field(key, at_root), false, all, fresh || set.member);
                if !shape.declares(key, at_root) {
                    child.member = true;
                }
                set.insert(format!("f:{key}"), child);
            }
        }
        Value::Array(list) => {
            let merge = shape.list();
            let Some(groups) = merge.groups(list) else { return Set::leaf() };
            set.member = all && counted;
            for (element, items) in groups {
                let mut child = match items.as_slice() {
                    [item] if !merge.is_set() => named(item, shape.items(), false, all, true),
                    _ => Set::leaf(),
                };
                child.member = true;
                set.insert(element, child);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Set::leaf(),
    }
    set
}

/// Lays a configuration over a live object.
pub(crate) fn merge<'a>(live: &'a Value, config: &'a Value, shape: Shape<'a>, at_root: bool) -> Value {
    match (live, config) {
        (Value::Object(a), Value::Object(b)) if at_root || !shape.is_atomic_map() => {
            let mut merged = a.clone();
            for (key, value) in b {
                let value = match a.get(key) {
                    Some(old) => merge(old, value, shape.field(key, at_root), false),
                    None => value.clone(),
                };
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(a), Value::Array(b)) => {
            let how = shape.list();
            match (how.elements(a), how.elements(b)) {
                (Some(left), Some(right)) => Value::Array(merge_lists(a, &left, b, &right, how, shape.items())),
                _ => config.clone(),
            }
        }
        _ => config.clone(),
    }
}

/// Items keep the order of the configuration; items that only the live list has stay where they are between them.
fn merge_lists<'a>(
    a: &'a [Value],
    left: &[String],
    b: &'a [Value],
    right: &[String],
    how: Merge<'a>,
    items: Shape<'a>,
) -> Vec<Value> {
    let mut by_left: BTreeMap<&str, Option<&Value>> = BTreeMap::new();
    for (element, item) in left.iter().map(String::as_str).zip(a) {
        // What is there twice does not merge.
        by_left.entry(element).and_modify(|twin| *twin = None).or_insert(Some(item));
    }
    let wanted: BTreeSet<&str> = right.iter().map(String::as_str).collect();
    let mut shared = right.iter().filter(|element| by_left.contains_key(element.as_str())).peekable();
    let mut taken = BTreeSet::new();
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some(theirs), Some(ours)) = (left.get(l), right.get(r)) {
            let next = shared.peek().is_some_and(|next| *next != theirs);
            if theirs != ours && wanted.contains(theirs.as_str()) && next {
                // Its turn comes where the configuration has it.
                l += 1;
                continue;
            }
        }
        if let Some(theirs) = left.get(l).filter(|theirs| right.get(r) != Some(theirs)) {
            if !wanted.contains(theirs.as_str()) {
                merged.push(a[l].clone());
                l += 1;
                continue;
            }
            if taken.contains(theirs.as_str()) {
                l += 1;
            }
        }
        if let (Some(ours), Some(item)) = (right.get(r), b.get(r)) {
            if left.get(l) == Some(ours) {
                l += 1;
            }
            taken.insert(ours.as_str());
            shared.next_if(|next| *next == ours);
            merged.push(match by_left.get(ours.as_str()) {
                Some(Some(old)) if !how.is_set() => merge(old, item, items, false),
                _ => item.clone(),
            });
            r += 1;
        }
    }
    merged
}

/// Takes out of `value` what `last` names and `keep` does not.
pub(crate) fn prune<'a>(
    value: &'a Value,
    last: &Set,
    keep: &Set,
    shape: Shape<'a>,
    at_root: bool,
    keys: Option<Merge<'a>>,
) -> Value {
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (name, below) in map {
                let element = format!("f:{name}");
                let is_key = keys.is_some_and(|keys| keys.is_key(name));
                let value = match (last.children.get(element.as_str()), keep.children.get(element.as_str())) {
                    _ if is_key => below.clone(),
                    // Nothing in it is a field, so there is nothing to take.
                    (Some(_), None) if is_hollow(below, shape.field(name, at_root)) => below.clone(),
                    (Some(_), None) => continue,
                    // What nobody has goes first; is nothing left then that is a field, the whole was not one either.
                    (Some(_), Some(keep)) if keep.children.is_empty() && has_hollow(below, shape.field(name, at_root)) => {
                        continue;
                    }
                    // Whoever has something inside of an entry of a map does not have the entry.
                    (Some(last), Some(keep)) if last.member && !keep.member && !shape.declares(name, at_root) => continue,
                    (Some(last), Some(keep)) => emptied(below, prune(below, last, keep, shape.field(name, at_root), false, None)),
                    _ => below.clone(),
                };
                kept.insert(name.clone(), value);
            }
            Value::Object(kept)
        }
        Value::Array(list) => {
            let merge = shape.list();
            let Some(elements) = merge.elements(list) else { return value.clone() };
            let mut kept = Vec::with_capacity(list.len());
            for (element, item) in elements.iter().zip(list) {
                match (last.children.get(element.as_str()), keep.children.get(element.as_str())) {
                    (Some(_), None) => {}
                    // Whoever has something inside of an item does not have the item.
                    (Some(last), Some(keep)) if last.member && !keep.member => {}
                    (Some(last), Some(keep)) => {
                        kept.push(prune(item, last, keep, shape.items(), false, Some(merge)));
                    }
                    _ => kept.push(item.clone()),
                }
            }
            Value::Array(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Whether a container is there and counts for nothing: a list that merges and has no items, or a map of nothing but such.
fn is_hollow<'a>(value: &'a Value, shape: Shape<'a>) -> bool {
    (value.is_object() || value.is_array()) && named(value, shape, false, false, false).is_empty()
}

fn has_hollow<'a>(value: &'a Value, shape: Shape<'a>) -> bool {
    let map = value.as_object().filter(|_| !shape.is_atomic_map());
    map.into_iter().flatten().any(|(name, below)| is_hollow(below, shape.field(name, false)))
}

/// What is left of a container from which everything was taken is null.
fn emptied(before: &Value, value: Value) -> Value {
    if full(before) && is_empty(&value) { Value::Null } else { value }
}

/// What changed from `old` to `new`.
pub(crate) fn compare(old: &Value, new: &Value, shape: Shape<'_>) -> Comparison {
    differ(Some(old), Some(new), shape, true)
}

fn differ<'a>(old: Option<&'a Value>, new: Option<&'a Value>, shape: Shape<'a>, at_root: bool) -> Comparison {
    match (old, new) {
        (None, None) => Comparison::default(),
        (None, Some(new)) => Comparison { added: named(new, shape, at_root, true, false), ..Comparison::default() },
        (Some(old), None) => Comparison { removed: named(old, shape, at_root, true, false), ..Comparison::default() },
        (Some(old), Some(new)) if old == new => Comparison::default(),
        // Null is an empty container where there was, or is, a full one.
        (Some(old @ (Value::Object(_) | Value::Array(_))), Some(Value::Null)) if full(old) && merges(old, shape) => {
            differ(Some(old), Some(if old.is_object() { &EMPTY_MAP } else { &EMPTY_LIST }), shape, at_root)
        }
        (Some(Value::Null), Some(new @ (Value::Object(_) | Value::Array(_)))) if full(new) && merges(new, shape) => {
            differ(Some(if new.is_object() { &EMPTY_MAP } else { &EMPTY_LIST }), Some(new), shape, at_root)
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) if at_root || !shape.is_atomic_map() => {
            let mut result = Comparison::default();
            let only_new = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(only_new) {
                let below = differ(a.get(key), b.get(key), shape.field(key, at_root), false);
                let element = format!("f:{key}");
                result.take(&element, below);
            }
            result
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let merge = shape.list();
            let (Some(old), Some(new)) = (merge.groups(a), merge.groups(b)) else { return Comparison::changed() };
            let mut result = Comparison::default();
            let only_new = new.keys().filter(|element| !old.contains_key(*element));
            for element in old.keys().chain(only_new) {
                let was = old.get(element).map_or(&[][..], Vec::as_slice);
                let is = new.get(element).map_or(&[][..], Vec::as_slice);
                result.take(element, differ_items(was, is, shape.items()));
            }
            result
        }
        // A value of another kind: what was in it is gone, and what is in it is new.
        (Some(old), Some(new)) => {
            let inside = |value: &Value| {
                let parts =
                    if full(value) && merges(value, shape) { named(value, shape, at_root, true, false) } else { Set::default() };
                Set { member: false, ..parts }
            };
            match (old, new) {
                (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) => Comparison::changed(),
                _ => Comparison { added: inside(new), removed: inside(old), ..Comparison::changed() },
            }
        }
    }
}

/// What changed of the items of one element: usually there is one, and several are compared as a whole.
fn differ_items<'a>(old: &[&'a Value], new: &[&'a Value], shape: Shape<'a>) -> Comparison {
    let lone = |list: &[&'a Value]| if let [one] = list { Some(*one) } else { None };
    let mut result = match (old, new) {
        ([_, _, ..], [_, _, ..]) => return if old == new { Comparison::default() } else { Comparison::changed() },
        _ => differ(lone(old), lone(new), shape, false),
    };
    result.added.member |= new.len() > 1 || (lone(old).is_none() && !new.is_empty());
    result.removed.member |= old.len() > 1 || (lone(new).is_none() && !old.is_empty());
    result
}

static EMPTY_MAP: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
static EMPTY_LIST: LazyLock<Value> = LazyLock::new(|| Value::Array(Vec::new()));

fn full(value: &Value) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty()) || value.as_array().is_some_and(|list| !list.is_empty())
}

/// Whether a value could contain something, and does not.
pub(crate) fn is_empty(value: &Value) -> bool {
    (value.is_object() || value.is_array()) && !full(value)
}

fn merges(value: &Value, shape: Shape<'_>) -> bool {
    if value.is_object() { !shape.is_atomic_map() } else { !shape.list().is_atomic() }
}

impl Comparison {
    fn changed() -> Self {
        Self { modified: Set::leaf(), ..Self::default() }
    }

    fn take(&mut self, element: &str, below: Self) {
        self.added.insert(element.to_owned(), below.added);
        self.modified.insert(element.to_owned(), below.modified);
        self.removed.insert(element.to_owned(), below.removed);
    }
}
