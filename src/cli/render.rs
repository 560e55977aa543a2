//! `render`: the manifests that owners want in their clusters, without a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;

use super::offline::Offline;
use super::reported::Reported;
use super::selector::{self, Selector};
use super::{Context, Exit, read};
use crate::admission::Accepted;
use crate::document;
use crate::finding::{Findings, Severity};
use crate::landscape::Owner;
use crate::landscape::nearest::nearest;
use crate::print::{defaults, snippet};
use crate::render::{DesiredObject, RenderState, scope_of};
use crate::share;

/// What so many owners come to may wait until it is written.
const AHEAD: usize = 64;
/// As long as most manifests are.
const USUAL: usize = 4096;

/// Print the manifests of shoots, seeds, projects and the garden, without a cluster.
///
/// What only clusters know is shown as a symbol such as <fact infrastructure.nodes>; secret values are never shown.
///
/// Examples:
///   espalier render shop/prod
///   espalier render 'shop/*' --split-dir out
///   espalier render --stage admitted shoot/shop/prod
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// PROJECT/SHOOT, PROJECT/*, KIND/NAME, KIND/PROJECT/NAME, or garden
    #[arg(value_name = "SELECTOR", required_unless_present = "all")]
    selectors: Vec<Selector>,
    /// The garden, all projects, seeds and shoots
    #[arg(long, conflicts_with = "selectors")]
    all: bool,
    /// What to print: the manifests for clusters, or the object itself with its defaults marked
    #[arg(long, value_name = "STAGE", default_value = "manifests", value_parser = ["manifests", "admitted"])]
    stage: String,
    /// Write one file per component into this folder
    #[arg(long, value_name = "DIR")]
    split_dir: Option<PathBuf>,
    /// The time to judge at
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

/// What became of one owner.
struct Made {
    files: Vec<(String, String)>,
    remarks: Vec<String>,
    findings: Findings,
    failed: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let reading = read::read(read::source(context).await?).not_empty()?;
    let now = read::now(&context.settings, args.now, Some(reading.snapshot.committed))?;
    let (admitted, findings) = reading.admit(&Accepted::default(), now);
    reading.complain(context, &findings);
    let stage_admitted = args.stage == "admitted";
    let owners: Vec<Owner> = admitted
        .objects
        .keys()
        .filter(|owner| stage_admitted || scope_of(owner.kind).is_some())
        .filter(|owner| args.all || selector::named(&args.selectors, owner))
        .cloned()
        .collect();
    let mut failed = false;
    for selector in args.selectors.iter().filter(|s| !owners.iter().any(|owner| s.matches(owner))) {
        let words: Vec<String> = admitted.objects.keys().flat_map(|o| [o.key(), selector::word(o)]).collect();
        let text = selector.to_string();
        let hint = nearest(&text, words.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        context.printer.error(&format!("nothing to render is called `{text}` in {}", reading.from), hint.as_deref());
        failed = true;
    }
    if failed {
        return Ok(Exit::Failed);
    }
    if stage_admitted {
        for (i, owner) in owners.iter().enumerate() {
            let written = reading.landscape.document(owner).map(|document| document.value());
            let text = admitted.objects.get(owner).map(|value| defaults::marked(value, written)).unwrap_or_default();
            context.printer.result(&format!("{}{text}", if i > 0 { "---\n" } else { "" }));
        }
        return Ok(Exit::Done);
    }
    let name = context.settings.global.landscape.clone().unwrap_or_else(|| reading.landscape.name.clone());
    let placed = match Reported::read(context, &name).await {
        Ok((_, reported)) => reported.placed(),
        Err(error) => {
            tracing::info!(%error, "the status branch was not read");
            BTreeMap::new()
        }
    };
    let mut offline = Offline::new(&admitted, &reading.library, placed);
    offline.decide(&owners);
    let mut troubles = Findings::default();
    let work = |owner: &Owner| one(&offline, owner, args.split_dir.is_some());
    share::in_order(&owners, AHEAD, work, |made| {
        failed |= made.failed;
        made.remarks.iter().for_each(|remark| context.printer.note(remark));
        troubles.extend(made.findings);
        put(context, args.split_dir.as_ref(), &made.files)
    })?;
    let troubles = troubles.sorted();
    for finding in troubles.iter().filter(|f| f.severity == Severity::Error) {
        failed = true;
        context.printer.note(&snippet::headline(finding));
    }
    share::drop_later((offline, admitted, reading));
    Ok(if failed { Exit::Something } else { Exit::Done })
}

/// Renders an owner: texts that follow each other, or files of their own.
fn one(offline: &Offline, owner: &Owner, split: bool) -> Made {
    let mut made = Made { files: Vec::new(), remarks: Vec::new(), findings: Findings::default(), failed: false };
    if let Some(placement) = offline.placements.decisions.get(owner).filter(|_| offline.chosen.contains(owner)) {
        made.remarks.push(format!("{owner}: seed {} ({})", placement.seed, placement.why));
    }
    let prepared = match offline.prepare(owner) {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return made,
        Err(why) => {
            made.remarks.push(format!("{owner} cannot be rendered: {why}"));
            made.failed = true;
            return made;
        }
    };
    let rendering = offline.render(&prepared);
    for release in &rendering.releases {
        for rendered in &release.components {
            match &rendered.state {
                RenderState::Wanted if !rendered.objects.is_empty() => {
                    let component = &rendered.component.id.name;
                    let mut text = String::with_capacity(USUAL * rendered.objects.len());
                    text.push_str(if split { "" } else { "---\n" });
                    text.push_str(&format!("# {owner}: {component}, in {}\n", release.target));
                    for (i, object) in rendered.objects.iter().enumerate() {
                        text.push_str(if i > 0 { "---\n" } else { "" });
                        append(&mut text, object);
                    }
                    made.files.push((format!("{}/{}/{component}.yaml", selector::word(owner), release.target), text));
                }
                RenderState::Failed(why) => {
                    made.failed = true;
                    made.remarks.push(format!("{owner}: {} failed: {why}", rendered.component.id.name));
                }
                RenderState::Waiting(why) => {
                    made.remarks.push(format!("{owner}: {} waits for {why}", rendered.component.id.name));
                }
                RenderState::Wanted | RenderState::Skipped(_) => {}
            }
        }
    }
    made.findings = rendering.findings;
    made
}

/// A manifest as it may be shown: whatever a Secret with secret content holds is replaced.
fn append(text: &mut String, object: &DesiredObject) {
    if !object.sensitive {
        return object.body.append_yaml(text);
    }
    let mut body = Value::clone(object.body.value());
    for field in ["data", "stringData"] {
        if let Some(data) = body.get_mut(field).and_then(Value::as_object_mut) {
            data.values_mut().for_each(|value| *value = "<secret>".into());
        }
    }
    document::append_yaml(text, &body);
}

fn put(context: &Context, dir: Option<&PathBuf>, files: &[(String, String)]) -> anyhow::Result<()> {
    for (name, text) in files {
        match dir {
            None => context.printer.result(text),
            Some(dir) => {
                let path = dir.join(name);
                let folder = path.parent().unwrap_or(dir);
                std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
                std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
            }
        }
    }
    Ok(())
}
