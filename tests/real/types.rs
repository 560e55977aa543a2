//! The types of built-in kinds, as the real API server publishes them: `src/sim/types.txt` is written from it.
//! `RECORD=1 cargo test --test real types` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::server::{Server, assets};

/// Groups and versions whose kinds the simulated server has.
const VERSIONS: &[&str] = &[
    "v1",
    "apps/v1",
    "batch/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "policy/v1",
    "rbac.authorization.k8s.io/v1",
    "networking.k8s.io/v1",
    "coordination.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1",
    "node.k8s.io/v1",
    "admissionregistration.k8s.io/v1",
    "discovery.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "apiregistration.k8s.io/v1",
    "certificates.k8s.io/v1",
    "events.k8s.io/v1",
];

/// Types that are one value, and what they are called here.
const SCALARS: &[(&str, &str)] = &[
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "microtime"),
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "int-or-string"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "any"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "any"),
];

fn short(name: &str) -> &str {
    let prefixes =
        ["io.k8s.api.", "io.k8s.apimachinery.pkg.", "io.k8s.kube-aggregator.pkg.", "io.k8s.apiextensions-apiserver.pkg."];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

struct Types {
    all: BTreeMap<String, Value>,
    wanted: BTreeSet<String>,
    queue: Vec<String>,
}

impl Types {
    fn want(&mut self, name: &str) -> String {
        if self.wanted.insert(name.to_owned()) {
            self.queue.push(name.to_owned());
        }
        short(name).to_owned()
    }

    fn expression(&mut self, schema: &Value) -> String {
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref")).and_then(Value::as_str);
        if let Some(name) = reference.map(|reference| reference.rsplit('/').next().unwrap_or_default().to_owned()) {
            if let Some((_, scalar)) = SCALARS.iter().find(|(of, _)| **of == name) {
                return (*scalar).to_owned();
            }
            let of = self.all[&name].clone();
            if of.get("properties").is_none() {
                if of["type"] != "object" {
                    return self.expression(&of);
                }
                if of.get("additionalProperties").is_none() && name.rsplit('.').next().is_some_and(|n| n.starts_with("JSON")) {
                    return "any".to_owned();
                }
            }
            return self.want(&name);
        }
        match (text("type"), text("format")) {
            ("array", _) => format!("[{}]", self.expression(&schema["items"])),
            ("object", _) => match schema.get("additionalProperties") {
                Some(values) => format!("{{{}}}", self.expression(values)),
                None => "any".to_owned(),
            },
            ("string", "byte") => "byte".to_owned(),
            ("string", "date-time") => "time".to_owned(),
            ("string", _) => "string".to_owned(),
            ("integer", "") => "int".to_owned(),
            ("integer", format) => format.to_owned(),
            ("number", _) => "number".to_owned(),
            ("boolean", _) => "bool".to_owned(),
            _ => "any".to_owned(),
        }
    }

    fn field(&mut self, name: &str, required: bool, schema: &Value) -> String {
        let mut line = format!(" {name}{} {}", if required { "!" } else { "" }, self.expression(schema));
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("x-kubernetes-list-type") {
            "map" => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
                line.push_str(&format!(" keys={}", keys.collect::<Vec<_>>().join(",")));
            }
            "set" => line.push_str(" set"),
            _ => {}
        }
        if text("x-kubernetes-map-type") == "atomic" {
            line.push_str(" atomic");
        }
        if text("x-kubernetes-patch-strategy").contains("merge") {
            line.push_str(&format!(" merge={}", text("x-kubernetes-patch-merge-key")));
        }
        if text("x-kubernetes-patch-strategy").contains("retainKeys") {
            line.push_str(" retain");
        }
        match schema.get("default") {
            Some(Value::Object(map)) if map.is_empty() => line.push_str(" always"),
            None | Some(Value::Null) => {}
            Some(value) if *value == "" => {}
            Some(value) if *value == 0 || *value == false => line.push_str(" zero"),
            Some(value) => line.push_str(&format!(" default={value}")),
        }
        line
    }
}

async fn published(client: &kube::Client) -> String {
    let mut types = Types { all: BTreeMap::new(), wanted: BTreeSet::new(), queue: Vec::new() };
    for version in VERSIONS {
        let prefix = if version.contains('/') { "apis" } else { "api" };
        let request = http::Request::get(format!("/openapi/v3/{prefix}/{version}")).body(Vec::new()).expect("a request");
        let document: Value = client.request(request).await.expect("a document");
        let schemas = document["components"]["schemas"].as_object().expect("schemas").clone();
        types.all.extend(schemas);
    }
    let mut roots = BTreeMap::new();
    for (name, schema) in &types.all {
        for of in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |field: &str| of[field].as_str().unwrap_or_default();
            let group = if text("group").is_empty() { String::new() } else { format!("{}/", text("group")) };
            let version = format!("{group}{}", text("version"));
            let has_metadata = schema["properties"]["metadata"].to_string().contains("ObjectMeta");
            if VERSIONS.contains(&version.as_str()) && has_metadata && !text("kind").ends_with("List") {
                roots.insert(name.clone(), format!("{version}/{}", text("kind")));
            }
        }
    }
    for name in roots.keys() {
        types.want(name);
    }
    while let Some(name) = types.queue.pop() {
        let properties = types.all[&name].get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for schema in properties.values() {
            types.expression(schema);
        }
    }
    let mut names: Vec<String> = types.wanted.iter().cloned().collect();
    names.sort_by(|a, b| short(a).cmp(short(b)));
    let mut text = String::new();
    for name in names {
        let schema = types.all[&name].clone();
        text.push_str(short(&name));
        if let Some(kind) = roots.get(&name) {
            text.push_str(&format!(" kind={kind}"));
        }
        if schema["x-kubernetes-map-type"] == "atomic" {
            text.push_str(" atomic");
        }
        text.push('\n');
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (field, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            text.push_str(&types.field(field, required.contains(&field.as_str()), below));
            text.push('\n');
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_built_in_kinds_are_those_of_the_real_server() {
    let Some(assets) = assets() else { return };
    let server = Server::start(&assets).await;
    let found = published(&server.client()).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim/types.txt");
    #[allow(clippy::disallowed_methods, reason = "the variable is how a person asks for it")]
    if std::env::var("RECORD").is_ok() {
        std::fs::write(&file, &found).expect("written");
    }
    let kept = std::fs::read_to_string(&file).expect("readable");
    let different: Vec<&str> = found.lines().filter(|line| !kept.lines().any(|k| k == *line)).collect();
    assert!(found == kept, "src/sim/types.txt is not what the real server publishes: {different:#?}");
}
