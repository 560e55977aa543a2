//! kube-proxy: its configuration, and the scripts that run beside it on every node.

use serde_json::{Value, json};

use super::{at, text, texts};

/// Runs beside kube-proxy.
const CONNTRACK: &str = r#"#!/bin/sh -e
# Connections that were opened before the rules were there keep an address that nobody answers: forget them, once.
trap "kill -s INT 1" TERM
sleep 120 & wait
private='^10\.'
conntrack -L -p tcp --state SYN_SENT 2>/dev/null | sed -n 's/.*src=\([^ ]*\) dst=\([^ ]*\) sport=\([^ ]*\) dport=\([^ ]*\) .*src=\([^ ]*\) dst=\([^ ]*\) sport.*/\1 \2 \3 \4 \5 \6/p' |
while read -r src dst sport dport back_src back_dst; do
  [ "$src" = "$back_dst" ] && [ "$dst" = "$back_src" ] || continue
  echo "$src" | grep -q "$private" && continue
  echo "$dst" | grep -q "$private" && continue
  conntrack -D -p tcp -s "$src" -d "$dst" --sport "$sport" --dport "$dport" || true
done
while true; do sleep 3600 & wait; done
"#;

/// Runs before it.
const CLEANUP: &str = r#"#!/bin/sh -e
# Rules of another mode would stay behind: remove them when the mode has changed.
file="$1"
before="$(cat "$file")"
if [ -n "$before" ] && [ "$before" != "$KUBE_PROXY_MODE" ]; then
  /usr/local/bin/kube-proxy --v=2 --cleanup --config=/var/lib/kube-proxy-config/config.yaml --proxy-mode="$before"
fi
echo "$KUBE_PROXY_MODE" > "$file"
"#;

/// `kubeProxy` of the context.
pub(super) fn proxy(shoot: &Value, networks: &Value) -> Value {
    let settings = at(shoot, "/spec/kubernetes/kubeProxy");
    let mode = Some(text(settings, "/mode").to_lowercase()).filter(|m| !m.is_empty()).unwrap_or_else(|| "iptables".to_owned());
    let mut config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy-kubeconfig/kubeconfig"},
        "metricsBindAddress": "0.0.0.0:10249",
        "mode": mode,
        "conntrack": {"maxPerCore": 524_288},
    });
    if let Some(map) = config.as_object_mut() {
        if mode != "ipvs" {
            map.insert("clusterCIDR".into(), texts(networks, "/pods").join(",").into());
        }
        if at(settings, "/featureGates").is_object() {
            map.insert("featureGates".into(), at(settings, "/featureGates").clone());
        }
    }
    json!({
        "enabled": at(settings, "/enabled").as_bool() != Some(false),
        "mode": mode,
        "text": crate::document::to_yaml(&config),
        "config": config,
        "conntrackScript": CONNTRACK,
        "cleanupScript": CLEANUP,
    })
}

/// Whether a version of kube-proxy says too much at verbosity 2.
pub(super) fn quiet(version: &str) -> bool {
    version.strip_prefix("1.33.").and_then(|patch| patch.parse::<u32>().ok()).is_some_and(|patch| patch < 6)
}
