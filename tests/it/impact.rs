//! What a change costs, a case for each mark and condition; and the table has every field of a shoot.

use espalier::landscape::{Kind, schema};
use espalier::plan::diff;
use espalier::plan::impact::{self, Certainty, Impact, Mark};
use serde_json::{Value, json};

fn shoot() -> Value {
    json!({
        "metadata": {"name": "a"},
        "spec": {
            "region": "eu", "cloudProfile": {"name": "p"}, "credentialsBindingName": "b", "purpose": "production",
            "kubernetes": {"version": "1.33.4", "kubeProxy": {"mode": "IPTables"}, "kubelet": {"maxPods": 110, "kubeReserved": {"cpu": "80m"}}},
            "networking": {"type": "calico", "pods": "10.0.0.0/16", "ipFamilies": ["IPv4"]},
            "hibernation": {"enabled": false},
            "provider": {"type": "aws", "workers": [
                {"name": "cpu", "minimum": 3, "maximum": 10, "maxSurge": 1, "maxUnavailable": 0, "updateStrategy": "AutoRollingUpdate", "zones": ["a"],
                 "machine": {"type": "m", "image": {"name": "linux", "version": "1.0.0"}}, "volume": {"type": "gp3", "size": "20Gi"}},
                {"name": "own", "minimum": 1, "maximum": 2, "maxSurge": 0, "maxUnavailable": 1, "updateStrategy": "AutoRollingUpdate",
                 "kubernetes": {"version": "1.32.1", "kubelet": {"cpuManagerPolicy": "none"}},
                 "machine": {"type": "m", "image": {"name": "linux", "version": "1.0.0"}}},
                {"name": "kept", "minimum": 2, "maximum": 2, "maxSurge": 0, "maxUnavailable": 1, "updateStrategy": "AutoInPlaceUpdate",
                 "machine": {"type": "m", "image": {"name": "linux", "version": "1.0.0"}}},
            ]},
        },
    })
}

/// A shoot with other values at some pointers; null takes one away.
fn with(mut shoot: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let mut at = &mut shoot;
        for key in parent.split('/').skip(1) {
            at = match at {
                Value::Array(list) => &mut list[key.parse::<usize>().expect("an index")],
                other => other.as_object_mut().expect("a map").entry(key.replace("~1", "/")).or_insert_with(|| json!({})),
            };
        }
        match (at, value) {
            (Value::Array(list), Value::Null) => drop(list.remove(key.parse().expect("an index"))),
            (Value::Array(list), value) => list.push(value.clone()),
            (Value::Object(map), Value::Null) => drop(map.remove(key)),
            (other, value) => other[key.replace("~1", "/")] = value.clone(),
        }
    }
    shoot
}

/// `rolls-nodes cpu,own`, `scales cpu?` if it is likely only; worst first.
fn told(before: &Value, after: &Value) -> Vec<String> {
    let mut all: Vec<Impact> = diff::fields(before, after).iter().flat_map(|field| impact::of(field, before, after)).collect();
    all.sort_by_key(|impact| std::cmp::Reverse(impact.mark));
    let line = |impact: &Impact| {
        let pools: Vec<&str> = impact.pools.iter().map(|pool| pool.name.as_str()).collect();
        let likely = if impact.certainty == Certainty::Likely { "?" } else { "" };
        format!("{}{likely} {}", impact.mark.word(), pools.join(",")).trim_end().to_owned()
    };
    let mut lines: Vec<String> = all.iter().filter(|impact| impact.mark > Mark::None).map(line).collect();
    lines.dedup();
    lines
}

fn case(before: &[(&str, Value)], after: &[(&str, Value)], expected: &[&str]) {
    let before = with(shoot(), before);
    let after = with(before.clone(), after);
    assert_eq!(told(&before, &after), expected, "{:?}", diff::fields(&before, &after));
}

#[test]
fn versions() {
    let version = |to: &str| [("/spec/kubernetes/version", json!(to))];
    case(&[], &version("1.34.1"), &["one-way", "rolls-nodes cpu", "in-place-nodes kept", "restarts-control-plane"]);
    case(&[], &version("1.33.7"), &["one-way", "restarts-control-plane", "restarts-kubelet cpu,kept"]);
    let own = |to: &str| [("/spec/provider/workers/1/kubernetes/version", json!(to))];
    case(&[], &own("1.33.4"), &["one-way", "rolls-nodes own"]);
    case(&[], &own("1.32.9"), &["one-way", "restarts-kubelet own"]);
    case(&[], &[("/spec/provider/workers/1/kubernetes/version", json!(null))], &["one-way", "rolls-nodes own"]);
}

#[test]
fn nodes() {
    let rolls =
        |pointer: &str, value: Value| case(&[], &[(&format!("/spec/provider/workers/0/{pointer}"), value)], &["rolls-nodes cpu"]);
    rolls("machine/type", json!("l"));
    rolls("machine/image/name", json!("suse"));
    rolls("machine/image/version", json!("1.0.1"));
    rolls("volume/size", json!("30Gi"));
    rolls("volume/type", json!("io2"));
    rolls("cri/name", json!("containerd"));
    rolls("kubernetes/kubelet", json!({"cpuManagerPolicy": "static"}));
    case(&[], &[("/spec/provider/workers/0/providerConfig", json!({"x": 1}))], &["rolls-nodes? cpu"]);
    case(&[], &[("/spec/provider/workers/2/machine/image/version", json!("1.1.0"))], &["in-place-nodes kept"]);
    case(
        &[],
        &[("/spec/kubernetes/kubelet/evictionHard", json!({"memoryAvailable": "5%"}))],
        &["rolls-nodes cpu", "in-place-nodes kept"],
    );
    case(&[], &[("/spec/kubernetes/kubelet/kubeReserved/cpu", json!("90m"))], &["rolls-nodes cpu", "in-place-nodes kept"]);
    let moved = [
        ("/spec/kubernetes/kubelet/kubeReserved/cpu", json!("50m")),
        ("/spec/kubernetes/kubelet/systemReserved", json!({"cpu": "30m"})),
    ];
    case(&[], &moved, &[]);
    case(&[], &[("/spec/kubernetes/kubelet/maxPods", json!(60))], &["restarts-kubelet cpu,kept"]);
    case(&[], &[("/spec/provider/workers/1/kubernetes/kubelet/maxPods", json!(60))], &["restarts-kubelet own"]);
    let local = [("/spec/systemComponents/nodeLocalDNS/enabled", json!(true))];
    case(&[], &local, &["rolls-nodes cpu,own", "in-place-nodes kept"]);
    let newer = [("/spec/kubernetes/version", json!("1.34.1"))];
    case(&newer, &local, &[]);
    case(
        &[newer[0].clone(), ("/spec/kubernetes/kubeProxy/mode", json!("IPVS"))],
        &local,
        &["rolls-nodes cpu,own", "in-place-nodes kept"],
    );
    let rotation = [("/metadata/annotations/gardener.cloud~1operation", json!("rotate-ca-start"))];
    case(&[], &rotation, &["rolls-nodes cpu,own", "in-place-nodes kept"]);
    case(&[], &[("/metadata/annotations/gardener.cloud~1operation", json!("rotate-ca-start-without-workers-rollout"))], &[]);
}

#[test]
fn pools() {
    let pool = shoot()["spec"]["provider"]["workers"][0].clone();
    let renamed = with(pool.clone(), &[("/name", json!("compute"))]);
    case(&[], &[("/spec/provider/workers/0/name", json!("compute"))], &["recreates cpu"]);
    case(&[], &[("/spec/provider/workers/0", json!(null))], &["recreates cpu"]);
    case(&[], &[("/spec/provider/workers/3", renamed)], &["scales compute"]);
    case(&[], &[("/spec/provider/workers/0/maximum", json!(14))], &["scales cpu"]);
    case(&[], &[("/spec/provider/workers/0/minimum", json!(1))], &["scales cpu"]);
    case(&[], &[("/spec/provider/workers/0/zones", json!(["a", "b"]))], &["one-way", "scales cpu"]);
    case(&[], &[("/spec/provider/workers/0/zones", json!([]))], &["forbidden?"]);
    for quiet in ["labels", "annotations"] {
        case(&[], &[(&format!("/spec/provider/workers/0/{quiet}"), json!({"a": "b"}))], &[]);
    }
    case(&[], &[("/spec/provider/workers/0/taints", json!([{"key": "a", "effect": "NoSchedule"}]))], &[]);
    let found = diff::fields(&shoot(), &with(shoot(), &[("/spec/provider/workers/0/machine/type", json!("l"))]));
    let told = impact::of(&found[0], &shoot(), &with(shoot(), &[("/spec/provider/workers/0/machine/type", json!("l"))]));
    let pool = &told[0].pools[0];
    assert_eq!((pool.minimum, pool.maximum, pool.max_surge.as_str(), pool.max_unavailable.as_str()), (3, 10, "1", "0"));
}

#[test]
fn control_planes() {
    let ha = |kind: &str| [("/spec/controlPlane/highAvailability/failureTolerance/type", json!(kind))];
    case(&[], &ha("node"), &["one-way", "api-downtime"]);
    case(&ha("node"), &ha("zone"), &["forbidden"]);
    case(&[], &[("/spec/kubernetes/kubeAPIServer/requests", json!({"maxMutatingInflight": 300}))], &["restarts-control-plane"]);
    case(&[], &[("/spec/kubernetes/kubeAPIServer/featureGates", json!({"A": true}))], &["restarts-control-plane"]);
    case(&[], &[("/spec/kubernetes/kubeScheduler/profile", json!("bin-packing"))], &["restarts-control-plane"]);
    let etcd = [("/spec/kubernetes/etcd/main/autoscaling/minAllowed", json!({"memory": "1Gi"}))];
    case(&[], &etcd, &["api-downtime"]);
    case(&ha("node"), &etcd, &["restarts-control-plane"]);
    case(&[("/spec/seedName", json!("one"))], &[("/spec/seedName", json!("two"))], &["api-downtime"]);
    case(&[], &[("/spec/seedName", json!("one"))], &[]);
    case(&[], &[("/spec/hibernation/enabled", json!(true))], &["api-downtime", "workload-stops"]);
    case(&[("/spec/hibernation/enabled", json!(true))], &[("/spec/hibernation/enabled", json!(false))], &["scales cpu,own,kept"]);
}

#[test]
fn what_is_for_life() {
    let region = [("/spec/region", json!("us"))];
    case(&[], &region, &["forbidden"]);
    case(&[], &[("/spec/provider/type", json!("gcp"))], &["forbidden"]);
    case(&[], &[("/spec/networking/pods", json!("10.1.0.0/16"))], &["forbidden"]);
    case(&[], &[("/spec/networking/services", json!("10.2.0.0/16"))], &[]);
    case(&[], &[("/spec/networking/type", json!("cilium"))], &["forbidden"]);
    case(&[], &[("/spec/kubernetes/kubeControllerManager/nodeCIDRMaskSize", json!(25))], &["forbidden"]);
    case(&[("/spec/dns/domain", json!("a.b"))], &[("/spec/dns/domain", json!("c.d"))], &["forbidden"]);
    case(&[], &[("/spec/dns/domain", json!("c.d"))], &[]);
    case(&[], &[("/spec/credentialsBindingName", json!(null))], &["forbidden"]);
    case(&[("/spec/credentialsBindingName", json!(null))], &[("/spec/credentialsBindingName", json!("b"))], &["one-way"]);
    case(&[], &[("/spec/credentialsBindingName", json!("c"))], &[]);
    case(&[], &[("/spec/networking/ipFamilies", json!(["IPv4", "IPv6"]))], &["rolls-nodes? cpu,own", "in-place-nodes? kept"]);
    case(&[], &[("/spec/networking/ipFamilies", json!(["IPv6"]))], &["forbidden"]);
    case(&[], &[("/spec/provider/workers/0/updateStrategy", json!("AutoInPlaceUpdate"))], &["forbidden"]);
    case(&[], &[("/spec/purpose", json!("testing")), ("/metadata/labels", json!({"a": "b"}))], &[]);
}

/// The fields of a shoot that hold single values, lists of them, or what a provider reads: as keys, `[]` for items.
fn fields() -> Vec<Vec<String>> {
    fn walk(schema: &Value, root: &Value, path: &[String], out: &mut Vec<Vec<String>>) {
        let at = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).expect("it is defined"),
            None => schema,
        };
        let below = |key: &str| [path, &[key.to_owned()]].concat();
        if let Some(Value::Object(fields)) = at.get("properties") {
            fields.iter().for_each(|(key, field)| walk(field, root, &below(key), out));
        } else if let Some(items) = at.get("items").filter(|items| items.get("$ref").is_some()) {
            walk(items, root, &below("[]"), out);
        } else if at.get("additionalProperties").is_some_and(Value::is_object) {
            out.push(below("any"));
        } else {
            out.push(path.to_vec());
        }
    }
    let root = schema::json_schema(Kind::Shoot);
    let mut out = Vec::new();
    walk(&root["properties"]["spec"], &root, &["spec".to_owned()], &mut out);
    out
}

#[test]
fn every_field_is_in_the_table() {
    let fields = fields();
    assert!(fields.len() > 300, "{} fields", fields.len());
    let speaking = |path: &Vec<String>| impact::speaking(&path.iter().map(String::as_str).collect::<Vec<_>>()).count();
    let silent: Vec<String> = fields.iter().filter(|path| speaking(path) == 0).map(|path| path.join(".")).collect();
    assert!(silent.is_empty(), "nothing is said about {silent:#?}");
    for row in impact::all() {
        let known = row.field.starts_with("metadata")
            || row.field == "spec.provider.workers[]"
            || fields.iter().any(|path| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                // A row may speak for a map or list as a whole, and for a field above what a provider reads.
                (1..=path.len()).any(|n| impact::speaking(&path[..n]).any(|other| std::ptr::eq(other, row)))
            });
        assert!(known, "no shoot has {}", row.field);
        assert!(!row.why.is_empty() && !row.source.is_empty(), "{}", row.field);
    }
}

#[test]
fn marks_are_ordered_and_read_as_they_are_written() {
    assert!(Mark::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    for mark in Mark::ALL {
        assert_eq!(mark.word().parse::<Mark>(), Ok(mark));
        assert_eq!(json!(mark), json!(mark.word()));
    }
    assert!("rolls".parse::<Mark>().expect_err("no mark").contains("rolls-nodes"));
}
