//! The schema of a kind, compiled for what the server does with it: pruning, defaulting, merging. Custom kinds bring theirs in
//! their definition; those of built-in kinds are in [`super::typed`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use kube_cel::CompiledSchema;
use serde_json::{Map, Value};

/// How a list merges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ListKind {
    #[default]
    Atomic,
    Set,
    Keys(Vec<String>),
}

/// What a value may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Type {
    /// Anything.
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// A whole number or a string.
    IntOrString,
    /// A quantity such as `100m`.
    Quantity,
}

/// A node of a structural schema.
#[derive(Default)]
pub(crate) struct Structure {
    pub(crate) of: Type,
    /// `int32`, `byte`, `date-time` and the like.
    pub(crate) format: Box<str>,
    /// What the type is called, of built-in kinds.
    pub(crate) name: Box<str>,
    pub(crate) properties: BTreeMap<String, Structure>,
    pub(crate) additional: Option<Box<Structure>>,
    pub(crate) items: Option<Box<Structure>>,
    pub(crate) list: ListKind,
    pub(crate) atomic_map: bool,
    /// An object with metadata of its own.
    pub(crate) embedded: bool,
    /// Fields that are not named are kept.
    pub(crate) preserve: bool,
    pub(crate) default: Option<Value>,
    pub(crate) nullable: bool,
    /// An object that is there even if nobody writes it, of built-in kinds.
    pub(crate) always: bool,
    /// A number or a truth value that is written even if nobody gave it, of built-in kinds.
    pub(crate) zero: bool,
    /// A number, truth value or text that is not written if it is zero, of built-in kinds.
    pub(crate) omitted: bool,
    /// A field that is written even if it is empty, of built-in kinds.
    pub(crate) required: bool,
    /// The field by which strategic merge patches tell items apart; empty: by the items themselves; `None`: they do not merge.
    pub(crate) merge_key: Option<Box<str>>,
    /// The whole schema, at the root only.
    pub(crate) source: Option<Value>,
    /// Its rules, compiled when they are first asked for.
    pub(crate) rules: OnceLock<Option<Box<CompiledSchema>>>,
}

impl fmt::Debug for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Structure({} properties)", self.properties.len())
    }
}

impl Structure {
    /// Compiles an `openAPIV3Schema`.
    pub(crate) fn compile(schema: &Value, preserve: bool) -> Self {
        let mut root = Self::node(schema);
        root.preserve |= preserve;
        root.source = Some(schema.clone());
        root
    }

    fn node(schema: &Value) -> Self {
        let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        let properties: BTreeMap<String, Self> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, below)| (name.clone(), Self::node(below)))
            .collect();
        let additional = match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(Box::new(Self { preserve: true, ..Self::default() })),
            Some(below @ Value::Object(_)) => Some(Box::new(Self::node(below))),
            _ => None,
        };
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
        let list = match text("x-kubernetes-list-type") {
            "map" => ListKind::Keys(keys.filter_map(|k| k.as_str().map(str::to_owned)).collect()),
            "set" => ListKind::Set,
            _ => ListKind::Atomic,
        };
        let of = match text("type") {
            _ if flag("x-kubernetes-int-or-string") => Type::IntOrString,
            "object" => Type::Object,
            "array" => Type::Array,
            "string" => Type::String,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            _ => Type::Any,
        };
        Self {
            of,
            format: text("format").into(),
            properties,
            additional,
            items: schema.get("items").map(|items| Box::new(Self::node(items))),
            list,
            atomic_map: text("x-kubernetes-map-type") == "atomic",
            embedded: flag("x-kubernetes-embedded-resource"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            default: schema.get("default").cloned(),
            nullable: flag("nullable"),
            ..Self::default()
        }
    }

    /// The schema as it was written; `Null` below the root.
    pub(crate) fn source(&self) -> &Value {
        self.source.as_ref().unwrap_or(&Value::Null)
    }

    /// The rules of the schema; `None` if it has none.
    pub(crate) fn rules(&self) -> Option<&CompiledSchema> {
        self.rules.get_or_init(|| super::validate::compile(self.source())).as_deref()
    }

    /// What is known of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Whether fields that are not named may be there.
    pub(crate) fn is_open(&self) -> bool {
        self.preserve || (self.of == Type::Any && self.properties.is_empty())
    }

    /// Drops the fields that the schema does not know; their paths are added to `dropped`.
    pub(crate) fn prune_root(&self, object: &mut Value, dropped: &mut Vec<String>) -> Result<(), String> {
        let Some(map) = object.as_object_mut() else { return Ok(()) };
        let names: Vec<String> = map.keys().filter(|k| !is_identity(k)).cloned().collect();
        for name in names {
            match self.field(&name) {
                Some(below) => {
                    if let Some(value) = map.get_mut(&name) {
                        below.prune(value, &name, dropped)?;
                    }
                }
                None if self.preserve => {}
                None => {
                    map.remove(&name);
                    dropped.push(name);
                }
            }
        }
        Ok(())
    }

    fn prune(&self, value: &mut Value, path: &str, dropped: &mut Vec<String>) -> Result<(), String> {
        match value {
            Value::Object(map) => {
                let names: Vec<String> = map.keys().cloned().collect();
                for name in names {
                    if self.embedded && is_identity(&name) {
                        if let Some(metadata) = map.get_mut("metadata").filter(|_| name == "metadata") {
                            let (place, mut unknown) = (format!("{path}.metadata"), Vec::new());
                            let given = metadata.to_string();
                            super::decode::typed(super::typed::metadata(), metadata, &mut unknown)
                                .map_err(|why| format!("{place}: Invalid value: {given}: {why}"))?;
                            dropped.extend(unknown.into_iter().map(|field| format!("{place}.{field}")));
                        }
                        continue;
                    }
                    match self.field(&name) {
                        Some(below) => {
                            if let Some(value) = map.get_mut(&name) {
                                below.prune(value, &format!("{path}.{name}"), dropped)?;
                            }
                        }
                        None if self.preserve => {}
                        None => {
                            map.remove(&name);
                            dropped.push(format!("{path}.{name}"));
                        }
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = &self.items {
                    for (index, item) in list.iter_mut().enumerate() {
                        items.prune(item, &format!("{path}[{index}]"), dropped)?;
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    /// Fills in defaults. A null that may not be is dropped, unless an apply asked for it.
    pub(crate) fn default_root(&self, object: &mut Value, applied: bool) {
        let Some(map) = object.as_object_mut() else { return };
        self.default_fields(map, true, applied);
    }

    fn default_fields(&self, map: &mut Map<String, Value>, at_root: bool, applied: bool) {
        for (name, below) in self.properties.iter().filter(|(name, _)| !(at_root && is_identity(name))) {
            match map.get(name) {
                None => {
                    if let Some(default) = &below.default {
                        map.insert(name.clone(), default.clone());
                    }
                }
                Some(Value::Null) if !below.nullable => match &below.default {
                    Some(default) => {
                        map.insert(name.clone(), default.clone());
                    }
                    None if applied => {}
                    None => {
                        map.remove(name);
                    }
                },
                Some(_) => {}
            }
            if let Some(value) = map.get_mut(name) {
                below.fill(value, applied);
            }
        }
        if let Some(additional) = &self.additional {
            if !applied && !additional.nullable {
                map.retain(|name, value| self.properties.contains_key(name) || !value.is_null());
            }
            for (_, value) in map.iter_mut().filter(|(name, _)| !self.properties.contains_key(*name)) {
                additional.fill(value, applied);
            }
        }
    }

    fn fill(&self, value: &mut Value, applied: bool) {
        match value {
            Value::Object(map) => self.default_fields(map, self.embedded, applied),
            Value::Array(list) => {
                if let Some(items) = &self.items {
                    for item in list {
                        items.fill(item, applied);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The fields that every object has, whatever its schema says.
pub(crate) fn is_identity(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}
