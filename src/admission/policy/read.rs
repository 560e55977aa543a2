//! Reads policies and bindings from their documents and compiles them.

use std::collections::HashMap;
use std::sync::Arc;

use kube_cel::cel::{Program, Value as Cel};
use serde::Deserialize;
use serde_json::Value;

use super::cel::{Bound, bind_variables, key, run};
use super::matching::Constraints;
use super::{FIELD, Request, problem};
use crate::document::Document;
use crate::finding::{Code, Findings, Pointer, Severity};
use crate::snapshot::RepoPath;

/// One compiled policy, with what its bindings make of it.
pub(super) struct Policy {
    pub name: String,
    pub path: RepoPath,
    pub field: Option<String>,
    /// Everything that it was made from, for the digest.
    pub source: String,
    constraints: Constraints,
    bindings: Vec<Binding>,
    conditions: Vec<(String, Program)>,
    variables: Vec<(String, Program)>,
    validations: Vec<Validation>,
    /// `failurePolicy: Ignore`: what cannot be evaluated is only remarked.
    lenient: bool,
}

struct Validation {
    program: Program,
    expression: String,
    message: Option<String>,
    message_program: Option<Program>,
}

struct Binding {
    constraints: Constraints,
    severities: Vec<Severity>,
}

/// What a policy dislikes.
pub(super) struct Violation {
    pub code: Code,
    pub message: String,
    pub severities: Vec<Severity>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct PolicySpec {
    failure_policy: Option<String>,
    match_constraints: Constraints,
    match_conditions: Vec<Named>,
    variables: Vec<Named>,
    validations: Vec<Rule>,
    audit_annotations: Vec<Value>,
    param_kind: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    expression: String,
    message: Option<String>,
    message_expression: Option<String>,
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct BindingSpec {
    policy_name: String,
    validation_actions: Vec<String>,
    match_resources: Constraints,
    param_ref: Option<Value>,
}

/// Compiles every policy among documents; bindings and tests are recognised, anything else is a finding.
pub(super) fn policies(documents: &[Arc<Document>], findings: &mut Findings) -> Vec<Policy> {
    let mut policies = Vec::new();
    let mut bindings = Vec::new();
    for document in documents {
        match document.value().get("kind").and_then(Value::as_str).unwrap_or_default() {
            "ValidatingAdmissionPolicy" => policies.extend(policy(document, findings)),
            "ValidatingAdmissionPolicyBinding" => bindings.extend(binding(document, findings)),
            "PolicyTest" => {}
            other => {
                problem(findings, document, &Pointer::from("/kind"), format!("`{other}` does not belong into a policy file"));
            }
        }
    }
    for (name, binding, document, source) in bindings {
        match policies.iter_mut().find(|(p, _): &&mut (Policy, Arc<Document>)| p.name == name) {
            Some((policy, _)) => {
                policy.bindings.push(binding);
                policy.source.push_str(&source);
            }
            None => {
                problem(findings, &document, &Pointer::from("/spec/policyName"), format!("no policy `{name}` is in this file"));
            }
        }
    }
    for (policy, document) in &policies {
        if policy.bindings.is_empty() {
            problem(
                findings,
                document,
                &Pointer::from("/metadata/name"),
                format!("policy `{}` has no binding in its file, and would do nothing", policy.name),
            );
        }
    }
    policies.into_iter().map(|(policy, _)| policy).collect()
}

fn spec<T: for<'de> Deserialize<'de>>(document: &Arc<Document>, findings: &mut Findings) -> Option<(String, T)> {
    let value = document.value();
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.is_empty() {
        problem(findings, document, &Pointer::from("/metadata/name"), "the name is missing");
    }
    if value.get("apiVersion").and_then(Value::as_str) != Some("admissionregistration.k8s.io/v1") {
        problem(findings, document, &Pointer::from("/apiVersion"), "policies are of `admissionregistration.k8s.io/v1`");
    }
    let spec = value.get("spec").cloned().unwrap_or_default();
    match serde_path_to_error::deserialize(spec) {
        Ok(spec) => Some((name, spec)),
        Err(error) => {
            let path = error.path().to_string();
            let pointer =
                path.split(['.', '[', ']']).filter(|s| !s.is_empty() && *s != "?").fold(Pointer::from("/spec"), |p, s| p.key(s));
            problem(findings, document, &pointer, format!("`spec.{path}` cannot be understood: {}", error.inner()));
            None
        }
    }
}

/// Compiles an expression, or says at its place why not.
fn compiled(text: &str, pointer: &Pointer, document: &Document, findings: &mut Findings) -> Option<Program> {
    if text.contains("authorizer") {
        problem(findings, document, pointer, "`authorizer` asks a running API server, which is not possible here");
        return None;
    }
    // The parser of the interpreter may panic on texts that no grammar expects: that is a refusal, too.
    match std::panic::catch_unwind(|| Program::compile(text)) {
        Ok(Ok(program)) => Some(program),
        Ok(Err(error)) => {
            let why = error.to_string();
            problem(
                findings,
                document,
                pointer,
                format!("the expression cannot be compiled: {}", why.lines().next().unwrap_or("")),
            );
            None
        }
        Err(_) => {
            problem(findings, document, pointer, "the expression cannot be compiled");
            None
        }
    }
}

fn policy(document: &Arc<Document>, findings: &mut Findings) -> Option<(Policy, Arc<Document>)> {
    let (name, spec) = spec::<PolicySpec>(document, findings)?;
    let at = |list: &str, index: usize, field: &str| Pointer::from("/spec").key(list).index(index).key(field);
    if spec.param_kind.is_some() {
        problem(findings, document, &Pointer::from("/spec/paramKind"), "policies with parameters are not supported");
    }
    if spec.match_constraints.resource_rules.is_empty() {
        problem(findings, document, &Pointer::from("/spec/matchConstraints"), "a policy says which resources it is about");
    }
    if spec.validations.is_empty() && spec.audit_annotations.is_empty() {
        problem(findings, document, &Pointer::from("/spec/validations"), "a policy has at least one validation");
    }
    let named = |list: &'static str, entries: Vec<Named>, findings: &mut Findings| -> Vec<(String, Program)> {
        let compile = |(i, entry): (usize, Named)| {
            Some((entry.name, compiled(&entry.expression, &at(list, i, "expression"), document, findings)?))
        };
        entries.into_iter().enumerate().filter_map(compile).collect()
    };
    let conditions = named("matchConditions", spec.match_conditions, findings);
    let variables = named("variables", spec.variables, findings);
    let mut validations = Vec::new();
    for (i, rule) in spec.validations.into_iter().enumerate() {
        let message_program = rule
            .message_expression
            .as_deref()
            .and_then(|e| compiled(e, &at("validations", i, "messageExpression"), document, findings));
        if let Some(program) = compiled(&rule.expression, &at("validations", i, "expression"), document, findings) {
            validations.push(Validation { program, expression: rule.expression, message: rule.message, message_program });
        }
    }
    let field = document.value().pointer("/metadata/annotations").and_then(|a| a.get(FIELD)).and_then(Value::as_str);
    let policy = Policy {
        name,
        path: document.path().clone(),
        field: field.map(|f| f.trim_start_matches('/').to_owned()),
        source: document.value().to_string(),
        constraints: spec.match_constraints,
        bindings: Vec::new(),
        conditions,
        variables,
        validations,
        lenient: spec.failure_policy.as_deref() == Some("Ignore"),
    };
    Some((policy, document.clone()))
}

type FoundBinding = (String, Binding, Arc<Document>, String);

fn binding(document: &Arc<Document>, findings: &mut Findings) -> Option<FoundBinding> {
    let (_, spec) = spec::<BindingSpec>(document, findings)?;
    if spec.param_ref.is_some() {
        problem(findings, document, &Pointer::from("/spec/paramRef"), "policies with parameters are not supported");
    }
    let mut severities = Vec::new();
    for (i, action) in spec.validation_actions.iter().enumerate() {
        match action.as_str() {
            "Deny" => severities.push(Severity::Error),
            "Warn" => severities.push(Severity::Warning),
            "Audit" => severities.push(Severity::Note),
            other => problem(
                findings,
                document,
                &Pointer::from("/spec/validationActions").index(i),
                format!("`{other}` is no action; possible are Deny, Warn and Audit"),
            ),
        }
    }
    if severities.is_empty() {
        problem(findings, document, &Pointer::from("/spec/validationActions"), "a binding has at least one action");
    }
    let binding = Binding { constraints: spec.match_resources, severities };
    Some((spec.policy_name, binding, document.clone(), document.value().to_string()))
}

impl Policy {
    /// Whether this policy looks at a request at all.
    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        self.constraints.mean(request) && self.bindings.iter().any(|b| b.constraints.mean(request))
    }

    /// What it dislikes about a request that it matches.
    pub(super) fn evaluate(&self, bound: &Bound) -> Vec<Violation> {
        let mut severities: Vec<Severity> = self.bindings.iter().flat_map(|b| b.severities.iter().copied()).collect();
        severities.sort_unstable();
        severities.dedup();
        let code = Code(format!("POLICY-{}", self.name.to_uppercase()).into());
        let violation = |message: String| Violation { code: code.clone(), message, severities: severities.clone() };
        // What cannot be evaluated refuses, whatever the binding's actions are.
        let failure = |what: &str, why: &str| Violation {
            code: Code::new("POLICY"),
            message: format!("policy `{}` could not be evaluated: {what}: {why}", self.name),
            severities: vec![if self.lenient { Severity::Note } else { Severity::Error }],
        };
        let mut context = bound.context();
        for (name, program) in &self.conditions {
            match run(program, &context) {
                Ok(Cel::Bool(true)) => {}
                Ok(Cel::Bool(false)) => return Vec::new(),
                Ok(_) => return vec![failure(&format!("condition `{name}`"), "it is neither true nor false")],
                Err(why) => return vec![failure(&format!("condition `{name}`"), &why)],
            }
        }
        // A variable that cannot be computed is left out: whoever needs it fails, whoever does not is not disturbed.
        let mut variables = HashMap::new();
        bind_variables(&mut context, &variables);
        for (name, program) in &self.variables {
            if let Ok(value) = run(program, &context) {
                variables.insert(key(name), value);
                bind_variables(&mut context, &variables);
            }
        }
        let mut out = Vec::new();
        for validation in &self.validations {
            match run(&validation.program, &context) {
                Ok(Cel::Bool(true)) => {}
                Ok(Cel::Bool(false)) => {
                    let computed = validation.message_program.as_ref().and_then(|program| match run(program, &context) {
                        Ok(Cel::String(text)) if !text.trim().is_empty() => Some(text.to_string()),
                        _ => None,
                    });
                    let message = computed
                        .or_else(|| validation.message.clone())
                        .unwrap_or_else(|| format!("not true: {}", validation.expression.trim()));
                    out.push(violation(message));
                }
                Ok(_) => out.push(failure(validation.expression.trim(), "it is neither true nor false")),
                Err(why) => out.push(failure(validation.expression.trim(), &why)),
            }
        }
        out
    }
}
