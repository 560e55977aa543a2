//! A whole cluster as text and back, so that a report of a mistake is a file.
//!
//! What goes through is equal to what was there, object by object: uid, resourceVersion, generation, managedFields, times,
//! finalizers and status included, and the counter that the next resourceVersion comes from. What is not in it: the log of recent
//! events (watches begin with a list again), and the authority and tokens by which clusters are served.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::builtin::{CRDS, EXTENSIONS};
use super::verbs::Server;
use super::{SimError, crd, persist};
use crate::document::{self, Budget};
use crate::finding::Severity;

/// What the head of a cluster's documents says that it is.
const HEAD: (&str, &str) = ("sim.espalier.dev/v1alpha1", "Cluster");
/// What stands for each value of a Secret that is not told, in base64.
const MASK: &str = "bWFza2Vk";
/// `kubectl apply` keeps a copy of what it was given here, of a Secret as well.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Far above what a cluster has: a file that is larger is no export.
const BUDGET: Budget = Budget { bytes: 16 << 20, nodes: 2_000_000, depth: 400, documents: 2_000_000, scalar: 16 << 20 };

/// Everything in a cluster.
#[derive(Clone, PartialEq)]
pub struct Archive {
    /// The cluster's name: `garden`, `seed-<name>`.
    pub name: String,
    /// The last resourceVersion that was given.
    pub version: u64,
    /// Whether the values of Secrets were taken out.
    pub masked: bool,
    /// The objects, by group, plural, namespace and name.
    pub objects: Vec<Value>,
}

impl Archive {
    /// Reads the file of a cluster that no process has open. Nothing in it changes.
    pub fn open(name: &str, file: &Path) -> Result<Self, SimError> {
        let (version, objects) = persist::load(file)?;
        Ok(Self { name: name.to_owned(), version, masked: false, objects })
    }

    /// Writes a file that [`super::Sim::open`] takes up where the cluster was. The file must not exist.
    pub fn save(&self, file: &Path) -> Result<(), SimError> {
        let objects = self.keyed().map_err(|why| SimError::State { path: file.to_owned(), why })?;
        persist::store(file, self.version, &objects)
    }

    /// Whether every object is of a kind that the cluster has, and none is there twice; else what is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.keyed().map(drop)
    }

    /// Objects by their keys in the file.
    fn keyed(&self) -> Result<BTreeMap<String, &Value>, String> {
        let text = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut server = Server::new(&self.name, 0);
        let group_of =
            |object: &Value| text(object, "/apiVersion").split_once('/').map_or(String::new(), |(group, _)| group.into());
        for object in &self.objects {
            if group_of(object) == EXTENSIONS && text(object, "/kind") == "CustomResourceDefinition" {
                crd::establish(&mut server, object);
            }
        }
        debug_assert!(server.store.kinds.plural(EXTENSIONS, CRDS).is_some(), "definitions are a kind themselves");
        let mut out = BTreeMap::new();
        for object in &self.objects {
            let (kind, namespace, name) =
                (text(object, "/kind"), text(object, "/metadata/namespace"), text(object, "/metadata/name"));
            let called = format!("{kind} {namespace}/{name}");
            let known = server.store.kinds.kind(&group_of(object), &kind);
            let known =
                known.ok_or_else(|| format!("cluster {} has no kind {} {kind}", self.name, text(object, "/apiVersion")))?;
            let version = text(object, "/metadata/resourceVersion").parse::<u64>().unwrap_or_default();
            if name.is_empty() || namespace.is_empty() == known.namespaced || text(object, "/metadata/uid").is_empty() {
                return Err(format!("{called} is no object of a cluster: it needs a name, a uid, and its scope"));
            }
            if known.versions.iter().all(|version| known.api_version(&version.name) != text(object, "/apiVersion")) {
                return Err(format!("{called} is in a version that its kind has not, {}", text(object, "/apiVersion")));
            }
            if version == 0 || version > self.version {
                return Err(format!("{called} has a resourceVersion that its cluster has not given yet"));
            }
            if out.insert(format!("{}/{}/{namespace}/{name}", known.group, known.plural), object).is_some() {
                return Err(format!("{called} is there twice"));
            }
        }
        Ok(out)
    }

    /// Takes the values out of Secrets and of whatever else holds secrets by its nature; their keys stay.
    pub fn mask(&mut self) {
        self.masked = true;
        self.objects.iter_mut().for_each(mask);
    }

    /// As YAML: a head, then one document per object.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let head = json!({
            "apiVersion": HEAD.0, "kind": HEAD.1, "metadata": {"name": self.name},
            "spec": {
                "resourceVersion": self.version.to_string(),
                "objects": self.objects.len(),
                "secrets": if self.masked { "masked" } else { "included" },
            },
        });
        let mut text = String::new();
        for object in std::iter::once(&head).chain(&self.objects) {
            text.push_str("---\n");
            text.push_str(&document::to_yaml(object));
        }
        text
    }

    /// Reads clusters from YAML; on a mistake, what and where.
    pub fn parse(name: &str, text: &str) -> Result<Vec<Self>, String> {
        let parsed = document::parse(&name.into(), text.as_bytes(), &BUDGET);
        if let Some(finding) = parsed.findings.iter().find(|finding| finding.severity == Severity::Error) {
            let place = finding.places.first().and_then(|place| place.span);
            let place = place.map_or_else(|| name.to_owned(), |span| format!("{name}:{}:{}", span.line, span.column));
            return Err(format!("{place}: {}", finding.message));
        }
        let mut out: Vec<(Self, usize)> = Vec::new();
        for document in &parsed.documents {
            let value = document.value();
            let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if (text("/apiVersion"), text("/kind")) == HEAD {
                let Ok(version) = text("/spec/resourceVersion").parse() else {
                    return Err(format!("{name}: cluster {} says no spec.resourceVersion", text("/metadata/name")));
                };
                let size = value.pointer("/spec/objects").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
                let Some(size) = size else {
                    return Err(format!("{name}: cluster {} does not say how many objects it has", text("/metadata/name")));
                };
                let masked = text("/spec/secrets") != "included";
                out.push((Self { name: text("/metadata/name").to_owned(), version, masked, objects: Vec::new() }, size));
            } else if let Some((cluster, _)) = out.last_mut() {
                cluster.objects.push(value.clone());
            } else {
                return Err(format!("{name} does not begin with the head of a cluster: it is no export of `sim export`"));
            }
        }
        for (cluster, size) in &out {
            if cluster.objects.len() != *size {
                return Err(format!("{name}: cluster {} has {} objects of {size}", cluster.name, cluster.objects.len()));
            }
            cluster.check().map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(out.into_iter().map(|(cluster, _)| cluster).collect())
    }
}

fn mask(object: &mut Value) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    let places: &[&str] = match (group, text("/kind")) {
        ("", "Secret") | ("core.gardener.cloud", "InternalSecret") => &["/data", "/stringData"],
        // State of a control plane that moves: its secrets, and what extensions keep.
        ("core.gardener.cloud", "ShootState") => &["/spec"],
        ("extensions.gardener.cloud", _) => &["/status/state"],
        _ => &[],
    };
    for place in places {
        if let Some(value) = object.pointer_mut(place) {
            blank(value);
        }
    }
    if let Some(Value::String(copy)) = object.pointer_mut("/metadata/annotations").and_then(|a| a.get_mut(LAST_APPLIED)) {
        "masked".clone_into(copy);
    }
}

/// Every text becomes the mask; names and numbers of fields stay.
fn blank(value: &mut Value) {
    match value {
        Value::String(text) => MASK.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(map) => map.values_mut().for_each(blank),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_mask_is_what_it_says() {
        assert_eq!(STANDARD.decode(MASK).expect("base64"), b"masked");
    }
}
