//! SARIF 2.1.0: findings for code-scanning services.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Checked, fingerprint};
use crate::finding::{Place, Severity};

/// One run with every finding. `explain` gives the documentation of a code.
#[must_use]
pub fn sarif(checked: &[Checked], explain: &dyn Fn(&str) -> Option<(String, String)>) -> Value {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in checked.iter().flat_map(|c| &c.findings) {
        rules.entry(finding.code.as_str()).or_default();
    }
    for (index, slot) in rules.values_mut().enumerate() {
        *slot = index;
    }
    let documented: Vec<Value> = rules
        .keys()
        .map(|code| match explain(code) {
            Some((title, text)) => {
                json!({ "id": code, "shortDescription": { "text": title }, "help": { "text": text } })
            }
            None => json!({ "id": code }),
        })
        .collect();
    let results: Vec<Value> = checked
        .iter()
        .flat_map(|c| &c.findings)
        .map(|finding| {
            let text = match &finding.help {
                Some(help) => format!("{}\nhelp: {help}", finding.message),
                None => finding.message.clone(),
            };
            let mut result = json!({
                "ruleId": finding.code,
                "ruleIndex": rules.get(finding.code.as_str()),
                "level": match finding.severity { Severity::Error => "error", Severity::Warning => "warning", Severity::Note => "note" },
                "message": { "text": text },
                "locations": finding.places.iter().take(1).map(location).collect::<Vec<_>>(),
                "partialFingerprints": { "espalier/v1": fingerprint(finding) },
            });
            if finding.places.len() > 1 {
                result["relatedLocations"] = finding.places.iter().skip(1).map(location).collect();
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "espalier", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": documented } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn location(place: &Place) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(place.path.as_str()) } });
    if let Some(span) = place.span {
        physical["region"] = json!({ "startLine": span.line, "startColumn": span.column });
    }
    let mut location = json!({ "physicalLocation": physical });
    if !place.note.is_empty() {
        location["message"] = json!({ "text": place.note });
    }
    if !place.pointer.as_str().is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": place.pointer.field() }]);
    }
    location
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
