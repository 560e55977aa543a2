//! Steps that espalier takes with a StatefulSet of which something is set once, on the real server and on the simulated one: claims
//! stay as they are, whatever is wanted of them now, and all the rest is written; replicas are those of a new one after there were to
//! be none, and those of whoever changed them otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use espalier::apply::{Limits, execute};
use espalier::cluster::Clusters;
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{OWNER_LABEL, ObjectKey, TRACKING_ANNOTATION};
use espalier::plan::{Action, ComponentPlan, ComponentState, Operation, OwnerPlan, Step};
use espalier::render::{ComponentId, Scope};
use serde_json::{Value, json};

use super::fleet::{now, simulated};
use super::server::{Server, assets};

const NAMESPACE: &str = "claims";

fn identity(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": NAMESPACE, "name": name}})
}

/// A StatefulSet as `espalier` has it.
fn body(name: &str, image: &str) -> Arc<Value> {
    let mut body = identity(name);
    body["metadata"]["labels"] = json!({OWNER_LABEL: "seed.a"});
    body["metadata"]["annotations"] = json!({TRACKING_ANNOTATION: format!("seed.a;apps/StatefulSet/{NAMESPACE}/{name}")});
    body["spec"] = json!({
        "serviceName": "a", "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": image}]}},
    });
    Arc::new(body)
}

/// Its claims as `espalier-once` is to have them.
fn claims(name: &str, size: &str) -> Arc<Value> {
    let mut once = identity(name);
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    once["spec"] = json!({"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": spec}]});
    Arc::new(once)
}

/// Takes one step, and says what is there afterwards: size, image, and who has the claims.
async fn take(client: &kube::Client, name: &str, action: Action) -> (String, String, Vec<String>) {
    let step = Step {
        target: Target::Garden,
        key: ObjectKey::new("apps", "StatefulSet", NAMESPACE, name),
        api_version: "apps/v1".into(),
        action,
        reason: String::new(),
        changes: Vec::new(),
        digest: None,
    };
    let component = ComponentPlan {
        id: ComponentId { scope: Scope::Seed, name: "vali".into() },
        target: Target::Garden,
        beside: false,
        state: ComponentState::Progressing(String::new()),
        steps: vec![step],
        later: Vec::new(),
    };
    let plan = OwnerPlan {
        owner: Owner::cluster(Kind::Seed, "a"),
        operation: Operation::Reconcile,
        components: vec![component],
        generate: Vec::new(),
        progress: 0,
        again: None,
        waits: None,
    };
    let clusters = Clusters::new(BTreeMap::from([(Target::Garden, client.clone())]), Arc::new(now));
    let results = execute(&plan, &clusters, &Limits::default()).await;
    assert!(results.len() == 1 && results.iter().all(|r| r.result.is_ok()), "{results:?}");
    let set = get(client, name).await;
    let text = |pointer| set.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    let managers = set["metadata"]["managedFields"].as_array().expect("managers").iter();
    let owns = |entry: &&Value| entry.pointer("/fieldsV1/f:spec/f:volumeClaimTemplates").is_some();
    let mut owners: Vec<String> = managers.filter(owns).map(|entry| entry["manager"].to_string()).collect();
    owners.sort_unstable();
    let size = text("/spec/volumeClaimTemplates/0/spec/resources/requests/storage");
    (size, text("/spec/template/spec/containers/0/image"), owners)
}

async fn get(client: &kube::Client, name: &str) -> Value {
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{name}");
    client.request(http::Request::get(path).body(Vec::new()).expect("a request")).await.expect("it is there")
}

async fn uid(client: &kube::Client, name: &str) -> String {
    get(client, name).await["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

async fn update(client: &kube::Client, name: &str, image: &str, size: &str) -> (String, String, Vec<String>) {
    let uid = uid(client, name).await;
    let (body, once) = (body(name, image), Some(claims(name, size)));
    take(client, name, Action::Update { uid, body, once, drift: false, trigger: false }).await
}

async fn goes_through(client: &kube::Client) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let request = http::Request::post("/api/v1/namespaces").header("content-type", "application/json");
    let request = request.body(namespace.to_string().into_bytes()).expect("a request");
    client.request::<Value>(request).await.expect("a namespace");
    let is = |size: &str, image: &str, owner: &str| (size.to_owned(), image.to_owned(), vec![format!("{owner:?}")]);
    let created = Action::Create { body: body("new", "i:1"), once: Some(claims("new", "1Gi")), trigger: false };
    assert_eq!(take(client, "new", created).await, is("1Gi", "i:1", "espalier-once"));
    assert_eq!(update(client, "new", "i:2", "1Gi").await, is("1Gi", "i:2", "espalier-once"));
    assert_eq!(update(client, "new", "i:3", "2Gi").await, is("1Gi", "i:3", "espalier-once"));
    assert_eq!(update(client, "new", "i:4", "512Mi").await, is("1Gi", "i:4", "espalier-once"));

    // One that was made when claims were not set once yet, or by a creation that was cut off.
    let mut whole = body("old", "i:1").as_ref().clone();
    whole["spec"]["volumeClaimTemplates"] = claims("old", "1Gi")["spec"]["volumeClaimTemplates"].clone();
    let created = Action::Create { body: Arc::new(whole), once: None, trigger: false };
    assert_eq!(take(client, "old", created).await, is("1Gi", "i:1", "espalier"));
    assert_eq!(update(client, "old", "i:2", "2Gi").await, is("1Gi", "i:2", "espalier-once"));
    assert_eq!(update(client, "old", "i:3", "2Gi").await, is("1Gi", "i:3", "espalier-once"));
    wakes(client).await;
}

/// Replicas that are asked for once, then ordered to be none, then asked for again, then changed by another.
async fn wakes(client: &kube::Client) {
    let with = |mut body: Value, replicas: i64| {
        body["spec"]["replicas"] = replicas.into();
        Arc::new(body)
    };
    let set = || async { (get(client, "sleepy").await["spec"]["replicas"].as_i64(), uid(client, "sleepy").await) };
    let awake = body("sleepy", "i:1");
    let once = || {
        let claims = claims("sleepy", "1Gi").as_ref().clone();
        Some(with(claims, 3))
    };
    take(client, "sleepy", Action::Create { body: Arc::clone(&awake), once: once(), trigger: false }).await;
    let (replicas, uid) = set().await;
    assert_eq!(replicas, Some(3));
    let update =
        |body: &Arc<Value>, once| Action::Update { uid: uid.clone(), body: Arc::clone(body), once, drift: false, trigger: false };
    let asleep = with(awake.as_ref().clone(), 0);
    take(client, "sleepy", update(&asleep, Some(claims("sleepy", "1Gi")))).await;
    assert_eq!(set().await.0, Some(0));
    take(client, "sleepy", update(&awake, once())).await;
    assert_eq!(set().await.0, Some(3), "as many as a new one has");

    let scaled = with(identity("sleepy"), 5);
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/sleepy?fieldManager=autoscaler");
    let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
    let request = request.body(scaled.to_string().into_bytes()).expect("a request");
    client.request::<Value>(request).await.expect("it is scaled");
    take(client, "sleepy", update(&body("sleepy", "i:2"), once())).await;
    assert_eq!(set().await.0, Some(5), "as many as the autoscaler wants");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_stay_on_the_real_server() {
    let Some(assets) = assets() else { return };
    let server = Server::start(&assets).await;
    goes_through(&server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_stay_on_the_simulated_server() {
    goes_through(&simulated("claims").client()).await;
}
