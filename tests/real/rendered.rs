//! What espalier writes is what a real API server takes: every object of the example landscape, with strict validation of fields, under
//! the roles that espalier prints for its clusters.

use std::collections::BTreeMap;

use espalier::observed::{ObjectKey, TRACKING_ANNOTATION};
use serde_json::{Value, json};

use super::conformance::answer::{Names, compare};
use super::fleet::{self, Fleet, explain, objects};
use super::roles;
use super::server::{Server, assets};
use super::taken::{UNSERVED, answered, in_order};

/// The configuration that espalier applied: of a live object, what it owns.
fn configuration(object: &Value) -> Value {
    let managers = object["metadata"]["managedFields"].as_array().expect("somebody owns it");
    let ours = managers.iter().find(|m| m["manager"] == "espalier" && m["operation"] == "Apply").expect("espalier applied it");
    let mut config = owned(object, &ours["fieldsV1"]);
    for field in ["apiVersion", "kind"] {
        config[field] = object[field].clone();
    }
    // Set once, and without them there is nothing to mount.
    if let Some(claims) = object.pointer("/spec/volumeClaimTemplates") {
        config["spec"]["volumeClaimTemplates"] = claims.clone();
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

/// Applies objects in the order in which they can be; the answer to each.
async fn apply_all(client: &kube::Client, all: Vec<Value>) -> BTreeMap<String, String> {
    let answer = async |path: &str, object: &Value| {
        let (status, warnings, mut body) = answered(client, path, object, false).await;
        // A definition takes effect a moment later on the real server.
        if body["kind"] == "CustomResourceDefinition" {
            body["status"] = Value::Null;
        }
        Names::new("no namespace of its own").print(status, &warnings, body)
    };
    let answers = in_order(client, all, answer).await;
    answers.into_iter().map(|(name, answer)| (name, answer.unwrap_or_else(|| UNSERVED.to_owned()))).collect()
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
        let twin = fleet::simulated(&target.to_string());
        // Operators hand annotations on to what they make; ours names the object that it is on.
        let ours = |object: &Value| {
            let key = ObjectKey::of(object).expect("an object");
            let tracking = object["metadata"]["annotations"][TRACKING_ANNOTATION].as_str();
            tracking.is_some_and(|tracking| tracking.ends_with(&format!(";{}", key.path())))
        };
        let all: Vec<Value> = objects(sim).await.iter().filter(|object| ours(object)).map(configuration).collect();
        assert!(all.len() > 30, "{target} has objects of ours");
        tried += all.len();
        // The namespaces that people made are there for both.
        let mut everything = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "garden"}})];
        everything.extend(all);
        let real = apply_all(&roles::enter(&server, target).await, everything.clone()).await;
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
