//! What `promote -o json` and `promote --status -o json` write, with their schemas.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::json::published;
use super::preview::Plan;
use crate::landscape::Owner;
use crate::promote;
use crate::promote::gates::Gate;

/// What a promotion does, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The landscape that changes come from.
    pub from: Stage,
    /// The landscape that they go to.
    pub to: Stage,
    /// The commit that both began with; null if nobody knows.
    pub base: Option<String>,
    /// Whether something was left for a later promotion.
    pub in_part: bool,
    /// How the source stands; null if it has no status branch.
    pub health: Option<Health>,
    /// How far apart they are.
    pub summary: Apart,
    /// What becomes of each commit of the source.
    pub commits: Vec<Taken>,
    /// What is done in the target.
    pub taken: Vec<Deed>,
    /// Fields that the target changed by itself, and that stay.
    pub pinned: Vec<AtField>,
    /// Fields that wait, because a commit that is held changed them.
    pub held: Vec<AtField>,
    /// Objects that a label holds.
    pub labelled: Vec<Because>,
    /// What could not be done.
    pub troubles: Vec<Because>,
    /// What belongs to the source alone.
    pub own: Vec<Subject>,
    /// What was not asked for.
    pub left_out: Vec<Subject>,
    /// What is gone from the source without its deletion having been confirmed there; it stays.
    pub unconfirmed: Vec<Subject>,
    /// How it ended.
    #[schemars(extend("enum" = ["nothing", "dry-run", "refused", "made", "there"]))]
    pub result: String,
    /// The branch; absent if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that was made; absent if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What must hold; absent if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gates: Option<Vec<Gate>>,
    /// What would be refused in the target; absent if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Vec<String>>,
    /// What it does in the target; absent if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

/// A landscape at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The commit.
    pub commit: String,
}

/// How a landscape stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    /// Whether what is promoted was reconciled.
    pub reconciled: bool,
    /// Since when all of it is ready (RFC 3339); null if it is not.
    pub since: Option<String>,
    /// Objects that are not ready.
    pub unready: Vec<String>,
}

/// How far apart two landscapes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Apart {
    /// Commits of the source that are not, or not wholly, in the target.
    pub ahead: usize,
    /// Commits that only the target has.
    pub behind: usize,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Its id.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// Author as `Name <mail>`.
    pub author: String,
    /// When (RFC 3339).
    pub at: String,
}

/// A commit of the source and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Taken {
    /// The commit.
    #[serde(flatten)]
    pub change: Change,
    /// What becomes of it.
    #[schemars(extend("enum" = ["taken", "taken-in-part", "held", "own", "left-out", "pinned", "settled"]))]
    pub verdict: String,
    /// Why it is held, or the pattern by which it is the source's own; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An object, or a file that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Subject {
    /// The object; absent for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The file's path; absent for an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What is done to an object or a file in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deed {
    /// To what.
    #[serde(flatten)]
    pub subject: Subject,
    /// What.
    #[schemars(extend("enum" = ["create", "update", "move", "confirm-deletion", "delete"]))]
    pub action: String,
    /// The fields that it updates.
    pub fields: Vec<String>,
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AtField {
    /// Of what.
    #[serde(flatten)]
    pub subject: Subject,
    /// The field; empty for all of it.
    pub field: String,
}

/// An object or a file, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Because {
    /// Which.
    #[serde(flatten)]
    pub subject: Subject,
    /// Why.
    pub why: String,
}

/// How far apart landscapes are, by change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionStatus {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// Each landscape with each that its changes come from, along the way.
    pub pairs: Vec<Pair>,
    /// Landscapes that say that their changes come from one which is not here.
    pub unknown: Vec<Unknown>,
}

/// Two landscapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pair {
    /// The landscape that changes come from.
    pub from: Stage,
    /// The landscape that they go to.
    pub to: Stage,
    /// The commit that both began with; null if nobody knows.
    pub base: Option<String>,
    /// What the source changed since, newest first.
    pub changes: Vec<Fate>,
    /// What only the target changed, newest first.
    pub behind: Vec<Change>,
    /// How far apart they are.
    pub summary: Apart,
}

/// A commit of the source and what became of it in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fate {
    /// The commit.
    #[serde(flatten)]
    pub change: Change,
    /// What became of it; `own` if it concerns only what belongs to the source.
    #[schemars(extend("enum" = ["own", "ahead", "held", "promoted", "promoted-in-part", "picked", "taken-back", "undone"]))]
    pub state: String,
    /// Why it is held; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The commit that promoted it, picked it, or took it back; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A landscape whose changes come from one that is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unknown {
    /// The landscape.
    pub landscape: String,
    /// The one that is not here.
    pub from: String,
}

impl Promotion {
    /// The kind of the document.
    pub const KIND: &'static str = "Promotion";
}

impl PromotionStatus {
    /// The kind of the document.
    pub const KIND: &'static str = "PromotionStatus";
}

impl From<&promote::Subject> for Subject {
    fn from(subject: &promote::Subject) -> Self {
        match subject {
            promote::Subject::Object(owner) => Self { owner: Some(owner.clone()), path: None },
            promote::Subject::File(path) => Self { owner: None, path: Some(path.to_string()) },
        }
    }
}

impl From<&promote::history::Change> for Change {
    fn from(change: &promote::history::Change) -> Self {
        Self {
            commit: change.id.clone(),
            subject: change.subject.clone(),
            author: change.author.clone(),
            at: jiff::Timestamp::from_second(change.at).map(|at| at.to_string()).unwrap_or_default(),
        }
    }
}

/// The JSON Schema of a promotion.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Promotion>(Promotion::KIND)
}

/// The JSON Schema of how far apart landscapes are.
#[must_use]
pub fn status_schema() -> Value {
    published::schema::<PromotionStatus>(PromotionStatus::KIND)
}
