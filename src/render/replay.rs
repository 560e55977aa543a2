//! Replays: what a template wrote for one owner, written for another whose context has the same structure, without running it.
//!
//! A template treats all texts and numbers alike as long as it only writes them. So it is run once with a mark in place of each in its
//! context ([`learn`]), and what it wrote is filled in for the next owners. What looks into texts, as helpers do that compare or
//! compute, and what reads about clusters, is a question, which is asked again for every owner. Where an answer that decided
//! something is another one, or anything else does not hold, nothing is given, and the template is run.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::DesiredObject;
use super::cast::Hole;
use super::engine::{self, Known, Notes, Read, Text};
use super::helper;
use super::load::Compiled;
use super::mould::Mould;
use super::post::Stamp;
use super::script::{self, Holes};
use outline::{Seen, is_zero};

mod learn;
pub(crate) mod outline;

/// So many structures of one template's context are known, and so many ways that it went: with one, and with all of them.
const STRUCTURES: usize = 128;
const TAKES: usize = 16;
const ALL_TAKES: usize = 256;

/// What is known of one template, by what its context looks like.
#[derive(Default)]
pub(crate) struct Replays(RwLock<HashMap<Box<[u8]>, Takes>>);

type Takes = Vec<Arc<Take>>;

/// How a template went once.
struct Take {
    /// The texts of the context that it wrote or asked about: root by root, the numbers of the texts in it.
    sources: Vec<(Box<str>, Vec<usize>)>,
    questions: Vec<Question>,
    holes: Vec<Written>,
    mould: Arc<Mould>,
}

/// Something that was asked on the way. Marks stand for texts: first those of the sources, then the answers.
#[derive(Debug, Clone, PartialEq)]
struct Question {
    asks: Asks,
    arguments: Vec<Value>,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asks {
    /// A helper that reads what is known of clusters.
    Read(&'static str),
    /// A helper that computes.
    Pure(&'static str),
    /// Whether two values are the same.
    Equal,
    /// A value as a block of lines, indented.
    Yaml,
}

#[derive(Debug, Clone, PartialEq)]
enum Answer {
    /// Whatever it is, it is the next text.
    Text,
    /// The same, of a number.
    Number,
    /// It decides: it has to be this.
    Same(Value),
}

/// What was written into a hole of the mould.
struct Written {
    json: bool,
    text: script::Text,
}

impl Asks {
    fn ask(self, arguments: &[&Value], context: &Value, known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
        match self {
            Self::Read(name) => helper::read(name, arguments, context, known, notes),
            Self::Pure(name) => {
                let (_, function) = helper::pure(name).ok_or_else(|| format!("`{name}` does not compute anything"))?;
                engine::compute(name, function, known.offline, arguments)
            }
            Self::Equal => Ok(Value::Bool(arguments.first() == arguments.get(1))),
            Self::Yaml => {
                let value = arguments.first().ok_or("takes a value")?;
                Ok(helper::yaml(value, engine::indent(arguments)).0.into())
            }
        }
    }
}

impl Replays {
    /// The objects of an owner whose context has this [key](Seen::key), and what was asked about clusters; `None` if the template has
    /// to be run.
    pub(crate) fn objects(
        &self,
        key: &[u8],
        seen: &Seen<'_, '_, '_>,
        context: &Value,
        known: &Known<'_>,
        stamp: &Stamp<'_>,
    ) -> Option<(Vec<DesiredObject>, Vec<Read>)> {
        let takes = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()?;
        takes.iter().find_map(|take| take.objects(seen, context, known, stamp))
    }

    /// Notes how the template went for an owner, the second time that its context looks like this.
    pub(crate) fn learn(
        &self,
        key: Box<[u8]>,
        compiled: &Compiled,
        seen: &Seen<'_, '_, '_>,
        context: &Value,
        known: &Known<'_>,
        text: &Text,
    ) {
        {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let room = all.len() < STRUCTURES;
            let kept: usize = all.values().map(Vec::len).sum();
            match all.get(&key) {
                Some(takes) if takes.len() < TAKES && kept < ALL_TAKES => {}
                Some(_) => return,
                None => {
                    if room {
                        all.insert(key, Vec::new());
                    }
                    return;
                }
            }
        }
        let Some(mould) = compiled.moulds.known(&text.cast) else { return };
        let Some(take) = learn::take(compiled, seen, context, known, &text.cast, mould) else { return };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(takes) = all.get_mut(&key).filter(|takes| takes.len() < TAKES) {
            takes.push(Arc::new(take));
        }
    }
}

impl Take {
    fn objects(
        &self,
        seen: &Seen<'_, '_, '_>,
        context: &Value,
        known: &Known<'_>,
        stamp: &Stamp<'_>,
    ) -> Option<(Vec<DesiredObject>, Vec<Read>)> {
        let mut texts = Holes::default();
        for (root, numbers) in &self.sources {
            let of_root = seen.texts(root)?;
            for number in numbers {
                texts.push(of_root.get(*number)?);
            }
        }
        let mut notes = Notes::default();
        let mut reads = Vec::new();
        for question in &self.questions {
            let filled: Vec<Value> = question.arguments.iter().map(|argument| texts.fill(argument)).collect();
            let arguments: Vec<&Value> = filled.iter().collect();
            let answer = question.asks.ask(&arguments, context, known, &mut notes).ok()?;
            match (&question.answer, &answer) {
                (Answer::Text, Value::String(text)) if !text.is_empty() => texts.push(text),
                (Answer::Number, Value::Number(number)) if !is_zero(number) => texts.push(&number.to_string()),
                (Answer::Same(same), answer) if same == answer => {}
                _ => return None,
            }
            if let Asks::Read(helper) = question.asks {
                reads.push(Read::new(helper, filled, answer));
            }
        }
        if !notes.is_silent() {
            return None;
        }
        let holes = self.holes(&texts, known.offline)?;
        Some((self.mould.objects(&holes, stamp)?, reads))
    }

    /// What is in the holes of the mould; `None` where a value is none that may stand without quotes.
    fn holes(&self, texts: &Holes, offline: bool) -> Option<Vec<Hole>> {
        let fill = |written: &Written| {
            let mut out = String::new();
            if written.json {
                written.text.append_with(texts, &mut out, helper::append_json);
                return Some(Hole::Json(out));
            }
            written.text.append(texts, &mut out);
            engine::is_harmless(&out, offline).then_some(Hole::Plain(out))
        };
        self.holes.iter().map(fill).collect()
    }
}

/// The roots that a template sees, whatever it does with them.
pub(crate) type Roots = BTreeSet<String>;
