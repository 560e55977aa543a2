//! Finalizers of Gardener's own: they come from controllers, and go when these are done.

use super::prelude::*;
use super::update_spec::status;

rules! {
    /// A new shoot does not bring finalizers of Gardener's own: controllers add them (V-003).
    "SHOOT-FINALIZER", "a new shoot has a finalizer of Gardener's", Shoot, brought;
    /// The finalizer `gardener` stays on a shoot until it is deleted in full, and on a binding for as long as a shoot uses it (V-374).
    "FINALIZER-REMOVED", "a finalizer is removed too early", Shoot | SecretBinding | CredentialsBinding, removed as Plugin("FinalizerRemoval");
}

const OURS: &str = "gardener";

fn brought(cx: &Cx<'_>, out: &mut Out) {
    for node in cx.new.at("metadata/finalizers").items().iter().filter(|_| cx.is_new()) {
        if matches!(node.str(), OURS | "gardener.cloud/reference-protection") {
            out.forbidden(node, format!("a new shoot cannot have the finalizer {}", node.shown())).help("remove it: Gardener adds it itself");
        }
    }
}

fn has(object: &Node<'_>) -> bool {
    object.at("metadata/finalizers").items().iter().any(|finalizer| finalizer.str() == OURS)
}

/// Why the finalizer is still needed.
fn needed(cx: &Cx<'_>) -> Option<String> {
    let field = match cx.owner.kind {
        Kind::Shoot => {
            let status = status(cx)?;
            let last = status.get("lastOperation");
            let over = last.get("type").str() == "Delete" && last.get("state").str() == "Succeeded" && last.get("progress").int() == Some(100);
            let exists = !status.get("technicalID").is_empty() && last.is_set();
            return (exists && !over).then(|| "it is not deleted in full".to_owned());
        }
        Kind::SecretBinding => "spec/secretBindingName",
        _ => "spec/credentialsBindingName",
    };
    let uses = |owner: &Owner, manifest| owner.project == cx.owner.project && Node::root(manifest).at(field).str() == cx.owner.name;
    cx.others(Kind::Shoot).find(|(owner, manifest)| uses(owner, manifest)).map(|(owner, _)| format!("{owner} uses it"))
}

fn removed(cx: &Cx<'_>, out: &mut Out) {
    if cx.old.as_ref().is_some_and(has) && !has(&cx.new)
        && let Some(why) = needed(cx)
    {
        out.refused(&cx.new.at("metadata/finalizers"), format!("the finalizer `{OURS}` cannot be removed: {why}")).help("leave it to Gardener");
    }
}
