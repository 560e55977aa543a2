//! `completion`: scripts by which shells complete command lines.

use clap_complete::Shell;

use super::{Context, Exit};

/// Print a shell's completion script.
///
/// Examples:
///   source <(espalier completion bash)
///   espalier completion zsh > ~/.zfunc/_espalier
///   espalier completion fish > ~/.config/fish/completions/espalier.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "espalier", &mut script);
    context.printer.result(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
