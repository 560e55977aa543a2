//! What can go wrong with a cluster, named by what we were doing.

use std::time::Duration;

use thiserror::Error;

use crate::landscape::Target;
use crate::plan::ErrorClass;

/// An error of the edge to clusters.
///
/// The message of an API server may quote what was sent to it: `apply` redacts it before it goes anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClusterError {
    /// The access that was configured cannot be used.
    #[error("cannot use the kubeconfig of {target}: {reason}")]
    Access {
        /// Which cluster.
        target: Target,
        /// Why not.
        reason: String,
    },
    /// There is no connection to this cluster.
    #[error("no access to {target} is configured")]
    Unconnected {
        /// Which cluster.
        target: Target,
    },
    /// The API server answered with an error.
    #[error("failed to {operation}: {message}")]
    Answer {
        /// Verb and object.
        operation: String,
        /// HTTP status.
        status: u16,
        /// The machine-readable reason (`NotFound`, `Conflict`, …), or that of a cause which says more (`FieldManagerConflict`).
        reason: String,
        /// The server's words.
        message: String,
        /// `Retry-After` in seconds.
        retry_after: Option<u32>,
    },
    /// No answer.
    #[error("failed to {operation}: {message}")]
    Network {
        /// Verb and object.
        operation: String,
        /// What the network layer says.
        message: String,
    },
    /// No answer in time. The request may or may not have been carried out.
    #[error("failed to {operation}: no answer within {seconds} s")]
    TimedOut {
        /// Verb and object.
        operation: String,
        /// The limit.
        seconds: u64,
    },
    /// An answer that is not what the API promises.
    #[error("failed to {operation}: the answer makes no sense: {message}")]
    Garbled {
        /// Verb and object.
        operation: String,
        /// What is wrong with it.
        message: String,
    },
    /// The cluster does not serve this kind.
    #[error("{target} does not serve {kind} of {api_version}")]
    NotServed {
        /// Which cluster.
        target: Target,
        /// `apiVersion`.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// A name or namespace that cannot stand in a URL.
    #[error("`{0}` cannot be a name in a cluster")]
    Name(String),
    /// The lease is not held (any more): nothing may be written.
    #[error("not written: the lease is not held")]
    Fenced,
}

impl ClusterError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Answer { status, reason, message, .. } => match (*status, reason.as_str()) {
                // Being deleted or created by another is settled by looking again.
                (409 | 410, _) | (403, "NamespaceTerminating") => ErrorClass::Conflict,
                // A patch that names the object it was planned for, where another has its name now.
                (422, _) if message.contains("metadata.uid: Invalid value") => ErrorClass::Conflict,
                (401 | 403, _) => ErrorClass::Denied,
                (408 | 429 | 500.., _) => ErrorClass::Transient,
                _ => ErrorClass::Permanent,
            },
            // A kind that is not served yet usually is once its definition was accepted.
            Self::Network { .. } | Self::TimedOut { .. } | Self::Garbled { .. } | Self::NotServed { .. } | Self::Fenced => {
                ErrorClass::Transient
            }
            Self::Access { .. } | Self::Unconnected { .. } | Self::Name(_) => ErrorClass::Permanent,
        }
    }

    /// The HTTP status, 0 if there was no answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        if let Self::Answer { status, .. } = self { *status } else { 0 }
    }

    /// What the server said about when to come back.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        if let Self::Answer { retry_after, .. } = self { *retry_after } else { None }
    }

    /// How long to wait before the attempt after this one: as long as the server asks for, else `first` milliseconds and twice as
    /// long each time; never more than five seconds.
    pub(super) fn pause(&self, first: u64, attempt: u32) -> Duration {
        Duration::from_millis(self.retry_after().map_or(first << attempt, |s| u64::from(s) * 1_000).min(5_000))
    }

    /// Whether an apply was refused because others own fields of it with other values.
    #[must_use]
    pub fn is_field_conflict(&self) -> bool {
        matches!(self, Self::Answer { status: 409, reason, .. } if reason == "FieldManagerConflict")
    }

    /// Whether this is a conflict with the fields of this manager, and of nobody else.
    #[must_use]
    pub fn is_conflict_with(&self, manager: &str) -> bool {
        let Self::Answer { message, .. } = self else { return false };
        // Servers say who in quotes, once for each (`managedfields/internal/conflict.go`).
        let mut with = message.split("conflict with \"").skip(1).chain(message.split("conflicts with \"").skip(1)).peekable();
        let theirs = |rest: &str| rest.strip_prefix(manager).is_some_and(|rest| rest.starts_with('"'));
        self.is_field_conflict() && with.peek().is_some() && with.all(theirs)
    }

    /// Whether the object or path does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == 404
    }
}
