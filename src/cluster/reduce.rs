//! A live object, reduced to what planning, health, facts and status need. Pure.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::observed::{
    ACCEPTED_ANNOTATION, Keep, MANAGER, OWNER_LABEL, Object, ObjectKey, TRACKING_ANNOTATION, is_static_manifest,
    is_wildcard_certificate, kept_whole,
};

/// Values that many objects share, kept once: objects of one template have one set of fields.
#[derive(Default)]
pub struct Interner {
    /// By a hash of their text; a value whose hash is taken by another one is not shared.
    known: HashMap<u64, Arc<Value>>,
    /// How many there were after the last sweep.
    swept: usize,
}

/// Values that nobody uses any more are let go each time that so many came, or as many as were left the last time.
const SWEEP_ABOVE: usize = 4096;

impl Interner {
    fn intern(&mut self, value: Value) -> Arc<Value> {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(known) = self.known.get(&hash) {
            return if **known == value { Arc::clone(known) } else { Arc::new(value) };
        }
        if self.known.len() >= self.swept.saturating_mul(2).max(SWEEP_ABOVE) {
            self.known.retain(|_, value| Arc::strong_count(value) > 1);
            self.swept = self.known.len();
        }
        let value = Arc::new(value);
        self.known.insert(hash, Arc::clone(&value));
        value
    }
}

/// The label of secrets that a secrets manager wrote, ours or Gardener's.
const MANAGED_BY: &str = "managed-by";

/// Reduces one object. `None` if it has no apiVersion, kind or name.
///
/// Objects that are neither labelled by us, nor of a landscape kind, nor a managed secret, nor what operators of a seed keep for
/// control planes, nor of a kind that facts are read from, keep identity and tracking only: they matter because they may stand where
/// we want something.
#[must_use]
pub fn reduce(mut object: Value, keep: &Keep, interner: &mut Interner) -> Option<Object> {
    let key = ObjectKey::of(&object)?;
    let metadata = object.get_mut("metadata").map(Value::take).unwrap_or_default();
    let whole = kept_whole(&key.group, &key.kind);
    let pointers = keep.pointers.get(&(key.group.clone(), key.kind.clone()));

    let mut labels = strings(metadata.get("labels"));
    let mut annotations = strings(metadata.get("annotations"));
    let ours = labels.contains_key(OWNER_LABEL) || annotations.contains_key(TRACKING_ANNOTATION);
    let managed = key.kind == "Secret" && labels.get(MANAGED_BY).is_some_and(|m| m == "secrets-manager");
    let given = is_static_manifest(&key, &labels) || is_wildcard_certificate(&key, &labels);
    let known = ours || whole || managed || given;
    if !known {
        labels.clear();
        annotations.retain(|name, _| name == TRACKING_ANNOTATION);
    }

    let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |name: &str| metadata.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reduced = Object {
        api_version: object.get("apiVersion")?.as_str()?.to_owned(),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
        deleting: metadata.get("deletionTimestamp").is_some_and(|t| !t.is_null()),
        finalizers: list("finalizers").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        controlled: list("ownerReferences").iter().any(|r| r.get("controller").and_then(Value::as_bool) == Some(true)),
        fields: if known { own_fields(list("managedFields")).map(|f| interner.intern(f)) } else { None },
        labels,
        annotations,
        kept: Arc::new(Value::Null),
        key,
    };
    let kept = if whole {
        whole_body(object, metadata)
    } else if known || pointers.is_some() {
        let pointers = pointers.into_iter().flatten().map(String::as_str);
        // Secret bodies never get this far, whatever a template asks for.
        if reduced.key.kind == "Secret" && reduced.key.group.is_empty() {
            described(&metadata, pointers)
        } else {
            partial_body(&object, &metadata, pointers)
        }
    } else {
        Value::Null
    };
    Some(Object { kept: Arc::new(kept), ..reduced })
}

fn strings(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

/// The field set of our own apply.
fn own_fields(managed: &[Value]) -> Option<Value> {
    managed
        .iter()
        .find(|entry| {
            let is = |name: &str, wanted: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default() == wanted;
            is("manager", MANAGER) && is("operation", "Apply") && is("subresource", "")
        })
        .and_then(|entry| entry.get("fieldsV1"))
        .cloned()
}

/// Everything but the book-keeping; the accepted manifest is among the annotations already.
fn whole_body(mut object: Value, mut metadata: Value) -> Value {
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(ACCEPTED_ANNOTATION);
        }
    }
    if let Some(object) = object.as_object_mut() {
        object.insert("metadata".to_owned(), metadata);
    }
    object
}

/// Status, the two fields that health needs, and what is pointed at.
fn partial_body<'p>(object: &Value, metadata: &Value, pointers: impl Iterator<Item = &'p str>) -> Value {
    let mut kept = Value::Object(Map::new());
    for pointer in ["/status", "/spec/replicas", "/spec/type"].into_iter().chain(pointers) {
        let found = match pointer.strip_prefix("/metadata") {
            Some(rest) => metadata.pointer(rest),
            None => object.pointer(pointer),
        };
        if let Some(value) = found {
            put(&mut kept, pointer, value.clone());
        }
    }
    kept
}

/// What is pointed at of the metadata alone.
fn described<'p>(metadata: &Value, pointers: impl Iterator<Item = &'p str>) -> Value {
    let mut kept = Map::new();
    for pointer in pointers {
        if let Some(rest) = pointer.strip_prefix("/metadata")
            && let Some(value) = metadata.pointer(rest)
        {
            let below = kept.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
            put(below, rest, value.clone());
        }
    }
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}

/// Sets a value at a pointer, making what is above it as maps: a pointer through a list finds its index as a key there.
fn put(target: &mut Value, pointer: &str, value: Value) {
    let mut at = target;
    let segments: Vec<String> = pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
    let Some((last, above)) = segments.split_last() else { return };
    for segment in above {
        if !at.is_object() {
            return;
        }
        at = match at.as_object_mut() {
            Some(map) => map.entry(segment.clone()).or_insert_with(|| json!({})),
            None => return,
        };
    }
    if let Some(map) = at.as_object_mut() {
        map.insert(last.clone(), value);
    }
}
