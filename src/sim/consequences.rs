//! What follows from a write without anybody asking: dependents of deleted owners, contents of deleted namespaces, objects of
//! deleted definitions, new kinds, counts of quotas. In a real cluster controllers do this a moment later; here it is settled before
//! the request that caused it is answered, so that no crash can come between.

use std::sync::Arc;

use serde_json::Value;

use super::builtin::{CRDS, EXTENSIONS};
use super::crd;
use super::deletion::{CLEANUP, DeleteOptions, FOREGROUND, ORPHAN, Propagation};
use super::kind::Kind;
use super::rules::{finalizers, set_finalizers};
use super::store::{Place, Stored};
use super::verbs::{Caller, Server};

/// Something to look at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// The owner with this uid is gone.
    OwnerGone(String),
    /// This object has owner references that may point nowhere.
    Owned(Place),
    /// This object is being deleted: orphan or delete its dependents if its finalizers say so.
    Marked(Place),
    /// This namespace is being deleted.
    Namespace(String),
    /// This CustomResourceDefinition is being deleted.
    Definition(String),
    /// What there is in this namespace has changed, or what there may be.
    Quotas(String),
}

impl Server {
    /// Removes an object for good and notes what has to follow.
    pub(crate) fn erase(&mut self, kind: &Arc<Kind>, stored: &Stored) -> Arc<Stored> {
        let last = self
            .store
            .remove(kind, &stored.namespace, &stored.name)
            .expect("an object is removed under the same lock as it was found");
        self.tasks.push_back(Task::OwnerGone(last.uid.to_string()));
        if !last.owners.is_empty() {
            for place in self.owners_of(&last) {
                self.tasks.push_back(Task::Marked(place));
            }
        }
        if kind.namespaced {
            self.tasks.push_back(Task::Namespace(last.namespace.to_string()));
            self.tasks.push_back(Task::Quotas(last.namespace.to_string()));
        }
        if kind.custom {
            self.tasks.push_back(Task::Definition(kind.resource()));
        }
        if kind.is_definition() {
            let object = last.value();
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            self.store.unregister(&text("/spec/group"), &text("/spec/names/plural"));
        }
        last
    }

    /// What follows from a commit.
    pub(crate) fn after_commit(&mut self, caller: &Caller, kind: &Arc<Kind>, before: Option<&Stored>, now: &Arc<Stored>) {
        if kind.is_definition() {
            crd::establish(self, &now.value());
        }
        if !now.owners.is_empty() && before.is_none_or(|b| b.owners != now.owners) {
            self.tasks.push_back(Task::Owned(super::store::place(kind, now)));
        }
        if kind.namespaced && (before.is_none() || matches!(kind.kind.as_str(), "ResourceQuota" | "Service" | "Pod")) {
            self.tasks.push_back(Task::Quotas(now.namespace.to_string()));
        }
        self.settle(caller);
    }

    /// Works off everything that is to follow.
    pub(crate) fn settle(&mut self, caller: &Caller) {
        let system = Caller { manager: "kube-controller-manager".into(), dry_run: false, ..caller.clone() };
        while let Some(task) = self.tasks.pop_front() {
            match task {
                Task::OwnerGone(_) | Task::Owned(_) | Task::Marked(_) | Task::Namespace(_) | Task::Quotas(_)
                    if !self.collects => {}
                Task::Quotas(namespace) => self.recount(&system, &namespace),
                Task::OwnerGone(uid) => {
                    for place in self.store.dependents(&uid) {
                        self.collect(&system, &place);
                    }
                }
                Task::Owned(place) => self.collect(&system, &place),
                Task::Marked(place) => self.marked(&system, &place),
                Task::Namespace(name) => self.empty_namespace(&system, &name),
                Task::Definition(name) => self.empty_definition(&system, &name),
            }
        }
    }

    fn kind_at(&self, place: &Place) -> Option<Arc<Kind>> {
        self.store.kinds.plural(&place.group, &place.plural).cloned()
    }

    /// The places that an object's owner references name and where an object with that uid is.
    fn owners_of(&self, stored: &Stored) -> Vec<Place> {
        let object = stored.value();
        let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        references.into_iter().flatten().filter_map(|reference| self.owner(reference, &stored.namespace)).collect()
    }

    fn owner(&self, reference: &Value, namespace: &str) -> Option<Place> {
        let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        let (_, place) = self.locate(group, text("kind"), namespace, text("name"))?;
        self.store.get(&place).filter(|owner| *owner.uid == *text("uid"))?;
        Some(place)
    }

    /// Deletes an object all of whose owners are gone, or takes the lost ones off.
    fn collect(&mut self, caller: &Caller, place: &Place) {
        let (Some(kind), Some(stored)) = (self.kind_at(place), self.store.get(place).cloned()) else { return };
        let mut object = stored.value();
        let Some(references) = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) else { return };
        let all = references.len();
        let alive: Vec<Value> = references.iter().filter(|r| self.owner(r, &stored.namespace).is_some()).cloned().collect();
        if alive.is_empty() {
            if !stored.deleting {
                let options = DeleteOptions {
                    uid: Some(stored.uid.to_string()),
                    propagation: Some(Propagation::Background),
                    ..DeleteOptions::default()
                };
                let marked = self.mark(caller, &kind, &stored.namespace, &stored.name, &options);
                debug_assert!(marked.is_ok(), "a dependent that was just found can be deleted");
            }
        } else if alive.len() < all {
            *references = alive;
            self.store.commit(&kind, object);
        }
    }

    /// An object with a deletionTimestamp: its dependents are orphaned or deleted if its finalizers want that.
    fn marked(&mut self, caller: &Caller, place: &Place) {
        let (Some(kind), Some(stored)) = (self.kind_at(place), self.store.get(place).cloned()) else { return };
        if !stored.deleting {
            return;
        }
        let mut object = stored.value();
        let mut list = finalizers(&object);
        if list.iter().any(|f| f == ORPHAN) {
            for dependent in self.store.dependents(&stored.uid) {
                self.disown(&dependent, &stored.uid);
            }
            list.retain(|f| f != ORPHAN);
        } else if list.iter().any(|f| f == FOREGROUND) {
            let mut waiting = false;
            for dependent in self.store.dependents(&stored.uid) {
                let (Some(kind), Some(found)) = (self.kind_at(&dependent), self.store.get(&dependent).cloned()) else { continue };
                let value = found.value();
                let references = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
                let blocks = references.into_iter().flatten().any(|r| {
                    r.get("uid").and_then(Value::as_str) == Some(&stored.uid)
                        && r.get("blockOwnerDeletion") == Some(&Value::Bool(true))
                });
                if !found.deleting {
                    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
                    let marked = self.mark(caller, &kind, &found.namespace, &found.name, &options);
                    debug_assert!(marked.is_ok(), "a dependent that was just found can be deleted");
                }
                waiting |= blocks && self.store.get(&dependent).is_some();
            }
            if !waiting {
                list.retain(|f| f != FOREGROUND);
            }
        }
        if list == finalizers(&object) {
            return;
        }
        set_finalizers(&mut object, &list);
        let released = list.is_empty();
        let stored = self.store.commit(&kind, object);
        if released {
            self.erase(&kind, &stored);
        }
    }

    fn disown(&mut self, dependent: &Place, uid: &str) {
        let (Some(kind), Some(stored)) = (self.kind_at(dependent), self.store.get(dependent).cloned()) else { return };
        let mut object = stored.value();
        let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let references = meta.get("ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        let kept: Vec<Value> = references.into_iter().filter(|r| r.get("uid").and_then(Value::as_str) != Some(uid)).collect();
        if kept.is_empty() {
            meta.remove("ownerReferences");
        } else {
            meta.insert("ownerReferences".into(), kept.into());
        }
        self.store.commit(&kind, object);
    }

    /// Deletes what is in a namespace that is being deleted, and releases it once it is empty.
    fn empty_namespace(&mut self, caller: &Caller, name: &str) {
        let namespaces = Arc::clone(self.store.kinds.plural("", "namespaces").expect("namespaces are built in"));
        let Ok(namespace) = self.get(&namespaces, "", name).cloned() else { return };
        if !namespace.deleting {
            return;
        }
        let contents: Vec<(Arc<Kind>, Arc<Stored>)> = self
            .store
            .collections()
            .filter(|collection| collection.kind.namespaced)
            .flat_map(|collection| collection.iter(Some(name)).map(|stored| (Arc::clone(&collection.kind), Arc::clone(stored))))
            .collect();
        for (kind, stored) in contents.iter().filter(|(_, stored)| !stored.deleting) {
            let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            // It may be gone already as a dependent of another.
            if self.get(kind, &stored.namespace, &stored.name).is_ok() {
                let marked = self.mark(caller, kind, &stored.namespace, &stored.name, &options);
                debug_assert!(marked.is_ok(), "an object that was just found can be deleted");
            }
        }
        let empty = self.store.collections().filter(|c| c.kind.namespaced).all(|c| c.iter(Some(name)).next().is_none());
        if !empty {
            return;
        }
        let mut object = namespace.value();
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
        let kept: Vec<Value> = spec
            .get("finalizers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|f| f.as_str() != Some("kubernetes"))
            .cloned()
            .collect();
        let released = kept.is_empty() && finalizers(&object).is_empty();
        if spec_has(&object, "kubernetes") {
            if kept.is_empty() {
                if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                    spec.remove("finalizers");
                }
            } else {
                object["spec"]["finalizers"] = kept.into();
            }
            self.store.commit(&namespaces, object);
        }
        if released && let Ok(namespace) = self.get(&namespaces, "", name).cloned() {
            self.erase(&namespaces, &namespace);
        }
    }

    /// Deletes the objects of a definition that is being deleted, and releases it once there are none.
    fn empty_definition(&mut self, caller: &Caller, name: &str) {
        let definitions = Arc::clone(self.store.kinds.plural(EXTENSIONS, CRDS).expect("definitions are built in"));
        let Ok(definition) = self.get(&definitions, "", name).cloned() else { return };
        if !definition.deleting {
            return;
        }
        let mut object = definition.value();
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
        let collection = self.store.collection(&group, &plural);
        if let Some(kind) = collection.map(|collection| Arc::clone(&collection.kind)) {
            let contents: Vec<Arc<Stored>> = collection.into_iter().flat_map(|c| c.iter(None)).cloned().collect();
            for stored in contents.iter().filter(|stored| !stored.deleting) {
                if self.get(&kind, &stored.namespace, &stored.name).is_ok() {
                    let marked = self.mark(caller, &kind, &stored.namespace, &stored.name, &DeleteOptions::default());
                    debug_assert!(marked.is_ok(), "an object that was just found can be deleted");
                }
            }
        }
        if self.store.collection(&group, &plural).is_some_and(|collection| collection.len() > 0) {
            return;
        }
        let mut list = finalizers(&object);
        if list.iter().any(|f| f == CLEANUP) {
            list.retain(|f| f != CLEANUP);
            set_finalizers(&mut object, &list);
            let stored = self.store.commit(&definitions, object);
            if list.is_empty() {
                self.erase(&definitions, &stored);
            }
        }
    }
}

fn spec_has(object: &Value, finalizer: &str) -> bool {
    let list = object.pointer("/spec/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().any(|f| f.as_str() == Some(finalizer))
}
