//! Which requests a policy looks at: resource rules and selectors.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Request;
use super::cel::operation;
use crate::admission::select::holds;
use crate::finding::Pointer;
use crate::landscape::{Kind, Owner};

/// `matchConstraints`, or `matchResources` of a binding.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Constraints {
    pub resource_rules: Vec<ResourceRule>,
    pub exclude_resource_rules: Vec<ResourceRule>,
    pub namespace_selector: Option<Selector>,
    pub object_selector: Option<Selector>,
    pub match_policy: Option<String>,
}

/// A rule over groups, versions, resources, operations and names; `*` means any.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct ResourceRule {
    pub api_groups: Vec<String>,
    pub api_versions: Vec<String>,
    pub operations: Vec<String>,
    pub resources: Vec<String>,
    pub resource_names: Vec<String>,
    pub scope: Option<String>,
}

/// A label selector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Selector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<Requirement>,
}

/// One expression of a label selector.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Requirement {
    pub key: String,
    pub operator: String,
    #[serde(default)]
    pub values: Vec<String>,
}

impl Constraints {
    /// Whether a request is meant. Without resource rules, everything is: that is how bindings say it.
    pub(super) fn mean(&self, request: &Request<'_>) -> bool {
        let exact = self.match_policy.as_deref() == Some("Exact");
        let included = self.resource_rules.is_empty() || self.resource_rules.iter().any(|rule| rule.means(request, exact));
        included
            && !self.exclude_resource_rules.iter().any(|rule| rule.means(request, exact))
            && self.object_selector.as_ref().is_none_or(|selector| {
                // An object that is not there does not match, whatever the selector says of labels that are missing.
                [request.object, request.old].into_iter().flatten().any(|object| selector.selects_object(object))
            })
            && self
                .namespace_selector
                .as_ref()
                .is_none_or(|s| !request.owner.kind.namespaced() || s.selects(&namespace_labels(request.owner)))
    }

    /// What cannot be understood, and where below `at`.
    pub(super) fn problems(&self, at: &Pointer) -> Vec<(Pointer, String)> {
        let mut found = Vec::new();
        for (list, rules) in [("resourceRules", &self.resource_rules), ("excludeResourceRules", &self.exclude_resource_rules)] {
            for (i, rule) in rules.iter().enumerate() {
                rule.problems(&at.key(list).index(i), &mut found);
            }
        }
        for (field, selector) in [("namespaceSelector", &self.namespace_selector), ("objectSelector", &self.object_selector)] {
            if let Some(selector) = selector {
                selector.problems(&at.key(field), &mut found);
            }
        }
        one_of(self.match_policy.as_deref(), &["Exact", "Equivalent"], &at.key("matchPolicy"), &mut found);
        found
    }
}

/// Says so where a value is none of those that are possible.
pub(super) fn one_of(value: Option<&str>, possible: &[&str], at: &Pointer, found: &mut Vec<(Pointer, String)>) {
    if let Some(value) = value
        && !possible.contains(&value)
    {
        let (last, first) = possible.split_last().map_or(("", String::new()), |(last, rest)| (*last, rest.join(", ")));
        let separator = if first.is_empty() { "" } else { " and " };
        found.push((at.clone(), format!("`{value}` is not known here; possible are {first}{separator}{last}")));
    }
}

/// The labels of a project's namespace.
pub(super) fn namespace_labels(owner: &Owner) -> BTreeMap<String, String> {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let name = crate::observed::project_namespace(&owner.project);
    [
        label("gardener.cloud/role", "project"),
        label("project.gardener.cloud/name", &owner.project),
        label("kubernetes.io/metadata.name", &name),
    ]
    .into()
}

/// The versions in which a kind is served, which `matchPolicy: Equivalent` takes for one another.
fn served(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ControllerDeployment => &["v1", "v1beta1"],
        _ => &[],
    }
}

impl ResourceRule {
    fn means(&self, request: &Request<'_>, exact: bool) -> bool {
        let kind = request.owner.kind;
        let version = kind.api_version().rsplit('/').next().unwrap_or_default();
        let any = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        let resource = self.resources.iter().any(|entry| {
            let (resource, sub) = entry.split_once('/').unwrap_or((entry, ""));
            (resource == "*" || resource == kind.plural()) && matches!(sub, "" | "*")
        });
        any(&self.api_groups, kind.group())
            && (any(&self.api_versions, version) || (!exact && served(kind).iter().any(|other| any(&self.api_versions, other))))
            && any(&self.operations, operation(request))
            && resource
            && (self.resource_names.is_empty() || any(&self.resource_names, &request.owner.name))
            && match self.scope.as_deref() {
                Some("Namespaced") => kind.namespaced(),
                Some("Cluster") => !kind.namespaced(),
                _ => true,
            }
    }

    fn problems(&self, at: &Pointer, found: &mut Vec<(Pointer, String)>) {
        let lists = [
            ("apiGroups", &self.api_groups),
            ("apiVersions", &self.api_versions),
            ("operations", &self.operations),
            ("resources", &self.resources),
        ];
        for (name, list) in lists {
            if list.is_empty() {
                found.push((at.clone(), format!("a rule says which {name} it means; `\"*\"` means all")));
            }
        }
        for (i, operation) in self.operations.iter().enumerate() {
            let possible = ["CREATE", "UPDATE", "DELETE", "CONNECT", "*"];
            one_of(Some(operation), &possible, &at.key("operations").index(i), found);
        }
        one_of(self.scope.as_deref(), &["Cluster", "Namespaced", "*"], &at.key("scope"), found);
    }
}

impl Selector {
    /// Whether it selects a manifest by its labels.
    pub(super) fn selects_object(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        self.selects(&labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect())
    }

    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|e| {
                let value = labels.get(&e.key);
                holds(&e.operator, value.is_some(), value.is_some_and(|v| e.values.contains(v)))
            })
    }

    /// What cannot be understood, and where below `at`.
    pub(super) fn problems(&self, at: &Pointer, found: &mut Vec<(Pointer, String)>) {
        for (i, e) in self.match_expressions.iter().enumerate() {
            let at = at.key("matchExpressions").index(i);
            one_of(Some(&e.operator), &["In", "NotIn", "Exists", "DoesNotExist"], &at.key("operator"), found);
            match (e.operator.as_str(), e.values.is_empty()) {
                ("In" | "NotIn", true) => found.push((at, format!("`{}` needs values", e.operator))),
                ("Exists" | "DoesNotExist", false) => found.push((at.key("values"), format!("`{}` has no values", e.operator))),
                _ => {}
            }
        }
    }
}
