//! The second pass over every shape of the matrix, with what the first one left in the clusters: it writes nothing, Secrets keep their
//! names, and an image that is changed rolls what uses it and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::landscape::Target;
use espalier::observed::{ACCEPTED_ANNOTATION, ACCEPTED_REVISION_ANNOTATION, DIGEST_ANNOTATION, TRACKING_ANNOTATION};
use espalier::render::{Images, Rendered};
use espalier::sim::{Request, Sim};
use espalier::snapshot::RepoPath;
use kube::discovery::{ApiGroup, Discovery};
use serde_json::{Value, json};

use super::fleet::{Fleet, explain, forget_server, listed, name_of};
use super::matrix::{self, SHIPPED, masked};
use super::matrix_seeds;
use landscape::Landscape;

mod landscape;

/// Images that are changed, one after another: of the control plane and of what is packed for the shoot, used once and many times.
const CHANGED: [&str; 9] = [
    "configmap-reloader",
    "coredns",
    "gardener-resource-manager",
    "kube-apiserver",
    "kube-proxy",
    "machine-controller-manager",
    "pause-container",
    "vpn-client",
    "vpn-server",
];

/// What pods are made from.
const WORKLOADS: [&str; 3] = ["DaemonSet", "Deployment", "StatefulSet"];

fn reference(name: &str, version: u8) -> String {
    format!("own.example.org/{name}:{version}.0")
}

async fn up(landscape: &Landscape) -> Fleet {
    let fleet = Fleet::of(landscape.files.clone()).await;
    fleet.furnish(landscape.garden.clone());
    for (seed, secret) in &landscape.kept {
        fleet.furnish_in(&Target::Seed((*seed).to_owned()), vec![secret.clone()]);
    }
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    fleet
}

/// Every object of all clusters, short of Leases, which say who is at work.
pub(crate) async fn everything(fleet: &Fleet) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    for (target, sim) in &fleet.sims {
        let client = sim.client_of("people");
        let found = Discovery::new(client.clone()).run().await.expect("discovery");
        let all = listed(&client, found.groups().flat_map(ApiGroup::resources_by_stability)).await.into_iter();
        let all = all.filter(|(_, object)| object["kind"] != "Lease");
        out.extend(all.map(|(resource, object)| (format!("{target} {} {}", name_of(&object), resource.group), object)));
    }
    out
}

/// The Secrets that were made, not copied: name and content.
fn generated(all: &BTreeMap<String, Value>) -> BTreeMap<&String, &Value> {
    let made = |object: &Value| object["kind"] == "Secret" && object["metadata"]["labels"]["managed-by"] == "secrets-manager";
    all.iter().filter(|(_, object)| made(object)).map(|(name, object)| (name, &object["data"])).collect()
}

fn is_ours(object: &Value) -> bool {
    object["metadata"]["annotations"].get(TRACKING_ANNOTATION).is_some()
}

/// What we asked of clusters so far that writes.
fn written(fleet: &Fleet) -> BTreeMap<(String, &'static str, String), u64> {
    let ours = |(request, _): &(&Request, &u64)| {
        request.user == "espalier" && request.is_write() && !request.resource.starts_with("leases.coordination.k8s.io")
    };
    let of = |(target, sim): (&Target, &Sim)| -> Vec<_> {
        let counters = sim.counters();
        let sort = |(r, n): (&Request, &u64)| ((target.to_string(), r.verb, r.resource.clone()), *n);
        counters.requests.iter().filter(ours).map(sort).collect()
    };
    fleet.sims.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "figures")]
async fn a_second_pass_over_the_matrix_writes_nothing_and_every_secret_keeps_its_name() {
    let (mut shapes, mut objects, mut ours, mut secrets) = (0, 0, 0, 0);
    for landscape in landscape::all() {
        let fleet = up(&landscape).await;
        let before = everything(&fleet).await;
        // A week later no certificate is due yet.
        for time in ["2026-11-18T12:00:00Z", "2026-11-25T12:00:00Z"] {
            fleet.set_clock(time, false);
            let requests = written(&fleet);
            assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
            assert_eq!(written(&fleet), requests, "a pass at {time} writes nothing");
            let now = everything(&fleet).await;
            let names = |all: &BTreeMap<String, Value>| -> BTreeSet<String> { generated(all).into_keys().cloned().collect() };
            assert_eq!(names(&now), names(&before), "Secrets have the names that they had");
            let version =
                |object: Option<&Value>| object.map(|o| (o["metadata"]["uid"].clone(), o["metadata"]["resourceVersion"].clone()));
            let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            let touched: Vec<_> = all.into_iter().filter(|name| version(before.get(*name)) != version(now.get(*name))).collect();
            assert!(touched.is_empty(), "nobody touches anything after a pass at {time}: {touched:#?}");
        }
        shapes += landscape.shapes.len();
        objects += before.len();
        ours += before.values().filter(|object| is_ours(object)).count();
        secrets += generated(&before).len();
    }
    assert_eq!(shapes, matrix::MATRIX.len() + matrix_seeds::MATRIX.len());
    println!(
        "{shapes} shapes, {objects} objects ({ours} ours, {secrets} generated Secrets): 0 written by a second and a third pass"
    );
}

/// Annotations that say when something was written, and how often it was rolled.
const BOOKKEEPING: [&str; 6] = [
    DIGEST_ANNOTATION,
    ACCEPTED_ANNOTATION,
    ACCEPTED_REVISION_ANNOTATION,
    "gardener.cloud/timestamp",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
];

/// An object as it is compared: without what servers, commits and digests add, what is packed in Secrets as text, and notes of what it
/// refers to without their hashes.
pub(crate) fn plain(object: &Value) -> String {
    let mut object = object.clone();
    forget_server(&mut object);
    let map = object.as_object_mut().expect("an object");
    map.remove("status");
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default();
        let kept = annotations.into_iter().filter(|(name, _)| !BOOKKEEPING.contains(&name.as_str()));
        let kept: BTreeSet<String> = kept
            .map(|(name, value)| match name.split_once("reference.resources.gardener.cloud/") {
                Some(_) => format!("refers to {value}"),
                None => format!("{name}: {value}"),
            })
            .collect();
        metadata.insert("annotations".into(), json!(kept));
    }
    if object["kind"] == "Secret" {
        for value in object["data"].as_object_mut().into_iter().flatten().map(|(_, value)| value) {
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
            if let Ok(text) = String::from_utf8(bytes) {
                *value = text.into();
            }
        }
    }
    object.to_string()
}

/// What an object is, whatever its name says of its content.
fn place(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    format!("{} {}/{}", object["kind"].as_str().unwrap_or_default(), text("namespace"), masked(text("name")))
}

/// What another image is to make of objects: those that name it name the other one, those among them that are named by their content
/// have another name, and what refers to them follows. Returns the places of the first sort.
fn follow(
    what: &str,
    (from, to): (&str, &str),
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<String> {
    let users: BTreeMap<&String, &Value> = before.iter().filter(|(_, object)| plain(object).contains(from)).collect();
    let mut renamed: Vec<(String, String)> = Vec::new();
    let came: BTreeMap<String, &Value> =
        after.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(_, object)| (place(object), object)).collect();
    for (name, object) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        assert!(users.contains_key(name), "{what}: {name} went, and did not name {from}");
        let other = came.get(&place(object)).unwrap_or_else(|| panic!("{what}: {name} went, and nothing came for it"));
        let of = |object: &Value| object["metadata"]["name"].as_str().expect("a name").to_owned();
        renamed.push((of(object), of(other)));
    }
    assert_eq!(renamed.len(), came.len(), "{what}: nothing came that was not there: {:?}", came.keys());
    let expected = |object: &Value| {
        let text = plain(object).replace(from, to);
        renamed.iter().fold(text, |text, (old, new)| text.replace(old, new))
    };
    let expected: BTreeSet<String> = before.values().map(expected).collect();
    let found: BTreeSet<String> = after.values().map(plain).collect();
    let wrong: Vec<&String> = expected.symmetric_difference(&found).collect();
    assert!(wrong.is_empty(), "{what}: {} is more than another image:\n{wrong:#?}", wrong.len());
    users.into_values().map(place).collect()
}

/// Objects as they are rendered, by shape.
fn rendered(shapes: impl IntoIterator<Item = (&'static str, Rendered)>) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let mut out: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    for (shape, rendered) in shapes {
        let objects = rendered.objects.iter().map(|o| (format!("{} {}", o.key, o.body["apiVersion"]), o.body.as_ref().clone()));
        out.entry(shape).or_default().extend(objects);
    }
    out
}

#[test]
#[allow(clippy::print_stdout, reason = "figures")]
fn in_every_shape_an_image_is_in_what_names_it_and_in_nothing_else() {
    let images = |changed: &str| -> Images {
        let of = |name: &str| (name.to_owned(), reference(name, if name == changed { 2 } else { 1 }));
        SHIPPED.1.overridden(&json!(SHIPPED.1.names().map(of).collect::<BTreeMap<_, _>>())).expect("every name is known")
    };
    let all = |changed: &str| {
        let images = images(changed);
        let shoots =
            matrix::MATRIX.iter().flat_map(|(name, _)| matrix::render_with(name, &images).into_iter().map(move |r| (*name, r)));
        rendered(shoots.chain(matrix_seeds::rendered_with(&images)).collect::<Vec<_>>())
    };
    let before = all("");
    let mut compared = 0;
    for name in CHANGED {
        let (from, to) = (reference(name, 1), reference(name, 2));
        let mut used = BTreeSet::new();
        for (shape, after) in all(name) {
            compared += after.len();
            used.extend(follow(&format!("{name} in {shape}"), (&from, &to), &before[shape], &after));
        }
        assert!(!used.is_empty(), "nobody uses {name}");
        println!("{name}: {} sorts of objects: {}", used.len(), used.into_iter().collect::<Vec<_>>().join(", "));
    }
    println!("{} images, {} shapes, {compared} objects compared", CHANGED.len(), before.len());
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "figures")]
async fn in_running_clusters_a_changed_image_rolls_exactly_what_uses_it() {
    let shapes = ["standard", "ha-zone", "workerless", "hibernated", "watched"];
    let mut landscape = landscape::all().into_iter().max_by_key(|landscape| landscape.shapes.len()).expect("landscapes");
    let wanted: BTreeSet<String> =
        shapes.iter().map(|shape| format!("projects/shop/shoots/{}.yaml", landscape::name_of(shape))).collect();
    landscape.files.retain(|path, _| !path.as_str().contains("/shoots/") || wanted.contains(path.as_str()));
    let own: BTreeMap<&str, String> = CHANGED.iter().map(|name| (*name, reference(name, 1))).collect();
    let path = RepoPath::from("landscape.yaml");
    let mut root: Value = serde_yaml::from_slice(&landscape.files[&path]).expect("YAML");
    root["spec"]["images"] = json!(own);
    landscape.files.insert(path, serde_yaml::to_string(&root).expect("YAML").into_bytes());
    let fleet = up(&landscape).await;
    let mine = |all: BTreeMap<String, Value>| -> BTreeMap<String, Value> {
        // The landscape's own object has the references themselves, and nothing runs from it.
        all.into_iter().filter(|(_, object)| is_ours(object) && object["kind"] != "Landscape").collect()
    };
    let names = |all: &BTreeMap<String, Value>| -> BTreeSet<String> { generated(all).into_keys().cloned().collect() };
    let all = everything(&fleet).await;
    let (secrets, mut before) = (names(&all), mine(all));
    for name in CHANGED {
        let (from, to) = (reference(name, 1), reference(name, 2));
        fleet.edit("landscape.yaml", &from, &to).await;
        assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
        let all = everything(&fleet).await;
        assert_eq!(names(&all), secrets, "{name}: Secrets keep their names");
        let after = mine(all);
        let users = follow(name, (&from, &to), &before, &after);
        let mut rolled = BTreeSet::new();
        for (workload, object) in after.iter().filter(|(_, object)| WORKLOADS.iter().any(|kind| object["kind"] == *kind)) {
            let old = &before[workload];
            let (template, other) = (&old["spec"]["template"], &object["spec"]["template"]);
            assert_eq!(template != other, template.to_string().contains(&from), "{name}: {workload}");
            let same = old["metadata"]["generation"] == object["metadata"]["generation"];
            assert_eq!(same, template == other, "{name}: {workload} has another generation if, and only if, its pods roll");
            rolled.extend((!same).then_some(workload.clone()));
        }
        assert!(!users.is_empty(), "nobody uses {name}");
        println!("{name}: {} of {} objects name it, {} workloads in seeds roll", users.len(), after.len(), rolled.len());
        before = after;
    }
}
