//! The one place where the stages are chained: admit → place → render → plan, per owner.
//!
//! Long: the stages read top to bottom as one story; each stage has its own module.
//!
//! Pure. [`World`] is what one commit means at garden scope; [`World::evaluate`] is what one owner needs right now, from the world
//! and from what is observed. Evaluating one owner gives the same answer as evaluating all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admission::{self, Accepted, Admitted, Gone};
use crate::digest::{Digest, DigestKey};
use crate::facts::{Exported, Facts};
use crate::finding::{Finding, Findings, Severity};
use crate::landscape::{Kind, Landscape, Owner, Target};
use crate::library::Library;
use crate::memo::Recent;
use crate::observed::{ACCEPTED_ANNOTATION, ACCEPTED_REVISION_ANNOTATION, OWNER_LABEL, Object, ObjectKey, Observed, garden_key};
use crate::plan::{self, Action, ComponentState, OwnerPlan, Step, settled};
use crate::render::context::{Identity, Objects};
use crate::render::{self, DesiredObject, Release, Scope};
use crate::schedule::{self, Placements, SeedState, Usage};
use crate::secrets::{self, Bodies, SecretRef};
use crate::snapshot::{RepoPath, Revision};

/// What one commit means at garden scope.
pub struct World {
    /// The commit.
    pub revision: Revision,
    /// What it says.
    pub landscape: Arc<Landscape>,
    /// What may be acted upon.
    pub admitted: Admitted,
    /// What was accepted before, together with what was decided beside it.
    pub accepted: Accepted,
    /// What loading found, to admit the same commit again.
    pub loaded: Findings,
    /// Everything found, in reading order.
    pub findings: Findings,
    /// The landscape's own owner.
    pub root: Owner,
    /// Owners that are confirmed to go and within the deletion budget.
    pub going: BTreeSet<Owner>,
    /// Objects named for adoption.
    pub adopt: BTreeSet<String>,
    owners: BTreeSet<Owner>,
    remarks: BTreeMap<String, Vec<Finding>>,
}

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
    /// How often an owner was rendered.
    pub renders: u64,
}

/// What preparing gave, and from what: kept while its owner is not as wanted yet.
struct Ready {
    objects: Objects,
    identity: Identity,
    library: Digest,
    prepared: Arc<render::Prepared>,
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
    /// Fields that others rewrite each time.
    pub contested: &'a BTreeSet<(Target, ObjectKey)>,
    /// The time.
    pub now: Timestamp,
}

/// The last accepted manifests, from the garden's objects: as written, and with the decisions that stand beside them.
#[must_use]
pub fn accepted(observed: &Observed) -> (Accepted, Accepted) {
    let (mut written, mut whole) = (BTreeMap::new(), BTreeMap::new());
    for object in observed.targets.get(&Target::Garden).into_iter().flat_map(|live| live.objects.values()) {
        if let Some(owner) = owner_of(object)
            && object.is_tracked()
            && let Some(text) = object.annotations.get(ACCEPTED_ANNOTATION)
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            let value = Arc::new(value);
            let decided = if owner.kind == Kind::Shoot { Arc::new(with_decisions(&value, Some(object))) } else { value.clone() };
            written.insert(owner.clone(), value);
            whole.insert(owner, decided);
        }
    }
    (Accepted(written), Accepted(whole))
}

/// What of a shoot is decided by us where Git does not say it. A manager of its own writes it into the garden's object.
const DECIDED: &[&str] =
    &["/spec/seedName", "/spec/networking/pods", "/spec/networking/services", "/spec/networking/nodes", "/spec/dns/domain"];

/// Admitted manifests carry what was decided earlier, for the rules' sake. Intent is without it: what is written down as accepted
/// and compared between commits is what Git says.
fn intend(admitted: &mut Admitted, landscape: &Landscape, written: &Accepted, memory: &mut Memory) {
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

/// The landscape object that a live object of the garden is, if it is one.
#[must_use]
pub fn owner_of(object: &Object) -> Option<Owner> {
    let kind = Kind::of(&object.api_version, &object.key.kind)?;
    if !kind.namespaced() {
        return Some(Owner::cluster(kind, object.key.name.clone()));
    }
    let project = match object.key.namespace.as_str() {
        "garden" => "garden",
        other => other.strip_prefix("garden-")?,
    };
    Some(Owner::project(kind, project, object.key.name.clone()))
}

/// Admits a commit against what was accepted before.
#[must_use]
pub fn world(
    revision: Revision,
    landscape: Arc<Landscape>,
    loaded: Findings,
    (written, accepted): (Accepted, Accepted),
    library: &Library,
    now: Timestamp,
    memory: &mut Memory,
) -> World {
    let (mut admitted, mut findings) =
        admission::admit(&landscape, &accepted, library.policies(), now.as_second(), &mut memory.admission);
    intend(&mut admitted, &landscape, &written, memory);
    findings.extend(loaded.clone());
    let root = Owner::cluster(Kind::Landscape, landscape.name.clone());
    // Settings that guard are read from the last accepted landscape.yaml where there is one (design §5: from the base).
    let settings = accepted.0.get(&root).or_else(|| admitted.objects.get(&root)).cloned();
    let (going, over) = budget(&admitted, settings.as_deref());
    findings.extend(over);
    let adopt = settings
        .as_deref()
        .and_then(|s| s.pointer("/spec/adopt"))
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let mut owners: BTreeSet<Owner> = admitted.objects.keys().cloned().collect();
    owners.extend(admitted.held.keys().cloned());
    owners.extend(admitted.gone.keys().cloned());
    owners.insert(root.clone());
    let findings = findings.sorted();
    let mut remarks: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.severity != Severity::Error) {
        remarks.entry(finding.owner.clone()).or_default().push(finding.clone());
    }
    World { revision, landscape, admitted, accepted, loaded, findings, root, going, adopt, owners, remarks }
}

/// Code of the finding for deletions beyond the budget.
pub const BUDGET: crate::finding::Code = crate::finding::Code::new("DELETE-BUDGET");

/// The confirmed deletions that may go ahead: all or none, so that a mass deletion is seen as one decision.
#[must_use]
pub fn budget(admitted: &Admitted, settings: Option<&Value>) -> (BTreeSet<Owner>, Findings) {
    let mut findings = Findings::default();
    if admitted.frozen.is_some() {
        return (BTreeSet::new(), findings);
    }
    let confirmed: BTreeSet<Owner> =
        admitted.gone.iter().filter(|(_, gone)| **gone == Gone::Confirmed).map(|(owner, _)| owner.clone()).collect();
    let precious = confirmed.iter().filter(|o| matches!(o.kind, Kind::Shoot | Kind::Seed | Kind::Project)).count();
    let limit = settings.and_then(|s| s.pointer("/spec/guards/maxDeletions")).and_then(Value::as_u64).unwrap_or(5);
    if u64::try_from(precious).unwrap_or(u64::MAX) > limit {
        findings.push(
            Finding::error(BUDGET, format!("{precious} shoots, seeds and projects are confirmed to go, the budget is {limit}"))
                .help("delete fewer at once, or raise spec.guards.maxDeletions in landscape.yaml in a commit before"),
        );
        let kept = confirmed.into_iter().filter(|o| !matches!(o.kind, Kind::Shoot | Kind::Seed | Kind::Project)).collect();
        return (kept, findings);
    }
    (confirmed, findings)
}

impl World {
    /// Every owner that exists in Git or in the garden, in the order of scopes: garden, projects and seeds, shoots.
    #[must_use]
    pub const fn owners(&self) -> &BTreeSet<Owner> {
        &self.owners
    }

    /// Why an owner is held; empty if it is not.
    #[must_use]
    pub fn held(&self, owner: &Owner) -> &[Finding] {
        self.admitted.held.get(owner).map_or(&[], |held| &held.findings)
    }

    /// Warnings and notes about an owner.
    #[must_use]
    pub fn remarks(&self, owner: &Owner) -> &[Finding] {
        self.remarks.get(&owner.to_string()).map_or(&[], Vec::as_slice)
    }

    /// The path that an owner is written at.
    #[must_use]
    pub fn path(&self, owner: &Owner) -> Option<RepoPath> {
        self.landscape.document(owner).map(|d| d.path().clone())
    }

    /// The manifest to act upon: the admitted one, else the last accepted one.
    #[must_use]
    pub fn manifest(&self, owner: &Owner) -> Option<&Arc<Value>> {
        self.admitted.objects.get(owner).or_else(|| self.accepted.0.get(owner))
    }

    /// What the scheduler needs to know of the garden.
    #[must_use]
    pub fn usage(&self, observed: &Observed, plans: &BTreeMap<Owner, Arc<OwnerPlan>>) -> Usage {
        let mut usage = Usage::default();
        for owner in self.owners() {
            match owner.kind {
                Kind::Seed => {
                    let target = Target::Seed(owner.name.clone());
                    let ready = plans.get(owner).is_some_and(|p| settled(p)) && observed.complete(&target);
                    let reason = (!ready).then(|| match plans.get(owner) {
                        Some(plan) => {
                            crate::status::unsettled(plan).unwrap_or_else(|| format!("{target} was not listed completely"))
                        }
                        None => "not evaluated yet".into(),
                    });
                    let failed = |plan: &Arc<OwnerPlan>| {
                        plan.components.iter().any(|c| matches!(c.state, ComponentState::Failed(_) | ComponentState::Held(_)))
                    };
                    let coming_up = !ready && observed.complete(&target) && !plans.get(owner).is_some_and(failed);
                    let state = SeedState { ready, coming_up, deleting: self.going.contains(owner), reason };
                    usage.seeds.insert(owner.name.clone(), state);
                }
                Kind::Shoot => {
                    if let Some(seed) = observed.garden(owner).and_then(|o| o.get("/spec/seedName")).and_then(Value::as_str) {
                        usage.placed.insert(owner.clone(), seed.to_owned());
                    }
                }
                _ => {}
            }
        }
        usage
    }

    /// Decides for all unplaced shoots together. Nothing is decided unless the garden was listed completely.
    #[must_use]
    pub fn place(&self, observed: &Observed, plans: &BTreeMap<Owner, Arc<OwnerPlan>>) -> Placements {
        if !observed.complete(&Target::Garden) {
            return Placements::default();
        }
        schedule::place(&self.admitted, &self.usage(observed, plans))
    }

    /// What stands between an owner and its creation or change: other scopes that are not ready (design §4: garden → projects →
    /// seeds → shoots).
    fn gates(&self, owner: &Owner, look: &Look<'_>, seed: Option<&str>) -> Vec<(String, String)> {
        let mut gates = Vec::new();
        let mut needs = |other: &Owner, name: String| {
            let why = match look.plans.get(other) {
                Some(plan) if settled(plan) => return,
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
        }
        gates
    }

    /// What still uses an owner that is to go: it waits for that.
    fn users(owner: &Owner, observed: &Observed) -> Vec<(String, String)> {
        let Some(garden) = observed.targets.get(&Target::Garden) else { return Vec::new() };
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
        let identity = identity(owner, live.map(Arc::as_ref), look.observed);
        let seed = identity.seed.clone();
        let mut findings = Findings::default();
        let mut needs = BTreeSet::new();

        // Nothing is rendered before the object exists in the garden and, for shoots, its placement and technical id are there.
        let mut releases: Arc<Vec<Arc<Release>>> = Arc::default();
        let mut generate = Vec::new();
        let mut again = None;
        let mut missing = None;
        if let Some(manifest) = &manifest
            && (live.is_some() || owner.kind == Kind::Landscape)
            && (owner.kind != Kind::Shoot || known(&identity))
        {
            let made = self.render(owner, manifest, &identity, look, memory);
            missing = made.missing;
            releases = made.releases;
            needs = made.needs;
            findings = made.findings;
            generate = made.generate;
            again = made.again;
        }

        let own =
            self.admitted.objects.get(owner).filter(|_| !going).map(|value| self.own_object(owner, value, live.map(Arc::as_ref)));
        let (decisions, unplaced) =
            if going { (Vec::new(), None) } else { self.decide(owner, live.map(Arc::as_ref), manifest.as_ref(), look) };
        let gates = if going { Self::users(owner, look.observed) } else { self.gates(owner, look, seed.as_deref()) };
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
            adopt: &self.adopt,
            contested: look.contested,
            again,
        });
        if let Some(why) = missing {
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
        let shown = self.shown(owner, &identity, unplaced, look);
        Evaluation { plan: Arc::new(plan), needs, findings, shown }
    }

    /// The landscape object as it should stand in the garden. A held owner's object stays as it was accepted, with the revision
    /// that it was accepted from.
    fn own_object(&self, owner: &Owner, value: &Arc<Value>, live: Option<&Object>) -> DesiredObject {
        // An unchanged manifest keeps the revision under which it was accepted: a new commit does not rewrite the fleet.
        let written = live.and_then(|l| l.annotations.get(ACCEPTED_ANNOTATION));
        let unchanged = written.is_some_and(|old| *old == crate::digest::canonical(value));
        let accepted_revision = live.and_then(|l| l.annotations.get(ACCEPTED_REVISION_ANNOTATION)).filter(|_| unchanged);
        let revision = accepted_revision.map_or_else(|| self.revision.clone(), |r| Revision(r.clone()));
        render::object(owner, value, &revision)
    }

    fn decide(
        &self,
        owner: &Owner,
        live: Option<&Object>,
        manifest: Option<&Value>,
        look: &Look<'_>,
    ) -> (Vec<Step>, Option<String>) {
        if owner.kind != Kind::Shoot {
            return (Vec::new(), None);
        }
        let (Some(live), Some(manifest)) = (live, manifest) else { return (Vec::new(), None) };
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

    fn shown(&self, owner: &Owner, identity: &Identity, unplaced: Option<String>, look: &Look<'_>) -> Shown {
        let mut shown = Shown {
            seed: identity.seed.clone(),
            unplaced,
            technical_id: identity.technical_id.clone(),
            cluster_identity: identity.cluster_identity.clone(),
            networking: None,
            addresses: Vec::new(),
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
            if shown.cluster_identity.is_none()
                && let Some(uid) = &identity.uid
            {
                let garden = identity.garden_identity.clone().unwrap_or_else(|| self.root.name.clone());
                shown.cluster_identity = Some(format!("{namespace}-{uid}-{garden}"));
            }
        }
        shown
    }
}

/// What rendering an owner came to.
#[derive(Default)]
struct Made {
    releases: Arc<Vec<Arc<Release>>>,
    needs: BTreeSet<SecretRef>,
    findings: Findings,
    generate: Vec<secrets::Generate>,
    again: Option<i64>,
    missing: Option<String>,
}

impl World {
    /// Renders an owner, or takes what was rendered before from the same inputs.
    fn render(&self, owner: &Owner, manifest: &Value, identity: &Identity, look: &Look<'_>, memory: &mut Memory) -> Made {
        let objects = self.objects_for(owner, manifest, identity.seed.as_deref());
        let known = memory
            .prepared
            .get(owner)
            .filter(|ready| ready.library == *look.library.digest() && ready.identity == *identity && ready.objects == objects);
        let prepared = if let Some(ready) = known {
            ready.prepared.clone()
        } else {
            let prepared = match render::prepare(&objects, owner, identity, look.library) {
                Ok(Some(prepared)) => Arc::new(prepared),
                Ok(None) => return Made::default(),
                Err(missing) => return Made { missing: Some(missing.to_string()), ..Made::default() },
            };
            let library = look.library.digest().clone();
            let ready = Ready { objects, identity: identity.clone(), library, prepared: prepared.clone() };
            memory.prepared.insert(owner.clone(), ready);
            prepared
        };
        if matches!(owner.kind, Kind::Landscape | Kind::Seed) {
            // Others read their facts.
            memory.exports.insert(owner.clone(), (Arc::new(manifest.clone()), prepared.exports.clone()));
        }
        let have = managed_secrets(look.observed, &prepared.target, &prepared.secret_namespace);
        let ensured = secrets::ensure(&prepared.wants, &prepared.secret_namespace, &prepared.target, &have, look.now.as_second());
        let mut generate = ensured.generate.clone();
        for secret in &mut generate {
            // Selects it for this owner; it carries no tracking, so it is never pruned by us.
            secret.labels.insert(OWNER_LABEL.to_owned(), owner.label());
        }
        let mut facts = Facts::collect(look.observed, &prepared.exports);
        if let Some(seed) = &identity.seed {
            let seed = Owner::cluster(Kind::Seed, seed.clone());
            facts = facts.with(Scope::Seed, &Facts::collect(look.observed, &self.exports_of(&seed, look, memory)));
        }
        if owner.kind != Kind::Landscape {
            facts = facts.with(Scope::Garden, &Facts::collect(look.observed, &self.exports_of(&self.root, look, memory)));
        }
        let none = Bodies::default();
        let inputs = render::Inputs {
            prepared: &prepared,
            library: look.library,
            ensured: Some(&ensured),
            facts: &facts,
            bodies: &none,
            digest_key: look.digest_key,
            offline: false,
        };
        let input = render::input(&inputs);
        let version = |secret: &SecretRef| {
            let key = ObjectKey::new("", "Secret", &secret.namespace, &secret.name);
            look.observed.get(&secret.target, &key).map(|o| o.resource_version.clone())
        };
        let again = ensured.again;
        if let Some(kept) = memory.rendered.get(owner)
            && kept.input == input
            && kept.secrets.iter().all(|(secret, at)| version(secret) == *at)
        {
            return Made { releases: kept.releases.clone(), findings: kept.findings.clone(), generate, again, ..Made::default() };
        }
        memory.renders += 1;
        let made = render::render(&render::Inputs { bodies: look.bodies, ..inputs });
        let releases: Arc<Vec<Arc<Release>>> = Arc::new(made.releases.into_iter().map(Arc::new).collect());
        if made.needs_bodies.is_empty() {
            let secrets = look.bodies.0.keys().map(|secret| (secret.clone(), version(secret))).collect();
            let kept = Kept { input, secrets, releases: releases.clone(), findings: made.findings.clone() };
            memory.rendered.insert(owner.clone(), kept);
        }
        Made { releases, needs: made.needs_bodies, findings: made.findings, generate, again, missing: None }
    }

    /// The manifests that an owner's context is made from.
    fn objects_for(&self, owner: &Owner, manifest: &Value, seed: Option<&str>) -> Objects {
        let mut objects: Objects = sources(self, owner, seed)
            .into_iter()
            .filter_map(|source| self.manifest(&source).map(|value| (source, value.clone())))
            .collect();
        objects.insert(owner.clone(), Arc::new(manifest.clone()));
        objects
    }

    /// Where the facts of another scope are found; as of that owner's latest look, or prepared now.
    fn exports_of(&self, owner: &Owner, look: &Look<'_>, memory: &Memory) -> Vec<Exported> {
        let Some(manifest) = self.manifest(owner) else { return Vec::new() };
        if let Some((known, exports)) = memory.exports.get(owner)
            && known == manifest
        {
            return exports.clone();
        }
        let live = look.observed.garden(owner).filter(|o| o.is_tracked());
        let identity = identity(owner, live.map(Arc::as_ref), look.observed);
        let objects = self.objects_for(owner, manifest, None);
        render::prepare(&objects, owner, &identity, look.library).ok().flatten().map(|p| p.exports).unwrap_or_default()
    }
}

/// The Secrets of a namespace that the secrets manager's labels mark.
fn managed_secrets<'a>(observed: &'a Observed, target: &Target, namespace: &str) -> Vec<&'a Object> {
    let Some(live) = observed.targets.get(target) else { return Vec::new() };
    let first = ObjectKey::new("", "Secret", namespace, "");
    live.objects
        .range(first..)
        .take_while(|(key, _)| key.group.is_empty() && key.kind == "Secret" && key.namespace == namespace)
        .map(|(_, object)| object.as_ref())
        .filter(|object| object.labels.get("managed-by").is_some_and(|m| m == "secrets-manager"))
        .collect()
}

/// Where the key for digests of secret content is, once it was made.
#[must_use]
pub fn digest_key_ref(observed: &Observed) -> Option<SecretRef> {
    let named = managed_secrets(observed, &Target::Garden, "garden")
        .into_iter()
        .filter(|s| s.labels.get("name").is_some_and(|n| n == secrets::DIGEST_KEY));
    let newest = named.max_by_key(|s| s.key.name.clone())?;
    Some(SecretRef { target: Target::Garden, namespace: "garden".into(), name: newest.key.name.clone() })
}

/// `shoot--<project>--<name>` (`control-plane-objects.md` §1). Once in the garden's status it is reused as it is.
#[must_use]
pub fn technical_id(owner: &Owner) -> String {
    format!("shoot--{}--{}", owner.project, owner.name)
}

fn known(identity: &Identity) -> bool {
    identity.uid.is_some() && identity.technical_id.is_some() && identity.seed.is_some()
}

/// What the garden knows about an owner.
fn identity(owner: &Owner, live: Option<&Object>, observed: &Observed) -> Identity {
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
        garden_identity: None,
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

/// The manifest with the decisions that stand beside it in the garden.
fn with_decisions(manifest: &Value, live: Option<&Object>) -> Value {
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

/// Landscape objects whose manifests enter an owner's context: a change of one is a change for the other.
#[must_use]
pub fn sources(world: &World, owner: &Owner, placed: Option<&str>) -> BTreeSet<Owner> {
    let mut out = BTreeSet::new();
    if owner.kind != Kind::Landscape {
        out.insert(world.root.clone());
    }
    let Some(manifest) = world.manifest(owner) else { return out };
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
    if owner.kind.namespaced() {
        out.insert(Owner::cluster(Kind::Project, owner.project.clone()));
    }
    if owner.kind == Kind::Shoot {
        match text("/spec/cloudProfile/kind") {
            Some("NamespacedCloudProfile") => {
                let name = text("/spec/cloudProfile/name").unwrap_or_default();
                let namespaced = Owner::project(Kind::NamespacedCloudProfile, owner.project.clone(), name);
                if let Some(parent) =
                    world.manifest(&namespaced).and_then(|m| m.pointer("/spec/parent/name")).and_then(Value::as_str)
                {
                    out.insert(Owner::cluster(Kind::CloudProfile, parent));
                }
                out.insert(namespaced);
            }
            _ => {
                if let Some(name) = text("/spec/cloudProfile/name").or_else(|| text("/spec/cloudProfileName")) {
                    out.insert(Owner::cluster(Kind::CloudProfile, name));
                }
            }
        }
        for (pointer, kind) in
            [("/spec/credentialsBindingName", Kind::CredentialsBinding), ("/spec/secretBindingName", Kind::SecretBinding)]
        {
            if let Some(name) = text(pointer) {
                out.insert(Owner::project(kind, owner.project.clone(), name));
            }
        }
        if let Some(name) = text("/spec/exposureClassName") {
            out.insert(Owner::cluster(Kind::ExposureClass, name));
        }
        if let Some(seed) = placed.or_else(|| text("/spec/seedName")) {
            out.insert(Owner::cluster(Kind::Seed, seed));
        }
        // Registrations say which extensions are switched on without being asked for.
        out.extend(world.admitted.of_kind(Kind::ControllerRegistration).map(|(registration, _)| registration.clone()));
        let binding = text("/spec/credentialsBindingName")
            .map(|name| Owner::project(Kind::CredentialsBinding, owner.project.clone(), name));
        if let Some(reference) = binding.and_then(|b| world.manifest(&b)).and_then(|b| b.pointer("/credentialsRef"))
            && reference.get("kind").and_then(Value::as_str) == Some("WorkloadIdentity")
            && let Some(name) = reference.get("name").and_then(Value::as_str)
        {
            let namespace = reference.get("namespace").and_then(Value::as_str).unwrap_or_default();
            let project =
                if namespace == "garden" { "garden" } else { namespace.strip_prefix("garden-").unwrap_or(&owner.project) };
            out.insert(Owner::project(Kind::WorkloadIdentity, project, name));
        }
    }
    out
}
