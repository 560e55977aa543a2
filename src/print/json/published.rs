//! Documents whose schema is published: their schema, and how they are read when somebody else wrote them.

use jsonschema::error::ValidationErrorKind;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::API_VERSION;
use crate::print::{blame, drift, history, preview, promotion, rollback, validation, wait};

/// What gives a schema.
pub type Schema = fn() -> Value;

/// The answers of commands whose shape is published, by the name of their file below `schemas/cli/`.
pub const ANSWERS: &[(&str, Schema)] = &[
    ("blame", blame::schema),
    ("drift", drift::schema),
    ("history", history::schema),
    ("plan", preview::schema),
    ("promotion", promotion::schema),
    ("promotion-status", promotion::status_schema),
    ("rollback", rollback::schema),
    ("validation", validation::schema),
    ("wait", wait::schema),
];

/// The schema (draft 2020-12) of a document of this kind; fields that it does not have are refused.
#[must_use]
pub fn schema<T: JsonSchema>(kind: &str) -> Value {
    let mut schema = Value::from(SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>());
    close(&mut schema);
    for (field, word) in [("apiVersion", API_VERSION), ("kind", kind)] {
        if let Some(field) = schema.pointer_mut(&format!("/properties/{field}")) {
            field["const"] = word.into();
        }
    }
    schema["title"] = kind.into();
    schema
}

/// Structs have the fields that they have, and no other.
fn close(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("type") == Some(&json!("object")) && map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// Reads a document of a schema. The error says where it is none and in what, in one line and without quoting it: it may hold
/// anything.
pub fn read<T: DeserializeOwned>(value: Value, schema: &Value) -> Result<T, String> {
    const LONGEST: usize = 120;
    let short = |text: &str| text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).take(LONGEST).collect::<String>();
    let kind = schema["title"].as_str().unwrap_or_default();
    let validator = jsonschema::draft202012::new(schema).map_err(|error| format!("the schema of {kind} is none: {error}"))?;
    if let Some(error) = validator.iter_errors(&value).next() {
        let at: String = short(&error.instance_path().to_string());
        let at = at.replace(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '/' | '-' | '_' | '.'), "?");
        let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
        let what = match error.kind() {
            ValidationErrorKind::AdditionalProperties { .. } => "it has a field there that is not known".to_owned(),
            _ => short(&error.masked().to_string()),
        };
        return Err(format!("it is no {kind} of {API_VERSION}{at}: {what}"));
    }
    serde_json::from_value(value).map_err(|_| format!("it is no {kind} of {API_VERSION}: a number in it is out of range"))
}
