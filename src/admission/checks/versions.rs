//! Kubernetes versions: offered by the cloud profile, never lowered, never skipping a minor; pools close behind.

use semver::Version;

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
    /// The version may not become lower, not even by a patch (V-204).
    ///
    /// The data in etcd may already be in a form that an older API server cannot read.
    "SHOOT-VERSION-DOWNGRADE", "the Kubernetes version becomes lower", Shoot, downgrade;
    /// An upgrade goes from one minor version to the next (V-205).
    "SHOOT-VERSION-SKIP", "the upgrade skips a minor version", Shoot, skip;
    /// A pool is never ahead of the control plane and at most three minors behind; its version never becomes lower (V-143, V-206).
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
        if !version.same(&node) && version.is_set() {
            let was = old.map_or_else(Node::absent, |o| o.at("kubernetes/version"));
            one(cx, out, &owner, &profile, &version, &was, old.is_none());
        }
    }
}

fn one(cx: &Cx<'_>, out: &mut Out, owner: &Owner, profile: &Node<'_>, node: &Node<'_>, before: &Node<'_>, new: bool) {
    let text = node.str();
    if !offer::is_full(text) || node.same(before) {
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
            out.invalid(node, format!("Kubernetes `{text}` {what} in {owner}")).help(format!("it offers {}", usable())).beside(owner, &offer.node, "here");
        }
        Some(_) => {}
    }
}

fn pair(cx: &Cx<'_>) -> Option<(Version, Version)> {
    let new = offer::version(cx.new.at("spec/kubernetes/version").str())?;
    let old = offer::version(cx.before("spec/kubernetes/version").text()?)?;
    Some((old, new))
}

fn downgrade(cx: &Cx<'_>, out: &mut Out) {
    if let Some((old, new)) = pair(cx).filter(|(old, new)| new < old) {
        out.forbidden(&cx.new.at("spec/kubernetes/version"), format!("Kubernetes cannot go back from `{old}` to `{new}`"))
            .help(format!("keep `{old}`, or go on to a later version"));
    }
}

fn skip(cx: &Cx<'_>, out: &mut Out) {
    if let Some((old, new)) = pair(cx).filter(|(old, new)| new.major > old.major || new.minor > old.minor + 1) {
        out.forbidden(&cx.new.at("spec/kubernetes/version"), format!("the upgrade from `{old}` to `{new}` skips a minor version"))
            .help(format!("go to {}.{} first", old.major, old.minor + 1));
    }
}

fn pools(cx: &Cx<'_>, out: &mut Out) {
    let control = cx.new.at("spec/kubernetes/version");
    let Some(plane) = offer::version(control.str()) else { return };
    let before = cx.before("spec/provider/workers").items();
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
        let Some(old) = before.iter().find(|b| b.get("name").str() == name) else { continue };
        let was = old.at("kubernetes/version").text().or_else(|| cx.before("spec/kubernetes/version").text()).and_then(offer::version);
        if let Some(was) = was.filter(|was| version < *was) {
            out.forbidden(&node, format!("pool `{name}` cannot go back from `{was}` to `{version}`"));
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
