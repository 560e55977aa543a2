//! Registrations of extensions: what each is responsible for, and how it comes into seeds.

use super::prelude::*;
use crate::admission::shared::{self, alike, missing};
use crate::landscape::controller_registration::EXTENSION_KINDS;

rules! {
    /// The resources of a registration have kinds and types, each pair once (V-310, V-312).
    "REGISTRATION-RESOURCE", "a resource of a registration is not usable", ControllerRegistration, resources;
    /// Some settings are only there for the kind `Extension`, or for `SelfHostedShootExposure` (V-311).
    "REGISTRATION-EXTENSION-ONLY", "a setting is not there for this kind", ControllerRegistration, others;
    /// An extension works for shoots or seeds, comes by itself only where it works, and acts before or after the API server (V-311).
    "REGISTRATION-EXTENSION", "a setting of an extension is not usable", ControllerRegistration, clusters, lifecycle;
    /// An extension is deployed by one known policy and by one deployment; one that is responsible cannot choose seeds (V-312).
    "REGISTRATION-DEPLOYMENT", "the deployment of a registration is not usable", ControllerRegistration, deployment;
    /// Whether an extension is responsible for a kind and type does not change, nor anything while it is being deleted (V-312).
    "REGISTRATION-CHANGED", "a registration cannot change like this", ControllerRegistration, changed;
    /// For each kind and type one registration is responsible (V-377).
    ///
    /// Whoever is responsible stays so: only what is new in a registration is compared. Of two new ones neither is accepted.
    "REGISTRATION-TAKEN", "another registration is responsible", ControllerRegistration, taken as Plugin("ControllerRegistrationResources");
}

const CLUSTERS: [&str; 2] = ["shoot", "seed"];
const POLICIES: [&str; 3] = ["OnDemand", "Always", "AlwaysExceptNoShoots"];
/// When an extension can act: the last one only when it reconciles.
const MOMENTS: [&str; 3] = ["BeforeKubeAPIServer", "AfterKubeAPIServer", "AfterWorker"];

fn resources(cx: &Cx<'_>, out: &mut Out) {
    let mut types = std::collections::BTreeMap::new();
    for resource in cx.new.at("spec/resources").items() {
        let (kind, name) = (resource.get("kind"), resource.get("type"));
        missing(out, &kind);
        if !EXTENSION_KINDS.contains(&kind.str()) {
            out.not_supported(&kind, format!("{} is no kind of extension", kind.shown())).help(format!("possible are {}", EXTENSION_KINDS.join(", ")));
        }
        missing(out, &name);
        if types.insert(kind.str(), name.str()) == Some(name.str()) {
            out.duplicate(&resource, format!("`{}` of type `{}` is listed twice", kind.str(), name.str()));
        }
    }
}

fn others(cx: &Cx<'_>, out: &mut Out) {
    for resource in cx.new.at("spec/resources").items() {
        let kind = resource.get("kind").str();
        let mut only = |what: &str, of: &str, there: bool| {
            if kind != of && there {
                let node = resource.get(what);
                out.forbidden(&node, format!("`{what}` is only there for the kind `{of}`")).on_key().help("remove it");
            }
        };
        only("continuousEndpointUpdate", "SelfHostedShootExposure", resource.get("continuousEndpointUpdate").is_set());
        for what in ["autoEnable", "clusterCompatibility"] {
            only(what, "Extension", !resource.get(what).is_empty());
        }
        for what in ["reconcileTimeout", "lifecycle"] {
            only(what, "Extension", resource.get(what).is_set());
        }
    }
}

fn extensions<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    cx.new.at("spec/resources").items().into_iter().filter(|resource| resource.get("kind").str() == "Extension").collect()
}

fn clusters(cx: &Cx<'_>, out: &mut Out) {
    for extension in extensions(cx) {
        let compatible = extension.get("clusterCompatibility").items();
        for what in ["clusterCompatibility", "autoEnable"] {
            let mut seen = Vec::new();
            for node in extension.get(what).items() {
                let cluster = node.str();
                if !CLUSTERS.contains(&cluster) {
                    out.not_supported(&node, format!("{} is no kind of cluster", node.shown())).help("use `shoot` or `seed`");
                }
                if what == "autoEnable" && !compatible.iter().any(|c| c.str() == cluster) {
                    out.forbidden(&node, format!("the extension does not work for {}", node.shown()))
                        .and(&extension.get("clusterCompatibility"), "it works for these")
                        .help("add it to `clusterCompatibility`");
                }
                if seen.contains(&cluster) {
                    out.duplicate(&node, format!("{} is listed twice", node.shown()));
                }
                seen.push(cluster);
            }
        }
    }
}

fn lifecycle(cx: &Cx<'_>, out: &mut Out) {
    for extension in extensions(cx) {
        for (what, moments) in [("reconcile", MOMENTS.as_slice()), ("delete", &MOMENTS[..2]), ("migrate", &MOMENTS[..2])] {
            let node = extension.get("lifecycle").get(what);
            if node.is_set() && !moments.contains(&node.str()) {
                out.not_supported(&node, format!("{} is no moment to {what}", node.shown())).help(format!("possible are {}", listed(moments)));
            }
        }
    }
}

fn deployment(cx: &Cx<'_>, out: &mut Out) {
    let deployment = cx.new.at("spec/deployment");
    let (policy, selector, references) = (deployment.get("policy"), deployment.get("seedSelector"), deployment.get("deploymentRefs"));
    if policy.is_set() && !POLICIES.contains(&policy.str()) {
        out.not_supported(&policy, format!("{} is no deployment policy", policy.shown())).help(format!("possible are {}", listed(POLICIES)));
    }
    if selector.is_set() {
        let resources = cx.new.at("spec/resources").items();
        if let Some(primary) = resources.iter().find(|resource| resource.get("primary").flag() != Some(false)) {
            out.forbidden(&selector, "an extension that is responsible for something cannot choose seeds")
                .and(primary, "it is responsible for this")
                .help("remove the selector, or set `primary: false`");
        }
        shared::selector(out, &selector);
    }
    let references_listed = references.items();
    if references_listed.len() > 1 {
        out.forbidden(&references, "an extension has one deployment").help("make a registration for each");
    }
    for reference in references_listed {
        missing(out, &reference.get("name"));
    }
}

fn changed(cx: &Cx<'_>, out: &mut Out) {
    if cx.is_new() {
        return;
    }
    let (spec, before) = (cx.new.get("spec"), cx.before("spec"));
    let deleting = cx.new.at("metadata/deletionTimestamp").is_set() || cx.before("metadata/deletionTimestamp").is_set();
    if deleting && !alike(spec.value(), before.value()) {
        out.forbidden(&spec, "the registration is being deleted, and cannot change any more");
        return;
    }
    for resource in spec.get("resources").items() {
        let same = |b: &Node<'_>| b.get("kind").same(&resource.get("kind")) && b.get("type").same(&resource.get("type"));
        let known = before.get("resources").items().into_iter().rfind(same);
        let (new, old) = (resource.get("primary"), known.as_ref().map(|b| b.get("primary")));
        if let Some(old) = old.filter(|old| !old.same(&new)) {
            out.invalid(&new, format!("`primary` cannot change from {} to {}", old.shown(), new.shown()))
                .help("make a new registration");
        }
    }
}

/// What a registration is responsible for: kind, type, and where it says so.
fn primary<'a>(registration: &Node<'a>) -> Vec<(&'a str, &'a str, Node<'a>)> {
    let all = registration.at("spec/resources").items().into_iter().filter(|r| r.get("primary").flag() != Some(false));
    all.map(|r| (r.get("kind").str(), r.get("type").str(), r)).filter(|(kind, name, _)| !kind.is_empty() && !name.is_empty()).collect()
}

fn taken(cx: &Cx<'_>, out: &mut Out) {
    let before = cx.old.as_ref().map(primary).unwrap_or_default();
    let mut new = primary(&cx.new);
    new.retain(|(kind, name, _)| !before.iter().any(|(k, n, _)| k == kind && n == name));
    if new.is_empty() {
        return;
    }
    for (owner, manifest) in cx.others(Kind::ControllerRegistration) {
        for (kind, name, _) in primary(&Node::root(manifest)) {
            if let Some((.., node)) = new.iter().find(|(k, n, _)| *k == kind && *n == name) {
                out.refused(node, format!("{owner} is responsible for {kind} of type `{name}`"))
                    .help("set `primary: false`, or remove it from one of the two");
            }
        }
    }
}
