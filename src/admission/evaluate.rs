//! The evaluation of owners, kind by kind: who is answered from memory, who is evaluated, and what the next kind sees.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::check::{Claim, Noted, Out, Raised, Reads, Users, World};
use super::follows::causes_only;
use super::judge::{self, Case, once_per_cause};
use super::node::Node;
use super::policy::{self, Policies};
use super::source::Extent;
use super::{Accepted, offer, place};
use crate::digest::Digest;
use crate::finding::{Code, Findings, Severity};
use crate::landscape::{Kind, Landscape, Owner};
use crate::share;

/// What admission remembers between passes: the last verdict on each owner, and what it was based on.
#[derive(Default)]
pub struct Memory {
    kept: BTreeMap<Owner, Kept>,
}

struct Kept {
    written: Arc<Value>,
    accepted: Option<Arc<Value>>,
    policies: Digest,
    /// The moment of the evaluation, and the one at which it may become wrong.
    valid: (i64, Option<i64>),
    verdict: Arc<Verdict>,
}

/// What was found for one owner.
pub(super) struct Verdict {
    /// The manifest with defaults.
    pub manifest: Arc<Value>,
    /// What was disliked, with symbolic places.
    pub raised: Vec<Raised>,
    /// Whether something of it is an error.
    pub held: bool,
    reads: Reads,
    users: Option<Users>,
    claim: Option<Claim>,
    until: Option<i64>,
}

/// The outcome of a pass.
pub(super) struct Evaluated {
    pub world: World,
    pub verdicts: BTreeMap<Owner, Arc<Verdict>>,
    pub again: Option<i64>,
    pub evaluated: usize,
}

/// Evaluates every owner in Git, in the order of kinds: what others depend on comes first.
pub(super) fn all(landscape: &Landscape, accepted: &Accepted, policies: &Policies, now: i64, memory: &mut Memory) -> Evaluated {
    let mut by_kind: BTreeMap<Kind, Vec<(Owner, Arc<Value>)>> = BTreeMap::new();
    for (owner, value, _) in landscape.objects() {
        by_kind.entry(owner.kind).or_default().push((owner, value.clone()));
    }
    let mut kept = std::mem::take(&mut memory.kept);
    let mut world = World {
        landscape: landscape.name.clone(),
        accepted: Arc::new(accepted.0.clone()),
        asked: asked(landscape, accepted),
        users: users(accepted),
        distances: landscape.distances.clone(),
        ..World::default()
    };
    let mut out = Evaluated { world: World::default(), verdicts: BTreeMap::new(), again: None, evaluated: 0 };
    for kind in Kind::ALL {
        let mut pending = Vec::new();
        let mut decided: Vec<(Owner, Kept)> = Vec::new();
        for (owner, written) in by_kind.remove(kind).unwrap_or_default() {
            let before = accepted.0.get(&owner);
            match kept.remove(&owner) {
                Some(found) if holds(&found, &owner, &written, before, policies, now, &world) => decided.push((owner, found)),
                _ => pending.push((owner, written, before.cloned())),
            }
        }
        out.evaluated += pending.len();
        decided.extend(chunked(pending, &world, policies, now));
        for (owner, found) in decided {
            remember(&mut world, &owner, &found.verdict, accepted);
            if let Some(until) = found.verdict.until.filter(|until| *until > now) {
                out.again = Some(out.again.map_or(until, |again| again.min(until)));
            }
            out.verdicts.insert(owner.clone(), found.verdict.clone());
            memory.kept.insert(owner, found);
        }
        stand_in(&mut world, *kind, landscape, accepted);
    }
    out.world = world;
    out
}

fn same(a: &Arc<Value>, b: &Arc<Value>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn same_maybe(a: Option<&Arc<Value>>, b: Option<&Arc<Value>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Whether nothing has changed that a verdict was based on.
fn holds(
    kept: &Kept,
    owner: &Owner,
    written: &Arc<Value>,
    accepted: Option<&Arc<Value>>,
    policies: &Policies,
    now: i64,
    world: &World,
) -> bool {
    let (from, until) = kept.valid;
    let reads = || kept.verdict.reads.iter().all(|(read, value)| same_maybe(value.as_ref(), world.known(read)));
    let users = || {
        kept.verdict.users.as_ref().is_none_or(|users| {
            let now = world.users_of(owner);
            now.len() == users.len() && now.iter().zip(users).all(|((a, x), (b, y))| a == b && same(x, y))
        })
    };
    let claim = || {
        let claim = kept.verdict.claim.as_ref();
        claim.is_none_or(|(domain, by)| world.claimed(domain, owner).map(|(owner, _)| owner) == by.as_ref())
    };
    same(&kept.written, written)
        && same_maybe(kept.accepted.as_ref(), accepted)
        && kept.policies == *policies.digest()
        && from <= now
        && until.is_none_or(|until| now < until)
        && reads()
        && users()
        && claim()
}

/// Evaluates owners that do not depend on each other, on a few threads if there are many.
fn chunked(
    pending: Vec<(Owner, Arc<Value>, Option<Arc<Value>>)>,
    world: &World,
    policies: &Policies,
    now: i64,
) -> Vec<(Owner, Kept)> {
    let one = |(owner, written, accepted): &(Owner, Arc<Value>, Option<Arc<Value>>)| {
        let verdict = Arc::new(guarded(owner, written, accepted.as_ref(), world, policies, now));
        let kept = Kept {
            written: written.clone(),
            accepted: accepted.clone(),
            policies: policies.digest().clone(),
            valid: (now, verdict.until),
            verdict,
        };
        (owner.clone(), kept)
    };
    share::map(&pending, one)
}

/// Evaluates one owner; a panic is that owner's error.
fn guarded(
    owner: &Owner,
    written: &Arc<Value>,
    accepted: Option<&Arc<Value>>,
    world: &World,
    policies: &Policies,
    now: i64,
) -> Verdict {
    let evaluate = || one(owner, written, accepted, world, policies, now);
    catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("it did not say why");
        let mut out = Out::new(Code::new("INTERNAL-ERROR"));
        out.error(&Node::root(written), format!("evaluating {owner} failed: {why}"))
            .help("this is a defect of espalier: please report it with the file");
        Verdict {
            manifest: written.clone(),
            raised: out.raised,
            held: true,
            reads: Reads::new(),
            users: None,
            claim: None,
            until: None,
        }
    })
}

fn one(
    owner: &Owner,
    written: &Arc<Value>,
    accepted: Option<&Arc<Value>>,
    world: &World,
    policies: &Policies,
    now: i64,
) -> Verdict {
    let case = Case { owner, written, old: accepted, now };
    let judge::Judgement { manifest, old, raised, noted } = judge::evaluate(&case, world, Extent::Everything);
    let mut out = Out::new(Code::new("INTERNAL-ERROR"));
    out.raised = raised;
    policies.judge(&policy::Request { owner, object: Some(&manifest), old: old.as_ref() }, &mut out);
    let held = out.raised.iter().any(|r| r.severity == Severity::Error);
    let Noted { reads, users, claim, until } = noted;
    Verdict {
        manifest,
        raised: causes_only(once_per_cause(out.raised)),
        held,
        reads: reads.into_inner(),
        users: users.into_inner(),
        claim: claim.into_inner(),
        until: until.into_inner(),
    }
}

/// What the rest of the landscape sees of an owner: its manifest, or, if it is held, what was accepted.
fn remember(world: &mut World, owner: &Owner, verdict: &Verdict, accepted: &Accepted) {
    if !verdict.held {
        world.objects.insert(owner.clone(), verdict.manifest.clone());
    } else if let Some(before) = accepted.0.get(owner) {
        world.objects.insert(owner.clone(), before.clone());
    } else {
        world.held.insert(owner.clone());
    }
}

/// Puts what was accepted in the place of broken documents of a kind and of those that are gone, and merges profiles.
fn stand_in(world: &mut World, kind: Kind, landscape: &Landscape, accepted: &Accepted) {
    for owner in landscape.broken.keys().filter(|o| o.kind == kind) {
        match accepted.0.get(owner) {
            Some(before) => drop(world.objects.insert(owner.clone(), before.clone())),
            None => drop(world.held.insert(owner.clone())),
        }
    }
    for (owner, before) in accepted.0.iter().filter(|(o, _)| o.kind == kind) {
        if !world.held.contains(owner) {
            world.objects.entry(owner.clone()).or_insert_with(|| before.clone());
        }
    }
    if matches!(kind, Kind::CloudProfile | Kind::NamespacedCloudProfile) {
        world.merge_profiles(kind);
    }
    if kind == Kind::ControllerRegistration {
        world.gather_registrations();
    }
}

/// What Git has of owners of which nothing was accepted.
fn asked(landscape: &Landscape, accepted: &Accepted) -> BTreeMap<Owner, Arc<Value>> {
    let new = landscape.objects().filter(|(owner, ..)| !accepted.0.contains_key(owner));
    new.map(|(owner, value, _)| (owner, value.clone())).collect()
}

/// Which accepted objects refer to which cloud profiles.
fn users(accepted: &Accepted) -> BTreeMap<Owner, Vec<Owner>> {
    let mut users: BTreeMap<Owner, Vec<Owner>> = BTreeMap::new();
    for (owner, manifest) in &accepted.0 {
        let node = Node::root(manifest);
        let used = match owner.kind {
            Kind::Shoot => offer::profile_of(&node, &owner.project),
            Kind::NamespacedCloudProfile => {
                node.at("spec/parent/name").text().map(|name| Owner::cluster(Kind::CloudProfile, name))
            }
            _ => None,
        };
        if let Some(used) = used {
            users.entry(used).or_default().push(owner.clone());
        }
    }
    users
}

/// The findings of a verdict, with places in the text.
pub(super) fn report(landscape: &Landscape, owner: &Owner, verdict: &Verdict) -> Findings {
    let to_finding = |raised: &Raised| {
        let mut finding = judge::finding(raised).of(owner);
        for at in &raised.at {
            let whose = at.owner.as_ref().unwrap_or(owner);
            if let Some(found) = place(landscape, whose, &at.pointer, at.on) {
                finding.places.push(found.noted(at.note.clone()));
            }
        }
        finding
    };
    Findings(verdict.raised.iter().map(to_finding).collect())
}
