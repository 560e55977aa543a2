//! Embedded clusters for `demo` and `run --sim`: one simulated cluster for the garden and one per seed, made when the landscape
//! names them, in memory or below a state folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;

use crate::config;
use crate::daemon::Connect;
use crate::landscape::Target;
use crate::sim::{Delays, Options, Sim};

/// The embedded clusters of one process.
#[derive(Clone)]
pub(crate) struct Park {
    state: Option<PathBuf>,
    seed: u64,
    delays: Delays,
    sims: Arc<Mutex<BTreeMap<Target, Sim>>>,
}

impl Park {
    pub(crate) fn new(state: Option<PathBuf>, seed: u64, delays: Delays) -> Self {
        Self { state, seed, delays, sims: Arc::default() }
    }

    /// The simulated cluster of a target, made if there is none yet.
    pub(crate) fn open(&self, target: &Target) -> anyhow::Result<kube::Client> {
        let mut sims = self.sims.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sim) = sims.get(target) {
            return Ok(sim.client());
        }
        if let Some(dir) = &self.state {
            make_dir(dir)?;
        }
        let sim = Sim::open(Options {
            name: target.to_string(),
            state: self.state.as_ref().map(|dir| dir.join(format!("{target}.redb"))),
            seed: self.seed,
            actors: true,
            garden: *target == Target::Garden,
            delays: self.delays,
            start: config::now(),
        })?;
        let client = sim.client();
        sims.insert(target.clone(), sim);
        Ok(client)
    }

    /// How the daemon reaches them.
    pub(crate) fn connect(&self) -> Connect {
        let park = self.clone();
        Box::new(move |target, _| {
            let park = park.clone();
            async move { park.open(&target).map_err(|e| e.to_string()) }.boxed()
        })
    }

    /// All clusters so far, by context name.
    pub(crate) fn sims(&self) -> BTreeMap<String, Sim> {
        let sims = self.sims.lock().unwrap_or_else(PoisonError::into_inner);
        sims.iter().map(|(target, sim)| (target.to_string(), sim.clone())).collect()
    }
}

fn make_dir(dir: &std::path::Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))
}
