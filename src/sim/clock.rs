//! The time of a simulated cluster: a start plus what tokio's clock has advanced since, so that paused time works.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that starts at a given time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Timestamp,
    origin: Instant,
}

impl Clock {
    /// A clock that shows `base` now.
    #[must_use]
    pub fn starting(base: Timestamp) -> Self {
        Self { base, origin: Instant::now() }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed: Duration = self.origin.elapsed();
        SignedDuration::try_from(elapsed).ok().and_then(|d| self.base.checked_add(d).ok()).unwrap_or(self.base)
    }

    /// The present as Kubernetes writes times: whole seconds, `Z`.
    #[must_use]
    pub fn stamp(&self) -> String {
        stamp(self.now())
    }
}

/// A time as Kubernetes writes it.
#[must_use]
pub(crate) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
