//! The objects themselves: one resourceVersion for all, per kind an ordered map and a log of recent events.
//!
//! Objects are kept as their JSON text, which is a tenth of the memory of a tree and is what answers are made of. Knows nothing
//! of rules: whatever is committed here has been decided in [`super::verbs`].

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::kind::{Kind, Registry};
use crate::observed::{OWNER_LABEL, ObjectKey};

/// Events kept per kind; a watch from before them gets 410 Gone and lists again.
const LOG: usize = 4096;
/// Bytes of objects that a kind's events may keep, once there are more than a few hundred of them.
const LOG_BYTES: usize = 16 << 20;
const LOG_LEAST: usize = 256;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Created.
    Added,
    /// Changed.
    Modified,
    /// Gone.
    Deleted,
}

/// A change, for subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Of which object.
    pub(crate) key: ObjectKey,
    /// What happened.
    pub(crate) what: What,
    /// resourceVersion of the change.
    pub(crate) version: u64,
}

/// Namespace and name.
type Names = (Box<str>, Box<str>);

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One stored object.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The object in its storage version, canonical JSON.
    pub(crate) json: Bytes,
    /// resourceVersion.
    pub(crate) version: u64,
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    /// uids of owners.
    pub(crate) owners: Box<[Box<str>]>,
    /// Whether deletionTimestamp is set.
    pub(crate) deleting: bool,
    /// Whether it was written with empty metadata, which nobody who reads it sees.
    pub(crate) hollow: bool,
}

impl Stored {
    /// Reads the identifying parts out of an object whose resourceVersion is set.
    pub(crate) fn of(object: &Value, version: u64) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().into();
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).map_or_else(Vec::new, |labels| {
            labels.iter().filter_map(|(k, v)| Some((k.as_str().into(), v.as_str()?.into()))).collect()
        });
        let owners = object
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |owners| owners.iter().filter_map(|o| o.get("uid")?.as_str().map(Into::into)).collect());
        let json = serde_json::to_vec(object).expect("a JSON value can be written");
        Self {
            json: Bytes::from(json.into_boxed_slice()),
            version,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            labels: labels.into_boxed_slice(),
            owners: owners.into_boxed_slice(),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
            hollow: false,
        }
    }

    /// The object as a tree.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("what is stored is JSON")
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
    }
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) what: What,
    /// After the change; for a deletion, the last state with the deletion's resourceVersion.
    pub(crate) now: Arc<Stored>,
    pub(crate) before: Option<Arc<Stored>>,
}

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) kind: Arc<Kind>,
    objects: BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<Stored>>>,
    owned: BTreeMap<Box<str>, BTreeSet<Names>>,
    count: usize,
    log: VecDeque<Event>,
    log_bytes: usize,
    /// A watch must start at or after this.
    compacted: u64,
    changed: watch::Sender<u64>,
}

impl Collection {
    fn new(kind: Arc<Kind>, compacted: u64) -> Self {
        Self {
            kind,
            objects: BTreeMap::new(),
            owned: BTreeMap::new(),
            count: 0,
            log: VecDeque::new(),
            log_bytes: 0,
            compacted,
            changed: watch::Sender::new(0),
        }
    }

    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.objects.get(namespace)?.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Objects in order of namespace and name, of one namespace or of all.
    pub(crate) fn iter<'a>(&'a self, namespace: Option<&'a str>) -> Box<dyn Iterator<Item = &'a Arc<Stored>> + 'a> {
        match namespace {
            Some(namespace) => Box::new(self.objects.get(namespace).into_iter().flat_map(BTreeMap::values)),
            None => Box::new(self.objects.values().flat_map(BTreeMap::values)),
        }
    }

    /// Objects with this value of the owner label, in order.
    pub(crate) fn labelled<'a>(&'a self, owner: &str) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
        self.owned.get(owner).into_iter().flatten().filter_map(|(namespace, name)| self.get(namespace, name))
    }

    /// One page of the objects of a namespace (or all) as they were at `version`, by undoing the log: at most `limit` that
    /// `matches`, after a given namespace and name, and whether there are more, be it of those that do not match.
    pub(crate) fn page(
        &self,
        namespace: Option<&str>,
        version: u64,
        after: Option<(&str, &str)>,
        limit: usize,
        matches: impl Fn(&Stored) -> bool,
    ) -> Result<(Vec<Arc<Stored>>, bool), u64> {
        let mut undo: BTreeMap<(&str, &str), Option<&Arc<Stored>>> = BTreeMap::new();
        for event in self.since(version)? {
            let key: (&str, &str) = (&event.now.namespace, &event.now.name);
            if namespace.is_none_or(|n| n == key.0) && after.is_none_or(|after| key > after) {
                undo.entry(key).or_insert(event.before.as_ref());
            }
        }
        let mut undo = undo.into_iter().peekable();
        let mut live = self.after(namespace, after).peekable();
        let mut page = Vec::new();
        loop {
            let next: Option<(&str, &str)> = live.peek().map(|stored| (&*stored.namespace, &*stored.name));
            let undone = undo.peek().map(|(key, _)| *key);
            let found = match (next, undone) {
                (None, None) => return Ok((page, false)),
                (Some(next), Some(undone)) if next < undone => live.next(),
                (Some(_), None) => live.next(),
                (next, Some(undone)) => {
                    if next == Some(undone) {
                        live.next();
                    }
                    undo.next().and_then(|(_, before)| before)
                }
            };
            let Some(stored) = found else { continue };
            if page.len() == limit {
                return Ok((page, true));
            }
            if matches(stored) {
                page.push(Arc::clone(stored));
            }
        }
    }

    fn after<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<(&str, &str)>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Stored>> + 'a> {
        use std::ops::Bound::{Excluded, Unbounded};
        let Some((last_namespace, last_name)) = after else { return self.iter(namespace) };
        let names = self.objects.get(namespace.unwrap_or(last_namespace));
        let begun = names.map(|names| names.range::<str, _>((Excluded(last_name), Unbounded)).map(|(_, stored)| stored));
        let begun = begun.into_iter().flatten();
        if namespace.is_some() {
            return Box::new(begun);
        }
        let others = self.objects.range::<str, _>((Excluded(last_namespace), Unbounded)).flat_map(|(_, names)| names.values());
        Box::new(begun.chain(others))
    }

    /// The events after `version`; `Err` with the oldest possible start if some of them are forgotten.
    pub(crate) fn since(&self, version: u64) -> Result<impl Iterator<Item = &Event>, u64> {
        if version < self.compacted {
            return Err(self.compacted);
        }
        let start = self.log.partition_point(|event| event.now.version <= version);
        Ok(self.log.range(start..))
    }

    /// A receiver that is told of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn put(&mut self, stored: Arc<Stored>) -> Option<Arc<Stored>> {
        if let Some(owner) = stored.label(OWNER_LABEL) {
            self.owned.entry(owner.into()).or_default().insert((stored.namespace.clone(), stored.name.clone()));
        }
        let names = self.objects.entry(stored.namespace.clone()).or_default();
        let old = names.insert(stored.name.clone(), Arc::clone(&stored));
        match &old {
            None => self.count += 1,
            Some(old) if old.label(OWNER_LABEL) != stored.label(OWNER_LABEL) => self.unlabel(old),
            Some(_) => {}
        }
        old
    }

    fn take(&mut self, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let names = self.objects.get_mut(namespace)?;
        let old = names.remove(name)?;
        if names.is_empty() {
            self.objects.remove(namespace);
        }
        self.count -= 1;
        self.unlabel(&old);
        Some(old)
    }

    fn unlabel(&mut self, old: &Stored) {
        if let Some(owner) = old.label(OWNER_LABEL)
            && let Some(names) = self.owned.get_mut(owner)
        {
            names.remove(&(old.namespace.clone(), old.name.clone()));
            if names.is_empty() {
                self.owned.remove(owner);
            }
        }
    }

    fn record(&mut self, event: Event) {
        let version = event.now.version;
        self.log_bytes += event.now.json.len();
        self.log.push_back(event);
        while (self.log.len() > LOG || (self.log.len() > LOG_LEAST && self.log_bytes > LOG_BYTES))
            && let Some(old) = self.log.pop_front()
        {
            self.log_bytes -= old.now.json.len();
            self.compacted = old.now.version;
        }
        self.changed.send_replace(version);
    }
}

/// What must become durable.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) place: Place,
    pub(crate) version: u64,
    /// `None`: removed.
    pub(crate) json: Option<Bytes>,
}

/// Everything in a cluster.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) version: u64,
    pub(crate) kinds: Registry,
    collections: BTreeMap<String, BTreeMap<String, Collection>>,
    /// Dependents by the uid of their owner.
    dependents: HashMap<Box<str>, BTreeSet<Place>>,
    subscribers: Vec<mpsc::UnboundedSender<Change>>,
    /// Where changes go to become durable.
    journal: Option<std::sync::mpsc::Sender<Vec<Record>>>,
    /// Changes of the request that is being answered: they become durable together.
    unwritten: Vec<Record>,
    /// Commits so far.
    pub(crate) commits: u64,
}

impl Store {
    pub(crate) fn new(kinds: Registry) -> Self {
        let mut store = Self {
            version: 1,
            kinds: Registry::default(),
            collections: BTreeMap::new(),
            dependents: HashMap::new(),
            subscribers: Vec::new(),
            journal: None,
            unwritten: Vec::new(),
            commits: 0,
        };
        let all: Vec<Arc<Kind>> = kinds.groups().flat_map(|(_, kinds)| kinds.values().cloned()).collect();
        for kind in all {
            store.register(kind);
        }
        store
    }

    /// Makes a kind known, or replaces what is known of it.
    pub(crate) fn register(&mut self, kind: Arc<Kind>) {
        let version = self.version;
        self.kinds.insert(Arc::clone(&kind));
        let group = self.collections.entry(kind.group.clone()).or_default();
        match group.get_mut(&kind.plural) {
            Some(collection) => collection.kind = kind,
            None => {
                group.insert(kind.plural.clone(), Collection::new(kind, version));
            }
        }
    }

    /// Forgets a kind; its watches end.
    pub(crate) fn unregister(&mut self, group: &str, plural: &str) {
        self.kinds.remove(group, plural);
        if let Some(collections) = self.collections.get_mut(group) {
            collections.remove(plural);
        }
    }

    pub(crate) fn collection(&self, group: &str, plural: &str) -> Option<&Collection> {
        self.collections.get(group)?.get(plural)
    }

    pub(crate) fn of_kind(&self, kind: &Kind) -> Option<&Collection> {
        self.collection(&kind.group, &kind.plural)
    }

    pub(crate) fn collections(&self) -> impl Iterator<Item = &Collection> {
        self.collections.values().flat_map(BTreeMap::values)
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&Arc<Stored>> {
        self.collection(&place.group, &place.plural)?.get(&place.namespace, &place.name)
    }

    /// The objects that name this uid as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Place> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    pub(crate) fn subscribe(&mut self) -> mpsc::UnboundedReceiver<Change> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribers.push(sender);
        receiver
    }

    pub(crate) fn journal(&mut self, journal: std::sync::mpsc::Sender<Vec<Record>>) {
        self.journal = Some(journal);
    }

    /// Drops the way to durability, so that the writer ends when it has written everything.
    pub(crate) fn close(&mut self) {
        self.journal = None;
    }

    /// Stores an object under a new resourceVersion, which is written into it.
    pub(crate) fn commit(&mut self, kind: &Kind, object: Value) -> Arc<Stored> {
        self.commit_as(kind, object, false)
    }

    /// The same for an object of which it is known whether it is hollow.
    pub(crate) fn commit_as(&mut self, kind: &Kind, mut object: Value, hollow: bool) -> Arc<Stored> {
        self.version += 1;
        let version = self.version;
        object["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let stored = Arc::new(Stored { hollow, ..Stored::of(&object, version) });
        let place = place(kind, &stored);
        let collection = self
            .collections
            .get_mut(&kind.group)
            .and_then(|group| group.get_mut(&kind.plural))
            .expect("objects are committed to known kinds");
        let before = collection.put(Arc::clone(&stored));
        let what = if before.is_some() { What::Modified } else { What::Added };
        collection.record(Event { what, now: Arc::clone(&stored), before: before.clone() });
        self.relink(&place, before.as_deref(), Some(&stored));
        self.publish(kind, place, what, &stored, Some(stored.json.clone()));
        stored
    }

    /// Removes an object; the event carries its last state under a new resourceVersion.
    pub(crate) fn remove(&mut self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let collection = self.collections.get_mut(&kind.group)?.get_mut(&kind.plural)?;
        let before = collection.take(namespace, name)?;
        self.version += 1;
        let mut object = before.value();
        object["metadata"]["resourceVersion"] = Value::String(self.version.to_string());
        let last = Arc::new(Stored::of(&object, self.version));
        collection.record(Event { what: What::Deleted, now: Arc::clone(&last), before: Some(Arc::clone(&before)) });
        let place = place(kind, &last);
        self.relink(&place, Some(&before), None);
        self.publish(kind, place, What::Deleted, &last, None);
        Some(last)
    }

    /// Puts an object back as it was read from disk.
    pub(crate) fn restore(&mut self, kind: &Kind, object: &Value, version: u64) {
        let stored = Arc::new(Stored::of(object, version));
        let place = place(kind, &stored);
        if let Some(collection) = self.collections.get_mut(&kind.group).and_then(|group| group.get_mut(&kind.plural)) {
            collection.put(Arc::clone(&stored));
        }
        self.relink(&place, None, Some(&stored));
    }

    /// Sets the counter after restoring; nothing before it can be watched.
    pub(crate) fn resume(&mut self, version: u64) {
        self.version = self.version.max(version);
        self.compact();
    }

    /// Forgets all events: every watch from an earlier resourceVersion gets 410 Gone.
    pub(crate) fn compact(&mut self) {
        let version = self.version;
        for collection in self.collections.values_mut().flat_map(BTreeMap::values_mut) {
            collection.log.clear();
            collection.log_bytes = 0;
            collection.compacted = version;
        }
    }

    fn relink(&mut self, place: &Place, before: Option<&Stored>, now: Option<&Stored>) {
        let old = before.map_or(&[][..], |b| &b.owners);
        let new = now.map_or(&[][..], |n| &n.owners);
        if old == new {
            return;
        }
        for uid in old.iter().filter(|uid| !new.contains(uid)) {
            if let Some(places) = self.dependents.get_mut(uid) {
                places.remove(place);
                if places.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
        for uid in new.iter().filter(|uid| !old.contains(uid)) {
            self.dependents.entry(uid.clone()).or_default().insert(place.clone());
        }
    }

    fn publish(&mut self, kind: &Kind, place: Place, what: What, stored: &Stored, json: Option<Bytes>) {
        self.commits += 1;
        if !self.subscribers.is_empty() {
            let key = ObjectKey::new(&kind.group, &kind.kind, &stored.namespace, &stored.name);
            let change = Change { key, what, version: stored.version };
            self.subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        }
        if self.journal.is_some() {
            self.unwritten.push(Record { place, version: stored.version, json });
        }
    }

    /// Hands over what was changed since the last time, to become durable as a whole or not at all.
    pub(crate) fn flush(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.unwritten);
        if let Some(journal) = &self.journal {
            let sent = journal.send(records);
            debug_assert!(sent.is_ok(), "the writer outlives the store");
        }
    }
}

/// The place of a stored object.
pub(crate) fn place(kind: &Kind, stored: &Stored) -> Place {
    Place {
        group: kind.group.clone(),
        plural: kind.plural.clone(),
        namespace: stored.namespace.to_string(),
        name: stored.name.to_string(),
    }
}
