//! `explain`: what a finding's code means, or what a field is for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::output::{self, Format, formats};
use super::{Context, Exit};
use crate::finding::Example;
use crate::landscape::nearest::nearest;
use crate::landscape::{self, Kind, schema};
use crate::plan::impact::{self, Certainty, Row};
use crate::print::json;
use crate::snapshot::RepoPath;
use crate::{admission, document, render};

/// Explain the code of a finding, with an example that fails and one that passes, or a field of a manifest.
///
/// Examples:
///   espalier explain shoot.spec.provider.workers.machine.type
///   espalier explain SHOOT-NET-OVERLAP
///   espalier explain --codes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A code such as FIELD-UNKNOWN, or a field such as shoot.spec.region
    #[arg(value_name = "CODE|FIELD", required_unless_present = "codes")]
    subject: Option<String>,
    /// List the codes of all findings
    #[arg(long, conflicts_with = "subject")]
    codes: bool,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Some(subject) = args.subject.filter(|_| !args.codes) else {
        list(context, args.output);
        return Ok(Exit::Done);
    };
    if let Some((title, text)) = code(&subject.to_uppercase()) {
        let word = subject.to_uppercase();
        if args.output == Format::Text {
            let examples = example(&word).map(|example| shown(&example)).unwrap_or_default();
            context.printer.line(&format!("{word}: {title}\n\n{}{examples}", wrap(&text)));
        } else {
            let answer = json::envelope("Explanation", explained(&word, &title, &text));
            output::answer(context, args.output, &answer);
        }
        return Ok(Exit::Done);
    }
    match field(&subject) {
        Ok(field) => {
            if args.output == Format::Text {
                context.printer.result(&field.text());
            } else {
                output::answer(context, args.output, &field.json());
            }
            Ok(Exit::Done)
        }
        Err(Unknown { message, hint }) => {
            context.printer.error(&message, hint.as_deref());
            Ok(Exit::Failed)
        }
    }
}

/// An explanation as data.
fn explained(code: &str, title: &str, text: &str) -> Value {
    let mut data = json!({ "code": code, "title": title, "text": text });
    if let Some(example) = example(code) {
        let parts = parts(&example).into_iter().map(|(key, _, text)| (key.to_owned(), Value::from(text)));
        data["example"] = parts.collect();
        data["example"]["of"] = Value::from(example.of);
    }
    data
}

/// What an example consists of: a key, words for it, and the text.
fn parts(example: &Example) -> Vec<(&'static str, String, &str)> {
    let of = if example.of.is_empty() { String::new() } else { format!(" ({})", example.of) };
    let all = [
        ("beside", "With these".to_owned(), &example.beside),
        ("garden", "With these in the garden".to_owned(), &example.garden),
        ("gates", "Under the feature gates".to_owned(), &example.gates),
        ("old", "Accepted before".to_owned(), &example.old),
        ("fails", format!("Fails{of}"), &example.fails),
        ("was", "Accepted before".to_owned(), &example.was),
        ("passes", "Passes".to_owned(), &example.passes),
    ];
    all.into_iter().filter(|(_, _, text)| !matches!(text.as_str(), "" | "[]")).map(|(k, w, t)| (k, w, t.as_str())).collect()
}

/// An example, to be read below the text of its code.
fn shown(example: &Example) -> String {
    let mut out = String::new();
    for (_, words, text) in parts(example) {
        out.push_str(&format!("\n\n{words}:\n"));
        let text = match text {
            "null" => "(the file is gone)",
            "{}" => "(as it is in landscapes/local)",
            text => text,
        };
        for line in text.lines() {
            out.push_str(format!("\n    {line}").trim_end_matches(' '));
        }
    }
    out
}

/// Title and text of a code, from the module that raises it.
pub(super) fn code(code: &str) -> Option<(String, String)> {
    let own = |(_, title, text): &(&str, &str, &str)| ((*title).to_owned(), (*text).to_owned());
    if let Some(text) = admission::explain(code) {
        let title = admission::codes().find(|(c, _)| *c == code).map_or("", |(_, title)| title);
        return Some((title.to_owned(), text.to_owned()));
    }
    registered().find(|(c, _, _)| *c == code).map(own).or_else(|| policy(code))
}

/// The example of a code; that of a shipped policy is among the cases in its file.
fn example(code: &str) -> Option<Example> {
    Example::of(code).or_else(|| {
        let (name, path, text) = shipped(code)?;
        let (refused, allowed) = admission::policy::example(&path, &text, &name)?;
        let of = format!("{} {}", refused["kind"].as_str()?, refused["metadata"]["name"].as_str()?);
        let shown = |object: &Value| serde_yaml::to_string(object).ok().map(|text| text.trim_end().to_owned());
        Some(Example { of, fails: shown(&refused)?, passes: shown(&allowed)?, ..Example::default() })
    })
}

/// A shipped policy by the code of its violations: its name, and its file.
fn shipped(code: &str) -> Option<(String, RepoPath, Arc<str>)> {
    let name = code.strip_prefix("POLICY-")?.to_lowercase();
    let named = |line: &str| line.trim() == format!("name: {name}");
    let (path, text) = admission::policy::builtin().into_iter().find(|(_, text)| text.lines().any(named))?;
    Some((name, path, text))
}

/// A shipped policy by the code of its violations: what its file says at its head.
fn policy(code: &str) -> Option<(String, String)> {
    let (name, path, text) = shipped(code)?;
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
    let text = format!(
        "{}\n\nThe policy `{name}` is shipped as {path}; a file of that path in the repository replaces it.",
        head.join(" ")
    );
    Some((format!("the policy {name} disagrees"), text.trim().to_owned()))
}

/// Codes of findings outside the rules of admission.
fn registered() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    [document::CODES, landscape::CODES, admission::CODES, render::CODES].into_iter().flatten()
}

fn codes() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = admission::codes().chain(registered().map(|(code, title, _)| (*code, *title))).collect();
    all.sort_unstable();
    all.dedup_by_key(|(code, _)| *code);
    all
}

fn list(context: &Context, format: Format) {
    let codes = codes();
    if format == Format::Text {
        let rows: Vec<Vec<String>> = codes.iter().map(|(code, title)| vec![(*code).to_owned(), (*title).to_owned()]).collect();
        context.printer.result(&crate::print::table::table(&["CODE", "MEANING"], &rows, true));
    } else {
        let items: Vec<Value> = codes.iter().map(|(code, title)| json!({ "code": code, "title": title })).collect();
        output::answer(context, format, &json::envelope("Codes", json!({ "items": items })));
    }
}

/// A field as its schema describes it.
struct Field {
    path: String,
    /// The keys that lead to it, `[]` for an item of a list.
    keys: Vec<String>,
    kind: Kind,
    schema: Value,
    definitions: Value,
}

/// Nothing of that name.
struct Unknown {
    message: String,
    hint: Option<String>,
}

fn field(subject: &str) -> Result<Field, Unknown> {
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
pub(super) fn kind_of(word: &str) -> Option<Kind> {
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

    fn text(&self) -> String {
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

    fn json(&self) -> Value {
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

/// Paragraphs of at most 80 columns; lists and indented lines stay as they are.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for line in text.lines() {
        let line = line.trim_end();
        let fresh = line.trim_start().starts_with(['-', '*', '|', '`']) || line.starts_with("  ");
        if line.is_empty() || (fresh && column > 0) {
            if column > 0 {
                out.push('\n');
            }
            if line.is_empty() {
                out.push('\n');
            }
            column = 0;
        }
        for word in line.split_whitespace() {
            let width = word.chars().count();
            if column > 0 && column + 1 + width > 80 {
                out.push('\n');
                column = 0;
            }
            if column > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += width;
        }
    }
    out.trim_end().to_owned()
}
