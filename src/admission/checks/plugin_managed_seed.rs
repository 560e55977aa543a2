//! Managed seeds and their shoots: the seed is what the shoot is.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::admission::default::placed;

rules! {
    /// Managed seeds are in the project `garden` (V-318, V-378).
    "MANAGEDSEED-PROJECT", "a managed seed is in the wrong project", ManagedSeed, project as Plugin("ManagedSeed");
    /// A shoot that becomes a seed has a domain, autoscales its pods vertically, and does without the ingress addon (V-378).
    "MANAGEDSEED-SHOOT-UNFIT", "a shoot cannot be a seed as it is", ManagedSeed, unfit as Plugin("ManagedSeed");
    /// A shoot is at most one seed (V-378).
    "MANAGEDSEED-TWICE", "a shoot is a seed already", ManagedSeed, twice as Plugin("ManagedSeed");
    /// Networks, provider, region and ingress domain of the seed are those of the shoot, and the seed leaves vertical autoscaling
    /// to the shoot (V-378).
    ///
    /// What is left out is taken from the shoot.
    "MANAGEDSEED-DIFFERS", "the seed is not what its shoot is", ManagedSeed, same as Plugin("ManagedSeed");
    /// The zones of the seed are among those of its shoot's pools, and stay for as long as the seed has shoots (V-378).
    "MANAGEDSEED-ZONE", "a zone of the seed cannot be used, or removed", ManagedSeed, zones as Plugin("ManagedSeed");
}

const SEED: &str = "spec/gardenlet/config/seedConfig/spec";

/// The shoot that is the seed.
fn shoot<'a>(cx: &Cx<'a>) -> Option<(Owner, Node<'a>)> {
    let owner = Owner::project(Kind::Shoot, &cx.owner.project, cx.new.at("spec/shoot/name").str());
    let manifest = cx.object(&owner).manifest()?;
    Some((owner, Node::root(manifest)))
}

fn project(cx: &Cx<'_>, out: &mut Out) {
    let namespace = cx.namespace();
    if namespace != "garden" {
        out.invalid(&cx.new.at("metadata/namespace"), format!("a managed seed is in namespace `garden`, not in `{namespace}`"))
            .help("move it to projects/garden/");
    }
}

fn unfit(cx: &Cx<'_>, out: &mut Out) {
    let name = cx.new.at("spec/shoot/name");
    let Some((owner, shoot)) = shoot(cx) else { return };
    let mut refuse = |why: &str, help: &str, node: &Node<'_>| {
        out.invalid(&name, format!("{owner} cannot be a seed: {why}")).beside(&owner, node, "here").help(help);
    };
    let domain = shoot.at("spec/dns/domain");
    // A shoot that is not on a seed yet gets its domain with it.
    let later = || !placed::default_domains(cx, shoot.at("spec/seedName").str()).is_empty();
    if domain.is_empty() && !later() {
        refuse("it has no domain", "give it one with `spec.dns.domain`", &domain);
    }
    let ingress = shoot.at("spec/addons/nginxIngress/enabled");
    if ingress.flag() == Some(true) {
        refuse("it has the ingress addon", "switch the addon off: the seed has an ingress of its own", &ingress);
    }
    let vertical = shoot.at("spec/kubernetes/verticalPodAutoscaler/enabled");
    if vertical.flag() != Some(true) && !shoot.at("spec/provider/workers").is_empty() {
        refuse("it does not autoscale its pods vertically", "set `spec.kubernetes.verticalPodAutoscaler.enabled: true`", &vertical);
    }
}

fn twice(cx: &Cx<'_>, out: &mut Out) {
    let name = cx.new.at("spec/shoot/name");
    let of = |manifest| Node::root(manifest).at("spec/shoot/name").same(&name);
    let other = cx.others(Kind::ManagedSeed).find(|(owner, manifest)| owner.project == cx.owner.project && of(*manifest));
    if let Some((other, _)) = other.filter(|_| !name.is_empty()) {
        out.invalid(&name, format!("the shoot {} is {other} already", name.shown())).help("name another shoot, or remove one of the two");
    }
}

fn same(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, shoot)) = shoot(cx) else { return };
    let seed = cx.new.at(SEED);
    let pairs = [
        ("networks/nodes", "spec/networking/nodes"),
        ("networks/pods", "spec/networking/pods"),
        ("networks/services", "spec/networking/services"),
        ("provider/type", "spec/provider/type"),
        ("provider/region", "spec/region"),
    ];
    for (path, from) in pairs {
        let (mine, theirs) = (seed.at(path), shoot.at(from));
        if !mine.is_empty() && !theirs.is_empty() && !mine.same(&theirs) {
            out.invalid(&mine, format!("`{}` of the seed is {}, that of {owner} {}", path.replace('/', "."), mine.shown(), theirs.shown()))
                .beside(&owner, &theirs, "the shoot's")
                .help("leave it out: it is taken from the shoot");
        }
    }
    let (ingress, domain) = (seed.at("ingress/domain"), shoot.at("spec/dns/domain"));
    if !ingress.is_empty() && !domain.is_empty() && ingress.str() != format!("ingress.{}", domain.str()) {
        out.invalid(&ingress, format!("the ingress domain of the seed is {}, and {owner} has {}", ingress.shown(), domain.shown()))
            .beside(&owner, &domain, "the shoot's domain")
            .help(format!("leave it out, or write `ingress.{}`", domain.str()));
    }
    let vertical = seed.at("settings/verticalPodAutoscaler/enabled");
    if vertical.flag() == Some(true) {
        out.invalid(&vertical, "the seed would autoscale pods vertically, which its shoot does").help("set `enabled: false`");
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, shoot)) = shoot(cx) else { return };
    let path = format!("{SEED}/provider/zones");
    let (node, before) = (cx.new.at(&path), cx.before(&path).items());
    let pools = shoot.at("spec/provider/workers").items();
    let offered: BTreeSet<&str> = pools.iter().flat_map(|pool| pool.get("zones").items()).map(|zone| zone.str()).collect();
    let wanted = node.items();
    let new: Vec<&str> = wanted.iter().filter(|zone| !before.iter().any(|b| b.same(zone))).map(Node::str).collect();
    let unknown: Vec<&str> = new.into_iter().filter(|zone| !offered.contains(zone)).collect();
    if !unknown.is_empty() {
        out.invalid(&node, format!("no pool of {owner} is in {}", listed(unknown))).help(format!("its pools are in {}", listed(&offered)));
    }
    let gone: Vec<&str> = before.iter().filter(|zone| !wanted.iter().any(|w| w.same(zone))).map(Node::str).collect();
    let on = |manifest| Node::root(manifest).at("spec/seedName").str() == cx.owner.name;
    if !gone.is_empty()
        && let Some((user, _)) = cx.others(Kind::Shoot).find(|(_, manifest)| on(*manifest))
    {
        out.forbidden(&node, format!("{} cannot be removed: {user} is on the seed", listed(gone))).help("put it back, or move the shoots first");
    }
}
