//! The reader of documents: any bytes give documents, broken documents and findings, and every value of a document has its place.
use espalier::document::{Budget, parse};
use espalier::finding::{On, Pointer, Severity};
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

pub(super) fn check(bytes: &[u8]) {
    let parsed = parse(&RepoPath::from("x.yaml"), bytes, &Budget::default());
    let errors = parsed.findings.count(Severity::Error);
    assert_eq!(errors == 0, parsed.broken.is_empty(), "errors and broken documents go together");
    for document in &parsed.documents {
        let mut all = Vec::new();
        pointers(document.value(), &Pointer::root(), &mut all);
        for pointer in all {
            let span = document.span(&pointer, On::Value).expect("every value has a place");
            assert!(document.text().get(span.range()).is_some(), "{pointer} is between characters");
        }
    }
}
