//! `ci`: what CI does with findings and plans that were written down before. No cluster and no repository is asked; what is read may
//! come from anybody.

use clap::Subcommand;

use super::{Context, Exit};

mod annotate;
mod comment;
mod forge;
mod post;
mod report;
mod summary;

/// Show findings and plans where a forge shows them: comment, summary, annotations, reports.
///
/// Examples:
///   espalier plan --from origin/landscape/live --to HEAD -o json > plan.json
///   espalier ci summary --plan plan.json
///   espalier ci comment --plan plan.json --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Comment(comment::Args),
    Summary(summary::Args),
    Annotate(annotate::Args),
    Report(report::Args),
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Comment(args) => comment::run(context, args).await,
        What::Summary(args) => summary::run(context, args).await,
        What::Annotate(args) => annotate::run(context, args).await,
        What::Report(args) => report::run(context, args).await,
    }
}
