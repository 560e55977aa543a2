//! The tunnel between a shoot and its control plane (`components/machines-and-network.md` §10).

use serde_json::{Value, json};

use super::{list, text, texts};

/// A switch among a shoot's annotations.
fn annotated(shoot: &Value, name: &str) -> Option<bool> {
    let annotations = shoot.pointer("/metadata/annotations")?;
    let value = annotations.get(format!("alpha.control-plane.shoot.gardener.cloud/{name}"))?;
    value.as_str()?.parse().ok()
}

/// `vpn` of the context.
pub(super) fn settings(shoot: &Value, seed: &Value, networks: &Value, highly_available: bool, namespace: &str) -> Value {
    let ha = annotated(shoot, "high-availability-vpn").unwrap_or(highly_available);
    // A highly available control plane has two tunnels, each with a server and a Service of its own.
    let servers: Vec<Value> = if ha {
        (0..2).map(|n| server(&format!("vpn-seed-server-{n}"), &n.to_string(), namespace)).collect()
    } else {
        vec![server("vpn-seed-server", "", namespace)]
    };
    let joined = |pointer: &str| texts(networks, pointer).join(",");
    let families = list(seed, "/spec/networks/ipFamilies").first().and_then(Value::as_str).unwrap_or("IPv4");
    json!({
        "ha": ha,
        "servers": servers,
        "autoMTU": annotated(shoot, "vpn-auto-mtu").unwrap_or(false),
        "updatesOff": annotated(shoot, "vpn-vpa-update-disabled").unwrap_or(false),
        "families": joined("/ipFamilies"),
        "seedFamily": families,
        "services": joined("/services"),
        "pods": joined("/pods"),
        "nodes": joined("/nodes"),
        "seedPods": text(seed, "/spec/networks/pods"),
    })
}

/// One end of a tunnel in the seed.
fn server(name: &str, index: &str, namespace: &str) -> Value {
    json!({"name": name, "index": index, "destination": format!("outbound|1194||{name}.{namespace}.svc.cluster.local")})
}
