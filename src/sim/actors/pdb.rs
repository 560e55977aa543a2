//! Status of PodDisruptionBudgets, from the workload of the same name or the one whose pods it selects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{covers, int, is_deleting, replicas, short_condition};
use super::{Actor, Again, Cx, Refused};
use crate::observed::ObjectKey;

/// Counts disruptions that are allowed.
pub(super) struct Budgets;

impl Actor for Budgets {
    fn name(&self) -> &'static str {
        "kube-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("policy", "PodDisruptionBudget"), ("apps", "Deployment"), ("apps", "StatefulSet")]
    }

    fn concerns(&self, _: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        // Events of workloads are frequent, so only the budget of the same name is looked for.
        vec![ObjectKey::new("policy", "PodDisruptionBudget", &key.namespace, &key.name)]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(budget) = cx.get(key).filter(|b| !is_deleting(b)) else { return Ok(Again::Done) };
        let workload = workload(cx, key, &budget);
        let expected = workload.as_deref().map_or(0, replicas);
        let healthy = workload.as_deref().map_or(0, |w| int(w, "/status/readyReplicas"));
        let amount = |field: &str| match budget.pointer(&format!("/spec/{field}")) {
            Some(Value::String(percent)) => {
                let percent: i64 = percent.trim_end_matches('%').parse().unwrap_or_default();
                Some((expected * percent + 99) / 100)
            }
            Some(number) => number.as_i64(),
            None => None,
        };
        let desired = match (amount("minAvailable"), amount("maxUnavailable")) {
            (Some(minimum), _) => minimum,
            (None, Some(maximum)) => (expected - maximum).max(0),
            (None, None) => (expected - 1).max(0),
        };
        let allowed = (healthy - desired).max(0);
        let generation = int(&budget, "/metadata/generation");
        let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let mut condition = short_condition(&budget, "DisruptionAllowed", status, reason, "", &cx.stamp());
        condition["observedGeneration"] = json!(generation);
        let status = json!({
            "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed, "expectedPods": expected,
            "observedGeneration": generation, "conditions": [condition],
        });
        cx.set_status(key, &budget, &status)?;
        Ok(Again::Done)
    }
}

fn workload(cx: &Cx<'_>, key: &ObjectKey, budget: &Value) -> Option<Arc<Value>> {
    let kinds = ["Deployment", "StatefulSet"];
    kinds.iter().find_map(|kind| cx.sibling("apps", kind, &key.name)).or_else(|| {
        let selector = budget.pointer("/spec/selector/matchLabels")?;
        let labels = |w: &Value| w.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
        kinds.iter().find_map(|kind| cx.list("apps", kind, &key.namespace).into_iter().find(|w| covers(&labels(w), selector)))
    })
}
