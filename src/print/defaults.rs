//! An object as it is acted upon, with marks at what its manifest does not say.

use serde_json::Value;

use crate::document::{self, Budget, Document};
use crate::finding::{On, Pointer};
use crate::snapshot::RepoPath;

/// YAML of an admitted object. Behind what was not `written`, or was written in another way, stands a comment; one at a field is
/// for everything below it.
#[must_use]
pub fn marked(admitted: &Value, written: Option<&Value>) -> String {
    let text = document::to_yaml(admitted);
    let Some(written) = written else { return text };
    let parsed = document::parse(&RepoPath::from("admitted.yaml"), text.as_bytes(), &Budget::default());
    let Some(document) = parsed.documents.first() else { return text };
    let mut marks = Vec::new();
    compare(admitted, written, &Pointer::root(), document, &mut marks);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (line, mark) in marks {
        if let Some(line) = lines.get_mut(line) {
            line.push_str("  # ");
            line.push_str(&mark);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn mark(marks: &mut Vec<(usize, String)>, document: &Document, at: &Pointer, on: On, text: String) {
    let line = document.place(at, on).span.and_then(|span| usize::try_from(span.line).ok());
    marks.extend(line.and_then(|line| line.checked_sub(1)).map(|line| (line, text)));
}

/// Collects lines, from 0, with their marks.
fn compare(admitted: &Value, written: &Value, at: &Pointer, document: &Document, marks: &mut Vec<(usize, String)>) {
    match (admitted, written) {
        (Value::Object(admitted), Value::Object(written)) => {
            for (key, value) in admitted {
                let at = at.key(key);
                match written.get(key).filter(|value| !value.is_null()) {
                    Some(written) => compare(value, written, &at, document, marks),
                    None => mark(marks, document, &at, On::Key, "default".to_owned()),
                }
            }
        }
        (Value::Array(admitted), Value::Array(written)) => {
            for (i, value) in admitted.iter().enumerate() {
                let at = at.index(i);
                match written.get(i) {
                    Some(written) => compare(value, written, &at, document, marks),
                    None => mark(marks, document, &at, On::Value, "default".to_owned()),
                }
            }
        }
        (admitted, written) if admitted == written => {}
        (_, written) => {
            let written = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
            mark(marks, document, at, On::Value, format!("written as {}", written.escape_debug()));
        }
    }
}
