//! `sim serve`: simulated clusters behind one listener, for kubectl and every other client.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;

use super::{Context, Exit, OPEN, files, folder};
use crate::cli::simulated::Park;
use crate::cli::{private, stop_signal};
use crate::landscape::Target;
use crate::sim::{self, Delays, Schedule, SimError};

/// Serve simulated clusters over HTTPS until interrupted: https://ADDRESS/clusters/NAME each.
///
/// DIR/kubeconfig has one context per cluster, named after it, with a token that may do everything; only you may read the file,
/// and its path is printed once the clusters can be reached. Without a token /healthz, /livez, /readyz and /version answer, and
/// nothing else. What was acknowledged is on disk. The authority and the tokens are kept: the kubeconfig goes on working on the
/// same port.
///
/// Examples:
///   espalier sim serve --state-dir /tmp/clusters --listen 127.0.0.1:6443
///   espalier sim serve --state-dir /tmp/clusters --fault-seed 7
///   kubectl --kubeconfig /tmp/clusters/kubeconfig --context garden get namespaces
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Folder of the clusters; those that are there are served, and so is what a stopped `demo` or `run --sim` left
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    state_dir: PathBuf,
    /// Where to listen; port 0: any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Let --listen name an address that other machines can reach; they need `tls-server-name: localhost` in their kubeconfig
    #[arg(long)]
    allow_remote: bool,
    /// Serve this one, made if it is not there: garden, seed-NAME; may be repeated [default: all that are there, or garden]
    #[arg(long = "cluster", value_name = "NAME")]
    clusters: Vec<Target>,
    /// Only the API server: no simulated controller acts on what is written
    #[arg(long)]
    no_controllers: bool,
    /// How quick the simulated controllers are
    #[arg(long, value_enum, default_value_t = Speed::Short, value_name = "SPEED", conflicts_with = "no_controllers")]
    speed: Speed,
    /// Let go wrong what this schedule says: refusals, broken connections, lost watches and more, at counted requests
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// The same with the schedule that this number stands for, which is kept as DIR/faults.yaml and printed to stderr
    #[arg(long, value_name = "N", conflicts_with = "faults")]
    fault_seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Speed {
    /// Everything happens at once
    None,
    /// Milliseconds to a second
    Short,
    /// Seconds to minutes, as real ones take
    Real,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let printer = &context.printer;
    if !args.listen.ip().is_loopback() && !args.allow_remote {
        let why = format!("{} can be reached by other machines", args.listen.ip());
        printer.error(&why, Some("listen on 127.0.0.1, or say --allow-remote"));
        return Ok(Exit::Usage);
    }
    let dir = &args.state_dir;
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let dir = std::fs::canonicalize(dir).with_context(|| format!("failed to find {}", dir.display()))?;
    let folder = folder(&dir);
    let mut wanted: BTreeSet<Target> = args.clusters.iter().cloned().collect();
    if wanted.is_empty() {
        for (name, file) in files(&folder) {
            wanted.insert(name.parse().map_err(|_| anyhow!("{} is no cluster's name", file.display()))?);
        }
    }
    if wanted.is_empty() {
        wanted.insert(Target::Garden);
    }
    let Some(faults) = schedule(context, &args, &dir)? else { return Ok(Exit::Failed) };
    // From here on a signal ends it in order.
    let (mut stop, why) = stop_signal()?;
    let delays = match args.speed {
        Speed::None => Delays::None,
        Speed::Short => Delays::Short,
        Speed::Real => Delays::Real,
    };
    let park = Park::new(Some(folder.clone()), 1, delays).with_faults(faults);
    let park = if args.no_controllers { park.without_controllers() } else { park };
    for target in wanted {
        match park.open(&target) {
            Err(error) if matches!(error.downcast_ref(), Some(SimError::Held { .. })) => {
                printer.error(&error.to_string(), Some(OPEN));
                return Ok(Exit::Failed);
            }
            opened => opened?,
        };
    }
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("failed to listen on {}", args.listen))?;
    let serving = sim::serve(park.sims(), listener, Some(&folder)).await?;
    let kubeconfig = dir.join("kubeconfig");
    private::write(&kubeconfig, &serving.kubeconfig)?;
    for name in park.sims().keys() {
        printer.note(&format!("serving https://{}/clusters/{name}", serving.address));
    }
    printer.line(&kubeconfig.display().to_string());
    // The sender lives as long as this process.
    drop(stop.wait_for(|stop| *stop).await);
    serving.stop().await;
    park.close().await;
    Ok(why.get().copied().unwrap_or(Exit::Terminated))
}

/// The faults that are asked for; `None` if their file cannot be used, and it was said why.
fn schedule(context: &Context, args: &Args, dir: &Path) -> anyhow::Result<Option<Schedule>> {
    let printer = &context.printer;
    if let Some(seed) = args.fault_seed {
        let drawn = Schedule::drawn(seed);
        let (file, text) = (dir.join("faults.yaml"), drawn.to_yaml());
        std::fs::write(&file, &text).with_context(|| format!("failed to write {}", file.display()))?;
        printer.note(&format!("{text}--faults {} lets the same go wrong again", file.display()));
        return Ok(Some(drawn));
    }
    let Some(file) = &args.faults else { return Ok(Some(Schedule::default())) };
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    match Schedule::parse(&file.display().to_string(), &text) {
        Ok(schedule) => Ok(Some(schedule)),
        Err(mistakes) => {
            for mistake in mistakes {
                printer.error(&format!("{}: {}", mistake.place, mistake.what), Some(&mistake.help));
            }
            Ok(None)
        }
    }
}
