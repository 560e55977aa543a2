//! When a change is rolled out: the question that plans and the daemon ask, as a table, and in plans a fixture for each modifier.

use std::path::Path;

use espalier::landscape::{Kind, Owner};
use espalier::plan::when::{Span, When, wait};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::{edit, git, json as answer, repository, run};

/// In the afternoon of a summer's day; the window opens at 22:00 of a place two hours east.
const NOON: &str = "2026-08-24T16:48:00Z";

fn at(time: &str) -> i64 {
    time.parse::<Timestamp>().expect("a time").as_second()
}

fn shoot(begin: &str, end: &str) -> Value {
    json!({
        "metadata": {"name": "a", "labels": {"team": "one"}},
        "spec": {
            "region": "eu",
            "maintenance": {"confineSpecUpdateRollout": true, "timeWindow": {"begin": begin, "end": end}},
        },
    })
}

fn with(mut shoot: Value, changes: Value) -> Value {
    json_patch::merge(&mut shoot, &changes);
    shoot
}

fn owner() -> Owner {
    Owner::project(Kind::Shoot, "shop", "a")
}

fn change(before: &Value, after: &Value, settings: Option<&Value>, now: &str) -> String {
    When::of_change(&owner(), Some(before), after, settings, at(now)).to_string()
}

#[test]
fn who_waits_for_a_window() {
    let confined = shoot("220000+0200", "230000+0200");
    let us = json!({"spec": {"region": "us"}});
    let free = json!({"spec": {"maintenance": {"confineSpecUpdateRollout": false}}});
    let window = "@window 2026-08-24 22:00 +02:00";
    let case = |what: &str, before: &Value, change_: Value, expected: &str| {
        let after = with(before.clone(), change_);
        assert_eq!(change(before, &after, None, NOON), expected, "{what}");
    };
    case("a change of the spec", &confined, us.clone(), window);
    case("of metadata", &confined, json!({"metadata": {"labels": {"team": "two"}}}), "@now");
    case("of both", &confined, json!({"metadata": {"labels": {"team": "two"}}, "spec": {"region": "us"}}), window);
    case("sent to sleep", &confined, json!({"spec": {"hibernation": {"enabled": true}}}), "@now");
    case("sent to sleep, and more", &confined, json!({"spec": {"region": "us", "hibernation": {"enabled": true}}}), "@now");
    let asleep = with(confined.clone(), json!({"spec": {"hibernation": {"enabled": true}}}));
    case("woken up", &asleep, json!({"spec": {"hibernation": {"enabled": false}}}), "@now");
    case("changed in its sleep", &asleep, us.clone(), window);
    case("a schedule sends nobody to sleep", &confined, json!({"spec": {"hibernation": {"enabled": false}}}), window);
    case("confined no longer", &confined, with(us.clone(), free.clone()), "@now");
    let unconfined = with(confined.clone(), free);
    case("not confined", &unconfined, us.clone(), "@now");
    case(
        "confined with the change",
        &unconfined,
        json!({"spec": {"region": "us", "maintenance": {"confineSpecUpdateRollout": true}}}),
        window,
    );
    case(
        "another window with the change",
        &confined,
        json!({"spec": {"maintenance": {"timeWindow": {"begin": "180000+0000", "end": "190000+0000"}}}}),
        "@window 2026-08-24 18:00 +00:00",
    );
    case("a window that nobody can read", &shoot("late", "later"), us.clone(), "@now");

    let after = with(confined.clone(), us.clone());
    assert_eq!(When::of_change(&owner(), None, &after, None, at(NOON)), When::Now, "what is new");
    let seed = Owner::cluster(Kind::Seed, "a");
    assert_eq!(When::of_change(&seed, Some(&confined), &after, None, at(NOON)), When::Now, "what is no shoot");
    let frozen = When::of_change(&owner(), Some(&confined), &after, None, at(NOON));
    assert_eq!(frozen.not_before(at(NOON)).map(|span| span.begin), Some(at("2026-08-24T20:00:00Z")));
    assert_eq!(When::Now.not_before(at(NOON)).or(When::NextReconcile.not_before(at(NOON))), None);
}

#[test]
fn what_nobody_wrote_waits_where_that_is_said() {
    let confined = shoot("220000+0200", "230000+0200");
    let free = with(confined.clone(), json!({"spec": {"maintenance": {"confineSpecUpdateRollout": null}}}));
    let sources = |shoot: &Value, settings: Option<&Value>| When::of_sources(&owner(), shoot, settings, at(NOON)).to_string();
    assert_eq!(sources(&confined, None), "@window 2026-08-24 22:00 +02:00");
    assert_eq!(sources(&free, None), "@now");
    assert_eq!(
        sources(&free, Some(&json!({"spec": {"rollout": {"maintenanceWindow": true}}}))),
        "@window 2026-08-24 22:00 +02:00"
    );
    assert_eq!(When::of_sources(&Owner::cluster(Kind::Seed, "a"), &confined, None, at(NOON)), When::Now);
    // A Gardener that runs takes up at its next reconcile what raises no generation.
    let gardener = json!({"spec": {"engine": "gardener"}});
    assert_eq!(sources(&free, Some(&gardener)), "@next-reconcile");
    assert_eq!(sources(&confined, Some(&gardener)), "@window 2026-08-24 22:00 +02:00");
    let labelled = with(free.clone(), json!({"metadata": {"labels": {"team": "two"}}}));
    assert_eq!(change(&free, &labelled, Some(&gardener), NOON), "@next-reconcile");
    assert_eq!(change(&free, &with(free.clone(), json!({"spec": {"region": "us"}})), Some(&gardener), NOON), "@now");
}

#[test]
fn windows_are_told_in_their_own_time() {
    let told = |begin: &str, end: &str, now: &str| {
        let span = Span::of(&shoot(begin, end), at(now)).expect("a window");
        format!("{} {span}, {}", When::Window(span), span.relative(at(now)))
    };
    let cases = [
        (
            "220000+0200",
            "230000+0200",
            NOON,
            "@window 2026-08-24 22:00 +02:00 maintenance window 2026-08-24 22:00–23:00 +02:00, in 3 h 12 min",
        ),
        (
            "220000+0200",
            "230000+0200",
            "2026-08-24T19:59:59Z",
            "@window 2026-08-24 22:00 +02:00 maintenance window 2026-08-24 22:00–23:00 +02:00, in 1 min",
        ),
        (
            "220000+0200",
            "230000+0200",
            "2026-08-24T20:00:00Z",
            "@window 2026-08-24 22:00 +02:00 maintenance window 2026-08-24 22:00–23:00 +02:00, open until 22:45",
        ),
        (
            "220000+0200",
            "230000+0200",
            "2026-08-24T20:45:00Z",
            "@window 2026-08-24 22:00 +02:00 maintenance window 2026-08-24 22:00–23:00 +02:00, open until 22:45",
        ),
        // The last quarter of an hour is left out: nothing would be done in time.
        (
            "220000+0200",
            "230000+0200",
            "2026-08-24T20:45:01Z",
            "@window 2026-08-25 22:00 +02:00 maintenance window 2026-08-25 22:00–23:00 +02:00, in 23 h 15 min",
        ),
        // Over midnight, of the window's place and of UTC.
        (
            "233000+0000",
            "003000+0000",
            "2026-08-25T00:10:00Z",
            "@window 2026-08-24 23:30 +00:00 maintenance window 2026-08-24 23:30–00:30 +00:00, open until 00:15",
        ),
        (
            "233000+0000",
            "003000+0000",
            "2026-08-25T00:20:00Z",
            "@window 2026-08-25 23:30 +00:00 maintenance window 2026-08-25 23:30–00:30 +00:00, in 23 h 10 min",
        ),
        (
            "003000+0200",
            "013000+0200",
            "2026-08-24T22:00:00Z",
            "@window 2026-08-25 00:30 +02:00 maintenance window 2026-08-25 00:30–01:30 +02:00, in 30 min",
        ),
        (
            "200000-0930",
            "210000-0930",
            NOON,
            "@window 2026-08-24 20:00 -09:30 maintenance window 2026-08-24 20:00–21:00 -09:30, in 12 h 42 min",
        ),
        (
            "001500+1345",
            "011500+1345",
            NOON,
            "@window 2026-08-26 00:15 +13:45 maintenance window 2026-08-26 00:15–01:15 +13:45, in 17 h 42 min",
        ),
    ];
    for (begin, end, now, expected) in cases {
        assert_eq!(told(begin, end, now), expected, "{begin} {end} at {now}");
    }
    let occurrence = Span::of(&shoot("233000+0000", "003000+0000"), at(NOON)).expect("a window").occurrence();
    assert_eq!((occurrence.begin.as_str(), occurrence.end.as_str()), ("2026-08-24T23:30:00+00:00", "2026-08-25T00:30:00+00:00"));
    assert_eq!([1, 60, 61, 3_600, 90_000].map(wait), ["1 min", "1 min", "2 min", "1 h", "25 h"]);
}

const STORE: &str = "projects/shop/shoots/store.yaml";
const CONFINED: (&str, &str) =
    ("  maintenance:\n    timeWindow:", "  maintenance:\n    confineSpecUpdateRollout: true\n    timeWindow:");
const IMAGE: (&str, &str) =
    ("  guards:\n", "  images:\n    kube-scheduler: registry.example.org/kube-scheduler:v1.34.2\n  guards:\n");

fn commit(dir: &Path, message: &str) {
    git(dir, &["commit", "-q", "-a", "-m", message]);
}

/// The object of a shoot in a plan.
fn object(dir: &Path, name: &str, more: &[&str]) -> Value {
    let ran = run(dir, &[&["plan", "-o", "json"], more].concat());
    let plan = answer(&ran);
    let objects = plan["objects"].as_array().expect("a list");
    objects.iter().find(|object| object["owner"]["name"] == name).unwrap_or_else(|| panic!("{name} is not in {plan}")).clone()
}

#[test]
fn a_plan_says_now() {
    let dir = repository();
    edit(dir.path(), STORE, "maximum: 6", "maximum: 7");
    let ran = run(dir.path(), &["plan"]);
    assert!(ran.out.contains("├─ when: @now\n   ├─") || ran.out.contains("├─ when: @now\n   └─"), "{}", ran.out);
    assert!(!ran.out.contains("maintenance window"), "{}", ran.out);
    let store = object(dir.path(), "store", &[]);
    assert_eq!((&store["when"], store.get("window")), (&json!("now"), None));
}

#[test]
fn a_plan_says_which_window() {
    let dir = repository();
    let at = dir.path();
    edit(at, STORE, CONFINED.0, CONFINED.1);
    let validated = run(at, &["validate"]);
    assert!(!validated.out.contains("confining"), "it is acted upon: {}", validated.out);
    commit(at, "Keep the store to its nights");
    edit(at, STORE, "maximum: 6", "maximum: 7");
    // The small one has no window of its own: it has one that follows from its name.
    edit(
        at,
        "projects/shop/shoots/mini.yaml",
        "  networking:\n",
        "  maintenance: {confineSpecUpdateRollout: true}\n  networking:\n",
    );
    edit(at, "projects/shop/shoots/mini.yaml", "maximum: 1", "maximum: 2");

    let ran = run(at, &["plan"]);
    let lines = "when: @window 2026-11-22 02:00 +01:00\n   │     its maintenance window 2026-11-22 02:00–03:00 +01:00, in 16 h\n";
    assert!(ran.out.contains(lines), "{}", ran.out);
    assert!(ran.out.contains("Waiting for a maintenance window: 2 objects\n"), "{}", ran.out);
    let store = object(at, "store", &[]);
    assert_eq!(store["when"], "window");
    assert_eq!(store["window"], json!({"begin": "2026-11-22T02:00:00+01:00", "end": "2026-11-22T03:00:00+01:00"}));
    let mini = object(at, "mini", &[]);
    assert_eq!((&mini["when"], &mini), (&json!("window"), &object(at, "mini", &[])));
    assert!(mini["window"]["begin"].as_str().is_some_and(|begin| begin.ends_with(":00:00+00:00")), "{mini}");
    let markdown = run(at, &["plan", "-o", "md"]).out;
    assert!(markdown.contains("| `@window 2026-11-22 02:00 +01:00` |"), "{markdown}");

    // While it is open, nothing waits.
    let ran = run(at, &["plan", "--now", "2026-11-22T01:30:00Z", "shop/store"]);
    assert!(ran.out.contains("@window 2026-11-22 02:00 +01:00\n") && ran.out.contains("open until 02:45"), "{}", ran.out);
    assert!(!ran.out.contains("Waiting for"), "{}", ran.out);
    // Sent to sleep, it waits for nothing.
    edit(at, STORE, "  maintenance:\n", "  hibernation: {enabled: true}\n  maintenance:\n");
    assert_eq!(object(at, "store", &[])["when"], "now");
}

#[test]
fn a_plan_says_that_gardener_takes_it_up() {
    let dir = repository();
    let at = dir.path();
    edit(at, "landscape.yaml", "engine: espalier", "engine: gardener");
    edit(at, STORE, CONFINED.0, CONFINED.1);
    commit(at, "A Gardener runs here");
    edit(at, "landscape.yaml", IMAGE.0, IMAGE.1);
    let ran = run(at, &["plan"]);
    assert!(ran.out.contains("when: @next-reconcile\n"), "{}", ran.out);
    assert_eq!(object(at, "mini", &[])["when"], "next-reconcile");
    assert_eq!(object(at, "store", &[])["when"], "window", "it is reconciled in its window only");
    let markdown = run(at, &["plan", "-o", "md"]).out;
    assert!(markdown.contains("| `@next-reconcile` |"), "{markdown}");
    // Where espalier rolls out, it does so at once, unless the landscape says that it does not.
    edit(at, "landscape.yaml", "engine: gardener", "engine: espalier");
    commit(at, "No longer");
    edit(at, "landscape.yaml", "v1.34.2", "v1.34.3");
    assert_eq!(object(at, "mini", &[])["when"], "now");
    edit(at, "landscape.yaml", "v1.34.3", "v1.34.2");
    edit(at, "landscape.yaml", "  guards:\n", "  rollout: {maintenanceWindow: true}\n  guards:\n");
    commit(at, "What nobody wrote waits");
    edit(at, "landscape.yaml", "v1.34.2", "v1.34.3");
    assert_eq!(object(at, "mini", &[])["when"], "window");
}
