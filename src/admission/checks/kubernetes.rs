//! Settings of the control plane and its autoscalers: ranges, durations, and what a Kubernetes version no longer has.

use super::prelude::*;

rules! {
    /// Some settings end with a Kubernetes version (V-049, V-058, V-076, V-088, V-109, V-113, V-120).
    "SHOOT-SETTING-GONE", "a setting is gone from this Kubernetes version", Shoot, gone;
    /// Addons are for clusters whose purpose is evaluation (V-050).
    "SHOOT-ADDON", "an addon is not possible", Shoot, addons;
    /// Durations are not negative, and events are kept for a day at most (V-097, V-100, V-110, V-116, V-123, V-153, V-154).
    "SHOOT-DURATION", "a duration is out of range", Shoot, durations;
    /// Numbers are in their ranges (V-090, V-091, V-092, V-117, V-119, V-124 … V-127).
    "SHOOT-RANGE", "a number is out of range", Shoot, ranges;
    /// Modes and profiles are known ones (V-095, V-101, V-112, V-114, V-118).
    "SHOOT-MODE", "a mode is unknown", Shoot, modes;
    /// Extensions and referenced resources have a type or name, each once (V-023, V-024, V-025, V-026).
    "SHOOT-ENTRY", "an entry is incomplete or repeated", Shoot, entries;
}

/// Fields, and the first minor version of Kubernetes 1 that does not have them.
const GONE: [(&str, u64, &str); 6] = [
    ("spec/kubernetes/kubeAPIServer/enableAnonymousAuthentication", 35, "use structured authentication"),
    ("spec/kubernetes/kubeAPIServer/watchCacheSizes/default", 35, "the API server chooses it"),
    ("spec/kubernetes/kubeControllerManager/podEvictionTimeout", 33, "use `defaultNotReadyTolerationSeconds` of the API server"),
    ("spec/kubernetes/kubeScheduler/kubeMaxPDVols", 35, "the drivers of volumes say it"),
    ("spec/kubernetes/clusterAutoscaler/maxEmptyBulkDelete", 33, "use `maxScaleDownParallelism`"),
    ("spec/kubernetes/clusterAutoscaler/ignoreTaints", 32, "use `startupTaints`"),
];

fn gone(cx: &Cx<'_>, out: &mut Out) {
    let Some(version) = offer::version(cx.new.at("spec/kubernetes/version").str()) else { return };
    for (path, minor, instead) in GONE.into_iter().filter(|(_, minor, _)| version.minor >= *minor) {
        let node = cx.new.at(path);
        if node.is_set() {
            out.forbidden(&node, format!("`{}` is gone from Kubernetes 1.{minor} on", node.field())).on_key().help(format!("remove it: {instead}"));
        }
    }
    if version.minor >= 35 {
        for provider in cx.new.at("spec/dns/providers").items() {
            let node = provider.get("secretName");
            if node.is_set() {
                out.forbidden(&node, "`secretName` is gone from Kubernetes 1.35 on").on_key().help("use `credentialsRef`");
            }
        }
    }
}

fn addons(cx: &Cx<'_>, out: &mut Out) {
    let addons = cx.new.at("spec/addons");
    let minor = offer::version(cx.new.at("spec/kubernetes/version").str()).map_or(0, |v| v.minor);
    let purpose = cx.new.at("spec/purpose");
    for addon in ["kubernetesDashboard", "nginxIngress"] {
        let node = addons.get(addon).get("enabled");
        if node.flag() != Some(true) {
            continue;
        }
        if minor >= 35 {
            out.forbidden(&node, format!("the addon `{addon}` is gone from Kubernetes 1.35 on")).help("install it in the cluster yourself");
        } else if purpose.str() != "evaluation" {
            out.forbidden(&node, format!("the addon `{addon}` is only for evaluation")).and(&purpose, "the purpose").help("install it in the cluster yourself");
        }
    }
}

/// Sections, and their fields that are durations.
const DURATIONS: [(&str, &[&str]); 6] = [
    (
        "spec/kubernetes/clusterAutoscaler",
        &[
            "scaleDownDelayAfterAdd", "scaleDownDelayAfterDelete", "scaleDownDelayAfterFailure", "scaleDownUnneededTime", "scanInterval",
            "maxNodeProvisionTime", "newPodScaleUpDelay", "initialNodeGroupBackoffDuration", "maxNodeGroupBackoffDuration",
            "nodeGroupBackoffResetTimeout", "maxBinpackingTime",
        ],
    ),
    (
        "spec/kubernetes/verticalPodAutoscaler",
        &[
            "evictAfterOOMThreshold", "updaterInterval", "recommenderInterval", "cpuHistogramDecayHalfLife", "memoryHistogramDecayHalfLife",
            "memoryAggregationInterval",
        ],
    ),
    ("spec/kubernetes/kubeAPIServer", &["eventTTL"]),
    ("spec/kubernetes/kubeAPIServer/serviceAccountConfig", &["maxTokenExpiration"]),
    ("spec/kubernetes/kubeControllerManager", &["nodeMonitorGracePeriod", "podEvictionTimeout"]),
    (
        "spec/kubernetes/kubelet",
        &["imageMinimumGCAge", "imageMaximumGCAge", "evictionPressureTransitionPeriod", "streamingConnectionIdleTimeout"],
    ),
];
const POOL_DURATIONS: [(&str, &[&str]); 2] = [
    ("machineControllerManager", &["machineDrainTimeout", "machineHealthTimeout", "machineCreationTimeout", "machinePreserveTimeout"]),
    ("clusterAutoscaler", &["scaleDownUnneededTime", "scaleDownUnreadyTime", "maxNodeProvisionTime"]),
];
const A_DAY: f64 = 24.0 * 3600.0;

fn durations(cx: &Cx<'_>, out: &mut Out) {
    let mut all: Vec<Node<'_>> = DURATIONS.into_iter().flat_map(|(section, fields)| fields.iter().map(move |f| cx.new.at(section).get(f))).collect();
    for pool in cx.new.at("spec/provider/workers").items() {
        all.extend(POOL_DURATIONS.into_iter().flat_map(|(section, fields)| fields.iter().map(|f| pool.at(section).get(f)).collect::<Vec<_>>()));
    }
    for node in all.iter().filter(|n| n.is_set()) {
        match syntax::duration(node.str()) {
            Some(seconds) if seconds < 0.0 => {
                out.invalid(node, format!("{} is negative", node.shown()));
            }
            Some(seconds) if node.pointer().as_str().ends_with("/eventTTL") && seconds > A_DAY => {
                out.invalid(node, format!("events are kept for {}", node.shown())).help("at most `24h`");
            }
            // What is no duration was refused when the landscape was loaded.
            Some(_) | None => {}
        }
    }
}

fn ranges(cx: &Cx<'_>, out: &mut Out) {
    let whole: [(&str, i64, i64); 13] = [
        ("kubeAPIServer/requests/maxNonMutatingInflight", 0, 5000),
        ("kubeAPIServer/requests/maxMutatingInflight", 0, 2500),
        ("kubeAPIServer/logging/verbosity", 0, i64::MAX),
        ("kubeAPIServer/logging/httpAccessVerbosity", 0, i64::MAX),
        ("kubeAPIServer/defaultNotReadyTolerationSeconds", 0, i64::MAX),
        ("kubeAPIServer/defaultUnreachableTolerationSeconds", 0, i64::MAX),
        ("clusterAutoscaler/maxGracefulTerminationSeconds", 0, i64::MAX),
        ("clusterAutoscaler/maxScaleDownParallelism", 0, i64::MAX),
        ("clusterAutoscaler/maxDrainParallelism", 0, i64::MAX),
        ("clusterAutoscaler/verbosity", 0, i64::MAX),
        ("verticalPodAutoscaler/evictionRateBurst", 0, i64::MAX),
        ("verticalPodAutoscaler/memoryAggregationIntervalCount", 0, i64::MAX),
        ("verticalPodAutoscaler/recommenderUpdateWorkerCount", 1, i64::MAX),
    ];
    for (path, low, high) in whole {
        let node = cx.new.at("spec/kubernetes").at(path);
        if node.int().is_some_and(|n| n < low || n > high) {
            let most = if high == i64::MAX { String::new() } else { format!(" and at most {high}") };
            out.invalid(&node, format!("{} is out of range for `{}`", node.shown(), node.field())).help(format!("at least {low}{most}"));
        }
    }
    let parts = [
        "clusterAutoscaler/scaleDownUtilizationThreshold", "verticalPodAutoscaler/targetCPUPercentile", "verticalPodAutoscaler/targetMemoryPercentile",
        "verticalPodAutoscaler/recommendationLowerBoundCPUPercentile", "verticalPodAutoscaler/recommendationLowerBoundMemoryPercentile",
        "verticalPodAutoscaler/recommendationUpperBoundCPUPercentile", "verticalPodAutoscaler/recommendationUpperBoundMemoryPercentile",
    ];
    let below_one = ["verticalPodAutoscaler/evictionTolerance", "verticalPodAutoscaler/recommendationMarginFraction"];
    for (path, open) in parts.map(|p| (p, false)).into_iter().chain(below_one.map(|p| (p, true))) {
        let node = cx.new.at("spec/kubernetes").at(path);
        let Some(number) = node.value().and_then(serde_json::Value::as_f64) else { continue };
        if !(0.0..=1.0).contains(&number) || (open && number >= 1.0) {
            out.invalid(&node, format!("{} is out of range for `{}`", node.shown(), node.field())).help("a part of one, for example `0.5`");
        }
    }
}

fn modes(cx: &Cx<'_>, out: &mut Out) {
    let known: [(&str, &[&str]); 4] = [
        ("kubeAPIServer/encryptionConfig/provider/type", &["aescbc", "aesgcm", "secretbox"]),
        ("kubeAPIServer/tlsMinVersion", &["VersionTLS12", "VersionTLS13"]),
        ("kubeScheduler/profile", &["balanced", "bin-packing"]),
        ("kubeProxy/mode", &["IPTables", "IPVS", "NFTables"]),
    ];
    for (path, values) in known {
        let node = cx.new.at("spec/kubernetes").at(path);
        if node.is_set() && !values.contains(&node.str()) {
            out.not_supported(&node, format!("{} is not known as `{}`", node.shown(), node.field())).help(format!("possible are {}", listed(values)));
        }
    }
    let expander = cx.new.at("spec/kubernetes/clusterAutoscaler/expander");
    let possible = ["least-waste", "most-pods", "priority", "random", "least-nodes"];
    if expander.is_set() && expander.str().split(',').any(|e| !possible.contains(&e)) {
        out.not_supported(&expander, format!("{} is no expander", expander.shown())).help(format!("possible are {}, joined by commas", listed(possible)));
    }
}

fn entries(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = Vec::new();
    for extension in cx.new.at("spec/extensions").items() {
        let kind = extension.get("type");
        if kind.is_empty() {
            out.required(&kind, "the type of an extension is missing");
        } else if let Err(why) = syntax::label(kind.str()) {
            out.invalid(&kind, format!("{} is no type of an extension: {why}", kind.shown()));
        } else if seen.contains(&kind.str()) {
            out.duplicate(&kind, format!("the extension {} is listed twice", kind.shown()));
        }
        seen.push(kind.str());
    }
    let referable = [("v1", "Secret"), ("v1", "ConfigMap"), ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")];
    seen.clear();
    for resource in cx.new.at("spec/resources").items() {
        let (name, reference) = (resource.get("name"), resource.get("resourceRef"));
        if name.is_empty() {
            out.required(&name, "the name of a resource is missing");
        } else if seen.contains(&name.str()) {
            out.duplicate(&name, format!("the resource {} is listed twice", name.shown()));
        }
        seen.push(name.str());
        if reference.get("name").is_empty() {
            out.required(&reference.get("name"), "a resource refers to nothing");
        }
        if !referable.contains(&(reference.get("apiVersion").str(), reference.get("kind").str())) {
            out.not_supported(&reference, format!("a resource cannot refer to {} of {}", reference.get("kind").shown(), reference.get("apiVersion").shown()))
                .help("a `Secret` or `ConfigMap` of `v1`, or a `WorkloadIdentity`");
        }
    }
}
