//! Texts of CEL in policies: compiled or refused with a finding, and evaluated within their budget.
use espalier::admission::policy;
use espalier::snapshot::RepoPath;
use serde_json::json;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "fuzzed"},
        "spec": {"failurePolicy": "Fail", "validations": [{"expression": text}],
            "matchConstraints": {"resourceRules": [{"apiGroups": ["core.gardener.cloud"], "apiVersions": ["v1beta1"], "operations": ["CREATE"], "resources": ["shoots"]}]}}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "fuzzed"},
        "spec": {"policyName": "fuzzed", "validationActions": ["Deny"]}});
    let test = json!({
        "apiVersion": "espalier.dev/v1alpha1", "kind": "PolicyTest", "metadata": {"name": "fuzzed"},
        "cases": [{"name": "a shoot", "expect": "allowed", "object": {"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot",
            "metadata": {"name": "a", "namespace": "garden-b", "labels": {"team": "x"}},
            "spec": {"region": "eu", "purpose": "testing", "provider": {"type": "aws", "workers": [{"name": "p", "minimum": 1, "maximum": 3}]}}}}]});
    let file = format!("{policy}\n---\n{binding}\n---\n{test}\n");
    let (outcomes, findings) = policy::test(&RepoPath::from("policies/fuzzed.yaml"), &file);
    assert!(!outcomes.is_empty() || findings.has_errors(), "a policy that nothing is said about: {text}");
}
