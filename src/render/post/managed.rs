//! The pseudo kind `render.espalier.dev/v1 ManagedResource`: manifests that the resource manager applies, packed into an immutable
//! Secret that is named by its content.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{GARBAGE_LABEL, check, reference, set};
use crate::digest;
use crate::document;
use crate::observed::ObjectKey;

/// The pseudo kind's group and version.
pub(crate) const API_VERSION: &str = "render.espalier.dev/v1";

/// Fields of the real kind's spec that are passed on.
const PASSED: [&str; 8] = [
    "class",
    "keepObjects",
    "injectLabels",
    "forceOverwriteLabels",
    "forceOverwriteAnnotations",
    "deletePersistentVolumeClaims",
    "equivalences",
    "deletionPropagation",
];

/// The Secret and the ManagedResource that a pseudo manifest stands for. What is in it are `spec.objects`, or `spec.manifests`, one
/// text.
pub(super) fn expand(mut manifest: Value) -> Result<[Value; 2], String> {
    if manifest["kind"] != "ManagedResource" {
        return Err(format!("{API_VERSION} has no kind {}", manifest["kind"]));
    }
    let spec = manifest.get_mut("spec").and_then(Value::as_object_mut).ok_or("a ManagedResource needs spec.objects")?;
    let (text, objects) = (spec.remove("manifests"), spec.remove("objects"));
    if let Some(unknown) = spec.keys().find(|key| !PASSED.contains(&key.as_str())) {
        return Err(format!("spec.{unknown} of a ManagedResource is not known"));
    }
    let mut passed = std::mem::take(spec);
    let data = match (text, objects) {
        (Some(Value::String(text)), None) => text,
        (Some(_), _) => return Err("spec.manifests of a ManagedResource is not a text, or stands beside objects".into()),
        (None, objects) => packed(objects)?,
    };

    let name = manifest.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let secret_name = format!("managedresource-{name}-{}", digest::of_bytes(data.as_bytes()).short());
    let mut metadata = manifest["metadata"].as_object().cloned().unwrap_or_default();
    let namespace = metadata.get("namespace").cloned().unwrap_or_default();
    let mut secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name, "namespace": namespace},
        "type": "Opaque",
        "immutable": true,
        "data": {"data.yaml": STANDARD.encode(data)},
    });
    set(&mut secret, "labels", GARBAGE_LABEL, "true".into());

    metadata.retain(|_, value| !value.is_null());
    passed.insert("secretRefs".into(), json!([{"name": secret_name}]));
    let mut resource = json!({
        "apiVersion": "resources.gardener.cloud/v1alpha1",
        "kind": "ManagedResource",
        "metadata": metadata,
        "spec": passed,
    });
    let annotation = reference::annotation("secret", &secret_name);
    set(&mut resource, "annotations", &annotation, secret_name);
    Ok([secret, resource])
}

/// Objects as one text, in the order of their keys.
fn packed(objects: Option<Value>) -> Result<String, String> {
    let mut objects = match objects {
        Some(Value::Array(objects)) => objects,
        Some(Value::Null) | None => Vec::new(),
        Some(_) => return Err("spec.objects of a ManagedResource is not a list".into()),
    };
    for object in &objects {
        check(object)?;
    }
    reference::name_uniquely(&mut objects);
    objects.sort_by_cached_key(ObjectKey::of);
    Ok(objects.iter().map(document::to_yaml).collect::<Vec<_>>().join("---\n"))
}
