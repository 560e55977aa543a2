//! Cloud profiles: a catalogue that makes sense, and does not lose what is used.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::admission::offer::Class;

rules! {
    /// A cloud profile has a type, versions, images, machine types and regions (V-232, V-233, V-242, V-250, V-253).
    "PROFILE-INCOMPLETE", "a cloud profile lacks a section", CloudProfile, complete;
    /// Kubernetes versions are written in full, once each, with a known classification (V-234, V-236, V-237).
    "PROFILE-VERSION", "a Kubernetes version of a profile is not usable", CloudProfile, versions;
    /// The newest version that is no preview does not expire: something must remain to upgrade to (V-235).
    "PROFILE-LAST-VERSION", "the newest version expires", CloudProfile, last;
    /// Of each minor version, one patch is supported at a time (V-240).
    "PROFILE-ONE-SUPPORTED", "two patches of a minor version are supported", CloudProfile, one_supported;
    /// Images have versions with known architectures and container runtimes, and a known update strategy (V-243 … V-246).
    "PROFILE-IMAGE", "a machine image of a profile is not usable", CloudProfile, images;
    /// Names of machine and volume types, regions and zones are there and unique; quantities can be read (V-250 … V-253).
    "PROFILE-ENTRY", "an entry of a profile is not usable", CloudProfile, entries;
    /// The limit of nodes is positive (V-255).
    "PROFILE-LIMIT", "the limit of nodes is not positive", CloudProfile, limit;
    /// Versions and images that a shoot uses stay in the profile (V-263).
    ///
    /// Move the shoots first, then remove the version. Until then the profile stays as it was accepted.
    "PROFILE-IN-USE", "something in use is removed from a profile", CloudProfile, in_use as Plugin("ResourceReferenceManager");
    /// A namespaced profile may move the expiration of a version of its parent, and nothing else of it (V-258, V-259).
    "NAMESPACED-VERSION", "a namespaced profile says too much about a version", NamespacedCloudProfile, namespaced as Plugin("NamespacedCloudProfileValidator");
}

fn complete(cx: &Cx<'_>, out: &mut Out) {
    for path in ["type", "kubernetes/versions", "machineImages", "machineTypes", "regions"] {
        let node = cx.new.at("spec").at(path);
        if node.is_empty() {
            out.required(&node, format!("`{}` is missing", node.field()));
        }
    }
}

fn versions(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for entry in cx.new.at("spec/kubernetes/versions").items() {
        let (version, class) = (entry.get("version"), entry.get("classification"));
        if !offer::is_full(version.str()) || version.str().starts_with('v') {
            out.invalid(&version, format!("{} is no full version", version.shown())).help("write it as `1.34.2`");
        } else if !seen.insert(version.str()) {
            out.duplicate(&version, format!("version {} is listed twice", version.shown()));
        }
        if class.is_set() && !matches!(class.str(), "preview" | "supported" | "deprecated") {
            out.not_supported(&class, format!("{} is no classification", class.shown())).help("use `preview`, `supported` or `deprecated`; a version expires by its date");
        }
        let date = entry.get("expirationDate");
        if date.is_set() && date.text().and_then(offer::moment).is_none() {
            out.invalid(&date, format!("{} is no time", date.shown())).help("for example `2027-03-31T23:59:59Z`");
        }
        let lifecycle = entry.get("lifecycle");
        if lifecycle.is_set() && (class.is_set() || date.is_set()) {
            out.forbidden(&lifecycle, "a lifecycle takes the place of classification and expiration date").and(&version, "of this version");
        }
    }
}

fn last(cx: &Cx<'_>, out: &mut Out) {
    let offers = offer::offers(&cx.new.at("spec/kubernetes/versions"), cx);
    let newest = offers.iter().filter(|o| o.class != Class::Preview).max_by(|a, b| a.version.cmp(&b.version));
    if let Some(date) = newest.map(|o| o.node.get("expirationDate")).filter(Node::is_set) {
        out.invalid(&date, format!("`{}` is the newest version, and expires", newest.map_or("", |o| o.text))).help("remove the date, or add a newer version");
    }
}

fn one_supported(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: Vec<(u64, u64, Node<'_>)> = Vec::new();
    for entry in cx.new.at("spec/kubernetes/versions").items() {
        let Some(version) = offer::version(entry.get("version").str()) else { continue };
        if entry.get("classification").str() != "supported" {
            continue;
        }
        if let Some((_, _, other)) = seen.iter().find(|(major, minor, _)| (*major, *minor) == (version.major, version.minor)) {
            out.forbidden(&entry.get("classification"), format!("two patches of {}.{} are supported", version.major, version.minor))
                .and(other, "the other one")
                .help("call the older one `deprecated`");
        }
        seen.push((version.major, version.minor, entry.get("version")));
    }
}

fn images(cx: &Cx<'_>, out: &mut Out) {
    let mut names = BTreeSet::new();
    for image in cx.new.at("spec/machineImages").items() {
        let (name, strategy, versions) = (image.get("name"), image.get("updateStrategy"), image.get("versions"));
        if name.is_empty() {
            out.required(&name, "a machine image has no name");
        } else if !names.insert(name.str()) {
            out.duplicate(&name, format!("machine image {} is listed twice", name.shown()));
        }
        if strategy.is_set() && !matches!(strategy.str(), "patch" | "minor" | "major") {
            out.not_supported(&strategy, format!("{} is no update strategy", strategy.shown())).help("use `patch`, `minor` or `major`");
        }
        if versions.is_empty() {
            out.required(&versions, format!("machine image {} has no versions", name.shown()));
        }
        let mut seen = BTreeSet::new();
        for version in versions.items() {
            let text = version.get("version");
            if offer::version(text.str()).is_none() {
                out.invalid(&text, format!("{} is no version", text.shown())).help("three numbers, for example `1877.3.0`");
            } else if !seen.insert(text.str()) {
                out.duplicate(&text, format!("version {} is listed twice", text.shown()));
            }
            for architecture in version.get("architectures").items() {
                if !matches!(architecture.str(), "amd64" | "arm64") {
                    out.not_supported(&architecture, format!("{} is no architecture", architecture.shown())).help("use `amd64` or `arm64`");
                }
            }
            for cri in version.get("cri").items() {
                if cri.get("name").str() != "containerd" {
                    out.not_supported(&cri.get("name"), format!("{} is no container runtime interface", cri.get("name").shown())).help("use `containerd`");
                }
            }
        }
    }
}

fn entries(cx: &Cx<'_>, out: &mut Out) {
    for (list, quantities) in [("machineTypes", &["cpu", "gpu", "memory"][..]), ("volumeTypes", &["minSize"]), ("regions", &[])] {
        let mut seen = BTreeSet::new();
        for entry in cx.new.at("spec").get(list).items() {
            let name = entry.get("name");
            if name.is_empty() {
                out.required(&name, format!("an entry of `{list}` has no name"));
            } else if !seen.insert(name.str()) {
                out.duplicate(&name, format!("{} is listed twice in `{list}`", name.shown()));
            }
            for what in quantities {
                let node = entry.get(what);
                if node.is_set() && !syntax::is_amount(&node) {
                    out.invalid(&node, format!("{} is no amount", node.shown())).help("for example `4` or `16Gi`");
                }
            }
            let mut zones = BTreeSet::new();
            for zone in entry.get("zones").items() {
                let zone = zone.get("name");
                if zone.is_empty() {
                    out.required(&zone, format!("a zone of region {} has no name", name.shown()));
                } else if !zones.insert(zone.str()) {
                    out.duplicate(&zone, format!("zone {} is listed twice", zone.shown()));
                }
            }
        }
    }
}

fn limit(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/limits/maxNodesTotal");
    if node.int().is_some_and(|n| n <= 0) {
        out.invalid(&node, format!("a limit of {} nodes allows nothing", node.shown()));
    }
    if let (Some(new), Some(old)) = (node.int(), cx.before("spec/limits/maxNodesTotal").int())
        && new < old
    {
        out.invalid(&node, format!("the limit of nodes cannot be lowered from {old} to {new}"));
    }
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
    let mut used: Vec<((&str, String), Vec<String>)> = removed.into_iter().map(|r| (r, Vec::new())).collect();
    for (user, manifest) in cx.users() {
        let user_spec = Node::root(manifest).get("spec");
        let mut wants = catalogue(&user_spec);
        wants.insert(("Kubernetes", user_spec.at("kubernetes/version").str().to_owned()));
        for pool in user_spec.at("provider/workers").items() {
            wants.insert(("Kubernetes", pool.at("kubernetes/version").str().to_owned()));
            let image = pool.at("machine/image");
            wants.insert(("machine image", format!("{} {}", image.get("name").str(), image.get("version").str())));
        }
        for (what, users) in &mut used {
            if wants.contains(what) {
                users.push(user.to_string());
            }
        }
    }
    for ((what, name), users) in used.into_iter().filter(|(_, users)| !users.is_empty()) {
        let node = cx.new.at(if what == "Kubernetes" { "spec/kubernetes/versions" } else { "spec/machineImages" });
        out.invalid(&node, format!("{what} `{name}` is removed, but still used by {}", listed(users))).help("move them to another version first, then remove it");
    }
}

fn namespaced(cx: &Cx<'_>, out: &mut Out) {
    let parent = Owner::cluster(Kind::CloudProfile, cx.new.at("spec/parent/name").str());
    let Some(profile) = cx.object(&parent).manifest() else { return };
    let known = Node::root(profile).at("spec/kubernetes/versions");
    for entry in cx.new.at("spec/kubernetes/versions").items() {
        let (version, class, date) = (entry.get("version"), entry.get("classification"), entry.get("expirationDate"));
        if class.is_set() {
            out.forbidden(&class, "a namespaced profile does not classify versions").help("remove it");
        }
        if !known.items().iter().any(|k| k.get("version").same(&version)) {
            out.invalid(&version, format!("{parent} has no version {}", version.shown())).beside(&parent, &known, "its versions");
        } else if !date.is_set() {
            out.invalid(&date, format!("version {} is named without an expiration date", version.shown())).help("a namespaced profile only moves the date");
        }
    }
}
