//! Faults, one by one: what each does to requests, watches, clocks and controllers, in process and over HTTPS; and the files of
//! schedules. How the daemon fares under all of them is in `converge`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use espalier::sim::{ALWAYS, Delays, Fault, Loss, Matching, Moment, Options, Rule, Schedule, Sim, serve};
use futures::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::cli::run;
use super::fleet::{options, simulated};
use super::golden::compare;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn of(verb: &str) -> Matching {
    Matching { user: Some("espalier".into()), verb: Some(verb.into()), ..Matching::default() }
}

fn maps(client: &kube::Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"name": name.repeat(200)}})).expect("a map")
}

async fn create(sim: &Sim, name: &str) {
    maps(&sim.client_of("people")).create(&PostParams::default(), &map(name)).await.expect("created");
}

async fn names(sim: &Sim) -> Vec<String> {
    let list = maps(&sim.client_of("people")).list(&ListParams::default()).await.expect("a list");
    list.items.into_iter().filter_map(|map| map.metadata.name).collect()
}

fn struck(sim: &Sim) -> Vec<String> {
    sim.faults().struck().iter().map(ToString::to_string).collect()
}

/// What came of a request: status, `Retry-After` and body; `None`: the connection broke.
async fn ask(client: &kube::Client, method: &str, path: &str, body: &Value) -> Option<(u16, Option<String>, Value)> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", content);
    let answer = client.send(request.body(body.into()).expect("a request")).await.ok()?;
    let wait = answer.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, wait, serde_json::from_slice(&bytes).expect("JSON")))
}

#[tokio::test]
async fn refusals_say_what_a_server_says_and_do_nothing() {
    for (status, reason, wait) in [
        (409, "Conflict", None),
        (410, "Expired", None),
        (429, "TooManyRequests", Some(7)),
        (500, "InternalError", None),
        (503, "ServiceUnavailable", Some(2)),
        (504, "Timeout", None),
    ] {
        let sim = simulated("test");
        let fault = Fault::Refuse { status, retry_after: wait };
        sim.faults().add(Rule { of: of("create"), after: 1, times: 2, ..Rule::from(fault) });
        let client = sim.client();
        let mut seen = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let body = serde_json::to_value(map(name)).expect("JSON");
            let (code, told, answer) = ask(&client, "POST", MAPS, &body).await.expect("an answer");
            if code != 201 {
                assert_eq!(told, wait.map(|seconds| seconds.to_string()), "{status}");
                assert_eq!(answer["details"]["retryAfterSeconds"].as_u64(), wait.map(u64::from), "{status}");
                assert_eq!((&answer["kind"], &answer["reason"]), (&json!("Status"), &json!(reason)));
                assert_eq!(answer["code"], json!(status));
            }
            seen.push(code);
        }
        assert_eq!(seen, [201, status, status, 201], "one goes by, two are struck");
        assert_eq!(names(&sim).await, ["a", "d"]);
        let refused = "rule 1, refuse: create ConfigMap default by espalier";
        assert_eq!(struck(&sim), [format!("{refused} (2 so far)"), format!("{refused} (3 so far)")]);
    }
}

#[tokio::test]
async fn rules_count_for_themselves_and_the_first_refusal_wins() {
    let sim = simulated("test");
    let client = sim.client();
    for (status, after) in [(503, 1), (500, 0)] {
        sim.faults().add(Rule { after, times: 2, ..Rule::refuse(of("get"), status, 2) });
    }
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(ask(&client, "GET", "/api/v1/namespaces/default", &Value::Null).await.expect("an answer").0);
    }
    assert_eq!(codes, [500, 503, 503, 200], "the second turn of the second rule has passed");
    let rules: Vec<usize> = sim.faults().struck().iter().map(|struck| struck.rule).collect();
    assert_eq!(rules, [2, 1, 1]);
    // What is not of objects is a get of no kind; whether there is a server is always answered.
    sim.faults().add(Rule::always(Matching::default(), Fault::Refuse { status: 503, retry_after: None }));
    for (path, code) in [("/api/v1", 503), ("/apis", 503), ("/openapi/v2", 503), ("/version", 200)] {
        assert_eq!(ask(&client, "GET", path, &Value::Null).await.expect("an answer").0, code, "{path}");
    }
    let only_maps = Matching { kind: Some("ConfigMap".into()), namespace: Some("default".into()), ..Matching::default() };
    sim.faults().clear();
    sim.faults().add(Rule::refuse(only_maps, 503, ALWAYS));
    assert_eq!(ask(&client, "GET", "/api/v1/configmaps", &Value::Null).await.expect("an answer").0, 200);
    assert_eq!(ask(&client, "GET", MAPS, &Value::Null).await.expect("an answer").0, 503);
}

#[tokio::test(start_paused = true)]
async fn latency_is_waited_for_and_adds_up() {
    let sim = simulated("test");
    for millis in [1_500, 500] {
        sim.faults().add(Rule { of: of("get"), ..Rule::from(Fault::Latency { by: Duration::from_millis(millis) }) });
    }
    let client = sim.client();
    for seconds in [2, 0] {
        let began = tokio::time::Instant::now();
        ask(&client, "GET", "/api/v1/namespaces/default", &Value::Null).await.expect("an answer");
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

/// Creates an object with a broken connection at each moment.
async fn cuts(sim: &Sim, client: &kube::Client, user: &str) {
    for (name, at, stored) in [("a", Moment::Before, false), ("b", Moment::After, true), ("c", Moment::Amid, true)] {
        let of = Matching { user: Some(user.into()), verb: Some("create".into()), ..Matching::default() };
        sim.faults().add(Rule { of, ..Rule::from(Fault::Cut { at }) });
        let body = serde_json::to_value(map(name)).expect("JSON");
        assert_eq!(ask(client, "POST", MAPS, &body).await, None, "{at:?}");
        assert_eq!(names(sim).await.contains(&name.to_owned()), stored, "{at:?}");
        // The next one is on a connection of its own.
        let again = ask(client, "POST", MAPS, &body).await.expect("an answer").0;
        assert_eq!(again, if stored { 409 } else { 201 }, "{at:?}");
    }
    assert_eq!(sim.faults().struck().len(), 3);
}

#[tokio::test]
async fn connections_break_before_after_and_amid() {
    let sim = simulated("test");
    cuts(&sim, &sim.client(), "espalier").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_break_over_https_as_well() {
    let sim = simulated("garden");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let serving = serve(BTreeMap::from([("garden".to_owned(), sim.clone())]), listener, None).await.expect("served");
    let kubeconfig = Kubeconfig::from_yaml(&serving.kubeconfig).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    // What breaks is not tried again.
    config.default_retry = false;
    let client = kube::Client::try_from(config).expect("a client");
    cuts(&sim, &client, "kubectl").await;

    let mut events = Box::pin(open(&client, "0").await);
    for name in ["a", "b", "c"] {
        assert_eq!(next(&mut events).await, format!("added {name}"));
    }
    sim.faults().add(Rule::from(Fault::LoseWatches { how: Loss::Cut }));
    assert_eq!(ask(&client, "GET", MAPS, &Value::Null).await.expect("an answer").0, 200);
    // kube takes a stream that breaks off for one that ends.
    assert!(matches!(next(&mut events).await.as_str(), "broken" | "end"));
    serving.stop().await;
}

/// The events of a watch of maps from a version on.
async fn open(client: &kube::Client, version: &str) -> impl Stream<Item = Event> + use<> {
    watch(client, MAPS, version).await
}

type Event = Result<WatchEvent<Value>, kube::Error>;

async fn watch(client: &kube::Client, path: &str, version: &str) -> impl Stream<Item = Event> + use<> {
    let path = format!("{path}?watch=true&resourceVersion={version}&allowWatchBookmarks=true");
    let request = http::Request::get(path).body(Vec::new()).expect("a request");
    client.request_events::<Value>(request).await.expect("a watch")
}

/// The next event: what, and of which object; `end`, `broken`, or `nothing` for an hour.
async fn next(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    let called = |what: &str, object: &Value| format!("{what} {}", object["metadata"]["name"].as_str().unwrap_or_default());
    loop {
        return match tokio::time::timeout(Duration::from_hours(1), events.next()).await {
            Err(_) => "nothing".to_owned(),
            Ok(None) => "end".to_owned(),
            Ok(Some(Err(_))) => "broken".to_owned(),
            Ok(Some(Ok(WatchEvent::Added(object)))) => called("added", &object),
            Ok(Some(Ok(WatchEvent::Modified(object)))) => called("modified", &object),
            Ok(Some(Ok(WatchEvent::Deleted(object)))) => called("deleted", &object),
            Ok(Some(Ok(WatchEvent::Error(status)))) => format!("error {}", status.code),
            Ok(Some(Ok(WatchEvent::Bookmark(_)))) => continue,
        };
    }
}

#[tokio::test(start_paused = true)]
async fn events_come_twice() {
    let sim = simulated("test");
    sim.faults().add(Rule { after: 1, times: 2, ..Rule::from(Fault::Duplicate) });
    let mut events = Box::pin(open(&sim.client(), "1").await);
    for name in ["a", "b", "c", "d"] {
        create(&sim, name).await;
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(next(&mut events).await);
    }
    assert_eq!(seen, ["added a", "added b", "added b", "added c", "added c", "added d"]);
    assert_eq!(struck(&sim)[0], "rule 1, duplicate: watch ConfigMap default/b by espalier (2 so far)");
}

async fn label(sim: &Sim, name: &str, value: &str) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"l": value}}}));
    maps(&sim.client_of("people")).patch(name, &PatchParams::default(), &patch).await.expect("patched");
}

#[tokio::test(start_paused = true)]
async fn events_of_different_objects_change_places_and_those_of_one_do_not() {
    let sim = simulated("test");
    sim.faults().add(Rule { times: ALWAYS, ..Rule::from(Fault::Reorder) });
    let client = sim.client();
    let mut events = Box::pin(open(&client, "1").await);
    create(&sim, "a").await;
    create(&sim, "b").await;
    assert_eq!((next(&mut events).await, next(&mut events).await), ("added b".into(), "added a".into()));
    label(&sim, "a", "one").await;
    label(&sim, "a", "two").await;
    let mut labels = Vec::new();
    for _ in 0..2 {
        match events.next().await {
            Some(Ok(WatchEvent::Modified(object))) => labels.push(object["metadata"]["labels"]["l"].clone()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(labels, ["one", "two"]);
    // Alone it comes in the end, and no bookmark before it.
    let began = tokio::time::Instant::now();
    label(&sim, "b", "one").await;
    assert_eq!(next(&mut events).await, "modified b");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn watches_are_lost_in_three_ways() {
    for (how, seen) in [(Loss::Closed, "end"), (Loss::Cut, "broken"), (Loss::Silent, "nothing")] {
        let sim = simulated("test");
        let mut events = Box::pin(open(&sim.client(), "1").await);
        let mut others = Box::pin(open(&sim.client_of("people"), "1").await);
        sim.faults().add(Rule { of: of("get"), after: 1, ..Rule::from(Fault::LoseWatches { how }) });
        let client = sim.client();
        for (name, seen) in [("a", "added a"), ("b", seen)] {
            ask(&client, "GET", "/api/v1/namespaces/default", &Value::Null).await.expect("an answer");
            create(&sim, name).await;
            assert_eq!(next(&mut events).await, seen, "{how:?}");
        }
        assert_eq!(sim.faults().struck().len(), 1);
        assert_eq!((next(&mut others).await, next(&mut others).await), ("added a".into(), "added b".into()), "not theirs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_history_is_a_410_for_all_who_go_on_from_it() {
    let sim = simulated("test");
    let client = sim.client();
    for name in ["a", "b", "c"] {
        create(&sim, name).await;
    }
    let mut events = Box::pin(open(&client, "1").await);
    assert_eq!(next(&mut events).await, "added a");
    let (_, _, page) = ask(&client, "GET", &format!("{MAPS}?limit=1"), &Value::Null).await.expect("an answer");
    let more = format!("{MAPS}?limit=1&continue={}", page["metadata"]["continue"].as_str().expect("more"));
    sim.faults().add(Rule { of: of("list"), ..Rule::from(Fault::Expire) });
    let (code, _, status) = ask(&client, "GET", &more, &Value::Null).await.expect("an answer");
    assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
    let mut rest = Vec::new();
    loop {
        let one = next(&mut events).await;
        let over = one == "end";
        rest.push(one);
        if over {
            break;
        }
    }
    assert_eq!(rest.iter().rev().take(2).rev().collect::<Vec<_>>(), ["error 410", "end"], "{rest:?}");
    let mut late = Box::pin(open(&client, "1").await);
    assert_eq!((next(&mut late).await, next(&mut late).await), ("error 410".into(), "end".into()));
    // A watch that goes on from the present is told so too, if it is the one that is struck.
    let (_, _, list) = ask(&client, "GET", MAPS, &Value::Null).await.expect("an answer");
    let present = list["metadata"]["resourceVersion"].as_str().expect("a version");
    sim.faults().add(Rule { of: of("watch"), ..Rule::from(Fault::Expire) });
    let mut struck = Box::pin(open(&client, present).await);
    assert_eq!(next(&mut struck).await, "error 410");
    let mut fine = Box::pin(open(&client, present).await);
    create(&sim, "d").await;
    assert_eq!(next(&mut fine).await, "added d");
}

#[tokio::test]
async fn a_list_ends_early_and_does_not_go_on() {
    let sim = simulated("test");
    for name in ["a", "b", "c"] {
        create(&sim, name).await;
    }
    let client = sim.client();
    sim.faults().add(Rule { of: of("list"), times: 2, ..Rule::from(Fault::ShortList { items: 2, status: 500 }) });
    let (_, _, page) = ask(&client, "GET", MAPS, &Value::Null).await.expect("an answer");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    let more = format!("{MAPS}?continue={}", page["metadata"]["continue"].as_str().expect("more"));
    assert_eq!(ask(&client, "GET", &more, &Value::Null).await.expect("an answer").0, 500);
    assert_eq!(ask(&client, "GET", &more, &Value::Null).await.expect("an answer").0, 200, "it is over");
}

#[tokio::test(start_paused = true)]
async fn the_clock_jumps_forward_at_a_request() {
    let sim = simulated("test");
    let clock = sim.clock();
    let began = clock.now();
    sim.faults().add(Rule { of: of("get"), after: 1, ..Rule::from(Fault::Clock { by: Duration::from_hours(2) }) });
    let client = sim.client();
    for hours in [0, 2, 2] {
        ask(&client, "GET", "/api/v1/namespaces/default", &Value::Null).await.expect("an answer");
        assert_eq!(clock.now().duration_since(began).as_hours(), hours);
    }
    create(&sim, "a").await;
    let made = maps(&client).get("a").await.expect("there").metadata.creation_timestamp.expect("a time");
    assert_eq!(serde_json::to_value(made).expect("JSON"), json!("2026-11-21T02:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_after_a_write_starts_anew_and_ends_its_work() {
    let sim = Sim::open(Options { actors: true, delays: Delays::Real, ..options("test") }).expect("a cluster");
    let client = sim.client();
    let actor = "kube-controller-manager".to_owned();
    sim.faults().add(Rule { times: 3, ..Rule::from(Fault::Crash { actor }) });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}},
        },
    });
    let path = "/apis/apps/v1/namespaces/default/deployments";
    assert_eq!(ask(&client, "POST", path, &deployment).await.expect("an answer").0, 201);
    let mut events = Box::pin(watch(&client, path, "0").await);
    let available = async {
        while let Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) = events.next().await {
            if object["status"]["availableReplicas"] == json!(2) {
                return true;
            }
        }
        false
    };
    assert_eq!(tokio::time::timeout(Duration::from_hours(1), available).await, Ok(true), "it comes up");
    let struck = struck(&sim);
    assert!(!struck.is_empty() && struck.iter().all(|one| one.contains("by kube-controller-manager")), "{struck:?}");
}

/// Every fault, with every field.
fn every() -> Schedule {
    let user = |fault: Fault| Rule { of: Matching { user: Some("espalier".into()), ..Matching::default() }, ..Rule::from(fault) };
    let mut rules: Vec<Rule> = [
        Fault::Latency { by: Duration::from_millis(1_250) },
        Fault::Latency { by: Duration::from_mins(90) },
        Fault::Refuse { status: 429, retry_after: Some(3) },
        Fault::Refuse { status: 409, retry_after: None },
        Fault::Cut { at: Moment::Before },
        Fault::Cut { at: Moment::After },
        Fault::Cut { at: Moment::Amid },
        Fault::ShortList { items: 0, status: 410 },
        Fault::LoseWatches { how: Loss::Closed },
        Fault::LoseWatches { how: Loss::Cut },
        Fault::LoseWatches { how: Loss::Silent },
        Fault::Duplicate,
        Fault::Reorder,
        Fault::Expire,
        Fault::Clock { by: Duration::from_hours(2) },
    ]
    .into_iter()
    .map(user)
    .collect();
    rules.push(Rule::from(Fault::Crash { actor: "etcd-druid".into() }));
    rules.push(Rule {
        cluster: Some("seed-aws-eu1".into()),
        of: Matching {
            user: Some("kubectl".into()),
            verb: Some("apply".into()),
            kind: Some("Shoot".into()),
            namespace: Some("garden-shop".into()),
        },
        after: 12,
        times: ALWAYS,
        fault: Fault::Refuse { status: 504, retry_after: None },
    });
    Schedule { rules }
}

#[test]
fn a_schedule_is_printed_and_read_back() {
    let text = every().to_yaml();
    compare("faults/every.yaml", &text);
    assert_eq!(Schedule::parse("every.yaml", &text), Ok(every()));
    let kinds: BTreeSet<&str> = every().rules.iter().map(|rule| rule.fault.name()).collect();
    assert_eq!(kinds.len(), 10);
    for seed in 0..300 {
        let drawn = Schedule::drawn(seed);
        assert_eq!(Schedule::parse("drawn.yaml", &drawn.to_yaml()), Ok(drawn), "seed {seed}");
    }
    let of_user = Schedule::drawn(1).of_user("espalier");
    assert_eq!(Schedule::parse("drawn.yaml", &of_user.to_yaml()), Ok(of_user));
}

#[test]
fn equal_seeds_draw_equal_schedules_of_every_fault_and_with_an_end() {
    compare("faults/seed-1.yaml", &Schedule::drawn(1).to_yaml());
    let mut all = BTreeSet::new();
    for seed in 0..300 {
        let drawn = Schedule::drawn(seed);
        assert_eq!(drawn, Schedule::drawn(seed));
        assert!(all.insert(drawn.to_yaml()), "seed {seed} is another one's");
        let kinds: BTreeSet<&str> = drawn.rules.iter().map(|rule| rule.fault.name()).collect();
        assert_eq!(kinds.len(), 10, "seed {seed} has {kinds:?}");
        assert!(drawn.rules.iter().all(|rule| rule.times <= 30 && rule.after < 1_000), "seed {seed}");
    }
}

/// What a client sees that always does the same, and what struck it.
async fn script(schedule: &Schedule) -> (Vec<String>, Vec<String>) {
    let sim = simulated("test");
    sim.follow(schedule);
    let client = sim.client();
    let mut random = fastrand::Rng::with_seed(3);
    let mut seen = Vec::new();
    for _ in 0..800 {
        let name = format!("m{}", random.u8(..6));
        let (method, path, body) = match random.u8(..5) {
            0 => ("POST", MAPS.to_owned(), serde_json::to_value(map(&name)).expect("JSON")),
            1 => ("PATCH", format!("{MAPS}/{name}"), json!({"data": {"n": random.u8(..).to_string()}})),
            2 => ("DELETE", format!("{MAPS}/{name}"), Value::Null),
            3 => ("GET", MAPS.to_owned(), Value::Null),
            _ => ("GET", format!("{MAPS}/{name}"), Value::Null),
        };
        let answer = ask(&client, method, &path, &body).await;
        let answer = answer.map_or_else(|| "broken".to_owned(), |(code, wait, _)| format!("{code} {wait:?}"));
        seen.push(format!("{method} {path}: {answer}"));
    }
    (seen, struck(&sim))
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_meet_the_same_faults_again() {
    for seed in 1..=5 {
        let schedule = Schedule::drawn(seed);
        let (seen, struck) = script(&schedule).await;
        assert!(struck.len() > 10, "seed {seed}: {struck:?}");
        let again = Schedule::parse("again.yaml", &schedule.to_yaml()).expect("it is read back");
        assert_eq!(script(&again).await, (seen, struck), "seed {seed}");
    }
}

const HEAD: &str = "apiVersion: sim.espalier.dev/v1alpha1\nkind: Faults\nfaults:\n";

#[track_caller]
fn wrong(text: &str, expected: &[&str]) {
    let mistakes = Schedule::parse("f.yaml", text).expect_err("it is wrong");
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected, "\n{text}");
}

#[track_caller]
fn wrong_rule(rule: &str, expected: &[&str]) {
    wrong(&format!("{HEAD}- {}\n", rule.replace('\n', "\n  ")), expected);
}

#[test]
fn a_schedule_that_is_none_says_where_and_what_to_do() {
    const NO_SCHEDULE: &str =
        "f.yaml: there is no schedule in it; write `apiVersion: sim.espalier.dev/v1alpha1`, `kind: Faults` and the list `faults`";
    wrong("", &[NO_SCHEDULE]);
    wrong("# nothing\n", &[NO_SCHEDULE]);
    wrong(
        "apiVersion: v1\nkinds: Faults\nfaults: {}\n",
        &[
            "f.yaml:1:1: there is no `kind`; write `kind: Faults`",
            "f.yaml:1:13: `apiVersion` is \"v1\"; write `apiVersion: sim.espalier.dev/v1alpha1`",
            "f.yaml:2:1: unknown field `kinds` in the schedule; did you mean `kind`?",
            "f.yaml:3:9: `faults` is a map, no list; write one entry for each fault, each begins with `- fault:`",
        ],
    );
    let two = format!("{HEAD}- fault: expire\n---\nfaults: []\n");
    wrong(&two, &["f.yaml:6:1: there is a second document; put all faults into the list of one document"]);
    assert!(Schedule::parse("f.yaml", &format!("{HEAD}- fault: [\n")).is_err_and(|all| all[0].place.starts_with("f.yaml:")));
    assert_eq!(Schedule::parse("f.yaml", &HEAD.replace("faults:", "faults: []")), Ok(Schedule::default()));
}

#[test]
fn every_mistake_in_a_rule_has_its_place() {
    const KINDS: &str = "latency, refuse, cut, shortList, loseWatches, duplicate, reorder, expire, clock, crash";
    wrong_rule("expire", &["f.yaml:4:3: `faults[0]` is no map; its fields are fault, cluster, of, after, times"]);
    wrong_rule("times: 2", &[&format!("f.yaml:4:3: `faults[0]` does not say which fault; `fault` is one of {KINDS}")]);
    wrong_rule("fault: refused", &["f.yaml:4:10: there is no fault \"refused\"; did you mean `refuse`?"]);
    wrong_rule("fault: rain", &[&format!("f.yaml:4:10: there is no fault \"rain\"; faults are {KINDS}")]);
    wrong_rule("fault: 4", &[&format!("f.yaml:4:10: there is no fault 4; faults are {KINDS}")]);
    wrong_rule(
        "fault: refuse\nstatus: 503\ntime: 3",
        &["f.yaml:6:3: unknown field `time` in `faults[0]`; did you mean `times`?"],
    );
    wrong_rule(
        "fault: expire\nby: 3s",
        &["f.yaml:5:3: unknown field `by` in `faults[0]`; its fields are fault, cluster, of, after, times"],
    );
    for (fault, field) in
        [("latency", "by"), ("refuse", "status"), ("cut", "at"), ("loseWatches", "how"), ("clock", "by"), ("crash", "actor")]
    {
        wrong_rule(&format!("fault: {fault}"), &[&format!("f.yaml:4:3: {fault} has no `{field}`; add `{field}`")]);
    }
    wrong_rule(
        "fault: shortList",
        &["f.yaml:4:3: shortList has no `items`; add `items`", "f.yaml:4:3: shortList has no `status`; add `status`"],
    );
    for given in ["3", "3 s", "3d", "0s", "9000h", "-3s", "true"] {
        let shown = if matches!(given, "3" | "true") { given.to_owned() } else { format!("\"{given}\"") };
        let what = format!("f.yaml:5:7: `faults[0].by` is {shown}, no duration from 1ms to a year");
        let help = "write a number and one of the units ms, s, m, h, such as 250ms";
        wrong_rule(&format!("fault: latency\nby: {given}"), &[&format!("{what}; {help}")]);
    }
    const STATUS: &str = "a refusal is 409, 410, 429, 500, 503, 504 or another status of errors";
    for given in ["200", "600", "-1", "\"409\"", "4.5"] {
        let what = format!("f.yaml:5:11: `faults[0].status` is {given}, no whole number from 400 to 599");
        wrong_rule(&format!("fault: refuse\nstatus: {given}"), &[&format!("{what}; {STATUS}")]);
    }
    wrong_rule(
        "fault: refuse\nstatus: 409\nretryAfter: 3",
        &[
            "f.yaml:6:3: nobody who is refused with 409 is told to come back; `retryAfter` goes with status 429 and 5xx: take it out",
        ],
    );
    wrong_rule(
        "fault: refuse\nstatus: 429\nretryAfter: 0",
        &["f.yaml:6:15: `faults[0].retryAfter` is 0, no whole number from 1 to 3600; it is in seconds"],
    );
    wrong_rule("fault: cut\nat: once", &["f.yaml:5:7: `faults[0].at` is \"once\"; it is one of before, after, amid"]);
    wrong_rule("fault: loseWatches\nhow: []", &["f.yaml:5:8: `faults[0].how` is a list; it is one of closed, cut, silent"]);
    wrong_rule(
        "fault: shortList\nitems: many\nstatus: 410",
        &[
            "f.yaml:5:10: `faults[0].items` is \"many\", no whole number from 0 to 1000000; so many items are listed before the end",
        ],
    );
    wrong_rule(
        "fault: crash\nactor: etcd-druids",
        &["f.yaml:5:10: there is no simulated controller `etcd-druids`; did you mean `etcd-druid`?"],
    );
    wrong_rule(
        "fault: expire\nafter: -1\ntimes: 0",
        &[
            "f.yaml:5:10: `faults[0].after` is -1, no whole number from 0 to 1000000000; so many go by before the first is struck",
            "f.yaml:6:10: `faults[0].times` is 0, no whole number from 1 to 1000000000; write how many are struck, or `always`; a fault that never strikes is left out",
        ],
    );
    wrong_rule(
        "fault: expire\ncluster: somewhere",
        &["f.yaml:5:12: `somewhere` is no cluster's name; write garden or seed-NAME, or leave it out for every cluster"],
    );
    wrong_rule(
        "fault: expire\nof: {verb: steal, knd: Shoot, user: 3}",
        &[
            "f.yaml:5:14: there is no verb `steal`; verbs are get, list, watch, create, update, patch, apply, delete, deletecollection",
            "f.yaml:5:21: unknown field `knd` in `faults[0].of`; did you mean `kind`?",
            "f.yaml:5:39: `faults[0].of.user` is 3, no name; write a name, or leave the field out for all",
        ],
    );
    wrong_rule("fault: expire\nof: all", &["f.yaml:5:7: `faults[0].of` is no map; its fields are user, verb, kind, namespace"]);
    for (fault, help) in [
        ("duplicate", "it counts events, which have no verb: take it out"),
        ("reorder", "it counts events, which have no verb: take it out"),
        ("shortList\nitems: 1\nstatus: 500", "short lists are for `list`: take it out"),
    ] {
        let name = fault.split('\n').next().unwrap_or_default();
        let line = 5 + fault.matches('\n').count();
        let what = format!("f.yaml:{line}:8: {name} is of no verb; {help}");
        wrong_rule(&format!("fault: {fault}\nof: {{verb: list}}"), &[&what]);
    }
    wrong_rule(
        "fault: crash\nactor: etcd-druid\nof: {user: a}",
        &["f.yaml:6:8: crash is of no user; the controller is the `actor`: take it out"],
    );
}

#[test]
fn serve_says_what_is_wrong_with_a_schedule() {
    let dir = tempfile::tempdir().expect("a folder");
    let serve = |args: &[&str]| run(dir.path(), &[&["sim", "serve", "--state-dir", "state"][..], args].concat());
    let missing = serve(&["--faults", "absent.yaml"]);
    assert_eq!(missing.code, 2, "{}", missing.err);
    assert!(missing.err.contains("failed to read absent.yaml"), "{}", missing.err);
    std::fs::write(dir.path().join("f.yaml"), format!("{HEAD}- fault: rain\n- fault: expire\n  time: 2\n")).expect("a file");
    let wrong = serve(&["--faults", "f.yaml"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(wrong.err.contains("f.yaml:4:10: there is no fault \"rain\"\nhint: faults are latency"), "{}", wrong.err);
    assert!(wrong.err.contains("f.yaml:6:3: unknown field `time`"), "{}", wrong.err);
    assert!(wrong.err.contains("hint: did you mean `times`?") && wrong.out.is_empty(), "{}", wrong.err);
    assert_eq!(serve(&["--faults", "f.yaml", "--fault-seed", "1"]).code, 64);
}

/// The program, serving a folder; killed with the value.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Served {
    /// Starts it, and waits until it says where its kubeconfig is.
    fn start(dir: &Path, args: &[&str]) -> (Self, PathBuf) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_espalier"));
        command.args(["sim", "serve", "--no-controllers", "--state-dir"]).arg(dir).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut served = Self(command.spawn().expect("it starts"));
        let mut line = String::new();
        let out = served.0.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("it says where its kubeconfig is");
        (served, line.trim_end().into())
    }

    /// Ends it, and gives what it said.
    fn said(mut self) -> String {
        self.0.kill().expect("SIGKILL");
        let mut text = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_lets_go_wrong_what_a_file_or_a_number_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let (served, _) = tokio::task::block_in_place(|| Served::start(dir.path(), &["--fault-seed", "7"]));
    let said = tokio::task::block_in_place(|| served.said());
    let drawn = Schedule::drawn(7).to_yaml();
    assert!(said.starts_with(&drawn), "{said}");
    assert_eq!(std::fs::read_to_string(dir.path().join("faults.yaml")).expect("kept"), drawn);

    let file = dir.path().join("own.yaml");
    let rule = "- fault: refuse\n  status: 503\n  retryAfter: 4\n  cluster: garden\n  of: {verb: create}\n";
    let other = "- fault: refuse\n  status: 500\n  cluster: seed-eu\n  of: {verb: get}\n";
    std::fs::write(&file, format!("{HEAD}{rule}{other}")).expect("a file");
    let args = ["--faults", file.to_str().expect("text"), "--cluster", "garden", "--cluster", "seed-eu"];
    let (_served, kubeconfig) = tokio::task::block_in_place(|| Served::start(dir.path(), &args));
    let mut codes = Vec::new();
    for context in ["garden", "seed-eu"] {
        let kubeconfig = Kubeconfig::read_from(&kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions { context: Some(context.into()), ..KubeConfigOptions::default() };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a config");
        config.default_retry = false;
        let client = kube::Client::try_from(config).expect("a client");
        let body = serde_json::to_value(map("a")).expect("JSON");
        for (method, path, body) in [("POST", MAPS, &body), ("GET", "/api/v1/namespaces/default", &Value::Null)] {
            let (code, wait, _) = ask(&client, method, path, body).await.expect("an answer");
            codes.push((context, method, code, wait));
        }
    }
    let wait = Some("4".to_owned());
    let expected = [
        ("garden", "POST", 503, wait),
        ("garden", "GET", 200, None),
        ("seed-eu", "POST", 201, None),
        ("seed-eu", "GET", 500, None),
    ];
    assert_eq!(codes, expected);
}
