//! What an API server would call an error: its type, and the field as Gardener spells it.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// The type of an error: the API server's own for validation, and ours for what happens before and after it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorType { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl ErrorType {
            /// All types.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name that API servers give it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

types! {
    /// A value must be there and is not.
    Required "FieldValueRequired";
    /// A value is malformed, out of range, or has changed and may not.
    Invalid "FieldValueInvalid";
    /// A value is none of those that are known.
    NotSupported "FieldValueNotSupported";
    /// A value may not be there in this combination.
    Forbidden "FieldValueForbidden";
    /// A value that must be unique is there twice.
    Duplicate "FieldValueDuplicate";
    /// A text is too long.
    TooLong "FieldValueTooLong";
    /// What a value names does not exist.
    NotFound "FieldValueNotFound";
    /// Judging failed.
    InternalError "InternalError";
    /// The text is no object of the kind.
    DecodeError "DecodeError";
    /// A field that the kind does not have.
    UnknownField "UnknownField";
    /// A key is given twice.
    DuplicateField "DuplicateField";
    /// The object cannot be converted to another version of its kind.
    ConversionError "ConversionError";
    /// The request contradicts its object.
    BadRequest "BadRequest";
    /// An admission plugin refuses without blaming a field.
    AdmissionError "AdmissionError";
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a Gardener API server would refuse an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The type of the error.
    #[serde(rename = "type")]
    pub error: ErrorType,
    /// The field as Gardener spells it, which is mostly but not always the way to the place; empty if no field is blamed.
    pub field: String,
    /// The admission plugin that refuses; none for decoding and validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Cow<'static, str>>,
}

impl Cause {
    /// An error of decoding or validation.
    #[must_use]
    pub fn new(error: ErrorType, field: impl Into<String>) -> Self {
        Self { error, field: field.into(), plugin: None }
    }
}
