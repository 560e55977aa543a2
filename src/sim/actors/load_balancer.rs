//! Addresses for Services of type LoadBalancer, with the finalizer that keeps the Service until the load balancer is gone.
//! The annotation [`KIND`] with the value `hostname` asks for a name instead of an address, as some clouds give.

use serde_json::json;

use super::object::{annotation, has_finalizer, is_deleting, items, text, with_finalizer, without_finalizer};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Gives addresses to Services.
pub(super) struct LoadBalancers;

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// The annotation on a Service that chooses between `ip` and `hostname`.
const KIND: &str = "sim.espalier.dev/load-balancer";

impl Actor for LoadBalancers {
    fn name(&self) -> &'static str {
        "cloud-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Service")]
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(service) = cx.get(key) else { return Ok(Again::Done) };
        let wanted = text(&service, "/spec/type") == "LoadBalancer" && !is_deleting(&service);
        if !wanted {
            if has_finalizer(&service, FINALIZER) {
                if !is_deleting(&service) {
                    cx.merge_status(key, &service, &json!({"loadBalancer": {}}))?;
                }
                let service = cx.get(key).unwrap_or(service);
                cx.patch_metadata(key, &service, json!({"finalizers": without_finalizer(&service, FINALIZER)}))?;
            }
            return Ok(Again::Done);
        }
        if !has_finalizer(&service, FINALIZER) {
            cx.patch_metadata(key, &service, json!({"finalizers": with_finalizer(&service, FINALIZER)}))?;
        }
        if !items(&service, "/status/loadBalancer/ingress").is_empty() {
            return Ok(Again::Done);
        }
        if matches!(cx.fail(&service), Some(Fail::Stuck | Fail::Error(_))) {
            return Ok(Again::Done);
        }
        if let Some(left) = cx.wait("address", 20..=90) {
            return Ok(Again::After(left));
        }
        let mut random = cx.random("address");
        // 172.18.0.0/15 is what local clusters use; nothing outside this machine has such an address.
        let v4 =
            || json!({"ip": format!("172.{}.{}.{}", random.u8(18..=19), random.u8(..), random.u8(1..=254)), "ipMode": "VIP"});
        let families: Vec<&str> = items(&service, "/spec/ipFamilies").iter().filter_map(|f| f.as_str()).collect();
        let ingress = if annotation(&service, KIND) == Some("hostname") {
            vec![json!({"hostname": format!("{}.lb.sim.example", cx.suffix("hostname", 12))})]
        } else {
            let mut v4 = v4;
            let v6 = |suffix: String| json!({"ip": format!("fd00:ec2::{suffix}"), "ipMode": "VIP"});
            let hex = format!("{:x}:{:x}", cx.random("v6").u16(1..), cx.random("v6-low").u16(1..));
            match families.as_slice() {
                ["IPv6"] => vec![v6(hex)],
                ["IPv4", "IPv6"] => vec![v4(), v6(hex)],
                ["IPv6", "IPv4"] => vec![v6(hex), v4()],
                _ => vec![v4()],
            }
        };
        let service = cx.get(key).unwrap_or(service);
        cx.merge_status(key, &service, &json!({"loadBalancer": {"ingress": ingress}}))?;
        Ok(Again::Done)
    }
}
