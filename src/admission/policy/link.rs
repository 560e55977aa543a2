//! Puts the policies of all files together with their bindings and parameters, wherever those are.
//!
//! Parameters are documents of policy files, too: a `ConfigMap`, or an object of whatever kind a policy names in `paramKind`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::problem;
use super::read::{Binding, Bound, File, ParamRef, Parameters, Policy};
use crate::document::Document;
use crate::finding::{Findings, Pointer};
use crate::landscape::nearest::nearest;

/// The policies of files with what binds them. Findings say what leads nowhere.
pub(super) fn link(files: Vec<File>) -> (Vec<Policy>, Findings) {
    let mut findings = Findings::default();
    let (mut policies, mut bindings, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        policies.extend(file.policies);
        bindings.extend(file.bindings);
        others.extend(file.others);
    }
    unique(policies.iter().map(|p: &Policy| (p.name.as_str(), &p.document)), "policy", &mut findings);
    unique(bindings.iter().map(|b: &Binding| (b.name.as_str(), &b.document)), "binding", &mut findings);
    let parameters = parameters(&policies, &others, &mut findings);
    for binding in bindings {
        let Some(at) = policies.iter().position(|p| p.name == binding.policy) else {
            let near = nearest(&binding.policy, policies.iter().map(|p| p.name.as_str()));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let message = format!("no policy `{}` is in any policy file{near}", binding.policy);
            problem(&mut findings, &binding.document, &Pointer::from("/spec/policyName"), message);
            continue;
        };
        let policy = &mut policies[at];
        policy.source.push_str(&binding.document.value().to_string());
        // Parameters that a policy does not take are not looked at, as in a cluster.
        let reference = binding.reference.as_ref().zip(policy.parameters.as_ref());
        let found = reference.map(|(reference, kind)| resolve(reference, kind, &parameters));
        for (_, document) in found.iter().flat_map(|found| &found.found) {
            policy.source.push_str(&document.value().to_string());
        }
        policy.bindings.push(Bound { binding, parameters: found });
    }
    for policy in policies.iter().filter(|policy| policy.bindings.is_empty()) {
        let message = format!("policy `{}` has no binding, and would do nothing", policy.name);
        problem(&mut findings, &policy.document, &Pointer::from("/metadata/name"), message);
    }
    (policies, findings)
}

/// Says which names are given twice.
fn unique<'a>(named: impl Iterator<Item = (&'a str, &'a Arc<Document>)>, what: &str, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, &Arc<Document>> = BTreeMap::new();
    for (name, document) in named {
        if let Some(first) = seen.get(name) {
            let message = format!("another {what} `{name}` is in {}", first.path());
            problem(findings, document, &Pointer::from("/metadata/name"), message);
        } else {
            seen.insert(name, document);
        }
    }
}

fn text<'a>(document: &'a Document, pointer: &str) -> &'a str {
    document.value().pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A parameter's kind, namespace and name.
type Key = ((String, String), Option<String>, String);

/// The parameters among documents that are neither policies nor bindings; nothing else belongs into a policy file.
fn parameters(policies: &[Policy], others: &[Arc<Document>], findings: &mut Findings) -> BTreeMap<Key, Arc<Document>> {
    let kinds: BTreeSet<&(String, String)> = policies.iter().filter_map(|policy| policy.parameters.as_ref()).collect();
    let mut out = BTreeMap::new();
    for document in others {
        let kind = (text(document, "/apiVersion").to_owned(), text(document, "/kind").to_owned());
        if !kinds.contains(&kind) {
            let message = format!("`{}` does not belong into a policy file: no policy takes it as a parameter", kind.1);
            problem(findings, document, &Pointer::from("/kind"), message);
            continue;
        }
        let namespace = Some(text(document, "/metadata/namespace").to_owned()).filter(|ns| !ns.is_empty());
        let name = text(document, "/metadata/name").to_owned();
        if name.is_empty() {
            problem(findings, document, &Pointer::from("/metadata/name"), "the name is missing");
        } else if kind.0 == "v1" && namespace.is_none() {
            problem(findings, document, &Pointer::from("/metadata"), format!("the namespace of the {} is missing", kind.1));
        } else if let Some(first) = out.insert((kind, namespace, name.clone()), document.clone()) {
            let message = format!("the same parameter `{name}` is in {}", first.path());
            problem(findings, document, &Pointer::from("/metadata/name"), message);
        }
    }
    out
}

/// The parameters that a binding means, in every namespace.
fn resolve(reference: &ParamRef, kind: &(String, String), parameters: &BTreeMap<Key, Arc<Document>>) -> Parameters {
    let means = |name: &str, document: &Document| match (&reference.name, &reference.selector) {
        (Some(wanted), _) => wanted == name,
        (None, Some(selector)) => selector.selects_object(document.value()),
        (None, None) => false,
    };
    let found = parameters
        .iter()
        .filter(|((of, _, name), document)| of == kind && means(name, document))
        .map(|((_, namespace, _), document)| (namespace.clone(), document.clone()))
        .collect();
    let name = reference.name.as_ref().map_or_else(|| "that is selected".to_owned(), |name| format!("`{name}`"));
    let within = reference.namespace.as_ref().map(|ns| format!(" in namespace {ns}")).unwrap_or_default();
    Parameters {
        namespace: reference.namespace.clone(),
        found,
        optional: reference.parameter_not_found_action.as_deref() == Some("Allow"),
        wanted: format!("{} {name}{within}", kind.1),
    }
}

impl Parameters {
    /// Those that count for an object in a namespace (empty if it has none).
    pub(super) fn of<'a>(&'a self, namespace: &str) -> Vec<&'a Value> {
        let counts = |of: &Option<String>| match (&self.namespace, of) {
            (Some(wanted), Some(of)) => wanted == of,
            (Some(_), None) => false,
            (None, Some(of)) => of == namespace,
            (None, None) => true,
        };
        self.found.iter().filter(|(of, _)| counts(of)).map(|(_, document)| document.value()).collect()
    }
}
