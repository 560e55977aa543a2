//! gardener-resource-manager: reads what a ManagedResource's Secrets hold and says that it was applied. The objects inside a
//! shoot do not exist here; their references do, in the status. In the namespace of a shoot, nothing happens before the
//! Deployment `gardener-resource-manager` is available there, since it is the one that would do it.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::object::{annotation, condition, has_finalizer, int, is_deleting, items, text, with_finalizer, without_finalizer};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::digest;
use crate::observed::ObjectKey;

/// Applies ManagedResources.
pub(super) struct ManagedResources;

/// The API group.
pub(super) const GROUP: &str = "resources.gardener.cloud";
/// The Deployment that does the work in a shoot's namespace.
pub(super) const MANAGER: &str = "gardener-resource-manager";
const FINALIZER: &str = "resources.gardener.cloud/gardener-resource-manager";

impl Actor for ManagedResources {
    fn name(&self) -> &'static str {
        "gardener-resource-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, "ManagedResource"), ("apps", "Deployment"), ("", "Secret")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        match key.kind.as_str() {
            "Deployment" if key.name == MANAGER => cx.keys(GROUP, "ManagedResource", &key.namespace),
            "Deployment" => Vec::new(),
            // Only those that it holds and that are to go.
            "Secret" => cx.is_going(key).then(|| key.clone()).into_iter().collect(),
            _ => vec![key.clone()],
        }
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key) else { return Ok(Again::Done) };
        if key.kind == "Secret" {
            return release(cx, key, &object);
        }
        let class = text(&object, "/spec/class");
        let finalizer = if class.is_empty() { FINALIZER.to_owned() } else { format!("{FINALIZER}-{class}") };
        if class.is_empty() && !cx.engine_runs(&key.namespace, MANAGER) {
            return Ok(Again::Done);
        }
        if is_deleting(&object) {
            return delete(cx, key, &object, &finalizer);
        }
        if int(&object, "/metadata/generation") != int(&object, "/status/observedGeneration") {
            // It may refer to others now; those that went while it did are let go of.
            for secret in cx.keys("", "Secret", &key.namespace).into_iter().filter(|secret| cx.is_going(secret)) {
                if let Some(object) = cx.get(&secret) {
                    release(cx, &secret, &object)?;
                }
            }
        }
        if annotation(&object, "resources.gardener.cloud/ignore") == Some("true") {
            return Ok(Again::Done);
        }
        if !has_finalizer(&object, &finalizer) {
            cx.patch_metadata(key, &object, json!({"finalizers": with_finalizer(&object, &finalizer)}))?;
        }
        apply(cx, key, &object)
    }
}

fn apply(cx: &mut Cx<'_>, key: &ObjectKey, object: &Value) -> Result<Again, Refused> {
    let fail = cx.fail(object);
    let generation = int(object, "/metadata/generation");
    let observed = int(object, "/status/observedGeneration");
    let mut texts = Vec::new();
    for name in items(object, "/spec/secretRefs").iter().map(|r| text(r, "/name")) {
        let Some(secret) = cx.sibling("", "Secret", name) else {
            report(
                cx,
                key,
                object,
                ["False", "Unknown", "True"],
                "CannotReadSecret",
                &format!("secret {name:?} not found"),
                None,
            )?;
            return Ok(Again::After(Duration::from_secs(2)));
        };
        if !is_deleting(&secret) && !has_finalizer(&secret, FINALIZER) {
            let secret_key = ObjectKey::new("", "Secret", &key.namespace, name);
            cx.patch_metadata(&secret_key, &secret, json!({"finalizers": with_finalizer(&secret, FINALIZER)}))?;
        }
        texts.extend(secret.get("data").and_then(Value::as_object).into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    }
    let checksum = digest::of_value(&json!(texts)).0;
    let settled = observed == generation && text(object, "/status/secretsDataChecksum") == checksum;
    match &fail {
        Some(Fail::Stuck) => {
            report(cx, key, object, ["Unknown", "Unknown", "True"], "ApplyProgressing", "the objects are being applied", None)?;
            return Ok(Again::Done);
        }
        Some(Fail::Error(reason)) => {
            report(cx, key, object, ["False", "Unknown", "True"], reason, "failed as asked for by annotation", None)?;
            return Ok(Again::Done);
        }
        Some(Fail::LostHandshake) => return Ok(Again::Done),
        Some(Fail::Flapping) => {
            let (up, left) = super::fail::flap(cx.now());
            if settled {
                let healthy = if up { "True" } else { "False" };
                report(
                    cx,
                    key,
                    object,
                    ["True", healthy, "False"],
                    if up { "ResourcesHealthy" } else { "DeploymentUnhealthy" },
                    "flapping",
                    None,
                )?;
                return Ok(Again::After(left));
            }
        }
        Some(Fail::Slow | Fail::WrongObservedGeneration) | None => {}
    }
    let applied = items(object, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "ResourcesApplied" && text(c, "/status") == "True");
    let healthy = items(object, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "ResourcesHealthy" && text(c, "/status") == "True");
    let refused = settled && items(object, "/status/conditions").iter().any(|c| text(c, "/reason") == "DecodingFailed");
    if refused || (settled && applied && healthy) {
        return Ok(Again::Done);
    }
    if let Some(left) = cx.wait(&format!("apply {generation} {checksum}"), 2..=10) {
        report(cx, key, object, ["Unknown", "Unknown", "True"], "ApplyProgressing", "the objects are being applied", None)?;
        return Ok(Again::After(left));
    }
    match references(&texts) {
        Ok(references) => {
            let behind = i64::from(fail == Some(Fail::WrongObservedGeneration));
            let done =
                json!({"observedGeneration": generation - behind, "secretsDataChecksum": checksum, "resources": references});
            report(cx, key, object, ["True", "True", "False"], "ApplySucceeded", "all objects are applied", Some(done))?;
        }
        Err(message) => {
            let seen = json!({"observedGeneration": generation, "secretsDataChecksum": checksum});
            report(cx, key, object, ["False", "Unknown", "True"], "DecodingFailed", &message, Some(seen))?;
        }
    }
    Ok(if fail == Some(Fail::Flapping) { Again::After(Duration::from_secs(1)) } else { Again::Done })
}

/// Writes the three conditions, in the order applied, healthy, progressing, and further fields.
fn report(
    cx: &Cx<'_>,
    key: &ObjectKey,
    object: &Value,
    truths: [&str; 3],
    reason: &str,
    message: &str,
    fields: Option<Value>,
) -> Result<(), Refused> {
    let now = cx.stamp();
    let healthy = match truths[1] {
        "True" => "ResourcesHealthy",
        "Unknown" => "ChecksPending",
        _ => reason,
    };
    let progressing = if truths[2] == "False" { "ResourcesRolledOut" } else { "ChecksPending" };
    let applied = if truths[0] == "True" { "ApplySucceeded" } else { reason };
    let mut fields = fields.unwrap_or_else(|| json!({}));
    fields["conditions"] = json!([
        condition(object, "ResourcesApplied", truths[0], applied, message, &now),
        condition(object, "ResourcesHealthy", truths[1], healthy, message, &now),
        condition(object, "ResourcesProgressing", truths[2], progressing, message, &now),
    ]);
    cx.merge_status(key, object, &fields)
}

/// The references of all objects in the Secrets' data, sorted; everything in them has to be a Kubernetes object.
fn references(data: &[(String, Value)]) -> Result<Vec<Value>, String> {
    let mut found = BTreeSet::new();
    for (name, value) in data {
        if std::path::Path::new(name).extension().is_some_and(|e| e == "br") {
            return Err(format!("key {name:?}: Brotli is not spoken here"));
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap_or_default());
        let bytes = bytes.map_err(|e| format!("key {name:?}: {e}"))?;
        let documents = std::str::from_utf8(&bytes).map_err(|e| format!("key {name:?}: {e}"))?;
        for document in serde_yaml::Deserializer::from_str(documents) {
            let document = Value::deserialize(document).map_err(|e| format!("key {name:?}: {e}"))?;
            if document.is_null() {
                continue;
            }
            let key = ObjectKey::of(&document).ok_or_else(|| format!("key {name:?} holds something that is not an object"))?;
            found.insert((text(&document, "/apiVersion").to_owned(), key));
        }
    }
    Ok(found
        .into_iter()
        .map(|(api_version, key)| {
            let mut reference: Map<String, Value> = Map::new();
            reference.insert("apiVersion".into(), json!(api_version));
            reference.insert("kind".into(), json!(key.kind));
            reference.insert("name".into(), json!(key.name));
            if !key.namespace.is_empty() {
                reference.insert("namespace".into(), json!(key.namespace));
            }
            Value::Object(reference)
        })
        .collect())
}

fn delete(cx: &mut Cx<'_>, key: &ObjectKey, object: &Value, finalizer: &str) -> Result<Again, Refused> {
    if !has_finalizer(object, finalizer) || cx.fail(object) == Some(Fail::Stuck) {
        return Ok(Again::Done);
    }
    if let Some(left) = cx.wait("delete", 2..=10) {
        report(cx, key, object, ["Unknown", "Unknown", "True"], "DeletionPending", "the objects are going", None)?;
        return Ok(Again::After(left));
    }
    cx.patch_metadata(key, object, json!({"finalizers": without_finalizer(object, finalizer)}))?;
    for name in items(object, "/spec/secretRefs").iter().map(|r| text(r, "/name")) {
        let secret_key = ObjectKey::new("", "Secret", &key.namespace, name);
        if let Some(secret) = cx.get(&secret_key) {
            release(cx, &secret_key, &secret)?;
        }
    }
    Ok(Again::Done)
}

/// Lets go of a Secret that no ManagedResource refers to.
fn release(cx: &Cx<'_>, key: &ObjectKey, secret: &Value) -> Result<Again, Refused> {
    let refers = |r: &Value| items(r, "/spec/secretRefs").iter().any(|s| text(s, "/name") == key.name);
    if has_finalizer(secret, FINALIZER) && !cx.list(GROUP, "ManagedResource", &key.namespace).iter().any(|r| refers(r)) {
        cx.patch_metadata(key, secret, json!({"finalizers": without_finalizer(secret, FINALIZER)}))?;
    }
    Ok(Again::Done)
}
