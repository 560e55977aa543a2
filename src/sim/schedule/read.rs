//! The reader of schedules: strict, with the place of every mistake.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{HEAD, LOSSES, MOMENTS, Schedule, UNITS, WITHOUT_END};
use crate::document::{self, Budget, Document};
use crate::finding::{On, Pointer, Severity, Span};
use crate::landscape::Target;
use crate::landscape::nearest::nearest;
use crate::sim::actors;
use crate::sim::fault::{ALWAYS, Fault, Matching, Rule, Unit, VERBS};

/// What is wrong with a schedule, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line:column`; the file alone where the place is not known.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.help)
    }
}

/// The faults with their own fields.
const FAULTS: &[(&str, &[&str])] = &[
    ("latency", &["by"]),
    ("refuse", &["status", "retryAfter"]),
    ("cut", &["at"]),
    ("shortList", &["items", "status"]),
    ("loseWatches", &["how"]),
    ("duplicate", &[]),
    ("reorder", &[]),
    ("expire", &[]),
    ("clock", &["by"]),
    ("crash", &["actor"]),
];
/// The fields that every rule has.
const COMMON: &[&str] = &["fault", "cluster", "of", "after", "times"];
/// The longest delay or jump: a typing error beyond it.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// The largest count: a typing error beyond it.
const MOST: u64 = 1_000_000_000;

pub(super) fn schedule(name: &str, text: &str) -> Result<Schedule, Vec<Mistake>> {
    let parsed = document::parse(&name.into(), text.as_bytes(), &Budget::default());
    let unreadable: Vec<Mistake> = parsed
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| Mistake {
            place: at(name, finding.places.first().and_then(|place| place.span)),
            what: finding.message.clone(),
            help: finding.help.clone().unwrap_or_else(|| "a schedule is one YAML document".to_owned()),
        })
        .collect();
    if !unreadable.is_empty() {
        return Err(unreadable);
    }
    let Some(document) = parsed.documents.first() else {
        let help = format!("write `apiVersion: {}`, `kind: {}` and the list `faults`", HEAD.0, HEAD.1);
        return Err(vec![Mistake { place: name.to_owned(), what: "there is no schedule in it".to_owned(), help }]);
    };
    let mut reader = Reader { name, document, mistakes: Vec::new() };
    if let Some(second) = parsed.documents.get(1) {
        let place = second.place(&Pointer::root(), On::Value).span;
        let help = "put all faults into the list of one document".to_owned();
        let mistake = Mistake { place: at(name, place), what: "there is a second document".to_owned(), help };
        reader.mistakes.push((place.map(|span| span.start), mistake));
    }
    let rules = reader.rules();
    let mut mistakes = reader.mistakes;
    if mistakes.is_empty() {
        return Ok(Schedule { rules });
    }
    mistakes.sort_by_key(|(start, _)| *start);
    Err(mistakes.into_iter().map(|(_, mistake)| mistake).collect())
}

fn at(name: &str, span: Option<Span>) -> String {
    span.map_or_else(|| name.to_owned(), |span| format!("{name}:{}:{}", span.line, span.column))
}

struct Reader<'a> {
    name: &'a str,
    document: &'a Document,
    /// With where they begin.
    mistakes: Vec<(Option<usize>, Mistake)>,
}

impl<'a> Reader<'a> {
    fn wrong(&mut self, pointer: &Pointer, on: On, what: impl Into<String>, help: impl Into<String>) {
        let span = self.document.place(pointer, on).span;
        let mistake = Mistake { place: at(self.name, span), what: what.into(), help: help.into() };
        self.mistakes.push((span.map(|span| span.start), mistake));
    }

    fn value(&self, pointer: &Pointer) -> Option<&'a Value> {
        self.document.value().pointer(pointer.as_str())
    }

    /// Whether there is a map, with known fields only.
    fn map(&mut self, pointer: &Pointer, known: &[&str]) -> bool {
        let Some(map) = self.value(pointer).and_then(Value::as_object) else {
            let what = format!("{} is no map", called(pointer));
            self.wrong(pointer, On::Value, what, format!("its fields are {}", listed(known)));
            return false;
        };
        for field in map.keys().filter(|field| !known.contains(&field.as_str())) {
            let help = match nearest(field, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "take it out: there are no fields".to_owned(),
                None => format!("its fields are {}", listed(known)),
            };
            self.wrong(&pointer.key(field), On::Key, format!("unknown field `{field}` in {}", called(pointer)), help);
        }
        true
    }

    fn text(&mut self, pointer: &Pointer, help: &str) -> Option<&'a str> {
        match self.value(pointer)? {
            Value::String(text) if !text.is_empty() => Some(text),
            other => {
                self.wrong(pointer, On::Value, format!("{} is {}, no name", called(pointer), shown(other)), help);
                None
            }
        }
    }

    fn number(&mut self, pointer: &Pointer, least: u64, most: u64, help: &str) -> Option<u64> {
        let value = self.value(pointer)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let what = format!("{} is {}, no whole number from {least} to {most}", called(pointer), shown(value));
            self.wrong(pointer, On::Value, what, help);
        }
        number
    }

    fn duration(&mut self, pointer: &Pointer) -> Option<Duration> {
        let value = self.value(pointer)?;
        let read = value.as_str().and_then(duration).filter(|by| !by.is_zero() && *by <= LONGEST);
        if read.is_none() {
            let what = format!("{} is {}, no duration from 1ms to a year", called(pointer), shown(value));
            self.wrong(pointer, On::Value, what, "write a number and one of the units ms, s, m, h, such as 250ms");
        }
        read
    }

    fn one_of<T: Copy>(&mut self, pointer: &Pointer, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.value(pointer)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("{} is {}", called(pointer), shown(value));
            self.wrong(pointer, On::Value, what, format!("it is one of {}", listed(&known)));
        }
        found.map(|(_, value)| *value)
    }

    fn rules(&mut self) -> Vec<Rule> {
        let root = Pointer::root();
        if !self.map(&root, &["apiVersion", "kind", "faults"]) {
            return Vec::new();
        }
        for (field, wanted) in [("apiVersion", HEAD.0), ("kind", HEAD.1)] {
            let pointer = root.key(field);
            match self.value(&pointer) {
                Some(Value::String(given)) if given == wanted => {}
                Some(other) => {
                    let what = format!("`{field}` is {}", shown(other));
                    self.wrong(&pointer, On::Value, what, format!("write `{field}: {wanted}`"));
                }
                None => self.wrong(&root, On::Value, format!("there is no `{field}`"), format!("write `{field}: {wanted}`")),
            }
        }
        let list = root.key("faults");
        let count = match self.value(&list) {
            Some(Value::Array(items)) => items.len(),
            Some(other) => {
                let what = format!("`faults` is {}, no list", shown(other));
                self.wrong(&list, On::Value, what, "write one entry for each fault, each begins with `- fault:`");
                0
            }
            None => {
                self.wrong(&root, On::Value, "there is no list `faults`", "write `faults: []` for none");
                0
            }
        };
        (0..count).filter_map(|index| self.rule(&list.index(index))).collect()
    }

    fn rule(&mut self, here: &Pointer) -> Option<Rule> {
        if !self.value(here).is_some_and(Value::is_object) {
            self.map(here, COMMON);
            return None;
        }
        let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
        let of_kind = here.key("fault");
        let Some(kind) = self.value(&of_kind) else {
            self.wrong(
                here,
                On::Value,
                format!("{} does not say which fault", called(here)),
                format!("`fault` is one of {}", listed(&names)),
            );
            return None;
        };
        let Some((name, own)) = FAULTS.iter().find(|(name, _)| kind == name) else {
            let near = kind.as_str().and_then(|word| nearest(word, names.iter().copied()));
            let help = near.map_or_else(|| format!("faults are {}", listed(&names)), |near| format!("did you mean `{near}`?"));
            self.wrong(&of_kind, On::Value, format!("there is no fault {}", shown(kind)), help);
            return None;
        };
        let known: Vec<&str> = COMMON.iter().chain(own.iter()).copied().collect();
        self.map(here, &known);
        let required: Vec<&&str> = own.iter().filter(|field| **field != "retryAfter").collect();
        let missing: Vec<&&str> = required.into_iter().filter(|field| self.value(&here.key(field)).is_none()).collect();
        for field in &missing {
            self.wrong(here, On::Value, format!("{name} has no `{field}`"), format!("add `{field}`"));
        }
        let fault = if missing.is_empty() { self.fault(here, name) } else { None };
        let unit = match *name {
            "duplicate" | "reorder" => Unit::Event,
            "crash" => Unit::Write,
            _ => Unit::Request,
        };
        let of = self.matching(&here.key("of"), name, unit);
        let cluster = self.cluster(&here.key("cluster"));
        let after = self.number(&here.key("after"), 0, MOST, "so many go by before the first is struck").unwrap_or(0);
        let times = self.times(&here.key("times"));
        Some(Rule { cluster, of, after, times, fault: fault? })
    }

    fn fault(&mut self, here: &Pointer, name: &str) -> Option<Fault> {
        const STATUS: &str = "a refusal is 409, 410, 429, 500, 503, 504 or another status of errors";
        let status = here.key("status");
        Some(match name {
            "latency" => Fault::Latency { by: self.duration(&here.key("by"))? },
            "refuse" => {
                let code = u16::try_from(self.number(&status, 400, 599, STATUS)?).ok()?;
                let wait = here.key("retryAfter");
                let retry_after = self.number(&wait, 1, 3_600, "it is in seconds").and_then(|n| u32::try_from(n).ok());
                if retry_after.is_some() && code != 429 && code < 500 {
                    let what = format!("nobody who is refused with {code} is told to come back");
                    self.wrong(&wait, On::Key, what, "`retryAfter` goes with status 429 and 5xx: take it out");
                    return None;
                }
                Fault::Refuse { status: code, retry_after }
            }
            "cut" => Fault::Cut { at: self.one_of(&here.key("at"), MOMENTS)? },
            "shortList" => {
                let items = self.number(&here.key("items"), 0, 1_000_000, "so many items are listed before the end");
                let code = self.number(&status, 400, 599, "a request that goes on is refused with 410 or 5xx");
                Fault::ShortList { items: usize::try_from(items?).ok()?, status: u16::try_from(code?).ok()? }
            }
            "loseWatches" => Fault::LoseWatches { how: self.one_of(&here.key("how"), LOSSES)? },
            "duplicate" => Fault::Duplicate,
            "reorder" => Fault::Reorder,
            "expire" => Fault::Expire,
            "clock" => Fault::Clock { by: self.duration(&here.key("by"))? },
            "crash" => {
                let known = actors::names();
                let pointer = here.key("actor");
                let actor = self.text(&pointer, "write the name of a simulated controller")?;
                if !known.contains(&actor) {
                    let near = nearest(actor, known.iter().copied());
                    let help = near.map_or_else(|| format!("there are {}", listed(&known)), |n| format!("did you mean `{n}`?"));
                    self.wrong(&pointer, On::Value, format!("there is no simulated controller `{actor}`"), help);
                    return None;
                }
                Fault::Crash { actor: actor.to_owned() }
            }
            _ => return None,
        })
    }

    fn matching(&mut self, here: &Pointer, fault: &str, unit: Unit) -> Matching {
        if self.value(here).is_none() || !self.map(here, &["user", "verb", "kind", "namespace"]) {
            return Matching::default();
        }
        let mut name = |field: &str| {
            let help = "write a name, or leave the field out for all";
            self.text(&here.key(field), help).map(str::to_owned)
        };
        let (user, verb) = (name("user"), name("verb"));
        let (kind, namespace) = (name("kind"), name("namespace"));
        if let Some(verb) = &verb {
            let help = match (unit, fault) {
                (Unit::Request, "shortList") => Some("short lists are for `list`: take it out"),
                (Unit::Request, _) => None,
                (Unit::Event, _) => Some("it counts events, which have no verb: take it out"),
                (Unit::Write, _) => Some("it counts writes of any verb: take it out"),
            };
            if let Some(help) = help {
                self.wrong(&here.key("verb"), On::Key, format!("{fault} is of no verb"), help);
            } else if !VERBS.contains(&verb.as_str()) {
                let help = format!("verbs are {}", listed(VERBS));
                self.wrong(&here.key("verb"), On::Value, format!("there is no verb `{verb}`"), help);
            }
        }
        if user.is_some() && unit == Unit::Write {
            self.wrong(&here.key("user"), On::Key, "crash is of no user", "the controller is the `actor`: take it out");
        }
        Matching { user, verb, kind, namespace }
    }

    fn cluster(&mut self, here: &Pointer) -> Option<String> {
        const HELP: &str = "write garden or seed-NAME, or leave it out for every cluster";
        let name = self.text(here, HELP)?;
        if name.parse::<Target>().is_err() {
            self.wrong(here, On::Value, format!("`{name}` is no cluster's name"), HELP);
        }
        Some(name.to_owned())
    }

    fn times(&mut self, here: &Pointer) -> u64 {
        match self.value(here) {
            Some(Value::String(word)) if word == WITHOUT_END => ALWAYS,
            Some(_) => {
                let help = format!("write how many are struck, or `{WITHOUT_END}`; a fault that never strikes is left out");
                self.number(here, 1, MOST, &help).unwrap_or(1)
            }
            None => 1,
        }
    }
}

/// A duration of one unit.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, size) = UNITS.iter().find(|(known, _)| *known == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size).map(Duration::from_millis)
}

/// How a field is called in a sentence.
fn called(pointer: &Pointer) -> String {
    if pointer.as_str().is_empty() { "the schedule".to_owned() } else { format!("`{}`", pointer.field()) }
}

fn listed(words: &[&str]) -> String {
    words.join(", ")
}

/// A value in a sentence: short, whatever it is.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::String(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
