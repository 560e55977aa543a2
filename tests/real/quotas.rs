//! ResourceQuotas on the real server and on the simulated one, without a controller manager: the test writes their status.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ResourceQuota, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::fleet::simulated;
use super::server::{Server, assets};

fn object<T: serde::de::DeserializeOwned>(name: &str, more: &Value) -> T {
    let mut object = json!({"metadata": {"name": name}});
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    serde_json::from_value(object).expect("an object")
}

/// What the server says to a new object.
async fn create<T>(api: &Api<T>, name: &str, dry_run: bool) -> String
where
    T: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let given = PostParams { dry_run, ..PostParams::default() };
    match api.create(&given, &object(name, &Value::Null)).await {
        Ok(_) => "created".to_owned(),
        Err(kube::Error::Api(status)) => format!("{} {}: {}", status.code, status.reason, status.message),
        Err(error) => panic!("no answer: {error}"),
    }
}

/// What the server says once it says what is waited for: it looks at quotas through a cache.
async fn heard<T>(api: &Api<T>, awaited: impl Fn(&str) -> bool) -> String
where
    T: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let answer = async {
        loop {
            let answer = create(api, "draft", true).await;
            if awaited(&answer) {
                return answer;
            }
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), answer).await.expect("the server hears of it")
}

async fn answers(client: kube::Client) -> Vec<String> {
    let team = object("team", &Value::Null);
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &team).await.expect("a namespace");
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), "team");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "team");
    let secrets: Api<Secret> = Api::namespaced(client, "team");
    let quota = object("counts", &json!({"spec": {"hard": {"count/configmaps": "2", "secrets": "1", "count/secrets": "5"}}}));
    quotas.create(&PostParams::default(), &quota).await.expect("a quota");
    let status = async |status: Value| {
        let patch = Patch::Merge(json!({"status": status}));
        quotas.patch_status("counts", &PatchParams::default(), &patch).await.expect("its status");
    };
    let used = async || {
        let status = quotas.get("counts").await.expect("there").status;
        serde_json::to_string(&status.and_then(|status| status.used)).expect("JSON")
    };
    let mut said = vec![format!("before anything is counted: {}", create(&maps, "a", false).await)];
    status(json!({"hard": {"count/configmaps": "2"}})).await;
    said.push(heard(&maps, |answer| answer != "created").await);
    status(json!({"used": {"count/configmaps": "1"}})).await;
    said.push(heard(&maps, |answer| answer == "created").await);
    said.push(create(&maps, "b", false).await);
    said.push(used().await);
    said.push(create(&maps, "c", false).await);
    status(json!({"hard": {"secrets": "1", "count/secrets": "5"}, "used": {"secrets": "1", "count/secrets": "1"}})).await;
    said.push(heard(&secrets, |answer| answer != "created").await);
    status(json!({"hard": {"secrets": "2", "count/secrets": "1"}})).await;
    said.push(heard(&secrets, |answer| answer.contains("requested: count/secrets=1")).await);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_refuse_alike_on_both_servers() {
    let Some(assets) = assets() else { return };
    let server = Server::start(&assets).await;
    let sim = simulated("quotas");
    sim.leave_to_controllers();
    let (real, simulated) = (answers(server.client()).await, answers(sim.client()).await);
    assert!(real.iter().any(|said| said.contains("exceeded quota")) && real.iter().any(|said| said.contains("status unknown")));
    assert_eq!(simulated, real);
}
