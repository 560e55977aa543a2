//! The template engine: handlebars with an escape that no value can use to change a manifest's structure.
//!
//! A value that is not plainly harmless is poisoned with a NUL character, which no YAML reader accepts; so it fails with a finding
//! instead of becoming a key. What a template reads from clusters goes through a side channel: a missing fact or secret makes the
//! component wait as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use handlebars::template::{Template, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, Renderable, ScopedJson,
};
use serde_json::Value;

use super::cast::{self, Cast};
use super::helper;
use super::image::Images;
use super::load::small;
use crate::digest::DigestKey;
use crate::facts::Facts;
use crate::landscape::{Owner, Target};
use crate::secrets::{Bodies, Names, SecretRef};

/// Helpers of the language itself, and those that write values.
const BASIC: &[&str] = &[
    "if", "unless", "each", "with", "lookup", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len", "json", "yaml",
    "fields",
];

/// Helpers that read what is known of clusters.
const READING: &[&str] = &[
    "image",
    "secret",
    "secret-data",
    "secret-checksum",
    "fact",
    "has-fact",
    "garden-secret",
    "garden-config",
    "seed-secret",
    "static-manifests",
    "wildcard-certificate",
    "replicas",
    "chart",
];

/// Whether templates may call a helper of this name.
pub(crate) fn is_helper(name: &str) -> bool {
    BASIC.contains(&name) || reading(name).is_some() || helper::pure(name).is_some()
}

/// What one owner's templates may read beside their context.
pub struct Known<'a> {
    /// Whose templates.
    pub owner: &'a Owner,
    /// The cluster of the scope.
    pub target: &'a Target,
    /// The namespace of the scope in that cluster; empty for none.
    pub namespace: &'a str,
    /// The namespace of what a shoot's components write into the garden; empty for none.
    pub garden_namespace: &'a str,
    /// Names of the secrets that exist, by configuration name; `None` if that is not known yet.
    pub names: Option<&'a BTreeMap<String, Names>>,
    /// Facts.
    pub facts: &'a Facts,
    /// Secret bodies that were fetched.
    pub bodies: &'a Bodies,
    /// Images, with the landscape's own laid over.
    pub images: &'a Images,
    /// The key for digests of secret content.
    pub digest_key: Option<&'a DigestKey>,
    /// Whether what only clusters know is replaced by symbols.
    pub offline: bool,
}

/// What helpers leave behind.
#[derive(Default)]
pub(crate) struct Notes {
    /// What is missing, in the order of asking.
    pub(crate) waiting: Vec<String>,
    /// Secrets whose bodies were asked for and not fetched yet.
    pub(crate) needs_bodies: BTreeSet<SecretRef>,
    /// Why something that is not missing cannot be had.
    pub(crate) refused: Option<String>,
    /// Whether a secret value was handed out.
    pub(crate) secret: bool,
    /// Whether secret values are to be handed out in another shape: what differs then contains them.
    pub(crate) masked: bool,
    /// Whether nobody will want to know what was asked.
    pub(crate) once: bool,
    /// What was asked, and what was answered.
    pub(crate) reads: Vec<Read>,
}

impl Notes {
    /// Whether there is nothing to tell but answers that anybody may see.
    pub(crate) fn is_silent(&self) -> bool {
        self.waiting.is_empty() && self.needs_bodies.is_empty() && self.refused.is_none() && !self.secret
    }
}

/// A question about what is known of clusters, and the answer to it.
#[derive(Debug)]
pub(crate) struct Read {
    helper: &'static str,
    arguments: Vec<Value>,
    answer: Value,
}

impl Read {
    /// What a helper was asked, and answered.
    pub(crate) fn new(helper: &'static str, arguments: Vec<Value>, answer: Value) -> Self {
        Self { helper, arguments, answer }
    }

    /// Whether the answer would be the same now, and is there.
    pub(crate) fn holds(&self, context: &Value, known: &Known<'_>) -> bool {
        let mut notes = Notes::default();
        let arguments: Vec<&Value> = self.arguments.iter().collect();
        let answer = helper::read(self.helper, &arguments, context, known, &mut notes);
        answer.is_ok_and(|answer| answer == self.answer) && notes.waiting.is_empty() && !notes.secret
    }
}

/// What was rendered, with the places in the template that its parts came from.
pub(crate) struct Text {
    pub(crate) cast: Cast,
    marks: Vec<Mark>,
}

/// Why a template could not be rendered, at a line and column of its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Where in the template the text came from, from an offset of its shape on.
struct Mark {
    offset: usize,
    line: u32,
    column: u32,
    /// Whether the template says this text itself, line by line.
    literal: bool,
}

impl Text {
    /// The template's line and column that a byte of the text came from; for what an expression wrote, the expression's.
    pub(crate) fn origin(&self, offset: usize) -> (u32, u32) {
        let offset = self.cast.offset(offset);
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        let Some(mark) = after.checked_sub(1).and_then(|at| self.marks.get(at)) else { return (1, 1) };
        let shape = &self.cast.shape;
        let before = shape.get(mark.offset..offset.min(shape.len())).unwrap_or_default();
        match before.rfind('\n') {
            Some(newline) if mark.literal => {
                (mark.line + small(before.matches('\n').count()), small(before[newline + 1..].chars().count()) + 1)
            }
            _ => (mark.line, mark.column),
        }
    }
}

/// Renders a template, which calls these helpers. NUL in the result (a value that the escape refused) is a failure at its place.
pub(crate) fn run(
    template: &Template,
    helpers: &BTreeSet<String>,
    context: &Context,
    known: &Known<'_>,
    notes: &Mutex<Notes>,
) -> Result<Text, Failure> {
    let registry = registry(known.offline);
    let mut scope = RenderContext::new(None);
    for name in READING.iter().filter(|name| helpers.contains(**name)) {
        scope.register_local_helper(name, Box::new(Reading { name, known, notes }));
    }
    let mut sink = Cast::default();
    let mut marks = Vec::with_capacity(template.elements.len());
    for (index, element) in template.elements.iter().enumerate() {
        let (line, column) = template.mapping.get(index).map_or((1, 1), |at| (small(at.0), small(at.1)));
        let literal = matches!(element, TemplateElement::RawString(_));
        marks.push(Mark { offset: sink.shape.len(), line, column, literal });
        element.render(registry, context, &mut scope, &mut sink).map_err(|error| Failure {
            line: error.line_no.map_or(line, small),
            column: error.column_no.map_or(column, small),
            message: message(&error),
        })?;
    }
    let text = Text { cast: sink, marks };
    if !text.cast.shape.contains('\0') && !text.cast.holes.iter().any(|hole| hole.text().contains('\0')) {
        return Ok(text);
    }
    let said = text.cast.text();
    match said.find('\0') {
        None => Ok(text),
        Some(at) => {
            let (line, column) = text.origin(at);
            let rest: String = said[at..].split('\0').nth(1).unwrap_or_default().chars().take(60).collect();
            let shown = if locked(notes).secret { String::new() } else { format!(" `{}`", rest.escape_debug()) };
            Err(Failure {
                message: format!(
                    "a value{shown} could change the manifest's structure; write it with `{{{{json …}}}}` or `{{{{yaml … indent}}}}`"
                ),
                line,
                column,
            })
        }
    }
}

/// Renders a template that gives one plain value, such as the name of an exported object.
pub(crate) fn plain(template: &Template, context: &Context) -> Result<String, String> {
    let registry = registry(true);
    let mut scope = RenderContext::new(None);
    let mut sink = Cast::default();
    template.render(registry, context, &mut scope, &mut sink).map_err(|e| message(&e))?;
    let text = sink.text();
    if text.contains('\0') { Err("its name is not a plain value".into()) } else { Ok(text) }
}

/// handlebars' reason without its own position.
fn message(error: &RenderError) -> String {
    error.reason().to_string()
}

/// The lock is never held while something may panic, but a poisoned one still holds good notes.
pub(crate) fn locked<T>(notes: &Mutex<T>) -> MutexGuard<'_, T> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn registry(offline: bool) -> &'static Handlebars<'static> {
    static ONLINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| build(false, false));
    static OFFLINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| build(true, false));
    if offline { &OFFLINE } else { &ONLINE }
}

/// The same, with an escape that lets texts with marks through, whatever these stand for.
pub(crate) fn registry_for_marks(offline: bool) -> &'static Handlebars<'static> {
    static ONLINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| build(false, true));
    static OFFLINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| build(true, true));
    if offline { &OFFLINE } else { &ONLINE }
}

fn build(offline: bool, marks: bool) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(move |text| {
        let through = is_harmless(text, offline) || (marks && cast::has_holes(text));
        if through { format!("{}{text}", cast::PLAIN) } else { format!("{}\0{text}\0", cast::PLAIN) }
    });
    registry.unregister_helper("log");
    registry.unregister_helper("raw");
    for (name, function) in helper::PURE {
        registry.register_helper(name, Box::new(Pure { name, function: *function, offline }));
    }
    registry.register_helper("json", Box::new(Writing::Json));
    registry.register_helper("yaml", Box::new(Writing::Yaml));
    registry.register_helper("fields", Box::new(Writing::Fields));
    registry
}

/// Whether a text can stand anywhere without quotes; what is not is poisoned. The characters are those of names, images, versions,
/// addresses and URLs; a colon at the end would make a key of it, and a run of dashes or dots a list item or a document's end.
/// Offline, symbols like `<fact infrastructure.nodes>` may be part of it.
pub(crate) fn is_harmless(text: &str, offline: bool) -> bool {
    if offline && text.contains('<') {
        return without_symbols(text).is_some_and(|bare| is_harmless(&bare, false));
    }
    text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b':' | b'@' | b'+' | b'-'))
        && !text.ends_with(':')
        && !text.starts_with('@')
        && (text.is_empty() || !text.bytes().all(|b| matches!(b, b'-' | b'.')))
        && !text.starts_with("---")
}

/// A text with a letter for every symbol; `None` if there is a `<` that begins none.
fn without_symbols(text: &str) -> Option<String> {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        bare.push_str(&rest[..start]);
        let length = rest[start..].find('>').filter(|end| helper::is_symbol(&rest[start..=start + end]))?;
        bare.push('x');
        rest = &rest[start + length + 1..];
    }
    bare.push_str(rest);
    Some(bare)
}

/// What a helper that is a function of its arguments gives; offline, a symbol for what cannot be computed of symbols.
pub(crate) fn compute(name: &str, function: helper::Function, offline: bool, arguments: &[&Value]) -> Result<Value, String> {
    match function(arguments) {
        Err(_) if offline && arguments.iter().any(|v| helper::has_symbol(v)) => Ok(helper::symbol(name, arguments)),
        result => result,
    }
}

/// The name of a helper that reads what is known of clusters.
pub(crate) fn reading(name: &str) -> Option<&'static str> {
    READING.iter().find(|reading| **reading == name).copied()
}

/// By how much `yaml` indents.
pub(crate) fn indent(arguments: &[&Value]) -> usize {
    arguments.get(1).and_then(|n| n.as_u64()).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

/// A helper that is a function of its arguments.
struct Pure {
    name: &'static str,
    function: helper::Function,
    offline: bool,
}

impl HelperDef for Pure {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = arguments(h, self.name == "default")?;
        let value = compute(self.name, self.function, self.offline, &arguments);
        value.map(ScopedJson::Derived).map_err(|error| failed(self.name, &error))
    }
}

/// The values of a helper's parameters; a missing one is an error, because handlebars itself would pass it as null.
pub(crate) fn arguments<'h>(h: &'h Helper<'_>, lenient: bool) -> Result<Vec<&'h Value>, RenderError> {
    h.params()
        .iter()
        .map(|p| if p.is_value_missing() && !lenient { Err(RenderError::strict_error(p.relative_path())) } else { Ok(p.value()) })
        .collect()
}

pub(crate) fn failed(name: &str, error: &str) -> RenderError {
    handlebars::RenderErrorReason::Other(format!("{name}: {error}")).into()
}

/// Helpers that write a value as data.
enum Writing {
    /// On one line.
    Json,
    /// As a block of lines, indented.
    Yaml,
    /// The entries of a map, each on a line of its own, indented, among those of the map that they are put into.
    Fields,
}

impl HelperDef for Writing {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = arguments(h, false)?;
        let value = arguments.first().ok_or_else(|| failed(h.name(), "takes a value"))?;
        let text = match self {
            Self::Json => helper::json(value),
            Self::Yaml => helper::yaml(value, indent(&arguments)).0,
            Self::Fields => return Err(failed(h.name(), "stands on its own, for no other helper")),
        };
        Ok(ScopedJson::Derived(Value::String(text)))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let arguments = arguments(h, false)?;
        let value = arguments.first().ok_or_else(|| failed(h.name(), "takes a value"))?;
        match self {
            Self::Json => out.write(&format!("{}{}", cast::JSON, helper::json(value)))?,
            Self::Yaml => {
                let (text, block) = helper::yaml(value, indent(&arguments));
                out.write(&format!("{}{text}", if block { cast::OWN_LINE } else { cast::JSON }))?;
            }
            Self::Fields => {
                let map = value.as_object().ok_or_else(|| failed(h.name(), "takes a map"))?;
                let indent = " ".repeat(indent(&arguments));
                for (key, value) in map {
                    out.write(&format!("{}{indent}{}: ", cast::OWN_LINE, helper::json(&Value::String(key.clone()))))?;
                    out.write(&format!("{}{}", cast::JSON, helper::json(value)))?;
                }
            }
        }
        Ok(())
    }
}

/// A helper that reads what is known of clusters.
struct Reading<'a> {
    name: &'static str,
    known: &'a Known<'a>,
    notes: &'a Mutex<Notes>,
}

impl HelperDef for Reading<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = arguments(h, false)?;
        let mut notes = locked(self.notes);
        let answer = helper::read(self.name, &arguments, context.data(), self.known, &mut notes)
            .map_err(|error| failed(self.name, &error))?;
        if !notes.secret && !notes.once {
            let arguments = arguments.into_iter().cloned().collect();
            notes.reads.push(Read::new(self.name, arguments, answer.clone()));
        }
        Ok(ScopedJson::Derived(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_text_passes_the_escape() {
        for fine in ["", "shoot--dev--a", "registry.k8s.io/x:v1.33.2", "10.0.0.0/8", "a+b@c", "-1", "1.5"] {
            assert!(is_harmless(fine, false) && is_harmless(fine, true), "{fine:?}");
        }
        for bad in ["a: b", "a:", "x\nfoo: bar", "-", "---", "...", "{a}", "a #b", "\"", "'", "*a", "&a", "@a", "a,b", "ä", "\0"]
        {
            assert!(!is_harmless(bad, false) && !is_harmless(bad, true), "{bad:?}");
        }
    }

    #[test]
    fn symbols_pass_only_offline() {
        let symbol = "a-<fact infrastructure.nodes>";
        assert!(!is_harmless(symbol, false) && is_harmless(symbol, true));
        assert!(!is_harmless("<fact a: b>", true));
        assert!(!is_harmless("<fact a> b", true));
    }
}
