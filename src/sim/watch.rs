//! Watches: a stream of events from a resourceVersion on, read out of the log; nothing is buffered per watcher, except an event
//! that a fault holds back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::cluster::Shared;
use super::error::ApiError;
use super::fault::{Asked, Loss, WatchEnd};
use super::kind::{Kind, Version};
use super::rest::{Broken, Form, render};
use super::select::Selector;
use super::store::{Stored, What};

/// How often a quiet watch says how far it is.
const BOOKMARK: Duration = Duration::from_mins(1);
/// Events handed over at once.
const CHUNK: usize = 256;
/// How long an event is held back for that of another object to come first.
const HELD: Duration = Duration::from_secs(1);

/// What a watch is for.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Who watches.
    pub(crate) user: String,
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
    endings: broadcast::Receiver<WatchEnd>,
    held: Option<Held>,
    deadline: Option<Instant>,
    ended: bool,
    headed: bool,
}

/// An event that waits for one of another object to go before it.
struct Held {
    object: (Box<str>, Box<str>),
    line: Bytes,
    until: Instant,
}

/// The events of a watch, one line each.
pub(crate) fn watch(
    shared: Arc<Shared>,
    scope: Scope,
    start: Start,
    changes: watch::Receiver<u64>,
    timeout: Option<Duration>,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    let endings = shared.faults.endings();
    let mut watcher = Watcher {
        shared,
        scope,
        cursor: start.version,
        queue: VecDeque::new(),
        changes,
        endings,
        held: None,
        deadline: timeout.map(|timeout| Instant::now() + timeout),
        ended: false,
        headed: false,
    };
    for stored in &start.initial {
        let line = watcher.line_of("ADDED", stored);
        watcher.queue.push_back(line);
    }
    if start.mark {
        watcher.bookmark(true);
    }
    futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((chunk, watcher))
    })
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            if let Some(chunk) = self.chunk() {
                return Some(Ok(chunk));
            }
            if self.ended {
                return None;
            }
            // What happened after a loss is not told.
            match self.endings.try_recv() {
                Err(TryRecvError::Empty | TryRecvError::Closed) => {}
                ending => match self.ending(ending.ok()) {
                    Some(loss) => return self.lose(loss).await,
                    None => continue,
                },
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
            let held = self.held.as_ref().map(|held| held.until);
            let end = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ending = self.endings.recv() => if let Some(loss) = self.ending(ending.ok()) {
                    return self.lose(loss).await;
                },
                changed = self.changes.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep_until(held.unwrap_or_else(Instant::now)), if held.is_some() => self.release(),
                () = end => {
                    self.release();
                    if self.scope.bookmarks {
                        self.bookmark(false);
                    }
                    self.ended = true;
                }
                () = tokio::time::sleep(BOOKMARK), if self.scope.bookmarks => self.bookmark(false),
            }
        }
    }

    /// What an end of watches means for this one; `None`: some were missed, and the latest ones follow.
    fn ending(&mut self, ending: Option<WatchEnd>) -> Option<Loss> {
        match ending? {
            WatchEnd::Lost(_, Some(user)) if user != self.scope.user => None,
            WatchEnd::Lost(loss, _) => Some(loss),
            WatchEnd::Expired => {
                self.fail(&ApiError::expired(format!("too old resource version: {}", self.cursor)));
                None
            }
        }
    }

    async fn lose(&mut self, loss: Loss) -> Option<Result<Bytes, Broken>> {
        self.ended = true;
        match loss {
            Loss::Closed => None,
            Loss::Cut => Some(Err(Broken)),
            // Whoever waits for more has to notice by himself.
            Loss::Silent => std::future::pending().await,
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
                self.fail(&ApiError::expired(format!("too old resource version: {} ({oldest})", self.cursor)));
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

    /// Tells an event, as faults have it.
    fn push(&mut self, what: &str, stored: &Stored) {
        let asked = Asked {
            user: &self.scope.user,
            verb: "watch",
            kind: &self.scope.kind.kind,
            namespace: &stored.namespace,
            name: &stored.name,
        };
        let fate = self.shared.faults.event(&asked);
        let mut line = self.line_of(what, stored);
        if fate.twice {
            line = joined(&line, &line);
        }
        let object = (stored.namespace.clone(), stored.name.clone());
        match self.held.take() {
            // In one piece with it: a client that goes on from the version of the later one must not miss the earlier one.
            Some(held) if held.object != object => self.queue.push_back(joined(&line, &held.line)),
            // What is held of the same object goes first.
            Some(held) => {
                self.queue.push_back(held.line);
                self.queue.push_back(line);
            }
            None if fate.later => self.held = Some(Held { object, line, until: Instant::now() + HELD }),
            None => self.queue.push_back(line),
        }
    }

    /// Tells what was held back: nothing came that could go before it.
    fn release(&mut self) {
        self.queue.extend(self.held.take().map(|held| held.line));
    }

    /// Ends with an error.
    fn fail(&mut self, why: &ApiError) {
        // A client may know nothing that is later than what is held: it lists again.
        self.held = None;
        self.queue.push_back(error(why));
        self.ended = true;
    }

    fn line_of(&mut self, what: &str, stored: &Stored) -> Bytes {
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
        line(what, &body)
    }

    fn bookmark(&mut self, initial: bool) {
        self.release();
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

/// The event that ends a watch.
pub(crate) fn error(error: &ApiError) -> Bytes {
    line("ERROR", &serde_json::to_vec(&error.status()).unwrap_or_default())
}

fn joined(first: &Bytes, second: &Bytes) -> Bytes {
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.put(first.clone());
    both.put(second.clone());
    both.freeze()
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
