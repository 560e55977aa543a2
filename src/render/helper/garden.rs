//! Helpers that read what people keep in the garden: Secrets, and `ConfigMap`s with files for control planes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::engine::{Known, Notes};
use super::{body, handed_out, named, symbol, text};
use crate::landscape::Target;
use crate::secrets::{Body, SecretRef};

/// A key's bytes; what is missing or empty is waited for by name.
fn entry<'b>(body: &'b Body, key: &str, address: &SecretRef, notes: &mut Notes) -> Option<&'b [u8]> {
    let found = body.get(key).map(|data| data.as_slice()).filter(|data| !data.is_empty());
    if found.is_none() {
        notes.waiting.push(format!("key {key} of {}, which has none", named(address)));
    }
    found
}

/// `garden-secret NAMESPACE NAME`: a Secret's data whole, `garden-secret NAMESPACE NAME KEY`: one of its keys in base64.
pub(super) fn secret(arguments: &[&Value], known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
    let (namespace, name) = (text(arguments, 0)?, text(arguments, 1)?);
    let key = arguments.get(2).map(|_| text(arguments, 2)).transpose()?;
    if known.offline {
        return Ok(unknown("garden-secret", arguments, key));
    }
    Ok(data(SecretRef::secret(Target::Garden, namespace, name), key, known, notes))
}

/// What stands for a Secret's data, or one of its keys, where nothing is known of clusters.
fn unknown(helper: &str, arguments: &[&Value], key: Option<&str>) -> Value {
    let symbol = symbol(helper, arguments);
    if key.is_some() { symbol } else { json!({"data": symbol}) }
}

/// A Secret's data whole, or one of its keys, in base64.
fn data(address: SecretRef, key: Option<&str>, known: &Known<'_>, notes: &mut Notes) -> Value {
    let Some(key) = key else { return whole(address, known, notes) };
    let Some(body) = body(address.clone(), known, notes) else { return Value::Null };
    let Some(data) = entry(body, key, &address, notes) else { return Value::Null };
    handed_out(&STANDARD.encode(data), notes).into()
}

/// A Secret's data whole, in base64.
fn whole(address: SecretRef, known: &Known<'_>, notes: &mut Notes) -> Value {
    let Some(body) = body(address, known, notes) else { return Value::Null };
    notes.secret = true;
    body.iter().map(|(key, data)| (key.clone(), handed_out(&STANDARD.encode(data.as_slice()), notes))).collect()
}

/// `seed-secret NAME`: the data whole of a Secret in the seed's namespace `garden`, `seed-secret NAME KEY`: one of its keys in base64.
pub(super) fn of_seed(arguments: &[&Value], known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
    let name = text(arguments, 0)?;
    let key = arguments.get(1).map(|_| text(arguments, 1)).transpose()?;
    if known.offline {
        return Ok(unknown("seed-secret", arguments, key));
    }
    Ok(data(SecretRef::secret(known.target.clone(), "garden", name), key, known, notes))
}

/// `garden-config NAMESPACE NAME`: what a `ConfigMap` says in text, whole.
fn whole_config(arguments: &[&Value], known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
    let (namespace, name) = (text(arguments, 0)?, text(arguments, 1)?);
    if known.offline {
        return Ok(json!({"data": symbol("garden-config", arguments)}));
    }
    let Some(body) = body(SecretRef::config_map(namespace, name), known, notes) else { return Ok(Value::Null) };
    Ok(body.iter().map(|(key, data)| (key.clone(), String::from_utf8_lossy(data).into_owned())).collect())
}

/// `garden-config NAMESPACE NAME KEY GROUP/KIND`: the object in a file of a `ConfigMap`, which is of this kind in any version.
pub(super) fn config(arguments: &[&Value], known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
    if arguments.len() == 2 {
        return whole_config(arguments, known, notes);
    }
    let (namespace, name, key) = (text(arguments, 0)?, text(arguments, 1)?, text(arguments, 2)?);
    let (group, kind) = text(arguments, 3)?.split_once('/').ok_or("argument 4 is not `group/kind`")?;
    if known.offline {
        return Ok(json!({"content": symbol("garden-config", &arguments[..3])}));
    }
    let address = SecretRef::config_map(namespace, name);
    let Some(body) = body(address.clone(), known, notes) else { return Ok(Value::Null) };
    let Some(data) = entry(body, key, &address, notes) else { return Ok(Value::Null) };
    let wrong = |why: &str| format!("key {key} of {} {why}", named(&address));
    let object: Value = serde_yaml::from_slice(data).map_err(|error| wrong(&format!("is not YAML: {error}")))?;
    let of = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    if of("apiVersion").split_once('/').is_some_and(|(is, _)| is == group) && of("kind") == kind {
        Ok(object)
    } else {
        Err(wrong(&format!("is not of kind {kind} in the group {group}")))
    }
}
