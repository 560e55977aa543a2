//! How secrets are named and labelled: as Gardener's secrets manager does, so that its readers find them.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Recipe, Wanted};
use crate::digest;

pub(super) const NAME: &str = "name";
pub(super) const MANAGED_BY: &str = "managed-by";
pub(super) const MANAGER: &str = "secrets-manager";
pub(super) const CONFIG_CHECKSUM: &str = "checksum-of-config";
pub(super) const AUTHORITY_CHECKSUM: &str = "checksum-of-signing-ca";
pub(super) const ROTATED: &str = "last-rotation-initiation-time";
pub(super) const ISSUED: &str = "issued-at-time";
pub(super) const VALID_UNTIL: &str = "valid-until-time";
pub(super) const RENEW_PERCENT: &str = "renew-after-validity-percentage";

/// What one generation of a secret is identified by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation {
    /// Checksum of what it is made by and, unless that is a signing authority, from.
    pub(super) config: String,
    /// Checksum of the authority that signs it; empty for none.
    pub(super) authority: String,
    /// When its rotation or renewal was due, in seconds; `None` for the first generation.
    pub(super) rotated: Option<i64>,
}

/// The checksum of a configuration: a 64-bit number, as Gardener's is. Any stable function serves; `made_from` are the uids of
/// objects that go into the content without signing it.
pub(super) fn config_checksum(wanted: &Wanted, made_from: &[&str]) -> String {
    let content = digest::of_value(&json!([wanted.config, wanted.recipe, made_from]));
    let number = u64::from_str_radix(content.as_str().get(..16).unwrap_or_default(), 16).unwrap_or_default();
    number.to_string()
}

/// The checksum of a signing authority, as long as a label may be. Its uid stands for its content, which the core never sees:
/// the Secret is immutable, so another certificate is another object.
pub(super) fn authority_checksum(uid: &str) -> String {
    digest::of_bytes(uid.as_bytes()).0.get(..63).unwrap_or_default().to_owned()
}

/// The object's name. Authorities keep the bare configuration name until they are rotated, except for the one of clients.
pub(super) fn of(wanted: &Wanted, generation: &Generation) -> String {
    let bare = matches!(wanted.recipe, Recipe::Authority { .. }) && wanted.config != "ca-client";
    let mut name = wanted.config.clone();
    if !bare || generation.rotated.is_some() {
        let both = format!("{}{}", generation.config, generation.authority);
        name = format!("{name}-{}", digest::of_bytes(both.as_bytes()).short());
    }
    if let Some(rotated) = generation.rotated {
        let hash = digest::of_bytes(rotated.to_string().as_bytes());
        name = format!("{name}-{}", hash.as_str().get(..5).unwrap_or_default());
    }
    name
}

/// The object's labels, short of what is known only once it is made (when it was issued, how long it is valid).
pub(super) fn labels(wanted: &Wanted, generation: &Generation) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (NAME, wanted.config.clone()),
        (MANAGED_BY, MANAGER.to_owned()),
        ("manager-identity", "gardenlet".to_owned()),
        (CONFIG_CHECKSUM, generation.config.clone()),
        (ROTATED, generation.rotated.map(|at| at.to_string()).unwrap_or_default()),
        ("rotation-strategy", if wanted.keep_old { "keepold" } else { "inplace" }.to_owned()),
    ]);
    if !generation.authority.is_empty() {
        labels.insert(AUTHORITY_CHECKSUM, generation.authority.clone());
    }
    if wanted.persist {
        labels.insert("persist", "true".to_owned());
    }
    if let Recipe::Bundle { of } = &wanted.recipe {
        labels.insert("bundle-for", of.clone());
    }
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
