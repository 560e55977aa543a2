//! What a change of a few shoots does to verdicts, from a landscape that was judged as a whole and counts as accepted: at the cost
//! of these shoots and of those that look at them, however many others there are.
//!
//! It gives the answers of [`admit`](super::admit) or none: where a change may concern more than it can tell, the landscape is to be
//! judged as a whole again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::check::World;
use super::evaluate::{self, Kept, Pending, Verdict, same_maybe};
use super::node::Node;
use super::policy::Policies;
use super::{Accepted, Admitted, Memory, conclude, take};
use crate::digest::Digest;
use crate::finding::Findings;
use crate::landscape::{Kind, Landscape, Owner};

/// A landscape that was judged, with everything accepted as it is.
pub struct Settled {
    world: World,
    kept: BTreeMap<Owner, Kept>,
    /// Whose verdict holds for one pass only.
    volatile: Vec<Owner>,
    /// Of whom something is said, and whose documents that points into beside their own.
    pointing: Vec<(Owner, BTreeSet<Owner>)>,
    policies: Digest,
    /// From when on, and until when, the other verdicts hold.
    valid: (i64, Option<i64>),
}

/// What was judged anew, and nothing else.
#[derive(Debug)]
pub struct Differing {
    /// What is admitted of it; objects, held and fresh owners are those that were judged.
    pub admitted: Admitted,
    /// What is said of it.
    pub findings: Findings,
    /// Who was judged.
    pub owners: BTreeSet<Owner>,
    /// The way back: what was, judged against what is admitted now. What is said there has no places.
    pub back: Admitted,
}

impl Settled {
    /// Judges a landscape as a whole against what it was admitted as, with what is remembered of that; gives what
    /// [`admit`](super::admit) does, too.
    #[must_use]
    pub fn new(
        landscape: &Landscape,
        accepted: &Accepted,
        policies: &Policies,
        now: i64,
        memory: &mut Memory,
    ) -> (Self, Admitted, Findings) {
        let evaluated = evaluate::all(landscape, accepted, policies, now, memory);
        let (admitted, findings, mut world) = conclude(landscape, accepted, policies, evaluated);
        world.objects = admitted.objects.clone();
        // The way back is judged with some of it replaced; shared, it would be copied each time.
        world.accepted = Arc::new((*accepted.0).clone());
        let kept = memory.kept.clone();
        let holds_once = |kept: &Kept| kept.valid.1.is_some_and(|until| until <= now);
        let volatile = kept.iter().filter(|(_, kept)| holds_once(kept)).map(|(owner, _)| owner.clone()).collect();
        let until = kept.values().filter(|kept| !holds_once(kept)).filter_map(|kept| kept.valid.1).min();
        let from = kept.values().map(|kept| kept.valid.0).max().unwrap_or(now);
        let places = |verdict: &Verdict| verdict.raised.iter().flat_map(|r| &r.at).filter_map(|at| at.owner.clone()).collect();
        let speaking = kept.iter().filter(|(_, kept)| !kept.verdict.raised.is_empty());
        let pointing = speaking.map(|(owner, kept)| (owner.clone(), places(&kept.verdict))).collect();
        let policies = policies.digest().clone();
        (Self { world, kept, volatile, pointing, policies, valid: (from, until) }, admitted, findings)
    }

    /// Judges shoots whose documents differ from those of the landscape that this was made of, and whatever looks at them.
    ///
    /// `landscape` is the one with the other documents. `None` if they are not shoots that were accepted before, if they change whose
    /// a domain is, or if verdicts do not hold at `now` any more.
    pub fn judge(
        &mut self,
        landscape: &Landscape,
        documents: &BTreeSet<Owner>,
        policies: &Policies,
        now: i64,
    ) -> Option<Differing> {
        let (from, until) = self.valid;
        if now < from || until.is_some_and(|until| until <= now) || self.policies != *policies.digest() {
            return None;
        }
        let mut written: BTreeMap<Owner, Arc<Value>> = BTreeMap::new();
        for owner in documents {
            let (value, was) = (landscape.value(owner)?, self.kept.get(owner)?);
            let known = owner.kind == Kind::Shoot && was.accepted.is_some() && domain(value) == domain(&was.written);
            known.then(|| written.insert(owner.clone(), value.clone()))?;
        }
        let found = self.forward(&written, documents, policies, now)?;
        let verdicts: Vec<(Owner, Arc<Verdict>)> =
            found.iter().map(|(owner, kept)| (owner.clone(), kept.verdict.clone())).collect();
        let objects = found.iter().filter_map(|(owner, kept)| Some((owner.clone(), kept.seen()?))).collect();
        let mut admitted =
            Admitted { landscape: self.world.landscape.clone(), objects, evaluated: found.len(), ..Admitted::default() };
        let mut findings = Findings::default();
        take(landscape, &verdicts, &mut admitted, &mut findings);
        let back = self.back(&admitted, policies, now);
        Some(Differing { admitted, findings, owners: found.into_keys().collect(), back })
    }

    /// The verdicts on what differs, and on what looks at it, kind by kind.
    fn forward(
        &mut self,
        written: &BTreeMap<Owner, Arc<Value>>,
        documents: &BTreeSet<Owner>,
        policies: &Policies,
        now: i64,
    ) -> Option<BTreeMap<Owner, Kept>> {
        let (mut found, mut changed): (BTreeMap<Owner, Kept>, BTreeSet<Owner>) = Default::default();
        let mut replaced: Vec<(Owner, Arc<Value>)> = Vec::new();
        let again = self.pointing.iter().filter(|(_, at)| !at.is_disjoint(documents)).map(|(owner, _)| owner);
        let again: BTreeSet<&Owner> = again.chain(&self.volatile).chain(written.keys()).collect();
        let mut whole = true;
        for kind in Kind::ALL {
            let looking = self.kept.range(Owner::cluster(*kind, "")..).take_while(|(owner, _)| owner.kind == *kind);
            let looking = looking.filter(|(_, kept)| *kind > Kind::Shoot && !kept.verdict.reads.is_disjoint(&changed));
            let owners: BTreeSet<&Owner> =
                again.iter().copied().filter(|owner| owner.kind == *kind).chain(looking.map(|(owner, _)| owner)).collect();
            let pending: Vec<Pending<'_>> = owners
                .into_iter()
                .filter_map(|owner| {
                    let was = self.kept.get(owner)?;
                    Some((owner.clone(), written.get(owner).unwrap_or(&was.written), was.accepted.as_ref(), Some(was.seen())))
                })
                .collect();
            self.world.judging = Some(*kind);
            let verdicts = evaluate::chunked(&pending, &self.world, policies, now);
            for ((owner, _, _, was), kept) in pending.into_iter().zip(verdicts) {
                let (was, seen) = (was.flatten(), kept.seen());
                if !same_maybe(was.as_ref(), seen.as_ref()) {
                    // Whoever is judged before shoots is looked at by too many.
                    whole &= *kind >= Kind::Shoot && was.is_some() && seen.is_some();
                    whole &= was.as_deref().and_then(domain) == seen.as_deref().and_then(domain);
                    changed.insert(owner.clone());
                }
                found.insert(owner, kept);
            }
            for (owner, kept) in found.range(Owner::cluster(*kind, "")..).filter(|(owner, _)| changed.contains(*owner)) {
                if let Some(seen) = kept.seen()
                    && let Some(was) = self.world.objects.insert(owner.clone(), seen)
                {
                    replaced.push((owner.clone(), was));
                }
            }
        }
        self.world.judging = None;
        self.world.objects.extend(replaced.into_iter().rev());
        whole.then_some(found)
    }

    /// Who could not go back to what it was.
    fn back(&mut self, admitted: &Admitted, policies: &Policies, now: i64) -> Admitted {
        let differs = |(owner, manifest): &(&Owner, &Arc<Value>)| {
            !same_maybe(self.world.accepted.get(*owner), Some(*manifest)) && owner.kind == Kind::Shoot
        };
        let new: BTreeMap<Owner, Arc<Value>> =
            admitted.objects.iter().filter(differs).map(|(owner, manifest)| (owner.clone(), manifest.clone())).collect();
        let mut replaced = Vec::new();
        let accepted = Arc::make_mut(&mut self.world.accepted);
        for (owner, manifest) in &new {
            if let Some(was) = accepted.insert(owner.clone(), manifest.clone()) {
                replaced.push((owner.clone(), was));
            }
        }
        self.world.judging = Some(Kind::Shoot);
        let pending: Vec<Pending<'_>> = new
            .iter()
            .filter_map(|(owner, manifest)| Some((owner.clone(), &self.kept.get(owner)?.written, Some(manifest), None)))
            .collect();
        let verdicts = evaluate::chunked(&pending, &self.world, policies, now);
        let verdicts: Vec<(Owner, Arc<Verdict>)> =
            pending.into_iter().zip(verdicts).map(|((owner, ..), kept)| (owner, kept.verdict)).collect();
        self.world.judging = None;
        Arc::make_mut(&mut self.world.accepted).extend(replaced);
        let (mut back, mut findings) = (Admitted::default(), Findings::default());
        take(&Landscape::default(), &verdicts, &mut back, &mut findings);
        back
    }
}

/// The domain that a manifest asks for.
fn domain(manifest: &Value) -> Option<&str> {
    Node::root(manifest).at("spec/dns/domain").text()
}
