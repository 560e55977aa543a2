//! Worker pools: names, machines, sizes, update parameters, labels, taints, zones, and a place for the system's own components.

use std::collections::{BTreeMap, BTreeSet};

use super::prelude::*;
use crate::admission::measure::percent;

rules! {
    /// A pool's name is a DNS label of at most 15 characters, and no two pools share one (V-130).
    "SHOOT-POOL-NAME", "a pool's name is not usable", Shoot, names;
    /// A pool has a machine type and a machine image, with its version (V-131, V-132).
    ///
    /// An image and its version may be left out where the cloud profile says what to take.
    "SHOOT-POOL-MACHINE", "a pool has no machine type or image", Shoot, machine;
    /// The smallest size of a pool is not above its largest, and neither is negative (V-133, V-134).
    "SHOOT-POOL-SIZE", "a pool's sizes do not go together", Shoot, sizes;
    /// How many machines an update may add and take away at a time (V-135, V-136, V-137, V-138).
    ///
    /// Both are numbers, or percentages such as `25%`. If both were zero, an update could never begin.
    "SHOOT-POOL-UPDATE", "a pool could not be updated", Shoot, update;
    /// Keys, values and effects of taints, and keys and values of labels, are those that Kubernetes accepts (V-139 … V-142).
    "SHOOT-POOL-TAINT", "a taint or label of a pool is not usable", Shoot, labels, taints;
    /// The update strategy, the container runtime interface and the architecture are known ones (V-149, V-151, V-157).
    ///
    /// Updates in place are behind a gate of the landscape.
    "SHOOT-POOL-STRATEGY", "a pool's strategy or runtime is unknown", Shoot, strategy;
    /// At least one pool may run the system's own components (V-160).
    "SHOOT-POOL-SYSTEM", "no pool may run system components", Shoot, system;
    /// A pool for system components can grow to one node in each of its zones (V-161).
    ///
    /// The system's components are spread over the zones; with fewer nodes than zones some of them would stay pending.
    "SHOOT-POOL-ZONES", "a system pool is smaller than its number of zones", Shoot, zones;
}

/// The longest name of a pool or volume.
pub(super) const NAME: usize = 15;
/// How much all annotations of an object may take.
const ANNOTATIONS: usize = 256 * 1024;
/// The taint that keeps pods away from a node until its own programs run.
const CRITICAL: &str = super::autoscaler::CRITICAL;

pub(super) fn pools<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    cx.new.at("spec/provider/workers").items()
}

fn names(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: Vec<Node<'_>> = Vec::new();
    for pool in pools(cx) {
        let node = pool.get("name");
        if let Err(why) = syntax::label(node.str()) {
            out.invalid(&node, format!("{} is no name for a pool: {why}", node.shown()));
        }
        if node.str().len() > NAME {
            out.too_long(&node, format!("the name {} has {} characters, at most {NAME} are possible", node.shown(), node.str().len()));
        }
        if let Some(first) = seen.iter().find(|s| s.str() == node.str()) {
            out.duplicate(&node, format!("two pools are called {}", node.shown())).and(first, "the first one");
        }
        seen.push(node);
    }
}

fn machine(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (machine, name) = (pool.get("machine"), pool.get("name").str());
        let (kind, image) = (machine.get("type"), machine.get("image"));
        if kind.is_empty() {
            out.required(&kind, format!("pool `{name}` has no machine type"));
        }
        if !image.is_set() {
            out.required(&image, format!("pool `{name}` has no machine image")).help("write `image: {name: …, version: …}`");
            continue;
        }
        for what in ["name", "version"] {
            if image.get(what).is_empty() {
                out.required(&image.get(what), format!("the {what} of the machine image of pool `{name}` is missing"));
            }
        }
    }
}

fn sizes(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (low, high) = (pool.get("minimum"), pool.get("maximum"));
        for node in [&low, &high] {
            if node.int().is_some_and(|n| n < 0) {
                out.invalid(node, format!("a pool cannot have {} nodes", node.shown()));
            }
        }
        let (least, most) = (low.int().unwrap_or(0), high.int().unwrap_or(0));
        if most < least {
            out.forbidden(&high, format!("pool `{}` may have at most {most} nodes, but at least {least}", pool.get("name").str()))
                .and(&low, "the minimum")
                .help(format!("raise `maximum` to {least} or more"));
        }
    }
}

/// Whether something is a number that is not negative, or a percentage.
fn is_amount(node: &Node<'_>) -> bool {
    node.int().map_or_else(|| !node.is_set() || percent(node.str()).is_some(), |number| number >= 0)
}

/// Whether something says that no machine may be added or taken away.
fn is_none(node: &Node<'_>) -> bool {
    let text = || percent(node.str()).unwrap_or_else(|| node.str().parse().unwrap_or(0));
    node.int().unwrap_or_else(text) == 0
}

fn update(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (surge, unavailable) = (pool.get("maxSurge"), pool.get("maxUnavailable"));
        let by_hand = pool.get("updateStrategy").str() == "ManualInPlaceUpdate";
        for node in [&surge, &unavailable] {
            if !is_amount(node) {
                out.invalid(node, format!("{} is neither a number nor a percentage", node.shown())).help("for example `1` or `25%`");
            } else if by_hand && node.is_set() {
                out.invalid(node, "a pool that is updated by hand takes no update parameters").help("remove it");
            }
        }
        if let Some(part) = percent(unavailable.str()).filter(|part| *part > 100) {
            out.invalid(&unavailable, format!("{part} % of a pool cannot be taken away")).help("at most `100%`");
        }
        // Where nothing is said, Gardener says something: here it does not matter what.
        let said = surge.is_set() || unavailable.is_set();
        if is_none(&surge) && is_none(&unavailable) && !by_hand && said {
            let name = pool.get("name").str();
            out.invalid(&unavailable, format!("pool `{name}` may neither gain nor lose a machine, so it could never be updated"))
                .and(&surge, "none may be added")
                .help("set `maxSurge` or `maxUnavailable` to at least 1");
        }
    }
}

fn labels(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (labels, annotations) = (pool.get("labels"), pool.get("annotations"));
        for (key, node) in labels.entries() {
            if let Err(why) = syntax::label_key(key) {
                out.invalid(&node, format!("`{key}` is no label key: {why}")).on_key().field(labels.field());
            }
            if let Err(why) = syntax::label_value(node.str()) {
                out.invalid(&node, format!("{} is no label value: {why}", node.shown())).field(labels.field());
            }
        }
        for (key, node) in annotations.entries() {
            // Unlike those of labels, their case does not matter.
            if let Err(why) = syntax::label_key(&key.to_lowercase()) {
                out.invalid(&node, format!("`{key}` is no annotation key: {why}")).on_key().field(annotations.field());
            }
        }
        let size: usize = annotations.entries().iter().map(|(key, node)| key.len() + node.str().len()).sum();
        if size > ANNOTATIONS {
            out.too_long(&annotations, format!("the annotations have {size} bytes, at most {ANNOTATIONS} are possible"));
        }
    }
}

fn taints(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for taint in pool.get("taints").items() {
            let (key, value, effect) = (taint.get("key"), taint.get("value"), taint.get("effect"));
            if let Err(why) = syntax::label_key(key.str()) {
                out.invalid(&key, format!("{} is no taint key: {why}", key.shown()));
            }
            if key.str() == CRITICAL {
                out.forbidden(&key, format!("the taint `{CRITICAL}` is set by the machinery")).help("remove it");
            }
            if let Err(why) = syntax::label_value(value.str()) {
                out.invalid(&value, format!("{} is no taint value: {why}", value.shown()));
            }
            let effects = "use `NoSchedule`, `PreferNoSchedule` or `NoExecute`";
            if effect.is_empty() {
                out.required(&effect, "the effect of the taint is missing").help(effects);
            } else if !matches!(effect.str(), "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
                out.not_supported(&effect, format!("{} is no taint effect", effect.shown())).help(effects);
            }
            if seen.contains(&(key.str(), effect.str())) {
                out.duplicate(&taint, format!("the taint `{}:{}` is listed twice", key.str(), effect.str()));
            }
            seen.push((key.str(), effect.str()));
        }
    }
}

fn strategy(cx: &Cx<'_>, out: &mut Out) {
    let allowed: [(&str, &[&str]); 3] = [
        ("updateStrategy", &["AutoRollingUpdate", "AutoInPlaceUpdate", "ManualInPlaceUpdate"]),
        ("cri/name", &["containerd"]),
        ("machine/architecture", &["amd64", "arm64"]),
    ];
    let before = cx.before("spec/provider/workers").items();
    let written = cx.written.at("spec/provider/workers").items();
    for (index, pool) in pools(cx).iter().enumerate() {
        // A runtime is chosen only where the whole section is missing.
        let cri = written.get(index).map_or_else(Node::absent, |pool| pool.get("cri"));
        let no_runtime = cri.is_set() && !cri.get("name").is_set();
        for (path, values) in allowed {
            let node = pool.at(path);
            let missing = no_runtime && path == "cri/name";
            if missing || (node.is_set() && !values.contains(&node.str())) {
                let given = if missing { "nothing".to_owned() } else { node.shown() };
                out.not_supported(&node, format!("{given} is not known as {}", node.field())).help(format!("possible is {}", listed(values)));
            }
        }
        let node = pool.get("updateStrategy");
        let new = !before.iter().any(|b| b.get("name").same(&pool.get("name")));
        if new && in_place(pool) && !cx.gate("InPlaceNodeUpdates") {
            out.invalid(&node, format!("the strategy {} is behind the gate InPlaceNodeUpdates, which is off", node.shown()))
                .help("use `AutoRollingUpdate`");
        }
    }
}

/// Whether the machines of a pool are updated where they are.
pub(super) fn in_place(pool: &Node<'_>) -> bool {
    matches!(pool.get("updateStrategy").str(), "AutoInPlaceUpdate" | "ManualInPlaceUpdate")
}

/// Whether the system's own components may run in a pool.
pub(super) fn may_run_system(pool: &Node<'_>) -> bool {
    let section = pool.get("systemComponents");
    !section.is_set() || section.get("allow").flag() == Some(true)
}

fn most(pool: &Node<'_>) -> i64 {
    pool.get("maximum").int().unwrap_or(0)
}

fn system(cx: &Cx<'_>, out: &mut Out) {
    let workers = cx.new.at("spec/provider/workers");
    let found = workers.items().iter().any(|pool| may_run_system(pool) && most(pool) != 0);
    if !workers.is_empty() && !found {
        out.forbidden(&workers, "no pool may run the system's own components")
            .help("let one pool with `maximum` above 0 have `systemComponents: {allow: true}`");
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let all: Vec<Node<'_>> = pools(cx).into_iter().filter(|pool| may_run_system(pool) && most(pool) != 0).collect();
    let enough = |pool: &Node<'_>| most(pool) >= i64::try_from(pool.get("zones").items().len()).unwrap_or(i64::MAX);
    // Pools in the same zones stand in for each other.
    let mut groups: BTreeMap<BTreeSet<&str>, Vec<&Node<'_>>> = BTreeMap::new();
    for pool in &all {
        groups.entry(pool.get("zones").items().iter().map(Node::str).collect()).or_default().push(pool);
    }
    for pools in groups.values().filter(|pools| !pools.iter().any(|pool| enough(pool))) {
        let Some(pool) = pools.last() else { continue };
        let (name, count) = (pool.get("name").str(), pool.get("zones").items().len());
        out.forbidden(&pool.get("maximum"), format!("pool `{name}` has {count} zones, but may have only {} nodes", most(pool)))
            .and(&pool.get("zones"), "the zones")
            .help(format!("raise `maximum` to {count}, or keep system components away with `systemComponents: {{allow: false}}`"));
    }
}
