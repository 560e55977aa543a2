//! The evaluation of owners, kind by kind: who is answered from memory, who is evaluated, and what the next kind sees.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::along::Along;
use super::check::{Claim, Noted, Out, Raised, Reads, Users, World};
use super::follows::causes_only;
use super::judge::{self, Case, once_per_cause};
use super::node::Node;
use super::policy::{self, Policies};
use super::source::Extent;
use super::{Accepted, offer, place, registered};
use crate::digest::Digest;
use crate::finding::{Code, Findings, Severity};
use crate::landscape::{Kind, Landscape, Owner};
use crate::share;

/// What admission remembers between passes: the last verdict on each owner, and what it was based on.
#[derive(Default)]
pub struct Memory {
    pub(super) kept: BTreeMap<Owner, Kept>,
    /// What others saw of owners without a verdict.
    stood: BTreeMap<Owner, Seen>,
    /// What all registrations together were responsible for.
    registered: Option<Arc<Value>>,
}

impl Memory {
    /// Counts what was admitted in the last pass as accepted: an object that nobody changes, and of which nothing that its verdict
    /// looked at changes, keeps that verdict as what has been accepted, as it would if it were never written again.
    pub fn settle(&mut self) {
        for kept in self.kept.values_mut().filter(|kept| !kept.verdict.held) {
            kept.accepted = Some(kept.verdict.manifest.clone());
        }
    }
}

/// What others see of an owner: a manifest to act on, or none because it is held.
pub(super) type Seen = Option<Arc<Value>>;

#[derive(Clone)]
pub(super) struct Kept {
    pub(super) written: Arc<Value>,
    pub(super) accepted: Option<Arc<Value>>,
    policies: Digest,
    /// The moment of the evaluation, and the one at which it may become wrong.
    pub(super) valid: (i64, Option<i64>),
    pub(super) verdict: Arc<Verdict>,
}

impl Kept {
    /// What the rest of the landscape sees of the owner: its manifest, or, if it is held, what was accepted.
    pub(super) fn seen(&self) -> Seen {
        if self.verdict.held { self.accepted.clone() } else { Some(self.verdict.manifest.clone()) }
    }
}

/// What was found for one owner.
pub(super) struct Verdict {
    /// The manifest with defaults.
    pub manifest: Arc<Value>,
    /// What was disliked, with symbolic places.
    pub raised: Vec<Raised>,
    /// Whether something of it is an error.
    pub held: bool,
    pub(super) reads: Reads,
    users: Option<Users>,
    claim: Option<Claim>,
    until: Option<i64>,
}

/// The outcome of a pass.
pub(super) struct Evaluated {
    pub world: World,
    pub verdicts: Vec<(Owner, Arc<Verdict>)>,
    /// Owners that were accepted, and of which Git has no usable document.
    pub absent: Vec<Owner>,
    pub again: Option<i64>,
    pub evaluated: usize,
}

/// An owner of which Git has a document.
struct Written<'a> {
    owner: Owner,
    value: &'a Arc<Value>,
    accepted: Option<&'a Arc<Value>>,
}

/// Evaluates every owner in Git, in the order of kinds: what others depend on comes first.
///
/// Everything here is sorted by owners, and so are the maps that are made of it: an owner of which nothing has changed costs a few
/// comparisons, and no search.
pub(super) fn all(landscape: &Landscape, accepted: &Accepted, policies: &Policies, now: i64, memory: &mut Memory) -> Evaluated {
    let (written, absent) = written(landscape, accepted);
    let Memory { kept, stood, registered } = std::mem::take(memory);
    memory.stood = stand_ins(landscape, accepted, &absent);
    let mut changed = differing(&stood, &memory.stood);
    let mut world = World {
        landscape: accepted.name_of(landscape),
        accepted: accepted.0.clone(),
        asked: written.iter().filter(|w| w.accepted.is_none()).map(|w| (w.owner.clone(), w.value.clone())).collect(),
        users: users(accepted),
        distances: landscape.distances.clone(),
        ..World::default()
    };
    let mut decided: Vec<(Owner, Kept)> = Vec::with_capacity(written.len());
    let mut evaluated = 0;
    let (mut written, mut kept, mut stood) = (written.into_iter().peekable(), Along::new(kept), memory.stood.iter().peekable());
    for kind in Kind::ALL {
        let first = decided.len();
        let mut pending = Vec::new();
        while let Some(Written { owner, value, accepted }) = written.next_if(|w| w.owner.kind == *kind) {
            let was = kept.at(&owner, |gone, _| {
                changed.insert(gone);
            });
            match was {
                Some(was) if holds(&was, &owner, value, accepted, policies, now, &world, &changed) => decided.push((owner, was)),
                was => pending.push((owner, value, accepted, was.map(|was| was.seen()))),
            }
        }
        kept.pass_while(
            |owner| owner.kind == *kind,
            |gone, _| {
                changed.insert(gone);
            },
        );
        evaluated += pending.len();
        let found = chunked(&pending, &world, policies, now);
        for ((owner, _, _, was), found) in pending.into_iter().zip(found) {
            if was.is_none_or(|was| !same_maybe(was.as_ref(), found.seen().as_ref())) {
                changed.insert(owner.clone());
            }
            decided.push((owner, found));
        }
        decided[first..].sort_by(|(a, _), (b, _)| a.cmp(b));
        let stood =
            std::iter::from_fn(|| stood.next_if(|(owner, _)| owner.kind == *kind)).map(|(owner, seen)| (owner, seen.clone()));
        see(&mut world, stood.chain(decided[first..].iter().map(|(owner, found)| (owner, found.seen()))));
        if matches!(kind, Kind::CloudProfile | Kind::NamespacedCloudProfile) {
            world.merge_profiles(*kind);
        }
        if *kind == Kind::ControllerRegistration {
            world.gather_registrations();
            if !same_maybe(world.registered.as_ref(), registered.as_ref()) {
                changed.insert(registered::key());
            }
        }
    }
    memory.registered.clone_from(&world.registered);
    let again = decided.iter().filter_map(|(_, found)| found.verdict.until).filter(|until| *until > now).min();
    let verdicts = decided.iter().map(|(owner, found)| (owner.clone(), found.verdict.clone())).collect();
    memory.kept = decided.into_iter().collect();
    Evaluated { world, verdicts, absent: absent.into_iter().map(|(owner, _)| owner.clone()).collect(), again, evaluated }
}

/// What Git has, each with what was accepted for it; and what was accepted of which Git has nothing that can be used.
fn written<'a>(landscape: &'a Landscape, accepted: &'a Accepted) -> (Vec<Written<'a>>, Vec<(&'a Owner, &'a Arc<Value>)>) {
    let (mut before, mut absent) = (Along::new(accepted.0.iter()), Vec::new());
    let mut all = Vec::new();
    for (owner, value, _) in landscape.objects() {
        let accepted = before.at(&owner, |owner, value| absent.push((owner, value)));
        all.push(Written { owner, value, accepted });
    }
    before.pass_while(|_| true, |owner, value| absent.push((owner, value)));
    (all, absent)
}

/// What others see of owners that are not evaluated: what was accepted stands in for a broken document and for one that is gone.
fn stand_ins(landscape: &Landscape, accepted: &Accepted, absent: &[(&Owner, &Arc<Value>)]) -> BTreeMap<Owner, Seen> {
    let mut all: BTreeMap<Owner, Seen> =
        absent.iter().map(|(owner, before)| ((*owner).clone(), Some((*before).clone()))).collect();
    all.extend(landscape.broken.keys().map(|owner| (owner.clone(), accepted.0.get(owner).cloned())));
    all
}

/// Of which owners two passes differ in what others saw.
fn differing(before: &BTreeMap<Owner, Seen>, now: &BTreeMap<Owner, Seen>) -> BTreeSet<Owner> {
    let alike = |owner: &Owner, seen: &Seen| before.get(owner).is_some_and(|was| same_maybe(was.as_ref(), seen.as_ref()));
    let new = now.iter().filter(|(owner, seen)| !alike(owner, seen)).map(|(owner, _)| owner);
    new.chain(before.keys().filter(|owner| !now.contains_key(*owner))).cloned().collect()
}

/// Shows the rest of the landscape what it may see of owners that are not there yet.
fn see<'a>(world: &mut World, seen: impl Iterator<Item = (&'a Owner, Seen)>) {
    let mut objects = Vec::new();
    for (owner, seen) in seen {
        match seen {
            Some(manifest) => objects.push((owner.clone(), manifest)),
            None => drop(world.held.insert(owner.clone())),
        }
    }
    world.objects.append(&mut objects.into_iter().collect());
}

fn same(a: &Arc<Value>, b: &Arc<Value>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

pub(super) fn same_maybe(a: Option<&Arc<Value>>, b: Option<&Arc<Value>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Whether nothing has changed that a verdict was based on; `changed` are the owners of which others see something else than in the
/// pass before.
#[expect(clippy::too_many_arguments, reason = "each of them is a thing that a verdict may depend on")]
fn holds(
    kept: &Kept,
    owner: &Owner,
    written: &Arc<Value>,
    accepted: Option<&Arc<Value>>,
    policies: &Policies,
    now: i64,
    world: &World,
    changed: &BTreeSet<Owner>,
) -> bool {
    let (from, until) = kept.valid;
    let reads = || changed.is_empty() || kept.verdict.reads.is_disjoint(changed);
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

/// An owner to be evaluated: what Git has, what was accepted, and what others saw of it before, if they did.
pub(super) type Pending<'a> = (Owner, &'a Arc<Value>, Option<&'a Arc<Value>>, Option<Seen>);

/// Evaluates owners that do not depend on each other, on a few threads if there are many.
pub(super) fn chunked(pending: &[Pending<'_>], world: &World, policies: &Policies, now: i64) -> Vec<Kept> {
    let one = |(owner, written, accepted, _): &Pending<'_>| {
        let verdict = Arc::new(guarded(owner, written, *accepted, world, policies, now));
        Kept {
            written: Arc::clone(written),
            accepted: accepted.cloned(),
            policies: policies.digest().clone(),
            valid: (now, verdict.until),
            verdict,
        }
    };
    share::map(pending, one)
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

/// Which accepted objects refer to which cloud profiles.
fn users(accepted: &Accepted) -> BTreeMap<Owner, Vec<Owner>> {
    let mut users: BTreeMap<Owner, Vec<Owner>> = BTreeMap::new();
    for (owner, manifest) in accepted.0.iter() {
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
