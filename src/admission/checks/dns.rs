//! The domain of a shoot and who manages it.

use super::prelude::*;

rules! {
    /// The domain of a shoot is a DNS name (V-056).
    "SHOOT-DNS-DOMAIN", "the domain is no DNS name", Shoot, domain;
    /// At most one DNS provider is primary; others have credentials; `unmanaged` has none (V-057, V-061 … V-064).
    "SHOOT-DNS-PROVIDER", "the DNS providers do not go together", Shoot, providers;
}

fn domain(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/dns/domain");
    if node.is_set()
        && let Err(why) = syntax::subdomain(node.str())
    {
        out.invalid(&node, format!("{} is no domain: {why}", node.shown()));
    }
}

fn providers(cx: &Cx<'_>, out: &mut Out) {
    let providers = cx.new.at("spec/dns/providers").items();
    let mut first: Option<&Node<'_>> = None;
    for provider in &providers {
        let (primary, kind, credentials) = (provider.get("primary"), provider.get("type"), provider.get("credentialsRef"));
        let has = credentials.is_set() || provider.get("secretName").is_set();
        if primary.flag() == Some(true) {
            if let Some(first) = first {
                out.forbidden(&primary, "more than one DNS provider is primary").and(first, "the first one");
            }
            first = Some(provider);
            if kind.is_set() && kind.str() != "unmanaged" && !cx.new.at("spec/dns/domain").is_set() {
                out.required(&cx.new.at("spec/dns/domain"), "a primary DNS provider needs a domain").and(provider, "the provider");
            }
        }
        if has && kind.str() == "unmanaged" {
            out.invalid(&credentials, "unmanaged DNS needs no credentials").help("remove them");
        } else if has && kind.is_empty() {
            out.required(&kind, "the type of the DNS provider is missing");
        } else if !has && kind.str() != "unmanaged" && primary.flag() != Some(true) {
            out.required(&credentials, "a DNS provider that is not primary needs credentials").help("add `credentialsRef`, or `primary: true`");
        }
    }
}
