//! Content digests: canonical JSON (sorted keys, no spaces) through SHA-256, or HMAC-SHA-256 where the content includes secret
//! values.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A digest in lower-case hexadecimal, 64 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The first eight digits: name suffixes and displays.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key for digests of secret content. Has no `Debug`; wiped when dropped.
#[derive(Clone)]
pub struct DigestKey(pub Zeroizing<Vec<u8>>);

/// SHA-256 of bytes.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Digest {
    Digest(hex(&Sha256::digest(bytes)))
}

/// SHA-256 of a value's canonical JSON.
#[must_use]
pub fn of_value(value: &Value) -> Digest {
    of_bytes(canonical(value).as_bytes())
}

/// HMAC-SHA-256 of a value's canonical JSON.
#[must_use]
pub fn keyed(key: &DigestKey, value: &Value) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    mac.update(Zeroizing::new(canonical(value)).as_bytes());
    Digest(hex(&mac.finalize().into_bytes()))
}

/// Canonical JSON: `serde_json`'s maps are sorted (its `preserve_order` feature is off), so its compact form is canonical.
#[must_use]
pub fn canonical(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_canonical_form_is_sorted_and_compact() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [1, 2.5, {"z": null, "a": "\u00e9\n"}], "a": {}, "B": true }"#).expect("JSON");
        assert_eq!(canonical(&value), r#"{"B":true,"a":{},"b":[1,2.5,{"a":"é\n","z":null}]}"#);
    }

    #[test]
    fn digests_are_stable() {
        assert_eq!(of_bytes(b"").as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(of_value(&json!({})).as_str(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(of_value(&json!({})).short(), "44136fa3");
        let key = |bytes: &[u8]| DigestKey(Zeroizing::new(bytes.to_vec()));
        assert_ne!(keyed(&key(b"Jefe"), &json!("x")), keyed(&key(b"jefe"), &json!("x")));
        assert_ne!(keyed(&key(b""), &json!("x")), of_value(&json!("x")));
        assert_eq!(keyed(&key(b"k"), &json!({"a": 1, "b": 2})), keyed(&key(b"k"), &json!({"b": 2, "a": 1})));
    }

    proptest! {
        #[test]
        fn order_of_insertion_does_not_matter(entries in prop::collection::vec((any::<String>(), any::<i64>()), 0..8)) {
            let unique: std::collections::BTreeMap<String, i64> = entries.into_iter().collect();
            let forward: Value = unique.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>().into();
            let backward: Value = unique.iter().rev().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>().into();
            prop_assert_eq!(of_value(&forward), of_value(&backward));
            prop_assert_eq!(serde_json::from_str::<Value>(&canonical(&forward)).ok(), Some(forward));
        }
    }
}
