//! Managed seeds: how their agent is deployed and configured, and the seed that it makes of the shoot.

use std::sync::Arc;

use serde_json::{Value, json};

use super::prelude::*;
use crate::admission::check::Raised;
use crate::admission::shared::{self, fixed};
use crate::admission::{default, judge};
use crate::finding::{Code, ErrorType, Pointer};

rules! {
    /// The deployment of a managed seed's agent can be carried out (V-318).
    "MANAGEDSEED-DEPLOYMENT", "the deployment of an agent is not usable", ManagedSeed, deployment, image;
    /// An agent gets in with a token, a service account, or by itself, and its way in fits to that (V-318).
    "MANAGEDSEED-BOOTSTRAP", "an agent cannot get in like this", ManagedSeed, bootstrap, connection;
    /// The seed's part of the configuration follows the rules for seeds; its name is the managed seed's (V-318).
    "MANAGEDSEED-SEED", "the seed that is to be made is not usable", ManagedSeed, seed_name, seed;
    /// The shoot of a managed seed, and how its agent gets in, cannot change (V-318).
    "MANAGEDSEED-CHANGED", "a managed seed cannot change like this", ManagedSeed, changed;
}

const CONFIG: &str = "spec/gardenlet/config";
const SEED: &str = "spec/gardenlet/config/seedConfig";

fn not_negative(out: &mut Out, node: &Node<'_>) {
    if node.int().is_some_and(|n| n < 0) {
        out.invalid(node, format!("{} is negative", node.shown())).help("at least 0");
    }
}

fn deployment(cx: &Cx<'_>, out: &mut Out) {
    let deployment = cx.new.at("spec/gardenlet/deployment");
    not_negative(out, &deployment.get("replicaCount"));
    not_negative(out, &deployment.get("revisionHistoryLimit"));
    let account = deployment.get("serviceAccountName");
    if account.is_set()
        && let Err(why) = syntax::subdomain(account.str())
    {
        out.invalid(&account, format!("{} is no service account: {why}", account.shown()));
    }
    shared::labels(out, &deployment.get("podLabels"));
    shared::annotations(out, &deployment.get("podAnnotations"));
}

fn image(cx: &Cx<'_>, out: &mut Out) {
    let image = cx.new.at("spec/gardenlet/deployment/image");
    for what in ["ref", "repository", "tag"] {
        let node = image.get(what);
        if node.text() == Some("") {
            out.invalid(&node, format!("`{what}` of the image is empty")).help("write something, or leave it out");
        }
    }
    if image.get("ref").is_set() && (image.get("repository").is_set() || image.get("tag").is_set()) {
        out.forbidden(&image, "`ref` is a whole reference, so `repository` and `tag` say it again").help("remove one of the two");
    }
    let policy = image.get("pullPolicy");
    if policy.is_set() && !matches!(policy.str(), "Always" | "IfNotPresent" | "Never") {
        out.not_supported(&policy, format!("{} is no pull policy", policy.shown())).help("use `Always`, `IfNotPresent` or `Never`");
    }
}

fn bootstrap(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/gardenlet/bootstrap");
    if node.is_set() && !matches!(node.str(), "BootstrapToken" | "ServiceAccount" | "None") {
        out.not_supported(&node, format!("{} is no way to get in", node.shown())).help("use `BootstrapToken`, `ServiceAccount` or `None`");
    }
    let config = cx.new.at(CONFIG);
    let text = |key: &'static str| config.get(key).str();
    let ours = text("kind") == "GardenletConfiguration" && text("apiVersion") == "gardenlet.config.gardener.cloud/v1alpha1";
    if config.is_set() && !ours {
        out.refuse(ErrorType::ConversionError, &config, "the configuration of the agent cannot be read")
            .field("")
            .help("write `apiVersion: gardenlet.config.gardener.cloud/v1alpha1` and `kind: GardenletConfiguration`");
    }
}

fn connection(cx: &Cx<'_>, out: &mut Out) {
    let connection = cx.new.at(CONFIG).get("gardenClientConnection");
    if !connection.is_set() {
        return;
    }
    let file = connection.get("kubeconfig");
    match cx.new.at("spec/gardenlet/bootstrap").str() {
        "BootstrapToken" | "ServiceAccount" if !file.is_empty() => {
            out.forbidden(&file, "an agent that gets in by itself has no kubeconfig").help("remove it, or use `bootstrap: None`");
        }
        "None" => {
            if file.is_empty() && cx.new.at("spec/gardenlet/mergeWithParent").flag() != Some(true) {
                out.required(&file, "an agent that cannot get in by itself needs a kubeconfig");
            }
            for what in ["bootstrapKubeconfig", "kubeconfigSecret"] {
                let node = connection.get(what);
                if node.is_set() {
                    out.forbidden(&node, format!("`{what}` is only for agents that get in by themselves")).help("remove it");
                }
            }
        }
        _ => {}
    }
}

fn seed_name(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at(SEED).at("metadata/name");
    if !node.is_empty() {
        out.forbidden(&node, "the seed is called like the managed seed").help("remove the name");
    }
}

/// A seed of its own that is made of a managed seed's configuration.
fn made(owner: &Owner, config: &Node<'_>) -> Option<Arc<Value>> {
    let part = |key: &str| config.get(key).value().cloned().unwrap_or_else(|| json!({}));
    let seed = json!({"apiVersion": owner.kind.api_version(), "kind": owner.kind.name(), "metadata": part("metadata"), "spec": part("spec")});
    config.map().is_some().then(|| Arc::new(default::own(&seed, owner, crate::admission::Extent::Static)))
}

/// Applies the rules for seeds, and says what they say where the seed's part is.
fn seed(cx: &Cx<'_>, out: &mut Out) {
    let owner = Owner::cluster(Kind::Seed, cx.owner.name.clone());
    let Some(manifest) = made(&owner, &cx.new.at(SEED)) else { return };
    let before = made(&owner, &cx.before(SEED));
    let node = Node::root(&manifest);
    let inner = Cx {
        owner: &owner,
        new: node.clone(),
        written: node,
        old: before.as_deref().map(Node::root),
        now: cx.now,
        world: cx.world,
        noted: cx.noted,
    };
    let found = judge::statically(&inner);
    out.raised.extend(found.into_iter().filter(|raised| !in_template(raised)).map(|raised| moved(raised, &cx.new.at(SEED))));
}

/// Whether a finding about a seed is none about what a seed is made of: that has no name yet, and gets some things from the shoot.
fn in_template(raised: &Raised) -> bool {
    const LATER: [&str; 4] = ["spec.provider.type", "spec.provider.region", "spec.networks.pods", "spec.networks.services"];
    let Some(cause) = raised.cause() else { return true };
    let kept = cause.field.starts_with("spec") || matches!(cause.field.as_str(), "metadata.labels" | "metadata.annotations");
    !kept || (cause.error == ErrorType::Required && LATER.contains(&cause.field.as_str()))
}

/// A finding about the seed, as one about the managed seed.
fn moved(mut raised: Raised, to: &Node<'_>) -> Raised {
    raised.field = raised.field.map(|field| format!("{}.{field}", to.field()));
    for at in raised.at.iter_mut().filter(|at| at.owner.is_none()) {
        at.pointer = Pointer(format!("{}{}", to.pointer().as_str(), at.pointer.as_str()));
    }
    raised.code = Code::new("MANAGEDSEED-SEED");
    raised
}

fn changed(cx: &Cx<'_>, out: &mut Out) {
    for path in ["spec/shoot", "spec/gardenlet/bootstrap", "spec/gardenlet/mergeWithParent"] {
        fixed(cx, out, path);
    }
}
