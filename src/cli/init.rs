//! `init`: the beginning of a repository: a landscape of one seed, one project and one shoot, and the checks of its changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::read::{self, Source};
use super::{Context, Exit};
use crate::admission::Accepted;
use crate::finding::Severity;
use crate::git::{self, Message};
use crate::library;
use crate::print::snippet;
use crate::snapshot::{RepoPath, Revision, Snapshot, Verdict};

/// The word that stands for the landscape's name in the files that are brought along.
const NAME: &str = "starter";
/// The domain that stands for the landscape's.
const DOMAIN: &str = "starter.example.org";

/// Begin a repository: one cloud profile, seed, project and shoot, and files for a CI.
///
/// Writes a landscape into DIR that `validate` has nothing against. Where DIR is in no Git repository, one is made, with the
/// landscape on its branch landscape/NAME. Nothing is overwritten: where a file is in the way, nothing is written, and it ends
/// with 3.
///
/// Examples:
///   espalier init --landscape dev
///   espalier init fleet --landscape live --provider gcp --ci gitlab --domain live.example.net
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Where to put it
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// What its clusters run on
    #[arg(long, value_enum, default_value_t = Provider::Aws, value_name = "PROVIDER")]
    provider: Provider,
    /// The CI that checks changes
    #[arg(long, value_enum, default_value_t = Ci::None, value_name = "CI")]
    ci: Ci,
    /// The domain of its clusters [default: NAME.example.org]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Only list what would be written
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Provider {
    Aws,
    Gcp,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Ci {
    Github,
    Gitlab,
    None,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let printer = &context.printer;
    let Some(name) = context.settings.global.landscape.clone() else {
        printer.error("the landscape needs a name", Some("espalier init --landscape NAME"));
        return Ok(Exit::Usage);
    };
    let files = files(&args, &name);
    check(context, &files, &name)?;
    let in_the_way: Vec<&RepoPath> =
        files.keys().filter(|path| std::fs::symlink_metadata(args.dir.join(path.as_str())).is_ok()).collect();
    if !in_the_way.is_empty() {
        let shown: Vec<String> = in_the_way.iter().map(|path| format!("  {}", args.dir.join(path.as_str()).display())).collect();
        let text = format!("nothing was written: these are there already\n{}", shown.join("\n"));
        printer.error(&text, Some("move them away, or choose another folder"));
        return Ok(Exit::Refused);
    }
    for path in files.keys() {
        printer.line(path.as_str());
    }
    let repository = read::enclosing(existing(&args.dir));
    let branch = format!("landscape/{name}");
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let next = if repository.is_some() {
        write(&args.dir, &files)?;
        format!(
            "Commit them to the branch {branch}:\n  git checkout -b {branch}\n  git add -A\n  git commit -m 'Describe the landscape {name}'"
        )
    } else {
        let bytes = files.iter().map(|(path, text)| (path.clone(), text.as_bytes().to_vec())).collect();
        let message = Message { subject: format!("Describe the landscape {name}"), ..Message::default() };
        let now = read::now(&context.settings, None, None)?.as_second();
        if args.dir.exists() {
            git::begin(&args.dir, &branch, bytes, message, now).await?;
        } else {
            git::create(&args.dir, &branch, bytes, message, now).await?;
        }
        format!("Committed to {branch} of a new repository.")
    };
    let dir = args.dir.display();
    let there = if args.dir == Path::new(".") { String::new() } else { format!("  cd {dir}\n") };
    printer.note(&format!(
        "{next}\nTry next:\n{there}  espalier validate\n  espalier render team/first\n  espalier run --landscape {name} --sim --once"
    ));
    Ok(Exit::Done)
}

/// The files of the landscape, by their path in it.
fn files(args: &Args, name: &str) -> BTreeMap<RepoPath, String> {
    let provider = match args.provider {
        Provider::Aws => "starter/aws",
        Provider::Gcp => "starter/gcp",
    };
    let ci = match args.ci {
        Ci::Github => Some("starter/github"),
        Ci::Gitlab => Some("starter/gitlab"),
        Ci::None => None,
    };
    let domain = args.domain.clone().unwrap_or_else(|| format!("{name}.example.org"));
    let parts = ["starter/common", provider].into_iter().chain(ci);
    parts
        .flat_map(library::example)
        .map(|(path, text)| {
            // The domain contains the name, and may itself be anything.
            let parts: Vec<String> = text.split(DOMAIN).map(|part| part.replace(NAME, name)).collect();
            (path, parts.join(&domain))
        })
        .collect()
}

/// A landscape that has errors because of its name or its domain is not written.
fn check(context: &Context, files: &BTreeMap<RepoPath, String>, name: &str) -> anyhow::Result<()> {
    let now = read::now(&context.settings, None, None)?;
    let snapshot = Snapshot {
        revision: Revision(read::WORKTREE.to_owned()),
        committed: now.as_second(),
        author: String::new(),
        subject: String::new(),
        verdict: Verdict::Unchecked,
        files: files.iter().map(|(path, text)| (path.clone(), read::file(text.as_bytes()))).collect(),
    };
    let reading = read::read(Source { snapshot, from: String::new(), prefix: String::new() });
    let (_, findings) = reading.admit(&Accepted::default(), now);
    if let Some(error) = findings.iter().find(|finding| finding.severity == Severity::Error) {
        context.printer.note(&snippet::headline(error));
        bail!("`{name}` cannot be the name of a landscape, or its domain is none");
    }
    if reading.landscape.name != name {
        bail!("`{name}` cannot be the name of a landscape: it would be read as `{}`", reading.landscape.name);
    }
    Ok(())
}

/// The nearest folder that is there.
fn existing(dir: &Path) -> &Path {
    let there = dir.ancestors().find(|above| above.exists());
    there.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes files where none is.
fn write(dir: &Path, files: &BTreeMap<RepoPath, String>) -> anyhow::Result<()> {
    use std::io::Write as _;
    for (path, text) in files {
        let path = dir.join(path.as_str());
        let failed = || format!("failed to write {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(failed)?;
        }
        let mut file = std::fs::File::create_new(&path).with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)?;
    }
    Ok(())
}
