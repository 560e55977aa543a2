//! What a seed's dependency watchdog scales down while kubelets are cut off is not brought back by us.

use espalier::landscape::Target;
use serde_json::{Value, json};

use super::fleet::Fleet;

const MANAGER: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-controller-manager";
const PROTECTION: &str = "dependency-watchdog.gardener.cloud/meltdown-protection-active";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_watchdog_scaled_down_stays_down_until_it_scales_it_up() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let manager = async || fleet.get(&seed(), MANAGER).await.expect("it is there");
    let class = |of: &Value| of["spec"]["template"]["spec"]["priorityClassName"].clone();
    let before = manager().await;
    assert_eq!(before["spec"]["replicas"], 1);

    // Beside it somebody changes what is ours: that is restored, and nothing else.
    let steps = running.seen.borrow().counts.steps;
    let patch = json!({"metadata": {"annotations": {PROTECTION: ""}}, "spec": {
        "replicas": 0, "template": {"spec": {"priorityClassName": "mine"}},
    }});
    fleet.by_hand(&seed(), "PATCH", MANAGER, &patch).await;
    running.until("restored", |v| v.counts.steps > steps).await;
    running.ready_at(&fleet.head().await).await;
    let during = manager().await;
    assert_eq!((class(&during), &during["spec"]["replicas"]), (class(&before), &json!(0)));

    // Without its mark nobody but us has a say in how many there are.
    let steps = running.seen.borrow().counts.steps;
    fleet.by_hand(&seed(), "PATCH", MANAGER, &json!({"metadata": {"annotations": {PROTECTION: null}}})).await;
    running.until("restored", |v| v.counts.steps > steps).await;
    running.ready_at(&fleet.head().await).await;
    assert_eq!(manager().await["spec"]["replicas"], 1);
    running.stop().await;
}
