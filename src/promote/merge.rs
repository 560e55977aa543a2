//! Three sides of one object, field by field: what the source changed since the base goes to the target as edits of its document,
//! unless the field is the target's own, was changed there by itself, or is held.

use std::collections::BTreeSet;

use serde_json::Value;

use super::owned::{Key, Rules};
use crate::document::Edit;
use crate::finding::Pointer;
use crate::landscape::Kind;
use crate::plan::diff::{self, Field};

/// A field with its value before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// `kubernetes.version`, `provider.workers[cpu].maximum`; the leading `spec` is left out.
    pub field: String,
    /// What the target has; `None` if it has no such field.
    pub before: Option<Value>,
    /// What the source has.
    pub after: Option<Value>,
}

/// What becomes of the fields of one object.
#[derive(Debug, Default)]
pub(super) struct Merged {
    sets: Vec<Edit>,
    removes: Vec<Edit>,
    appends: Vec<Edit>,
    /// What is taken.
    pub(super) taken: Vec<Step>,
    /// What stays, because the target changed it by itself.
    pub(super) pinned: Vec<Step>,
    /// What stays, because it is the target's own.
    pub(super) owned: Vec<String>,
    /// What waits, because a commit that changed it is held.
    pub(super) held: Vec<String>,
}

impl Merged {
    /// The edits, in an order in which none moves what a later one means.
    pub(super) fn edits(self) -> Vec<Edit> {
        let Self { sets, removes, appends, .. } = self;
        sets.into_iter().chain(removes.into_iter().rev()).chain(appends).collect()
    }
}

/// The sides of an object, or of a field of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sides<'a> {
    /// What both began with.
    pub(super) base: Option<&'a Value>,
    /// What earlier promotions in part wrote into the target since, oldest first: before and after.
    pub(super) layers: Vec<(Option<&'a Value>, Option<&'a Value>)>,
    /// What the source had since the base, besides what it has now.
    pub(super) past: Vec<Option<&'a Value>>,
    pub(super) from: Option<&'a Value>,
    pub(super) to: Option<&'a Value>,
}

impl<'a> Sides<'a> {
    fn map(&self, get: impl Fn(&'a Value) -> Option<&'a Value>) -> Self {
        Self {
            base: self.base.and_then(&get),
            layers: self.layers.iter().map(|(before, after)| (before.and_then(&get), after.and_then(&get))).collect(),
            past: self.past.iter().map(|value| value.and_then(&get)).collect(),
            from: self.from.and_then(&get),
            to: self.to.and_then(&get),
        }
    }

    /// What the target would have if it had changed nothing by itself.
    pub(super) fn begun(&self) -> Option<&'a Value> {
        self.layers.iter().rev().find(|(before, after)| before != after).map_or(self.base, |(_, after)| *after)
    }

    /// Whether no promotion in part wrote here.
    fn is_plain(&self) -> bool {
        self.layers.iter().all(|(before, after)| before == after)
    }
}

/// The way to a field.
#[derive(Debug, Clone, Default)]
struct Way {
    name: String,
    keys: Vec<Key>,
    /// Where it stands in the target.
    pointer: Pointer,
}

impl Way {
    fn field(&self, key: &str) -> Self {
        let keys = [&self.keys[..], &[Key::Field(key.to_owned())]].concat();
        Self { name: diff::below(&self.name, key), keys, pointer: self.pointer.key(key) }
    }

    fn item(&self, name: &str, index: Option<usize>) -> Self {
        let keys = [&self.keys[..], &[Key::Item(name.to_owned())]].concat();
        let pointer = index.map_or_else(|| self.pointer.clone(), |index| self.pointer.index(index));
        Self { name: format!("{}[{name}]", self.name), keys, pointer }
    }
}

/// The ways to what a commit changed.
pub(super) fn ways(before: Option<&Value>, after: Option<&Value>) -> Vec<Vec<Key>> {
    let (Some(before), Some(after)) = (before, after) else {
        return if before == after { Vec::new() } else { vec![Vec::new()] };
    };
    let keys = |field: Field| {
        let mut items = field.items.into_iter();
        let key = |key: String| if key == "[]" { Key::Item(items.next().unwrap_or_default()) } else { Key::Field(key) };
        field.path.into_iter().map(key).collect()
    };
    diff::fields(before, after).into_iter().map(keys).collect()
}

/// What is merged by.
pub(super) struct Merger<'a> {
    pub(super) kind: Kind,
    pub(super) rules: &'a Rules,
    /// The ways to what is held.
    pub(super) held: &'a [Vec<Key>],
}

impl Merger<'_> {
    /// Merges an object that both sides have.
    pub(super) fn merge(&self, sides: &Sides<'_>) -> Merged {
        let mut out = Merged::default();
        self.walk(&Way::default(), sides, &mut out);
        out
    }

    /// Whether two values are the same but for what is the target's own.
    pub(super) fn alike(&self, a: Option<&Value>, b: Option<&Value>) -> bool {
        self.alike_at(&mut Vec::new(), a, b)
    }

    /// Whether anything below here is held.
    pub(super) fn is_held(&self, keys: &[Key]) -> bool {
        self.held.iter().any(|held| held.starts_with(keys) || keys.starts_with(held))
    }

    fn alike_at(&self, keys: &mut Vec<Key>, a: Option<&Value>, b: Option<&Value>) -> bool {
        if a == b || self.rules.owns(self.kind, keys) {
            return true;
        }
        match (a, b) {
            (Some(Value::Object(_)) | None, Some(Value::Object(_))) | (Some(Value::Object(_)), None) => {
                let maps = [a, b].map(|value| value.and_then(Value::as_object));
                let names: BTreeSet<&String> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
                // An empty map is not the same as none.
                !names.is_empty()
                    && names.into_iter().all(|name| {
                        keys.push(Key::Field(name.clone()));
                        let same = self.alike_at(keys, maps[0].and_then(|m| m.get(name)), maps[1].and_then(|m| m.get(name)));
                        keys.pop();
                        same
                    })
            }
            (Some(Value::Array(x)), Some(Value::Array(y))) if x.len() == y.len() && diff::named(x) && diff::named(y) => {
                x.iter().all(|item| {
                    let name = diff::name_of(item).unwrap_or_default();
                    keys.push(Key::Item(name.to_owned()));
                    let other = y.iter().find(|other| diff::name_of(other) == Some(name));
                    let same = other.is_some() && self.alike_at(keys, Some(item), other);
                    keys.pop();
                    same
                })
            }
            _ => false,
        }
    }

    fn same(&self, way: &Way, a: Option<&Value>, b: Option<&Value>) -> bool {
        self.alike_at(&mut way.keys.clone(), a, b)
    }

    fn walk(&self, way: &Way, sides: &Sides<'_>, out: &mut Merged) {
        let Sides { from, to, .. } = *sides;
        if from == to {
            return;
        }
        if self.rules.owns(self.kind, &way.keys) {
            if from != sides.begun() {
                out.owned.push(way.name.clone());
            }
            return;
        }
        if sides.is_plain() && self.same(way, sides.base, from) {
            // Only what is the target's own may differ: to be told, not to be taken.
            if sides.base != from {
                self.below(way, sides, out);
            }
            return;
        }
        match (from, to) {
            (Some(Value::Object(_)), Some(Value::Object(_))) => self.below(way, sides, out),
            (None, Some(map @ Value::Object(_))) if self.rules.owns_below(self.kind, &way.keys, map) => {
                self.below(way, sides, out);
            }
            (Some(Value::Array(x)), Some(Value::Array(y))) if diff::named(x) && diff::named(y) => {
                self.items(way, sides, x, y, out);
            }
            _ => self.leaf(way, sides, out),
        }
    }

    fn below(&self, way: &Way, sides: &Sides<'_>, out: &mut Merged) {
        let maps = [sides.from, sides.to].map(|value| value.and_then(Value::as_object));
        let names: BTreeSet<&String> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
        for name in names {
            self.walk(&way.field(name), &sides.map(|value| value.get(name)), out);
        }
    }

    fn items(&self, way: &Way, sides: &Sides<'_>, from: &[Value], to: &[Value], out: &mut Merged) {
        let named = |value: &'_ Value, name: &str| diff::name_of(value) == Some(name);
        for (index, item) in to.iter().enumerate() {
            let name = diff::name_of(item).unwrap_or_default();
            let sides = sides.map(|list| list.as_array()?.iter().find(|item| named(item, name)));
            if sides.from.is_some() {
                self.walk(&way.item(name, Some(index)), &sides, out);
            } else if sides.begun().is_some() || sides.past.iter().any(Option::is_some) {
                self.leaf(&way.item(name, Some(index)), &sides, out);
            }
        }
        for item in from {
            let name = diff::name_of(item).unwrap_or_default();
            if !to.iter().any(|item| named(item, name)) {
                let sides = sides.map(|list| list.as_array()?.iter().find(|item| named(item, name)));
                self.leaf(&way.item(name, None), &sides, out);
            }
        }
    }

    /// A field that goes over as a whole, or not.
    fn leaf(&self, way: &Way, sides: &Sides<'_>, out: &mut Merged) {
        let Sides { from, to, .. } = *sides;
        if self.same(way, sides.begun(), from) {
            return;
        }
        if self.is_held(&way.keys) {
            out.held.push(way.name.clone());
            return;
        }
        let step = Step { field: way.name.clone(), before: to.cloned(), after: from.cloned() };
        let lags = sides.past.contains(&to);
        if !lags && !self.same(way, sides.begun(), to) {
            out.pinned.push(step);
            return;
        }
        match (from, to, way.keys.last()) {
            (Some(item), None, Some(Key::Item(_))) => {
                out.appends.push(Edit::Append { pointer: way.pointer.clone(), value: item.clone() });
            }
            (Some(value), ..) => {
                let value = if to.is_none() { self.without_own(way, value) } else { value.clone() };
                out.sets.push(Edit::Set { pointer: way.pointer.clone(), value });
            }
            (None, ..) => out.removes.push(Edit::Remove { pointer: way.pointer.clone() }),
        }
        out.taken.push(step);
    }

    /// A map that is new, without what each landscape decides for itself.
    fn without_own(&self, way: &Way, value: &Value) -> Value {
        let Value::Object(map) = value else { return value.clone() };
        let kept = map.iter().filter_map(|(key, inner)| {
            let way = way.field(key);
            (!self.rules.owns(self.kind, &way.keys)).then(|| (key.clone(), self.without_own(&way, inner)))
        });
        Value::Object(kept.collect())
    }
}
