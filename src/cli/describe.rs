//! `describe`: one object on a page: where it is written, what was accepted, how it stands, and what it waits for.

use std::collections::BTreeSet;

use serde_json::Value;

use super::drift::reconciled;
use super::live::{Found, Live};
use super::output::{self, Format, formats};
use super::reach::Reach;
use super::read::{self, Reading};
use super::reported::Reported;
use super::selector::{self, Selector};
use super::{Context, Exit};
use crate::admission::Accepted;
use crate::cluster::{self, KindRef};
use crate::finding::{Finding, On, Pointer};
use crate::git::Repo;
use crate::landscape::nearest::nearest;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{ACCEPTED_REVISION_ANNOTATION, garden_key};
use crate::print::describe::Description;
use crate::print::json;
use crate::print::origin::author;
use crate::print::preview::range;
use crate::status::{describe, state_name};

/// Show one object on a page: where it is written, what was accepted, how it stands, what it waits for.
///
/// Reads the repository and its status branch, and, where they can be reached, the garden and the seed, without writing anything.
/// Clusters that cannot be reached leave the page with what was reported last.
///
/// Examples:
///   espalier describe shop/prod
///   espalier describe seed/aws-eu1 --offline
///   espalier describe shoot/shop/prod -o json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Which: PROJECT/SHOOT, KIND/NAME, KIND/PROJECT/NAME; all that fit are shown
    #[arg(value_name = "KIND/NAME", required = true)]
    selectors: Vec<Selector>,
    /// Ask no cluster
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    reach: Reach,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

/// So many events are told.
const EVENTS: usize = 10;
/// So many commits back is looked for who changed a file.
const COMMITS: usize = 1_000;

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    // What is written now, and what was reconciled: the page tells where they differ.
    let written = read::read(read::committed(context).await?).not_empty()?;
    let (reading, reported, repo) = reconciled(context).await?;
    let mut owners: BTreeSet<Owner> = written.landscape.objects().map(|(owner, ..)| owner).collect();
    owners.extend(written.landscape.broken.keys().chain(reported.files.keys()).cloned());
    let known: Vec<String> = owners.iter().map(Owner::key).collect();
    let wanted = |owner: &Owner| selector::named(&args.selectors, owner);
    owners.retain(|owner| wanted(owner));
    if owners.is_empty() {
        let said = args.selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let hint = nearest(&said, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        context.printer.error(&format!("nothing in {} is called {said}", written.from), hint.as_deref());
        return Ok(Exit::Failed);
    }
    let mut live = None;
    if !args.offline {
        live = Some(Live::look(context, &args.reach, reading, &reported, wanted).await?);
    }
    let (_, findings) = written.admit(&Accepted::default(), read::now(&context.settings, None, None)?);
    let mut pages = Vec::new();
    for owner in &owners {
        let mut page = page(context, owner, &written, &reported, repo.as_ref(), live.as_mut()).await?;
        let name = owner.to_string();
        page.findings = findings.iter().filter(|finding| finding.owner == name).map(|finding| told(finding, &written)).collect();
        pages.push(page);
    }
    if let Some(live) = live {
        let notes: BTreeSet<String> = live.notes.iter().cloned().collect();
        for note in &notes {
            context.printer.note(note);
        }
        live.close().await;
    }
    match args.output {
        Format::Text => {
            let texts: Vec<String> = pages.iter().map(Description::text).collect();
            context.printer.result(&texts.join("\n"));
        }
        format => {
            let mut items: Vec<Value> = pages.iter().map(Description::json).collect();
            let answer = match items.len() {
                1 => json::envelope("Description", items.remove(0)),
                _ => json::envelope("DescriptionList", serde_json::json!({ "items": items })),
            };
            output::answer(context, format, &answer);
        }
    }
    Ok(Exit::Done)
}

async fn page(
    context: &Context,
    owner: &Owner,
    written: &Reading,
    reported: &Reported,
    repo: Option<&Repo>,
    live: Option<&mut Live>,
) -> anyhow::Result<Description> {
    let now = read::now(&context.settings, None, None)?;
    let document = written.landscape.document(owner);
    let place = document.map(|document| {
        let mut place = document.place(&Pointer::root(), On::Value);
        place.path = written.shown(&place.path);
        place.to_string()
    });
    let path = document.map(|document| document.path().clone());
    let changed = match (repo, path) {
        (Some(repo), Some(path)) if written.snapshot.revision.0 != read::WORKTREE => {
            let path = format!("{}{path}", written.prefix);
            let versions = repo.versions(&path, &written.snapshot.revision, COMMITS).await?;
            versions.into_iter().next().map(|version| {
                let commit = version.commit;
                (commit.revision.short().to_owned(), author(&commit), commit.subject, commit.committed)
            })
        }
        _ => None,
    };
    let file = reported.files.get(owner);
    let text = |pointer: &str| Some(reported.text(owner, pointer).to_owned()).filter(|text| !text.is_empty());
    let manifest = written.landscape.value(owner);
    let mut page = Description {
        owner: owner.clone(),
        place,
        written: changed,
        accepted: text("/acceptedRevision"),
        seed: text("/seed").or_else(|| manifest.and_then(|m| m.pointer("/spec/seedName")?.as_str()).map(str::to_owned)),
        standing: (reported.standing(owner).to_owned(), reported.why(owner)),
        spec: manifest.map(|manifest| spec(owner, manifest)).unwrap_or_default(),
        status: file.and_then(|f| f.get("status")).cloned().unwrap_or_default(),
        components: components(file),
        waits: Vec::new(),
        findings: Vec::new(),
        drift: None,
        events: Vec::new(),
        operations: operations(owner, reported),
        source: reported.commit.as_ref().map_or_else(
            || "the repository; nothing was reported yet".to_owned(),
            |commit| format!("the repository and status commit {}", commit.short()),
        ),
        notes: Vec::new(),
        now: now.as_second(),
    };
    if page.standing.0 == "ready" {
        page.standing.1.clear();
    }
    if let Some(live) = live {
        look(owner, live, &mut page).await;
    }
    let open = |state: &str| matches!(state, "waiting" | "blocked" | "progressing" | "held" | "failed");
    let waits = page.components.iter().filter(|[_, _, state, _]| open(state));
    page.waits = waits.map(|[name, _, state, why]| format!("{name} ({state}): {why}")).collect();
    Ok(page)
}

/// Puts what the clusters say in the place of what was reported.
async fn look(owner: &Owner, live: &mut Live, page: &mut Description) {
    live.prepare(owner).await;
    let Found { drift, components, .. } = live.find(owner).await;
    if !live.is_there() {
        page.notes.clone_from(&live.notes);
        return;
    }
    if let Some(object) = live.garden(owner) {
        page.accepted = object.annotations.get(ACCEPTED_REVISION_ANNOTATION).cloned().or(page.accepted.take());
        let seed = object.get("/spec/seedName").and_then(Value::as_str).map(str::to_owned);
        page.seed = seed.filter(|_| owner.kind == Kind::Shoot).or(page.seed.take());
        page.status = object.get("/status").cloned().unwrap_or_default();
    } else {
        page.notes.push(format!("the garden has no {owner}"));
    }
    page.components = components
        .iter()
        .map(|stands| {
            let (state, why) = if stands.drifted {
                ("drifted", "somebody changed it; the next pass restores it".to_owned())
            } else {
                (state_name(&stands.state), describe(&stands.state).unwrap_or_default())
            };
            [stands.name.clone(), stands.target.to_string(), state.to_owned(), why]
        })
        .collect();
    if let Some(nodes) = live.nodes(owner).await {
        let pools: Vec<String> = nodes.iter().map(|(pool, nodes)| format!("{pool} {nodes}")).collect();
        page.spec.push(("Nodes".to_owned(), pools.join(", ")));
    }
    page.events = events(owner, live).await;
    page.drift = Some(drift);
    page.source = format!("the repository and the clusters, {}", live.at.strftime("%Y-%m-%dT%H:%M:%SZ"));
    page.notes.extend(live.notes.iter().cloned());
}

/// The latest events about an owner's object in the garden.
async fn events(owner: &Owner, live: &mut Live) -> Vec<[String; 4]> {
    let key = garden_key(owner);
    let namespace = if key.namespace.is_empty() { "default" } else { key.namespace.as_str() };
    let kind = KindRef::new("v1", "Event");
    let listed = match cluster::whole_in(live.clusters(), &Target::Garden, &kind, namespace).await {
        Ok(listed) => listed,
        Err(why) => {
            live.notes.push(format!("events could not be read: {why}"));
            return Vec::new();
        }
    };
    let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |event: &Value| {
        let times = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
        times.iter().map(|pointer| text(event, pointer)).find(|time| !time.is_empty()).unwrap_or_default()
    };
    let about =
        |event: &&Value| text(event, "/involvedObject/kind") == key.kind && text(event, "/involvedObject/name") == key.name;
    let mut events: Vec<[String; 4]> = listed
        .iter()
        .filter(about)
        .map(|event| [time(event), text(event, "/type"), text(event, "/reason"), text(event, "/message")])
        .collect();
    events.sort();
    events.split_off(events.len().saturating_sub(EVENTS))
}

/// What is written, in a few words.
fn spec(owner: &Owner, manifest: &Value) -> Vec<(String, String)> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let place = |kind: &str, region: &str| format!("{} {}", text(kind), text(region)).trim().to_owned();
    let line = |name: &str, value: String| (name.to_owned(), value);
    let lines = match owner.kind {
        Kind::Shoot => {
            let hibernated = manifest.pointer("/spec/hibernation/enabled").and_then(Value::as_bool) == Some(true);
            vec![
                line("Provider", place("/spec/provider/type", "/spec/region")),
                line("Kubernetes", text("/spec/kubernetes/version").to_owned()),
                line("Purpose", text("/spec/purpose").to_owned()),
                line("HA", text("/spec/controlPlane/highAvailability/failureTolerance/type").to_owned()),
                line("Hibernated", if hibernated { "yes".to_owned() } else { String::new() }),
                line("Pools", pools(manifest)),
            ]
        }
        Kind::Seed => vec![line("Provider", place("/spec/provider/type", "/spec/provider/region"))],
        Kind::Project => vec![line("Owner", text("/spec/owner/name").to_owned())],
        _ => Vec::new(),
    };
    lines.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// `cpu 3–10 × m5.large, gpu 2 × p3`.
fn pools(manifest: &Value) -> String {
    let pools = manifest.pointer("/spec/provider/workers").and_then(Value::as_array).into_iter().flatten();
    let pool = |worker: &Value| {
        let number = |key: &str| worker.get(key).and_then(Value::as_i64).unwrap_or_default();
        let text = |pointer: &str| worker.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (least, most) = (number("minimum"), number("maximum"));
        format!("{} {} × {}", text("/name"), range(least, most), text("/machine/type"))
    };
    pools.map(pool).collect::<Vec<_>>().join(", ")
}

/// The components as they were reported.
fn components(file: Option<&Value>) -> Vec<[String; 4]> {
    let reported = file.and_then(|f| f.get("components")).and_then(Value::as_object).into_iter().flatten();
    reported
        .filter_map(|(name, state)| {
            let state = state.as_str()?;
            let (state, why) = state.split_once(": ").unwrap_or((state, ""));
            Some([name.clone(), "-".to_owned(), state.to_owned(), why.to_owned()])
        })
        .collect()
}

/// Operations that were about an owner, as they were reported.
fn operations(owner: &Owner, reported: &Reported) -> Vec<[String; 3]> {
    let all = reported.files.iter().filter(|(other, _)| other.kind == Kind::Operation);
    let about = all.filter(|(_, file)| {
        let shoots = file.pointer("/status/shoots").and_then(Value::as_array).into_iter().flatten();
        shoots.filter_map(Value::as_str).any(|shoot| owner.kind == Kind::Shoot && shoot == owner.key())
    });
    let text = |file: &Value, pointer: &str| file.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    about.map(|(other, file)| [other.name.clone(), text(file, "/status/state"), text(file, "/status/message")]).collect()
}

fn told(finding: &Finding, written: &Reading) -> [String; 4] {
    let place = finding.places.first().map(|place| {
        let mut place = place.clone();
        place.path = written.shown(&place.path);
        place.to_string()
    });
    [finding.severity.to_string(), finding.code.to_string(), finding.message.clone(), place.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pools_are_told_in_a_line() {
        let shoot = json!({"spec": {"provider": {"workers": [
            {"name": "cpu", "minimum": 3, "maximum": 10, "machine": {"type": "m5"}},
            {"name": "gpu", "minimum": 2, "maximum": 2, "machine": {"type": "p3"}},
        ]}}});
        assert_eq!(pools(&shoot), "cpu 3–10 × m5, gpu 2 × p3");
        let reported = json!({"components": {"etcd": "ready", "vpn": "waiting: an address"}});
        let told = components(Some(&reported));
        assert_eq!(told[1], ["vpn", "-", "waiting", "an address"].map(str::to_owned));
    }
}
