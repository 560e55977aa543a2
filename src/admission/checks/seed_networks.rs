//! Networks of seeds: address families, ranges, and what may overlap with what.
//!
//! Each step is only looked at where the one before is right: what is no range overlaps with nothing.

use super::networks::RESERVED;
use super::prelude::*;
use super::seeds::spec_of;
use crate::value::Cidr;

rules! {
    /// A seed's address families are `IPv4`, `IPv6` or both, each once.
    "SEED-NET-FAMILY", "an address family of a seed is unknown or repeated", Seed | ManagedSeed, families;
    /// Networks of a seed are ranges of addresses of its family, and pods and services are there (V-266, V-268).
    "SEED-NET-CIDR", "a network of a seed is not a range of addresses", Seed | ManagedSeed, ranges;
    /// Networks of a seed do not overlap with each other, nor the ranges that it gives to shoots among themselves (V-267).
    "SEED-NET-OVERLAP", "networks of a seed overlap", Seed | ManagedSeed, overlap;
    /// Networks of a seed do not lie in reserved ranges (V-269).
    "SEED-NET-RESERVED", "a network of a seed lies in a reserved range", Seed | ManagedSeed, reserved;
}

const OWN: [&str; 3] = ["pods", "services", "nodes"];
const OF_SHOOTS: [&str; 2] = ["shootDefaults/pods", "shootDefaults/services"];

fn networks<'a>(cx: &Cx<'a>) -> Option<(Node<'a>, bool)> {
    spec_of(&cx.new).map(|(spec, template)| (spec.get("networks"), template))
}

fn families(cx: &Cx<'_>, out: &mut Out) {
    let Some((networks, _)) = networks(cx) else { return };
    let families = networks.get("ipFamilies").items();
    for (i, family) in families.iter().enumerate() {
        if !matches!(family.str(), "IPv4" | "IPv6") {
            out.not_supported(family, format!("{} is no address family", family.shown())).help("use `IPv4`, `IPv6` or both");
        }
        if families[..i].iter().any(|f| f.str() == family.str()) {
            out.duplicate(family, format!("{} is listed twice", family.shown()));
        }
    }
}

/// The address families; none if they cannot be understood.
fn known_families<'a>(networks: &Node<'a>) -> Option<Vec<&'a str>> {
    let families: Vec<&str> = networks.get("ipFamilies").items().iter().map(Node::str).collect();
    let known = families.iter().all(|f| matches!(*f, "IPv4" | "IPv6"));
    let repeated = families.len() > 1 && families[0] == families[families.len() - 1];
    (known && !repeated && families.len() <= 2).then_some(families)
}

/// Names of the ranges that are to be there or are there.
fn expected(networks: &Node<'_>, template: bool) -> Vec<&'static str> {
    let looked_at = |what: &&str| match *what {
        "pods" | "services" => !template || !networks.at(what).is_empty(),
        _ => networks.at(what).is_set(),
    };
    OWN.into_iter().chain(OF_SHOOTS).filter(looked_at).collect()
}

/// What is wrong with one range.
fn wrong(what: &str, text: &str, families: &[&str]) -> Option<(String, &'static str)> {
    let Ok(net) = text.parse::<Cidr>() else {
        return Some((format!("`{text}` is no range of addresses"), "write it as address/prefix, for example `10.0.0.0/16`"));
    };
    let family = families.first().copied().unwrap_or("IPv4");
    if families.len() < 2 && (family == "IPv6") == net.is_ipv4() {
        return Some((format!("`{text}` is not {family}, as the seed is"), "all ranges are of the seed's address family"));
    }
    let large = what == "services" && net.is_ipv4() && net.prefix() < 8;
    large.then(|| (format!("`{text}` is too large for services"), "a prefix of at least /8"))
}

fn ranges(cx: &Cx<'_>, out: &mut Out) {
    let Some((networks, template)) = networks(cx) else { return };
    let Some(families) = known_families(&networks) else { return };
    for what in expected(&networks, template) {
        let node = networks.at(what);
        if let Some((message, help)) = wrong(what, node.str(), &families) {
            out.invalid(&node, if node.is_empty() { format!("the {what} network of the seed is missing") } else { message }).help(help);
        }
    }
}

/// The ranges, if all of them are right.
fn nets<'a>(cx: &Cx<'a>) -> Vec<(&'static str, Node<'a>, Cidr)> {
    let Some((networks, template)) = networks(cx) else { return Vec::new() };
    let Some(families) = known_families(&networks) else { return Vec::new() };
    let expected = expected(&networks, template);
    if expected.iter().any(|what| wrong(what, networks.at(what).str(), &families).is_some()) {
        return Vec::new();
    }
    expected.into_iter().filter_map(|what| Some((what, networks.at(what), networks.at(what).text()?.parse().ok()?))).collect()
}

fn overlap(cx: &Cx<'_>, out: &mut Out) {
    let found = nets(cx);
    for (i, (later, node, b)) in found.iter().enumerate() {
        for (earlier, other, a) in &found[..i] {
            // IPv4 ranges of shoots and seed may be equal: the way between them maps addresses.
            let mapped = OF_SHOOTS.contains(later) != OF_SHOOTS.contains(earlier) && b.is_ipv4();
            if !mapped && a.overlaps(b) {
                out.invalid(node, format!("{later} `{b}` overlap with {earlier} `{a}`")).and(other, format!("{earlier} are here"));
            }
        }
    }
}

fn reserved(cx: &Cx<'_>, out: &mut Out) {
    for (what, node, net) in nets(cx) {
        if let Some(range) = RESERVED.into_iter().find(|r| r.parse().is_ok_and(|r: Cidr| r.overlaps(&net))) {
            out.invalid(&node, format!("{what} `{net}` share addresses with `{range}`, which is taken by the way between seed and shoot"))
                .help("choose a private range, for example inside `10.0.0.0/8`");
        }
    }
}
