//! Tenants' YAML: the one reader (strict, with places), the comment-preserving editor, and the one writer.
//!
//! A file is split at its document markers first, so that a document that cannot be read never takes its neighbours with it.
//! Every document of a file is either a [`Document`] (an object) or a [`Broken`] with at least one finding. Anchors, aliases,
//! tags, merge keys, duplicate keys and keys that are not strings are refused; so is text that shows a reviewer something else
//! than it says. Knows nothing about Kubernetes beyond the four fields of an [`Identity`].

mod codes;
mod edit;
pub(crate) mod emit;
mod format;
mod identity;
mod modeline;
mod parse;
mod scalar;
mod span;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::finding::{Findings, On, Place, Pointer, Span};
use crate::snapshot::RepoPath;

pub use codes::CODES;
pub use edit::{Edit, EditError};
pub use emit::{append as append_yaml, to_yaml};
pub use format::{Formatted, KeyOrder, Left, format};

/// Limits on what is read; what exceeds one is a finding, and its document is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of one document.
    pub bytes: usize,
    /// Values and keys of one document.
    pub nodes: usize,
    /// Maps and lists inside each other.
    pub depth: usize,
    /// Documents of one file.
    pub documents: usize,
    /// Bytes of one scalar after unescaping.
    pub scalar: usize,
}

impl Default for Budget {
    /// One mebibyte, 200 000 nodes, 100 levels, 1 000 documents, and scalars of up to 256 KiB: an API server refuses objects
    /// beyond 1.5 MiB, so nothing legitimate is near these.
    fn default() -> Self {
        Self { bytes: 1 << 20, nodes: 200_000, depth: 100, documents: 1_000, scalar: 256 << 10 }
    }
}

/// What a file contained.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The documents that are objects, in order.
    pub documents: Vec<Arc<Document>>,
    /// What is wrong with the file, in order of place; errors belong to `broken`, warnings to `documents`.
    pub findings: Findings,
    /// The documents that could not be used, in order.
    pub broken: Vec<Broken>,
    /// Those of them whose only mistake is a key that is given twice, with the first of its values: to say what else is wrong.
    pub repetitive: Vec<Arc<Document>>,
}

/// A document that is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its number in the file, from 0; empty documents are not counted.
    pub index: usize,
    /// What it claims to be, where that can still be read without doubt.
    pub identity: Option<Identity>,
    /// Its text.
    pub span: Span,
}

/// What a manifest says it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty if absent.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// One object of a file, with the text it was read from.
///
/// Places are found by reading the text again when first asked for, so a fleet of healthy documents costs text and values only.
#[derive(Debug)]
pub struct Document {
    path: RepoPath,
    index: usize,
    text: Arc<str>,
    lines: Arc<Lines>,
    range: Range<usize>,
    value: Arc<Value>,
    spans: OnceLock<span::Index>,
}

/// Reads a file. Total: any bytes give documents, broken documents and findings.
#[must_use]
pub fn parse(path: &RepoPath, bytes: &[u8], budget: &Budget) -> Parsed {
    parse::file(path, bytes, budget)
}

impl Document {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &RepoPath {
        &self.path
    }

    /// Its number in the file, from 0; empty documents are not counted, broken ones are.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The text of the whole file; spans are offsets into it.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The part of the text that is this document, with its leading marker.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The object.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The object itself, copied only if somebody else has it too.
    #[must_use]
    pub fn into_value(self: Arc<Self>) -> Value {
        let value = Arc::try_unwrap(self).map_or_else(|shared| Arc::clone(&shared.value), |document| document.value);
        Arc::unwrap_or_clone(value)
    }

    /// The object, shared.
    #[must_use]
    pub fn shared(&self) -> &Arc<Value> {
        &self.value
    }

    /// What the document says it is, if it has `apiVersion`, `kind` and `metadata.name`.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        identity::of_value(&self.value)
    }

    /// The text of a field, or `None` if the document has no such field. List items and the root have no key; asked for it, they
    /// answer with their value.
    #[must_use]
    pub fn span(&self, pointer: &Pointer, on: On) -> Option<Span> {
        let index = self.index_of_spans();
        index.find(pointer).map(|node| self.resolve(index.range(node, on)))
    }

    /// The place of a field; of its nearest existing ancestor's key if the document has no such field.
    #[must_use]
    pub fn place(&self, pointer: &Pointer, on: On) -> Place {
        let index = self.index_of_spans();
        let (node, exact) = index.nearest(pointer);
        let mut range = index.range(node, if exact { on } else { On::Key });
        if !exact {
            // All of a document for one missing field would show nothing.
            range.end = self.text[range.clone()].find(['\r', '\n']).map_or(range.end, |n| range.start + n);
        }
        Place { path: self.path.clone(), span: Some(self.resolve(range)), pointer: pointer.clone(), note: String::new() }
    }

    /// What kubectl reads at a field whose text is a string for us; `None` if it reads the same, as it does what is in quotes.
    #[must_use]
    pub(crate) fn as_kubectl_reads(&self, pointer: &Pointer, text: &str) -> Option<Value> {
        let read = scalar::of_kubectl(text)?;
        let index = self.index_of_spans();
        let node = index.find(pointer)?;
        (self.text.get(index.range(node, On::Value)) == Some(text)).then_some(read)
    }

    /// The text of the whole file with these edits made to this document, in order. Comments, layout, line ends and every other
    /// document stay as they are.
    pub fn edit(&self, edits: &[Edit]) -> Result<String, EditError> {
        edit::apply(self, edits)
    }

    fn index_of_spans(&self) -> &span::Index {
        self.spans.get_or_init(|| span::Index::build(&self.text, self.range.clone()))
    }

    fn resolve(&self, range: Range<usize>) -> Span {
        self.lines.locate(&self.text, range)
    }
}

/// What a scalar without quotes means; `None` for a number that JSON does not have.
#[must_use]
pub fn resolve(text: &str) -> Option<Value> {
    match scalar::resolve(text) {
        scalar::Plain::Clear(value) => Some(value),
        scalar::Plain::Ambiguous(_) => Some(Value::String(text.to_owned())),
        scalar::Plain::Unrepresentable => None,
    }
}

/// Whether a plain scalar that is not empty resolves to its own text.
#[must_use]
pub fn stays_text(text: &str) -> bool {
    // No word that means something else is longer.
    let long_word = text.len() > 5 && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    long_word || matches!(resolve(text), Some(Value::String(same)) if same == text)
}

/// The line and column of a byte range of a text; a byte order mark takes no column.
#[must_use]
pub fn locate(text: &str, range: Range<usize>) -> Span {
    Lines::default().locate(text, range)
}

/// Where the lines of one text begin: counted once, when first asked for, however many places are asked for.
#[derive(Debug, Default)]
struct Lines {
    starts: OnceLock<Vec<usize>>,
}

impl Lines {
    /// As [`locate`]; `text` is the same every time.
    fn locate(&self, text: &str, range: Range<usize>) -> Span {
        let mut start = range.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let starts = self.starts.get_or_init(|| text.match_indices('\n').map(|(at, _)| at + 1).collect());
        let lines = starts.partition_point(|line| *line <= start);
        let line_start = lines.checked_sub(1).and_then(|n| starts.get(n)).copied().unwrap_or(0);
        let columns = text[line_start..start].chars().filter(|c| *c != '\u{feff}').count();
        let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
        Span { start, end: range.end.clamp(start, text.len()), line: number(lines), column: number(columns) }
    }
}
