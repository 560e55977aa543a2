//! Fields that must be text: an unquoted `1.30` or `true` in a template would silently become something else.

use serde_json::Value;

/// Refuses numbers, booleans and nulls where Kubernetes has strings: labels, annotations, data, arguments, environment.
pub(super) fn check(manifest: &Value) -> Result<(), String> {
    let core = manifest["apiVersion"] == "v1";
    if core && (manifest["kind"] == "ConfigMap" || manifest["kind"] == "Secret") {
        for field in ["data", "stringData", "binaryData"] {
            texts(&manifest[field], field)?;
        }
    }
    walk(manifest, "")
}

fn walk(value: &Value, path: &str) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let here = format!("{path}.{key}");
                match key.as_str() {
                    "labels" | "annotations" if path.ends_with("metadata") => texts(child, &here)?,
                    "matchLabels" => texts(child, &here)?,
                    "args" | "command" if path.contains("ontainers[") => texts(child, &here)?,
                    "env" if path.contains("ontainers[") => {
                        for (n, env) in child.as_array().into_iter().flatten().enumerate() {
                            if let Some(value) = env.get("value") {
                                text(value, &format!("{here}[{n}].value"))?;
                            }
                        }
                    }
                    // The structure of a definition's schema is not that of an object.
                    "openAPIV3Schema" => {}
                    _ => walk(child, &here)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(n, item)| walk(item, &format!("{path}[{n}]"))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn texts(value: &Value, path: &str) -> Result<(), String> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, v)| text(v, &format!("{path}[{key}]"))),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(n, v)| text(v, &format!("{path}[{n}]"))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn text(value: &Value, path: &str) -> Result<(), String> {
    if value.is_string() {
        return Ok(());
    }
    Err(format!("{} is not text but `{value}`; quote it, or write it with `{{{{json …}}}}`", path.trim_start_matches('.')))
}
