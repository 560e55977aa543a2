//! Bindings of credentials: what they refer to.

use super::prelude::*;
use crate::admission::shared::missing;

rules! {
    /// A SecretBinding names a Secret and the provider that it is for (V-299, V-300).
    "SECRETBINDING-INCOMPLETE", "a binding is incomplete", SecretBinding, secret;
    /// A CredentialsBinding names a Secret or a WorkloadIdentity, and one provider (V-302, V-303, V-370).
    "CREDENTIALSBINDING-INCOMPLETE", "a binding is incomplete", CredentialsBinding, credentials, identity_matches as Plugin("ResourceReferenceManager");
    /// The quotas of a binding have names, and are in namespaces (V-299).
    "BINDING-QUOTA", "a quota of a binding is not named", SecretBinding | CredentialsBinding, quotas;
}

fn secret(cx: &Cx<'_>, out: &mut Out) {
    reference(out, &cx.new.get("secretRef"));
    let provider = cx.new.get("provider");
    // Later on a provider cannot be removed, so only new bindings are asked for one.
    if cx.is_new() && provider.is_set() {
        missing(out, &provider.get("type"));
    } else if cx.is_new() {
        out.required(&provider, "`provider` is missing").help("write `provider: {type: …}`");
    }
}

/// Name and namespace of a referenced object.
fn reference(out: &mut Out, node: &Node<'_>) {
    let (name, namespace) = (node.get("name"), node.get("namespace"));
    if !missing(out, &name)
        && let Err(why) = syntax::subdomain(name.str())
    {
        out.invalid(&name, format!("{} is no name: {why}", name.shown()));
    }
    if !namespace.is_empty()
        && let Err(why) = syntax::label(namespace.str())
    {
        out.invalid(&namespace, format!("{} is no namespace: {why}", namespace.shown()));
    }
}

fn quotas(cx: &Cx<'_>, out: &mut Out) {
    for quota in cx.new.get("quotas").items() {
        reference(out, &quota);
    }
}

fn credentials(cx: &Cx<'_>, out: &mut Out) {
    let reference = cx.new.get("credentialsRef");
    let (version, kind) = (reference.get("apiVersion"), reference.get("kind"));
    missing(out, &version);
    missing(out, &kind);
    for what in ["name", "namespace"] {
        let node = reference.get(what);
        missing(out, &node);
        if let Err(why) = syntax::subdomain(node.str()) {
            out.invalid(&node, format!("{} is no {what}: {why}", node.shown()));
        }
    }
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
