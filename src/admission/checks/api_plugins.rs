//! Admission plugins of a shoot's API server, and the APIs that it serves.

use super::prelude::*;
use crate::admission::versions::{Release, api, plugin, plugins};
use crate::finding::ErrorType;
use crate::landscape::nearest::nearest;

rules! {
    /// An admission plugin is one that the Kubernetes version has; those that a cluster is not safe without stay on, and few take
    /// a configuration or a kubeconfig (V-077 … V-081).
    "SHOOT-ADMISSION-PLUGIN", "an admission plugin cannot be set up like this", Shoot, admission;
    /// What `runtimeConfig` switches is an API of the Kubernetes version, and none that the cluster needs is switched off (V-082,
    /// V-083).
    "SHOOT-RUNTIME-CONFIG", "an API cannot be switched", Shoot, runtime;
    /// The API server can only be set up for a Kubernetes version that can be read.
    "SHOOT-API-SERVER-VERSION", "the version of the API server cannot be read", Shoot, unreadable;
}

fn admission(cx: &Cx<'_>, out: &mut Out) {
    let version = cx.new.at("spec/kubernetes/version").str();
    let Some(release) = Release::parse(version) else { return };
    for entry in cx.new.at("spec/kubernetes/kubeAPIServer/admissionPlugins").items() {
        let (node, config, kubeconfig) = (entry.get("name"), entry.get("config"), entry.get("kubeconfigSecretName"));
        if node.is_empty() {
            out.required(&node, "the name of the admission plugin is missing");
            return;
        }
        let Some(found) = plugin(node.str()) else {
            let raised = out.invalid(&node, format!("Kubernetes has no admission plugin {}", node.shown()));
            if let Some(near) = nearest(node.str(), plugins()) {
                raised.help(format!("did you mean `{near}`?"));
            }
            continue;
        };
        if !found.span.contains(release) {
            out.forbidden(&node, format!("Kubernetes {version} has no admission plugin {}", node.shown()))
                .help(format!("it is there {}", found.span.shown()));
            continue;
        }
        if config.is_set() && !found.configurable {
            out.forbidden(&config, format!("the admission plugin {} takes no configuration", node.shown())).on_key();
        }
        if entry.get("disabled").flag() == Some(true) && found.required {
            out.forbidden(&entry, format!("the admission plugin {} cannot be switched off", node.shown())).help("remove the entry");
        }
        if kubeconfig.is_set() && !found.remote {
            out.forbidden(&kubeconfig, format!("the admission plugin {} takes no kubeconfig", node.shown())).on_key();
        }
        if node.str() == "PodSecurity" && config.is_set() && !is_pod_security(&config) {
            out.invalid(&config, "this is no configuration of `PodSecurity`")
                .help("`apiVersion: pod-security.admission.config.k8s.io/v1`, `kind: PodSecurityConfiguration`");
        }
    }
}

/// Whether something can be read as the configuration of the plugin.
fn is_pod_security(config: &Node<'_>) -> bool {
    let known = ["v1", "v1beta1", "v1alpha1"].map(|v| format!("pod-security.admission.config.k8s.io/{v}"));
    let texts = |map: &Node<'_>| map.value().is_none() || map.map().is_some_and(|m| m.values().all(|v| v.is_string() || v.is_null()));
    let lists = |map: &Node<'_>| {
        let all = |v: &serde_json::Value| v.as_array().is_some_and(|l| l.iter().all(|t| t.is_string() || t.is_null())) || v.is_null();
        map.value().is_none() || map.map().is_some_and(|m| m.values().all(all))
    };
    known.iter().any(|v| v == config.get("apiVersion").str())
        && config.get("kind").str() == "PodSecurityConfiguration"
        && texts(&config.get("defaults"))
        && lists(&config.get("exemptions"))
}

fn runtime(cx: &Cx<'_>, out: &mut Out) {
    let version = cx.new.at("spec/kubernetes/version").str();
    let workerless = cx.new.at("spec/provider/workers").is_empty();
    if version.is_empty() {
        return;
    }
    for (name, node) in cx.new.at("spec/kubernetes/kubeAPIServer/runtimeConfig").entries() {
        let field = format!("spec.kubernetes.kubeAPIServer.runtimeConfig[{name}]");
        match (api(name), Release::parse(version)) {
            (Err(why), _) => {
                out.invalid(&node, why).on_key().field(field).help("name a group and its version, for example `batch/v1`");
            }
            (Ok(_), None) => {
                out.invalid(&node, format!("whether `{version}` has the API `{name}` cannot be told")).on_key().field(field);
            }
            (Ok(found), Some(release)) if !found.span.contains(release) => {
                out.forbidden(&node, format!("Kubernetes {version} has no API `{name}`"))
                    .on_key()
                    .field(field)
                    .help(format!("it is there {}", found.span.shown()));
            }
            (Ok(found), _) if found.needed(workerless) && node.flag() != Some(true) => {
                out.forbidden(&node, format!("the API `{name}` is needed and cannot be switched off")).field(field).help("remove it");
            }
            _ => {}
        }
    }
}

fn unreadable(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/kubernetes/version");
    if !node.is_empty() && Release::parse(node.str()).is_none() {
        out.refuse(ErrorType::InternalError, &node, format!("{} is no Kubernetes version", node.shown()))
            .field("spec.kubernetes.kubeAPIServer.admissionPlugins")
            .help("write it as `1.34.2`");
    }
}
