//! Findings for forges: GitHub's workflow commands and the code-quality report that GitLab reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Checked, fingerprint};
use crate::finding::{Finding, Severity};

/// GitHub shows this many annotations per step and level; the rest vanish silently.
const SHOWN: usize = 10;

/// Workflow commands, worst first, at most one for each rule and file; where there are too many, the last one says how many findings
/// are missing.
#[must_use]
pub fn github(checked: &[Checked]) -> String {
    let mut out = String::new();
    for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "notice")] {
        let all: Vec<&Finding> = checked.iter().flat_map(|c| &c.findings).filter(|f| f.severity == severity).collect();
        let mut alike: Vec<(&Finding, usize)> = Vec::new();
        let mut seen = BTreeMap::new();
        for finding in &all {
            let file = finding.places.first().map_or(finding.owner.as_str(), |place| place.path.as_str());
            let at = *seen.entry((&finding.code, file)).or_insert(alike.len());
            match alike.get_mut(at) {
                Some((_, more)) => *more += 1,
                None => alike.push((finding, 0)),
            }
        }
        let shown = if alike.len() > SHOWN { SHOWN - 1 } else { alike.len() };
        for (finding, more) in &alike[..shown] {
            out.push_str(&command(word, finding, *more));
        }
        if alike.len() > shown {
            out.push_str(&format!("::{word} title=espalier::and {} more, see the summary\n", all.len() - shown));
        }
    }
    out
}

/// One command; `more` findings of the same rule in the same file are not shown.
fn command(word: &str, finding: &Finding, more: usize) -> String {
    let mut properties = Vec::new();
    if let Some(place) = finding.places.first() {
        properties.push(format!("file={}", property(place.path.as_str())));
        if let Some(span) = place.span {
            properties.push(format!("line={},endLine={},col={}", span.line, span.line, span.column));
        }
    }
    properties.push(format!("title={}", property(finding.code.as_str())));
    let mut text = finding.message.clone();
    if let Some(help) = &finding.help {
        text.push_str(&format!("\n{help}"));
    }
    if more > 0 {
        text.push_str(&format!("\nand {more} more of {} in this file", finding.code));
    }
    format!("::{word} {}::{}\n", properties.join(","), message(&text))
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// The code-quality report. Fingerprints are unique, or GitLab would show only the first; paths are relative to the repository.
#[must_use]
pub fn codequality(checked: &[Checked]) -> Value {
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
                "path": place.map_or("landscape.yaml", |p| p.path.as_str()).trim_start_matches("./"),
                "lines": { "begin": place.and_then(|p| p.span).map_or(1, |s| s.line) },
            },
        }));
    }
    Value::Array(out)
}
