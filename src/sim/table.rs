//! Tables, as `kubectl get` prints them: columns of built-in kinds, JSON paths of custom ones.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kind::{Column, Kind, Version};

mod more;

fn column(name: &str, of: &str, path: &str, priority: i64) -> Column {
    let format = if name == "Name" { "name" } else { "" };
    Column { name: name.into(), of: of.into(), format: format.into(), path: path.into(), priority, description: String::new() }
}

/// The columns of a built-in kind after the name. A path that starts with `#` counts, one with `=` is computed, one with `@` is
/// the age of a time, one with `~` is a number in a column of text. Priority 1 is shown if asked for, 2 always, both after the age.
pub(crate) fn builtin_columns(group: &str, kind: &str) -> Vec<Column> {
    let list: &[(&str, &str, &str, i64)] = match (group, kind) {
        ("", "Namespace") => &[("Status", "string", ".status.phase", 0)],
        ("", "ConfigMap") => &[("Data", "string", "#data", 0)],
        ("", "Secret") => &[("Type", "string", ".type", 0), ("Data", "string", "#data", 0)],
        ("", "Service") => &[
            ("Type", "string", ".spec.type", 0),
            ("Cluster-IP", "string", ".spec.clusterIP", 0),
            ("External-IP", "string", "=external", 0),
            ("Port(s)", "string", "=ports", 0),
            ("Selector", "string", "=selector", 1),
        ],
        ("", "Pod") => &[
            ("Ready", "string", "=ready", 0),
            ("Status", "string", ".status.phase", 0),
            ("Restarts", "string", "=restarts", 0),
            ("IP", "string", ".status.podIP", 1),
            ("Node", "string", ".spec.nodeName", 1),
            ("Nominated Node", "string", ".status.nominatedNodeName", 1),
            ("Readiness Gates", "string", "=gates", 1),
        ],
        ("", "Node") => &[
            ("Status", "string", "=node", 0),
            ("Roles", "string", "=roles", 0),
            ("Version", "string", ".status.nodeInfo.kubeletVersion", 0),
        ],
        ("", "PersistentVolumeClaim") => &[
            ("Status", "string", "=claim", 0),
            ("Volume", "string", "=text /spec/volumeName", 0),
            ("Capacity", "string", "=text /status/capacity/storage", 0),
            ("Access Modes", "string", "=modes", 0),
            ("StorageClass", "string", "=text /spec/storageClassName", 0),
            ("VolumeAttributesClass", "string", "=unset /spec/volumeAttributesClassName", 0),
            ("VolumeMode", "string", "=unset /spec/volumeMode", 1),
        ],
        ("", "ResourceQuota") => &[("Request", "string", "=requests", 0), ("Limit", "string", "=limits", 0)],
        ("", "Event") => &[
            ("Last Seen", "string", "@.lastTimestamp", 0),
            ("Type", "string", ".type", 0),
            ("Reason", "string", ".reason", 0),
            ("Object", "string", "=object", 0),
            ("Message", "string", ".message", 0),
        ],
        ("apps", "Deployment") => &[
            ("Ready", "string", "=rollout", 0),
            ("Up-to-date", "string", "~.status.updatedReplicas", 0),
            ("Available", "string", "~.status.availableReplicas", 0),
            ("Containers", "string", "=containers", 1),
            ("Images", "string", "=images", 1),
            ("Selector", "string", "=labels", 1),
        ],
        ("apps", "StatefulSet") => {
            &[("Ready", "string", "=rollout", 0), ("Containers", "string", "=containers", 1), ("Images", "string", "=images", 1)]
        }
        ("apps", "ReplicaSet") => &[
            ("Desired", "integer", ".spec.replicas", 0),
            ("Current", "integer", ".status.replicas", 0),
            ("Ready", "integer", ".status.readyReplicas", 0),
        ],
        ("apps", "DaemonSet") => &[
            ("Desired", "integer", ".status.desiredNumberScheduled", 0),
            ("Current", "integer", ".status.currentNumberScheduled", 0),
            ("Ready", "integer", ".status.numberReady", 0),
            ("Up-to-date", "integer", ".status.updatedNumberScheduled", 0),
            ("Available", "integer", ".status.numberAvailable", 0),
            ("Node Selector", "string", "=nodes", 0),
            ("Containers", "string", "=containers", 1),
            ("Images", "string", "=images", 1),
            ("Selector", "string", "=labels", 1),
        ],
        ("batch", "Job") => &[
            ("Status", "string", "=job", 0),
            ("Completions", "string", "=completions", 0),
            ("Duration", "string", "=duration", 0),
            ("Containers", "string", "=containers", 1),
            ("Images", "string", "=images", 1),
            ("Selector", "string", "=labels", 1),
        ],
        ("batch", "CronJob") => &[
            ("Schedule", "string", ".spec.schedule", 0),
            ("Timezone", "string", ".spec.timeZone", 0),
            ("Suspend", "boolean", "=suspended", 0),
            ("Active", "integer", "~#/status/active", 0),
            ("Last Schedule", "string", "=scheduled", 0),
            ("Containers", "string", "=containers", 1),
            ("Images", "string", "=images", 1),
            ("Selector", "string", "=labels", 1),
        ],
        ("networking.k8s.io", "Ingress") => &[
            ("Class", "string", ".spec.ingressClassName", 0),
            ("Hosts", "string", "=hosts", 0),
            ("Address", "string", "=addresses", 0),
            ("Ports", "string", "=ingress", 0),
        ],
        ("networking.k8s.io", "NetworkPolicy") => &[("Pod-Selector", "string", "=pods", 0)],
        ("policy", "PodDisruptionBudget") => &[
            ("Min Available", "string", "=bound /spec/minAvailable", 0),
            ("Max Unavailable", "string", "=bound /spec/maxUnavailable", 0),
            ("Allowed Disruptions", "integer", ".status.disruptionsAllowed", 0),
        ],
        ("autoscaling", "HorizontalPodAutoscaler") => &[
            ("Reference", "string", "=reference", 0),
            ("Targets", "string", "=targets", 0),
            ("MinPods", "string", "=unset /spec/minReplicas", 0),
            ("MaxPods", "string", ".spec.maxReplicas", 0),
            ("Replicas", "string", "~.status.currentReplicas", 0),
        ],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &[
            ("Role", "string", "=role", 0),
            ("Users", "string", "=subjects User", 1),
            ("Groups", "string", "=subjects Group", 1),
            ("ServiceAccounts", "string", "=subjects ServiceAccount", 1),
        ],
        ("rbac.authorization.k8s.io", _) | ("", "LimitRange") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            return vec![column("Created At", "date", ".metadata.creationTimestamp", 0)];
        }
        ("coordination.k8s.io", "Lease") => &[("Holder", "string", ".spec.holderIdentity", 0)],
        ("scheduling.k8s.io", "PriorityClass") => &[
            ("Value", "integer", ".value", 0),
            ("Global-Default", "boolean", ".globalDefault", 0),
            ("PreemptionPolicy", "string", ".preemptionPolicy", 2),
        ],
        ("storage.k8s.io", "StorageClass") => &[
            ("Provisioner", "string", ".provisioner", 0),
            ("ReclaimPolicy", "string", ".reclaimPolicy", 0),
            ("VolumeBindingMode", "string", ".volumeBindingMode", 0),
        ],
        _ => &[],
    };
    let rows = list.iter().map(|&(name, of, path, priority)| column(name, of, path, priority));
    let (mut columns, wide): (Vec<Column>, Vec<Column>) = rows.partition(|column| column.priority == 0);
    columns.push(column("Age", "string", "@.metadata.creationTimestamp", 0));
    // After the age, and shown nevertheless.
    let last = |column: Column| Column { priority: column.priority % 2, ..column };
    columns.extend(wide.into_iter().map(last));
    columns
}

/// The columns of a version, name first.
fn columns(version: &Version) -> Vec<Column> {
    let mut columns = vec![column("Name", "string", ".metadata.name", 0)];
    if version.columns.is_empty() {
        columns.push(column("Age", "date", ".metadata.creationTimestamp", 0));
    } else {
        columns.extend(version.columns.iter().cloned());
    }
    columns
}

/// A table of objects. `include`: `Metadata` (default), `Object` or `None`.
pub(crate) fn table(kind: &Kind, version: &Version, meta: Value, objects: &[Value], include: &str, now: Timestamp) -> Value {
    let columns = columns(version);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|c| json!({"name": c.name, "type": c.of, "format": c.format, "description": c.description, "priority": c.priority}))
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| cell(kind, column, object, now)).collect();
            let mut row = json!({"cells": cells});
            match include {
                "None" => row["object"] = Value::Null,
                "Object" => row["object"] = object.clone(),
                _ => row["object"] = partial(object),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": definitions, "rows": rows})
}

/// An object with nothing but its metadata.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata").cloned().unwrap_or_default()})
}

fn cell(kind: &Kind, column: &Column, object: &Value, now: Timestamp) -> Value {
    if let Some(computed) = column.path.strip_prefix('=') {
        let found = more::computed(computed, object, now);
        return found.unwrap_or_else(|| self::computed(kind, computed, object)).into();
    }
    let since = |value: &Value| match value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(time) => age(now.duration_since(time).as_secs()).into(),
        None => "<unknown>".into(),
    };
    if let Some(path) = column.path.strip_prefix('@') {
        return select(object, path).first().map_or_else(|| "<unknown>".into(), |value| since(value));
    }
    if let Some(pointer) = column.path.strip_prefix("~#") {
        return object.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len).into();
    }
    if let Some(path) = column.path.strip_prefix('~') {
        return select(object, path).first().map_or_else(|| 0.into(), |value| (*value).clone());
    }
    if let Some(field) = column.path.strip_prefix('#') {
        let count = match object.get(field) {
            Some(Value::Object(map)) => map.len(),
            Some(Value::Array(list)) => list.len(),
            _ => 0,
        };
        return count.into();
    }
    let found = select(object, &column.path);
    match (found.as_slice(), column.of.as_str()) {
        ([], "integer") if !kind.custom => 0.into(),
        ([], "boolean") if !kind.custom => false.into(),
        ([], _) if !kind.custom => "<none>".into(),
        ([], _) => Value::Null,
        ([value, ..], "date") if kind.custom || column.name == "Age" => since(value),
        ([value], "integer" | "number" | "boolean") => (*value).clone(),
        // Of several only the first is shown.
        ([value, ..], _) => text(value).into(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A duration as kubectl shortens it.
pub(crate) fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let both = |a: i64, x: &str, b: i64, y: &str| if b == 0 { format!("{a}{x}") } else { format!("{a}{x}{b}{y}") };
    if seconds < 0 {
        "<invalid>".into()
    } else if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        both(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        both(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        both(days, "d", hours % 24, "h")
    } else if days < 730 {
        format!("{days}d")
    } else {
        both(days / 365, "y", days % 365, "d")
    }
}

fn computed(kind: &Kind, what: &str, object: &Value) -> String {
    let at = |pointer: &str| object.pointer(pointer);
    let number = |pointer: &str| at(pointer).and_then(Value::as_i64).unwrap_or(0);
    let string = |pointer: &str| at(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let each = |pointer: &str| at(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
    match what {
        "rollout" => format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas")),
        "images" | "containers" => {
            let field = if what == "images" { "image" } else { "name" };
            let job = kind.kind == "CronJob";
            let path = if job { "/spec/jobTemplate/spec/template/spec/containers" } else { "/spec/template/spec/containers" };
            let images = each(path).iter().filter_map(|c| c.get(field)?.as_str());
            images.collect::<Vec<_>>().join(",")
        }
        "labels" | "nodes" => {
            let path = if what == "labels" { "/spec/selector/matchLabels" } else { "/spec/template/spec/nodeSelector" };
            let pairs = at(path).and_then(Value::as_object).into_iter().flatten();
            none(pairs.map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(","))
        }
        "gates" => none(String::new()),
        "duration" => {
            let time = |pointer: &str| string(pointer).parse::<Timestamp>().ok();
            let times = time("/status/startTime").zip(time("/status/completionTime"));
            times.map_or_else(String::new, |(start, end)| age(end.duration_since(start).as_secs()))
        }
        subjects if subjects.starts_with("subjects ") => {
            let of = subjects.trim_start_matches("subjects ");
            let all = each("/subjects").iter().filter(|subject| subject.get("kind").and_then(Value::as_str) == Some(of));
            let name = |subject: &Value| {
                let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                if of == "ServiceAccount" { format!("{}/{}", text("namespace"), text("name")) } else { text("name") }
            };
            all.map(name).collect::<Vec<_>>().join(", ")
        }
        "ready" => {
            let ready = each("/status/containerStatuses").iter().filter(|c| c.get("ready") == Some(&Value::Bool(true))).count();
            format!("{ready}/{}", each("/spec/containers").len())
        }
        "restarts" => {
            let counts = each("/status/containerStatuses").iter().filter_map(|c| c.get("restartCount")?.as_i64());
            counts.sum::<i64>().to_string()
        }
        "external" => {
            let points = each("/status/loadBalancer/ingress").iter();
            let list: Vec<&str> = points.filter_map(|p| p.get("ip").or_else(|| p.get("hostname"))?.as_str()).collect();
            if !list.is_empty() {
                list.join(",")
            } else if string("/spec/type") == "LoadBalancer" {
                "<pending>".into()
            } else {
                none(string("/spec/externalName"))
            }
        }
        "ports" => {
            let ports = each("/spec/ports").iter().map(|port| {
                let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
                match port.get("nodePort").and_then(Value::as_i64).filter(|p| *p > 0) {
                    Some(node) => format!("{}:{node}/{protocol}", port["port"]),
                    None => format!("{}/{protocol}", port["port"]),
                }
            });
            none(ports.collect::<Vec<_>>().join(","))
        }
        "selector" => {
            let pairs = at("/spec/selector").and_then(Value::as_object).into_iter().flatten();
            none(pairs.map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(","))
        }
        "node" => {
            let ready = each("/status/conditions")
                .iter()
                .any(|c| c.get("type") == Some(&json!("Ready")) && c.get("status") == Some(&json!("True")));
            if ready { "Ready".into() } else { "NotReady".into() }
        }
        "roles" => {
            let labels = at("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
            none(labels.filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/")).collect::<Vec<_>>().join(","))
        }
        "object" => format!("{}/{}", string("/involvedObject/kind").to_ascii_lowercase(), string("/involvedObject/name")),
        "job" => {
            let done = each("/status/conditions").iter().find(|c| c.get("status") == Some(&json!("True")));
            done.and_then(|c| c.get("type")?.as_str()).unwrap_or("Running").to_owned()
        }
        "completions" => format!("{}/{}", number("/status/succeeded"), number("/spec/completions")),
        "reference" => format!("{}/{}", string("/spec/scaleTargetRef/kind"), string("/spec/scaleTargetRef/name")),
        "role" => format!("{}/{}", string("/roleRef/kind"), string("/roleRef/name")),
        other => format!("<{other} of {}>", kind.kind),
    }
}

/// What a JSON path selects: fields, `[n]`, `[*]`, `['name']`, `[?(@.a=="b")]`, and `\.` inside names.
pub(crate) fn select<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    for step in steps(path) {
        found = match step {
            Step::Field(name) => found.into_iter().filter_map(|value| value.get(&name)).collect(),
            Step::Index(index) => found.into_iter().filter_map(|value| value.get(index)).collect(),
            Step::All => found.into_iter().flat_map(children).collect(),
            Step::Where(field, wanted) => found
                .into_iter()
                .flat_map(children)
                .filter(|item| select(item, &field).first().is_some_and(|value| text(value) == wanted))
                .collect(),
        };
    }
    found
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

enum Step {
    Field(String),
    Index(usize),
    All,
    Where(String, String),
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = if inside.starts_with('?') {
                inside.find(")]").map(|i| i + 1)
            } else if let Some(quoted) = inside.strip_prefix('\'') {
                quoted.find("']").map(|i| i + 2)
            } else {
                inside.find(']')
            };
            let Some(end) = end else { return steps };
            let body = &inside[..end];
            rest = inside.get(end + 1..).unwrap_or_default();
            if body == "*" {
                steps.push(Step::All);
            } else if let Some(filter) = body.strip_prefix("?(").and_then(|b| b.strip_suffix(')')) {
                let (field, wanted) = filter.split_once("==").unwrap_or((filter, ""));
                let wanted = wanted.trim().trim_matches(|c| c == '"' || c == '\'');
                steps.push(Step::Where(field.trim().trim_start_matches('@').to_owned(), wanted.to_owned()));
            } else if let Ok(index) = body.parse() {
                steps.push(Step::Index(index));
            } else {
                steps.push(Step::Field(body.trim_matches(|c| c == '"' || c == '\'').to_owned()));
            }
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let mut name = String::new();
        let mut escaped = false;
        let mut length = 0;
        for c in rest.chars() {
            if escaped {
                name.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == '.' || c == '[' {
                break;
            } else {
                name.push(c);
            }
            length += c.len_utf8();
        }
        rest = &rest[length..];
        if name == "*" {
            steps.push(Step::All);
        } else if !name.is_empty() {
            steps.push(Step::Field(name));
        } else if length == 0 && !rest.starts_with('[') {
            break;
        }
    }
    steps
}

/// Sets the value at a plain path (`.spec.replicas`).
pub(crate) fn assign(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for step in steps(path) {
        let Step::Field(name) = step else { return };
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    *at = value;
}
