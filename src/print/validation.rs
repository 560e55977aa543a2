//! What `validate -o json` writes, with its schema, and how a report is made of it again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{API_VERSION, published};
use super::{Checked, fingerprint};
use crate::finding::{Finding, Findings, Severity};
use crate::landscape::Owner;

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The landscapes that were checked.
    pub landscapes: Vec<Part>,
    /// What was found.
    pub findings: Vec<Found>,
    /// How much of what.
    pub summary: Counts,
}

/// A landscape that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Its name; empty if it does not say.
    pub name: String,
    /// Where it was read: a folder or a revision.
    pub from: String,
    /// How many objects of each kind, by plural.
    pub checked: BTreeMap<String, usize>,
    /// The objects.
    pub objects: Vec<Owner>,
}

/// Something that was found in a landscape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What.
    #[serde(flatten)]
    pub finding: Finding,
    /// The name of the landscape.
    pub landscape: String,
    /// What stays the same when lines above it come and go.
    pub fingerprint: String,
}

/// How many findings of each severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

impl Validation {
    /// The kind of the document.
    pub const KIND: &'static str = "Validation";

    /// The document of what was checked.
    #[must_use]
    pub fn of(checked: &[Checked]) -> Self {
        let part = |one: &Checked| Part {
            name: one.landscape.clone(),
            from: one.from.clone(),
            checked: one.kinds().into_iter().map(|(kind, n)| (kind.plural().to_owned(), n)).collect(),
            objects: one.owners.iter().cloned().collect(),
        };
        let found = |one: &Checked| {
            let landscape = one.landscape.clone();
            let found = |finding: &Finding| Found {
                fingerprint: fingerprint(finding),
                landscape: landscape.clone(),
                finding: finding.clone(),
            };
            one.findings.iter().map(found).collect::<Vec<_>>()
        };
        let n = |severity| checked.iter().map(|one| one.findings.count(severity)).sum();
        Self {
            api_version: API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            landscapes: checked.iter().map(part).collect(),
            findings: checked.iter().flat_map(found).collect(),
            summary: Counts { errors: n(Severity::Error), warnings: n(Severity::Warning), notes: n(Severity::Note) },
        }
    }

    /// Reads a document that somebody else wrote. The error says what is wrong with it, in one line and without its values.
    pub fn read(value: Value) -> Result<Self, String> {
        published::read(value, &schema())
    }

    /// What was checked, for reports. A finding in a landscape that is not listed belongs to the first one.
    #[must_use]
    pub fn checked(self) -> Vec<Checked> {
        let mut checked: Vec<Checked> = self
            .landscapes
            .into_iter()
            .map(|part| Checked {
                landscape: part.name,
                from: part.from,
                findings: Findings::default(),
                owners: part.objects.into_iter().collect(),
            })
            .collect();
        if checked.is_empty() && !self.findings.is_empty() {
            checked.push(Checked {
                landscape: String::new(),
                from: String::new(),
                findings: Findings::default(),
                owners: std::collections::BTreeSet::new(),
            });
        }
        for found in self.findings {
            let at = checked.iter().position(|one| one.landscape == found.landscape).unwrap_or_default();
            checked[at].findings.push(found.finding);
        }
        checked
    }
}

/// The JSON Schema of what `validate` answers.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Validation>(Validation::KIND)
}
