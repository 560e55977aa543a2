//! Something to tell a person about a place: the one shape in which every stage reports what is wrong with its input.
//!
//! Knows nothing about terminals, colours or formats; `print` turns findings into text, JSON, SARIF or JUnit.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::snapshot::RepoPath;

mod cause;
mod example;

pub use cause::{Cause, ErrorType};
pub use example::Example;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The owner is held until this is mended.
    Error,
    /// Accepted, but a person should look.
    Warning,
    /// A remark: something dropped, decided or not acted upon.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A stable, readable identifier of a kind of finding, such as `SHOOT-NET-OVERLAP`.
///
/// Codes are upper case words joined by hyphens. Those of shipped rules are static; those of policies carry the policy's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Code(pub Cow<'static, str>);

impl Code {
    /// A code known when the program was built.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A JSON pointer (RFC 6901) into one document: `""` is the whole document, `/spec/kubernetes/version` a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pointer(pub String);

impl Pointer {
    /// The pointer to the document's root.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// This pointer extended by one map key (escaped as RFC 6901 says).
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut out = String::with_capacity(self.0.len() + 1 + key.len());
        out.push_str(&self.0);
        out.push('/');
        if key.contains(['~', '/']) {
            out.push_str(&key.replace('~', "~0").replace('/', "~1"));
        } else {
            out.push_str(key);
        }
        Self(out)
    }

    /// This pointer extended by one list index.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The pointer to the enclosing value, or `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rfind('/').map(|at| Self(self.0[..at].to_owned()))
    }

    /// The unescaped segments, outermost first.
    pub fn segments(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~"))
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The way Kubernetes spells this field: `spec.provider.workers[0].name`.
    #[must_use]
    pub fn field(&self) -> String {
        let mut out = String::new();
        for segment in self.segments() {
            if segment.chars().all(|c| c.is_ascii_digit()) && !segment.is_empty() {
                out.push('[');
                out.push_str(&segment);
                out.push(']');
            } else if segment.contains(['.', '/']) {
                out.push_str("[\"");
                out.push_str(&segment);
                out.push_str("\"]");
            } else {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(&segment);
            }
        }
        out
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Pointer {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Which part of a map entry a place means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// The key's own text.
    Key,
    /// The value.
    Value,
}

/// A resolved range of a file's text.
///
/// `start..end` are byte offsets into the file; `line` and `column` are 1-based, `column` counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
}

impl Span {
    /// The byte range.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Where something is: a file, and where known the field and its text range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file, relative to the landscape's root.
    pub path: RepoPath,
    /// The text range, when the file could be read that far.
    pub span: Option<Span>,
    /// The field within its document.
    pub pointer: Pointer,
    /// A few words that belong to this place only; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Place {
    /// A place that is a whole file.
    #[must_use]
    pub fn file(path: RepoPath) -> Self {
        Self { path, span: None, pointer: Pointer::root(), note: String::new() }
    }

    /// The same place with a note.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span {
            Some(span) => write!(f, "{}:{}:{}", self.path, span.line, span.column),
            None => write!(f, "{}", self.path),
        }
    }
}

/// One finding: what is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The kind of finding.
    pub code: Code,
    /// One sentence without a full stop, lower case, with the offending value.
    pub message: String,
    /// The places, most important first; empty only for findings about the landscape as a whole.
    pub places: Vec<Place>,
    /// What to do, when that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The landscape object it is about, as its owner prints (`Shoot shop/prod`); empty if it is about a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// What a Gardener API server would answer; none for what only espalier minds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl Finding {
    /// An error.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A note.
    #[must_use]
    pub fn note(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    /// A finding of a given severity.
    #[must_use]
    pub fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self { severity, code, message: message.into(), places: Vec::new(), help: None, owner: String::new(), cause: None }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// Sets the help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what a Gardener API server would answer.
    #[must_use]
    pub fn cause(mut self, error: ErrorType, field: impl Into<String>) -> Self {
        self.cause = Some(Cause::new(error, field));
        self
    }

    /// Names the landscape object that this is about.
    #[must_use]
    pub fn of(mut self, owner: impl fmt::Display) -> Self {
        self.owner = owner.to_string();
        self
    }
}

/// A list of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|f| f.severity == Severity::Error)
    }

    /// How many there are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|f| f.severity == severity).count()
    }

    /// The same findings in the order people read: by file, position, severity, code; exact repetitions dropped.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| {
            let key = |f: &Finding| f.places.first().map(|p| (p.path.clone(), p.span.map(|s| s.start)));
            key(a).cmp(&key(b)).then_with(|| a.cmp(b))
        });
        self.0.dedup();
        self
    }

    /// The findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
