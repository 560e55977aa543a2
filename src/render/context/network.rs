//! Domains and networks of a shoot: host names, ranges, and the addresses derived from them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{Identity, at, list, text, texts};

/// The internal domain of a landscape, as the seed or `landscape.yaml` names it: `{domain, provider, zone, secret}`.
fn base_domain(seed: &Value, landscape: &Value) -> Value {
    let from_seed = at(seed, "/spec/dns/internal");
    if !text(from_seed, "/domain").is_empty() {
        return provider_of(from_seed);
    }
    for pointer in ["/spec/domains/internal", "/spec/dns/internal", "/spec/internalDomain"] {
        let found = at(landscape, pointer);
        if found.is_string() {
            return json!({"domain": found, "provider": "unmanaged", "zone": null, "secret": null});
        }
        if !text(found, "/domain").is_empty() {
            return provider_of(found);
        }
    }
    json!({"domain": "internal.local", "provider": "unmanaged", "zone": null, "secret": null})
}

/// All default domains, the seed's first.
fn default_domains(seed: &Value, landscape: &Value) -> Vec<Value> {
    let mut domains: Vec<Value> = list(seed, "/spec/dns/defaults").iter().map(provider_of).collect();
    for pointer in ["/spec/domains/default", "/spec/domains/defaults", "/spec/dns/defaults", "/spec/defaultDomains"] {
        let found = at(landscape, pointer);
        match found {
            Value::Array(items) => domains.extend(items.iter().map(provider_of)),
            Value::Object(_) => domains.push(provider_of(found)),
            Value::String(_) => domains.push(json!({"domain": found, "provider": "unmanaged", "zone": null, "secret": null})),
            _ => {}
        }
    }
    domains
}

/// One way to say it: domain, provider type, zone, and the garden Secret with the credentials.
fn provider_of(entry: &Value) -> Value {
    if entry.is_string() {
        return json!({"domain": entry, "provider": "unmanaged", "zone": null, "secret": null});
    }
    let provider = ["/type", "/provider"].into_iter().map(|p| text(entry, p)).find(|t| !t.is_empty()).unwrap_or("unmanaged");
    let reference = ["/credentialsRef", "/secretRef"].into_iter().map(|p| at(entry, p)).find(|r| !r.is_null());
    let secret = reference.map(|reference| {
        let namespace = Some(text(reference, "/namespace")).filter(|ns| !ns.is_empty()).unwrap_or("garden");
        json!({"namespace": namespace, "name": text(reference, "/name"), "kind": reference.get("kind").cloned().unwrap_or_else(|| "Secret".into())})
    });
    json!({"domain": text(entry, "/domain"), "provider": provider, "zone": at(entry, "/zone"), "secret": secret})
}

/// The name below a seed's ingress domain under which an API server shows the seed's wildcard certificate.
#[must_use]
pub fn trusted_host(project: &str, shoot: &str, ingress: &str) -> String {
    format!("api-{project}--{shoot}.{ingress}")
}

/// `domain` of the context.
pub(super) fn domains(shoot: &Value, seed: &Value, landscape: &Value, project: &str, name: &str) -> Value {
    let base = base_domain(seed, landscape);
    let base_name = text(&base, "/domain");
    let label = if base_name.contains("internal") { "" } else { "internal." };
    let internal = format!("{name}.{project}.{label}{base_name}");
    let external = text(shoot, "/spec/dns/domain");
    // The provider of the external domain: the shoot's primary one, or that of the default domain it lies under.
    let primary = list(shoot, "/spec/dns/providers").iter().find(|provider| super::flag(provider, "/primary"));
    let primary = primary.or_else(|| list(shoot, "/spec/dns/providers").first());
    let managed = match primary {
        _ if external.is_empty() => Value::Null,
        Some(provider) => {
            let namespace = text(shoot, "/metadata/namespace");
            let secret = [text(provider, "/credentialsRef/name"), text(provider, "/secretName")];
            let secret = secret
                .into_iter()
                .find(|s| !s.is_empty())
                .map(|secret| json!({"namespace": namespace, "name": secret, "kind": "Secret"}));
            json!({"domain": external, "provider": text(provider, "/type"), "zone": Value::Null, "secret": secret})
        }
        None => default_domains(seed, landscape)
            .into_iter()
            .find(|domain| external.ends_with(&format!(".{}", text(domain, "/domain"))))
            .unwrap_or_else(|| json!({"domain": external, "provider": "unmanaged", "zone": null, "secret": null})),
    };
    let usable = |provider: &Value| !matches!(text(provider, "/provider"), "" | "unmanaged");
    let external = (!external.is_empty()).then_some(external);
    let hosts: Vec<String> =
        [Some(internal.as_str()), external].into_iter().flatten().map(|domain| format!("api.{domain}")).collect();
    let ingress = text(seed, "/spec/ingress/domain");
    json!({
        "internal": internal,
        "external": external,
        "apiHosts": hosts,
        "apiTrusted": (!ingress.is_empty()).then(|| trusted_host(project, name, ingress)),
        "apiInternal": format!("api.{internal}"),
        "apiExternal": external.map(|domain| format!("api.{domain}")),
        "ingress": external.map(|domain| format!("*.ingress.{domain}")),
        "internalProvider": usable(&base).then(|| base.clone()),
        "externalProvider": usable(&managed).then(|| managed.clone()),
        "uses": usable(&base) && usable(&managed),
    })
}

/// The nth address of a range.
pub(super) fn host(cidr: &str, n: u32) -> Option<String> {
    let net: IpNet = cidr.parse().ok()?;
    let address = match net.network() {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_add(n)?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_add(n.into())?.into()),
    };
    net.contains(&address).then(|| address.to_string())
}

/// Whether a range is IPv6.
fn is_v6(cidr: &str) -> bool {
    cidr.contains(':')
}

/// The ranges of one network: what the spec says, then what the infrastructure reported.
fn ranges(shoot: &Value, identity: &Identity, which: &str) -> Vec<String> {
    let from_spec = at(shoot, &format!("/spec/networking/{which}"));
    let mut found: Vec<String> = match from_spec {
        Value::String(one) => one.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    for range in texts(&identity.status, &format!("/networking/{which}")) {
        if !found.iter().any(|known| known == range) {
            found.push(range.to_owned());
        }
    }
    found
}

/// `networks` of the context.
pub(super) fn networks(shoot: &Value, identity: &Identity) -> Value {
    let mut families = texts(shoot, "/spec/networking/ipFamilies");
    if families.is_empty() {
        families.push("IPv4");
    }
    let (pods, services, nodes) =
        (ranges(shoot, identity, "pods"), ranges(shoot, identity, "services"), ranges(shoot, identity, "nodes"));
    // Workerless shoots may leave the services network out.
    let services = if services.is_empty() {
        vec![if families[0] == "IPv6" { "fd30::/112".to_owned() } else { "100.64.0.0/13".to_owned() }]
    } else {
        services
    };
    let hosts = |n: u32| -> Vec<String> { services.iter().filter_map(|range| host(range, n)).collect() };
    let (api, dns) = (hosts(1), hosts(10));
    let v6_first = families[0] == "IPv6";
    // The Network object wants the first range, in dual stack with IPv6 first the second.
    let pick = |ranges: &[String]| ranges.get(usize::from(v6_first && ranges.len() > 1)).or_else(|| ranges.first()).cloned();
    json!({
        "type": at(shoot, "/spec/networking/type"),
        "providerConfig": at(shoot, "/spec/networking/providerConfig"),
        "ipFamilies": families,
        "dualStack": families.len() > 1,
        "ipv6First": v6_first,
        "pods": pods,
        "services": services,
        "nodes": nodes,
        "podCIDR": pick(&pods),
        "serviceCIDR": pick(&services),
        "podsV4": pods.iter().filter(|range| !is_v6(range)).collect::<Vec<_>>(),
        "podsV6": pods.iter().filter(|range| is_v6(range)).collect::<Vec<_>>(),
        "apiServerIPs": api,
        "apiServerIP": api.first(),
        "dnsIPs": dns,
        "dnsIP": dns.first(),
    })
}
