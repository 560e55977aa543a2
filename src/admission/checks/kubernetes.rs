//! Settings of Kubernetes that are numbers, durations or one of a few words, and what a version no longer has.

use super::prelude::*;
use crate::admission::measure::{number, seconds};
use crate::admission::versions::since;

rules! {
    /// Some settings end with a Kubernetes version (V-076, V-088, V-109, V-113).
    "SHOOT-SETTING-GONE", "a setting is gone from this Kubernetes version", Shoot, gone;
    /// Durations are not negative, some are not zero, and events are kept for a day at most (V-100, V-109, V-110, V-116, V-123).
    "SHOOT-DURATION", "a duration is out of range", Shoot, durations;
    /// Numbers are in their ranges (V-090, V-091, V-092, V-113, V-117, V-119, V-124 … V-127).
    "SHOOT-RANGE", "a number is out of range", Shoot, whole, volumes, parts;
    /// Modes and profiles are known ones (V-095, V-101, V-112, V-114, V-115).
    "SHOOT-MODE", "a mode is unknown", Shoot, modes, nftables;
}

/// Fields, and the first minor version of Kubernetes 1 that does not have them.
const GONE: [(&str, u64, &str); 4] = [
    ("kubeAPIServer/enableAnonymousAuthentication", 35, "use structured authentication"),
    ("kubeAPIServer/watchCacheSizes/default", 35, "the API server chooses it"),
    ("kubeControllerManager/podEvictionTimeout", 33, "use `defaultNotReadyTolerationSeconds` of the API server"),
    ("kubeScheduler/kubeMaxPDVols", 35, "the drivers of volumes say it"),
];

/// A setting of the shoot's Kubernetes, unless nobody looks at it: without a version, or because it needs workers.
fn setting<'a>(cx: &Cx<'a>, path: &'static str) -> Option<Node<'a>> {
    const FOR_NODES: [&str; 5] = ["clusterAutoscaler", "kubeControllerManager", "kubeProxy", "kubeScheduler", "verticalPodAutoscaler"];
    let needs_workers = FOR_NODES.iter().any(|section| path.starts_with(section));
    let kubernetes = cx.new.at("spec/kubernetes");
    let ignored = kubernetes.get("version").is_empty() || (needs_workers && cx.new.at("spec/provider/workers").is_empty());
    (!ignored).then(|| kubernetes.at(path)).filter(Node::is_set)
}

fn gone(cx: &Cx<'_>, out: &mut Out) {
    let version = cx.new.at("spec/kubernetes/version").str();
    for (path, minor, instead) in GONE.into_iter().filter(|(_, minor, _)| since(version, *minor)) {
        if let Some(node) = setting(cx, path) {
            out.forbidden(&node, format!("`{}` is gone from Kubernetes 1.{minor} on", node.field()))
                .on_key()
                .help(format!("remove it: {instead}"));
        }
    }
}

/// Durations that may be zero.
const DURATIONS: [(&str, &[&str]); 3] = [
    ("kubeAPIServer", &["eventTTL"]),
    (
        "clusterAutoscaler",
        &[
            "scaleDownDelayAfterAdd",
            "scaleDownDelayAfterDelete",
            "scaleDownDelayAfterFailure",
            "scaleDownUnneededTime",
            "scanInterval",
            "maxNodeProvisionTime",
            "newPodScaleUpDelay",
            "initialNodeGroupBackoffDuration",
            "maxNodeGroupBackoffDuration",
            "nodeGroupBackoffResetTimeout",
            "maxBinpackingTime",
        ],
    ),
    (
        "verticalPodAutoscaler",
        &[
            "evictAfterOOMThreshold",
            "updaterInterval",
            "recommenderInterval",
            "cpuHistogramDecayHalfLife",
            "memoryHistogramDecayHalfLife",
            "memoryAggregationInterval",
        ],
    ),
];
const A_DAY: f64 = 24.0 * 3600.0;

fn durations(cx: &Cx<'_>, out: &mut Out) {
    for (section, field) in DURATIONS.iter().flat_map(|(section, fields)| fields.iter().map(move |field| (*section, *field))) {
        let Some(node) = setting(cx, section).map(|settings| settings.get(field)) else { continue };
        // What is no duration was refused when the landscape was loaded.
        let Some(time) = seconds(&node) else { continue };
        if time < 0.0 {
            out.invalid(&node, format!("{} is negative", node.shown()));
        } else if field == "eventTTL" && time > A_DAY {
            out.invalid(&node, format!("events are kept for {}", node.shown())).help("at most `24h`");
        }
    }
    let gone = since(cx.new.at("spec/kubernetes/version").str(), 33);
    for path in ["kubeControllerManager/podEvictionTimeout", "kubeControllerManager/nodeMonitorGracePeriod"] {
        let Some(node) = setting(cx, path) else { continue };
        let elsewhere = gone && path.ends_with("podEvictionTimeout");
        if !elsewhere && seconds(&node).is_some_and(|time| time <= 0.0) {
            out.invalid(&node, format!("{} is too short", node.shown())).help("more than `0s`");
        }
    }
}

fn whole(cx: &Cx<'_>, out: &mut Out) {
    const RANGES: [(&str, i64, i64); 13] = [
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
    for (path, low, high) in RANGES {
        let Some(node) = setting(cx, path).filter(|node| node.int().is_some_and(|n| n < low || n > high)) else { continue };
        let most = if high == i64::MAX { String::new() } else { format!(" and at most {high}") };
        out.invalid(&node, format!("{} is out of range for `{}`", node.shown(), node.field())).help(format!("at least {low}{most}"));
    }
}

fn volumes(cx: &Cx<'_>, out: &mut Out) {
    let Some(node) = setting(cx, "kubeScheduler/kubeMaxPDVols") else { return };
    let gone = since(cx.new.at("spec/kubernetes/version").str(), 35);
    if !gone && !node.str().parse::<i64>().is_ok_and(|n| n >= 1) {
        out.invalid(&node, format!("{} is no number of volumes", node.shown())).help("a whole number in quotes, at least \"1\"");
    }
}

fn parts(cx: &Cx<'_>, out: &mut Out) {
    const PARTS: [&str; 7] = [
        "clusterAutoscaler/scaleDownUtilizationThreshold",
        "verticalPodAutoscaler/targetCPUPercentile",
        "verticalPodAutoscaler/targetMemoryPercentile",
        "verticalPodAutoscaler/recommendationLowerBoundCPUPercentile",
        "verticalPodAutoscaler/recommendationLowerBoundMemoryPercentile",
        "verticalPodAutoscaler/recommendationUpperBoundCPUPercentile",
        "verticalPodAutoscaler/recommendationUpperBoundMemoryPercentile",
    ];
    const BELOW_ONE: [&str; 2] = ["verticalPodAutoscaler/evictionTolerance", "verticalPodAutoscaler/recommendationMarginFraction"];
    for (path, open) in PARTS.map(|p| (p, false)).into_iter().chain(BELOW_ONE.map(|p| (p, true))) {
        let Some(node) = setting(cx, path) else { continue };
        let Some(number) = number(&node) else { continue };
        if !(0.0..=1.0).contains(&number) || (open && number >= 1.0) {
            out.invalid(&node, format!("{} is out of range for `{}`", node.shown(), node.field()))
                .help("a part of one, for example `0.5`");
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
        if let Some(node) = setting(cx, path).filter(|node| !values.contains(&node.str())) {
            out.not_supported(&node, format!("{} is not known as `{}`", node.shown(), node.field()))
                .help(format!("possible are {}", listed(values)));
        }
    }
}

fn nftables(cx: &Cx<'_>, out: &mut Out) {
    let Some(proxy) = setting(cx, "kubeProxy") else { return };
    let (mode, gate) = (proxy.get("mode"), proxy.get("featureGates").get("NFTablesProxyMode"));
    // Before Kubernetes 1.31 the gate had to be switched on.
    let needed = !since(cx.new.at("spec/kubernetes/version").str(), 31) && gate.flag() != Some(true);
    let readable = crate::admission::versions::Release::parse(cx.new.at("spec/kubernetes/version").str()).is_some();
    if mode.str() == "NFTables" && (gate.flag() == Some(false) || (needed && readable)) {
        out.invalid(&mode, "the mode `NFTables` needs the feature gate `NFTablesProxyMode`")
            .and(&gate, "it is switched off here")
            .help("remove the gate, or use `IPTables`");
    }
}
