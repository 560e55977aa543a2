//! Placement: which seed, and why not the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use espalier::admission::Admitted;
use espalier::landscape::{Kind, Owner};
use espalier::schedule::{Placements, SeedState, Usage, place};
use proptest::prelude::*;
use serde_json::{Value, json};

fn seed(name: &str, region: &str) -> (Owner, Value) {
    let value = json!({"metadata": {"name": name, "labels": {"env": "prod"}}, "spec": {
        "provider": {"type": "aws", "region": region, "zones": ["a", "b", "c"]},
        "networks": {"pods": "10.2.0.0/16", "services": "10.3.0.0/16"}}});
    (Owner::cluster(Kind::Seed, name), value)
}

fn shoot(name: &str) -> (Owner, Value) {
    let value = json!({"metadata": {"name": name}, "spec": {"region": "eu-1", "cloudProfile": {"name": "aws"},
        "provider": {"type": "aws", "workers": [{"name": "w", "zones": ["a"]}]}}});
    (Owner::project(Kind::Shoot, "p", name), value)
}

fn profile() -> (Owner, Value) {
    (Owner::cluster(Kind::CloudProfile, "aws"), json!({"spec": {"type": "aws"}}))
}

fn admitted(objects: Vec<(Owner, Value)>) -> Admitted {
    Admitted { objects: objects.into_iter().map(|(o, v)| (o, Arc::new(v))).collect(), ..Admitted::default() }
}

fn usage(admitted: &Admitted) -> Usage {
    let ready = SeedState { ready: true, ..SeedState::default() };
    Usage { seeds: admitted.of_kind(Kind::Seed).map(|(o, _)| (o.name.clone(), ready.clone())).collect(), placed: BTreeMap::new() }
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            over.iter().for_each(|(k, v)| merge(base.entry(k).or_insert(Value::Null), v));
        }
        (base, over) => *base = over.clone(),
    }
}

/// Two seeds, eu and us, and one shoot, each with changes; the outcome in one line.
fn outcome(eu: Value, us: Value, wish: Value, change: impl FnOnce(&mut Admitted, &mut Usage)) -> String {
    let mut objects = vec![profile(), seed("eu", "eu-1"), seed("us", "us-1"), shoot("s")];
    for (index, over) in [(1, eu), (2, us), (3, wish)] {
        merge(&mut objects[index].1, &over);
    }
    let mut admitted = admitted(objects);
    let mut usage = usage(&admitted);
    change(&mut admitted, &mut usage);
    told(&place(&admitted, &usage), &Owner::project(Kind::Shoot, "p", "s"))
}

fn told(placements: &Placements, owner: &Owner) -> String {
    match (placements.decisions.get(owner), placements.failures.get(owner)) {
        (Some(p), _) if p.rejections.0.is_empty() => format!("{}: {}", p.seed, p.why),
        (Some(p), _) => format!("{}: {} / {}", p.seed, p.why, p.rejections),
        (None, Some(rejections)) => rejections.to_string(),
        (None, None) => "nothing".to_owned(),
    }
}

fn simple(eu: Value, wish: Value) -> String {
    outcome(eu, json!({}), wish, |_, _| {})
}

#[test]
fn each_filter_says_why() {
    let none = || json!({});
    let far = "seed us: is in region `us-1`, the shoot is in `eu-1`";
    assert_eq!(simple(none(), none()), format!("eu: the shoot's region `eu-1`, 0 of 250 shoots / {far}"));
    let cases = [
        (json!({"spec": {"settings": {"scheduling": {"visible": false}}}}), none(), "is not visible for scheduling"),
        (
            none(),
            json!({"spec": {"seedSelector": {"matchLabels": {"env": "dev"}}}}),
            "is not selected by the shoot: its label `env` is `prod`, not `dev`",
        ),
        (
            none(),
            json!({"spec": {"seedSelector": {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}}}),
            "is not selected by the shoot: its label `env` is `prod`, which `NotIn` does not allow",
        ),
        (json!({"spec": {"provider": {"type": "gcp"}}}), none(), "is on `gcp`, the shoot needs `aws`"),
        (
            json!({"spec": {"provider": {"zones": ["a", "b"]}}}),
            json!({"spec": {"controlPlane": {"highAvailability": {"failureTolerance": {"type": "zone"}}}}}),
            "has 2 zones, a control plane that tolerates the failure of a zone needs 3",
        ),
        (none(), json!({"spec": {"controlPlane": {"zones": ["z"]}}}), "does not have zone z"),
        (
            json!({"spec": {"settings": {"zoneSelection": {"mode": "Enforce"}}, "provider": {"zones": ["x"]}}}),
            none(),
            "has none of the workers' zones, and insists on one",
        ),
        (
            none(),
            json!({"spec": {"accessRestrictions": [{"name": "eu-access-only"}]}}),
            "does not support the access restriction `eu-access-only`",
        ),
        (
            json!({"metadata": {"annotations": {"shoot.gardener.cloud/emergency-stop-shoot-reconciliations": "true"}}}),
            none(),
            "has its shoots stopped",
        ),
        (
            none(),
            json!({"spec": {"networking": {"pods": "242.0.0.0/16"}}}),
            "cannot take pods `242.0.0.0/16`: `242.0.0.0/8` is reserved",
        ),
        (
            json!({"spec": {"networks": {"pods": "2001:db8::/48"}}}),
            json!({"spec": {"networking": {"nodes": "2001:db8:0:1::/64"}}}),
            "has pods `2001:db8::/48`, which overlap with the shoot's nodes `2001:db8:0:1::/64`",
        ),
        (
            json!({"spec": {"taints": [{"key": "seed.gardener.cloud/protected"}]}}),
            none(),
            "has the taint `seed.gardener.cloud/protected`, which the shoot does not tolerate",
        ),
    ];
    for (eu, wish, why) in cases {
        let told = simple(eu, wish);
        assert!(told.starts_with(&format!("seed eu: {why}; seed us: ")), "expected `{why}`, got `{told}`");
    }
}

#[test]
fn tolerated_and_equal_ipv4_ranges_are_no_obstacle() {
    let tainted = json!({"spec": {"taints": [{"key": "k", "value": "v"}]}});
    assert!(simple(tainted.clone(), json!({"spec": {"tolerations": [{"key": "k"}]}})).starts_with("eu: "));
    assert!(simple(tainted, json!({"spec": {"tolerations": [{"key": "k", "value": "w"}]}})).starts_with("seed eu: "));
    assert!(simple(json!({}), json!({"spec": {"networking": {"pods": "10.2.0.0/16"}}})).starts_with("eu: "));
}

#[test]
fn seeds_must_be_seen_ready_and_not_going() {
    let with = |state: Option<SeedState>| {
        outcome(json!({}), json!({}), json!({}), |_, usage| match state {
            Some(state) => drop(usage.seeds.insert("eu".to_owned(), state)),
            None => drop(usage.seeds.remove("eu")),
        })
    };
    assert!(with(None).starts_with("seed eu: was not seen yet"));
    assert!(
        with(Some(SeedState { ready: true, deleting: true, ..SeedState::default() })).starts_with("seed eu: is being deleted")
    );
    assert!(
        with(Some(SeedState { reason: Some("no backup".to_owned()), ..SeedState::default() }))
            .starts_with("seed eu: is not ready: no backup")
    );
}

#[test]
fn a_shoot_waits_for_the_seed_that_is_coming_up_where_it_belongs() {
    let minimal = |usage: &mut Usage, admitted: &mut Admitted, eu: SeedState| {
        let landscape = json!({"spec": {"scheduling": {"strategy": "MinimalDistance"}}});
        admitted.objects.insert(Owner::cluster(Kind::Landscape, "l"), Arc::new(landscape));
        usage.seeds.insert("eu".to_owned(), eu);
    };
    let told = |eu: SeedState| outcome(json!({}), json!({}), json!({}), |admitted, usage| minimal(usage, admitted, eu));
    let coming = SeedState { coming_up: true, reason: Some("etcd is starting".to_owned()), ..SeedState::default() };
    let waits = told(coming);
    assert!(waits.contains("seed eu: is the one, and is not ready: etcd is starting"), "{waits}");
    assert!(told(SeedState { ready: true, ..SeedState::default() }).starts_with("eu: "));
    assert!(told(SeedState::default()).starts_with("us: "), "one that failed is not waited for: {}", told(SeedState::default()));
}

#[test]
fn a_full_seed_takes_no_more() {
    let told = outcome(json!({}), json!({}), json!({}), |_, usage| {
        usage.placed = (0..250).map(|i| (Owner::project(Kind::Shoot, "p", format!("x{i}")), "eu".to_owned())).collect();
    });
    assert!(told.starts_with("seed eu: no capacity (250/250)"), "{told}");
    let told = outcome(json!({}), json!({}), json!({}), |admitted, usage| {
        let managed = json!({"spec": {"gardenlet": {"config": {"resources": {"capacity": {"shoots": 300}}}}}});
        admitted.objects.insert(Owner::project(Kind::ManagedSeed, "garden", "eu"), Arc::new(managed));
        usage.placed = (0..250).map(|i| (Owner::project(Kind::Shoot, "p", format!("x{i}")), "eu".to_owned())).collect();
    });
    assert!(told.starts_with("eu: the shoot's region `eu-1`, 250 of 300 shoots"), "{told}");
}

#[test]
fn a_domain_below_a_seeds_default_decides() {
    let eu2 = json!({"spec": {"provider": {"region": "eu-1"}, "dns": {"defaults": [{"domain": "two.example.org"}]}}});
    let told = outcome(json!({}), eu2, json!({"spec": {"dns": {"domain": "s.p.two.example.org"}}}), |_, _| {});
    assert_eq!(
        told,
        "us: the shoot's region `eu-1`, 0 of 250 shoots / seed eu: does not manage the domain `s.p.two.example.org`"
    );
}

#[test]
fn a_testing_cluster_goes_anywhere() {
    let told =
        outcome(json!({"spec": {"provider": {"region": "ap-1"}}}), json!({}), json!({"spec": {"purpose": "testing"}}), |_, _| {});
    assert!(told.starts_with("eu: any seed of the provider"), "{told}");
}

#[test]
fn the_smallest_distance_wins() {
    let with = |distances: &[(&str, i64)], region: &str| {
        let given: BTreeMap<String, i64> = distances.iter().map(|(r, d)| ((*r).to_owned(), *d)).collect();
        outcome(json!({"spec": {"provider": {"region": region}}}), json!({}), json!({}), |admitted, _| {
            let settings = json!({"spec": {"scheduling": {"strategy": "MinimalDistance"}}});
            admitted.objects.insert(Owner::cluster(Kind::Landscape, "l"), Arc::new(settings));
            if !given.is_empty() {
                admitted.distances.insert("aws".to_owned(), [("eu-1".to_owned(), given)].into());
            }
        })
    };
    assert_eq!(
        with(&[("ap-1", 200), ("us-1", 90)], "ap-1"),
        "us: the smallest distance 90 from region `eu-1`, 0 of 250 shoots / seed eu: is at distance 200, another at 90"
    );
    assert_eq!(
        with(&[("us-1", 90)], "eu-1"),
        "eu: the smallest distance 0 from region `eu-1`, 0 of 250 shoots / seed us: is at distance 90, another at 0"
    );
    assert_eq!(
        with(&[], "eu-2"),
        "eu: the region most like `eu-1` by name (2), 0 of 250 shoots / seed us: its region `us-1` is less like `eu-1` (4, another 2)"
    );
    assert!(with(&[], "europe-central-1").starts_with("us: the region most like"));
}

#[test]
fn placed_and_pinned_shoots_are_fixed_points() {
    let moved = json!({"spec": {"seedName": "us"}});
    assert_eq!(simple(json!({}), moved.clone()), "us: its manifest names it");
    let told = outcome(json!({}), json!({}), moved, |_, usage| {
        drop(usage.placed.insert(Owner::project(Kind::Shoot, "p", "s"), "eu".to_owned()));
    });
    assert_eq!(told, "eu: it was placed there before");
}

#[test]
fn seeds_that_prefer_shared_zones_come_first() {
    let eu = json!({"spec": {"settings": {"zoneSelection": {"mode": "Prefer"}}, "provider": {"zones": ["x"]}}});
    let us = json!({"spec": {"settings": {"zoneSelection": {"mode": "Prefer"}}, "provider": {"region": "eu-1"}}});
    assert_eq!(
        outcome(eu, us, json!({}), |_, _| {}),
        "us: the shoot's region `eu-1`, 0 of 250 shoots / seed eu: has none of the workers' zones, others do"
    );
}

#[test]
fn explanations_name_every_seed() {
    let admitted = admitted(vec![profile(), seed("eu", "eu-1"), seed("us", "us-1"), shoot("s")]);
    let placements = place(&admitted, &usage(&admitted));
    let text = placements.explain(&Owner::project(Kind::Shoot, "p", "s")).expect("it was decided");
    assert_eq!(
        text,
        "Shoot p/s is on seed eu: the shoot's region `eu-1`, 0 of 250 shoots\n  seed us: is in region `us-1`, the shoot is in `eu-1`"
    );
}

proptest! {
    /// Unplaced shoots are spread evenly, in the order of their keys, whatever was placed before; and placing again what was
    /// placed moves nothing.
    #[test]
    fn load_is_spread_and_placement_is_stable(shoots in 1usize..40, seeds in 1usize..6) {
        let mut objects = vec![profile()];
        objects.extend((0..seeds).map(|i| seed(&format!("eu-{i}"), "eu-1")));
        objects.extend((0..shoots).map(|i| shoot(&format!("s{i:02}"))));
        let admitted = admitted(objects);
        let mut usage = usage(&admitted);
        let first = place(&admitted, &usage);
        prop_assert_eq!(first.decisions.len(), shoots);
        let mut load: BTreeMap<&str, usize> = BTreeMap::new();
        for placement in first.decisions.values() {
            *load.entry(placement.seed.as_str()).or_default() += 1;
        }
        let (least, most) = (load.values().min().copied().unwrap_or(0), load.values().max().copied().unwrap_or(0));
        prop_assert!(most - least <= 1 || load.len() < seeds);
        usage.placed = first.decisions.iter().map(|(o, p)| (o.clone(), p.seed.clone())).collect();
        let second = place(&admitted, &usage);
        for (owner, placement) in &first.decisions {
            prop_assert_eq!(&second.decisions[owner].seed, &placement.seed);
        }
    }
}
