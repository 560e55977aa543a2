//! What may not change once it was accepted.

use super::prelude::*;

rules! {
    /// Region, provider type, network type, domain and a few more fields of a shoot cannot change (V-198, V-202, V-208, V-209,
    /// V-215, V-216, V-218).
    ///
    /// They are what the infrastructure was made of. A new cluster can have other values.
    "SHOOT-IMMUTABLE", "a field cannot change", Shoot, shoot;
    /// A shoot stays with its seed unless its control plane is moved, which an operation asks for (V-323).
    "SHOOT-SEED-CHANGED", "the seed of a shoot cannot change by its pin", Shoot, seed as Plugin("ShootValidator");
    /// The kind of high availability cannot change once the control plane is on a seed (V-227).
    "SHOOT-HA-CHANGED", "the failure tolerance cannot change", Shoot, availability;
    /// A shoot with workers cannot lose all of them, and one without cannot gain any (V-210).
    "SHOOT-WORKERLESS-CHANGED", "a shoot cannot become workerless or stop being it", Shoot, workerless;
    /// Address families may only grow from IPv4 to both, and back (V-217).
    "SHOOT-FAMILY-CHANGED", "the address families cannot change like this", Shoot, families;
    /// Bindings: `secretBindingName` may only give way to `credentialsBindingName`, which stays (V-199, V-200).
    "SHOOT-BINDING-CHANGED", "the binding cannot change like this", Shoot, binding;
    /// The cloud profile stays the same, or changes to a profile of the same infrastructure (V-338).
    "SHOOT-PROFILE-CHANGED", "the cloud profile cannot change like this", Shoot, profile as Plugin("ShootValidator");
    /// A pool is updated by rolling or in place from its beginning (V-211).
    "SHOOT-POOL-CHANGED", "the strategy of a pool cannot change", Shoot, pools;
    /// The namespace of a project and who created it cannot change (V-289).
    "PROJECT-IMMUTABLE", "a field of a project cannot change", Project, project;
    /// A binding refers to the same credentials, quotas and provider for as long as it exists (V-301).
    "BINDING-IMMUTABLE", "a binding cannot change", SecretBinding, secret_binding;
    /// A binding refers to the same credentials, quotas and provider for as long as it exists (V-304).
    "CREDENTIALSBINDING-IMMUTABLE", "a binding cannot change", CredentialsBinding, credentials_binding;
    /// Handler and scheduling of an exposure class cannot change (V-309).
    "EXPOSURE-IMMUTABLE", "an exposure class cannot change", ExposureClass, exposure;
}

/// Says that a field has changed, where it was set before.
fn fixed(cx: &Cx<'_>, out: &mut Out, path: &str, even_from_nothing: bool) {
    let (new, old) = (cx.new.at(path), cx.before(path));
    if cx.is_new() || new.same(&old) || (!old.is_set() && !even_from_nothing) {
        return;
    }
    let field = new.field();
    let was = if old.map().is_some() || old.value().is_some_and(serde_json::Value::is_array) { "what it was".to_owned() } else { old.shown() };
    let raised = out.invalid(&new, format!("`{field}` cannot change from {was} to {}", if new.map().is_some() { "something else".to_owned() } else { new.shown() }));
    raised.help(if old.is_set() { format!("go back to {was}") } else { format!("remove `{field}`") });
}

fn shoot(cx: &Cx<'_>, out: &mut Out) {
    for path in ["spec/region", "spec/provider/type", "spec/networking/type", "spec/kubernetes/kubeControllerManager/nodeCIDRMaskSize"] {
        fixed(cx, out, path, true);
    }
    for path in [
        "spec/networking/pods",
        "spec/networking/services",
        "spec/networking/nodes",
        "spec/dns/domain",
        "spec/schedulerName",
        "spec/exposureClassName",
        "spec/kubernetes/kubeControllerManager/nodeCIDRMaskSizeIPv6",
    ] {
        fixed(cx, out, path, false);
    }
}

fn seed(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/seedName"), cx.before("spec/seedName"));
    if old.is_set() && !new.same(&old) {
        out.invalid(&new, format!("the control plane is on seed {}, and does not move by naming {}", old.shown(), new.shown()))
            .help("remove `seedName`, or ask for a migration in `operations/`");
    }
}

fn availability(cx: &Cx<'_>, out: &mut Out) {
    if cx.before("spec/seedName").is_set() {
        fixed(cx, out, "spec/controlPlane/highAvailability/failureTolerance/type", false);
    }
}

fn workerless(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/provider/workers"), cx.before("spec/provider/workers"));
    if !cx.is_new() && new.is_empty() != old.is_empty() {
        let what = if new.is_empty() { "a cluster with workers cannot lose all of them" } else { "a cluster without workers cannot gain any" };
        out.forbidden(&new, what).help("order a new cluster");
    }
}

fn families(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/networking/ipFamilies"), cx.before("spec/networking/ipFamilies"));
    let list = |n: &Node<'_>| n.items().iter().map(|f| f.str().to_owned()).collect::<Vec<_>>();
    let (to, from) = (list(&new), list(&old));
    if cx.is_new() || to == from {
        return;
    }
    let possible = |a: &[String], b: &[String]| a == ["IPv4"] && b == ["IPv4", "IPv6"];
    if !possible(&from, &to) && !possible(&to, &from) {
        out.forbidden(&new, format!("address families cannot change from {} to {}", listed(&from), listed(&to)));
    }
}

fn binding(cx: &Cx<'_>, out: &mut Out) {
    let (old, new) = (cx.before("spec/secretBindingName"), cx.new.at("spec/secretBindingName"));
    let credentials = cx.new.at("spec/credentialsBindingName");
    if !old.is_empty() && !new.same(&old) && (!new.is_empty() || credentials.is_empty()) {
        out.invalid(&new, format!("the binding cannot change from {}", old.shown())).help("only a `credentialsBindingName` for the same Secret may take its place");
    }
    let was = cx.before("spec/credentialsBindingName");
    if !was.is_empty() && credentials.is_empty() {
        out.forbidden(&credentials, "the binding cannot be removed").help(format!("write `credentialsBindingName: {}`", was.str()));
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
        out.invalid(&cx.new.at("spec/cloudProfile"), format!("the cloud profile cannot change from {before} to {after}"))
            .help("only to a namespaced profile with the same parent, or to the parent");
    }
}

fn pools(cx: &Cx<'_>, out: &mut Out) {
    let before = cx.before("spec/provider/workers").items();
    for pool in cx.new.at("spec/provider/workers").items() {
        let Some(old) = before.iter().find(|b| b.get("name").same(&pool.get("name"))) else { continue };
        let (new, old) = (pool.get("updateStrategy"), old.get("updateStrategy"));
        if (new.str() == "AutoRollingUpdate") != (old.str() == "AutoRollingUpdate") {
            out.invalid(&new, format!("the strategy of pool `{}` cannot change from {} to {}", pool.get("name").str(), old.shown(), new.shown()));
        }
    }
}

fn project(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "spec/namespace", false);
    fixed(cx, out, "spec/createdBy", false);
}

fn secret_binding(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "secretRef", true);
    fixed(cx, out, "quotas", true);
    fixed(cx, out, "provider", false);
}

fn credentials_binding(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "credentialsRef", true);
    fixed(cx, out, "quotas", true);
    fixed(cx, out, "provider", true);
}

fn exposure(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "handler", true);
    fixed(cx, out, "scheduling", true);
}
