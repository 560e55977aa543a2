//! Extensions of seeds: which are installed where, how they stand, and which of them a shoot waits for.
//!
//! They are parts of their seed that hold up nobody but those who need them: a seed whose extension is broken serves on
//! ([`plan::serves`](crate::plan::serves)), and a shoot waits for those of its own kinds and types by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Look, Memory, World};
use crate::digest::{self, Digest};
use crate::finding::{Code, Finding, Findings};
use crate::health::{Health, find_condition, health};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{Live, Object, ObjectKey, Observed};
use crate::plan::OwnerPlan;
use crate::render::Ready;
use crate::render::chart::Request;
use crate::render::component::name_for_item;
use crate::render::context::installation::{self, Installation, deployment_of, is_chart};
use crate::render::context::{Identity, Objects, Sources, need};
use crate::schedule::extensions::{Demand, Need, may_be_on, required, served, some};

/// What of bodies is kept to tell who uses a registration: group, kind, pointers.
pub const KEPT: &[(&str, &str, &[&str])] =
    &[("core.gardener.cloud", "ControllerInstallation", &["/spec/registrationRef/name", "/spec/deploymentRef/name"])];

/// Code of the warning about what no registration is responsible for.
pub const UNSERVED: Code = Code::new("EXTENSION-UNSERVED");
/// Code of the warning about what a deployment asks for and is not done.
pub const LEFT_OUT: Code = Code::new("EXTENSION-LEFT-OUT");

/// The component whose objects are the extension itself.
const COMPONENT: &str = "extension";

/// The kinds that extensions act on and that are seen in seeds; others are left to their owners.
const EXTENSIONS: &str = "extensions.gardener.cloud";

/// What a shoot needs, computed once: its manifest, what else went in, and the needs.
pub(super) type Needs = BTreeMap<Owner, (Arc<Value>, Digest, Arc<BTreeSet<Need>>)>;

/// How an installation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The name of its `ControllerInstallation`.
    pub name: String,
    /// Whether it serves: installed, healthy, and not being changed.
    pub serves: bool,
    /// Whether it is there for nothing but what is left of those who needed it.
    pub lingers: bool,
    /// What its conditions say, in the order in which they are told.
    pub conditions: Vec<Said>,
}

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `Valid`, `Installed`, `Healthy`, `Progressing` or `Required`.
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// In a word.
    pub reason: String,
    /// In a person's words.
    pub message: String,
}

fn said(kind: &'static str, status: &'static str, reason: &str, message: impl Into<String>) -> Said {
    Said { kind, status, reason: reason.to_owned(), message: message.into() }
}

/// What another condition says.
fn repeated(kind: &'static str, condition: &Value) -> Said {
    let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
    let status = ["True", "False"].into_iter().find(|s| *s == text("status")).unwrap_or("Unknown");
    said(kind, status, text("reason"), text("message"))
}

impl World {
    /// All registrations, with whether they are confirmed to go.
    fn registrations(&self) -> impl Iterator<Item = (&str, &Arc<Value>, bool)> {
        self.of_kind(Kind::ControllerRegistration)
            .filter_map(|owner| Some((owner.name.as_str(), self.manifest(owner)?, self.going.contains(owner))))
    }

    /// Whether we are the ones who install what a registration stands for.
    fn is_ours(&self, registration: &Value) -> bool {
        deployment_of(registration).and_then(|owner| self.manifest(&owner)).is_some_and(|deployment| is_chart(deployment))
    }

    /// The shoots of a seed.
    fn shoots_on<'w>(&'w self, seed: &'w str, observed: &'w Observed) -> impl Iterator<Item = (&'w Owner, &'w Arc<Object>)> {
        let all = self.of_kind(Kind::Shoot);
        all.filter_map(|owner| Some((owner, observed.garden(owner)?))).filter(move |(_, live)| {
            let is = |pointer: &str| live.get(pointer).and_then(Value::as_str) == Some(seed);
            is("/spec/seedName") || is("/status/seedName")
        })
    }

    /// The digest of what goes into shoots' needs beside their own manifests.
    fn beside(&self, seed: &str, memory: &mut Memory) -> Digest {
        let seed = Owner::cluster(Kind::Seed, seed);
        let registrations = self.registrations().map(|(name, ..)| Owner::cluster(Kind::ControllerRegistration, name));
        let others: Vec<Owner> = registrations.chain([seed, self.root.clone()]).collect();
        let digests: Vec<Value> = others
            .iter()
            .filter_map(|owner| Some(json!([owner.label(), memory.digest(owner, self.manifest(owner)?).as_str()])))
            .collect();
        digest::of_value(&json!(digests))
    }

    /// What a shoot needs on a seed.
    fn needs_of(&self, shoot: &Owner, live: &Object, seed: &str, beside: &Digest, memory: &mut Memory) -> Arc<BTreeSet<Need>> {
        let Some(manifest) = self.manifest(shoot) else { return Arc::default() };
        let domain = live.get("/spec/dns/domain").cloned().unwrap_or_default();
        let beside = digest::of_value(&json!([beside.as_str(), domain]));
        if let Some((known, with, needs)) = memory.needs.get(shoot)
            && Arc::ptr_eq(known, manifest)
            && *with == beside
        {
            return Arc::clone(needs);
        }
        let mut objects: Objects = super::sources(self, shoot, Some(seed))
            .into_iter()
            .filter_map(|source| self.manifest(&source).map(|value| (source, value.clone())))
            .collect();
        objects.insert(shoot.clone(), Arc::new(super::decided::with_decisions(manifest, Some(live))));
        let sources = Sources { objects: &objects, owner: shoot, identity: &Identity::default() };
        let needs = Arc::new(need::of_shoot(&sources, seed));
        memory.needs.insert(shoot.clone(), (manifest.clone(), beside, Arc::clone(&needs)));
        needs
    }

    /// What a shoot needs on the seed that it was placed on; `None` before that, and where we install nothing.
    pub fn demand_of(&self, shoot: &Owner, observed: &Observed, memory: &mut Memory) -> Option<(String, Arc<BTreeSet<Need>>)> {
        if !self.registrations().any(|(_, registration, _)| self.is_ours(registration)) {
            return None;
        }
        let live = observed.garden(shoot)?;
        let seed = live.get("/spec/seedName").and_then(Value::as_str)?;
        let beside = self.beside(seed, memory);
        Some((seed.to_owned(), self.needs_of(shoot, live, seed, &beside, memory)))
    }

    /// The extensions of a seed: those that are wanted, and those that are there and not all gone yet. Nothing is removed while
    /// an extension object of its kinds and types is left, or while it is not known whether one is.
    pub(super) fn installations(&self, seed: &Owner, look: &Look<'_>, memory: &mut Memory) -> (Vec<Installation>, Findings) {
        let mut findings = Findings::default();
        let Some(manifest) = self.manifest(seed).filter(|_| seed.kind == Kind::Seed) else { return (Vec::new(), findings) };
        let there = |name: &str| is_there(look.observed, &seed.name, name);
        let ours: BTreeSet<&str> =
            self.registrations().filter(|(name, r, _)| self.is_ours(r) || there(name)).map(|(name, ..)| name).collect();
        if ours.is_empty() || (look.charts.is_none() && !ours.iter().any(|name| there(name))) {
            return (Vec::new(), findings);
        }
        let mut demand = Demand {
            labels: manifest.pointer("/metadata/labels").cloned().unwrap_or_default(),
            deleting: self.going.contains(seed),
            ..Demand::default()
        };
        if !demand.deleting {
            for need in need::of_seed(manifest, self.registrations().map(|(_, r, _)| &**r)) {
                demand.needs.entry(need).or_default().insert("the seed itself".to_owned());
            }
        }
        let beside = self.beside(&seed.name, memory);
        for (shoot, live) in self.shoots_on(&seed.name, look.observed) {
            demand.shoots += 1;
            for need in self.needs_of(shoot, live, &seed.name, &beside, memory).iter() {
                demand.needs.entry(need.clone()).or_default().insert(shoot.key());
            }
        }
        let required = required(&demand, self.registrations().map(|(name, r, going)| (name, &**r, going)));
        if look.charts.is_some() {
            findings.extend(Findings(warnings(seed, &required.unserved)));
        }
        let mut installations = Vec::new();
        for (name, registration, _) in self.registrations().filter(|(name, ..)| ours.contains(name)) {
            let wanted = required.wanted.get(name).filter(|_| self.is_ours(registration)).cloned();
            let wanted = match look.charts {
                Some(_) => wanted,
                // Nobody renders charts: what is there stays.
                None => there(name).then(|| "it was installed before".to_owned()),
            };
            if let Some(why) = wanted {
                if let Some(left_out) = deployment_of(registration).and_then(|d| installation::left_out(self.manifest(&d)?)) {
                    findings.push(Finding::warning(LEFT_OUT, format!("extension {name}: {left_out}")).of(seed));
                }
                let needed = served(registration).any(|need| demand.needs.contains_key(&need));
                installations.push(Installation { registration: name.to_owned(), wanted: true, needed, why });
            } else if there(name) {
                let (wanted, why) = match in_use(look.observed, &seed.name, registration) {
                    InUse::By(object) => (true, format!("{object} is left")),
                    InUse::Unknown => (true, "it is not known whether anything is left for it to act upon".to_owned()),
                    InUse::No => (false, "nobody needs it any more".to_owned()),
                };
                installations.push(Installation { registration: name.to_owned(), wanted, needed: false, why });
            }
        }
        (installations, findings)
    }

    /// How the extensions of a seed stand, by registration.
    pub(super) fn stands(
        &self,
        seed: &Owner,
        installations: &[Installation],
        look: &Look<'_>,
        plan: &OwnerPlan,
        charts: &BTreeMap<String, Arc<Request>>,
    ) -> BTreeMap<String, Stand> {
        let stand = |installation: &Installation| {
            let registration = &installation.registration;
            let name = installation::name(registration, &seed.name);
            let resource = look.observed.get(&Target::Seed(seed.name.clone()), &resource_key(&name));
            let outcome = charts.get(registration).and_then(|request| look.charts?.0.get(&request.digest));
            let component = name_for_item(COMPONENT, registration);
            let doing = plan.components.iter().find(|c| c.id.name == component).and_then(|c| crate::status::describe(&c.state));
            let valid = match outcome {
                Some(Ok(_)) => said("Valid", "True", "RegistrationValid", "The chart could be rendered."),
                Some(Err(refused)) => said("Valid", "False", refused.reason.word(), refused.message.clone()),
                // Whoever was just started has rendered none yet: what was said before stands.
                None => {
                    let before = look
                        .observed
                        .get(&Target::Garden, &installation_key(&name))
                        .and_then(|object| find_condition(object, "Valid"));
                    before.map_or_else(
                        || said("Valid", "Unknown", "ChartPending", "The chart is not rendered yet."),
                        |condition| repeated("Valid", condition),
                    )
                }
            };
            let pending = match outcome {
                Some(Err(refused)) => (refused.reason.word().to_owned(), refused.message.clone()),
                _ => ("InstallationPending".to_owned(), doing.unwrap_or_else(|| "It is not installed yet.".to_owned())),
            };
            let copied =
                |kind: &'static str, from: &str, otherwise: &'static str| match resource.and_then(|r| find_condition(r, from)) {
                    Some(condition) => repeated(kind, condition),
                    None => said(kind, otherwise, &pending.0, pending.1.clone()),
                };
            let owner = Owner::cluster(Kind::ControllerRegistration, registration.clone());
            let left = self.manifest(&owner).map_or(InUse::Unknown, |manifest| in_use(look.observed, &seed.name, manifest));
            let lingers = installation.wanted && !installation.needed && matches!(left, InUse::By(_));
            let required = match left {
                // Whoever needs it writes its objects as soon as it is there, if not before.
                _ if installation.needed => said("Required", "True", "ExtensionObjectsExist", installation.why.clone()),
                InUse::By(object) => said("Required", "True", "ExtensionObjectsExist", format!("{object} exists.")),
                InUse::No => said("Required", "False", "NoExtensionObjects", "There is nothing for it to act upon."),
                InUse::Unknown => said("Required", "Unknown", "SeedNotListed", "The seed was not listed completely."),
            };
            let conditions = vec![
                valid,
                copied("Installed", "ResourcesApplied", "False"),
                copied("Healthy", "ResourcesHealthy", "Unknown"),
                copied("Progressing", "ResourcesProgressing", "Unknown"),
                required,
            ];
            let serves = resource.is_some_and(|resource| serves(resource));
            (registration.clone(), Stand { name, serves, lingers, conditions })
        };
        installations.iter().map(stand).collect()
    }

    /// The extensions that a shoot waits for on its seed, each with why: only those that we install.
    pub(super) fn unserved(&self, shoot: &Owner, look: &Look<'_>, memory: &mut Memory) -> Vec<(String, String)> {
        if look.charts.is_none() {
            return Vec::new();
        }
        let Some((seed, needs)) = self.demand_of(shoot, look.observed, memory) else { return Vec::new() };
        let labels = self.manifest(&Owner::cluster(Kind::Seed, seed.clone())).and_then(|m| m.pointer("/metadata/labels"));
        let labels = labels.cloned().unwrap_or_default();
        let plan = look.plans.get(&Owner::cluster(Kind::Seed, seed.clone()));
        let mut waits = Vec::new();
        for (name, registration, going) in self.registrations() {
            let asked: BTreeSet<String> = served(registration).filter(|n| needs.contains(n)).map(|n| n.to_string()).collect();
            if asked.is_empty() || going || !self.is_ours(registration) || !may_be_on(registration, &labels) {
                continue;
            }
            let resource = resource_key(&installation::name(name, &seed));
            let resource = look.observed.get(&Target::Seed(seed.clone()), &resource);
            if resource.is_some_and(|resource| serves(resource)) {
                continue;
            }
            let component = name_for_item(COMPONENT, name);
            let stands = plan.and_then(|plan| plan.components.iter().find(|c| c.id.name == component));
            let why = stands.map_or_else(
                || "it is not installed yet".to_owned(),
                |c| crate::status::describe(&c.state).unwrap_or_else(|| "it is being changed".to_owned()),
            );
            waits.push((format!("extension {name} for {}", some(&asked)), why));
        }
        waits
    }
}

/// The extensions of a seed by a landscape alone: what is wanted for it and for these shoots.
#[must_use]
pub fn offline<'a>(objects: &Objects, seed: &Owner, shoots: impl IntoIterator<Item = &'a Owner>) -> Vec<Installation> {
    let Some(manifest) = objects.get(seed) else { return Vec::new() };
    let all = || {
        let from_there = objects.range(Owner::cluster(Kind::ControllerRegistration, "")..);
        from_there.take_while(|(owner, _)| owner.kind == Kind::ControllerRegistration).map(|(owner, r)| (owner.name.as_str(), r))
    };
    let is_ours = |registration: &Value| {
        deployment_of(registration).and_then(|owner| objects.get(&owner)).is_some_and(|deployment| is_chart(deployment))
    };
    if !all().any(|(_, registration)| is_ours(registration)) {
        return Vec::new();
    }
    let labels = manifest.pointer("/metadata/labels").cloned().unwrap_or_default();
    let mut demand = Demand { labels, ..Demand::default() };
    for need in need::of_seed(manifest, all().map(|(_, r)| &**r)) {
        demand.needs.entry(need).or_default().insert("the seed itself".to_owned());
    }
    for shoot in shoots {
        demand.shoots += 1;
        let sources = Sources { objects, owner: shoot, identity: &Identity::default() };
        for need in need::of_shoot(&sources, &seed.name) {
            demand.needs.entry(need).or_default().insert(shoot.key());
        }
    }
    let required = required(&demand, all().map(|(name, r)| (name, &**r, false)));
    all()
        .filter(|(_, registration)| is_ours(registration))
        .filter_map(|(name, _)| {
            let why = required.wanted.get(name)?.clone();
            Some(Installation { registration: name.to_owned(), wanted: true, needed: true, why })
        })
        .collect()
}

/// Whether the clusters of a landscape are said to be simulated: then so are its extensions.
#[must_use]
pub fn is_simulated(settings: Option<&Value>) -> bool {
    settings.and_then(|s| s.pointer("/spec/clusters")).and_then(Value::as_str) == Some("sim")
}

/// The installations that stand in the way of a registration's or deployment's deletion.
pub(super) fn users(owner: &Owner, garden: &Live) -> Vec<String> {
    let pointer = match owner.kind {
        Kind::ControllerRegistration => "/spec/registrationRef/name",
        Kind::ControllerDeployment => "/spec/deploymentRef/name",
        _ => return Vec::new(),
    };
    let all = garden.objects.range(installation_key("")..).take_while(|(key, _)| key.kind == "ControllerInstallation");
    all.filter(|(_, object)| object.get(pointer).and_then(Value::as_str) == Some(owner.name.as_str()))
        .map(|(key, _)| key.to_string())
        .collect()
}

fn warnings(seed: &Owner, unserved: &BTreeMap<Need, BTreeSet<String>>) -> Vec<Finding> {
    let warning = |(need, users): (&Need, &BTreeSet<String>)| {
        Finding::warning(UNSERVED, format!("no ControllerRegistration is responsible for {need}, which {} needs", some(users)))
            .help("add the extension to extensions/, or leave it if somebody installs it in another way")
            .of(seed)
    };
    unserved.iter().map(warning).collect()
}

/// Where a `ControllerInstallation` of this name is in the garden.
#[must_use]
pub fn installation_key(name: &str) -> ObjectKey {
    ObjectKey::new("core.gardener.cloud", "ControllerInstallation", "", name)
}

fn resource_key(installation: &str) -> ObjectKey {
    ObjectKey::new("resources.gardener.cloud", "ManagedResource", "garden", installation)
}

/// Whether anything of an installation is there.
fn is_there(observed: &Observed, seed: &str, registration: &str) -> bool {
    let name = installation::name(registration, seed);
    let target = Target::Seed(seed.to_owned());
    let namespace = ObjectKey::new("", "Namespace", "", &installation::namespace(&name));
    [(Target::Garden, installation_key(&name)), (target.clone(), resource_key(&name)), (target, namespace)]
        .iter()
        .any(|(target, key)| observed.get(target, key).is_some_and(|object| object.is_tracked()))
}

/// Applied, healthy, and not being changed.
fn serves(resource: &Object) -> bool {
    let changing = find_condition(resource, "ResourcesProgressing").and_then(|c| c.get("status")).and_then(Value::as_str);
    health(resource, &Ready::ManagedResource) == Health::Ready && changing != Some("True")
}

/// Whether a seed has extension objects that a registration is responsible for.
enum InUse {
    /// It has this one.
    By(ObjectKey),
    /// It has none.
    No,
    /// It was not listed completely.
    Unknown,
}

fn in_use(observed: &Observed, seed: &str, registration: &Value) -> InUse {
    let Some(live) = observed.targets.get(&Target::Seed(seed.to_owned())) else { return InUse::Unknown };
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for need in served(registration) {
        types.entry(need.kind).or_default().insert(need.of_type);
    }
    for (kind, types) in &types {
        let first = ObjectKey::new(EXTENSIONS, kind, "", "");
        let all = live.objects.range(first..).take_while(|(key, _)| key.group == EXTENSIONS && key.kind == *kind);
        // Of what is not ours the type is not kept: it may be one of these.
        let of_type = |object: &Object| object.get("/spec/type").and_then(Value::as_str).is_none_or(|t| types.contains(t));
        if let Some((key, _)) = all.into_iter().find(|(_, object)| of_type(object)) {
            return InUse::By(key.clone());
        }
    }
    if live.complete { InUse::No } else { InUse::Unknown }
}
