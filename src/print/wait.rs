//! What `wait -o json` writes, with its schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::published;
use crate::landscape::Owner;

/// How far a commit is when the waiting ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The commit.
    pub commit: String,
    /// Whether it, or one after it, was taken up.
    pub reconciled: bool,
    /// How many objects are as they should be.
    pub ready: usize,
    /// Objects that are held, which only another commit mends.
    pub held: Vec<Owner>,
    /// Objects that are on their way, or of which nothing is known.
    pub waiting: Vec<Owner>,
    /// Whether it ended because the time was over.
    pub timed_out: bool,
}

impl Wait {
    /// The kind of the document.
    pub const KIND: &'static str = "Wait";
}

/// The JSON Schema of it.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Wait>(Wait::KIND)
}
