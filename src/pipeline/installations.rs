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
use crate::landscape::controller_registration::EXTENSION_KINDS;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{Object, ObjectKey, Observed};
use crate::plan::OwnerPlan;
use crate::render::Ready;
use crate::render::chart::Request;
use crate::render::component::name_for_item;
use crate::render::context::installation::{self, Installation, deployment_of};
use crate::render::context::{Identity, Objects, Sources, need};
use crate::schedule::extensions::{Need, may_be_on, served, some};

mod asked;
mod left;
mod reported;

pub use asked::offline;
pub use left::GROUP;
pub use reported::{Reported, Silent};

use asked::{Asked, Registration, registrations};
use left::{InUse, in_use, of_others};

/// What of bodies is kept to tell who uses a registration: group, kind, pointers.
pub fn kept() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    const OF_INSTALLATIONS: &[&str] = &["/spec/registrationRef/name", "/spec/deploymentRef/name", "/spec/seedRef/name"];
    const OF_OTHERS: &[&str] = &["/spec/type"];
    let others = EXTENSION_KINDS.into_iter().map(|kind| (GROUP, kind, OF_OTHERS));
    std::iter::once(("core.gardener.cloud", "ControllerInstallation", OF_INSTALLATIONS)).chain(others)
}

/// Code of the warning about what no registration is responsible for.
pub const UNSERVED: Code = Code::new("EXTENSION-UNSERVED");
/// Code of the warning about what a deployment asks for and is not done.
pub const LEFT_OUT: Code = Code::new("EXTENSION-LEFT-OUT");

/// The component whose objects are the extension itself.
const COMPONENT: &str = "extension";

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
        let registrations = self.of_kind(Kind::ControllerRegistration).cloned();
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
        if !registrations(self).iter().any(|registration| registration.ours) {
            return None;
        }
        let live = observed.garden(shoot)?;
        let seed = live.get("/spec/seedName").and_then(Value::as_str)?;
        let beside = self.beside(seed, memory);
        Some((seed.to_owned(), self.needs_of(shoot, live, seed, &beside, memory)))
    }

    /// The extensions of a seed: those that are wanted, and those that are there and not all gone yet. Nothing is removed while
    /// an extension object of its kinds and types is left, or while it is not known whether one is; nor because its registration
    /// goes, while a shoot needs it.
    pub(super) fn installations(&self, seed: &Owner, look: &Look<'_>, memory: &mut Memory) -> (Vec<Installation>, Findings) {
        let mut findings = Findings::default();
        let Some(manifest) = self.manifest(seed).filter(|_| seed.kind == Kind::Seed) else { return (Vec::new(), findings) };
        let there = |registration: &Registration<'_>| is_there(look.observed, &seed.name, registration.name);
        let all = registrations(self);
        if !all.iter().any(|registration| (registration.ours && look.charts.is_some()) || there(registration)) {
            return (Vec::new(), findings);
        }
        let beside = self.beside(&seed.name, memory);
        let shoots = self.shoots_on(&seed.name, look.observed);
        let shoots = shoots.map(|(shoot, live)| (shoot.key(), self.needs_of(shoot, live, &seed.name, &beside, memory)));
        let asked = Asked::new(manifest, self.going.contains(seed), shoots, &all);
        if look.charts.is_some() {
            findings.extend(Findings(warnings(seed, &asked.required().unserved)));
        }
        let mut installations = Vec::new();
        for registration in &all {
            let wanted = match look.charts {
                Some(_) => asked.wanted(registration),
                // Nobody renders charts: what is there stays.
                None => there(registration).then(|| asked.installation(registration, "it was installed before".to_owned())),
            };
            if let Some(wanted) = wanted {
                let deployment = deployment_of(registration.manifest).and_then(|d| self.manifest(&d));
                let landscape = self.manifest(&self.root).map(Arc::as_ref);
                if let Some(left_out) = deployment.and_then(|d| installation::left_out(d, landscape)) {
                    let warning = Finding::warning(LEFT_OUT, format!("extension {}: {left_out}", registration.name)).of(seed);
                    findings.push(warning.help("say it in landscape.yaml: spec.gardenClientConnection.gardenClusterAddress"));
                }
                installations.push(wanted);
            } else if there(registration) {
                let needed = asked.for_shoots(registration).filter(|_| registration.going);
                let (wanted, needed, why) = match (needed, in_use(look.observed, &seed.name, registration.manifest)) {
                    (Some(why), _) => (true, true, why),
                    (None, InUse::By(object)) => (true, false, format!("{object} is left")),
                    (None, InUse::Unknown) => {
                        (true, false, "it is not known whether anything is left for it to act upon".to_owned())
                    }
                    (None, InUse::No) => (false, false, "nobody needs it any more".to_owned()),
                };
                installations.push(Installation { registration: registration.name.to_owned(), wanted, needed, why });
            }
        }
        (installations, findings)
    }

    /// Who keeps a seed, registration or deployment that is confirmed to go, in a person's words: of a seed, what others have
    /// there for our extensions to act upon; of the others, their installations, and who needs these.
    pub(super) fn users_of_extensions(&self, owner: &Owner, look: &Look<'_>, memory: &mut Memory) -> Vec<String> {
        let pointer = match owner.kind {
            Kind::Seed => {
                let there = registrations(self).into_iter().filter(|r| is_there(look.observed, &owner.name, r.name));
                let left: BTreeSet<String> =
                    there.filter_map(|r| of_others(look.observed, &owner.name, r.manifest)).map(|key| key.to_string()).collect();
                return left.into_iter().collect();
            }
            Kind::ControllerRegistration => "/spec/registrationRef/name",
            Kind::ControllerDeployment => "/spec/deploymentRef/name",
            _ => return Vec::new(),
        };
        let Some(garden) = look.observed.targets.get(&Target::Garden) else { return Vec::new() };
        let all = garden.objects.range(installation_key("")..).take_while(|(key, _)| key.kind == "ControllerInstallation");
        let text = |object: &Object, pointer: &str| object.get(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let its = all.map(|(_, object)| object).filter(|object| text(object, pointer) == owner.name);
        let said = its.map(|object| {
            let (seed, name) = (text(object, "/spec/seedRef/name"), text(object, "/spec/registrationRef/name"));
            let (installations, _) = self.installations(&Owner::cluster(Kind::Seed, seed.clone()), look, memory);
            match installations.into_iter().find(|installation| installation.registration == name) {
                Some(Installation { wanted: true, why, .. }) => format!("seed {seed}: {why}"),
                Some(_) => format!("seed {seed}: it is being removed there"),
                None => object.key.to_string(),
            }
        });
        said.collect()
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
        for Registration { name, manifest, going, ours } in registrations(self) {
            let asked: BTreeSet<String> = served(manifest).filter(|n| needs.contains(n)).map(|n| n.to_string()).collect();
            if asked.is_empty() || going || !ours || !may_be_on(manifest, &labels) {
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

/// Whether the clusters of a landscape are said to be simulated: then so are its extensions.
#[must_use]
pub fn is_simulated(settings: Option<&Value>) -> bool {
    settings.and_then(|s| s.pointer("/spec/clusters")).and_then(Value::as_str) == Some("sim")
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
