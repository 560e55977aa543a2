//! Bindings, quotas, workload identities and exposure classes.

use super::prelude::*;

rules! {
    /// A SecretBinding names a Secret and the provider that it is for (V-299, V-300).
    "SECRETBINDING-INCOMPLETE", "a binding is incomplete", SecretBinding, secret;
    /// A CredentialsBinding names a Secret or a WorkloadIdentity, and one provider (V-302, V-303, V-370).
    "CREDENTIALSBINDING-INCOMPLETE", "a binding is incomplete", CredentialsBinding, credentials, identity_matches as Plugin("ResourceReferenceManager");
    /// A workload identity has audiences and a target system (V-305).
    "WORKLOADIDENTITY-INCOMPLETE", "a workload identity is incomplete", WorkloadIdentity, identity;
    /// A quota limits a project or credentials, in known measures, for at least a day (V-306, V-307, V-308).
    "QUOTA", "a quota cannot be understood", Quota, quota;
    /// The handler of an exposure class is a DNS label of at most 34 characters (V-309).
    "EXPOSURE-HANDLER", "the handler of an exposure class is not usable", ExposureClass, exposure;
    /// The resources of a registration have kinds and types, each pair once (V-310, V-312).
    "REGISTRATION-RESOURCE", "a resource of a registration is not usable", ControllerRegistration, registration;
}

fn missing(out: &mut Out, node: &Node<'_>) -> bool {
    if node.is_empty() {
        out.required(node, format!("`{}` is missing", node.field()));
    }
    node.is_empty()
}

fn secret(cx: &Cx<'_>, out: &mut Out) {
    missing(out, &cx.new.at("secretRef/name"));
    missing(out, &cx.new.at("provider/type"));
}

fn credentials(cx: &Cx<'_>, out: &mut Out) {
    let reference = cx.new.get("credentialsRef");
    let (version, kind, name) = (reference.get("apiVersion"), reference.get("kind"), reference.get("name"));
    missing(out, &name);
    let known = [("v1", "Secret"), ("core.gardener.cloud/v1beta1", "InternalSecret"), ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")];
    if !known.contains(&(version.str(), kind.str())) {
        out.not_supported(&reference, format!("{} of {} cannot be bound", kind.shown(), version.shown()))
            .help("use a `Secret` of `v1`, or a `WorkloadIdentity` of `security.gardener.cloud/v1alpha1`");
    }
    let provider = cx.new.at("provider/type");
    if !missing(out, &provider) && provider.str().contains(',') {
        out.invalid(&provider, "a binding of this kind is for one provider").help("make one binding for each");
    }
}

fn identity_matches(cx: &Cx<'_>, out: &mut Out) {
    let (reference, provider) = (cx.new.get("credentialsRef"), cx.new.at("provider/type"));
    let (kind, name) = (reference.get("kind"), reference.get("name"));
    let own = reference.get("namespace").str() == crate::observed::project_namespace(&cx.owner.project);
    if kind.str() == "WorkloadIdentity" && own && !name.is_empty() {
        let owner = Owner::project(Kind::WorkloadIdentity, &cx.owner.project, name.str());
        if let Some(found) = cx.object(&owner).manifest() {
            let theirs = Node::root(found).at("spec/targetSystem/type");
            if !theirs.same(&provider) {
                out.invalid(&provider, format!("{owner} is for {}, the binding for {}", theirs.shown(), provider.shown())).beside(&owner, &theirs, "the identity's system");
            }
        }
    }
}

fn identity(cx: &Cx<'_>, out: &mut Out) {
    let spec = cx.new.get("spec");
    missing(out, &spec.get("audiences"));
    missing(out, &spec.at("targetSystem/type"));
    let before = cx.before("spec/targetSystem/type");
    if before.is_set() && !before.same(&spec.at("targetSystem/type")) {
        out.invalid(&spec.at("targetSystem/type"), format!("the target system cannot change from {}", before.shown()));
    }
}

fn quota(cx: &Cx<'_>, out: &mut Out) {
    let scope = cx.new.at("spec/scope");
    let known = [("core.gardener.cloud/v1beta1", "Project"), ("v1", "Secret"), ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")];
    if !known.contains(&(scope.get("apiVersion").str(), scope.get("kind").str())) {
        out.not_supported(&scope, "the scope of the quota is unknown").help("a `Project`, a `Secret` or a `WorkloadIdentity`");
    }
    if !cx.is_new() && !scope.same(&cx.before("spec/scope")) {
        out.invalid(&scope, "the scope of a quota cannot change");
    }
    let days = cx.new.at("spec/clusterLifetimeDays");
    if days.int().is_some_and(|d| d < 1) {
        out.invalid(&days, format!("clusters cannot live {} days", days.shown())).help("at least 1");
    }
    let measures = ["cpu", "gpu", "memory", "storage.standard", "storage.premium", "loadbalancer"];
    for (measure, amount) in cx.new.at("spec/metrics").entries() {
        if !measures.contains(&measure) {
            out.invalid(&amount, format!("`{measure}` cannot be limited")).on_key().keyed().help(format!("possible are {}", listed(measures)));
        } else if !syntax::is_amount(&amount) {
            out.invalid(&amount, format!("{} is no amount", amount.shown())).keyed();
        }
    }
}

fn exposure(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.get("handler");
    if let Err(why) = syntax::label(node.str()) {
        out.invalid(&node, format!("{} is no handler: {why}", node.shown()));
    } else if node.str().len() > 34 {
        out.invalid(&node, format!("the handler {} has more than 34 characters", node.shown()));
    }
}

fn registration(cx: &Cx<'_>, out: &mut Out) {
    let kinds = [
        "BackupBucket", "BackupEntry", "Bastion", "ContainerRuntime", "ControlPlane", "DNSRecord", "Extension", "Infrastructure", "Network",
        "OperatingSystemConfig", "SelfHostedShootExposure", "Worker",
    ];
    let mut seen = Vec::new();
    for resource in cx.new.at("spec/resources").items() {
        let (kind, name) = (resource.get("kind"), resource.get("type"));
        if !missing(out, &kind) && !kinds.contains(&kind.str()) {
            out.not_supported(&kind, format!("{} is no kind of extension", kind.shown())).help(format!("possible are {}", kinds.join(", ")));
        }
        missing(out, &name);
        if seen.contains(&(kind.str(), name.str())) {
            out.duplicate(&resource, format!("`{}` of type `{}` is listed twice", kind.str(), name.str()));
        }
        seen.push((kind.str(), name.str()));
    }
    let policy = cx.new.at("spec/deployment/policy");
    if policy.is_set() && !matches!(policy.str(), "OnDemand" | "Always" | "AlwaysExceptNoShoots") {
        out.not_supported(&policy, format!("{} is no deployment policy", policy.shown())).help("use `OnDemand`, `Always` or `AlwaysExceptNoShoots`");
    }
}
