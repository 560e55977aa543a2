//! What branches have in common and what commits change, wherever that stands: to tell which changes of one landscape are in another.

use git2::DiffOptions;

use super::error::GitError;
use super::read::{find_commit, revision, root_tree};
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
    let optional = |at: &Revision| match root_tree(worker, at, root) {
        Ok(tree) => Ok(Some(tree)),
        Err(GitError::RootMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let commit = find_commit(worker, at)?;
    let parent = commit.parent_id(0).ok().map(|id| optional(&revision(id))).transpose()?.flatten();
    let tree = optional(at)?;
    let mut options = DiffOptions::new();
    // What stands beside a change may differ between landscapes.
    options.context_lines(0);
    let diff = worker.repository.diff_tree_to_tree(parent.as_ref(), tree.as_ref(), Some(&mut options)).map_err(failed)?;
    let mut paths: Vec<RepoPath> = diff
        .deltas()
        .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()])
        .flatten()
        .map(|path| RepoPath::from(String::from_utf8_lossy(path).into_owned()))
        .collect();
    paths.sort();
    paths.dedup();
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
