//! Operations: done at most once. An id is written into the Landscape object before anything is done for it, so whoever is killed
//! in between has done nothing twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::World;
use crate::admission::{Node, selects};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{Object, Observed, garden_key};
use crate::plan::{Action, Step};

/// Where the ids of operations that were taken are remembered in the Landscape object.
const DONE: &str = "/status/operationsDone";

/// The id under which an operation is remembered.
#[must_use]
pub fn id(manifest: &Value) -> &str {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("/spec/id").or_else(|| text("/metadata/name")).unwrap_or_default()
}

/// Whether the garden remembers that an id was taken.
#[must_use]
pub fn is_taken(root: &Object, id: &str) -> bool {
    root.get(DONE).and_then(Value::as_array).is_some_and(|ids| ids.iter().any(|known| known.as_str() == Some(id)))
}

/// What came of an operation, as its object in the garden says: only of this id.
#[must_use]
pub fn result<'a>(live: &'a Object, id: &str) -> Option<&'a Value> {
    let status = live.get("/status")?;
    let ended = matches!(status.get("state").and_then(Value::as_str), Some("Succeeded" | "Failed" | "Unknown"));
    (ended && status.get("id").and_then(Value::as_str) == Some(id)).then_some(status)
}

/// Why an operation did not succeed; `None` if it did, or has not ended.
pub(super) fn failure(live: &Object, id: &str) -> Option<String> {
    let status = result(live, id)?;
    let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default();
    (text("state") != "Succeeded").then(|| text("message").to_owned())
}

impl World {
    /// Writes an operation's id down, if nobody did before.
    pub(super) fn take(&self, live: &Object, manifest: &Value, observed: &Observed) -> Vec<Step> {
        let id = id(manifest);
        let Some(root) = observed.garden(&self.root).filter(|root| root.is_tracked() && !root.deleting) else {
            return Vec::new();
        };
        if id.is_empty() || live.deleting || !observed.complete(&Target::Garden) || is_taken(root, id) {
            return Vec::new();
        }
        let mut ids = root.get(DONE).and_then(Value::as_array).cloned().unwrap_or_default();
        ids.push(id.into());
        let patch = json!({
            "metadata": { "resourceVersion": root.resource_version },
            "status": { "operationsDone": ids },
        });
        vec![Step {
            target: Target::Garden,
            key: garden_key(&self.root),
            api_version: root.api_version.clone(),
            action: Action::Status { patch: std::sync::Arc::new(patch) },
            reason: format!("operation {id} is taken before it is done"),
            changes: Vec::new(),
            digest: None,
        }]
    }

    /// The shoots that an operation is about.
    #[must_use]
    pub fn selected(&self, operation: &Value, observed: &Observed) -> BTreeSet<Owner> {
        let selector = Node::root(operation).at("spec/selector");
        let named = |key: &'static str, name: &str| {
            let list = selector.get(key).items();
            list.is_empty() || list.iter().any(|item| item.str() == name)
        };
        let seed = |owner: &Owner| {
            let placed = observed.garden(owner).and_then(|live| live.get("/spec/seedName")).and_then(Value::as_str);
            placed.unwrap_or_default().to_owned()
        };
        let shoots = self.owners().iter().filter(|owner| owner.kind == Kind::Shoot);
        shoots
            .filter(|owner| {
                let Some(manifest) = self.manifest(owner) else { return false };
                named("shoots", &owner.key())
                    && named("projects", &owner.project)
                    && named("seeds", &seed(owner))
                    && selects(&selector.get("labels"), &Node::root(manifest).at("metadata/labels")).is_ok()
            })
            .cloned()
            .collect()
    }
}
