//! `plan`: what one revision would change against another, and what follows from it. Pure and offline: no cluster is asked, unless
//! `--live` says so, and then only for what is told beside the plan.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;

use self::setters::setters;
use super::compare::{Compared, Sides, compare};
use super::output::{self, Format, formats};
use super::reach::Reach;
use super::read::{self, Reading, WORKTREE};
use super::reported::Reported;
use super::selector::{self, Selector};
use super::{Context, Exit};
use crate::git::Repo;
use crate::landscape::{FileMemo, Owner};
use crate::plan::acknowledged;
use crate::plan::impact::Mark;
use crate::print::json;
use crate::print::origin::author;
use crate::print::preview::{self, Pins, Preview};
use crate::share;

pub(super) mod live;
mod setters;
mod touched;
mod watch;

/// Show what a revision would change, and what follows from it, without a cluster.
///
/// Compares two revisions of a landscape: its objects field by field, and the manifests that shoots, seeds, projects and the
/// garden want because of it. Ends with 3 if something would be refused or stays because its deletion is not confirmed.
/// With --live it reads, and never writes, the garden and the seeds of what changes or is named: nodes are counted, drift and the
/// last operation are told, and a plan kept with --out holds only while the objects that it was made from are as they were.
///
/// Examples:
///   espalier plan
///   espalier plan --from landscape/live --to HEAD
///   espalier plan --from HEAD~1 --to HEAD 'shop/*' -o json
///   espalier plan --from origin/landscape/live...HEAD -o md > comment.md
///   espalier plan --from HEAD~1 --to HEAD --blame
///   espalier plan --from landscape/live --to HEAD --live --out plan.json
///   espalier plan --watch --impact-only
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// The revision before [default: the landscape's branch with --landscape, else HEAD]; BASE...HEAD is what HEAD changed since it
    /// left BASE
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// The revision after; WORKTREE is what lies on disk [default: the HEAD of BASE...HEAD, else WORKTREE]
    #[arg(long, value_name = "REV|WORKTREE")]
    to: Option<String>,
    /// Judge by the policies of this revision [default: those of --from]
    #[arg(long, value_name = "REV|WORKTREE")]
    policies_from: Option<String>,
    /// Name every manifest that is rendered otherwise
    #[arg(long)]
    objects: bool,
    /// A line for each object: what becomes of it, and what that costs
    #[arg(long, conflicts_with = "objects")]
    impact_only: bool,
    /// Say of each changed field who set the old and the new value last
    #[arg(long, conflicts_with = "impact_only")]
    blame: bool,
    /// End with 1 if there are changes
    #[arg(long)]
    exit_code: bool,
    /// End with 0 for no changes, 1 for an error, 2 for changes
    #[arg(long, conflicts_with = "exit_code")]
    detailed_exitcode: bool,
    /// End with 3 if something costs as much as this mark, or more: rolls-nodes, one-way, …
    #[arg(long, value_name = "MARK")]
    fail_on: Option<Mark>,
    /// Keep the plan in a file, for `apply`
    #[arg(long, value_name = "FILE", conflicts_with = "selectors")]
    out: Option<PathBuf>,
    /// Look at the clusters of what changes or is named, without writing anything: nodes as counted, drift, last operations
    #[arg(long)]
    live: bool,
    /// Plan again whenever files, or the revisions, change, until interrupted
    #[arg(short, long, conflicts_with_all = ["out", "live", "exit_code", "detailed_exitcode", "fail_on"])]
    watch: bool,
    #[command(flatten)]
    reach: Reach,
    /// The time to judge at [default: when --to was committed]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Jsonl, Format::Yaml, Format::Markdown]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if args.reach.sim && !args.live {
        context.printer.error("no cluster is looked at without --live", Some("--sim belongs to --live"));
        return Ok(Exit::Usage);
    }
    if args.watch {
        return watch::run(context, &args).await;
    }
    match made(context, &args).await {
        Ok(preview) => {
            show(context, &args, &preview);
            if let Some(path) = &args.out {
                let text = json::json(&preview::json(&preview));
                std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
                context.printer.note(&format!("saved; carry it out with `espalier apply {}`", path.display()));
            }
            let refused = preview.is_refused() || args.fail_on.is_some_and(|mark| preview.worst() >= mark);
            Ok(match (refused, preview.is_empty()) {
                (true, _) => Exit::Refused,
                (false, false) if args.exit_code => Exit::Something,
                (false, false) if args.detailed_exitcode => Exit::Failed,
                (false, _) => Exit::Done,
            })
        }
        Err(error) if args.detailed_exitcode => {
            context.printer.failure(&error);
            Ok(Exit::Something)
        }
        Err(error) => Err(error),
    }
}

/// Prints a plan as it was asked for.
fn show(context: &Context, args: &Args, preview: &Preview) {
    match args.output {
        Format::Text if args.impact_only => context.printer.result(&preview::brief(preview)),
        Format::Text => context.printer.result(&preview::text(preview, args.objects)),
        Format::Markdown => context.printer.result(&preview::markdown(preview, preview::LIMIT)),
        Format::Jsonl => context.printer.result(&preview::jsonl(preview)),
        _ => output::answer(context, args.output, &preview::json(preview)),
    }
}

async fn made(context: &Context, args: &Args) -> anyhow::Result<Preview> {
    let (from, to) = revisions(context, args).await?;
    if args.out.is_some() && to == WORKTREE {
        anyhow::bail!("a plan of files that are in no commit cannot be kept: commit them, and say --to HEAD");
    }
    let wish = wish(args, &from, &to);
    let mut preview = preview(context, &wish, |owner| selector::wanted(&args.selectors, owner)).await?;
    if args.live {
        live::look(context, &args.reach, &mut preview, |owner| selector::named(&args.selectors, owner)).await?;
        for note in preview.live.iter().flat_map(|live| &live.notes).filter(|_| args.output != Format::Text) {
            context.printer.note(note);
        }
    }
    Ok(preview)
}

fn wish<'a>(args: &'a Args, from: &'a str, to: &'a str) -> Wish<'a> {
    Wish { from, to, policies_from: args.policies_from.as_deref(), now: args.now, blame: args.blame }
}

/// What a plan is wanted of.
pub(super) struct Wish<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) policies_from: Option<&'a str>,
    pub(super) now: Option<Timestamp>,
    /// Whether to look for who set the values.
    pub(super) blame: bool,
}

/// Plans between two revisions; of the objects, only those that are wanted are looked at.
pub(super) async fn preview(context: &Context, wish: &Wish<'_>, wanted: impl Fn(&Owner) -> bool) -> anyhow::Result<Preview> {
    let to = wish.to;
    let mut memo = FileMemo::default();
    let before = read::read_with(read::revision(context, wish.from).await?, &mut memo);
    let after = read::read_with(read::revision(context, to).await?, &mut memo).not_empty()?;
    share::drop_later(memo);
    let committed = (to != WORKTREE).then_some(after.snapshot.committed);
    let now = read::now(&context.settings, wish.now, committed)?;
    // A policy of the branch under review never judges that branch.
    let judge = match wish.policies_from {
        Some(rev) => read::library(context, rev).await?,
        None => before.library.clone(),
    };
    let (repo, reported) = Reported::read(context, name(&before, &after)).await?;
    let placed = reported.placed();
    let sides = Sides { before: &before, after: &after, judge: &judge, now, placed: &placed };
    let compared = compare(&sides, wanted);
    let preview = told(context, wish, &sides, compared, repo.as_ref(), &reported).await?;
    share::drop_later((before, after));
    Ok(preview)
}

/// What the landscape is called, even while its file cannot be read on one side.
fn name<'a>(before: &'a Reading, after: &'a Reading) -> &'a str {
    if before.landscape.name.is_empty() { &after.landscape.name } else { &before.landscape.name }
}

/// What is told of what was compared.
async fn told(
    context: &Context,
    wish: &Wish<'_>,
    sides: &Sides<'_>,
    mut compared: Compared,
    repo: Option<&Repo>,
    reported: &Reported,
) -> anyhow::Result<Preview> {
    let Sides { before, after, judge, now, .. } = *sides;
    let to = wish.to;
    let commits = match repo {
        Some(repo) if to != WORKTREE => repo.log(&after.snapshot.revision, Some(&before.snapshot.revision), 1_000).await?,
        _ => Vec::new(),
    };
    if wish.blame {
        setters(context, before, after, &mut compared.items).await?;
    }
    let (said, mut notes) = acknowledged::of(&after.landscape, compared.digest.as_ref(), now);
    notes.extend(compared.findings.iter().filter(|finding| finding.code.as_str() == "ACK-EXPIRED").cloned());
    for place in notes.iter_mut().flat_map(|note| &mut note.places) {
        place.path = after.shown(&place.path);
    }
    let authors: BTreeSet<String> = commits.iter().map(author).collect();
    let pins = (to != WORKTREE && wish.from != WORKTREE).then(|| Pins {
        from: before.snapshot.revision.to_string(),
        to: after.snapshot.revision.to_string(),
        path: after.prefix.trim_end_matches('/').to_owned(),
        policies: judge.policies().digest().as_str().to_owned(),
        library: after.library.digest().as_str().to_owned(),
        observed: Vec::new(),
    });
    Ok(Preview {
        landscape: name(before, after).to_owned(),
        from: before.from.clone(),
        to: if to == WORKTREE { WORKTREE.to_owned() } else { after.from.clone() },
        commits: commits.len(),
        authors: authors.into_iter().collect(),
        placements: reported.commit.as_ref().map(|commit| commit.short().to_owned()),
        breaches: compared.breaches(&commits, said),
        notes,
        troubles: compared.troubles(),
        items: compared.items,
        unchanged: compared.unchanged,
        now: now.to_string(),
        digest: compared.digest.map(|digest| digest.as_str().to_owned()),
        pins,
        live: None,
    })
}

/// The revisions that are meant. `BASE...HEAD` compares with where HEAD left BASE, as Git's diff does: what BASE got since is not
/// taken for a change.
async fn revisions(context: &Context, args: &Args) -> anyhow::Result<(String, String)> {
    let from = args.from.clone().or_else(|| context.settings.global.rev.clone());
    let from = from.unwrap_or_else(|| read::default_revision(&context.settings));
    let (from, to) = match from.split_once("...") {
        Some((base, head)) => {
            let head = if head.is_empty() { "HEAD" } else { head };
            let repo = read::repository(&context.settings).await?;
            (read::merge_base(&repo, base, head).await?.0, args.to.clone().unwrap_or_else(|| head.to_owned()))
        }
        None => (from, args.to.clone().unwrap_or_else(|| WORKTREE.to_owned())),
    };
    Ok((from, to))
}
