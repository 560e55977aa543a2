//! Where two manifests differ, field by field, as people speak of it: list items by name where they have one.

use serde_json::Value;

use crate::finding::Pointer;

/// One field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// `kubernetes.version`, `provider.workers[cpu].maximum`; the leading `spec` is left out.
    pub name: String,
    /// The keys that lead to it, `[]` for an item of a list.
    pub path: Vec<String>,
    /// The names of the items on the way, outermost first.
    pub items: Vec<String>,
    /// Where the new value stands; where the old one stood if there is none.
    pub pointer: Pointer,
    /// Before; `None` if it was absent.
    pub before: Option<Value>,
    /// After; `None` if it goes.
    pub after: Option<Value>,
}

/// The keys that lead to the pools of a shoot.
pub(super) const POOLS: [&str; 4] = ["spec", "provider", "workers", "[]"];

impl Field {
    /// The node pool that it is in, if it is in one.
    #[must_use]
    pub fn pool(&self) -> Option<&str> {
        let within = self.path.iter().map(String::as_str).take(POOLS.len()).eq(POOLS);
        self.items.first().filter(|_| within).map(String::as_str)
    }
}

/// The fields in which two manifests differ, in the order of their names.
#[must_use]
pub fn fields(before: &Value, after: &Value) -> Vec<Field> {
    let mut out = Vec::new();
    walk(&Way::default(), Some(before), Some(after), &mut out);
    out
}

/// The way to a place.
#[derive(Clone, Default)]
struct Way {
    name: String,
    path: Vec<String>,
    items: Vec<String>,
    pointer: Pointer,
}

impl Way {
    fn key(&self, key: &str) -> Self {
        let mut way = self.clone();
        way.name = below(&self.name, key);
        way.path.push(key.to_owned());
        way.pointer = self.pointer.key(key);
        way
    }

    /// An item by its name, and where it stands if it still does.
    fn item(&self, name: &str, index: Option<usize>) -> Self {
        let mut way = self.clone();
        way.name = format!("{}[{name}]", self.name);
        way.path.push("[]".to_owned());
        way.items.push(name.to_owned());
        way.pointer = index.map_or_else(|| self.pointer.clone(), |index| self.pointer.index(index));
        way
    }

    fn field(self, before: Option<&Value>, after: Option<&Value>) -> Field {
        let Self { name, path, items, pointer } = self;
        Field { name, path, items, pointer, before: before.cloned(), after: after.cloned() }
    }
}

fn walk(way: &Way, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<Field>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                walk(&way.key(key), old.get(key), new.get(key), out);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if named(old) && named(new) => {
            let renamed = if is_pools(way) { renamed(old, new) } else { Vec::new() };
            let stays = |item: &Value| new.iter().any(|n| name_of(n) == name_of(item));
            for item in old.iter().filter(|item| !stays(item) && !renamed.iter().any(|(was, _)| was == item)) {
                out.push(way.item(name_of(item).unwrap_or_default(), None).field(Some(item), None));
            }
            for (i, item) in new.iter().enumerate() {
                if let Some((was, _)) = renamed.iter().find(|(_, is)| is == &item) {
                    let mut field =
                        way.item(name_of(was).unwrap_or_default(), Some(i)).key("name").field(was.get("name"), item.get("name"));
                    field.name = format!(
                        "{}[{} → {}].name",
                        way.name,
                        name_of(was).unwrap_or_default(),
                        name_of(item).unwrap_or_default()
                    );
                    out.push(field);
                    continue;
                }
                let was = old.iter().find(|o| name_of(o) == name_of(item));
                walk(&way.item(name_of(item).unwrap_or_default(), Some(i)), was, Some(item), out);
            }
        }
        _ => out.push(way.clone().field(before, after)),
    }
}

fn is_pools(way: &Way) -> bool {
    way.path.iter().map(String::as_str).eq(POOLS.iter().copied().take(POOLS.len() - 1))
}

/// The items that go, each with the one that comes in its place: alike in everything but the name.
fn renamed<'v>(old: &'v [Value], new: &'v [Value]) -> Vec<(&'v Value, &'v Value)> {
    let has = |items: &[Value], item: &Value| items.iter().any(|other| name_of(other) == name_of(item));
    let mut coming: Vec<&Value> = new.iter().filter(|item| !has(old, item)).collect();
    let mut pairs = Vec::new();
    for gone in old.iter().filter(|item| !has(new, item)) {
        if let Some(at) = coming.iter().position(|item| is_same_but_for_its_name(gone, item)) {
            pairs.push((gone, coming.remove(at)));
        }
    }
    pairs
}

fn is_same_but_for_its_name(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return false };
    a.len() == b.len() && a.iter().all(|(key, value)| key == "name" || b.get(key) == Some(value))
}

pub(crate) fn below(name: &str, key: &str) -> String {
    let key = if key.contains(['.', '/']) { format!("[\"{key}\"]") } else { key.to_owned() };
    match name {
        "" if key == "spec" => String::new(),
        "" => key,
        _ if key.starts_with('[') => format!("{name}{key}"),
        _ => format!("{name}.{key}"),
    }
}

/// What items of a list go by.
pub(crate) fn name_of(item: &Value) -> Option<&str> {
    ["name", "version", "type", "key"].iter().find_map(|key| item.get(key).and_then(Value::as_str))
}

/// Whether every item has a name of its own.
pub(crate) fn named(items: &[Value]) -> bool {
    let mut names: Vec<&str> = items.iter().filter_map(name_of).collect();
    names.sort_unstable();
    let all = names.len() == items.len();
    names.dedup();
    all && names.len() == items.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_followed_by_name_and_not_by_place() {
        let before = json!({"spec": {"workers": [{"name": "a", "max": 1}, {"name": "b", "max": 2}]}});
        let after = json!({"spec": {"workers": [{"name": "b", "max": 3}, {"name": "c"}]}});
        let names: Vec<(String, String)> =
            fields(&before, &after).into_iter().map(|f| (f.name, f.pointer.as_str().to_owned())).collect();
        let want =
            [("workers[a]", "/spec/workers"), ("workers[b].max", "/spec/workers/0/max"), ("workers[c]", "/spec/workers/1")];
        assert_eq!(names, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(fields(&after, &after).is_empty());
    }

    #[test]
    fn a_pool_of_another_name_is_told_as_renamed() {
        let pools = |names: [&str; 2]| json!({"spec": {"provider": {"workers": [{"name": names[0], "max": 1}, {"name": names[1], "max": 2}]}}});
        let told = fields(&pools(["a", "b"]), &pools(["a", "c"]));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].name, "provider.workers[b → c].name");
        assert_eq!((told[0].pool(), told[0].pointer.as_str()), (Some("b"), "/spec/provider/workers/1/name"));
        assert_eq!((&told[0].before, &told[0].after), (&Some(json!("b")), &Some(json!("c"))));
        let mut other = pools(["a", "c"]);
        other["spec"]["provider"]["workers"][1]["max"] = json!(3);
        assert_eq!(fields(&pools(["a", "b"]), &other).len(), 2, "a pool that differs in more is another one");
    }
}
