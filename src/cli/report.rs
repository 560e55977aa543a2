//! Reports: what was found, or a plan, in the formats that CI systems read.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::explain;
use crate::landscape::nearest::nearest;
use crate::print::preview::Plan;
use crate::print::{Checked, checkstyle, forge, json, junit, sarif, tap};

/// A format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit's XML.
    Junit,
    /// Code quality, as GitLab reads it.
    Codequality,
    /// GitHub's workflow commands.
    Github,
    /// TAP 14.
    Tap,
    /// Checkstyle's XML.
    Checkstyle,
    /// The findings themselves.
    Json,
    /// The counts of a plan, as GitLab shows them on a merge request.
    GitlabPlan,
}

/// A report into a file: `sarif=findings.sarif`.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) form: Form,
    pub(super) file: PathBuf,
}

impl Form {
    const ALL: [(&'static str, Self); 8] = [
        ("sarif", Self::Sarif),
        ("junit", Self::Junit),
        ("codequality", Self::Codequality),
        ("github", Self::Github),
        ("tap", Self::Tap),
        ("checkstyle", Self::Checkstyle),
        ("json", Self::Json),
        ("gitlab-plan", Self::GitlabPlan),
    ];

    /// Whether it tells of a plan, and not of findings.
    pub(super) fn is_of_plan(self) -> bool {
        self == Self::GitlabPlan
    }

    /// The report on what was found; one of a plan has nothing to say about it.
    pub(super) fn text(self, checked: &[Checked]) -> String {
        match self {
            Self::Sarif => json::json(&sarif::sarif(checked, &explain::code)),
            Self::Junit => junit::junit(checked),
            Self::Codequality => json::json(&forge::codequality(checked)),
            Self::Github => forge::github(checked),
            Self::Tap => tap::tap(checked),
            Self::Checkstyle => checkstyle::checkstyle(checked),
            Self::Json => json::json(&json::checked(checked)),
            Self::GitlabPlan => String::new(),
        }
    }

    /// The report on a plan: what is created, changed and goes.
    pub(super) fn of_plan(plan: &Plan) -> String {
        let summary = &plan.summary;
        json::json(&json!({ "create": summary.create, "update": summary.update, "delete": summary.delete }))
    }
}

impl std::str::FromStr for Form {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if let Some((_, form)) = Self::ALL.into_iter().find(|(known, _)| *known == word) {
            return Ok(form);
        }
        let known = Self::ALL.map(|(known, _)| known);
        let near = nearest(word, known).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        Err(format!("{near}possible are {}", known.join(", ")))
    }
}

impl std::str::FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (form, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("a report is FORMAT=FILE")?;
        Ok(Self { form: form.parse()?, file: file.into() })
    }
}

/// A report on findings, and on nothing else.
pub(super) fn of_findings(text: &str) -> Result<Report, String> {
    let report: Report = text.parse()?;
    if report.form.is_of_plan() {
        return Err("gitlab-plan is a report on a plan: `espalier ci report --plan plan.json --report gitlab-plan=FILE`".into());
    }
    Ok(report)
}

impl Report {
    /// Writes the report.
    pub(super) fn write(&self, text: &str) -> anyhow::Result<()> {
        std::fs::write(&self.file, text).with_context(|| format!("failed to write {}", self.file.display()))
    }
}
