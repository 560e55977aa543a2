//! How an owner is looked at: what it needs right now, whether that is begun, and when to look again.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::queue::Millis;
use super::{Effect, State, rests, stuck, waits as waits_for_window};
use crate::landscape::{Kind, Owner};
use crate::pipeline::{Evaluation, Look};
use crate::plan::{self, ComponentState, ErrorClass, Operation, OwnerPlan, serves, settled};
use crate::secrets::{Bodies, SecretRef};

impl State {
    pub(super) fn evaluate(&mut self, owner: &Owner, now: Timestamp, at: Millis, effects: &mut Vec<Effect>) {
        let (Some(world), Some(library)) = (self.world.as_ref(), self.library.as_ref()) else { return };
        if !world.owners().contains(owner) {
            // An answer to something that was begun for it came after it was forgotten.
            self.forget(owner);
            self.queue.park(owner);
            return;
        }
        if owner.kind != Kind::Landscape && self.key_asked && self.digest_key.is_none() {
            // Nothing that carries a secret can be judged before the key is read; everyone is looked at again then.
            self.queue.park(owner);
            return;
        }
        if owner.kind == Kind::Shoot && self.placements_stale {
            self.placements = world.place(&self.view.observed, &self.plans);
            self.placements_stale = false;
        }
        self.counts.evaluated += 1;
        self.counts.evaluated_since_head.insert(owner.clone());
        let empty = Bodies::default();
        let look = Look {
            library,
            observed: &self.view.observed,
            plans: &self.plans,
            placements: &self.placements,
            bodies: self.bodies.get(owner).unwrap_or(&empty),
            digest_key: self.digest_key.as_ref(),
            charts: self.installing.charts(),
            contested: &self.contested,
            now,
        };
        let memory = &mut self.memory;
        // A panic in one owner's evaluation is that owner's internal error and nobody else's.
        let evaluated = catch_unwind(AssertUnwindSafe(|| world.evaluate(owner, &look, memory)));
        let Ok(evaluation) = evaluated else {
            tracing::error!(%owner, "internal error while evaluating");
            self.plans
                .insert(owner.clone(), Arc::new(OwnerPlan::failed(owner.clone(), "internal error while evaluating".into())));
            self.moving.remove(owner);
            self.report.touch(owner, at);
            self.operated(owner, at);
            self.queue.done(owner, at, Some((ErrorClass::Internal, None)));
            return;
        };
        self.take(owner, evaluation, now, at, effects);
    }

    fn take(&mut self, owner: &Owner, evaluation: Evaluation, now: Timestamp, at: Millis, effects: &mut Vec<Effect>) {
        let Evaluation { mut plan, needs, charts, findings, shown } = evaluation;
        // What was read may come, go and change, and is looked at again then; if nothing was read now, what was read before stands.
        let read = self.bodies.get(owner).map(|bodies| &bodies.0);
        let complete = needs.iter().all(|secret| read.is_some_and(|read| read.contains_key(secret)));
        let interest: BTreeSet<SecretRef> =
            needs.into_iter().chain(read.into_iter().flatten().map(|(secret, _)| secret.clone())).collect();
        if !interest.is_empty() {
            self.wait_for(owner, &interest);
        }
        if !complete {
            // What is half read is neither told nor acted upon.
            if self.fetching.insert(owner.clone()) {
                effects.push(Effect::FetchBodies(owner.clone(), interest));
            }
            self.queue.park(owner);
            return;
        }
        self.ask_for_charts(owner, charts, at, effects);
        let served = self.plans.get(owner).is_some_and(|p| serves(p));
        let is = settled(&plan);
        if findings.is_empty() {
            self.findings.remove(owner);
        } else {
            self.findings.insert(owner.clone(), findings);
        }
        let moved = self.installations_moved(owner, &shown);
        self.shown.insert(owner.clone(), shown);
        self.listens(owner);
        self.demands(owner, at);
        let to_do = !plan.generate.is_empty() || plan.components.iter().any(|c| !c.steps.is_empty());
        let new = owner.kind == Kind::Shoot && to_do && plan.operation == Operation::Create && !self.queue.has_begun(owner);
        let waits = new && self.lease && !self.turns.ask(owner, at);
        if waits && let Some(first) = Arc::make_mut(&mut plan).components.first_mut() {
            first.state = ComponentState::Waiting("its turn: others are coming up".into());
        }
        self.plans.insert(owner.clone(), Arc::new(plan.outline()));
        if is {
            // Whatever failed on the way is done, or no longer wanted.
            self.failures.remove(owner);
            self.released.remove(owner);
        }
        if is || stuck(&plan) || waits_for_window(&plan) {
            self.moving.remove(owner);
            self.queue.calm(owner);
        } else {
            self.moving.insert(owner.clone());
        }
        if !waits && !to_do && rests(&plan) {
            self.turns.leave(owner);
        }
        self.report.touch(owner, at);
        self.operated(owner, at);
        if served != serves(&plan) || moved {
            self.gate_moved(owner, at);
        }
        self.bodies.remove(owner);
        if waits {
            self.queue.park(owner);
            return;
        }
        if is || to_do {
            self.queue.begin(owner);
        }
        if to_do && self.lease {
            self.turns.step(owner, at);
            self.counts.executed += 1;
            effects.push(Effect::Execute(plan));
            return;
        }
        if is || waits_for_window(&plan) {
            self.memory.settle(owner);
        }
        if let Some(again) = plan.again {
            let wait = u64::try_from(again.saturating_sub(now.as_second())).unwrap_or(0).max(1);
            self.queue.add(owner, at.saturating_add(wait.saturating_mul(1_000)));
        }
        if let Some(due) = self.tries_again(owner) {
            self.queue.add(owner, due);
        }
        self.queue.done(owner, at, None);
        if plan::gone(&plan) && self.world.as_ref().is_some_and(|w| w.going.contains(owner)) {
            // Nothing is left of it in the garden: it is no more.
            self.readmit(now, at);
            if self.world.as_ref().is_some_and(|w| !w.owners().contains(owner)) {
                self.forget(owner);
            }
            self.placements_stale = true;
        }
    }

    /// Remembers which secrets an owner is to be looked at for again.
    pub(super) fn wait_for(&mut self, owner: &Owner, needs: &BTreeSet<SecretRef>) {
        let before =
            if needs.is_empty() { self.awaited.remove(owner) } else { self.awaited.insert(owner.clone(), needs.clone()) };
        for secret in before.unwrap_or_default().difference(needs) {
            if let Some(users) = self.waiting_for.get_mut(secret) {
                users.remove(owner);
                if users.is_empty() {
                    self.waiting_for.remove(secret);
                }
            }
        }
        for secret in needs {
            self.waiting_for.entry(secret.clone()).or_default().insert(owner.clone());
        }
    }
}
