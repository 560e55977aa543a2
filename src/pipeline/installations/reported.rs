//! What extensions report of the health of what they run for a shoot (`extension-contract.md` §4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::asked::{Registration, registrations};
use super::{GROUP, is_there};
use crate::landscape::Target;
use crate::landscape::controller_registration::EXTENSION_KINDS;
use crate::observed::{Object, ObjectKey, Observed};
use crate::pipeline::World;
use crate::render::context::installation;
use crate::schedule::extensions::served;

/// Namespaces of extensions that showed no sign of life for too long, each with the last one.
pub type Silent = BTreeMap<String, Option<Timestamp>>;

/// What one extension object reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The object.
    pub key: ObjectKey,
    /// The namespace that its controller lives in; `None` where we did not install it, and so know of no heartbeat.
    pub controller: Option<String>,
    /// Its conditions, as they are.
    pub conditions: Vec<Value>,
}

impl World {
    /// What the extensions of a shoot report, by kind and name. Those that report nothing are left out.
    pub(in crate::pipeline) fn reported(&self, seed: &str, namespace: &str, observed: &Observed) -> Vec<Reported> {
        let Some(live) = observed.targets.get(&Target::Seed(seed.to_owned())) else { return Vec::new() };
        let entry = format!("{namespace}--");
        let mut out = Vec::new();
        for kind in EXTENSION_KINDS {
            // Entries of backups are in no namespace.
            let (within, named) = if kind == "BackupEntry" { ("", entry.as_str()) } else { (namespace, "") };
            for object in live.named(GROUP, kind, within, named) {
                let conditions = object.get("/status/conditions").and_then(Value::as_array).filter(|list| !list.is_empty());
                if let Some(conditions) = conditions {
                    let controller = self.controller_of(seed, object, observed);
                    out.push(Reported { key: object.key.clone(), controller, conditions: conditions.clone() });
                }
            }
        }
        out
    }

    /// The namespace of the controller that acts upon an extension object.
    fn controller_of(&self, seed: &str, object: &Object, observed: &Observed) -> Option<String> {
        let of_type = object.get("/spec/type").and_then(Value::as_str)?;
        let acts = |registration: &Registration<'_>| {
            let its = served(registration.manifest).any(|need| need.kind == object.key.kind && need.of_type == of_type);
            its && is_there(observed, seed, registration.name)
        };
        let found = registrations(self).into_iter().find(acts)?;
        Some(installation::namespace(&installation::name(found.name, seed)))
    }
}
