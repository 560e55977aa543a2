//! prometheus-operator: a StatefulSet for each Prometheus and Alertmanager, and what becomes of it in their status.

use serde_json::{Value, json};

use super::object::{controller_reference, int, is_deleting, replicas, short_condition, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Runs Prometheuses and Alertmanagers.
pub(super) struct PrometheusOperator;

const GROUP: &str = "monitoring.coreos.com";

impl Actor for PrometheusOperator {
    fn name(&self) -> &'static str {
        "PrometheusOperator"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, "Prometheus"), (GROUP, "Alertmanager"), ("apps", "StatefulSet")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        if key.group == GROUP {
            return vec![key.clone()];
        }
        let of = |kind: &str| {
            let name = key.name.strip_prefix(&format!("{}-", kind.to_ascii_lowercase()))?;
            Some(ObjectKey::new(GROUP, kind, &key.namespace, name)).filter(|owner| cx.exists(owner))
        };
        ["Prometheus", "Alertmanager"].into_iter().filter_map(of).collect()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key).filter(|o| !is_deleting(o)) else { return Ok(Again::Done) };
        let fail = cx.fail(&object);
        if matches!(fail, Some(Fail::Stuck | Fail::LostHandshake)) {
            return Ok(Again::Done);
        }
        let generation = int(&object, "/metadata/generation");
        if text(&object, "/spec/image").is_empty() && text(&object, "/spec/version").is_empty() {
            return report(cx, key, &object, 0, false, "a version or an image is missing", generation);
        }
        let kind = key.kind.to_ascii_lowercase();
        let name = format!("{kind}-{}", key.name);
        cx.ensure(stateful_set(&object, key, &kind, &name))?;
        let Some(set) = cx.sibling("apps", "StatefulSet", &name) else { return Ok(Again::Done) };
        let current = int(&set, "/status/observedGeneration") == int(&set, "/metadata/generation");
        let ready = if current && !matches!(fail, Some(Fail::Error(_))) { int(&set, "/status/readyReplicas") } else { 0 };
        let behind = i64::from(fail == Some(Fail::WrongObservedGeneration));
        report(cx, key, &object, ready, ready >= replicas(&object), "", generation - behind)
    }
}

fn stateful_set(object: &Value, key: &ObjectKey, kind: &str, name: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/managed-by": "prometheus-operator", "app.kubernetes.io/name": kind, "app.kubernetes.io/instance": key.name,
        kind: key.name,
    });
    let mut pod = object.pointer("/spec/podMetadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    pod.extend(labels.as_object().cloned().unwrap_or_default());
    let claim = object.pointer("/spec/storage/volumeClaimTemplate").cloned().unwrap_or(Value::Null);
    let mut spec = json!({
        "replicas": replicas(object), "podManagementPolicy": "Parallel", "serviceName": format!("{kind}-operated"), "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": pod}, "spec": {"containers": [{"name": kind, "image": object.pointer("/spec/image").cloned().unwrap_or_else(|| json!("registry.example/sim"))}]}},
    });
    if claim.is_object() {
        spec["volumeClaimTemplates"] = json!([claim]);
    }
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": key.namespace, "labels": labels, "ownerReferences": controller_reference(object)},
        "spec": spec,
    })
}

/// Writes replicas and the conditions Available and Reconciled.
fn report(
    cx: &Cx<'_>,
    key: &ObjectKey,
    object: &Value,
    ready: i64,
    up: bool,
    wrong: &str,
    generation: i64,
) -> Result<Again, Refused> {
    let now = cx.stamp();
    let truth = |ok: bool| if ok { "True" } else { "False" };
    let mut conditions = [
        short_condition(object, "Available", truth(up), if up { "" } else { "NoPodReady" }, "", &now),
        short_condition(
            object,
            "Reconciled",
            truth(wrong.is_empty()),
            if wrong.is_empty() { "" } else { "ReconciliationFailed" },
            wrong,
            &now,
        ),
    ];
    for condition in &mut conditions {
        condition["observedGeneration"] = generation.into();
    }
    let wanted = replicas(object);
    let status = json!({
        "replicas": wanted, "updatedReplicas": ready, "availableReplicas": ready, "unavailableReplicas": wanted - ready, "paused": false,
        "conditions": conditions,
    });
    cx.merge_status(key, object, &status)?;
    Ok(Again::Done)
}
