//! Operations asked for by annotation: whether the state of the cluster allows them.
//!
//! Which operations there are, and which go together, is looked at with the metadata.

use super::prelude::*;
use super::update_control_plane::{is_ready, is_rolled_out, sleeps};
use super::update_spec::status;

rules! {
    /// Keys and credentials are not exchanged, and machines not replaced, in a cluster that sleeps or is waking up (V-188).
    "SHOOT-OPERATION-ASLEEP", "an operation is not possible in a hibernated cluster", Shoot, asleep;
    /// The encryption key is not exchanged while a change of what is encrypted is being carried out (V-189).
    "SHOOT-OPERATION-ENCRYPTION", "an operation waits for a change of encryption", Shoot, encryption;
    /// A rotation begins in a cluster that was created or is reconciled, after the rotation before has ended, and while no pool
    /// is being updated in place (V-190, V-191, V-192, V-196).
    "SHOOT-ROTATION-START", "a rotation cannot begin now", Shoot, starts;
    /// A rotation is completed after it was prepared (V-193).
    "SHOOT-ROTATION-COMPLETE", "a rotation cannot be completed now", Shoot, completes;
    /// Pools whose machines are to be replaced exist and are named once; those of a rotation, while it waits for them (V-194, V-195).
    "SHOOT-ROLLOUT", "the pools to roll out cannot be used", Shoot, rollouts;
}

const NOW: &str = "gardener.cloud/operation";
const LATER: &str = "maintenance.gardener.cloud/operation";
const ROTATE_ROLLOUT: &str = "rotate-rollout-workers";
const ROLLOUT: &str = "rollout-workers";

/// Operations that are not possible in a cluster that sleeps.
pub(super) const AWAKE: [&str; 9] = [
    "rotate-credentials-start",
    "rotate-credentials-start-without-workers-rollout",
    "rotate-credentials-complete",
    "rotate-etcd-encryption-key",
    "rotate-etcd-encryption-key-start",
    "rotate-etcd-encryption-key-complete",
    "rotate-serviceaccount-key-start",
    "rotate-serviceaccount-key-start-without-workers-rollout",
    "rotate-serviceaccount-key-complete",
];
/// The other operations that may be asked for together.
const TOGETHER: [&str; 6] = [
    "reconcile",
    "rotate-ca-start",
    "rotate-ca-start-without-workers-rollout",
    "rotate-ca-complete",
    "rotate-observability-credentials",
    "rotate-ssh-keypair",
];
/// Operations that come alone.
const ALONE: [&str; 3] = ["maintain", "retry", "force-in-place-update"];
/// Operations that exchange the encryption key.
const ENCRYPTING: [&str; 3] = ["rotate-credentials-start", "rotate-etcd-encryption-key", "rotate-etcd-encryption-key-start"];

const AUTHORITIES: &str = "certificateAuthorities";
const ACCOUNTS: &str = "serviceAccountKey";
const ENCRYPTION: &str = "etcdEncryptionKey";

fn is_rollout(operation: &str) -> bool {
    operation.starts_with(ROTATE_ROLLOUT) || operation.starts_with(ROLLOUT)
}

/// The operations that an annotation asks for; none of either if one of them cannot be asked for like this.
fn asked<'a>(cx: &Cx<'a>) -> Vec<(Node<'a>, &'a str)> {
    let mut all = Vec::new();
    for key in [NOW, LATER] {
        let node = cx.new.at("metadata/annotations").get(key);
        let Some(text) = node.text().filter(|text| !text.is_empty()) else { continue };
        let operations: Vec<&str> = text.split(';').map(str::trim).collect();
        let known = |o: &&str| {
            AWAKE.contains(o) || TOGETHER.contains(o) || is_rollout(o) || (operations.len() == 1 && ALONE.contains(o))
        };
        if !operations.iter().all(known) {
            return Vec::new();
        }
        all.extend(operations.into_iter().map(|operation| (node.clone(), operation)));
    }
    all
}

/// Operations whose circumstances are looked at now: those for the next maintenance not if there will be none.
fn in_context<'a>(cx: &Cx<'a>) -> Vec<(Node<'a>, &'a str)> {
    let deleting = cx.new.at("metadata/deletionTimestamp").is_set();
    let mut all = asked(cx);
    all.retain(|(node, _)| !deleting || node.pointer().segments().last().is_some_and(|key| key == NOW));
    all
}

fn asleep(cx: &Cx<'_>, out: &mut Out) {
    for (node, operation) in asked(cx) {
        if (AWAKE.contains(&operation) || is_rollout(operation)) && sleeps(cx) {
            out.forbidden(&node, format!("`{operation}` is not possible while the cluster is hibernated or wakes up"))
                .keyed()
                .help("wake it up first, in a commit of its own");
        }
    }
}

fn encryption(cx: &Cx<'_>, out: &mut Out) {
    let Some(status) = status(cx) else { return };
    for (node, operation) in asked(cx) {
        if ENCRYPTING.contains(&operation) && !is_rolled_out(&cx.new, &status) {
            out.forbidden(&node, format!("`{operation}` waits for a change of what is encrypted"))
                .keyed()
                .help("ask for it when the change is carried out");
        }
    }
}

fn phase<'a>(status: &Node<'a>, what: &'a str) -> &'a str {
    status.at("credentials/rotation").get(what).get("phase").str()
}

/// What an operation begins to exchange, and whether machines are part of it.
fn begun(operation: &str) -> Option<(&'static [&'static str], bool)> {
    let operation = operation.strip_suffix("-without-workers-rollout").unwrap_or(operation);
    Some(match operation {
        "rotate-credentials-start" => (&[AUTHORITIES, ACCOUNTS, ENCRYPTION], true),
        "rotate-ca-start" => (&[AUTHORITIES], true),
        "rotate-serviceaccount-key-start" => (&[ACCOUNTS], true),
        "rotate-etcd-encryption-key" | "rotate-etcd-encryption-key-start" => (&[ENCRYPTION], false),
        _ => return None,
    })
}

fn starts(cx: &Cx<'_>, out: &mut Out) {
    let Some(status) = status(cx) else { return };
    for (node, operation) in in_context(cx) {
        let Some((exchanged, machines)) = begun(operation) else { continue };
        let unfinished = exchanged.iter().find(|what| !matches!(phase(&status, what), "" | "Completed"));
        let updates = status.at("inPlaceUpdates/pendingWorkerUpdates");
        let updating = machines && ["autoInPlaceUpdate", "manualInPlaceUpdate"].iter().any(|how| !updates.get(how).is_empty());
        let why = if !is_ready(&status) {
            "the cluster is not created yet, or not reconciled".to_owned()
        } else if let Some(what) = unfinished {
            format!("the rotation of `{what}` is in phase `{}`", phase(&status, what))
        } else if updating {
            "pools are being updated in place".to_owned()
        } else {
            continue;
        };
        out.forbidden(&node, format!("`{operation}` cannot begin: {why}")).keyed().help("ask for it when that has ended");
    }
}

fn completes(cx: &Cx<'_>, out: &mut Out) {
    let Some(status) = status(cx) else { return };
    let older = offer::version(cx.new.at("spec/kubernetes/version").str()).is_some_and(|v| (v.major, v.minor) < (1, 34));
    for (node, operation) in in_context(cx) {
        let completed: &[&str] = match operation {
            "rotate-credentials-complete" if older => &[AUTHORITIES, ACCOUNTS, ENCRYPTION],
            "rotate-credentials-complete" => &[AUTHORITIES, ACCOUNTS],
            "rotate-ca-complete" => &[AUTHORITIES],
            "rotate-serviceaccount-key-complete" => &[ACCOUNTS],
            "rotate-etcd-encryption-key-complete" => &[ENCRYPTION],
            _ => continue,
        };
        if let Some(what) = completed.iter().find(|what| phase(&status, what) != "Prepared") {
            let is = match phase(&status, what) {
                "" => "has not begun".to_owned(),
                phase => format!("is in phase `{phase}`"),
            };
            out.forbidden(&node, format!("`{operation}` cannot be done: the rotation of `{what}` {is}"))
                .keyed()
                .help("a rotation is completed after it was prepared");
        }
    }
}

fn rollouts(cx: &Cx<'_>, out: &mut Out) {
    for (node, operation) in in_context(cx).into_iter().filter(|(_, operation)| is_rollout(operation)) {
        let rotating = operation.starts_with(ROTATE_ROLLOUT);
        let prefix = if rotating { ROTATE_ROLLOUT } else { ROLLOUT };
        if rotating && let Some(status) = status(cx) {
            let waits = [AUTHORITIES, ACCOUNTS].iter().any(|what| phase(&status, what) == "WaitingForWorkersRollout");
            if !waits {
                out.forbidden(&node, format!("`{operation}`: no rotation waits for machines to be replaced"))
                    .keyed()
                    .help(format!("`{ROLLOUT}=…` replaces machines without a rotation"));
            }
        }
        let rest = operation.strip_prefix(prefix).unwrap_or_default();
        pools(cx, out, &node, operation, rest.strip_prefix('=').unwrap_or(operation), !rotating);
    }
}

/// The names of pools behind an operation; without a rotation `*` stands for all of them.
fn pools(cx: &Cx<'_>, out: &mut Out, node: &Node<'_>, operation: &str, text: &str, any: bool) {
    let workers = cx.new.at("spec/provider/workers").items();
    let mut names: Vec<&str> = text.split(',').collect();
    if names.contains(&"") {
        out.required(node, format!("`{operation}` names no pool")).keyed().help("write the names behind `=`, joined by commas");
    }
    if any && names == ["*"] {
        names = workers.iter().map(|pool| pool.get("name").str()).collect();
    }
    if any && names.contains(&"*") {
        out.forbidden(node, format!("`{operation}` names all pools, and others")).keyed().help("`*` comes alone");
    }
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            out.duplicate(node, format!("`{operation}` names pool `{name}` twice")).keyed().help("name it once");
        }
        seen.push(name);
        match workers.iter().find(|pool| pool.get("name").str() == name) {
            None => {
                out.invalid(node, format!("`{operation}` names `{name}`, which is no pool"))
                    .keyed()
                    .help(format!("the shoot has {}", listed(workers.iter().map(|pool| pool.get("name").str()))));
            }
            Some(pool) if any && pool.get("updateStrategy").str().ends_with("InPlaceUpdate") => {
                out.invalid(node, format!("`{operation}` names pool `{name}`, which is updated in place"))
                    .keyed()
                    .help("only machines of rolling pools are replaced");
            }
            Some(_) => {}
        }
    }
}
