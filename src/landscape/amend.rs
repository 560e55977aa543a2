//! From a landscape to the one of another commit of which only shoots differ, at the cost of the files that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::file::{Content, File};
use super::load::{self, FileMemo};
use super::{Kind, Landscape, Object, Owner};
use crate::snapshot::{Blob, EntryKind, RepoPath};

/// Puts files that differ in the place of what they were, and says whose documents those are.
///
/// `before` holds what the files were, `differing` what they are; the memory is the one that the landscape was loaded with. `None`,
/// and nothing is changed, if the whole is to be loaded again: unless each of these files holds the same shoots as before, and
/// nothing is said of any of it, there may be more to say of the others.
pub fn amend(
    landscape: &mut Landscape,
    before: &BTreeMap<RepoPath, Blob>,
    differing: &BTreeMap<RepoPath, Option<Blob>>,
    memo: &mut FileMemo,
) -> Option<BTreeSet<Owner>> {
    let mut files = Vec::new();
    for (path, now) in differing {
        let (was, now) = (before.get(path)?, now.as_ref()?);
        let was = Arc::clone(memo.get(&(path.clone(), was.id.clone()))?);
        let is = load::read_manifest(path, now, memo)?;
        let (was, is) = (shoots(&was)?, shoots(&is)?.into_iter().map(|(o, s)| (o.clone(), s.clone())).collect::<Vec<_>>());
        let same = was.iter().map(|(owner, _)| *owner).eq(is.iter().map(|(owner, _)| owner));
        let alone = was.iter().all(|(owner, _)| landscape.shoots.contains_key(*owner));
        if now.kind != EntryKind::File || !same || !alone {
            return None;
        }
        files.extend(is);
    }
    let owners = files.iter().map(|(owner, _)| owner.clone()).collect();
    for (owner, shoot) in files {
        landscape.put(owner, shoot);
    }
    Some(owners)
}

/// The shoots of a file that holds nothing else, and of which nothing is said.
fn shoots(file: &File) -> Option<Vec<(&Owner, &Object)>> {
    let plain = file.findings.0.is_empty();
    let each = file.entries.iter().map(|entry| match &entry.content {
        Content::Object(owner, object) if owner.kind == Kind::Shoot && entry.findings.0.is_empty() => Some((owner, object)),
        _ => None,
    });
    each.collect::<Option<Vec<_>>>().filter(|_| plain)
}

/// The shoots whose documents differ between two landscapes that were loaded with one memory; `None` if anything else differs that
/// verdicts may depend on.
#[must_use]
pub fn differing_shoots(one: &Landscape, other: &Landscape) -> Option<BTreeSet<Owner>> {
    let beside = one.broken == other.broken
        && one.unknown == other.unknown
        && one.credentials == other.credentials
        && one.distances == other.distances;
    let (mut ours, mut theirs) = (one.objects(), other.objects());
    let mut differing = BTreeSet::new();
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return beside.then_some(differing),
            (Some((owner, _, was)), Some((other, _, is))) if owner == other => {
                if Arc::ptr_eq(was, is) {
                    continue;
                }
                if owner.kind != Kind::Shoot {
                    return None;
                }
                differing.insert(owner);
            }
            _ => return None,
        }
    }
}

/// Whether an object has the same document in two landscapes that were loaded with one memory.
#[must_use]
pub fn is_same_document(one: &Landscape, other: &Landscape, owner: &Owner) -> bool {
    match (one.document(owner), other.document(owner)) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
