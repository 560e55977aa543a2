//! How commands that only look reach the clusters of a landscape: as the daemon does, but no request of theirs writes, and a cluster
//! that cannot be reached is told in a line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::run::{kubeconfig, kubeconfig_file};
use super::simulated::Park;
use super::{Context, sim};
use crate::cluster::{self, Clusters, KindRef};
use crate::config;
use crate::daemon::Connect;
use crate::landscape::Target;
use crate::observed::ObjectKey;

/// Where the clusters are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Reach {
    /// Look at the simulated clusters that `run --sim` left in --state-dir
    #[arg(long, requires = "state_dir")]
    pub(super) sim: bool,
    /// Folder of `run --sim` in which simulated clusters are kept
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
}

/// The clusters that could be reached.
pub(super) struct Reached {
    clusters: Clusters,
    connect: Result<Connect, String>,
    settings: Value,
    park: Option<Park>,
}

impl Reach {
    /// Finds out how the clusters of a landscape are reached; none is asked yet.
    pub(super) fn plan(&self, context: &Context, settings: Option<&Value>) -> Reached {
        let mut settings = settings.cloned().unwrap_or(Value::Null);
        let simulated = settings.pointer("/spec/clusters").and_then(Value::as_str) == Some("sim");
        let mut park = None;
        let connect = match (&self.state_dir, self.sim, simulated) {
            (Some(dir), true, _) | (Some(dir), _, true) => {
                let still = Park::still(sim::folder(dir));
                park = Some(still.clone());
                Ok(still.connect())
            }
            (None, _, true) if context.settings.global.kubeconfig.is_none() => {
                Err("its clusters are simulated, and end with the process that has them: say --state-dir DIR of `run --sim`, or \
                 --kubeconfig FILE of `demo --watch`"
                    .to_owned())
            }
            _ => {
                if simulated {
                    // As `demo` writes them: a context for each cluster, by its name.
                    settings = Value::Null;
                }
                Ok(kubeconfig(kubeconfig_file(&context.settings)))
            }
        };
        Reached { clusters: Clusters::new(BTreeMap::new(), Arc::new(config::now)), connect, settings, park }
    }
}

impl Reached {
    /// Reaches a cluster and asks it something small.
    pub(super) async fn cluster(&self, target: &Target) -> Result<(), String> {
        if self.clusters.client(target).is_some() {
            return Ok(());
        }
        let connect = self.connect.as_ref().map_err(String::clone)?;
        let settings = if self.settings.is_null() { by_name(target) } else { self.settings.clone() };
        let client = connect(target.clone(), Some(settings)).await?;
        // Whoever does not answer this is not asked for lists.
        let probe = Clusters::new(BTreeMap::from([(target.clone(), client.clone())]), Arc::new(config::now));
        let namespace = (KindRef::new("v1", "Namespace"), ObjectKey::new("", "Namespace", "", "default"));
        cluster::whole(&probe, target, &[namespace]).await.map_err(|e| e.to_string())?;
        self.clusters.insert(target.clone(), client);
        Ok(())
    }

    /// The clusters that were reached.
    pub(super) const fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// Reaches clusters at once; what cannot be reached, with why.
    pub(super) async fn all(&self, targets: BTreeSet<Target>) -> BTreeMap<Target, String> {
        let tries = targets.into_iter().map(|target| async move {
            let tried = self.cluster(&target).await;
            tried.err().map(|why| (target, why))
        });
        futures::future::join_all(tries).await.into_iter().flatten().collect()
    }

    /// Lets go of simulated clusters.
    pub(super) async fn close(self) {
        if let Some(park) = self.park {
            park.close().await;
        }
    }
}

/// Settings that name a cluster's context by its own name.
fn by_name(target: &Target) -> Value {
    let mut clusters = json!({});
    match target {
        Target::Garden => clusters["garden"] = target.to_string().into(),
        Target::Seed(seed) => clusters["seeds"] = json!({ (seed.clone()): target.to_string() }),
    }
    json!({ "spec": { "clusters": clusters } })
}
