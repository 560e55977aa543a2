//! The StatefulSet controller with the kubelets behind it, without Pods and volumes.

use serde_json::{Value, json};

use super::object::{dropping_zeros, int, is_deleting, replicas, text};
use super::{Actor, Again, Cx, Refused, rollout};
use crate::digest;
use crate::observed::ObjectKey;

/// Rolls StatefulSets out.
pub(super) struct StatefulSets;

impl Actor for StatefulSets {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "StatefulSet")]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(set) = cx.get(key).filter(|s| !is_deleting(s)) else { return Ok(Again::Done) };
        let wanted = replicas(&set);
        let hash = digest::of_value(set.pointer("/spec/template").unwrap_or(&Value::Null)).as_str()[..10].to_owned();
        let revision = format!("{}-{hash}", key.name);
        let same = text(&set, "/status/updateRevision") == revision;
        let ready = if same { int(&set, "/status/updatedReplicas").min(int(&set, "/status/readyReplicas")) } else { 0 };
        // One pod after the other, unless it says that order does not matter.
        let each = if text(&set, "/spec/podManagementPolicy") == "Parallel" { 1 } else { wanted.unsigned_abs().max(1) };
        let rollout = rollout::step(cx, &set, &hash, ready, wanted, 10 * each..=30 * each);
        let complete = rollout.ready == wanted;
        let former = if rollout.former { int(&set, "/status/availableReplicas").min(wanted) } else { 0 };
        let served = former.max(rollout.ready);
        let current = text(&set, "/status/currentRevision");
        let current = if complete || current.is_empty() { revision.as_str() } else { current };
        let mut status = dropping_zeros(json!({
            "readyReplicas": served, "availableReplicas": served, "updatedReplicas": rollout.ready,
            "currentReplicas": if complete { wanted } else { 0 },
        }));
        status["replicas"] = json!(wanted);
        status["collisionCount"] = json!(0);
        status["currentRevision"] = json!(current);
        status["updateRevision"] = json!(revision);
        status["observedGeneration"] = json!(int(&set, "/metadata/generation") - rollout.behind);
        cx.set_status(key, &set, &status)?;
        Ok(rollout.again)
    }
}
