//! A rollback as it is published: what `rollback -o json` writes, with its schema.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Rollback, Undone};
use crate::finding::Finding;
use crate::landscape::Owner;
use crate::plan::revert::Revert;
use crate::print::json::{API_VERSION, published};

const KIND: &str = "Rollback";

/// A rollback that was made, or could not be.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// The version of this shape.
    api_version: String,
    /// What this is.
    kind: String,
    /// The landscape.
    landscape: String,
    /// What it is rolled back on.
    onto: Onto,
    /// What is taken back.
    undone: What,
    /// Only these objects; empty for all.
    only: Vec<Owner>,
    /// Everything that was looked at, taken back or not.
    reversals: Vec<Reversal>,
    /// Files that change and are no part of the landscape.
    outside: Vec<String>,
    /// Errors that belong to no object and stand in the way.
    findings: Vec<Finding>,
    /// The commits that were made, oldest first.
    commits: Vec<Made>,
    /// The branch that has them; null if none was moved.
    branch: Option<String>,
    /// Whether nothing was to be done.
    dry_run: bool,
    /// How many of what.
    summary: Summary,
    /// What to do next.
    next: Vec<String>,
}

/// A branch at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Onto {
    /// The branch.
    branch: String,
    /// Its tip.
    commit: String,
}

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
enum What {
    /// A commit.
    Commit {
        /// The commit.
        commit: String,
        /// First line of its message.
        subject: String,
        /// Whether it is a merge, taken back against its first parent.
        merge: bool,
    },
    /// All that came after a commit.
    Since {
        /// That commit.
        since: String,
    },
}

/// A field that was changed, or an object that came or went.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct Reversal {
    /// The object.
    owner: Owner,
    /// The field; null for the object as a whole.
    field: Option<String>,
    /// What is there now; null if nothing is.
    before: Option<Value>,
    /// What would be there after it; null if nothing would.
    after: Option<Value>,
    /// What taking it back does.
    revert: Revert,
    /// Whether it is taken back.
    taken: bool,
    /// What becomes of it, or why it is left.
    note: String,
}

/// A commit that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Made {
    /// The commit.
    commit: String,
    /// First line of its message.
    subject: String,
}

/// How many reversals are of which verdict, and how many are taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// They bring back what was.
    clean: usize,
    /// They interrupt what runs once more.
    costs: usize,
    /// The API server would refuse them.
    refused: usize,
    /// They destroy what was made.
    deletes: usize,
    /// What they bring back is new and empty.
    not_a_restore: usize,
    /// They are done.
    taken: usize,
}

/// The JSON Schema of a rollback.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Document>(KIND)
}

/// As JSON.
#[must_use]
pub fn json(rollback: &Rollback) -> Value {
    let reversal = |r: &super::Reversal| Reversal {
        owner: r.owner.clone(),
        field: r.field.clone(),
        before: r.before.clone(),
        after: r.after.clone(),
        revert: r.revert.clone(),
        taken: r.taken,
        note: r.note.replace('\u{a0}', " "),
    };
    let undone = match &rollback.undone {
        Undone::Commit(revision, subject, merge) => {
            What::Commit { commit: revision.to_string(), subject: subject.clone(), merge: *merge }
        }
        Undone::Since(revision) => What::Since { since: revision.to_string() },
    };
    let counts = rollback.counts();
    let n = |word: &str| counts.get(word).copied().unwrap_or(0);
    let document = Document {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        landscape: rollback.landscape.clone(),
        onto: Onto { branch: rollback.onto.0.clone(), commit: rollback.onto.1.to_string() },
        undone,
        only: rollback.only.clone(),
        reversals: rollback.reversals.iter().map(reversal).collect(),
        outside: rollback.outside.iter().map(ToString::to_string).collect(),
        findings: rollback.troubles.clone(),
        commits: rollback
            .commits
            .iter()
            .map(|(revision, subject)| Made { commit: revision.to_string(), subject: subject.clone() })
            .collect(),
        branch: rollback.branch.clone(),
        dry_run: rollback.dry_run,
        summary: Summary {
            clean: n("clean"),
            costs: n("costs"),
            refused: n("refused"),
            deletes: n("deletes"),
            not_a_restore: n("not-a-restore"),
            taken: rollback.reversals.iter().filter(|r| r.taken).count(),
        },
        next: rollback.next.clone(),
    };
    serde_json::to_value(document).unwrap_or(Value::Null)
}
