//! `run`: the daemon.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::simulated::{Park, hand_in_credentials};
use super::{Context, Exit, stop_signal};
use crate::cluster::{self, Access, Clusters};
use crate::config::{self, Settings};
use crate::daemon::state::Settings as Pace;
use crate::daemon::{self, Connect, Options, View};
use crate::git::{Credentials, Location, Repo};
use crate::helm::Helm;
use crate::landscape::{Kind, Target};
use crate::sim::Delays;
use crate::snapshot::Revision;
use crate::status::Standing;
use crate::web;

/// Reconcile a landscape: watch its branch, keep its clusters as it says, report on its status branch.
///
/// Examples:
///   espalier run --repo . --landscape local --sim --once
///   espalier run --repo https://git.example.org/landscapes.git --landscape live --listen 0.0.0.0:8080
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Return when everything wanted is ready, held or failed
    #[arg(long)]
    once: bool,
    /// Simulate the garden and the seeds inside this process; needs no kubeconfig
    #[arg(long)]
    sim: bool,
    /// Branch of the landscape [default: landscape/<NAME>]
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// Folder for what survives a restart: mirrors of remote repositories, simulated clusters
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Serve /healthz, /readyz and /metrics here
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Seconds between two looks at a remote repository
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Follow a rewritten history to where the branch is now
    #[arg(long)]
    accept_rewrite: bool,
    /// The program that renders the charts of extensions [default: helm; simulated clusters come with simulated extensions]
    #[arg(long, value_name = "PROGRAM", env = "ESPALIER_HELM")]
    helm: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    reconcile(context, args, None).await
}

/// One pass at a commit, to convergence.
pub(super) async fn once(context: &Context, sim: bool, state_dir: Option<PathBuf>, at: Revision) -> anyhow::Result<Exit> {
    let args = Args { once: true, sim, branch: None, state_dir, listen: None, poll: 30, accept_rewrite: false, helm: None };
    reconcile(context, args, Some(at)).await
}

async fn reconcile(context: &Context, args: Args, pinned: Option<Revision>) -> anyhow::Result<Exit> {
    let global = &context.settings.global;
    let Some(landscape) = global.landscape.clone() else {
        context.printer.error("which landscape?", Some("say --landscape NAME (its branch is landscape/NAME)"));
        return Ok(Exit::Usage);
    };
    let repo = open(&context.settings, args.state_dir.as_ref()).await?;
    let (connect, simulated) = reach(context, &args, &repo, &landscape).await?;
    // Simulated clusters have somebody who plays the extensions; charts are for those who ask for them.
    let helm = args.helm.clone().or_else(|| simulated.is_none().then(|| PathBuf::from("helm"))).map(Helm::new);
    let clusters = Clusters::new(BTreeMap::new(), Arc::new(config::now));
    let (view, mut seen) = watch::channel(Arc::new(View::default()));
    let options = Options {
        repo,
        branch: branch(&landscape, args.branch.as_deref()),
        pinned,
        root: global.path.clone(),
        landscape,
        clusters,
        connect,
        poll: Duration::from_secs(args.poll),
        once: args.once,
        accept_rewrite: args.accept_rewrite,
        identity: identity(&context.settings),
        helm,
        settings: Pace { status_every: if args.once { 1_000 } else { 5_000 }, ..Pace::default() },
        view,
    };
    if let Some(address) = args.listen {
        let bound = web::serve(address, seen.clone()).await.with_context(|| format!("failed to listen on {address}"))?;
        context.printer.note(&format!("listening on http://{bound}"));
    }
    let (stop, why) = stop_signal()?;
    let narrator = tokio::spawn({
        let printer = context.printer.clone();
        async move { super::progress::narrate(&printer, &mut seen).await }
    });
    let ended = daemon::run(options, stop).await;
    narrator.abort();
    drop(simulated);
    let ended = ended?;
    if ended.stopped {
        return Ok(why.get().copied().unwrap_or(Exit::Terminated));
    }
    context.printer.result(&super::progress::table(&ended.view));
    Ok(verdict(&ended.view))
}

/// All ready: 0. Something held: 1. Something failed: 5.
pub(super) fn verdict(view: &View) -> Exit {
    let worst = view.owners.values().map(|row| row.standing).min();
    match worst {
        Some(Standing::Failed) => Exit::Partly,
        Some(Standing::Held) => Exit::Something,
        _ if view.git_trouble.is_some() => Exit::Failed,
        _ => Exit::Done,
    }
}

/// The full name of a landscape's branch.
pub(super) fn branch(landscape: &str, said: Option<&str>) -> String {
    match said {
        Some(name) if name.starts_with("refs/") => name.to_owned(),
        Some(name) => format!("refs/heads/{name}"),
        None => format!("refs/heads/landscape/{landscape}"),
    }
}

/// Opens the repository that `--repo` names; the one around the working directory without it.
pub(super) async fn open(settings: &Settings, state: Option<&PathBuf>) -> anyhow::Result<Repo> {
    let text = settings.global.repo.as_deref().unwrap_or(".");
    let location: Location = text.parse()?;
    let credentials = Credentials {
        token: settings.git_token.clone().map(Zeroizing::new),
        agent: settings.ssh_agent,
        ..Credentials::default()
    };
    Ok(Repo::open(location, &daemon::cache_dir(state), credentials).await?)
}

/// Who we are among running processes.
pub(super) fn identity(settings: &Settings) -> String {
    format!("{}-{}", settings.host.as_deref().unwrap_or("localhost"), std::process::id())
}

/// How clusters are reached: simulated where that is said, else by the contexts that `landscape.yaml` names.
async fn reach(context: &Context, args: &Args, repo: &Repo, landscape: &str) -> anyhow::Result<(Connect, Option<Simulated>)> {
    let loaded = load(context, args, repo, landscape).await?;
    let says = loaded.landscape.as_ref().and_then(|l| l.value.pointer("/spec/clusters")).and_then(Value::as_str);
    if args.sim || says == Some("sim") {
        let park = Park::new(args.state_dir.as_ref().map(|dir| dir.join("clusters")), 1, Delays::None);
        let garden = park.open(&Target::Garden)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(hand_in_credentials(garden, loaded));
        return Ok((park.connect(), Some(Simulated { _park: park, _tasks: tasks })));
    }
    Ok((kubeconfig(kubeconfig_file(&context.settings)), None))
}

/// The kubeconfig that is meant.
pub(super) fn kubeconfig_file(settings: &Settings) -> Option<PathBuf> {
    settings.global.kubeconfig.clone().or_else(|| settings.home.as_ref().map(|home| home.join(".kube/config")))
}

/// Simulated clusters and the people who use them; all end when this is dropped.
struct Simulated {
    _park: Park,
    _tasks: JoinSet<()>,
}

async fn load(context: &Context, args: &Args, repo: &Repo, landscape: &str) -> anyhow::Result<crate::landscape::Landscape> {
    repo.fetch().await?;
    let branch = branch(landscape, args.branch.as_deref());
    let Some(revision) = repo.resolve(&branch).await? else { anyhow::bail!("there is no branch `{branch}`") };
    let snapshot = repo.snapshot(&revision, &context.settings.global.path).await?;
    Ok(crate::landscape::load(&snapshot, &mut crate::landscape::FileMemo::default()).0)
}

/// Clients from a kubeconfig file, by the contexts of `landscape.yaml`; or from inside a cluster.
pub(super) fn kubeconfig(file: Option<PathBuf>) -> Connect {
    Box::new(move |target, settings| {
        let file = file.clone();
        async move {
            let clusters = settings.as_ref().and_then(|s| s.pointer("/spec/clusters")).cloned().unwrap_or(Value::Null);
            let name = match &target {
                Target::Garden => clusters.get("garden").and_then(Value::as_str),
                Target::Seed(seed) => clusters.pointer("/seeds").and_then(|s| s.get(seed)).and_then(Value::as_str),
            };
            let Some(name) = name else {
                return Err(format!(
                    "landscape.yaml names no context for {target} (spec.clusters), and does not say `clusters: sim`"
                ));
            };
            let access = if name == "in-cluster" {
                Access::InCluster
            } else {
                let said = clusters.get("kubeconfig").and_then(Value::as_str).map(PathBuf::from);
                let Some(path) = said.or(file) else { return Err("there is no kubeconfig: say --kubeconfig FILE".to_owned()) };
                let text = std::fs::read_to_string(&path).map_err(|e| format!("failed to read {}: {e}", path.display()))?;
                Access::Kubeconfig { text: Zeroizing::new(text), context: Some(name.to_owned()) }
            };
            cluster::connect::client(&target, access).await.map_err(|e| e.to_string())
        }
        .boxed()
    })
}

/// Whether any shoot is not ready yet: for `demo`'s summary.
pub(super) fn unready(view: &View) -> usize {
    view.owners.iter().filter(|(o, row)| o.kind == Kind::Shoot && row.standing != Standing::Ready).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::view::Row;
    use crate::landscape::Owner;

    #[test]
    fn the_worst_that_is_left_is_how_a_pass_ended() {
        let view = |standings: &[Standing]| {
            let row = |standing: &Standing| Row { standing: *standing, progress: 0, note: String::new(), seed: String::new() };
            let owner = |n: usize| Owner::cluster(Kind::Seed, format!("seed-{n}"));
            View { owners: standings.iter().enumerate().map(|(n, s)| (owner(n), row(s))).collect(), ..View::default() }
        };
        assert_eq!(verdict(&view(&[Standing::Ready])), Exit::Done);
        assert_eq!(verdict(&view(&[Standing::Ready, Standing::Held])), Exit::Something);
        assert_eq!(verdict(&view(&[Standing::Held, Standing::Failed, Standing::Ready])), Exit::Partly);
        assert_eq!(verdict(&View { git_trouble: Some("gone".into()), ..view(&[Standing::Ready]) }), Exit::Failed);
    }
}
