//! Volumes that are there keep their size when their seed asks for larger ones, and nothing fails over it.

use std::collections::BTreeMap;

use espalier::landscape::Target;
use serde_json::{Value, json};

use super::fleet::{Fleet, STATUS, explain};

const SEED: &str = "seeds/aws-eu1.yaml";
const TOLD: &str = "seeds/aws-eu1.status.yaml";
const VALI: &str = "/apis/apps/v1/namespaces/garden/statefulsets/vali";
const PROMETHEUS: &str = "/apis/monitoring.coreos.com/v1/namespaces/garden/prometheuses/seed";
const SIZE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

async fn told(fleet: &Fleet) -> String {
    let tree: BTreeMap<_, _> = fleet.repo.read_tree(STATUS).await.expect("git works");
    tree.get(TOLD).cloned().unwrap_or_default()
}

/// Size and first image of the seed's Vali.
async fn vali(fleet: &Fleet) -> (Value, String) {
    let set = fleet.get(&seed(), VALI).await.expect("it is there");
    let image = set.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).expect("an image");
    (set.pointer(SIZE).cloned().expect("a size"), image.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_asks_for_larger_volumes_keeps_those_that_it_has_and_says_so() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let (size, image) = vali(&fleet).await;
    assert_eq!((size, told(&fleet).await.contains("VOLUME-KEPT")), (json!("100Gi"), false));

    fleet.edit(SEED, "  settings:\n", "  volume:\n    minimumSize: 200Gi\n  settings:\n").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, (json!("100Gi"), image.clone()));
    let text = told(&fleet).await;
    assert!(text.contains("VOLUME-KEPT") && text.contains("vali (100Gi)") && text.contains("prometheus-seed (100Gi)"), "{text}");

    // What may change of it goes on changing.
    fleet.edit("landscape.yaml", "  observability:\n", "  images:\n    vali: example.org/vali:next\n  observability:\n").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, (json!("100Gi"), "example.org/vali:next".to_owned()));
    let before = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - before, 0, "nothing is to be written");

    // As the note says: it is made anew with what is wanted now.
    fleet.by_hand(&seed(), "DELETE", VALI, &Value::Null).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await.0, json!("200Gi"));
    let text = told(&fleet).await;
    assert!(text.contains("VOLUME-KEPT") && !text.contains("vali (") && text.contains("prometheus-seed (100Gi)"), "{text}");

    // A smaller minimum makes nothing smaller, and nothing is small any more.
    fleet.edit(SEED, "minimumSize: 200Gi", "minimumSize: 50Gi").await;
    fleet.edit("landscape.yaml", "example.org/vali:next", "example.org/vali:last").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, (json!("200Gi"), "example.org/vali:last".to_owned()));
    let kept = fleet.get(&seed(), PROMETHEUS).await.expect("it is there");
    assert_eq!(kept.pointer("/spec/storage/volumeClaimTemplate/spec/resources/requests/storage"), Some(&json!("100Gi")));
    let text = told(&fleet).await;
    assert!(!text.contains("(100Gi)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_of_a_shoot_is_told_of_as_well() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    // The resource manager makes it of what it is given, and leaves its claims as they are once it exists.
    let namespace = "shoot--shop--mini";
    let labels = json!({"app": "vali"});
    let claim = json!({"metadata": {"name": "vali"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "30Gi"}}}});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "vali", "image": "example.org/vali:v1"}]}});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "vali", "namespace": namespace}, "spec": {
        "replicas": 1, "serviceName": "logging", "selector": {"matchLabels": labels}, "template": pod, "volumeClaimTemplates": [claim],
    }});
    fleet.by_hand(&seed(), "POST", &format!("/apis/apps/v1/namespaces/{namespace}/statefulsets"), &set).await;
    fleet.edit(SEED, "  settings:\n", "  volume:\n    minimumSize: 40Gi\n  settings:\n").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let tree = fleet.repo.read_tree(STATUS).await.expect("git works");
    let text = &tree["projects/shop/shoots/mini.status.yaml"];
    assert!(text.contains("VOLUME-KEPT") && text.contains("minimum of 40Gi") && text.contains("vali (30Gi)"), "{text}");
}
