//! What a cloud profile offers, as rules, defaults and the scheduler need it: versions with their class at a moment, machine
//! and volume types, images, regions and zones.

use std::collections::BTreeSet;

use semver::Version;
use serde_json::{Map, Value, json};

use super::check::Cx;
use super::node::Node;
use crate::landscape::{Kind, Owner};

/// How far a version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Its first stage has not begun.
    Unavailable,
    /// For the curious: never chosen by default.
    Preview,
    /// Recommended.
    Supported,
    /// Usable, soon gone.
    Deprecated,
    /// Not for anything new.
    Expired,
}

impl Class {
    /// Whether something new may use it.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Preview | Self::Supported | Self::Deprecated)
    }
}

/// One version on offer.
pub(crate) struct Offer<'a> {
    /// As the profile spells it.
    pub text: &'a str,
    /// Parsed.
    pub version: Version,
    /// Its class now.
    pub class: Class,
    /// The entry.
    pub node: Node<'a>,
}

/// Parses a version the way profiles write them: a leading `v` and leading zeros are dropped, missing numbers are zeros.
pub(crate) fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, rest) = text.find(['-', '+']).map_or((text, ""), |at| text.split_at(at));
    let mut parts: Vec<&str> = numbers.split('.').collect();
    if parts.is_empty() || parts.len() > 3 {
        return None;
    }
    for part in &mut parts {
        let digits = part.trim_start_matches('0');
        *part = if digits.is_empty() && !part.is_empty() { "0" } else { digits };
    }
    parts.resize(3, "0");
    Version::parse(&format!("{}{rest}", parts.join("."))).ok()
}

/// Whether a version begins with the numbers of a prefix such as `1.33`; the empty prefix fits all.
pub(crate) fn has_prefix(version: &Version, prefix: &str) -> bool {
    let numbers = [version.major, version.minor, version.patch];
    let parts: Vec<&str> = prefix.split('.').filter(|p| !p.is_empty()).collect();
    parts.len() <= 3 && parts.iter().zip(numbers).all(|(part, number)| part.parse() == Ok(number))
}

/// A moment written as RFC 3339, in seconds since the epoch.
pub(crate) fn moment(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// The versions of a list in a profile with their classes now; what cannot be read is left out.
pub(crate) fn offers<'a>(versions: &Node<'a>, cx: &Cx<'_>) -> Vec<Offer<'a>> {
    versions
        .items()
        .into_iter()
        .filter_map(|node| {
            let text = node.get("version").text()?;
            Some(Offer { text, version: version(text)?, class: class(&node, cx), node })
        })
        .collect()
}

fn class(entry: &Node<'_>, cx: &Cx<'_>) -> Class {
    let stages = entry.get("lifecycle").items();
    if !stages.is_empty() {
        let mut begun =
            stages.iter().filter(|stage| stage.get("startTime").text().and_then(moment).is_none_or(|at| cx.is_past(at)));
        return begun.next_back().map_or(Class::Unavailable, |stage| named(stage.get("classification").str()));
    }
    if entry.get("expirationDate").text().and_then(moment).is_some_and(|at| cx.is_past(at)) {
        return Class::Expired;
    }
    named(entry.get("classification").str())
}

fn named(classification: &str) -> Class {
    match classification {
        "preview" => Class::Preview,
        "deprecated" => Class::Deprecated,
        "expired" => Class::Expired,
        "unavailable" => Class::Unavailable,
        _ => Class::Supported,
    }
}

/// The entry of a list whose `name` is this.
pub(crate) fn entry<'a>(list: &Node<'a>, name: &str) -> Option<Node<'a>> {
    list.items().into_iter().find(|item| item.get("name").str() == name)
}

/// The architectures of an image version or machine type: `amd64` where nothing is said.
pub(crate) fn architectures<'a>(entry: &Node<'a>) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = entry.get("architectures").items().iter().filter_map(Node::text).collect();
    found.extend(entry.get("architecture").text());
    found.extend(entry.at("capabilities/architecture").items().iter().filter_map(Node::text));
    for flavor in entry.get("capabilityFlavors").items() {
        found.extend(flavor.get("architecture").items().iter().filter_map(Node::text));
        found.extend(flavor.at("capabilities/architecture").items().iter().filter_map(Node::text));
    }
    if found.is_empty() {
        found.insert("amd64");
    }
    found
}

/// The cloud profile that a shoot names.
pub(crate) fn profile_of(shoot: &Node<'_>, project: &str) -> Option<Owner> {
    let reference = shoot.at("spec/cloudProfile");
    let name = reference.get("name").text().or_else(|| shoot.at("spec/cloudProfileName").text()).filter(|n| !n.is_empty())?;
    Some(if reference.get("kind").str() == "NamespacedCloudProfile" {
        Owner::project(Kind::NamespacedCloudProfile, project, name)
    } else {
        Owner::cluster(Kind::CloudProfile, name)
    })
}

/// The binding that a shoot names, and the field that names it.
pub(crate) fn binding_of(shoot: &Node<'_>, project: &str) -> Option<(Owner, &'static str)> {
    let named = |path: &'static str| shoot.at(path).text().filter(|n| !n.is_empty());
    if let Some(name) = named("spec/credentialsBindingName") {
        return Some((Owner::project(Kind::CredentialsBinding, project, name), "spec/credentialsBindingName"));
    }
    let name = named("spec/secretBindingName")?;
    Some((Owner::project(Kind::SecretBinding, project, name), "spec/secretBindingName"))
}

/// A namespaced cloud profile merged over its parent: versions, images and types are matched by name, the rest is replaced.
///
/// An entry of the parent keeps what the child does not say: the child may only move an expiration date.
pub(crate) fn merged(parent: &Value, child: &Value) -> Value {
    let mut out = child.clone();
    let mut spec = parent.get("spec").cloned().unwrap_or_else(|| json!({}));
    if let (Some(spec), Some(over)) = (spec.as_object_mut(), child.get("spec").and_then(Value::as_object)) {
        for (key, value) in over.iter().filter(|(key, _)| *key != "parent") {
            match (key.as_str(), spec.get_mut(key)) {
                ("kubernetes", Some(Value::Object(base))) => {
                    let versions = base.entry("versions").or_insert_with(|| json!([]));
                    merge_list(versions, value.get("versions").unwrap_or(&Value::Null), "version");
                }
                ("machineImages" | "machineTypes" | "volumeTypes" | "regions", Some(base)) => merge_list(base, value, "name"),
                (_, Some(Value::Object(base))) if value.is_object() => merge_map(base, value),
                _ => drop(spec.insert(key.clone(), value.clone())),
            }
        }
    }
    if let Some(out) = out.as_object_mut() {
        out.insert("spec".to_owned(), spec);
    }
    out
}

fn merge_list(base: &mut Value, over: &Value, key: &str) {
    let (Some(base), Some(over)) = (base.as_array_mut(), over.as_array()) else { return };
    for item in over {
        match base.iter_mut().find(|b| b.get(key).is_some() && b.get(key) == item.get(key)) {
            Some(Value::Object(found)) => merge_map(found, item),
            _ => base.push(item.clone()),
        }
    }
}

fn merge_map(base: &mut Map<String, Value>, over: &Value) {
    for (key, value) in over.as_object().into_iter().flatten() {
        match base.get_mut(key) {
            Some(found) if key == "versions" && found.is_array() => merge_list(found, value, "version"),
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_profiles_write_them() {
        assert_eq!(version("v1.33"), Some(Version::new(1, 33, 0)));
        assert_eq!(version("1877.3.0"), Some(Version::new(1877, 3, 0)));
        assert_eq!(version("01.033.0"), Some(Version::new(1, 33, 0)));
        assert_eq!(version("1.2.3.4").or(version("1..2")).or(version("")), None);
        assert!(has_prefix(&Version::new(1, 33, 4), "1.33") && has_prefix(&Version::new(1, 33, 4), ""));
        assert!(!has_prefix(&Version::new(1, 33, 4), "1.3"));
    }

    #[test]
    fn a_child_profile_extends_its_parent() {
        let parent = json!({"spec": {"type": "aws", "kubernetes": {"versions": [{"version": "1.32.1", "classification": "deprecated", "expirationDate": "a"}]},
            "machineTypes": [{"name": "small"}]}});
        let child = json!({"metadata": {"name": "c"}, "spec": {"parent": {"name": "p"}, "machineTypes": [{"name": "big"}],
            "kubernetes": {"versions": [{"version": "1.32.1", "expirationDate": "b"}]}, "limits": {"maxNodesTotal": 5}}});
        let merged = merged(&parent, &child);
        assert_eq!(
            merged["spec"]["kubernetes"]["versions"],
            json!([{"version": "1.32.1", "classification": "deprecated", "expirationDate": "b"}])
        );
        assert_eq!(merged["spec"]["machineTypes"], json!([{"name": "small"}, {"name": "big"}]));
        assert_eq!(merged["spec"]["type"], "aws");
        assert_eq!(merged["spec"]["limits"]["maxNodesTotal"], 5);
    }
}
