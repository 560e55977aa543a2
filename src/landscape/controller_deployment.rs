//! The ControllerDeployment: how an extension is installed.

use serde_json::Value;

use super::meta::{LocalObjectReference, ObjectMeta};
use super::shape::shapes;

/// The version before, which says the same with a type and its configuration.
const BEFORE: &str = "core.gardener.cloud/v1beta1";

/// The fields that a version of the kind does not have.
pub(super) fn foreign_fields(api_version: &str) -> &'static [&'static str] {
    if api_version == BEFORE { &["helm"] } else { &["type", "providerConfig"] }
}

/// Whether a text is base64 as Go reads it: padded, with line breaks anywhere.
pub(crate) fn is_base64(text: &str) -> bool {
    let bytes: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let padding = bytes.iter().rev().take(2).take_while(|b| **b == b'=').count();
    let content = &bytes[..bytes.len() - padding];
    bytes.len().is_multiple_of(4) && content.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// A manifest of the version before in the words of the current one, where these exist.
pub(crate) fn modernise(manifest: &mut Value) {
    let old = manifest.get("apiVersion").and_then(Value::as_str) == Some(BEFORE);
    let Some(map) = manifest.as_object_mut().filter(|map| old && map.get("type").and_then(Value::as_str) == Some("helm")) else {
        return;
    };
    map.remove("type");
    let mut helm = map.remove("providerConfig").unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if let Some(config) = helm.as_object_mut()
        && let Some(chart) = config.remove("chart")
    {
        config.insert("rawChart".to_owned(), chart);
    }
    map.insert("helm".to_owned(), helm);
}

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
