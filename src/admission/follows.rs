//! At most one finding for each cause: what only follows from another finding about the same object is left out of a report.
//!
//! An API server says both, or stops at the first; whoever reads a report mends the cause, and the rest is gone with it. Whether an
//! object is held does not depend on this: what stays is an error, too.

use super::check::Raised;
use crate::finding::Severity;

/// Where the cause is, seen from what follows.
#[derive(PartialEq)]
enum Where {
    /// At the same field, or at one that encloses it.
    Here,
    /// Anywhere in the object.
    Anywhere,
}

/// What follows from what: a code, how its field ends, the codes of causes, and where they are.
const FOLLOWS: &[(&str, &str, &[&str], Where)] = &[
    // A cloud profile that is not there offers no image, no machine and no zone.
    ("SHOOT-POOL-MACHINE", "/machine/image", &["SHOOT-PROFILE"], Where::Anywhere),
    // A region that is not on offer has no zones, and one that is missing is not on offer.
    ("SHOOT-ZONE", "", &["SHOOT-REGION", "SHOOT-REGION-MISSING"], Where::Anywhere),
    ("SHOOT-REGION", "", &["SHOOT-REGION-MISSING"], Where::Here),
    // What is not on offer cannot be counted.
    ("SHOOT-QUOTA", "/machine/type", &["SHOOT-MACHINE-NOT-OFFERED", "SHOOT-POOL-MACHINE"], Where::Here),
    ("SHOOT-QUOTA", "/volume/type", &["SHOOT-VOLUME-NOT-OFFERED"], Where::Here),
    // Pools without a version of their own have the control plane's.
    ("SHOOT-POOL-DOWNGRADE", "", &["SHOOT-VERSION-DOWNGRADE", "SHOOT-VERSION-UNREADABLE"], Where::Anywhere),
    // A version that cannot be read is on no list.
    ("SHOOT-VERSION-NOT-OFFERED", "", &["SHOOT-API-SERVER-VERSION", "SHOOT-VERSION-UNREADABLE"], Where::Here),
    ("SHOOT-API-SERVER-VERSION", "", &["SHOOT-VERSION-UNREADABLE"], Where::Anywhere),
    // Without workers, most settings have no meaning; but the workers should not have gone.
    ("SHOOT-WORKERLESS", "", &["SHOOT-WORKERLESS-CHANGED"], Where::Anywhere),
    ("SHOOT-IMMUTABLE", "/nodeCIDRMaskSize", &["SHOOT-WORKERLESS-CHANGED"], Where::Anywhere),
    // What cannot be understood is on no whitelist.
    ("SHOOT-TOLERATION", "", &["SHOOT-TOLERATION-SYNTAX"], Where::Here),
];

/// Leaves out what follows from something else that was raised.
pub(super) fn causes_only(raised: Vec<Raised>) -> Vec<Raised> {
    let follows: Vec<bool> = raised.iter().map(|r| raised.iter().any(|cause| follows_from(r, cause))).collect();
    raised.into_iter().zip(follows).filter(|(_, follows)| !follows).map(|(r, _)| r).collect()
}

fn follows_from(raised: &Raised, cause: &Raised) -> bool {
    let (code, by) = (raised.code.as_str(), cause.code.as_str());
    let place = |r: &Raised| r.at.first().map(|at| at.pointer.as_str().to_owned()).unwrap_or_default();
    let here = || {
        let (place, of) = (place(raised), place(cause));
        let within =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        within(&place, &of) || within(&of, &place)
    };
    cause.severity == Severity::Error
        && FOLLOWS.iter().any(|(follower, end, causes, at)| {
            *follower == code && causes.contains(&by) && place(raised).ends_with(end) && (*at == Where::Anywhere || here())
        })
}
