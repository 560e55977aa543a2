//! Looking: paged lists, single objects, secret bodies.
//!
//! A kind that is not served counts as empty only if discovery itself succeeded; any failure makes the target incomplete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::kinds::Resource;
use super::request::check_name;
use super::{Cluster, ClusterError, Clusters, KindRef, Kinds, reduce};
use crate::landscape::Target;
use crate::observed::{Keep, Live, Object, ObjectKey, Observed};
use crate::plan::ErrorClass;
use crate::secrets::{Bodies, Body, BodyKind, SecretRef};
use crate::value::Version;

/// Objects per page.
const PAGE: usize = 500;
/// How often a list is begun again after a transient failure or an expired page.
const ATTEMPTS: u32 = 3;
/// Above this many secrets of one namespace, listing them is cheaper than asking one by one.
const LIST_ABOVE: usize = 8;

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Page<T> {
    #[serde(default)]
    pub(super) metadata: PageMeta,
    /// A list of metadata only says null where there is nothing.
    #[serde(default = "Vec::new", deserialize_with = "none_is_empty")]
    pub(super) items: Vec<T>,
}

fn none_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PageMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    pub(super) next: String,
    remaining_item_count: i64,
}

/// Whether only the metadata of a kind is asked for: nothing else of it is ever kept.
fn metadata_only(kind: &KindRef, keep: &Keep) -> bool {
    match (kind.api_version.as_str(), kind.kind.as_str()) {
        ("v1", "Secret") => true,
        ("v1", "ConfigMap") => !keep.pointers.contains_key(&(String::new(), kind.kind.clone())),
        _ => false,
    }
}

/// The `Accept` header for lists (`list`) or single objects and watches.
pub(super) fn accept(kind: &KindRef, keep: &Keep, list: bool) -> &'static str {
    match (metadata_only(kind, keep), list) {
        (false, _) => "application/json",
        (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
    }
}

/// Observes the given kinds of every target once.
///
/// For a daemon, [`super::watch()`] alone is enough: it begins with lists of its own.
pub async fn observe(clusters: &Clusters, kinds: &Kinds, keep: &Keep) -> Observed {
    clusters.set_keep(keep.clone());
    let targets: FuturesUnordered<_> = kinds
        .iter()
        .map(|(target, kinds)| async move { (target.clone(), observe_target(clusters, target, kinds, keep).await) })
        .collect();
    Observed { targets: targets.collect().await }
}

async fn observe_target(clusters: &Clusters, target: &Target, kinds: &BTreeSet<KindRef>, keep: &Keep) -> Live {
    let mut live = Live::default();
    let cluster = match clusters.cluster(target) {
        Ok(cluster) => cluster,
        Err(e) => {
            live.problem = Some(e.to_string());
            return live;
        }
    };
    live.complete = true;
    let cluster = &cluster;
    let mut lists: FuturesUnordered<_> = kinds.iter().map(|kind| async move { (kind, cluster.list(kind, keep).await) }).collect();
    while let Some((kind, listed)) = lists.next().await {
        match listed {
            Ok(listed) => {
                live.server = listed.server;
                listed.objects.into_iter().for_each(|object| live.insert(object));
            }
            Err(e) => {
                live.complete = false;
                let problem = format!("{} could not be listed: {e}", kind.kind);
                // The first in name order, so that the words do not depend on which answer came first.
                if live.problem.as_ref().is_none_or(|known| problem < *known) {
                    live.problem = Some(problem);
                }
            }
        }
    }
    live
}

/// A finished list.
pub(super) struct Listed {
    pub(super) objects: Vec<Arc<Object>>,
    /// Where a watch goes on; `None` if the kind is not served.
    pub(super) version: Option<String>,
    /// The server's own version, as far as it tells.
    pub(super) server: Option<Version>,
}

impl Cluster {
    /// All objects of a kind, reduced.
    pub(super) async fn list(&self, kind: &KindRef, keep: &Keep) -> Result<Listed, ClusterError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(resource) = self.resource(kind).await? else {
                return Ok(Listed { objects: Vec::new(), version: None, server: self.server_version().await? });
            };
            let error = match self.list_once(kind, &resource, keep).await {
                Ok(listed) => return Ok(listed),
                Err(e) => e,
            };
            if error.is_not_found() {
                // The kind itself went away: discovery decides whether that makes it empty.
                self.forget(&kind.api_version).await;
            }
            let again = error.is_not_found() || matches!(error.class(), ErrorClass::Transient | ErrorClass::Conflict);
            if !again || attempt >= ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(error.pause(200, attempt)).await;
        }
    }

    async fn list_once(&self, kind: &KindRef, resource: &Resource, keep: &Keep) -> Result<Listed, ClusterError> {
        let path = resource.path("")?;
        let server = self.server_version().await?;
        let accept = accept(kind, keep, true);
        let mut objects = Vec::new();
        let mut next = String::new();
        let version = loop {
            let page: Page<Value> = {
                let _permit = self.lists.acquire().await.expect("the semaphore is never closed");
                self.read(&page_path(&path, &next), "list", accept).await?
            };
            let mut interner = self.interner.lock().unwrap_or_else(PoisonError::into_inner);
            objects.extend(
                page.items.into_iter().filter_map(|item| reduce(named(item, resource), keep, &mut interner).map(Arc::new)),
            );
            drop(interner);
            if page.metadata.next.is_empty() {
                if page.metadata.remaining_item_count > 0 {
                    let message =
                        format!("{} more objects are said to exist, and no way to them", page.metadata.remaining_item_count);
                    return Err(ClusterError::Garbled { operation: format!("list {path}"), message });
                }
                break page.metadata.resource_version;
            }
            next = page.metadata.next;
        };
        Ok(Listed { objects, version: Some(version), server })
    }

    /// The path of one object of a kind that must be served.
    pub(crate) async fn object_path(&self, kind: &KindRef, key: &ObjectKey) -> Result<String, ClusterError> {
        check_name(&key.name)?;
        let found = match self.served(kind).await {
            Err(ClusterError::NotServed { .. }) => {
                // It may have come to be served a moment ago.
                self.forget(&kind.api_version).await;
                self.served(kind).await?
            }
            other => other?,
        };
        Ok(format!("{}/{}", found.path(&key.namespace)?, key.name))
    }

    /// Reduces an object that says what it is.
    pub(crate) fn reduced(&self, object: Value, keep: &Keep) -> Option<Object> {
        let mut interner = self.interner.lock().unwrap_or_else(PoisonError::into_inner);
        reduce(object, keep, &mut interner)
    }

    /// One object, reduced; `None` if it does not exist.
    pub(crate) async fn look(&self, kind: &KindRef, key: &ObjectKey, keep: &Keep) -> Result<Option<Object>, ClusterError> {
        let resource = self.served(kind).await?;
        check_name(&key.name)?;
        let path = format!("{}/{}", resource.path(&key.namespace)?, key.name);
        match self.read::<Value>(&path, "get", accept(kind, keep, false)).await {
            Ok(value) => Ok(self.reduced(named(value, &resource), keep)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The bodies of all Secrets or ConfigMaps of a namespace, or of one.
    async fn contents(
        &self,
        kind: BodyKind,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<BTreeMap<String, Body>, ClusterError> {
        check_name(namespace)?;
        let path = format!("/api/v1/namespaces/{namespace}/{}", kind.plural());
        let decode = |object: SecretObject| match kind {
            BodyKind::Secret => decode(object),
            BodyKind::ConfigMap => Ok(plain(object)),
        };
        if let Some(name) = name {
            check_name(name)?;
            return match self.get::<SecretObject>(&format!("{path}/{name}")).await {
                Ok(secret) => Ok([(secret.metadata.name.clone(), decode(secret)?)].into()),
                Err(e) if e.is_not_found() => Ok(BTreeMap::new()),
                Err(e) => Err(e),
            };
        }
        let mut all = BTreeMap::new();
        let mut next = String::new();
        loop {
            let page: Page<SecretObject> = self.read(&page_path(&path, &next), "list", "application/json").await?;
            for secret in page.items {
                all.insert(secret.metadata.name.clone(), decode(secret)?);
            }
            if page.metadata.next.is_empty() {
                return Ok(all);
            }
            next = page.metadata.next;
        }
    }
}

/// Items of lists and partial objects do not say what they are.
pub(super) fn named(mut object: Value, resource: &Resource) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".to_owned(), Value::String(resource.api_version.clone()));
        map.insert("kind".to_owned(), Value::String(resource.kind.clone()));
    }
    object
}

pub(super) fn page_path(path: &str, next: &str) -> String {
    if next.is_empty() {
        return format!("{path}?limit={PAGE}");
    }
    let mut encoded = String::with_capacity(next.len());
    for byte in next.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{path}?limit={PAGE}&continue={encoded}")
}

/// Looks at some objects without a list: whether something stands where a plan wants to create.
pub async fn get_many(
    clusters: &Clusters,
    target: &Target,
    wanted: &[(KindRef, ObjectKey)],
    keep: &Keep,
) -> Result<BTreeMap<ObjectKey, Option<Arc<Object>>>, ClusterError> {
    let cluster = &clusters.cluster(target)?;
    let looks: FuturesUnordered<_> = wanted
        .iter()
        .map(|(kind, key)| async move {
            let _permit = cluster.lists.acquire().await.expect("the semaphore is never closed");
            let found = match cluster.look(kind, key, keep).await {
                Err(ClusterError::NotServed { .. }) => None,
                other => other?,
            };
            Ok((key.clone(), found.map(Arc::new)))
        })
        .collect();
    let found: Vec<Result<_, ClusterError>> = looks.collect().await;
    found.into_iter().collect()
}

#[derive(Deserialize)]
struct SecretObject {
    metadata: SecretMeta,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct SecretMeta {
    name: String,
}

/// What a ConfigMap says in text; what it holds in binary form nobody reads.
fn plain(map: SecretObject) -> Body {
    map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, Zeroizing::new(text.into_bytes()))).collect()
}

fn decode(secret: SecretObject) -> Result<Body, ClusterError> {
    let name = secret.metadata.name;
    let entries = secret.data.unwrap_or_default().into_iter().map(|(key, text)| {
        let text = Zeroizing::new(text);
        match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok((key, Zeroizing::new(bytes))),
            Err(_) => Err(ClusterError::Garbled {
                operation: format!("read secret {name}"),
                message: "its data is not base64".to_owned(),
            }),
        }
    });
    entries.collect()
}

/// The body of an InternalSecret of the garden; `None` if it does not exist, or the garden has no such kind yet.
pub async fn internal_secret(clusters: &Clusters, namespace: &str, name: &str) -> Result<Option<Body>, ClusterError> {
    let cluster = clusters.cluster(&Target::Garden)?;
    check_name(namespace)?;
    check_name(name)?;
    let path = format!("/apis/core.gardener.cloud/v1beta1/namespaces/{namespace}/internalsecrets/{name}");
    match cluster.get::<SecretObject>(&path).await {
        Ok(secret) => decode(secret).map(Some),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Fetches secret bodies. What could not be looked up is absent from the result and its target named with the reason; what does
/// not exist is there as `None`.
pub async fn bodies(clusters: &Clusters, wanted: &BTreeSet<SecretRef>) -> (Bodies, BTreeMap<Target, String>) {
    let mut by_place: BTreeMap<(&Target, BodyKind, &str), Vec<&SecretRef>> = BTreeMap::new();
    for secret in wanted {
        by_place.entry((&secret.target, secret.kind, &secret.namespace)).or_default().push(secret);
    }
    let mut fetches: FuturesUnordered<_> = by_place
        .into_iter()
        .flat_map(|((target, kind, namespace), secrets)| {
            let batches: Vec<Vec<&SecretRef>> =
                if secrets.len() > LIST_ABOVE { vec![secrets] } else { secrets.into_iter().map(|s| vec![s]).collect() };
            batches.into_iter().map(move |batch| (target, kind, namespace, batch))
        })
        .map(|(target, kind, namespace, batch)| async move {
            let found = fetch(clusters, target, kind, namespace, &batch).await;
            (target, batch, found)
        })
        .collect();
    let mut bodies = Bodies::default();
    let mut problems = BTreeMap::new();
    while let Some((target, batch, found)) = fetches.next().await {
        match found {
            Ok(mut found) => {
                for secret in batch {
                    bodies.0.insert(secret.clone(), found.remove(&secret.name));
                }
            }
            Err(e) => {
                problems.insert(target.clone(), e.to_string());
            }
        }
    }
    (bodies, problems)
}

async fn fetch(
    clusters: &Clusters,
    target: &Target,
    kind: BodyKind,
    namespace: &str,
    batch: &[&SecretRef],
) -> Result<BTreeMap<String, Body>, ClusterError> {
    let cluster = clusters.cluster(target)?;
    let _permit = cluster.lists.acquire().await.expect("the semaphore is never closed");
    match batch {
        [one] => cluster.contents(kind, namespace, Some(&one.name)).await,
        _ => cluster.contents(kind, namespace, None).await,
    }
}
