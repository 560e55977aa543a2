//! What makes a CustomResourceDefinition acceptable: its names, its versions, and schemas that are structural.

use serde_json::{Value, json};

use super::error::Cause;
use super::validate;

mod rule;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What is wrong with a definition.
pub(crate) fn check(new: &Value, name: &str, group: &str, plural: &str, versions: &[Value]) -> Vec<Cause> {
    let mut causes = Vec::new();
    if name != format!("{plural}.{group}") {
        causes.push(Cause::invalid("metadata.name", &json!(name), "must be spec.names.plural+\".\"+spec.group"));
    }
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if !group.contains('.') {
        causes.push(Cause::invalid("spec.group", &json!(group), "should be a domain with at least one dot"));
    }
    match text(new, "/spec/scope") {
        "" => causes.push(Cause::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: "spec.scope".into(),
            message: format!("Unsupported value: {other:?}: supported values: \"Cluster\", \"Namespaced\""),
        }),
    }
    let storage: Vec<&Value> = versions.iter().filter(|v| v.get("storage") == Some(&Value::Bool(true))).collect();
    for (index, version) in versions.iter().enumerate() {
        let one = versions.len() == 1;
        match version.pointer("/schema/openAPIV3Schema") {
            None => {
                causes.push(Cause::required(&format!("spec.versions[{index}].schema.openAPIV3Schema"), ""));
            }
            Some(schema) => {
                let path = if one {
                    "spec.validation.openAPIV3Schema".to_owned()
                } else {
                    format!("spec.versions[{index}].schema.openAPIV3Schema")
                };
                let before = causes.len();
                structural(schema, &path, &mut causes);
                if causes.len() == before {
                    rule::compile(schema, &path, true, &mut causes);
                }
            }
        }
    }
    if storage.len() != 1 {
        let shown: Vec<String> = versions.iter().map(as_in_go).collect();
        let shown = if versions.is_empty() { "null".to_owned() } else { format!("[{}]", shown.join(",")) };
        let message = format!("Invalid value: {shown}: must have exactly one version marked as storage version");
        causes.push(Cause { reason: "FieldValueInvalid", field: "spec.versions".into(), message });
    }
    for (field, derived) in [("plural", false), ("singular", true), ("kind", false), ("listKind", true)] {
        let missing = text(new, &format!("/spec/names/{field}")).is_empty();
        if missing && (!derived || text(new, "/spec/names/kind").is_empty()) {
            causes.push(Cause::required(&format!("spec.names.{field}"), ""));
        }
    }
    match storage.as_slice() {
        [] => causes.push(Cause::invalid("status.storedVersions", &Value::Null, "must have at least one stored version")),
        [first, .., last] => {
            let why = format!("must have the storage version {}", text(last, "/name"));
            causes.push(Cause::invalid("status.storedVersions", &json!([first.get("name")]), &why));
        }
        [_] => {}
    }
    if is_protected(group) && approval(new).is_none() {
        let link = "https://github.com/kubernetes/enhancements/pull/1111";
        let why = format!("protected groups must have approval annotation {APPROVED:?}, see {link}");
        causes.push(Cause::required(&format!("metadata.annotations[{APPROVED}]"), &why));
    }
    causes
}

/// Says of a definition of the community's groups who approved it.
const APPROVED: &str = "api-approved.kubernetes.io";

/// Whether a group is one of the community's.
fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|end| group == *end || group.ends_with(&format!(".{end}")))
}

fn approval(definition: &Value) -> Option<&str> {
    definition.pointer("/metadata/annotations")?.get(APPROVED)?.as_str()
}

/// Whether a definition of one of the community's groups is approved: status, reason and message of the condition about it.
pub(crate) fn approved(definition: &Value) -> Option<(bool, &'static str, String)> {
    let said = approval(definition).filter(|_| is_protected(text(definition, "/spec/group")))?;
    Some(if said.starts_with("unapproved") {
        (false, "UnapprovedAnnotation", format!("not approved: {said:?}"))
    } else {
        (true, "ApprovedAnnotation", format!("approved in {said}"))
    })
}

/// A version as the real server prints it in a refusal.
fn as_in_go(version: &Value) -> String {
    let is = |field: &str| version.get(field) == Some(&Value::Bool(true));
    format!(
        "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":null,\"Schema\":null,\"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
        version.get("name").unwrap_or(&Value::Null),
        is("served"),
        is("storage"),
        is("deprecated"),
    )
}

/// Whether a schema says of every field what it is.
fn structural(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let flag = |schema: &Value, name: &str| schema.get(name) == Some(&Value::Bool(true));
    let open =
        |schema: &Value| flag(schema, "x-kubernetes-int-or-string") || flag(schema, "x-kubernetes-preserve-unknown-fields");
    if text(schema, "/type").is_empty() && !open(schema) {
        let of = if path.rsplit('.').next() == Some("items") { "array items" } else { "object fields" };
        causes.push(Cause::required(&format!("{path}.type"), &format!("must not be empty for specified {of}")));
    }
    if let Some(default) = schema.get("default") {
        // What a default leaves out, the defaults below it may say.
        let found = validate::value(schema, default, &format!("{path}.default"));
        causes.extend(found.into_iter().filter(|cause| cause.reason != "FieldValueRequired"));
    }
    rule::check(schema, path, causes);
    let items = schema.get("items");
    for key in schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        let field = items.and_then(|items| items.pointer(&format!("/properties/{key}")));
        let required = items.and_then(|items| items.get("required")).and_then(Value::as_array);
        let given = required.into_iter().flatten().any(|name| name.as_str() == Some(key));
        if !given && field.is_some_and(|field| field.get("default").is_none()) {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            causes.push(Cause::required(&format!("{path}.items.properties[{key}].default"), why));
        }
    }
    for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        structural(below, &format!("{path}.properties[{name}]"), causes);
    }
    if let Some(items) = items {
        structural(items, &format!("{path}.items"), causes);
    }
    if let Some(below) = schema.get("additionalProperties").filter(|below| below.is_object()) {
        structural(below, &format!("{path}.additionalProperties"), causes);
    }
}
