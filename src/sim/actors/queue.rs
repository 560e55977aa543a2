//! The runner: one queue per cluster of (actor, object), earliest first, fed by the cluster's events and by the actors' own
//! requests to look again.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cx::{Crash, Parsed, Waits};
use super::{Actor, Again, Cx};
use crate::observed::ObjectKey;
use crate::sim::Delays;
use crate::sim::cluster::{Change, Cluster, Shared};

/// How many objects are reconciled before other tasks get a turn.
const TURN: usize = 32;
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// An actor by its place in the list, and an object.
type Item = (usize, ObjectKey);

/// Items by due time; each at most once, with its earliest time. Ties go in order of arrival.
#[derive(Default)]
struct Queue {
    due: BTreeMap<(Instant, u64), Item>,
    places: HashMap<Item, (Instant, u64)>,
    arrivals: u64,
}

impl Queue {
    fn add(&mut self, item: Item, at: Instant) {
        if let Some(place) = self.places.get(&item) {
            if place.0 <= at {
                return;
            }
            self.due.remove(place);
        }
        self.arrivals += 1;
        let place = (at, self.arrivals);
        self.places.insert(item.clone(), place);
        self.due.insert(place, item);
    }

    fn pop(&mut self, now: Instant) -> Option<Item> {
        let entry = self.due.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let item = entry.remove();
        self.places.remove(&item);
        Some(item)
    }

    /// Forgets what one actor is to do.
    fn forget(&mut self, index: usize) {
        self.due.retain(|_, item| item.0 != index);
        self.places.retain(|item, _| item.0 != index);
    }

    fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }
}

struct Runner {
    actors: Vec<Box<dyn Actor>>,
    watchers: HashMap<(&'static str, &'static str), Vec<usize>>,
    seed: u64,
    delays: Delays,
    queue: Queue,
    waits: HashMap<Item, Waits>,
    failures: HashMap<Item, u32>,
    parsed: Parsed,
}

/// Runs actors over a cluster until told to stop, or until nobody else holds the cluster. Begins with every object that is there.
pub(super) fn run(
    cluster: &Cluster,
    actors: Vec<Box<dyn Actor>>,
    delays: Delays,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let events = cluster.subscribe();
    let mut watchers: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, actor) in actors.iter().enumerate() {
        for watched in actor.watches() {
            watchers.entry(*watched).or_default().push(index);
        }
    }
    let mut runner = Runner {
        seed: cluster.seed(),
        actors,
        watchers,
        delays,
        queue: Queue::default(),
        waits: HashMap::new(),
        failures: HashMap::new(),
        parsed: Parsed::default(),
    };
    runner.list(cluster);
    drive(runner, Arc::downgrade(&cluster.shared), events, stop)
}

async fn drive(mut runner: Runner, cluster: Weak<Shared>, mut events: UnboundedReceiver<Change>, stop: CancellationToken) {
    let mut heard = Vec::new();
    while !stop.is_cancelled() {
        // Held only while there is something to do, so that the cluster ends with its last user.
        let Some(shared) = cluster.upgrade() else { return };
        let cluster = Cluster::new(shared);
        for key in heard.drain(..) {
            runner.hear(&cluster, &key);
        }
        while let Ok(change) = events.try_recv() {
            runner.hear(&cluster, &change.key);
        }
        let worked = runner.turn(&cluster);
        drop(cluster);
        if worked {
            tokio::task::yield_now().await;
            continue;
        }
        let timer = runner.queue.next();
        tokio::select! {
            () = stop.cancelled() => return,
            change = events.recv() => match change {
                Some(change) => heard.push(change.key),
                None => return,
            },
            () = tokio::time::sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() => {}
        }
    }
}

impl Runner {
    /// Queues whatever an event concerns.
    fn hear(&mut self, cluster: &Cluster, key: &ObjectKey) {
        let Some(indices) = self.watchers.get(&(key.group.as_str(), key.kind.as_str())).cloned() else { return };
        for index in indices {
            self.tell(cluster, index, key);
        }
    }

    /// Queues whatever an event concerns of one actor's.
    fn tell(&mut self, cluster: &Cluster, index: usize, key: &ObjectKey) {
        let now = Instant::now();
        let actor = self.actors[index].as_ref();
        let cx = context(cluster, actor, key, self.seed, self.delays, &self.parsed);
        match catch_unwind(AssertUnwindSafe(|| actor.concerns(&cx, key))) {
            Ok(concerned) => concerned.into_iter().for_each(|key| self.queue.add((index, key), now)),
            Err(panic) => log_panic(actor, key, panic.as_ref()),
        }
    }

    /// An actor died: what is one process with it starts anew, knows nothing, and begins with every object that is there.
    fn restart(&mut self, cluster: &Cluster, name: &str) {
        tracing::info!(actor = name, "simulated controller crashed and starts anew");
        for index in 0..self.actors.len() {
            if self.actors[index].name() != name {
                continue;
            }
            self.actors[index].forget();
            self.queue.forget(index);
            self.waits.retain(|item, _| item.0 != index);
            self.failures.retain(|item, _| item.0 != index);
            for (group, kind) in self.actors[index].watches() {
                for key in cluster.keys(group, kind, None) {
                    self.tell(cluster, index, &key);
                }
            }
        }
    }

    /// Queues everything that is there.
    fn list(&mut self, cluster: &Cluster) {
        let kinds: BTreeSet<_> = self.watchers.keys().copied().collect();
        for (group, kind) in kinds {
            for key in cluster.keys(group, kind, None) {
                self.hear(cluster, &key);
            }
        }
    }

    /// Reconciles what is due, up to a turn; whether anything was.
    fn turn(&mut self, cluster: &Cluster) -> bool {
        let now = Instant::now();
        let mut worked = false;
        for _ in 0..TURN {
            let Some(item) = self.queue.pop(now) else { break };
            worked = true;
            if let Again::After(pause) = self.reconcile(cluster, &item) {
                self.queue.add(item, Instant::now() + pause);
            }
        }
        worked
    }

    fn reconcile(&mut self, cluster: &Cluster, item: &Item) -> Again {
        let (index, key) = item;
        let actor = self.actors[*index].as_mut();
        let cluster = cluster.with_manager(actor.name());
        let mut cx = context(&cluster, actor, key, self.seed, self.delays, &self.parsed);
        cx.begun = self.waits.remove(item).unwrap_or_default();
        let result = catch_unwind(AssertUnwindSafe(|| actor.reconcile(&mut cx, key)));
        let waiting = std::mem::take(&mut cx.waiting);
        if !waiting.is_empty() {
            self.waits.insert(item.clone(), waiting);
        }
        let name = actor.name();
        match result {
            Ok(Ok(again)) => {
                self.failures.remove(item);
                return again;
            }
            // Somebody else wrote in between: read again.
            Ok(Err(refused)) if refused.code == 409 => tracing::trace!(actor = name, object = %key, %refused, "conflict"),
            Ok(Err(refused)) => tracing::debug!(actor = name, object = %key, %refused, "request refused"),
            Err(crash) if crash.is::<Crash>() => {
                self.restart(&cluster, name);
                return Again::Done;
            }
            Err(panic) => log_panic(actor, key, panic.as_ref()),
        }
        let failures = self.failures.entry(item.clone()).or_default();
        *failures += 1;
        let pause = Duration::from_millis(5) * 2_u32.saturating_pow((*failures).min(16));
        Again::After(pause.min(LONGEST_PAUSE))
    }
}

fn log_panic(actor: &dyn Actor, key: &ObjectKey, panic: &(dyn Any + Send)) {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(actor = actor.name(), object = %key, message, "simulated controller panicked");
}

fn context<'a>(
    cluster: &'a Cluster,
    actor: &dyn Actor,
    key: &'a ObjectKey,
    seed: u64,
    delays: Delays,
    parsed: &'a Parsed,
) -> Cx<'a> {
    Cx { cluster, parsed, actor: actor.name(), key, seed, delays, slow: false, begun: Waits::new(), waiting: Waits::new() }
}
