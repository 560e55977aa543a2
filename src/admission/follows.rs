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

/// What follows from what: a code, what the way to its field contains, the codes of causes, and where they are.
const FOLLOWS: &[(&str, &str, &[&str], Where)] = &[
    // A cloud profile that is not there offers no image, no machine and no zone.
    ("SHOOT-POOL-MACHINE", "/machine/image", &["SHOOT-PROFILE"], Where::Anywhere),
    // A region that is not on offer has no zones, and one that is missing is not on offer.
    ("SHOOT-ZONE", "", &["SHOOT-REGION", "SHOOT-REGION-MISSING"], Where::Anywhere),
    ("SHOOT-REGION", "", &["SHOOT-REGION-MISSING"], Where::Here),
    // What is not on offer cannot be counted.
    ("SHOOT-QUOTA", "/machine/type", &["SHOOT-MACHINE-NOT-OFFERED", "SHOOT-POOL-MACHINE"], Where::Here),
    ("SHOOT-QUOTA", "/volume/type", &["SHOOT-VOLUME-NOT-OFFERED"], Where::Here),
    ("SHOOT-POOL-MACHINE", "/machine/image", &["SHOOT-IMAGE-NOT-OFFERED"], Where::Here),
    ("SHOOT-IMAGE-NOT-OFFERED", "", &["SHOOT-IMAGE-NOT-OFFERED"], Where::Here),
    // Nobody is responsible for what is not on offer; the label that says who is, is made of its type.
    ("SHOOT-EXTENSION-UNKNOWN", "", &["SHOOT-IMAGE-NOT-OFFERED", "SHOOT-RUNTIME-NOT-OFFERED"], Where::Here),
    (
        "META-LABEL",
        ".extensions.gardener.cloud~1",
        &["SHOOT-EXTENSION-UNKNOWN", "SHOOT-IMAGE-NOT-OFFERED", "SHOOT-RUNTIME-NOT-OFFERED"],
        Where::Anywhere,
    ),
    // An operation that is not possible at all cannot begin either.
    (
        "SHOOT-ROTATION-START",
        "",
        &["SHOOT-OPERATION-VERSION", "SHOOT-OPERATION-ENCRYPTION", "SHOOT-OPERATION-TOGETHER"],
        Where::Here,
    ),
    ("SHOOT-ROTATION-COMPLETE", "", &["SHOOT-OPERATION-VERSION"], Where::Here),
    // The rules for seeds say it already.
    (
        "MANAGEDSEED-SEED",
        "/seedConfig/",
        &[
            "SEED-BACKUP",
            "SEED-DNS",
            "SEED-IMMUTABLE",
            "SEED-INGRESS",
            "SEED-NET-CIDR",
            "SEED-NET-FAMILY",
            "SEED-NET-OVERLAP",
            "SEED-NET-RESERVED",
            "SEED-PROVIDER",
        ],
        Where::Here,
    ),
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
    if raised.len() < 2 {
        return raised;
    }
    let follows = |(i, r): (usize, &Raised)| raised.iter().enumerate().any(|(j, cause)| i != j && follows_from(r, cause, j < i));
    let follows: Vec<bool> = raised.iter().enumerate().map(follows).collect();
    raised.into_iter().zip(follows).filter(|(_, follows)| !follows).map(|(r, _)| r).collect()
}

/// Whether something follows from a cause. Of two with the same code, the one that was raised earlier is the cause.
fn follows_from(raised: &Raised, cause: &Raised, earlier: bool) -> bool {
    let (code, by) = (raised.code.as_str(), cause.code.as_str());
    let fits = |(follower, part, causes, at): &(&str, &str, &[&str], Where)| {
        *follower == code
            && causes.contains(&by)
            && place(raised).contains(part)
            && (*at == Where::Anywhere || touch(place(raised), place(cause)))
    };
    cause.severity == Severity::Error && (code != by || earlier) && FOLLOWS.iter().any(fits)
}

fn place(raised: &Raised) -> &str {
    raised.at.first().map_or("", |at| at.pointer.as_str())
}

/// Whether two fields are the same, or one is within the other.
fn touch(a: &str, b: &str) -> bool {
    let within =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    within(a, b) || within(b, a)
}
