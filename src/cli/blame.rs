//! `blame`: who gave the fields of an object the values that they have.

use std::collections::BTreeSet;

use anyhow::bail;
use serde_json::Value;

use super::output::{self, Format, formats};
use super::past::{Wanted, setters};
use super::read::{self, Reading, WORKTREE};
use super::selector::{Selector, word};
use super::{Context, Exit};
use crate::admission::Accepted;
use crate::document::Document;
use crate::finding::On;
use crate::landscape::Owner;
use crate::landscape::nearest::nearest;
use crate::plan::way::{Leaf, leaves};
use crate::print::blame::{self as shown, Blame, Blamed};
use crate::print::json::API_VERSION;
use crate::print::origin::Origin;

mod noted;

pub(super) use noted::blame as noted;

/// Show who gave the fields of an object the values that they have: commit, author, date.
///
/// The object is followed by its name, through renamed and moved files. What is written nowhere is told as a default. At most 1000
/// commits are looked at.
///
/// Examples:
///   espalier blame shop/store
///   espalier blame shop/store kubernetes.version
///   espalier blame shop/store 'provider.workers[cpu]' -L live
///   espalier blame seed/aws-eu1 -o json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The object: PROJECT/SHOOT, KIND/NAME, KIND/PROJECT/NAME
    #[arg(value_name = "OBJECT")]
    object: Selector,
    /// Only this field and what is below it; list items go by name: provider.workers[cpu].maximum
    #[arg(value_name = "FIELD")]
    field: Option<String>,
    /// Leave out what is written nowhere
    #[arg(long)]
    no_defaults: bool,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let reading = read::read(read::source(context).await?).not_empty()?;
    let owner = one(&reading, &args.object)?;
    let Some(document) = reading.landscape.document(&owner) else {
        bail!("{owner} cannot be read in {}; `espalier validate` says why", reading.from);
    };
    let written: Vec<Leaf<'_>> = leaves(document.value());
    let admitted = defaults(context, &reading, &owner)?;
    let known: BTreeSet<&str> = written.iter().map(|leaf| leaf.name.as_str()).collect();
    let mut filled: Vec<Leaf<'_>> = admitted.as_ref().map(leaves).unwrap_or_default();
    // What is written without a value, such as an empty map, may be filled in below.
    filled.retain(|leaf| !known.contains(leaf.name.as_str()) && leaf.way.find(document.value()).is_none());
    let wanted = args.field.as_deref().map(|field| field.strip_prefix("spec.").unwrap_or(field));
    let is_meant = |leaf: &Leaf<'_>| wanted.is_none_or(|wanted| within(leaf, wanted));
    let names: Vec<String> = written.iter().chain(&filled).map(|leaf| leaf.name.clone()).collect();
    let written: Vec<Leaf<'_>> = written.into_iter().filter(|leaf| is_meant(leaf)).collect();
    filled.retain(|leaf| is_meant(leaf) && !args.no_defaults);
    if let (true, Some(field)) = (written.is_empty() && filled.is_empty(), wanted) {
        let hint = nearest(field, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        let hint = hint.unwrap_or_else(|| format!("`espalier blame {}` shows all", args.object));
        context.printer.error(&format!("{owner} has no field `{field}`"), Some(&hint));
        return Ok(Exit::Failed);
    }

    let asked =
        written.iter().map(|leaf| Wanted { owner: owner.clone(), way: leaf.way.clone(), value: Some(leaf.value.clone()) });
    let (set, bounded) = setters(context, &reading, asked.collect()).await?;
    let mut fields: Vec<(usize, Blamed)> =
        written.iter().zip(set).map(|(leaf, set)| blamed(&reading, document, leaf, set)).collect();
    fields.sort_by_key(|(at, _)| *at);
    let mut fields: Vec<Blamed> = fields.into_iter().map(|(_, field)| field).collect();
    fields.extend(filled.iter().map(|leaf| Blamed {
        field: leaf.name.clone(),
        pointer: leaf.pointer.clone(),
        value: leaf.value.clone(),
        at: None,
        set: Origin::Default,
    }));
    let blame = Blame {
        api_version: API_VERSION.to_owned(),
        kind: Blame::KIND.to_owned(),
        landscape: reading.landscape.name.clone(),
        revision: reading.snapshot.revision.to_string(),
        owner: owner.clone(),
        path: reading.shown(document.path()).to_string(),
        field: args.field.clone(),
        fields,
        bounded,
    };
    match args.output {
        Format::Text => context.printer.result(&shown::text(&blame, &format!("espalier blame {}", word(&owner)))),
        _ => output::answer(context, args.output, &shown::json(&blame)),
    }
    Ok(Exit::Done)
}

/// The one object that is meant.
fn one(reading: &Reading, selector: &Selector) -> anyhow::Result<Owner> {
    let mut all: BTreeSet<Owner> = reading.landscape.objects().map(|(owner, ..)| owner).collect();
    all.extend(reading.landscape.broken.keys().cloned());
    let meant: Vec<&Owner> = all.iter().filter(|owner| selector.matches(owner)).collect();
    match meant.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let keys: Vec<String> = all.iter().map(Owner::key).collect();
            let near = nearest(&selector.to_string(), keys.iter().map(String::as_str));
            let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            bail!("nothing in {} is called {selector}{near}", reading.from)
        }
        [first, second, ..] => {
            bail!("{selector} is {} objects, such as {} and {}: name one", meant.len(), word(first), word(second))
        }
    }
}

/// The manifest with its defaults; `None` if it is held, or its defaults cannot be told.
fn defaults(context: &Context, reading: &Reading, owner: &Owner) -> anyhow::Result<Option<Value>> {
    let committed = (reading.snapshot.revision.0 != WORKTREE).then_some(reading.snapshot.committed);
    let now = read::now(&context.settings, None, committed)?;
    let (admitted, _) = reading.admit(&Accepted::default(), now);
    Ok(admitted.objects.get(owner).map(|manifest| manifest.as_ref().clone()))
}

/// Whether a field is the one that is wanted or below it. `spec.` may be left out; a JSON pointer will do.
fn within(leaf: &Leaf<'_>, wanted: &str) -> bool {
    let below =
        |name: &str, ends: &[char]| name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(ends));
    below(&leaf.name, &['.', '[']) || wanted.starts_with('/') && below(leaf.pointer.as_str(), &['/']) || wanted == "spec"
}

/// A field with its place, and where that is in the file.
fn blamed(reading: &Reading, document: &Document, leaf: &Leaf<'_>, set: Origin) -> (usize, Blamed) {
    let mut place = document.place(&leaf.pointer, On::Value);
    place.path = reading.shown(&place.path);
    let at = place.span.map_or(0, |span| span.start);
    let field = Blamed {
        field: leaf.name.clone(),
        pointer: leaf.pointer.clone(),
        value: leaf.value.clone(),
        at: Some(place.to_string()),
        set,
    };
    (at, field)
}
