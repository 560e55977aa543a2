//! Questions that are answered and not stored: may somebody, who am I, give me a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::clock::stamp;
use super::store::Stored;

/// Answers a review. Whoever is let in at all may do everything.
pub(crate) fn answer(plural: &str, mut review: Value, user: &str) -> Value {
    let who = json!({"username": user, "groups": ["system:masters", "system:authenticated"]});
    review["status"] = match plural {
        "selfsubjectreviews" => json!({"userInfo": who}),
        "tokenreviews" => json!({"authenticated": false, "error": "tokens of simulated service accounts are not accepted"}),
        "selfsubjectrulesreviews" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ => json!({"allowed": true, "reason": "simulated clusters do not evaluate RBAC"}),
    };
    if review.get("metadata").is_none() {
        review["metadata"] = json!({});
    }
    review
}

/// A token for a service account: it has the form of a JWT, and its claims can be read; no key has signed it.
pub(crate) fn token(mut request: Value, account: &Stored, cluster: &str, now: Timestamp) -> Value {
    let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(3600).max(600);
    let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let audiences = request.pointer("/spec/audiences").cloned().unwrap_or_else(|| json!(["https://kubernetes.default.svc"]));
    let claims = json!({
        "iss": format!("https://{cluster}.sim"), "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
        "aud": audiences, "iat": now.as_second(), "exp": expires.as_second(),
        "kubernetes.io": {"namespace": &*account.namespace, "serviceaccount": {"name": &*account.name, "uid": &*account.uid}},
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({"alg": "none", "typ": "JWT"})), encode(&claims));
    let seal = URL_SAFE_NO_PAD.encode(Sha256::digest(signed.as_bytes()));
    request["spec"]["audiences"] = audiences;
    request["spec"]["expirationSeconds"] = seconds.into();
    request["status"] = json!({"token": format!("{signed}.{seal}"), "expirationTimestamp": stamp(expires)});
    request["metadata"] = json!({"name": &*account.name, "namespace": &*account.namespace, "creationTimestamp": stamp(now)});
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request
}
