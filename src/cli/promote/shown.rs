//! A promotion for people, in 80 columns, and for machines; both from the same values.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::apart;
use super::{Done, Made, Outcome, Verdict, word};
use crate::plan::impact::Mark;
use crate::print::json::API_VERSION;
use crate::print::preview::{self, Fate, Item, Preview};
use crate::print::promotion as document;
use crate::print::table::{count, line};
use crate::promote::gates::{Gate, State, hours};
use crate::promote::history::Change;
use crate::promote::{Deed, Subject};

/// Columns that a text fills.
const WIDTH: usize = 80;
/// So many pins and troubles are told one by one.
const LISTED: usize = 10;

/// The whole answer for people.
pub(super) fn text(outcome: &Outcome) -> String {
    let Outcome { from, to, apart, rules, promotion, verdicts, done, .. } = outcome;
    let health = health(outcome);
    let head = format!("{} {} ({health})  →  {} {}", from.name, from.tip.short(), to.name, to.tip.short());
    let mut out = format!("{head}\n  {} ahead, {} behind\n", count(apart.count(rules), "commit"), apart.behind.len());
    type Said = fn(&Change, &Verdict) -> Option<String>;
    let groups: [(&str, Said); 5] = [
        ("✓ take", |change, verdict| match verdict {
            Verdict::Taken { in_part: false } => Some(line(&change.subject, 60)),
            Verdict::Taken { in_part: true } => Some(format!("{} (in part)", line(&change.subject, 50))),
            _ => None,
        }),
        ("– held", |change, verdict| match verdict {
            Verdict::Held(why) => Some(format!("\"{}\" (hold: {})", line(&change.subject, 40), line(why, 20))),
            _ => None,
        }),
        ("– own", |change, verdict| match verdict {
            Verdict::Own(pattern) => Some(format!("\"{}\" ({})", line(&change.subject, 40), line(pattern, 24))),
            _ => None,
        }),
        ("– left out", |change, verdict| (*verdict == Verdict::LeftOut).then(|| line(&change.subject, 60))),
        ("– pinned", |change, verdict| (*verdict == Verdict::Pinned).then(|| line(&change.subject, 60))),
    ];
    for (title, said) in groups {
        let texts: Vec<String> = verdicts.iter().rev().filter_map(|(change, verdict)| said(change, verdict)).collect();
        if !texts.is_empty() {
            let (sign, name) = title.split_once(' ').unwrap_or((title, ""));
            let lead = format!("  {sign} {:<12}", format!("{} {name}", texts.len()));
            out.push_str(&wrapped(&lead, &texts, " · "));
        }
    }
    let labelled = promotion.labelled.iter().map(|(subject, why)| format!("  – {} held: {}", short(subject), line(why, 40)));
    listed(&mut out, &labelled.collect::<Vec<_>>());
    listed(&mut out, &pins(outcome));
    let stays = promotion.unconfirmed.iter().map(|subject| {
        format!("  ! {}: gone in {}, but its deletion was never confirmed there; it stays", short(subject), from.name)
    });
    listed(&mut out, &stays.collect::<Vec<_>>());
    let troubles = promotion.troubles.iter().map(|(subject, why)| format!("  ✗ {}: {why}", short(subject)));
    listed(&mut out, &troubles.collect::<Vec<_>>());
    listed(&mut out, &deeds(outcome));
    match done {
        Done::Nothing => {
            out.push_str(&format!("Nothing to promote: {} has all that it is to have from {}\n", to.name, from.name));
        }
        Done::Commit { preview, gates, refused, commit, branch, made } => {
            out.push_str(&effect(outcome, preview));
            let texts: Vec<String> = gates.iter().map(gate).collect();
            out.push_str(&wrapped("Gates  ", &texts, "   "));
            listed(&mut out, &refused.iter().map(|why| format!("  ✗ {}", line(why, 400))).collect::<Vec<_>>());
            let own = to.reference.as_deref() == Some(&format!("refs/heads/{branch}"));
            let short = commit.short();
            let target = to.reference.as_deref().map(|name| name.trim_start_matches("refs/heads/"));
            let last = match made {
                Made::Refused => {
                    let open = gates.iter().filter(|gate| gate.state != State::Passed).map(|gate| gate.name);
                    let open: Vec<&str> = open.collect();
                    let verb = if open.len() == 1 { "does" } else { "do" };
                    format!("Nothing was done: {} {verb} not hold", open.join(", "))
                }
                Made::DryRun => format!("Nothing was done: a dry run; {branch} would be this"),
                Made::Before => format!("Nothing was done: {branch} is this already"),
                Made::Branch if own => format!("Committed {short} to {branch}"),
                Made::Branch => match target {
                    Some(target) => format!("Made {branch} at {short}: merge it into {target}"),
                    None => format!("Made {branch} at {short}: merge it to where it began"),
                },
            };
            let words: Vec<String> = last.split(' ').map(str::to_owned).collect();
            out.push_str(&wrapped_by("", 4, &words, " "));
            if *made == Made::DryRun {
                out.push_str(&format!("\n{}", preview::text(preview, false)));
            }
        }
    }
    out
}

/// `ready 26 h`.
fn health(outcome: &Outcome) -> String {
    match &outcome.health {
        None => "no status".to_owned(),
        Some(health) if !health.reconciled => "not reconciled yet".to_owned(),
        Some(health) if !health.unready.is_empty() => format!("{} not ready", health.unready.len()),
        Some(health) => health
            .since
            .map_or_else(|| "reconciled".to_owned(), |since| format!("ready {}", hours(outcome.now.saturating_sub(since)))),
    }
}

/// `shop/prod` for shoots, which most are; with the kind for others.
fn short(subject: &Subject) -> String {
    match subject {
        Subject::Object(owner) if owner.kind == crate::landscape::Kind::Shoot => owner.key(),
        other => other.to_string(),
    }
}

fn pins(outcome: &Outcome) -> Vec<String> {
    let value = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => line(text, 30),
        Some(value) => line(&value.to_string(), 30),
    };
    let pin = |(subject, step): &(Subject, crate::promote::Step)| {
        let subject = short(subject);
        let to = &outcome.to.name;
        match (step.field.as_str(), &step.before, &step.after) {
            ("", None, Some(_)) => format!("  ! {subject}: {to} let it go → not taken there"),
            ("", ..) => format!("  ! {subject}: changed in {to}, too → not taken there"),
            (field, before, after) => {
                format!("  ! {subject} pins {field} {} → {} not taken there", value(before.as_ref()), value(after.as_ref()))
            }
        }
    };
    outcome.promotion.pinned.iter().map(pin).collect()
}

/// What is not told by the plan.
fn deeds(outcome: &Outcome) -> Vec<String> {
    let said = outcome.promotion.taken.iter().filter_map(|(subject, deed)| match deed {
        Deed::Confirmed => {
            Some(format!("  ✓ {}: its deletion is confirmed now; the next promotion after that removes it", short(subject)))
        }
        Deed::Moved(path) => Some(format!("  ✓ {}: its file moves to {path}", short(subject))),
        Deed::Created | Deed::Changed(_) | Deed::Removed => None,
    });
    said.collect()
}

fn listed(out: &mut String, lines: &[String]) {
    for line in lines.iter().take(LISTED) {
        // A line that goes on is set in below its first word.
        let (sign, rest) = line.trim_start().split_once(' ').unwrap_or((line, ""));
        let words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
        out.push_str(&wrapped(&format!("  {sign} "), &words, " "));
    }
    if lines.len() > LISTED {
        out.push_str(&format!("  … and {} more\n", lines.len() - LISTED));
    }
}

/// What it costs, in the landscape that it goes to.
fn effect(outcome: &Outcome, preview: &Preview) -> String {
    let counted = |is: fn(&Fate) -> bool| preview.items.iter().filter(|item| is(&item.fate)).count();
    let mut parts = Vec::new();
    for (n, word) in [
        (counted(|fate| matches!(fate, Fate::Created)), "new"),
        (counted(|fate| matches!(fate, Fate::Updated)), "updated"),
        (counted(|fate| matches!(fate, Fate::Deleted)), "deleted"),
        (counted(|fate| matches!(fate, Fate::Unchanged)), "rendered anew"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let mut marks: BTreeMap<Mark, Vec<&Item>> = BTreeMap::new();
    for item in preview.items.iter().filter(|item| item.worst() > Mark::None) {
        marks.entry(item.worst()).or_default().push(item);
    }
    for (mark, items) in marks.iter().rev() {
        let names: Vec<String> = items.iter().take(3).map(|item| item.owner.key()).collect();
        let more = if items.len() > names.len() { ", …" } else { "" };
        parts.push(format!("{} {} ({}{more})", items.len(), mark.word(), names.join(", ")));
    }
    if preview.waiting() > 0 {
        parts.push(format!("{} to wait for a maintenance window", preview.waiting()));
    }
    let lead = format!("  Effect on {} (not on {}): ", outcome.to.name, outcome.from.name);
    wrapped_by(&lead, 4, &parts, " · ")
}

/// `soak 24h ✓`.
fn gate(gate: &Gate) -> String {
    let sign = match gate.state {
        State::Passed => '✓',
        State::Waiting => '…',
        State::Failed => '✗',
    };
    format!("{} {} {sign}", gate.name, line(&gate.text, 60))
}

/// Texts in lines of at most 80 columns, the later ones below the first text.
fn wrapped(lead: &str, texts: &[String], between: &str) -> String {
    wrapped_by(lead, lead.chars().count(), texts, between)
}

/// The same, the later ones set in by so many columns.
fn wrapped_by(lead: &str, indent: usize, texts: &[String], between: &str) -> String {
    let indent = " ".repeat(indent);
    let mut out = String::new();
    let mut current = lead.to_owned();
    let mut fresh = true;
    for text in texts {
        let gap = if fresh { "" } else { between };
        if !fresh && (current.chars().count() + gap.chars().count() + text.chars().count()) > WIDTH {
            let end = between.trim_end();
            out.push_str(&format!("{}{}\n", current.trim_end(), if end.trim().is_empty() { "" } else { end }));
            current = format!("{indent}{text}");
        } else {
            current.push_str(gap);
            current.push_str(text);
        }
        fresh = false;
    }
    out.push_str(&format!("{}\n", current.trim_end()));
    out
}

/// The whole answer for machines.
pub(super) fn json(outcome: &Outcome) -> Value {
    let Outcome { from, to, apart, rules, promotion, verdicts, done, health, .. } = outcome;
    let commit = |(change, verdict): &(Change, Verdict)| {
        let (word, why) = match verdict {
            Verdict::Taken { in_part: false } => ("taken", None),
            Verdict::Taken { in_part: true } => ("taken-in-part", None),
            Verdict::Held(why) => ("held", Some(why)),
            Verdict::Own(pattern) => ("own", Some(pattern)),
            Verdict::LeftOut => ("left-out", None),
            Verdict::Pinned => ("pinned", None),
            Verdict::Settled => ("settled", None),
        };
        document::Taken { change: change.into(), verdict: word.to_owned(), why: why.cloned() }
    };
    let deed = |(who, deed): &(Subject, Deed)| {
        let fields = match deed {
            Deed::Changed(steps) => steps.iter().map(|step| step.field.clone()).collect(),
            _ => Vec::new(),
        };
        document::Deed { subject: who.into(), action: word(deed).to_owned(), fields }
    };
    let at = |who: &Subject, field: &str| document::AtField { subject: who.into(), field: field.to_owned() };
    let because = |(who, why): &(Subject, String)| document::Because { subject: who.into(), why: why.clone() };
    let health = health.as_ref().map(|health| document::Health {
        reconciled: health.reconciled,
        since: health.since.and_then(|since| jiff::Timestamp::from_second(since).ok()).map(|since| since.to_string()),
        unready: health.unready.clone(),
    });
    let mut out = document::Promotion {
        api_version: API_VERSION.to_owned(),
        kind: document::Promotion::KIND.to_owned(),
        from: apart::stage(from),
        to: apart::stage(to),
        base: apart.base.as_ref().map(ToString::to_string),
        in_part: promotion.is_in_part(),
        health,
        summary: document::Apart { ahead: apart.count(rules), behind: apart.behind.len() },
        commits: verdicts.iter().map(commit).collect(),
        taken: promotion.taken.iter().map(deed).collect(),
        // Values stand in the plan, which knows what may be shown.
        pinned: promotion.pinned.iter().map(|(who, step)| at(who, &step.field)).collect(),
        held: promotion.held.iter().map(|(who, field)| at(who, field)).collect(),
        labelled: promotion.labelled.iter().map(because).collect(),
        troubles: promotion.troubles.iter().map(because).collect(),
        own: promotion.owned.iter().map(document::Subject::from).collect(),
        left_out: promotion.unwanted.iter().map(document::Subject::from).collect(),
        unconfirmed: promotion.unconfirmed.iter().map(document::Subject::from).collect(),
        result: "nothing".to_owned(),
        branch: None,
        commit: None,
        gates: None,
        refused: None,
        plan: None,
    };
    if let Done::Commit { preview, gates, refused, commit, branch, made } = done {
        let result = match made {
            Made::DryRun => "dry-run",
            Made::Refused => "refused",
            Made::Branch => "made",
            Made::Before => "there",
        };
        result.clone_into(&mut out.result);
        out.branch = Some(branch.clone());
        out.commit = (*made == Made::Branch).then(|| commit.to_string());
        out.gates = Some(gates.clone());
        out.refused = Some(refused.clone());
        out.plan = Some(preview::Plan::from(preview.as_ref()));
    }
    json!(out)
}
