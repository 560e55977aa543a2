//! The filters, in Gardener's order: each takes seeds out and says why.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::strategy::{Setting, closest};
use super::{Placement, Rejections, SeedState, Usage};
use crate::admission::{Admitted, Node, effective_profile, profile_of, selects};
use crate::landscape::{Kind, Owner};
use crate::value::Cidr;

/// Gardener's default for the number of shoots on a seed.
const CAPACITY: usize = 250;
/// Ranges that the way between seed and shoot needs for itself.
const RESERVED: [&str; 6] = ["240.0.0.0/8", "241.0.0.0/8", "242.0.0.0/8", "243.0.0.0/8", "244.0.0.0/8", "fd8f:6d53:b97a:1::/96"];
fn reserved() -> &'static [Cidr] {
    static READ: OnceLock<Vec<Cidr>> = OnceLock::new();
    READ.get_or_init(|| RESERVED.iter().filter_map(|range| range.parse().ok()).collect())
}

/// The annotation by which a seed is taken out of reconciliation.
const DISABLED: &str = "shoot.gardener.cloud/emergency-stop-shoot-reconciliations";

/// A seed as the filters see it.
pub(super) struct Candidate<'a> {
    pub name: &'a str,
    pub manifest: Node<'a>,
    state: Option<&'a SeedState>,
    capacity: usize,
    /// Its ranges, and those that it gives to shoots which name none; each of [`RANGES`].
    ranges: [Option<Cidr>; 3],
    defaults: [Option<Cidr>; 3],
}

/// The ranges that a cluster has.
const RANGES: [&str; 3] = ["nodes", "pods", "services"];

/// The ranges below a node that can be read.
fn ranges(node: &Node<'_>) -> [Option<Cidr>; 3] {
    RANGES.map(|what| node.get(what).text().and_then(|text| text.parse().ok()))
}

/// All admitted seeds in the order of their names.
pub(super) fn seeds<'a>(admitted: &'a Admitted, usage: &'a Usage) -> Vec<Candidate<'a>> {
    admitted
        .of_kind(Kind::Seed)
        .map(|(owner, value)| Candidate {
            name: &owner.name,
            manifest: Node::root(value),
            state: usage.seeds.get(&owner.name),
            capacity: capacity(admitted, &owner.name),
            ranges: ranges(&Node::root(value).at("spec/networks")),
            defaults: ranges(&Node::root(value).at("spec/networks/shootDefaults")),
        })
        .collect()
}

/// How many shoots a seed may host: what its gardenlet was told, where a managed seed says so.
fn capacity(admitted: &Admitted, seed: &str) -> usize {
    let managed = admitted.objects.get(&Owner::project(Kind::ManagedSeed, "garden", seed));
    let said = managed.and_then(|m| m.pointer("/spec/gardenlet/config/resources/capacity/shoots")).and_then(Value::as_u64);
    said.and_then(|n| usize::try_from(n).ok()).unwrap_or(CAPACITY)
}

/// Everything about a shoot that the filters ask for.
struct Wish<'a> {
    shoot: Node<'a>,
    profile: Node<'a>,
    landscape: Node<'a>,
    load: &'a BTreeMap<String, usize>,
    ranges: [Option<Cidr>; 3],
}

type Filter = fn(&Wish<'_>, &Candidate<'_>) -> Result<(), String>;

/// Those that look at one seed each, in order. The first and the third ask for nothing but what is in a [`Want`]: shoots that want
/// the same get the same answers.
const FILTERS: ([Filter; 7], Filter, Filter, Filter) =
    ([usable, by_profile, by_shoot, by_provider, by_zones, by_restrictions, reconciled], by_networks, by_taints, by_capacity);

/// What the filters that are remembered ask of a shoot.
#[derive(PartialEq, Eq, Hash)]
struct Want<'a> {
    profile: Option<Owner>,
    fields: [Option<&'a Value>; 6],
    /// The zones of each pool.
    pools: Vec<Option<&'a Value>>,
}

impl<'a> Want<'a> {
    fn of(shoot: &Node<'a>, profile: Option<Owner>) -> Self {
        let fields = [
            "spec/seedSelector",
            "spec/provider/type",
            "spec/controlPlane/highAvailability/failureTolerance/type",
            "spec/controlPlane/zones",
            "spec/accessRestrictions",
            "spec/tolerations",
        ];
        let pools = shoot.at("spec/provider/workers").items();
        Self {
            profile,
            fields: fields.map(|field| shoot.at(field).value()),
            pools: pools.iter().map(|p| p.get("zones").value()).collect(),
        }
    }
}

/// What filters said of each seed: those before the networks are looked at, and the taints after that.
type Answers = Vec<(Result<(), String>, Result<(), String>)>;

/// What choosing remembers between shoots.
#[derive(Default)]
pub(super) struct Remembered<'a> {
    answers: HashMap<Want<'a>, Answers>,
    profiles: BTreeMap<Owner, Option<Arc<Value>>>,
}

/// The seed for a shoot, or why there is none.
pub(super) fn choose<'a>(
    admitted: &Admitted,
    owner: &Owner,
    shoot: &'a Arc<Value>,
    seeds: &[Candidate<'_>],
    load: &BTreeMap<String, usize>,
    remembered: &mut Remembered<'a>,
) -> Result<Placement, Rejections> {
    let Remembered { answers, profiles } = remembered;
    let profile_owner = profile_of(&Node::root(shoot), &owner.project);
    let profile = profile_owner
        .as_ref()
        .and_then(|p| profiles.entry(p.clone()).or_insert_with(|| effective_profile(&admitted.objects, p)).clone());
    let nothing = Value::Null;
    let landscape = admitted.of_kind(Kind::Landscape).next().map_or(&nothing, |(_, value)| value.as_ref());
    let profile_name = profile_owner.as_ref().map(|p| p.name.clone()).unwrap_or_default();
    let wish = Wish {
        shoot: Node::root(shoot),
        profile: Node::root(profile.as_deref().unwrap_or(&nothing)),
        landscape: Node::root(landscape),
        load,
        ranges: ranges(&Node::root(shoot).at("spec/networking")),
    };
    let (first, networks, taints, capacity) = FILTERS;
    let answers = answers.entry(Want::of(&Node::root(shoot), profile_owner)).or_insert_with(|| {
        let answers = |seed: &Candidate<'_>| (first.iter().try_for_each(|filter| filter(&wish, seed)), taints(&wish, seed));
        seeds.iter().map(answers).collect()
    });
    let mut rejections = Rejections::default();
    let mut left: Vec<&Candidate<'_>> = Vec::new();
    for (seed, (before, after)) in seeds.iter().zip(&*answers) {
        let suits = before.clone().and_then(|()| networks(&wish, seed)).and_then(|()| after.clone());
        match suits.and_then(|()| capacity(&wish, seed)) {
            Ok(()) => left.push(seed),
            Err(why) => drop(rejections.0.insert(seed.name.to_owned(), why)),
        }
    }
    left = by_domain(&wish, left, &mut rejections);
    let setting = Setting::of(&wish.landscape, &wish.shoot, admitted.distances.get(&profile_name));
    let (mut left, how) = closest(&setting, left, &mut rejections);
    prefer_zones(&wish, &mut left, &mut rejections);
    let count = |seed: &Candidate<'_>| load.get(seed.name).copied().unwrap_or(0);
    // Names are in order, and the first of equals is taken: the same inputs give the same seed.
    let Some(best) = left.iter().min_by_key(|seed| (count(seed), seed.name)) else { return Err(rejections) };
    if let Some(state) = best.state.filter(|state| !state.ready) {
        rejections.0.insert(best.name.to_owned(), format!("is the one, and {}", unready(state)));
        return Err(rejections);
    }
    for other in left.iter().filter(|s| s.name != best.name) {
        rejections
            .0
            .insert(other.name.to_owned(), format!("has {} shoots, seed {} has {}", count(other), best.name, count(best)));
    }
    let why = format!("{how}, {} of {} shoots", count(best), best.capacity);
    Ok(Placement { seed: best.name.to_owned(), why, rejections })
}

fn usable(_: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let Some(state) = seed.state else { return Err("was not seen yet".to_owned()) };
    if state.deleting {
        return Err("is being deleted".to_owned());
    }
    if seed.manifest.at("spec/settings/scheduling/visible").flag() == Some(false) {
        return Err("is not visible for scheduling".to_owned());
    }
    if !state.ready && !state.coming_up {
        return Err(unready(state));
    }
    Ok(())
}

fn unready(state: &SeedState) -> String {
    state.reason.as_ref().map_or_else(|| "is not ready".to_owned(), |why| format!("is not ready: {why}"))
}

fn by_profile(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    selected(&wish.profile.at("spec/seedSelector"), seed).map_err(|why| format!("is not selected by the cloud profile: {why}"))
}

fn by_shoot(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    selected(&wish.shoot.at("spec/seedSelector"), seed).map_err(|why| format!("is not selected by the shoot: {why}"))
}

/// A label selector over a seed's labels.
fn selected(selector: &Node<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    selects(selector, &seed.manifest.at("metadata/labels"))
}

fn by_provider(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let (mine, theirs) = (wish.shoot.at("spec/provider/type"), seed.manifest.at("spec/provider/type"));
    let allowed: Vec<&str> = wish.profile.at("spec/seedSelector/providerTypes").items().iter().map(Node::str).collect();
    let fits = if allowed.is_empty() { mine.same(&theirs) } else { allowed.contains(&"*") || allowed.contains(&theirs.str()) };
    if fits { Ok(()) } else { Err(format!("is on {}, the shoot needs {}", theirs.shown(), mine.shown())) }
}

fn zones<'a>(node: &Node<'a>) -> BTreeSet<&'a str> {
    node.items().iter().filter_map(Node::text).collect()
}

fn by_zones(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let theirs = zones(&seed.manifest.at("spec/provider/zones"));
    if wish.shoot.at("spec/controlPlane/highAvailability/failureTolerance/type").str() == "zone" && theirs.len() < 3 {
        return Err(format!("has {} zones, a control plane that tolerates the failure of a zone needs 3", theirs.len()));
    }
    let wanted = zones(&wish.shoot.at("spec/controlPlane/zones"));
    if !wanted.is_subset(&theirs) {
        let missing: Vec<&str> = wanted.difference(&theirs).copied().collect();
        return Err(format!("does not have zone {}", missing.join(", ")));
    }
    if wanted.is_empty() && seed.manifest.at("spec/settings/zoneSelection/mode").str() == "Enforce" && !shares_zone(wish, seed) {
        return Err("has none of the workers' zones, and insists on one".to_owned());
    }
    Ok(())
}

/// Whether a seed has a zone in which workers are.
fn shares_zone(wish: &Wish<'_>, seed: &Candidate<'_>) -> bool {
    let theirs = zones(&seed.manifest.at("spec/provider/zones"));
    let pools = wish.shoot.at("spec/provider/workers").items();
    let mine: BTreeSet<&str> = pools.iter().flat_map(|pool| zones(&pool.get("zones"))).collect();
    mine.is_empty() || !mine.is_disjoint(&theirs)
}

fn by_restrictions(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let offered = seed.manifest.at("spec/accessRestrictions").items();
    for wanted in wish.shoot.at("spec/accessRestrictions").items() {
        if !offered.iter().any(|o| o.get("name").same(&wanted.get("name"))) {
            return Err(format!("does not support the access restriction {}", wanted.get("name").shown()));
        }
    }
    Ok(())
}

fn reconciled(_: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let stopped = seed.manifest.at("metadata/annotations").get(DISABLED);
    if stopped.text().is_some_and(|v| v != "false") { Err("has its shoots stopped".to_owned()) } else { Ok(()) }
}

fn by_networks(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    for (i, what) in RANGES.iter().enumerate() {
        let Some(own) = wish.ranges[i].or(seed.defaults[i]) else { continue };
        if let Some(taken) = reserved().iter().find(|range| range.overlaps(&own)) {
            return Err(format!("cannot take {what} `{own}`: `{taken}` is reserved"));
        }
        // IPv4 ranges may be the same on both sides: the way between them maps addresses.
        for (other, theirs) in RANGES.iter().zip(seed.ranges) {
            if let Some(theirs) = theirs.filter(|theirs| !own.is_ipv4() && theirs.overlaps(&own)) {
                return Err(format!("has {other} `{theirs}`, which overlap with the shoot's {what} `{own}`"));
            }
        }
    }
    Ok(())
}

fn by_taints(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let tolerations = wish.shoot.at("spec/tolerations").items();
    for taint in seed.manifest.at("spec/taints").items() {
        let tolerated = |t: &Node<'_>| {
            t.get("key").same(&taint.get("key")) && (!t.get("value").is_set() || t.get("value").same(&taint.get("value")))
        };
        if !tolerations.iter().any(tolerated) {
            return Err(format!("has the taint {}, which the shoot does not tolerate", taint.get("key").shown()));
        }
    }
    Ok(())
}

fn by_capacity(wish: &Wish<'_>, seed: &Candidate<'_>) -> Result<(), String> {
    let used = wish.load.get(seed.name).copied().unwrap_or(0);
    if used < seed.capacity { Ok(()) } else { Err(format!("no capacity ({used}/{})", seed.capacity)) }
}

/// If the shoot's domain lies below a default domain of some seed, only seeds with that domain are left.
fn by_domain<'a, 'b>(wish: &Wish<'_>, left: Vec<&'b Candidate<'a>>, rejections: &mut Rejections) -> Vec<&'b Candidate<'a>> {
    let domain = wish.shoot.at("spec/dns/domain").str();
    let below = |seed: &Candidate<'_>| {
        let defaults = seed.manifest.at("spec/dns/defaults").items();
        defaults.iter().any(|d| domain.strip_suffix(d.get("domain").str()).is_some_and(|head| head.ends_with('.')))
    };
    if domain.is_empty() || !left.iter().any(|seed| below(seed)) {
        return left;
    }
    let (fitting, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|seed| below(seed));
    rejections.0.extend(others.iter().map(|seed| (seed.name.to_owned(), format!("does not manage the domain `{domain}`"))));
    fitting
}

/// Seeds that prefer to share a zone with the workers come before those that do not share one.
fn prefer_zones(wish: &Wish<'_>, left: &mut Vec<&Candidate<'_>>, rejections: &mut Rejections) {
    let prefers = |seed: &Candidate<'_>| seed.manifest.at("spec/settings/zoneSelection/mode").str() == "Prefer";
    if !wish.shoot.at("spec/controlPlane/zones").is_empty() || !left.iter().any(|s| prefers(s) && shares_zone(wish, s)) {
        return;
    }
    left.retain(|seed| {
        let stays = !prefers(seed) || shares_zone(wish, seed);
        if !stays {
            rejections.0.insert(seed.name.to_owned(), "has none of the workers' zones, others do".to_owned());
        }
        stays
    });
}
