//! What a rollback takes back, what it leaves and why, and where the commits are: for people in 80 columns, and as JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use super::preview::shown;
use super::snippet;
use super::table::count;
use crate::finding::Finding;
use crate::landscape::{Kind, Owner};
use crate::plan::revert::Revert;
use crate::snapshot::{RepoPath, Revision};

mod document;

pub use document::{json, schema};

/// One thing that a rollback would take back: a field of an object that was changed, or an object that came or went.
#[derive(Debug, Clone)]
pub struct Reversal {
    /// The object.
    pub owner: Owner,
    /// The field; `None` for the object as a whole.
    pub field: Option<String>,
    /// What is there now; `None` if nothing is.
    pub before: Option<Value>,
    /// What would be there after it.
    pub after: Option<Value>,
    /// What taking it back does.
    pub revert: Revert,
    /// Whether it is taken back.
    pub taken: bool,
    /// What becomes of it, or why it is left.
    pub note: String,
}

/// What is rolled back.
#[derive(Debug, Clone)]
pub enum Undone {
    /// A commit: its id and subject, and whether it is a merge.
    Commit(Revision, String, bool),
    /// All that came after a commit.
    Since(Revision),
}

/// A rollback that was made, or could not be.
#[derive(Debug)]
pub struct Rollback {
    /// The landscape.
    pub landscape: String,
    /// The branch that it is rolled back on, and its tip.
    pub onto: (String, Revision),
    /// What is taken back.
    pub undone: Undone,
    /// Only these objects; empty for all.
    pub only: Vec<Owner>,
    /// Everything that was looked at, taken back or not.
    pub reversals: Vec<Reversal>,
    /// Files of the commit that are no part of the landscape.
    pub outside: Vec<RepoPath>,
    /// Errors that belong to no object and stand in the way.
    pub troubles: Vec<Finding>,
    /// The commits that were made, oldest first, with their subjects.
    pub commits: Vec<(Revision, String)>,
    /// The branch that has them; `None` if none was moved.
    pub branch: Option<String>,
    /// Whether only to look.
    pub dry_run: bool,
    /// What to do next.
    pub next: Vec<String>,
}

impl Rollback {
    /// How many reversals are of each verdict.
    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for reversal in &self.reversals {
            *counts.entry(reversal.revert.word()).or_default() += 1;
        }
        counts
    }

    /// Whether anything is left as it is.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.reversals.iter().any(|reversal| !reversal.taken)
    }
}

/// The verdicts in the order in which they are told.
const ORDER: [&str; 5] = ["clean", "costs", "refused", "deletes", "not-a-restore"];

/// So many reversals are told one by one; JSON has all.
const TOLD: usize = 40;

/// For people.
#[must_use]
pub fn text(rollback: &Rollback) -> String {
    let (onto, tip) = &rollback.onto;
    let what = match &rollback.undone {
        Undone::Commit(revision, subject, _) => format!("{} \"{}\"", revision.short(), subject.escape_debug()),
        Undone::Since(revision) => format!("to {}", revision.short()),
    };
    let mut out = String::new();
    let only = rollback.only.iter().map(named).collect::<Vec<_>>().join(", ");
    let only = if only.is_empty() { only } else { format!("{only}: ") };
    wrap(&mut out, "", &format!("Rollback {only}{what} on {onto} at {}", tip.short()));
    if let Undone::Commit(_, _, true) = rollback.undone {
        out.push_str("It is a merge; it is taken back against its first parent.\n");
    }
    for finding in &rollback.troubles {
        wrap(&mut out, "  ", &snippet::headline(finding));
    }
    if rollback.reversals.is_empty() && rollback.commits.is_empty() && rollback.troubles.is_empty() {
        out.push_str(match rollback.undone {
            Undone::Commit(..) => "Nothing to take back: the branch is as if it had never been.\n",
            Undone::Since(_) => "Nothing to take back: it is as it was then.\n",
        });
        return out;
    }
    let counts = rollback.counts();
    let words: Vec<String> = ORDER.iter().filter_map(|word| counts.get(word).map(|n| format!("{n} {word}"))).collect();
    if words.is_empty() {
        out.push_str("No object of the landscape changes.\n");
    } else {
        out.push_str(&format!("Checked {}: {}\n", count(rollback.reversals.len(), "reversal"), words.join(" · ")));
    }
    let worth = |reversal: &&Reversal| !(reversal.taken && reversal.revert == Revert::Clean && reversal.note.is_empty());
    let mut told: Vec<&Reversal> = rollback.reversals.iter().filter(worth).collect();
    let rank = |reversal: &Reversal| ORDER.iter().position(|word| *word == reversal.revert.word());
    told.sort_by_key(|reversal| (reversal.taken, std::cmp::Reverse(rank(reversal))));
    for reversal in told.iter().take(TOLD) {
        let values = match (&reversal.before, &reversal.after) {
            (None, None) => String::new(),
            (before, after) => format!(" {} → {}", shown(before.as_ref()), shown(after.as_ref())),
        };
        let field = reversal.field.as_ref().map(|field| format!(" {field}")).unwrap_or_default();
        let word = reversal.revert.word();
        let head = format!("  {word:<8} ");
        wrap(&mut out, &head, &format!("{}{field}{values}", named(&reversal.owner)));
        if !reversal.note.is_empty() {
            wrap(&mut out, &" ".repeat(head.len()), &reversal.note);
        }
    }
    if told.len() > TOLD {
        out.push_str(&format!("  and {} more; -o json has all\n", told.len() - TOLD));
    }
    if !rollback.outside.is_empty() {
        let files = count(rollback.outside.len(), "file");
        wrap(&mut out, "", &format!("{files} outside the landscape, not checked: {}", listed(&rollback.outside)));
    }
    let verb = if rollback.dry_run { "Would create" } else { "Created" };
    match rollback.commits.len() {
        0 => out.push_str("Nothing was created: no part of it can be taken back as it is.\n"),
        n => {
            let branch = rollback.branch.as_deref().unwrap_or("nothing");
            let fix_up = if n > 1 { format!(" + 1 fix-up commit (keeps {})", kept(rollback)) } else { String::new() };
            wrap(&mut out, "", &format!("{verb} {branch}: 1 revert commit{fix_up}."));
        }
    }
    for line in &rollback.next {
        wrap(&mut out, "Next: ", line);
    }
    out
}

/// A shoot as people name it, anything else with its kind.
#[must_use]
pub fn named(owner: &Owner) -> String {
    if owner.kind == Kind::Shoot { owner.key() } else { owner.to_string() }
}

/// What the second commit keeps, in short.
fn kept(rollback: &Rollback) -> String {
    const MOST: usize = 3;
    let left = || rollback.reversals.iter().filter(|reversal| !reversal.taken);
    let name = |reversal: &Reversal| match &reversal.field {
        Some(field) => format!("{} {field}", named(&reversal.owner)),
        None => named(&reversal.owner),
    };
    let mut names: Vec<String> = left().take(MOST).map(name).collect();
    if left().count() > MOST {
        names.push(format!("{} more", left().count() - MOST));
    }
    names.join(", ")
}

fn listed(paths: &[RepoPath]) -> String {
    const MOST: usize = 3;
    let mut names: Vec<&str> = paths.iter().take(MOST).map(RepoPath::as_str).collect();
    if paths.len() > MOST {
        names.push("…");
    }
    names.join(", ")
}

/// Adds a text in lines of at most 80 columns, the first one led by `lead` and the others by as much room.
fn wrap(out: &mut String, lead: &str, text: &str) {
    const WIDTH: usize = 80;
    let indent = lead.chars().count();
    let (mut line, mut empty) = (lead.to_owned(), true);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let room = line.chars().count() + usize::from(!empty) + word.chars().count();
        if !empty && room > WIDTH {
            out.push_str(&format!("{}\n", line.trim_end()));
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&format!("{}\n", line.trim_end()));
    if out.contains('\u{a0}') {
        *out = out.replace('\u{a0}', " ");
    }
}
