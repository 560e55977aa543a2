//! What branches have in common and what commits change, wherever that stands: to tell which changes of one landscape are in another.

use git2::DiffOptions;

use super::error::GitError;
use super::read::{differences, find_commit, paths_of, revision};
use super::thread::Worker;
use crate::snapshot::{RepoPath, Revision};

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
