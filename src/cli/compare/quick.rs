//! Comparing one revision with others again and again, where they differ from it in the documents of few shoots: at the cost of these
//! and of what looks at them.
//!
//! What comes out is what comparing as a whole gives, or nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Base, Compared, Sides, View, concerns_itself, whole};
use crate::admission::{Admitted, Settled};
use crate::cli::offline::Offline;
use crate::cli::read;
use crate::finding::Findings;
use crate::landscape::{self, Owner};
use crate::plan::acknowledged;

/// A revision that others are compared with.
pub(in crate::cli) struct Quick {
    base: Base,
    ready: Option<Ready>,
}

/// What a few shoots are judged, placed and rendered beside.
struct Ready {
    settled: Settled,
    /// Whose documents differ.
    documents: BTreeSet<Owner>,
    still: Admitted,
    /// What is said of what was, by whom the change is judged.
    findings: Findings,
    offline: Offline,
    /// How many objects are wanted to be looked at.
    count: usize,
}

impl Quick {
    /// Judges the revision that others are compared with.
    pub(in crate::cli) fn new(sides: &Sides<'_>) -> Self {
        Self { base: Base::new(sides.before, sides.placed, sides.now), ready: None }
    }

    /// Whether what was judged holds at a time.
    pub(in crate::cli) fn holds(&self, now: Timestamp) -> bool {
        self.base.old.again.is_none_or(|until| now.as_second() < until)
    }

    /// Compares as a whole, whatever differs.
    pub(in crate::cli) fn whole(&mut self, sides: &Sides<'_>, wanted: impl Fn(&Owner) -> bool) -> Compared {
        self.ready = None;
        whole(&mut self.base, sides, wanted)
    }

    /// Prepares for comparing with revisions that differ from the one before in documents of shoots only, as this one does.
    pub(in crate::cli) fn prepare(&mut self, sides: &Sides<'_>, wanted: impl Fn(&Owner) -> bool) {
        if self.ready.is_some() {
            return;
        }
        let Sides { before, after, judge, now, .. } = *sides;
        let alike = before.library.digest() == after.library.digest();
        let documents = landscape::differing_shoots(&before.landscape, &after.landscape).filter(|_| alike);
        let Some(documents) = documents else { return };
        let Base { accepted, memory, old, .. } = &mut self.base;
        let (settled, still, findings) = Settled::new(&before.landscape, accepted, judge.policies(), now.as_second(), memory);
        if still.objects != old.objects || !still.gone.is_empty() {
            return;
        }
        let offline = Offline::new(&still, &before.library, self.base.placed(sides.placed));
        let never_accepted = still.held.keys().filter(|owner| !still.objects.contains_key(*owner));
        let count = still.objects.keys().chain(never_accepted).filter(|owner| wanted(owner)).count();
        self.ready = Some(Ready { settled, documents, still, findings, offline, count });
    }

    /// Compares with a revision that differs from the one compared with last in these documents of shoots; `None` if more has to be
    /// looked at than can be told here.
    pub(in crate::cli) fn compare(
        &mut self,
        sides: &Sides<'_>,
        amended: BTreeSet<Owner>,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Option<Compared> {
        let Sides { before, after, judge, now, .. } = *sides;
        let (base, ready) = (&mut self.base, self.ready.as_mut()?);
        let began = Instant::now();
        for owner in amended {
            if landscape::is_same_document(&before.landscape, &after.landscape, &owner) {
                ready.documents.remove(&owner);
            } else {
                ready.documents.insert(owner);
            }
        }
        let differing = ready.settled.judge(&after.landscape, &ready.documents, judge.policies(), now.as_second())?;
        let (mut new, judged, back) = (differing.admitted, differing.owners, differing.back);
        let as_before = |(owner, _): &(&Owner, _)| !judged.contains(*owner);
        new.held.extend(ready.still.held.iter().filter(as_before).map(|(owner, held)| (owner.clone(), held.clone())));
        new.frozen.clone_from(&ready.still.frozen);
        base.keep_back(&mut new, now);
        let differs = |(owner, manifest): &(&Owner, _)| base.old.objects.get(*owner) != Some(*manifest);
        let touched: BTreeSet<&Owner> = new.objects.iter().filter(differs).map(|(owner, _)| owner).collect();
        // One that has no place yet gets one among all the others.
        let placed = |owner: &Owner| ready.offline.placements.decisions.contains_key(owner);
        if !touched.iter().all(|owner| concerns_itself(owner) && placed(owner)) {
            return None;
        }
        let (going, budget) = read::going(&new, &base.accepted);
        ready.offline.replace(touched.iter().filter_map(|owner| new.objects.get_key_value(*owner)));
        base.offline.decide(touched.iter().copied());
        ready.offline.decide(touched.iter().copied());
        let owners: BTreeSet<&Owner> = judged.iter().chain(new.held.keys()).filter(|owner| wanted(owner)).collect();
        let owners: Vec<&Owner> = owners.into_iter().collect();
        let view = View { base, new: &new, back: &back, going: &going, offline: &ready.offline, after, now };
        let items = view.items(&owners, Some(&touched));
        let names: BTreeSet<String> = judged.iter().map(ToString::to_string).collect();
        let said = ready.findings.iter().filter(|finding| !names.contains(&finding.owner)).cloned();
        let findings = said.chain(differing.findings).chain(after.findings.clone()).chain(budget);
        let findings = Findings(findings.chain(acknowledged::check(&after.landscape, now)).collect()).sorted();
        tracing::debug!(judged = judged.len(), us = began.elapsed().as_micros(), "compared quickly");
        let compared = view.compared(findings, items, ready.count);
        ready.offline.replace(touched.iter().filter_map(|owner| ready.still.objects.get_key_value(*owner)));
        Some(compared)
    }
}
