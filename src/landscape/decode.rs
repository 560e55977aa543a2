//! From a value to a type, with a finding for every field that is unknown or of the wrong type, each at its place.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::nearest::nearest;
use super::schema::{Scalar, Shape, shape};
use super::shape::{is_duration, is_time};
use super::{Kind, Owner, controller_deployment};
use crate::document::Document;
use crate::finding::{Code, ErrorType, Finding, Findings, On, Pointer};
use crate::value::Quantity;

/// Checks a value against the shape of its kind and drops fields that are null, which is how manifests say that they are absent.
///
/// In lists and maps `null` is the empty value of their type, as Go reads it.
pub(super) fn check(kind: Kind, owner: &Owner, value: &mut Value, document: &Document) -> Findings {
    let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let foreign: &[&str] = if kind == Kind::ControllerDeployment { controller_deployment::foreign_fields(version) } else { &[] };
    let mut walk = Walk { document, owner: owner.to_string(), foreign, findings: Findings::default() };
    walk.visit(shape(kind), value, &Pointer::root());
    if kind == Kind::ControllerDeployment {
        walk.chart(value);
    }
    walk.findings
}

/// The same for a shape that is of no kind of object.
pub(super) fn check_shape(shape: &Shape, value: &mut Value, document: &Document) -> Findings {
    let mut walk = Walk { document, owner: String::new(), foreign: &[], findings: Findings::default() };
    walk.visit(shape, value, &Pointer::root());
    walk.findings
}

/// The typed form of a value that passed [`check`].
pub(super) fn typed<T: DeserializeOwned>(owner: &Owner, value: &Value, document: &Document) -> Result<T, Box<Finding>> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = error.path().iter().fold(Pointer::root(), |at, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => at.index(*index),
            serde_path_to_error::Segment::Map { key } => at.key(key),
            _ => at,
        });
        let message = format!("`{}` cannot be read: {}", pointer.field(), error.inner());
        Box::new(
            Finding::error(Code::new("FIELD-TYPE"), message)
                .at(document.place(&pointer, On::Value))
                .of(owner)
                .cause(ErrorType::DecodeError, pointer.field()),
        )
    })
}

struct Walk<'a> {
    document: &'a Document,
    owner: String,
    /// Fields of the kind that its version does not have.
    foreign: &'static [&'static str],
    findings: Findings,
}

/// The fields of a field, as `machine.type`.
fn below(name: &str, field: &Shape) -> Vec<String> {
    match field {
        Shape::Object(fields) => fields.keys().map(|inner| format!("{name}.{inner}")).collect(),
        _ => Vec::new(),
    }
}

impl Walk<'_> {
    fn visit(&mut self, shape: &Shape, value: &mut Value, at: &Pointer) {
        if let (Shape::Scalar(_) | Shape::Choice(_), Value::String(text)) = (shape, &*value)
            && let Some(read) = self.document.as_kubectl_reads(at, text)
        {
            if !fits(shape, &read) {
                return self.misread(shape, text, &read, at);
            }
            *value = read;
        }
        match (shape, value) {
            (Shape::Any, _) => {}
            (Shape::Object(fields), Value::Object(map)) => {
                let foreign = if at.as_str().is_empty() { self.foreign } else { &[] };
                let is_known = |key: &&str| !foreign.contains(key);
                for (key, inner) in map.iter_mut() {
                    match fields.get(key).filter(|_| is_known(&key.as_str())) {
                        // A null is no value, but the field must exist.
                        Some(_) if inner.is_null() => {}
                        Some(field) => self.visit(field, inner, &at.key(key)),
                        None => {
                            let inner: Vec<String> = fields.iter().flat_map(|(name, field)| below(name, field)).collect();
                            self.unknown(key, fields.keys().map(String::as_str).filter(is_known), &inner, at);
                        }
                    }
                }
                map.retain(|_, inner| !inner.is_null());
            }
            (Shape::Map(inner), Value::Object(map)) => {
                for (key, value) in map {
                    zero(inner, value);
                    self.visit(inner, value, &at.key(key));
                }
            }
            (Shape::List(inner), Value::Array(list)) => {
                for (index, value) in list.iter_mut().enumerate() {
                    zero(inner, value);
                    self.visit(inner, value, &at.index(index));
                }
            }
            (Shape::Choice(choices), value) => match choices.iter().find(|choice| fits(choice, value)) {
                Some(choice) => self.visit(choice, value, at),
                None => self.mistyped(shape, value, at),
            },
            (shape, value) => {
                if !fits(shape, value) {
                    self.mistyped(shape, value, at);
                } else if let (Shape::Scalar(scalar), Value::String(text)) = (shape, &*value) {
                    self.format(*scalar, text, at);
                }
            }
        }
    }

    /// A packed chart is bytes in base64.
    fn chart(&mut self, value: &Value) {
        let at = Pointer::from("/helm/rawChart");
        if value.pointer(at.as_str()).and_then(Value::as_str).is_some_and(|chart| !controller_deployment::is_base64(chart)) {
            self.findings.push(
                Finding::error(Code::new("FIELD-FORMAT"), format!("`{}` must be bytes in base64", at.field()))
                    .at(self.document.place(&at, On::Value))
                    .help("write what `helm package … && base64` prints")
                    .of(&self.owner)
                    .cause(ErrorType::DecodeError, at.field()),
            );
        }
    }

    fn unknown<'f>(&mut self, key: &str, known: impl Iterator<Item = &'f str> + Clone, inner: &[String], at: &Pointer) {
        let parent = if at.as_str().is_empty() { "the manifest".to_owned() } else { format!("`{}`", at.field()) };
        // `machineType` may be meant to be `machine.type`.
        let joined: Vec<String> = inner.iter().map(|path| path.replace('.', "")).collect();
        let names: Vec<String> = known.clone().map(str::to_owned).chain(joined.iter().cloned()).collect();
        let near = nearest(key, names.iter().map(String::as_str));
        let deeper = near.and_then(|near| joined.iter().position(|joined| joined == near)).and_then(|at| inner.get(at));
        let help = match near {
            Some(near) if known.clone().any(|known| known == near) => format!("did you mean `{near}`?"),
            Some(near) => format!("did you mean `{}`?", deeper.map_or(near, String::as_str)),
            None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.findings.push(
            Finding::error(Code::new("FIELD-UNKNOWN"), format!("{parent} has no field `{key}`"))
                .at(self.document.place(&at.key(key), On::Key))
                .help(help)
                .of(&self.owner)
                .cause(ErrorType::UnknownField, at.key(key).field()),
        );
    }

    /// Text that must be more than text.
    fn format(&mut self, scalar: Scalar, text: &str, at: &Pointer) {
        let (fine, what, help) = match scalar {
            Scalar::Quantity => {
                (text.parse::<Quantity>().is_ok(), "quantity", "write a number with an optional suffix: 500m, 2, 100Mi")
            }
            Scalar::Duration => (is_duration(text), "duration", "write numbers with units: 30s, 10m, 1h30m"),
            Scalar::Time => (is_time(text), "time", "write it as 2026-11-21T10:00:00Z"),
            _ => return,
        };
        if !fine {
            let message = format!("`{}` must be a {what}, not {}", at.field(), shown(&text.into()));
            let place = self.document.place(at, On::Value);
            self.findings.push(
                Finding::error(Code::new("FIELD-FORMAT"), message)
                    .at(place)
                    .help(help)
                    .of(&self.owner)
                    .cause(ErrorType::DecodeError, at.field()),
            );
        }
    }

    /// What is a string for some readers, and something else for kubectl, where that does not fit.
    fn misread(&mut self, shape: &Shape, text: &str, read: &Value, at: &Pointer) {
        let message = format!("`{}` must be {}, and kubectl reads `{text}` as {}", at.field(), describe(shape), shown(read));
        self.findings.push(
            Finding::error(Code::new("FIELD-TYPE"), message)
                .at(self.document.place(at, On::Value))
                .help(format!("put it in quotes if it is a string: \"{text}\""))
                .of(&self.owner)
                .cause(ErrorType::DecodeError, at.field()),
        );
    }

    fn mistyped(&mut self, shape: &Shape, value: &Value, at: &Pointer) {
        let wanted = describe(shape);
        let message = format!("`{}` must be {wanted}, not {}", at.field(), shown(value));
        let mut finding = Finding::error(Code::new("FIELD-TYPE"), message)
            .at(self.document.place(at, On::Value))
            .of(&self.owner)
            .cause(ErrorType::DecodeError, at.field());
        if wanted == "a string" && (value.is_number() || value.is_boolean()) {
            finding = finding.help(format!("put it in quotes: \"{value}\""));
        }
        self.findings.push(finding);
    }
}

/// Puts the empty value of its shape in the place of null.
fn zero(shape: &Shape, value: &mut Value) {
    if !value.is_null() {
        return;
    }
    *value = match shape {
        Shape::Any => Value::Null,
        Shape::Object(_) | Shape::Map(_) => Value::Object(serde_json::Map::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::Scalar(Scalar::Text) => "".into(),
        Shape::Scalar(Scalar::Bool) => false.into(),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Number) => 0.into(),
        Shape::Scalar(Scalar::Quantity) => "0".into(),
        Shape::Scalar(Scalar::Duration) => "0s".into(),
        Shape::Scalar(Scalar::Time) => "0001-01-01T00:00:00Z".into(),
        Shape::Choice(choices) => {
            if let Some(first) = choices.first() {
                zero(first, value);
            }
            return;
        }
    };
}

/// Whether a value is of the outer type that a shape asks for.
fn fits(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Any, _)
        | (Shape::Object(_) | Shape::Map(_), Value::Object(_))
        | (Shape::List(_), Value::Array(_))
        | (Shape::Scalar(Scalar::Text | Scalar::Duration | Scalar::Time | Scalar::Quantity), Value::String(_))
        | (Shape::Scalar(Scalar::Bool), Value::Bool(_))
        | (Shape::Scalar(Scalar::Number | Scalar::Quantity), Value::Number(_)) => true,
        (Shape::Scalar(Scalar::Int32), Value::Number(number)) => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        (Shape::Scalar(Scalar::Int64), Value::Number(number)) => number.as_i64().is_some(),
        (Shape::Choice(choices), value) => choices.iter().any(|choice| fits(choice, value)),
        _ => false,
    }
}

fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Any => "anything".to_owned(),
        Shape::Object(_) | Shape::Map(_) => "a map".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Scalar(Scalar::Text) => "a string".to_owned(),
        Shape::Scalar(Scalar::Bool) => "true or false".to_owned(),
        Shape::Scalar(Scalar::Int32) => "a whole number of 32 bits".to_owned(),
        Shape::Scalar(Scalar::Int64) => "a whole number".to_owned(),
        Shape::Scalar(Scalar::Number) => "a number".to_owned(),
        Shape::Scalar(Scalar::Quantity) => "a quantity".to_owned(),
        Shape::Scalar(Scalar::Duration) => "a duration".to_owned(),
        Shape::Scalar(Scalar::Time) => "a time".to_owned(),
        Shape::Choice(choices) => choices.iter().map(describe).collect::<Vec<_>>().join(" or "),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => format!("{value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() <= 40 => format!("the string \"{}\"", text.escape_debug()),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}
