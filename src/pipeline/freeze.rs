//! Freezes: times in which the intent of some projects, or of all, is not acted upon. What was accepted before goes on being
//! repaired. The Landscape itself is never frozen, or no freeze could be ended; nor are Operations, which change nobody's intent.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::admission::Node;
use crate::finding::Code;
use crate::landscape::{Kind, Owner};

/// Code of the finding for intent that is kept back.
pub const FREEZE: Code = Code::new("FREEZE");

/// A freeze that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Why.
    pub reason: String,
    /// When it ends; until it is removed, if `None`.
    pub until: Option<Timestamp>,
    /// The projects; all, if there is none.
    pub projects: BTreeSet<String>,
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "frozen until {until}")?,
            None => f.write_str("frozen")?,
        }
        if !self.projects.is_empty() {
            let names: Vec<&str> = self.projects.iter().map(String::as_str).collect();
            write!(f, " ({})", names.join(", "))?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

impl Freeze {
    /// Whether an owner's intent is kept back.
    #[must_use]
    pub fn covers(&self, owner: &Owner) -> bool {
        match owner.kind {
            Kind::Landscape | Kind::Operation => false,
            Kind::Project => self.projects.is_empty() || self.projects.contains(&owner.name),
            _ => self.projects.is_empty() || self.projects.contains(&owner.project),
        }
    }
}

/// The freezes that a `landscape.yaml` has in force at a time, and when the next begins or ends, in seconds. A time that cannot be
/// read is one that has not come: it begins nothing, and ends nothing.
#[must_use]
pub fn in_force(settings: Option<&Value>, now: Timestamp) -> (Vec<Freeze>, Option<i64>) {
    let mut next: Option<i64> = None;
    let mut found = Vec::new();
    let root = settings.map_or_else(Node::absent, Node::root);
    for freeze in root.at("spec/guards/freeze").items() {
        let mut moment = |key: &'static str| {
            let text = freeze.get(key).text()?;
            let at = text.parse::<Timestamp>().unwrap_or(Timestamp::MAX);
            if at > now {
                next = Some(next.map_or(at.as_second(), |next| next.min(at.as_second())));
            }
            Some(at)
        };
        let (from, until) = (moment("from"), moment("until"));
        if from.is_none_or(|from| from <= now) && until.is_none_or(|until| until > now) {
            let projects = freeze.get("projects").items().iter().map(|project| project.str().to_owned()).collect();
            found.push(Freeze { reason: freeze.get("reason").str().to_owned(), until, projects });
        }
    }
    (found, next)
}
