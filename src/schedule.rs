//! Placement: which seed hosts which shoot.
//!
//! Gardener's scheduler as a pure function: filters one after another, a strategy, then the seed with the fewest shoots. Every
//! rejection is kept, so that a person can be told why no seed, or why not that one. Shoots that were placed or are pinned are
//! fixed points; those without a seed are decided together in the order of their keys, each counting for the next, so the
//! answer does not depend on which of them is asked about. Knows admitted manifests and what is known of seeds, nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::admission::Admitted;
use crate::landscape::{Kind, Owner};

pub mod extensions;
mod filter;
mod strategy;

/// What is known of a seed cluster beside its manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeedState {
    /// Whether it may take shoots.
    pub ready: bool,
    /// Whether it is on its way to ready, and nothing of it failed: a shoot that belongs there waits for it, instead of being
    /// placed for good wherever was ready first.
    pub coming_up: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Why it is not ready, in a person's words.
    pub reason: Option<String>,
}

/// What is known of seeds and of shoots that are on them.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// The seeds by name; one that is missing here was not seen, and takes no new shoot.
    pub seeds: BTreeMap<String, SeedState>,
    /// Where shoots are, whether or not they are in Git.
    pub placed: BTreeMap<Owner, String>,
}

/// Where a shoot belongs, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The seed.
    pub seed: String,
    /// Why, in a person's words.
    pub why: String,
    /// Why not the other seeds; empty where nothing was chosen.
    pub rejections: Rejections,
}

/// Why seeds do not host a shoot: by seed, in a person's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections(pub BTreeMap<String, String>);

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("there is no seed");
        }
        for (i, (seed, why)) in self.0.iter().enumerate() {
            write!(f, "{}seed {seed}: {why}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// The outcome of placement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placements {
    /// Shoots with a seed.
    pub decisions: BTreeMap<Owner, Placement>,
    /// Shoots for which there is none.
    pub failures: BTreeMap<Owner, Rejections>,
}

impl Placements {
    /// Why a shoot is where it is, or nowhere: a line, then one for each seed that was not chosen.
    #[must_use]
    pub fn explain(&self, owner: &Owner) -> Option<String> {
        let (first, rejections) = match (self.decisions.get(owner), self.failures.get(owner)) {
            (Some(placement), _) => (format!("{owner} is on seed {}: {}", placement.seed, placement.why), &placement.rejections),
            (None, Some(rejections)) => (format!("{owner} has no seed"), rejections),
            (None, None) => return None,
        };
        let others = rejections.0.iter().map(|(seed, why)| format!("\n  seed {seed}: {why}"));
        Some(std::iter::once(first).chain(others).collect())
    }
}

/// Places every admitted shoot.
#[must_use]
pub fn place(admitted: &Admitted, usage: &Usage) -> Placements {
    let mut out = Placements::default();
    let mut unplaced = Vec::new();
    let mut load: BTreeMap<String, usize> = BTreeMap::new();
    for seed in usage.placed.values() {
        *load.entry(seed.clone()).or_default() += 1;
    }
    let fixed =
        |seed: &str, why: &str| Placement { seed: seed.to_owned(), why: why.to_owned(), rejections: Rejections::default() };
    for (owner, shoot) in admitted.of_kind(Kind::Shoot) {
        let pinned = shoot.pointer("/spec/seedName").and_then(Value::as_str).filter(|s| !s.is_empty());
        if let Some(seed) = usage.placed.get(owner) {
            out.decisions.insert(owner.clone(), fixed(seed, "it was placed there before"));
        } else if let Some(seed) = pinned {
            *load.entry(seed.to_owned()).or_default() += 1;
            out.decisions.insert(owner.clone(), fixed(seed, "its manifest names it"));
        } else {
            unplaced.push((owner, shoot));
        }
    }
    let seeds = filter::seeds(admitted, usage);
    let mut remembered = filter::Remembered::default();
    for (owner, shoot) in unplaced {
        match filter::choose(admitted, owner, shoot, &seeds, &load, &mut remembered) {
            Ok(placement) => {
                *load.entry(placement.seed.clone()).or_default() += 1;
                out.decisions.insert(owner.clone(), placement);
            }
            Err(rejections) => drop(out.failures.insert(owner.clone(), rejections)),
        }
    }
    out
}
