//! `history`: what became of objects and when, from the commits of the landscape and of its status branch.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use jiff::Timestamp;

use self::reports::Reports;
use super::output::{self, Format, formats};
use super::past::{COMMITS, Past, Step, Touched};
use super::read::{self, WORKTREE};
use super::selector::{self, Selector};
use super::{Context, Exit, compare};
use crate::admission::filled_in;
use crate::daemon::reverts;
use crate::git::Commit;
use crate::landscape::{Kind, Owner};
use crate::plan::diff;
use crate::plan::impact::Mark;
use crate::print::history::{self as shown, Deed, Done, Entry, Field, History};
use crate::print::json::API_VERSION;
use crate::print::origin::{Bound, Bounded, at, author};
use crate::promote::history::FROM;

mod reports;

/// Show what became of objects and when: commits, and what was reported about them.
///
/// One line of time, newest first: what each commit did to an object, whether that was accepted or held, and when it was rolled out.
/// Objects are followed by their names, through renamed and moved files. At most 1000 commits are looked at.
///
/// Examples:
///   espalier history shop/store
///   espalier history 'shop/*' --limit 100
///   espalier history shop/store --field kubernetes.version
///   espalier history -L live --since 2026-09-01T00:00:00Z -o json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME [default: everything in the landscape]
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// So many commits of the landscape
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only what changed this field, or something below it
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// Only what was committed since then
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Jsonl, Format::Yaml]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let reading = read::read(read::committed(context).await?).not_empty()?;
    let head = reading.snapshot.revision.clone();
    if head.0 == WORKTREE {
        bail!("files that are in no commit have no history: commit them, or say --rev REV");
    }
    let name = context.settings.global.landscape.clone().unwrap_or_else(|| reading.landscape.name.clone());
    let repo = read::repository(&context.settings).await?;
    let names: Option<BTreeSet<String>> = args.selectors.iter().map(|s| s.exact_name().map(str::to_owned)).collect();
    let names = names.filter(|names| !names.is_empty());
    let past = Past::begin(&repo, &head, &reading.prefix, names.clone(), COMMITS).await?;
    let mut walk = Walk { args: &args, past, steps: Vec::new() };
    let bounded = walk.walk().await?;
    let Walk { past, steps, .. } = walk;
    if steps.is_empty() && !args.selectors.is_empty() && args.field.is_none() && args.since.is_none() {
        let selectors: Vec<String> = args.selectors.iter().map(ToString::to_string).collect();
        let looked = past.commits().len();
        bail!("no commit of the last {looked} up to {} is about {}", head.short(), selectors.join(" or "));
    }
    let reports = Reports::read(&repo, &name, past.commits(), names).await?;
    let history = History {
        api_version: API_VERSION.to_owned(),
        kind: History::KIND.to_owned(),
        landscape: name,
        revision: head.to_string(),
        status_commit: reports.tip.as_ref().map(ToString::to_string),
        selectors: args.selectors.iter().map(ToString::to_string).collect(),
        entries: entries(&args, &steps, past.commits(), &reports, bounded.is_some()),
        bounded,
    };
    match args.output {
        Format::Text => {
            let mut again = String::from("espalier history");
            args.selectors.iter().for_each(|selector| again.push_str(&format!(" '{selector}'")));
            context.printer.result(&shown::text(&history, &again));
        }
        Format::Jsonl => context.printer.result(&shown::jsonl(&history)),
        _ => output::answer(context, args.output, &shown::json(&history)),
    }
    Ok(Exit::Done)
}

/// The walk through the commits of the landscape.
struct Walk<'a> {
    args: &'a Args,
    past: Past<'a>,
    /// What is of interest, newest first.
    steps: Vec<Step>,
}

impl Walk<'_> {
    /// Collects what was asked for, and says why it does not go back to the beginning.
    async fn walk(&mut self) -> anyhow::Result<Option<Bounded>> {
        let limit = usize::try_from(self.args.limit).unwrap_or(usize::MAX);
        let mut looked_at = 0;
        loop {
            let steps = self.past.next().await?;
            if steps.is_empty() {
                return self.past.bounded().await;
            }
            for mut step in steps {
                if self.args.since.is_some_and(|since| step.commit.committed < since.as_second()) {
                    // Committers' clocks differ: older ones may be followed by newer ones.
                    looked_at += 1;
                    continue;
                }
                self.narrow(&mut step);
                if step.objects.is_empty() && step.overlays.is_empty() {
                    looked_at += 1;
                    continue;
                }
                if self.steps.len() == limit {
                    let next = Some(step.commit.revision.to_string());
                    return Ok(Some(Bounded { commits: looked_at, why: Bound::Limit, next }));
                }
                looked_at += 1;
                self.steps.push(step);
            }
        }
    }

    /// Leaves of a step what was asked for.
    fn narrow(&self, step: &mut Step) {
        let Args { selectors, field, .. } = self.args;
        step.objects.retain(|owner, _| selector::wanted(selectors, owner));
        if let Some(field) = field {
            step.objects.retain(|_, touched| touched.fields().iter().any(|changed| concerns(&changed.name, field)));
        }
        if !selectors.is_empty() || field.is_some() {
            step.overlays.clear();
        }
    }
}

/// Whether a field that differs is the one that is meant, below it, or around it.
fn concerns(name: &str, field: &str) -> bool {
    let field = field.strip_prefix("spec.").unwrap_or(field);
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || outer.is_empty() || rest.starts_with(['.', '[']))
    };
    within(name, field) || within(field, name)
}

/// Commits and reports, newest first.
fn entries(args: &Args, steps: &[Step], commits: &[Commit], reports: &Reports, bounded: bool) -> Vec<Entry> {
    let mut reverted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for commit in commits {
        for id in reverts::said(commit) {
            let whole = commits.iter().find(|other| other.revision.0.starts_with(&id.0));
            if let Some(whole) = whole {
                reverted.entry(whole.revision.0.as_str()).or_default().push(commit.revision.to_string());
            }
        }
    }
    let mut touching: BTreeMap<&Owner, Vec<&str>> = BTreeMap::new();
    for step in steps {
        for owner in step.objects.keys() {
            touching.entry(owner).or_default().push(step.commit.revision.0.as_str());
        }
    }
    let mut told: Vec<(&Commit, Entry)> = Vec::new();
    for step in steps {
        let Step { commit, objects, overlays } = step;
        let done = |(owner, touched): (&Owner, &Touched)| {
            let later = touching.get(owner).map(Vec::as_slice).unwrap_or_default();
            done(args, owner, touched, reports.became(owner, &commit.revision.0, later))
        };
        let entry = Entry::Commit {
            commit: commit.revision.to_string(),
            at: at(commit),
            author: author(commit),
            subject: commit.subject.clone(),
            reverts: reverts::said(commit).into_iter().map(|id| id.0).collect(),
            reverted_by: reverted.remove(commit.revision.0.as_str()).unwrap_or_default(),
            promoted_from: commit.trailer(FROM).map(str::to_owned),
            overlays: overlays.iter().map(ToString::to_string).collect(),
            objects: objects.iter().map(done).collect(),
        };
        told.push((commit, entry));
    }
    let wanted = |owner: &Owner| selector::wanted(&args.selectors, owner);
    // Nothing is told of times of which not all is told.
    let from = told.last().map(|(commit, _)| commit.committed).filter(|_| bounded);
    let from = from.max(args.since.map(Timestamp::as_second));
    let mut reported = reports.entries(wanted, commits);
    reported.retain(|(at, ..)| from.is_none_or(|from| *at >= from));
    merged(told, reported, reports)
}

/// Two lists, each newest first, as one. Of two at one time, a report follows the commits that it knows of, and comes before others.
fn merged(commits: Vec<(&Commit, Entry)>, reported: Vec<(i64, usize, Entry)>, reports: &Reports) -> Vec<Entry> {
    let mut out = Vec::with_capacity(commits.len() + reported.len());
    let mut reported = reported.into_iter().peekable();
    for (commit, entry) in commits {
        let follows = |(at, n, _): &(i64, usize, Entry)| {
            *at > commit.committed || *at == commit.committed && reports.knows(*n, &commit.revision.0)
        };
        while let Some((.., report)) = reported.next_if(follows) {
            out.push(report);
        }
        out.push(entry);
    }
    out.extend(reported.map(|(.., report)| report));
    out
}

/// What a commit did to an object.
fn done(args: &Args, owner: &Owner, touched: &Touched, became: reports::Became) -> Done {
    let (was, is) = (touched.was(), touched.after.as_ref());
    let path = is.or(was).map(|written| written.path().to_string()).unwrap_or_default();
    let moved_from = match (was, is) {
        (Some(was), Some(is)) if was.path() != is.path() => Some(was.path().to_string()),
        _ => None,
    };
    let fields = match (was, is) {
        (Some(_), Some(_)) => touched.fields(),
        _ => Vec::new(),
    };
    let action = match (was, is) {
        (None, _) => Deed::Create,
        (_, None) => Deed::Delete,
        _ if fields.is_empty() => Deed::Move,
        _ => Deed::Update,
    };
    let meant = |field: &diff::Field| args.field.as_ref().is_none_or(|wanted| concerns(&field.name, wanted));
    let holds_something = matches!(owner.kind, Kind::Shoot | Kind::Seed | Kind::Project);
    let worst = match (was, is) {
        (Some(_), None) if holds_something => Mark::Deletes,
        (Some(was), Some(is)) if owner.kind == Kind::Shoot => worst(owner, was.document.value(), is.document.value()),
        _ => Mark::None,
    };
    Done {
        owner: owner.clone(),
        action,
        path,
        moved_from,
        fields: fields
            .into_iter()
            .filter(meant)
            .map(|field| Field { field: field.name, before: field.before, after: field.after })
            .collect(),
        worst,
        verdict: became.verdict,
        codes: became.codes,
        rollout: became.rollout,
    }
}

/// The worst that a change of a shoot does, by what is written and the defaults that need no other object.
fn worst(owner: &Owner, before: &serde_json::Value, after: &serde_json::Value) -> Mark {
    compare::worst(&filled_in(before, owner), &filled_in(after, owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_meant_by_itself_and_by_what_is_around_it() {
        assert!(concerns("kubernetes.version", "kubernetes.version") && concerns("kubernetes.version", "spec.kubernetes"));
        assert!(concerns("provider.workers[cpu]", "provider.workers[cpu].maximum"), "a pool that comes has the field");
        assert!(!concerns("kubernetes.versions", "kubernetes.version") && !concerns("maintenance", "kubernetes"));
    }
}
