//! The token requestor of gardener-resource-manager: tokens for Secrets that ask for one, renewed at 80 % of their life.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::managed_resource::MANAGER;
use super::object::{annotation, is_deleting, label, text};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::digest;
use crate::observed::ObjectKey;
use crate::plan::RENEW;

/// Writes tokens.
pub(super) struct TokenRequestor;

const PURPOSE: &str = "resources.gardener.cloud/purpose";
/// How long a token is valid where nothing else is asked for, in seconds.
const LIFETIME: u64 = 12 * 60 * 60;
/// After which time it is renewed at the latest.
const LONGEST: u64 = 24 * 60 * 60;

impl Actor for TokenRequestor {
    fn name(&self) -> &'static str {
        "token-requestor"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Secret"), ("apps", "Deployment")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        match key.kind.as_str() {
            "Secret" if cx.label_of(key, PURPOSE).as_deref() == Some("token-requestor") => vec![key.clone()],
            "Deployment" if key.name == MANAGER => {
                let secrets = cx.keys("", "Secret", &key.namespace);
                secrets.into_iter().filter(|s| cx.label_of(s, PURPOSE).as_deref() == Some("token-requestor")).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(secret) = cx.get(key).filter(|s| asks(s) && !is_deleting(s)) else { return Ok(Again::Done) };
        // Those of the garden are gardenlet's to bring, or ours.
        if label(&secret, "resources.gardener.cloud/class") == Some("garden") {
            return Ok(Again::Done);
        }
        if label(&secret, "resources.gardener.cloud/class") == Some("shoot") && !cx.engine_runs(&key.namespace, MANAGER) {
            return Ok(Again::Done);
        }
        if matches!(cx.fail(&secret), Some(Fail::Stuck | Fail::Error(_) | Fail::LostHandshake)) {
            return Ok(Again::Done);
        }
        let now = cx.now();
        let (field, present) = match secret.pointer("/data/kubeconfig") {
            Some(kubeconfig) => ("kubeconfig", kubeconfig.as_str()),
            None => ("token", secret.pointer("/data/token").and_then(Value::as_str)),
        };
        if let Some(renew) = annotation(&secret, RENEW).and_then(|t| t.parse::<jiff::Timestamp>().ok())
            && present.is_some()
            && renew > now
        {
            return Ok(Again::After(Duration::from_secs(u64::try_from((renew - now).get_seconds()).unwrap_or_default() + 1)));
        }
        if let Some(left) = cx.wait("token", 1..=3) {
            return Ok(Again::After(left));
        }
        let asked = annotation(&secret, "serviceaccount.resources.gardener.cloud/token-expiration-duration");
        let life = asked.and_then(seconds).unwrap_or(LIFETIME);
        let renew_in = (life * 4 / 5).min(LONGEST);
        let renew = now + jiff::SignedDuration::from_secs(i64::try_from(renew_in).unwrap_or(i64::MAX));
        let base64 = base64::engine::general_purpose::STANDARD;
        let token = token(&secret, now.as_second(), life);
        let data = match present.filter(|_| field == "kubeconfig") {
            None => token,
            Some(kubeconfig) => match base64.decode(kubeconfig).ok().and_then(|k| with_token(&k, &token)) {
                Some(kubeconfig) => kubeconfig,
                // Not a kubeconfig: the real one logs that and tries again when the Secret changes.
                None => return Ok(Again::Done),
            },
        };
        let metadata = json!({
            "resourceVersion": text(&secret, "/metadata/resourceVersion"),
            "annotations": {RENEW: renew.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()},
        });
        cx.patch(key, &json!({"metadata": metadata, "data": {field: base64.encode(data)}}))?;
        Ok(Again::After(Duration::from_secs(renew_in + 1)))
    }
}

fn asks(secret: &Value) -> bool {
    label(secret, PURPOSE) == Some("token-requestor")
}

/// A token in the form of a service account's: header, claims and a signature that nobody can verify.
fn token(secret: &Value, now: i64, life: u64) -> String {
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let account = |part: &str| annotation(secret, &format!("serviceaccount.resources.gardener.cloud/{part}")).unwrap_or_default();
    let subject = format!("system:serviceaccount:{}:{}", account("namespace"), account("name"));
    let claims = json!({
        "aud": ["gardener"], "iss": "https://sim.espalier.dev", "sub": subject, "iat": now,
        "exp": now.saturating_add_unsigned(life),
    });
    let head = base64.encode(json!({"alg": "ES256", "kid": "sim"}).to_string());
    let body = base64.encode(claims.to_string());
    let signature = digest::of_bytes(format!("{head}.{body}").as_bytes());
    format!("{head}.{body}.{}", base64.encode(signature.as_str()))
}

/// A kubeconfig with the token of every user replaced.
fn with_token(kubeconfig: &[u8], token: &str) -> Option<String> {
    let mut kubeconfig: Value = serde_yaml::from_slice(kubeconfig).ok()?;
    for user in kubeconfig.get_mut("users")?.as_array_mut()? {
        user["user"]["token"] = json!(token);
    }
    serde_yaml::to_string(&kubeconfig).ok()
}

/// A duration such as `24h` or `720h30m`, in seconds.
fn seconds(duration: &str) -> Option<u64> {
    let span: jiff::SignedDuration = duration.parse().ok()?;
    u64::try_from(span.as_secs()).ok()
}
