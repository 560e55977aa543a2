//! The DNS cache of nodes is switched on and off again: what it left on nodes that stay is cleaned up before the last of it goes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::daemon::View;
use espalier::landscape::{Kind, Owner, Target};
use espalier::status::Standing;
use serde_json::{Value, json};

use super::fleet::{Fleet, Running, explain};

const MINI: &str = "projects/shop/shoots/mini.yaml";
const OFF: &str = "  provider:\n    type: aws\n";
const ON: &str = "  systemComponents:\n    nodeLocalDNS:\n      enabled: true\n  provider:\n    type: aws\n";
const RESOURCE: &str =
    "/apis/resources.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/managedresources/shoot-core-node-local-dns";
const SECRETS: &str = "/api/v1/namespaces/shoot--shop--mini/secrets";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

/// The DaemonSets that the resource manager is to have in the shoot.
async fn wanted(fleet: &Fleet) -> Vec<String> {
    let resource = fleet.get(&seed(), RESOURCE).await.expect("it is there");
    let name = resource["spec"]["secretRefs"][0]["name"].as_str().expect("a name");
    let secret = fleet.get(&seed(), &format!("{SECRETS}/{name}")).await.expect("it is there");
    let mut out = Vec::new();
    for data in secret["data"].as_object().expect("data").values() {
        let bytes = STANDARD.decode(data.as_str().expect("text")).expect("base64");
        for document in serde_yaml::Deserializer::from_slice(&bytes) {
            let object: Value = serde::Deserialize::deserialize(document).expect("YAML");
            if object["kind"] == "DaemonSet" {
                out.push(object["metadata"]["name"].as_str().expect("a name").to_owned());
            }
        }
    }
    out
}

/// The Secrets of that ManagedResource that there are.
async fn secrets(fleet: &Fleet) -> usize {
    let all = fleet.get(&seed(), SECRETS).await.expect("a list");
    let names = all["items"].as_array().expect("items").iter().filter_map(|s| s["metadata"]["name"].as_str());
    names.filter(|name| name.contains("node-local-dns")).count()
}

/// Waits until that is what the resource manager is to have.
async fn given(running: &mut Running, fleet: &Fleet, daemon_set: &str) {
    let waited = tokio::time::timeout(Duration::from_mins(3), async {
        loop {
            running.seen.borrow_and_update();
            if wanted(fleet).await == [daemon_set] {
                return;
            }
            running.seen.changed().await.expect("the daemon goes on");
        }
    });
    assert!(waited.await.is_ok(), "{daemon_set} was not given: {:?}", wanted(fleet).await);
}

/// Lets the resource manager begin and not end, or go on.
async fn sticks(fleet: &Fleet, sticks: bool) {
    let how = if sticks { json!("stuck") } else { Value::Null };
    let change = json!({"metadata": {"annotations": {"sim.espalier.dev/fail": how}}});
    fleet.by_hand(&seed(), "PATCH", RESOURCE, &change).await;
}

/// A shoot whose nodes have the cache, and whose resource manager does not come to an end from now on.
async fn with_cache() -> Fleet {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    fleet.edit(MINI, OFF, ON).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(wanted(&fleet).await, ["node-local-dns-one"]);
    sticks(&fleet, true).await;
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_of_nodes_goes_once_they_are_cleaned_after_it() {
    let fleet = with_cache().await;
    let first = fleet.get(&seed(), RESOURCE).await.expect("it is there");
    let off = fleet.edit(MINI, ON, OFF).await;
    let mut running = fleet.start().await;
    given(&mut running, &fleet, "node-local-dns-cleanup").await;
    running.stop().await;
    let now = fleet.get(&seed(), RESOURCE).await.expect("it is there");
    assert_eq!(now["metadata"]["uid"], first["metadata"]["uid"], "the object that held the cache");

    // Who begins again knows what is still to be done.
    let mut running = fleet.start().await;
    let mini = Owner::project(Kind::Shoot, "shop", "mini");
    let waits = |view: &View| {
        let row = view.owners.get(&mini);
        let cleans = row.is_some_and(|row| row.standing == Standing::Progressing && row.note.contains("node-local-dns-cleanup"));
        view.revision.as_ref() == Some(&off) && cleans
    };
    running.until("the clean-up to go on", waits).await;
    assert_eq!(wanted(&fleet).await, ["node-local-dns-cleanup"]);
    sticks(&fleet, false).await;
    running.ready_at(&off).await;
    running.stop().await;
    assert_eq!((fleet.get(&seed(), RESOURCE).await, secrets(&fleet).await), (None, 0));
    let before = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - before, 0, "nothing is to be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_comes_back_in_the_middle_of_its_clean_up() {
    let fleet = with_cache().await;
    fleet.edit(MINI, ON, OFF).await;
    let mut running = fleet.start().await;
    given(&mut running, &fleet, "node-local-dns-cleanup").await;
    let on = fleet.edit(MINI, OFF, ON).await;
    given(&mut running, &fleet, "node-local-dns-one").await;
    sticks(&fleet, false).await;
    running.ready_at(&on).await;
    running.stop().await;
    assert_eq!((wanted(&fleet).await, secrets(&fleet).await), (vec!["node-local-dns-one".to_owned()], 1));
}
