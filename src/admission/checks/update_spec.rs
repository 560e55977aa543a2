//! What may not change in the specification of a shoot once it was accepted.

use super::prelude::*;

rules! {
    /// The specification of a shoot that is being deleted cannot change any more (V-197).
    "SHOOT-DELETING", "a shoot that is being deleted cannot change", Shoot, deleting;
    /// Region, provider type, network type, ranges, masks, domain and scheduler of a shoot cannot change (V-198, V-201, V-202,
    /// V-208, V-209, V-215, V-216, V-218).
    ///
    /// They are what the infrastructure was made of. A new cluster can have other values. Ranges that were not set before may be
    /// set once.
    "SHOOT-IMMUTABLE", "a field cannot change", Shoot, early, late, ours as Espalier;
    /// Bindings: `secretBindingName` may only give way to `credentialsBindingName`, which stays (V-199, V-200).
    "SHOOT-BINDING-CHANGED", "the binding cannot change like this", Shoot, binding;
    /// Once a shoot is on a seed, its primary DNS provider stays and keeps its type (V-203).
    "SHOOT-DNS-PRIMARY-CHANGED", "the primary DNS provider cannot change", Shoot, primary;
    /// A shoot with workers cannot lose all of them, and one without cannot gain any (V-210).
    "SHOOT-WORKERLESS-CHANGED", "a shoot cannot become workerless or stop being it", Shoot, workerless;
    /// Address families may only grow from IPv4 to both, and back (V-217).
    "SHOOT-FAMILY-CHANGED", "the address families cannot change like this", Shoot, families;
    /// The cloud profile stays the same, or changes to a profile of the same infrastructure.
    ///
    /// Another profile with the same provider type may describe other regions, images and networks.
    "SHOOT-PROFILE-CHANGED", "the cloud profile cannot change like this", Shoot, profile as Espalier;
}

/// What was accepted before, unless the shoot is being deleted: then nothing of its specification may change at all.
pub(super) fn updated<'a>(cx: &Cx<'a>) -> Option<Node<'a>> {
    let old = cx.old.clone()?;
    let deleting = cx.new.at("metadata/deletionTimestamp").is_set() && !old.get("spec").same(&cx.new.get("spec"));
    (!deleting).then_some(old)
}

/// What was accepted before, where pools, networks and what depends on them are compared: not if workers came or went.
pub(super) fn with_same_workers<'a>(cx: &Cx<'a>) -> Option<Node<'a>> {
    let workers = "spec/provider/workers";
    updated(cx).filter(|old| old.at(workers).is_empty() == cx.new.at(workers).is_empty())
}

/// The status of a shoot, which is never in a manifest: as it was when the shoot was accepted before.
///
/// `None` if nobody knows it: a landscape in Git has no status, and what depends on it is not asked there.
pub(super) fn status<'a>(cx: &Cx<'a>) -> Option<Node<'a>> {
    (cx.is_new() || cx.world.stateful).then(|| cx.before("status"))
}

/// What a value looks like in a sentence about its change.
fn spelled(node: &Node<'_>, or: &str) -> String {
    let long = node.map().is_some() || node.value().is_some_and(serde_json::Value::is_array);
    if long { or.to_owned() } else { node.shown() }
}

/// Says that a field differs from what it was.
pub(super) fn differs(out: &mut Out, new: &Node<'_>, old: &Node<'_>) {
    let field = new.field();
    let (was, is) = (spelled(old, "what it was"), spelled(new, "something else"));
    let raised = out.invalid(new, format!("`{field}` cannot change from {was} to {is}"));
    raised.help(if old.is_set() { format!("go back to {was}") } else { format!("remove `{field}`") });
}

/// Says that a field has changed, where it was set before.
fn fixed(cx: &Cx<'_>, out: &mut Out, old: &Node<'_>, path: &str, even_from_nothing: bool) {
    let (new, old) = (cx.new.at(path), old.at(path));
    if !new.same(&old) && (old.is_set() || even_from_nothing) {
        differs(out, &new, &old);
    }
}

fn deleting(cx: &Cx<'_>, out: &mut Out) {
    if cx.old.is_some() && updated(cx).is_none() {
        out.forbidden(&cx.new.get("spec"), "the shoot is being deleted, and its specification has changed")
            .help("take the change back; labels and annotations may change");
    }
}

fn early(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = updated(cx) else { return };
    fixed(cx, out, &old, "spec/region", true);
    fixed(cx, out, &old, "spec/kubernetes/kubeControllerManager/nodeCIDRMaskSize", true);
    fixed(cx, out, &old, "spec/kubernetes/kubeControllerManager/nodeCIDRMaskSizeIPv6", false);
    let (new, was) = (cx.new.at("spec/dns"), old.at("spec/dns"));
    if new.is_set() {
        let (domain, before) = (new.get("domain"), was.get("domain"));
        if before.is_set() && domain.str() != before.str() {
            differs(out, &domain, &before);
        }
    } else if was.is_set() {
        let domain = was.get("domain").text();
        out.invalid(&new, "`spec.dns` cannot be removed")
            .help(domain.map_or_else(|| "put it back".to_owned(), |domain| format!("put it back, with `domain: {domain}`")));
    }
}

fn late(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx) else { return };
    fixed(cx, out, &old, "spec/provider/type", true);
    if old.at("spec/networking").is_set() {
        fixed(cx, out, &old, "spec/networking/type", true);
        fixed(cx, out, &old, "spec/networking/pods", false);
        fixed(cx, out, &old, "spec/networking/services", false);
    }
    fixed(cx, out, &old, "spec/schedulerName", true);
}

/// Gardener accepts these changes, but does not carry them out: the infrastructure and the seed are chosen by then.
fn ours(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = updated(cx) else { return };
    for path in ["spec/networking/nodes", "spec/exposureClassName"] {
        let (new, old) = (cx.new.at(path), old.at(path));
        if old.is_set() && !new.same(&old) {
            out.error(&new, format!("`{}` cannot change from {} to {}", new.field(), old.shown(), new.shown()))
                .help(format!("go back to {}", old.shown()));
        }
    }
}

fn binding(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = updated(cx) else { return };
    let (was, new) = (old.at("spec/secretBindingName"), cx.new.at("spec/secretBindingName"));
    let credentials = cx.new.at("spec/credentialsBindingName");
    let replaced = was.is_set() && !new.is_set() && !credentials.is_empty();
    if !replaced && !new.same(&was) {
        out.invalid(&new, format!("the binding cannot change from {} to {}", was.shown(), new.shown()))
            .help("only a `credentialsBindingName` for the same Secret may take its place");
    }
    let was = old.at("spec/credentialsBindingName");
    if was.is_set() && credentials.is_empty() {
        out.forbidden(&credentials, "the binding cannot be removed").help(format!("write `credentialsBindingName: {}`", was.str()));
    }
}

/// The DNS provider that is primary.
fn primary_of<'a>(providers: &Node<'a>) -> Option<Node<'a>> {
    providers.items().into_iter().find(|provider| provider.get("primary").flag() == Some(true))
}

fn primary(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = updated(cx) else { return };
    let providers = cx.new.at("spec/dns/providers");
    let both = cx.new.at("spec/dns").is_set() && old.at("spec/dns").is_set();
    let Some(was) = primary_of(&old.at("spec/dns/providers")).filter(|_| both && cx.new.at("spec/seedName").is_set()) else { return };
    let kind = was.get("type");
    match primary_of(&providers) {
        None => {
            out.forbidden(&providers, "the primary DNS provider is gone").help("put it back, with `primary: true`");
        }
        Some(now) if kind.is_set() && !now.get("type").same(&kind) => {
            let text = format!("the primary DNS provider cannot change from {} to {}", kind.shown(), now.get("type").shown());
            out.forbidden(&providers, text).help(format!("keep `type: {}`", kind.str()));
        }
        Some(_) => {}
    }
}

fn workerless(cx: &Cx<'_>, out: &mut Out) {
    let workers = cx.new.at("spec/provider/workers");
    if updated(cx).is_some() && with_same_workers(cx).is_none() {
        let what = if workers.is_empty() {
            "a cluster with workers cannot lose all of them"
        } else {
            "a cluster without workers cannot gain any"
        };
        out.forbidden(&workers, what).help("order a new cluster");
    }
}

fn families(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = with_same_workers(cx).filter(|old| old.at("spec/networking").is_set()) else { return };
    let new = cx.new.at("spec/networking/ipFamilies");
    let list = |node: &Node<'_>| node.items().iter().map(|f| f.str().to_owned()).collect::<Vec<_>>();
    let (to, from) = (list(&new), list(&old.at("spec/networking/ipFamilies")));
    let grows = |a: &[String], b: &[String]| a == ["IPv4"] && b == ["IPv4", "IPv6"];
    if to != from && !grows(&from, &to) && !grows(&to, &from) {
        out.forbidden(&new, format!("address families cannot change from {} to {}", listed(&from), listed(&to)))
            .help("`[IPv4]` may become `[IPv4, IPv6]`, and go back");
    }
}

fn profile(cx: &Cx<'_>, out: &mut Out) {
    let Some(old) = cx.old.as_ref() else { return };
    let (before, after) = (offer::profile_of(old, &cx.owner.project), offer::profile_of(&cx.new, &cx.owner.project));
    let (Some(before), Some(after)) = (before, after) else { return };
    if before == after {
        return;
    }
    // A namespaced profile and its own parent describe the same infrastructure; so do two children of one parent.
    let root = |owner: &Owner| match cx.object(owner).manifest() {
        Some(profile) if owner.kind == Kind::NamespacedCloudProfile => Node::root(profile).at("spec/parent/name").str().to_owned(),
        _ => owner.name.clone(),
    };
    if root(&before) != root(&after) {
        out.error(&cx.new.at("spec/cloudProfile"), format!("the cloud profile cannot change from {before} to {after}"))
            .help("only to a namespaced profile with the same parent, or to the parent");
    }
}
