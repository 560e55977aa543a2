//! Kubernetes versions of a shoot and its pools over time: never lower, and minor by minor.

use semver::{Prerelease, Version};

use super::prelude::*;
use super::update_spec::{updated, with_same_workers};

rules! {
    /// The version may not become lower, not even by a patch (V-204).
    ///
    /// The data in etcd may already be in a form that an older API server cannot read.
    "SHOOT-VERSION-DOWNGRADE", "the Kubernetes version becomes lower", Shoot, downgrade;
    /// An upgrade goes from one minor version to the next (V-205).
    "SHOOT-VERSION-SKIP", "the upgrade skips a minor version", Shoot, skip;
    /// What a shoot's version is compared with must be a version (V-204).
    "SHOOT-VERSION-UNREADABLE", "a changed version cannot be compared", Shoot, unreadable;
    /// The version of a pool, its own or the control plane's, never becomes lower, and pools that are updated in place take no
    /// minor version out (V-206).
    "SHOOT-POOL-DOWNGRADE", "a pool's version cannot change like this", Shoot, pools;
}

/// A version as it is compared: without what stands behind the three numbers.
fn version(text: &str) -> Option<Version> {
    let mut version = offer::version(text)?;
    version.pre = Prerelease::EMPTY;
    version.build = semver::BuildMetadata::EMPTY;
    Some(version)
}

/// Whether an upgrade leaves out a minor version.
fn skips(old: &Version, new: &Version) -> bool {
    *new >= Version::new(old.major, old.minor + 2, 0)
}

fn pair(cx: &Cx<'_>) -> Option<(Version, Version)> {
    let old = updated(cx)?;
    Some((version(old.at("spec/kubernetes/version").str())?, version(cx.new.at("spec/kubernetes/version").str())?))
}

fn downgrade(cx: &Cx<'_>, out: &mut Out) {
    if let Some((old, new)) = pair(cx).filter(|(old, new)| new < old) {
        out.forbidden(&cx.new.at("spec/kubernetes/version"), format!("Kubernetes cannot go back from `{old}` to `{new}`"))
            .help(format!("keep `{old}`, or go on to a later version"));
    }
}

fn skip(cx: &Cx<'_>, out: &mut Out) {
    if let Some((old, new)) = pair(cx).filter(|(old, new)| skips(old, new)) {
        out.forbidden(&cx.new.at("spec/kubernetes/version"), format!("the upgrade from `{old}` to `{new}` skips a minor version"))
            .noted(next(cx, &old).map(|next| format!("allowed next: {next}")).unwrap_or_default())
            .help(format!("go to {}.{} first", old.major, old.minor + 1));
    }
}

/// The newest versions on offer that may follow: of the same minor version, and of the next.
fn next(cx: &Cx<'_>, old: &Version) -> Option<String> {
    let owner = offer::profile_of(&cx.new, &cx.owner.project)?;
    let profile = cx.profile(&owner).manifest().map(Node::root)?;
    let offers = offer::offers(&profile.at("spec/kubernetes/versions"), cx);
    let newest = |minor: u64| {
        let of = offers.iter().filter(|o| o.version.major == old.major && o.version.minor == minor && o.version > *old);
        of.filter(|o| !matches!(o.class, offer::Class::Expired | offer::Class::Unavailable)).max_by(|a, b| a.version.cmp(&b.version))
    };
    let found: Vec<String> = [newest(old.minor), newest(old.minor + 1)]
        .into_iter()
        .flatten()
        .map(|offer| match offer.node.get("classification").text() {
            Some(class) => format!("{} ({class})", offer.text),
            None => offer.text.to_owned(),
        })
        .collect();
    (!found.is_empty()).then(|| found.join(", "))
}

fn unreadable(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/kubernetes/version");
    if updated(cx).is_some() && version(node.str()).is_none() {
        out.invalid(&node, format!("{} is no version to go to", node.shown())).help("write it as `1.34.2`");
    }
}

fn pools(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    let (was, is) = (old.at("spec/kubernetes/version"), cx.new.at("spec/kubernetes/version"));
    let before = old.at("spec/provider/workers").items();
    for pool in cx.new.at("spec/provider/workers").items() {
        let (name, node) = (pool.get("name").str(), pool.at("kubernetes/version"));
        // A new pool is compared with itself, or with the control plane.
        let earlier = before.iter().find(|b| b.get("name").str() == name).unwrap_or(&pool).at("kubernetes/version");
        let from = if earlier.is_set() { earlier } else { was.clone() };
        let to = if node.is_set() { node.clone() } else { is.clone() };
        let Some(new) = version(to.str()) else {
            out.invalid(&node, format!("{} is no version for pool `{name}`", to.shown())).help("write it as `1.34.2`");
            continue;
        };
        let Some(old) = version(from.str()) else { continue };
        let in_place = pool.get("updateStrategy").str().ends_with("InPlaceUpdate");
        if new < old {
            out.forbidden(&node, format!("pool `{name}` cannot go back from `{old}` to `{new}`"))
                .help(format!("keep `{old}`, or go on to a later version"));
        } else if in_place && skips(&old, &new) {
            out.forbidden(&node, format!("pool `{name}` is updated in place, and would skip a minor version from `{old}` to `{new}`"))
                .help(format!("go to {}.{} first", old.major, old.minor + 1));
        }
    }
}
