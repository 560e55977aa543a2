//! Drift: in which fields a live object is not as it was written, who made it so, and since when.
//!
//! A field has drifted if the live value is another one and our own entry in the managed fields does not list it any more: under
//! server-side apply whoever changes a field takes it over. What a server merely writes otherwise (quantities, zero values) stays
//! ours and is no drift.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::covers::{is_zero, uncovered};
use super::diff::{self, Field, name_of};
use crate::finding::Pointer;
use crate::observed::{MANAGER, ObjectKey, is_ours, is_secret};
use crate::value::Window;

/// Who made a field drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Gardener's automatic updates, in the maintenance window.
    Maintenance,
    /// The hibernation schedule.
    Schedule,
    /// A person, by kubectl, a dashboard or the like.
    Human,
    /// Another controller, or nobody knows who.
    Other,
}

impl Cause {
    /// All causes, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Maintenance, Self::Schedule, Self::Human, Self::Other];

    /// The word in every output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Schedule => "schedule",
            Self::Human => "human",
            Self::Other => "other",
        }
    }
}

impl std::str::FromStr for Cause {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|cause| cause.word() == word).ok_or_else(|| format!("possible are {}", words()))
    }
}

/// One field that drifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drifted {
    /// Its name as people say it, list items by name: `provider.workers[cpu].maximum`.
    pub field: String,
    /// Where the observed value stands; where the desired one stood if there is none.
    pub pointer: Pointer,
    /// The keys that lead to it, `[]` for an item of a list.
    #[serde(skip)]
    pub path: Vec<String>,
    /// The names of the items on the way, outermost first.
    #[serde(skip)]
    pub items: Vec<String>,
    /// What is written; null if nothing is.
    pub desired: Option<Value>,
    /// What is there; null if nothing is.
    pub observed: Option<Value>,
    /// Whether the values are secret: then neither of them is told.
    pub secret: bool,
    /// Who made it so.
    pub cause: Cause,
    /// The field manager that has it now; null if it cannot be told.
    pub manager: Option<String>,
    /// When that manager wrote last (RFC 3339); null if it cannot be told.
    pub since: Option<String>,
}

/// The fields in which a live object, given whole, is not as desired. With `added` also those that somebody added to it.
#[must_use]
pub fn fields(desired: &Value, live: &Value, added: bool) -> Vec<Drifted> {
    let entries = entries(live);
    let own = entries.iter().find(|e| e.manager == MANAGER && e.apply).map(|e| e.fields);
    let Some(key) = ObjectKey::of(desired) else { return Vec::new() };
    if is_secret(&key.group, &key.kind) {
        return secret(desired, own, &entries).into_iter().collect();
    }
    let mut out = Vec::new();
    for field in diff::fields(desired, live).into_iter().filter(is_content) {
        match &field.before {
            Some(before) => {
                let lost = own.is_none_or(|own| !reaches(own, &field));
                if !lost || (field.after.is_none() && is_zero(before)) {
                    continue;
                }
            }
            None if !added || field.path.first().is_some_and(|key| key == "metadata") => continue,
            None => {}
        }
        let by = entries.iter().filter(|e| !is_ours(e.manager) && reaches(e.fields, &field)).max_by_key(|e| e.time);
        if field.before.is_none() && by.is_none() {
            continue; // the server's own, or ours
        }
        out.push(Drifted {
            cause: cause(&field.path, by, live),
            manager: by.map(|e| e.manager.to_owned()),
            since: by.map(|e| e.time.to_owned()).filter(|time| !time.is_empty()),
            field: field.name,
            pointer: field.pointer,
            path: field.path,
            items: field.items,
            desired: field.before,
            observed: field.after,
            secret: false,
        });
    }
    out
}

/// That the content of a secret is another one, and nothing more.
fn secret(desired: &Value, own: Option<&Value>, entries: &[Entry<'_>]) -> Option<Drifted> {
    let lost = own.is_none_or(|own| uncovered(own, desired).is_some());
    if !lost {
        return None;
    }
    let by = entries.iter().filter(|e| !is_ours(e.manager)).max_by_key(|e| e.time);
    Some(Drifted {
        field: "data".to_owned(),
        pointer: Pointer::root().key("data"),
        path: vec!["data".to_owned()],
        items: Vec::new(),
        desired: None,
        observed: None,
        secret: true,
        cause: by.map_or(Cause::Other, |e| if is_person(e.manager) { Cause::Human } else { Cause::Other }),
        manager: by.map(|e| e.manager.to_owned()),
        since: by.map(|e| e.time.to_owned()).filter(|time| !time.is_empty()),
    })
}

/// Whether a field is content, and neither a server's book-keeping nor ours.
fn is_content(field: &Field) -> bool {
    match field.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["metadata", "labels" | "annotations", key, ..] => !key.contains("espalier.dev/"),
        ["apiVersion" | "kind" | "status" | "metadata", ..] => false,
        _ => true,
    }
}

/// One entry of the managed fields that is about the object itself.
struct Entry<'v> {
    manager: &'v str,
    apply: bool,
    time: &'v str,
    fields: &'v Value,
}

fn entries(live: &Value) -> Vec<Entry<'_>> {
    let list = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Entry::of).collect()
}

impl<'v> Entry<'v> {
    fn of(entry: &'v Value) -> Option<Self> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        if !text("subresource").is_empty() {
            return None;
        }
        let fields = entry.get("fieldsV1")?;
        Some(Self { manager: text("manager"), apply: text("operation") == "Apply", time: text("time"), fields })
    }
}

/// Whether a set of fields has a field, one above it as a whole, or something below it.
fn reaches(set: &Value, field: &Field) -> bool {
    let mut at = set;
    let mut items = field.items.iter();
    for key in &field.path {
        let Some(children) = at.as_object().filter(|children| !children.is_empty()) else {
            return true; // what is above is had as a whole
        };
        let next = if key == "[]" {
            let name = items.next().map(String::as_str);
            children.iter().find(|(element, _)| is_item(element, name)).map(|(_, below)| below)
        } else {
            children.get(&format!("f:{key}"))
        };
        match next {
            Some(below) => at = below,
            None => return false,
        }
    }
    true
}

/// Whether an element of a set is the item of a list that goes by a name.
fn is_item(element: &str, name: Option<&str>) -> bool {
    let keys = element.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Value>(keys).ok());
    keys.is_some_and(|keys| {
        name_of(&keys) == name || keys.as_object().is_some_and(|map| map.values().any(|v| v.as_str() == name))
    })
}

/// Tools by which people change objects, by the beginning of their field managers' names.
const PEOPLE: &[&str] =
    &["kubectl", "k9s", "lens", "openlens", "headlamp", "gardenctl", "gardener-dashboard", "dashboard", "mozilla", "curl", "oc"];

fn is_person(manager: &str) -> bool {
    let manager = manager.to_ascii_lowercase();
    PEOPLE
        .iter()
        .any(|tool| manager.strip_prefix(tool).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric())))
}

/// The controllers of Gardener that change specs: maintenance and hibernation.
const GARDENER: &[&str] = &["gardener-controller-manager", "gardenlet"];

/// Fields that maintenance changes by itself (`domain/features.md` A2).
const MAINTAINED: &[&[&str]] = &[
    &["spec", "kubernetes", "version"],
    &["spec", "provider", "workers", "[]", "machine", "image", "version"],
    &["spec", "provider", "workers", "[]", "kubernetes", "version"],
];

fn cause(path: &[String], by: Option<&Entry<'_>>, live: &Value) -> Cause {
    let Some(by) = by else { return Cause::Other };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if is_person(by.manager) {
        return Cause::Human;
    }
    if !GARDENER.contains(&by.manager) || live.get("kind").and_then(Value::as_str) != Some("Shoot") {
        return Cause::Other;
    }
    let schedules = live.pointer("/spec/hibernation/schedules").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if path == ["spec", "hibernation", "enabled"] && schedules {
        return Cause::Schedule;
    }
    if MAINTAINED.contains(&path.as_slice()) && in_maintenance(by.time, live) { Cause::Maintenance } else { Cause::Other }
}

/// Whether a change was made in the maintenance window, or in the maintenance that was done last.
fn in_maintenance(time: &str, live: &Value) -> bool {
    const LASTS: i64 = 15 * 60;
    let Ok(at) = time.parse::<Timestamp>() else { return false };
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let window = Window::parse(text("/spec/maintenance/timeWindow/begin"), text("/spec/maintenance/timeWindow/end"));
    let triggered = text("/status/lastMaintenance/triggeredTime").parse::<Timestamp>();
    window.is_ok_and(|window| window.contains(at.as_second()))
        || triggered.is_ok_and(|triggered| (0..LASTS).contains(&(at.as_second() - triggered.as_second())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shoot(version: &str, maximum: i64) -> Value {
        json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "metadata": {"name": "a", "namespace": "garden-b"},
            "spec": {"kubernetes": {"version": version}, "provider": {"workers": [{"name": "cpu", "maximum": maximum}]},
                "maintenance": {"timeWindow": {"begin": "220000+0000", "end": "230000+0000"}}}})
    }

    fn managed(mut live: Value, entries: &[(&str, &str, Value)]) -> Value {
        let entry = |(manager, time, fields): &(&str, &str, Value)| {
            let operation = if *manager == MANAGER { "Apply" } else { "Update" };
            json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields})
        };
        live["metadata"]["managedFields"] = entries.iter().map(entry).collect();
        live
    }

    #[test]
    fn what_is_still_ours_is_no_drift_and_what_is_not_says_who() {
        let ours = json!({"f:spec": {"f:kubernetes": {"f:version": {}}, "f:provider": {}, "f:maintenance": {}}});
        let same = managed(shoot("1.33.4", 3), &[(MANAGER, "2026-08-01T00:00:00Z", ours.clone())]);
        assert!(fields(&shoot("1.33.4", 3), &same, true).is_empty());
        assert!(fields(&shoot("1.33.40", 3), &same, true).is_empty(), "written otherwise by the server");

        let ours = json!({"f:spec": {"f:maintenance": {}}});
        let theirs = json!({"f:spec": {"f:provider": {"f:workers": {}}}});
        let window = json!({"f:spec": {"f:kubernetes": {"f:version": {}}}});
        let live = managed(
            shoot("1.33.7", 20),
            &[
                (MANAGER, "2026-08-01T00:00:00Z", ours),
                ("kubectl-edit", "2026-08-22T09:12:00Z", theirs),
                ("gardener-controller-manager", "2026-08-20T22:04:00Z", window),
            ],
        );
        let told: Vec<_> = fields(&shoot("1.33.4", 14), &live, true)
            .into_iter()
            .map(|f| {
                (f.field, f.cause, f.manager.unwrap_or_default(), f.desired.unwrap_or_default(), f.observed.unwrap_or_default())
            })
            .collect();
        let text = str::to_owned;
        assert_eq!(
            told,
            [
                (
                    text("kubernetes.version"),
                    Cause::Maintenance,
                    text("gardener-controller-manager"),
                    json!("1.33.4"),
                    json!("1.33.7")
                ),
                (text("provider.workers[cpu].maximum"), Cause::Human, text("kubectl-edit"), json!(14), json!(20)),
            ]
        );
    }

    #[test]
    fn an_update_out_of_the_window_is_not_maintenance() {
        let live = |time: &str| {
            let fields = json!({"f:spec": {"f:kubernetes": {"f:version": {}}}});
            managed(shoot("1.33.7", 3), &[("gardener-controller-manager", time, fields)])
        };
        let cause = |time: &str| fields(&shoot("1.33.4", 3), &live(time), true)[0].cause;
        assert_eq!((cause("2026-08-20T22:04:00Z"), cause("2026-08-20T12:04:00Z")), (Cause::Maintenance, Cause::Other));
    }

    #[test]
    fn a_secret_is_changed_or_not_and_what_was_added_is_told_with_its_manager() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"key": "Y2FuYXJ5"}});
        let live = managed(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}),
            &[
                (MANAGER, "", json!({"f:metadata": {}})),
                ("kubectl-edit", "2026-08-22T09:12:00Z", json!({"f:data": {"f:key": {}}})),
            ],
        );
        let told = fields(&secret, &live, true);
        assert_eq!((told.len(), told[0].secret, told[0].cause), (1, true, Cause::Human));
        assert!(!serde_json::to_string(&told).expect("JSON").contains("Y2FuYXJ5"));

        let mut more = shoot("1.33.4", 3);
        more["spec"]["purpose"] = json!("testing");
        let ours = json!({"f:spec": {"f:kubernetes": {}, "f:provider": {}, "f:maintenance": {}}});
        let unowned = managed(more.clone(), &[(MANAGER, "", ours.clone())]);
        assert!(fields(&shoot("1.33.4", 3), &unowned, true).is_empty(), "a default of the server");
        let owned = managed(more, &[(MANAGER, "", ours), ("robot", "", json!({"f:spec": {"f:purpose": {}}}))]);
        let told = fields(&shoot("1.33.4", 3), &owned, true);
        assert_eq!((told[0].field.as_str(), told[0].cause, &told[0].desired), ("purpose", Cause::Other, &None));
        assert!(fields(&shoot("1.33.4", 3), &owned, false).is_empty());
        assert!("humans".parse::<Cause>().is_err() && "human".parse::<Cause>() == Ok(Cause::Human));
    }
}
