//! Memories of computed values. [`Memo`] forgets by rounds: what one round did not ask for is dropped when the round is swept.
//! [`Recent`] has room for so many values and forgets the one whose last use is longest ago.
//!
//! Values are functions of their keys, so a stale entry cannot exist; a key must name everything that the value depends on. Not
//! shared between threads by itself: the owner of a round holds it mutably.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values by key, each with the last round in which it was used.
#[derive(Debug, Clone)]
pub struct Memo<K, V> {
    entries: HashMap<K, (u64, V)>,
    round: u64,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), round: 0 }
    }
}

impl<K: Eq + Hash, V> Memo<K, V> {
    /// The value of a key, computed if it is not remembered; counts as a use in this round.
    pub fn get_or_insert_with(&mut self, key: K, compute: impl FnOnce() -> V) -> &V {
        let round = self.round;
        let entry = self.entries.entry(key).or_insert_with(|| (round, compute()));
        entry.0 = round;
        &entry.1
    }

    /// A remembered value, if there is one; counts as a use in this round.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let round = self.round;
        self.entries.get_mut(key).map(|entry| {
            entry.0 = round;
            &entry.1
        })
    }

    /// Remembers a value; counts as a use in this round.
    pub fn insert(&mut self, key: K, value: V) {
        self.entries.insert(key, (self.round, value));
    }

    /// Begins a round: from here on, uses are counted anew.
    pub fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Forgets what was not used since the round began.
    pub fn sweep(&mut self) {
        let round = self.round;
        self.entries.retain(|_, (used, _)| *used == round);
    }

    /// How many values are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// So many values by key, the most recently used ones.
#[derive(Debug, Clone)]
pub struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    uses: BTreeMap<u64, K>,
    clock: u64,
    room: usize,
}

impl<K: Eq + Hash + Clone, V> Recent<K, V> {
    /// A memory with room for so many values.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { entries: HashMap::new(), uses: BTreeMap::new(), clock: 0, room }
    }

    /// A remembered value, if there still is one; counts as a use.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(key)?;
        self.uses.remove(used);
        self.clock += 1;
        *used = self.clock;
        self.uses.insert(self.clock, key.clone());
        Some(value)
    }

    /// Remembers a value, and forgets the one whose last use is longest ago if there is no room; counts as a use.
    pub fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.clock += 1;
        self.uses.insert(self.clock, key.clone());
        self.entries.insert(key, (self.clock, value));
        while self.entries.len() > self.room
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: &K) {
        if let Some((used, _)) = self.entries.remove(key) {
            self.uses.remove(&used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_keeps_what_it_used() {
        let mut memo = Memo::default();
        assert_eq!(*memo.get_or_insert_with("a", || 1), 1);
        assert_eq!(*memo.get_or_insert_with("b", || 2), 2);
        memo.begin_round();
        assert_eq!(*memo.get_or_insert_with("a", || unreachable!("it is remembered")), 1);
        memo.insert("c", 3);
        memo.sweep();
        assert_eq!(memo.get(&"a"), Some(&1));
        assert_eq!(memo.get(&"b"), None);
        assert_eq!(memo.len(), 2);
        memo.begin_round();
        memo.sweep();
        assert!(memo.is_empty());
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        assert_eq!(recent.get(&"a"), Some(&mut 1));
        recent.insert("c", 3);
        assert_eq!(recent.get(&"b"), None);
        assert_eq!(recent.get(&"a"), Some(&mut 1));
        assert_eq!(recent.get(&"c"), Some(&mut 3));
        recent.remove(&"a");
        recent.insert("c", 4);
        recent.insert("d", 5);
        assert_eq!(recent.get(&"c"), Some(&mut 4));
        assert_eq!(recent.get(&"d"), Some(&mut 5));
        assert_eq!(recent.uses.len(), recent.entries.len());
    }
}
