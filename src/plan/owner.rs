//! The plan of one owner: its desired objects against its live ones, gated by the graph of its components.
//!
//! *Needs gate the first creation and changes of content; they never gate repair of drift.* Nothing is created or deleted on a
//! cluster that could not be listed completely, and nothing is deleted of a component that waits, failed or is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::covers::uncovered;
use super::token;
use super::watchdog::yielding;
use super::{Action, ComponentPlan, ComponentState, Operation, OwnerPlan, Step, delete};
use crate::digest::Digest;
use crate::health::{self, Health, health};
use crate::landscape::{Owner, Target};
use crate::observed::{COMPONENT_LABEL, Object, ObjectKey, Observed};
use crate::render::{Component, DeletePhase, DesiredObject, Ready, Release, RenderState, Rendered, Trigger, operated};
use crate::secrets::Generate;

use super::when::Span;

/// The name of the component that is the landscape object itself, written into the garden. Everything else of an owner needs it:
/// a spec is accepted in the garden before it is acted upon.
pub const MANIFEST: &str = "manifest";

/// The annotation of objects that are ours only where nobody else brought them (the engines' CustomResourceDefinitions).
const ONLY_IF_ABSENT: &str = "/metadata/annotations/render.espalier.dev~1only-if-absent";

/// Fields that an API server refuses to change: a difference means delete and create.
const IMMUTABLE: &[(&str, &str, &[&str])] = &[
    ("extensions.gardener.cloud", "DNSRecord", &["/spec/name", "/spec/recordType"]),
    ("rbac.authorization.k8s.io", "RoleBinding", &["/roleRef"]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &["/roleRef"]),
    ("scheduling.k8s.io", "PriorityClass", &["/value"]),
];

/// The pointers of objects' bodies that planning compares, for the observer to keep: group, kind, pointers.
#[must_use]
pub const fn compared() -> &'static [(&'static str, &'static str, &'static [&'static str])] {
    IMMUTABLE
}

/// Everything that one owner's plan is made from.
pub struct Request<'a> {
    /// Whose plan.
    pub owner: &'a Owner,
    /// What it wants, per cluster.
    pub releases: &'a [Arc<Release>],
    /// The landscape object as it should stand in the garden; `None` if this owner has none (or is being deleted).
    pub manifest: Option<&'a DesiredObject>,
    /// The component that must be ready before the landscape object itself can be written, instead of after it: for the Landscape,
    /// the definition of its own kind.
    pub manifest_after: Option<&'a str>,
    /// Decisions to write into the garden's object before they are acted upon.
    pub decisions: Vec<Step>,
    /// Secrets that are missing.
    pub generate: Vec<Generate>,
    /// What is live.
    pub observed: &'a Observed,
    /// What must be there before anything of this owner may be created or changed: name of the gate and why it is shut.
    pub gates: &'a [(String, String)],
    /// Whether the owner is held: repaired, but neither extended nor pruned.
    pub held: bool,
    /// Whether it is confirmed to go.
    pub deleting: bool,
    /// Whether it is hibernated: then its resource manager does not run.
    pub asleep: bool,
    /// Objects named for adoption, as `Kind/namespace/name`.
    pub adopt: &'a BTreeSet<String>,
    /// Objects whose fields somebody else rewrites each time: reported, not fought.
    pub contested: &'a BTreeSet<(Target, ObjectKey)>,
    /// When to look again.
    pub again: Option<i64>,
    /// The time, in seconds since the epoch.
    pub now: i64,
    /// The maintenance window before which nothing that is there gets other content, and nothing goes: what the owner is rendered
    /// from has changed. What is missing is made all the same.
    pub waits: Option<Span>,
}

/// Plans one owner.
#[must_use]
pub fn plan(request: Request<'_>) -> OwnerPlan {
    if request.deleting {
        return delete::plan(&request);
    }
    let mut plan = OwnerPlan {
        owner: request.owner.clone(),
        operation: operation(&request),
        components: Vec::new(),
        generate: Vec::new(),
        progress: 0,
        again: request.again,
        waits: None,
    };
    let accepted = match request.manifest {
        Some(manifest) if request.manifest_after.is_none() => {
            let component = manifest_plan(&request, manifest, Vec::new());
            let accepted = component.state == ComponentState::Ready;
            plan.components.push(component);
            accepted
        }
        Some(_) | None => true,
    };
    let open = accepted && request.gates.is_empty();
    if open && request.releases.iter().all(|r| request.observed.complete(&r.target)) {
        // A secret is made once its namespace is there; asking earlier would only fail.
        let housed = |g: &Generate| {
            let namespace = ObjectKey::new("", "Namespace", "", &g.namespace);
            request.observed.get(&g.target, &namespace).is_some_and(|n| !n.deleting)
        };
        plan.generate = request.generate.iter().filter(|g| request.observed.complete(&g.target) && housed(g)).cloned().collect();
    }

    let mut settled: BTreeMap<&str, bool> = BTreeMap::new();
    let mut waits = false;
    for (release, rendered) in in_graph_order(request.releases) {
        let unmet: Vec<String> =
            rendered.component.needs.iter().filter(|need| settled.get(need.as_str()) == Some(&false)).cloned().collect();
        let mut component = component_plan(&request, release, rendered, open, accepted, unmet);
        // Kept as it was rolled out last, a component holds up nobody who needs it.
        let kept = put_off(&request, rendered, &mut component);
        waits |= kept;
        let ready = kept || matches!(component.state, ComponentState::Ready | ComponentState::Skipped(_));
        settled.insert(&rendered.component.id.name, ready);
        plan.components.push(component);
        let tokens = rendered.objects.iter().filter(|object| token::waits(object));
        let renews = tokens.filter_map(|object| token::renews(request.observed.get(&release.target, &object.key)?));
        plan.again = plan.again.into_iter().chain(renews).min();
    }
    if let (Some(manifest), Some(after)) = (request.manifest, request.manifest_after) {
        let unmet = if settled.get(after) == Some(&true) { Vec::new() } else { vec![after.to_owned()] };
        let component = manifest_plan(&request, manifest, unmet);
        plan.components.push(component);
    }
    delete::prune(&request, &mut plan);
    put_off_deletions(&request, &mut plan, waits);
    plan.progress = progress(&plan);
    plan
}

/// Puts off what a component is to wait with: other content, what goes with it, and a component of which nothing is there yet. What
/// is missing of one that is otherwise as wanted is made. Says whether something waits.
fn put_off(request: &Request<'_>, rendered: &Rendered, component: &mut ComponentPlan) -> bool {
    let Some(span) = request.waits else { return false };
    let there = |object: &DesiredObject| request.observed.get(&component.target, &object.key).is_some();
    let repairs = |step: &Step| step.action.is_repair();
    let makes = |step: &Step| matches!(step.action, Action::Create { .. });
    let steps = || component.steps.iter().chain(&component.later);
    let missing_only = steps().all(|step| repairs(step) || makes(step)) && rendered.objects.iter().any(there);
    if missing_only || steps().all(repairs) {
        return false;
    }
    let (now, later): (Vec<Step>, Vec<Step>) = std::mem::take(&mut component.steps).into_iter().partition(repairs);
    component.steps = now;
    component.later.extend(later);
    component.state = ComponentState::Waiting(span.to_string());
    true
}

/// Puts off what is to go, as [`put_off`] does with what is there; sets when to look again if anything waits.
fn put_off_deletions(request: &Request<'_>, plan: &mut OwnerPlan, waits: bool) {
    let Some(span) = request.waits else { return };
    let mut waits = waits;
    for component in &mut plan.components {
        let goes = |step: &Step| matches!(step.action, Action::Delete { .. });
        let (later, now): (Vec<Step>, Vec<Step>) = std::mem::take(&mut component.steps).into_iter().partition(goes);
        component.steps = now;
        if !later.is_empty() {
            waits = true;
            component.later.extend(later);
            component.state = ComponentState::Waiting(span.to_string());
        }
    }
    if waits {
        plan.waits = Some(span);
        plan.again = Some(plan.again.map_or(span.begin, |again| again.min(span.begin)));
    }
}

fn operation(request: &Request<'_>) -> Operation {
    let Some(object) = request.observed.garden(request.owner) else { return Operation::Create };
    let last = |field: &str| object.get(&format!("/status/lastOperation/{field}")).and_then(Value::as_str);
    match (last("type"), last("state")) {
        (None, _) => Operation::Create,
        (Some("Create"), state) if state != Some("Succeeded") => Operation::Create,
        _ => Operation::Reconcile,
    }
}

/// All components of an owner, over its releases, in an order that respects needs. Each release is in graph order already; a
/// component of one cluster may need one of the other, so the releases are merged.
fn in_graph_order(releases: &[Arc<Release>]) -> Vec<(&Release, &Rendered)> {
    let mut queues: Vec<(&Release, std::collections::VecDeque<&Rendered>)> =
        releases.iter().map(|r| (&**r, r.components.iter().collect())).collect();
    let mut left: BTreeSet<&str> =
        releases.iter().flat_map(|r| r.components.iter().map(|c| c.component.id.name.as_str())).collect();
    let mut out = Vec::new();
    loop {
        let mut moved = false;
        for (release, queue) in &mut queues {
            while let Some(next) = queue.front().copied()
                && !next.component.needs.iter().any(|need| left.contains(need.as_str()))
            {
                queue.pop_front();
                left.remove(next.component.id.name.as_str());
                out.push((*release, next));
                moved = true;
            }
        }
        if !moved {
            // Only if needs form a cycle, which compiling the library refuses; nothing may be lost even then.
            for (release, queue) in queues {
                out.extend(queue.into_iter().map(|rendered| (release, rendered)));
            }
            return out;
        }
    }
}

fn manifest_plan(request: &Request<'_>, manifest: &DesiredObject, unmet: Vec<String>) -> ComponentPlan {
    let mut plan = ComponentPlan {
        id: crate::render::ComponentId { scope: crate::render::Scope::Garden, name: MANIFEST.into() },
        target: Target::Garden,
        beside: false,
        state: ComponentState::Ready,
        steps: Vec::new(),
        later: Vec::new(),
    };
    if !request.observed.complete(&Target::Garden) {
        plan.state = ComponentState::Held(incomplete(request.observed, &Target::Garden));
        return plan;
    }
    let live = request.observed.get(&Target::Garden, &manifest.key);
    if let Some(live) = live.filter(|l| l.deleting) {
        plan.state = ComponentState::Held(format!("{} was deleted in the garden by hand; it is kept by its finalizer", live.key));
        return plan;
    }
    match compare(request, &Target::Garden, manifest, Trigger::None) {
        Verdict::Keep => {}
        Verdict::Foreign(why) => plan.state = ComponentState::Held(why),
        Verdict::Step(step) => {
            let drift = matches!(step.action, Action::Update { drift: true, .. });
            if !unmet.is_empty() {
                plan.state = ComponentState::Blocked(unmet);
                plan.later.push(*step);
            } else if request.gates.is_empty() || drift {
                plan.state = ComponentState::Progressing("writing it into the garden".into());
                plan.steps.push(*step);
            } else {
                plan.state = ComponentState::Blocked(request.gates.iter().map(|(name, why)| gate(name, why)).collect());
                plan.later.push(*step);
            }
        }
    }
    if plan.state == ComponentState::Ready && !request.decisions.is_empty() {
        plan.state = ComponentState::Progressing("writing decisions into the garden".into());
        plan.steps.extend(request.decisions.iter().cloned());
    }
    plan
}

fn gate(name: &str, why: &str) -> String {
    if why.is_empty() { name.to_owned() } else { format!("{name} ({why})") }
}

fn incomplete(observed: &Observed, target: &Target) -> String {
    let why = observed.targets.get(target).and_then(|live| live.problem.clone()).unwrap_or_else(|| "it was not reached".into());
    format!("{target} could not be listed completely: {why}")
}

enum Verdict {
    Keep,
    Foreign(String),
    Step(Box<Step>),
}

fn compare(request: &Request<'_>, target: &Target, desired: &DesiredObject, trigger: Trigger) -> Verdict {
    let step = |action: Action, reason: String, digest: Option<Digest>| {
        Verdict::Step(Box::new(Step {
            target: target.clone(),
            key: desired.key.clone(),
            api_version: desired.api_version.clone(),
            action,
            reason,
            changes: Vec::new(),
            digest,
        }))
    };
    let trigger = trigger == Trigger::Reconcile && triggered(&desired.key);
    let digest = Some(desired.digest.clone());
    let Some(live) = request.observed.get(target, &desired.key) else {
        let action = Action::Create { body: Arc::clone(desired.body.value()), once: desired.once.clone(), trigger };
        return step(action, "does not exist".into(), digest);
    };
    if !live.is_tracked() {
        if desired.body.pointer(ONLY_IF_ABSENT).is_some() {
            return Verdict::Keep;
        }
        if request.adopt.contains(&live.key.to_string()) {
            return step(Action::Adopt { body: Arc::clone(desired.body.value()) }, "named for adoption".into(), digest);
        }
        return Verdict::Foreign(format!(
            "{} exists in {target} and is not ours: name it under `adopt` in landscape.yaml, or remove it",
            live.key
        ));
    }
    if live.deleting {
        return Verdict::Keep; // health says that it is going; it is created again once it is gone
    }
    let body = yielding(live, desired.body.value());
    if live.digest() != Some(desired.digest.as_str()) {
        if let Some(pointer) = immutable_difference(live, desired) {
            let action = Action::Recreate { uid: live.uid.clone(), resource_version: live.resource_version.clone() };
            return step(action, format!("{pointer} cannot be changed in place"), None);
        }
        let action = Action::Update { uid: live.uid.clone(), body, once: desired.once.clone(), drift: false, trigger };
        return step(action, "its content changed".into(), digest);
    }
    let missing = match &live.fields {
        None => Some("the whole object".to_owned()),
        Some(fields) => uncovered(fields, &body),
    };
    if let Some(missing) = missing
        && !request.contested.contains(&(target.clone(), desired.key.clone()))
    {
        let action = Action::Update { uid: live.uid.clone(), body, once: desired.once.clone(), drift: true, trigger };
        return step(action, format!("somebody changed {missing}"), digest);
    }
    if trigger && lost_trigger(live) {
        return step(Action::Trigger, "was never asked to reconcile".into(), digest);
    }
    if token::waits(desired)
        && let Some((action, why)) = token::due(desired, live, request.now)
    {
        return step(action, why.into(), digest);
    }
    Verdict::Keep
}

/// Kinds that follow the extension handshake.
fn triggered(key: &ObjectKey) -> bool {
    (key.group == "extensions.gardener.cloud" && key.kind != "Cluster")
        || (key.group == "druid.gardener.cloud" && key.kind == "Etcd")
}

/// Applied, but the request to act on it is missing: a crash between the two writes, or a request that was overwritten.
fn lost_trigger(live: &Object) -> bool {
    if live.annotations.contains_key(health::OPERATION) || live.annotations.contains_key("druid.gardener.cloud/operation") {
        return false;
    }
    if !live.annotations.contains_key(health::TIMESTAMP) {
        return true;
    }
    let observed = live.get("/status/observedGeneration").and_then(Value::as_i64).unwrap_or(0);
    let state = live.get("/status/lastOperation/state").and_then(Value::as_str);
    observed < live.generation && matches!(state, Some("Succeeded"))
}

fn immutable_difference(live: &Object, desired: &DesiredObject) -> Option<&'static str> {
    let (_, _, pointers) = IMMUTABLE.iter().find(|(group, kind, _)| *group == desired.key.group && *kind == desired.key.kind)?;
    pointers.iter().copied().find(|pointer| {
        let (before, after) = (live.get(pointer), desired.body.pointer(pointer));
        before.is_some() && after.is_some() && before != after
    })
}

fn component_plan(
    request: &Request<'_>,
    release: &Release,
    rendered: &Rendered,
    open: bool,
    accepted: bool,
    unmet: Vec<String>,
) -> ComponentPlan {
    let target = &release.target;
    let component = &*rendered.component;
    let mut plan = ComponentPlan {
        id: component.id.clone(),
        target: target.clone(),
        beside: component.beside,
        state: ComponentState::Ready,
        steps: Vec::new(),
        later: Vec::new(),
    };
    match &rendered.state {
        RenderState::Wanted => {}
        RenderState::Skipped(why) => {
            plan.state = ComponentState::Skipped(why.clone());
            return plan;
        }
        RenderState::Waiting(why) => {
            plan.state = ComponentState::Waiting(why.clone());
            return plan;
        }
        RenderState::Failed(why) => {
            plan.state = ComponentState::Failed(why.clone());
            return plan;
        }
    }
    let complete = request.observed.complete(target);
    let mut foreign = None;
    for desired in &rendered.objects {
        match compare(request, target, desired, component.trigger) {
            Verdict::Keep => {}
            Verdict::Foreign(why) => foreign = foreign.or(Some(why)),
            Verdict::Step(step) => {
                if step.action.is_repair() || (open && unmet.is_empty() && complete) {
                    plan.steps.push(*step);
                } else {
                    plan.later.push(*step);
                }
            }
        }
    }
    plan.state = if let Some(why) = foreign {
        ComponentState::Held(why)
    } else if !plan.later.is_empty() {
        if !complete {
            ComponentState::Held(incomplete(request.observed, target))
        } else if !request.gates.is_empty() {
            ComponentState::Blocked(request.gates.iter().map(|(name, why)| gate(name, why)).collect())
        } else if !accepted {
            ComponentState::Blocked(vec![MANIFEST.into()])
        } else {
            ComponentState::Blocked(unmet)
        }
    } else if !plan.steps.is_empty() {
        ComponentState::Progressing(format!("{} to apply", objects(plan.steps.len())))
    } else {
        component_health(request.observed, target, rendered, component)
    };
    plan
}

fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

fn component_health(observed: &Observed, target: &Target, rendered: &Rendered, component: &Component) -> ComponentState {
    let mut progressing = None;
    for desired in &rendered.objects {
        let Some(live) = observed.get(target, &desired.key) else { continue };
        let mut found = health(live, &component.ready);
        if found == Health::Ready
            && component.ready == Ready::Operated
            && let Some(made) = operated(&desired.key)
        {
            found = health::made(&desired.key, &made, observed.get(target, &made).map(Arc::as_ref));
        }
        match found {
            Health::Ready => {}
            Health::Progressing(why) => progressing = progressing.or(Some(why)),
            Health::Failed { why, .. } => return ComponentState::Failed(why),
        }
    }
    progressing.map_or(ComponentState::Ready, ComponentState::Progressing)
}

fn progress(plan: &OwnerPlan) -> u8 {
    let wanted = plan.components.iter().filter(|c| !matches!(c.state, ComponentState::Skipped(_))).count();
    let ready = plan.components.iter().filter(|c| c.state == ComponentState::Ready).count();
    match (ready * 100).checked_div(wanted) {
        Some(percent) => u8::try_from(percent).unwrap_or(100),
        None => 100,
    }
}

/// The component that wrote a live object, by its label.
pub(super) fn component_of(object: &Object) -> &str {
    object.labels.get(COMPONENT_LABEL).map_or("", String::as_str)
}

/// Whether a live object is ours to delete: tracked, not controlled by something else, and its component not retained.
pub(super) fn may_go(object: &Object, components: &BTreeMap<&str, (&Component, &RenderState)>) -> bool {
    object.is_tracked()
        && !object.controlled
        && components.get(component_of(object)).is_none_or(|(component, _)| component.delete != DeletePhase::Retain)
}

/// The readiness that a whole owner's plan reports: every component ready or skipped, nothing to generate.
#[must_use]
pub fn settled(plan: &OwnerPlan) -> bool {
    plan.generate.is_empty() && plan.components.iter().all(is_as_wanted)
}

/// Whether an owner does what others wait for it to do: [`settled`] short of what is beside that, and of what it has for the items
/// of a list, each of which holds up only those who need it.
#[must_use]
pub fn serves(plan: &OwnerPlan) -> bool {
    plan.generate.is_empty() && plan.components.iter().filter(|c| !c.beside && !c.id.is_for_item()).all(is_as_wanted)
}

/// The first component beside what others wait for that is not as wanted.
#[must_use]
pub fn beside(plan: &OwnerPlan) -> Option<&ComponentPlan> {
    plan.components.iter().find(|c| c.beside && !is_as_wanted(c))
}

fn is_as_wanted(component: &ComponentPlan) -> bool {
    component.steps.is_empty()
        && component.later.is_empty()
        && matches!(component.state, ComponentState::Ready | ComponentState::Skipped(_))
}
