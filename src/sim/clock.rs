//! The time of a simulated cluster: a start plus what tokio's clock has advanced since, so that paused time works, plus the jumps
//! that it was made to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that starts at a given time. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    base: Timestamp,
    origin: Instant,
    /// Milliseconds that it has jumped.
    jumped: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that shows `base` now.
    #[must_use]
    pub fn starting(base: Timestamp) -> Self {
        Self { base, origin: Instant::now(), jumped: Arc::default() }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = self.origin.elapsed() + Duration::from_millis(self.jumped.load(Ordering::Relaxed));
        SignedDuration::try_from(elapsed).ok().and_then(|d| self.base.checked_add(d).ok()).unwrap_or(self.base)
    }

    /// Jumps forward.
    pub(crate) fn jump(&self, by: Duration) {
        // A schedule's jumps are of a year at most: it takes half a billion of them to come round.
        self.jumped.fetch_add(u64::try_from(by.as_millis()).unwrap_or_default(), Ordering::Relaxed);
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
