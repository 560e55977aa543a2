//! Conformance of an API server, written against `kube::Client` and nothing else, so that the same cases run against a real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use espalier::sim::{Matching, Options, Rule, Sim};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ResourceQuota, Secret, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
    WatchEvent, WatchParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::fleet::{options, simulated};

fn client() -> Client {
    simulated("test").client()
}

fn make<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn map(name: &str, data: Value) -> ConfigMap {
    make(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}))
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "main", "image": "registry/x:1", "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}],
                    "env": [{"name": "A", "value": "1"}],
                }]},
            },
        },
    })
}

fn definition() -> CustomResourceDefinition {
    let parts = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
        "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "weight": {"type": "integer"}}},
    });
    let spec = json!({"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1},
        "replicas": {"type": "integer"},
        "colour": {"type": "string", "default": "red"},
        "port": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "parts": parts,
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "steps": {"type": "array", "items": {"type": "string"}},
    }});
    make(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                    "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
                },
                {"name": "v1beta1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
            ],
        },
    }))
}

fn widgets(client: &Client, version: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "example.org".into(),
        version: version.into(),
        api_version: format!("example.org/{version}"),
        kind: "Widget".into(),
        plural: "widgets".into(),
    };
    Api::namespaced_with(client.clone(), "default", &resource)
}

async fn with_widgets() -> (Client, Api<DynamicObject>) {
    let client = client();
    Api::all(client.clone()).create(&PostParams::default(), &definition()).await.unwrap();
    let api = widgets(&client, "v1");
    (client, api)
}

fn widget(name: &str, spec: Value) -> DynamicObject {
    make(json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> kube::core::Status {
    match result.unwrap_err() {
        kube::Error::Api(status) => *status,
        other => panic!("not a Status: {other:?}"),
    }
}

/// The fields of a manager, as paths.
fn owned(object: &impl ResourceExt, manager: &str, operation: &str) -> Vec<String> {
    fn walk(value: &Value, prefix: &str, out: &mut Vec<String>) {
        let Some(map) = value.as_object() else { return };
        if map.is_empty() {
            out.push(prefix.to_owned());
        }
        for (key, below) in map {
            if key == "." {
                out.push(prefix.to_owned());
            } else {
                walk(below, &format!("{prefix}/{key}"), out);
            }
        }
    }
    let mut out = Vec::new();
    for entry in object.managed_fields() {
        if entry.manager.as_deref() == Some(manager) && entry.operation.as_deref() == Some(operation) {
            walk(&entry.fields_v1.as_ref().unwrap().0, "", &mut out);
        }
    }
    out.sort();
    out
}

async fn apply(api: &Api<ConfigMap>, manager: &str, data: Value) -> Result<ConfigMap, kube::Error> {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    api.patch("a", &PatchParams::apply(manager), &Patch::Apply(body)).await
}

#[tokio::test]
async fn objects_are_created_read_updated_and_deleted() {
    let client = client();
    let api = maps(&client);
    let made = api.create(&PostParams::default(), &map("a", json!({"k": "1"}))).await.unwrap();
    assert!(made.uid().is_some() && made.resource_version().is_some() && made.creation_timestamp().is_some());
    assert_eq!(made.metadata.generation, None);
    let status = refused(api.create(&PostParams::default(), &map("a", json!({}))).await);
    assert_eq!(
        (status.code, status.reason.as_str(), status.message.as_str()),
        (409, "AlreadyExists", "configmaps \"a\" already exists")
    );
    let mut changed = api.get("a").await.unwrap();
    assert_eq!(changed, made);
    changed.data.as_mut().unwrap().insert("k".into(), "2".into());
    let updated = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(updated.resource_version(), made.resource_version());
    let status = refused(api.replace("a", &PostParams::default(), &changed).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(
        status.message.contains("the object has been modified; please apply your changes to the latest version and try again")
    );
    let same = api.replace("a", &PostParams::default(), &updated).await.unwrap();
    assert_eq!(same.resource_version(), updated.resource_version(), "an update that changes nothing is no write");
    api.delete("a", &DeleteParams::default()).await.unwrap().right().expect("a Status");
    let status = refused(api.get("a").await);
    assert_eq!((status.code, status.message.as_str()), (404, "configmaps \"a\" not found"));
}

#[tokio::test]
async fn names_are_generated_and_checked() {
    let api = maps(&client());
    let body: ConfigMap = make(json!({"metadata": {"generateName": "x-"}}));
    let (one, two) =
        (api.create(&PostParams::default(), &body).await.unwrap(), api.create(&PostParams::default(), &body).await.unwrap());
    assert!(one.name_any().starts_with("x-") && one.name_any().len() == 7 && one.name_any() != two.name_any());
    let status = refused(api.create(&PostParams::default(), &map("No_Good", json!({}))).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    let status =
        refused(Api::<ConfigMap>::namespaced(client(), "nowhere").create(&PostParams::default(), &map("a", json!({}))).await);
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"nowhere\" not found"));
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let api = maps(&client());
    let dry = PostParams { dry_run: true, field_manager: None };
    assert!(api.create(&dry, &map("a", json!({}))).await.unwrap().uid().is_some());
    assert_eq!(refused(api.get("a").await).code, 404);
    api.create(&PostParams::default(), &map("a", json!({}))).await.unwrap();
    api.delete("a", &DeleteParams { dry_run: true, ..DeleteParams::default() }).await.unwrap();
    let patch = PatchParams { dry_run: true, ..PatchParams::default() };
    let out = api.patch("a", &patch, &Patch::Merge(json!({"data": {"k": "v"}}))).await.unwrap();
    assert_eq!(out.data.unwrap()["k"], "v");
    assert!(api.get("a").await.unwrap().data.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn lists_are_ordered_selected_and_paged_consistently() {
    let api = maps(&client());
    for i in 0..7 {
        let mut object = map(&format!("m{i}"), json!({}));
        object.metadata.labels = Some(BTreeMap::from([("odd".into(), (i % 2 == 1).to_string()), ("n".into(), i.to_string())]));
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let names = |list: &kube::core::ObjectList<ConfigMap>| list.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
    for (selector, wanted) in [
        ("odd=true", vec!["m1", "m3", "m5"]),
        ("odd==true,n!=3", vec!["m1", "m5"]),
        ("n in (1, 2)", vec!["m1", "m2"]),
        ("n notin (0,1,2,3,4,5)", vec!["m6"]),
        ("odd,!other", vec!["m0", "m1", "m2", "m3", "m4", "m5", "m6"]),
    ] {
        assert_eq!(names(&api.list(&ListParams::default().labels(selector)).await.unwrap()), wanted, "{selector}");
    }
    assert_eq!(names(&api.list(&ListParams::default().fields("metadata.name=m2")).await.unwrap()), ["m2"]);
    let first = api.list(&ListParams::default().limit(3)).await.unwrap();
    assert_eq!(names(&first), ["m0", "m1", "m2"]);
    api.delete("m4", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &map("m31", json!({}))).await.unwrap();
    let second =
        api.list(&ListParams::default().limit(3).continue_token(first.metadata.continue_.as_ref().unwrap())).await.unwrap();
    assert_eq!(names(&second), ["m3", "m4", "m5"], "pages show the state of the first");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    let last =
        api.list(&ListParams::default().limit(3).continue_token(second.metadata.continue_.as_ref().unwrap())).await.unwrap();
    assert_eq!((names(&last), last.metadata.continue_), (vec!["m6".to_owned()], None));
}

#[tokio::test]
async fn an_expired_page_or_watch_is_gone() {
    let sim = simulated("test");
    let api = maps(&sim.client());
    for i in 0..3 {
        api.create(&PostParams::default(), &map(&format!("m{i}"), json!({}))).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(1)).await.unwrap();
    api.delete("m2", &DeleteParams::default()).await.unwrap();
    sim.compact();
    let next = ListParams::default().limit(1).continue_token(first.metadata.continue_.as_ref().unwrap());
    let status = refused(api.list(&next).await);
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    let watched = api.watch(&WatchParams::default(), first.metadata.resource_version.as_ref().unwrap()).await;
    let gone = match watched {
        Err(kube::Error::Api(status)) => status.code,
        Ok(stream) => match Box::pin(stream).next().await {
            Some(Ok(WatchEvent::Error(status))) => status.code,
            other => panic!("{other:?}"),
        },
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(gone, 410);
}

#[tokio::test]
async fn watches_tell_what_happens_from_a_version_on() {
    let api = maps(&client());
    let from = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let all = Box::pin(api.watch(&WatchParams::default(), &from).await.unwrap());
    let some = Box::pin(api.watch(&WatchParams::default().labels("x=1"), &from).await.unwrap());
    api.create(&PostParams::default(), &map("a", json!({}))).await.unwrap();
    let merge = |patch: Value| {
        let api = api.clone();
        async move { api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap() }
    };
    merge(json!({"metadata": {"labels": {"x": "1"}}})).await;
    merge(json!({"data": {"k": "v"}})).await;
    merge(json!({"metadata": {"labels": {"x": null}}})).await;
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let word = |event: WatchEvent<ConfigMap>| match event {
        WatchEvent::Added(_) => "added",
        WatchEvent::Modified(_) => "modified",
        WatchEvent::Deleted(_) => "deleted",
        WatchEvent::Bookmark(_) => "bookmark",
        WatchEvent::Error(_) => "error",
    };
    let all: Vec<_> = all.take(5).map_ok(word).try_collect().await.unwrap();
    assert_eq!(all, ["added", "modified", "modified", "modified", "deleted"]);
    let some: Vec<_> = some.take(3).map_ok(word).try_collect().await.unwrap();
    assert_eq!(some, ["added", "modified", "deleted"]);
}

#[tokio::test(start_paused = true)]
async fn kube_watchers_follow_both_ways_of_starting_and_survive_lost_watches() {
    use kube::runtime::watcher;
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let sim = simulated("test");
        let api = maps(&sim.client());
        api.create(&PostParams::default(), &map("before", json!({}))).await.unwrap();
        let mut events = Box::pin(watcher::watcher(api.clone(), config));
        let mut names = Vec::new();
        loop {
            match events.next().await.unwrap().unwrap() {
                watcher::Event::InitApply(object) => names.push(object.name_any()),
                watcher::Event::InitDone => break,
                _ => {}
            }
        }
        assert_eq!(names, ["before"]);
        api.create(&PostParams::default(), &map("one", json!({}))).await.unwrap();
        assert!(matches!(events.next().await.unwrap().unwrap(), watcher::Event::Apply(o) if o.name_any() == "one"));
        sim.faults().drop_watches();
        api.create(&PostParams::default(), &map("two", json!({}))).await.unwrap();
        let found = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                if let Some(Ok(watcher::Event::Apply(o) | watcher::Event::InitApply(o))) = events.next().await
                    && o.name_any() == "two"
                {
                    break;
                }
            }
        });
        found.await.unwrap();
    }
}

#[tokio::test]
async fn patches_of_every_sort() {
    let client = client();
    let api: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let made = api.create(&PostParams::default(), &make(deployment("a"))).await.unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    let strategic = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "B", "value": "2"}]}, {"name": "side", "image": "y"}]}}}});
    let out = api.patch("a", &PatchParams::default(), &Patch::Strategic(strategic)).await.unwrap();
    let containers = &out.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers;
    assert_eq!(containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["main", "side"]);
    assert_eq!(containers[0].env.as_ref().unwrap().len(), 2);
    assert_eq!(out.metadata.generation, Some(2));
    let remove = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}});
    let out = api.patch("a", &PatchParams::default(), &Patch::Strategic(remove)).await.unwrap();
    assert_eq!(out.spec.unwrap().template.spec.unwrap().containers.len(), 1);
    let steps: json_patch::Patch = make(
        json!([{"op": "test", "path": "/spec/replicas", "value": 2}, {"op": "replace", "path": "/spec/replicas", "value": 3}]),
    );
    let out = api.patch("a", &PatchParams::default(), &Patch::Json::<()>(steps.clone())).await.unwrap();
    assert_eq!(out.spec.unwrap().replicas, Some(3));
    assert_eq!(refused(api.patch("a", &PatchParams::default(), &Patch::Json::<()>(steps)).await).code, 422);
    let out = api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"labels": {"l": "1"}}}))).await.unwrap();
    assert_eq!(out.metadata.generation, Some(4), "labels are not spec");
    let status = refused(
        api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"selector": {"matchLabels": {"app": "b"}}}})))
            .await,
    );
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    let stale = json!({"metadata": {"resourceVersion": made.resource_version()}, "spec": {"replicas": 9}});
    assert_eq!(refused(api.patch("a", &PatchParams::default(), &Patch::Merge(stale)).await).code, 409);
}

#[tokio::test]
async fn status_is_apart_from_spec() {
    let client = client();
    let api: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let mut body = deployment("a");
    body["status"] = json!({"replicas": 7});
    let made = api.create(&PostParams::default(), &make(body)).await.unwrap();
    assert_eq!(made.status.unwrap_or_default().replicas, None);
    let out = api
        .patch_status("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 5}, "status": {"replicas": 1}})))
        .await
        .unwrap();
    assert_eq!(
        (out.spec.as_ref().unwrap().replicas, out.status.as_ref().unwrap().replicas, out.metadata.generation),
        (Some(2), Some(1), Some(1))
    );
    let out = api
        .patch("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 5}, "status": {"replicas": 9}})))
        .await
        .unwrap();
    assert_eq!((out.spec.unwrap().replicas, out.status.unwrap().replicas, out.metadata.generation), (Some(5), Some(1), Some(2)));
    let scale = api.get_scale("a").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(5));
    let scale = api.patch_scale("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 6}}))).await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(6));
    assert_eq!(api.get("a").await.unwrap().spec.unwrap().replicas, Some(6));
}

#[tokio::test]
async fn built_in_kinds_have_their_defaults() {
    let client = client();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    let secret = secrets
        .create(&PostParams::default(), &make(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}, "immutable": true})))
        .await
        .unwrap();
    assert_eq!(
        (secret.type_.as_deref(), secret.data.unwrap()["k"].0.as_slice(), secret.string_data),
        (Some("Opaque"), &b"v"[..], None)
    );
    let status = refused(secrets.patch("s", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "dw=="}}))).await);
    assert!(status.message.contains("field is immutable when `immutable` is set"), "{}", status.message);
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let service = services
        .create(&PostParams::default(), &make(json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 443}]}})))
        .await
        .unwrap();
    let spec = service.spec.unwrap();
    assert!(spec.cluster_ip.is_some() && spec.type_.as_deref() == Some("ClusterIP"));
    assert_eq!(spec.ports.unwrap()[0].protocol.as_deref(), Some("TCP"));
    let namespace = Api::<Namespace>::all(client).get("default").await.unwrap();
    assert_eq!(namespace.labels()["kubernetes.io/metadata.name"], "default");
    assert_eq!(namespace.status.unwrap().phase.as_deref(), Some("Active"));
}

#[tokio::test]
async fn finalizers_and_preconditions_hold_deletions_back() {
    let api = maps(&client());
    let mut object = map("a", json!({}));
    object.metadata.finalizers = Some(vec!["example.org/wait".into()]);
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    let wrong = DeleteParams {
        preconditions: Some(Preconditions { uid: Some("no".into()), resource_version: None }),
        ..DeleteParams::default()
    };
    assert_eq!(refused(api.delete("a", &wrong).await).code, 409);
    let wrong = DeleteParams {
        preconditions: Some(Preconditions { uid: made.uid(), resource_version: Some("1".into()) }),
        ..DeleteParams::default()
    };
    assert_eq!(refused(api.delete("a", &wrong).await).code, 409);
    let marked = api.delete("a", &DeleteParams::default()).await.unwrap().left().expect("the object");
    assert!(marked.metadata.deletion_timestamp.is_some());
    let status = refused(
        api.patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"finalizers": ["example.org/wait", "example.org/more"]}})),
        )
        .await,
    );
    assert_eq!(status.code, 422);
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert_eq!(refused(api.get("a").await).code, 404);
}

#[tokio::test]
async fn dependents_follow_their_owners() {
    let api = maps(&client());
    let own =
        |owner: &ConfigMap| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid()}]);
    for (policy, survives) in [
        (None, false),
        (Some(PropagationPolicy::Background), false),
        (Some(PropagationPolicy::Foreground), false),
        (Some(PropagationPolicy::Orphan), true),
    ] {
        let owner = api.create(&PostParams::default(), &map("owner", json!({}))).await.unwrap();
        for (name, up) in [("child", None), ("grandchild", Some("child"))] {
            let owner = match up {
                Some(up) => api.get(up).await.unwrap(),
                None => owner.clone(),
            };
            let body = json!({"metadata": {"name": name, "ownerReferences": own(&owner)}});
            api.create(&PostParams::default(), &make(body)).await.unwrap();
        }
        let delete = DeleteParams { propagation_policy: policy.clone(), ..DeleteParams::default() };
        api.delete("owner", &delete).await.unwrap();
        gone(&api, "owner").await;
        if survives {
            assert!(api.get("child").await.unwrap().owner_references().is_empty());
            assert!(api.get("grandchild").await.is_ok());
        } else {
            gone(&api, "child").await;
            gone(&api, "grandchild").await;
        }
    }
}

/// Waits until an object is gone: controllers of a real cluster take a moment.
async fn gone(api: &Api<ConfigMap>, name: &str) {
    let wait = async {
        while api.get_opt(name).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("{name} is still there"));
}

#[tokio::test]
async fn namespaces_take_their_contents_with_them() {
    let client = client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "n");
    namespaces.create(&PostParams::default(), &make(json!({"metadata": {"name": "n"}}))).await.unwrap();
    let mut held = map("held", json!({}));
    held.metadata.finalizers = Some(vec!["example.org/wait".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    api.create(&PostParams::default(), &map("free", json!({}))).await.unwrap();
    let marked = namespaces.delete("n", &DeleteParams::default()).await.unwrap().left().expect("the namespace");
    assert_eq!(marked.status.unwrap().phase.as_deref(), Some("Terminating"));
    gone(&api, "free").await;
    let status = refused(api.create(&PostParams::default(), &map("late", json!({}))).await);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    api.patch("held", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert!(namespaces.get_opt("n").await.unwrap().is_none());
    namespaces.create(&PostParams::default(), &make(json!({"metadata": {"name": "n"}}))).await.unwrap();
}

#[tokio::test]
async fn definitions_make_kinds() {
    let (client, api) = with_widgets().await;
    let made = Api::<CustomResourceDefinition>::all(client.clone()).get("widgets.example.org").await.unwrap();
    let conditions = made.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|c| c.type_ == "Established" && c.status == "True"));
    let made = api
        .create(&PostParams::default(), &widget("a", json!({"size": 1, "unknown": 2, "free": {"x": 1}, "port": "http"})))
        .await
        .unwrap();
    assert_eq!(made.data["spec"], json!({"size": 1, "colour": "red", "free": {"x": 1}, "port": "http"}), "pruned and defaulted");
    assert_eq!(made.metadata.generation, Some(1));
    let status = refused(api.create(&PostParams::default(), &widget("b", json!({"size": 0}))).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(refused(api.create(&PostParams::default(), &widget("b", json!({}))).await).code, 422);
    let status = refused(api.replace("a", &PostParams::default(), &widget("a", json!({"size": 2}))).await);
    assert!(status.message.contains("metadata.resourceVersion: Invalid value"), "{}", status.message);
    let out = api.patch_status("a", &PatchParams::default(), &Patch::Merge(json!({"status": {"ready": true}}))).await.unwrap();
    assert_eq!((out.data["status"]["ready"].clone(), out.metadata.generation), (json!(true), Some(1)));
    let other = widgets(&client, "v1beta1").get("a").await.unwrap();
    assert_eq!(other.types.unwrap().api_version, "example.org/v1beta1");
    let status = refused(api.patch("a", &PatchParams::default(), &Patch::Strategic(json!({"spec": {"size": 3}}))).await);
    assert_eq!(status.code, 415);
    let discovered = kube::discovery::group(&client, "example.org").await.unwrap();
    assert!(discovered.recommended_kind("Widget").is_some());
    Api::<CustomResourceDefinition>::all(client.clone()).delete("widgets.example.org", &DeleteParams::default()).await.unwrap();
    assert_eq!(refused(api.get("a").await).code, 404);
}

#[tokio::test]
async fn apply_creates_changes_and_does_nothing_twice() {
    let api = maps(&client());
    let one = apply(&api, "one", json!({"a": "1", "b": "2"})).await.unwrap();
    assert_eq!(owned(&one, "one", "Apply"), ["/f:data/f:a", "/f:data/f:b"]);
    let again = apply(&api, "one", json!({"a": "1", "b": "2"})).await.unwrap();
    assert_eq!(again.resource_version(), one.resource_version());
    let less = apply(&api, "one", json!({"a": "1"})).await.unwrap();
    assert_eq!(serde_json::to_value(&less.data).unwrap(), json!({"a": "1"}), "a dropped field is removed");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}});
    let unnamed =
        refused(api.patch("a", &PatchParams { field_manager: None, ..PatchParams::default() }, &Patch::Apply(body)).await);
    assert_eq!(unnamed.code, 422);
}

#[tokio::test]
async fn apply_conflicts_name_the_other_manager_and_force_takes_over() {
    let api = maps(&client());
    apply(&api, "one", json!({"a": "1", "b": "1"})).await.unwrap();
    let status = refused(apply(&api, "two", json!({"a": "2"})).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .data.a");
    let cause = &status.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.a"));
    let shared = apply(&api, "two", json!({"a": "1"})).await.unwrap();
    assert_eq!(owned(&shared, "two", "Apply"), ["/f:data/f:a"], "equal values are shared");
    let dropped = apply(&api, "one", json!({"b": "1"})).await.unwrap();
    assert_eq!(dropped.data.unwrap()["a"], "1", "another manager keeps it");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"b": "9"}});
    let forced = api.patch("a", &PatchParams::apply("two").force(), &Patch::Apply(body)).await.unwrap();
    assert_eq!(owned(&forced, "one", "Apply"), Vec::<String>::new());
    assert_eq!(serde_json::to_value(forced.data).unwrap(), json!({"b": "9"}));
}

#[tokio::test]
async fn updates_take_fields_away() {
    let api = maps(&client());
    apply(&api, "one", json!({"a": "1", "b": "1"})).await.unwrap();
    let patch = PatchParams { field_manager: Some("hand".into()), ..PatchParams::default() };
    let out = api.patch("a", &patch, &Patch::Merge(json!({"data": {"a": "9"}}))).await.unwrap();
    assert_eq!(owned(&out, "one", "Apply"), ["/f:data/f:b"]);
    assert_eq!(owned(&out, "hand", "Update"), ["/f:data/f:a"]);
    let status = refused(apply(&api, "one", json!({"a": "1", "b": "1"})).await);
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"hand\" using v1: .data.a");
    let out = api.patch("a", &patch, &Patch::Merge(json!({"data": {"b": null}}))).await.unwrap();
    assert_eq!(owned(&out, "one", "Apply"), Vec::<String>::new(), "a removed field is nobody's");
}

#[tokio::test]
async fn apply_merges_lists_by_their_keys() {
    let client = client();
    let api: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let first = api.patch("a", &PatchParams::apply("one"), &Patch::Apply(deployment("a"))).await.unwrap();
    let fields = owned(&first, "one", "Apply");
    for path in [
        "/f:spec/f:selector",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"main\"}",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"main\"}/f:ports/k:{\"containerPort\":80,\"protocol\":\"TCP\"}/f:containerPort",
        "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"main\"}/f:env/k:{\"name\":\"A\"}/f:value",
    ] {
        assert!(fields.iter().any(|f| f == path), "{path} in {fields:#?}");
    }
    let side = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "y"}]}}}});
    let both = api.patch("a", &PatchParams::apply("two"), &Patch::Apply(side)).await.unwrap();
    assert_eq!(both.spec.unwrap().template.spec.unwrap().containers.len(), 2);
    let mut changed = deployment("a");
    changed["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "B", "value": "2"}]);
    let out = api.patch("a", &PatchParams::apply("one"), &Patch::Apply(changed)).await.unwrap();
    let containers = out.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers.clone();
    assert_eq!(containers.len(), 2, "the other manager's container stays");
    assert_eq!(containers[0].env.as_ref().unwrap().iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["B"]);
    let empty = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}});
    let out = api.patch("a", &PatchParams::apply("two"), &Patch::Apply(empty)).await.unwrap();
    assert_eq!(out.spec.unwrap().template.spec.unwrap().containers.len(), 1, "a dropped item goes with everything in it");
}

#[tokio::test]
async fn apply_follows_the_list_types_of_custom_kinds() {
    let (_, api) = with_widgets().await;
    let put = |manager: &'static str, spec: Value| {
        let api = api.clone();
        async move {
            let body = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec});
            api.patch("a", &PatchParams::apply(manager), &Patch::Apply(body)).await
        }
    };
    put("one", json!({"size": 1, "parts": [{"id": "x", "weight": 1}], "tags": ["p"], "steps": ["s"]})).await.unwrap();
    let out = put("two", json!({"size": 1, "parts": [{"id": "y", "weight": 2}], "tags": ["q"]})).await.unwrap();
    assert_eq!(out.data["spec"]["parts"], json!([{"id": "x", "weight": 1}, {"id": "y", "weight": 2}]));
    assert_eq!(out.data["spec"]["tags"], json!(["p", "q"]));
    let status = refused(put("two", json!({"size": 1, "steps": ["t"]})).await);
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.steps");
    let status = refused(put("two", json!({"size": 1, "parts": [{"id": "x", "weight": 5}]})).await);
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.parts[id=\"x\"].weight");
    let out = put("two", json!({"size": 1})).await.unwrap();
    assert_eq!(out.data["spec"]["parts"], json!([{"id": "x", "weight": 1}]));
    assert_eq!(out.data["spec"]["tags"], json!(["p"]));
}

#[tokio::test]
async fn status_is_applied_through_its_own_door() {
    let (_, api) = with_widgets().await;
    api.create(&PostParams::default(), &widget("a", json!({"size": 1}))).await.unwrap();
    let body = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 5}, "status": {"phase": "Ready"}});
    let out = api.patch_status("a", &PatchParams::apply("one"), &Patch::Apply(body)).await.unwrap();
    assert_eq!((out.data["spec"]["size"].clone(), out.data["status"]["phase"].clone()), (json!(1), json!("Ready")));
    let entry = out.metadata.managed_fields.unwrap().into_iter().find(|e| e.manager.as_deref() == Some("one")).unwrap();
    assert_eq!(entry.subresource.as_deref(), Some("status"));
    assert_eq!(entry.fields_v1.unwrap().0, json!({"f:status": {"f:phase": {}}}));
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let api = maps(&client());
    for (name, label) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let mut object = map(name, json!({}));
        object.metadata.labels = Some(BTreeMap::from([("l".into(), label.into())]));
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("l=x")).await.unwrap();
    let left = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["c"]);
}

#[tokio::test]
async fn metadata_alone_can_be_asked_for() {
    let api = maps(&client());
    api.create(&PostParams::default(), &map("a", json!({"k": "v"}))).await.unwrap();
    assert_eq!(api.get_metadata("a").await.unwrap().name_any(), "a");
    assert_eq!(api.list_metadata(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn faults_come_as_ordered() {
    let sim = simulated("test");
    let api = maps(&sim.client());
    for i in 0..5 {
        api.create(&PostParams::default(), &map(&format!("m{i}"), json!({}))).await.unwrap();
    }
    sim.faults().add(Rule::refuse(Matching { verb: Some("get".into()), ..Matching::default() }, 503, 1));
    assert_eq!(refused(api.get("m0").await).code, 503);
    assert!(api.get("m0").await.is_ok());
    sim.faults().add(Rule::short_lists(Some("ConfigMap"), 2, 500));
    let first = api.list(&ListParams::default().limit(10)).await.unwrap();
    assert_eq!(first.items.len(), 2);
    let next = ListParams::default().limit(10).continue_token(&first.metadata.continue_.unwrap());
    assert_eq!(refused(api.list(&next).await).code, 500);
    sim.faults().clear();
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 5);
    let counters = sim.counters();
    assert_eq!((counters.writes("espalier"), counters.reads("espalier")), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("a.redb"), folder.path().join("b.redb"));
    let sim = Sim::open(Options { state: Some(file.clone()), ..options("test") }).unwrap();
    let client = sim.client();
    Api::all(client.clone()).create(&PostParams::default(), &definition()).await.unwrap();
    let api = widgets(&client, "v1");
    let writes = (0..50).map(|i| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &widget(&format!("w{i}"), json!({"size": 1}))).await }
    });
    let made = futures::future::try_join_all(writes).await.unwrap();
    let last = made.iter().map(|w| w.resource_version().unwrap().parse::<u64>().unwrap()).max().unwrap();
    // The file as a killed process would leave it: copied while it is open.
    std::fs::copy(&file, &copy).unwrap();
    let again = Sim::open(Options { state: Some(copy), ..options("test") }).unwrap();
    let list = widgets(&again.client(), "v1").list(&ListParams::default()).await.unwrap();
    let mut wanted = made.clone();
    wanted.sort_by_key(ResourceExt::name_any);
    assert_eq!(
        list.items.iter().map(|w| (w.name_any(), w.uid(), w.resource_version())).collect::<Vec<_>>(),
        wanted.iter().map(|w| (w.name_any(), w.uid(), w.resource_version())).collect::<Vec<_>>()
    );
    assert!(list.metadata.resource_version.unwrap().parse::<u64>().unwrap() >= last);
    sim.close().await;
    again.close().await;
}

#[tokio::test]
async fn quotas_count_what_is_there_and_keep_out_what_is_too_much() {
    let client = client();
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), "default");
    let maps = maps(&client);
    maps.create(&PostParams::default(), &map("a", json!({}))).await.expect("created");
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "2", "requests.cpu": "1"}}});
    quotas.create(&PostParams::default(), &make(quota)).await.expect("created");
    let used = async || {
        let status = quotas.get("q").await.expect("there").status;
        status.and_then(|status| status.used).and_then(|used| used.get("count/configmaps").map(|count| count.0.clone()))
    };
    assert_eq!(used().await.as_deref(), Some("1"), "what was there before counts");
    maps.create(&PostParams::default(), &map("b", json!({}))).await.expect("there is room for it");
    assert_eq!(used().await.as_deref(), Some("2"));
    let third = refused(maps.create(&PostParams::default(), &map("c", json!({}))).await);
    assert_eq!(third.code, 403);
    assert_eq!(
        third.message,
        "configmaps \"c\" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=2, limited: count/configmaps=2"
    );
    maps.delete("a", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(used().await.as_deref(), Some("1"), "what is gone does not count");
    maps.create(&PostParams::default(), &map("c", json!({}))).await.expect("now there is room");
}
