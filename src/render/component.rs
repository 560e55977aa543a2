//! A component: one template file with front matter, parsed and checked when the library is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observed::ObjectKey;

/// Which owners a component is rendered for, and where its objects live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Once, in the garden (owner: the Landscape).
    Garden,
    /// Per project, in the garden.
    Project,
    /// Per seed, in the seed.
    Seed,
    /// Per shoot, in its seed.
    Shoot,
}

/// `scope/name`, unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ComponentId {
    /// The folder.
    pub scope: Scope,
    /// The file's stem.
    pub name: String,
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// When a component's objects count as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Ready {
    /// They exist.
    Exists,
    /// Deployments, StatefulSets and DaemonSets are rolled out.
    Rollout,
    /// A condition of this type is True.
    Condition(String),
    /// The extension contract's predicate (`extension-contract.md` §2.2).
    Extension,
    /// etcd-druid's (`extension-contract.md` §9).
    Etcd,
    /// Applied and healthy (`extension-contract.md` §8).
    ManagedResource,
    /// Completed.
    Job,
    /// A Service has a load-balancer address.
    Address,
    /// What operators make of its objects ([`operated`]) is there and rolled out.
    Operated,
}

/// What operators make of objects that do not say themselves how that goes: group and kind, the kind in `apps` of what is made, and
/// what its name ends with.
const OPERATED: [(&str, &str, &str, &str); 2] = [
    ("fluentbit.fluent.io", "FluentBit", "DaemonSet", ""),
    ("opentelemetry.io", "OpenTelemetryCollector", "Deployment", "-collector"),
];

/// The object that an operator makes of an object, in the same namespace; `None` if it makes none that counts.
#[must_use]
pub fn operated(key: &ObjectKey) -> Option<ObjectKey> {
    let (_, _, kind, suffix) = OPERATED.iter().find(|(group, kind, ..)| *group == key.group && *kind == key.kind)?;
    Some(ObjectKey::new("apps", kind, &key.namespace, &format!("{}{suffix}", key.name)))
}

/// What hibernation does to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hibernate {
    /// Nothing.
    #[default]
    Kept,
    /// Its template renders zero replicas.
    Scaled,
    /// Its objects are removed.
    Removed,
}

/// Whether the extension handshake goes with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// No.
    #[default]
    None,
    /// `gardener.cloud/operation=reconcile` and a timestamp by a separate merge patch.
    Reconcile,
}

/// When a component's objects go when their owner is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletePhase {
    /// In the reversed order of the graph.
    #[default]
    Early,
    /// After everything early is gone.
    Late,
    /// Never by us.
    Retain,
}

/// A parsed template file. The compiled `when` program and handlebars template are kept by the engine under the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// `scope/name`; the name equals the file's stem.
    pub id: ComponentId,
    /// Components of the same scope that must be ready first.
    pub needs: Vec<String>,
    /// Whether its objects live in the garden although the scope's cluster is a seed (`target: garden` in the front matter).
    pub in_garden: bool,
    /// The list of the context for each item of which there is one of it; absent = there is one.
    pub each: Option<String>,
    /// CEL over the render context; absent = always.
    pub when: Option<String>,
    /// Readiness.
    pub ready: Ready,
    /// Hibernation.
    pub hibernate: Hibernate,
    /// Extension handshake.
    pub trigger: Trigger,
    /// JSON pointers of fields set at creation and then left to their controller, optionally limited to one object:
    /// `Deployment/kube-apiserver#/spec/replicas` or `/spec/replicas`. Of a list of named things, the name is part of the pointer:
    /// `/webhooks/a.example.org/failurePolicy`.
    pub once: Vec<String>,
    /// Deletion order.
    pub delete: DeletePhase,
    /// Components that must be ready before its objects go, when it is no longer wanted.
    pub outlasts: Vec<String>,
    /// The component that it clears up after. It is wanted once that one is not, from what is left of it until it is ready itself; its
    /// objects may have the names of that one's, which hands over without a moment in between.
    pub follows: Option<String>,
    /// Whether others go on while it is not as wanted: who waits for its owner does not wait for it.
    pub beside: bool,
    /// Facts: name to `Kind/name#/json/pointer`, the name part rendered with the same context.
    pub exports: BTreeMap<String, String>,
    /// Facts that the template reads, from its syntax tree: `component.fact`.
    pub reads: BTreeSet<String>,
    /// Secrets that the template names or reads by configuration name, from its syntax tree.
    pub secrets: BTreeSet<String>,
}

impl ComponentId {
    /// Whether it is one of several that one template makes, for an item of a list: nothing of the scope but what is made for the
    /// same item depends on it.
    #[must_use]
    pub fn is_for_item(&self) -> bool {
        self.name.contains('.')
    }
}

impl Component {
    /// The component that it is for an item of its list. What it needs of the same list is that of the same item.
    #[must_use]
    pub fn for_item(&self, item: &str, lists: &BTreeMap<&str, &str>) -> Self {
        let mine = |need: &String| match (lists.get(need.as_str()), &self.each) {
            (Some(list), Some(each)) if *list == each.as_str() => name_for_item(need, item),
            _ => need.clone(),
        };
        Self {
            id: ComponentId { scope: self.id.scope, name: name_for_item(&self.id.name, item) },
            needs: self.needs.iter().map(mine).collect(),
            outlasts: self.outlasts.iter().map(mine).collect(),
            ..self.clone()
        }
    }
}

/// The longest value of a label.
const LONGEST: usize = 63;

/// The name of a component for an item: fits a label, whatever the item is called.
#[must_use]
pub fn name_for_item(component: &str, item: &str) -> String {
    let whole = format!("{component}.{item}");
    if whole.len() <= LONGEST {
        return whole;
    }
    let digest = crate::digest::of_bytes(item.as_bytes());
    let room = LONGEST.saturating_sub(component.len() + digest.short().len() + 2);
    let begin: String = item.chars().take(room).collect();
    format!("{component}.{begin}-{}", digest.short())
}

/// An exported fact's address in a cluster, once its name was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The object.
    pub key: ObjectKey,
    /// The JSON pointer.
    pub pointer: String,
}
