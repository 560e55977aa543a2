//! Strategic merge patch of built-in kinds: lists merge by the keys that their types name, and directives in the patch say what is
//! deleted, replaced, retained and in which order items are to be.
//!
//! Directives count where something is merged. What comes in whole, such as a new item, is taken as it is: directives in it become
//! fields that nobody knows.

use serde_json::{Map, Value};

use super::decode::{LIST, MAP, printed, type_in_go};
use super::error::ApiError;
use super::patch::drop_nulls;
use super::shape::Shape;
use super::structure::Structure;

/// What is to become of a map or an item: `replace` or `delete`.
const PATCH: &str = "$patch";
/// The only fields that a map keeps.
const RETAIN: &str = "$retainKeys";
/// The order of the items of a list, whose field follows.
const ORDER: &str = "$setElementOrder/";
/// What goes from a list of plain values, whose field follows.
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Lays a patch over an object; the patch loses the directives that were followed, as errors that show it later say.
pub(crate) fn apply(target: &Value, patch: &mut Value, structure: Option<&Structure>) -> Result<Value, ApiError> {
    match (target, patch) {
        (Value::Object(old), Value::Object(new)) => Ok(Value::Object(map(old.clone(), new, Shape::root(structure), true)?)),
        (_, patch) => Ok(patch.clone()),
    }
}

type Fields = Map<String, Value>;

fn map(old: Fields, new: &mut Fields, shape: Shape<'_>, at_root: bool) -> Result<Fields, ApiError> {
    match new.get(PATCH).map(printed).as_deref() {
        Some("replace") => {
            new.remove(PATCH);
            return Ok(new.clone());
        }
        Some("delete") => return Ok(Map::new()),
        Some(other) => return Err(unknown_directive(other, &Value::Object(new.clone()))),
        None => {}
    }
    let mut merged = old;
    retain(&mut merged, new)?;
    arrange(&mut merged, new, shape, at_root)?;
    for (name, value) in new.iter_mut() {
        let (field, deletes) = name.strip_prefix(DELETE).map_or((name.as_str(), false), |field| (field, true));
        let below = shape.field(field, at_root);
        let result = match (merged.remove(field), value) {
            (_, Value::Null) => None,
            (Some(Value::Array(before)), Value::Array(gone)) if deletes => {
                if !(before.is_empty() && gone.is_empty()) {
                    are_maps(&before, gone)?;
                }
                Some(before.into_iter().filter(|item| !gone.contains(item)).collect())
            }
            (before, _) if deletes => before,
            (Some(Value::Object(before)), Value::Object(patch)) => Some(Value::Object(map(before, patch, below, false)?)),
            (Some(Value::Array(before)), Value::Array(patch)) => {
                Some(Value::Array(list(before, patch, below)?.sorted(below.merge_key().unwrap_or_default())?))
            }
            (_, value) => {
                drop_nulls(value);
                without_directives(value)
            }
        };
        if let Some(result) = result {
            merged.insert(field.to_owned(), result);
        }
    }
    Ok(merged)
}

/// Takes out what is not among the fields to keep; whatever the patch sets must be.
fn retain(merged: &mut Fields, new: &mut Fields) -> Result<(), ApiError> {
    let Some(kept) = new.remove(RETAIN) else { return Ok(()) };
    let wrong = || ApiError::bad_request("invalid patch format of retainKeys");
    let kept = kept.as_array().ok_or_else(wrong)?;
    let is_kept = |name: &str| kept.iter().any(|other| other.as_str() == Some(name));
    let is_directive = |name: &str| name.starts_with(DELETE) || name.starts_with(ORDER);
    if new.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !is_kept(name)) {
        return Err(wrong());
    }
    merged.retain(|name, _| is_kept(name));
    Ok(())
}

/// Merges the lists whose order the patch sets.
fn arrange(merged: &mut Fields, new: &mut Fields, shape: Shape<'_>, at_root: bool) -> Result<(), ApiError> {
    let names: Vec<String> = new.keys().filter(|name| name.starts_with(ORDER)).cloned().collect();
    for name in names {
        let (order, field) = (new.remove(&name).unwrap_or_default(), name.trim_start_matches(ORDER));
        let order = as_list(&order)?;
        let before = merged.get(field).map(as_list).transpose()?.cloned();
        let mut patch = new.get(field).map(as_list).transpose()?.cloned();
        let below = list_at(shape, field, at_root)?;
        let key = below.merge_key().unwrap_or_default();
        check_order(patch.as_deref().unwrap_or_default(), order, key)?;
        let own = before.clone().unwrap_or_default();
        let found = match (before, patch.as_mut()) {
            (None, None) => continue,
            (Some(before), None) => Merged { items: before, patch: Vec::new(), server: own.clone() },
            (None, Some(patch)) => {
                let items = patch.iter_mut().filter_map(without_directives).collect();
                Merged { items, patch: Vec::new(), server: Vec::new() }
            }
            (Some(before), Some(patch)) => {
                let found = list(before, patch, below)?;
                // The order is taken from the list while it changes: what is new stands where something was deleted.
                let server = if own.iter().all(Value::is_object) { &found.items } else { &own };
                let server = server.iter().take(own.len()).cloned().collect();
                Merged { items: found.sorted(key)?, patch: Vec::new(), server }
            }
        };
        are_maps(&own, patch.as_deref().unwrap_or_default())?;
        let result = Merged { patch: order.clone(), ..found }.sorted(key)?;
        merged.insert(field.to_owned(), Value::Array(result));
        new.remove(field);
    }
    Ok(())
}

/// The items that a patch of a list sets must be in the order that it sets.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<(), ApiError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut items = Vec::with_capacity(patch.len());
    for item in patch {
        let is_map = key.is_empty() || item.is_object();
        if !is_map {
            return Err(wrong_type(MAP, item));
        }
        if item.get(PATCH).and_then(Value::as_str) != Some("delete") {
            items.push(item);
        }
    }
    let (mut at, mut places) = (0, order.iter().peekable());
    while let (Some(item), Some(place)) = (items.get(at), places.peek()) {
        // A directive has no place, but must come before the end of the order.
        if item.get(PATCH).is_some() {
            at += 1;
            continue;
        }
        if keyed(item, key)? == keyed(place, key)? {
            at += 1;
        }
        places.next();
    }
    if at == items.len() {
        return Ok(());
    }
    let (patch, order) = (all(patch), all(order));
    Err(internal(format!("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")))
}

/// A list that was merged, and what its order goes by.
struct Merged {
    items: Vec<Value>,
    /// The order of what the patch names.
    patch: Vec<Value>,
    /// The order of everything else.
    server: Vec<Value>,
}

/// Merges a list. Lists without a key are replaced.
fn list(before: Vec<Value>, patch: &mut [Value], shape: Shape<'_>) -> Result<Merged, ApiError> {
    let Some(key) = shape.merge_key() else {
        return Ok(Merged { items: patch.to_vec(), patch: patch.to_vec(), server: before });
    };
    if before.is_empty() && patch.is_empty() {
        return Ok(Merged { items: before, patch: Vec::new(), server: Vec::new() });
    }
    if !are_maps(&before, patch)? {
        let mut items = Vec::with_capacity(before.len() + patch.len());
        for item in before.iter().chain(patch.iter()) {
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        return Ok(Merged { items, patch: patch.to_vec(), server: before });
    }
    if key.is_empty() {
        return Err(internal("cannot merge lists without merge key for struct".to_owned()));
    }
    let (mut left, mut replaces) = (before, false);
    for item in patch.iter().filter(|item| item.get(PATCH).is_some()) {
        match item.get(PATCH).map(printed).as_deref().unwrap_or_default() {
            "delete" => {
                let gone = keyed(item, key)?;
                left.retain(|other| other.get(key) != Some(gone));
            }
            "replace" => replaces = true,
            "merge" => return Err(internal("merging lists cannot yet be specified in the patch".to_owned())),
            other => return Err(unknown_directive(other, item)),
        }
    }
    let mut wanted = patch.iter_mut().filter(|item| item.get(PATCH).is_none());
    if replaces {
        let items: Vec<Value> = wanted.map(|item| item.clone()).collect();
        return Ok(Merged { server: items.clone(), patch: Vec::new(), items });
    }
    let (server, mut items) = (left.clone(), left);
    let named: Vec<Value> = wanted
        .by_ref()
        .map(|item| {
            let named = item.clone();
            let value = keyed(&named, key)?;
            match items.iter_mut().find(|other| other.get(key) == Some(value)) {
                Some(Value::Object(found)) => {
                    if let Value::Object(patch) = item {
                        *found = map(std::mem::take(found), patch, shape.items(), false)?;
                    }
                }
                _ => items.push(named.clone()),
            }
            Ok(named)
        })
        .collect::<Result<_, ApiError>>()?;
    Ok(Merged { items, patch: named, server })
}

impl Merged {
    /// The items: those that the patch names in its order, the others in theirs, and of two the first that came first before.
    fn sorted(self, key: &str) -> Result<Vec<Value>, ApiError> {
        let place = |order: &[Value], item: &Value| {
            order.iter().position(|other| if key.is_empty() { other == item } else { other.get(key) == item.get(key) })
        };
        if !key.is_empty() {
            for item in self.items.iter().chain(&self.patch).chain(&self.server) {
                keyed(item, key)?;
            }
        }
        let (mut named, mut rest): (Vec<Value>, Vec<Value>) =
            self.items.into_iter().partition(|item| place(&self.patch, item).is_some());
        settle(&mut named, |item| place(&self.patch, item));
        settle(&mut rest, |item| place(&self.server, item));
        let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
        let mut sorted = Vec::new();
        while let Some(item) = match (named.peek(), rest.peek()) {
            (Some(ours), Some(theirs)) => match (place(&self.server, ours), place(&self.server, theirs)) {
                (Some(ours), Some(theirs)) if theirs < ours => rest.next(),
                _ => named.next(),
            },
            (Some(_), None) => named.next(),
            (None, _) => rest.next(),
        } {
            sorted.push(item);
        }
        Ok(sorted)
    }
}

/// Sorts by places; what has none goes before whatever it meets.
fn settle(items: &mut [Value], place: impl Fn(&Value) -> Option<usize>) {
    for end in 1..items.len() {
        for at in (1..=end).rev() {
            match (place(&items[at]), place(&items[at - 1])) {
                (Some(this), Some(before)) if this >= before => break,
                _ => items.swap(at, at - 1),
            }
        }
    }
}

/// The list of a field, which must be one of a known type.
fn list_at<'a>(shape: Shape<'a>, field: &str, at_root: bool) -> Result<Shape<'a>, ApiError> {
    let below = shape.field(field, at_root);
    match (shape, below) {
        (Shape::Known(_), Shape::Known(structure)) if structure.of == super::structure::Type::Array => Ok(below),
        (Shape::Known(structure), _) if structure.additional.is_some() => {
            Err(internal("merging an object in json but data type is not struct, instead is: map".to_owned()))
        }
        (Shape::Known(_), Shape::Known(_)) => Err(internal("expected slice or array type, but got: struct".to_owned())),
        (Shape::Known(structure), Shape::Free) => {
            Err(internal(format!("unable to find api field in struct {} for the json field {field:?}", structure.name)))
        }
        (Shape::Free, _) => Ok(below),
    }
}

/// What tells an item from others.
fn keyed<'a>(item: &'a Value, key: &str) -> Result<&'a Value, ApiError> {
    if key.is_empty() {
        return Ok(item);
    }
    let fields = item.as_object().ok_or_else(|| wrong_type(MAP, item))?;
    let missing = || internal(format!("map: {} does not contain declared merge key: {key}", printed(item)));
    fields.get(key).ok_or_else(missing)
}

/// Whether the items of both lists are maps; all must be of one type.
fn are_maps(one: &[Value], other: &[Value]) -> Result<bool, ApiError> {
    let mut types = one.iter().chain(other).map(type_in_go);
    let first = types.next().ok_or_else(|| internal("no elements in any of the given slices".to_owned()))?;
    if first == LIST {
        return Err(ApiError::new(422, "Invalid", "lists of lists are not supported"));
    }
    if types.any(|next| next != first) {
        return Err(internal(format!("list element types are not identical: [{} {}]", all(one), all(other))));
    }
    Ok(first == MAP)
}

fn all(list: &[Value]) -> String {
    printed(&Value::Array(list.to_vec()))
}

fn as_list(value: &Value) -> Result<&Vec<Value>, ApiError> {
    value.as_array().ok_or_else(|| wrong_type(LIST, value))
}

fn internal(why: String) -> ApiError {
    ApiError::new(500, "", why)
}

fn wrong_type(expected: &str, given: &Value) -> ApiError {
    internal(format!("expected a {expected}, but received a {}", type_in_go(given)))
}

fn unknown_directive(directive: &str, whole: &Value) -> ApiError {
    internal(format!("unknown patch type: {directive} in map: {}", printed(whole)))
}

/// A value where there was none before: maps and items with a directive fall away, in the patch itself, too.
fn without_directives(value: &mut Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => return None,
        Value::Object(map) => map.retain(|_, below| match without_directives(below) {
            Some(kept) => {
                *below = kept;
                true
            }
            None => false,
        }),
        Value::Array(list) => return Some(list.iter_mut().filter_map(without_directives).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Some(value.clone())
}
