//! Machine images of cloud profiles: names, versions, container runtimes, architectures and flavors.

use std::collections::{BTreeMap, BTreeSet};

use super::prelude::*;
use crate::admission::capable::{defined, of_image, texts};
use crate::admission::parts::{child, plain_name};
use crate::admission::shared::missing;
use crate::admission::stages::{self, as_counted};

rules! {
    /// Images have names, versions and a known update strategy, and are listed once (V-242, V-243, V-244).
    "PROFILE-IMAGE", "a machine image of a profile is not usable", CloudProfile | NamespacedCloudProfile, images;
    /// Versions of images are semantic versions, once each; so are the oldest versions that can be updated in place, and what an
    /// image asks of the kubelet is a constraint on versions (V-243, V-247).
    "PROFILE-IMAGE-VERSION", "a version of a machine image is not usable", CloudProfile | NamespacedCloudProfile, versions, comparable;
    /// An image runs containerd, perhaps with further runtimes, each once (V-245).
    "PROFILE-IMAGE-CRI", "a container runtime of a machine image is not usable", CloudProfile, runtimes;
    /// Architectures of images are known, and do not contradict the image's flavors (V-246).
    "PROFILE-IMAGE-ARCHITECTURE", "an architecture of a machine image is not usable", CloudProfile | NamespacedCloudProfile, architectures;
    /// Flavors of images are made of capabilities that the profile defines, with one architecture each (V-248).
    "PROFILE-IMAGE-FLAVOR", "a flavor of a machine image is not usable", CloudProfile, flavors;
}

/// Architectures where a profile defines no capabilities.
pub(super) const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

fn images(cx: &Cx<'_>, out: &mut Out) {
    let full = cx.owner.kind == Kind::CloudProfile;
    let all = stages::images(cx);
    if full && all.is_empty() {
        missing(out, &cx.new.at("spec/machineImages"));
    }
    as_counted(cx, out, |out| {
        let mut names = BTreeSet::new();
        for image in all {
            let (name, strategy) = (image.get("name"), image.get("updateStrategy"));
            if !names.insert(name.str()) {
                out.duplicate(&image, format!("machine image {} is listed twice", name.shown()));
            }
            if name.is_empty() {
                out.required(&name, "a machine image has no name");
            } else if let Err(why) = plain_name(name.str()) {
                out.invalid(&name, format!("{} is no name of a machine image: {why}", name.shown()));
            }
            if full && stages::versions(cx, &image).is_empty() {
                out.required(&image.get("versions"), format!("machine image {} has no versions", name.shown()));
            }
            if strategy.is_set() && !matches!(strategy.str(), "patch" | "minor" | "major") {
                out.not_supported(&strategy, format!("{} is no update strategy", strategy.shown())).help("use `patch`, `minor` or `major`");
            }
        }
    });
}

/// Every version that a server looks at, with its image.
fn all<'a>(cx: &Cx<'a>) -> Vec<(Node<'a>, Node<'a>)> {
    let of = |image: Node<'a>| stages::versions(cx, &image).into_iter().map(move |version| (image.clone(), version));
    stages::images(cx).into_iter().flat_map(of).collect()
}

fn versions(cx: &Cx<'_>, out: &mut Out) {
    as_counted(cx, out, |out| {
        let mut seen = BTreeSet::new();
        for (image, entry) in all(cx) {
            let version = entry.get("version");
            if !seen.insert(format!("{}-{}", image.get("name").str(), version.str())) {
                out.duplicate(&entry, format!("version {} of {} is listed twice", version.shown(), image.get("name").shown()));
            }
            missing(out, &version);
            if offer::version(version.str()).is_none() {
                out.invalid(&version, format!("{} is no version", version.shown())).help("three numbers, for example `1877.3.0`");
            }
            let least = entry.at("inPlaceUpdates/minVersionForUpdate");
            if least.is_set() && offer::version(least.str()).is_none() {
                out.invalid(&least, format!("{} is no version", least.shown()))
                    .field(format!("{}.minVersionForInPlaceUpdate", entry.field()))
                    .help("three numbers, for example `1877.3.0`");
            }
            let constraint = entry.get("kubeletVersionConstraint");
            if constraint.is_set() && !syntax::is_constraint(constraint.str()) {
                out.invalid(&constraint, format!("{} is no constraint on versions", constraint.shown())).help("for example `>= 1.30`");
            }
        }
    });
}

fn comparable(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("spec/machineImages");
    let unread = all(cx).into_iter().find(|(_, entry)| offer::version(entry.get("version").str()).is_none());
    if let Some((image, entry)) = unread {
        out.invalid(&list, format!("the newest version of {} cannot be told", image.get("name").shown()))
            .and(&entry.get("version"), "because of this one");
    }
}

fn runtimes(cx: &Cx<'_>, out: &mut Out) {
    as_counted(cx, out, |out| {
        for (_, entry) in all(cx) {
            let mut seen = BTreeSet::new();
            for cri in entry.get("cri").items() {
                let name = cri.get("name");
                if !seen.insert(name.str()) {
                    out.duplicate(&cri, format!("{} is listed twice", name.shown()));
                }
                if name.str() != "containerd" {
                    out.not_supported(&name, format!("{} is no container runtime interface", name.shown())).help("use `containerd`");
                }
                let mut types = BTreeSet::new();
                for kind in cri.get("containerRuntimes").items().iter().map(|runtime| runtime.get("type")) {
                    if let Err(why) = plain_name(kind.str()) {
                        out.invalid(&kind, format!("{} is no type of container runtime: {why}", kind.shown()));
                    }
                    if !types.insert(kind.str()) {
                        out.duplicate(&kind, format!("the container runtime {} is listed twice", kind.shown()));
                    }
                }
            }
        }
    });
}

/// What a profile defines; nothing in a namespaced one, which is looked at for itself.
pub(super) fn definitions<'a>(cx: &Cx<'a>) -> BTreeMap<&'a str, Vec<&'a str>> {
    if cx.owner.kind == Kind::CloudProfile { defined(&cx.new.get("spec")) } else { BTreeMap::new() }
}

/// Whether an image must say which of several architectures each of its flavors is for, and has no flavors.
fn needs_flavors(cx: &Cx<'_>, known: &[&str], entry: &Node<'_>) -> bool {
    known.len() > 1 && entry.get("capabilityFlavors").is_empty() && !migrates(cx, entry)
}

/// Whether a profile begins to define capabilities: its images get flavors for the architectures that they had.
fn migrates(cx: &Cx<'_>, entry: &Node<'_>) -> bool {
    !cx.is_new() && cx.before("spec/machineCapabilities").is_empty() && !entry.get("architectures").is_empty()
}

/// The architectures that are compared with an image's flavors: those written, unless a server renews them from the flavors.
fn written<'a>(cx: &Cx<'a>, image: &Node<'_>, entry: &Node<'_>) -> Option<Node<'a>> {
    let indices: Vec<usize> = entry.pointer().segments().filter_map(|segment| segment.parse().ok()).collect();
    let item = |list: Node<'a>, n: usize| indices.get(n).and_then(|i| list.items().into_iter().nth(*i)).unwrap_or_else(Node::absent);
    let own = item(item(cx.written.at("spec/machineImages"), 0).get("versions"), 1).get("architectures");
    let named = |list: Node<'a>, key: &str, text: &str| list.items().into_iter().find(|o| o.get(key).str() == text);
    let before = named(cx.before("spec/machineImages"), "name", image.get("name").str())
        .and_then(|old| named(old.get("versions"), "version", entry.get("version").str()));
    let changed = before.is_some_and(|old| !old.get("architectures").same(&own));
    (cx.is_new() || changed).then_some(own)
}

fn architectures(cx: &Cx<'_>, out: &mut Out) {
    let definitions = definitions(cx);
    let capable = !definitions.is_empty();
    let known = if capable { definitions.get("architecture").cloned().unwrap_or_default() } else { ARCHITECTURES.to_vec() };
    as_counted(cx, out, |out| {
        for (image, entry) in all(cx) {
            let listed_here = if capable { written(cx, &image, &entry) } else { Some(entry.get("architectures")) };
            let Some(list) = listed_here.filter(|_| !(capable && needs_flavors(cx, &known, &entry))) else { continue };
            if capable {
                let mut own: Vec<&str> =
                    entry.get("capabilityFlavors").items().iter().flat_map(|flavor| texts(&flavor.get("architecture"))).collect();
                if own.is_empty() && known.len() == 1 {
                    own.clone_from(&known);
                }
                if !texts(&list).iter().all(|architecture| own.contains(architecture)) {
                    out.invalid(&list, format!("architectures and flavors of {} contradict each other", image.get("name").shown()))
                        .help(format!("the flavors are for {}", listed(&own)));
                }
            }
            for architecture in list.items() {
                if !known.contains(&architecture.str()) {
                    out.not_supported(&architecture, format!("{} is no architecture", architecture.shown()))
                        .help(format!("possible are {}", listed(&known)));
                }
            }
        }
    });
}

fn flavors(cx: &Cx<'_>, out: &mut Out) {
    let definitions = definitions(cx);
    let known = definitions.get("architecture").cloned().unwrap_or_default();
    as_counted(cx, out, |out| {
        for (_, entry) in all(cx) {
            let list = entry.get("capabilityFlavors");
            if definitions.is_empty() {
                if !list.is_empty() {
                    out.forbidden(&list, "the profile defines no capabilities").help("define them under `spec.machineCapabilities`");
                }
                continue;
            }
            if needs_flavors(cx, &known, &entry) {
                out.required(&list, format!("an image for several architectures has a flavor for each of {}", listed(&known)));
            }
            for flavor in list.items() {
                let architecture = flavor.get("architecture");
                let own = texts(&architecture);
                if own.is_empty() && known.len() > 1 {
                    out.required(&architecture, "the flavor does not say which architecture it is for").help(format!("one of {}", listed(&known)));
                } else if own.len() > 1 {
                    out.invalid(&architecture, "a flavor is for one architecture").help("make one flavor for each");
                }
                capabilities(out, &flavor, &definitions);
            }
        }
    });
}

/// Capabilities are those that the profile defines, with values that it defines.
pub(super) fn capabilities(out: &mut Out, node: &Node<'_>, definitions: &BTreeMap<&str, Vec<&str>>) {
    for (key, values) in node.entries() {
        let Some(known) = definitions.get(key) else {
            out.not_supported(&values, format!("`{key}` is no capability that the profile defines"))
                .on_key()
                .field(node.field())
                .help(format!("it defines {}", listed(definitions.keys())));
            continue;
        };
        for (i, value) in values.items().iter().enumerate() {
            if !known.contains(&value.str()) {
                out.not_supported(value, format!("{} is no value of `{key}`", value.shown()))
                    .field(format!("{}[{i}]", child(&node.field(), key)))
                    .help(format!("possible are {}", listed(known)));
            }
        }
    }
}

/// The architectures that an image version supports, and whether one is among them.
pub(super) fn supports(entry: &Node<'_>, definitions: &BTreeMap<&str, Vec<&str>>, architecture: &str) -> bool {
    if definitions.is_empty() {
        return texts(&entry.get("architectures")).contains(&architecture);
    }
    let known: Vec<String> = definitions.get("architecture").into_iter().flatten().map(|&a| a.to_owned()).collect();
    known.iter().any(|a| a == architecture) || of_image(entry, &known).iter().any(|a| a == architecture)
}
