//! The ControllerDeployment: how an extension is installed.

use serde_json::Value;

use super::meta::{LocalObjectReference, ObjectMeta};
use super::shape::shapes;

shapes! {
    /// How an extension is installed.
    struct ControllerDeployment {
        /// core.gardener.cloud/v1
        api_version: String,
        /// ControllerDeployment
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// By a Helm chart.
        helm: Option<HelmControllerDeployment>,
        /// Whether the extension gets a kubeconfig for the garden.
        inject_garden_kubeconfig: Option<bool>,
        /// A deployment type of someone else's; excludes helm.
        #[serde(rename = "type")]
        type_: Option<String>,
        /// Configuration of someone else's deployment type.
        provider_config: Option<Value>,
    }

    /// Installation by a Helm chart.
    struct HelmControllerDeployment {
        /// The packed chart in base64.
        raw_chart: Option<String>,
        /// Values of the chart.
        values: Option<Value>,
        /// Where the chart is.
        oci_repository: Option<OciRepository>,
    }

    /// A chart in a registry.
    struct OciRepository {
        /// The whole reference; excludes the other fields.
        #[serde(rename = "ref")]
        reference: Option<String>,
        /// The repository.
        repository: Option<String>,
        /// The tag.
        tag: Option<String>,
        /// The digest, sha256:….
        digest: Option<String>,
        /// The Secret to pull it with.
        pull_secret_ref: Option<LocalObjectReference>,
        /// The Secret with the registry's certificate authorities.
        ca_bundle_secret_ref: Option<LocalObjectReference>,
    }
}
