//! What objects of several kinds have in common: labels, annotations, selectors, tolerations and fields that stay as they are.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::{Cx, Out};
use super::node::Node;
use super::syntax;

/// Annotations of one object have at most this many bytes, keys and values together.
const ANNOTATIONS: usize = 256 << 10;

/// Says that a field is missing, and whether it is.
pub(crate) fn missing(out: &mut Out, node: &Node<'_>) -> bool {
    if node.is_empty() {
        out.required(node, format!("`{}` is missing", node.field()));
    }
    node.is_empty()
}

/// Keys and values of a map of labels.
pub(crate) fn labels(out: &mut Out, map: &Node<'_>) {
    for (key, node) in map.entries() {
        if let Err(why) = syntax::label_key(key) {
            out.invalid(&node, format!("`{key}` is no label key: {why}")).on_key().field(map.field());
        }
        if let Err(why) = syntax::label_value(node.str()) {
            out.invalid(&node, format!("{} is no label value: {why}", node.shown())).field(map.field());
        }
    }
}

/// Keys of a map of annotations, and its size.
pub(crate) fn annotations(out: &mut Out, map: &Node<'_>) {
    let mut size = 0;
    for (key, node) in map.entries() {
        size += key.len() + node.str().len();
        // Unlike those of labels, their case does not matter.
        if let Err(why) = syntax::label_key(&key.to_lowercase()) {
            out.invalid(&node, format!("`{key}` is no annotation key: {why}")).on_key().field(map.field());
        }
    }
    if size > ANNOTATIONS {
        out.too_long(map, format!("all annotations together have {size} bytes"))
            .help(format!("at most {ANNOTATIONS} are possible"));
    }
}

/// A selector of labels.
pub(crate) fn selector(out: &mut Out, selector: &Node<'_>) {
    labels(out, &selector.get("matchLabels"));
    for condition in selector.get("matchExpressions").items() {
        let (key, operator, values) = (condition.get("key"), condition.get("operator"), condition.get("values"));
        match operator.str() {
            "In" | "NotIn" if values.is_empty() => {
                out.required(&values, format!("`{}` needs values", operator.str()));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                out.forbidden(&values, format!("`{}` has no values", operator.str())).help("remove them, or use `In` or `NotIn`");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => {
                out.invalid(&operator, format!("{} is no operator", operator.shown()))
                    .help("use `In`, `NotIn`, `Exists` or `DoesNotExist`");
            }
        }
        if let Err(why) = syntax::label_key(key.str()) {
            out.invalid(&key, format!("{} is no label key: {why}", key.shown()));
        }
        for value in values.items() {
            if let Err(why) = syntax::label_value(value.str()) {
                out.invalid(&value, format!("{} is no label value: {why}", value.shown()));
            }
        }
    }
}

/// Tolerations of seeds' taints: keys and values of labels, each once; one without a value stands for all values.
pub(crate) fn tolerations(out: &mut Out, list: &Node<'_>) {
    let mut seen: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    for toleration in list.items() {
        let (key, value) = (toleration.get("key"), toleration.get("value"));
        if !missing(out, &key)
            && let Err(why) = syntax::label_key(key.str())
        {
            out.invalid(&key, format!("{} is no label key: {why}", key.shown()));
        }
        if let Err(why) = syntax::label_value(value.str()) {
            out.invalid(&value, format!("{} is no label value: {why}", value.shown()));
        }
        if seen.contains(&(key.str(), value.text())) || seen.contains(&(key.str(), None)) {
            out.duplicate(&toleration, format!("the toleration {} is there before", key.shown()))
                .help("a key without a value stands for all values");
        }
        seen.insert((key.str(), value.text()));
    }
}

/// Says that a field is no more what it was.
pub(crate) fn fixed(cx: &Cx<'_>, out: &mut Out, path: &str) {
    let (new, old) = (cx.new.at(path), cx.before(path));
    if cx.is_new() || alike(new.value(), old.value()) {
        return;
    }
    let shown = |node: &Node<'_>| if node.map().is_some() { "something else".to_owned() } else { node.shown() };
    out.invalid(&new, format!("`{}` cannot change from {} to {}", new.field(), shown(&old), shown(&new)))
        .help("it stays for as long as the object exists");
}

/// Whether two values say the same: what is empty is as good as absent.
pub(crate) fn alike(a: Option<&Value>, b: Option<&Value>) -> bool {
    let empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.iter().all(|(key, value)| alike(Some(value), b.get(key)))
                && b.iter().all(|(k, v)| a.contains_key(k) || empty(Some(v)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(Some(a), Some(b)))
        }
        (a, b) => (empty(a) && empty(b)) || a == b,
    }
}
