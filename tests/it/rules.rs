//! Rules that look at other objects than the one in question, each on a small world: what is said, of which type, about which field.

use std::collections::BTreeMap;
use std::sync::Arc;

use espalier::admission::{Authority, Case, Deed, Extent, Foreign, Gates, World, judge};
use espalier::document::{self, Budget};
use espalier::landscape::{self, Owner};
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};

/// 2026-11-21.
const NOW: i64 = 1_795_219_200;

fn read(object: &Value) -> (Owner, Arc<Value>) {
    let parsed = document::parse(&RepoPath::from("x.yaml"), object.to_string().as_bytes(), &Budget::default());
    let (found, findings) = landscape::read_object(&parsed.documents[0]);
    found.unwrap_or_else(|| panic!("{findings:#?}"))
}

/// A field by its pointer, and what it becomes.
type Change = (&'static str, Value);

fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let mut at = &mut object;
        for key in parent.split('/').skip(1) {
            at = match at {
                Value::Array(list) => &mut list[key.parse::<usize>().expect("an index")],
                other => other.as_object_mut().expect("a map").entry(key.replace("~1", "/")).or_insert_with(|| json!({})),
            };
        }
        at.as_object_mut().expect("a map").insert(key.replace("~1", "/"), value.clone());
    }
    object
}

fn seed(name: &str, changes: &[(&str, Value)]) -> Value {
    let reference = json!({"apiVersion": "v1", "kind": "Secret", "name": "s", "namespace": "garden"});
    let domain = |domain: &str| json!({"type": "local", "domain": domain, "credentialsRef": reference});
    let seed = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Seed", "metadata": {"name": name}, "spec": {
        "provider": {"type": "local", "region": "eu", "zones": ["a", "b", "c"]},
        "networks": {"nodes": "10.1.0.0/16", "pods": "10.2.0.0/16", "services": "10.3.0.0/16"},
        "backup": {"provider": "local", "credentialsRef": reference},
        "dns": {"internal": domain("internal.example.org"), "defaults": [domain("shoots.example.org")], "provider": {"type": "local", "credentialsRef": reference}},
        "ingress": {"domain": "ingress.example.org", "controller": {"kind": "nginx"}}}});
    with(seed, changes)
}

fn shoot(name: &str, changes: &[(&str, Value)]) -> Value {
    let shoot = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "metadata": {"name": name, "namespace": "garden-shop"}, "spec": {
        "cloudProfile": {"name": "local"}, "region": "eu", "credentialsBindingName": "local", "kubernetes": {"version": "1.34.6"},
        "networking": {"type": "calico", "nodes": "10.250.0.0/16", "pods": "100.96.0.0/11", "services": "100.64.0.0/13"},
        "provider": {"type": "local", "workers": [{"name": "pool", "minimum": 1, "maximum": 3, "zones": ["a"],
            "machine": {"type": "small", "image": {"name": "linux", "version": "1.0.0"}}}]}}});
    with(shoot, changes)
}

fn project(name: &str, changes: &[(&str, Value)]) -> Value {
    let project = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Project", "metadata": {"name": name}, "spec": {"owner": {"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}}});
    with(project, changes)
}

fn profile(changes: &[(&str, Value)]) -> Value {
    let profile = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "CloudProfile", "metadata": {"name": "local"}, "spec": {"type": "local",
        "kubernetes": {"versions": [{"version": "1.35.2", "classification": "supported"}, {"version": "1.34.6", "classification": "supported"}]},
        "machineImages": [{"name": "linux", "updateStrategy": "major", "versions": [{"version": "1.0.0", "cri": [{"name": "containerd"}], "architectures": ["amd64"]}]}],
        "machineTypes": [{"name": "small", "cpu": "2", "gpu": "0", "memory": "4Gi", "architecture": "amd64"}],
        "volumeTypes": [], "regions": [{"name": "eu", "zones": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}]}});
    with(profile, changes)
}

fn child(changes: &[(&str, Value)]) -> Value {
    let child = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "NamespacedCloudProfile", "metadata": {"name": "own", "namespace": "garden-shop"},
        "spec": {"parent": {"kind": "CloudProfile", "name": "local"}}});
    with(child, changes)
}

fn binding(changes: &[(&str, Value)]) -> Value {
    let binding = json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "CredentialsBinding", "metadata": {"name": "local", "namespace": "garden-shop"},
        "provider": {"type": "local"}, "credentialsRef": {"apiVersion": "v1", "kind": "Secret", "name": "local", "namespace": "garden-shop"}});
    with(binding, changes)
}

fn registration(name: &str, resources: Value) -> Value {
    json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "ControllerRegistration", "metadata": {"name": name}, "spec": {"resources": resources}})
}

fn managed(name: &str, changes: &[(&str, Value)]) -> Value {
    let managed = json!({"apiVersion": "seedmanagement.gardener.cloud/v1alpha1", "kind": "ManagedSeed", "metadata": {"name": name, "namespace": "garden"},
        "spec": {"shoot": {"name": "soil"}, "gardenlet": {"config": {"apiVersion": "gardenlet.config.gardener.cloud/v1alpha1", "kind": "GardenletConfiguration",
            "seedConfig": {"spec": {"provider": {"zones": ["a"]}}}}}}});
    with(managed, changes)
}

const SEED: &str = "/spec/gardenlet/config/seedConfig/spec";

/// A shoot of the project `garden` that can be a seed.
fn soil(changes: &[(&str, Value)]) -> Value {
    let own = [
        ("/metadata/namespace", json!("garden")),
        ("/spec/dns/domain", json!("soil.example.org")),
        ("/spec/kubernetes/verticalPodAutoscaler", json!({"enabled": true})),
    ];
    with(shoot("soil", &own), changes)
}

/// What is beside an object, and how it is judged.
#[derive(Default)]
struct Around {
    objects: Vec<Value>,
    foreign: Vec<(Foreign, Value)>,
    gates: &'static str,
    distances: BTreeMap<String, BTreeMap<String, BTreeMap<String, i64>>>,
    authority: Authority,
}

impl From<Vec<Value>> for Around {
    fn from(objects: Vec<Value>) -> Self {
        Self { objects, ..Self::default() }
    }
}

/// What a server would have stored: read like any other, with what only servers write.
fn stored(object: &Value) -> Arc<Value> {
    let mut value = (*read(object).1).clone();
    for part in ["status", "metadata"] {
        match (object.get(part), value.get_mut(part)) {
            (Some(Value::Object(more)), Some(Value::Object(have))) => {
                have.extend(
                    more.iter().filter(|(key, _)| *key != "namespace" || part != "metadata").map(|(k, v)| (k.clone(), v.clone())),
                );
            }
            (Some(more), None) => value[part] = more.clone(),
            _ => {}
        }
    }
    Arc::new(value)
}

/// What a rule says: `type field message`, and whether it says how to go on.
fn said(code: &str, around: Around, old: Option<&Value>, new: &Value) -> Vec<String> {
    let objects = around.objects.iter().map(|object| (read(object).0, stored(object))).collect();
    let foreign = around.foreign.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
    let world =
        World::new("test", objects, Gates::parse(around.gates)).beside(foreign).apart(around.distances).under(around.authority);
    let (owner, _) = read(new);
    let judged = |written: &Arc<Value>, old: Option<&Arc<Value>>| {
        judge(&Case { owner: &owner, written, old, now: NOW }, &world, Extent::Everything)
    };
    // What was accepted has its defaults, as it has in the garden.
    let old = old.map(stored).map(|written| {
        let mut accepted = (*judged(&written, None).0).clone();
        for part in ["status", "metadata"] {
            accepted[part] = written[part].clone();
        }
        Arc::new(accepted)
    });
    let (_, findings) = judged(&stored(new), old.as_ref());
    assert!(espalier::admission::codes().any(|(known, _)| known == code), "{code}");
    let of = findings.iter().filter(|finding| finding.code.as_str() == code);
    of.map(|finding| {
        assert!(finding.help.is_some(), "{code}: {} does not say how to go on", finding.message);
        let cause = finding.cause.as_ref().unwrap_or_else(|| panic!("{code} is Gardener's"));
        format!("{} {} {}", cause.error, cause.field, finding.message)
    })
    .collect()
}

/// One expected line is the beginning of each thing that is said.
fn check(code: &str, around: impl Into<Around>, old: Option<&Value>, new: &Value, expected: &[&str]) {
    let said = said(code, around.into(), old, new);
    let fits = said.len() == expected.len() && said.iter().zip(expected).all(|(line, start)| line.starts_with(start));
    assert!(fits, "{code}: expected\n{}\ngot\n{}", expected.join("\n"), said.join("\n"));
}

/// A status in which a control plane is being moved.
fn moving() -> (&'static str, Value) {
    (
        "/status",
        json!({"technicalID": "shoot--shop--prod", "lastOperation": {"type": "Migrate", "state": "Processing", "progress": 10}}),
    )
}

#[test]
fn domains_belong_to_one_shoot() {
    let domain = |name: &str, domain: &str| shoot(name, &[("/spec/dns/domain", json!(domain))]);
    let there = || vec![domain("there", "a.example.org")];
    let cases = [
        ("a.example.org", "FieldValueDuplicate spec.dns.domain Shoot shop/there has the domain `a.example.org` already"),
        ("x.y.a.example.org", "FieldValueForbidden spec.dns.domain the domain `x.y.a.example.org` is below `a.example.org`"),
        ("example.org", "FieldValueForbidden spec.dns.domain the domain `example.org` is above `a.example.org`"),
    ];
    for (wanted, expected) in cases {
        check("SHOOT-DNS-TAKEN", there(), None, &domain("new", wanted), &[expected]);
        check("SHOOT-DNS-TAKEN", there(), Some(&domain("new", wanted)), &domain("new", wanted), &[]);
    }
    for free in ["b.example.org", "ba.example.org", "a.example.com"] {
        check("SHOOT-DNS-TAKEN", there(), None, &domain("new", free), &[]);
    }
    check("SHOOT-DNS-TAKEN", there(), None, &domain("there", "a.example.org"), &[]);
}

#[test]
fn quotas_limit_how_long_shoots_live() {
    let quota = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Quota", "metadata": {"name": "trial", "namespace": "garden-shop"},
        "spec": {"scope": {"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Project"}, "clusterLifetimeDays": 14, "metrics": {}}});
    let around = || vec![quota.clone(), binding(&[("/quotas", json!([{"name": "trial", "namespace": "garden-shop"}]))])];
    let until =
        |moment: &str| shoot("prod", &[("/metadata/annotations/shoot.gardener.cloud~1expiration-timestamp", json!(moment))]);
    let old = shoot("prod", &[]);
    check("SHOOT-LIFETIME", around(), Some(&old), &until("2026-12-05T00:00:00Z"), &[]);
    check(
        "SHOOT-LIFETIME",
        around(),
        Some(&old),
        &until("2026-12-05T00:00:01Z"),
        &["AdmissionError  the shoot would live until"],
    );
    check("SHOOT-LIFETIME", around(), Some(&old), &until("soon"), &["AdmissionError  `soon` is no moment"]);
    check("SHOOT-LIFETIME", around(), None, &until("2030-01-01T00:00:00Z"), &[]);
    check("SHOOT-LIFETIME", vec![], Some(&old), &until("soon"), &[]);
    check("SHOOT-LIFETIME", around(), Some(&until("2030-01-01T00:00:00Z")), &until("2030-01-01T00:00:00Z"), &[]);
}

#[test]
fn a_control_plane_moves_without_interruption_only_as_it_can() {
    const FIELD: &str = "FieldValueForbidden metadata.annotations[migration.gardener.cloud/live-migrate] the control plane cannot move without interruption: ";
    let line = |why: &str| format!("{FIELD}{why}");
    let shoot = |name: &str, ha: bool| {
        let mut changes = vec![
            ("/spec/seedName", json!(name)),
            ("/metadata/annotations/migration.gardener.cloud~1live-migrate", json!("true")),
        ];
        if ha {
            changes.push(("/spec/controlPlane", json!({"highAvailability": {"failureTolerance": {"type": "node"}}})));
        }
        shoot("prod", &changes)
    };
    let around = |gates: &'static str, region: &str| {
        let seeds = vec![seed("one", &[]), seed("two", &[("/spec/provider/region", json!(region))])];
        let row = BTreeMap::from([("near".to_owned(), 180), ("far".to_owned(), 181)]);
        let distances = BTreeMap::from([("local".to_owned(), BTreeMap::from([("eu".to_owned(), row)]))]);
        Around { objects: seeds, gates, distances, ..Around::default() }
    };
    let on = "LiveControlPlaneMigration=true";
    check(
        "SHOOT-LIVE-MOVE",
        around("", "eu"),
        None,
        &shoot("one", true),
        &[&line("Gardener's feature gate"), &line("the shoot is new")],
    );
    check("SHOOT-LIVE-MOVE", around(on, "eu"), None, &shoot("one", true), &[&line("the shoot is new")]);
    check("SHOOT-LIVE-MOVE", around(on, "eu"), Some(&shoot("one", true)), &shoot("two", true), &[]);
    check(
        "SHOOT-LIVE-MOVE",
        around(on, "eu"),
        Some(&shoot("one", false)),
        &shoot("two", false),
        &[&line("it is not highly available")],
    );
    check("SHOOT-LIVE-MOVE", around(on, "near"), Some(&shoot("one", true)), &shoot("two", true), &[]);
    check(
        "SHOOT-LIVE-MOVE",
        around(on, "far"),
        Some(&shoot("one", true)),
        &shoot("two", true),
        &[&line("the distance from `eu` to `far` is 181, the most is 180")],
    );
    let anyway =
        with(shoot("two", true), &[("/metadata/annotations/migration.gardener.cloud~1allow-distant-regions", json!("true"))]);
    check("SHOOT-LIVE-MOVE", around(on, "far"), Some(&shoot("one", true)), &anyway, &[]);
    let asleep = with(shoot("two", true), &[("/spec/hibernation", json!({"enabled": true}))]);
    check("SHOOT-LIVE-MOVE", around(on, "eu"), Some(&shoot("one", true)), &asleep, &[&line("the cluster is hibernated")]);
    let map = json!({"metadata": {"labels": {"scheduling.gardener.cloud/purpose": "region-config"}, "annotations": {"migration.gardener.cloud/inter-region-distance-threshold": "181"}}});
    let mut wider = around(on, "far");
    wider.foreign = vec![(Foreign::new("ConfigMap", "garden", "d"), map)];
    check("SHOOT-LIVE-MOVE", wider, Some(&shoot("one", true)), &shoot("two", true), &[]);
}

#[test]
fn control_planes_move_between_seeds_that_are_alike() {
    let operation = |to: &str, shoots: Value| {
        json!({"apiVersion": "espalier.dev/v1alpha1", "kind": "Operation", "metadata": {"name": "move"},
            "spec": {"request": "migrate", "selector": {"shoots": shoots}, "args": {"seed": to}}})
    };
    let around = |changes: &[(&str, Value)]| {
        let on = shoot("prod", &[("/spec/seedName", json!("one")), ("/spec/dns/domain", json!("prod.shop.shoots.example.org"))]);
        vec![seed("one", &[]), seed("two", changes), on]
    };
    let cases: [(&[Change], &[&str]); 4] = [
        (&[], &[]),
        (&[("/spec/backup", Value::Null)], &["AdmissionError  Shoot shop/prod cannot move: Seed two has no backup"]),
        (
            &[("/spec/dns/internal/domain", json!("else.example.org"))],
            &["AdmissionError  Shoot shop/prod cannot move: the internal domain of Seed one"],
        ),
        (
            &[("/spec/dns/defaults", json!([]))],
            &["AdmissionError  Shoot shop/prod cannot move: Seed two does not offer the default domain `shoots.example.org`"],
        ),
    ];
    for (changes, expected) in cases {
        check("OPERATION-MOVE", around(changes), None, &operation("two", json!(["shop/prod"])), expected);
        check("OPERATION-MOVE", around(changes), None, &operation("two", json!(["shop/other"])), &[]);
        check("OPERATION-MOVE", around(changes), None, &operation("two", json!([])), &[]);
    }
    check(
        "OPERATION-MOVE",
        around(&[]),
        None,
        &operation("three", json!(["shop/prod"])),
        &["AdmissionError  there is no seed `three`"],
    );
}

#[test]
fn what_is_on_its_way_out_takes_nothing_new() {
    let going = ("/metadata/deletionTimestamp", json!("2026-11-20T00:00:00Z"));
    let on = |changes: &[(&str, Value)]| with(shoot("prod", &[("/spec/seedName", json!("one"))]), changes);
    let seeds = || vec![seed("one", std::slice::from_ref(&going))];
    check("SHOOT-SEED-DELETING", seeds(), None, &on(&[]), &["AdmissionError  Seed one is being deleted, and takes no shoots"]);
    check("SHOOT-SEED-DELETING", seeds(), Some(&on(&[])), &on(&[]), &[]);
    let change = on(&[("/spec/purpose", json!("testing"))]);
    check(
        "SHOOT-SEED-DELETING",
        seeds(),
        Some(&on(&[])),
        &change,
        &["AdmissionError  Seed one is being deleted, and its shoots change no more"],
    );
    let note = on(&[("/metadata/annotations/example.org~1a", json!("b"))]);
    check(
        "SHOOT-SEED-DELETING",
        seeds(),
        Some(&on(&[])),
        &note,
        &["AdmissionError  Seed one is being deleted, and the annotation `example.org/a`"],
    );
    let confirmed = on(&[("/metadata/annotations/confirmation.gardener.cloud~1deletion", json!("true"))]);
    check("SHOOT-SEED-DELETING", seeds(), Some(&on(&[])), &confirmed, &[]);

    let projects = || vec![project("shop", std::slice::from_ref(&going))];
    check("SHOOT-PROJECT-DELETING", projects(), None, &shoot("prod", &[]), &["AdmissionError  Project shop is being deleted"]);
    check("SHOOT-PROJECT-DELETING", projects(), Some(&shoot("prod", &[])), &shoot("prod", &[]), &[]);

    let moved = on(&[moving()]);
    let goodbye = with(confirmed, &[moving()]);
    check(
        "SHOOT-DELETE-MOVING",
        vec![],
        Some(&moved),
        &goodbye,
        &["AdmissionError  the control plane is being moved (Migrate is Processing)"],
    );
    check("SHOOT-DELETE-MOVING", vec![], Some(&on(&[])), &goodbye, &[]);
}

#[test]
fn namespaces_may_be_going_or_full() {
    let namespace = |phase: &str| Around {
        foreign: vec![(Foreign::new("Namespace", "", "garden-shop"), json!({"status": {"phase": phase}}))],
        ..Around::default()
    };
    check(
        "NAMESPACE-DELETING",
        namespace("Terminating"),
        None,
        &shoot("prod", &[]),
        &["AdmissionError  the namespace `garden-shop` is being deleted"],
    );
    check("NAMESPACE-DELETING", namespace("Active"), None, &shoot("prod", &[]), &[]);
    let quota = |most: &str| Around {
        objects: vec![shoot("one", &[])],
        foreign: vec![(
            Foreign::new("ResourceQuota", "garden-shop", "q"),
            json!({"metadata": {"name": "q"}, "spec": {"hard": {"count/shoots.core.gardener.cloud": most}}}),
        )],
        ..Around::default()
    };
    check(
        "NAMESPACE-FULL",
        quota("1"),
        None,
        &shoot("two", &[]),
        &["AdmissionError  the ResourceQuota `q` allows 1 of `count/shoots.core.gardener.cloud`, and 1 are there"],
    );
    check("NAMESPACE-FULL", quota("2"), None, &shoot("two", &[]), &[]);
    check("NAMESPACE-FULL", quota("1"), Some(&shoot("two", &[])), &shoot("two", &[]), &[]);
}

#[test]
fn finalizers_stay_until_their_work_is_done() {
    let ours = ("/metadata/finalizers", json!(["gardener"]));
    check(
        "SHOOT-FINALIZER",
        vec![],
        None,
        &shoot("prod", std::slice::from_ref(&ours)),
        &["FieldValueForbidden metadata.finalizers[0] a new shoot cannot have"],
    );
    check("SHOOT-FINALIZER", vec![], None, &shoot("prod", &[("/metadata/finalizers", json!(["example.org/keep"]))]), &[]);
    let there = shoot("prod", &[ours.clone(), moving()]);
    check(
        "FINALIZER-REMOVED",
        vec![],
        Some(&there),
        &shoot("prod", &[]),
        &["AdmissionError  the finalizer `gardener` cannot be removed: it is not deleted"],
    );
    let done = json!({"technicalID": "x", "lastOperation": {"type": "Delete", "state": "Succeeded", "progress": 100}});
    check("FINALIZER-REMOVED", vec![], Some(&shoot("prod", &[ours.clone(), ("/status", done)])), &shoot("prod", &[]), &[]);
    let bound = binding(std::slice::from_ref(&ours));
    check(
        "FINALIZER-REMOVED",
        vec![shoot("prod", &[])],
        Some(&bound),
        &binding(&[]),
        &["AdmissionError  the finalizer `gardener` cannot be removed: Shoot shop/prod uses it"],
    );
    check("FINALIZER-REMOVED", vec![], Some(&bound), &binding(&[]), &[]);
}

#[test]
fn rights_of_their_own_are_asked_for() {
    let nobody = || Around { authority: Authority(|_, deed| Err(format!("no {deed:?}"))), ..Around::default() };
    let pinned = shoot("prod", &[("/spec/seedName", json!("one"))]);
    let other = shoot("prod", &[("/spec/credentialsBindingName", json!("other"))]);
    let hosting = shoot("prod", &[("/spec/provider/workers/0/controlPlane", json!({}))]);
    let tolerant = project("shop", &[("/spec/tolerations", json!({"whitelist": [{"key": "a"}]}))]);
    let member = |kind: &str| json!([{"kind": kind, "name": "eve", "apiGroup": "rbac.authorization.k8s.io", "role": "admin"}]);
    let people = project("shop", &[("/spec/members", member("User"))]);
    let group = project("shop", &[("/spec/members", member("Group"))]);
    let versions =
        child(&[("/spec/kubernetes", json!({"versions": [{"version": "1.34.6", "expirationDate": "2090-01-01T00:00:00Z"}]}))]);
    let cases: [(&str, Option<Value>, &Value, &[&str]); 8] = [
        ("SHOOT-BIND-RIGHT", None, &pinned, &["AdmissionError  `spec.seedName` may not be `one` by whoever changed it: no Bind"]),
        ("SHOOT-BIND-RIGHT", Some(pinned.clone()), &pinned, &[]),
        (
            "SHOOT-CREDENTIALS-RIGHT",
            Some(shoot("prod", &[])),
            &other,
            &["AdmissionError  `spec.credentialsBindingName` may not be `other`"],
        ),
        ("SHOOT-SELFHOSTED-RIGHT", None, &hosting, &["AdmissionError  `spec.provider.workers[0].controlPlane` may not be"]),
        ("PROJECT-RIGHT", None, &tolerant, &["AdmissionError  `spec.tolerations.whitelist` may not be"]),
        ("PROJECT-RIGHT", None, &people, &["AdmissionError  `spec.members` may not be"]),
        ("PROJECT-RIGHT", None, &group, &[]),
        ("NAMESPACED-RIGHT", None, &versions, &["AdmissionError  `spec.kubernetes` may not be"]),
    ];
    for (code, old, new, expected) in cases {
        check(code, nobody(), old.as_ref(), new, expected);
        check(code, vec![], old.as_ref(), new, &[]);
    }
    assert_eq!(Deed::MarkSelfHosted.verb(), "mark-self-hosted");
}

#[test]
fn seeds_in_use_keep_what_their_shoots_need() {
    let user =
        || vec![shoot("prod", &[("/spec/seedName", json!("one")), ("/spec/dns/domain", json!("prod.shop.shoots.example.org"))])];
    let old = seed("one", &[]);
    let fewer = seed("one", &[("/spec/provider/zones", json!(["a", "b"]))]);
    check(
        "SEED-ZONE-IN-USE",
        user(),
        Some(&old),
        &fewer,
        &["AdmissionError  `c` cannot be removed: the seed is used by `Shoot shop/prod`"],
    );
    check("SEED-ZONE-IN-USE", vec![], Some(&old), &fewer, &[]);
    let moved = seed("one", &[("/spec/dns/internal/domain", json!("else.example.org"))]);
    check(
        "SEED-DOMAIN-IN-USE",
        user(),
        Some(&old),
        &moved,
        &["AdmissionError  the internal domain cannot change from `internal.example.org`"],
    );
    let domain = old.pointer("/spec/dns/internal").cloned().expect("there");
    let other = seed(
        "one",
        &[("/spec/dns/defaults", json!([with(json!({"d": domain}), &[("/d/domain", json!("x.example.org"))])["d"]]))],
    );
    check(
        "SEED-DOMAIN-IN-USE",
        user(),
        Some(&old),
        &other,
        &["AdmissionError  the default domain `shoots.example.org` cannot be removed: it is used by"],
    );
    check("SEED-DOMAIN-IN-USE", vec![], Some(&old), &other, &[]);
}

#[test]
fn what_a_seed_refers_to_is_there_and_fits() {
    let identity = |kind: &str| {
        json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "WorkloadIdentity", "metadata": {"name": "bank", "namespace": "garden"},
            "spec": {"audiences": ["a"], "targetSystem": {"type": kind}}})
    };
    let reference = json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "WorkloadIdentity", "name": "bank", "namespace": "garden"});
    let seed = seed("one", &[("/spec/backup/credentialsRef", reference)]);
    check(
        "SEED-BACKUP-IDENTITY",
        vec![identity("aws")],
        None,
        &seed,
        &["AdmissionError  WorkloadIdentity garden/bank is for `aws`, the backups are for `local`"],
    );
    check("SEED-BACKUP-IDENTITY", vec![identity("local")], None, &seed, &[]);
    check("SEED-REFERENCE", vec![identity("local")], None, &seed, &[]);
    check("SEED-REFERENCE", vec![], None, &seed, &["AdmissionError  there is no WorkloadIdentity `bank` in namespace `garden`"]);
    let all = || {
        [("ControlPlane", "local"), ("DNSRecord", "local"), ("BackupBucket", "local")].map(|(k, t)| json!({"kind": k, "type": t}))
    };
    check(
        "SEED-EXTENSION-UNKNOWN",
        vec![registration("local", json!(all()))],
        None,
        &seed,
        &["AdmissionError  no extension is responsible for BackupEntry of type `local`"],
    );
    let mut some = Vec::from(all());
    some.push(json!({"kind": "BackupEntry", "type": "local"}));
    check("SEED-EXTENSION-UNKNOWN", vec![registration("local", json!(some))], None, &seed, &[]);
    check("SEED-EXTENSION-UNKNOWN", vec![], None, &seed, &[]);
}

#[test]
fn a_managed_seed_is_what_its_shoot_is() {
    check("MANAGEDSEED-PROJECT", vec![], None, &managed("m", &[]), &[]);
    check(
        "MANAGEDSEED-PROJECT",
        vec![],
        None,
        &managed("m", &[("/metadata/namespace", json!("garden-shop"))]),
        &["FieldValueInvalid metadata.namespace a managed seed is in namespace `garden`"],
    );
    let unfit = |changes: &[(&str, Value)], expected: &[&str]| {
        check("MANAGEDSEED-SHOOT-UNFIT", vec![soil(changes)], None, &managed("m", &[]), expected);
    };
    unfit(&[], &[]);
    unfit(
        &[("/spec/dns", Value::Null)],
        &["FieldValueInvalid spec.shoot.name Shoot garden/soil cannot be a seed: it has no domain"],
    );
    unfit(
        &[("/spec/addons/nginxIngress/enabled", json!(true))],
        &["FieldValueInvalid spec.shoot.name Shoot garden/soil cannot be a seed: it has the ingress addon"],
    );
    unfit(
        &[("/spec/kubernetes/verticalPodAutoscaler/enabled", json!(false))],
        &["FieldValueInvalid spec.shoot.name Shoot garden/soil cannot be a seed: it does not autoscale"],
    );
    check("MANAGEDSEED-TWICE", vec![soil(&[]), managed("m", &[])], None, &managed("m", &[]), &[]);
    check(
        "MANAGEDSEED-TWICE",
        vec![soil(&[]), managed("n", &[])],
        None,
        &managed("m", &[]),
        &["FieldValueInvalid spec.shoot.name the shoot `soil` is ManagedSeed garden/n already"],
    );
    let differs = |path: &str, value: Value, expected: &[&str]| {
        let path = format!("{SEED}{path}");
        check("MANAGEDSEED-DIFFERS", vec![soil(&[])], None, &managed("m", &[(path.as_str(), value)]), expected);
    };
    differs("/networks", json!({"nodes": "10.250.0.0/16", "pods": "100.96.0.0/11"}), &[]);
    differs(
        "/networks",
        json!({"nodes": "10.9.0.0/16"}),
        &["FieldValueInvalid spec.gardenlet.config.seedConfig.spec.networks.nodes `networks.nodes` of the seed is `10.9.0.0/16`"],
    );
    differs("/provider/region", json!("us"), &["FieldValueInvalid spec.gardenlet.config.seedConfig.spec.provider.region"]);
    differs("/ingress", json!({"domain": "ingress.soil.example.org"}), &[]);
    differs(
        "/ingress",
        json!({"domain": "x.example.org"}),
        &["FieldValueInvalid spec.gardenlet.config.seedConfig.spec.ingress.domain"],
    );
    differs(
        "/settings",
        json!({"verticalPodAutoscaler": {"enabled": true}}),
        &["FieldValueInvalid spec.gardenlet.config.seedConfig.spec.settings.verticalPodAutoscaler.enabled"],
    );
    let zones = |zones: Value| managed("m", &[("/spec/gardenlet/config/seedConfig/spec/provider/zones", zones)]);
    check(
        "MANAGEDSEED-ZONE",
        vec![soil(&[])],
        None,
        &zones(json!(["a", "b"])),
        &["FieldValueInvalid spec.gardenlet.config.seedConfig.spec.provider.zones no pool of Shoot garden/soil is in `b`"],
    );
    check("MANAGEDSEED-ZONE", vec![soil(&[])], Some(&zones(json!(["a", "b"]))), &zones(json!(["a"])), &[]);
    let used = || vec![soil(&[]), shoot("prod", &[("/spec/seedName", json!("m"))])];
    check(
        "MANAGEDSEED-ZONE",
        used(),
        Some(&zones(json!(["a", "b"]))),
        &zones(json!(["a"])),
        &[
            "FieldValueForbidden spec.gardenlet.config.seedConfig.spec.provider.zones `b` cannot be removed: Shoot shop/prod is on the seed",
        ],
    );
}

#[test]
fn one_registration_is_responsible_for_a_type() {
    let one = |name: &str, primary: bool| registration(name, json!([{"kind": "Network", "type": "calico", "primary": primary}]));
    check(
        "REGISTRATION-TAKEN",
        vec![one("a", true)],
        None,
        &one("b", true),
        &["AdmissionError  ControllerRegistration a is responsible for Network of type `calico`"],
    );
    check("REGISTRATION-TAKEN", vec![one("a", true)], None, &one("b", false), &[]);
    check("REGISTRATION-TAKEN", vec![one("a", false)], None, &one("b", true), &[]);
    check("REGISTRATION-TAKEN", vec![one("a", true)], Some(&one("b", true)), &one("b", true), &[]);
}

#[test]
fn a_namespace_is_of_one_project() {
    let of = |name: &str, namespace: &str| project(name, &[("/spec/namespace", json!(namespace))]);
    check(
        "PROJECT-NAMESPACE-TAKEN",
        vec![project("b", &[])],
        None,
        &of("a", "garden-b"),
        &["AdmissionError  the namespace `garden-b` is of Project b"],
    );
    check(
        "PROJECT-NAMESPACE-TAKEN",
        vec![of("b", "garden-x")],
        None,
        &of("a", "garden-x"),
        &["AdmissionError  the namespace `garden-x` is of Project b"],
    );
    check("PROJECT-NAMESPACE-TAKEN", vec![project("b", &[])], None, &of("a", "garden-a"), &[]);
}

#[test]
fn a_profile_and_its_child_go_together() {
    let limits = |limits: Value| child(&[("/spec/limits", limits)]);
    check("NAMESPACED-MERGED", vec![profile(&[])], None, &limits(json!({"maxNodesTotal": 5})), &[]);
    // The one patch of 1.35 is supported by the parent; an expiration for the newest version would leave nothing to upgrade to.
    let expires =
        child(&[("/spec/kubernetes", json!({"versions": [{"version": "1.35.2", "expirationDate": "2090-01-01T00:00:00Z"}]}))]);
    check(
        "NAMESPACED-MERGED",
        vec![profile(&[])],
        None,
        &expires,
        &["AdmissionError  together with CloudProfile local, `spec.kubernetes.versions"],
    );
    let image = json!({"name": "own", "updateStrategy": "major", "versions": [{"version": "2.0.0", "cri": [{"name": "containerd"}], "architectures": ["amd64"]}]});
    let with_image = profile(&[("/spec/machineImages", json!([profile(&[])["spec"]["machineImages"][0], image]))]);
    let own = child(&[("/spec/machineImages", json!([image]))]);
    check(
        "PROFILE-CHILD",
        vec![own.clone()],
        Some(&profile(&[])),
        &with_image,
        &["AdmissionError  NamespacedCloudProfile shop/own has a machine image `own` of its own"],
    );
    check("PROFILE-CHILD", vec![child(&[])], Some(&profile(&[])), &with_image, &[]);
    check("PROFILE-CHILD", vec![own], Some(&with_image), &with_image, &[]);
    let disks = |values: Value| {
        profile(&[(
            "/spec/machineCapabilities",
            json!([{"name": "architecture", "values": ["amd64"]}, {"name": "disk", "values": values}]),
        )])
    };
    let user = child(&[(
        "/spec/machineTypes",
        json!([{"name": "big", "cpu": "2", "gpu": "0", "memory": "4Gi", "capabilities": {"disk": ["scsi"]}}]),
    )]);
    let expected = ["AdmissionError  the capability `disk=scsi` is removed, but still used by NamespacedCloudProfile shop/own"];
    check("PROFILE-CHILD", vec![user.clone()], Some(&disks(json!(["nvme", "scsi"]))), &disks(json!(["nvme"])), &expected);
    check("PROFILE-CHILD", vec![user], Some(&disks(json!(["nvme", "scsi"]))), &disks(json!(["scsi"])), &[]);
}

#[test]
fn a_flavor_of_the_image_goes_with_the_machine_type() {
    let capabilities = json!([{"name": "architecture", "values": ["amd64"]}, {"name": "disk", "values": ["nvme", "scsi"]}]);
    let flavors = json!([{"architecture": ["amd64"], "disk": ["nvme"]}]);
    let around = |disk: &str| {
        let types = json!([{"name": "small", "cpu": "2", "gpu": "0", "memory": "4Gi", "capabilities": {"architecture": ["amd64"], "disk": [disk]}}]);
        let changes = [
            ("/spec/machineCapabilities", capabilities.clone()),
            ("/spec/machineTypes", types),
            ("/spec/machineImages/0/versions/0/capabilityFlavors", flavors.clone()),
        ];
        vec![profile(&changes)]
    };
    check("SHOOT-MACHINE-CAPABILITY", around("nvme"), None, &shoot("prod", &[]), &[]);
    let expected = [
        "FieldValueInvalid spec.provider.workers[0].machine.image no flavor of machine image `linux` `1.0.0` goes with machine type `small`",
    ];
    check("SHOOT-MACHINE-CAPABILITY", around("scsi"), None, &shoot("prod", &[]), &expected);
    check("SHOOT-MACHINE-CAPABILITY", around("scsi"), Some(&shoot("prod", &[])), &shoot("prod", &[]), &[]);
}
