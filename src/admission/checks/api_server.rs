//! The API server of a shoot: audit, authentication, authorization, caches, encryption, tokens.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::admission::measure::{number, seconds};

rules! {
    /// The policy for audit logs lies in a `ConfigMap` (V-084).
    "SHOOT-AUDIT-POLICY", "the audit policy cannot be found", Shoot, audit;
    /// Structured authentication and authorization name their `ConfigMap`, authorization also its kubeconfigs, and their feature
    /// gates are not switched off (V-085, V-086, V-087).
    "SHOOT-STRUCTURED-AUTH", "structured authentication or authorization is incomplete", Shoot, authentication, authorization;
    /// Sizes of watch caches are for resources in lower case, and not negative (V-088, V-089).
    "SHOOT-WATCH-CACHE", "the size of a watch cache is not usable", Shoot, caches;
    /// Which resources are encrypted in etcd, and how (V-093 … V-096).
    ///
    /// Secrets always are. What `aesgcm` encrypts is safe only if its key is rotated.
    "SHOOT-ENCRYPTION", "the encryption of resources is not possible", Shoot, encryption;
    /// Service account tokens live 30 to 90 days, and their issuers are https URLs (V-097, V-098, V-099).
    "SHOOT-SERVICE-ACCOUNT", "the settings of service account tokens are not usable", Shoot, tokens, issuers;
    /// Audiences of the API server are without commas, each once (V-104).
    "SHOOT-AUDIENCE", "an audience is not usable", Shoot, audiences;
    /// The older way to OpenID Connect ended with Kubernetes 1.32.
    "SHOOT-OIDC", "OpenID Connect is set up the older way", Shoot, oidc;
}

const HOUR: f64 = 3600.0;

/// The section of the API server; none if the version is missing, for then nothing in it is looked at.
fn server<'a>(cx: &Cx<'a>) -> Node<'a> {
    let kubernetes = cx.new.at("spec/kubernetes");
    if kubernetes.get("version").is_empty() { Node::absent() } else { kubernetes.get("kubeAPIServer") }
}

fn audit(cx: &Cx<'_>, out: &mut Out) {
    let reference = server(cx).at("auditConfig/auditPolicy/configMapRef");
    let node = reference.get("name");
    if !reference.is_set() {
        return;
    }
    if node.is_empty() {
        out.required(&node, "the name of the audit policy's ConfigMap is missing");
    } else if let Err(why) = syntax::subdomain(node.str()) {
        out.invalid(&node, format!("{} is no name of a ConfigMap: {why}", node.shown()));
    }
}

fn gate_off(out: &mut Out, server: &Node<'_>, section: &Node<'_>, gate: &str) {
    let node = server.get("featureGates").get(gate);
    if node.flag() == Some(false) {
        out.forbidden(section, format!("this needs the feature gate `{gate}`")).on_key().and(&node, "it is switched off here").help("remove the gate");
    }
    if section.get("configMapName").is_empty() {
        out.forbidden(&section.get("configMapName"), "the name of the ConfigMap is missing");
    }
}

fn authentication(cx: &Cx<'_>, out: &mut Out) {
    let server = server(cx);
    let section = server.get("structuredAuthentication");
    if section.is_set() {
        gate_off(out, &server, &section, "StructuredAuthenticationConfiguration");
        if server.get("oidcConfig").is_set() {
            out.forbidden(&server.get("oidcConfig"), "OpenID Connect is set up twice").on_key().and(&section, "the other way");
        }
    }
}

fn authorization(cx: &Cx<'_>, out: &mut Out) {
    let server = server(cx);
    let section = server.get("structuredAuthorization");
    if section.is_set() {
        gate_off(out, &server, &section, "StructuredAuthorizationConfiguration");
        let kubeconfigs = section.get("kubeconfigs");
        if !section.get("configMapName").is_empty() && kubeconfigs.is_empty() {
            out.required(&kubeconfigs, "structured authorization needs the kubeconfigs of its webhooks")
                .help("list them as `{authorizerName: …, secretName: …}`");
        }
    }
}

fn caches(cx: &Cx<'_>, out: &mut Out) {
    let sizes = server(cx).get("watchCacheSizes");
    let negative = |node: &Node<'_>| number(node).is_some_and(|n| n < 0.0);
    let all = sizes.get("default");
    // From Kubernetes 1.35 on there is no default: that is another rule's.
    let gone = crate::admission::versions::since(cx.new.at("spec/kubernetes/version").str(), 35);
    if negative(&all) && !gone {
        out.invalid(&all, format!("a cache of {} objects is not possible", all.shown()));
    }
    for entry in sizes.get("resources").items() {
        let (resource, group, size) = (entry.get("resource"), entry.get("apiGroup"), entry.get("size"));
        if resource.is_empty() {
            out.required(&resource, "the resource is missing");
        }
        for (node, wrong) in [(&resource, ",. #"), (&group, ", #")] {
            let text = node.str();
            if text.to_lowercase() != text || text.contains(|c| wrong.contains(c)) {
                out.invalid(node, format!("{} is neither a resource nor a group", node.shown())).help("in lower case, one for each entry");
            }
        }
        if negative(&size) {
            out.invalid(&size, format!("a cache of {} objects is not possible", size.shown()));
        }
    }
}

/// A resource and its group, from `resource.group`.
fn group_resource(text: &str) -> (&str, &str) {
    text.split_once('.').unwrap_or((text, ""))
}

fn encryption(cx: &Cx<'_>, out: &mut Out) {
    let config = server(cx).get("encryptionConfig");
    let mut seen = BTreeSet::new();
    for node in config.get("resources").items() {
        let text = node.str();
        let (resource, group) = group_resource(text);
        let wrong = match (text, group) {
            _ if text.to_lowercase() != text => Some("resources are written in lower case"),
            ("apiserveripinfo" | "serviceipallocations" | "servicenodeportallocations", _) => Some("it is no resource of the API"),
            _ if text.ends_with('.') => Some("it ends with a dot"),
            _ if text.contains('*') => Some("resources are named one by one"),
            (_, "events.k8s.io") => Some("events are stored without a group: write `events`"),
            (_, "extensions") => Some("the group `extensions` is gone"),
            _ => None,
        };
        if let Some(why) = wrong {
            out.invalid(&node, format!("{} cannot be encrypted: {why}", node.shown()));
        }
        if !seen.insert((resource, group)) {
            out.duplicate(&node, format!("{} is listed twice", node.shown()));
        }
        if (resource, group) == ("secrets", "") {
            out.forbidden(&node, "secrets are always encrypted").help("remove it");
        }
    }
    let node = config.at("provider/type");
    let rotation = cx.new.at("spec/maintenance/autoRotation/credentials/etcdEncryptionKey");
    let rotated = rotation.is_set() && seconds(&rotation.get("rotationPeriod")) != Some(0.0);
    if node.str() == "aesgcm" && !rotated {
        out.forbidden(&node, "what `aesgcm` encrypts is safe only if its key is rotated by itself")
            .help("add `spec.maintenance.autoRotation.credentials.etcdEncryptionKey: {}`, or use `secretbox`");
    }
}

fn tokens(cx: &Cx<'_>, out: &mut Out) {
    let node = server(cx).at("serviceAccountConfig/maxTokenExpiration");
    match seconds(&node) {
        Some(time) if time < 0.0 => {
            out.invalid(&node, format!("{} is negative", node.shown())).help("from `720h` to `2160h`");
        }
        Some(time) if time > 0.0 && !(720.0 * HOUR..=2160.0 * HOUR).contains(&time) => {
            out.forbidden(&node, format!("tokens cannot live {}", node.shown())).help("from `720h` to `2160h`");
        }
        _ => {}
    }
}

/// Why a text is no issuer.
fn not_an_issuer(text: &str) -> Option<&'static str> {
    const HOST: &str = "-._~%!$&'()*+,;=:[]";
    let Some((scheme, rest)) = text.split_once("://") else { return Some("it is no https URL") };
    if !scheme.eq_ignore_ascii_case("https") {
        return Some("it is no https URL");
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let in_brackets = authority.starts_with('[') && authority.contains(']');
    let broken = |text: &str| text.split('%').skip(1).any(|hex| hex.len() < 2 || !hex.bytes().take(2).all(|b| b.is_ascii_hexdigit()));
    if !fragment.is_empty() {
        Some("it has a fragment")
    } else if authority.contains('@') {
        Some("it contains a name or password")
    } else if !query.is_empty() {
        Some("it has a query")
    } else if authority.is_empty() || authority.chars().any(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !HOST.contains(c)) {
        Some("it has no host")
    } else if !in_brackets && !port.bytes().all(|b| b.is_ascii_digit()) {
        Some("its port is no number")
    } else if text.chars().any(|c| c.is_ascii_control()) || broken(path) || broken(authority) {
        Some("it cannot be read")
    } else {
        None
    }
}

fn issuers(cx: &Cx<'_>, out: &mut Out) {
    let config = server(cx).get("serviceAccountConfig");
    let (issuer, accepted) = (config.get("issuer"), config.get("acceptedIssuers"));
    // Whoever has them already keeps them.
    let before = cx.before("spec/kubernetes/kubeAPIServer/serviceAccountConfig");
    let kept = before.is_set() && before.get("acceptedIssuers").same(&accepted);
    let others = if kept { Vec::new() } else { accepted.items() };
    for node in others.iter().chain(Some(&issuer).filter(|issuer| issuer.is_set())) {
        if let Some(why) = not_an_issuer(node.str()) {
            out.invalid(node, format!("{} is no issuer: {why}", node.shown())).help("for example `https://issuer.example.org`");
        }
    }
    let mut seen = BTreeSet::new();
    for node in &others {
        if issuer.is_set() && node.str() == issuer.str() {
            out.invalid(node, format!("{} is the issuer itself", node.shown())).and(&issuer, "the issuer").help("remove it");
        } else if !seen.insert(node.str()) {
            out.duplicate(node, format!("{} is listed twice", node.shown()));
        }
    }
}

fn audiences(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for node in server(cx).get("apiAudiences").items() {
        if !seen.insert(node.str()) {
            out.duplicate(&node, format!("{} is listed twice", node.shown()));
        }
        if node.str().contains(',') {
            out.invalid(&node, format!("{} contains a comma", node.shown())).help("one audience for each entry");
        }
    }
}

fn oidc(cx: &Cx<'_>, out: &mut Out) {
    let node = server(cx).get("oidcConfig");
    if node.is_set() && crate::admission::versions::since(cx.new.at("spec/kubernetes/version").str(), 32) {
        out.invalid(&node, "`oidcConfig` is gone from Kubernetes 1.32 on").on_key().help("use `structuredAuthentication`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_https_url() {
        for fine in ["https://a.org", "HTTPS://a.org:8443/b/c", "https://[::1]:443", "https://a.org/%41?", "https://a.org#"] {
            assert_eq!(not_an_issuer(fine), None, "{fine}");
        }
        for wrong in ["", "a.org", "//a.org", "http://a.org", "https://", "https:///x", "https://u:p@a.org", "https://a.org?q=1",
            "https://a.org#f", "https://a b", "https://a:b", "https://a.org/%zz"]
        {
            assert!(not_an_issuer(wrong).is_some(), "{wrong}");
        }
    }
}
