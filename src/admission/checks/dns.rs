//! The domain of a shoot and who manages it.

use super::prelude::*;
use crate::admission::versions::since;

rules! {
    /// The domain of a shoot is a DNS name (V-056).
    "SHOOT-DNS-DOMAIN", "the domain is no DNS name", Shoot, domain;
    /// At most one DNS provider is primary; others have credentials; `unmanaged` has none; no two are the same (V-057, V-060 … V-064).
    "SHOOT-DNS-PROVIDER", "the DNS providers do not go together", Shoot, needs_domain, providers;
    /// Credentials of a DNS provider lie in a Secret or are a WorkloadIdentity; `secretName` is the older way, and ends with
    /// Kubernetes 1.35 (V-058, V-059, V-065).
    "SHOOT-DNS-CREDENTIALS", "the credentials of a DNS provider cannot be used", Shoot, credentials, secret_name;
}

const UNMANAGED: &str = "unmanaged";

fn domain(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/dns/domain");
    if node.is_set()
        && let Err(why) = syntax::subdomain(node.str())
    {
        out.invalid(&node, format!("{} is no domain: {why}", node.shown()));
    }
}

fn is_primary(provider: &Node<'_>) -> bool {
    provider.get("primary").flag() == Some(true)
}

fn needs_domain(cx: &Cx<'_>, out: &mut Out) {
    let dns = cx.new.get("spec").get("dns");
    let providers = dns.get("providers").items();
    let Some(primary) = providers.iter().find(|p| is_primary(p)) else { return };
    let kind = primary.get("type");
    if kind.is_set() && kind.str() != UNMANAGED && !dns.get("domain").is_set() {
        out.required(&dns.get("domain"), "a primary DNS provider needs a domain").and(primary, "the provider");
    }
}

/// What credentials are: kind, version and name.
type Credentials<'a> = (&'a str, &'a str, &'a str);

/// What the credentials of a provider are. The older way means a Secret.
fn credentials_of<'a>(provider: &Node<'a>) -> Option<Credentials<'a>> {
    let (reference, older) = (provider.get("credentialsRef"), provider.get("secretName"));
    if reference.is_set() {
        return Some((reference.get("kind").str(), reference.get("apiVersion").str(), reference.get("name").str()));
    }
    (!older.is_empty()).then(|| ("Secret", "v1", older.str()))
}

fn providers(cx: &Cx<'_>, out: &mut Out) {
    let providers = cx.new.at("spec/dns/providers").items();
    let mut seen: Vec<(&str, Credentials<'_>, &Node<'_>)> = Vec::new();
    let mut first: Option<&Node<'_>> = None;
    for provider in &providers {
        let (kind, reference, found) = (provider.get("type"), provider.get("credentialsRef"), credentials_of(provider));
        if let (Some(found), true) = (found, kind.is_set()) {
            if let Some((.., other)) = seen.iter().find(|(of, these, _)| *of == kind.str() && *these == found) {
                out.invalid(provider, "two DNS providers have the same type and the same credentials").and(other, "the other one");
                continue;
            }
            seen.push((kind.str(), found, provider));
        }
        if is_primary(provider) {
            if let Some(first) = first {
                out.forbidden(&provider.get("primary"), "more than one DNS provider is primary").and(first, "the first one");
                continue;
            }
            first = Some(provider);
        }
        if found.is_some() && kind.str() == UNMANAGED {
            out.invalid(&reference, "unmanaged DNS needs no credentials").help("remove them");
        } else if found.is_some() && !kind.is_set() {
            out.required(&kind, "the type of the DNS provider is missing");
        } else if found.is_none() && !is_primary(provider) {
            out.required(&reference, "a DNS provider that is not primary needs credentials").help("add `credentialsRef`, or `primary: true`");
        }
    }
}

fn credentials(cx: &Cx<'_>, out: &mut Out) {
    for provider in cx.new.at("spec/dns/providers").items() {
        let reference = provider.get("credentialsRef");
        if !reference.is_set() {
            continue;
        }
        let (version, kind, name) = (reference.get("apiVersion"), reference.get("kind"), reference.get("name"));
        for node in [&version, &kind, &name] {
            if node.is_empty() {
                out.required(node, format!("`{}` is missing", node.field()));
            }
        }
        if let Err(why) = syntax::subdomain(name.str()) {
            out.invalid(&name, format!("{} is no name of an object: {why}", name.shown()));
        }
        if !matches!((version.str(), kind.str()), ("v1", "Secret") | ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")) {
            out.not_supported(&reference, format!("credentials cannot be {} of {}", kind.shown(), version.shown()))
                .help("a `Secret` of `v1`, or a `WorkloadIdentity` of `security.gardener.cloud/v1alpha1`");
        }
    }
}

fn secret_name(cx: &Cx<'_>, out: &mut Out) {
    let gone = since(cx.new.at("spec/kubernetes/version").str(), 35);
    for provider in cx.new.at("spec/dns/providers").items() {
        let (older, reference) = (provider.get("secretName"), provider.get("credentialsRef"));
        let is_secret = (reference.get("apiVersion").str(), reference.get("kind").str()) == ("v1", "Secret");
        if !older.is_set() {
            continue;
        }
        if gone {
            out.forbidden(&older, "`secretName` is gone from Kubernetes 1.35 on").on_key().help("use `credentialsRef`");
        } else if reference.is_set() && is_secret && !older.same(&reference.get("name")) {
            out.forbidden(&older, format!("`secretName` is {}, `credentialsRef` another Secret", older.shown()))
                .and(&reference, "the other one")
                .help("keep `credentialsRef`");
        } else if (reference.is_set() && !is_secret && !older.is_empty()) || (!reference.is_set() && older.is_empty()) {
            out.forbidden(&older, "`secretName` goes with a Secret in `credentialsRef` only").on_key().help("remove `secretName`");
        }
    }
}
