//! The target's files while they are changed: documents edited in place, added with their own text, cut out, moved.

use std::collections::BTreeMap;

use crate::document::{self, Budget, Document, Edit, Parsed};
use crate::snapshot::{Changes, EntryKind, RepoPath, Snapshot};

/// The files of a snapshot with what was changed in them.
pub(super) struct Files<'a> {
    snapshot: &'a Snapshot,
    changes: Changes,
}

impl<'a> Files<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, changes: Changes::new() }
    }

    /// What differs from the snapshot.
    pub(super) fn changes(self) -> Changes {
        let Self { snapshot, mut changes } = self;
        changes.retain(|path, text| text.as_deref().map(str::as_bytes) != bytes(snapshot, path));
        changes
    }

    /// The text of a file; `None` if there is none, or it is not UTF-8.
    pub(super) fn text(&self, path: &RepoPath) -> Option<&str> {
        match self.changes.get(path) {
            Some(changed) => changed.as_deref(),
            None => bytes(self.snapshot, path).and_then(|bytes| std::str::from_utf8(bytes).ok()),
        }
    }

    /// Whether a path is taken, by whatever.
    pub(super) fn has(&self, path: &RepoPath) -> bool {
        self.changes.get(path).map_or_else(|| self.snapshot.files.contains_key(path), Option::is_some)
    }

    pub(super) fn write(&mut self, path: &RepoPath, text: Option<String>) {
        self.changes.insert(path.clone(), text);
    }

    /// Makes edits to one document of a file.
    pub(super) fn edit(&mut self, path: &RepoPath, index: usize, edits: &[Edit]) -> Result<(), String> {
        if edits.is_empty() {
            return Ok(());
        }
        let parsed = self.parsed(path);
        let document = parsed.documents.iter().find(|document| document.index() == index);
        let text = document.ok_or("the document is not where it was")?.edit(edits).map_err(|error| error.to_string())?;
        self.write(path, Some(text));
        Ok(())
    }

    /// Takes a document out of its file, and the file away if nothing else is in it.
    pub(super) fn remove(&mut self, path: &RepoPath, index: usize) -> Result<(), String> {
        let before = self.parsed(path);
        let document = before.documents.iter().find(|document| document.index() == index).ok_or("the document is not there")?;
        if before.documents.len() + before.broken.len() == 1 {
            self.write(path, None);
            return Ok(());
        }
        let mut text = document.text().to_string();
        text.replace_range(document.range(), "");
        let after = document::parse(path, text.as_bytes(), &Budget::default());
        let others = || before.documents.iter().filter(|document| document.index() != index).map(|document| document.value());
        let kept = after.documents.iter().map(|document| document.value()).eq(others());
        if !kept || after.broken.len() != before.broken.len() {
            return Err("it cannot be taken out of its file without touching what else is in it".to_owned());
        }
        self.write(path, Some(text));
        Ok(())
    }

    /// Adds documents of one file of the source with their own text: the whole file if all of it comes and nothing is there.
    pub(super) fn add(&mut self, path: &RepoPath, documents: &[&Document], whole: bool) {
        let Some(first) = documents.first() else { return };
        if whole && !self.has(path) {
            self.write(path, Some(first.text().to_string()));
            return;
        }
        let mut text = self.text(path).unwrap_or_default().to_owned();
        for document in documents {
            let piece = document.text().get(document.range()).unwrap_or_default();
            let piece = piece.strip_prefix('\u{feff}').unwrap_or(piece);
            let bare = piece.strip_prefix("---").map_or(piece, |rest| rest.trim_start_matches([' ', '\r', '\n']));
            if !text.is_empty() {
                text.push_str(if text.ends_with('\n') { "---\n" } else { "\n---\n" });
            }
            text.push_str(bare);
        }
        self.write(path, Some(text));
    }

    /// The file, read again as it is by now.
    pub(super) fn parsed(&self, path: &RepoPath) -> Parsed {
        document::parse(path, self.text(path).unwrap_or_default().as_bytes(), &Budget::default())
    }
}

fn bytes<'s>(snapshot: &'s Snapshot, path: &RepoPath) -> Option<&'s [u8]> {
    snapshot.files.get(path).filter(|blob| blob.kind == EntryKind::File).map(|blob| &*blob.bytes)
}

/// How many documents each file has.
pub(super) fn counted<'a>(documents: impl Iterator<Item = &'a Document>) -> BTreeMap<RepoPath, usize> {
    let mut counts = BTreeMap::new();
    for document in documents {
        *counts.entry(document.path().clone()).or_default() += 1;
    }
    counts
}
