//! Settings that are valid, and accepted, and that nobody acts upon yet. Each line goes when what it names is built.

use super::prelude::*;
use crate::landscape::operation::{REQUESTS, is_supported};

rules! {
    /// Some settings of the object are accepted and kept, but nothing acts upon them yet.
    ///
    /// They do no harm; they take effect when the part of espalier that they are for is there.
    "NOT-ACTED-UPON", "settings that have no effect yet", Shoot, shoot as Espalier;
    /// Operations that rotate, maintain or migrate are not carried out yet: they are recorded as failed, and done no later either.
    "OPERATION-NOT-ACTED-UPON", "an operation cannot be carried out yet", Operation, operation as Espalier;
}

/// Fields of a shoot, and what they are called.
const SHOOT: &[(&str, &str)] = &[
    ("spec/hibernation/schedules", "hibernation schedules"),
    ("spec/maintenance/autoRotation", "automatic rotation of credentials"),
    ("spec/dns/providers", "DNS providers of the shoot"),
    ("spec/controlPlane/zones", "zones of the control plane"),
    ("spec/accessRestrictions", "access restrictions"),
];

/// Whether nobody acts yet upon a field of a shoot, given by its keys.
pub(crate) fn is_idle(path: &[String]) -> bool {
    SHOOT.iter().any(|(idle, _)| idle.split('/').enumerate().all(|(i, key)| path.get(i).is_some_and(|k| k == key)))
}

/// One note per object, at the first of the settings that were written (not defaulted).
fn shoot(cx: &Cx<'_>, out: &mut Out) {
    let found: Vec<(Node<'_>, &str)> = SHOOT.iter().map(|(path, name)| (cx.written.at(path), *name)).filter(|(node, _)| !node.is_empty() && node.flag() != Some(false)).collect();
    if let Some((first, _)) = found.first() {
        out.note(first, format!("not acted upon yet: {}", found.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "))).on_key();
    }
}

fn operation(cx: &Cx<'_>, out: &mut Out) {
    let request = cx.new.at("spec/request");
    let known = REQUESTS.contains(&request.str());
    if known && !is_supported(request.str()) {
        out.warning(&request, format!("{} is not supported yet: it will be recorded as failed", request.shown())).help("`reconcile` and `retry` are supported");
    }
}
