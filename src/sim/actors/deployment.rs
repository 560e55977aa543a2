//! The Deployment controller with the kubelets behind it: one ReplicaSet per template, no Pods.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{
    annotation, condition, controller_reference, dropping_zeros, int, is_controlled_by, is_deleting, items, replicas, text, uid,
};
use super::{Actor, Again, Cx, Refused, rollout};
use crate::digest;
use crate::observed::ObjectKey;

/// Rolls Deployments out.
pub(super) struct Deployments;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

impl Actor for Deployments {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "Deployment"), ("apps", "ReplicaSet")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        if key.kind == "Deployment" {
            return vec![key.clone()];
        }
        // A ReplicaSet that went is missed by the Deployment that it was named after; other changes of it are our own.
        let name = key.name.rsplit_once('-').map(|(name, _)| name).filter(|_| !cx.exists(key));
        name.map(|name| ObjectKey::new("apps", "Deployment", &key.namespace, name)).into_iter().collect()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(deployment) = cx.get(key).filter(|d| !is_deleting(d)) else { return Ok(Again::Done) };
        let wanted = replicas(&deployment);
        let hash = template_hash(&deployment);
        let set_key = ObjectKey::new("apps", "ReplicaSet", &key.namespace, &format!("{}-{hash}", key.name));
        let set = match cx.get(&set_key) {
            Some(set) => set,
            None => begin(cx, key, &deployment, &hash, wanted)?,
        };
        let set_ready = int(&set, "/status/readyReplicas");
        let rollout = rollout::step(cx, &deployment, &hash, set_ready, wanted, 5..=30);
        if replicas(&set) != wanted {
            cx.patch(&set_key, &json!({"spec": {"replicas": wanted}}))?;
        }
        let set = cx.get(&set_key).unwrap_or(set);
        let set_status = json!({
            "replicas": wanted, "fullyLabeledReplicas": wanted, "readyReplicas": rollout.ready, "availableReplicas": rollout.ready,
            "observedGeneration": int(&set, "/metadata/generation"),
        });
        let mut set_status = dropping_zeros(set_status);
        set_status["replicas"] = json!(wanted);
        cx.set_status(&set_key, &set, &set_status)?;

        // While new pods come up, those of the former template serve on.
        let former = if rollout.former { int(&deployment, "/status/availableReplicas").min(wanted) } else { 0 };
        let served = former.max(rollout.ready);
        let revision = annotation(&set, REVISION).unwrap_or("1").to_owned();
        if annotation(&deployment, REVISION) != Some(&revision) {
            cx.patch(key, &json!({"metadata": {"annotations": {REVISION: revision}}}))?;
        }
        cx.set_status(key, &deployment, &status(cx, &deployment, wanted, served, &rollout))?;
        Ok(rollout.again)
    }
}

fn status(cx: &Cx<'_>, deployment: &Value, wanted: i64, available: i64, rollout: &rollout::Rollout) -> Value {
    let now = cx.stamp();
    let complete = rollout.ready == wanted;
    let mut status = dropping_zeros(json!({
        "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": available, "availableReplicas": available,
        "unavailableReplicas": wanted - available,
    }));
    status["observedGeneration"] = json!(int(deployment, "/metadata/generation") - rollout.behind);
    let name = text(deployment, "/metadata/name");
    let available = if available >= wanted - unavailable(deployment, wanted) {
        condition(deployment, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", &now)
    } else {
        condition(
            deployment,
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            &now,
        )
    };
    let progressing = match &rollout.failed {
        Some(reason) => {
            condition(deployment, "Progressing", "False", reason, &format!("Deployment {name:?} makes no progress."), &now)
        }
        None if complete => condition(
            deployment,
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            &format!("Deployment {name:?} has rolled out."),
            &now,
        ),
        None => condition(
            deployment,
            "Progressing",
            "True",
            "ReplicaSetUpdated",
            &format!("Deployment {name:?} is progressing."),
            &now,
        ),
    };
    status["conditions"] = json!([available, progressing]);
    status
}

/// How many pods may be missing, by the strategy; 25 % where it does not say.
fn unavailable(deployment: &Value, wanted: i64) -> i64 {
    let percent_of = |text: &str| wanted * text.trim_end_matches('%').parse::<i64>().unwrap_or(25) / 100;
    match deployment.pointer("/spec/strategy/rollingUpdate/maxUnavailable") {
        Some(Value::String(percent)) => percent_of(percent),
        Some(number) => number.as_i64().unwrap_or_default(),
        None => percent_of("25%"),
    }
}

/// Ten characters that stand for the pod template.
fn template_hash(deployment: &Value) -> String {
    let template = deployment.pointer("/spec/template").unwrap_or(&Value::Null);
    digest::of_value(template).as_str()[..10].to_owned()
}

/// Makes the ReplicaSet of a new template, and retires those of former ones. The set carries the template's labels and images,
/// not the whole template: nothing reads more, and a thousand control planes are a thousand times that.
fn begin(cx: &Cx<'_>, key: &ObjectKey, deployment: &Value, hash: &str, wanted: i64) -> Result<Arc<Value>, Refused> {
    let mut former: Vec<_> =
        cx.list("apps", "ReplicaSet", &key.namespace).into_iter().filter(|s| is_controlled_by(s, uid(deployment))).collect();
    let number = |set: &Value| annotation(set, REVISION).and_then(|r| r.parse::<i64>().ok()).unwrap_or_default();
    former.sort_by_key(|s| number(s));
    let revision = former.last().map_or(0, |s| number(s)) + 1;
    for set in &former {
        if let Some(set_key) = ObjectKey::of(set).filter(|_| replicas(set) > 0) {
            cx.patch(&set_key, &json!({"spec": {"replicas": 0}}))?;
        }
    }
    let limit = deployment.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64).unwrap_or(10);
    let surplus = former.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for set_key in former.iter().take(surplus).filter_map(|s| ObjectKey::of(s)) {
        cx.delete(&set_key)?;
    }
    let mut labels = deployment.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    labels[HASH] = json!(hash);
    let mut selector = deployment.pointer("/spec/selector/matchLabels").cloned().unwrap_or_else(|| json!({}));
    selector[HASH] = json!(hash);
    let containers: Vec<Value> = items(deployment, "/spec/template/spec/containers")
        .iter()
        .map(|c| json!({"name": text(c, "/name"), "image": text(c, "/image")}))
        .collect();
    cx.create(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", key.name), "namespace": key.namespace, "labels": labels,
            "annotations": {REVISION: revision.to_string()}, "ownerReferences": controller_reference(deployment),
        },
        "spec": {
            "replicas": wanted, "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }))
}
