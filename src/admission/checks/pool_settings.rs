//! What else a worker pool may say: volumes, container runtimes, certificates, sysctls, and how its machines are managed.

use std::collections::BTreeSet;

use super::prelude::*;
use super::workers::{NAME, in_place, may_run_system, pools};
use crate::admission::measure::{child, number, seconds};

rules! {
    /// Sizes of volumes are whole GiB, and names of volumes are DNS labels of at most 15 characters, each once (V-145 … V-148).
    "SHOOT-POOL-VOLUME", "a volume of a pool is not usable", Shoot, volumes, data_volumes;
    /// Container runtimes have a type, each once (V-150).
    "SHOOT-POOL-RUNTIME", "a container runtime is incomplete or repeated", Shoot, runtimes;
    /// What machines should trust is a certificate in PEM (V-144).
    "SHOOT-POOL-CA", "the certificate of a pool cannot be read", Shoot, certificate;
    /// Settings of the cluster autoscaler for a pool are in their ranges (V-152, V-153).
    "SHOOT-POOL-AUTOSCALER", "a setting of the cluster autoscaler is out of range", Shoot, autoscaler;
    /// How the machines of a pool are drained, checked and preserved (V-154, V-155, V-156).
    ///
    /// A pool that runs system components keeps at least one machine that is not a preserved wreck.
    "SHOOT-POOL-MACHINES", "a setting of the machine controller manager is not possible", Shoot, machines;
    /// The priority of a pool is at least -1 (V-158).
    "SHOOT-POOL-PRIORITY", "the priority of a pool is out of range", Shoot, priority;
    /// Sysctls have keys that the kernel could have, and values (V-159).
    "SHOOT-POOL-SYSCTL", "a sysctl of a pool is not usable", Shoot, sysctls;
}

fn size(out: &mut Out, volume: &Node<'_>) {
    let node = volume.get("size");
    let whole = node.str().strip_suffix("Gi").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if !whole {
        out.invalid(&node, format!("{} is no size of a volume", node.shown())).help("whole GiB, for example `50Gi`");
    }
}

fn name(out: &mut Out, node: &Node<'_>) {
    if node.is_empty() {
        out.required(node, "the name of the volume is missing");
    } else if let Err(why) = syntax::label(node.str()) {
        out.invalid(node, format!("{} is no name for a volume: {why}", node.shown()));
    }
    if node.str().len() > NAME {
        out.too_long(node, format!("the name {} has more than {NAME} characters", node.shown()));
    }
}

fn volumes(cx: &Cx<'_>, out: &mut Out) {
    for volume in pools(cx).iter().map(|pool| pool.get("volume")).filter(Node::is_set) {
        if volume.get("name").is_set() {
            name(out, &volume.get("name"));
        }
        size(out, &volume);
    }
}

fn data_volumes(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let (root, data) = (pool.get("volume"), pool.get("dataVolumes"));
        if !data.is_empty() && !root.is_set() {
            out.required(&root, "a pool with data volumes names its root volume, too").help("add `volume: {type: …, size: …}`");
        }
        let mut seen = BTreeSet::new();
        for volume in data.items() {
            let node = volume.get("name");
            name(out, &node);
            if !seen.insert(node.str()) {
                out.duplicate(&node, format!("two volumes are called {}", node.shown()));
            }
            size(out, &volume);
        }
        let kubelet = pool.get("kubeletDataVolumeName");
        if kubelet.is_set() && !seen.contains(kubelet.str()) {
            out.invalid(&kubelet, format!("the pool has no data volume {}", kubelet.shown())).help(format!("it has {}", listed(&seen)));
        }
    }
}

fn runtimes(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let cri = pool.get("cri");
        let mut seen = BTreeSet::new();
        for (index, runtime) in cri.get("containerRuntimes").items().iter().enumerate() {
            let node = runtime.get("type");
            let field = format!("{}.containerruntimes[{index}].type", cri.field());
            if node.is_empty() {
                out.required(&node, "the type of the container runtime is missing").field(&field);
            }
            if !seen.insert(node.str()) {
                out.duplicate(&node, format!("the container runtime {} is listed twice", node.shown())).field(&field);
            }
        }
    }
}

fn certificate(cx: &Cx<'_>, out: &mut Out) {
    for node in pools(cx).iter().map(|pool| pool.get("caBundle")).filter(Node::is_set) {
        if !syntax::is_certificate(node.str().as_bytes()) {
            out.invalid(&node, "this is no certificate").help("PEM, that begins with `-----BEGIN CERTIFICATE-----`");
        }
    }
}

fn autoscaler(cx: &Cx<'_>, out: &mut Out) {
    for pool in pools(cx) {
        let section = pool.get("clusterAutoscaler");
        let field = |what: &str| format!("{}.autoscaler.{what}", pool.field());
        for what in ["scaleDownUtilizationThreshold", "scaleDownGpuUtilizationThreshold"] {
            let node = section.get(what);
            if number(&node).is_some_and(|n| !(0.0..=1.0).contains(&n)) {
                out.invalid(&node, format!("{} is out of range for `{what}`", node.shown()))
                    .field(field(what))
                    .help("a part of one, for example `0.5`");
            }
        }
        for what in ["scaleDownUnneededTime", "scaleDownUnreadyTime", "maxNodeProvisionTime"] {
            let node = section.get(what);
            if seconds(&node).is_some_and(|s| s < 0.0) {
                out.invalid(&node, format!("{} is negative", node.shown())).field(field(what));
            }
        }
    }
}

fn machines(cx: &Cx<'_>, out: &mut Out) {
    const IN_PLACE: &str = "only a pool that is updated in place has this";
    for pool in pools(cx) {
        let section = pool.get("machineControllerManager");
        let field = |what: &str| format!("{}.machineControllerManagerSettings.{what}", pool.field());
        let update = section.get("inPlaceUpdateTimeout");
        for what in ["machineDrainTimeout", "machineHealthTimeout", "machineCreationTimeout", "machinePreserveTimeout"] {
            let node = section.get(what);
            if seconds(&node).is_some_and(|s| s < 0.0) {
                out.invalid(&node, format!("{} is negative", node.shown())).field(field(what));
            }
        }
        if in_place(&pool) {
            if seconds(&update).is_some_and(|s| s < 0.0) {
                out.invalid(&update, format!("{} is negative", update.shown())).field(field("inPlaceUpdateTimeout"));
            }
        } else {
            let health = section.get("disableHealthTimeout");
            if update.is_set() {
                out.forbidden(&update, IN_PLACE).on_key().field(field("inPlaceUpdateTimeout")).help("remove it");
            }
            if health.flag() == Some(true) {
                out.forbidden(&health, IN_PLACE).field(field("disableHealthTimeout")).help("remove it");
            }
        }
        let retries = section.get("maxEvictRetries");
        if retries.int().is_some_and(|n| n < 0) {
            out.invalid(&retries, format!("{} retries are not possible", retries.shown())).field(field("maxEvictRetries"));
        }
        let preserved = section.get("autoPreserveFailedMachineMax");
        let most = pool.get("maximum").int().unwrap_or(0) - i64::from(may_run_system(&pool));
        if preserved.int().is_some_and(|n| n < 0 || n > most) {
            out.invalid(&preserved, format!("{} failed machines cannot be preserved", preserved.shown()))
                .field(field("autoPreserveFailedMachineMax"))
                .and(&pool.get("maximum"), "all machines of the pool")
                .help(format!("from 0 to {}", most.max(0)));
        }
    }
}

fn priority(cx: &Cx<'_>, out: &mut Out) {
    for node in pools(cx).iter().map(|pool| pool.get("priority")) {
        if node.int().is_some_and(|n| n < -1) {
            out.invalid(&node, format!("a priority of {} is not possible", node.shown())).help("at least -1");
        }
    }
}

/// Parts of letters, digits, `_`, `/` and `-`, joined by dots; `*` stands for a part that is not the last.
fn is_sysctl(key: &str) -> bool {
    let usable = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/'));
    let parts: Vec<&str> = key.split('.').collect();
    let Some((last, others)) = parts.split_last() else { return false };
    let other = |part: &&str| *part == "*" || (part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-') && usable(part));
    usable(last) && last.ends_with(|c: char| c.is_ascii_alphanumeric()) && others.iter().all(other)
}

fn sysctls(cx: &Cx<'_>, out: &mut Out) {
    const KEY: usize = 4096 - "/proc/sys/".len();
    for map in pools(cx).iter().map(|pool| pool.get("sysctls")) {
        for (key, node) in map.entries() {
            if !is_sysctl(key) || key.split('.').any(|part| part.len() > 255) {
                out.invalid(&node, format!("`{key}` is no sysctl"))
                    .on_key()
                    .field(child(&map, key))
                    .help("for example `net.core.somaxconn`");
            }
            if key.len() > KEY {
                out.too_long(&node, format!("the key of a sysctl has {} characters", key.len())).on_key().field(child(&map, key));
            }
            if node.is_empty() {
                out.required(&node, format!("the sysctl `{key}` has no value")).field(child(&map, key));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_are_paths() {
        for fine in ["net.core.somaxconn", "a", "net.ipv4.conf.*.rp_filter", "example.org/ok", "a.b/c", "kernel.-x.y"] {
            assert!(is_sysctl(fine), "{fine}");
        }
        for wrong in ["", "a.", ".a", "a..b", "a b", "net.*", "a_", "_a.b", "ü"] {
            assert!(!is_sysctl(wrong), "{wrong}");
        }
    }
}
