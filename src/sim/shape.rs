//! How lists and maps merge: by keys, as sets, or as a whole. Known by name for the built-in kinds, from the schema for others.

use serde_json::{Map, Value};

use super::structure::{ListKind, Structure};

/// What is known of the value at some path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// A built-in kind, at a field below another field.
    Builtin { kind: &'a str, parent: &'a str, field: &'a str },
    /// Standard object metadata.
    Meta { field: &'a str },
    /// Described by a schema.
    Known(&'a Structure),
    /// Not described: maps merge, lists do not.
    Free,
}

/// How a list merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge<'a> {
    Atomic,
    Set,
    Keys(&'a [String]),
    Names(&'static [&'static str]),
}

impl<'a> Shape<'a> {
    /// The root of an object.
    pub(crate) fn root(kind: &'a str, structure: Option<&'a Structure>) -> Self {
        structure.map_or(Self::Builtin { kind, parent: "", field: "" }, Self::Known)
    }

    /// The value of a field; `depth` 0 is the root, where `metadata` means the same for all.
    pub(crate) fn field(self, name: &'a str, at_root: bool) -> Self {
        if at_root && name == "metadata" {
            return Self::Meta { field: "metadata" };
        }
        match self {
            Self::Builtin { kind, field, .. } => {
                if name == "metadata" {
                    return Self::Meta { field: "metadata" };
                }
                Self::Builtin { kind, parent: field, field: name }
            }
            Self::Meta { .. } => Self::Meta { field: name },
            Self::Known(structure) => match structure.field(name) {
                Some(below) if below.embedded && name == "metadata" => Self::Meta { field: "metadata" },
                Some(below) => Self::Known(below),
                None => Self::Free,
            },
            Self::Free => Self::Free,
        }
    }

    /// The items of a list.
    pub(crate) fn items(self) -> Self {
        match self {
            Self::Known(structure) => structure.items.as_deref().map_or(Self::Free, Self::Known),
            other @ (Self::Builtin { .. } | Self::Meta { .. } | Self::Free) => other,
        }
    }

    /// Whether a map is replaced as a whole.
    pub(crate) fn is_atomic_map(self) -> bool {
        match self {
            Self::Builtin { field, parent, .. } => {
                matches!(
                    field,
                    "selector"
                        | "labelSelector"
                        | "namespaceSelector"
                        | "podSelector"
                        | "objectSelector"
                        | "nodeSelector"
                        | "matchLabels"
                        | "secretKeyRef"
                        | "configMapKeyRef"
                        | "fieldRef"
                        | "resourceFieldRef"
                        | "roleRef"
                        | "scopeSelector"
                        | "targetRef"
                        | "involvedObject"
                        | "dataSource"
                        | "requiredDuringSchedulingIgnoredDuringExecution"
                        | "nodePublishSecretRef"
                        | "imagePullSecrets"
                        | "paramKind"
                        | "matchResources"
                        | "matchConstraints"
                        | "paramRef"
                ) && !(field == "selector" && parent == "status")
                    && !matches!(field, "matchResources" | "matchConstraints" | "paramRef" | "paramKind")
            }
            Self::Meta { field } => field == "ownerReferences",
            Self::Known(structure) => structure.atomic_map,
            Self::Free => false,
        }
    }

    /// Whether a container that came into being is itself a field that somebody owns. Structs of built-in kinds are always there.
    pub(crate) fn is_counted(self) -> bool {
        match self {
            Self::Builtin { field, parent, .. } => {
                !(matches!(field, "" | "metadata" | "spec" | "status" | "template" | "jobTemplate")
                    || (matches!(field, "strategy" | "updateStrategy") && parent == "spec"))
            }
            Self::Meta { field } => field != "metadata",
            Self::Known(_) | Self::Free => true,
        }
    }

    /// How a list merges.
    pub(crate) fn list(self) -> Merge<'a> {
        match self {
            Self::Known(structure) => match &structure.list {
                ListKind::Atomic => Merge::Atomic,
                ListKind::Set => Merge::Set,
                ListKind::Keys(keys) => Merge::Keys(keys),
            },
            Self::Meta { field } => match field {
                "ownerReferences" => Merge::Names(&["uid"]),
                "finalizers" => Merge::Set,
                _ => Merge::Atomic,
            },
            Self::Builtin { kind, parent, field } => builtin(kind, parent, field),
            Self::Free => Merge::Atomic,
        }
    }
}

fn builtin(kind: &str, parent: &str, field: &str) -> Merge<'static> {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "webhooks"
        | "resourceClaims"
        | "schedulingGates"
        | "matchConditions"
        | "variables" => Merge::Names(&["name"]),
        "secrets" if kind == "ServiceAccount" => Merge::Names(&["name"]),
        "volumeMounts" => Merge::Names(&["mountPath"]),
        "volumeDevices" => Merge::Names(&["devicePath"]),
        "conditions" => Merge::Names(&["type"]),
        "addresses" if kind == "Node" => Merge::Names(&["type"]),
        "hostAliases" | "podIPs" => Merge::Names(&["ip"]),
        "topologySpreadConstraints" => Merge::Names(&["topologyKey", "whenUnsatisfiable"]),
        "ports" if matches!(parent, "containers" | "initContainers" | "ephemeralContainers") => {
            Merge::Names(&["containerPort", "protocol"])
        }
        "ports" if kind == "Service" && parent == "spec" => Merge::Names(&["port", "protocol"]),
        _ => Merge::Atomic,
    }
}

impl Merge<'_> {
    /// The path element of an item; `None` if it lacks a key.
    pub(crate) fn element(self, item: &Value) -> Option<String> {
        match self {
            Self::Atomic => None,
            Self::Set => (!item.is_object() && !item.is_array()).then(|| format!("v:{item}")),
            Self::Keys(keys) => {
                let mut element = Map::new();
                for key in keys {
                    if let Some(value) = item.get(key) {
                        element.insert(key.clone(), value.clone());
                    }
                }
                (!element.is_empty()).then(|| format!("k:{}", Value::Object(element)))
            }
            Self::Names(names) => {
                let mut element = Map::new();
                for &name in names {
                    let value = match item.get(name) {
                        Some(value) => value.clone(),
                        None if name == "protocol" => "TCP".into(),
                        None => return None,
                    };
                    element.insert(name.into(), value);
                }
                Some(format!("k:{}", Value::Object(element)))
            }
        }
    }

    /// Whether a field of an item is one of its keys.
    pub(crate) fn is_key(self, field: &str) -> bool {
        match self {
            Self::Atomic | Self::Set => false,
            Self::Keys(keys) => keys.iter().any(|k| k == field),
            Self::Names(names) => names.contains(&field),
        }
    }

    /// The elements of all items, or `None` if some item has none or two have the same: then the list is one value.
    pub(crate) fn elements(self, list: &[Value]) -> Option<Vec<String>> {
        if self == Merge::Atomic {
            return None;
        }
        let elements: Vec<String> = list.iter().map(|item| self.element(item)).collect::<Option<_>>()?;
        let mut sorted: Vec<&String> = elements.iter().collect();
        sorted.sort_unstable();
        sorted.windows(2).all(|pair| pair[0] != pair[1]).then_some(elements)
    }
}
