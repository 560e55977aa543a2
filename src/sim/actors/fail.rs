//! The switches that make an actor fail in one of its documented ways.

use std::time::Duration;

use serde_json::Value;

use super::object::annotation;

/// The annotation on an object that tells its actor to fail.
pub(super) const FAIL: &str = "sim.espalier.dev/fail";

/// How an actor fails, as asked for by [`FAIL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fail {
    /// `error:<CODE>`: the operation ends in an error with this code, such as `ERR_INFRA_QUOTA_EXCEEDED`. For rollouts the code is
    /// the reason of the condition `Progressing`, such as `ProgressDeadlineExceeded`, and no pod is ready.
    Error(String),
    /// `stuck`: begins, and never ends.
    Stuck,
    /// `slow`: takes minutes, whatever the cluster's delays are.
    Slow,
    /// `flapping`: healthy and unhealthy in turns of [`FLAP`].
    Flapping,
    /// `wrong-observed-generation`: done, but `status.observedGeneration` lags behind by one.
    WrongObservedGeneration,
    /// `lost-handshake`: takes the operation annotation away and does nothing.
    LostHandshake,
}

/// The half period of `flapping`, in seconds of simulated time.
pub(super) const FLAP: u64 = 30;

impl Fail {
    /// What the object asks for; an unknown mode counts as an error with that text as its code, so that a typing error shows.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let mode = annotation(object, FAIL)?;
        Some(match mode {
            "stuck" => Self::Stuck,
            "slow" => Self::Slow,
            "flapping" => Self::Flapping,
            "wrong-observed-generation" => Self::WrongObservedGeneration,
            "lost-handshake" => Self::LostHandshake,
            other => Self::Error(other.strip_prefix("error:").unwrap_or(other).to_owned()),
        })
    }
}

/// Whether something that flaps is up now, and how long it stays so.
pub(super) fn flap(now: jiff::Timestamp) -> (bool, Duration) {
    let second = u64::try_from(now.as_second()).unwrap_or_default();
    ((second / FLAP).is_multiple_of(2), Duration::from_secs(FLAP - second % FLAP))
}
