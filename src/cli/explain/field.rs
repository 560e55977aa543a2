//! A field of a manifest: what its schema says, and what changing it costs.

use serde_json::{Value, json};

use super::{codes, wrap};
use crate::admission;
use crate::landscape::nearest::nearest;
use crate::landscape::{Kind, schema};
use crate::plan::impact::{self, Certainty, Row};
use crate::print::json;

/// A field as its schema describes it.
pub(super) struct Field {
    path: String,
    /// The keys that lead to it, `[]` for an item of a list.
    keys: Vec<String>,
    kind: Kind,
    schema: Value,
    definitions: Value,
}

/// Nothing of that name.
pub(super) struct Unknown {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

pub(super) fn field(subject: &str) -> Result<Field, Unknown> {
    let mut segments = subject.split('.').map(|s| s.split('[').next().unwrap_or(s)).filter(|s| !s.is_empty());
    let first = segments.next().unwrap_or_default();
    let Some(kind) = kind_of(first) else {
        let words = codes().into_iter().map(|(code, _)| code);
        let kinds: Vec<String> = Kind::ALL.iter().map(|k| k.name().to_lowercase()).collect();
        let near = nearest(subject, words).or_else(|| nearest(first, kinds.iter().map(String::as_str)));
        return Err(Unknown {
            message: format!("`{subject}` is neither a code nor a field"),
            hint: near
                .map(|near| format!("did you mean `{near}`?"))
                .or_else(|| Some("`espalier explain --codes` lists the codes".into())),
        });
    };
    let root = schema::json_schema(kind);
    let definitions = root.get("$defs").cloned().unwrap_or(Value::Null);
    let mut at = root;
    let mut path = kind.name().to_lowercase();
    let mut keys = Vec::new();
    for segment in segments {
        if followed(&at, &definitions).get("items").is_some() {
            keys.push("[]".to_owned());
        }
        keys.push(segment.to_owned());
        let inner = inside(&at, &definitions);
        if let Some(next) = inner.pointer("/properties").and_then(|p| p.get(segment)) {
            at = next.clone();
        } else if let Some(next) = inner.get("additionalProperties").filter(|n| n.is_object()) {
            at = next.clone();
        } else {
            let names = inner.get("properties").and_then(Value::as_object);
            let near = names.and_then(|names| nearest(segment, names.keys().map(String::as_str)));
            return Err(Unknown {
                message: format!("`{path}` has no field `{segment}`"),
                hint: Some(match (near, names) {
                    (Some(near), _) => format!("did you mean `{path}.{near}`?"),
                    (None, Some(names)) => format!("its fields are {}", names.keys().cloned().collect::<Vec<_>>().join(", ")),
                    (None, None) => "it has no fields of its own".to_owned(),
                }),
            });
        }
        path.push_str(&format!(".{segment}"));
    }
    Ok(Field { path, keys, kind, schema: at, definitions })
}

/// The kind that a word means: `shoot`, `shoots`, `Shoot`.
pub(in crate::cli) fn kind_of(word: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind.plural() == word.to_lowercase() || kind.name().eq_ignore_ascii_case(word))
}

/// A schema with its references followed and its lists entered.
fn inside(schema: &Value, definitions: &Value) -> Value {
    let schema = followed(schema, definitions);
    match schema.get("items") {
        Some(items) if schema.get("type").and_then(Value::as_str) == Some("array") => inside(items, definitions),
        _ => schema,
    }
}

/// A schema with its reference followed; what stands beside the reference wins.
fn followed(schema: &Value, definitions: &Value) -> Value {
    let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) else { return schema.clone() };
    let mut target = definitions.get(name).cloned().unwrap_or(Value::Null);
    if let (Some(target), Some(own)) = (target.as_object_mut(), schema.as_object()) {
        for (key, value) in own.iter().filter(|(key, _)| *key != "$ref") {
            target.insert(key.clone(), value.clone());
        }
    }
    target
}

fn type_of(schema: &Value, definitions: &Value) -> String {
    let schema = followed(schema, definitions);
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        let mut names: Vec<String> = choices.iter().map(|choice| type_of(choice, definitions)).collect();
        names.dedup();
        return names.join(" or ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            format!("[]{}", schema.get("items").map_or_else(|| "any".to_owned(), |items| type_of(items, definitions)))
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(inner @ Value::Object(_)) => format!("map of {}", type_of(inner, definitions)),
            _ => "object".to_owned(),
        },
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

fn text<'v>(schema: &'v Value, key: &str) -> &'v str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Field {
    fn children(&self) -> Vec<(String, String, String)> {
        let inner = inside(&self.schema, &self.definitions);
        let Some(properties) = inner.get("properties").and_then(Value::as_object) else { return Vec::new() };
        properties
            .iter()
            .map(|(name, child)| {
                let described = followed(child, &self.definitions);
                (name.clone(), type_of(child, &self.definitions), text(&described, "description").to_owned())
            })
            .collect()
    }

    /// What changing it costs a cluster.
    fn costs(&self) -> Vec<&'static Row> {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        if self.kind == Kind::Shoot { impact::speaking(&keys).collect() } else { Vec::new() }
    }

    fn description(&self) -> String {
        text(&followed(&self.schema, &self.definitions), "description").to_owned()
    }

    pub(super) fn text(&self) -> String {
        let mut out = format!(
            "KIND:    {}\nVERSION: {}\nFIELD:   {}\nTYPE:    {}\n",
            self.kind,
            self.kind.api_version(),
            self.path,
            type_of(&self.schema, &self.definitions)
        );
        let schema = followed(&self.schema, &self.definitions);
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> = values.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
            out.push_str(&format!("ONE OF:  {}\n", words.join(", ")));
        }
        if let Some(value) = schema.get("default") {
            out.push_str(&format!("DEFAULT: {value}\n"));
        }
        let description = self.description();
        if !description.is_empty() {
            out.push_str(&format!("\n{}\n", wrap(&description)));
        }
        let costs = self.costs();
        if !costs.is_empty() {
            out.push_str("\nA CHANGE:\n");
            let width = costs.iter().map(|row| row.mark.word().len()).max().unwrap_or(0);
            for row in costs {
                let when = if row.condition.is_empty() { String::new() } else { format!(", if {}", row.condition) };
                let likely = if row.certainty == Certainty::Likely { " (likely)" } else { "" };
                out.push_str(&format!("  {:width$}   {}{when}{likely} [{}]\n", row.mark.word(), row.why, row.source));
            }
            if admission::is_idle(&self.keys) {
                out.push_str("  Nobody acts upon this field yet.\n");
            }
        }
        let children = self.children();
        if !children.is_empty() {
            out.push_str("\nFIELDS:\n");
            let width = children.iter().map(|(name, _, _)| name.len()).max().unwrap_or(0);
            let types = children.iter().map(|(_, kind, _)| kind.len()).max().unwrap_or(0).min(24);
            for (name, kind, about) in children {
                let first = about.lines().next().unwrap_or_default();
                let line = format!("  {name:width$}   {kind:types$}   {first}");
                out.push_str(&format!("{}\n", line.trim_end()));
            }
        }
        out
    }

    pub(super) fn json(&self) -> Value {
        let fields: Vec<Value> = self
            .children()
            .into_iter()
            .map(|(name, kind, description)| json!({ "name": name, "type": kind, "description": description }))
            .collect();
        json::envelope(
            "Explanation",
            json!({
                "field": self.path,
                "of": { "apiVersion": self.kind.api_version(), "kind": self.kind },
                "type": type_of(&self.schema, &self.definitions),
                "description": self.description(),
                "impact": self.costs().into_iter().map(|row| json!({
                    "mark": row.mark, "certainty": row.certainty, "when": row.condition, "why": row.why, "source": row.source,
                })).collect::<Vec<_>>(),
                "fields": fields,
            }),
        )
    }
}
