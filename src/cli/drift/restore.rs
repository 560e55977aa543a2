//! What restoring would cost: the fields of a shoot that drifted, written as they were desired again.

use std::sync::Arc;

use serde_json::Value;

use super::super::live::Live;
use crate::admission::Accepted;
use crate::finding::Finding;
use crate::landscape::{Kind, Owner};
use crate::plan::impact::{self, Mark};
use crate::plan::{diff, drift::Drifted};
use crate::print::drift::{ObjectDrift, Restore};

/// Says of each field of a shoot's own object what restoring it would cost, or that it would be refused.
pub(super) fn tell(live: &mut Live, objects: &mut [ObjectDrift]) {
    let is_meant = |object: &ObjectDrift| object.own && !object.missing && object.owner.kind == Kind::Shoot;
    if !objects.iter().any(is_meant) {
        return;
    }
    // What is written, judged against what is there as if that had been accepted.
    let mut accepted = live.world.accepted.0.as_ref().clone();
    for object in objects.iter().filter(|object| is_meant(object)) {
        if let Some(there) = live.garden(&object.owner) {
            accepted.insert(object.owner.clone(), Arc::new(spec_of(&there.kept)));
        }
    }
    let judged = live.judge(&Accepted(Arc::new(accepted)));
    for object in objects.iter_mut().filter(|object| is_meant(object)) {
        let held = judged.held.get(&object.owner).map(|held| held.findings.as_slice()).unwrap_or_default();
        object.restore = of(live, &object.owner, &object.fields, held);
    }
}

/// A live object without what servers and we add.
fn spec_of(there: &Value) -> Value {
    let mut value = there.clone();
    if let Some(map) = value.as_object_mut() {
        map.remove("status");
    }
    value
}

fn of(live: &Live, owner: &Owner, drifted: &[Drifted], held: &[Finding]) -> Vec<Restore> {
    let (Some(there), Some(manifest)) = (live.garden(owner), live.world.manifest(owner)) else { return Vec::new() };
    let back = diff::fields(&there.kept, manifest);
    let document = live.world.landscape.document(owner).map(|document| document.value());
    drifted
        .iter()
        .map(|one| {
            let field = one.field.clone();
            // A rule that compares with what is there speaks of the field by its place in the document.
            let refused = held.iter().filter(|finding| finding.cause.is_some()).find(|finding| {
                finding.places.iter().any(|place| {
                    let there = document.and_then(|d| d.pointer(place.pointer.as_str()));
                    there.is_some() && there == one.desired.as_ref()
                })
            });
            if let Some(finding) = refused {
                return Restore { field, mark: Mark::Forbidden, why: finding.message.clone() };
            }
            let costs = back.iter().find(|back| back.name == one.field).map(|back| impact::of(back, &there.kept, manifest));
            match costs.into_iter().flatten().next() {
                Some(impact) => Restore { field, mark: impact.mark, why: impact.why.into_owned() },
                None => Restore { field, mark: Mark::None, why: String::new() },
            }
        })
        .collect()
}
