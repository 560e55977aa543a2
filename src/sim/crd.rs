//! CustomResourceDefinitions: what makes one acceptable, and the kind that comes of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::kind::{Column, Kind, Scale, Version};
use super::structure::Structure;
use super::verbs::Server;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn words(value: &Value, pointer: &str) -> Vec<String> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|w| w.as_str().map(str::to_owned)).collect()
}

/// Completes and checks a definition, and writes the conditions that say that it is in effect.
pub(crate) fn prepare(server: &Server, kind: &Kind, old: Option<&Value>, new: &mut Value, now: &str) -> Result<(), ApiError> {
    let name = text(new, "/metadata/name").to_owned();
    let (group, plural) = (text(new, "/spec/group").to_owned(), text(new, "/spec/names/plural").to_owned());
    let versions = new.pointer("/spec/versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut causes = super::definition::check(new, &name, &group, &plural, &versions);
    if let Some(old) = old {
        for (pointer, field) in
            [("/spec/group", "spec.group"), ("/spec/scope", "spec.scope"), ("/spec/names/plural", "spec.names.plural")]
        {
            if old.pointer(pointer) != new.pointer(pointer) {
                causes.push(Cause::invalid(field, new.pointer(pointer).unwrap_or(&Value::Null), "field is immutable"));
            }
        }
    }
    if !causes.is_empty() {
        return Err(ApiError::invalid(kind, &name, &causes));
    }
    let singular = text(new, "/spec/names/kind").to_ascii_lowercase();
    let list_kind = format!("{}List", text(new, "/spec/names/kind"));
    if text(new, "/spec/names/singular").is_empty() {
        new["spec"]["names"]["singular"] = singular.into();
    }
    if text(new, "/spec/names/listKind").is_empty() {
        new["spec"]["names"]["listKind"] = list_kind.into();
    }
    if new.pointer("/spec/conversion").is_none() {
        new["spec"]["conversion"] = json!({"strategy": "None"});
    }
    let taken = server.store.kinds.kind(&group, text(new, "/spec/names/kind")).is_some_and(|k| k.plural != plural)
        || server.store.kinds.plural(&group, &plural).is_some_and(|k| !k.custom);
    let since = |kind: &str, status: &str| {
        old.and_then(|old| old.pointer("/status/conditions"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|c| text(c, "/type") == kind && text(c, "/status") == status)
            .map_or_else(|| now.to_owned(), |c| text(c, "/lastTransitionTime").to_owned())
    };
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        let status = if status { "True" } else { "False" };
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since(kind, status)})
    };
    let mut conditions = if taken {
        vec![
            condition("NamesAccepted", false, "MultipleNamesNotAllowed", "the kind is already in use"),
            condition("Established", false, "NotAccepted", "not all names are accepted"),
        ]
    } else {
        vec![
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted"),
        ]
    };
    if let Some((status, reason, message)) = super::definition::approved(new) {
        conditions.push(condition("KubernetesAPIApprovalPolicyConformant", status, reason, &message));
    }
    if let Some(terminating) = old
        .and_then(|old| old.pointer("/status/conditions"))
        .and_then(Value::as_array)
        .and_then(|list| list.iter().find(|c| text(c, "/type") == "Terminating"))
    {
        conditions.push(terminating.clone());
    }
    let mut stored = words(old.unwrap_or(&Value::Null), "/status/storedVersions");
    for version in versions.iter().filter(|v| v.get("storage") == Some(&Value::Bool(true))) {
        let version = text(version, "/name").to_owned();
        if !stored.contains(&version) {
            stored.push(version);
        }
    }
    new["status"] = json!({"acceptedNames": new["spec"]["names"], "conditions": conditions, "storedVersions": stored});
    Ok(())
}

/// Says that a definition is being deleted.
pub(crate) fn terminating(definition: &mut Value, now: &str) {
    let condition = json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionInProgress",
        "message": "CustomResource deletion is in progress", "lastTransitionTime": now,
    });
    let mut conditions = definition.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.retain(|c| text(c, "/type") != "Terminating");
    conditions.push(condition);
    definition["status"]["conditions"] = conditions.into();
}

/// Makes the kind of an accepted definition known.
pub(crate) fn establish(server: &mut Server, definition: &Value) {
    let accepted = definition
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|c| text(c, "/type") == "Established" && text(c, "/status") == "True");
    if accepted && let Some(kind) = kind(definition) {
        server.store.register(Arc::new(kind));
    }
}

fn kind(definition: &Value) -> Option<Kind> {
    let preserve = definition.pointer("/spec/preserveUnknownFields") == Some(&Value::Bool(true));
    let declared = definition.pointer("/spec/versions")?.as_array()?;
    let (group, kind) = (text(definition, "/spec/group"), text(definition, "/spec/names/kind"));
    let mut versions: Vec<(Version, bool)> =
        declared.iter().map(|v| (version(v, preserve, group, kind), v["storage"] == Value::Bool(true))).collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(priority(&version.name)));
    let storage = versions.iter().position(|(_, storage)| *storage)?;
    Some(Kind {
        group: text(definition, "/spec/group").into(),
        kind: text(definition, "/spec/names/kind").into(),
        list_kind: text(definition, "/spec/names/listKind").into(),
        plural: text(definition, "/spec/names/plural").into(),
        singular: text(definition, "/spec/names/singular").into(),
        short: words(definition, "/spec/names/shortNames"),
        categories: words(definition, "/spec/names/categories"),
        namespaced: text(definition, "/spec/scope") == "Namespaced",
        custom: true,
        counted: true,
        versions: versions.into_iter().map(|(version, _)| version).collect(),
        storage,
    })
}

fn version(value: &Value, preserve: bool, group: &str, kind: &str) -> Version {
    let scale = value.pointer("/subresources/scale").map(|scale| Scale {
        spec: text(scale, "/specReplicasPath").into(),
        status: text(scale, "/statusReplicasPath").into(),
        selector: Some(text(scale, "/labelSelectorPath").to_owned()).filter(|path| !path.is_empty()),
    });
    let columns = value
        .pointer("/additionalPrinterColumns")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|column| Column {
            name: text(column, "/name").into(),
            of: text(column, "/type").into(),
            format: text(column, "/format").into(),
            path: text(column, "/jsonPath").into(),
            priority: column.get("priority").and_then(Value::as_i64).unwrap_or(0),
            description: text(column, "/description").into(),
        })
        .collect();
    let deprecated = (value.get("deprecated") == Some(&Value::Bool(true))).then(|| match text(value, "/deprecationWarning") {
        "" => format!("{}/{} {} is deprecated", group, text(value, "/name"), kind),
        warning => warning.to_owned(),
    });
    let selectable = value.pointer("/selectableFields").and_then(Value::as_array).into_iter().flatten();
    let selectable = selectable.map(|field| text(field, "/jsonPath").trim_start_matches('.').to_owned()).collect();
    let schema = value.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| json!({}));
    Version {
        name: text(value, "/name").into(),
        served: value.get("served") == Some(&Value::Bool(true)),
        status: value.pointer("/subresources/status").is_some(),
        scale,
        columns,
        structure: Some(Arc::new(Structure::compile(&schema, preserve))),
        deprecated,
        selectable,
    }
}

/// Kubernetes' order of versions: v2 before v1 before v1beta1 before v1alpha1 before anything else.
pub(crate) fn priority(name: &str) -> (u8, u32, u32) {
    let Some(rest) = name.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..digits].parse().unwrap_or(0);
    match &rest[digits..] {
        "" => (3, major, 0),
        other => match (other.strip_prefix("beta"), other.strip_prefix("alpha")) {
            (Some(minor), _) => (2, major, minor.parse().unwrap_or(0)),
            (None, Some(minor)) => (1, major, minor.parse().unwrap_or(0)),
            (None, None) => (0, 0, 0),
        },
    }
}
