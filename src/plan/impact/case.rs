//! What a row's condition may look at: the shoot before and after, and the value that changed; with the questions that several ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Pools;
use crate::value::Version;

/// A changed value, with the shoot around it.
pub struct Case<'a> {
    /// The whole manifest before.
    pub before: &'a Value,
    /// The whole manifest after.
    pub after: &'a Value,
    /// The value before; `None` if it was absent.
    pub was: Option<&'a Value>,
    /// The value after; `None` if it goes.
    pub is: Option<&'a Value>,
    /// The pool that the field is in.
    pub pool: Option<&'a str>,
}

/// A node pool, as far as a plan without a cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Nodes that it has at least; by then, and not now.
    pub minimum: i64,
    /// Nodes that it has at most.
    pub maximum: i64,
    /// How many nodes more than wanted may be there while nodes are replaced: a number or a percentage.
    pub max_surge: String,
    /// How many nodes fewer than wanted may be there meanwhile: a number or a percentage.
    pub max_unavailable: String,
    /// Whether its nodes are updated and kept.
    pub in_place: bool,
    /// How many nodes it has right now; absent where no cluster was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<i64>,
}

impl Pool {
    fn of(worker: &Value) -> Self {
        let text = |key: &str| match worker.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "0".to_owned(),
        };
        let number = |key: &str| worker.get(key).and_then(Value::as_i64).unwrap_or_default();
        Self {
            name: worker.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            minimum: number("minimum"),
            maximum: number("maximum"),
            max_surge: text("maxSurge"),
            max_unavailable: text("maxUnavailable"),
            in_place: worker.get("updateStrategy").and_then(Value::as_str).is_some_and(|s| s.ends_with("InPlaceUpdate")),
            nodes: None,
        }
    }
}

fn workers(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest.pointer("/spec/provider/workers").and_then(Value::as_array).into_iter().flatten()
}

fn named<'v>(manifest: &'v Value, name: &str) -> Option<&'v Value> {
    workers(manifest).find(|worker| worker.get("name").and_then(Value::as_str) == Some(name))
}

impl Case<'_> {
    /// The pools of a row. Only pools that are there before and after have nodes that a change can touch; one that goes is told as
    /// it was.
    pub(super) fn pools(&self, which: Pools) -> Vec<Pool> {
        let stays =
            |worker: &&Value| worker.get("name").and_then(Value::as_str).is_some_and(|name| named(self.before, name).is_some());
        let without = |worker: &Value, pointer: &str| worker.pointer(pointer).is_none();
        let of = |so: &dyn Fn(&Value) -> bool| workers(self.after).filter(stays).filter(|w| so(w)).map(Pool::of).collect();
        match which {
            Pools::No => Vec::new(),
            Pools::All => of(&|_| true),
            Pools::OfVersion => of(&|worker| without(worker, "/kubernetes/version")),
            Pools::OfKubelet => of(&|worker| without(worker, "/kubernetes/kubelet")),
            Pools::Own => {
                let own = self.pool.and_then(|name| named(self.after, name).or_else(|| named(self.before, name)));
                own.map(Pool::of).into_iter().collect()
            }
        }
    }

    fn text(value: Option<&Value>) -> &str {
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// A text of the shoot after the change; empty if it is not there.
    pub(super) fn says(&self, pointer: &str) -> &str {
        Self::text(self.after.pointer(pointer))
    }

    /// Whether there was a value, or an empty one.
    pub(super) fn was_set(&self) -> bool {
        self.was.is_some_and(|value| value.as_str() != Some(""))
    }

    /// Whether there was no value, or an empty one.
    pub(super) fn is_first(&self) -> bool {
        !self.was_set()
    }

    /// Whether there was a value, and is another one.
    pub(super) fn is_exchanged(&self) -> bool {
        self.was_set() && self.is.is_some()
    }

    /// Whether it was not there.
    pub(super) fn comes(&self) -> bool {
        self.was.is_none()
    }

    /// Whether it is there no more.
    pub(super) fn goes(&self) -> bool {
        self.is.is_none()
    }

    /// Whether it is switched on by this change.
    pub(super) fn goes_on(&self) -> bool {
        self.is.and_then(Value::as_bool).unwrap_or_default() && !self.was.and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether it is switched off by this change.
    pub(super) fn goes_off(&self) -> bool {
        self.was.and_then(Value::as_bool).unwrap_or_default() && !self.is.and_then(Value::as_bool).unwrap_or_default()
    }

    /// The versions before and after; a pool without one has the shoot's.
    fn versions(&self) -> Option<(Version, Version)> {
        let read = |own: Option<&Value>, whole: &Value| {
            let own = own.and_then(Value::as_str);
            own.or_else(|| whole.pointer("/spec/kubernetes/version")?.as_str())?.parse().ok()
        };
        Some((read(self.was, self.before)?, read(self.is, self.after)?))
    }

    /// Whether a version goes up.
    pub(super) fn goes_up(&self) -> bool {
        self.versions().is_some_and(|(was, is)| is > was)
    }

    /// Whether a version becomes one of another minor.
    pub(super) fn minor_changes(&self) -> bool {
        self.versions().is_some_and(|(was, is)| !is.same_minor(&was))
    }

    /// Whether a version becomes another one of the same minor.
    pub(super) fn patch_changes(&self) -> bool {
        self.versions().is_some_and(|(was, is)| is.same_minor(&was) && is != was)
    }

    /// Whether the control plane survives the failure of a node or a zone, before and after.
    pub(super) fn is_available(&self) -> bool {
        let kind = |manifest: &Value| manifest.pointer("/spec/controlPlane/highAvailability/failureTolerance/type").is_some();
        kind(self.before) && kind(self.after)
    }

    /// Whether one failure may interrupt the control plane, before or after.
    pub(super) fn is_alone(&self) -> bool {
        !self.is_available()
    }

    /// Whether items come to a list of texts that has some already.
    pub(super) fn gains(&self) -> bool {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let before = list(self.was);
        !before.is_empty() && list(self.is).iter().any(|item| !before.contains(item))
    }

    /// Whether items go from a list of texts.
    pub(super) fn loses(&self) -> bool {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let after = list(self.is);
        list(self.was).iter().any(|item| !after.contains(item))
    }

    /// Whether a list begins as it did, however it goes on.
    pub(super) fn first_stays(&self) -> bool {
        let first = |value: Option<&Value>| value.and_then(|value| value.get(0)).cloned();
        first(self.was) == first(self.is)
    }

    /// Whether a list begins with something else, or is new, or goes.
    pub(super) fn first_changes(&self) -> bool {
        !self.first_stays()
    }
}
