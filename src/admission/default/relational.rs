//! The defaults of a shoot that need other objects of the landscape (`defaults.md` §2).
//!
//! What Gardener fills in only at creation is filled in at the first acceptance, and afterwards taken from what was accepted.

use serde_json::{Value, json};

use super::super::check::{Cx, Out};
use super::super::node::{Node, fill, list, put, section};
use super::super::offer::{self, Class};
use super::super::source::Source;
use super::shoot::tolerate;
use crate::finding::Code;
use crate::landscape::{Kind, Owner};

/// What comes before the defaults of the shoot itself, because these fill in the rest of a section made here.
pub(super) fn early(cx: &Cx<'_>, shoot: &mut Value) {
    let workers = !Node::root(shoot).at("spec/provider/workers").is_empty();
    if workers && !Node::root(shoot).at("spec/kubernetes/verticalPodAutoscaler").is_set() {
        let enabled = if cx.is_new() { Some(true) } else { cx.before("spec/kubernetes/verticalPodAutoscaler/enabled").flag() };
        if let Some(enabled) = enabled {
            put(shoot, "spec/kubernetes/verticalPodAutoscaler/enabled", enabled);
        }
    }
    let rotation = "spec/maintenance/autoRotation/credentials/etcdEncryptionKey";
    if !Node::root(shoot).at(rotation).is_set() && (cx.is_new() || cx.before(rotation).is_set()) {
        let period = cx.before(rotation).get("rotationPeriod").text().unwrap_or("672h0m0s").to_owned();
        put(shoot, &format!("{rotation}/rotationPeriod"), period);
    }
}

/// The maintenance window is drawn once, and kept.
pub(super) fn window(cx: &Cx<'_>, shoot: &mut Value) {
    if let Some(window) = cx.before("spec/maintenance/timeWindow").value() {
        fill(shoot, "spec/maintenance/timeWindow", window.clone());
    }
}

/// What needs the cloud profile, the project and the exposure class.
pub(super) fn late(cx: &Cx<'_>, shoot: &mut Value, out: &mut Out) {
    labels(shoot);
    tolerations(cx, shoot);
    exposure(cx, shoot);
    let profile = offer::profile_of(&Node::root(shoot), &cx.owner.project).and_then(|p| cx.profile(&p).manifest());
    if let Some(profile) = profile {
        let profile = Node::root(profile);
        versions(cx, shoot, &profile, out);
        architecture(shoot, &profile);
        images(cx, shoot, &profile, out);
    }
    if !Node::root(shoot).at("spec/provider/workers").is_empty() {
        let reserved = "spec/kubernetes/kubelet/kubeReserved";
        fill(shoot, &format!("{reserved}/cpu"), "80m");
        fill(shoot, &format!("{reserved}/memory"), "1Gi");
        fill(shoot, &format!("{reserved}/pid"), "20k");
    }
}

/// Tolerations that the project gives to each new shoot.
fn tolerations(cx: &Cx<'_>, shoot: &mut Value) {
    let Some(project) = cx.object(&Owner::cluster(Kind::Project, &cx.owner.project)).manifest() else { return };
    let before = cx.before("spec/tolerations").items();
    for toleration in Node::root(project).at("spec/tolerations/defaults").items() {
        let kept = before.iter().any(|t| t.get("key").same(&toleration.get("key")));
        if let (true, Some(value)) = (cx.is_new() || kept, toleration.value()) {
            tolerate(shoot, value);
        }
    }
}

/// The seed selector and tolerations of the exposure class.
fn exposure(cx: &Cx<'_>, shoot: &mut Value) {
    let root = Node::root(shoot);
    let name = root.at("spec/exposureClassName").str().to_owned();
    if name.is_empty() {
        return;
    }
    let Some(class) = cx.object(&Owner::cluster(Kind::ExposureClass, &name)).manifest() else { return };
    let scheduling = Node::root(class).get("scheduling");
    for toleration in scheduling.get("tolerations").items() {
        if let Some(value) = toleration.value() {
            tolerate(shoot, value);
        }
    }
    let selector = scheduling.get("seedSelector");
    for (key, wanted) in selector.get("matchLabels").entries() {
        let Some(labels) = section(shoot, "spec/seedSelector/matchLabels") else { continue };
        labels.entry(key).or_insert_with(|| wanted.value().cloned().unwrap_or_default());
    }
    for (list, key) in [("matchExpressions", "spec/seedSelector"), ("providerTypes", "spec/seedSelector")] {
        let added: Vec<Value> = selector.get(list).items().iter().filter_map(Node::value).cloned().collect();
        if let (false, Some(section)) = (added.is_empty(), section(shoot, key))
            && let Value::Array(items) = section.entry(list).or_insert_with(|| json!([]))
        {
            items.extend(added.into_iter().filter(|a| !items.contains(a)).collect::<Vec<_>>());
        }
    }
}

/// The parts of a version that is not written in full: how it begins; nothing if it is, an error if it is none.
fn beginning(text: &str) -> Option<Result<String, ()>> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() == 3 {
        return None;
    }
    let number = |part: &str| part.is_empty() || part.parse::<u64>().is_ok();
    let kept: Vec<&str> = if parts.len() == 2 { parts } else { parts.into_iter().take(1).collect() };
    Some(if kept.iter().all(|part| number(part)) { Ok(kept.join(".")) } else { Err(()) })
}

/// Partial Kubernetes versions become the newest supported one that fits, or stay what they became before.
fn versions(cx: &Cx<'_>, shoot: &mut Value, profile: &Node<'_>, out: &mut Out) {
    out.speak_for(Code::new("SHOOT-VERSION-NOT-OFFERED"), Source::Plugin("ShootMutator"));
    let offers = offer::offers(&profile.at("spec/kubernetes/versions"), cx);
    let resolve = |wanted: &str, before: Node<'_>| -> Option<String> {
        let stays = before.text().filter(|b| offer::version(b).is_some_and(|v| offer::has_prefix(&v, wanted)));
        let newest = || {
            offers
                .iter()
                .filter(|o| o.class == Class::Supported && offer::has_prefix(&o.version, wanted))
                .max_by(|a, b| a.version.cmp(&b.version))
        };
        stays.map(str::to_owned).or_else(|| newest().map(|o| o.text.to_owned()))
    };
    let refuse = |out: &mut Out, node: &Node<'_>, wanted: &str| {
        let supported = offers.iter().filter(|o| o.class == Class::Supported).map(|o| o.text);
        out.invalid(node, format!("no supported Kubernetes version begins with `{wanted}`"))
            .help(format!("supported are {}", super::super::check::listed(supported)));
    };
    let wanted = Node::root(shoot).at("spec/kubernetes/version").str().to_owned();
    if let Some(begins) = beginning(&wanted) {
        let found = begins.ok().and_then(|begins| resolve(&begins, cx.before("spec/kubernetes/version")));
        match found {
            Some(version) => put(shoot, "spec/kubernetes/version", version),
            None => refuse(out, &cx.new.at("spec/kubernetes/version"), &wanted),
        }
    }
    let before = cx.before("spec/provider/workers").items();
    let written = cx.new.at("spec/provider/workers").items();
    for (i, pool) in list(shoot, "spec/provider/workers").iter_mut().enumerate() {
        let root = Node::root(pool);
        let wanted = root.at("kubernetes/version").text().unwrap_or("1.0.0").to_owned();
        let Some(begins) = beginning(&wanted) else { continue };
        let name = root.get("name").str().to_owned();
        let old = before.iter().find(|b| b.get("name").str() == name).map_or_else(Node::absent, |b| b.at("kubernetes/version"));
        if let Some(version) = begins.ok().and_then(|begins| resolve(&begins, old)) {
            put(pool, "kubernetes/version", version);
        } else {
            let node = written.get(i).map_or_else(|| cx.new.clone(), |p| p.at("kubernetes/version"));
            refuse(out, &node, &wanted);
        }
    }
}

/// The architecture of each pool follows from its machine type.
fn architecture(shoot: &mut Value, profile: &Node<'_>) {
    for pool in list(shoot, "spec/provider/workers") {
        let name = Node::root(pool).at("machine/type").str().to_owned();
        let types = offer::entry(&profile.at("spec/machineTypes"), &name);
        let offered = types.as_ref().map(offer::architectures).unwrap_or_default();
        let architecture = if offered.len() == 1 { offered.first().copied().unwrap_or("amd64") } else { "amd64" };
        fill(pool, "machine/architecture", architecture);
    }
}

/// The machine image of each pool: what it was, else the newest that fits the pool's architecture and what is written.
fn images(cx: &Cx<'_>, shoot: &mut Value, profile: &Node<'_>, out: &mut Out) {
    out.speak_for(Code::new("SHOOT-IMAGE-NOT-OFFERED"), Source::Plugin("ShootMutator"));
    if Node::root(shoot).at("metadata/deletionTimestamp").is_set() {
        return;
    }
    let before = cx.before("spec/provider/workers").items();
    let written = cx.new.at("spec/provider/workers").items();
    for (i, pool) in list(shoot, "spec/provider/workers").iter_mut().enumerate() {
        let root = Node::root(pool);
        let wanted = root.at("machine/image");
        let (name, prefix) = (wanted.get("name").str().to_owned(), wanted.get("version").str().to_owned());
        let full = is_full_image(&prefix);
        let old =
            before.iter().find(|b| b.get("name").same(&root.get("name"))).map(|b| b.at("machine/image")).filter(Node::is_set);
        let known = old.as_ref().is_some_and(|old| old.get("name").str() == name);
        if full && (known || name.is_empty()) {
            continue;
        }
        let architecture = root.at("machine/architecture").str().to_owned();
        if let Some(old) = old.filter(|o| o.get("version").is_set() && (name.is_empty() || known))
            && offer::version(old.get("version").str()).is_some_and(|v| offer::has_prefix(&v, &prefix))
            && let Some(value) = old.value()
        {
            let kept = value.clone();
            for key in ["name", "version", "providerConfig"] {
                if let Some(value) = kept.get(key) {
                    fill_version(pool, key, value.clone());
                }
            }
            continue;
        }
        let images = profile.at("spec/machineImages").items();
        let candidates: Vec<&Node<'_>> =
            images.iter().filter(|image| name.is_empty() || image.get("name").str() == name).collect();
        if full && !candidates.is_empty() {
            continue;
        }
        let best =
            candidates.iter().find_map(|image| Some((image.get("name").str(), newest(image, &prefix, &architecture, cx)?)));
        if let Some((name, version)) = best {
            put(pool, "machine/image/name", name);
            put(pool, "machine/image/version", version);
        } else {
            let image = written.get(i).map_or_else(|| cx.new.clone(), |p| p.at("machine/image"));
            let offered = images.iter().map(|image| image.get("name").str());
            let (node, text) = if !name.is_empty() && candidates.is_empty() {
                (image.get("name"), format!("machine image `{name}` is not offered by the cloud profile"))
            } else if name.is_empty() {
                (image, format!("the cloud profile offers no machine image for architecture `{architecture}`"))
            } else {
                let text = format!("the cloud profile offers no version of machine image `{name}` beginning with `{prefix}`");
                (image.get("version"), format!("{text} for architecture `{architecture}`"))
            };
            out.invalid(&node, text)
                .field(format!("spec.provider.workers[{i}]"))
                .help(format!("it offers {}", super::super::check::listed(offered)));
        }
    }
}

/// Whether an image version is written in full: three numbers.
fn is_full_image(text: &str) -> bool {
    text.split(['-', '+']).next().is_some_and(|numbers| numbers.split('.').count() == 3)
}

fn fill_version(pool: &mut Value, key: &str, value: Value) {
    if key == "version" {
        put(pool, "machine/image/version", value);
    } else {
        fill(pool, &format!("machine/image/{key}"), value);
    }
}

fn newest(image: &Node<'_>, prefix: &str, architecture: &str, cx: &Cx<'_>) -> Option<String> {
    offer::offers(&image.get("versions"), cx)
        .into_iter()
        .filter(|o| matches!(o.class, Class::Supported | Class::Deprecated) && offer::has_prefix(&o.version, prefix))
        .filter(|o| offer::architectures(&o.node).contains(architecture))
        .max_by(|a, b| a.version.cmp(&b.version))
        .map(|o| o.text.to_owned())
}

/// The labels by which extensions find what concerns them.
fn labels(shoot: &mut Value) {
    let root = Node::root(shoot);
    let mut wanted = vec![
        ("provider", root.at("spec/provider/type").str().to_owned()),
        ("networking", root.at("spec/networking/type").str().to_owned()),
    ];
    let mut nameless = false;
    for pool in root.at("spec/provider/workers").items() {
        // An image without a name gets a label without one, which is refused.
        nameless |= pool.at("machine/image").is_set() && pool.at("machine/image/name").is_empty();
        wanted.push(("operatingsystemconfig", pool.at("machine/image/name").str().to_owned()));
        wanted.push(("selfhostedshootexposure", pool.at("controlPlane/exposure/extension/type").str().to_owned()));
        let runtimes = pool.at("cri/containerRuntimes").items();
        wanted.extend(runtimes.iter().map(|r| ("containerruntime", r.get("type").str().to_owned())));
    }
    let providers = root.at("spec/dns/providers").items();
    wanted.extend(providers.iter().map(|p| ("dnsrecord", p.get("type").str().to_owned())));
    let extensions = root.at("spec/extensions").items();
    wanted.extend(
        extensions
            .iter()
            .filter(|e| e.get("disabled").flag() != Some(true))
            .map(|e| ("extensions", e.get("type").str().to_owned())),
    );
    set_labels(shoot, wanted);
    if nameless && let Some(labels) = section(shoot, "metadata/labels") {
        labels.insert("operatingsystemconfig.extensions.gardener.cloud/".to_owned(), "true".into());
    }
}

/// Sets `<what>.extensions.gardener.cloud/<type>` for each pair with a type.
pub(super) fn set_labels(object: &mut Value, wanted: Vec<(&str, String)>) {
    if wanted.iter().all(|(_, kind)| kind.is_empty()) {
        return;
    }
    let Some(labels) = section(object, "metadata/labels") else { return };
    for (what, kind) in wanted.into_iter().filter(|(_, kind)| !kind.is_empty() && kind != "unmanaged") {
        labels.insert(format!("{what}.extensions.gardener.cloud/{kind}"), "true".into());
    }
}
