//! What espalier writes is what a real API server takes: every object of the example landscape, with strict validation of fields.

use std::collections::BTreeMap;

use espalier::observed::TRACKING_ANNOTATION;
use serde_json::{Value, json};

use super::fleet::{Fleet, SERVERS, explain, name_of, objects};
use super::server::{Server, assets};

/// Kinds of which other objects are made come first.
const FIRST: [&str; 2] = ["CustomResourceDefinition", "Namespace"];

/// The path of an object, by what the server itself says of its kind.
fn path(object: &Value, kinds: &BTreeMap<(String, String), (String, bool)>) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api, name, namespace) = (text("/apiVersion"), text("/metadata/name"), text("/metadata/namespace"));
    let (plural, namespaced) = kinds.get(&(api.clone(), text("/kind")))?;
    let prefix = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
    let scope = if *namespaced { format!("/namespaces/{namespace}") } else { String::new() };
    Some(format!("{prefix}{scope}/{plural}/{name}"))
}

/// What the server serves: plural and scope by apiVersion and kind.
async fn served(client: &kube::Client) -> BTreeMap<(String, String), (String, bool)> {
    let found = kube::discovery::Discovery::new(client.clone()).run().await.expect("discovery");
    let mut out = BTreeMap::new();
    for group in found.groups() {
        for version in group.versions() {
            for (resource, capabilities) in group.versioned_resources(version) {
                let namespaced = capabilities.scope == kube::discovery::Scope::Namespaced;
                out.insert((resource.api_version, resource.kind), (resource.plural, namespaced));
            }
        }
    }
    out
}

/// The manifest of a live object: without what servers and controllers wrote.
fn manifest(mut object: Value) -> Value {
    let map = object.as_object_mut().expect("an object");
    map.remove("status");
    let metadata = map["metadata"].as_object_mut().expect("metadata");
    for field in SERVERS {
        metadata.remove(*field);
    }
    if let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut)
        && spec.get("clusterIP").is_some_and(|ip| ip != "None")
    {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    // Owners have other uids here.
    map["metadata"].as_object_mut().expect("metadata").remove("ownerReferences");
    object
}

async fn apply(client: &kube::Client, path: &str, object: &Value) -> Result<Value, String> {
    let request = http::Request::patch(format!("{path}?fieldManager=espalier&force=true&fieldValidation=Strict"))
        .header("content-type", "application/apply-patch+yaml")
        .body(object.to_string().into_bytes())
        .expect("a request");
    client.request::<Value>(request).await.map_err(|e| e.to_string())
}

/// Applies objects in the order in which they can be; says what was refused.
async fn apply_all(client: &kube::Client, mut all: Vec<Value>) -> BTreeMap<String, String> {
    let rank = |object: &Value| FIRST.iter().position(|kind| object["kind"] == *kind).unwrap_or(FIRST.len());
    all.sort_by_key(rank);
    let mut refused = BTreeMap::new();
    let mut kinds = served(client).await;
    let mut last = 0;
    for object in all {
        if rank(&object) != last {
            last = rank(&object);
            kinds = established(client, kinds).await;
        }
        let name = format!("{} {}", object["apiVersion"].as_str().unwrap_or_default(), name_of(&object));
        let outcome = match path(&object, &kinds) {
            Some(path) => apply(client, &path, &object).await.map(drop),
            None => Err("the server does not serve this kind".to_owned()),
        };
        if let Err(why) = outcome {
            refused.insert(name, why);
        }
    }
    refused
}

/// What is served once every definition is established.
async fn established(
    client: &kube::Client,
    before: BTreeMap<(String, String), (String, bool)>,
) -> BTreeMap<(String, String), (String, bool)> {
    let list = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
    loop {
        tick.tick().await;
        let request = http::Request::get(list).body(Vec::new()).expect("a request");
        let all: Value = client.request(request).await.expect("a list");
        let is = |definition: &Value| {
            let conditions = definition.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True")
        };
        let all = all["items"].as_array().cloned().unwrap_or_default();
        if !all.iter().all(is) {
            continue;
        }
        let kinds = served(client).await;
        let there = |definition: &Value| {
            let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let group = text("/spec/group");
            kinds.keys().any(|(api, kind)| *kind == text("/spec/names/kind") && api.starts_with(&format!("{group}/")))
        };
        if all.iter().all(there) && kinds.len() >= before.len() {
            return kinds;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_takes_every_object_of_the_example() {
    let Some(assets) = assets() else { return };
    let fleet = Fleet::local(&[]).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "", "everything is ready");
    let mut tried = 0;
    let mut refused = BTreeMap::new();
    for (target, sim) in &fleet.sims {
        let server = Server::start(&assets).await;
        let ours = |object: &Value| object["metadata"]["annotations"].get(TRACKING_ANNOTATION).is_some();
        let all: Vec<Value> = objects(sim).await.into_iter().filter(ours).map(manifest).collect();
        assert!(all.len() > 30, "{target} has objects of ours");
        tried += all.len();
        // The namespaces that people made are there for both.
        let mut everything = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "garden"}})];
        everything.extend(all);
        let found = apply_all(&server.client(), everything).await;
        refused.extend(found.into_iter().map(|(name, why)| (format!("{target} {name}"), why)));
    }
    let told: Vec<String> = refused.iter().map(|(name, why)| format!("{name}\n    {why}")).collect();
    println!("{tried} objects tried, {} refused", told.len());
    assert!(told.is_empty(), "{} of {tried} objects are refused:\n{}", told.len(), told.join("\n"));
}
