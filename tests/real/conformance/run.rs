//! Sends the requests of a case.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::AsyncBufReadExt as _;
use futures::TryStreamExt as _;
use http::Method;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::answer::Names;
use super::script::{Case, Step, named};

/// How the answer to a request begins that could not be asked.
pub(crate) const NOT_SENT: &str = "not sent";
/// How the answer to a request begins that the server cut off.
pub(crate) const CUT_OFF: &str = "cut off by the server";
/// Longest that anything is waited for.
const LONG: Duration = Duration::from_secs(30);

/// Installs the definitions that cases use, and waits until they are in effect.
pub(crate) async fn furnish(client: &kube::Client, definitions: &Path) {
    let list = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for file in std::fs::read_dir(definitions).expect("there are definitions") {
        let text = std::fs::read_to_string(file.expect("readable").path()).expect("readable");
        let definition: Value = serde_yaml::from_str(&text).expect("YAML");
        let name = definition["metadata"]["name"].as_str().expect("a name").to_owned();
        let request = request(Method::POST, list, "application/json", "", definition.to_string().into_bytes());
        let (status, _, body) = send(client, request).await;
        assert_eq!(status, 201, "{name}: {body}");
        wait(client, &format!("{list}/{name}"), |_, body| {
            let conditions = body["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True")
        })
        .await;
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        for version in definition["spec"]["versions"].as_array().into_iter().flatten() {
            let version = version["name"].as_str().unwrap_or_default();
            let path = format!("/apis/{}/{version}/{}", text("/spec/group"), text("/spec/names/plural"));
            wait(client, &path, |status, _| status == 200).await;
        }
    }
}

async fn wait(client: &kube::Client, path: &str, done: impl Fn(u16, &Value) -> bool) -> (u16, Vec<String>, Value) {
    let mut tick = tokio::time::interval(Duration::from_millis(25));
    let waiting = async {
        loop {
            tick.tick().await;
            let answer = send(client, request(Method::GET, path, "", "", Vec::new())).await;
            if done(answer.0, &answer.2) {
                return answer;
            }
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{path} does not become what is waited for"))
}

fn request(method: Method, path: &str, content: &str, accept: &str, body: Vec<u8>) -> http::Request<Body> {
    let accept = match accept {
        "" => "application/json".to_owned(),
        "table" => "application/json;as=Table;v=v1;g=meta.k8s.io,application/json".to_owned(),
        "partial" => "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json".to_owned(),
        "partials" => "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json".to_owned(),
        "aggregated" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList".to_owned(),
        other => other.to_owned(),
    };
    let mut request =
        http::Request::builder().method(method).uri(path).header("accept", accept).header("user-agent", "tester/1.0");
    if !content.is_empty() {
        request = request.header("content-type", content);
    }
    request.body(Body::from(body)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Status code and message of an answer.
pub(crate) async fn get(client: &kube::Client, path: &str) -> (u16, String) {
    let (status, _, body) = send(client, request(Method::GET, path, "", "", Vec::new())).await;
    (status, body["message"].as_str().unwrap_or_default().to_owned())
}

fn warnings(headers: &http::HeaderMap) -> Vec<String> {
    headers.get_all("warning").iter().map(|w| w.to_str().unwrap_or_default().to_owned()).collect()
}

/// Status code, warnings, body: JSON, or text as a string.
async fn send(client: &kube::Client, request: http::Request<Body>) -> (u16, Vec<String>, Value) {
    let asked = format!("{} {}", request.method(), request.uri());
    tokio::time::timeout(LONG, answer(client, request)).await.unwrap_or_else(|_| panic!("no answer to {asked}"))
}

async fn answer(client: &kube::Client, request: http::Request<Body>) -> (u16, Vec<String>, Value) {
    // A server that cuts the connection off – as net/http does when a handler panics – has answered too.
    let response = match client.send(request).await {
        Ok(response) => response,
        Err(error) => return (0, Vec::new(), format!("{CUT_OFF}: {error}").into()),
    };
    let (status, warnings) = (response.status().as_u16(), warnings(response.headers()));
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    (status, warnings, body)
}

/// The first events of a watch.
async fn watch(client: &kube::Client, request: http::Request<Body>, events: usize) -> (u16, Vec<String>, Value) {
    let asked = request.uri().to_string();
    let answer = tokio::time::timeout(LONG, client.send(request)).await;
    let response = answer.unwrap_or_else(|_| panic!("no answer to {asked}")).expect("an answer");
    let (status, warnings) = (response.status().as_u16(), warnings(response.headers()));
    let stream = http_body_util::BodyDataStream::new(response.into_body()).map_err(std::io::Error::other);
    let mut lines = Box::pin(stream).into_async_read().lines();
    let mut found = Vec::new();
    while found.len() < events {
        match tokio::time::timeout(Duration::from_secs(3), lines.try_next()).await {
            Ok(Ok(Some(line))) => found.push(serde_json::from_str(&line).unwrap_or_else(|_| line.into())),
            Ok(_) => break,
            Err(_) => {
                found.push(json!("silence"));
                break;
            }
        }
    }
    if status != 200 && found.len() == 1 {
        return (status, warnings, found.remove(0));
    }
    (status, warnings, Value::Array(found))
}

/// Runs a case in a namespace of its own; each answer is what was asked and what came of it.
pub(crate) async fn case(client: &kube::Client, namespace: &str, case: &Case) -> Vec<(String, String)> {
    let body = json!({"metadata": {"name": namespace}}).to_string().into_bytes();
    let made = send(client, request(Method::POST, "/api/v1/namespaces", "application/json", "", body)).await;
    assert_eq!(made.0, 201, "{namespace}: {}", made.2);
    let mut names = Names::new(namespace);
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut answers = Vec::new();
    for step in &case.steps {
        if let Some(missing) = missing(step, &seen) {
            answers.push((step.text.clone(), format!("{NOT_SENT}: {missing} was not answered before")));
            continue;
        }
        let (status, warnings, body) = one(client, namespace, step, &seen).await;
        remember(&step.path, &body, &mut seen);
        answers.push((step.text.clone(), names.print(status, &warnings, body)));
    }
    answers
}

/// The first name of a request for something that no answer had.
fn missing(step: &Step, seen: &BTreeMap<String, String>) -> Option<String> {
    let texts = std::iter::once(&step.path).chain(&step.options).chain(&step.body);
    let names = texts.flat_map(|text| text.split("${").skip(1)).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| format!("${{{name}}}")).find(|name| !seen.contains_key(name))
}

fn remember(path: &str, body: &Value, seen: &mut BTreeMap<String, String>) {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    for (what, pointer) in [("rv", "/metadata/resourceVersion"), ("uid", "/metadata/uid"), ("name", "/metadata/name")] {
        if let Some(value) = text(pointer) {
            let object = path.rsplit_once('/').filter(|(_, last)| matches!(*last, "status" | "scale")).map_or(path, |(o, _)| o);
            seen.insert(format!("${{{what}:{object}}}"), value.to_owned());
            if what == "name" && !path.contains('/') {
                for (what, pointer) in [("rv", "/metadata/resourceVersion"), ("uid", "/metadata/uid")] {
                    seen.insert(format!("${{{what}:{path}/{value}}}"), text(pointer).unwrap_or_default().to_owned());
                }
            }
        }
    }
    if let Some(token) = text("/metadata/continue") {
        seen.insert("${continue}".into(), token.to_owned());
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

async fn one(client: &kube::Client, namespace: &str, step: &Step, seen: &BTreeMap<String, String>) -> (u16, Vec<String>, Value) {
    let fill = |text: &str| {
        let mut text = text.replace("{ns}", namespace);
        for (from, to) in seen {
            text = text.replace(from, to);
        }
        text
    };
    let short = fill(&step.path);
    let target = named(&short, namespace);
    let mut path = target.as_ref().map_or_else(|| short.clone(), |target| target.path.clone());
    let (mut query, mut accept, mut content, mut raw, mut events) = (Vec::new(), String::new(), None, false, 1);
    let (mut identity, mut patient) = (Vec::new(), false);
    for option in &step.options {
        let option = fill(option);
        match option.split_once('=') {
            Some(("by", manager)) => query.push(("fieldManager".to_owned(), manager.to_owned())),
            Some(("accept", form)) => form.clone_into(&mut accept),
            Some(("as", user)) => identity.push(("impersonate-user", user.to_owned())),
            Some(("group", group)) => identity.push(("impersonate-group", group.to_owned())),
            Some(("type", of)) => content = Some(of.to_owned()),
            Some(("events", count)) => events = count.parse().expect("a number"),
            Some((key, value)) => query.push((key.to_owned(), value.to_owned())),
            None => match option.as_str() {
                "force" => query.push(("force".to_owned(), "true".to_owned())),
                "dry" => query.push(("dryRun".to_owned(), "All".to_owned())),
                "strict" => query.push(("fieldValidation".to_owned(), "Strict".to_owned())),
                "ignore" => query.push(("fieldValidation".to_owned(), "Ignore".to_owned())),
                "raw" => raw = true,
                // Roles take effect a moment after they are written.
                "patient" => patient = true,
                other => panic!("{}: what is {other:?}?", step.text),
            },
        }
    }
    let (method, kind) = match step.verb.as_str() {
        "get" | "list" => (Method::GET, ""),
        "watch" => {
            query.push(("watch".to_owned(), "true".to_owned()));
            (Method::GET, "")
        }
        "create" => (Method::POST, "application/json"),
        "update" => (Method::PUT, "application/json"),
        "merge" => (Method::PATCH, "application/merge-patch+json"),
        "json" => (Method::PATCH, "application/json-patch+json"),
        "strategic" => (Method::PATCH, "application/strategic-merge-patch+json"),
        "apply" => (Method::PATCH, "application/apply-patch+yaml"),
        "delete" => (Method::DELETE, if step.body.is_some() { "application/json" } else { "" }),
        "gone" => return wait(client, &path, |status, _| status == 404).await,
        other => panic!("{}: {other:?} is no verb", step.text),
    };
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    if !pairs.is_empty() {
        path.push_str(&format!("{}{}", if path.contains('?') { '&' } else { '?' }, pairs.join("&")));
    }
    let body = match (&step.body, raw) {
        (None, _) => Vec::new(),
        (Some(text), true) => fill(text.trim_start_matches('\n').trim_end()).into_bytes(),
        (Some(text), false) => {
            let mut body: Value = serde_yaml::from_str(&fill(text)).unwrap_or_else(|error| panic!("{}: {error}", step.text));
            if let (Some(target), "create" | "update" | "apply") = (&target, step.verb.as_str()) {
                let scale = target.subresource == "scale";
                let (api, kind) = if scale { ("autoscaling/v1", "Scale") } else { (target.api_version, target.kind) };
                let map = body.as_object_mut().expect("an object");
                map.entry("apiVersion").or_insert_with(|| api.into());
                map.entry("kind").or_insert_with(|| kind.into());
                if !target.name.is_empty() {
                    let metadata = map.entry("metadata").or_insert_with(|| json!({})).as_object_mut().expect("metadata");
                    metadata.entry("name").or_insert_with(|| target.name.clone().into());
                }
            }
            body.to_string().into_bytes()
        }
    };
    let build = || {
        let mut built = request(method.clone(), &path, content.as_deref().unwrap_or(kind), &accept, body.clone());
        for (name, value) in &identity {
            built.headers_mut().append(*name, value.parse().expect("a header"));
        }
        built
    };
    if step.verb == "watch" {
        return watch(client, build(), events).await;
    }
    let mut answer = send(client, build()).await;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let begin = tokio::time::Instant::now();
    while patient && begin.elapsed() < LONG && answer.2.pointer("/status/allowed") != Some(&Value::Bool(true)) {
        tick.tick().await;
        answer = send(client, build()).await;
    }
    answer
}
