//! Observing, following, applying and making secrets on simulated clusters: the edges together.

use std::collections::BTreeSet;
use std::sync::Arc;

use espalier::apply::{Limits, execute};
use espalier::cluster::{self, Clusters, KindRef, Kinds, Lease, LeaseSettings, View};
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{Keep, OWNER_LABEL, Object, ObjectKey, TRACKING_ANNOTATION};
use espalier::plan::{Action, ComponentPlan, ComponentState, ErrorClass, Operation, OwnerPlan, Step, StepResult};
use espalier::render::{ComponentId, Scope};
use espalier::secrets::{Generate, Recipe, SecretRef, Wanted};
use espalier::sim::{Delays, Matching, Options, Rule, Sim};
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000;

fn sim() -> (Sim, Clusters) {
    let start = jiff::Timestamp::from_second(NOW).expect("in range");
    let options =
        Options { name: "garden".into(), state: None, seed: 1, actors: false, garden: true, delays: Delays::None, start };
    let sim = Sim::open(options).map_err(|e| e.to_string()).expect("opens");
    let clusters = Clusters::new([(Target::Garden, sim.client())].into(), Arc::new(move || start));
    (sim, clusters)
}

fn kinds() -> Kinds {
    let kinds = [("v1", "Namespace"), ("v1", "ConfigMap"), ("v1", "Secret"), ("apps/v1", "Deployment")];
    [(Target::Garden, kinds.iter().map(|(v, k)| KindRef::new(*v, *k)).collect::<BTreeSet<_>>())].into()
}

fn key(group: &str, kind: &str, name: &str) -> ObjectKey {
    ObjectKey::new(group, kind, "default", name)
}

fn stamped(mut object: Value) -> Value {
    let key = ObjectKey::of(&object).expect("a manifest");
    object["metadata"]["labels"] = json!({ OWNER_LABEL: "seed.a" });
    object["metadata"]["annotations"] = json!({ TRACKING_ANNOTATION: format!("seed.a;{}", key.path()) });
    object
}

fn step(object: &Value, action: Action) -> Step {
    Step {
        target: Target::Garden,
        key: ObjectKey::of(object).expect("a manifest"),
        api_version: object["apiVersion"].as_str().expect("text").to_owned(),
        action,
        reason: String::new(),
        changes: Vec::new(),
        digest: None,
    }
}

async fn run(clusters: &Clusters, steps: Vec<Step>, generate: Vec<Generate>) -> Vec<StepResult> {
    let component = ComponentPlan {
        id: ComponentId { scope: Scope::Seed, name: "c".into() },
        target: Target::Garden,
        beside: false,
        state: ComponentState::Ready,
        steps,
        later: Vec::new(),
    };
    let plan = OwnerPlan {
        owner: Owner::cluster(Kind::Seed, "a"),
        operation: Operation::Reconcile,
        components: vec![component],
        generate,
        progress: 0,
        again: None,
        waits: None,
    };
    execute(&plan, clusters, &Limits::default()).await
}

fn config_map(name: &str, data: Value) -> Value {
    stamped(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "default" }, "data": data }),
    )
}

fn create(object: &Value, once: Option<Value>) -> Step {
    step(object, Action::Create { body: Arc::new(object.clone()), once: once.map(Arc::new), trigger: false })
}

fn update(uid: &str, object: &Value, once: Option<Value>) -> Step {
    let (uid, body, once) = (uid.to_owned(), Arc::new(object.clone()), once.map(Arc::new));
    step(object, Action::Update { uid, body, once, drift: false, trigger: false })
}

async fn see(clusters: &Clusters, key: &ObjectKey) -> Option<Arc<Object>> {
    let observed = cluster::observe(clusters, &kinds(), &Keep::default()).await;
    assert!(observed.complete(&Target::Garden), "{:?}", observed.targets[&Target::Garden].problem);
    observed.get(&Target::Garden, key).cloned()
}

#[tokio::test]
async fn what_is_applied_is_observed_as_ours_and_dropped_fields_go() {
    let (sim, clusters) = sim();
    let results = run(&clusters, vec![create(&config_map("a", json!({ "x": "1", "y": "2" })), None)], Vec::new()).await;
    assert_eq!(results[0].result, Ok(true), "{:?}", results[0]);
    let seen = see(&clusters, &key("", "ConfigMap", "a")).await.expect("exists");
    assert!(seen.is_tracked());
    assert_eq!(results[0].object.as_deref(), Some(&*seen), "what a write returns equals what is observed");
    let fields = seen.fields.as_ref().expect("ours").pointer("/f:data").expect("listed").clone();
    assert_eq!(fields, json!({ "f:x": {}, "f:y": {} }));

    let results = run(&clusters, vec![update(&seen.uid, &config_map("a", json!({ "x": "1" })), None)], Vec::new()).await;
    let fields = results[0].object.as_ref().and_then(|o| o.fields.clone()).expect("ours");
    assert_eq!(fields.pointer("/f:data"), Some(&json!({ "f:x": {} })));
    let before = sim.counters();
    let again = run(&clusters, vec![update(&seen.uid, &config_map("a", json!({ "x": "1" })), None)], Vec::new()).await;
    assert_eq!(
        again[0].object.as_ref().map(|o| &o.resource_version),
        results[0].object.as_ref().map(|o| &o.resource_version),
        "applying the same again changes nothing"
    );
    assert!(sim.counters().writes("espalier") > before.writes("espalier"));
}

#[tokio::test]
async fn an_update_does_not_make_again_what_went_meanwhile() {
    let (sim, clusters) = sim();
    let wanted = config_map("a", json!({ "x": "1" }));
    let results = run(&clusters, vec![create(&wanted, None)], Vec::new()).await;
    let uid = results[0].object.as_ref().expect("created").uid.clone();
    let gone = http::Request::delete("/api/v1/namespaces/default/configmaps/a").body(Vec::new()).expect("a request");
    sim.client_of("people").request::<Value>(gone).await.expect("deleted");
    let results = run(&clusters, vec![update(&uid, &wanted, None)], Vec::new()).await;
    assert_eq!(results[0].result.as_ref().map_err(|e| e.class), Err(ErrorClass::Conflict));
    assert!(see(&clusters, &key("", "ConfigMap", "a")).await.is_none());
}

#[tokio::test]
async fn a_field_that_is_set_once_survives_updates_and_its_controller() {
    let (_sim, clusters) = sim();
    let deployment = |image: &str| {
        stamped(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "default" },
            "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": { "metadata": { "labels": { "a": "b" } },
                "spec": { "containers": [{ "name": "c", "image": image }] } } } }))
    };
    let once = |replicas: i64| json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "default" }, "spec": { "replicas": replicas } });
    let results = run(&clusters, vec![create(&deployment("one"), Some(once(3)))], Vec::new()).await;
    let object = results[0].object.clone().expect("created");
    assert_eq!(object.get("/spec/replicas"), Some(&json!(3)));
    assert!(object.fields.as_ref().expect("ours").pointer("/f:spec/f:replicas").is_none(), "we do not list it");

    let results = run(&clusters, vec![update(&object.uid, &deployment("two"), None)], Vec::new()).await;
    assert_eq!(results[0].object.as_ref().and_then(|o| o.get("/spec/replicas").cloned()), Some(json!(3)));

    let scale = http::Request::patch("/apis/apps/v1/namespaces/default/deployments/d?fieldManager=autoscaler")
        .header("content-type", "application/merge-patch+json")
        .body(br#"{"spec":{"replicas":7}}"#.to_vec())
        .expect("a request");
    clusters.client(&Target::Garden).expect("a client").request::<Value>(scale).await.expect("scaled");
    let results = run(&clusters, vec![update(&object.uid, &deployment("three"), Some(once(3)))], Vec::new()).await;
    assert_eq!(results[0].result, Ok(true));
    let live = results[0].object.as_ref().and_then(|o| o.get("/spec/replicas").cloned());
    assert_eq!(live, Some(json!(7)), "a stale value does not fight its controller");
}

/// A server says 409 also when somebody wrote at the same moment; then `espalier-once` owns nothing, and fields that `espalier` let
/// go of would be lost.
#[tokio::test]
async fn a_conflict_that_is_not_about_fields_does_not_cost_what_is_set_once() {
    let (sim, clusters) = sim();
    let body =
        stamped(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "default" },
        "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": { "metadata": { "labels": { "a": "b" } },
            "spec": { "containers": [{ "name": "c", "image": "one" }] } } } }));
    let once = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "default" }, "spec": { "replicas": 3 } });
    let applies = Matching { verb: Some("apply".into()), ..Matching::default() };
    sim.faults().add(Rule { after: 1, ..Rule::refuse(applies, 409, 1) });
    let results = run(&clusters, vec![create(&body, Some(once.clone()))], Vec::new()).await;
    assert_eq!(results[0].result.as_ref().expect_err("refused").class, ErrorClass::Conflict);
    let seen = see(&clusters, &key("apps", "Deployment", "d")).await.expect("it was made");
    assert_eq!(seen.get("/spec/replicas"), Some(&json!(3)));
    let results = run(&clusters, vec![update(&seen.uid, &body, Some(once))], Vec::new()).await;
    let object = results[0].object.clone().expect("updated");
    assert_eq!(object.get("/spec/replicas"), Some(&json!(3)), "it is there still");
    assert!(object.fields.as_ref().expect("ours").pointer("/f:spec/f:replicas").is_none(), "and not ours any more");
}

#[tokio::test]
async fn foreign_objects_are_seen_and_left_alone() {
    let (_sim, clusters) = sim();
    let foreign = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "f", "namespace": "default" }, "data": { "k": "theirs" } });
    let post = http::Request::post("/api/v1/namespaces/default/configmaps").header("content-type", "application/json");
    let post = post.body(foreign.to_string().into_bytes()).expect("a request");
    clusters.client(&Target::Garden).expect("a client").request::<Value>(post).await.expect("created");
    let seen = see(&clusters, &key("", "ConfigMap", "f")).await.expect("it may stand in our way");
    assert!(!seen.is_tracked() && seen.fields.is_none());

    let wanted = config_map("f", json!({ "k": "ours" }));
    let results = run(&clusters, vec![create(&wanted, None)], Vec::new()).await;
    assert_eq!(results[0].result.as_ref().expect_err("not ours").class, ErrorClass::Conflict);
    assert_eq!(*see(&clusters, &key("", "ConfigMap", "f")).await.expect("still there"), *seen, "untouched");
    let place = [(KindRef::new("v1", "ConfigMap"), key("", "ConfigMap", "f"))];
    let found = cluster::get_many(&clusters, &Target::Garden, &place, &Keep::default()).await.expect("answers");
    assert!(found.values().all(Option::is_some));

    let results = run(&clusters, vec![step(&wanted, Action::Adopt { body: Arc::new(wanted.clone()) })], Vec::new()).await;
    assert!(results[0].object.as_ref().expect("adopted").is_tracked());
}

#[tokio::test]
async fn deletion_needs_the_very_object_that_was_planned() {
    let (_sim, clusters) = sim();
    let mut protected = config_map("a", json!({}));
    protected["metadata"]["finalizers"] = json!(["espalier.dev/protect", "example.org/other"]);
    let created = run(&clusters, vec![create(&protected, None)], Vec::new()).await;
    let object = created[0].object.clone().expect("created");
    let delete = |uid: &str, version: &str| {
        let action = Action::Delete { uid: uid.into(), resource_version: version.into(), confirm: true, release: true };
        step(&protected, action)
    };
    for (uid, version) in [("another", object.resource_version.as_str()), (object.uid.as_str(), "1")] {
        let refused = run(&clusters, vec![delete(uid, version)], Vec::new()).await;
        assert_eq!(refused[0].result.as_ref().expect_err("changed").class, ErrorClass::Conflict, "{:?}", refused[0]);
    }
    let deleted = run(&clusters, vec![delete(&object.uid, &object.resource_version)], Vec::new()).await;
    assert_eq!(deleted[0].result, Ok(true));
    let left = deleted[0].object.clone().expect("another finalizer holds it");
    assert!(left.deleting);
    assert_eq!(left.finalizers, ["example.org/other"]);
    assert_eq!(left.annotations["confirmation.gardener.cloud/deletion"], "true");
}

#[tokio::test]
async fn a_leaf_follows_its_authority_and_bytes_stay() {
    let (_sim, clusters) = sim();
    let generate = |config: &str, recipe: Recipe, reads: &[(&str, &str)]| Generate {
        target: Target::Garden,
        namespace: "default".into(),
        name: config.to_owned(),
        wanted: Wanted { config: config.into(), recipe, keep_old: false, persist: false },
        labels: std::collections::BTreeMap::new(),
        reads: reads.iter().map(|(c, n)| ((*c).to_owned(), (*n).to_owned())).collect(),
        reason: String::new(),
    };
    let ca = || generate("ca", Recipe::Authority { common_name: String::new() }, &[]);
    let bundle = || generate("ca-bundle", Recipe::Bundle { of: "ca".into() }, &[("ca", "ca")]);
    let first = run(&clusters, Vec::new(), vec![ca(), bundle()]).await;
    assert_eq!(first[0].result, Ok(true), "{:?}", first[0]);
    assert_eq!(first[1].result.as_ref().expect_err("not read back yet").class, ErrorClass::Conflict);
    let secret = |name: &str| SecretRef::secret(Target::Garden, "default", name);
    let wanted = BTreeSet::from([secret("ca"), secret("ca-bundle")]);
    let (before, _) = cluster::bodies(&clusters, &wanted).await;

    let second = run(&clusters, Vec::new(), vec![ca(), bundle()]).await;
    assert_eq!((&second[0].result, &second[1].result), (&Ok(false), &Ok(true)), "made once, read back afterwards");
    let (after, _) = cluster::bodies(&clusters, &wanted).await;
    let certificate =
        |bodies: &espalier::secrets::Bodies, name: &str, key: &str| bodies.0[&secret(name)].as_ref().map(|b| b[key].to_vec());
    assert_eq!(certificate(&before, "ca", "ca.crt"), certificate(&after, "ca", "ca.crt"));
    assert_eq!(certificate(&after, "ca-bundle", "bundle.crt"), certificate(&after, "ca", "ca.crt"));
    let seen = see(&clusters, &key("", "Secret", "ca")).await.expect("observed");
    assert_eq!(*seen.kept, Value::Null, "bodies are not observed");
    assert_eq!(seen.labels["managed-by"], "secrets-manager");
}

#[tokio::test(start_paused = true)]
async fn a_view_follows_through_lost_watches_and_cut_lists() {
    let (sim, clusters) = sim();
    let (sink, mut signals) = tokio::sync::mpsc::channel(64);
    let mut view = View::new(&kinds());
    let _watching = cluster::watch(&clusters, &kinds(), Keep::default(), sink);
    while !view.observed.complete(&Target::Garden) {
        view.fold(signals.recv().await.expect("a signal"));
    }
    for round in 0..4 {
        if round == 2 {
            sim.faults().add(Rule::refuse(Matching { verb: Some("watch".into()), ..Matching::default() }, 410, 4));
        }
        sim.faults().drop_watches();
        let name = format!("m{round}");
        let made =
            run(&clusters, vec![create(&config_map(&name, json!({ "round": round.to_string() })), None)], Vec::new()).await;
        assert_eq!(made[0].result, Ok(true));
        while view.observed.get(&Target::Garden, &key("", "ConfigMap", &name)).is_none() {
            view.fold(signals.recv().await.expect("a signal"));
        }
    }
    sim.faults().add(Rule::short_lists(Some("ConfigMap"), 1, 500));
    let observed = cluster::observe(&clusters, &kinds(), &Keep::default()).await;
    assert!(!observed.complete(&Target::Garden));
    sim.faults().clear();
    assert!(cluster::observe(&clusters, &kinds(), &Keep::default()).await.complete(&Target::Garden));
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_taken_renewed_and_given_up() {
    let (_sim, clusters) = sim();
    let candidate = |who: &str| Lease::new(&clusters, &Target::Garden, LeaseSettings::of("local", who)).expect("a candidate");
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    assert!(a.attempt().await.expect("takes"));
    assert!(!b.attempt().await.expect("looks"));
    assert!(a.attempt().await.expect("renews"));
    a.release().await.expect("gives up");
    assert!(b.attempt().await.expect("takes"));
    assert_eq!(cluster::running_gardener(&clusters).await.expect("looks"), None);
}
