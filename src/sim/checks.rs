//! What the API server refuses of built-in kinds, and what it warns of: as much of it as is cheap to say.

use serde_json::{Map, Value, json};

use super::error::Cause;
use super::kind::Kind;

/// What is wrong with an object.
pub(crate) fn check(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Secret" | "ConfigMap") => {
            for field in ["data", "binaryData"] {
                for key in object.get(field).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
                    let at = format!("{field}[{key}]");
                    let letters = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
                    if key.is_empty() || key.len() > 253 || !letters {
                        let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                        causes.push(Cause::invalid(&at, &json!(key), why));
                    }
                    if matches!(key.as_str(), "." | "..") {
                        causes.push(Cause::invalid(&at, &json!(key), &format!("must not be '{key}'")));
                    }
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
        ("", "Pod") => containers(object.get("spec"), "spec", &mut causes),
        ("batch", "Job") => containers(object.pointer("/spec/template/spec"), "spec.template.spec", &mut causes),
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
            containers(object.pointer("/spec/template/spec"), "spec.template.spec", &mut causes);
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

/// What the server says of an object that it takes all the same.
pub(crate) fn warnings(kind: &Kind, old: Option<&Value>, new: &Value) -> Vec<String> {
    let path = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => "spec",
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => "spec.template.spec",
        _ => return Vec::new(),
    };
    let pointer = format!("/{}", path.replace('.', "/"));
    if old.is_some_and(|old| old.get("spec") == new.get("spec")) {
        return Vec::new();
    }
    let containers = new.pointer(&pointer).and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    let mut seen: Vec<(String, Value, Value, Value)> = Vec::new();
    let mut list = Vec::new();
    for (index, container) in containers.into_iter().flatten().enumerate() {
        for (nth, port) in container.get("ports").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let field = format!("{path}.containers[{index}].ports[{nth}]");
            let of = |name: &str| port.get(name).cloned().unwrap_or_default();
            let twin = seen.iter().find(|(_, number, protocol, _)| *number == of("containerPort") && *protocol == of("protocol"));
            if let Some((first, ..)) = twin {
                list.push(format!("{field}: duplicate port definition with {first}"));
            }
            let called = of("name");
            if let Some((first, ..)) = seen.iter().find(|(.., name)| *name == called && !called.is_null()) {
                list.push(format!(
                    "{field}: duplicate port name {called} with {first}, services and probes that select ports by name will use {first}"
                ));
            }
            seen.push((field, of("containerPort"), of("protocol"), called));
        }
    }
    list
}

/// What a pod needs at the very least, and volumes that are one thing only.
fn containers(spec: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    let list = |field: &str| spec.and_then(|spec| spec.get(field)).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (index, volume) in list("volumes").iter().enumerate() {
        let sources = volume.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "name");
        for source in sources.filter(|source| *source != "emptyDir").skip(usize::from(volume.get("emptyDir").is_none())) {
            let why = "may not specify more than 1 volume type";
            causes.push(Cause::forbidden(&format!("{path}.volumes[{index}].{source}"), why));
        }
    }
    for (index, volume) in list("volumes").iter().enumerate() {
        if volume.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            causes.push(Cause::required(&format!("{path}.volumes[{index}].name"), ""));
        }
    }
    if list("containers").is_empty() {
        causes.push(Cause::required(&format!("{path}.containers"), ""));
    }
    let mut names = Vec::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in list(field).iter().enumerate() {
            let name = container.get("name").filter(|name| name.as_str() != Some(""));
            let again = names.contains(&name) && name.is_some();
            names.push(name);
            if let Some(name) = name.filter(|_| again) {
                let message = format!("Duplicate value: {name}");
                let field = format!("{path}.{field}[{index}].name");
                causes.push(Cause { reason: "FieldValueDuplicate", field, message });
            }
            for (nth, port) in container.get("ports").and_then(Value::as_array).into_iter().flatten().enumerate() {
                if port.get("containerPort").and_then(Value::as_i64).unwrap_or(0) == 0 {
                    causes.push(Cause::required(&format!("{path}.{field}[{index}].ports[{nth}].containerPort"), ""));
                }
            }
            for (nth, variable) in container.get("env").and_then(Value::as_array).into_iter().flatten().enumerate() {
                if variable.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
                    causes.push(Cause::required(&format!("{path}.{field}[{index}].env[{nth}].name"), ""));
                }
                if variable.get("valueFrom").and_then(Value::as_object).is_some_and(Map::is_empty) {
                    let why =
                        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
                    causes.push(Cause::invalid(&format!("{path}.{field}[{index}].env[{nth}].valueFrom"), &json!(""), why));
                }
            }
            for needed in ["name", "image"] {
                if container.get(needed).and_then(Value::as_str).is_none_or(str::is_empty) {
                    causes.push(Cause::required(&format!("{path}.{field}[{index}].{needed}"), ""));
                }
            }
        }
    }
}
