//! What espalier writes is what a real API server takes: every object of the example landscape, with strict validation of fields.

use std::collections::BTreeMap;

use espalier::observed::TRACKING_ANNOTATION;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::conformance;
use super::conformance::answer::{Names, compare};
use super::fleet::{Fleet, explain, name_of, objects};
use super::server::{Server, assets};
use super::taken::{FIRST, established, path, served};

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
