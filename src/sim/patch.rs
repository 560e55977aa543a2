//! JSON merge patch and JSON patch.

use serde_json::{Map, Value};

use super::error::ApiError;

/// RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    json_patch::merge(target, patch);
}

/// RFC 6902; what is replaced and not there is added, as the real server does it.
pub(crate) fn json(target: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let wrong = || {
        let mut error = ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request");
        error.details = Some(Value::Object(Map::new()));
        error
    };
    for operation in patch.as_array().into_iter().flatten() {
        let mut operation = operation.clone();
        if let Some(fields) = operation.as_object_mut() {
            // A value that is left out is null.
            fields.entry("value").or_insert(Value::Null);
        }
        let text = |field: &str| operation.get(field).and_then(Value::as_str).unwrap_or_default();
        let inside = text("path").rsplit_once('/').and_then(|(parent, _)| target.pointer(parent)).is_some_and(Value::is_object);
        let from = text("from");
        let missing = from.rsplit_once('/').and_then(|(parent, _)| target.pointer(parent)).is_some_and(Value::is_object)
            && target.pointer(from).is_none();
        if text("op") == "test" && inside && target.pointer(text("path")).is_none() && operation["value"].is_null() {
            // Nothing is null.
            continue;
        }
        if text("op") == "copy" && missing {
            // What is not there is null.
            operation = serde_json::json!({"op": "add", "path": text("path"), "value": Value::Null});
        } else if text("op") == "replace" && inside && target.pointer(text("path")).is_none() {
            operation["op"] = "add".into();
        }
        let operation: json_patch::Patch = serde_json::from_value(Value::Array(vec![operation])).map_err(|_| wrong())?;
        json_patch::patch(target, &operation).map_err(|_| wrong())?;
    }
    Ok(())
}

/// Takes out the fields that are null, however deep.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|_, below| {
            drop_nulls(below);
            !below.is_null()
        }),
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
