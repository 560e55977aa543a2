//! What clusters tell: watches, and the answers to our own writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::queue::Millis;
use super::{BURIED, State};
use crate::cluster::Signal;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{Delta, Object, ObjectKey, kept_whole};
use crate::pipeline::installations::{GROUP, installation_key};
use crate::plan::StepResult;
use crate::secrets::{BodyKind, SecretRef};

impl State {
    pub(super) fn signals(&mut self, signals: Vec<Signal>, now: Timestamp, at: Millis) {
        let mut owners = BTreeSet::new();
        let mut completeness = BTreeSet::new();
        let mut news = false;
        let mut judged = BTreeSet::new();
        for signal in signals {
            if let Signal::Changed { target, delta: Delta::Applied(object) } = &signal
                && self.is_old(target, object)
            {
                continue;
            }
            let target = match &signal {
                Signal::Changed { target, .. } | Signal::Relisted { target, .. } | Signal::Incomplete { target, .. } => {
                    target.clone()
                }
            };
            if matches!(signal, Signal::Incomplete { .. }) {
                self.heard.insert(target.clone());
            }
            if let Signal::Changed { delta: Delta::Deleted { uid, key }, .. } = &signal {
                if key.kind == "Namespace" {
                    // Where a shoot's namespace stands, the shoot is; whoever wrote it.
                    self.placements_stale = true;
                    let project_and_name = key.name.strip_prefix("shoot--").and_then(|rest| rest.split_once("--"));
                    owners.extend(project_and_name.map(|(project, name)| Owner::project(Kind::Shoot, project, name).label()));
                }
                self.buried.push_back(uid.clone());
                if self.buried.len() > BURIED {
                    self.buried.pop_front();
                }
            }
            let touched = self.view.fold(signal);
            if !self.heard.contains(&target) && self.view.observed.complete(&target) {
                self.heard.insert(target.clone());
            }
            owners.extend(touched.owners);
            news |= touched.server;
            if let (true, Target::Seed(seed)) = (touched.certificates, &target) {
                judged.insert(Owner::cluster(Kind::Seed, seed.clone()));
            }
            if touched.completeness {
                completeness.insert(target);
            }
            for (target, key) in touched.keys {
                owners.extend(self.waiters_for(&target, &key).into_iter().map(Owner::label));
                // What is for shoots from now on is news to all of them; who has it already is told as a reader of it.
                if self.view.observed.get(&target, &key).is_some_and(|object| object.is_static_manifest()) {
                    news = true;
                }
                if let Some(kind) = BodyKind::of(&key.group, &key.kind) {
                    let secret = SecretRef { target, kind, namespace: key.namespace, name: key.name };
                    for owner in self.waiting_for.get(&secret).into_iter().flatten() {
                        owners.insert(owner.label());
                        self.bodies.remove(owner);
                        if self.fetching.contains(owner) {
                            self.overtaken.insert(owner.clone());
                        }
                    }
                }
            }
        }
        for label in owners {
            if let Some(owner) = self.labels.get(&label) {
                self.queue.add(owner, at);
            }
        }
        for seed in judged {
            // A certificate is judged for all that is below its seed's domain, whoever of them has read it.
            if self.labels.contains_key(&seed.label()) {
                self.queue.add(&seed, at);
                self.gate_moved(&seed, at);
            }
        }
        if news {
            self.touch_all(at);
        }
        if !completeness.is_empty() {
            if completeness.contains(&Target::Garden) && self.view.observed.complete(&Target::Garden) {
                self.readmit(now, at);
            }
            self.placements_stale = true;
            self.touch_all(at);
        }
    }

    /// Who waits for it to be seen that an object is gone: what is confirmed to go and used in the garden, and a seed whose
    /// extensions go with the last object that they act upon.
    fn waiters_for(&self, target: &Target, key: &ObjectKey) -> Vec<&Owner> {
        let Some(world) = &self.world else { return Vec::new() };
        if self.view.observed.get(target, key).is_some() {
            return Vec::new();
        }
        match target {
            Target::Garden if is_user(key) => world.going.iter().filter(|owner| is_used(owner.kind)).collect(),
            Target::Seed(seed) if key.group == GROUP => {
                let lingers = |seed: &Owner| self.shown.get(seed).is_some_and(|s| s.installations.values().any(|i| i.lingers));
                let seed = world.owners().get(&Owner::cluster(Kind::Seed, seed.clone()));
                seed.filter(|seed| lingers(seed) || world.going.contains(*seed)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a watch tells of an object that we have seen in a newer version, from the answer to our own write.
    fn is_old(&self, target: &Target, object: &Object) -> bool {
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        self.view
            .observed
            .get(target, &object.key)
            .is_some_and(|known| known.uid == object.uid && number(&known.resource_version) >= number(&object.resource_version))
    }

    /// Takes in an object that the server returned for our own write; not if the watch has told since that it is gone.
    pub(super) fn insert(&mut self, target: &Target, object: Arc<Object>) {
        if !self.is_old(target, &object) && !self.buried.contains(&object.uid) {
            self.view.observed.targets.entry(target.clone()).or_default().insert(object);
        }
    }

    /// A field that is rewritten each time we apply it is reported after three rounds, not fought (design §6a).
    pub(super) fn watch_for_fights(&mut self, result: &StepResult, object: &Object) {
        if result.verb != "restore" {
            return;
        }
        let key = (result.target.clone(), result.key.clone());
        let rounds = self.fights.entry(key.clone()).or_insert(0);
        *rounds += 1;
        if *rounds >= 3 && self.contested.insert(key) {
            tracing::warn!(object = %object.key, target = %result.target, "somebody rewrites our fields each time; leaving them");
        }
    }
}

/// Whether owners of a kind wait for those who use them before they go.
const fn is_used(kind: Kind) -> bool {
    matches!(kind, Kind::Project | Kind::Seed | Kind::ControllerRegistration | Kind::ControllerDeployment)
}

/// Whether an object of the garden may be one of those who use others.
fn is_user(key: &ObjectKey) -> bool {
    let of_extensions = installation_key("");
    kept_whole(&key.group, &key.kind) || (key.group == of_extensions.group && key.kind == of_extensions.kind)
}
