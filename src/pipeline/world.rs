//! What one commit means at garden scope: who is admitted, held, gone or confirmed to go, and where shoots belong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Memory;
use super::decided::{intend, with_decisions};
use super::found::seed_of;
use super::freeze::{self, Freeze};
use super::rollout::{self, Asked, is_urgent};
use crate::admission::{self, Accepted, Admitted, Gone};
use crate::finding::{Code, Finding, Findings, Severity};
use crate::landscape::{Kind, Landscape, Owner, Target};
use crate::library::Library;
use crate::observed::{ACCEPTED_ANNOTATION, Object, Observed, project_of};
use crate::plan::when::Waiting;
use crate::plan::{ComponentState, OwnerPlan, serves};
use crate::schedule::{self, Placements, SeedState, Usage};
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
    /// The freezes that are in force.
    pub freezes: Vec<Freeze>,
    /// Shoots whose new spec waits for their maintenance window.
    pub waiting: BTreeMap<Owner, Waiting>,
    /// Shoots that wait for no window.
    pub urgent: BTreeSet<Owner>,
    /// The settings that guard.
    pub settings: Option<Arc<Value>>,
    owners: BTreeSet<Owner>,
    remarks: BTreeMap<String, Vec<Finding>>,
}

/// What the garden knows of what was accepted before.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The last accepted manifests as they are written.
    pub written: Accepted,
    /// The same with the decisions that stand beside them.
    pub whole: Accepted,
    /// Shoots that wait for no maintenance window.
    pub urgent: BTreeSet<Owner>,
}

/// The last accepted manifests, from the garden's objects.
#[must_use]
pub fn accepted(observed: &Observed) -> Before {
    let (mut written, mut whole, mut urgent) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for object in observed.targets.get(&Target::Garden).into_iter().flat_map(|live| live.objects.values()) {
        if let Some(owner) = owner_of(object)
            && object.is_tracked()
            && let Some(text) = object.annotations.get(ACCEPTED_ANNOTATION)
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            if owner.kind == Kind::Shoot && is_urgent(object) {
                urgent.insert(owner.clone());
            }
            let value = Arc::new(value);
            let decided = if owner.kind == Kind::Shoot { Arc::new(with_decisions(&value, Some(object))) } else { value.clone() };
            written.insert(owner.clone(), value);
            whole.insert(owner, decided);
        }
    }
    Before { written: Accepted(Arc::new(written)), whole: Accepted(Arc::new(whole)), urgent }
}

/// The landscape object that a live object of the garden is, if it is one.
#[must_use]
pub fn owner_of(object: &Object) -> Option<Owner> {
    let kind = Kind::of(&object.api_version, &object.key.kind)?;
    if !kind.namespaced() {
        return Some(Owner::cluster(kind, object.key.name.clone()));
    }
    Some(Owner::project(kind, project_of(&object.key.namespace)?, object.key.name.clone()))
}

/// Admits a commit against what was accepted before.
#[must_use]
pub fn world(
    revision: Revision,
    landscape: Arc<Landscape>,
    loaded: Findings,
    before: Before,
    library: &Library,
    now: Timestamp,
    memory: &mut Memory,
) -> World {
    let Before { written, whole: accepted, urgent } = before;
    let (mut admitted, mut findings) =
        admission::admit(&landscape, &accepted, library.policies(), now.as_second(), &mut memory.admission);
    intend(&mut admitted, &landscape, &written, memory);
    findings.extend(loaded.clone());
    let root = Owner::cluster(Kind::Landscape, admitted.landscape.clone());
    // Settings that guard are read from the last accepted landscape.yaml where there is one (design §5: from the base).
    let settings = accepted.0.get(&root).or_else(|| admitted.objects.get(&root)).cloned();
    let (freezes, next) = freeze::in_force(settings.as_deref(), now);
    let asked = Asked { freezes: &freezes, settings: settings.as_deref(), urgent: &urgent, now };
    let (waiting, kept_back) = rollout::keep_back(&mut admitted, &written, &asked);
    findings.extend(kept_back);
    let opens = waiting.values().map(|waiting| waiting.span.begin).min();
    admitted.again = [admitted.again, next, opens].into_iter().flatten().min();
    let (going, over) = budget(&admitted, settings.as_deref());
    hold_back(&mut admitted, &going, &over);
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
    World {
        revision,
        landscape,
        admitted,
        accepted,
        loaded,
        findings,
        root,
        going,
        adopt,
        freezes,
        waiting,
        urgent,
        settings,
        owners,
        remarks,
    }
}

/// Says of every owner that is confirmed to go, and does not, why it stays and what to do.
fn hold_back(admitted: &mut Admitted, going: &BTreeSet<Owner>, over: &Findings) {
    let staying = admitted.gone.iter().filter(|(owner, gone)| **gone == Gone::Confirmed && !going.contains(*owner));
    for owner in staying.map(|(owner, _)| owner.clone()).collect::<Vec<_>>() {
        let finding = match (&admitted.frozen, over.iter().next()) {
            (Some(why), _) => {
                Finding::error(Code::new("DELETE-FROZEN"), format!("it is confirmed to go, but nothing is deleted: {why}"))
                    .help("mend or remove that document")
            }
            (None, Some(over)) => Finding { owner: String::new(), ..over.clone() },
            (None, None) => continue,
        };
        admitted.held.entry(owner.clone()).or_default().findings.push(finding.of(&owner));
    }
}

/// Code of the finding for deletions beyond the budget.
pub const BUDGET: Code = Code::new("DELETE-BUDGET");

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

    /// The owners of one kind.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Owner> {
        self.owners.range(Owner::cluster(kind, "")..).take_while(move |owner| owner.kind == kind)
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

    /// What is meant for an owner: what waits for a maintenance window included.
    #[must_use]
    pub fn meant(&self, owner: &Owner) -> Option<&Arc<Value>> {
        self.waiting.get(owner).map(|waiting| &waiting.wanted).or_else(|| self.admitted.objects.get(owner))
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
                    let ready = plans.get(owner).is_some_and(|p| serves(p)) && observed.complete(&target);
                    let reason = (!ready).then(|| match plans.get(owner) {
                        Some(plan) => {
                            crate::status::unsettled(plan).unwrap_or_else(|| format!("{target} was not listed completely"))
                        }
                        None => "not evaluated yet".into(),
                    });
                    let failed = |plan: &Arc<OwnerPlan>| {
                        let stuck = |state: &ComponentState| matches!(state, ComponentState::Failed(_) | ComponentState::Held(_));
                        plan.components.iter().any(|c| !c.id.is_for_item() && stuck(&c.state))
                    };
                    let coming_up = !ready && observed.complete(&target) && !plans.get(owner).is_some_and(failed);
                    let state = SeedState { ready, coming_up, deleting: self.going.contains(owner), reason };
                    usage.seeds.insert(owner.name.clone(), state);
                }
                Kind::Shoot => {
                    let placed = observed.garden(owner).and_then(|o| o.get("/spec/seedName")).and_then(Value::as_str);
                    // A garden that was restored empty does not know yet; the seed does.
                    if let Some(seed) = placed.or_else(|| seed_of(owner, observed)) {
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
    if owner.kind == Kind::Seed {
        // Seeds have gateways for the exposure classes that may be used on them.
        out.extend(world.admitted.of_kind(Kind::ExposureClass).map(|(class, _)| class.clone()));
        // And extensions.
        for kind in [Kind::ControllerRegistration, Kind::ControllerDeployment] {
            out.extend(world.of_kind(kind).cloned());
        }
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
        for resource in manifest.pointer("/spec/resources").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let field = |field: &str| resource.pointer(&format!("/resourceRef/{field}")).and_then(serde_json::Value::as_str);
            if let (Some("WorkloadIdentity"), Some(name)) = (field("kind"), field("name")) {
                out.insert(Owner::project(Kind::WorkloadIdentity, owner.project.clone(), name));
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
            let project = project_of(namespace).unwrap_or(&owner.project);
            out.insert(Owner::project(Kind::WorkloadIdentity, project, name));
        }
    }
    out
}
