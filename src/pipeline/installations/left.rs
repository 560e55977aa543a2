//! What is left on a seed for an extension to act upon, whoever wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::landscape::Target;
use crate::observed::{Object, ObjectKey, Observed};
use crate::schedule::extensions::served;

/// The group of what extensions act on.
pub const GROUP: &str = "extensions.gardener.cloud";

/// Whether a seed has extension objects that a registration is responsible for.
pub(super) enum InUse {
    /// It has this one.
    By(ObjectKey),
    /// It has none.
    No,
    /// It was not listed completely.
    Unknown,
}

/// Whether a seed has extension objects that a registration is responsible for.
pub(super) fn in_use(observed: &Observed, seed: &str, registration: &Value) -> InUse {
    match first(observed, seed, registration, |_| true) {
        Some(object) => InUse::By(object.key.clone()),
        None if observed.complete(&Target::Seed(seed.to_owned())) => InUse::No,
        None => InUse::Unknown,
    }
}

/// One of these objects that is not ours to remove.
pub(super) fn of_others(observed: &Observed, seed: &str, registration: &Value) -> Option<ObjectKey> {
    first(observed, seed, registration, |object| !object.is_tracked()).map(|object| object.key.clone())
}

fn first<'o>(
    observed: &'o Observed,
    seed: &str,
    registration: &Value,
    wanted: impl Fn(&Object) -> bool,
) -> Option<&'o Arc<Object>> {
    let live = observed.targets.get(&Target::Seed(seed.to_owned()))?;
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for need in served(registration) {
        types.entry(need.kind).or_default().insert(need.of_type);
    }
    types.iter().find_map(|(kind, types)| {
        let from_there = live.objects.range(ObjectKey::new(GROUP, kind, "", "")..).map(|(_, object)| object);
        let mut all = from_there.take_while(|object| object.key.group == GROUP && object.key.kind == *kind);
        // One that names no type may be anybody's.
        let of_type = |object: &Object| object.get("/spec/type").and_then(Value::as_str).is_none_or(|t| types.contains(t));
        all.find(|object| of_type(object) && wanted(object))
    })
}
