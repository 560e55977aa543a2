//! What a change costs a running cluster: marks on the fields of a shoot that changed, from declared tables of fields.
//!
//! A table row names a field, a condition, a mark, and what happens, with its source. The most specific field that has rows speaks for
//! a change; all of its rows whose condition holds are told. Which node pools a row is about, and how many nodes they have at least and
//! at most, follows from the shoot alone: counting real nodes needs a cluster. Rings 0–2: no cluster, no clock.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diff::Field;

mod case;
mod control_plane;
mod kubelet;
mod life;
mod networks;
mod pools;
mod rendered;
mod versions;

pub use case::{Case, Pool};
pub use rendered::of_kinds;

/// How much a change costs, from nothing to what cannot be done at all (`ux/cli` §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Nothing that runs is touched.
    None,
    /// Bounds of autoscaling move, or pools are added.
    Scales,
    /// The kubelet restarts; nodes and pods stay.
    RestartsKubelet,
    /// Pods of the control plane roll.
    RestartsControlPlane,
    /// All nodes go.
    WorkloadStops,
    /// The API server is unreachable for a while.
    ApiDowntime,
    /// Nodes are drained, updated and kept.
    InPlaceNodes,
    /// Nodes are replaced one after another.
    RollsNodes,
    /// A pool goes: its nodes are drained together.
    Recreates,
    /// Accepted, and cannot be taken back.
    OneWay,
    /// A cluster, project or seed goes.
    Deletes,
    /// The API server refuses it.
    Forbidden,
}

impl Mark {
    /// All marks, from the mildest.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Scales,
        Self::RestartsKubelet,
        Self::RestartsControlPlane,
        Self::WorkloadStops,
        Self::ApiDowntime,
        Self::InPlaceNodes,
        Self::RollsNodes,
        Self::Recreates,
        Self::OneWay,
        Self::Deletes,
        Self::Forbidden,
    ];

    /// The word in every output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scales => "scales",
            Self::RestartsKubelet => "restarts-kubelet",
            Self::RestartsControlPlane => "restarts-control-plane",
            Self::WorkloadStops => "workload-stops",
            Self::ApiDowntime => "api-downtime",
            Self::InPlaceNodes => "in-place-nodes",
            Self::RollsNodes => "rolls-nodes",
            Self::Recreates => "recreates",
            Self::OneWay => "one-way",
            Self::Deletes => "deletes",
            Self::Forbidden => "forbidden",
        }
    }

    /// Whether a person should look twice: something that runs is interrupted, or there is no way back.
    #[must_use]
    pub fn warns(self) -> bool {
        self >= Self::WorkloadStops
    }
}

impl std::str::FromStr for Mark {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|mark| mark.word() == word).ok_or_else(|| format!("possible are {}", words()))
    }
}

/// How sure a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Gardener's own rules say so.
    Sure,
    /// It depends on the provider's extension.
    Likely,
}

/// Which node pools a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pools {
    /// None.
    No,
    /// The one that the field is in.
    Own,
    /// Those that have no Kubernetes version of their own.
    OfVersion,
    /// Those that have no kubelet settings of their own.
    OfKubelet,
    /// All.
    All,
}

/// One line of a table.
pub struct Row {
    /// The field: `spec.provider.workers[].machine.type`, `spec.kubernetes.kubeAPIServer.**` for all below.
    pub field: &'static str,
    /// How much it costs. For pools that are updated in place, rolled nodes are nodes updated in place.
    pub mark: Mark,
    /// How sure that is.
    pub certainty: Certainty,
    /// The pools whose nodes it is about.
    pub pools: Pools,
    /// When it is so, in words; empty for always.
    pub condition: &'static str,
    /// When it is so.
    pub holds: fn(&Case<'_>) -> bool,
    /// What happens.
    pub why: &'static str,
    /// Where Gardener says so.
    pub source: &'static str,
}

/// Declares a table: field, mark, certainty, pools, when in words and as a function, what happens, and the source.
macro_rules! rows {
    ($($field:literal $mark:ident $certainty:ident $pools:ident $(when $condition:literal $holds:expr)?; $why:literal, $source:literal;)+) => {
        pub(super) static ROWS: &[$crate::plan::impact::Row] = &[$($crate::plan::impact::Row {
            field: $field,
            mark: $crate::plan::impact::Mark::$mark,
            certainty: $crate::plan::impact::Certainty::$certainty,
            pools: $crate::plan::impact::Pools::$pools,
            condition: rows!(@words $($condition)?),
            holds: rows!(@holds $($holds)?),
            why: $why,
            source: $source,
        }),+];
    };
    (@words) => { "" };
    (@words $condition:literal) => { $condition };
    (@holds) => { |_| true };
    (@holds $holds:expr) => { |case: &$crate::plan::impact::Case<'_>| ($holds)(case) };
}
use rows;

const TABLES: [&[Row]; 6] = [versions::ROWS, pools::ROWS, kubelet::ROWS, control_plane::ROWS, networks::ROWS, life::ROWS];

/// One thing that happens because a field changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// How much it costs.
    pub mark: Mark,
    /// How sure that is.
    pub certainty: Certainty,
    /// What happens.
    pub why: Cow<'static, str>,
    /// Where Gardener says so.
    pub source: Cow<'static, str>,
    /// The pools whose nodes it is about, after the change.
    pub pools: Vec<Pool>,
}

/// The rows that speak for a field, most specific first: those of the longest pattern.
pub fn speaking(path: &[&str]) -> impl Iterator<Item = &'static Row> {
    let fitting: Vec<_> = all().filter_map(|row| Some((weight(row.field, path)?, row))).collect();
    let most = fitting.iter().map(|(weight, _)| *weight).max();
    fitting.into_iter().filter(move |(weight, _)| Some(*weight) == most).map(|(_, row)| row)
}

/// How exactly a pattern names a path; `None` if it does not.
fn weight(pattern: &str, path: &[&str]) -> Option<(usize, bool)> {
    let words = words(pattern);
    match words.split_last() {
        Some((&"**", above)) => path.starts_with(above).then_some((above.len(), false)),
        _ => (words == path).then_some((words.len(), true)),
    }
}

/// `spec.workers[].labels[a.b/c]` as the keys that lead there: `spec`, `workers`, `[]`, `labels`, `a.b/c`.
fn words(pattern: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in pattern.split(']') {
        let (keys, key) = part.split_once('[').map_or((part, None), |(keys, key)| (keys, Some(key)));
        words.extend(keys.split('.').filter(|word| !word.is_empty()));
        words.extend(key.map(|key| if key.is_empty() { "[]" } else { key }));
    }
    words
}

/// What follows from one changed field of a shoot, worst first. `before` and `after` are the manifests with their defaults.
#[must_use]
pub fn of(field: &Field, before: &Value, after: &Value) -> Vec<Impact> {
    let mut all: Vec<Impact> = Vec::new();
    let path: Vec<&str> = field.path.iter().map(String::as_str).collect();
    let pool = field.pool();
    each(&path, field.before.as_ref(), field.after.as_ref(), pool, &mut |path, was, is, pool| {
        let case = Case { before, after, was, is, pool };
        for row in speaking(path).filter(|row| (row.holds)(&case)) {
            for impact in told(row, &case) {
                match all.iter_mut().find(|other| other.mark == impact.mark && other.why == impact.why) {
                    Some(other) => impact.pools.into_iter().for_each(|pool| {
                        if !other.pools.contains(&pool) {
                            other.pools.push(pool);
                        }
                    }),
                    None => all.push(impact),
                }
            }
        }
    });
    all.sort_by_key(|impact| std::cmp::Reverse(impact.mark));
    all
}

/// What a row says: of pools that are updated in place something else than of those whose nodes are replaced.
fn told(row: &Row, case: &Case<'_>) -> Vec<Impact> {
    let impact = |mark, pools| Impact {
        mark,
        certainty: row.certainty,
        why: Cow::Borrowed(row.why),
        source: Cow::Borrowed(row.source),
        pools,
    };
    let pools = case.pools(row.pools);
    if row.mark != Mark::RollsNodes {
        return if pools.is_empty() && row.pools != Pools::No { Vec::new() } else { vec![impact(row.mark, pools)] };
    }
    let (kept, replaced): (Vec<Pool>, Vec<Pool>) = pools.into_iter().partition(|pool| pool.in_place);
    let both = [(Mark::RollsNodes, replaced), (Mark::InPlaceNodes, kept)];
    both.into_iter().filter(|(_, pools)| !pools.is_empty()).map(|(mark, pools)| impact(mark, pools)).collect()
}

type Found<'f, 'v> = dyn FnMut(&[&str], Option<&'v Value>, Option<&'v Value>, Option<&'v str>) + 'f;

/// Goes to what differs below a field: to where a row speaks for exactly this, or to single values.
fn each<'v>(path: &[&str], was: Option<&'v Value>, is: Option<&'v Value>, pool: Option<&'v str>, found: &mut Found<'_, 'v>) {
    if was == is {
        return;
    }
    let exact = speaking(path).any(|row| !row.field.ends_with("**"));
    let maps = matches!((was, is), (Some(Value::Object(_)), Some(Value::Object(_)) | None) | (None, Some(Value::Object(_))));
    let lists = matches!((was, is), (Some(Value::Array(_)), Some(Value::Array(_)) | None) | (None, Some(Value::Array(_))));
    let items = |value: Option<&'v Value>| value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = items(was).iter().chain(items(is)).all(|item| super::diff::name_of(item).is_some());
    if maps && !exact {
        let keys = [was, is].into_iter().flatten().filter_map(Value::as_object).flat_map(|map| map.keys());
        let keys: std::collections::BTreeSet<&String> = keys.collect();
        for key in keys {
            let mut path = path.to_vec();
            path.push(key);
            each(&path, was.and_then(|v| v.get(key)), is.and_then(|v| v.get(key)), pool, found);
        }
    } else if lists && named && !exact {
        let names: std::collections::BTreeSet<&str> =
            items(was).iter().chain(items(is)).filter_map(super::diff::name_of).collect();
        let path: Vec<&str> = path.iter().copied().chain(["[]"]).collect();
        for name in names {
            let of = |value| items(value).iter().find(|item| super::diff::name_of(item) == Some(name));
            let pool = if path == super::diff::POOLS { Some(name) } else { pool };
            each(&path, of(was), of(is), pool, found);
        }
    } else {
        found(path, was, is, pool);
    }
}

/// Rows of all tables, in order.
pub fn all() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}
