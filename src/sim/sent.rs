//! What a client sent, read as an object of its kind.

use serde_json::{Map, Value};

use super::decode;
use super::error::ApiError;
use super::kind::{Kind, Version};
use super::verbs::{Caller, Unknown};

/// Reads a body as an object of its kind: fields that the kind does not know are dropped, said or refused. Returns warnings.
pub(crate) fn read(caller: &Caller, kind: &Kind, at: &Version, new: &mut Value) -> Result<Vec<String>, ApiError> {
    new["kind"] = kind.kind.clone().into();
    new["apiVersion"] = kind.api_version(&at.name).into();
    let patched = caller.patch.then(|| new.clone());
    let handled = |why: String| {
        if let Some(patched) = &patched {
            return ApiError::invalid_patch(caller.shown.as_deref().unwrap_or(&patched.to_string()), &why);
        }
        let text = format!("{} in version {:?} cannot be handled as a {}: {why}", kind.kind, at.name, kind.kind);
        ApiError::bad_request(text)
    };
    let mut unknown = Vec::new();
    match &at.structure {
        None => {
            if let Some(structure) = kind.structure(at) {
                let words = |why: String| if caller.shown.is_some() { decode::restored(&why) } else { why };
                let emptied = emptied(kind, new);
                decode::typed(structure, new, &mut unknown).map_err(words).map_err(handled)?;
                if let Some(field) = emptied {
                    new[field] = Value::Object(Map::new());
                }
            }
        }
        Some(structure) => {
            if let Some(metadata) = new.get_mut("metadata") {
                decode::typed(super::typed::metadata(), metadata, &mut unknown).map_err(handled)?;
                for path in &mut unknown {
                    path.insert_str(0, "metadata.");
                }
            }
            let mut dropped = Vec::new();
            structure.prune_root(new, &mut dropped).map_err(handled)?;
            unknown.extend(dropped);
            unknown.sort();
        }
    }
    let list: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    let list: Vec<String> = caller.twice.iter().map(|path| format!("duplicate field {path:?}")).chain(list).collect();
    match caller.unknown {
        Unknown::Refuse if !list.is_empty() => Err(handled(format!("strict decoding error: {}", list.join(", ")))),
        Unknown::Warn => Ok(list),
        Unknown::Refuse | Unknown::Ignore => Ok(Vec::new()),
    }
}

/// Contents that are given and empty: to what is immutable that is not the same as none. The data of a ConfigMap is never none.
fn emptied(kind: &Kind, object: &Value) -> Option<&'static str> {
    let field = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap") => "binaryData",
        ("", "Secret") => "data",
        _ => return None,
    };
    object.get(field).and_then(Value::as_object).filter(|map| map.is_empty()).map(|_| field)
}

/// Forgets contents that are empty once nothing asks for them any more.
pub(crate) fn settle(kind: &Kind, object: &mut Value) {
    if let (Some(field), Some(map)) = (emptied(kind, object), object.as_object_mut()) {
        map.remove(field);
    }
}
