//! What stands in seeds for owners of which the garden has lost what it knew: it was restored empty, or without statuses. A control
//! plane that stands keeps its seed, its identity and its backups, and so does a seed's bucket; where that cannot be told, nothing is
//! decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::World;
use super::decided::{DECIDED, set, technical_id};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{Object, ObjectKey, Observed};

/// What is kept of Clusters, which hold the whole Shoot, for that: group, kind, pointers.
pub const KEPT: (&str, &str, &[&str]) = (
    "extensions.gardener.cloud",
    "Cluster",
    &[
        "/spec/shoot/status",
        // What is decided beside Git's words, short of the seed.
        "/spec/shoot/spec/networking/nodes",
        "/spec/shoot/spec/networking/pods",
        "/spec/shoot/spec/networking/services",
        "/spec/shoot/spec/dns/domain",
    ],
);

/// The annotation of a shoot's namespace in its seed with `status.uid` of the Shoot.
const UID: &str = "shoot.gardener.cloud/uid";

/// A control plane that stands in a seed.
pub(super) struct Found<'a> {
    /// The seed.
    pub(super) seed: &'a str,
    namespace: &'a Object,
    cluster: Option<&'a Object>,
}

impl<'a> Found<'a> {
    /// `status.uid` of the shoot that it was made for.
    pub(super) fn uid(&self) -> Option<&'a str> {
        let said = self.namespace.annotations.get(UID).map(String::as_str).filter(|uid| !uid.is_empty());
        said.or_else(|| self.status("uid").and_then(Value::as_str))
    }

    /// A field of the status that the Shoot had.
    pub(super) fn status(&self, field: &str) -> Option<&'a Value> {
        self.of_shoot("/status").and_then(|status| status.get(field))
    }

    /// A manifest with what was decided for the Shoot where Git says nothing.
    pub(super) fn remembering(&self, manifest: &Value) -> Value {
        let mut out = manifest.clone();
        for pointer in DECIDED.iter().filter(|pointer| manifest.pointer(pointer).is_none()) {
            if let Some(value) = self.of_shoot(pointer) {
                set(&mut out, pointer, value.clone());
            }
        }
        out
    }

    /// What the Shoot had at a pointer, of what is [`KEPT`].
    pub(super) fn of_shoot(&self, pointer: &str) -> Option<&'a Value> {
        self.cluster.and_then(|cluster| cluster.get(&format!("/spec/shoot{pointer}"))).filter(|value| !value.is_null())
    }
}

/// The namespaces of a shoot's control plane by seed, whoever made them.
fn namespaces<'a>(name: &str, observed: &'a Observed) -> Vec<(&'a str, &'a Arc<Object>)> {
    let key = ObjectKey::new("", "Namespace", "", name);
    let in_seed = |(target, live): (&'a Target, &'a crate::observed::Live)| match target {
        Target::Seed(seed) => live.objects.get(&key).map(|namespace| (seed.as_str(), namespace)),
        Target::Garden => None,
    };
    observed.targets.iter().filter_map(in_seed).collect()
}

/// The seed that a shoot's control plane stands in; the first of several.
pub(super) fn seed_of<'a>(owner: &Owner, observed: &'a Observed) -> Option<&'a str> {
    namespaces(&technical_id(owner), observed).first().map(|(seed, _)| *seed)
}

/// Whether this garden has seen a seed come up. What stood there was found then.
fn came_up(seed: &Owner, observed: &Observed) -> bool {
    let last = |field: &str| {
        let object = observed.garden(seed)?;
        object.get(&format!("/status/lastOperation/{field}")).and_then(Value::as_str).map(str::to_owned)
    };
    last("state").as_deref() == Some("Succeeded") || last("type").as_deref() == Some("Reconcile")
}

/// Why it is not known what stands in a seed; `None` if it is.
fn unseen(seed: &str, observed: &Observed) -> Option<String> {
    let target = Target::Seed(seed.to_owned());
    if observed.complete(&target) || came_up(&Owner::cluster(Kind::Seed, seed), observed) {
        return None;
    }
    let problem = observed.targets.get(&target).and_then(|live| live.problem.clone());
    Some(format!("{target} could not be listed completely: {}", problem.unwrap_or_else(|| "it was not reached".into())))
}

impl World {
    /// The control plane that stands in a seed for a shoot that the garden has not placed or not named.
    ///
    /// # Errors
    /// In a person's words, why nothing may be decided, and what to do.
    pub(super) fn found<'a>(
        &self,
        owner: &Owner,
        live: &Object,
        wanted: Option<&str>,
        observed: &'a Observed,
    ) -> Result<Option<Found<'a>>, String> {
        let named = live.get("/status/technicalID").and_then(Value::as_str).map(str::to_owned);
        let name = named.unwrap_or_else(|| technical_id(owner));
        let there = namespaces(&name, observed);
        let (seed, namespace) = match there.as_slice() {
            [] => {
                let concerned = |seed: &&Owner| seed.kind == Kind::Seed && wanted.is_none_or(|wanted| wanted == seed.name);
                let unseen = self.owners().iter().filter(concerned).find_map(|seed| unseen(&seed.name, observed));
                return match unseen {
                    None => Ok(None),
                    Some(why) => Err(format!(
                        "{why}; this garden has not seen that seed yet, and namespace {name} of the shoot's control plane may stand \
                         there: make the seed reachable, or name another one in spec.seedName if the shoot is new"
                    )),
                };
            }
            [one] => *one,
            several => {
                let seeds: Vec<&str> = several.iter().map(|(seed, _)| *seed).collect();
                return Err(format!(
                    "namespace {name} stands in the seeds {}, and the garden does not say which of them has the shoot's control \
                     plane: find out where its etcd and its DNS records are in use, and remove the namespace from the other; until \
                     then nothing of it is changed or deleted",
                    seeds.join(" and ")
                ));
            }
        };
        if !namespace.is_tracked() && !self.adopt.contains(&namespace.key.to_string()) {
            return Err(format!(
                "namespace {name} stands in seed {seed} and is not ours: name {} under `adopt` in landscape.yaml, or remove it",
                namespace.key
            ));
        }
        if let Some(wanted) = wanted
            && wanted != seed
        {
            return Err(format!(
                "its control plane stands in seed {seed} (namespace {name}), and it is to be on {wanted}: write spec.seedName: {seed}, \
                 or remove the namespace from {seed} if nothing there is needed any more"
            ));
        }
        let (group, kind, _) = KEPT;
        let cluster = observed.get(&Target::Seed(seed.to_owned()), &ObjectKey::new(group, kind, "", &name));
        Ok(Some(Found { seed, namespace, cluster: cluster.map(|c| &**c).filter(|c| c.is_tracked()) }))
    }
}

/// The name of a seed's bucket for backups, in which entries of shoots are: that of the BackupBucket which stands, in the garden or
/// else in the seed; the uid of a seed that has none yet.
///
/// # Errors
/// In a person's words, why it cannot be told, and what to do.
pub(super) fn bucket(seed: &Owner, live: &Object, observed: &Observed) -> Result<String, String> {
    let label = seed.label();
    let named = |target: &Target| -> BTreeSet<String> {
        let ours = observed.targets.get(target).into_iter().flat_map(|cluster| cluster.labelled(&label));
        ours.filter(|o| o.key.kind == "BackupBucket" && o.is_tracked()).map(|o| o.key.name.clone()).collect()
    };
    let target = Target::Seed(seed.name.clone());
    let mut names = named(&Target::Garden);
    if names.is_empty() {
        names = named(&target);
    }
    if names.is_empty() || names.contains(&live.uid) {
        return match unseen(&seed.name, observed).filter(|_| names.is_empty()) {
            None => Ok(live.uid.clone()),
            Some(why) => {
                Err(format!("{why}; this garden has not seen it yet, and its bucket for backups may have a name already"))
            }
        };
    }
    let one = names.pop_first().unwrap_or_default();
    if let Some(other) = names.first() {
        return Err(format!(
            "{target} has the BackupBuckets {one} and {other}, and the garden does not say which of them has the backups: look where \
             the BackupEntries are, and remove the other; until then nothing of it is changed or deleted"
        ));
    }
    Ok(one)
}
