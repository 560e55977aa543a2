//! The ControllerRegistration: what an extension is responsible for.

use super::meta::{LabelSelector, ObjectMeta};
use super::shape::{Duration, shapes};

/// The API version of the objects that extensions act on.
pub const EXTENSIONS: &str = "extensions.gardener.cloud/v1alpha1";

/// The kinds of these objects.
pub const EXTENSION_KINDS: [&str; 12] = [
    "BackupBucket",
    "BackupEntry",
    "Bastion",
    "ContainerRuntime",
    "ControlPlane",
    "DNSRecord",
    "Extension",
    "Infrastructure",
    "Network",
    "OperatingSystemConfig",
    "SelfHostedShootExposure",
    "Worker",
];

shapes! {
    /// What an extension is responsible for.
    struct ControllerRegistration {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// ControllerRegistration
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// Its responsibilities.
        spec: ControllerRegistrationSpec,
    }

    /// An extension's responsibilities.
    struct ControllerRegistrationSpec {
        /// What it acts on.
        resources: Vec<ControllerResource>,
        /// How it is installed.
        deployment: Option<ControllerRegistrationDeployment>,
    }

    /// Something that an extension acts on.
    struct ControllerResource {
        /// The extension kind, such as Infrastructure or DNSRecord.
        kind: String,
        /// The type, such as aws.
        #[serde(rename = "type")]
        type_: String,
        /// Whether every cluster gets it; use autoEnable.
        globally_enabled: Option<bool>,
        /// How long a reconciliation may take.
        reconcile_timeout: Option<Duration>,
        /// Whether this extension, and no other, answers for the object.
        primary: Option<bool>,
        /// When it acts, relative to the API server.
        lifecycle: Option<ControllerResourceLifecycle>,
        /// Whether it works for clusters without workers.
        workerless_supported: Option<bool>,
        /// Kinds of cluster that get it unasked: shoot, seed.
        auto_enable: Vec<String>,
        /// Kinds of cluster that it works for: shoot, seed, garden.
        cluster_compatibility: Vec<String>,
        /// Whether it keeps endpoints of a self-hosted shoot up to date.
        continuous_endpoint_update: Option<bool>,
    }

    /// When an extension acts, relative to the API server.
    struct ControllerResourceLifecycle {
        /// On reconciliation.
        reconcile: Option<String>,
        /// On deletion.
        delete: Option<String>,
        /// On migration.
        migrate: Option<String>,
    }

    /// How an extension is installed.
    struct ControllerRegistrationDeployment {
        /// OnDemand, Always or AlwaysExceptNoShoots.
        #[schemars(extend("enum" = ["OnDemand", "Always", "AlwaysExceptNoShoots"]))]
        policy: Option<String>,
        /// Which seeds may have it.
        seed_selector: Option<LabelSelector>,
        /// ControllerDeployments with the details.
        deployment_refs: Vec<DeploymentRef>,
    }

    /// Names a ControllerDeployment.
    struct DeploymentRef {
        /// Its name.
        name: String,
    }
}
