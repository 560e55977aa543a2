//! Who set a value that cannot change: looked up in the history of its object, for a few findings and not for ever.

use std::collections::BTreeSet;

use crate::cli::Context;
use crate::cli::past::{COMMITS, Past, Wanted, origins};
use crate::cli::read::{self, Reading};
use crate::finding::{Findings, Pointer, Severity};
use crate::landscape::Owner;
use crate::plan::way::Way;
use crate::print::origin::Origin;

/// So many findings are told who set the value.
const FINDINGS: usize = 20;

/// Notes at findings about values that cannot change like this: which commit set the value that was there before, who, and when.
///
/// It is an addition: where the history cannot be read, there is no note.
pub(in crate::cli) async fn blame(context: &Context, reading: &Reading, base: &Reading, findings: &mut Findings) {
    let about = |code: &str| ["-IMMUTABLE", "-CHANGED", "-DOWNGRADE"].iter().any(|end| code.ends_with(end));
    let mut places = Vec::new();
    let mut wanted = Vec::new();
    for finding in findings.0.iter_mut().filter(|f| f.severity == Severity::Error && about(f.code.as_str())).take(FINDINGS) {
        let Some(place) = finding.places.first_mut().filter(|place| place.note.is_empty()) else { continue };
        let Some(owner) = reading.landscape.objects().map(|(owner, ..)| owner).find(|o| o.to_string() == finding.owner) else {
            continue;
        };
        if let Some(one) = before(base, &owner, place.pointer.as_str()) {
            wanted.push(one);
            places.push(place);
        }
    }
    if wanted.is_empty() {
        return;
    }
    let Ok(repo) = read::repository(&context.settings).await else { return };
    let names: BTreeSet<String> = wanted.iter().map(|one| one.owner.name.clone()).collect();
    let Ok(mut past) = Past::begin(&repo, &base.snapshot.revision, &base.prefix, Some(names), COMMITS).await else { return };
    let Ok(found) = origins(&mut past, &wanted).await else { return };
    for (place, commit) in places.into_iter().zip(found) {
        if let Some(commit) = commit {
            place.note = format!("set by {}", Origin::from(&commit).text());
        }
    }
}

/// The field of the base that a pointer means; the list, where it leads into one whose items have no names.
fn before(base: &Reading, owner: &Owner, pointer: &str) -> Option<Wanted> {
    let value = base.landscape.document(owner)?.value();
    let mut pointer = Pointer::from(pointer);
    value.pointer(pointer.as_str())?;
    loop {
        if let Some(way) = Way::to(value, pointer.as_str()) {
            return Some(Wanted { owner: owner.clone(), way, value: value.pointer(pointer.as_str()).cloned() });
        }
        pointer = pointer.parent()?;
    }
}
