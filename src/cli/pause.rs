//! `pause` and `resume`: freezes in `landscape.yaml`, as edits that keep its comments.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::change::{Base, How};
use super::{Context, Exit, read};
use crate::document::{self, Budget, Document, Edit};
use crate::finding::Pointer;
use crate::landscape::{Kind, Owner, order};
use crate::snapshot::RepoPath;

const FILE: &str = "landscape.yaml";
const LIST: &str = "/spec/guards/freeze";

/// Keep changes back for a time: nothing that is committed is acted upon; repair goes on.
///
/// Commits a freeze to landscape.yaml on the landscape's branch. It takes effect once that commit is accepted; what is committed
/// meanwhile is taken up when it ends.
///
/// Examples:
///   espalier pause project/shop --until 2026-12-01T06:00:00Z --reason 'black friday'
///   espalier pause landscape --until 2027-01-02T06:00:00Z --reason holidays --branch freeze
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct PauseArgs {
    /// What: landscape, or project/NAME
    #[arg(value_name = "SCOPE")]
    scope: Scope,
    /// When it ends, such as 2026-12-01T06:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Timestamp,
    /// Why, for status and plans
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    how: How,
}

/// End what `pause` began: what was kept back is acted upon.
///
/// Removes exactly that freeze from landscape.yaml. It takes effect once the commit is accepted.
///
/// Examples:
///   espalier resume project/shop
///   espalier resume landscape
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ResumeArgs {
    /// What: landscape, or project/NAME
    #[arg(value_name = "SCOPE")]
    scope: Scope,
    #[command(flatten)]
    how: How,
}

/// What is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Landscape,
    Project(String),
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None if text == "landscape" => Ok(Self::Landscape),
            Some(("project", name)) if !name.is_empty() && !name.contains('/') => Ok(Self::Project(name.to_owned())),
            _ => Err("what can be paused is `landscape`, or `project/NAME`".to_owned()),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Landscape => f.write_str("the landscape"),
            Self::Project(name) => write!(f, "project {name}"),
        }
    }
}

pub(super) async fn pause(context: &Context, args: PauseArgs) -> anyhow::Result<Exit> {
    let now = read::now(&context.settings, None, None)?;
    if args.until <= now {
        context.printer.error(&format!("{} is over", args.until), Some("--until names a time to come"));
        return Ok(Exit::Usage);
    }
    let base = Base::find(context, args.how).await?;
    if let Scope::Project(name) = &args.scope
        && !base.landscape.has(&Owner::cluster(Kind::Project, name.clone()))
    {
        context.printer.error(&format!("there is no project `{name}`"), None);
        return Ok(Exit::Failed);
    }
    let mut freeze = json!({ "reason": args.reason, "until": args.until.to_string() });
    if let Scope::Project(name) = &args.scope {
        freeze["projects"] = json!([name]);
    }
    let subject = format!("Pause {} until {}: {}", args.scope, args.until, args.reason);
    let written = base
        .write(context, FILE, subject, &|text| {
            let document = landscape(text)?;
            // A second one of the same scope takes the place of the first.
            let same = positions(document.value(), &args.scope).into_iter().find(|(_, whole)| *whole);
            let edit = match same {
                Some((at, _)) => Edit::Set { pointer: Pointer::from(LIST).index(at), value: freeze.clone() },
                None => Edit::Append { pointer: LIST.into(), value: freeze.clone() },
            };
            edited(&document, &edit)
        })
        .await?;
    context.printer.result(&written.text);
    Ok(Exit::Done)
}

pub(super) async fn resume(context: &Context, args: ResumeArgs) -> anyhow::Result<Exit> {
    let base = Base::find(context, args.how).await?;
    let there = base.landscape.landscape.as_ref().map(|l| positions(&l.value, &args.scope)).unwrap_or_default();
    if there.is_empty() {
        context.printer.error(&format!("{} is not paused", args.scope), None);
        return Ok(Exit::Something);
    }
    let written = base
        .write(context, FILE, format!("Resume {}", args.scope), &|text| {
            let mut text = text.map(str::to_owned);
            // Each edit moves what comes after it.
            loop {
                let document = landscape(text.as_deref())?;
                let Some((at, whole)) = positions(document.value(), &args.scope).pop() else {
                    return text.context("there is no landscape.yaml");
                };
                let freeze = Pointer::from(LIST).index(at);
                let alone = document.value().pointer(LIST).and_then(Value::as_array).is_some_and(|list| list.len() == 1);
                let pointer = match &args.scope {
                    Scope::Project(name) if !whole => {
                        let projects = freeze.key("projects");
                        let names = document.value().pointer(projects.as_str()).and_then(Value::as_array);
                        let at = names.and_then(|names| names.iter().position(|n| n.as_str() == Some(name)));
                        projects.index(at.unwrap_or_default())
                    }
                    // What `pause` made goes with the last of it.
                    _ if alone => Pointer::from(LIST),
                    _ => freeze,
                };
                text = Some(edited(&document, &Edit::Remove { pointer })?);
            }
        })
        .await?;
    context.printer.result(&written.text);
    Ok(Exit::Done)
}

/// The freezes of a scope by their place in the list, and whether each is of this scope and no other.
fn positions(settings: &Value, scope: &Scope) -> Vec<(usize, bool)> {
    let freezes = settings.pointer(LIST).and_then(Value::as_array).into_iter().flatten().enumerate();
    freezes
        .filter_map(|(at, freeze)| {
            let projects = freeze.get("projects").and_then(Value::as_array);
            let names: Vec<&str> = projects.into_iter().flatten().filter_map(Value::as_str).collect();
            match scope {
                Scope::Landscape => names.is_empty().then_some((at, true)),
                Scope::Project(name) => names.contains(&name.as_str()).then_some((at, names.len() == 1)),
            }
        })
        .collect()
}

fn landscape(text: Option<&str>) -> anyhow::Result<Arc<Document>> {
    let text = text.context("there is no landscape.yaml")?;
    let parsed = document::parse(&RepoPath::from(FILE), text.as_bytes(), &Budget::default());
    let kind = |d: &&Arc<Document>| d.value().get("kind").and_then(Value::as_str) == Some(Kind::Landscape.name());
    match parsed.documents.iter().find(kind) {
        Some(document) if parsed.broken.is_empty() => Ok(document.clone()),
        _ => bail!("landscape.yaml cannot be read; `espalier validate` says why"),
    }
}

/// The text after an edit, in order if it was in order before.
fn edited(document: &Document, edit: &Edit) -> anyhow::Result<String> {
    let new = document.edit(std::slice::from_ref(edit)).context("landscape.yaml cannot be edited as it is written")?;
    let path = RepoPath::from(FILE);
    let format = |text: &str| document::format(&path, text, &order::keys, None).map(|formatted| formatted.text);
    let was_in_order = format(document.text()).is_ok_and(|text| *text == **document.text());
    Ok(if was_in_order { format(&new).unwrap_or(new) } else { new })
}
