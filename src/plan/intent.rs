//! The digest of what a commit means to do: which objects become what, by which templates. A plan names it, a saved plan is bound to
//! it, and a status commit says which one was carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::when::Waiting;
use crate::admission::Admitted;
use crate::digest::{self, Digest};
use crate::landscape::Owner;

/// The digest of the way from what was accepted to what is admitted: every object that is created, updated or deleted, with what it
/// becomes, and the digest of the library that it is rendered by; `None` if there is no such object.
///
/// What waits for a maintenance window counts as what it becomes then. Says the same offline, where `before` is what another revision means, and in the daemon, where it is what the garden keeps.
#[must_use]
pub fn intent(
    before: &BTreeMap<Owner, Arc<Value>>,
    after: &Admitted,
    waiting: &BTreeMap<Owner, Waiting>,
    going: &BTreeSet<Owner>,
    library: &Digest,
) -> Option<Digest> {
    let mut lines = Vec::new();
    for (owner, manifest) in &after.objects {
        let manifest = waiting.get(owner).map_or(manifest, |waiting| &waiting.wanted);
        let action = match before.get(owner) {
            Some(was) if Arc::ptr_eq(was, manifest) || was == manifest => continue,
            Some(_) => "update",
            None => "create",
        };
        lines.push(json!([owner.label(), action, digest::of_value(manifest).as_str()]));
    }
    lines.extend(going.iter().map(|owner| json!([owner.label(), "delete"])));
    let whole = || digest::of_value(&json!({ "landscape": after.landscape, "library": library.as_str(), "objects": lines }));
    (!lines.is_empty()).then(whole)
}
