//! `kubeconfig`: a way into a shoot for a while, issued on the spot and kept nowhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use serde_json::Value;
use zeroize::Zeroizing;

use super::output::{Format, formats};
use super::simulated::Park;
use super::{Context, Exit, private, read, run, sim};
use crate::apply::generate::person::{self, Ask, Role};
use crate::cluster::{self, Access, Clusters};
use crate::config;
use crate::document;
use crate::landscape::Target;
use crate::landscape::nearest::nearest;
use crate::observed::project_namespace;
use crate::pipeline::wildcard::ADDRESS;
use crate::print::json;

/// Issue a kubeconfig for a shoot that is valid for a while: to look, or with --admin to do everything.
///
/// The shoot's own authority signs a new client certificate, in the name by which the garden knows you. Nothing is kept of it, and
/// nobody can take it back before it ends. The garden is the one that `landscape.yaml` names; that of a demo is in its --state-dir
/// or, while it runs, behind its kubeconfig.
///
/// Examples:
///   espalier kubeconfig shop/store --out store.yaml
///   espalier kubeconfig shop/store --admin --expiration 30m -o yaml | kubectl --kubeconfig /dev/stdin get nodes
///   espalier kubeconfig shop/store --state-dir espalier-demo/state --out store.yaml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The shoot
    #[arg(value_name = "PROJECT/SHOOT", value_parser = shoot)]
    shoot: (String, String),
    /// May do everything, not only look
    #[arg(long)]
    admin: bool,
    /// How long it is valid, from 10m to 24h
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    expiration: SignedDuration,
    /// Write it to this file, which only you may read
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    out: Option<PathBuf>,
    /// Print it in this format [default: yaml, unless stdout is a terminal]
    #[arg(short, long, value_name = "FORMAT", value_parser = formats(&[Format::Yaml, Format::Json]))]
    output: Option<Format>,
    /// Folder of simulated clusters that no process has open, as `run --sim` and `demo` keep them
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

fn shoot(text: &str) -> Result<(String, String), String> {
    let name = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match text.strip_prefix("shoot/").unwrap_or(text).split_once('/') {
        Some((project, shoot)) if name(project) && name(shoot) => Ok((project.to_owned(), shoot.to_owned())),
        _ => Err("a shoot is PROJECT/SHOOT".to_owned()),
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let refuse = |exit: Exit, why: String, hint: &str| {
        context.printer.error(&why, Some(hint));
        Ok(exit)
    };
    if args.expiration < person::SHORTEST || args.expiration > person::LONGEST {
        let why = format!("a kubeconfig cannot be valid for {:#}", args.expiration);
        return refuse(Exit::Usage, why, "Gardener gives 10m to 24h: --expiration 1h");
    }
    if args.out.is_none() && args.output.is_none() && std::io::stdout().is_terminal() {
        let why = "a private key is not shown on a terminal by itself".to_owned();
        return refuse(Exit::Usage, why, "say --out FILE, or -o yaml");
    }
    let (project, name) = &args.shoot;
    let called = format!("{project}/{name}");
    let clusters = garden(context, args.state_dir.as_deref()).await?;
    let namespace = project_namespace(project);
    let shoot = match look(&clusters, &namespace, name).await? {
        Ok(shoot) => shoot,
        Err(others) => {
            let near = nearest(name, others.iter().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `espalier kubeconfig {project}/{near}`?"),
                None => "`espalier get shoots` lists those that are written, and how they stand".to_owned(),
            };
            return refuse(Exit::Failed, format!("there is no shoot {called} in the garden"), &hint);
        }
    };
    if let Some((why, hint)) = closed(&shoot, &called) {
        return refuse(Exit::Failed, why, &hint);
    }
    let servers = addresses(&shoot);
    let trust = config_map(&clusters, &namespace, &format!("{name}.ca-cluster")).await?;
    let authority = cluster::internal_secret(&clusters, &namespace, &format!("{name}.ca-client")).await?;
    let (Some(trust), Some(authority), false) = (trust, authority, servers.is_empty()) else {
        return refuse(Exit::Failed, not_ready(&shoot, &called), &format!("`espalier wait {called}` waits for it"));
    };
    if let Some(why) = trouble(&shoot) {
        context.printer.note(&format!("the API server of {called} may not answer: {why}"));
    }
    let user = cluster::whoami(&clusters, &Target::Garden).await?;
    let now = read::now(&context.settings, None, None)?;
    let role = if args.admin { Role::Admin } else { Role::Viewer };
    let ask = Ask {
        name: &format!("{namespace}--{name}"),
        user: &user,
        role,
        lifetime: args.expiration,
        servers: &servers,
        trust: &trust,
    };
    let made = person::kubeconfig(&ask, &authority, now).with_context(|| format!("no kubeconfig for {called}"))?;
    let text = Zeroizing::new(match args.output {
        Some(Format::Json) => json::json(&made),
        _ => document::to_yaml(&made),
    });
    match &args.out {
        Some(path) => private::write(path, &text)?,
        None => context.printer.result(&text),
    }
    let until = now.checked_add(args.expiration).map_or_else(|_| "the end of time".to_owned(), |until| until.to_string());
    let word = role.word();
    context.printer.note(&format!("{called}: {word} kubeconfig for `{user}`, valid until {until}"));
    Ok(Exit::Done)
}

/// The shoot in the garden; the names of the project's others if it is not there.
async fn look(clusters: &Clusters, namespace: &str, name: &str) -> anyhow::Result<Result<Value, Vec<String>>> {
    let garden = clusters.cluster(&Target::Garden)?;
    let path = format!("/apis/core.gardener.cloud/v1beta1/namespaces/{namespace}/shoots");
    match garden.get::<Value>(&format!("{path}/{name}")).await {
        Ok(shoot) => return Ok(Ok(shoot)),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let others = match garden.get::<Value>(&path).await {
        Ok(list) => list,
        Err(error) if error.is_not_found() => Value::Null,
        Err(error) => return Err(error.into()),
    };
    let items = others.get("items").and_then(Value::as_array).into_iter().flatten();
    Ok(Err(items.filter_map(|item| item.pointer("/metadata/name")?.as_str().map(str::to_owned)).collect()))
}

async fn config_map(clusters: &Clusters, namespace: &str, name: &str) -> anyhow::Result<Option<String>> {
    let garden = clusters.cluster(&Target::Garden)?;
    match garden.get::<Value>(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}")).await {
        Ok(map) => Ok(map.pointer("/data/ca.crt").and_then(Value::as_str).map(str::to_owned)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why nobody gets in, whatever they hold, and what to do.
fn closed(shoot: &Value, called: &str) -> Option<(String, String)> {
    let flag = |pointer: &str| shoot.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    if shoot.pointer("/metadata/deletionTimestamp").is_some() {
        return Some((format!("{called} is being deleted"), format!("`espalier get shoot {called}` shows how far that is")));
    }
    if flag("/status/hibernated") || flag("/spec/hibernation/enabled") {
        let hint = format!("commit `spec.hibernation.enabled: false` to wake it, then `espalier wait {called}`");
        return Some((format!("{called} is hibernated: it has no API server"), hint));
    }
    let last = |field: &str| shoot.pointer(&format!("/status/lastOperation/{field}")).and_then(Value::as_str);
    let creating = last("type") == Some("Create") && last("state") != Some("Succeeded");
    if creating && trouble(shoot).is_some() {
        return Some((not_ready(shoot, called), format!("`espalier wait {called}` waits for it")));
    }
    None
}

fn not_ready(shoot: &Value, called: &str) -> String {
    let why = shoot.pointer("/status/lastOperation/description").and_then(Value::as_str).filter(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {}", why.trim_end_matches('.')));
    format!("the control plane of {called} is not ready yet{why}")
}

/// Why its API server may not answer.
fn trouble(shoot: &Value) -> Option<String> {
    let conditions = shoot.pointer("/status/conditions").and_then(Value::as_array);
    let is_it = |c: &&Value| c.get("type").and_then(Value::as_str) == Some("APIServerAvailable");
    let condition = conditions.into_iter().flatten().find(is_it);
    let text = |field: &str| condition.and_then(|c| c.get(field)).and_then(Value::as_str);
    match text("status") {
        Some("True") => None,
        Some(_) => Some(text("message").unwrap_or("it is not as wanted").trim_end_matches('.').to_owned()),
        None => Some("nothing is known of it".to_owned()),
    }
}

/// Where its API server is: what each address is called, and its URL. That of the token issuer is none.
fn addresses(shoot: &Value) -> Vec<(String, String)> {
    let all = shoot.pointer("/status/advertisedAddresses").and_then(Value::as_array);
    let text = |address: &Value, field: &str| address.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut found: Vec<(String, String)> = all
        .into_iter()
        .flatten()
        .filter(|address| address.get("application").is_none_or(Value::is_null))
        .filter_map(|address| Some((text(address, "name")?, text(address, "url")?)))
        .filter(|(name, _)| matches!(name.as_str(), "external" | "internal" | "unmanaged" | ADDRESS))
        .collect();
    // The address for people first.
    found.sort_by_key(|(name, _)| name != "external");
    found
}

/// The garden: the one in a folder, or the one that the landscape names.
async fn garden(context: &Context, state: Option<&Path>) -> anyhow::Result<Clusters> {
    let client = match state {
        Some(dir) => simulated(dir)?,
        None => named(context).await?,
    };
    Ok(Clusters::new(BTreeMap::from([(Target::Garden, client)]), Arc::new(config::now)))
}

/// The garden of simulated clusters, from its file; nobody acts in it meanwhile.
fn simulated(dir: &Path) -> anyhow::Result<kube::Client> {
    let folder = sim::folder(dir);
    if !folder.join(format!("{}.redb", Target::Garden)).is_file() {
        bail!("there is no simulated garden in {}", dir.display());
    }
    Park::still(folder).open(&Target::Garden).context(sim::OPEN)
}

async fn named(context: &Context) -> anyhow::Result<kube::Client> {
    let settings = &context.settings;
    let reading = read::read(read::committed(context).await?).not_empty()?;
    let root = reading.landscape.settings().cloned();
    let simulated = root.as_ref().and_then(|root| root.pointer("/spec/clusters")).and_then(Value::as_str) == Some("sim");
    if !simulated {
        let connect = run::kubeconfig(run::kubeconfig_file(settings));
        return connect(Target::Garden, root).await.map_err(anyhow::Error::msg);
    }
    let Some(path) = &settings.global.kubeconfig else {
        bail!(
            "the clusters of landscape {} are simulated: say --state-dir DIR for what they left, or --kubeconfig FILE while they are served",
            reading.landscape.name
        );
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let access = Access::Kubeconfig { text: Zeroizing::new(text), context: Some(Target::Garden.to_string()) };
    Ok(cluster::connect::client(&Target::Garden, access).await?)
}
