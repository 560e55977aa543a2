//! Deletion: what it may insist on, and what stands in its way.

use std::sync::Arc;

use serde_json::{Value, json};

use super::consequences::Task;
use super::decode;
use super::defaults;
use super::error::ApiError;
use super::kind::Kind;
use super::rules::{add, finalizers, is_released_namespace, set_finalizers};
use super::store::Stored;
use super::verbs::{Caller, Server, Written, stale};

/// Finalizer that makes dependents lose their owner reference instead of their life.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer that keeps an owner until its dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer that keeps a CustomResourceDefinition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What a deletion may insist on.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) propagation: Option<Propagation>,
}

/// What becomes of dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

impl Server {
    /// Deletes an object, or marks it as being deleted while finalizers stand in the way.
    pub(crate) fn delete(
        &mut self,
        caller: &Caller,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Written, ApiError> {
        let written = self.mark(caller, kind, namespace, name, options)?;
        if !caller.dry_run {
            self.settle(caller);
        }
        // A settled deletion may have taken the object with it.
        let gone = self.get(kind, namespace, name).map_or(true, |now| now.uid != written.stored.uid);
        Ok(Written { removed: written.removed || (gone && !caller.dry_run), ..written })
    }

    /// The first half of a deletion, without its consequences.
    pub(crate) fn mark(
        &mut self,
        caller: &Caller,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Written, ApiError> {
        let current = Arc::clone(self.get(kind, namespace, name)?);
        if let Some(uid) = &options.uid
            && **uid != *current.uid
        {
            let why = format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                current.uid
            );
            return Err(ApiError::precondition(kind, name, &why));
        }
        if let Some(version) = &options.version
            && *version != current.version.to_string()
        {
            let why = format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
                current.version
            );
            return Err(ApiError::precondition(kind, name, &why));
        }
        if kind.is_namespace() && matches!(name, "default" | "kube-system" | "kube-public") {
            return Err(ApiError::forbidden(kind, name, "this namespace may not be deleted"));
        }
        let mut object = current.value();
        let mut finalizers = finalizers(&object);
        // Its controller takes it away as soon as nothing uses the claim; nothing does here.
        finalizers.retain(|f| f != defaults::CLAIM);
        match options.propagation {
            Some(Propagation::Orphan) => {
                finalizers.retain(|f| f != FOREGROUND);
                add(&mut finalizers, ORPHAN);
            }
            Some(Propagation::Foreground) => {
                finalizers.retain(|f| f != ORPHAN);
                add(&mut finalizers, FOREGROUND);
            }
            Some(Propagation::Background) => finalizers.retain(|f| f != ORPHAN && f != FOREGROUND),
            None => {}
        }
        let is_crd = kind.is_definition();
        if is_crd && !current.deleting {
            add(&mut finalizers, CLEANUP);
        }
        let is_namespace = kind.is_namespace();
        let blocked = !finalizers.is_empty() || (is_namespace && !is_released_namespace(&object));
        if !blocked {
            // What stood in its way goes first, and with it goes what is known of the version that was asked for.
            if let Some(version) =
                options.version.as_ref().filter(|_| !caller.dry_run && object.pointer("/metadata/finalizers").is_some())
            {
                let why = format!("ResourceVersion in precondition: , ResourceVersion in object meta: {version}");
                return Err(ApiError::conflict(kind, name, &stale(kind, namespace, name, &why)));
            }
            if caller.dry_run && object.pointer("/metadata/finalizers").is_some() {
                // What stood in its way would go first; that is as far as it gets, and nothing comes of it.
                let stored = Arc::new(Stored::of(&blank(kind, &object), current.version));
                return Ok(Written { stored, created: false, removed: false, warnings: Vec::new() });
            }
            if caller.dry_run {
                return Ok(Written { stored: current, created: false, removed: true, warnings: Vec::new() });
            }
            let last = self.erase(kind, &current);
            return Ok(Written { stored: last, created: false, removed: true, warnings: Vec::new() });
        }
        let before = object.clone();
        set_finalizers(&mut object, &finalizers);
        if !current.deleting {
            object["metadata"]["deletionTimestamp"] = caller.now.clone().into();
            object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
            if let Some(generation) = object.pointer("/metadata/generation").and_then(Value::as_i64) {
                object["metadata"]["generation"] = (generation + 1).into();
            }
            if is_namespace {
                object["status"]["phase"] = "Terminating".into();
            }
            if is_crd {
                super::crd::terminating(&mut object, &caller.now);
            }
        }
        if object == before || caller.dry_run {
            let stored = if object == before { current } else { Arc::new(Stored::of(&object, current.version)) };
            return Ok(Written { stored, created: false, removed: false, warnings: Vec::new() });
        }
        let stored = self.store.commit(kind, object);
        let place = super::store::place(kind, &stored);
        if is_namespace {
            self.tasks.push_back(Task::Namespace(name.to_owned()));
        }
        if is_crd {
            self.tasks.push_back(Task::Definition(name.to_owned()));
        }
        self.tasks.push_back(Task::Marked(place));
        Ok(Written { stored, created: false, removed: false, warnings: Vec::new() })
    }
}

/// An object of the same kind of which nothing is known.
fn blank(kind: &Kind, object: &Value) -> Value {
    let version = kind.stored();
    let mut blank = kind.structure(version).filter(|_| !kind.custom).map_or_else(|| json!({}), decode::blank);
    blank["apiVersion"] = object["apiVersion"].clone();
    blank["kind"] = object["kind"].clone();
    if !kind.custom {
        blank["metadata"] = json!({});
        if version.scale.is_some() {
            blank["spec"]["replicas"] = 0.into();
        }
    }
    blank
}
