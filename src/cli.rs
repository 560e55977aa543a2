//! The command line: one file per command, one enum, one match. Results go to stdout, everything else to stderr; exit codes are
//! those of `Exit`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Global, Settings};
use crate::print::Printer;
use crate::telemetry;

mod version;

/// Runs a Gardener landscape from a Git repository.
#[derive(Parser)]
#[command(name = "espalier", version, disable_version_flag = true, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the program's version
    Version(version::Args),
}

/// How a command ended (`reference/ux/cli.md` §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to report.
    Done = 0,
    /// Asked a question, and the answer is that there is something.
    Something = 1,
    /// Could not do or answer it.
    Failed = 2,
    /// Refused by a guard.
    Refused = 3,
    /// Timed out waiting.
    TimedOut = 4,
    /// Partly done.
    Partly = 5,
    /// Wrong usage.
    Usage = 64,
    /// Interrupted by SIGINT.
    Interrupted = 130,
    /// Terminated by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Parses the arguments, runs the command and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e).into(),
    };
    let settings = Settings::resolve(cli.global);
    let printer = Printer::new(&settings);
    telemetry::start(&settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            printer.error(&format!("failed to start: {e}"), None);
            return Exit::Failed.into();
        }
    };
    let context = Context { settings, printer };
    let exit = runtime.block_on(dispatch(&context, cli.command));
    // What still runs in the background has nothing left to say.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            context.printer.failure(&error);
            Exit::Failed.into()
        }
    }
}

/// clap exits with 2 on a typo; in CI that would read as "there are changes".
fn usage(error: &clap::Error) -> Exit {
    let shown = error.print().is_ok();
    if shown && !error.use_stderr() { Exit::Done } else { Exit::Usage }
}

/// What every command gets.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) printer: Printer,
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Version(args) => version::run(context, args).await,
    }
}
