//! Settings of seeds: reserved capacity, load balancers, zones and the vertical pod autoscaler.

use super::prelude::*;
use super::seeds::spec_of;
use crate::admission::parts::{self, child};
use crate::admission::shared::missing;

rules! {
    /// Capacity that is kept free is an amount of something, with tolerations that Kubernetes accepts (V-272).
    "SEED-RESERVATION", "capacity kept free is not described well", Seed | ManagedSeed, reservation;
    /// Load balancers of a seed have usable annotations, a usable class and a known traffic policy (V-273, V-274).
    "SEED-LOADBALANCER", "settings of load balancers are not usable", Seed | ManagedSeed, load_balancers;
    /// Settings for zones need zones: of one zone there is no choice (V-274, V-275, V-276).
    "SEED-ZONES", "a setting of a seed needs more zones", Seed | ManagedSeed, zones;
    /// The vertical pod autoscaler recommends CPU and memory, and knows few feature gates.
    "SEED-VPA", "settings of the vertical pod autoscaler are not usable", Seed | ManagedSeed, autoscaler;
}

/// Feature gates of the vertical pod autoscaler.
const VPA_GATES: [&str; 3] = ["CPUStartupBoost", "InPlace", "PerVPAConfig"];

fn settings<'a>(cx: &Cx<'a>) -> Option<(Node<'a>, Vec<&'a str>)> {
    let (spec, _) = spec_of(&cx.new)?;
    let zones = spec.at("provider/zones").items().iter().map(Node::str).collect();
    Some((spec.get("settings"), zones))
}

fn reservation(cx: &Cx<'_>, out: &mut Out) {
    let Some((settings, _)) = settings(cx) else { return };
    for config in settings.at("excessCapacityReservation/configs").items() {
        let resources = config.get("resources");
        missing(out, &resources);
        for (resource, amount) in resources.entries() {
            parts::amount(out, resource, &amount, &child(&resources.field(), resource));
        }
        parts::tolerations(out, &config.get("tolerations"));
    }
}

fn traffic_policy(out: &mut Out, balancer: &Node<'_>) {
    let policy = balancer.get("externalTrafficPolicy");
    if policy.is_set() && !matches!(policy.str(), "Cluster" | "Local") {
        out.not_supported(&policy, format!("{} is no traffic policy", policy.shown())).help("use `Cluster` or `Local`");
    }
}

fn load_balancers(cx: &Cx<'_>, out: &mut Out) {
    let Some((settings, _)) = settings(cx) else { return };
    let services = settings.get("loadBalancerServices");
    let class = services.get("class");
    if class.is_set()
        && let Err(why) = syntax::label_key(class.str())
    {
        out.invalid(&class, format!("{} is no class of load balancers: {why}", class.shown()));
    }
    for balancer in std::iter::once(services.clone()).chain(services.get("zones").items()) {
        parts::annotations(out, &balancer.get("annotations"));
        traffic_policy(out, &balancer);
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let Some((settings, zones)) = settings(cx) else { return };
    let topology = settings.at("topologyAwareRouting/enabled");
    if topology.flag() == Some(true) && zones.len() < 2 {
        out.forbidden(&topology, "routing by topology needs at least two zones").help("name them under `spec.provider.zones`");
    }
    let selection = settings.get("zoneSelection");
    if selection.is_set() && zones.is_empty() {
        out.forbidden(&selection, "a choice of zones needs zones").help("name them under `spec.provider.zones`");
    }
    let mode = selection.get("mode");
    if selection.is_set() && !matches!(mode.str(), "Prefer" | "Enforce") {
        out.not_supported(&mode, format!("{} is no mode", mode.shown())).help("use `Prefer` or `Enforce`");
    }
    let balanced = settings.at("loadBalancerServices/zones");
    if zones.len() < 2 && !balanced.is_empty() {
        out.forbidden(&balanced, "load balancers by zone need at least two zones").help("name them under `spec.provider.zones`");
    }
    let mut seen = Vec::new();
    for zone in balanced.items() {
        let name = zone.get("name");
        if !zones.contains(&name.str()) {
            out.not_found(&name, format!("the seed has no zone {}", name.shown())).help(format!("it has {}", listed(&zones)));
        }
        if seen.contains(&name.str()) {
            out.duplicate(&name, format!("zone {} is listed twice", name.shown()));
        }
        seen.push(name.str());
    }
}

fn autoscaler(cx: &Cx<'_>, out: &mut Out) {
    let Some((settings, _)) = settings(cx) else { return };
    let autoscaler = settings.get("verticalPodAutoscaler");
    let gates = autoscaler.get("featureGates");
    // One is enough to say so.
    if let Some((gate, node)) = gates.entries().into_iter().find(|(gate, _)| !VPA_GATES.contains(gate)) {
        out.invalid(&node, format!("`{gate}` is no feature gate of the vertical pod autoscaler"))
            .on_key()
            .field(child(&gates.field(), gate))
            .help(format!("it has {}", listed(VPA_GATES)));
    }
    let most = autoscaler.get("maxAllowed");
    for (resource, amount) in most.entries() {
        let field = child(&most.field(), resource);
        if !matches!(resource, "cpu" | "memory") {
            out.not_supported(&amount, format!("`{resource}` is not recommended")).on_key().field(field.clone()).help("use `cpu` or `memory`");
        }
        parts::amount(out, resource, &amount, &field);
    }
}
