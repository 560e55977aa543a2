//! Decisions that stand beside Git's words: which fields they are, how they are written down before they are acted upon, and how
//! intent is kept free of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Look, Memory, World};
use crate::admission::{self, Accepted, Admitted};
use crate::landscape::{Kind, Landscape, Owner, Target};
use crate::observed::{Object, Observed, garden_key};
use crate::plan::{Action, Step};
use crate::render::context::Identity;

/// What of a shoot is decided by us where Git does not say it. A manager of its own writes it into the garden's object.
const DECIDED: &[&str] =
    &["/spec/seedName", "/spec/networking/pods", "/spec/networking/services", "/spec/networking/nodes", "/spec/dns/domain"];

/// Admitted manifests carry what was decided earlier, for the rules' sake. Intent is without it: what is written down as accepted
/// and compared between commits is what Git says.
pub(super) fn intend(admitted: &mut Admitted, landscape: &Landscape, written: &Accepted, memory: &mut Memory) {
    for (owner, value) in &mut admitted.objects {
        if !admitted.fresh.contains(owner) {
            if let Some(accepted) = written.0.get(owner) {
                *value = accepted.clone();
            }
            continue;
        }
        if owner.kind != Kind::Shoot {
            continue;
        }
        if let Some((carried, intent)) = memory.intents.get(owner)
            && Arc::ptr_eq(carried, value)
        {
            *value = intent.clone();
            continue;
        }
        let said = landscape.value(owner);
        let mut intent = (**value).clone();
        for pointer in DECIDED {
            if said.and_then(|s| s.pointer(pointer)).is_none() {
                remove(&mut intent, pointer);
                // A map that was made only for what was decided goes with it.
                if let Some((above, _)) = pointer.rsplit_once('/')
                    && said.and_then(|s| s.pointer(above)).is_none()
                    && intent.pointer(above).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
                {
                    remove(&mut intent, above);
                }
            }
        }
        let intent = Arc::new(intent);
        memory.intents.insert(owner.clone(), (value.clone(), intent.clone()));
        *value = intent;
    }
    memory.intents.retain(|owner, _| admitted.objects.contains_key(owner));
}

fn remove(value: &mut Value, pointer: &str) {
    if let Some((above, last)) = pointer.rsplit_once('/')
        && let Some(map) = value.pointer_mut(above).and_then(Value::as_object_mut)
    {
        map.remove(last);
    }
}

impl World {
    pub(super) fn decide(
        &self,
        owner: &Owner,
        live: Option<&Object>,
        manifest: Option<&Value>,
        look: &Look<'_>,
    ) -> (Vec<Step>, Option<String>) {
        let (Some(live), Some(manifest)) = (live, manifest) else { return (Vec::new(), None) };
        match owner.kind {
            Kind::Shoot => {}
            Kind::Operation => return (self.take(live, manifest, look.observed), None),
            _ => return (Vec::new(), None),
        }
        let placed = live.get("/spec/seedName").and_then(Value::as_str);
        let mut steps = Vec::new();
        let mut seed = placed.map(str::to_owned);
        if placed.is_none() {
            if let Some(placement) = look.placements.decisions.get(owner) {
                seed = Some(placement.seed.clone());
                steps.push(self.decision(owner, live, manifest, &placement.seed, placement.why.clone()));
            } else {
                let why =
                    look.placements.failures.get(owner).map_or_else(|| "no seed is ready yet".to_owned(), ToString::to_string);
                return (Vec::new(), Some(why));
            }
        }
        if live.get("/status/technicalID").is_none() || live.get("/status/uid").is_none() {
            let patch = json!({ "status": {
                "technicalID": technical_id(owner),
                "uid": live.uid,
                "seedName": seed,
            }});
            steps.push(Step {
                target: Target::Garden,
                key: live.key.clone(),
                api_version: live.api_version.clone(),
                action: Action::Status { patch: Arc::new(patch) },
                reason: "its technical id is fixed before it is used".into(),
                changes: Vec::new(),
                digest: None,
            });
        }
        (steps, None)
    }

    fn decision(&self, owner: &Owner, live: &Object, manifest: &Value, seed: &str, why: String) -> Step {
        let mut placed = manifest.clone();
        set(&mut placed, "/spec/seedName", json!(seed));
        let owner_of_seed = Owner::cluster(Kind::Seed, seed);
        if let Some(seed) = self.manifest(&owner_of_seed) {
            admission::for_seed(&mut placed, owner, seed, self.manifest(&self.root).map(Arc::as_ref));
        }
        let workers = manifest.pointer("/spec/provider/workers").and_then(Value::as_array).is_some_and(|w| !w.is_empty());
        // What the documentation of seeds gives as reference values, where neither shoot nor seed says anything.
        for (pointer, fallback, wanted) in
            [("/spec/networking/pods", "100.96.0.0/11", workers), ("/spec/networking/services", "100.64.0.0/13", true)]
        {
            if wanted && placed.pointer(pointer).is_none() {
                set(&mut placed, pointer, json!(fallback));
            }
        }
        let mut decided = json!({});
        for pointer in DECIDED {
            if manifest.pointer(pointer).is_none()
                && let Some(value) = placed.pointer(pointer)
            {
                set(&mut decided, pointer, value.clone());
            }
        }
        let spec = decided.get("spec").cloned().unwrap_or_else(|| json!({}));
        let key = garden_key(owner);
        let body = json!({
            "apiVersion": live.api_version,
            "kind": key.kind,
            "metadata": { "name": key.name, "namespace": key.namespace },
            "spec": spec,
        });
        Step {
            target: Target::Garden,
            key,
            api_version: live.api_version.clone(),
            action: Action::Decide { body: Arc::new(body), resource_version: live.resource_version.clone() },
            reason: format!("placed on {seed}: {why}"),
            changes: Vec::new(),
            digest: None,
        }
    }
}

/// `shoot--<project>--<name>` (`control-plane-objects.md` §1). Once in the garden's status it is reused as it is.
#[must_use]
pub fn technical_id(owner: &Owner) -> String {
    format!("shoot--{}--{}", owner.project, owner.name)
}

pub(super) fn known(identity: &Identity) -> bool {
    identity.uid.is_some() && identity.technical_id.is_some() && identity.seed.is_some()
}

/// What the garden, whose landscape has this name, knows about an owner.
pub(super) fn identity(owner: &Owner, live: Option<&Object>, observed: &Observed, landscape: &str) -> Identity {
    let text = |pointer: &str| live.and_then(|l| l.get(pointer)).and_then(Value::as_str).map(str::to_owned);
    let seed = if owner.kind == Kind::Shoot { text("/spec/seedName") } else { None };
    let seed_identity = seed.as_ref().map(|seed| {
        observed
            .garden(&Owner::cluster(Kind::Seed, seed.clone()))
            .and_then(|s| s.get("/status/clusterIdentity"))
            .and_then(Value::as_str)
            .map_or_else(|| seed.clone(), str::to_owned)
    });
    Identity {
        uid: if owner.kind == Kind::Shoot { text("/status/uid") } else { live.map(|l| l.uid.clone()) },
        technical_id: text("/status/technicalID"),
        seed,
        cluster_identity: text("/status/clusterIdentity"),
        seed_identity,
        // A cluster is called the same before its status says how, and afterwards.
        garden_identity: (owner.kind == Kind::Shoot).then(|| landscape.to_owned()),
        status: live.and_then(|l| l.get("/status")).map_or(Value::Null, decided),
    }
}

/// The part of a status that decisions were written to; the rest changes with every operation and must not make anything render
/// again.
fn decided(status: &Value) -> Value {
    let kept: serde_json::Map<String, Value> = ["networking", "credentials"]
        .into_iter()
        .filter_map(|field| status.get(field).map(|value| (field.to_owned(), value.clone())))
        .collect();
    Value::Object(kept)
}

/// Whether what is rendered for a shoot may differ with what its status says now.
#[must_use]
pub fn informs(before: Option<&Object>, now: &Object) -> bool {
    let said = |object: &Object| {
        let text = ["/status/uid", "/status/technicalID", "/status/clusterIdentity"].map(|p| object.get(p).cloned());
        (text, object.get("/status").map(decided))
    };
    before.map(said) != Some(said(now))
}

/// The manifest with the decisions that stand beside it in the garden.
pub(super) fn with_decisions(manifest: &Value, live: Option<&Object>) -> Value {
    let mut value = manifest.clone();
    if let Some(live) = live {
        for pointer in DECIDED {
            if value.pointer(pointer).is_none_or(Value::is_null)
                && let Some(decided) = live.get(pointer).filter(|v| !v.is_null())
            {
                set(&mut value, pointer, decided.clone());
            }
        }
    }
    value
}

fn set(value: &mut Value, pointer: &str, new: Value) {
    let mut at = value;
    for segment in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = at.as_object_mut().expect("made one just now").entry(segment).or_insert(Value::Null);
    }
    *at = new;
}
