//! `status` of a Shoot: conditions, the last operation, identity, and how far rotations have come.

use super::meta::{Condition, Gardener, LastError, LastOperation};
use super::shape::shapes;

shapes! {
    /// What is known of a shoot.
    struct ShootStatus {
        /// Addresses of the API server and of the token issuer.
        advertised_addresses: Vec<AdvertisedAddress>,
        /// The cluster's identity. Does not change.
        cluster_identity: Option<String>,
        /// Health.
        conditions: Vec<Condition>,
        /// What is possible now.
        constraints: Vec<Condition>,
        /// Rotations and encryption.
        credentials: Option<ShootCredentials>,
        /// Resources that are encrypted in etcd; see credentials.encryptionAtRest.
        encrypted_resources: Vec<String>,
        /// Who last acted.
        gardener: Gardener,
        /// Whether it sleeps.
        hibernated: Option<bool>,
        /// In-place updates that are under way.
        in_place_updates: Option<InPlaceUpdatesStatus>,
        /// Errors of the last operation.
        last_errors: Vec<LastError>,
        /// When a schedule last changed hibernation.
        last_hibernation_trigger_time: Option<String>,
        /// What maintenance last did.
        last_maintenance: Option<LastMaintenance>,
        /// What was last done.
        last_operation: Option<LastOperation>,
        /// Worker rollouts that a person must start.
        manual_worker_pool_rollout: Option<ManualWorkerPoolRollout>,
        /// When the control plane began to move to another seed.
        migration_start_time: Option<String>,
        /// Address ranges in use.
        networking: Option<NetworkingStatus>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// When the current series of attempts began.
        retry_cycle_start_time: Option<String>,
        /// The seed that runs the control plane.
        seed_name: Option<String>,
        /// The name of the namespace in the seed, and of everything on the infrastructure. Does not change.
        #[serde(rename = "technicalID")]
        technical_id: String,
        /// An identifier that outlives the Shoot object. Does not change.
        uid: String,
    }

    /// An address that belongs to a shoot.
    struct AdvertisedAddress {
        /// What it is: external, internal, service-account-issuer, …
        name: String,
        /// The URL.
        url: String,
        /// The application that is served there.
        application: Option<String>,
    }

    /// Rotations and encryption.
    struct ShootCredentials {
        /// How far rotations have come.
        rotation: Option<ShootCredentialsRotation>,
        /// What is encrypted in etcd, and how.
        encryption_at_rest: Option<EncryptionAtRest>,
    }

    /// What is encrypted in etcd, and how.
    struct EncryptionAtRest {
        /// Resources beside Secrets.
        resources: Vec<String>,
        /// The provider in use.
        provider: Option<EncryptionProviderStatus>,
    }

    /// The encryption provider in use.
    struct EncryptionProviderStatus {
        /// aescbc, aesgcm or secretbox.
        #[serde(rename = "type")]
        kind: String,
    }

    /// How far rotations have come.
    struct ShootCredentialsRotation {
        /// Certificate authorities.
        certificate_authorities: Option<PhasedRotation>,
        /// The static kubeconfig of old clusters.
        kubeconfig: Option<SimpleRotation>,
        /// The SSH key pair of the workers.
        ssh_keypair: Option<SimpleRotation>,
        /// Passwords of the monitoring stack.
        observability: Option<SimpleRotation>,
        /// The key that service account tokens are signed with.
        service_account_key: Option<PhasedRotation>,
        /// The key that etcd's content is encrypted with.
        etcd_encryption_key: Option<PhasedRotation>,
    }

    /// A rotation in one step.
    struct SimpleRotation {
        /// When it was last begun.
        last_initiation_time: Option<String>,
        /// When it was last completed.
        last_completion_time: Option<String>,
    }

    /// A rotation in two steps.
    struct PhasedRotation {
        /// Preparing, PreparingWithoutWorkersRollout, WaitingForWorkersRollout, Prepared, Completing or Completed.
        phase: String,
        /// When it was last completed.
        last_completion_time: Option<String>,
        /// When it was last begun.
        last_initiation_time: Option<String>,
        /// When the first step was last done.
        last_initiation_finished_time: Option<String>,
        /// When the second step was last begun.
        last_completion_triggered_time: Option<String>,
        /// Worker pools that are not rolled out yet.
        pending_workers_rollouts: Vec<PendingWorkersRollout>,
        /// Whether the second step follows by itself.
        auto_complete_after_prepared: Option<bool>,
    }

    /// A worker pool that is not rolled out yet.
    struct PendingWorkersRollout {
        /// The pool.
        name: String,
        /// When its rotation was begun.
        last_initiation_time: Option<String>,
    }

    /// Worker rollouts that a person must start.
    struct ManualWorkerPoolRollout {
        /// The pools.
        pending_workers_rollouts: Vec<PendingWorkersRollout>,
    }

    /// In-place updates that are under way.
    struct InPlaceUpdatesStatus {
        /// By pool.
        pending_worker_updates: Option<PendingWorkerUpdates>,
    }

    /// Pools whose in-place update is under way.
    struct PendingWorkerUpdates {
        /// Pools that update by themselves.
        auto_in_place_update: Vec<String>,
        /// Pools that wait for a person.
        manual_in_place_update: Vec<String>,
    }

    /// What maintenance last did.
    struct LastMaintenance {
        /// A sentence for people.
        description: String,
        /// When.
        triggered_time: Option<String>,
        /// Processing, Succeeded or Error.
        state: String,
        /// Why it failed.
        failure_reason: Option<String>,
    }

    /// Address ranges in use.
    struct NetworkingStatus {
        /// Of pods.
        pods: Vec<String>,
        /// Of nodes.
        nodes: Vec<String>,
        /// Of services.
        services: Vec<String>,
        /// Addresses that traffic from the cluster comes from.
        #[serde(rename = "egressCIDRs")]
        egress_cidrs: Vec<String>,
    }
}
