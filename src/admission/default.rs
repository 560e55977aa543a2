//! Defaults: what Gardener would fill in, in Gardener's order; then what was decided for the object before, which stays.
//!
//! Three layers (`defaults.md`): pure defaults of the object's own kind; those that need other objects of the landscape; and,
//! once a seed is known, those that need the seed ([`placed`]). Whatever Gardener draws at random is derived from the
//! object's identity. A default that was filled in once keeps its value for as long as Git says nothing else: the accepted
//! manifest carries it.

mod others;
pub(super) mod placed;
mod relational;
pub(super) mod shoot;

use serde_json::Value;

use super::check::{Cx, Out};
use crate::landscape::Kind;

/// The manifest with all defaults that are known before a seed is chosen.
pub(super) fn apply(cx: &Cx<'_>, out: &mut Out) -> Value {
    let mut manifest = cx.new.value().cloned().unwrap_or_default();
    match cx.owner.kind {
        Kind::Shoot => {
            relational::early(cx, &mut manifest);
            shoot::fill_in(&mut manifest, cx.owner);
            relational::late(cx, &mut manifest, out);
            placed::carry(cx, &mut manifest);
        }
        _ => others::fill_in(&mut manifest, cx.owner),
    }
    manifest
}

/// An accepted manifest with the defaults of its own kind, so that old and new are compared alike.
pub(super) fn own(manifest: &Value, owner: &crate::landscape::Owner) -> Value {
    let mut manifest = manifest.clone();
    match owner.kind {
        Kind::Shoot => shoot::fill_in(&mut manifest, owner),
        _ => others::fill_in(&mut manifest, owner),
    }
    manifest
}
