//! The extensions that are on for a shoot, by when they act relative to the API server.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Sources, at, flag, list, text, texts};
use crate::landscape::Kind;

/// One extension that is on.
pub(super) struct On {
    provider_config: Value,
    /// When it is reconciled.
    when: String,
}

/// Extensions that are on for a shoot by type: asked for, or on by default, and not switched off.
pub(super) fn on(shoot: &Value, sources: &Sources<'_>) -> BTreeMap<String, On> {
    let workerless = list(shoot, "/spec/provider/workers").is_empty();
    let resources: Vec<&Value> = sources
        .of_kind(Kind::ControllerRegistration)
        .flat_map(|registration| list(registration, "/spec/resources"))
        .filter(|resource| text(resource, "/kind") == "Extension")
        .collect();
    let mut on: BTreeMap<String, On> = BTreeMap::new();
    let when = |kind: &str| {
        let resource = resources.iter().find(|r| text(r, "/type") == kind && at(r, "/primary").as_bool() != Some(false));
        let lifecycle = resource.map_or("", |r| text(r, "/lifecycle/reconcile"));
        if lifecycle.is_empty() { "AfterKubeAPIServer".to_owned() } else { lifecycle.to_owned() }
    };
    for resource in &resources {
        let kind = text(resource, "/type");
        let everywhere = texts(resource, "/autoEnable").contains(&"shoot") || flag(resource, "/globallyEnabled");
        if everywhere && (!workerless || flag(resource, "/workerlessSupported")) {
            on.insert(kind.to_owned(), On { provider_config: Value::Null, when: when(kind) });
        }
    }
    for extension in list(shoot, "/spec/extensions") {
        let kind = text(extension, "/type").to_owned();
        if flag(extension, "/disabled") {
            on.remove(&kind);
        } else {
            let when = when(&kind);
            on.insert(kind, On { provider_config: at(extension, "/providerConfig").clone(), when });
        }
    }
    on
}

/// Extensions that are on for a seed by type, with their configuration: asked for, or on by default, and not switched off.
pub(super) fn of_seed<'v>(seed: &'v Value, registrations: impl IntoIterator<Item = &'v Value>) -> BTreeMap<&'v str, &'v Value> {
    let unasked = registrations
        .into_iter()
        .flat_map(|registration| list(registration, "/spec/resources"))
        .filter(|resource| text(resource, "/kind") == "Extension" && texts(resource, "/autoEnable").contains(&"seed"));
    let mut on: BTreeMap<&str, &Value> = unasked.map(|resource| (text(resource, "/type"), &Value::Null)).collect();
    for extension in list(seed, "/spec/extensions") {
        let kind = text(extension, "/type");
        if flag(extension, "/disabled") {
            on.remove(kind);
        } else {
            on.insert(kind, at(extension, "/providerConfig"));
        }
    }
    on
}

/// `extensions` of the context.
pub(super) fn phases(on: &BTreeMap<String, On>) -> Value {
    let of = |wanted: &str| -> Vec<Value> {
        on.iter()
            .filter(|(_, extension)| extension.when == wanted)
            .map(|(kind, extension)| json!({"type": kind, "providerConfig": extension.provider_config}))
            .collect()
    };
    json!({"before": of("BeforeKubeAPIServer"), "after": of("AfterKubeAPIServer"), "afterWorker": of("AfterWorker")})
}

/// `containerRuntimes` of the context: one entry per pool and runtime.
pub(super) fn runtimes(shoot: &Value) -> Vec<Value> {
    list(shoot, "/spec/provider/workers")
        .iter()
        .flat_map(|pool| {
            list(pool, "/cri/containerRuntimes").iter().map(|runtime| {
                json!({"pool": text(pool, "/name"), "type": text(runtime, "/type"), "providerConfig": at(runtime, "/providerConfig")})
            })
        })
        .collect()
}
