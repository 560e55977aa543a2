//! Taking back without a work tree: the commit that `git revert` makes, files as they were at another commit, and the move of a
//! branch to what was made. A commit is made first and published after, so that it can be looked at in between.

use std::collections::BTreeSet;
use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, IndexEntry};

use super::commit::{self, Message};
use super::error::GitError;
use super::thread::Worker;
use super::{read, remote};
use crate::snapshot::{Changes, RepoPath, Revision};

/// What taking a commit back gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// A commit that no reference points at yet.
    Made(Revision),
    /// The branch is as if the commit had never been: nothing was made.
    Nothing,
    /// Later commits changed the same lines of these files.
    Conflicts(Vec<RepoPath>),
}

/// The message that `git revert` writes, with further trailers; a merge is taken back against its first parent.
#[must_use]
pub fn message(of: &read::Commit, trailers: Vec<(String, String)>) -> Message {
    let body = match of.parents.as_slice() {
        [first, _, ..] => format!("This reverts commit {}, reversing\nchanges made to {first}.", of.revision),
        _ => format!("This reverts commit {}.", of.revision),
    };
    Message { subject: format!("Revert \"{}\"", of.subject), body, trailers, author: None }
}

pub(super) fn revert(
    worker: &Worker,
    wanted: &Revision,
    onto: &Revision,
    message: &Message,
    now: i64,
) -> Result<Reverted, GitError> {
    let repository = &worker.repository;
    let failed = |source| GitError::Write { what: format!("the revert of {wanted}"), source };
    let (commit, tip) = (read::find_commit(worker, wanted)?, read::find_commit(worker, onto)?);
    let mainline = u32::from(commit.parent_count() > 1);
    let mut index = repository.revert_commit(&commit, &tip, mainline, None).map_err(failed)?;
    if index.has_conflicts() {
        let mut paths = BTreeSet::new();
        for conflict in index.conflicts().map_err(failed)? {
            let conflict = conflict.map_err(failed)?;
            let sides = [conflict.ancestor, conflict.our, conflict.their].into_iter().flatten();
            paths.extend(sides.map(|side: IndexEntry| RepoPath::from(String::from_utf8_lossy(&side.path).into_owned())));
        }
        return Ok(Reverted::Conflicts(paths.into_iter().collect()));
    }
    let tree = index.write_tree_to(repository).map_err(failed)?;
    if tree == tip.tree_id() {
        return Ok(Reverted::Nothing);
    }
    let tree = repository.find_tree(tree).map_err(GitError::read("a new tree"))?;
    commit::write_commit(repository, &tree, &[&tip], message, now).map(|id| Reverted::Made(read::revision(id)))
}

/// What to put into a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// These paths are as they are at the commit: the same bytes and mode, or absent. A folder is all that is in it.
    pub paths: BTreeSet<RepoPath>,
    /// And these files have new text.
    pub changes: Changes,
}

pub(super) fn restore(
    worker: &Worker,
    parent: &Revision,
    from: &Revision,
    wanted: &Restore,
    message: &Message,
    now: i64,
) -> Result<Option<Revision>, GitError> {
    let repository = &worker.repository;
    let parent = read::find_commit(worker, parent)?;
    let base = parent.tree().map_err(GitError::read("the tree to change"))?;
    let source = read::find_commit(worker, from)?.tree().map_err(GitError::read(format!("the tree of {from}")))?;
    let mut update = TreeUpdateBuilder::new();
    for path in &wanted.paths {
        let path = path.as_str();
        if !commit::is_tree_path(path) {
            return Err(GitError::Path(path.to_owned()));
        }
        match source.get_path(Path::new(path)) {
            Ok(entry) => {
                let mode = match entry.filemode() {
                    0o120_000 => FileMode::Link,
                    0o100_755 => FileMode::BlobExecutable,
                    0o160_000 => FileMode::Commit,
                    0o040_000 => FileMode::Tree,
                    _ => FileMode::Blob,
                };
                update.upsert(path, entry.id(), mode);
            }
            Err(_) if base.get_path(Path::new(path)).is_ok() => {
                update.remove(path);
            }
            Err(_) => {}
        }
    }
    let id = update.create_updated(repository, &base).map_err(GitError::write("a tree"))?;
    let tree = repository.find_tree(id).map_err(GitError::read("a new tree"))?;
    let tree = commit::changed_tree(repository, &tree, &wanted.changes)?;
    if tree.id() == base.id() {
        return Ok(None);
    }
    commit::write_commit(repository, &tree, &[&parent], message, now).map(|id| Some(read::revision(id)))
}

/// Moves `reference` from `expected` (absent: `None`) to a commit that was made before; never to one that does not follow it.
pub(super) fn publish(
    worker: &Worker,
    reference: &str,
    expected: Option<&Revision>,
    to: &Revision,
    note: &str,
) -> Result<(), GitError> {
    commit::refuse_checked_out(&worker.repository, reference)?;
    let id = read::find_commit(worker, to)?.id();
    let expected_id = expected.map(read::oid).transpose()?;
    if let Some(expected) = expected
        && !read::is_ancestor(worker, expected, to)?
    {
        return Err(GitError::Raced { reference: reference.to_owned() });
    }
    if worker.origin.is_some() {
        remote::push(worker, reference, id, expected_id)
    } else {
        commit::swap(&worker.repository, reference, id, expected_id, note)
    }
}

/// The newest commit up to `until`, along first parents and at most `limit` back, at which the folder was as it is at `of`.
pub(super) fn same_as(
    worker: &Worker,
    of: &Revision,
    until: &Revision,
    root: &str,
    limit: usize,
) -> Result<Option<Revision>, GitError> {
    let wanted = read::root_tree(worker, of, root)?.id();
    let mut commit = read::find_commit(worker, until)?;
    for _ in 0..limit {
        let here = read::revision(commit.id());
        if read::root_tree(worker, &here, root).is_ok_and(|tree| tree.id() == wanted) {
            return Ok(Some(here));
        }
        let Ok(parent) = commit.parent(0) else { break };
        commit = parent;
    }
    Ok(None)
}

/// The branch that is checked out, as a full reference name; `None` if it is none.
pub(super) fn head(worker: &Worker) -> Option<String> {
    let head = worker.repository.find_reference("HEAD").ok()?;
    let target = head.symbolic_target_bytes()?;
    Some(String::from_utf8_lossy(target).into_owned())
}

/// Who works here, as Git is configured: (name, mail).
pub(super) fn person(worker: &Worker) -> Option<(String, String)> {
    let signature = worker.repository.signature().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(signature.name_bytes()), text(signature.email_bytes())))
}

/// Whether a name can be a branch's.
pub(super) fn is_branch(name: &str) -> bool {
    git2::Branch::name_is_valid(name).unwrap_or(false)
}
