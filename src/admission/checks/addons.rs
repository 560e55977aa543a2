//! Addons: who may have them, and their settings.

use super::prelude::*;
use crate::admission::versions::since;
use crate::value::Cidr;

rules! {
    /// Addons are for clusters with workers whose purpose is evaluation, and end with Kubernetes 1.35 (V-038, V-049, V-050).
    ///
    /// A landscape may close the addon `nginxIngress` to those who do not have it yet (V-051).
    "SHOOT-ADDON", "an addon is not possible", Shoot, possible;
    /// The settings of addons that are switched on (V-052 … V-055).
    "SHOOT-ADDON-SETTING", "a setting of an addon is not usable", Shoot, nginx, dashboard;
}

/// How much a `ConfigMap` holds.
const MOST: usize = 1024 * 1024;

fn enabled<'a>(cx: &Cx<'a>, addon: &'static str) -> Option<Node<'a>> {
    let node = cx.new.at("spec/addons").get(addon);
    node.get("enabled").flag().filter(|on| *on).map(|_| node)
}

/// Whether the settings of addons are looked at, at all.
fn looked_at(cx: &Cx<'_>) -> bool {
    !cx.new.at("spec/provider/workers").is_empty() && !since(cx.new.at("spec/kubernetes/version").str(), 35)
}

fn possible(cx: &Cx<'_>, out: &mut Out) {
    let (addons, purpose) = (cx.new.at("spec/addons"), cx.new.at("spec/purpose"));
    if !addons.is_set() {
        return;
    }
    let own = "install it in the cluster yourself";
    if cx.new.at("spec/provider/workers").is_empty() {
        out.forbidden(&addons, "addons need workers").on_key().help("remove the section, or add a pool under `spec.provider.workers`");
    } else if since(cx.new.at("spec/kubernetes/version").str(), 35) {
        out.forbidden(&addons, "addons are gone from Kubernetes 1.35 on").on_key().help(format!("remove the section: {own}"));
    } else {
        let on: Vec<&str> = ["kubernetesDashboard", "nginxIngress"].into_iter().filter(|a| enabled(cx, a).is_some()).collect();
        if let Some(first) = on.first().filter(|_| purpose.is_set() && purpose.str() != "evaluation") {
            let what = if on.len() == 1 { "the addon" } else { "the addons" };
            let is = if on.len() == 1 { "is" } else { "are" };
            out.forbidden(&addons.get(first).get("enabled"), format!("{what} {} {is} only for evaluation", listed(&on)))
                .field("spec.addons")
                .and(&purpose, "the purpose")
                .help(own);
        }
    }
    let before = cx.before("spec/addons/nginxIngress/enabled").flag() == Some(true);
    if let Some(nginx) = enabled(cx, "nginxIngress").filter(|_| !before && cx.gate("DisableNginxIngressInShoot")) {
        out.forbidden(&nginx.get("enabled"), "the addon `nginxIngress` is closed in this landscape").help(own);
    }
}

fn nginx(cx: &Cx<'_>, out: &mut Out) {
    let Some(nginx) = enabled(cx, "nginxIngress").filter(|_| looked_at(cx)) else { return };
    for node in nginx.get("loadBalancerSourceRanges").items() {
        let found = node.str().parse::<Cidr>().ok();
        if found.is_none_or(|net| !net.is_canonical()) {
            let raised = out.invalid(&node, format!("{} is no range of addresses", node.shown()));
            raised.help(found.map_or_else(|| "for example `192.0.2.0/24`".to_owned(), |net| format!("write `{}`", net.canonical())));
        }
    }
    let config = nginx.get("config");
    for (key, node) in config.entries() {
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if key.is_empty() || key.len() > 253 || key.starts_with("..") || key == "." || !key.chars().all(usable) {
            out.invalid(&node, format!("`{key}` is no key of a ConfigMap")).on_key().keyed().help("letters, digits, `-`, `_` and `.`");
        }
    }
    let size: usize = config.entries().iter().map(|(_, node)| node.str().len()).sum();
    if size > MOST {
        out.too_long(&config, format!("the configuration has {size} bytes, at most {MOST} are possible"));
    }
    one_of(out, &nginx.get("externalTrafficPolicy"), &["Cluster", "Local"]);
}

fn dashboard(cx: &Cx<'_>, out: &mut Out) {
    if let Some(dashboard) = enabled(cx, "kubernetesDashboard").filter(|_| looked_at(cx)) {
        one_of(out, &dashboard.get("authenticationMode"), &["token"]);
    }
}

fn one_of(out: &mut Out, node: &Node<'_>, values: &[&str]) {
    if node.is_set() && !values.contains(&node.str()) {
        out.not_supported(node, format!("{} is not known as `{}`", node.shown(), node.field())).help(format!("use {}", listed(values)));
    }
}
