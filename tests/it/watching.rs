//! What watches a control plane comes up with it, is left alone by the next pass, and does not undo what people did to volumes; nor
//! does a seed undo what its gateways' own controllers decide.

use espalier::landscape::Target;
use serde_json::json;

use super::fleet::{Fleet, explain};

const GATEWAY: &str = "/apis/apps/v1/namespaces/istio-ingress/deployments/istio-ingressgateway";
const HOOK: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/istiod";
const PROMETHEUS: &str = "/apis/monitoring.coreos.com/v1/namespaces/shoot--shop--mini/prometheuses/shoot";

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_people_enlarged_stays_so_and_the_next_pass_writes_nothing() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let seed = Target::Seed("aws-eu1".into());
    let size = "/spec/storage/volumeClaimTemplate/spec/resources/requests/storage";
    let prometheus = fleet.get(&seed, PROMETHEUS).await.expect("it is there");
    let available = |c: &serde_json::Value| c["type"] == "Available" && c["status"] == "True";
    assert!(prometheus["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(available)), "{prometheus}");
    assert_eq!(prometheus.pointer(size), Some(&json!("20Gi")));
    let users = fleet.get(&Target::Garden, "/api/v1/namespaces/garden-shop/secrets/mini.monitoring").await.expect("it is there");
    assert!(users["data"]["password"].is_string() && users["metadata"]["annotations"]["plutono-url"].is_string());

    let more = json!({"spec": {"storage": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "50Gi"}}}}}}});
    fleet.by_hand(&seed, "PATCH", PROMETHEUS, &more).await;
    let writes = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - writes, 0, "nothing is to be written");
    assert_eq!(fleet.get(&seed, PROMETHEUS).await.expect("it is there").pointer(size), Some(&json!("50Gi")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_istiod_and_autoscalers_wrote_stays_so_and_the_next_pass_writes_nothing() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let seed = Target::Seed("aws-eu1".into());
    let mut hook = fleet.get(&seed, HOOK).await.expect("it is there");
    assert_eq!(hook["webhooks"][0]["failurePolicy"], "Ignore");
    // As istiod does it: the whole object, as it was read.
    hook["webhooks"][0]["failurePolicy"] = json!("Fail");
    hook["webhooks"][0]["clientConfig"]["caBundle"] = json!("Y2E=");
    fleet.by_hand(&seed, "PUT", HOOK, &hook).await;
    let gateway = fleet.get(&seed, GATEWAY).await.expect("it is there");
    assert_eq!((&gateway["spec"]["replicas"], &gateway["status"]["readyReplicas"]), (&json!(6), &json!(6)), "two for each zone");
    fleet.by_hand(&seed, "PATCH", GATEWAY, &json!({"spec": {"replicas": 9}})).await;

    let writes = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - writes, 0, "nothing is to be written");
    assert_eq!(fleet.get(&seed, HOOK).await.expect("it is there")["webhooks"], hook["webhooks"]);
    assert_eq!(fleet.get(&seed, GATEWAY).await.expect("it is there")["spec"]["replicas"], 9);
}
