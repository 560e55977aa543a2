//! Moulds: what the reader makes of a template's text, kept with its holes, so that the next owner's values go into a tree that was
//! read already. Most of a fleet has few shapes, and reading is the dearest part of rendering.
//!
//! A mould gives exactly what reading the text would give, or nothing: wherever that is not certain, the text is read. Values that
//! went through the escape cannot change how a text is read, except for what a plain scalar means; that is asked each time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Number, Value};

use super::DesiredObject;
use super::cast::{Cast, Hole, Part, has_holes, parts};
use super::post::Stamp;
use super::program::Program;
use crate::document::{self, Budget, Document};
use crate::finding::{On, Pointer, Severity};
use crate::snapshot::RepoPath;

/// So many shapes of one template are kept, and so many bytes of them.
const SHAPES: usize = 32;
const BYTES: usize = 1 << 20;
/// Keys that the reader takes without a mark are a little longer.
const LONGEST_KEY: usize = 1_000;
/// The reader takes more.
const DEEPEST: usize = 64;

mod variant;

/// So many variants of one mould are made into programs; those that come up once are not.
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

    /// The manifests that reading a text gives; `None` if it has to be read.
    pub(crate) fn fill(&self, cast: &Cast, path: &RepoPath, budget: &Budget) -> Option<Vec<Value>> {
        self.of(cast, path, budget)?.fill(&cast.holes)
    }

    /// The objects that [`super::post::objects`] makes of these manifests; `None` if that has to be asked.
    pub(crate) fn objects(&self, cast: &Cast, path: &RepoPath, budget: &Budget, stamp: &Stamp<'_>) -> Option<Vec<DesiredObject>> {
        self.of(cast, path, budget)?.objects(&cast.holes, stamp)
    }
}

/// Manifests with holes.
struct Mould {
    nodes: Vec<Node>,
    scenes: Vec<variant::Scene>,
    variants: RwLock<Variants>,
}

/// What is made of the variants of a mould.
#[derive(Default)]
struct Variants {
    /// `None` for one whose manifests are to be asked each time.
    programs: HashMap<String, Option<Arc<Program>>>,
    /// Those that came up once.
    seen: HashSet<String>,
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

enum Piece {
    Said(String),
    Hole(usize),
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

    fn objects(&self, holes: &[Hole], stamp: &Stamp<'_>) -> Option<Vec<DesiredObject>> {
        let given = [stamp.namespace, stamp.owner, stamp.name];
        let mut variant = variant::Variant::of(&self.scenes, holes, &given)?;
        variant.name.push(if stamp.hibernated { 'h' } else { 'a' });
        variant.name.push(if stamp.namespace.is_empty() { 'c' } else { 'n' });
        let known = self.variants.read().unwrap_or_else(PoisonError::into_inner).programs.get(&variant.name).cloned();
        if let Some(known) = known {
            return known?.objects(&variant.texts);
        }
        let mut variants = self.variants.write().unwrap_or_else(PoisonError::into_inner);
        if !variants.seen.remove(&variant.name) {
            if variants.seen.len() < SEEN {
                variants.seen.insert(variant.name);
            }
            return None;
        }
        if variants.programs.len() >= VARIANTS {
            return None;
        }
        let program =
            variant.values(&self.nodes, holes).and_then(|values| Program::new(values, stamp, variant.texts.len())).map(Arc::new);
        variants.programs.insert(variant.name, program.clone());
        drop(variants);
        program?.objects(&variant.texts)
    }
}

struct Maker<'a> {
    document: &'a Document,
    holes: &'a [Hole],
}

impl Maker<'_> {
    fn node(&self, value: &Value, at: &Pointer, flow: bool) -> Option<Node> {
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
                let entries: Vec<(Key, Node)> = map.iter().map(entry).collect::<Option<_>>()?;
                let fixed = entries.iter().all(|(key, node)| matches!((key, node), (Key::Fixed(_), Node::Fixed(_))));
                Some(if fixed { Node::Fixed(value.clone()) } else { Node::Map(entries) })
            }
            Value::Array(items) => {
                let nodes = items.iter().enumerate().map(|(n, item)| self.node(item, &at.index(n), flow));
                let nodes: Vec<Node> = nodes.collect::<Option<_>>()?;
                let fixed = nodes.iter().all(|node| matches!(node, Node::Fixed(_)));
                Some(if fixed { Node::Fixed(value.clone()) } else { Node::List(nodes) })
            }
            Value::String(text) if has_holes(text) => {
                let scalar = self.scalar(text, at, On::Value, flow)?;
                Some(match scalar.json {
                    Some(hole) if matches!(scalar.style, Style::Plain { .. }) => Node::Json(hole),
                    _ => Node::Text(Arc::new(scalar)),
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(Node::Fixed(value.clone())),
        }
    }

    /// A scalar with holes; `None` where JSON in it would be read otherwise than as text.
    fn scalar(&self, text: &str, at: &Pointer, on: On, flow: bool) -> Option<Scalar> {
        let style = match self.first(at, on)? {
            b'"' | b'\'' => Style::Quoted,
            b'|' | b'>' => Style::Block,
            _ => Style::Plain { flow },
        };
        let json = |part: Part<'_>| matches!(part, Part::Hole(hole) if matches!(self.holes.get(hole), Some(Hole::Json(_))));
        let whole = parts(text).nth(1).is_none();
        let read_otherwise = style != Style::Block && parts(text).any(json) && !(whole && matches!(style, Style::Plain { .. }));
        let piece = |part: Part<'_>| match part {
            Part::Said(said) => Piece::Said(said.to_owned()),
            Part::Hole(hole) => Piece::Hole(hole),
        };
        let pieces: Vec<Piece> = parts(text).map(piece).collect();
        let json = match pieces[..] {
            [Piece::Hole(hole)] if matches!(self.holes.get(hole), Some(Hole::Json(_))) => Some(hole),
            _ => None,
        };
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
    let visible = |text: &str| text.bytes().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~'));
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

/// Whether the reader makes the same of a number's text as a reader of JSON.
fn is_read_alike(number: &Number) -> bool {
    matches!(document::resolve(&number.to_string()), Some(Value::Number(read)) if read == *number)
}

#[cfg(test)]
mod tests {
    use handlebars::Output as _;
    use proptest::prelude::*;

    use super::*;
    use crate::render::cast::{JSON, PLAIN};

    /// Texts with `%` for a plain value and `$` for JSON.
    const SHAPES: &[&str] = &[
        "a: %\n",
        "a: \"%\"\nb: '%'\n",
        "a: x-%-y\nb: [%, z-%]\nc: {d: %, %: e}\n",
        "%: 1\nx%: 2\n\"q%\": 3\n",
        "a: |\n  first %\n  %: $\n  [$]\nb: >-\n  folded %\n  on\n",
        "a: $\nb: [$, $]\nc: {d: $}\n$: e\n",
        "# said % of $\na: 1 # and % here\n",
        "a: --x=%,%\nb: %%\nc: - %\n",
        "a: x=$\nb: \"$\"\n",
        "a: %:80\nb: http://%/\nc: %/x:y\n",
        "a: 1\n---\nb: %\n---\n# nothing\n---\nc: $\n",
    ];

    fn cast(shape: &str, plain: &[String], json: &[Value]) -> Cast {
        let (mut plain, mut json) = (plain.iter().cycle(), json.iter().cycle());
        let mut cast = Cast::default();
        for piece in shape.split_inclusive(['%', '$']) {
            let said = piece.trim_end_matches(['%', '$']);
            cast.write(said).expect("written");
            let value = match &piece[said.len()..] {
                "%" => format!("{PLAIN}{}", plain.next().expect("a value")),
                "$" => format!("{JSON}{}", super::super::helper::json(json.next().expect("a value"))),
                _ => continue,
            };
            cast.write(&value).expect("written");
        }
        cast
    }

    fn read(cast: &Cast) -> Option<Vec<Value>> {
        let parsed = document::parse(&RepoPath::from("t.yaml"), cast.text().as_bytes(), &Budget::default());
        let wrong = parsed.findings.iter().any(|finding| finding.severity == Severity::Error);
        (!wrong).then(|| parsed.documents.iter().map(|document| document.value().clone()).collect())
    }

    fn filled(moulds: &Moulds, cast: &Cast) -> Option<Vec<Value>> {
        moulds.fill(cast, &RepoPath::from("t.yaml"), &Budget::default())
    }

    #[test]
    fn what_fleets_are_made_of_is_filled_in() {
        let (plain, json) = (["shoot--dev--a".to_owned()], [Value::from("a \"b\": c\n"), Value::from(vec![1, 2])]);
        for shape in SHAPES.iter().filter(|shape| !shape.contains("x=$")).take(5) {
            let cast = cast(shape, &plain, &json);
            let values = filled(&Moulds::default(), &cast);
            assert!(values.is_some() && values == read(&cast), "{shape}");
        }
        let moulds = Moulds::default();
        for value in ["10", "true", "1.5", "a.b/c:d", "-1", "2026-01-01", "yes", "0x1f"] {
            let cast = cast("a: %\nb: x%\n", &[value.to_owned()], &json);
            assert_eq!(filled(&moulds, &cast), read(&cast), "{value}");
        }
        assert_eq!(moulds.0.read().expect("a lock").by_shape.len(), 1, "one shape, however many values");
    }

    #[test]
    fn what_is_not_certain_is_read() {
        let fill = |shape: &str, plain: &str, json: Value| filled(&Moulds::default(), &cast(shape, &[plain.to_owned()], &[json]));
        assert_eq!(fill("a: x=$\n", "", Value::from("b: c")), None, "JSON inside of a plain scalar");
        assert_eq!(fill("a: $\n", "", Value::from("\u{202e}")), None, "text that shows something else");
        assert_eq!(fill("a: %\n", "1e999", Value::Null), None, "no number of JSON");
        assert_eq!(fill("%: 1\nx: 2\n", "x", Value::Null), None, "a key that is there");
        assert_eq!(fill("%: 1\n", "10", Value::Null), None, "a key that is a number");
        assert_eq!(fill("a: [%]\n", "b:c", Value::Null), None, "a colon in a flow");
        let own = Cast { shape: "a: \u{f0000}".to_owned(), holes: Vec::new(), confused: true };
        assert_eq!(filled(&Moulds::default(), &own), None, "a character of ours that the template says");
    }

    #[test]
    fn shapes_without_end_are_not_kept() {
        let moulds = Moulds::default();
        for n in 0..100 {
            let cast = cast(&format!("n{n}: %\n"), &["x".to_owned()], &[]);
            assert_eq!(filled(&moulds, &cast), read(&cast));
        }
        assert_eq!(moulds.0.read().expect("a lock").by_shape.len(), super::SHAPES);
    }

    fn plain() -> impl Strategy<Value = String> {
        // What the escape lets through.
        let harmless = "[a-zA-Z0-9._/:@+-]{0,8}".prop_filter("harmless", |text| {
            !text.ends_with(':')
                && !text.starts_with('@')
                && !text.starts_with("---")
                && (text.is_empty() || text.chars().any(|c| !"-.".contains(c)))
        });
        prop_oneof![
            harmless,
            Just("<fact infrastructure.nodes>".to_owned()),
            prop::sample::select(vec!["null", "true", "no", "1", "01", "1.0", "1e3", "0o7", "+1", "~a", "1_0"])
                .prop_map(str::to_owned)
        ]
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn filling_is_reading(
            shape in prop::sample::select(SHAPES),
            first in (prop::collection::vec(plain(), 1..5), prop::collection::vec(any_json(), 1..4)),
            then in (prop::collection::vec(plain(), 1..5), prop::collection::vec(any_json(), 1..4)),
        ) {
            let moulds = Moulds::default();
            // The second finds what the first left.
            for (plain, json) in [first, then] {
                let cast = cast(shape, &plain, &json);
                let values = filled(&moulds, &cast);
                prop_assert!(values.is_none() || values == read(&cast), "{:?}\n{values:?}\n{:?}", cast.text(), read(&cast));
            }
        }
    }
}
