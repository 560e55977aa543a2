//! `ci report`: findings or a plan that were written down before, in the formats that CI systems read.

use std::path::PathBuf;

use crate::cli::input::{self, STDIN};
use crate::cli::report::{Form, Report};
use crate::cli::{Context, Exit};

/// Write findings or a plan in the formats that CI systems read.
///
/// Examples:
///   espalier ci report findings.json --report sarif=findings.sarif --report junit=findings.xml
///   espalier ci report findings.json --format tap
///   espalier ci report --plan plan.json --report gitlab-plan=counts.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// What `validate -o json` wrote; `-` is stdin
    #[arg(value_name = "FILE", conflicts_with = "plan")]
    findings: Option<PathBuf>,
    /// What `plan -o json` wrote; `-` is stdin
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Write this format to stdout: sarif, junit, codequality, github, tap, checkstyle, json; gitlab-plan of a plan
    #[arg(long, value_name = "FORMAT", required_unless_present = "reports")]
    format: Option<Form>,
    /// Write this format into a file; may be said several times
    #[arg(long = "report", value_name = "FORMAT=FILE")]
    reports: Vec<Report>,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let wanted = args.format.into_iter().chain(args.reports.iter().map(|report| report.form));
    let of_plan = args.plan.is_some();
    if wanted.into_iter().any(|form| form.is_of_plan() != of_plan) {
        let hint = "gitlab-plan is a report on a plan (--plan FILE), all other formats are reports on findings (FILE)";
        context.printer.error("what is wanted is not a report on what is given", Some(hint));
        return Ok(Exit::Usage);
    }
    let text: Box<dyn Fn(Form) -> String> = if let Some(file) = args.plan {
        let plan = input::plan(&file, input::ANYBODYS)?;
        Box::new(move |_| Form::of_plan(&plan))
    } else {
        let checked = input::findings(&args.findings.unwrap_or_else(|| STDIN.into()))?;
        Box::new(move |form: Form| form.text(&checked))
    };
    for report in &args.reports {
        report.write(&text(report.form))?;
    }
    if let Some(form) = args.format {
        context.printer.result(&text(form));
    }
    Ok(Exit::Done)
}
