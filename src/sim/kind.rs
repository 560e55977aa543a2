//! What the server knows of a kind of object: names, scope, versions, subresources, columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtin::{CRDS, EXTENSIONS};
use super::structure::Structure;

/// A kind of object, built in or from a CustomResourceDefinition.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether it comes from a CustomResourceDefinition.
    pub(crate) custom: bool,
    /// Whether `metadata.generation` is kept.
    pub(crate) counted: bool,
    /// Preferred version first.
    pub(crate) versions: Vec<Version>,
    /// Index into `versions`.
    pub(crate) storage: usize,
}

/// A version of a kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) served: bool,
    pub(crate) status: bool,
    pub(crate) scale: Option<Scale>,
    pub(crate) columns: Vec<Column>,
    /// The schema, of custom kinds.
    pub(crate) structure: Option<Arc<Structure>>,
    /// What to say to whoever uses this version.
    pub(crate) deprecated: Option<String>,
    /// Further fields that may be selected by.
    pub(crate) selectable: Vec<String>,
}

/// Where the scale subresource finds its figures (JSON paths such as `.spec.replicas`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) of: String,
    pub(crate) format: String,
    pub(crate) path: String,
    pub(crate) priority: i64,
    pub(crate) description: String,
}

impl Kind {
    /// Whether its objects hold others.
    pub(crate) fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.plural == "namespaces"
    }

    /// Whether its objects are pods.
    pub(crate) fn is_pod(&self) -> bool {
        self.group.is_empty() && self.plural == "pods"
    }

    /// Whether the answer to a deletion is the object that was deleted, rather than that it was.
    pub(crate) fn is_shown_once_more(&self) -> bool {
        const SHOWN: [&str; 7] = [
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ];
        self.group.is_empty() && SHOWN.contains(&self.plural.as_str())
    }

    /// Whether its objects define kinds.
    pub(crate) fn is_definition(&self) -> bool {
        self.group == EXTENSIONS && self.plural == CRDS
    }

    /// `plural.group`, as error messages name it.
    pub(crate) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The `apiVersion` of a version.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// The `apiVersion` that objects are stored in.
    pub(crate) fn storage_api_version(&self) -> String {
        self.api_version(&self.stored().name)
    }

    /// The version that objects are stored in.
    pub(crate) fn stored(&self) -> &Version {
        self.versions.get(self.storage).expect("a kind has a storage version")
    }

    /// What is known of the fields of a version: by its schema, or because the kind is built in.
    pub(crate) fn structure<'a>(&self, version: &'a Version) -> Option<&'a Structure> {
        match &version.structure {
            Some(structure) => Some(structure),
            None => super::typed::of(&self.api_version(&version.name), &self.kind),
        }
    }

    /// A version that is served.
    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.served && v.name == name)
    }
}

/// All kinds, by their names.
#[derive(Debug, Default, Clone)]
pub(crate) struct Registry {
    by_plural: BTreeMap<String, BTreeMap<String, Arc<Kind>>>,
    by_kind: BTreeMap<String, BTreeMap<String, Arc<Kind>>>,
    /// Moves with each change: discovery answers are cached by it.
    pub(crate) edition: u64,
}

impl Registry {
    pub(crate) fn insert(&mut self, kind: Arc<Kind>) {
        self.remove(&kind.group, &kind.plural);
        self.edition += 1;
        self.by_kind.entry(kind.group.clone()).or_default().insert(kind.kind.clone(), Arc::clone(&kind));
        self.by_plural.entry(kind.group.clone()).or_default().insert(kind.plural.clone(), kind);
    }

    pub(crate) fn remove(&mut self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        let kinds = self.by_plural.get_mut(group)?;
        let old = kinds.remove(plural)?;
        if kinds.is_empty() {
            self.by_plural.remove(group);
        }
        if let Some(kinds) = self.by_kind.get_mut(group) {
            kinds.remove(&old.kind);
            if kinds.is_empty() {
                self.by_kind.remove(group);
            }
        }
        self.edition += 1;
        Some(old)
    }

    pub(crate) fn plural(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.by_plural.get(group)?.get(plural)
    }

    pub(crate) fn kind(&self, group: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.by_kind.get(group)?.get(kind)
    }

    /// Groups in name order, the core group first.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&String, &BTreeMap<String, Arc<Kind>>)> {
        self.by_plural.iter()
    }
}
