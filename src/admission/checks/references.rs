//! References of a shoot: what it names exists, is usable, and goes together.

use super::prelude::*;

rules! {
    /// A shoot names a cloud profile, by `spec.cloudProfile` (V-004, V-005, V-006, V-369).
    "SHOOT-PROFILE", "the cloud profile cannot be used", Shoot, profile, profile_exists as Plugin("ResourceReferenceManager");
    /// The provider type is the cloud profile's (V-008, V-338).
    "SHOOT-PROVIDER", "the provider type is missing or does not match", Shoot, provider, provider_matches as Plugin("ShootValidator");
    /// A shoot with workers names one binding of credentials, which is for its provider (V-009, V-010, V-011, V-338, V-369).
    ///
    /// From Kubernetes 1.34 on, the binding is a CredentialsBinding.
    "SHOOT-BINDING", "the binding of credentials cannot be used", Shoot, binding, binding_exists as Plugin("ResourceReferenceManager"), binding_matches as Plugin("ShootValidator");
    /// The project that a shoot lies in is described in the landscape.
    "SHOOT-PROJECT", "the project is unknown", Shoot, project as Plugin("ResourceReferenceManager");
    /// A seed named by hand exists, its taints are tolerated, and it has enough zones (V-012, V-324, V-328, V-369).
    "SHOOT-SEED", "the seed cannot be used", Shoot, seed, seed_exists as Plugin("ResourceReferenceManager"), seed_fits as Plugin("ShootValidator");
    /// The exposure class exists (V-018, V-364, V-369).
    "SHOOT-EXPOSURE-CLASS", "the exposure class is unknown", Shoot, exposure as Plugin("ResourceReferenceManager");
    /// What the exposure class asks of seeds does not contradict what the shoot asks (V-364).
    "SHOOT-EXPOSURE-CONFLICT", "shoot and exposure class disagree about seeds", Shoot, quiet;
    /// Secrets for webhooks of the API server are listed among the shoot's resources (V-333).
    "SHOOT-RESOURCE", "a referenced resource is not declared", Shoot, resources as Plugin("ShootValidator");
    /// Tolerations are on the project's whitelist (V-363).
    "SHOOT-TOLERATION", "a toleration is not allowed in the project", Shoot, tolerations as Plugin("ShootTolerationRestriction");
    /// A managed seed turns a shoot of the project `garden` into a seed; the shoot exists and has workers (V-318, V-378).
    "MANAGEDSEED-SHOOT", "the shoot of a managed seed cannot be used", ManagedSeed, managed_seed, managed_shoot as Plugin("ManagedSeed");
    /// A namespaced cloud profile varies an existing cloud profile (V-257).
    "PROFILE-PARENT", "the parent profile cannot be used", NamespacedCloudProfile, parent, parent_exists as Plugin("ResourceReferenceManager");
}

fn quiet(_: &Cx<'_>, _: &mut Out) {}

/// Says that a reference leads nowhere, or to something that is itself held.
fn absent(cx: &Cx<'_>, out: &mut Out, node: &Node<'_>, owner: &Owner, seen: Seen<'_>) {
    match seen {
        Seen::Found(_) => {}
        Seen::Held => {
            out.refused(node, format!("{owner} has errors of its own and was never accepted")).help("mend it first: its findings say how");
        }
        Seen::Missing => {
            let raised = out.refused(node, format!("{owner} does not exist"));
            let known = cx.names(owner.kind, &owner.project);
            if !known.is_empty() {
                raised.help(format!("there is {}", listed(known)));
            }
        }
    }
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

fn profile_exists(cx: &Cx<'_>, out: &mut Out) {
    let (reference, older) = (cx.new.at("spec/cloudProfile"), cx.new.at("spec/cloudProfileName"));
    let Some(owner) = offer::profile_of(&cx.new, &cx.owner.project) else { return };
    let node = if reference.get("name").is_empty() { older } else { reference.get("name") };
    absent(cx, out, &node, &owner, cx.object(&owner));
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

fn provider_matches(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/provider/type");
    if syntax::label(node.str()).is_err() {
        return;
    }
    let Some(owner) = offer::profile_of(&cx.new, &cx.owner.project) else { return };
    let Some(profile) = cx.profile(&owner).manifest() else { return };
    let theirs = Node::root(profile).at("spec/type");
    if theirs.is_set() && !theirs.same(&node) {
        out.invalid(&node, format!("the provider is {}, {owner} is for {}", node.shown(), theirs.shown()))
            .help(format!("write `type: {}`, or choose another cloud profile", theirs.str()))
            .beside(&owner, &theirs, "the profile's type");
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

/// The one binding that a shoot with workers names, and where.
fn bound<'a>(cx: &Cx<'a>) -> Option<(Owner, Node<'a>)> {
    let both = cx.new.at("spec/secretBindingName").is_set() && cx.new.at("spec/credentialsBindingName").is_set();
    if both || cx.new.at("spec/provider/workers").is_empty() {
        return None;
    }
    offer::binding_of(&cx.new, &cx.owner.project).map(|(owner, path)| (owner, cx.new.at(path)))
}

fn binding_exists(cx: &Cx<'_>, out: &mut Out) {
    if let Some((owner, node)) = bound(cx) {
        absent(cx, out, &node, &owner, cx.object(&owner));
    }
}

fn binding_matches(cx: &Cx<'_>, out: &mut Out) {
    let Some((owner, node)) = bound(cx) else { return };
    let Some(found) = cx.object(&owner).manifest() else { return };
    let theirs = Node::root(found).at("provider/type");
    let mine = cx.new.at("spec/provider/type");
    if theirs.is_set() && !theirs.str().split(',').any(|t| t.trim() == mine.str()) {
        out.invalid(&node, format!("{owner} is for provider {}, the shoot's is {}", theirs.shown(), mine.shown())).beside(&owner, &theirs, "the binding's provider");
    }
}

fn project(cx: &Cx<'_>, out: &mut Out) {
    let owner = Owner::cluster(Kind::Project, &cx.owner.project);
    let seen = cx.object(&owner);
    if let Seen::Missing = seen {
        out.refused(&cx.new.at("metadata/name"), format!("the project `{}` is not described", cx.owner.project))
            .help(format!("add projects/{}/project.yaml", cx.owner.project));
    } else {
        absent(cx, out, &cx.new.at("metadata/name"), &owner, seen);
    }
}

fn seed(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    if node.is_set() && node.is_empty() {
        out.invalid(&node, "the seed's name is empty").help("leave it out, and a seed is chosen");
    }
}

fn seed_exists(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    if !node.is_empty() {
        let owner = Owner::cluster(Kind::Seed, node.str());
        absent(cx, out, &node, &owner, cx.object(&owner));
    }
}

fn seed_fits(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    let Some(name) = node.text().filter(|n| !n.is_empty()) else { return };
    let owner = Owner::cluster(Kind::Seed, name);
    let (Some(seed), false) = (cx.object(&owner).manifest().map(Node::root), node.same(&cx.before("spec/seedName"))) else { return };
    let tolerations = cx.new.at("spec/tolerations").items();
    for taint in seed.at("spec/taints").items() {
        let tolerates = |t: &Node<'_>| t.get("key").same(&taint.get("key")) && (!t.get("value").is_set() || t.get("value").same(&taint.get("value")));
        if !tolerations.iter().any(tolerates) {
            out.forbidden(&node, format!("{owner} has the taint {}, which the shoot does not tolerate", taint.get("key").shown())).beside(&owner, &taint, "the taint");
        }
    }
    let zones = seed.at("spec/provider/zones");
    if cx.new.at("spec/controlPlane/highAvailability/failureTolerance/type").str() == "zone" && zones.items().len() < 3 {
        out.invalid(&node, format!("{owner} has {} zones, a control plane that tolerates the failure of a zone needs 3", zones.items().len())).beside(&owner, &zones, "its zones");
    }
}

fn exposure(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/exposureClassName");
    if !node.is_empty() {
        let owner = Owner::cluster(Kind::ExposureClass, node.str());
        absent(cx, out, &node, &owner, cx.object(&owner));
    }
}

fn resources(cx: &Cx<'_>, out: &mut Out) {
    let declared: Vec<&str> = cx.new.at("spec/resources").items().iter().map(|r| r.at("resourceRef/name").str()).collect();
    for plugin in cx.new.at("spec/kubernetes/kubeAPIServer/admissionPlugins").items() {
        let node = plugin.get("kubeconfigSecretName");
        if node.is_set() && !declared.contains(&node.str()) {
            out.invalid(&node, format!("the Secret {} is not among the shoot's resources", node.shown())).help("declare it under `spec.resources`");
        }
    }
}

fn tolerations(cx: &Cx<'_>, out: &mut Out) {
    let before = cx.before("spec/tolerations").items();
    let Some(project) = cx.object(&Owner::cluster(Kind::Project, &cx.owner.project)).manifest() else { return };
    let mut allowed = Node::root(project).at("spec/tolerations/whitelist").items();
    allowed.extend(Node::root(project).at("spec/tolerations/defaults").items());
    let class = cx.new.at("spec/exposureClassName");
    if let Some(class) = cx.object(&Owner::cluster(Kind::ExposureClass, class.str())).manifest() {
        allowed.extend(Node::root(class).at("scheduling/tolerations").items());
    }
    for toleration in cx.new.at("spec/tolerations").items() {
        let (key, value) = (toleration.get("key"), toleration.get("value"));
        let covers = |a: &Node<'_>| a.get("key").same(&key) && (!a.get("value").is_set() || a.get("value").same(&value));
        let kept = before.iter().any(|b| b.same(&toleration));
        let own = cx.owner.project == "garden" && key.str() == "seed.gardener.cloud/protected";
        if !kept && !own && !allowed.iter().any(covers) {
            out.forbidden(&key, format!("the project does not allow the toleration {}", key.shown()))
                .help(format!("project `{}` allows {}", cx.owner.project, listed(allowed.iter().map(|a| a.get("key").str()))));
        }
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
