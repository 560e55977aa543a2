//! What scripts write, against what the writer and the digest make of the filled value.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::document;

fn text() -> impl Strategy<Value = String> {
    let bit = prop_oneof![
        "[a-z -~]{0,6}",
        Just("\n".to_owned()),
        any::<char>().prop_filter("a mark", |c| *c < '\u{f0000}').prop_map(String::from),
        (0..3_usize).prop_map(|n| hole(n).expect("a mark")),
    ];
    prop::collection::vec(bit, 0..5).prop_map(|bits| bits.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(number(3).expect("a mark").into()),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// How many values there are.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(|v| 1 + size(v)).sum(),
        Value::Array(items) => items.iter().map(|v| 1 + size(v)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

proptest! {
    #[test]
    fn a_script_writes_what_the_writer_would(value in value(), values in prop::collection::vec("[\u{0}-\u{7f}]{0,8}", 3)) {
        let value = json!({"v": value});
        let mut holes = Holes::default();
        for value in &values {
            holes.push(value);
        }
        holes.push("42");
        let filled = holes.fill(&value);
        // Keys that come out the same are for programs to find.
        prop_assume!(size(&value) == size(&filled));
        let mut yaml = String::new();
        Script::yaml(&value).append(&holes, &mut yaml);
        prop_assert_eq!(yaml, document::to_yaml(&filled));
        prop_assert_eq!(Script::canonical(&value).digest(&holes, &mut String::new()), digest::of_value(&filled));
    }
}
