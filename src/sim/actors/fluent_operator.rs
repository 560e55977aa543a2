//! The fluent operator: a DaemonSet with its Service for each FluentBit. What it finds of inputs, filters and outputs becomes a
//! Secret that only fluent-bit reads; a FluentBit has no status.

use serde_json::{Value, json};

use super::object::{at, controller_reference, is_deleting, items, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Runs fluent-bits.
pub(super) struct FluentOperator;

/// Where fluent-bit says what it has read and sent.
const METRICS: i64 = 2020;

impl Actor for FluentOperator {
    fn name(&self) -> &'static str {
        "fluent-operator"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("fluentbit.fluent.io", "FluentBit")]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key).filter(|o| !is_deleting(o)) else { return Ok(Again::Done) };
        if matches!(cx.fail(&object), Some(Fail::Stuck | Fail::LostHandshake | Fail::Error(_))) {
            return Ok(Again::Done);
        }
        let labels = at(&object, "/metadata/labels");
        let owner = controller_reference(&object);
        cx.ensure(daemon_set(&object, key, &labels, &owner))?;
        cx.ensure(service(&object, key, &labels, &owner))?;
        Ok(Again::Done)
    }
}

/// Its pods are selected by the labels of the FluentBit itself.
fn daemon_set(object: &Value, key: &ObjectKey, labels: &Value, owner: &Value) -> Value {
    let image = |of: &Value| if text(of, "/image").is_empty() { json!("registry.example/sim") } else { at(of, "/image") };
    let init: Vec<Value> = items(object, "/spec/initContainers")
        .iter()
        .map(|container| json!({"name": text(container, "/name"), "image": image(container)}))
        .collect();
    let mut pod = json!({
        "serviceAccountName": key.name, "priorityClassName": text(object, "/spec/priorityClassName"),
        "containers": [{"name": "fluent-bit", "image": image(&at(object, "/spec"))}],
    });
    if !init.is_empty() {
        pod["initContainers"] = init.into();
    }
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels, "ownerReferences": owner},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    })
}

fn service(object: &Value, key: &ObjectKey, labels: &Value, owner: &Value) -> Value {
    let name = Some(text(object, "/spec/service/name")).filter(|name| !name.is_empty()).unwrap_or(&key.name);
    let mut ports = vec![json!({"name": "metrics", "protocol": "TCP", "port": METRICS, "targetPort": METRICS})];
    ports.extend(items(object, "/spec/ports").iter().map(|port| {
        let number = at(port, "/containerPort");
        json!({"name": text(port, "/name"), "protocol": "TCP", "port": number, "targetPort": number})
    }));
    let mut metadata = json!({"name": name, "namespace": key.namespace, "ownerReferences": owner});
    for field in ["labels", "annotations"] {
        if let Some(own) = object.pointer(&format!("/spec/service/{field}")) {
            metadata[field] = own.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}})
}
