//! Secrets in a repository: encrypted ones are recognised, all others refused. Their content is never read.

use serde_json::Value;

/// What a file begins with that was encrypted as a whole.
pub(super) const AGE_ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// The field in which SOPS keeps what it needs to decrypt an object, and what it signed.
pub(super) const SOPS: &str = "sops";

/// How a Secret is encrypted, or `None` if it is not.
pub(super) fn encryption(secret: &Value) -> Option<&'static str> {
    if secret.get(SOPS).and_then(|sops| sops.get("mac")).is_some_and(Value::is_string) {
        return all(secret, |text| text.starts_with("ENC[")).then_some("SOPS");
    }
    all(secret, |text| text.trim_start().starts_with("-----BEGIN AGE ENCRYPTED FILE-----")).then_some("age")
}

/// Whether every value is text of this form, and there is one.
fn all(secret: &Value, encrypted: impl Fn(&str) -> bool) -> bool {
    let mut values =
        ["data", "stringData"].iter().filter_map(|field| secret.get(*field)?.as_object()).flat_map(|map| map.values()).peekable();
    values.peek().is_some() && values.all(|value| value.as_str().is_some_and(&encrypted))
}
