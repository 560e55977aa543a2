//! Operations that annotations ask for: which there are, and which may be asked for together. Whether the state of a cluster
//! allows them is looked at elsewhere.

use super::prelude::*;
use crate::admission::shared;

rules! {
    /// The operations that an annotation asks for are those that shoots know (V-182).
    ///
    /// Several are separated by `;`. Those of `maintenance.gardener.cloud/operation` wait for the next maintenance.
    "SHOOT-OPERATION", "an operation is unknown", Shoot, known;
    /// Some operations are only possible alone, or not together with certain others (V-183, V-184, V-185, V-186).
    "SHOOT-OPERATION-TOGETHER", "operations are not possible together", Shoot, alone, equal, pairs, crossed;
    /// The two steps of rotating the encryption key are one step from Kubernetes 1.34 on (V-187).
    "SHOOT-OPERATION-VERSION", "an operation is gone in this version", Shoot, gone;
    /// The operation that an annotation asks for is one that the seed knows, and replaces no other that waits (V-286).
    "SEED-OPERATION", "an operation of a seed is not possible", Seed, seed;
    /// The operation that an annotation asks for is one that managed seeds know, and replaces no other that waits.
    "MANAGEDSEED-OPERATION", "an operation of a managed seed is not possible", ManagedSeed, managed;
}

const NOW: &str = "gardener.cloud/operation";
const LATER: &str = "maintenance.gardener.cloud/operation";

/// Operations that are only possible alone.
const ALONE: [&str; 3] = ["maintain", "retry", "force-in-place-update"];

/// Operations that may be asked for together with others.
const SHARED: [&str; 15] = [
    "reconcile",
    "rotate-credentials-start",
    "rotate-credentials-start-without-workers-rollout",
    "rotate-credentials-complete",
    "rotate-ca-start",
    "rotate-ca-start-without-workers-rollout",
    "rotate-ca-complete",
    "rotate-observability-credentials",
    "rotate-ssh-keypair",
    "rotate-serviceaccount-key-start",
    "rotate-serviceaccount-key-start-without-workers-rollout",
    "rotate-serviceaccount-key-complete",
    "rotate-etcd-encryption-key",
    "rotate-etcd-encryption-key-start",
    "rotate-etcd-encryption-key-complete",
];

/// Operations that pools are named with: `rollout-workers=a,b`.
const POOLS: [&str; 2] = ["rotate-rollout-workers", "rollout-workers"];

/// Operations of which one annotation may only ask for one.
const PAIRS: &[(&str, &str)] = &[
    ("rotate-credentials-start", "rotate-credentials-start-without-workers-rollout"),
    ("rotate-credentials-start", "rotate-ca-start-without-workers-rollout"),
    ("rotate-credentials-start", "rotate-serviceaccount-key-start-without-workers-rollout"),
    ("rotate-credentials-start-without-workers-rollout", "rotate-ca-start"),
    ("rotate-credentials-start-without-workers-rollout", "rotate-serviceaccount-key-start"),
    ("rotate-ca-start", "rotate-ca-start-without-workers-rollout"),
    ("rotate-serviceaccount-key-start", "rotate-serviceaccount-key-start-without-workers-rollout"),
    ("rotate-etcd-encryption-key", "rotate-etcd-encryption-key-start"),
];

/// Operations on everything, and those on a part, of which the two annotations may not ask for both.
const CROSSED: &[(&[&str], &[&str])] = &[
    (
        &["rotate-credentials-start", "rotate-credentials-start-without-workers-rollout"],
        &[
            "rotate-ca-start",
            "rotate-ca-start-without-workers-rollout",
            "rotate-serviceaccount-key-start",
            "rotate-serviceaccount-key-start-without-workers-rollout",
            "rotate-etcd-encryption-key",
            "rotate-etcd-encryption-key-start",
        ],
    ),
    (
        &["rotate-credentials-complete"],
        &["rotate-ca-complete", "rotate-serviceaccount-key-complete", "rotate-etcd-encryption-key-complete"],
    ),
];

/// What an annotation asks for.
fn asked<'a>(cx: &Cx<'a>, key: &'static str) -> (Node<'a>, Vec<&'a str>) {
    let node = cx.new.at("metadata/annotations").get(key);
    let operations = node.text().filter(|text| !text.is_empty()).map(|text| text.split(';').map(str::trim).collect());
    (node, operations.unwrap_or_default())
}

fn known(cx: &Cx<'_>, out: &mut Out) {
    for key in [NOW, LATER] {
        let (node, operations) = asked(cx, key);
        for operation in operations {
            let pools = POOLS.iter().any(|name| operation.starts_with(name));
            if !pools && !ALONE.contains(&operation) && !SHARED.contains(&operation) {
                let help = format!("possible are {}, {}, and {}", ALONE.join(", "), SHARED.join(", "), POOLS.map(|p| format!("{p}=…")).join(", "));
                out.not_supported(&node, format!("`{operation}` is no operation")).keyed().help(help);
            }
        }
    }
}

fn alone(cx: &Cx<'_>, out: &mut Out) {
    for key in [NOW, LATER] {
        let (node, operations) = asked(cx, key);
        if operations.len() > 1
            && let Some(operation) = operations.iter().find(|o| ALONE.contains(o))
        {
            out.forbidden(&node, format!("`{operation}` is only possible alone")).keyed().help("ask for the others later");
        }
    }
}

fn equal(cx: &Cx<'_>, out: &mut Out) {
    let ((_, now), (later, waiting)) = (asked(cx, NOW), asked(cx, LATER));
    if let Some(operation) = now.iter().find(|o| waiting.contains(o)) {
        out.forbidden(&later, format!("`{operation}` is asked for now and for the next maintenance"))
            .field("metadata.annotations")
            .help("remove one of the two");
    }
}

fn pairs(cx: &Cx<'_>, out: &mut Out) {
    for key in [NOW, LATER] {
        let (node, operations) = asked(cx, key);
        for (one, other) in PAIRS {
            if operations.contains(one) && operations.contains(other) {
                out.forbidden(&node, format!("`{one}` and `{other}` are not possible together")).keyed().help("ask for one of them");
            }
        }
    }
}

fn crossed(cx: &Cx<'_>, out: &mut Out) {
    let ((now, here), (later, there)) = (asked(cx, NOW), asked(cx, LATER));
    for (all, parts) in CROSSED {
        let meets = |a: &[&str], b: &[&str]| a.iter().any(|o| all.contains(o)) && b.iter().any(|o| parts.contains(o));
        if meets(&here, &there) || meets(&there, &here) {
            out.forbidden(&now, "one annotation asks for all credentials, the other for some of them")
                .keyed()
                .and(&later, "the other annotation")
                .help("let one end before the other begins");
        }
    }
}

fn gone(cx: &Cx<'_>, out: &mut Out) {
    let version = offer::version(cx.new.at("spec/kubernetes/version").str());
    if version.is_none_or(|version| (version.major, version.minor) < (1, 34)) {
        return;
    }
    for key in [NOW, LATER] {
        let (node, operations) = asked(cx, key);
        for operation in operations {
            if matches!(operation, "rotate-etcd-encryption-key-start" | "rotate-etcd-encryption-key-complete") {
                out.forbidden(&node, format!("`{operation}` is not possible from Kubernetes 1.34 on"))
                    .field(format!("metadata.annotations[{NOW}]"))
                    .help("use `rotate-etcd-encryption-key`");
            }
        }
    }
}

/// The operation of a seed, one of those that are possible, if it replaces no other.
fn single(cx: &Cx<'_>, out: &mut Out, possible: &[&str]) {
    let (node, before) = (cx.new.at("metadata/annotations").get(NOW), cx.before("metadata/annotations").get(NOW));
    if node.is_empty() {
        return;
    }
    if !possible.contains(&node.str()) {
        out.not_supported(&node, format!("{} is no operation of a {}", node.shown(), cx.owner.kind))
            .keyed()
            .help(format!("possible are {}", listed(possible)));
    }
    // A request to reconcile is done by the server itself, unless it comes with a change, which does the same.
    let unchanged = shared::alike(cx.new.get("spec").value(), cx.before("spec").value());
    let at_once = node.str() == "reconcile" && unchanged;
    if !before.is_empty() && !before.same(&node) && !at_once {
        out.forbidden(&node, format!("{} would replace {}, which is still to be done", node.shown(), before.shown()))
            .keyed()
            .help("wait until the annotation is gone");
    }
}

fn seed(cx: &Cx<'_>, out: &mut Out) {
    single(cx, out, &["reconcile", "renew-garden-access-secrets", "renew-workload-identity-tokens", "renew-kubeconfig"]);
}

fn managed(cx: &Cx<'_>, out: &mut Out) {
    single(cx, out, &["reconcile", "renew-kubeconfig"]);
}
