//! A plan between two revisions, for people as a tree of 80 columns and for machines as JSON; both from the same values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::ObjectKey;
use crate::plan::diff::Field;
use crate::plan::guard::Breach;
use crate::plan::impact::{Impact, Mark, Pool};
use crate::plan::revert::Revert;
use crate::plan::when::When;
use crate::print::origin::Origin;

mod document;
mod json;
mod live;
mod markdown;
mod text;

pub use document::{Action, Component, FieldChange, Manifest, Moment, Object, Plan, Replaced, Summary, schema};
pub use json::{json, jsonl};
pub use live::{LastOperation, Live, OwnerLive, Pinned};
pub use markdown::{Dialect, LIMIT, comment, markdown, marker};
pub use text::{brief, text};

pub(crate) use text::range;
pub(super) use text::shown;

/// What one revision changes against another.
#[derive(Debug)]
pub struct Preview {
    /// The landscape's name.
    pub landscape: String,
    /// The revision before.
    pub from: String,
    /// The revision after.
    pub to: String,
    /// How many commits lie between them.
    pub commits: usize,
    /// Who made them.
    pub authors: Vec<String>,
    /// The status commit that says where shoots are; `None` if there is none.
    pub placements: Option<String>,
    /// What changes, in the order of owners.
    pub items: Vec<Item>,
    /// How many objects stay as they are.
    pub unchanged: usize,
    /// Guards that refuse the change as a whole.
    pub breaches: Vec<Breach>,
    /// Errors that belong to no object.
    pub troubles: Vec<Finding>,
    /// Acknowledgements that are of no use.
    pub notes: Vec<Finding>,
    /// The time that was judged at.
    pub now: String,
    /// The digest of what is meant to be done (`plan::intent`); `None` if it is nothing.
    pub digest: Option<String>,
    /// What the plan holds for; `None` if that is in no commit.
    pub pins: Option<Pins>,
    /// What clusters had; `None` if nobody looked.
    pub live: Option<Live>,
}

/// What a plan was made from: it holds for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pins {
    /// The commit before, in full.
    pub from: String,
    /// The commit after, in full.
    pub to: String,
    /// The folder of the landscape in its repository; empty for all of it.
    pub path: String,
    /// The digest of the policies that judged.
    pub policies: String,
    /// The digest of the templates, images and policies that were rendered with.
    pub library: String,
    /// The objects of clusters that it was made from, as they were; none if it was made offline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Pinned>,
}

/// One object of the landscape.
#[derive(Debug)]
pub struct Item {
    /// Which.
    pub owner: Owner,
    /// What becomes of it.
    pub fate: Fate,
    /// What it is, in a few words.
    pub about: String,
    /// Where it is written.
    pub path: Option<String>,
    /// The changed fields.
    pub changes: Vec<Change>,
    /// What it costs that its manifests are rendered otherwise although it was not changed itself, worst first.
    pub effects: Vec<Impact>,
    /// When it is rolled out, once it is accepted.
    pub when: When,
    /// What taking the change back would do; `None` where nothing is done.
    pub revert: Option<Revert>,
    /// What follows for clusters.
    pub consequence: Consequence,
}

/// A changed field.
#[derive(Debug)]
pub struct Change {
    /// Which, before and after.
    pub field: Field,
    /// Where the new value is written down, if it is.
    pub place: Option<String>,
    /// What it costs, worst first.
    pub impact: Vec<Impact>,
    /// Whether nobody acts upon it yet, so that it costs nothing.
    pub idle: bool,
    /// Who set both values, if that was asked for.
    pub set: Option<SetBy>,
}

/// Who set the two values of a changed field last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetBy {
    /// The old one, or who removed it; null if it never was.
    pub before: Option<Origin>,
    /// The new one, or who removed it.
    pub after: Option<Origin>,
}

/// What becomes of an object of the landscape.
#[derive(Debug)]
pub enum Fate {
    /// It is new.
    Created,
    /// It differs.
    Updated,
    /// It goes.
    Deleted,
    /// It has errors and stays as it was accepted.
    Held(Vec<Finding>),
    /// It is gone from Git and stays: why.
    Blocked(String),
    /// It is as it was.
    Unchanged,
}

/// What follows for the clusters.
#[derive(Debug)]
pub enum Consequence {
    /// Nothing.
    None,
    /// It cannot be told: why.
    Unknown(String),
    /// Objects by component and cluster.
    Rendered(BTreeMap<(String, Target), BTreeMap<ObjectKey, Touch>>),
}

/// What happens to a rendered object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It is new.
    Added,
    /// Its content differs.
    Changed,
    /// It goes.
    Removed,
}

impl Consequence {
    /// The kinds of the objects in seeds whose content differs.
    pub fn changed_kinds(&self) -> impl Iterator<Item = &str> {
        let components = match self {
            Self::Rendered(components) => Some(components),
            Self::None | Self::Unknown(_) => None,
        };
        let in_seeds = components.into_iter().flatten().filter(|((_, target), _)| matches!(target, Target::Seed(_)));
        let objects = in_seeds.flat_map(|(_, objects)| objects);
        objects.filter(|(_, touch)| **touch == Touch::Changed).map(|(key, _)| key.kind.as_str())
    }
}

impl Touch {
    const fn mark(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
        }
    }
}

impl Fate {
    const fn word(&self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Updated => "update",
            Self::Deleted => "delete",
            Self::Held(_) => "held",
            Self::Blocked(_) => "blocked",
            Self::Unchanged => "unchanged",
        }
    }

    const fn mark(&self) -> char {
        match self {
            Self::Created => '+',
            Self::Updated | Self::Unchanged => '~',
            Self::Deleted | Self::Blocked(_) => '-',
            Self::Held(_) => '!',
        }
    }
}

impl Item {
    /// Whether there is nothing to say about it.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!((&self.fate, &self.consequence), (Fate::Unchanged, Consequence::None))
    }

    /// What its changes cost that somebody acts upon.
    fn impact(&self) -> impl Iterator<Item = &Impact> {
        self.changes.iter().filter(|change| !change.idle).flat_map(|change| &change.impact).chain(&self.effects)
    }

    /// Everything that happens to it, from the mildest; its deletion is one of that.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let mut marks: Vec<Mark> = self.impact().map(|impact| impact.mark).chain([self.worst()]).collect();
        marks.sort_unstable();
        marks.dedup();
        marks.retain(|mark| *mark > Mark::None);
        marks
    }

    /// The worst that happens to it.
    #[must_use]
    pub fn worst(&self) -> Mark {
        let refused = |finding: &Finding| finding.cause.is_some();
        match &self.fate {
            Fate::Held(findings) if findings.iter().any(refused) => Mark::Forbidden,
            Fate::Deleted if matches!(self.owner.kind, Kind::Shoot | Kind::Seed | Kind::Project) => Mark::Deletes,
            Fate::Updated | Fate::Unchanged => self.impact().map(|impact| impact.mark).max().unwrap_or(Mark::None),
            _ => Mark::None,
        }
    }

    /// The pools whose nodes are replaced or drained together, each once.
    fn replaced(&self) -> Vec<&Pool> {
        replaced(self.impact())
    }
}

/// The pools whose nodes are replaced or drained together, each once.
fn replaced<'a>(impact: impl Iterator<Item = &'a Impact>) -> Vec<&'a Pool> {
    let all = impact.filter(|impact| matches!(impact.mark, Mark::RollsNodes | Mark::Recreates));
    let mut pools: Vec<&Pool> = all.flat_map(|impact| &impact.pools).collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    pools.dedup_by(|a, b| a.name == b.name);
    pools
}

impl Preview {
    /// How many of those that change wait for a maintenance window that is not open.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let changes = |item: &&Item| matches!(item.fate, Fate::Updated | Fate::Unchanged);
        self.items.iter().filter(changes).filter(|item| item.when.not_before(self.at()).is_some()).count()
    }

    /// The time that was judged at, in seconds.
    fn at(&self) -> i64 {
        self.now.parse::<Timestamp>().map_or(0, Timestamp::as_second)
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.troubles.is_empty()
    }

    /// Whether something is refused or blocked.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.troubles.is_empty()
            || !self.breaches.is_empty()
            || self.items.iter().any(|i| matches!(i.fate, Fate::Held(_) | Fate::Blocked(_)))
    }

    /// The worst that happens to anything.
    #[must_use]
    pub fn worst(&self) -> Mark {
        self.items.iter().map(Item::worst).max().unwrap_or(Mark::None)
    }

    /// How many nodes are replaced at least and at most, and of how many clusters; both are the same where nodes were counted.
    fn replaced(&self) -> (i64, i64, usize) {
        let clusters = self.items.iter().map(Item::replaced).filter(|pools| !pools.is_empty());
        let sum = |pools: &[&Pool], of: fn(&Pool) -> i64| pools.iter().map(|pool| of(pool)).sum::<i64>();
        clusters.fold((0, 0, 0), |(least, most, n), pools| {
            let (low, high) = (sum(&pools, |p| p.nodes.unwrap_or(p.minimum)), sum(&pools, |p| p.nodes.unwrap_or(p.maximum)));
            (least + low, most + high, n + 1)
        })
    }

    fn counted(&self, word: &str) -> usize {
        self.items.iter().filter(|item| item.fate.word() == word).count()
    }

    /// How many owners re-render, and how many of their objects are touched.
    fn rendered(&self) -> (usize, usize) {
        let touched = self.items.iter().filter_map(|item| match &item.consequence {
            Consequence::Rendered(components) => Some(components.values().map(BTreeMap::len).sum::<usize>()),
            Consequence::None | Consequence::Unknown(_) => None,
        });
        touched.fold((0, 0), |(owners, objects), n| (owners + 1, objects + n))
    }
}
