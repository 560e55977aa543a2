//! What is to go wrong, as data: failing requests, lists cut short, lost watches, latency.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::error::ApiError;

/// Which requests a fault is for; `None` matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`, `deletecollection`.
    pub verb: Option<String>,
    /// The kind, such as `Shoot`.
    pub kind: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
}

impl Matching {
    fn covers(&self, verb: &str, kind: &str, namespace: &str) -> bool {
        let fits = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
        fits(&self.verb, verb) && fits(&self.kind, kind) && fits(&self.namespace, namespace)
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next `times` matching requests are refused with this HTTP status, before they do anything.
    Fail {
        /// Which requests.
        of: Matching,
        /// 409, 410, 429, 500, 503, 504, …
        status: u16,
        /// How many of them.
        times: u32,
    },
    /// Lists of this kind (`None`: of all) end after so many items: the continuation is answered with this status.
    CutList {
        /// The kind.
        kind: Option<String>,
        /// Items before the cut.
        after: usize,
        /// 410 (expired) or 5xx.
        status: u16,
    },
    /// Matching requests are answered later.
    Latency {
        /// Which requests.
        of: Matching,
        /// How much later.
        by: Duration,
    },
}

/// The faults in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Fault>>,
    watches: tokio::sync::watch::Sender<u64>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Ends all open watches without a word, as a lost connection does.
    pub fn drop_watches(&self) {
        self.watches.send_modify(|n| *n += 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when watches are to be dropped.
    pub(crate) fn dropped(&self) -> tokio::sync::watch::Receiver<u64> {
        self.watches.subscribe()
    }

    /// How long a request is to be held up.
    pub(crate) fn latency(&self, verb: &str, kind: &str, namespace: &str) -> Option<Duration> {
        self.lock().iter().find_map(|fault| match fault {
            Fault::Latency { of, by } if of.covers(verb, kind, namespace) => Some(*by),
            Fault::Latency { .. } | Fault::Fail { .. } | Fault::CutList { .. } => None,
        })
    }

    /// The refusal that a request is to get.
    pub(crate) fn refusal(&self, verb: &str, kind: &str, namespace: &str) -> Option<ApiError> {
        let mut rules = self.lock();
        let index = rules.iter().position(|fault| match fault {
            Fault::Fail { of, times, .. } => *times > 0 && of.covers(verb, kind, namespace),
            Fault::CutList { .. } | Fault::Latency { .. } => false,
        })?;
        let Some(Fault::Fail { status, times, .. }) = rules.get_mut(index) else { return None };
        let code = *status;
        *times -= 1;
        if *times == 0 {
            rules.remove(index);
        }
        Some(refuse(code))
    }

    /// After how many items a list is to be cut, and with what.
    pub(crate) fn cut(&self, kind: &str) -> Option<(usize, ApiError)> {
        self.lock().iter().find_map(|fault| match fault {
            Fault::CutList { kind: of, after, status } if of.as_deref().is_none_or(|of| of == kind) => {
                Some((*after, refuse(*status)))
            }
            Fault::CutList { .. } | Fault::Fail { .. } | Fault::Latency { .. } => None,
        })
    }
}

fn refuse(code: u16) -> ApiError {
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
    ApiError::new(code, reason, message)
}
