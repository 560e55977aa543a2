//! Every kind, from text to type and back: nothing that was written is lost.

use espalier::landscape::{
    CloudProfile, ControllerDeployment, ControllerRegistration, CredentialsBinding, ExposureClass, FileMemo, Kind,
    LandscapeConfig, ManagedSeed, NamespacedCloudProfile, Operation, Owner, Project, Quota, SecretBinding, Seed, Shoot,
    WorkloadIdentity, load, namespaced_cloud_profile,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::landscapes::snapshot;

/// Files with as many fields as there are, one or more for each kind.
const FILES: &[(&str, &str)] = &[
    ("landscape.yaml", include_str!("model/landscape.yaml")),
    ("cloudprofiles/aws.yaml", include_str!("model/cloudprofile.yaml")),
    ("cloudprofiles/lab.yaml", include_str!("model/namespacedcloudprofile.yaml")),
    ("seeds/eu.yaml", include_str!("model/seed.yaml")),
    ("seeds/managed.yaml", include_str!("model/managedseed.yaml")),
    ("extensions/all.yaml", include_str!("model/extensions.yaml")),
    ("operations/rotate.yaml", include_str!("model/operation.yaml")),
    ("projects/shop/project.yaml", include_str!("model/project.yaml")),
    ("projects/shop/credentials/all.yaml", include_str!("model/credentials.yaml")),
    ("projects/shop/shoots/full.yaml", include_str!("model/shoot.yaml")),
    (
        "projects/garden/project.yaml",
        "apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata: {name: garden}\nspec: {namespace: garden}\n",
    ),
];

fn again<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
    let typed: T = serde_json::from_value(value.clone()).expect("the value has the type's shape");
    serde_json::to_value(typed).expect("a type can be written")
}

fn through(kind: Kind, value: &Value) -> Value {
    match kind {
        Kind::Landscape => again::<LandscapeConfig>(value),
        Kind::CloudProfile => again::<CloudProfile>(value),
        Kind::ExposureClass => again::<ExposureClass>(value),
        Kind::ControllerDeployment => again::<ControllerDeployment>(value),
        Kind::ControllerRegistration => again::<ControllerRegistration>(value),
        Kind::Seed => again::<Seed>(value),
        Kind::Project => again::<Project>(value),
        Kind::NamespacedCloudProfile => again::<NamespacedCloudProfile>(value),
        Kind::Quota => again::<Quota>(value),
        Kind::WorkloadIdentity => again::<WorkloadIdentity>(value),
        Kind::SecretBinding => again::<SecretBinding>(value),
        Kind::CredentialsBinding => again::<CredentialsBinding>(value),
        Kind::Shoot => again::<Shoot>(value),
        Kind::ManagedSeed => again::<ManagedSeed>(value),
        Kind::Operation => again::<Operation>(value),
    }
}

#[test]
fn every_kind_survives_its_type() {
    let (landscape, findings) = load(&snapshot(FILES.iter().copied()), &mut FileMemo::default());
    assert!(findings.is_empty(), "{findings:#?}");
    let mut kinds: Vec<Kind> = Vec::new();
    for (owner, value, document) in landscape.objects() {
        assert_eq!(value.as_ref(), document.value(), "{owner}: nothing is left out of what was written");
        assert_eq!(&through(owner.kind, value), value.as_ref(), "{owner}");
        kinds.push(owner.kind);
    }
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL, "there is a file for every kind");
}

#[test]
fn a_whole_status_survives_its_type() {
    let status = json!({
        "conditions": [{ "type": "APIServerAvailable", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
            "lastUpdateTime": "2026-01-01T00:00:00Z", "reason": "Up", "message": "fine", "codes": ["ERR_CONFIGURATION_PROBLEM"] }],
        "constraints": [{ "type": "HibernationPossible", "status": "True", "reason": "r", "message": "m" }],
        "gardener": { "id": "a", "name": "b", "version": "v1" },
        "hibernated": false,
        "lastOperation": { "description": "d", "lastUpdateTime": "2026-01-01T00:00:00Z", "progress": 100, "state": "Succeeded", "type": "Create" },
        "lastErrors": [{ "description": "d", "taskID": "t", "codes": ["ERR_RETRYABLE_CONFIGURATION_PROBLEM"], "lastUpdateTime": "2026-01-01T00:00:00Z" }],
        "observedGeneration": 3,
        "retryCycleStartTime": "2026-01-01T00:00:00Z",
        "seedName": "eu", "technicalID": "shoot--shop--full", "uid": "u", "clusterIdentity": "i",
        "advertisedAddresses": [{ "name": "external", "url": "https://api" }],
        "migrationStartTime": "2026-01-01T00:00:00Z",
        "credentials": {
            "rotation": {
                "certificateAuthorities": { "phase": "Prepared", "lastInitiationTime": "2026-01-01T00:00:00Z",
                    "pendingWorkersRollouts": [{ "name": "w", "lastInitiationTime": "2026-01-01T00:00:00Z" }] },
                "sshKeypair": { "lastCompletionTime": "2026-01-01T00:00:00Z" },
                "observability": { "lastInitiationTime": "2026-01-01T00:00:00Z" },
                "serviceAccountKey": { "phase": "Completed" },
                "etcdEncryptionKey": { "phase": "Completing", "lastCompletionTriggeredTime": "2026-01-01T00:00:00Z" },
            },
            "encryptionAtRest": { "resources": ["configmaps"], "provider": { "type": "aescbc" } },
        },
        "lastHibernationTriggerTime": "2026-01-01T00:00:00Z",
        "lastMaintenance": { "description": "d", "triggeredTime": "2026-01-01T00:00:00Z", "state": "Error", "failureReason": "f" },
        "networking": { "pods": ["100.96.0.0/11"], "nodes": ["10.0.0.0/16"], "services": ["100.64.0.0/13"], "egressCIDRs": ["1.2.3.4/32"] },
        "inPlaceUpdates": { "pendingWorkerUpdates": { "autoInPlaceUpdate": ["a"], "manualInPlaceUpdate": ["b"] } },
        "manualWorkerPoolRollout": { "pendingWorkersRollouts": [{ "name": "w" }] },
    });
    let shoot =
        json!({ "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "metadata": { "name": "a" }, "status": status });
    assert_eq!(again::<Shoot>(&shoot), shoot);
}

#[test]
fn a_namespaced_profile_is_merged_over_its_parent() {
    let (landscape, _) = load(&snapshot(FILES.iter().copied()), &mut FileMemo::default());
    let own = &landscape.namespaced_cloud_profiles[&Owner::project(Kind::NamespacedCloudProfile, "shop", "lab")].spec;
    let parent = &landscape.cloud_profiles[&Owner::cluster(Kind::CloudProfile, "aws")].spec;
    let merged = namespaced_cloud_profile::effective(&parent.spec, &own.spec);
    let version = |wanted: &str| merged.kubernetes.versions.iter().find(|v| v.version == wanted).expect("the version is offered");
    assert_eq!(version("1.33.9").expiration_date.as_deref(), Some("2099-01-01T00:00:00Z"), "the end is moved");
    assert_eq!(merged.kubernetes.versions.len(), parent.spec.kubernetes.versions.len(), "no version is added");
    let types: Vec<&str> = merged.machine_types.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(types, ["m6i.large", "m6g.xlarge", "huge"], "types are added behind the parent's");
    let images: Vec<&str> = merged.machine_images.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(images, ["gardenlinux", "own"]);
    assert_eq!(merged.limits.expect("there are limits").max_nodes_total, Some(9));
    assert_eq!(merged.regions, parent.spec.regions);
}

#[test]
fn an_operation_is_remembered_by_its_id() {
    let mut operation: Operation =
        serde_json::from_value(json!({ "metadata": { "name": "monday" } })).expect("all fields may be absent");
    assert_eq!(operation.id(), "monday");
    operation.spec.id = Some("rotate-1".into());
    assert_eq!(operation.id(), "rotate-1");
}

#[test]
fn landscape_settings_have_defaults() {
    let config = |spec: Value| -> LandscapeConfig {
        serde_json::from_value(json!({ "metadata": { "name": "live" }, "spec": spec }))
            .expect("the settings have the right shape")
    };
    let plain = config(json!({ "clusters": { "garden": "g", "seeds": { "eu": "s" } } }));
    assert!(!plain.spec.is_sim() && !plain.spec.adopts_drift());
    assert_eq!(plain.status_branch(), "espalier/status/live");
    assert!(config(json!({ "clusters": "sim" })).spec.is_sim());
    assert!(config(json!({ "drift": "adopt" })).spec.adopts_drift());
    assert_eq!(config(json!({ "status": { "branch": "state" } })).status_branch(), "state");
}
