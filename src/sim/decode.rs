//! Decoding as Kubernetes does it: which fields nobody knows, which are given twice, and which are of another type than they
//! must be, in the words in which the real server says so.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::structure::{Structure, Type};

/// Reads JSON; paths of fields that are given twice are added to `twice`. The last one counts.
pub(crate) fn json(text: &[u8], twice: &mut Vec<String>) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Seed { path: "", twice }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct Seed<'a> {
    path: &'a str,
    twice: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match access.next_element_seed(Seed { path: &path, twice: &mut *self.twice })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if map.contains_key(&name) {
                self.twice.push(path.clone());
            }
            let value = access.next_value_seed(Seed { path: &path, twice: &mut *self.twice })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// Makes a value what its type wants: fields that nobody knows are dropped and their paths added to `unknown`; empty fields and
/// nulls go as they do in a typed object. The error is what the real server's decoder says of a value of another type.
pub(crate) fn typed(structure: &Structure, value: &mut Value, unknown: &mut Vec<String>) -> Result<(), String> {
    let name = structure.name.to_string();
    decode(structure, value, &At { owner: &name, path: "", place: "" }, unknown)
}

/// Where a value is: the type that has the field, the path of fields, the path with indices.
struct At<'a> {
    owner: &'a str,
    path: &'a str,
    place: &'a str,
}

fn decode(structure: &Structure, value: &mut Value, at: &At<'_>, unknown: &mut Vec<String>) -> Result<(), String> {
    let wrong = |value: &Value| {
        let of = go_type(structure);
        let field = if at.path.is_empty() { String::new() } else { format!("struct field {}.{} ", at.owner, at.path) };
        Err(format!("json: cannot unmarshal {} into Go {field}of type {of}", go_value(value, structure)))
    };
    match (structure.of, &mut *value) {
        (Type::Any, _) | (_, Value::Null) => Ok(()),
        (Type::Object, Value::Object(map)) => {
            let names: Vec<String> = map.keys().cloned().collect();
            for name in names {
                let place = if at.place.is_empty() { name.clone() } else { format!("{}.{name}", at.place) };
                let own = structure.properties.get(&name);
                let Some(below) = own.or(structure.additional.as_deref()) else {
                    if !structure.preserve {
                        map.remove(&name);
                        unknown.push(place);
                    }
                    continue;
                };
                let Some(value) = map.get_mut(&name) else { continue };
                // Keys of a map are no fields.
                let path = match (own, at.path) {
                    (None, path) => path.to_owned(),
                    (Some(_), "") => name.clone(),
                    (Some(_), path) => format!("{path}.{name}"),
                };
                let owner = if own.is_some() { &structure.name } else { at.owner };
                decode(below, value, &At { owner, path: &path, place: &place }, unknown)?;
                let empty = match value {
                    Value::Null if own.is_none() && below.of == Type::String => {
                        *value = "".into();
                        false
                    }
                    Value::Null => true,
                    Value::Array(list) => list.is_empty() && own.is_some() && !below.required,
                    Value::Object(fields) => {
                        fields.is_empty() && below.additional.is_some() && own.is_some() && !below.required && !below.preserve
                    }
                    Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
                };
                if empty {
                    map.remove(&name);
                }
            }
            Ok(())
        }
        (Type::Array, Value::Array(list)) => {
            let Some(items) = &structure.items else { return Ok(()) };
            for (index, item) in list.iter_mut().enumerate() {
                let place = format!("{}[{index}]", at.place);
                decode(items, item, &At { place: &place, ..*at }, unknown)?;
            }
            Ok(())
        }
        (Type::String, Value::String(text)) => match &*structure.format {
            "byte" => match base64::engine::general_purpose::STANDARD.decode(text.as_bytes()) {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("illegal base64 data at input byte {}", bad_byte(text))),
            },
            "date-time" if text.parse::<jiff::Timestamp>().is_err() => {
                let layout = "2006-01-02T15:04:05Z07:00";
                Err(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))
            }
            _ => Ok(()),
        },
        (Type::Integer, Value::Number(number)) => match number.as_i64() {
            Some(whole) if &*structure.format != "int32" || i32::try_from(whole).is_ok() => Ok(()),
            _ => wrong(value),
        },
        (Type::Number | Type::Quantity, Value::Number(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Quantity | Type::IntOrString, Value::String(_)) => Ok(()),
        (Type::IntOrString, Value::Number(number)) if number.as_i64().is_some() => Ok(()),
        _ => wrong(value),
    }
}

fn bad_byte(text: &str) -> usize {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    text.bytes().position(|b| !fine(b)).unwrap_or(text.len() / 4 * 4)
}

fn go_type(structure: &Structure) -> String {
    match structure.of {
        Type::Any => "interface {}".to_owned(),
        Type::Object => match &structure.additional {
            Some(values) => format!("map[string]{}", go_type(values)),
            None => format!("v1.{}", structure.name),
        },
        Type::Array => format!("[]{}", structure.items.as_deref().map_or_else(String::new, go_type)),
        Type::String if &*structure.format == "byte" => "[]uint8".to_owned(),
        Type::String => "string".to_owned(),
        Type::Integer => structure.format.to_string(),
        Type::Number => "float64".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::IntOrString => "int32".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
    }
}

fn go_value(value: &Value, structure: &Structure) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if structure.of == Type::Integer => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

/// What the schema of an apply says of a configuration: the first thing that does not fit.
pub(crate) fn mismatch(structure: &Structure, value: &Value, path: &str, at_root: bool) -> Option<String> {
    let expected = |what: &str| Some(format!("{path}: expected {what}, got {}", reflected(value)));
    match (structure.of, value) {
        (_, Value::Null) => None,
        (Type::Any, _) => None,
        (Type::Object, Value::Object(map)) => map.iter().find_map(|(name, below)| {
            let inner = format!("{path}.{name}");
            if (at_root || structure.embedded) && super::structure::is_identity(name) {
                return if name == "metadata" { mismatch(super::typed::metadata(), below, &inner, false) } else { None };
            }
            match structure.field(name) {
                Some(structure) => mismatch(structure, below, &inner, false),
                None if structure.is_open() => None,
                None => Some(format!("{inner}: field not declared in schema")),
            }
        }),
        (Type::Object, _) => expected("map"),
        (Type::Array, Value::Array(list)) => elements(structure, list, path),
        (Type::Array, _) => expected("list"),
        (Type::String, Value::String(_)) | (Type::Boolean, Value::Bool(_)) => None,
        (Type::Integer | Type::Number, Value::Number(_)) => None,
        (Type::IntOrString | Type::Quantity, Value::Number(_) | Value::String(_)) => None,
        (Type::String, _) => expected("string"),
        (Type::Boolean, _) => expected("boolean"),
        (Type::Integer | Type::Number, Value::String(_)) => Some(format!("{path}: expected numeric (int or float), got string")),
        (Type::Integer | Type::Number, _) => expected("numeric (int or float)"),
        (Type::IntOrString | Type::Quantity, _) => None,
    }
}

fn elements(structure: &Structure, list: &[Value], path: &str) -> Option<String> {
    use super::structure::ListKind;
    let items = structure.items.as_deref()?;
    let mut seen = BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        let element = match &structure.list {
            ListKind::Atomic => format!("[{index}]"),
            ListKind::Set => format!("[={item}]"),
            ListKind::Keys(keys) => {
                let default = |key: &str| items.properties.get(key).and_then(|field| field.default.clone());
                if keys.iter().all(|key| item.get(key).is_none() && default(key).is_none()) {
                    let keys = serde_json::to_string(keys).unwrap_or_default().replace(',', " ");
                    return Some(format!(
                        "{path}: element {index}: associative list with keys has an element that omits all key fields {keys} (and doesn't have default values for any key fields)"
                    ));
                }
                let value = |key: &str| item.get(key).cloned().or_else(|| default(key)).unwrap_or_default();
                let pairs: Vec<String> = keys.iter().map(|key| format!("{key}={}", value(key))).collect();
                format!("[{}]", pairs.join(","))
            }
        };
        if !seen.insert(element.clone()) && structure.list != ListKind::Atomic {
            return Some(format!("{path}: duplicate entries for key {element}"));
        }
        if let Some(why) = mismatch(items, item, &format!("{path}{element}"), false) {
            return Some(why);
        }
    }
    None
}

fn reflected(value: &Value) -> String {
    match value {
        Value::String(text) => format!("&{{{text}}}"),
        other => format!("&value.valueUnstructured{{Value:{other}}}"),
    }
}
