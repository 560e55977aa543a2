//! One request: counted, bounded in time, and if it writes, only while the lease is held. Bodies are never logged.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, ClusterError, REQUEST_TIMEOUT};
use crate::landscape::Target;

/// An answer longer than this is not read: a page of 500 objects of the largest size fits.
const MAX_ANSWER: usize = 800 << 20;

/// A page of a list is large, and reading is safe after the lease.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

/// Requests made, per cluster and verb: `get`, `list`, `watch`, `create`, `apply`, `patch`, `delete`, `lease`.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<(Target, &'static str), u64>>);

impl Counters {
    fn count(&self, target: &Target, verb: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((target.clone(), verb)).or_default() += 1;
    }

    /// All counts.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<(Target, &'static str), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that write, over all clusters, the lease's aside.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.snapshot()
            .iter()
            .filter(|((_, verb), _)| matches!(*verb, "create" | "apply" | "patch" | "delete"))
            .map(|(_, n)| n)
            .sum()
    }
}

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Create,
    /// Server-side apply.
    Apply {
        manager: &'static str,
        force: bool,
    },
    /// JSON merge patch.
    Merge {
        manager: &'static str,
    },
    Delete,
}

/// The status and the object that came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Refuses what would change the meaning of a URL. Colons are fine: RBAC uses them.
pub(super) fn check_name(name: &str) -> Result<(), ClusterError> {
    let sound = !name.is_empty()
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'_'));
    if sound { Ok(()) } else { Err(ClusterError::Name(name.to_owned())) }
}

/// The error object of the API, as far as it is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusBody {
    reason: String,
    message: String,
    details: Option<StatusDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusDetails {
    retry_after_seconds: u32,
    causes: Vec<Cause>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
}

/// Only with this cause is a conflict one between field managers; without it somebody wrote at the same moment.
const FIELDS: &str = "FieldManagerConflict";
/// A forbidden creation in a namespace that is going away is not a matter of permissions; only a cause says so.
const TERMINATING: &str = "NamespaceTerminating";

impl Cluster {
    /// Reads a JSON document at a path (with query).
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClusterError> {
        self.read(path, "get", "application/json").await
    }

    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        verb: &'static str,
        accept: &str,
    ) -> Result<T, ClusterError> {
        let operation = || format!("{verb} {}", path.split('?').next().unwrap_or_default());
        let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new());
        let request = request.map_err(|_| ClusterError::Name(path.to_owned()))?;
        let (_, bytes) = self.send(verb, operation(), request).await?;
        parse(operation, &bytes)
    }

    /// Writes, if the lease is held.
    pub(crate) async fn write(&self, write: Write, path: &str, body: Vec<u8>) -> Result<Answer, ClusterError> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner).clone().check()?;
        self.write_unfenced(write, path, body, None).await
    }

    /// Writes without asking the fence: only the lease itself does that.
    pub(super) async fn write_unfenced(
        &self,
        write: Write,
        path: &str,
        body: Vec<u8>,
        count_as: Option<&'static str>,
    ) -> Result<Answer, ClusterError> {
        let (verb, method, content, query) = match write {
            Write::Create => ("create", http::Method::POST, "application/json", "?fieldManager=espalier".to_owned()),
            Write::Apply { manager, force } => {
                let query = format!("?fieldManager={manager}&force={force}");
                ("apply", http::Method::PATCH, "application/apply-patch+yaml", query)
            }
            Write::Merge { manager } => {
                ("patch", http::Method::PATCH, "application/merge-patch+json", format!("?fieldManager={manager}"))
            }
            Write::Delete => ("delete", http::Method::DELETE, "application/json", String::new()),
        };
        let operation = || format!("{verb} {path}");
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}{query}"))
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, content)
            .body(body)
            .map_err(|_| ClusterError::Name(path.to_owned()))?;
        let (status, bytes) = self.send(count_as.unwrap_or(verb), operation(), request).await?;
        Ok(Answer { status, body: parse(operation, &bytes)? })
    }

    async fn send(
        &self,
        verb: &'static str,
        operation: String,
        request: http::Request<Vec<u8>>,
    ) -> Result<(u16, bytes::Bytes), ClusterError> {
        self.counters.count(&self.target, verb);
        let exchange = async {
            let network = |message: String| ClusterError::Network { operation: operation.clone(), message };
            let answer = self.client.send(request.map(Body::from)).await.map_err(|e| network(chain(&e)))?;
            let (head, body) = answer.into_parts();
            let bytes = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| network(e.to_string()))?.to_bytes();
            if head.status.is_success() {
                return Ok((head.status.as_u16(), bytes));
            }
            let status: StatusBody = serde_json::from_slice(&bytes).unwrap_or_default();
            let header = head.headers.get(http::header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
            let details = status.details.unwrap_or_default();
            let cause = [TERMINATING, FIELDS].into_iter().find(|known| details.causes.iter().any(|c| c.reason == *known));
            let told = Some(details.retry_after_seconds).filter(|s| *s > 0);
            Err(ClusterError::Answer {
                operation: operation.clone(),
                status: head.status.as_u16(),
                reason: cause.map_or(status.reason, str::to_owned),
                message: if status.message.is_empty() { head.status.to_string() } else { status.message },
                retry_after: header.or(told),
            })
        };
        let limit = if verb == "list" { LIST_TIMEOUT } else { REQUEST_TIMEOUT };
        tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(ClusterError::TimedOut { operation: operation.clone(), seconds: limit.as_secs() }))
    }

    /// Opens a watch; events come as they are.
    pub(super) async fn open_watch(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<impl futures::Stream<Item = Result<kube::core::WatchEvent<Value>, kube::Error>> + use<>, kube::Error> {
        self.counters.count(&self.target, "watch");
        let request =
            http::Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request_events::<Value>(request).await
    }
}

fn parse<T: DeserializeOwned>(operation: impl Fn() -> String, bytes: &[u8]) -> Result<T, ClusterError> {
    serde_json::from_slice(bytes).map_err(|e| {
        // Only the place: serde's own words may quote the content.
        let message = format!("line {}, column {}", e.line(), e.column());
        ClusterError::Garbled { operation: operation(), message }
    })
}

/// An error with its causes, innermost last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
