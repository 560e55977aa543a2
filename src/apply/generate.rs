//! Makes the secrets that an owner wants and does not have: reads what a recipe depends on back from the cluster, makes it,
//! POSTs an immutable Secret.
//!
//! Nothing is made from anything that was not read back, so two makers cannot disagree: whoever posts first wins, and the other
//! finds its name taken and uses what stands there. Bodies are wiped after use and never logged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Limits, Written, attempt, finished};
use crate::cluster::{self, ClusterError, Clusters, KindRef, Write};
use crate::digest;
use crate::observed::{Keep, ObjectKey};
use crate::plan::{ErrorClass, StepError, StepResult};
use crate::secrets::{Bodies, Body, Generate, Recipe, SecretRef};

pub mod person;
mod pki;
mod recipe;

pub use recipe::{Made, MakeError, make};

/// What a step that makes a secret is called.
const VERB: &str = "generate";
/// The label by which a secret is known to be managed.
const MANAGED_BY: (&str, &str) = ("managed-by", "secrets-manager");

/// The suffix of a key of [`Generate::reads`] that names the older of two generations.
pub const OLD: &str = ".old";

pub(super) async fn execute(wanted: &[Generate], clusters: &Clusters, limits: &Limits) -> Vec<StepResult> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let reads: BTreeSet<SecretRef> = wanted.iter().flat_map(needed).collect();
    let (bodies, problems) = cluster::bodies(clusters, &reads).await;
    let mut results = Vec::with_capacity(wanted.len());
    for generate in wanted {
        let key = ObjectKey::new("", "Secret", &generate.namespace, &generate.name);
        let unread = needed(generate).find(|r| !bodies.0.contains_key(r));
        let result = match (unread, inputs(generate, &bodies)) {
            (Some(unread), _) => {
                let why = problems.get(&unread.target).map_or("no answer", String::as_str);
                failure(generate, ErrorClass::Transient, format!("what it is made from could not be read: {why}"))
            }
            (None, Err(missing)) => {
                failure(generate, ErrorClass::Conflict, format!("it is made from `{missing}`, which does not exist yet"))
            }
            (None, Ok(inputs)) => match make(&generate.name, &generate.wanted, &inputs, clusters.now()) {
                Ok(made) => {
                    let body = manifest(generate, &made);
                    let outcome = attempt(clusters, &generate.target, limits, || post(generate, &key, &body, clusters)).await;
                    finished(None, &generate.target, &key, VERB, outcome)
                }
                Err(e) => failure(generate, ErrorClass::Permanent, e.to_string()),
            },
        };
        results.push(result);
    }
    results
}

fn needed(generate: &Generate) -> impl Iterator<Item = SecretRef> + '_ {
    generate.reads.values().map(|name| SecretRef::secret(generate.target.clone(), &generate.namespace, name))
}

/// The bodies that a recipe reads, by configuration name; or the name of one that does not exist.
fn inputs<'b>(generate: &Generate, bodies: &'b Bodies) -> Result<BTreeMap<String, &'b Body>, String> {
    let find = |(config, name): (&String, &String)| {
        let at = SecretRef::secret(generate.target.clone(), &generate.namespace, name);
        let body = bodies.0.get(&at).and_then(Option::as_ref).ok_or_else(|| name.clone())?;
        Ok((config.clone(), body))
    };
    generate.reads.iter().map(find).collect()
}

fn failure(generate: &Generate, class: ErrorClass, message: String) -> StepResult {
    StepResult {
        component: None,
        target: generate.target.clone(),
        key: ObjectKey::new("", "Secret", &generate.namespace, &generate.name),
        verb: VERB,
        result: Err(StepError { class, message, status: 0, retry_after: None }),
        object: None,
    }
}

/// The Secret object.
fn manifest(generate: &Generate, made: &Made) -> Value {
    let mut labels = generate.labels.clone();
    labels.entry(MANAGED_BY.0.to_owned()).or_insert_with(|| MANAGED_BY.1.to_owned());
    labels.entry("name".to_owned()).or_insert_with(|| generate.wanted.config.clone());
    labels.insert("issued-at-time".to_owned(), made.issued.as_second().to_string());
    if let Some(until) = made.valid_until {
        labels.insert("valid-until-time".to_owned(), until.as_second().to_string());
    }
    if let Some(checksum) = &made.authority_checksum {
        labels.entry("checksum-of-signing-ca".to_owned()).or_insert_with(|| checksum.clone());
    }
    if let Recipe::Bundle { of } = &generate.wanted.recipe {
        labels.entry("bundle-for".to_owned()).or_insert_with(|| of.clone());
    }
    let data: BTreeMap<&String, String> = made.body.iter().map(|(k, v)| (k, STANDARD.encode(v.as_slice()))).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": true,
        "metadata": { "name": generate.name, "namespace": generate.namespace, "labels": labels },
        "data": data,
    })
}

async fn post(generate: &Generate, key: &ObjectKey, body: &Value, clusters: &Clusters) -> Result<Written, ClusterError> {
    let cluster = clusters.cluster(&generate.target)?;
    let kind = KindRef::new("v1", "Secret");
    let path = cluster.object_path(&kind, key).await?;
    let collection = path.strip_suffix(&format!("/{}", key.name)).unwrap_or(&path);
    match cluster.write(Write::Create, collection, body.to_string().into_bytes()).await {
        Ok(answer) => {
            let object = cluster.reduced(answer.body, &Keep::default());
            Ok(Written { changed: true, object: object.map(Arc::new) })
        }
        // Somebody, or we before a crash, made it already: use that one.
        Err(e) if e.status() == 409 => match cluster.look(&kind, key, &Keep::default()).await? {
            Some(found) if found.labels.get(MANAGED_BY.0).is_some_and(|v| v == MANAGED_BY.1) => {
                Ok(Written { changed: false, object: Some(Arc::new(found)) })
            }
            _ => Err(e),
        },
        Err(e) => Err(e),
    }
}

/// Gardener's checksum of a secret's data: the hashes of its values in key order, hashed.
#[must_use]
pub fn data_checksum(body: &Body) -> String {
    let hashes: String = body.values().map(|value| digest::of_bytes(value).0).collect();
    digest::of_bytes(hashes.as_bytes()).0
}
