//! What can go wrong with Git, named by what we were doing.

use std::path::PathBuf;

use thiserror::Error;

use crate::plan::ErrorClass;

/// An error of the edge to Git. Never contains credentials.
#[derive(Debug, Error)]
pub enum GitError {
    /// The location cannot be used.
    #[error("cannot use `{location}` as a repository: {reason}")]
    Location {
        /// As written, without a password.
        location: String,
        /// Why not.
        reason: String,
    },
    /// A local repository or a mirror could not be opened.
    #[error("failed to open the repository at {}: {}", path.display(), source.message())]
    Open {
        /// Where.
        path: PathBuf,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// A fetch or a push failed on the way.
    #[error("failed to {operation} {location}: {}", source.message())]
    Remote {
        /// `fetch` or `push to`.
        operation: &'static str,
        /// The URL.
        location: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// The remote refused our credentials, or we refused the remote (certificate, host key, another host).
    #[error("failed to {operation} {location}: access refused: {reason}")]
    Refused {
        /// `fetch` or `push to`.
        operation: &'static str,
        /// The URL.
        location: String,
        /// Why.
        reason: String,
    },
    /// The reference is not where the caller expected it: read it again and decide again.
    #[error("`{reference}` was moved by somebody else")]
    Raced {
        /// The reference.
        reference: String,
    },
    /// The remote does not let us move this reference.
    #[error("the remote does not let us move `{reference}`: {reason}")]
    Rejected {
        /// The reference.
        reference: String,
        /// The remote's words.
        reason: String,
    },
    /// The branch is checked out in a work tree; moving it would look like an edit there.
    #[error("`{reference}` is checked out at {}; moving it would turn that work tree's files into a reversal", path.display())]
    CheckedOut {
        /// The reference.
        reference: String,
        /// The work tree.
        path: PathBuf,
    },
    /// A commit that should be there is not.
    #[error("there is no commit {0} in the repository")]
    Missing(String),
    /// The landscape's folder does not exist at this commit.
    #[error("there is no folder `{root}` at {revision}")]
    RootMissing {
        /// The folder.
        root: String,
        /// The commit.
        revision: String,
    },
    /// The tree has more files or bytes than any landscape.
    #[error("the tree at {revision} is too large: more than {limit}")]
    TooLarge {
        /// The commit.
        revision: String,
        /// What was exceeded.
        limit: String,
    },
    /// A fetch would bring more than any landscape.
    #[error("{url} sends more than {limit} bytes at once; nothing of it is kept")]
    PackTooLarge {
        /// The remote.
        url: String,
        /// The most bytes that are taken.
        limit: usize,
    },
    /// Objects could not be read.
    #[error("failed to read {what}: {}", source.message())]
    Read {
        /// What.
        what: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// Objects or references could not be written.
    #[error("failed to write {what}: {}", source.message())]
    Write {
        /// What.
        what: String,
        /// libgit2's words.
        #[source]
        source: git2::Error,
    },
    /// A path of a change cannot be in a tree.
    #[error("`{0}` cannot be a path in a repository")]
    Path(String),
    /// The references could not be watched.
    #[error("failed to watch {} for changes: {source}", path.display())]
    Watch {
        /// Where.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: notify::Error,
    },
    /// Git did not answer in time; its thread was given up.
    #[error("git did not answer within {0} seconds")]
    TimedOut(u64),
    /// The thread that works on the repository is gone or its work panicked.
    #[error("the work on the repository was lost")]
    Lost,
}

impl GitError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Remote { .. } | Self::TimedOut(_) | Self::Watch { .. } => ErrorClass::Transient,
            Self::Refused { .. } | Self::Rejected { .. } => ErrorClass::Denied,
            Self::Raced { .. } => ErrorClass::Conflict,
            Self::Lost => ErrorClass::Internal,
            // A full disk or a lock that somebody holds goes away; a damaged object database does not.
            Self::Read { source, .. } | Self::Write { source, .. } | Self::Open { source, .. }
                if matches!(source.class(), git2::ErrorClass::Os) || source.code() == git2::ErrorCode::Locked =>
            {
                ErrorClass::Transient
            }
            Self::Location { .. }
            | Self::Open { .. }
            | Self::CheckedOut { .. }
            | Self::Missing(_)
            | Self::RootMissing { .. }
            | Self::TooLarge { .. }
            | Self::PackTooLarge { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Path(_) => ErrorClass::Permanent,
        }
    }

    /// What a person can do, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Open { source, .. } if source.code() == git2::ErrorCode::Owner => Some(
                "the folder belongs to another user; run espalier as that user, or list the folder under Git's `safe.directory`",
            ),
            Self::CheckedOut { .. } => Some("check out another branch there, or give espalier a bare repository"),
            Self::Refused { .. } => {
                Some("check the credentials, and that the URL names the final host: redirects are not followed")
            }
            _ => None,
        }
    }

    pub(super) fn remote(operation: &'static str, location: &str, source: git2::Error) -> Self {
        match source.code() {
            git2::ErrorCode::Auth | git2::ErrorCode::Certificate => {
                Self::Refused { operation, location: location.to_owned(), reason: source.message().to_owned() }
            }
            _ => Self::Remote { operation, location: location.to_owned(), source },
        }
    }

    pub(super) fn read(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        let what = what.into();
        move |source| Self::Read { what, source }
    }

    pub(super) fn write(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        let what = what.into();
        move |source| Self::Write { what, source }
    }
}
