//! `fmt`: manifests with their keys in one order, everywhere the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::output::{self, Format, formats};
use super::{Context, Exit, read};
use crate::document::{self, Budget, Left};
use crate::finding::{Findings, Severity};
use crate::landscape::{self, Kind, order, schema};
use crate::print::json::envelope;
use crate::print::snippet;
use crate::print::table::count;
use crate::snapshot::RepoPath;

/// Put the keys of manifests into one order; comments, blank lines and quoting stay.
///
/// The order is: apiVersion, kind, metadata, then as the fields of the kind are declared. Keys that their author chooses, such as
/// labels, stay as they are. What cannot be put in order without losing a comment is left alone, and said. Files that cannot be
/// read are left alone, and end with 1.
///
/// Examples:
///   espalier fmt
///   espalier fmt --check projects/shop
///   espalier fmt --modeline=schemas projects/shop/shoots/store.yaml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Files, or folders of them [default: the landscape around the working directory]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write nothing; list what is not in order, and end with 1 if there is any
    #[arg(long)]
    check: bool,
    /// Name the schema of its kind to editors in the first line of each file: from this folder, or below this URL
    #[arg(long, value_name = "DIR|URL", num_args = 0..=1, require_equals = true, default_missing_value = "schemas")]
    modeline: Option<String>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

/// What became of a file.
struct Done {
    path: String,
    text: Option<Arc<str>>,
    result: Result<(bool, Vec<Left>), Findings>,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut done = Vec::new();
    for (file, root) in files(&args.paths, &context.settings.global.path)? {
        done.push(one(&file, &root, &args)?);
    }
    let changed = done.iter().filter(|one| matches!(one.result, Ok((true, _)))).count();
    let broken = done.iter().filter(|one| one.result.is_err()).count();
    if args.output == Format::Text {
        for one in &done {
            match &one.result {
                Ok((true, _)) => context.printer.line(&one.path),
                Ok((false, _)) => {}
                Err(findings) => {
                    let text = |_: &RepoPath| one.text.clone();
                    context.printer.result(&snippet::findings(findings, &text, context.printer.width()));
                }
            }
            for left in one.result.iter().flat_map(|(_, left)| left) {
                context.printer.note(&format!("{}: left as it is: {}", left.place, left.why));
            }
        }
        let verb = if args.check { "to format" } else { "formatted" };
        let rest = done.len() - changed - broken;
        let unread = if broken > 0 { format!(", {broken} cannot be read") } else { String::new() };
        context.printer.note(&format!("{} {verb}, {rest} in order{unread}", count(changed, "file")));
    } else {
        output::answer(context, args.output, &envelope("Formatting", answer(&done)));
    }
    Ok(if broken > 0 || (args.check && changed > 0) { Exit::Something } else { Exit::Done })
}

fn answer(done: &[Done]) -> Value {
    let files: Vec<Value> = done
        .iter()
        .map(|one| match &one.result {
            Ok((changed, left)) => {
                let left: Vec<Value> = left.iter().map(|l| json!({ "at": l.place.to_string(), "why": l.why })).collect();
                json!({ "path": one.path, "state": if *changed { "changed" } else { "unchanged" }, "left": left })
            }
            Err(findings) => {
                let findings: Vec<Value> = findings.iter().filter_map(|f| serde_json::to_value(f).ok()).collect();
                json!({ "path": one.path, "state": "unreadable", "findings": findings })
            }
        })
        .collect();
    json!({ "files": files })
}

/// Formats one file of a landscape in `root`.
fn one(file: &Path, root: &Path, args: &Args) -> anyhow::Result<Done> {
    let shown = shown(file);
    let path = RepoPath::from(shown.as_str());
    let bytes = std::fs::read(file).with_context(|| format!("failed to read {shown}"))?;
    let parsed = document::parse(&path, &bytes, &Budget::default());
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Ok(Done { path: shown, text: None, result: Err(errors(parsed.findings)) });
    };
    let text: Arc<str> = Arc::from(text);
    let schema = args.modeline.as_deref().and_then(|base| schema_of(&parsed, base, file, root));
    let result = match document::format(&path, &text, &order::keys, schema.as_deref()) {
        Ok(formatted) => {
            let changed = *formatted.text != *text;
            if changed && !args.check {
                write(file, &formatted.text).with_context(|| format!("failed to write {shown}"))?;
            }
            Ok((changed, formatted.left))
        }
        Err(findings) => Err(errors(findings)),
    };
    Ok(Done { path: shown, text: Some(text), result })
}

fn errors(mut findings: Findings) -> Findings {
    findings.0.retain(|finding| finding.severity == Severity::Error);
    findings
}

/// The schema of the one kind that a file has objects of, as the file would name it.
fn schema_of(parsed: &document::Parsed, base: &str, file: &Path, root: &Path) -> Option<String> {
    let kinds: Option<BTreeSet<Kind>> =
        parsed.documents.iter().map(|d| d.identity().and_then(|i| Kind::of(&i.api_version, &i.kind))).collect();
    let name = schema::file_name(kinds.filter(|kinds| kinds.len() == 1)?.pop_first()?);
    let base = base.trim_end_matches('/');
    if base.contains("://") || base.starts_with('/') {
        return Some(format!("{base}/{name}"));
    }
    let below = file.strip_prefix(root).ok()?.components().count().saturating_sub(1);
    Some(format!("{}{base}/{name}", "../".repeat(below)))
}

/// Writes aside and moves into place: whoever is killed on the way leaves one version or the other.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let aside = file.with_file_name(format!(".{}.fmt", file.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&aside, text)?;
    std::fs::set_permissions(&aside, std::fs::metadata(file)?.permissions())?;
    std::fs::rename(&aside, file)
}

/// The manifests that are meant, each with the folder of its landscape.
fn files(paths: &[PathBuf], below: &str) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let mut out = Vec::new();
    let around = read::around(Path::new("."), below);
    let here = [around.unwrap_or_else(|| PathBuf::from("."))];
    for path in if paths.is_empty() { &here[..] } else { paths } {
        let kind = std::fs::symlink_metadata(path).with_context(|| format!("failed to read {}", path.display()))?.file_type();
        if kind.is_symlink() {
            bail!("{} is a link: name the file itself", path.display());
        }
        // What a landscape consists of is known; elsewhere every YAML file is a manifest.
        let root = read::around(path, "").or_else(|| read::around(Path::new("."), below));
        let root = root.filter(|root| path.starts_with(root) || root.as_path() == Path::new("."));
        let mut found = Vec::new();
        collect(path, &mut found)?;
        for file in found {
            let claimed = root.as_ref().is_none_or(|root| is_manifest(&file, root));
            if file == *path || claimed {
                out.push((file, root.clone().unwrap_or_default()));
            }
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

fn is_manifest(file: &Path, root: &Path) -> bool {
    let relative = file.strip_prefix(root).unwrap_or(file).to_string_lossy();
    landscape::is_manifest(&RepoPath::from(relative.trim_start_matches("./")))
}

fn collect(path: &Path, out: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", path.display());
    let kind = std::fs::symlink_metadata(path).with_context(failed)?.file_type();
    if kind.is_file() {
        out.push(path.to_owned());
    } else if kind.is_dir() {
        for entry in std::fs::read_dir(path).with_context(failed)? {
            let entry = entry.with_context(failed)?.path();
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let yaml = entry.extension().is_some_and(|e| e == "yaml" || e == "yml");
            if !name.starts_with('.') && (yaml || entry.is_dir()) {
                collect(&entry, out)?;
            }
        }
    }
    Ok(())
}

/// A path as a person would write it.
fn shown(path: &Path) -> String {
    path.display().to_string().trim_start_matches("./").to_owned()
}
