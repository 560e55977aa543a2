//! From rendered manifests to desired objects: what every manifest gets, whatever its template says.
//!
//! Namespaces, unique names, reference annotations, ManagedResources, fields that are set once, ownership and digest.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use contents::Contents;

use super::component::Component;
use super::{Body, DesiredObject, Hibernate};
use crate::digest::{self, Digest, DigestKey};
use crate::landscape::Kind;
use crate::observed::{COMPONENT_LABEL, DIGEST_ANNOTATION, OWNER_LABEL, ObjectKey, TRACKING_ANNOTATION};

pub(crate) mod contents;
mod managed;
mod reference;
mod scalars;

pub(crate) use managed::API_VERSION as MANAGED_RESOURCE;

/// The label that lets the resource manager collect an object that nothing refers to any more.
pub(crate) const GARBAGE_LABEL: &str = "resources.gardener.cloud/garbage-collectable-reference";

/// Keys that manifests must not have, or that say what is to be done with them.
const RESERVED: [&str; 2] = ["gardener.cloud/operation", "gardener.cloud/timestamp"];

/// The keys that are looked for in maps whose keys are not those of an API.
pub(crate) fn looked_for(component: &Component) -> BTreeSet<String> {
    let once = component.once.iter().flat_map(|once| crate::finding::Pointer::from(once.as_str()).segments().collect::<Vec<_>>());
    RESERVED.into_iter().chain([reference::UNIQUE]).map(str::to_owned).chain(once).collect()
}

/// What the manifests of one component are stamped with.
#[derive(Clone, Copy)]
pub(crate) struct Stamp<'a> {
    /// The owner's label.
    pub(crate) owner: &'a str,
    pub(crate) component: &'a Component,
    /// The component's name.
    pub(crate) name: &'a str,
    /// The default namespace; empty for none.
    pub(crate) namespace: &'a str,
    pub(crate) hibernated: bool,
    /// Whether the manifest with this number includes secret values; none do beyond its end.
    pub(crate) sensitive: &'a [bool],
    pub(crate) digest_key: Option<&'a DigestKey>,
    /// Whether secret values are symbols anyway.
    pub(crate) offline: bool,
}

/// Why manifests cannot become objects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something is missing that will come.
    Waiting(String),
    /// The manifest with this number (from 0) is wrong.
    Wrong(usize, String),
}

/// A manifest that is stamped, as [`DesiredObject`].
pub(crate) struct Stamped {
    pub(crate) key: ObjectKey,
    pub(crate) api_version: String,
    pub(crate) body: Value,
    pub(crate) once: Option<Value>,
    pub(crate) digest: Digest,
    pub(crate) sensitive: bool,
}

/// Makes desired objects of complete manifests.
pub(crate) fn objects(manifests: Vec<Value>, stamp: &Stamp<'_>) -> Result<Vec<DesiredObject>, Refusal> {
    let stamped = stamp_all(manifests, stamp, &mut contents::Complete)?;
    let object = |Stamped { key, api_version, body, once, digest, sensitive }| DesiredObject {
        key,
        api_version,
        body: Body::written(body),
        once: once.map(Arc::new),
        digest,
        sensitive,
    };
    Ok(stamped.into_iter().map(object).collect())
}

/// Stamps manifests.
pub(crate) fn stamp_all(
    mut manifests: Vec<Value>,
    stamp: &Stamp<'_>,
    contents: &mut dyn Contents,
) -> Result<Vec<Stamped>, Refusal> {
    for (index, manifest) in manifests.iter_mut().enumerate() {
        check(manifest).map_err(|m| Refusal::Wrong(index, m))?;
        default_namespace(manifest, stamp.namespace);
    }
    reference::name_uniquely(&mut manifests, contents);
    let mut expanded: Vec<(usize, bool, Value)> = Vec::with_capacity(manifests.len());
    for (index, manifest) in manifests.into_iter().enumerate() {
        let sensitive = stamp.sensitive.get(index).copied().unwrap_or(false);
        if manifest["apiVersion"] == managed::API_VERSION {
            let [secret, resource] = managed::expand(manifest, contents).map_err(|m| Refusal::Wrong(index, m))?;
            expanded.push((index, sensitive, secret));
            expanded.push((index, false, resource));
        } else {
            expanded.push((index, sensitive, manifest));
        }
    }
    let mut seen = BTreeSet::new();
    expanded
        .into_iter()
        .map(|(index, sensitive, manifest)| {
            let object = stamped(manifest, sensitive, stamp, contents)?;
            if seen.insert(object.key.clone()) {
                Ok(object)
            } else {
                Err(Refusal::Wrong(index, format!("{} is written twice", object.key)))
            }
        })
        .collect()
}

/// What must hold of every manifest.
fn check(manifest: &Value) -> Result<(), String> {
    let key = ObjectKey::of(manifest).ok_or("a manifest needs apiVersion, kind and metadata.name")?;
    for annotation in RESERVED {
        if manifest.pointer("/metadata/annotations").is_some_and(|a| a.get(annotation).is_some()) {
            return Err(format!("{key}: `{annotation}` is written by `trigger: reconcile`, never by a template"));
        }
    }
    if manifest.get("status").is_some() {
        return Err(format!("{key}: a template does not write status"));
    }
    scalars::check(manifest).map_err(|m| format!("{key}: {m}"))
}

/// Kinds without a namespace, beside those of landscapes.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("core.gardener.cloud", &["BackupBucket", "ControllerInstallation"]),
    ("extensions.gardener.cloud", &["BackupBucket", "BackupEntry", "Cluster"]),
    (
        "fluentbit.fluent.io",
        &["ClusterFilter", "ClusterFluentBitConfig", "ClusterInput", "ClusterMultilineParser", "ClusterOutput", "ClusterParser"],
    ),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("operator.gardener.cloud", &["Extension", "Garden"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("snapshot.storage.k8s.io", &["VolumeSnapshotClass", "VolumeSnapshotContent"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"]),
];

/// Whether objects of a kind live in namespaces.
#[must_use]
pub fn namespaced(group: &str, kind: &str) -> bool {
    if let Some(landscape) = Kind::ALL.iter().find(|k| k.group() == group && k.name() == kind) {
        return landscape.namespaced();
    }
    !CLUSTER_SCOPED.iter().any(|(g, kinds)| *g == group && kinds.contains(&kind))
}

fn default_namespace(manifest: &mut Value, namespace: &str) {
    let Some(key) = ObjectKey::of(manifest) else { return };
    if key.namespace.is_empty() && !namespace.is_empty() && namespaced(&key.group, &key.kind) {
        manifest["metadata"]["namespace"] = namespace.into();
    }
}

fn stamped(mut body: Value, sensitive: bool, stamp: &Stamp<'_>, contents: &mut dyn Contents) -> Result<Stamped, Refusal> {
    let key = ObjectKey::of(&body).ok_or_else(|| Refusal::Wrong(0, "a manifest lost its identity".into()))?;
    let api_version = body["apiVersion"].as_str().unwrap_or_default().to_owned();
    let once = take_once(&mut body, &key, stamp, contents);
    let digest = match (sensitive, stamp.digest_key) {
        (true, Some(key)) => digest::keyed(key, &body),
        (false, _) => Digest(contents.digest(&body)),
        (true, None) if stamp.offline => Digest(contents.digest(&body)),
        (true, None) => return Err(Refusal::Waiting("the key for digests of secrets".into())),
    };
    set(&mut body, "labels", OWNER_LABEL, stamp.owner.to_owned());
    set(&mut body, "labels", COMPONENT_LABEL, stamp.name.to_owned());
    set(&mut body, "annotations", TRACKING_ANNOTATION, tracking(stamp.owner, &key));
    set(&mut body, "annotations", DIGEST_ANNOTATION, digest.0.clone());
    Ok(Stamped { key, api_version, body, once, digest, sensitive })
}

/// The value of the tracking annotation: names this very object, so that a copied label proves nothing.
pub(crate) fn tracking(owner: &str, key: &ObjectKey) -> String {
    format!("{owner};{}", key.path())
}

/// Sets a label or annotation.
pub(crate) fn set(body: &mut Value, map: &str, name: &str, value: String) {
    if !body["metadata"][map].is_object() {
        body["metadata"][map] = json!({});
    }
    body["metadata"][map][name] = value.into();
}

/// Moves the fields that are set once out of a manifest into a sparse one of their own.
///
/// Zero replicas of a hibernated owner are not a first value but an order: they stay.
fn take_once(body: &mut Value, key: &ObjectKey, stamp: &Stamp<'_>, contents: &mut dyn Contents) -> Option<Value> {
    let mut sparse = Map::new();
    for once in &stamp.component.once {
        let pointer = match once.split_once('#') {
            Some((object, pointer)) => {
                let Some((kind, name)) = object.split_once('/') else { continue };
                if kind != key.kind {
                    continue;
                }
                contents.differ(&[name, &key.name]);
                if name != key.name {
                    continue;
                }
                pointer
            }
            None => once.as_str(),
        };
        let segments: Vec<String> = crate::finding::Pointer::from(pointer).segments().collect();
        let asleep = stamp.hibernated && stamp.component.hibernate == Hibernate::Scaled;
        if asleep && body.pointer(pointer).and_then(Value::as_i64) == Some(0) {
            continue;
        }
        if let Some(taken) = take(body, &segments, contents) {
            put(&mut sparse, taken);
        }
    }
    if sparse.is_empty() {
        return None;
    }
    let mut metadata = Map::new();
    metadata.insert("name".into(), key.name.clone().into());
    if !key.namespace.is_empty() {
        metadata.insert("namespace".into(), key.namespace.clone().into());
    }
    if let Some(Value::Object(more)) = sparse.remove("metadata") {
        for (field, value) in more {
            metadata.entry(field).or_insert(value);
        }
    }
    sparse.insert("apiVersion".into(), body["apiVersion"].clone());
    sparse.insert("kind".into(), body["kind"].clone());
    sparse.insert("metadata".into(), Value::Object(metadata));
    Some(Value::Object(sparse))
}

/// Removes the value at a path, and the maps that it leaves empty. A list on the way is one of named things, as servers merge it.
fn take(value: &mut Value, segments: &[String], contents: &mut dyn Contents) -> Option<Value> {
    let (first, rest) = segments.split_first()?;
    if let Value::Array(items) = value {
        for item in items.iter() {
            contents.differ(&[first, item["name"].as_str().unwrap_or_default()]);
        }
        let item = items.iter_mut().find(|item| item["name"] == first.as_str())?;
        let mut sparse = json!({"name": first});
        put(sparse.as_object_mut()?, take(item, rest, contents)?);
        return Some(json!([sparse]));
    }
    let map = value.as_object_mut()?;
    let taken = if rest.is_empty() {
        map.remove(first)?
    } else {
        let child = map.get_mut(first)?;
        let taken = take(child, rest, contents)?;
        if child.as_object().is_some_and(Map::is_empty) {
            map.remove(first);
        }
        taken
    };
    Some(json!({first: taken}))
}

/// Adds what was taken to what was taken before.
fn put(map: &mut Map<String, Value>, taken: Value) {
    let Value::Object(taken) = taken else { return };
    for (key, value) in taken {
        match (map.get_mut(&key), value) {
            (Some(Value::Object(known)), value @ Value::Object(_)) => put(known, value),
            (Some(Value::Array(known)), Value::Array(items)) => {
                for item in items {
                    match known.iter_mut().find(|known| known["name"] == item["name"]).and_then(Value::as_object_mut) {
                        Some(known) => put(known, item),
                        None => known.push(item),
                    }
                }
            }
            (_, value) => drop(map.insert(key, value)),
        }
    }
}
