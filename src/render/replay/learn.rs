//! Runs a template with marks for texts, and notes what it asks on the way.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, Renderable as _, ScopedJson,
};
use serde_json::{Map, Value};

use super::outline::{Seen, is_zero};
use super::{Answer, Asks, Question, Take, Written};
use crate::render::cast::{self, Cast, Hole, Part, has_holes, number_hole, parts};
use crate::render::engine::{self, Known, Notes, arguments, failed, locked};
use crate::render::helper;
use crate::render::load::Compiled;
use crate::render::mould::Mould;
use crate::render::script::{Holes, Text, has_any, hole, number};

/// Helpers that look into texts and have no question.
const CURIOUS: [&str; 6] = ["gt", "gte", "lt", "lte", "len", "lookup"];
/// Helpers that treat all texts alike.
const INDIFFERENT: [&str; 6] = ["concat", "default", "dict", "join", "list", "merge"];

/// How a template goes for an owner, for whom it wrote this; `None` if that tells nothing about others.
pub(super) fn take(
    compiled: &Compiled,
    seen: &Seen<'_, '_, '_>,
    context: &Value,
    known: &Known<'_>,
    cast: &Cast,
    mould: Arc<Mould>,
) -> Option<Take> {
    if CURIOUS.iter().any(|name| compiled.helpers.contains(*name)) {
        return None;
    }
    let mut texts = Holes::default();
    seen.places().for_each(|(_, _, text)| texts.push(text));
    let before = seen.places().count();
    let noted = Mutex::new(Noted { texts, next: before, ..Noted::default() });
    let marked = Context::from(seen.marked()?);
    let mut scope = RenderContext::new(None);
    for name in &compiled.helpers {
        let asks = match name.as_str() {
            "eq" | "ne" => Asks::Equal,
            "yaml" => Asks::Yaml,
            name => match (engine::reading(name), helper::pure(name)) {
                (Some(name), _) => Asks::Read(name),
                (None, Some((name, _))) => Asks::Pure(name),
                (None, None) => continue,
            },
        };
        let asking = Asking { asks, not: name == "ne", context, known, noted: &noted };
        let helper: Box<dyn HelperDef + Send + Sync + '_> =
            if asks == Asks::Yaml { Box::new(Lines(asking)) } else { Box::new(asking) };
        scope.register_local_helper(name, helper);
    }
    let mut sink = Cast::default();
    compiled.template.render(engine::registry_for_marks(known.offline), &marked, &mut scope, &mut sink).ok()?;
    drop(scope);
    let Noted { texts, questions, failed, notes, .. } = noted.into_inner().ok()?;
    if failed || sink.confused || !notes.is_silent() || sink.shape != cast.shape {
        return None;
    }
    let renumber = Renumber::new(before, &questions, &sink.holes);
    let places: Vec<(&str, usize, &str)> = seen.places().collect();
    let mut sources: Vec<(Box<str>, Vec<usize>)> = Vec::new();
    for (root, number, _) in renumber.used.iter().filter_map(|mark| places.get(*mark)) {
        match sources.last_mut().filter(|(last, _)| **last == **root) {
            Some((_, numbers)) => numbers.push(*number),
            None => sources.push(((*root).into(), vec![*number])),
        }
    }
    let written = |hole: &Hole| {
        let json = matches!(hole, Hole::Json(_));
        let text = renumber.text(&if json { bare_numbers(hole.text()) } else { hole.text().into() })?;
        Some(Written { json, text: Text::new(&text) })
    };
    let holes = sink.holes.iter().map(written).collect::<Option<_>>()?;
    let mut own = Holes::default();
    renumber.used.iter().for_each(|mark| own.push(texts.get(*mark)));
    let questions = questions.into_iter().map(|question| {
        let arguments = question.arguments.iter().map(|argument| renumber.value(argument)).collect::<Option<_>>()?;
        Some(Question { arguments, ..question })
    });
    let take = Take { sources, questions: questions.collect::<Option<_>>()?, holes, mould };
    (take.holes(&own, known.offline)? == cast.holes).then_some(take)
}

/// What was asked so far.
#[derive(Default)]
struct Noted {
    /// What the marks stand for.
    texts: Holes,
    /// The next mark.
    next: usize,
    questions: Vec<Question>,
    /// What the template was told, question by question.
    told: Vec<Value>,
    notes: Notes,
    failed: bool,
}

impl Noted {
    /// The answer to a question, with a mark if it is a text.
    fn ask(&mut self, asks: Asks, arguments: &[&Value], context: &Value, known: &Known<'_>) -> Result<Value, String> {
        let arguments: Vec<Value> = arguments.iter().map(|argument| (*argument).clone()).collect();
        let before = self.questions.iter().position(|question| question.asks == asks && question.arguments == arguments);
        if let Some(told) = before.and_then(|before| self.told.get(before)) {
            return Ok(told.clone());
        }
        let filled: Vec<Value> = arguments.iter().map(|argument| self.texts.fill(argument)).collect();
        let answer = asks.ask(&filled.iter().collect::<Vec<_>>(), context, known, &mut self.notes)?;
        let text = match &answer {
            Value::String(text) if !text.is_empty() && asks != Asks::Yaml => Some((text.clone(), hole(self.next), Answer::Text)),
            Value::Number(it) if !is_zero(it) => Some((it.to_string(), number(self.next), Answer::Number)),
            _ => None,
        };
        let (told, answer) = if let Some((text, mark, kind)) = text {
            self.next += 1;
            self.texts.push(&text);
            (Value::String(mark.ok_or("there are too many texts")?), kind)
        } else {
            self.failed |= has_any(&answer);
            (answer.clone(), Answer::Same(answer))
        };
        self.told.push(told.clone());
        self.questions.push(Question { asks, arguments, answer });
        Ok(told)
    }
}

/// A helper that notes what it is asked.
struct Asking<'a> {
    asks: Asks,
    /// The answer is turned round.
    not: bool,
    context: &'a Value,
    known: &'a Known<'a>,
    noted: &'a Mutex<Noted>,
}

impl Asking<'_> {
    fn answer(&self, arguments: &[&Value]) -> Result<Value, String> {
        let open = arguments.iter().any(|argument| has_any(argument));
        let indifferent = |name: &str| {
            let key = |argument: &&Value| has_any(argument);
            INDIFFERENT.contains(&name) && !(name == "dict" && arguments.iter().step_by(2).any(key))
        };
        match self.asks {
            Asks::Pure(name) if open && indifferent(name) => {
                let answer = self.asks.ask(arguments, self.context, self.known, &mut Notes::default())?;
                // A number that was put into a text is a text, even where it is all of it.
                let number = answer.as_str().filter(|_| matches!(name, "concat" | "join")).and_then(number_hole);
                Ok(number.and_then(hole).map_or(answer, Value::String))
            }
            // Without marks, what is not read about clusters comes out the same for everybody.
            asks if open || matches!(asks, Asks::Read(_)) => locked(self.noted).ask(asks, arguments, self.context, self.known),
            asks => asks.ask(arguments, self.context, self.known, &mut Notes::default()),
        }
    }
}

impl HelperDef for Asking<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = arguments(h, self.asks == Asks::Pure("default"))?;
        let answer = self.answer(&arguments).map_err(|error| failed(h.name(), &error))?;
        Ok(ScopedJson::Derived(match answer {
            Value::Bool(answer) if self.asks == Asks::Equal => Value::Bool(answer != self.not),
            answer => answer,
        }))
    }
}

/// `yaml`, whose lines depend on what the texts are.
struct Lines<'a>(Asking<'a>);

impl HelperDef for Lines<'_> {
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
        let (text, block) = helper::yaml(value, engine::indent(&arguments));
        if !block {
            return Ok(out.write(&format!("{}{text}", cast::JSON))?);
        }
        match self.0.answer(&arguments) {
            Ok(Value::String(text)) => Ok(out.write(&format!("{}{text}", cast::OWN_LINE))?),
            Ok(_) => Ok(()),
            Err(error) => Err(failed(h.name(), &error)),
        }
    }
}

/// Numbers marks without those that are not used.
struct Renumber {
    /// The marks by their new numbers.
    used: Vec<usize>,
    new: BTreeMap<usize, usize>,
}

impl Renumber {
    /// `before` marks stand for texts of the context; of those, the ones that nobody uses are left out.
    fn new(before: usize, questions: &[Question], holes: &[Hole]) -> Self {
        let mut used = BTreeSet::new();
        let mut note = |text: &str| {
            used.extend(parts(text).filter_map(|part| match part {
                Part::Hole(mark) => (mark < before).then_some(mark),
                Part::Said(_) => None,
            }));
        };
        for hole in holes {
            note(hole.text());
        }
        for question in questions {
            question.arguments.iter().for_each(|argument| strings(argument, &mut note));
        }
        let answers = questions.iter().filter(|question| !matches!(question.answer, Answer::Same(_))).count();
        let used: Vec<usize> = used.into_iter().chain(before..before + answers).collect();
        let new = used.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        Self { used, new }
    }

    fn text(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        for part in parts(text) {
            match part {
                Part::Said(said) => out.push_str(said),
                Part::Hole(mark) => out.push_str(&hole(*self.new.get(&mark)?)?),
            }
        }
        Some(out)
    }

    fn value(&self, value: &Value) -> Option<Value> {
        if let Some(mark) = value.as_str().and_then(number_hole) {
            return number(*self.new.get(&mark)?).map(Value::String);
        }
        Some(match value {
            Value::String(text) if has_holes(text) => Value::String(self.text(text)?),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect::<Option<_>>()?),
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| Some((self.text(key)?, self.value(value)?));
                Value::Object(map.iter().map(entry).collect::<Option<Map<_, _>>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        })
    }
}

/// JSON with marks for numbers, without the quotes that those stand in because they are texts.
fn bare_numbers(json: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(json);
    let quotes = |text: &str, mark: char| {
        let quoted = format!("\"{mark}\"");
        // After a backslash, the quote is part of a text.
        text.match_indices(&quoted).find(|(at, _)| !text[..*at].ends_with('\\')).map(|(at, _)| at..at + quoted.len())
    };
    for mark in json.chars().filter(|c| number_hole(c.encode_utf8(&mut [0; 4])).is_some()) {
        while let Some(range) = quotes(&out, mark) {
            out.to_mut().replace_range(range, mark.encode_utf8(&mut [0; 4]));
        }
    }
    out
}

/// Calls with every text of a value, and every key.
fn strings(value: &Value, note: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => note(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, note)),
        Value::Object(map) => {
            for (key, value) in map {
                note(key);
                strings(value, note);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
