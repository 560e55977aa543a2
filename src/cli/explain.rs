//! `explain`: what a finding's code means, or what a field is for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::output::{self, Format, formats};
use super::{Context, Exit};
use crate::finding::Example;
use crate::landscape;
use crate::print::json;
use crate::snapshot::RepoPath;
use crate::{admission, document, render};

mod field;

pub(super) use field::kind_of;
use field::{Unknown, field};

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
        ("was", "Accepted before what passes".to_owned(), &example.was),
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
            "{}" => "(any that is accepted)",
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
