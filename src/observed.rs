//! What crosses the border from clusters, as plain data: live objects, reduced on arrival to what planning, health, facts and
//! status need.
//!
//! A target that could not be listed completely says so, and nothing on it may be pruned, placed or generated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::landscape::{Kind, Owner, Target};
use crate::value::Version;

/// The label that selects everything espalier wrote for an owner. Labels select, they never prove ownership.
pub const OWNER_LABEL: &str = "espalier.dev/owner";
/// The label that names the component which rendered an object.
pub const COMPONENT_LABEL: &str = "espalier.dev/component";
/// The annotation that proves ownership: `<owner>;<group>/<kind>/<namespace>/<name>` of this very object.
pub const TRACKING_ANNOTATION: &str = "espalier.dev/tracking";
/// The annotation that says for which: a label selector as JSON; absent means all.
pub const STATIC_MANIFEST_SELECTOR: &str = "static-manifests.shoot.gardener.cloud/selector";
/// The annotation with the digest of the object's own desired content.
pub const DIGEST_ANNOTATION: &str = "espalier.dev/digest";
/// The annotation of a landscape object in the garden with the JSON of what was last accepted for it.
pub const ACCEPTED_ANNOTATION: &str = "espalier.dev/accepted";
/// The annotation with the commit that the accepted spec came from.
pub const ACCEPTED_REVISION_ANNOTATION: &str = "espalier.dev/accepted-revision";
/// The annotation of a Shoot in the garden that waits for its maintenance windows: the digest of the library and of the other manifests
/// that it was last rolled out from.
pub const ROLLED_OUT_ANNOTATION: &str = "espalier.dev/rolled-out-from";
/// Field manager of everything rendered.
pub const MANAGER: &str = "espalier";
/// Field manager that sets `once` fields at creation and goes on co-owning the live value.
pub const MANAGER_ONCE: &str = "espalier-once";
/// Field manager of decisions that stand beside Git's spec, such as `spec.seedName`.
pub const MANAGER_DECISIONS: &str = "espalier-decisions";
/// Field manager of labels that tell how a landscape object stands.
pub const MANAGER_STATUS: &str = "espalier-status";

/// The identity of an object within one cluster; the version is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The key of a manifest, or `None` if it lacks apiVersion, kind or name.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let api_version = object.get("apiVersion")?.as_str()?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = Self {
            group: api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: object.get("kind")?.as_str()?.to_owned(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        };
        (!key.name.is_empty()).then_some(key)
    }

    /// A key from its parts.
    #[must_use]
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// `group/kind/namespace/name`, the form inside the tracking annotation.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}/{}/{}", self.group, self.kind, self.namespace, self.name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// One live object, reduced.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Identity.
    pub key: ObjectKey,
    /// `apiVersion` as served.
    pub api_version: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`, 0 where the kind has none.
    pub generation: i64,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.finalizers`.
    pub finalizers: Vec<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// Whether some owner reference says `controller: true`.
    pub controlled: bool,
    /// The `fieldsV1` of our own managedFields entry (manager `espalier`, operation Apply, no subresource); shared between
    /// objects with the same set. `None`: we never applied it.
    pub fields: Option<Arc<Value>>,
    /// What was kept of the body: everything for landscape kinds, otherwise `status`, a few `spec` fields (replicas) and the
    /// pointers that exports name. Never `data`.
    pub kept: Arc<Value>,
}

impl Object {
    /// Reads a field of what was kept.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.kept.pointer(pointer)
    }

    /// The digest of the content that we last applied.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.annotations.get(DIGEST_ANNOTATION).map(String::as_str)
    }

    /// Whether its manifests are for shoots.
    #[must_use]
    pub fn is_static_manifest(&self) -> bool {
        is_static_manifest(&self.key, &self.labels)
    }

    /// Whether it is the wildcard certificate of its seed.
    #[must_use]
    pub fn is_wildcard_certificate(&self) -> bool {
        is_wildcard_certificate(&self.key, &self.labels)
    }

    /// Whether the tracking annotation names this very object: `labels select, they never prove ownership`.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.annotations
            .get(TRACKING_ANNOTATION)
            .is_some_and(|t| t.split_once(';').is_some_and(|(_, path)| path == self.key.path()))
    }
}

/// What to keep of an object's body, by group and kind.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// JSON pointers below the root to keep, per (group, kind), beside `status` and `spec.replicas`.
    pub pointers: BTreeMap<(String, String), BTreeSet<String>>,
}

/// Everything known of one cluster. Changed only through [`Live::insert`] and [`Live::remove`], which keep the index by owner.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// The objects by identity.
    pub objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// Identities by the value of the owner label.
    owned: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// Whether every kind could be listed to the end. If not, nothing here may be pruned, placed, generated or deleted.
    pub complete: bool,
    /// Why not, in a person's words.
    pub problem: Option<String>,
    /// The version of the API server; `None` before anything was listed, and from a server that does not tell.
    pub server: Option<Version>,
}

impl Live {
    /// Adds or replaces an object.
    pub fn insert(&mut self, object: Arc<Object>) {
        let key = object.key.clone();
        self.remove(&key);
        if let Some(owner) = object.labels.get(OWNER_LABEL) {
            self.owned.entry(owner.clone()).or_default().insert(key.clone());
        }
        self.objects.insert(key, object);
    }

    /// Forgets an object.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Arc<Object>> {
        let old = self.objects.remove(key)?;
        if let Some(owner) = old.labels.get(OWNER_LABEL)
            && let Some(keys) = self.owned.get_mut(owner)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.owned.remove(owner);
            }
        }
        Some(old)
    }

    /// The objects of a kind in a namespace, empty for those that are in none, whose names begin with this, in key order.
    pub fn named<'l>(
        &'l self,
        group: &'l str,
        kind: &'l str,
        namespace: &'l str,
        prefix: &'l str,
    ) -> impl Iterator<Item = &'l Arc<Object>> {
        let from_there = self.objects.range(ObjectKey::new(group, kind, namespace, prefix)..);
        let is_one = move |key: &ObjectKey| {
            key.group == group && key.kind == kind && key.namespace == namespace && key.name.starts_with(prefix)
        };
        from_there.take_while(move |(key, _)| is_one(key)).map(|(_, object)| object)
    }

    /// The objects that carry an owner's label, in key order. Labels select; see [`Object::is_tracked`] for ownership.
    pub fn labelled(&self, owner_label: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.owned.get(owner_label).into_iter().flatten().filter_map(|key| self.objects.get(key))
    }
}

/// Everything observed.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Per cluster; a cluster that was never reached is absent, which counts as incomplete.
    pub targets: BTreeMap<Target, Live>,
}

impl Observed {
    /// The live object of a key.
    #[must_use]
    pub fn get(&self, target: &Target, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.targets.get(target)?.objects.get(key)
    }

    /// Whether a target was listed completely.
    #[must_use]
    pub fn complete(&self, target: &Target) -> bool {
        self.targets.get(target).is_some_and(|live| live.complete)
    }

    /// The version of a target's API server, as far as that tells.
    #[must_use]
    pub fn server(&self, target: &Target) -> Option<&Version> {
        self.targets.get(target)?.server.as_ref()
    }

    /// The garden's object of an owner, given the namespace that its project lives in.
    #[must_use]
    pub fn garden(&self, owner: &Owner) -> Option<&Arc<Object>> {
        self.get(&Target::Garden, &garden_key(owner))
    }
}

/// Whether an object is a Secret in a seed's namespace `garden` whose manifests are for shoots.
#[must_use]
pub fn is_static_manifest(key: &ObjectKey, labels: &BTreeMap<String, String>) -> bool {
    let purpose = labels.get("gardener.cloud/purpose");
    key.kind == "Secret" && key.namespace == "garden" && purpose.is_some_and(|purpose| purpose == "shoot-static-manifest")
}

/// Whether an object is a Secret in a seed's namespace `garden` with the certificate for every name below the seed's ingress domain.
#[must_use]
pub fn is_wildcard_certificate(key: &ObjectKey, labels: &BTreeMap<String, String>) -> bool {
    let role = labels.get("gardener.cloud/role");
    key.kind == "Secret" && key.namespace == "garden" && role.is_some_and(|role| role == "controlplane-cert")
}

/// The namespace of a project in the garden.
#[must_use]
pub fn project_namespace(project: &str) -> String {
    if project == "garden" { "garden".to_owned() } else { format!("garden-{project}") }
}

/// The project whose namespace this is; `None` if it is no project's.
#[must_use]
pub fn project_of(namespace: &str) -> Option<&str> {
    if namespace == "garden" { Some(namespace) } else { namespace.strip_prefix("garden-") }
}

/// The key of a landscape object in the garden.
#[must_use]
pub fn garden_key(owner: &Owner) -> ObjectKey {
    let namespace = if owner.kind.namespaced() { project_namespace(&owner.project) } else { String::new() };
    ObjectKey::new(owner.kind.group(), owner.kind.name(), &namespace, &owner.name)
}

/// Whether objects of this group and kind are kept whole: the landscape kinds.
#[must_use]
pub fn kept_whole(group: &str, kind: &str) -> bool {
    Kind::ALL.iter().any(|k| k.group() == group && k.name() == kind)
}

/// Whether objects of this group and kind hold secrets, so that of their content nothing is ever shown but whether it changed.
#[must_use]
pub fn is_secret(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("", "Secret")
            | ("core.gardener.cloud", "InternalSecret" | "ShootState")
            | ("extensions.gardener.cloud", "OperatingSystemConfig")
    )
}

/// Whether a field manager is one of ours.
#[must_use]
pub fn is_ours(manager: &str) -> bool {
    matches!(manager, MANAGER | MANAGER_ONCE | MANAGER_DECISIONS | MANAGER_STATUS)
}

/// A change in one cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// Appeared or changed.
    Applied(Arc<Object>),
    /// Is gone.
    Deleted {
        /// Which.
        key: ObjectKey,
        /// The uid of the one that went: another may have its name by now.
        uid: String,
    },
}
