//! The control plane: what restarts it, and what interrupts the API.

use super::{Case, rows};

rows! {
    "spec.kubernetes.kubeAPIServer.**" RestartsControlPlane Sure No;
        "the API server restarts with its new settings", "F-064";
    "spec.kubernetes.kubeControllerManager.**" RestartsControlPlane Sure No;
        "the controller manager restarts with its new settings", "F-064";
    "spec.kubernetes.kubeControllerManager.nodeCIDRMaskSize" Forbidden Sure No;
        "the size of a node's range is for life", "V-208";
    "spec.kubernetes.kubeControllerManager.nodeCIDRMaskSizeIPv6" Forbidden Sure No when "it was set" Case::was_set;
        "the size of a node's range is for life", "V-209";
    "spec.kubernetes.kubeScheduler.**" RestartsControlPlane Sure No;
        "the scheduler restarts with its new settings", "F-064";
    "spec.kubernetes.clusterAutoscaler.**" RestartsControlPlane Sure No;
        "the cluster autoscaler restarts with its new settings", "control-plane-objects.md";
    "spec.kubernetes.verticalPodAutoscaler.**" RestartsControlPlane Sure No;
        "the vertical pod autoscaler restarts with its new settings", "control-plane-objects.md";
    "spec.kubernetes.verticalPodAutoscaler.enabled" None Sure No;
        "pods are scaled vertically, or no longer", "control-plane-objects.md";
    "spec.kubernetes.etcd.**" ApiDowntime Sure No when "the control plane is not highly available" Case::is_alone;
        "etcd restarts, and the API server cannot answer meanwhile", "control-plane-objects.md, etcd";
    "spec.kubernetes.etcd.**" RestartsControlPlane Sure No when "the control plane is highly available" Case::is_available;
        "members of etcd restart one by one", "control-plane-objects.md, etcd";
    "spec.controlPlane.highAvailability.failureTolerance.type" OneWay Sure No when "it was not highly available" Case::is_first;
        "high availability cannot be taken back", "V-227";
    "spec.controlPlane.highAvailability.failureTolerance.type" ApiDowntime Sure No when "it was not highly available" Case::is_first;
        "etcd restarts as a cluster of three", "F-099";
    "spec.controlPlane.highAvailability.failureTolerance.type" Forbidden Sure No when "it was highly available" Case::was_set;
        "the kind of high availability is for life", "V-227";
    "spec.controlPlane.zones" RestartsControlPlane Likely No;
        "the control plane moves to other zones", "V-229";
    "spec.provider.controlPlaneConfig" RestartsControlPlane Likely No;
        "the provider's controllers get other settings", "extension-contract.md, ControlPlane";
    "spec.seedName" ApiDowntime Sure No when "it was on another seed" Case::was_set;
        "the control plane moves to another seed", "V-323";
}
