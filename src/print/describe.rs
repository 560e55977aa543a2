//! One object of a landscape on a page, as `kubectl describe` shows objects: what is written, how it stands, and what it waits for.

use serde_json::{Value, json};

use super::drift::ObjectDrift;
use super::preview::shown;
use super::table;
use crate::landscape::Owner;
use crate::observed::garden_key;

/// Everything that is told of an object.
#[derive(Debug)]
pub struct Description {
    /// Which.
    pub owner: Owner,
    /// Where it is written, as `file:line:column`; `None` if it is written nowhere.
    pub place: Option<String>,
    /// The commit that wrote its file last: id, author, subject, seconds since the epoch.
    pub written: Option<(String, String, String, i64)>,
    /// The commit that its accepted spec came from.
    pub accepted: Option<String>,
    /// The seed that it is on.
    pub seed: Option<String>,
    /// How it stands, in a word, and why.
    pub standing: (String, String),
    /// What is written, in a few words: names and values.
    pub spec: Vec<(String, String)>,
    /// Its status in Gardener's shape; null if there is none.
    pub status: Value,
    /// Its components: name, cluster, state, why.
    pub components: Vec<[String; 4]>,
    /// What it waits for.
    pub waits: Vec<String>,
    /// What is said against it or to it: severity, code, message, place.
    pub findings: Vec<[String; 4]>,
    /// Its objects that are not as they were written; `None` if nobody looked.
    pub drift: Option<Vec<ObjectDrift>>,
    /// What happened lately: time, type, reason, message; oldest first.
    pub events: Vec<[String; 4]>,
    /// Operations about it: name, state, message.
    pub operations: Vec<[String; 3]>,
    /// What the above was read from.
    pub source: String,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
    /// The time, in seconds since the epoch.
    pub now: i64,
}

impl Description {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        let key = garden_key(&self.owner);
        page.line("Name", &self.owner.name);
        if !self.owner.project.is_empty() {
            page.line("Project", &self.owner.project);
            page.line("Namespace", &key.namespace);
        }
        page.line("Kind", &format!("{} ({})", self.owner.kind, self.owner.kind.api_version()));
        page.line("Written at", self.place.as_deref().unwrap_or("nowhere: it is in the garden alone"));
        if let Some((id, author, subject, at)) = &self.written {
            let age = table::age(self.now - at);
            page.line("Changed by", &format!("{id} {author}, {age} ago: {subject}"));
        }
        page.line("Accepted", self.accepted.as_deref().unwrap_or("never"));
        if let Some(seed) = &self.seed {
            page.line("Seed", seed);
        }
        let (standing, why) = &self.standing;
        page.line("Standing", &if why.is_empty() { standing.clone() } else { format!("{standing}: {why}") });
        self.spec.iter().for_each(|(name, value)| page.line(name, value));
        self.operation(&mut page);
        page.conditions("Conditions", &self.status, "/conditions", self.now);
        page.conditions("Constraints", &self.status, "/constraints", self.now);
        page.table("Last errors", &["TIME", "CODES", "DESCRIPTION"], self.errors());
        page.list("Waits for", &self.waits);
        page.table("Components", &["NAME", "CLUSTER", "STATE", "WHY"], self.components.iter().map(|c| c.to_vec()).collect());
        page.table("Findings", &["SEVERITY", "CODE", "MESSAGE", "PLACE"], self.findings.iter().map(|f| f.to_vec()).collect());
        if let Some(drift) = &self.drift {
            page.table("Drift", &["OBJECT", "FIELD", "GIT", "LIVE", "CAUSE", "BY"], drift.iter().flat_map(drifted).collect());
        }
        page.table("Operations", &["NAME", "STATE", "MESSAGE"], self.operations.iter().map(|o| o.to_vec()).collect());
        page.table("Events", &["TIME", "TYPE", "REASON", "MESSAGE"], self.events.iter().map(|e| e.to_vec()).collect());
        page.line("Read from", &self.source);
        page.out
    }

    fn operation(&self, page: &mut Page) {
        let text = |key: &str| self.status.pointer(&format!("/lastOperation/{key}")).and_then(Value::as_str).unwrap_or_default();
        if text("type").is_empty() {
            return;
        }
        let progress = self.status.pointer("/lastOperation/progress").and_then(Value::as_i64).unwrap_or_default();
        page.line("Operation", &format!("{} {}, {progress} %, {}", text("type"), text("state"), text("lastUpdateTime")));
        page.line("Progress", text("description"));
    }

    fn errors(&self) -> Vec<Vec<String>> {
        let errors = self.status.get("lastErrors").and_then(Value::as_array).into_iter().flatten();
        let row = |error: &Value| {
            let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let codes = error.get("codes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            vec![text("lastUpdateTime"), codes.collect::<Vec<_>>().join(","), text("description")]
        };
        errors.map(row).collect()
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let texts = |names: &[&str], row: &[String]| -> Value {
            names
                .iter()
                .zip(row)
                .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let written = self
            .written
            .as_ref()
            .map(|(id, author, subject, at)| json!({ "commit": id, "author": author, "subject": subject, "at": at }));
        json!({
            "owner": self.owner,
            "place": self.place,
            "written": written,
            "acceptedRevision": self.accepted,
            "seed": self.seed,
            "standing": self.standing.0,
            "why": self.standing.1,
            "status": self.status,
            "waitsFor": self.waits,
            "components": self.components.iter().map(|c| texts(&["name", "cluster", "state", "why"], c)).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(|f| texts(&["severity", "code", "message", "at"], f)).collect::<Vec<_>>(),
            "drift": self.drift,
            "operations": self.operations.iter().map(|o| texts(&["name", "state", "message"], o)).collect::<Vec<_>>(),
            "events": self.events.iter().map(|e| texts(&["time", "type", "reason", "message"], e)).collect::<Vec<_>>(),
            "source": self.source,
            "notes": self.notes,
        })
    }
}

fn drifted(object: &ObjectDrift) -> Vec<Vec<String>> {
    if object.missing {
        return vec![[object.object.as_str(), "", "", "is gone", "other", ""].map(str::to_owned).to_vec()];
    }
    let fields = object.fields.iter().map(|field| {
        let values = if field.secret {
            [String::new(), "changed (secret)".to_owned()]
        } else {
            [shown(field.desired.as_ref()), shown(field.observed.as_ref())]
        };
        let [git, live] = values;
        let by = [field.manager.as_deref(), field.since.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
        vec![object.object.clone(), one_line(&field.field), git, live, field.cause.word().to_owned(), one_line(&by)]
    });
    fields.collect()
}

/// A text on one line, with nothing in it that a terminal would act upon.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A page that is being written.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.out.push_str(&format!("{:14}{}\n", format!("{name}:"), one_line(value)));
        }
    }

    fn list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            self.out.push_str(&format!("{name}:\n"));
            self.out.extend(values.iter().map(|value| format!("  {}\n", one_line(value))));
        }
    }

    fn table(&mut self, name: &str, head: &[&str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
            self.out.push_str(&format!("{name}:\n"));
            self.out.extend(table::table(head, &rows, true).lines().map(|line| format!("  {line}\n")));
        }
    }

    fn conditions(&mut self, name: &str, status: &Value, pointer: &str, now: i64) {
        let list = status.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        let rows = list.map(|condition| {
            let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let since = text("lastTransitionTime").parse::<jiff::Timestamp>();
            let since = since.map_or_else(|_| "-".to_owned(), |at| table::age(now - at.as_second()));
            vec![text("type"), text("status"), since, text("reason"), text("message")]
        });
        self.table(name, &["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"], rows.collect());
    }
}
