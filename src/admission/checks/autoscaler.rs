//! What scales: the cluster autoscaler, the vertical and horizontal pod autoscalers, and the components of the control plane.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::admission::measure::{amount, child, is_counted, is_negative, number, seconds};
use crate::admission::versions::{Release, Span, since};
use crate::value::Quantity;

rules! {
    /// A component of the control plane keeps a least amount of `cpu` and `memory`, and it is not too little to start (V-074, V-075,
    /// V-102, V-122).
    "SHOOT-LEAST-RESOURCES", "the least resources of a component are not usable", Shoot, least;
    /// Taints that the cluster autoscaler treats in a special way are label keys, each once, and none of Gardener's own (V-121).
    "SHOOT-AUTOSCALER-TAINT", "a taint for the cluster autoscaler is not usable", Shoot, taints;
    /// How the cluster autoscaler chooses and removes nodes (V-118, V-120).
    "SHOOT-AUTOSCALER", "a setting of the cluster autoscaler is not usable", Shoot, cluster;
    /// The horizontal pod autoscaler waits at least a second, and tolerates more than nothing (V-111).
    "SHOOT-HPA", "a setting of the horizontal pod autoscaler is out of range", Shoot, horizontal;
    /// The vertical pod autoscaler may be limited in `cpu` and `memory` (V-128).
    "SHOOT-VPA", "a limit of the vertical pod autoscaler is not usable", Shoot, vertical;
}

/// The taint of nodes that are not ready yet, set by the machinery.
pub(super) const CRITICAL: &str = "node.gardener.cloud/critical-components-not-ready";
/// Sections with `autoscaling`, and the least `cpu` and `memory` in them.
const LEAST: [(&str, &str, &str); 4] = [
    ("etcd/main", "0", "300M"),
    ("etcd/events", "0", "60M"),
    ("kubeAPIServer", "20m", "200M"),
    ("clusterAutoscaler", "10m", "30M"),
];

/// Whether settings for nodes, and for what runs on them, are looked at.
fn for_nodes(cx: &Cx<'_>) -> bool {
    !cx.new.at("spec/kubernetes/version").is_empty() && !cx.new.at("spec/provider/workers").is_empty()
}

fn least(cx: &Cx<'_>, out: &mut Out) {
    if cx.new.at("spec/kubernetes/version").is_empty() {
        return;
    }
    for (section, cpu, memory) in LEAST {
        let autoscaling = cx.new.at("spec/kubernetes").at(section).get("autoscaling");
        let map = autoscaling.get("minAllowed");
        if !autoscaling.is_set() || (section == "clusterAutoscaler" && !for_nodes(cx)) {
            continue;
        }
        if map.is_empty() {
            out.required(&map, "the least resources are missing").help("for example `minAllowed: {memory: 1Gi}`");
        }
        for (resource, node) in map.entries() {
            let least = match resource {
                "cpu" => cpu,
                "memory" => memory,
                _ => "0",
            };
            resources(out, &map, resource, &node);
            let too_little = least.parse().ok().is_some_and(|least: Quantity| amount(&node).is_some_and(|given| given < least));
            if too_little && !is_negative(&node) {
                out.invalid(&node, format!("{} of {resource} is too little", node.shown())).help(format!("at least `{least}`"));
            }
        }
    }
}

/// Minds a resource other than `cpu` and `memory`, and an amount of it that is none.
fn resources(out: &mut Out, map: &Node<'_>, resource: &str, node: &Node<'_>) {
    if !matches!(resource, "cpu" | "memory") {
        out.not_supported(node, format!("`{resource}` is no resource here"))
            .on_key()
            .field(child(map, resource))
            .help("use `cpu` and `memory`");
    }
    let in_parts = is_counted(resource) && amount(node).is_some_and(|a| !a.is_whole());
    if is_negative(node) || in_parts {
        out.invalid(node, format!("{} is no amount of {resource}", node.shown())).field(child(map, resource));
    }
}

fn taints(cx: &Cx<'_>, out: &mut Out) {
    let section = cx.new.at("spec/kubernetes/clusterAutoscaler");
    let version = cx.new.at("spec/kubernetes/version").str();
    if !for_nodes(cx) {
        return;
    }
    let options = [("startupTaints", "StartupTaints", Span(29, 0)), ("statusTaints", "StatusTaints", Span(29, 0)),
        ("ignoreTaints", "IgnoreTaints", Span(14, 32))];
    for (option, spelled, span) in options {
        let list = section.get(option);
        if !list.is_set() {
            continue;
        }
        let field = format!("{}.{spelled}", list.field());
        match Release::parse(version) {
            None => {
                out.invalid(&list, format!("whether `{version}` has `{option}` cannot be told")).on_key().field(field);
            }
            Some(release) if !span.contains(release) => {
                out.forbidden(&list, format!("`{option}` is not possible with Kubernetes {version}"))
                    .on_key()
                    .field(field)
                    .help(format!("it is there {}; `startupTaints` is the newer way", span.shown()));
            }
            Some(_) => {}
        }
        let mut seen = BTreeSet::new();
        for taint in list.items() {
            if let Err(why) = syntax::label_key(taint.str()) {
                out.invalid(&taint, format!("{} is no key of a taint: {why}", taint.shown()));
            }
            if taint.str() == CRITICAL {
                out.forbidden(&taint, format!("the taint `{CRITICAL}` is set by the machinery")).help("remove it");
            }
            if !seen.insert(taint.str()) {
                out.duplicate(&taint, format!("the taint {} is listed twice", taint.shown()));
            }
        }
    }
}

fn cluster(cx: &Cx<'_>, out: &mut Out) {
    let section = cx.new.at("spec/kubernetes/clusterAutoscaler");
    if !for_nodes(cx) {
        return;
    }
    let expander = section.get("expander");
    let possible = ["least-waste", "most-pods", "priority", "random", "least-nodes"];
    if expander.is_set() && expander.str().split(',').any(|e| !possible.contains(&e)) {
        out.not_supported(&expander, format!("{} is no expander", expander.shown()))
            .help(format!("possible are {}, joined by commas", listed(possible)));
    }
    let (empty, parallel) = (section.get("maxEmptyBulkDelete"), section.get("maxScaleDownParallelism"));
    if empty.is_set() && since(cx.new.at("spec/kubernetes/version").str(), 33) {
        out.forbidden(&empty, "`maxEmptyBulkDelete` is gone from Kubernetes 1.33 on").on_key().help("use `maxScaleDownParallelism`");
    }
    if empty.int().is_some_and(|n| n < 0) {
        out.invalid(&empty, format!("{} nodes cannot be removed", empty.shown()));
    } else if empty.is_set() && parallel.is_set() && !empty.same(&parallel) {
        out.invalid(&empty, format!("`maxEmptyBulkDelete` is {}, `maxScaleDownParallelism` is {}", empty.shown(), parallel.shown()))
            .and(&parallel, "the other one")
            .help("they are the same setting: keep `maxScaleDownParallelism`");
    }
}

fn horizontal(cx: &Cx<'_>, out: &mut Out) {
    let section = cx.new.at("spec/kubernetes/kubeControllerManager/horizontalPodAutoscaler");
    if !for_nodes(cx) {
        return;
    }
    for what in ["syncPeriod", "downscaleStabilization", "cpuInitializationPeriod"] {
        let node = section.get(what);
        if seconds(&node).is_some_and(|s| s < 1.0) {
            out.invalid(&node, format!("{} is too short", node.shown())).help("at least `1s`");
        }
    }
    let (tolerance, delay) = (section.get("tolerance"), section.get("initialReadinessDelay"));
    if number(&tolerance).is_some_and(|t| t <= 0.0) {
        out.invalid(&tolerance, format!("a tolerance of {} is not possible", tolerance.shown())).help("more than 0, for example `0.1`");
    }
    if seconds(&delay).is_some_and(|s| s <= 0.0) {
        out.invalid(&delay, format!("{} is too short", delay.shown())).help("more than `0s`");
    }
}

fn vertical(cx: &Cx<'_>, out: &mut Out) {
    let map = cx.new.at("spec/kubernetes/verticalPodAutoscaler/maxAllowed");
    if for_nodes(cx) {
        for (resource, node) in map.entries() {
            resources(out, &map, resource, &node);
        }
    }
}
