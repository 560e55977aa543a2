//! Seeds and shoots: whether a seed that is named can take the shoot, and what cannot change once it has.

use super::prelude::*;
use super::update_spec::status;
use crate::admission::selects;

rules! {
    /// A shoot stays with its seed unless its control plane is moved, which an operation asks for (V-323).
    "SHOOT-SEED-CHANGED", "the seed of a shoot cannot change by its pin", Shoot, stays as Plugin("ShootValidator");
    /// The seed selector of a shoot fits the seed that it is on, and is not removed (V-351).
    "SHOOT-SEED-SELECTED", "the seed selector does not fit the seed", Shoot, selector as Plugin("ShootValidator");
    /// Zones of the control plane are the seed's, and can be chosen where the cloud profile allows it (V-353).
    "SHOOT-CONTROL-PLANE-ZONE", "a zone of the control plane cannot be chosen", Shoot, pinned as Plugin("ShootValidator");
    /// While a control plane is moved to another seed, its specification does not change (V-326).
    "SHOOT-MOVING", "the control plane is being moved", Shoot, moving as Plugin("ShootValidator");
    /// A cluster is hibernated only if it could wake up again: nothing in it may keep the first pods away (V-330).
    "SHOOT-HIBERNATION-IMPOSSIBLE", "the cluster could not wake up again", Shoot, hibernation as Plugin("ShootValidator");
}

/// The seed that a shoot names.
fn seed_of<'a>(cx: &Cx<'a>) -> Option<(Owner, Node<'a>)> {
    let owner = Owner::cluster(Kind::Seed, cx.new.at("spec/seedName").text().filter(|name| !name.is_empty())?);
    let seed = cx.object(&owner).manifest()?;
    Some((owner, Node::root(seed)))
}

fn stays(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/seedName"), cx.before("spec/seedName"));
    if old.is_set() && !new.same(&old) {
        out.refused(&new, format!("the control plane is on seed {}, and does not move by naming {}", old.shown(), new.shown()))
            .help("remove `seedName`, or ask for a migration in `operations/`");
    }
}

/// Whether the shoot comes to a seed now.
fn is_scheduled_now(cx: &Cx<'_>) -> bool {
    !cx.new.at("spec/seedName").same(&cx.before("spec/seedName"))
}

/// The seed takes the shoot: its taints, its room, its zones, its provider and its restrictions (V-324, V-328).
pub(super) fn seed_fits(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    let Some((owner, seed)) = seed_of(cx) else { return };
    let zones = seed.at("spec/provider/zones");
    if cx.new.at("spec/controlPlane/highAvailability/failureTolerance/type").str() == "zone" && zones.items().len() < 3 {
        let text = format!("{owner} has {} zones, a control plane that tolerates the failure of a zone needs 3", zones.items().len());
        out.refused(&node, text).help("name a seed with three zones, or none").beside(&owner, &zones, "its zones");
    }
    if !is_scheduled_now(cx) {
        return;
    }
    let tolerations = cx.new.at("spec/tolerations").items();
    for taint in seed.at("spec/taints").items() {
        let tolerates = |t: &Node<'_>| t.get("key").same(&taint.get("key")) && (!t.get("value").is_set() || t.get("value").same(&taint.get("value")));
        if !tolerations.iter().any(tolerates) {
            out.refused(&node, format!("{owner} has the taint {}, which the shoot does not tolerate", taint.get("key").shown()))
                .help("name another seed, or none")
                .beside(&owner, &taint, "the taint");
        }
    }
    let offered = seed.at("spec/accessRestrictions");
    for restriction in cx.new.at("spec/accessRestrictions").items() {
        if offer::entry(&offered, restriction.get("name").str()).is_none() {
            let text = format!("{owner} does not support the access restriction {}", restriction.get("name").shown());
            out.refused(&node, text).and(&restriction, "the restriction").help("name another seed, or none");
        }
    }
    let room = seed.at("status/allocatable/shoots");
    if let Some(room) = room.text().and_then(|text| text.parse::<i64>().ok()).or(room.int()) {
        let on = |manifest: &serde_json::Value| Node::root(manifest).at("spec/seedName").str() == owner.name;
        let taken = cx.accepted(Kind::Shoot).filter(|(shoot, manifest)| *shoot != cx.owner && on(manifest)).count();
        if i64::try_from(taken).unwrap_or(i64::MAX) >= room {
            out.refused(&node, format!("{owner} has room for {room} shoots, and {taken}")).help("name another seed, or none");
        }
    }
    if let Err(why) = selected(cx, &owner, &seed) {
        out.refused(&node, why).help("name another seed, or none");
    }
}

/// Whether the cloud profile lets its shoots go to a seed.
fn selected(cx: &Cx<'_>, owner: &Owner, seed: &Node<'_>) -> Result<(), String> {
    let profile = offer::profile_of(&cx.new, &cx.owner.project).and_then(|profile| cx.profile(&profile).manifest());
    let Some(profile) = profile.map(Node::root) else { return Ok(()) };
    fits(&profile.at("spec/seedSelector"), seed).map_err(|why| format!("{owner} is not selected by the cloud profile: {why}"))
}

/// Whether a seed selector selects a seed: by its labels, and by its provider.
fn fits(selector: &Node<'_>, seed: &Node<'_>) -> Result<(), String> {
    selects(selector, &seed.at("metadata/labels"))?;
    let (providers, provider) = (selector.get("providerTypes").items(), seed.at("spec/provider/type"));
    if providers.is_empty() || providers.iter().any(|p| p.str() == "*" || p.same(&provider)) {
        return Ok(());
    }
    Err(format!("its provider is {}, not {}", provider.shown(), listed(providers.iter().map(Node::str))))
}

fn selector(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/seedSelector"), cx.before("spec/seedSelector"));
    let Some((owner, seed)) = seed_of(cx).filter(|_| !new.same(&old) || is_scheduled_now(cx)) else { return };
    if !new.is_set() {
        if old.is_set() {
            out.invalid(&new, "the seed selector cannot be removed while the shoot is on a seed").help("put it back");
        }
    } else if let Err(why) = fits(&new, &seed) {
        out.invalid(&new, format!("the seed selector does not select {owner}: {why}")).help("name another seed, or none");
    }
}

fn pinned(cx: &Cx<'_>, out: &mut Out) {
    let zones = cx.new.at("spec/controlPlane/zones");
    if zones.is_empty() {
        return;
    }
    let profile = offer::profile_of(&cx.new, &cx.owner.project);
    if let Some((owner, profile)) = profile.and_then(|owner| Some((owner.clone(), cx.profile(&owner).manifest().map(Node::root)?))) {
        let allowed = profile.at("spec/controlPlane/allowZonePinning");
        if cx.before("spec/controlPlane/zones").is_empty() && allowed.flag() != Some(true) {
            out.forbidden(&zones, format!("{owner} does not let shoots choose zones for their control planes")).help("leave the zones out");
            return;
        }
    }
    let Some((owner, seed)) = seed_of(cx) else { return };
    let theirs = seed.at("spec/provider/zones");
    for zone in zones.items() {
        if !theirs.items().iter().any(|t| t.same(&zone)) {
            out.invalid(&zone, format!("{owner} has no zone {}", zone.shown()))
                .help(format!("it has {}", listed(theirs.items().iter().map(Node::str))))
                .beside(&owner, &theirs, "its zones");
        }
    }
}

fn moving(cx: &Cx<'_>, out: &mut Out) {
    let (Some(old), Some(status)) = (cx.old.clone(), status(cx)) else { return };
    if old.get("spec").same(&cx.new.get("spec")) {
        return;
    }
    let last = status.get("lastOperation");
    let (kind, state) = (last.get("type").str(), last.get("state").str());
    let (wanted, on) = (cx.new.at("spec/seedName"), status.get("seedName"));
    let to_move = last.is_set() && kind != "Migrate" && wanted.is_set() && on.is_set() && !wanted.same(&on);
    let moves = kind == "Migrate" || (kind == "Restore" && state != "Succeeded");
    if to_move || moves {
        out.refused(&cx.new.get("spec"), "the specification cannot change while the control plane is moved to another seed")
            .help("wait until it has arrived");
    }
}

fn hibernation(cx: &Cx<'_>, out: &mut Out) {
    let Some(status) = status(cx) else { return };
    let node = cx.new.at("spec/hibernation/enabled");
    let begins = node.flag() == Some(true) && cx.before("spec/hibernation/enabled").flag() != Some(true);
    let constraints = status.get("constraints").items();
    let found = constraints.iter().find(|c| c.get("type").str() == "HibernationPossible" && c.get("status").str() != "True");
    if let Some(constraint) = found.filter(|_| begins) {
        out.refused(&node, format!("the cluster could not wake up again: {}", constraint.get("message").str()))
            .help("mend what is named, or leave the cluster awake");
    }
}
