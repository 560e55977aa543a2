//! Reading: references, snapshots by blob id, history.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use git2::{Delta, Diff, DiffOptions, ErrorCode, ObjectType, Oid, Sort};

use super::RECONCILED_TRAILER;
use super::budget::Budget;
use super::error::GitError;
use super::thread::Worker;
use crate::snapshot::{Blob, BlobId, Differing, EntryKind, RepoPath, Revision, Snapshot, Verdict};

/// One commit of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub revision: Revision,
    /// Its parents.
    pub parents: Vec<Revision>,
    /// Committer time in seconds since the epoch.
    pub committed: i64,
    /// Author as `Name <mail>`.
    pub author: String,
    /// First line of the message.
    pub subject: String,
    /// The rest of the message without its trailers.
    pub body: String,
    /// Trailers in their order.
    pub trailers: Vec<(String, String)>,
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The commit that made it.
    pub commit: Commit,
    /// What the file held.
    pub bytes: Arc<[u8]>,
}

impl Commit {
    /// The value of a trailer.
    #[must_use]
    pub fn trailer(&self, key: &str) -> Option<&str> {
        self.trailers.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str())
    }

    /// Whether espalier made it.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.trailer(RECONCILED_TRAILER).is_some()
    }
}

pub(super) fn oid(revision: &Revision) -> Result<Oid, GitError> {
    Oid::from_str(&revision.0).map_err(|_| GitError::Missing(revision.0.clone()))
}

pub(super) fn blob_id(bytes: &[u8]) -> BlobId {
    let id = Oid::hash_object(ObjectType::Blob, bytes).map(|id| id.to_string());
    BlobId(Arc::from(id.unwrap_or_else(|_| crate::digest::of_bytes(bytes).as_str().to_owned())))
}

pub(super) fn revision(oid: Oid) -> Revision {
    Revision(oid.to_string())
}

pub(super) fn find_commit<'r>(worker: &'r Worker, wanted: &Revision) -> Result<git2::Commit<'r>, GitError> {
    worker.repository.find_commit(oid(wanted)?).map_err(|source| match source.code() {
        ErrorCode::NotFound => GitError::Missing(wanted.0.clone()),
        _ => GitError::Read { what: format!("commit {wanted}"), source },
    })
}

pub(super) fn resolve(worker: &Worker, name: &str) -> Result<Option<Revision>, GitError> {
    let object = match worker.repository.revparse_single(name) {
        Ok(object) => object,
        Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch | ErrorCode::InvalidSpec) => return Ok(None),
        Err(source) => return Err(GitError::Read { what: format!("reference `{name}`"), source }),
    };
    match object.peel(ObjectType::Commit) {
        Ok(commit) => Ok(Some(revision(commit.id()))),
        Err(_) => Ok(None),
    }
}

/// The tree of a folder at a commit.
pub(super) fn root_tree<'r>(worker: &'r Worker, at: &Revision, root: &str) -> Result<git2::Tree<'r>, GitError> {
    let tree = find_commit(worker, at)?.tree().map_err(GitError::read(format!("the tree of {at}")))?;
    let root = root.trim_matches('/');
    if root.is_empty() {
        return Ok(tree);
    }
    let missing = || GitError::RootMissing { root: root.to_owned(), revision: at.short().to_owned() };
    let entry = tree.get_path(std::path::Path::new(root)).map_err(|_| missing())?;
    if entry.kind() != Some(ObjectType::Tree) {
        return Err(missing());
    }
    worker.repository.find_tree(entry.id()).map_err(GitError::read(format!("folder `{root}`")))
}

pub(super) fn snapshot(worker: &mut Worker, at: &Revision, root: &str) -> Result<Snapshot, GitError> {
    let before = worker.blobs.remove(root).unwrap_or_default();
    let mut used: HashMap<Oid, Arc<[u8]>> = HashMap::with_capacity(before.len());
    let result = read_files(worker, worker.budget, at, root, &before, &mut used);
    worker.blobs.insert(root.to_owned(), if result.is_ok() { used } else { before });
    Ok(Snapshot { files: result?, ..heading(worker, at)? })
}

/// A commit without its files.
fn heading(worker: &Worker, at: &Revision) -> Result<Snapshot, GitError> {
    let commit = find_commit(worker, at)?;
    Ok(Snapshot {
        revision: at.clone(),
        committed: commit.committer().when().seconds(),
        author: author(&commit),
        subject: subject(&commit),
        verdict: Verdict::Unchecked,
        files: BTreeMap::new(),
    })
}

/// The files below `root` that a commit has otherwise than another one, read under the same limits as all of them; what a limit for
/// all of them says is not checked again.
pub(super) fn differing(worker: &Worker, from: &Revision, to: &Revision, root: &str) -> Result<Differing, GitError> {
    let objects = worker.repository.odb().map_err(GitError::read("the objects"))?;
    let diff = differences(worker, Some(from), to, root, &mut DiffOptions::new())?;
    let mut files = BTreeMap::new();
    for delta in diff.deltas().filter(|delta| delta.status() != Delta::Unmodified) {
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = |file: &git2::DiffFile<'_>| file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned());
        if let Some(gone) = path(&old) {
            files.entry(RepoPath::from(gone)).or_insert(None);
        }
        let Some(path) = path(&new).filter(|_| new.exists()) else { continue };
        within(&path, worker.budget, to)?;
        let read = match new.mode() {
            git2::FileMode::Commit => (EntryKind::Submodule, None),
            git2::FileMode::Link => (EntryKind::Symlink, None),
            _ => match content(worker, &objects, new.id(), &format!("file `{path}`"))? {
                Some(bytes) => (EntryKind::File, Some(bytes)),
                None => (EntryKind::TooLarge, None),
            },
        };
        let (kind, bytes) = (read.0, read.1.unwrap_or_else(|| Arc::from(Vec::new())));
        let blob = Blob { id: BlobId(Arc::from(new.id().to_string())), kind, bytes };
        files.insert(RepoPath::from(path), Some(blob));
    }
    Ok(Differing { heading: heading(worker, to)?, files })
}

fn read_files(
    worker: &Worker,
    budget: Budget,
    at: &Revision,
    root: &str,
    before: &HashMap<Oid, Arc<[u8]>>,
    used: &mut HashMap<Oid, Arc<[u8]>>,
) -> Result<BTreeMap<RepoPath, Blob>, GitError> {
    let too_large = |limit: String| Err(too_large(at, limit));
    let empty: Arc<[u8]> = Arc::from(Vec::new());
    let objects = worker.repository.odb().map_err(GitError::read("the objects"))?;
    let mut files = BTreeMap::new();
    let mut bytes_read = 0_usize;
    let mut seen = 0_usize;
    // An explicit stack: the depth of a tree is its author's choice.
    let mut stack = vec![(String::new(), root_tree(worker, at, root)?)];
    while let Some((prefix, tree)) = stack.pop() {
        for entry in &tree {
            seen += 1;
            if seen > budget.entries {
                return too_large(format!("{} entries", budget.entries));
            }
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            within(&path, budget, at)?;
            let id = entry.id();
            let (kind, bytes) = match entry.kind() {
                Some(ObjectType::Tree) => {
                    let subtree = worker.repository.find_tree(id).map_err(GitError::read(format!("folder `{path}`")))?;
                    stack.push((path, subtree));
                    continue;
                }
                Some(ObjectType::Commit) => (EntryKind::Submodule, Arc::clone(&empty)),
                _ if entry.filemode() == i32::from(git2::FileMode::Link) => (EntryKind::Symlink, Arc::clone(&empty)),
                _ => match used.get(&id).or_else(|| before.get(&id)).map(Arc::clone) {
                    Some(known) => {
                        used.insert(id, Arc::clone(&known));
                        (EntryKind::File, known)
                    }
                    None => match content(worker, &objects, id, &format!("file `{path}`"))? {
                        Some(bytes) => {
                            used.insert(id, Arc::clone(&bytes));
                            (EntryKind::File, bytes)
                        }
                        None => (EntryKind::TooLarge, Arc::clone(&empty)),
                    },
                },
            };
            bytes_read += bytes.len();
            if bytes_read > budget.all {
                return too_large(format!("{} bytes of files", budget.all));
            }
            files.insert(RepoPath::from(path), Blob { id: BlobId(Arc::from(id.to_string())), kind, bytes });
        }
    }
    Ok(files)
}

fn too_large(at: &Revision, limit: String) -> GitError {
    GitError::TooLarge { revision: at.short().to_owned(), limit }
}

/// Whether a path is as short and as flat as it has to be.
fn within(path: &str, budget: Budget, at: &Revision) -> Result<(), GitError> {
    if path.len() > budget.path {
        return Err(too_large(at, format!("{} bytes of a path", budget.path)));
    }
    if path.matches('/').count() > budget.depth {
        return Err(too_large(at, format!("{} folders inside each other", budget.depth)));
    }
    Ok(())
}

/// The bytes of a file; `None` if there are too many, which is known before anything is unpacked.
pub(super) fn content(worker: &Worker, objects: &git2::Odb<'_>, id: Oid, what: &str) -> Result<Option<Arc<[u8]>>, GitError> {
    if objects.read_header(id).map_err(GitError::read(what))?.0 > worker.budget.file {
        return Ok(None);
    }
    let blob = worker.repository.find_blob(id).map_err(GitError::read(what))?;
    Ok(Some(Arc::from(blob.content())))
}

fn author(commit: &git2::Commit<'_>) -> String {
    let author = commit.author();
    format!("{} <{}>", String::from_utf8_lossy(author.name_bytes()), String::from_utf8_lossy(author.email_bytes()))
}

fn subject(commit: &git2::Commit<'_>) -> String {
    String::from_utf8_lossy(commit.message_bytes()).trim_start().lines().next().unwrap_or_default().to_owned()
}

pub(super) fn merge_base(worker: &Worker, one: &Revision, other: &Revision) -> Result<Option<Revision>, GitError> {
    match worker.repository.merge_base(oid(one)?, oid(other)?) {
        Ok(base) => Ok(Some(revision(base))),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(source) => Err(GitError::Read { what: format!("what {one} and {other} have in common"), source }),
    }
}

pub(super) fn is_ancestor(worker: &Worker, ancestor: &Revision, descendant: &Revision) -> Result<bool, GitError> {
    if ancestor == descendant {
        return Ok(find_commit(worker, ancestor).is_ok());
    }
    let (Ok(older), Ok(newer)) = (find_commit(worker, ancestor), find_commit(worker, descendant)) else {
        return Ok(false);
    };
    worker
        .repository
        .graph_descendant_of(newer.id(), older.id())
        .map_err(GitError::read(format!("the history between {ancestor} and {descendant}")))
}

pub(super) fn log(worker: &Worker, from: &Revision, until: Option<&Revision>, limit: usize) -> Result<Vec<Commit>, GitError> {
    let failed = |source| GitError::Read { what: format!("the history of {from}"), source };
    find_commit(worker, from)?;
    let mut walk = worker.repository.revwalk().map_err(failed)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(failed)?;
    walk.push(oid(from)?).map_err(failed)?;
    if let Some(until) = until {
        find_commit(worker, until)?;
        walk.hide(oid(until)?).map_err(failed)?;
    }
    let mut commits = Vec::new();
    for id in walk.take(limit) {
        let commit = worker.repository.find_commit(id.map_err(failed)?).map_err(failed)?;
        commits.push(describe(&commit));
    }
    Ok(commits)
}

/// The versions that a file had, newest first, each with the commit that made it; along first parents, over at most `commits` commits.
pub(super) fn versions(worker: &Worker, path: &str, at: &Revision, commits: usize) -> Result<Vec<Version>, GitError> {
    let failed = |source| GitError::Read { what: format!("the history of {path}"), source };
    let blob = |commit: &git2::Commit<'_>| -> Result<Option<Oid>, GitError> {
        match commit.tree().map_err(failed)?.get_path(std::path::Path::new(path)) {
            Ok(entry) => Ok(Some(entry.id())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(failed(e)),
        }
    };
    let mut versions = Vec::new();
    let mut commit = find_commit(worker, at)?;
    let mut here = blob(&commit)?;
    for _ in 0..commits {
        let Some(id) = here else { break };
        let parent = commit.parent(0).ok();
        let before = parent.as_ref().map(blob).transpose()?.flatten();
        if before != Some(id) {
            let bytes = worker.repository.find_blob(id).map_err(failed)?.content().into();
            versions.push(Version { commit: describe(&commit), bytes });
        }
        let Some(parent) = parent else { break };
        (commit, here) = (parent, before);
    }
    Ok(versions)
}

fn describe(commit: &git2::Commit<'_>) -> Commit {
    let text = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let rest = text.trim().split_once('\n').map_or("", |(_, rest)| rest).trim();
    let (body, last) = rest.rsplit_once("\n\n").map_or(("", rest), |(body, last)| (body, last));
    let trailers: Option<Vec<(String, String)>> = last.lines().map(trailer).collect();
    let (body, trailers) = match trailers {
        Some(trailers) if !trailers.is_empty() => (body, trailers),
        _ => (rest, Vec::new()),
    };
    Commit {
        revision: revision(commit.id()),
        parents: commit.parent_ids().map(revision).collect(),
        committed: commit.committer().when().seconds(),
        author: author(commit),
        subject: subject(commit),
        body: body.trim().to_owned(),
        trailers,
    }
}

/// `Key: value`, where the key is one word of letters, digits and hyphens.
fn trailer(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once(": ")?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_key.then(|| (key.to_owned(), value.trim().to_owned()))
}

pub(super) fn changed_paths(
    worker: &Worker,
    from: Option<&Revision>,
    to: &Revision,
    root: &str,
) -> Result<Vec<RepoPath>, GitError> {
    let options = &mut DiffOptions::new();
    differences(worker, from, to, root, options).map(|diff| paths_of(&diff))
}

/// What differs below `root` between two commits; a folder that is not there is empty.
pub(super) fn differences<'w>(
    worker: &'w Worker,
    from: Option<&Revision>,
    to: &Revision,
    root: &str,
    options: &mut DiffOptions,
) -> Result<Diff<'w>, GitError> {
    let failed = |source| GitError::Read { what: format!("the changes up to {to}"), source };
    let optional = |at: &Revision| match root_tree(worker, at, root) {
        Ok(tree) => Ok(Some(tree)),
        Err(GitError::RootMissing { .. }) => Ok(None),
        Err(e) => Err(e),
    };
    let old = from.map(optional).transpose()?.flatten();
    let new = optional(to)?;
    worker.repository.diff_tree_to_tree(old.as_ref(), new.as_ref(), Some(options)).map_err(failed)
}

/// The paths that differ, before and after.
pub(super) fn paths_of(diff: &Diff<'_>) -> Vec<RepoPath> {
    let mut paths: Vec<RepoPath> = diff
        .deltas()
        .filter(|delta| delta.status() != Delta::Unmodified)
        .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()])
        .flatten()
        .map(|path| RepoPath::from(String::from_utf8_lossy(path).into_owned()))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

pub(super) fn read_tree(worker: &Worker, reference: &str) -> Result<BTreeMap<RepoPath, String>, GitError> {
    let Some(tip) = resolve(worker, reference)? else { return Ok(BTreeMap::new()) };
    // Reports are our own, and may be larger than what people write.
    let budget = Budget { file: 16 << 20, ..worker.budget };
    let files = read_files(worker, budget, &tip, "", &HashMap::new(), &mut HashMap::new())?;
    let text = |(path, blob): (RepoPath, Blob)| Some((path, String::from_utf8(blob.bytes.to_vec()).ok()?));
    Ok(files.into_iter().filter(|(_, blob)| blob.kind == EntryKind::File).filter_map(text).collect())
}
