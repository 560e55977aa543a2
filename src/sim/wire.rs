//! Objects of built-in kinds as typed clients write them: protobuf, made into JSON before anything else looks at it.
//!
//! `wire.txt` has the numbers of the fields, from the tags of the Go types: a type, then `field=number` each; `!` after a field: it
//! is also written where it is empty or 0, because it was said; `*type=number`: the fields of that type are the type's own.
//! Of what type a field is, `types.txt` says.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::typed;

/// What every body in protobuf begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Messages inside of messages.
const DEEPEST: usize = 64;

/// A field of a message.
enum Member {
    /// Its name, and whether it is written even if it is empty.
    Field(&'static str, bool),
    /// A type whose fields belong to the message.
    Inline(&'static str),
}

static NUMBERS: LazyLock<HashMap<&'static str, HashMap<u64, Member>>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    for line in include_str!("wire.txt").lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let members = words.filter_map(|word| {
            let (field, number) = word.split_once('=')?;
            let member = match field.strip_prefix('*') {
                Some(inline) => Member::Inline(inline),
                None => Member::Field(field.trim_end_matches('!'), field.ends_with('!')),
            };
            Some((number.parse().ok()?, member))
        });
        all.insert(name, members.collect());
    }
    all
});

/// An object in protobuf as JSON; `None`: it is none, or of a kind that is not known in this form.
pub(crate) fn json(body: &[u8]) -> Option<Value> {
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in Parts(body.strip_prefix(MAGIC)?) {
        match part? {
            (1, Wire::Bytes(meta)) => {
                for part in Parts(meta) {
                    match part? {
                        (1, Wire::Bytes(text)) => std::str::from_utf8(text).ok()?.clone_into(&mut api_version),
                        (2, Wire::Bytes(text)) => std::str::from_utf8(text).ok()?.clone_into(&mut kind),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = typed::name(&api_version, &kind)?;
    let mut object = message(name, &typed::fields(name)?, raw, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Some(Value::Object(object))
}

/// A value as it is on the wire.
enum Wire<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order; `None` in their place: what follows cannot be read.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn part(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => Wire::Double(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part)
    }
}

/// What the fields of a type are of.
type Types = HashMap<&'static str, &'static str>;

/// A message of a type; `types` are those of its fields, and of the fields that it takes in.
fn message(name: &str, types: &Types, bytes: &[u8], depth: usize) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    let numbers = NUMBERS.get(name)?;
    for part in Parts(bytes) {
        let (number, wire) = part?;
        match (numbers.get(&number), wire) {
            (Some(Member::Inline(inline)), Wire::Bytes(bytes)) if depth < DEEPEST => {
                object.extend(message(inline, types, bytes, depth + 1)?);
            }
            (Some(Member::Field(field, said)), wire) => {
                // A field that Kubernetes no longer publishes.
                let Some(of) = types.get(field) else { continue };
                add(&mut object, field, of, &wire, *said, depth)?;
            }
            _ => {}
        }
    }
    Some(object)
}

/// Adds a value to a message; those of lists and maps come one by one.
fn add(object: &mut Map<String, Value>, field: &str, of: &str, wire: &Wire<'_>, said: bool, depth: usize) -> Option<()> {
    if let Some(items) = of.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let item = value(items, wire, depth)?;
        if let Value::Array(list) = object.entry(field).or_insert_with(|| Value::Array(Vec::new())) {
            list.push(item);
        }
    } else if let Some(values) = of.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let Wire::Bytes(entry) = wire else { return None };
        let (mut key, mut found) = (String::new(), None);
        for part in Parts(entry) {
            match part? {
                (1, Wire::Bytes(text)) => std::str::from_utf8(text).ok()?.clone_into(&mut key),
                (2, wire) => found = Some(value(values, &wire, depth)?),
                _ => {}
            }
        }
        let found = found.unwrap_or_else(|| Value::String(String::new()));
        if let Value::Object(map) = object.entry(field).or_insert_with(|| Value::Object(Map::new())) {
            map.insert(key, found);
        }
    } else {
        let value = value(of, wire, depth)?;
        let empty = match &value {
            Value::Null => true,
            Value::Bool(yes) => !yes && !said,
            Value::Number(number) => number.as_f64() == Some(0.0) && !said,
            Value::String(text) => text.is_empty() && !said,
            Value::Array(_) | Value::Object(_) => false,
        };
        if !empty {
            object.insert(field.into(), value);
        }
    }
    Some(())
}

fn value(of: &str, wire: &Wire<'_>, depth: usize) -> Option<Value> {
    match (of, wire) {
        ("bool", Wire::Number(number)) => Some((*number != 0).into()),
        ("int" | "int32" | "int64", Wire::Number(number)) => Some(number.cast_signed().into()),
        ("number", Wire::Double(number)) => Some((*number).into()),
        ("string", Wire::Bytes(text)) => Some(std::str::from_utf8(text).ok()?.into()),
        ("byte", Wire::Bytes(bytes)) => Some(STANDARD.encode(bytes).into()),
        ("time" | "microtime", Wire::Bytes(bytes)) => time(bytes, of == "microtime"),
        ("quantity", Wire::Bytes(bytes)) => match first(bytes, 1) {
            Some(Wire::Bytes(text)) => Some(std::str::from_utf8(text).ok()?.into()),
            _ => Some("0".into()),
        },
        ("int-or-string", Wire::Bytes(bytes)) => match first(bytes, 1) {
            Some(Wire::Number(1)) => match first(bytes, 3) {
                Some(Wire::Bytes(text)) => Some(std::str::from_utf8(text).ok()?.into()),
                _ => Some("".into()),
            },
            _ => match first(bytes, 2) {
                Some(Wire::Number(number)) => Some(number.cast_signed().into()),
                _ => Some(0.into()),
            },
        },
        ("any", Wire::Bytes(bytes)) => match first(bytes, 1) {
            Some(Wire::Bytes(text)) => serde_json::from_slice(text).ok(),
            _ => Some(Value::Null),
        },
        // A list as the value of a map is a message of its own.
        (list, Wire::Bytes(bytes)) if list.starts_with('[') => {
            let items = list.trim_start_matches('[').trim_end_matches(']');
            let mut out = Vec::new();
            for part in Parts(bytes) {
                out.push(value(items, &part?.1, depth)?);
            }
            Some(out.into())
        }
        (name, Wire::Bytes(bytes)) if depth < DEEPEST => {
            Some(Value::Object(message(name, &typed::fields(name)?, bytes, depth + 1)?))
        }
        _ => None,
    }
}

/// A field of a message, if it is there and can be read.
fn first(bytes: &[u8], wanted: u64) -> Option<Wire<'_>> {
    Parts(bytes).map_while(|part| part).find(|(number, _)| *number == wanted).map(|(_, wire)| wire)
}

/// A time; null if it is none.
fn time(bytes: &[u8], micro: bool) -> Option<Value> {
    let number = |wire: Option<Wire<'_>>| match wire {
        Some(Wire::Number(number)) => number.cast_signed(),
        _ => 0,
    };
    let (seconds, nanos) = (number(first(bytes, 1)), number(first(bytes, 2)));
    if bytes.is_empty() {
        return Some(Value::Null);
    }
    let time = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
    let text = if micro { format!("{time:.6}") } else { time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() };
    Some(text.into())
}
