//! What Deployments, StatefulSets and DaemonSets have in common: from a number of ready pods and a number of wanted ones to
//! the number that is ready now, with the ways to fail.

use serde_json::Value;

use super::fail::flap;
use super::{Again, Cx, Fail, Lag};

/// How far a rollout is.
pub(super) struct Rollout {
    /// Pods that are ready now.
    pub(super) ready: i64,
    /// When it goes on.
    pub(super) again: Again,
    /// Why it does not, as the reason of a condition.
    pub(super) failed: Option<String>,
    /// Whether pods of the former template serve on meanwhile.
    pub(super) former: bool,
    /// What to subtract from the observed generation.
    pub(super) behind: i64,
}

/// Steps towards `wanted` pods of the template with this hash, of which `ready` are there.
pub(super) fn step(cx: &mut Cx<'_>, object: &Value, hash: &str, ready: i64, wanted: i64, lag: Lag) -> Rollout {
    let ready = ready.min(wanted);
    let mut rollout = Rollout { ready, again: Again::Done, failed: None, former: true, behind: 0 };
    match cx.fail(object) {
        Some(Fail::Stuck | Fail::LostHandshake) => return rollout,
        Some(Fail::Error(reason)) => {
            (rollout.failed, rollout.former, rollout.ready) = (Some(reason), false, 0);
            return rollout;
        }
        Some(Fail::Flapping) => {
            let (up, left) = flap(cx.now());
            rollout.ready = if up { wanted } else { 0 };
            (rollout.again, rollout.former) = (Again::After(left), false);
            return rollout;
        }
        Some(Fail::WrongObservedGeneration) => rollout.behind = 1,
        Some(Fail::Slow) | None => {}
    }
    if ready < wanted {
        match cx.wait(&format!("rollout {hash} {wanted}"), lag) {
            Some(left) => rollout.again = Again::After(left),
            None => rollout.ready = wanted,
        }
    }
    rollout
}
