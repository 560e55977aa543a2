//! `sim`: simulated clusters to talk to, and what they hold as a file, and back.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::input::STDIN;
use super::{Context, Exit};
use crate::landscape::Target;
use crate::print::table;
use crate::sim::Archive;

mod serve;

/// What to say of a file that cannot be opened.
pub(super) const OPEN: &str =
    "a running `espalier demo`, `run` or `sim serve` keeps its clusters to itself: end it, or use the kubeconfig that it wrote";
/// How the files of clusters end.
const ENDING: &str = "redb";

/// Serve simulated clusters to kubectl and other clients; take them out as YAML, or put them back.
///
/// An export makes a report of a mistake a file: what comes back is what was there, uid, resourceVersion, generation, managed
/// fields, times and status of every object.
///
/// Examples:
///   espalier sim serve --state-dir /tmp/clusters --cluster garden --cluster seed-eu
///   espalier sim export --state-dir espalier-demo/state > report.yaml
///   espalier sim import --state-dir /tmp/again report.yaml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Args),
    /// Print clusters as YAML; the values of Secrets are masked
    Export(Export),
    /// Make clusters of an export
    Import(Import),
}

#[derive(Debug, clap::Args)]
struct Export {
    /// Folder of simulated clusters that no process has open, as `run --sim` and `demo` keep them
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    state_dir: PathBuf,
    /// Only this one: garden, seed-NAME; may be repeated
    #[arg(long = "cluster", value_name = "NAME")]
    clusters: Vec<Target>,
    /// With the values of Secrets: for nobody but yourself
    #[arg(long)]
    with_secrets: bool,
}

#[derive(Debug, clap::Args)]
struct Import {
    /// Folder to put them in; it must not have these clusters yet
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    state_dir: PathBuf,
    /// What `sim export` wrote; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::Serve(args) => serve::run(context, args).await,
        Command::Export(args) => export(context, &args),
        Command::Import(args) => import(context, &args),
    }
}

/// Where a state folder has its clusters: `demo` in itself, `run` one below.
pub(super) fn folder(state: &Path) -> PathBuf {
    let below = state.join("clusters");
    if below.is_dir() || files(state).is_empty() { below } else { state.to_owned() }
}

/// The clusters of a folder: name and file.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let of = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        (path.extension()? == ENDING).then_some((name, path))
    };
    let mut found: Vec<(String, PathBuf)> = entries.filter_map(of).collect();
    found.sort();
    found
}

fn export(context: &Context, args: &Export) -> anyhow::Result<Exit> {
    let mut found = files(&folder(&args.state_dir));
    let wanted: Vec<String> = args.clusters.iter().map(ToString::to_string).collect();
    if let Some(missing) = wanted.iter().find(|name| found.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let hint = if known.is_empty() { None } else { Some(format!("there are {}", known.join(", "))) };
        let why = format!("there is no cluster {missing} in {}", args.state_dir.display());
        context.printer.error(&why, hint.as_deref());
        return Ok(Exit::Failed);
    }
    found.retain(|(name, _)| wanted.is_empty() || wanted.contains(name));
    if found.is_empty() {
        bail!("there are no simulated clusters in {}", args.state_dir.display());
    }
    // All before any: half an export is none.
    let mut all = Vec::new();
    for (name, file) in &found {
        let mut archive = Archive::open(name, file).context(OPEN)?;
        if !args.with_secrets {
            archive.mask();
        }
        all.push(archive);
    }
    for archive in &all {
        context.printer.result(&archive.to_yaml());
    }
    let objects: usize = all.iter().map(|archive| archive.objects.len()).sum();
    let secrets = if args.with_secrets {
        "with the values of Secrets: give this to nobody"
    } else {
        "the values of Secrets are masked (--with-secrets includes them)"
    };
    context.printer.note(&format!("{} of {}; {secrets}", table::count(objects, "object"), table::count(all.len(), "cluster")));
    Ok(Exit::Done)
}

fn import(context: &Context, args: &Import) -> anyhow::Result<Exit> {
    let name = if args.file == Path::new(STDIN) { "stdin".to_owned() } else { args.file.display().to_string() };
    let failed = || format!("failed to read {name}");
    let mut text = String::new();
    if args.file == Path::new(STDIN) {
        std::io::stdin().lock().read_to_string(&mut text).with_context(failed)?;
    } else {
        text = std::fs::read_to_string(&args.file).with_context(failed)?;
    }
    let clusters = Archive::parse(&name, &text).map_err(anyhow::Error::msg)?;
    if clusters.is_empty() {
        bail!("there is no cluster in {name}");
    }
    let folder = folder(&args.state_dir);
    let mut places = Vec::new();
    for (nth, cluster) in clusters.iter().enumerate() {
        // The name becomes a file's.
        let plain = cluster.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain || cluster.name.parse::<Target>().is_err() {
            bail!("{name}: `{}` is no cluster's name", cluster.name);
        }
        if clusters.iter().take(nth).any(|other| other.name == cluster.name) {
            bail!("{name}: cluster {} is there twice", cluster.name);
        }
        let file = folder.join(format!("{}.{ENDING}", cluster.name));
        if file.exists() {
            let hint = "say another --state-dir, or remove that file";
            context.printer.error(&format!("there is a cluster {} already: {}", cluster.name, file.display()), Some(hint));
            return Ok(Exit::Refused);
        }
        places.push(file);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    // All are written before any is in its place.
    let drafts: Vec<PathBuf> = places.iter().map(|file| file.with_extension("new")).collect();
    for (cluster, draft) in clusters.iter().zip(&drafts) {
        if draft.exists() {
            std::fs::remove_file(draft).with_context(|| format!("failed to remove {}", draft.display()))?;
        }
        cluster.save(draft)?;
    }
    for (draft, file) in drafts.iter().zip(&places) {
        std::fs::rename(draft, file).with_context(|| format!("failed to write {}", file.display()))?;
    }
    for cluster in &clusters {
        let objects = table::count(cluster.objects.len(), "object");
        context.printer.note(&format!("{}: {objects}, resourceVersion {}", cluster.name, cluster.version));
    }
    if clusters.iter().any(|cluster| cluster.masked) {
        context
            .printer
            .note("the values of Secrets were masked when this was exported: certificates and tokens in it open nothing");
    }
    Ok(Exit::Done)
}
