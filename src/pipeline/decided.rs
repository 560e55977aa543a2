//! Decisions that stand beside Git's words: which fields they are, how they are written down before they are acted upon, and how
//! intent is kept free of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::found::{self, Found};
use super::{Look, Memory, World};
use crate::admission::{self, Accepted, Admitted};
use crate::health::{Health, health};
use crate::landscape::{Kind, Landscape, Owner, Target};
use crate::observed::{COMPONENT_LABEL, Object, garden_key};
use crate::plan::{Action, Step};
use crate::render::context::Identity;
use crate::render::scope_of;

/// What of a shoot is decided by us where Git does not say it. A manager of its own writes it into the garden's object.
pub(super) const DECIDED: &[&str] =
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
    memory.needs.retain(|owner, _| admitted.objects.contains_key(owner));
}

fn remove(value: &mut Value, pointer: &str) {
    if let Some((above, last)) = pointer.rsplit_once('/')
        && let Some(map) = value.pointer_mut(above).and_then(Value::as_object_mut)
    {
        map.remove(last);
    }
}

/// What is decided for an owner beside Git's words.
#[derive(Default)]
pub(super) struct Decided {
    /// What writes it down.
    pub(super) steps: Vec<Step>,
    /// Why no seed was found for a shoot.
    pub(super) unplaced: Option<String>,
    /// Why nothing may be decided before somebody did something.
    pub(super) unclear: Option<String>,
}

impl Decided {
    fn unclear(why: String) -> Self {
        Self { unclear: Some(why), ..Self::default() }
    }
}

impl World {
    pub(super) fn decide(&self, owner: &Owner, live: Option<&Object>, manifest: Option<&Value>, look: &Look<'_>) -> Decided {
        let (Some(live), Some(manifest)) = (live, manifest) else { return Decided::default() };
        match owner.kind {
            Kind::Shoot => {}
            Kind::Operation => return Decided { steps: self.take(live, manifest, look.observed), ..Decided::default() },
            Kind::Seed => {
                return found::bucket(owner, live, look.observed).map_or_else(Decided::unclear, |_| Decided::default());
            }
            _ => return Decided::default(),
        }
        let placed = live.get("/spec/seedName").and_then(Value::as_str);
        let named = live.get("/status/technicalID").is_some() && live.get("/status/uid").is_some();
        if placed.is_some() && named {
            return Decided::default();
        }
        let wanted = placed.or_else(|| manifest.pointer("/spec/seedName").and_then(Value::as_str));
        let found = match self.found(owner, live, wanted, look.observed) {
            Ok(found) => found,
            Err(why) => return Decided::unclear(why),
        };
        let mut steps = Vec::new();
        let mut seed = placed.map(str::to_owned);
        if placed.is_none() {
            if let Some(found) = &found {
                seed = Some(found.seed.to_owned());
                let why = "its control plane stands there already".to_owned();
                steps.push(self.decision(owner, live, manifest, found.remembering(manifest), found.seed, why));
            } else if let Some(placement) = look.placements.decisions.get(owner) {
                seed = Some(placement.seed.clone());
                steps.push(self.decision(owner, live, manifest, manifest.clone(), &placement.seed, placement.why.clone()));
            } else {
                let why =
                    look.placements.failures.get(owner).map_or_else(|| "no seed is ready yet".to_owned(), ToString::to_string);
                return Decided { unplaced: Some(why), ..Decided::default() };
            }
        }
        if !named {
            let uid = live.get("/status/uid").and_then(Value::as_str).or_else(|| found.as_ref().and_then(Found::uid));
            let mut status = json!({
                "technicalID": technical_id(owner),
                "uid": uid.unwrap_or(&live.uid),
                "seedName": seed,
            });
            for field in ["clusterIdentity", "credentials", "networking"] {
                if let Some(value) = found.as_ref().and_then(|found| found.status(field)) {
                    status[field] = value.clone();
                }
            }
            steps.push(Step {
                target: Target::Garden,
                key: live.key.clone(),
                api_version: live.api_version.clone(),
                action: Action::Status { patch: Arc::new(json!({ "status": status })) },
                reason: "its technical id is fixed before it is used".into(),
                changes: Vec::new(),
                digest: None,
            });
        }
        Decided { steps, ..Decided::default() }
    }

    /// Writes down the seed and what else Git does not say; `placed` is the manifest with what is decided of it already.
    fn decision(&self, owner: &Owner, live: &Object, manifest: &Value, mut placed: Value, seed: &str, why: String) -> Step {
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
pub(super) fn identity(owner: &Owner, live: Option<&Object>, look: &Look<'_>, landscape: &str) -> Identity {
    let observed = look.observed;
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
        uid: match owner.kind {
            Kind::Shoot => text("/status/uid"),
            // Its bucket is named by it, and stays when the garden's object is a new one.
            Kind::Seed => live.and_then(|live| found::bucket(owner, live, observed).ok()),
            _ => live.map(|live| live.uid.clone()),
        },
        object_uid: live.map(|live| live.uid.clone()),
        technical_id: text("/status/technicalID"),
        seed,
        cluster_identity: text("/status/clusterIdentity"),
        seed_identity,
        // A cluster is called the same before its status says how, and afterwards.
        garden_identity: (owner.kind == Kind::Shoot).then(|| landscape.to_owned()),
        status: live.and_then(|l| l.get("/status")).map_or(Value::Null, decided),
        following: following(owner, look),
        installations: Vec::new(),
        kubernetes: (owner.kind == Kind::Seed)
            .then(|| observed.server(&Target::Seed(owner.name.clone())).map(ToString::to_string))
            .flatten(),
    }
}

/// The components of an owner that have something to clear up: something is left of the one that they follow, or they have begun
/// and are not ready. While it sleeps its resource manager clears up nothing, so none of them is done by being written.
fn following(owner: &Owner, look: &Look<'_>) -> BTreeSet<String> {
    let Some(scope) = scope_of(owner.kind) else { return BTreeSet::new() };
    let label = owner.label();
    let left = |name: &str, counts: &dyn Fn(&Object) -> bool| {
        let is_its = |object: &Object| object.labels.get(COMPONENT_LABEL).is_some_and(|component| component == name);
        let mut objects = look.observed.targets.values().flat_map(|live| live.labelled(&label));
        objects.any(|object| is_its(object) && object.is_tracked() && !object.deleting && counts(object))
    };
    let all = look.library.components().scope(scope).iter().map(|compiled| &*compiled.component);
    let follows = all.filter_map(|component| Some((component, component.follows.as_deref()?)));
    follows
        .filter(|(component, other)| {
            let unready = |object: &Object| health(object, &component.ready) != Health::Ready;
            left(other, &|_| true) || left(&component.id.name, &unready)
        })
        .map(|(component, _)| component.id.name.clone())
        .collect()
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

/// Sets a field, with the maps above it.
pub(super) fn set(value: &mut Value, pointer: &str, new: Value) {
    let mut at = value;
    for segment in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = at.as_object_mut().expect("made one just now").entry(segment).or_insert(Value::Null);
    }
    *at = new;
}
