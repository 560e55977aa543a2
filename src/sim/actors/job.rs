//! The Job controller with the kubelets behind it: every Job completes, unless told to fail.

use serde_json::json;

use super::object::{condition, int, is_deleting, items, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Completes Jobs.
pub(super) struct Jobs;

impl Actor for Jobs {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("batch", "Job")]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(job) = cx.get(key).filter(|j| !is_deleting(j)) else { return Ok(Again::Done) };
        let over = items(&job, "/status/conditions").iter().any(|c| matches!(text(c, "/type"), "Complete" | "Failed"));
        if over || job.pointer("/spec/suspend").is_some_and(|s| s == true) {
            return Ok(Again::Done);
        }
        let fail = cx.fail(&job);
        let now = cx.stamp();
        let started = match text(&job, "/status/startTime") {
            "" => now.clone(),
            started => started.to_owned(),
        };
        let pods = int(&job, "/spec/completions").max(1);
        let left = if fail == Some(Fail::Stuck) { Some(Again::Done) } else { cx.wait("run", 5..=30).map(Again::After) };
        if let Some(again) = left {
            cx.merge_status(key, &job, &json!({"startTime": started, "active": pods, "ready": pods}))?;
            return Ok(again);
        }
        let status = if let Some(Fail::Error(reason)) = fail {
            let failed = ["FailureTarget", "Failed"]
                .map(|t| condition(&job, t, "True", &reason, "the Job failed as asked for by annotation", &now));
            json!({"startTime": started, "failed": 1, "conditions": failed.map(probed)})
        } else {
            let complete = ["SuccessCriteriaMet", "Complete"]
                .map(|t| condition(&job, t, "True", "CompletionsReached", "Reached expected number of succeeded pods", &now));
            json!({"startTime": started, "completionTime": now, "succeeded": pods, "conditions": complete.map(probed)})
        };
        cx.set_status(key, &job, &status)?;
        Ok(Again::Done)
    }
}

/// Conditions of Jobs have a probe time instead of an update time.
fn probed(mut condition: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = condition.as_object_mut()
        && let Some(time) = fields.remove("lastUpdateTime")
    {
        fields.insert("lastProbeTime".into(), time);
    }
    condition
}
