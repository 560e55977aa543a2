//! What espalier writes is what a real API server takes: every object of the example landscape, with strict validation of fields.

use std::collections::BTreeMap;

use espalier::observed::TRACKING_ANNOTATION;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::boot::check;
use super::conformance;
use super::conformance::answer::{Names, compare};
use super::fleet::{Fleet, explain, name_of, objects};
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

/// The configuration that espalier applied: of a live object, what it owns.
fn configuration(object: &Value) -> Value {
    let managers = object["metadata"]["managedFields"].as_array().expect("somebody owns it");
    let ours = managers.iter().find(|m| m["manager"] == "espalier" && m["operation"] == "Apply").expect("espalier applied it");
    let mut config = owned(object, &ours["fieldsV1"]);
    for field in ["apiVersion", "kind"] {
        config[field] = object[field].clone();
    }
    for field in ["name", "namespace"] {
        if let Some(value) = object["metadata"].get(field) {
            config["metadata"][field] = value.clone();
        }
    }
    // Owners have other uids elsewhere.
    config["metadata"].as_object_mut().expect("metadata").remove("ownerReferences");
    config
}

fn owned(value: &Value, fields: &Value) -> Value {
    let fields = fields.as_object().expect("fieldsV1");
    if fields.keys().all(|name| name == ".") {
        return value.clone();
    }
    match value {
        Value::Object(map) => {
            let below = |(name, value): (&String, &Value)| Some((name.clone(), owned(value, fields.get(&format!("f:{name}"))?)));
            Value::Object(map.iter().filter_map(below).collect())
        }
        Value::Array(items) => items
            .iter()
            .filter_map(|item| {
                fields.iter().find_map(|(element, below)| match element.split_once(':') {
                    Some(("v", wanted)) => {
                        let wanted: Value = serde_json::from_str(wanted).expect("a value");
                        (*item == wanted).then(|| item.clone())
                    }
                    Some(("k", keys)) => {
                        let keys: Value = serde_json::from_str(keys).expect("keys");
                        let same = |(key, value): (&String, &Value)| item.get(key).is_none_or(|given| given == value);
                        keys.as_object().expect("keys").iter().all(same).then(|| owned(item, below))
                    }
                    _ => None,
                })
            })
            .collect(),
        other => other.clone(),
    }
}

/// Applies an object: status code, warnings and body of the answer.
async fn apply(client: &kube::Client, path: &str, object: &Value) -> String {
    let request = http::Request::patch(format!("{path}?fieldManager=espalier&force=true&fieldValidation=Strict"))
        .header("content-type", "application/apply-patch+yaml")
        .body(kube::client::Body::from(object.to_string().into_bytes()))
        .expect("a request");
    let response = client.send(request).await.expect("an answer");
    let status = response.status().as_u16();
    let warnings =
        response.headers().get_all("warning").iter().map(|w| w.to_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let mut body: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    // A definition takes effect a moment later on the real server.
    if body["kind"] == "CustomResourceDefinition" {
        body["status"] = Value::Null;
    }
    Names::new("no namespace of its own").print(status, &warnings, body)
}

/// Applies objects in the order in which they can be; the answer to each.
async fn apply_all(client: &kube::Client, mut all: Vec<Value>) -> BTreeMap<String, String> {
    let rank = |object: &Value| FIRST.iter().position(|kind| object["kind"] == *kind).unwrap_or(FIRST.len());
    all.sort_by_key(rank);
    let mut answers = BTreeMap::new();
    let mut kinds = served(client).await;
    let mut last = 0;
    for object in all {
        if rank(&object) != last {
            last = rank(&object);
            kinds = established(client, kinds).await;
        }
        let name = format!("{} {}", object["apiVersion"].as_str().unwrap_or_default(), name_of(&object));
        let answer = match path(&object, &kinds) {
            Some(path) => apply(client, &path, &object).await,
            None => "the server does not serve this kind".to_owned(),
        };
        answers.insert(name, answer);
    }
    answers
}

/// Applies objects in the order in which they can be, all of them strictly; what is said against them.
pub(super) async fn apply_each(client: &kube::Client, mut all: Vec<Value>, dry: bool) -> Vec<String> {
    let rank = |object: &Value| FIRST.iter().position(|kind| object["kind"] == *kind).unwrap_or(FIRST.len());
    all.sort_by_key(rank);
    let mut wrong = Vec::new();
    let mut kinds = served(client).await;
    let mut last = 0;
    for object in all {
        if rank(&object) != last {
            last = rank(&object);
            kinds = established(client, kinds).await;
        }
        let said = match path(&object, &kinds) {
            Some(path) => check::applied(client, &path, &object, dry).await,
            None => Some("the server does not serve this kind".to_owned()),
        };
        wrong.extend(said.map(|said| format!("{} {}: {said}", object["apiVersion"].as_str().unwrap_or_default(), name_of(&object))));
    }
    wrong
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
async fn both_servers_take_every_object_of_the_example_alike() {
    let Some(assets) = assets() else { return };
    let fleet = Fleet::local(&[]).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "", "everything is ready");
    let (mut tried, mut refused, mut different) = (0, Vec::new(), Vec::new());
    for (target, sim) in &fleet.sims {
        let server = Server::start(&assets).await;
        let twin = conformance::simulated(&target.to_string());
        let ours = |object: &Value| object["metadata"]["annotations"].get(TRACKING_ANNOTATION).is_some();
        let all: Vec<Value> = objects(sim).await.iter().filter(|object| ours(object)).map(configuration).collect();
        assert!(all.len() > 30, "{target} has objects of ours");
        tried += all.len();
        // The namespaces that people made are there for both.
        let mut everything = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "garden"}})];
        everything.extend(all);
        let real = apply_all(&server.client(), everything.clone()).await;
        let simulated = apply_all(&twin.client(), everything).await;
        for (name, answer) in real {
            if !answer.starts_with("20") {
                refused.push(format!("{target} {name}\n    {answer}"));
            }
            let given = &simulated[&name];
            if *given != answer {
                different.push(format!("{target} {name}\n{}", compare(&answer, given).join("\n")));
            }
        }
    }
    println!("{tried} objects tried, {} refused, {} answered otherwise", refused.len(), different.len());
    assert!(refused.is_empty(), "{} of {tried} objects are refused:\n{}", refused.len(), refused.join("\n"));
    assert!(different.is_empty(), "{} of {tried} objects differ:\n{}", different.len(), different.join("\n"));
}
