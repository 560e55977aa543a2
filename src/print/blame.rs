//! Who gave the fields of an object their values: for people as a table, and as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::published;
use super::origin::{Bounded, Origin, short};
use super::preview::shown;
use super::table::{line, table};
use crate::finding::Pointer;
use crate::landscape::Owner;

/// Who gave the fields of an object the values that they have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blame {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The landscape's name.
    pub landscape: String,
    /// The commit, or WORKTREE.
    pub revision: String,
    /// The object.
    pub owner: Owner,
    /// The file that it is written in.
    pub path: String,
    /// Only this field and what is below it; null for all.
    pub field: Option<String>,
    /// The fields that hold a value, first the written ones in the order of the file.
    pub fields: Vec<Blamed>,
    /// Why older commits were not looked at although they matter; null if that was not needed.
    pub bounded: Option<Bounded>,
}

/// A field and who gave it its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Blamed {
    /// Its name as people say it, list items by name: `provider.workers[cpu].maximum`.
    pub field: String,
    /// Where it stands in the manifest.
    pub pointer: Pointer,
    /// Its value.
    pub value: Value,
    /// The place that it is written at, as `file:line:column`; null if it is written nowhere.
    pub at: Option<String>,
    /// Who gave it this value last.
    pub set: Origin,
}

impl Blame {
    /// The kind of the document.
    pub const KIND: &'static str = "Blame";
}

/// The JSON Schema of it.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Blame>(Blame::KIND)
}

/// As JSON.
#[must_use]
pub fn json(blame: &Blame) -> Value {
    serde_json::to_value(blame).unwrap_or(Value::Null)
}

/// For people.
#[must_use]
pub fn text(blame: &Blame, again: &str) -> String {
    let revision = if blame.revision.len() == 40 { short(&blame.revision) } else { &blame.revision };
    let mut out = format!("{}  {} at {revision}\n\n", blame.owner, blame.path);
    // The field comes last: what is long may stand over.
    let row = |one: &Blamed| {
        let place = one.at.as_deref().and_then(|at| at.strip_prefix(blame.path.as_str())).unwrap_or_default();
        let (commit, author, day) = match &one.set {
            Origin::Commit { commit, author, at, .. } => (short(commit), line(author, 20), at.get(..10).unwrap_or(at)),
            Origin::Default => ("default", String::new(), ""),
            Origin::Uncommitted => ("not committed", String::new(), ""),
            Origin::Older => ("older", String::new(), ""),
        };
        let field = format!("{}: {}", line(&one.field, 120), shown(Some(&one.value)));
        vec![commit.to_owned(), author, day.to_owned(), place.trim_start_matches(':').to_owned(), field]
    };
    let rows: Vec<Vec<String>> = blame.fields.iter().map(row).collect();
    out.push_str(&table(&["SET BY", "AUTHOR", "DATE", "LINE", "FIELD"], &rows, true));
    if let Some(bounded) = &blame.bounded {
        out.push_str(&format!("\n{}", bounded.text(again)));
    }
    out
}
