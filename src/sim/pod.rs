//! What the API server refuses of a pod, wherever it is written, and what it warns of: as much of it as is cheap to say, in the
//! order of the real one.

use serde_json::{Map, Value, json};

use super::checks::wrong_key;
use super::error::Cause;
use super::rules::{LABEL, SUBDOMAIN, is_subdomain, wrong_pairs};
use super::validate::text;
use crate::value::Quantity;

/// The sources of volumes, in the order in which they are looked at.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "storageos",
    "photonPersistentDisk",
    "projected",
    "scaleIO",
    "portworxVolume",
    "csi",
    "ephemeral",
    "image",
];

/// What a source must name.
const NAMED: &[(&str, &[&str])] = &[
    ("hostPath", &["path"]),
    ("secret", &["secretName"]),
    ("nfs", &["server", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("configMap", &["name"]),
];

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value, field: &str) -> i64 {
    value.get(field).and_then(Value::as_i64).unwrap_or(0)
}

/// What is wrong with the spec of a pod.
pub(crate) fn check(spec: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    let spec = spec.unwrap_or(&Value::Null);
    volumes(items(spec, "volumes"), &format!("{path}.volumes"), causes);
    if items(spec, "containers").is_empty() {
        causes.push(Cause::required(&format!("{path}.containers"), ""));
    }
    let mut names = Vec::new();
    for field in ["containers", "initContainers"] {
        for (index, one) in items(spec, field).iter().enumerate() {
            let at = format!("{path}.{field}[{index}]");
            container(one, &at, causes);
            let name = text(one, "name");
            if names.contains(&name) && (field == "containers" || !name.is_empty()) {
                causes.push(duplicate(format!("{at}.name"), name));
            }
            names.push(name);
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(given) = one.get(probe) {
                    check_probe(given, probe, &format!("{at}.{probe}"), causes);
                }
            }
        }
    }
    causes.extend(wrong_pairs(spec.get("nodeSelector"), &format!("{path}.nodeSelector"), true));
    for (index, toleration) in items(spec, "tolerations").iter().enumerate() {
        let operator = text(toleration, "operator");
        if text(toleration, "key").is_empty() && operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(Cause::invalid(&format!("{path}.tolerations[{index}].operator"), &json!(operator), why));
        }
    }
}

fn duplicate(field: String, name: &str) -> Cause {
    Cause { reason: "FieldValueDuplicate", field, message: format!("Duplicate value: {name:?}") }
}

fn volumes(list: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let mut names = Vec::new();
    for (index, volume) in list.iter().enumerate() {
        let (at, before, name) = (format!("{path}[{index}]"), causes.len(), text(volume, "name"));
        let given = SOURCES.iter().filter_map(|source| Some((*source, volume.get(*source)?)));
        let mut taken = false;
        for (source, value) in given {
            let place = format!("{at}.{source}");
            if taken {
                causes.push(Cause::forbidden(&place, "may not specify more than 1 volume type"));
            } else {
                check_source(source, value, &place, causes);
            }
            taken = true;
        }
        if !taken {
            causes.push(Cause::required(&at, "must specify a volume type"));
        }
        named(name, &format!("{at}.name"), causes);
        if names.contains(&name) {
            causes.push(duplicate(format!("{at}.name"), name));
        }
        if causes.len() == before {
            names.push(name);
        }
    }
}

fn check_source(source: &str, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let needed = NAMED.iter().filter(|(of, _)| *of == source).flat_map(|(_, fields)| *fields);
    for field in needed.filter(|field| text(value, field).is_empty()) {
        causes.push(Cause::required(&format!("{path}.{field}"), ""));
    }
    if !matches!(source, "secret" | "configMap") {
        return;
    }
    if let Some(mode) = value.get("defaultMode").filter(|mode| mode.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode))) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        causes.push(Cause::invalid(&format!("{path}.defaultMode"), mode, why));
    }
    for (index, item) in items(value, "items").iter().enumerate() {
        for field in ["key", "path"].into_iter().filter(|field| text(item, field).is_empty()) {
            causes.push(Cause::required(&format!("{path}.items[{index}].{field}"), ""));
        }
    }
}

/// A name that must be there and be part of a DNS name.
fn named(name: &str, path: &str, causes: &mut Vec<Cause>) {
    if name.is_empty() {
        causes.push(Cause::required(path, ""));
        return;
    }
    if name.len() > 63 {
        causes.push(Cause::invalid(path, &json!(name), "must be no more than 63 bytes"));
    }
    if name.contains('.') || !is_subdomain(name) {
        causes.push(Cause::invalid(path, &json!(name), LABEL));
    }
}

fn container(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    named(text(container, "name"), &format!("{path}.name"), causes);
    if text(container, "image").is_empty() {
        causes.push(Cause::required(&format!("{path}.image"), ""));
    }
    let mut names = Vec::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let (at, name) = (format!("{path}.ports[{index}]"), text(port, "name"));
        if !name.is_empty() && names.contains(&name) {
            causes.push(duplicate(format!("{at}.name"), name));
        }
        names.push(name);
        for field in ["containerPort", "hostPort"] {
            match number(port, field) {
                0 if field == "containerPort" => causes.push(Cause::required(&format!("{at}.{field}"), "")),
                0 => {}
                given => check_port(&json!(given), &format!("{at}.{field}"), causes),
            }
        }
    }
    for (index, variable) in items(container, "env").iter().enumerate() {
        let at = format!("{path}.env[{index}]");
        if text(variable, "name").is_empty() {
            causes.push(Cause::required(&format!("{at}.name"), ""));
        }
        if let Some(from) = variable.get("valueFrom").and_then(Value::as_object) {
            check_origin(from, text(variable, "value"), &format!("{at}.valueFrom"), causes);
        }
    }
    if let Some(resources) = container.get("resources") {
        check_resources(resources, &format!("{path}.resources"), causes);
    }
}

/// Nobody asks for more than there may be.
fn check_resources(resources: &Value, path: &str, causes: &mut Vec<Cause>) {
    let limits = resources.get("limits");
    for (name, asked) in resources.get("requests").and_then(Value::as_object).into_iter().flatten() {
        let Some(limit) = limits.and_then(|limits| limits.get(name)?.as_str()) else { continue };
        let Some(given) = asked.as_str() else { continue };
        if let (Ok(most), Ok(amount)) = (limit.parse::<Quantity>(), given.parse::<Quantity>())
            && amount > most
        {
            let why = format!("must be less than or equal to {name} limit of {limit}");
            causes.push(Cause::invalid(&format!("{path}.requests"), &json!(given), &why));
        }
    }
}

fn check_port(port: &Value, path: &str, causes: &mut Vec<Cause>) {
    if port.as_i64().is_some_and(|port| !(1..=65535).contains(&port)) {
        causes.push(Cause::invalid(path, port, "must be between 1 and 65535, inclusive"));
    }
}

/// Where a variable has its value from.
fn check_origin(from: &Map<String, Value>, value: &str, path: &str, causes: &mut Vec<Cause>) {
    for source in ["configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = from.get(source) else { continue };
        let (name, key) = (text(reference, "name"), text(reference, "key"));
        if !is_subdomain(name) {
            causes.push(Cause::invalid(&format!("{path}.{source}.name"), &json!(name), SUBDOMAIN));
        }
        let at = format!("{path}.{source}.key");
        if key.is_empty() {
            causes.push(Cause::required(&at, ""));
        } else {
            causes.extend(wrong_key(key).iter().map(|why| Cause::invalid(&at, &json!(key), why)));
        }
    }
    let why = match from.len() {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if !value.is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    causes.push(Cause::invalid(path, &json!(""), why));
}

fn check_probe(probe: &Value, which: &str, path: &str, causes: &mut Vec<Cause>) {
    let given = ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter_map(|how| Some((how, probe.get(how)?)));
    let mut taken = false;
    for (how, handler) in given {
        let at = format!("{path}.{how}");
        if taken {
            causes.push(Cause::forbidden(&at, "may not specify more than 1 handler type"));
            continue;
        }
        taken = true;
        if how == "exec" {
            if items(handler, "command").is_empty() {
                causes.push(Cause::required(&format!("{at}.command"), ""));
            }
            continue;
        }
        if how == "httpGet" && text(handler, "path").is_empty() {
            causes.push(Cause::required(&format!("{at}.path"), ""));
        }
        check_port(handler.get("port").unwrap_or(&json!(0)), &format!("{at}.port"), causes);
    }
    if !taken {
        causes.push(Cause::required(path, "must specify a handler type"));
    }
    let successes = probe.get("successThreshold").filter(|count| which != "readinessProbe" && count.as_i64() != Some(1));
    if let Some(count) = successes {
        causes.push(Cause::invalid(&format!("{path}.successThreshold"), count, "must be 1"));
    }
}

/// What is said of the spec of a pod that is taken all the same.
pub(crate) fn warnings(spec: &Value, path: &str) -> Vec<String> {
    let mut list = Vec::new();
    let secrets = items(spec, "imagePullSecrets");
    for (index, secret) in secrets.iter().enumerate() {
        let name = text(secret, "name");
        if secrets[..index].iter().any(|other| text(other, "name") == name) {
            list.push(format!("{path}.imagePullSecrets[{index}].name: duplicate name {name:?}"));
        }
    }
    let empty = secrets.iter().enumerate().filter(|(_, secret)| text(secret, "name").is_empty());
    list.extend(empty.map(|(index, _)| format!("{path}.imagePullSecrets[{index}].name: invalid empty name \"\"")));
    let containers = || {
        ["initContainers", "containers"].into_iter().flat_map(|field| {
            items(spec, field).iter().enumerate().map(move |(index, one)| (format!("{path}.{field}[{index}]"), one))
        })
    };
    for (at, container) in containers() {
        let variables = items(container, "env");
        for (index, variable) in variables.iter().enumerate() {
            let name = text(variable, "name");
            let known = variables[..index].iter().any(|other| text(other, "name") == name);
            let reference = format!("$({name})");
            let value = text(variable, "value");
            let hides = variable.get("valueFrom").is_some() || value == reference || !value.contains(&reference);
            if known && hides {
                let why = format!("hides previous definition of {name:?}, which may be dropped when using apply");
                list.push(format!("{at}.env[{index}]: {why}"));
            }
        }
    }
    let ports: Vec<(String, &Value)> = containers()
        .flat_map(|(at, container)| {
            items(container, "ports").iter().enumerate().map(move |(index, port)| (format!("{at}.ports[{index}]"), port))
        })
        .collect();
    for (index, (at, port)) in ports.iter().enumerate() {
        let same = |other: &Value, field: &str| other.get(field) == port.get(field);
        for (place, other) in ports[..index].iter().filter(|(_, other)| same(other, "containerPort") && same(other, "protocol")) {
            let (host, others) = (number(port, "hostPort"), number(other, "hostPort"));
            let lone = text(port, "hostIP").is_empty() != text(other, "hostIP").is_empty();
            let what = if same(other, "hostIP") && host == others {
                "duplicate"
            } else if host == 0 || others == 0 {
                "overlapping"
            } else if host == others && lone {
                "dangerously ambiguous"
            } else {
                continue;
            };
            list.push(format!("{at}: {what} port definition with {place}"));
        }
    }
    for (index, (at, port)) in ports.iter().enumerate() {
        let name = text(port, "name");
        if let Some((place, _)) = ports[..index].iter().find(|(_, other)| !name.is_empty() && text(other, "name") == name) {
            let why = format!("services and probes that select ports by name will use {place}");
            list.push(format!("{at}: duplicate port name {name:?} with {place}, {why}"));
        }
    }
    list
}
