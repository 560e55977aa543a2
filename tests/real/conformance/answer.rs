//! Answers without what may differ between two runs: uids, times, resourceVersions, addresses, tokens and random names are
//! numbered in the order in which they appear, so that the same one can be told from another one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What has been seen in a case.
pub(crate) struct Names {
    namespace: String,
    known: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Names {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), known: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// An answer as one or more lines.
    pub(crate) fn print(&mut self, status: u16, warnings: &[String], mut body: Value) -> String {
        self.normalise(&mut body, "");
        let mut text = format!("{status} {}", self.replace(&sorted(&body).to_string()));
        for warning in warnings {
            text.push_str(&format!("\nwarning: {}", self.replace(warning)));
        }
        text
    }

    fn name(&mut self, of: &'static str, value: &str) -> String {
        if let Some(known) = self.known.get(&format!("{of} {value}")) {
            return known.clone();
        }
        let count = self.counts.entry(of).or_default();
        *count += 1;
        let name = format!("{of}{count}");
        self.known.insert(format!("{of} {value}"), name.clone());
        name
    }

    /// Names inside of messages.
    fn replace(&self, text: &str) -> String {
        let mut text = text.replace(&self.namespace, "{ns}");
        for (value, name) in &self.known {
            let value = value.split_once(' ').map_or(value.as_str(), |(_, value)| value);
            if value.len() > 8 {
                text = text.replace(value, &format!("<{name}>"));
            } else if value.len() > 1 {
                for (before, after) in [(": ", ","), ("(", ")"), (": ", "\""), (" ", ".")] {
                    text = text.replace(&format!("{before}{value}{after}"), &format!("{before}<{name}>{after}"));
                }
            }
        }
        text
    }

    fn normalise(&mut self, value: &mut Value, field: &str) {
        match value {
            Value::Object(map) => self.object(map),
            Value::Array(list) => {
                for item in list.iter_mut() {
                    self.normalise(item, field);
                }
                if field == "managedFields" {
                    for item in list.iter_mut() {
                        *item = manager(item).into();
                    }
                    list.sort_by_key(Value::to_string);
                }
            }
            Value::String(text) => {
                if is_time(text) {
                    *text = "time".into();
                    return;
                }
                match field {
                    "uid" if !text.is_empty() && text.len() == 36 => *text = self.name("uid", text),
                    "resourceVersion" if !text.is_empty() => *text = self.name("rv", text),
                    "continue" if !text.is_empty() => *text = "token".into(),
                    "clusterIP" | "clusterIPs" if text.parse::<std::net::IpAddr>().is_ok() => *text = self.name("ip", text),
                    "serverAddress" => *text = "address".into(),
                    "cells" if is_age(text) => *text = "age".into(),
                    "token" => *text = "token".into(),
                    _ => {}
                }
            }
            Value::Number(_) if field == "nodePort" || field == "healthCheckNodePort" => *value = "port".into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&mut self, map: &mut Map<String, Value>) {
        if map.contains_key("reason") && map.contains_key("message") {
            status(map);
        }
        map.remove("storageVersionHash");
        if let Some(verbs) = map.get_mut("verbs").and_then(Value::as_array_mut) {
            verbs.sort_by_key(Value::to_string);
        }
        // The real server lists what definitions add in the order in which it comes across them; what is built in has an order.
        if map.get("groupVersion").and_then(Value::as_str).is_some_and(|group| group.starts_with("example.org/"))
            && let Some(resources) = map.get_mut("resources").and_then(Value::as_array_mut)
        {
            resources.sort_by_key(|resource| resource["name"].to_string());
        }
        // What a column means is prose; what it is called is not.
        for column in map.get_mut("columnDefinitions").and_then(Value::as_array_mut).into_iter().flatten() {
            column.as_object_mut().map(|column| column.remove("description"));
        }
        // The resourceVersion of a list or a bookmark is that of the server; others write there, too.
        let of_server = map.contains_key("items") || map.contains_key("rows") || map.get("type").is_some_and(|t| t == "BOOKMARK");
        if of_server {
            let meta = if map.contains_key("object") { map["object"].get_mut("metadata") } else { map.get_mut("metadata") };
            if let Some(version) = meta.and_then(|meta| meta.get_mut("resourceVersion")).filter(|v| v.as_str() != Some("")) {
                *version = Value::Bool(true);
            }
        }
        if let Some(prefix) = map.get("generateName").and_then(Value::as_str).map(str::to_owned)
            && let Some(name) = map.get("name").and_then(Value::as_str).map(str::to_owned)
            && name.len() == prefix.len() + 5
        {
            map["name"] = self.name("random", &name).into();
        }
        let fields: Vec<String> = map.keys().cloned().collect();
        for field in fields {
            if let Some(below) = map.get_mut(&field) {
                self.normalise(below, &field);
            }
        }
    }
}

/// A refusal without the figures of the server, the text of a patched object, and the order in which Go visits a map.
fn status(map: &mut Map<String, Value>) {
    if let Some(causes) = map.get_mut("details").and_then(|d| d.get_mut("causes")).and_then(Value::as_array_mut) {
        if causes.iter().any(|cause| cause["reason"] == "FieldManagerConflict") {
            causes.sort_by_key(Value::to_string);
        }
        for cause in causes.iter_mut() {
            if let Some(Value::String(text)) = cause.get_mut("message") {
                shorten(text);
            }
        }
    }
    if let Some(Value::String(text)) = map.get_mut("message") {
        shorten(text);
    }
}

fn shorten(text: &mut String) {
    let between = |text: &str, from: &str, to: &str| {
        let begin = text.find(from)? + from.len();
        let end = begin + text[begin..].find(to)?;
        Some((begin, end))
    };
    if let Some((begin, end)) = between(text, "Invalid value: \"{", "}\": ") {
        text.replace_range(begin..end, "…");
    }
    // A pod template, in the order in which Go's types have its fields.
    if let Some((begin, end)) = between(text, "Invalid value: {\"", "}: field is immutable") {
        text.replace_range(begin..end, "…");
    }
    for (from, to) in [(", current: ", ""), ("too old resource version: ", "")] {
        if let Some((begin, end)) = between(text, from, to) {
            let digits = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '(' | ')');
            let more = text[end..].find(|c| !digits(c)).map_or(text.len(), |more| end + more);
            text.replace_range(begin..more, "…");
        }
    }
}

/// An entry of managedFields on one line, without its time.
fn manager(entry: &Value) -> String {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    let subresource = if text("subresource").is_empty() { String::new() } else { format!("/{}", text("subresource")) };
    let fields = sorted(entry.get("fieldsV1").unwrap_or(&Value::Null)).to_string();
    let kind = match (text("fieldsType") == "FieldsV1", text("time")) {
        (true, "") => " without a time",
        (true, _) => "",
        (false, _) => " not FieldsV1",
    };
    format!("{} {}{subresource} {}{kind} {}", text("operation"), text("manager"), text("apiVersion"), fields.replace('"', ""))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= 20
        && text.as_bytes().get(4) == Some(&b'-')
        && text.parse::<jiff::Timestamp>().is_ok()
        && !text.starts_with("20200101")
        && !text.starts_with("2001-")
}

fn is_age(text: &str) -> bool {
    text.strip_suffix('s').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// What differs between two answers, one line each.
pub(crate) fn compare(wanted: &str, given: &str) -> Vec<String> {
    let split = |text: &str| {
        let mut lines = text.lines();
        let (status, body) =
            lines.next().unwrap_or_default().split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap_or_default();
        (status, serde_json::from_str::<Value>(&body).unwrap_or(body.into()), lines.map(str::to_owned).collect::<Vec<_>>())
    };
    let (real, sim) = (split(wanted), split(given));
    let mut list = Vec::new();
    if real.0 != sim.0 {
        list.push(format!("  status: real {}, here {}", real.0, sim.0));
    }
    walk("", Some(&real.1), Some(&sim.1), &mut list);
    if real.2 != sim.2 {
        list.push(format!("  warnings: real {:?}\n            here {:?}", real.2, sim.2));
    }
    if list.is_empty() {
        list.push(format!("  real {wanted}\n  here {given}"));
    }
    list
}

fn walk(path: &str, real: Option<&Value>, sim: Option<&Value>, list: &mut Vec<String>) {
    match (real, sim) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                walk(&format!("{path}.{key}"), a.get(key), b.get(key), list);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                walk(&format!("{path}[{index}]"), a.get(index), b.get(index), list);
            }
        }
        (a, b) => {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            list.push(format!("  {path}:\n      real {}\n      here {}", show(a), show(b)));
        }
    }
}
