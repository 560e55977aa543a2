//! The HorizontalPodAutoscaler: raises its target to its minimum and lowers it to its maximum through the scale subresource,
//! as another manager of the same field. There is no load, so between the bounds it leaves the number alone.

use serde_json::{Value, json};

use super::object::{at, int, is_deleting, replicas, short_condition, text};
use super::{Actor, Again, Cx, Refused};
use crate::observed::ObjectKey;

/// Scales what autoscalers point at.
pub(super) struct Autoscalers;

impl Actor for Autoscalers {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("autoscaling", "HorizontalPodAutoscaler"), ("apps", "Deployment"), ("apps", "StatefulSet")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        if key.kind == "HorizontalPodAutoscaler" {
            return vec![key.clone()];
        }
        let scalers = cx.list("autoscaling", "HorizontalPodAutoscaler", &key.namespace);
        scalers.iter().filter(|s| target(s, &key.namespace) == *key).filter_map(|s| ObjectKey::of(s)).collect()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(scaler) = cx.get(key).filter(|s| !is_deleting(s)) else { return Ok(Again::Done) };
        let target_key = target(&scaler, &key.namespace);
        let now = cx.stamp();
        let condition = |kind: &str, ok: bool, reason: &str, message: &str| {
            short_condition(&scaler, kind, if ok { "True" } else { "False" }, reason, message, &now)
        };
        let Some(object) = cx.get(&target_key).filter(|t| !is_deleting(t)) else {
            let able = condition("AbleToScale", false, "FailedGetScale", &format!("{target_key} not found"));
            cx.set_status(key, &scaler, &json!({"currentReplicas": 0, "desiredReplicas": 0, "conditions": [able]}))?;
            return Ok(Again::Done);
        };
        let current = replicas(&object);
        if current == 0 {
            let able = condition("AbleToScale", true, "SucceededGetScale", "the target's current scale is known");
            let active = condition(
                "ScalingActive",
                false,
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            );
            cx.set_status(key, &scaler, &json!({"currentReplicas": 0, "desiredReplicas": 0, "conditions": [able, active]}))?;
            return Ok(Again::Done);
        }
        let minimum = scaler.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1);
        let desired = current.clamp(minimum, int(&scaler, "/spec/maxReplicas").max(minimum));
        let mut status = json!({
            "currentReplicas": int(&object, "/status/replicas"), "desiredReplicas": desired, "currentMetrics": null,
            "conditions": [
                condition("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size"),
                condition("ScalingActive", true, "ValidMetricFound", "the metric is below its target"),
                condition("ScalingLimited", desired == minimum, if desired == minimum { "TooFewReplicas" } else { "DesiredWithinRange" }, "within minimum and maximum"),
            ],
        });
        let observed = int(&scaler, "/metadata/generation");
        if observed > 0 {
            status["observedGeneration"] = json!(observed);
        }
        let last = at(&scaler, "/status/lastScaleTime");
        if desired != current {
            cx.scale(&target_key, desired)?;
            status["lastScaleTime"] = json!(now);
        } else if !last.is_null() {
            status["lastScaleTime"] = last;
        }
        cx.set_status(key, &scaler, &status)?;
        Ok(Again::Done)
    }
}

fn target(scaler: &Value, namespace: &str) -> ObjectKey {
    let group = text(scaler, "/spec/scaleTargetRef/apiVersion").split_once('/').map_or("", |(group, _)| group);
    ObjectKey::new(group, text(scaler, "/spec/scaleTargetRef/kind"), namespace, text(scaler, "/spec/scaleTargetRef/name"))
}
