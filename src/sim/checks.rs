//! What the API server refuses of built-in kinds, and what it warns of: as much of it as is cheap to say.

use serde_json::{Map, Value, json};

use super::error::Cause;
use super::kind::Kind;
use super::pod;
use super::rules::wrong_pairs;

/// What is wrong with an object.
pub(crate) fn check(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Secret" | "ConfigMap") => {
            for field in ["data", "binaryData"] {
                for key in object.get(field).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
                    let at = format!("{field}[{key}]");
                    causes.extend(wrong_key(key).iter().map(|why| Cause::invalid(&at, &json!(key), why)));
                    if field == "data" && object.get("binaryData").is_some_and(|other| other.get(key).is_some()) {
                        causes.push(Cause::invalid(&at, &json!(key), "duplicate of key present in binaryData"));
                    }
                }
            }
            let needed: &[&str] = match object.get("type").and_then(Value::as_str).unwrap_or_default() {
                "kubernetes.io/tls" => &["tls.crt", "tls.key"],
                "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
                "kubernetes.io/dockercfg" => &[".dockercfg"],
                "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
                _ => &[],
            };
            for key in needed.iter().filter(|key| object.get("data").is_none_or(|data| data.get(**key).is_none())) {
                causes.push(Cause::required(&format!("data[{key}]"), ""));
            }
        }
        ("", "Service") => {
            let text = |field: &str| object.pointer(&format!("/spec/{field}")).and_then(Value::as_str).unwrap_or_default();
            let ports = object.pointer("/spec/ports").and_then(Value::as_array).is_some_and(|ports| !ports.is_empty());
            if !ports && text("clusterIP") != "None" && text("type") != "ExternalName" {
                causes.push(Cause::required("spec.ports", ""));
            }
        }
        ("", "Pod") => pod::check(object.get("spec"), "spec", &mut causes),
        ("batch", "Job") => pod::check(object.pointer("/spec/template/spec"), "spec.template.spec", &mut causes),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            let labels = object.pointer("/spec/template/metadata/labels");
            let selector = object.pointer("/spec/selector");
            if selector.is_none() {
                causes.push(Cause::required("spec.selector", ""));
            }
            let wanted = selector.and_then(|selector| selector.get("matchLabels")).and_then(Value::as_object);
            let empty = |field: &str| {
                let value = selector.and_then(|selector| selector.get(field));
                value
                    .is_none_or(|value| value.as_object().is_none_or(Map::is_empty) && value.as_array().is_none_or(Vec::is_empty))
            };
            if selector.is_some() && kind.kind == "Deployment" && empty("matchLabels") && empty("matchExpressions") {
                causes.push(Cause::invalid("spec.selector", &json!({}), "empty selector is invalid for deployment"));
            }
            let matches = wanted.into_iter().flatten().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v));
            if !matches || selector.is_none() {
                let why = "`selector` does not match template `labels`";
                causes.push(Cause::invalid("spec.template.metadata.labels", labels.unwrap_or(&Value::Null), why));
            }
            causes.extend(wrong_pairs(labels, "spec.template.labels", true));
            causes.extend(wrong_pairs(object.pointer("/spec/template/metadata/annotations"), "spec.template.annotations", false));
            pod::check(object.pointer("/spec/template/spec"), "spec.template.spec", &mut causes);
            let strategy = object.pointer("/spec/strategy");
            if kind.kind == "Deployment"
                && strategy.and_then(|strategy| strategy.get("type")) == Some(&json!("Recreate"))
                && strategy.and_then(|strategy| strategy.get("rollingUpdate")).is_some()
            {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if object.pointer("/roleRef/name").and_then(Value::as_str).is_none_or(str::is_empty) =>
        {
            causes.push(Cause::required("roleRef.name", ""));
        }
        _ => {}
    }
    causes
}

/// Why a key of a Secret or ConfigMap is refused.
pub(crate) fn wrong_key(key: &str) -> Vec<String> {
    let mut why = Vec::new();
    let letters = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if key.is_empty() || key.len() > 253 || !letters {
        why.push("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".to_owned());
    }
    if matches!(key, "." | "..") {
        why.push(format!("must not be '{key}'"));
    }
    why
}

/// What the server says of an object that it takes all the same, if there is anything new in it.
pub(crate) fn warnings(kind: &Kind, old: Option<&Value>, new: &Value) -> Vec<String> {
    if (kind.group.as_str(), kind.kind.as_str()) == ("", "Service") {
        let close = new.pointer("/spec/trafficDistribution").is_some_and(|to| to == "PreferClose");
        let said = r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#;
        return if close { vec![said.to_owned()] } else { Vec::new() };
    }
    let path = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => "spec",
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => "spec.template.spec",
        _ => return Vec::new(),
    };
    let same = |pointer: &str| old.is_some_and(|old| old.pointer(pointer) == new.pointer(pointer));
    // Annotations of a Deployment are annotations of what it makes.
    if same("/spec") && (kind.kind != "Deployment" || same("/metadata/annotations")) {
        return Vec::new();
    }
    let spec = new.pointer(&format!("/{}", path.replace('.', "/")));
    spec.map_or_else(Vec::new, |spec| pod::warnings(spec, path))
}
