//! The status of a Shoot in Gardener's own shape: last operation and errors, conditions, identity, networking.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Input, as_rolled_out, condition, condition_of, describe, find, gardener, last_errors, last_operation, seconds};
use crate::health::condition_in;
use crate::plan::{ComponentPlan, ComponentState};

pub(super) fn status(input: &Input<'_>, previous: &Value) -> Value {
    let hibernated = flag(input, "/spec/hibernation/enabled");
    let errors = last_errors(input, previous.get("lastErrors").unwrap_or(&Value::Null));
    let operation = last_operation(input, previous, "Shoot cluster");
    let succeeded = operation.get("state").and_then(Value::as_str) == Some("Succeeded");
    // `isHibernated` follows a finished transition, not the wish (`shoot-flow.md` §3).
    let is_hibernated = if succeeded { json!(hibernated) } else { previous.get("hibernated").cloned().unwrap_or(json!(false)) };
    let addresses: Vec<Value> = input.addresses.iter().map(|(name, url)| json!({ "name": name, "url": url })).collect();
    let kept = |field: &str| previous.get(field).cloned().unwrap_or_default();
    json!({
        // Decided with the seed; a report of an earlier look does not take it back.
        "technicalID": input.technical_id.as_ref().map_or_else(|| kept("technicalID"), |id| json!(id)),
        "uid": kept("uid"),
        "clusterIdentity": input.cluster_identity.as_ref().map_or_else(|| kept("clusterIdentity"), |id| json!(id)),
        "seedName": input.placement.seed,
        "gardener": gardener(),
        "hibernated": is_hibernated,
        "observedGeneration": input.live.map_or(0, |l| l.generation),
        "lastOperation": operation,
        "lastErrors": if errors.is_empty() { Value::Null } else { json!(errors) },
        "conditions": if input.plan.components.len() > 1 { conditions(input, previous, hibernated) } else { Value::Null },
        "networking": input.networking.clone().unwrap_or_else(|| kept("networking")),
        "advertisedAddresses": if addresses.is_empty() { Value::Null } else { json!(addresses) },
    })
}

fn flag(input: &Input<'_>, pointer: &str) -> bool {
    input.manifest.and_then(|m| m.pointer(pointer)).and_then(Value::as_bool).unwrap_or(false)
}

/// The conditions that can be told from what is rendered (`shoot-flow.md` §7): a type appears once a component stands for it.
fn conditions(input: &Input<'_>, previous: &Value, hibernated: bool) -> Value {
    let now = input.now;
    let mut out = Vec::new();
    let groups: [Group; 5] = [
        Group {
            kind: "APIServerAvailable",
            reason: "ApiServerRolledOut",
            message: "The API server is rolled out.",
            belongs: |name| name == "kube-apiserver",
        },
        Group {
            kind: "ControlPlaneHealthy",
            reason: "ControlPlaneRunning",
            message: "All control plane components are as wanted.",
            belongs: |name| {
                !matches!(name, "manifest" | "worker" | "network" | "coredns" | "kube-proxy")
                    && !name.starts_with("shoot-core")
                    && !OBSERVABILITY.contains(&name)
            },
        },
        Group {
            kind: "ObservabilityComponentsHealthy",
            reason: "ObservabilityComponentsRunning",
            message: "All observability components are as wanted.",
            belongs: |name| OBSERVABILITY.contains(&name),
        },
        Group {
            kind: "EveryNodeReady",
            reason: "EveryNodeReady",
            message: "The machines of all pools are ready.",
            belongs: |name| name == "worker",
        },
        Group {
            kind: "SystemComponentsHealthy",
            reason: "SystemComponentsRunning",
            message: "All system components are as wanted.",
            belongs: |name| matches!(name, "network" | "coredns" | "kube-proxy") || name.starts_with("shoot-core"),
        },
    ];
    for each in groups {
        let Group { kind, belongs, .. } = each;
        let members: Vec<&ComponentPlan> = input
            .plan
            .components
            .iter()
            .filter(|c| belongs(&c.id.name) && !matches!(c.state, ComponentState::Skipped(_)))
            .collect();
        if members.is_empty() && !hibernated {
            continue;
        }
        let said = if hibernated {
            condition(previous, kind, true, "ConditionNotChecked", "Shoot cluster has been hibernated.", now)
        } else {
            group(previous, &each, &members, as_rolled_out(input.plan), now)
        };
        let is_true = said.get("status").and_then(Value::as_str) == Some("True");
        let otherwise = if is_true && !hibernated { reported(input, previous, kind) } else { None };
        out.push(otherwise.unwrap_or(said));
    }
    json!(out)
}

/// How the reason ends where what was reported is too old to be believed.
const OUTDATED: &str = "OutdatedHealthCheckReport";

/// What extensions say against a condition: the first of them that reports anything but True, or cannot be believed any more
/// because its controller is silent. Until it is known whether that lives, it does if it did before.
fn reported(input: &Input<'_>, previous: &Value, kind: &str) -> Option<Value> {
    input.reported.iter().find_map(|reported| {
        let said = condition_in(&reported.conditions, kind)?;
        let of = &reported.key.kind;
        let life = match (&reported.controller, input.silent) {
            (None, _) => None,
            (Some(controller), Some(silent)) => silent.get(controller).map(|last| (controller, last)),
            (Some(_), None) => match find(previous, kind).filter(|before| text(before, "reason").ends_with(OUTDATED)) {
                Some(before) => return Some(before.clone()),
                None => None,
            },
        };
        let (status, reason, message) = match (life, text(said, "status")) {
            (Some((controller, last)), _) => {
                let last = last.map_or_else(|| "never".to_owned(), |last| format!("last at {}", seconds(last)));
                let message = format!(
                    "{} reports an outdated health status: its controller in {controller} showed a sign of life {last}.",
                    reported.key
                );
                ("Unknown", format!("{of}{OUTDATED}"), message)
            }
            (None, "True") => return None,
            (None, "Progressing") => ("Progressing", format!("{of}{}", text(said, "reason")), text(said, "message").to_owned()),
            (None, _) => {
                let message = format!("{} reports a failing health check: {}", reported.key, text(said, "message"));
                ("False", format!("{of}UnhealthyReport"), message)
            }
        };
        let mut out = condition_of(previous, kind, status, &reason, &message, input.now);
        if let Some(codes) = said.get("codes").filter(|codes| codes.as_array().is_some_and(|list| !list.is_empty())) {
            out["codes"] = codes.clone();
        }
        Some(out)
    })
}

fn text<'a>(condition: &'a Value, key: &str) -> &'a str {
    condition.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The components that watch the others.
const OBSERVABILITY: [&str; 14] = [
    "alert-rules",
    "alertmanager",
    "blackbox-exporter-control-plane",
    "event-logger",
    "istio-basic-auth-server",
    "kube-state-metrics",
    "observability-ingress",
    "opentelemetry-collector",
    "plutono",
    "plutono-dashboards",
    "prometheus",
    "scrape-configs",
    "vali",
    "victoria-logs",
];

/// The components that one condition stands for.
struct Group {
    kind: &'static str,
    reason: &'static str,
    message: &'static str,
    belongs: fn(&str) -> bool,
}

fn group(previous: &Value, group: &Group, members: &[&ComponentPlan], waits: bool, now: Timestamp) -> Value {
    // What waits for a maintenance window runs as it was rolled out last.
    let kept = |c: &ComponentPlan| waits && matches!(c.state, ComponentState::Waiting(_) | ComponentState::Blocked(_));
    let Some(component) = members.iter().find(|c| c.state != ComponentState::Ready && !kept(c)) else {
        return condition(previous, group.kind, true, group.reason, group.message, now);
    };
    let why = format!("{}: {}", component.id.name, describe(&component.state).unwrap_or_default());
    let failed = matches!(component.state, ComponentState::Failed(_) | ComponentState::Held(_));
    let reason = if failed { "ComponentFailed" } else { "ComponentProgressing" };
    condition_of(previous, group.kind, if failed { "False" } else { "Progressing" }, reason, &why, now)
}
