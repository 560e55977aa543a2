//! References: what they look like. Whether they lead anywhere is in `plugin_references`.

use super::plugin_references::absent;
use super::prelude::*;

rules! {
    /// A shoot names a cloud profile, by `spec.cloudProfile` (V-004, V-005, V-006, V-357, V-369).
    "SHOOT-PROFILE", "the cloud profile cannot be used", Shoot, profile, super::plugin_references::profile_exists as Mutation("ShootMutator");
    /// The provider type is the cloud profile's (V-008, V-338).
    "SHOOT-PROVIDER", "the provider type is missing or does not match", Shoot, provider, super::plugin_shoot::provider_matches as Plugin("ShootValidator");
    /// A shoot with workers names one binding of credentials, which is for its provider (V-009, V-010, V-011, V-338, V-369).
    ///
    /// From Kubernetes 1.34 on, the binding is a CredentialsBinding.
    "SHOOT-BINDING", "the binding of credentials cannot be used", Shoot, binding, super::plugin_references::binding_exists as Plugin("ResourceReferenceManager"), super::plugin_shoot::binding_matches as Plugin("ShootValidator");
    /// The project that a shoot lies in is described in the landscape.
    "SHOOT-PROJECT", "the project is unknown", Shoot, super::plugin_references::project_exists as Mutation("ShootTolerationRestriction");
    /// A seed named by hand exists, its taints are tolerated, and it has enough zones (V-012, V-324, V-328, V-369).
    "SHOOT-SEED", "the seed cannot be used", Shoot, seed, super::plugin_references::seed_exists as Mutation("ShootDNS"), super::plugin_scheduling::seed_fits as Plugin("ShootValidator");
    /// The exposure class exists (V-018, V-364, V-369).
    "SHOOT-EXPOSURE-CLASS", "the exposure class is unknown", Shoot, super::plugin_references::exposure_exists as Mutation("ShootExposureClass");
    /// Secrets for webhooks of the API server are listed among the shoot's resources (V-333).
    "SHOOT-RESOURCE", "a referenced resource is not declared", Shoot, super::plugin_shoot::webhook_secrets as Plugin("ShootValidator");
    /// A managed seed turns a shoot of the project `garden` into a seed; the shoot exists and has workers (V-318, V-378).
    "MANAGEDSEED-SHOOT", "the shoot of a managed seed cannot be used", ManagedSeed, managed_seed, managed_shoot as Plugin("ManagedSeed");
    /// A namespaced cloud profile varies an existing cloud profile (V-257).
    "PROFILE-PARENT", "the parent profile cannot be used", NamespacedCloudProfile, parent, parent_exists as Plugin("ResourceReferenceManager");
}

fn profile(cx: &Cx<'_>, out: &mut Out) {
    let reference = cx.new.at("spec/cloudProfile");
    let kind = reference.get("kind");
    if kind.is_set() && !matches!(kind.str(), "" | "CloudProfile" | "NamespacedCloudProfile") {
        out.not_supported(&kind, format!("{} is no kind of cloud profile", kind.shown())).help("use `CloudProfile` or `NamespacedCloudProfile`");
    }
    let older = cx.new.at("spec/cloudProfileName");
    let minor = offer::version(cx.new.at("spec/kubernetes/version").str()).map(|v| v.minor);
    if !older.is_empty() && minor.is_some_and(|m| m >= 34) {
        out.forbidden(&older, "`cloudProfileName` is gone from Kubernetes 1.34 on").help("write `cloudProfile: {name: …}`");
    }
    if offer::profile_of(&cx.new, &cx.owner.project).is_none() {
        out.required(&reference.get("name"), "the cloud profile is missing").help("write `cloudProfile: {name: …}`");
    }
}

fn provider(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/provider/type");
    if node.is_empty() {
        out.required(&node, "the provider type is missing");
        return;
    }
    if let Err(why) = syntax::label(node.str()) {
        out.invalid(&node, format!("{} is no provider type: {why}", node.shown()));
    }
}

fn binding(cx: &Cx<'_>, out: &mut Out) {
    let workers = cx.new.at("spec/provider/workers").items();
    // A shoot that hosts its own control plane brings its machines along, and needs no credentials.
    let own = workers.iter().any(|pool| pool.get("controlPlane").is_set());
    if workers.is_empty() || own {
        return;
    }
    let (older, newer) = (cx.new.at("spec/secretBindingName"), cx.new.at("spec/credentialsBindingName"));
    let minor = offer::version(cx.new.at("spec/kubernetes/version").str()).map(|v| v.minor);
    match (older.is_empty(), newer.is_empty()) {
        (true, true) => {
            let bindings = cx.names(Kind::CredentialsBinding, &cx.owner.project);
            // Gardener blames the older of the two fields.
            out.required(&newer, "a shoot with workers needs credentials").field("spec.secretBindingName").help(format!("write `credentialsBindingName: …`; the project has {}", listed(bindings)));
        }
        (false, false) => {
            out.forbidden(&older, "both kinds of binding are named").and(&newer, "the other one").help("keep `credentialsBindingName`");
        }
        (false, true) if minor.is_some_and(|m| m >= 34) => {
            out.forbidden(&older, "`secretBindingName` is gone from Kubernetes 1.34 on").help("make a CredentialsBinding for the same Secret, and name it as `credentialsBindingName`");
        }
        _ => {}
    }
}

fn seed(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    if node.is_set() && node.is_empty() {
        out.invalid(&node, "the seed's name is empty").help("leave it out, and a seed is chosen");
    }
}

fn managed_seed(cx: &Cx<'_>, out: &mut Out) {
    let shoot = cx.new.at("spec/shoot");
    let node = if shoot.is_set() { shoot.get("name") } else { shoot };
    if node.text().is_none_or(str::is_empty) {
        out.required(&node, "a managed seed names its shoot").help("write `shoot: {name: …}`");
    }
}

fn managed_shoot(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/shoot/name");
    if node.is_empty() {
        return;
    }
    let owner = Owner::project(Kind::Shoot, "garden", node.str());
    let seen = cx.object(&owner);
    absent(cx, out, &node, &owner, seen);
    if let Some(shoot) = seen.manifest()
        && Node::root(shoot).at("spec/provider/workers").is_empty()
    {
        out.invalid(&node, format!("{owner} has no workers, and cannot be a seed"));
    }
}

fn parent(cx: &Cx<'_>, out: &mut Out) {
    let parent = cx.new.at("spec/parent");
    let kind = parent.get("kind");
    if kind.str() != "CloudProfile" {
        out.not_supported(&kind, format!("{} cannot be a parent", kind.shown())).help("use `CloudProfile`");
    }
    let node = parent.get("name");
    if node.is_empty() {
        out.required(&node, "the parent profile is missing").help("write `parent: {kind: CloudProfile, name: …}`");
    }
    if cx.old.is_some() && !parent.same(&cx.before("spec/parent")) {
        out.invalid(&parent, format!("the parent cannot change from {}", cx.before("spec/parent/name").shown()));
    }
}

fn parent_exists(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/parent/name");
    if !node.is_empty() {
        let owner = Owner::cluster(Kind::CloudProfile, node.str());
        absent(cx, out, &node, &owner, cx.object(&owner));
    }
}
