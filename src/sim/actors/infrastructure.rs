//! Infrastructure: networks, routers and the like of a shoot at its provider. Says which networks came of it.

use serde_json::{Value, json};

use super::handshake::{Extension, Problem, Progress, require_secret_ref, shoot};
use super::object::{EXTENSIONS, at, items, text};
use super::{Cx, Lag};

/// The infrastructure controller of any provider.
pub(super) struct Infrastructures;

impl Extension for Infrastructures {
    fn name(&self) -> &'static str {
        "gardener-extension-infrastructure"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "Infrastructure")]
    }

    fn lag(&self) -> Lag {
        30..=120
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        require_secret_ref(cx, object)?;
        let shoot = shoot(cx);
        let nodes = networks(&shoot, "nodes").or_else(|| own_networks(object)).unwrap_or_else(|| vec![json!("10.250.0.0/16")]);
        let mut networking = json!({"nodes": nodes});
        for field in ["pods", "services"] {
            if let Some(networks) = networks(&shoot, field) {
                networking[field] = Value::Array(networks);
            }
        }
        let kind = text(object, "/spec/type");
        let mut random = cx.random("egress");
        let egress = format!("198.51.100.{}/32", random.u8(1..=254));
        Ok(Progress::Done(json!({
            "providerStatus": {
                "apiVersion": format!("{kind}.provider.extensions.gardener.cloud/v1alpha1"), "kind": "InfrastructureStatus",
                "networks": {"id": format!("vpc-{}", cx.suffix("network", 12)), "nodes": nodes},
            },
            "nodesCIDR": nodes.first(),
            "networking": networking,
            "egressCIDRs": [egress],
            "state": {"network": format!("vpc-{}", cx.suffix("network", 12)), "region": at(object, "/spec/region")},
        })))
    }
}

/// Networks of the shoot's spec: all that its status already knows, otherwise the one that is wished for.
fn networks(shoot: &Value, field: &str) -> Option<Vec<Value>> {
    let known = items(shoot, &format!("/status/networking/{field}"));
    if !known.is_empty() {
        return Some(known.to_vec());
    }
    shoot.pointer(&format!("/spec/networking/{field}")).filter(|n| n.is_string()).map(|n| vec![n.clone()])
}

/// The node networks that a provider's own configuration asks for.
fn own_networks(object: &Value) -> Option<Vec<Value>> {
    let config = object.pointer("/spec/providerConfig/networks")?;
    let places = ["/workers", "/worker", "/vpc/cidr", "/vnet/cidr"];
    let zones: Vec<Value> = items(config, "/zones").iter().filter_map(|z| z.get("workers")).cloned().collect();
    places
        .iter()
        .find_map(|p| config.pointer(p).filter(|n| n.is_string()))
        .map(|n| vec![n.clone()])
        .or((!zones.is_empty()).then_some(zones))
}
