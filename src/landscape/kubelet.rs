//! Settings of the kubelet, for a whole Shoot or for one worker pool.

use std::collections::BTreeMap;

use super::shape::{Amount, Duration, shapes};

shapes! {
    /// Settings of the kubelet.
    struct KubeletConfig {
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// Whether CPU limits are enforced.
        #[serde(rename = "cpuCFSQuota")]
        cpu_cfs_quota: Option<bool>,
        /// none or static.
        cpu_manager_policy: Option<String>,
        /// Thresholds at which pods are evicted at once.
        eviction_hard: Option<KubeletEviction>,
        /// The longest grace period of a soft eviction, in seconds.
        eviction_max_pod_grace_period: Option<i32>,
        /// How much is reclaimed beyond a threshold.
        eviction_minimum_reclaim: Option<KubeletEvictionMinimumReclaim>,
        /// How long pressure lasts before it counts as over.
        eviction_pressure_transition_period: Option<Duration>,
        /// Thresholds at which pods are evicted after a grace period.
        eviction_soft: Option<KubeletEviction>,
        /// The grace periods.
        eviction_soft_grace_period: Option<KubeletEvictionSoftGracePeriod>,
        /// The most pods on a node.
        max_pods: Option<i32>,
        /// The most processes in a pod.
        pod_pids_limit: Option<i64>,
        /// Whether the kubelet refuses to start on a node with swap.
        fail_swap_on: Option<bool>,
        /// Resources kept for Kubernetes itself.
        kube_reserved: Option<KubeletReserved>,
        /// Resources kept for the system; use kubeReserved.
        system_reserved: Option<KubeletReserved>,
        /// Disk usage at which images are collected.
        #[serde(rename = "imageGCHighThresholdPercent")]
        image_gc_high_threshold_percent: Option<i32>,
        /// Disk usage that collection aims at.
        #[serde(rename = "imageGCLowThresholdPercent")]
        image_gc_low_threshold_percent: Option<i32>,
        /// Whether images are pulled one at a time.
        serialize_image_pulls: Option<bool>,
        /// Pulls per second.
        #[serde(rename = "registryPullQPS")]
        registry_pull_qps: Option<i32>,
        /// Pulls in a burst.
        registry_burst: Option<i32>,
        /// Whether pods get the runtime's seccomp profile unless they say otherwise.
        seccomp_default: Option<bool>,
        /// Size at which a container's log is rotated.
        container_log_max_size: Option<Amount>,
        /// How many logs are kept of a container.
        container_log_max_files: Option<i32>,
        /// Whether kernel settings must equal the kubelet's defaults.
        protect_kernel_defaults: Option<bool>,
        /// How long a stream may be idle.
        streaming_connection_idle_timeout: Option<Duration>,
        /// Swap for pods.
        memory_swap: Option<MemorySwap>,
        /// How many images are pulled at once.
        max_parallel_image_pulls: Option<i32>,
        /// The youngest image that is collected.
        #[serde(rename = "imageMinimumGCAge")]
        image_minimum_gc_age: Option<Duration>,
        /// The oldest unused image that is kept.
        #[serde(rename = "imageMaximumGCAge")]
        image_maximum_gc_age: Option<Duration>,
        /// Whose pulled images a pod may use.
        image_pull_credentials_verification_policy: Option<String>,
        /// Images that anyone may use.
        preloaded_images_verification_allowlist: Vec<String>,
        /// Whether only the offending process dies when memory runs out.
        #[serde(rename = "singleProcessOOMKill")]
        single_process_oom_kill: Option<bool>,
    }

    /// Eviction thresholds: quantities or percentages.
    struct KubeletEviction {
        /// Free memory.
        memory_available: Option<String>,
        /// Free space for images.
        #[serde(rename = "imageFSAvailable")]
        image_fs_available: Option<String>,
        /// Free inodes for images.
        #[serde(rename = "imageFSInodesFree")]
        image_fs_inodes_free: Option<String>,
        /// Free space of the node.
        #[serde(rename = "nodeFSAvailable")]
        node_fs_available: Option<String>,
        /// Free inodes of the node.
        #[serde(rename = "nodeFSInodesFree")]
        node_fs_inodes_free: Option<String>,
    }

    /// How much an eviction reclaims beyond its threshold.
    struct KubeletEvictionMinimumReclaim {
        /// Memory.
        memory_available: Option<Amount>,
        /// Space for images.
        #[serde(rename = "imageFSAvailable")]
        image_fs_available: Option<Amount>,
        /// Inodes for images.
        #[serde(rename = "imageFSInodesFree")]
        image_fs_inodes_free: Option<Amount>,
        /// Space of the node.
        #[serde(rename = "nodeFSAvailable")]
        node_fs_available: Option<Amount>,
        /// Inodes of the node.
        #[serde(rename = "nodeFSInodesFree")]
        node_fs_inodes_free: Option<Amount>,
    }

    /// Grace periods of soft evictions.
    struct KubeletEvictionSoftGracePeriod {
        /// For memory.
        memory_available: Option<Duration>,
        /// For space for images.
        #[serde(rename = "imageFSAvailable")]
        image_fs_available: Option<Duration>,
        /// For inodes for images.
        #[serde(rename = "imageFSInodesFree")]
        image_fs_inodes_free: Option<Duration>,
        /// For space of the node.
        #[serde(rename = "nodeFSAvailable")]
        node_fs_available: Option<Duration>,
        /// For inodes of the node.
        #[serde(rename = "nodeFSInodesFree")]
        node_fs_inodes_free: Option<Duration>,
    }

    /// Resources that pods do not get.
    struct KubeletReserved {
        /// CPU.
        cpu: Option<Amount>,
        /// Memory.
        memory: Option<Amount>,
        /// Ephemeral storage.
        ephemeral_storage: Option<Amount>,
        /// Process identifiers.
        pid: Option<Amount>,
    }

    /// Swap for pods.
    struct MemorySwap {
        /// NoSwap or LimitedSwap.
        #[schemars(extend("enum" = ["NoSwap", "LimitedSwap"]))]
        swap_behavior: Option<String>,
    }
}
