//! Names by content, and the annotations that keep what a pod refers to from being collected.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::contents::Contents;
use super::{GARBAGE_LABEL, set};

/// Asks for a name by content on a ConfigMap or Secret.
pub(super) const UNIQUE: &str = "render.espalier.dev/unique";

/// Renames what asks for it, rewrites the references of all pods, and annotates everything that has pods with what they refer to.
pub(super) fn name_uniquely(manifests: &mut [Value], contents: &mut dyn Contents) {
    let mut renamed: BTreeMap<(&'static str, String), String> = BTreeMap::new();
    for manifest in manifests.iter_mut() {
        let Some(kind) = referable(manifest) else { continue };
        let Some(annotations) = manifest.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { continue };
        if annotations.remove(UNIQUE).is_none_or(|asked| asked != "true") {
            continue;
        }
        if annotations.is_empty()
            && let Some(metadata) = manifest["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
        let field = |name: &str| manifest.get(name).cloned().unwrap_or_default();
        let content = json!([field("data"), field("binaryData"), field("stringData"), field("type")]);
        let plain = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let name = format!("{plain}-{}", contents.short(&content));
        manifest["metadata"]["name"] = name.clone().into();
        manifest["immutable"] = true.into();
        set(manifest, "labels", GARBAGE_LABEL, "true".into());
        renamed.insert((kind, plain), name);
    }
    // Which names mean each other is decided here, and whether two are one and the same.
    let mut names: BTreeSet<String> = renamed.keys().map(|(_, plain)| plain.clone()).collect();
    for manifest in manifests {
        let Some(template) = pod_template(manifest) else { continue };
        let mut referred: BTreeSet<(&'static str, String)> = BTreeSet::new();
        if let Some(spec) = manifest.pointer_mut(&format!("{template}/spec")) {
            visit(spec, &mut |kind, name| {
                let Some(text) = name.as_str() else { return };
                names.insert(text.to_owned());
                if let Some(new) = renamed.get(&(kind, text.to_owned())) {
                    *name = new.clone().into();
                }
                referred.insert((kind, name.as_str().unwrap_or_default().to_owned()));
            });
        }
        for (kind, name) in referred {
            let key = annotation(kind, &name, contents);
            set(manifest, "annotations", &key, name.clone());
            if !template.is_empty()
                && let Some(pod) = manifest.pointer_mut(template)
            {
                if !pod["metadata"].is_object() {
                    pod["metadata"] = json!({});
                }
                set(pod, "annotations", &key, name);
            }
        }
    }
    contents.differ(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The key of the annotation that says that an object refers to a Secret or ConfigMap.
pub(super) fn annotation(kind: &str, name: &str, contents: &mut dyn Contents) -> String {
    format!("reference.resources.gardener.cloud/{kind}-{}", contents.short_of_name(name))
}

fn referable(manifest: &Value) -> Option<&'static str> {
    match (manifest["apiVersion"].as_str()?, manifest["kind"].as_str()?) {
        ("v1", "Secret") => Some("secret"),
        ("v1", "ConfigMap") => Some("configmap"),
        _ => None,
    }
}

/// The pointer to the pod template of a kind that has one; a Pod is its own.
fn pod_template(manifest: &Value) -> Option<&'static str> {
    match (manifest["apiVersion"].as_str()?, manifest["kind"].as_str()?) {
        ("v1", "Pod") => Some(""),
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch/v1", "Job") => Some("/spec/template"),
        ("batch/v1", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// Calls back with every name by which a pod refers to a Secret or ConfigMap.
fn visit(spec: &mut Value, found: &mut dyn FnMut(&'static str, &mut Value)) {
    for volume in items(spec, "volumes") {
        at(volume, "/secret/secretName", "secret", found);
        at(volume, "/configMap/name", "configmap", found);
        if let Some(projected) = volume.get_mut("projected") {
            for source in items(projected, "sources") {
                at(source, "/secret/name", "secret", found);
                at(source, "/configMap/name", "configmap", found);
            }
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, list) {
            for env in items(container, "env") {
                at(env, "/valueFrom/secretKeyRef/name", "secret", found);
                at(env, "/valueFrom/configMapKeyRef/name", "configmap", found);
            }
            for env in items(container, "envFrom") {
                at(env, "/secretRef/name", "secret", found);
                at(env, "/configMapRef/name", "configmap", found);
            }
        }
    }
    for pull in items(spec, "imagePullSecrets") {
        at(pull, "/name", "secret", found);
    }
}

fn items<'v>(value: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn at(value: &mut Value, pointer: &str, kind: &'static str, found: &mut dyn FnMut(&'static str, &mut Value)) {
    if let Some(name) = value.pointer_mut(pointer) {
        found(kind, name);
    }
}
