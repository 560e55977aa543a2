//! What watches a control plane comes up with it, is left alone by the next pass, and does not undo what people did to volumes; nor
//! does a seed undo what its gateways' own controllers decide.

use espalier::landscape::{Kind, Owner, Target};
use espalier::status::Standing;
use serde_json::{Value, json};

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

/// Others keep logs as soon as the landscape says so, and what kept them before is gone.
#[tokio::test(flavor = "multi_thread")]
async fn logs_move_from_vali_to_victoria_logs_and_the_next_pass_writes_nothing() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let seed = Target::Seed("aws-eu1".into());
    // What is packed for a shoot is not unpacked here.
    let garden = ("/apis/apps/v1/namespaces/garden", ["statefulsets/vali", "deployments/vlsingle-victoria-logs"]);
    let shoot =
        ("/apis/resources.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/managedresources", ["vali", "victoria-logs"]);
    let kept = async || {
        let mut kept = Vec::new();
        for (path, names) in [garden, shoot] {
            for name in names {
                kept.push(fleet.get(&seed, &format!("{path}/{name}")).await.is_some());
            }
        }
        kept
    };
    assert_eq!(kept().await, [true, false, true, false]);
    let both = "    logBackends: [Vali, VictoriaLogs]\n    persesOperator: true\n    logging: true ";
    let one = "    logBackends: [VictoriaLogs]\n    persesOperator: true\n    logging: true ";
    for (before, after, expected) in [("    logging: true ", both, [true; 4]), (both, one, [false, true, false, true])] {
        fleet.edit("landscape.yaml", before, after).await;
        assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
        assert_eq!(kept().await, expected, "{after}");
        let writes = fleet.writes();
        assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
        assert_eq!(fleet.writes() - writes, 0, "nothing is to be written with {after}");
    }
    let logs = fleet.get(&seed, "/apis/operator.victoriametrics.com/v1/namespaces/garden/vlsingles/victoria-logs").await;
    assert_eq!(logs.expect("it is there")["status"]["updateStatus"], "operational");
}

const TOLD: &str = "seeds/aws-eu1.status.yaml";
const DAEMON_SETS: &str = "/apis/apps/v1/namespaces/garden/daemonsets";
const COLLECTOR: &str = "/apis/apps/v1/namespaces/garden/deployments/opentelemetry-collector-collector";
const FLUENT_BITS: &str = "/apis/fluentbit.fluent.io/v1alpha2/namespaces/garden/fluentbits";
const MINI: &str = "projects/shop/shoots/mini.yaml";

/// Neither a FluentBit nor a collector says how it stands; what their operators make of them does.
#[tokio::test(flavor = "multi_thread")]
async fn a_seed_whose_logs_nobody_gathers_says_so_and_serves_on() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let (seed, owner, shoot) =
        (Target::Seed("aws-eu1".into()), Owner::cluster(Kind::Seed, "aws-eu1"), Owner::project(Kind::Shoot, "shop", "mini"));
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
    fleet.by_hand(&seed, "POST", "/api/v1/nodes", &node).await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let sets = fleet.get(&seed, DAEMON_SETS).await.expect("a list");
    let bit = sets["items"].as_array().expect("items").iter().filter_map(|s| s["metadata"]["name"].as_str());
    let bit = bit.into_iter().find(|name| name.starts_with("fluent-bit-")).expect("it is there").to_owned();
    let fails = |how: Value| json!({"metadata": {"annotations": {"sim.espalier.dev/fail": how}}});
    let healthy = |text: &str, condition: &str| {
        let status: Value = serde_yaml::from_str(text).expect("YAML");
        let all = status.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        all.iter().any(|c| c["type"] == condition && c["status"] == "True")
    };

    fleet.by_hand(&seed, "PATCH", &format!("{DAEMON_SETS}/{bit}"), &fails(json!("error:Crashes"))).await;
    let why = format!("fluent-bit: DaemonSet/garden/{bit}: 0 of 1 nodes");
    let tree = running.reported(&fleet, "no logs", |tree| tree.get(TOLD).is_some_and(|text| text.contains(&why))).await;
    assert!(!healthy(&tree[TOLD], "SeedSystemComponentsHealthy") && healthy(&tree[TOLD], "GardenletReady"), "{}", tree[TOLD]);
    // Its shoots go on all the same.
    let commit = fleet.edit(MINI, "maximum: 1", "maximum: 2").await;
    running
        .until("a shoot that changes", |view| {
            let stands = |owner: &Owner| view.owners.get(owner).map(|row| row.standing);
            view.revision.as_ref() == Some(&commit)
                && view.counts.written_since_head.contains(&shoot)
                && (stands(&shoot), stands(&owner)) == (Some(Standing::Ready), Some(Standing::Progressing))
        })
        .await;
    let worker = "/apis/extensions.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/workers/mini";
    let worker = fleet.get(&seed, worker).await.expect("it is there");
    assert_eq!(worker.pointer("/spec/pools/0/maximum"), Some(&json!(2)));

    // An operator that does nothing is no better.
    fleet.by_hand(&seed, "PATCH", &format!("{FLUENT_BITS}/{bit}"), &fails(json!("stuck"))).await;
    fleet.by_hand(&seed, "DELETE", &format!("{DAEMON_SETS}/{bit}"), &Value::Null).await;
    let why = format!("FluentBit/garden/{bit}: its operator has not made DaemonSet/garden/{bit} yet");
    running.reported(&fleet, "no operator", |tree| tree.get(TOLD).is_some_and(|text| text.contains(&why))).await;
    fleet.by_hand(&seed, "PATCH", &format!("{FLUENT_BITS}/{bit}"), &fails(Value::Null)).await;
    running.ready_at(&commit).await;

    fleet.by_hand(&seed, "PATCH", COLLECTOR, &fails(json!("error:ProgressDeadlineExceeded"))).await;
    let why = "Deployment/garden/opentelemetry-collector-collector: rollout exceeded its progress deadline";
    let tree = running.reported(&fleet, "no collector", |tree| tree.get(TOLD).is_some_and(|text| text.contains(why))).await;
    assert!(!healthy(&tree[TOLD], "SeedSystemComponentsHealthy") && healthy(&tree[TOLD], "GardenletReady"), "{}", tree[TOLD]);
    fleet.by_hand(&seed, "PATCH", COLLECTOR, &fails(Value::Null)).await;
    running.ready_at(&commit).await;
    running.stop().await;
}
