//! Deletion: what it may insist on, and what stands in its way.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::clock::stamp;
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
    /// So many seconds to end in.
    pub(crate) grace: Option<i64>,
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
        let grace = grace(kind, &object, options);
        let ends = grace.is_some_and(|seconds| seconds > 0);
        let blocked = !finalizers.is_empty() || ends || (is_namespace && !is_released_namespace(&object));
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
            let ending = grace.map(|seconds| {
                // A pod is seen to end before it is gone.
                if current.deleting {
                    shorten(&mut object, &caller.now, Some(seconds));
                } else {
                    ending(&mut object, &caller.now, seconds);
                }
                self.store.commit(kind, object)
            });
            let last = self.erase(kind, &ending.unwrap_or(current));
            return Ok(Written { stored: last, created: false, removed: true, warnings: Vec::new() });
        }
        let before = object.clone();
        set_finalizers(&mut object, &finalizers);
        if current.deleting {
            shorten(&mut object, &caller.now, options.grace.and(grace));
        } else {
            ending(&mut object, &caller.now, grace.unwrap_or_default());
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

/// How many seconds an object has to end in; `None` for kinds that do not end but are gone.
///
/// Only a pod on a node has a kubelet that ends it, and nobody stands for one here: it stays until it is deleted with no seconds.
fn grace(kind: &Kind, pod: &Value, options: &DeleteOptions) -> Option<i64> {
    if !kind.is_pod() {
        return None;
    }
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Failed" | "Succeeded") {
        return Some(0);
    }
    let own = || pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    let seconds = options.grace.or_else(own).unwrap_or_default();
    Some(if seconds < 0 { 1 } else { seconds })
}

/// Says of an object that it ends in so many seconds, which counts as a change of what is wanted.
fn ending(object: &mut Value, now: &str, seconds: i64) {
    object["metadata"]["deletionTimestamp"] = later(now, seconds).into();
    object["metadata"]["deletionGracePeriodSeconds"] = seconds.into();
    if let Some(generation) = object.pointer("/metadata/generation").and_then(Value::as_i64) {
        object["metadata"]["generation"] = (generation + 1).into();
    }
}

/// Gives an object that ends less time than it was given, if that was asked for.
fn shorten(object: &mut Value, now: &str, seconds: Option<i64>) {
    let given = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let (Some(given), Some(seconds)) = (given, seconds) else { return };
    if seconds < given {
        let until = object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str).unwrap_or(now);
        object["metadata"]["deletionTimestamp"] = later(until, seconds - given).into();
        object["metadata"]["deletionGracePeriodSeconds"] = seconds.into();
    }
}

/// So many seconds after a moment.
fn later(moment: &str, seconds: i64) -> String {
    let parsed: Option<Timestamp> = moment.parse().ok();
    let later = parsed.and_then(|at| at.checked_add(SignedDuration::from_secs(seconds)).ok());
    later.map_or_else(|| moment.to_owned(), stamp)
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
