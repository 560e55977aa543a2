//! A shoot without workers is an API server and nothing else: settings for nodes and what runs on them must be absent.

use super::prelude::*;

rules! {
    /// A shoot without workers has no settings for nodes, for what runs on them, or for an infrastructure (V-033 … V-048).
    ///
    /// `spec.networking.services` and `spec.networking.ipFamilies` stay possible.
    "SHOOT-WORKERLESS", "a setting needs workers", Shoot, workerless;
}

/// The fields that must be absent.
const FIELDS: [&str; 22] = [
    "spec/secretBindingName",
    "spec/credentialsBindingName",
    "spec/provider/infrastructureConfig",
    "spec/provider/controlPlaneConfig",
    "spec/provider/workersSettings",
    "spec/systemComponents",
    "spec/kubernetes/kubeScheduler",
    "spec/kubernetes/kubeProxy",
    "spec/kubernetes/kubelet",
    "spec/kubernetes/clusterAutoscaler",
    "spec/kubernetes/verticalPodAutoscaler",
    "spec/networking/type",
    "spec/networking/providerConfig",
    "spec/networking/pods",
    "spec/networking/nodes",
    "spec/kubernetes/kubeControllerManager/nodeCIDRMaskSize",
    "spec/kubernetes/kubeControllerManager/nodeCIDRMaskSizeIPv6",
    "spec/kubernetes/kubeControllerManager/horizontalPodAutoscaler",
    "spec/kubernetes/kubeControllerManager/podEvictionTimeout",
    "spec/kubernetes/kubeControllerManager/nodeMonitorGracePeriod",
    "spec/maintenance/autoUpdate/machineImageVersion",
    "spec/maintenance/autoRotation/credentials/sshKeypair",
];

fn workerless(cx: &Cx<'_>, out: &mut Out) {
    if !cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    for path in FIELDS {
        let node = cx.new.at(path);
        if node.is_set() && node.text() != Some("") {
            out.forbidden(&node, format!("`{}` has no meaning without workers", node.field())).on_key().help("remove it, or add a pool under `spec.provider.workers`");
        }
    }
    for addon in ["kubernetesDashboard", "nginxIngress"] {
        let node = cx.new.at("spec/addons").get(addon);
        if node.get("enabled").flag() == Some(true) {
            out.forbidden(&node, format!("the addon `{addon}` needs workers")).on_key();
        }
    }
}
