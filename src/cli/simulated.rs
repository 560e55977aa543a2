//! Embedded clusters for `demo` and `run --sim`: one simulated cluster for the garden and one per seed, made when the landscape
//! names them, in memory or below a state folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};

use crate::config;
use crate::daemon::Connect;
use crate::landscape::{Landscape, Target};
use crate::observed::project_namespace;
use crate::sim::{Delays, Options, Schedule, Sim};

/// The embedded clusters of one process.
#[derive(Clone)]
pub(crate) struct Park {
    state: Option<PathBuf>,
    seed: u64,
    delays: Delays,
    /// Whether simulated controllers run.
    actors: bool,
    /// Whether clusters are made that are not there.
    makes: bool,
    /// What goes wrong in each cluster from its start.
    faults: Schedule,
    sims: Arc<Mutex<BTreeMap<Target, Sim>>>,
}

impl Park {
    pub(crate) fn new(state: Option<PathBuf>, seed: u64, delays: Delays) -> Self {
        Self { state, seed, delays, actors: true, makes: true, faults: Schedule::default(), sims: Arc::default() }
    }

    /// Clusters that were left below a folder, to look at: no simulated controller runs. None is made that is not there.
    pub(crate) fn still(state: PathBuf) -> Self {
        Self { actors: false, makes: false, ..Self::new(Some(state), 1, Delays::None) }
    }

    /// The same with nobody who acts on what is written.
    pub(crate) fn without_controllers(self) -> Self {
        Self { actors: false, ..self }
    }

    /// The same with faults.
    pub(crate) fn with_faults(self, faults: Schedule) -> Self {
        Self { faults, ..self }
    }

    /// Lets go of all clusters, so that another process may have them.
    pub(crate) async fn close(self) {
        for (_, sim) in self.sims() {
            sim.close().await;
        }
    }

    /// The file that keeps a cluster, if they are kept.
    fn file(&self, target: &Target) -> Option<PathBuf> {
        self.state.as_ref().map(|dir| dir.join(format!("{target}.redb")))
    }

    /// The simulated cluster of a target, made if there is none yet.
    pub(crate) fn open(&self, target: &Target) -> anyhow::Result<kube::Client> {
        let mut sims = self.sims.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sim) = sims.get(target) {
            return Ok(sim.client());
        }
        if let Some(dir) = &self.state {
            anyhow::ensure!(
                self.makes || self.file(target).is_some_and(|file| file.is_file()),
                "there is no simulated cluster {target} in {}",
                dir.display()
            );
            make_dir(dir)?;
        }
        let sim = Sim::open(Options {
            name: target.to_string(),
            state: self.file(target),
            seed: self.seed,
            actors: self.actors,
            garden: *target == Target::Garden,
            delays: self.delays,
            start: config::now(),
        })?;
        sim.follow(&self.faults);
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

/// Puts credentials into the garden, as the people of the projects would: wherever something refers to a Secret that Git must not
/// hold, one appears as soon as its namespace does. They open nothing. Only for simulated clusters.
pub(crate) async fn hand_in_credentials(garden: kube::Client, landscape: Landscape) {
    let wanted = referenced(&landscape);
    drop(landscape);
    let namespaces: Api<Namespace> = Api::all(garden.clone());
    let mut appearing = watcher(namespaces, watcher::Config::default()).default_backoff().touched_objects().boxed();
    while let Some(namespace) = appearing.next().await {
        let Some(namespace) = namespace.ok().and_then(|n| n.metadata.name) else { continue };
        let secrets: Api<Secret> = Api::namespaced(garden.clone(), &namespace);
        for name in wanted.get(&namespace).into_iter().flatten() {
            let body = json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": { "name": name, "namespace": namespace },
                "stringData": {
                    "accessKeyID": "demo", "secretAccessKey": format!("opens-nothing-{name}"),
                    "serviceaccount.json": "{\"type\":\"service_account\",\"project_id\":\"demo\"}",
                },
            });
            let Ok(secret) = serde_json::from_value::<Secret>(body) else { continue };
            match secrets.create(&PostParams::default(), &secret).await {
                Ok(_) => tracing::info!(%namespace, %name, "credentials handed in"),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => tracing::warn!(%namespace, %name, %error, "credentials could not be handed in"),
            }
        }
    }
}

/// Secrets of the garden that a landscape refers to: namespace to names.
fn referenced(landscape: &Landscape) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (owner, value, _) in landscape.objects() {
        let own = if owner.kind.namespaced() { project_namespace(&owner.project) } else { "garden".to_owned() };
        collect(value, &own, &mut out);
    }
    out
}

fn collect(value: &Value, own: &str, out: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let kind = value.get("kind").and_then(Value::as_str).unwrap_or("Secret");
                if matches!(key.as_str(), "secretRef" | "credentialsRef")
                    && kind == "Secret"
                    && let Some(name) = value.get("name").and_then(Value::as_str)
                {
                    let namespace = value.get("namespace").and_then(Value::as_str).unwrap_or(own);
                    out.entry(namespace.to_owned()).or_default().insert(name.to_owned());
                } else {
                    collect(value, own, out);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, own, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
