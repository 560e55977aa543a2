//! JSON Schemas (draft 2020-12) of the landscape kinds, generated from their types: for editors, for CustomResourceDefinitions,
//! and for the reader itself.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::shape::{DURATION_PATTERN, QUANTITY_PATTERN, TIME_PATTERN};
use super::{
    CloudProfile, ControllerDeployment, ControllerRegistration, CredentialsBinding, ExposureClass, Kind, LandscapeConfig,
    ManagedSeed, NamespacedCloudProfile, Operation, Project, Quota, SecretBinding, Seed, Shoot, WorkloadIdentity,
};

/// The schema of a kind.
#[must_use]
pub fn json_schema(kind: Kind) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match kind {
        Kind::Landscape => generator.into_root_schema_for::<LandscapeConfig>(),
        Kind::CloudProfile => generator.into_root_schema_for::<CloudProfile>(),
        Kind::ExposureClass => generator.into_root_schema_for::<ExposureClass>(),
        Kind::ControllerDeployment => generator.into_root_schema_for::<ControllerDeployment>(),
        Kind::ControllerRegistration => generator.into_root_schema_for::<ControllerRegistration>(),
        Kind::Seed => generator.into_root_schema_for::<Seed>(),
        Kind::Project => generator.into_root_schema_for::<Project>(),
        Kind::NamespacedCloudProfile => generator.into_root_schema_for::<NamespacedCloudProfile>(),
        Kind::Quota => generator.into_root_schema_for::<Quota>(),
        Kind::WorkloadIdentity => generator.into_root_schema_for::<WorkloadIdentity>(),
        Kind::SecretBinding => generator.into_root_schema_for::<SecretBinding>(),
        Kind::CredentialsBinding => generator.into_root_schema_for::<CredentialsBinding>(),
        Kind::Shoot => generator.into_root_schema_for::<Shoot>(),
        Kind::ManagedSeed => generator.into_root_schema_for::<ManagedSeed>(),
        Kind::Operation => generator.into_root_schema_for::<Operation>(),
    };
    finished(schema, kind.name(), kind.api_version())
}

/// The schema of a kind as it is published.
pub(super) fn finished(schema: schemars::Schema, kind: &str, api_version: &str) -> Value {
    let mut value = Value::from(schema);
    tidy(&mut value);
    let root = value.as_object_mut().expect("the schema of a struct is an object");
    root.insert("title".into(), kind.into());
    root.insert("required".into(), json!(["apiVersion", "kind", "metadata"]));
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".into(), json!({ "type": "string", "const": api_version }));
        properties.insert("kind".into(), json!({ "type": "string", "const": kind }));
    }
    value
}

/// The file's name below `schemas/`.
#[must_use]
pub fn file_name(kind: Kind) -> String {
    format!("{}.json", kind.name().to_ascii_lowercase())
}

/// Takes out what generation leaves behind: alternatives with null (a null field is an absent one and dropped on reading),
/// defaults, and openness of structs.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("default");
            if map.get("type") == Some(&json!("object")) && map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    map.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(mut choices)) = map.remove("anyOf") {
                choices.retain(|choice| choice.get("type") != Some(&json!("null")));
                match choices.as_slice() {
                    [Value::Object(one)] => {
                        for (key, inner) in one.clone() {
                            map.entry(key).or_insert(inner);
                        }
                    }
                    _ => drop(map.insert("anyOf".into(), choices.into())),
                }
            }
            for (key, inner) in map.iter_mut() {
                match inner {
                    // Names of fields, not keywords.
                    Value::Object(named) if key == "properties" || key == "$defs" => named.values_mut().for_each(tidy),
                    inner => tidy(inner),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// What a value may be: a schema, reduced to what reading asks of it.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// A single value of this JSON type and format.
    Scalar(Scalar),
    /// A list.
    List(Box<Shape>),
    /// A map with any keys.
    Map(Box<Shape>),
    /// A map with these keys.
    Object(BTreeMap<String, Shape>),
    /// One of several.
    Choice(Vec<Shape>),
}

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// Text.
    Text,
    /// true or false.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// Any number.
    Number,
    /// A quantity: text or a number.
    Quantity,
    /// A duration as Go writes it.
    Duration,
    /// A time of RFC 3339.
    Time,
}

/// The shape of a kind.
pub(crate) fn shape(kind: Kind) -> &'static Shape {
    static SHAPES: OnceLock<BTreeMap<Kind, Shape>> = OnceLock::new();
    &SHAPES.get_or_init(|| Kind::ALL.iter().map(|kind| (*kind, reduced(&json_schema(*kind)))).collect())[&kind]
}

/// The shape that a schema means.
pub(super) fn reduced(schema: &Value) -> Shape {
    let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    reduce(schema, &definitions)
}

fn reduce(schema: &Value, definitions: &Map<String, Value>) -> Shape {
    let Some(map) = schema.as_object() else { return Shape::Any };
    if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next()) {
        return definitions.get(name).map_or(Shape::Any, |target| reduce(target, definitions));
    }
    if map.get("anyOf").and_then(|choices| choices.get(0)).is_some_and(|choice| has_pattern(choice, QUANTITY_PATTERN)) {
        return Shape::Scalar(Scalar::Quantity);
    }
    if let Some(choices) = map.get("anyOf").and_then(Value::as_array) {
        return Shape::Choice(choices.iter().map(|choice| reduce(choice, definitions)).collect());
    }
    match map.get("type").and_then(Value::as_str) {
        Some("object") => match (map.get("properties").and_then(Value::as_object), map.get("additionalProperties")) {
            (Some(properties), _) => {
                Shape::Object(properties.iter().map(|(name, inner)| (name.clone(), reduce(inner, definitions))).collect())
            }
            (None, Some(inner @ Value::Object(_))) => Shape::Map(Box::new(reduce(inner, definitions))),
            (None, _) => Shape::Object(BTreeMap::new()),
        },
        Some("array") => Shape::List(Box::new(map.get("items").map_or(Shape::Any, |items| reduce(items, definitions)))),
        Some("string") if has_pattern(schema, DURATION_PATTERN) => Shape::Scalar(Scalar::Duration),
        Some("string") if has_pattern(schema, TIME_PATTERN) => Shape::Scalar(Scalar::Time),
        Some("string") => Shape::Scalar(Scalar::Text),
        Some("boolean") => Shape::Scalar(Scalar::Bool),
        Some("integer") if map.get("format") == Some(&json!("int32")) => Shape::Scalar(Scalar::Int32),
        Some("integer") => Shape::Scalar(Scalar::Int64),
        Some("number") => Shape::Scalar(Scalar::Number),
        _ => Shape::Any,
    }
}

fn has_pattern(schema: &Value, pattern: &str) -> bool {
    schema.get("pattern").and_then(Value::as_str) == Some(pattern)
}
