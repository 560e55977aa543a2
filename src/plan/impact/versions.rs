//! Versions of Kubernetes, of the shoot and of its pools.

use super::{Case, rows};

rows! {
    "spec.kubernetes.version" OneWay Sure No when "it goes up" Case::goes_up;
        "a version does not go back", "V-204";
    "spec.kubernetes.version" RollsNodes Sure OfVersion when "the minor changes" Case::minor_changes;
        "nodes get the new minor by being replaced", "F-079";
    "spec.kubernetes.version" RestartsControlPlane Sure No;
        "the control plane runs the new version", "F-079";
    "spec.kubernetes.version" RestartsKubelet Sure OfVersion when "only the patch changes" Case::patch_changes;
        "the kubelet is exchanged on each node", "F-079";
    "spec.provider.workers[].kubernetes.version" OneWay Sure No when "it goes up" Case::goes_up;
        "a version does not go back", "V-206";
    "spec.provider.workers[].kubernetes.version" RollsNodes Sure Own when "the minor changes" Case::minor_changes;
        "nodes get the new minor by being replaced", "F-079";
    "spec.provider.workers[].kubernetes.version" RestartsKubelet Sure Own when "only the patch changes" Case::patch_changes;
        "the kubelet is exchanged on each node", "F-079";
}
