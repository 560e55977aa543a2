//! What a shoot or a seed refers to in the garden: Secrets and `ConfigMap`s to copy, and `WorkloadIdentity`s.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Sources, at, list, text};
use crate::landscape::{Kind, Owner};
use crate::observed::project_namespace;

/// `resources` of the context, from `spec.resources` and the project in whose namespace these are. Each of them once, however often
/// it is named.
pub(super) fn resources(sources: &Sources<'_>, manifest: &Value, project: &str) -> Value {
    let mut copied: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut identities: BTreeSet<&str> = BTreeSet::new();
    for resource in list(manifest, "/spec/resources") {
        let (kind, name) = (text(resource, "/resourceRef/kind"), text(resource, "/resourceRef/name"));
        match kind {
            "Secret" | "ConfigMap" => drop(copied.insert((kind, name))),
            "WorkloadIdentity" => drop(identities.insert(name)),
            _ => {}
        }
    }
    let copied: Vec<Value> = copied.into_iter().map(|(kind, name)| json!({"kind": kind, "name": name})).collect();
    let namespace = project_namespace(project);
    let identities: Vec<Value> = identities
        .into_iter()
        .map(|name| json!({"name": name, "namespace": namespace, "identity": workload_identity(sources, project, name)}))
        .collect();
    json!({"copied": copied, "identities": identities})
}

/// What a Secret says that waits for the token of a `WorkloadIdentity`: `{provider, config, contextObject}`.
pub(super) fn workload_identity(sources: &Sources<'_>, project: &str, name: &str) -> Value {
    let identity = sources.get(&Owner::project(Kind::WorkloadIdentity, project, name)).unwrap_or(&Value::Null);
    let config = at(identity, "/spec/targetSystem/providerConfig");
    let owner = sources.owner;
    let mut context = json!({
        "apiVersion": owner.kind.api_version(),
        "kind": owner.kind.name(),
        "name": owner.name,
        "uid": sources.identity.uid,
    });
    if owner.kind.namespaced() {
        context["namespace"] = project_namespace(&owner.project).into();
    }
    json!({
        "provider": text(identity, "/spec/targetSystem/type"),
        "config": if config.is_null() { Value::Null } else { config.to_string().into() },
        "contextObject": context.to_string(),
    })
}
