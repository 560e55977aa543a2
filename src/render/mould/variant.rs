//! Variants of a mould: values such as lists and booleans belong to the structure; texts and whole numbers stay holes. Holes with the
//! same text are one, so that what is the same name stays the same name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::{Key, LONGEST_KEY, Node, Scalar, Style, json, visible};
use crate::document;
use crate::render::cast::{Hole, Piece, has_holes};
use crate::render::script::{has_any, hole, number};

/// A scalar with holes, as it is asked what it is each time.
pub(super) enum Scene {
    Text { scalar: Arc<Scalar>, is_key: bool },
    Json { hole: usize, is_key: bool },
}

/// The scalars with holes of manifests, in the order in which [`Variant::values`] meets them.
pub(super) fn scenes(nodes: &[Node]) -> Vec<Scene> {
    let mut out = Vec::new();
    for node in nodes {
        add(node, &mut out);
    }
    out
}

fn add(node: &Node, out: &mut Vec<Scene>) {
    match node {
        Node::Fixed(_) => {}
        Node::Map(entries) => {
            for (key, node) in entries {
                match key {
                    Key::Fixed(_) => {}
                    Key::Text(scalar) => out.push(match scalar.json {
                        Some(hole) => Scene::Json { hole, is_key: true },
                        None => Scene::Text { scalar: Arc::clone(scalar), is_key: true },
                    }),
                }
                add(node, out);
            }
        }
        Node::List(nodes) => nodes.iter().for_each(|node| add(node, out)),
        Node::Text(scalar) => out.push(Scene::Text { scalar: Arc::clone(scalar), is_key: false }),
        Node::Json(hole) => out.push(Scene::Json { hole: *hole, is_key: false }),
    }
}

/// What one cast makes of the scalars of a mould.
pub(super) struct Variant<'h> {
    /// The same for casts that differ in texts alone.
    pub(super) name: String,
    /// The texts, by the numbers of their holes.
    pub(super) texts: Vec<Cow<'h, str>>,
    /// For each scalar, the numbers of its holes; `None` for what belongs to the structure.
    parts: Vec<Option<Vec<usize>>>,
}

impl<'h> Variant<'h> {
    /// `given` are texts that are there whatever the template says; they take the first numbers, and the first of them is known to
    /// be a text that templates write as well. `None` where the text has to be read.
    pub(super) fn of(scenes: &[Scene], holes: &'h [Hole], given: &[&'h str]) -> Option<Self> {
        let mut known: HashMap<Cow<'h, str>, usize> = HashMap::with_capacity(scenes.len());
        let mut texts: Vec<Cow<'h, str>> = given.iter().map(|text| Cow::Borrowed(*text)).collect();
        if let Some(first) = given.first() {
            known.insert(Cow::Borrowed(*first), 0);
        }
        let (mut name, mut parts, mut room) = (String::new(), Vec::with_capacity(scenes.len()), String::new());
        // In a structure, none is taken for another: where it matters that two are the same, that is asked later.
        let mut number = |text: Cow<'h, str>, shared: bool, name: &mut String| {
            let next = texts.len();
            let number = if shared { *known.entry(text.clone()).or_insert(next) } else { next };
            if number == next {
                texts.push(text);
            }
            // Never the character that begins a value.
            name.extend(char::from_u32(u32::try_from(number).ok()? + 0x100));
            Some(number)
        };
        for scene in scenes {
            let found = match scene {
                Scene::Json { hole, is_key } => {
                    let text = holes.get(*hole)?.text();
                    match string(text).filter(|text| !text.is_empty()) {
                        Some(text) if visible(&text) && !(*is_key && text.len() >= LONGEST_KEY) => {
                            Some(vec![number(text, true, &mut name)?])
                        }
                        Some(_) => return None,
                        None if *is_key => return None,
                        None => {
                            let mut numbers = Vec::new();
                            let mut take = |text: String, name: &mut String| {
                                numbers.push(number(Cow::Owned(text), false, name)?);
                                Some(())
                            };
                            skeleton(json(text)?, &mut name, &mut take)?;
                            Some(numbers)
                        }
                    }
                }
                Scene::Text { scalar, is_key } => {
                    scalar.check(holes)?;
                    let plain = matches!(scalar.style, Style::Plain { .. });
                    if plain || *is_key {
                        room.clear();
                        scalar.append(holes, &mut room)?;
                    }
                    let stays = !plain || document::stays_text(&room);
                    if *is_key && (!stays || scalar.style == Style::Block || room.len() >= LONGEST_KEY) {
                        return None;
                    }
                    if let Some(text) = scalar.number(holes) {
                        name.push('#');
                        Some(vec![number(Cow::Borrowed(text), false, &mut name)?])
                    } else if stays {
                        let numbered = scalar.holes().map(|hole| number(Cow::Borrowed(holes.get(hole)?.text()), true, &mut name));
                        Some(numbered.collect::<Option<Vec<_>>>()?)
                    } else {
                        said(&mut name, &room);
                        None
                    }
                }
            };
            parts.push(found);
        }
        Some(Self { name, texts, parts })
    }

    /// The manifests with holes for texts; `None` if there are too many, or if values use characters that stand for holes.
    pub(super) fn values(&self, nodes: &[Node], holes: &[Hole]) -> Option<Vec<Value>> {
        let mut maker = Maker { holes, parts: self.parts.iter() };
        nodes.iter().map(|node| maker.value(node)).collect()
    }
}

/// Notes a value that belongs to the structure.
fn said(name: &mut String, text: &str) {
    name.push('=');
    name.push_str(text);
    name.push('\0');
}

/// The string that JSON is.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains(['\\', '"']) { serde_json::from_str(text).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// Whether a number is a hole. Zero is an order to some.
fn is_open(number: &Number) -> bool {
    (number.is_i64() || number.is_u64()) && number.as_i64() != Some(0)
}

/// Notes the structure of a value, and takes its texts and numbers in order.
fn skeleton(value: Value, name: &mut String, take: &mut dyn FnMut(String, &mut String) -> Option<()>) -> Option<()> {
    match value {
        Value::Object(map) => {
            name.push('{');
            for (key, value) in map {
                said(name, &key);
                skeleton(value, name, take)?;
            }
            name.push('}');
        }
        Value::Array(items) => {
            name.push('[');
            for item in items {
                skeleton(item, name, take)?;
            }
            name.push(']');
        }
        Value::String(text) if !text.is_empty() => take(text, name)?,
        Value::Number(number) if is_open(&number) => {
            name.push('#');
            take(number.to_string(), name)?;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => said(name, &value.to_string()),
    }
    Some(())
}

impl Scalar {
    /// The text of the whole number that it is and nothing else, if that is a hole.
    fn number<'h>(&self, holes: &'h [Hole]) -> Option<&'h str> {
        let ([Piece::Hole(hole)], Style::Plain { .. }) = (&self.pieces[..], self.style) else { return None };
        let text = holes.get(*hole)?.text();
        let number: Number = text.parse().ok()?;
        (is_open(&number) && number.to_string() == text).then_some(text)
    }
}

/// The value with holes for its texts and numbers.
fn with_holes(value: Value, numbers: &mut std::slice::Iter<'_, usize>) -> Option<Value> {
    Some(match value {
        Value::Object(map) => {
            let entry = |(key, value)| Some((key, with_holes(value, numbers)?));
            Value::Object(map.into_iter().map(entry).collect::<Option<_>>()?)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| with_holes(item, numbers)).collect::<Option<_>>()?),
        Value::String(text) if !text.is_empty() => Value::String(hole(*numbers.next()?)?),
        Value::Number(it) if is_open(&it) => Value::String(number(*numbers.next()?)?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    })
}

struct Maker<'a> {
    holes: &'a [Hole],
    parts: std::slice::Iter<'a, Option<Vec<usize>>>,
}

impl Maker<'_> {
    fn value(&mut self, node: &Node) -> Option<Value> {
        match node {
            Node::Fixed(value) => Some(value.clone()),
            Node::Map(entries) => {
                let mut map = Map::new();
                for (key, node) in entries {
                    let key = match key {
                        Key::Fixed(key) => key.clone(),
                        Key::Text(scalar) => marked(scalar, self.parts.next()?.as_ref()?)?,
                    };
                    let value = self.value(node)?;
                    if map.insert(key, value).is_some() {
                        return None;
                    }
                }
                Some(Value::Object(map))
            }
            Node::List(nodes) => nodes.iter().map(|node| self.value(node)).collect::<Option<_>>().map(Value::Array),
            Node::Text(scalar) => match self.parts.next()? {
                Some(numbers) if scalar.number(self.holes).is_some() => number(*numbers.first()?).map(Value::String),
                Some(numbers) => marked(scalar, numbers).map(Value::String),
                None => scalar.value(self.holes).filter(|value| !has_any(value)),
            },
            Node::Json(at) => {
                let mut numbers = self.parts.next()?.as_ref()?.iter();
                with_holes(json(self.holes.get(*at)?.text())?, &mut numbers)
            }
        }
    }
}

/// A scalar with the holes that have these numbers.
fn marked(scalar: &Scalar, numbers: &[usize]) -> Option<String> {
    if scalar.json.is_some() {
        return hole(*numbers.first()?);
    }
    let (mut out, mut numbers) = (String::new(), numbers.iter());
    for piece in &scalar.pieces {
        match piece {
            Piece::Said(said) if has_holes(said) => return None,
            Piece::Said(said) => out.push_str(said),
            Piece::Hole(_) => out.push_str(&hole(*numbers.next()?)?),
        }
    }
    Some(out)
}
