//! Policies behave as Kubernetes documents `ValidatingAdmissionPolicy`: what they look at, what they see, and what follows.

use std::sync::Arc;

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Memory, admit};
use espalier::landscape::{FileMemo, load};
use espalier::snapshot::RepoPath;

use super::policies::overlay;

/// The policies of `text` with what is in `more`, tried on the local landscape: what they say, as `severity code place message`.
fn said(texts: &[(&str, &str)]) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local");
    let (landscape, _) = load(&crate::landscapes::folder(&root), &mut FileMemo::default());
    let overlays = texts.iter().map(|(name, text)| (RepoPath::from(format!("policies/{name}.yaml")), Arc::from(*text))).collect();
    let (policies, problems) = Policies::compile(&overlays);
    assert!(problems.is_empty(), "{problems:#?}");
    let (_, findings) = admit(&landscape, &Accepted::default(), &policies, 1_795_219_200, &mut Memory::default());
    let own = findings.iter().filter(|f| f.code.as_str() == "POLICY" || f.code.as_str() == "POLICY-OWN");
    let mut said: Vec<String> = own.map(|f| format!("{} {} {} {}", f.severity, f.code, f.owner, f.message)).collect();
    said.sort();
    said
}

/// A policy with these lines in its spec (of two spaces), and these in its binding's.
fn own(spec: &str, binding: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: own}}
spec:
{spec}---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: own}}
spec:
  policyName: own
{binding}"
    )
}

fn rules(resources: &str) -> String {
    format!(
        "  matchConstraints:
    resourceRules:
    - {{apiGroups: [core.gardener.cloud], apiVersions: [v1beta1], operations: [CREATE], resources: [{resources}]}}
"
    )
}

const NEVER: &str = "  validations: [{expression: 'false', message: nay}]\n";
const DENY: &str = "  validationActions: [Deny]\n";

#[test]
fn actions_decide_how_much_a_violation_matters() {
    let seeds = format!("{}{NEVER}", rules("seeds"));
    let with = |actions: &str| said(&[("own", &own(&seeds, &format!("  validationActions: [{actions}]\n")))]);
    for (actions, severity) in
        [("Deny", "error"), ("Warn", "warning"), ("Audit", "note"), ("Audit, Deny", "error"), ("Warn, Audit", "warning")]
    {
        let expected: Vec<String> =
            ["aws-eu1", "aws-us1"].iter().map(|s| format!("{severity} POLICY-OWN Seed {s} nay")).collect();
        assert_eq!(with(actions), expected, "{actions}");
    }
    // Two bindings of one policy: the more severe one is heard.
    let second = "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: two}\nspec:\n  \
                  policyName: own\n  validationActions: [Deny]\n  matchResources: {objectSelector: {}, resourceRules: [{apiGroups: ['*'], \
                  apiVersions: ['*'], operations: ['*'], resources: ['*'], resourceNames: [aws-us1]}]}\n";
    assert_eq!(
        said(&[("own", &own(&seeds, "  validationActions: [Warn]\n")), ("two", second)]),
        ["error POLICY-OWN Seed aws-us1 nay", "warning POLICY-OWN Seed aws-eu1 nay"]
    );
}

#[test]
fn constraints_choose_what_is_judged() {
    let count = |spec: &str, binding: &str| said(&[("own", &own(&format!("{spec}{NEVER}"), &format!("{DENY}{binding}")))]).len();
    let all = count(&rules("shoots"), "");
    assert_eq!(all, 7);
    let shoots = rules("shoots");
    let wide = "  matchConstraints:\n    resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*']}]\n";
    let cases = [
        (rules("shoots, projects"), "", all + 2),
        (rules("shoots/status"), "", 0),
        (rules("shoots/*"), "", all),
        (shoots.replace("v1beta1", "v1"), "", 0),
        (shoots.replace("CREATE", "UPDATE"), "", 0),
        (shoots.replace("resources: [", "scope: Cluster, resources: ["), "", 0),
        (shoots.replace("resources: [", "resourceNames: [mini, pay], resources: ["), "", 2),
        (format!("{shoots}    objectSelector: {{matchLabels: {{team: payments}}}}\n"), "", 1),
        (format!("{shoots}    objectSelector: {{matchExpressions: [{{key: team, operator: DoesNotExist}}]}}\n"), "", all - 3),
        (format!("{shoots}    namespaceSelector: {{matchLabels: {{project.gardener.cloud/name: shop}}}}\n"), "", 3),
        (format!("{}    namespaceSelector: {{matchLabels: {{a: b}}}}\n", rules("seeds")), "", 2),
        (
            format!(
                "{shoots}    excludeResourceRules: [{{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: [shoots], resourceNames: [mini]}}]\n"
            ),
            "",
            all - 1,
        ),
        (
            shoots.clone(),
            "  matchResources: {namespaceSelector: {matchExpressions: [{key: project.gardener.cloud/name, operator: In, values: [lab]}]}}\n",
            4,
        ),
        (rules("controllerdeployments"), "", 5),
        (format!("{}    matchPolicy: Exact\n", rules("controllerdeployments")), "", 0),
        (format!("{wide}    objectSelector: {{matchLabels: {{team: payments}}}}\n"), "", 1),
    ];
    for (spec, binding, expected) in cases {
        assert_eq!(count(&spec, binding), expected, "{spec}{binding}");
    }
}

#[test]
fn conditions_are_all_true_or_nothing_is_judged() {
    let with = |conditions: &str, policy: &str| {
        let spec = format!("  failurePolicy: {policy}\n{}  matchConditions: [{conditions}]\n{NEVER}", rules("landscapes, seeds"));
        said(&[("own", &own(&spec, DENY))])
    };
    let one = "{name: one, expression: \"object.metadata.name == 'aws-eu1'\"}";
    let broken = "{name: two, expression: object.spec.nothing.deeper}";
    let no = "{name: three, expression: 'false'}";
    assert_eq!(with(one, "Fail"), ["error POLICY-OWN Seed aws-eu1 nay"]);
    assert_eq!(with(&format!("{one}, {no}"), "Fail"), [""; 0]);
    // One that is false outweighs one that cannot be evaluated, wherever it stands.
    assert_eq!(with(&format!("{broken}, {no}"), "Fail"), [""; 0]);
    let failure =
        "POLICY Seed aws-eu1 policy `own` could not be evaluated: condition `two`: there is no `object.spec.nothing.deeper`";
    assert_eq!(with(&format!("{one}, {broken}"), "Fail"), [format!("error {failure}")]);
    assert_eq!(with(&format!("{one}, {broken}"), "Ignore"), [format!("note {failure}")]);
}

#[test]
fn variables_build_on_each_other_and_only_fail_who_uses_them() {
    let spec = |validations: &str| {
        format!(
            "{}  variables:
  - {{name: broken, expression: object.spec.nothing}}
  - {{name: zones, expression: object.spec.provider.zones}}
  - {{name: number, expression: size(variables.zones)}}
  validations:
  - {validations}
",
            rules("seeds")
        )
    };
    let with = |validation: &str| said(&[("own", &own(&spec(validation), DENY))]);
    assert_eq!(with("{expression: variables.number == 3}").len(), 0);
    assert_eq!(
        with("{expression: variables.number > 3, messageExpression: \"string(variables.number) + ' zones'\"}"),
        ["error POLICY-OWN Seed aws-eu1 3 zones", "error POLICY-OWN Seed aws-us1 3 zones"]
    );
    assert_eq!(
        with("{expression: variables.broken == 1}")[0],
        "error POLICY Seed aws-eu1 policy `own` could not be evaluated: variables.broken == 1: variable `broken`: there is no \
         `object.spec.nothing`"
    );
}

#[test]
fn messages_fall_back_from_computed_to_fixed_to_the_expression() {
    let with = |rule: &str| {
        let spec = format!(
            "{}  validations: [{{{rule}}}]\n",
            rules("seeds").replace("resources", "resourceNames: [aws-eu1], resources")
        );
        said(&[("own", &own(&spec, DENY))]).remove(0).replace("error POLICY-OWN Seed aws-eu1 ", "")
    };
    assert_eq!(with("expression: 'false', message: fixed, messageExpression: \"'com' + 'puted'\""), "computed");
    for useless in ["object.spec.nothing", "'  '", "1", "'a\\\\nb'"] {
        assert_eq!(with(&format!("expression: 'false', message: fixed, messageExpression: \"{useless}\"")), "fixed", "{useless}");
    }
    assert_eq!(with("expression: 1 > 2, messageExpression: object.spec.nothing"), "not true: 1 > 2");
    assert_eq!(with("expression: 1 > 2"), "not true: 1 > 2");
}

#[test]
fn reasons_and_audit_annotations_are_told() {
    let spec = format!(
        "{}  validations: [{{expression: 'false', message: nay, reason: Forbidden}}]
  auditAnnotations:
  - {{key: zones, valueExpression: 'string(size(object.spec.provider.zones))'}}
  - {{key: nothing, valueExpression: 'null'}}
",
        rules("seeds")
    );
    let told = said(&[("own", &own(&spec, DENY))]);
    assert_eq!(told.iter().filter(|t| t.starts_with("note POLICY-OWN") && t.ends_with(" zones: 3")).count(), 2, "{told:#?}");
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[test]
fn what_costs_more_than_kubernetes_allows_is_stopped() {
    let list = format!("[{}]", (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let with = |expression: &str, policy: &str| {
        let rules = rules("seeds").replace("resources", "resourceNames: [aws-eu1], resources");
        said(&[(
            "own",
            &own(
                &format!("  failurePolicy: {policy}\n{rules}  validations: [{{expression: \"{expression}\", message: nay}}]\n"),
                DENY,
            ),
        )])
    };
    let square = format!("{list}.all(a, {list}.all(b, a + b >= 0))");
    assert_eq!(with(&square, "Fail"), [""; 0]);
    let cube = format!("{list}.all(a, {list}.all(b, {list}.all(c, a + b + c >= 0)))");
    let told = with(&cube, "Fail");
    assert!(told[0].starts_with("error POLICY Seed aws-eu1 policy `own` could not be evaluated: ["), "{told:?}");
    assert!(told[0].ends_with("it costs more than 1000000 units, which Kubernetes allows to one expression"), "{told:?}");
    assert!(with(&cube, "Ignore")[0].starts_with("note POLICY "));
    // Texts that double on each step are stopped long before they fill the memory.
    let doubling = (0..40).fold("'aaaaaaaaaa'".to_owned(), |inner, i| format!("[{inner}].map(x{i}, x{i} + x{i})[0]"));
    let told = with(&format!("size({doubling}) > 0"), "Fail");
    assert!(told[0].contains("it costs more than"), "{told:?}");
    // A cheap way out does not hide what was spent on the way.
    let told = with(&format!("{cube} || true"), "Fail");
    assert!(told[0].contains("it costs more than"), "{told:?}");
}

const SPREAD: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, namespace: WHERE, labels: {for: own}}
data: {most: \"MOST\"}
";

fn parameter(name: &str, namespace: &str, most: &str) -> String {
    SPREAD.replace("NAME", name).replace("WHERE", namespace).replace("MOST", most)
}

fn parameterised(reference: &str) -> String {
    let spec = format!(
        "  paramKind: {{apiVersion: v1, kind: ConfigMap}}
{}  validations:
  - expression: size(object.spec.provider.workers) <= int(params.data.most)
    messageExpression: \"'at most ' + params.data.most\"
  matchConditions: [{{name: workers, expression: has(object.spec.provider.workers)}}]
",
        rules("shoots")
    );
    own(&spec, &format!("{DENY}  paramRef: {{{reference}}}\n"))
}

#[test]
fn parameters_come_from_policy_files() {
    let named = parameterised("name: most, namespace: garden, parameterNotFoundAction: Allow");
    assert_eq!(said(&[("own", &named)]), [""; 0], "without parameters, nothing is said");
    let one = parameter("most", "garden", "1");
    let told = said(&[("own", &named), ("parameters", &one)]);
    assert_eq!(told, ["error POLICY-OWN Shoot lab/farm at most 1", "error POLICY-OWN Shoot shop/store at most 1"]);
    assert_eq!(said(&[("own", &named), ("parameters", &parameter("most", "elsewhere", "1"))]), [""; 0]);

    // Without a namespace, the object's own is meant.
    let near = parameterised("name: most, parameterNotFoundAction: Allow");
    let told = said(&[("own", &near), ("parameters", &parameter("most", "garden-shop", "1"))]);
    assert_eq!(told, ["error POLICY-OWN Shoot shop/store at most 1"]);

    // A selector means all that it selects, and every one of them is to be kept.
    let selected = parameterised("selector: {matchLabels: {for: own}}, namespace: garden");
    let both = format!("{}{}", parameter("a", "garden", "4"), parameter("b", "garden", "1"));
    let told = said(&[("own", &selected), ("parameters", &both)]);
    assert_eq!(
        told,
        [
            "error POLICY-OWN Shoot lab/farm at most 1",
            "error POLICY-OWN Shoot lab/farm at most 4",
            "error POLICY-OWN Shoot shop/store at most 1"
        ]
    );
}

#[test]
fn missing_parameters_refuse_unless_they_may_be_missing() {
    // Someone takes the kind, so that it is known; nobody is there.
    let strict = parameterised("name: most, namespace: garden, parameterNotFoundAction: Deny");
    let told = said(&[("own", &strict)]);
    assert_eq!(told.len(), 7, "{told:#?}");
    let expected =
        "policy `own` could not be evaluated: binding `own` needs a ConfigMap `most` in namespace garden, and there is none";
    assert!(told[0].starts_with("error POLICY ") && told[0].ends_with(expected), "{told:#?}");
    for (wrong, place) in [
        ("name: most, selector: {}", "policies/own.yaml:20:"),
        ("namespace: garden", "policies/own.yaml:20:"),
        ("name: most, parameterNotFoundAction: Ask", "policies/own.yaml:20:"),
    ] {
        let (_, findings) = Policies::compile(&overlay(&parameterised(wrong)));
        assert!(findings.has_errors() && findings.0[0].places[0].to_string().starts_with(place), "{wrong}: {findings:#?}");
    }
    let twice = format!("{}{}{}", parameterised("name: most"), parameter("most", "a", "1"), parameter("most", "a", "2"));
    assert!(Policies::compile(&overlay(&twice)).1.has_errors());
    let nowhere = format!("{}{}", parameterised("name: most"), parameter("most", "''", "1"));
    assert!(Policies::compile(&overlay(&nowhere)).1.has_errors());
}

#[test]
fn a_binding_may_lie_in_another_file() {
    let whole = own(&format!("{}{NEVER}", rules("seeds")), DENY);
    let (policy, binding) = whole.split_once("---\n").expect("there are two documents");
    assert_eq!(said(&[("own", policy), ("bindings", binding)]).len(), 2);
    let (_, alone) = Policies::compile(&overlay(policy));
    assert!(alone.has_errors() && alone.0[0].message.contains("has no binding"), "{alone:#?}");
}
