//! What templates see: one JSON object per owner, computed from admitted manifests and the garden's decisions, never from live
//! state (facts are read separately).
//!
//! Everything that a template may name is present: what a manifest leaves out is `null`, an empty list or the fallback that
//! Gardener's components use, so a misspelt path is an error and an absent setting is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::landscape::{Kind, Owner};
use crate::observed::project_namespace;

mod apiserver;
mod autoscaling;
mod engine;
mod exposure;
mod extension;
mod garden;
pub mod installation;
mod kube_proxy;
mod kubelet;
pub mod need;
mod network;
mod node_local_dns;
mod observability;
mod policy;
mod pool;
mod profile;
mod resource;
mod shoot;
mod vpn;

pub use garden::{Shipped, garden, project, seed};
pub use network::trusted_host;
pub use profile::effective as effective_profile;
pub use shoot::shoot;

/// Admitted manifests by owner.
pub type Objects = BTreeMap<Owner, Arc<Value>>;

/// What the garden knows about an owner beside its manifest. `None`: not known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// `status.uid` of a shoot, which is the `metadata.uid` that its object was first created with; of a seed, that by which its bucket
    /// is called. Both outlast a garden that loses its objects.
    pub uid: Option<String>,
    /// `metadata.uid` of the object that is in the garden now, for references to it; absent where that is the same as `uid`.
    pub object_uid: Option<String>,
    /// `status.technicalID` of a shoot: its namespace in the seed.
    pub technical_id: Option<String>,
    /// The seed that the shoot was placed on.
    pub seed: Option<String>,
    /// `status.clusterIdentity` of this shoot or seed.
    pub cluster_identity: Option<String>,
    /// `status.clusterIdentity` of the shoot's seed.
    pub seed_identity: Option<String>,
    /// The identity of the garden cluster.
    pub garden_identity: Option<String>,
    /// What the garden's object says in `status` that decisions were written to: `networking`, `credentials`. `Null` if nothing.
    pub status: Value,
    /// The components that have something to clear up after those that they follow.
    pub following: BTreeSet<String>,
    /// The extensions that were decided for this seed.
    pub installations: Vec<installation::Installation>,
    /// The version of this seed's API server, `1.34.1`, as far as that tells.
    pub kubernetes: Option<String>,
}

/// What a context is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// All admitted objects.
    pub objects: &'a Objects,
    /// Whose context.
    pub owner: &'a Owner,
    /// What the garden knows of it.
    pub identity: &'a Identity,
}

/// Something that a context cannot do without is not known yet: what, in a person's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

impl<'a> Sources<'a> {
    /// The manifest of an owner.
    fn get(&self, owner: &Owner) -> Option<&'a Value> {
        self.objects.get(owner).map(Arc::as_ref)
    }

    /// The manifest of the owner itself.
    fn own(&self) -> Result<&'a Value, Missing> {
        self.get(self.owner).ok_or_else(|| Missing(format!("{} is not admitted", self.owner)))
    }

    /// The objects of one kind.
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &'a Value> {
        self.objects.range(Owner::cluster(kind, "")..).take_while(move |(owner, _)| owner.kind == kind).map(|(_, v)| v.as_ref())
    }

    /// The `landscape.yaml` manifest; an empty one if there is none.
    fn landscape(&self) -> Value {
        self.of_kind(Kind::Landscape).next().cloned().unwrap_or_else(|| json!({"metadata": {"name": ""}, "spec": {}}))
    }
}

/// The value at a JSON pointer, `Null` if there is none.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The text at a JSON pointer, empty if there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// The items of the list at a JSON pointer.
fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    at(value, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// The texts of the list at a JSON pointer.
fn texts<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    list(value, pointer).iter().filter_map(Value::as_str).collect()
}

/// Whether the value at a JSON pointer is `true`.
fn flag(value: &Value, pointer: &str) -> bool {
    at(value, pointer).as_bool().unwrap_or(false)
}

/// The entries of the object at a JSON pointer.
fn entries<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    at(value, pointer).as_object().into_iter().flatten()
}

/// A scalar as a command line would have it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An object without the entries that are `Null`.
fn compact(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).collect::<Map<_, _>>()),
        other => other,
    }
}

/// The manifest with `metadata.namespace` set to the project's namespace and without what a person may have pasted in.
fn manifest(value: &Value, owner: &Owner) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| owner.kind.api_version().into());
        map.entry("kind").or_insert_with(|| owner.kind.name().into());
        map.remove("status");
        let metadata = map.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("name".into(), owner.name.clone().into());
            if owner.kind.namespaced() {
                metadata.insert("namespace".into(), project_namespace(&owner.project).into());
            }
            for key in ["labels", "annotations"] {
                metadata.entry(key).or_insert_with(|| json!({}));
            }
        }
    }
    value
}
