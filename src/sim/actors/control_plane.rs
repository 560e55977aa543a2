//! ControlPlane: what the provider puts into a shoot's control plane. Here the cloud-controller-manager and its configuration,
//! objects that carry neither our labels nor an owner, as charts of real extensions leave them.

use serde_json::{Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress, require_secret_ref, shoot};
use super::object::{EXTENSIONS, at, flag, text};
use crate::observed::ObjectKey;

/// The control plane controller of any provider.
pub(super) struct ControlPlanes;

const MANAGER: &str = "cloud-controller-manager";
const CONFIG: &str = "cloud-provider-config";

impl Extension for ControlPlanes {
    fn name(&self) -> &'static str {
        "gardener-extension-controlplane"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "ControlPlane")]
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        require_secret_ref(cx, object)?;
        let shoot = shoot(cx);
        let namespace = &cx.key.namespace;
        let provider = text(object, "/spec/type");
        let replicas = i64::from(!flag(&shoot, "/spec/hibernation/enabled"));
        let labels = json!({"app": "kubernetes", "role": MANAGER});
        cx.ensure(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG, "namespace": namespace},
            "data": {"cloudprovider.conf": format!("region={}\n", text(object, "/spec/region"))},
        }))?;
        let version = text(&shoot, "/spec/kubernetes/version");
        cx.ensure(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": MANAGER, "namespace": namespace, "labels": {"app": "kubernetes", "role": MANAGER, "gardener.cloud/role": "controlplane"}},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
                    "name": MANAGER, "image": format!("registry.example/{provider}/{MANAGER}:v{version}"),
                    "command": [format!("/{MANAGER}"), format!("--cloud-provider={provider}"), format!("--cluster-name={namespace}")],
                }]}},
            },
        }))?;
        Ok(Progress::Done(json!({"providerStatus": {
            "apiVersion": format!("{provider}.provider.extensions.gardener.cloud/v1alpha1"), "kind": "ControlPlaneStatus",
            "region": at(object, "/spec/region"),
        }})))
    }

    fn delete(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        let _ = object;
        cx.delete(&ObjectKey::new("apps", "Deployment", &cx.key.namespace, MANAGER))?;
        cx.delete(&ObjectKey::new("", "ConfigMap", &cx.key.namespace, CONFIG))?;
        Ok(Progress::Done(json!({})))
    }
}
