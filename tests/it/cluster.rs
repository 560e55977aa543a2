//! The edge to clusters: reduction, lists, watches, bodies, leases; against a scripted API server.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use espalier::cluster::lease::LeaseSettings;
use espalier::cluster::{self, Interner, KindRef, Kinds, Lease, Signal, View, reduce};
use espalier::facts;
use espalier::landscape::Target;
use espalier::observed::{Delta, Keep, OWNER_LABEL, ObjectKey, TRACKING_ANNOTATION};
use espalier::secrets::SecretRef;
use espalier::value::Version;
use serde_json::{Value, json};

use crate::script::{Server, failure};

fn core() -> String {
    json!({ "resources": [
        { "name": "configmaps", "kind": "ConfigMap", "namespaced": true },
        { "name": "secrets", "kind": "Secret", "namespaced": true },
        { "name": "services", "kind": "Service", "namespaced": true },
        { "name": "services/status", "kind": "Service", "namespaced": true },
    ] })
    .to_string()
}

fn service(name: &str, version: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "n", "uid": name, "resourceVersion": version, "labels": { OWNER_LABEL: "seed.a" } } })
}

fn kinds(target: &Target, kinds: &[(&str, &str)]) -> Kinds {
    [(target.clone(), kinds.iter().map(|(v, k)| KindRef::new(*v, *k)).collect::<BTreeSet<_>>())].into()
}

#[test]
fn an_object_is_reduced_to_what_is_needed() {
    let mut keep = Keep::default();
    keep.pointers.entry((String::new(), "Service".into())).or_default().insert("/spec/ports/0/nodePort".into());
    let mut interner = Interner::default();
    let make = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": name, "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 3,
                "labels": { OWNER_LABEL: "seed.a" }, "annotations": { TRACKING_ANNOTATION: format!("seed.a;/Service/n/{name}") },
                "finalizers": ["x"], "deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{ "controller": true }],
                "managedFields": [
                    { "manager": "espalier", "operation": "Update", "fieldsV1": { "f:status": {} } },
                    { "manager": "espalier", "operation": "Apply", "subresource": "status", "fieldsV1": { "f:x": {} } },
                    { "manager": "espalier", "operation": "Apply", "fieldsV1": { "f:spec": {} } },
                ],
            },
            "spec": { "type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{ "port": 1, "nodePort": 31000 }] },
            "status": { "loadBalancer": {} },
        })
    };
    let one = reduce(make("a"), &keep, &mut interner).expect("an object");
    let two = reduce(make("b"), &keep, &mut interner).expect("an object");
    assert_eq!(one.key, ObjectKey::new("", "Service", "n", "a"));
    assert!(one.deleting && one.controlled && one.is_tracked());
    assert_eq!((one.generation, one.resource_version.as_str(), one.finalizers.len()), (3, "7", 1));
    assert_eq!(one.fields.as_deref(), Some(&json!({ "f:spec": {} })));
    assert!(Arc::ptr_eq(one.fields.as_ref().expect("ours"), two.fields.as_ref().expect("ours")), "equal sets are kept once");
    assert_eq!(one.get("/spec/ports/0/nodePort"), Some(&json!(31000)));
    assert_eq!(one.get("/spec/type"), Some(&json!("LoadBalancer")));
    assert_eq!(one.get("/spec/clusterIP"), None);
}

#[test]
fn secrets_and_foreign_objects_leave_no_content_behind() {
    let mut keep = Keep::default();
    keep.pointers.entry((String::new(), "Secret".into())).or_default().insert("/data/key".into());
    let secret = |labels: Value| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "n", "labels": labels,
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{secret}" } }, "data": { "key": "c2VjcmV0" } })
    };
    let managed = reduce(secret(json!({ "managed-by": "secrets-manager", "name": "ca" })), &keep, &mut Interner::default());
    let managed = managed.expect("an object");
    assert_eq!(managed.labels.get("name").map(String::as_str), Some("ca"));
    assert_eq!(*managed.kept, Value::Null);
    let foreign = reduce(secret(json!({ "app": "x" })), &keep, &mut Interner::default()).expect("an object");
    assert!(foreign.labels.is_empty() && foreign.annotations.is_empty());
    assert_eq!(*foreign.kept, Value::Null);
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "s" }, "data": { "a": "b" } });
    assert_eq!(*reduce(map, &keep, &mut Interner::default()).expect("an object").kept, Value::Null);
    assert!(reduce(json!({ "kind": "X" }), &keep, &mut Interner::default()).is_none());
}

#[test]
fn landscape_kinds_are_kept_whole() {
    let shoot = json!({ "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot",
        "metadata": { "name": "s", "namespace": "garden-p", "managedFields": [{}], "annotations": { "espalier.dev/accepted": "{}" } },
        "spec": { "seedName": "a", "provider": { "workers": [1] } } });
    let shoot = reduce(shoot, &Keep::default(), &mut Interner::default()).expect("an object");
    assert_eq!(shoot.get("/spec/provider/workers/0"), Some(&json!(1)));
    assert_eq!(shoot.get("/metadata/managedFields"), None);
    assert_eq!(shoot.annotations.get("espalier.dev/accepted").map(String::as_str), Some("{}"));
}

#[tokio::test]
async fn lists_go_through_all_pages_and_name_their_items() {
    let server = Server::new(|_, path, _| match path {
        "/api/v1" => (200, core()),
        "/api/v1/services?limit=500" => {
            (200, json!({ "metadata": { "continue": "a/b=", "resourceVersion": "5" }, "items": [service("a", "1")] }).to_string())
        }
        "/api/v1/services?limit=500&continue=a%2Fb%3D" => {
            (200, json!({ "metadata": { "resourceVersion": "5" }, "items": [service("b", "2")] }).to_string())
        }
        _ => failure(404, "NotFound"),
    });
    let target = Target::Seed("a".into());
    let clusters = server.clusters(target.clone());
    let wanted = kinds(&target, &[("v1", "Service"), ("druid.gardener.cloud/v1alpha1", "Etcd")]);
    let observed = cluster::observe(&clusters, &wanted, &Keep::default()).await;
    assert!(observed.complete(&target), "{:?}", observed.targets[&target].problem);
    let names: Vec<&str> = observed.targets[&target].objects.keys().map(|k| k.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(observed.targets[&target].labelled("seed.a").count(), 2);
    assert_eq!(clusters.counters().writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn whatever_cuts_a_list_short_makes_the_target_incomplete() {
    type Answer = fn(&str) -> (u16, String);
    let cases: [(&str, Answer); 5] = [
        ("the second page fails", |path| {
            if path.contains("continue") {
                failure(500, "InternalError")
            } else {
                (200, json!({ "metadata": { "continue": "x" }, "items": [] }).to_string())
            }
        }),
        ("the way to the rest is missing", |_| {
            (200, json!({ "metadata": { "remainingItemCount": 3 }, "items": [service("a", "1")] }).to_string())
        }),
        ("the text ends early", |_| (200, "{\"items\": [{\"metadata\"".to_owned())),
        ("we may not", |_| failure(403, "Forbidden")),
        ("discovery fails", |_| unreachable!("nothing is listed")),
    ];
    for (name, answer) in cases {
        let server = Server::new(move |_, path, _| match path {
            "/api/v1" if name == "discovery fails" => failure(503, "ServiceUnavailable"),
            "/api/v1" => (200, core()),
            other => answer(other),
        });
        let clusters = server.clusters(Target::Garden);
        let observed = cluster::observe(&clusters, &kinds(&Target::Garden, &[("v1", "Service")]), &Keep::default()).await;
        assert!(!observed.complete(&Target::Garden), "{name}");
        let problem = observed.targets[&Target::Garden].problem.clone().expect(name);
        assert!(problem.starts_with("Service could not be listed: "), "{problem}");
    }
    let nowhere = Target::Seed("b".into());
    let clusters = Server::new(|_, _, _| failure(500, "x")).clusters(Target::Garden);
    assert!(!cluster::observe(&clusters, &kinds(&nowhere, &[("v1", "Service")]), &Keep::default()).await.complete(&nowhere));
}

#[tokio::test]
async fn bodies_are_read_in_batches_and_absence_is_known() {
    let server = Server::new(|_, path, _| {
        let secret = |name: &str| json!({ "metadata": { "name": name }, "data": { "k": "djE=" } });
        match path {
            "/api/v1/namespaces/few/secrets/a" => (200, secret("a").to_string()),
            "/api/v1/namespaces/many/secrets?limit=500" => {
                (200, json!({ "items": (0..20).map(|i| secret(&format!("s{i}"))).collect::<Vec<_>>() }).to_string())
            }
            "/api/v1/namespaces/shut/secrets/a" => failure(403, "Forbidden"),
            _ => failure(404, "NotFound"),
        }
    });
    let clusters = server.clusters(Target::Garden);
    let at = |namespace: &str, name: &str| SecretRef::secret(Target::Garden, namespace, name);
    let mut wanted: BTreeSet<SecretRef> = [at("few", "a"), at("few", "gone"), at("shut", "a")].into();
    wanted.extend((0..10).map(|i| at("many", &format!("s{i}"))));
    wanted.insert(at("many", "gone"));
    let (bodies, problems) = cluster::bodies(&clusters, &wanted).await;
    assert_eq!(bodies.0.len(), wanted.len() - 1, "what could not be looked up is absent");
    assert_eq!(bodies.0[&at("few", "a")].as_ref().expect("exists")["k"].as_slice(), b"v1");
    assert!(bodies.0[&at("few", "gone")].is_none() && bodies.0[&at("many", "gone")].is_none());
    assert!(!bodies.0.contains_key(&at("shut", "a")));
    assert_eq!(problems.keys().collect::<Vec<_>>(), [&Target::Garden]);
    assert_eq!(server.paths().iter().filter(|p| p.contains("/many/")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_the_list_and_lists_again_when_history_is_lost() {
    let lists = Arc::new(Mutex::new(VecDeque::from([vec![service("a", "1"), service("b", "2")], vec![service("c", "9")]])));
    let watches = Arc::new(Mutex::new(VecDeque::from([
        format!(
            "{}\n{}\n",
            json!({ "type": "MODIFIED", "object": service("a", "6") }),
            json!({ "type": "DELETED", "object": service("b", "7") })
        ),
        format!(
            "{}\n",
            json!({ "type": "ERROR", "object": { "kind": "Status", "code": 410, "reason": "Expired", "message": "old" } })
        ),
    ])));
    let server = Server::new(move |_, path, _| {
        if path == "/api/v1" {
            return (200, core());
        }
        if path.contains("watch=true") {
            return watches.lock().expect("lock").pop_front().map_or_else(|| failure(500, "InternalError"), |text| (200, text));
        }
        match lists.lock().expect("lock").pop_front() {
            Some(items) => (200, json!({ "metadata": { "resourceVersion": "5" }, "items": items }).to_string()),
            None => failure(500, "InternalError"),
        }
    });
    let clusters = server.clusters(Target::Garden);
    let wanted = kinds(&Target::Garden, &[("v1", "Service")]);
    let (sink, mut signals) = tokio::sync::mpsc::channel(8);
    let mut view = View::new(&wanted);
    assert!(!view.observed.complete(&Target::Garden));
    let watching = cluster::watch(&clusters, &wanted, Keep::default(), sink);
    let names = |view: &View| view.observed.targets[&Target::Garden].objects.keys().map(|k| k.name.clone()).collect::<Vec<_>>();

    let touched = view.fold(signals.recv().await.expect("a list"));
    assert!(touched.completeness && view.observed.complete(&Target::Garden));
    assert_eq!((names(&view), touched.owners), (vec!["a".to_owned(), "b".to_owned()], BTreeSet::from(["seed.a".to_owned()])));
    view.fold(signals.recv().await.expect("a change"));
    let touched = view.fold(signals.recv().await.expect("a deletion"));
    assert_eq!((names(&view), touched.keys.len()), (vec!["a".to_owned()], 1));
    view.fold(signals.recv().await.expect("a new list"));
    assert_eq!(names(&view), ["c"]);
    let lost = signals.recv().await.expect("a failure");
    assert!(matches!(lost, Signal::Incomplete { .. }), "{lost:?}");
    assert!(view.fold(lost).completeness && !view.observed.complete(&Target::Garden));
    assert_eq!(names(&view), ["c"], "the last state is kept");
    let resumed = server.paths().into_iter().filter(|p| p.contains("watch=true")).nth(1).expect("a second watch");
    assert!(resumed.ends_with("resourceVersion=7"), "{resumed}");
    drop(watching);
    assert!(signals.recv().await.is_none_or(|s| matches!(s, Signal::Incomplete { .. })));
    assert!(signals.recv().await.is_none(), "nothing runs on");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_upgraded_is_listed_again() {
    let server = Server::new(|_, path, _| match path {
        "/api/v1" => (200, core()),
        path if path.contains("watch=true") => (200, format!("{}\n", json!({ "type": "MODIFIED", "object": service("a", "6") }))),
        _ => (200, json!({ "metadata": { "resourceVersion": "5" }, "items": [] }).to_string()),
    });
    *server.version.lock().expect("lock") = "v1.33.5-gke.1080000".to_owned();
    let clusters = server.clusters(Target::Garden);
    let wanted = kinds(&Target::Garden, &[("v1", "Service")]);
    let (sink, mut signals) = tokio::sync::mpsc::channel(2);
    let mut view = View::new(&wanted);
    let _watching = cluster::watch(&clusters, &wanted, Keep::default(), sink);
    assert!(view.fold(signals.recv().await.expect("a list")).server);
    assert_eq!(view.observed.targets[&Target::Garden].server, Some(Version::new(1, 33, 5)));
    assert_eq!(facts::traffic_distribution(&view.observed, &Target::Garden), Some(json!("PreferClose")));

    "v1.34.0".clone_into(&mut server.version.lock().expect("lock"));
    tokio::time::advance(Duration::from_mins(6)).await;
    // Some were told before it was asked again.
    let mut told = 0;
    while !view.fold(signals.recv().await.expect("news")).server {
        told += 1;
        assert!(told < 10, "the watch goes on as if nothing had happened");
    }
    assert_eq!(view.observed.targets[&Target::Garden].server, Some(Version::new(1, 34, 0)));
    assert_eq!(facts::traffic_distribution(&view.observed, &Target::Garden), Some(json!("PreferSameZone")));
    assert_eq!(facts::traffic_distribution(&view.observed, &Target::Seed("other".into())), None);
}

#[test]
fn a_deletion_that_is_told_late_does_not_take_the_one_that_has_its_name_now() {
    let target = Target::Garden;
    let mut view = View::default();
    let object = |uid: &str, version: &str| {
        let mut object = service("a", version);
        object["metadata"]["uid"] = uid.into();
        object["apiVersion"] = "v1".into();
        object["kind"] = "Service".into();
        Arc::new(reduce(object, &Keep::default(), &mut Interner::default()).expect("an object"))
    };
    let key = ObjectKey::new("", "Service", "n", "a");
    let deleted = |uid: &str| Signal::Changed {
        target: Target::Garden,
        delta: Delta::Deleted { key: ObjectKey::new("", "Service", "n", "a"), uid: uid.into() },
    };
    view.written(&target, object("one", "5"));
    // Ours, made anew before the watch has told that the first one went.
    view.written(&target, object("two", "9"));
    assert_eq!(view.fold(deleted("one")), cluster::watch::Touched::default());
    assert_eq!(view.observed.get(&target, &key).map(|known| known.uid.as_str()), Some("two"));
    assert_eq!(view.fold(deleted("two")).keys.len(), 1);
    assert_eq!(view.observed.get(&target, &key), None);
}

#[test]
fn what_was_listed_stays_so_when_more_is_expected() {
    let (garden, seed) = (Target::Garden, Target::Seed("new".into()));
    let listed = |target: &Target, kind: &str| {
        let (target, kind) = (target.clone(), KindRef::new("v1", kind));
        Signal::Relisted { target, kind, objects: Vec::new(), server: None }
    };
    let mut view = View::new(&kinds(&garden, &[("v1", "Service")]));
    view.fold(listed(&garden, "Service"));

    // What is followed already is not listed again.
    let mut all = kinds(&garden, &[("v1", "Service")]);
    all.extend(kinds(&seed, &[("v1", "Service")]));
    view.expect(&all);
    assert!(view.observed.complete(&garden) && !view.observed.complete(&seed));
    view.expect(&kinds(&garden, &[("v1", "Service"), ("v1", "Secret")]));
    assert!(!view.observed.complete(&garden));
    view.fold(listed(&garden, "Secret"));
    assert!(view.observed.complete(&garden));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_comes_to_be_served_is_found() {
    let served = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&served);
    let server = Server::new(move |_, path, _| match path {
        "/apis/example.org/v1" if *flag.lock().expect("lock") => {
            (200, json!({ "resources": [{ "name": "things", "kind": "Thing", "namespaced": false }] }).to_string())
        }
        "/apis/example.org/v1/things?limit=500" => {
            (200, json!({ "metadata": { "resourceVersion": "1" }, "items": [{ "metadata": { "name": "x" } }] }).to_string())
        }
        _ => failure(404, "NotFound"),
    });
    let clusters = server.clusters(Target::Garden);
    let wanted = kinds(&Target::Garden, &[("example.org/v1", "Thing")]);
    let (sink, mut signals) = tokio::sync::mpsc::channel(8);
    let _watching = cluster::watch(&clusters, &wanted, Keep::default(), sink);
    assert!(matches!(signals.recv().await, Some(Signal::Relisted { objects, .. }) if objects.is_empty()));
    *served.lock().expect("lock") = true;
    assert!(matches!(signals.recv().await, Some(Signal::Relisted { objects, .. }) if objects.len() == 1));
}

/// A Lease object with optimistic locking.
fn lease_server() -> Server {
    let state: Arc<Mutex<Option<(u64, Value)>>> = Arc::default();
    Server::new(move |method, _, body| {
        let mut state = state.lock().expect("lock");
        let show = |state: &Option<(u64, Value)>| {
            let (version, spec) = state.as_ref().expect("exists");
            (200, json!({ "metadata": { "resourceVersion": version.to_string() }, "spec": spec }).to_string())
        };
        match (method, state.as_ref()) {
            ("GET", None) => failure(404, "NotFound"),
            ("GET", Some(_)) => show(&state),
            ("POST", None) => {
                *state = Some((1, body["spec"].clone()));
                show(&state)
            }
            ("PATCH", Some((version, _))) if body["metadata"]["resourceVersion"] == json!(version.to_string()) => {
                let version = version + 1;
                *state = Some((version, body["spec"].clone()));
                show(&state)
            }
            _ => failure(409, "Conflict"),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn one_holds_the_lease_and_its_permission_ends_before_another_may_begin() {
    let server = lease_server();
    let clusters = server.clusters(Target::Garden);
    let candidate = |who: &str| Lease::new(&clusters, &Target::Garden, LeaseSettings::of("local", who)).expect("a candidate");
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    assert!(a.fence().check().is_err());
    assert!(a.attempt().await.expect("takes it"));
    assert!(!b.attempt().await.expect("looks"));
    assert!(a.fence().check().is_ok() && b.fence().check().is_err());

    tokio::time::advance(Duration::from_secs(19)).await;
    assert!(a.fence().check().is_err(), "not renewed: nothing more is sent");
    assert!(!b.attempt().await.expect("looks"), "and still nobody else may");
    tokio::time::advance(Duration::from_secs(12)).await;
    assert!(b.attempt().await.expect("takes over"));
    assert!(!a.attempt().await.expect("looks"), "the old holder sees that it lost");

    b.release().await.expect("gives up");
    assert!(b.fence().check().is_err());
    assert!(a.attempt().await.expect("takes it at once"));
    assert_eq!(clusters.counters().writes(), 0, "the lease is not counted among the writes");
    assert!(clusters.counters().snapshot().iter().any(|((_, verb), n)| *verb == "lease" && *n == 4));
}

#[tokio::test(start_paused = true)]
async fn a_gardener_beside_us_is_noticed() {
    let case = |service: Value, renewed: &'static str| async move {
        let server = Server::new(move |_, path, _| {
            if path.ends_with("v1beta1.core.gardener.cloud") && !service.is_null() {
                return (200, json!({ "spec": { "service": service.get("service") } }).to_string());
            }
            if path.contains("gardener-system-seed-lease") && !renewed.is_empty() {
                let lease = json!({ "metadata": { "name": "eu" }, "spec": { "renewTime": renewed } });
                return (200, json!({ "items": [lease] }).to_string());
            }
            failure(404, "NotFound")
        });
        let found = cluster::running_gardener(&server.clusters(Target::Garden)).await;
        found.expect("answers")
    };
    // The clock of these tests stands at 2026-09-21T14:13:20Z.
    assert_eq!(case(Value::Null, "").await, None);
    assert_eq!(case(json!({ "service": null }), "2020-01-01T00:00:00.000000Z").await, None);
    assert!(case(json!({ "service": { "name": "gardener-apiserver" } }), "").await.is_some());
    assert!(case(Value::Null, "2026-09-21T14:13:00.000000Z").await.expect("fresh").contains("`eu`"));
    let broken = Server::new(|_, _, _| failure(500, "InternalError"));
    assert!(cluster::running_gardener(&broken.clusters(Target::Garden)).await.is_err(), "not knowing is not absence");
    let asked = Mutex::new(0);
    let restarting = Server::new(move |_, _, _| {
        let mut asked = asked.lock().expect("lock");
        *asked += 1;
        if *asked < 3 { failure(503, "ServiceUnavailable") } else { failure(404, "NotFound") }
    });
    assert_eq!(cluster::running_gardener(&restarting.clusters(Target::Garden)).await, Ok(None), "it is back by then");
}
