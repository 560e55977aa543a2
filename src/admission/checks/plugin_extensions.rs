//! Extensions: somebody is responsible for every kind and type that a shoot uses.

use super::prelude::*;

rules! {
    /// Every kind of resource that a shoot needs is some registration's, for the type that it names (V-368).
    ///
    /// A landscape without any registrations does without extensions, and is not asked. Switched-off extensions count: they may
    /// be switched on again.
    "SHOOT-EXTENSION-UNKNOWN", "nobody is responsible for a type", Shoot, known as Plugin("ExtensionValidator");
}

/// What a shoot needs: kind and type, and where it says so.
fn needed<'a>(cx: &Cx<'a>) -> Vec<(&'static str, &'a str, Node<'a>)> {
    let spec = cx.new.get("spec");
    let mut all = Vec::new();
    let mut add = |kind: &'static str, node: Node<'a>| {
        if !node.is_empty() {
            all.push((kind, node.str(), node));
        }
    };
    let workers = spec.at("provider/workers").items();
    let own = workers.iter().any(|pool| pool.get("controlPlane").is_set());
    let bound = spec.get("credentialsBindingName").is_set() || spec.get("secretBindingName").is_set();
    if !workers.is_empty() {
        if !own || bound {
            for kind in ["ControlPlane", "Infrastructure", "Worker"] {
                add(kind, spec.at("provider/type"));
            }
        }
        add("Network", spec.at("networking/type"));
    }
    for pool in &workers {
        add("OperatingSystemConfig", pool.at("machine/image/name"));
        for runtime in pool.at("cri/containerRuntimes").items() {
            add("ContainerRuntime", runtime.get("type"));
        }
        add("SelfHostedShootExposure", pool.at("controlPlane/exposure/extension/type"));
    }
    for provider in spec.at("dns/providers").items() {
        if provider.get("primary").flag() == Some(true) && provider.get("type").str() != "unmanaged" {
            add("DNSRecord", provider.get("type"));
        }
    }
    all
}

fn known(cx: &Cx<'_>, out: &mut Out) {
    let Some(registered) = cx.registered().filter(|_| !cx.new.get("spec").same(&cx.before("spec"))) else { return };
    for (kind, name, node) in needed(cx) {
        if !registered.get(&format!("{kind}/{name}")).is_set() {
            out.refused(&node, format!("no extension is responsible for {kind} of type `{name}`"))
                .help(format!("there are {}", types(&registered, kind)));
        }
    }
    let workerless = cx.new.at("spec/provider/workers").is_empty();
    for extension in cx.new.at("spec/extensions").items() {
        let node = extension.get("type");
        let key = format!("Extension/{}", node.str());
        let entry = registered.get(&key);
        let compatible = entry.get("clusterCompatibility").items();
        if node.is_empty() {
            continue;
        }
        if !entry.is_set() || !(compatible.is_empty() || compatible.iter().any(|kind| kind.str() == "shoot")) {
            out.refused(&node, format!("no extension of type {} is for shoots", node.shown()))
                .help(format!("there are {}", types(&registered, "Extension")));
        } else if workerless && entry.get("workerlessSupported").flag() != Some(true) {
            out.refused(&node, format!("the extension {} is not for shoots without workers", node.shown())).help("remove it");
        }
    }
}

/// The types of a kind that somebody is responsible for.
pub(super) fn types(registered: &Node<'_>, kind: &str) -> String {
    listed(registered.entries().iter().filter_map(|(key, _)| key.strip_prefix(kind)?.strip_prefix('/')))
}
