//! What each part of a rollback does: the way back planned through admission, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::keep::Part;
use crate::cli::compare::Compared;
use crate::cli::read::Reading;
use crate::cli::selector::Selector;
use crate::finding::{Finding, Pointer, Severity};
use crate::landscape::{Kind, Owner};
use crate::plan::diff::{self, Field};
use crate::plan::impact::Mark;
use crate::plan::revert::Revert;
use crate::print::preview::{Change, Fate, Item};
use crate::print::rollback::{Reversal, named};

/// What is looked at, and what is wanted of it.
pub(super) struct Question<'a> {
    /// The tip of the branch.
    pub(super) tip: &'a Reading,
    /// What it would be.
    pub(super) after: &'a Reading,
    /// Only what costs nothing.
    pub(super) only_clean: bool,
    /// What may be deleted, or made anew.
    pub(super) include: &'a [Selector],
}

/// Everything that differs, with its verdict, and whether it is taken.
pub(super) fn all(question: &Question<'_>, compared: &Compared) -> Vec<Reversal> {
    let written = |side: &Reading, owner: &Owner| side.landscape.document(owner).map(|d| d.shared().clone());
    let mut out = Vec::new();
    // Objects that nobody wrote to and that suffer, with why.
    let mut bystanders: Vec<(&Owner, String)> = Vec::new();
    for item in &compared.items {
        let (was, will) = (written(question.tip, &item.owner), written(question.after, &item.owner));
        match &item.fate {
            Fate::Held(findings) if was == will && was.is_some() => {
                if !compared.held.contains(&item.owner) {
                    let why = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
                    bystanders.push((&item.owner, format!("{} would be held then: {why}", named(&item.owner))));
                }
            }
            Fate::Held(findings) => out.extend(refused(&item.owner, was.as_deref(), will.as_deref(), findings)),
            Fate::Updated => {
                let fields = item.changes.iter().filter_map(|change| changed(question, item, change));
                let fields = worst_of_each(fields);
                if let Some(costly) = fields.iter().find(|reversal| !reversal.taken).filter(|_| was == will) {
                    bystanders.push((&item.owner, format!("{} costs {}", named(&item.owner), costly.note)));
                } else {
                    out.extend(fields);
                }
            }
            Fate::Unchanged => {}
            Fate::Created | Fate::Deleted | Fate::Blocked(_) => out.push(whole(question, item, will.as_deref())),
        }
    }
    if let Some((_, why)) = bystanders.first() {
        // Which of the others it is cannot be told from its findings: none that it may depend on changes.
        for reversal in out.iter_mut().filter(|r| r.owner.kind != Kind::Shoot && r.taken) {
            (reversal.revert, reversal.taken) = (Revert::Refused { why: vec![why.clone()] }, false);
            reversal.note = format!("left as it is: {why}");
        }
    }
    out
}

/// One reversal for each field that is written down, however many follow from it.
fn worst_of_each(reversals: impl Iterator<Item = Reversal>) -> Vec<Reversal> {
    let cost = |reversal: &Reversal| match &reversal.revert {
        Revert::Costs { mark } => *mark,
        _ => Mark::None,
    };
    let mut out: Vec<Reversal> = Vec::new();
    for reversal in reversals {
        match out.iter_mut().find(|known| known.field == reversal.field && known.field.is_some()) {
            Some(known) if cost(known) < cost(&reversal) => *known = reversal,
            Some(_) => {}
            None => out.push(reversal),
        }
    }
    out
}

/// What is not taken, as parts to leave as they are.
pub(super) fn left(reversals: &[Reversal], kept: &mut BTreeMap<Owner, Part>) {
    let mut fields: BTreeMap<&Owner, Option<BTreeSet<String>>> = BTreeMap::new();
    for reversal in reversals.iter().filter(|reversal| !reversal.taken) {
        let names = fields.entry(&reversal.owner).or_insert_with(|| Some(BTreeSet::new()));
        match &reversal.field {
            Some(field) => {
                if let Some(names) = names {
                    names.insert(field.clone());
                }
            }
            None => *names = None,
        }
    }
    for (owner, names) in fields {
        let part = match (kept.get(owner), names) {
            // The same fields again: leaving them was not enough.
            (Some(Part::Fields(before)), Some(names)) if !names.is_subset(before) => {
                Part::Fields(before.union(&names).cloned().collect())
            }
            (None, Some(names)) => Part::Fields(names),
            _ => Part::Whole,
        };
        kept.insert(owner.clone(), part);
    }
}

fn refused(owner: &Owner, was: Option<&Value>, will: Option<&Value>, findings: &[Finding]) -> Vec<Reversal> {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let fields = match (was, will) {
        (Some(was), Some(will)) => diff::fields(was, will),
        _ => Vec::new(),
    };
    let meant = |finding: &Finding| {
        let pointer = finding.places.first().map(|place| &place.pointer)?;
        let mut found = fields.iter().filter(|field| related(&field.pointer, pointer)).collect::<Vec<&Field>>();
        found.sort_by_key(|field| std::cmp::Reverse(field.pointer.as_str().len()));
        found.first().copied()
    };
    let mut out: Vec<Reversal> = Vec::new();
    for finding in &errors {
        let field = meant(finding);
        let name = field.map(|field| field.name.clone());
        if let Some(known) = out.iter_mut().find(|reversal| reversal.field == name) {
            if let Revert::Refused { why } = &mut known.revert {
                why.push(finding.message.clone());
            }
            continue;
        }
        let kept = match field.and_then(|field| field.before.as_ref()) {
            Some(value) if value.is_string() || value.is_number() || value.is_boolean() => format!("kept at {}", plain(value)),
            _ => "kept as it is".to_owned(),
        };
        out.push(Reversal {
            owner: owner.clone(),
            field: name,
            before: field.and_then(|field| field.before.clone()),
            after: field.and_then(|field| field.after.clone()),
            revert: Revert::Refused { why: vec![finding.message.clone()] },
            taken: false,
            note: format!("{kept}: {}", finding.message),
        });
    }
    // One that belongs to no field is about all of it.
    if out.iter().any(|reversal| reversal.field.is_none()) {
        out.retain(|reversal| reversal.field.is_none());
    }
    out
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| text.escape_debug().to_string())
}

/// Whether one field is, or is within, the other.
fn related(a: &Pointer, b: &Pointer) -> bool {
    let within = |inner: &Pointer, outer: &Pointer| {
        !outer.as_str().is_empty()
            && inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(a, b) || within(b, a)
}

/// A field of an object that stays. A default that follows another field is not told by itself.
fn changed(question: &Question<'_>, item: &Item, change: &Change) -> Option<Reversal> {
    let document = |side: &Reading| side.landscape.document(&item.owner).cloned();
    let (was, will) = (document(question.tip)?, document(question.after)?);
    let field = &change.field;
    let said = diff::fields(was.value(), will.value());
    let name = said.iter().find(|own| own.name == field.name || field.name.starts_with(&format!("{}.", own.name)));
    let costs = if change.idle { None } else { change.impact.iter().max_by_key(|impact| impact.mark) };
    let costs = costs.filter(|impact| impact.mark >= Mark::RestartsControlPlane);
    if name.is_none() && costs.is_none() {
        return None;
    }
    let revert = costs.map_or(Revert::Clean, |impact| Revert::Costs { mark: impact.mark });
    let taken = costs.is_none() || !question.only_clean;
    let note = match costs {
        Some(impact) if taken => format!("{}: {}", impact.mark.word(), impact.why),
        Some(impact) => format!("left as it is, by --only-clean; {}: {}", impact.mark.word(), impact.why),
        None => String::new(),
    };
    Some(Reversal {
        owner: item.owner.clone(),
        field: name.map(|own| own.name.clone()),
        before: field.before.clone(),
        after: field.after.clone(),
        revert,
        taken,
        note,
    })
}

/// An object that comes or goes.
fn whole(question: &Question<'_>, item: &Item, will: Option<&Value>) -> Reversal {
    let owner = &item.owner;
    let precious = matches!(owner.kind, Kind::Shoot | Kind::Seed | Kind::Project);
    let included = question.include.iter().any(|selector| selector.matches(owner));
    let word = owner.kind.name().to_lowercase();
    // In one piece, wherever lines end.
    let include = format!("--include\u{a0}{}", selector(owner));
    let confirmed = || {
        let annotations = will.and_then(|manifest| manifest.pointer("/metadata/annotations"));
        annotations.and_then(|a| a.get(crate::admission::CONFIRMATION)).and_then(Value::as_str) == Some("true")
    };
    let (revert, taken, note) = match &item.fate {
        Fate::Created if question.tip.landscape.has(owner) => (Revert::Clean, true, "it is mended".to_owned()),
        Fate::Created if precious && confirmed() => {
            let note = if included {
                "made anew, and empty".to_owned()
            } else {
                format!("left out: what comes back is a new, empty {word}; add {include} to make it")
            };
            (Revert::NotARestore, included, note)
        }
        Fate::Created => (Revert::Clean, true, String::new()),
        _ if owner.kind == Kind::Landscape => {
            let why = "without landscape.yaml there is no landscape".to_owned();
            (Revert::Refused { why: vec![why.clone()] }, false, format!("left as it is: {why}"))
        }
        Fate::Deleted if !precious => (Revert::Clean, true, String::new()),
        Fate::Blocked(why) if !precious => {
            (Revert::Refused { why: vec![why.clone()] }, false, "left as it is: it is in use".to_owned())
        }
        Fate::Blocked(why) if included => (Revert::Deletes, true, format!("its file goes; the {word} stays: {why}")),
        _ if included => (Revert::Deletes, true, format!("the {word} is deleted")),
        _ => (Revert::Deletes, false, format!("made by what is taken back; left out: add {include} to delete it")),
    };
    Reversal { owner: owner.clone(), field: None, before: None, after: None, revert, taken, note }
}

/// The word by which an object is named on the command line.
pub(super) fn selector(owner: &Owner) -> String {
    if owner.kind == Kind::Shoot { owner.key() } else { crate::cli::selector::word(owner) }
}
