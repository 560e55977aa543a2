//! Where every key and value of a document stands in the text, and how it is written.
//!
//! Built from the same events as the value, on demand. The parser places block collections at their first content and ends them
//! at the next token; here they begin at their first key or dash and end with their last leaf, so that a range is what a person
//! would select.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use crate::finding::{On, Pointer};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing at all: a null.
    Empty,
    Plain,
    Single,
    Double,
    /// `|` or `>`.
    BlockScalar,
    BlockMap,
    BlockList,
    FlowMap,
    FlowList,
}

impl Style {
    pub(super) fn is_flow(self) -> bool {
        matches!(self, Self::FlowMap | Self::FlowList)
    }

    pub(super) fn is_block(self) -> bool {
        matches!(self, Self::BlockMap | Self::BlockList)
    }
}

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its key and where that stands, if it is in a map.
    pub(super) key: Option<(String, Range<usize>)>,
    /// Where its dash stands, if it is in a block list.
    pub(super) dash: Option<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) style: Style,
    pub(super) parent: usize,
    pub(super) children: Vec<usize>,
}

/// All values of a document; the first is the root.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) nodes: Vec<Node>,
}

impl Index {
    /// Reads the places of a document. Also of one that is refused: up to where its syntax ends being understood.
    pub(super) fn build(text: &str, range: Range<usize>) -> Self {
        let base = range.start;
        let mut options = granit_parser::options! { disallow_directives: true, emit_unresolved_aliases: true };
        options.set_emit_comments(false);
        let mut builder = Builder { text, nodes: Vec::new(), open: Vec::new(), cursor: base };
        for event in Parser::new_from_str_with_options(&text[range.clone()], options) {
            let Ok((event, raw)) = event else { break };
            let local = raw.byte_range().unwrap_or(0..0);
            let at = base + local.start..base + local.end;
            match event {
                Event::DocumentStart(..) => builder.cursor = builder.cursor.max(at.end),
                Event::Scalar(value, style, _, _) => builder.scalar(&value, style, at),
                Event::Alias(_) | Event::UnresolvedAlias(_) => builder.scalar("", ScalarStyle::Plain, at),
                Event::MappingStart(StructureStyle::Block, ..) => builder.open(Style::BlockMap, &at),
                Event::MappingStart(StructureStyle::Flow, ..) => builder.open(Style::FlowMap, &at),
                Event::SequenceStart(StructureStyle::Block, ..) => builder.open(Style::BlockList, &at),
                Event::SequenceStart(StructureStyle::Flow, ..) => builder.open(Style::FlowList, &at),
                Event::MappingEnd | Event::SequenceEnd => builder.close(&at),
                _ => {}
            }
        }
        let mut nodes = builder.nodes;
        if nodes.is_empty() {
            let nothing =
                Node { key: None, dash: None, start: base, end: base, style: Style::Empty, parent: 0, children: Vec::new() };
            nodes.push(nothing);
        }
        Self { nodes }
    }

    pub(super) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// The value that a pointer means.
    pub(super) fn find(&self, pointer: &Pointer) -> Option<usize> {
        match self.nearest(pointer) {
            (node, true) => Some(node),
            (_, false) => None,
        }
    }

    /// The deepest value on the way to a pointer, and whether that is the whole way.
    pub(super) fn nearest(&self, pointer: &Pointer) -> (usize, bool) {
        let mut at = 0;
        for segment in pointer.segments() {
            let node = self.node(at);
            let next = match node.style {
                Style::BlockMap | Style::FlowMap => {
                    let named = |child: &&usize| self.node(**child).key.as_ref().is_some_and(|(key, _)| *key == segment);
                    node.children.iter().find(named)
                }
                Style::BlockList | Style::FlowList => list_index(&segment).and_then(|n| node.children.get(n)),
                Style::Empty | Style::Plain | Style::Single | Style::Double | Style::BlockScalar => None,
            };
            match next {
                Some(next) => at = *next,
                None => return (at, false),
            }
        }
        (at, true)
    }

    /// The text range of a value or of its key.
    pub(super) fn range(&self, node: usize, on: On) -> Range<usize> {
        let node = self.node(node);
        match (on, &node.key) {
            (On::Key, Some((_, range))) => range.clone(),
            _ => node.start..node.end,
        }
    }
}

/// A list index as JSON pointers spell it: no sign, no leading zeros.
pub(super) fn list_index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || (!segment.starts_with('0') && segment.bytes().all(|b| b.is_ascii_digit()));
    if canonical { segment.parse().ok() } else { None }
}

/// An open collection and the key that waits for its value.
struct Open {
    node: usize,
    key: Option<(String, Range<usize>)>,
    /// The collection is itself a key (refused, but it must not shift its neighbours).
    is_key: bool,
}

struct Builder<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// Everything before this has been accounted for.
    cursor: usize,
}

impl Builder<'_> {
    fn awaits_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| matches!(self.nodes[open.node].style, Style::BlockMap | Style::FlowMap) && open.key.is_none())
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, at: Range<usize>) {
        if self.awaits_key() {
            self.cursor = at.end;
            if let Some(open) = self.open.last_mut() {
                open.key = Some((if at.is_empty() { String::new() } else { value.to_owned() }, at));
            }
            return;
        }
        let (style, range, cursor) = match style {
            ScalarStyle::Plain if at.is_empty() => {
                let here = self.after_indicator(at.start);
                (Style::Empty, here..here, at.end.max(here))
            }
            ScalarStyle::Plain => (Style::Plain, at.clone(), at.end),
            ScalarStyle::SingleQuoted => (Style::Single, at.clone(), at.end),
            ScalarStyle::DoubleQuoted => (Style::Double, at.clone(), at.end),
            ScalarStyle::Literal | ScalarStyle::Folded => (Style::BlockScalar, at.clone(), at.end),
        };
        let node = self.add(style, range);
        if style == Style::BlockScalar {
            let (start, end) = self.block_scalar(&at);
            self.nodes[node].start = start;
            self.nodes[node].end = end;
        }
        self.cursor = self.cursor.max(cursor);
    }

    fn open(&mut self, style: Style, at: &Range<usize>) {
        let is_key = self.awaits_key();
        let node = self.add(style, at.clone());
        if style.is_flow() {
            self.cursor = at.end;
        }
        self.open.push(Open { node, key: None, is_key });
    }

    fn close(&mut self, at: &Range<usize>) {
        let Some(open) = self.open.pop() else { return };
        let last = self.nodes[open.node].children.last().map(|last| self.nodes[*last].end);
        let node = &mut self.nodes[open.node];
        // A map of one pair inside `[a: b]` is a flow map without braces: it ends with its value too.
        if node.style.is_flow() && !at.is_empty() {
            node.end = at.end;
            self.cursor = at.end;
        } else {
            node.end = last.unwrap_or(node.end).max(node.start);
        }
        if open.is_key {
            let range = node.start..node.end;
            if let Some(parent) = self.open.last_mut() {
                parent.key = Some((String::new(), range));
            }
        }
    }

    fn add(&mut self, style: Style, range: Range<usize>) -> usize {
        let id = self.nodes.len();
        let mut node = Node { key: None, dash: None, start: range.start, end: range.end, style, parent: 0, children: Vec::new() };
        let is_key = self.awaits_key();
        let parent = self.open.last().map(|open| open.node);
        if let Some(parent) = parent {
            node.parent = parent;
            match self.nodes[parent].style {
                Style::BlockList => {
                    if let Some(dash) = self.dash() {
                        node.dash = Some(dash);
                        self.cursor = dash + 1;
                        if self.nodes[parent].children.is_empty() {
                            self.nodes[parent].start = dash;
                        }
                    }
                }
                Style::BlockMap | Style::FlowMap if !is_key => {
                    node.key = self.open.last_mut().and_then(|open| open.key.take());
                }
                _ => {}
            }
            if !is_key {
                self.nodes[parent].children.push(id);
            }
        }
        self.nodes.push(node);
        id
    }

    /// The dash of the next item: beyond the colon of the list's key, if it is the first.
    fn dash(&self) -> Option<usize> {
        let at = self.skip(self.cursor)?;
        let at = if self.text.as_bytes()[at] == b':' { self.skip(at + 1)? } else { at };
        (self.text.as_bytes()[at] == b'-').then_some(at)
    }

    /// The first byte at or after `from` that is neither blank nor in a comment.
    fn skip(&self, from: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = from;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                b'#' => at = self.text[at..].find('\n').map_or(bytes.len(), |n| at + n),
                _ => return Some(at),
            }
        }
        None
    }

    /// Where an empty value would be written: after the colon of its key or after its dash.
    fn after_indicator(&self, fallback: usize) -> usize {
        let awaiting = self.open.last().and_then(|open| open.key.as_ref());
        match (awaiting, self.skip(self.cursor)) {
            (Some(_), Some(at)) if self.text.as_bytes()[at] == b':' => at + 1,
            (Some((_, key)), _) => key.end,
            _ => fallback,
        }
    }

    /// From the indicator of a block scalar to the end of its last line that is not blank; to its very end if it keeps blank
    /// lines (`|+`).
    fn block_scalar(&self, content: &Range<usize>) -> (usize, usize) {
        let mut at = self.cursor;
        let start = loop {
            match self.skip(at) {
                Some(found) if matches!(self.text.as_bytes()[found], b':' | b'?') && found < content.start => at = found + 1,
                Some(found) if matches!(self.text.as_bytes()[found], b'|' | b'>') => break found,
                _ => return (content.start, content.end),
            }
        };
        let header_end = self.text[start..].find(['\r', '\n', ' ', '\t']).map_or(self.text.len(), |n| start + n);
        if self.text[start..header_end].contains('+') {
            // The reader stops where the next line's text begins: its indent is not ours.
            let whole = &self.text[..content.end];
            return (start, whole.trim_end_matches(' ').len().max(header_end));
        }
        if content.end <= header_end {
            return (start, header_end);
        }
        let body = self.text[header_end..content.end].trim_end();
        (start, (header_end + body.len()).max(header_end))
    }
}
