//! One step: which requests it is made of.
//!
//! *Create.* Server-side apply would silently take over a foreign object of the same name. So a creation first looks: if
//! something stands there and is tracked as ours, a lost answer or a crash is being repeated and it is updated; if it is not
//! ours, that is a conflict and the next pass holds the step. If nothing stands there, the apply is sent without force, so an
//! object that appears in between and has other values is a conflict as well; one with the same values shows in the answer.
//!
//! *Once.* Fields that are set once are part of the first apply, then co-owned by `espalier-once`, then given up by `espalier`:
//! the object is complete from its first moment and no value is ever dropped on the way. A crash in between leaves fields in our
//! set that the plan sees and an update removes, after `espalier-once` has them.
//!
//! *Volumes.* How large they are is asked for once. What `espalier-once` co-owns of them is what is there, word for word: the claims
//! of a StatefulSet are one value that the server completes and lets nobody change, so as we wrote them they would be a conflict
//! with ourselves, and as we would write them today they would be refused.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use zeroize::Zeroize as _;

use super::Written;
use super::token::{self, Token};
use crate::cluster::{Cluster, ClusterError, Clusters, KindRef, Write};
use crate::observed::{Keep, MANAGER, MANAGER_DECISIONS, MANAGER_ONCE, MANAGER_STATUS, Object};
use crate::plan::{Action, RENEW, Step};

/// Gardener's annotations, as its extensions read them.
const OPERATION: &str = "gardener.cloud/operation";
const TIMESTAMP: &str = "gardener.cloud/timestamp";
const CONFIRMATION: &str = "confirmation.gardener.cloud/deletion";
/// Our own finalizer on Shoots, Seeds and Projects.
const PROTECTION: &str = "espalier.dev/protect";

/// HTTP 201.
const CREATED: u16 = 201;

const APPLY: Write = Write::Apply { manager: MANAGER, force: true };
const APPLY_NEW: Write = Write::Apply { manager: MANAGER, force: false };
const APPLY_MARK: Write = Write::Apply { manager: MANAGER_STATUS, force: true };
const APPLY_DECISION: Write = Write::Apply { manager: MANAGER_DECISIONS, force: true };
/// Without force: a field that its controller has taken over meanwhile is its controller's.
const APPLY_ONCE: Write = Write::Apply { manager: MANAGER_ONCE, force: false };
const APPLY_ONCE_FROM_US: Write = Write::Apply { manager: MANAGER_ONCE, force: true };
const PATCH: Write = Write::Merge { manager: MANAGER };

/// Where it says how large the volumes are that are made from an object: group, kind, pointer. They keep the size that they have.
const VOLUMES: [(&str, &str, &str); 5] = [
    ("apps", "StatefulSet", "/spec/volumeClaimTemplates"),
    ("druid.gardener.cloud", "Etcd", "/spec/storageCapacity"),
    ("monitoring.coreos.com", "Alertmanager", "/spec/storage/volumeClaimTemplate/spec/resources/requests/storage"),
    ("monitoring.coreos.com", "Prometheus", "/spec/storage/volumeClaimTemplate/spec/resources/requests/storage"),
    ("operator.victoriametrics.com", "VLSingle", "/spec/storage/resources/requests/storage"),
];

/// One object of one cluster.
struct Place<'a> {
    cluster: &'a Cluster,
    kind: KindRef,
    step: &'a Step,
    path: String,
    keep: Arc<Keep>,
    now: jiff::Timestamp,
}

pub(super) async fn perform(step: &Step, clusters: &Clusters) -> Result<Written, ClusterError> {
    if matches!(step.action, Action::Hold) {
        return Ok(Written { changed: false, object: None });
    }
    let cluster = clusters.cluster(&step.target)?;
    let kind = KindRef::new(step.api_version.clone(), step.key.kind.clone());
    let path = cluster.object_path(&kind, &step.key).await?;
    let place = Place { cluster: &cluster, kind, step, path, keep: clusters.keep(), now: clusters.now() };
    match &step.action {
        Action::Create { body, once, trigger } => place.create(body, once.as_deref(), *trigger).await,
        Action::Update { uid, body, once, drift: _, trigger } => place.update(Some(uid), body, once.as_deref(), *trigger).await,
        Action::Adopt { body } => place.update(None, body, None, false).await,
        Action::Trigger => place.trigger().await,
        Action::Renew { uid, namespace, account } => place.renew(uid, &token::issue(clusters, namespace, account).await?).await,
        Action::Recreate { uid, resource_version } => place.delete(uid, resource_version).await,
        Action::Delete { uid, resource_version, confirm, release } => {
            place.confirm_and_delete(uid, resource_version, *confirm, *release).await
        }
        Action::Decide { body, resource_version } => place.decide(body, resource_version).await,
        Action::Mark { body } => place.mark(body).await,
        Action::Status { patch } => place.status(patch).await,
        Action::Hold => Ok(Written { changed: false, object: None }),
    }
}

impl Place<'_> {
    async fn create(&self, body: &Value, once: Option<&Value>, trigger: bool) -> Result<Written, ClusterError> {
        match self.cluster.look(&self.kind, &self.step.key, &self.keep).await? {
            Some(found) if found.deleting => Err(self.conflict("AlreadyExists", "an object of this name is still being deleted")),
            Some(found) if found.is_tracked() => self.update(Some(&found.uid), body, once, trigger).await,
            Some(_) => Err(self.conflict("AlreadyExists", "an object of this name exists and is not ours")),
            None => {
                let whole = once.map(|once| merged(body, once));
                let mut object = self.send_new(whole.as_ref().unwrap_or(body)).await?;
                if let Some(once) = once {
                    self.co_own(&as_it_is(once, self.volumes(once), &object)).await?;
                    object = self.send(APPLY, body).await?;
                }
                if trigger {
                    object = self.annotate_operation().await?;
                }
                Ok(self.written(object))
            }
        }
    }

    /// The first apply of an object that was not there a moment ago. If the server says that it did not create it, somebody did
    /// in between, with the very values that we wanted: we let go of it again, and the next pass sees it as foreign.
    async fn send_new(&self, body: &Value) -> Result<Value, ClusterError> {
        let answer = self.cluster.write(APPLY_NEW, &self.path, body.to_string().into_bytes()).await?;
        if answer.status == CREATED {
            return Ok(answer.body);
        }
        let mut identity = json!({ "apiVersion": self.step.api_version, "kind": self.step.key.kind });
        identity["metadata"] = json!({ "name": self.step.key.name });
        if !self.step.key.namespace.is_empty() {
            identity["metadata"]["namespace"] = Value::String(self.step.key.namespace.clone());
        }
        self.send(APPLY, &identity).await?;
        Err(self.conflict("AlreadyExists", "an object of this name appeared while it was being created"))
    }

    async fn update(
        &self,
        uid: Option<&str>,
        body: &Value,
        once: Option<&Value>,
        trigger: bool,
    ) -> Result<Written, ClusterError> {
        let went = |e: ClusterError| match uid {
            Some(_) if e.is_not_found() => self.conflict("Conflict", "the object went after its update was planned"),
            _ => e,
        };
        if let Some(once) = once {
            let mut once = of_uid(once, uid);
            if let Some(volumes) = self.volumes(&once) {
                let live: Value = self.cluster.get(&self.path).await.map_err(went)?;
                once = as_it_is(&once, Some(volumes), &live);
            }
            self.co_own(&once).await?;
        }
        let mut object = self.send(APPLY, &of_uid(body, uid)).await.map_err(went)?;
        if trigger {
            object = self.annotate_operation().await?;
        }
        Ok(self.written(object))
    }

    /// Gives `espalier-once` its fields before `espalier` may let go of them. A conflict between managers says that a controller
    /// owns one of them with another value: then it does not need us. With `espalier` alone it is about an order that is not given
    /// any more, no replicas while a shoot sleeps: without the first value, what a server sets by itself would come after it. Any
    /// other conflict gave nothing to anybody, and fields that nobody owns would go.
    async fn co_own(&self, once: &Value) -> Result<(), ClusterError> {
        match self.send(APPLY_ONCE, once).await {
            Ok(_) => Ok(()),
            Err(e) if e.is_conflict_with(MANAGER) => self.send(APPLY_ONCE_FROM_US, once).await.map(drop),
            Err(e) if e.is_field_conflict() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Where these fields say how large the object's volumes are; `None` if they do not.
    fn volumes(&self, once: &Value) -> Option<&'static str> {
        let here = |(group, kind, _): &&(&str, &str, &str)| *group == self.step.key.group && *kind == self.step.key.kind;
        VOLUMES.iter().find(here).map(|(_, _, pointer)| *pointer).filter(|pointer| once.pointer(pointer).is_some())
    }

    async fn trigger(&self) -> Result<Written, ClusterError> {
        self.annotate_operation().await.map(|object| self.written(object))
    }

    async fn renew(&self, uid: &str, token: &Token) -> Result<Written, ClusterError> {
        let mut body = json!({ "metadata": { "uid": uid, "annotations": { RENEW: token.renew.to_string() } } });
        body["data"] = json!({ "token": *token.encoded });
        let sent = self.send(PATCH, &body).await;
        if let Some(Value::String(encoded)) = body.pointer_mut("/data/token") {
            encoded.zeroize();
        }
        sent.map(|object| self.written(object))
    }

    /// The extension handshake: never part of what is applied, so that it is never drift and never repeated by itself.
    async fn annotate_operation(&self) -> Result<Value, ClusterError> {
        let annotations = json!({ OPERATION: "reconcile", TIMESTAMP: self.now.to_string() });
        self.send(PATCH, &json!({ "metadata": { "annotations": annotations } })).await
    }

    async fn decide(&self, body: &Value, resource_version: &str) -> Result<Written, ClusterError> {
        let mut body = body.clone();
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), Value::String(resource_version.to_owned()));
        }
        self.send(APPLY_DECISION, &body).await.map(|object| self.written(object))
    }

    async fn mark(&self, body: &Value) -> Result<Written, ClusterError> {
        self.send(APPLY_MARK, body).await.map(|object| self.written(object))
    }

    async fn status(&self, patch: &Value) -> Result<Written, ClusterError> {
        let path = format!("{}/status", self.path);
        let answer = self.cluster.write(PATCH, &path, patch.to_string().into_bytes()).await?;
        Ok(self.written(answer.body))
    }

    async fn confirm_and_delete(
        &self,
        uid: &str,
        resource_version: &str,
        confirm: bool,
        release: bool,
    ) -> Result<Written, ClusterError> {
        let mut version = resource_version.to_owned();
        if confirm {
            let annotations = json!({ CONFIRMATION: "true", TIMESTAMP: self.now.to_string() });
            let patch = json!({ "metadata": { "uid": uid, "resourceVersion": version, "annotations": annotations } });
            match self.send(PATCH, &patch).await {
                Ok(object) => version = self.version(&object)?,
                Err(e) if e.is_not_found() => return Ok(Written { changed: false, object: None }),
                Err(e) => return Err(e),
            }
        }
        if release {
            let Some(found) = self.cluster.look(&self.kind, &self.step.key, &self.keep).await? else {
                return Ok(Written { changed: false, object: None });
            };
            if found.uid != uid || found.resource_version != version {
                return Err(self.conflict("Conflict", "the object changed after its deletion was planned"));
            }
            if found.finalizers.iter().any(|f| f == PROTECTION) {
                let left: Vec<&String> = found.finalizers.iter().filter(|f| *f != PROTECTION).collect();
                let patch = json!({ "metadata": { "uid": uid, "resourceVersion": version, "finalizers": left } });
                version = self.version(&self.send(PATCH, &patch).await?)?;
            }
        }
        self.delete(uid, &version).await
    }

    async fn delete(&self, uid: &str, resource_version: &str) -> Result<Written, ClusterError> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": { "uid": uid, "resourceVersion": resource_version },
        });
        match self.cluster.write(Write::Delete, &self.path, options.to_string().into_bytes()).await {
            Ok(answer) => {
                let object = self.reduced(answer.body);
                // With finalizers left it is still there; otherwise it is gone, whatever the answer shows.
                Ok(Written { changed: true, object: object.filter(|o| o.deleting && !o.finalizers.is_empty()) })
            }
            Err(e) if e.is_not_found() => Ok(Written { changed: false, object: None }),
            Err(e) => Err(e),
        }
    }

    async fn send(&self, write: Write, body: &Value) -> Result<Value, ClusterError> {
        let bytes = body.to_string().into_bytes();
        self.cluster.write(write, &self.path, bytes).await.map(|answer| answer.body)
    }

    fn written(&self, object: Value) -> Written {
        Written { changed: true, object: self.reduced(object) }
    }

    fn reduced(&self, object: Value) -> Option<Arc<Object>> {
        let object = self.cluster.reduced(object, &self.keep)?;
        (object.key == self.step.key).then(|| Arc::new(object))
    }

    fn version(&self, object: &Value) -> Result<String, ClusterError> {
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        version.map(str::to_owned).ok_or_else(|| self.conflict("Conflict", "the server returned no resourceVersion"))
    }

    fn conflict(&self, reason: &str, message: &str) -> ClusterError {
        ClusterError::Answer {
            operation: format!("{} {}", self.step.action.verb(), self.step.key),
            status: 409,
            reason: reason.to_owned(),
            message: message.to_owned(),
            retry_after: None,
        }
    }
}

/// A manifest with what a live object has at that place, if it has anything there.
fn as_it_is(manifest: &Value, pointer: Option<&str>, live: &Value) -> Value {
    let mut manifest = manifest.clone();
    let theirs = pointer.and_then(|pointer| live.pointer(pointer));
    if let (Some(theirs), Some(ours)) = (theirs, pointer.and_then(|pointer| manifest.pointer_mut(pointer))) {
        ours.clone_from(theirs);
    }
    manifest
}

/// A manifest that is only applied to the object with this uid: a server refuses it for any other one, and for none.
fn of_uid(manifest: &Value, uid: Option<&str>) -> Value {
    let mut manifest = manifest.clone();
    if let (Some(uid), Some(metadata)) = (uid, manifest.get_mut("metadata").and_then(Value::as_object_mut)) {
        metadata.insert("uid".to_owned(), Value::String(uid.to_owned()));
    }
    manifest
}

/// A manifest with another's fields laid over it. Lists of maps are joined by their keys as server-side apply would do for the
/// usual ones (`name`, `containerPort`, …): an item of the sparse manifest repeats the scalars by which it is found.
fn merged(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let mut all: Map<String, Value> = base.clone();
            for (key, value) in over {
                let joined = all.get(key).map_or_else(|| value.clone(), |known| merged(known, value));
                all.insert(key.clone(), joined);
            }
            Value::Object(all)
        }
        (Value::Array(base), Value::Array(over)) => {
            let mut all = base.clone();
            for item in over {
                let name = item.get("name");
                match all.iter().position(|known| known == item || (name.is_some() && known.get("name") == name)) {
                    Some(at) => all[at] = merged(&all[at], item),
                    None => all.push(item.clone()),
                }
            }
            Value::Array(all)
        }
        (_, over) => over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_fields_join_the_manifest() {
        let base = json!({ "spec": { "a": 1, "containers": [{ "name": "x", "image": "i" }, { "name": "y" }] } });
        let over = json!({ "spec": { "replicas": 2, "containers": [{ "name": "x", "resources": {} }] } });
        let wanted = json!({ "spec": { "a": 1, "replicas": 2,
            "containers": [{ "name": "x", "image": "i", "resources": {} }, { "name": "y" }] } });
        assert_eq!(merged(&base, &over), wanted);
    }
}
