//! Checkstyle's XML: findings by file, which many review tools read.

use std::collections::BTreeMap;

use super::Checked;
use super::junit::escape;
use crate::finding::{Finding, Severity};

/// The report. What is in no file is told of `landscape.yaml`.
#[must_use]
pub fn checkstyle(checked: &[Checked]) -> String {
    let mut files: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in checked.iter().flat_map(|one| &one.findings) {
        let file = finding.places.first().map_or("landscape.yaml", |place| place.path.as_str());
        files.entry(file).or_default().push(finding);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<checkstyle version=\"4.3\">\n");
    for (file, findings) in files {
        out.push_str(&format!("  <file name=\"{}\">\n", escape(file)));
        for finding in findings {
            out.push_str(&error(finding));
        }
        out.push_str("  </file>\n");
    }
    out + "</checkstyle>\n"
}

fn error(finding: &Finding) -> String {
    let (line, column) = finding.places.first().and_then(|place| place.span).map_or((1, 1), |span| (span.line, span.column));
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "info",
    };
    let text = match &finding.help {
        Some(help) => format!("{}; {help}", finding.message),
        None => finding.message.clone(),
    };
    format!(
        "    <error line=\"{line}\" column=\"{column}\" severity=\"{severity}\" message=\"{}\" source=\"espalier.{}\"/>\n",
        escape(&text),
        escape(finding.code.as_str())
    )
}
