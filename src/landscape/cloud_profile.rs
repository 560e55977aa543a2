//! The CloudProfile: what a provider offers, in versions, machine types, images, volumes and regions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::meta::{AccessRestriction, ObjectMeta, SeedSelector};
use super::shape::{Amount, Duration, Time, shapes};

/// Capability names to the values that are possible, such as `architecture: [amd64, arm64]`.
pub type Capabilities = BTreeMap<String, Vec<String>>;

shapes! {
    /// What a provider offers.
    struct CloudProfile {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// CloudProfile
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What is offered.
        spec: CloudProfileSpec,
        /// What is known of it.
        status: CloudProfileStatus,
    }

    /// What a profile offers.
    struct CloudProfileSpec {
        /// Certificate authorities installed on every machine.
        ca_bundle: Option<String>,
        /// Kubernetes versions.
        kubernetes: KubernetesSettings,
        /// Machine images.
        machine_images: Vec<MachineImage>,
        /// Machine types.
        machine_types: Vec<MachineType>,
        /// Configuration that only the provider understands.
        provider_config: Option<Value>,
        /// Regions and their zones.
        regions: Vec<Region>,
        /// Narrows the seeds that shoots of this profile may be on.
        seed_selector: Option<SeedSelector>,
        /// The provider.
        #[serde(rename = "type")]
        kind: String,
        /// Volume types.
        volume_types: Vec<VolumeType>,
        /// Machine and image of bastions.
        bastion: Option<Bastion>,
        /// Limits for shoots.
        limits: Option<Limits>,
        /// Capabilities that machine types and images are matched by.
        machine_capabilities: Vec<CapabilityDefinition>,
        /// Settings of control planes.
        control_plane: Option<ProfileControlPlane>,
    }

    /// What is known of a profile.
    struct CloudProfileStatus {
        /// Kubernetes versions and where they are in their life.
        kubernetes: Option<KubernetesStatus>,
        /// Machine images and where they are in their life.
        machine_images: Vec<MachineImageStatus>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
    }

    /// Kubernetes versions and where they are in their life.
    struct KubernetesStatus {
        /// The versions.
        versions: Vec<ExpirableVersionStatus>,
    }

    /// A machine image and where its versions are in their life.
    struct MachineImageStatus {
        /// The image.
        name: String,
        /// Its versions.
        versions: Vec<ExpirableVersionStatus>,
    }

    /// A version and where it is in its life.
    struct ExpirableVersionStatus {
        /// The version.
        version: String,
        /// unavailable, preview, supported, deprecated or expired.
        classification: String,
    }

    /// Kubernetes versions that are offered.
    struct KubernetesSettings {
        /// The versions.
        versions: Vec<ExpirableVersion>,
    }

    /// A version with a life time.
    struct ExpirableVersion {
        /// The version.
        version: String,
        /// From when on it may not be used any more.
        expiration_date: Option<Time>,
        /// preview, supported or deprecated.
        #[schemars(extend("enum" = ["unavailable", "preview", "supported", "deprecated", "expired"]))]
        classification: Option<String>,
        /// The stages of its life; excludes classification and expirationDate.
        lifecycle: Vec<LifecycleStage>,
    }

    /// A stage in the life of a version.
    struct LifecycleStage {
        /// unavailable, preview, supported, deprecated or expired.
        classification: String,
        /// When the stage begins; absent means always.
        start_time: Option<Time>,
    }

    /// A machine image.
    struct MachineImage {
        /// Its name.
        name: String,
        /// Its versions.
        versions: Vec<MachineImageVersion>,
        /// How far automatic updates go: patch, minor or major.
        #[schemars(extend("enum" = ["patch", "minor", "major"]))]
        update_strategy: Option<String>,
    }

    /// A version of a machine image.
    struct MachineImageVersion {
        /// The version.
        version: String,
        /// From when on it may not be used any more.
        expiration_date: Option<Time>,
        /// preview, supported or deprecated.
        #[schemars(extend("enum" = ["unavailable", "preview", "supported", "deprecated", "expired"]))]
        classification: Option<String>,
        /// The stages of its life; excludes classification and expirationDate.
        lifecycle: Vec<LifecycleStage>,
        /// Container runtimes of the image.
        cri: Vec<ImageCri>,
        /// CPU architectures; excludes capabilityFlavors.
        architectures: Vec<String>,
        /// Kubelet versions that work with it, such as `>= 1.30`.
        kubelet_version_constraint: Option<String>,
        /// Whether machines can be updated in place.
        in_place_updates: Option<InPlaceUpdates>,
        /// Sets of capabilities that the image comes in.
        capability_flavors: Vec<Capabilities>,
    }

    /// A container runtime interface of an image.
    struct ImageCri {
        /// containerd
        name: String,
        /// Runtimes beside the default one.
        container_runtimes: Vec<ImageContainerRuntime>,
    }

    /// A container runtime of an image.
    struct ImageContainerRuntime {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
        /// Configuration that only the extension understands.
        provider_config: Option<Value>,
    }

    /// Whether machines can be updated in place.
    struct InPlaceUpdates {
        /// Whether they can.
        supported: Option<bool>,
        /// The oldest version that can be updated to this one.
        min_version_for_update: Option<String>,
    }

    /// A machine type.
    struct MachineType {
        /// Its name.
        name: String,
        /// CPUs.
        cpu: Option<Amount>,
        /// GPUs.
        gpu: Option<Amount>,
        /// Memory.
        memory: Option<Amount>,
        /// The root disk that belongs to it.
        storage: Option<MachineTypeStorage>,
        /// Whether shoots may use it.
        usable: Option<bool>,
        /// CPU architecture; excludes capabilities.
        architecture: Option<String>,
        /// Capabilities of the type.
        capabilities: Capabilities,
        /// Time-outs of machines of this type.
        machine_controller_manager: Option<MachineTypeControllerManager>,
    }

    /// The root disk of a machine type.
    struct MachineTypeStorage {
        /// standard or premium.
        class: String,
        /// The size; excludes minSize.
        size: Option<Amount>,
        /// The volume type.
        #[serde(rename = "type")]
        kind: String,
        /// The smallest size that a shoot may ask for.
        min_size: Option<Amount>,
    }

    /// Time-outs of machines of a type.
    struct MachineTypeControllerManager {
        /// How long a machine may take to be created.
        machine_creation_timeout: Option<Duration>,
        /// How long a machine may be unhealthy before it is replaced.
        machine_health_timeout: Option<Duration>,
        /// How long a drain may take before the machine is deleted anyway.
        machine_drain_timeout: Option<Duration>,
        /// How long an in-place update may take.
        in_place_update_timeout: Option<Duration>,
        /// How often an eviction is tried.
        max_evict_retries: Option<i32>,
        /// Node conditions that make a machine unhealthy.
        node_conditions: Vec<String>,
        /// Whether machines never count as failed.
        disable_health_timeout: Option<bool>,
        /// How long a failed machine is kept for inspection.
        machine_preserve_timeout: Option<Duration>,
        /// How many failed machines are kept at most.
        auto_preserve_failed_machine_max: Option<i32>,
    }

    /// A region.
    struct Region {
        /// Its name.
        name: String,
        /// Its zones.
        zones: Vec<AvailabilityZone>,
        /// Labels for people.
        labels: BTreeMap<String, String>,
        /// Access restrictions that it can fulfil.
        access_restrictions: Vec<AccessRestriction>,
    }

    /// A zone.
    struct AvailabilityZone {
        /// Its name.
        name: String,
        /// Machine types that it lacks.
        unavailable_machine_types: Vec<String>,
        /// Volume types that it lacks.
        unavailable_volume_types: Vec<String>,
    }

    /// A volume type.
    struct VolumeType {
        /// standard or premium.
        class: String,
        /// Its name.
        name: String,
        /// Whether shoots may use it.
        usable: Option<bool>,
        /// The smallest volume.
        min_size: Option<Amount>,
    }

    /// Machine and image of bastions.
    struct Bastion {
        /// The image.
        machine_image: Option<BastionMachineImage>,
        /// The machine type.
        machine_type: Option<BastionMachineType>,
    }

    /// The image of bastions.
    struct BastionMachineImage {
        /// Its name.
        name: String,
        /// Its version.
        version: Option<String>,
    }

    /// The machine type of bastions.
    struct BastionMachineType {
        /// Its name.
        name: String,
    }

    /// Limits for shoots.
    struct Limits {
        /// The most nodes of all pools together.
        max_nodes_total: Option<i32>,
    }

    /// A capability and its possible values.
    struct CapabilityDefinition {
        /// Its name.
        name: String,
        /// The values.
        values: Vec<String>,
    }

    /// Settings of control planes.
    struct ProfileControlPlane {
        /// Whether shoots may pin the zones of their control plane.
        allow_zone_pinning: Option<bool>,
    }
}
