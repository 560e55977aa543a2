//! Who may write: one Lease object per landscape, and a deadline on the monotonic clock after which nothing is sent any more.
//!
//! Another holder's lease counts as expired only after it was seen unchanged for its whole duration by our own clock; clocks of
//! different machines are never compared. Our own deadline is counted from before the renewal was sent and ends earlier than the
//! lease by more than a request may take, so what was begun in time has ended before anybody else can begin.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::request::check_name;
use super::{Cluster, ClusterError, Clusters, REQUEST_TIMEOUT, Write};
use crate::landscape::Target;
use crate::observed::MANAGER;

/// By how much our deadline is earlier than the lease's end: the longest request and a little for the scheduler.
const SLACK: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(2));

/// Permission to write until a deadline. Cheap to clone; all clones move together.
#[derive(Debug, Clone)]
pub struct Fence {
    /// `None`: no lease is needed.
    deadline: Option<Arc<Mutex<Option<Instant>>>>,
}

impl Fence {
    /// A fence that is always open: single commands, tests.
    #[must_use]
    pub fn open() -> Self {
        Self { deadline: None }
    }

    fn shut() -> Self {
        Self { deadline: Some(Arc::default()) }
    }

    /// Whether a write may be sent now.
    pub fn check(&self) -> Result<(), ClusterError> {
        let Some(deadline) = &self.deadline else { return Ok(()) };
        let deadline = *deadline.lock().unwrap_or_else(PoisonError::into_inner);
        if deadline.is_some_and(|deadline| Instant::now() < deadline) { Ok(()) } else { Err(ClusterError::Fenced) }
    }

    fn set(&self, until: Option<Instant>) {
        if let Some(deadline) = &self.deadline {
            *deadline.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

/// Which lease, and who we are.
#[derive(Debug, Clone)]
pub struct LeaseSettings {
    /// Its namespace, which must exist.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Us: unique among running processes.
    pub identity: String,
    /// How long it holds without renewal; more than twice the slack.
    pub duration: Duration,
}

impl LeaseSettings {
    /// The lease of a landscape with the usual figures.
    #[must_use]
    pub fn of(landscape: &str, identity: impl Into<String>) -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            name: format!("espalier-{landscape}"),
            identity: identity.into(),
            duration: Duration::from_secs(30),
        }
    }
}

/// A candidate for the lease.
pub struct Lease {
    clusters: Clusters,
    cluster: Arc<Cluster>,
    settings: LeaseSettings,
    fence: Fence,
    /// The lease's version when it last changed in our eyes, and when that was.
    seen: Option<(String, Instant)>,
}

#[derive(Deserialize)]
struct LeaseObject {
    metadata: LeaseMeta,
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseMeta {
    resource_version: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LeaseSpec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u64>,
    lease_transitions: Option<i64>,
}

impl Lease {
    /// A candidate in a cluster; holds nothing yet. Hand its [`Lease::fence`] to [`Clusters::fence`].
    pub fn new(clusters: &Clusters, target: &Target, settings: LeaseSettings) -> Result<Self, ClusterError> {
        check_name(&settings.namespace)?;
        check_name(&settings.name)?;
        let cluster = clusters.cluster(target)?;
        Ok(Self { clusters: clusters.clone(), cluster, settings, fence: Fence::shut(), seen: None })
    }

    /// The permission that this lease gives.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Takes or renews the lease if that is possible now; says whether it is held. An error leaves the deadline where it was.
    pub async fn attempt(&mut self) -> Result<bool, ClusterError> {
        let began = Instant::now();
        let held = match self.cluster.get::<LeaseObject>(&self.path()).await {
            Ok(lease) => self.take(lease).await?,
            Err(e) if e.is_not_found() => self.create().await?,
            Err(e) => return Err(e),
        };
        self.fence.set(held.then(|| began + self.settings.duration.saturating_sub(SLACK)));
        Ok(held)
    }

    /// Gives the lease up, so that another need not wait for its end.
    pub async fn release(&mut self) -> Result<(), ClusterError> {
        self.fence.set(None);
        let lease = self.cluster.get::<LeaseObject>(&self.path()).await?;
        if lease.spec.holder_identity.as_deref() != Some(self.settings.identity.as_str()) {
            return Ok(());
        }
        let patch = json!({
            "metadata": { "resourceVersion": lease.metadata.resource_version },
            "spec": { "holderIdentity": "", "leaseDurationSeconds": 1 },
        });
        self.send(Write::Merge { manager: MANAGER }, &self.path(), &patch).await.map(drop)
    }

    /// Keeps trying and renewing, and tells whenever that changes, until nobody listens. Then gives the lease up.
    pub async fn keep(mut self, held: watch::Sender<bool>) {
        let renew = self.settings.duration / 6;
        loop {
            let pause = match self.attempt().await {
                Ok(_) => renew,
                Err(e) => {
                    tracing::warn!(error = %e, "the lease could not be renewed");
                    renew / 2
                }
            };
            let now = self.fence.check().is_ok();
            held.send_if_modified(|before| std::mem::replace(before, now) != now);
            tokio::select! {
                () = held.closed() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Err(e) = self.release().await {
            tracing::info!(error = %e, "the lease could not be given up and will expire");
        }
    }

    fn path(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}", self.settings.namespace, self.settings.name)
    }

    fn spec(&self, transitions: i64, acquired: bool) -> Value {
        let now = format!("{:.6}", self.clusters.now());
        let mut spec = json!({
            "holderIdentity": self.settings.identity,
            "leaseDurationSeconds": self.settings.duration.as_secs(),
            "leaseTransitions": transitions,
            "renewTime": now,
        });
        if acquired {
            spec["acquireTime"] = Value::String(now);
        }
        spec
    }

    async fn create(&mut self) -> Result<bool, ClusterError> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": self.settings.name, "namespace": self.settings.namespace },
            "spec": self.spec(0, true),
        });
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.settings.namespace);
        held(self.send(Write::Create, &path, &lease).await)
    }

    async fn take(&mut self, lease: LeaseObject) -> Result<bool, ClusterError> {
        let holder = lease.spec.holder_identity.unwrap_or_default();
        let version = lease.metadata.resource_version;
        let ours = holder == self.settings.identity;
        if !ours && !holder.is_empty() {
            let since = match &self.seen {
                Some((seen, since)) if *seen == version => *since,
                _ => {
                    let now = Instant::now();
                    self.seen = Some((version.clone(), now));
                    now
                }
            };
            let duration = Duration::from_secs(lease.spec.lease_duration_seconds.unwrap_or(0)).max(self.settings.duration);
            if since.elapsed() < duration {
                return Ok(false);
            }
        }
        let transitions = lease.spec.lease_transitions.unwrap_or(0) + i64::from(!ours);
        let patch = json!({ "metadata": { "resourceVersion": version }, "spec": self.spec(transitions, !ours) });
        held(self.send(Write::Merge { manager: MANAGER }, &self.path(), &patch).await)
    }

    async fn send(&self, write: Write, path: &str, body: &Value) -> Result<super::request::Answer, ClusterError> {
        self.cluster.write_unfenced(write, path, body.to_string().into_bytes(), Some("lease")).await
    }
}

/// Losing a race is not an error.
fn held(answer: Result<super::request::Answer, ClusterError>) -> Result<bool, ClusterError> {
    match answer {
        Ok(_) => Ok(true),
        Err(e) if e.status() == 409 => Ok(false),
        Err(e) => Err(e),
    }
}
