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
        #[allow(clippy::cast_precision_loss, reason = "Kubernetes reads what does not fit 64 bits with a sign as a float, too")]
        let float = value as f64;
        Ok(if i64::try_from(value).is_ok() { value.into() } else { number(float) })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(number(value))
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

/// A float as Kubernetes writes it: without a fraction if there is none.
fn number(value: f64) -> Value {
    let text = value.to_string();
    if value.fract() == 0.0 && value.abs() < 1e21 {
        if let Ok(whole) = text.parse::<i64>() {
            return whole.into();
        }
        if let Ok(whole) = text.parse::<u64>() {
            return whole.into();
        }
    }
    value.into()
}

/// Makes a value what its type wants: fields that nobody knows are dropped and their paths added to `unknown`; empty fields and
/// nulls go as they do in a typed object. The error is what the real server's decoder says of a value of another type.
pub(crate) fn typed(structure: &Structure, value: &mut Value, unknown: &mut Vec<String>) -> Result<(), String> {
    decode(structure, value, &At { owner: &structure.name, step: Step::Root, up: None }, unknown)
}

/// Where a value is: in which type, under which name, below what.
struct At<'a> {
    owner: &'a str,
    step: Step<'a>,
    up: Option<&'a At<'a>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    /// A field of a type.
    Field(&'a str),
    /// A key of a map.
    Key(&'a str),
    /// An item of a list.
    Index(usize),
}

impl At<'_> {
    /// The fields that lead here; keys of maps and indices are none.
    fn path(&self) -> String {
        let above = self.up.map_or_else(String::new, At::path);
        match self.step {
            Step::Field(name) if above.is_empty() => name.to_owned(),
            Step::Field(name) => format!("{above}.{name}"),
            Step::Root | Step::Key(_) | Step::Index(_) => above,
        }
    }

    /// The whole way.
    fn place(&self) -> String {
        let above = self.up.map_or_else(String::new, At::place);
        match self.step {
            Step::Root => above,
            Step::Field(name) | Step::Key(name) if above.is_empty() => name.to_owned(),
            Step::Field(name) | Step::Key(name) => format!("{above}.{name}"),
            Step::Index(index) => format!("{above}[{index}]"),
        }
    }
}

fn decode(structure: &Structure, value: &mut Value, at: &At<'_>, unknown: &mut Vec<String>) -> Result<(), String> {
    let wrong = |value: &Value| {
        let path = at.path();
        let field = if path.is_empty() { String::new() } else { format!("struct field {}.{path} ", at.owner) };
        Err(format!("json: cannot unmarshal {} into Go {field}of type {}", go_value(value, structure), go_type(structure)))
    };
    match (structure.of, &mut *value) {
        (Type::Any, _)
        | (_, Value::Null)
        | (Type::Number, Value::Number(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::IntOrString, Value::String(_)) => Ok(()),
        (Type::Object, Value::Object(map)) => {
            let mut result = Ok(());
            map.retain(|name, value| {
                if result.is_err() {
                    return true;
                }
                let own = structure.properties.get(name);
                let Some(below) = own.or(structure.additional.as_deref()) else {
                    if !structure.preserve {
                        unknown.push(At { owner: "", step: Step::Field(name), up: Some(at) }.place());
                    }
                    return structure.preserve;
                };
                let inner = match own {
                    Some(_) => At { owner: &structure.name, step: Step::Field(name), up: Some(at) },
                    None => At { owner: at.owner, step: Step::Key(name), up: Some(at) },
                };
                result = decode(below, value, &inner, unknown);
                match value {
                    // An entry of a map stays, with nothing in it.
                    Value::Null if own.is_none() && matches!(below.of, Type::String | Type::Quantity) => {
                        *value = if below.of == Type::String { "" } else { "0" }.into();
                        true
                    }
                    Value::Null => false,
                    Value::Array(list) => !list.is_empty() || own.is_none() || below.required || name == "managedFields",
                    Value::Object(fields) => {
                        !fields.is_empty() || below.additional.is_none() || own.is_none() || below.required || below.preserve
                    }
                    Value::Bool(given) => *given || !below.omitted,
                    Value::Number(number) => number.as_i64() != Some(0) || !below.omitted,
                    Value::String(text) => !text.is_empty() || !below.omitted,
                }
            });
            result?;
            complete(structure, map);
            Ok(())
        }
        (Type::Array, Value::Array(list)) => {
            let Some(items) = &structure.items else { return Ok(()) };
            for (index, item) in list.iter_mut().enumerate() {
                decode(items, item, &At { owner: at.owner, step: Step::Index(index), up: Some(at) }, unknown)?;
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
        (Type::Quantity, Value::Number(_) | Value::String(_)) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            *value = super::quantity::canonical(&text).ok_or(super::quantity::WRONG)?.into();
            Ok(())
        }
        (Type::IntOrString, Value::Number(number)) if number.as_i64().is_some() => Ok(()),
        _ => wrong(value),
    }
}

/// Puts back what a typed object has even if nobody wrote it, after something was taken out.
pub(crate) fn complete_root(structure: &Structure, object: &mut Value) {
    if let Some(map) = object.as_object_mut() {
        complete(structure, map);
    }
}

/// Times that Go writes as null where nobody gave them.
const TIMES: &[&str] = &["lastTransitionTime", "lastUpdateTime", "lastProbeTime", "lastHeartbeatTime"];

/// What a typed object has even if nobody wrote it.
fn complete(structure: &Structure, map: &mut Map<String, Value>) {
    for name in TIMES.iter().filter(|name| structure.properties.get(**name).is_some_and(|field| &*field.format == "date-time")) {
        map.entry(*name).or_insert(Value::Null);
    }
    for (name, below) in structure.properties.iter().filter(|(_, below)| below.always || below.zero) {
        if map.contains_key(name) {
            continue;
        }
        let value = match below.of {
            Type::Object => {
                let mut fields = Map::new();
                complete(below, &mut fields);
                Value::Object(fields)
            }
            Type::Boolean => Value::Bool(false),
            _ => 0.into(),
        };
        map.insert(name.clone(), value);
    }
}

/// What is written of an object of which nothing is known: what must be there is null.
pub(crate) fn blank(structure: &Structure) -> Value {
    let mut map = Map::new();
    complete(structure, &mut map);
    for (name, below) in structure.properties.iter().filter(|(_, below)| below.required || below.always) {
        let value = if below.always { blank(below) } else { Value::Null };
        map.entry(name.clone())
            .and_modify(|given| {
                if given.is_object() {
                    given.clone_from(&value);
                }
            })
            .or_insert(value);
    }
    Value::Object(map)
}

/// Lists that must be there and are empty are stored as null.
pub(crate) fn nulls(structure: &Structure, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (name, below) in structure.properties.iter().filter(|(_, below)| below.required && below.of == Type::Array) {
        match map.get(name) {
            Some(Value::Array(list)) if !list.is_empty() => {}
            _ if below.items.is_some() => {
                map.insert(name.clone(), Value::Null);
            }
            _ => {}
        }
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

/// What the schema of an apply says of a configuration: everything that does not fit.
pub(crate) fn mismatch(structure: &Structure, value: &Value, path: &str, at_root: bool, wrong: &mut Vec<String>) {
    let expected = |what: &str| format!("{path}: expected {what}, got {}", reflected(value));
    match (structure.of, value) {
        (_, Value::Null)
        | (Type::Any | Type::IntOrString | Type::Quantity, _)
        | (Type::String, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Integer | Type::Number, Value::Number(_)) => {}
        (Type::Object, Value::Object(map)) => {
            for (name, below) in map {
                let inner = format!("{path}.{name}");
                if (at_root || structure.embedded) && super::structure::is_identity(name) {
                    if name == "metadata" {
                        mismatch(super::typed::metadata(), below, &inner, false, wrong);
                    }
                    continue;
                }
                match structure.field(name) {
                    Some(structure) => mismatch(structure, below, &inner, false, wrong),
                    None if structure.is_open() => {}
                    None => wrong.push(format!("{inner}: field not declared in schema")),
                }
            }
        }
        (Type::Object, _) => wrong.push(expected("map")),
        (Type::Array, Value::Array(list)) => elements(structure, list, path, wrong),
        (Type::Array, _) => wrong.push(expected("list")),
        (Type::String, _) => wrong.push(expected("string")),
        (Type::Boolean, _) => wrong.push(expected("boolean")),
        (Type::Integer | Type::Number, other) => {
            wrong.push(format!("{path}: expected numeric (int or float), got {}", type_in_go(other)));
        }
    }
}

fn elements(structure: &Structure, list: &[Value], path: &str, wrong: &mut Vec<String>) {
    use super::structure::ListKind;
    let Some(items) = structure.items.as_deref() else { return };
    let mut seen = BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        let element = match &structure.list {
            ListKind::Atomic => format!("[{index}]"),
            ListKind::Set => format!("[={item}]"),
            ListKind::Keys(keys) => {
                let default = |key: &str| items.properties.get(key).and_then(|field| field.default.clone());
                // What a typed item leaves out is empty.
                if items.name.is_empty() && keys.iter().all(|key| item.get(key).is_none() && default(key).is_none()) {
                    let keys = serde_json::to_string(keys).unwrap_or_default().replace(',', " ");
                    wrong.push(format!(
                        "{path}: element {index}: associative list with keys has an element that omits all key fields {keys} (and doesn't have default values for any key fields)"
                    ));
                    return;
                }
                let empty = |key: &str| match items.properties.get(key).map(|field| field.of) {
                    Some(Type::String) => "".into(),
                    Some(Type::Integer | Type::Number) => 0.into(),
                    _ => Value::Null,
                };
                let value = |key: &str| item.get(key).cloned().or_else(|| default(key)).unwrap_or_else(|| empty(key));
                let pairs: Vec<String> = keys.iter().map(|key| format!("{key}={}", value(key))).collect();
                format!("[{}]", pairs.join(","))
            }
        };
        if !seen.insert(element.clone()) && structure.list != ListKind::Atomic {
            wrong.push(format!("{path}: duplicate entries for key {element}"));
        }
        mismatch(items, item, &format!("{path}{element}"), false, wrong);
    }
}

/// What Go calls a map and a list whose types it does not know.
pub(crate) const MAP: &str = "map[string]interface {}";
pub(crate) const LIST: &str = "[]interface {}";

/// The type of a value in Go, as it is printed there.
pub(crate) fn type_in_go(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => LIST,
        Value::Object(_) => MAP,
    }
}

/// A value as Go prints it.
pub(crate) fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            let pairs: Vec<String> = sorted.into_iter().map(|(name, below)| format!("{name}:{}", printed(below))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// What is said of a value of another type where a strategic patch is read, which has words of its own.
pub(crate) fn restored(why: &str) -> String {
    let Some((given, wanted)) = why.strip_prefix("json: cannot unmarshal ").and_then(|rest| rest.split_once(" into Go ")) else {
        return why.to_owned();
    };
    let wanted = wanted.rsplit(' ').next().unwrap_or_default();
    let given = given.split(' ').next().unwrap_or_default();
    let given = match given {
        "object" => "map",
        "array" => "slice",
        "number" => "int64",
        other => other,
    };
    match wanted {
        wanted if wanted.starts_with("map[") => format!("cannot restore map from {given}"),
        wanted if wanted.starts_with("[]") => format!("cannot restore slice from {given}"),
        wanted if wanted.starts_with("v1.") => format!("cannot restore struct from: {given}"),
        "string" if matches!(given, "int64" | "bool" | "float64") => format!("cannot convert {given} to string"),
        wanted => format!("unrecognized type: {wanted}"),
    }
}

fn reflected(value: &Value) -> String {
    match value {
        Value::String(text) => format!("&{{{text}}}"),
        other => format!("&value.valueUnstructured{{Value:{other}}}"),
    }
}
