//! Worker pools over time: how they are updated, and what an update in place cannot change.

use super::prelude::*;
use super::update_spec::{differs, status, with_same_workers};

rules! {
    /// A pool is updated by rolling or in place from its beginning (V-211).
    "SHOOT-POOL-CHANGED", "the strategy of a pool cannot change", Shoot, strategy;
    /// Machine type, image, container runtime and volume of a pool that is updated in place stay as they are (V-212).
    ///
    /// They could only change with new machines.
    "SHOOT-POOL-IN-PLACE-CHANGED", "a pool that is updated in place cannot change like this", Shoot, in_place;
    /// The image of a pool that is updated in place does not go back (V-207).
    "SHOOT-POOL-IMAGE-DOWNGRADE", "the image of a pool goes back", Shoot, image;
    /// A pool that is being updated in place does not change until that is done (V-226).
    ///
    /// The operation `force-in-place-update` overrides it.
    "SHOOT-POOL-PENDING", "a pool is being updated", Shoot, pending;
    /// A shoot that hosts its own control plane goes on doing so, in the same pool and with the same backup (V-213).
    "SHOOT-SELFHOSTED-CHANGED", "the control plane cannot move between pools and seeds", Shoot, control_plane, backup;
    /// The cache for DNS on each node cannot be switched while machines are updated in place (V-225).
    "SHOOT-NODE-DNS-CHANGED", "node-local DNS cannot be switched", Shoot, node_dns;
}

/// Pools with what was accepted under their names before.
fn pairs<'a>(cx: &Cx<'a>, old: &Node<'a>) -> Vec<(Node<'a>, Option<Node<'a>>)> {
    let before = old.at("spec/provider/workers").items();
    let find = |pool: &Node<'a>| before.iter().find(|b| b.get("name").str() == pool.get("name").str()).cloned();
    cx.new.at("spec/provider/workers").items().into_iter().map(|pool| (pool.clone(), find(&pool))).collect()
}

fn is_in_place(pool: &Node<'_>) -> bool {
    matches!(pool.get("updateStrategy").str(), "AutoInPlaceUpdate" | "ManualInPlaceUpdate")
}

fn strategy(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    for (pool, before) in pairs(cx, &old) {
        let new = pool.get("updateStrategy");
        let Some(before) = before else { continue };
        if is_in_place(&pool) != is_in_place(&before) {
            let was = before.get("updateStrategy");
            let text =
                format!("the strategy of pool `{}` cannot change from {} to {}", pool.get("name").str(), was.shown(), new.shown());
            out.invalid(&new, text).help("make a new pool, and remove this one when it is empty");
        }
    }
}

fn in_place(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    for (pool, before) in pairs(cx, &old) {
        let Some(before) = before.filter(|b| is_in_place(&pool) && b.get("updateStrategy").same(&pool.get("updateStrategy"))) else {
            continue;
        };
        for (path, both) in [("machine/type", "machine"), ("machine/image/name", "machine/image"), ("cri/name", "cri"), ("volume", "")] {
            let comparable = both.is_empty() || (pool.at(both).is_set() && before.at(both).is_set());
            if comparable && !pool.at(path).same(&before.at(path)) {
                differs(out, &pool.at(path), &before.at(path));
            }
        }
    }
}

fn image(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    let bound = cx.new.at("spec/credentialsBindingName").is_set() || cx.new.at("spec/secretBindingName").is_set();
    for (pool, before) in pairs(cx, &old).into_iter().filter(|(pool, _)| bound && is_in_place(pool)) {
        let node = pool.at("machine/image/version");
        let Some(new) = offer::version(node.str()) else {
            out.invalid(&node, format!("pool `{}` is updated in place, and has no image version to go to", pool.get("name").str()))
                .help("name the version of its image");
            continue;
        };
        let was = before.as_ref().unwrap_or(&pool).at("machine/image/version");
        if let Some(was) = offer::version(was.str()).filter(|was| new < *was) {
            out.forbidden(&node, format!("the image of pool `{}` cannot go back from `{was}` to `{new}`", pool.get("name").str()))
                .help(format!("keep `{was}`, or go on to a later version"));
        }
    }
}

fn pending(cx: &Cx<'_>, out: &mut Out) {
    let (Some(old), Some(status)) = (cx.old.clone(), status(cx)) else { return };
    let operation = cx.new.at("metadata/annotations").get("gardener.cloud/operation");
    if operation.str() == "force-in-place-update" {
        return;
    }
    let waiting = status.at("inPlaceUpdates/pendingWorkerUpdates");
    let waiting: Vec<&str> =
        ["autoInPlaceUpdate", "manualInPlaceUpdate"].iter().flat_map(|how| waiting.get(how).items()).map(|name| name.str()).collect();
    for (pool, before) in pairs(cx, &old) {
        let Some(before) = before.filter(|_| is_in_place(&pool) && waiting.contains(&pool.get("name").str())) else { continue };
        let effective = |shoot: &Node<'_>, pool: &Node<'_>, own: &str, shared: &str| {
            let own = pool.at(own);
            if own.is_set() { own.value().cloned() } else { shoot.at(shared).value().cloned() }
        };
        let version = |shoot: &Node<'_>, pool: &Node<'_>| effective(shoot, pool, "kubernetes/version", "spec/kubernetes/version");
        let kubelet = |shoot: &Node<'_>, pool: &Node<'_>| effective(shoot, pool, "kubernetes/kubelet", "spec/kubernetes/kubelet");
        let same = pool.same(&before)
            && version(&cx.new, &pool) == version(&old, &before)
            && kubelet(&cx.new, &pool) == kubelet(&old, &before);
        if !same {
            out.forbidden(&pool, format!("pool `{}` is being updated in place, and changes again", pool.get("name").str()))
                .help("wait until it is done");
        }
    }
}

/// The pool in which a shoot hosts its control plane.
fn host<'a>(workers: &Node<'a>) -> Option<Node<'a>> {
    workers.items().into_iter().find(|pool| pool.get("controlPlane").is_set())
}

fn control_plane(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    let workers = cx.new.at("spec/provider/workers");
    match (host(&old.at("spec/provider/workers")), host(&workers)) {
        (Some(was), Some(is)) if was.get("name").str() != is.get("name").str() => {
            let text =
                format!("the control plane cannot move from pool `{}` to pool `{}`", was.get("name").str(), is.get("name").str());
            out.forbidden(&workers, text).help(format!("keep `controlPlane` in pool `{}`", was.get("name").str()));
        }
        (Some(was), None) => {
            out.forbidden(&workers, "a shoot that hosts its own control plane cannot get it from a seed")
                .help(format!("keep `controlPlane` in pool `{}`", was.get("name").str()));
        }
        (None, Some(is)) => {
            out.forbidden(&workers, "a shoot with its control plane on a seed cannot host it itself")
                .help(format!("remove `controlPlane` from pool `{}`", is.get("name").str()));
        }
        _ => {}
    }
}

fn backup(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    for (pool, before) in pairs(cx, &old) {
        let Some(was) = before.map(|b| b.at("controlPlane/backup")).filter(Node::is_set) else { continue };
        let is = pool.at("controlPlane/backup");
        if !is.is_set() {
            differs(out, &is, &was);
            continue;
        }
        for field in ["provider", "region"] {
            if !is.get(field).same(&was.get(field)) {
                differs(out, &is.get(field), &was.get(field));
            }
        }
    }
}

fn node_dns(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = cx.old.clone() else { return };
    let node = cx.new.at("spec/systemComponents/nodeLocalDNS");
    let on = |node: &Node<'_>| node.get("enabled").flag() == Some(true);
    if on(&node) == on(&old.at("spec/systemComponents/nodeLocalDNS")) {
        return;
    }
    let ipvs = old.at("spec/kubernetes/kubeProxy/mode").str() == "IPVS";
    let shared = old.at("spec/kubernetes/version");
    let older = |pool: &Node<'_>| {
        let own = pool.at("kubernetes/version");
        let version = offer::version(if own.is_set() { own.str() } else { shared.str() });
        version.is_some_and(|v| (v.major, v.minor) < (1, 34))
    };
    let workers = old.at("spec/provider/workers").items();
    if let Some(pool) = workers.iter().find(|pool| is_in_place(pool) && (ipvs || older(pool))) {
        let why = if ipvs { "kube-proxy runs in IPVS mode" } else { "its Kubernetes is older than 1.34" };
        let name = pool.get("name").str();
        out.forbidden(&node, format!("node-local DNS cannot be switched: pool `{name}` is updated in place, and {why}"))
            .help("leave it as it is until the pool is upgraded or gone");
    }
}
