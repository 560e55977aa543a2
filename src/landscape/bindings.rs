//! How a project's shoots get at credentials: SecretBinding and CredentialsBinding.

use super::meta::{ObjectMeta, ObjectReference, SecretReference};
use super::shape::shapes;

shapes! {
    /// Credentials by reference to a Secret.
    struct SecretBinding {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// SecretBinding
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// The Secret. Cannot be changed.
        secret_ref: SecretReference,
        /// Quotas that limit what the credentials are used for.
        quotas: Vec<ObjectReference>,
        /// The provider that the credentials are for.
        provider: Option<SecretBindingProvider>,
    }

    /// The provider of a SecretBinding.
    struct SecretBindingProvider {
        /// Its type; several are separated by commas.
        #[serde(rename = "type")]
        kind: String,
    }

    /// Credentials by reference to a Secret or a WorkloadIdentity.
    struct CredentialsBinding {
        /// security.gardener.cloud/v1alpha1
        api_version: String,
        /// CredentialsBinding
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// The provider that the credentials are for.
        provider: CredentialsBindingProvider,
        /// The credentials. Cannot be changed.
        credentials_ref: ObjectReference,
        /// Quotas that limit what the credentials are used for.
        quotas: Vec<ObjectReference>,
    }

    /// The provider of a CredentialsBinding.
    struct CredentialsBindingProvider {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
    }
}
