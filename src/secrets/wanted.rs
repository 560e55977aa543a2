//! What a control plane can want (`control-plane-objects.md` §2, `components/core.md` §0 and §2), and what of it templates name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Recipe, Wanted, ensure};
use crate::render::Scope;

/// The configuration name of the key for encryption at rest.
pub(super) const ENCRYPTION_KEY: &str = "kube-apiserver-etcd-encryption-key";
/// The configuration name of our own key for digests of secret content, in the garden.
pub const DIGEST_KEY: &str = "espalier-digest-key";

/// The secrets that a scope wants: those that its templates name, the authorities, bundles and keys that these are made from, and
/// nothing else.
#[must_use]
pub fn wanted(scope: Scope, context: &Value, named: &BTreeSet<String>) -> Vec<Wanted> {
    let table: BTreeMap<String, Wanted> = table(scope, context).into_iter().map(|w| (w.config.clone(), w)).collect();
    let mut take: Vec<String> = named.iter().cloned().collect();
    if scope == Scope::Garden {
        take.push(DIGEST_KEY.to_owned());
    }
    let mut taken = BTreeSet::new();
    while let Some(config) = take.pop() {
        if let Some(wanted) = table.get(&config)
            && taken.insert(config)
        {
            take.extend(ensure::needs(&wanted.recipe));
        }
    }
    table.into_values().filter(|w| taken.contains(&w.config)).collect()
}

/// The configuration names that templates of a scope may use.
#[must_use]
pub fn configs(scope: Scope) -> BTreeSet<String> {
    let mut all = table(scope, &Value::Null);
    if scope == Scope::Shoot {
        // Workers and high availability add to the table.
        all.extend(table(scope, &serde_json::json!({"workerless": false, "sshAccess": true, "ha": {"enabled": true}})));
    }
    all.into_iter().map(|w| w.config).collect()
}

fn table(scope: Scope, context: &Value) -> Vec<Wanted> {
    match scope {
        Scope::Shoot => shoot(&Shoot::of(context)),
        Scope::Seed => seed(context),
        Scope::Garden => vec![plain(DIGEST_KEY, Recipe::RandomKey)],
        Scope::Project => Vec::new(),
    }
}

/// What of a shoot's context its secrets depend on.
struct Shoot<'a> {
    context: &'a Value,
    namespace: &'a str,
    workerless: bool,
    ssh: bool,
}

impl<'a> Shoot<'a> {
    fn of(context: &'a Value) -> Self {
        let flag = |name: &str| context.get(name).and_then(Value::as_bool).unwrap_or(false);
        let namespace = context.pointer("/id/technicalID").and_then(Value::as_str).unwrap_or_default();
        Self { context, namespace, workerless: flag("workerless"), ssh: flag("sshAccess") }
    }

    fn text(&self, pointer: &str) -> Option<String> {
        self.context.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned)
    }

    /// The names by which a Service in the shoot's namespace is reached.
    fn service(&self, name: &str) -> Vec<String> {
        service(name, self.namespace)
    }
}

fn service(name: &str, namespace: &str) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]
}

fn plain(config: &str, recipe: Recipe) -> Wanted {
    Wanted { config: config.to_owned(), recipe, keep_old: false, persist: false }
}

/// An authority with its bundle: kept through rotations, persisted.
fn authority(config: &str) -> [Wanted; 2] {
    [
        Wanted {
            config: config.to_owned(),
            recipe: Recipe::Authority { common_name: config.to_owned() },
            keep_old: true,
            persist: true,
        },
        plain(&format!("{config}-bundle"), Recipe::Bundle { of: config.to_owned() }),
    ]
}

fn certificate(config: &str, authority: &str, common_name: &str, server: bool, client: bool, dns_names: Vec<String>) -> Wanted {
    plain(
        config,
        Recipe::Certificate {
            authority: authority.to_owned(),
            common_name: common_name.to_owned(),
            organizations: Vec::new(),
            dns_names,
            ip_addresses: Vec::new(),
            server,
            client,
        },
    )
}

fn client(config: &str, authority: &str, common_name: &str) -> Wanted {
    certificate(config, authority, common_name, false, true, Vec::new())
}

fn server(config: &str, authority: &str, common_name: &str, dns_names: Vec<String>) -> Wanted {
    certificate(config, authority, common_name, true, false, dns_names)
}

fn with_addresses(mut wanted: Wanted, addresses: Vec<String>) -> Wanted {
    if let Recipe::Certificate { ip_addresses, .. } = &mut wanted.recipe {
        *ip_addresses = addresses;
    }
    wanted
}

fn kept(mut wanted: Wanted) -> Wanted {
    wanted.keep_old = true;
    wanted.persist = true;
    wanted
}

fn loopback() -> Vec<String> {
    vec!["127.0.0.1".to_owned(), "::1".to_owned()]
}

fn shoot(shoot: &Shoot<'_>) -> Vec<Wanted> {
    let mut out = Vec::new();
    let mut authorities = vec!["ca", "ca-client", "ca-etcd", "ca-etcd-peer", "ca-front-proxy", "ca-istio-basic-auth-server"];
    if !shoot.workerless {
        authorities.extend(["ca-kubelet", "ca-metrics-server", "ca-vpn"]);
    }
    out.extend(authorities.into_iter().flat_map(authority));

    out.push(api_server(shoot));
    out.push(client("kube-aggregator", "ca-front-proxy", "system:kube-aggregator"));
    out.push(client("etcd-client", "ca-etcd", "etcd-client"));
    for role in ["main", "events"] {
        let mut names = vec![format!("etcd-{role}-local")];
        names.extend(shoot.service(&format!("etcd-{role}-client")));
        names.extend(shoot.service(&format!("*.etcd-{role}-peer")));
        let serving = certificate(&format!("etcd-server-{role}"), "ca-etcd", "etcd-server", true, true, names);
        out.push(with_addresses(serving, loopback()));
        let mut names = shoot.service(&format!("etcd-{role}-peer"));
        names.extend(shoot.service(&format!("*.etcd-{role}-peer")));
        let peer = certificate(&format!("etcd-peer-server-{role}"), "ca-etcd-peer", "etcd-server", true, true, names);
        out.push(with_addresses(peer, loopback()));
    }
    for component in ["kube-controller-manager", "gardener-resource-manager"] {
        out.push(server(&format!("{component}-server"), "ca", component, shoot.service(component)));
    }

    out.push(kept(plain("service-account-key", Recipe::SigningKey)));
    out.push(plain("service-account-key-bundle", Recipe::Bundle { of: "service-account-key".to_owned() }));
    out.push(kept(plain(ENCRYPTION_KEY, Recipe::EncryptionKey)));
    let mut resources: Vec<String> = shoot
        .context
        .pointer("/apiServer/encryptedResources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|r| r.as_str().map(str::to_owned))
        .collect();
    if !resources.iter().any(|r| r == "secrets") {
        resources.push("secrets".to_owned());
    }
    out.push(plain("kube-apiserver-etcd-encryption-configuration", Recipe::EncryptionConfiguration { resources }));
    out.push(Wanted { persist: true, ..plain("kube-apiserver-static-token", Recipe::StaticToken) });
    for config in ["observability-ingress", "observability-ingress-users"] {
        out.push(Wanted { persist: true, ..plain(config, Recipe::BasicAuth { user: "admin".to_owned() }) });
    }
    // Not every shoot has somebody to write mails to.
    let mails = shoot.context.pointer("/observability/alertmanager").and_then(Value::as_bool) != Some(false);
    for component in ["prometheus", "alertmanager", "plutono"].into_iter().filter(|c| mails || *c != "alertmanager") {
        let host = shoot.text(&format!("/observability/hosts/{component}"));
        out.push(server(&format!("{component}-tls"), "ca", component, host.into_iter().collect()));
    }
    let names = shoot.service("istio-basic-auth-server");
    out.push(server("istio-basic-auth-server", "ca-istio-basic-auth-server", "istio-basic-auth-server", names));
    let inside = "https://kube-apiserver".to_owned();
    out.push(Wanted {
        keep_old: true,
        ..plain(
            "generic-token-kubeconfig",
            Recipe::Kubeconfig { name: shoot.namespace.to_owned(), server: inside.clone(), authority: "ca".to_owned() },
        )
    });
    out.push(plain(
        "shoot-access-gardener-resource-manager-bootstrap",
        Recipe::ClientKubeconfig {
            name: shoot.namespace.to_owned(),
            server: inside,
            server_authority: "ca".to_owned(),
            authority: "ca-client".to_owned(),
            common_name: "gardener.cloud:system:gardener-resource-manager".to_owned(),
            organizations: vec!["system:masters".to_owned()],
        },
    ));
    if !shoot.workerless {
        out.extend(with_workers(shoot));
    }
    out
}

/// The API server's certificate, for every name and address under which it is reached.
fn api_server(shoot: &Shoot<'_>) -> Wanted {
    let mut names = shoot.service("kube-apiserver");
    names.push("localhost".to_owned());
    if !shoot.workerless {
        names.extend(service("kubernetes", "default"));
    }
    names.extend((!shoot.namespace.is_empty()).then(|| shoot.namespace.to_owned()));
    let configured = ["/domain/apiInternal", "/domain/external", "/domain/apiExternal"];
    names.extend(configured.into_iter().filter_map(|pointer| shoot.text(pointer)));
    let mut addresses = loopback();
    addresses.extend(shoot.text("/networks/apiServerIP"));
    let more = shoot.context.pointer("/networks/apiServerIPs").and_then(Value::as_array).into_iter().flatten();
    addresses.extend(more.filter_map(|ip| ip.as_str().map(str::to_owned)));
    let mut seen = BTreeSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    with_addresses(server("kube-apiserver", "ca", "kube-apiserver", names), addresses)
}

fn with_workers(shoot: &Shoot<'_>) -> Vec<Wanted> {
    let mut out = vec![
        client("kube-apiserver-kubelet", "ca-kubelet", "system:kube-apiserver:kubelet"),
        server("kube-scheduler-server", "ca", "kube-scheduler", shoot.service("kube-scheduler")),
        server("vpa-admission-controller-server", "ca", "vpa-admission-controller", shoot.service("vpa-webhook")),
        server("metrics-server", "ca-metrics-server", "metrics-server", service("metrics-server", "kube-system")),
        client("kube-apiserver-http-proxy-client", "ca-vpn", "kube-apiserver-http-proxy"),
        server("kube-apiserver-http-proxy", "ca-vpn", "kube-apiserver-http-proxy", shoot.service("kube-apiserver-http-proxy")),
        server("vpn-seed-server", "ca-vpn", "vpn-seed-server", shoot.service("vpn-seed-server")),
        client("vpn-seed-client", "ca-vpn", "vpn-seed-client"),
        client("vpn-shoot-client", "ca-vpn", "vpn-shoot-client"),
        client("vpn-shoot-client-0", "ca-vpn", "vpn-shoot-client-0"),
        client("vpn-shoot-client-1", "ca-vpn", "vpn-shoot-client-1"),
        Wanted { persist: true, ..plain("vpn-seed-server-tlsauth", Recipe::VpnAuth) },
    ];
    if shoot.ssh {
        out.push(kept(plain("ssh-keypair", Recipe::SshKeyPair)));
    }
    out
}

/// A seed's own authorities, the servers in its `garden` namespace, and what lets its operators in.
fn seed(context: &Value) -> Vec<Wanted> {
    let mut out: Vec<Wanted> = ["ca-seed", "ca-istio-basic-auth-server"].into_iter().flat_map(authority).collect();
    for component in ["gardener-resource-manager", "etcd-druid", "vpa-admission-controller"] {
        out.push(server(&format!("{component}-server"), "ca-seed", component, service(component, "garden")));
    }
    for component in ["prometheus-aggregate", "plutono"] {
        let host = context.pointer(&format!("/observability/hosts/{component}")).and_then(Value::as_str);
        let host = host.filter(|host| !host.is_empty()).map(str::to_owned);
        out.push(server(&format!("{component}-tls"), "ca-seed", component, host.into_iter().collect()));
    }
    out.push(plain("observability-ingress", Recipe::BasicAuth { user: "admin".to_owned() }));
    let names = service("istio-basic-auth-server", "garden");
    out.push(server("istio-basic-auth-server", "ca-istio-basic-auth-server", "istio-basic-auth-server", names));
    out
}
