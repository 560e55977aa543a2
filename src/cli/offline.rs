//! Rendering without clusters: symbols stand for what only they know, the same for the same object in every revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::admission::Admitted;
use crate::digest::Digest;
use crate::facts::Facts;
use crate::landscape::{Kind, Owner};
use crate::library::Library;
use crate::pipeline::{self, installations};
use crate::render::context::installation::Installation;
use crate::render::context::{Identity, Objects};
use crate::render::{self, Inputs, Prepared, Rendering};
use crate::schedule::{self, Placements, SeedState, Usage};
use crate::secrets::Bodies;
use crate::share;

/// What an admitted landscape is rendered from.
pub(super) struct Offline {
    objects: Objects,
    library: Arc<Library>,
    garden: String,
    /// Where shoots go.
    pub(super) placements: Placements,
    /// Those of them for which a seed was chosen here.
    pub(super) chosen: BTreeSet<Owner>,
}

impl Offline {
    /// Places the shoots that have no seed, all seeds counted as ready; `placed` is where shoots are known to be. What is to be
    /// rendered is to be [decided](Self::decide) first.
    pub(super) fn new(admitted: &Admitted, library: &Arc<Library>, placed: BTreeMap<Owner, String>) -> Self {
        let ready = |owner: &Owner| (owner.name.clone(), SeedState { ready: true, ..SeedState::default() });
        let seeds = admitted.of_kind(Kind::Seed).map(|(owner, _)| ready(owner)).collect();
        let is_open = |owner: &&Owner| {
            let pinned =
                admitted.objects.get(*owner).and_then(|m| m.pointer("/spec/seedName")).is_some_and(|seed| !seed.is_null());
            !pinned && !placed.contains_key(*owner)
        };
        let chosen: BTreeSet<Owner> = admitted.of_kind(Kind::Shoot).map(|(owner, _)| owner).filter(is_open).cloned().collect();
        let placements = schedule::place(admitted, &Usage { seeds, placed });
        let (objects, garden) = (admitted.objects.clone(), admitted.landscape.clone());
        Self { objects, library: Arc::clone(library), garden, placements, chosen }
    }

    /// Puts what follows from their places into the manifests of those shoots of which something is to be rendered.
    pub(super) fn decide<'a>(&mut self, owners: impl IntoIterator<Item = &'a Owner>) {
        let placed: Vec<(&Owner, &str)> =
            owners.into_iter().filter_map(|owner| Some((owner, self.placements.decisions.get(owner)?.seed.as_str()))).collect();
        let manifest = |(owner, seed): &(&Owner, &str)| {
            let about = self.objects.get(&Owner::cluster(Kind::Seed, *seed));
            Some(Arc::new(decided(self.objects.get(*owner)?, seed, about.map(Arc::as_ref))))
        };
        let manifests = share::map(&placed, manifest);
        self.objects
            .extend(placed.into_iter().zip(manifests).filter_map(|((owner, _), manifest)| Some((owner.clone(), manifest?))));
    }

    /// Puts other manifests of shoots in their place, which they stay at.
    pub(super) fn replace<'a>(&mut self, shoots: impl IntoIterator<Item = (&'a Owner, &'a Arc<Value>)>) {
        self.objects.extend(shoots.into_iter().map(|(owner, manifest)| (owner.clone(), Arc::clone(manifest))));
    }

    /// Whether both are rendered from the same templates and images, for the same garden.
    pub(super) fn is_made_like(&self, other: &Self) -> bool {
        self.library.digest() == other.library.digest() && self.garden == other.garden
    }

    /// What the garden would know of an owner.
    fn identity(&self, owner: &Owner) -> Identity {
        let shoot = owner.kind == Kind::Shoot;
        let seed = self.placements.decisions.get(owner).map(|placement| placement.seed.clone());
        Identity {
            uid: Some(format!("<uid {}>", owner.key())),
            object_uid: None,
            technical_id: shoot.then(|| pipeline::technical_id(owner)),
            seed_identity: seed.clone(),
            seed,
            cluster_identity: None,
            garden_identity: Some(self.garden.clone()),
            status: Value::Null,
            following: BTreeSet::new(),
            installations: self.installations(owner),
            kubernetes: None,
        }
    }

    /// The extensions that a seed gets; none where they are simulated.
    fn installations(&self, owner: &Owner) -> Vec<Installation> {
        let settings = self.objects.get(&Owner::cluster(Kind::Landscape, self.garden.clone())).map(Arc::as_ref);
        if owner.kind != Kind::Seed || installations::is_simulated(settings) {
            return Vec::new();
        }
        let here = self.placements.decisions.iter().filter(|(_, placement)| placement.seed == owner.name);
        installations::offline(&self.objects, owner, here.map(|(shoot, _)| shoot))
    }

    /// What is known of an owner before rendering; `None` for kinds without templates, an error for what cannot be rendered yet.
    pub(super) fn prepare(&self, owner: &Owner) -> Result<Option<Prepared>, String> {
        if !self.objects.contains_key(owner) {
            return Ok(None);
        }
        if let Some(rejections) = self.placements.failures.get(owner) {
            return Err(format!("no seed: {rejections}"));
        }
        render::prepare(&self.objects, owner, &self.identity(owner), &self.library).map_err(|missing| missing.0)
    }

    /// Renders what was prepared.
    pub(super) fn render(&self, prepared: &Prepared) -> Rendering {
        self.with_inputs(prepared, render::render)
    }

    /// Renders what comes out otherwise than it did.
    pub(super) fn render_differing(&self, before: (&Self, &Prepared), prepared: &Prepared) -> (Rendering, Rendering) {
        let (then, was) = before;
        then.with_inputs(was, |before| self.with_inputs(prepared, |now| render::render_differing(before, now)))
    }

    /// The digest of what it is rendered from.
    pub(super) fn input(&self, prepared: &Prepared) -> Digest {
        self.with_inputs(prepared, render::input)
    }

    fn with_inputs<T>(&self, prepared: &Prepared, work: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let (facts, bodies) = (Facts::default(), Bodies::default());
        work(&Inputs {
            prepared,
            library: &self.library,
            ensured: None,
            facts: &facts,
            bodies: &bodies,
            digest_key: None,
            offline: true,
        })
    }
}

/// A shoot's manifest with what is decided when it is placed: its seed, and the seed's default networks where it names none.
fn decided(shoot: &Value, seed: &str, manifest: Option<&Value>) -> Value {
    let mut value = shoot.clone();
    let workerless = shoot.pointer("/spec/provider/workers").and_then(Value::as_array).is_none_or(Vec::is_empty);
    let defaults = manifest.and_then(|m| m.pointer("/spec/networks/shootDefaults"));
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return value };
    spec.insert("seedName".into(), seed.into());
    let networking = spec.entry("networking").or_insert_with(|| Value::Object(Map::new()));
    for (field, fallback) in [("pods", "100.96.0.0/11"), ("services", "100.64.0.0/13")] {
        if networking.get(field).is_none_or(Value::is_null) && !(workerless && field == "pods") && networking.is_object() {
            let said = defaults.and_then(|d| d.get(field)).cloned();
            networking[field] = said.unwrap_or_else(|| json!(fallback));
        }
    }
    value
}
