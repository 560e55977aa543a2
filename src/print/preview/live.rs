//! What a plan that looked at clusters says beside what Git says: nodes as they are counted, drift, and how owners stand.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Item, Preview};
use crate::landscape::Owner;
use crate::print::drift::ObjectDrift;
use crate::print::table::count;

/// What clusters had when the plan was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// When they were looked at (RFC 3339).
    pub at: String,
    /// The commit that drift is against: the one that was reconciled last.
    pub against: String,
    /// The owners that were looked at, those that change and those that were named.
    pub owners: Vec<OwnerLive>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// How one owner was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerLive {
    /// Which.
    pub owner: Owner,
    /// Whether the garden has its object.
    pub exists: bool,
    /// What was done to it last; null if nothing was.
    pub operation: Option<LastOperation>,
    /// How many nodes each of its pools has; absent if that was not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<BTreeMap<String, i64>>,
    /// Its objects that are not as they were written.
    pub drift: Vec<ObjectDrift>,
}

/// Gardener's `status.lastOperation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastOperation {
    /// `Create`, `Reconcile`, `Delete`, `Migrate`, `Restore`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `Processing`, `Succeeded`, `Error`, `Failed`, `Pending`, `Aborted`.
    pub state: String,
    /// How far it is, in percent.
    pub progress: i64,
    /// What goes on.
    pub description: String,
    /// When it said so (RFC 3339).
    pub last_update_time: String,
}

/// An object as it was when a plan was made: the plan holds for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pinned {
    /// The cluster: `garden` or `seed-NAME`.
    pub cluster: String,
    /// The `apiVersion` to read it by.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty if it is in none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// `metadata.uid`; null if it did not exist.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`; null if it did not exist.
    pub resource_version: Option<String>,
}

impl OwnerLive {
    /// `Reconcile Succeeded`, with what else there is to say in a line.
    fn line(&self) -> String {
        if !self.exists {
            return "not in the garden".to_owned();
        }
        let mut parts = vec![match &self.operation {
            Some(last) if last.state == "Succeeded" => format!("{} {}", last.kind, last.state),
            Some(last) => format!("{} {}, {} %: {}", last.kind, last.state, last.progress, last.description.escape_debug()),
            None => "no operation yet".to_owned(),
        }];
        if let Some(nodes) = &self.nodes {
            parts.push(count(usize::try_from(nodes.values().sum::<i64>()).unwrap_or_default(), "node"));
        }
        let fields: usize = self.drift.iter().map(|object| object.fields.len().max(1)).sum();
        if fields > 0 {
            parts.push(format!("{} not as Git says", count(fields, "field")));
        }
        parts.join(" · ")
    }
}

/// A line about an item, if it was looked at.
pub(super) fn leaf(preview: &Preview, item: &Item) -> Option<String> {
    let live = preview.live.as_ref()?;
    let found = live.owners.iter().find(|found| found.owner == item.owner && found.exists)?;
    Some(format!("live: {}", found.line()))
}

/// What is said at the end: named owners that do not change, and drift.
pub(super) fn tail(out: &mut String, preview: &Preview) {
    let Some(live) = &preview.live else { return };
    let changes = |owner: &Owner| preview.items.iter().any(|item| item.owner == *owner);
    for found in live.owners.iter().filter(|found| !changes(&found.owner)) {
        out.push_str(&format!("Live: {}: {}\n", found.owner, found.line()));
    }
    let drifted: Vec<&OwnerLive> = live.owners.iter().filter(|found| !found.drift.is_empty()).collect();
    if !drifted.is_empty() {
        let fields: usize = drifted.iter().flat_map(|found| &found.drift).map(|object| object.fields.len().max(1)).sum();
        let what = [count(fields, "field"), count(drifted.len(), "object")];
        out.push_str(&format!("Not in Git but changed in clusters: {} of {} (`espalier drift` shows them)\n", what[0], what[1]));
    }
    for note in &live.notes {
        out.push_str(&format!("! {}\n", note.escape_debug()));
    }
}
