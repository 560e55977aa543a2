//! Evaluates a policy for one request, as Kubernetes does: conditions, variables when they are needed, every validation, once for
//! each binding and parameter.

use std::collections::BTreeSet;

use kube_cel::cel::Value as Cel;
use serde_json::Value;

use super::Request;
use super::cel::{Expression, PER_CONDITIONS, PER_POLICY, Scope, Subject};
use super::read::{Bound, Policy, Validation};
use crate::finding::{Code, Severity};

/// What a policy says about a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    pub severity: Severity,
    pub code: Code,
    pub message: String,
}

/// The longest computed message, in bytes; for a longer one, the fixed message stands in.
const LONGEST_MESSAGE: usize = 5 << 10;

impl Policy {
    /// Whether this policy looks at a request at all.
    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        self.constraints.mean(request) && self.bindings.iter().any(|b| b.binding.constraints.mean(request))
    }

    /// What it says about a request that it matches: the same thing once, as severely as some binding wants it.
    ///
    /// `given` stands in for the parameters that bindings find.
    pub(super) fn judge(&self, subject: &Subject<'_>, given: Option<&Value>) -> Vec<Violation> {
        let mut out: Vec<Violation> = Vec::new();
        let mut plain: BTreeSet<Severity> = BTreeSet::new();
        for Bound { binding, parameters } in self.bindings.iter().filter(|b| b.binding.constraints.mean(subject.request())) {
            let Some(parameters) = parameters else {
                plain.extend(&binding.severities);
                continue;
            };
            let found = given.map_or_else(|| parameters.of(subject.namespace()), |given| vec![given]);
            if found.is_empty() && !parameters.optional {
                // A binding that cannot be configured refuses by itself, whatever its actions are.
                let message = format!(
                    "policy `{}` could not be evaluated: binding `{}` needs a {}, and there is none",
                    self.name, binding.name, parameters.wanted
                );
                let severity = if self.lenient { Severity::Note } else { Severity::Error };
                out.push(Violation { severity, code: Code::new("POLICY"), message });
            }
            for params in found {
                out.extend(self.evaluate(subject, Some(params), &binding.severities));
            }
        }
        if !plain.is_empty() {
            out.extend(self.evaluate(subject, None, &plain));
        }
        let mut seen = BTreeSet::new();
        out.sort_by_key(|violation| violation.severity);
        out.retain(|violation| seen.insert((violation.code.clone(), violation.message.clone())));
        out
    }

    fn evaluate(&self, subject: &Subject<'_>, params: Option<&Value>, severities: &BTreeSet<Severity>) -> Vec<Violation> {
        let failure = |what: &str, why: &str| Violation {
            severity: if self.lenient { Severity::Note } else { worst(severities) },
            code: Code::new("POLICY"),
            message: format!("policy `{}` could not be evaluated: {what}: {why}", self.name),
        };
        let mut failed = None;
        let mut scope = Scope::new(subject, params, PER_CONDITIONS);
        for (name, condition) in &self.conditions {
            match condition.run(&mut scope) {
                Ok(Cel::Bool(true)) => {}
                // One condition that is false is enough, even if another one cannot be evaluated.
                Ok(Cel::Bool(false)) => return Vec::new(),
                Ok(_) => drop(failed.get_or_insert_with(|| failure(&format!("condition `{name}`"), NEITHER))),
                Err(why) => drop(failed.get_or_insert_with(|| failure(&format!("condition `{name}`"), &why))),
            }
        }
        if let Some(failed) = failed {
            return vec![failed];
        }
        let mut scope = Scope::new(subject, params, PER_POLICY);
        let code = || Code(format!("POLICY-{}", self.name.to_uppercase()).into());
        let mut out = Vec::new();
        for validation in &self.validations {
            let expression = &validation.expression;
            match self.value(expression, &mut scope) {
                Ok(Cel::Bool(true)) => {}
                Ok(Cel::Bool(false)) => {
                    let message = self.message(validation, &mut scope);
                    out.push(Violation { severity: worst(severities), code: code(), message });
                }
                Ok(_) => out.push(failure(expression.text(), NEITHER)),
                Err(why) => out.push(failure(expression.text(), &why)),
            }
        }
        for (name, expression) in &self.annotations {
            match self.value(expression, &mut scope) {
                Ok(Cel::String(text)) if !text.trim().is_empty() => {
                    let message = format!("{name}: {}", text.trim());
                    out.push(Violation { severity: Severity::Note, code: code(), message });
                }
                Ok(Cel::String(_) | Cel::Null) => {}
                Ok(_) => out.push(failure(&format!("audit annotation `{name}`"), "it is neither a text nor null")),
                Err(why) => out.push(failure(&format!("audit annotation `{name}`"), &why)),
            }
        }
        out
    }

    /// The value of an expression, with the variables that it needs.
    fn value(&self, expression: &Expression, scope: &mut Scope<'_>) -> Result<Cel, String> {
        for name in expression.variables() {
            if !scope.variables.contains_key(name)
                && let Some((_, variable)) = self.variables.iter().find(|(known, _)| known == name)
            {
                let value = self.value(variable, scope);
                scope.variables.insert(name.to_owned(), value);
            }
        }
        expression.run(scope)
    }

    fn message(&self, validation: &Validation, scope: &mut Scope<'_>) -> String {
        let computed = validation.computed.as_ref().and_then(|expression| match self.value(expression, scope) {
            Ok(Cel::String(text)) => Some(text.trim().to_owned()),
            _ => None,
        });
        computed
            .filter(|text| !text.is_empty() && !text.contains('\n') && text.len() <= LONGEST_MESSAGE)
            .or_else(|| validation.message.clone())
            .unwrap_or_else(|| format!("not true: {}", validation.expression.text()))
    }
}

const NEITHER: &str = "it is neither true nor false";

fn worst(severities: &BTreeSet<Severity>) -> Severity {
    severities.first().copied().unwrap_or(Severity::Error)
}
