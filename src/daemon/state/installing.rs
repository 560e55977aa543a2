//! Extensions: which charts are to be rendered and what came of it, and which seed is to be looked at because a shoot needs
//! something else of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::queue::Millis;
use super::{Effect, State};
use crate::digest::Digest;
use crate::landscape::{Kind, Owner};
use crate::pipeline::Shown;
use crate::render::chart::{Charts, Outcome, Request};
use crate::schedule::extensions::Need;

/// The first wait after a chart could not be rendered, and the longest; doubled each time.
const WAITS: (Millis, Millis) = (60_000, 3_600_000);

/// What is known of charts.
#[derive(Default)]
pub(super) struct Installing {
    /// What came of requests; `None` if nobody renders charts.
    charts: Option<Arc<Charts>>,
    /// Requests that have no answer yet.
    asked: BTreeSet<Digest>,
    /// When a request that failed is made again, and how often it failed.
    again: BTreeMap<Digest, (Millis, u32)>,
    /// The requests of each seed: others are forgotten.
    uses: BTreeMap<Owner, BTreeSet<Digest>>,
    /// What shoots need, and of which seed.
    demands: BTreeMap<Owner, (String, Arc<BTreeSet<Need>>)>,
}

impl Installing {
    pub(super) fn new(installs: bool) -> Self {
        Self { charts: installs.then(Arc::default), ..Self::default() }
    }

    /// What came of requests so far.
    pub(super) const fn charts(&self) -> Option<&Arc<Charts>> {
        self.charts.as_ref()
    }

    /// Whether every request was answered.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether a request is to be made: for the first time, or because it failed and its time has come. What failed counts until
    /// there is another answer.
    fn is_due(&self, request: &Request, at: Millis) -> bool {
        match self.charts.as_ref().and_then(|charts| charts.0.get(&request.digest)) {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(_)) => self.again.get(&request.digest).is_none_or(|(due, _)| *due <= at),
        }
    }

    /// Remembers which requests a seed is made from, and forgets those of nobody.
    fn keep(&mut self, seed: &Owner, uses: BTreeSet<Digest>) {
        let before = if uses.is_empty() { self.uses.remove(seed) } else { self.uses.insert(seed.clone(), uses) };
        let used = |digest: &Digest| self.uses.values().any(|uses| uses.contains(digest));
        let gone: Vec<Digest> = before.into_iter().flatten().filter(|digest| !used(digest)).collect();
        if let Some(charts) = self.charts.as_mut().filter(|_| !gone.is_empty()) {
            Arc::make_mut(charts).0.retain(|digest, _| !gone.contains(digest));
        }
        self.again.retain(|digest, _| !gone.contains(digest));
    }
}

impl State {
    /// Has the charts rendered that a seed is made from.
    pub(super) fn ask_for_charts(&mut self, seed: &Owner, charts: Vec<Arc<Request>>, at: Millis, effects: &mut Vec<Effect>) {
        if self.installing.charts.is_none() || seed.kind != Kind::Seed {
            return;
        }
        self.installing.keep(seed, charts.iter().map(|request| request.digest.clone()).collect());
        for request in charts {
            if self.installing.is_due(&request, at) && self.installing.asked.insert(request.digest.clone()) {
                effects.push(Effect::RenderChart(request));
            }
        }
    }

    /// A chart was rendered, or not. What failed is tried again later; meanwhile what stands is kept.
    pub(super) fn rendered(&mut self, request: &Request, outcome: Outcome, at: Millis) {
        let seed = Owner::cluster(Kind::Seed, request.seed.clone());
        let installing = &mut self.installing;
        installing.asked.remove(&request.digest);
        if !installing.uses.get(&seed).is_some_and(|uses| uses.contains(&request.digest)) {
            self.queue.add(&seed, at);
            return;
        }
        match &outcome {
            Ok(_) => drop(installing.again.remove(&request.digest)),
            Err(why) => {
                let (first, longest) = WAITS;
                let (_, failures) = installing.again.get(&request.digest).copied().unwrap_or_default();
                let wait = first.checked_shl(failures.min(10)).unwrap_or(longest).min(longest);
                installing.again.insert(request.digest.clone(), (at.saturating_add(wait), failures.saturating_add(1)));
                tracing::warn!(seed = request.seed, extension = request.release, %why, "a chart could not be rendered");
            }
        }
        if let Some(charts) = &mut installing.charts {
            Arc::make_mut(charts).0.insert(request.digest.clone(), outcome);
        }
        self.queue.add(&seed, at);
    }

    /// When a chart of a seed that could not be rendered is tried again.
    pub(super) fn tries_again(&self, seed: &Owner) -> Option<Millis> {
        let digests = self.installing.uses.get(seed)?;
        let waits = digests.iter().filter(|digest| !self.installing.asked.contains(*digest));
        waits.filter_map(|digest| self.installing.again.get(digest)).map(|(due, _)| *due).min()
    }

    /// Whether another set of a seed's extensions is there or serves than before.
    pub(super) fn installations_moved(&self, seed: &Owner, now: &Shown) -> bool {
        let stands = |shown: &Shown| -> Vec<(String, bool)> {
            shown.installations.iter().map(|(name, stand)| (name.clone(), stand.serves)).collect()
        };
        seed.kind == Kind::Seed && self.shown.get(seed).map(stands).unwrap_or_default() != stands(now)
    }

    /// Has a look at the seed of a shoot that needs something else of it than before.
    pub(super) fn demands(&mut self, shoot: &Owner, at: Millis) {
        if shoot.kind != Kind::Shoot || self.installing.charts.is_none() {
            return;
        }
        let Some(world) = &self.world else { return };
        // What is left of a shoot on its seed may be gone with this look.
        if let Some(seed) =
            self.shown.get(shoot).and_then(|shown| shown.seed.clone()).map(|seed| Owner::cluster(Kind::Seed, seed))
            && self.shown.get(&seed).is_some_and(|shown| shown.installations.values().any(|stand| stand.lingers))
        {
            self.queue.add(&seed, at);
        }
        let demand = world.demand_of(shoot, &self.view.observed, &mut self.memory);
        if self.installing.demands.get(shoot) == demand.as_ref() {
            return;
        }
        let before = match &demand {
            Some(demand) => self.installing.demands.insert(shoot.clone(), demand.clone()),
            None => self.installing.demands.remove(shoot),
        };
        for (seed, _) in [before, demand].into_iter().flatten() {
            self.queue.add(&Owner::cluster(Kind::Seed, seed), at);
        }
    }

    /// An owner is no more: neither the charts that it was made from are needed, nor what it needed.
    pub(super) fn demands_nothing(&mut self, owner: &Owner) {
        self.installing.keep(owner, BTreeSet::new());
        if let Some((seed, _)) = self.installing.demands.remove(owner) {
            let (_, at) = self.clock;
            self.queue.add(&Owner::cluster(Kind::Seed, seed), at);
        }
    }
}
