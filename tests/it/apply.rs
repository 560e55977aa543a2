//! Carrying out plans, against a scripted API server: which requests, in which order, and what failures become.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use espalier::apply::{Limits, execute};
use espalier::cluster::Lease;
use espalier::cluster::lease::LeaseSettings;
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{OWNER_LABEL, ObjectKey, TRACKING_ANNOTATION};
use espalier::plan::{Action, ComponentPlan, ComponentState, ErrorClass, Operation, OwnerPlan, Step};
use espalier::render::{ComponentId, Scope};
use espalier::secrets::{Generate, Recipe, Wanted};
use serde_json::{Value, json};

use crate::script::{Server, failure};

fn plan(components: Vec<Vec<Step>>, generate: Vec<Generate>) -> OwnerPlan {
    let components = components.into_iter().enumerate().map(|(at, steps)| ComponentPlan {
        id: ComponentId { scope: Scope::Seed, name: format!("c{at}") },
        target: Target::Garden,
        beside: false,
        state: ComponentState::Progressing(String::new()),
        steps,
        later: Vec::new(),
    });
    OwnerPlan {
        owner: Owner::cluster(Kind::Seed, "a"),
        operation: Operation::Reconcile,
        components: components.collect(),
        generate,
        progress: 0,
        again: None,
        waits: None,
    }
}

fn step(name: &str, action: Action) -> Step {
    Step {
        target: Target::Garden,
        key: ObjectKey::new("", "ConfigMap", "n", name),
        api_version: "v1".into(),
        action,
        reason: String::new(),
        changes: Vec::new(),
        digest: None,
    }
}

fn manifest(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "n",
        "labels": { OWNER_LABEL: "seed.a" }, "annotations": { TRACKING_ANNOTATION: format!("seed.a;/ConfigMap/n/{name}") } } })
}

fn create(name: &str) -> Step {
    step(name, Action::Create { body: Arc::new(manifest(name)), once: None, trigger: false })
}

fn update(name: &str) -> Step {
    step(name, Action::Update { uid: "u".into(), body: Arc::new(manifest(name)), once: None, drift: false, trigger: false })
}

fn delete(name: &str, confirm: bool, release: bool) -> Step {
    step(name, Action::Delete { uid: "u".into(), resource_version: "5".into(), confirm, release })
}

fn core() -> (u16, String) {
    let kinds = [("configmaps", "ConfigMap"), ("secrets", "Secret")];
    let resources: Vec<Value> = kinds.iter().map(|(n, k)| json!({ "name": n, "kind": k, "namespaced": true })).collect();
    (200, json!({ "resources": resources }).to_string())
}

/// A server with empty shelves: everything can be created.
fn willing() -> Server {
    Server::new(|method, path, body| match (method, path) {
        ("GET", "/api/v1") => core(),
        ("GET", _) => failure(404, "NotFound"),
        ("PATCH" | "POST", path) => {
            let mut object = body.clone();
            object["metadata"]["resourceVersion"] = json!("6");
            object["metadata"]["uid"] = json!("u");
            (if path.contains("merge") { 200 } else { 201 }, object.to_string())
        }
        _ => (200, json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }).to_string()),
    })
}

/// Method and last part of the path with its query, without reads.
fn writes(server: &Server) -> Vec<String> {
    let seen = server.seen.lock().expect("lock");
    let writes = seen.iter().filter(|s| s.method != "GET");
    writes.map(|s| format!("{} {}", s.method, s.path.rsplit_once("/namespaces/n/").map_or("", |(_, rest)| rest))).collect()
}

#[tokio::test]
async fn writes_come_in_order_and_deletions_last() {
    let server = willing();
    let plan = plan(vec![vec![delete("old", false, false), create("a")], vec![update("b")]], Vec::new());
    let results = execute(&plan, &server.clusters(Target::Garden), &Limits::default()).await;
    let told: Vec<_> = results.iter().map(|r| (r.key.name.as_str(), r.verb, r.result.is_ok())).collect();
    assert_eq!(told, [("a", "create", true), ("b", "update", true), ("old", "delete", true)]);
    assert!(results[0].object.as_ref().is_some_and(|o| o.is_tracked() && o.resource_version == "6"));
    let mut all = writes(&server);
    assert_eq!(all.pop().expect("three"), "DELETE configmaps/old");
    all.sort();
    assert_eq!(
        all,
        ["PATCH configmaps/a?fieldManager=espalier&force=false", "PATCH configmaps/b?fieldManager=espalier&force=true"]
    );
    let seen = server.seen.lock().expect("lock");
    let last = &seen.last().expect("requests").body;
    assert_eq!(last["preconditions"], json!({ "uid": "u", "resourceVersion": "5" }));
}

#[tokio::test]
async fn fields_set_once_are_never_dropped_on_the_way() {
    let server = willing();
    let once = Arc::new(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "n" }, "data": { "k": "v" } }),
    );
    let created = step("a", Action::Create { body: Arc::new(manifest("a")), once: Some(Arc::clone(&once)), trigger: false });
    execute(&plan(vec![vec![created]], Vec::new()), &server.clusters(Target::Garden), &Limits::default()).await;
    let expected = [
        "PATCH configmaps/a?fieldManager=espalier&force=false",
        "PATCH configmaps/a?fieldManager=espalier-once&force=false",
        "PATCH configmaps/a?fieldManager=espalier&force=true",
    ];
    assert_eq!(writes(&server), expected);
    let bodies: Vec<bool> = {
        let seen = server.seen.lock().expect("lock");
        seen.iter().filter(|s| s.method == "PATCH").map(|s| s.body.get("data").is_some()).collect()
    };
    assert_eq!(bodies, [true, true, false], "complete from the first moment, co-owned, then given up");

    let server = willing();
    let updated = step(
        "a",
        Action::Update { uid: "u".into(), body: Arc::new(manifest("a")), once: Some(once), drift: false, trigger: false },
    );
    execute(&plan(vec![vec![updated]], Vec::new()), &server.clusters(Target::Garden), &Limits::default()).await;
    assert_eq!(writes(&server), expected[1..]);
}

#[tokio::test]
async fn the_handshake_is_a_patch_of_its_own() {
    let server = willing();
    let created = step("a", Action::Create { body: Arc::new(manifest("a")), once: None, trigger: true });
    execute(
        &plan(vec![vec![created, step("b", Action::Trigger)]], Vec::new()),
        &server.clusters(Target::Garden),
        &Limits::default(),
    )
    .await;
    assert_eq!(
        writes(&server),
        [
            "PATCH configmaps/a?fieldManager=espalier&force=false",
            "PATCH configmaps/a?fieldManager=espalier",
            "PATCH configmaps/b?fieldManager=espalier"
        ]
    );
    let seen = server.seen.lock().expect("lock");
    let annotations = &seen.last().expect("requests").body["metadata"]["annotations"];
    assert_eq!(
        annotations,
        &json!({ "gardener.cloud/operation": "reconcile", "gardener.cloud/timestamp": "2026-09-21T14:13:20Z" })
    );
}

#[tokio::test]
async fn a_foreign_object_is_never_taken_over_by_a_creation() {
    for (found, verdict) in [
        (json!({ "metadata": { "name": "a", "namespace": "n", "uid": "f" } }), Some(ErrorClass::Conflict)),
        (manifest("a"), None),
    ] {
        let server = Server::new(move |method, path, body| match (method, path) {
            ("GET", "/api/v1") => core(),
            ("GET", _) => (200, found.to_string()),
            _ => (200, body.to_string()),
        });
        let results =
            execute(&plan(vec![vec![create("a")]], Vec::new()), &server.clusters(Target::Garden), &Limits::default()).await;
        assert_eq!(results[0].result.as_ref().err().map(|e| e.class), verdict);
        assert_eq!(writes(&server).len(), usize::from(verdict.is_none()), "ours from before a crash is updated");
    }
    // Somebody was faster between the look and the apply, with equal values.
    let server = Server::new(|method, path, body| match (method, path) {
        ("GET", "/api/v1") => core(),
        ("GET", _) => failure(404, "NotFound"),
        _ => (200, body.to_string()),
    });
    let results = execute(&plan(vec![vec![create("a")]], Vec::new()), &server.clusters(Target::Garden), &Limits::default()).await;
    assert_eq!(results[0].result.as_ref().expect_err("not created").class, ErrorClass::Conflict);
    let seen = server.seen.lock().expect("lock");
    assert_eq!(seen.last().expect("requests").body["metadata"], json!({ "name": "a", "namespace": "n" }), "and let go of again");
}

#[tokio::test]
async fn deletion_is_confirmed_released_and_guarded() {
    let versions = Arc::new(Mutex::new(5));
    let server = Server::new(move |method, path, _| {
        let mut version = versions.lock().expect("lock");
        let object = |version: i32| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "n", "uid": "u",
                "resourceVersion": version.to_string(), "finalizers": ["espalier.dev/protect", "other"] } })
        };
        if (method, path) == ("GET", "/api/v1") {
            return core();
        }
        *version += i32::from(method == "PATCH");
        (200, object(*version).to_string())
    });
    let results =
        execute(&plan(vec![vec![delete("a", true, true)]], Vec::new()), &server.clusters(Target::Garden), &Limits::default())
            .await;
    assert_eq!(results[0].result, Ok(true));
    let seen = server.seen.lock().expect("lock");
    let bodies: Vec<&Value> = seen.iter().filter(|s| s.method != "GET").map(|s| &s.body).collect();
    assert_eq!(bodies[0]["metadata"]["annotations"]["confirmation.gardener.cloud/deletion"], "true");
    assert_eq!((&bodies[0]["metadata"]["resourceVersion"], &bodies[0]["metadata"]["uid"]), (&json!("5"), &json!("u")));
    assert_eq!(
        (&bodies[1]["metadata"]["finalizers"], &bodies[1]["metadata"]["resourceVersion"]),
        (&json!(["other"]), &json!("6"))
    );
    assert_eq!(bodies[2]["preconditions"], json!({ "uid": "u", "resourceVersion": "7" }));
}

#[tokio::test(start_paused = true)]
async fn only_transient_failures_are_tried_again_and_a_failure_stops_its_component_only() {
    let tries: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let counted = Arc::clone(&tries);
    let server = Server::new(move |method, path, body| {
        if method == "GET" {
            return if path == "/api/v1" { core() } else { failure(404, "NotFound") };
        }
        let name = path.split('?').next().and_then(|p| p.rsplit('/').next()).unwrap_or_default().to_owned();
        let mut tries = counted.lock().expect("lock");
        let count = tries.entry(name.clone()).or_default();
        *count += 1;
        match (name.as_str(), *count) {
            ("flaky", 1..=2) => failure(503, "ServiceUnavailable"),
            ("busy", _) => (429, json!({ "message": "slow down", "details": { "retryAfterSeconds": 120 } }).to_string()),
            ("bad", _) => (422, json!({ "reason": "Invalid", "message": "ConfigMap \"bad\" is invalid" }).to_string()),
            ("shut", _) => failure(403, "Forbidden"),
            ("ending", _) => (
                403,
                json!({ "reason": "Forbidden", "message": "x", "details": { "causes": [{ "reason": "NamespaceTerminating" }] } })
                    .to_string(),
            ),
            ("down", _) => failure(500, "InternalError"),
            _ => (201, body.to_string()),
        }
    });
    let names = ["flaky", "busy", "bad", "shut", "ending", "down"];
    let components = names.iter().map(|name| vec![update(name), update("never"), delete("neither", false, false)]).collect();
    let results = execute(&plan(components, Vec::new()), &server.clusters(Target::Garden), &Limits::default()).await;
    let classes: BTreeMap<&str, _> = results
        .iter()
        .filter(|r| names.contains(&r.key.name.as_str()))
        .map(|r| (r.key.name.as_str(), r.result.as_ref().err().map(|e| e.class)))
        .collect();
    assert_eq!(
        classes,
        BTreeMap::from([
            ("flaky", None),
            ("busy", Some(ErrorClass::Transient)),
            ("bad", Some(ErrorClass::Permanent)),
            ("shut", Some(ErrorClass::Denied)),
            ("ending", Some(ErrorClass::Conflict)),
            ("down", Some(ErrorClass::Transient)),
        ])
    );
    let busy = results.iter().find(|r| r.key.name == "busy").and_then(|r| r.result.as_ref().err()).expect("failed");
    assert_eq!((busy.status, busy.retry_after), (429, Some(120)));
    let tries = tries.lock().expect("lock");
    let counts: Vec<u32> = names.iter().map(|name| tries[*name]).collect();
    assert_eq!(counts, [3, 1, 1, 1, 1, 4]);
    assert_eq!((tries["never"], tries["neither"]), (1, 1), "only the component that did not fail went on");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_without_the_lease() {
    let server = Server::new(|method, path, body| match (method, path) {
        ("GET", "/api/v1") => core(),
        ("GET", _) => failure(404, "NotFound"),
        _ => (201, body.to_string()),
    });
    let clusters = server.clusters(Target::Garden);
    let mut lease = Lease::new(&clusters, &Target::Garden, LeaseSettings::of("local", "me")).expect("a candidate");
    clusters.fence(lease.fence());
    let wanted = plan(vec![vec![create("a")]], Vec::new());
    let refused = execute(&wanted, &clusters, &Limits::default()).await;
    assert_eq!(refused[0].result.as_ref().expect_err("no lease").class, ErrorClass::Transient);
    assert!(writes(&server).is_empty());
    assert!(lease.attempt().await.expect("takes it"));
    assert_eq!(execute(&wanted, &clusters, &Limits::default()).await[0].result, Ok(true));
    tokio::time::advance(Duration::from_secs(20)).await;
    let before = writes(&server).len();
    assert!(execute(&wanted, &clusters, &Limits::default()).await[0].result.is_err());
    assert_eq!(writes(&server).len(), before);
}

fn generate(config: &str, recipe: Recipe, reads: &[(&str, &str)]) -> Generate {
    Generate {
        target: Target::Garden,
        namespace: "n".into(),
        name: format!("{config}-1"),
        wanted: Wanted { config: config.into(), recipe, keep_old: false, persist: true },
        labels: [("persist".to_owned(), "true".to_owned())].into(),
        reads: reads.iter().map(|(config, name)| ((*config).to_owned(), (*name).to_owned())).collect(),
        reason: String::new(),
    }
}

#[tokio::test]
async fn secrets_are_posted_immutable_and_a_taken_name_is_read_back() {
    let leaf = || Recipe::Certificate {
        authority: "ca".into(),
        common_name: "x".into(),
        organizations: Vec::new(),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        server: true,
        client: false,
    };
    let server = Server::new(|method, path, body| match (method, path) {
        ("GET", "/api/v1") => core(),
        ("GET", "/api/v1/namespaces/n/secrets/taken-1") => {
            let labels = json!({ "managed-by": "secrets-manager", "name": "taken" });
            (200, json!({ "metadata": { "name": "taken-1", "namespace": "n", "uid": "first", "labels": labels } }).to_string())
        }
        ("GET", "/api/v1/namespaces/n/secrets/foreign-1") => {
            (200, json!({ "metadata": { "name": "foreign-1", "namespace": "n" } }).to_string())
        }
        ("POST", _) if body["metadata"]["name"] == "ca-1" => (201, body.to_string()),
        ("POST", _) => failure(409, "AlreadyExists"),
        _ => failure(404, "NotFound"),
    });
    let wanted = vec![
        generate("ca", Recipe::Authority { common_name: String::new() }, &[]),
        generate("server", leaf(), &[("ca", "ca-1")]),
        generate("taken", Recipe::RandomKey, &[]),
        generate("foreign", Recipe::RandomKey, &[]),
    ];
    let results = execute(&plan(Vec::new(), wanted), &server.clusters(Target::Garden), &Limits::default()).await;
    assert_eq!(results[0].result, Ok(true));
    assert!(results[0].object.as_ref().is_some_and(|o| o.labels["name"] == "ca" && o.kept.is_null()), "no body comes back");
    let waiting = results[1].result.as_ref().expect_err("its authority was not read back");
    assert_eq!(waiting.class, ErrorClass::Conflict);
    assert_eq!(results[2].result, Ok(false));
    assert_eq!(results[2].object.as_ref().expect("read back").uid, "first");
    assert_eq!(results[3].result.as_ref().expect_err("not ours").class, ErrorClass::Conflict);
    let seen = server.seen.lock().expect("lock");
    let posted = &seen.iter().find(|s| s.method == "POST").expect("a creation").body;
    assert_eq!((&posted["immutable"], &posted["type"]), (&json!(true), &json!("Opaque")));
    let labels = &posted["metadata"]["labels"];
    assert_eq!(
        (&labels["managed-by"], &labels["issued-at-time"], &labels["persist"]),
        (&json!("secrets-manager"), &json!("1790000000"), &json!("true"))
    );
    assert!(labels["valid-until-time"].is_string());
}
