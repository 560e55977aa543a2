//! What a template came to: the text that it says itself, with a hole wherever an expression wrote a value. Texts of the same
//! template that differ in values alone are the same but for what is in their holes.

use handlebars::Output;

/// Before a value that went through the escape.
pub(super) const PLAIN: char = '\u{2}';
/// Before a value as JSON on one line.
pub(super) const JSON: char = '\u{3}';
/// Before a block that asks for lines of its own: what is only indentation before it is dropped.
pub(super) const OWN_LINE: char = '\u{1}';

/// The planes of private use, whose characters stand for holes by their number: those for plain values and for JSON.
const PLANES: [u32; 2] = [0xf_0000, 0x10_0000];
/// How many bytes a hole takes in a shape.
const HOLE: usize = 4;
/// So many characters of a plane are used.
const MOST: u32 = 0xfffd;

/// What an expression wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hole {
    /// A value that can stand anywhere without quotes; never empty.
    Plain(String),
    /// JSON on one line.
    Json(String),
}

impl Hole {
    /// What was written.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Json(text) => text,
        }
    }
}

/// A piece of a text with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// Says the template.
    Said(&'t str),
    /// The hole with this number.
    Hole(usize),
}

/// The same, to keep.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Says the template.
    Said(Box<str>),
    /// The hole with this number.
    Hole(usize),
}

impl From<Part<'_>> for Piece {
    fn from(part: Part<'_>) -> Self {
        match part {
            Part::Said(said) => Self::Said(said.into()),
            Part::Hole(hole) => Self::Hole(hole),
        }
    }
}

/// A character of a plane for the hole with a number; `None` if there are too many.
fn of_plane(plane: u32, hole: usize) -> Option<char> {
    u32::try_from(hole).ok().filter(|n| *n < MOST).and_then(|n| char::from_u32(plane + n))
}

/// A character that stands for the hole with a number.
pub(super) fn mark(hole: usize) -> Option<char> {
    of_plane(PLANES[0], hole)
}

/// The same for a hole with a number, which stands in place of it.
pub(super) fn number_mark(hole: usize) -> Option<char> {
    of_plane(PLANES[1], hole)
}

/// The hole with a number that a text is and nothing else.
pub(super) fn number_hole(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let mark = chars.next().filter(|c| u32::from(*c) >= PLANES[1])?;
    hole_of(mark).filter(|_| chars.next().is_none())
}

/// The number of the hole that a character stands for.
fn hole_of(c: char) -> Option<usize> {
    let code = u32::from(c);
    let plane = PLANES.into_iter().find(|plane| (*plane..*plane + MOST).contains(&code))?;
    usize::try_from(code - plane).ok()
}

/// Splits a text at its holes.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        if let Some(hole) = hole_of(first) {
            rest = &rest[first.len_utf8()..];
            return Some(Part::Hole(hole));
        }
        let end = rest.find(|c| hole_of(c).is_some()).unwrap_or(rest.len());
        let (said, after) = rest.split_at(end);
        rest = after;
        Some(Part::Said(said))
    })
}

/// Whether a text has holes.
pub(crate) fn has_holes(text: &str) -> bool {
    // All of them begin with this byte or the next. The largest is found by whole registers, without a way out in the middle.
    text.bytes().fold(0, u8::max) >= 0xf3 && text.chars().any(|c| hole_of(c).is_some())
}

/// Collects what a template writes.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    /// The text with a character for every hole.
    pub(crate) shape: String,
    /// What is in them.
    pub(crate) holes: Vec<Hole>,
    /// The template itself uses characters that stand for holes, or there are too many.
    pub(crate) confused: bool,
}

impl Cast {
    fn hole(&mut self, plane: u32, hole: Hole) {
        if let Some(mark) = of_plane(plane, self.holes.len()) {
            self.shape.push(mark);
            self.holes.push(hole);
        } else {
            self.confused = true;
            self.shape.push_str(hole.text());
        }
    }

    fn said(&mut self, text: &str) {
        self.confused |= has_holes(text);
        self.shape.push_str(text);
    }

    /// The offset in the shape of a byte of the text; where a value is, of its hole.
    pub(crate) fn offset(&self, of_text: usize) -> usize {
        let (mut shape, mut text) = (0, 0);
        for part in parts(&self.shape) {
            let (here, there) = match part {
                Part::Said(said) => (said.len(), said.len()),
                Part::Hole(hole) => (HOLE, self.holes.get(hole).map_or(0, |hole| hole.text().len())),
            };
            if of_text < text + there {
                return if matches!(part, Part::Said(_)) { shape + of_text - text } else { shape };
            }
            (shape, text) = (shape + here, text + there);
        }
        shape
    }

    /// The text itself.
    pub(crate) fn text(&self) -> String {
        if self.holes.is_empty() {
            return self.shape.clone();
        }
        let filled: usize = self.holes.iter().map(|hole| hole.text().len()).sum();
        let mut text = String::with_capacity(self.shape.len() + filled);
        for part in parts(&self.shape) {
            match part {
                Part::Said(said) => text.push_str(said),
                Part::Hole(hole) => text.push_str(self.holes.get(hole).map_or("", Hole::text)),
            }
        }
        text
    }
}

impl Output for Cast {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        match text.chars().next() {
            // Nothing at all is a matter of structure: `a: ` is null.
            Some(PLAIN) if text.len() > 1 => self.hole(PLANES[0], Hole::Plain(text[1..].to_owned())),
            Some(PLAIN) => {}
            Some(JSON) => self.hole(PLANES[1], Hole::Json(text[1..].to_owned())),
            Some(OWN_LINE) => {
                let line = self.shape.rfind('\n').map_or(0, |at| at + 1);
                if self.shape[line..].chars().all(|c| c == ' ') {
                    self.shape.truncate(line);
                } else {
                    self.shape.push('\n');
                }
                self.said(&text[1..]);
            }
            _ => self.said(text),
        }
        Ok(())
    }
}
