//! The rules that objects keep, whoever writes them: what is immutable, what is nobody's to set, what metadata may be.

use serde_json::{Map, Value, json};

use super::error::{ApiError, Cause};
use super::kind::{Kind, Version};

pub(crate) fn check_identity(kind: &Kind, namespace: &str, name: &str, meta: &mut Map<String, Value>) -> Result<(), ApiError> {
    let text = |field: &str| meta.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("name") != name && !text("name").is_empty() {
        let why = format!("the name of the object ({}) does not match the name on the URL ({name})", text("name"));
        return Err(ApiError::bad_request(why));
    }
    if kind.namespaced && !text("namespace").is_empty() && text("namespace") != namespace {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(why));
    }
    Ok(())
}

/// What of a body counts: all but the status, or nothing but the status.
pub(crate) fn separate(kind: &Kind, at: &Version, old: &Value, mut body: Value, subresource: &str) -> Value {
    let Some(object) = body.as_object_mut() else { return body };
    match subresource {
        // Metadata comes with the status.
        "status" if !whole_metadata(kind) => {
            for field in object.keys().cloned().collect::<Vec<_>>() {
                if !matches!(field.as_str(), "metadata" | "status") {
                    object.remove(&field);
                }
            }
            for (field, value) in
                old.as_object().into_iter().flatten().filter(|(f, _)| !matches!(f.as_str(), "metadata" | "status"))
            {
                object.insert(field.clone(), value.clone());
            }
            if kind.kind == "Deployment" {
                match (old.pointer("/metadata/labels"), object.get_mut("metadata").and_then(Value::as_object_mut)) {
                    (Some(labels), Some(metadata)) => metadata.insert("labels".into(), labels.clone()),
                    (None, Some(metadata)) => metadata.remove("labels"),
                    (_, None) => None,
                };
            }
            body
        }
        "status" => {
            let mut new = old.clone();
            match object.remove("status") {
                Some(status) => new["status"] = status,
                None => {
                    if let Some(new) = new.as_object_mut() {
                        new.remove("status");
                    }
                }
            }
            if let Some(fields) = body.pointer("/metadata/managedFields") {
                new["metadata"]["managedFields"] = fields.clone();
            }
            new
        }
        "finalize" => {
            let mut new = old.clone();
            new["spec"]["finalizers"] = body.pointer("/spec/finalizers").cloned().unwrap_or_else(|| json!([]));
            new
        }
        _ => {
            if at.status {
                match old.get("status") {
                    Some(status) => object.insert("status".into(), status.clone()),
                    None => object.remove("status"),
                };
            }
            if at.structure.is_none()
                && old.get("kind") == Some(&json!("Namespace"))
                && let Some(finalizers) = old.pointer("/spec/finalizers")
            {
                body["spec"]["finalizers"] = finalizers.clone();
            }
            body
        }
    }
}

/// Whether the status of a kind is written without its metadata.
pub(crate) fn whole_metadata(kind: &Kind) -> bool {
    kind.custom || matches!(kind.group.as_str(), "apiextensions.k8s.io" | "apiregistration.k8s.io")
}

/// The parts of metadata that no client changes.
pub(crate) fn keep_metadata(old: &Value, new: &mut Value) {
    for field in [
        "uid",
        "name",
        "namespace",
        "generateName",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
    ] {
        let value = old.get("metadata").and_then(|m| m.get(field)).cloned();
        if let Some(meta) = new.get_mut("metadata").and_then(Value::as_object_mut) {
            match value {
                Some(value) => meta.insert(field.into(), value),
                None => meta.remove(field),
            };
        }
    }
    if let Some(meta) = new.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["labels", "annotations", "ownerReferences", "finalizers"] {
            let empty = |value: &Value| match value {
                Value::Null => true,
                Value::Object(map) => map.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            };
            if meta.get(field).is_some_and(empty) {
                meta.remove(field);
            }
        }
    }
}

/// What is wrong with the metadata of an object. Several rules look at an update, and each says what it finds.
pub(crate) fn check_metadata(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["labels", "annotations"] {
        let pairs = object.pointer(&format!("/metadata/{field}"));
        causes.extend(wrong_pairs(pairs, &format!("metadata.{field}"), field == "labels"));
    }
    let size: usize = object
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > 256 * 1024 {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".into(),
            message: "Too long: may not be more than 262144 bytes".into(),
        });
    }
    owners(object, &mut causes);
    let finalizers = finalizers(object);
    let names = finalizers
        .iter()
        .flat_map(|name| qualified(name).into_iter().map(move |why| Cause::invalid("metadata.finalizers", &json!(name), &why)));
    let names: Vec<Cause> = names.collect();
    // Custom kinds may have finalizers without a prefix.
    let may_be_bare = |name: &str| kind.custom || matches!(name, "kubernetes" | "orphan" | "foregroundDeletion");
    let bare = finalizers.iter().enumerate().filter(|(_, name)| !may_be_bare(name) && !name.contains('/'));
    let bare: Vec<Cause> = bare
        .map(|(index, name)| {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            Cause::invalid(&format!("metadata.finalizers[{index}]"), &json!(name), why)
        })
        .collect();
    let Some(old) = old else { return [causes, names, bare].concat() };
    let added = if deletion(old)[0].is_some() { new_finalizers(old, &finalizers) } else { None };
    let added: Vec<Cause> = added.into_iter().collect();
    // Several rules look at it, one after another, and each says what it finds.
    let mut all = [causes.clone(), names.clone(), added.clone(), causes.clone(), added, causes.clone(), bare.clone()].concat();
    if !kind.custom && kind.group != "apps" {
        all.extend([causes, names, bare].concat());
    }
    all
}

/// What is wrong with labels, or, where values may be anything, with annotations.
pub(crate) fn wrong_pairs(pairs: Option<&Value>, field: &str, labels: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in pairs.and_then(Value::as_object).into_iter().flatten() {
        causes.extend(qualified(key).iter().map(|why| Cause::invalid(field, &json!(key), why)));
        let value = value.as_str().unwrap_or_default();
        if labels && value.len() > 63 {
            causes.push(Cause::invalid(field, &json!(value), "must be no more than 63 bytes"));
        } else if labels && !is_label_value(value) {
            causes.push(Cause::invalid(field, &json!(value), LABEL_VALUE));
        }
    }
    causes
}

/// Why a value of a label is refused.
pub(crate) const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// Why the name part of a key is refused.
const NAME_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
/// Why one part of a DNS name is refused.
pub(crate) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
/// Why a DNS name is refused.
pub(crate) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Why objects of a kind may not have this name; `None`: they may.
pub(crate) fn wrong_name(kind: &Kind, name: &str) -> Option<&'static str> {
    let namespace = kind.is_namespace();
    match kind.group.as_str() {
        "rbac.authorization.k8s.io" if name.contains('/') => Some("may not contain '/'"),
        "rbac.authorization.k8s.io" if name.contains('%') => Some("may not contain '%'"),
        "rbac.authorization.k8s.io" if name == "." => Some("may not be '.'"),
        "rbac.authorization.k8s.io" if name == ".." => Some("may not be '..'"),
        "rbac.authorization.k8s.io" => None,
        _ if namespace && name.contains('.') => Some("must not contain dots"),
        _ if is_subdomain(name) => None,
        _ => Some(if namespace { LABEL } else { SUBDOMAIN }),
    }
}

/// Whether a name is a DNS subdomain.
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            ends(label.chars().next())
                && ends(label.chars().last())
                && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
}

/// What is wrong with a qualified name such as the key of a label.
fn qualified(key: &str) -> Vec<String> {
    let mut why = Vec::new();
    let mut parts = key.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                why.push("prefix part must be non-empty".to_owned());
            } else if !is_subdomain(prefix) {
                why.push(format!("prefix part {SUBDOMAIN}"));
            }
            name
        }
        _ => {
            let suffix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            why.push(format!("a valid label key {NAME_PART} {suffix}"));
            return why;
        }
    };
    if name.is_empty() {
        why.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        why.push("name part must be no more than 63 bytes".to_owned());
    }
    if name.is_empty() || !is_label_value(&name[..name.len().min(1)]) || !is_name_part(name) {
        why.push(format!("name part {NAME_PART}"));
    }
    why
}

fn is_name_part(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

pub(crate) fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && edge(value.chars().next())
        && edge(value.chars().last())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn owners(object: &Value, causes: &mut Vec<Cause>) {
    let list = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |owner: &Value, field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut controllers = Vec::new();
    for owner in list {
        if text(owner, "apiVersion").matches('/').count() > 1 || text(owner, "apiVersion").is_empty() {
            let given = json!(text(owner, "apiVersion"));
            causes.push(Cause::invalid("metadata.ownerReferences.apiVersion", &given, "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                let field = format!("metadata.ownerReferences.{field}");
                causes.push(Cause::invalid(&field, &json!(""), "must not be empty"));
            }
        }
        if text(owner, "apiVersion") == "v1" && text(owner, "kind") == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            causes.push(Cause::invalid("metadata.ownerReferences", owner, why));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            controllers.push(format!("{}/{}", text(owner, "kind"), text(owner, "name")));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let why =
            format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}");
        let shown = format!("Invalid value: [{}]: {why}", list.iter().map(owner_in_go).collect::<Vec<_>>().join(","));
        causes.push(Cause { reason: "FieldValueInvalid", field: "metadata.ownerReferences".into(), message: shown });
    }
}

/// An owner, its fields in Go's order.
fn owner_in_go(owner: &Value) -> String {
    let always =
        ["apiVersion", "kind", "name", "uid"].map(|field| (field, Some(owner.get(field).cloned().unwrap_or_else(|| json!("")))));
    let maybe = ["controller", "blockOwnerDeletion"].map(|field| (field, owner.get(field).cloned()));
    let fields = always.into_iter().chain(maybe);
    let pairs: Vec<String> = fields.filter_map(|(field, value)| Some(format!("{field:?}:{}", value?))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// What an update changes that may not change.
pub(crate) fn check_immutable(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut fixed = |pointer: &str, field: &str, why: &str| {
        if old.pointer(pointer) != new.pointer(pointer) {
            causes.push(Cause::invalid(field, new.pointer(pointer).unwrap_or(&Value::Null), why));
        }
    };
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap" | "Secret") if old.get("immutable") == Some(&Value::Bool(true)) => {
            for field in ["immutable", "data", "binaryData"] {
                if old.get(field) != new.get(field) {
                    causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
                }
            }
        }
        ("", "Secret") => fixed("/type", "type", "field is immutable"),
        ("", "Service") if new.pointer("/spec/type").and_then(Value::as_str) != Some("ExternalName") => {
            fixed("/spec/clusterIP", "spec.clusterIPs[0]", "may not change once set");
        }
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => fixed("/spec/selector", "spec.selector", "field is immutable"),
        ("apps", "StatefulSet") => {
            let frozen = |value: &Value| {
                let mut spec = value.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
                for field in [
                    "replicas",
                    "ordinals",
                    "template",
                    "updateStrategy",
                    "revisionHistoryLimit",
                    "persistentVolumeClaimRetentionPolicy",
                    "minReadySeconds",
                ] {
                    spec.remove(field);
                }
                spec
            };
            if frozen(old) != frozen(new) {
                let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
                causes.push(Cause::forbidden("spec", why));
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") if old.get("roleRef") != new.get("roleRef") => {
            let text = |field: &str| new.pointer(&format!("/roleRef/{field}")).cloned().unwrap_or_default();
            let (group, kind, name) = (text("apiGroup"), text("kind"), text("name"));
            let shown = format!("{{\"APIGroup\":{group},\"Kind\":{kind},\"Name\":{name}}}");
            let message = format!("Invalid value: {shown}: cannot change roleRef");
            causes.push(Cause { reason: "FieldValueInvalid", field: "roleRef".into(), message });
        }
        ("batch", "Job") => {
            fixed("/spec/template", "spec.template", "field is immutable");
            fixed("/spec/selector", "spec.selector", "field is immutable");
        }
        ("scheduling.k8s.io", "PriorityClass") if old.get("value") != new.get("value") => {
            causes.push(Cause::forbidden("value", "may not be changed in an update."));
        }
        ("storage.k8s.io", "StorageClass") => {
            for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
                if old.get(field) != new.get(field) {
                    causes.push(Cause::forbidden(field, "updates to this field are forbidden."));
                }
            }
        }
        _ => {}
    }
    causes
}

/// Finalizers that are added to an object that is being deleted.
fn new_finalizers(old: &Value, new: &[String]) -> Option<Cause> {
    let had = finalizers(old);
    let added: std::collections::BTreeSet<&String> = new.iter().filter(|finalizer| !had.contains(finalizer)).collect();
    if added.is_empty() {
        return None;
    }
    let quoted: Vec<String> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        quoted.join(", ")
    );
    Some(Cause::forbidden("metadata.finalizers", &why))
}

/// Whether anything but metadata (and, where it is separate, the status) differs.
pub(crate) fn differs_in_spec(at: &Version, old: &Value, new: &Value) -> bool {
    let body = |value: &Value| {
        let mut object = value.as_object().cloned().unwrap_or_default();
        for field in ["metadata", "kind", "apiVersion"] {
            object.remove(field);
        }
        if at.status {
            object.remove("status");
        }
        object
    };
    if let (Some(a), Some(b)) = (old.as_object(), new.as_object())
        && a.len() == b.len()
        && a.iter().zip(b).all(|((k, v), (l, w))| k == l && (k == "metadata" || (at.status && k == "status") || v == w))
    {
        return false;
    }
    body(old) != body(new)
}

/// Whether nothing stands in the way of removing an object that is being deleted.
pub(crate) fn is_released(kind: &Kind, object: &Value) -> bool {
    finalizers(object).is_empty() && (kind.plural != "namespaces" || !kind.group.is_empty() || is_released_namespace(object))
}

pub(crate) fn is_released_namespace(object: &Value) -> bool {
    object.pointer("/spec/finalizers").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

/// What marks an object as being deleted.
const DELETION: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

/// What metadata says of a deletion.
pub(crate) fn deletion(object: &Value) -> [Option<Value>; 2] {
    DELETION.map(|field| object.get("metadata").and_then(|metadata| metadata.get(field)).cloned())
}

/// Writes what metadata says of a deletion.
pub(crate) fn set_deletion(object: &mut Value, marks: [Option<Value>; 2]) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for (field, value) in DELETION.into_iter().zip(marks) {
        match value {
            Some(value) => metadata.insert(field.to_owned(), value),
            None => metadata.remove(field),
        };
    }
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|f| f.as_str().map(str::to_owned)).collect()
}

/// Writes `metadata.finalizers`; none at all if empty.
pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if finalizers.is_empty() {
            meta.remove("finalizers");
        } else {
            meta.insert("finalizers".into(), json!(finalizers));
        }
    }
}

pub(crate) fn add(finalizers: &mut Vec<String>, finalizer: &str) {
    if !finalizers.iter().any(|f| f == finalizer) {
        finalizers.push(finalizer.to_owned());
    }
}
