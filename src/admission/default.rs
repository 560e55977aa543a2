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
use super::source::Extent;
use crate::landscape::{Kind, Owner};

/// The manifest with all defaults that are known before a seed is chosen; for [`Extent::Static`] those of the API alone.
pub(super) fn apply(cx: &Cx<'_>, out: &mut Out, extent: Extent) -> Value {
    let mut manifest = cx.new.value().cloned().unwrap_or_default();
    let admitted = extent > Extent::Static;
    if cx.owner.kind == Kind::Shoot {
        if admitted {
            relational::early(cx, &mut manifest);
        }
        shoot::fill_in(&mut manifest, cx.owner);
        if admitted {
            relational::late(cx, &mut manifest, out);
            placed::carry(cx, &mut manifest);
        }
    } else {
        others::fill_in(&mut manifest, cx.owner);
        if admitted {
            others::admitted(&mut manifest, cx.owner);
        }
    }
    manifest
}

/// An accepted manifest with the defaults of its own kind, so that old and new are compared alike.
pub(super) fn own(manifest: &Value, owner: &Owner, extent: Extent) -> Value {
    let mut manifest = manifest.clone();
    if owner.kind == Kind::Shoot {
        shoot::fill_in(&mut manifest, owner);
    } else {
        others::fill_in(&mut manifest, owner);
        if extent > Extent::Static {
            others::admitted(&mut manifest, owner);
        }
    }
    manifest
}
