//! Runs the test cases that lie in policy files.

use serde::Deserialize;
use serde_json::Value;

use super::{Policies, Request, compile_file, link};
use crate::admission::check::Out;
use crate::digest;
use crate::document::{self, Budget};
use crate::finding::{Code, Findings, Severity};
use crate::landscape::{Kind, Owner};
use crate::observed::project_of;
use crate::snapshot::RepoPath;

/// How one test case of a policy file came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// The case.
    pub name: String,
    /// What was not as expected; `None`: all was.
    pub failure: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    old_object: Option<Value>,
    expect: Expect,
    #[serde(default)]
    message: Option<String>,
    /// The parameter object that counts for this case; it takes the place of those that bindings find.
    #[serde(default)]
    params: Option<Value>,
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy, Debug)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allowed,
    Denied,
}

/// Runs every case of a policy file against the policies of that file alone. Findings say what in the file cannot be understood.
#[must_use]
pub fn test(path: &RepoPath, text: &str) -> (Vec<TestOutcome>, Findings) {
    let (policies, mut findings) = alone(path, text);
    let cases = cases(path, text, &mut findings);
    (cases.into_iter().map(|case| run(&policies, case)).collect(), findings)
}

/// Of the cases in a policy file, an object that one of its policies refuses, and one that all of them allow.
#[must_use]
pub fn example(path: &RepoPath, text: &str, policy: &str) -> Option<(Value, Value)> {
    let (mut policies, mut findings) = alone(path, text);
    let cases = cases(path, text, &mut findings);
    policies.policies.retain(|found| found.name == policy);
    let about = |case: &Case| case.object.clone().or_else(|| case.old_object.clone());
    let refuses = |case: &&Case| {
        let owner = owner(about(case).as_ref());
        case.expect == Expect::Denied && owner.is_some_and(|owner| judged(&policies, case, &owner).is_none())
    };
    let refused = cases.iter().find(refuses).and_then(about)?;
    let allowed = cases.iter().find(|case| case.expect == Expect::Allowed).and_then(about)?;
    Some((refused, allowed))
}

/// The policies of a file, without any others.
fn alone(path: &RepoPath, text: &str) -> (Policies, Findings) {
    let (file, mut findings) = compile_file(path, text);
    let (policies, linked) = link::link(vec![file]);
    findings.extend(linked);
    (Policies { digest: Some(digest::of_bytes(text.as_bytes())), policies }, findings)
}

fn cases(path: &RepoPath, text: &str, findings: &mut Findings) -> Vec<Case> {
    let parsed = document::parse(path, text.as_bytes(), &Budget::default());
    let mut all = Vec::new();
    for document in parsed.documents.iter().filter(|d| d.value().get("kind").and_then(Value::as_str) == Some("PolicyTest")) {
        let cases =
            document.value().pointer("/cases").or_else(|| document.value().pointer("/spec/cases")).cloned().unwrap_or_default();
        match serde_path_to_error::deserialize::<_, Vec<Case>>(cases) {
            Ok(cases) => all.extend(cases),
            Err(error) => {
                super::problem(
                    findings,
                    document,
                    &crate::finding::Pointer::from("/cases"),
                    format!("the cases cannot be read: {error}"),
                );
            }
        }
    }
    all
}

fn run(policies: &Policies, case: Case) -> TestOutcome {
    let failure = match owner(case.object.as_ref().or(case.old_object.as_ref())) {
        None => Some("object and oldObject are missing, or of no kind of a landscape".to_owned()),
        Some(owner) => judged(policies, &case, &owner),
    };
    TestOutcome { name: case.name, failure }
}

fn judged(policies: &Policies, case: &Case, owner: &Owner) -> Option<String> {
    let mut out = Out::new(Code::new("POLICY"));
    let request = Request { owner, object: case.object.as_ref(), old: case.old_object.as_ref() };
    policies.judge_with(&request, case.params.as_ref(), &mut out);
    let against: Vec<&str> = out.raised.iter().filter(|r| r.severity != Severity::Note).map(|r| r.message.as_str()).collect();
    match (case.expect, against.is_empty(), &case.message) {
        (Expect::Allowed, false, _) => Some(format!("expected to be allowed, but: {}", against.join("; "))),
        (Expect::Denied, true, _) => Some("expected to be denied, but nothing spoke against it".to_owned()),
        (Expect::Denied, false, Some(message)) if !against.iter().any(|a| a.contains(message.as_str())) => {
            Some(format!("denied, but by another message: {}", against.join("; ")))
        }
        (Expect::Allowed, true, _) | (Expect::Denied, false, _) => None,
    }
}

/// Whose manifest this is; a case may leave the namespace out.
fn owner(object: Option<&Value>) -> Option<Owner> {
    let object = object?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = Kind::of(text("/apiVersion"), text("/kind"))?;
    let namespace = text("/metadata/namespace");
    let project = if kind.namespaced() { project_of(namespace).unwrap_or("garden") } else { "" };
    Some(Owner { kind, project: project.to_owned(), name: text("/metadata/name").to_owned() })
}
