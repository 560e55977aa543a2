//! What crosses the border to Git, as plain data: the files of one commit inwards, changed files outwards.
//!
//! `git` fills these types and consumes them; nothing here knows libgit2.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A commit id in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub String);

impl Revision {
    /// The first seven digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a blob in lower-case hexadecimal: equal ids mean equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(pub Arc<str>);

/// A path with `/` separators, relative to the landscape's root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RepoPath(pub Arc<str>);

impl RepoPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RepoPath {
    fn from(path: &str) -> Self {
        Self(Arc::from(path))
    }
}

impl From<String> for RepoPath {
    fn from(path: String) -> Self {
        Self(Arc::from(path))
    }
}

impl Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Files with more bytes are not read.
pub const MAX_FILE_BYTES: usize = 2 << 20;

/// What is known about who signed a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No signature was asked for.
    #[default]
    Unchecked,
    /// Signed by a known key: the principal.
    Verified(String),
    /// Asked for, and missing or wrong: why.
    Refused(String),
}

/// What a tree entry is, as far as a landscape may contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link: a finding in a claimed path.
    Symlink,
    /// A submodule: a finding in a claimed path.
    Submodule,
    /// A file that is too large to be read: a finding in a claimed path.
    TooLarge,
}

/// One file's bytes and identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Equal ids mean equal bytes.
    pub id: BlobId,
    /// What the tree says this is.
    pub kind: EntryKind,
    /// The bytes, not yet known to be UTF-8. Empty for everything but files.
    pub bytes: Arc<[u8]>,
}

/// Every file below a landscape's root at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit.
    pub revision: Revision,
    /// Committer time in seconds since the epoch: the default clock of offline plans.
    pub committed: i64,
    /// Author as `Name <mail>`.
    pub author: String,
    /// First line of the message.
    pub subject: String,
    /// Signature verdict.
    pub verdict: Verdict,
    /// The files by path.
    pub files: BTreeMap<RepoPath, Blob>,
}

/// What one commit has otherwise than another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The commit, without its files.
    pub heading: Snapshot,
    /// Files that are added, changed or, if there is none, gone.
    pub files: BTreeMap<RepoPath, Option<Blob>>,
}

impl Snapshot {
    /// Puts differing files in their place.
    pub fn amend(&mut self, differing: Differing) {
        let mut files = std::mem::take(&mut self.files);
        for (path, blob) in differing.files {
            match blob {
                Some(blob) => drop(files.insert(path, blob)),
                None => drop(files.remove(&path)),
            }
        }
        *self = Self { files, ..differing.heading };
    }
}

/// Files to write: path to new text, or `None` to remove.
pub type Changes = BTreeMap<RepoPath, Option<String>>;
