//! Seeds: provider, networks, DNS, ingress, backup and settings.

use super::networks::RESERVED;
use super::prelude::*;
use crate::value::Cidr;

rules! {
    /// A seed names its provider and region, and each of its zones once (V-264, V-265).
    "SEED-PROVIDER", "provider or region of a seed is missing", Seed, provider;
    /// Networks of a seed are ranges of addresses, and pods and services are there (V-266, V-268).
    "SEED-NET-CIDR", "a network of a seed is not a range of addresses", Seed, ranges;
    /// Networks of a seed do not overlap with each other (V-267).
    "SEED-NET-OVERLAP", "networks of a seed overlap", Seed, overlap;
    /// Networks of a seed do not lie in reserved ranges (V-269).
    "SEED-NET-RESERVED", "a network of a seed lies in a reserved range", Seed, reserved;
    /// Taints of a seed have keys and are listed once (V-270).
    "SEED-TAINT", "a taint of a seed is not usable", Seed, taints;
    /// A seed with an ingress names its domain, the controller kind `nginx` and a DNS provider (V-277, V-278).
    "SEED-INGRESS", "the ingress of a seed is incomplete", Seed, ingress;
    /// A seed has an internal domain and credentials for it; default domains are unique (V-279, V-280).
    "SEED-DNS", "the DNS settings of a seed are incomplete", Seed, dns;
    /// The backup of a seed names a provider and credentials, and a region where the provider is another one (V-281).
    "SEED-BACKUP", "the backup of a seed is incomplete", Seed, backup;
    /// Settings for zones need at least two zones (V-274, V-275, V-276).
    "SEED-ZONES", "a setting of a seed needs more zones", Seed, zones;
}

fn provider(cx: &Cx<'_>, out: &mut Out) {
    for path in ["spec/provider/type", "spec/provider/region"] {
        let node = cx.new.at(path);
        if node.is_empty() {
            out.required(&node, format!("`{}` is missing", node.field()));
        }
    }
    let mut seen = Vec::new();
    for zone in cx.new.at("spec/provider/zones").items() {
        if seen.contains(&zone.str()) {
            out.duplicate(&zone, format!("zone {} is listed twice", zone.shown()));
        }
        seen.push(zone.str());
    }
}

const RANGES: [&str; 5] = ["nodes", "pods", "services", "shootDefaults/pods", "shootDefaults/services"];

fn nets<'a>(cx: &Cx<'a>) -> Vec<(&'static str, Node<'a>, Cidr)> {
    let networks = cx.new.at("spec/networks");
    RANGES.into_iter().filter_map(|what| Some((what, networks.at(what), networks.at(what).text()?.parse().ok()?))).collect()
}

fn ranges(cx: &Cx<'_>, out: &mut Out) {
    let networks = cx.new.at("spec/networks");
    let families = networks.get("ipFamilies").items();
    for what in RANGES {
        let node = networks.at(what);
        let Some(text) = node.text() else {
            if matches!(what, "pods" | "services") {
                out.required(&node, format!("the {what} network of the seed is missing"));
            }
            continue;
        };
        match text.parse::<Cidr>() {
            Err(_) => {
                out.invalid(&node, format!("`{text}` is no range of addresses")).help("write it as address/prefix, for example `10.0.0.0/16`");
            }
            Ok(net) if families.len() == 1 && (families[0].str() == "IPv6") == net.is_ipv4() => {
                out.invalid(&node, format!("`{text}` is not {}, as the seed is", families[0].str()));
            }
            Ok(net) if what == "services" && net.is_ipv4() && net.prefix() < 8 => {
                out.invalid(&node, format!("`{text}` is too large for services")).help("a prefix of at least /8");
            }
            Ok(_) => {}
        }
    }
}

fn overlap(cx: &Cx<'_>, out: &mut Out) {
    let found = nets(cx);
    for (i, (later, node, b)) in found.iter().enumerate() {
        for (earlier, other, a) in &found[..i] {
            let defaults = |what: &str| what.starts_with("shootDefaults");
            // IPv4 ranges of shoots and seed may be equal: the way between them maps addresses.
            let mapped = defaults(later) != defaults(earlier) && b.is_ipv4();
            if !mapped && a.overlaps(b) {
                out.invalid(node, format!("{later} `{b}` overlap with {earlier} `{a}`")).and(other, format!("{earlier} are here"));
            }
        }
    }
}

fn reserved(cx: &Cx<'_>, out: &mut Out) {
    for (what, node, net) in nets(cx) {
        if let Some(range) = RESERVED.into_iter().find(|r| r.parse().is_ok_and(|r: Cidr| r.overlaps(&net))) {
            out.invalid(&node, format!("{what} `{net}` share addresses with `{range}`, which is taken by the way between seed and shoot"));
        }
    }
}

fn taints(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for taint in cx.new.at("spec/taints").items() {
        let (key, value) = (taint.get("key"), taint.get("value"));
        if key.is_empty() {
            out.required(&key, "a taint has no key");
        } else if seen.contains(&(key.str(), value.str())) {
            out.duplicate(&taint, format!("the taint {} is listed twice", key.shown()));
        }
        seen.push((key.str(), value.str()));
    }
}

fn needs(out: &mut Out, node: &Node<'_>, keys: &[&str]) {
    for key in keys {
        let field = node.at(key);
        if field.is_empty() {
            out.required(&field, format!("`{}` is missing", field.field()));
        }
    }
}

fn ingress(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/ingress");
    needs(out, &node, &["domain", "controller/kind"]);
    let domain = node.get("domain");
    if !domain.is_empty()
        && let Err(why) = syntax::subdomain(domain.str())
    {
        out.invalid(&domain, format!("{} is no domain: {why}", domain.shown()));
    }
    let kind = node.at("controller/kind");
    if !kind.is_empty() && kind.str() != "nginx" {
        out.not_supported(&kind, format!("{} is no ingress controller", kind.shown())).help("use `nginx`");
    }
    needs(out, &cx.new.at("spec/dns/provider"), &["type", "credentialsRef"]);
}

fn dns(cx: &Cx<'_>, out: &mut Out) {
    needs(out, &cx.new.at("spec/dns/internal"), &["domain", "type", "credentialsRef"]);
    let mut seen = Vec::new();
    for default in cx.new.at("spec/dns/defaults").items() {
        needs(out, &default, &["domain", "type", "credentialsRef"]);
        let domain = default.get("domain");
        if seen.contains(&domain.str()) {
            out.duplicate(&domain, format!("the domain {} is listed twice", domain.shown()));
        }
        seen.push(domain.str());
    }
}

fn backup(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/backup");
    if !node.is_set() {
        return;
    }
    needs(out, &node, &["provider", "credentialsRef"]);
    if !node.get("provider").same(&cx.new.at("spec/provider/type")) {
        needs(out, &node, &["region"]);
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let zones: Vec<&str> = cx.new.at("spec/provider/zones").items().iter().map(Node::str).collect();
    let settings = cx.new.at("spec/settings");
    let topology = settings.at("topologyAwareRouting/enabled");
    if topology.flag() == Some(true) && zones.len() < 2 {
        out.invalid(&topology, "routing by topology needs at least two zones");
    }
    let selection = settings.at("zoneSelection/mode");
    if selection.is_set() && zones.is_empty() {
        out.forbidden(&selection, "a choice of zones needs zones").help("name them under `spec.provider.zones`");
    } else if selection.is_set() && !matches!(selection.str(), "Prefer" | "Enforce") {
        out.not_supported(&selection, format!("{} is no mode", selection.shown())).help("use `Prefer` or `Enforce`");
    }
    for zone in settings.at("loadBalancerServices/zones").items() {
        let name = zone.get("name");
        if zones.len() < 2 {
            out.forbidden(&name, "load balancers by zone need at least two zones");
        } else if !zones.contains(&name.str()) {
            out.not_found(&name, format!("the seed has no zone {}", name.shown())).help(format!("it has {}", listed(&zones)));
        }
    }
}
