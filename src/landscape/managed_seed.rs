//! The ManagedSeed: a shoot that is used as a seed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::meta::{Condition, ObjectMeta, ResourceList};
use super::shape::shapes;

shapes! {
    /// A shoot that is used as a seed.
    struct ManagedSeed {
        /// seedmanagement.gardener.cloud/v1alpha1
        api_version: String,
        /// ManagedSeed
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: ManagedSeedSpec,
        /// What is.
        status: ManagedSeedStatus,
    }

    /// What is wanted of a managed seed.
    struct ManagedSeedSpec {
        /// The shoot, in project `garden`. Cannot be changed.
        shoot: Option<ManagedSeedShoot>,
        /// The agent and its configuration.
        gardenlet: GardenletConfig,
    }

    /// The shoot that is used as a seed.
    struct ManagedSeedShoot {
        /// Its name.
        name: String,
    }

    /// The agent and its configuration.
    struct GardenletConfig {
        /// How it is deployed.
        deployment: Option<GardenletDeployment>,
        /// Its GardenletConfiguration, with the seed's in `seedConfig`.
        config: Option<Value>,
        /// How it first gets in: BootstrapToken, ServiceAccount or None.
        #[schemars(extend("enum" = ["BootstrapToken", "ServiceAccount", "None"]))]
        bootstrap: Option<String>,
        /// Whether the parent agent's configuration is the base.
        merge_with_parent: Option<bool>,
    }

    /// How a seed's agent is deployed.
    struct GardenletDeployment {
        /// Replicas.
        replica_count: Option<i32>,
        /// Old ReplicaSets that are kept.
        revision_history_limit: Option<i32>,
        /// The service account.
        service_account_name: Option<String>,
        /// The image.
        image: Option<GardenletImage>,
        /// Requests and limits.
        resources: Option<ResourceRequirements>,
        /// Labels of the pods.
        pod_labels: BTreeMap<String, String>,
        /// Annotations of the pods.
        pod_annotations: BTreeMap<String, String>,
        /// Further volumes, in Kubernetes' own shape.
        additional_volumes: Vec<Value>,
        /// Further mounts, in Kubernetes' own shape.
        additional_volume_mounts: Vec<Value>,
        /// Environment variables.
        env: Vec<EnvVar>,
        /// Tolerations of the pods, in Kubernetes' own shape.
        tolerations: Vec<Value>,
        /// Whether it is probed.
        enable_health_probes: Option<bool>,
    }

    /// An environment variable.
    struct EnvVar {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
        /// Where its value comes from, in Kubernetes' own shape.
        value_from: Option<Value>,
    }

    /// A container image.
    struct GardenletImage {
        /// The whole reference; excludes repository and tag.
        #[serde(rename = "ref")]
        reference: Option<String>,
        /// The repository.
        repository: Option<String>,
        /// The tag.
        tag: Option<String>,
        /// Always, Never or IfNotPresent.
        #[schemars(extend("enum" = ["Always", "Never", "IfNotPresent"]))]
        pull_policy: Option<String>,
    }

    /// Requests and limits of a container.
    struct ResourceRequirements {
        /// What it gets.
        requests: ResourceList,
        /// The most that it gets.
        limits: ResourceList,
        /// Claims, in Kubernetes' own shape.
        claims: Vec<Value>,
    }

    /// What is known of a managed seed.
    struct ManagedSeedStatus {
        /// Health.
        conditions: Vec<Condition>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
    }
}
