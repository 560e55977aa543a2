//! ResourceQuotas: how many objects of a kind a namespace may have. What pods and volumes request is not added up.
//!
//! A new object is refused where it would be one too many by `status.used`, as the API server does it; bringing `status` up to date
//! is the controller's work and goes with the other consequences of a write, unless that is left to a controller manager.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::kind::Kind;
use super::store::Stored;
use super::validate::text;
use super::verbs::{Caller, How, Server, Spot};
use crate::value::Quantity;

/// Kinds of the core group that are counted by their plural as well.
const BY_PLURAL: &[&str] =
    &["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services"];

/// What an object counts as, by the names of quotas.
fn counts(kind: &Kind, object: &Value) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::from([(format!("count/{}", kind.resource()), 1)]);
    if !kind.group.is_empty() || !BY_PLURAL.contains(&kind.plural.as_str()) {
        return counts;
    }
    let phase = object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let ended = kind.kind == "Pod" && matches!(phase, "Succeeded" | "Failed");
    counts.insert(kind.plural.clone(), i64::from(!ended));
    if kind.kind == "Service" {
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let ports = spec.get("ports").and_then(Value::as_array).map_or(0, Vec::len);
        let balanced = text(spec, "type") == "LoadBalancer";
        let on_nodes = match text(spec, "type") {
            "NodePort" => true,
            "LoadBalancer" => spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)),
            _ => false,
        };
        counts.insert("services.loadbalancers".into(), i64::from(balanced));
        counts.insert("services.nodeports".into(), if on_nodes { i64::try_from(ports).unwrap_or(i64::MAX) } else { 0 });
    }
    counts
}

/// The plural and group of the kind that a name of a quota counts; `None`: it is no count.
fn counted(name: &str) -> Option<(&str, &str)> {
    match name.strip_prefix("count/") {
        Some(resource) => Some(resource.split_once('.').unwrap_or((resource, ""))),
        None if name.starts_with("services.") => Some(("services", "")),
        None => BY_PLURAL.contains(&name).then_some((name, "")),
    }
}

fn amount(quota: &Value, pointer: &str, name: &str) -> Option<i64> {
    let value = quota.pointer(pointer)?.get(name)?;
    value.as_str()?.parse::<Quantity>().ok().map(Quantity::value)
}

/// A quota and what the new object adds to it.
pub(crate) type Charge = (Arc<Stored>, BTreeMap<String, i64>);

impl Server {
    fn quotas(&self, namespace: &str) -> Vec<Arc<Stored>> {
        let quotas = self.store.collection("", "resourcequotas").filter(|_| !namespace.is_empty());
        quotas.into_iter().flat_map(|quotas| quotas.iter(Some(namespace))).cloned().collect()
    }

    /// Whether the quotas of a namespace have room for a new object, and what it adds to them.
    pub(crate) fn within_quotas(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Vec<Charge>, ApiError> {
        let mut charges = Vec::new();
        for stored in self.quotas(namespace) {
            let quota = stored.value();
            let mut added = counts(kind, object);
            added.retain(|name, count| *count > 0 && amount(&quota, "/status/hard", name).is_some());
            if added.is_empty() {
                continue;
            }
            let unknown: Vec<&str> =
                added.keys().filter(|name| amount(&quota, "/status/used", name).is_none()).map(String::as_str).collect();
            if !unknown.is_empty() {
                let why = format!("status unknown for quota: {}, resources: {}", stored.name, unknown.join(","));
                return Err(ApiError::forbidden(kind, name, &why));
            }
            let of = |pointer: &str, name: &str| amount(&quota, pointer, name).unwrap_or_default();
            let too_many = |name: &str, count: i64| of("/status/used", name).saturating_add(count) > of("/status/hard", name);
            let over: Vec<(&String, &i64)> = added.iter().filter(|(name, count)| too_many(name, **count)).collect();
            if !over.is_empty() {
                let list = |value: &dyn Fn(&str, i64) -> i64| {
                    over.iter().map(|(name, count)| format!("{name}={}", value(name, **count))).collect::<Vec<_>>().join(",")
                };
                let why = format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    stored.name,
                    list(&|_, count| count),
                    list(&|name, _| of("/status/used", name)),
                    list(&|name, _| of("/status/hard", name)),
                );
                return Err(ApiError::forbidden(kind, name, &why));
            }
            charges.push((stored, added));
        }
        Ok(charges)
    }

    /// Notes a new object in the quotas that it was found to be within.
    pub(crate) fn charge(&mut self, caller: &Caller, charges: Vec<Charge>) {
        for (stored, added) in charges {
            let mut quota = stored.value();
            for (name, count) in added {
                let used = amount(&quota, "/status/used", &name).unwrap_or_default().saturating_add(count);
                quota["status"]["used"][name] = used.to_string().into();
            }
            self.write_status(caller, "kube-apiserver", &stored, quota);
        }
    }

    /// Counts anew what the quotas of a namespace are about.
    pub(crate) fn recount(&mut self, caller: &Caller, namespace: &str) {
        for stored in self.quotas(namespace) {
            let mut quota = stored.value();
            let hard = quota.pointer("/spec/hard").and_then(Value::as_object).cloned().unwrap_or_default();
            let used: Map<String, Value> = hard
                .keys()
                .filter_map(|name| {
                    let (plural, group) = counted(name)?;
                    let collection = self.store.collection(group, plural)?;
                    let one = |stored: &Arc<Stored>| counts(&collection.kind, &stored.value()).get(name).copied().unwrap_or(0);
                    let count: i64 = collection.iter(Some(namespace)).map(one).sum();
                    Some((name.clone(), count.to_string().into()))
                })
                .collect();
            let status = json!({"hard": hard, "used": used});
            if !stored.deleting && quota.get("status") != Some(&status) {
                quota["status"] = status;
                self.write_status(caller, "kube-controller-manager", &stored, quota);
            }
        }
    }

    fn write_status(&mut self, caller: &Caller, manager: &str, stored: &Stored, quota: Value) {
        let kind = Arc::clone(self.store.kinds.plural("", "resourcequotas").expect("quotas are built in"));
        let caller =
            Caller { manager: manager.into(), dry_run: false, patch: false, shown: None, scales: false, ..caller.clone() };
        let spot = Spot { kind: &kind, version: "v1", subresource: "status", namespace: &stored.namespace, name: &stored.name };
        let written = self.update(&caller, spot, quota, How::Update);
        debug_assert!(written.is_ok(), "the status of a quota that was just found can be written: {written:?}");
    }
}
