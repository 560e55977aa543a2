//! Tokens of the garden for what runs in seeds. What is asked for in one cluster is written into the other at once: it stands in no
//! plan, and an answer that is lost means that the next look asks anew.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cluster::{ClusterError, Clusters, Write};
use crate::landscape::Target;

/// How long a token is valid, in seconds (`numbers.md`): half a day.
const LIFETIME: i64 = 12 * 60 * 60;

/// A token, and when it is to be renewed.
pub(super) struct Token {
    /// In base64, as `data` of a Secret has it.
    pub(super) encoded: Zeroizing<String>,
    pub(super) renew: Timestamp,
}

/// Asks the garden for a token of a ServiceAccount.
pub(super) async fn issue(clusters: &Clusters, namespace: &str, account: &str) -> Result<Token, ClusterError> {
    let garden = clusters.cluster(&Target::Garden)?;
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": LIFETIME},
    });
    let mut answer = garden.write(Write::Create, &path, request.to_string().into_bytes()).await?.body;
    let token = Zeroizing::new(match answer.pointer_mut("/status/token").map(Value::take) {
        Some(Value::String(token)) if !token.is_empty() => token,
        _ => {
            let message = "the answer has no token".to_owned();
            return Err(ClusterError::Garbled { operation: format!("create {path}"), message });
        }
    });
    let until = answer.pointer("/status/expirationTimestamp").and_then(Value::as_str);
    let until = until.and_then(|until| until.parse::<Timestamp>().ok());
    Ok(Token { encoded: Zeroizing::new(STANDARD.encode(token.as_bytes())), renew: renewal(clusters.now(), until) })
}

/// Four fifths of what a server grants, which may be less than what was asked for.
fn renewal(now: Timestamp, until: Option<Timestamp>) -> Timestamp {
    let life = until.map_or(LIFETIME, |until| until.duration_since(now).as_secs());
    let wait = SignedDuration::from_secs((life * 4 / 5).clamp(60, LIFETIME));
    let renew = now.checked_add(wait).unwrap_or(now);
    Timestamp::from_second(renew.as_second()).unwrap_or(renew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_ends_however_long_it_was_granted_for() {
        let now: Timestamp = "2026-11-30T10:00:00.5Z".parse().expect("a time");
        let renew = |until: Option<&str>| renewal(now, until.map(|until| until.parse().expect("a time"))).to_string();
        assert_eq!(renew(None), "2026-11-30T19:36:00Z");
        assert_eq!(renew(Some("2026-11-30T11:00:00.5Z")), "2026-11-30T10:48:00Z");
        assert_eq!(renew(Some("2027-11-30T10:00:00Z")), "2026-11-30T22:00:00Z", "not later than what was asked for");
        assert_eq!(renew(Some("2026-11-30T09:00:00Z")), "2026-11-30T10:01:00Z", "clocks may differ");
    }
}
