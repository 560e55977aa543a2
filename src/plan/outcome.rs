//! What came of a plan's steps: filled by `apply`, read by `status` and the daemon.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::landscape::{Owner, Target};
use crate::observed::{Object, ObjectKey};
use crate::render::ComponentId;

/// What came of one owner's frontier.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Per owner.
    pub owners: BTreeMap<Owner, Vec<StepResult>>,
}

/// What came of one step.
#[derive(Debug, Clone, Serialize)]
pub struct StepResult {
    /// The component that it belonged to; `None` for secrets made and statuses written.
    pub component: Option<ComponentId>,
    /// Where.
    pub target: Target,
    /// Which object.
    pub key: ObjectKey,
    /// The action's verb.
    pub verb: &'static str,
    /// `Ok(true)`: written and changed; `Ok(false)`: written, nothing changed.
    pub result: Result<bool, StepError>,
    /// The object as the server returned it, reduced, so that the next evaluation need not wait for the watch.
    #[serde(skip)]
    pub object: Option<Arc<Object>>,
}

/// Why a step failed, safe to print: server messages are redacted before they get here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepError {
    /// What to do about it.
    pub class: ErrorClass,
    /// The server's or network's words.
    pub message: String,
    /// HTTP status, 0 if there was no answer.
    pub status: u16,
    /// `Retry-After` in seconds, if the server said.
    pub retry_after: Option<u32>,
}

/// What kind of failure it is, which decides how and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ErrorClass {
    /// Network, 429, 5xx, time-outs: soon again with back-off.
    Transient,
    /// 409: observe again first.
    Conflict,
    /// 401, 403: a person must act; retried slowly.
    Denied,
    /// 400, 422, immutable fields, unknown kinds: only a change helps; retried slowly.
    Permanent,
    /// A bug of ours.
    Internal,
}
