//! What a shoot is checked for against its cloud profile, its project and its binding, besides versions, machines and networks.

use super::prelude::*;

rules! {
    /// Configuration for extensions is in a version that is meant for people (V-349).
    "SHOOT-INTERNAL-VERSION", "a configuration is in an internal version", Shoot, internal as Plugin("ShootValidator");
    /// Ranges for pods and services are known when a shoot with IPv4 comes to a seed (V-335).
    "SHOOT-NET-MISSING", "a range is missing", Shoot, ranges as Plugin("ShootValidator");
    /// The landscape issues tokens for service accounts only where it is set up for it; once it does, it goes on (V-355).
    "SHOOT-ISSUER", "the landscape cannot issue the tokens", Shoot, issuer as Plugin("ShootValidator");
    /// A CredentialsBinding takes the place of a SecretBinding only for the same Secret (V-331).
    "SHOOT-BINDING-SECRET", "the new binding is for other credentials", Shoot, same_secret as Plugin("ShootValidator");
    /// A cluster that is a seed has workers in the seed's zones, node addresses that stay, no ingress addon, and vertical
    /// autoscaling of pods (V-367).
    "SHOOT-IS-SEED", "a cluster that is a seed cannot change like this", Shoot, managed as Plugin("ShootManagedSeed");
}

/// The provider type is the cloud profile's.
pub(super) fn provider_matches(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/provider/type");
    let Some(owner) = offer::profile_of(&cx.new, &cx.owner.project) else { return };
    let Some(profile) = cx.profile(&owner).manifest() else { return };
    let theirs = Node::root(profile).at("spec/type");
    if theirs.is_set() && !theirs.same(&node) {
        out.invalid(&node, format!("the provider is {}, {owner} is for {}", node.shown(), theirs.shown()))
            .help(format!("write `type: {}`, or choose another cloud profile", theirs.str()))
            .beside(&owner, &theirs, "the profile's type");
    }
}

/// The binding is for the shoot's provider.
pub(super) fn binding_matches(cx: &Cx<'_>, out: &mut Out) {
    let mine = cx.new.at("spec/provider/type");
    let Some((owner, path)) = offer::binding_of(&cx.new, &cx.owner.project).filter(|_| cx.is_new()) else { return };
    let Some(found) = cx.object(&owner).manifest() else { return };
    let profile = offer::profile_of(&cx.new, &cx.owner.project).and_then(|profile| cx.profile(&profile).manifest());
    let other = profile.is_some_and(|profile| !Node::root(profile).at("spec/type").same(&mine));
    let theirs = Node::root(found).at("provider/type");
    if !other && theirs.is_set() && !theirs.str().split(',').any(|t| t.trim() == mine.str()) {
        out.invalid(&cx.new.at(path), format!("{owner} is for provider {}, the shoot's is {}", theirs.shown(), mine.shown()))
            .field("spec.provider.type")
            .help("name a binding for the shoot's provider")
            .beside(&owner, &theirs, "the binding's provider");
    }
}

/// Secrets with the access of webhooks are declared, and hold a kubeconfig.
pub(super) fn webhook_secrets(cx: &Cx<'_>, out: &mut Out) {
    let resources = cx.new.at("spec/resources").items();
    let declares = |resource: &Node<'_>, name: &str| {
        let reference = resource.get("resourceRef");
        reference.get("apiVersion").str() == "v1" && reference.get("kind").str() == "Secret" && reference.get("name").str() == name
    };
    for plugin in cx.new.at("spec/kubernetes/kubeAPIServer/admissionPlugins").items() {
        let node = plugin.get("kubeconfigSecretName");
        let Some(name) = node.text() else { continue };
        if !resources.iter().any(|resource| declares(resource, name)) {
            out.invalid(&node, format!("the Secret {} is not among the shoot's resources", node.shown())).help("declare it under `spec.resources`");
        } else if let Elsewhere::Found(secret) = cx.foreign("Secret", &cx.namespace(), name)
            && !Node::root(secret).at("data/kubeconfig").is_set()
        {
            out.invalid(&node, format!("the Secret {} holds no kubeconfig", node.shown())).help("add the key `kubeconfig` to it");
        }
    }
}

fn internal(cx: &Cx<'_>, out: &mut Out) {
    let spec = cx.new.get("spec");
    let mut all = vec![spec.at("provider/infrastructureConfig"), spec.at("provider/controlPlaneConfig"), spec.at("networking/providerConfig")];
    for pool in spec.at("provider/workers").items() {
        all.push(pool.get("providerConfig"));
        all.push(pool.at("machine/image/providerConfig"));
        all.extend(pool.at("cri/containerRuntimes").items().iter().map(|runtime| runtime.get("providerConfig")));
    }
    for node in all {
        let version = node.get("apiVersion");
        if version.str().rsplit('/').next() == Some("__internal") && !node.get("kind").is_empty() {
            out.invalid(&node, format!("{} is an internal version", version.shown())).help("write it in a version such as `v1alpha1`");
        }
    }
}

fn ranges(cx: &Cx<'_>, out: &mut Out) {
    let networking = cx.new.at("spec/networking");
    let four = networking.get("ipFamilies").items().iter().any(|family| family.str() == "IPv4");
    let seed = cx.new.at("spec/seedName").text().filter(|name| four && !name.is_empty());
    let Some(seed) = seed.and_then(|name| cx.object(&Owner::cluster(Kind::Seed, name)).manifest()) else { return };
    let defaults = Node::root(seed).at("spec/networks/shootDefaults");
    let workers = !cx.new.at("spec/provider/workers").is_empty();
    for (what, wanted) in [("pods", workers), ("services", true)] {
        let node = networking.get(what);
        if wanted && !node.is_set() {
            let why = if defaults.get(what).is_set() { "the seed's default is of another family" } else { "the seed has no default" };
            out.required(&node, format!("the range for {what} is missing, and {why}")).help("write one, for example `100.64.0.0/13`");
        }
    }
}

const ISSUER: &str = "authentication.gardener.cloud/issuer";

fn issuer(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/annotations").get(ISSUER);
    let own = cx.new.at("spec/kubernetes/kubeAPIServer/serviceAccountConfig/issuer");
    if node.str() != "managed" {
        if cx.before("metadata/annotations").get(ISSUER).str() == "managed" {
            out.refused(&node, "the landscape issues the tokens of this cluster, and goes on doing so").help("put the annotation back");
        }
    } else if own.is_set() {
        out.refused(&node, "the tokens have two issuers").and(&own, "the shoot's own").help("keep one of them");
    } else {
        out.refused(&node, "the landscape is not set up to issue tokens").help("remove the annotation");
    }
}

fn same_secret(cx: &Cx<'_>, out: &mut Out) {
    let (was, is) = (cx.before("spec/secretBindingName"), cx.new.at("spec/credentialsBindingName"));
    if was.is_empty() || is.is_empty() || !cx.before("spec/credentialsBindingName").is_empty() {
        return;
    }
    let project = &cx.owner.project;
    let (old, new) = (Owner::project(Kind::SecretBinding, project, was.str()), Owner::project(Kind::CredentialsBinding, project, is.str()));
    let (Some(before), Some(after)) = (cx.object(&old).manifest(), cx.object(&new).manifest()) else { return };
    let (secret, credentials) = (Node::root(before).get("secretRef"), Node::root(after).get("credentialsRef"));
    let same = credentials.get("apiVersion").str() == "v1"
        && credentials.get("kind").str() == "Secret"
        && ["name", "namespace"].iter().all(|key| secret.get(key).same(&credentials.get(key)));
    if !same {
        out.refused(&is, format!("{new} is for other credentials than {old}"))
            .help(format!("make a CredentialsBinding for the Secret `{}`", secret.get("name").str()))
            .beside(&new, &credentials, "these credentials");
    }
}

fn managed(cx: &Cx<'_>, out: &mut Out) {
    if cx.owner.project != "garden" || cx.is_new() {
        return;
    }
    let of = |manifest: &serde_json::Value| Node::root(manifest).at("spec/shoot/name").str() == cx.owner.name;
    let Some((seed, manifest)) = cx.accepted(Kind::ManagedSeed).find(|(_, manifest)| of(manifest)) else { return };
    let ingress = cx.new.at("spec/addons/nginxIngress/enabled");
    if ingress.flag() == Some(true) {
        out.invalid(&ingress, format!("the cluster is {seed}, and cannot have the ingress addon")).help("switch it off");
    }
    let vertical = cx.new.at("spec/kubernetes/verticalPodAutoscaler/enabled");
    if vertical.flag() != Some(true) {
        out.invalid(&vertical, format!("the cluster is {seed}, and needs vertical autoscaling of pods")).help("set `enabled: true`");
    }
    let (nodes, before) = (cx.new.at("spec/networking/nodes"), cx.before("spec/networking/nodes"));
    if before.is_set() && !nodes.same(&before) {
        out.invalid(&nodes, format!("the cluster is {seed}, and its node addresses stay {}", before.shown())).help("put them back");
    }
    let workers = cx.new.at("spec/provider/workers");
    let used = Node::root(manifest).at("spec/gardenlet/config/seedConfig/spec/provider/zones").items();
    let pools = workers.items();
    let has = |zone: &Node<'_>| pools.iter().any(|pool| pool.get("zones").items().iter().any(|z| z.same(zone)));
    let had = |zone: &Node<'_>| cx.before("spec/provider/workers").items().iter().any(|pool| pool.get("zones").items().iter().any(|z| z.same(zone)));
    let gone: Vec<&str> = used.iter().filter(|zone| had(zone) && !has(zone)).map(Node::str).collect();
    if !gone.is_empty() {
        out.forbidden(&workers, format!("the cluster is {seed}, which uses {}", listed(gone))).help("keep a pool in each of the seed's zones");
    }
}
