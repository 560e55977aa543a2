//! The editor: a change is made as asked and nothing else changes, or it is refused.
//!
//! The first byte says what is done and where, the next line is the new value as JSON or text, the rest is the file.
use espalier::document::{Budget, Edit, parse};
use espalier::finding::Pointer;
use espalier::snapshot::RepoPath;
use serde_json::Value;

fn pointers(value: &Value, at: &Pointer, all: &mut Vec<Pointer>) {
    all.push(at.clone());
    match value {
        Value::Array(list) => list.iter().enumerate().for_each(|(n, item)| pointers(item, &at.index(n), all)),
        Value::Object(map) => map.iter().for_each(|(key, item)| pointers(item, &at.key(key), all)),
        _ => {}
    }
}

/// A value as a reader has it: a float that is integral is an integer, `-0.0` as well.
fn as_read(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(as_read).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), as_read(value))).collect(),
        Value::Number(number) if number.is_f64() => {
            let text = format!("a: {number}\n");
            let parsed = parse(&RepoPath::from("x.yaml"), text.as_bytes(), &Budget::default());
            parsed.documents.first().map_or_else(|| value.clone(), |document| document.value()["a"].clone())
        }
        value => value.clone(),
    }
}

pub(super) fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Some(end) = rest.iter().position(|b| *b == b'\n') else { return };
    let line = String::from_utf8_lossy(&rest[..end]).into_owned();
    let value: Value = serde_json::from_str(&line).unwrap_or(Value::String(line.clone()));
    let read = |bytes: &[u8]| parse(&RepoPath::from("x.yaml"), bytes, &Budget::default());
    let parsed = read(&rest[end + 1..]);
    if !parsed.broken.is_empty() || parsed.documents.is_empty() {
        return;
    }
    let document = &parsed.documents[0];
    let mut all = Vec::new();
    pointers(document.value(), &Pointer::root(), &mut all);
    let pointer = all[usize::from(choice / 4) % all.len()].clone();
    let edit = match choice % 4 {
        0 => Edit::Set { pointer: pointer.clone(), value: value.clone() },
        1 => Edit::Remove { pointer: pointer.clone() },
        2 => Edit::Append { pointer: pointer.clone(), value: value.clone() },
        _ => Edit::Set { pointer: pointer.key(&line), value: value.clone() },
    };
    let Ok(text) = document.edit(std::slice::from_ref(&edit)) else { return };
    let again = read(text.as_bytes());
    assert!(again.broken.is_empty(), "{:?}\n{text}", again.findings);
    assert_eq!(again.documents.len(), parsed.documents.len(), "{text}");
    for (after, before) in again.documents.iter().zip(&parsed.documents).skip(1) {
        assert_eq!(after.value(), before.value(), "another document changed:\n{text}");
    }
    if let Edit::Set { pointer, value } = edit {
        assert_eq!(again.documents[0].value().pointer(pointer.as_str()), Some(&as_read(&value)), "{text}");
    }
}
