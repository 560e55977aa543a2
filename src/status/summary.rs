//! `STATUS.md`: the page that a forge renders for the status branch.

use std::collections::BTreeMap;

use super::Standing;
use crate::landscape::{Kind, Owner};
use crate::snapshot::Revision;

/// One line of the page.
#[derive(Debug, Clone)]
pub struct Line {
    /// How it stands.
    pub standing: Standing,
    /// The seed, for shoots.
    pub seed: String,
    /// Kubernetes version, for shoots.
    pub version: String,
    /// What is going on, in a few words; empty if nothing is.
    pub note: String,
}

/// The page: counts first, then what needs attention, then everything by kind.
#[must_use]
pub fn summary(landscape: &str, revision: &Revision, note: Option<&str>, lines: &BTreeMap<Owner, Line>) -> String {
    let mut out = format!("# {landscape}\n\nReconciled commit `{revision}`.\n\n");
    if let Some(note) = note {
        out.push_str(&format!("> {}\n\n", escape(note)));
    }
    let mut kinds: BTreeMap<Kind, BTreeMap<Standing, usize>> = BTreeMap::new();
    for (owner, line) in lines {
        *kinds.entry(owner.kind).or_default().entry(line.standing).or_default() += 1;
    }
    out.push_str("| Kind | Ready | Progressing | Deleting | Held | Failed |\n|---|--:|--:|--:|--:|--:|\n");
    for (kind, counts) in &kinds {
        let n = |standing| counts.get(&standing).copied().unwrap_or(0);
        out.push_str(&format!(
            "| {kind} | {} | {} | {} | {} | {} |\n",
            n(Standing::Ready),
            n(Standing::Progressing),
            n(Standing::Deleting),
            n(Standing::Held),
            n(Standing::Failed)
        ));
    }
    let attention: Vec<(&Owner, &Line)> =
        lines.iter().filter(|(_, l)| matches!(l.standing, Standing::Failed | Standing::Held)).collect();
    if !attention.is_empty() {
        out.push_str("\n## Needs attention\n\n| Object | Standing | Why |\n|---|---|---|\n");
        for (owner, line) in attention {
            out.push_str(&format!("| {owner} | {} | {} |\n", line.standing.word(), escape(&line.note)));
        }
    }
    let shoots: Vec<(&Owner, &Line)> = lines.iter().filter(|(o, _)| o.kind == Kind::Shoot).collect();
    if !shoots.is_empty() {
        out.push_str("\n## Shoots\n\n| Shoot | Standing | Seed | Kubernetes | |\n|---|---|---|---|---|\n");
        for (owner, line) in shoots {
            out.push_str(&format!(
                "| {} | {} | {} | {} | {} |\n",
                owner.key(),
                line.standing.word(),
                line.seed,
                line.version,
                escape(&line.note)
            ));
        }
    }
    let operations: Vec<(&Owner, &Line)> = lines.iter().filter(|(o, _)| o.kind == Kind::Operation).collect();
    if !operations.is_empty() {
        out.push_str("\n## Operations\n\n| Operation | |\n|---|---|\n");
        for (owner, line) in operations {
            out.push_str(&format!("| {} | {} |\n", owner.key(), escape(&line.note)));
        }
    }
    out
}

/// Words from people and servers, made harmless inside a Markdown table.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;").replace('`', "'")
}
