//! What the daemon decides: a pure state machine, events in, effects out. The shell performs the effects and feeds back what came
//! of them.
//!
//! Here are the events and what they set off; beside it what a commit changes (`taking_up`), what clusters tell (`observing`), and
//! how owners are looked at (`looking`).
//!
//! Nothing in here is needed to continue after a crash: every decision is either in Git or in the clusters.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::queue::{Millis, Queue};
use super::report::Report;
use super::turns::Turns;
use crate::cluster::{Kinds, View};
use crate::digest::{Digest, DigestKey};
use crate::finding::Findings;
use crate::landscape::{Kind, Owner, Target};
use crate::library::Library;
use crate::observed::{Object, ObjectKey, Observed};
use crate::pipeline::{self, Memory, Shown, World};
use crate::plan::{ComponentState, ErrorClass, OwnerPlan, StepResult, settled};
use crate::schedule::Placements;
use crate::secrets::{Bodies, SecretRef};
use crate::snapshot::Revision;
use crate::status::Standing;

mod event;
mod heartbeats;
mod installing;
mod looking;
mod observing;
mod operating;
mod taking_up;

pub use event::{Effect, Event, Head};

/// So many uids of objects that are gone are remembered: more than are deleted while one answer to a write is on its way.
const BURIED: usize = 4_096;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// After so many tries in a row, `run --once` takes a passing failure for a lasting one.
const PATIENCE: u32 = 5;

/// Settings of one run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Owners worked on at the same time.
    pub parallel: usize,
    /// Milliseconds between status reports while things move.
    pub status_every: Millis,
    /// Owners evaluated in one step, so that the loop stays responsive.
    pub batch: usize,
    /// Shoots that come up at the same time; more are begun when these are ready, stuck, or do not get on.
    pub creations: usize,
    /// Whether charts are rendered: extensions are installed by us.
    pub installs: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { parallel: 32, status_every: 2_000, batch: 64, creations: 128, installs: false }
    }
}

/// Counters that metrics and tests read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Owners evaluated since the start.
    pub evaluated: u64,
    /// Owners for which something was carried out.
    pub executed: u64,
    /// Steps carried out.
    pub steps: u64,
    /// Steps that failed.
    pub failed: u64,
    /// Status commits.
    pub commits: u64,
    /// Commits of the landscape taken up.
    pub heads: u64,
    /// Commits of the landscape that took others back.
    pub reverts: u64,
    /// Owners that waited for something on account of a commit that was taken back, and wait no longer.
    pub waits_cancelled: u64,
    /// Owners evaluated since the latest commit was taken up.
    pub evaluated_since_head: BTreeSet<Owner>,
    /// Owners for which something was written since the latest commit was taken up.
    pub written_since_head: BTreeSet<Owner>,
}

/// The daemon's state.
pub struct State {
    settings: Settings,
    pub(super) world: Option<World>,
    /// The commit that was taken up last while it was known what was accepted before, and the digest of what it means to do.
    pub(super) intent: Option<(Revision, Option<Digest>)>,
    library: Option<Arc<Library>>,
    pub(super) view: View,
    kinds: Kinds,
    buried: VecDeque<String>,
    asked_for_more: bool,
    asked_for: BTreeSet<Target>,
    heard: BTreeSet<Target>,
    /// Outlines of the latest plans.
    pub(super) plans: BTreeMap<Owner, Arc<OwnerPlan>>,
    /// Owners that are on their way: neither as wanted nor stuck.
    moving: BTreeSet<Owner>,
    pub(super) shown: BTreeMap<Owner, Shown>,
    pub(super) failures: BTreeMap<Owner, Vec<StepResult>>,
    pub(super) findings: BTreeMap<Owner, Findings>,
    placements: Placements,
    placements_stale: bool,
    labels: BTreeMap<String, Owner>,
    waiting_for: BTreeMap<SecretRef, BTreeSet<Owner>>,
    awaited: BTreeMap<Owner, BTreeSet<SecretRef>>,
    bodies: BTreeMap<Owner, Bodies>,
    fetching: BTreeSet<Owner>,
    /// Owners of which something changed while it was being fetched: what comes may be from before.
    overtaken: BTreeSet<Owner>,
    digest_key: Option<DigestKey>,
    key_asked: bool,
    contested: BTreeSet<(Target, ObjectKey)>,
    fights: BTreeMap<(Target, ObjectKey), u8>,
    memory: Memory,
    queue: Queue,
    turns: Turns,
    installing: installing::Installing,
    heartbeats: heartbeats::Heartbeats,
    operations: BTreeMap<Owner, operating::Taken>,
    /// Shoots that were asked to be reconciled, whatever window they wait for.
    released: BTreeSet<Owner>,
    /// The time of the last step, by both clocks.
    clock: (Timestamp, Millis),
    lease: bool,
    pub(super) git_trouble: Option<String>,
    pub(super) report: Report,
    /// Counters.
    pub counts: Counts,
}

impl State {
    /// A daemon that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let report = Report::new(settings.status_every);
        let turns = Turns::new(settings.creations);
        let installing = installing::Installing::new(settings.installs);
        Self {
            settings,
            world: None,
            intent: None,
            library: None,
            view: View::default(),
            kinds: Kinds::new(),
            buried: VecDeque::new(),
            asked_for_more: false,
            asked_for: BTreeSet::new(),
            heard: BTreeSet::new(),
            plans: BTreeMap::new(),
            moving: BTreeSet::new(),
            shown: BTreeMap::new(),
            failures: BTreeMap::new(),
            findings: BTreeMap::new(),
            placements: Placements::default(),
            placements_stale: true,
            labels: BTreeMap::new(),
            waiting_for: BTreeMap::new(),
            awaited: BTreeMap::new(),
            bodies: BTreeMap::new(),
            fetching: BTreeSet::new(),
            overtaken: BTreeSet::new(),
            digest_key: None,
            key_asked: false,
            contested: BTreeSet::new(),
            fights: BTreeMap::new(),
            memory: Memory::default(),
            queue: Queue::default(),
            turns,
            installing,
            heartbeats: heartbeats::Heartbeats::default(),
            operations: BTreeMap::new(),
            released: BTreeSet::new(),
            clock: (Timestamp::UNIX_EPOCH, 0),
            lease: false,
            git_trouble: None,
            report,
            counts: Counts::default(),
        }
    }

    /// Takes an event and says what to do.
    pub fn step(&mut self, event: Event, now: Timestamp, at: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.clock = (now, at);
        match event {
            Event::Head(head) => self.head(*head, now, at),
            Event::GitTrouble(why) => {
                if self.git_trouble.as_ref() != Some(&why) {
                    self.git_trouble = Some(why);
                    self.report.touch_summary(at);
                }
            }
            Event::GitFine => {
                if self.git_trouble.take().is_some() {
                    self.report.touch_summary(at);
                }
            }
            Event::Signals(signals) => self.signals(signals, now, at),
            Event::Expect(kinds) => {
                self.view.expect(&kinds);
                self.kinds = kinds;
                self.touch_all(at);
            }
            Event::Bodies(owner, result) => {
                self.fetching.remove(&owner);
                let overtaken = self.overtaken.remove(&owner);
                match result {
                    Ok(bodies) => {
                        // What is from before a change that was seen would pass for what came after it.
                        if !overtaken {
                            self.bodies.insert(owner.clone(), bodies);
                        }
                        self.queue.add(&owner, at);
                    }
                    Err(why) => {
                        tracing::warn!(%owner, %why, "secrets could not be read");
                        self.queue.done(&owner, at, Some((ErrorClass::Transient, None)));
                    }
                }
            }
            Event::DigestKey(key) => {
                self.digest_key = Some(key);
                self.touch_all(at);
            }
            Event::NoDigestKey => self.key_asked = false,
            Event::Done(owner, results) => {
                self.operate(&owner, &results, now, at);
                let accepts = owner.kind == Kind::Landscape
                    && results.iter().any(|r| r.key.kind == owner.kind.name() && matches!(r.result, Ok(true)));
                self.done(&owner, results, at);
                if accepts {
                    // Guards are read from what is accepted: what a freeze kept back may go ahead now.
                    self.readmit(now, at);
                }
            }
            Event::StatusDone(results) => {
                for (owner, result) in results {
                    let before = self.view.observed.get(&result.target, &result.key).cloned();
                    if let Some(object) = &result.object {
                        self.insert(&result.target, object.clone());
                    }
                    // Of an Operation, what came of it is how it stands. Of a shoot, what is rendered quotes its status: looked at
                    // again, since whether a watch or this answer tells first must make no difference to the end.
                    let quoted = |object: &Arc<Object>| pipeline::informs(before.as_deref(), object);
                    if owner.kind == Kind::Operation || (owner.kind == Kind::Shoot && result.object.as_ref().is_some_and(quoted))
                    {
                        self.queue.add(&owner, at);
                    }
                    self.report.patched(&owner, result.result.is_ok(), at);
                }
            }
            Event::Committed(result) => match result {
                Ok(_) => {
                    self.counts.commits += 1;
                    self.report.committed();
                }
                Err(why) => {
                    tracing::warn!(%why, "status was not committed");
                    self.report.failed(format!("status was not committed: {why}"), at);
                }
            },
            Event::StatusTree(_, files) => self.report.present(files, at),
            Event::StatusUnreadable(why) => {
                tracing::warn!(%why, "the status branch cannot be read");
                self.report.failed(format!("the status branch cannot be read: {why}"), at);
            }
            Event::Chart(request, outcome) => self.rendered(&request, outcome, at),
            Event::Heartbeats(target, beats) => self.heard_heartbeats(&target, beats, now, at),
            Event::Lease(held) => {
                if held && !self.lease {
                    self.touch_all(at);
                }
                self.lease = held;
            }
            Event::Tick => {}
        }
        self.work(now, at, &mut effects);
        effects
    }

    /// Whether everything that is wanted is ready, held or failed, and has been reported: the end of `run --once`.
    #[must_use]
    pub fn is_settled(&self, at: Millis) -> bool {
        let Some(world) = &self.world else { return false };
        let busy = self.queue.is_busy(at) || self.turns.anyone_waits() || self.is_operating();
        !busy
            && self.fetching.is_empty()
            && self.installing.is_idle()
            && self.heartbeats.is_idle()
            && !(self.key_asked && self.digest_key.is_none())
            && self.report.is_quiet()
            && world.owners().iter().all(|owner| {
                self.plans.get(owner).is_some_and(|plan| {
                    let stays = stuck(plan) || waits(plan) || self.waits_for_stuck(owner, plan);
                    settled(plan) || self.gave_up(owner) || stays || !world.held(owner).is_empty()
                })
            })
    }

    /// Whether a shoot has nothing to do but wait for its seed, or for an extension there, which waits for something outside.
    fn waits_for_stuck(&self, owner: &Owner, plan: &OwnerPlan) -> bool {
        let seed = self.shown.get(owner).and_then(|shown| shown.seed.clone());
        let seed = seed.and_then(|seed| self.plans.get(&Owner::cluster(Kind::Seed, seed)));
        let blocked = plan.components.iter().any(|c| matches!(c.state, ComponentState::Blocked(_)));
        blocked && plan.generate.is_empty() && rests(plan) && seed.is_some_and(|seed| stuck(seed))
    }

    /// Whether what failed for an owner will not be mended by trying again soon.
    fn gave_up(&self, owner: &Owner) -> bool {
        let mut errors = self.failures.get(owner).into_iter().flatten().filter_map(|f| f.result.as_ref().err()).peekable();
        let passing = |class| matches!(class, ErrorClass::Conflict | ErrorClass::Transient);
        errors.peek().is_some() && (self.queue.attempts(owner) >= PATIENCE || errors.any(|e| !passing(e.class)))
    }

    /// The kinds that are watched, as `apiVersion/Kind`, under `garden` and `seeds`.
    #[must_use]
    pub fn kinds_by_place(&self) -> Value {
        let mut out: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (target, kinds) in &self.kinds {
            let place = if *target == Target::Garden { "garden" } else { "seeds" };
            out.entry(place).or_default().extend(kinds.iter().map(|k| format!("{}/{}", k.api_version, k.kind)));
        }
        json!(out)
    }

    /// Kinds that the Landscape object remembers and nobody watches yet.
    fn remembered(&self) -> BTreeSet<(bool, String, String)> {
        let Some(root) = self.world.as_ref().and_then(|w| self.view.observed.garden(&w.root)) else { return BTreeSet::new() };
        let mut out = BTreeSet::new();
        for (place, in_garden) in [("garden", true), ("seeds", false)] {
            let known: BTreeSet<(&str, &str)> = self
                .kinds
                .iter()
                .filter(|(target, _)| (**target == Target::Garden) == in_garden)
                .flat_map(|(_, kinds)| kinds.iter().map(|k| (k.api_version.as_str(), k.kind.as_str())))
                .collect();
            let names = root.get(&format!("/status/kinds/{place}")).and_then(Value::as_array);
            for (api, kind) in names.into_iter().flatten().filter_map(Value::as_str).filter_map(|name| name.rsplit_once('/')) {
                if !known.contains(&(api, kind)) {
                    out.insert((in_garden, api.to_owned(), kind.to_owned()));
                }
            }
        }
        out
    }

    /// Seeds that the garden knows and the landscape no more, which nobody looks at or asked for yet.
    fn left_behind(&self) -> BTreeSet<Target> {
        let Some(world) = self.world.as_ref().filter(|_| self.view.observed.complete(&Target::Garden)) else {
            return BTreeSet::new();
        };
        let seeds = world.owners().iter().filter(|owner| owner.kind == Kind::Seed && !world.landscape.has(owner));
        let targets = seeds.map(|owner| Target::Seed(owner.name.clone()));
        targets.filter(|target| !self.kinds.contains_key(target) && !self.asked_for.contains(target)).collect()
    }

    /// When to step again although nothing happens. A moment that is past counts only if something is done at once: else the
    /// shell would step in circles until what is waited for comes: a cluster's list, a free hand, the lease, an answer.
    #[must_use]
    pub fn wake_at(&self) -> Option<Millis> {
        let (_, at) = self.clock;
        let looks = self.may_look();
        let next = self.queue.next().filter(|_| looks && self.queue.running() < self.settings.parallel);
        let turn = self.turns.wake_at().filter(|_| looks);
        let may_report = |due: &Millis| self.lease && (*due > at || self.all_seen() || self.is_idle(at));
        let report = self.report.wake_at().filter(may_report);
        let heartbeats = self.heartbeats.wake_at().filter(|_| self.lease);
        [next, turn, report, heartbeats, self.readmits_at()].into_iter().flatten().min()
    }

    /// Whether every cluster was listed, or said why it cannot be: before that there is nothing to say about anything.
    fn may_look(&self) -> bool {
        self.world.is_some() && !self.kinds.is_empty() && self.kinds.keys().all(|target| self.heard.contains(target))
    }

    fn all_seen(&self) -> bool {
        self.world.as_ref().is_some_and(|world| world.owners().iter().all(|owner| self.plans.contains_key(owner)))
    }

    /// Whether nothing is done, read or on its way.
    fn is_idle(&self, at: Millis) -> bool {
        let asked = !self.installing.is_idle() || !self.heartbeats.is_idle();
        let reading = !self.fetching.is_empty() || asked || (self.key_asked && self.digest_key.is_none());
        !self.queue.is_busy(at) && !reading && self.moving.is_empty()
    }

    /// When time moves a verdict: a version expires, a freeze ends, a maintenance window opens. At least once a day, since the two
    /// clocks drift.
    fn readmits_at(&self) -> Option<Millis> {
        let (now, at) = self.clock;
        let again = self.world.as_ref().and_then(|world| world.admitted.again)?;
        let wait = again.saturating_mul(1_000).saturating_sub(now.as_millisecond()).clamp(1, DAY);
        Some(at.saturating_add(u64::try_from(wait).unwrap_or(1)))
    }

    /// What is wrong with Git, on either branch, if anything.
    #[must_use]
    pub fn git_trouble(&self) -> Option<String> {
        self.git_trouble.clone().or_else(|| self.report.trouble().map(str::to_owned))
    }

    /// How every owner stands.
    #[must_use]
    pub fn standings(&self) -> BTreeMap<Owner, Standing> {
        let Some(world) = &self.world else { return BTreeMap::new() };
        self.plans
            .iter()
            .map(|(owner, plan)| {
                let failures = self.failures.get(owner).map_or(&[][..], Vec::as_slice);
                (owner.clone(), crate::status::standing(plan, world.held(owner), failures))
            })
            .collect()
    }

    /// The world, once a commit was taken up.
    #[must_use]
    pub const fn world(&self) -> Option<&World> {
        self.world.as_ref()
    }

    /// The latest plans.
    #[must_use]
    pub const fn plans(&self) -> &BTreeMap<Owner, Arc<OwnerPlan>> {
        &self.plans
    }

    /// What is live.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.view.observed
    }

    fn done(&mut self, owner: &Owner, results: Vec<StepResult>, at: Millis) {
        let mut worst: Option<(ErrorClass, Option<u32>)> = None;
        let mut wrote = false;
        for result in &results {
            self.counts.steps += 1;
            match &result.result {
                Ok(changed) => wrote |= *changed,
                Err(error) => {
                    self.counts.failed += 1;
                    let wait = error.retry_after.or(worst.and_then(|(_, w)| w));
                    worst = Some((worst.map_or(error.class, |(class, _)| class.max(error.class)), wait));
                }
            }
            if let Some(object) = &result.object {
                self.watch_for_fights(result, object);
                self.insert(&result.target, object.clone());
            }
        }
        if wrote {
            self.counts.written_since_head.insert(owner.clone());
        }
        if self.world.as_ref().is_some_and(|world| !world.owners().contains(owner)) {
            self.queue.done(owner, at, None);
            self.forget(owner);
            return;
        }
        let failed: Vec<StepResult> = results
            .into_iter()
            // A conflict is how concurrency looks, not a failure worth telling: the next look resolves it.
            .filter(|r| r.result.as_ref().is_err_and(|e| e.class != ErrorClass::Conflict))
            .collect();
        if failed.is_empty() {
            self.failures.remove(owner);
        } else {
            self.failures.insert(owner.clone(), failed);
        }
        self.queue.done(owner, at, worst);
        if worst.is_none() {
            self.queue.add(owner, at);
        }
        self.report.touch(owner, at);
    }

    fn work(&mut self, now: Timestamp, at: Millis, effects: &mut Vec<Effect>) {
        if !self.asked_for_more && self.view.observed.complete(&Target::Garden) {
            self.asked_for_more = true;
            let more = self.remembered();
            if !more.is_empty() {
                effects.push(Effect::Follow(more));
                return;
            }
        }
        let left = self.left_behind();
        if !left.is_empty() {
            self.asked_for.extend(left.iter().cloned());
            effects.push(Effect::Connect(left));
            return;
        }
        let due = self.world.as_ref().and_then(|w| w.admitted.again).is_some_and(|again| now.as_second() >= again);
        if due {
            self.readmit(now, at);
        }
        if self.digest_key.is_none() && !self.key_asked {
            // Made with the garden's own components, and needed by everything that carries a secret.
            if let Some(secret) = pipeline::digest_key_ref(&self.view.observed) {
                self.key_asked = true;
                effects.push(Effect::FetchDigestKey(secret));
            }
        }
        if self.may_look() {
            for owner in self.turns.next(at) {
                self.queue.add(&owner, at);
            }
            let free = self.settings.parallel.saturating_sub(self.queue.running()).min(self.settings.batch);
            if free > 0 {
                for owner in self.queue.take(at, free) {
                    self.evaluate(&owner, now, at, effects);
                }
            }
        }
        if self.lease {
            self.ask_for_heartbeats(at, effects);
            self.report_now(now, at, effects);
        }
    }

    fn report_now(&mut self, now: Timestamp, at: Millis, effects: &mut Vec<Effect>) {
        // While anything is on its way, a report goes out when its time comes and not at every pause between two steps.
        let idle = self.is_idle(at);
        if !self.report.is_wanted(at, idle) {
            return;
        }
        if !self.all_seen() && !idle {
            // A report that lacks half the fleet would say that it is gone.
            return;
        }
        let mut report = std::mem::take(&mut self.report);
        report.run(self, now, at, idle, effects);
        self.report = report;
    }
}

/// Nothing to do and nothing under way, yet not ready: something outside must happen first.
fn stuck(plan: &OwnerPlan) -> bool {
    plan.components.iter().any(|c| matches!(c.state, ComponentState::Failed(_) | ComponentState::Held(_)))
        && plan.generate.is_empty()
        && rests(plan)
}

/// Kept as it was rolled out last until a maintenance window opens, and nothing under way.
fn waits(plan: &OwnerPlan) -> bool {
    plan.waits.is_some() && plan.generate.is_empty() && rests(plan)
}

/// Nothing to do and nothing under way: as wanted, or waiting for something outside.
fn rests(plan: &OwnerPlan) -> bool {
    plan.components
        .iter()
        .all(|c| c.steps.is_empty() && !matches!(c.state, ComponentState::Progressing(_) | ComponentState::Removing(_)))
}
