//! What became of the objects of a landscape and when: commits and reports in one line of time, for people in 80 columns, and as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::json::{API_VERSION, published};
use super::origin::{Bounded, short};
use super::preview::shown;
use super::table::{count, line};
use crate::landscape::Owner;
use crate::plan::impact::Mark;

/// What became of objects of a landscape, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The landscape's name.
    pub landscape: String,
    /// The commit that it begins at.
    pub revision: String,
    /// The tip of the status branch; null if nothing was reported.
    pub status_commit: Option<String>,
    /// Only these objects; empty for all.
    pub selectors: Vec<String>,
    /// Commits and reports, newest first.
    pub entries: Vec<Entry>,
    /// Why it does not go back to the beginning; null if it does.
    pub bounded: Option<Bounded>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Entry {
    /// A commit of the landscape's branch.
    Commit {
        /// The commit.
        commit: String,
        /// When (RFC 3339).
        at: String,
        /// Its author's name.
        author: String,
        /// First line of its message.
        subject: String,
        /// The commits that it says it takes back.
        reverts: Vec<String>,
        /// Later commits that say they take it back.
        reverted_by: Vec<String>,
        /// The landscape and commit that it was promoted from; null if it was not.
        promoted_from: Option<String>,
        /// Policies, templates and schemas that it changed, if all objects were asked for.
        overlays: Vec<String>,
        /// What it did to objects.
        objects: Vec<Done>,
    },
    /// A commit of the status branch.
    Report {
        /// The commit.
        commit: String,
        /// When (RFC 3339).
        at: String,
        /// The commit of the landscape that it is about; null if it does not say.
        reconciled: Option<String>,
        /// The digest of the plan that was carried out; null if that commit changed nothing.
        plan: Option<String>,
        /// The objects that stand otherwise than before.
        objects: Vec<Stood>,
    },
}

/// What a commit did to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// The object.
    pub owner: Owner,
    /// What was done.
    pub action: Deed,
    /// Its file since; before it went, if it is gone.
    pub path: String,
    /// Its file before, if that was another one; null if not.
    pub moved_from: Option<String>,
    /// The fields that differ, as written; empty if it is new or gone.
    pub fields: Vec<Field>,
    /// The worst that this did, by what is written and the defaults of its kind.
    pub worst: Mark,
    /// What became of it.
    pub verdict: Verdict,
    /// The codes of the findings for which it is held.
    pub codes: Vec<String>,
    /// How it was rolled out; null if that was not reported.
    pub rollout: Option<Rollout>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// It is new.
    Create,
    /// It differs.
    Update,
    /// Its file has another path, and nothing else differs.
    Move,
    /// It is gone from Git.
    Delete,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Its name as people say it, list items by name: `provider.workers[cpu].maximum`.
    pub field: String,
    /// Before; null if it was absent.
    pub before: Option<Value>,
    /// After; null if it goes.
    pub after: Option<Value>,
}

/// What became of a change of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was taken up.
    Accepted,
    /// It was not: its object stayed as it was.
    Held,
    /// Nothing was reported about it.
    Unreported,
}

/// How a change was rolled out, by what was reported until the next change of the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// The first report about it (RFC 3339); null if that is older than the reports looked at.
    pub started: Option<String>,
    /// The first report that says the object is ready, or gone (RFC 3339); null if there is none.
    pub done: Option<String>,
    /// How the object stood last: ready, progressing, held, failed, deleting, gone.
    pub result: String,
}

/// How an object stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stood {
    /// The object.
    pub owner: Owner,
    /// How it stood before; null if nothing was said of it.
    pub before: Option<String>,
    /// How it stands: ready, progressing, held, failed, deleting, gone.
    pub standing: String,
    /// The commit that its accepted spec came from; null if none was accepted.
    pub accepted: Option<String>,
    /// The codes of its errors.
    pub codes: Vec<String>,
}

impl History {
    /// The kind of the document.
    pub const KIND: &'static str = "History";
}

/// The JSON Schema of a history.
#[must_use]
pub fn schema() -> Value {
    published::schema::<History>(History::KIND)
}

/// As JSON.
#[must_use]
pub fn json(history: &History) -> Value {
    serde_json::to_value(history).unwrap_or(Value::Null)
}

/// As JSON in lines: first what was asked, with the version; then each entry; last why it ends. Each line says its `type`.
#[must_use]
pub fn jsonl(history: &History) -> String {
    let Value::Object(mut head) = json(history) else { return String::new() };
    let entries = head.remove("entries").unwrap_or_default();
    let bounded = head.remove("bounded").unwrap_or_default();
    head.insert("type".into(), "history".into());
    head.insert("apiVersion".into(), API_VERSION.into());
    let mut lines = vec![Value::Object(head)];
    lines.extend(entries.as_array().into_iter().flatten().cloned());
    lines.push(json!({ "type": "end", "bounded": bounded }));
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

impl Deed {
    const fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Move => '→',
            Self::Delete => '-',
        }
    }
}

/// So many objects of an entry, and fields of an object, are told one by one; JSON has all.
const OBJECTS: usize = 8;
const FIELDS: usize = 12;

/// For people; `again` is the command that would go on where it stopped.
#[must_use]
pub fn text(history: &History, again: &str) -> String {
    let what = if history.selectors.is_empty() { "the landscape".to_owned() } else { history.selectors.join(", ") };
    let mut out = format!("History of {what} on {} at {}\n", history.landscape, short(&history.revision));
    if history.status_commit.is_none() {
        out.push_str("Nothing was reported: there is no status branch\n");
    }
    for entry in &history.entries {
        out.push('\n');
        match entry {
            Entry::Commit { commit, at, author, subject, reverts, reverted_by, promoted_from, overlays, objects } => {
                let head = format!("{}  commit {}  {}  ", day(at), short(commit), line(author, 20));
                let room = 80_usize.saturating_sub(head.chars().count()).max(20);
                out.push_str(&format!("{head}{}\n", line(subject, room)));
                let named = |ids: &[String]| ids.iter().map(|id| short(id)).collect::<Vec<_>>().join(", ");
                if !reverts.is_empty() {
                    out.push_str(&format!("    revert of {}\n", named(reverts)));
                }
                if !reverted_by.is_empty() {
                    out.push_str(&format!("    reverted by {}\n", named(reverted_by)));
                }
                if let Some(from) = promoted_from {
                    let from = from.split_once('@').map_or_else(|| from.clone(), |(name, id)| format!("{name} {}", short(id)));
                    out.push_str(&format!("    promoted from {}\n", line(&from, 60)));
                }
                for path in overlays.iter().take(OBJECTS) {
                    out.push_str(&format!("  ~ {}\n", line(path, 74)));
                }
                objects.iter().take(OBJECTS).for_each(|done| told(&mut out, done, at));
                more(&mut out, objects.len().max(overlays.len()));
            }
            Entry::Report { commit, at, reconciled, objects, .. } => {
                let about = reconciled.as_ref().map(|id| format!("  at {}", short(id))).unwrap_or_default();
                out.push_str(&format!("{}  report {}{about}\n", day(at), short(commit)));
                for stood in objects.iter().take(OBJECTS) {
                    let before = stood.before.as_ref().filter(|before| **before != stood.standing);
                    let before = before.map(|before| format!("{before} → ")).unwrap_or_default();
                    let codes = if stood.codes.is_empty() { String::new() } else { format!(": {}", stood.codes.join(", ")) };
                    out.push_str(&format!("    {}  {before}{}{codes}\n", stood.owner, stood.standing));
                }
                more(&mut out, objects.len());
            }
        }
    }
    if let Some(bounded) = &history.bounded {
        out.push_str(&format!("\n{}", bounded.text(again)));
    }
    out
}

fn more(out: &mut String, all: usize) {
    if all > OBJECTS {
        out.push_str(&format!("    and {} more; -o json has all\n", all - OBJECTS));
    }
}

fn told(out: &mut String, done: &Done, at: &str) {
    let mut words = Vec::new();
    if done.worst > Mark::None {
        words.push(format!("{}{}", if done.worst.warns() { "⚠ " } else { "" }, done.worst.word()));
    }
    words.push(match done.verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Held => format!("held: {}", done.codes.join(", ")),
        Verdict::Unreported => "not reported".to_owned(),
    });
    out.push_str(&format!("  {} {}  {}\n", done.action.sign(), done.owner, words.join(" · ")));
    if let Some(from) = &done.moved_from {
        out.push_str(&format!("      {} → {}\n", line(from, 60), line(&done.path, 60)));
    }
    for field in done.fields.iter().take(FIELDS) {
        let values = match (&field.before, &field.after) {
            (None, after) => format!("+ {}", shown(after.as_ref())),
            (before, None) => format!("- {}", shown(before.as_ref())),
            (before, after) => format!("{} → {}", shown(before.as_ref()), shown(after.as_ref())),
        };
        out.push_str(&format!("      {:36} {values}\n", line(&field.field, 72)));
    }
    if done.fields.len() > FIELDS {
        out.push_str(&format!("      and {} more\n", count(done.fields.len() - FIELDS, "field")));
    }
    if let Some(rollout) = &done.rollout {
        let same_day = |when: &str| when.get(..10) == at.get(..10);
        let moment = |when: &String| match when.get(11..) {
            Some(time) if same_day(when) => time.to_owned(),
            _ => day(when),
        };
        let started = rollout.started.as_ref().map_or_else(|| "before the reports looked at".to_owned(), moment);
        let end = match &rollout.done {
            Some(done) => format!("{} {}", rollout.result, moment(done)),
            None => rollout.result.clone(),
        };
        out.push_str(&format!("      rolled out: {started}, {end}\n"));
    }
}

/// `2026-09-21 10:02:00Z`: seconds and no more.
fn day(at: &str) -> String {
    at.replacen('T', " ", 1)
}
