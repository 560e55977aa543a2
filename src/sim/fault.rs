//! What goes wrong in a cluster: rules, what they were struck for, and the one place where each fault becomes what it is.
//!
//! A rule counts what it is for and strikes at certain of them, so that the same requests in the same order meet the same faults;
//! no wall clock has a say. Requests of clients that are not of objects (discovery and the like) count as `get` of no kind.
//! What anybody may ask (`/healthz`, `/version`) and reviews of access are always answered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;

use super::cluster::Shared;
use super::error::ApiError;

/// The verbs of requests.
pub(crate) const VERBS: &[&str] = &["get", "list", "watch", "create", "update", "patch", "apply", "delete", "deletecollection"];

/// For [`Rule::times`]: without an end.
pub const ALWAYS: u64 = u64::MAX;

/// So many strikes are remembered: more than anybody reads, and no leak where a rule has no end.
const REMEMBERED: usize = 10_000;

/// What a rule is for; `None` is for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// Who asks, such as `espalier`.
    pub user: Option<String>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`, `deletecollection`.
    pub verb: Option<String>,
    /// The kind, such as `Shoot`.
    pub kind: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
}

impl Matching {
    fn covers(&self, asked: &Asked<'_>) -> bool {
        let fits = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
        fits(&self.user, asked.user)
            && fits(&self.verb, asked.verb)
            && fits(&self.kind, asked.kind)
            && fits(&self.namespace, asked.namespace)
    }
}

/// When a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before anything was done: nothing is stored.
    Before,
    /// After it was done, before a word of the answer: what was written is stored.
    After,
    /// After it was done, in the middle of the answer.
    Amid,
}

/// How watches are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The server ends them in good order.
    Closed,
    /// Their connections break.
    Cut,
    /// Nothing comes any more and nobody says so, until the client gives up.
    Silent,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A request is carried out later.
    Latency {
        /// How much later.
        by: Duration,
    },
    /// A request is refused before it does anything.
    Refuse {
        /// The HTTP status: 409, 410, 429, 500, 503, 504, …
        status: u16,
        /// Seconds after which to come back: `Retry-After` and `details.retryAfterSeconds`.
        retry_after: Option<u32>,
    },
    /// The connection of a request breaks.
    Cut {
        /// When.
        at: Moment,
    },
    /// A list ends after so many items; a request that goes on from there is refused.
    ShortList {
        /// Items before the end.
        items: usize,
        /// 410 (expired) or 5xx.
        status: u16,
    },
    /// At a request all open watches of who asks are lost.
    LoseWatches {
        /// How.
        how: Loss,
    },
    /// An event of a watch comes twice.
    Duplicate,
    /// An event of a watch comes after the next event of another object. Events of one object keep their order, which is what an
    /// API server guarantees.
    Reorder,
    /// At a request the history is forgotten: open watches, watches from an earlier version and lists that go on get 410.
    Expire,
    /// At a request the cluster's clock jumps forward. Clocks that only run, by which controllers wait, are not concerned.
    Clock {
        /// How far.
        by: Duration,
    },
    /// A simulated controller dies after a write of its own, in the middle of its work, and starts anew: what it had in memory is
    /// lost.
    Crash {
        /// Its name, such as `etcd-druid`; what runs under one name is one process.
        actor: String,
    },
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Requests.
    Request,
    /// Events of watches.
    Event,
    /// Writes of a simulated controller.
    Write,
}

impl Fault {
    /// Its name in a schedule.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Refuse { .. } => "refuse",
            Self::Cut { .. } => "cut",
            Self::ShortList { .. } => "shortList",
            Self::LoseWatches { .. } => "loseWatches",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Expire => "expire",
            Self::Clock { .. } => "clock",
            Self::Crash { .. } => "crash",
        }
    }

    pub(crate) const fn unit(&self) -> Unit {
        match self {
            Self::Latency { .. }
            | Self::Refuse { .. }
            | Self::Cut { .. }
            | Self::ShortList { .. }
            | Self::LoseWatches { .. }
            | Self::Expire
            | Self::Clock { .. } => Unit::Request,
            Self::Duplicate | Self::Reorder => Unit::Event,
            Self::Crash { .. } => Unit::Write,
        }
    }
}

/// A fault, and when it strikes: at `times` of what it is for, one after the other, once `after` of them went by.
///
/// Each rule counts for itself. A request that several rules strike is held up by all of them, and meets the first refusal, cut
/// or short list; the turn of the others has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The cluster, `garden` or `seed-NAME`; `None`: each, which counts for itself. Only a schedule asks.
    pub cluster: Option<String>,
    /// Which requests; which events, by the user of the watch and the kind and namespace of the object; which writes of the
    /// controller, by kind and namespace.
    pub of: Matching,
    /// How many go by before.
    pub after: u64,
    /// How many it strikes; [`ALWAYS`] is without an end.
    pub times: u64,
    /// What happens.
    pub fault: Fault,
}

impl From<Fault> for Rule {
    /// Strikes once, at the first of all.
    fn from(fault: Fault) -> Self {
        Self { cluster: None, of: Matching::default(), after: 0, times: 1, fault }
    }
}

impl Rule {
    /// A fault that strikes all that it is for, without an end.
    #[must_use]
    pub fn always(of: Matching, fault: Fault) -> Self {
        Self { of, times: ALWAYS, ..Self::from(fault) }
    }

    /// A refusal of the next `times` that it is for.
    #[must_use]
    pub fn refuse(of: Matching, status: u16, times: u64) -> Self {
        Self { of, times, ..Self::from(Fault::Refuse { status, retry_after: None }) }
    }

    /// Lists of this kind, or of all, end after so many items, and what goes on is refused; without an end.
    #[must_use]
    pub fn short_lists(kind: Option<&str>, items: usize, status: u16) -> Self {
        let of = Matching { kind: kind.map(str::to_owned), ..Matching::default() };
        Self::always(of, Fault::ShortList { items, status })
    }
}

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Which rule, from 1, in the order in which they were given.
    pub rule: usize,
    /// The name of its fault.
    pub fault: &'static str,
    /// How many of those that the rule is for there have been, this one included.
    pub count: u64,
    /// What it struck: `patch Shoot garden-shop/mini by espalier`.
    pub what: String,
}

impl std::fmt::Display for Struck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, fault, count, what } = self;
        write!(f, "rule {rule}, {fault}: {what} ({count} so far)")
    }
}

/// What is asked: a request, an event, or a controller's write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Who; the controller for its writes.
    pub(crate) user: &'a str,
    pub(crate) verb: &'a str,
    /// Empty for what is not of objects; then `name` is the path.
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl std::fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, verb, kind, namespace, name } = self;
        let place = [*namespace, *name].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        let parts = [*verb, *kind, &place].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        write!(f, "{parts} by {user}")
    }
}

/// What becomes of a request.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// How long it is held up.
    pub(crate) delay: Duration,
    /// How it ends otherwise than it would.
    pub(crate) end: Option<End>,
    /// After how many items its list ends, and with what a request that goes on is refused.
    pub(crate) short: Option<(usize, ApiError)>,
}

/// An end that is not the request's own.
#[derive(Debug)]
pub(crate) enum End {
    Refused(ApiError),
    Cut(Moment),
    /// What it goes on from is forgotten, if it goes on from something.
    Expired,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventFate {
    pub(crate) twice: bool,
    pub(crate) later: bool,
}

/// How open watches end, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WatchEnd {
    /// Of this user, or of all.
    Lost(Loss, Option<String>),
    Expired,
}

/// So many ends may be on their way to a watch that is not read.
const ENDINGS: usize = 16;

/// A rule and what it has counted.
#[derive(Debug)]
struct Armed {
    number: usize,
    rule: Rule,
    seen: u64,
}

#[derive(Debug, Default)]
struct Book {
    rules: Vec<Armed>,
    given: usize,
    struck: Vec<Struck>,
}

/// The faults in force.
#[derive(Debug)]
pub struct Faults {
    book: Mutex<Book>,
    watches: broadcast::Sender<WatchEnd>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { book: Mutex::default(), watches: broadcast::Sender::new(ENDINGS) }
    }
}

impl Faults {
    /// Adds a rule; it counts from now on.
    pub fn add(&self, rule: Rule) {
        let mut book = self.lock();
        book.given += 1;
        let number = book.given;
        book.rules.push(Armed { number, rule, seen: 0 });
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// Ends all open watches in good order, without a word.
    pub fn drop_watches(&self) {
        self.end_watches(WatchEnd::Lost(Loss::Closed, None));
    }

    fn end_watches(&self, how: WatchEnd) {
        if self.watches.send(how).is_err() {
            tracing::debug!("nobody watches");
        }
    }

    /// What has struck so far, in order; the first ten thousand.
    #[must_use]
    pub fn struck(&self) -> Vec<Struck> {
        self.lock().struck.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when watches are to end.
    pub(crate) fn endings(&self) -> broadcast::Receiver<WatchEnd> {
        self.watches.subscribe()
    }

    /// Counts what is asked, and gives the rules whose turn it is.
    fn count(&self, unit: Unit, asked: &Asked<'_>) -> Vec<(Struck, Fault)> {
        let mut book = self.lock();
        if book.rules.is_empty() {
            return Vec::new();
        }
        let mut due = Vec::new();
        for armed in &mut book.rules {
            let Rule { of, after, times, fault, .. } = &armed.rule;
            let concerned = fault.unit() == unit
                && of.covers(asked)
                && match fault {
                    Fault::ShortList { .. } => asked.verb == "list",
                    Fault::Crash { actor } => actor == asked.user,
                    _ => true,
                };
            if !concerned {
                continue;
            }
            armed.seen += 1;
            if armed.seen > *after && armed.seen <= after.saturating_add(*times) {
                let struck = Struck { rule: armed.number, fault: fault.name(), count: armed.seen, what: asked.to_string() };
                due.push((struck, fault.clone()));
            }
        }
        book.rules.retain(|armed| armed.seen < armed.rule.after.saturating_add(armed.rule.times));
        due
    }

    fn record(&self, struck: Struck) {
        tracing::info!(rule = struck.rule, fault = struck.fault, what = %struck.what, "a simulated fault strikes");
        let mut book = self.lock();
        if book.struck.len() < REMEMBERED {
            book.struck.push(struck);
        }
    }

    /// What becomes of an event that a watch is about to tell.
    pub(crate) fn event(&self, asked: &Asked<'_>) -> EventFate {
        let mut fate = EventFate::default();
        for (struck, fault) in self.count(Unit::Event, asked) {
            match fault {
                Fault::Duplicate => fate.twice = true,
                Fault::Reorder => fate.later = true,
                _ => continue,
            }
            self.record(struck);
        }
        fate
    }

    /// Whether a controller dies after a write that it has made.
    pub(crate) fn crashes(&self, asked: &Asked<'_>) -> bool {
        let due = self.count(Unit::Write, asked);
        let crashes = !due.is_empty();
        for (struck, _) in due {
            self.record(struck);
        }
        crashes
    }
}

/// Counts a request, does to the cluster what it sets off, and says what becomes of it.
pub(crate) fn meet(shared: &Shared, asked: &Asked<'_>) -> Fate {
    let mut fate = Fate::default();
    for (struck, fault) in shared.faults.count(Unit::Request, asked) {
        let over = fate.end.is_some() || fate.short.is_some();
        match fault {
            Fault::Latency { by } => fate.delay += by,
            Fault::LoseWatches { how } => shared.faults.end_watches(WatchEnd::Lost(how, Some(asked.user.to_owned()))),
            Fault::Clock { by } => shared.clock.jump(by),
            Fault::Expire => {
                shared.server().store.compact();
                shared.faults.end_watches(WatchEnd::Expired);
                if !over {
                    fate.end = Some(End::Expired);
                }
            }
            Fault::Refuse { .. } | Fault::Cut { .. } | Fault::ShortList { .. } if over => continue,
            Fault::Refuse { status, retry_after } => fate.end = Some(End::Refused(refusal(status, retry_after))),
            Fault::Cut { at } => fate.end = Some(End::Cut(at)),
            Fault::ShortList { items, status } => fate.short = Some((items, refusal(status, None))),
            Fault::Duplicate | Fault::Reorder | Fault::Crash { .. } => continue,
        }
        shared.faults.record(struck);
    }
    fate
}

fn refusal(code: u16, retry_after: Option<u32>) -> ApiError {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden by a simulated fault"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => (
            "Conflict",
            "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again",
        ),
        410 => ("Expired", "The provided continue parameter is too old to display a consistent list result"),
        422 => ("Invalid", "refused by a simulated fault"),
        429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "the server was unable to return a response in the time allotted"),
        _ => ("InternalError", "Internal error occurred: simulated fault"),
    };
    let mut error = ApiError::new(code, reason, message);
    error.details = retry_after.map(|seconds| json!({"retryAfterSeconds": seconds}));
    error
}
