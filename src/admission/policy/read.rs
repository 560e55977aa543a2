//! Reads policies and bindings from their documents and compiles them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::cel::Expression;
use super::matching::{Constraints, Selector, one_of};
use super::rewrite::Known;
use super::{FIELD, problem};
use crate::document::Document;
use crate::finding::{Findings, Pointer, Severity};
use crate::snapshot::RepoPath;

/// One compiled policy, with what its bindings make of it.
pub(super) struct Policy {
    pub name: String,
    pub path: RepoPath,
    pub field: Option<String>,
    /// Why it refuses, as an API server would say; only where that is not `Invalid`.
    pub reason: Option<String>,
    /// Everything that it was made from, for the digest.
    pub source: String,
    pub document: Arc<Document>,
    pub constraints: Constraints,
    pub bindings: Vec<Bound>,
    pub conditions: Vec<(String, Expression)>,
    pub variables: Vec<(String, Expression)>,
    pub validations: Vec<Validation>,
    pub annotations: Vec<(String, Expression)>,
    /// `failurePolicy: Ignore`: what cannot be evaluated is only remarked.
    pub lenient: bool,
    /// The kind of its parameters, as `(apiVersion, kind)`.
    pub parameters: Option<(String, String)>,
}

pub(super) struct Validation {
    pub expression: Expression,
    pub message: Option<String>,
    pub computed: Option<Expression>,
}

/// A binding as its document says it.
pub(super) struct Binding {
    pub name: String,
    pub policy: String,
    pub document: Arc<Document>,
    pub constraints: Constraints,
    pub severities: BTreeSet<Severity>,
    pub reference: Option<ParamRef>,
}

/// A binding with the parameters that it found.
pub(super) struct Bound {
    pub binding: Binding,
    /// None if the policy takes no parameters, or the binding names none.
    pub parameters: Option<Parameters>,
}

/// The parameters of a binding.
pub(super) struct Parameters {
    /// The namespace that the binding names; none means that of the object, where parameters have one.
    pub namespace: Option<String>,
    /// Those that fit in any namespace, with theirs.
    pub found: Vec<(Option<String>, Arc<Document>)>,
    /// `parameterNotFoundAction: Allow`: without parameters, nothing is said.
    pub optional: bool,
    /// What is looked for, in words.
    pub wanted: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct PolicySpec {
    failure_policy: Option<String>,
    match_constraints: Constraints,
    match_conditions: Vec<Named>,
    variables: Vec<Named>,
    validations: Vec<Rule>,
    audit_annotations: Vec<Annotation>,
    param_kind: Option<ParamKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Annotation {
    key: String,
    value_expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    expression: String,
    message: Option<String>,
    message_expression: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ParamKind {
    api_version: String,
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct BindingSpec {
    policy_name: String,
    validation_actions: Vec<String>,
    match_resources: Constraints,
    param_ref: Option<ParamRef>,
}

/// How a binding names its parameters.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct ParamRef {
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub selector: Option<Selector>,
    pub parameter_not_found_action: Option<String>,
}

/// What was found in one policy file.
#[derive(Default)]
pub(super) struct File {
    pub policies: Vec<Policy>,
    pub bindings: Vec<Binding>,
    /// Documents of other kinds: parameters, if a policy takes them.
    pub others: Vec<Arc<Document>>,
}

/// Compiles every policy and binding among documents; test cases are left to `test`.
pub(super) fn file(documents: &[Arc<Document>], findings: &mut Findings) -> File {
    let mut file = File::default();
    for document in documents {
        match document.value().get("kind").and_then(Value::as_str).unwrap_or_default() {
            "ValidatingAdmissionPolicy" => file.policies.extend(policy(document, findings)),
            "ValidatingAdmissionPolicyBinding" => file.bindings.extend(binding(document, findings)),
            "PolicyTest" => {}
            _ => file.others.push(document.clone()),
        }
    }
    file
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

/// The document of a policy while it is compiled.
struct Reader<'a> {
    document: &'a Arc<Document>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn problem(&mut self, at: &Pointer, message: impl Into<String>) {
        problem(self.findings, self.document, at, message);
    }

    fn problems(&mut self, found: Vec<(Pointer, String)>) {
        for (at, message) in found {
            self.problem(&at, message);
        }
    }

    /// Compiles an expression, or says at its place why not.
    fn compiled(&mut self, text: &str, at: &Pointer, known: Known<'_>) -> Option<Expression> {
        match Expression::compile(text, known) {
            Ok(expression) => Some(expression),
            Err(why) => {
                self.problem(at, format!("the expression cannot be compiled: {why}"));
                None
            }
        }
    }

    /// Compiles expressions with names. Each sees the ones before it as variables, if they are that.
    fn named(&mut self, list: &str, entries: Vec<Named>, params: bool) -> Vec<(String, Expression)> {
        let mut names: Vec<String> = Vec::new();
        let mut out = Vec::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let at = Pointer::from("/spec").key(list).index(i);
            if names.contains(&entry.name) {
                self.problem(&at.key("name"), format!("`{}` is there twice", entry.name));
            }
            let known = Known { params, variables: if list == "variables" { &names } else { &[] } };
            if let Some(expression) = self.compiled(&entry.expression, &at.key("expression"), known) {
                out.push((entry.name.clone(), expression));
            }
            names.push(entry.name);
        }
        out
    }

    fn validation(&mut self, i: usize, rule: &Rule, known: Known<'_>) -> Option<Validation> {
        let at = Pointer::from("/spec/validations").index(i);
        let mut wrong = Vec::new();
        let reasons = ["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"];
        one_of(rule.reason.as_deref(), &reasons, &at.key("reason"), &mut wrong);
        match rule.message.as_deref().map(str::trim) {
            Some("") => wrong.push((at.key("message"), "the message is empty".to_owned())),
            Some(message) if message.contains('\n') => {
                wrong.push((at.key("message"), "a message has no line breaks".to_owned()));
            }
            None if rule.expression.trim().contains('\n') => {
                wrong.push((at.key("expression"), "an expression of several lines needs a message".to_owned()));
            }
            _ => {}
        }
        self.problems(wrong);
        let computed = rule.message_expression.as_deref().and_then(|e| self.compiled(e, &at.key("messageExpression"), known));
        let expression = self.compiled(&rule.expression, &at.key("expression"), known)?;
        Some(Validation { expression, message: rule.message.as_deref().map(|m| m.trim().to_owned()), computed })
    }
}

/// The most conditions that Kubernetes takes.
const MOST_CONDITIONS: usize = 64;

fn policy(document: &Arc<Document>, findings: &mut Findings) -> Option<Policy> {
    let (name, spec) = spec::<PolicySpec>(document, findings)?;
    let mut reader = Reader { document, findings };
    let mut wrong = spec.match_constraints.problems(&Pointer::from("/spec/matchConstraints"));
    one_of(spec.failure_policy.as_deref(), &["Fail", "Ignore"], &Pointer::from("/spec/failurePolicy"), &mut wrong);
    if spec.match_constraints.resource_rules.is_empty() {
        wrong.push((Pointer::from("/spec/matchConstraints"), "a policy says which resources it is about".to_owned()));
    }
    if spec.validations.is_empty() && spec.audit_annotations.is_empty() {
        wrong.push((Pointer::from("/spec/validations"), "a policy has at least one validation".to_owned()));
    }
    if spec.match_conditions.len() > MOST_CONDITIONS {
        wrong.push((Pointer::from("/spec/matchConditions"), format!("there are more than {MOST_CONDITIONS} conditions")));
    }
    if let Some(kind) = &spec.param_kind
        && (kind.api_version.is_empty() || kind.kind.is_empty())
    {
        wrong.push((Pointer::from("/spec/paramKind"), "a kind has an apiVersion and a kind".to_owned()));
    }
    reader.problems(wrong);
    let params = spec.param_kind.is_some();
    let names: Vec<String> = spec.variables.iter().map(|variable| variable.name.clone()).collect();
    let known = Known { params, variables: &names };
    let conditions = reader.named("matchConditions", spec.match_conditions, params);
    let variables = reader.named("variables", spec.variables, params);
    let reason = spec.validations.iter().find_map(|rule| rule.reason.clone()).filter(|reason| reason != "Invalid");
    let validations =
        spec.validations.iter().enumerate().filter_map(|(i, rule)| reader.validation(i, rule, known)).collect::<Vec<_>>();
    let mut annotations = Vec::new();
    for (i, annotation) in spec.audit_annotations.into_iter().enumerate() {
        let at = Pointer::from("/spec/auditAnnotations").index(i).key("valueExpression");
        if let Some(expression) = reader.compiled(&annotation.value_expression, &at, known) {
            annotations.push((annotation.key, expression));
        }
    }
    let field = document.value().pointer("/metadata/annotations").and_then(|a| a.get(FIELD)).and_then(Value::as_str);
    Some(Policy {
        name,
        path: document.path().clone(),
        field: field.map(|f| f.trim_start_matches('/').to_owned()),
        reason,
        source: document.value().to_string(),
        document: document.clone(),
        constraints: spec.match_constraints,
        bindings: Vec::new(),
        conditions,
        variables,
        validations,
        annotations,
        lenient: spec.failure_policy.as_deref() == Some("Ignore"),
        parameters: spec.param_kind.map(|kind| (kind.api_version, kind.kind)),
    })
}

fn binding(document: &Arc<Document>, findings: &mut Findings) -> Option<Binding> {
    let (name, spec) = spec::<BindingSpec>(document, findings)?;
    let mut reader = Reader { document, findings };
    let actions = Pointer::from("/spec/validationActions");
    let mut severities = BTreeSet::new();
    for (i, action) in spec.validation_actions.iter().enumerate() {
        let severity = match action.as_str() {
            "Deny" => Severity::Error,
            "Warn" => Severity::Warning,
            "Audit" => Severity::Note,
            other => {
                reader.problem(&actions.index(i), format!("`{other}` is no action; possible are Deny, Warn and Audit"));
                continue;
            }
        };
        if !severities.insert(severity) {
            reader.problem(&actions.index(i), format!("`{action}` is there twice"));
        }
    }
    if severities.is_empty() {
        reader.problem(&actions, "a binding has at least one action");
    }
    if severities.contains(&Severity::Error) && severities.contains(&Severity::Warning) {
        reader.problem(&actions, "`Deny` and `Warn` say the same twice: what is denied needs no warning");
    }
    reader.problems(spec.match_resources.problems(&Pointer::from("/spec/matchResources")));
    if let Some(reference) = &spec.param_ref {
        let at = Pointer::from("/spec/paramRef");
        let mut wrong = Vec::new();
        one_of(
            reference.parameter_not_found_action.as_deref(),
            &["Allow", "Deny"],
            &at.key("parameterNotFoundAction"),
            &mut wrong,
        );
        if reference.name.is_some() == reference.selector.is_some() {
            wrong.push((at.clone(), "parameters are named either by `name` or by `selector`".to_owned()));
        }
        if let Some(selector) = &reference.selector {
            selector.problems(&at.key("selector"), &mut wrong);
        }
        reader.problems(wrong);
    }
    Some(Binding {
        name,
        policy: spec.policy_name,
        document: document.clone(),
        constraints: spec.match_resources,
        severities,
        reference: spec.param_ref,
    })
}
