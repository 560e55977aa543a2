//! The WorkloadIdentity: an identity that a provider trusts, instead of a stored secret.

use serde_json::Value;

use super::meta::ObjectMeta;
use super::shape::shapes;

shapes! {
    /// An identity that a provider trusts.
    struct WorkloadIdentity {
        /// security.gardener.cloud/v1alpha1
        api_version: String,
        /// WorkloadIdentity
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// The identity.
        spec: WorkloadIdentitySpec,
        /// What is known of it.
        status: WorkloadIdentityStatus,
    }

    /// The identity.
    struct WorkloadIdentitySpec {
        /// Whom tokens are for.
        audiences: Vec<String>,
        /// The system that trusts them.
        target_system: TargetSystem,
    }

    /// The system that trusts an identity.
    struct TargetSystem {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
        /// Configuration that only the system understands.
        provider_config: Option<Value>,
    }

    /// What is known of an identity.
    struct WorkloadIdentityStatus {
        /// The subject of tokens.
        sub: Option<String>,
        /// The issuer of tokens.
        issuer: Option<String>,
    }
}
