//! How many requests of what sort a cluster has answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A sort of request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The authenticated user, such as `espalier`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// `plural.group`, with `/status` and the like.
    pub resource: String,
}

impl Request {
    /// Whether it can change anything.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }
}

/// Requests answered so far, refused ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// How many of each sort.
    pub requests: BTreeMap<Request, u64>,
    /// Changes made to objects, by anyone, controllers included.
    pub commits: u64,
}

impl Counters {
    /// Read requests of a user.
    #[must_use]
    pub fn reads(&self, user: &str) -> u64 {
        self.requests.iter().filter(|(r, _)| r.user == user && !r.is_write()).map(|(_, n)| n).sum()
    }

    /// Write requests of a user, except those for Leases.
    #[must_use]
    pub fn writes(&self, user: &str) -> u64 {
        let lease = |r: &Request| r.resource.starts_with("leases.coordination.k8s.io");
        self.requests.iter().filter(|(r, _)| r.user == user && r.is_write() && !lease(r)).map(|(_, n)| n).sum()
    }

    /// Requests by verb.
    #[must_use]
    pub fn by_verb(&self) -> BTreeMap<&'static str, u64> {
        let mut verbs = BTreeMap::new();
        for (request, count) in &self.requests {
            *verbs.entry(request.verb).or_default() += count;
        }
        verbs
    }
}

/// Where requests are counted.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Request, u64>>);

impl Tally {
    pub(crate) fn count(&self, request: Request) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(request).or_default() += 1;
    }

    pub(crate) fn read(&self) -> BTreeMap<Request, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
