//! Worker pools: names, sizes, update parameters, volumes, taints, zones, and a place for the system's own components.

use super::prelude::*;

rules! {
    /// A pool's name is a DNS label of at most 15 characters, and no two pools share one (V-130).
    "SHOOT-POOL-NAME", "a pool's name is not usable", Shoot, names;
    /// A pool has a machine type (V-131).
    "SHOOT-POOL-MACHINE", "a pool has no machine type", Shoot, machine;
    /// The smallest size of a pool is not above its largest, and neither is negative (V-133, V-134).
    "SHOOT-POOL-SIZE", "a pool's sizes do not go together", Shoot, sizes;
    /// How many machines an update may add and take away at a time (V-135, V-136, V-137, V-138).
    ///
    /// Both are numbers, or percentages such as `25%`. If both were zero, an update could never begin.
    "SHOOT-POOL-UPDATE", "a pool could not be updated", Shoot, update;
    /// Keys, values and effects of taints, and keys and values of labels, are those that Kubernetes accepts (V-139 … V-142).
    "SHOOT-POOL-TAINT", "a taint or label of a pool is not usable", Shoot, taints;
    /// Sizes of volumes are whole GiB, and names of data volumes are unique DNS labels (V-145 … V-148).
    "SHOOT-POOL-VOLUME", "a volume of a pool is not usable", Shoot, volumes;
    /// The update strategy and the container runtime interface are known ones (V-149, V-151, V-157).
    "SHOOT-POOL-STRATEGY", "a pool's strategy or runtime is unknown", Shoot, strategy;
    /// At least one pool may run the system's own components (V-160).
    "SHOOT-POOL-SYSTEM", "no pool may run system components", Shoot, system;
    /// A pool for system components can grow to one node in each of its zones (V-161).
    ///
    /// The system's components are spread over the zones; with fewer nodes than zones some of them would stay pending.
    "SHOOT-POOL-ZONES", "a system pool is smaller than its number of zones", Shoot, zones;
    /// Values of the kubelet are in range (V-163, V-164, V-168, V-169, V-171, V-173, V-174).
    "SHOOT-KUBELET", "a kubelet setting is out of range", Shoot, kubelet;
}

const NAME: usize = 15;
/// The taint that keeps pods away from a node until its own programs run.
const CRITICAL: &str = "node.gardener.cloud/critical-components-not-ready";

fn pools<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    cx.new.at("spec/provider/workers").items()
}

fn names(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: Vec<Node<'_>> = Vec::new();
    for pool in pools(cx) {
        let node = pool.get("name");
        if let Err(why) = syntax::label(node.str()) {
            out.invalid(&node, format!("{} is no name for a pool: {why}", node.shown()));
        } else if node.str().len() > NAME {
            out.too_long(&node, format!("the name {} has {} characters, at most {NAME} are possible", node.shown(), node.str().len()));
        }
        if let Some(first) = seen.iter().find(|s| s.same(&node)) {
            out.duplicate(&node, format!("two pools are called {}", node.shown())).and(first, "the first one");
        }
        seen.push(node);
    }
}

fn machine(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let node = pool.at("machine/type");
        if node.is_empty() {
            out.required(&node, format!("pool `{}` has no machine type", pool.get("name").str()));
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
            out.invalid(&high, format!("pool `{}` may have at most {most} nodes, but at least {least}", pool.get("name").str()))
                .and(&low, "the minimum")
                .help(format!("raise `maximum` to {least} or more"));
        }
    }
}

/// A number or percentage: its value, and whether it is a percentage.
fn amount(node: &Node<'_>) -> Result<Option<(i64, bool)>, ()> {
    match (node.int(), node.text()) {
        (Some(n), _) if n >= 0 => Ok(Some((n, false))),
        (None, None) if !node.is_set() => Ok(None),
        (None, Some(text)) => text.strip_suffix('%').and_then(|n| n.parse().ok()).filter(|n| *n >= 0).map(|n| Some((n, true))).ok_or(()),
        _ => Err(()),
    }
}

fn update(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (surge, unavailable) = (pool.get("maxSurge"), pool.get("maxUnavailable"));
        let by_hand = pool.get("updateStrategy").str() == "ManualInPlaceUpdate";
        let (more, less) = (amount(&surge), amount(&unavailable));
        for (node, amount) in [(&surge, more), (&unavailable, less)] {
            if amount.is_err() {
                out.invalid(node, format!("{} is neither a number nor a percentage", node.shown())).help("for example `1` or `25%`");
            } else if by_hand && amount.is_ok_and(|a| a.is_some_and(|(n, _)| n > 0)) {
                out.forbidden(node, "a pool that is updated by hand takes no update parameters").help("remove it");
            }
        }
        if let Ok(Some((percent, true))) = less
            && percent > 100
        {
            out.invalid(&unavailable, format!("{percent} % of a pool cannot be taken away")).help("at most `100%`");
        }
        let none = |a: Result<Option<(i64, bool)>, ()>| a.is_ok_and(|a| a.is_none_or(|(n, _)| n == 0));
        if none(more) && none(less) && !by_hand {
            out.invalid(&unavailable, format!("pool `{}` may neither gain nor lose a machine, so it could never be updated", pool.get("name").str()))
                .and(&surge, "none may be added")
                .help("set `maxSurge` or `maxUnavailable` to at least 1");
        }
    }
}

fn taints(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        for (key, node) in pool.get("labels").entries() {
            if let Err(why) = syntax::label_key(key) {
                out.invalid(&node, format!("`{key}` is no label key: {why}")).on_key();
            }
            if let Err(why) = syntax::label_value(node.str()) {
                out.invalid(&node, format!("{} is no label value: {why}", node.shown()));
            }
        }
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for taint in pool.get("taints").items() {
            let (key, value, effect) = (taint.get("key"), taint.get("value"), taint.get("effect"));
            if let Err(why) = syntax::label_key(key.str()) {
                out.invalid(&key, format!("{} is no taint key: {why}", key.shown()));
            } else if key.str() == CRITICAL {
                out.invalid(&key, format!("the taint `{CRITICAL}` is set by the machinery"));
            }
            if let Err(why) = syntax::label_value(value.str()) {
                out.invalid(&value, format!("{} is no taint value: {why}", value.shown()));
            }
            if !matches!(effect.str(), "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
                out.not_supported(&effect, format!("{} is no taint effect", effect.shown())).help("use `NoSchedule`, `PreferNoSchedule` or `NoExecute`");
            }
            if seen.contains(&(key.str(), effect.str())) {
                out.duplicate(&taint, format!("the taint `{}:{}` is listed twice", key.str(), effect.str()));
            }
            seen.push((key.str(), effect.str()));
        }
    }
}

fn volumes(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (root, data) = (pool.get("volume"), pool.get("dataVolumes"));
        for volume in std::iter::once(root.clone()).filter(Node::is_set).chain(data.items()) {
            let size = volume.get("size");
            let whole = size.str().strip_suffix("Gi").is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
            if !whole {
                out.invalid(&size, format!("{} is no size of a volume", size.shown())).help("whole GiB, for example `50Gi`");
            }
        }
        let mut seen: Vec<&str> = Vec::new();
        for volume in data.items() {
            let name = volume.get("name");
            if let Err(why) = syntax::label(name.str()) {
                out.invalid(&name, format!("{} is no name for a volume: {why}", name.shown()));
            } else if name.str().len() > NAME {
                out.too_long(&name, format!("the name {} has more than {NAME} characters", name.shown()));
            }
            if seen.contains(&name.str()) {
                out.duplicate(&name, format!("two volumes are called {}", name.shown()));
            }
            seen.push(name.str());
        }
        if !data.is_empty() && !root.is_set() {
            out.required(&data, "a pool with data volumes names its root volume, too").help("add `volume: {type: …, size: …}`");
        }
        let kubelet = pool.get("kubeletDataVolumeName");
        if kubelet.is_set() && !seen.contains(&kubelet.str()) {
            out.invalid(&kubelet, format!("the pool has no data volume {}", kubelet.shown())).help(format!("it has {}", listed(&seen)));
        }
    }
}

fn strategy(cx: &Cx<'_>, out: &mut Out) {
    let allowed: [(&str, &[&str]); 3] = [
        ("updateStrategy", &["AutoRollingUpdate", "AutoInPlaceUpdate", "ManualInPlaceUpdate"]),
        ("cri/name", &["containerd"]),
        ("machine/architecture", &["amd64", "arm64"]),
    ];
    for pool in pools(cx) {
        for (path, values) in allowed {
            let node = pool.at(path);
            if node.is_set() && !values.contains(&node.str()) {
                out.not_supported(&node, format!("{} is not known as {}", node.shown(), node.field())).help(format!("possible is {}", listed(values)));
            }
        }
        let node = pool.get("updateStrategy");
        if node.str().ends_with("InPlaceUpdate") && !cx.gate("InPlaceNodeUpdates") {
            out.forbidden(&node, format!("the strategy {} is behind the gate InPlaceNodeUpdates, which is off", node.shown())).help("use `AutoRollingUpdate`");
        }
    }
}

fn may_run_system(pool: &Node<'_>) -> bool {
    pool.at("systemComponents/allow").flag() != Some(false)
}

fn system(cx: &Cx<'_>, out: &mut Out) {
    let workers = cx.new.at("spec/provider/workers");
    let found = workers.items().iter().any(|p| may_run_system(p) && p.get("maximum").int().unwrap_or(0) > 0);
    if !workers.is_empty() && !found {
        out.forbidden(&workers, "no pool may run the system's own components").help("let one pool with `maximum` above 0 have `systemComponents: {allow: true}`");
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let all = pools(cx);
    let set = |p: &Node<'_>| p.get("zones").items().iter().map(|z| z.str().to_owned()).collect::<std::collections::BTreeSet<_>>();
    let most = |p: &Node<'_>| usize::try_from(p.get("maximum").int().unwrap_or(0)).unwrap_or(0);
    for pool in all.iter().filter(|p| may_run_system(p)) {
        let zones = set(pool);
        let helped = all.iter().any(|p| may_run_system(p) && set(p) == zones && most(p) >= zones.len());
        if most(pool) < zones.len() && most(pool) > 0 && !helped {
            out.forbidden(&pool.get("maximum"), format!("pool `{}` has {} zones, but may have only {} nodes", pool.get("name").str(), zones.len(), most(pool)))
                .and(&pool.get("zones"), "the zones")
                .help(format!("raise `maximum` to {}, or keep system components away with `systemComponents: {{allow: false}}`", zones.len()));
        }
    }
}

fn kubelet(cx: &Cx<'_>, out: &mut Out) {
    let own = pools(cx).into_iter().map(|p| p.at("kubernetes/kubelet"));
    for kubelet in std::iter::once(cx.new.at("spec/kubernetes/kubelet")).chain(own) {
        let ranges: [(&str, i64, i64); 8] = [
            ("maxPods", 0, i64::MAX),
            ("podPidsLimit", 100, i64::MAX),
            ("imageGCHighThresholdPercent", 0, 100),
            ("imageGCLowThresholdPercent", 0, 100),
            ("containerLogMaxFiles", 2, i64::MAX),
            ("maxParallelImagePulls", 1, i64::MAX),
            ("registryPullQPS", 0, i64::MAX),
            ("registryBurst", 0, i64::MAX),
        ];
        for (what, low, high) in ranges {
            let node = kubelet.get(what);
            if node.int().is_some_and(|n| n < low || n > high) {
                let most = if high == i64::MAX { String::new() } else { format!(" and at most {high}") };
                out.invalid(&node, format!("{} is out of range for `{what}`", node.shown())).help(format!("at least {low}{most}"));
            }
        }
        let (high, low) = (kubelet.get("imageGCHighThresholdPercent"), kubelet.get("imageGCLowThresholdPercent"));
        if let (Some(h), Some(l)) = (high.int(), low.int())
            && l >= h
        {
            out.invalid(&low, format!("the low threshold {l} is not below the high one {h}")).and(&high, "the high threshold");
        }
        let parallel = kubelet.get("maxParallelImagePulls");
        if parallel.int().is_some_and(|n| n > 1) && kubelet.get("serializeImagePulls").flag() == Some(true) {
            out.invalid(&parallel, "images are pulled one after the other").and(&kubelet.get("serializeImagePulls"), "because of this").help("set `serializeImagePulls: false`");
        }
        if kubelet.get("memorySwap").is_set() && kubelet.get("failSwapOn").flag() == Some(true) {
            out.invalid(&kubelet.get("memorySwap"), "swap is set up, but the kubelet refuses to start with swap").help("set `failSwapOn: false`");
        }
        let policy = kubelet.get("cpuManagerPolicy");
        if policy.is_set() && !matches!(policy.str(), "none" | "static") {
            out.not_supported(&policy, format!("{} is no CPU manager policy", policy.shown())).help("use `none` or `static`");
        }
    }
}
