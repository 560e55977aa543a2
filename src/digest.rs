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
    value.to_string()
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
