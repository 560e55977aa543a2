//! Which version a cluster's API server has: what is written may depend on it.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Cluster, ClusterError};
use crate::value::Version;

/// How long an answer is believed: servers are upgraded one after the other, and tell nobody.
const BELIEVED: Duration = Duration::from_mins(5);

/// The last answer, and when it was given.
#[derive(Default)]
pub(super) struct Server(Mutex<Option<(Option<Version>, Instant)>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    #[serde(default)]
    git_version: String,
}

impl Cluster {
    /// The version, without what vendors append; `None` from a server that does not let us know.
    pub(super) async fn server_version(&self) -> Result<Option<Version>, ClusterError> {
        // Held while asking, so that many questions become one request.
        let mut last = self.server.0.lock().await;
        if let Some((version, at)) = last.as_ref()
            && at.elapsed() < BELIEVED
        {
            return Ok(version.clone());
        }
        let version = match self.get::<Info>("/version").await {
            Ok(info) => version(&info.git_version),
            Err(error) if matches!(error.status(), 401 | 403 | 404) => None,
            Err(error) => return Err(error),
        };
        *last = Some((version.clone(), Instant::now()));
        Ok(version)
    }
}

fn version(said: &str) -> Option<Version> {
    let full: Version = said.trim_start_matches('v').parse().ok()?;
    Some(Version::new(full.major(), full.minor(), full.patch()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vendors_append_is_no_part_of_a_version() {
        for said in ["v1.33.5", "v1.33.5-gke.1080000", "v1.33.5+k3s1", "1.33.5"] {
            assert_eq!(version(said), Some(Version::new(1, 33, 5)), "{said}");
        }
        for said in ["", "v1.33", "main", "v1.x.5"] {
            assert_eq!(version(said), None, "{said}");
        }
    }
}
