//! The kubelet of a pool: its configuration file, its flags, and the kernel parameters beside it (`machines-and-network.md` §4.5, §4.6).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{at, compact, entries, flag, list, plain, text};

/// One pool, as far as its kubelet is concerned.
pub(super) struct Pool<'a> {
    /// The shoot's manifest.
    pub(super) shoot: &'a Value,
    /// The pool in it.
    pub(super) worker: &'a Value,
    /// The pool's Kubernetes version.
    pub(super) version: &'a str,
    /// The kubelet settings in force.
    pub(super) settings: &'a Value,
    /// The machine type, if the profile knows it.
    pub(super) machine: Option<&'a Value>,
    /// The labels of its nodes.
    pub(super) labels: &'a Map<String, Value>,
    /// `networks` of the context.
    pub(super) networks: &'a Value,
}

/// Cipher suites of kubelets.
const CIPHERS: [&str; 9] = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// The value at a pointer, or a fallback.
fn or(value: &Value, pointer: &str, fallback: impl Into<Value>) -> Value {
    let found = at(value, pointer);
    if found.is_null() { fallback.into() } else { found.clone() }
}

/// Signals of one kind of eviction: Gardener's field names, the kubelet's, and the fallbacks.
fn signals(settings: &Value, block: &str, memory: &str, filesystem: &str) -> Map<String, Value> {
    [
        ("imageFSAvailable", "imagefs.available", filesystem),
        ("imageFSInodesFree", "imagefs.inodesFree", filesystem),
        ("memoryAvailable", "memory.available", memory),
        ("nodeFSAvailable", "nodefs.available", filesystem),
        ("nodeFSInodesFree", "nodefs.inodesFree", filesystem),
    ]
    .into_iter()
    .map(|(field, signal, fallback)| (signal.to_owned(), plain(&or(settings, &format!("/{block}/{field}"), fallback)).into()))
    .collect()
}

/// Whether a machine type has more than 8Gi of memory.
fn large(machine: &Value) -> bool {
    let amount = machine.get("memory").map(plain).unwrap_or_default();
    let digits: String = amount.chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().unwrap_or(0);
    match &amount[digits.len()..] {
        "Gi" | "G" => number > 8,
        "Ti" | "T" => number > 0,
        "Mi" | "M" => number > 8192,
        _ => number > 8 << 30,
    }
}

/// The memory threshold where the shoot leaves it out.
fn memory(pool: &Pool<'_>, block: &str, absent: &'static str, small: &'static str, big: &'static str) -> &'static str {
    match pool.machine {
        Some(machine) if !at(pool.settings, block).is_null() => {
            if large(machine) {
                big
            } else {
                small
            }
        }
        _ => absent,
    }
}

/// The `KubeletConfiguration` of a pool.
pub(super) fn configuration(pool: &Pool<'_>) -> Value {
    let settings = pool.settings;
    let mut taints: Vec<Value> = list(pool.worker, "/taints").to_vec();
    taints.push(json!({"key": "node.gardener.cloud/critical-components-not-ready", "effect": "NoSchedule"}));
    let mut reserved: Map<String, Value> = entries(settings, "/kubeReserved")
        .map(|(k, v)| (if k == "ephemeralStorage" { "ephemeral-storage".to_owned() } else { k.clone() }, plain(v).into()))
        .collect();
    for (resource, amount) in [("cpu", "80m"), ("memory", "1Gi")] {
        reserved.entry(resource).or_insert_with(|| amount.into());
    }
    let grace: Map<String, Value> = [
        ("imageFSAvailable", "imagefs.available"),
        ("imageFSInodesFree", "imagefs.inodesFree"),
        ("memoryAvailable", "memory.available"),
        ("nodeFSAvailable", "nodefs.available"),
        ("nodeFSInodesFree", "nodefs.inodesFree"),
    ]
    .into_iter()
    .map(|(field, signal)| (signal.to_owned(), or(settings, &format!("/evictionSoftGracePeriod/{field}"), "1m30s")))
    .collect();
    let node_local = flag(pool.shoot, "/spec/systemComponents/nodeLocalDNS/enabled")
        && text(pool.shoot, "/spec/kubernetes/kubeProxy/mode").eq_ignore_ascii_case("ipvs")
        && !flag(pool.networks, "/dualStack");
    let dns = match (node_local, flag(pool.networks, "/ipv6First")) {
        (true, true) => json!(["fd30:1319:f1e:230b::1"]),
        (true, false) => json!(["169.254.20.10"]),
        _ => at(pool.networks, "/dnsIPs").clone(),
    };
    let mut configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true, "cacheTTL": "2m0s"},
            "x509": {"clientCAFile": "/var/lib/kubelet/ca.crt"},
        },
        "authorization": {"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"}},
        "cgroupDriver": "systemd",
        "cgroupRoot": "/",
        "clusterDNS": dns,
        "clusterDomain": "cluster.local",
        "containerLogMaxFiles": at(settings, "/containerLogMaxFiles"),
        "containerLogMaxSize": or(settings, "/containerLogMaxSize", "100Mi"),
        "cpuCFSQuota": or(settings, "/cpuCFSQuota", true),
        "cpuManagerPolicy": or(settings, "/cpuManagerPolicy", "none"),
        "enableControllerAttachDetach": true,
        "enableDebuggingHandlers": true,
        "enableServer": true,
        "enforceNodeAllocatable": ["pods"],
        "eventBurst": 50,
        "eventRecordQPS": 50,
        "evictionHard": signals(settings, "evictionHard", memory(pool, "/evictionHard", "100Mi", "5%", "1Gi"), "5%"),
        "evictionMaxPodGracePeriod": or(settings, "/evictionMaxPodGracePeriod", 90),
        "evictionMinimumReclaim": signals(settings, "evictionMinimumReclaim", "0Mi", "0Mi"),
        "evictionPressureTransitionPeriod": or(settings, "/evictionPressureTransitionPeriod", "4m0s"),
        "evictionSoft": signals(settings, "evictionSoft", memory(pool, "/evictionSoft", "200Mi", "10%", "1.5Gi"), "10%"),
        "evictionSoftGracePeriod": grace,
        "failSwapOn": or(settings, "/failSwapOn", true),
        "featureGates": at(settings, "/featureGates"),
    });
    let more = json!({
        "fileCheckFrequency": "20s",
        "hairpinMode": "promiscuous-bridge",
        "httpCheckFrequency": "20s",
        "imageGCHighThresholdPercent": or(settings, "/imageGCHighThresholdPercent", 50),
        "imageGCLowThresholdPercent": or(settings, "/imageGCLowThresholdPercent", 40),
        "imageMaximumGCAge": "0s",
        "imageMinimumGCAge": "2m0s",
        "kubeAPIBurst": 50,
        "kubeAPIQPS": 50,
        "kubeReserved": reserved,
        "maxOpenFiles": 1_000_000,
        "maxParallelImagePulls": at(settings, "/maxParallelImagePulls"),
        "maxPods": or(settings, "/maxPods", 110),
        "memorySwap": at(settings, "/memorySwap"),
        "nodeStatusUpdateFrequency": "10s",
        "podPidsLimit": at(settings, "/podPidsLimit"),
        "protectKernelDefaults": or(settings, "/protectKernelDefaults", true),
        "readOnlyPort": 0,
        "registerWithTaints": taints,
        "registryBurst": at(settings, "/registryBurst"),
        "registryPullQPS": at(settings, "/registryPullQPS"),
        "resolvConf": "/etc/resolv.conf",
        "rotateCertificates": true,
        "runtimeRequestTimeout": "2m0s",
        "seccompDefault": at(settings, "/seccompDefault"),
        "serializeImagePulls": or(settings, "/serializeImagePulls", true),
        "serverTLSBootstrap": true,
        "streamingConnectionIdleTimeout": or(settings, "/streamingConnectionIdleTimeout", "5m0s"),
        "syncFrequency": "1m0s",
        "tlsCipherSuites": CIPHERS,
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        "volumeStatsAggPeriod": "1m0s",
    });
    if let (Value::Object(configuration), Value::Object(more)) = (&mut configuration, more) {
        configuration.extend(more);
    }
    compact(configuration)
}

/// Whether a kubelet may set a label on its own node.
fn allowed(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return true };
    let reserved = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
    if prefix == "node-restriction.kubernetes.io" || prefix.ends_with(".node-restriction.kubernetes.io") {
        return false;
    }
    if !reserved("kubernetes.io") && !reserved("k8s.io") {
        return true;
    }
    let known = [
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    ];
    known.contains(&key)
        || prefix == "kubelet.kubernetes.io"
        || prefix == "node.kubernetes.io"
        || prefix.ends_with(".node.kubernetes.io")
}

/// The flags of `kubelet.service`.
fn flags(pool: &Pool<'_>) -> Vec<String> {
    let mut flags: Vec<String> = [
        "--bootstrap-kubeconfig=/var/lib/kubelet/kubeconfig-bootstrap",
        "--config=/var/lib/kubelet/config/kubelet",
        "--kubeconfig=/var/lib/kubelet/kubeconfig-real",
    ]
    .map(str::to_owned)
    .to_vec();
    flags.push(format!("--node-labels=worker.gardener.cloud/kubernetes-version={}", pool.version));
    let labels: BTreeMap<_, _> = pool.labels.iter().filter(|(key, _)| allowed(key)).collect();
    flags.extend(labels.into_iter().map(|(key, value)| format!("--node-labels={key}={}", plain(value))));
    flags.push("--container-runtime-endpoint=unix:///run/containerd/containerd.sock".into());
    flags.push("--runtime-cgroups=/system.slice/containerd.service".into());
    flags.push("--v=2".into());
    if flag(pool.networks, "/ipv6First") {
        flags.push("--node-ip=\"::\"".into());
    }
    flags
}

/// `kubelet.service`.
pub(super) fn unit(pool: &Pool<'_>) -> String {
    let health = timeouts(pool.shoot);
    let number = |pointer: &str| plain(at(&health, pointer));
    let flags = flags(pool).into_iter().map(|flag| format!("    {flag} \\\n")).collect::<Vec<_>>().concat();
    format!(
        "[Unit]\n\
         Description=kubelet daemon\n\
         Documentation=https://kubernetes.io/docs/admin/kubelet\n\
         After=containerd.service\n\
         Wants=containerd.service\n\
         [Install]\n\
         WantedBy=multi-user.target\n\
         [Service]\n\
         Restart=always\n\
         RestartSec=5\n\
         Environment=\"HTTP2_READ_IDLE_TIMEOUT_SECONDS={}\" \"HTTP2_PING_TIMEOUT_SECONDS={}\"\n\
         EnvironmentFile=/etc/environment\n\
         EnvironmentFile=-/var/lib/kubelet/extra_args\n\
         ExecStart=/opt/bin/kubelet \\\n{flags}    $KUBELET_EXTRA_ARGS\n",
        number("/readIdle"),
        number("/ping"),
    )
}

/// HTTP/2 health check of the kubelet's connection: read-idle and ping time-outs in seconds, from the node monitor's grace period.
fn timeouts(shoot: &Value) -> Value {
    let grace = text(shoot, "/spec/kubernetes/kubeControllerManager/nodeMonitorGracePeriod");
    let seconds = seconds(grace).unwrap_or(40);
    if seconds >= 46 || seconds <= 2 {
        return json!({"readIdle": 30, "ping": 15});
    }
    json!({"readIdle": (seconds - 2) * 2 / 3, "ping": (seconds - 2) / 3})
}

/// Seconds of a duration such as `1m30s`.
fn seconds(duration: &str) -> Option<u64> {
    let (mut total, mut number) = (0, String::new());
    for c in duration.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let amount: u64 = number.parse().ok()?;
        total += amount
            * match c {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return None,
            };
        number.clear();
    }
    (!duration.is_empty() && number.is_empty()).then_some(total)
}

/// The kernel parameters of a pool's nodes, as the lines of a sysctl file.
pub(super) fn sysctls(pool: &Pool<'_>) -> String {
    let mut set: BTreeMap<String, String> = [
        ("vm.max_map_count", "135217728"),
        ("vm.memory_failure_early_kill", "1"),
        ("kernel.softlockup_panic", "1"),
        ("kernel.softlockup_all_cpu_backtrace", "1"),
        ("net.core.somaxconn", "32768"),
        ("net.core.rmem_max", "16777216"),
        ("net.core.wmem_max", "16777216"),
        ("net.core.netdev_max_backlog", "16384"),
        ("net.ipv4.conf.all.forwarding", "1"),
        ("net.ipv4.conf.default.forwarding", "1"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv6.conf.default.forwarding", "1"),
        ("net.ipv4.conf.default.log_martians", "1"),
        ("net.ipv4.tcp_wmem", "4096 12582912 16777216"),
        ("net.ipv4.tcp_rmem", "4096 12582912 16777216"),
        ("net.ipv4.tcp_retries2", "8"),
        ("net.ipv4.tcp_max_syn_backlog", "8096"),
        ("net.ipv4.tcp_slow_start_after_idle", "0"),
        ("net.ipv4.tcp_tw_reuse", "1"),
        ("net.ipv4.ip_local_port_range", "32768 65535"),
        ("fs.file-max", "20000000"),
        ("fs.inotify.max_user_instances", "8192"),
        ("fs.inotify.max_user_watches", "524288"),
        ("fs.aio-max-nr", "262144"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect();
    if at(pool.shoot, "/spec/kubernetes/kubeProxy/enabled").as_bool() == Some(false) {
        set.insert("net.netfilter.nf_conntrack_max".into(), "1048576".into());
    }
    if at(pool.settings, "/protectKernelDefaults").as_bool() != Some(false) {
        let protected = [
            ("vm/overcommit_memory", "1"),
            ("vm/panic_on_oom", "0"),
            ("kernel/panic_on_oops", "1"),
            ("kernel/panic", "10"),
            ("kernel/keys/root_maxkeys", "1000000"),
            ("kernel/keys/root_maxbytes", "25000000"),
        ];
        set.extend(protected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
    set.extend(entries(pool.worker, "/sysctls").map(|(k, v)| (k.clone(), plain(v))));
    set.into_iter().map(|(k, v)| format!("{k} = {v}\n")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelets_set_only_labels_that_the_api_server_lets_them_set() {
        assert!(
            allowed("team")
                && allowed("worker.gardener.cloud/pool")
                && allowed("node.kubernetes.io/role")
                && allowed("kubernetes.io/arch")
        );
        assert!(!allowed("node-restriction.kubernetes.io/x") && !allowed("x.k8s.io/y") && !allowed("kubernetes.io/other"));
    }

    #[test]
    fn the_health_check_follows_the_grace_period() {
        assert_eq!(timeouts(&json!({})), json!({"readIdle": 25, "ping": 12}));
        let long = json!({"spec": {"kubernetes": {"kubeControllerManager": {"nodeMonitorGracePeriod": "2m"}}}});
        assert_eq!(timeouts(&long), json!({"readIdle": 30, "ping": 15}));
    }
}
