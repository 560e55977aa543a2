//! The handle that simulated controllers hold: synchronous requests through the same code as HTTP requests, a stream of changes,
//! and the time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use super::clock::{Clock, stamp};
use super::counters::Tally;
use super::deletion::{DeleteOptions, Propagation};
use super::error::ApiError;
use super::fault::Faults;
use super::kind::Kind;
use super::patch;
use super::persist::Journal;
pub(crate) use super::store::{Change, Stored};
use super::verbs::{Caller, How, Server, Spot, Unknown};
use crate::observed::ObjectKey;

/// What all handles of one cluster share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    /// Before the journal: the writer ends when the store has let go of it.
    pub(crate) server: Mutex<Server>,
    pub(crate) journal: Option<Journal>,
    pub(crate) faults: Faults,
    pub(crate) tally: Tally,
}

impl Shared {
    /// The objects. A panic elsewhere does not make them unusable: each commit is whole.
    pub(crate) fn server(&self) -> Locked<'_> {
        Locked(self.server.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The objects, while nobody else reads or changes them. What is changed meanwhile becomes durable as a whole.
pub(crate) struct Locked<'a>(MutexGuard<'a, Server>);

impl Deref for Locked<'_> {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.store.flush();
    }
}

/// A cluster as its controllers see it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) shared: Arc<Shared>,
    manager: String,
}

impl Cluster {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, manager: "sim".into() }
    }

    /// The same cluster, written to under another field manager.
    #[must_use]
    pub(crate) fn with_manager(&self, manager: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), manager: manager.into() }
    }

    /// The seed for whatever is drawn at random.
    pub(crate) fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The changes from now on, in order, none lost.
    pub(crate) fn subscribe(&self) -> mpsc::UnboundedReceiver<Change> {
        self.shared.server().store.subscribe()
    }

    /// What is stored of an object: labels and version without reading the body.
    pub(crate) fn peek(&self, key: &ObjectKey) -> Option<Arc<Stored>> {
        let server = self.shared.server();
        let (_, place) = server.locate(&key.group, &key.kind, &key.namespace, &key.name)?;
        server.store.get(&place).cloned()
    }

    /// What is stored of the objects of a kind in a namespace, in order of their names.
    pub(crate) fn stored(&self, group: &str, kind: &str, namespace: &str) -> Vec<Arc<Stored>> {
        let server = self.shared.server();
        let collection = server.store.kinds.kind(group, kind).and_then(|kind| server.store.of_kind(kind));
        collection.map_or_else(Vec::new, |collection| collection.iter(Some(namespace)).cloned().collect())
    }

    /// Identities of the objects of a kind, without their bodies.
    pub(crate) fn keys(&self, group: &str, kind: &str, namespace: Option<&str>) -> Vec<ObjectKey> {
        let server = self.shared.server();
        let Some(collection) = server.store.kinds.kind(group, kind).and_then(|kind| server.store.of_kind(kind)) else {
            return Vec::new();
        };
        collection.iter(namespace).map(|stored| ObjectKey::new(group, kind, &stored.namespace, &stored.name)).collect()
    }

    /// Whether a kind is known.
    pub(crate) fn has_kind(&self, group: &str, kind: &str) -> bool {
        self.shared.server().store.kinds.kind(group, kind).is_some()
    }

    /// Creates an object as it is given.
    pub(crate) fn create(&self, object: Value) -> Result<Value, ApiError> {
        let mut server = self.shared.server();
        let (kind, version, namespace, _) = target(&server, &object)?;
        let written = server.create(&self.caller(), &kind, &version, &namespace, object, How::Update)?;
        drop(server);
        Ok(written.stored.value())
    }

    /// Applies a JSON merge patch to an object (`subresource`: `""` or `"status"`).
    pub(crate) fn merge(&self, key: &ObjectKey, subresource: &str, change: &Value) -> Result<Value, ApiError> {
        let mut server = self.shared.server();
        let (kind, place) = locate(&server, key)?;
        let version = kind.stored().name.clone();
        let mut object = server.get(&kind, &place.namespace, &place.name)?.value();
        patch::merge(&mut object, change);
        let subresource = door(&kind, &version, subresource);
        let spot = Spot { kind: &kind, version: &version, subresource, namespace: &place.namespace, name: &place.name };
        let written = server.update(&self.caller(), spot, object, How::Update)?;
        drop(server);
        Ok(written.stored.value())
    }

    /// Deletes an object (background propagation): its last state, with a deletionTimestamp if finalizers keep it.
    pub(crate) fn delete(&self, key: &ObjectKey) -> Result<Value, ApiError> {
        let mut server = self.shared.server();
        let (kind, place) = locate(&server, key)?;
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        let written = server.delete(&self.caller(), &kind, &place.namespace, &place.name, &options)?;
        drop(server);
        Ok(written.stored.value())
    }

    fn caller(&self) -> Caller {
        Caller {
            manager: self.manager.clone(),
            dry_run: false,
            unknown: Unknown::Ignore,
            twice: Vec::new(),
            patch: false,
            shown: None,
            scales: false,
            now: stamp(self.now()),
        }
    }
}

/// The status of kinds without a status subresource is written through the front door.
fn door<'a>(kind: &Kind, version: &str, subresource: &'a str) -> &'a str {
    if subresource == "status" && !kind.version(version).is_some_and(|v| v.status) { "" } else { subresource }
}

fn locate(server: &Server, key: &ObjectKey) -> Result<(Arc<Kind>, super::store::Place), ApiError> {
    server.locate(&key.group, &key.kind, &key.namespace, &key.name).ok_or_else(ApiError::no_such_resource)
}

/// Kind, version, namespace and name of a body.
fn target(server: &Server, object: &Value) -> Result<(Arc<Kind>, String, String, String), ApiError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api_version = text("/apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = server.store.kinds.kind(group, &text("/kind")).ok_or_else(ApiError::no_such_resource)?;
    let namespace = if kind.namespaced { text("/metadata/namespace") } else { String::new() };
    Ok((Arc::clone(kind), version.to_owned(), namespace, text("/metadata/name")))
}
