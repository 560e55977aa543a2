//! The DaemonSet controller with the kubelets behind it: one pod for every Node there is.

use serde_json::{Value, json};

use super::object::{int, is_deleting};
use super::{Actor, Again, Cx, Refused, rollout};
use crate::digest;
use crate::observed::ObjectKey;

/// Rolls DaemonSets out.
pub(super) struct DaemonSets;

impl Actor for DaemonSets {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "DaemonSet")]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(set) = cx.get(key).filter(|s| !is_deleting(s)) else { return Ok(Again::Done) };
        let wanted = i64::try_from(cx.count("", "Node")).unwrap_or(i64::MAX);
        let hash = digest::of_value(set.pointer("/spec/template").unwrap_or(&Value::Null)).as_str()[..10].to_owned();
        let observed = int(&set, "/status/observedGeneration") == int(&set, "/metadata/generation");
        let ready = if observed { int(&set, "/status/numberReady") } else { 0 };
        let rollout = rollout::step(cx, &set, &hash, ready, wanted, 5..=30);
        let mut status = json!({
            "observedGeneration": int(&set, "/metadata/generation") - rollout.behind,
            "currentNumberScheduled": wanted, "desiredNumberScheduled": wanted, "numberMisscheduled": 0, "numberReady": rollout.ready,
        });
        for (field, number) in [
            ("updatedNumberScheduled", wanted),
            ("numberAvailable", rollout.ready),
            ("numberUnavailable", wanted - rollout.ready),
        ] {
            if number != 0 {
                status[field] = json!(number);
            }
        }
        cx.set_status(key, &set, &status)?;
        Ok(rollout.again)
    }
}
