//! Cloud profiles: a catalogue that makes sense, and does not lose what is used. Versions, images and machine types have families
//! of their own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::prelude::*;
use super::profile_images::{definitions, supports};
use crate::admission::capable::texts;
use crate::admission::shared::{self, missing};
use crate::admission::stages;

rules! {
    /// A cloud profile names the type of its provider (V-232).
    "PROFILE-TYPE", "the provider of a cloud profile is missing", CloudProfile, kind;
    /// Regions and their zones have names, once each, and labels that Kubernetes accepts (V-253).
    "PROFILE-REGION", "a region of a profile is not usable", CloudProfile, regions;
    /// Machine type and image of bastions are on offer, go together, and the image is supported (V-254).
    "PROFILE-BASTION", "bastions cannot be made of this", CloudProfile, bastion;
    /// The limit of nodes is positive, and is not lowered (V-255).
    "PROFILE-LIMIT", "the limit of nodes is not usable", CloudProfile | NamespacedCloudProfile, limit;
    /// Certificate authorities are in PEM (V-256).
    "PROFILE-CA", "the certificate authorities cannot be read", CloudProfile | NamespacedCloudProfile, authorities;
    /// The selector of seeds is one (V-256).
    "PROFILE-SEED-SELECTOR", "the selector of seeds is not usable", CloudProfile, selector;
    /// Versions and images that a shoot uses stay in the profile (V-263).
    ///
    /// Move the shoots first, then remove the version. Until then the profile stays as it was accepted.
    "PROFILE-IN-USE", "something in use is removed from a profile", CloudProfile, in_use as Plugin("ResourceReferenceManager");
    /// A limit of nodes leaves room for the clusters that there are (V-263).
    "PROFILE-LIMIT-IN-USE", "the limit of nodes is too low for a cluster", CloudProfile, room as Plugin("ResourceReferenceManager");
}

fn kind(cx: &Cx<'_>, out: &mut Out) {
    missing(out, &cx.new.at("spec/type"));
}

/// Says which names of a list are missing or repeated.
fn unique(out: &mut Out, list: &Node<'_>, what: &str) {
    let mut seen = BTreeSet::new();
    for name in list.items().iter().map(|item| item.get("name")) {
        if name.is_empty() {
            out.required(&name, format!("a {what} has no name"));
        } else if !seen.insert(name.str()) {
            out.duplicate(&name, format!("the {what} {} is listed twice", name.shown()));
        }
    }
}

fn regions(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("spec/regions");
    missing(out, &list);
    unique(out, &list, "region");
    for region in list.items() {
        unique(out, &region.get("zones"), "zone");
        shared::labels(out, &region.get("labels"));
    }
}

fn bastion(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/bastion");
    if !node.is_set() {
        return;
    }
    let (machine, image) = (node.get("machineType"), node.get("machineImage"));
    if !machine.is_set() && !image.is_set() {
        out.invalid(&node, "bastions need a machine type or an image").help("write `machineType` or `machineImage`, or remove `bastion`");
    }
    let definitions = definitions(cx);
    let mut architecture = None;
    if machine.is_set() {
        let name = machine.get("name");
        let types = cx.new.at("spec/machineTypes").items();
        if let Some(found) = types.iter().find(|t| t.get("name").str() == name.str()) {
            let by_capability = texts(&found.at("capabilities/architecture"));
            let known = definitions.get("architecture").cloned().unwrap_or_default();
            let one = if by_capability.is_empty() { known } else { by_capability };
            architecture = Some(if one.len() == 1 { one[0] } else { found.get("architecture").str() });
        } else {
            out.invalid(&name, format!("the profile has no machine type {}", name.shown()));
        }
    }
    if !image.is_set() {
        return;
    }
    let (name, version) = (image.get("name"), image.get("version"));
    let images = stages::images(cx);
    let Some(found) = images.iter().find(|i| i.get("name").str() == name.str()) else {
        out.invalid(&name, format!("the profile has no machine image {}", name.shown()));
        return;
    };
    let mut offered = stages::versions(cx, found);
    let blamed = if version.is_set() { &version } else { &name };
    if version.is_set() {
        let Some(at) = offered.iter().position(|v| v.get("version").str() == version.str()) else {
            out.invalid(&version, format!("the profile has no version {} of {}", version.shown(), name.shown()));
            return;
        };
        offered = vec![offered.swap_remove(at)];
    }
    let fits = |entry: &Node<'_>| {
        entry.get("classification").is_set()
            && stages::current(cx, entry) == "supported"
            && architecture.is_none_or(|a| supports(entry, &definitions, a))
    };
    if !offered.iter().any(fits) {
        out.invalid(blamed, format!("no version of {} is supported and fits the machine type", name.shown()))
            .help("choose an image with a version of the classification `supported`, for the architecture of the machine type");
    }
}

fn limit(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/limits/maxNodesTotal");
    if node.int().is_some_and(|n| n <= 0) {
        out.invalid(&node, format!("a limit of {} nodes allows nothing", node.shown())).help("at least 1, or no limit");
    }
    if let (Some(new), Some(old)) = (node.int(), cx.before("spec/limits/maxNodesTotal").int())
        && cx.owner.kind == Kind::CloudProfile
        && new < old
    {
        out.invalid(&node, format!("the limit of nodes cannot be lowered from {old} to {new}")).help("clusters may already have more nodes");
    }
}

fn authorities(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/caBundle");
    if node.text().is_some_and(|text| !syntax::is_certificate(text.as_bytes())) {
        out.invalid(&node, "the certificate authorities cannot be read").help("certificates in PEM, each between `-----BEGIN CERTIFICATE-----` and its end");
    }
}

fn selector(cx: &Cx<'_>, out: &mut Out) {
    shared::selector(out, &cx.new.at("spec/seedSelector"));
}

/// What a profile offers, as `(what, name)`.
fn catalogue(spec: &Node<'_>) -> BTreeSet<(&'static str, String)> {
    let versions = spec.at("kubernetes/versions").items();
    let mut all: BTreeSet<_> = versions.iter().map(|v| ("Kubernetes", v.get("version").str().to_owned())).collect();
    for image in spec.get("machineImages").items() {
        let versions = image.get("versions").items();
        all.extend(versions.iter().map(|v| ("machine image", format!("{} {}", image.get("name").str(), v.get("version").str()))));
    }
    all
}

fn in_use(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = &cx.old else { return };
    let now = catalogue(&cx.new.get("spec"));
    let removed: BTreeSet<_> = catalogue(&old.get("spec")).difference(&now).cloned().collect();
    if removed.is_empty() {
        return;
    }
    let users = cx.users();
    for (what, name) in removed {
        let of_clusters = what == "Kubernetes";
        let used: Vec<String> = users.iter().flat_map(|(user, manifest)| uses(user, manifest, of_clusters, &name)).collect();
        let Some(first) = used.first() else { continue };
        let image = offer::entry(&cx.new.at("spec/machineImages"), name.split(' ').next().unwrap_or_default());
        let node = if of_clusters {
            cx.new.at("spec/kubernetes/versions")
        } else {
            image.map_or_else(|| cx.new.at("spec/machineImages"), |image| image.get("versions"))
        };
        let (who, verb) = match (used.len(), of_clusters) {
            (1, true) => ("cluster", "uses"),
            (1, false) => ("pool", "uses"),
            (_, true) => ("clusters", "use"),
            (_, false) => ("pools", "use"),
        };
        let message = format!("{what} `{name}` is removed, but {} {who} still {verb} it (first: {first})", used.len());
        out.refused(&node, message).help("move them to another version first, then remove it");
    }
}

/// What of a shoot, or of a profile below this one, uses a Kubernetes version or an image: the object, and its pools.
fn uses(user: &Owner, manifest: &Value, of_clusters: bool, name: &str) -> Vec<String> {
    let spec = Node::root(manifest).get("spec");
    let pools = spec.at("provider/workers").items();
    let mut all = Vec::new();
    if of_clusters {
        let its_own = spec.at("kubernetes/version").str() == name;
        if its_own || pools.iter().any(|pool| pool.at("kubernetes/version").str() == name) {
            all.push(user.to_string());
        }
    } else {
        let image = |pool: &Node<'_>| {
            let image = pool.at("machine/image");
            format!("{} {}", image.get("name").str(), image.get("version").str())
        };
        let with_it = pools.iter().filter(|pool| image(pool) == name);
        all.extend(with_it.map(|pool| format!("{user}, pool {}", pool.get("name").str())));
    }
    if all.is_empty() && catalogue(&spec).iter().any(|(kind, entry)| (*kind == "Kubernetes") == of_clusters && entry == name) {
        all.push(user.to_string());
    }
    all
}

fn room(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/limits/maxNodesTotal");
    let Some(limit) = node.int().filter(|_| !cx.is_new() && !node.same(&cx.before("spec/limits/maxNodesTotal"))) else { return };
    for (user, manifest) in cx.users() {
        let pools = Node::root(manifest).at("spec/provider/workers").items();
        let least: i64 = pools.iter().filter_map(|pool| pool.get("minimum").int()).sum();
        if least > limit {
            out.refused(&node, format!("{user} has at least {least} nodes, more than {limit}")).help("raise the limit, or shrink the cluster first");
        }
    }
}
