//! Following: one task per cluster and kind lists, then watches from where the list ended, and lists again when history is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::kinds::Resource;
use super::observe::{Listed, accept, named};
use super::{Cluster, Clusters, KindRef, Kinds, reduce};
use crate::landscape::Target;
use crate::observed::{Delta, Keep, Live, OWNER_LABEL, Object, ObjectKey, Observed};
use crate::value::Version;

/// What a watch tells. Fold it into a [`View`].
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// One object changed.
    Changed {
        /// Where.
        target: Target,
        /// What.
        delta: Delta,
    },
    /// A kind was listed to the end: these are all its objects now.
    Relisted {
        /// Where.
        target: Target,
        /// The kind.
        kind: KindRef,
        /// All of them.
        objects: Vec<Arc<Object>>,
        /// The server's version at that time, as far as it tells.
        server: Option<Version>,
    },
    /// A kind cannot be followed at the moment; what is known of it may be old.
    Incomplete {
        /// Where.
        target: Target,
        /// The kind.
        kind: KindRef,
        /// Why.
        reason: String,
    },
}

/// Running watches; they end when this is dropped.
pub struct Watching {
    clusters: Clusters,
    keep: Arc<Keep>,
    sink: mpsc::Sender<Signal>,
    following: BTreeSet<(Target, KindRef)>,
    tasks: JoinSet<()>,
}

/// Watches the given kinds. Each begins with a list, so a [`View`] that was empty becomes complete.
#[must_use]
pub fn watch(clusters: &Clusters, kinds: &Kinds, keep: Keep, sink: mpsc::Sender<Signal>) -> Watching {
    clusters.set_keep(keep);
    let mut watching =
        Watching { clusters: clusters.clone(), keep: clusters.keep(), sink, following: BTreeSet::new(), tasks: JoinSet::new() };
    watching.ensure(kinds);
    watching
}

impl Watching {
    /// Keeps something else of objects from now on: everything is listed again.
    pub fn keep(&mut self, keep: Keep) {
        if keep.pointers == self.keep.pointers {
            return;
        }
        self.clusters.set_keep(keep);
        self.keep = self.clusters.keep();
        self.tasks.abort_all();
        for (target, kind) in std::mem::take(&mut self.following) {
            self.ensure(&[(target, BTreeSet::from([kind]))].into());
        }
    }

    /// Also watches these kinds, if they are not watched yet. Tell the [`View`] too ([`View::expect`]).
    pub fn ensure(&mut self, kinds: &Kinds) {
        for (target, kinds) in kinds {
            let Ok(cluster) = self.clusters.cluster(target) else { continue };
            for kind in kinds {
                if self.following.insert((target.clone(), kind.clone())) {
                    let (cluster, kind) = (Arc::clone(&cluster), kind.clone());
                    let (keep, sink) = (Arc::clone(&self.keep), self.sink.clone());
                    self.tasks.spawn(async move { follow(&cluster, &kind, &keep, &sink).await });
                }
            }
        }
    }
}

/// How often a kind that is not served is looked for, when nothing hints at it sooner.
const UNSERVED_PAUSE: Duration = Duration::from_mins(1);
/// A server ends a watch after about this long, and we give it up a little later: a connection may be dead without saying so.
const WATCH_SECONDS: u64 = 300;
/// So many failures in a row make a kind incomplete: fewer are a server restarting.
const PATIENCE: u32 = 3;
/// A watch that lasted so long worked: its end is the first failure in a row and not one more.
const SOUND: Duration = Duration::from_secs(10);

/// Follows one kind until the sink is closed.
async fn follow(cluster: &Cluster, kind: &KindRef, keep: &Keep, sink: &mpsc::Sender<Signal>) {
    let mut failures: u32 = 0;
    let mut news = cluster.news();
    while !sink.is_closed() {
        news.mark_unchanged();
        let listed = cluster.list(kind, keep).await;
        let (signal, from) = match listed {
            Ok(Listed { objects, version, server }) => {
                failures = 0;
                let from = version.map(|version| (version, server.clone()));
                (Signal::Relisted { target: cluster.target.clone(), kind: kind.clone(), objects, server }, from)
            }
            Err(e) => {
                failures += 1;
                (incomplete(cluster, kind, &e.to_string()), None)
            }
        };
        if sink.send(signal).await.is_err() {
            return;
        }
        match from {
            Some(from) => {
                if is_definition(kind) {
                    cluster.announce();
                }
                let Some(reason) = follow_from(cluster, kind, keep, from, sink).await else { return };
                if let Some(reason) = reason {
                    if sink.send(incomplete(cluster, kind, &reason)).await.is_err() {
                        return;
                    }
                    pause(PATIENCE).await;
                }
            }
            None if failures == 0 => {
                tokio::select! {
                    _ = news.changed() => {}
                    () = sink.closed() => return,
                    () = tokio::time::sleep(jittered(UNSERVED_PAUSE)) => {}
                }
            }
            None => pause(failures).await,
        }
    }
}

fn incomplete(cluster: &Cluster, kind: &KindRef, reason: &str) -> Signal {
    Signal::Incomplete { target: cluster.target.clone(), kind: kind.clone(), reason: reason.to_owned() }
}

fn is_definition(kind: &KindRef) -> bool {
    kind.kind == "CustomResourceDefinition"
}

/// Watches until history is lost or the server is another one (`Some(None)`), until it fails for good (`Some(reason)`), or until
/// nobody listens (`None`).
async fn follow_from(
    cluster: &Cluster,
    kind: &KindRef,
    keep: &Keep,
    (mut version, server): (String, Option<Version>),
    sink: &mpsc::Sender<Signal>,
) -> Option<Option<String>> {
    let mut failures = 0;
    loop {
        let Ok(Some(resource)) = cluster.resource(kind).await else { return Some(None) };
        let began = tokio::time::Instant::now();
        let end = follow_once(cluster, kind, &resource, keep, &mut version, sink).await;
        if began.elapsed() >= SOUND {
            failures = 0;
        }
        match end {
            End::Closed => return None,
            End::Expired => return Some(None),
            End::Gone => {
                cluster.forget(&kind.api_version).await;
                return Some(None);
            }
            // Asked only of a server that answers: all kinds would wait for each other here.
            End::Quiet if cluster.server_version().await.is_ok_and(|now| now != server) => return Some(None),
            End::Quiet => failures = 0,
            End::Failed(reason) => {
                failures += 1;
                if failures >= PATIENCE {
                    return Some(Some(reason));
                }
                pause(failures).await;
            }
        }
    }
}

/// How one watch request ended.
enum End {
    /// Nobody listens any more.
    Closed,
    /// 410: list again.
    Expired,
    /// 404: the kind went away.
    Gone,
    /// The server closed it in good order.
    Quiet,
    Failed(String),
}

async fn follow_once(
    cluster: &Cluster,
    kind: &KindRef,
    resource: &Resource,
    keep: &Keep,
    version: &mut String,
    sink: &mpsc::Sender<Signal>,
) -> End {
    let seconds = WATCH_SECONDS + fastrand::u64(0..WATCH_SECONDS);
    let path = match resource.path("") {
        Ok(path) => path,
        Err(e) => return End::Failed(e.to_string()),
    };
    let path = format!("{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}");
    let began = tokio::time::Instant::now();
    let events = match tokio::time::timeout(super::REQUEST_TIMEOUT, cluster.open_watch(&path, accept(kind, keep, false))).await {
        Ok(Ok(events)) => events,
        Ok(Err(e)) => return ended(&e),
        Err(_) => return End::Failed("the watch was not answered in time".to_owned()),
    };
    let mut events = std::pin::pin!(events);
    let deadline = began + Duration::from_secs(seconds + 30);
    let mut seen = false;
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout_at(deadline, events.next()) => next,
            () = sink.closed() => return End::Closed,
        };
        let (gone, object) = match next {
            // An end right at the start, again and again, is a fault and not the server's time limit.
            Ok(None) if !seen && began.elapsed() < Duration::from_secs(1) => {
                return End::Failed("the watch ended at once".to_owned());
            }
            Err(_) | Ok(None) => return End::Quiet,
            Ok(Some(Err(e))) => return ended(&e),
            Ok(Some(Ok(WatchEvent::Error(status)))) if status.code == 410 => return End::Expired,
            Ok(Some(Ok(WatchEvent::Error(status)))) => return End::Failed(status.message.clone()),
            Ok(Some(Ok(WatchEvent::Bookmark(bookmark)))) => {
                version.clone_from(&bookmark.metadata.resource_version);
                continue;
            }
            Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => (false, object),
            Ok(Some(Ok(WatchEvent::Deleted(object)))) => (true, object),
        };
        seen = true;
        let reduced = {
            let mut interner = cluster.interner.lock().unwrap_or_else(PoisonError::into_inner);
            reduce(named(object, resource), keep, &mut interner)
        };
        let Some(object) = reduced else { continue };
        version.clone_from(&object.resource_version);
        if is_definition(kind) && !gone && established(&object) {
            cluster.announce();
        }
        let delta = if gone { Delta::Deleted { key: object.key, uid: object.uid } } else { Delta::Applied(Arc::new(object)) };
        if sink.send(Signal::Changed { target: cluster.target.clone(), delta }).await.is_err() {
            return End::Closed;
        }
    }
}

fn established(definition: &Object) -> bool {
    let conditions = definition.get("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|c| c["type"] == "Established" && c["status"] == "True")
}

fn ended(error: &kube::Error) -> End {
    match error {
        kube::Error::Api(status) if status.code == 410 => End::Expired,
        kube::Error::Api(status) if status.code == 404 => End::Gone,
        kube::Error::Api(status) => End::Failed(status.message.clone()),
        // The content of an event is not for the log.
        kube::Error::SerdeError(_) => End::Failed("an event could not be read".to_owned()),
        other => End::Failed(other.to_string()),
    }
}

async fn pause(failures: u32) {
    let wait = Duration::from_millis(250).saturating_mul(1 << failures.min(7));
    tokio::time::sleep(jittered(wait)).await;
}

/// Between half and the whole, so that many watches do not come back at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// What is known of all clusters, kept up to date by folding signals. Pure.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The objects, and per target whether everything expected was listed.
    pub observed: Observed,
    /// What was ever expected: it is listed once, and followed from there.
    expected: BTreeMap<Target, BTreeSet<KindRef>>,
    /// What is not (or no longer) known, and why.
    missing: BTreeMap<Target, BTreeMap<KindRef, String>>,
}

/// What a signal touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Values of the owner label of objects that changed, before and after.
    pub owners: BTreeSet<String>,
    /// Objects that changed, whoever's they are.
    pub keys: BTreeSet<(Target, ObjectKey)>,
    /// Whether a target became complete or incomplete.
    pub completeness: bool,
    /// Whether the server has another version than was known.
    pub server: bool,
    /// Whether a wildcard certificate came, went or changed.
    pub certificates: bool,
}

impl View {
    /// A view that waits for lists of these kinds.
    #[must_use]
    pub fn new(kinds: &Kinds) -> Self {
        let mut view = Self::default();
        view.expect(kinds);
        view
    }

    /// Expects further kinds: their targets are incomplete until they were listed. What was expected before is no news.
    pub fn expect(&mut self, kinds: &Kinds) {
        for (target, kinds) in kinds {
            let missing = self.missing.entry(target.clone()).or_default();
            let expected = self.expected.entry(target.clone()).or_default();
            for kind in kinds.iter().filter(|kind| expected.insert((*kind).clone())) {
                missing.entry(kind.clone()).or_insert_with(|| "not listed yet".to_owned());
            }
            self.judge(target);
        }
    }

    /// Takes a signal in.
    pub fn fold(&mut self, signal: Signal) -> Touched {
        let mut touched = Touched::default();
        match signal {
            Signal::Changed { target, delta } => {
                let live = self.observed.targets.entry(target.clone()).or_default();
                match delta {
                    Delta::Applied(object) => replace(live, &target, object, &mut touched),
                    // Told late, or twice: what has the name now is another object, and stays.
                    Delta::Deleted { key, uid } if live.objects.get(&key).is_some_and(|known| known.uid != uid) => {}
                    Delta::Deleted { key, .. } => remove(live, &target, &key, &mut touched),
                }
            }
            Signal::Relisted { target, kind, objects, server } => {
                let live = self.observed.targets.entry(target.clone()).or_default();
                touched.server = live.server != server;
                live.server = server;
                let listed: BTreeSet<ObjectKey> = objects.iter().map(|o| o.key.clone()).collect();
                let first = ObjectKey::new(kind.group(), &kind.kind, "", "");
                let gone: Vec<ObjectKey> = live
                    .objects
                    .range(first..)
                    .map(|(key, _)| key)
                    .take_while(|key| key.group == kind.group() && key.kind == kind.kind)
                    .filter(|key| !listed.contains(*key))
                    .cloned()
                    .collect();
                for key in gone {
                    remove(live, &target, &key, &mut touched);
                }
                for object in objects {
                    replace(live, &target, object, &mut touched);
                }
                self.missing.entry(target.clone()).or_default().remove(&kind);
                touched.completeness = self.judge(&target);
            }
            Signal::Incomplete { target, kind, reason } => {
                self.missing.entry(target.clone()).or_default().insert(kind, reason);
                touched.completeness = self.judge(&target);
            }
        }
        touched
    }

    /// Takes in an object that a write returned, so that nothing has to wait for the watch to tell. Older news that the watch
    /// brings of it afterwards is passed over.
    pub fn written(&mut self, target: &Target, object: Arc<Object>) -> Touched {
        self.fold(Signal::Changed { target: target.clone(), delta: Delta::Applied(object) })
    }

    /// Restates whether a target is complete; says whether that changed.
    fn judge(&mut self, target: &Target) -> bool {
        let problem = self
            .missing
            .get(target)
            .and_then(|missing| missing.iter().next())
            .map(|(kind, reason)| format!("{} could not be listed: {reason}", kind.kind));
        let live = self.observed.targets.entry(target.clone()).or_default();
        let before = live.complete;
        live.complete = problem.is_none();
        live.problem = problem;
        before != live.complete
    }
}

fn replace(live: &mut Live, target: &Target, object: Arc<Object>, touched: &mut Touched) {
    let old = live.objects.get(&object.key);
    let old_news = |old: &Arc<Object>| {
        old.uid == object.uid && (is_newer(&old.resource_version, &object.resource_version) || *old == object)
    };
    if old.is_some_and(old_news) {
        return;
    }
    touched.owners.extend(old.and_then(|old| old.labels.get(OWNER_LABEL)).cloned());
    touched.owners.extend(object.labels.get(OWNER_LABEL).cloned());
    touched.keys.insert((target.clone(), object.key.clone()));
    touched.certificates |= object.is_wildcard_certificate() || old.is_some_and(|old| old.is_wildcard_certificate());
    live.insert(object);
}

/// Versions of one object grow as decimal numbers; of a server's that are not numbers, none is known to be newer.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => false,
    }
}

fn remove(live: &mut Live, target: &Target, key: &ObjectKey, touched: &mut Touched) {
    if let Some(old) = live.remove(key) {
        touched.owners.extend(old.labels.get(OWNER_LABEL).cloned());
        touched.keys.insert((target.clone(), key.clone()));
        touched.certificates |= old.is_wildcard_certificate();
    }
}
