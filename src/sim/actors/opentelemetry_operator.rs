//! The OpenTelemetry operator: a Deployment and its Services for each collector of that mode, and what becomes of it in its status.

use serde_json::{Value, json};

use super::object::{at, controller_reference, int, is_deleting, replicas, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Runs collectors.
pub(super) struct OpenTelemetryOperator;

const GROUP: &str = "opentelemetry.io";
const KIND: &str = "OpenTelemetryCollector";
/// What the names of all that it makes for a collector end with.
const SUFFIX: &str = "-collector";

impl Actor for OpenTelemetryOperator {
    fn name(&self) -> &'static str {
        "opentelemetry-operator"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, KIND), ("apps", "Deployment")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        if key.group == GROUP {
            return vec![key.clone()];
        }
        let owner = key.name.strip_suffix(SUFFIX).map(|name| ObjectKey::new(GROUP, KIND, &key.namespace, name));
        owner.into_iter().filter(|owner| cx.exists(owner)).collect()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key).filter(|o| !is_deleting(o)) else { return Ok(Again::Done) };
        let fail = cx.fail(&object);
        if matches!(fail, Some(Fail::Stuck | Fail::LostHandshake)) || text(&object, "/spec/mode") != "deployment" {
            return Ok(Again::Done);
        }
        let name = format!("{}{SUFFIX}", key.name);
        let selector = json!({
            "app.kubernetes.io/component": "opentelemetry-collector", "app.kubernetes.io/managed-by": "opentelemetry-operator",
            "app.kubernetes.io/instance": format!("{}.{}", key.namespace, key.name),
        });
        let mut labels = at(&object, "/metadata/labels").as_object().cloned().unwrap_or_default();
        labels.extend(selector.as_object().cloned().unwrap_or_default());
        let labels = Value::Object(labels);
        // It hands everything on, whoever it is for.
        let metadata = |name: &str| {
            let owner = controller_reference(&object);
            let mut metadata = json!({"name": name, "namespace": key.namespace, "labels": labels, "ownerReferences": owner});
            if let Some(annotations) = object.pointer("/metadata/annotations") {
                metadata["annotations"] = annotations.clone();
            }
            metadata
        };
        cx.ensure(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(&name),
            "spec": {
                "replicas": replicas(&object), "selector": {"matchLabels": selector},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "serviceAccountName": text(&object, "/spec/serviceAccount"),
                    "containers": [{"name": "otc-container", "image": at(&object, "/spec/image")}],
                }},
            },
        }))?;
        for (service, port, number) in [(name.clone(), "otlp-grpc", 4317), (format!("{name}-monitoring"), "monitoring", 8888)] {
            cx.ensure(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata(&service),
                "spec": {"selector": selector, "ports": [{"name": port, "protocol": "TCP", "port": number, "targetPort": number}]},
            }))?;
        }
        let Some(deployment) = cx.sibling("apps", "Deployment", &name) else { return Ok(Again::Done) };
        let current = int(&deployment, "/status/observedGeneration") == int(&deployment, "/metadata/generation");
        let ready = if current && !matches!(fail, Some(Fail::Error(_))) { int(&deployment, "/status/readyReplicas") } else { 0 };
        let wanted = replicas(&object);
        let status = json!({
            "image": at(&object, "/spec/image"),
            "scale": {"replicas": wanted, "statusReplicas": format!("{ready}/{wanted}")},
        });
        cx.merge_status(key, &object, &status)?;
        Ok(Again::Done)
    }
}
