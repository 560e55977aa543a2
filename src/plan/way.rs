//! The way to a value in a manifest by the names of keys and list items, so that it leads to the same one in another version, where
//! items may stand in another order.

use serde_json::Value;

use super::diff::{Field, below, name_of, named};
use crate::finding::Pointer;

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Into a map, by a key.
    Key(String),
    /// Into a list, by the name of an item.
    Item(String),
}

/// The way to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way(Vec<Step>);

/// A value that holds no other, or a list whose items have no names.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf<'v> {
    /// Its name as people say it: `provider.workers[cpu].maximum`.
    pub name: String,
    /// The way to it.
    pub way: Way,
    /// Where it stands in this version.
    pub pointer: Pointer,
    /// The value.
    pub value: &'v Value,
}

impl Way {
    /// The way to the old value of a field that differs, and to the new one: a renamed item goes by another name before.
    #[must_use]
    pub fn of(field: &Field) -> (Self, Self) {
        let mut items = field.items.iter();
        let step = |key: &String| match key.as_str() {
            "[]" => Step::Item(items.next().cloned().unwrap_or_default()),
            key => Step::Key(key.to_owned()),
        };
        let old = Self(field.path.iter().map(step).collect());
        let mut new = old.clone();
        if let (Some(Value::String(was)), Some(Value::String(is))) = (&field.before, &field.after)
            && let [.., Step::Item(name), Step::Key(key)] = new.0.as_mut_slice()
            && key == "name"
            && name == was
        {
            name.clone_from(is);
        }
        (old, new)
    }

    /// The way that a JSON pointer goes in a manifest; `None` if it leads nowhere, or through a list whose items have no names.
    #[must_use]
    pub fn to(manifest: &Value, pointer: &str) -> Option<Self> {
        let mut way = Vec::new();
        let mut value = manifest;
        for segment in Pointer::from(pointer).segments() {
            let step;
            (value, step) = match value {
                Value::Array(items) if named(items) => {
                    let item = items.get(segment.parse::<usize>().ok()?)?;
                    (item, Step::Item(name_of(item)?.to_owned()))
                }
                value => (value.get(&segment)?, Step::Key(segment)),
            };
            way.push(step);
        }
        Some(Self(way))
    }

    /// The value that it leads to.
    #[must_use]
    pub fn find<'v>(&self, manifest: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(manifest, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Item(name) => {
                let items = value.as_array().filter(|items| named(items))?;
                items.iter().find(|item| name_of(item) == Some(name))
            }
        })
    }
}

/// Every value of a manifest that holds no other, in the order of the manifest.
#[must_use]
pub fn leaves(manifest: &Value) -> Vec<Leaf<'_>> {
    let mut out = Vec::new();
    walk(String::new(), &mut Vec::new(), &Pointer::root(), manifest, &mut out);
    out
}

fn walk<'v>(name: String, way: &mut Vec<Step>, pointer: &Pointer, value: &'v Value, out: &mut Vec<Leaf<'v>>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                way.push(Step::Key(key.clone()));
                walk(below(&name, key), way, &pointer.key(key), inner, out);
                way.pop();
            }
        }
        Value::Array(items) if !items.is_empty() && named(items) => {
            for (index, item) in items.iter().enumerate() {
                let called = name_of(item).unwrap_or_default();
                way.push(Step::Item(called.to_owned()));
                walk(format!("{name}[{called}]"), way, &pointer.index(index), item, out);
                way.pop();
            }
        }
        _ => out.push(Leaf { name, way: Way(way.clone()), pointer: pointer.clone(), value }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::diff::fields;

    #[test]
    fn a_way_leads_to_the_same_value_wherever_it_stands() {
        let one = json!({"spec": {"workers": [{"name": "a", "max": 1}, {"name": "b", "max": 2, "zones": ["x"]}], "empty": {}}});
        let other = json!({"spec": {"workers": [{"name": "b", "max": 5}]}});
        let all = leaves(&one);
        let names: Vec<&str> = all.iter().map(|leaf| leaf.name.as_str()).collect();
        assert_eq!(
            names,
            ["empty", "workers[a].max", "workers[a].name", "workers[b].max", "workers[b].name", "workers[b].zones"]
        );
        assert!(all.iter().all(|leaf| leaf.way.find(&one) == Some(leaf.value)));
        assert!(all.iter().all(|leaf| one.pointer(leaf.pointer.as_str()) == Some(leaf.value)));
        assert!(all.iter().all(|leaf| Way::to(&one, leaf.pointer.as_str()) == Some(leaf.way.clone())));
        assert_eq!(all[3].way.find(&other), Some(&json!(5)));
        assert_eq!(all[1].way.find(&other), None);
    }

    #[test]
    fn a_renamed_pool_goes_by_another_name_before() {
        let pools = |name: &str| json!({"spec": {"provider": {"workers": [{"name": name, "max": 1}]}}});
        let (before, after) = (pools("a"), pools("b"));
        let [field] = fields(&before, &after).try_into().expect("one field");
        let (old, new) = Way::of(&field);
        assert_eq!((old.find(&before), new.find(&after)), (Some(&json!("a")), Some(&json!("b"))));
        assert_eq!((old.find(&after), new.find(&before)), (None, None));
    }
}
