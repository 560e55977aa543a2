//! An immutable picture of the daemon for people, metrics and tests, published after each step.

use std::collections::BTreeMap;

use super::state::{Counts, State};
use crate::landscape::{Kind, Owner, Target};
use crate::plan::ComponentState;
use crate::snapshot::Revision;
use crate::status::{self, Standing};

/// The picture.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The landscape's name, once known.
    pub landscape: String,
    /// The commit that is being reconciled.
    pub revision: Option<Revision>,
    /// The tip of the status branch.
    pub status: Option<Revision>,
    /// What is wrong with Git, if anything.
    pub git_trouble: Option<String>,
    /// What could not be listed completely, and why.
    pub incomplete: BTreeMap<Target, String>,
    /// How every owner stands.
    pub owners: BTreeMap<Owner, Row>,
    /// Counters.
    pub counts: Counts,
    /// Requests made, by cluster and verb.
    pub requests: BTreeMap<(Target, &'static str), u64>,
    /// Findings of the commit: errors, warnings, notes.
    pub findings: [usize; 3],
}

/// One owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How it stands.
    pub standing: Standing,
    /// Ready components in percent.
    pub progress: u8,
    /// What is going on; empty if nothing is.
    pub note: String,
    /// The seed, for shoots.
    pub seed: String,
}

impl View {
    /// The picture of a state.
    #[must_use]
    pub fn of(state: &State, status: Option<Revision>, requests: BTreeMap<(Target, &'static str), u64>) -> Self {
        let Some(world) = state.world() else {
            return Self { status, requests, git_trouble: state.git_trouble(), counts: state.counts.clone(), ..Self::default() };
        };
        let count = |severity| world.findings.count(severity);
        Self {
            landscape: world.root.name.clone(),
            revision: Some(world.revision.clone()),
            status,
            git_trouble: state.git_trouble(),
            incomplete: state
                .observed()
                .targets
                .iter()
                .filter(|(_, live)| !live.complete)
                .map(|(target, live)| (target.clone(), live.problem.clone().unwrap_or_default()))
                .collect(),
            owners: state.rows(),
            counts: state.counts.clone(),
            requests,
            findings: [
                count(crate::finding::Severity::Error),
                count(crate::finding::Severity::Warning),
                count(crate::finding::Severity::Note),
            ],
        }
    }

    /// How many owners of a kind stand how.
    #[must_use]
    pub fn standings(&self, kind: Kind) -> BTreeMap<Standing, usize> {
        let mut out = BTreeMap::new();
        for (_, row) in self.owners.iter().filter(|(owner, _)| owner.kind == kind) {
            *out.entry(row.standing).or_default() += 1;
        }
        out
    }

    /// Requests that write, over all clusters.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.requests.iter().filter(|((_, verb), _)| !matches!(*verb, "get" | "list" | "watch")).map(|(_, n)| n).sum()
    }
}

impl State {
    /// A row per owner.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<Owner, Row> {
        let Some(world) = self.world() else { return BTreeMap::new() };
        self.plans()
            .iter()
            .map(|(owner, plan)| {
                let failures = self.failures.get(owner).map_or(&[][..], Vec::as_slice);
                let shown = self.shown.get(owner).cloned().unwrap_or_default();
                let held = world.held(owner);
                let failure =
                    failures.iter().find_map(|f| f.result.as_ref().err().map(|e| format!("{} {}: {}", f.verb, f.key, e.message)));
                let note = match (held.first(), shown.unplaced, failure) {
                    (Some(finding), ..) => finding.message.clone(),
                    (None, Some(why), _) => format!("not scheduled: {why}"),
                    (None, None, Some(why)) => why,
                    (None, None, None) => troubled(plan).or_else(|| status::unsettled(plan)).unwrap_or_default(),
                };
                let row = Row {
                    standing: status::standing(plan, held, failures),
                    progress: plan.progress,
                    note,
                    seed: shown.seed.unwrap_or_default(),
                };
                (owner.clone(), row)
            })
            .collect()
    }
}

/// The words of the first component that fails.
fn troubled(plan: &crate::plan::OwnerPlan) -> Option<String> {
    plan.components.iter().find_map(|c| match &c.state {
        ComponentState::Failed(why) | ComponentState::Held(why) => Some(format!("{}: {why}", c.id.name)),
        _ => None,
    })
}
