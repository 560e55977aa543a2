//! The handshake of the extension kinds, once for all of them: which operation is asked for, `Processing` → `Succeeded` or
//! `Error`, finalizer and deletion, migration, and the ways to fail. What an extension does besides is its own file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::fail::flap;
use super::object::{
    CONFIRMATION, EXTENSIONS, OPERATION, annotation, at, has_finalizer, int, is_deleting, text, with_finalizer, without_finalizer,
};
use super::{Actor, Again, Cx, Fail, Lag, Refused};
use crate::observed::ObjectKey;

/// What one extension kind adds to the handshake.
pub(super) trait Extension: Send {
    /// The name of the controller.
    fn name(&self) -> &'static str;
    /// What it watches; its own kind first.
    fn watches(&self) -> &'static [(&'static str, &'static str)];
    /// The objects of its kind that an event on another kind concerns.
    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        let _ = (cx, key);
        Vec::new()
    }
    /// How long its external work takes, in seconds.
    fn lag(&self) -> Lag {
        2..=20
    }
    /// Creates or updates what the object stands for.
    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem>;
    /// Removes what the object stands for.
    fn delete(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        let _ = (cx, object);
        Ok(Progress::Done(json!({})))
    }
}

/// How far the extension came.
pub(super) enum Progress {
    /// To the end; fields of the status that are its own.
    Done(Value),
    /// It waits for something; events on what it watches bring it forward, the time is for everything else.
    Waiting(String, Again),
}

/// Why the extension could not go on.
#[derive(Debug)]
pub(super) enum Problem {
    /// The operation failed, with error codes of Gardener.
    Failed(String, &'static [&'static str]),
    /// A request was refused; tried again.
    Refused(Refused),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// An extension as an actor.
pub(super) fn actor(extension: impl Extension + 'static) -> Box<dyn Actor> {
    Box::new(Handshake { extension, runs: HashMap::new() })
}

/// Requires that a Secret which a spec refers to is there.
pub(super) fn require_secret(cx: &Cx<'_>, namespace: &str, name: &str) -> Result<Arc<Value>, Problem> {
    cx.get(&ObjectKey::new("", "Secret", namespace, name))
        .ok_or_else(|| Problem::Failed(format!("secret \"{namespace}/{name}\" not found"), &["ERR_CONFIGURATION_PROBLEM"]))
}

/// Requires the Secret of `spec.secretRef`.
pub(super) fn require_secret_ref(cx: &Cx<'_>, object: &Value) -> Result<Arc<Value>, Problem> {
    let namespace = text(object, "/spec/secretRef/namespace");
    let namespace = if namespace.is_empty() { &cx.key.namespace } else { namespace };
    require_secret(cx, namespace, text(object, "/spec/secretRef/name"))
}

/// The Shoot in the Cluster object of the namespace under work.
pub(super) fn shoot(cx: &Cx<'_>) -> Value {
    cx.get(&ObjectKey::new(EXTENSIONS, "Cluster", "", &cx.key.namespace)).map_or(Value::Null, |c| at(&c, "/spec/shoot"))
}

struct Handshake<E> {
    extension: E,
    /// Operations under way. After a restart they begin again, since their state is not `Succeeded`.
    runs: HashMap<ObjectKey, Run>,
}

/// One operation on one object.
#[derive(Debug, Clone)]
struct Run {
    kind: &'static str,
    /// The generation that was read at the start; it alone may be reported as observed.
    generation: i64,
    attempts: u32,
    failed: Option<Failed>,
}

/// A failed attempt. It is repeated when its time has come, or when somebody changed the object; not because of our own status.
#[derive(Debug, Clone)]
struct Failed {
    retry: Option<Instant>,
    read: (i64, Value),
}

/// What of an object makes a failed attempt worth repeating.
fn readings(object: &Value) -> (i64, Value) {
    (int(object, "/metadata/generation"), at(object, "/metadata/annotations"))
}

impl<E: Extension> Actor for Handshake<E> {
    fn name(&self) -> &'static str {
        self.extension.name()
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        self.extension.watches()
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        let (group, kind) = self.extension.watches()[0];
        if key.group == group && key.kind == kind { vec![key.clone()] } else { self.extension.concerns(cx, key) }
    }

    fn forget(&mut self) {
        self.runs.clear();
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key) else {
            self.runs.remove(key);
            return Ok(Again::Done);
        };
        let finalizer = format!("{EXTENSIONS}/{}", key.kind.to_ascii_lowercase());
        let deleting = is_deleting(&object);
        if deleting && !has_finalizer(&object, &finalizer) {
            self.runs.remove(key);
            return Ok(Again::Done);
        }
        let operation = annotation(&object, OPERATION).unwrap_or_default().to_owned();
        let operation = operation.as_str();
        if operation == "wait-for-state" || (is_migrated(&object) && !matches!(operation, "migrate" | "restore")) {
            return Ok(Again::Done);
        }
        let kind = operation_type(&object, operation);
        let asked = deleting || matches!(operation, "reconcile" | "migrate" | "restore");
        match (text(&object, "/status/lastOperation/state"), cx.fail(&object)) {
            ("Succeeded" | "Error", Some(Fail::Flapping)) if !asked => {
                self.runs.remove(key);
                return flapping(cx, key, &object);
            }
            ("Succeeded", _) if !asked => {
                self.runs.remove(key);
                return Ok(Again::Done);
            }
            _ => {}
        }

        let cluster = cx.get(&ObjectKey::new(EXTENSIONS, "Cluster", "", &key.namespace));
        if !key.namespace.is_empty() && key.namespace != "garden" && cluster.is_none() {
            // The engine's library cannot even begin without it, and says so only in its log.
            return Ok(Again::After(Duration::from_secs(1)));
        }
        if cluster.as_ref().is_some_and(|c| is_failed(c)) {
            return Ok(Again::Done);
        }
        let forced = cluster.as_ref().is_some_and(|c| {
            c.pointer("/spec/shoot").and_then(|s| annotation(s, "confirmation.gardener.cloud/force-deletion")) == Some("true")
        });
        let fail = cx.fail(&object).filter(|_| !(deleting && forced));
        if fail == Some(Fail::LostHandshake) {
            if !operation.is_empty() {
                cx.patch_metadata(key, &object, json!({"annotations": {OPERATION: null}}))?;
            }
            return Ok(Again::Done);
        }

        let begins = operation == "reconcile" || self.runs.get(key).is_none_or(|r| r.kind != kind);
        if let Some(Failed { retry, read }) = self.runs.get(key).filter(|_| !begins).and_then(|r| r.failed.as_ref())
            && *read == readings(&object)
        {
            match retry.map(|at| at.saturating_duration_since(Instant::now())) {
                None => return Ok(Again::Done),
                Some(left) if !left.is_zero() => return Ok(Again::After(left)),
                Some(_) => {}
            }
        }
        let object = if begins { self.begin(cx, key, object, kind, operation, &finalizer)? } else { object };
        if deleting && annotation(&object, CONFIRMATION) != Some("true") {
            // Gardener's webhook refuses such a deletion; where it got through, the engine does not follow.
            let message = format!("annotation {CONFIRMATION:?} is missing");
            report_error(cx, key, &object, kind, &message, &["ERR_CONFIGURATION_PROBLEM"])?;
            return Ok(Again::Done);
        }
        let left =
            if fail == Some(Fail::Stuck) { Some(Again::Done) } else { cx.wait("work", self.extension.lag()).map(Again::After) };
        if let Some(again) = left {
            let description = format!("{kind} of {} is under way", key.kind);
            report(cx, key, &object, kind, "Processing", 1, &description, json!({}))?;
            return Ok(again);
        }
        if let Some(Fail::Error(code)) = fail {
            report_error(cx, key, &object, kind, "failed as asked for by annotation", &[&code])?;
            self.fails(key, &object, None);
            return Ok(Again::Done);
        }
        let result = match kind {
            "Delete" => self.extension.delete(cx, &object),
            // The external resources stay as they are; the other seed takes them over.
            "Migrate" => Ok(Progress::Done(json!({}))),
            _ => self.extension.reconcile(cx, &object),
        };
        match result {
            Ok(Progress::Done(status)) => self.end(cx, key, &object, kind, operation, &finalizer, status, fail.as_ref()),
            Ok(Progress::Waiting(what, again)) => {
                report(cx, key, &object, kind, "Processing", 50, &what, json!({}))?;
                // Waiting goes on where it is, without beginning the external work again.
                cx.waiting.extend(cx.begun.clone());
                Ok(again)
            }
            Err(Problem::Refused(refused)) => Err(refused),
            Err(Problem::Failed(message, codes)) => {
                report_error(cx, key, &object, kind, &message, codes)?;
                let pause = Duration::from_millis(500) * 2_u32.pow(self.runs.get(key).map_or(0, |r| r.attempts).min(6));
                self.fails(key, &object, Some(pause));
                Ok(Again::After(pause))
            }
        }
    }
}

impl<E: Extension> Handshake<E> {
    /// Takes note of a failed attempt; without a pause it is repeated only when the object changes.
    fn fails(&mut self, key: &ObjectKey, object: &Value, pause: Option<Duration>) {
        if let Some(run) = self.runs.get_mut(key) {
            run.attempts += 1;
            run.failed = Some(Failed { retry: pause.map(|p| Instant::now() + p), read: readings(object) });
        }
    }

    /// Takes the operation annotation away (`reconcile` at the start, the others at the end) and sets the finalizer.
    fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        key: &ObjectKey,
        object: Arc<Value>,
        kind: &'static str,
        operation: &str,
        finalizer: &str,
    ) -> Result<Arc<Value>, Refused> {
        let mut metadata = Map::new();
        if operation == "reconcile" {
            metadata.insert("annotations".into(), json!({OPERATION: null}));
        }
        if !is_deleting(&object) && !has_finalizer(&object, finalizer) {
            metadata.insert("finalizers".into(), with_finalizer(&object, finalizer));
        }
        let object = if metadata.is_empty() { object } else { cx.patch_metadata(key, &object, Value::Object(metadata))? };
        cx.forget_waits();
        let generation = int(&object, "/metadata/generation");
        self.runs.insert(key.clone(), Run { kind, generation, attempts: 0, failed: None });
        Ok(object)
    }

    #[expect(clippy::too_many_arguments, reason = "one call; the pieces of one operation")]
    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        key: &ObjectKey,
        object: &Value,
        kind: &'static str,
        operation: &str,
        finalizer: &str,
        status: Value,
        fail: Option<&Fail>,
    ) -> Result<Again, Refused> {
        let run = self.runs.get(key).cloned();
        if kind == "Delete" {
            report(
                cx,
                key,
                object,
                kind,
                "Succeeded",
                100,
                &format!("{kind} of {} is done", key.kind),
                json!({"lastError": null}),
            )?;
            let object = cx.get(key).unwrap_or_default();
            cx.patch_metadata(key, &object, json!({"finalizers": without_finalizer(&object, finalizer)}))?;
            self.runs.remove(key);
            return Ok(Again::Done);
        }
        let mut generation = run.map_or_else(|| int(object, "/metadata/generation"), |r| r.generation);
        if fail == Some(&Fail::WrongObservedGeneration) {
            generation -= 1;
        }
        let mut fields =
            Map::from_iter([("lastError".to_owned(), Value::Null), ("observedGeneration".to_owned(), json!(generation))]);
        if let Value::Object(own) = status {
            fields.extend(own);
        }
        report(cx, key, object, kind, "Succeeded", 100, &format!("{kind} of {} is done", key.kind), Value::Object(fields))?;
        self.runs.remove(key);
        if matches!(operation, "migrate" | "restore") {
            let object = cx.get(key).unwrap_or_default();
            let mut metadata = json!({"annotations": {OPERATION: null}});
            if operation == "migrate" {
                metadata["finalizers"] = without_finalizer(&object, finalizer);
            }
            cx.patch_metadata(key, &object, metadata)?;
        }
        Ok(if fail == Some(&Fail::Flapping) { Again::After(flap(cx.now()).1) } else { Again::Done })
    }
}

/// The operation that is asked for.
fn operation_type(object: &Value, operation: &str) -> &'static str {
    let last = text(object, "/status/lastOperation/type");
    let unfinished = text(object, "/status/lastOperation/state") != "Succeeded";
    match (operation, last) {
        ("migrate", _) => "Migrate",
        _ if is_deleting(object) => "Delete",
        ("restore", _) => "Restore",
        (_, "") => "Create",
        (_, "Create") if unfinished => "Create",
        (_, "Migrate") if unfinished => "Migrate",
        (_, "Restore") if unfinished => "Restore",
        _ => "Reconcile",
    }
}

fn is_migrated(object: &Value) -> bool {
    text(object, "/status/lastOperation/type") == "Migrate" && text(object, "/status/lastOperation/state") == "Succeeded"
}

/// Whether the shoot is given up until its spec changes.
fn is_failed(cluster: &Value) -> bool {
    text(cluster, "/spec/shoot/status/lastOperation/state") == "Failed"
        && int(cluster, "/spec/shoot/status/observedGeneration") == int(cluster, "/spec/shoot/metadata/generation")
}

/// Turns of success and error, by the clock alone.
fn flapping(cx: &mut Cx<'_>, key: &ObjectKey, object: &Value) -> Result<Again, Refused> {
    let (up, left) = flap(cx.now());
    let kind = operation_type(object, "");
    if up && text(object, "/status/lastOperation/state") == "Error" {
        report(cx, key, object, kind, "Succeeded", 100, "up again", json!({"lastError": null}))?;
    } else if !up {
        report_error(cx, key, object, kind, "down for a while, as asked for by annotation", &[])?;
    }
    Ok(Again::After(left))
}

/// Writes the last operation and further fields; not if that would change nothing but the time of an operation under way.
#[expect(clippy::too_many_arguments, reason = "the fields of one status")]
fn report(
    cx: &Cx<'_>,
    key: &ObjectKey,
    object: &Value,
    kind: &str,
    state: &str,
    progress: i64,
    description: &str,
    mut fields: Value,
) -> Result<(), Refused> {
    let last = at(object, "/status/lastOperation");
    let same = text(&last, "/type") == kind
        && text(&last, "/state") == state
        && int(&last, "/progress") == progress
        && text(&last, "/description") == description;
    if !same || state == "Succeeded" {
        fields["lastOperation"] = json!({
            "type": kind, "state": state, "progress": progress, "description": description, "lastUpdateTime": cx.stamp(),
        });
    }
    cx.merge_status(key, object, &fields)
}

fn report_error(cx: &Cx<'_>, key: &ObjectKey, object: &Value, kind: &str, message: &str, codes: &[&str]) -> Result<(), Refused> {
    let message = format!("{} of {} failed: {message}", kind, key.kind);
    let generation = int(object, "/metadata/generation");
    let mut fields = json!({"observedGeneration": generation});
    if text(object, "/status/lastError/description") != message {
        fields["lastError"] = json!({"description": message, "lastUpdateTime": cx.stamp()});
        if !codes.is_empty() {
            fields["lastError"]["codes"] = json!(codes);
        }
    }
    report(cx, key, object, kind, "Error", 50, &message, fields)
}
