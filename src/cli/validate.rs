//! `validate`: everything that can be known to be wrong without a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::output::{self, Format, formats};
use super::read::{self, Reading, Source};
use super::report::{self, Form, Report};
use super::{Context, Exit, blame};
use crate::admission::{Accepted, policy};
use crate::finding::{Code, Finding, Findings, Place, Severity};
use crate::print::table::count;
use crate::print::{Checked, json, snippet};
use crate::snapshot::RepoPath;

/// Check a landscape without a cluster: files, fields, references, rules, policies.
///
/// Reads the landscape folder PATH (default: the one around the working directory), or a commit if --rev, --repo or --landscape
/// says so. Ends with 1 if there are errors.
///
/// Examples:
///   espalier validate
///   espalier validate landscapes/local -o json
///   espalier validate --against origin/landscape/live --strict
///   espalier validate -o github --report sarif=findings.sarif --report junit=findings.xml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Landscape folder, or a file or folder within one
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Judge changes against this revision too: what is immutable, what may not go back; by the policies of that revision
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    /// Judge by the policies of this revision, WORKTREE for those on disk [default: those of --against, else of what is checked]
    #[arg(long, value_name = "REV")]
    policies_from: Option<String>,
    /// Warnings count as errors
    #[arg(long, conflicts_with = "fail_on")]
    strict: bool,
    /// The least severity that ends with 1
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = ["error", "warning"])]
    fail_on: String,
    /// Only read: files, fields and their types, without rules and policies; says on stderr how fast
    #[arg(long, value_name = "PART", value_parser = ["schema"], conflicts_with_all = ["against", "policies_from", "policy_tests"])]
    only: Option<String>,
    /// Run the test cases that lie in policy files
    #[arg(long)]
    policy_tests: bool,
    /// The time to judge at, such as 2026-08-24T22:00:00Z
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// Write the findings into a file too, such as sarif=findings.sarif; may be said several times
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report::of_findings)]
    reports: Vec<Report>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "table",
        value_parser = formats(&[Format::Table, Format::Json, Format::Yaml, Format::Sarif, Format::Junit, Format::Codequality, Format::Github,
            Format::Tap, Format::Checkstyle]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let now = read::now(&context.settings, args.now, None)?;
    let began = tokio::time::Instant::now();
    let base = match &args.against {
        Some(rev) => Some(read::read(read::revision(context, rev).await?)),
        None => None,
    };
    // A policy of the branch under review never judges that branch.
    let judge = match &args.policies_from {
        Some(rev) => Some(read::library(context, rev).await?),
        None => base.as_ref().map(|base| base.library.clone()),
    };
    // What a revision had accepted: everything that it admits by itself.
    let accepted =
        base.as_ref().map(|base| Accepted(Arc::new(base.admit(&Accepted::default(), now).0.objects))).unwrap_or_default();
    let mut readings = Vec::new();
    for (source, within) in sources(context, &args.paths).await? {
        readings.push((read::read(source), within));
    }
    let mut checked = Vec::new();
    for (reading, within) in &readings {
        let mut findings = match &args.only {
            Some(_) => reading.findings.clone().sorted(),
            None => reading.admit_by(judge.as_ref().unwrap_or(&reading.library), &accepted, now).1,
        };
        if args.policy_tests {
            findings.extend(policy_tests(reading));
            findings = findings.sorted();
        }
        if let Some(base) = &base {
            blame::noted(context, reading, base, &mut findings).await;
        }
        let mut one = reading.checked(findings);
        if let Some(within) = within {
            one.findings.0.retain(|f| f.places.first().is_none_or(|p| inside(&p.path, within)));
        }
        checked.push(one);
    }
    show(context, args.output, &readings, &checked, began.elapsed());
    for report in &args.reports {
        report.write(&report.form.text(&checked))?;
    }
    if args.only.is_some() && !context.settings.global.quiet {
        let objects: usize = checked.iter().map(|one| one.owners.len()).sum();
        let micros = readings.iter().map(|(reading, _)| reading.took.as_micros()).sum::<u128>().max(1);
        let rate = u128::try_from(objects).unwrap_or_default() * 1_000_000 / micros;
        let objects = count(objects, "object");
        context.printer.note(&format!("{objects} checked in {} ms, {rate} in a second\n", micros / 1_000));
    }
    let bad = checked.iter().any(|c| {
        c.findings.has_errors() || ((args.strict || args.fail_on == "warning") && c.findings.count(Severity::Warning) > 0)
    });
    Ok(if bad { Exit::Something } else { Exit::Done })
}

/// What to check, and the part of it that was asked about.
async fn sources(context: &Context, paths: &[PathBuf]) -> anyhow::Result<Vec<(Source, Option<String>)>> {
    let settings = &context.settings;
    if paths.is_empty() {
        if read::names_commit(settings) || settings.global.rev.is_some() {
            return Ok(vec![(read::source(context).await?, None)]);
        }
        let root = read::around(Path::new("."), &settings.global.path);
        if root.is_none() {
            hint(context, Path::new("."));
        }
        return Ok(vec![(read::work_tree(&root.unwrap_or_else(|| PathBuf::from(".")))?, None)]);
    }
    let mut out: Vec<(Source, Option<String>)> = Vec::new();
    for path in paths {
        match read::around(path, "") {
            Some(root) if root == *path => out.push((read::work_tree(&root)?, None)),
            Some(root) => {
                // The whole landscape is checked, since objects refer to each other; only this part is shown.
                let source = read::work_tree(&root)?;
                let relative = path.canonicalize().ok().zip(root.canonicalize().ok());
                let relative = relative.and_then(|(p, r)| p.strip_prefix(r).ok().map(|p| p.display().to_string()));
                let within = relative.filter(|r| !r.is_empty()).map(|r| format!("{}{r}", source.prefix));
                out.push((source, within));
            }
            None => {
                hint(context, path);
                out.push((read::work_tree(path)?, None));
            }
        }
    }
    Ok(out)
}

fn hint(context: &Context, path: &Path) {
    let near = read::nearby(path);
    if let Some(first) = near.first() {
        let names: Vec<String> = near.iter().map(|p| p.display().to_string().trim_start_matches("./").to_owned()).collect();
        let first = first.display().to_string();
        context.printer.note(&format!(
            "{} has no landscape.yaml; below it are {}\nhint: espalier validate {}\n",
            path.display(),
            names.join(", "),
            first.trim_start_matches("./")
        ));
    }
}

fn inside(path: &RepoPath, within: &str) -> bool {
    path.as_str().strip_prefix(within).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Runs the test cases of every policy file of what is checked; a failing one is a finding.
fn policy_tests(reading: &Reading) -> Findings {
    let mut files: BTreeMap<RepoPath, std::sync::Arc<str>> = policy::builtin();
    let own = reading.landscape.overlays.iter().filter(|(path, _)| path.as_str().starts_with("policies/"));
    files.extend(own.map(|(path, text)| (path.clone(), text.clone())));
    let mut findings = Findings::default();
    for (path, text) in &files {
        let (outcomes, _) = policy::test(path, text);
        for outcome in outcomes {
            if let Some(failure) = outcome.failure {
                findings.push(
                    Finding::error(Code::new("POLICY-TEST"), format!("test case `{}`: {failure}", outcome.name))
                        .at(Place::file(path.clone()))
                        .help("mend the policy or what the case expects"),
                );
            }
        }
    }
    findings
}

fn show(context: &Context, format: Format, readings: &[(Reading, Option<String>)], checked: &[Checked], took: Duration) {
    let printer = &context.printer;
    match format {
        Format::Yaml => output::answer(context, format, &json::checked(checked)),
        Format::Json => printer.result(&Form::Json.text(checked)),
        Format::Sarif => printer.result(&Form::Sarif.text(checked)),
        Format::Junit => printer.result(&Form::Junit.text(checked)),
        Format::Codequality => printer.result(&Form::Codequality.text(checked)),
        Format::Github => printer.result(&Form::Github.text(checked)),
        Format::Tap => printer.result(&Form::Tap.text(checked)),
        Format::Checkstyle => printer.result(&Form::Checkstyle.text(checked)),
        _ => {
            for ((reading, _), one) in readings.iter().zip(checked) {
                let mut findings = one.findings.clone();
                if context.settings.global.quiet {
                    findings.0.retain(|f| f.severity != Severity::Note);
                }
                let text = snippet::findings(&findings, &|path| reading.text(path), context.printer.width());
                if !text.is_empty() {
                    printer.result(&text);
                    printer.line("");
                }
            }
            printer.line(&format!("{} in {:.1} s.", summary(checked), took.as_secs_f64()));
            if let Some(line) = unseen(readings) {
                printer.line(&line);
            }
        }
    }
}

/// What is not checked without a garden, and how much of it there is.
fn unseen(readings: &[(Reading, Option<String>)]) -> Option<String> {
    let mut named = BTreeSet::new();
    for (reading, _) in readings {
        for (owner, value, _) in reading.landscape.objects() {
            references(value, &mut |kind, name| {
                named.insert((owner.project.clone(), kind.to_owned(), name.to_owned()));
            });
        }
    }
    if named.is_empty() {
        return None;
    }
    let n = |kind: &str| named.iter().filter(|(_, k, _)| k == kind).count();
    let found = [(n("Secret"), "Secret"), (n("ConfigMap"), "ConfigMap")];
    let parts: Vec<String> = found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n, what)).collect();
    Some(format!(
        "2 checks need a garden and were skipped: whether {} exist, and what admission webhooks say.",
        parts.join(" and ")
    ))
}

/// The Secrets and ConfigMaps that something refers to, wherever it does.
fn references(value: &serde_json::Value, each: &mut dyn FnMut(&str, &str)) {
    match value {
        serde_json::Value::Object(map) => {
            let text = |key: &str| map.get(key).and_then(serde_json::Value::as_str);
            if let (Some("v1"), Some(kind @ ("Secret" | "ConfigMap")), Some(name)) =
                (text("apiVersion"), text("kind"), text("name"))
            {
                each(kind, name);
            }
            if let Some(name) = value.pointer("/secretRef/name").and_then(serde_json::Value::as_str) {
                each("Secret", name);
            }
            map.values().for_each(|value| references(value, each));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| references(value, each)),
        _ => {}
    }
}

/// `6 problems in 4 files (4 errors, 2 warnings). Checked 214 shoots, 6 seeds`
fn summary(checked: &[Checked]) -> String {
    let n = |severity| checked.iter().map(|c| c.findings.count(severity)).sum::<usize>();
    let (errors, warnings, notes) = (n(Severity::Error), n(Severity::Warning), n(Severity::Note));
    let problems = checked.iter().flat_map(|c| &c.findings).filter(|f| f.severity != Severity::Note);
    let files: BTreeSet<&RepoPath> = problems.filter_map(|f| f.places.first().map(|p| &p.path)).collect();
    let mut kinds = BTreeMap::new();
    for one in checked {
        for (kind, n) in one.kinds() {
            *kinds.entry(kind).or_insert(0) += n;
        }
    }
    // What people count first comes first.
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, _)| {
        use crate::landscape::Kind;
        let first = [Kind::Shoot, Kind::Seed, Kind::Project, Kind::CloudProfile];
        (first.iter().position(|k| k == kind).unwrap_or(first.len()), *kind)
    });
    let objects: Vec<String> = kinds.iter().map(|(kind, n)| count(*n, &words(kind.name()))).collect();
    let objects = if objects.is_empty() { "nothing".to_owned() } else { objects.join(", ") };
    let remarks = if notes > 0 { format!(", {}", count(notes, "note")) } else { String::new() };
    if errors + warnings == 0 {
        return format!("No problems{remarks}. Checked {objects}");
    }
    format!(
        "{} in {} ({}, {}{remarks}). Checked {objects}",
        count(errors + warnings, "problem"),
        count(files.len(), "file"),
        count(errors, "error"),
        count(warnings, "warning"),
    )
}

/// `CloudProfile` → `cloud profile`.
fn words(kind: &str) -> String {
    let mut out = String::new();
    for c in kind.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
