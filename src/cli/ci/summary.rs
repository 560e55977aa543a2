//! `ci summary`: a plan as the summary of a job.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::input::{self, STDIN};
use crate::cli::{Context, Exit};
use crate::print::preview::{self, Dialect};

/// GitHub takes this many bytes for one step.
const BUDGET: usize = 1 << 20;

/// Write a plan as Markdown: to the summary of the job on GitHub and Gitea, else to stdout.
///
/// Examples:
///   espalier ci summary --plan plan.json
///   espalier plan -o json | espalier ci summary --limit 20000
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// What `plan -o json` wrote; `-` is stdin
    #[arg(long, value_name = "FILE", default_value = STDIN)]
    plan: PathBuf,
    /// The most bytes to write; what does not fit is left out whole, and counted
    #[arg(long, value_name = "BYTES", default_value_t = BUDGET, value_parser = at_least)]
    limit: usize,
}

/// Head and counts never give way, so there must be room for them.
fn at_least(text: &str) -> Result<usize, String> {
    const LEAST: usize = 4_096;
    let limit: usize = text.parse().map_err(|_| "it is not a number of bytes".to_owned())?;
    if limit < LEAST { Err(format!("the least is {LEAST}")) } else { Ok(limit) }
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let plan = input::plan(&args.plan, input::ANYBODYS)?;
    let Some(file) = &context.settings.runner.summary else {
        context.printer.result(&preview::comment(&plan, args.limit, Dialect::Html));
        return Ok(Exit::Done);
    };
    let failed = || format!("failed to write the summary to {}", file.display());
    let mut open = std::fs::OpenOptions::new().create(true).append(true).open(file).with_context(failed)?;
    // What other commands of the step wrote before counts too.
    let there = usize::try_from(open.metadata().with_context(failed)?.len()).unwrap_or(usize::MAX);
    let room = args.limit.min(BUDGET.saturating_sub(there));
    let text = preview::comment(&plan, room, Dialect::Html);
    if text.len() > room {
        context.printer.note("the summary of this step is full already; nothing was added to it");
        return Ok(Exit::Done);
    }
    open.write_all(text.as_bytes()).with_context(failed)?;
    context.printer.note(&format!("wrote {} bytes to the summary of the job", text.len()));
    Ok(Exit::Done)
}
