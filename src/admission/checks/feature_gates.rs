//! Feature gates of Kubernetes that shoots set for its components, and of the vertical pod autoscaler.

use super::prelude::*;
use crate::admission::measure::child;
use crate::admission::versions::{Release, gate, suggestions};

rules! {
    /// A feature gate is one that the shoot's Kubernetes version knows, and is not turned away from a value that it is fixed to
    /// (V-103).
    ///
    /// All components share their gates. A pool of another version is checked against its own.
    "SHOOT-FEATURE-GATE", "a feature gate cannot be set", Shoot, control_plane, nodes, pools;
    /// The vertical pod autoscaler has feature gates of its own (V-129).
    "SHOOT-VPA-GATE", "a feature gate of the vertical pod autoscaler is unknown", Shoot, vertical;
}

const VERTICAL: [&str; 3] = ["CPUStartupBoost", "InPlace", "PerVPAConfig"];

/// Looks at the gates of one section, for a version; the section may be told of as if it were elsewhere.
fn gates(out: &mut Out, section: &Node<'_>, version: &str, at: Option<&Node<'_>>) {
    let map = section.get("featureGates");
    let told = at.map_or_else(|| map.clone(), |at| at.get("featureGates"));
    let release = Release::parse(version);
    for (name, node) in map.entries() {
        let field = child(&told, name);
        let Some(found) = gate(name) else {
            let raised = out.invalid(&node, format!("Kubernetes has no feature gate `{name}`")).on_key().field(field);
            if let Some(near) = suggestions(name) {
                raised.help(format!("did you mean `{near}`?"));
            }
            continue;
        };
        let Some(release) = release else {
            out.invalid(&node, format!("whether `{version}` has the feature gate `{name}` cannot be told")).on_key().field(field);
            continue;
        };
        if !found.span.contains(release) {
            out.forbidden(&node, format!("Kubernetes {version} has no feature gate `{name}`"))
                .on_key()
                .field(field)
                .help(format!("it is there {}", found.span.shown()));
        } else if let Some(fixed) = found.fixed(release)
            && node.flag().unwrap_or(false) != fixed
        {
            out.forbidden(&node, format!("the feature gate `{name}` is fixed to `{fixed}` in Kubernetes {version}"))
                .field(field)
                .help("remove it");
        }
    }
}

fn version<'a>(cx: &Cx<'a>) -> &'a str {
    cx.new.at("spec/kubernetes/version").str()
}

fn control_plane(cx: &Cx<'_>, out: &mut Out) {
    if version(cx).is_empty() {
        return;
    }
    for section in ["kubeAPIServer", "kubeControllerManager"] {
        gates(out, &cx.new.at("spec/kubernetes").get(section), version(cx), None);
    }
}

fn nodes(cx: &Cx<'_>, out: &mut Out) {
    if version(cx).is_empty() || cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    for section in ["kubeScheduler", "kubeProxy", "kubelet"] {
        gates(out, &cx.new.at("spec/kubernetes").get(section), version(cx), None);
    }
}

fn pools(cx: &Cx<'_>, out: &mut Out) {
    for pool in cx.new.at("spec/provider/workers").items() {
        let kubernetes = pool.get("kubernetes");
        if !kubernetes.is_set() {
            continue;
        }
        let (own, all) = (kubernetes.get("kubelet"), cx.new.at("spec/kubernetes/kubelet"));
        let version = kubernetes.get("version").text().unwrap_or_else(|| version(cx));
        // A pool without a section of its own has the cluster's, in its own version.
        gates(out, if own.is_set() { &own } else { &all }, version, Some(&own));
    }
}

fn vertical(cx: &Cx<'_>, out: &mut Out) {
    let map = cx.new.at("spec/kubernetes/verticalPodAutoscaler/featureGates");
    if version(cx).is_empty() || cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    if let Some((name, node)) = map.entries().into_iter().find(|(name, _)| !VERTICAL.contains(name)) {
        out.invalid(&node, format!("the vertical pod autoscaler has no feature gate `{name}`"))
            .on_key()
            .field(child(&map, name))
            .help(format!("it has {}", listed(VERTICAL)));
    }
}
