//! Networks of a shoot: address families, ranges, what may overlap with what, and room for pods.

use super::prelude::*;
use crate::admission::default::shoot::most_pods;
use crate::value::Cidr;

rules! {
    /// `spec.networking.ipFamilies` names `IPv4`, `IPv6` or both, each once (V-068).
    "SHOOT-NET-FAMILY", "an address family is unknown or repeated", Shoot, families;
    /// Nodes, pods and services are ranges in CIDR notation without host bits, of the shoot's address family (V-069, V-070, V-071).
    "SHOOT-NET-CIDR", "a network is not a range of addresses", Shoot, ranges;
    /// Nodes, pods and services of a shoot may not overlap (V-334).
    ///
    /// Routes go by destination: where two ranges share addresses, one side cannot be reached.
    "SHOOT-NET-OVERLAP", "networks overlap", Shoot, overlap as Plugin("ShootValidator");
    /// IPv6 ranges of a shoot may not overlap with those of its seed (V-336).
    ///
    /// The VPN between them maps IPv4 ranges away, so these may be equal; IPv6 addresses are used as they are.
    "SHOOT-NET-SEED", "a network overlaps with the seed's", Shoot, seed as Plugin("ShootValidator");
    /// Some ranges are taken by the VPN and by the mapping of addresses between seed and shoot (V-269):
    /// `240.0.0.0/8` to `244.0.0.0/8` and `fd8f:6d53:b97a:1::/96`. Without a seed it is a warning: the shoot will not get one.
    "SHOOT-NET-RESERVED", "a network lies in a reserved range", Shoot, reserved as Plugin("ShootValidator");
    /// The node mask is in range for its family and leaves every node enough addresses for its pods (V-105, V-106, V-107, V-108).
    "SHOOT-NET-MASK", "the node mask does not fit", Shoot, mask, six;
    /// A shoot with workers names its network type (V-066, V-067).
    "SHOOT-NET-TYPE", "the network type is missing or unusable", Shoot, kind;
}

const RANGES: [&str; 3] = ["nodes", "pods", "services"];
/// Ranges that nobody else may use (V-269).
pub(super) const RESERVED: [&str; 6] = ["240.0.0.0/8", "241.0.0.0/8", "242.0.0.0/8", "243.0.0.0/8", "244.0.0.0/8", "fd8f:6d53:b97a:1::/96"];

fn parsed<'a>(networking: &Node<'a>) -> Vec<(&'static str, Node<'a>, Cidr)> {
    let read = |what| Some((what, networking.get(what), networking.get(what).text()?.parse::<Cidr>().ok()?));
    RANGES.into_iter().filter_map(read).collect()
}

fn families(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = Vec::new();
    for family in cx.new.at("spec/networking/ipFamilies").items() {
        if !matches!(family.str(), "IPv4" | "IPv6") {
            out.not_supported(&family, format!("{} is no address family", family.shown())).help("use `IPv4`, `IPv6` or both");
        }
        if seen.contains(&family.str()) {
            out.duplicate(&family, format!("{} is listed twice", family.shown()));
        }
        seen.push(family.str());
    }
}

fn ranges(cx: &Cx<'_>, out: &mut Out) {
    let networking = cx.new.at("spec/networking");
    let families: Vec<&str> = networking.get("ipFamilies").items().iter().map(Node::str).collect();
    let twice = families.iter().enumerate().any(|(i, family)| families[..i].contains(family));
    // Without known families nobody can say which ranges are right.
    if twice || families.iter().any(|family| !matches!(*family, "IPv4" | "IPv6")) {
        return;
    }
    for what in RANGES {
        let node = networking.get(what);
        let Some(text) = node.text() else { continue };
        match text.parse::<Cidr>() {
            Err(_) => {
                out.invalid(&node, format!("`{text}` is no range of addresses"))
                    .help("write it as address/prefix, for example `10.96.0.0/16`");
            }
            Ok(net) if !net.is_canonical() => {
                out.invalid(&node, format!("`{text}` has bits set behind its prefix")).help(format!("write `{}`", net.canonical()));
            }
            Ok(net) => {
                let family = if net.is_ipv4() { "IPv4" } else { "IPv6" };
                let only = families.first().copied().unwrap_or("IPv4");
                if families.len() < 2 && only != family {
                    out.invalid(&node, format!("`{text}` is {family}, the shoot is {only}"))
                        .and(&networking.get("ipFamilies"), "the shoot's family");
                }
            }
        }
    }
}

fn overlap(cx: &Cx<'_>, out: &mut Out) {
    let found = parsed(&cx.new.at("spec/networking"));
    for (i, (later, node, b)) in found.iter().enumerate() {
        for (earlier, other, a) in &found[..i] {
            if a.overlaps(b) {
                out.invalid(node, format!("{later} `{b}` overlap with {earlier} `{a}`"))
                    .and(other, format!("{earlier} are here"))
                    .help(format!("choose a range for {later} that shares no address with the other networks of the shoot"));
            }
        }
    }
}

fn seed(cx: &Cx<'_>, out: &mut Out) {
    let name = cx.new.at("spec/seedName");
    let Some(name) = name.text().filter(|n| !n.is_empty()) else { return };
    let owner = Owner::cluster(Kind::Seed, name);
    let Some(seed) = cx.object(&owner).manifest() else { return };
    let theirs = parsed(&Node::root(seed).at("spec/networks"));
    for (what, node, net) in parsed(&cx.new.at("spec/networking")).iter().filter(|(_, _, n)| !n.is_ipv4()) {
        for (other, place, taken) in theirs.iter().filter(|(_, _, t)| t.overlaps(net)) {
            out.invalid(node, format!("{what} `{net}` overlap with the {other} `{taken}` of seed `{name}`")).beside(&owner, place, format!("the seed's {other}"));
        }
    }
}

fn reserved(cx: &Cx<'_>, out: &mut Out) {
    let placed = !cx.new.at("spec/seedName").is_empty();
    for (what, node, net) in parsed(&cx.new.at("spec/networking")) {
        let hit = RESERVED.into_iter().find(|r| r.parse().is_ok_and(|r: Cidr| r.overlaps(&net)));
        if let Some(range) = hit {
            let message = format!("{what} `{net}` share addresses with `{range}`, which is taken by the way between seed and shoot");
            let raised = if placed { out.invalid(&node, message) } else { out.warning(&node, message) };
            raised.help("no seed will take it: choose a private range, for example inside `10.0.0.0/8`");
        }
    }
}

/// The families of a shoot: IPv4 if it says nothing.
fn families_of<'a>(cx: &Cx<'a>) -> Vec<&'a str> {
    let families: Vec<&str> = cx.new.at("spec/networking/ipFamilies").items().iter().map(Node::str).collect();
    if families.is_empty() { vec!["IPv4"] } else { families }
}

fn mask(cx: &Cx<'_>, out: &mut Out) {
    let manager = cx.new.at("spec/kubernetes/kubeControllerManager");
    let size = manager.get("nodeCIDRMaskSize");
    let families = families_of(cx);
    let Some(mask) = size.int() else { return };
    let (low, high, bits) = match families[..] {
        ["IPv4"] => (16, 28, 32),
        ["IPv6"] => (64, 124, 128),
        _ => (i64::MIN, i64::MAX, 32),
    };
    let looked_at = !cx.new.at("spec/kubernetes/version").is_empty() && !cx.new.at("spec/provider/workers").is_empty();
    if looked_at && !(low..=high).contains(&mask) {
        out.invalid(&size, format!("a node mask of {mask} is out of range")).help(format!("from {low} to {high} is possible"));
        return;
    }
    let left = u32::try_from(bits - mask);
    let room = left.map_or(-1, |left| 2i64.checked_pow(left).map_or(i64::MAX, |n| n - 2));
    let pods = Some(cx.new.value().map_or(0, most_pods)).filter(|pods| *pods != 0).unwrap_or(110);
    if room < pods {
        out.invalid(&size, format!("a node mask of {mask} leaves {room} addresses for the {pods} pods that a node may run"))
            .help("choose a smaller mask, or lower maxPods of the kubelet");
    }
}

fn six(cx: &Cx<'_>, out: &mut Out) {
    let manager = cx.new.at("spec/kubernetes/kubeControllerManager");
    let (size, six) = (manager.get("nodeCIDRMaskSize"), manager.get("nodeCIDRMaskSizeIPv6"));
    let Some(mask) = six.int() else { return };
    if cx.new.at("spec/kubernetes/version").is_empty() || cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    let families = families_of(cx);
    // The older field may hold nothing but the default.
    let written = cx.written.at("spec/kubernetes/kubeControllerManager/nodeCIDRMaskSize").is_set();
    if families == ["IPv4"] {
        out.forbidden(&six, "a mask for IPv6 is set, but the shoot has IPv4 only").help("remove it, or add `IPv6` to the families");
    } else if families == ["IPv6"] && size.int().is_some_and(|s| s != 64 || written) {
        out.forbidden(&size, "both masks are set, but the shoot has one address family").help("keep one of them");
    }
    if families != ["IPv4"] && !(64..=124).contains(&mask) {
        out.invalid(&six, format!("a node mask of {mask} is out of range")).help("from 64 to 124 is possible");
    }
}

fn kind(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/networking/type");
    if cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    if node.is_empty() {
        out.required(&node, "the network type is missing").help("for example `type: calico` or `type: cilium`");
    } else if let Err(why) = syntax::label_key(&format!("networking.extensions.gardener.cloud/{}", node.str())) {
        out.invalid(&node, format!("{} is no network type: {why}", node.shown()));
    }
}
