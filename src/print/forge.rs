//! Findings for forges: GitHub's workflow commands and GitLab's code-quality report.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Checked, fingerprint};
use crate::finding::{Finding, Severity};

/// GitHub shows this many annotations per step and level; the rest vanish silently.
const SHOWN: usize = 10;

/// Workflow commands, worst first; where there are too many, the last one says how many are missing.
#[must_use]
pub fn github(checked: &[Checked]) -> String {
    let mut out = String::new();
    for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "notice")] {
        let all: Vec<&Finding> = checked.iter().flat_map(|c| &c.findings).filter(|f| f.severity == severity).collect();
        let shown = if all.len() > SHOWN { SHOWN - 1 } else { all.len() };
        for finding in &all[..shown] {
            out.push_str(&command(word, finding));
        }
        if all.len() > shown {
            out.push_str(&format!("::{word} title=espalier::and {} more, see the output of validate\n", all.len() - shown));
        }
    }
    out
}

fn command(word: &str, finding: &Finding) -> String {
    let mut properties = Vec::new();
    if let Some(place) = finding.places.first() {
        properties.push(format!("file={}", property(place.path.as_str())));
        if let Some(span) = place.span {
            properties.push(format!("line={},endLine={},col={}", span.line, span.line, span.column));
        }
    }
    properties.push(format!("title={}", property(finding.code.as_str())));
    let text = match &finding.help {
        Some(help) => format!("{}\n{help}", finding.message),
        None => finding.message.clone(),
    };
    format!("::{word} {}::{}\n", properties.join(","), message(&text))
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// GitLab's code-quality report. Fingerprints are unique, or GitLab would show only the first.
#[must_use]
pub fn gitlab(checked: &[Checked]) -> Value {
    let mut used = BTreeSet::new();
    let mut out = Vec::new();
    for finding in checked.iter().flat_map(|c| &c.findings) {
        let mut print = fingerprint(finding);
        let mut n = 1;
        while !used.insert(print.clone()) {
            n += 1;
            print = format!("{}-{n}", fingerprint(finding));
        }
        let place = finding.places.first();
        out.push(json!({
            "description": finding.message,
            "check_name": finding.code,
            "fingerprint": print,
            "severity": match finding.severity { Severity::Error => "critical", Severity::Warning => "minor", Severity::Note => "info" },
            "location": {
                "path": place.map_or("landscape.yaml", |p| p.path.as_str()),
                "lines": { "begin": place.and_then(|p| p.span).map_or(1, |s| s.line) },
            },
        }));
    }
    Value::Array(out)
}
