//! Fields that must be text: an unquoted `1.30` or `true` in a template would silently become something else.

use std::fmt;

use serde_json::Value;

/// How to get to a value; written out only where something is wrong.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Self, &'a str),
    Key(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(of, name) => write!(f, "{of}.{name}"),
            Self::Key(of, key) => write!(f, "{of}[{key}]"),
            Self::Item(of, n) => write!(f, "{of}[{n}]"),
        }
    }
}

impl Path<'_> {
    fn is_field(self, ends: &str) -> bool {
        matches!(self, Self::Field(_, name) if name.ends_with(ends))
    }
}

/// Refuses numbers, booleans and nulls where Kubernetes has strings: labels, annotations, data, arguments, environment.
pub(super) fn check(manifest: &Value) -> Result<(), String> {
    let core = manifest["apiVersion"] == "v1";
    if core && (manifest["kind"] == "ConfigMap" || manifest["kind"] == "Secret") {
        for field in ["data", "stringData", "binaryData"] {
            texts(&manifest[field], Path::Field(&Path::Root, field))?;
        }
    }
    walk(manifest, Path::Root, false)
}

/// `of_container`: whether the path leads through a list of containers.
fn walk(value: &Value, path: Path<'_>, of_container: bool) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let here = Path::Field(&path, key);
                match key.as_str() {
                    "labels" | "annotations" if path.is_field("metadata") => texts(child, here)?,
                    "matchLabels" => texts(child, here)?,
                    "args" | "command" if of_container => texts(child, here)?,
                    "env" if of_container => {
                        for (n, env) in child.as_array().into_iter().flatten().enumerate() {
                            if let Some(value) = env.get("value") {
                                text(value, Path::Field(&Path::Item(&here, n), "value"))?;
                            }
                        }
                    }
                    // The structure of a definition's schema is not that of an object.
                    "openAPIV3Schema" => {}
                    _ => walk(child, here, of_container)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            let of_container = of_container || path.is_field("ontainers");
            items.iter().enumerate().try_for_each(|(n, item)| walk(item, Path::Item(&path, n), of_container))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn texts(value: &Value, path: Path<'_>) -> Result<(), String> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, v)| text(v, Path::Key(&path, key))),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(n, v)| text(v, Path::Item(&path, n))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn text(value: &Value, path: Path<'_>) -> Result<(), String> {
    if value.is_string() {
        return Ok(());
    }
    Err(format!("{path} is not text but `{value}`; quote it, or write it with `{{{{json …}}}}`"))
}
