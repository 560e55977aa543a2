//! What is asked of the extensions of one seed, and what comes of it: the same with clusters and without.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::super::World;
use crate::landscape::{Kind, Owner};
use crate::render::context::installation::{Installation, deployment_of, is_chart};
use crate::render::context::{Identity, Objects, Sources, need};
use crate::schedule::extensions::{Demand, Need, Required, required, served, some};

/// What a seed needs that has no shoots is needed by it.
const ITSELF: &str = "the seed itself";

/// A registration, and what is to be known of it beside its manifest.
pub(super) struct Registration<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its manifest.
    pub(super) manifest: &'a Arc<Value>,
    /// Whether it is confirmed to go.
    pub(super) going: bool,
    /// Whether we are the ones who install what it stands for.
    pub(super) ours: bool,
}

/// All registrations of a world.
pub(super) fn registrations(world: &World) -> Vec<Registration<'_>> {
    let all = world.of_kind(Kind::ControllerRegistration).filter_map(|owner| {
        let manifest = world.manifest(owner)?;
        let ours = is_ours(manifest, |deployment| world.manifest(deployment));
        Some(Registration { name: &owner.name, manifest, going: world.going.contains(owner), ours })
    });
    all.collect()
}

/// Whether a registration stands for a chart, by the deployments that there are.
fn is_ours<'a>(registration: &Value, deployment: impl FnOnce(&Owner) -> Option<&'a Arc<Value>>) -> bool {
    deployment_of(registration).and_then(|owner| deployment(&owner)).is_some_and(|deployment| is_chart(deployment))
}

/// What is asked of the extensions of one seed, and what comes of it.
pub(super) struct Asked {
    demand: Demand,
    required: Required,
}

impl Asked {
    /// Asks for a seed, unless it is confirmed to go, and for its shoots, each with what it needs there.
    pub(super) fn new(
        seed: &Value,
        deleting: bool,
        shoots: impl IntoIterator<Item = (String, Arc<BTreeSet<Need>>)>,
        registrations: &[Registration<'_>],
    ) -> Self {
        let labels = seed.pointer("/metadata/labels").cloned().unwrap_or_default();
        let mut demand = Demand { labels, deleting, ..Demand::default() };
        if !deleting {
            for need in need::of_seed(seed, registrations.iter().map(|r| &**r.manifest)) {
                demand.needs.entry(need).or_default().insert(ITSELF.to_owned());
            }
        }
        for (shoot, needs) in shoots {
            demand.shoots += 1;
            for need in needs.iter() {
                demand.needs.entry(need.clone()).or_default().insert(shoot.clone());
            }
        }
        let required = required(&demand, registrations.iter().map(|r| (r.name, &**r.manifest, r.going)));
        Self { demand, required }
    }

    /// What comes of it.
    pub(super) const fn required(&self) -> &Required {
        &self.required
    }

    /// What is wanted of a registration, if it is.
    pub(super) fn wanted(&self, registration: &Registration<'_>) -> Option<Installation> {
        let why = self.required.wanted.get(registration.name).filter(|_| registration.ours)?;
        Some(self.installation(registration, why.clone()))
    }

    /// The same where it is wanted for another reason.
    pub(super) fn installation(&self, registration: &Registration<'_>, why: String) -> Installation {
        let needed = served(registration.manifest).any(|need| self.demand.needs.contains_key(&need));
        Installation { registration: registration.name.to_owned(), wanted: true, needed, why }
    }

    /// What shoots need of a registration, in a person's words.
    pub(super) fn for_shoots(&self, registration: &Registration<'_>) -> Option<String> {
        served(registration.manifest).find_map(|need| {
            let users = self.demand.needs.get(&need)?.iter().filter(|user| *user != ITSELF).cloned();
            let users: BTreeSet<String> = users.collect();
            (!users.is_empty()).then(|| format!("{need} for {}", some(&users)))
        })
    }
}

/// The extensions of a seed by a landscape alone: what is wanted for it and for these shoots.
#[must_use]
pub fn offline<'a>(objects: &Objects, seed: &Owner, shoots: impl IntoIterator<Item = &'a Owner>) -> Vec<Installation> {
    let Some(manifest) = objects.get(seed) else { return Vec::new() };
    let from_there = objects.range(Owner::cluster(Kind::ControllerRegistration, "")..);
    let all = from_there.take_while(|(owner, _)| owner.kind == Kind::ControllerRegistration);
    let registrations: Vec<Registration<'_>> = all
        .map(|(owner, manifest)| {
            let ours = is_ours(manifest, |deployment| objects.get(deployment));
            Registration { name: &owner.name, manifest, going: false, ours }
        })
        .collect();
    if !registrations.iter().any(|registration| registration.ours) {
        return Vec::new();
    }
    let shoots = shoots.into_iter().map(|shoot| {
        let sources = Sources { objects, owner: shoot, identity: &Identity::default() };
        (shoot.key(), Arc::new(need::of_shoot(&sources, &seed.name)))
    });
    let asked = Asked::new(manifest, false, shoots, &registrations);
    registrations.iter().filter_map(|registration| asked.wanted(registration)).collect()
}
