//! Address ranges of the network policies in a shoot's namespace (`components/machines-and-network.md` §7.1).

use ipnet::IpNet;
use serde_json::{Value, json};

use super::network::host;
use super::{list, text, texts};

/// Private IPv4 ranges.
const PRIVATE_V4: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];
/// Private IPv6 ranges.
const PRIVATE_V6: [&str; 2] = ["fe80::/10", "fc00::/7"];

/// `networkPolicies` of the context.
pub(super) fn ranges(seed: &Value, networks: &Value) -> Value {
    let blocked = texts(seed, "/spec/networks/blockCIDRs");
    let families = list(seed, "/spec/networks/ipFamilies");
    let only_v6 = families.len() == 1 && families[0] == "IPv6";
    let of_seed: Vec<&str> = ["/spec/networks/pods", "/spec/networks/services", "/spec/networks/nodes"]
        .into_iter()
        .flat_map(|pointer| text(seed, pointer).split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .collect();
    let of_shoot = ["/pods", "/services", "/nodes"].into_iter().flat_map(|pointer| texts(networks, pointer));
    let mut apart = blocked.clone();
    apart.extend(of_seed.iter().copied());
    apart.extend(of_shoot);
    let mut around_v4 = PRIVATE_V4.to_vec();
    around_v4.extend(&blocked);
    let mut around_v6 = PRIVATE_V6.to_vec();
    around_v6.extend(&blocked);
    if only_v6 {
        around_v6.extend(&of_seed);
    }
    let blocks = |all: &[&str]| -> Vec<Value> { all.iter().filter_map(|range| block(range, &apart)).collect() };
    let dns: Vec<String> = text(seed, "/spec/networks/services")
        .split(',')
        .filter_map(|range| host(range.trim(), 10))
        .map(|address| if address.contains(':') { format!("{address}/128") } else { format!("{address}/32") })
        .collect();
    json!({
        "public": [block("0.0.0.0/0", &around_v4), block("::/0", &around_v6)],
        "private": [blocks(&PRIVATE_V4), blocks(&PRIVATE_V6)],
        "blocked": blocked,
        "dns": dns,
    })
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

    #[test]
    fn ranges_of_seed_and_shoot_are_no_private_networks() {
        let seed = json!({"spec": {"networks": {"pods": "10.0.0.0/16", "services": "10.1.0.0/16", "blockCIDRs": ["169.254.169.254/32"]}}});
        let networks = json!({"pods": ["100.96.0.0/11"], "services": ["100.64.0.0/13"], "nodes": ["192.168.0.0/16"]});
        let ranges = ranges(&seed, &networks);
        assert_eq!(ranges["private"][0][0], json!({"cidr": "10.0.0.0/8", "except": ["10.0.0.0/16", "10.1.0.0/16"]}));
        // The whole block belongs to the shoot's nodes.
        assert!(!ranges["private"].to_string().contains("192.168.0.0/16"));
        assert_eq!(ranges["dns"], json!(["10.1.0.10/32"]));
        assert!(ranges["public"][0]["except"].to_string().contains("169.254.169.254/32"));
        assert_eq!(ranges["public"][1]["except"], json!(["fc00::/7", "fe80::/10"]));
    }
}
