//! From the files of a commit to the landscape.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::file::{self, Content, File, Spot};
use super::paths::{self, Path};
use super::{Kind, Landscape, Owner, link};
use crate::finding::{Code, Finding, Findings, Place, Severity};
use crate::memo::Memo;
use crate::share;
use crate::snapshot::{Blob, BlobId, EntryKind, RepoPath, Snapshot};

/// Files that were read, by path and content. Rounds are begun and swept by whoever owns it.
pub type FileMemo = Memo<(RepoPath, BlobId), Arc<File>>;

/// Reads every claimed file, and links what is in them.
#[must_use]
pub fn load(snapshot: &Snapshot, memo: &mut FileMemo) -> (Landscape, Findings) {
    let mut landscape = Landscape::default();
    let mut findings = Findings::default();
    let mut folded: BTreeMap<String, &RepoPath> = BTreeMap::new();
    let claimed: Vec<Claimed<'_>> = snapshot.files.iter().filter_map(claimed).collect();
    read_new(&claimed, memo);
    let mut read = Vec::with_capacity(claimed.len());
    for one in claimed {
        let Claimed { path, blob, sorted, .. } = one;
        if let Some(finding) = unusable(path, blob.kind, &mut folded) {
            landscape.unknown.extend(finding.places.first().cloned());
            read.push(Err(finding));
        } else if sorted != Path::Overlay {
            read.push(Ok(remembered(one, memo)));
        } else if let Ok(text) = std::str::from_utf8(&blob.bytes) {
            landscape.overlays.insert(path.clone(), Arc::from(text));
        } else {
            read.push(Err(Finding::error(Code::new("LOAD-TEXT"), "the file is not UTF-8").at(Place::file(path.clone()))));
        }
    }
    let mut seen: Vec<(&Owner, &Spot)> = Vec::with_capacity(read.len());
    for file in &read {
        match file {
            Ok(file) => take(file, &mut landscape, &mut findings, &mut seen),
            Err(finding) => findings.push(finding.clone()),
        }
    }
    settle_duplicates(&mut landscape, &mut findings, seen);
    findings.extend(link::check(&mut landscape));
    if !snapshot.files.contains_key("landscape.yaml") {
        findings.push(no_landscape(snapshot));
    }
    (landscape, findings)
}

/// A file that is our business.
struct Claimed<'a> {
    path: &'a RepoPath,
    blob: &'a Blob,
    sorted: Path<'a>,
    /// What it is remembered under.
    key: (RepoPath, BlobId),
}

fn claimed<'a>((path, blob): (&'a RepoPath, &'a Blob)) -> Option<Claimed<'a>> {
    let sorted = paths::sort(path.as_str());
    let ours = sorted != Path::Other || (blob.kind != EntryKind::File && paths::claims(path.as_str()));
    ours.then(|| Claimed { path, blob, sorted, key: (path.clone(), blob.id.clone()) })
}

/// Reads the manifests that are not remembered, on a few threads if there are many.
fn read_new(claimed: &[Claimed<'_>], memo: &mut FileMemo) {
    let manifests = claimed.iter().filter(|c| c.blob.kind == EntryKind::File && c.sorted != Path::Overlay);
    let new: Vec<&Claimed<'_>> = manifests.filter(|c| memo.get(&c.key).is_none()).collect();
    let read = share::map(&new, |c| Arc::new(file::read(c.path, c.sorted, &c.blob.bytes)));
    for (claimed, file) in new.into_iter().zip(read) {
        memo.insert(claimed.key.clone(), file);
    }
}

/// Reads one file of manifests, or remembers it; `None` if it is something else.
pub(super) fn read_manifest(path: &RepoPath, blob: &Blob, memo: &mut FileMemo) -> Option<Arc<File>> {
    let claimed = claimed((path, blob))?;
    let readable = blob.kind == EntryKind::File && claimed.sorted != Path::Overlay;
    readable.then(|| remembered(claimed, memo))
}

fn remembered(claimed: Claimed<'_>, memo: &mut FileMemo) -> Arc<File> {
    let Claimed { path, blob, sorted, key } = claimed;
    Arc::clone(memo.get_or_insert_with(key, || Arc::new(file::read(path, sorted, &blob.bytes))))
}

/// Whether a file is laid over what is built in: a policy, a template, a schema.
#[must_use]
pub fn is_overlay(path: &RepoPath) -> bool {
    paths::sort(path.as_str()) == Path::Overlay
}

/// Whether a file of a landscape is one of manifests.
#[must_use]
pub fn is_manifest(path: &RepoPath) -> bool {
    !matches!(paths::sort(path.as_str()), Path::Overlay | Path::Other)
}

/// Puts the entries of a file where they belong, and notes who was seen where.
fn take<'a>(file: &'a File, landscape: &mut Landscape, findings: &mut Findings, seen: &mut Vec<(&'a Owner, &'a Spot)>) {
    findings.extend(file.findings.clone());
    for entry in &file.entries {
        findings.extend(entry.findings.clone());
        match &entry.content {
            Content::Object(owner, object) => {
                seen.push((owner, &entry.spot));
                landscape.put(owner.clone(), object.clone());
            }
            Content::Broken(owners) => {
                let errors = entry.findings.iter().filter(|f| f.severity == Severity::Error);
                for owner in owners {
                    if owner.kind == Kind::Landscape && landscape.name.is_empty() {
                        landscape.name.clone_from(&owner.name);
                    }
                    seen.push((owner, &entry.spot));
                    landscape.broken.entry(owner.clone()).or_default().0.extend(errors.clone().cloned());
                }
            }
            Content::Unknown => landscape.unknown.push(entry.spot.place()),
            Content::Credential { project, name } => {
                landscape.credentials.insert((project.clone(), name.clone()), entry.spot.place());
            }
            Content::Distances(distances) => landscape.distances.extend(distances.clone()),
            Content::Acknowledgement(one) => landscape.acknowledgements.push(one.clone()),
            Content::Refused => {}
        }
    }
}

/// Two documents about the same object: neither wins. Broken objects are in no map.
fn settle_duplicates(landscape: &mut Landscape, findings: &mut Findings, mut seen: Vec<(&Owner, &Spot)>) {
    for owner in landscape.broken.keys().cloned().collect::<Vec<_>>() {
        landscape.remove(&owner);
    }
    seen.sort_by_key(|(owner, _)| *owner);
    for same in seen.chunk_by(|(a, _), (b, _)| a == b) {
        let [(owner, first), others @ ..] = same else { continue };
        if others.is_empty() {
            continue;
        }
        let mut finding = Finding::error(Code::new("LOAD-DUPLICATE"), format!("{owner} is defined {} times", same.len()))
            .at(first.place())
            .help("keep one of them; until then the object stays as it was")
            .of(owner);
        for (_, other) in others {
            finding = finding.at(other.place().noted("and here"));
        }
        landscape.remove(owner);
        landscape.broken.entry((*owner).clone()).or_default().push(finding.clone());
        findings.push(finding);
    }
}

/// Why a claimed path cannot be read at all.
fn unusable<'a>(path: &'a RepoPath, kind: EntryKind, folded: &mut BTreeMap<String, &'a RepoPath>) -> Option<Finding> {
    let text = path.as_str();
    let error = |code: &'static str, message: String, help: &str| {
        let shown = if text.is_ascii() { text.escape_debug().to_string() } else { text.escape_default().to_string() };
        Some(Finding::error(Code::new(code), message).at(Place::file(RepoPath::from(shown))).help(help))
    };
    match kind {
        EntryKind::Symlink => {
            return error("LOAD-LINK", "a symbolic link is not followed".to_owned(), "put the file itself here");
        }
        EntryKind::Submodule => {
            return error("LOAD-LINK", "a submodule is not followed".to_owned(), "put the files themselves here");
        }
        EntryKind::TooLarge => {
            let most = crate::snapshot::MAX_FILE_BYTES >> 20;
            return error(
                "LOAD-SIZE",
                format!("the file has more than {most} MiB, and was not read"),
                "split it into several files",
            );
        }
        EntryKind::File => {}
    }
    // What looks the same, or is the same on one machine and not on another: only ASCII has one spelling.
    let portable = |c: char| c.is_ascii() && !c.is_control() && c != '\\';
    let reserved = |part: &str| {
        matches!(part, "" | "." | "..")
            || ["git", "git~1"].iter().any(|name| part.trim_start_matches('.').eq_ignore_ascii_case(name) && part != "git")
    };
    if !text.chars().all(portable) || text.split('/').any(reserved) {
        return error("LOAD-PATH", "the file's name contains characters that are not portable".to_owned(), "rename it");
    }
    // Capitals sort before small letters: of two paths that differ in case only, the first has one.
    let capital = text.contains(|c: char| c.is_ascii_uppercase());
    let twin = if capital { folded.insert(text.to_ascii_lowercase(), path) } else { folded.get(text).copied() };
    if let Some(twin) = twin {
        let help = "rename one of them: on many machines only one of the two would exist";
        return error("LOAD-PATH", format!("the file's name differs from {twin} only in case"), help);
    }
    None
}

/// What to write when there is no `landscape.yaml`.
fn no_landscape(snapshot: &Snapshot) -> Finding {
    let other = snapshot.files.keys().find(|path| matches!(path.as_str(), "landscape.yml" | "Landscape.yaml" | "landscape.json"));
    let finding = Finding::error(Code::new("LOAD-NO-LANDSCAPE"), "there is no landscape.yaml").help(format!(
        "write landscape.yaml:\n\napiVersion: {}\nkind: {}\nmetadata:\n  name: local\nspec:\n  domains:\n    internal: internal.example.com\n    default: shoots.example.com\n  clusters: sim\n",
        Kind::Landscape.api_version(),
        Kind::Landscape,
    ));
    match other {
        Some(path) => finding.at(Place::file(path.clone()).noted("this one is not read: the name is landscape.yaml")),
        None => finding.at(Place::file("landscape.yaml".into())),
    }
}
