//! The status of a Shoot in Gardener's own shape: last operation and errors, conditions, identity, networking.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Input, condition, describe, gardener, last_errors, last_operation};
use crate::plan::{ComponentPlan, ComponentState};

pub(super) fn status(input: &Input<'_>, previous: &Value) -> Value {
    let hibernated = flag(input, "/spec/hibernation/enabled");
    let errors = last_errors(input, previous.get("lastErrors").unwrap_or(&Value::Null));
    let operation = last_operation(input, previous, "Shoot cluster");
    let succeeded = operation.get("state").and_then(Value::as_str) == Some("Succeeded");
    // `isHibernated` follows a finished transition, not the wish (`shoot-flow.md` §3).
    let is_hibernated = if succeeded { json!(hibernated) } else { previous.get("hibernated").cloned().unwrap_or(json!(false)) };
    let addresses: Vec<Value> = input.addresses.iter().map(|(name, url)| json!({ "name": name, "url": url })).collect();
    json!({
        "technicalID": input.technical_id,
        "uid": input.live.map(|l| l.uid.clone()),
        "clusterIdentity": input.cluster_identity,
        "seedName": input.placement.seed,
        "gardener": gardener(),
        "hibernated": is_hibernated,
        "observedGeneration": input.live.map_or(0, |l| l.generation),
        "lastOperation": operation,
        "lastErrors": if errors.is_empty() { Value::Null } else { json!(errors) },
        "conditions": if input.plan.components.len() > 1 { conditions(input, previous, hibernated) } else { Value::Null },
        "networking": input.networking,
        "advertisedAddresses": if addresses.is_empty() { Value::Null } else { json!(addresses) },
    })
}

fn flag(input: &Input<'_>, pointer: &str) -> bool {
    input.manifest.and_then(|m| m.pointer(pointer)).and_then(Value::as_bool).unwrap_or(false)
}

/// A condition's type, what it is about, and which components stand for it.
type Group = (&'static str, &'static str, fn(&str) -> bool);

/// The conditions that can be told from what is rendered (`shoot-flow.md` §7): a type appears once a component stands for it.
fn conditions(input: &Input<'_>, previous: &Value, hibernated: bool) -> Value {
    let now = input.now;
    let mut out = Vec::new();
    let groups: [Group; 4] = [
        ("APIServerAvailable", "API server", |name| name == "kube-apiserver"),
        ("ControlPlaneHealthy", "control plane", |name| {
            !matches!(name, "manifest" | "worker" | "network" | "coredns" | "kube-proxy") && !name.starts_with("shoot-core")
        }),
        ("EveryNodeReady", "nodes", |name| name == "worker"),
        ("SystemComponentsHealthy", "system components", |name| {
            matches!(name, "network" | "coredns" | "kube-proxy") || name.starts_with("shoot-core")
        }),
    ];
    for (kind, what, belongs) in groups {
        let members: Vec<&ComponentPlan> = input
            .plan
            .components
            .iter()
            .filter(|c| belongs(&c.id.name) && !matches!(c.state, ComponentState::Skipped(_)))
            .collect();
        if members.is_empty() && !hibernated {
            continue;
        }
        out.push(if hibernated {
            condition(previous, kind, true, "ConditionNotChecked", "Shoot cluster has been hibernated.", now)
        } else {
            group(previous, kind, what, &members, now)
        });
    }
    json!(out)
}

fn group(previous: &Value, kind: &str, what: &str, members: &[&ComponentPlan], now: Timestamp) -> Value {
    let first = members.iter().find(|c| c.state != ComponentState::Ready);
    match first {
        None => condition(
            previous,
            kind,
            true,
            &format!("{kind}Healthy").replace("HealthyHealthy", "Healthy"),
            &format!("All of the {what} is as wanted."),
            now,
        ),
        Some(component) => {
            let why = describe(&component.state).unwrap_or_default();
            let failed = matches!(component.state, ComponentState::Failed(_) | ComponentState::Held(_));
            let mut value = condition(
                previous,
                kind,
                false,
                if failed { "ComponentFailed" } else { "ComponentProgressing" },
                &format!("{}: {why}", component.id.name),
                now,
            );
            if failed {
                value["status"] = json!("False");
            }
            value
        }
    }
}
