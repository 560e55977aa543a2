//! The defaults of a shoot that need nothing but the shoot (`defaults.md` §1).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::node::{Node, fill, list, put, section};
use super::super::offer;
use crate::digest;
use crate::landscape::Owner;

/// How many pods a node runs if nobody says otherwise.
const PODS_PER_NODE: i64 = 110;
/// The beginning of the labels that name the seeds of a shoot.
const SEED_LABEL: &str = "name.seed.gardener.cloud/";
/// The label of shoots that host their own control plane.
const OWN_LABEL: &str = "shoot.gardener.cloud/self-hosted";

/// Fills in what is absent. Doing it twice changes nothing.
pub(in crate::admission) fn fill_in(shoot: &mut Value, owner: &Owner) {
    let workers = !Node::root(shoot).at("spec/provider/workers").is_empty();
    top_level(shoot, owner, workers);
    control_plane(shoot, workers);
    if workers {
        nodes(shoot);
        pools(shoot);
    }
    autoscaling(shoot);
}

/// Brings fields together that say the same, as a server does before it looks at an object. Doing it twice changes nothing.
pub(in crate::admission) fn prepare(shoot: &mut Value, old: Option<&Node<'_>>) {
    let root = Node::root(shoot);
    let minor = offer::version(root.at("spec/kubernetes/version").str()).map_or(0, |v| v.minor);
    let (reference, older) = (root.at("spec/cloudProfile"), root.at("spec/cloudProfileName"));
    let (name, kind) = (reference.get("name").str().to_owned(), reference.get("kind").str().to_owned());
    let older = older.str().to_owned();
    if reference.is_set() {
        if kind.is_empty() {
            put(shoot, "spec/cloudProfile/kind", "CloudProfile");
        }
        let plain = matches!(kind.as_str(), "" | "CloudProfile") && !name.is_empty();
        let kept = old.is_some_and(|old| old.at("spec/cloudProfileName").str() == older);
        if plain && minor < 33 && minor > 0 {
            put(shoot, "spec/cloudProfileName", name);
        } else if plain
            && minor >= 34
            && older == name
            && kept
            && let Some(spec) = section(shoot, "spec")
        {
            spec.remove("cloudProfileName");
        }
    } else if !older.is_empty() {
        put(shoot, "spec/cloudProfile", json!({"kind": "CloudProfile", "name": older}));
    }
    for provider in list(shoot, "spec/dns/providers") {
        let root = Node::root(provider);
        let (reference, secret) = (root.get("credentialsRef"), root.get("secretName"));
        let is_secret = reference.get("apiVersion").str() == "v1" && reference.get("kind").str() == "Secret";
        let (named, secret) = (reference.get("name").str().to_owned(), secret.text().map(str::to_owned));
        match (reference.is_set(), secret) {
            (true, None) if is_secret && minor < 35 => put(provider, "secretName", named),
            (false, Some(secret)) if !secret.is_empty() => {
                put(provider, "credentialsRef", json!({"apiVersion": "v1", "kind": "Secret", "name": secret}));
            }
            _ => {}
        }
    }
}

/// What a server does to a shoot before it keeps it. Doing it twice changes nothing.
pub(in crate::admission) fn canonical(shoot: &mut Value, pinned: bool) {
    let root = Node::root(shoot);
    let named = ["spec/seedName", "status/seedName"].into_iter().filter(|_| pinned);
    let seeds: BTreeSet<String> = named.filter_map(|path| root.at(path).text()).map(str::to_owned).collect();
    let own = root.at("spec/provider/workers").items().iter().any(|pool| pool.get("controlPlane").is_set());
    let anonymous = "enableAnonymousAuthentication";
    let said = root.at("spec/kubernetes/kubeAPIServer").get(anonymous).flag() == Some(false);
    let labelled = root.at("metadata/labels").is_set();
    if said && let Some(server) = section(shoot, "spec/kubernetes/kubeAPIServer") {
        server.remove(anonymous);
    }
    if let Some(Value::Object(autoscaler)) = shoot.pointer_mut("/spec/kubernetes/clusterAutoscaler") {
        autoscaler.remove("maxEmptyBulkDelete");
    }
    if !labelled && seeds.is_empty() && !own {
        return;
    }
    let Some(labels) = section(shoot, "metadata/labels") else { return };
    labels.retain(|key, _| !key.starts_with(SEED_LABEL) && key != OWN_LABEL);
    labels.extend(seeds.into_iter().filter(|seed| !seed.is_empty()).map(|seed| (format!("{SEED_LABEL}{seed}"), "true".into())));
    if own {
        labels.insert(OWN_LABEL.to_owned(), "true".into());
    }
}

fn top_level(shoot: &mut Value, owner: &Owner, workers: bool) {
    fill(shoot, "spec/purpose", "evaluation");
    fill(shoot, "spec/schedulerName", "default-scheduler");
    if owner.project == "garden" {
        tolerate(shoot, &json!({"key": "seed.gardener.cloud/protected"}));
    }
    fill(shoot, "spec/networking/ipFamilies", json!(["IPv4"]));
    if !Node::root(shoot).at("spec/maintenance/autoUpdate").is_set() {
        fill(shoot, "spec/maintenance/autoUpdate/kubernetesVersion", true);
        if workers {
            fill(shoot, "spec/maintenance/autoUpdate/machineImageVersion", true);
        }
    }
    if !Node::root(shoot).at("spec/maintenance/timeWindow").is_set() {
        let (begin, end) = window(owner);
        fill(shoot, "spec/maintenance/timeWindow", json!({"begin": begin, "end": end}));
    }
    for what in ["observability", "sshKeypair", "etcdEncryptionKey"] {
        let path = format!("spec/maintenance/autoRotation/credentials/{what}");
        if Node::root(shoot).at(&path).is_set() {
            fill(shoot, &format!("{path}/rotationPeriod"), "168h0m0s");
        }
    }
    if Node::root(shoot).at("spec/addons/kubernetesDashboard/enabled").flag() == Some(true) {
        fill(shoot, "spec/addons/kubernetesDashboard/authenticationMode", "token");
    }
    if Node::root(shoot).at("spec/addons/nginxIngress").is_set() {
        fill(shoot, "spec/addons/nginxIngress/externalTrafficPolicy", "Cluster");
    }
}

/// Adds a toleration unless one with its key is there.
pub(super) fn tolerate(shoot: &mut Value, toleration: &Value) {
    let key = Node::root(toleration).get("key").str();
    let present = Node::root(shoot).at("spec/tolerations").items().iter().any(|t| t.get("key").str() == key);
    if present {
        return;
    }
    if let Some(list) = section(shoot, "spec").map(|s| s.entry("tolerations").or_insert_with(|| json!([]))) {
        match list {
            Value::Array(items) => items.push(toleration.clone()),
            other => *other = json!([toleration]),
        }
    }
}

/// An hour of the day that is the object's own: Gardener draws it, here it follows from the identity.
fn window(owner: &Owner) -> (String, String) {
    let digest = digest::of_bytes(format!("maintenance window of {owner}").as_bytes());
    let hour = digest.as_str().bytes().fold(0u32, |sum, b| (sum * 31 + u32::from(b)) % 23);
    (format!("{hour:02}0000+0000"), format!("{:02}0000+0000", hour + 1))
}

fn control_plane(shoot: &mut Value, workers: bool) {
    let server = "spec/kubernetes/kubeAPIServer";
    fill(shoot, &format!("{server}/requests/maxNonMutatingInflight"), 400);
    fill(shoot, &format!("{server}/requests/maxMutatingInflight"), 200);
    fill(shoot, &format!("{server}/eventTTL"), "1h0m0s");
    fill(shoot, &format!("{server}/logging/verbosity"), 2);
    fill(shoot, &format!("{server}/encryptionConfig/provider/type"), "aescbc");
    if !workers {
        return;
    }
    fill(shoot, &format!("{server}/defaultNotReadyTolerationSeconds"), 300);
    fill(shoot, &format!("{server}/defaultUnreachableTolerationSeconds"), 300);
    let families = families(shoot);
    let manager = "spec/kubernetes/kubeControllerManager";
    if families == ["IPv6"] {
        fill(shoot, &format!("{manager}/nodeCIDRMaskSize"), 64);
    } else {
        let mask = mask_size(pods_for_mask(shoot));
        fill(shoot, &format!("{manager}/nodeCIDRMaskSize"), mask);
    }
    if families.len() > 1 {
        fill(shoot, &format!("{manager}/nodeCIDRMaskSizeIPv6"), 64);
    }
    fill(shoot, &format!("{manager}/nodeMonitorGracePeriod"), "40s");
    fill(shoot, "spec/kubernetes/kubeScheduler/profile", "balanced");
    fill(shoot, "spec/kubernetes/kubeProxy/mode", "IPTables");
    fill(shoot, "spec/kubernetes/kubeProxy/enabled", true);
    fill(shoot, "spec/provider/workersSettings/sshAccess/enabled", true);
    let mode = Node::root(shoot).at("spec/systemComponents/coreDNS/autoscaling/mode");
    if !matches!(mode.str(), "horizontal" | "cluster-proportional") {
        put(shoot, "spec/systemComponents/coreDNS/autoscaling/mode", "horizontal");
    }
}

/// The address families of a shoot, as written.
fn families(shoot: &Value) -> Vec<String> {
    Node::root(shoot).at("spec/networking/ipFamilies").items().iter().map(|f| f.str().to_owned()).collect()
}

/// The highest number of pods that any node of a shoot may run: what kubelets are told, else their default.
pub(in crate::admission) fn most_pods(shoot: &Value) -> i64 {
    let root = Node::root(shoot);
    let cluster = root.at("spec/kubernetes/kubelet/maxPods").int();
    let pools = root.at("spec/provider/workers").items();
    let all = cluster.into_iter().chain(pools.iter().filter_map(|p| p.at("kubernetes/kubelet/maxPods").int()));
    all.max().unwrap_or(PODS_PER_NODE)
}

/// The number of pods that the node mask is made for: what the cluster says, or more where a pool does.
fn pods_for_mask(shoot: &Value) -> i64 {
    let root = Node::root(shoot);
    let cluster = root.at("spec/kubernetes/kubelet/maxPods").int().unwrap_or(PODS_PER_NODE);
    let pools = root.at("spec/provider/workers").items();
    pools.iter().filter_map(|p| p.at("kubernetes/kubelet/maxPods").int()).fold(cluster, i64::max)
}

/// The mask that leaves a node twice as many addresses as it may run pods.
fn mask_size(pods: i64) -> i64 {
    let doubled = u64::try_from(pods.max(1)).unwrap_or(1).saturating_mul(2);
    let bits = 64 - (doubled - 1).leading_zeros();
    (32 - i64::from(bits)).max(0)
}

fn nodes(shoot: &mut Value) {
    let kubelet = "spec/kubernetes/kubelet";
    fill(shoot, &format!("{kubelet}/failSwapOn"), true);
    fill(shoot, &format!("{kubelet}/imageMinimumGCAge"), "2m0s");
    fill(shoot, &format!("{kubelet}/imageMaximumGCAge"), "0s");
    fill(shoot, &format!("{kubelet}/imageGCHighThresholdPercent"), 50);
    fill(shoot, &format!("{kubelet}/imageGCLowThresholdPercent"), 40);
    let parallel = Node::root(shoot).at(kubelet).get("maxParallelImagePulls").int().is_some_and(|n| n >= 2);
    fill(shoot, &format!("{kubelet}/serializeImagePulls"), !parallel);
    if let Some(Value::Object(kubelet)) = shoot.pointer_mut("/spec/kubernetes/kubelet") {
        swap(kubelet);
    }
}

/// Where swap is allowed and switched on, how it behaves.
fn swap(kubelet: &mut serde_json::Map<String, Value>) {
    let allowed = kubelet.get("featureGates").and_then(|g| g.get("NodeSwap")).and_then(Value::as_bool) == Some(true);
    let used = kubelet.get("failSwapOn").and_then(Value::as_bool) == Some(false);
    if let (true, true, Some(Value::Object(swap))) = (allowed, used, kubelet.get_mut("memorySwap")) {
        swap.entry("swapBehavior").or_insert_with(|| "LimitedSwap".into());
    }
}

fn pools(shoot: &mut Value) {
    let provider = Node::root(shoot).at("spec/provider/type").value().cloned();
    for pool in list(shoot, "spec/provider/workers") {
        if let (true, Some(provider)) = (Node::root(pool).at("controlPlane/exposure/extension").is_set(), &provider) {
            fill(pool, "controlPlane/exposure/extension/type", provider.clone());
        }
        fill(pool, "cri/name", "containerd");
        fill(pool, "updateStrategy", "AutoRollingUpdate");
        let strategy = Node::root(pool).get("updateStrategy").str().to_owned();
        match strategy.as_str() {
            "AutoRollingUpdate" => {
                fill(pool, "maxSurge", 1);
                fill(pool, "maxUnavailable", 0);
            }
            "AutoInPlaceUpdate" => {
                fill(pool, "maxSurge", 0);
                fill(pool, "maxUnavailable", 1);
            }
            _ => {}
        }
        if strategy.ends_with("InPlaceUpdate") {
            fill(pool, "machineControllerManager/disableHealthTimeout", true);
        }
        if !Node::root(pool).get("systemComponents").is_set() {
            fill(pool, "systemComponents/allow", true);
        }
        if Node::root(pool).at("kubernetes/kubelet").is_set() {
            fill(pool, "kubernetes/kubelet/failSwapOn", true);
            if let Some(Value::Object(kubelet)) = pool.pointer_mut("/kubernetes/kubelet") {
                swap(kubelet);
            }
        }
    }
}

/// The sections of the two autoscalers: filled in only where they are given.
fn autoscaling(shoot: &mut Value) {
    let root = Node::root(shoot);
    let cluster = root.at("spec/kubernetes/clusterAutoscaler").is_set();
    let vertical = root.at("spec/kubernetes/verticalPodAutoscaler").is_set();
    if cluster {
        let at = "spec/kubernetes/clusterAutoscaler";
        let parallel = Node::root(shoot).at(at).get("maxEmptyBulkDelete").int().unwrap_or(10);
        let defaults = json!({
            "scaleDownDelayAfterAdd": "1h0m0s", "scaleDownDelayAfterDelete": "0s", "scaleDownDelayAfterFailure": "3m0s",
            "scaleDownUnneededTime": "30m0s", "scaleDownUtilizationThreshold": 0.5, "scanInterval": "10s",
            "expander": "least-waste", "maxNodeProvisionTime": "20m0s", "maxGracefulTerminationSeconds": 600,
            "ignoreDaemonsetsUtilization": false, "emitPerNodeGroupMetrics": false, "verbosity": 2,
            "newPodScaleUpDelay": "0s", "maxScaleDownParallelism": parallel, "maxDrainParallelism": 1,
            "initialNodeGroupBackoffDuration": "5m0s", "maxNodeGroupBackoffDuration": "30m0s",
            "nodeGroupBackoffResetTimeout": "3h0m0s", "maxBinpackingTime": "5m0s",
        });
        fill_all(shoot, at, defaults);
    }
    if vertical {
        let defaults = json!({
            "enabled": false, "evictAfterOOMThreshold": "10m0s", "evictionRateBurst": 1, "evictionRateLimit": -1,
            "evictionTolerance": 0.5, "recommendationMarginFraction": 0.15, "updaterInterval": "1m0s",
            "recommenderInterval": "1m0s", "targetCPUPercentile": 0.9, "targetMemoryPercentile": 0.9,
            "recommendationLowerBoundCPUPercentile": 0.5, "recommendationLowerBoundMemoryPercentile": 0.5,
            "recommendationUpperBoundCPUPercentile": 0.95, "recommendationUpperBoundMemoryPercentile": 0.95,
            "cpuHistogramDecayHalfLife": "24h0m0s", "memoryHistogramDecayHalfLife": "24h0m0s",
            "memoryAggregationInterval": "24h0m0s", "memoryAggregationIntervalCount": 8, "recommenderUpdateWorkerCount": 10,
        });
        fill_all(shoot, "spec/kubernetes/verticalPodAutoscaler", defaults);
    }
}

fn fill_all(shoot: &mut Value, at: &str, defaults: Value) {
    if let Value::Object(defaults) = defaults {
        for (key, value) in defaults {
            fill(shoot, &format!("{at}/{key}"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gets_twice_as_many_addresses_as_pods() {
        for (pods, mask) in [(110, 24), (128, 24), (129, 23), (250, 23), (64, 25), (512, 22)] {
            assert_eq!(mask_size(pods), mask, "{pods} pods");
        }
    }

    #[test]
    fn filling_in_twice_changes_nothing() {
        let owner = Owner::project(crate::landscape::Kind::Shoot, "garden", "a");
        let mut once = json!({"spec": {"provider": {"workers": [{"name": "w", "kubernetes": {"kubelet": {}}}]},
            "kubernetes": {"clusterAutoscaler": {}, "verticalPodAutoscaler": {"enabled": true}}}});
        fill_in(&mut once, &owner);
        let mut twice = once.clone();
        fill_in(&mut twice, &owner);
        assert_eq!(once, twice);
    }
}
