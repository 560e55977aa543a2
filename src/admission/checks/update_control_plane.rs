//! The control plane over time: high availability, zones, hibernation, encryption, and deletion by force.

use std::collections::BTreeSet;

use super::prelude::*;
use super::update_spec::{differs, status, updated};

rules! {
    /// The kind of high availability cannot change once the control plane is on a seed (V-227).
    "SHOOT-HA-CHANGED", "the failure tolerance cannot change", Shoot, availability;
    /// A control plane becomes highly available only while it is awake (V-228).
    "SHOOT-HIBERNATION-HA", "high availability is asked for in a hibernated cluster", Shoot, awake;
    /// The zones of the control plane stay. They may be given up, and one may become three together with the failure tolerance
    /// `zone` (V-229).
    "SHOOT-CONTROL-PLANE-ZONES-CHANGED", "the zones of the control plane cannot change like this", Shoot, zones;
    /// What is encrypted in etcd, and how, changes one at a time, in an awake cluster, after the change before is carried out and
    /// outside of a rotation of the key (V-219, V-220, V-221).
    "SHOOT-ENCRYPTION-CHANGED", "the encryption cannot change now", Shoot, resources, provider;
    /// A cluster is not put to sleep while its encryption key or its key for service accounts is being exchanged (V-222).
    "SHOOT-HIBERNATION-BUSY", "the cluster cannot be hibernated now", Shoot, busy;
    /// Deletion by force is for clusters that are being deleted and cannot be, for a reason that is not the machinery's; it cannot
    /// be taken back (V-223, V-224).
    "SHOOT-FORCE-DELETION", "deletion by force is not possible", Shoot, force;
}

const TOLERANCE: &str = "spec/controlPlane/highAvailability/failureTolerance/type";
const FORCE: &str = "confirmation.gardener.cloud/force-deletion";
/// Errors that are reason enough to delete by force.
const REASONS: [&str; 5] = [
    "ERR_INFRA_UNAUTHENTICATED",
    "ERR_INFRA_UNAUTHORIZED",
    "ERR_INFRA_DEPENDENCIES",
    "ERR_CLEANUP_CLUSTER_RESOURCES",
    "ERR_CONFIGURATION_PROBLEM",
];

/// Whether a cluster sleeps, or is waking up.
pub(super) fn sleeps(cx: &Cx<'_>) -> bool {
    cx.new.at("spec/hibernation/enabled").flag() == Some(true) || cx.before("status/hibernated").flag() == Some(true)
}

fn availability(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at(TOLERANCE), cx.before(TOLERANCE));
    let was = cx.before("spec/controlPlane/highAvailability").is_set();
    if was && cx.new.at("spec/seedName").is_set() && new.str() != old.str() {
        differs(out, &new, &old);
    }
}

fn awake(cx: &Cx<'_>, out: &mut Out) {
    let block = "spec/controlPlane/highAvailability";
    let asleep = sleeps(cx) || cx.before("spec/hibernation/enabled").flag() == Some(true) && !cx.world.stateful;
    if !cx.is_new() && cx.new.at(block).is_set() && !cx.before(block).is_set() && asleep {
        out.forbidden(&cx.new.at(TOLERANCE), "a hibernated control plane cannot become highly available")
            .help("wake the cluster up first, in a commit of its own");
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = updated(cx) else { return };
    let (new, was) = (cx.new.at("spec/controlPlane/zones"), old.at("spec/controlPlane/zones"));
    let list = |node: &Node<'_>| node.items().iter().map(|zone| zone.str().to_owned()).collect::<Vec<_>>();
    let (to, from) = (list(&new), list(&was));
    if to == from || to.is_empty() {
        return;
    }
    let by_zone = |shoot: &Node<'_>| shoot.at(TOLERANCE).str() == "zone";
    let grows = !by_zone(&old) && by_zone(&cx.new) && !from.is_empty();
    if grows && from.iter().all(|zone| to.contains(zone)) {
        return;
    }
    let help = if from.is_empty() { "leave them out".to_owned() } else { format!("keep {}, or remove all of them", listed(&from)) };
    out.forbidden(&new, format!("the zones of the control plane cannot change from {} to {}", listed(&from), listed(&to))).help(help);
}

/// A resource as the API server takes it apart: `deployments.apps` is `deployments` of group `apps`.
fn resource(text: &str) -> (String, String) {
    let (name, group) = text.split_once('.').unwrap_or((text, ""));
    (name.to_owned(), group.to_owned())
}

fn set(list: &Node<'_>) -> BTreeSet<(String, String)> {
    list.items().iter().map(|item| resource(item.str())).collect()
}

const ENCRYPTION: &str = "spec/kubernetes/kubeAPIServer/encryptionConfig";

/// Whether what is encrypted is what was asked for before: the change before is carried out.
pub(super) fn is_rolled_out(wanted: &Node<'_>, status: &Node<'_>) -> bool {
    set(&wanted.at(ENCRYPTION).get("resources")) == set(&status.at("credentials/encryptionAtRest/resources"))
}

/// The phase of the rotation of the encryption key.
fn rotation<'a>(status: &Node<'a>) -> &'a str {
    status.at("credentials/rotation/etcdEncryptionKey/phase").str()
}

/// Whether a rotation can be started: the cluster was created, or is reconciled.
pub(super) fn is_ready(status: &Node<'_>) -> bool {
    let last = status.get("lastOperation");
    match last.get("type").str() {
        "Create" | "Restore" => last.get("state").str() == "Succeeded",
        kind => kind == "Reconcile",
    }
}

/// Why the encryption cannot change now, where it has been since the last acceptance.
fn obstacle(cx: &Cx<'_>, old: &Node<'_>, status: &Node<'_>) -> Option<(String, &'static str)> {
    let in_use = status.at("credentials/encryptionAtRest/provider/type").str();
    let phase = rotation(status);
    if !matches!(phase, "" | "Completed") {
        return Some((format!("the encryption key is being exchanged (`{phase}`)"), "wait until that is done"));
    }
    if !is_rolled_out(old, status) || old.at(ENCRYPTION).at("provider/type").str() != in_use {
        return Some(("the change before is not carried out yet".to_owned(), "wait until it is"));
    }
    let asleep = cx.new.at("spec/hibernation/enabled").flag() == Some(true);
    asleep.then(|| ("the cluster is hibernated".to_owned(), "wake it up first, in a commit of its own"))
}

/// What was accepted, with its status; if that is unknown, only what both manifests say counts.
fn encrypted<'a>(cx: &Cx<'a>) -> Option<(Node<'a>, Option<Node<'a>>)> {
    Some((cx.old.clone()?, status(cx)))
}

fn resources(cx: &Cx<'_>, out: &mut Out) {
    let Some((old, status)) = encrypted(cx) else { return };
    let node = cx.new.at(ENCRYPTION).get("resources");
    if set(&node) == set(&old.at(ENCRYPTION).get("resources")) {
        return;
    }
    if let Some((why, help)) = status.and_then(|status| obstacle(cx, &old, &status)) {
        out.forbidden(&node, format!("what is encrypted cannot change: {why}")).help(help);
    }
}

fn provider(cx: &Cx<'_>, out: &mut Out) {
    let Some((old, status)) = encrypted(cx) else { return };
    let config = cx.new.at(ENCRYPTION);
    let node = config.at("provider/type");
    if node.str() == old.at(ENCRYPTION).at("provider/type").str() {
        return;
    }
    let unready = || ("the cluster is not created yet, or not reconciled".to_owned(), "wait until it is");
    let found = status.and_then(|status| if is_ready(&status) { obstacle(cx, &old, &status) } else { Some(unready()) });
    if let Some((why, help)) = found {
        out.forbidden(&node, format!("the encryption cannot change: {why}")).help(help);
    } else if set(&config.get("resources")) != set(&old.at(ENCRYPTION).get("resources")) {
        out.forbidden(&node, "how and what is encrypted change together")
            .and(&config.get("resources"), "what is encrypted")
            .help("change one, and the other when that is carried out");
    }
}

fn busy(cx: &Cx<'_>, out: &mut Out) {
    let (Some(old), Some(status)) = (cx.old.clone(), status(cx)) else { return };
    let node = cx.new.at("spec/hibernation/enabled");
    if node.flag() != Some(true) || old.at("spec/hibernation/enabled").flag() == Some(true) {
        return;
    }
    let accounts = status.at("credentials/rotation/serviceAccountKey/phase");
    let why = if matches!(rotation(&status), "Preparing" | "Completing") {
        format!("the encryption key is being exchanged (`{}`)", rotation(&status))
    } else if matches!(accounts.str(), "Preparing" | "PreparingWithoutWorkersRollout" | "Completing") {
        format!("the key for service accounts is being exchanged ({})", accounts.shown())
    } else if !is_rolled_out(&old, &status) {
        "a change of what is encrypted is not carried out yet".to_owned()
    } else {
        return;
    };
    out.forbidden(&node, format!("the cluster cannot be hibernated: {why}")).help("wait until that is done");
}

/// Whether an object asks to be deleted by force.
fn forces(object: &Node<'_>) -> bool {
    let text = object.at("metadata/annotations").get(FORCE);
    matches!(text.str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn force(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/annotations").get(FORCE);
    let (now, before) = (forces(&cx.new), cx.old.as_ref().is_some_and(forces));
    if before && !now {
        out.forbidden(&node, "deletion by force cannot be taken back").keyed().help("put the annotation back");
    } else if now && !before {
        if !cx.new.at("metadata/deletionTimestamp").is_set() {
            out.forbidden(&node, "deletion by force is for clusters that are being deleted").keyed().help("remove the annotation");
            return;
        }
        let Some(status) = status(cx) else { return };
        let errors = status.get("lastErrors").items();
        let found = errors.iter().flat_map(|error| error.get("codes").items()).any(|code| REASONS.contains(&code.str()));
        if !found {
            out.forbidden(&node, "there is no error that would be a reason to delete by force")
                .keyed()
                .help(format!("reasons are {}", listed(REASONS)));
        }
    }
}
