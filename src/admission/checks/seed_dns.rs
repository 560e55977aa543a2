//! Domains of seeds and what is needed to manage them: ingress, DNS providers, and the backup's credentials.

use super::prelude::*;
use super::seeds::spec_of;
use crate::admission::parts;
use crate::admission::shared::missing;

rules! {
    /// A seed has an ingress: a domain, a controller of the kind `nginx`, and a DNS provider for the domain (V-277, V-278).
    "SEED-INGRESS", "the ingress of a seed is incomplete", Seed | ManagedSeed, ingress, provider;
    /// A seed has an internal domain and credentials for it; default domains are complete and unique (V-279, V-280).
    "SEED-DNS", "the DNS settings of a seed are incomplete", Seed | ManagedSeed, internal, defaults;
    /// The backup of a seed names a provider and credentials, and a region where the provider is another one (V-281).
    "SEED-BACKUP", "the backup of a seed is incomplete", Seed | ManagedSeed, backup;
}

fn domain(out: &mut Out, node: &Node<'_>) {
    if !missing(out, node)
        && let Err(why) = syntax::subdomain(node.str())
    {
        out.invalid(node, format!("{} is no domain: {why}", node.shown())).help("for example `garden.example.org`");
    }
}

fn ingress(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, template)) = spec_of(&cx.new) else { return };
    let node = spec.get("ingress");
    if !node.is_set() {
        if !template {
            missing(out, &node);
        }
        return;
    }
    domain(out, &node.get("domain"));
    let kind = node.at("controller/kind");
    if kind.str() != "nginx" {
        out.not_supported(&kind, format!("{} is no ingress controller", kind.shown())).help("use `nginx`");
    }
    if !spec.at("dns/provider").is_set() {
        out.required(&spec.at("dns/provider"), "the domain of the ingress needs a DNS provider")
            .and(&node.get("domain"), "this domain")
            .help("write `provider: {type: …, credentialsRef: …}`");
    }
}

fn provider(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, _)) = spec_of(&cx.new) else { return };
    let provider = spec.at("dns/provider");
    if !provider.is_set() {
        return;
    }
    missing(out, &provider.get("type"));
    let reference = provider.get("credentialsRef");
    if reference.is_set() {
        parts::credentials(out, &reference);
    } else {
        missing(out, &reference);
    }
}

fn config(out: &mut Out, config: &Node<'_>) {
    domain(out, &config.get("domain"));
    missing(out, &config.get("type"));
    parts::credentials(out, &config.get("credentialsRef"));
}

fn internal(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, _)) = spec_of(&cx.new) else { return };
    let node = spec.at("dns/internal");
    if node.is_set() {
        config(out, &node);
    } else {
        out.required(&node, "the seed has no internal domain").help("write `internal: {type: …, domain: …, credentialsRef: …}`");
    }
}

fn defaults(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, _)) = spec_of(&cx.new) else { return };
    let mut seen = Vec::new();
    for default in spec.at("dns/defaults").items() {
        config(out, &default);
        let domain = default.get("domain");
        if seen.contains(&domain.str()) {
            out.duplicate(&domain, format!("the domain {} is listed twice", domain.shown()));
        }
        seen.push(domain.str());
    }
}

fn backup(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, _)) = spec_of(&cx.new) else { return };
    let node = spec.get("backup");
    if !node.is_set() {
        return;
    }
    missing(out, &node.get("provider"));
    let (region, provider) = (node.get("region"), spec.at("provider/type"));
    if node.get("provider").str() != provider.str() && region.is_empty() {
        out.invalid(&region, "the region of the backup is missing").and(&provider, "the seed itself is somewhere else").help("name the region");
    }
    let reference = node.get("credentialsRef");
    if reference.is_set() {
        parts::credentials(out, &reference);
    } else {
        missing(out, &reference);
    }
}
