//! `spec.kubernetes` of a Shoot: version and settings of the control-plane components, the autoscalers and kube-proxy. The
//! kubelet's settings are in `kubelet`.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::kubelet::KubeletConfig;
use super::meta::{ObjectReference, ResourceList};
use super::shape::{Duration, shapes};

shapes! {
    /// Version and settings of the Kubernetes components.
    struct Kubernetes {
        /// The version; `1.34` means the newest patch that the profile offers.
        version: Option<String>,
        /// The cluster autoscaler.
        cluster_autoscaler: Option<ClusterAutoscaler>,
        /// Both etcds.
        etcd: Option<Etcd>,
        /// The API server.
        #[serde(rename = "kubeAPIServer")]
        kube_api_server: Option<KubeApiServer>,
        /// The controller manager.
        kube_controller_manager: Option<KubeControllerManager>,
        /// The scheduler.
        kube_scheduler: Option<KubeScheduler>,
        /// kube-proxy.
        kube_proxy: Option<KubeProxy>,
        /// The kubelet, for all pools without settings of their own.
        kubelet: Option<KubeletConfig>,
        /// The vertical pod autoscaler.
        vertical_pod_autoscaler: Option<VerticalPodAutoscaler>,
    }

    /// Both etcds of a control plane.
    struct Etcd {
        /// The one with everything but events.
        main: Option<EtcdConfig>,
        /// The one with events.
        events: Option<EtcdConfig>,
    }

    /// Settings of one etcd.
    struct EtcdConfig {
        /// How it scales.
        autoscaling: Option<ControlPlaneAutoscaling>,
    }

    /// How a control-plane component scales.
    struct ControlPlaneAutoscaling {
        /// Requests that are never undercut.
        min_allowed: ResourceList,
    }

    /// The cluster autoscaler.
    struct ClusterAutoscaler {
        /// How it scales itself.
        autoscaling: Option<ControlPlaneAutoscaling>,
        /// How long after a scale-up nothing is scaled down.
        scale_down_delay_after_add: Option<Duration>,
        /// How long after a deletion nothing is scaled down.
        scale_down_delay_after_delete: Option<Duration>,
        /// How long after a failed scale-down nothing is scaled down.
        scale_down_delay_after_failure: Option<Duration>,
        /// How long a node must be unneeded before it goes.
        scale_down_unneeded_time: Option<Duration>,
        /// Utilization (0.0 to 1.0) below which a node is unneeded.
        scale_down_utilization_threshold: Option<Number>,
        /// How often it looks.
        scan_interval: Option<Duration>,
        /// How a pool is chosen for scale-up: least-waste, most-pods, least-nodes, priority, random, comma-separated.
        expander: Option<String>,
        /// How long a node may take to appear.
        max_node_provision_time: Option<Duration>,
        /// How long pods may take to end on scale-down.
        max_graceful_termination_seconds: Option<i32>,
        /// Taints that are ignored; use startupTaints.
        ignore_taints: Vec<String>,
        /// How long new pods are ignored.
        new_pod_scale_up_delay: Option<Duration>,
        /// How many empty nodes go at once; use maxScaleDownParallelism.
        max_empty_bulk_delete: Option<i32>,
        /// Whether DaemonSet pods count as utilization.
        ignore_daemonsets_utilization: Option<bool>,
        /// Log level.
        verbosity: Option<i32>,
        /// Taints of nodes that are about to become ready.
        startup_taints: Vec<String>,
        /// Taints of nodes that count as ready but are not scaled for.
        status_taints: Vec<String>,
        /// How many nodes go at once.
        max_scale_down_parallelism: Option<i32>,
        /// How many nodes are drained at once.
        max_drain_parallelism: Option<i32>,
        /// Back-off of a pool after its first failed scale-up.
        initial_node_group_backoff_duration: Option<Duration>,
        /// Longest back-off of a pool.
        max_node_group_backoff_duration: Option<Duration>,
        /// When a pool's back-off is forgotten.
        node_group_backoff_reset_timeout: Option<Duration>,
        /// Time limit of one bin-packing simulation.
        max_binpacking_time: Option<Duration>,
        /// Whether metrics are kept per pool.
        emit_per_node_group_metrics: Option<bool>,
    }

    /// The vertical pod autoscaler.
    struct VerticalPodAutoscaler {
        /// Whether it runs.
        enabled: Option<bool>,
        /// A pod that ran out of memory within this time is evicted.
        #[serde(rename = "evictAfterOOMThreshold")]
        evict_after_oom_threshold: Option<Duration>,
        /// How many pods may be evicted at once.
        eviction_rate_burst: Option<i32>,
        /// How many pods may be evicted per second.
        eviction_rate_limit: Option<Number>,
        /// Fraction of replicas that may be evicted.
        eviction_tolerance: Option<Number>,
        /// Safety margin on top of usage.
        recommendation_margin_fraction: Option<Number>,
        /// How often the updater runs.
        updater_interval: Option<Duration>,
        /// How often the recommender runs.
        recommender_interval: Option<Duration>,
        /// Percentile of CPU usage that is the target.
        #[serde(rename = "targetCPUPercentile")]
        target_cpu_percentile: Option<Number>,
        /// Percentile of CPU usage that is the lower bound.
        #[serde(rename = "recommendationLowerBoundCPUPercentile")]
        recommendation_lower_bound_cpu_percentile: Option<Number>,
        /// Percentile of CPU usage that is the upper bound.
        #[serde(rename = "recommendationUpperBoundCPUPercentile")]
        recommendation_upper_bound_cpu_percentile: Option<Number>,
        /// Half-life of CPU samples.
        cpu_histogram_decay_half_life: Option<Duration>,
        /// Percentile of memory usage that is the target.
        target_memory_percentile: Option<Number>,
        /// Percentile of memory usage that is the lower bound.
        recommendation_lower_bound_memory_percentile: Option<Number>,
        /// Percentile of memory usage that is the upper bound.
        recommendation_upper_bound_memory_percentile: Option<Number>,
        /// Half-life of memory samples.
        memory_histogram_decay_half_life: Option<Duration>,
        /// Length of one interval whose peak memory counts.
        memory_aggregation_interval: Option<Duration>,
        /// How many such intervals count.
        memory_aggregation_interval_count: Option<i64>,
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// The most that is ever recommended for a container.
        max_allowed: ResourceList,
        /// How many workers update recommendations.
        recommender_update_worker_count: Option<i64>,
    }

    /// The API server.
    struct KubeApiServer {
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// Admission plugins beside those that always run.
        admission_plugins: Vec<AdmissionPlugin>,
        /// Audiences that tokens are checked for.
        api_audiences: Vec<String>,
        /// Audit logging.
        audit_config: Option<AuditConfig>,
        /// OpenID Connect; use structuredAuthentication.
        oidc_config: Option<OidcConfig>,
        /// APIs turned on or off.
        runtime_config: BTreeMap<String, bool>,
        /// Service account tokens.
        service_account_config: Option<ServiceAccountConfig>,
        /// Watch cache sizes.
        watch_cache_sizes: Option<WatchCacheSizes>,
        /// Limits on concurrent requests.
        requests: Option<ApiServerRequests>,
        /// Whether anonymous requests are allowed; use structuredAuthentication.
        enable_anonymous_authentication: Option<bool>,
        /// How long events are kept.
        #[serde(rename = "eventTTL")]
        event_ttl: Option<Duration>,
        /// Log levels.
        logging: Option<ApiServerLogging>,
        /// Seconds that pods tolerate a node that is not ready.
        default_not_ready_toleration_seconds: Option<i64>,
        /// Seconds that pods tolerate an unreachable node.
        default_unreachable_toleration_seconds: Option<i64>,
        /// Encryption of etcd's content.
        encryption_config: Option<EncryptionConfig>,
        /// Structured authentication.
        structured_authentication: Option<StructuredAuthentication>,
        /// Structured authorization.
        structured_authorization: Option<StructuredAuthorization>,
        /// How it scales.
        autoscaling: Option<ControlPlaneAutoscaling>,
        /// The lowest TLS version that is served.
        tls_min_version: Option<String>,
    }

    /// An admission plugin.
    struct AdmissionPlugin {
        /// Its name.
        name: String,
        /// Its configuration.
        config: Option<Value>,
        /// Whether it is turned off.
        disabled: Option<bool>,
        /// The Secret with the kubeconfig that it uses.
        kubeconfig_secret_name: Option<String>,
    }

    /// Audit logging.
    struct AuditConfig {
        /// What is logged.
        audit_policy: Option<AuditPolicy>,
    }

    /// What is audit-logged.
    struct AuditPolicy {
        /// The ConfigMap with the policy, in the project's namespace.
        config_map_ref: Option<ObjectReference>,
    }

    /// OpenID Connect.
    struct OidcConfig {
        /// Certificate authorities of the issuer.
        ca_bundle: Option<String>,
        /// Settings of clients.
        client_authentication: Option<OpenIdConnectClientAuthentication>,
        /// The client's identifier.
        #[serde(rename = "clientID")]
        client_id: Option<String>,
        /// The claim with groups.
        groups_claim: Option<String>,
        /// A prefix for groups.
        groups_prefix: Option<String>,
        /// The issuer.
        #[serde(rename = "issuerURL")]
        issuer_url: Option<String>,
        /// Claims that a token must have.
        required_claims: BTreeMap<String, String>,
        /// Signing algorithms that are accepted.
        signing_algs: Vec<String>,
        /// The claim with the user's name.
        username_claim: Option<String>,
        /// A prefix for user names.
        username_prefix: Option<String>,
    }

    /// Settings of OpenID Connect clients.
    struct OpenIdConnectClientAuthentication {
        /// Additional settings.
        extra_config: BTreeMap<String, String>,
        /// The client's secret.
        secret: Option<String>,
    }

    /// Service account tokens.
    struct ServiceAccountConfig {
        /// The issuer of tokens.
        issuer: Option<String>,
        /// Whether tokens of old clients live longer.
        extend_token_expiration: Option<bool>,
        /// The longest life of a token.
        max_token_expiration: Option<Duration>,
        /// Further issuers whose tokens are accepted.
        accepted_issuers: Vec<String>,
    }

    /// Watch cache sizes.
    struct WatchCacheSizes {
        /// The size for all resources without their own.
        default: Option<i32>,
        /// Sizes per resource.
        resources: Vec<ResourceWatchCacheSize>,
    }

    /// The watch cache size of one resource.
    struct ResourceWatchCacheSize {
        /// API group; absent for the core group.
        api_group: Option<String>,
        /// Resource, in the plural.
        resource: String,
        /// The size.
        size: Option<i32>,
    }

    /// Limits on concurrent requests.
    struct ApiServerRequests {
        /// Requests that read.
        max_non_mutating_inflight: Option<i32>,
        /// Requests that write.
        max_mutating_inflight: Option<i32>,
    }

    /// Log levels of the API server.
    struct ApiServerLogging {
        /// Log level.
        verbosity: Option<i32>,
        /// Level of the access log.
        http_access_verbosity: Option<i32>,
    }

    /// Encryption of etcd's content.
    struct EncryptionConfig {
        /// Resources that are encrypted beside Secrets.
        resources: Vec<String>,
        /// With what.
        provider: Option<EncryptionProvider>,
    }

    /// With what etcd's content is encrypted.
    struct EncryptionProvider {
        /// aescbc, aesgcm or secretbox.
        #[serde(rename = "type")]
        #[schemars(extend("enum" = ["aescbc", "aesgcm", "secretbox"]))]
        kind: Option<String>,
    }

    /// Structured authentication.
    struct StructuredAuthentication {
        /// The ConfigMap with the configuration, in the project's namespace.
        config_map_name: String,
    }

    /// Structured authorization.
    struct StructuredAuthorization {
        /// The ConfigMap with the configuration, in the project's namespace.
        config_map_name: String,
        /// Kubeconfigs of webhooks.
        kubeconfigs: Vec<AuthorizerKubeconfigReference>,
    }

    /// The kubeconfig of an authorization webhook.
    struct AuthorizerKubeconfigReference {
        /// The webhook.
        authorizer_name: String,
        /// The Secret with the kubeconfig.
        secret_name: String,
    }

    /// The controller manager.
    struct KubeControllerManager {
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// The horizontal pod autoscaler.
        horizontal_pod_autoscaler: Option<HorizontalPodAutoscaler>,
        /// Prefix length of a node's pod range. Cannot be changed.
        #[serde(rename = "nodeCIDRMaskSize")]
        node_cidr_mask_size: Option<i32>,
        /// Prefix length of a node's IPv6 pod range. Cannot be changed.
        #[serde(rename = "nodeCIDRMaskSizeIPv6")]
        node_cidr_mask_size_ipv6: Option<i32>,
        /// How long pods stay on failed nodes; has no effect any more.
        pod_eviction_timeout: Option<Duration>,
        /// How long a node may be silent.
        node_monitor_grace_period: Option<Duration>,
    }

    /// The horizontal pod autoscaler.
    struct HorizontalPodAutoscaler {
        /// How long CPU samples of new pods are ignored.
        cpu_initialization_period: Option<Duration>,
        /// The window whose highest recommendation counts.
        downscale_stabilization: Option<Duration>,
        /// How long a pod counts as not yet ready.
        initial_readiness_delay: Option<Duration>,
        /// How often it runs.
        sync_period: Option<Duration>,
        /// The smallest change that counts.
        tolerance: Option<Number>,
    }

    /// The scheduler.
    struct KubeScheduler {
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// The most volumes on a node.
        #[serde(rename = "kubeMaxPDVols")]
        kube_max_pd_vols: Option<String>,
        /// balanced or bin-packing.
        #[schemars(extend("enum" = ["balanced", "bin-packing"]))]
        profile: Option<String>,
    }

    /// kube-proxy.
    struct KubeProxy {
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// IPTables, IPVS or NFTables.
        #[schemars(extend("enum" = ["IPTables", "IPVS", "NFTables"]))]
        mode: Option<String>,
        /// Whether it runs; some network plugins replace it.
        enabled: Option<bool>,
    }
}
