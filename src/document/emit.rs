//! The writer: values as YAML that every reader, old or new, understands in the same way.
//!
//! Keys are sorted, strings quoted wherever YAML 1.1 and 1.2 differ, and nothing depends on the environment, so equal values
//! are equal text.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use super::scalar;

/// A value as YAML: block style, two spaces, lists level with their key, no document marker, a line break at the end.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    append(&mut out, value);
    out
}

/// The same, behind what is written already.
pub fn append(out: &mut String, value: &Value) {
    match value {
        Value::Object(map) if !map.is_empty() => block(out, value, 0, "\n"),
        Value::Array(list) if !list.is_empty() => block(out, value, 0, "\n"),
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => put(out, value),
        Value::String(text) => out.push_str(&quoted_if_needed(text, false)),
    }
    out.push('\n');
}

/// Writes a collection that is not empty as block lines, each with `indent` spaces except that the first line has none.
pub(crate) fn block(out: &mut String, value: &Value, indent: usize, newline: &str) {
    match value {
        Value::Object(map) => {
            for (n, (key, value)) in map.iter().enumerate() {
                if n > 0 {
                    start_line(out, indent, newline);
                }
                entry(out, key, value, indent, newline);
            }
        }
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                if n > 0 {
                    start_line(out, indent, newline);
                }
                item(out, value, indent, newline);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => put(out, value),
    }
}

/// Writes `key: value` at a column.
pub(super) fn entry(out: &mut String, key: &str, value: &Value, indent: usize, newline: &str) {
    self::key(out, key, indent, newline);
    match value {
        Value::Object(map) if !map.is_empty() => {
            start_line(out, indent + 2, newline);
            block(out, value, indent + 2, newline);
        }
        Value::Array(list) if !list.is_empty() => {
            start_line(out, indent, newline);
            block(out, value, indent, newline);
        }
        Value::String(text) => {
            out.push(' ');
            string(out, text, indent + 2, newline);
        }
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push(' ');
            put(out, value);
        }
    }
}

/// Writes `key:` at a column.
pub(crate) fn key(out: &mut String, key: &str, indent: usize, newline: &str) {
    let written = quoted_if_needed(key, false);
    // A key that is looked for over more than 1024 characters is none; such a key needs its mark.
    let marked = written.len() > 1000 && written.chars().count() > 1000;
    if marked {
        out.push_str("? ");
    }
    out.push_str(&written);
    if marked {
        start_line(out, indent, newline);
    }
    out.push(':');
}

/// Writes `- value` at a column.
pub(super) fn item(out: &mut String, value: &Value, indent: usize, newline: &str) {
    out.push_str("- ");
    match value {
        Value::String(text) => string(out, text, indent + 2, newline),
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            if is_filled(value) {
                block(out, value, indent + 2, newline);
            } else {
                put(out, value);
            }
        }
    }
}

/// Whether a value is a collection with something in it.
pub(crate) fn is_filled(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A string in block context: as a literal block if it has several lines and can be one, else on one line.
pub(crate) fn string(out: &mut String, text: &str, indent: usize, newline: &str) {
    if !fits_literal(text) {
        out.push_str(&quoted_if_needed(text, false));
        return;
    }
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    out.push_str(match breaks {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        if line.is_empty() {
            out.push_str(newline);
        } else {
            start_line(out, indent, newline);
            out.push_str(line);
        }
    }
    // The last of several kept line breaks is that which begins the next line, or ends the text.
    for _ in 1..breaks {
        out.push_str(newline);
    }
}

/// Begins a line at a column.
pub(crate) fn start_line(out: &mut String, indent: usize, newline: &str) {
    const BLANKS: &str = "                                ";
    out.push_str(newline);
    let mut left = indent;
    while left > 0 {
        let some = left.min(BLANKS.len());
        out.push_str(&BLANKS[..some]);
        left -= some;
    }
}

/// A value on one line, as it may stand inside `[]` and `{}` and anywhere else.
pub(super) fn inline(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value);
    out
}

/// The same, behind what is written already.
pub(crate) fn put(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => {
            let _infallible = write!(out, "{number}");
        }
        Value::String(text) => out.push_str(&quoted_if_needed(text, true)),
        Value::Array(list) => {
            out.push('[');
            for (n, item) in list.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                put(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (n, (key, value)) in map.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                out.push_str(&quoted_if_needed(key, true));
                out.push_str(": ");
                put(out, value);
            }
            out.push('}');
        }
    }
}

/// A string on one line: plain if everybody reads it as this string, else in double quotes.
pub(super) fn quoted_if_needed(text: &str, flow: bool) -> Cow<'_, str> {
    if is_plain(text, flow) { text.into() } else { double(text).into() }
}

/// Whether a string may stand without quotes.
pub(crate) fn is_plain(text: &str, flow: bool) -> bool {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else { return false };
    let plain_start = first.is_ascii_alphanumeric() || matches!(first, b'/' | b'_' | b'.' | b'(' | b'$' | b'^' | b'+');
    let dashed = first == b'-' && bytes.get(1).is_some_and(u8::is_ascii_alphabetic);
    if !(plain_start || dashed) {
        return false;
    }
    // The longest are base64; looked at without a way out in the middle, by whole registers.
    let harmless = |&b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+' | b'=' | b'-');
    if bytes.len() > 64 && bytes.iter().fold(true, |fine, b| fine & harmless(b)) {
        return !scalar::is_special(text);
    }
    let mut before = first;
    for &byte in bytes {
        let ends_it = matches!((before, byte), (b':', b' ') | (b' ', b'#'));
        let of_flow = flow && matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b':' | b'"' | b'?');
        if ends_it || of_flow || !(b' '..=b'~').contains(&byte) {
            return false;
        }
        before = byte;
    }
    !matches!(before, b' ' | b':') && !text.starts_with("...") && !scalar::is_special(text)
}

/// A string in double quotes, with every character escaped that is not plainly visible.
pub(super) fn double(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            ' '..='~' => out.push(c),
            c if is_visible(c) => out.push(c),
            c if u32::from(c) <= 0xff => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Letters and numbers of any script are shown; anything else outside ASCII could hide or reorder text.
fn is_visible(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '–' | '—' | '…' | '’' | '‘' | '“' | '”' | '•' | '→' | '←' | '✓' | '✗' | '€' | '°')
}

/// Whether a string survives as a literal block: several lines of plainly visible text, the first of which needs no indentation
/// mark, none of which is only blanks.
fn fits_literal(text: &str) -> bool {
    let body = text.trim_end_matches('\n');
    text.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\n', '\t'])
        && (text.bytes().fold(true, |fine, b| fine & matches!(b, b'\n' | b'\t' | b' '..=b'~'))
            || text.chars().all(|c| matches!(c, '\n' | '\t' | ' '..='~') || is_visible(c)))
        && body.split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
}
