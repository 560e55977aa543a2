//! What a commit changes: the world it means becomes the current one, and the owners whose inputs changed are looked at.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::queue::Millis;
use super::super::reverts::Reverts;
use super::{Head, State};
use crate::admission::Accepted;
use crate::landscape::{Kind, Owner, Target};
use crate::library::Library;
use crate::pipeline::{self, Before, World};
use crate::plan::intent::intent;
use crate::snapshot::Revision;

impl State {
    pub(super) fn head(&mut self, head: Head, now: Timestamp, at: Millis) {
        let same_library = self.library.as_ref().is_some_and(|old| old.digest() == head.library.digest());
        self.library = Some(head.library.clone());
        let before = self.world.take();
        let accepted = self.accepted();
        let written = accepted.written.clone();
        let world = pipeline::world(head.revision, head.landscape, head.findings, accepted, &head.library, now, &mut self.memory);
        self.counts.heads += 1;
        self.counts.evaluated_since_head.clear();
        self.counts.written_since_head.clear();
        self.intend(&written, &world, &head.library);
        self.report.head(&world, at);
        self.report.reverts(head.reverts.as_ref());
        let hurried = head.reverts.map(|reverts| self.taken_back(&reverts, before.as_ref(), &world, same_library, at));
        self.take_up(before, world, same_library, at);
        for owner in hurried.into_iter().flatten() {
            if self.world.as_ref().is_some_and(|world| world.owners().contains(&owner)) {
                self.queue.hurry(&owner, at);
            }
        }
    }

    /// Ends what owners wait for on account of what is taken back; gives those that go ahead of all others for it.
    fn taken_back(
        &mut self,
        reverts: &Reverts,
        before: Option<&World>,
        world: &World,
        same_library: bool,
        at: Millis,
    ) -> BTreeSet<Owner> {
        let gone = before.into_iter().flat_map(World::owners).filter(|owner| !world.owners().contains(*owner));
        let concerned = |owner: &&Owner| {
            let seed = self.shown.get(*owner).and_then(|s| s.seed.as_deref());
            let untouched = same_library && before.is_some_and(|before| same_inputs(before, world, owner, seed));
            !untouched && reverts.concerns(before, world, owner, seed)
        };
        let changed: BTreeSet<Owner> = world.owners().iter().chain(gone).filter(concerned).cloned().collect();
        let mut cancelled = 0;
        for owner in &changed {
            let until_window = self.plans.get(owner).is_some_and(|plan| plan.waits.is_some());
            let in_line = self.queue.is_waiting(owner, at) || self.turns.is_waiting(owner);
            let waited = until_window || in_line || self.moving.contains(owner);
            cancelled += u64::from(waited);
            if self.turns.is_waiting(owner) {
                self.turns.leave(owner);
            }
            // What failed was what is not wanted any more.
            self.failures.remove(owner);
        }
        self.counts.reverts += 1;
        self.counts.waits_cancelled += cancelled;
        let commits = reverts.commits.iter().map(Revision::short).collect::<Vec<_>>().join(", ");
        tracing::info!(commits, owners = changed.len(), cancelled, "a change is taken back");
        changed
    }

    /// What was accepted before, with the shoots that wait for no window.
    fn accepted(&self) -> Before {
        let mut before = pipeline::accepted(&self.view.observed);
        before.urgent.extend(self.released.iter().cloned());
        before
    }

    /// Notes what a commit means to do, once, when it is known what was accepted before it.
    fn intend(&mut self, written: &Accepted, world: &World, library: &Library) {
        let noted = self.intent.as_ref().is_some_and(|(revision, _)| *revision == world.revision);
        if !noted && self.view.observed.complete(&Target::Garden) {
            let digest = intent(&written.0, &world.admitted, &world.waiting, &world.going, library.digest());
            self.intent = Some((world.revision.clone(), digest));
        }
    }

    /// Admits the same commit again: what was accepted is known (again), or time has moved a verdict.
    pub(super) fn readmit(&mut self, now: Timestamp, at: Millis) {
        if let (Some(old), Some(library)) = (self.world.take(), self.library.clone()) {
            let accepted = self.accepted();
            let (revision, landscape, loaded) = (old.revision.clone(), old.landscape.clone(), old.loaded.clone());
            let written = accepted.written.clone();
            let world = pipeline::world(revision, landscape, loaded, accepted, &library, now, &mut self.memory);
            self.intend(&written, &world, &library);
            self.take_up(Some(old), world, true, at);
        }
    }

    /// Makes a world the current one and asks for a look at the owners whose inputs changed, and only at those.
    fn take_up(&mut self, before: Option<World>, world: World, same_library: bool, at: Millis) {
        self.labels = world.owners().iter().map(|owner| (owner.label(), owner.clone())).collect();
        self.placements_stale = true;
        for owner in world.owners() {
            let seed = self.shown.get(owner).and_then(|s| s.seed.as_deref());
            let untouched = same_library && before.as_ref().is_some_and(|before| same_inputs(before, &world, owner, seed));
            if !untouched {
                self.queue.add(owner, at);
            }
        }
        if let Some(before) = before {
            for owner in before.owners().difference(world.owners()) {
                self.forget(owner);
            }
        }
        self.world = Some(world);
    }

    pub(super) fn touch_all(&mut self, at: Millis) {
        if let Some(world) = &self.world {
            for owner in world.owners() {
                self.queue.add(owner, at);
            }
        }
    }

    pub(super) fn forget(&mut self, owner: &Owner) {
        self.plans.remove(owner);
        self.moving.remove(owner);
        self.shown.remove(owner);
        self.listens(owner);
        self.failures.remove(owner);
        self.findings.remove(owner);
        self.wait_for(owner, &BTreeSet::new());
        self.bodies.remove(owner);
        self.memory.settle(owner);
        self.queue.forget(owner);
        self.turns.leave(owner);
        self.operated(owner, 0);
        self.operations.remove(owner);
        self.released.remove(owner);
        self.demands_nothing(owner);
        self.report.forget(owner);
    }

    /// An owner that others wait for became ready, or ceased to be.
    pub(super) fn gate_moved(&mut self, owner: &Owner, at: Millis) {
        let Some(world) = &self.world else { return };
        match owner.kind {
            Kind::Landscape => {
                for other in world.owners().iter().filter(|o| *o != owner) {
                    self.queue.add(other, at);
                }
            }
            Kind::Project => {
                for other in world.owners().iter().filter(|o| o.project == owner.name) {
                    self.queue.add(other, at);
                }
            }
            Kind::Seed => {
                self.placements_stale = true;
                for other in world.owners().iter().filter(|o| o.kind == Kind::Shoot) {
                    let seed = self.shown.get(other).and_then(|s| s.seed.as_ref());
                    if seed.is_none_or(|seed| *seed == owner.name) {
                        self.queue.add(other, at);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether nothing that an owner is evaluated from changed between two worlds: its own manifest and standing, and those of the
/// profile, seed, project and bindings that it inherits from.
fn same_inputs(before: &World, after: &World, owner: &Owner, seed: Option<&str>) -> bool {
    before.manifest(owner) == after.manifest(owner)
        && before.held(owner) == after.held(owner)
        && before.going.contains(owner) == after.going.contains(owner)
        && before.admitted.gone.get(owner) == after.admitted.gone.get(owner)
        && before.remarks(owner) == after.remarks(owner)
        && before.waiting.get(owner) == after.waiting.get(owner)
        && pipeline::sources(after, owner, seed).iter().all(|source| before.manifest(source) == after.manifest(source))
}
