//! The edge to clusters: connect, discover, observe, watch, read secret bodies, hold the lease.
//!
//! The port is [`kube::Client`]: a real API server and `sim` both provide one. Objects are reduced on arrival
//! ([`reduce`]); a target that could not be listed to the end is marked so. Every request goes through `request`, which counts
//! it, bounds its time, and refuses writes after the lease's deadline. Nothing here decides what to write: that is `plan`, and
//! `apply` does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::landscape::Target;
use crate::observed::Keep;

pub mod connect;
mod error;
pub mod guard;
mod heartbeat;
mod kinds;
pub mod lease;
mod observe;
mod reduce;
mod request;
mod server;
pub mod watch;
mod whoami;
mod whole;

pub use connect::{Access, connect};
pub use error::ClusterError;
pub use guard::running_gardener;
pub use heartbeat::heartbeats;
pub use kinds::KindRef;
pub use lease::{Fence, Lease, LeaseSettings};
pub use observe::{bodies, get_many, internal_secret, observe};
pub use reduce::{Interner, reduce};
pub use request::Counters;
pub(crate) use request::Write;
pub use watch::{Signal, View, Watching, watch};
pub use whoami::whoami;
pub use whole::{whole, whole_in};

/// The kinds to observe, per cluster.
pub type Kinds = BTreeMap<Target, BTreeSet<KindRef>>;

/// Where the wall clock is read: given by the shell, so that tests and `demo` may run on another one.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// How long one request may take. The lease's slack is longer ([`lease`]), so a request that was allowed to start has ended
/// before another leader can begin.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests at once per cluster, reads and writes apart, when nothing else is said.
const DEFAULT_CONCURRENCY: usize = 16;

/// All clusters of a landscape. Cheap to clone.
#[derive(Clone)]
pub struct Clusters {
    inner: Arc<Inner>,
}

struct Inner {
    clusters: RwLock<BTreeMap<Target, Arc<Cluster>>>,
    counters: Arc<Counters>,
    fence: Arc<Mutex<Fence>>,
    interner: Arc<Mutex<Interner>>,
    keep: RwLock<Arc<Keep>>,
    clock: Clock,
    concurrency: usize,
}

/// One cluster: its client, what it serves, and how much at once.
pub(crate) struct Cluster {
    pub(crate) target: Target,
    client: kube::Client,
    kinds: kinds::Table,
    server: server::Server,
    /// Writes at once.
    pub(crate) writes: Semaphore,
    /// Lists at once: fewer, since each is large.
    lists: Semaphore,
    counters: Arc<Counters>,
    fence: Arc<Mutex<Fence>>,
    interner: Arc<Mutex<Interner>>,
}

impl Clusters {
    /// Clusters with clients that exist already.
    #[must_use]
    pub fn new(clients: BTreeMap<Target, kube::Client>, clock: Clock) -> Self {
        Self::with_concurrency(clients, clock, DEFAULT_CONCURRENCY)
    }

    /// The same with a limit on the writes at once per cluster.
    #[must_use]
    pub fn with_concurrency(clients: BTreeMap<Target, kube::Client>, clock: Clock, concurrency: usize) -> Self {
        let inner = Inner {
            clusters: RwLock::default(),
            counters: Arc::new(Counters::default()),
            fence: Arc::new(Mutex::new(Fence::open())),
            interner: Arc::default(),
            keep: RwLock::default(),
            clock,
            concurrency: concurrency.max(1),
        };
        let clusters = Self { inner: Arc::new(inner) };
        for (target, client) in clients {
            clusters.insert(target, client);
        }
        clusters
    }

    /// Adds a cluster, or replaces its client.
    pub fn insert(&self, target: Target, client: kube::Client) {
        let cluster = Cluster {
            target: target.clone(),
            client,
            kinds: kinds::Table::default(),
            server: server::Server::default(),
            writes: Semaphore::new(self.inner.concurrency),
            lists: Semaphore::new(self.inner.concurrency.div_ceil(2)),
            counters: Arc::clone(&self.inner.counters),
            fence: Arc::clone(&self.inner.fence),
            interner: Arc::clone(&self.inner.interner),
        };
        self.inner.clusters.write().unwrap_or_else(PoisonError::into_inner).insert(target, Arc::new(cluster));
    }

    /// The clusters there are.
    #[must_use]
    pub fn targets(&self) -> BTreeSet<Target> {
        self.inner.clusters.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The client of a cluster.
    #[must_use]
    pub fn client(&self, target: &Target) -> Option<kube::Client> {
        self.cluster(target).ok().map(|cluster| cluster.client.clone())
    }

    /// Requests made so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// The time by the shell's clock.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        (self.inner.clock)()
    }

    /// Makes every later write subject to a lease's deadline.
    pub fn fence(&self, fence: Fence) {
        *self.inner.fence.lock().unwrap_or_else(PoisonError::into_inner) = fence;
    }

    /// What is kept of objects that writes return: the same as of observed ones.
    pub(crate) fn keep(&self) -> Arc<Keep> {
        Arc::clone(&self.inner.keep.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_keep(&self, keep: Keep) {
        *self.inner.keep.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keep);
    }

    pub(crate) fn cluster(&self, target: &Target) -> Result<Arc<Cluster>, ClusterError> {
        let clusters = self.inner.clusters.read().unwrap_or_else(PoisonError::into_inner);
        clusters.get(target).cloned().ok_or_else(|| ClusterError::Unconnected { target: target.clone() })
    }
}
