//! The one place where the stages are chained: admit → place → render → plan, per owner.
//!
//! Pure. [`World`] is what one commit means at garden scope; [`World::evaluate`] is what one owner needs right now, from the world
//! and from what is observed. Evaluating one owner gives the same answer as evaluating all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::admission;
use crate::digest::{Digest, DigestKey};
use crate::facts::Exported;
use crate::finding::Findings;
use crate::landscape::{Kind, Owner, Target};
use crate::library::Library;
use crate::memo::Recent;
use crate::observed::{ACCEPTED_ANNOTATION, ACCEPTED_REVISION_ANNOTATION, Object, ObjectKey, Observed};
use crate::plan::when::sleeps;
use crate::plan::{self, ComponentState, OwnerPlan, serves};
use crate::render::chart::{Charts, Request};
use crate::render::context::{Identity, Objects};
use crate::render::{self, DesiredObject, Release};
use crate::schedule::Placements;
use crate::secrets::{Bodies, SecretRef};
use crate::snapshot::Revision;

mod decided;
mod found;
pub mod freeze;
pub mod installations;
pub mod operations;
mod render_owner;
mod rolled_out;
pub mod rollout;
pub mod wildcard;
mod world;

pub use decided::{informs, technical_id};
pub use found::KEPT;
pub use render_owner::digest_key_ref;
pub use world::{BUDGET, Before, World, accepted, budget, owner_of, sources, world};

use decided::{Decided, identity, known, with_decisions};
use installations::{Reported, Stand};

/// Owners whose manifests are kept between two looks while they are not as wanted yet; half a megabyte each. What has no room
/// is rendered again.
const ROOM: usize = 256;

/// What is kept between evaluations so that cost follows change.
pub struct Memory {
    /// Admission's memo.
    pub admission: admission::Memory,
    prepared: Recent<Owner, Ready>,
    rendered: Recent<Owner, Kept>,
    exports: BTreeMap<Owner, (Arc<Value>, Vec<Exported>)>,
    intents: BTreeMap<Owner, (Arc<Value>, Arc<Value>)>,
    digests: BTreeMap<Owner, (Arc<Value>, Digest)>,
    needs: installations::Needs,
    certificates: wildcard::Certificates,
    /// How often an owner was rendered.
    pub renders: u64,
}

/// What preparing gave, and from what: kept while its owner is not as wanted yet.
struct Ready {
    objects: Objects,
    identity: Identity,
    library: Digest,
    prepared: Arc<render::Prepared>,
    parts: render::Parts,
}

/// A rendering that is kept while its owner is not as wanted yet.
struct Kept {
    /// Digest of its inputs short of secret bodies.
    input: Digest,
    /// The secrets whose bodies went in, at which version.
    secrets: BTreeMap<SecretRef, Option<String>>,
    releases: Arc<Vec<Arc<Release>>>,
    findings: Findings,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            admission: admission::Memory::default(),
            prepared: Recent::new(ROOM),
            rendered: Recent::new(ROOM),
            exports: BTreeMap::new(),
            intents: BTreeMap::new(),
            digests: BTreeMap::new(),
            needs: BTreeMap::new(),
            certificates: BTreeMap::new(),
            renders: 0,
        }
    }
}

impl Memory {
    /// Drops the rendered manifests of an owner that is as wanted: they are rendered again when needed (design §7).
    pub fn settle(&mut self, owner: &Owner) {
        self.rendered.remove(owner);
        self.prepared.remove(owner);
    }
}

/// What an owner needs right now.
pub struct Evaluation {
    /// What to do.
    pub plan: Arc<OwnerPlan>,
    /// Secret bodies that rendering needs; evaluate again with them.
    pub needs: BTreeSet<SecretRef>,
    /// The charts that it is made from; evaluate again when one is rendered.
    pub charts: Vec<Arc<Request>>,
    /// Findings of rendering.
    pub findings: Findings,
    /// Facts and identities that its status shows.
    pub shown: Shown,
}

/// What an owner's status shows beside its plan.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The seed that it is placed on.
    pub seed: Option<String>,
    /// Why it could not be placed.
    pub unplaced: Option<String>,
    /// `status.technicalID`.
    pub technical_id: Option<String>,
    /// `status.clusterIdentity`.
    pub cluster_identity: Option<String>,
    /// `status.networking`.
    pub networking: Option<Value>,
    /// `status.advertisedAddresses`.
    pub addresses: Vec<(String, String)>,
    /// How a seed's extensions stand, by registration.
    pub installations: BTreeMap<String, Stand>,
    /// What extensions report of a shoot's health.
    pub reported: Vec<Reported>,
}

/// What an evaluation looks at.
pub struct Look<'a> {
    /// Templates, images, policies.
    pub library: &'a Library,
    /// What is live.
    pub observed: &'a Observed,
    /// The latest plan of every owner: gates between scopes read them.
    pub plans: &'a BTreeMap<Owner, Arc<OwnerPlan>>,
    /// Where unplaced shoots go.
    pub placements: &'a Placements,
    /// Secret bodies at hand.
    pub bodies: &'a Bodies,
    /// The key of digests of secret content; `None` until it was read back.
    pub digest_key: Option<&'a DigestKey>,
    /// What is known of extensions' charts; `None` where nobody renders any: then extensions are somebody else's.
    pub charts: Option<&'a Arc<Charts>>,
    /// Fields that others rewrite each time.
    pub contested: &'a BTreeSet<(Target, ObjectKey)>,
    /// The time.
    pub now: Timestamp,
}

impl World {
    /// What stands between an owner and its creation or change: other scopes that are not ready (design §4: garden → projects →
    /// seeds → shoots).
    fn gates(&self, owner: &Owner, look: &Look<'_>, seed: Option<&str>, memory: &mut Memory) -> Vec<(String, String)> {
        let mut gates = Vec::new();
        let mut needs = |other: &Owner, name: String| {
            let why = match look.plans.get(other) {
                Some(plan) if serves(plan) => return,
                Some(plan) => crate::status::unsettled(plan).unwrap_or_default(),
                None => "not looked at yet".into(),
            };
            gates.push((name, why));
        };
        if owner.kind != Kind::Landscape {
            needs(&self.root, "the garden".into());
        }
        if owner.kind.namespaced() {
            let project = Owner::cluster(Kind::Project, owner.project.clone());
            if owner.project != "garden" || self.manifest(&project).is_some() {
                needs(&project, format!("project {}", owner.project));
            }
        }
        if owner.kind == Kind::Shoot
            && let Some(seed) = seed
        {
            needs(&Owner::cluster(Kind::Seed, seed), format!("seed {seed}"));
            gates.extend(self.unserved(owner, look, memory));
        }
        gates
    }

    /// What still uses an owner that is to go: it waits for that.
    fn users(&self, owner: &Owner, look: &Look<'_>, memory: &mut Memory) -> Vec<(String, String)> {
        let Some(garden) = look.observed.targets.get(&Target::Garden) else { return Vec::new() };
        let users: Vec<String> = garden
            .objects
            .values()
            .filter(|o| !matches!(o.key.kind.as_str(), "Landscape"))
            .filter_map(|o| owner_of(o).map(|other| (other, o)))
            .filter(|(other, object)| match owner.kind {
                Kind::Project => other.kind.namespaced() && other.project == owner.name,
                Kind::Seed => {
                    other.kind == Kind::Shoot && object.get("/spec/seedName").and_then(Value::as_str) == Some(owner.name.as_str())
                }
                _ => false,
            })
            .map(|(other, _)| other.to_string())
            .chain(self.users_of_extensions(owner, look, memory))
            .collect();
        if users.is_empty() { Vec::new() } else { vec![(format!("{owner} is still used"), users.join(", "))] }
    }

    /// Evaluates one owner.
    #[must_use]
    pub fn evaluate(&self, owner: &Owner, look: &Look<'_>, memory: &mut Memory) -> Evaluation {
        let live = look.observed.garden(owner).filter(|o| o.is_tracked());
        let held = self.admitted.held.contains_key(owner) || self.admitted.gone.contains_key(owner);
        let going = self.going.contains(owner);
        let manifest = self.manifest(owner).map(|m| with_decisions(m, live.map(Arc::as_ref)));
        let mut identity = identity(owner, live.map(Arc::as_ref), look, &self.root.name);
        let seed = identity.seed.clone();
        let (installations, mut findings) = self.installations(owner, look, memory);
        identity.installations = installations;
        let mut needs = BTreeSet::new();
        let mut charts = BTreeMap::new();

        // Nothing is rendered before the object exists in the garden and, for shoots, its placement and technical id are there.
        let mut releases: Arc<Vec<Arc<Release>>> = Arc::default();
        let mut generate = Vec::new();
        let mut again = None;
        let mut missing = None;
        let mut trusted = None;
        if let Some(manifest) = &manifest
            && (live.is_some() || owner.kind == Kind::Landscape)
            && (owner.kind != Kind::Shoot || known(&identity))
        {
            let made = self.render(owner, manifest, &identity, look, memory);
            missing = made.missing;
            releases = made.releases;
            needs = made.needs;
            findings.extend(made.findings);
            charts = made.charts;
            generate = made.generate;
            again = made.again;
            trusted = made.trusted;
        }

        let (rolled_out_from, waits) =
            if going { (None, None) } else { self.rolled_out_from(owner, live.map(Arc::as_ref), look, memory) };
        let own = self
            .admitted
            .objects
            .get(owner)
            .filter(|_| !going)
            .map(|value| self.own_object(owner, value, live.map(Arc::as_ref), rolled_out_from.as_deref()));
        let Decided { steps: decisions, unplaced, unclear } = if going || (held && owner.kind == Kind::Operation) {
            Decided::default()
        } else {
            self.decide(owner, live.map(Arc::as_ref), manifest.as_ref(), look)
        };
        let gates = if going { self.users(owner, look, memory) } else { self.gates(owner, look, seed.as_deref(), memory) };
        let mut plan = plan::plan(plan::Request {
            owner,
            releases: &releases,
            manifest: own.as_ref(),
            manifest_after: (owner.kind == Kind::Landscape).then_some("crds"),
            decisions,
            generate,
            observed: look.observed,
            gates: &gates,
            held,
            deleting: going,
            asleep: manifest.as_ref().is_some_and(sleeps),
            adopt: &self.adopt,
            contested: look.contested,
            again,
            now: look.now.as_second(),
            waits,
        });
        if let Some(waiting) = self.waiting.get(owner) {
            plan.waits = Some(waiting.span);
        }
        if let Some(why) = unclear {
            // Nothing is rendered for it, so nothing of it changes or goes.
            if let Some(first) = plan.components.first_mut()
                && first.state == ComponentState::Ready
            {
                first.state = ComponentState::Held(why);
            }
        } else if let Some(why) = missing {
            // Something that every component needs is not known yet.
            if let Some(first) = plan.components.first_mut()
                && first.state == ComponentState::Ready
            {
                first.state = ComponentState::Waiting(why);
            }
        }
        if let Some(why) = &unplaced {
            // An unplaced shoot is written down, and waits.
            if let Some(first) = plan.components.first_mut()
                && first.state == ComponentState::Ready
            {
                first.state = ComponentState::Waiting(format!("a seed: {why}"));
            }
        } else if !going && owner.kind == Kind::Shoot && !known(&identity) {
            if let Some(first) = plan.components.first_mut()
                && first.state == ComponentState::Ready
            {
                first.state = ComponentState::Progressing("being placed".into());
            }
        } else if !needs.is_empty()
            && let Some(first) = plan.components.first_mut()
            && first.state == ComponentState::Ready
        {
            first.state = ComponentState::Progressing("reading secrets".into());
        }
        if owner.kind == Kind::Operation
            && let (Some(live), Some(manifest)) = (live, &manifest)
            && let Some(why) = operations::failure(live, operations::id(manifest))
            && let Some(first) = plan.components.first_mut()
            && first.state == ComponentState::Ready
        {
            first.state = ComponentState::Failed(why);
        }
        if let (Some(span), Some(first)) = (plan.waits, plan.components.first_mut())
            && first.state == ComponentState::Ready
            && self.waiting.contains_key(owner)
        {
            // It is accepted, and kept as it was rolled out last.
            first.state = ComponentState::Waiting(span.to_string());
        }
        let mut shown = self.shown(owner, &identity, unplaced, look);
        shown.installations = self.stands(owner, &identity.installations, look, &plan, &charts);
        shown.addresses.extend(trusted.map(|host| (wildcard::ADDRESS.to_owned(), format!("https://{host}"))));
        Evaluation { plan: Arc::new(plan), needs, charts: charts.into_values().collect(), findings, shown }
    }

    /// The landscape object as it should stand in the garden. A held owner's object stays as it was accepted, with the revision
    /// that it was accepted from.
    fn own_object(
        &self,
        owner: &Owner,
        value: &Arc<Value>,
        live: Option<&Object>,
        rolled_out_from: Option<&str>,
    ) -> DesiredObject {
        // An unchanged manifest keeps the revision under which it was accepted: a new commit does not rewrite the fleet.
        let written = live.and_then(|l| l.annotations.get(ACCEPTED_ANNOTATION));
        let unchanged = written.is_some_and(|old| *old == crate::digest::canonical(value)) || self.waiting.contains_key(owner);
        let accepted_revision = live.and_then(|l| l.annotations.get(ACCEPTED_REVISION_ANNOTATION)).filter(|_| unchanged);
        let revision = accepted_revision.map_or_else(|| self.revision.clone(), |r| Revision(r.clone()));
        render::object(owner, value, &revision, rolled_out_from)
    }

    fn shown(&self, owner: &Owner, identity: &Identity, unplaced: Option<String>, look: &Look<'_>) -> Shown {
        let mut shown = Shown {
            seed: identity.seed.clone(),
            unplaced,
            technical_id: identity.technical_id.clone(),
            cluster_identity: identity.cluster_identity.clone(),
            networking: None,
            addresses: Vec::new(),
            installations: BTreeMap::new(),
            reported: Vec::new(),
        };
        if owner.kind == Kind::Seed {
            shown.cluster_identity = shown.cluster_identity.or_else(|| Some(owner.name.clone()));
        }
        if owner.kind == Kind::Shoot
            && let (Some(seed), Some(namespace)) = (&identity.seed, &identity.technical_id)
        {
            let key = ObjectKey::new("extensions.gardener.cloud", "Infrastructure", namespace, &owner.name);
            let live = look.observed.get(&Target::Seed(seed.clone()), &key);
            shown.networking = live.and_then(|l| l.get("/status/networking")).cloned();
            for (name, suffix) in [("internal", "internal"), ("external", "external")] {
                let key =
                    ObjectKey::new("extensions.gardener.cloud", "DNSRecord", namespace, &format!("{}-{suffix}", owner.name));
                if let Some(host) =
                    look.observed.get(&Target::Seed(seed.clone()), &key).and_then(|l| l.get("/spec/name")).and_then(Value::as_str)
                {
                    shown.addresses.push((name.to_owned(), format!("https://{host}")));
                }
            }
            shown.reported = self.reported(seed, namespace, look.observed);
            if shown.cluster_identity.is_none()
                && let Some(uid) = &identity.uid
            {
                let garden = identity.garden_identity.as_deref().unwrap_or(&self.root.name);
                shown.cluster_identity = Some(format!("{namespace}-{uid}-{garden}"));
            }
        }
        shown
    }
}
