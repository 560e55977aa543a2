//! Throughput of simulated clusters beside a real API server: `cargo build --release && cargo run --release --example serving`,
//! with `KUBEBUILDER_ASSETS` for the real one. Nothing is asserted; figures are printed.
//!
//! The same requests go to a simulated cluster inside this process (in memory, then on disk), to `espalier sim serve` and to
//! kube-apiserver with etcd, over HTTPS (HTTP/1.1, one connection per client) where there is a socket. `sim` syncs each transaction
//! to disk and puts whatever waits into one; etcd is measured both without syncing and syncing each batch. Server and clients share
//! the machine. Memory is what 10,000 objects add to the resident set, once they are there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use espalier::sim::{Delays, Options, Sim};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

#[path = "../real/server.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod server;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Objects that are applied, read and listed.
const OBJECTS: usize = 2_000;
/// Changes that everyone who watches gets.
const CHANGES: usize = 500;
/// Objects by which memory is measured.
const MANY: usize = 10_000;
const CLIENTS: [usize; 3] = [1, 8, 32];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A cluster, and how clients of it are made.
struct Side {
    name: &'static str,
    connect: Box<dyn Fn() -> kube::Client>,
    /// The processes that make it up.
    processes: Vec<u32>,
}

#[expect(clippy::print_stdout, reason = "this prints what it measured")]
fn say(side: &str, what: &str, clients: usize, figure: &str) {
    println!("{side:<34} {what:<22} {clients:>2} clients {figure:>16}");
}

#[expect(clippy::disallowed_methods, reason = "this is a stopwatch")]
fn now() -> Instant {
    Instant::now()
}

fn object(nth: usize, turn: usize) -> ConfigMap {
    let data = [("turn", turn.to_string()), ("nth", nth.to_string()), ("text", "some text that is as long as a line ".repeat(4))];
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(format!("object-{nth}")),
            labels: Some(BTreeMap::from([("app".to_owned(), "bench".to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
        ..ConfigMap::default()
    }
}

/// Does the work of `count` requests with so many clients, one request in flight each; requests per second.
async fn rate<F>(
    side: &Side,
    namespace: &str,
    clients: usize,
    count: usize,
    work: impl Fn(Api<ConfigMap>, usize) -> F,
) -> Result<f64>
where
    F: Future<Output = kube::Result<ConfigMap>>,
{
    let apis: Vec<Api<ConfigMap>> = (0..clients).map(|_| Api::namespaced((side.connect)(), namespace)).collect();
    // Connections are made before the clock runs.
    for api in &apis {
        api.get_opt("nothing").await?;
    }
    let began = now();
    let each = apis.into_iter().enumerate().map(|(client, api)| {
        let work = &work;
        async move {
            for nth in (client..count).step_by(clients) {
                work(api.clone(), nth).await?;
            }
            Ok::<(), kube::Error>(())
        }
    });
    futures::future::try_join_all(each).await?;
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

async fn apply(api: Api<ConfigMap>, nth: usize, turn: usize) -> kube::Result<ConfigMap> {
    let (object, how) = (object(nth, turn), PatchParams::apply("bench").force());
    let name = format!("object-{nth}");
    api.patch(&name, &how, &Patch::Apply(&object)).await
}

async fn namespace(side: &Side, name: &str) -> Result<()> {
    let body = Namespace { metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }, ..Namespace::default() };
    Api::<Namespace>::all((side.connect)()).create(&kube::api::PostParams::default(), &body).await?;
    Ok(())
}

async fn measure(side: &Side) -> Result<()> {
    for clients in CLIENTS {
        let name = format!("bench-{clients}");
        namespace(side, &name).await?;
        for (what, turn) in [("apply, create", 0), ("apply, no change", 0), ("apply, change", 1)] {
            let figure = rate(side, &name, clients, OBJECTS, |api, nth| apply(api, nth, turn)).await?;
            say(side.name, what, clients, &format!("{figure:.0} /s"));
        }
        let figure =
            rate(side, &name, clients, OBJECTS, |api, nth| async move { api.get(&format!("object-{nth}")).await }).await?;
        say(side.name, "get", clients, &format!("{figure:.0} /s"));
        let api: Api<ConfigMap> = Api::namespaced((side.connect)(), &name);
        let mut times = Vec::new();
        for _ in 0..11 {
            let request = http::Request::get(format!("/api/v1/namespaces/{name}/configmaps")).body(Vec::new())?;
            let began = now();
            let text = api.clone().into_client().request_text(request).await?;
            assert!(text.len() > OBJECTS * 100, "a list of everything");
            times.push(began.elapsed());
        }
        times.sort();
        say(side.name, "list of 2,000, JSON", 1, &format!("{:.1} ms", times[times.len() / 2].as_secs_f64() * 1e3));
        fan_out(side, &name, clients).await?;
    }
    Ok(())
}

/// So many clients watch, eight write: events delivered per second, all together, until everyone has seen everything.
async fn fan_out(side: &Side, name: &str, clients: usize) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced((side.connect)(), name);
    let start = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version.unwrap_or_default();
    let mut watching = Vec::new();
    for _ in 0..clients {
        let api: Api<ConfigMap> = Api::namespaced((side.connect)(), name);
        let events = api.watch(&WatchParams::default(), &start).await?.boxed();
        watching.push(tokio::spawn(async move {
            let changes = events.try_filter(|event| std::future::ready(matches!(event, WatchEvent::Modified(_))));
            changes.take(CHANGES).try_fold(0, |seen, _| std::future::ready(Ok(seen + 1))).await
        }));
    }
    let began = now();
    rate(side, name, 8, CHANGES, |api, nth| apply(api, nth, 100 + clients)).await?;
    for watcher in watching {
        assert_eq!(watcher.await??, CHANGES, "everyone sees everything");
    }
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let figure = (CHANGES * clients) as f64 / began.elapsed().as_secs_f64();
    say(side.name, "watch, events", clients, &format!("{figure:.0} /s"));
    Ok(())
}

/// The resident set of some processes, in KiB.
fn resident(processes: &[u32]) -> u64 {
    let of = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    processes.iter().map(of).sum()
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{}.{} MiB", kibibytes / 1024, kibibytes % 1024 * 10 / 1024)
}

async fn memory(side: &Side) -> Result<()> {
    namespace(side, "memory").await?;
    let before = resident(&side.processes);
    rate(side, "memory", 8, MANY, |api, nth| apply(api, nth, 0)).await?;
    let after = resident(&side.processes);
    say(side.name, "memory of 10,000", 8, &mebibytes(after.saturating_sub(before)));
    say(side.name, "memory, all", 8, &mebibytes(after));
    Ok(())
}

fn simulated(state: Option<PathBuf>) -> Result<Sim> {
    let (name, start) = ("garden".to_owned(), "2026-11-28T00:00:00Z".parse()?);
    Ok(Sim::open(Options { name, state, seed: 1, actors: false, garden: false, delays: Delays::None, start })?)
}

/// `espalier sim serve`; it ends with the value.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn serve(dir: &Path) -> Result<(Served, Kubeconfig)> {
    let program = std::env::current_exe()?.with_file_name("../espalier");
    let mut child = Command::new(program)
        .args(["sim", "serve", "--no-controllers", "--state-dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((Served(child), Kubeconfig::read_from(line.trim_end())?))
}

async fn connector(kubeconfig: Kubeconfig) -> Result<Box<dyn Fn() -> kube::Client>> {
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.read_timeout = Some(Duration::from_mins(5));
    Ok(Box::new(move || kube::Client::try_from(config.clone()).expect("a client of a good configuration")))
}

#[tokio::main]
async fn main() -> Result<()> {
    let here = vec![std::process::id()];
    let dir = tempfile::tempdir()?;
    {
        let sim = simulated(None)?;
        let side = Side { name: "sim in process, in memory", connect: Box::new(move || sim.client()), processes: here.clone() };
        memory(&side).await?;
        measure(&side).await?;
    }
    {
        let sim = simulated(Some(dir.path().join("garden.redb")))?;
        let side = Side { name: "sim in process, synced", connect: Box::new(move || sim.client()), processes: here };
        measure(&side).await?;
    }
    {
        let (served, kubeconfig) = serve(&dir.path().join("served"))?;
        let processes = vec![served.0.id()];
        let side = Side { name: "sim serve, synced", connect: connector(kubeconfig).await?, processes };
        memory(&side).await?;
        measure(&side).await?;
    }
    let Some(assets) = server::assets() else { return Ok(()) };
    for (name, synced) in [("kube-apiserver, etcd not synced", false), ("kube-apiserver, etcd synced", true)] {
        let server = server::Server::start_with(&assets, server::SERVICES, synced).await;
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig())?;
        let side = Side { name, connect: connector(kubeconfig).await?, processes: server.processes() };
        memory(&side).await?;
        measure(&side).await?;
    }
    Ok(())
}
