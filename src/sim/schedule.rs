//! A schedule of faults as a file: rules, in the order in which they are asked.
//!
//! What is printed is read back as the same schedule, and the same schedule strikes the same requests of the same sequence, so
//! whatever a schedule broke is a file that breaks it again.
//!
//! ```text
//! apiVersion: sim.espalier.dev/v1alpha1
//! kind: Faults
//! faults:
//! - fault: refuse
//!   status: 429
//!   retryAfter: 2
//!   of: {verb: apply, kind: Shoot}
//!   after: 12
//!   times: 3
//! ```

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fault::{ALWAYS, Fault, Loss, Matching, Moment, Rule};
use crate::document;

mod drawn;
mod read;

pub use read::Mistake;

/// What the file says that it is.
const HEAD: (&str, &str) = ("sim.espalier.dev/v1alpha1", "Faults");
/// The word for a rule without an end.
const WITHOUT_END: &str = "always";
/// Moments of a broken connection, by their words.
const MOMENTS: &[(&str, Moment)] = &[("before", Moment::Before), ("after", Moment::After), ("amid", Moment::Amid)];
/// Ways of losing a watch, by their words.
const LOSSES: &[(&str, Loss)] = &[("closed", Loss::Closed), ("cut", Loss::Cut), ("silent", Loss::Silent)];
/// Units of durations, largest first, with their milliseconds.
const UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Faults, and when they strike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The rules; the first of two that exclude each other wins.
    pub rules: Vec<Rule>,
}

impl Schedule {
    /// The schedule that a seed stands for: faults of every kind, few enough that who does the right thing gets through. The same
    /// seed gives the same schedule.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        drawn::schedule(seed)
    }

    /// Reads a schedule; `name` is the file's. All mistakes are found, in the order of their places.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        read::schedule(name, text)
    }

    /// The same for one user's requests and watches; simulated controllers crash as before.
    #[must_use]
    pub fn of_user(mut self, user: &str) -> Self {
        for rule in &mut self.rules {
            if !matches!(rule.fault, Fault::Crash { .. }) {
                rule.of.user = Some(user.to_owned());
            }
        }
        self
    }

    /// As YAML, which [`Schedule::parse`] reads back.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let rules: Vec<Value> = self.rules.iter().map(entry).collect();
        document::to_yaml(&json!({"apiVersion": HEAD.0, "kind": HEAD.1, "faults": rules}))
    }
}

/// A rule as an entry of the list.
fn entry(rule: &Rule) -> Value {
    let Rule { cluster, of, after, times, fault } = rule;
    let Matching { user, verb, kind, namespace } = of;
    let mut out = Map::new();
    let mut put = |field: &str, value: Value| {
        out.insert(field.to_owned(), value);
    };
    put("fault", fault.name().into());
    match fault {
        Fault::Latency { by } | Fault::Clock { by } => put("by", duration(*by).into()),
        Fault::Refuse { status, retry_after } => {
            put("status", (*status).into());
            if let Some(seconds) = retry_after {
                put("retryAfter", (*seconds).into());
            }
        }
        Fault::Cut { at } => put("at", word(MOMENTS, at).into()),
        Fault::ShortList { items, status } => {
            put("items", (*items).into());
            put("status", (*status).into());
        }
        Fault::LoseWatches { how } => put("how", word(LOSSES, how).into()),
        Fault::Crash { actor } => put("actor", actor.clone().into()),
        Fault::Duplicate | Fault::Reorder | Fault::Expire => {}
    }
    if let Some(cluster) = cluster {
        put("cluster", cluster.clone().into());
    }
    let named = [("user", user), ("verb", verb), ("kind", kind), ("namespace", namespace)];
    let of: Map<String, Value> =
        named.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value.clone()?.into()))).collect();
    if !of.is_empty() {
        put("of", Value::Object(of));
    }
    if *after > 0 {
        put("after", (*after).into());
    }
    match *times {
        1 => {}
        ALWAYS => put("times", WITHOUT_END.into()),
        times => put("times", times.into()),
    }
    Value::Object(out)
}

/// The word for a value of a closed set.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}

/// In the largest unit that leaves no rest; to the millisecond.
fn duration(by: Duration) -> String {
    let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) = UNITS.iter().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / size)
}
