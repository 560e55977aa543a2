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
    let mut seen: BTreeMap<Owner, Vec<Spot>> = BTreeMap::new();
    let mut folded: BTreeMap<String, &RepoPath> = BTreeMap::new();
    let claimed: Vec<Claimed<'_>> = snapshot.files.iter().filter_map(claimed).collect();
    read_new(&claimed, memo);
    for Claimed { path, blob, sorted, key } in claimed {
        if let Some(finding) = unusable(path, blob.kind, &mut folded) {
            landscape.unknown.extend(finding.places.first().cloned());
            findings.push(finding);
            continue;
        }
        if sorted == Path::Overlay {
            if let Ok(text) = std::str::from_utf8(&blob.bytes) {
                landscape.overlays.insert(path.clone(), Arc::from(text));
            } else {
                findings.push(Finding::error(Code::new("LOAD-TEXT"), "the file is not UTF-8").at(Place::file(path.clone())));
            }
            continue;
        }
        let file = Arc::clone(memo.get_or_insert_with(key, || Arc::new(file::read(path, &sorted, &blob.bytes))));
        findings.extend(file.findings.clone());
        take(&file, &mut landscape, &mut findings, &mut seen);
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
    sorted: Path,
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
    let read = share::map(&new, |c| Arc::new(file::read(c.path, &c.sorted, &c.blob.bytes)));
    for (claimed, file) in new.into_iter().zip(read) {
        memo.insert(claimed.key.clone(), file);
    }
}

/// Whether a file is laid over what is built in: a policy, a template, a schema.
#[must_use]
pub fn is_overlay(path: &RepoPath) -> bool {
    paths::sort(path.as_str()) == Path::Overlay
}

/// Puts the entries of a file where they belong.
fn take(file: &File, landscape: &mut Landscape, findings: &mut Findings, seen: &mut BTreeMap<Owner, Vec<Spot>>) {
    for entry in &file.entries {
        findings.extend(entry.findings.clone());
        match &entry.content {
            Content::Object(owner, object) => {
                seen.entry(owner.clone()).or_default().push(entry.spot.clone());
                landscape.put(owner.clone(), object.clone());
            }
            Content::Broken(owners) => {
                let errors = entry.findings.iter().filter(|f| f.severity == Severity::Error);
                for owner in owners {
                    if owner.kind == Kind::Landscape && landscape.name.is_empty() {
                        landscape.name.clone_from(&owner.name);
                    }
                    seen.entry(owner.clone()).or_default().push(entry.spot.clone());
                    landscape.broken.entry(owner.clone()).or_default().0.extend(errors.clone().cloned());
                }
            }
            Content::Unknown => landscape.unknown.push(entry.spot.place()),
            Content::Credential { project, name } => {
                landscape.credentials.insert((project.clone(), name.clone()), entry.spot.place());
            }
            Content::Distances(distances) => landscape.distances.extend(distances.clone()),
            Content::Refused => {}
        }
    }
}

/// Two documents about the same object: neither wins. Broken objects are in no map.
fn settle_duplicates(landscape: &mut Landscape, findings: &mut Findings, seen: BTreeMap<Owner, Vec<Spot>>) {
    for (owner, spots) in seen {
        let [first, others @ ..] = spots.as_slice() else { continue };
        if others.is_empty() {
            if landscape.broken.contains_key(&owner) {
                landscape.remove(&owner);
            }
            continue;
        }
        let mut finding = Finding::error(Code::new("LOAD-DUPLICATE"), format!("{owner} is defined {} times", spots.len()))
            .at(first.place())
            .help("keep one of them; until then the object stays as it was")
            .of(&owner);
        for other in others {
            finding = finding.at(other.place().noted("and here"));
        }
        landscape.remove(&owner);
        landscape.broken.entry(owner).or_default().push(finding.clone());
        findings.push(finding);
    }
}

/// Why a claimed path cannot be read at all.
fn unusable<'a>(path: &'a RepoPath, kind: EntryKind, folded: &mut BTreeMap<String, &'a RepoPath>) -> Option<Finding> {
    let text = path.as_str();
    let shown = RepoPath::from(if text.is_ascii() { text.escape_debug().to_string() } else { text.escape_default().to_string() });
    let error = |code: &'static str, message: String, help: &str| {
        Some(Finding::error(Code::new(code), message).at(Place::file(shown.clone())).help(help))
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
    if let Some(twin) = folded.insert(text.to_lowercase(), path) {
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
