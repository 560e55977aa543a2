//! Editing documents: values change as asked, and nothing else does.

use espalier::document::{Budget, Edit, EditError, parse, to_yaml};
use espalier::finding::Pointer;
use espalier::snapshot::RepoPath;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::document::{has_unsafe, pointers, values};

const SHOOT: &str = "# a shoot
apiVersion: core.gardener.cloud/v1beta1
kind: Shoot
metadata:
  name: prod # the name
  # why annotated
  annotations: {a: \"1\", b: two}
spec:
  kubernetes:
    version: 1.33.2   # keep me
  # workers below
  workers:
  - name: one # first

    zones: [eu-1a]
  # between
  - name: 'two'
    zones:
      - eu-1a # here
      - eu-1b
  empty:   # nothing yet
  script: |
    #!/bin/sh
    exit 0

  # tail of spec
";

fn set(pointer: &str, value: Value) -> Edit {
    Edit::Set { pointer: Pointer::from(pointer), value }
}

fn remove(pointer: &str) -> Edit {
    Edit::Remove { pointer: Pointer::from(pointer) }
}

fn append(pointer: &str, value: Value) -> Edit {
    Edit::Append { pointer: Pointer::from(pointer), value }
}

fn edited(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let parsed = parse(&RepoPath::from("x.yaml"), text.as_bytes(), &Budget::default());
    assert!(parsed.broken.is_empty(), "{:?}", parsed.findings);
    parsed.documents[0].edit(edits)
}

/// What an edit does to the lines of a text: `-` gone, `+` new.
fn check(text: &str, edit: Edit, expected: &[&str]) {
    for newline in ["\n", "\r\n"] {
        let before = text.replace('\n', newline);
        let after = edited(&before, std::slice::from_ref(&edit)).unwrap_or_else(|e| panic!("{edit:?}: {e}"));
        assert!(
            newline == "\n" || !before.contains('\n') || !after.replace("\r\n", "").contains('\n'),
            "line ends are kept: {after:?}"
        );
        let after = after.replace("\r\n", "\n");
        let diff = similar_lines(text, &after);
        assert_eq!(diff, expected, "{edit:?}\n{after}");
    }
}

fn similar_lines(before: &str, after: &str) -> Vec<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let prefix = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let suffix = a[prefix..].iter().rev().zip(b[prefix..].iter().rev()).take_while(|(x, y)| x == y).count();
    let gone = a[prefix..a.len() - suffix].iter().map(|l| format!("-{l}"));
    gone.chain(b[prefix..b.len() - suffix].iter().map(|l| format!("+{l}"))).collect()
}

#[test]
fn scalars_are_set_in_place() {
    check(
        SHOOT,
        set("/spec/kubernetes/version", json!("1.34.1")),
        &["-    version: 1.33.2   # keep me", "+    version: 1.34.1   # keep me"],
    );
    check(
        SHOOT,
        set("/spec/kubernetes/version", json!("1.34")),
        &["-    version: 1.33.2   # keep me", "+    version: \"1.34\"   # keep me"],
    );
    check(
        SHOOT,
        set("/metadata/annotations/a", json!("2")),
        &["-  annotations: {a: \"1\", b: two}", "+  annotations: {a: \"2\", b: two}"],
    );
    check(SHOOT, set("/spec/workers/1/name", json!("it's")), &["-  - name: 'two'", "+  - name: 'it''s'"]);
    check(SHOOT, set("/spec/empty", json!(true)), &["-  empty:   # nothing yet", "+  empty: true   # nothing yet"]);
    check(SHOOT, set("/spec/script", json!("short")), &["-  script: |", "-    #!/bin/sh", "-    exit 0", "+  script: short"]);
    check(SHOOT, set("/spec/script", json!("a\nb\n")), &["-    #!/bin/sh", "-    exit 0", "+    a", "+    b"]);
    check(
        SHOOT,
        set("/metadata/name", json!("a\nb")),
        &["-  name: prod # the name", "+  name: |- # the name", "+    a", "+    b"],
    );
    check(SHOOT, set("/spec/workers/0/zones/0", json!("a, b")), &["-    zones: [eu-1a]", "+    zones: [\"a, b\"]"]);
    check(SHOOT, set("/spec/workers/1/zones/0", json!("x")), &["-      - eu-1a # here", "+      - x # here"]);
}

#[test]
fn collections_are_changed_in_place() {
    check(
        SHOOT,
        set("/spec/kubernetes", json!({"version": "1.34.1", "dns": {"a": [1]}})),
        &["-    version: 1.33.2   # keep me", "+    version: 1.34.1   # keep me", "+    dns:", "+      a:", "+      - 1"],
    );
    check(
        SHOOT,
        set("/spec/kubernetes", json!("none")),
        &["-  kubernetes:", "-    version: 1.33.2   # keep me", "+  kubernetes: none"],
    );
    check(SHOOT, set("/spec/workers/0/zones", json!(["eu-1a", "eu-1b"])), &["-    zones: [eu-1a]", "+    zones: [eu-1a, eu-1b]"]);
    check(SHOOT, set("/spec/empty", json!({"k": [1, {"z": 2}]})), &["+    k:", "+    - 1", "+    - z: 2"]);
    check(SHOOT, set("/metadata/name", json!({"k": 1})), &["-  name: prod # the name", "+  name:  # the name", "+    k: 1"]);
    check(SHOOT, set("/spec/workers/0", json!(5)), &["-  - name: one # first", "-", "-    zones: [eu-1a]", "+  - 5"]);
    check(SHOOT, set("/spec/workers/1/zones", json!(["eu-1b"])), &["-      - eu-1a # here"]);
}

#[test]
fn keys_are_inserted_below_their_neighbours() {
    check(SHOOT, set("/metadata/namespace", json!("garden-x")), &["+  namespace: garden-x"]);
    check(
        SHOOT,
        set("/metadata/annotations/c~1d", json!("x")),
        &["-  annotations: {a: \"1\", b: two}", "+  annotations: {a: \"1\", b: two, c/d: x}"],
    );
    check(SHOOT, set("/spec/kubernetes/a/b", json!([1])), &["+    a:", "+      b:", "+      - 1"]);
    check(SHOOT, set("/spec/workers/1/min", json!(1)), &["+    min: 1"]);
    check(SHOOT, set("/spec/z", json!("on")), &["+  z: \"on\""]);
    check(SHOOT, set("/status", json!({})), &["+status: {}"]);
    check("a: 1", set("/b", json!(2.0)), &["+b: 2"]);
    check("{a: 1}\n", set("/b", json!([2])), &["-{a: 1}", "+{a: 1, b: [2]}"]);
    check("a: {}\n", set("/a/b", json!(1)), &["-a: {}", "+a:", "+  b: 1"]);
}

#[test]
fn entries_are_removed_with_their_lines() {
    check(SHOOT, remove("/metadata/name"), &["-  name: prod # the name"]);
    check(SHOOT, remove("/metadata/annotations/a"), &["-  annotations: {a: \"1\", b: two}", "+  annotations: {b: two}"]);
    check(SHOOT, remove("/metadata/annotations/b"), &["-  annotations: {a: \"1\", b: two}", "+  annotations: {a: \"1\"}"]);
    check(SHOOT, remove("/spec/workers/0/name"), &["-  - name: one # first", "-", "-    zones: [eu-1a]", "+  - zones: [eu-1a]"]);
    check(SHOOT, remove("/spec/workers/0"), &["-  - name: one # first", "-", "-    zones: [eu-1a]"]);
    check(
        SHOOT,
        remove("/spec/kubernetes/version"),
        &["-  kubernetes:", "-    version: 1.33.2   # keep me", "+  kubernetes: {}"],
    );
    check(SHOOT, remove("/spec/workers/0/zones/0"), &["-    zones: [eu-1a]", "+    zones: []"]);
    check(SHOOT, remove("/spec/script"), &["-  script: |", "-    #!/bin/sh", "-    exit 0"]);
    check("a: 1\n", remove("/a"), &["-a: 1", "+{}"]);
}

#[test]
fn items_are_appended() {
    check(SHOOT, append("/spec/workers", json!({"name": "three", "count": 1})), &["+  - count: 1", "+    name: three"]);
    check(SHOOT, append("/spec/workers/0/zones", json!("eu-1c")), &["-    zones: [eu-1a]", "+    zones: [eu-1a, eu-1c]"]);
    check(SHOOT, append("/spec/workers/1/zones", json!("eu-1c")), &["+      - eu-1c"]);
    check(SHOOT, append("/spec/empty", json!(1)), &["+  - 1"]);
    check(SHOOT, append("/metadata/finalizers", json!("x")), &["+  finalizers:", "+  - x"]);
    check("a: []\n", append("/a", json!({"k": 1})), &["-a: []", "+a:", "+- k: 1"]);
}

#[test]
fn other_documents_stay() {
    let text = format!("{SHOOT}---\nb: [\n---\nc: 1 # c\n...\n");
    let parsed = parse(&RepoPath::from("x"), text.as_bytes(), &Budget::default());
    let after = parsed.documents[0].edit(&[remove("/spec"), set("/metadata/name", json!("x"))]).expect("possible");
    assert!(after.ends_with("---\nb: [\n---\nc: 1 # c\n...\n"), "{after}");
    let after = parsed.documents[1].edit(&[set("/d", json!(2)), set("/c", json!("---\nx\n"))]).expect("possible");
    assert_eq!(after, format!("{SHOOT}---\nb: [\n---\nc: | # c\n  ---\n  x\nd: 2\n...\n"));
}

#[test]
fn what_cannot_be_done_is_said() {
    assert_eq!(edited(SHOOT, &[remove("/nope")]), Err(EditError::NoSuchField(Pointer::from("/nope"))));
    assert_eq!(edited(SHOOT, &[remove("")]), Err(EditError::Root));
    assert_eq!(edited(SHOOT, &[append("/kind", json!(1))]), Err(EditError::NotAList(Pointer::from("/kind"))));
    assert_eq!(edited(SHOOT, &[set("/kind/x", json!(1))]), Err(EditError::NotAMap(Pointer::from("/kind"))));
    assert_eq!(edited(SHOOT, &[set("/spec/workers/7", json!(1))]), Err(EditError::NoSuchField(Pointer::from("/spec/workers/7"))));
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, Value),
    Insert(usize, String, Value),
    Remove(usize),
    Append(usize, Value),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), values()).prop_map(|(n, v)| Change::Set(n, v)),
        (any::<usize>(), "[a-z~/ :]{1,4}", values()).prop_map(|(n, k, v)| Change::Insert(n, k, v)),
        any::<usize>().prop_map(Change::Remove),
        (any::<usize>(), values()).prop_map(|(n, v)| Change::Append(n, v)),
    ]
}

proptest! {
    #[test]
    fn an_edit_is_the_change_or_an_error(start in values(), change in changes()) {
        prop_assume!(!has_unsafe(&start));
        let root = json!({"a": start, "z": 1});
        let text = format!("# before\n{}# after\n---\nother: 1 # stays\n", to_yaml(&root));
        let all: Vec<Pointer> = pointers(&root, &Pointer::root());
        let pick = |n: usize| all[n % all.len()].clone();
        let edit = match change {
            Change::Set(n, value) => Edit::Set { pointer: pick(n), value },
            Change::Insert(n, key, value) => Edit::Set { pointer: pick(n).key(&key), value },
            Change::Remove(n) => Edit::Remove { pointer: pick(n) },
            Change::Append(n, value) => Edit::Append { pointer: pick(n), value },
        };
        if let Ok(after) = edited(&text, std::slice::from_ref(&edit)) {
            let parsed = parse(&RepoPath::from("x"), after.as_bytes(), &Budget::default());
            prop_assert_eq!(parsed.documents.len(), 2);
            prop_assert!(after.starts_with("# before\n") && after.ends_with("---\nother: 1 # stays\n"), "{}", after);
            if let Edit::Set { pointer, value } = &edit {
                prop_assert_eq!(parsed.documents[0].value().pointer(pointer.as_str()), Some(value));
            }
        }
    }

    #[test]
    fn ordinary_edits_of_written_files_always_succeed(start in values(), n in any::<usize>(), value in values()) {
        prop_assume!(!has_unsafe(&start) && !has_unsafe(&value));
        let root = json!({"a": start, "z": 1});
        let text = to_yaml(&root);
        let all: Vec<Pointer> = pointers(&root, &Pointer::root()).into_iter().skip(1).collect();
        let pointer = all[n % all.len()].clone();
        let after = edited(&text, &[Edit::Set { pointer: pointer.clone(), value }]);
        prop_assert!(after.is_ok(), "{:?} at {} in\n{}", after, pointer, text);
        let after = edited(&text, &[Edit::Remove { pointer: pointer.clone() }]);
        prop_assert!(after.is_ok(), "{:?} removing {} in\n{}", after, pointer, text);
    }

    #[test]
    fn any_layout_is_edited_or_left_alone_without_panic(
        text in "([a-c]: ?|- |  |\n|\r\n|\\[|\\]|\\{|\\}|\\? |\\||>[+-]?|#|---|\"|'|,|:|é|\u{feff}|\t|~|1){0,30}",
        n in any::<usize>(), value in values(), which in 0..3
    ) {
        let parsed = parse(&RepoPath::from("x"), text.as_bytes(), &Budget::default());
        for document in &parsed.documents {
            let all = pointers(document.value(), &Pointer::root());
            let pointer = all[n % all.len()].clone();
            let value = value.clone();
            let edit = match which {
                0 => Edit::Set { pointer, value },
                1 => Edit::Set { pointer: pointer.key("new"), value },
                _ => Edit::Remove { pointer },
            };
            if let Ok(after) = document.edit(&[edit]) {
                let again = parse(&RepoPath::from("x"), after.as_bytes(), &Budget::default());
                prop_assert_eq!(again.documents.len(), parsed.documents.len());
            }
        }
    }
}
