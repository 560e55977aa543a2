//! Who set a value that cannot change: looked up in the history of its file, for a few findings and not for ever.

use jiff::Timestamp;
use serde_json::Value;

use super::Context;
use super::read::{self, Reading};
use crate::document::{self, Budget};
use crate::finding::{Findings, Pointer, Severity};
use crate::git::{Commit, Repo, Version};
use crate::landscape::Owner;
use crate::snapshot::RepoPath;

/// So many findings are told who set the value.
const FINDINGS: usize = 20;
/// So many commits back is looked.
const COMMITS: usize = 1000;

/// Notes at findings about values that cannot change like this: which commit set the value that was there before, who, and when.
///
/// It is an addition: where the history cannot be read, there is no note.
pub(super) async fn blame(context: &Context, reading: &Reading, base: &Reading, findings: &mut Findings) {
    let about = |code: &str| ["-IMMUTABLE", "-CHANGED", "-DOWNGRADE"].iter().any(|end| code.ends_with(end));
    let mut repo = None;
    for finding in findings.0.iter_mut().filter(|f| f.severity == Severity::Error && about(f.code.as_str())).take(FINDINGS) {
        let Some(place) = finding.places.first_mut().filter(|place| place.note.is_empty()) else { continue };
        let Some(owner) = reading.landscape.objects().map(|(owner, ..)| owner).find(|o| o.to_string() == finding.owner) else {
            continue;
        };
        if repo.is_none() {
            repo = read::repository(&context.settings).await.ok();
        }
        let Some(repo) = &repo else { return };
        if let Some(commit) = origin(repo, base, &owner, &place.pointer).await {
            place.note = said(&commit);
        }
    }
}

/// `set by 4f1c2ab, alice, 2025-03-02`.
fn said(commit: &Commit) -> String {
    let name = commit.author.split(" <").next().unwrap_or_default();
    let day = Timestamp::from_second(commit.committed).map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    format!("set by {}, {name}, {day}", commit.revision.short())
}

/// The commit since which a field has the value that it has in the base.
async fn origin(repo: &Repo, base: &Reading, owner: &Owner, pointer: &Pointer) -> Option<Commit> {
    let document = base.landscape.document(owner)?;
    let value = document.value().pointer(pointer.as_str())?;
    let path = format!("{}{}", base.prefix, document.path());
    let versions = repo.versions(&path, &base.snapshot.revision, COMMITS).await.ok()?;
    let mut origin = None;
    for Version { commit, bytes } in versions {
        if !has(&bytes, owner, pointer, value) {
            break;
        }
        origin = Some(commit);
    }
    origin
}

/// Whether a version of a file has this value for an object.
fn has(bytes: &[u8], owner: &Owner, pointer: &Pointer, value: &Value) -> bool {
    let parsed = document::parse(&RepoPath::from("version.yaml"), bytes, &Budget::default());
    parsed.documents.iter().any(|document| {
        let it = |pointer: &str| document.value().pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        it("/kind") == owner.kind.name()
            && it("/metadata/name") == owner.name
            && document.value().pointer(pointer.as_str()) == Some(value)
    })
}
