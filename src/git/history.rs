//! What branches have in common and what commits change, wherever that stands: to tell which changes of one landscape are in another,
//! and what its objects were.

use std::sync::Arc;

use git2::{DiffFile, DiffOptions, FileMode, Oid};

use super::error::GitError;
use super::read::{content, differences, find_commit, paths_of, revision};
use super::thread::Worker;
use crate::snapshot::{BlobId, RepoPath, Revision};

/// What a commit changes against its first parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// A digest of the difference without its place, as `git patch-id` has it; `None` for merges, and if there is none.
    pub patch: Option<String>,
    /// The paths that differ.
    pub paths: Vec<RepoPath>,
}

pub(super) fn deltas(worker: &Worker, commits: &[Revision], root: &str) -> Result<Vec<Delta>, GitError> {
    commits.iter().map(|commit| delta(worker, commit, root)).collect()
}

fn delta(worker: &Worker, at: &Revision, root: &str) -> Result<Delta, GitError> {
    let failed = |source| GitError::Read { what: format!("the changes of {at}"), source };
    let commit = find_commit(worker, at)?;
    let parent = commit.parent_id(0).ok().map(revision);
    let mut options = DiffOptions::new();
    // What stands beside a change may differ between landscapes.
    options.context_lines(0);
    let diff = differences(worker, parent.as_ref(), at, root, &mut options)?;
    let paths = paths_of(&diff);
    let alone = commit.parent_count() < 2 && !paths.is_empty();
    let patch = if alone { Some(diff.patchid(None).map_err(failed)?.to_string()) } else { None };
    Ok(Delta { patch, paths })
}

/// A file that differs between a commit and one of its parents; links and submodules count as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its path below the folder that was asked for.
    pub path: RepoPath,
    /// What it held in the parent.
    pub before: Option<BlobId>,
    /// What it holds in the commit.
    pub after: Option<BlobId>,
}

/// What each commit changes below `root`, against each of its parents; against nothing if it has none.
pub(super) fn changes(worker: &Worker, commits: &[Revision], root: &str) -> Result<Vec<Vec<Vec<Changed>>>, GitError> {
    let against = |at: &Revision, parent: Option<Revision>| -> Result<Vec<Changed>, GitError> {
        let diff = differences(worker, parent.as_ref(), at, root, &mut DiffOptions::new())?;
        Ok(diff.deltas().filter_map(|delta| changed(&delta)).collect())
    };
    let mut all = Vec::with_capacity(commits.len());
    for at in commits {
        let parents: Vec<Revision> = find_commit(worker, at)?.parent_ids().map(revision).collect();
        all.push(if parents.is_empty() {
            vec![against(at, None)?]
        } else {
            parents.into_iter().map(|parent| against(at, Some(parent))).collect::<Result<_, _>>()?
        });
    }
    Ok(all)
}

fn changed(delta: &git2::DiffDelta<'_>) -> Option<Changed> {
    let path = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())?;
    let blob = |file: &DiffFile<'_>| {
        let is_file = matches!(file.mode(), FileMode::Blob | FileMode::BlobExecutable | FileMode::BlobGroupWritable);
        (is_file && !file.id().is_zero()).then(|| BlobId(Arc::from(file.id().to_string())))
    };
    let path = RepoPath::from(String::from_utf8_lossy(path).into_owned());
    Some(Changed { path, before: blob(&delta.old_file()), after: blob(&delta.new_file()) })
}

/// What these blobs hold, in their order; `None` for one that is larger than any file of a landscape may be.
pub(super) fn blobs(worker: &Worker, ids: &[BlobId]) -> Result<Vec<Option<Arc<[u8]>>>, GitError> {
    let objects = worker.repository.odb().map_err(GitError::read("the objects"))?;
    let blob = |id: &BlobId| {
        let what = format!("blob {}", id.0);
        let oid = Oid::from_str(&id.0).map_err(GitError::read(what.as_str()))?;
        content(worker, &objects, oid, &what)
    };
    ids.iter().map(blob).collect()
}

pub(super) fn branches(worker: &Worker, prefix: &str) -> Result<Vec<(String, Revision)>, GitError> {
    let failed = |source| GitError::Read { what: format!("the branches below {prefix}"), source };
    let mut found = Vec::new();
    for reference in worker.repository.references_glob(&format!("{prefix}*")).map_err(failed)? {
        let reference = reference.map_err(failed)?;
        // A name that is no text belongs to no landscape.
        if let (Ok(name), Some(id)) = (std::str::from_utf8(reference.name_bytes()), reference.target()) {
            found.push((name.to_owned(), revision(id)));
        }
    }
    found.sort();
    Ok(found)
}
