//! Watches: a stream of events from a resourceVersion on, read out of the log; nothing is buffered per watcher.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::cluster::Shared;
use super::error::ApiError;
use super::kind::{Kind, Version};
use super::rest::{Form, render};
use super::select::Selector;
use super::store::{Stored, What};

/// How often a quiet watch says how far it is.
const BOOKMARK: Duration = Duration::from_mins(1);
/// Events handed over at once.
const CHUNK: usize = 256;

/// What a watch is for.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) kind: Arc<Kind>,
    pub(crate) version: Version,
    pub(crate) namespace: Option<String>,
    pub(crate) selector: Selector,
    pub(crate) form: Form,
    pub(crate) bookmarks: bool,
}

/// Where a watch begins.
#[derive(Debug)]
pub(crate) struct Start {
    /// The resourceVersion after which events are wanted.
    pub(crate) version: u64,
    /// Objects to send first, as if they had just been created.
    pub(crate) initial: Vec<Arc<Stored>>,
    /// Whether to say where those end.
    pub(crate) mark: bool,
}

struct Watcher {
    shared: Arc<Shared>,
    scope: Scope,
    cursor: u64,
    queue: VecDeque<Bytes>,
    changes: watch::Receiver<u64>,
    dropped: watch::Receiver<u64>,
    deadline: Option<Instant>,
    ended: bool,
    headed: bool,
}

/// The events of a watch, one line each.
pub(crate) fn watch(
    shared: Arc<Shared>,
    scope: Scope,
    start: Start,
    changes: watch::Receiver<u64>,
    timeout: Option<Duration>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let dropped = shared.faults.dropped();
    let mut watcher = Watcher {
        shared,
        scope,
        cursor: start.version,
        queue: VecDeque::new(),
        changes,
        dropped,
        deadline: timeout.map(|timeout| Instant::now() + timeout),
        ended: false,
        headed: false,
    };
    for stored in &start.initial {
        watcher.push("ADDED", stored);
    }
    if start.mark {
        watcher.bookmark(true);
    }
    futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((Ok(chunk), watcher))
    })
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.chunk() {
                return Some(chunk);
            }
            if self.ended {
                return None;
            }
            self.changes.mark_unchanged();
            self.read();
            if let Some(journal) = &self.shared.journal
                && journal.durable(self.cursor).await.is_err()
            {
                return None;
            }
            if !self.queue.is_empty() || self.ended {
                continue;
            }
            let deadline = self.deadline;
            let end = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.changes.changed() => if changed.is_err() { return None },
                _ = self.dropped.changed() => return None,
                () = end => {
                    if self.scope.bookmarks {
                        self.bookmark(false);
                    }
                    self.ended = true;
                }
                () = tokio::time::sleep(BOOKMARK), if self.scope.bookmarks => self.bookmark(false),
            }
        }
    }

    /// Several events in one piece.
    fn chunk(&mut self) -> Option<Bytes> {
        if self.queue.len() <= 1 {
            return self.queue.pop_front();
        }
        let lines: Vec<Bytes> = self.queue.drain(..self.queue.len().min(CHUNK)).collect();
        let mut chunk = BytesMut::with_capacity(lines.iter().map(Bytes::len).sum());
        for line in lines {
            chunk.put(line);
        }
        Some(chunk.freeze())
    }

    /// Takes what is new out of the log.
    fn read(&mut self) {
        let shared = Arc::clone(&self.shared);
        let server = shared.server();
        let Some(collection) = server.store.of_kind(&self.scope.kind) else {
            self.ended = true;
            return;
        };
        let current = server.store.version;
        let events = collection.since(self.cursor).map(|events| events.take(CHUNK).cloned().collect::<Vec<_>>());
        drop(server);
        let events = match events {
            Ok(events) => events,
            Err(oldest) => {
                let error = ApiError::expired(format!("too old resource version: {} ({oldest})", self.cursor));
                self.queue.push_back(line("ERROR", &serde_json::to_vec(&error.status()).unwrap_or_default()));
                self.ended = true;
                return;
            }
        };
        self.cursor =
            if events.len() < CHUNK { current.max(self.cursor) } else { events.last().map_or(self.cursor, |e| e.now.version) };
        for event in events {
            let inside = |stored: &Stored| {
                self.scope.namespace.as_deref().is_none_or(|n| n == &*stored.namespace) && self.scope.selector.matches(stored)
            };
            let before = event.before.as_deref().is_some_and(inside);
            let now = event.what != What::Deleted && inside(&event.now);
            match (before, now) {
                (false, false) => {}
                (false, true) => self.push("ADDED", &event.now),
                (true, true) => self.push("MODIFIED", &event.now),
                (true, false) => match &event.before {
                    // It goes as those who watch know it, at the time of the change.
                    Some(before) if event.what != What::Deleted => {
                        let mut object = before.value();
                        object["metadata"]["resourceVersion"] = event.now.version.to_string().into();
                        self.push("DELETED", &Stored::of(&object, event.now.version));
                    }
                    _ => self.push("DELETED", &event.now),
                },
            }
        }
    }

    fn push(&mut self, what: &str, stored: &Stored) {
        let body = match &self.scope.form {
            Form::Table { include } => {
                let object = super::rest::at_version(&self.scope.kind, &self.scope.version, stored);
                let meta = json!({"resourceVersion": stored.version.to_string()});
                let now = self.shared.clock.now();
                let mut table = super::table::table(&self.scope.kind, &self.scope.version, meta, &[object], include, now);
                if self.headed {
                    table["columnDefinitions"] = Value::Null;
                }
                self.headed = true;
                Bytes::from(serde_json::to_vec(&table).unwrap_or_default())
            }
            Form::Whole | Form::Partial => {
                render(&self.scope.kind, &self.scope.version, stored, &self.scope.form, self.shared.clock.now())
            }
        };
        self.queue.push_back(line(what, &body));
    }

    fn bookmark(&mut self, initial: bool) {
        let mut object = json!({
            "kind": self.scope.kind.kind,
            "apiVersion": self.scope.kind.api_version(&self.scope.version.name),
            "metadata": {"resourceVersion": self.cursor.to_string()},
        });
        if matches!(self.scope.form, Form::Partial) {
            object["kind"] = "PartialObjectMetadata".into();
            object["apiVersion"] = "meta.k8s.io/v1".into();
        }
        if initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.queue.push_back(line("BOOKMARK", &serde_json::to_vec(&object).unwrap_or_default()));
    }
}

/// An event as it goes out.
pub(crate) fn line(what: &str, object: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + 40);
    line.put(&b"{\"type\":\""[..]);
    line.put(what.as_bytes());
    line.put(&b"\",\"object\":"[..]);
    line.put(object);
    line.put(&b"}\n"[..]);
    line.freeze()
}
