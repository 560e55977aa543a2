//! The three patches that are not apply: JSON merge patch, JSON patch, and strategic merge patch for built-in kinds.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::shape::Shape;
use super::structure::Structure;

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

/// Strategic merge patch of a built-in kind.
pub(crate) fn strategic(target: &Value, patch: &Value, structure: Option<&Structure>) -> Result<Value, ApiError> {
    match (target, patch) {
        (Value::Object(_), Value::Object(_)) => {
            check(patch, Shape::root(structure), true)?;
            orders(target, patch)?;
            Ok(lay(target, patch, Shape::root(structure), true))
        }
        _ => Ok(patch.clone()),
    }
}

/// An order of nothing for nothing is refused.
fn orders(target: &Value, patch: &Value) -> Result<(), ApiError> {
    let empty = |value: Option<&Value>| value.and_then(Value::as_array).is_none_or(Vec::is_empty);
    for (name, value) in patch.as_object().into_iter().flatten() {
        if let Some(field) = name.strip_prefix("$setElementOrder/") {
            if patch.get(field).is_some_and(Value::is_array)
                && empty(patch.get(field))
                && empty(Some(value))
                && empty(target.get(field))
            {
                return Err(ApiError::new(500, "", "no elements in any of the given slices"));
            }
        } else if let Some(below) = target.get(name) {
            orders(below, value)?;
        }
    }
    Ok(())
}

/// Items of lists that merge by a key must have it.
fn check(patch: &Value, shape: Shape<'_>, at_root: bool) -> Result<(), ApiError> {
    match patch {
        Value::Object(map) => {
            if let Some(kept) = map.get("$retainKeys").and_then(Value::as_array)
                && map
                    .iter()
                    .any(|(name, value)| !name.starts_with('$') && !value.is_null() && !kept.contains(&name.as_str().into()))
            {
                return Err(ApiError::bad_request("invalid patch format of retainKeys"));
            }
            map.iter().try_for_each(|(name, below)| check(below, shape.field(name, at_root), false))
        }
        Value::Array(items) => items.iter().try_for_each(|item| {
            if let (Some(key), Value::Object(map)) = (shape.merge_key().filter(|key| !key.is_empty()), item)
                && !map.contains_key(key)
                && !map.contains_key("$patch")
            {
                let pairs: Vec<String> =
                    map.iter().map(|(k, v)| format!("{k}:{}", v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect();
                let why = format!("map: map[{}] does not contain declared merge key: {key}", pairs.join(" "));
                return Err(ApiError::new(500, "", why));
            }
            check(item, shape.items(), false)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
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
            // There is nothing that a directive could be about.
            (Value::Object(fields), None) if fields.contains_key("$patch") => continue,
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
            let sorted = reorder(items.clone(), order, shape.field(field, at_root).merge_key());
            merged.insert(field.to_owned(), Value::Array(sorted));
        }
    }
    Value::Object(merged)
}

fn list(before: &[Value], items: &[Value], order: Option<&[Value]>, shape: Shape<'_>) -> Value {
    if items.iter().any(|item| {
        item.get("$patch").and_then(Value::as_str) == Some("replace") && item.as_object().is_some_and(|o| o.len() == 1)
    }) {
        return items.iter().filter(|item| item.get("$patch").is_none()).map(clean).collect();
    }
    let key = shape.merge_key();
    let merged = match key {
        Some("") => {
            let mut merged = items.to_vec();
            merged.extend(before.iter().filter(|item| !items.contains(item)).cloned());
            merged
        }
        Some(key) => {
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
                    None => merged.push(added(item)),
                }
            }
            merged
        }
        None => items.iter().map(clean).collect(),
    };
    match (order, key) {
        (Some(order), _) => Value::Array(reorder(merged, order, key)),
        (None, Some(key)) => Value::Array(arrange(merged, before, items, key)),
        (None, None) => Value::Array(merged),
    }
}

/// Items in the order of the patch; those that it does not name stay before whatever came after them.
fn arrange(merged: Vec<Value>, before: &[Value], items: &[Value], key: &str) -> Vec<Value> {
    let of = |item: &Value| item.get(key).filter(|value| !value.is_null()).cloned();
    let same = |a: &Value, b: &Value| if key.is_empty() { a == b } else { of(a) == of(b) };
    let place = |item: &Value, list: &[Value]| list.iter().position(|other| same(item, other));
    let (mut named, rest): (Vec<Value>, Vec<Value>) = merged.into_iter().partition(|item| place(item, items).is_some());
    named.sort_by_key(|item| place(item, items));
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    let mut arranged = Vec::new();
    loop {
        let first = match (named.peek(), rest.peek()) {
            (None, None) => return arranged,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(left), Some(right)) => place(left, before).is_none_or(|left| Some(left) < place(right, before)),
        };
        arranged.extend(if first { named.next() } else { rest.next() });
    }
}

/// Items in the wanted order; others follow.
fn reorder(mut items: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let rank = |item: &Value| {
        order
            .iter()
            .position(|wanted| match key {
                Some(key) if !key.is_empty() => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
                _ => wanted == item,
            })
            .unwrap_or(usize::MAX)
    };
    items.sort_by_key(rank);
    items
}

/// A new item as it is put into a list: the order that it sets for lists of its own stays, and is then a field that nobody knows.
fn added(item: &Value) -> Value {
    let mut result = clean(item);
    let orders = item.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("$setElementOrder/"));
    for (name, order) in orders {
        result[name.as_str()] = order.clone();
    }
    result
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
