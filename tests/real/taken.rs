//! Whether an API server takes objects: applied strictly, kept whole.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::Value;

use super::fleet::name_of;

/// Kinds of which other objects are made come first.
const FIRST: [&str; 2] = ["CustomResourceDefinition", "Namespace"];

/// What there is to say of an object whose kind is not served.
pub(super) const UNSERVED: &str = "the server does not serve this kind";

/// Plural and scope of what a server serves, by apiVersion and kind.
pub(super) type Kinds = BTreeMap<(String, String), (String, bool)>;

/// The path of an object, by what the server itself says of its kind.
fn path(object: &Value, kinds: &Kinds) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api, name, namespace) = (text("/apiVersion"), text("/metadata/name"), text("/metadata/namespace"));
    let (plural, namespaced) = kinds.get(&(api.clone(), text("/kind")))?;
    let prefix = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
    let scope = if *namespaced { format!("/namespaces/{namespace}") } else { String::new() };
    Some(format!("{prefix}{scope}/{plural}/{name}"))
}

/// What the server serves: plural and scope by apiVersion and kind.
pub(super) async fn served(client: &kube::Client) -> Kinds {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let found = loop {
        tick.tick().await;
        // Metrics come from a server on the nodes of a shoot, and there are none.
        match kube::discovery::Discovery::new(client.clone()).exclude(&["metrics.k8s.io"]).run().await {
            Ok(found) => break found,
            // A group is listed a moment before it is served.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("discovery: {error}"),
        }
    };
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

/// What is served once every definition is established.
pub(super) async fn established(client: &kube::Client, before: Kinds) -> Kinds {
    let list = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut tick = tokio::time::interval(Duration::from_millis(50));
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

/// Applies an object strictly: status code, warnings and body of the answer.
pub(super) async fn answered(client: &kube::Client, path: &str, object: &Value, dry: bool) -> (u16, Vec<String>, Value) {
    let dry = if dry { "&dryRun=All" } else { "" };
    let request = http::Request::patch(format!("{path}?fieldManager=espalier&force=true&fieldValidation=Strict{dry}"))
        .header("content-type", "application/apply-patch+yaml")
        .body(kube::client::Body::from(object.to_string().into_bytes()))
        .expect("a request");
    let response = client.send(request).await.expect("an answer");
    let status = response.status().as_u16();
    let warnings: Vec<String> =
        response.headers().get_all("warning").iter().map(|w| w.to_str().unwrap_or_default().to_owned()).collect();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    (status, warnings, body)
}

/// An object as it is applied: what the server says against it, or `None`.
async fn applied(client: &kube::Client, path: &str, object: &Value, dry: bool) -> Option<String> {
    let (status, warnings, body) = answered(client, path, object, dry).await;
    if status != 200 && status != 201 {
        return Some(format!("{status} {}", body["message"].as_str().unwrap_or_default()));
    }
    let mut wrong = Vec::new();
    pruned(object, &body, "", &mut wrong);
    wrong.extend(warnings);
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// The paths of fields that were sent and are not there.
fn pruned(sent: &Value, kept: &Value, path: &str, out: &mut Vec<String>) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (key, value) in sent {
                let path = format!("{path}/{key}");
                match kept.get(key) {
                    Some(there) => pruned(value, there, &path, out),
                    // Written to another field, or the same as nothing.
                    None if path == "/stringData" || is_nothing(value) => {}
                    None => out.push(format!("{path} is gone")),
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) if sent.len() == kept.len() => {
            for (n, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                pruned(sent, kept, &format!("{path}/{n}"), out);
            }
        }
        (Value::Array(sent), kept) => out.push(format!("{path} had {} items and is {kept}", sent.len())),
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        Value::Number(number) => number.as_i64() == Some(0),
    }
}

/// Goes through objects in the order in which they can be applied: what `apply` answers to each by its path, `None` where the server
/// does not serve its kind.
pub(super) async fn in_order<T>(
    client: &kube::Client,
    mut all: Vec<Value>,
    apply: impl AsyncFn(&str, &Value) -> T,
) -> Vec<(String, Option<T>)> {
    // The real server asks webhooks about whatever comes after them, and nobody answers here.
    let asks = |object: &Value| object["kind"].as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration"));
    let first = |object: &Value| FIRST.iter().position(|kind| object["kind"] == *kind);
    let rank = |object: &Value| first(object).unwrap_or(FIRST.len() + usize::from(asks(object)));
    all.sort_by_key(rank);
    let mut answers = Vec::with_capacity(all.len());
    let mut kinds = served(client).await;
    let mut last = 0;
    for object in all {
        if rank(&object) != last {
            last = rank(&object);
            kinds = established(client, kinds).await;
        }
        let name = format!("{} {}", object["apiVersion"].as_str().unwrap_or_default(), name_of(&object));
        let answer = match path(&object, &kinds) {
            Some(path) => Some(apply(&path, &object).await),
            None => None,
        };
        answers.push((name, answer));
    }
    answers
}

/// Applies objects in the order in which they can be, all of them strictly; what is said against them.
pub(super) async fn apply_each(client: &kube::Client, all: Vec<Value>, dry: bool) -> Vec<String> {
    let said = in_order(client, all, async |path, object| applied(client, path, object, dry).await).await;
    let wrong = |(name, said): (String, Option<Option<String>>)| {
        let said = said.unwrap_or_else(|| Some(UNSERVED.to_owned()))?;
        Some(format!("{name}: {said}"))
    };
    said.into_iter().filter_map(wrong).collect()
}
