//! A scripted API server behind a `kube::Client`: answers from a function and remembers what it was asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use espalier::cluster::Clusters;
use espalier::landscape::Target;
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

/// One exchange as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// From method, path with query, and body to status and text.
type Answer = dyn Fn(&str, &str, &Value) -> (u16, String) + Send + Sync;

/// Answers requests from a function; remembers them.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Answer>,
    /// What it says its version is; questions about it are not remembered.
    pub(crate) version: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn new(answer: impl Fn(&str, &str, &Value) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), answer: Arc::new(answer), version: Arc::new(Mutex::new("v1.36.0".to_owned())) }
    }

    pub(crate) fn clusters(&self, target: Target) -> Clusters {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = http_body_util::BodyExt::collect(body).await.expect("a body").to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let path = head.uri.path_and_query().expect("a path").to_string();
                if path == "/version" {
                    let version = json!({ "gitVersion": *server.version.lock().expect("lock") });
                    return Ok(Response::new(Body::from(version.to_string().into_bytes())));
                }
                let (status, text) = (server.answer)(head.method.as_str(), &path, &body);
                server.seen.lock().expect("lock").push(Seen { method: head.method.to_string(), path, body });
                let mut response = Response::new(Body::from(text.into_bytes()));
                *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                Ok::<_, Infallible>(response)
            }
        });
        let client = kube::Client::new(service, "default");
        let clock = Arc::new(|| jiff::Timestamp::from_second(1_790_000_000).expect("in range"));
        Clusters::new([(target, client)].into(), clock)
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.lock().expect("lock").iter().map(|s| format!("{} {}", s.method, s.path)).collect()
    }
}

/// An error object.
pub(crate) fn failure(code: u16, reason: &str) -> (u16, String) {
    (code, json!({ "kind": "Status", "code": code, "reason": reason, "message": format!("{reason} here") }).to_string())
}
