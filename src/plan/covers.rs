//! Whether we still own every field that we want: the test for drift.
//!
//! Under server-side apply a field that somebody else changes or removes leaves our managedFields entry. So an object has drifted
//! exactly when its desired body is no longer covered by our own `fieldsV1`; no schema, annotation or generation is needed, and
//! Secrets, ConfigMaps and RBAC objects are covered too (design §6a).

use serde_json::{Map, Value};

/// The first pointer of `body` that `fields` (our entry's `fieldsV1`) does not own, or `None` if all is ours.
///
/// Empty values (null, empty maps, lists and strings, false, 0) are never missed: servers drop them when they are the zero value
/// of a typed field.
#[must_use]
pub fn uncovered(fields: &Value, body: &Value) -> Option<String> {
    let object = body.as_object()?;
    for (key, value) in object {
        let pointer = format!("/{key}");
        match key.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let inner = fields.get("f:metadata");
                for (name, value) in value.as_object().into_iter().flatten() {
                    if matches!(name.as_str(), "labels" | "annotations" | "finalizers" | "ownerReferences")
                        && let Some(missing) = field(inner, name, value, &pointer)
                    {
                        return Some(missing);
                    }
                }
            }
            _ => {
                if let Some(missing) = field(Some(fields), key, value, "") {
                    return Some(missing);
                }
            }
        }
    }
    None
}

fn field(parent: Option<&Value>, key: &str, value: &Value, at: &str) -> Option<String> {
    let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match parent.and_then(|p| p.get(format!("f:{key}"))) {
        None => (!is_zero(value)).then_some(pointer),
        Some(set) => below(set, value, &pointer),
    }
}

fn below(set: &Value, value: &Value, at: &str) -> Option<String> {
    let children = set.as_object()?;
    if children.is_empty() {
        return None; // a leaf or an atomic map or list: ours as a whole
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| field(Some(set), key, value, at)),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| element(children, i, item, &format!("{at}/{i}"))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn element(children: &Map<String, Value>, index: usize, item: &Value, at: &str) -> Option<String> {
    for (name, set) in children {
        let same = if let Some(keys) = name.strip_prefix("k:") {
            serde_json::from_str::<Map<String, Value>>(keys)
                .is_ok_and(|keys| keys.iter().all(|(k, wanted)| item.get(k).is_none_or(|have| have == wanted)))
        } else if let Some(wanted) = name.strip_prefix("v:") {
            serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| &wanted == item)
        } else {
            name.strip_prefix("i:").is_some_and(|i| i == index.to_string())
        };
        if same {
            return below(set, item, at);
        }
    }
    Some(at.to_owned())
}

/// Whether a value says no more than its absence would.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_zero),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::uncovered;

    #[test]
    fn a_changed_container_image_is_seen() {
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "labels": {"a": "b"}},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}}});
        let owned = json!({"f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}});
        assert_eq!(uncovered(&owned, &body), None);
        let lost = json!({"f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}}}}});
        assert_eq!(uncovered(&lost, &body).as_deref(), Some("/spec/template/spec/containers/0/image"));
    }

    #[test]
    fn atomic_values_and_zero_values_are_covered() {
        let body = json!({"kind": "Service", "spec": {"selector": {"app": "x"}, "resources": {}, "paused": false}});
        assert_eq!(uncovered(&json!({"f:spec": {"f:selector": {}}}), &body), None);
        assert_eq!(uncovered(&json!({"f:spec": {}}), &body).as_deref(), None, "an empty set is a leaf");
        assert_eq!(uncovered(&json!({}), &body).as_deref(), Some("/spec"));
    }

    #[test]
    fn list_map_elements_match_by_the_keys_that_are_written() {
        let body = json!({"spec": {"ports": [{"port": 443, "name": "https"}]}});
        let owned =
            json!({"f:spec": {"f:ports": {"k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}}}});
        assert_eq!(uncovered(&owned, &body), None);
    }

    #[test]
    fn a_set_element_taken_away_is_seen() {
        let body = json!({"metadata": {"finalizers": ["a", "b"]}});
        assert_eq!(
            uncovered(&json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}}}}), &body).as_deref(),
            Some("/metadata/finalizers/1")
        );
    }
}
