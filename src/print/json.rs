//! Machine-readable results: one envelope for all commands, as JSON or YAML.

use serde_json::{Map, Value};

use super::Checked;
use super::validation::Validation;

pub mod published;

/// The version of every machine-readable answer; its shapes do not change within it.
pub const API_VERSION: &str = "espalier.dev/cli/v1";

/// An answer of a command: its fields below `apiVersion` and `kind`.
#[must_use]
pub fn envelope(kind: &str, fields: Value) -> Value {
    let mut out = Map::new();
    out.insert("apiVersion".into(), API_VERSION.into());
    out.insert("kind".into(), kind.into());
    if let Value::Object(fields) = fields {
        out.extend(fields);
    }
    Value::Object(out)
}

/// Indented JSON with a newline at its end.
#[must_use]
pub fn json(value: &Value) -> String {
    // A value has only string keys, so this cannot fail.
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| text + "\n")
}

/// What `validate` answers.
#[must_use]
pub fn checked(checked: &[Checked]) -> Value {
    serde_json::to_value(Validation::of(checked)).unwrap_or(Value::Null)
}
