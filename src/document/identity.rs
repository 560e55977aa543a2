//! What a document claims to be, read from its value or, when it has none, from the shape of its lines.
//!
//! A wrong guess would hold the wrong owner and leave the right one to be deleted, so anything that could be read in two ways is
//! no identity.

use serde_json::Value;

use super::Identity;

pub(super) fn of_value(value: &Value) -> Option<Identity> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let metadata = value.get("metadata")?;
    complete(Identity {
        api_version: text(value.get("apiVersion"))?,
        kind: text(value.get("kind"))?,
        namespace: match metadata.get("namespace") {
            None | Some(Value::Null) => String::new(),
            given => text(given)?,
        },
        name: text(metadata.get("name"))?,
    })
}

/// Reads block-style top-level fields line by line. A field that is given twice, or whose value is not a plain word, spoils it.
pub(super) fn of_text(text: &str) -> Option<Identity> {
    let mut fields = Fields::default();
    let mut in_metadata = false;
    let mut metadata_indent = 0;
    for line in text.lines() {
        let line = line.trim_start_matches('\u{feff}');
        let line = line.strip_prefix("--- ").unwrap_or(line);
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content.trim().is_empty() || content.starts_with('#') {
            continue;
        }
        let Some((key, value)) = entry(content) else { continue };
        if indent == 0 {
            in_metadata = key == "metadata";
            metadata_indent = 0;
            match key {
                "apiVersion" => fields.api_version.push(value),
                "kind" => fields.kind.push(value),
                "metadata" => fields.metadata += 1,
                _ => {}
            }
        } else if in_metadata {
            if metadata_indent == 0 {
                metadata_indent = indent;
            }
            if indent == metadata_indent {
                match key {
                    "namespace" => fields.namespace.push(value),
                    "name" => fields.name.push(value),
                    _ => {}
                }
            }
        }
    }
    fields.identity()
}

#[derive(Default)]
struct Fields<'a> {
    api_version: Vec<&'a str>,
    kind: Vec<&'a str>,
    metadata: usize,
    namespace: Vec<&'a str>,
    name: Vec<&'a str>,
}

impl Fields<'_> {
    fn identity(&self) -> Option<Identity> {
        let once = |values: &[&str]| match values {
            [value] => word(value),
            _ => None,
        };
        if self.metadata != 1 {
            return None;
        }
        complete(Identity {
            api_version: once(&self.api_version)?,
            kind: once(&self.kind)?,
            namespace: if self.namespace.is_empty() { String::new() } else { once(&self.namespace)? },
            name: once(&self.name)?,
        })
    }
}

fn complete(identity: Identity) -> Option<Identity> {
    let full = !identity.api_version.is_empty() && !identity.kind.is_empty() && !identity.name.is_empty();
    full.then_some(identity)
}

/// Splits `key: value`, with or without quotes around the key.
fn entry(content: &str) -> Option<(&str, &str)> {
    let (key, value) = content.split_once(':')?;
    let key = key.trim_end();
    let key = key.strip_prefix('"').and_then(|k| k.strip_suffix('"')).unwrap_or(key);
    let key = key.strip_prefix('\'').and_then(|k| k.strip_suffix('\'')).unwrap_or(key);
    (value.is_empty() || value.starts_with([' ', '\t', '\r'])).then(|| (key, value.trim()))
}

/// A value that is one word of the characters that identities are made of, perhaps quoted, perhaps with a comment after it.
fn word(value: &str) -> Option<String> {
    let value = value.split_once(" #").map_or(value, |(before, _)| before).trim();
    let quoted = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    let fine = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'));
    fine.then(|| value.to_owned())
}
