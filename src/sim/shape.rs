//! How lists and maps merge: by keys, as sets, or as a whole, as the schema of their kind says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::structure::{ListKind, Structure, Type, is_identity};
use super::typed;

/// What is known of the value at some path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// Described by a schema.
    Known(&'a Structure),
    /// Not described: maps merge, lists do not.
    Free,
}

/// How a list merges.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Merge<'a> {
    Atomic,
    Set,
    /// By these fields; the structure is that of the items, whose defaults stand in for keys that are left out.
    Keys(&'a [String], Option<&'a Structure>),
}

impl<'a> Shape<'a> {
    /// The root of an object.
    pub(crate) fn root(structure: Option<&'a Structure>) -> Self {
        structure.map_or(Self::Free, Self::Known)
    }

    /// The value of a field; at the root `metadata` means the same for all.
    pub(crate) fn field(self, name: &str, at_root: bool) -> Self {
        match self {
            _ if at_root && name == "metadata" => Self::Known(typed::metadata()),
            Self::Known(structure) if structure.embedded && name == "metadata" => Self::Known(typed::inner_metadata()),
            Self::Known(structure) => structure.field(name).map_or(Self::Free, Self::Known),
            Self::Free => Self::Free,
        }
    }

    /// Whether a field is named by the schema, rather than being a key of a map.
    pub(crate) fn declares(self, name: &str, at_root: bool) -> bool {
        match self {
            Self::Known(structure) => {
                ((at_root || structure.embedded) && is_identity(name)) || structure.properties.contains_key(name)
            }
            Self::Free => at_root && is_identity(name),
        }
    }

    /// The items of a list.
    pub(crate) fn items(self) -> Self {
        match self {
            Self::Known(structure) => structure.items.as_deref().map_or(Self::Free, Self::Known),
            Self::Free => Self::Free,
        }
    }

    /// Whether a map is replaced as a whole.
    pub(crate) fn is_atomic_map(self) -> bool {
        matches!(self, Self::Known(structure) if structure.atomic_map)
    }

    /// Whether a container that came into being is itself a field that somebody owns. Structs of built-in kinds are always there.
    pub(crate) fn is_counted(self) -> bool {
        !matches!(self, Self::Known(structure) if structure.always || structure.required)
    }

    /// How a list merges.
    pub(crate) fn list(self) -> Merge<'a> {
        match self {
            Self::Known(structure) => match &structure.list {
                ListKind::Atomic => Merge::Atomic,
                ListKind::Set => Merge::Set,
                ListKind::Keys(keys) => Merge::Keys(keys, structure.items.as_deref()),
            },
            Self::Free => Merge::Atomic,
        }
    }

    /// The key by which strategic merge patches tell items of a list apart; empty: by the items themselves.
    pub(crate) fn merge_key(self) -> Option<&'a str> {
        match self {
            Self::Known(structure) if structure.of == Type::Array => structure.merge_key.as_deref(),
            Self::Known(_) | Self::Free => None,
        }
    }
}

impl Merge<'_> {
    /// Whether the list is one value.
    pub(crate) fn is_atomic(self) -> bool {
        matches!(self, Self::Atomic)
    }

    /// Whether items are told apart by themselves.
    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::Set)
    }

    /// The path element of an item; `None` if it lacks a key.
    pub(crate) fn element(self, item: &Value) -> Option<String> {
        match self {
            Self::Atomic => None,
            Self::Set => (!item.is_object() && !item.is_array()).then(|| format!("v:{item}")),
            Self::Keys(keys, items) => {
                let default = |key: &str| {
                    let (items, field) = (items?, items?.properties.get(key)?);
                    // What an item of a built-in kind leaves out is zero.
                    let zero = || match field.of {
                        Type::String => Some(Value::from("")),
                        Type::Integer => Some(Value::from(0)),
                        _ => None,
                    };
                    field.default.clone().or_else(|| zero().filter(|_| !items.name.is_empty()))
                };
                let mut element = Map::new();
                for key in keys {
                    if let Some(value) = item.get(key).cloned().or_else(|| default(key)) {
                        element.insert(key.clone(), value);
                    }
                }
                (!element.is_empty()).then(|| format!("k:{}", Value::Object(element)))
            }
        }
    }

    /// Whether a field of an item is one of its keys.
    pub(crate) fn is_key(self, field: &str) -> bool {
        matches!(self, Self::Keys(keys, _) if keys.iter().any(|k| k == field))
    }

    /// The elements of all items; `None`: the list is one value, because it merges that way or because some item has no element.
    pub(crate) fn elements(self, list: &[Value]) -> Option<Vec<String>> {
        if self.is_atomic() { None } else { list.iter().map(|item| self.element(item)).collect() }
    }

    /// The items by element, of which there may be several.
    pub(crate) fn groups(self, list: &[Value]) -> Option<BTreeMap<String, Vec<&Value>>> {
        let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for (element, item) in self.elements(list)?.into_iter().zip(list) {
            groups.entry(element).or_default().push(item);
        }
        Some(groups)
    }
}
