//! The landscape's own settings.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::Value;

use super::prelude::*;
use crate::landscape::schema::json_schema;
use crate::landscape::shape::{DURATION_PATTERN, QUANTITY_PATTERN, TIME_PATTERN};

rules! {
    /// A setting has one of the values, and the form, that `espalier schema Landscape` says.
    ///
    /// What is not understood would otherwise mean what an absent setting means.
    "LANDSCAPE-SETTING", "a setting of the landscape is not understood", Landscape, settings as Espalier;
    /// The certificate authorities of the garden are PEM in base64, as in a kubeconfig.
    "LANDSCAPE-GARDEN-CA", "the garden's certificate authorities cannot be read", Landscape, authorities as Espalier;
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| json_schema(Kind::Landscape));

fn settings(cx: &Cx<'_>, out: &mut Out) {
    let schema = SCHEMA.pointer("/properties/spec").unwrap_or(&Value::Null);
    follow(schema, &cx.new.get("spec"), out);
}

/// Looks at a value and what is below it; types, times and fields that nobody knows are told when a file is read.
fn follow(schema: &Value, node: &Node<'_>, out: &mut Out) {
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|name| SCHEMA.pointer(name.trim_start_matches('#')));
    let schema = named.unwrap_or(schema);
    if let Some(possible) = schema.get("enum").and_then(Value::as_array)
        && node.value().is_some_and(|value| !possible.contains(value))
    {
        let possible: Vec<&str> = possible.iter().filter_map(Value::as_str).collect();
        out.not_supported(node, format!("{} is not known here", node.shown())).help(format!("possible are {}", listed(&possible)));
        return;
    }
    let told = [QUANTITY_PATTERN, DURATION_PATTERN, TIME_PATTERN];
    let pattern = schema.get("pattern").and_then(Value::as_str).filter(|pattern| !told.contains(pattern));
    if let (Some(pattern), Some(text)) = (pattern, node.text())
        && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        let what = schema.get("description").and_then(Value::as_str).unwrap_or("see the schema");
        out.invalid(node, format!("{} is not written as it has to be", node.shown())).help(what);
    }
    if let (Some(longest), Some(text)) = (schema.get("maxLength").and_then(Value::as_u64), node.text())
        && u64::try_from(text.chars().count()).unwrap_or(u64::MAX) > longest
    {
        out.invalid(node, format!("{} has more than {longest} characters", node.shown()));
    }
    if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_i64), node.int())
        && number < least
    {
        out.invalid(node, format!("{} is less than {least}", node.shown()));
    }
    if let Some(items) = schema.get("items") {
        node.items().iter().for_each(|item| follow(items, item, out));
    }
    for (key, inner) in node.entries() {
        let known = schema.get("properties").and_then(|properties| properties.get(key));
        if let Some(schema) = known.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object())) {
            follow(schema, &inner, out);
        }
    }
}

fn authorities(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/gardenClientConnection/gardenClusterCACert");
    let is_readable = || STANDARD.decode(node.str()).is_ok_and(|bytes| syntax::is_certificate(&bytes));
    if node.is_set() && !is_readable() {
        out.invalid(&node, "these are no certificates").help("PEM in base64, as `certificate-authority-data` of a kubeconfig has it");
    }
}
