//! Everything that a judgement may look at besides the object itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::noted::Users;
use crate::admission::authority::Authority;
use crate::admission::node::Node;
use crate::admission::source::Gates;
use crate::admission::{effective_profile, registered};
use crate::landscape::{Distances, Kind, Owner};

/// Everything that judging one owner may look at, besides itself.
#[derive(Default)]
pub struct World {
    /// The landscape's name.
    pub(crate) landscape: String,
    /// Feature gates.
    pub(crate) gates: Gates,
    /// Manifests to act on, of the kinds evaluated so far.
    pub(crate) objects: BTreeMap<Owner, Arc<Value>>,
    /// Owners in Git that have errors and were never accepted.
    pub(crate) held: BTreeSet<Owner>,
    /// The kind that is being judged, where later ones are here already: an object sees those of earlier kinds.
    pub(crate) judging: Option<Kind>,
    /// Cloud profiles as shoots see them; namespaced ones merged over their parents.
    pub(crate) profiles: BTreeMap<Owner, Arc<Value>>,
    /// The manifests accepted before, which are what runs.
    pub(crate) accepted: Arc<BTreeMap<Owner, Arc<Value>>>,
    /// What Git has of owners of which nothing was accepted.
    pub(crate) asked: BTreeMap<Owner, Arc<Value>>,
    /// Accepted objects by the object that they refer to.
    pub(crate) users: BTreeMap<Owner, Vec<Owner>>,
    /// Objects of kinds that a landscape does not describe, where they are known: Secrets, ConfigMaps and namespaces.
    pub(crate) foreign: Option<BTreeMap<Foreign, Arc<Value>>>,
    /// What every registration together is responsible for.
    pub(crate) registered: Option<Arc<Value>>,
    /// Whether what was accepted before comes with its status. In Git nothing has one.
    pub(crate) stateful: bool,
    /// Distances between regions by the cloud profile that they are for.
    pub(crate) distances: BTreeMap<String, Distances>,
    /// Who may do what needs a right of its own.
    pub(crate) authority: Authority,
    /// Who has which domain, by its labels from the last to the first.
    pub(crate) domains: OnceLock<BTreeMap<String, Vec<Owner>>>,
}

/// Which object of a kind that a landscape does not describe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// The kind: `Secret`.
    pub kind: String,
    /// The namespace, if it has one.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Foreign {
    /// An object of this kind, namespace and name.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl World {
    /// A world of these objects, under these feature gates; what was accepted before comes with its status.
    #[must_use]
    pub fn new(landscape: &str, objects: BTreeMap<Owner, Arc<Value>>, gates: Gates) -> Self {
        let asked = objects.clone();
        let mut world = Self { landscape: landscape.to_owned(), gates, objects, asked, stateful: true, ..Self::default() };
        world.merge_profiles(Kind::CloudProfile);
        world.merge_profiles(Kind::NamespacedCloudProfile);
        world.gather_registrations();
        world
    }

    /// With these objects of kinds that a landscape does not describe, and no others of their kinds.
    #[must_use]
    pub fn beside(mut self, foreign: BTreeMap<Foreign, Arc<Value>>) -> Self {
        self.foreign = Some(foreign);
        self
    }

    /// With these distances between regions, by the cloud profile that they are for.
    #[must_use]
    pub fn apart(mut self, distances: BTreeMap<String, Distances>) -> Self {
        self.distances = distances;
        self
    }

    /// With somebody who says who may do what needs a right of its own; without, everything is allowed.
    #[must_use]
    pub fn under(mut self, authority: Authority) -> Self {
        self.authority = authority;
        self
    }

    /// Whether objects of a kind are to be seen yet.
    pub(crate) fn shows(&self, kind: Kind) -> bool {
        self.judging.is_none_or(|judging| kind < judging)
    }

    /// Puts together what the registrations are responsible for.
    pub(crate) fn gather_registrations(&mut self) {
        self.registered = registered::gathered(&self.objects);
    }

    /// Puts together the profiles of a kind.
    pub(crate) fn merge_profiles(&mut self, kind: Kind) {
        let owners: Vec<Owner> = self.objects.keys().filter(|o| o.kind == kind).cloned().collect();
        for owner in owners {
            if let Some(profile) = effective_profile(&self.objects, &owner) {
                self.profiles.insert(owner, profile);
            }
        }
    }

    /// The shoot other than this one that has a domain, or one above or below it, and its own.
    pub(crate) fn claimed(&self, domain: &str, by: &Owner) -> Option<(&Owner, &str)> {
        let domains = self.domains.get_or_init(|| self.all_domains());
        let key = turned(domain);
        let other = |owners: &'_ Vec<Owner>| owners.iter().find(|owner| *owner != by).cloned();
        let above = key.match_indices('.').map(|(at, _)| &key[..=at]).rev().find_map(|part| other(domains.get(part)?));
        let below =
            || domains.range(key.clone()..).take_while(|(own, _)| own.starts_with(&key)).find_map(|(_, owners)| other(owners));
        let found = above.or_else(below)?;
        let (owner, manifest) = self.accepted.get_key_value(&found).or_else(|| self.asked.get_key_value(&found))?;
        Some((owner, Node::root(manifest).at("spec/dns/domain").str()))
    }

    fn all_domains(&self) -> BTreeMap<String, Vec<Owner>> {
        let mut all: BTreeMap<String, Vec<Owner>> = BTreeMap::new();
        let shoots = self.accepted.iter().chain(&self.asked).filter(|(owner, _)| owner.kind == Kind::Shoot);
        for (owner, manifest) in shoots {
            if let Some(domain) = Node::root(manifest).at("spec/dns/domain").text().filter(|domain| !domain.is_empty()) {
                all.entry(turned(domain)).or_default().push(owner.clone());
            }
        }
        all
    }

    /// The accepted objects that refer to an owner.
    pub(crate) fn users_of(&self, owner: &Owner) -> Users {
        let users = self.users.get(owner).map(Vec::as_slice).unwrap_or_default();
        users.iter().filter_map(|user| Some((user.clone(), self.accepted.get(user)?.clone()))).collect()
    }
}

/// The labels of a domain from the last to the first, each with a dot after it: what is below another begins with it.
fn turned(domain: &str) -> String {
    domain.split('.').rev().fold(String::with_capacity(domain.len() + 1), |mut all, label| {
        all.push_str(label);
        all.push('.');
        all
    })
}
