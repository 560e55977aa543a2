//! Operations: once an id was written into the garden by us, what it asks for is done, and what came of it is remembered until it
//! was reported. An id that the garden remembers and of which nobody knows what came was taken by somebody who was stopped.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::queue::Millis;
use super::State;
use crate::landscape::operation::is_supported;
use crate::landscape::{Kind, Owner};
use crate::observed::Object;
use crate::pipeline::operations;
use crate::plan::StepResult;
use crate::status::Standing;

/// An operation that was taken in this life.
#[derive(Debug)]
pub(super) struct Taken {
    id: String,
    request: String,
    at: Timestamp,
    /// What it is about.
    owners: BTreeSet<Owner>,
    /// Those of them that were not looked at since.
    left: BTreeSet<Owner>,
    /// How those that were looked at stood then.
    stood: BTreeMap<Standing, usize>,
}

impl State {
    /// Carries out an operation whose id was just written down.
    pub(super) fn operate(&mut self, operation: &Owner, results: &[StepResult], now: Timestamp, at: Millis) {
        let Some(world) = self.world.as_ref().filter(|_| operation.kind == Kind::Operation) else { return };
        let ours = |r: &StepResult| r.key.kind == world.root.kind.name() && matches!(r.result, Ok(true));
        let Some(manifest) = world.manifest(operation).filter(|_| results.iter().any(ours)) else { return };
        let request = manifest.pointer("/spec/request").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut owners = if is_supported(&request) { world.selected(manifest, &self.view.observed) } else { BTreeSet::new() };
        if request == "retry" {
            let standings = self.standings();
            // What failed a moment ago may be on its next try: whoever is not ready is looked at.
            owners.retain(|owner| standings.get(owner) != Some(&Standing::Ready));
        }
        let id = operations::id(manifest).to_owned();
        tracing::info!(%operation, id, request, owners = owners.len(), "operation");
        let taken =
            Taken { id, request: request.clone(), at: now, left: owners.clone(), owners: owners.clone(), stood: BTreeMap::new() };
        self.operations.insert(operation.clone(), taken);
        for owner in &owners {
            self.memory.settle(owner);
            self.queue.at_once(owner, at);
        }
        self.report.touch(operation, at);
        let waits = |owner: &Owner| self.plans.get(owner).is_some_and(|plan| plan.waits.is_some());
        owners.retain(|owner| request == "reconcile" && waits(owner));
        if !owners.is_empty() {
            // Whoever is asked to be reconciled waits for no maintenance window.
            self.released.extend(owners);
            self.readmit(now, at);
        }
    }

    /// An owner was looked at.
    pub(super) fn operated(&mut self, owner: &Owner, at: Millis) {
        if self.operations.is_empty() || owner.kind == Kind::Operation {
            return;
        }
        let standing = match (&self.world, self.plans.get(owner)) {
            (Some(world), Some(plan)) => {
                let failures = self.failures.get(owner).map_or(&[][..], Vec::as_slice);
                Some(crate::status::standing(plan, world.held(owner), failures))
            }
            _ => None,
        };
        for (operation, taken) in &mut self.operations {
            if taken.left.remove(owner) {
                if let Some(standing) = standing {
                    *taken.stood.entry(standing).or_default() += 1;
                }
                if taken.left.is_empty() {
                    self.report.touch(operation, at);
                }
            }
        }
    }

    /// Whether an operation that was taken in this life has something left to do.
    pub(super) fn is_operating(&self) -> bool {
        self.operations.values().any(|taken| !taken.left.is_empty())
    }

    /// What there is to say about an operation; `None` for other kinds.
    pub(in crate::daemon) fn operation_status(
        &self,
        operation: &Owner,
        manifest: &Value,
        live: Option<&Object>,
    ) -> Option<Value> {
        if operation.kind != Kind::Operation {
            return None;
        }
        let id = operations::id(manifest);
        if let Some(result) = live.and_then(|live| operations::result(live, id)) {
            return Some(result.clone());
        }
        let request = manifest.pointer("/spec/request").and_then(Value::as_str).unwrap_or_default();
        if let Some(taken) = self.operations.get(operation).filter(|taken| taken.id == id) {
            return Some(taken.status());
        }
        let root = self.world.as_ref().and_then(|world| self.view.observed.garden(&world.root));
        let taken = root.is_some_and(|root| operations::is_taken(root, id));
        let (state, message) = match (taken, self.queue.is_running(operation)) {
            // The garden may tell of our own write before its answer is here.
            (true, true) => ("Processing", "it is being taken"),
            (true, false) => ("Unknown", "it was taken before, and what came of it is not known; ask again under another id"),
            (false, _) => ("Pending", "it is not taken yet"),
        };
        Some(json!({ "id": id, "request": request, "state": state, "message": message }))
    }
}

impl Taken {
    fn status(&self) -> Value {
        let (state, message) = if !is_supported(&self.request) {
            ("Failed", format!("`{}` is not supported yet; nothing was done", self.request))
        } else if !self.left.is_empty() {
            ("Processing", format!("{} of {} to look at", self.left.len(), self.owners.len()))
        } else if self.owners.is_empty() {
            ("Succeeded", if self.request == "retry" { "nothing had failed" } else { "it is about no shoot" }.to_owned())
        } else {
            let words: Vec<String> = self.stood.iter().rev().map(|(standing, n)| format!("{n} {}", standing.word())).collect();
            ("Succeeded", format!("looked at again: {}", words.join(", ")))
        };
        let owners: Vec<String> = self.owners.iter().map(Owner::key).collect();
        let at = Timestamp::from_second(self.at.as_second()).unwrap_or(self.at);
        json!({ "id": self.id, "request": self.request, "state": state, "message": message, "owners": owners, "time": at.to_string() })
    }
}
