//! Tokens with which what runs in a seed reaches the garden: asked for there, written into the Secret that waits for them, and renewed
//! at four fifths of their life. In Gardener that is gardenlet's token requestor, for Secrets of class `garden`
//! (`seed-and-garden.md` §3.2).

use jiff::Timestamp;

use super::Action;
use crate::observed::Object;
use crate::render::DesiredObject;

/// What names of such Secrets begin with.
const PREFIX: &str = "garden-access-";
/// The annotation that says when its token is to be renewed.
pub const RENEW: &str = "serviceaccount.resources.gardener.cloud/token-renew-timestamp";

/// Whether an object waits for a token of the garden.
pub(super) fn waits(desired: &DesiredObject) -> bool {
    let label = |name: &str| desired.body.pointer(&format!("/metadata/labels/resources.gardener.cloud~1{name}"));
    desired.key.group.is_empty()
        && desired.key.kind == "Secret"
        && desired.key.name.starts_with(PREFIX)
        && label("purpose").is_some_and(|purpose| purpose == "token-requestor")
        && label("class").is_some_and(|class| class == "garden")
}

/// When the token of a Secret that is there is to be renewed, in seconds since the epoch; `None` if it has none.
pub(super) fn renews(live: &Object) -> Option<i64> {
    live.annotations.get(RENEW)?.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// What is to be done about the token of a Secret that is there and otherwise as wanted, and why. Whose token it is stands in what is
/// wanted: whoever may write into the seed must not choose that.
pub(super) fn due(desired: &DesiredObject, live: &Object, now: i64) -> Option<(Action, &'static str)> {
    let why = match renews(live) {
        None => "it has no token of the garden",
        Some(at) if at <= now => "its token has to be renewed",
        Some(_) => return None,
    };
    let of = |field: &str| {
        let annotation = format!("/metadata/annotations/serviceaccount.resources.gardener.cloud~1{field}");
        desired.body.pointer(&annotation).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    Some((Action::Renew { uid: live.uid.clone(), namespace: of("namespace"), account: of("name") }, why))
}
