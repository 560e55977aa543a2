//! The network policies that a namespace begins with: nothing goes in or out but what a pod asks for by a label
//! (`components/machines-and-network.md` §7.1). What pods may say to each other follows from Services, and is the resource
//! manager's work (§7.2).

use ipnet::IpNet;
use serde_json::{Value, json};

use super::network::host;
use super::{list, text, texts};

/// Private IPv4 ranges.
const PRIVATE_V4: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];
/// Private IPv6 ranges.
const PRIVATE_V6: [&str; 2] = ["fe80::/10", "fc00::/7"];
/// Where the cache of a node answers that asks the cluster's DNS itself.
const NODE_LOCAL_DNS: [&str; 2] = ["169.254.20.10/32", "fd30:1319:f1e:230b::1/128"];

/// `networkPolicies` of a shoot's context: `{name, spec}` each, the one that closes the namespace last.
pub(super) fn of_shoot(seed: &Value, networks: &Value) -> Vec<Value> {
    all(seed, ["/pods", "/services", "/nodes"].into_iter().flat_map(|pointer| texts(networks, pointer)).collect())
}

/// `networkPolicies` of a seed's context: `namespaces` with what is allowed in each, `extension` with everything that the namespace
/// of an extension gets, and the peers `nodes`, none if nobody says where nodes are. Gateways that somebody else runs are none of
/// our business.
pub(super) fn of_seed(seed: &Value, gateways: &[Value], istio: bool) -> Value {
    let all = all(seed, Vec::new());
    let allow = |namespace: &str, what: &[&str]| {
        let wanted = |policy: &&Value| what.iter().any(|what| text(policy, "/name") == format!("allow-{what}"));
        json!({"namespace": namespace, "allow": all.iter().filter(wanted).collect::<Vec<_>>()})
    };
    let mut namespaces = vec![allow(
        "garden",
        &["to-runtime-apiserver", "to-dns", "to-public-networks", "to-private-networks", "to-blocked-cidrs"],
    )];
    if istio {
        namespaces.push(allow("istio-system", &["to-runtime-apiserver", "to-dns"]));
        namespaces.extend(gateways.iter().map(|gateway| {
            let of_all = text(gateway, "/namespaceLabels/gardener.cloud~1role") == "istio-ingress";
            allow(text(gateway, "/namespace"), if of_all { &["to-runtime-apiserver", "to-dns"] } else { &["to-dns"] })
        }));
    }
    let nodes: Vec<Value> =
        networks_of(seed, &["/spec/networks/nodes"]).map(|range| json!({"ipBlock": {"cidr": range}})).collect();
    json!({"namespaces": namespaces, "extension": all, "nodes": nodes})
}

/// Ranges of a seed's networks; several of one network are parted by commas.
fn networks_of<'v>(seed: &'v Value, pointers: &'v [&str]) -> impl Iterator<Item = &'v str> {
    let texts = pointers.iter().flat_map(|pointer| text(seed, pointer).split(','));
    texts.map(str::trim).filter(|range| !range.is_empty())
}

/// All policies of a namespace; private networks leave out those of the seed, and `others`.
fn all(seed: &Value, others: Vec<&str>) -> Vec<Value> {
    let blocked = texts(seed, "/spec/networks/blockCIDRs");
    let families = list(seed, "/spec/networks/ipFamilies");
    let only_v6 = families.len() == 1 && families[0] == "IPv6";
    let of_seed: Vec<&str> =
        networks_of(seed, &["/spec/networks/pods", "/spec/networks/services", "/spec/networks/nodes"]).collect();
    let mut apart = blocked.clone();
    apart.extend(of_seed.iter().copied());
    apart.extend(others);
    let mut around_v4 = PRIVATE_V4.to_vec();
    around_v4.extend(&blocked);
    let mut around_v6 = PRIVATE_V6.to_vec();
    around_v6.extend(&blocked);
    if only_v6 {
        around_v6.extend(&of_seed);
    }
    let private = |all: &[&str]| to(all.iter().filter_map(|range| block(range, &apart)).collect());
    vec![
        // Where the seed's API server listens is not known from here, so this is narrowed by port and not by address.
        allow(
            "to-runtime-apiserver",
            vec![json!({"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]})],
        ),
        allow("to-dns", vec![dns(seed)]),
        allow(
            "to-public-networks",
            [block("0.0.0.0/0", &around_v4), block("::/0", &around_v6)]
                .into_iter()
                .flatten()
                .filter_map(|b| to(vec![b]))
                .collect(),
        ),
        allow("to-private-networks", [private(&PRIVATE_V4), private(&PRIVATE_V6)].into_iter().flatten().collect()),
        allow("to-blocked-cidrs", blocked.iter().filter_map(|range| to(vec![json!({"cidr": range})])).collect()),
        json!({"name": "deny-all", "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
    ]
}

/// What pods may do that ask for it by a label.
fn allow(what: &str, egress: Vec<Value>) -> Value {
    let label = format!("networking.gardener.cloud/{what}");
    let mut spec = json!({"podSelector": {"matchLabels": {label: "allowed"}}, "policyTypes": ["Egress"]});
    if !egress.is_empty() {
        spec["egress"] = egress.into();
    }
    json!({"name": format!("allow-{what}"), "spec": spec})
}

/// The rule for blocks of addresses; none for none, since a rule without peers would be for everybody.
fn to(blocks: Vec<Value>) -> Option<Value> {
    let peers: Vec<Value> = blocks.into_iter().map(|block| json!({"ipBlock": block})).collect();
    (!peers.is_empty()).then(|| json!({"to": peers}))
}

/// The rule for the seed's DNS: its pods, the caches of nodes, and the address of its Service.
fn dns(seed: &Value) -> Value {
    let service = networks_of(seed, &["/spec/networks/services"])
        .filter_map(|range| host(range, 10))
        .map(|address| if address.contains(':') { format!("{address}/128") } else { format!("{address}/32") });
    let addresses = NODE_LOCAL_DNS.into_iter().map(str::to_owned).chain(service);
    let pods = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns", "node-local-dns"]}]},
    });
    let peers: Vec<Value> = [pods].into_iter().chain(addresses.map(|range| json!({"ipBlock": {"cidr": range}}))).collect();
    let ports: Vec<Value> = [("UDP", 53), ("TCP", 53), ("UDP", 8053), ("TCP", 8053)]
        .into_iter()
        .map(|(protocol, port)| json!({"protocol": protocol, "port": port}))
        .collect();
    json!({"to": peers, "ports": ports})
}

/// A block of addresses without those ranges that lie in it; `None` if nothing of it is left.
fn block(cidr: &str, without: &[&str]) -> Option<Value> {
    let whole: IpNet = cidr.parse().ok()?;
    let inside: Vec<IpNet> = without
        .iter()
        .filter_map(|range| range.parse::<IpNet>().ok())
        .map(|net| net.trunc())
        .filter(|net| whole.contains(net))
        .collect();
    if without.iter().filter_map(|range| range.parse::<IpNet>().ok()).any(|net| net.contains(&whole)) {
        return None;
    }
    let mut except: Vec<String> = inside.iter().map(ToString::to_string).collect();
    except.sort_unstable();
    except.dedup();
    if except.is_empty() { Some(json!({"cidr": cidr})) } else { Some(json!({"cidr": cidr, "except": except})) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Value {
        let networks = json!({"pods": "10.0.0.0/16", "services": "10.1.0.0/16", "blockCIDRs": ["169.254.169.254/32"]});
        json!({"spec": {"networks": networks}})
    }

    fn egress<'v>(policies: &'v [Value], name: &str) -> &'v Value {
        let policy = policies.iter().find(|policy| policy["name"] == name).expect("it is there");
        &policy["spec"]["egress"]
    }

    #[test]
    fn ranges_of_seed_and_shoot_are_no_private_networks() {
        let networks = json!({"pods": ["100.96.0.0/11"], "services": ["100.64.0.0/13"], "nodes": ["192.168.0.0/16"]});
        let policies = of_shoot(&seed(), &networks);
        let private = egress(&policies, "allow-to-private-networks");
        let first = &private[0]["to"][0]["ipBlock"];
        assert_eq!(first, &json!({"cidr": "10.0.0.0/8", "except": ["10.0.0.0/16", "10.1.0.0/16"]}));
        // The whole block belongs to the shoot's nodes.
        assert!(!private.to_string().contains("192.168.0.0/16"));
        let dns = egress(&policies, "allow-to-dns");
        assert!(dns.to_string().contains("10.1.0.10/32"), "{dns}");
        let public = egress(&policies, "allow-to-public-networks");
        assert!(public[0]["to"][0]["ipBlock"]["except"].to_string().contains("169.254.169.254/32"));
        assert_eq!(public[1]["to"][0]["ipBlock"]["except"], json!(["fc00::/7", "fe80::/10"]));
        assert_eq!(policies.last().map(|policy| &policy["name"]), Some(&json!("deny-all")));
    }

    #[test]
    fn a_rule_for_no_range_is_left_out() {
        let mut seed = seed();
        seed["spec"]["networks"]["blockCIDRs"] = json!(["0.0.0.0/0", "::/0"]);
        let policies = of_shoot(&seed, &json!({}));
        for name in ["allow-to-public-networks", "allow-to-private-networks"] {
            assert_eq!(egress(&policies, name), &Value::Null, "{name}");
        }
        seed["spec"]["networks"]["blockCIDRs"] = json!([]);
        assert_eq!(egress(&of_shoot(&seed, &json!({})), "allow-to-blocked-cidrs"), &Value::Null);
    }

    #[test]
    fn gateways_of_exposure_classes_get_less_and_those_of_others_nothing() {
        let gateways = [
            json!({"namespace": "istio-ingress", "namespaceLabels": {"gardener.cloud/role": "istio-ingress"}}),
            json!({"namespace": "handler", "namespaceLabels": {"gardener.cloud/role": "exposureclass-handler"}}),
        ];
        let names = |istio: bool| -> Vec<String> {
            let policies = of_seed(&seed(), &gateways, istio);
            let count = |of: &Value| format!("{} {}", text(of, "/namespace"), list(of, "/allow").len());
            list(&policies, "/namespaces").iter().map(count).collect()
        };
        assert_eq!(names(true), ["garden 5", "istio-system 2", "istio-ingress 2", "handler 1"]);
        assert_eq!(names(false), ["garden 5"]);
    }

    #[test]
    fn nodes_are_where_the_seed_says() {
        let mut seed = seed();
        assert_eq!(of_seed(&seed, &[], true)["nodes"], json!([]));
        seed["spec"]["networks"]["nodes"] = json!("10.2.0.0/16, fd00::/64");
        let nodes = json!([{"ipBlock": {"cidr": "10.2.0.0/16"}}, {"ipBlock": {"cidr": "fd00::/64"}}]);
        assert_eq!(of_seed(&seed, &[], true)["nodes"], nodes);
    }
}
