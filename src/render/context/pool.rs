//! Worker pools, enriched: what the Worker, the OperatingSystemConfigs and the node-level components of a pool need.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::kubelet::{self, Pool};
use super::{at, compact, entries, flag, kube_proxy, list, plain, profile, text};

/// What all pools of a shoot share.
pub(super) struct Shared<'a> {
    /// The shoot's manifest.
    pub(super) shoot: &'a Value,
    /// Its effective cloud profile.
    pub(super) profile: &'a Value,
    /// `status` as far as decisions were written to it.
    pub(super) status: &'a Value,
    /// `networks` of the context.
    pub(super) networks: &'a Value,
}

/// `major.minor` of a version.
pub(super) fn minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Whether a version is at least `1.<wanted>`.
pub(super) fn at_least(version: &str, wanted: u32) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    major > 1 || (major == 1 && minor >= wanted)
}

/// The pool's Kubernetes version.
fn version<'a>(shoot: &'a Value, worker: &'a Value) -> &'a str {
    Some(text(worker, "/kubernetes/version")).filter(|v| !v.is_empty()).unwrap_or_else(|| text(shoot, "/spec/kubernetes/version"))
}

/// The pool's kubelet settings, or the cluster's; never both.
fn kubelet_settings<'a>(shared: &Shared<'a>, worker: &'a Value) -> &'a Value {
    let own = at(worker, "/kubernetes/kubelet");
    if own.is_null() { at(shared.shoot, "/spec/kubernetes/kubelet") } else { own }
}

/// Whether node-local DNS is on.
fn node_local_dns(shoot: &Value) -> bool {
    flag(shoot, "/spec/systemComponents/nodeLocalDNS/enabled")
}

/// Whether kube-proxy runs in IPVS mode.
fn ipvs(shoot: &Value) -> bool {
    at(shoot, "/spec/kubernetes/kubeProxy/enabled").as_bool() != Some(false)
        && text(shoot, "/spec/kubernetes/kubeProxy/mode").eq_ignore_ascii_case("ipvs")
}

/// Whether nodes of the pool are replaced when node-local DNS is switched: they ask it, or do not, for as long as they are.
pub(super) fn is_tied_to_node_dns(shoot: &Value, worker: &Value) -> bool {
    !at_least(version(shoot, worker), 34) || ipvs(shoot)
}

/// Whether nodes of the pool are updated in place.
fn in_place(worker: &Value) -> bool {
    matches!(text(worker, "/updateStrategy"), "AutoInPlaceUpdate" | "ManualInPlaceUpdate")
}

/// The name of a pool's operating system configuration: a new name replaces the pool's nodes (`machines-and-network.md` §4.1).
pub(super) fn key(shared: &Shared<'_>, worker: &Value) -> String {
    let name = text(worker, "/name");
    if in_place(worker) {
        return format!("gardener-node-agent-{name}");
    }
    let version = version(shared.shoot, worker);
    let mut parts = vec![
        minor(version),
        text(worker, "/machine/type").to_owned(),
        format!("{}{}", text(worker, "/machine/image/name"), text(worker, "/machine/image/version")),
    ];
    if !at(worker, "/volume").is_null() {
        parts.push(text(worker, "/volume/size").to_owned());
    }
    for pointer in ["/volume/type", "/cri/name"] {
        let part = text(worker, pointer);
        if !part.is_empty() {
            parts.push(part.to_owned());
        }
    }
    for credential in ["certificateAuthorities", "serviceAccountKey"] {
        let rotation = at(shared.status, &format!("/credentials/rotation/{credential}"));
        let pending = list(rotation, "/pendingWorkersRollouts").iter().find(|p| text(p, "/name") == name);
        let time = pending.map_or_else(|| text(rotation, "/lastInitiationTime"), |p| text(p, "/lastInitiationTime"));
        if !time.is_empty() {
            parts.push(go_time(time));
        }
    }
    if node_local_dns(shared.shoot) && is_tied_to_node_dns(shared.shoot, worker) {
        parts.push("node-local-dns".to_owned());
    }
    let settings = kubelet_settings(shared, worker);
    let reserved = at(settings, "/kubeReserved");
    if !reserved.is_null() {
        let amount = |key: &str| reserved.get(key).map_or_else(|| "<nil>".to_owned(), plain);
        parts.push(format!("{}-{}-{}-{}", amount("cpu"), amount("memory"), amount("pid"), amount("ephemeralStorage")));
    }
    let eviction = at(settings, "/evictionHard");
    if !eviction.is_null() {
        let fields = ["imageFSAvailable", "imageFSInodesFree", "memoryAvailable", "nodeFSAvailable", "nodeFSInodesFree"];
        parts.push(fields.map(|field| text(eviction, &format!("/{field}")).to_owned()).join("-"));
    }
    let policy = text(settings, "/cpuManagerPolicy");
    if !policy.is_empty() {
        parts.push(policy.to_owned());
    }
    let joined: String = parts.iter().map(|part| hex(part.as_bytes())).collect();
    format!("gardener-node-agent-{name}-{}", &hex(joined.as_bytes())[..16])
}

/// Lower-case hexadecimal SHA-256.
fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// An RFC 3339 time in UTC as Go prints it: `2026-01-02 15:04:05 +0000 UTC`.
fn go_time(time: &str) -> String {
    format!("{} +0000 UTC", time.replace('T', " ").trim_end_matches('Z').split('.').next().unwrap_or_default())
}

/// A value as a string in manifests that want strings for numbers.
fn stringly(value: &Value) -> Value {
    if value.is_null() { Value::Null } else { plain(value).into() }
}

/// All pools, in the order of the manifest.
pub(super) fn pools(shared: &Shared<'_>) -> Vec<Value> {
    list(shared.shoot, "/spec/provider/workers").iter().map(|worker| pool(shared, worker)).collect()
}

/// The labels that nodes of a pool carry.
fn labels(shared: &Shared<'_>, worker: &Value, key: &str) -> Map<String, Value> {
    let name = text(worker, "/name");
    let mut labels: Map<String, Value> = entries(worker, "/labels").map(|(k, v)| (k.clone(), plain(v).into())).collect();
    let mut set = |key: &str, value: &str| {
        labels.insert(key.to_owned(), value.into());
    };
    set("node.kubernetes.io/role", "node");
    set("kubernetes.io/arch", Some(text(worker, "/machine/architecture")).filter(|a| !a.is_empty()).unwrap_or("amd64"));
    set("networking.gardener.cloud/node-local-dns-enabled", if node_local_dns(shared.shoot) { "true" } else { "false" });
    if at(worker, "/systemComponents/allow").as_bool() != Some(false) {
        set("worker.gardener.cloud/system-components", "true");
    }
    set("worker.gardener.cloud/pool", name);
    set("worker.garden.sapcloud.io/group", name);
    set("worker.gardener.cloud/gardener-node-agent-secret-name", key);
    if let Some(cri) = Some(text(worker, "/cri/name")).filter(|cri| !cri.is_empty()) {
        set("worker.gardener.cloud/cri-name", cri);
    }
    for runtime in list(worker, "/cri/containerRuntimes") {
        set(&format!("containerruntime.worker.gardener.cloud/{}", text(runtime, "/type")), "true");
    }
    labels
}

/// One pool.
fn pool(shared: &Shared<'_>, worker: &Value) -> Value {
    let version = version(shared.shoot, worker);
    let key = key(shared, worker);
    let labels = labels(shared, worker, &key);
    let machine = profile::machine_type(shared.profile, text(worker, "/machine/type"));
    let settings = kubelet_settings(shared, worker);
    let clean = |value: &Value| if value.is_null() { Value::Null } else { compact(value.clone()) };
    let mut manager = at(worker, "/machineControllerManager").as_object().cloned().unwrap_or_default();
    if !manager.contains_key("machineCreationTimeout")
        && let Some(timeout) = machine.and_then(|m| m.get("machineCreationTimeout"))
    {
        manager.insert("machineCreationTimeout".into(), timeout.clone());
    }
    let autoscaler = at(worker, "/clusterAutoscaler").as_object().map(|options| {
        options.iter().map(|(k, v)| (k.clone(), if v.is_number() { stringly(v) } else { v.clone() })).collect::<Map<_, _>>()
    });
    let volume = at(worker, "/volume").as_object().map(|volume| {
        let mut volume = volume.clone();
        if let Some(size) = volume.get("size").cloned() {
            volume.insert("size".into(), stringly(&size));
        }
        volume
    });
    // Fields of the Worker's pool that are there only if the shoot says so.
    let optional = compact(json!({
        "annotations": clean(at(worker, "/annotations")),
        "taints": at(worker, "/taints"),
        "volume": volume,
        "dataVolumes": at(worker, "/dataVolumes"),
        "kubeletDataVolumeName": at(worker, "/kubeletDataVolumeName"),
        "providerConfig": at(worker, "/providerConfig"),
        "zones": at(worker, "/zones"),
        "priority": at(worker, "/priority"),
        "kubeletConfig": settings,
        "machineControllerManager": (!manager.is_empty()).then_some(manager),
        "clusterAutoscaler": autoscaler,
        "nodeTemplate": machine.map(|m| json!({"capacity": profile::capacity(m)})),
    }));
    let facts = Pool { shoot: shared.shoot, worker, version, settings, machine, labels: &labels, networks: shared.networks };
    let (configuration, unit) = (crate::document::to_yaml(&kubelet::configuration(&facts)), kubelet::unit(&facts));
    json!({
        "name": text(worker, "/name"),
        "minimum": at(worker, "/minimum").as_u64().unwrap_or(0),
        "maximum": at(worker, "/maximum").as_u64().unwrap_or(0),
        "maxSurge": if at(worker, "/maxSurge").is_null() { json!(0) } else { at(worker, "/maxSurge").clone() },
        "maxUnavailable": if at(worker, "/maxUnavailable").is_null() { json!(0) } else { at(worker, "/maxUnavailable").clone() },
        "machineType": text(worker, "/machine/type"),
        "image": {"name": text(worker, "/machine/image/name"), "version": text(worker, "/machine/image/version")},
        "imageProviderConfig": at(worker, "/machine/image/providerConfig"),
        "architecture": labels.get("kubernetes.io/arch"),
        "zones": list(worker, "/zones"),
        "taints": list(worker, "/taints"),
        "updateStrategy": at(worker, "/updateStrategy"),
        "inPlace": in_place(worker),
        "version": version,
        "minor": minor(version),
        "quietProxy": kube_proxy::quiet(version),
        "key": key,
        "labels": labels,
        "optional": optional,
        "cri": at(worker, "/cri/name"),
        "containerRuntimes": list(worker, "/cri/containerRuntimes"),
        "systemComponents": at(worker, "/systemComponents/allow").as_bool() != Some(false),
        // What comes before and after the cluster's own CA in the bundle that nodes trust.
        "caBefore": lines(text(shared.profile, "/spec/caBundle"), "", "\n"),
        "caAfter": lines(text(worker, "/caBundle"), "\n", ""),
        "kubeletDataVolume": at(worker, "/kubeletDataVolumeName"),
        "digest": hex(format!("{worker}{configuration}{unit}{}", kubelet::sysctls(&facts)).as_bytes()),
        "kubeletConfiguration": configuration,
        "kubeletUnit": unit,
        "dataVolumeBytes": data_volume_bytes(worker),
        "sysctls": kubelet::sysctls(&facts),
    })
}

/// Text between two others, unless it is empty.
fn lines(text: &str, before: &str, after: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}{after}") }
}

/// The size in bytes of the volume that holds the kubelet's data, if it has one of its own.
fn data_volume_bytes(worker: &Value) -> Option<u64> {
    let name = text(worker, "/kubeletDataVolumeName");
    let volume = list(worker, "/dataVolumes").iter().find(|volume| !name.is_empty() && text(volume, "/name") == name)?;
    bytes(&plain(at(volume, "/size")))
}

/// Bytes of a whole quantity such as `50Gi`.
fn bytes(quantity: &str) -> Option<u64> {
    let digits = quantity.find(|c: char| !c.is_ascii_digit()).unwrap_or(quantity.len());
    let factor = match &quantity[digits..] {
        "" => 1,
        "k" => 1000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        "T" => 1_000_000_000_000,
        "Ti" => 1 << 40,
        _ => return None,
    };
    quantity[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(shoot: &Value, status: &Value) -> String {
        let (profile, networks) = (json!({}), json!({}));
        let shared = Shared { shoot, profile: &profile, status, networks: &networks };
        key(&shared, &shoot["spec"]["provider"]["workers"][0])
    }

    fn shoot() -> Value {
        json!({"spec": {"kubernetes": {"version": "1.34.1"}, "provider": {"workers": [{
            "name": "small", "machine": {"type": "m5.large", "image": {"name": "gardenlinux", "version": "1.2.3"}},
            "volume": {"size": "50Gi", "type": "gp3"}, "cri": {"name": "containerd"},
        }]}}})
    }

    #[test]
    fn a_key_changes_with_what_replaces_nodes_and_with_nothing_else() {
        let base = key_of(&shoot(), &Value::Null);
        assert!(base.starts_with("gardener-node-agent-small-") && base.len() == "gardener-node-agent-small-".len() + 16);
        let changed = |pointer: &str, value: Value| {
            let mut shoot = shoot();
            *shoot.pointer_mut(pointer).expect("the path exists") = value;
            key_of(&shoot, &Value::Null)
        };
        assert_eq!(base, changed("/spec/kubernetes/version", json!("1.34.7")));
        assert_ne!(base, changed("/spec/kubernetes/version", json!("1.35.0")));
        assert_ne!(base, changed("/spec/provider/workers/0/machine/type", json!("m5.xlarge")));
        assert_ne!(base, changed("/spec/provider/workers/0/volume/size", json!("60Gi")));
        let rotated =
            json!({"credentials": {"rotation": {"certificateAuthorities": {"lastInitiationTime": "2026-01-02T15:04:05Z"}}}});
        assert_ne!(base, key_of(&shoot(), &rotated));
        let mut labelled = shoot();
        labelled["spec"]["provider"]["workers"][0]["labels"] = json!({"team": "a"});
        assert_eq!(base, key_of(&labelled, &Value::Null));
    }

    #[test]
    fn an_updated_in_place_pool_keeps_its_key() {
        let mut shoot = shoot();
        shoot["spec"]["provider"]["workers"][0]["updateStrategy"] = json!("AutoInPlaceUpdate");
        assert_eq!(key_of(&shoot, &Value::Null), "gardener-node-agent-small");
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(go_time("2026-01-02T15:04:05Z"), "2026-01-02 15:04:05 +0000 UTC");
    }
}
