//! Charts of extensions: what is asked of the program `helm`, and what becomes of its answer. Asking it is for the edges.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::{Map, Value, json};
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
    /// The Secret with the kubeconfig of the garden that its containers get; `None` if they get none.
    pub garden: Option<String>,
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
/// with the seed's name in the environment of every container, and the way to the garden where the deployment asks for it.
pub fn finished(printed: &str, request: &Request) -> Result<Zeroizing<String>, Refused> {
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
        tell_seed(&mut object, &request.seed);
        if let Some(secret) = &request.garden {
            show_garden(&mut object, secret);
        }
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
    for container in pod_of(object).into_iter().flat_map(containers) {
        let variables = list_of(container, "env");
        variables.retain(|v| v["name"] != SEED_NAME);
        variables.push(json!({"name": SEED_NAME, "value": seed}));
    }
}

/// The environment variable that names the file with the kubeconfig of the garden.
const GARDEN_KUBECONFIG: &str = "GARDEN_KUBECONFIG";
/// Where it is mounted, with the token that it names.
pub(crate) const GARDEN_MOUNT: &str = "/var/run/secrets/gardener.cloud/garden/generic-kubeconfig";
/// The Secret with the token.
pub(crate) const GARDEN_ACCESS: &str = "garden-access-extension";
/// The label of objects that want no way to the garden, though the deployment asks for one: any value but `true`.
const WANTS_GARDEN: &str = "/metadata/labels/extensions.gardener.cloud~1inject-garden-kubeconfig";

/// Gives all containers of an object a way to the garden, unless it says that it wants none, or has one.
fn show_garden(object: &mut Value, secret: &str) {
    if object.pointer(WANTS_GARDEN).is_some_and(|wants| wants != "true") {
        return;
    }
    let Some(pod) = pod_of(object) else { return };
    let has_one = |container: &mut Map<String, Value>| list_of(container, "env").iter().any(|v| v["name"] == GARDEN_KUBECONFIG);
    if containers(pod).any(has_one) {
        return;
    }
    for container in containers(pod) {
        let mount = json!({"name": "garden-kubeconfig", "mountPath": GARDEN_MOUNT, "readOnly": true});
        list_of(container, "volumeMounts").push(mount);
        list_of(container, "env").push(json!({"name": GARDEN_KUBECONFIG, "value": format!("{GARDEN_MOUNT}/kubeconfig")}));
    }
    let file =
        |secret: &str, key: &str| json!({"secret": {"name": secret, "items": [{"key": key, "path": key}], "optional": false}});
    let sources = [file(secret, "kubeconfig"), file(GARDEN_ACCESS, "token")];
    if let Some(pod) = pod.as_object_mut() {
        list_of(pod, "volumes").push(json!({"name": "garden-kubeconfig", "projected": {"defaultMode": 420, "sources": sources}}));
    }
}

/// The pods of an object that has such in the groups `apps` and `batch`.
fn pod_of(object: &mut Value) -> Option<&mut Value> {
    let group = object["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
    if !matches!(group, "apps" | "batch") {
        return None;
    }
    let pod = if object["kind"] == "CronJob" { "/spec/jobTemplate/spec/template/spec" } else { "/spec/template/spec" };
    object.pointer_mut(pod)
}

fn containers(pod: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let lists =
        pod.as_object_mut().into_iter().flatten().filter(|(key, _)| matches!(key.as_str(), "initContainers" | "containers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten().filter_map(Value::as_object_mut)
}

/// A list within a map, made if there is none.
fn list_of<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Vec<Value> {
    let list = map.entry(key.to_owned()).or_insert(Value::Null);
    if !list.is_array() {
        *list = json!([]);
    }
    list.as_array_mut().expect("it was just made one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(garden: Option<&str>) -> Request {
        Request {
            seed: "eu1".into(),
            release: "tiny".into(),
            namespace: "extension-tiny".into(),
            source: Source::Packed(Arc::default()),
            values: Value::Null,
            garden: garden.map(str::to_owned),
            kubernetes: None,
            digest: crate::digest::of_bytes(b""),
        }
    }

    #[test]
    fn who_asks_gets_a_way_to_the_garden_unless_it_says_otherwise() {
        let printed = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {\
            initContainers: [{name: i}], containers: [{name: c, volumeMounts: [{name: x}]}], volumes: [{name: x}]}}}\n\
            ---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: b, labels: {extensions.gardener.cloud/inject-garden-kubeconfig: \"false\"}}\n\
            spec: {template: {spec: {containers: [{name: c}]}}}\n\
            ---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec: {template: {spec: {\
            initContainers: [{name: i}], containers: [{name: c, env: [{name: GARDEN_KUBECONFIG, value: /own}]}]}}}\n\
            ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";
        let text = finished(printed, &request(Some("generic-garden-kubeconfig-1"))).expect("it is fine");
        let read: Vec<Value> = serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).expect("YAML")).collect();
        let mount = json!({"name": "garden-kubeconfig", "mountPath": GARDEN_MOUNT, "readOnly": true});
        let variable = json!({"name": "GARDEN_KUBECONFIG", "value": format!("{GARDEN_MOUNT}/kubeconfig")});
        let pod = &read[0]["spec"]["template"]["spec"];
        assert_eq!(pod["initContainers"][0]["volumeMounts"], json!([mount]));
        assert_eq!(pod["containers"][0]["volumeMounts"], json!([{"name": "x"}, mount]));
        assert_eq!(pod["containers"][0]["env"][1], variable);
        assert_eq!(pod["volumes"][0], json!({"name": "x"}));
        let names = pod["volumes"][1]["projected"]["sources"].as_array().expect("sources");
        let names: Vec<&str> = names.iter().filter_map(|source| source["secret"]["name"].as_str()).collect();
        assert_eq!(names, ["generic-garden-kubeconfig-1", GARDEN_ACCESS]);
        for other in &read[1..] {
            assert!(!other.to_string().contains(GARDEN_MOUNT), "{other}");
        }
        let without = finished(printed, &request(None)).expect("it is fine");
        assert!(!without.contains(GARDEN_MOUNT));
    }

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
        let text = finished(printed, &request(None)).expect("it is fine");
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
            let refused = finished(printed, &request(None)).expect_err("it is wrong");
            assert_eq!(refused.reason, Reason::ChartCannotBeRendered);
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }
}
