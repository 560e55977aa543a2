//! Reading tenants' YAML: values, places, refusals, and totality.

use espalier::document::{Budget, Parsed, parse, to_yaml};
use espalier::finding::{On, Pointer, Severity};
use espalier::snapshot::RepoPath;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(text: &str) -> Parsed {
    parse(&RepoPath::from("x.yaml"), text.as_bytes(), &Budget::default())
}

/// The findings of a text as `line:column CODE`.
fn complaints(text: &[u8], budget: &Budget) -> Vec<String> {
    let parsed = parse(&RepoPath::from("x.yaml"), text, budget);
    let errors = parsed.findings.count(Severity::Error);
    assert_eq!(errors == 0, parsed.broken.is_empty(), "errors and broken documents go together: {parsed:#?}");
    parsed
        .findings
        .iter()
        .map(|f| {
            let places: Vec<String> =
                f.places.iter().map(|p| p.span.map_or_else(|| "?".to_owned(), |s| format!("{}:{}", s.line, s.column))).collect();
            format!("{} {}", places.join("+"), f.code)
        })
        .collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(complaints(text.as_bytes(), &Budget::default()), expected, "for {text:?}");
}

fn one(text: &str) -> Value {
    let parsed = read(text);
    assert!(parsed.broken.is_empty(), "{:#?}", parsed.findings);
    assert_eq!(parsed.documents.len(), 1);
    parsed.documents[0].value().clone()
}

#[test]
fn values_are_those_of_kubernetes() {
    let text = "a: 1\nb: -7\nc: 1.5\nd: 5.0\ne: 1e3\nf: 0x1F\ng: true\nh: ~\ni:\nj: 'it''s'\nk: \"a\\tb\"\nl: 2024-01-01\nm: 22:00\nn: 10.0.0.0/8\no: 1.33.2\np: -\nq: .\n";
    let text = text.replace("p: -\n", "p: '-'\n");
    let expected = json!({"a": 1, "b": -7, "c": 1.5, "d": 5, "e": 1000, "f": 31, "g": true, "h": null, "i": null, "j": "it's",
        "k": "a\tb", "l": "2024-01-01", "m": "22:00", "n": "10.0.0.0/8", "o": "1.33.2", "p": "-", "q": "."});
    assert_eq!(one(&text), expected);
    assert_eq!(one(&text.replace('\n', "\r\n")), expected);
    assert_eq!(one(&format!("\u{feff}{text}")), expected);
}

#[test]
fn scalars_that_kubectl_reads_otherwise_are_strings_with_a_warning() {
    for text in ["yes", "No", "on", "OFF", "y", "0777", "089", "1_000", "0b101", "-0x1F", "0XFF"] {
        let parsed = read(&format!("a: {text}\n"));
        assert_eq!(parsed.documents[0].value(), &json!({"a": text}));
        assert_eq!(parsed.findings.0[0].code.as_str(), "DOC-YAML11-AMBIGUOUS", "{text}");
        assert_eq!(read(&format!("a: \"{text}\"\n")).findings.0.len(), 0, "quotes settle it");
    }
    for text in ["yess", "1_a", "0xZ", "1.2.3", "--1", "+", "1e", "_1", "2024-01-01T00:00:00Z", "1:30", "0o8", "é"] {
        let parsed = read(&format!("a: {text}\n"));
        assert_eq!(parsed.documents[0].value(), &json!({"a": text}));
        assert!(parsed.findings.is_empty(), "{text}: {:?}", parsed.findings);
    }
}

#[test]
fn what_is_refused_is_refused_at_its_place() {
    check("a: 1\nb: 2\na: 3\n", &["3:1+1:1 DOC-DUPLICATE-KEY"]);
    check("x:\n  - \"k\": 1\n    k: 2\n", &["3:5+2:5 DOC-DUPLICATE-KEY"]);
    check("a: &x 1\nb: *x\nc: *y\n", &["1:4 DOC-ANCHOR", "2:4 DOC-ALIAS", "3:4 DOC-ALIAS"]);
    check("a: !!str 1\nb: !x {}\n", &["1:4 DOC-TAG", "2:4 DOC-TAG"]);
    check("a:\n  <<: {b: 1}\n", &["2:3 DOC-MERGE-KEY"]);
    check("1: a\ntrue: b\n~: c\n: d\n", &["1:1 DOC-KEY-TYPE", "2:1 DOC-KEY-TYPE", "3:1 DOC-KEY-TYPE", "4:1 DOC-KEY-TYPE"]);
    check("? [a, b]\n: 1\nc: 2\n", &["1:3 DOC-KEY-TYPE"]);
    check("a: 1\n# \u{202e}evil\n", &["2:3 DOC-BIDI"]);
    check("é: \"\\u202e\"\n", &["1:4 DOC-BIDI"]);
    check("a: \"\\0\"\n", &["1:4 DOC-CONTROL"]);
    check("a: .inf\nb: .NaN\nc: 99999999999999999999\n", &["1:4 DOC-NUMBER", "2:4 DOC-NUMBER", "3:4 DOC-NUMBER"]);
    check("%YAML 1.2\n---\na: 1\n", &["1:1 DOC-SYNTAX"]);
    check("on: 1\n", &["1:1 DOC-YAML11-AMBIGUOUS"]);
    assert_eq!(complaints(b"a: 1\nb: \xff\n", &Budget::default()), ["2:4 DOC-ENCODING"]);
    assert_eq!(complaints(b"\xff\xfea\0:\0", &Budget::default()), ["1:1 DOC-ENCODING"]);
}

#[test]
fn every_document_is_an_object_or_a_finding() {
    check(
        "- a\n---\njust text\n---\nnull\n---\n42\n",
        &["1:1 DOC-NOT-OBJECT", "3:1 DOC-NOT-OBJECT", "5:1 DOC-NOT-OBJECT", "7:1 DOC-NOT-OBJECT"],
    );
    let nothing = read("# only\n---\n# comments\n---\n\n...\n");
    assert!(nothing.documents.is_empty() && nothing.broken.is_empty() && nothing.findings.is_empty());
    assert!(read("").documents.is_empty());
}

#[test]
fn a_broken_document_does_not_take_its_neighbours() {
    let text = "a: 1\n---\napiVersion: v1\nkind: Shoot # it is\nmetadata:\n  name: \"x\"\n  namespace: garden-y\nspec: [\n---\nb: |\n  ---\n  text\n...\nc: 3\n";
    let parsed = read(text);
    let values: Vec<&Value> = parsed.documents.iter().map(|d| d.value()).collect();
    assert_eq!(values, [&json!({"a": 1}), &json!({"b": "---\ntext\n"}), &json!({"c": 3})]);
    assert_eq!(parsed.documents.iter().map(|d| d.index()).collect::<Vec<_>>(), [0, 2, 3]);
    let broken = &parsed.broken[0];
    let identity = broken.identity.clone().expect("the lines say who it is");
    assert_eq!((identity.kind.as_str(), identity.namespace.as_str(), identity.name.as_str()), ("Shoot", "garden-y", "x"));
    assert_eq!((broken.index, broken.span.line), (1, 2));
}

#[test]
fn doubt_about_an_identity_is_no_identity() {
    let broken = |text: &str| read(text).broken[0].identity.clone().map(|i| i.name);
    let head = "apiVersion: v1\nkind: Shoot\nmetadata:\n";
    assert_eq!(broken(&format!("{head}  name: a\nx: &a 1\n")), Some("a".to_owned()));
    assert_eq!(broken(&format!("{head}  name: a\n  name: b\n")), None);
    assert_eq!(broken(&format!("{head}  name: *a\n")), None);
    assert_eq!(broken(&format!("{head}  name: a\n  labels: {{\n")), Some("a".to_owned()));
    assert_eq!(broken(&format!("{head}  name: |\n    a\nx: [\n")), None);
    assert_eq!(broken("kind: Shoot\nx: [\n"), None);
    assert_eq!(broken("- x\n"), None);
}

#[test]
fn budgets_hold_at_their_limit() {
    let budget = Budget { bytes: 40, nodes: 6, depth: 3, documents: 2, scalar: 5 };
    let check = |text: &str, expected: &[&str]| assert_eq!(complaints(text.as_bytes(), &budget), expected, "for {text:?}");
    check(&format!("#{}\na: b\n", "x".repeat(33)), &[]);
    check(&format!("#{}\na: b\n", "x".repeat(34)), &["1:1 DOC-BUDGET-BYTES"]);
    check("a: 1\nb: [x, y]\n", &["2:8 DOC-BUDGET-NODES"]);
    check("a: 1\nb: [x]\n", &[]);
    check("a: [[1]]\n", &[]);
    check("a: [[[1]]]\n", &["1:6 DOC-BUDGET-DEPTH"]);
    check("a: 1\n---\nb: 1\n", &[]);
    check("a: 1\n---\nb: 1\n---\nc: 1\n", &["4:1 DOC-BUDGET-DOCUMENTS"]);
    let many = parse(&RepoPath::from("x"), "a: 1\n---\nb: 1\n---\nc: 1\n---\nd: 1\n".as_bytes(), &budget);
    assert_eq!((many.documents.len(), many.broken.len(), many.findings.0.len()), (2, 1, 1));
    assert_eq!(
        (many.broken[0].index, many.broken[0].identity.clone(), many.broken[0].span.start, many.broken[0].span.end),
        (2, None, 14, 32)
    );
    check("a: 12345x\n", &["1:4 DOC-BUDGET-SCALAR"]);
    let deep = format!("a: {}", "[".repeat(100_000));
    assert_eq!(complaints(deep.as_bytes(), &Budget::default()), ["1:112 DOC-BUDGET-DEPTH"]);
}

#[test]
fn places_are_what_a_person_would_select() {
    let text = "# head\na: 1 # c\nlist:\n- x: 1\n  y: \"two\"\n-\n- |\n  text\n  more\n\n# tail\nflow: {k: [1, é2], z: }\nempty:   # nothing\nlast:\n  deep:\n    er: >-\n      folded\n";
    let document = read(text).documents[0].clone();
    let at = |pointer: &str, on| document.span(&Pointer::from(pointer), on).map(|s| &text[s.range()]);
    assert_eq!(at("/a", On::Key), Some("a"));
    assert_eq!(at("/a", On::Value), Some("1"));
    assert_eq!(at("/list/0", On::Value), Some("x: 1\n  y: \"two\""));
    assert_eq!(at("/list/0/y", On::Value), Some("\"two\""));
    assert_eq!(at("/list/1", On::Value), Some(""));
    assert_eq!(at("/list/2", On::Value), Some("|\n  text\n  more"));
    assert_eq!(at("/list", On::Value), Some("- x: 1\n  y: \"two\"\n-\n- |\n  text\n  more"));
    assert_eq!(at("/flow", On::Value), Some("{k: [1, é2], z: }"));
    assert_eq!(at("/flow/k/1", On::Value), Some("é2"));
    assert_eq!(at("/flow/z", On::Value), Some(""));
    assert_eq!(at("/empty", On::Key), Some("empty"));
    assert_eq!(at("/last", On::Value), Some("deep:\n    er: >-\n      folded"));
    assert_eq!(at("/nope", On::Value), None);
    assert_eq!(at("/list/3", On::Value), None);
    let place = document.place(&Pointer::from("/last/deep/missing"), On::Value);
    assert_eq!(place.span.map(|s| (s.line, s.column, &text[s.range()])), Some((15, 3, "deep")));
    let place = document.place(&Pointer::from("/missing"), On::Value);
    assert_eq!(place.span.map(|s| (s.line, s.column)), Some((2, 1)));
    assert_eq!(place.to_string(), "x.yaml:2:1");
}

#[test]
fn written_strings_mean_the_same_to_old_readers() {
    let value = json!({
        "a": ["yes", "no", "on", "y", "null", "~", "0777", "1_000", "1.5", "22:00", "2024-01-01", "=", "<<", "", " x", "x ", "a: b", "a #b", "#", "- x",
              "-x", "plain text", "v1.33.2", "10.0.0.0/8", "é", "a\tb", "*x", "&x", "!x", "%x", "@x", "`x", "[", "{", "---"],
        "text": "one\ntwo\n", "cut": "one\n\ntwo", "kept": "one\n\n\n", "led": " one\ntwo\n", "blank": "a\n  \nb", "only": "\n", "zz": "last\n\n",
        "empty": {}, "none": [], "deep": {"list": [[1, 2], {"k": [{"z": null}]}, []]}, "on": true, "1": 2, "a b": -0.5});
    let text = to_yaml(&value);
    assert_eq!(one(&text), value, "{text}");
    assert!(read(&text).findings.is_empty(), "{text}\n{:#?}", read(&text).findings);
    assert!(text.contains("- \"yes\"\n") && text.contains("- \"2024-01-01\"\n") && text.contains("\"on\": true"), "{text}");
    assert!(
        text.contains("- plain text\n") && text.contains("- 10.0.0.0/8\n") && text.contains("text: |\n  one\n  two\n"),
        "{text}"
    );
}

pub(crate) fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[a-z0-9:#,\\[\\]{}&*!|>'\"%@` \n._+-]{0,12}",
        "(yes|no|[0-9_:xob.eE+-]{1,6}|~|null)(\n| )?[a-z]?"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2000_i32..2000).prop_map(|n| json!(f64::from(2 * n + 1) / 8.0)),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..5).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

pub(crate) fn has_unsafe(value: &Value) -> bool {
    let unsafe_text = |s: &str| {
        s.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
    };
    match value {
        Value::String(s) => unsafe_text(s),
        Value::Array(list) => list.iter().any(has_unsafe),
        Value::Object(map) => map.iter().any(|(k, v)| unsafe_text(k) || has_unsafe(v)),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(inner in values()) {
        prop_assume!(!has_unsafe(&inner));
        let value = json!({ "v": inner });
        let text = to_yaml(&value);
        let parsed = read(&text);
        prop_assert!(parsed.findings.is_empty(), "{text}\n{:?}", parsed.findings);
        prop_assert_eq!(parsed.documents[0].value(), &value, "{}", text);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _parsed = parse(&RepoPath::from("x"), &bytes, &Budget::default());
    }

    #[test]
    fn any_yaml_like_text_is_read_without_panic(text in "([a-c]: ?|- |  |\n|\r\n|\\[|\\]|\\{|\\}|\\? |\\||>[+-]?|#|---|\\.\\.\\.|&a |\\*a|!t |\"|'|,|:|é|\u{feff}|\t|<<|~|1){0,40}") {
        let parsed = read(&text);
        for document in &parsed.documents {
            let root = document.span(&Pointer::root(), On::Value).expect("the root has a place");
            prop_assert!(text.is_char_boundary(root.start) && text.is_char_boundary(root.end));
            for pointer in pointers(document.value(), &Pointer::root()) {
                let span = document.span(&pointer, On::Value);
                prop_assert!(span.is_some(), "{} in {:?}", pointer, text);
            }
        }
        let errors = parsed.findings.count(Severity::Error);
        prop_assert_eq!(errors == 0, parsed.broken.is_empty());
    }
}

pub(crate) fn pointers(value: &Value, at: &Pointer) -> Vec<Pointer> {
    let mut out = vec![at.clone()];
    match value {
        Value::Array(list) => out.extend(list.iter().enumerate().flat_map(|(n, v)| pointers(v, &at.index(n)))),
        Value::Object(map) => out.extend(map.iter().flat_map(|(k, v)| pointers(v, &at.key(k)))),
        _ => {}
    }
    out
}
