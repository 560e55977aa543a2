//! Whether extensions that report the health of something are alive themselves: what one reported that has died is not believed
//! for ever.
//!
//! Heartbeats come every half minute and mean nothing but that time went by, so nobody watches them. A seed is asked for all of
//! them at once, and only while an extension there reports anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::super::queue::Millis;
use super::{Effect, State};
use crate::landscape::{Kind, Owner, Target};
use crate::pipeline::installations::Silent;

/// Milliseconds between two looks at the heartbeats of a seed.
const EVERY: Millis = 60_000;

/// After so long without a heartbeat, what an extension reported is outdated (`numbers.md`: `staleExtensionHealthChecks`).
const OUTDATED: SignedDuration = SignedDuration::from_mins(5);

/// What is known of heartbeats.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// The namespaces of the extensions that report for a shoot, and its seed.
    reports: BTreeMap<Owner, (String, BTreeSet<String>)>,
    /// For how many shoots each of them reports, by seed.
    users: BTreeMap<String, BTreeMap<String, usize>>,
    /// When each seed is asked next; only those that have such extensions.
    due: BTreeMap<String, Millis>,
    /// Seeds that have not answered yet.
    asked: BTreeSet<String>,
    silent: BTreeMap<String, Silent>,
}

impl Heartbeats {
    /// Remembers which extensions report for a shoot.
    fn report(&mut self, shoot: &Owner, seed: Option<&str>, extensions: BTreeSet<String>) {
        let now = seed.filter(|_| !extensions.is_empty()).map(|seed| (seed.to_owned(), extensions));
        if self.reports.get(shoot) == now.as_ref() {
            return;
        }
        let before = match &now {
            Some(report) => self.reports.insert(shoot.clone(), report.clone()),
            None => self.reports.remove(shoot),
        };
        if let Some((seed, extensions)) = now {
            let users = self.users.entry(seed.clone()).or_default();
            for extension in extensions {
                let count = users.entry(extension).or_insert_with(|| {
                    // Of one that reports for the first time nothing is known yet.
                    self.due.insert(seed.clone(), 0);
                    0
                });
                *count += 1;
            }
        }
        if let Some((seed, extensions)) = before
            && let Some(users) = self.users.get_mut(&seed)
        {
            for extension in extensions {
                if let Some(count) = users.get_mut(&extension) {
                    *count -= 1;
                }
            }
            users.retain(|_, count| *count > 0);
            if users.is_empty() {
                self.users.remove(&seed);
                self.due.remove(&seed);
                self.silent.remove(&seed);
            }
        }
    }

    /// Seeds whose time has come.
    fn next(&mut self, at: Millis) -> Vec<String> {
        let is_due = |(seed, due): (&String, &Millis)| (*due <= at && !self.asked.contains(seed)).then(|| seed.clone());
        let out: Vec<String> = self.due.iter().filter_map(is_due).collect();
        self.asked.extend(out.iter().cloned());
        out
    }

    /// When to ask next although nothing happens.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.due.iter().filter(|(seed, _)| !self.asked.contains(*seed)).map(|(_, due)| *due).min()
    }

    /// Whether every seed answered that is to be asked for the first time.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.due.values().all(|due| *due > 0)
    }

    /// A seed answered: the shoots of which something else is to be said now. While it does not, what was known stands.
    fn answered(
        &mut self,
        seed: &str,
        beats: Option<&BTreeMap<String, Timestamp>>,
        now: Timestamp,
        at: Millis,
    ) -> BTreeSet<Owner> {
        self.asked.remove(seed);
        let Some(users) = self.users.get(seed) else { return BTreeSet::new() };
        self.due.insert(seed.to_owned(), at.saturating_add(EVERY));
        let Some(beats) = beats else { return BTreeSet::new() };
        let is_silent = |beat: &Option<Timestamp>| beat.is_none_or(|beat| now.duration_since(beat) > OUTDATED);
        let last = users.keys().map(|extension| (extension.clone(), beats.get(extension).copied()));
        let silent: Silent = last.filter(|(_, beat)| is_silent(beat)).collect();
        let before = self.silent.insert(seed.to_owned(), silent);
        let now = &self.silent[seed];
        // With the first answer everything is new.
        let changed = |extension: &String| before.as_ref().is_none_or(|before| before.get(extension) != now.get(extension));
        let its = self.reports.iter().filter(|(_, (on, extensions))| on == seed && extensions.iter().any(changed));
        its.map(|(shoot, _)| shoot.clone()).collect()
    }
}

impl State {
    /// Takes note of what reports for a shoot.
    pub(super) fn listens(&mut self, shoot: &Owner) {
        if shoot.kind != Kind::Shoot {
            return;
        }
        let Some(shown) = self.shown.get(shoot) else { return self.heartbeats.report(shoot, None, BTreeSet::new()) };
        let extensions = shown.reported.iter().filter_map(|reported| reported.controller.clone()).collect();
        self.heartbeats.report(shoot, shown.seed.as_deref(), extensions);
    }

    /// Has those seeds asked whose time has come.
    pub(super) fn ask_for_heartbeats(&mut self, at: Millis, effects: &mut Vec<Effect>) {
        effects.extend(self.heartbeats.next(at).into_iter().map(|seed| Effect::ReadHeartbeats(Target::Seed(seed))));
    }

    /// A seed said when its extensions last showed a sign of life, or did not. It changes what is reported and nothing else.
    pub(super) fn heard_heartbeats(
        &mut self,
        target: &Target,
        beats: Result<BTreeMap<String, Timestamp>, String>,
        now: Timestamp,
        at: Millis,
    ) {
        let Target::Seed(seed) = target else { return };
        if let Err(why) = &beats {
            tracing::warn!(%target, %why, "heartbeats of extensions could not be read");
        }
        for shoot in self.heartbeats.answered(seed, beats.as_ref().ok(), now, at) {
            self.report.touch(&shoot, at);
        }
    }

    /// The extensions of a seed that show no sign of life; `None` until it said so or not.
    pub(in super::super) fn silent(&self, seed: Option<&str>) -> Option<&Silent> {
        self.heartbeats.silent.get(seed?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shoot(name: &str) -> Owner {
        Owner::project(Kind::Shoot, "p", name)
    }

    fn time(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("a time")
    }

    fn beats(minute: i64) -> BTreeMap<String, Timestamp> {
        BTreeMap::from([("extension-a".to_owned(), time(minute))])
    }

    #[test]
    fn who_was_silent_for_too_long_is_told_once() {
        let mut heartbeats = Heartbeats::default();
        assert!(heartbeats.is_idle() && heartbeats.next(0).is_empty());
        heartbeats.report(&shoot("one"), Some("eu"), BTreeSet::from(["extension-a".to_owned()]));
        assert!(!heartbeats.is_idle(), "a verdict is to come");
        assert_eq!(heartbeats.next(5), ["eu"]);
        assert!(heartbeats.next(5).is_empty(), "it is asked once at a time");
        assert_eq!(heartbeats.answered("eu", Some(&beats(10)), time(15), 10), BTreeSet::from([shoot("one")]));
        assert!(heartbeats.silent["eu"].is_empty(), "five minutes are allowed");
        assert_eq!(heartbeats.wake_at(), Some(10 + EVERY));
        assert_eq!(heartbeats.answered("eu", Some(&beats(10)), time(16), 20), BTreeSet::from([shoot("one")]));
        assert_eq!(heartbeats.silent["eu"], BTreeMap::from([("extension-a".to_owned(), Some(time(10)))]));
        assert!(heartbeats.answered("eu", Some(&beats(10)), time(17), 30).is_empty(), "it was told already");
        assert!(heartbeats.answered("eu", None, time(18), 40).is_empty(), "nothing new is known");
        assert_eq!(heartbeats.answered("eu", Some(&beats(18)), time(19), 50), BTreeSet::from([shoot("one")]));
        assert!(heartbeats.silent["eu"].is_empty());
        assert_eq!(heartbeats.answered("eu", Some(&BTreeMap::new()), time(20), 60), BTreeSet::from([shoot("one")]));
    }

    #[test]
    fn a_seed_is_asked_as_long_as_something_there_reports() {
        let mut heartbeats = Heartbeats::default();
        let a = BTreeSet::from(["extension-a".to_owned()]);
        heartbeats.report(&shoot("one"), Some("eu"), a.clone());
        heartbeats.report(&shoot("two"), Some("eu"), a.clone());
        assert_eq!(heartbeats.next(0), ["eu"]);
        heartbeats.answered("eu", Some(&beats(0)), time(0), 1);
        let both = BTreeSet::from(["extension-a".to_owned(), "extension-b".to_owned()]);
        heartbeats.report(&shoot("two"), Some("eu"), both);
        assert_eq!(heartbeats.next(2), ["eu"], "one that was not judged yet");
        heartbeats.answered("eu", Some(&beats(0)), time(0), 3);
        assert_eq!(heartbeats.silent["eu"].keys().collect::<Vec<_>>(), ["extension-b"]);
        heartbeats.report(&shoot("two"), None, BTreeSet::new());
        heartbeats.report(&shoot("one"), Some("us"), a);
        assert_eq!(heartbeats.due.keys().collect::<Vec<_>>(), ["us"]);
        assert!(heartbeats.silent.is_empty());
    }
}
