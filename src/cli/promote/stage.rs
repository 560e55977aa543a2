//! A landscape that changes come from or go to: its branch or folder, its files at any commit, its history.

use anyhow::bail;

use crate::cli::read::{self, Reading, Source};
use crate::config::Settings;
use crate::git::Repo;
use crate::landscape::{self, FileMemo, Landscape};
use crate::promote::history::Change;
use crate::snapshot::{Changes, Revision, Snapshot};

/// So many commits back is looked.
const COMMITS: usize = 2_000;
/// Where landscapes' branches are.
pub(super) const BRANCHES: &str = "refs/heads/landscape/";
/// The file that makes a folder a landscape.
const MARK: &str = "landscape.yaml";

/// One landscape.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) name: String,
    /// Its branch, if it has one of its own.
    pub(super) reference: Option<String>,
    pub(super) tip: Revision,
    /// Its folder; empty for all of the tree.
    pub(super) root: String,
}

impl Stage {
    /// A landscape by its name: the branch `landscape/<name>`, or a folder of that name below `--path`.
    pub(super) async fn find(settings: &Settings, repo: &Repo, name: &str) -> anyhow::Result<Self> {
        let folder = settings.global.path.trim_matches('/');
        let reference = format!("{BRANCHES}{name}");
        if let Some(tip) = repo.resolve(&reference).await? {
            return Ok(Self { name: name.to_owned(), reference: Some(reference), tip, root: folder.to_owned() });
        }
        let at = settings.global.rev.as_deref().unwrap_or("HEAD");
        let root = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if let Some(tip) = repo.resolve(at).await?
            && let Ok(snapshot) = repo.snapshot(&tip, &root).await
            && snapshot.files.contains_key(MARK)
        {
            return Ok(Self { name: name.to_owned(), reference: None, tip, root });
        }
        bail!(
            "there is no landscape `{name}` in {}: neither a branch landscape/{name} nor a folder {root} at {at}",
            repo.location()
        )
    }

    /// All landscapes: the branches, or else the folders below `--path`.
    pub(super) async fn all(settings: &Settings, repo: &Repo) -> anyhow::Result<Vec<Self>> {
        let folder = settings.global.path.trim_matches('/');
        let mut stages = Vec::new();
        for (reference, tip) in repo.branches(BRANCHES).await? {
            let name = reference.trim_start_matches(BRANCHES).to_owned();
            stages.push(Self { name, reference: Some(reference), tip, root: folder.to_owned() });
        }
        if stages.is_empty() {
            let at = settings.global.rev.as_deref().unwrap_or("HEAD");
            let tip = read::resolve(repo, at).await?;
            let snapshot = repo.snapshot(&tip, folder).await?;
            for path in snapshot.files.keys() {
                if let Some((name, MARK)) = path.as_str().split_once('/') {
                    let root = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                    stages.push(Self { name: name.to_owned(), reference: None, tip: tip.clone(), root });
                }
            }
        }
        Ok(stages)
    }

    /// The landscape at a commit, ready to be judged.
    pub(super) async fn read(&self, repo: &Repo, at: &Revision, memo: &mut FileMemo) -> anyhow::Result<Reading> {
        let snapshot = repo.snapshot(at, &self.root).await?;
        Ok(read::read_with(Source { snapshot, from: at.short().to_owned(), prefix: self.prefix() }, memo))
    }

    /// The landscape at a commit, as it is written; empty if its folder is not there.
    pub(super) async fn load(&self, repo: &Repo, at: Option<&Revision>, memo: &mut FileMemo) -> anyhow::Result<Landscape> {
        let Some(at) = at else { return Ok(Landscape::default()) };
        match repo.snapshot(at, &self.root).await {
            Ok(snapshot) => Ok(landscape::load(&snapshot, memo).0),
            Err(crate::git::GitError::RootMissing { .. }) => Ok(Landscape::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// What to put before a path of the landscape.
    pub(super) fn prefix(&self) -> String {
        if self.root.is_empty() { String::new() } else { format!("{}/", self.root) }
    }

    /// The commits that changed the landscape, newest first, back to a commit.
    pub(super) async fn changes(&self, repo: &Repo, until: Option<&Revision>) -> anyhow::Result<Vec<Change>> {
        let mut commits = repo.log(&self.tip, until, COMMITS).await?;
        commits.retain(|commit| !commit.is_own());
        let ids: Vec<Revision> = commits.iter().map(|commit| commit.revision.clone()).collect();
        let deltas = repo.deltas(&ids, &self.root).await?;
        let changes = commits.into_iter().zip(deltas).map(|(commit, delta)| Change {
            id: commit.revision.0,
            subject: commit.subject,
            body: commit.body,
            trailers: commit.trailers,
            author: commit.author,
            at: commit.committed,
            patch: if commit.parents.len() < 2 { delta.patch } else { None },
            parents: commit.parents,
            paths: delta.paths,
        });
        // A merge repeats what its commits did, unless it says that it is a promotion.
        Ok(changes.filter(|c| !c.paths.is_empty() && (c.parents.len() < 2 || c.record().is_some())).collect())
    }
}

/// A snapshot with changed files.
pub(super) fn with(snapshot: &Snapshot, changes: &Changes) -> Snapshot {
    let mut snapshot = snapshot.clone();
    for (path, text) in changes {
        match text {
            Some(text) => drop(snapshot.files.insert(path.clone(), read::file(text.as_bytes()))),
            None => drop(snapshot.files.remove(path)),
        }
    }
    snapshot
}
