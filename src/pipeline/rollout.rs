//! May this be rolled out now, and if not, until when? A freeze keeps intent back as a whole and holds its owners; a maintenance window
//! keeps a shoot's spec back until it opens. Either way what was accepted before goes on being repaired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::freeze::{FREEZE, Freeze};
use crate::admission::{Accepted, Admitted, Gone};
use crate::finding::{Finding, Findings};
use crate::landscape::{Kind, Owner};
use crate::observed::Object;
use crate::plan::when::{Waiting, When, is_gardeners};

/// What is asked, beside what is wanted and what was accepted.
pub struct Asked<'a> {
    /// The freezes that are in force.
    pub freezes: &'a [Freeze],
    /// The landscape's settings.
    pub settings: Option<&'a Value>,
    /// Shoots that wait for no window ([`is_urgent`]).
    pub urgent: &'a BTreeSet<Owner>,
    /// The time.
    pub now: Timestamp,
}

/// Whether a shoot's changes wait for no window: it never came up, or its last operation failed, which a change may be the cure for.
#[must_use]
pub fn is_urgent(shoot: &Object) -> bool {
    let last = |field: &str| shoot.get(&format!("/status/lastOperation/{field}")).and_then(Value::as_str);
    match (last("type"), last("state")) {
        (None, _) | (_, Some("Error" | "Failed")) => true,
        (Some("Create"), state) => state != Some("Succeeded"),
        _ => false,
    }
}

/// Keeps back what may not be rolled out now.
///
/// Under a freeze, who was accepted stays as that was, who is new is not begun, who is gone is not deleted; the findings say whom it
/// met. Shoots that wait for their maintenance window keep the spec that was accepted; their metadata, such as the confirmation of a
/// deletion, is taken up at once.
pub fn keep_back(admitted: &mut Admitted, accepted: &Accepted, asked: &Asked<'_>) -> (BTreeMap<Owner, Waiting>, Findings) {
    let findings = freeze(admitted, accepted, asked.freezes);
    let mut waiting = BTreeMap::new();
    if is_gardeners(asked.settings) {
        return (waiting, findings);
    }
    let now = asked.now.as_second();
    let shoots = admitted.objects.iter_mut().filter(|(owner, _)| owner.kind == Kind::Shoot && admitted.fresh.contains(*owner));
    for (owner, manifest) in shoots {
        let Some(before) = accepted.0.get(owner).filter(|before| !Arc::ptr_eq(before, manifest)) else { continue };
        let when = When::of_change(owner, Some(before), manifest, asked.settings, now);
        let Some(span) = when.not_before(now).filter(|_| !asked.urgent.contains(owner)) else { continue };
        let mut kept = (**manifest).clone();
        if let (Some(kept), Some(spec)) = (kept.as_object_mut(), before.get("spec")) {
            kept.insert("spec".to_owned(), spec.clone());
        }
        let kept = if kept == **before { before.clone() } else { Arc::new(kept) };
        waiting.insert(owner.clone(), Waiting { span, wanted: std::mem::replace(manifest, kept) });
    }
    (waiting, findings)
}

fn freeze(admitted: &mut Admitted, accepted: &Accepted, freezes: &[Freeze]) -> Findings {
    let mut findings = Findings::default();
    if freezes.is_empty() {
        return findings;
    }
    let wanted = admitted.objects.keys().chain(admitted.gone.keys());
    let covered: BTreeSet<Owner> = wanted.filter(|owner| freezes.iter().any(|f| f.covers(owner))).cloned().collect();
    for owner in covered {
        let Some(freeze) = freezes.iter().find(|f| f.covers(&owner)) else { continue };
        let before = accepted.0.get(&owner);
        let going = admitted.gone.get(&owner) == Some(&Gone::Confirmed);
        let differs = admitted.fresh.contains(&owner) && admitted.objects.get(&owner) != before;
        if !going && !differs {
            continue;
        }
        let what = match (going, before) {
            (true, _) => "its deletion",
            (false, Some(_)) => "its change",
            (false, None) => "its creation",
        };
        let finding = Finding::error(FREEZE, format!("{what} is kept back: {freeze}"))
            .of(&owner)
            .help("`espalier resume` ends a freeze; what was accepted before goes on being repaired");
        match before {
            Some(before) => drop(admitted.objects.insert(owner.clone(), before.clone())),
            None => drop(admitted.objects.remove(&owner)),
        }
        if going {
            admitted.gone.insert(owner.clone(), Gone::Unconfirmed);
        }
        admitted.fresh.remove(&owner);
        admitted.held.entry(owner).or_default().findings.push(finding.clone());
        findings.push(finding);
    }
    findings
}
