//! What extensions report of a shoot's health is told with it, and believed only as long as they show signs of life.

use espalier::landscape::Target;
use serde_json::{Value, json};

use super::extensions::{chart, conditions, files, helm, installations, seed};
use super::fleet::{Fleet, explain};

const MINI: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini";

async fn mini(fleet: &Fleet) -> Value {
    fleet.get(&Target::Garden, MINI).await.expect("the shoot")
}

/// One condition of the shoot: status, reason and message.
async fn system(fleet: &Fleet) -> [String; 3] {
    let shoot = mini(fleet).await;
    let all = shoot["status"]["conditions"].as_array().expect("conditions").clone();
    let found = all.iter().find(|c| c["type"] == "SystemComponentsHealthy").expect("the condition");
    ["status", "reason", "message"].map(|key| found[key].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_extensions_report_counts_while_they_live() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let fleet = Fleet::of(files(&chart(dir.path(), 1))).await;
    fleet.credentials().await;
    let pass = async || {
        let ended = fleet.pass_with(|options| options.helm = Some(program.clone())).await;
        assert_eq!(explain(&ended), "", "health of what runs is no reason to change anything");
        ended
    };
    pass().await;
    assert_eq!(system(&fleet).await[1], "SystemComponentsRunning");

    let namespace = mini(&fleet).await["status"]["technicalID"].as_str().expect("an id").to_owned();
    let network = format!("/apis/extensions.gardener.cloud/v1alpha1/namespaces/{namespace}/networks/mini/status");
    let report = async |status: &str| {
        let condition = json!({
            "type": "SystemComponentsHealthy", "status": status, "reason": "Calico", "message": "calico-node: 1 of 3 ready",
            "codes": if status == "False" { json!(["ERR_CONFIGURATION_PROBLEM"]) } else { json!([]) },
            "lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z",
        });
        fleet.by_hand(&seed(), "PATCH", &network, &json!({"status": {"conditions": [condition]}})).await;
    };
    let controller = format!("extension-{}", installations(&fleet).await[0]["metadata"]["name"].as_str().expect("a name"));
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{controller}/leases");
    let lease = |ago: i64| {
        let time = super::fleet::now() - jiff::SignedDuration::from_secs(ago);
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "gardener-extension-heartbeat"},
            "spec": {"holderIdentity": "networking-calico", "leaseDurationSeconds": 30, "renewTime": format!("{time:.6}")},
        })
    };

    // All is well, says somebody who was never seen alive.
    report("True").await;
    pass().await;
    let said = system(&fleet).await;
    assert_eq!(said[..2], ["Unknown", "NetworkOutdatedHealthCheckReport"], "{said:?}");
    assert!(said[2].contains(&controller) && said[2].ends_with("showed a sign of life never."), "{said:?}");

    fleet.by_hand(&seed(), "POST", &leases, &lease(240)).await;
    pass().await;
    assert_eq!(system(&fleet).await[..2], ["True", "SystemComponentsRunning"]);

    report("Progressing").await;
    pass().await;
    assert_eq!(system(&fleet).await, ["Progressing", "NetworkCalico", "calico-node: 1 of 3 ready"]);

    report("False").await;
    pass().await;
    let said = system(&fleet).await;
    assert_eq!(said[..2], ["False", "NetworkUnhealthyReport"], "{said:?}");
    assert!(said[2].contains("mini") && said[2].ends_with("calico-node: 1 of 3 ready"), "{said:?}");
    assert_eq!(conditions(&mini(&fleet).await).iter().filter(|c| c.contains("=False")).count(), 1);

    // What was reported by one that has died since says nothing any more.
    let one = format!("{leases}/gardener-extension-heartbeat");
    fleet.by_hand(&seed(), "PATCH", &one, &json!({"spec": {"renewTime": lease(301)["spec"]["renewTime"]}})).await;
    pass().await;
    let said = system(&fleet).await;
    assert_eq!(said[..2], ["Unknown", "NetworkOutdatedHealthCheckReport"], "{said:?}");
    assert!(said[2].contains("showed a sign of life last at 20"), "{said:?}");

    // Whoever is started anew says the same until it knows more.
    let before = mini(&fleet).await;
    assert_eq!(pass().await.counts.steps, 0);
    assert_eq!(mini(&fleet).await, before);
}
