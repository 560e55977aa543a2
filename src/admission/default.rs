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
use super::node::Node;
use super::source::Extent;
use crate::landscape::{Kind, Owner};

/// The manifest with all defaults that are known before a seed is chosen; for [`Extent::Static`] those of the API alone.
///
/// `accepted` is what was accepted before, as it was written.
pub(super) fn apply(cx: &Cx<'_>, accepted: Option<&Value>, out: &mut Out, extent: Extent) -> Value {
    let mut manifest = cx.new.value().cloned().unwrap_or_default();
    let admitted = extent > Extent::Static;
    if cx.owner.kind == Kind::Shoot {
        if let (Some(old), Some(accepted)) = (cx.old.as_ref().and_then(Node::value), accepted) {
            manifest = patched(old.clone(), accepted, &manifest);
        }
        relational::window(cx, &mut manifest);
        if admitted {
            relational::early(cx, &mut manifest);
        }
        shoot::fill_in(&mut manifest, cx.owner);
        if admitted {
            relational::late(cx, &mut manifest, out);
            placed::carry(cx, &mut manifest);
        }
        shoot::prepare(&mut manifest, cx.old.as_ref());
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
        shoot::prepare(&mut manifest, None);
    } else {
        others::fill_in(&mut manifest, owner);
        if extent > Extent::Static {
            others::admitted(&mut manifest, owner);
        }
    }
    let pinned = Node::root(&manifest).at("spec/seedName").is_set();
    stored(manifest, owner, pinned)
}

/// What a server keeps of an object after it accepted it: without what is only read, with the labels that it maintains.
///
/// The label of a seed is for shoots that name it. Where the seed was chosen, the choice is kept beside the manifest, and labels
/// are not part of it: they would come one pass later than the seed.
pub(super) fn stored(mut manifest: Value, owner: &Owner, pinned: bool) -> Value {
    if owner.kind == Kind::Shoot {
        shoot::canonical(&mut manifest, pinned);
    }
    manifest
}

/// What was accepted and filled in, with what has changed since in the manifest: a default that was filled in once stays.
///
/// As `kubectl apply` does it: what was written before and is not any more is removed, what is written now is set; lists are
/// replaced as a whole.
fn patched(mut filled: Value, before: &Value, now: &Value) -> Value {
    let (Value::Object(map), Value::Object(now)) = (&mut filled, now) else { return now.clone() };
    for key in before.as_object().into_iter().flat_map(serde_json::Map::keys).filter(|key| !now.contains_key(*key)) {
        map.remove(key);
    }
    for (key, value) in now {
        let (was, written) = (map.remove(key), before.get(key).unwrap_or(&Value::Null));
        let is = match was {
            Some(was @ Value::Object(_)) if value.is_object() => patched(was, written, value),
            _ => value.clone(),
        };
        map.insert(key.clone(), is);
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::patched;

    #[test]
    fn what_was_filled_in_stays_until_the_manifest_says_something_else() {
        let filled = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2], "f": 4});
        let before = json!({"b": {"c": 2}, "e": [1, 2], "f": 4});
        let now = json!({"b": {"x": 5}, "e": [3]});
        assert_eq!(patched(filled, &before, &now), json!({"a": 1, "b": {"d": 3, "x": 5}, "e": [3]}));
    }
}
