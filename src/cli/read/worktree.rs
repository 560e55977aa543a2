//! Reading a landscape from a folder on disk, with what is not committed yet.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::{Source, WORKTREE};
use crate::config;
use crate::git;
use crate::snapshot::{Blob, Differing, EntryKind, MAX_FILE_BYTES, RepoPath, Revision, Snapshot, Verdict};

/// Folders of a landscape that are read; nothing else in a work tree is looked at.
pub(in crate::cli) const CLAIMED: &[&str] =
    &["acknowledgements", "cloudprofiles", "extensions", "operations", "policies", "projects", "schemas", "seeds", "templates"];

/// Whether a path below a landscape's folder is a part of the landscape.
pub(in crate::cli) fn is_claimed(path: &str) -> bool {
    let name = path.split('/').next().unwrap_or_default();
    CLAIMED.contains(&name) || name.to_lowercase().starts_with("landscape.")
}

/// The claimed files of a folder on disk.
pub(in crate::cli) fn work_tree(root: &Path) -> anyhow::Result<Source> {
    let mut files = BTreeMap::new();
    let entries = std::fs::read_dir(root).with_context(|| format!("failed to read {}", root.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read {}", root.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_claimed(&name) {
            collect(&entry.path(), name, &mut files)?;
        }
    }
    let shown = root.display().to_string();
    let shown = shown.trim_start_matches("./").trim_end_matches('/');
    let prefix = if shown.is_empty() || shown == "." { String::new() } else { format!("{shown}/") };
    let snapshot = Snapshot { files, ..heading() };
    Ok(Source { snapshot, from: if prefix.is_empty() { ".".to_owned() } else { shown.to_owned() }, prefix })
}

/// A file with this content. Its id is what Git would say, so that a file which a commit has as well is read once.
pub(in crate::cli) fn file(bytes: &[u8]) -> Blob {
    Blob { id: git::blob_id(bytes), kind: EntryKind::File, bytes: Arc::from(bytes) }
}

/// Takes a file, or everything below a folder; links are noted and not followed.
fn collect(path: &Path, name: String, files: &mut BTreeMap<RepoPath, Blob>) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", path.display());
    let kind = std::fs::symlink_metadata(path).with_context(failed)?.file_type();
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            collect(&entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()), files)?;
        }
        return Ok(());
    }
    if let Some(blob) = blob(path, kind).with_context(failed)? {
        files.insert(name.into(), blob);
    }
    Ok(())
}

/// What is read of one file; nothing of what is neither a file nor a link.
fn blob(path: &Path, kind: std::fs::FileType) -> std::io::Result<Option<Blob>> {
    let (kind, bytes) = if kind.is_symlink() {
        (EntryKind::Symlink, Vec::new())
    } else if kind.is_file() {
        match usize::try_from(std::fs::metadata(path)?.len()) {
            Ok(size) if size <= MAX_FILE_BYTES => (EntryKind::File, std::fs::read(path)?),
            _ => (EntryKind::TooLarge, Vec::new()),
        }
    } else {
        return Ok(None);
    };
    Ok(Some(Blob { kind, ..file(&bytes) }))
}

/// One path of a work tree: what is read of it, nothing if it is gone. An error if it is a folder.
pub(in crate::cli) fn one(path: &Path) -> std::io::Result<Option<Blob>> {
    match std::fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
        Ok(meta) if meta.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(meta) => blob(path, meta.file_type()),
    }
}

/// The files that two readings of a work tree have otherwise.
pub(in crate::cli) fn differing(before: &Snapshot, after: Snapshot) -> Differing {
    let Snapshot { files, .. } = after;
    let mut differing: BTreeMap<RepoPath, Option<Blob>> =
        before.files.keys().filter(|path| !files.contains_key(*path)).map(|path| (path.clone(), None)).collect();
    let same =
        |path: &RepoPath, blob: &Blob| before.files.get(path).is_some_and(|was| (&was.id, was.kind) == (&blob.id, blob.kind));
    differing.extend(files.into_iter().filter(|(path, blob)| !same(path, blob)).map(|(path, blob)| (path, Some(blob))));
    Differing { heading: heading(), files: differing }
}

/// Whether a file is what it was.
pub(in crate::cli) fn is_same(was: Option<&Blob>, is: Option<&Blob>) -> bool {
    was.map(|was| (&was.id, was.kind)) == is.map(|is| (&is.id, is.kind))
}

/// What is said of a work tree instead of a commit.
pub(in crate::cli) fn heading() -> Snapshot {
    Snapshot {
        revision: Revision(WORKTREE.to_owned()),
        committed: config::now().as_second(),
        author: String::new(),
        subject: String::new(),
        verdict: Verdict::Unchecked,
        files: BTreeMap::new(),
    }
}
