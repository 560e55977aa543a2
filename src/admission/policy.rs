//! Policies: `ValidatingAdmissionPolicy` in CEL, evaluated here before anything is acted upon. The same file can be installed
//! in a cluster.
//!
//! A file holds policies, bindings, parameters, and test cases (`PolicyTest`). Those of the repository lie over the built-in ones,
//! file by file; a binding or a parameter may lie in another file than its policy. What differs from a cluster:
//!
//! * Git is judged as the user [`GIT_USER`], in the group `system:authenticated`; `request.dryRun` is false. There is no
//!   `authorizer`. `namespaceObject` has the name and the labels that espalier gives to a project's namespace.
//! * Parameters are documents of policy files, not objects of a cluster.
//! * `Deny` is an error, `Warn` a warning, `Audit` (and `auditAnnotations`) a note.
//!
//! A policy that cannot be understood is an error at its place, and the one before it stays in force. One that cannot be evaluated,
//! or costs more than Kubernetes allows, is treated as its `failurePolicy` says: by default, its bindings' actions follow.

use std::collections::{BTreeMap, BTreeSet};
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
mod evaluate;
mod link;
mod matching;
mod patterns;
mod read;
mod rewrite;
mod test;

pub use test::{TestOutcome, example, test};

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
        // Versions of a file, the one to use first; whether it is the repository's own.
        let mut files: BTreeMap<RepoPath, Vec<(bool, Arc<str>)>> =
            builtin().into_iter().map(|(path, text)| (path, vec![(false, text)])).collect();
        for (path, text) in overlays.iter().filter(|(path, _)| path.as_str().starts_with("policies/") && is_yaml(path)) {
            files.entry(path.clone()).or_default().insert(0, (true, text.clone()));
        }
        let mut findings = Findings::default();
        let policies = loop {
            let mut compiled = Vec::new();
            let mut broken = BTreeSet::new();
            let mut current: Vec<_> = files.iter().filter_map(|(path, versions)| Some((path, versions.first()?))).collect();
            // The program's own come first: where two say the same name, the repository's file is to blame.
            current.sort_by_key(|(_, (own, _))| *own);
            for (path, (_, text)) in current {
                let (file, found) = compile_file(path, text);
                if found.has_errors() {
                    broken.insert(path.clone());
                }
                findings.extend(found);
                compiled.push(file);
            }
            let (policies, found) = link::link(compiled);
            if broken.is_empty() {
                let blamed = found.iter().filter(|f| f.severity == Severity::Error).filter_map(|f| f.places.first());
                broken.extend(blamed.map(|place| place.path.clone()));
                findings.extend(found);
            }
            if broken.is_empty() {
                break policies;
            }
            // What was in force before takes the place of what is broken; it may be missed elsewhere, so all is put together again.
            for path in broken {
                files.entry(path).and_modify(|versions| drop(versions.remove(0)));
            }
        };
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
        self.judge_with(request, None, out);
    }

    /// The same; parameters that are given stand in for those that bindings find.
    fn judge_with(&self, request: &Request<'_>, params: Option<&Value>, out: &mut Out) {
        let matching = self.policies.iter().filter(|p| p.matches(request)).collect::<Vec<_>>();
        if matching.is_empty() {
            return;
        }
        let subject = cel::Subject::new(request);
        for policy in matching {
            for violation in policy.judge(&subject, params) {
                let whole = super::node::Node::root(request.object.or(request.old).unwrap_or(&Value::Null));
                let place = policy.field.as_deref().map_or_else(|| whole.clone(), |field| whole.at(field));
                out.speak_as(violation.code);
                let raised = match violation.severity {
                    Severity::Error => out.error(&place, violation.message),
                    Severity::Warning => out.warning(&place, violation.message),
                    Severity::Note => out.note(&place, violation.message),
                };
                let reason = policy.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                raised.help(format!("policy `{}` of {} says so{reason}", policy.name, policy.path));
            }
        }
    }
}

fn is_yaml(path: &RepoPath) -> bool {
    matches!(path.as_str().rsplit_once('.'), Some((_, "yaml" | "yml")))
}

/// What one file holds, with what cannot be understood in it.
fn compile_file(path: &RepoPath, text: &str) -> (read::File, Findings) {
    let parsed = document::parse(path, text.as_bytes(), &Budget::default());
    let mut findings = parsed.findings;
    let file = read::file(&parsed.documents, &mut findings);
    (file, findings)
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
