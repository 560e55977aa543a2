//! What is filled into moulds, against what reading the text gives.

use handlebars::Output as _;
use proptest::prelude::*;

use super::*;
use crate::render::cast::{JSON, PLAIN};

/// Texts with `%` for a plain value and `$` for JSON.
const SHAPES: &[&str] = &[
    "a: %\n",
    "a: \"%\"\nb: '%'\n",
    "a: x-%-y\nb: [%, z-%]\nc: {d: %, %: e}\n",
    "%: 1\nx%: 2\n\"q%\": 3\n",
    "a: |\n  first %\n  %: $\n  [$]\nb: >-\n  folded %\n  on\n",
    "a: $\nb: [$, $]\nc: {d: $}\n$: e\n",
    "# said % of $\na: 1 # and % here\n",
    "a: --x=%,%\nb: %%\nc: - %\n",
    "a: x=$\nb: \"$\"\n",
    "a: %:80\nb: http://%/\nc: %/x:y\n",
    "a: 1\n---\nb: %\n---\n# nothing\n---\nc: $\n",
];

fn cast(shape: &str, plain: &[String], json: &[Value]) -> Cast {
    let (mut plain, mut json) = (plain.iter().cycle(), json.iter().cycle());
    let mut cast = Cast::default();
    for piece in shape.split_inclusive(['%', '$']) {
        let said = piece.trim_end_matches(['%', '$']);
        cast.write(said).expect("written");
        let value = match &piece[said.len()..] {
            "%" => format!("{PLAIN}{}", plain.next().expect("a value")),
            "$" => format!("{JSON}{}", crate::render::helper::json(json.next().expect("a value"))),
            _ => continue,
        };
        cast.write(&value).expect("written");
    }
    cast
}

fn read(cast: &Cast) -> Option<Vec<Value>> {
    let parsed = document::parse(&RepoPath::from("t.yaml"), cast.text().as_bytes(), &Budget::default());
    let wrong = parsed.findings.iter().any(|finding| finding.severity == Severity::Error);
    (!wrong).then(|| parsed.documents.iter().map(|document| document.value().clone()).collect())
}

fn filled(moulds: &Moulds, cast: &Cast) -> Option<Vec<Value>> {
    moulds.of(cast, &RepoPath::from("t.yaml"), &Budget::default())?.fill(&cast.holes)
}

#[test]
fn what_fleets_are_made_of_is_filled_in() {
    let (plain, json) = (["shoot--dev--a".to_owned()], [Value::from("a \"b\": c\n"), Value::from(vec![1, 2])]);
    for shape in SHAPES.iter().filter(|shape| !shape.contains("x=$")).take(5) {
        let cast = cast(shape, &plain, &json);
        let values = filled(&Moulds::default(), &cast);
        assert!(values.is_some() && values == read(&cast), "{shape}");
    }
    let moulds = Moulds::default();
    for value in ["10", "true", "1.5", "a.b/c:d", "-1", "2026-01-01", "yes", "0x1f"] {
        let cast = cast("a: %\nb: x%\n", &[value.to_owned()], &json);
        assert_eq!(filled(&moulds, &cast), read(&cast), "{value}");
    }
    assert_eq!(moulds.0.read().expect("a lock").by_shape.len(), 1, "one shape, however many values");
}

#[test]
fn what_is_not_certain_is_read() {
    let fill = |shape: &str, plain: &str, json: Value| filled(&Moulds::default(), &cast(shape, &[plain.to_owned()], &[json]));
    assert_eq!(fill("a: x=$\n", "", Value::from("b: c")), None, "JSON inside of a plain scalar");
    assert_eq!(fill("a: $\n", "", Value::from("\u{202e}")), None, "text that shows something else");
    assert_eq!(fill("a: %\n", "1e999", Value::Null), None, "no number of JSON");
    assert_eq!(fill("%: 1\nx: 2\n", "x", Value::Null), None, "a key that is there");
    assert_eq!(fill("%: 1\n", "10", Value::Null), None, "a key that is a number");
    assert_eq!(fill("a: [%]\n", "b:c", Value::Null), None, "a colon in a flow");
    let own = Cast { shape: "a: \u{f0000}".to_owned(), holes: Vec::new(), confused: true };
    assert_eq!(filled(&Moulds::default(), &own), None, "a character of ours that the template says");
}

#[test]
fn shapes_without_end_are_not_kept() {
    let moulds = Moulds::default();
    for n in 0..100 {
        let cast = cast(&format!("n{n}: %\n"), &["x".to_owned()], &[]);
        assert_eq!(filled(&moulds, &cast), read(&cast));
    }
    assert_eq!(moulds.0.read().expect("a lock").by_shape.len(), super::SHAPES);
}

fn plain() -> impl Strategy<Value = String> {
    // What the escape lets through.
    let harmless = "[a-zA-Z0-9._/:@+-]{0,8}".prop_filter("harmless", |text| {
        !text.ends_with(':')
            && !text.starts_with('@')
            && !text.starts_with("---")
            && (text.is_empty() || text.chars().any(|c| !"-.".contains(c)))
    });
    prop_oneof![
        harmless,
        Just("<fact infrastructure.nodes>".to_owned()),
        prop::sample::select(vec!["null", "true", "no", "1", "01", "1.0", "1e3", "0o7", "+1", "~a", "1_0"])
            .prop_map(str::to_owned)
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ -~]{0,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn filling_is_reading(
        shape in prop::sample::select(SHAPES),
        first in (prop::collection::vec(plain(), 1..5), prop::collection::vec(any_json(), 1..4)),
        then in (prop::collection::vec(plain(), 1..5), prop::collection::vec(any_json(), 1..4)),
    ) {
        let moulds = Moulds::default();
        // The second finds what the first left.
        for (plain, json) in [first, then] {
            let cast = cast(shape, &plain, &json);
            let values = filled(&moulds, &cast);
            prop_assert!(values.is_none() || values == read(&cast), "{:?}\n{values:?}\n{:?}", cast.text(), read(&cast));
        }
    }
}
