//! The formatter: keys in a canonical order. An entry moves as its lines, together with the comments and the blank lines that are
//! its own, so quoting, layout and line ends stay as they were written.
//!
//! Which order is canonical is the caller's to say. What was written is read again: a document whose values or whose comments
//! would not be the same is left as it is. What is in order already is never touched, so formatting twice is formatting once.

use std::ops::Range;

use serde_json::Value;

use super::span::{Index, Style};
use super::{Budget, Document, modeline, parse};
use crate::finding::{Findings, On, Place, Pointer};
use crate::snapshot::RepoPath;

/// The keys of a map in their order, from the document's value and the map's place in it; `None` if its keys have no order. Keys
/// that are not named come last, as they stand.
pub type KeyOrder = dyn Fn(&Value, &Pointer) -> Option<&'static [&'static str]>;

/// A file, formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formatted {
    /// Its text.
    pub text: String,
    /// What is not in order and was left as it is.
    pub left: Vec<Left>,
}

/// A map that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where it is, before formatting.
    pub place: Place,
    /// Why.
    pub why: &'static str,
}

const BESIDE_DASH: &str = "a comment would part the dash of the list item from its first key";
const OVER_LINES: &str = "a map in braces over several lines";
const MARKED_KEYS: &str = "keys marked with `?`";
const NOT_THE_SAME: &str = "moving its lines would change what they say";

/// Formats a file. With `schema`, the file names that schema to editors; one that it names already stays.
///
/// # Errors
/// The findings of a file that cannot be read; it stays as it is.
pub fn format(path: &RepoPath, text: &str, order: &KeyOrder, schema: Option<&str>) -> Result<Formatted, Findings> {
    let parsed = parse(path, text.as_bytes(), &Budget::default());
    if !parsed.broken.is_empty() {
        return Err(parsed.findings);
    }
    let mut new = text.to_owned();
    let mut left = Vec::new();
    // From the last to the first, so that the ranges of those before hold.
    for document in parsed.documents.iter().rev() {
        let (piece, mut skipped) = document_text(document, order);
        if is_same(document, &piece) {
            new.replace_range(document.range(), &piece);
        } else {
            skipped = vec![(Pointer::root(), NOT_THE_SAME)];
        }
        skipped.reverse();
        left.extend(skipped.into_iter().map(|(pointer, why)| Left { place: document.place(&pointer, On::Key), why }));
    }
    left.reverse();
    let new = modeline::place(&new, schema);
    let again = parse(path, new.as_bytes(), &Budget::default());
    let values = |parsed: &super::Parsed| parsed.documents.iter().map(|d| d.shared().clone()).collect::<Vec<_>>();
    if !again.broken.is_empty() || values(&again) != values(&parsed) {
        let place = Place::file(path.clone());
        return Ok(Formatted { text: text.to_owned(), left: vec![Left { place, why: NOT_THE_SAME }] });
    }
    Ok(Formatted { text: new, left })
}

/// Whether a document's new text says the same, with the same comments.
fn is_same(document: &Document, piece: &str) -> bool {
    let before = &document.text()[document.range()];
    if before == piece {
        return true;
    }
    let parsed = parse(document.path(), piece.as_bytes(), &Budget::default());
    let value = parsed.documents.first().map(|d| d.value());
    parsed.broken.is_empty() && parsed.documents.len() == 1 && value == Some(document.value()) && lines(before) == lines(piece)
}

/// The lines of a text in an order that does not depend on where they stand; nor do dashes and what moves within a line.
fn lines(text: &str) -> Vec<Vec<char>> {
    let mut lines: Vec<Vec<char>> = text
        .lines()
        .map(|line| {
            let mut chars: Vec<char> = line.trim_start_matches([' ', '-']).chars().collect();
            chars.sort_unstable();
            chars
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// A replacement of a byte range.
type Splice = (Range<usize>, String);

/// One document while it is formatted.
struct Page<'a> {
    text: &'a str,
    range: Range<usize>,
    index: Index,
    root: &'a Value,
    order: &'a KeyOrder,
    newline: &'static str,
    left: Vec<(Pointer, &'static str)>,
}

fn document_text(document: &Document, order: &KeyOrder) -> (String, Vec<(Pointer, &'static str)>) {
    let (text, range) = (&**document.text(), document.range());
    let newline = if text.find('\n').is_some_and(|at| text[..at].ends_with('\r')) { "\r\n" } else { "\n" };
    let index = Index::build(text, range.clone());
    let mut page = Page { text, range: range.clone(), index, root: document.value(), order, newline, left: Vec::new() };
    let new = page.part(range, 0, document.value(), &Pointer::root());
    (new, page.left)
}

impl Page<'_> {
    /// A part of the text with everything that is at and below a value in order.
    fn part(&mut self, part: Range<usize>, id: usize, value: &Value, at: &Pointer) -> String {
        let mut splices = Vec::new();
        self.collect(id, value, at, &mut splices);
        let mut out = self.text[part.clone()].to_owned();
        let within = |range: &Range<usize>| part.start <= range.start && range.end <= part.end;
        for (range, new) in splices.into_iter().rev().filter(|(range, _)| within(range)) {
            out.replace_range(range.start - part.start..range.end - part.start, &new);
        }
        out
    }

    /// The outermost maps at and below a value, with their new text, from the first to the last.
    fn collect(&mut self, id: usize, value: &Value, at: &Pointer, out: &mut Vec<Splice>) {
        let (style, children) = (self.index.node(id).style, self.index.node(id).children.clone());
        match (style, value) {
            (Style::BlockMap | Style::FlowMap, Value::Object(map)) if children.len() == map.len() && !map.is_empty() => {
                let splice = if style == Style::BlockMap { self.block(id, value, at) } else { self.flow(id, value, at) };
                out.extend(splice);
            }
            (Style::BlockList | Style::FlowList, Value::Array(list)) if children.len() == list.len() => {
                for (n, (child, value)) in children.into_iter().zip(list).enumerate() {
                    self.collect(child, value, &at.index(n), out);
                }
            }
            _ => {}
        }
    }

    /// The entries of a map, as (key, where that stands, value), and the order in which they should be.
    fn entries(&self, id: usize, at: &Pointer) -> Option<(Vec<Entry>, Vec<usize>)> {
        let children = self.index.node(id).children.iter();
        let entries: Option<Vec<Entry>> = children
            .map(|child| self.index.node(*child).key.clone().map(|(name, key)| Entry { name, key, child: *child }))
            .collect();
        let entries = entries?;
        let known = (self.order)(self.root, at).unwrap_or_default();
        let rank = |n: &usize| known.iter().position(|key| *key == entries[*n].name).unwrap_or(known.len());
        let mut wanted: Vec<usize> = (0..entries.len()).collect();
        if !known.is_empty() {
            wanted.sort_by_key(rank);
        }
        Some((entries, wanted))
    }

    fn block(&mut self, id: usize, value: &Value, at: &Pointer) -> Option<Splice> {
        let (entries, wanted) = self.entries(id, at)?;
        let first = entries.first()?.key.start;
        let column = self.text[self.line_start(first)..first].chars().count();
        let beside = !self.is_blank(self.line_start(first)..first);
        let marked = entries.iter().skip(1).any(|entry| !self.is_blank(self.line_start(entry.key.start)..entry.key.start));
        let mut bounds = vec![if beside { first } else { self.above(id, first) }];
        for (n, entry) in entries.iter().enumerate() {
            let end = self.end_of(entry);
            bounds.push(self.own_lines(end, column, entries.get(n + 1).map(|next| next.key.start)));
        }
        if !bounds.is_sorted() {
            return None;
        }
        let mut blocks = Vec::new();
        for (entry, bounds) in entries.iter().zip(bounds.windows(2)) {
            let inner = value.get(&entry.name)?;
            blocks.push(self.part(bounds[0]..bounds[1], entry.child, inner, &at.key(&entry.name)));
        }
        let region = *bounds.first()?..*bounds.last()?;
        if wanted.is_sorted() {
            return Some((region, blocks.concat()));
        }
        let first = *wanted.first()?;
        let blanks = if first == 0 { 0 } else { leading_blanks(&blocks[first]) };
        let comes_first = &blocks[first][blanks..];
        if marked || (beside && comes_first.trim_start().starts_with('#')) {
            self.left.push((at.clone(), if marked { MARKED_KEYS } else { BESIDE_DASH }));
            return Some((region, blocks.concat()));
        }
        if beside {
            blocks[0].insert_str(0, &" ".repeat(column));
        }
        // Blank lines part entries; above the first there is nothing to part it from.
        let parting: String = blocks[first].drain(..blanks).collect();
        blocks[0].insert_str(0, &parting);
        let open = blocks.last().is_some_and(|block| !block.ends_with('\n'));
        if open && let Some(last) = blocks.last_mut() {
            last.push_str(self.newline);
        }
        let mut text: String = wanted.iter().map(|n| blocks[*n].as_str()).collect();
        if open {
            text.truncate(text.len() - self.newline.len());
        }
        if beside {
            text = text.strip_prefix(&" ".repeat(column))?.to_owned();
        }
        Some((region, text))
    }

    fn flow(&mut self, id: usize, value: &Value, at: &Pointer) -> Option<Splice> {
        let (entries, wanted) = self.entries(id, at)?;
        let ends: Vec<usize> = entries.iter().map(|entry| self.index.node(entry.child).end.max(entry.key.end)).collect();
        let region = entries.first()?.key.start..*ends.last()?;
        let mut parts = Vec::new();
        for (entry, end) in entries.iter().zip(&ends) {
            let inner = value.get(&entry.name)?;
            parts.push(self.part(entry.key.start..*end, entry.child, inner, &at.key(&entry.name)));
        }
        let one_line = !self.text[region.clone()].contains(['\n', '#']);
        if !wanted.is_sorted() && !one_line {
            self.left.push((at.clone(), OVER_LINES));
        }
        let mut text = String::new();
        for (n, want) in wanted.iter().enumerate() {
            text.push_str(&parts[if one_line { *want } else { n }]);
            if let Some(next) = entries.get(n + 1) {
                text.push_str(&self.text[ends[n]..next.key.start]);
            }
        }
        Some((region, text))
    }

    /// The comment lines directly above the first key of a map are its own. What stands above the first key of a document is the
    /// document's.
    fn above(&self, id: usize, key: usize) -> usize {
        let mut start = self.line_start(key);
        while id != 0 && start > self.range.start {
            let line = self.line_start(start - 1);
            if !self.text[line..start].trim_start().starts_with('#') {
                break;
            }
            start = line;
        }
        start
    }

    /// Where an entry ends. A text that keeps its last line breaks may seem to end within the indentation of what follows.
    fn end_of(&self, entry: &Entry) -> usize {
        let end = self.index.node(entry.child).end.max(entry.key.end);
        let line = self.line_start(end);
        if line > entry.key.end && self.is_blank(line..end) { line } else { end }
    }

    /// The end of the lines that belong to an entry whose value ends at `end`: comments below it that are indented more than
    /// its key, and such as stand directly below it with a blank line between them and the next entry.
    fn own_lines(&self, end: usize, column: usize, next: Option<usize>) -> usize {
        let mut own = self.after_line(end);
        let mut at = own;
        while let Some(line) = self.aside(at) {
            let text = &self.text[line.clone()];
            if !text.trim().is_empty() {
                if text.len() - text.trim_start().len() <= column {
                    break;
                }
                own = line.end;
            }
            at = line.end;
        }
        let Some(next) = next else { return own };
        let mut below = own;
        while let Some(line) = self.aside(below).filter(|line| !self.text[line.clone()].trim().is_empty()) {
            below = line.end;
        }
        if below < self.line_start(next) { below } else { own }
    }

    /// The line at a position, if it is blank or a comment.
    fn aside(&self, at: usize) -> Option<Range<usize>> {
        if at >= self.range.end {
            return None;
        }
        let end = self.text[at..self.range.end].find('\n').map_or(self.range.end, |n| at + n + 1);
        let line = self.text[at..end].trim();
        (line.is_empty() || line.starts_with('#')).then_some(at..end)
    }

    fn is_blank(&self, range: Range<usize>) -> bool {
        self.text[range].bytes().all(|b| b == b' ')
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |n| n + 1).max(self.range.start)
    }

    /// The beginning of the line after the one that contains the last byte before `at`.
    fn after_line(&self, at: usize) -> usize {
        if self.text[..at].ends_with('\n') {
            return at;
        }
        self.text[at..self.range.end].find('\n').map_or(self.range.end, |n| at + n + 1)
    }
}

/// An entry of a map.
struct Entry {
    name: String,
    /// Where its key stands.
    key: Range<usize>,
    /// Its value.
    child: usize,
}

/// How many bytes of blank lines a text begins with.
fn leading_blanks(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| line.trim().is_empty() && line.ends_with('\n')).map(str::len).sum()
}
