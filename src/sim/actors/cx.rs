//! What an actor sees of its cluster while it reconciles one object: requests, the time, and delays that depend on nothing but
//! the seed, the object and the step.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::object::{covers, replacing};
use super::{Fail, Lag};
use crate::observed::ObjectKey;
use crate::sim::Delays;
use crate::sim::cluster::Cluster;
use crate::sim::error::ApiError;
use crate::sim::fault::Asked;
use crate::sim::store::Stored;

/// A request that the API server refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub(super) struct Refused {
    /// HTTP status.
    pub(super) code: u16,
    /// What the server said.
    pub(super) message: String,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// The death of an actor in the middle of its work, on its way up to the runner.
pub(super) struct Crash;

/// Objects read lately, by the version that they had. The store keeps text, and an actor reads the same few objects again and
/// again while it brings a control plane forward.
#[derive(Default)]
pub(super) struct Parsed(RefCell<HashMap<ObjectKey, (u64, Arc<Value>)>>);

/// How many objects [`Parsed`] holds before it starts anew.
const PARSED: usize = 512;

impl Parsed {
    fn get(&self, key: &ObjectKey, version: u64) -> Option<Arc<Value>> {
        self.0.borrow().get(key).filter(|(v, _)| *v == version).map(|(_, object)| Arc::clone(object))
    }

    fn put(&self, key: &ObjectKey, version: u64, object: &Arc<Value>) {
        let mut objects = self.0.borrow_mut();
        if objects.len() >= PARSED {
            objects.clear();
        }
        objects.insert(key.clone(), (version, Arc::clone(object)));
    }
}

/// The steps that an object is waiting in, with the moment at which each began.
pub(super) type Waits = BTreeMap<String, Instant>;

/// The context of one reconcile.
pub(super) struct Cx<'a> {
    /// The cluster.
    pub(super) cluster: &'a Cluster,
    /// Objects read lately.
    pub(super) parsed: &'a Parsed,
    /// The name of the actor, the manager of its fields.
    pub(super) actor: &'static str,
    /// The object under work.
    pub(super) key: &'a ObjectKey,
    /// Where delays come from.
    pub(super) seed: u64,
    /// How delays are scaled.
    pub(super) delays: Delays,
    /// Whether the object asked for slowness.
    pub(super) slow: bool,
    /// Steps begun in earlier reconciles.
    pub(super) begun: Waits,
    /// Steps asked for in this reconcile and not over. Those not asked for again are forgotten.
    pub(super) waiting: Waits,
}

impl Cx<'_> {
    /// The cluster's time.
    pub(super) fn now(&self) -> jiff::Timestamp {
        self.cluster.now()
    }

    /// The cluster's time as statuses carry it, to the second.
    pub(super) fn stamp(&self) -> String {
        self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The failure that an object asks for; takes note of slowness for the delays that follow.
    pub(super) fn fail(&mut self, object: &Value) -> Option<Fail> {
        let fail = Fail::of(object);
        self.slow = fail == Some(Fail::Slow);
        fail
    }

    /// How long a step of this object takes.
    pub(super) fn delay(&self, step: &str, lag: Lag) -> Duration {
        let mut random = self.random(step);
        match self.delays {
            _ if self.slow => Duration::from_secs(random.u64(120..=300)),
            Delays::None => Duration::ZERO,
            Delays::Short => Duration::from_millis(random.u64(100..=900)),
            Delays::Real => Duration::from_millis(random.u64(lag.start() * 1000..=lag.end() * 1000)),
        }
    }

    /// Whether a step, begun when it was first asked for, goes on: how much longer.
    pub(super) fn wait(&mut self, step: &str, lag: Lag) -> Option<Duration> {
        let now = Instant::now();
        let begun = self.begun.get(step).copied().unwrap_or(now);
        let left = (begun + self.delay(step, lag)).saturating_duration_since(now);
        if left.is_zero() {
            return None;
        }
        self.waiting.insert(step.to_owned(), begun);
        Some(left)
    }

    /// Whether a step is met for the first time, as long as each reconcile asks again.
    pub(super) fn once(&mut self, step: &str) -> bool {
        let begun = self.begun.get(step).copied();
        self.waiting.insert(step.to_owned(), begun.unwrap_or_else(Instant::now));
        begun.is_none()
    }

    /// Begins all steps anew.
    pub(super) fn forget_waits(&mut self) {
        self.begun.clear();
    }

    /// A generator that is the same for the same seed, object and purpose.
    pub(super) fn random(&self, purpose: &str) -> fastrand::Rng {
        // FNV-1a: stable across toolchains, which the standard hasher does not promise to be.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ self.seed;
        for part in [self.actor, &self.key.group, &self.key.kind, &self.key.namespace, &self.key.name, purpose] {
            for byte in part.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        fastrand::Rng::with_seed(hash)
    }

    /// `length` lower-case letters and digits as Kubernetes puts into generated names, the same for the same purpose.
    pub(super) fn suffix(&self, purpose: &str, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut random = self.random(purpose);
        (0..length).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect()
    }

    /// Reads an object.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        let stored = self.cluster.peek(key)?;
        Some(self.read(key, &stored))
    }

    fn read(&self, key: &ObjectKey, stored: &Stored) -> Arc<Value> {
        self.parsed.get(key, stored.version).unwrap_or_else(|| {
            let object = Arc::new(stored.value());
            self.parsed.put(key, stored.version, &object);
            object
        })
    }

    /// Remembers an object as a write has left it.
    fn keep(&self, object: Value) -> Arc<Value> {
        let version = super::object::text(&object, "/metadata/resourceVersion").parse();
        let object = Arc::new(object);
        if let (Some(key), Ok(version)) = (ObjectKey::of(&object), version) {
            self.parsed.put(&key, version, &object);
        }
        object
    }

    /// Whether an object is there, without reading it.
    pub(super) fn exists(&self, key: &ObjectKey) -> bool {
        self.cluster.peek(key).is_some()
    }

    /// A label of an object, without reading the rest of it.
    pub(super) fn label_of(&self, key: &ObjectKey, label: &str) -> Option<String> {
        let stored = self.cluster.peek(key)?;
        stored.labels.iter().find(|(k, _)| &**k == label).map(|(_, v)| v.to_string())
    }

    /// Whether an object is there and its deletion has begun, without reading it.
    pub(super) fn is_going(&self, key: &ObjectKey) -> bool {
        self.cluster.peek(key).is_some_and(|stored| stored.deleting)
    }

    /// The keys of the objects of a kind in a namespace, without reading them.
    pub(super) fn keys(&self, group: &str, kind: &str, namespace: &str) -> Vec<ObjectKey> {
        self.cluster.keys(group, kind, Some(namespace))
    }

    /// Reads the object of a kind with a name in the namespace of the object under work.
    pub(super) fn sibling(&self, group: &str, kind: &str, name: &str) -> Option<Arc<Value>> {
        self.get(&ObjectKey::new(group, kind, &self.key.namespace, name))
    }

    /// The objects of a kind in a namespace, in order of names. Costs as much as there are, so never the whole cluster.
    pub(super) fn list(&self, group: &str, kind: &str, namespace: &str) -> Vec<Arc<Value>> {
        let stored = self.cluster.stored(group, kind, namespace);
        stored.iter().map(|s| self.read(&ObjectKey::new(group, kind, &s.namespace, &s.name), s)).collect()
    }

    /// How many objects of a cluster-scoped kind there are; for kinds of which there are few.
    pub(super) fn count(&self, group: &str, kind: &str) -> usize {
        self.cluster.keys(group, kind, None).len()
    }

    /// Whether the cluster serves a kind.
    pub(super) fn serves(&self, group: &str, kind: &str) -> bool {
        self.cluster.has_kind(group, kind)
    }

    /// Creates an object.
    pub(super) fn create(&self, object: Value) -> Result<Arc<Value>, Refused> {
        let object = self.keep(self.cluster.create(object)?);
        if let Some(key) = ObjectKey::of(&object) {
            self.wrote("create", &key);
        }
        Ok(object)
    }

    /// Merge-patches an object.
    pub(super) fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<Arc<Value>, Refused> {
        let object = self.keep(self.cluster.merge(key, "", patch)?);
        self.wrote("patch", key);
        Ok(object)
    }

    /// Merge-patches the metadata of an object, provided that it is still the one that was read.
    pub(super) fn patch_metadata(&self, key: &ObjectKey, read: &Value, mut metadata: Value) -> Result<Arc<Value>, Refused> {
        if let Some(fields) = metadata.as_object_mut() {
            fields.insert("resourceVersion".into(), super::object::at(read, "/metadata/resourceVersion"));
        }
        self.patch(key, &json!({"metadata": metadata}))
    }

    /// Makes the fields of `status` those of the object's status, and leaves its other fields alone. Writes only differences.
    pub(super) fn merge_status(&self, key: &ObjectKey, object: &Value, status: &Value) -> Result<(), Refused> {
        let old = object.get("status").and_then(Value::as_object);
        let known: Map<String, Value> =
            status.as_object().into_iter().flatten().filter_map(|(k, _)| Some((k.clone(), old?.get(k)?.clone()))).collect();
        self.write_status(key, replacing(Some(&Value::Object(known)), status))
    }

    /// Makes `status` the object's status, field by field; fields that it lacks are dropped. Writes only differences.
    pub(super) fn set_status(&self, key: &ObjectKey, object: &Value, status: &Value) -> Result<(), Refused> {
        self.write_status(key, replacing(object.get("status"), status))
    }

    fn write_status(&self, key: &ObjectKey, patch: Option<Value>) -> Result<(), Refused> {
        if let Some(patch) = patch {
            self.keep(self.cluster.merge(key, "status", &json!({"status": patch}))?);
            self.wrote("patch", key);
        }
        Ok(())
    }

    /// Scales an object, which makes this actor a manager of the number.
    pub(super) fn scale(&self, key: &ObjectKey, replicas: i64) -> Result<(), Refused> {
        self.cluster.merge(key, "", &json!({"spec": {"replicas": replicas}}))?;
        self.wrote("patch", key);
        Ok(())
    }

    /// Creates the object, or brings the present one to what `desired` says. Writes only differences.
    pub(super) fn ensure(&self, desired: Value) -> Result<Arc<Value>, Refused> {
        let key = ObjectKey::of(&desired).expect("actors build objects with kind and name");
        match self.get(&key) {
            None => self.create(desired),
            Some(present) if covers(&present, &desired) => Ok(present),
            Some(_) => self.patch(&key, &desired),
        }
    }

    /// Deletes an object if it is there.
    pub(super) fn delete(&self, key: &ObjectKey) -> Result<(), Refused> {
        match self.cluster.peek(key) {
            Some(stored) if !stored.deleting => match self.cluster.delete(key) {
                Err(refused) if refused.code != 404 => Err(refused.into()),
                Err(_) => Ok(()),
                Ok(_) => {
                    self.wrote("delete", key);
                    Ok(())
                }
            },
            _ => Ok(()),
        }
    }

    /// After each write: the actor may die of a fault here, with the write done and nothing after it.
    fn wrote(&self, verb: &str, key: &ObjectKey) {
        let asked = Asked { user: self.actor, verb, kind: &key.kind, namespace: &key.namespace, name: &key.name };
        if self.cluster.shared.faults.crashes(&asked) {
            // Like a panic, but nothing that anybody has to hear of.
            std::panic::resume_unwind(Box::new(Crash));
        }
    }

    /// Whether an engine that espalier deploys runs in a namespace, as far as it matters there: in the namespace of a shoot its
    /// Deployment must be available; elsewhere the engine is taken to run.
    pub(super) fn engine_runs(&self, namespace: &str, deployment: &str) -> bool {
        let namespace_key = ObjectKey::new("", "Namespace", "", namespace);
        let is_shoot = self.label_of(&namespace_key, "gardener.cloud/role").as_deref() == Some("shoot");
        !is_shoot
            || self
                .get(&ObjectKey::new("apps", "Deployment", namespace, deployment))
                .is_some_and(|d| super::object::int(&d, "/status/availableReplicas") > 0)
    }
}
