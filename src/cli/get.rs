//! `get`: objects of a landscape, as they are written and as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::explain::kind_of;
use super::output::{self, Format, formats};
use super::reported::Reported;
use super::{Context, Exit, read, selector};
use crate::landscape::nearest::nearest;
use crate::landscape::{Kind, Owner};
use crate::observed::project_namespace;
use crate::print::{json, table};

/// List objects of a landscape with how they stand, from Git alone.
///
/// Reads the landscape (its branch with --landscape, else the folder or the commit around the working directory) and its status
/// branch. Needs no cluster.
///
/// Examples:
///   espalier get shoots
///   espalier get shoots -p shop -o wide
///   espalier get seed aws-eu1 -o yaml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Kind, such as shoots, seeds, projects, cloudprofiles
    #[arg(value_name = "KIND")]
    kind: String,
    /// Name, or PROJECT/NAME
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// All projects; this is so unless -p says otherwise
    #[arg(short = 'A', long, conflicts_with = "project")]
    all_projects: bool,
    /// Only this project
    #[arg(short, long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only objects with these labels: a=b, a!=b, a, !a, joined by commas
    #[arg(short = 'l', long = "selector", value_name = "LABELS", value_parser = labels)]
    labels: Option<Labels>,
    /// Only objects that stand so: ready, progressing, held, failed, deleting, unknown
    #[arg(long, value_name = "STANDING")]
    status: Option<String>,
    /// Leave the head of the table out
    #[arg(long)]
    no_headers: bool,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "table",
        value_parser = formats(&[Format::Table, Format::Wide, Format::Json, Format::Yaml, Format::Name]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Some(kind) = kind_of(&args.kind) else {
        let names: Vec<&str> = Kind::ALL.iter().map(|k| k.plural()).collect();
        let hint = nearest(&args.kind, names.iter().copied())
            .map_or_else(|| format!("kinds are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        context.printer.error(&format!("there is no kind `{}` in a landscape", args.kind), Some(&hint));
        return Ok(Exit::Usage);
    };
    let reading = read::read(read::committed(context).await?).not_empty()?;
    let name = context.settings.global.landscape.clone().unwrap_or_else(|| reading.landscape.name.clone());
    let (_, reported) = Reported::read(context, &name).await?;
    let now = read::now(&context.settings, None, None)?;
    let objects: BTreeMap<Owner, Arc<Value>> =
        reading.landscape.objects().map(|(owner, value, _)| (owner, Arc::clone(value))).collect();
    let mut owners: BTreeSet<Owner> =
        objects.keys().chain(reading.landscape.broken.keys()).chain(reported.files.keys()).cloned().collect();
    let (project, wanted) = match args.name.as_deref().and_then(|name| name.split_once('/')) {
        Some((project, name)) => (Some(project.to_owned()), Some(name.to_owned())),
        None => (args.project.clone(), args.name.clone()),
    };
    owners.retain(|owner| {
        owner.kind == kind
            && project.as_ref().is_none_or(|project| owner.project == *project)
            && wanted.as_ref().is_none_or(|name| owner.name == *name)
            && args.status.as_ref().is_none_or(|status| reported.standing(owner) == status)
            && args.labels.as_ref().is_none_or(|labels| labels.match_object(objects.get(owner).map(Arc::as_ref)))
    });
    if let (true, Some(wanted)) = (owners.is_empty(), &wanted) {
        let names = objects.keys().filter(|o| o.kind == kind).map(|o| o.name.as_str());
        let hint = nearest(wanted, names).map(|near| format!("did you mean `{near}`?"));
        let called = Owner { kind, project: project.unwrap_or_default(), name: wanted.clone() };
        context.printer.error(&format!("there is no {called} in {}", reading.from), hint.as_deref());
        return Ok(Exit::Failed);
    }
    let listing = Listing { kind, objects: &objects, reported: &reported, now };
    match args.output {
        Format::Name => owners.iter().for_each(|owner| context.printer.line(&selector::word(owner))),
        Format::Json | Format::Yaml => {
            let items: Vec<Value> = owners.iter().map(|owner| listing.object(owner)).collect();
            let answer = match (<[Value; 1]>::try_from(items), wanted.is_some()) {
                (Ok([one]), true) => one,
                (Ok(one), false) => json::envelope("List", json!({ "items": one })),
                (Err(items), _) => json::envelope("List", json!({ "items": items })),
            };
            output::answer(context, args.output, &answer);
        }
        _ if owners.is_empty() => context.printer.note(&format!("No {} in {}", kind.plural(), reading.from)),
        format => {
            let wide = format == Format::Wide;
            let rows: Vec<Vec<String>> = owners.iter().map(|owner| listing.row(owner, wide)).collect();
            context.printer.result(&table::table(&listing.head(wide), &rows, !args.no_headers));
        }
    }
    Ok(Exit::Done)
}

struct Listing<'a> {
    kind: Kind,
    objects: &'a BTreeMap<Owner, Arc<Value>>,
    reported: &'a Reported,
    now: Timestamp,
}

impl Listing<'_> {
    fn head(&self, wide: bool) -> Vec<&'static str> {
        let (mut head, more): (Vec<&str>, &[&str]) = match self.kind {
            Kind::Shoot => (
                vec!["PROJECT", "NAME", "PROVIDER/REGION", "SEED", "VERSION", "HA", "OPERATION", "PROGRESS", "STATUS"],
                &["PURPOSE", "POOLS", "HIBERNATED", "TECHNICAL ID", "CHANGED", "WHY"],
            ),
            Kind::Seed => (vec!["NAME", "PROVIDER/REGION", "SHOOTS", "OPERATION", "STATUS"], &["CHANGED", "WHY"]),
            Kind::Project => (vec!["NAME", "NAMESPACE", "SHOOTS", "STATUS"], &["OWNER", "WHY"]),
            Kind::CloudProfile => (vec!["NAME", "PROVIDER", "VERSIONS", "MACHINE TYPES", "STATUS"], &["WHY"]),
            kind if kind.namespaced() => (vec!["PROJECT", "NAME", "STATUS"], &["WHY"]),
            _ => (vec!["NAME", "STATUS"], &["WHY"]),
        };
        if wide {
            head.extend(more);
        }
        head
    }

    fn row(&self, owner: &Owner, wide: bool) -> Vec<String> {
        let manifest = self.objects.get(owner).map(Arc::as_ref);
        let said =
            |pointer: &str| manifest.and_then(|m| m.pointer(pointer)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let count = |pointer: &str| {
            let list = manifest.and_then(|m| m.pointer(pointer)).and_then(Value::as_array);
            list.map_or_else(|| "0".to_owned(), |list| list.len().to_string())
        };
        let place = |kind: &str, region: &str| or_dash(format!("{}/{}", said(kind), said(region)).trim_matches('/').to_owned());
        let operation = {
            let (kind, state) = (
                self.reported.text(owner, "/status/lastOperation/type"),
                self.reported.text(owner, "/status/lastOperation/state"),
            );
            or_dash(format!("{kind}/{state}").trim_matches('/').to_owned())
        };
        let changed = self.reported.text(owner, "/status/lastOperation/lastUpdateTime").parse::<Timestamp>();
        let changed = changed.map_or_else(|_| "-".to_owned(), |t| table::age(self.now.as_second() - t.as_second()));
        let standing = self.reported.standing(owner).to_owned();
        let why = if standing == "ready" { String::new() } else { self.reported.why(owner) };
        let (mut row, more) = match self.kind {
            Kind::Shoot => {
                let progress = self.reported.files.get(owner).and_then(|f| f.pointer("/status/lastOperation/progress"));
                let progress = progress.and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |p| format!("{p}%"));
                let pinned = said("/spec/seedName");
                let seed = self.reported.text(owner, "/seed").to_owned();
                let hibernated = manifest.and_then(|m| m.pointer("/spec/hibernation/enabled")).and_then(Value::as_bool);
                (
                    vec![
                        owner.project.clone(),
                        owner.name.clone(),
                        place("/spec/provider/type", "/spec/region"),
                        or_dash(if seed.is_empty() { pinned } else { seed }),
                        or_dash(said("/spec/kubernetes/version")),
                        or_dash(said("/spec/controlPlane/highAvailability/failureTolerance/type")),
                        operation,
                        progress,
                        standing,
                    ],
                    vec![
                        or_dash(said("/spec/purpose")),
                        count("/spec/provider/workers"),
                        if hibernated == Some(true) { "yes" } else { "no" }.to_owned(),
                        or_dash(self.reported.text(owner, "/status/technicalID").to_owned()),
                        changed,
                        why,
                    ],
                )
            }
            Kind::Seed => {
                let shoots = self.reported.placed().values().filter(|seed| **seed == owner.name).count();
                let name = owner.name.clone();
                let region = place("/spec/provider/type", "/spec/provider/region");
                (vec![name, region, shoots.to_string(), operation, standing], vec![changed, why])
            }
            Kind::Project => {
                let shoots = self.objects.keys().filter(|o| o.kind == Kind::Shoot && o.project == owner.name).count();
                let name = owner.name.clone();
                let namespace = project_namespace(&owner.name);
                (vec![name, namespace, shoots.to_string(), standing], vec![or_dash(said("/spec/owner/name")), why])
            }
            Kind::CloudProfile => (
                vec![
                    owner.name.clone(),
                    or_dash(said("/spec/type")),
                    count("/spec/kubernetes/versions"),
                    count("/spec/machineTypes"),
                    standing,
                ],
                vec![why],
            ),
            kind if kind.namespaced() => (vec![owner.project.clone(), owner.name.clone(), standing], vec![why]),
            _ => (vec![owner.name.clone(), standing], vec![why]),
        };
        if wide {
            row.extend(more);
        }
        row
    }

    /// The manifest as written, with the status as reported.
    fn object(&self, owner: &Owner) -> Value {
        let mut value = self.objects.get(owner).map_or_else(
            || json!({ "apiVersion": owner.kind.api_version(), "kind": owner.kind, "metadata": { "name": owner.name } }),
            |value| value.as_ref().clone(),
        );
        if owner.kind.namespaced() {
            value["metadata"]["namespace"] = project_namespace(&owner.project).into();
        }
        if let Some(status) = self.reported.files.get(owner).and_then(|f| f.get("status")) {
            value["status"] = status.clone();
        }
        value
    }
}

/// A label selector.
#[derive(Debug, Clone)]
struct Labels(Vec<(String, Wish)>);

#[derive(Debug, Clone)]
enum Wish {
    Is(String),
    IsNot(String),
    Present,
    Absent,
}

fn labels(text: &str) -> Result<Labels, String> {
    let mut wishes = Vec::new();
    for term in text.split(',').map(str::trim) {
        let wish = if let Some((key, value)) = term.split_once("!=") {
            (key, Wish::IsNot(value.trim().to_owned()))
        } else if let Some((key, value)) = term.split_once('=') {
            (key, Wish::Is(value.trim_start_matches('=').trim().to_owned()))
        } else if let Some(key) = term.strip_prefix('!') {
            (key, Wish::Absent)
        } else {
            (term, Wish::Present)
        };
        let key = wish.0.trim();
        if key.is_empty() || key.contains([' ', '(', ')']) {
            return Err(format!("`{term}` is none of a=b, a!=b, a, !a"));
        }
        wishes.push((key.to_owned(), wish.1));
    }
    Ok(Labels(wishes))
}

impl Labels {
    fn match_object(&self, object: Option<&Value>) -> bool {
        let labels = object.and_then(|o| o.pointer("/metadata/labels"));
        self.0.iter().all(|(key, wish)| {
            let value = labels.and_then(|l| l.get(key)).and_then(Value::as_str);
            match wish {
                Wish::Is(wanted) => value == Some(wanted),
                Wish::IsNot(unwanted) => value != Some(unwanted),
                Wish::Present => value.is_some(),
                Wish::Absent => value.is_none(),
            }
        })
    }
}
