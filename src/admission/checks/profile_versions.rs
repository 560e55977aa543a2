//! Versions in cloud profiles, of Kubernetes and of machine images: how they are written, and the stages of their lives.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use semver::Version;

use super::prelude::*;
use crate::admission::stages::{self, as_counted, current, rank, start};

rules! {
    /// Kubernetes versions are written as `1.34.2`, once each (V-234).
    "PROFILE-VERSION", "a Kubernetes version of a profile is not usable", CloudProfile | NamespacedCloudProfile, versions;
    /// A profile offers Kubernetes versions, and can tell which of them is the newest (V-233).
    ///
    /// At the creation of a profile, versions that are over do not count.
    "PROFILE-NO-VERSION", "the newest Kubernetes version cannot be told", CloudProfile, newest;
    /// The newest version does not expire: something must remain to upgrade to (V-235).
    "PROFILE-LAST-VERSION", "the newest version expires", CloudProfile, last;
    /// A version is in preview, supported or deprecated; it expires by its date. A namespaced profile does not classify the
    /// Kubernetes versions of its parent (V-236, V-237, V-258).
    "PROFILE-CLASSIFICATION", "the classification of a version is not usable", CloudProfile | NamespacedCloudProfile, classification;
    /// The stages of a version's life are known, once each, in order, and begin one after the other (V-238, V-239).
    ///
    /// They are behind Gardener's feature gate `VersionClassificationLifecycle`.
    "PROFILE-LIFECYCLE", "the life of a version is not described well", CloudProfile | NamespacedCloudProfile, lifecycle;
    /// Of each minor version, one patch is supported at a time (V-240).
    "PROFILE-ONE-SUPPORTED", "two patches of a minor version are supported", CloudProfile, one_supported;
    /// A version that was offered does not become unavailable again (V-241).
    "PROFILE-UNAVAILABLE-AGAIN", "a version becomes unavailable again", CloudProfile, unavailable_again;
}

fn is_plain(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn versions(cx: &Cx<'_>, out: &mut Out) {
    as_counted(cx, out, |out| {
        let mut seen = BTreeSet::new();
        for entry in stages::kubernetes(cx) {
            let version = entry.get("version");
            if !is_plain(version.str()) {
                out.invalid(&entry, format!("{} is no full version", version.shown())).help("write it as `1.34.2`");
            } else if !seen.insert(version.str()) {
                out.duplicate(&version, format!("version {} is listed twice", version.shown()));
            }
        }
    });
}

/// The newest of these versions; none if there is none, or one cannot be read.
fn latest<'a>(versions: &[Node<'a>]) -> Option<(Version, Node<'a>)> {
    let mut found: Option<(Version, Node<'a>)> = None;
    for entry in versions {
        let version = offer::version(entry.get("version").str())?;
        if found.as_ref().is_none_or(|(newest, _)| version.cmp_precedence(newest) == Ordering::Greater) {
            found = Some((version, entry.clone()));
        }
    }
    found
}

fn newest(cx: &Cx<'_>, out: &mut Out) {
    let (list, kept) = (cx.new.at("spec/kubernetes/versions"), stages::kubernetes(cx));
    if kept.is_empty() {
        let over = if list.is_empty() { "" } else { ": all of them are over" };
        out.required(&list, format!("the profile offers no Kubernetes version{over}"));
    }
    if latest(&kept).is_none() {
        out.invalid(&list, "the newest Kubernetes version cannot be told").help("write versions as `1.34.2`");
    }
}

fn last(cx: &Cx<'_>, out: &mut Out) {
    let Some((_, entry)) = latest(&stages::kubernetes(cx)) else { return };
    let (version, date, life) = (entry.get("version"), entry.get("expirationDate"), entry.get("lifecycle"));
    if date.is_set() {
        out.invalid(&date, format!("{} is the newest version, and expires", version.shown()))
            .field("spec.kubernetes.versions[].expirationDate")
            .help("remove the date, or add a newer version");
    }
    if life.items().last().is_some_and(|stage| stage.get("classification").str() == "expired") {
        out.invalid(&life, format!("{} is the newest version, and its life ends", version.shown()))
            .field("spec.kubernetes.versions[].lifecycle")
            .help("remove the stage `expired`, or add a newer version");
    }
}

/// Versions whose lives are looked at: a namespaced profile's images only once they are merged with the parent's.
fn living<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    let mut all = stages::kubernetes(cx);
    if cx.owner.kind == Kind::CloudProfile {
        all.extend(stages::images(cx).iter().flat_map(|image| stages::versions(cx, image)));
    }
    all
}

/// Whether a version describes its life although Gardener does not know how.
fn ahead_of_gate(cx: &Cx<'_>, entry: &Node<'_>) -> bool {
    !entry.get("lifecycle").is_empty() && !cx.gate("VersionClassificationLifecycle")
}

fn classification(cx: &Cx<'_>, out: &mut Out) {
    as_counted(cx, out, |out| {
        if cx.owner.kind == Kind::NamespacedCloudProfile {
            for class in stages::kubernetes(cx).iter().map(|entry| entry.get("classification")).filter(Node::is_set) {
                out.forbidden(&class, "a namespaced profile does not classify versions").help("remove it");
            }
        }
        for entry in living(cx).iter().filter(|entry| !ahead_of_gate(cx, entry)) {
            let (class, life) = (entry.get("classification"), entry.get("lifecycle"));
            if class.is_set() && !matches!(class.str(), "preview" | "supported" | "deprecated" | "expired") {
                out.not_supported(&class, format!("{} is no classification", class.shown())).help("use `preview`, `supported` or `deprecated`");
            }
            if class.str() == "expired" && !life.is_set() {
                out.forbidden(&class, "a version expires by its date").help("write `expirationDate`");
            }
            if (class.is_set() || entry.get("expirationDate").is_set()) && !life.is_empty() {
                out.forbidden(entry, "a lifecycle takes the place of classification and expiration date")
                    .and(&life, "the lifecycle")
                    .help("remove one or the other");
            }
        }
    });
}

fn lifecycle(cx: &Cx<'_>, out: &mut Out) {
    as_counted(cx, out, |out| {
        for entry in living(cx) {
            if ahead_of_gate(cx, &entry) {
                out.forbidden(&entry.get("lifecycle"), "lifecycles are behind the feature gate `VersionClassificationLifecycle`, which is off")
                    .help("write `classification` and `expirationDate`");
            } else {
                stages_of(out, &entry.get("lifecycle"));
            }
        }
    });
}

fn stages_of(out: &mut Out, life: &Node<'_>) {
    let stages = life.items();
    for (i, stage) in stages.iter().enumerate() {
        let class = stage.get("classification");
        if !matches!(class.str(), "preview" | "supported" | "deprecated" | "expired") {
            out.not_supported(&class, format!("{} is no stage", class.shown())).help("use `preview`, `supported`, `deprecated` or `expired`");
        }
        if stages[..i].iter().any(|s| s.get("classification").str() == class.str()) {
            out.duplicate(&class, format!("the stage {} is there twice", class.shown()));
        }
        let Some(before) = i.checked_sub(1).map(|i| &stages[i]) else { continue };
        let earlier = before.get("classification");
        if rank(earlier.str()) > rank(class.str()) {
            out.invalid(&class, format!("the stage {} comes after {}", class.shown(), earlier.shown()))
                .help("the order is `preview`, `supported`, `deprecated`, `expired`");
        }
        // One without a time was skipped when the next is compared.
        let begun = stages[..i].iter().rev().find(|s| s.get("startTime").is_set()).and_then(start);
        match start(stage) {
            None => {
                out.required(stage, format!("the stage {} has no `startTime`", class.shown())).help("only the first stage may have none");
            }
            Some(time) if begun.is_some_and(|begun| time < begun) => {
                out.invalid(stage, format!("the stage {} begins before the one before it", class.shown()));
            }
            Some(_) => {}
        }
    }
}

/// When a version is supported. No moment means that it always was, or is for ever.
struct Supported {
    from: Option<i64>,
    /// Whether a later stage follows, and when it begins.
    ends: bool,
    to: Option<i64>,
}

impl Supported {
    fn of(version: &Node<'_>) -> Option<Self> {
        let stages = version.get("lifecycle").items();
        let stage = stages.iter().find(|s| s.get("classification").str() == "supported")?;
        let next = stages.iter().find(|s| rank(s.get("classification").str()) > rank("supported"));
        Some(Self { from: start(stage), ends: next.is_some(), to: next.and_then(start) })
    }

    /// Whether this begins before another one, that ends, is over.
    fn begins_within(&self, other: &Self) -> bool {
        self.from.is_none_or(|from| other.to.is_some_and(|to| from < to))
    }
}

fn overlapping(a: &Node<'_>, b: &Node<'_>) -> bool {
    if a.get("lifecycle").is_empty() || b.get("lifecycle").is_empty() {
        return true;
    }
    let (Some(a), Some(b)) = (Supported::of(a), Supported::of(b)) else { return false };
    match (a.ends, b.ends) {
        (false, false) => true,
        (false, true) => a.begins_within(&b),
        (true, false) => b.begins_within(&a),
        (true, true) => false,
    }
}

fn one_supported(cx: &Cx<'_>, out: &mut Out) {
    as_counted(cx, out, |out| {
        supported_alone(cx, out, &stages::kubernetes(cx));
        for image in stages::images(cx) {
            supported_alone(cx, out, &stages::versions(cx, &image));
        }
    });
}

fn supported_alone(cx: &Cx<'_>, out: &mut Out, versions: &[Node<'_>]) {
    let says = |entry: &&Node<'_>| {
        entry.get("classification").str() == "supported"
            || entry.get("lifecycle").items().iter().any(|stage| stage.get("classification").str() == "supported")
    };
    let read = |entry: &Node<'_>| offer::version(entry.get("version").str());
    let Some(others) = versions.iter().filter(says).map(|entry| Some((read(entry)?, entry))).collect::<Option<Vec<_>>>() else { return };
    for entry in versions {
        let described = entry.get("classification").is_set() || !entry.get("lifecycle").is_empty();
        let Some(version) = read(entry).filter(|_| described && current(cx, entry) == "supported") else { continue };
        let rival = others.iter().find(|(other, node)| {
            (other.major, other.minor) == (version.major, version.minor)
                && other.cmp_precedence(&version) != Ordering::Equal
                && overlapping(entry, node)
        });
        if let Some((_, other)) = rival {
            out.forbidden(entry, format!("two patches of {}.{} are supported", version.major, version.minor))
                .and(&other.get("version"), "the other one")
                .help("call the older one `deprecated`");
        }
    }
}

fn unavailable_again(cx: &Cx<'_>, out: &mut Out) {
    if cx.is_new() {
        return;
    }
    let again = |out: &mut Out, new: &[Node<'_>], old: &[Node<'_>]| {
        for entry in new.iter().filter(|entry| current(cx, entry) == "unavailable") {
            let version = entry.get("version");
            let before = old.iter().rev().find(|o| o.get("version").str() == version.str());
            if before.is_some_and(|before| current(cx, before) != "unavailable") {
                out.forbidden(entry, format!("version {} was on offer, and cannot become unavailable", version.shown()));
            }
        }
    };
    again(out, &stages::kubernetes(cx), &cx.before("spec/kubernetes/versions").items());
    let before = cx.before("spec/machineImages").items();
    for image in stages::images(cx) {
        if let Some(old) = before.iter().rev().find(|o| o.get("name").str() == image.get("name").str()) {
            again(out, &image.get("versions").items(), &old.get("versions").items());
        }
    }
}
