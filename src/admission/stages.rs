//! Stages in the life of versions, as Gardener's checks of profiles see them, and which versions they see at all.
//!
//! At the creation of a profile, a server leaves out versions that are over before it looks at the rest. Its indices count what
//! is left, so errors about the rest are spelled with other indices than those in the manifest.

use super::check::{Cx, Out};
use super::node::Node;
use super::offer::moment;
use crate::landscape::Kind;

/// Every stage, in order; words that are none come before all.
const STAGES: [&str; 5] = ["unavailable", "preview", "supported", "deprecated", "expired"];

/// How late a stage is.
pub(crate) fn rank(stage: &str) -> Option<usize> {
    STAGES.iter().position(|s| *s == stage)
}

/// When a stage begins, in seconds; none if it always was.
pub(crate) fn start(stage: &Node<'_>) -> Option<i64> {
    stage.get("startTime").text().and_then(moment)
}

/// The stage that a version is in now.
pub(crate) fn current<'a>(cx: &Cx<'_>, version: &Node<'a>) -> &'a str {
    let stages = version.get("lifecycle").items();
    if stages.is_empty() {
        let over = version.get("expirationDate").text().and_then(moment).is_some_and(|at| cx.is_past(at));
        return if over { "expired" } else { version.get("classification").text().unwrap_or("supported") };
    }
    let begun = stages.iter().rev().find(|stage| start(stage).is_none_or(|at| cx.is_past(at)));
    begun.map_or("unavailable", |stage| stage.get("classification").str())
}

/// The Kubernetes versions that a server looks at.
pub(crate) fn kubernetes<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    let list = cx.new.at("spec/kubernetes/versions");
    let before = cx.before("spec/kubernetes/versions");
    list.items().into_iter().filter(|version| is_kept(cx, version, &before, true)).collect()
}

/// The machine images that a server looks at. A namespaced profile loses those of which nothing is left.
pub(crate) fn images<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    let all = cx.new.at("spec/machineImages").items().into_iter();
    all.filter(|image| cx.owner.kind == Kind::CloudProfile || !versions(cx, image).is_empty()).collect()
}

/// The versions of an image that a server looks at.
pub(crate) fn versions<'a>(cx: &Cx<'a>, image: &Node<'a>) -> Vec<Node<'a>> {
    let named = |other: &Node<'_>| other.get("name").str() == image.get("name").str();
    let before = cx.before("spec/machineImages").items().into_iter().find(named).unwrap_or_else(Node::absent).get("versions");
    image.get("versions").items().into_iter().filter(|version| is_kept(cx, version, &before, false)).collect()
}

fn is_kept(cx: &Cx<'_>, version: &Node<'_>, before: &Node<'_>, kubernetes: bool) -> bool {
    let stage = || current(cx, version);
    if cx.owner.kind == Kind::CloudProfile {
        return !cx.is_new() || !(stage() == "expired" || (kubernetes && stage() == "unavailable"));
    }
    let known = before.items().iter().any(|other| other.get("version").str() == version.get("version").str());
    known || stage() != "expired"
}

/// Applies a rule, and spells what it raises with the indices of a server.
pub(crate) fn as_counted(cx: &Cx<'_>, out: &mut Out, rule: impl FnOnce(&mut Out)) {
    let from = out.raised.len();
    rule(out);
    if out.raised.len() == from {
        return;
    }
    let moves = moves(cx);
    for raised in &mut out.raised[from..] {
        let Some(field) = raised.cause().map(|cause| cause.field) else { continue };
        let moved = moves.iter().find_map(|(there, here)| {
            let rest = field.strip_prefix(there.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{here}{rest}"))
        });
        if let Some(moved) = moved {
            raised.field(moved);
        }
    }
}

/// Places of the manifest that a server counts differently, the innermost first.
fn moves(cx: &Cx<'_>) -> Vec<(String, String)> {
    let mut moves = Vec::new();
    let mut moved = |node: &Node<'_>, list: &str, index: usize| {
        let (there, here) = (node.field(), format!("{list}[{index}]"));
        if there != here {
            moves.push((there, here));
        }
    };
    for (index, version) in kubernetes(cx).iter().enumerate() {
        moved(version, "spec.kubernetes.versions", index);
    }
    let images = images(cx);
    for (at, image) in images.iter().enumerate() {
        for (index, version) in versions(cx, image).iter().enumerate() {
            moved(version, &format!("spec.machineImages[{at}].versions"), index);
        }
    }
    for (at, image) in images.iter().enumerate() {
        moved(image, "spec.machineImages", at);
    }
    moves
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use crate::admission::{Case, Extent, Gates, World, judge};
    use crate::landscape::{Kind, Owner};

    #[test]
    fn versions_that_are_over_do_not_count_at_creation() {
        let profile = |wrong: &str| {
            Arc::new(json!({
                "apiVersion": "core.gardener.cloud/v1beta1", "kind": "CloudProfile", "metadata": {"name": "p"},
                "spec": {
                    "type": "local", "regions": [{"name": "r"}], "machineTypes": [{"name": "m"}],
                    "kubernetes": {"versions": [{"version": "1.33.1", "expirationDate": "2020-01-01T00:00:00Z"}, {"version": wrong}]},
                    "machineImages": [{"name": "i", "versions": [
                        {"version": "1.0.0", "classification": "expired"}, {"version": "2.0.0", "kubeletVersionConstraint": wrong}]}],
                },
            }))
        };
        let fields = |wrong: &str, old: Option<&str>| -> Vec<String> {
            let (owner, old) = (Owner::cluster(Kind::CloudProfile, "p"), old.map(profile));
            let case = Case { owner: &owner, written: &profile(wrong), old: old.as_ref(), now: 1_787_270_400 };
            let world = World::new("test", BTreeMap::new(), Gates::default());
            let (_, findings) = judge(&case, &world, Extent::Static);
            findings.iter().filter_map(|f| f.cause.as_ref().map(|cause| cause.field.clone())).collect()
        };
        assert_eq!(fields("1.34.2", None), [""; 0]);
        assert_eq!(
            fields("1.34-", None),
            [
                "spec.machineImages[0].versions[0].kubeletVersionConstraint",
                "spec.kubernetes.versions[0]",
                "spec.kubernetes.versions"
            ]
        );
        assert!(fields("1.34-", Some("1.34.2")).contains(&"spec.kubernetes.versions[1]".to_owned()));
    }
}
