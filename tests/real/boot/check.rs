//! Requests whose answers are looked at closely.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::Value;

/// An object as it is applied: what the server says against it, or `None`.
pub(crate) async fn applied(client: &kube::Client, path: &str, object: &Value, dry: bool) -> Option<String> {
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
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
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

/// One object by its path; `None` where there is none.
pub(crate) async fn get(client: &kube::Client, path: &str) -> Option<Value> {
    match client.request::<Value>(http::Request::get(path).body(Vec::new()).expect("a request")).await {
        Ok(value) => Some(value),
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => panic!("GET {path}: {error}"),
    }
}

/// The code with which a request is answered.
pub(crate) async fn code(client: &kube::Client, path: &str) -> u16 {
    match client.request::<Value>(http::Request::get(path).body(Vec::new()).expect("a request")).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("GET {path}: {error}"),
    }
}

/// Looks at an object until it is as wanted; what it looked like then.
pub(crate) async fn until(client: &kube::Client, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let looked = tokio::time::timeout(Duration::from_secs(40), async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            last = get(client, path).await.unwrap_or_default();
            if wanted(&last) {
                return;
            }
        }
    });
    assert!(looked.await.is_ok(), "{what} did not come true: {path} is {last:#}");
    last
}
