//! The simulated controllers, seen through a `kube::Client` as the program sees them. Time is tokio's, paused.

use std::time::Duration;

use espalier::sim::{Delays, Options, Sim};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const NAMESPACE: &str = "shoot--demo--tree";
const FAIL: &str = "sim.espalier.dev/fail";

struct Seed {
    sim: Sim,
}

impl Seed {
    /// A seed with the engines' kinds and the namespace, Cluster and credentials of one shoot.
    async fn open(delays: Delays) -> Self {
        Self::furnished(options(delays, None)).await
    }

    async fn furnished(options: Options) -> Self {
        let seed = Self { sim: Sim::open(options).expect("an empty cluster opens") };
        for (group, kind, plural, scope) in [
            ("extensions.gardener.cloud", "Cluster", "clusters", "Cluster"),
            ("extensions.gardener.cloud", "Infrastructure", "infrastructures", "Namespaced"),
            ("extensions.gardener.cloud", "ControlPlane", "controlplanes", "Namespaced"),
            ("extensions.gardener.cloud", "OperatingSystemConfig", "operatingsystemconfigs", "Namespaced"),
            ("extensions.gardener.cloud", "Worker", "workers", "Namespaced"),
            ("extensions.gardener.cloud", "DNSRecord", "dnsrecords", "Namespaced"),
            ("extensions.gardener.cloud", "BackupEntry", "backupentries", "Cluster"),
            ("druid.gardener.cloud", "Etcd", "etcds", "Namespaced"),
            ("resources.gardener.cloud", "ManagedResource", "managedresources", "Namespaced"),
            ("machine.sapcloud.io", "MachineClass", "machineclasses", "Namespaced"),
            ("machine.sapcloud.io", "MachineDeployment", "machinedeployments", "Namespaced"),
            ("machine.sapcloud.io", "MachineSet", "machinesets", "Namespaced"),
            ("machine.sapcloud.io", "Machine", "machines", "Namespaced"),
        ] {
            seed.define(group, kind, plural, scope).await;
        }
        for (name, labels) in [("garden", json!({})), (NAMESPACE, json!({"gardener.cloud/role": "shoot"}))] {
            seed.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})).await;
        }
        seed.cluster(
            json!({"networking": {"pods": "100.64.0.0/12", "services": "100.104.0.0/13"}, "kubernetes": {"version": "1.34.2"}}),
        )
        .await;
        seed.create(secret("cloudprovider", json!({"key": "c2VjcmV0"}))).await;
        seed
    }

    async fn define(&self, group: &str, kind: &str, plural: &str, scope: &str) {
        let singular = kind.to_ascii_lowercase();
        self.create(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": scope, "names": {"kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List")},
                "versions": [{
                    "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }],
            },
        }))
        .await;
    }

    /// Writes the Cluster object with a shoot of this spec.
    async fn cluster(&self, spec: Value) {
        let cluster = json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Cluster", "metadata": {"name": NAMESPACE},
            "spec": {"shoot": {"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "metadata": {"name": "tree"}, "spec": spec}},
        });
        let parameters = PatchParams::apply("test").force();
        self.api(&cluster).patch(NAMESPACE, &parameters, &Patch::Apply(&cluster)).await.expect("a Cluster is applied");
    }

    /// The API of the kind and namespace of a manifest.
    fn api(&self, manifest: &Value) -> Api<DynamicObject> {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", text("/apiVersion")));
        let kind = GroupVersionKind::gvk(group, version, text("/kind"));
        let plural = match kind.kind.as_str() {
            "Infrastructure" => "infrastructures".to_owned(),
            "BackupEntry" => "backupentries".to_owned(),
            "MachineClass" => "machineclasses".to_owned(),
            other => format!("{}s", other.to_ascii_lowercase()),
        };
        let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
        match text("/metadata/namespace") {
            "" => Api::all_with(self.sim.client(), &resource),
            namespace => Api::namespaced_with(self.sim.client(), namespace, &resource),
        }
    }

    async fn create(&self, manifest: Value) {
        let object: DynamicObject = serde_json::from_value(manifest.clone()).expect("a manifest");
        self.api(&manifest).create(&PostParams::default(), &object).await.expect("created");
    }

    async fn merge(&self, manifest: &Value, patch: Value) {
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str).expect("a name");
        self.api(manifest).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    }

    async fn delete(&self, manifest: &Value) {
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str).expect("a name");
        self.api(manifest).delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    async fn get(&self, manifest: &Value) -> Option<Value> {
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str).expect("a name");
        let object = self.api(manifest).get_opt(name).await.expect("readable")?;
        Some(serde_json::to_value(object).expect("an object is JSON"))
    }

    async fn list(&self, api_version: &str, kind: &str) -> Vec<Value> {
        let manifest = manifest(api_version, kind, "", json!({}));
        let list = self.api(&manifest).list(&kube::api::ListParams::default()).await.expect("listable");
        list.items.into_iter().map(|o| serde_json::to_value(o).expect("an object is JSON")).collect()
    }

    /// Waits until the object satisfies the condition, and gives back every distinct status on the way.
    async fn until(&self, manifest: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen: Vec<Value> = Vec::new();
        for _ in 0..20_000 {
            let object = self.get(manifest).await.unwrap_or_default();
            let status = object.get("status").cloned().unwrap_or_default();
            if seen.last() != Some(&status) {
                seen.push(status);
            }
            if holds(&object) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never {what}: {:#}", self.get(manifest).await.unwrap_or_default());
    }

    /// Asks an engine to act, as the contract wants it.
    async fn ask(&self, manifest: &Value) {
        self.merge(manifest, json!({"metadata": {"annotations": {"gardener.cloud/operation": "reconcile", "gardener.cloud/timestamp": "2026-11-21T10:00:00.5Z"}}})).await;
    }

    /// Lets time pass.
    async fn rest(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

fn options(delays: Delays, state: Option<std::path::PathBuf>) -> Options {
    let start = "2026-11-21T10:00:00Z".parse().expect("a timestamp");
    Options { name: "seed".into(), state, seed: 7, actors: true, garden: false, delays, start }
}

fn manifest(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

fn extension(kind: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["type"] = json!("local");
    spec["secretRef"] = json!({"name": "cloudprovider", "namespace": NAMESPACE});
    manifest("extensions.gardener.cloud/v1alpha1", kind, "tree", spec)
}

fn secret(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
}

fn deployment(name: &str, replicas: i64) -> Value {
    let labels = json!({"app": name});
    let containers = json!([{"name": name, "image": "registry.example/app:1"}]);
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    manifest(
        "apps/v1",
        "Deployment",
        name,
        json!({"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}),
    )
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn int(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().find(|c| text(c, "/type") == kind).map_or("", |c| text(c, "/status"))
}

fn operation_is(kind: &'static str, state: &'static str) -> impl Fn(&Value) -> bool {
    move |object| text(object, "/status/lastOperation/type") == kind && text(object, "/status/lastOperation/state") == state
}

/// The states of the last operation in the order in which they were seen.
fn states(statuses: &[Value]) -> Vec<&str> {
    let mut states: Vec<&str> = statuses.iter().map(|s| text(s, "/lastOperation/state")).collect();
    states.dedup();
    states
}

fn rolled_out(replicas: i64) -> impl Fn(&Value) -> bool {
    move |d| {
        int(d, "/status/availableReplicas") == replicas
            && int(d, "/status/updatedReplicas") == replicas
            && int(d, "/status/observedGeneration") == int(d, "/metadata/generation")
            && condition(d, "Progressing") == "True"
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_rolls_out_and_rolls_on() {
    let seed = Seed::open(Delays::Short).await;
    let scheduler = deployment("kube-scheduler", 2);
    seed.create(scheduler.clone()).await;
    let seen = seed.until(&scheduler, "rolled out", rolled_out(2)).await;
    assert!(seen.iter().any(|s| int(s, "/unavailableReplicas") == 2), "not ready at first: {seen:?}");
    let sets = seed.list("apps/v1", "ReplicaSet").await;
    assert_eq!(sets.len(), 1);
    assert_eq!(text(&sets[0], "/metadata/ownerReferences/0/name"), "kube-scheduler");

    seed.merge(&scheduler, json!({"spec": {"template": {"metadata": {"annotations": {"checksum": "2"}}}}})).await;
    let done = |d: &Value| rolled_out(2)(d) && text(d, "/metadata/annotations/deployment.kubernetes.io~1revision") == "2";
    let seen = seed.until(&scheduler, "rolled on", |d| done(d) && seed_is_new(d)).await;
    assert!(seen.iter().all(|s| int(s, "/availableReplicas") == 2), "the former pods serve meanwhile: {seen:?}");
    let mut numbers: Vec<i64> = seed.list("apps/v1", "ReplicaSet").await.iter().map(|s| int(s, "/spec/replicas")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 2]);
}

fn seed_is_new(deployment: &Value) -> bool {
    let conditions = deployment.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| text(c, "/reason") == "NewReplicaSetAvailable")
}

#[tokio::test(start_paused = true)]
async fn an_extension_keeps_the_handshake() {
    let seed = Seed::open(Delays::Short).await;
    let infrastructure =
        extension("Infrastructure", json!({"region": "north", "providerConfig": {"networks": {"workers": "10.180.0.0/16"}}}));
    seed.create(infrastructure.clone()).await;
    let seen = seed.until(&infrastructure, "created", operation_is("Create", "Succeeded")).await;
    assert_eq!(states(&seen).into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>(), ["Processing", "Succeeded"]);
    let object = seed.get(&infrastructure).await.expect("there");
    assert_eq!(object.pointer("/metadata/finalizers"), Some(&json!(["extensions.gardener.cloud/infrastructure"])));
    assert_eq!(text(&object, "/status/nodesCIDR"), "10.180.0.0/16");
    assert_eq!(object.pointer("/status/networking/pods"), Some(&json!(["100.64.0.0/12"])));

    // A change of the spec alone moves nothing.
    seed.merge(&infrastructure, json!({"spec": {"region": "south"}})).await;
    seed.rest(600).await;
    let object = seed.get(&infrastructure).await.expect("there");
    assert_eq!((int(&object, "/metadata/generation"), int(&object, "/status/observedGeneration")), (2, 1));

    seed.ask(&infrastructure).await;
    let seen = seed.until(&infrastructure, "reconciled", operation_is("Reconcile", "Succeeded")).await;
    assert_eq!(states(&seen)[states(&seen).len() - 2..], ["Processing", "Succeeded"]);
    let object = seed.get(&infrastructure).await.expect("there");
    assert_eq!(int(&object, "/status/observedGeneration"), 2);
    assert_eq!(object.pointer("/metadata/annotations/gardener.cloud~1operation"), None);
    assert_eq!(int(&object, "/status/lastOperation/progress"), 100);
}

#[tokio::test(start_paused = true)]
async fn an_extension_goes_only_when_that_is_confirmed() {
    let seed = Seed::open(Delays::None).await;
    let plane = extension("ControlPlane", json!({"region": "north"}));
    seed.create(plane.clone()).await;
    seed.until(&plane, "created", operation_is("Create", "Succeeded")).await;
    let manager = deployment("cloud-controller-manager", 1);
    seed.until(&manager, "rolled out", rolled_out(1)).await;

    seed.delete(&plane).await;
    seed.until(&plane, "held", operation_is("Delete", "Error")).await;
    seed.merge(&plane, json!({"metadata": {"annotations": {"confirmation.gardener.cloud/deletion": "true"}}})).await;
    seed.until(&plane, "gone", Value::is_null).await;
    assert_eq!(seed.get(&manager).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_extension_fails_as_asked_for() {
    let seed = Seed::open(Delays::Short).await;
    let mut infrastructure = extension("Infrastructure", json!({"region": "north"}));
    infrastructure["metadata"]["annotations"] = json!({FAIL: "error:ERR_INFRA_QUOTA_EXCEEDED"});
    seed.create(infrastructure.clone()).await;
    seed.until(&infrastructure, "failed", operation_is("Create", "Error")).await;
    let object = seed.get(&infrastructure).await.expect("there");
    assert_eq!(object.pointer("/status/lastError/codes"), Some(&json!(["ERR_INFRA_QUOTA_EXCEEDED"])));
    assert_eq!(int(&object, "/status/observedGeneration"), 1);
    seed.merge(&infrastructure, json!({"metadata": {"annotations": {FAIL: null}}})).await;
    seed.until(&infrastructure, "healed", operation_is("Create", "Succeeded")).await;
    assert_eq!(seed.get(&infrastructure).await.expect("there").pointer("/status/lastError"), None);

    seed.merge(&infrastructure, json!({"metadata": {"annotations": {FAIL: "stuck"}}})).await;
    seed.ask(&infrastructure).await;
    seed.rest(3600).await;
    assert!(operation_is("Reconcile", "Processing")(&seed.get(&infrastructure).await.expect("there")));

    seed.merge(&infrastructure, json!({"metadata": {"annotations": {FAIL: "flapping"}}})).await;
    for _ in 0..2 {
        seed.until(&infrastructure, "down", operation_is("Reconcile", "Error")).await;
        seed.until(&infrastructure, "up", operation_is("Reconcile", "Succeeded")).await;
    }

    seed.merge(&infrastructure, json!({"metadata": {"annotations": {FAIL: "lost-handshake"}}})).await;
    let before = seed.get(&infrastructure).await.expect("there");
    seed.ask(&infrastructure).await;
    seed.rest(60).await;
    let object = seed.get(&infrastructure).await.expect("there");
    assert_eq!(object.pointer("/metadata/annotations/gardener.cloud~1operation"), None);
    assert_eq!(text(&object, "/status/lastOperation/lastUpdateTime"), text(&before, "/status/lastOperation/lastUpdateTime"));
}

#[tokio::test(start_paused = true)]
async fn rollouts_fail_as_asked_for() {
    let seed = Seed::open(Delays::Short).await;
    let mut stuck = deployment("stuck", 1);
    stuck["metadata"]["annotations"] = json!({FAIL: "stuck"});
    let mut failing = deployment("failing", 1);
    failing["metadata"]["annotations"] = json!({FAIL: "error:ImagePullBackOff"});
    let mut flapping = deployment("flapping", 1);
    flapping["metadata"]["annotations"] = json!({FAIL: "flapping"});
    for manifest in [&stuck, &failing, &flapping] {
        seed.create(manifest.clone()).await;
    }
    seed.until(&failing, "failed", |d| condition(d, "Progressing") == "False").await;
    for _ in 0..2 {
        seed.until(&flapping, "up", |d| condition(d, "Available") == "True").await;
        seed.until(&flapping, "down", |d| condition(d, "Available") == "False").await;
    }
    seed.rest(3600).await;
    let object = seed.get(&stuck).await.expect("there");
    assert_eq!((condition(&object, "Available"), condition(&object, "Progressing")), ("False", "True"));
    seed.merge(&stuck, json!({"metadata": {"annotations": {FAIL: null}}})).await;
    seed.until(&stuck, "rolled out", rolled_out(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_etcd_becomes_ready_only_when_asked_and_passes_its_labels_on() {
    let seed = Seed::open(Delays::Short).await;
    let mut etcd = manifest(
        "druid.gardener.cloud/v1alpha1",
        "Etcd",
        "etcd-main",
        json!({
            "replicas": 3, "labels": {"app": "etcd-statefulset"}, "etcd": {"quota": "8Gi"}, "backup": {"store": {"secretRef": {"name": "etcd-backup"}}},
        }),
    );
    etcd["metadata"]["labels"] = json!({"espalier.dev/owner": "shoot.demo.tree"});
    seed.create(etcd.clone()).await;
    seed.rest(600).await;
    assert_eq!(seed.get(&etcd).await.expect("there").pointer("/status"), None, "druid acts on the annotation only");

    seed.create(secret("etcd-backup", json!({"bucketName": "Yg=="}))).await;
    seed.ask(&etcd).await;
    seed.until(&etcd, "ready", |e| e.pointer("/status/ready") == Some(&json!(true))).await;
    let object = seed.get(&etcd).await.expect("there");
    assert_eq!(int(&object, "/status/observedGeneration"), 1);
    for kind in ["Ready", "AllMembersReady", "AllMembersUpdated", "BackupReady"] {
        assert_eq!(condition(&object, kind), "True", "{kind}");
    }
    let set = seed.get(&manifest("apps/v1", "StatefulSet", "etcd-main", json!({}))).await.expect("made by druid");
    assert_eq!(text(&set, "/metadata/labels/espalier.dev~1owner"), "shoot.demo.tree");
    assert_eq!(set.pointer("/metadata/ownerReferences/0/controller"), Some(&json!(true)));

    seed.merge(&etcd, json!({"metadata": {"annotations": {"confirmation.gardener.cloud/deletion": "true"}}})).await;
    seed.delete(&etcd).await;
    seed.until(&etcd, "gone", Value::is_null).await;
    assert_eq!(seed.list("apps/v1", "StatefulSet").await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_worker_gets_its_machines() {
    let seed = Seed::open(Delays::Short).await;
    let osc = manifest(
        "extensions.gardener.cloud/v1alpha1",
        "OperatingSystemConfig",
        "pool-init",
        json!({
            "type": "local", "purpose": "provision", "files": [], "units": [{"name": "init.service", "content": "[Unit]"}],
        }),
    );
    seed.create(osc.clone()).await;
    seed.until(&osc, "translated", operation_is("Create", "Succeeded")).await;
    let user_data = text(&seed.get(&osc).await.expect("there"), "/status/cloudConfig/secretRef/name").to_owned();
    let worker = extension(
        "Worker",
        json!({"region": "north", "pools": [{
            "name": "pool", "minimum": 3, "maximum": 5, "maxSurge": 1, "maxUnavailable": 0, "machineType": "m", "zones": ["a", "b"],
            "nodeAgentSecretName": "gardener-node-agent-pool-1", "userDataSecretRef": {"name": user_data, "key": "cloud_config"},
        }]}),
    );
    seed.create(worker.clone()).await;
    let listed = |w: &Value| w.pointer("/status/machineDeployments").and_then(Value::as_array).map_or(0, Vec::len) == 2;
    seed.until(&worker, "listed its deployments early", |w| listed(w) && operation_is("Create", "Processing")(w)).await;
    // No machine without the manager that makes them.
    seed.rest(60).await;
    assert_eq!(seed.list("machine.sapcloud.io/v1alpha1", "Machine").await, Vec::<Value>::new());
    seed.create(deployment("machine-controller-manager", 1)).await;
    seed.until(&worker, "created", operation_is("Create", "Succeeded")).await;
    let machines = seed.list("machine.sapcloud.io/v1alpha1", "Machine").await;
    assert_eq!(machines.len(), 3);
    assert!(machines.iter().all(|m| text(m, "/status/currentStatus/phase") == "Running"));
    let first = manifest("machine.sapcloud.io/v1alpha1", "MachineDeployment", "shoot--demo--tree-pool-z1", json!({}));
    assert_eq!(int(&seed.get(&first).await.expect("there"), "/spec/replicas"), 2);

    // A new key of the node configuration rolls the nodes; a number within the bounds is left alone.
    seed.merge(&first, json!({"spec": {"replicas": 3}})).await;
    let before = text(&seed.get(&worker).await.expect("there"), "/status/machineDeploymentsLastUpdateTime").to_owned();
    let mut pools = worker["spec"]["pools"].clone();
    pools[0]["nodeAgentSecretName"] = json!("gardener-node-agent-pool-2");
    seed.merge(&worker, json!({"spec": {"pools": pools}})).await;
    seed.ask(&worker).await;
    seed.until(&worker, "reconciled", operation_is("Reconcile", "Succeeded")).await;
    assert_ne!(text(&seed.get(&worker).await.expect("there"), "/status/machineDeploymentsLastUpdateTime"), before);
    let rolled = seed.list("machine.sapcloud.io/v1alpha1", "Machine").await;
    assert_eq!(rolled.len(), 4);
    assert!(rolled.iter().all(|m| machines.iter().all(|old| text(old, "/metadata/name") != text(m, "/metadata/name"))));

    // Hibernation takes them all, and the manager after them.
    seed.cluster(json!({"hibernation": {"enabled": true}})).await;
    seed.ask(&worker).await;
    seed.until(&deployment("machine-controller-manager", 0), "scaled down", |d| int(d, "/spec/replicas") == 0).await;
    assert_eq!(seed.list("machine.sapcloud.io/v1alpha1", "Machine").await, Vec::<Value>::new());

    seed.merge(&worker, json!({"metadata": {"annotations": {"confirmation.gardener.cloud/deletion": "true"}}})).await;
    seed.delete(&worker).await;
    seed.until(&worker, "gone", Value::is_null).await;
    for kind in ["MachineDeployment", "MachineSet", "MachineClass"] {
        assert_eq!(seed.list("machine.sapcloud.io/v1alpha1", kind).await, Vec::<Value>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn endpoint_slices_carry_labels_that_prove_nothing() {
    let seed = Seed::open(Delays::None).await;
    let mut service =
        manifest("v1", "Service", "kube-apiserver", json!({"selector": {"app": "kubernetes"}, "ports": [{"port": 443}]}));
    service["metadata"]["labels"] = json!({"espalier.dev/owner": "shoot.demo.tree"});
    service["metadata"]["annotations"] =
        json!({"espalier.dev/tracking": "shoot.demo.tree;/Service/shoot--demo--tree/kube-apiserver"});
    seed.create(service.clone()).await;
    seed.rest(1).await;
    let slices = seed.list("discovery.k8s.io/v1", "EndpointSlice").await;
    assert_eq!(slices.len(), 1);
    assert_eq!(text(&slices[0], "/metadata/labels/espalier.dev~1owner"), "shoot.demo.tree");
    assert_eq!(text(&slices[0], "/metadata/labels/kubernetes.io~1service-name"), "kube-apiserver");
    assert_eq!(slices[0].pointer("/metadata/ownerReferences/0/controller"), Some(&json!(true)));
    assert_eq!(slices[0].pointer("/metadata/annotations/espalier.dev~1tracking"), None);

    seed.delete(&service).await;
    seed.rest(1).await;
    assert_eq!(seed.list("discovery.k8s.io/v1", "EndpointSlice").await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn what_belongs_into_the_shoot_waits_for_its_resource_manager() {
    let seed = Seed::open(Delays::Short).await;
    let documents = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: coredns\n  namespace: kube-system\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: dns}\n";
    seed.create(secret("managedresource-dns-1", json!({"data.yaml": base64(documents)}))).await;
    let resource = manifest(
        "resources.gardener.cloud/v1alpha1",
        "ManagedResource",
        "dns",
        json!({"secretRefs": [{"name": "managedresource-dns-1"}]}),
    );
    seed.create(resource.clone()).await;
    let mut token = secret("shoot-access-x", json!({}));
    token["metadata"]["labels"] =
        json!({"resources.gardener.cloud/purpose": "token-requestor", "resources.gardener.cloud/class": "shoot"});
    seed.create(token.clone()).await;
    seed.rest(600).await;
    assert_eq!(seed.get(&resource).await.expect("there").pointer("/status"), None);
    assert_eq!(seed.get(&token).await.expect("there").pointer("/data/token"), None);

    seed.create(deployment("gardener-resource-manager", 1)).await;
    seed.until(&resource, "healthy", |r| condition(r, "ResourcesHealthy") == "True").await;
    let object = seed.get(&resource).await.expect("there");
    assert_eq!(condition(&object, "ResourcesApplied"), "True");
    assert_eq!(condition(&object, "ResourcesProgressing"), "False");
    assert_eq!(object.pointer("/status/resources").and_then(Value::as_array).map(Vec::len), Some(2));
    seed.until(&token, "filled", |s| s.pointer("/data/token").is_some()).await;

    // A Secret stays until the ManagedResource refers to another one.
    let other = secret("managedresource-dns-2", json!({"data.yaml": base64(documents)}));
    seed.create(other.clone()).await;
    let data = secret("managedresource-dns-1", json!({}));
    seed.delete(&data).await;
    seed.rest(60).await;
    assert!(seed.get(&data).await.is_some());
    seed.merge(&resource, json!({"spec": {"secretRefs": [{"name": "managedresource-dns-2"}]}})).await;
    seed.until(&data, "gone", Value::is_null).await;
    seed.create(data.clone()).await;
    seed.merge(&resource, json!({"spec": {"secretRefs": [{"name": "managedresource-dns-1"}]}})).await;
    seed.until(&resource, "healthy", |r| condition(r, "ResourcesHealthy") == "True").await;

    // The Secret stays until the ManagedResource is gone.
    let data = secret("managedresource-dns-1", json!({}));
    seed.delete(&data).await;
    seed.rest(60).await;
    assert!(seed.get(&data).await.is_some());
    seed.delete(&resource).await;
    seed.until(&resource, "gone", Value::is_null).await;
    seed.until(&data, "gone", Value::is_null).await;

    seed.create(secret("managedresource-bad", json!({"data.yaml": base64("kind: [")}))).await;
    let bad = manifest(
        "resources.gardener.cloud/v1alpha1",
        "ManagedResource",
        "bad",
        json!({"secretRefs": [{"name": "managedresource-bad"}]}),
    );
    seed.create(bad.clone()).await;
    seed.until(&bad, "refused", |r| condition(r, "ResourcesApplied") == "False").await;
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(start_paused = true)]
async fn autoscalers_addresses_records_and_backups() {
    let seed = Seed::open(Delays::Short).await;
    let server = deployment("kube-apiserver", 1);
    seed.create(server.clone()).await;
    seed.create(manifest("autoscaling/v2", "HorizontalPodAutoscaler", "kube-apiserver", json!({
        "minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kube-apiserver"},
    })))
    .await;
    seed.until(&server, "scaled up", rolled_out(2)).await;

    let gateway = manifest(
        "v1",
        "Service",
        "gateway",
        json!({"type": "LoadBalancer", "selector": {"app": "gateway"}, "ports": [{"port": 443}]}),
    );
    seed.create(gateway.clone()).await;
    seed.until(&gateway, "addressed", |s| !text(s, "/status/loadBalancer/ingress/0/ip").is_empty()).await;
    let address = text(&seed.get(&gateway).await.expect("there"), "/status/loadBalancer/ingress/0/ip").to_owned();

    let record = extension("DNSRecord", json!({"name": "api.tree.demo.example.com", "recordType": "A", "values": [address]}));
    seed.create(record.clone()).await;
    seed.until(&record, "created", |r| text(r, "/status/zone") == "example.com" && condition(r, "Created") == "True").await;

    let mut entry = extension("BackupEntry", json!({"bucketName": "bucket"}));
    entry["metadata"] = json!({"name": format!("{NAMESPACE}--1234-5678")});
    seed.create(entry.clone()).await;
    seed.until(&entry, "created", operation_is("Create", "Succeeded")).await;
    let backup = seed.get(&secret("etcd-backup", json!({}))).await.expect("written by the entry");
    assert_eq!(text(&backup, "/data/bucketName"), base64("bucket"));
    assert_eq!(text(&backup, "/data/key"), "c2VjcmV0");
}

#[tokio::test(start_paused = true)]
async fn operators_run_what_gathers_and_keeps_logs() {
    let seed = Seed::open(Delays::Short).await;
    let gathers = ["fluentbit.fluent.io", "opentelemetry.io", "operator.victoriametrics.com"];
    for definition in espalier::render::crd::engines().into_iter().filter(|d| gathers.contains(&text(d, "/spec/group"))) {
        seed.create(definition).await;
    }
    seed.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})).await;

    let mut bit = manifest(
        "fluentbit.fluent.io/v1alpha2",
        "FluentBit",
        "fluent-bit-1",
        json!({"image": "example.org/fluent-bit:v4", "ports": [{"name": "more", "containerPort": 2021}], "service": {"name": "fluent-bit", "annotations": {"a": "b"}}}),
    );
    bit["metadata"]["labels"] = json!({"app": "fluent-bit"});
    seed.create(bit.clone()).await;
    let set = manifest("apps/v1", "DaemonSet", "fluent-bit-1", json!({}));
    seed.until(&set, "on every node", |s| int(s, "/status/numberReady") == 1).await;
    let set = seed.get(&set).await.expect("there");
    assert_eq!(text(&set, "/spec/template/spec/containers/0/image"), "example.org/fluent-bit:v4");
    let service = seed.get(&manifest("v1", "Service", "fluent-bit", json!({}))).await.expect("there");
    assert_eq!((int(&service, "/spec/ports/0/port"), int(&service, "/spec/ports/1/port")), (2020, 2021));
    assert_eq!(text(&service, "/metadata/annotations/a"), "b");
    seed.delete(&bit).await;
    seed.rest(5).await;
    assert!(seed.get(&manifest("apps/v1", "DaemonSet", "fluent-bit-1", json!({}))).await.is_none(), "it goes with its owner");

    let collector = manifest(
        "opentelemetry.io/v1beta1",
        "OpenTelemetryCollector",
        "logs",
        json!({"mode": "deployment", "replicas": 2, "image": "example.org/collector:v1"}),
    );
    seed.create(collector.clone()).await;
    seed.until(&collector, "running", |c| text(c, "/status/scale/statusReplicas") == "2/2").await;
    for name in ["logs-collector", "logs-collector-monitoring"] {
        assert!(seed.get(&manifest("v1", "Service", name, json!({}))).await.is_some(), "{name}");
    }
    seed.merge(&collector, json!({"spec": {"replicas": 1}})).await;
    seed.until(&collector, "smaller", |c| text(c, "/status/scale/statusReplicas") == "1/1").await;

    let logs = manifest(
        "operator.victoriametrics.com/v1",
        "VLSingle",
        "logs",
        json!({
            "image": {"repository": "example.org/logs", "tag": "v1"}, "replicaCount": 1, "port": "9428",
            "podMetadata": {"labels": {"app": "logs"}}, "serviceSpec": {"metadata": {"name": "logging"}, "spec": {}},
            "managedMetadata": {"annotations": {"a": "b"}},
        }),
    );
    seed.create(logs.clone()).await;
    seed.until(&logs, "running", |l| text(l, "/status/updateStatus") == "operational").await;
    let made = seed.get(&manifest("apps/v1", "Deployment", "vlsingle-logs", json!({}))).await.expect("there");
    assert_eq!(text(&made, "/spec/template/spec/containers/0/image"), "example.org/logs:v1");
    assert_eq!(text(&made, "/spec/template/metadata/labels/app"), "logs");
    for name in ["vlsingle-logs", "logging"] {
        let service = seed.get(&manifest("v1", "Service", name, json!({}))).await.expect("there");
        assert_eq!((int(&service, "/spec/ports/0/port"), text(&service, "/metadata/annotations/a")), (9428, "b"));
    }
    seed.merge(&logs, json!({"spec": {"replicaCount": 0}})).await;
    let made = manifest("apps/v1", "Deployment", "vlsingle-logs", json!({}));
    seed.until(&made, "asleep", |d| int(d, "/spec/replicas") == 0 && int(d, "/status/replicas") == 0).await;
    seed.delete(&logs).await;
    seed.rest(5).await;
    assert!(seed.get(&made).await.is_none(), "it goes with its owner");
}

#[tokio::test(start_paused = true)]
async fn controllers_that_start_again_find_nothing_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = Some(folder.path().join("seed.redb"));
    let seed = Seed::furnished(options(Delays::Short, state.clone())).await;
    let etcd = manifest("druid.gardener.cloud/v1alpha1", "Etcd", "etcd-events", json!({"replicas": 1}));
    let infrastructure = extension("Infrastructure", json!({"region": "north"}));
    let scheduler = deployment("kube-scheduler", 2);
    for manifest in [&etcd, &infrastructure, &scheduler] {
        seed.create(manifest.clone()).await;
        seed.ask(manifest).await;
    }
    seed.until(&etcd, "ready", |e| e.pointer("/status/ready") == Some(&json!(true))).await;
    // Asked while it was created or afterwards: either way it ends with an operation that succeeded.
    seed.until(&infrastructure, "settled", |i| text(i, "/status/lastOperation/state") == "Succeeded").await;
    seed.until(&scheduler, "rolled out", rolled_out(2)).await;
    seed.rest(60).await;
    seed.sim.close().await;

    let again = Seed { sim: Sim::open(options(Delays::Short, state)).expect("a kept cluster opens") };
    let before = again.sim.counters().commits;
    again.rest(600).await;
    assert_eq!(again.sim.counters().commits, before);
    again.until(&scheduler, "still there", rolled_out(2)).await;
    again.sim.close().await;
}
