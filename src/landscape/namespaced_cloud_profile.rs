//! The NamespacedCloudProfile: a project's variation of a CloudProfile, and the merge that makes it effective.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cloud_profile::{
    CloudProfileSpec, ExpirableVersion, KubernetesSettings, Limits, MachineImage, MachineType, VolumeType,
};
use super::meta::ObjectMeta;
use super::shape::shapes;
use super::shoot::CloudProfileReference;

shapes! {
    /// A project's variation of a CloudProfile.
    struct NamespacedCloudProfile {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// NamespacedCloudProfile
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What differs from the parent.
        spec: NamespacedCloudProfileSpec,
        /// What comes of it.
        status: NamespacedCloudProfileStatus,
    }

    /// What differs from the parent.
    struct NamespacedCloudProfileSpec {
        /// Further certificate authorities.
        ca_bundle: Option<String>,
        /// Other expiration dates of Kubernetes versions.
        kubernetes: Option<KubernetesSettings>,
        /// Further images, and other expiration dates of versions.
        machine_images: Vec<MachineImage>,
        /// Further machine types.
        machine_types: Vec<MachineType>,
        /// Further volume types.
        volume_types: Vec<VolumeType>,
        /// The CloudProfile that this one varies.
        parent: CloudProfileReference,
        /// Configuration that only the provider understands.
        provider_config: Option<Value>,
        /// Other limits.
        limits: Option<Limits>,
    }

    /// What comes of the variation.
    struct NamespacedCloudProfileStatus {
        /// Parent and variation together.
        cloud_profile_spec: CloudProfileSpec,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
    }
}

/// What a variation offers together with its parent: expiration dates override, images, types and limits are added or replaced
/// by name, certificate authorities are appended.
#[must_use]
pub fn effective(parent: &CloudProfileSpec, variation: &NamespacedCloudProfileSpec) -> CloudProfileSpec {
    let mut merged = parent.clone();
    if let Some(bundle) = &variation.ca_bundle {
        merged.ca_bundle = Some(match merged.ca_bundle.take() {
            Some(own) => format!("{}\n{}", own.trim_end(), bundle),
            None => bundle.clone(),
        });
    }
    if let Some(kubernetes) = &variation.kubernetes {
        override_expiration(&mut merged.kubernetes.versions, &kubernetes.versions);
    }
    merge_images(&mut merged.machine_images, &variation.machine_images);
    merge_named(&mut merged.machine_types, &variation.machine_types, |t| &t.name);
    merge_named(&mut merged.volume_types, &variation.volume_types, |t| &t.name);
    if let Some(limits) = &variation.limits
        && limits.max_nodes_total.is_some()
    {
        merged.limits.get_or_insert_default().max_nodes_total = limits.max_nodes_total;
    }
    if let Some(config) = &variation.provider_config {
        merged.provider_config = Some(match merged.provider_config.take() {
            Some(own) => merge_config(own, config),
            None => config.clone(),
        });
    }
    merged
}

/// A variation may only move the end of versions that the parent offers.
fn override_expiration(versions: &mut [ExpirableVersion], overrides: &[ExpirableVersion]) {
    for other in overrides {
        if let Some(version) = versions.iter_mut().find(|v| v.version == other.version) {
            if other.expiration_date.is_some() {
                version.expiration_date.clone_from(&other.expiration_date);
            }
            if !other.lifecycle.is_empty() {
                version.lifecycle.clone_from(&other.lifecycle);
            }
        }
    }
}

fn merge_images(images: &mut Vec<MachineImage>, others: &[MachineImage]) {
    for other in others {
        let Some(image) = images.iter_mut().find(|i| i.name == other.name) else {
            images.push(other.clone());
            continue;
        };
        if other.update_strategy.is_some() {
            image.update_strategy.clone_from(&other.update_strategy);
        }
        for version in &other.versions {
            match image.versions.iter_mut().find(|v| v.version == version.version) {
                Some(own) => {
                    if version.expiration_date.is_some() {
                        own.expiration_date.clone_from(&version.expiration_date);
                    }
                    if !version.lifecycle.is_empty() {
                        own.lifecycle.clone_from(&version.lifecycle);
                    }
                }
                None => image.versions.push(version.clone()),
            }
        }
    }
}

fn merge_named<T: Clone>(own: &mut Vec<T>, others: &[T], name: impl Fn(&T) -> &String) {
    let mut places: BTreeMap<String, usize> = own.iter().enumerate().map(|(at, item)| (name(item).clone(), at)).collect();
    for other in others {
        if let Some(&at) = places.get(name(other)) {
            own[at] = other.clone();
        } else {
            places.insert(name(other).clone(), own.len());
            own.push(other.clone());
        }
    }
}

/// Machine images of provider configurations are joined by name and version, as the provider extensions do; the rest of the
/// parent's configuration stays.
fn merge_config(mut own: Value, other: &Value) -> Value {
    let (Some(images), Some(others)) =
        (own.get_mut("machineImages").and_then(Value::as_array_mut), other.get("machineImages").and_then(Value::as_array))
    else {
        if let (Some(map), Some(others)) = (own.as_object_mut(), other.get("machineImages")) {
            map.insert("machineImages".to_owned(), others.clone());
        }
        return own;
    };
    for other in others {
        let Some(image) = images.iter_mut().find(|i| i.get("name") == other.get("name")) else {
            images.push(other.clone());
            continue;
        };
        if let (Some(versions), Some(more)) =
            (image.get_mut("versions").and_then(Value::as_array_mut), other.get("versions").and_then(Value::as_array))
        {
            for version in more {
                match versions.iter_mut().find(|v| v.get("version") == version.get("version")) {
                    Some(slot) => *slot = version.clone(),
                    None => versions.push(version.clone()),
                }
            }
        }
    }
    own
}
