//! `ci annotate`: findings at the lines of a pull request.

use std::path::PathBuf;

use crate::cli::input::{self, STDIN};
use crate::cli::report::{Form, Report};
use crate::cli::{Context, Exit};
use crate::config::Forge;

/// Show findings at the lines that they are about.
///
/// For GitHub and Gitea these are workflow commands on stdout: the worst 10 errors and 10 warnings, at most one for each rule and
/// file; where there are more, the last says how many. GitLab reads a code-quality report from a file instead, and other forges read
/// nothing.
///
/// Examples:
///   espalier validate --against origin/landscape/live -o json > findings.json
///   espalier ci annotate findings.json
///   espalier ci annotate findings.json --forge gitlab --out codequality.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// What `validate -o json` wrote; `-` is stdin
    #[arg(value_name = "FILE", default_value = STDIN)]
    findings: PathBuf,
    /// The forge [default: the one whose runner this is, else github]
    #[arg(long, value_name = "FORGE")]
    forge: Option<Forge>,
    /// The file that GitLab reads
    #[arg(long, value_name = "FILE", default_value = "gl-code-quality-report.json")]
    out: PathBuf,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let checked = input::findings(&args.findings)?;
    match args.forge.or(context.settings.runner.forge).unwrap_or(Forge::Github) {
        Forge::Github | Forge::Gitea => context.printer.result(&Form::Github.text(&checked)),
        Forge::Gitlab => {
            let report = Report { form: Form::Codequality, file: args.out };
            report.write(&report.form.text(&checked))?;
            context.printer.note(&format!("wrote {}", report.file.display()));
        }
        Forge::Bitbucket => context.printer.note("Bitbucket shows no annotations of this kind; its JUnit report shows findings"),
    }
    Ok(Exit::Done)
}
