//! Policies: `ValidatingAdmissionPolicy` in CEL, evaluated here before anything is acted upon. The same file can be installed
//! in a cluster.
//!
//! A file holds one policy or several, their bindings, and their test cases (`PolicyTest`). Those of the repository lie over the built-in
//! ones, file by file. Whatever cannot be understood or evaluated refuses; it never lets through.

use std::collections::BTreeMap;
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde_json::Value;

use super::check::Out;
use crate::digest::{self, Digest};
use crate::document::{self, Budget, Document};
use crate::finding::{Code, Finding, Findings, On, Place, Pointer, Severity};
use crate::landscape::Owner;
use crate::snapshot::RepoPath;

mod cel;
mod matching;
mod read;
mod test;

pub use test::{TestOutcome, test};

static BUILTIN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// The annotation of a policy that names the field its violations are about, as a JSON pointer.
pub const FIELD: &str = "espalier.dev/field";
/// The user on whose behalf Git is judged: whoever may merge.
pub const GIT_USER: &str = "espalier:git";

/// Compiled policies.
#[derive(Default)]
pub struct Policies {
    policies: Vec<read::Policy>,
    digest: Option<Digest>,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

static NONE: std::sync::LazyLock<Digest> = std::sync::LazyLock::new(|| digest::of_bytes(b""));

/// What is judged: an owner's manifest and what was accepted before; no manifest means that it is to be deleted.
pub(super) struct Request<'a> {
    pub owner: &'a Owner,
    pub object: Option<&'a Value>,
    pub old: Option<&'a Value>,
}

/// The policies that the program brings along, by path.
#[must_use]
pub fn builtin() -> BTreeMap<RepoPath, Arc<str>> {
    let files = BUILTIN.files().filter(|file| file.path().extension().is_some_and(|e| e == "yaml"));
    files
        .filter_map(|file| {
            Some((RepoPath::from(format!("policies/{}", file.path().to_str()?)), Arc::from(file.contents_utf8()?)))
        })
        .collect()
}

impl Policies {
    /// Compiles the built-in policies with those of a repository laid over them. Files outside `policies/` are not looked at.
    ///
    /// Where a repository's file does not compile and takes the place of a built-in one, that one stays in force.
    #[must_use]
    pub fn compile(overlays: &BTreeMap<RepoPath, Arc<str>>) -> (Self, Findings) {
        let mut findings = Findings::default();
        let mut policies = Vec::new();
        let mut files: BTreeMap<RepoPath, Vec<Arc<str>>> = builtin().into_iter().map(|(path, text)| (path, vec![text])).collect();
        for (path, text) in overlays.iter().filter(|(path, _)| path.as_str().starts_with("policies/") && is_yaml(path)) {
            files.entry(path.clone()).or_default().insert(0, text.clone());
        }
        for (path, versions) in &files {
            for text in versions {
                let (found, problems) = compile_file(path, text);
                let broken = problems.has_errors();
                findings.extend(problems);
                if !broken {
                    policies.extend(found);
                    break;
                }
            }
        }
        let texts: Vec<&str> = policies.iter().map(|p: &read::Policy| p.source.as_str()).collect();
        let digest = Some(digest::of_bytes(texts.join("\0").as_bytes()));
        (Self { policies, digest }, findings)
    }

    /// The digest of everything compiled.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.digest.as_ref().unwrap_or(&NONE)
    }

    /// The names of the policies.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|p| p.name.as_str())
    }

    /// What all policies say to one request.
    pub(super) fn judge(&self, request: &Request<'_>, out: &mut Out) {
        let matching = self.policies.iter().filter(|p| p.matches(request)).collect::<Vec<_>>();
        if matching.is_empty() {
            return;
        }
        let bound = cel::Bound::new(request);
        for policy in matching {
            for violation in policy.evaluate(&bound) {
                let whole = super::node::Node::root(request.object.or(request.old).unwrap_or(&Value::Null));
                let place = policy.field.as_deref().map_or_else(|| whole.clone(), |field| whole.at(field));
                for severity in &violation.severities {
                    out.speak_as(violation.code.clone());
                    let message = violation.message.clone();
                    let raised = match severity {
                        Severity::Error => out.error(&place, message),
                        Severity::Warning => out.warning(&place, message),
                        Severity::Note => out.note(&place, message),
                    };
                    raised.help(format!("policy `{}` of {} says so", policy.name, policy.path));
                }
            }
        }
    }
}

fn is_yaml(path: &RepoPath) -> bool {
    matches!(path.as_str().rsplit_once('.'), Some((_, "yaml" | "yml")))
}

/// The policies of one file, with what cannot be understood in it.
fn compile_file(path: &RepoPath, text: &str) -> (Vec<read::Policy>, Findings) {
    let parsed = document::parse(path, text.as_bytes(), &Budget::default());
    let mut findings = parsed.findings;
    let policies = read::policies(&parsed.documents, &mut findings);
    (policies, findings)
}

/// Says what is wrong with a policy, at a field of its document.
fn problem(findings: &mut Findings, document: &Document, pointer: &Pointer, message: impl Into<String>) {
    let place: Place = document.place(pointer, On::Value);
    findings.push(
        Finding::error(Code::new("POLICY"), message)
            .at(place)
            .help("until this is mended, the policy that was in force before stays in force"),
    );
}
