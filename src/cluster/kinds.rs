//! What a cluster serves: discovered once per group version, asked again when something unknown is wanted.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::request::check_name;
use super::{Cluster, ClusterError};

/// A kind in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindRef {
    /// `apiVersion`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
}

impl KindRef {
    /// A kind from its parts.
    #[must_use]
    pub fn new(api_version: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { api_version: api_version.into(), kind: kind.into() }
    }

    /// The API group, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// A kind as served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
}

impl Resource {
    /// The path of all objects of this kind, or of those in a namespace.
    pub(crate) fn path(&self, namespace: &str) -> Result<String, ClusterError> {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        if self.namespaced && !namespace.is_empty() {
            check_name(namespace)?;
            Ok(format!("{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural))
        } else {
            Ok(format!("{root}/{}/{}", self.api_version, self.plural))
        }
    }
}

/// How long "not served" is believed without asking again, unless something new is known to be served.
const DOUBT: Duration = Duration::from_secs(2);

/// What is known so far.
pub(super) struct Table {
    versions: Mutex<HashMap<String, Known>>,
    /// Counts up when new kinds may be served.
    news: watch::Sender<u64>,
}

struct Known {
    resources: Vec<Resource>,
    at: Instant,
    news: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self { versions: Mutex::default(), news: watch::Sender::new(0) }
    }
}

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Served>,
}

#[derive(Deserialize)]
struct Served {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
}

impl Cluster {
    /// How a kind is served, or `None` if discovery succeeded and it is not.
    pub(crate) async fn resource(&self, wanted: &KindRef) -> Result<Option<Resource>, ClusterError> {
        let find = |known: &Known| known.resources.iter().find(|r| r.kind == wanted.kind).cloned();
        let news = *self.kinds.news.borrow();
        // Held while asking, so that many questions about one version become one request.
        let mut versions = self.kinds.versions.lock().await;
        if let Some(known) = versions.get(&wanted.api_version) {
            let found = find(known);
            if found.is_some() || (known.news == news && known.at.elapsed() < DOUBT) {
                return Ok(found);
            }
        }
        let root = if wanted.api_version.contains('/') { "/apis" } else { "/api" };
        let path = format!("{root}/{}", wanted.api_version);
        let resources = match self.get::<ResourceList>(&path).await {
            // Subresources have a slash in their names.
            Ok(list) => list
                .resources
                .into_iter()
                .filter(|r| !r.name.contains('/'))
                .map(|r| Resource {
                    api_version: wanted.api_version.clone(),
                    kind: r.kind,
                    plural: r.name,
                    namespaced: r.namespaced,
                })
                .collect(),
            Err(e) if e.is_not_found() => Vec::new(),
            Err(e) => return Err(e),
        };
        let known = Known { resources, at: Instant::now(), news };
        let found = find(&known);
        versions.insert(wanted.api_version.clone(), known);
        Ok(found)
    }

    /// The same for a kind that must be served.
    pub(crate) async fn served(&self, wanted: &KindRef) -> Result<Resource, ClusterError> {
        self.resource(wanted).await?.ok_or_else(|| ClusterError::NotServed {
            target: self.target.clone(),
            api_version: wanted.api_version.clone(),
            kind: wanted.kind.clone(),
        })
    }

    /// Forgets how a version is served: one of its kinds is gone.
    pub(super) async fn forget(&self, api_version: &str) {
        self.kinds.versions.lock().await.remove(api_version);
    }

    /// Something new may be served: those who wait for a kind ask again.
    pub(super) fn announce(&self) {
        self.kinds.news.send_modify(|count| *count += 1);
    }

    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.kinds.news.subscribe()
    }
}
