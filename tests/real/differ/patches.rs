//! Random patches.

use fastrand::Rng;
use serde_json::{Value, json};

use super::bodies::{self, maybe, one_of};

/// Sets some fields to null.
pub(super) fn nullify(random: &mut Rng, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (_, below) in map.iter_mut() {
        if maybe(random, 12) {
            *below = Value::Null;
        } else {
            nullify(random, below);
        }
    }
}

/// Puts directives of strategic merge patches into a body.
pub(super) fn direct(random: &mut Rng, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (_, below) in map.iter_mut() {
                if maybe(random, 8) {
                    *below = Value::Null;
                } else {
                    direct(random, below);
                }
            }
            if map.contains_key("finalizers") && maybe(random, 25) {
                let gone = map.remove("finalizers").unwrap_or_default();
                map.insert("$deleteFromPrimitiveList/finalizers".into(), gone);
            }
            for (list, key) in [("containers", "name"), ("env", "name"), ("volumes", "name"), ("finalizers", "")] {
                let Some(items) = map.get(list).and_then(Value::as_array).filter(|_| maybe(random, 15)) else { continue };
                let mut order: Vec<Value> =
                    items.iter().map(|item| if key.is_empty() { item.clone() } else { json!({key: item[key]}) }).collect();
                if list == "containers" && !order.contains(&json!({"name": "c"})) {
                    order.push(json!({"name": "c"}));
                }
                random.shuffle(&mut order);
                map.insert(format!("$setElementOrder/{list}"), order.into());
            }
            if map.contains_key("rollingUpdate") && maybe(random, 20) {
                map.insert("$patch".into(), "replace".into());
            }
            if map.contains_key("type") && maybe(random, 40) {
                map.insert("$retainKeys".into(), json!(["type"]));
            }
            if map.contains_key("annotations") && maybe(random, 3) {
                map.insert("labels".into(), json!({"$patch": "replace", "y": "1"}));
            }
        }
        Value::Array(list) => {
            for item in list.iter_mut() {
                match item.get("name").cloned() {
                    Some(name) if maybe(random, 15) => *item = json!({"$patch": "delete", "name": name}),
                    _ => direct(random, item),
                }
            }
            if list.iter().all(|item| item.get("name").is_some()) && maybe(random, 5) {
                list.push(json!({"$patch": "replace"}));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One to three operations of a JSON patch.
pub(super) fn json(random: &mut Rng, kind: &str) -> Value {
    (0..random.usize(1..4)).map(|_| operation(random, kind)).collect()
}

fn operation(random: &mut Rng, kind: &str) -> Value {
    let common =
        ["/metadata/labels", "/metadata/labels/x", "/metadata/annotations/p", "/metadata/finalizers", "/metadata/finalizers/0"];
    let own: &[&str] = match kind {
        "cm" => &["/data", "/data/a", "/data/b", "/immutable", "/binaryData/e"],
        "deploy" => &[
            "/spec/replicas",
            "/spec/template/spec/containers/0/image",
            "/spec/template/spec/containers/-",
            "/spec/template/spec/containers/1",
            "/spec/template/spec/nodeSelector/x",
            "/spec/template/metadata/annotations",
            "/spec/paused",
        ],
        _ => &[
            "/spec/size",
            "/spec/parts/0",
            "/spec/parts/-",
            "/spec/parts/0/weight",
            "/spec/tags/-",
            "/spec/tags/0",
            "/spec/pairs/k",
            "/spec/pairs",
            "/spec/colour",
            "/spec/whole/a",
            "/spec/steps/0",
            "/spec/free/other",
        ],
    };
    let path = if maybe(random, 35) { one_of(random, &common) } else { one_of(random, own) };
    match random.u32(0..10) {
        0..5 => json!({"op": one_of(random, &["add", "add", "replace"]), "path": path, "value": value(random, kind, path)}),
        5..8 => json!({"op": "remove", "path": path}),
        8 => json!({"op": "test", "path": path, "value": value(random, kind, path)}),
        _ => {
            let from = one_of(random, own);
            json!({"op": one_of(random, &["copy", "move"]), "from": from, "path": path})
        }
    }
}

fn value(random: &mut Rng, kind: &str, path: &str) -> Value {
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "labels" | "annotations" | "data" | "pairs" => json!({"x": one_of(random, &["1", "2"])}),
        "finalizers" => json!(["example.org/f"]),
        "immutable" | "paused" => random.bool().into(),
        "replicas" | "size" | "weight" => random.u32(1..4).into(),
        "e" => "MQ==".into(),
        "image" => one_of(random, &["i:1", "i:2"]).into(),
        "colour" => one_of(random, &["red", "green", "pink"]).into(),
        "other" => json!({"deep": random.u32(0..3)}),
        _ if path.contains("containers") => json!({"name": one_of(random, &["c", "d", "e"]), "image": "i:1"}),
        _ if path.contains("parts") => json!({"id": one_of(random, &["a", "b"]), "weight": random.u32(0..3)}),
        _ if path.contains("finalizers") => "example.org/g".into(),
        _ if maybe(random, 5) => bodies::metadata(random),
        _ if kind == "w" && maybe(random, 5) => Value::Null,
        _ => one_of(random, &["1", "2", "a"]).into(),
    }
}
