//! A Kubernetes API server inside this process: one per simulated cluster, with the objects in memory and, if a file is given,
//! on disk.
//!
//! It is a cluster to everything that talks to it: the product only ever sees the `kube::Client` of [`Sim::client`], the way it
//! would see a real one. Simulated controllers (`actors`) stand in for the engines that a real cluster would run. What goes wrong
//! is data as well: rules (`fault`) that strike at counted requests, events and writes, together a file (`schedule`). Nothing outside
//! this module may know that a cluster is simulated, except where a person asked for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cluster::{Cluster, Shared};
use counters::Tally;
use verbs::Server;

pub use archive::Archive;
pub use clock::Clock;
pub use counters::{Counters, Request};
pub use error::ApiError;
pub use fault::{ALWAYS, Fault, Faults, Loss, Matching, Moment, Rule, Struck};
pub use left_out::LEFT_OUT;
pub use schedule::{Mistake, Schedule};
pub use serve::{Serving, serve};

mod actors;
mod archive;
mod builtin;
mod checks;
mod clock;
pub(crate) mod cluster;
mod consequences;
mod counters;
mod crd;
mod decode;
mod defaults;
mod definition;
mod deletion;
mod discovery;
mod error;
mod fault;
mod fields;
mod kind;
mod left_out;
mod managed;
mod merge;
mod naming;
mod openapi;
mod patch;
mod path;
mod persist;
mod pod;
mod quantity;
mod quota;
mod rbac;
mod rest;
mod review;
mod rules;
mod schedule;
mod select;
mod sent;
mod serve;
mod shape;
mod store;
mod strategic;
mod structure;
mod table;
mod typed;
mod validate;
mod verbs;
mod watch;
mod wire;

/// How quick simulated controllers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delays {
    /// Everything happens at once.
    None,
    /// Milliseconds to a second: demonstrations and tests.
    #[default]
    Short,
    /// Seconds to minutes, as real engines take.
    Real,
}

/// What a simulated cluster is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the cluster: `garden`, or the seed's.
    pub name: String,
    /// The file that keeps the state; `None`: memory only.
    pub state: Option<PathBuf>,
    /// Where everything random is derived from.
    pub seed: u64,
    /// Whether simulated controllers run.
    pub actors: bool,
    /// Whether it is a garden rather than a seed.
    pub garden: bool,
    /// How quick the controllers are.
    pub delays: Delays,
    /// What time it is when the cluster is opened.
    pub start: jiff::Timestamp,
}

/// Why a simulated cluster cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The file that keeps the state cannot be used.
    #[error("failed to use {} as the state of a simulated cluster: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another process has the file open.
    #[error("{} is in use by another process", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The clusters cannot be served.
    #[error("failed to serve simulated clusters: {0}")]
    Serve(String),
}

/// The user of in-process clients.
const USER: &str = "espalier";

/// A simulated cluster. Cheap to clone; all clones are the same cluster.
#[derive(Debug, Clone)]
pub struct Sim {
    shared: Arc<Shared>,
    actors: Arc<std::sync::Mutex<Option<actors::Running>>>,
}

impl Sim {
    /// Opens a cluster: as its file left it, or new, with the namespaces that every cluster has. With simulated controllers it
    /// must be called in a tokio runtime; they run as long as anybody holds the cluster or a client of it.
    pub fn open(options: Options) -> Result<Self, SimError> {
        let Options { name, state, seed, actors, garden, delays, start } = options;
        let clock = Clock::starting(start);
        let mut server = Server::new(&name, seed);
        let journal = match &state {
            Some(path) => Some(persist::open(path, &mut server)?),
            None => None,
        };
        let shared = Arc::new(Shared {
            name,
            seed,
            clock,
            server: std::sync::Mutex::new(server),
            journal,
            faults: Faults::default(),
            tally: Tally::default(),
        });
        let sim = Self { shared, actors: Arc::default() };
        sim.furnish();
        if actors {
            *sim.running() = Some(actors::start(&sim.cluster(), garden, delays));
        }
        Ok(sim)
    }

    /// What every cluster has from the start.
    fn furnish(&self) {
        let cluster = self.cluster();
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            if let Err(error) = cluster.create(namespace) {
                debug_assert!(error.is_conflict(), "a namespace can be created or is there: {error}");
            }
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<actors::Running>> {
        self.actors.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The handle for simulated controllers.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new(Arc::clone(&self.shared))
    }

    /// A client of this cluster, without a socket: user `espalier`, who may do everything. Must be called in a tokio runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client_of(USER)
    }

    /// A client for another user name, so that its requests are counted apart.
    #[must_use]
    pub fn client_of(&self, user: &str) -> kube::Client {
        let (shared, user): (_, Arc<str>) = (Arc::clone(&self.shared), user.into());
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (shared, user) = (Arc::clone(&shared), Arc::clone(&user));
            async move { rest::handle(shared, &user, request).await }
        });
        kube::Client::new(service, "default")
    }

    /// From now on dependents of deleted owners and the contents of deleted namespaces are left as they are, for a controller
    /// manager to collect, as a real API server leaves them.
    pub fn leave_to_controllers(&self) {
        self.shared.server().collects = false;
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What time it is in the cluster.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// Requests answered so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { requests: self.shared.tally.read(), commits: self.shared.server().store.commits }
    }

    /// What goes wrong in this cluster.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Puts the rules of a schedule that are for this cluster in force, beside those that are.
    pub fn follow(&self, schedule: &Schedule) {
        let ours = |rule: &&Rule| rule.cluster.as_deref().is_none_or(|name| name == self.name());
        schedule.rules.iter().filter(ours).for_each(|rule| self.faults().add(rule.clone()));
    }

    /// Forgets all events, as a real cluster does every few minutes: watches from before get 410 Gone.
    pub fn compact(&self) {
        self.shared.server().store.compact();
    }

    /// How many objects there are, by `plural.group`.
    #[must_use]
    pub fn census(&self) -> BTreeMap<String, usize> {
        let server = self.shared.server();
        let counts = server.store.collections().filter(|c| c.len() > 0).map(|c| (c.kind.resource(), c.len()));
        counts.collect()
    }

    /// Writes what is still to be written and lets go of the file. Writes that come later are not kept.
    pub async fn close(self) {
        let running = self.running().take();
        if let Some(running) = running {
            running.stop().await;
        }
        self.shared.server().store.close();
        let shared = Arc::clone(&self.shared);
        let joined = tokio::task::spawn_blocking(move || {
            if let Some(journal) = &shared.journal {
                journal.join();
            }
        });
        // The writer cannot be cancelled; a panic in it was reported to everyone who waited for it.
        drop(joined.await);
    }
}
