//! The Shoot: a Kubernetes cluster whose control plane runs in a seed. Workers, component settings and status have files of
//! their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::meta::{
    AccessRestrictionWithOptions, CrossVersionObjectReference, Extension, NamedResourceReference, ObjectMeta, SeedSelector,
    Toleration,
};
use super::shape::{Duration, shapes};
use super::shoot_kubernetes::Kubernetes;
use super::shoot_status::ShootStatus;
use super::shoot_worker::Worker;

shapes! {
    /// A Kubernetes cluster whose control plane runs in a seed.
    struct Shoot {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// Shoot
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: ShootSpec,
        /// What is.
        status: ShootStatus,
    }

    /// What is wanted of a shoot.
    struct ShootSpec {
        /// Restrictions on where the control plane and its data may be.
        access_restrictions: Vec<AccessRestrictionWithOptions>,
        /// Optional parts that run inside the cluster.
        addons: Option<Addons>,
        /// The profile that says what the provider offers.
        cloud_profile: Option<CloudProfileReference>,
        /// The old way to name a CloudProfile; use cloudProfile.
        cloud_profile_name: Option<String>,
        /// High availability and zones of the control plane.
        control_plane: Option<ControlPlane>,
        /// The CredentialsBinding with which infrastructure is made. Excludes secretBindingName.
        credentials_binding_name: Option<String>,
        /// The cluster's domain and the DNS providers for it.
        dns: Option<Dns>,
        /// How the API server is exposed. Cannot be changed.
        exposure_class_name: Option<String>,
        /// Extensions that are turned on for this cluster.
        extensions: Vec<Extension>,
        /// Whether and when the cluster sleeps.
        hibernation: Option<Hibernation>,
        /// Version and settings of the Kubernetes components.
        kubernetes: Kubernetes,
        /// When and what may be changed without being asked.
        maintenance: Option<Maintenance>,
        /// Alerts to the cluster's users.
        monitoring: Option<Monitoring>,
        /// Network plugin and address ranges.
        networking: Option<Networking>,
        /// Infrastructure and worker pools.
        provider: Provider,
        /// What the cluster is for: evaluation, testing, development, production or infrastructure.
        #[schemars(extend("enum" = ["evaluation", "testing", "development", "production", "infrastructure"]))]
        purpose: Option<String>,
        /// The region. Cannot be changed.
        region: String,
        /// Objects that extension configurations refer to by name.
        resources: Vec<NamedResourceReference>,
        /// Who chooses the seed. Cannot be changed.
        scheduler_name: Option<String>,
        /// The SecretBinding with which infrastructure is made. Excludes credentialsBindingName.
        secret_binding_name: Option<String>,
        /// The seed; written by a person it is a pin, absent it is chosen.
        seed_name: Option<String>,
        /// Narrows the seeds that may be chosen.
        seed_selector: Option<SeedSelector>,
        /// Settings of system components.
        system_components: Option<SystemComponents>,
        /// Taints of seeds that are tolerated.
        tolerations: Vec<Toleration>,
    }

    /// Names a CloudProfile or a NamespacedCloudProfile.
    struct CloudProfileReference {
        /// CloudProfile or NamespacedCloudProfile.
        #[schemars(extend("enum" = ["CloudProfile", "NamespacedCloudProfile"]))]
        kind: String,
        /// Its name.
        name: String,
    }

    /// Optional parts that run inside the cluster.
    struct Addons {
        /// The Kubernetes dashboard.
        kubernetes_dashboard: Option<KubernetesDashboard>,
        /// The nginx ingress controller.
        nginx_ingress: Option<NginxIngress>,
    }

    /// The Kubernetes dashboard.
    struct KubernetesDashboard {
        /// Whether it is wanted.
        enabled: Option<bool>,
        /// How users authenticate.
        authentication_mode: Option<String>,
    }

    /// The nginx ingress controller.
    struct NginxIngress {
        /// Whether it is wanted.
        enabled: Option<bool>,
        /// Addresses that may connect.
        load_balancer_source_ranges: Vec<String>,
        /// Settings of the controller.
        config: BTreeMap<String, String>,
        /// Cluster or Local.
        #[schemars(extend("enum" = ["Cluster", "Local"]))]
        external_traffic_policy: Option<String>,
    }

    /// High availability and zones of the control plane.
    struct ControlPlane {
        /// What failure the control plane survives.
        high_availability: Option<HighAvailability>,
        /// Zones of the seed that the control plane is pinned to, where the profile allows it.
        zones: Vec<String>,
    }

    /// What failure a control plane survives.
    struct HighAvailability {
        /// The failure.
        failure_tolerance: FailureTolerance,
    }

    /// A failure to survive.
    struct FailureTolerance {
        /// node or zone.
        #[serde(rename = "type")]
        #[schemars(extend("enum" = ["node", "zone"]))]
        kind: String,
    }

    /// The cluster's domain and the DNS providers for it.
    struct Dns {
        /// The domain below which the API server is found. Cannot be changed.
        domain: Option<String>,
        /// DNS providers, needed unless the domain is a default one.
        providers: Vec<DnsProvider>,
    }

    /// A DNS provider of a shoot.
    struct DnsProvider {
        /// The credentials.
        credentials_ref: Option<CrossVersionObjectReference>,
        /// Domains that this provider is used for.
        domains: Option<DnsIncludeExclude>,
        /// Whether the cluster's own domain is served by it.
        primary: Option<bool>,
        /// The Secret with credentials.
        secret_name: Option<String>,
        /// The provider's type.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// Zones that this provider is used for.
        zones: Option<DnsIncludeExclude>,
    }

    /// What a DNS provider is used for.
    struct DnsIncludeExclude {
        /// Names that are included.
        include: Vec<String>,
        /// Names that are excluded.
        exclude: Vec<String>,
    }

    /// Whether and when a cluster sleeps.
    struct Hibernation {
        /// Whether it sleeps now.
        enabled: Option<bool>,
        /// When it falls asleep and wakes up.
        schedules: Vec<HibernationSchedule>,
    }

    /// When a cluster falls asleep and wakes up.
    struct HibernationSchedule {
        /// Cron expression: falls asleep.
        start: Option<String>,
        /// Cron expression: wakes up.
        end: Option<String>,
        /// The time zone of both; UTC if absent.
        location: Option<String>,
    }

    /// When and what may be changed without being asked.
    struct Maintenance {
        /// Rotations that happen by themselves.
        auto_rotation: Option<MaintenanceAutoRotation>,
        /// Updates that happen by themselves.
        auto_update: Option<MaintenanceAutoUpdate>,
        /// Whether changes of the spec wait for the time window.
        confine_spec_update_rollout: Option<bool>,
        /// The daily time window.
        time_window: Option<MaintenanceTimeWindow>,
    }

    /// Updates that happen by themselves.
    struct MaintenanceAutoUpdate {
        /// Patch versions of Kubernetes.
        kubernetes_version: Option<bool>,
        /// Versions of machine images.
        machine_image_version: Option<bool>,
    }

    /// Rotations that happen by themselves.
    struct MaintenanceAutoRotation {
        /// Which credentials.
        credentials: Option<MaintenanceCredentialsAutoRotation>,
    }

    /// Credentials that are rotated by themselves.
    struct MaintenanceCredentialsAutoRotation {
        /// Passwords of the monitoring stack.
        observability: Option<MaintenanceRotationConfig>,
        /// The SSH key pair of the workers.
        ssh_keypair: Option<MaintenanceRotationConfig>,
        /// The key that etcd's content is encrypted with.
        etcd_encryption_key: Option<MaintenanceRotationConfig>,
    }

    /// One rotation that happens by itself.
    struct MaintenanceRotationConfig {
        /// The time between a completed rotation and the next; 0 turns it off.
        rotation_period: Option<Duration>,
    }

    /// A daily time window.
    struct MaintenanceTimeWindow {
        /// HHMMSS+ZONE, such as 220000+0100.
        begin: String,
        /// HHMMSS+ZONE, such as 230000+0100.
        end: String,
    }

    /// Alerts to the cluster's users.
    struct Monitoring {
        /// Who gets alerts.
        alerting: Option<Alerting>,
    }

    /// Who gets alerts.
    struct Alerting {
        /// Mail addresses.
        email_receivers: Vec<String>,
    }

    /// Network plugin and address ranges.
    struct Networking {
        /// The network plugin.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// Configuration that only the plugin understands.
        provider_config: Option<Value>,
        /// Address range of pods.
        pods: Option<String>,
        /// Address range of nodes.
        nodes: Option<String>,
        /// Address range of services.
        services: Option<String>,
        /// IPv4, IPv6 or both; the first is the preferred one.
        ip_families: Vec<String>,
    }

    /// Infrastructure and worker pools.
    struct Provider {
        /// The provider. Cannot be changed.
        #[serde(rename = "type")]
        kind: String,
        /// Control-plane settings that only the provider understands.
        control_plane_config: Option<Value>,
        /// Infrastructure settings that only the provider understands.
        infrastructure_config: Option<Value>,
        /// The worker pools; none makes a cluster without nodes.
        workers: Vec<Worker>,
        /// Settings of all worker pools.
        workers_settings: Option<WorkersSettings>,
    }

    /// Settings of all worker pools.
    struct WorkersSettings {
        /// Whether one may log in to nodes.
        ssh_access: Option<SshAccess>,
    }

    /// Whether one may log in to nodes.
    struct SshAccess {
        /// Whether the SSH daemon runs.
        enabled: Option<bool>,
    }

    /// Settings of system components.
    struct SystemComponents {
        /// The cluster's DNS.
        #[serde(rename = "coreDNS")]
        core_dns: Option<CoreDns>,
        /// The DNS cache on every node.
        #[serde(rename = "nodeLocalDNS")]
        node_local_dns: Option<NodeLocalDns>,
    }

    /// The cluster's DNS.
    struct CoreDns {
        /// How it scales.
        autoscaling: Option<CoreDnsAutoscaling>,
        /// How queries are rewritten.
        rewriting: Option<CoreDnsRewriting>,
    }

    /// How the cluster's DNS scales.
    struct CoreDnsAutoscaling {
        /// horizontal or cluster-proportional.
        #[schemars(extend("enum" = ["horizontal", "cluster-proportional"]))]
        mode: String,
    }

    /// How DNS queries are rewritten.
    struct CoreDnsRewriting {
        /// Suffixes that mark a name as complete.
        common_suffixes: Vec<String>,
    }

    /// The DNS cache on every node.
    struct NodeLocalDns {
        /// Whether it runs.
        enabled: Option<bool>,
        /// Whether queries to the cluster's DNS use TCP.
        #[serde(rename = "forceTCPToClusterDNS")]
        force_tcp_to_cluster_dns: Option<bool>,
        /// Whether queries to the infrastructure's DNS use TCP.
        #[serde(rename = "forceTCPToUpstreamDNS")]
        force_tcp_to_upstream_dns: Option<bool>,
        /// Whether the infrastructure's DNS is never asked directly.
        #[serde(rename = "disableForwardToUpstreamDNS")]
        disable_forward_to_upstream_dns: Option<bool>,
    }
}
