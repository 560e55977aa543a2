//! Reading and building Kubernetes objects as JSON, as far as controllers need it.

use serde_json::{Map, Value, json};

/// The annotation of the operation handshake.
pub(super) const OPERATION: &str = "gardener.cloud/operation";
/// The annotation that confirms a deletion.
pub(super) const CONFIRMATION: &str = "confirmation.gardener.cloud/deletion";
/// The API group of the extension kinds.
pub(super) const EXTENSIONS: &str = "extensions.gardener.cloud";

/// The text at a pointer, empty if there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at a pointer, 0 if there is none.
pub(super) fn int(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The boolean at a pointer, false if there is none.
pub(super) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The elements of the list at a pointer.
pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The value at a pointer, or null.
pub(super) fn at(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).cloned().unwrap_or(Value::Null)
}

/// `spec.replicas`, or 1 where it is absent, as the API server would default it.
pub(super) fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

/// An annotation.
pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// A label.
pub(super) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// Whether deletion has begun.
pub(super) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Whether a finalizer is set.
pub(super) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    items(object, "/metadata/finalizers").iter().any(|f| f == finalizer)
}

/// The finalizers with one added.
pub(super) fn with_finalizer(object: &Value, finalizer: &str) -> Value {
    let mut list = items(object, "/metadata/finalizers").to_vec();
    if !has_finalizer(object, finalizer) {
        list.push(json!(finalizer));
    }
    Value::Array(list)
}

/// The finalizers with one taken away.
pub(super) fn without_finalizer(object: &Value, finalizer: &str) -> Value {
    items(object, "/metadata/finalizers").iter().filter(|f| *f != finalizer).cloned().collect()
}

/// A controller reference to an owner.
pub(super) fn controller_reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": at(owner, "/apiVersion"), "kind": at(owner, "/kind"), "name": at(owner, "/metadata/name"),
        "uid": at(owner, "/metadata/uid"), "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Whether an object is controlled by the owner with this uid.
pub(super) fn is_controlled_by(object: &Value, uid: &str) -> bool {
    items(object, "/metadata/ownerReferences").iter().any(|r| flag(r, "/controller") && text(r, "/uid") == uid)
}

/// The uid of an object.
pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// One condition, keeping the times of the present one where nothing changed.
pub(super) fn condition(object: &Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) -> Value {
    let old = items(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
    let same_status = old.filter(|c| text(c, "/status") == status);
    let same = same_status.filter(|c| text(c, "/reason") == reason && text(c, "/message") == message);
    let time = |c: Option<&Value>, field: &str| c.map_or("", |c| text(c, field)).to_owned();
    let or_now = |t: String| if t.is_empty() { now.to_owned() } else { t };
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": or_now(time(same_status, "/lastTransitionTime")),
        "lastUpdateTime": or_now(time(same, "/lastUpdateTime")),
    })
}

/// The same without `lastUpdateTime`, for kinds whose conditions have none.
pub(super) fn short_condition(object: &Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) -> Value {
    let mut condition = condition(object, kind, status, reason, message, now);
    if let Some(fields) = condition.as_object_mut() {
        fields.remove("lastUpdateTime");
    }
    condition
}

/// Whether everything that `desired` says is so in `actual`; what it does not mention is free. Null means absent.
pub(super) fn covers(actual: &Value, desired: &Value) -> bool {
    match (actual, desired) {
        (Value::Object(a), Value::Object(d)) => {
            d.iter().all(|(k, v)| if v.is_null() { !a.contains_key(k) } else { a.get(k).is_some_and(|x| covers(x, v)) })
        }
        (Value::Array(a), Value::Array(d)) => a.len() == d.len() && a.iter().zip(d).all(|(a, d)| covers(a, d)),
        _ => actual == desired,
    }
}

/// The merge patch that turns the fields of `actual` into exactly those of `desired` (absent ones become null), or `None` if
/// nothing differs. Works on the first level; below, values are replaced as a whole where they differ.
pub(super) fn replacing(actual: Option<&Value>, desired: &Value) -> Option<Value> {
    let none = Map::new();
    let old = actual.and_then(Value::as_object).unwrap_or(&none);
    let new = desired.as_object().unwrap_or(&none);
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(present) if present == value => {}
            None if value.is_null() => {}
            present => {
                patch.insert(key.clone(), nulled(present, value));
            }
        }
    }
    for key in old.keys().filter(|k| !new.contains_key(*k)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The merge patch for one value: maps merge, so fields to be dropped have to be named.
fn nulled(old: Option<&Value>, new: &Value) -> Value {
    match (old, new) {
        (Some(Value::Object(o)), Value::Object(n)) => {
            let mut out: Map<String, Value> = n.iter().map(|(k, v)| (k.clone(), nulled(o.get(k), v))).collect();
            for key in o.keys().filter(|k| !n.contains_key(*k)) {
                out.insert(key.clone(), Value::Null);
            }
            Value::Object(out)
        }
        _ => new.clone(),
    }
}

/// Drops integer fields that are 0, as the API's own types do when they are written.
pub(super) fn dropping_zeros(mut status: Value) -> Value {
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|_, v| v.as_i64() != Some(0) && !v.is_null());
    }
    status
}
