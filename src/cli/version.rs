//! `version`.

use super::{Context, Exit};

/// Print the program's version.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _args: Args) -> anyhow::Result<Exit> {
    context.printer.line(&format!("espalier {}", env!("CARGO_PKG_VERSION")));
    Ok(Exit::Done)
}
