//! JUnit XML: one suite per landscape and kind, one case per object; an object without errors is a passing case.

use std::collections::BTreeMap;

use super::{Checked, snippet};
use crate::finding::{Finding, Severity};

/// The report.
#[must_use]
pub fn junit(checked: &[Checked]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"espalier\">\n");
    for one in checked {
        for (kind, cases) in suites(one) {
            suite(&mut out, &format!("{} {kind}", one.landscape), &cases);
        }
    }
    out.push_str("</testsuites>\n");
    out
}

/// The findings by kind and object; by file those that are of no object.
pub(super) fn suites(one: &Checked) -> BTreeMap<String, BTreeMap<String, Vec<&Finding>>> {
    let mut suites: BTreeMap<String, BTreeMap<String, Vec<&Finding>>> = BTreeMap::new();
    for owner in &one.owners {
        suites.entry(owner.kind.name().to_owned()).or_default().entry(owner.key()).or_default();
    }
    for finding in &one.findings {
        let (suite, case) = if let Some((kind, key)) = finding.owner.split_once(' ') {
            (kind.to_owned(), key.to_owned())
        } else {
            let file = finding.places.first().map_or_else(|| one.landscape.clone(), |p| p.path.to_string());
            ("files".to_owned(), file)
        };
        suites.entry(suite).or_default().entry(case).or_default().push(finding);
    }
    suites
}

fn suite(out: &mut String, name: &str, cases: &BTreeMap<String, Vec<&Finding>>) {
    let failed = |findings: &Vec<&Finding>| findings.iter().any(|f| f.severity == Severity::Error);
    let failures = cases.values().filter(|f| failed(f)).count();
    out.push_str(&format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n",
        escape(name),
        cases.len()
    ));
    for (case, findings) in cases {
        let head = format!("    <testcase classname=\"{}\" name=\"{}\"", escape(name), escape(case));
        if findings.is_empty() {
            out.push_str(&format!("{head}/>\n"));
            continue;
        }
        out.push_str(&format!("{head}>\n"));
        let text = |errors: bool| -> String {
            let these = findings.iter().filter(|f| (f.severity == Severity::Error) == errors);
            these.map(|f| anstream::adapter::strip_str(&snippet::headline(f)).to_string() + "\n").collect()
        };
        if let Some(first) = findings.iter().find(|f| f.severity == Severity::Error) {
            out.push_str(&format!(
                "      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
                escape(first.code.as_str()),
                escape(&first.message),
                escape(&text(true))
            ));
        }
        let rest = text(false);
        if !rest.is_empty() {
            out.push_str(&format!("      <system-out>{}</system-out>\n", escape(&rest)));
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n");
}

/// Text inside XML; what XML cannot hold is replaced.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
