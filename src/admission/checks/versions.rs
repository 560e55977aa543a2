//! Kubernetes versions: offered by the cloud profile, and pools close behind the control plane.

use super::prelude::*;
use crate::admission::offer::Class;

rules! {
    /// A shoot names the Kubernetes version that it wants, or the beginning of one (V-073).
    "SHOOT-VERSION-MISSING", "the Kubernetes version is missing", Shoot, readable;
    /// The version is one that the cloud profile offers and that has not expired (V-337, V-358).
    ///
    /// A new shoot may use preview, supported and deprecated versions; a part of a version, such as `1.33`, becomes the newest
    /// supported one that begins so. A shoot may go on with, and be moved to, an expired version: that is how two expired
    /// minors are left one after the other.
    "SHOOT-VERSION-NOT-OFFERED", "the Kubernetes version is not on offer", Shoot, offered as Plugin("ShootValidator");
    /// A pool is never ahead of the control plane and at most three minors behind (V-143).
    "SHOOT-POOL-VERSION", "a pool's version does not go with the control plane's", Shoot, pools;
    /// The version is used and expires soon or has expired: it will be raised by force in a maintenance window (F-077).
    "SHOOT-VERSION-EXPIRES", "the Kubernetes version expires", Shoot, expires as Espalier;
}

/// A month: long enough for a team to plan an upgrade.
const SOON: i64 = 30 * 24 * 3600;

fn profile<'a>(cx: &Cx<'a>) -> Option<(Owner, Node<'a>)> {
    let owner = offer::profile_of(&cx.new, &cx.owner.project)?;
    let manifest = cx.profile(&owner).manifest()?;
    Some((owner, Node::root(manifest)))
}

fn readable(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/kubernetes/version");
    // With a profile, an empty version becomes a supported one before this is looked at. What cannot be read is another rule's.
    if node.is_empty() {
        out.required(&node, "the Kubernetes version is missing").help("for example `version: \"1.34\"`");
    }
}

fn offered(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, profile)) = profile(cx) else { return };
    let node = cx.new.at("spec/kubernetes/version");
    one(cx, out, &owner, &profile, &node, &cx.before("spec/kubernetes/version"), cx.is_new());
    let before = cx.before("spec/provider/workers").items();
    for pool in cx.new.at("spec/provider/workers").items() {
        let old = before.iter().find(|b| b.get("name").same(&pool.get("name")));
        let version = pool.at("kubernetes/version");
        if version.is_set() {
            let own = old.map_or_else(Node::absent, |o| o.at("kubernetes/version"));
            let was = if own.is_set() { own } else { cx.before("spec/kubernetes/version") };
            one(cx, out, &owner, &profile, &version, &was, old.is_none());
        }
    }
}

fn one(cx: &Cx<'_>, out: &mut Out, owner: &Owner, profile: &Node<'_>, node: &Node<'_>, before: &Node<'_>, new: bool) {
    let text = node.str();
    if text.split('.').count() != 3 || node.same(before) {
        return;
    }
    let versions = profile.at("spec/kubernetes/versions");
    let offers = offer::offers(&versions, cx);
    let usable = || {
        let mut usable: Vec<_> = offers.iter().filter(|o| o.class.is_active()).collect();
        usable.sort_by(|a, b| b.version.cmp(&a.version));
        listed(usable.into_iter().map(|o| o.text))
    };
    match offers.iter().find(|o| o.text == text) {
        None => {
            out.not_supported(node, format!("Kubernetes `{text}` is not offered by {owner}")).help(format!("it offers {}", usable())).beside(owner, &versions, "the versions on offer");
        }
        Some(offer) if new && !offer.class.is_active() => {
            let what = if offer.class == Class::Expired { "has expired" } else { "is not available yet" };
            out.not_supported(node, format!("Kubernetes `{text}` {what} in {owner}")).help(format!("it offers {}", usable())).beside(owner, &offer.node, "here");
        }
        Some(_) => {}
    }
}

fn pools(cx: &Cx<'_>, out: &mut Out) {
    let control = cx.new.at("spec/kubernetes/version");
    let Some(plane) = offer::version(control.str()) else { return };
    for pool in cx.new.at("spec/provider/workers").items() {
        let node = pool.at("kubernetes/version");
        let Some(version) = node.text().and_then(offer::version) else { continue };
        let name = pool.get("name").str();
        if version > plane {
            out.forbidden(&node, format!("pool `{name}` with `{version}` would be ahead of the control plane with `{plane}`")).and(&control, "the control plane");
        } else if version.minor + 3 < plane.minor {
            out.forbidden(&node, format!("pool `{name}` with `{version}` would be more than three minors behind the control plane with `{plane}`"))
                .help(format!("at least 1.{}", plane.minor.saturating_sub(3)))
                .and(&control, "the control plane");
        }
    }
}

fn expires(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, profile)) = profile(cx) else { return };
    let node = cx.new.at("spec/kubernetes/version");
    let offers = offer::offers(&profile.at("spec/kubernetes/versions"), cx);
    let Some(offer) = offers.iter().find(|o| o.text == node.str()) else { return };
    let date = offer.node.get("expirationDate");
    let Some(moment) = date.text().and_then(offer::moment) else { return };
    if cx.is_past(moment) {
        if !cx.is_new() {
            out.warning(&node, format!("Kubernetes `{}` has expired on {}", offer.text, date.str())).beside(&owner, &offer.node, "here");
        }
    } else if cx.is_past(moment - SOON) {
        out.warning(&node, format!("Kubernetes `{}` expires on {}", offer.text, date.str())).beside(&owner, &offer.node, "here");
    }
}
