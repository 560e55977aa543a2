//! Values read from live objects that templates may use: `infrastructure.nodes`, `seed:ingress.address`.
//!
//! A fact exists only while the object that exports it is ready. A missing fact is not an error; it makes those who read it wait.
//! Where a component writes one object of a name into several namespaces, the fact is a map by namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::digest::Digest;
use crate::health::{Health, health};
use crate::landscape::Target;
use crate::observed::Observed;
use crate::render::chart::{Charts, Outcome};
use crate::render::{Ready, Scope};
use crate::value::Version;

/// The names of what a seed's operators give to a shoot: no component exports it, it is read from the Secrets of the seed.
pub const STATIC_MANIFESTS: &str = "seed:static-manifests.names";
/// How a Service says that its clients prefer what runs in their own zone, in words of the API server that it is written to: read
/// from the version of that.
pub const TRAFFIC_DISTRIBUTION: &str = "server.trafficDistribution";
/// The name of the Secret with a seed's wildcard certificate, null where there is none that can be used: read from the Secrets of the
/// seed, for its own components and for those of its shoots.
pub const WILDCARD_CERTIFICATE: &str = "seed:wildcard-certificate.name";
/// Facts that no component exports.
pub const GIVEN: &[&str] = &[STATIC_MANIFESTS, TRAFFIC_DISTRIBUTION, WILDCARD_CERTIFICATE];

/// The value of [`TRAFFIC_DISTRIBUTION`] in a cluster; `None` while it is not listed. `PreferSameZone` is the name since Kubernetes
/// 1.34 (KEP-3015), where `PreferClose` goes on meaning the same; earlier servers refuse it.
#[must_use]
pub fn traffic_distribution(observed: &Observed, target: &Target) -> Option<Value> {
    let renamed = observed.server(target).is_some_and(|version| *version >= Version::new(1, 34, 0));
    observed.complete(target).then(|| if renamed { "PreferSameZone" } else { "PreferClose" }.into())
}

/// Where one fact of one owner is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// `component.fact`.
    pub fact: String,
    /// The owner's label value.
    pub owner: String,
    /// The cluster.
    pub target: Target,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// Whether there is one such object in each of several namespaces: the fact is a map by namespace.
    pub each: bool,
    /// The JSON pointer into it.
    pub pointer: String,
    /// When its component is ready.
    pub ready: Ready,
}

/// Facts by the name that templates use: `component.fact`, or with the scope in front for those of other scopes.
#[derive(Clone, Default)]
pub struct Facts(BTreeMap<String, Arc<Value>>, Arc<Charts>);

impl Facts {
    /// Reads an owner's facts from its own, tracked, ready objects.
    #[must_use]
    pub fn collect(observed: &Observed, exports: &[Exported]) -> Self {
        // Most owners have far more objects than facts: each object is looked at once.
        type ByObject<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Exported>>;
        let mut wanted: BTreeMap<(&Target, &str), ByObject<'_>> = BTreeMap::new();
        for export in exports {
            let of_owner = wanted.entry((&export.target, &export.owner)).or_default();
            of_owner.entry((&export.kind, &export.name)).or_default().push(export);
        }
        let mut found = BTreeMap::new();
        let mut by_namespace: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
        for ((target, owner), by_object) in wanted {
            for object in observed.targets.get(target).into_iter().flat_map(|live| live.labelled(owner)) {
                let Some(exports) = by_object.get(&(object.key.kind.as_str(), object.key.name.as_str())) else { continue };
                for export in
                    exports.iter().filter(|export| object.is_tracked() && health(object, &export.ready) == Health::Ready)
                {
                    if let Some(value) = object.get(&export.pointer).filter(|v| !v.is_null()) {
                        if export.each {
                            by_namespace.entry(&export.fact).or_default().insert(object.key.namespace.clone(), value.clone());
                        } else {
                            found.insert(export.fact.clone(), Arc::new(value.clone()));
                        }
                    }
                }
            }
        }
        found.extend(by_namespace.into_iter().map(|(fact, map)| (fact.to_owned(), Arc::new(Value::Object(map)))));
        Self(found, Arc::default())
    }

    /// These facts and those of another scope, which templates name with the scope in front.
    #[must_use]
    pub fn with(mut self, scope: Scope, others: &Self) -> Self {
        let prefix = match scope {
            Scope::Garden => "garden",
            Scope::Project => "project",
            Scope::Seed => "seed",
            Scope::Shoot => "shoot",
        };
        self.0.extend(others.0.iter().map(|(name, value)| (format!("{prefix}:{name}"), Arc::clone(value))));
        self
    }

    /// These facts and what is known of charts.
    #[must_use]
    pub fn with_charts(self, charts: Arc<Charts>) -> Self {
        Self(self.0, charts)
    }

    /// What came of rendering a chart, by the digest of what was asked; `None` if nothing yet.
    #[must_use]
    pub fn chart(&self, request: &str) -> Option<&Outcome> {
        self.1.0.get(&Digest(request.to_owned()))
    }

    /// A fact.
    #[must_use]
    pub fn get(&self, fact: &str) -> Option<&Value> {
        self.0.get(fact).map(Arc::as_ref)
    }

    /// Adds a fact.
    pub fn insert(&mut self, fact: impl Into<String>, value: Value) {
        self.0.insert(fact.into(), Arc::new(value));
    }

    /// All facts in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }
}
