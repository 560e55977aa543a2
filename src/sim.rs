//! A Kubernetes API server inside this process: one per simulated cluster, with the objects in memory and, if a file is given,
//! on disk.
//!
//! It is a cluster to everything that talks to it: the product only ever sees the `kube::Client` of [`Sim::client`], the way it
//! would see a real one. Simulated controllers (`actors`) stand in for the engines that a real cluster would run. Nothing outside
//! this module may know that a cluster is simulated, except where a person asked for it.

use std::path::PathBuf;

pub use clock::Clock;
pub use counters::{Counters, Request};
pub use error::ApiError;
pub use fault::{Fault, Faults, Matching};

mod actors;
mod builtin;
mod clock;
pub(crate) mod cluster;
mod consequences;
mod counters;
mod crd;
mod defaults;
mod error;
mod fault;
mod fields;
mod kind;
mod managed;
mod merge;
mod patch;
mod persist;
mod shape;
mod store;
mod structure;
mod table;
mod verbs;

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
    /// The clusters cannot be served.
    #[error("failed to serve simulated clusters: {0}")]
    Serve(String),
}
