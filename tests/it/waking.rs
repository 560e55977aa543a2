//! A shoot that sleeps and wakes: what autoscalers own begins anew where it begins for a new shoot.

use espalier::landscape::Target;
use serde_json::Value;

use super::fleet::{Fleet, explain};

const SHOOT: &str = "projects/shop/shoots/mini.yaml";
const SERVER: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-apiserver";

/// How many API servers are asked for, and who of us owns that.
async fn servers(fleet: &Fleet) -> (Option<i64>, Vec<String>) {
    let server = fleet.get(&Target::Seed("aws-eu1".into()), SERVER).await.expect("it is there");
    let all = server.pointer("/metadata/managedFields").and_then(Value::as_array).expect("managers");
    let owns = |entry: &&Value| entry.pointer("/fieldsV1/f:spec/f:replicas").is_some();
    let mut owners: Vec<String> =
        all.iter().filter(owns).map(|entry| entry["manager"].as_str().expect("a name").to_owned()).collect();
    owners.sort_unstable();
    (server.pointer("/spec/replicas").and_then(Value::as_i64), owners)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_that_wakes_has_as_many_api_servers_as_one_that_is_new() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let (new, _) = servers(&fleet).await;
    assert!(new > Some(1), "more than what a server sets by itself: {new:?}");

    fleet.edit(SHOOT, "\nspec:\n", "\nspec:\n  hibernation:\n    enabled: true\n").await;
    assert_eq!(explain(&fleet.pass().await), "", "it sleeps");
    assert_eq!(servers(&fleet).await, (Some(0), vec!["espalier".to_owned()]));

    fleet.edit(SHOOT, "    enabled: true\n", "    enabled: false\n").await;
    assert_eq!(explain(&fleet.pass().await), "", "it is awake");
    assert_eq!(servers(&fleet).await, (new, vec!["espalier-once".to_owned()]));
    let before = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "");
    assert_eq!(fleet.writes(), before, "the next pass writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_while_a_shoot_sleeps_goes_when_it_wakes() {
    const ADDON: &str =
        "/apis/resources.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/managedresources/shoot-addon-nginx-ingress";
    let (awake, asleep) = ("\nspec:\n", "\nspec:\n  hibernation:\n    enabled: true\n");
    let (off, on) =
        ("  provider:\n    type: aws\n", "  addons:\n    nginxIngress:\n      enabled: true\n  provider:\n    type: aws\n");
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    fleet.edit(SHOOT, "1.35.3", "1.34.6").await;
    fleet.edit(SHOOT, off, on).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let addon = async || fleet.get(&Target::Seed("aws-eu1".into()), ADDON).await;
    assert!(addon().await.is_some());

    fleet.edit(SHOOT, awake, asleep).await;
    assert_eq!(explain(&fleet.pass().await), "", "it sleeps");
    fleet.edit(SHOOT, on, off).await;
    assert_eq!(explain(&fleet.pass().await), "", "it sleeps on");
    // Nobody is there to let go of it.
    assert!(addon().await.expect("it is held")["metadata"]["deletionTimestamp"].is_string());
    let before = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "");
    assert_eq!(fleet.writes(), before, "the next pass writes nothing");

    fleet.edit(SHOOT, asleep, awake).await;
    assert_eq!(explain(&fleet.pass().await), "", "it is awake");
    assert_eq!(addon().await, None);
}
