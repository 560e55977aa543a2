//! Namespaced cloud profiles beside their parents: what they may say about what the parent offers, and what their own entries need.

use super::prelude::*;
use crate::admission::shared::missing;
use crate::finding::ErrorType;

rules! {
    /// A namespaced profile may move the expiration of a version of its parent, and nothing else of it (V-259).
    "NAMESPACED-VERSION", "a namespaced profile says too much about a version", NamespacedCloudProfile, versions as Plugin("NamespacedCloudProfileValidator");
    /// Of an image version that its parent offers, a namespaced profile only moves the expiration (V-260).
    "NAMESPACED-IMAGE", "a namespaced profile says too much about an image", NamespacedCloudProfile, images as Plugin("NamespacedCloudProfileValidator");
    /// An image that only the namespaced profile offers is described in full (V-261).
    "NAMESPACED-IMAGE-INCOMPLETE", "an image of a namespaced profile is not described in full", NamespacedCloudProfile, own_images as Plugin("NamespacedCloudProfileValidator");
    /// A namespaced profile does not redefine machine types of its parent (V-261).
    ///
    /// One that was there before the parent had it may stay.
    "NAMESPACED-MACHINE-TYPE", "a namespaced profile redefines a machine type", NamespacedCloudProfile, types as Plugin("NamespacedCloudProfileValidator");
}

fn parent<'a>(cx: &Cx<'a>) -> Option<(Owner, Node<'a>)> {
    let owner = Owner::cluster(Kind::CloudProfile, cx.new.at("spec/parent/name").str());
    let manifest = cx.object(&owner).manifest()?;
    Some((owner, Node::root(manifest).get("spec")))
}

/// The entry of a list in which a key has a text.
fn entry<'a>(list: &Node<'a>, key: &str, text: &str) -> Option<Node<'a>> {
    list.items().into_iter().find(|item| item.get(key).str() == text)
}

/// Whether an update moves an expiration to a moment that has passed.
fn moved_to_the_past(cx: &Cx<'_>, date: &Node<'_>, before: Option<&Node<'_>>, parents: Option<&Node<'_>>) -> bool {
    let moment = |node: &Node<'_>| node.text().and_then(offer::moment);
    let was = before.and_then(|b| moment(&b.get("expirationDate"))).or_else(|| parents.and_then(|p| moment(&p.get("expirationDate"))));
    !cx.is_new() && moment(date).is_some_and(|at| cx.is_past(at) && was != Some(at))
}

fn versions(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, spec)) = parent(cx) else { return };
    let (known, before) = (spec.at("kubernetes/versions"), cx.before("spec/kubernetes/versions"));
    for item in cx.new.at("spec/kubernetes/versions").items() {
        let (version, date) = (item.get("version"), item.get("expirationDate"));
        let Some(parents) = entry(&known, "version", version.str()) else {
            out.refused(&version, format!("{owner} has no version {}", version.shown())).beside(&owner, &known, "its versions");
            continue;
        };
        if !date.is_set() {
            out.refused(&date, format!("version {} is named without an expiration date", version.shown()))
                .help("a namespaced profile only moves the date");
        } else if moved_to_the_past(cx, &date, entry(&before, "version", version.str()).as_ref(), Some(&parents)) {
            out.refused(&date, format!("version {} would expire in the past", version.shown()));
        }
    }
}

fn images(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, spec)) = parent(cx) else { return };
    for image in cx.new.at("spec/machineImages").items() {
        let name = image.get("name");
        let Some(theirs) = entry(&spec.get("machineImages"), "name", name.str()) else { continue };
        let strategy = image.get("updateStrategy");
        if !strategy.is_empty() {
            out.forbidden(&strategy, format!("{owner} says how {} is updated", name.shown())).help("remove it");
        }
        let before = entry(&cx.before("spec/machineImages"), "name", name.str()).unwrap_or_else(Node::absent);
        for item in image.get("versions").items() {
            let (version, date) = (item.get("version"), item.get("expirationDate"));
            let Some(parents) = entry(&theirs.get("versions"), "version", version.str()) else { continue };
            for key in ["classification", "cri", "architectures", "capabilityFlavors", "kubeletVersionConstraint", "inPlaceUpdates"] {
                let node = item.get(key);
                if !node.is_empty() {
                    out.forbidden(&node, format!("{owner} describes version {} of {}", version.shown(), name.shown()))
                        .beside(&owner, &parents, "here")
                        .help("remove it: a namespaced profile only moves the expiration date");
                }
            }
            let old = entry(&before.get("versions"), "version", version.str());
            if !date.is_set() {
                out.invalid(&date, format!("version {} of {} is named without an expiration date", version.shown(), name.shown()))
                    .help("a namespaced profile only moves the date");
            } else if moved_to_the_past(cx, &date, old.as_ref(), Some(&parents)) {
                out.invalid(&date, format!("version {} of {} would expire in the past", version.shown(), name.shown()));
            }
        }
    }
}

fn own_images(cx: &Cx<'_>, out: &mut Out) {
    let Some((_, spec)) = parent(cx) else { return };
    let capable = !spec.get("machineCapabilities").is_empty();
    for image in cx.new.at("spec/machineImages").items() {
        let theirs = entry(&spec.get("machineImages"), "name", image.get("name").str());
        if theirs.is_none() {
            missing(out, &image.get("updateStrategy"));
        }
        let known = theirs.map_or_else(Node::absent, |theirs| theirs.get("versions"));
        for version in image.get("versions").items() {
            if entry(&known, "version", version.get("version").str()).is_none() {
                missing(out, &version.get("cri"));
                if !capable {
                    missing(out, &version.get("architectures"));
                }
            }
        }
    }
}

fn types(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, spec)) = parent(cx) else { return };
    let before = cx.before("spec/machineTypes");
    for machine in cx.new.at("spec/machineTypes").items() {
        let name = machine.get("name");
        let Some(theirs) = entry(&spec.get("machineTypes"), "name", name.str()) else { continue };
        if entry(&before, "name", name.str()).is_none() {
            out.refuse(ErrorType::BadRequest, &name, format!("{owner} already has the machine type {}", name.shown()))
                .field("")
                .beside(&owner, &theirs.get("name"), "here")
                .help("remove it, or give it another name");
        }
    }
}
