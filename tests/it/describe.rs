//! One object on a page, with clusters and without.

use espalier::landscape::Target;
use serde_json::json;

use crate::cli::{json, repository, run};
use crate::live::{SHOOT, Served};

#[test]
fn without_clusters_the_page_says_what_is_written() {
    let dir = repository();
    let ran = run(dir.path(), &["describe", "shop/store", "--offline"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for line in [
        "Name:         store\n",
        "Namespace:    garden-shop\n",
        "Kind:         Shoot (core.gardener.cloud/v1beta1)\n",
        "Written at:   projects/shop/shoots/store.yaml:",
        " alice, ",
        ": Describe the landscape\n",
        "Accepted:     never\n",
        "Kubernetes:   1.34.2\n",
        "Read from:    the repository; nothing was reported yet\n",
    ] {
        assert!(ran.out.contains(line), "{line:?} is not in\n{}", ran.out);
    }
    let both = run(dir.path(), &["describe", "shop/*", "--offline"]);
    assert_eq!(both.out.matches("Name:         ").count(), 3, "{}", both.out);
    let ran = run(dir.path(), &["describe", "shop/stroe"]);
    assert!(ran.code == 2 && ran.err.contains("did you mean `shop/store`?"), "{}", ran.err);
    assert_eq!(run(dir.path(), &["describe"]).code, 64);

    // The clusters end with the process that simulates them: a line says so, and the page comes.
    let ran = run(dir.path(), &["describe", "seed/aws-eu1"]);
    assert!(ran.code == 0 && ran.err.contains("the garden cannot be looked at"), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Provider:     aws eu-west-1\n"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_clusters_the_page_says_how_it_stands() {
    let served = Served::ready(&["mini"]).await;
    served.edit(SHOOT, "kubectl-label", &json!({"spec": {"kubernetes": {"version": "1.35.1"}}})).await;
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "mini.1", "namespace": "garden-shop"},
        "involvedObject": {"kind": "Shoot", "name": "mini", "namespace": "garden-shop"},
        "type": "Normal", "reason": "Reconciled", "message": "It is\u{1b}[31m so", "lastTimestamp": "2026-11-18T12:00:00Z",
    });
    served.fleet.by_hand(&Target::Garden, "POST", "/api/v1/namespaces/garden-shop/events", &event).await;
    let head = served.fleet.head().await;
    let before = served.requests().0;
    let ran = served.run(&["describe", "shop/mini"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for line in [
        &format!("Accepted:     {}\n", head.0),
        "Seed:         aws-eu1\n",
        "Standing:     ready\n",
        "Operation:    Create Succeeded, 100 %, ",
        "Nodes:        one 1\n",
        "APIServerAvailable",
        "kube-apiserver",
        "Shoot/garden-shop/mini   kubernetes.version   1.35.3   1.35.1   human   kubectl-label, ",
        "Normal   Reconciled   It is [31m so\n",
        "Read from:    the repository and the clusters, ",
    ] {
        assert!(ran.out.contains(line), "{line:?} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}') && !ran.out.contains("Waits for"), "{}", ran.out);
    let page = json(&served.run(&["describe", "shop/mini", "-o", "json"]));
    assert_eq!((page["kind"].as_str(), page["seed"].as_str()), (Some("Description"), Some("aws-eu1")));
    let states: Vec<_> =
        page["components"].as_array().expect("components").iter().map(|c| c["state"].as_str().unwrap_or("")).collect();
    assert!(states.len() > 10 && states.contains(&"ready") && !states.contains(&"blocked"), "{states:?}");
    assert_eq!(served.requests().0, before, "describe only reads");

    // What was reported is told where no cluster can be asked.
    let offline = served.run(&["describe", "shop/mini", "--offline"]);
    assert!(offline.out.contains("Seed:         aws-eu1\n") && offline.out.contains("Standing:     ready\n"), "{}", offline.out);
    assert!(offline.out.contains("the repository and status commit "), "{}", offline.out);
}
