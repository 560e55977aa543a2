//! Settings of the kubelet: which of them replace nodes, and which only restart it.

use serde_json::Value;

use super::{Case, rows};
use crate::value::Quantity;

rows! {
    "spec.kubernetes.kubelet.**" RestartsKubelet Sure OfKubelet;
        "the kubelet restarts with its new settings; pods go on", "extension-contract.md, OperatingSystemConfig";
    "spec.kubernetes.kubelet.kubeReserved.**" RollsNodes Sure OfKubelet when "what is reserved in all changes" reserved_changes;
        "nodes reserve something else for themselves", "extension-contract.md, OperatingSystemConfig";
    "spec.kubernetes.kubelet.systemReserved.**" RollsNodes Sure OfKubelet when "what is reserved in all changes" reserved_changes;
        "nodes reserve something else for themselves", "extension-contract.md, OperatingSystemConfig";
    "spec.kubernetes.kubelet.evictionHard.**" RollsNodes Sure OfKubelet;
        "nodes evict at another threshold", "extension-contract.md, OperatingSystemConfig";
    "spec.kubernetes.kubelet.cpuManagerPolicy" RollsNodes Sure OfKubelet;
        "the CPU manager cannot change its policy on a running node", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].kubernetes.kubelet.**" RestartsKubelet Sure Own;
        "the kubelet restarts with its new settings; pods go on", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].kubernetes.kubelet.kubeReserved.**" RollsNodes Sure Own when "what is reserved in all changes" reserved_changes;
        "nodes reserve something else for themselves", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].kubernetes.kubelet.systemReserved.**" RollsNodes Sure Own when "what is reserved in all changes" reserved_changes;
        "nodes reserve something else for themselves", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].kubernetes.kubelet.evictionHard.**" RollsNodes Sure Own;
        "nodes evict at another threshold", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].kubernetes.kubelet.cpuManagerPolicy" RollsNodes Sure Own;
        "the CPU manager cannot change its policy on a running node", "extension-contract.md, OperatingSystemConfig";
}

/// What both reservations are together, by resource: moving an amount from one to the other replaces no node.
fn reserved(manifest: &Value, pool: Option<&str>) -> Vec<i128> {
    let workers = manifest.pointer("/spec/provider/workers").and_then(Value::as_array);
    let own = pool.and_then(|name| workers?.iter().find(|w| w.get("name").and_then(Value::as_str) == Some(name)));
    let kubelet =
        own.and_then(|worker| worker.pointer("/kubernetes/kubelet")).or_else(|| manifest.pointer("/spec/kubernetes/kubelet"));
    let amount = |part: &str, resource: &str| -> i128 {
        let value = kubelet.and_then(|kubelet| kubelet.get(part)?.get(resource));
        let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        text.and_then(|text| text.parse::<Quantity>().ok()).map_or(0, Quantity::nano)
    };
    ["cpu", "memory", "ephemeralStorage", "pid"]
        .iter()
        .map(|resource| amount("kubeReserved", resource) + amount("systemReserved", resource))
        .collect()
}

fn reserved_changes(case: &Case<'_>) -> bool {
    reserved(case.before, case.pool) != reserved(case.after, case.pool)
}
