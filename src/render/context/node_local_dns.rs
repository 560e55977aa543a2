//! The DNS cache of every node (`components/shoot-and-observability.md` §3.3).

use serde_json::{Value, json};

use super::pool::is_tied_to_node_dns;
use super::{at, flag, list, text, texts};

/// What the cache puts in place of the address of the cluster's own DNS servers.
const CLUSTER: &str = "__PILLAR__CLUSTER__DNS__";
/// What it puts in place of those of the node.
const UPSTREAM: &str = "__PILLAR__UPSTREAM__SERVERS__";

/// `nodeLocalDNS` of the context.
pub(super) fn settings(shoot: &Value, networks: &Value) -> Value {
    let settings = at(shoot, "/spec/systemComponents/nodeLocalDNS");
    let proxy = at(shoot, "/spec/kubernetes/kubeProxy");
    let ipvs = at(proxy, "/enabled").as_bool() != Some(false) && text(proxy, "/mode").eq_ignore_ascii_case("ipvs");
    let link = if flag(networks, "/ipv6First") { "fd30:1319:f1e:230b::1" } else { "169.254.20.10" };
    let servers = texts(networks, "/dnsIPs");
    // In IPVS mode the service's address is on the node already, so the cache cannot listen there.
    let mut addresses = vec![link];
    if !ipvs {
        addresses.extend(&servers);
    }
    let cluster = if ipvs { servers.join(" ") } else { CLUSTER.to_owned() };
    let tcp = |field: &str, fallback: bool| {
        if at(settings, field).as_bool().unwrap_or(fallback) { "force_tcp" } else { "prefer_udp" }
    };
    let to_cluster = tcp("/forceTCPToClusterDNS", true);
    let (upstream, to_upstream) = if flag(settings, "/disableForwardToUpstreamDNS") {
        (cluster.as_str(), to_cluster)
    } else {
        (UPSTREAM, tcp("/forceTCPToUpstreamDNS", false))
    };
    let bind = addresses.join(" ");
    let staying = list(shoot, "/spec/provider/workers").iter().filter(|pool| !is_tied_to_node_dns(shoot, pool));
    json!({
        "enabled": flag(settings, "/enabled"),
        // The pools whose nodes are not replaced when it is switched off, so that what it set up may stay on them.
        "staying": staying.map(|pool| text(pool, "/name")).collect::<Vec<_>>(),
        "linkAddress": link,
        "addresses": addresses,
        "bind": bind,
        "corefile": corefile(link, &bind, &cluster, to_cluster, upstream, to_upstream),
    })
}

fn corefile(link: &str, bind: &str, cluster: &str, to_cluster: &str, upstream: &str, to_upstream: &str) -> String {
    let health = if link.contains(':') { format!("[{link}]") } else { link.to_owned() };
    let forward = |server: &str, how: &str| format!("    forward . {server} {{\n      {how}\n    }}\n");
    let zone = |name: &str, cache: &str, health: &str, import: &str, forward: &str| {
        format!(
            "{name}:53 {{\n{import}    errors\n    {cache}\n    reload\n    loop\n    bind {bind}\n{forward}    prometheus :9253\n{health}}}\n"
        )
    };
    let own = "    import custom/*.override\n";
    let long = "cache {\n      success 9984 30\n      denial 9984 5\n    }";
    let within = forward(cluster, to_cluster);
    [
        zone("cluster.local", long, &format!("    health {health}:8099\n"), own, &within),
        zone("in-addr.arpa", "cache 30", "", "", &within),
        zone("ip6.arpa", "cache 30", "", "", &within),
        zone(".", "cache 30", "", own, &forward(upstream, to_upstream)),
        "import generated-config/custom-server-block.server\n".to_owned(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_ipvs_mode_only_the_link_address_is_listened_to() {
        let networks = json!({"ipv6First": false, "dnsIPs": ["100.64.0.10"]});
        let mut shoot = json!({"spec": {"kubernetes": {"kubeProxy": {"mode": "IPVS"}}, "systemComponents": {"nodeLocalDNS": {"enabled": true}}}});
        let ipvs = settings(&shoot, &networks);
        assert_eq!(ipvs["addresses"], json!(["169.254.20.10"]));
        assert!(text(&ipvs, "/corefile").contains("forward . 100.64.0.10 {\n      force_tcp"));
        shoot["spec"]["kubernetes"]["kubeProxy"]["mode"] = json!("IPTables");
        let tables = settings(&shoot, &networks);
        assert_eq!(tables["bind"], "169.254.20.10 100.64.0.10");
        assert!(text(&tables, "/corefile").contains(CLUSTER) && text(&tables, "/corefile").contains("prefer_udp"));
    }

    #[test]
    fn nodes_that_are_not_replaced_stay_when_it_is_switched_off() {
        let mut shoot = json!({"spec": {"kubernetes": {"version": "1.34.2"}, "provider": {"workers": [
            {"name": "old", "kubernetes": {"version": "1.33.5"}}, {"name": "stays"},
        ]}}});
        let staying = |shoot: &Value| settings(shoot, &json!({"dnsIPs": ["100.64.0.10"]}))["staying"].clone();
        assert_eq!(staying(&shoot), json!(["stays"]));
        shoot["spec"]["kubernetes"]["kubeProxy"] = json!({"mode": "IPVS"});
        assert_eq!(staying(&shoot), json!([]));
    }
}
