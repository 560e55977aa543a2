//! Random objects of the kinds that sequences are about: mostly right, now and then wrong.

use fastrand::Rng;
use serde_json::{Map, Value, json};

pub(super) fn maybe(random: &mut Rng, percent: u32) -> bool {
    random.u32(0..100) < percent
}

pub(super) fn one_of<T: Copy>(random: &mut Rng, list: &[T]) -> T {
    list[random.usize(0..list.len())]
}

/// A field that is there in so many cases of a hundred.
fn field(random: &mut Rng, map: &mut Map<String, Value>, percent: u32, name: &str, value: impl FnOnce(&mut Rng) -> Value) {
    if maybe(random, percent) {
        let value = value(random);
        map.insert(name.to_owned(), value);
    }
}

/// Some keys with some values.
fn pairs(random: &mut Rng, keys: &[&str], values: &[&str]) -> Value {
    let mut map = Map::new();
    for key in keys {
        field(random, &mut map, 45, key, |random| one_of(random, values).into());
    }
    Value::Object(map)
}

/// Some items, in any order.
fn some(random: &mut Rng, percent: u32, items: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = items.into_iter().filter(|_| maybe(random, percent)).collect();
    random.shuffle(&mut kept);
    kept
}

/// An object with everything that its kind asks for.
pub(super) fn whole(random: &mut Rng, kind: &str) -> Value {
    let mut body = json!({});
    if maybe(random, 45) {
        body["metadata"] = metadata(random);
    }
    match kind {
        "cm" => data(random, &mut body),
        "deploy" => {
            let mut spec = deployment(random);
            spec.insert("selector".into(), json!({"matchLabels": {"app": "a"}}));
            let mut labels = json!({"app": "a"});
            if maybe(random, 20) {
                labels["x"] = one_of(random, &["1", "2"]).into();
            }
            let mut template = spec.remove("template").unwrap_or_else(|| json!({}));
            template["metadata"]["labels"] = labels;
            let list = template["spec"]["containers"].as_array().cloned().unwrap_or_default();
            let mut list: Vec<Value> = list.into_iter().filter(|item| item.get("name").is_some()).collect();
            for item in &mut list {
                item["image"] = one_of(random, &["i:1", "i:2", "j"]).into();
            }
            if list.is_empty() {
                list.push(json!({"name": "c", "image": one_of(random, &["i:1", "i:2"])}));
            }
            template["spec"]["containers"] = list.into();
            spec.insert("template".into(), template);
            body["spec"] = Value::Object(spec);
        }
        _ => {
            let mut spec = widget(random);
            spec.insert("size".into(), if maybe(random, 93) { random.u32(1..4).into() } else { wrong_size(random) });
            body["spec"] = Value::Object(spec);
        }
    }
    if kind != "cm" && maybe(random, 6) {
        body["status"] = status(random, kind);
    }
    body
}

/// Some of what an object may have.
pub(super) fn part(random: &mut Rng, kind: &str) -> Value {
    let mut body = json!({});
    if maybe(random, 35) {
        body["metadata"] = metadata(random);
    }
    match kind {
        "cm" => data(random, &mut body),
        "deploy" => {
            let mut spec = deployment(random);
            field(random, &mut spec, 4, "selector", |_| json!({"matchLabels": {"app": "b"}}));
            body["spec"] = Value::Object(spec);
        }
        _ => {
            let mut spec = widget(random);
            field(random, &mut spec, 30, "size", |random| random.u32(0..4).into());
            body["spec"] = Value::Object(spec);
        }
    }
    body
}

pub(super) fn metadata(random: &mut Rng) -> Value {
    let mut map = Map::new();
    field(random, &mut map, 55, "labels", |random| pairs(random, &["x", "y", "z"], &["1", "2"]));
    field(random, &mut map, 35, "annotations", |random| pairs(random, &["p", "example.org/q"], &["1", "2", ""]));
    field(random, &mut map, 20, "finalizers", |random| {
        let list = vec![json!("example.org/f"), json!("example.org/g")];
        some(random, 55, list).into()
    });
    field(random, &mut map, 12, "ownerReferences", |random| {
        let owner = |n: u32| {
            let uid = format!("0000000{n}-0000-4000-8000-000000000000");
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": format!("o{n}"), "uid": uid})
        };
        let mut list = some(random, 60, vec![owner(1), owner(2)]);
        for item in &mut list {
            match random.u32(0..8) {
                0 => item["controller"] = true.into(),
                1 => item["blockOwnerDeletion"] = true.into(),
                _ => {}
            }
        }
        list.into()
    });
    field(random, &mut map, 3, "labels", |_| json!({"x": "not a value!"}));
    field(random, &mut map, 3, "colour", |_| "red".into());
    Value::Object(map)
}

fn data(random: &mut Rng, body: &mut Value) {
    let map = body.as_object_mut().expect("an object");
    // Whether a map is empty or not there is the same to everything but the refusal of a change to what is immutable.
    let full = |mut value: Value, key: &str, text: &str| {
        if value == json!({}) {
            value[key] = text.into();
        }
        value
    };
    field(random, map, 80, "data", |random| full(pairs(random, &["a", "b", "c"], &["1", "2", ""]), "a", "1"));
    field(random, map, 15, "binaryData", |random| full(pairs(random, &["e", "f"], &["MQ==", "Mg=="]), "e", "MQ=="));
    field(random, map, 6, "immutable", |random| random.bool().into());
    field(random, map, 4, "colour", |_| "red".into());
    field(random, map, 2, "data", |_| json!({"a": 1}));
}

fn deployment(random: &mut Rng) -> Map<String, Value> {
    let mut spec = Map::new();
    field(random, &mut spec, 40, "replicas", |random| random.u32(0..4).into());
    field(random, &mut spec, 15, "minReadySeconds", |random| random.u32(0..3).into());
    field(random, &mut spec, 10, "paused", |random| random.bool().into());
    field(random, &mut spec, 10, "revisionHistoryLimit", |random| random.u32(1..4).into());
    field(random, &mut spec, 15, "strategy", |random| match random.u32(0..4) {
        0 => json!({"type": "RollingUpdate"}),
        1 => json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
        2 => json!({"rollingUpdate": {"maxUnavailable": "50%"}}),
        _ => json!({"type": "Recreate"}),
    });
    field(random, &mut spec, 3, "colour", |_| "red".into());
    let mut pod = Map::new();
    field(random, &mut pod, 50, "containers", |random| {
        let mut list = Vec::new();
        for name in ["c", "d"] {
            if maybe(random, 60) {
                list.push(container(random, name));
            }
        }
        random.shuffle(&mut list);
        list.into()
    });
    field(random, &mut pod, 20, "volumes", |random| {
        let list = vec![
            json!({"name": "v", "emptyDir": {}}),
            json!({"name": "w", "configMap": {"name": "m"}}),
            json!({"name": "u", "secret": {"secretName": "s"}}),
        ];
        some(random, 50, list).into()
    });
    field(random, &mut pod, 15, "nodeSelector", |random| pairs(random, &["x", "y"], &["1", "2"]));
    field(random, &mut pod, 15, "tolerations", |random| {
        some(random, 60, vec![json!({"key": "k", "operator": "Exists"}), json!({"key": "l", "operator": "Exists"})]).into()
    });
    field(random, &mut pod, 10, "serviceAccountName", |random| one_of(random, &["s", "t"]).into());
    field(random, &mut pod, 10, "securityContext", |random| match random.u32(0..2) {
        0 => json!({"runAsUser": 1}),
        _ => json!({"runAsNonRoot": true, "fsGroup": 2}),
    });
    field(random, &mut pod, 10, "imagePullSecrets", |random| {
        some(random, 60, vec![json!({"name": "r"}), json!({"name": "q"})]).into()
    });
    field(random, &mut pod, 8, "terminationGracePeriodSeconds", |random| random.u32(0..3).into());
    let mut template = Map::new();
    field(random, &mut template, 15, "metadata", |random| json!({"annotations": pairs(random, &["p", "q"], &["1", "2"])}));
    if !pod.is_empty() {
        template.insert("spec".into(), Value::Object(pod));
    }
    if !template.is_empty() {
        spec.insert("template".into(), Value::Object(template));
    }
    spec
}

fn container(random: &mut Rng, name: &str) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), name.into());
    field(random, &mut map, 60, "image", |random| one_of(random, &["i:1", "i:2", "j"]).into());
    field(random, &mut map, 25, "env", |random| {
        let mut list = Vec::new();
        for name in ["A", "B", "C"] {
            if maybe(random, 50) {
                list.push(match random.u32(0..5) {
                    0 => json!({"name": name, "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}),
                    1 => json!({"name": name}),
                    _ => json!({"name": name, "value": one_of(random, &["1", "2"])}),
                });
            }
        }
        random.shuffle(&mut list);
        list.into()
    });
    field(random, &mut map, 20, "ports", |random| {
        let list = vec![
            json!({"containerPort": 80}),
            json!({"containerPort": 80, "protocol": "UDP"}),
            json!({"containerPort": 81, "name": "p", "protocol": "TCP"}),
        ];
        some(random, 50, list).into()
    });
    field(random, &mut map, 15, "args", |random| some(random, 60, vec![json!("a"), json!("b"), json!("c")]).into());
    field(random, &mut map, 15, "resources", |random| match random.u32(0..3) {
        0 => json!({"requests": {"cpu": "100m"}}),
        1 => json!({"requests": {"memory": "1024Mi"}, "limits": {"memory": "1Gi"}}),
        _ => json!({"limits": {"cpu": 1}}),
    });
    field(random, &mut map, 8, "livenessProbe", |random| match random.u32(0..2) {
        0 => json!({"httpGet": {"path": "/x", "port": 80}}),
        _ => json!({"exec": {"command": ["x"]}, "periodSeconds": 5}),
    });
    Value::Object(map)
}

fn wrong_size(random: &mut Rng) -> Value {
    match random.u32(0..4) {
        0 => 0.into(),
        1 => 101.into(),
        2 => "big".into(),
        _ => Value::Null,
    }
}

fn widget(random: &mut Rng) -> Map<String, Value> {
    let mut spec = Map::new();
    let map = &mut spec;
    field(random, map, 12, "min", |random| random.u32(0..4).into());
    field(random, map, 12, "max", |random| random.u32(0..4).into());
    field(random, map, 5, "flavour", |random| one_of(random, &["none", "sweet"]).into());
    field(random, map, 15, "replicas", |random| random.u32(0..4).into());
    field(random, map, 20, "colour", |random| one_of(random, &["red", "green", "blue", "red", "pink"]).into());
    field(random, map, 6, "ratio", |random| pick(random, &[json!(0.5), json!(1), json!(2.0)]));
    field(random, map, 4, "even", |random| random.u32(0..3).into());
    field(random, map, 6, "on", |random| random.bool().into());
    field(random, map, 8, "port", |random| pick(random, &[json!(80), json!("http")]));
    field(random, map, 6, "name", |random| one_of(random, &["ab", "cd", "a", "AB"]).into());
    field(random, map, 8, "fixed", |random| one_of(random, &["u", "u", "v"]).into());
    field(random, map, 8, "maybe", |random| pick(random, &[Value::Null, json!("m")]));
    field(random, map, 8, "maybeDefaulted", |random| pick(random, &[Value::Null, json!("m")]));
    field(random, map, 12, "defaulted", |random| pick(random, &[json!({}), json!({"a": 2}), json!({"b": "b"})]));
    field(random, map, 10, "nested", |random| pick(random, &[json!({"must": "m"}), json!({"must": "m", "c": false}), json!({})]));
    field(random, map, 30, "parts", |random| {
        let mut list = Vec::new();
        for id in ["a", "b", "c"] {
            if maybe(random, 50) {
                let mut part = Map::new();
                part.insert("id".into(), id.into());
                field(random, &mut part, 45, "weight", |random| random.u32(1..3).into());
                field(random, &mut part, 20, "colour", |random| one_of(random, &["grey", "gold"]).into());
                field(random, &mut part, 20, "labels", |random| pairs(random, &["x", "y"], &["1", "2"]));
                list.push(Value::Object(part));
            }
        }
        if maybe(random, 4) {
            list.push(pick(random, &[json!({"id": "a"}), json!({"weight": 1})]));
        }
        random.shuffle(&mut list);
        list.into()
    });
    field(random, map, 18, "doors", |random| {
        let list = vec![
            json!({"port": 80}),
            json!({"port": 80, "protocol": "UDP"}),
            json!({"port": 81, "note": "n"}),
            json!({"port": 81, "protocol": "TCP", "note": "o"}),
        ];
        some(random, 40, list).into()
    });
    field(random, map, 25, "tags", |random| {
        let mut list = some(random, 50, vec![json!("a"), json!("b"), json!("c")]);
        if maybe(random, 4) {
            list.push("a".into());
        }
        list.into()
    });
    field(random, map, 15, "steps", |random| some(random, 60, vec![json!("a"), json!("b")]).into());
    field(random, map, 15, "shelves", |random| {
        some(random, 60, vec![json!({"n": 1}), json!({"n": 2, "m": 1}), json!({})]).into()
    });
    field(random, map, 20, "pairs", |random| pairs(random, &["k", "l", "m", "n"], &["1", "2"]));
    field(random, map, 12, "counts", |random| {
        pick(random, &[json!({"a": {"n": 1}}), json!({"a": {}, "b": {"n": 2}}), json!({"b": {"n": 1}}), json!({})])
    });
    field(random, map, 15, "whole", |random| pairs(random, &["a", "b"], &["1", "2"]));
    field(random, map, 8, "either", |random| {
        pick(random, &[json!({"x": 1}), json!({"y": 1}), json!({"x": 1, "y": 1}), json!({})])
    });
    field(random, map, 12, "free", |random| {
        pick(random, &[json!({"known": 1}), json!({"other": {"deep": 1}}), json!({"list": [1, 2]}), json!({"other": {}})])
    });
    field(random, map, 8, "raw", |random| {
        pick(random, &[json!(1), json!({"a": {"b": 1}}), json!(["x"]), json!({"a": {"c": 1}})])
    });
    field(random, map, 5, "unheard", |random| pick(random, &[json!(1), json!({"of": 1})]));
    spec
}

fn pick(random: &mut Rng, list: &[Value]) -> Value {
    list[random.usize(0..list.len())].clone()
}

pub(super) fn status(random: &mut Rng, kind: &str) -> Value {
    let mut map = Map::new();
    field(random, &mut map, 50, "replicas", |random| random.u32(0..3).into());
    if kind == "w" {
        field(random, &mut map, 30, "phase", |random| one_of(random, &["New", "Old"]).into());
        field(random, &mut map, 15, "selector", |_| "a=b".into());
        field(random, &mut map, 5, "unheard", |_| 1.into());
    }
    field(random, &mut map, 50, "conditions", |random| {
        let mut list = Vec::new();
        for of in ["Ready", "Good"] {
            if maybe(random, 60) {
                let mut condition = json!({"type": of, "status": one_of(random, &["True", "False"])});
                if maybe(random, 40) {
                    condition["reason"] = one_of(random, &["A", "B"]).into();
                }
                list.push(condition);
            }
        }
        random.shuffle(&mut list);
        list.into()
    });
    Value::Object(map)
}
