//! Shipped policies pass their own test cases, and what cannot be understood refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use espalier::admission::policy::{self, Policies};
use espalier::snapshot::RepoPath;

/// The name in a line `  name: labels-are-there` below `kind: ValidatingAdmissionPolicy`.
fn policies_in(text: &str) -> impl Iterator<Item = &str> {
    let documents = text.split("\n---\n").filter(|document| document.contains("kind: ValidatingAdmissionPolicy\n"));
    documents.filter_map(|document| document.lines().find_map(|line| line.strip_prefix("  name: ")))
}

pub(crate) fn overlay(text: &str) -> BTreeMap<RepoPath, Arc<str>> {
    [(RepoPath::from("policies/own.yaml"), Arc::from(text))].into()
}

#[test]
fn shipped_policies_pass_their_own_tests() {
    let files = policy::builtin();
    assert!(files.len() >= 10, "{} files", files.len());
    for (path, text) in &files {
        let (outcomes, findings) = policy::test(path, text);
        assert!(findings.is_empty(), "{path}: {findings:#?}");
        assert!(outcomes.len() >= 2, "{path} has {} cases", outcomes.len());
        for outcome in outcomes {
            assert_eq!(outcome.failure, None, "{path}: {}", outcome.name);
        }
    }
}

#[test]
fn every_shipped_policy_has_an_example_that_it_refuses() {
    let mut names = Vec::new();
    for (path, text) in policy::builtin() {
        for name in policies_in(&text) {
            let (refused, allowed) =
                policy::example(&path, &text, name).unwrap_or_else(|| panic!("{path}: no case is refused by {name}"));
            assert_ne!(refused, allowed, "{name}");
            assert!(policy::example(&path, &text, "another").is_none());
            names.push(name.to_owned());
        }
    }
    let (policies, _) = Policies::compile(&BTreeMap::new());
    names.sort();
    assert_eq!(
        names,
        policies.names().map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn shipped_policies_compile_together() {
    let (policies, findings) = Policies::compile(&BTreeMap::new());
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(policies.names().count() >= 10);
    // What needs a local decision says in two sentences how it is switched on: `explain` prints them.
    for (path, text) in policy::builtin() {
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
        let head = head.join(" ");
        assert!(!head.is_empty(), "{path} says nothing at its head");
        if let Some(reference) = text.split("  paramRef:\n    name: ").nth(1) {
            let name = reference.lines().next().unwrap_or_default();
            assert!(reference.contains("parameterNotFoundAction: Allow"), "{path} is off without parameters");
            let switch = format!("until a ConfigMap `{name}` in namespace garden");
            assert!(head.to_lowercase().contains("off until") && head.contains(&switch), "{path}: {head}");
        }
    }
}

const POLICY: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: own}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [core.gardener.cloud], apiVersions: [v1beta1], operations: [CREATE], resources: [shoots]}]
  validations:
  - expression: EXPRESSION
    message: not like this
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: own}
spec: {policyName: own, validationActions: [ACTION]}
---
apiVersion: espalier.dev/v1alpha1
kind: PolicyTest
metadata: {name: own}
cases:
- name: one
  expect: denied
  object: {apiVersion: core.gardener.cloud/v1beta1, kind: Shoot, metadata: {name: a, namespace: garden-b, annotations: {x.y/z: k}}, spec: {purpose: testing}}
";

fn text(expression: &str, action: &str) -> String {
    POLICY.replace("EXPRESSION", expression).replace("ACTION", action)
}

/// What the one case of a policy with this expression says: `None` if it is denied as expected.
fn denied(expression: &str) -> Option<String> {
    let (outcomes, findings) = policy::test(&RepoPath::from("policies/own.yaml"), &text(expression, "Deny"));
    assert!(findings.is_empty(), "{expression}: {findings:#?}");
    outcomes.into_iter().next().expect("there is one case").failure
}

#[test]
fn expressions_see_what_a_cluster_would_show_them() {
    for expression in [
        "\"object.spec.purpose != 'testing'\"",
        "\"object.metadata.annotations['x.y/z'] != 'k'\"",
        "\"object.metadata.namespace != 'garden-b'\"",
        "\"oldObject != null\"",
        "\"request.operation != 'CREATE' || request.name != 'a'\"",
        "\"namespaceObject.metadata.labels['project.gardener.cloud/name'] != 'b'\"",
        "\"quantity('1Gi').isLessThan(quantity('1Mi'))\"",
    ] {
        assert_eq!(denied(expression), None, "{expression}");
    }
    assert!(denied("\"object.spec.purpose == 'testing'\"").is_some());
}

#[test]
fn what_cannot_be_evaluated_refuses() {
    for expression in
        ["\"object.spec.missing.deeper == 1\"", "\"1 + 1\"", "\"has(object.spec.missing.deeper)\"", "\"nonsense(1)\""]
    {
        assert_eq!(denied(expression), None, "{expression}");
    }
}

#[test]
fn what_cannot_be_compiled_is_a_finding_at_its_place() {
    let cases = [
        (text("\"object.spec.\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"authorizer.group('').check('get').allowed()\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"true\"", "Refuse"), "policies/own.yaml:14:"),
        (text("\"true\"", "Deny").replace("policyName: own", "policyName: other"), "policies/own.yaml"),
        (text("\"variables.unknown\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"params.data.x == 'y'\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"Shoot{name: 'a'} == object\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"objekt.spec.purpose == 'a'\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"size(lists.range(1000000000)) > 1\"", "Deny"), "policies/own.yaml:8:17"),
        (text("\"true\"", "Deny, Warn"), "policies/own.yaml:14:"),
        (text("\"true\"", "Audit, Audit"), "policies/own.yaml:14:"),
        (text("\"true\"", "Deny").replace("[CREATE]", "[CREAT]"), "policies/own.yaml:6:"),
        (text("\"true\"", "Deny").replace("resources: [shoots]", "scope: All"), "policies/own.yaml:6:"),
        (text("\"true\"", "Deny").replace("not like this", "\"a\\nb\""), "policies/own.yaml:9:"),
        (text("\"true\"", "Deny").replace("    message", "    reason: Because\n    message"), "policies/own.yaml:9:"),
        (text("\"true\"", "Deny").replace("spec:\n", "spec:\n  failurePolicy: Allow\n"), "policies/own.yaml:5:"),
        (text("\"true\"", "Deny").replace("kind: PolicyTest", "kind: ConfigMap"), "policies/own.yaml:17:"),
        (text("\"true\"", "Deny").replace("{name: own}", "{name: nodes-within-budget}"), "policies/own.yaml:3:"),
        (text("\"true\"", "Deny").replace("  validations:", "  validatons:"), "policies/own.yaml"),
    ];
    let (builtin, _) = Policies::compile(&BTreeMap::new());
    for (text, place) in cases {
        let (policies, findings) = Policies::compile(&overlay(&text));
        assert!(findings.has_errors(), "{text}");
        let first = &findings.0[0];
        assert!(first.places[0].to_string().starts_with(place), "{} is not at {place}: {}", first.places[0], first.message);
        assert_eq!(policies.names().count(), builtin.names().count(), "a broken file adds nothing");
    }
}

#[test]
fn a_broken_overlay_leaves_the_built_in_policy_in_force() {
    let (path, _) = policy::builtin().into_iter().next().expect("there are built-in policies");
    let broken = [(path, Arc::from("kind: ["))].into();
    let (policies, findings) = Policies::compile(&broken);
    let (builtin, _) = Policies::compile(&BTreeMap::new());
    assert!(findings.has_errors());
    assert_eq!(policies.digest(), builtin.digest());
}
