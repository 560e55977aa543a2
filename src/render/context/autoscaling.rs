//! What a shoot's settings mean for the autoscalers of its nodes and pods (`components/machines-and-network.md` §2, §6).

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{at, entries, flag, list, plain, text, texts};

/// A field of `spec.kubernetes.clusterAutoscaler`, the flag that it becomes, and what it is where it is left out.
const CLUSTER: [(&str, &str, &str); 19] = [
    ("scaleDownDelayAfterAdd", "scale-down-delay-after-add", "1h"),
    ("scaleDownDelayAfterDelete", "scale-down-delay-after-delete", "0s"),
    ("scaleDownDelayAfterFailure", "scale-down-delay-after-failure", "3m"),
    ("scaleDownUnneededTime", "scale-down-unneeded-time", "30m"),
    ("scaleDownUtilizationThreshold", "scale-down-utilization-threshold", "0.5"),
    ("scanInterval", "scan-interval", "10s"),
    ("maxNodeProvisionTime", "max-node-provision-time", "20m"),
    ("maxGracefulTerminationSeconds", "max-graceful-termination-sec", "600"),
    ("ignoreDaemonsetsUtilization", "ignore-daemonsets-utilization", "false"),
    ("emitPerNodeGroupMetrics", "emit-per-nodegroup-metrics", "false"),
    ("verbosity", "v", "2"),
    ("newPodScaleUpDelay", "new-pod-scale-up-delay", "0s"),
    ("maxScaleDownParallelism", "max-scale-down-parallelism", "10"),
    ("maxDrainParallelism", "max-drain-parallelism", "1"),
    ("initialNodeGroupBackoffDuration", "initial-node-group-backoff-duration", "5m"),
    ("maxNodeGroupBackoffDuration", "max-node-group-backoff-duration", "30m"),
    ("nodeGroupBackoffResetTimeout", "node-group-backoff-reset-timeout", "3h"),
    ("maxBinpackingTime", "max-binpacking-time", "5m"),
    ("expander", "expander", "least-waste"),
];

/// Fields of `spec.kubernetes.verticalPodAutoscaler` that the recommender takes.
const RECOMMENDER: [(&str, &str, &str); 13] = [
    ("recommendationMarginFraction", "recommendation-margin-fraction", "0.15"),
    ("recommenderInterval", "recommender-interval", "1m"),
    ("recommenderUpdateWorkerCount", "update-worker-count", "10"),
    ("targetCPUPercentile", "target-cpu-percentile", "0.9"),
    ("recommendationLowerBoundCPUPercentile", "recommendation-lower-bound-cpu-percentile", "0.5"),
    ("recommendationUpperBoundCPUPercentile", "recommendation-upper-bound-cpu-percentile", "0.95"),
    ("cpuHistogramDecayHalfLife", "cpu-histogram-decay-half-life", "24h"),
    ("targetMemoryPercentile", "target-memory-percentile", "0.9"),
    ("recommendationLowerBoundMemoryPercentile", "recommendation-lower-bound-memory-percentile", "0.5"),
    ("recommendationUpperBoundMemoryPercentile", "recommendation-upper-bound-memory-percentile", "0.95"),
    ("memoryHistogramDecayHalfLife", "memory-histogram-decay-half-life", "24h"),
    ("memoryAggregationInterval", "memory-aggregation-interval", "24h"),
    ("memoryAggregationIntervalCount", "memory-aggregation-interval-count", "8"),
];

/// Those that the updater takes.
const UPDATER: [(&str, &str, &str); 5] = [
    ("evictionTolerance", "eviction-tolerance", "0.5"),
    ("evictionRateBurst", "eviction-rate-burst", "1"),
    ("evictionRateLimit", "eviction-rate-limit", "-1"),
    ("evictAfterOOMThreshold", "evict-after-oom-threshold", "10m"),
    ("updaterInterval", "updater-interval", "1m"),
];

/// `clusterAutoscaler` of the context.
pub(super) fn cluster(shoot: &Value, profile: &Value, networks: &Value) -> Value {
    let settings = at(shoot, "/spec/kubernetes/clusterAutoscaler");
    let pools = list(shoot, "/spec/provider/workers");
    let number = |pool: &Value, field: &str| at(pool, field).as_i64().unwrap_or(0);
    let priorities = pools.iter().any(|pool| !at(pool, "/priority").is_null());
    let mut flags = Vec::new();
    for (field, name, fallback) in CLUSTER {
        let mut value = setting(settings, field, fallback);
        if field == "maxScaleDownParallelism" && settings.get(field).is_none() {
            value = setting(settings, "maxEmptyBulkDelete", fallback);
        }
        if field == "expander" && priorities && !value.split(',').any(|part| part == "priority") {
            value = format!("priority,{value}");
        }
        flags.push(format!("--{name}={value}"));
    }
    for (field, name) in [("startupTaints", "startup-taint"), ("statusTaints", "status-taint"), ("ignoreTaints", "ignore-taint")]
    {
        flags.extend(texts(settings, &format!("/{field}")).into_iter().map(|taint| format!("--{name}={taint}")));
    }
    if pools.iter().any(|pool| number(pool, "/machineControllerManager/autoPreserveFailedMachineMax") > 0) {
        flags.push("--max-total-unready-percentage=100".to_owned());
    }
    flags.push(format!("--max-nodes-total={}", most_nodes(shoot, profile, networks)));
    let defaults: Vec<Value> =
        pools.iter().map(|pool| json!({"name": text(pool, "/name"), "priority": number(pool, "/priority")})).collect();
    json!({
        "enabled": pools.iter().any(|pool| number(pool, "/maximum") > number(pool, "/minimum")),
        "flags": flags,
        "priorities": priorities,
        "poolPriorities": defaults,
        "minAllowed": super::compact(at(settings, "/autoscaling/minAllowed").clone()),
    })
}

/// The most nodes that addresses and the cloud profile leave room for; 0 if nothing limits them.
fn most_nodes(shoot: &Value, profile: &Value, networks: &Value) -> u64 {
    let dual = flag(networks, "/dualStack");
    let net = |text: &str| text.parse::<IpNet>().ok().filter(|net| !dual || matches!(net, IpNet::V4(_)));
    let size = |bits: u8| 1_u64.checked_shl(bits.into()).unwrap_or(u64::MAX);
    let manager = at(shoot, "/spec/kubernetes/kubeControllerManager");
    let mask = |v6: bool| {
        let field = if v6 { "/nodeCIDRMaskSizeIPv6" } else { "/nodeCIDRMaskSize" };
        let own = at(manager, field).as_u64().or_else(|| at(manager, "/nodeCIDRMaskSize").as_u64());
        own.and_then(|mask| u8::try_from(mask).ok()).unwrap_or(if v6 { 64 } else { 24 })
    };
    let pods = texts(networks, "/pods").into_iter().filter_map(net).fold(0_u64, |sum, range| {
        let bits = mask(matches!(range, IpNet::V6(_))).saturating_sub(range.prefix_len());
        sum.saturating_add(size(bits))
    });
    let nodes = texts(networks, "/nodes").into_iter().filter_map(net).fold(0_u64, |sum, range| {
        let all = size(range.max_prefix_len().saturating_sub(range.prefix_len()));
        sum.saturating_add(if matches!(range, IpNet::V4(_)) { all.saturating_sub(2) } else { all })
    });
    let profile = at(profile, "/spec/limits/maxNodesTotal").as_u64().unwrap_or(0);
    [pods, nodes, profile].into_iter().filter(|limit| *limit > 0).min().unwrap_or(0)
}

/// `vpaSettings` of the context, from settings as a shoot has them in `spec.kubernetes.verticalPodAutoscaler`.
pub(super) fn vertical(settings: &Value) -> Value {
    let flags = |table: &[(&str, &str, &str)]| -> Vec<String> {
        table.iter().map(|(field, name, fallback)| format!("--{name}={}", setting(settings, field, fallback))).collect()
    };
    let mut recommender = flags(&RECOMMENDER);
    for (resource, amount) in entries(settings, "/maxAllowed") {
        recommender.push(format!("--container-recommendation-max-allowed-{resource}={}", plain(amount)));
    }
    let mut gates: Vec<String> = entries(settings, "/featureGates").map(|(gate, on)| format!("{gate}={}", plain(on))).collect();
    gates.sort_unstable();
    json!({
        "recommender": recommender,
        "updater": flags(&UPDATER),
        "gates": if gates.is_empty() { Vec::new() } else { vec![format!("--feature-gates={}", gates.join(","))] },
    })
}

/// A setting, or what it is where it is left out, as Go would print it.
fn setting(settings: &Value, field: &str, fallback: &str) -> String {
    let value = settings.get(field).filter(|value| !value.is_null());
    let value = value.map_or_else(|| fallback.to_owned(), plain);
    // Fractions are told from whole numbers by what they are without a setting.
    if fallback.contains('.') {
        return value.parse::<f64>().map_or(value, |number| format!("{number:.6}"));
    }
    go_duration(&value).unwrap_or(value)
}

/// A duration as Go prints it: `90m` is `1h30m0s`. `None` if it is none of whole hours, minutes and seconds.
fn go_duration(text: &str) -> Option<String> {
    let (mut seconds, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    if text.is_empty() || !digits.is_empty() {
        return None;
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let written = |text: &str| go_duration(text);
        assert_eq!(written("90m").as_deref(), Some("1h30m0s"));
        assert_eq!(written("0s").as_deref(), Some("0s"));
        assert_eq!(written("20m").as_deref(), Some("20m0s"));
        assert_eq!(written("10"), None);
        assert_eq!(written("least-waste"), None);
    }

    #[test]
    fn addresses_limit_the_number_of_nodes() {
        let networks = json!({"pods": ["10.0.0.0/16"], "nodes": ["10.1.0.0/25"], "dualStack": false});
        let shoot = json!({"spec": {"kubernetes": {"kubeControllerManager": {"nodeCIDRMaskSize": 24}}}});
        assert_eq!(most_nodes(&shoot, &json!({}), &networks), 126);
        assert_eq!(most_nodes(&shoot, &json!({"spec": {"limits": {"maxNodesTotal": 50}}}), &networks), 50);
        let wide = json!({"pods": ["10.0.0.0/16"], "nodes": [], "dualStack": false});
        assert_eq!(most_nodes(&shoot, &json!({}), &wide), 256);
        assert_eq!(most_nodes(&shoot, &json!({}), &json!({"pods": [], "nodes": [], "dualStack": false})), 0);
    }

    #[test]
    fn priorities_of_pools_come_before_the_expander() {
        let shoot = json!({"spec": {"kubernetes": {}, "provider": {"workers": [
            {"name": "a", "minimum": 1, "maximum": 2, "priority": 5}, {"name": "b", "minimum": 1, "maximum": 1},
        ]}}});
        let cluster = cluster(&shoot, &json!({}), &json!({"pods": [], "nodes": [], "dualStack": false}));
        assert!(texts(&cluster, "/flags").contains(&"--expander=priority,least-waste"));
        assert!(texts(&cluster, "/flags").contains(&"--scale-down-utilization-threshold=0.500000"));
        assert!(flag(&cluster, "/enabled") && flag(&cluster, "/priorities"));
    }
}
