//! `plan`: what one revision would change against another, and what follows from it. Pure and offline: no cluster is asked.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::compare::{Sides, compare};
use super::output::{self, Format, formats};
use super::read::{self, WORKTREE};
use super::reported::Reported;
use super::selector::Selector;
use super::{Context, Exit};
use crate::landscape::FileMemo;
use crate::plan::impact::Mark;
use crate::print::preview::{self, Preview};

/// Show what a revision would change, and what follows from it, without a cluster.
///
/// Compares two revisions of a landscape: its objects field by field, and the manifests that shoots, seeds, projects and the
/// garden want because of it. Ends with 3 if something would be refused or stays because its deletion is not confirmed.
///
/// Examples:
///   espalier plan
///   espalier plan --from landscape/live --to HEAD
///   espalier plan --from HEAD~1 --to HEAD 'shop/*' -o json
///   espalier plan --from origin/landscape/live --to HEAD -o md > comment.md
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// The revision before [default: the landscape's branch with --landscape, else HEAD]
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// The revision after; WORKTREE is what lies on disk
    #[arg(long, value_name = "REV|WORKTREE", default_value = WORKTREE)]
    to: String,
    /// Judge by the policies of this revision [default: those of --from]
    #[arg(long, value_name = "REV|WORKTREE")]
    policies_from: Option<String>,
    /// End with 1 if there are changes
    #[arg(long)]
    exit_code: bool,
    /// End with 0 for no changes, 1 for an error, 2 for changes
    #[arg(long, conflicts_with = "exit_code")]
    detailed_exitcode: bool,
    /// End with 3 if something costs as much as this mark, or more: rolls-nodes, one-way, …
    #[arg(long, value_name = "MARK")]
    fail_on: Option<Mark>,
    /// The time to judge at [default: when --to was committed]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Jsonl, Format::Yaml, Format::Markdown]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match preview(context, &args).await {
        Ok(preview) => {
            match args.output {
                Format::Text => context.printer.result(&preview::text(&preview)),
                Format::Markdown => context.printer.result(&preview::markdown(&preview, preview::LIMIT)),
                Format::Jsonl => context.printer.result(&preview::jsonl(&preview)),
                _ => output::answer(context, args.output, &preview::json(&preview)),
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

async fn preview(context: &Context, args: &Args) -> anyhow::Result<Preview> {
    let from = args.from.clone().or_else(|| context.settings.global.rev.clone());
    let from = from.unwrap_or_else(|| read::default_revision(&context.settings));
    let mut memo = FileMemo::default();
    let before = read::read_with(read::revision(context, &from).await?, &mut memo);
    let after = read::read_with(read::revision(context, &args.to).await?, &mut memo).not_empty()?;
    drop(memo);
    let committed = (args.to != WORKTREE).then_some(after.snapshot.committed);
    let now = read::now(&context.settings, args.now, committed)?;
    // A policy of the branch under review never judges that branch.
    let judge = match &args.policies_from {
        Some(rev) => read::library(context, rev).await?,
        None => before.library.clone(),
    };
    let name = if after.landscape.name.is_empty() { &before.landscape.name } else { &after.landscape.name };
    let (repo, reported) = Reported::read(context, name).await?;
    let commits = match &repo {
        Some(repo) if args.to != WORKTREE => repo.log(&after.snapshot.revision, Some(&before.snapshot.revision), 1_000).await?,
        _ => Vec::new(),
    };
    let sides = Sides { before: &before, after: &after, judge: &judge, now, placed: reported.placed() };
    let compared = compare(&sides, |owner| args.selectors.is_empty() || args.selectors.iter().any(|s| s.matches(owner)));
    let authors: BTreeSet<&str> = commits.iter().map(|c| c.author.split(" <").next().unwrap_or_default()).collect();
    Ok(Preview {
        landscape: name.clone(),
        from: before.from.clone(),
        to: if args.to == WORKTREE { WORKTREE.to_owned() } else { after.from.clone() },
        commits: commits.len(),
        authors: authors.into_iter().map(str::to_owned).collect(),
        placements: reported.commit.as_ref().map(|commit| commit.short().to_owned()),
        troubles: compared.troubles(),
        items: compared.items,
        unchanged: compared.unchanged,
        now: now.to_string(),
    })
}
