//! `demo`: a repository and embedded clusters on this machine, brought to ready.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::simulated::{Park, hand_in_credentials};
use super::{Context, Exit, private, run, stop_signal};
use crate::cluster::Clusters;
use crate::config;
use crate::daemon::state::Settings as Pace;
use crate::daemon::{self, Options, View};
use crate::git::{self, Credentials, Location, Message, Repo};
use crate::landscape::Target;
use crate::sim::{self, Delays};

const LANDSCAPE: &str = "local";

/// Bring up a landscape on this machine: a repository and embedded clusters, to ready.
///
/// Makes DIR/repo (branch landscape/local), DIR/state (the embedded clusters) and DIR/kubeconfig, reconciles until everything is
/// ready, and ends. A second `demo` on the same folder goes on where the first one ended.
///
/// Examples:
///   espalier demo
///   espalier demo --dir /tmp/landscape --watch
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Where to put it
    #[arg(long, value_name = "DIR", default_value = "espalier-demo")]
    dir: PathBuf,
    /// Go on after everything is ready: serve the clusters and follow the branch until interrupted
    #[arg(long)]
    watch: bool,
    /// How quick the simulated controllers are
    #[arg(long, value_enum, default_value_t = Speed::Short, value_name = "SPEED", hide = true)]
    speed: Speed,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Speed {
    None,
    Short,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let printer = &context.printer;
    let dir = args.dir.clone();
    std::fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let dir = std::fs::canonicalize(&dir).with_context(|| format!("failed to find {}", dir.display()))?;
    let repo_dir = dir.join("repo");
    if repo_dir.join(".git").exists() {
        printer.note(&format!("Going on with {}", repo_dir.display()));
    } else {
        let files = crate::library::example(LANDSCAPE).into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())).collect();
        let message = Message { subject: "Describe a landscape of two seeds and seven clusters".into(), ..Message::default() };
        git::create(&repo_dir, &format!("landscape/{LANDSCAPE}"), files, message, config::now().as_second()).await?;
        printer.note(&format!("Made {} (branch landscape/{LANDSCAPE})", repo_dir.display()));
    }
    let repo = Repo::open(Location::Path(repo_dir.clone()), &dir, Credentials::default()).await?;
    let delays = match args.speed {
        Speed::None => Delays::None,
        Speed::Short => Delays::Short,
    };
    let state = dir.join("state");
    let park = Park::new(Some(state.clone()), 1, delays);
    let garden = park.open(&Target::Garden)?;
    let mut clusters = BTreeSet::new();
    for seed in seeds(&repo).await? {
        park.open(&Target::Seed(seed.clone()))?;
        clusters.insert(seed);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen on loopback")?;
    let serving = sim::serve(park.sims(), listener, Some(&state)).await?;
    let kubeconfig = dir.join("kubeconfig");
    private::write(&kubeconfig, &serving.kubeconfig)?;

    let credentials = tokio::spawn(hand_in_credentials(garden, load(&repo).await?));
    let (view, seen) = watch::channel(Arc::new(View::default()));
    let options = |once: bool, view: watch::Sender<Arc<View>>| Options {
        repo: repo.clone(),
        branch: run::branch(LANDSCAPE, None),
        root: String::new(),
        landscape: LANDSCAPE.to_owned(),
        clusters: Clusters::new(BTreeMap::new(), Arc::new(config::now)),
        connect: park.connect(),
        poll: Duration::from_secs(30),
        once,
        accept_rewrite: false,
        pinned: None,
        // The same on every start: a demo that was killed need not wait for its own lease to end.
        identity: format!("demo in {}", dir.display()),
        settings: Pace { status_every: 1_000, ..Pace::default() },
        helm: None,
        view,
    };
    let (stop, why) = stop_signal()?;
    let narrator = tokio::spawn({
        let (printer, mut seen) = (printer.clone(), seen.clone());
        async move { super::progress::narrate(&printer, &mut seen).await }
    });
    let exit = if args.watch {
        let guide = tokio::spawn(say_when_ready(context.printer.clone(), seen, dir.clone()));
        let ended = daemon::run(options(false, view), stop).await;
        guide.abort();
        ended?;
        why.get().copied().unwrap_or(Exit::Terminated)
    } else {
        let ended = daemon::run(options(true, view), stop).await?;
        narrator.abort();
        if ended.stopped {
            why.get().copied().unwrap_or(Exit::Terminated)
        } else {
            printer.result(&super::progress::table(&ended.view));
            let status = ended.status.as_ref().map_or_else(|| "none".to_owned(), |s| s.short().to_owned());
            printer.line(&format!("\nStatus commit {status} on espalier/status/{LANDSCAPE}"));
            printer.line(&next_steps(&dir));
            run::verdict(&ended.view)
        }
    };
    narrator.abort();
    credentials.abort();
    serving.stop().await;
    for (_, sim) in park.sims() {
        sim.close().await;
    }
    Ok(exit)
}

fn next_steps(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Try next:\n  git -C {dir}/repo log espalier/status/{LANDSCAPE}      what was reconciled, commit by commit\n  \
         git -C {dir}/repo show espalier/status/{LANDSCAPE}:STATUS.md\n  \
         espalier demo --dir {dir} --watch          goes on, and serves the clusters:\n  \
         kubectl --kubeconfig {dir}/kubeconfig --context garden get shoots -A"
    )
}

async fn say_when_ready(printer: crate::print::Printer, mut seen: watch::Receiver<Arc<View>>, dir: PathBuf) {
    let ready = seen.wait_for(|view| !view.owners.is_empty() && run::unready(view) == 0).await.is_ok();
    if ready {
        let dir = dir.display();
        printer.note(&format!(
            "\nEverything is ready. Edit {dir}/repo/projects/shop/shoots/mini.yaml and commit; or look around:\n  \
             kubectl --kubeconfig {dir}/kubeconfig --context garden get shoots -A\nCtrl-C ends it; the same command goes on."
        ));
    }
}

/// The seeds that the branch names.
async fn seeds(repo: &Repo) -> anyhow::Result<Vec<String>> {
    Ok(load(repo).await?.seeds.keys().map(|owner| owner.name.clone()).collect())
}

async fn load(repo: &Repo) -> anyhow::Result<crate::landscape::Landscape> {
    let branch = run::branch(LANDSCAPE, None);
    let Some(revision) = repo.resolve(&branch).await? else { anyhow::bail!("there is no branch `{branch}`") };
    let snapshot = repo.snapshot(&revision, "").await?;
    Ok(crate::landscape::load(&snapshot, &mut crate::landscape::FileMemo::default()).0)
}
