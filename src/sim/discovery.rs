//! Which kinds there are: the plain and the aggregated discovery documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::kind::{Kind, Registry, Version};
use super::left_out::LISTED;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// The same of custom kinds, in the order in which those have them.
const CUSTOM: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

fn verbs(kind: &Kind) -> Vec<&'static str> {
    let verbs = if kind.custom { CUSTOM } else { VERBS };
    // Namespaces are deleted one by one.
    verbs.into_iter().filter(|verb| !(kind.is_namespace() && *verb == "deletecollection")).collect()
}

/// Resources that are asked, not stored: group, version, plural, kind.
pub(crate) const REVIEWS: [(&str, &str, &str, &str); 6] = [
    ("authentication.k8s.io", "v1", "tokenreviews", "TokenReview"),
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview"),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview"),
    ("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
];

/// Versions of each group, preferred first.
fn groups(kinds: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (group, kinds) in kinds.groups() {
        let mut seen = BTreeSet::new();
        let names = kinds.values().flat_map(|kind| kind.versions.iter()).filter(|version| version.served).map(|v| v.name.clone());
        let mut versions: Vec<String> = names.filter(|name| seen.insert(name.clone())).collect();
        versions.sort_by_key(|name| std::cmp::Reverse(super::crd::priority(name)));
        groups.insert(group.clone(), versions);
    }
    for (group, version, _, _) in REVIEWS {
        groups.entry(group.to_owned()).or_insert_with(|| vec![version.to_owned()]);
    }
    groups.retain(|_, versions| !versions.is_empty());
    groups
}

/// All group-versions, as `group`, `version`.
pub(crate) fn group_versions(kinds: &Registry) -> Vec<(String, String)> {
    groups(kinds).into_iter().flat_map(|(group, versions)| versions.into_iter().map(move |v| (group.clone(), v))).collect()
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn group(name: &str, versions: &[String]) -> Value {
    let list: Vec<Value> = versions.iter().map(|v| json!({"groupVersion": group_version(name, v), "version": v})).collect();
    json!({"name": name, "versions": list, "preferredVersion": list.first()})
}

/// `/api`
pub(crate) fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]})
}

/// `/apis`
pub(crate) fn list(kinds: &Registry) -> Value {
    let list: Vec<Value> =
        groups(kinds).iter().filter(|(name, _)| !name.is_empty()).map(|(name, versions)| group(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
}

/// `/apis/<group>`
pub(crate) fn one(kinds: &Registry, name: &str) -> Option<Value> {
    let mut value = group(name, groups(kinds).get(name)?);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(value)
}

fn kinds_in<'a>(kinds: &'a Registry, group: &'a str, version: &'a str) -> impl Iterator<Item = (&'a Arc<Kind>, &'a Version)> {
    kinds
        .groups()
        .filter(move |(name, _)| *name == group)
        .flat_map(|(_, kinds)| kinds.values())
        .filter_map(move |kind| Some((kind, kind.version(version)?)))
}

/// A resource that is not stored.
struct Unstored {
    plural: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
    short: &'static [&'static str],
    namespaced: bool,
}

/// Those of the core group.
const CORE: [Unstored; 2] = [
    Unstored { plural: "bindings", kind: "Binding", verbs: &["create"], short: &[], namespaced: true },
    Unstored { plural: "componentstatuses", kind: "ComponentStatus", verbs: &["get", "list"], short: &["cs"], namespaced: false },
];

/// Those of a group and version.
fn unstored(group: &str, version: &str) -> Vec<Unstored> {
    let reviews = REVIEWS.into_iter().filter(|(g, v, ..)| *g == group && *v == version).map(|(_, _, plural, kind)| Unstored {
        plural,
        kind,
        verbs: &["create"],
        short: &[],
        namespaced: kind == "LocalSubjectAccessReview",
    });
    reviews.chain(CORE.into_iter().filter(|_| group.is_empty() && version == "v1")).collect()
}

/// Subresources: name, group, version, kind, verbs; those of built-in kinds by name.
fn subresources(kind: &Kind, version: &Version) -> Vec<(&'static str, String, String, String, Vec<&'static str>)> {
    let mut list = Vec::new();
    for (resource, of, verbs) in LISTED.iter().filter(|_| kind.group.is_empty()) {
        if let Some((plural, name)) = resource.split_once('/')
            && plural == kind.plural
        {
            list.push((name, String::new(), "v1".to_owned(), (*of).to_owned(), verbs.to_vec()));
        }
    }
    let write = vec!["get", "patch", "update"];
    if version.status {
        list.push(("status", kind.group.clone(), version.name.clone(), kind.kind.clone(), write.clone()));
    }
    if version.scale.is_some() {
        list.push(("scale", "autoscaling".to_owned(), "v1".to_owned(), "Scale".to_owned(), write));
    }
    if kind.is_namespace() {
        list.push(("finalize", String::new(), "v1".to_owned(), "Namespace".to_owned(), vec!["update"]));
    }
    if kind.group.is_empty() && kind.kind == "ServiceAccount" {
        list.push(("token", "authentication.k8s.io".to_owned(), "v1".to_owned(), "TokenRequest".to_owned(), vec!["create"]));
    }
    if kind.is_pod() {
        list.push(("eviction", "policy".to_owned(), "v1".to_owned(), "Eviction".to_owned(), vec!["create"]));
    }
    if !kind.custom {
        list.sort_by_key(|(name, ..)| *name);
    }
    list
}

/// `/api/v1`, `/apis/<group>/<version>`
pub(crate) fn resources(kinds: &Registry, group: &str, version: &str) -> Option<Value> {
    if !groups(kinds).get(group)?.iter().any(|v| v == version) {
        return None;
    }
    let mut list = Vec::new();
    for (kind, at) in kinds_in(kinds, group, version) {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind, "verbs": verbs(kind),
        });
        if !kind.short.is_empty() {
            entry["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            entry["categories"] = json!(kind.categories);
        }
        list.push(entry);
        for (name, group, version, of, verbs) in subresources(kind, at) {
            let mut entry = json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": of, "verbs": verbs,
            });
            if group != kind.group || version != at.name {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            list.push(entry);
        }
    }
    for resource in unstored(group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.kind.to_ascii_lowercase(), "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        if !resource.short.is_empty() {
            entry["shortNames"] = json!(resource.short);
        }
        list.push(entry);
    }
    if group.is_empty() {
        list.sort_by_key(|entry| entry["name"].as_str().map(str::to_owned));
    }
    let mut document = json!({"kind": "APIResourceList", "groupVersion": group_version(group, version), "resources": list});
    // The core group's list does not say so.
    if !group.is_empty() {
        document["apiVersion"] = "v1".into();
    }
    Some(document)
}

/// The aggregated document of `/api` (`core`) or `/apis`.
pub(crate) fn aggregated(kinds: &Registry, core: bool) -> Value {
    let scope = |namespaced: bool| if namespaced { "Namespaced" } else { "Cluster" };
    let items: Vec<Value> = groups(kinds)
        .iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let mut resources: Vec<Value> = kinds_in(kinds, group, version)
                        .map(|(kind, at)| {
                            let subs: Vec<Value> = subresources(kind, at)
                                .into_iter()
                                .map(|(name, group, version, of, verbs)| {
                                    json!({"subresource": name, "verbs": verbs, "responseKind": {"group": group, "version": version, "kind": of}})
                                })
                                .collect();
                            let mut entry = json!({
                                "resource": kind.plural, "singularResource": kind.singular, "verbs": verbs(kind), "scope": scope(kind.namespaced),
                                "responseKind": {"group": group, "version": version, "kind": kind.kind},
                            });
                            if !kind.short.is_empty() {
                                entry["shortNames"] = json!(kind.short);
                            }
                            if !kind.categories.is_empty() {
                                entry["categories"] = json!(kind.categories);
                            }
                            if !subs.is_empty() {
                                entry["subresources"] = subs.into();
                            }
                            entry
                        })
                        .collect();
                    for resource in unstored(group, version) {
                        let mut entry = json!({
                            "resource": resource.plural, "singularResource": resource.kind.to_ascii_lowercase(),
                            "verbs": resource.verbs, "scope": scope(resource.namespaced),
                            "responseKind": {"group": group, "version": version, "kind": resource.kind},
                        });
                        if !resource.short.is_empty() {
                            entry["shortNames"] = json!(resource.short);
                        }
                        resources.push(entry);
                    }
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            json!({"metadata": {"name": group}, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// `/version`
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.0+sim", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-04-22T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "sim/sim",
    })
}
