//! EndpointSlices of Services. As in every real cluster they carry the labels of their Service, ours among them, and belong to
//! the Service: labels select, they never prove ownership.

use serde_json::{Value, json};

use super::object::{controller_reference, is_controlled_by, is_deleting, items, text, uid};
use super::{Actor, Again, Cx, Refused};
use crate::observed::ObjectKey;

/// Writes EndpointSlices.
pub(super) struct EndpointSlices;

const GROUP: &str = "discovery.k8s.io";

impl Actor for EndpointSlices {
    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Service"), (GROUP, "EndpointSlice")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        if key.kind == "Service" {
            return vec![key.clone()];
        }
        // A slice that went is missed by the Service that it was named after.
        let name = key.name.rsplit_once('-').map(|(name, _)| name).filter(|_| !cx.exists(key));
        name.map(|name| ObjectKey::new("", "Service", &key.namespace, name)).into_iter().collect()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(service) = cx.get(key).filter(|s| !is_deleting(s)) else { return Ok(Again::Done) };
        let selects = service.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|s| !s.is_empty());
        if !selects || text(&service, "/spec/type") == "ExternalName" {
            return Ok(Again::Done);
        }
        let mut labels = service.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        labels["kubernetes.io/service-name"] = json!(key.name);
        labels["endpointslice.kubernetes.io/managed-by"] = json!("endpointslice-controller.k8s.io");
        if text(&service, "/spec/clusterIP") == "None" {
            labels["service.kubernetes.io/headless"] = json!("");
        }
        let families: Vec<&str> = match items(&service, "/spec/ipFamilies") {
            [] => vec!["IPv4"],
            families => families.iter().filter_map(Value::as_str).collect(),
        };
        for family in families {
            let name = format!("{}-{}", key.name, cx.suffix(family, 5));
            let slice_key = ObjectKey::new(GROUP, "EndpointSlice", &key.namespace, &name);
            let present = cx.get(&slice_key);
            if present.as_ref().is_some_and(|s| is_deleting(s) || !is_controlled_by(s, uid(&service))) {
                // Left over from a Service of the same name; the garbage collector takes it, and its event brings us back.
                continue;
            }
            if present.as_ref().is_some_and(|s| s.pointer("/metadata/labels") == Some(&labels)) {
                continue;
            }
            if let Some(present) = present {
                let patch = super::object::replacing(present.pointer("/metadata/labels"), &labels);
                cx.patch(&slice_key, &json!({"metadata": {"labels": patch}}))?;
            } else {
                // Without Pods there are no endpoints: the placeholder that the real controller writes too.
                cx.create(json!({
                    "apiVersion": format!("{GROUP}/v1"), "kind": "EndpointSlice", "addressType": family, "endpoints": [], "ports": [],
                    "metadata": {
                        "name": name, "namespace": key.namespace, "labels": labels,
                        "ownerReferences": controller_reference(&service),
                    },
                }))?;
            }
        }
        Ok(Again::Done)
    }
}
