//! TAP 14: one test point for each object, and for each file with findings that are of no object.

use serde_json::{Value, json};

use super::junit::suites;
use super::{Checked, snippet};
use crate::finding::{Finding, Severity};

/// The report.
#[must_use]
pub fn tap(checked: &[Checked]) -> String {
    let mut points = Vec::new();
    for one in checked {
        for (kind, cases) in suites(one) {
            let named = |case: &str| format!("{} {kind} {case}", one.landscape);
            points.extend(cases.into_iter().map(|(case, findings)| (named(&case), findings)));
        }
    }
    let mut out = format!("TAP version 14\n1..{}\n", points.len());
    for (n, (name, findings)) in points.iter().enumerate() {
        let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
        out.push_str(&format!("{} {} - {}\n", if failed { "not ok" } else { "ok" }, n + 1, description(name)));
        if !findings.is_empty() {
            // JSON is YAML, and on one line nothing of it can end the block.
            out.push_str(&format!("  ---\n  findings: {}\n  ...\n", findings.iter().map(|f| told(f)).collect::<Value>()));
        }
    }
    out
}

fn told(finding: &Finding) -> Value {
    let line = anstream::adapter::strip_str(&snippet::headline(finding)).to_string();
    json!({ "severity": finding.severity, "message": line })
}

/// What stands behind the dash, where `#` would begin a directive.
fn description(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect::<String>().replace('\\', "\\\\").replace('#', "\\#")
}
