//! Formatting: keys move, and nothing else does.

use std::path::Path;

use espalier::document::{Budget, Formatted, format, parse, to_yaml};
use espalier::finding::Pointer;
use espalier::landscape::order;
use espalier::snapshot::RepoPath;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::document::{has_unsafe, values};

fn path() -> RepoPath {
    RepoPath::from("x.yaml")
}

/// An order for tests: `z`, `y`, `x` come first everywhere.
#[expect(clippy::unnecessary_wraps, reason = "this is the form of an order")]
fn backwards(_: &Value, _: &Pointer) -> Option<&'static [&'static str]> {
    Some(&["z", "y", "x"])
}

fn formatted(text: &str) -> Formatted {
    format(&path(), text, &backwards, None).unwrap_or_else(|findings| panic!("{findings:?}\n{text}"))
}

/// What formatting gives, with either line end, and that it gives the same again.
fn check(text: &str, expected: &str) {
    for newline in ["\n", "\r\n"] {
        let before = text.replace('\n', newline);
        let after = formatted(&before);
        assert_eq!(after.text, expected.replace('\n', newline), "of\n{text}");
        assert_eq!(formatted(&after.text).text, after.text, "twice is once");
    }
}

/// Where something was left as it is.
fn left(text: &str) -> Vec<String> {
    let after = formatted(text);
    assert_eq!(after.text, text);
    after.left.iter().map(|l| format!("{} {}", l.place, l.why)).collect()
}

#[test]
fn entries_move_with_their_lines() {
    check("a: 1\nx: 2\nz: 3\n", "z: 3\nx: 2\na: 1\n");
    check("x: |\n  text\n\n  more\nz: >-\n  folded\ny: 'q'\n", "z: >-\n  folded\ny: 'q'\nx: |\n  text\n\n  more\n");
    check("x:\n- 1\n- 2\nz:\n  b: 1\n  y: 2\n", "z:\n  y: 2\n  b: 1\nx:\n- 1\n- 2\n");
    check("x: 1\nz: 2", "z: 2\nx: 1");
    check(
        "l:\n- x: 1\n  z: 2\n-\n  b: 1\n  z: 2\n- - x: 1\n    y: 2\n",
        "l:\n- z: 2\n  x: 1\n-\n  z: 2\n  b: 1\n- - y: 2\n    x: 1\n",
    );
    check("a: {b: 1, x: [1, 2], z: {q: 1, y: 2}}\n", "a: {z: {y: 2, q: 1}, x: [1, 2], b: 1}\n");
    check("{\"x\":1,\"z\":2}\n", "{\"z\":2,\"x\":1}\n");
    check("---\nx: 1\nz: 2\n---\n# only\n---\nx: 1\ny: 2\n...\n", "---\nz: 2\nx: 1\n---\n# only\n---\ny: 2\nx: 1\n...\n");
}

#[test]
fn comments_stay_with_what_they_are_about() {
    check(
        "# the file\nx: 1 # one\n# about z\n# in two lines\nz: 3\n# the end\n",
        "# the file\n# about z\n# in two lines\nz: 3\nx: 1 # one\n# the end\n",
    );
    check(
        "s:\n  # about x\n  x: 1\n    # below x\n  # about z\n  z: 3\n  # off: 4\nt: 1\n",
        "s:\n  # about z\n  z: 3\n  # about x\n  x: 1\n    # below x\n  # off: 4\nt: 1\n",
    );
    check("x:\n  a: 1\n  # off: 2\nz: 2\n", "z: 2\nx:\n  a: 1\n  # off: 2\n");
    check("x: 1\n# of x\n\nz: 2\n", "z: 2\n\nx: 1\n# of x\n");
}

#[test]
fn blank_lines_go_on_parting_entries() {
    check("a: 1\n\nx: 2\n\n\nz: 3\n", "z: 3\n\nx: 2\n\n\na: 1\n");
    check("s:\n\n  a: 1\n\n  # about z\n  z: 3\n", "s:\n\n  # about z\n  z: 3\n\n  a: 1\n");
}

#[test]
fn what_would_lose_a_comment_is_left_and_said() {
    assert_eq!(
        left("l:\n- x: 1\n  # about z\n  z: 2\n"),
        ["x.yaml:2:3 a comment would part the dash of the list item from its first key"]
    );
    assert_eq!(left("a: {x: 1,\n  z: 2}\n"), ["x.yaml:1:1 a map in braces over several lines"]);
    assert_eq!(left("x: 1\n? z\n: 2\n"), ["x.yaml:1:1 keys marked with `?`"]);
    assert!(format(&path(), "a: 1\n---\nb: [\n", &backwards, None).is_err(), "a file that cannot be read stays");
}

#[test]
fn the_schema_for_editors_is_named_in_the_first_line() {
    let line = "# yaml-language-server: $schema=s.json\n";
    let with = |text: &str, schema| format(&path(), text, &backwards, schema).expect("it can be read").text;
    assert_eq!(with("a: 1\n", None), "a: 1\n");
    assert_eq!(with("# c\na: 1\n", Some("s.json")), format!("{line}# c\na: 1\n"));
    assert_eq!(with("# c\n#  yaml-language-server:   $schema=s.json\nx: 1\nz: 1\n", None), format!("{line}# c\nz: 1\nx: 1\n"));
    assert_eq!(with(&format!("{line}a: 1\n"), Some("t.json")), "# yaml-language-server: $schema=t.json\na: 1\n");
    assert_eq!(with(&format!("\u{feff}---\r\n{line}a: 1\r\n"), None), format!("\u{feff}---\r\n{}\r\na: 1\r\n", line.trim_end()));
}

#[test]
fn the_order_of_manifests_is_that_of_their_fields() {
    let shoot = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "spec": {"provider": {"workers": [
        {"providerConfig": {"kind": "W", "apiVersion": "x/v1"}, "labels": {"b": "", "a": ""}}]}}});
    let keys = |at: &str| order::keys(&shoot, &Pointer::from(at));
    assert_eq!(keys("").map(|keys| &keys[..4]), Some(&["apiVersion", "kind", "metadata", "spec"][..]));
    assert_eq!(keys("/metadata").map(|keys| &keys[..4]), Some(&["name", "namespace", "labels", "annotations"][..]));
    assert_eq!(keys("/spec/provider/workers/0").map(|keys| keys[0]), Some("name"));
    assert_eq!(keys("/spec/provider/workers/0/machine/image").map(|keys| keys[0]), Some("name"));
    assert_eq!(keys("/spec/provider/workers/0/labels"), None, "labels are their author's");
    assert_eq!(keys("/spec/provider/workers/0/providerConfig"), Some(&["apiVersion", "kind"][..]));
    assert_eq!(order::keys(&json!({"kind": "Secret", "sops": {}}), &Pointer::root()), None, "SOPS signs the order");
    let policy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
    assert_eq!(order::keys(&policy, &Pointer::root()), Some(&["apiVersion", "kind", "metadata"][..]));
}

/// Every YAML file below a folder.
fn files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), out);
        } else if entry.path().extension().is_some_and(|e| e == "yaml") {
            out.push(entry.path());
        }
    }
}

/// Formats a file in the order of manifests, in all three ways of ending lines, and compares the values.
fn keeps_values(text: &str) {
    for newline in ["\n", "\r\n"] {
        let text = text.replace("\r\n", "\n").replace('\n', newline);
        let Ok(after) = format(&path(), &text, &order::keys, None) else { return };
        let values = |text: &str| -> Vec<Value> {
            parse(&path(), text.as_bytes(), &Budget::default()).documents.iter().map(|d| d.value().clone()).collect()
        };
        assert_eq!(values(&after.text), values(&text), "{text}");
        let comments = |text: &str| text.matches('#').count();
        assert_eq!((comments(&after.text), after.text.len()), (comments(&text), text.len()), "{}\n{text}", after.text);
        let again = format(&path(), &after.text, &order::keys, None).expect("it is still readable");
        assert_eq!(again.text, after.text, "twice is once");
    }
}

#[test]
fn examples_say_the_same_afterwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ["landscapes", "policies", "tests/it/model", "tests/golden/validate", "src/finding/examples"] {
        files(&root.join(folder), &mut all);
    }
    assert!(all.len() > 200, "{}", all.len());
    let mut moved = 0;
    for file in all {
        let text = std::fs::read_to_string(&file).expect("a file");
        keeps_values(&text);
        moved += usize::from(format(&path(), &text, &order::keys, None).is_ok_and(|after| after.text != text));
    }
    assert!(moved > 10, "{moved} files were not in order");
}

fn next(seed: &mut u64, n: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap_or(0) % n.max(1)
}

/// A manifest whose keys are in any order, with comments between them.
fn scrambled(value: &Value, seed: &mut u64, indent: usize, out: &mut String) {
    let Value::Object(map) = value else { return };
    let mut keys: Vec<&String> = map.keys().collect();
    for n in (1..keys.len()).rev() {
        keys.swap(n, next(seed, n + 1));
    }
    for key in keys {
        let pad = " ".repeat(indent);
        match next(seed, 6) {
            0 => out.push('\n'),
            1 => out.push_str(&format!("{pad}# about {key}\n")),
            2 => out.push_str(&format!("{pad}  # deeper\n")),
            _ => {}
        }
        match &map[key] {
            inner @ Value::Object(fields) if !fields.is_empty() => {
                out.push_str(&format!("{pad}{}:\n", to_yaml(&json!(key)).trim_end()));
                scrambled(inner, seed, indent + 2, out);
            }
            other => {
                for line in to_yaml(&json!({ key.as_str(): other })).lines() {
                    out.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") });
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_manifest_says_the_same_afterwards(spec in values(), seed in any::<u64>()) {
        prop_assume!(!has_unsafe(&spec));
        let value = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "metadata": {"name": "a", "labels": {"b": "c"}},
            "spec": {"region": "r", "provider": {"type": "t", "workers": [{"name": "n", "machine": {"type": "m", "image": spec}}]},
            "kubernetes": {"version": "1", "kubelet": {}}, "hibernation": spec}});
        let mut text = String::new();
        scrambled(&value, &mut seed.clone(), 0, &mut text);
        keeps_values(&text);
    }

    #[test]
    fn any_layout_is_formatted_or_left_alone_without_panic(
        text in "([xyza-c]: ?|- |  |\n|\n|\r\n|\\[|\\]|\\{|\\}|\\? |\\||>[+-]?|#|---|\"|'|,|:|é|\u{feff}|\t|~|1){0,40}"
    ) {
        if let Ok(after) = format(&path(), &text, &backwards, None) {
            let read = |text: &str| parse(&path(), text.as_bytes(), &Budget::default());
            let (before, now) = (read(&text), read(&after.text));
            prop_assert_eq!(before.documents.len(), now.documents.len());
            for (a, b) in before.documents.iter().zip(&now.documents) {
                prop_assert_eq!(a.value(), b.value());
            }
            prop_assert_eq!(formatted(&after.text).text, after.text);
        }
    }
}
