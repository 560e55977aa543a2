//! Drift between what was reconciled and what clusters have: by whom, since when, and taken over into Git.

use espalier::landscape::Target;
use serde_json::{Value, json};

use crate::fleet::CANARY;
use crate::live::{SHOOT, Served};

const WINTER: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-lab/shoots/winter";
const GARDENER: &str = "gardener-controller-manager";

/// All fields that drifted, as `owner object field cause desired observed`.
fn told(drift: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for object in drift["objects"].as_array().expect("objects") {
        let (owner, name) = (object["owner"]["name"].as_str().unwrap_or_default(), object["object"].as_str().unwrap_or_default());
        if object["missing"] == true {
            out.push(format!("{owner} {name} is gone"));
        }
        for field in object["fields"].as_array().into_iter().flatten() {
            let text = |key: &str| field[key].as_str().unwrap_or_default().to_owned();
            out.push(format!("{owner} {name} {} {} {} {}", text("field"), text("cause"), field["desired"], field["observed"]));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_says_who_did_it_and_nothing_of_secrets() {
    let served = Served::ready(&["mini", "winter"]).await;
    let none = served.run(&["drift", "--exit-code"]);
    assert_eq!(none.code, 0, "{}{}", none.out, none.err);
    assert!(none.out.starts_with("No drift: the clusters are as "), "{}", none.out);

    let pool = served.pool(SHOOT, "maximum", json!(9)).await;
    served.edit(SHOOT, "kubectl-edit", &pool).await;
    served.edit(SHOOT, GARDENER, &json!({"spec": {"kubernetes": {"version": "1.35.9"}}})).await;
    let live = served.fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    let entries = live["metadata"]["managedFields"].as_array().expect("managed fields");
    let time = &entries.iter().find(|e| e["manager"] == GARDENER).expect("an entry")["time"];
    let maintained =
        json!({"status": {"lastMaintenance": {"triggeredTime": time, "description": "All maintenance operations successful"}}});
    served.edit(&format!("{SHOOT}/status"), GARDENER, &maintained).await;
    served.edit(WINTER, GARDENER, &json!({"spec": {"hibernation": {"enabled": false}}})).await;
    let seed = Target::Seed("aws-eu1".into());
    let secret = "/api/v1/namespaces/shoot--shop--mini/secrets/cloudprovider";
    let other = "b3RoZXItY2FuYXJ5";
    served.fleet.by_hand(&seed, "PATCH", &format!("{secret}?fieldManager=kubectl-patch"), &json!({"data": {"key": other}})).await;
    let manager = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/machine-controller-manager?fieldManager=robot";
    served.fleet.by_hand(&seed, "PATCH", manager, &json!({"spec": {"revisionHistoryLimit": 7}})).await;
    let account = "/api/v1/namespaces/shoot--shop--mini/serviceaccounts/machine-controller-manager";
    served.fleet.by_hand(&seed, "DELETE", account, &Value::Null).await;

    let before = served.requests().0;
    let drift = served.json(&["drift"]);
    assert_eq!(
        told(&drift),
        [
            "winter Shoot/garden-lab/winter hibernation.enabled schedule true false",
            "mini Shoot/garden-shop/mini kubernetes.version maintenance \"1.35.3\" \"1.35.9\"",
            "mini Shoot/garden-shop/mini provider.workers[one].maximum human 1 9",
            "mini Deployment/shoot--shop--mini/machine-controller-manager revisionHistoryLimit other 2 7",
            "mini Secret/shoot--shop--mini/cloudprovider data human null null",
            "mini ServiceAccount/shoot--shop--mini/machine-controller-manager is gone",
        ]
    );
    let schema = jsonschema::draft202012::new(&espalier::print::drift::schema()).expect("a schema");
    assert!(schema.is_valid(&drift), "{:?}", schema.iter_errors(&drift).next());
    assert_eq!(drift["summary"]["causes"], json!({"maintenance": 1, "human": 2, "schedule": 1, "other": 2}));
    let shoot = &drift["objects"][1];
    assert_eq!(shoot["fields"][0]["since"], *time);
    let marks: Vec<_> =
        shoot["restore"].as_array().expect("costs").iter().map(|r| r["mark"].as_str().unwrap_or_default()).collect();
    assert_eq!(marks, ["forbidden", "scales"], "{shoot}");

    let ran = served.run(&["drift", "--exit-code"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for line in [
        "Gardener maintenance (safe to adopt)\n  shop/mini   kubernetes.version   git 1.35.3   live 1.35.9   gardener-controller-manager, ",
        "People\n",
        "changed (secret)   kubectl-patch, ",
        "Hibernation schedule\n  lab/winter   hibernation.enabled   git true   live false",
        "maximum → scales · version → forbidden",
        "6 differences in 5 objects of 2 owners\n",
    ] {
        assert!(ran.out.contains(line), "{line:?} is not in\n{}", ran.out);
    }
    for canary in [CANARY, other, "canary"] {
        assert!(!ran.out.contains(canary) && !drift.to_string().contains(canary), "{canary} was told");
    }
    let only = served.json(&["drift", "lab/*", "--cause", "schedule"]);
    assert_eq!(told(&only), ["winter Shoot/garden-lab/winter hibernation.enabled schedule true false"]);
    assert_eq!(served.run(&["drift", "lab/winter", "--cause", "human", "--exit-code"]).code, 0);
    assert_eq!(served.requests().0, before, "drift only reads");
    assert_eq!(served.run(&["drift", "--branch", "x"]).code, 64, "nothing is committed without --adopt");
    assert_eq!(served.run(&["drift", "shop/nobody"]).code, 2);
    let nobody = tokio::task::block_in_place(|| crate::cli::run(&served.at, &["drift", "-L", "local"]));
    assert!(nobody.code == 2 && nobody.err.contains("the garden cannot be looked at"), "{}", nobody.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_observed_is_adopted_as_a_commit_once() {
    let served = Served::ready(&["mini"]).await;
    let pool = served.pool(SHOOT, "maximum", json!(9)).await;
    served.edit(SHOOT, "kubectl-edit", &pool).await;
    let seed = Target::Seed("aws-eu1".into());
    let secret = "/api/v1/namespaces/shoot--shop--mini/secrets/cloudprovider?fieldManager=kubectl-patch";
    served.fleet.by_hand(&seed, "PATCH", secret, &json!({"data": {"key": "b3RoZXItY2FuYXJ5"}})).await;

    let dry = served.run(&["drift", "--adopt", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}{}", dry.out, dry.err);
    assert!(dry.out.starts_with("# As little as a shoot can be") && dry.out.contains("maximum: 9"), "{}", dry.out);
    assert!(dry.err.contains("Secret/shoot--shop--mini/cloudprovider"), "a secret is left, and that is said: {}", dry.err);
    let tip = served.fleet.head().await;

    let proposed = served.run(&["drift", "--adopt", "--branch", "adopt"]);
    assert_eq!(proposed.code, 0, "{}{}", proposed.out, proposed.err);
    assert_eq!(served.fleet.head().await, tip, "a proposal moves nothing else");
    let head = served.fleet.repo.resolve("refs/heads/adopt").await.expect("git works").expect("a branch");
    let commit = served.fleet.repo.log(&head, None, 1).await.expect("a log").remove(0);
    assert_eq!(commit.subject, "Adopt provider.workers[one].maximum of Shoot shop/mini as observed");
    for word in ["As found in the garden", "Shoot shop/mini provider.workers[one].maximum: 1 -> 9 (human: kubectl-edit, "] {
        assert!(commit.body.contains(word), "{word} is not in {}", commit.body);
    }
    let text =
        served.fleet.repo.read_tree("refs/heads/adopt").await.expect("git works")["projects/shop/shoots/mini.yaml"].clone();
    let before =
        served.fleet.repo.read_tree(crate::fleet::BRANCH).await.expect("git works")["projects/shop/shoots/mini.yaml"].clone();
    assert_eq!(text, before.replace("maximum: 1", "maximum: 9"), "one value, and every comment");

    let straight = served.run(&["drift", "--adopt", "-q"]);
    assert!(
        straight.code == 0 && straight.out.starts_with("Committed projects/shop/shoots/mini.yaml"),
        "{}{}",
        straight.out,
        straight.err
    );
    let tip = served.fleet.head().await;
    let again = served.run(&["drift", "--adopt", "-q"]);
    assert!(again.code == 0 && again.out.contains("is so already"), "{}{}", again.out, again.err);
    assert_eq!(served.fleet.head().await, tip, "adopted once");

    // A pass takes the commit up: Git and the garden agree, and the secret is restored.
    served.fleet.pass().await;
    let none = served.run(&["drift", "--exit-code"]);
    assert_eq!(none.code, 0, "{}{}", none.out, none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_refuse_is_not_adopted() {
    let served = Served::ready(&["mini"]).await;
    let tip = served.fleet.head().await;
    served.edit(SHOOT, "kubectl-edit", &json!({"spec": {"region": "mars-1"}})).await;
    let ran = served.run(&["drift", "--adopt"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("mars-1") && ran.out.contains("projects/shop/shoots/mini.yaml:"), "{}", ran.out);
    assert!(ran.err.contains("the landscape's rules refuse"), "{}", ran.err);
    assert_eq!(served.fleet.head().await, tip);
}
