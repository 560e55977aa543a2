//! The Seed: a cluster that hosts the control planes of shoots.

use std::collections::BTreeMap;

use serde_json::Value;

use super::meta::{
    AccessRestriction, Backup, Condition, Extension, Gardener, LastOperation, NamedResourceReference, ObjectMeta,
    ObjectReference, PodToleration, ResourceList,
};
use super::shape::{Amount, shapes};

shapes! {
    /// A cluster that hosts control planes.
    struct Seed {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// Seed
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: SeedSpec,
        /// What is.
        status: SeedStatus,
    }

    /// What is wanted of a seed.
    struct SeedSpec {
        /// Where backups of etcd go; absent means that none are taken.
        backup: Option<Backup>,
        /// DNS providers.
        dns: SeedDns,
        /// Address ranges.
        networks: SeedNetworks,
        /// Provider, region and zones.
        provider: SeedProvider,
        /// Taints that shoots must tolerate.
        taints: Vec<SeedTaint>,
        /// Persistent volumes.
        volume: Option<SeedVolume>,
        /// Settings.
        settings: Option<SeedSettings>,
        /// Ingress of the seed.
        ingress: Option<Ingress>,
        /// Access restrictions that the seed fulfils.
        access_restrictions: Vec<AccessRestriction>,
        /// Extensions that are turned on for the seed.
        extensions: Vec<Extension>,
        /// Objects that extension configurations refer to by name.
        resources: Vec<NamedResourceReference>,
    }

    /// DNS providers of a seed.
    struct SeedDns {
        /// The provider of the ingress domain.
        provider: Option<SeedDnsProvider>,
        /// The domain below which control planes are found from inside.
        internal: Option<SeedDnsProviderConfig>,
        /// Domains below which shoots get theirs.
        defaults: Vec<SeedDnsProviderConfig>,
    }

    /// The provider of a seed's ingress domain.
    struct SeedDnsProvider {
        /// The provider's type.
        #[serde(rename = "type")]
        kind: String,
        /// The credentials.
        credentials_ref: Option<ObjectReference>,
    }

    /// A domain and its provider.
    struct SeedDnsProviderConfig {
        /// The provider's type.
        #[serde(rename = "type")]
        kind: String,
        /// The domain.
        domain: String,
        /// The zone.
        zone: Option<String>,
        /// The credentials.
        credentials_ref: Option<ObjectReference>,
    }

    /// Address ranges of a seed.
    struct SeedNetworks {
        /// Of nodes.
        nodes: Option<String>,
        /// Of pods.
        pods: String,
        /// Of services.
        services: String,
        /// Ranges of shoots that do not name theirs.
        shoot_defaults: Option<ShootNetworks>,
        /// Addresses that control planes may not reach.
        #[serde(rename = "blockCIDRs")]
        block_cidrs: Vec<String>,
        /// IPv4, IPv6 or both.
        ip_families: Vec<String>,
    }

    /// Ranges of shoots that do not name theirs.
    struct ShootNetworks {
        /// Of pods.
        pods: Option<String>,
        /// Of services.
        services: Option<String>,
    }

    /// Provider, region and zones of a seed.
    struct SeedProvider {
        /// The provider.
        #[serde(rename = "type")]
        kind: String,
        /// Configuration that only the provider understands.
        provider_config: Option<Value>,
        /// The region.
        region: String,
        /// The zones.
        zones: Vec<String>,
    }

    /// A taint of a seed.
    struct SeedTaint {
        /// Its key.
        key: String,
        /// Its value.
        value: Option<String>,
    }

    /// Persistent volumes in a seed.
    struct SeedVolume {
        /// The smallest size.
        minimum_size: Option<Amount>,
        /// Storage classes by purpose.
        providers: Vec<SeedVolumeProvider>,
    }

    /// A storage class for a purpose.
    struct SeedVolumeProvider {
        /// The purpose.
        purpose: String,
        /// The class's provisioner.
        name: String,
    }

    /// Ingress of a seed.
    struct Ingress {
        /// The domain. Cannot be changed. For a certificate for every name below it see SEED-WILDCARD-CERTIFICATE.
        domain: String,
        /// The controller.
        controller: IngressController,
    }

    /// The ingress controller of a seed.
    struct IngressController {
        /// nginx
        kind: String,
        /// Settings of the controller.
        provider_config: Option<Value>,
    }

    /// Settings of a seed.
    struct SeedSettings {
        /// Nodes kept free for control planes to come.
        excess_capacity_reservation: Option<ExcessCapacityReservation>,
        /// Whether the scheduler sees the seed.
        scheduling: Option<SeedScheduling>,
        /// Load balancers.
        load_balancer_services: Option<LoadBalancerServices>,
        /// The vertical pod autoscaler.
        vertical_pod_autoscaler: Option<SeedVerticalPodAutoscaler>,
        /// The dependency watchdog.
        dependency_watchdog: Option<DependencyWatchdog>,
        /// Routing that prefers the own zone.
        topology_aware_routing: Option<Enabled>,
        /// How zones of control planes are chosen.
        zone_selection: Option<ZoneSelection>,
        /// The autoscaler of volumes.
        persistent_volume_claim_autoscaler: Option<Enabled>,
    }

    /// Whether something is on.
    struct Enabled {
        /// Whether it is.
        enabled: Option<bool>,
    }

    /// Nodes kept free for control planes to come.
    struct ExcessCapacityReservation {
        /// Whether any are.
        enabled: Option<bool>,
        /// How much, and where.
        configs: Vec<ExcessCapacityReservationConfig>,
    }

    /// One reservation.
    struct ExcessCapacityReservationConfig {
        /// How much.
        resources: ResourceList,
        /// On which nodes.
        node_selector: BTreeMap<String, String>,
        /// Taints that are tolerated.
        tolerations: Vec<PodToleration>,
    }

    /// Whether the scheduler sees a seed.
    struct SeedScheduling {
        /// Whether it does.
        visible: Option<bool>,
    }

    /// Load balancers in a seed.
    struct LoadBalancerServices {
        /// Annotations of the Services.
        annotations: BTreeMap<String, String>,
        /// Cluster or Local.
        external_traffic_policy: Option<String>,
        /// Load balancers of single zones.
        zones: Vec<LoadBalancerServicesZone>,
        /// PROXY protocol.
        proxy_protocol: Option<ProxyProtocol>,
        /// Whether every zone gets a gateway.
        zonal_ingress: Option<Enabled>,
        /// The load balancer class.
        class: Option<String>,
    }

    /// The load balancer of a zone.
    struct LoadBalancerServicesZone {
        /// The zone.
        name: String,
        /// Annotations of the Service.
        annotations: BTreeMap<String, String>,
        /// Cluster or Local.
        external_traffic_policy: Option<String>,
        /// PROXY protocol.
        proxy_protocol: Option<ProxyProtocol>,
    }

    /// PROXY protocol of a load balancer.
    struct ProxyProtocol {
        /// Whether it is understood.
        allowed: Option<bool>,
    }

    /// The vertical pod autoscaler of a seed.
    struct SeedVerticalPodAutoscaler {
        /// Whether it is deployed.
        enabled: Option<bool>,
        /// Feature gates by name.
        feature_gates: BTreeMap<String, bool>,
        /// The most that is ever recommended for a container.
        max_allowed: ResourceList,
    }

    /// The dependency watchdog of a seed.
    struct DependencyWatchdog {
        /// Restarts pods that wait for a dependency that is back.
        weeder: Option<Enabled>,
        /// Scales controllers down whose API server is unreachable.
        prober: Option<Enabled>,
    }

    /// How zones of control planes are chosen.
    struct ZoneSelection {
        /// Prefer or Enforce.
        #[schemars(extend("enum" = ["Prefer", "Enforce"]))]
        mode: String,
    }

    /// What is known of a seed.
    struct SeedStatus {
        /// Who last acted.
        gardener: Option<Gardener>,
        /// The seed's own Kubernetes version.
        kubernetes_version: Option<String>,
        /// Health.
        conditions: Vec<Condition>,
        /// What is possible now.
        constraints: Vec<Condition>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// The seed's identity.
        cluster_identity: Option<String>,
        /// What the seed has.
        capacity: ResourceList,
        /// What of it may be given away.
        allocatable: ResourceList,
        /// When the agent's certificate expires.
        client_certificate_expiration_timestamp: Option<String>,
        /// What was last done.
        last_operation: Option<LastOperation>,
    }
}
