//! Which requests a policy looks at: resource rules and selectors.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Request;
use super::cel::operation;
use crate::landscape::Owner;

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
    pub match_expressions: Vec<Expression>,
}

/// One expression of a label selector.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expression {
    pub key: String,
    pub operator: String,
    #[serde(default)]
    pub values: Vec<String>,
}

impl Constraints {
    /// Whether a request is meant. Without resource rules, everything is: that is how bindings say it.
    pub(super) fn mean(&self, request: &Request<'_>) -> bool {
        let included = self.resource_rules.is_empty() || self.resource_rules.iter().any(|rule| rule.means(request));
        let excluded = self.exclude_resource_rules.iter().any(|rule| rule.means(request));
        let labels = |value: Option<&Value>| labels_of(value.and_then(|v| v.pointer("/metadata/labels")));
        let object =
            self.object_selector.as_ref().is_none_or(|s| s.selects(&labels(request.object)) || s.selects(&labels(request.old)));
        let namespace = self
            .namespace_selector
            .as_ref()
            .is_none_or(|s| !request.owner.kind.namespaced() || s.selects(&namespace_labels(request.owner)));
        included && !excluded && object && namespace
    }
}

fn labels_of(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
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

impl ResourceRule {
    fn means(&self, request: &Request<'_>) -> bool {
        let kind = request.owner.kind;
        let version = kind.api_version().rsplit('/').next().unwrap_or_default();
        let any = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        any(&self.api_groups, kind.group())
            && any(&self.api_versions, version)
            && any(&self.operations, operation(request))
            && any(&self.resources, kind.plural())
            && (self.resource_names.is_empty() || any(&self.resource_names, &request.owner.name))
            && match self.scope.as_deref() {
                Some("Namespaced") => kind.namespaced(),
                Some("Cluster") => !kind.namespaced(),
                _ => true,
            }
    }
}

impl Selector {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|e| {
                let value = labels.get(&e.key);
                match e.operator.as_str() {
                    "In" => value.is_some_and(|v| e.values.contains(v)),
                    "NotIn" => value.is_none_or(|v| !e.values.contains(v)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
    }
}
