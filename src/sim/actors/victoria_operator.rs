//! The VictoriaMetrics operator: a Deployment and Services for each VLSingle, and what becomes of it in its status.

use serde_json::{Map, Value, json};

use super::object::{at, controller_reference, int, is_deleting, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Runs single VictoriaLogs.
pub(super) struct VictoriaOperator;

const GROUP: &str = "operator.victoriametrics.com";
const KIND: &str = "VLSingle";
/// What the names of all that it makes begin with.
const PREFIX: &str = "vlsingle-";
/// Where it says that a Service is there beside the usual one.
const ADDITIONAL: &str = "operator.victoriametrics.com/additional-service";

impl Actor for VictoriaOperator {
    fn name(&self) -> &'static str {
        "victoria-operator"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, KIND), ("apps", "Deployment")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        if key.group == GROUP {
            return vec![key.clone()];
        }
        let owner = key.name.strip_prefix(PREFIX).map(|name| ObjectKey::new(GROUP, KIND, &key.namespace, name));
        owner.into_iter().filter(|owner| cx.exists(owner)).collect()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key).filter(|o| !is_deleting(o)) else { return Ok(Again::Done) };
        let fail = cx.fail(&object);
        if matches!(fail, Some(Fail::Stuck | Fail::LostHandshake)) {
            return Ok(Again::Done);
        }
        let name = format!("{PREFIX}{}", key.name);
        cx.ensure(deployment(&object, key, &name))?;
        let port = text(&object, "/spec/port").parse().unwrap_or(9428);
        cx.ensure(service(&object, key, &name, port, false))?;
        let additional = text(&object, "/spec/serviceSpec/metadata/name");
        if !additional.is_empty() {
            cx.ensure(service(&object, key, additional, port, true))?;
        }
        let Some(deployment) = cx.sibling("apps", "Deployment", &name) else { return Ok(Again::Done) };
        let current = int(&deployment, "/status/observedGeneration") == int(&deployment, "/metadata/generation");
        let up = current && int(&deployment, "/status/readyReplicas") >= wanted(&object);
        let (state, reason) = match &fail {
            Some(Fail::Error(_)) => ("failed", "a simulated failure"),
            _ if up => ("operational", ""),
            _ => ("expanding", ""),
        };
        let behind = i64::from(fail == Some(Fail::WrongObservedGeneration));
        let generation = int(&object, "/metadata/generation") - behind;
        cx.merge_status(key, &object, &json!({"updateStatus": state, "reason": reason, "observedGeneration": generation}))?;
        Ok(Again::Done)
    }
}

/// How many pods it is to have.
fn wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicaCount").and_then(Value::as_i64).unwrap_or(1)
}

/// The labels by which its pods are selected.
fn selector(key: &ObjectKey) -> Value {
    json!({
        "app.kubernetes.io/name": "vlsingle", "app.kubernetes.io/instance": key.name,
        "app.kubernetes.io/component": "monitoring", "managed-by": "vm-operator",
    })
}

/// Metadata of something that it makes, with the annotations that everything is to have.
fn metadata(object: &Value, key: &ObjectKey, name: &str) -> Value {
    let owner = controller_reference(object);
    let mut metadata = json!({"name": name, "namespace": key.namespace, "labels": selector(key), "ownerReferences": owner});
    if let Some(annotations) = object.pointer("/spec/managedMetadata/annotations") {
        metadata["annotations"] = annotations.clone();
    }
    metadata
}

fn deployment(object: &Value, key: &ObjectKey, name: &str) -> Value {
    let mut labels: Map<String, Value> = at(object, "/spec/podMetadata/labels").as_object().cloned().unwrap_or_default();
    labels.extend(selector(key).as_object().cloned().unwrap_or_default());
    let image = format!("{}:{}", text(object, "/spec/image/repository"), text(object, "/spec/image/tag"));
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(object, key, name),
        "spec": {
            "replicas": wanted(object), "strategy": {"type": "Recreate"}, "selector": {"matchLabels": selector(key)},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "vlsingle", "image": image}]}},
        },
    })
}

fn service(object: &Value, key: &ObjectKey, name: &str, port: i64, additional: bool) -> Value {
    let mut metadata = metadata(object, key, name);
    if additional {
        metadata["labels"][ADDITIONAL] = "managed".into();
    }
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"selector": selector(key), "ports": [{"name": "http", "protocol": "TCP", "port": port, "targetPort": port}]},
    })
}
