//! The three patches that are not apply: JSON merge patch, JSON patch, and strategic merge patch for built-in kinds.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::shape::{Merge, Shape};

/// RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    json_patch::merge(target, patch);
}

/// RFC 6902.
pub(crate) fn json(target: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    json_patch::patch(target, &patch).map_err(|error| {
        ApiError::new(422, "Invalid", format!("the server rejected our request due to an error in our request: {error}"))
    })
}

/// Strategic merge patch of a built-in kind.
pub(crate) fn strategic(target: &Value, patch: &Value, kind: &str) -> Value {
    match (target, patch) {
        (Value::Object(_), Value::Object(_)) => lay(target, patch, Shape::root(kind, None), true),
        _ => patch.clone(),
    }
}

fn lay<'a>(target: &'a Value, patch: &'a Value, shape: Shape<'a>, at_root: bool) -> Value {
    let (Value::Object(old), Value::Object(new)) = (target, patch) else { return clean(patch) };
    match new.get("$patch").and_then(Value::as_str) {
        Some("replace") => return clean(patch),
        Some("delete") => return Value::Object(Map::new()),
        _ => {}
    }
    let mut merged = old.clone();
    if let Some(retained) = new.get("$retainKeys").and_then(Value::as_array) {
        merged.retain(|key, _| retained.iter().any(|r| r.as_str() == Some(key)));
    }
    for (key, value) in new {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(list) = merged.get_mut(field).and_then(Value::as_array_mut) {
                let gone = value.as_array().cloned().unwrap_or_default();
                list.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        let below = shape.field(key, at_root);
        let value = match (value, old.get(key)) {
            (Value::Null, _) => {
                merged.remove(key);
                continue;
            }
            (Value::Object(_), Some(before @ Value::Object(_))) => {
                let result = lay(before, value, below, false);
                if value.get("$patch").and_then(Value::as_str) == Some("delete") {
                    merged.remove(key);
                    continue;
                }
                result
            }
            (Value::Array(items), before) => {
                let before = merged.get(key).or(before).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let order = new.get(&format!("$setElementOrder/{key}")).and_then(Value::as_array);
                list(before, items, order.map(Vec::as_slice), below)
            }
            (other, _) => clean(other),
        };
        merged.insert(key.clone(), value);
    }
    for (key, order) in new {
        let Some(field) = key.strip_prefix("$setElementOrder/") else { continue };
        if new.contains_key(field) {
            continue;
        }
        if let (Some(Value::Array(items)), Some(order)) = (merged.get(field), order.as_array()) {
            let sorted = reorder(items.clone(), order, merge_key(shape.field(field, at_root)));
            merged.insert(field.to_owned(), Value::Array(sorted));
        }
    }
    Value::Object(merged)
}

/// The one key that strategic merge patches go by.
fn merge_key(shape: Shape<'_>) -> Option<&'static str> {
    match shape.list() {
        Merge::Names(names) => names.first().copied(),
        Merge::Atomic | Merge::Set | Merge::Keys(_) => None,
    }
}

fn list(before: &[Value], items: &[Value], order: Option<&[Value]>, shape: Shape<'_>) -> Value {
    if items.iter().any(|item| {
        item.get("$patch").and_then(Value::as_str) == Some("replace") && item.as_object().is_some_and(|o| o.len() == 1)
    }) {
        return items.iter().filter(|item| item.get("$patch").is_none()).map(clean).collect();
    }
    let merged = match (shape.list(), merge_key(shape)) {
        (Merge::Set, _) => {
            let mut merged = before.to_vec();
            merged.extend(items.iter().filter(|item| !before.contains(item)).cloned());
            merged
        }
        (_, Some(key)) => {
            let mut merged = before.to_vec();
            for item in items {
                let found = merged.iter().position(|old| old.get(key).is_some() && old.get(key) == item.get(key));
                let delete = item.get("$patch").and_then(Value::as_str) == Some("delete");
                match found {
                    Some(index) if delete => {
                        merged.remove(index);
                    }
                    Some(index) => {
                        let result = lay(&merged[index], item, shape.items(), false);
                        merged[index] = result;
                    }
                    None if delete => {}
                    None => merged.push(clean(item)),
                }
            }
            merged
        }
        (_, None) => items.iter().map(clean).collect(),
    };
    match order {
        Some(order) => Value::Array(reorder(merged, order, merge_key(shape))),
        None => Value::Array(merged),
    }
}

/// Items in the wanted order; others follow.
fn reorder(mut items: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let rank = |item: &Value| {
        order
            .iter()
            .position(|wanted| match key {
                Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
                None => wanted == item,
            })
            .unwrap_or(usize::MAX)
    };
    items.sort_by_key(rank);
    items
}

/// A value without the directives of a patch.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter().filter(|(k, v)| !k.starts_with('$') && !v.is_null()).map(|(k, v)| (k.clone(), clean(v))).collect(),
        ),
        Value::Array(list) => list.iter().map(clean).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
