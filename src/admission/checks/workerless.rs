//! A shoot without workers is an API server and nothing else: settings for nodes and what runs on them must be absent.

use super::prelude::*;

rules! {
    /// A shoot without workers has no settings for nodes, for what runs on them, or for an infrastructure (V-033 … V-048).
    ///
    /// `spec.networking.services` and `spec.networking.ipFamilies` stay possible.
    "SHOOT-WORKERLESS", "a setting needs workers", Shoot, workerless, kubernetes;
}

/// The fields that must be absent.
const FIELDS: [&str; 12] = [
    "spec/secretBindingName",
    "spec/credentialsBindingName",
    "spec/provider/infrastructureConfig",
    "spec/provider/controlPlaneConfig",
    "spec/provider/workersSettings",
    "spec/systemComponents",
    "spec/networking/type",
    "spec/networking/providerConfig",
    "spec/networking/pods",
    "spec/networking/nodes",
    "spec/maintenance/autoUpdate/machineImageVersion",
    "spec/maintenance/autoRotation/credentials/sshKeypair",
];
/// Those about Kubernetes, and how Gardener spells them.
const KUBERNETES: [(&str, &str); 10] = [
    ("kubeScheduler", "kubeScheduler"),
    ("kubeProxy", "kubeProxy"),
    ("kubelet", "kubelet"),
    ("clusterAutoscaler", "clusterAutoScaler"),
    ("verticalPodAutoscaler", "verticalPodAutoScaler"),
    ("kubeControllerManager/nodeCIDRMaskSize", "kubeControllerManager.nodeCIDRMaskSize"),
    ("kubeControllerManager/nodeCIDRMaskSizeIPv6", "kubeControllerManager.nodeCIDRMaskSizeIPv6"),
    ("kubeControllerManager/horizontalPodAutoscaler", "kubeControllerManager.horizontalPodAutoscaler"),
    ("kubeControllerManager/podEvictionTimeout", "kubeControllerManager.podEvictionTimeout"),
    ("kubeControllerManager/nodeMonitorGracePeriod", "kubeControllerManager.nodeMonitorGracePeriod"),
];

fn workerless(cx: &Cx<'_>, out: &mut Out) {
    if !cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    for path in FIELDS {
        absent(out, &cx.new.at(path));
    }
}

fn kubernetes(cx: &Cx<'_>, out: &mut Out) {
    let kubernetes = cx.new.at("spec/kubernetes");
    if !cx.new.at("spec/provider/workers").is_empty() || kubernetes.get("version").is_empty() {
        return;
    }
    for (path, spelled) in KUBERNETES {
        if let Some(raised) = absent(out, &kubernetes.at(path)) {
            raised.field(format!("spec.kubernetes.{spelled}"));
        }
    }
}

fn absent<'o>(out: &'o mut Out, node: &Node<'_>) -> Option<&'o mut crate::admission::check::Raised> {
    node.is_set().then(|| {
        out.forbidden(node, format!("`{}` has no meaning without workers", node.field()))
            .on_key()
            .help("remove it, or add a pool under `spec.provider.workers`")
    })
}
