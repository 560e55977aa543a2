//! The cloud profile that a shoot sees: a CloudProfile, or a NamespacedCloudProfile merged over its parent.

use serde_json::{Map, Value, json};

use super::{Sources, at, list, manifest, text};
use crate::landscape::{Kind, Owner};

/// The effective CloudProfile manifest of a shoot, or `None` if its reference leads nowhere.
#[must_use]
pub fn effective(sources: &Sources<'_>, shoot: &Value) -> Option<Value> {
    let (kind, name) = match (text(shoot, "/spec/cloudProfile/kind"), text(shoot, "/spec/cloudProfile/name")) {
        (_, "") => ("CloudProfile", text(shoot, "/spec/cloudProfileName")),
        (kind, name) => (kind, name),
    };
    if kind != "NamespacedCloudProfile" {
        let owner = Owner::cluster(Kind::CloudProfile, name);
        return sources.get(&owner).map(|value| manifest(value, &owner));
    }
    let owner = Owner::project(Kind::NamespacedCloudProfile, &sources.owner.project, name);
    let child = sources.get(&owner)?;
    let parent = Owner::cluster(Kind::CloudProfile, text(child, "/spec/parent/name"));
    let base = sources.get(&parent)?;
    Some(merge(base, child, name))
}

/// A parent's spec with the child's additions: expiration dates of versions, machine images, machine and volume types by name,
/// the CA bundle appended, the node limit replaced.
fn merge(parent: &Value, child: &Value, name: &str) -> Value {
    let mut spec = at(parent, "/spec").as_object().cloned().unwrap_or_default();
    for field in ["machineImages", "machineTypes", "volumeTypes"] {
        let mut items = list(parent, &format!("/spec/{field}")).to_vec();
        for addition in list(child, &format!("/spec/{field}")) {
            match items.iter_mut().find(|item| item.get("name") == addition.get("name")) {
                Some(item) if field == "machineImages" => merge_versions(item, addition),
                Some(item) => *item = addition.clone(),
                None => items.push(addition.clone()),
            }
        }
        if !items.is_empty() {
            spec.insert(field.into(), items.into());
        }
    }
    if let Some(kubernetes) = spec.get_mut("kubernetes") {
        let mut versions = kubernetes.clone();
        merge_versions(&mut versions, at(child, "/spec/kubernetes"));
        *kubernetes = versions;
    }
    let bundle = [text(parent, "/spec/caBundle"), text(child, "/spec/caBundle")];
    let bundle: Vec<&str> = bundle.into_iter().filter(|part| !part.is_empty()).collect();
    if !bundle.is_empty() {
        spec.insert("caBundle".into(), bundle.join("\n").into());
    }
    for field in ["limits", "providerConfig"] {
        let value = at(child, &format!("/spec/{field}"));
        if !value.is_null() {
            spec.insert(field.into(), value.clone());
        }
    }
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1",
        "kind": "CloudProfile",
        "metadata": {"name": name, "labels": {}, "annotations": {}},
        "spec": spec,
    })
}

/// Lays one list of versions over another, entry by entry.
fn merge_versions(base: &mut Value, addition: &Value) {
    let mut versions = list(base, "/versions").to_vec();
    for version in list(addition, "/versions") {
        match versions.iter_mut().find(|v| v.get("version") == version.get("version")) {
            Some(known) => {
                if let (Some(known), Some(version)) = (known.as_object_mut(), version.as_object()) {
                    known.extend(version.iter().map(|(k, v)| (k.clone(), v.clone())));
                }
            }
            None => versions.push(version.clone()),
        }
    }
    if let Some(map) = base.as_object_mut() {
        map.insert("versions".into(), versions.into());
    }
}

/// The machine type that a pool asks for.
pub(super) fn machine_type<'p>(profile: &'p Value, name: &str) -> Option<&'p Value> {
    list(profile, "/spec/machineTypes").iter().find(|machine| text(machine, "/name") == name)
}

/// Capacity of a machine type as `nodeTemplate.capacity` has it.
pub(super) fn capacity(machine: &Value) -> Map<String, Value> {
    ["cpu", "gpu", "memory"]
        .into_iter()
        .filter_map(|resource| machine.get(resource).map(|amount| (resource.to_owned(), super::plain(amount).into())))
        .collect()
}
