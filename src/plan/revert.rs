//! What taking a change back would do, judged by planning the way back through admission: there is no second table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::impact::Mark;
use crate::finding::{Finding, Severity};
use crate::landscape::Kind;

/// What a revert would do to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Revert {
    /// It brings back what was.
    Clean,
    /// It brings back what was, and interrupts what runs once more.
    Costs {
        /// The worst that it does.
        mark: Mark,
    },
    /// The API server would refuse it.
    Refused {
        /// Why.
        why: Vec<String>,
    },
    /// It takes back a creation: what was made is destroyed.
    Deletes,
    /// It takes back a deletion: what comes is new and empty.
    NotARestore,
}

/// What became of an object, as far as a revert is concerned.
pub enum Done<'a> {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// It was changed. On the way back, these findings are about it, and this is the worst that it costs.
    Changed(&'a [Finding], Mark),
}

impl Revert {
    /// The verdict on one object.
    #[must_use]
    pub fn of(kind: Kind, done: &Done<'_>) -> Self {
        let holds_something = matches!(kind, Kind::Shoot | Kind::Seed | Kind::Project);
        match done {
            Done::Created if holds_something => Self::Deletes,
            Done::Deleted if holds_something => Self::NotARestore,
            Done::Created | Done::Deleted => Self::Clean,
            Done::Changed(findings, worst) => {
                let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
                let why: Vec<String> = errors.map(|finding| finding.message.clone()).collect();
                if !why.is_empty() {
                    Self::Refused { why }
                } else if *worst >= Mark::RestartsControlPlane {
                    Self::Costs { mark: *worst }
                } else {
                    Self::Clean
                }
            }
        }
    }

    /// The word in every output.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Costs { .. } => "costs",
            Self::Refused { .. } => "refused",
            Self::Deletes => "deletes",
            Self::NotARestore => "not-a-restore",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;

    #[test]
    fn a_revert_is_as_good_as_the_way_back() {
        let refused = [Finding::error(Code::new("SHOOT-VERSION-DOWN"), "a version does not go back")];
        let cases = [
            (Kind::Shoot, Done::Created, "deletes"),
            (Kind::Quota, Done::Created, "clean"),
            (Kind::Shoot, Done::Deleted, "not-a-restore"),
            (Kind::Shoot, Done::Changed(&[], Mark::Scales), "clean"),
            (Kind::Shoot, Done::Changed(&[], Mark::RollsNodes), "costs"),
            (Kind::Shoot, Done::Changed(&refused, Mark::RollsNodes), "refused"),
        ];
        for (kind, done, word) in cases {
            assert_eq!(Revert::of(kind, &done).word(), word);
        }
    }
}
