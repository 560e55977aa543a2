//! Who gave a value, in every answer that says it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::git::Commit;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Origin {
    /// A commit gave it last.
    Commit {
        /// The commit.
        commit: String,
        /// Its author's name.
        author: String,
        /// When it was committed (RFC 3339).
        at: String,
        /// First line of its message.
        subject: String,
    },
    /// It is written nowhere: a default.
    Default,
    /// It is in no commit yet.
    Uncommitted,
    /// It is older than the commits that were looked at.
    Older,
}

/// The name of a commit's author.
#[must_use]
pub fn author(commit: &Commit) -> String {
    commit.author.split(" <").next().unwrap_or_default().to_owned()
}

/// When a commit was made (RFC 3339).
#[must_use]
pub fn at(commit: &Commit) -> String {
    Timestamp::from_second(commit.committed).map(|at| at.to_string()).unwrap_or_default()
}

impl From<&Commit> for Origin {
    fn from(commit: &Commit) -> Self {
        Self::Commit {
            commit: commit.revision.to_string(),
            author: author(commit),
            at: at(commit),
            subject: commit.subject.clone(),
        }
    }
}

impl Origin {
    /// `4f1c2ab, alice, 2025-03-02`, or why there is no commit.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Commit { commit, author, at, .. } => {
                format!("{}, {}, {}", short(commit), author.escape_debug(), at.get(..10).unwrap_or(at))
            }
            Self::Default => "a default".to_owned(),
            Self::Uncommitted => "in no commit yet".to_owned(),
            Self::Older => "before the commits looked at".to_owned(),
        }
    }
}

/// The first seven digits of a commit's id.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Why an answer does not go back to the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bounded {
    /// How many commits of the landscape were looked at.
    pub commits: usize,
    /// Why no more were.
    pub why: Bound,
    /// The commit with which it would go on, for `--rev`; null if that is not here.
    pub next: Option<String>,
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// As many entries as were asked for.
    Limit,
    /// As many commits as are ever looked at.
    Walk,
    /// Older commits are not in this clone.
    Shallow,
}

impl Bounded {
    /// For a person, in a line; `again` is the command that would go on.
    #[must_use]
    pub fn text(&self, again: &str) -> String {
        let commits = super::table::count(self.commits, "commit");
        match (self.why, &self.next) {
            (Bound::Shallow, _) => {
                format!("Ends after {commits}, where this clone does: `git fetch --unshallow` brings the rest\n")
            }
            (_, Some(next)) => format!("Stopped after {commits}; to go on: {again} --rev {}\n", short(next)),
            (_, None) => format!("Stopped after {commits}\n"),
        }
    }
}
