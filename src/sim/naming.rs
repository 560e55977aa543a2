//! What new objects are called: names, those that are completed, and uids.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::error::{ApiError, Cause};
use super::kind::Kind;
use super::rules::wrong_name;
use super::verbs::{Server, metadata};

impl Server {
    /// Decides and checks the name; `generateName` is completed.
    pub(super) fn name_of(&self, kind: &Kind, body: &mut Value, namespace: &str) -> Result<(String, Option<Cause>), ApiError> {
        let meta = metadata(body)?;
        if !kind.namespaced && kind.custom {
            meta.remove("namespace");
        }
        let given = meta.get("namespace").and_then(Value::as_str).unwrap_or_default();
        if !given.is_empty() && given != namespace {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(ApiError::bad_request(why));
        }
        if namespace.is_empty() {
            meta.remove("namespace");
        } else {
            meta.insert("namespace".into(), namespace.into());
        }
        let mut name = meta.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if name.is_empty() {
            let prefix = meta.get("generateName").and_then(Value::as_str).unwrap_or_default().to_owned();
            if prefix.is_empty() {
                return Ok((name, Some(Cause::required("metadata.name", "name or generateName is required"))));
            }
            name = format!("{prefix}{}", self.suffix(kind, namespace, &prefix));
            meta.insert("name".into(), name.clone().into());
        }
        let misnamed = wrong_name(kind, &name).map(|why| Cause::invalid("metadata.name", &json!(name), why));
        Ok((name, misnamed))
    }

    /// A uid that depends on nothing but the cluster, the object and the moment in the order of writes.
    pub(super) fn uid(&self, kind: &Kind, namespace: &str, name: &str, dry_run: bool) -> String {
        let mut text =
            format!("{}/{}/{}/{}/{namespace}/{name}/{}", self.name, self.seed, kind.group, kind.plural, self.store.version);
        if dry_run {
            text.push_str(&format!("/dry run {}", self.drafts));
        }
        let mut hash = String::new();
        for byte in Sha256::digest(text.as_bytes()) {
            hash.push_str(&format!("{byte:02x}"));
        }
        format!("{}-{}-4{}-a{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
    }

    fn suffix(&self, kind: &Kind, namespace: &str, prefix: &str) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let text = format!("{}/{}/{}/{namespace}/{prefix}/{}", self.name, self.seed, kind.plural, self.store.version);
        let hash = Sha256::digest(text.as_bytes());
        hash.iter().take(5).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
    }
}
