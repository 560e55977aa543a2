//! Questions about objects.

use std::time::Duration;

use serde_json::Value;

/// One object by its path; `None` where there is none.
pub(super) async fn get(client: &kube::Client, path: &str) -> Option<Value> {
    match client.request::<Value>(http::Request::get(path).body(Vec::new()).expect("a request")).await {
        Ok(value) => Some(value),
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => panic!("GET {path}: {error}"),
    }
}

/// The code with which a request is answered.
pub(super) async fn code(client: &kube::Client, path: &str) -> u16 {
    match client.request::<Value>(http::Request::get(path).body(Vec::new()).expect("a request")).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("GET {path}: {error}"),
    }
}

/// Looks at an object until it is as wanted; what it looked like then.
pub(super) async fn until(client: &kube::Client, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
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
