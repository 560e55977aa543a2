//! Whether a real Gardener runs in a garden: then we must not.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, ClusterError, Clusters};
use crate::landscape::Target;
use crate::plan::ErrorClass;

/// Where gardenlets renew their leases.
const GARDENLET_LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/gardener-system-seed-lease/leases?limit=500";
/// The API service of Gardener's own API server.
const API_SERVICES: [&str; 2] = [
    "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.core.gardener.cloud",
    "/apis/apiregistration.k8s.io/v1/apiservices/v1.core.gardener.cloud",
];
/// A gardenlet renews every two seconds and is called dead after forty; one that was updated is back within this.
const FRESH_SECONDS: i64 = 300;

#[derive(Deserialize)]
struct Leases {
    #[serde(default)]
    items: Vec<Value>,
}

/// How often a question is asked before its failure is told: a server that restarts, or is busy, is back by then.
const ATTEMPTS: u32 = 4;

/// What shows that a Gardener runs in the garden, in a person's words; `None` if nothing does.
pub async fn running_gardener(clusters: &Clusters) -> Result<Option<String>, ClusterError> {
    let garden = clusters.cluster(&Target::Garden)?;
    for path in API_SERVICES {
        match ask::<Value>(&garden, path).await {
            // Custom resources have an API service as well, one without a service behind it.
            Ok(service) if service.pointer("/spec/service").is_some_and(|s| !s.is_null()) => {
                let name = path.rsplit('/').next().unwrap_or_default();
                return Ok(Some(format!("an aggregated API server stands behind `{name}`")));
            }
            Ok(_) => {}
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e),
        }
    }
    let leases = match ask::<Leases>(&garden, GARDENLET_LEASES).await {
        Ok(leases) => leases.items,
        Err(e) if e.is_not_found() => Vec::new(),
        Err(e) => return Err(e),
    };
    let now = clusters.now().as_second();
    let fresh = leases.iter().find_map(|lease| {
        let renewed: jiff::Timestamp = lease.pointer("/spec/renewTime")?.as_str()?.parse().ok()?;
        let age = now - renewed.as_second();
        let name = lease.pointer("/metadata/name")?.as_str()?;
        (age < FRESH_SECONDS).then(|| format!("the gardenlet of seed `{name}` renewed its lease {} s ago", age.max(0)))
    });
    Ok(fresh)
}

/// Asks, and asks again after a failure that passes: whoever starts has to come through what a running one waits out.
async fn ask<T: DeserializeOwned>(garden: &Cluster, path: &str) -> Result<T, ClusterError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let error = match garden.get(path).await {
            Err(e) if e.class() == ErrorClass::Transient && attempt < ATTEMPTS => e,
            answered => return answered,
        };
        tracing::debug!(%error, attempt, "asked again whether a Gardener runs here");
        tokio::time::sleep(error.pause(100, attempt)).await;
    }
}
