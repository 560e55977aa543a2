//! What the dependency watchdog of a seed has scaled down stays down until it scales it up again (F-102).
//!
//! It does so when kubelets no longer renew their leases: whoever then brings back the controllers that replace dead nodes has every
//! node of the shoot replaced.

use std::sync::Arc;

use serde_json::Value;

use crate::observed::Object;

/// The watchdog's mark on what it scaled down.
const PROTECTION: &str = "dependency-watchdog.gardener.cloud/meltdown-protection-active";

/// The body to apply to a live object: without its number of replicas, while the watchdog has that in its hands.
pub(super) fn yielding(live: &Object, body: &Arc<Value>) -> Arc<Value> {
    // What is ours still and left out would fall back to one replica.
    let ours = live.fields.as_ref().is_some_and(|fields| fields.pointer("/f:spec/f:replicas").is_some());
    let asked = body.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
    if asked == 0 || ours || !live.annotations.contains_key(PROTECTION) {
        return Arc::clone(body);
    }
    let mut rest = Value::clone(body);
    if let Some(spec) = rest.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("replicas");
    }
    Arc::new(rest)
}
