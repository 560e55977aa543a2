//! The edge to Git: commits in, commits out, and never a work tree.
//!
//! A repository is either a local one, whose object database and refs are used directly, or a remote one behind a bare mirror in
//! a cache folder. Files are read as blobs by id and written as blobs, trees and commits; branches move by compare-and-swap only.
//! libgit2 runs on one thread per repository (`thread`), so nothing here blocks the runtime. Knows nothing of what the files
//! mean; what crosses the border are the types of [`crate::snapshot`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::snapshot::{BlobId, Changes, Differing, RepoPath, Revision, Snapshot};

mod budget;
mod commit;
mod error;
mod history;
mod location;
mod read;
mod remote;
mod revert;
mod thread;
mod watch;

pub use budget::Budget;
pub use commit::Message;
pub use error::GitError;
pub use history::{Changed, Delta};
pub use location::Location;
pub use read::{Commit, Version};
pub use remote::Credentials;
pub use revert::{Restore, Reverted, message as revert_message};
pub use watch::Watch;

/// The trailer that names the commit which a status commit is about, and by which our own commits are recognised.
pub const RECONCILED_TRAILER: &str = "Reconciled";

/// How long a fetch or a push may take before its thread is given up. A first clone of a large history over a slow line fits;
/// a peer that went silent does not hold the daemon for longer.
const NETWORK_LIMIT: Duration = Duration::from_mins(5);
/// The same for work on local objects: only a dead disk takes longer.
const LOCAL_LIMIT: Duration = Duration::from_mins(2);

/// Below here only espalier moves references.
const OURS: &str = "refs/heads/espalier/";

/// The name of a landscape's status branch.
#[must_use]
pub fn status_reference(landscape: &str) -> String {
    format!("{OURS}status/{landscape}")
}

/// An open repository. Cheap to clone; all clones share one thread.
#[derive(Clone)]
pub struct Repo {
    thread: Arc<thread::Thread>,
    location: Arc<Location>,
}

impl Repo {
    /// Opens a local repository, or prepares the mirror of a remote one below `cache` without contacting it yet.
    pub async fn open(location: Location, cache: &Path, credentials: Credentials) -> Result<Self, GitError> {
        Self::open_within(location, cache, credentials, Budget::default()).await
    }

    /// The same, taking no more than a budget allows.
    pub async fn open_within(
        location: Location,
        cache: &Path,
        credentials: Credentials,
        budget: Budget,
    ) -> Result<Self, GitError> {
        let cache: PathBuf = cache.to_owned();
        let place = location.clone();
        let thread = thread::Thread::start(move || remote::open(&place, &cache, &credentials), budget).await?;
        Ok(Self { thread: Arc::new(thread), location: Arc::new(location) })
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Brings the mirror up to date; says whether any branch moved. Nothing to do for a local repository.
    pub async fn fetch(&self) -> Result<bool, GitError> {
        self.thread.call(NETWORK_LIMIT, |worker| remote::fetch(worker)).await
    }

    /// The commit that a full reference name, a branch, a tag or a revision expression means; `None` if there is none.
    pub async fn resolve(&self, name: &str) -> Result<Option<Revision>, GitError> {
        let name = name.to_owned();
        self.thread.call(LOCAL_LIMIT, move |worker| read::resolve(worker, &name)).await
    }

    /// The files below `root` (empty: the whole tree) at a commit. Blobs that the previous snapshot of the same root had are not
    /// read again.
    pub async fn snapshot(&self, revision: &Revision, root: &str) -> Result<Snapshot, GitError> {
        let (revision, root) = (revision.clone(), root.to_owned());
        self.thread.call(LOCAL_LIMIT, move |worker| read::snapshot(worker, &revision, &root)).await
    }

    /// The files below `root` that a commit has otherwise than another one.
    pub async fn differing(&self, from: &Revision, to: &Revision, root: &str) -> Result<Differing, GitError> {
        let (from, to, root) = (from.clone(), to.clone(), root.to_owned());
        self.thread.call(LOCAL_LIMIT, move |worker| read::differing(worker, &from, &to, &root)).await
    }

    /// Whether `ancestor` is `descendant` or lies in its history; `false` if either is not known here (any more).
    pub async fn is_ancestor(&self, ancestor: &Revision, descendant: &Revision) -> Result<bool, GitError> {
        let (ancestor, descendant) = (ancestor.clone(), descendant.clone());
        self.thread.call(LOCAL_LIMIT, move |worker| read::is_ancestor(worker, &ancestor, &descendant)).await
    }

    /// The last commit that two histories have in common; `None` if there is none here.
    pub async fn merge_base(&self, one: &Revision, other: &Revision) -> Result<Option<Revision>, GitError> {
        let (one, other) = (one.clone(), other.clone());
        self.thread.call(LOCAL_LIMIT, move |worker| read::merge_base(worker, &one, &other)).await
    }

    /// Whether older commits are missing here, as after `git clone --depth`.
    pub async fn is_shallow(&self) -> Result<bool, GitError> {
        self.thread.call(LOCAL_LIMIT, |worker| Ok(worker.repository.is_shallow())).await
    }

    /// The commits reachable from `from` but not from `until`, newest first, at most `limit`.
    pub async fn log(&self, from: &Revision, until: Option<&Revision>, limit: usize) -> Result<Vec<Commit>, GitError> {
        let (from, until) = (from.clone(), until.cloned());
        self.thread.call(LOCAL_LIMIT, move |worker| read::log(worker, &from, until.as_ref(), limit)).await
    }

    /// The versions that a file had up to a commit, newest first; along first parents, over at
    /// most `commits` commits.
    pub async fn versions(&self, path: &str, at: &Revision, commits: usize) -> Result<Vec<Version>, GitError> {
        let (path, at) = (path.to_owned(), at.clone());
        self.thread.call(LOCAL_LIMIT, move |worker| read::versions(worker, &path, &at, commits)).await
    }

    /// The paths below `root`, relative to it, in which two commits differ; from nothing if `from` is `None`.
    pub async fn changed_paths(&self, from: Option<&Revision>, to: &Revision, root: &str) -> Result<Vec<RepoPath>, GitError> {
        let (from, to, root) = (from.cloned(), to.clone(), root.to_owned());
        self.thread.call(LOCAL_LIMIT, move |worker| read::changed_paths(worker, from.as_ref(), &to, &root)).await
    }

    /// The text files at the tip of a reference; empty if there is no such reference. Files that are not UTF-8 are left out.
    pub async fn read_tree(&self, reference: &str) -> Result<BTreeMap<RepoPath, String>, GitError> {
        let reference = reference.to_owned();
        self.thread.call(LOCAL_LIMIT, move |worker| read::read_tree(worker, &reference)).await
    }

    /// Writes `changes` onto the tree of `expected` (onto an empty tree, as an orphan, if `None`) and moves `reference` from
    /// `expected` to the new commit, or fails with [`GitError::Raced`] if it is not there any more. For a remote repository the
    /// move happens there. If the tree would not change, no commit is made and `expected` is returned.
    ///
    /// `now` is the commit's time in seconds since the epoch.
    pub async fn commit(
        &self,
        reference: &str,
        expected: Option<&Revision>,
        changes: Changes,
        message: Message,
        now: i64,
    ) -> Result<Revision, GitError> {
        let (reference, expected) = (reference.to_owned(), expected.cloned());
        let limit = if self.location.is_remote() { NETWORK_LIMIT } else { LOCAL_LIMIT };
        self.thread
            .call(limit, move |worker| commit::commit(worker, &reference, expected.as_ref(), &changes, &message, now))
            .await
    }

    /// Makes the commit that `git revert` would make of a commit onto another one, and moves no reference. A merge is taken back
    /// against its first parent.
    pub async fn revert(&self, commit: &Revision, onto: &Revision, message: Message, now: i64) -> Result<Reverted, GitError> {
        let (commit, onto) = (commit.clone(), onto.clone());
        self.thread.call(LOCAL_LIMIT, move |worker| revert::revert(worker, &commit, &onto, &message, now)).await
    }

    /// Makes a commit onto `parent` in which some files are as they are at `from`, or have new text, and moves no reference;
    /// `None` if that changes nothing.
    pub async fn restore(
        &self,
        parent: &Revision,
        from: &Revision,
        wanted: Restore,
        message: Message,
        now: i64,
    ) -> Result<Option<Revision>, GitError> {
        let (parent, from) = (parent.clone(), from.clone());
        self.thread.call(LOCAL_LIMIT, move |worker| revert::restore(worker, &parent, &from, &wanted, &message, now)).await
    }

    /// Moves `reference` from `expected` (absent: `None`) to a commit that follows it and was made before, or fails with
    /// [`GitError::Raced`]. For a remote repository the move happens there. Never forced.
    pub async fn publish(&self, reference: &str, expected: Option<&Revision>, to: &Revision, note: &str) -> Result<(), GitError> {
        let (reference, expected, to, note) = (reference.to_owned(), expected.cloned(), to.clone(), note.to_owned());
        let limit = if self.location.is_remote() { NETWORK_LIMIT } else { LOCAL_LIMIT };
        self.thread.call(limit, move |worker| revert::publish(worker, &reference, expected.as_ref(), &to, &note)).await
    }

    /// The newest commit up to `until` at which the files below `root` were as they are at `of`; along first parents, at most
    /// `limit` commits back.
    pub async fn same_as(&self, of: &Revision, until: &Revision, root: &str, limit: usize) -> Result<Option<Revision>, GitError> {
        let (of, until, root) = (of.clone(), until.clone(), root.to_owned());
        self.thread.call(LOCAL_LIMIT, move |worker| revert::same_as(worker, &of, &until, &root, limit)).await
    }

    /// The branch that is checked out, as a full reference name; `None` if a commit is, and not a branch.
    pub async fn head(&self) -> Result<Option<String>, GitError> {
        self.thread.call(LOCAL_LIMIT, |worker| Ok(revert::head(worker))).await
    }

    /// Who works here as Git is configured: name and mail.
    pub async fn person(&self) -> Result<Option<(String, String)>, GitError> {
        self.thread.call(LOCAL_LIMIT, |worker| Ok(revert::person(worker))).await
    }

    /// Whether a text can be the name of a branch.
    #[must_use]
    pub fn is_branch_name(text: &str) -> bool {
        revert::is_branch(text)
    }

    /// Writes `changes` onto the tree of a commit as a commit on top of it that no reference names yet: to be looked at, then
    /// [`publish`](Self::publish)ed or forgotten. If the tree would not change, `parent` is returned.
    pub async fn write(&self, parent: &Revision, changes: Changes, message: Message, now: i64) -> Result<Revision, GitError> {
        let parent = parent.clone();
        self.thread.call(LOCAL_LIMIT, move |worker| commit::write(worker, &parent, &changes, &message, now)).await
    }

    /// What each of these commits changes below `root` against its first parent.
    pub async fn deltas(&self, commits: &[Revision], root: &str) -> Result<Vec<Delta>, GitError> {
        let (commits, root) = (commits.to_vec(), root.to_owned());
        self.thread.call(LOCAL_LIMIT, move |worker| history::deltas(worker, &commits, &root)).await
    }

    /// The files below `root` that each of these commits changes, against each of its parents; against nothing if it has none.
    pub async fn changes(&self, commits: &[Revision], root: &str) -> Result<Vec<Vec<Vec<Changed>>>, GitError> {
        let (commits, root) = (commits.to_vec(), root.to_owned());
        self.thread.call(LOCAL_LIMIT, move |worker| history::changes(worker, &commits, &root)).await
    }

    /// What blobs hold, in the order of their ids; `None` for one that is larger than any file of a landscape may be.
    pub async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Arc<[u8]>>>, GitError> {
        let ids = ids.to_vec();
        self.thread.call(LOCAL_LIMIT, move |worker| history::blobs(worker, &ids)).await
    }

    /// The references whose full names begin with `prefix`, with their commits.
    pub async fn branches(&self, prefix: &str) -> Result<Vec<(String, Revision)>, GitError> {
        let prefix = prefix.to_owned();
        self.thread.call(LOCAL_LIMIT, move |worker| history::branches(worker, &prefix)).await
    }

    /// Writes `changes` onto the tree of `base` and makes a branch of the new commit, or fails with [`GitError::Raced`] if there is
    /// such a branch. If the tree would not change, there is no commit and no branch, and `base` is returned.
    pub async fn propose(
        &self,
        reference: &str,
        base: &Revision,
        changes: Changes,
        message: Message,
        now: i64,
    ) -> Result<Revision, GitError> {
        let made = self.write(base, changes, message, now).await?;
        if made != *base {
            self.publish(reference, None, &made, "proposed").await?;
        }
        Ok(made)
    }

    /// Signals whenever references of a local repository may have moved; `None` for a remote one, which must be polled.
    pub async fn watch(&self) -> Result<Option<Watch>, GitError> {
        if self.location.is_remote() {
            return Ok(None);
        }
        let folder = self.thread.call(LOCAL_LIMIT, |worker| Ok(worker.repository.commondir().to_owned())).await?;
        Watch::start(&folder).map(Some)
    }
}

/// The id that Git gives to a file's content, in a repository or not.
#[must_use]
pub fn blob_id(bytes: &[u8]) -> BlobId {
    read::blob_id(bytes)
}

/// Makes a new repository with one commit on one branch, and its files beside it for a person to edit: how `demo` begins.
pub async fn create(
    path: &Path,
    branch: &str,
    files: BTreeMap<RepoPath, Vec<u8>>,
    message: Message,
    now: i64,
) -> Result<Revision, GitError> {
    let (path, branch) = (path.to_owned(), branch.to_owned());
    tokio::task::spawn_blocking(move || commit::create(&path, &branch, &files, &message, now))
        .await
        .unwrap_or(Err(GitError::Lost))
}

/// The same in a folder that is there, and in no repository: what else is in it stays, and is in no commit.
pub async fn begin(
    path: &Path,
    branch: &str,
    files: BTreeMap<RepoPath, Vec<u8>>,
    message: Message,
    now: i64,
) -> Result<Revision, GitError> {
    let (path, branch) = (path.to_owned(), branch.to_owned());
    tokio::task::spawn_blocking(move || commit::begin(&path, &branch, &files, &message, now)).await.unwrap_or(Err(GitError::Lost))
}
