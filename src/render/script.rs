//! Values with holes in their texts, written out with what is in them: what stays the same was written once, when the script was
//! made.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::cast::{Part, Piece, has_holes, mark, number_hole, number_mark, parts};
use crate::digest::{self, Digest};
use crate::document::emit;

/// What is in the holes of one rendering, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    text: String,
    ends: Vec<usize>,
    /// What was found out about each: it is in many objects.
    found: Vec<Found>,
}

/// Answers about a text, given once.
#[derive(Debug, Default)]
struct Found {
    simple: OnceLock<bool>,
    plain: OnceLock<bool>,
}

impl Holes {
    /// Fills the next hole.
    pub(crate) fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push(self.text.len());
        self.found.push(Found::default());
    }

    /// Whether it is the inside of a JSON string as it is.
    fn is_simple(&self, hole: usize) -> bool {
        let simple = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
        let ask = || self.get(hole).bytes().fold(true, |fine, b| fine & simple(b));
        self.found.get(hole).is_some_and(|found| *found.simple.get_or_init(ask))
    }

    /// Whether it is a value of YAML as it is.
    fn is_plain(&self, hole: usize) -> bool {
        self.found.get(hole).is_some_and(|found| *found.plain.get_or_init(|| emit::is_plain(self.get(hole), false)))
    }

    pub(crate) fn get(&self, hole: usize) -> &str {
        let end = self.ends.get(hole).copied().unwrap_or_default();
        let start = hole.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.text.get(start..end).unwrap_or_default()
    }

    /// What a text with holes says.
    pub(crate) fn say(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 32);
        for part in parts(text) {
            match part {
                Part::Said(said) => out.push_str(said),
                Part::Hole(hole) => out.push_str(self.get(hole)),
            }
        }
        out
    }

    /// What a value with holes is.
    pub(crate) fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if has_holes(text) => match number_hole(text) {
                Some(number) => serde_json::from_str(self.get(number)).map_or(Value::Null, Value::Number),
                None => Value::String(self.say(text)),
            },
            Value::Object(map) => {
                let key = |key: &String| if has_holes(key) { self.say(key) } else { key.clone() };
                Value::Object(map.iter().map(|(name, value)| (key(name), self.fill(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
}

/// The text that stands for a hole.
pub(crate) fn hole(number: usize) -> Option<String> {
    mark(number).map(String::from)
}

/// The text that stands for a number, in place of it.
pub(crate) fn number(number: usize) -> Option<String> {
    number_mark(number).map(String::from)
}

/// Whether a value has holes anywhere.
pub(crate) fn has_any(value: &Value) -> bool {
    match value {
        Value::String(text) => has_holes(text),
        Value::Array(items) => items.iter().any(has_any),
        Value::Object(map) => map.iter().any(|(key, value)| has_holes(key) || has_any(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A text with holes, in its pieces.
#[derive(Debug)]
pub(crate) struct Text(Vec<Piece>);

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        Self(parts(text).map(Piece::from).collect())
    }

    /// About how long it is.
    fn length(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Said(said) => said.len(),
            Piece::Hole(_) => 16,
        };
        self.0.iter().map(length).sum()
    }

    pub(crate) fn append(&self, holes: &Holes, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Said(said) => out.push_str(said),
                Piece::Hole(hole) => out.push_str(holes.get(*hole)),
            }
        }
    }

    /// Writes it with what is in holes escaped for JSON.
    pub(crate) fn append_with(&self, holes: &Holes, out: &mut String, escape: fn(&mut String, &str)) {
        for piece in &self.0 {
            match piece {
                Piece::Said(said) => out.push_str(said),
                Piece::Hole(hole) if holes.is_simple(*hole) => out.push_str(holes.get(*hole)),
                Piece::Hole(hole) => escape(out, holes.get(*hole)),
            }
        }
    }

    /// What it says, in `room` unless it is a piece of its own.
    pub(crate) fn say<'a>(&'a self, holes: &'a Holes, room: &'a mut String) -> &'a str {
        match &self.0[..] {
            [Piece::Hole(hole)] => holes.get(*hole),
            [Piece::Said(said)] => said,
            _ => {
                room.clear();
                self.append(holes, room);
                room
            }
        }
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As [`crate::document::append_yaml`] does.
    Yaml,
    /// As [`digest::canonical`] does.
    Canonical,
}

/// How to write a value with holes.
#[derive(Debug)]
pub(crate) struct Script {
    form: Form,
    steps: Vec<Step>,
    /// How much is said.
    length: usize,
    /// What is said before the first hole, hashed already.
    begun: Sha256,
}

#[derive(Debug)]
enum Step {
    Said(String),
    Text(Text, usize),
    Number(usize),
    /// The entries of a map whose order depends on what is in holes of their keys.
    Sorted(Vec<(Text, Vec<Step>)>, usize),
}

impl Script {
    /// How a map that is not empty is written as YAML.
    pub(crate) fn yaml(value: &Value) -> Self {
        let mut writer = Writer::new(Form::Yaml);
        writer.block(value, 0);
        writer.said.push('\n');
        writer.script()
    }

    /// How a value is written for its digest.
    pub(crate) fn canonical(value: &Value) -> Self {
        let mut writer = Writer::new(Form::Canonical);
        writer.json(value);
        writer.script()
    }

    pub(crate) fn append(&self, holes: &Holes, out: &mut String) {
        out.reserve(self.length);
        run(&self.steps, self.form, holes, out, &mut String::new());
    }

    /// The digest of what it writes, which goes through `room`.
    pub(crate) fn digest(&self, holes: &Holes, room: &mut String) -> Digest {
        room.clear();
        room.reserve(self.length);
        let begun = matches!(self.steps.first(), Some(Step::Said(_)));
        run(&self.steps[usize::from(begun)..], self.form, holes, room, &mut String::new());
        let mut hash = self.begun.clone();
        hash.update(room.as_bytes());
        Digest(digest::hex(&hash.finalize()))
    }
}

fn run(steps: &[Step], form: Form, holes: &Holes, out: &mut String, room: &mut String) {
    for step in steps {
        match (step, form) {
            (Step::Said(said), _) => out.push_str(said),
            (Step::Number(number), _) => out.push_str(holes.get(*number)),
            (Step::Text(text, indent), Form::Yaml) => match text.0[..] {
                [Piece::Hole(hole)] if holes.is_plain(hole) => out.push_str(holes.get(hole)),
                _ => emit::string(out, text.say(holes, room), *indent, "\n"),
            },
            (Step::Text(text, _), Form::Canonical) => {
                out.push('"');
                text.append_with(holes, out, append_escaped);
                out.push('"');
            }
            (Step::Sorted(entries, indent), _) => {
                let mut order: Vec<(String, &[Step])> = entries
                    .iter()
                    .map(|(key, steps)| {
                        let mut said = String::new();
                        key.append(holes, &mut said);
                        (said, steps.as_slice())
                    })
                    .collect();
                order.sort_by(|(a, _), (b, _)| a.cmp(b));
                for (n, (key, steps)) in order.into_iter().enumerate() {
                    match form {
                        Form::Yaml => {
                            if n > 0 {
                                emit::start_line(out, *indent, "\n");
                            }
                            emit::key(out, &key, *indent, "\n");
                        }
                        Form::Canonical => {
                            out.push_str(if n > 0 { "," } else { "" });
                            json_text(out, &key);
                            out.push(':');
                        }
                    }
                    run(steps, form, holes, out, room);
                }
            }
        }
    }
}

/// A string of JSON, escaped as `serde_json` does.
fn json_text(out: &mut String, text: &str) {
    out.push('"');
    append_escaped(out, text);
    out.push('"');
}

/// The inside of it.
pub(crate) fn append_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x8 => out.push_str("\\b"),
            0xc => out.push_str("\\f"),
            other => {
                let _infallible = write!(out, "\\u{other:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// A text with what it says itself escaped.
fn escaped(text: &str) -> Text {
    let escape = |piece| match piece {
        Piece::Said(said) => {
            let mut out = String::new();
            append_escaped(&mut out, &said);
            Piece::Said(out.into())
        }
        Piece::Hole(hole) => Piece::Hole(hole),
    };
    Text(Text::new(text).0.into_iter().map(escape).collect())
}

/// About how much steps write.
fn length(steps: &[Step]) -> usize {
    let length = |step: &Step| match step {
        Step::Said(said) => said.len(),
        Step::Text(text, _) => text.length(),
        Step::Number(_) => 8,
        Step::Sorted(entries, _) => entries.iter().map(|(key, steps)| key.length() + length(steps)).sum(),
    };
    steps.iter().map(length).sum()
}

struct Writer {
    form: Form,
    steps: Vec<Step>,
    /// What is said after them.
    said: String,
}

impl Writer {
    fn new(form: Form) -> Self {
        Self { form, steps: Vec::new(), said: String::new() }
    }

    fn script(self) -> Script {
        let form = self.form;
        let steps = self.steps();
        let mut begun = Sha256::new();
        if let Some(Step::Said(said)) = steps.first() {
            begun.update(said.as_bytes());
        }
        Script { form, length: length(&steps), steps, begun }
    }

    fn steps(mut self) -> Vec<Step> {
        self.end();
        self.steps
    }

    /// Ends what is said.
    fn end(&mut self) {
        if !self.said.is_empty() {
            self.steps.push(Step::Said(std::mem::take(&mut self.said)));
        }
    }

    fn step(&mut self, step: Step) {
        self.end();
        self.steps.push(step);
    }

    fn text(&mut self, text: &str, indent: usize) {
        self.step(match (number_hole(text), self.form) {
            (Some(number), _) => Step::Number(number),
            (None, Form::Yaml) => Step::Text(Text::new(text), indent),
            (None, Form::Canonical) => Step::Text(escaped(text), indent),
        });
    }

    /// The steps of a value after its key, on their own.
    fn apart(&self, write: impl FnOnce(&mut Self)) -> Vec<Step> {
        let mut inner = Self::new(self.form);
        write(&mut inner);
        inner.steps()
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::Object(map) if map.keys().any(|key| has_holes(key)) => {
                self.said.push('{');
                let entry = |(key, value): (&String, &Value)| (Text::new(key), self.apart(|inner| inner.json(value)));
                let entries = map.iter().map(entry).collect();
                self.step(Step::Sorted(entries, 0));
                self.said.push('}');
            }
            Value::Object(map) if has_any(value) => {
                for (n, (key, value)) in map.iter().enumerate() {
                    self.said.push_str(if n > 0 { "," } else { "{" });
                    json_text(&mut self.said, key);
                    self.said.push(':');
                    self.json(value);
                }
                self.said.push('}');
            }
            Value::Array(items) if has_any(value) => {
                for (n, item) in items.iter().enumerate() {
                    self.said.push_str(if n > 0 { "," } else { "[" });
                    self.json(item);
                }
                self.said.push(']');
            }
            Value::String(text) if has_holes(text) => self.text(text, 0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.said.push_str(&digest::canonical(value));
            }
        }
    }

    /// A collection that is not empty, as [`emit::block`] writes it.
    fn block(&mut self, value: &Value, indent: usize) {
        if !has_any(value) {
            emit::block(&mut self.said, value, indent, "\n");
            return;
        }
        match value {
            Value::Object(map) if map.keys().any(|key| has_holes(key)) => {
                let entry =
                    |(key, value): (&String, &Value)| (Text::new(key), self.apart(|inner| inner.after_key(value, indent)));
                let entries = map.iter().map(entry).collect();
                self.step(Step::Sorted(entries, indent));
            }
            Value::Object(map) => {
                for (n, (key, value)) in map.iter().enumerate() {
                    if n > 0 {
                        emit::start_line(&mut self.said, indent, "\n");
                    }
                    emit::key(&mut self.said, key, indent, "\n");
                    self.after_key(value, indent);
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        emit::start_line(&mut self.said, indent, "\n");
                    }
                    self.said.push_str("- ");
                    if emit::is_filled(item) { self.block(item, indent + 2) } else { self.yaml_leaf(item, indent + 2) }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.yaml_leaf(value, indent),
        }
    }

    fn after_key(&mut self, value: &Value, indent: usize) {
        if emit::is_filled(value) {
            let indent = if value.is_array() { indent } else { indent + 2 };
            emit::start_line(&mut self.said, indent, "\n");
            self.block(value, indent);
        } else {
            self.said.push(' ');
            self.yaml_leaf(value, indent + 2);
        }
    }

    fn yaml_leaf(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) if has_holes(text) => self.text(text, indent),
            Value::String(text) => emit::string(&mut self.said, text, indent, "\n"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                emit::put(&mut self.said, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
