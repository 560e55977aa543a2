//! OpenAPI documents: enough of them for clients to find schemas and to see that fields are validated on the server.

use serde_json::{Map, Value, json};

use super::discovery;
use super::kind::{Kind, Registry, Version};
use builtin::{METADATA, PUBLISHED, V3};

mod builtin;

/// `/openapi/v3`
pub(crate) fn index(kinds: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, version) in discovery::group_versions(kinds) {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let url = format!("/openapi/v3/{path}?hash={:016X}", kinds.edition);
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// `/openapi/v3/…`
pub(crate) fn v3(kinds: &Registry, group: &str, version: &str) -> Option<Value> {
    discovery::group_versions(kinds).iter().find(|(g, v)| g == group && v == version)?;
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for (kind, at) in of(kinds, group, version) {
        let name = definition(kind, at);
        paths.insert(path(kind, at), operations(kind, at, &format!("{V3}{name}"), true));
        schemas.insert(name, schema(kind, at));
    }
    let needed = builtin::needed(&schemas);
    schemas.extend(needed);
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes (simulated)", "version": "v1.36.0"},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

/// `/openapi/v2`
pub(crate) fn v2(kinds: &Registry) -> Value {
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for (group, version) in discovery::group_versions(kinds) {
        for (kind, at) in of(kinds, &group, &version) {
            let name = definition(kind, at);
            paths.insert(path(kind, at), operations(kind, at, &format!("#/definitions/{name}"), false));
            definitions.insert(name, schema(kind, at));
        }
    }
    let needed = builtin::needed(&definitions);
    definitions.extend(needed);
    definitions.values_mut().for_each(turn);
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes (simulated)", "version": "v1.36.0"},
        "paths": paths, "definitions": definitions,
    })
}

fn of<'a>(kinds: &'a Registry, group: &'a str, version: &'a str) -> impl Iterator<Item = (&'a Kind, &'a Version)> {
    let all = kinds.groups().filter(move |(name, _)| *name == group).flat_map(|(_, kinds)| kinds.values());
    all.filter_map(move |kind| Some((&**kind, kind.version(version)?)))
}

fn path(kind: &Kind, at: &Version) -> String {
    let root = if kind.group.is_empty() { format!("/api/{}", at.name) } else { format!("/apis/{}/{}", kind.group, at.name) };
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{root}{namespace}/{}/{{name}}", kind.plural)
}

fn definition(kind: &Kind, at: &Version) -> String {
    if let Some(name) = published(kind, at) {
        return name.clone();
    }
    let group: Vec<&str> = kind.group.split('.').rev().filter(|part| !part.is_empty()).collect();
    let group = if group.is_empty() { "io.k8s.api.core".to_owned() } else { group.join(".") };
    format!("{group}.{}.{}", at.name, kind.kind)
}

fn operations(kind: &Kind, at: &Version, reference: &str, v3: bool) -> Value {
    let text = |name: &str, place: &str, required: bool| {
        if v3 {
            json!({"name": name, "in": place, "required": required, "schema": {"type": "string", "uniqueItems": true}})
        } else {
            json!({"name": name, "in": place, "required": required, "type": "string", "uniqueItems": true})
        }
    };
    let gvk = json!({"group": kind.group, "version": at.name, "kind": kind.kind});
    let mut shared = vec![text("name", "path", true)];
    if kind.namespaced {
        shared.push(text("namespace", "path", true));
    }
    let options: Vec<Value> =
        ["dryRun", "fieldManager", "fieldValidation", "force"].map(|name| text(name, "query", false)).into();
    let answer = if v3 {
        json!({"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": reference}}}}})
    } else {
        json!({"200": {"description": "OK", "schema": {"$ref": reference}}})
    };
    let operation = |action: &str, parameters: Vec<Value>| {
        json!({
            "operationId": format!("{action}{}{}", kind.kind, at.name), "parameters": parameters, "responses": answer,
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
        })
    };
    json!({
        "parameters": shared,
        "get": operation("get", Vec::new()),
        "put": operation("put", options.clone()),
        "patch": operation("patch", options),
        "delete": operation("delete", vec![text("propagationPolicy", "query", false), text("dryRun", "query", false)]),
    })
}

/// The name under which a built-in kind is published.
fn published(kind: &Kind, at: &Version) -> Option<&'static String> {
    PUBLISHED.kinds.get(&format!("{}/{}/{}", kind.group, at.name, kind.kind))
}

fn schema(kind: &Kind, at: &Version) -> Value {
    if let Some(schema) = published(kind, at).and_then(|name| PUBLISHED.schemas.get(name)) {
        return schema.clone();
    }
    let mut schema = match &at.structure {
        Some(structure) if structure.source().is_object() => structure.source().clone(),
        _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    schema["x-kubernetes-group-version-kind"] = json!([{"group": kind.group, "version": at.name, "kind": kind.kind}]);
    // What all objects have is said of each in the same words.
    let any = PUBLISHED.schemas.get("io.k8s.api.core.v1.ConfigMap").and_then(|schema| schema.get("properties"));
    for field in ["apiVersion", "kind", "metadata"] {
        schema["properties"][field] = any.and_then(|any| any.get(field)).cloned().unwrap_or_else(|| json!({"$ref": METADATA}));
    }
    schema
}

/// References as the second version has them.
fn turn(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(V3)
            {
                *reference = format!("#/definitions/{name}");
            }
            if let Some(Value::Array(all)) = map.get_mut("allOf")
                && let [Value::Object(one)] = all.as_mut_slice()
                && let Some(reference) = one.remove("$ref")
            {
                map.remove("allOf");
                map.insert("$ref".into(), reference);
                turn(value);
                return;
            }
            if map.get("oneOf").is_some_and(Value::is_array) && !map.contains_key("properties") {
                map.remove("oneOf");
                map.insert("type".into(), "string".into());
            }
            map.values_mut().for_each(turn);
        }
        Value::Array(list) => list.iter_mut().for_each(turn),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
