//! Whose turn it is to come up: so many shoots are created at the same time, the others stand in line.
//!
//! Creations take minutes and cost memory and engines' attention while they last; a thousand begun together all end late. A place
//! is given up by a shoot that is ready or stuck, and by one that did not get on for [`STALLED`]: what waits for a person never
//! keeps others from their turn.
//!
//! Pure: times are milliseconds that the caller passes in.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::Millis;
use crate::landscape::Owner;

/// After so long without a step a creation no longer counts as under way.
pub const STALLED: Millis = 5 * 60_000;

/// The line and the places at its head.
#[derive(Debug)]
pub struct Turns {
    width: usize,
    places: BTreeMap<Owner, Millis>,
    /// The same, those that got on longest ago first.
    by_age: BTreeSet<(Millis, Owner)>,
    line: BTreeSet<Owner>,
}

impl Turns {
    /// Room for `width` at the same time.
    #[must_use]
    pub const fn new(width: usize) -> Self {
        Self { width, places: BTreeMap::new(), by_age: BTreeSet::new(), line: BTreeSet::new() }
    }

    /// Whether it is an owner's turn; it stands in line from now on if it is not.
    pub fn ask(&mut self, owner: &Owner, at: Millis) -> bool {
        if self.places.contains_key(owner) || self.places.len() < self.width {
            self.line.remove(owner);
            self.got_on(owner, at);
            return true;
        }
        self.line.insert(owner.clone());
        false
    }

    fn got_on(&mut self, owner: &Owner, at: Millis) {
        if let Some(before) = self.places.insert(owner.clone(), at) {
            self.by_age.remove(&(before, owner.clone()));
        }
        self.by_age.insert((at, owner.clone()));
    }

    /// A step is made for an owner that may have a place.
    pub fn step(&mut self, owner: &Owner, at: Millis) {
        if self.places.contains_key(owner) {
            self.got_on(owner, at);
        }
    }

    /// An owner needs no place any more, and does not stand in line.
    pub fn leave(&mut self, owner: &Owner) {
        self.line.remove(owner);
        if let Some(at) = self.places.remove(owner) {
            self.by_age.remove(&(at, owner.clone()));
        }
    }

    /// Takes those out of line for whom there is room now; they are to be looked at.
    pub fn next(&mut self, now: Millis) -> Vec<Owner> {
        if self.line.is_empty() {
            return Vec::new();
        }
        while let Some((at, owner)) = self.by_age.first().cloned()
            && at.saturating_add(STALLED) <= now
        {
            self.by_age.remove(&(at, owner.clone()));
            self.places.remove(&owner);
        }
        let mut out = Vec::new();
        while self.places.len() < self.width
            && let Some(owner) = self.line.pop_first()
        {
            self.got_on(&owner, now);
            out.push(owner);
        }
        out
    }

    /// When a place becomes free although nothing happens; `None` if nobody stands in line.
    #[must_use]
    pub fn wake_at(&self) -> Option<Millis> {
        let oldest = self.by_age.first().map(|(at, _)| at.saturating_add(STALLED));
        oldest.filter(|_| !self.line.is_empty())
    }

    /// Whether an owner stands in line.
    #[must_use]
    pub fn is_waiting(&self, owner: &Owner) -> bool {
        self.line.contains(owner)
    }

    /// Whether somebody stands in line.
    #[must_use]
    pub fn anyone_waits(&self) -> bool {
        !self.line.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::Kind;

    fn shoot(name: &str) -> Owner {
        Owner::project(Kind::Shoot, "p", name)
    }

    #[test]
    fn a_place_is_kept_until_it_is_left() {
        let mut turns = Turns::new(2);
        assert!(turns.ask(&shoot("a"), 0) && turns.ask(&shoot("b"), 0));
        assert!(!turns.ask(&shoot("d"), 0) && !turns.ask(&shoot("c"), 1));
        assert!(turns.ask(&shoot("a"), 2), "who has a place keeps it");
        assert!(turns.next(3).is_empty());
        turns.leave(&shoot("a"));
        assert_eq!(turns.next(4), vec![shoot("c")]);
        assert!(!turns.ask(&shoot("a"), 5), "the place went to the next in line");
        turns.leave(&shoot("d"));
        turns.leave(&shoot("a"));
        assert!(!turns.anyone_waits());
        assert_eq!(turns.wake_at(), None);
    }

    #[test]
    fn who_does_not_get_on_makes_room() {
        let mut turns = Turns::new(2);
        assert!(turns.ask(&shoot("a"), 0) && turns.ask(&shoot("b"), 0));
        assert!(!turns.ask(&shoot("c"), 0));
        turns.step(&shoot("b"), 1_000);
        assert_eq!(turns.wake_at(), Some(STALLED));
        assert!(turns.next(STALLED - 1).is_empty());
        assert_eq!(turns.next(STALLED), vec![shoot("c")]);
        assert!(turns.next(STALLED * 3).is_empty(), "nobody is left in line");
        turns.step(&shoot("a"), STALLED * 3);
        assert!(!turns.ask(&shoot("a"), STALLED * 3), "a step alone takes no place");
    }
}
