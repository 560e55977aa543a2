//! Objects as they are written in another reading of a landscape: the text of whole documents, or of single fields, carried from one
//! set of files into another. What can be left to Git by path is; the rest are edits that keep comments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::cli::read::Reading;
use crate::document::{self, Budget, Document, Edit};
use crate::finding::Pointer;
use crate::git::Restore;
use crate::landscape::Owner;
use crate::plan::diff::{self, Field};
use crate::snapshot::RepoPath;

/// How much of an object is carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it, also that it is not there.
    Whole,
    /// These fields, by name.
    Fields(BTreeSet<String>),
}

/// What has to be written so that these objects read in `into` as they do in `from`. Paths are those of the repository.
pub(super) fn changes(from: &Reading, into: &Reading, parts: &BTreeMap<Owner, Part>) -> anyhow::Result<Restore> {
    let sides = [from, into];
    let mut restore = Restore::default();
    let mut touched: BTreeSet<RepoPath> = BTreeSet::new();
    for (owner, part) in parts {
        touched.extend(sides.iter().filter_map(|side| path(side, owner)));
        if *part == Part::Whole && sides.iter().all(|side| path(side, owner).is_none()) {
            bail!("it is not known where {owner} is written; mend its file first");
        }
    }
    let whole = |owner: &Owner| parts.get(owner) == Some(&Part::Whole);
    let owners = [written(from), written(into)];
    let alike = |owner: &Owner| {
        let document = |side: &Reading| side.landscape.document(owner).map(|d| (d.path().clone(), d.shared().clone()));
        whole(owner) || (document(from).is_some() && document(from) == document(into))
    };
    let mut edited: BTreeMap<RepoPath, String> = BTreeMap::new();
    for path in touched {
        let mut inside = owners.iter().filter_map(|owners| owners.get(&path)).flatten();
        if inside.all(alike) {
            restore.paths.insert(format!("{}{path}", into.prefix).into());
        } else {
            edited.insert(path.clone(), text(into, &path)?);
        }
    }
    for (path, text) in &mut edited {
        let mut all: Vec<(&Owner, &Part)> = parts.iter().collect();
        // From the end, so that the documents before keep their numbers.
        all.sort_by_key(|(owner, _)| std::cmp::Reverse(into.landscape.document(owner).map(|d| d.index())));
        for (owner, part) in all {
            let here = |side: &Reading| side.landscape.document(owner).filter(|d| d.path() == path).cloned();
            let (source, target) = (here(from), here(into));
            let carried = match (part, source, target) {
                (_, None, None) => continue,
                (Part::Fields(names), _, Some(target)) => {
                    let Some(source) = from.landscape.document(owner) else { continue };
                    fields(text, source, &target, names)
                }
                (Part::Fields(_), _, None) => continue,
                (Part::Whole, Some(source), Some(target)) => spliced(text, &target, Some(piece(&source))),
                (Part::Whole, None, Some(target)) => spliced(text, &target, None),
                (Part::Whole, Some(source), None) => Ok(format!("{}{}", ended(text), marked(piece(&source)))),
            };
            *text = carried.with_context(|| format!("{owner} cannot be told apart from the rest of {path}"))?;
        }
    }
    restore.changes = edited.into_iter().map(|(path, text)| (format!("{}{path}", into.prefix).into(), Some(text))).collect();
    Ok(restore)
}

/// The file that an object is written in, also if it cannot be read.
pub(super) fn path(side: &Reading, owner: &Owner) -> Option<RepoPath> {
    if let Some(document) = side.landscape.document(owner) {
        return Some(document.path().clone());
    }
    let broken = side.landscape.broken.get(owner)?;
    broken.iter().find_map(|finding| finding.places.first()).map(|place| place.path.clone())
}

/// The objects of each file.
fn written(side: &Reading) -> BTreeMap<RepoPath, BTreeSet<Owner>> {
    let mut out: BTreeMap<RepoPath, BTreeSet<Owner>> = BTreeMap::new();
    let owners = side.landscape.objects().map(|(owner, _, _)| owner).chain(side.landscape.broken.keys().cloned());
    for owner in owners {
        if let Some(path) = path(side, &owner) {
            out.entry(path).or_default().insert(owner);
        }
    }
    out
}

fn text(side: &Reading, path: &RepoPath) -> anyhow::Result<String> {
    let Some(blob) = side.snapshot.files.get(path) else { return Ok(String::new()) };
    Ok(std::str::from_utf8(&blob.bytes).with_context(|| format!("{path} is not UTF-8"))?.to_owned())
}

fn piece(document: &Document) -> &str {
    document.text().get(document.range()).unwrap_or_default()
}

/// A text that ends with its last line.
fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// A document with the marker that parts it from the one before.
fn marked(piece: &str) -> String {
    if piece.starts_with("---") { ended(piece) } else { format!("---\n{}", ended(piece)) }
}

/// The document of a text by its number.
fn nth(text: &str, document: &Document) -> anyhow::Result<Arc<Document>> {
    let parsed = document::parse(document.path(), text.as_bytes(), &Budget::default());
    let found = parsed.documents.into_iter().find(|d| d.index() == document.index());
    found.context("its document is not where it was")
}

/// A text with another document, or none, in the place of one.
fn spliced(text: &str, document: &Document, with: Option<&str>) -> anyhow::Result<String> {
    let range = nth(text, document)?.range();
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let with = with.map(|piece| if before.is_empty() { ended(piece) } else { marked(piece) }).unwrap_or_default();
    Ok(format!("{before}{with}{after}"))
}

/// A text in which some fields of a document are as in another one.
fn fields(text: &str, source: &Document, target: &Document, names: &BTreeSet<String>) -> anyhow::Result<String> {
    let differing = diff::fields(source.value(), target.value());
    let edits = edits(differing.iter().filter(|field| names.contains(&field.name)));
    Ok(nth(text, target)?.edit(&edits)?)
}

/// What makes fields as they were before: values first, then what goes from the end of each list, then what is added to it.
fn edits<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<Edit> {
    let (mut set, mut gone, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields {
        let pointer = field.pointer.clone();
        match (&field.before, &field.after) {
            (Some(value), None) if field.path.last().is_some_and(|key| key == "[]") => {
                added.push(Edit::Append { pointer, value: value.clone() });
            }
            (Some(value), _) => set.push(Edit::Set { pointer, value: value.clone() }),
            (None, _) => gone.push(pointer),
        }
    }
    let order = |pointer: &Pointer| {
        pointer.segments().map(|segment| (segment.parse::<usize>().ok(), segment)).collect::<Vec<(Option<usize>, String)>>()
    };
    gone.sort_by_key(|pointer| std::cmp::Reverse(order(pointer)));
    set.into_iter().chain(gone.into_iter().map(|pointer| Edit::Remove { pointer })).chain(added).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(text: &str) -> Arc<Document> {
        document::parse(&"a.yaml".into(), text.as_bytes(), &Budget::default()).documents.remove(0)
    }

    #[test]
    fn fields_are_carried_over_and_comments_stay() {
        let source = document("spec: # all\n  a: 1\n  pools: [{name: x, n: 1}, {name: y, n: 2}]\n  old: true\n");
        let text =
            "spec: # all\n  a: 2 # two\n  pools:\n    - name: z\n    - name: w\n    - name: y # why\n      n: 3\n  new: 1\n";
        let target = document(text);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let some = fields(text, &source, &target, &names(&["a", "pools[z]", "pools[w]", "pools[x]"])).expect("can be edited");
        assert_eq!(
            document(&some).value(),
            &json!({"spec": {"a": 1, "pools": [{"name": "y", "n": 3}, {"name": "x", "n": 1}], "new": 1}})
        );
        assert!(some.contains("# two") && some.contains("# why") && some.contains("# all"), "{some}");
        let all: BTreeSet<String> = diff::fields(source.value(), target.value()).into_iter().map(|f| f.name).collect();
        let back = fields(text, &source, &target, &all).expect("can be edited");
        assert!(diff::fields(source.value(), document(&back).value()).is_empty(), "{back}");
    }

    #[test]
    fn a_document_is_replaced_or_cut_between_its_neighbours() {
        let text = "a: 1\n---\nb: 2\n---\nc: 3\n";
        let parsed = document::parse(&"a.yaml".into(), text.as_bytes(), &Budget::default());
        let middle = &parsed.documents[1];
        assert_eq!(spliced(text, middle, Some("x: 9 # nine")).expect("found"), "a: 1\n---\nx: 9 # nine\n---\nc: 3\n");
        assert_eq!(spliced(text, middle, None).expect("found"), "a: 1\n---\nc: 3\n");
        assert_eq!(spliced(text, &parsed.documents[0], Some("---\nx: 9\n")).expect("found"), "---\nx: 9\n---\nb: 2\n---\nc: 3\n");
    }
}
