//! Adopting drift: what is observed becomes what is written, as edits of the documents that keep comments.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::super::change::{Base, NewText};
use super::super::{Context, Exit, read};
use crate::admission::{Accepted, Memory};
use crate::document::{self, Budget, Document, Edit};
use crate::finding::{Finding, Findings, Pointer};
use crate::git::Message;
use crate::landscape::{FileMemo, Owner};
use crate::plan::diff::name_of;
use crate::plan::drift::Drifted;
use crate::print::drift::ObjectDrift;
use crate::print::{snippet, table::count};
use crate::snapshot::RepoPath;

/// Writes what is observed into the documents of the branch.
pub(super) async fn adopt(context: &Context, base: &Base, objects: &[ObjectDrift]) -> anyhow::Result<Exit> {
    let mut by_file: BTreeMap<RepoPath, Vec<&ObjectDrift>> = BTreeMap::new();
    for object in objects {
        match base.landscape.document(&object.owner) {
            Some(document) if object.is_adoptable() => by_file.entry(document.path().clone()).or_default().push(object),
            _ => context.printer.note(&format!("{} of {} is not described in the repository: left", object.object, object.owner)),
        }
    }
    let adopted: Vec<&ObjectDrift> = by_file.values().flatten().copied().collect();
    if adopted.is_empty() {
        context.printer.note("there is nothing to adopt");
        return Ok(Exit::Done);
    }
    let edits: Vec<(&RepoPath, Box<NewText<'_>>)> = by_file
        .iter()
        .map(|(path, objects)| -> (_, Box<NewText<'_>>) { (path, Box::new(move |text| edited(base, path, text, objects))) })
        .collect();
    let files: Vec<(&str, &NewText<'_>)> = edits.iter().map(|(path, edit)| (path.as_str(), &**edit)).collect();

    let refused = refused(context, base, &files, &adopted)?;
    if !refused.findings.is_empty() {
        context.printer.result(&snippet::findings(&refused.findings, &|path| refused.text(path), context.printer.width()));
        let hint = "adopt the rest with a SELECTOR or --cause, or restore it: a pass of the daemon does";
        context.printer.error("the landscape's rules refuse what is observed; nothing was written", Some(hint));
        return Ok(Exit::Refused);
    }
    let written = base.write_all(context, &files, message(&adopted)).await?;
    context.printer.result(&written.text);
    Ok(Exit::Done)
}

/// What the rules say against it, and where to quote from.
struct Refused {
    findings: Findings,
    reading: read::Reading,
}

impl Refused {
    fn text(&self, path: &RepoPath) -> Option<std::sync::Arc<str>> {
        self.reading.text(path)
    }
}

fn refused(context: &Context, base: &Base, files: &[(&str, &NewText<'_>)], adopted: &[&ObjectDrift]) -> anyhow::Result<Refused> {
    let now = read::now(&context.settings, None, None)?;
    // Files and objects that the adoption does not touch are read and judged once.
    let (mut memo, mut memory) = (FileMemo::default(), Memory::default());
    let before = read::read_with(base.source(), &mut memo);
    let (known, _) = before.admit_with(&before.library, &Accepted::default(), now, &mut memory);
    memory.settle();
    let accepted = Accepted(std::sync::Arc::new(known.objects));
    let reading = read::read_with(base.with(files)?, &mut memo);
    let (after, _) = reading.admit_with(&before.library, &accepted, now, &mut memory);
    let held = adopted.iter().filter_map(|object| after.held.get(&object.owner)).flat_map(|held| &held.findings);
    let errors: Vec<Finding> = held.filter(|f| f.severity == crate::finding::Severity::Error).cloned().collect();
    let findings = reading.checked(Findings(errors).sorted()).findings;
    Ok(Refused { findings, reading })
}

/// The text of a file with what is observed in it.
fn edited(base: &Base, path: &RepoPath, text: Option<&str>, objects: &[&ObjectDrift]) -> anyhow::Result<String> {
    let mut text = text.with_context(|| format!("{path} is not there any more"))?.to_owned();
    for object in objects {
        for field in &object.fields {
            let document = find(base, path, &text, &object.owner)?;
            if let Some(edit) = edit(document.value(), field).with_context(|| format!("{path}: {}", field.field))? {
                text = document.edit(&[edit]).with_context(|| format!("{path}: {} cannot be adopted", field.field))?;
            }
        }
    }
    Ok(text)
}

/// The document of an owner in a file's text.
fn find(base: &Base, path: &RepoPath, text: &str, owner: &Owner) -> anyhow::Result<std::sync::Arc<Document>> {
    let identity = base.landscape.document(owner).and_then(|document| document.identity());
    let parsed = document::parse(path, text.as_bytes(), &Budget::default());
    let found = parsed.documents.into_iter().find(|document| document.identity().is_some() && document.identity() == identity);
    found.with_context(|| format!("{owner} is not in {path} any more"))
}

/// The edit by which a document says what is observed; `None` if it does already.
fn edit(document: &Value, field: &Drifted) -> anyhow::Result<Option<Edit>> {
    let (mut at, mut here) = (Pointer::root(), Some(document));
    let mut items = field.items.iter();
    for (n, key) in field.path.iter().enumerate() {
        if key != "[]" {
            at = at.key(key);
            here = here.and_then(|value| value.get(key));
            continue;
        }
        let name = items.next().map(String::as_str);
        let list = here.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        match list.iter().position(|item| name_of(item) == name) {
            Some(index) => {
                at = at.index(index);
                here = list.get(index);
            }
            None if n + 1 == field.path.len() => {
                return Ok(field.observed.clone().map(|value| Edit::Append { pointer: at, value }));
            }
            None => bail!("it has no item {}", name.unwrap_or_default()),
        }
    }
    Ok(match (&field.observed, here) {
        (Some(observed), Some(there)) if observed == there => None,
        (Some(observed), _) => Some(Edit::Set { pointer: at, value: observed.clone() }),
        (None, Some(_)) => Some(Edit::Remove { pointer: at }),
        (None, None) => None,
    })
}

/// A value is told in so many characters.
const LONGEST: usize = 60;

/// What was adopted from where.
fn message(adopted: &[&ObjectDrift]) -> Message {
    let fields: usize = adopted.iter().map(|object| object.fields.len()).sum();
    let subject = match adopted {
        [one] if fields == 1 => format!("Adopt {} of {} as observed", one.fields[0].field, one.owner),
        [one] => format!("Adopt {} of {} as observed", count(fields, "field"), one.owner),
        _ => format!("Adopt {} of {} as observed", count(fields, "field"), count(adopted.len(), "object")),
    };
    let value = |value: &Option<Value>| {
        let text = value.as_ref().map_or_else(|| "absent".to_owned(), ToString::to_string);
        if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST - 1).chain(['…']).collect() }
    };
    let mut body = String::from("As found in the garden, where it was changed by somebody else than Git:\n");
    for object in adopted {
        for field in &object.fields {
            let since = field.since.as_ref().map_or_else(String::new, |since| format!(", {since}"));
            let by = field.manager.as_deref().unwrap_or("unknown");
            body.push_str(&format!(
                "\n* {} {}: {} -> {} ({}: {by}{since})",
                object.owner,
                field.field,
                value(&field.desired),
                value(&field.observed),
                field.cause.word()
            ));
        }
    }
    Message { subject, body, ..Message::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::drift::Cause;

    fn drifted(path: &[&str], items: &[&str], observed: Option<Value>) -> Drifted {
        Drifted {
            field: path.join("."),
            pointer: Pointer::root(),
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            items: items.iter().map(|name| (*name).to_owned()).collect(),
            desired: None,
            observed,
            secret: false,
            cause: Cause::Human,
            manager: None,
            since: None,
        }
    }

    #[test]
    fn an_edit_finds_items_by_name_and_says_nothing_twice() {
        let document = json!({"spec": {"pools": [{"name": "a", "max": 1}, {"name": "b", "max": 2}]}});
        let max = |name: &str, value: Value| edit(&document, &drifted(&["spec", "pools", "[]", "max"], &[name], Some(value)));
        let set = Edit::Set { pointer: "/spec/pools/1/max".into(), value: json!(3) };
        assert_eq!(max("b", json!(3)).expect("an edit"), Some(set));
        assert_eq!(max("b", json!(2)).expect("no edit"), None);
        assert!(max("c", json!(2)).is_err());
        let pool =
            |name: &str, observed| edit(&document, &drifted(&["spec", "pools", "[]"], &[name], observed)).expect("an edit");
        assert_eq!(
            pool("c", Some(json!({"name": "c"}))),
            Some(Edit::Append { pointer: "/spec/pools".into(), value: json!({"name": "c"}) })
        );
        assert_eq!(pool("a", None), Some(Edit::Remove { pointer: "/spec/pools/0".into() }));
        assert_eq!(pool("c", None), None);
    }
}
