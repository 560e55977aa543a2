//! `promote`: what one landscape changed goes to another, as one commit that edits the other's own files; and how far apart they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use serde_json::Value;

use super::output::{self, Format, formats};
use super::read::{self, Reading};
use super::reported::Reported;
use super::selector::Selector;
use super::{Context, Exit};
use crate::document::{self, Budget};
use crate::git::{self, Repo};
use crate::landscape::{self, FileMemo, Kind, Landscape, Owner};
use crate::pipeline::freeze;
use crate::print::preview::Preview;
use crate::promote::gates::{self, Gate, Health, State};
use crate::promote::history::{Change, Fate};
use crate::promote::owned::{Rules, glob};
use crate::promote::{Deed, Promotion, Request, Subject, promote};
use crate::snapshot::{Changes, RepoPath, Revision, Snapshot};

mod apart;
mod making;
mod shown;
mod stage;

use apart::Apart;
use making::{branch, message, preview, publish};
use stage::Stage;

/// Bring the changes of one landscape to another, as one commit on a branch of its own.
///
/// Landscapes are branches `landscape/<name>`, or folders below --path. What the target changed by itself, what belongs to it
/// (seeds, domains, and what its landscape.yaml declares) and its comments stay. Shows what it costs there. Ends with 3 if a gate
/// does not hold, and then makes no branch.
///
/// Examples:
///   espalier promote canary live --dry-run
///   espalier promote canary live --project shop
///   espalier promote canary live --commit 9e07d31
///   espalier promote --status
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The landscape that changes come from
    #[arg(value_name = "FROM", required_unless_present = "status")]
    from: Option<String>,
    /// The landscape that they go to
    #[arg(value_name = "TO", required_unless_present = "status")]
    to: Option<String>,
    /// Show how far apart the landscapes are, by change
    #[arg(long, conflicts_with_all = ["from", "to", "project", "commit", "exclude", "dry_run", "branch", "message"])]
    status: bool,
    /// Only what belongs to these projects
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,
    /// Only these commits
    #[arg(long, value_name = "REV")]
    commit: Vec<String>,
    /// Not these files or objects
    #[arg(long, value_name = "GLOB|SELECTOR")]
    exclude: Vec<String>,
    /// Show what would be done, with the whole plan, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The branch to make [default: promote/<from>-to-<to>-<date>]; the target's own to commit there
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// First line of the commit's message
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The time to judge at [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

/// What becomes of a commit of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It is taken, or some of it.
    Taken { in_part: bool },
    /// It waits: why.
    Held(String),
    /// It concerns only what belongs to its landscape: the pattern.
    Own(String),
    /// It was not asked for.
    LeftOut,
    /// The target changed the same by itself.
    Pinned,
    /// Nothing of it is left to do.
    Settled,
}

/// What a promotion does and looked at.
struct Outcome {
    from: Stage,
    to: Stage,
    apart: Apart,
    rules: Rules,
    health: Option<Health>,
    promotion: Promotion,
    verdicts: Vec<(Change, Verdict)>,
    done: Done,
    now: i64,
}

/// How it ended.
enum Done {
    /// There was nothing to do.
    Nothing,
    /// There is a commit, and gates that it passed or did not.
    Commit { preview: Box<Preview>, gates: Vec<Gate>, refused: Vec<String>, commit: Revision, branch: String, made: Made },
}

/// What became of the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// It was not asked for.
    DryRun,
    /// A gate does not hold.
    Refused,
    /// It is there now.
    Branch,
    /// It was there, with the same in it.
    Before,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if args.status {
        return apart::run(context, args.output).await;
    }
    let outcome = outcome(context, &args).await?;
    match args.output {
        Format::Text => context.printer.result(&shown::text(&outcome)),
        format => output::answer(context, format, &shown::json(&outcome)),
    }
    let refused = matches!(&outcome.done, Done::Commit { gates, .. } if gates.iter().any(|gate| gate.state != State::Passed));
    Ok(match (refused, outcome.promotion.troubles.is_empty()) {
        (true, _) => Exit::Refused,
        (false, false) => Exit::Partly,
        (false, true) => Exit::Done,
    })
}

async fn outcome(context: &Context, args: &Args) -> anyhow::Result<Outcome> {
    let settings = &context.settings;
    let (Some(from), Some(to)) = (&args.from, &args.to) else { bail!("say which landscape to promote, and to which") };
    if from == to {
        bail!("`{from}` cannot be promoted to itself");
    }
    let now = read::now(settings, args.now, None)?.as_second();
    let repo = read::repository(settings).await?;
    let (from, to) = (Stage::find(settings, &repo, from).await?, Stage::find(settings, &repo, to).await?);
    let mut memo = FileMemo::default();
    let source = from.read(&repo, &from.tip, &mut memo).await?.not_empty()?;
    let before = to.read(&repo, &to.tip, &mut memo).await?.not_empty()?;
    let spec = before.landscape.landscape.as_ref().map(|config| Arc::clone(&config.spec));
    let declared = spec.as_ref().and_then(|config| config.spec.promotion.as_ref());
    let target = to.name.clone();
    let wrong = |why: String| anyhow!("promotion of {target}'s landscape.yaml cannot be used: {why}");
    let rules = Rules::of(declared).map_err(wrong)?;
    let apart = Apart::of(&repo, &from, &to, &rules).await?;
    let mut work = Work { repo: &repo, from: &from, to: &to, rules: &rules, memo, wish: Wish::of(args)?, chosen: None };
    let promotion = if args.commit.is_empty() {
        work.all(&apart, &source, &before).await?
    } else {
        work.commits(&args.commit, &before).await?
    };
    let verdicts = work.verdicts(&apart, &promotion, &source, &before);
    let Work { mut memo, .. } = work;
    let health = health(&repo, &source, &from).await?;
    let mut outcome = Outcome { from, to, apart, rules, health, promotion, verdicts, done: Done::Nothing, now };
    if outcome.promotion.changes.is_empty() {
        return Ok(outcome);
    }

    let message = message(args, &outcome);
    let prefix = outcome.to.prefix();
    let files: Changes =
        outcome.promotion.changes.iter().map(|(path, text)| (RepoPath::from(format!("{prefix}{path}")), text.clone())).collect();
    // No reference names it yet: whoever stops here leaves nothing.
    let commit = repo.write(&outcome.to.tip, files, message, now).await?;
    let after = outcome.to.read(&repo, &commit, &mut memo).await?;
    let branch = branch(args, &outcome, declared.and_then(|promotion| promotion.branch_prefix.as_deref()))?;
    let (preview, refused) = preview(&repo, &before, &after, now, &branch).await?;
    let projects = projects(&outcome.promotion);
    let settings = before.landscape.settings();
    let (freezes, _) = freeze::in_force(settings, Timestamp::from_second(now)?);
    let gates = gates::gates(&gates::Facts {
        from: &outcome.from.name,
        settings: spec.as_ref().map(|config| &config.spec),
        freezes: &freezes,
        now,
        health: outcome.health.as_ref(),
        approvals: approvals(&outcome.verdicts),
        worst: preview.worst(),
        projects: &projects,
        refused: &refused,
    })
    .map_err(wrong)?;
    let made = if gates.iter().any(|gate| gate.state != State::Passed) {
        Made::Refused
    } else if args.dry_run {
        Made::DryRun
    } else {
        publish(&repo, &outcome.to, &branch, &commit, &after).await?
    };
    outcome.done = Done::Commit { preview: Box::new(preview), gates, refused, commit, branch, made };
    Ok(outcome)
}

/// What was asked for.
struct Wish {
    projects: Vec<String>,
    exclude: Vec<(String, Option<Selector>)>,
}

impl Wish {
    fn of(args: &Args) -> anyhow::Result<Self> {
        let mut exclude = Vec::new();
        for text in &args.exclude {
            let selector: Option<Selector> = text.parse().ok();
            if selector.is_none() && !text.contains(['*', '/', '.']) {
                bail!("--exclude `{text}` is neither a glob of paths nor a selector");
            }
            exclude.push((text.clone(), selector));
        }
        Ok(Self { projects: args.project.clone(), exclude })
    }

    fn wants(&self, subject: &Subject, path: &RepoPath) -> bool {
        let owner = match subject {
            Subject::Object(owner) => Some(owner),
            Subject::File(_) => None,
        };
        let within = |owner: &Owner| {
            let name = if owner.kind == Kind::Project { &owner.name } else { &owner.project };
            self.projects.contains(name)
        };
        let excluded = self.exclude.iter().any(|(text, selector)| {
            glob(text, path.as_str()) || owner.is_some_and(|owner| selector.as_ref().is_some_and(|s| s.matches(owner)))
        });
        !excluded && (self.projects.is_empty() || owner.is_some_and(within))
    }

    fn is_everything(&self) -> bool {
        self.projects.is_empty() && self.exclude.is_empty()
    }
}

struct Work<'a> {
    repo: &'a Repo,
    from: &'a Stage,
    to: &'a Stage,
    rules: &'a Rules,
    memo: FileMemo,
    wish: Wish,
    /// The commits that were asked for by name; `None` for all.
    chosen: Option<BTreeSet<String>>,
}

impl Work<'_> {
    /// Everything that the source changed since the last promotion.
    async fn all(&mut self, apart: &Apart, source: &Reading, before: &Reading) -> anyhow::Result<Promotion> {
        let base = match &apart.base {
            Some(base) => Some(self.from.load(self.repo, Some(base), &mut self.memo).await?),
            None => None,
        };
        let layers = self.around(self.to, &apart.begin.layers).await?;
        let held: Vec<Revision> =
            apart.ahead.iter().filter(|(_, fate)| matches!(fate, Fate::Held(_))).map(|(c, _)| Revision(c.id.clone())).collect();
        let held = self.around(self.from, &held).await?;
        let (layers, held) = (pairs(&layers), pairs(&held));
        let wanted = |subject: &Subject, path: &RepoPath| self.wish.wants(subject, path);
        let mut past = BTreeMap::new();
        let mut request = Request {
            base: base.as_ref(),
            layers: &layers,
            held: &held,
            from: &source.landscape,
            to: &before.landscape,
            files: &before.snapshot,
            past: &BTreeMap::new(),
            rules: self.rules,
            wanted: &wanted,
        };
        let first = promote(&request);
        if first.unsure.is_empty() {
            return Ok(first);
        }
        for owner in &first.unsure {
            let document = source.landscape.document(owner).or_else(|| base.as_ref()?.document(owner));
            let document = document.or_else(|| before.landscape.document(owner));
            let Some(path) = document.map(|document| document.path().clone()) else { continue };
            past.insert(owner.clone(), self.versions(apart, source, owner, &path).await?);
        }
        request.past = &past;
        Ok(promote(&request))
    }

    /// Only these commits, one after another.
    async fn commits(&mut self, revisions: &[String], before: &Reading) -> anyhow::Result<Promotion> {
        let mut chosen = Vec::new();
        for text in revisions {
            let revision = read::resolve(self.repo, text).await?;
            if !self.repo.is_ancestor(&revision, &self.from.tip).await? {
                bail!("{} is no commit of {}", revision.short(), self.from.name);
            }
            chosen.push(revision);
        }
        // In the order in which they were made.
        let order: Vec<Revision> =
            self.repo.log(&self.from.tip, None, usize::MAX).await?.into_iter().map(|c| c.revision).collect();
        chosen.sort_by_key(|revision| std::cmp::Reverse(order.iter().position(|other| other == revision)));
        chosen.dedup();
        self.chosen = Some(chosen.iter().map(|revision| revision.0.clone()).collect());
        let mut whole = Promotion::default();
        let mut files: Snapshot = before.snapshot.clone();
        for (was, is) in self.around(self.from, &chosen).await? {
            let (to, _) = landscape::load(&files, &mut self.memo);
            let wanted = |subject: &Subject, path: &RepoPath| self.wish.wants(subject, path);
            let past = BTreeMap::new();
            let one = promote(&Request {
                base: Some(&was),
                layers: &[],
                held: &[],
                from: &is,
                to: &to,
                files: &files,
                past: &past,
                rules: self.rules,
                wanted: &wanted,
            });
            files = stage::with(&files, &one.changes);
            whole.changes.extend(one.changes);
            whole.taken.extend(one.taken);
            whole.pinned.extend(one.pinned);
            whole.owned.extend(one.owned);
            whole.unconfirmed.extend(one.unconfirmed);
            whole.unwanted.extend(one.unwanted);
            whole.troubles.extend(one.troubles);
            whole.labelled.extend(one.labelled);
        }
        let same = |path: &RepoPath, text: &Option<String>| {
            before.snapshot.files.get(path).map(|blob| &*blob.bytes) == text.as_deref().map(str::as_bytes)
        };
        whole.changes.retain(|path, text| !same(path, text));
        Ok(whole)
    }

    /// The landscape before and after each of these commits.
    async fn around(&mut self, stage: &Stage, commits: &[Revision]) -> anyhow::Result<Vec<(Landscape, Landscape)>> {
        let mut out = Vec::new();
        for commit in commits {
            let parent = self.repo.log(commit, None, 1).await?.into_iter().next().and_then(|c| c.parents.into_iter().next());
            let before = stage.load(self.repo, parent.as_ref(), &mut self.memo).await?;
            out.push((before, stage.load(self.repo, Some(commit), &mut self.memo).await?));
        }
        Ok(out)
    }

    /// What an object was in the source since the base, besides what it is.
    async fn versions(&self, apart: &Apart, source: &Reading, owner: &Owner, path: &RepoPath) -> anyhow::Result<Vec<Arc<Value>>> {
        let touching = apart.ahead.iter().map(|(change, _)| change).find(|change| change.paths.contains(path));
        let start = match (source.landscape.document(owner), touching) {
            (Some(_), _) => Some(self.from.tip.clone()),
            (None, Some(change)) => change.parents.first().cloned(),
            (None, None) => None,
        };
        let Some(start) = start else { return Ok(Vec::new()) };
        let since: BTreeSet<&str> = apart.ahead.iter().map(|(change, _)| change.id.as_str()).collect();
        let file = format!("{}{path}", self.from.prefix());
        let mut out = Vec::new();
        for version in self.repo.versions(&file, &start, 1_000).await? {
            if apart.base.is_some() && !since.contains(version.commit.revision.0.as_str()) {
                break;
            }
            let parsed = document::parse(path, &version.bytes, &Budget::default());
            let it = |value: &Value| {
                let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
                text("/kind") == Some(owner.kind.name()) && text("/metadata/name") == Some(&owner.name)
            };
            out.extend(
                parsed.documents.iter().filter(|document| it(document.value())).map(|document| Arc::clone(document.shared())),
            );
        }
        Ok(out)
    }

    /// What becomes of each commit of the source that is not in the target yet.
    fn verdicts(&self, apart: &Apart, promotion: &Promotion, source: &Reading, before: &Reading) -> Vec<(Change, Verdict)> {
        let path = |subject: &Subject| match subject {
            Subject::File(path) => Some(path.clone()),
            Subject::Object(owner) => {
                let document = source.landscape.document(owner).or_else(|| before.landscape.document(owner));
                document.map(|document| document.path().clone())
            }
        };
        let mut taken: BTreeSet<RepoPath> = promotion.taken.iter().filter_map(|(subject, _)| path(subject)).collect();
        taken.extend(promotion.changes.keys().cloned());
        let held = promotion.held.iter().chain(&promotion.labelled).map(|(subject, _)| subject);
        let confirmed = promotion.taken.iter().filter(|(_, deed)| *deed == Deed::Confirmed).map(|(subject, _)| subject);
        let waiting = held.chain(confirmed).chain(&promotion.unwanted);
        let left: BTreeSet<RepoPath> = waiting.chain(promotion.troubles.iter().map(|(s, _)| s)).filter_map(path).collect();
        let pinned: BTreeSet<RepoPath> = promotion.pinned.iter().filter_map(|(subject, _)| path(subject)).collect();
        let named = |change: &Change| self.chosen.as_ref().is_some_and(|chosen| chosen.contains(&change.id));
        let verdict = |change: &Change, fate: &Fate| match fate {
            // Who names a commit has decided.
            Fate::Held(why) if !named(change) => Some(Verdict::Held(why.clone())),
            Fate::Undone(_) | Fate::Promoted(_, false) | Fate::Picked(_) => None,
            _ if apart::is_own(change, self.rules) => {
                let patterns: BTreeSet<&str> = change.paths.iter().filter_map(|p| self.rules.owning_path(p.as_str())).collect();
                Some(Verdict::Own(patterns.into_iter().collect::<Vec<_>>().join(", ")))
            }
            _ => {
                let any = |paths: &BTreeSet<RepoPath>| change.paths.iter().any(|path| paths.contains(path));
                if self.chosen.is_some() && !named(change) {
                    return Some(Verdict::LeftOut);
                }
                Some(match (any(&taken), any(&left), any(&pinned)) {
                    (true, in_part, _) => Verdict::Taken { in_part },
                    (false, false, true) => Verdict::Pinned,
                    (false, false, false) if self.wish.is_everything() => Verdict::Settled,
                    (false, ..) => Verdict::LeftOut,
                })
            }
        };
        apart.ahead.iter().filter_map(|(change, fate)| Some((change.clone(), verdict(change, fate)?))).collect()
    }
}

fn pairs(owned: &[(Landscape, Landscape)]) -> Vec<(&Landscape, &Landscape)> {
    owned.iter().map(|(before, after)| (before, after)).collect()
}

/// How the source stands, from its status branch; `None` if it has none.
async fn health(repo: &Repo, source: &Reading, from: &Stage) -> anyhow::Result<Option<Health>> {
    let reported = Reported::of(repo, &source.landscape.name).await?;
    let Some(commit) = &reported.commit else { return Ok(None) };
    let mut health = Health { reconciled: reported.reconciled.as_ref() == Some(&from.tip), ..Health::default() };
    let unready = reported.files.keys().filter(|owner| reported.standing(owner) != "ready");
    health.unready = unready.map(ToString::to_string).collect();
    // Back to the first report of an unbroken row of them that say all of this commit is ready.
    for report in repo.log(commit, None, 10_000).await? {
        let ready = report.trailer("Result").is_some_and(|result| result.split(", ").all(|part| part.ends_with(" ready")));
        if !ready || report.trailer(git::RECONCILED_TRAILER) != Some(&from.tip.0) {
            break;
        }
        health.since = Some(report.committed);
    }
    Ok(Some(health))
}

/// The fewest approvals that a commit which is taken has.
fn approvals(verdicts: &[(Change, Verdict)]) -> usize {
    let taken = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Taken { .. }));
    taken.map(|(change, _)| change.approvals()).min().unwrap_or_default()
}

fn projects(promotion: &Promotion) -> BTreeSet<String> {
    let project = |subject: &Subject| match subject {
        Subject::Object(owner) if owner.kind == Kind::Project => Some(owner.name.clone()),
        Subject::Object(owner) if !owner.project.is_empty() => Some(owner.project.clone()),
        Subject::Object(_) | Subject::File(_) => None,
    };
    promotion.taken.iter().filter_map(|(subject, _)| project(subject)).collect()
}

/// The word for what is done to a subject.
const fn word(deed: &Deed) -> &'static str {
    match deed {
        Deed::Created => "create",
        Deed::Changed(_) => "update",
        Deed::Moved(_) => "move",
        Deed::Confirmed => "confirm-deletion",
        Deed::Removed => "delete",
    }
}
