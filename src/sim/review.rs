//! Questions that are answered and not stored: may somebody, who am I, give me a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::clock::stamp;
use super::managed;
use super::rbac::{self, Attributes, User};
use super::store::{Store, Stored};
use super::verbs::Caller;

/// Answers a review.
pub(crate) fn answer(store: &Store, plural: &str, mut review: Value, user: &User, caller: &Caller) -> Value {
    let who = json!({"username": user.name, "groups": user.groups});
    let spec = review.get("spec").cloned().unwrap_or_default();
    review["status"] = match plural {
        "selfsubjectreviews" => json!({"userInfo": who}),
        "tokenreviews" => json!({"authenticated": false, "error": "tokens of simulated service accounts are not accepted"}),
        "selfsubjectrulesreviews" if !user.is_master() => rules(store, user, &text(&spec, "/namespace")),
        "selfsubjectrulesreviews" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        "selfsubjectaccessreviews" => may(store, user, &spec),
        _ => {
            let groups = spec.get("groups").and_then(Value::as_array).into_iter().flatten();
            let groups = groups.filter_map(|group| group.as_str().map(str::to_owned)).collect();
            may(store, &User { name: text(&spec, "/user"), groups }, &spec)
        }
    };
    if !review.get("metadata").is_some_and(Value::is_object) {
        review["metadata"] = json!({});
    }
    if plural == "selfsubjectreviews" {
        review["metadata"]["creationTimestamp"] = caller.now.clone().into();
        return review;
    }
    let api_version = text(&review, "/apiVersion");
    managed::note_spec(&mut review, &api_version, caller, "");
    review
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn may(store: &Store, user: &User, spec: &Value) -> Value {
    let of = |field: &str| text(spec, &format!("/resourceAttributes/{field}"));
    let ask = if spec.get("resourceAttributes").is_some() {
        Attributes {
            verb: of("verb"),
            group: of("group"),
            resource: of("resource"),
            subresource: of("subresource"),
            namespace: of("namespace"),
            name: of("name"),
            path: String::new(),
        }
    } else {
        let verb = text(spec, "/nonResourceAttributes/verb");
        Attributes { verb, path: text(spec, "/nonResourceAttributes/path"), ..Attributes::default() }
    };
    let verdict = rbac::decide(store, user, &ask);
    let mut status = json!({"allowed": verdict.allowed});
    if !verdict.reason.is_empty() {
        status["reason"] = verdict.reason.into();
    }
    status
}

/// What somebody may do in a namespace.
fn rules(store: &Store, user: &User, namespace: &str) -> Value {
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in rbac::rules(store, user, namespace) {
        let mut kept = json!({});
        let path = rule.get("nonResourceURLs").is_some();
        let fields = if path { &["verbs", "nonResourceURLs"][..] } else { &["verbs", "apiGroups", "resources", "resourceNames"] };
        for field in fields {
            if let Some(value) = rule.get(*field).filter(|value| value.as_array().is_some_and(|list| !list.is_empty())) {
                kept[*field] = value.clone();
            }
        }
        if path { paths.push(kept) } else { resources.push(kept) }
    }
    json!({"incomplete": false, "resourceRules": resources, "nonResourceRules": paths})
}

/// A token for a service account: it has the form of a JWT, and its claims can be read; no key has signed it.
pub(crate) fn token(mut request: Value, account: &Stored, cluster: &str, now: Timestamp, caller: &Caller) -> Value {
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
    if request["spec"].get("boundObjectRef").is_none() {
        request["spec"]["boundObjectRef"] = Value::Null;
    }
    request["metadata"] = json!({
        "name": &*account.name, "namespace": &*account.namespace, "uid": &*account.uid, "creationTimestamp": stamp(now),
    });
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    managed::note_spec(&mut request, "authentication.k8s.io/v1", caller, "token");
    request
}
