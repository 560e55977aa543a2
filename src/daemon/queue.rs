//! When to look at which owner: keyed by owner, earliest wins, never two at once, back-off with jitter by error class. What was
//! begun and is due comes before what was not begun, and what is taken back before both; how many are begun at the same time is for
//! `turns` to say.
//!
//! Pure: times are milliseconds that the caller passes in, jitter is derived from the owner and the number of attempts.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest;
use crate::landscape::{Kind, Owner};
use crate::plan::ErrorClass;

/// Milliseconds on the daemon's monotonic clock.
pub type Millis = u64;

/// Owners in the order in which they are due.
type Line = BTreeSet<(Millis, Owner)>;

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    due: BTreeMap<Owner, Millis>,
    /// Those that are ahead of all others.
    ahead: Line,
    /// Those that were worked on before, or that others wait for.
    first: Line,
    /// Shoots for which nothing was done yet.
    then: Line,
    begun: BTreeSet<Owner>,
    hurried: BTreeSet<Owner>,
    running: BTreeSet<Owner>,
    meanwhile: BTreeMap<Owner, Millis>,
    attempts: BTreeMap<Owner, u32>,
}

impl Queue {
    /// Asks for a look at an owner no later than `at`. While the owner is being worked on, the wish is kept until that is done.
    pub fn add(&mut self, owner: &Owner, at: Millis) {
        if self.running.contains(owner) {
            let kept = self.meanwhile.entry(owner.clone()).or_insert(at);
            *kept = (*kept).min(at);
            return;
        }
        match self.due.get(owner).copied() {
            Some(earlier) if earlier <= at => {}
            Some(later) => {
                self.line(owner).remove(&(later, owner.clone()));
                self.insert(owner, at);
            }
            None => self.insert(owner, at),
        }
    }

    fn insert(&mut self, owner: &Owner, at: Millis) {
        self.due.insert(owner.clone(), at);
        self.line(owner).insert((at, owner.clone()));
    }

    fn line(&mut self, owner: &Owner) -> &mut Line {
        if self.hurried.contains(owner) {
            &mut self.ahead
        } else if owner.kind != Kind::Shoot || self.begun.contains(owner) {
            &mut self.first
        } else {
            &mut self.then
        }
    }

    /// Puts an owner ahead of all that are not hurried, until it is [`calm`](Self::calm), and asks for a look at it now: earlier
    /// failures and their waits are forgotten.
    pub fn hurry(&mut self, owner: &Owner, at: Millis) {
        self.attempts.remove(owner);
        self.change_line(owner, |queue| {
            queue.hurried.insert(owner.clone());
        });
        self.add(owner, at);
    }

    /// An owner needs no hurry any more.
    pub fn calm(&mut self, owner: &Owner) {
        if self.hurried.contains(owner) {
            self.change_line(owner, |queue| {
                queue.hurried.remove(owner);
            });
        }
    }

    /// Whether an owner waits for a look that is due, or for the end of a back-off.
    #[must_use]
    pub fn is_waiting(&self, owner: &Owner, now: Millis) -> bool {
        self.due.get(owner).is_some_and(|at| *at <= now || self.attempts.contains_key(owner))
    }

    /// Changes something by which an owner's line is told.
    fn change_line(&mut self, owner: &Owner, change: impl FnOnce(&mut Self)) {
        let due = self.due.get(owner).copied();
        if let Some(at) = due {
            self.line(owner).remove(&(at, owner.clone()));
        }
        change(self);
        if let Some(at) = due {
            self.insert(owner, at);
        }
    }

    /// Something was done for an owner, or all that it wants is there: from now on it comes before those that are new.
    pub fn begin(&mut self, owner: &Owner) {
        self.change_line(owner, |queue| {
            queue.begun.insert(owner.clone());
        });
    }

    /// Whether something was done for an owner before.
    #[must_use]
    pub fn has_begun(&self, owner: &Owner) -> bool {
        self.begun.contains(owner)
    }

    /// Takes up to `limit` owners that are due, the hurried first, then those that were begun, then the earliest, and marks them as
    /// running.
    pub fn take(&mut self, now: Millis, limit: usize) -> Vec<Owner> {
        let lines = [&self.ahead, &self.first, &self.then];
        let due = lines.into_iter().flat_map(|line| line.iter().take_while(|(at, _)| *at <= now));
        let ready: Vec<(Millis, Owner)> = due.take(limit).cloned().collect();
        ready
            .into_iter()
            .map(|entry| {
                self.line(&entry.1).remove(&entry);
                self.due.remove(&entry.1);
                self.running.insert(entry.1.clone());
                entry.1
            })
            .collect()
    }

    /// Puts an owner that was taken aside until it is added again: it waits for an answer, not for a time.
    pub fn park(&mut self, owner: &Owner) {
        self.running.remove(owner);
        if let Some(at) = self.meanwhile.remove(owner) {
            self.add(owner, at);
        }
    }

    /// Ends work on an owner. A failure asks for another look after a back-off that doubles with each attempt; a success forgets
    /// earlier failures. Wishes that came meanwhile are honoured, but a failing owner still backs off.
    pub fn done(&mut self, owner: &Owner, now: Millis, failure: Option<(ErrorClass, Option<u32>)>) {
        self.running.remove(owner);
        let meanwhile = self.meanwhile.remove(owner);
        if let Some((class, retry_after)) = failure {
            let attempt = self.attempts.entry(owner.clone()).or_insert(0);
            *attempt = attempt.saturating_add(1);
            let wait = backoff(owner, class, *attempt).max(u64::from(retry_after.unwrap_or(0)) * 1_000);
            self.add(owner, now + wait);
        } else {
            self.attempts.remove(owner);
            if let Some(at) = meanwhile {
                self.add(owner, at);
            }
        }
    }

    /// When the next owner is due.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        [&self.ahead, &self.first, &self.then].into_iter().filter_map(|line| line.first()).map(|(at, _)| *at).min()
    }

    /// How often an owner failed in a row.
    #[must_use]
    pub fn attempts(&self, owner: &Owner) -> u32 {
        self.attempts.get(owner).copied().unwrap_or(0)
    }

    /// Whether an owner is being worked on.
    #[must_use]
    pub fn is_running(&self, owner: &Owner) -> bool {
        self.running.contains(owner)
    }

    /// Whether an owner is being worked on, or due at or before `now`.
    #[must_use]
    pub fn is_busy(&self, now: Millis) -> bool {
        !self.running.is_empty() || self.next().is_some_and(|at| at <= now)
    }

    /// Owners being worked on.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Owners waiting for their time.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.due.len()
    }

    /// Forgets an owner that no longer exists.
    pub fn forget(&mut self, owner: &Owner) {
        if let Some(at) = self.due.remove(owner) {
            self.line(owner).remove(&(at, owner.clone()));
        }
        self.begun.remove(owner);
        self.hurried.remove(owner);
        self.meanwhile.remove(owner);
        self.attempts.remove(owner);
    }
}

/// First wait and ceiling by class. A conflict only needs fresh eyes; a refusal needs a person, so hammering helps nobody.
const fn bounds(class: ErrorClass) -> (Millis, Millis) {
    match class {
        ErrorClass::Conflict => (100, 10_000),
        ErrorClass::Transient => (500, 60_000),
        ErrorClass::Denied => (5_000, 300_000),
        ErrorClass::Permanent => (10_000, 600_000),
        ErrorClass::Internal => (30_000, 600_000),
    }
}

/// The wait before attempt `attempt + 1`: doubled each time up to the ceiling, then spread over 50–100 % so that owners that
/// failed together do not come back together.
#[must_use]
pub fn backoff(owner: &Owner, class: ErrorClass, attempt: u32) -> Millis {
    let (first, ceiling) = bounds(class);
    let full = first.saturating_mul(1_u64.checked_shl(attempt.saturating_sub(1).min(20)).unwrap_or(u64::MAX)).min(ceiling);
    let spread = digest::of_bytes(format!("{owner} {attempt}").as_bytes());
    let percent = 50 + u64::from_str_radix(&spread.as_str()[..4], 16).unwrap_or(0) % 51;
    full * percent / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shoot(name: &str) -> Owner {
        Owner::project(Kind::Shoot, "p", name)
    }

    #[test]
    fn earliest_wins_and_nothing_runs_twice() {
        let mut queue = Queue::default();
        queue.add(&shoot("a"), 50);
        queue.add(&shoot("a"), 10);
        queue.add(&shoot("a"), 70);
        assert_eq!(queue.next(), Some(10));
        assert_eq!(queue.take(20, 9), vec![shoot("a")]);
        queue.add(&shoot("a"), 20);
        assert!(queue.take(100, 9).is_empty(), "one owner is never worked on twice at once");
        queue.done(&shoot("a"), 100, None);
        assert_eq!(queue.take(100, 9), vec![shoot("a")]);
    }

    #[test]
    fn what_was_begun_comes_before_what_is_new() {
        let mut queue = Queue::default();
        for (name, at) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            queue.add(&shoot(name), at);
        }
        queue.begin(&shoot("c"));
        assert_eq!(queue.next(), Some(1));
        assert_eq!(queue.take(3, 2), vec![shoot("c"), shoot("a")]);
        queue.done(&shoot("c"), 3, None);
        queue.add(&shoot("c"), 5);
        assert_eq!(queue.take(9, 9), vec![shoot("c"), shoot("b"), shoot("d")]);
        queue.forget(&shoot("c"));
        queue.done(&shoot("c"), 9, None);
        queue.add(&shoot("c"), 1);
        queue.done(&shoot("b"), 9, None);
        queue.add(&shoot("b"), 0);
        assert_eq!(queue.take(9, 9), vec![shoot("b"), shoot("c")], "a new one of the same name is new");
    }

    #[test]
    fn what_is_hurried_comes_before_all_others_and_waits_no_longer() {
        let mut queue = Queue::default();
        for name in ["a", "b", "c"] {
            queue.add(&shoot(name), 0);
        }
        queue.begin(&shoot("a"));
        assert_eq!(queue.take(0, 1), vec![shoot("a")]);
        queue.done(&shoot("a"), 0, Some((ErrorClass::Permanent, None)));
        queue.add(&shoot("a"), 60_000);
        assert!(queue.is_waiting(&shoot("a"), 1) && queue.is_waiting(&shoot("b"), 1));
        queue.hurry(&shoot("c"), 1);
        queue.hurry(&shoot("a"), 1);
        assert_eq!(queue.attempts(&shoot("a")), 0);
        assert_eq!(queue.take(1, 9), vec![shoot("c"), shoot("a"), shoot("b")]);
        assert!(!queue.is_waiting(&shoot("a"), 1), "it is worked on");
        queue.add(&shoot("a"), 3);
        queue.add(&shoot("b"), 2);
        for name in ["a", "b"] {
            queue.done(&shoot(name), 2, None);
        }
        queue.calm(&shoot("a"));
        assert_eq!(queue.take(3, 1), vec![shoot("a")], "what was begun still comes first");
        assert_eq!(queue.take(3, 1), vec![shoot("b")]);
    }

    #[test]
    fn failures_back_off_and_success_forgets_them() {
        let owner = shoot("a");
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            queue.add(&owner, 0);
            queue.take(u64::MAX, 1);
            queue.done(&owner, 0, Some((ErrorClass::Transient, None)));
            waits.push(queue.next().expect("asked for another look"));
            queue.take(u64::MAX, 1);
            queue.running.remove(&owner);
        }
        assert!(waits[0] >= 250 && waits[0] <= 500, "{waits:?}");
        assert!(waits.iter().all(|w| *w <= 60_000), "{waits:?}");
        assert!(waits[11] >= 30_000, "{waits:?}");
        queue.add(&owner, 0);
        queue.take(0, 1);
        queue.done(&owner, 0, None);
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn retry_after_is_honoured() {
        let owner = shoot("a");
        let mut queue = Queue::default();
        queue.add(&owner, 0);
        queue.take(0, 1);
        queue.done(&owner, 1_000, Some((ErrorClass::Transient, Some(30))));
        assert_eq!(queue.next(), Some(31_000));
    }
}
