//! A worker pool of a Shoot.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::kubelet::KubeletConfig;
use super::meta::{Backup, Taint};
use super::shape::{Duration, IntOrString, shapes};

shapes! {
    /// A pool of equal machines.
    struct Worker {
        /// Its name, unique in the cluster.
        name: String,
        /// Machine type, image and architecture.
        machine: Machine,
        /// The fewest machines, over all zones.
        minimum: Option<i32>,
        /// The most machines, over all zones.
        maximum: Option<i32>,
        /// Machines that may be added during an update.
        max_surge: Option<IntOrString>,
        /// Machines that may be missing during an update.
        max_unavailable: Option<IntOrString>,
        /// Zones that the pool is spread over.
        zones: Vec<String>,
        /// The root volume.
        volume: Option<Volume>,
        /// Further volumes.
        data_volumes: Vec<DataVolume>,
        /// The data volume for the kubelet's state.
        kubelet_data_volume_name: Option<String>,
        /// Labels of the nodes.
        labels: BTreeMap<String, String>,
        /// Annotations of the nodes.
        annotations: BTreeMap<String, String>,
        /// Taints of the nodes.
        taints: Vec<Taint>,
        /// Certificate authorities installed on the machines.
        ca_bundle: Option<String>,
        /// Container runtimes.
        cri: Option<Cri>,
        /// Kubelet version and settings of this pool.
        kubernetes: Option<WorkerKubernetes>,
        /// Configuration that only the provider understands.
        provider_config: Option<Value>,
        /// Whether system components may run here.
        system_components: Option<WorkerSystemComponents>,
        /// How machines are created, drained and replaced.
        machine_controller_manager: Option<MachineControllerManagerSettings>,
        /// Kernel settings.
        sysctls: BTreeMap<String, String>,
        /// How this pool is scaled.
        cluster_autoscaler: Option<ClusterAutoscalerOptions>,
        /// Pools with a higher priority are scaled up first.
        priority: Option<i32>,
        /// AutoRollingUpdate, AutoInPlaceUpdate or ManualInPlaceUpdate.
        #[schemars(extend("enum" = ["AutoRollingUpdate", "AutoInPlaceUpdate", "ManualInPlaceUpdate"]))]
        update_strategy: Option<String>,
        /// Marks the pool that runs the control plane of a self-hosted shoot.
        control_plane: Option<WorkerControlPlane>,
    }

    /// Machine type, image and architecture.
    struct Machine {
        /// The machine type.
        #[serde(rename = "type")]
        kind: String,
        /// The image; absent means the newest of the profile's first.
        image: Option<ShootMachineImage>,
        /// amd64 or arm64.
        architecture: Option<String>,
    }

    /// A machine image and its version.
    struct ShootMachineImage {
        /// The image's name in the profile.
        name: String,
        /// Configuration that only the operating system extension understands.
        provider_config: Option<Value>,
        /// The version; absent means the newest, a prefix the newest that starts so.
        version: Option<String>,
    }

    /// The root volume of a machine.
    struct Volume {
        /// A name to refer to it.
        name: Option<String>,
        /// The volume type.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// The size.
        size: String,
        /// Whether it is encrypted.
        encrypted: Option<bool>,
    }

    /// A further volume of a machine.
    struct DataVolume {
        /// A name to refer to it.
        name: String,
        /// The volume type.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// The size.
        size: String,
        /// Whether it is encrypted.
        encrypted: Option<bool>,
    }

    /// Container runtimes of a pool.
    struct Cri {
        /// containerd
        name: String,
        /// Runtimes beside the default one.
        container_runtimes: Vec<ContainerRuntime>,
    }

    /// A container runtime.
    struct ContainerRuntime {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
        /// Configuration that only the extension understands.
        provider_config: Option<Value>,
    }

    /// Kubelet version and settings of a pool.
    struct WorkerKubernetes {
        /// The kubelet's settings; they replace those of the cluster.
        kubelet: Option<KubeletConfig>,
        /// The kubelet's version; absent means the cluster's.
        version: Option<String>,
    }

    /// Whether system components may run in a pool.
    struct WorkerSystemComponents {
        /// Whether they may.
        allow: Option<bool>,
    }

    /// How machines are created, drained and replaced.
    struct MachineControllerManagerSettings {
        /// How long a drain may take before the machine is deleted anyway.
        machine_drain_timeout: Option<Duration>,
        /// How long a machine may be unhealthy before it is replaced.
        machine_health_timeout: Option<Duration>,
        /// How long a machine may take to be created.
        machine_creation_timeout: Option<Duration>,
        /// How often an eviction is tried.
        max_evict_retries: Option<i32>,
        /// Node conditions that make a machine unhealthy.
        node_conditions: Vec<String>,
        /// How long an in-place update may take.
        in_place_update_timeout: Option<Duration>,
        /// Whether machines never count as failed.
        disable_health_timeout: Option<bool>,
        /// How long a failed machine is kept for inspection.
        machine_preserve_timeout: Option<Duration>,
        /// How many failed machines are kept at most.
        auto_preserve_failed_machine_max: Option<i32>,
    }

    /// How a pool is scaled.
    struct ClusterAutoscalerOptions {
        /// Utilization (0.0 to 1.0) below which a node is unneeded.
        scale_down_utilization_threshold: Option<Number>,
        /// The same for GPUs.
        scale_down_gpu_utilization_threshold: Option<Number>,
        /// How long a node must be unneeded before it goes.
        scale_down_unneeded_time: Option<Duration>,
        /// How long a node that is not ready must be unneeded before it goes.
        scale_down_unready_time: Option<Duration>,
        /// How long a node may take to appear.
        max_node_provision_time: Option<Duration>,
    }

    /// What a pool that runs the control plane needs.
    struct WorkerControlPlane {
        /// Where etcd's backups go.
        backup: Option<Backup>,
        /// How the API server is reached.
        exposure: Option<ControlPlaneExposure>,
    }

    /// How a self-hosted API server is reached.
    struct ControlPlaneExposure {
        /// By an extension.
        extension: Option<ExtensionExposure>,
        /// By DNS records only.
        dns: Option<DnsExposure>,
    }

    /// Exposure by an extension.
    struct ExtensionExposure {
        /// The extension's type.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// Configuration that only the extension understands.
        provider_config: Option<Value>,
    }

    /// Exposure by DNS records; has no settings.
    struct DnsExposure {
    }
}
