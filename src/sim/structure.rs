//! The schema of a custom kind, compiled for what the server does with it: pruning, defaulting, merging, validating.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::error::Cause;

/// How a list of a custom kind merges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ListKind {
    #[default]
    Atomic,
    Set,
    Keys(Vec<String>),
}

/// A node of a structural schema.
#[derive(Default)]
pub(crate) struct Structure {
    properties: BTreeMap<String, Structure>,
    additional: Option<Box<Structure>>,
    pub(crate) items: Option<Box<Structure>>,
    pub(crate) list: ListKind,
    pub(crate) atomic_map: bool,
    /// An object with metadata of its own.
    pub(crate) embedded: bool,
    preserve: bool,
    default: Option<Value>,
    nullable: bool,
    is_object: bool,
    /// The whole schema, at the root only.
    source: Option<Value>,
    validator: OnceLock<Option<jsonschema::Validator>>,
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
        Self {
            is_object: text("type") == "object",
            properties,
            additional,
            items: schema.get("items").map(|items| Box::new(Self::node(items))),
            list,
            atomic_map: text("x-kubernetes-map-type") == "atomic",
            embedded: flag("x-kubernetes-embedded-resource"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            default: schema.get("default").cloned(),
            nullable: flag("nullable"),
            source: None,
            validator: OnceLock::new(),
        }
    }

    /// The schema as it was written; `Null` below the root.
    pub(crate) fn source(&self) -> &Value {
        self.source.as_ref().unwrap_or(&Value::Null)
    }

    /// What is known of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Drops the fields that the schema does not know; their paths are added to `dropped`.
    pub(crate) fn prune_root(&self, object: &mut Value, dropped: &mut Vec<String>) {
        let Some(map) = object.as_object_mut() else { return };
        let names: Vec<String> = map.keys().filter(|k| !is_identity(k)).cloned().collect();
        for name in names {
            match self.field(&name) {
                Some(below) => {
                    if let Some(value) = map.get_mut(&name) {
                        below.prune(value, &name, dropped);
                    }
                }
                None if self.preserve => {}
                None => {
                    map.remove(&name);
                    dropped.push(name);
                }
            }
        }
    }

    fn prune(&self, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                let names: Vec<String> = map.keys().cloned().collect();
                for name in names {
                    if self.embedded && is_identity(&name) {
                        continue;
                    }
                    match self.field(&name) {
                        Some(below) => {
                            if let Some(value) = map.get_mut(&name) {
                                below.prune(value, &format!("{path}.{name}"), dropped);
                            }
                        }
                        None if self.preserve || (!self.is_object && self.properties.is_empty()) => {}
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
                        items.prune(item, &format!("{path}[{index}]"), dropped);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Fills in defaults.
    pub(crate) fn default_root(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        self.default_fields(map, true);
    }

    fn default_fields(&self, map: &mut Map<String, Value>, at_root: bool) {
        for (name, below) in self.properties.iter().filter(|(name, _)| !(at_root && is_identity(name))) {
            match map.get(name) {
                None => {
                    if let Some(default) = &below.default {
                        map.insert(name.clone(), default.clone());
                    }
                }
                Some(Value::Null) if !below.nullable => {
                    match &below.default {
                        Some(default) => map.insert(name.clone(), default.clone()),
                        None => map.remove(name),
                    };
                }
                Some(_) => {}
            }
            if let Some(value) = map.get_mut(name) {
                below.fill(value);
            }
        }
        if let Some(additional) = &self.additional {
            for (_, value) in map.iter_mut().filter(|(name, _)| !self.properties.contains_key(*name)) {
                additional.fill(value);
            }
        }
    }

    fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.default_fields(map, self.embedded),
            Value::Array(list) => {
                if let Some(items) = &self.items {
                    for item in list {
                        items.fill(item);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What the schema finds wrong.
    pub(crate) fn validate(&self, object: &Value) -> Vec<Cause> {
        let validator = self.validator.get_or_init(|| {
            let mut schema = plain(self.source());
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.remove("metadata");
            }
            jsonschema::options().should_validate_formats(false).build(&schema).ok()
        });
        let Some(validator) = validator else { return Vec::new() };
        if validator.is_valid(object) {
            return Vec::new();
        }
        validator
            .iter_errors(object)
            .take(10)
            .map(|error| {
                let field = error.instance_path().to_string().trim_start_matches('/').replace('/', ".");
                let field = if field.is_empty() { "<nil>".to_owned() } else { field };
                Cause { reason: "FieldValueInvalid", field, message: format!("Invalid value: {error}") }
            })
            .collect()
    }
}

fn is_identity(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

/// A structural schema as plain JSON Schema: `nullable` and int-or-string spelled out, defaults and extensions left behind.
fn plain(schema: &Value) -> Value {
    let Some(map) = schema.as_object() else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in map {
        match key.as_str() {
            "properties" | "patternProperties" => {
                let below = value.as_object().into_iter().flatten().map(|(name, below)| (name.clone(), plain(below))).collect();
                out.insert(key.clone(), Value::Object(below));
            }
            "items" | "not" | "additionalProperties" => {
                out.insert(key.clone(), plain(value));
            }
            "allOf" | "anyOf" | "oneOf" => {
                out.insert(key.clone(), value.as_array().into_iter().flatten().map(plain).collect());
            }
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {
                let bound = if key == "exclusiveMinimum" { "minimum" } else { "maximum" };
                if value == &Value::Bool(true)
                    && let Some(limit) = map.get(bound)
                {
                    out.insert(key.clone(), limit.clone());
                }
            }
            "type" | "required" | "enum" | "pattern" | "minimum" | "maximum" | "minLength" | "maxLength" | "minItems"
            | "maxItems" | "minProperties" | "maxProperties" | "multipleOf" | "uniqueItems" => {
                out.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        out.insert("type".into(), json!(["integer", "string"]));
    }
    if map.get("nullable") == Some(&Value::Bool(true)) {
        if let Some(kind) = out.get("type").cloned() {
            let mut kinds = kind.as_array().cloned().unwrap_or_else(|| vec![kind]);
            kinds.push("null".into());
            out.insert("type".into(), kinds.into());
        }
        if let Some(values) = out.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
    }
    Value::Object(out)
}
