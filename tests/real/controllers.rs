//! client-go's informers: the namespace and garbage-collector controllers of kube-controller-manager, unchanged, on the simulated
//! server. They list and watch every kind there is, and delete what has lost its owner.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

use super::fleet;
use super::server::assets;

/// Runs it until nobody holds its standard input any more.
const KEEPER: &str = r#"
trap '' INT TERM HUP
"$1" --kubeconfig="$2/kubeconfig" --leader-elect=false --secure-port=0 --use-service-account-credentials=false \
  --kube-api-content-type=application/json --controllers=namespace-controller,garbage-collector-controller \
  </dev/null >"$2/log" 2>&1 &
manager=$!
cat >/dev/null
kill -9 $manager
wait
"#;

struct Manager(Child);

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_of_kubernetes_work_on_the_simulated_server() {
    let Some(assets) = assets() else { return };
    let sim = fleet::simulated("garden");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let clusters = BTreeMap::from([("garden".to_owned(), sim.clone())]);
    let serving = espalier::sim::serve(clusters, listener, None).await.expect("served");
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("kubeconfig"), &serving.kubeconfig).expect("written");
    let manager = Command::new("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(assets.join("kube-controller-manager"))
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let manager = Manager(manager.expect("sh starts"));

    let client = sim.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let team = serde_json::from_value(json!({"metadata": {"name": "team"}})).expect("a namespace");
    namespaces.create(&PostParams::default(), &team).await.expect("created");
    let api: Api<ConfigMap> = Api::namespaced(client, "team");
    let object = |name: &str, owner: Option<&str>| {
        let owners = owner.map(|uid| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]));
        serde_json::from_value::<ConfigMap>(json!({"metadata": {"name": name, "ownerReferences": owners}})).expect("a ConfigMap")
    };
    let owner = api.create(&PostParams::default(), &object("owner", None)).await.expect("created");
    let uid = owner.metadata.uid.expect("a uid");
    let kept = api.create(&PostParams::default(), &object("kept", Some(&uid))).await.expect("created");
    // They have listed everything once they say so, in their log and nowhere else.
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    let listed = async {
        while !log().contains("all resource monitors have synced") {
            tick.tick().await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_mins(2), listed).await.is_ok(),
        "they do not come to an end of listing:\n{}",
        log()
    );
    // What belongs to nobody goes, whoever sees it first: the simulated server, or they.
    let orphan = api.create(&PostParams::default(), &object("orphan", Some("0b7c1c2e-0000-4000-8000-000000000000"))).await;
    let orphan = orphan.expect("created").metadata.uid.expect("a uid");
    let gone = await_condition(api.clone(), "orphan", conditions::is_deleted(&orphan));
    let gone = tokio::time::timeout(Duration::from_mins(2), gone).await;
    assert!(gone.is_ok_and(|watched| watched.is_ok()), "the orphan is still there:\n{}", log());
    assert_eq!(api.get("kept").await.expect("there").metadata.uid, kept.metadata.uid, "what has an owner stays");
    namespaces.delete("team", &DeleteParams::default()).await.expect("deleted");
    let rest = await_condition(namespaces.clone(), "team", |namespace: Option<&Namespace>| namespace.is_none());
    tokio::time::timeout(Duration::from_mins(2), rest).await.expect("in time").expect("watched");
    let log = log();
    let errors: Vec<&str> =
        log.lines().filter(|line| line.starts_with('E') && !line.contains("manifest file is empty")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    drop(manager);
    serving.stop().await;
}
