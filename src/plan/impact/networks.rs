//! Networks, names and places: mostly for life.

use super::{Case, rows};

rows! {
    "spec.networking.type" Forbidden Sure No when "it was set" Case::was_set;
        "the kind of network is for life", "V-215";
    "spec.networking.nodes" Forbidden Sure No when "it was set" Case::was_set;
        "the range of nodes is for life", "F-083";
    "spec.networking.pods" Forbidden Sure No when "it was set" Case::was_set;
        "the range of pods is for life", "V-216";
    "spec.networking.services" Forbidden Sure No when "it was set" Case::was_set;
        "the range of services is for life", "V-216";
    "spec.networking.ipFamilies" RollsNodes Likely All when "IPv6 comes to IPv4, or goes again" Case::first_stays;
        "nodes get other addresses by being replaced", "V-217";
    "spec.networking.ipFamilies" Forbidden Sure No when "anything else" Case::first_changes;
        "other families of addresses are for life", "V-217";
    "spec.networking.providerConfig" None Likely No;
        "the network's own pods restart with their new settings", "extension-contract.md, Network";
    "spec.kubernetes.kubeProxy.**" None Likely No;
        "kube-proxy restarts on each node", "control-plane-objects.md";
    "spec.kubernetes.kubeProxy.mode" RollsNodes Sure All when "node-local DNS is on" resolves_locally;
        "node-local DNS listens elsewhere, which nodes learn by being replaced", "extension-contract.md, OperatingSystemConfig";
    "spec.systemComponents.nodeLocalDNS.enabled" RollsNodes Sure All when "before Kubernetes 1.34, or with IPVS" resolves_elsewhere;
        "nodes resolve names elsewhere, which they learn by being replaced", "F-124";
    "spec.systemComponents.**" None Sure No;
        "system components of the cluster get other settings", "F-070";
    "spec.dns.domain" Forbidden Sure No when "it was set" Case::was_set;
        "the domain is for life", "V-202";
    "spec.dns.providers.**" None Sure No;
        "records are kept through other providers", "V-203";
    "spec.exposureClassName" Forbidden Sure No;
        "how the API server is exposed is for life", "F-083";
    "spec.region" Forbidden Sure No;
        "a cluster does not move to another region", "V-198";
    "spec.provider.type" Forbidden Sure No;
        "a cluster does not move to another provider", "V-198";
    "spec.provider.infrastructureConfig" None Likely No;
        "the provider decides what its settings change", "extension-contract.md, Infrastructure";
}

fn resolves_locally(case: &Case<'_>) -> bool {
    case.after.pointer("/spec/systemComponents/nodeLocalDNS/enabled").and_then(serde_json::Value::as_bool).unwrap_or_default()
}

fn resolves_elsewhere(case: &Case<'_>) -> bool {
    let version = case.says("/spec/kubernetes/version").parse::<crate::value::Version>();
    let old =
        version.is_ok_and(|version| "1.34".parse::<crate::value::VersionPrefix>().is_ok_and(|from| !version.at_least(from)));
    old || case.says("/spec/kubernetes/kubeProxy/mode") == "IPVS"
}
