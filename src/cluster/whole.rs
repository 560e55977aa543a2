//! Whole objects, as their servers have them, for commands that look once: with their managed fields, which tell who set what.
//! Nothing is written and nothing is kept. Of objects that hold secrets only the metadata is asked for.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;

use super::observe::{Page, named, page_path};
use super::request::check_name;
use super::{Cluster, ClusterError, Clusters, KindRef};
use crate::landscape::Target;
use crate::observed::{ObjectKey, is_secret};

/// Asks for metadata alone, where the server can tell it apart.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// Reads objects, each whole; `None` for one that does not exist, or whose kind is not served.
pub async fn whole(
    clusters: &Clusters,
    target: &Target,
    wanted: &[(KindRef, ObjectKey)],
) -> Result<BTreeMap<ObjectKey, Option<Value>>, ClusterError> {
    let cluster = &clusters.cluster(target)?;
    let reads: FuturesUnordered<_> = wanted
        .iter()
        .map(|(kind, key)| async move {
            let _permit = cluster.lists.acquire().await.expect("the semaphore is never closed");
            Ok((key.clone(), cluster.whole(kind, key).await?))
        })
        .collect();
    let read: Vec<Result<_, ClusterError>> = reads.collect().await;
    read.into_iter().collect()
}

/// Reads all objects of a kind in a namespace, each whole; none if the kind is not served. Not for kinds that hold secrets.
pub async fn whole_in(clusters: &Clusters, target: &Target, kind: &KindRef, namespace: &str) -> Result<Vec<Value>, ClusterError> {
    let cluster = &clusters.cluster(target)?;
    let Some(resource) = cluster.resource(kind).await? else { return Ok(Vec::new()) };
    if is_secret(kind.group(), &kind.kind) {
        return Ok(Vec::new());
    }
    let path = resource.path(namespace)?;
    let mut all = Vec::new();
    let mut next = String::new();
    loop {
        let _permit = cluster.lists.acquire().await.expect("the semaphore is never closed");
        let page: Page<Value> = cluster.read(&page_path(&path, &next), "list", "application/json").await?;
        all.extend(page.items.into_iter().map(|item| named(item, &resource)));
        if page.metadata.next.is_empty() {
            return Ok(all);
        }
        next = page.metadata.next;
    }
}

impl Cluster {
    async fn whole(&self, kind: &KindRef, key: &ObjectKey) -> Result<Option<Value>, ClusterError> {
        let Some(resource) = self.resource(kind).await? else { return Ok(None) };
        check_name(&key.name)?;
        let secret = is_secret(kind.group(), &kind.kind);
        let path = format!("{}/{}", resource.path(&key.namespace)?, key.name);
        match self.read::<Value>(&path, "get", if secret { METADATA } else { "application/json" }).await {
            Ok(mut value) => {
                if let Some(object) = value.as_object_mut().filter(|_| secret) {
                    // A server that cannot tell metadata apart sends everything.
                    object.retain(|field, _| field == "metadata");
                }
                Ok(Some(named(value, &resource)))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}
