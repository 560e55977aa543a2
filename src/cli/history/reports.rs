//! What the status branch said and when: which commit was taken up first by which report, and how objects stood from then on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::cli::reported::{Reported, owner};
use crate::document::{self, Budget};
use crate::git::{self, Commit, Repo};
use crate::landscape::Owner;
use crate::print::history::{Entry, Rollout, Stood, Verdict};
use crate::print::origin::at;
use crate::snapshot::{BlobId, RepoPath, Revision};

/// So many reports are looked at.
const REPORTS: usize = 1_000;
/// So many of them at once.
const AT_ONCE: usize = 100;
/// So many files of them.
const FILES: usize = 50_000;

/// The trailer that names the plan which was carried out.
const PLAN: &str = "Plan-Digest";

/// How an object stood by a report.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    standing: String,
    accepted: Option<String>,
    codes: Vec<String>,
}

/// What became of a change of an object.
pub(super) struct Became {
    pub(super) verdict: Verdict,
    pub(super) codes: Vec<String>,
    pub(super) rollout: Option<Rollout>,
}

/// How an object stood before the reports, and since which of them otherwise.
type Course = (Option<State>, Vec<(usize, Option<State>)>);

/// The reports, oldest first.
pub(super) struct Reports {
    /// The tip of the status branch.
    pub(super) tip: Option<Revision>,
    list: Vec<Commit>,
    /// By commit of the landscape, the first report that it is in; `None` where that is older than those looked at.
    taken: HashMap<String, Option<usize>>,
    /// How objects stood before the reports, and since which of them otherwise; `None` if nothing is said of them.
    states: BTreeMap<Owner, Course>,
}

impl Reports {
    /// Reads the status branch as far as it matters for these commits, newest first. Of objects, only those of these names.
    pub(super) async fn read(
        repo: &Repo,
        landscape: &str,
        commits: &[Commit],
        names: Option<BTreeSet<String>>,
    ) -> anyhow::Result<Self> {
        let reference = git::status_reference(landscape);
        let mut reports =
            Self { tip: repo.resolve(&reference).await?, list: Vec::new(), taken: HashMap::new(), states: BTreeMap::new() };
        let Some(tip) = &reports.tip else { return Ok(reports) };
        let mut list = repo.log(tip, None, REPORTS + 1).await?;
        let mut whole = list.len() <= REPORTS;
        list.truncate(REPORTS);
        let mut changes: Vec<(usize, Owner, Option<State>, Option<State>)> = Vec::new();
        let (mut looked_at, mut files) = (0, 0);
        for chunk in list.chunks(AT_ONCE) {
            if files > FILES {
                whole = false;
                break;
            }
            let ids: Vec<Revision> = chunk.iter().map(|commit| commit.revision.clone()).collect();
            let changed = repo.changes(&ids, "").await?;
            let sides = changed
                .iter()
                .flatten()
                .flatten()
                .flat_map(|c| [&c.before, &c.after].into_iter().flatten().map(|id| (c.path.clone(), id.clone())));
            let blobs: BTreeSet<(RepoPath, BlobId)> = sides.filter(|(path, _)| path.as_str().ends_with(".status.yaml")).collect();
            let ids: Vec<BlobId> = blobs.iter().map(|(_, id)| id.clone()).collect();
            files += ids.len();
            let bytes = repo.blobs(&ids).await?;
            let known: BTreeMap<(RepoPath, BlobId), Vec<(Owner, State)>> = blobs
                .into_iter()
                .zip(bytes)
                .map(|(key, bytes)| (key.clone(), states(&key.0, bytes.as_ref(), names.as_ref())))
                .collect();
            for (n, against) in changed.iter().enumerate() {
                let side = |before: bool| -> BTreeMap<&Owner, &State> {
                    let ids = against.iter().flatten().filter_map(|c| {
                        let id = if before { &c.before } else { &c.after };
                        Some((c.path.clone(), id.clone()?))
                    });
                    let said = ids.filter_map(|key| known.get(&key)).flatten();
                    said.map(|(owner, state)| (owner, state)).collect()
                };
                let (before, after) = (side(true), side(false));
                for owner in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                    let (was, is) = (before.get(owner).copied(), after.get(owner).copied());
                    if was != is {
                        changes.push((looked_at + n, (*owner).clone(), was.cloned(), is.cloned()));
                    }
                }
            }
            looked_at += chunk.len();
        }
        list.truncate(looked_at);
        list.reverse();
        for (newest_first, owner, was, is) in changes.into_iter().rev() {
            let report = looked_at - 1 - newest_first;
            reports.states.entry(owner).or_insert_with(|| (was, Vec::new())).1.push((report, is));
        }
        if !whole {
            reports.settled(repo, landscape).await?;
        }
        reports.list = list;
        reports.take(commits, whole);
        Ok(reports)
    }

    /// Those who stood the same for as long as was looked at stand as they do now.
    async fn settled(&mut self, repo: &Repo, landscape: &str) -> anyhow::Result<()> {
        for (owner, file) in Reported::of(repo, landscape).await?.files {
            self.states.entry(owner).or_insert_with(|| (state(&file), Vec::new()));
        }
        Ok(())
    }

    /// Finds the first report that each commit is in.
    fn take(&mut self, commits: &[Commit], whole: bool) {
        let parents: HashMap<&str, &[Revision]> = commits.iter().map(|c| (c.revision.0.as_str(), c.parents.as_slice())).collect();
        for (n, report) in self.list.iter().enumerate() {
            let Some(head) = report.trailer(git::RECONCILED_TRAILER) else { continue };
            let first = (n > 0 || whole).then_some(n);
            let mut open = vec![head];
            while let Some(id) = open.pop() {
                if let Some(parents) = parents.get(id)
                    && !self.taken.contains_key(id)
                {
                    self.taken.insert(id.to_owned(), first);
                    open.extend(parents.iter().map(|parent| parent.0.as_str()));
                }
            }
        }
    }

    /// What became of a commit's change of an object. `touching` are the commits that changed it, newest first.
    pub(super) fn became(&self, owner: &Owner, commit: &str, touching: &[&str]) -> Became {
        let unreported = Became { verdict: Verdict::Unreported, codes: Vec::new(), rollout: None };
        let (Some(first), Some((before, changes))) = (self.taken.get(commit), self.states.get(owner)) else { return unreported };
        let start = first.unwrap_or(0);
        let later = touching.iter().take_while(|id| **id != commit).filter_map(|id| self.taken.get(*id).copied().flatten());
        // Who was taken up together was decided together.
        let end = later.filter(|later| *later > start).min().unwrap_or(self.list.len());
        let at_start = changes.iter().rev().find(|(n, _)| *n <= start).map_or(before.as_ref(), |(_, state)| state.as_ref());
        let during = changes.iter().filter(|(n, _)| *n > start && *n < end);
        let states: Vec<(usize, Option<&State>)> =
            std::iter::once((start, at_start)).chain(during.map(|(n, state)| (*n, state.as_ref()))).collect();
        let Some((_, last)) = states.last() else { return unreported };
        let word = |state: Option<&State>| state.map_or("gone", |state| state.standing.as_str()).to_owned();
        let when = |n: usize| self.list.get(n).map(at);
        let settled = |state: Option<&State>| matches!(word(state).as_str(), "ready" | "gone");
        let held = last.filter(|state| state.standing == "held");
        if let Some(held) = held {
            return Became { verdict: Verdict::Held, codes: held.codes.clone(), rollout: None };
        }
        Became {
            verdict: Verdict::Accepted,
            codes: Vec::new(),
            rollout: Some(Rollout {
                started: first.and_then(when),
                done: states.iter().find(|(_, state)| settled(*state)).and_then(|(n, _)| when(*n)),
                result: word(*last),
            }),
        }
    }

    /// Whether a report came after a commit was taken up.
    pub(super) fn knows(&self, report: usize, commit: &str) -> bool {
        self.taken.get(commit).is_some_and(|first| first.is_none_or(|first| first <= report))
    }

    /// The reports that say something new of the objects that are wanted, newest first, each with its time and number: no report is
    /// older than the commit that it is about, whatever the clocks say.
    pub(super) fn entries(&self, wanted: impl Fn(&Owner) -> bool, commits: &[Commit]) -> Vec<(i64, usize, Entry)> {
        let mut objects: BTreeMap<usize, Vec<Stood>> = BTreeMap::new();
        for (owner, (before, changes)) in self.states.iter().filter(|(owner, _)| wanted(owner)) {
            let mut was = before.as_ref();
            for (n, is) in changes {
                let stood = Stood {
                    owner: owner.clone(),
                    before: was.map(|state| state.standing.clone()),
                    standing: is.as_ref().map_or_else(|| "gone".to_owned(), |state| state.standing.clone()),
                    accepted: is.as_ref().and_then(|state| state.accepted.clone()),
                    codes: is.as_ref().map(|state| state.codes.clone()).unwrap_or_default(),
                };
                objects.entry(*n).or_default().push(stood);
                was = is.as_ref();
            }
        }
        let times: HashMap<&str, i64> = commits.iter().map(|commit| (commit.revision.0.as_str(), commit.committed)).collect();
        let mut entries = Vec::new();
        let mut time = i64::MIN;
        for (n, objects) in objects {
            let Some(report) = self.list.get(n) else { continue };
            let reconciled = report.trailer(git::RECONCILED_TRAILER);
            let about = reconciled.and_then(|id| times.get(id)).copied().unwrap_or(i64::MIN);
            time = time.max(report.committed).max(about);
            let entry = Entry::Report {
                commit: report.revision.to_string(),
                at: at(report),
                reconciled: reconciled.map(str::to_owned),
                plan: report.trailer(PLAN).map(str::to_owned),
                objects,
            };
            entries.push((time, n, entry));
        }
        entries.reverse();
        entries
    }
}

/// What a status file says of whom.
fn states(path: &RepoPath, bytes: Option<&Arc<[u8]>>, names: Option<&BTreeSet<String>>) -> Vec<(Owner, State)> {
    let Some(bytes) = bytes else { return Vec::new() };
    let parsed = document::parse(path, bytes, &Budget::default());
    let said = parsed.documents.iter().filter_map(|document| {
        let owner = document.value().get("for").and_then(Value::as_str).and_then(owner)?;
        let wanted = names.is_none_or(|names| names.contains(&owner.name));
        Some((owner, state(document.value())?)).filter(|_| wanted)
    });
    said.collect()
}

fn state(file: &Value) -> Option<State> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let findings = file.get("findings").and_then(Value::as_array).into_iter().flatten();
    let errors = findings.filter(|finding| finding.get("severity").and_then(Value::as_str) == Some("error"));
    Some(State {
        standing: text(file, "standing")?,
        accepted: text(file, "acceptedRevision"),
        codes: errors.filter_map(|finding| text(finding, "code")).collect(),
    })
}
