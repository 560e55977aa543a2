//! The reader: bytes to documents and findings in one pass over the parser's events, without recursion.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span as RawSpan};
use serde_json::{Map, Value};

use super::scalar::{self, Plain};
use super::span::Index;
use super::{Broken, Budget, Document, Lines, Parsed, identity};
use crate::finding::{Code, ErrorType, Finding, Findings, On, Place, Pointer, Severity};
use crate::snapshot::RepoPath;

/// More than this about one file helps nobody.
const MOST_FINDINGS: usize = 100;

/// Text that cannot be displayed safely, or that readers of YAML disagree about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsafe {
    Bidi,
    Control,
}

pub(super) fn file(path: &RepoPath, bytes: &[u8], budget: &Budget) -> Parsed {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(path, Arc::from(text), budget),
        Err(error) => undecodable(path, bytes, error.valid_up_to(), budget),
    }
}

fn read(path: &RepoPath, text: Arc<str>, budget: &Budget) -> Parsed {
    let mut parsed = Parsed::default();
    let lines = Arc::new(Lines::default());
    let mut index = 0;
    for range in pieces(&text) {
        let mut piece = Piece::new(path, &text, &lines, range.clone(), budget);
        let value = piece.value();
        if piece.is_empty(value.as_ref()) {
            continue;
        }
        if index == budget.documents {
            // Said once, and true of all that follow, which is not read: whose it is stays unknown.
            let mut rest = Piece::new(path, &text, &lines, range.start..text.len(), budget);
            rest.error("DOC-BUDGET-DOCUMENTS", range.start..range.start, format!("more than {index} documents in one file"));
            parsed.findings.extend(Findings(rest.findings));
            parsed.broken.push(Broken { index, identity: None, span: lines.locate(&text, range.start..text.len()) });
            break;
        }
        let Piece { findings, failed, garbled, ambiguous_identity, .. } = piece;
        let room = MOST_FINDINGS.saturating_sub(parsed.findings.0.len()).max(1);
        let mut errors_first = findings;
        if errors_first.len() > room {
            errors_first.sort_by_key(|f| f.severity != Severity::Error);
            errors_first.truncate(room);
        }
        parsed.findings.extend(Findings(errors_first));
        let document = |value: Value, range: Range<usize>| {
            let (path, text, value) = (path.clone(), Arc::clone(&text), Arc::new(value));
            Arc::new(Document { path, index, text, lines: Arc::clone(&lines), range, value, spans: OnceLock::new() })
        };
        match value {
            Some(value) if !failed => parsed.documents.push(document(value, range)),
            value => {
                let known = match &value {
                    Some(value) if !ambiguous_identity => identity::of_value(value),
                    _ => identity::of_text(&text[range.clone()]),
                };
                parsed.broken.push(Broken { index, identity: known, span: lines.locate(&text, range.clone()) });
                if let Some(value) = value.filter(|_| !garbled) {
                    parsed.repetitive.push(document(value, range));
                }
            }
        }
        index += 1;
    }
    parsed
}

/// A file that is not UTF-8 has no text, so all its documents are broken.
fn undecodable(path: &RepoPath, bytes: &[u8], valid: usize, budget: &Budget) -> Parsed {
    let lossy = String::from_utf8_lossy(bytes);
    let lines = Lines::default();
    let mut span = lines.locate(&lossy, valid..valid);
    span.end = span.start + 1;
    let place = Place { path: path.clone(), span: Some(span), pointer: Pointer::root(), note: String::new() };
    let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let help = if wide { "this looks like UTF-16; save the file as UTF-8" } else { "save the file as UTF-8" };
    let byte = bytes.get(valid).copied().unwrap_or_default();
    let finding = Finding::error(Code::new("DOC-ENCODING"), format!("byte 0x{byte:02x} is not UTF-8"))
        .at(place)
        .help(help)
        .cause(ErrorType::DecodeError, "");
    let filled = pieces(&lossy).into_iter().filter(|range| has_content(&lossy[range.clone()]));
    let claim = |(index, range): (usize, Range<usize>)| {
        // What is beyond the budget is one, and nobody's.
        let rest = index == budget.documents;
        let range = if rest { range.start..lossy.len() } else { range };
        let identity = if rest { None } else { identity::of_text(&lossy[range.clone()]) };
        Broken { index, identity, span: lines.locate(&lossy, range) }
    };
    let broken: Vec<Broken> = filled.enumerate().take(budget.documents.saturating_add(1)).map(claim).collect();
    let broken = if broken.is_empty() { vec![Broken { index: 0, identity: None, span }] } else { broken };
    Parsed { findings: Findings(vec![finding]), broken, ..Parsed::default() }
}

fn has_content(piece: &str) -> bool {
    piece.lines().any(|line| {
        let line = line.trim_start_matches('\u{feff}').trim();
        !line.is_empty() && !line.starts_with('#') && line != "---" && line != "..."
    })
}

/// Splits a file at its document markers. A marker at the start of a line is one wherever it stands: YAML forbids it inside
/// every kind of scalar, and the content of a block scalar is indented.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut out = Vec::new();
    let mut start = first;
    let mut line = first;
    for end in text.match_indices('\n').map(|(at, _)| at + 1).chain([text.len()]) {
        let bytes = &text.as_bytes()[line..end];
        let marker = matches!(bytes.get(3), None | Some(b' ' | b'\t' | b'\r' | b'\n'));
        if marker && bytes.starts_with(b"---") && line > start {
            out.push(start..line);
            start = line;
        } else if marker && bytes.starts_with(b"...") {
            out.push(start..end);
            start = end;
        }
        line = end;
    }
    out.push(start..text.len());
    out
}

/// An open collection.
enum Frame {
    Map { map: Map<String, Value>, key: Option<String>, from: usize },
    List { list: Vec<Value>, from: usize },
}

/// The reading of one document.
struct Piece<'a> {
    path: &'a RepoPath,
    text: &'a Arc<str>,
    lines: &'a Lines,
    range: Range<usize>,
    budget: &'a Budget,
    /// Where its keys stand, once one of them was given twice.
    index: OnceCell<Index>,
    findings: Vec<Finding>,
    failed: bool,
    /// It failed by more than keys that are given twice.
    garbled: bool,
    ambiguous_identity: bool,
    frames: Vec<Frame>,
    nodes: usize,
}

impl<'a> Piece<'a> {
    fn new(path: &'a RepoPath, text: &'a Arc<str>, lines: &'a Lines, range: Range<usize>, budget: &'a Budget) -> Self {
        Self {
            path,
            text,
            lines,
            range,
            budget,
            index: OnceCell::new(),
            findings: Vec::new(),
            failed: false,
            garbled: false,
            ambiguous_identity: false,
            frames: Vec::new(),
            nodes: 0,
        }
    }

    /// The document's value: absent if the text is empty or could not be read to its end.
    fn value(&mut self) -> Option<Value> {
        if self.range.len() > self.budget.bytes {
            let message = format!("document has {} bytes, the limit is {}", self.range.len(), self.budget.bytes);
            self.error("DOC-BUDGET-BYTES", self.range.start..self.range.start, message);
            return None;
        }
        self.look_for_unsafe_text();
        let text = Arc::clone(self.text);
        let source = &text[self.range.clone()];
        let mut options = granit_parser::options! {
            disallow_directives: true,
            emit_unresolved_aliases: true,
            emit_anchor_events: true,
            flow_nesting_limit: self.budget.depth + 8,
            block_nesting_limit: self.budget.depth + 8,
        };
        options.set_emit_comments(false);
        let mut root = None;
        let mut rooted = false;
        for event in Parser::new_from_str_with_options(source, options) {
            let (event, raw) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = self.range.start + error.marker().byte_offset().unwrap_or(0).min(source.len());
                    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
                        self.too_deep(&(at..at));
                    } else {
                        self.syntax(at, &error.info());
                    }
                    return None;
                }
            };
            let mut at = self.absolute(&raw);
            let complete = match event {
                Event::Scalar(text, style, _, tag) => {
                    self.tag(tag.is_some(), &raw, &at);
                    self.count(&at)?;
                    // An empty scalar is written as nothing; the parser reports it as `~`.
                    if at.is_empty() && style == ScalarStyle::Plain {
                        self.scalar("", style, &at)
                    } else {
                        self.scalar(&text, style, &at)
                    }
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    self.count(&at)?;
                    let name = self.text[at.clone()].to_owned();
                    self.error("DOC-ALIAS", at.clone(), format!("alias `{name}`: aliases are not accepted"));
                    self.scalar("", ScalarStyle::Plain, &at)
                }
                Event::Anchor(_, name) => {
                    self.error("DOC-ANCHOR", at.clone(), format!("anchor `&{name}`: anchors are not accepted"));
                    None
                }
                Event::MappingStart(_, _, tag) => {
                    self.tag(tag.is_some(), &raw, &at);
                    self.open(Frame::Map { map: Map::new(), key: None, from: at.start }, &at)?;
                    None
                }
                Event::SequenceStart(_, _, tag) => {
                    self.tag(tag.is_some(), &raw, &at);
                    self.open(Frame::List { list: Vec::new(), from: at.start }, &at)?;
                    None
                }
                Event::MappingEnd | Event::SequenceEnd => match self.frames.pop() {
                    Some(Frame::Map { map, from, .. }) => {
                        at = from..from;
                        self.place_value(Value::Object(map), &at)
                    }
                    Some(Frame::List { list, from }) => {
                        at = from..from;
                        self.place_value(Value::Array(list), &at)
                    }
                    None => None,
                },
                _ => None,
            };
            if let Some(value) = complete {
                if !(value.is_object() || value.is_null() && at.is_empty()) {
                    let what = describe(&value);
                    self.error("DOC-NOT-OBJECT", at, format!("the document is {what}, not an object"));
                    self.ambiguous_identity = true;
                }
                rooted = true;
                root = Some(value);
            }
        }
        if rooted { root } else { None }
    }

    /// Whether there is nothing here to read or to complain about.
    fn is_empty(&self, value: Option<&Value>) -> bool {
        !self.failed && value.is_none_or(Value::is_null)
    }

    fn absolute(&self, raw: &RawSpan) -> Range<usize> {
        let local = raw.byte_range().unwrap_or(0..0);
        let limit = self.text.len();
        let start = (self.range.start + local.start).min(limit);
        start..(self.range.start + local.end).clamp(start, limit)
    }

    fn count(&mut self, at: &Range<usize>) -> Option<()> {
        self.nodes += 1;
        if self.nodes > self.budget.nodes {
            let message = format!("more than {} values in one document", self.budget.nodes);
            self.error("DOC-BUDGET-NODES", at.clone(), message);
            return None;
        }
        Some(())
    }

    fn open(&mut self, frame: Frame, at: &Range<usize>) -> Option<()> {
        self.count(at)?;
        if self.frames.len() == self.budget.depth {
            self.too_deep(at);
            return None;
        }
        self.frames.push(frame);
        Some(())
    }

    fn too_deep(&mut self, at: &Range<usize>) {
        let message = format!("more than {} levels of nesting", self.budget.depth);
        self.error("DOC-BUDGET-DEPTH", at.clone(), message);
    }

    fn tag(&mut self, tagged: bool, raw: &RawSpan, at: &Range<usize>) {
        if !tagged {
            return;
        }
        let place = raw.tag_span().map_or_else(|| at.clone(), |span| self.absolute(&span));
        let name = self.text[place.clone()].to_owned();
        self.error("DOC-TAG", place, format!("tag `{name}`: tags are not accepted"));
    }

    /// Takes a scalar as a key or as a value, whichever is due.
    fn scalar(&mut self, text: &str, style: ScalarStyle, at: &Range<usize>) -> Option<Value> {
        if text.len() > self.budget.scalar {
            let message = format!("scalar has {} bytes, the limit is {}", text.len(), self.budget.scalar);
            self.error("DOC-BUDGET-SCALAR", at.clone(), message);
        }
        if style == ScalarStyle::DoubleQuoted
            && let Some(bad) = text.chars().find(|c| unsafe_char(*c).is_some())
        {
            let code = if unsafe_char(bad) == Some(Unsafe::Bidi) { "DOC-BIDI" } else { "DOC-CONTROL" };
            self.error(code, at.clone(), format!("the value contains the character U+{:04X}", u32::from(bad)));
        }
        let plain = style == ScalarStyle::Plain;
        if let Some(Frame::Map { key: None, .. }) = self.frames.last() {
            self.key(text, plain, at);
            return None;
        }
        let value = if plain { self.plain(text, at) } else { Value::String(text.to_owned()) };
        self.place_value(value, at)
    }

    fn plain(&mut self, text: &str, at: &Range<usize>) -> Value {
        match scalar::resolve(text) {
            Plain::Clear(value) => value,
            Plain::Ambiguous(kind) => {
                let message = format!("`{text}` is a string for some readers, and kubectl reads {kind}");
                let help = format!("write \"{text}\" for the string");
                self.find(Finding::warning(Code::new("DOC-YAML11-AMBIGUOUS"), message).help(help), at.clone());
                Value::String(text.to_owned())
            }
            Plain::Unrepresentable => {
                let message = format!("`{text}` is a number that JSON cannot represent");
                self.find(Finding::error(Code::new("DOC-NUMBER"), message).help("quote it if it is a string"), at.clone());
                Value::String(text.to_owned())
            }
        }
    }

    fn key(&mut self, text: &str, plain: bool, at: &Range<usize>) {
        if plain && text == "<<" {
            self.error("DOC-MERGE-KEY", at.clone(), "merge key `<<`: merges are not accepted".to_owned());
        } else if plain {
            match scalar::resolve(text) {
                Plain::Clear(Value::String(_)) => {}
                Plain::Ambiguous(kind) => {
                    let message = format!("the key `{text}` is a string here, but kubectl reads {kind}");
                    let help = format!("write \"{text}\"");
                    self.find(Finding::warning(Code::new("DOC-YAML11-AMBIGUOUS"), message).help(help), at.clone());
                }
                Plain::Clear(value) => {
                    let message = format!("the key is {}, keys are strings", describe(&value));
                    self.find(Finding::error(Code::new("DOC-KEY-TYPE"), message).help(quoting(text)), at.clone());
                }
                Plain::Unrepresentable => {
                    let message = "the key is a number, keys are strings".to_owned();
                    self.find(Finding::error(Code::new("DOC-KEY-TYPE"), message).help(quoting(text)), at.clone());
                }
            }
        }
        let repeated = match self.frames.last_mut() {
            Some(Frame::Map { map, key, .. }) => {
                let repeated = map.contains_key(text);
                *key = Some(text.to_owned());
                repeated
            }
            _ => false,
        };
        if repeated {
            self.duplicate(text, at);
        }
    }

    /// Whether this is written as JSON, of which an API server tells the whole way to a key.
    fn is_json(&self) -> bool {
        self.text[self.range.clone()].trim_start().starts_with('{')
    }

    fn duplicate(&mut self, text: &str, at: &Range<usize>) {
        let pointer = self.pointer();
        // Doubt about these fields is doubt about whose document this is.
        if matches!(pointer.as_str(), "/apiVersion" | "/kind" | "/metadata" | "/metadata/name" | "/metadata/namespace") {
            self.ambiguous_identity = true;
        }
        let finding = Finding::error(Code::new("DOC-DUPLICATE-KEY"), format!("the key `{text}` is given twice"))
            .cause(ErrorType::DuplicateField, if self.is_json() { pointer.field() } else { text.to_owned() });
        if !self.has_room() {
            return self.find(finding, at.clone());
        }
        let index = self.index.get_or_init(|| Index::build(self.text, self.range.clone()));
        let first = index.find(&pointer).map(|node| index.range(node, On::Key)).filter(|first| first != at);
        self.find(finding, at.clone());
        if let (Some(first), Some(finding)) = (first, self.findings.last_mut()) {
            let span = Some(self.lines.locate(self.text, first));
            finding.places.push(Place { path: self.path.clone(), span, pointer, note: "first given here".to_owned() });
        }
    }

    /// Puts a complete value where it belongs; gives it back if it is the document.
    fn place_value(&mut self, value: Value, at: &Range<usize>) -> Option<Value> {
        match self.frames.last_mut() {
            None => return Some(value),
            Some(Frame::List { list, .. }) => list.push(value),
            Some(Frame::Map { map, key, .. }) => {
                if let Some(key) = key.take() {
                    // The first of two equal keys stays; the document is refused anyway.
                    map.entry(key).or_insert(value);
                } else {
                    *key = Some(String::new());
                    let message = format!("the key is {}, keys are strings", describe(&value));
                    self.error("DOC-KEY-TYPE", at.clone(), message);
                }
            }
        }
        None
    }

    /// The pointer to what is being read.
    fn pointer(&self) -> Pointer {
        self.frames.iter().fold(Pointer::root(), |pointer, frame| match frame {
            Frame::Map { key: Some(key), .. } => pointer.key(key),
            Frame::Map { key: None, .. } => pointer,
            Frame::List { list, .. } => pointer.index(list.len()),
        })
    }

    fn look_for_unsafe_text(&mut self) {
        let source = &self.text[self.range.clone()];
        if source.bytes().all(|b| matches!(b, b'\t' | b'\n' | b' '..=b'~')) {
            return;
        }
        let mut found = Vec::new();
        let mut chars = source.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == '\r' && matches!(chars.peek(), Some((_, '\n'))) {
                continue;
            }
            if let Some(kind) = unsafe_char(c) {
                found.push((at, c, kind));
                if found.len() == MOST_FINDINGS {
                    break;
                }
            }
        }
        for (at, c, kind) in found {
            let start = self.range.start + at;
            let place = start..start + c.len_utf8();
            let number = u32::from(c);
            match kind {
                Unsafe::Bidi => {
                    let message = format!("U+{number:04X} changes the direction of text, so the file may not say what it shows");
                    self.error("DOC-BIDI", place, message);
                }
                Unsafe::Control => self.error("DOC-CONTROL", place, format!("control character U+{number:04X}")),
            }
        }
    }

    fn syntax(&mut self, at: usize, message: &str) {
        let mut end = at;
        if let Some(c) = self.text[at..].chars().next().filter(|c| !c.is_control()) {
            end += c.len_utf8();
        }
        let mut message = if message.is_empty() { "not YAML".to_owned() } else { message.trim_end_matches('.').to_owned() };
        if let Some(first) = message.get(..1).map(str::to_ascii_lowercase) {
            let shouted = message.as_bytes().get(1).is_some_and(u8::is_ascii_uppercase);
            if !shouted {
                message.replace_range(..1, &first);
            }
        }
        self.error("DOC-SYNTAX", at..end, message);
    }

    fn error(&mut self, code: &'static str, at: Range<usize>, message: String) {
        self.find(Finding::error(Code::new(code), message), at);
    }

    fn has_room(&self) -> bool {
        self.findings.len() < MOST_FINDINGS
    }

    fn find(&mut self, mut finding: Finding, at: Range<usize>) {
        let error = finding.severity == Severity::Error;
        let repeats = finding.code.as_str() == "DOC-DUPLICATE-KEY";
        if error && finding.cause.is_none() {
            finding = finding.cause(ErrorType::DecodeError, "");
        }
        // The error that makes a document fail is always told.
        if self.has_room() || (error && !self.failed) {
            let span = Some(self.lines.locate(self.text, at));
            let pointer = self.pointer();
            self.findings.push(finding.at(Place { path: self.path.clone(), span, pointer, note: String::new() }));
        }
        self.failed |= error;
        self.garbled |= error && !repeats;
    }
}

fn quoting(key: &str) -> String {
    if key.is_empty() { "give the key a name".to_owned() } else { format!("write \"{key}\"") }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Characters that hide or reorder text, or that some readers take for line breaks and others do not.
fn unsafe_char(c: char) -> Option<Unsafe> {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(Unsafe::Bidi),
        '\t' | '\n' => None,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => Some(Unsafe::Control),
        _ => None,
    }
}
