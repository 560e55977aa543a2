//! Writing: blobs, trees and commits, and the compare-and-swap that publishes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::build::{CheckoutBuilder, TreeUpdateBuilder};
use git2::{ErrorCode, FileMode, Oid, Repository, RepositoryInitOptions, Signature, Time, Tree};

use super::error::GitError;
use super::thread::Worker;
use super::{read, remote};
use crate::snapshot::{Changes, RepoPath, Revision};

/// Name and address of our commits.
const NAME: &str = "espalier";
const MAIL: &str = "espalier@espalier.dev";

/// The message of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// First line.
    pub subject: String,
    /// Paragraphs, empty for none.
    pub body: String,
    /// `Key: value` lines at the end, such as `Reconciled`, `Landscape`, `Result`, `Plan-Digest`.
    pub trailers: Vec<(String, String)>,
    /// Author as (name, mail); espalier itself if `None`. The committer is always espalier.
    pub author: Option<(String, String)>,
}

impl Message {
    /// The text as Git stores it. Line breaks inside a subject or a trailer become spaces, so neither can forge the other.
    #[must_use]
    pub fn text(&self) -> String {
        let one_line = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut text = one_line(&self.subject);
        text.push('\n');
        if !self.body.trim().is_empty() {
            text.push('\n');
            text.push_str(self.body.trim());
            text.push('\n');
        }
        if !self.trailers.is_empty() {
            text.push('\n');
            for (key, value) in &self.trailers {
                text.push_str(&format!("{key}: {}\n", one_line(value)));
            }
        }
        text
    }
}

pub(super) fn commit(
    worker: &Worker,
    reference: &str,
    expected: Option<&Revision>,
    changes: &Changes,
    message: &Message,
    now: i64,
) -> Result<Revision, GitError> {
    refuse_checked_out(&worker.repository, reference)?;
    let repository = &worker.repository;
    let parent = expected.map(|at| read::find_commit(worker, at)).transpose()?;
    let base = match &parent {
        Some(parent) => parent.tree().map_err(GitError::read("the tree to change"))?,
        None => empty_tree(repository)?,
    };
    let tree = changed_tree(repository, &base, changes)?;
    if let Some(expected) = expected
        && tree.id() == base.id()
    {
        return Ok(expected.clone());
    }
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let id = write_commit(repository, &tree, &parents, message, now)?;
    let expected = parent.as_ref().map(git2::Commit::id);
    if worker.origin.is_some() {
        remote::push(worker, reference, id, expected)?;
    } else {
        swap(repository, reference, id, expected, &message.subject)?;
    }
    Ok(read::revision(id))
}

/// A commit on top of another that no reference names.
pub(super) fn write(
    worker: &Worker,
    parent: &Revision,
    changes: &Changes,
    message: &Message,
    now: i64,
) -> Result<Revision, GitError> {
    let commit = read::find_commit(worker, parent)?;
    let base = commit.tree().map_err(GitError::read("the tree to change"))?;
    let tree = changed_tree(&worker.repository, &base, changes)?;
    if tree.id() == base.id() {
        return Ok(parent.clone());
    }
    write_commit(&worker.repository, &tree, &[&commit], message, now).map(read::revision)
}

/// Moves a reference of this repository from `expected` to `id`, or fails with `Raced`.
pub(super) fn swap(repository: &Repository, reference: &str, id: Oid, expected: Option<Oid>, note: &str) -> Result<(), GitError> {
    let attempt = || match expected {
        Some(expected) => repository.reference_matching(reference, id, true, expected, note),
        None => repository.reference(reference, id, false, note),
    };
    let moved = match attempt() {
        Err(e) if e.code() == ErrorCode::Locked && unlock(repository, reference) => attempt(),
        moved => moved,
    };
    match moved {
        Ok(_) => Ok(()),
        Err(e) if matches!(e.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound) => {
            Err(GitError::Raced { reference: reference.to_owned() })
        }
        // Somebody is moving it at this moment. A lock that stays is another matter.
        Err(e) if e.code() == ErrorCode::Locked && age_of_lock(repository, reference).is_none_or(|age| age < STALE) => {
            Err(GitError::Raced { reference: reference.to_owned() })
        }
        Err(source) => Err(GitError::Write { what: format!("`{reference}`"), source }),
    }
}

/// How old the lock of a reference must be to be a leftover: whoever moves a reference holds it for milliseconds.
const STALE: Duration = Duration::from_secs(2);

/// Removes the lock that a process which was killed left on a reference; only on those that nobody but us moves. Whoever still
/// held it would fail to move the reference, and the compare-and-swap that follows would see it moved.
fn unlock(repository: &Repository, reference: &str) -> bool {
    if !reference.starts_with(super::OURS) || age_of_lock(repository, reference).is_none_or(|age| age < STALE) {
        return false;
    }
    tracing::warn!(reference, "removing the lock that a killed process left");
    std::fs::remove_file(lock_of(repository, reference)).is_ok()
}

fn lock_of(repository: &Repository, reference: &str) -> PathBuf {
    repository.commondir().join(format!("{reference}.lock"))
}

/// How long the lock of a reference has been there; `None` if it is not there.
fn age_of_lock(repository: &Repository, reference: &str) -> Option<Duration> {
    lock_of(repository, reference).metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok())
}

pub(super) fn refuse_checked_out(repository: &Repository, reference: &str) -> Result<(), GitError> {
    let Some(path) = repository.workdir() else { return Ok(()) };
    let head = repository.find_reference("HEAD").map_err(GitError::read("HEAD"))?;
    if head.symbolic_target_bytes() == Some(reference.as_bytes()) {
        return Err(GitError::CheckedOut { reference: reference.to_owned(), path: path.to_owned() });
    }
    Ok(())
}

fn empty_tree(repository: &Repository) -> Result<Tree<'_>, GitError> {
    let id = repository.treebuilder(None).and_then(|b| b.write()).map_err(GitError::write("an empty tree"))?;
    repository.find_tree(id).map_err(GitError::read("an empty tree"))
}

pub(super) fn changed_tree<'r>(repository: &'r Repository, base: &Tree<'_>, changes: &Changes) -> Result<Tree<'r>, GitError> {
    let mut update = TreeUpdateBuilder::new();
    for (path, content) in changes {
        let text = path.as_str();
        if !is_tree_path(text) {
            return Err(GitError::Path(text.to_owned()));
        }
        match content {
            Some(content) => {
                let id = repository.blob(content.as_bytes()).map_err(GitError::write(format!("file `{path}`")))?;
                update.upsert(text, id, FileMode::Blob);
            }
            None if base.get_path(Path::new(text)).is_ok() => {
                update.remove(text);
            }
            None => {}
        }
    }
    let id = update.create_updated(repository, base).map_err(GitError::write("a tree"))?;
    repository.find_tree(id).map_err(GitError::read("a new tree"))
}

/// What a tree may contain without leaving it or reaching into somebody's `.git`.
pub(super) fn is_tree_path(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\\'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git"))
}

pub(super) fn write_commit(
    repository: &Repository,
    tree: &Tree<'_>,
    parents: &[&git2::Commit<'_>],
    message: &Message,
    now: i64,
) -> Result<Oid, GitError> {
    let failed = |source| GitError::Write { what: "a commit".to_owned(), source };
    let time = Time::new(now, 0);
    let committer = Signature::new(NAME, MAIL, &time).map_err(failed)?;
    let author = match &message.author {
        Some((name, mail)) => Signature::new(name, mail, &time).map_err(failed)?,
        None => committer.clone(),
    };
    repository.commit(None, &author, &committer, &message.text(), tree, parents).map_err(failed)
}

pub(super) fn create(
    path: &Path,
    branch: &str,
    files: &BTreeMap<RepoPath, Vec<u8>>,
    message: &Message,
    now: i64,
) -> Result<Revision, GitError> {
    // It is made aside and moved into place when it is whole: who is killed on the way leaves nothing that looks like one.
    let aside = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    let moved =
        |source: std::io::Error| GitError::Open { path: path.to_owned(), source: git2::Error::from_str(&source.to_string()) };
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(moved)?;
    }
    let made = begin(&aside, branch, files, message, now)?;
    std::fs::rename(&aside, path).map_err(moved)?;
    Ok(made)
}

pub(super) fn begin(
    path: &Path,
    branch: &str,
    files: &BTreeMap<RepoPath, Vec<u8>>,
    message: &Message,
    now: i64,
) -> Result<Revision, GitError> {
    let mut options = RepositoryInitOptions::new();
    options.no_reinit(true).mkpath(true).initial_head(branch);
    let repository = Repository::init_opts(path, &options).map_err(|source| GitError::Open { path: path.to_owned(), source })?;
    let mut update = TreeUpdateBuilder::new();
    for (path, content) in files {
        if !is_tree_path(path.as_str()) {
            return Err(GitError::Path(path.to_string()));
        }
        let id = repository.blob(content).map_err(GitError::write(format!("file `{path}`")))?;
        update.upsert(path.as_str(), id, FileMode::Blob);
    }
    let base = empty_tree(&repository)?;
    let tree = update.create_updated(&repository, &base).map_err(GitError::write("a tree"))?;
    let tree = repository.find_tree(tree).map_err(GitError::read("a new tree"))?;
    let id = write_commit(&repository, &tree, &[], message, now)?;
    swap(&repository, &format!("refs/heads/{branch}"), id, None, &message.subject)?;
    repository.checkout_head(Some(CheckoutBuilder::new().force())).map_err(GitError::write("the files"))?;
    Ok(read::revision(id))
}
