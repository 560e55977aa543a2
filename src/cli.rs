//! The command line: one file per command, one enum, one match. Results go to stdout, everything else to stderr; exit codes are
//! those of `Exit`.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Global, Settings};
use crate::print::Printer;
use crate::telemetry;

mod apply;
mod blame;
mod change;
mod ci;
mod compare;
mod completion;
mod demo;
mod describe;
mod drift;
mod explain;
mod fmt;
mod get;
mod graph;
mod history;
mod init;
mod input;
mod install;
mod kubeconfig;
mod live;
mod offline;
mod op;
mod output;
mod past;
mod pause;
mod plan;
mod private;
mod progress;
mod promote;
mod reach;
mod read;
mod render;
mod report;
mod reported;
mod rollback;
mod run;
mod schema;
mod selector;
mod sim;
mod simulated;
mod status;
mod validate;
mod version;
mod wait;

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
    Demo(demo::Args),
    Init(init::Args),
    Run(run::Args),
    Validate(validate::Args),
    Fmt(fmt::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Promote(promote::Args),
    Render(render::Args),
    Ci(ci::Args),
    Rollback(rollback::Args),
    Op(op::Args),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Get(get::Args),
    Describe(describe::Args),
    Status(status::Args),
    Kubeconfig(kubeconfig::Args),
    Wait(wait::Args),
    History(history::Args),
    Blame(blame::Args),
    Drift(drift::Args),
    Explain(explain::Args),
    Schema(schema::Args),
    Graph(graph::Args),
    Install(install::Args),
    Sim(sim::Args),
    Completion(completion::Args),
    Version(version::Args),
}

/// The order in which `--help` shows the commands; a command that is in no group comes last.
const GROUPS: &[(&str, &[&str])] = &[
    ("Begin", &["demo", "init", "install", "run"]),
    ("Check and preview a change", &["validate", "fmt", "plan", "render", "apply", "ci"]),
    ("Bring a change on its way, or back", &["promote", "rollback"]),
    ("Steer a landscape, by commits", &["op", "pause", "resume"]),
    ("Look at a landscape", &["get", "describe", "status", "drift", "wait", "history", "blame", "kubeconfig"]),
    ("Learn", &["explain", "schema", "graph"]),
    ("Other", &["sim", "completion", "version"]),
];

/// The command line as clap knows it, with its commands in groups.
fn command() -> clap::Command {
    let command = Cli::command();
    let about = |name: &str| {
        let found = command.get_subcommands().find(|c| c.get_name() == name && !c.is_hide_set())?;
        let about = found.get_about().map(ToString::to_string).unwrap_or_default();
        Some(format!("  {name:12} {}\n", about.trim_end_matches('.')))
    };
    let mut text = String::new();
    let mut grouped = Vec::new();
    for (title, names) in GROUPS {
        let lines: String = names.iter().filter_map(|name| about(name)).collect();
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}:\n{lines}"));
        }
        grouped.extend(names.iter().copied());
    }
    let others = command.get_subcommands().map(clap::Command::get_name).filter(|name| !grouped.contains(name));
    let others: String = others.filter_map(about).collect();
    if !others.is_empty() {
        text.push_str(&format!("\nMore:\n{others}"));
    }
    let template = format!("{{about}}\n\n{{usage-heading}} {{usage}}\n{text}\n{{options}}\n\n{{after-help}}");
    // One page: what a single option means at length is said by each command.
    let command = command.mut_subcommands(with_help);
    command.disable_help_flag(true).arg(help().action(clap::ArgAction::HelpShort)).help_template(template).after_help(
        "Examples:\n  espalier demo                                    a landscape on this machine, in one command\n  \
         espalier validate landscapes/local               check manifests without a cluster\n  \
         espalier plan --from landscape/live --to HEAD    what a change would do\n\n\
         `espalier <COMMAND> --help` shows a command's own options and examples.",
    )
}

fn help() -> clap::Arg {
    clap::Arg::new("help").short('h').long("help").help("Print help")
}

/// A command that explains itself at length, as do those below it.
fn with_help(command: clap::Command) -> clap::Command {
    command.mut_subcommands(with_help).arg(help().action(clap::ArgAction::Help))
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
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
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
        Command::Validate(args) => validate::run(context, args).await,
        Command::Fmt(args) => fmt::run(context, args).await,
        Command::Plan(args) => plan::run(context, args).await,
        Command::Apply(args) => apply::run(context, args).await,
        Command::Promote(args) => promote::run(context, args).await,
        Command::Render(args) => render::run(context, args).await,
        Command::Ci(args) => ci::run(context, args).await,
        Command::Rollback(args) => rollback::run(context, args).await,
        Command::Op(args) => op::run(context, args).await,
        Command::Pause(args) => pause::pause(context, args).await,
        Command::Resume(args) => pause::resume(context, args).await,
        Command::Get(args) => get::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Kubeconfig(args) => kubeconfig::run(context, args).await,
        Command::Install(args) => install::run(context, args).await,
        Command::Sim(args) => sim::run(context, args).await,
        Command::Wait(args) => wait::run(context, args).await,
        Command::History(args) => history::run(context, args).await,
        Command::Blame(args) => blame::run(context, args).await,
        Command::Describe(args) => describe::run(context, args).await,
        Command::Drift(args) => drift::run(context, args).await,
        Command::Explain(args) => explain::run(context, args).await,
        Command::Schema(args) => schema::run(context, args).await,
        Command::Graph(args) => graph::run(context, args).await,
        Command::Completion(args) => completion::run(context, args).await,
        Command::Init(args) => init::run(context, args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Version(args) => version::run(context, args).await,
    }
}

/// Turns true when the process is asked to end, by SIGINT or SIGTERM.
pub(crate) fn stop_signal() -> anyhow::Result<(tokio::sync::watch::Receiver<bool>, std::sync::Arc<std::sync::OnceLock<Exit>>)> {
    use tokio::signal::unix::{SignalKind, signal};
    let (tell, told) = tokio::sync::watch::channel(false);
    let why = std::sync::Arc::new(std::sync::OnceLock::new());
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let by = why.clone();
    tokio::spawn(async move {
        let exit = tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        };
        by.get_or_init(|| exit);
        tell.send_replace(true);
        // Keeps the channel open: a dropped sender would read as another wish to stop.
        std::future::pending::<()>().await;
    });
    Ok((told, why))
}
