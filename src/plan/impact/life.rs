//! Sleep, care and everything around a cluster that leaves what runs alone.

use super::{Case, rows};

rows! {
    "spec.hibernation.enabled" WorkloadStops Sure No when "it goes to sleep" Case::goes_on;
        "all nodes go; what they run stops", "shoot-flow.md, hibernation";
    "spec.hibernation.enabled" ApiDowntime Sure No when "it goes to sleep" Case::goes_on;
        "the API server goes as well", "shoot-flow.md, hibernation";
    "spec.hibernation.enabled" Scales Sure All when "it wakes up" Case::goes_off;
        "the control plane comes back, and pools start at their minimum", "shoot-flow.md, hibernation";
    "spec.hibernation.schedules.**" None Sure No;
        "when it sleeps from now on", "shoot-flow.md, hibernation";
    "spec.maintenance.**" None Sure No;
        "when and how it is maintained from now on", "F-073";
    "spec.monitoring.**" None Sure No;
        "who is told of alerts", "F-158";
    "spec.purpose" None Sure No;
        "what it is for; how it is watched follows", "F-051";
    "spec.addons.**" None Sure No;
        "addons come, go, or get other settings", "F-069";
    "spec.extensions.**" None Likely No;
        "each extension decides what its settings change", "extension-contract.md, Extension";
    "spec.resources.**" None Sure No;
        "what extensions can refer to", "extension-contract.md, resources";
    "spec.accessRestrictions.**" None Sure No;
        "who may operate the cluster", "V-324";
    "spec.credentialsBindingName" OneWay Sure No when "there was none" Case::is_first;
        "the shoot does not go back to a SecretBinding", "V-199";
    "spec.credentialsBindingName" Forbidden Sure No when "it is taken away" Case::goes;
        "a shoot keeps its CredentialsBinding", "V-199";
    "spec.credentialsBindingName" None Likely No when "it is another one" Case::is_exchanged;
        "the cluster is kept with other credentials", "V-200";
    "spec.secretBindingName" None Likely No;
        "the cluster is kept with other credentials", "V-200";
    "spec.cloudProfile.**" None Sure No;
        "what is offered from now on", "V-004";
    "spec.cloudProfileName" None Sure No;
        "what is offered from now on", "V-004";
    "spec.schedulerName" Forbidden Sure No when "it was set" Case::was_set;
        "who chooses the seed is for life", "V-218";
    "spec.seedSelector.**" None Sure No;
        "which seeds may be chosen", "V-324";
    "spec.tolerations.**" None Sure No;
        "which seeds may be chosen", "V-324";
    "spec.seedName" None Sure No when "it was on none" Case::is_first;
        "the seed is chosen", "V-324";
    "metadata.annotations[gardener.cloud/operation]" RollsNodes Sure All when "a rotation of authorities or of the service account key begins" rotates;
        "nodes get new authorities by being replaced", "control-plane-objects.md, rotation";
    "metadata.**" None Sure No;
        "labels and annotations of the shoot itself", "F-071";
}

fn rotates(case: &Case<'_>) -> bool {
    const STARTS: [&str; 3] = ["rotate-credentials-start", "rotate-ca-start", "rotate-serviceaccount-key-start"];
    let asked = case.is.and_then(serde_json::Value::as_str).unwrap_or_default();
    asked.split(';').any(|operation| STARTS.contains(&operation.trim()))
}
