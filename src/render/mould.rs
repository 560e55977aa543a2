//! Moulds: what the reader makes of a template's text, kept with its holes, so that the next owner's values go into a tree that was
//! read already. Most of a fleet has few shapes, and reading is the dearest part of rendering.
//!
//! A mould gives exactly what reading the text would give, or nothing: wherever that is not certain, the text is read. Values that
//! went through the escape cannot change how a text is read, except for what a plain scalar means; that is asked each time.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Number, Value};

use super::DesiredObject;
use super::cast::{Cast, Hole, Piece, has_holes, parts};
use super::post::{self, Stamp};
use super::program::Program;
use super::script::has_any;
use crate::document::{self, Budget, Document};
use crate::finding::{On, Pointer, Severity};
use crate::snapshot::RepoPath;

mod variant;

/// So many shapes of one template are kept, and so many bytes of them.
const SHAPES: usize = 32;
const BYTES: usize = 1 << 20;
/// Keys that the reader takes without a mark are a little longer.
const LONGEST_KEY: usize = 1_000;
/// The reader takes more.
const DEEPEST: usize = 64;

/// So many variants of one mould are made into programs; those that come up once are not, as long as no more than this came up.
const VARIANTS: usize = 64;
const SEEN: usize = 1_024;

/// The moulds of one template, by the shape of its text; `None` for a shape that is to be read each time.
#[derive(Default)]
pub(crate) struct Moulds(RwLock<Kept>);

#[derive(Default)]
struct Kept {
    by_shape: HashMap<Box<str>, Option<Arc<Mould>>>,
    bytes: usize,
}

impl Moulds {
    fn of(&self, cast: &Cast, path: &RepoPath, budget: &Budget) -> Option<Arc<Mould>> {
        if cast.confused {
            return None;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).by_shape.get(cast.shape.as_str()).cloned();
        if let Some(known) = known {
            return known;
        }
        let mould = Mould::new(cast, path, budget).map(Arc::new);
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.by_shape.len() < SHAPES && kept.bytes + cast.shape.len() <= BYTES {
            kept.bytes += cast.shape.len();
            kept.by_shape.insert(cast.shape.as_str().into(), mould.clone());
        }
        mould
    }

    /// The mould of a text, if it is kept.
    pub(crate) fn known(&self, cast: &Cast) -> Option<Arc<Mould>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_shape.get(cast.shape.as_str()).cloned().flatten()
    }

    /// What a text comes to; `None` if it has to be read.
    pub(crate) fn fill(&self, cast: &Cast, path: &RepoPath, budget: &Budget, stamp: &Stamp<'_>) -> Option<Filled> {
        let mould = self.of(cast, path, budget)?;
        let objects = mould.objects(&cast.holes, stamp).map(Filled::Objects);
        objects.or_else(|| mould.fill(&cast.holes).map(Filled::Manifests))
    }
}

/// What a filled mould gives.
pub(crate) enum Filled {
    /// The objects that [`super::post::objects`] makes of the manifests.
    Objects(Vec<DesiredObject>),
    /// The manifests that reading the text gives, of which nobody has made objects yet.
    Manifests(Vec<Value>),
}

/// Manifests with holes.
pub(crate) struct Mould {
    nodes: Vec<Node>,
    scenes: Vec<variant::Scene>,
    variants: RwLock<Variants>,
}

/// What is made of the variants of a mould.
#[derive(Default)]
struct Variants {
    /// `None` for one whose manifests are to be asked each time.
    programs: HashMap<String, Option<Arc<Program>>>,
    /// Those that came up once, by their hashes.
    seen: HashSet<u64>,
}

enum Node {
    /// Has none.
    Fixed(Value),
    Map(Vec<(Key, Node)>),
    List(Vec<Node>),
    Text(Arc<Scalar>),
    /// A hole with JSON and nothing else.
    Json(usize),
}

enum Key {
    Fixed(String),
    Text(Arc<Scalar>),
}

/// A scalar with holes in it.
struct Scalar {
    pieces: Vec<Piece>,
    style: Style,
    /// The hole with JSON that it is and nothing else.
    json: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Without quotes, and whether inside of `[]` or `{}`.
    Plain { flow: bool },
    /// In quotes, which JSON would end.
    Quoted,
    /// Whole lines.
    Block,
}

impl Mould {
    /// Reads a shape; `None` if its text has to be read each time.
    fn new(cast: &Cast, path: &RepoPath, budget: &Budget) -> Option<Self> {
        let parsed = document::parse(path, cast.shape.as_bytes(), budget);
        if parsed.findings.iter().any(|finding| finding.severity == Severity::Error) {
            return None;
        }
        let make =
            |document: &Arc<Document>| Maker { document, holes: &cast.holes }.node(document.value(), &Pointer::root(), false);
        let nodes: Vec<Node> = parsed.documents.iter().map(make).collect::<Option<_>>()?;
        Some(Self { scenes: variant::scenes(&nodes), nodes, variants: RwLock::default() })
    }

    fn fill(&self, holes: &[Hole]) -> Option<Vec<Value>> {
        self.nodes.iter().map(|node| node.fill(holes)).collect()
    }

    pub(crate) fn objects(&self, holes: &[Hole], stamp: &Stamp<'_>) -> Option<Vec<DesiredObject>> {
        let given = [stamp.namespace, stamp.owner, stamp.name];
        let mut variant = variant::Variant::of(&self.scenes, holes, &given)?;
        variant.name.push(if stamp.hibernated { 'h' } else { 'a' });
        variant.name.push(if stamp.namespace.is_empty() { 'c' } else { 'n' });
        let known = self.variants.read().unwrap_or_else(PoisonError::into_inner).programs.get(&variant.name).cloned();
        if let Some(known) = known {
            return known?.objects(&variant.texts);
        }
        let mut hash = DefaultHasher::new();
        variant.name.hash(&mut hash);
        let mut variants = self.variants.write().unwrap_or_else(PoisonError::into_inner);
        if !variants.seen.remove(&hash.finish()) {
            if variants.seen.len() < SEEN {
                variants.seen.insert(hash.finish());
            }
            return None;
        }
        if variants.programs.len() >= VARIANTS {
            return None;
        }
        let values = variant.values(&self.nodes, holes);
        let program = values.and_then(|values| Program::new(values, stamp, variant.texts.len())).map(Arc::new);
        // What is made of marks is what is made of what they stand for, or there is no program.
        let objects = program.as_ref().and_then(|program| program.objects(&variant.texts));
        let objects = objects.filter(|objects| {
            let complete = self.fill(holes).and_then(|manifests| post::objects(manifests, stamp).ok());
            complete.is_some_and(|complete| complete == *objects)
        });
        variants.programs.insert(variant.name, program.filter(|_| objects.is_some()));
        objects
    }
}

struct Maker<'a> {
    document: &'a Document,
    holes: &'a [Hole],
}

impl Maker<'_> {
    fn node(&self, value: &Value, at: &Pointer, flow: bool) -> Option<Node> {
        if !has_any(value) {
            return Some(Node::Fixed(value.clone()));
        }
        let flow = flow || matches!(self.first(at, On::Value), Some(b'[' | b'{'));
        match value {
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| {
                    let at = at.key(key);
                    let made = if has_holes(key) {
                        Key::Text(Arc::new(self.scalar(key, &at, On::Key, flow)?))
                    } else {
                        Key::Fixed(key.clone())
                    };
                    Some((made, self.node(value, &at, flow)?))
                };
                map.iter().map(entry).collect::<Option<_>>().map(Node::Map)
            }
            Value::Array(items) => {
                let nodes = items.iter().enumerate().map(|(n, item)| self.node(item, &at.index(n), flow));
                nodes.collect::<Option<_>>().map(Node::List)
            }
            Value::String(text) => {
                let scalar = self.scalar(text, at, On::Value, flow)?;
                Some(match scalar.json {
                    Some(hole) if matches!(scalar.style, Style::Plain { .. }) => Node::Json(hole),
                    _ => Node::Text(Arc::new(scalar)),
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(Node::Fixed(value.clone())),
        }
    }

    /// A scalar with holes; `None` where JSON in it would be read otherwise than as text.
    fn scalar(&self, text: &str, at: &Pointer, on: On, flow: bool) -> Option<Scalar> {
        let style = match self.first(at, on)? {
            b'"' | b'\'' => Style::Quoted,
            b'|' | b'>' => Style::Block,
            _ => Style::Plain { flow },
        };
        let pieces: Vec<Piece> = parts(text).map(Piece::from).collect();
        let of_json = |piece: &Piece| match piece {
            Piece::Hole(hole) => matches!(self.holes.get(*hole), Some(Hole::Json(_))).then_some(*hole),
            Piece::Said(_) => None,
        };
        let json = if let [piece] = &pieces[..] { of_json(piece) } else { None };
        let whole = json.is_some() && matches!(style, Style::Plain { .. });
        let read_otherwise = style != Style::Block && !whole && pieces.iter().any(|piece| of_json(piece).is_some());
        (!read_otherwise).then_some(Scalar { pieces, style, json })
    }

    /// The first byte of a field's text.
    fn first(&self, at: &Pointer, on: On) -> Option<u8> {
        let start = self.document.span(at, on)?.start;
        self.document.text().as_bytes().get(start).copied()
    }
}

impl Node {
    fn fill(&self, holes: &[Hole]) -> Option<Value> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Map(entries) => {
                let entry = |(key, node): &(Key, Node)| {
                    let key = match key {
                        Key::Fixed(key) => key.clone(),
                        Key::Text(scalar) => scalar.key(holes)?,
                    };
                    Some((key, node.fill(holes)?))
                };
                let map: Map<String, Value> = entries.iter().map(entry).collect::<Option<_>>()?;
                // Of keys that came out the same, one is left.
                (map.len() == entries.len()).then_some(Value::Object(map))
            }
            Self::List(nodes) => nodes.iter().map(|node| node.fill(holes)).collect::<Option<_>>().map(Value::Array),
            Self::Text(scalar) => scalar.value(holes),
            Self::Json(hole) => json(holes.get(*hole)?.text()),
        }
    }
}

impl Scalar {
    /// Its holes in order.
    fn holes(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Said(_) => None,
            Piece::Hole(hole) => Some(*hole),
        })
    }

    /// `None` where what is in a hole would matter to the reader.
    fn check(&self, holes: &[Hole]) -> Option<()> {
        let fine = |(n, piece): (usize, &Piece)| {
            let Piece::Hole(hole) = piece else { return Some(true) };
            let hole = holes.get(*hole)?;
            let colon = match self.style {
                Style::Plain { flow: true } => hole.text().contains(':'),
                Style::Plain { flow: false } => n == 0 && hole.text().starts_with(':'),
                Style::Quoted | Style::Block => false,
            };
            Some(!colon && (matches!(hole, Hole::Plain(_)) || hole.text().bytes().all(|b| matches!(b, b' '..=b'~'))))
        };
        self.pieces.iter().enumerate().try_for_each(|piece| fine(piece)?.then_some(()))
    }

    fn append(&self, holes: &[Hole], out: &mut String) -> Option<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Said(said) => out.push_str(said),
                Piece::Hole(hole) => out.push_str(holes.get(*hole)?.text()),
            }
        }
        Some(())
    }

    fn filled(&self, holes: &[Hole]) -> Option<String> {
        self.check(holes)?;
        let mut out = String::new();
        self.append(holes, &mut out)?;
        Some(out)
    }

    fn value(&self, holes: &[Hole]) -> Option<Value> {
        let text = self.filled(holes)?;
        match self.style {
            Style::Quoted | Style::Block => Some(Value::String(text)),
            Style::Plain { .. } => document::resolve(&text),
        }
    }

    fn key(&self, holes: &[Hole]) -> Option<String> {
        if let Some(hole) = self.json {
            let Value::String(key) = json(holes.get(hole)?.text())? else { return None };
            return (key.len() < LONGEST_KEY).then_some(key);
        }
        let text = self.filled(holes).filter(|text| text.len() < LONGEST_KEY)?;
        match self.style {
            Style::Quoted => Some(text),
            Style::Block => None,
            Style::Plain { .. } => match document::resolve(&text)? {
                Value::String(key) => Some(key),
                _ => None,
            },
        }
    }
}

/// JSON as the reader takes it; `None` for what it may refuse or read otherwise.
fn json(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    same_in_yaml(&value, 0).then_some(value)
}

fn same_in_yaml(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => number.is_i64() || number.is_u64() || is_read_alike(number),
        Value::String(text) => visible(text),
        Value::Array(items) => depth < DEEPEST && items.iter().all(|item| same_in_yaml(item, depth + 1)),
        Value::Object(map) => {
            depth < DEEPEST
                && map.iter().all(|(key, value)| key.len() < LONGEST_KEY && visible(key) && same_in_yaml(value, depth + 1))
        }
    }
}

/// Whether every reader shows it as it is.
fn visible(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~'))
}

/// Whether the reader makes the same of a number's text as a reader of JSON.
fn is_read_alike(number: &Number) -> bool {
    matches!(document::resolve(&number.to_string()), Some(Value::Number(read)) if read == *number)
}

#[cfg(test)]
mod tests;
