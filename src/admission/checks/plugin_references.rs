//! References of a shoot: what it names is there.
//!
//! Secrets, ConfigMaps and namespaces are in no landscape. Where nobody knows them, a reference to them is believed.

use super::prelude::*;

rules! {
    /// Secrets, ConfigMaps and workload identities that a shoot refers to exist in its project (V-369).
    ///
    /// Workload identities are described in the landscape. Secrets and ConfigMaps are not; where they cannot be seen, they are
    /// taken for granted.
    "SHOOT-REFERENCE", "something that the shoot refers to does not exist", Shoot, references as Plugin("ResourceReferenceManager");
    /// Secrets and ConfigMaps that a shoot refers to are not in Git: whether they exist shows only in the project's namespace.
    "SHOOT-REFERENCE-UNSEEN", "something that the shoot refers to is not in Git", Shoot, unseen as Espalier;
}

/// Says that a reference leads nowhere, or to something that is itself held.
pub(super) fn absent(cx: &Cx<'_>, out: &mut Out, node: &Node<'_>, owner: &Owner, seen: Seen<'_>) {
    match seen {
        Seen::Found(_) => {}
        Seen::Held => {
            out.refused(node, format!("{owner} has errors of its own and was never accepted")).help("mend it first: its findings say how");
        }
        Seen::Missing => {
            let raised = out.refused(node, format!("{owner} does not exist"));
            let known = cx.names(owner.kind, &owner.project);
            if !known.is_empty() {
                raised.help(format!("there is {}", listed(known)));
            }
        }
    }
}

/// The cloud profile, which much of the rest is looked up in.
pub(super) fn profile_exists(cx: &Cx<'_>, out: &mut Out) {
    let (reference, older) = (cx.new.at("spec/cloudProfile"), cx.new.at("spec/cloudProfileName"));
    if cx.is_new() && reference.is_set() && !older.is_empty() {
        out.refused(&older, "the cloud profile is named twice").and(&reference, "here, too").help("keep `cloudProfile`");
        return;
    }
    let Some(owner) = offer::profile_of(&cx.new, &cx.owner.project) else { return };
    let node = if reference.get("name").is_empty() { older } else { reference.get("name") };
    absent(cx, out, &node, &owner, cx.object(&owner));
}

pub(super) fn binding_exists(cx: &Cx<'_>, out: &mut Out) {
    for (field, kind) in [("secretBindingName", Kind::SecretBinding), ("credentialsBindingName", Kind::CredentialsBinding)] {
        let node = cx.new.get("spec").get(field);
        if !node.is_empty() {
            let owner = Owner::project(kind, &cx.owner.project, node.str());
            absent(cx, out, &node, &owner, cx.object(&owner));
        }
    }
}

pub(super) fn project_exists(cx: &Cx<'_>, out: &mut Out) {
    let owner = Owner::cluster(Kind::Project, &cx.owner.project);
    let seen = cx.object(&owner);
    if let Seen::Missing = seen {
        out.refused(&cx.new.at("metadata/name"), format!("the project `{}` is not described", cx.owner.project))
            .help(format!("add projects/{}/project.yaml", cx.owner.project));
    } else {
        absent(cx, out, &cx.new.at("metadata/name"), &owner, seen);
    }
}

pub(super) fn seed_exists(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    if !node.is_empty() {
        let owner = Owner::cluster(Kind::Seed, node.str());
        absent(cx, out, &node, &owner, cx.object(&owner));
    }
}

pub(super) fn exposure_exists(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/exposureClassName");
    if node.is_set() {
        let owner = Owner::cluster(Kind::ExposureClass, node.str());
        absent(cx, out, &node, &owner, cx.object(&owner));
    }
}

/// What a shoot refers to in its namespace: the kind, and where its name stands.
fn referred<'a>(cx: &Cx<'a>) -> Vec<(&'a str, Node<'a>)> {
    let spec = cx.new.get("spec");
    let mut all = Vec::new();
    let mut add = |reference: &Node<'a>| {
        let (version, kind) = (reference.get("apiVersion").str(), reference.get("kind").str());
        if matches!((version, kind), ("v1", "Secret" | "ConfigMap") | ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")) {
            all.push((kind, reference.get("name")));
        }
    };
    for resource in spec.get("resources").items() {
        add(&resource.get("resourceRef"));
    }
    for provider in spec.at("dns/providers").items() {
        add(&provider.get("credentialsRef"));
    }
    let server = spec.at("kubernetes/kubeAPIServer");
    all.extend(server.get("admissionPlugins").items().iter().map(|plugin| ("Secret", plugin.get("kubeconfigSecretName"))));
    all.push(("ConfigMap", server.at("structuredAuthentication/configMapName")));
    let authorization = server.get("structuredAuthorization");
    all.push(("ConfigMap", authorization.get("configMapName")));
    all.extend(authorization.get("kubeconfigs").items().iter().map(|config| {
        let name = config.get("secretName");
        // An entry without a name refers to nothing, too.
        ("Secret", if name.is_set() { name } else { config.clone() })
    }));
    all.retain(|(_, name)| name.is_set());
    all
}

fn references(cx: &Cx<'_>, out: &mut Out) {
    let namespace = cx.namespace();
    for (kind, name) in referred(cx) {
        if kind == "WorkloadIdentity" {
            let owner = Owner::project(Kind::WorkloadIdentity, &cx.owner.project, name.str());
            absent(cx, out, &name, &owner, cx.object(&owner));
        } else if let Elsewhere::Missing = cx.foreign(kind, &namespace, name.str()) {
            let what = if name.text().is_some() { name.shown() } else { "without a name".to_owned() };
            out.refused(&name, format!("there is no {kind} {what} in namespace `{namespace}`")).help("make it, or name another");
        }
    }
}

fn unseen(cx: &Cx<'_>, out: &mut Out) {
    let namespace = cx.namespace();
    let all: Vec<(&str, Node<'_>)> = referred(cx)
        .into_iter()
        .filter(|(kind, name)| *kind != "WorkloadIdentity" && matches!(cx.foreign(kind, &namespace, name.str()), Elsewhere::Unknown))
        .collect();
    if let Some((_, first)) = all.first() {
        let mut names: Vec<String> = all.iter().map(|(kind, name)| format!("{kind} {}", name.str())).collect();
        names.sort_unstable();
        names.dedup();
        out.note(first, format!("not in Git, and taken for granted: {}", names.join(", ")));
    }
}
