//! Signs of life of extensions' controllers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::observe::Page;
use super::{ClusterError, Clusters};
use crate::landscape::Target;

/// The Lease that each extension renews in its namespace (`extension-contract.md` §4), of all namespaces at once.
const PATH: &str = "/apis/coordination.k8s.io/v1/leases?fieldSelector=metadata.name%3Dgardener-extension-heartbeat";

#[derive(Deserialize)]
struct Lease {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    renew_time: Option<Timestamp>,
}

/// When the extensions of a seed last renewed their Leases, by namespace.
pub async fn heartbeats(clusters: &Clusters, target: &Target) -> Result<BTreeMap<String, Timestamp>, ClusterError> {
    let page: Page<Lease> = clusters.cluster(target)?.read(PATH, "list", "application/json").await?;
    Ok(page.items.into_iter().filter_map(|lease| Some((lease.metadata.namespace, lease.spec.renew_time?))).collect())
}
