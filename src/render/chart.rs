//! Charts of extensions: what is asked of the program `helm`, and what becomes of its answer. Asking it is for the edges.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::document;

/// Where a chart is.
#[derive(Clone)]
pub enum Source {
    /// Packed, in base64, in a `ControllerDeployment`, at `/helm/rawChart`.
    Packed(Arc<Value>),
    /// In a registry.
    Registry {
        /// Host, path and, where one is named, `@sha256:…`; without a scheme.
        repository: String,
        /// The tag.
        tag: Option<String>,
        /// A Secret in the garden's namespace `garden` with `.dockerconfigjson`.
        pull_secret: Option<String>,
        /// A Secret in the garden's namespace `garden` with `bundle.crt`.
        authorities: Option<String>,
    },
}

/// One chart to render for one seed.
///
/// Its `Debug` is a name: the values may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// The seed.
    pub seed: String,
    /// The name of the release: the registration's.
    pub release: String,
    /// Where it is installed.
    pub namespace: String,
    /// Where the chart is.
    pub source: Source,
    /// The chart's values, with `gardener.…` mixed in.
    pub values: Value,
    /// The version of the seed's API server, which charts know as `.Capabilities.KubeVersion`; without one `helm` assumes its own.
    pub kubernetes: Option<String>,
    /// The digest of all this.
    pub digest: Digest,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chart of {} for {} ({})", self.release, self.seed, self.digest.short())
    }
}

/// Why there is no rendered chart, in the words of `ControllerInstallation` conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The program is not there.
    HelmMissing,
    /// The deployment does not say what it must.
    ChartInformationInvalid,
    /// The registry does not hand it out.
    OciChartCannotBePulled,
    /// The program refuses it, or gives something that is no manifest.
    ChartCannotBeRendered,
}

impl Reason {
    /// The reason of a condition.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::HelmMissing => "HelmMissing",
            Self::ChartInformationInvalid => "ChartInformationInvalid",
            Self::OciChartCannotBePulled => "OCIChartCannotBePulled",
            Self::ChartCannotBeRendered => "ChartCannotBeRendered",
        }
    }
}

/// Why there is no rendered chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.word())]
pub struct Refused {
    /// In a word.
    pub reason: Reason,
    /// In a person's words; no value of the chart is in them.
    pub message: String,
}

impl Refused {
    /// A refusal from its parts.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What came of a request: manifests as one YAML text. They may hold secrets.
pub type Outcome = Result<Arc<Zeroizing<String>>, Refused>;

/// What came of requests, by their digests. Has no `Debug`.
#[derive(Clone, Default)]
pub struct Charts(pub BTreeMap<Digest, Outcome>);

/// Where a reference (`[oci://]host/path[:tag][@sha256:…]`) leads: repository, with the digest if there is one, and tag.
#[must_use]
pub fn split_reference(reference: &str) -> (String, Option<String>) {
    let bare = reference.strip_prefix("oci://").unwrap_or(reference);
    let (named, digest) = bare.split_once('@').map_or((bare, None), |(named, digest)| (named, Some(digest)));
    // A colon before the last slash is a port.
    let (repository, tag) = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
        _ => (named, None),
    };
    match digest {
        // What has the digest is what is meant, whatever the tag says by now.
        Some(digest) => (format!("{repository}@{digest}"), None),
        None => (repository.to_owned(), tag),
    }
}

/// Makes what is handed to the resource manager of what `helm template` printed: documents that are objects, without status, and
/// with the seed's name in the environment of every container.
pub fn finished(printed: &str, seed: &str) -> Result<Zeroizing<String>, Refused> {
    let refuse = |message: String| Refused::new(Reason::ChartCannotBeRendered, message);
    let mut out = Zeroizing::new(String::with_capacity(printed.len()));
    for (index, document) in serde_yaml::Deserializer::from_str(printed).enumerate() {
        // The parser's message may quote what it stumbled over.
        let read = Value::deserialize(document).map_err(|_| refuse(format!("document {} is not YAML", index + 1)))?;
        if read.is_null() {
            continue;
        }
        let mut object = read;
        if crate::observed::ObjectKey::of(&object).is_none() {
            return Err(refuse(format!("document {} is no object: it lacks apiVersion, kind or metadata.name", index + 1)));
        }
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        tell_seed(&mut object, seed);
        if !out.is_empty() {
            out.push_str("---\n");
        }
        out.push_str(&document::to_yaml(&object));
    }
    Ok(out)
}

/// The environment variable by which an extension knows where it runs.
const SEED_NAME: &str = "SEED_NAME";

fn tell_seed(object: &mut Value, seed: &str) {
    let group = object["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
    if !matches!(group, "apps" | "batch") {
        return;
    }
    let pod = if object["kind"] == "CronJob" { "/spec/jobTemplate/spec/template/spec" } else { "/spec/template/spec" };
    let Some(pod) = object.pointer_mut(pod) else { return };
    for list in ["initContainers", "containers"] {
        for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            let variables = container.entry("env").or_insert(Value::Null);
            if !variables.is_array() {
                *variables = json!([]);
            }
            if let Some(variables) = variables.as_array_mut() {
                variables.retain(|v| v["name"] != SEED_NAME);
                variables.push(json!({"name": SEED_NAME, "value": seed}));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_a_repository_and_a_tag() {
        let split = |reference: &str| {
            let (repository, tag) = split_reference(reference);
            format!("{repository} {}", tag.unwrap_or_default())
        };
        assert_eq!(split("oci://registry:5000/a/b:v1.2.3"), "registry:5000/a/b v1.2.3");
        assert_eq!(split("registry:5000/a/b"), "registry:5000/a/b ");
        assert_eq!(split("r.io/a:v1@sha256:abc"), "r.io/a@sha256:abc ");
    }

    #[test]
    fn every_container_is_told_its_seed_and_nothing_else_is_touched() {
        let printed = "---\n# Source: a\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {\
            initContainers: [{name: i}], containers: [{name: c, env: [{name: SEED_NAME, value: old}, {name: X, value: \"1\"}]}]}}}\nstatus: {}\n\
            ---\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c}]}}}}}\n\
            ---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c}]}\n";
        let text = finished(printed, "eu1").expect("it is fine");
        let read: Vec<Value> = serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).expect("YAML")).collect();
        let told = json!({"name": "SEED_NAME", "value": "eu1"});
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].pointer("/spec/template/spec/initContainers/0/env"), Some(&json!([told])));
        assert_eq!(read[0].pointer("/spec/template/spec/containers/0/env"), Some(&json!([{"name": "X", "value": "1"}, told])));
        assert_eq!(read[0].get("status"), None);
        assert_eq!(read[1].pointer("/spec/jobTemplate/spec/template/spec/containers/0/env/0"), Some(&told));
        assert_eq!(read[2].pointer("/spec/containers/0/env"), None);
    }

    #[test]
    fn what_is_no_manifest_is_refused_without_being_quoted() {
        for printed in ["password: hunter2\n", "a: [hunter2", "- hunter2\n"] {
            let refused = finished(printed, "eu1").expect_err("it is wrong");
            assert_eq!(refused.reason, Reason::ChartCannotBeRendered);
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }
}
