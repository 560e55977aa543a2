//! What goes: objects that a component no longer wants, and everything of an owner that is confirmed to go, in the reversed order
//! of the graph.
//!
//! Only an object whose tracking annotation names it, that no controller owns, and whose component was decided (not waiting, not
//! failed, not held) is ever deleted. A cluster that could not be listed completely loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::owner::{MANIFEST, Request, component_of, may_go};
use super::{Action, ComponentPlan, ComponentState, Operation, OwnerPlan, Step};
use crate::landscape::{Kind, Target};
use crate::observed::{Object, garden_key};
use crate::render::{Component, ComponentId, DeletePhase, RenderState, Scope};

/// The finalizer that stands between a landscape object and a deletion by hand.
pub const FINALIZER: &str = "espalier.dev/protect";

/// The finalizer of the resource manager that runs for a shoot.
const MANAGER: &str = "resources.gardener.cloud/gardener-resource-manager";

fn delete_step(target: &Target, object: &Object, reason: String) -> Step {
    Step {
        target: target.clone(),
        key: object.key.clone(),
        api_version: object.api_version.clone(),
        action: Action::Delete {
            uid: object.uid.clone(),
            resource_version: object.resource_version.clone(),
            confirm: matches!(object.key.group.as_str(), "extensions.gardener.cloud" | "druid.gardener.cloud"),
            release: object.finalizers.iter().any(|f| f == FINALIZER),
        },
        reason,
        changes: Vec::new(),
        digest: None,
    }
}

/// Adds deletions of objects that decided components no longer want.
pub(super) fn prune(request: &Request<'_>, plan: &mut OwnerPlan) {
    if request.held || !request.observed.complete(&Target::Garden) {
        return;
    }
    // Nothing was rendered: a garden that has lost the object, or a fact that is missing, says nothing of what is not wanted.
    if request.releases.iter().all(|release| release.components.is_empty()) {
        return;
    }
    let components = components(request);
    let wanted: BTreeSet<_> = request
        .releases
        .iter()
        .flat_map(|r| r.components.iter().flat_map(|c| c.objects.iter().map(|o| (r.target.clone(), o.key.clone()))))
        .chain(request.manifest.map(|m| (Target::Garden, m.key.clone())))
        .collect();
    let label = request.owner.label();
    let mut going: BTreeMap<(Target, String), Vec<&Arc<Object>>> = BTreeMap::new();
    for (target, live) in &request.observed.targets {
        if !live.complete {
            continue;
        }
        for object in live.labelled(&label) {
            let name = component_of(object);
            let decided = match components.get(name) {
                Some((_, RenderState::Wanted | RenderState::Skipped(_))) => true,
                Some((_, RenderState::Waiting(_) | RenderState::Failed(_))) => false,
                // A component that the library no longer has; the landscape object itself is not pruned here.
                None => name != MANIFEST,
            };
            // What is asked to go while it sleeps goes when it wakes: nobody is there to let go of it before.
            let lets_go_later = request.asleep && object.deleting && object.finalizers == [MANAGER];
            if decided && !lets_go_later && may_go(object, &components) && !wanted.contains(&(target.clone(), object.key.clone()))
            {
                going.entry((target.clone(), name.to_owned())).or_default().push(object);
            }
        }
    }
    let removing: BTreeSet<&str> = going.keys().map(|(_, name)| name.as_str()).collect();
    for ((target, name), objects) in &going {
        let skipped = !matches!(components.get(name.as_str()), Some((_, RenderState::Wanted)));
        // A component goes after everything that needs it has gone; an object dropped by a component that stays goes once the
        // rest of the component is as wanted.
        let blockers: Vec<String> = if skipped {
            let needing = components.values().filter(|(c, _)| c.needs.contains(name) && removing.contains(c.id.name.as_str()));
            let outlasts = components.get(name.as_str()).into_iter().flat_map(|(c, _)| &c.outlasts);
            let unfinished = outlasts.filter(|other| plan.components.iter().any(|c| c.id.name == **other && !is_done(c)));
            needing.map(|(c, _)| c.id.name.clone()).chain(unfinished.cloned()).collect()
        } else {
            Vec::new()
        };
        let entry = plan.components.iter_mut().find(|c| c.id.name == *name && c.target == *target);
        let entry = if let Some(entry) = entry {
            entry
        } else {
            plan.components.push(ComponentPlan {
                id: ComponentId { scope: scope(&components), name: name.clone() },
                target: target.clone(),
                beside: false,
                state: ComponentState::Ready,
                steps: Vec::new(),
                later: Vec::new(),
            });
            plan.components.last_mut().expect("just pushed")
        };
        let unfinished = !skipped && (!entry.steps.is_empty() || !entry.later.is_empty());
        let reason = if skipped { "its component is not wanted" } else { "its component no longer has it" };
        for object in objects.iter().filter(|o| !o.deleting) {
            let step = delete_step(target, object, reason.into());
            if unfinished || !blockers.is_empty() { entry.later.push(step) } else { entry.steps.push(step) }
        }
        if skipped {
            entry.state = if blockers.is_empty() {
                ComponentState::Removing(format!("{} to go", objects.len()))
            } else {
                ComponentState::Removing(format!("after {}", blockers.join(", ")))
            };
        } else if entry.state == ComponentState::Ready {
            entry.state = ComponentState::Progressing(format!("{} to go", objects.len()));
        }
    }
}

/// Whether nothing of a component is to be done or waited for.
fn is_done(component: &ComponentPlan) -> bool {
    component.steps.is_empty()
        && component.later.is_empty()
        && matches!(component.state, ComponentState::Ready | ComponentState::Skipped(_))
}

fn components<'a>(request: &'a Request<'_>) -> BTreeMap<&'a str, (&'a Component, &'a RenderState)> {
    request
        .releases
        .iter()
        .flat_map(|r| r.components.iter())
        .map(|c| (c.component.id.name.as_str(), (&*c.component, &c.state)))
        .collect()
}

fn scope(components: &BTreeMap<&str, (&Component, &RenderState)>) -> Scope {
    components.values().next().map_or(Scope::Garden, |(c, _)| c.id.scope)
}

/// The clusters that an owner may have something in, beside those that are looked at: a seed that is in Git no more, for one.
fn clusters(request: &Request<'_>) -> BTreeSet<Target> {
    let live = request.observed.garden(request.owner);
    let placed = |pointer: &str| live.and_then(|live| live.get(pointer)).and_then(Value::as_str).map(str::to_owned);
    let seeds = match request.owner.kind {
        Kind::Seed => vec![request.owner.name.clone()],
        Kind::Shoot => ["/spec/seedName", "/status/seedName"].into_iter().filter_map(placed).collect(),
        _ => Vec::new(),
    };
    request.releases.iter().map(|release| release.target.clone()).chain(seeds.into_iter().map(Target::Seed)).collect()
}

/// Whether nothing is left of an owner that goes.
#[must_use]
pub fn gone(plan: &OwnerPlan) -> bool {
    plan.operation == Operation::Delete && plan.components.is_empty()
}

/// The plan of an owner that goes: components in reversed order, those marked `late` after all others, the landscape object last.
/// While anybody uses it, all of it stays.
pub(super) fn plan(request: &Request<'_>) -> OwnerPlan {
    let components = components(request);
    let label = request.owner.label();
    let mut left: BTreeMap<(Target, String), Vec<&Arc<Object>>> = BTreeMap::new();
    let mut unlisted: Vec<String> =
        clusters(request).iter().filter(|t| !request.observed.targets.contains_key(t)).map(ToString::to_string).collect();
    for (target, live) in &request.observed.targets {
        if !live.complete {
            unlisted.push(target.to_string());
        }
        for object in live.labelled(&label) {
            let name = component_of(object);
            if name != MANIFEST && may_go(object, &components) {
                left.entry((target.clone(), name.to_owned())).or_default().push(object);
            }
        }
    }
    let incomplete = format!("{} could not be listed completely", unlisted.join(", "));
    let used = (!request.gates.is_empty())
        .then(|| request.gates.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; "));
    let all: Vec<String> = left.keys().map(|(_, name)| name.clone()).collect();
    let late = |name: &str| components.get(name).is_some_and(|(c, _)| c.delete == DeletePhase::Late);
    let early_left = all.iter().any(|name| !late(name));
    let mut out = OwnerPlan {
        owner: request.owner.clone(),
        operation: Operation::Delete,
        components: Vec::new(),
        generate: Vec::new(),
        progress: 0,
        again: request.again,
        waits: None,
    };
    for ((target, name), objects) in &left {
        // Whoever goes late waits for all who do not, so none of these may wait for it in turn.
        let before = |c: &Component| late(name) || c.delete != DeletePhase::Late;
        let mut blockers: Vec<String> = components
            .values()
            .filter(|(c, _)| c.needs.contains(name) && all.contains(&c.id.name) && before(c))
            .map(|(c, _)| c.id.name.clone())
            .collect();
        // What acts upon others of its owner goes after them.
        let outlasts =
            components.get(name.as_str()).filter(|(c, _)| c.id.is_for_item()).into_iter().flat_map(|(c, _)| &c.outlasts);
        blockers.extend(outlasts.filter(|other| all.contains(other)).cloned());
        if late(name) && early_left {
            blockers.extend(all.iter().filter(|n| !late(n)).cloned());
            blockers.sort();
            blockers.dedup();
        }
        let mut entry = ComponentPlan {
            id: ComponentId { scope: scope(&components), name: name.clone() },
            target: target.clone(),
            beside: false,
            state: ComponentState::Removing(format!("{} to go", objects.len())),
            steps: Vec::new(),
            later: Vec::new(),
        };
        for object in objects.iter().filter(|o| !o.deleting) {
            let step = delete_step(target, object, format!("{} is confirmed to go", request.owner));
            let open = blockers.is_empty() && unlisted.is_empty() && used.is_none();
            if open { entry.steps.push(step) } else { entry.later.push(step) }
        }
        if !unlisted.is_empty() {
            entry.state = ComponentState::Held(incomplete.clone());
        } else if let Some(used) = &used {
            entry.state = ComponentState::Held(used.clone());
        } else if !blockers.is_empty() {
            entry.state = ComponentState::Removing(format!("after {}", blockers.join(", ")));
        }
        out.components.push(entry);
    }
    if let Some(object) = request.observed.garden(request.owner).filter(|o| o.is_tracked()) {
        let mut entry = ComponentPlan {
            id: ComponentId { scope: Scope::Garden, name: MANIFEST.into() },
            target: Target::Garden,
            beside: false,
            state: ComponentState::Removing("last".into()),
            steps: Vec::new(),
            later: Vec::new(),
        };
        debug_assert_eq!(object.key, garden_key(request.owner));
        // The finalizer is ours: an object that is already being deleted still needs it taken off.
        let ours = object.finalizers.iter().any(|f| f == FINALIZER);
        if !object.deleting || ours {
            let step = delete_step(&Target::Garden, object, format!("{} is confirmed to go", request.owner));
            let open = left.is_empty() && unlisted.is_empty() && used.is_none();
            if open { entry.steps.push(step) } else { entry.later.push(step) }
        }
        if let Some(used) = used {
            entry.state = ComponentState::Held(used);
        } else if left.is_empty() && !unlisted.is_empty() {
            entry.state = ComponentState::Held(incomplete);
        }
        out.components.push(entry);
    }
    out
}
