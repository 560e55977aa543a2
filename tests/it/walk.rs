//! What commits, people and accidents do to running clusters: one test per promise.

use std::collections::BTreeSet;

use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::TRACKING_ANNOTATION;
use espalier::snapshot::Changes;
use serde_json::{Value, json};

use super::fleet::{Dump, Fleet, STATUS};

const MINI: &str = "projects/shop/shoots/mini.yaml";
const PLANE: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-apiserver";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

fn image(deployment: &Value) -> String {
    deployment.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).expect("an image").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_patch_version_touches_its_shoot_only() {
    let fleet = Fleet::local(&["mini", "api"]).await;
    fleet.edit(MINI, "1.35.3", "1.35.1").await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let before = image(&fleet.get(&seed(), PLANE).await.expect("it runs"));
    assert!(before.ends_with("v1.35.1"), "{before}");

    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    running.until("written", |v| v.revision.as_ref() == Some(&commit) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&commit).await;
    let tree = running.reported(&fleet, "the new version", |t| t["STATUS.md"].contains(commit.short())).await;
    drop(tree);
    let ended = running.stop().await;
    assert_eq!(ended.view.counts.evaluated_since_head, BTreeSet::from([mini()]));
    assert_eq!(ended.view.counts.written_since_head, BTreeSet::from([mini()]));
    let after = image(&fleet.get(&seed(), PLANE).await.expect("it runs"));
    assert!(after.ends_with("v1.35.3"), "{after}");
    let tip = fleet.status_tip().await.expect("a status branch");
    let commits = fleet.repo.log(&tip, None, 1).await.expect("git works");
    assert_eq!(commits[0].trailer("Reconciled"), Some(commit.to_string().as_str()));
}

/// What we wrote, without the marks of the commit and of the moment.
fn ours(dump: Dump) -> Dump {
    dump.into_iter()
        .filter(|(_, value)| value["metadata"]["annotations"].get(TRACKING_ANNOTATION).is_some())
        .map(|(key, mut value)| {
            let annotations = value["metadata"]["annotations"].as_object_mut().expect("annotations");
            annotations.remove(espalier::observed::ACCEPTED_REVISION_ANNOTATION);
            annotations.remove("gardener.cloud/timestamp");
            value.as_object_mut().expect("an object").remove("status");
            (key, value)
        })
        .collect()
}

fn differences(a: &Dump, b: &Dump) -> Vec<String> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| format!("{key}\n  {}\n  {}\n", text(a.get(key)), text(b.get(key))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_brings_the_same_objects_back() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let before = ours(fleet.dump().await);
    let old = fleet.repo.read_tree(super::fleet::BRANCH).await.expect("git works").remove(MINI).expect("there");

    let new = old.replace("        maximum: 1\n", "        maximum: 4\n")
        + "      - name: two\n        minimum: 1\n        maximum: 1\n        machine:\n          type: m6i.large\n        \
           volume:\n          type: gp3\n          size: 25Gi\n        zones: [eu-west-1c]\n";
    let change = fleet.commit(Changes::from([(MINI.into(), Some(new))])).await;
    running.until("written", |v| v.revision.as_ref() == Some(&change) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&change).await;
    let between = ours(fleet.dump().await);
    assert!(differences(&before, &between).len() > 2, "the change has consequences: {:?}", differences(&before, &between));

    let revert = fleet.commit(Changes::from([(MINI.into(), Some(old))])).await;
    running.until("written", |v| v.revision.as_ref() == Some(&revert) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&revert).await;
    let differences = differences(&before, &ours(fleet.dump().await));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    running.stop().await;
}
