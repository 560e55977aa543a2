//! Machine-readable results: one envelope for all commands, as JSON or YAML.

use serde_json::{Map, Value, json};

use super::Checked;
use crate::finding::Severity;

/// The version of every machine-readable answer; its shapes do not change within it.
pub const API_VERSION: &str = "espalier.dev/cli/v1";

/// An answer of a command: its fields below `apiVersion` and `kind`.
#[must_use]
pub fn envelope(kind: &str, fields: Value) -> Value {
    let mut out = Map::new();
    out.insert("apiVersion".into(), API_VERSION.into());
    out.insert("kind".into(), kind.into());
    if let Value::Object(fields) = fields {
        out.extend(fields);
    }
    Value::Object(out)
}

/// Indented JSON with a newline at its end.
#[must_use]
pub fn json(value: &Value) -> String {
    // A value has only string keys, so this cannot fail.
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| text + "\n")
}

/// What `validate` answers.
#[must_use]
pub fn checked(checked: &[Checked]) -> Value {
    let mut findings = Vec::new();
    let mut landscapes = Vec::new();
    let mut counts = [0_usize; 3];
    for one in checked {
        for finding in &one.findings {
            let mut value = serde_json::to_value(finding).unwrap_or(Value::Null);
            value["landscape"] = one.landscape.clone().into();
            value["fingerprint"] = super::fingerprint(finding).into();
            findings.push(value);
        }
        for (slot, severity) in counts.iter_mut().zip([Severity::Error, Severity::Warning, Severity::Note]) {
            *slot += one.findings.count(severity);
        }
        let objects: Map<String, Value> = one.kinds().into_iter().map(|(kind, n)| (kind.plural().to_owned(), n.into())).collect();
        landscapes.push(json!({ "name": one.landscape, "from": one.from, "checked": objects }));
    }
    envelope(
        "Validation",
        json!({
            "landscapes": landscapes,
            "findings": findings,
            "summary": { "errors": counts[0], "warnings": counts[1], "notes": counts[2] },
        }),
    )
}
