//! Volumes that are there keep their size when their seed asks for larger ones; nothing fails over it, and the rest of what they
//! belong to goes on changing.

use espalier::landscape::Target;
use serde_json::{Value, json};

use super::fleet::{Fleet, explain};

const SEED: &str = "seeds/aws-eu1.yaml";
const SHOOT: &str = "projects/shop/shoots/mini.yaml";
const VALI: &str = "/apis/apps/v1/namespaces/garden/statefulsets/vali";
const PROMETHEUS: &str = "/apis/monitoring.coreos.com/v1/namespaces/garden/prometheuses/seed";
const ETCD: &str = "/apis/druid.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/etcds/etcd-main";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

/// Size and image of the seed's Vali.
async fn vali(fleet: &Fleet) -> [String; 2] {
    let set = fleet.get(&seed(), VALI).await.expect("it is there");
    assert_eq!(set.pointer("/spec/volumeClaimTemplates/1"), None, "one claim");
    let text = |pointer| set.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    [text("/spec/volumeClaimTemplates/0/spec/resources/requests/storage"), text("/spec/template/spec/containers/0/image")]
}

/// Size and image of the Prometheus that watches the seed.
async fn prometheus(fleet: &Fleet) -> [String; 2] {
    let object = fleet.get(&seed(), PROMETHEUS).await.expect("it is there");
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    [text("/spec/storage/volumeClaimTemplate/spec/resources/requests/storage"), text("/spec/image")]
}

/// Size and processor of the shoot's etcd.
async fn etcd(fleet: &Fleet) -> [String; 2] {
    let object = fleet.get(&seed(), ETCD).await.expect("it is there");
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    [text("/spec/storageCapacity"), text("/spec/etcd/resources/requests/cpu")]
}

/// What both managers of a StatefulSet's claims have of its spec.
fn managers(set: &Value) -> Vec<(&str, bool, bool)> {
    let all = set.pointer("/metadata/managedFields").and_then(Value::as_array).expect("managers");
    let has = |entry: &Value, field: &str| entry.pointer(&format!("/fieldsV1/f:spec/f:{field}")).is_some();
    let ours = all.iter().filter(|entry| entry["operation"] == "Apply");
    ours.map(|entry| (entry["manager"].as_str().expect("a name"), has(entry, "template"), has(entry, "volumeClaimTemplates")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_asks_for_larger_volumes_keeps_those_that_it_has() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let [[size, image], [stored, watcher], [capacity, processor]] =
        [vali(&fleet).await, prometheus(&fleet).await, etcd(&fleet).await];
    assert_eq!([size.as_str(), &stored, &capacity, &processor], ["100Gi", "100Gi", "25Gi", "150m"]);
    let set = fleet.get(&seed(), VALI).await.expect("it is there");
    let mut both = managers(&set);
    both.sort_unstable();
    assert_eq!(both, [("espalier", true, false), ("espalier-once", false, true)]);

    fleet.edit(SEED, "  settings:\n", "  volume:\n    minimumSize: 200Gi\n  settings:\n").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, ["100Gi".to_owned(), image]);
    assert_eq!(prometheus(&fleet).await, ["100Gi".to_owned(), watcher]);
    assert_eq!(etcd(&fleet).await, ["25Gi", "150m"]);

    // What may change of them goes on changing.
    let images = "  images:\n    prometheus: example.org/prometheus:next\n    vali: example.org/vali:next\n  observability:\n";
    fleet.edit("landscape.yaml", "  observability:\n", images).await;
    let larger = "    version: 1.35.3\n    etcd: {main: {autoscaling: {minAllowed: {cpu: 300m}}}}\n";
    fleet.edit(SHOOT, "    version: 1.35.3\n", larger).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, ["100Gi", "example.org/vali:next"]);
    assert_eq!(prometheus(&fleet).await, ["100Gi", "example.org/prometheus:next"]);
    assert_eq!(etcd(&fleet).await, ["25Gi", "300m"]);
    let before = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - before, 0, "nothing is to be written");

    // One that is made anew has what is wanted now, and a smaller minimum makes nothing smaller.
    fleet.by_hand(&seed(), "DELETE", VALI, &Value::Null).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, ["200Gi", "example.org/vali:next"]);
    fleet.edit(SEED, "minimumSize: 200Gi", "minimumSize: 50Gi").await;
    fleet.edit("landscape.yaml", "example.org/vali:next", "example.org/vali:last").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(vali(&fleet).await, ["200Gi", "example.org/vali:last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_scales_down_what_has_volumes_is_undone_while_the_seed_asks_for_larger_ones() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    fleet.edit(SEED, "  settings:\n", "  volume:\n    minimumSize: 200Gi\n  settings:\n").await;
    fleet.by_hand(&seed(), "PATCH", VALI, &json!({"spec": {"replicas": 0}})).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let set = fleet.get(&seed(), VALI).await.expect("it is there");
    assert_eq!((&set["spec"]["replicas"], vali(&fleet).await[0].as_str()), (&json!(1), "100Gi"));
}
