//! Regions, zones, machine types, images and volumes: what a pool asks for is what the cloud profile offers.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::prelude::*;
use crate::admission::capable::{defined, texts};
use crate::landscape::nearest::closest;
use crate::admission::offer::Class;

rules! {
    /// The region is one of the cloud profile's (V-007, V-339).
    "SHOOT-REGION", "the region is not on offer", Shoot, region_given, region as Plugin("ShootValidator");
    /// Zones of a pool belong to the region and are named once (V-348).
    "SHOOT-ZONE", "a zone is not on offer", Shoot, zones as Plugin("ShootValidator");
    /// The machine type is offered, usable, available in every zone of the pool, and of the pool's architecture (V-340).
    ///
    /// Checked when the type, the architecture or the zones of a pool change: a type that is withdrawn later does not hold
    /// those who use it.
    "SHOOT-MACHINE-NOT-OFFERED", "the machine type is not on offer", Shoot, types as Plugin("ShootValidator");
    /// The machine image and its version are offered for the pool's architecture and have not expired, and go with
    /// the version of the pool's kubelet (V-341, V-344, V-358).
    "SHOOT-IMAGE-NOT-OFFERED", "the machine image is not on offer", Shoot, images as Plugin("ShootValidator");
    /// A flavor of the machine image has what the machine type can do (V-342).
    ///
    /// Each capability that the profile defines must have a value in common; what names no values has all of them.
    "SHOOT-MACHINE-CAPABILITY", "no flavor of the image goes with the machine type", Shoot, capable as Plugin("ShootValidator");
    /// The container runtimes of a pool are offered by its machine image (V-343).
    "SHOOT-RUNTIME-NOT-OFFERED", "a container runtime is not on offer", Shoot, runtimes as Plugin("ShootValidator");
    /// The volume type is offered, usable and available in every zone of the pool, and the volume is large enough (V-345, V-346).
    "SHOOT-VOLUME-NOT-OFFERED", "the volume is not on offer", Shoot, volumes as Plugin("ShootValidator");
    /// What a pool reserves for its nodes' own programs is less than what a machine has (V-347).
    "SHOOT-RESERVED-TOO-MUCH", "more is reserved than a machine has", Shoot, reserved as Plugin("ShootValidator");
    /// The pools' minimum sizes together stay within the cloud profile's limit of nodes (V-354).
    "SHOOT-TOO-MANY-NODES", "more nodes than the cloud profile allows", Shoot, nodes as Plugin("ShootValidator");
    /// Access restrictions are offered by the region (V-352).
    "SHOOT-ACCESS-RESTRICTION", "an access restriction is not on offer", Shoot, restrictions as Plugin("ShootValidator");
}

struct Offered<'a> {
    owner: Owner,
    spec: Node<'a>,
    region: Option<Node<'a>>,
}

/// What the shoot's cloud profile offers; nothing if it is for another provider: all of it would be missing.
fn offered<'a>(cx: &Cx<'a>) -> Option<Offered<'a>> {
    let found = profile(cx)?;
    let theirs = found.spec.get("type");
    (!theirs.is_set() || theirs.same(&cx.new.at("spec/provider/type"))).then_some(found)
}

fn profile<'a>(cx: &Cx<'a>) -> Option<Offered<'a>> {
    let owner = offer::profile_of(&cx.new, &cx.owner.project)?;
    let spec = Node::root(cx.profile(&owner).manifest()?).get("spec");
    let region = offer::entry(&spec.get("regions"), cx.new.at("spec/region").str());
    Some(Offered { owner, spec, region })
}

/// Each pool with what was accepted under its name before.
fn pools<'a>(cx: &Cx<'a>) -> Vec<(Node<'a>, Option<Node<'a>>)> {
    let before = cx.before("spec/provider/workers").items();
    let old = |pool: &Node<'a>| before.iter().find(|b| b.get("name").same(&pool.get("name"))).cloned();
    cx.new.at("spec/provider/workers").items().into_iter().map(|pool| (pool.clone(), old(&pool))).collect()
}

/// Whether any of the fields of a pool differs from before.
fn changed(pool: &Node<'_>, old: Option<&Node<'_>>, paths: &[&str]) -> bool {
    old.is_none_or(|old| paths.iter().any(|path| !pool.at(path).same(&old.at(path))))
}

fn names<'a>(list: &Node<'a>) -> Vec<&'a str> {
    list.items().iter().map(|item| item.get("name").str()).collect()
}

fn region_given(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/region");
    if node.is_empty() {
        out.required(&node, "the region is missing");
    }
}

fn region(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/region");
    let Some(offered) = profile(cx).filter(|_| !node.is_empty()) else { return };
    if offered.region.is_none() && !node.same(&cx.before("spec/region")) {
        let regions = offered.spec.get("regions");
        out.not_supported(&node, format!("region {} is not offered by {}", node.shown(), offered.owner))
            .help(format!("it offers {}", listed(names(&regions))))
            .beside(&offered.owner, &regions, "the regions on offer");
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let Some(Offered { region, owner, .. }) = offered(cx) else { return };
    let name = cx.new.at("spec/region");
    let zones = region.as_ref().map_or_else(Node::absent, |region| region.get("zones"));
    let known = names(&zones);
    for (pool, old) in pools(cx) {
        if name.same(&cx.before("spec/region")) && !changed(&pool, old.as_ref(), &["zones"]) {
            continue;
        }
        let mut seen = Vec::new();
        for zone in pool.get("zones").items() {
            if known.is_empty() {
                out.invalid(&zone, format!("region {} has no zones", name.shown())).help("leave the zones of the pool out");
            } else if !known.contains(&zone.str()) {
                let raised = out.not_supported(&zone, format!("zone {} is not in region {} of {owner}", zone.shown(), name.shown()));
                raised.help(format!("the region has {}", listed(&known)));
                if let Some(region) = &region {
                    raised.beside(&owner, region, "the region");
                }
            }
            if seen.contains(&zone.str()) {
                out.duplicate(&zone, format!("zone {} is listed twice", zone.shown())).help("name it once");
            }
            seen.push(zone.str());
        }
    }
}

/// The zones of a pool in which a type is named as unavailable.
fn missing_in<'a>(region: Option<&Node<'a>>, pool: &Node<'a>, list: &str, kind: &str) -> Vec<&'a str> {
    let Some(region) = region else { return Vec::new() };
    let wanted = pool.get("zones").items();
    let zones = region.get("zones").items();
    let unavailable = |zone: &Node<'_>| zone.get(list).items().iter().any(|t| t.str() == kind);
    zones.iter().filter(|z| unavailable(z) && wanted.iter().any(|w| w.same(&z.get("name")))).map(|z| z.get("name").str()).collect()
}

/// What is wrong with the machine type of a pool: that it is not there, or a reason why the pool cannot have it.
fn type_wrong(offered: &Offered<'_>, pool: &Node<'_>, old: Option<&Node<'_>>) -> Option<Result<String, String>> {
    let node = pool.at("machine/type");
    if node.is_empty() || !changed(pool, old, &["machine/type", "machine/architecture"]) {
        return None;
    }
    let Some(machine) = offer::entry(&offered.spec.get("machineTypes"), node.str()) else {
        return Some(Err(format!("machine type {} is not offered by {}", node.shown(), offered.owner)));
    };
    if machine.get("usable").flag() == Some(false) {
        return Some(Ok(format!("machine type {} is marked as not usable", node.shown())));
    }
    let missing = missing_in(offered.region.as_ref(), pool, "unavailableMachineTypes", node.str());
    if !missing.is_empty() {
        return Some(Ok(format!("machine type {} is not available in {}", node.shown(), listed(missing))));
    }
    let architecture = pool.at("machine/architecture");
    let possible = offer::architectures(&machine);
    (architecture.is_set() && !possible.contains(architecture.str()))
        .then(|| Ok(format!("machine type {} is {}, the pool wants {}", node.shown(), listed(possible), architecture.shown())))
}

/// So many of the machine types on offer are named.
const CLOSEST: usize = 3;

fn types(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    let types = offered.spec.get("machineTypes");
    for (pool, old) in pools(cx) {
        let node = pool.at("machine/type");
        let help = || match closest(node.str(), names(&types), CLOSEST) {
            near if node.is_empty() || near.len() < CLOSEST => format!("it offers {}", listed(near)),
            near => format!("closest: {}", listed(near)),
        };
        match type_wrong(&offered, &pool, old.as_ref()) {
            None => {}
            Some(Err(text)) => {
                out.not_supported(&node, text).help(help()).beside(&offered.owner, &types, "the machine types on offer");
            }
            Some(Ok(text)) => {
                let entry = offer::entry(&types, node.str()).unwrap_or_else(|| types.clone());
                out.invalid(&node, text).help(help()).beside(&offered.owner, &entry, "here");
            }
        }
    }
}

/// What is wrong with the image version of a pool.
fn image_wrong(cx: &Cx<'_>, offered: &Offered<'_>, pool: &Node<'_>, old: Option<&Node<'_>>) -> Option<String> {
    let wanted = pool.at("machine/image");
    let (name, version) = (wanted.get("name"), wanted.get("version"));
    let Some(image) = offer::entry(&offered.spec.get("machineImages"), name.str()) else {
        return Some(format!("machine image {} is not offered by {}", name.shown(), offered.owner));
    };
    let offers = offer::offers(&image.get("versions"), cx);
    let Some(found) = offers.iter().find(|o| o.text == version.str()) else {
        return Some(format!("version {} of machine image {} is not offered by {}", version.shown(), name.shown(), offered.owner));
    };
    let architecture = pool.at("machine/architecture").text().unwrap_or("amd64");
    if !offer::architectures(&found.node).contains(architecture) {
        return Some(format!("machine image {} {} is not built for {architecture}", name.shown(), version.shown()));
    }
    let was = old.and_then(|o| offer::version(o.at("machine/image/version").text()?));
    let expired = found.class == Class::Expired && was.is_none_or(|was| found.version < was);
    expired.then(|| format!("machine image {} {} has expired", name.shown(), version.shown()))
}

fn images(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    let images = offered.spec.get("machineImages");
    for (pool, old) in pools(cx) {
        let (name, version) = (pool.at("machine/image/name"), pool.at("machine/image/version"));
        let same = !changed(&pool, old.as_ref(), &["machine/image", "machine/architecture"]);
        if version.is_empty() || type_wrong(&offered, &pool, old.as_ref()).is_some() {
            continue;
        }
        if let Some(text) = image_wrong(cx, &offered, &pool, old.as_ref()).filter(|_| !same) {
            // That the cloud profile does not know the image at all was said when its version was looked for.
            let Some(image) = offer::entry(&images, name.str()) else { continue };
            let architecture = pool.at("machine/architecture").text().unwrap_or("amd64");
            let offers = offer::offers(&image.get("versions"), cx);
            let fitting = offers.iter().filter(|o| o.class.is_active() && offer::architectures(&o.node).contains(architecture));
            out.not_supported(&version, text)
                .help(format!("{} has {} for {architecture}", name.str(), listed(fitting.map(|o| o.text))))
                .beside(&offered.owner, &image, "the image");
            continue;
        }
        let entry = offer::entry(&images, name.str())
            .and_then(|image| image.get("versions").items().into_iter().find(|v| v.get("version").same(&version)));
        if let Some(entry) = entry {
            constraint(cx, out, &pool, &entry, &pool.at("machine/image"));
        }
    }
}

/// The image may ask for certain kubelet versions (V-344).
fn constraint(cx: &Cx<'_>, out: &mut Out, pool: &Node<'_>, image: &Node<'_>, node: &Node<'_>) {
    let asked = image.get("kubeletVersionConstraint");
    let kubelet = pool.at("kubernetes/version").text().or_else(|| cx.new.at("spec/kubernetes/version").text()).and_then(offer::version);
    let spelled = asked.str().split_whitespace().collect::<Vec<_>>().join(" ").replace(">= ", ">=").replace("<= ", "<=").replace("> ", ">").replace("< ", "<").replace(' ', ", ").replace(",,", ",");
    if let (Some(kubelet), Ok(range)) = (kubelet, semver::VersionReq::parse(&spelled))
        && asked.is_set()
        && !range.matches(&kubelet)
    {
        out.invalid(node, format!("the image needs a kubelet `{}`, the pool has `{kubelet}`", asked.str()));
    }
}

/// Whether a machine type and a flavor have a value in common for each capability.
fn goes_with(defined: &BTreeMap<&str, Vec<&str>>, machine: &Node<'_>, flavor: &Node<'_>) -> bool {
    defined.iter().all(|(name, known)| {
        let (mine, theirs) = (texts(&machine.get(name)), texts(&flavor.get(name)));
        let has = |own: &[&str], value: &str| own.is_empty() || own.contains(&value);
        known.iter().any(|value| has(&mine, value) && has(&theirs, value))
    })
}

fn capable(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    let defined = defined(&offered.spec);
    for (pool, old) in pools(cx).into_iter().filter(|_| !defined.is_empty()) {
        let wrong = type_wrong(&offered, &pool, old.as_ref()).is_some() || image_wrong(cx, &offered, &pool, old.as_ref()).is_some();
        if wrong || !changed(&pool, old.as_ref(), &["machine/type", "machine/image"]) {
            continue;
        }
        let (name, version) = (pool.at("machine/image/name"), pool.at("machine/image/version"));
        let Some(machine) = offer::entry(&offered.spec.get("machineTypes"), pool.at("machine/type").str()) else { continue };
        let Some(image) = offer::entry(&offered.spec.get("machineImages"), name.str()) else { continue };
        let Some(entry) = image.get("versions").items().into_iter().find(|v| v.get("version").same(&version)) else { continue };
        let (flavors, own) = (entry.get("capabilityFlavors").items(), machine.get("capabilities"));
        if !flavors.is_empty() && !flavors.iter().any(|flavor| goes_with(&defined, &own, flavor)) {
            let text = format!("no flavor of machine image {} {} goes with machine type {}", name.shown(), version.shown(), machine.get("name").shown());
            out.invalid(&pool.at("machine/image"), text)
                .beside(&offered.owner, &entry, "the flavors")
                .beside(&offered.owner, &machine, "what the machine type can do")
                .help("choose another machine type or another image");
        }
    }
}

fn runtimes(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    for (pool, old) in pools(cx) {
        let wrong = type_wrong(&offered, &pool, old.as_ref()).is_some() || image_wrong(cx, &offered, &pool, old.as_ref()).is_some();
        if wrong || !changed(&pool, old.as_ref(), &["cri", "machine/image"]) {
            continue;
        }
        let (name, version) = (pool.at("machine/image/name"), pool.at("machine/image/version"));
        let Some(image) = offer::entry(&offered.spec.get("machineImages"), name.str()) else { continue };
        let Some(entry) = image.get("versions").items().into_iter().find(|v| v.get("version").same(&version)) else { continue };
        let wanted = pool.at("cri/name");
        let interfaces = entry.get("cri");
        let Some(cri) = offer::entry(&interfaces, wanted.str()) else {
            // A profile that says nothing of interfaces has the usual one.
            if wanted.is_set() && interfaces.is_set() {
                out.invalid(&wanted, format!("{} is not offered by machine image {} {}", wanted.shown(), name.shown(), version.shown()))
                    .help(format!("it offers {}", listed(names(&interfaces))));
            }
            continue;
        };
        let known: Vec<&str> = cri.get("containerRuntimes").items().iter().map(|r| r.get("type").str()).collect();
        for runtime in pool.at("cri/containerRuntimes").items() {
            let kind = runtime.get("type");
            if !known.contains(&kind.str()) {
                out.invalid(&kind, format!("container runtime {} is not offered by machine image {} {}", kind.shown(), name.shown(), version.shown()))
                    .help(format!("it offers {}", listed(&known)));
            }
        }
    }
}

fn volumes(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    let types = offered.spec.get("volumeTypes");
    for (pool, old) in pools(cx) {
        let machine = offer::entry(&offered.spec.get("machineTypes"), pool.at("machine/type").str());
        let storage = machine.as_ref().map_or_else(Node::absent, |m| m.get("storage"));
        let (kind, size) = (pool.at("volume/type"), pool.at("volume/size"));
        if !kind.is_set() {
            continue;
        }
        let small = storage.get("type").same(&kind) && at_least(out, &size, &storage.get("minSize"), "the machine type");
        let entry = offer::entry(&types, kind.str());
        if let Some(entry) = entry.as_ref().filter(|_| !small) {
            at_least(out, &size, &entry.get("minSize"), "the volume type");
        }
        if !changed(&pool, old.as_ref(), &["volume/type"]) {
            continue;
        }
        let Some(entry) = entry else {
            out.not_supported(&kind, format!("volume type {} is not offered by {}", kind.shown(), offered.owner))
                .help(format!("it offers {}", listed(names(&types))))
                .beside(&offered.owner, &types, "the volume types on offer");
            continue;
        };
        let missing = missing_in(offered.region.as_ref(), &pool, "unavailableVolumeTypes", kind.str());
        if entry.get("usable").flag() == Some(false) {
            out.invalid(&kind, format!("volume type {} is marked as not usable", kind.shown())).beside(&offered.owner, &entry, "here");
        } else if !missing.is_empty() {
            out.invalid(&kind, format!("volume type {} is not available in {}", kind.shown(), listed(missing)));
        }
    }
}

/// Whether a volume is too small, which is said.
fn at_least(out: &mut Out, size: &Node<'_>, least: &Node<'_>, who: &str) -> bool {
    let small = size.is_set() && syntax::compare(size, least) == Some(Ordering::Less);
    if small {
        out.invalid(size, format!("a volume of {} is too small", size.shown())).help(format!("{who} asks for at least {}", least.str()));
    }
    small
}

fn reserved(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    let types = offered.spec.get("machineTypes");
    let shared = cx.new.at("spec/kubernetes/kubelet");
    for (pool, _) in pools(cx) {
        let own = pool.at("kubernetes/kubelet");
        let Some(machine) = offer::entry(&types, pool.at("machine/type").str()).filter(|_| pool.get("kubernetes").is_set()) else { continue };
        let kubelet = if own.is_set() { &own } else { &shared };
        for what in ["cpu", "memory"] {
            let (node, capacity) = (kubelet.get("kubeReserved").get(what), machine.get(what));
            if matches!(syntax::compare(&node, &capacity), Some(Ordering::Greater | Ordering::Equal)) {
                let text = format!("{} of {what} is reserved, machines of type `{}` have {}", node.str(), machine.get("name").str(), capacity.str());
                out.invalid(&node, text).field(own.field()).help("reserve less");
            }
        }
    }
}

fn nodes(cx: &Cx<'_>, out: &mut Out) {
    let Some(offered) = offered(cx) else { return };
    let limit = offered.spec.at("limits/maxNodesTotal");
    let workers = cx.new.at("spec/provider/workers");
    let sum: i64 = workers.items().iter().filter_map(|p| p.get("minimum").int()).sum();
    if limit.int().is_some_and(|limit| sum > limit) {
        out.forbidden(&workers, format!("the pools have at least {sum} nodes together"))
            .help(format!("{} allows {}", offered.owner, limit.shown()))
            .beside(&offered.owner, &limit, "the limit");
    }
}

fn restrictions(cx: &Cx<'_>, out: &mut Out) {
    let Some(Offered { region, owner, .. }) = profile(cx) else { return };
    let wanted = cx.new.at("spec/accessRestrictions");
    if wanted.is_empty() || wanted.same(&cx.before("spec/accessRestrictions")) {
        return;
    }
    let Some(region) = region else {
        let node = cx.new.at("spec/region");
        out.invalid(&node, format!("region {} is unknown, and with it its access restrictions", node.shown()));
        return;
    };
    let offered = region.get("accessRestrictions");
    for restriction in wanted.items() {
        let name = restriction.get("name");
        if offer::entry(&offered, name.str()).is_none() {
            out.not_supported(&restriction, format!("access restriction {} is not offered in region `{}`", name.shown(), region.get("name").str()))
                .help(format!("{owner} offers {}", listed(names(&offered))));
        }
    }
}
