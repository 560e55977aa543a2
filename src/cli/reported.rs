//! What the status branch says: read for people, never as an input to an apply.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Context, read};
use crate::document::{self, Budget};
use crate::git::{self, Repo};
use crate::landscape::{Kind, Owner};
use crate::plan::when;
use crate::snapshot::Revision;

/// The status branch at its tip; empty if there is none.
#[derive(Default)]
pub(super) struct Reported {
    /// Its tip.
    pub(super) commit: Option<Revision>,
    /// The commit that it is about.
    pub(super) reconciled: Option<Revision>,
    /// One document per owner.
    pub(super) files: BTreeMap<Owner, Value>,
}

impl Reported {
    /// Reads the branch of a landscape. Without a repository there is nothing to read.
    pub(super) async fn read(context: &Context, landscape: &str) -> anyhow::Result<(Option<Repo>, Self)> {
        let Ok(repo) = read::repository(&context.settings).await else { return Ok((None, Self::default())) };
        let reported = Self::of(&repo, landscape).await?;
        Ok((Some(repo), reported))
    }

    /// Reads the branch of a landscape in a repository that is open, as it was fetched last.
    pub(super) async fn of(repo: &Repo, landscape: &str) -> anyhow::Result<Self> {
        let reference = git::status_reference(landscape);
        let Some(commit) = repo.resolve(&reference).await? else { return Ok(Self::default()) };
        let tip = repo.log(&commit, None, 1).await?;
        let reconciled = tip.first().and_then(|c| c.trailer(git::RECONCILED_TRAILER)).map(|r| Revision(r.to_owned()));
        let mut files = BTreeMap::new();
        for (path, text) in repo.read_tree(&reference).await? {
            if !path.as_str().ends_with(".status.yaml") {
                continue;
            }
            let parsed = document::parse(&path, text.as_bytes(), &Budget::default());
            for document in &parsed.documents {
                if let Some(owner) = document.value().get("for").and_then(Value::as_str).and_then(owner) {
                    files.insert(owner, document.value().clone());
                }
            }
        }
        Ok(Self { commit: Some(commit), reconciled, files })
    }

    /// Where shoots are.
    pub(super) fn placed(&self) -> BTreeMap<Owner, String> {
        let seed = |value: &Value| value.get("seed").and_then(Value::as_str).map(str::to_owned);
        let shoots = self.files.iter().filter(|(owner, _)| owner.kind == Kind::Shoot);
        shoots.filter_map(|(owner, value)| Some((owner.clone(), seed(value)?))).collect()
    }

    /// The word for how an owner stands.
    pub(super) fn standing(&self, owner: &Owner) -> &str {
        self.files.get(owner).and_then(|f| f.get("standing")).and_then(Value::as_str).unwrap_or("unknown")
    }

    /// A field of an owner's file.
    pub(super) fn text(&self, owner: &Owner, pointer: &str) -> &str {
        self.files.get(owner).and_then(|f| f.pointer(pointer)).and_then(Value::as_str).unwrap_or_default()
    }

    /// The maintenance window that an owner waits for, and for how long yet: `maintenance window …, in 3 h 12 min`.
    pub(super) fn waits(&self, owner: &Owner, now: Timestamp) -> Option<String> {
        let window = self.text(owner, "/waits/for");
        if window.is_empty() {
            return None;
        }
        let until = self.text(owner, "/waits/until").parse::<Timestamp>().ok().filter(|until| *until > now);
        let seconds = until.map(|until| until.as_second().saturating_sub(now.as_second()));
        Some(seconds.map_or_else(|| window.to_owned(), |seconds| format!("{window}, in {}", when::wait(seconds))))
    }

    /// Why an owner is not as wanted, in a line.
    pub(super) fn why(&self, owner: &Owner) -> String {
        let Some(file) = self.files.get(owner) else { return String::new() };
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut findings = file.get("findings").and_then(Value::as_array).into_iter().flatten();
        if let Some(error) = findings.find(|f| f.get("severity").and_then(Value::as_str) == Some("error")) {
            let at = text(error, "at");
            let at = if at.is_empty() { at } else { format!("{at}: ") };
            return format!("{at}{} ({})", text(error, "message"), text(error, "code"));
        }
        let not_scheduled = text(file, "notScheduled");
        if !not_scheduled.is_empty() {
            return format!("not scheduled: {not_scheduled}");
        }
        if let Some(error) = file.pointer("/status/lastErrors/0/description").and_then(Value::as_str) {
            return error.to_owned();
        }
        let components = file.get("components").and_then(Value::as_object).into_iter().flatten();
        let bad = |state: &str| ["failed", "held"].iter().any(|word| state.starts_with(word));
        for (name, state) in components {
            if let Some(state) = state.as_str().filter(|s| bad(s)) {
                return format!("{name} {state}");
            }
        }
        if let Some(window) = file.pointer("/waits/for").and_then(Value::as_str) {
            return format!("waits for {window}");
        }
        file.pointer("/status/lastOperation/description").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// `Shoot shop/prod` back to the owner that prints so.
pub(super) fn owner(text: &str) -> Option<Owner> {
    let (kind, key) = text.split_once(' ')?;
    let kind = Kind::ALL.iter().copied().find(|k| k.name() == kind)?;
    Some(match key.split_once('/') {
        Some((project, name)) => Owner::project(kind, project, name),
        None => Owner::cluster(kind, key),
    })
}
