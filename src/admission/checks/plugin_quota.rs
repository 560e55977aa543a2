//! Quotas: what all shoots that use the same credentials may have together.

use std::collections::BTreeMap;

use super::prelude::*;
use crate::value::Quantity;

rules! {
    /// The shoots that share a quota stay within it (V-361).
    ///
    /// Counted is what their pools may become: the largest number of machines, with their processors, memory and volumes, and a
    /// load balancer for each shoot, and for each ingress controller. It is looked at when a shoot is new or grows.
    "SHOOT-QUOTA", "a quota is exceeded", Shoot, within as Plugin("ShootQuotaValidator");
    /// A shoot lives no longer than its quotas allow, counted from when it is asked to live longer (V-362).
    ///
    /// The annotation `shoot.gardener.cloud/expiration-timestamp` says until when. Each time, it can be moved by as many days as the
    /// strictest quota has in `clusterLifetimeDays`. What a new shoot says is not looked at.
    "SHOOT-LIFETIME", "the shoot would live too long", Shoot, lifetime as Plugin("ShootQuotaValidator");
}

const MEASURES: [&str; 6] = ["cpu", "gpu", "memory", "storage.standard", "storage.premium", "loadbalancer"];

type Amounts = BTreeMap<&'static str, Quantity>;

fn quantity(node: &Node<'_>) -> Quantity {
    let text = node.text().map(str::to_owned).or_else(|| node.int().map(|n| n.to_string()));
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn add(amounts: &mut Amounts, measure: &'static str, amount: Quantity, times: i64) {
    let entry = amounts.entry(measure).or_default();
    *entry = *entry + amount.times(times);
}

/// What a shoot may become; or where it says something that the cloud profile does not know.
fn most<'a>(shoot: &Node<'a>, profile: &Node<'_>) -> Result<Amounts, (Node<'a>, String)> {
    let mut amounts = Amounts::new();
    for pool in shoot.at("spec/provider/workers").items() {
        let (kind, volume) = (pool.at("machine/type"), pool.get("volume"));
        let Some(machine) = offer::entry(&profile.at("spec/machineTypes"), kind.str()) else {
            return Err((kind.clone(), format!("the quota cannot be compared: machine type {} is unknown", kind.shown())));
        };
        let times = pool.get("maximum").int().unwrap_or(0);
        for measure in ["cpu", "gpu", "memory"] {
            add(&mut amounts, measure, quantity(&machine.get(measure)), times);
        }
        let storage = machine.get("storage");
        let given = volume.is_set();
        let class = if storage.is_set() && (given || storage.get("size").is_set()) {
            Some(storage.get("class"))
        } else {
            let found = offer::entry(&profile.at("spec/volumeTypes"), volume.get("type").str());
            found.filter(|_| volume.get("type").is_set()).map(|entry| entry.get("class"))
        };
        let measure = match class.as_ref().map(Node::str) {
            Some("standard") => "storage.standard",
            Some("premium") => "storage.premium",
            _ => {
                let node = if given { volume.get("type") } else { volume };
                let text = format!("the quota cannot be compared: the kind of volume of pool `{}` is unknown", pool.get("name").str());
                return Err((node, text));
            }
        };
        let size = if given { pool.at("volume/size") } else { Node::absent() };
        add(&mut amounts, measure, if given { quantity(&size) } else { quantity(&storage.get("size")) }, times);
    }
    let ingress = shoot.at("spec/addons/nginxIngress/enabled").flag() == Some(true);
    add(&mut amounts, "loadbalancer", Quantity::units(if ingress { 2 } else { 1 }), 1);
    Ok(amounts)
}

/// Whether a shoot grows: an ingress controller is switched on, or pools are new or have other machines.
fn grows(cx: &Cx<'_>) -> bool {
    let Some(old) = cx.old.as_ref() else { return true };
    let ingress = |shoot: &Node<'_>| shoot.at("spec/addons/nginxIngress/enabled").flag() == Some(true);
    let before = old.at("spec/provider/workers").items();
    let changed = |pool: &Node<'_>| {
        let was = before.iter().find(|b| b.get("name").same(&pool.get("name")));
        was.is_none_or(|was| ["machine/type", "maximum", "volume"].iter().any(|path| !pool.at(path).same(&was.at(path))))
    };
    (ingress(&cx.new) && !ingress(old)) || cx.new.at("spec/provider/workers").items().iter().any(changed)
}

/// The quotas that a binding names.
fn quotas(binding: &Node<'_>, project: &str) -> Vec<Owner> {
    let own = crate::observed::project_namespace(project);
    let of = |quota: &Node<'_>| {
        let namespace = quota.get("namespace").text().unwrap_or(&own);
        let project = crate::observed::project_of(namespace).unwrap_or(namespace);
        Owner::project(Kind::Quota, project, quota.get("name").str())
    };
    binding.get("quotas").items().iter().map(of).collect()
}

fn bound_quotas(cx: &Cx<'_>, shoot: &Node<'_>, project: &str) -> Vec<Owner> {
    let Some((binding, _)) = offer::binding_of(shoot, project) else { return Vec::new() };
    cx.object(&binding).manifest().map(|found| quotas(&Node::root(found), project)).unwrap_or_default()
}

/// What other shoots that share a quota may become.
fn used(cx: &Cx<'_>, quota: &Owner, by_project: bool) -> Amounts {
    let mut sum = Amounts::new();
    for (owner, manifest) in cx.accepted(Kind::Shoot) {
        let shoot = Node::root(manifest);
        let counts = owner != cx.owner && (!by_project || owner.project == cx.owner.project);
        if !counts || !bound_quotas(cx, &shoot, &owner.project).contains(quota) {
            continue;
        }
        let profile = offer::profile_of(&shoot, &owner.project).and_then(|profile| cx.profile(&profile).manifest());
        if let Some(Ok(amounts)) = profile.map(|profile| most(&shoot, &Node::root(profile))) {
            for (measure, amount) in amounts {
                add(&mut sum, measure, amount, 1);
            }
        }
    }
    sum
}

fn within(cx: &Cx<'_>, out: &mut Out) {
    if cx.new.at("metadata/deletionTimestamp").is_set() || !grows(cx) {
        return;
    }
    let profile = offer::profile_of(&cx.new, &cx.owner.project).and_then(|profile| cx.profile(&profile).manifest());
    let Some(profile) = profile.map(Node::root) else { return };
    for owner in bound_quotas(cx, &cx.new, &cx.owner.project) {
        let Some(quota) = cx.object(&owner).manifest().map(Node::root) else { continue };
        let mine = match most(&cx.new, &profile) {
            Ok(mine) => mine,
            Err((node, text)) => {
                out.refused(&node, text).help("name one that the cloud profile describes");
                return;
            }
        };
        let others = used(cx, &owner, quota.at("spec/scope/kind").str() == "Project");
        let limits = quota.at("spec/metrics");
        let amount = |amounts: &Amounts, measure: &str| amounts.get(measure).copied().unwrap_or_default();
        let exceeded: Vec<(&str, String)> = MEASURES
            .iter()
            .filter_map(|measure| {
                let (limit, wanted) = (limits.get(measure), amount(&mine, measure) + amount(&others, measure));
                let text = || format!("{} of {measure}, and {wanted} could be used", limit.str());
                (limit.is_set() && wanted > quantity(&limit)).then(|| (*measure, text()))
            })
            .collect();
        let Some((first, _)) = exceeded.first() else { continue };
        let texts: Vec<&str> = exceeded.iter().map(|(_, text)| text.as_str()).collect();
        let workers = cx.new.at("spec/provider/workers");
        let raised = out
            .refused(&workers, format!("{owner} allows {}", texts.join("; ")))
            .help(format!("the shoot itself may become {} of {first}: lower `maximum`", amount(&mine, first)));
        for (measure, _) in &exceeded {
            raised.beside(&owner, &limits.get(measure), "the limit");
        }
    }
}

const EXPIRES: &str = "shoot.gardener.cloud/expiration-timestamp";

fn lifetime(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/annotations").get(EXPIRES);
    if cx.is_new() || !node.is_set() || node.same(&cx.before("metadata/annotations").get(EXPIRES)) {
        return;
    }
    let days = |owner: Owner| Some((cx.object(&owner).manifest().map(Node::root)?.at("spec/clusterLifetimeDays"), owner));
    let quotas = bound_quotas(cx, &cx.new, &cx.owner.project).into_iter().filter_map(days);
    let strictest = quotas.filter_map(|(days, owner)| Some((days.int()?, days, owner))).min_by_key(|(most, ..)| *most);
    let Some((most, days, owner)) = strictest else { return };
    let Some(wanted) = offer::moment(node.str()) else {
        out.refused(&node, format!("{} is no moment", node.shown())).help("for example `2030-01-31T12:00:00Z`");
        return;
    };
    if !cx.is_past(wanted.saturating_sub(most.saturating_mul(86_400))) {
        out.refused(&node, format!("the shoot would live until {}, and {owner} allows {most} days from now", node.shown()))
            .help(format!("at most {most} days ahead; it can be moved again later"))
            .beside(&owner, &days, "the limit");
    }
}
