//! Whether one live object is as its controller should leave it: kstatus rules for Kubernetes' own kinds, and the predicates of
//! `extension-contract.md` §2.2, §8 and §9 for those of the engines.
//!
//! Pure, and a function of the reduced object alone.

use jiff::Timestamp;
use serde_json::Value;

use crate::observed::{Object, ObjectKey};
use crate::render::Ready;

/// How one object stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Ready,
    /// On its way: why it is not there yet.
    Progressing(String),
    /// Its controller reports an error, with Gardener's error codes if it gave any.
    Failed {
        /// The controller's words.
        why: String,
        /// `ERR_…` codes.
        codes: Vec<String>,
    },
}

impl Health {
    fn progressing(why: impl Into<String>) -> Self {
        Self::Progressing(why.into())
    }
}

/// The annotation that starts an extension's work.
pub const OPERATION: &str = "gardener.cloud/operation";
/// The annotation that says when it was asked for.
pub const TIMESTAMP: &str = "gardener.cloud/timestamp";

/// The groups of Services, budgets, autoscalers, roles and ManagedResources.
const BESIDE: [&str; 5] = ["", "autoscaling.k8s.io", "policy", "rbac.authorization.k8s.io", "resources.gardener.cloud"];

/// The health of an object in a component that is ready by `ready`.
///
/// A component's predicate applies to the kinds that it is about; its other objects (ConfigMaps beside a Deployment) are ready as
/// soon as they exist.
#[must_use]
pub fn health(object: &Object, ready: &Ready) -> Health {
    if object.deleting {
        return Health::progressing(format!("{} is being deleted", object.key));
    }
    let (group, kind) = (object.key.group.as_str(), object.key.kind.as_str());
    match ready {
        Ready::Rollout => match (group, kind) {
            ("apps", "Deployment") => deployment(object),
            ("apps", "StatefulSet") => stateful_set(object),
            ("apps", "DaemonSet") => daemon_set(object),
            ("operator.victoriametrics.com", "VLSingle") => victoria_logs(object),
            _ => Health::Ready,
        },
        // What stands beside the object that it is about may have conditions of its own.
        Ready::Condition(_) if BESIDE.contains(&group) => Health::Ready,
        Ready::Condition(wanted) => condition(object, wanted),
        Ready::Extension if group == "extensions.gardener.cloud" && kind != "Cluster" => extension(object),
        Ready::Etcd if group == "druid.gardener.cloud" && kind == "Etcd" => etcd(object),
        Ready::ManagedResource if group == "resources.gardener.cloud" => managed_resource(object),
        Ready::Job if group == "batch" && kind == "Job" => job(object),
        Ready::Address if group.is_empty() && kind == "Service" => address(object),
        Ready::Exists
        | Ready::Extension
        | Ready::Etcd
        | Ready::ManagedResource
        | Ready::Job
        | Ready::Address
        // How it stands is seen by what is made of it.
        | Ready::Operated => Health::Ready,
    }
}

/// The health of what an operator makes of an object, given that if it is there.
#[must_use]
pub fn made(of: &ObjectKey, key: &ObjectKey, there: Option<&Object>) -> Health {
    match there {
        Some(object) => health(object, &Ready::Rollout),
        None => Health::progressing(format!("{of}: its operator has not made {key} yet")),
    }
}

fn int(object: &Object, pointer: &str) -> i64 {
    object.get(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn text<'a>(object: &'a Object, pointer: &str) -> Option<&'a str> {
    object.get(pointer).and_then(Value::as_str)
}

/// `None` when the controller has seen the current generation.
fn unobserved(object: &Object) -> Option<Health> {
    (int(object, "/status/observedGeneration") < object.generation)
        .then(|| Health::progressing(format!("{}: the controller has not seen the latest change", object.key)))
}

fn deployment(object: &Object) -> Health {
    if let Some(waiting) = unobserved(object) {
        return waiting;
    }
    if let Some(c) = find_condition(object, "Progressing")
        && c.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
    {
        return Health::Failed { why: format!("{}: rollout exceeded its progress deadline", object.key), codes: Vec::new() };
    }
    let wanted = object.get("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let updated = int(object, "/status/updatedReplicas");
    let total = int(object, "/status/replicas");
    let available = int(object, "/status/availableReplicas");
    if updated < wanted {
        Health::progressing(format!("{}: {updated} of {wanted} updated", object.key))
    } else if total > updated {
        Health::progressing(format!("{}: {} old replicas to go", object.key, total - updated))
    } else if available < wanted {
        Health::progressing(format!("{}: {available} of {wanted} available", object.key))
    } else {
        Health::Ready
    }
}

fn stateful_set(object: &Object) -> Health {
    if let Some(waiting) = unobserved(object) {
        return waiting;
    }
    let wanted = object.get("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let ready = int(object, "/status/readyReplicas");
    if ready < wanted {
        Health::progressing(format!("{}: {ready} of {wanted} ready", object.key))
    } else if wanted > 0 && text(object, "/status/updateRevision") != text(object, "/status/currentRevision") {
        Health::progressing(format!("{}: update under way", object.key))
    } else {
        Health::Ready
    }
}

fn daemon_set(object: &Object) -> Health {
    if let Some(waiting) = unobserved(object) {
        return waiting;
    }
    let wanted = int(object, "/status/desiredNumberScheduled");
    let updated = int(object, "/status/updatedNumberScheduled");
    let available = int(object, "/status/numberAvailable");
    if updated < wanted || available < wanted {
        Health::progressing(format!("{}: {} of {wanted} nodes", object.key, updated.min(available)))
    } else {
        Health::Ready
    }
}

/// The condition of a type that an object reports.
pub(crate) fn find_condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    condition_in(object.get("/status/conditions")?.as_array()?, kind)
}

/// The condition of a type among others.
pub(crate) fn condition_in<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
}

fn condition(object: &Object, wanted: &str) -> Health {
    // Objects of a component that never report this condition (a ConfigMap) have no status at all.
    let Some(found) = find_condition(object, wanted) else {
        let always = object.key.kind == "CustomResourceDefinition" || object.key.group == "monitoring.coreos.com";
        let reports = always || object.get("/status").is_some_and(|s| !s.is_null());
        return if reports { Health::progressing(format!("{}: no condition {wanted} yet", object.key)) } else { Health::Ready };
    };
    if found.get("status").and_then(Value::as_str) == Some("True") {
        Health::Ready
    } else {
        let message = found.get("message").and_then(Value::as_str).unwrap_or_default();
        Health::progressing(format!("{}: {wanted} is not True {message}", object.key).trim_end().to_owned())
    }
}

/// Its operator says how what it makes stands, and hands no label on to that: the Deployment is nobody's that we know.
fn victoria_logs(object: &Object) -> Health {
    if let Some(waiting) = unobserved(object) {
        return waiting;
    }
    match text(object, "/status/updateStatus") {
        Some("operational") => Health::Ready,
        Some("failed") => {
            let why = text(object, "/status/reason").unwrap_or("its operator reports an error");
            Health::Failed { why: format!("{}: {why}", object.key), codes: Vec::new() }
        }
        Some(state) => Health::progressing(format!("{}: {state}", object.key)),
        None => Health::progressing(format!("{}: its operator has not seen it yet", object.key)),
    }
}

/// The readiness predicate of `extension-contract.md` §2.2, in its order; the first failure is the message.
fn extension(object: &Object) -> Health {
    let Some(asked) = object.annotations.get(TIMESTAMP) else {
        return Health::progressing(format!("{}: not triggered yet", object.key));
    };
    if let Some(error) = object.get("/status/lastError").filter(|e| !e.is_null()) {
        let why = error.get("description").and_then(Value::as_str).unwrap_or("the extension reports an error");
        let codes = error
            .get("codes")
            .and_then(Value::as_array)
            .map(|codes| codes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        return Health::Failed { why: format!("{}: {why}", object.key), codes };
    }
    if int(object, "/status/observedGeneration") != object.generation {
        return Health::progressing(format!("{}: the extension has not seen the latest change", object.key));
    }
    if let Some(operation) = object.annotations.get(OPERATION) {
        return Health::progressing(format!("{}: operation `{operation}` not taken up yet", object.key));
    }
    let Some(state) = text(object, "/status/lastOperation/state") else {
        return Health::progressing(format!("{}: no operation reported yet", object.key));
    };
    if state != "Succeeded" {
        let percent = int(object, "/status/lastOperation/progress");
        return Health::progressing(format!("{}: {state} {percent} %", object.key));
    }
    // The extension's clock has whole seconds; the request's may have more (§2.2, 6).
    let updated = text(object, "/status/lastOperation/lastUpdateTime").and_then(|t| t.parse::<Timestamp>().ok());
    let asked = asked.parse::<Timestamp>().ok();
    if let (Some(updated), Some(asked)) = (updated, asked)
        && updated.as_second() < asked.as_second()
    {
        return Health::progressing(format!("{}: the last operation is older than the request", object.key));
    }
    Health::Ready
}

/// `extension-contract.md` §9: what makes an Etcd ready.
fn etcd(object: &Object) -> Health {
    if let Some(error) = object.get("/status/lastErrors").and_then(Value::as_array).and_then(|e| e.first()) {
        let why = error.get("description").and_then(Value::as_str).unwrap_or("etcd-druid reports an error");
        return Health::Failed { why: format!("{}: {why}", object.key), codes: Vec::new() };
    }
    if int(object, "/status/observedGeneration") != object.generation {
        return Health::progressing(format!("{}: etcd-druid has not seen the latest change", object.key));
    }
    if object.annotations.contains_key(OPERATION) || object.annotations.contains_key("druid.gardener.cloud/operation") {
        return Health::progressing(format!("{}: operation not taken up yet", object.key));
    }
    let replicas = object.get("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    if replicas == 0 {
        return Health::Ready;
    }
    if let Health::Progressing(why) = condition(object, "AllMembersUpdated") {
        return Health::Progressing(why);
    }
    if object.get("/status/ready").and_then(Value::as_bool) == Some(true) {
        Health::Ready
    } else {
        Health::progressing(format!("{}: {} of {replicas} members ready", object.key, int(object, "/status/readyReplicas")))
    }
}

/// `extension-contract.md` §8: applied and healthy.
fn managed_resource(object: &Object) -> Health {
    if int(object, "/status/observedGeneration") != object.generation {
        return Health::progressing(format!("{}: the resource manager has not seen the latest change", object.key));
    }
    if let Some(applied) = find_condition(object, "ResourcesApplied")
        && applied.get("status").and_then(Value::as_str) == Some("False")
        && matches!(applied.get("reason").and_then(Value::as_str), Some("ApplyFailed" | "DecodingFailed"))
    {
        let why = applied.get("message").and_then(Value::as_str).unwrap_or("resources could not be applied");
        return Health::Failed { why: format!("{}: {why}", object.key), codes: vec!["ERR_CONFIGURATION_PROBLEM".into()] };
    }
    for wanted in ["ResourcesApplied", "ResourcesHealthy"] {
        if find_condition(object, wanted).and_then(|c| c.get("status")).and_then(Value::as_str) != Some("True") {
            return Health::progressing(format!("{}: {wanted} is not True", object.key));
        }
    }
    Health::Ready
}

fn job(object: &Object) -> Health {
    let is_true = |kind: &str| find_condition(object, kind).and_then(|c| c.get("status")).and_then(Value::as_str) == Some("True");
    if is_true("Failed") {
        Health::Failed { why: format!("{}: failed", object.key), codes: Vec::new() }
    } else if is_true("Complete") {
        Health::Ready
    } else {
        Health::progressing(format!("{}: running", object.key))
    }
}

fn address(object: &Object) -> Health {
    if object.get("/spec/type").and_then(Value::as_str).is_some_and(|t| t != "LoadBalancer") {
        return Health::Ready;
    }
    let ingress = object.get("/status/loadBalancer/ingress").and_then(Value::as_array);
    if ingress.is_some_and(|list| !list.is_empty()) {
        Health::Ready
    } else {
        Health::progressing(format!("{}: no load balancer address yet", object.key))
    }
}
