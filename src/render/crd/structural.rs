//! From a JSON schema to the structural OpenAPI schema that a CustomResourceDefinition demands.

use serde_json::{Map, Value, json};

use super::open;

/// The structural OpenAPI v3 form of a JSON schema: references inlined, `null` alternatives turned into `nullable`, formats and
/// keywords that CustomResourceDefinitions refuse left out, untyped values opened.
#[must_use]
pub fn structural(schema: &Value) -> Value {
    let definitions =
        schema.get("$defs").or_else(|| schema.get("definitions")).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut root = convert(schema, &definitions, &mut Vec::new());
    if let Some(map) = root.as_object_mut() {
        map.insert("type".into(), "object".into());
        map.remove("nullable");
        // What everyone may write at the root is checked by the API server itself.
        if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("apiVersion".into(), json!({"type": "string"}));
            properties.insert("kind".into(), json!({"type": "string"}));
            properties.insert("metadata".into(), json!({"type": "object"}));
            properties.insert("status".into(), open());
        }
        if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| !matches!(field.as_str(), Some("apiVersion" | "kind" | "metadata" | "status")));
            if required.is_empty() {
                map.remove("required");
            }
        }
    }
    root
}

/// Keywords that may be copied as they are.
const COPIED: [&str; 12] = [
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "enum",
    "required",
    "title",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
];

/// One subschema. `path` holds the references that are being followed, so that recursive types end in an open schema.
fn convert(schema: &Value, definitions: &Map<String, Value>, path: &mut Vec<String>) -> Value {
    let Some(map) = schema.as_object() else { return anything() };
    if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next()) {
        if path.iter().any(|known| known == name) {
            return anything();
        }
        path.push(name.to_owned());
        let mut resolved = definitions.get(name).map_or_else(anything, |target| convert(target, definitions, path));
        path.pop();
        describe(&mut resolved, map);
        return resolved;
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = map.get(keyword).and_then(Value::as_array) {
            let mut resolved = choose(keyword, choices, definitions, path);
            describe(&mut resolved, map);
            return resolved;
        }
    }
    let mut out = Map::new();
    let (kind, nullable) = kind_of(map);
    if nullable {
        out.insert("nullable".into(), true.into());
    }
    if let Some(text) = map.get("description") {
        out.insert("description".into(), text.clone());
    }
    for keyword in COPIED {
        if let Some(value) = map.get(keyword) {
            out.insert(keyword.into(), value.clone());
        }
    }
    if let Some(value) = map.get("const") {
        out.insert("enum".into(), json!([value]));
    }
    match kind.as_deref() {
        Some("object") => {
            out.insert("type".into(), "object".into());
            let properties = map.get("properties").and_then(Value::as_object).filter(|p| !p.is_empty());
            if let Some(properties) = properties {
                let converted: Map<String, Value> =
                    properties.iter().map(|(name, sub)| (name.clone(), convert(sub, definitions, path))).collect();
                out.insert("properties".into(), converted.into());
            }
            match map.get("additionalProperties") {
                Some(sub @ Value::Object(_)) if properties.is_none() => {
                    out.insert("additionalProperties".into(), convert(sub, definitions, path));
                }
                _ if properties.is_none() => {
                    out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
                }
                _ => {}
            }
        }
        Some("array") => {
            out.insert("type".into(), "array".into());
            out.insert("items".into(), map.get("items").map_or_else(anything, |items| convert(items, definitions, path)));
        }
        Some(simple) => {
            out.insert("type".into(), simple.into());
            if let Some(format) = map
                .get("format")
                .and_then(Value::as_str)
                .filter(|f| matches!(*f, "int32" | "int64" | "float" | "double" | "date-time" | "byte"))
            {
                out.insert("format".into(), format.into());
            }
        }
        None if out.contains_key("x-kubernetes-int-or-string") => {}
        None => {
            out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
    }
    out.into()
}

/// A value of which nothing is known.
fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

/// The one type of a schema, and whether it may also be null.
fn kind_of(map: &Map<String, Value>) -> (Option<String>, bool) {
    match map.get("type") {
        Some(Value::String(kind)) => (Some(kind.clone()), false),
        Some(Value::Array(kinds)) => {
            let named: Vec<&str> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            (
                match named.as_slice() {
                    [one] => Some((*one).to_owned()),
                    _ => None,
                },
                kinds.len() > named.len(),
            )
        }
        _ if map.contains_key("properties") || map.contains_key("additionalProperties") => (Some("object".into()), false),
        _ => (None, false),
    }
}

/// Alternatives: with `null`, of string constants, of a number and a string; anything else is left open.
fn choose(keyword: &str, choices: &[Value], definitions: &Map<String, Value>, path: &mut Vec<String>) -> Value {
    let null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
    let rest: Vec<&Value> = choices.iter().filter(|choice| !null(choice)).collect();
    let nullable = rest.len() < choices.len();
    let mut resolved = match rest.as_slice() {
        [one] => convert(one, definitions, path),
        many => {
            let converted: Vec<Value> = many.iter().map(|choice| convert(choice, definitions, path)).collect();
            let kinds: Vec<&str> = converted.iter().filter_map(|c| c.get("type").and_then(Value::as_str)).collect();
            let strings = kinds.len() == converted.len() && kinds.iter().all(|kind| *kind == "string");
            let numbers = kinds.len() == converted.len()
                && kinds.contains(&"string")
                && kinds.iter().all(|kind| matches!(*kind, "string" | "integer"));
            if keyword == "allOf" {
                converted.into_iter().next().unwrap_or_else(anything)
            } else if strings {
                let constants: Vec<Value> =
                    converted.iter().filter_map(|c| c.get("enum").and_then(Value::as_array)).flatten().cloned().collect();
                let closed = converted.iter().all(|c| c.get("enum").is_some());
                if closed { json!({"type": "string", "enum": constants}) } else { json!({"type": "string"}) }
            } else if numbers {
                json!({"x-kubernetes-int-or-string": true})
            } else {
                anything()
            }
        }
    };
    if nullable
        && let Some(map) = resolved.as_object_mut()
        && (map.contains_key("type") || map.contains_key("x-kubernetes-int-or-string"))
    {
        map.insert("nullable".into(), true.into());
    }
    resolved
}

/// The description nearest to the use wins.
fn describe(resolved: &mut Value, outer: &Map<String, Value>) {
    if let (Some(text), Some(map)) = (outer.get("description"), resolved.as_object_mut()) {
        map.insert("description".into(), text.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_nulls_and_choices_become_structural() {
        let schema = json!({
            "$defs": {
                "Size": {"type": "string", "pattern": "^[0-9]+$"},
                "Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}},
                "Mode": {"oneOf": [{"const": "A", "type": "string", "description": "a"}, {"const": "B", "type": "string"}]},
            },
            "type": "object",
            "required": ["apiVersion", "spec"],
            "properties": {"spec": {
                "type": "object",
                "properties": {
                    "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
                    "tree": {"$ref": "#/$defs/Tree"},
                    "mode": {"$ref": "#/$defs/Mode"},
                    "either": {"anyOf": [{"type": "integer", "format": "uint32"}, {"type": "string"}]},
                    "opaque": true,
                    "count": {"type": ["integer", "null"], "format": "int32"},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            }},
        });
        let got = structural(&schema);
        let spec = &got["properties"]["spec"]["properties"];
        assert_eq!(spec["size"], json!({"type": "string", "pattern": "^[0-9]+$", "nullable": true}));
        assert_eq!(spec["tree"]["properties"]["child"], json!({"x-kubernetes-preserve-unknown-fields": true}));
        assert_eq!(spec["mode"], json!({"type": "string", "enum": ["A", "B"]}));
        assert_eq!(spec["either"], json!({"x-kubernetes-int-or-string": true}));
        assert_eq!(spec["opaque"], json!({"x-kubernetes-preserve-unknown-fields": true}));
        assert_eq!(spec["count"], json!({"type": "integer", "format": "int32", "nullable": true}));
        assert_eq!(spec["map"]["additionalProperties"], json!({"type": "string"}));
        assert_eq!(got["required"], json!(["spec"]));
        assert!(!got.to_string().contains("$ref"));
    }
}
