//! The engines of a seed, and what of them its settings and the landscape's switch (`components/seed-and-garden.md` §1.5, §2).

use serde_json::{Value, json};

use super::{at, autoscaling, flag, list, texts};

/// `engines` of a seed's context.
pub(super) fn engines(seed: &Value, landscape: &Value) -> Value {
    let installs = |engine: &str| at(landscape, &format!("/spec/seedEngines/{engine}")).as_bool() != Some(false);
    let watches = |part: &str| at(seed, &format!("/spec/settings/dependencyWatchdog/{part}/enabled")).as_bool() != Some(false);
    let autoscaler = at(seed, "/spec/settings/verticalPodAutoscaler");
    json!({
        "resourceManager": installs("resourceManager"),
        "etcdDruid": installs("etcdDruid"),
        "istio": installs("istio"),
        "watchdog": {"weeder": watches("weeder"), "prober": watches("prober")},
        "vpa": at(autoscaler, "/enabled").as_bool() != Some(false),
        "pvcAutoscaler": flag(seed, "/spec/settings/persistentVolumeClaimAutoscaler/enabled"),
        "vpaSettings": autoscaling::vertical(&json!({
            "recommendationMarginFraction": 0.05,
            "evictionTolerance": 1.0,
            "evictAfterOOMThreshold": "48h",
            "maxAllowed": at(autoscaler, "/maxAllowed"),
            "featureGates": at(autoscaler, "/featureGates"),
        })),
        "reserve": reserve(seed),
    })
}

/// Pods that keep room for control planes to come, until one needs it: `{replicas, resources, nodeSelector, tolerations}`.
fn reserve(seed: &Value) -> Vec<Value> {
    let reservation = at(seed, "/spec/settings/excessCapacityReservation");
    if at(reservation, "/enabled").as_bool() == Some(false) {
        return Vec::new();
    }
    let replicas = texts(seed, "/spec/provider/zones").len().max(2);
    list(reservation, "/configs")
        .iter()
        .map(|config| {
            json!({
                "replicas": replicas,
                "resources": at(config, "/resources"),
                "nodeSelector": at(config, "/nodeSelector"),
                "tolerations": list(config, "/tolerations"),
            })
        })
        .collect()
}
