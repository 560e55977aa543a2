//! How objects of the landscape are written down: the macro that gives every struct Gardener's JSON conventions, and the scalar
//! types that keep what was written (`"1Gi"`, `2`, `25%`) so that a value survives the way through its type unchanged.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Whether a field need not be written: it equals the empty value of its type, which Gardener does not tell from absence.
pub(crate) fn absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Structs in camelCase JSON whose fields may all be absent and are then not written either.
///
/// Whether a field is *required* is a question of meaning and asked by admission, so that one missing field never hides other
/// findings.
macro_rules! shapes {
    ($($(#[$meta:meta])* struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {$(
            $(#[$field_meta])*
            #[serde(skip_serializing_if = "crate::landscape::shape::absent")]
            pub $field: $type,
        )*}
    )*};
}
pub(crate) use shapes;

/// What a quantity looks like.
const PATTERN: &str = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// A quantity as it was written: a string such as `"500Mi"`, or a bare number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// A bare number.
    Number(Number),
    /// A string with a suffix.
    Text(String),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Amount {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number with an optional suffix: 500m, 2, 100Mi, 1Gi.",
            "anyOf": [{ "type": "string", "pattern": PATTERN }, { "type": "number" }],
        })
    }
}

/// An integer, or a string such as `25%`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// An absolute number.
    Int(i32),
    /// A percentage.
    Text(String),
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl JsonSchema for IntOrString {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IntOrString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An absolute number, or a percentage such as 25%.",
            "anyOf": [{ "type": "integer", "format": "int32" }, { "type": "string" }],
        })
    }
}
