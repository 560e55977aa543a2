//! The recommender of the VerticalPodAutoscaler: always recommends what it recommended before, a little for every container
//! that a policy names.

use serde_json::{Value, json};

use super::object::{is_deleting, items, short_condition, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Recommends requests.
pub(super) struct Recommender;

impl Actor for Recommender {
    fn name(&self) -> &'static str {
        "vpa-recommender"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("autoscaling.k8s.io", "VerticalPodAutoscaler")]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(vpa) = cx.get(key).filter(|v| !is_deleting(v)) else { return Ok(Again::Done) };
        if matches!(cx.fail(&vpa), Some(Fail::Stuck | Fail::Error(_))) {
            return Ok(Again::Done);
        }
        if let Some(left) = cx.wait("recommendation", 30..=60) {
            return Ok(Again::After(left));
        }
        let recommendations: Vec<Value> = items(&vpa, "/spec/resourcePolicy/containerPolicies")
            .iter()
            .filter(|p| text(p, "/containerName") != "*" && text(p, "/mode") != "Off")
            .map(|p| {
                let minimum = |resource: &str, default: &str| match text(p, &format!("/minAllowed/{resource}")) {
                    "" => default.to_owned(),
                    minimum => minimum.to_owned(),
                };
                let target = json!({"cpu": minimum("cpu", "25m"), "memory": minimum("memory", "64Mi")});
                json!({"containerName": text(p, "/containerName"), "target": target, "lowerBound": target, "uncappedTarget": target, "upperBound": target})
            })
            .collect();
        let provided = short_condition(&vpa, "RecommendationProvided", "True", "", "", &cx.stamp());
        let status = json!({"conditions": [provided], "recommendation": {"containerRecommendations": recommendations}});
        // Once waited for, a recommendation is final: writing it again would only change times.
        cx.merge_status(key, &vpa, &status)?;
        Ok(Again::Done)
    }
}
