//! A landscape that came up on simulated clusters, put into real ones as a backup is restored: their API servers show every object as
//! it was, and espalier, under the roles that it prints, finds nothing to write there. What somebody deletes it writes again.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::daemon::Ended;
use espalier::landscape::Target;
use espalier::sim::Sim;
use futures::FutureExt as _;
use kube::api::ApiResource;
use kube::discovery::{ApiGroup, Discovery};
use serde_json::{Value, json};

use super::fleet::{Fleet, explain, listed, name_of};
use super::server::{Server, assets};
use super::{roles, taken};

/// Groups of kinds that are not made by definitions; an API server keeps them without the name of their group.
const BUILT_IN: [&str; 12] = [
    "",
    "admissionregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Where an API server keeps an object in etcd.
fn key(resource: &ApiResource, object: &Value) -> String {
    let folder = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "services") => "services/specs".to_owned(),
        ("", "endpoints") => "services/endpoints".to_owned(),
        ("", "nodes") => "minions".to_owned(),
        ("networking.k8s.io", "ingresses") => "ingress".to_owned(),
        (group, plural) if BUILT_IN.contains(&group) => plural.to_owned(),
        (group, plural) => format!("{group}/{plural}"),
    };
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let name = [folder, text("namespace"), text("name")];
    format!("/registry/{}", name.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/"))
}

/// Every object of a cluster with its kind, definitions first; the components of a real control plane are asked, not stored.
async fn everything(client: &kube::Client) -> Vec<(ApiResource, Value)> {
    let found = Discovery::new(client.clone()).run().await.expect("discovery");
    let mut out = listed(client, found.groups().flat_map(ApiGroup::resources_by_stability)).await;
    out.retain(|(_, object)| object["metadata"]["resourceVersion"].is_string());
    out.sort_by_key(|(resource, _)| resource.kind != "CustomResourceDefinition");
    out
}

/// By kind, namespace and name.
fn by_name(all: Vec<(ApiResource, Value)>) -> BTreeMap<String, Value> {
    all.into_iter().map(|(resource, object)| (format!("{} {}", resource.group, name_of(&object)), object)).collect()
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().expect("a resourceVersion")
}

async fn put(store: &kube::Client, key: &str, object: &Value) {
    let body = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(object.to_string())});
    let request = http::Request::post("/v3/kv/put").header("content-type", "application/json");
    let request = request.body(body.to_string().into_bytes()).expect("a request");
    store.request::<Value>(request).await.expect("it is kept");
}

/// Puts the objects of a simulated cluster into the etcd of a real one, short of those that every API server makes for itself; what
/// was put.
async fn restore(sim: &Sim, server: &Server) -> BTreeMap<String, Value> {
    let (client, store) = (server.client(), server.store());
    let there = by_name(everything(&client).await);
    let before = taken::served(&client).await;
    let ours = |object: &Value| {
        let managers = object["metadata"]["managedFields"].as_array();
        managers.into_iter().flatten().any(|m| m["manager"].as_str().is_some_and(|name| name.starts_with("espalier")))
    };
    let mut all = everything(&sim.client_of("people")).await;
    all.retain(|(resource, object)| ours(object) || !there.contains_key(&format!("{} {}", resource.group, name_of(object))));
    let mut defined = false;
    for (resource, object) in &all {
        if resource.kind != "CustomResourceDefinition" && !defined {
            taken::established(&client, before.clone()).await;
            defined = true;
        }
        let mut kept = object.clone();
        kept["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
        put(&store, &key(resource, object), &kept).await;
    }
    by_name(all)
}

/// Paths at which two values differ.
fn differences(path: &str, one: &Value, other: &Value, out: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{path}/{key}"), &of(a), &of(b), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(n, (a, b))| differences(&format!("{path}/{n}"), a, b, out));
        }
        _ if one == other || path == "/metadata/resourceVersion" => {}
        _ => out.push(format!("{path}: {one} is {other}")),
    }
}

/// One pass of espalier over real clusters, with clients of its own for each.
async fn pass(fleet: &Fleet, clients: &BTreeMap<Target, kube::Client>) -> Ended {
    let clients = clients.clone();
    let connect = move |target: Target| {
        let client = clients.get(&target).cloned().ok_or_else(|| format!("no cluster {target}"));
        async move { client }.boxed()
    };
    fleet.pass_with(|options| options.connect = Box::new(move |target, _| connect(target))).await
}

/// What there is in clusters.
async fn all(servers: &BTreeMap<Target, Server>) -> BTreeMap<Target, BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for (target, server) in servers {
        all.insert(target.clone(), by_name(everything(&server.client()).await));
    }
    all
}

/// Objects that came, went, or were written since.
async fn written(server: &Server, before: &BTreeMap<String, Value>) -> Vec<String> {
    let now = by_name(everything(&server.client()).await);
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let same = |name: &String| before.get(name).map(version) == now.get(name).map(version);
    // A lease says who is at work.
    let at_work = |name: &String| name.starts_with("coordination.k8s.io ") || name.starts_with("apiregistration.k8s.io ");
    names.into_iter().filter(|name| !same(name) && !at_work(name)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "figures")]
async fn a_settled_landscape_is_settled_on_real_servers_too() {
    let Some(assets) = assets() else { return };
    let fleet = Fleet::local(&["api", "mini", "winter"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let (mut servers, mut clients, mut count) = (BTreeMap::new(), BTreeMap::new(), 0);
    for (target, sim) in &fleet.sims {
        let server = Server::start(&assets).await;
        let put = restore(sim, &server).await;
        count += put.len();
        let shown = by_name(everything(&server.client()).await);
        let mut wrong = Vec::new();
        for (name, object) in &put {
            let mut different = Vec::new();
            match shown.get(name) {
                Some(shown) => differences("", object, shown, &mut different),
                None => different.push("is not there".to_owned()),
            }
            wrong.extend(different.into_iter().map(|line| format!("{target} {name} {line}")));
        }
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
        clients.insert(target.clone(), roles::enter(&server, target).await);
        servers.insert(target.clone(), server);
    }
    let before = all(&servers).await;
    assert_eq!(explain(&pass(&fleet, &clients).await), "", "everything is ready");
    for (target, server) in &servers {
        // The real servers are of another version, which seeds tell.
        let told: &[&str] = match target {
            Target::Garden => &["core.gardener.cloud Seed /aws-eu1", "core.gardener.cloud Seed /aws-us1"],
            Target::Seed(_) => &[],
        };
        assert_eq!(written(server, &before[target]).await, told, "{target}");
    }
    let before = all(&servers).await;
    assert_eq!(explain(&pass(&fleet, &clients).await), "", "everything is ready");
    for (target, server) in &servers {
        assert_eq!(written(server, &before[target]).await, Vec::<String>::new(), "{target}");
    }
    println!("{count} objects restored into {} real clusters, 0 written by a pass", servers.len());

    let (target, name) = (Target::Seed("aws-eu1".into()), "networking.k8s.io NetworkPolicy shoot--shop--mini/deny-all");
    let path = "/apis/networking.k8s.io/v1/namespaces/shoot--shop--mini/networkpolicies/deny-all";
    let server = &servers[&target];
    assert!(before[&target].contains_key(name), "{:?}", before[&target].keys());
    let delete = http::Request::delete(path).body(Vec::new()).expect("a request");
    server.client().request::<Value>(delete).await.expect("deleted");
    assert_eq!(explain(&pass(&fleet, &clients).await), "", "everything is ready");
    for (target, server) in &servers {
        let expected = match target {
            // How far the shoot is goes into its status.
            Target::Garden => vec!["core.gardener.cloud Shoot garden-shop/mini"],
            Target::Seed(seed) if seed == "aws-eu1" => vec![name],
            Target::Seed(_) => Vec::new(),
        };
        assert_eq!(written(server, &before[target]).await, expected, "{target}");
    }
}
