//! How landscape kinds look in `kubectl get`: short names and columns, as Gardener has them.

use super::{AGE, Column};
use crate::landscape::Kind;

/// Gardener's short names.
pub(super) fn short_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::CloudProfile => &["cprofile", "cprofiles"],
        Kind::NamespacedCloudProfile => &["ncpfl"],
        Kind::ControllerDeployment => &["ctrldeploy"],
        Kind::ControllerRegistration => &["ctrlreg"],
        Kind::SecretBinding => &["sb"],
        Kind::CredentialsBinding => &["cb", "cbs"],
        Kind::Quota => &["squota"],
        Kind::WorkloadIdentity => &["wi", "wis"],
        Kind::ManagedSeed => &["ms"],
        _ => &[],
    }
}

/// Gardener's columns.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Shoot => &[
            ("CloudProfile", "string", ".spec.cloudProfile.name", false),
            ("Provider", "string", ".spec.provider.type", false),
            ("Region", "string", ".spec.region", false),
            ("K8S Version", "string", ".spec.kubernetes.version", false),
            ("Hibernation", "boolean", ".status.hibernated", false),
            ("Last Operation", "string", ".status.lastOperation.state", false),
            ("Status", "string", ".metadata.labels.shoot\\.gardener\\.cloud/status", false),
            AGE,
            ("Purpose", "string", ".spec.purpose", true),
            ("Seed", "string", ".spec.seedName", true),
            ("Gardener Version", "string", ".status.gardener.version", true),
            ("APIServer", "string", ".status.conditions[?(@.type==\"APIServerAvailable\")].status", true),
            ("Control", "string", ".status.conditions[?(@.type==\"ControlPlaneHealthy\")].status", true),
            ("Observability", "string", ".status.conditions[?(@.type==\"ObservabilityComponentsHealthy\")].status", true),
            ("Nodes", "string", ".status.conditions[?(@.type==\"EveryNodeReady\")].status", true),
            ("System", "string", ".status.conditions[?(@.type==\"SystemComponentsHealthy\")].status", true),
        ],
        Kind::Seed => &[
            ("Status", "string", ".status.conditions[?(@.type==\"GardenletReady\")].status", false),
            ("Last Operation", "string", ".status.lastOperation.state", false),
            ("Provider", "string", ".spec.provider.type", false),
            ("Region", "string", ".spec.provider.region", false),
            AGE,
            ("Version", "string", ".status.gardener.version", false),
            ("K8S Version", "string", ".status.kubernetesVersion", false),
        ],
        Kind::Project => &[
            ("Namespace", "string", ".spec.namespace", false),
            ("Status", "string", ".status.phase", false),
            ("Owner", "string", ".spec.owner.name", false),
            ("Creator", "string", ".spec.createdBy.name", false),
            AGE,
        ],
        Kind::CloudProfile => &[("Type", "string", ".spec.type", false), AGE],
        Kind::NamespacedCloudProfile => &[("CloudProfile", "string", ".spec.parent.name", false), AGE],
        Kind::SecretBinding | Kind::CredentialsBinding => &[("Provider", "string", ".provider.type", false), AGE],
        Kind::Quota => &[("Scope", "string", ".spec.scope.kind", false), AGE],
        Kind::WorkloadIdentity => {
            &[("Type", "string", ".spec.targetSystem.type", false), ("Sub", "string", ".status.sub", false), AGE]
        }
        Kind::ExposureClass => &[("Handler", "string", ".handler", false), AGE],
        Kind::ManagedSeed => &[
            ("Status", "string", ".status.conditions[?(@.type==\"SeedRegistered\")].status", false),
            ("Shoot", "string", ".spec.shoot.name", false),
            AGE,
        ],
        Kind::Operation => &[("State", "string", ".status.state", false), AGE],
        Kind::Landscape => {
            &[("Revision", "string", ".status.revision", false), ("Result", "string", ".status.result", false), AGE]
        }
        _ => &[AGE],
    }
}
