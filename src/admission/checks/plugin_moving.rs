//! Moving control planes from one seed to another, and what goes on while a seed or a project is on its way out.

use super::prelude::*;
use super::update_spec::status;
use crate::admission::{CONFIRMATION, selects};

rules! {
    /// A control plane moves between seeds that both have backups and the same internal domain, and to one that offers the default
    /// domain that the shoot uses (V-325).
    ///
    /// An operation `migrate` asks for it; its argument `seed` names the seed to move to.
    "OPERATION-MOVE", "a control plane cannot move to this seed", Operation, asked as Plugin("ShootValidator");
    /// A control plane moves without interruption only behind Gardener's feature gate `LiveControlPlaneMigration`, if it is highly
    /// available and awake, between near seeds of one provider and of the same version of the agent (V-356).
    ///
    /// The annotation `migration.gardener.cloud/live-migrate` asks for it. Two regions are near up to a distance of 180, or of what the
    /// ConfigMap of region distances says in `migration.gardener.cloud/inter-region-distance-threshold`; a shoot with the annotation
    /// `migration.gardener.cloud/allow-distant-regions: "true"` moves any distance.
    "SHOOT-LIVE-MOVE", "the control plane cannot move without interruption", Shoot, live as Plugin("ShootValidator");
    /// A shoot is not deleted while its control plane is being moved to another seed (V-327).
    "SHOOT-DELETE-MOVING", "the control plane is being moved", Shoot, deletion as Plugin("ShootValidator");
    /// No shoot comes to a seed that is being deleted, and those that are there change no more (V-324, V-329).
    ///
    /// Only the confirmation of their deletion can be added.
    "SHOOT-SEED-DELETING", "the seed is being deleted", Shoot, seed_goes as Plugin("ShootValidator");
    /// No shoot comes into a project that is being deleted (V-321).
    "SHOOT-PROJECT-DELETING", "the project is being deleted", Shoot, project_goes as Plugin("ShootValidator");
}

const LIVE: &str = "migration.gardener.cloud/live-migrate";
const DISTANT: &str = "migration.gardener.cloud/allow-distant-regions";
const THRESHOLD: &str = "migration.gardener.cloud/inter-region-distance-threshold";
/// How far regions may be from each other unless somebody says otherwise.
const NEAR: i64 = 180;

/// A seed by its name.
fn seed<'a>(cx: &Cx<'a>, name: &str) -> Option<(Owner, Node<'a>)> {
    let owner = Owner::cluster(Kind::Seed, name);
    let manifest = cx.object(&owner).manifest()?;
    Some((owner, Node::root(manifest)))
}

/// The seeds between which the shoot is to move.
fn both<'a>(cx: &Cx<'a>) -> Option<[(Owner, Node<'a>); 2]> {
    let (old, new) = (cx.before("spec/seedName"), cx.new.at("spec/seedName"));
    if old.is_empty() || new.is_empty() || old.same(&new) {
        return None;
    }
    Some([seed(cx, old.str())?, seed(cx, new.str())?])
}

/// Why a control plane cannot move from one seed to another.
fn obstacles(domain: &str, [from, to]: &[(Owner, Node<'_>); 2]) -> Vec<String> {
    let mut all = Vec::new();
    for (owner, seed) in [from, to] {
        if !seed.at("spec/backup").is_set() {
            all.push(format!("{owner} has no backup"));
        }
    }
    let internal = |seed: &Node<'_>| seed.at("spec/dns/internal/domain").str().to_owned();
    if internal(&from.1) != internal(&to.1) {
        all.push(format!("the internal domain of {} is `{}`, that of {} `{}`", from.0, internal(&from.1), to.0, internal(&to.1)));
    }
    let defaults = |seed: &Node<'_>| -> Vec<String> { seed.at("spec/dns/defaults").items().iter().map(|d| d.get("domain").str().to_owned()).collect() };
    let used = defaults(&from.1).into_iter().find(|base| domain.ends_with(&format!(".{base}")));
    if let Some(base) = used.filter(|base| !defaults(&to.1).contains(base)) {
        all.push(format!("{} does not offer the default domain `{base}`", to.0));
    }
    all
}

/// Whether an operation is about a shoot: all that its selector says holds.
fn is_about(selector: &Node<'_>, owner: &Owner, shoot: &Node<'_>) -> bool {
    let named = |list: &str, name: &str| selector.get(list).is_empty() || selector.get(list).items().iter().any(|item| item.str() == name);
    let labels = selector.get("labels");
    ["shoots", "projects", "seeds", "labels"].iter().any(|part| !selector.get(part).is_empty())
        && named("shoots", &owner.key())
        && named("projects", &owner.project)
        && named("seeds", shoot.at("spec/seedName").str())
        && (!labels.is_set() || selects(&labels, &shoot.at("metadata/labels")).is_ok())
}

fn asked(cx: &Cx<'_>, out: &mut Out) {
    let to = cx.new.at("spec/args/seed");
    if cx.new.at("spec/request").str() != "migrate" || to.is_empty() {
        return;
    }
    let Some(new) = seed(cx, to.str()) else {
        out.refused(&to, format!("there is no seed {}", to.shown())).help(format!("there is {}", listed(cx.names(Kind::Seed, ""))));
        return;
    };
    let selector = cx.new.at("spec/selector");
    for (owner, manifest) in cx.others(Kind::Shoot) {
        let shoot = Node::root(manifest);
        let name = shoot.at("spec/seedName");
        if name.is_empty() || name.same(&to) || !is_about(&selector, owner, &shoot) {
            continue;
        }
        let Some(old) = seed(cx, name.str()) else { continue };
        for why in obstacles(shoot.at("spec/dns/domain").str(), &[old, new.clone()]) {
            out.refused(&to, format!("{owner} cannot move: {why}")).help("choose a seed that has what the old one has");
        }
    }
}

/// How far two regions are from each other, and how far they may be.
fn distance(cx: &Cx<'_>, from: &str, to: &str) -> Option<(i64, i64)> {
    let profile = offer::profile_of(&cx.new, &cx.owner.project)?;
    let known = cx.distances(&profile.name)?.get(from)?.get(to)?;
    let of = |map: &Node<'_>| map.at("metadata/labels").get("scheduling.gardener.cloud/purpose").str() == "region-config";
    let said = |map: Node<'_>| map.at("metadata/annotations").get(THRESHOLD).str().parse().ok();
    let most = cx.foreigners("ConfigMap", "garden").filter(of).find_map(said);
    Some((*known, most.unwrap_or(NEAR)))
}

fn live(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/annotations").get(LIVE);
    if node.str() != "true" {
        return;
    }
    let asked = !cx.before("metadata/annotations").get(LIVE).same(&node);
    let mut refuse = |why: String, help: &str| {
        out.forbidden(&node, format!("the control plane cannot move without interruption: {why}")).keyed().help(help);
    };
    if asked && !cx.gate("LiveControlPlaneMigration") {
        refuse("Gardener's feature gate `LiveControlPlaneMigration` is off".to_owned(), "remove the annotation");
    }
    if cx.is_new() {
        refuse("the shoot is new".to_owned(), "remove the annotation");
    }
    let Some([(from, old), (to, new)]) = both(cx) else { return };
    if !cx.new.at("spec/controlPlane/highAvailability").is_set() {
        refuse("it is not highly available".to_owned(), "make it highly available first");
    }
    let sleeps = status(cx).is_some_and(|status| status.get("isHibernated").flag() == Some(true));
    if sleeps || cx.new.at("spec/hibernation/enabled").flag() == Some(true) {
        refuse("the cluster is hibernated or waking up".to_owned(), "wake it up first");
    }
    for (what, path) in [("provider", "spec/provider/type"), ("version of the agent", "status/gardener/version")] {
        let (a, b) = (old.at(path), new.at(path));
        if !a.same(&b) {
            refuse(format!("the {what} of {from} is {}, that of {to} {}", a.shown(), b.shown()), "choose another seed");
        }
    }
    let (a, b) = (old.at("spec/provider/region").str(), new.at("spec/provider/region").str());
    let anyway = cx.new.at("metadata/annotations").get(DISTANT).str() == "true";
    if let Some((far, most)) = distance(cx, a, b).filter(|(far, most)| a != b && !anyway && far > most) {
        refuse(format!("the distance from `{a}` to `{b}` is {far}, the most is {most}"), "choose a nearer seed");
    }
}

fn deletion(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/annotations").get(CONFIRMATION);
    let newly = node.str() == "true" && !cx.before("metadata/annotations").get(CONFIRMATION).same(&node);
    let Some(status) = status(cx).filter(|_| newly) else { return };
    let last = status.get("lastOperation");
    let (kind, state) = (last.get("type").str(), last.get("state").str());
    if kind == "Migrate" || (kind == "Restore" && state != "Succeeded") {
        out.refused(&node, format!("the control plane is being moved ({kind} is {state}), and the shoot cannot be deleted meanwhile"))
            .help("wait until it has arrived");
    }
}

fn is_going(object: &Node<'_>) -> bool {
    object.at("metadata/deletionTimestamp").is_set()
}

fn seed_goes(cx: &Cx<'_>, out: &mut Out) {
    let name = cx.new.at("spec/seedName");
    let Some((owner, _)) = seed(cx, name.str()).filter(|(_, seed)| is_going(seed)) else { return };
    if !name.same(&cx.before("spec/seedName")) {
        out.refused(&name, format!("{owner} is being deleted, and takes no shoots")).help("name another seed, or none");
        return;
    }
    let (spec, notes) = (cx.new.get("spec"), cx.new.at("metadata/annotations"));
    if !spec.same(&cx.before("spec")) {
        out.refused(&spec, format!("{owner} is being deleted, and its shoots change no more")).help("put back what was there");
    }
    let before = cx.before("metadata/annotations");
    let differs = |key: &&str| *key != CONFIRMATION && !notes.get(key).same(&before.get(key));
    let keys = notes.entries().into_iter().chain(before.entries()).map(|(key, _)| key);
    if let Some(key) = keys.collect::<Vec<_>>().iter().find(|key| differs(key)) {
        out.refused(&notes.get(key), format!("{owner} is being deleted, and the annotation `{key}` of its shoots changes no more"))
            .help(format!("only `{CONFIRMATION}` can be added"));
    }
}

fn project_goes(cx: &Cx<'_>, out: &mut Out) {
    let owner = Owner::cluster(Kind::Project, &cx.owner.project);
    let Some(project) = cx.object(&owner).manifest().map(Node::root).filter(|_| cx.is_new()) else { return };
    if is_going(&project) {
        out.refused(&cx.new.at("metadata/name"), format!("{owner} is being deleted, and takes no shoots")).help("make it in another project");
    }
}
