//! The pseudo kind `render.espalier.dev/v1 ManagedResource`: manifests that the resource manager applies, packed into an immutable
//! Secret that is named by its content.

use serde_json::{Value, json};

use super::contents::{Contents, Packed};
use super::{GARBAGE_LABEL, check, reference, set};

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
pub(super) fn expand(mut manifest: Value, contents: &mut dyn Contents) -> Result<[Value; 2], String> {
    if manifest["kind"] != "ManagedResource" {
        return Err(format!("{API_VERSION} has no kind {}", manifest["kind"]));
    }
    let spec = manifest.get_mut("spec").and_then(Value::as_object_mut).ok_or("a ManagedResource needs spec.objects")?;
    let (text, objects) = (spec.remove("manifests"), spec.remove("objects"));
    if let Some(unknown) = spec.keys().find(|key| !PASSED.contains(&key.as_str())) {
        return Err(format!("spec.{unknown} of a ManagedResource is not known"));
    }
    let mut passed = std::mem::take(spec);
    let Packed { short, data } = match (text, objects) {
        (Some(Value::String(text)), None) => contents.packed_text(&text),
        (Some(_), _) => return Err("spec.manifests of a ManagedResource is not a text, or stands beside objects".into()),
        (None, objects) => packed(objects, contents)?,
    };

    let name = manifest.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let secret_name = format!("managedresource-{name}-{short}");
    let mut metadata = manifest["metadata"].as_object().cloned().unwrap_or_default();
    let namespace = metadata.get("namespace").cloned().unwrap_or_default();
    let mut secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name, "namespace": namespace},
        "type": "Opaque",
        "immutable": true,
        "data": {"data.yaml": data},
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
    let annotation = reference::annotation("secret", &secret_name, contents);
    set(&mut resource, "annotations", &annotation, secret_name);
    Ok([secret, resource])
}

fn packed(objects: Option<Value>, contents: &mut dyn Contents) -> Result<Packed, String> {
    let mut objects = match objects {
        Some(Value::Array(objects)) => objects,
        Some(Value::Null) | None => Vec::new(),
        Some(_) => return Err("spec.objects of a ManagedResource is not a list".into()),
    };
    for object in &objects {
        check(object)?;
    }
    reference::name_uniquely(&mut objects, contents);
    Ok(contents.packed(objects))
}
