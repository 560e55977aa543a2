//! The editor: changes to a document's values as small changes to its text.
//!
//! An edit becomes steps, each of which replaces, inserts, removes or appends one value by splicing text. After each step the
//! file is read again and must hold exactly the intended values, in this document and in every other; otherwise the edit is
//! refused. So a mistake in the splicing can cost an edit, never a file.

use std::ops::Range;

use serde_json::{Map, Value};

use super::emit;
use super::span::{self, Index, Style};
use super::{Budget, Document, Parsed, parse, scalar as plain};
use crate::finding::Pointer;

/// One change to a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// The field has this value: replaced if it exists, else inserted with the maps above it. Maps and lists are changed in
    /// place, so that what is equal keeps its comments.
    Set {
        /// The field.
        pointer: Pointer,
        /// The value.
        value: Value,
    },
    /// The field or list item is gone. The map or list around it stays, if need be empty.
    Remove {
        /// The field or item.
        pointer: Pointer,
    },
    /// The list has one item more, at its end; a list that does not exist is made.
    Append {
        /// The list.
        pointer: Pointer,
        /// The item.
        value: Value,
    },
}

/// Why an edit was refused. The document is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is nothing to remove, or no such list position.
    #[error("no field `{0}`")]
    NoSuchField(Pointer),
    /// A field below this would be set, and this is neither a map nor null.
    #[error("`{0}` is not a map")]
    NotAMap(Pointer),
    /// An item would be appended to this.
    #[error("`{0}` is not a list")]
    NotAList(Pointer),
    /// A document is an object and stays one.
    #[error("a document can neither be removed nor become something else than a map")]
    Root,
    /// The text is written in a way in which this change cannot be made by itself.
    #[error("`{0}` cannot be changed in this layout without touching more than it")]
    Layout(Pointer),
}

/// One splice's worth of change.
#[derive(Debug, Clone)]
enum Step {
    Replace(Pointer, Value),
    Insert(Pointer, String, Value),
    Remove(Pointer),
    Append(Pointer, Value),
}

impl Step {
    fn pointer(&self) -> &Pointer {
        match self {
            Self::Replace(pointer, _) | Self::Insert(pointer, ..) | Self::Remove(pointer) | Self::Append(pointer, _) => pointer,
        }
    }
}

/// Limits for reading back what was accepted before: under whatever budget that was.
const UNLIMITED: Budget = Budget { bytes: usize::MAX, nodes: usize::MAX, depth: 512, documents: usize::MAX, scalar: usize::MAX };

pub(super) fn apply(document: &Document, edits: &[Edit]) -> Result<String, EditError> {
    let mut text = document.text.to_string();
    let mut range = document.range.clone();
    let mut value = Value::clone(&document.value);
    let before = parse::file(&document.path, text.as_bytes(), &UNLIMITED);
    for edit in edits {
        for step in steps(&value, edit)? {
            let mut expected = value.clone();
            perform(&mut expected, &step)?;
            let splices = splice(&text, &range, &value, &step).ok_or_else(|| EditError::Layout(step.pointer().clone()))?;
            let (new_text, new_end) = spliced(&text, range.end, splices);
            let after = parse::file(&document.path, new_text.as_bytes(), &UNLIMITED);
            if !only_changed(&before, &after, document.index, &expected) {
                return Err(EditError::Layout(step.pointer().clone()));
            }
            text = new_text;
            range.end = new_end;
            value = expected;
        }
    }
    Ok(text)
}

/// Whether a file differs from what it was only in one document's value.
fn only_changed(before: &Parsed, after: &Parsed, index: usize, expected: &Value) -> bool {
    before.documents.len() == after.documents.len()
        && before.broken.len() == after.broken.len()
        && before.documents.iter().zip(&after.documents).all(|(old, new)| {
            let value = if old.index == index { expected } else { &*old.value };
            old.index == new.index && *new.value == *value
        })
}

// ── edits to steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn steps(root: &Value, edit: &Edit) -> Result<Vec<Step>, EditError> {
    let mut out = Vec::new();
    match edit {
        Edit::Set { pointer, value } => {
            if pointer.0.is_empty() && !value.is_object() {
                return Err(EditError::Root);
            }
            let value = plain::normal(value);
            match root.pointer(pointer.as_str()) {
                Some(old) => change(old, &value, pointer, &mut out),
                None => out.push(create(root, pointer, value)?),
            }
        }
        Edit::Remove { pointer } => {
            if pointer.0.is_empty() {
                return Err(EditError::Root);
            }
            if root.pointer(pointer.as_str()).is_none() {
                return Err(EditError::NoSuchField(pointer.clone()));
            }
            out.push(Step::Remove(pointer.clone()));
        }
        Edit::Append { pointer, value } => {
            let value = plain::normal(value);
            match root.pointer(pointer.as_str()) {
                Some(Value::Array(_)) => out.push(Step::Append(pointer.clone(), value)),
                Some(Value::Null) => out.push(Step::Replace(pointer.clone(), Value::Array(vec![value]))),
                Some(_) => return Err(EditError::NotAList(pointer.clone())),
                None => out.push(create(root, pointer, Value::Array(vec![value]))?),
            }
        }
    }
    Ok(out)
}

/// Makes a field that does not exist, with the maps above it that do not exist either.
fn create(root: &Value, pointer: &Pointer, value: Value) -> Result<Step, EditError> {
    let segments: Vec<String> = pointer.segments().collect();
    let mut at = Pointer::root();
    let mut here = root;
    for (n, segment) in segments.iter().enumerate() {
        let next = at.key(segment);
        if let Some(found) = here.pointer(&next.0[at.0.len()..]) {
            here = found;
            at = next;
            continue;
        }
        let nested = |from: usize| {
            segments[from..].iter().rev().fold(value.clone(), |inner, key| Value::Object(Map::from_iter([(key.clone(), inner)])))
        };
        return match here {
            Value::Object(_) => Ok(Step::Insert(at, segment.clone(), nested(n + 1))),
            Value::Null => Ok(Step::Replace(at, nested(n))),
            Value::Array(list) if span::list_index(segment) == Some(list.len()) => Ok(Step::Append(at, nested(n + 1))),
            Value::Array(_) => Err(EditError::NoSuchField(pointer.clone())),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(EditError::NotAMap(at)),
        };
    }
    Err(EditError::NoSuchField(pointer.clone()))
}

/// The fewest steps from one value to another that leave alone what is equal.
fn change(old: &Value, new: &Value, pointer: &Pointer, out: &mut Vec<Step>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) if !a.is_empty() && !b.is_empty() => {
            for (key, value) in b {
                match a.get(key) {
                    Some(was) => change(was, value, &pointer.key(key), out),
                    None => out.push(Step::Insert(pointer.clone(), key.clone(), value.clone())),
                }
            }
            out.extend(a.keys().filter(|key| !b.contains_key(*key)).map(|key| Step::Remove(pointer.key(key))));
        }
        (Value::Array(a), Value::Array(b)) if !a.is_empty() && !b.is_empty() => {
            let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
            let suffix = a[prefix..].iter().rev().zip(b[prefix..].iter().rev()).take_while(|(x, y)| x == y).count();
            if prefix + suffix == b.len() {
                out.extend((prefix..a.len() - suffix).rev().map(|n| Step::Remove(pointer.index(n))));
                return;
            }
            for (n, (was, value)) in a.iter().zip(b).enumerate() {
                change(was, value, &pointer.index(n), out);
            }
            out.extend((b.len()..a.len()).rev().map(|n| Step::Remove(pointer.index(n))));
            out.extend(b.iter().skip(a.len()).map(|value| Step::Append(pointer.clone(), value.clone())));
        }
        _ => out.push(Step::Replace(pointer.clone(), new.clone())),
    }
}

/// The same step on the value.
fn perform(root: &mut Value, step: &Step) -> Result<(), EditError> {
    let missing = || EditError::NoSuchField(step.pointer().clone());
    match step {
        Step::Replace(pointer, value) => *root.pointer_mut(pointer.as_str()).ok_or_else(missing)? = value.clone(),
        Step::Insert(pointer, key, value) => match root.pointer_mut(pointer.as_str()) {
            Some(Value::Object(map)) => {
                map.insert(key.clone(), value.clone());
            }
            _ => return Err(EditError::NotAMap(pointer.clone())),
        },
        Step::Append(pointer, value) => match root.pointer_mut(pointer.as_str()) {
            Some(Value::Array(list)) => list.push(value.clone()),
            _ => return Err(EditError::NotAList(pointer.clone())),
        },
        Step::Remove(pointer) => {
            let parent = pointer.parent().ok_or(EditError::Root)?;
            let last = pointer.segments().last().ok_or(EditError::Root)?;
            match root.pointer_mut(parent.as_str()) {
                Some(Value::Object(map)) => {
                    map.remove(&last).ok_or_else(missing)?;
                }
                Some(Value::Array(list)) => {
                    let at = span::list_index(&last).filter(|at| *at < list.len()).ok_or_else(missing)?;
                    list.remove(at);
                }
                _ => return Err(missing()),
            }
        }
    }
    Ok(())
}

// ── steps to text ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A replacement of a byte range.
type Splice = (Range<usize>, String);

/// Applies splices that do not overlap; gives the new text and where `mark` has moved to.
fn spliced(text: &str, mark: usize, mut splices: Vec<Splice>) -> (String, usize) {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = text.to_owned();
    let mut end = mark;
    for (range, new) in splices.into_iter().rev() {
        end = end - range.len() + new.len();
        out.replace_range(range, &new);
    }
    (out, end)
}

/// The text of one document while one step is made.
struct Page<'a> {
    text: &'a str,
    range: &'a Range<usize>,
    index: Index,
    newline: &'static str,
}

fn splice(text: &str, range: &Range<usize>, root: &Value, step: &Step) -> Option<Vec<Splice>> {
    let newline = if text.find('\n').is_some_and(|at| text[..at].ends_with('\r')) { "\r\n" } else { "\n" };
    let page = Page { text, range, index: Index::build(text, range.clone()), newline };
    match step {
        Step::Replace(pointer, value) => page.replace(page.index.find(pointer)?, value),
        Step::Insert(pointer, key, value) => page.insert(page.index.find(pointer)?, key, value),
        Step::Append(pointer, value) => page.append(page.index.find(pointer)?, value),
        Step::Remove(pointer) => {
            let parent = pointer.parent()?;
            let alone = match root.pointer(parent.as_str())? {
                Value::Object(map) if map.len() == 1 => Some(Value::Object(Map::new())),
                Value::Array(list) if list.len() == 1 => Some(Value::Array(Vec::new())),
                _ => None,
            };
            match alone {
                Some(empty) => page.replace(page.index.find(&parent)?, &empty),
                None => page.remove(page.index.find(pointer)?),
            }
        }
    }
}

impl Page<'_> {
    fn replace(&self, id: usize, value: &Value) -> Option<Vec<Splice>> {
        let node = self.index.node(id);
        // The last line break of a block scalar that keeps its blank lines ends the line of what takes its place.
        let whole = &self.text[..node.end];
        let end = if node.style == Style::BlockScalar {
            whole.strip_suffix('\n').map_or(whole, |w| w.trim_end_matches('\r')).len()
        } else {
            node.end
        };
        let here = node.start..end.max(node.start);
        if id == 0 {
            return Some(vec![(here, emit::inline(value))]);
        }
        let in_flow = self.in_flow(node.parent);
        if in_flow || (node.style.is_flow() && !node.children.is_empty() && emit::is_filled(value)) {
            let text = scalar(node.style, value, true);
            return Some(vec![(here.clone(), self.padded(&here, text))]);
        }
        let mut literal = String::new();
        let indent = self.child_indent(id, value)?;
        if let Value::String(text) = value
            && !matches!(node.style, Style::Double | Style::Single)
        {
            emit::string(&mut literal, text, indent, self.newline);
        }
        let (head, lines) = match (literal.split_once(self.newline), emit::is_filled(value)) {
            (Some((head, lines)), _) => (head.to_owned(), Some(lines.to_owned())),
            (None, true) => {
                let mut lines = " ".repeat(indent);
                emit::block(&mut lines, value, indent, self.newline);
                (String::new(), Some(lines))
            }
            (None, false) => (scalar(node.style, value, false), None),
        };
        if let Some(dash) = node.dash
            && node.style != Style::Empty
        {
            // An item's first line stands beside its dash, wherever the old one began.
            let text = match lines {
                Some(lines) if head.is_empty() => lines.trim_start_matches(' ').to_owned(),
                Some(lines) => format!("{head}{}{lines}", self.newline),
                None => head,
            };
            return (dash < node.start).then(|| vec![(here, text)]);
        }
        if node.style.is_block() {
            let colon = self.after_colon(id)?;
            let old = self.lines_of(&here);
            let mut new = lines.unwrap_or_default();
            if !new.is_empty() && self.text[old.clone()].ends_with('\n') {
                new.push_str(self.newline);
            }
            let head = if head.is_empty() { head } else { format!(" {head}") };
            return (colon <= old.start).then(|| vec![(colon..colon, head), (old, new)]);
        }
        let Some(lines) = lines else { return Some(vec![(here.clone(), self.padded(&here, head))]) };
        let rest = self.line_end(here.end);
        let mut first = here.clone();
        let nothing_after = self.text[here.end..rest].trim().is_empty();
        if head.is_empty() && nothing_after {
            let before = self.text[..here.start].trim_end_matches([' ', '\t']).len();
            first = before..rest;
        }
        let first_text = if head.is_empty() { head } else { self.padded(&here, head) };
        Some(vec![(first, first_text), (rest..rest, format!("{}{lines}", self.newline))])
    }

    fn insert(&self, id: usize, key: &str, value: &Value) -> Option<Vec<Splice>> {
        let node = self.index.node(id);
        match (node.style, node.children.first(), node.children.last()) {
            (Style::FlowMap, _, Some(last)) => {
                let at = self.index.node(*last).end;
                let pair = Value::Object(Map::from_iter([(key.to_owned(), value.clone())]));
                let text = emit::inline(&pair);
                Some(vec![(at..at, format!(", {}", &text[1..text.len() - 1]))])
            }
            (Style::BlockMap, Some(first), Some(_)) => {
                let indent = self.column(self.index.node(*first).key.as_ref()?.1.start);
                let mut line = " ".repeat(indent);
                emit::entry(&mut line, key, value, indent, self.newline);
                Some(vec![self.new_line(node.end, line)])
            }
            _ => self.replace(id, &Value::Object(Map::from_iter([(key.to_owned(), value.clone())]))),
        }
    }

    fn append(&self, id: usize, value: &Value) -> Option<Vec<Splice>> {
        let node = self.index.node(id);
        match (node.style, node.children.first(), node.children.last()) {
            (Style::FlowList, _, Some(last)) => {
                let at = self.index.node(*last).end;
                Some(vec![(at..at, format!(", {}", emit::inline(value)))])
            }
            (Style::BlockList, Some(first), Some(_)) => {
                let indent = self.column(self.index.node(*first).dash?);
                let mut line = " ".repeat(indent);
                emit::item(&mut line, value, indent, self.newline);
                Some(vec![self.new_line(node.end, line)])
            }
            _ => self.replace(id, &Value::Array(vec![value.clone()])),
        }
    }

    /// Removes one of several entries or items.
    fn remove(&self, id: usize) -> Option<Vec<Splice>> {
        let node = self.index.node(id);
        let parent = self.index.node(node.parent);
        let position = parent.children.iter().position(|child| *child == id)?;
        let next = parent.children.get(position + 1).map(|next| self.index.node(*next));
        let start = |node: &span::Node| node.key.as_ref().map(|(_, key)| key.start).or(node.dash).unwrap_or(node.start);
        let own = start(node);
        if parent.style.is_flow() {
            let range = match (next, position.checked_sub(1).and_then(|before| parent.children.get(before))) {
                (Some(next), _) => own..start(next),
                (None, Some(before)) => self.index.node(*before).end..node.end,
                (None, None) => own..node.end,
            };
            return Some(vec![(range, String::new())]);
        }
        let line = self.line_start(own);
        if self.text[line..own].bytes().all(|b| b == b' ') {
            return Some(vec![(self.lines_of(&(own..node.end)), String::new())]);
        }
        // Beside a dash: what follows moves up to it.
        let after = self.after_line(node.end);
        let rest = &self.text[after..];
        let until = after + (rest.len() - rest.trim_start_matches([' ', '\r', '\n']).len());
        Some(vec![(own..until, String::new())])
    }

    /// Whether a collection is written, or stands inside one that is written, in flow style.
    fn in_flow(&self, mut id: usize) -> bool {
        loop {
            let node = self.index.node(id);
            if node.style.is_flow() {
                return true;
            }
            if id == 0 {
                return false;
            }
            id = node.parent;
        }
    }

    /// The column at which the lines of a new block value of this node begin.
    fn child_indent(&self, id: usize, value: &Value) -> Option<usize> {
        let node = self.index.node(id);
        let same_kind = matches!((node.style, value), (Style::BlockMap, Value::Object(_)) | (Style::BlockList, Value::Array(_)));
        if let Some(dash) = node.dash {
            let beside = node.style != Style::Empty && self.line_start(dash) == self.line_start(node.start);
            return Some(if beside { self.column(node.start) } else { self.column(dash) + 2 });
        }
        if same_kind {
            return Some(self.column(node.start));
        }
        let key = self.column(node.key.as_ref()?.1.start);
        Some(if value.is_array() { key } else { key + 2 })
    }

    /// A value with the space that parts it from a colon or dash before it, and from a comment after it.
    fn padded(&self, at: &Range<usize>, text: String) -> String {
        let glued = self.text[..at.start].ends_with([':', '-', ',', '?']);
        let touching = self.text[at.end..].starts_with('#');
        format!("{}{text}{}", if glued { " " } else { "" }, if touching { " " } else { "" })
    }

    /// The end of a key's colon.
    fn after_colon(&self, id: usize) -> Option<usize> {
        let key = &self.index.node(id).key.as_ref()?.1;
        let rest = &self.text[key.end..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blank..].starts_with(':').then_some(key.end + blank + 1)
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |n| n + 1).max(self.range.start)
    }

    /// The end of a line without its line break. A position after a kept line break is an end itself.
    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |n| at + n);
        if self.text[at..end].ends_with('\r') { end - 1 } else { end }
    }

    /// The beginning of the line after the one that contains the last byte before `at`.
    fn after_line(&self, at: usize) -> usize {
        if self.text[..at].ends_with('\n') {
            return at;
        }
        self.text[at..].find('\n').map_or(self.text.len(), |n| at + n + 1)
    }

    /// The whole lines that a range touches.
    fn lines_of(&self, range: &Range<usize>) -> Range<usize> {
        self.line_start(range.start)..self.after_line(range.end)
    }

    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    /// Adds a line below the one in which something ends.
    fn new_line(&self, end: usize, line: String) -> Splice {
        let at = self.after_line(end).min(self.range.end);
        if self.text[..at].ends_with('\n') {
            (at..at, format!("{line}{}", self.newline))
        } else {
            (at..at, format!("{}{line}", self.newline))
        }
    }
}

/// A value on one line, quoted as the old one was where that is possible.
fn scalar(old: Style, value: &Value, flow: bool) -> String {
    match value {
        Value::String(text) if old == Style::Double => emit::double(text),
        Value::String(text) if old == Style::Single && text.chars().all(|c| (' '..='~').contains(&c)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Value::String(text) => emit::quoted_if_needed(text, flow).into_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => emit::inline(value),
    }
}
