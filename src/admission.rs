//! Admission: which objects of a landscape may be acted upon, and as what.
//!
//! Per owner: defaults, semantic checks, policies, and the rules for updates, which compare with what was last *accepted for
//! that owner*. (Types and unknown fields were checked when the landscape was loaded; the generated JSON Schemas say nothing
//! beyond that which a rule here does not say with better help, so there is no pass over them.) All errors of an owner are
//! collected, and none of another owner's is hidden by them. An owner with errors is *held*: what was accepted before goes on
//! being acted upon. Whoever depends on a held object sees its accepted version.
//!
//! A verdict depends on the manifest, the accepted manifest, the policies, and the objects that its rules asked for; these are
//! remembered with it, so an unchanged owner costs comparisons. Some rules depend on time: a verdict also says until when it holds.
//! Knows no cluster, no clock and no file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::finding::{Code, Finding, Findings, Place, Pointer};
use crate::landscape::{Distances, Kind, Landscape, Owner};

mod along;
mod authority;
mod capable;
mod check;
mod checks;
mod codes;
mod default;
mod evaluate;
mod follows;
mod gone;
mod judge;
mod measure;
mod node;
mod offer;
mod parts;
pub mod policy;
mod registered;
mod select;
mod settled;
mod shared;
mod source;
mod stages;
mod syntax;
mod versions;

pub use authority::{Authority, Deed};
pub use check::{Foreign, World};
pub(crate) use checks::is_idle;
pub use codes::CODES;
pub use evaluate::Memory;
pub(crate) use gone::{is_confirmed, needs_confirmation};
pub use judge::{Case, judge};
pub(crate) use node::Node;
pub(crate) use offer::profile_of;
pub(crate) use select::selects;
pub use settled::{Differing, Settled};
pub use source::{Extent, Gates};

/// The annotation by which a person says that an object may be deleted.
pub const CONFIRMATION: &str = "confirmation.gardener.cloud/deletion";

/// The last accepted manifest of each owner: from the garden, or from admitting another revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accepted(pub Arc<BTreeMap<Owner, Arc<Value>>>);

impl Accepted {
    /// The name of the landscape: the accepted one, for a landscape cannot be renamed, and keeps its name while its file cannot be
    /// read; else what Git says, which may be nothing.
    fn name_of(&self, landscape: &Landscape) -> String {
        let first = self.0.range(Owner::cluster(Kind::Landscape, "")..).next().map(|(owner, _)| owner);
        first.filter(|owner| owner.kind == Kind::Landscape).map_or_else(|| landscape.name.clone(), |owner| owner.name.clone())
    }
}

/// Why an owner is held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// Its errors.
    pub findings: Vec<Finding>,
}

/// What becomes of an owner that was accepted and is in Git no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its accepted manifest says that it may be deleted, or its kind needs no confirmation; and nothing refers to it.
    Confirmed,
    /// It stays as it was accepted.
    Unconfirmed,
}

/// What may be acted upon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admitted {
    /// The landscape's name; empty if neither Git nor what was accepted before says it.
    pub landscape: String,
    /// Manifests with defaults; for held owners, and for those gone without confirmation, the accepted ones.
    pub objects: BTreeMap<Owner, Arc<Value>>,
    /// Owners whose intent is frozen, and why.
    pub held: BTreeMap<Owner, Held>,
    /// Owners that were accepted and are in Git no more.
    pub gone: BTreeMap<Owner, Gone>,
    /// Why nothing at all may be deleted.
    pub frozen: Option<String>,
    /// Owners whose manifest is this commit's, not what was accepted before.
    pub fresh: BTreeSet<Owner>,
    /// Distances between regions by the cloud profile that they are for.
    pub distances: BTreeMap<String, Distances>,
    /// When a verdict may change although nothing is committed: the next moment at which a version expires, in seconds.
    pub again: Option<i64>,
    /// How many owners were evaluated, and not answered from memory.
    pub evaluated: usize,
}

impl Admitted {
    /// The manifest of an owner as its type; `None` if there is none or it has another shape.
    #[must_use]
    pub fn typed<T: DeserializeOwned>(&self, owner: &Owner) -> Option<T> {
        T::deserialize(self.objects.get(owner)?.as_ref()).ok()
    }

    /// The manifests of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Owner, &Arc<Value>)> {
        self.objects.iter().filter(move |(owner, _)| owner.kind == kind)
    }
}

/// Decides for every owner.
#[must_use]
pub fn admit(
    landscape: &Landscape,
    accepted: &Accepted,
    policies: &policy::Policies,
    now: i64,
    memory: &mut Memory,
) -> (Admitted, Findings) {
    let evaluated = evaluate::all(landscape, accepted, policies, now, memory);
    let (admitted, findings, _) = conclude(landscape, accepted, policies, evaluated);
    (admitted, findings)
}

/// What follows from the verdicts on all owners, and the world that they were made in, without its objects.
fn conclude(
    landscape: &Landscape,
    accepted: &Accepted,
    policies: &policy::Policies,
    evaluated: evaluate::Evaluated,
) -> (Admitted, Findings, World) {
    let evaluate::Evaluated { mut world, verdicts, absent, again, evaluated } = evaluated;
    let mut findings = Findings::default();
    let mut admitted = Admitted {
        landscape: world.landscape.clone(),
        distances: landscape.distances.clone(),
        again,
        evaluated,
        ..Admitted::default()
    };
    take(landscape, &verdicts, &mut admitted, &mut findings);
    for (owner, broken) in &landscape.broken {
        admitted.held.entry(owner.clone()).or_default().findings.extend(broken.iter().cloned());
    }
    admitted.objects = std::mem::take(&mut world.objects);
    if let Some(place) = landscape.unknown.first() {
        let why = format!("{place} cannot be identified");
        let code = Code::new("DELETE-FROZEN");
        let message = format!(
            "nothing is deleted while {} cannot be identified",
            if landscape.unknown.len() == 1 { "a document" } else { "documents" }
        );
        let places = landscape.unknown.iter().take(5).cloned();
        findings.push(places.fold(Finding::warning(code, message), Finding::at).help("mend or remove it"));
        admitted.frozen = Some(why);
    }
    gone::decide(landscape, accepted, &absent, policies, &mut admitted, &mut findings);
    (admitted, findings, world)
}

/// Takes note of who is held and who is not, and of what is said about them.
fn take(landscape: &Landscape, verdicts: &[(Owner, Arc<evaluate::Verdict>)], admitted: &mut Admitted, findings: &mut Findings) {
    admitted.fresh = verdicts.iter().filter(|(_, verdict)| !verdict.held).map(|(owner, _)| owner.clone()).collect();
    for (owner, verdict) in verdicts.iter().filter(|(_, verdict)| !verdict.raised.is_empty()) {
        let said = evaluate::report(landscape, owner, verdict);
        if verdict.held {
            let errors = said.iter().filter(|f| f.severity == crate::finding::Severity::Error).cloned().collect();
            admitted.held.insert(owner.clone(), Held { findings: errors });
        }
        findings.extend(said);
    }
}

/// The documentation of a code: what `explain` prints.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    rules().find(|rule| rule.code == code).map(|rule| rule.documentation.trim())
}

/// All codes with their titles, in the order of the families.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    rules().map(|rule| (rule.code, rule.title))
}

fn rules() -> impl Iterator<Item = &'static check::Rule> {
    checks::FAMILIES.iter().flat_map(|family| family.iter())
}

/// Fills in what follows from a shoot's seed: network ranges of its address families, and its domain.
pub fn for_seed(shoot: &mut Value, owner: &Owner, seed: &Value, landscape: Option<&Value>) {
    default::placed::for_seed(shoot, owner, seed, landscape);
}

/// A manifest with the defaults of its own kind, so that two versions of it are compared alike: those that need no other object.
#[must_use]
pub fn filled_in(manifest: &Value, owner: &Owner) -> Value {
    default::own(manifest, owner, Extent::Static)
}

/// A cloud profile as its shoots see it: a namespaced one merged over its parent.
#[must_use]
pub fn effective_profile(objects: &BTreeMap<Owner, Arc<Value>>, owner: &Owner) -> Option<Arc<Value>> {
    let own = objects.get(owner)?;
    if owner.kind != Kind::NamespacedCloudProfile {
        return Some(own.clone());
    }
    let parent = node::Node::root(own).at("spec/parent/name").str().to_owned();
    let parent = objects.get(&Owner::cluster(Kind::CloudProfile, parent))?;
    Some(Arc::new(offer::merged(parent, own)))
}

/// The place of a field of an owner's document; none if it is in no file.
fn place(landscape: &Landscape, owner: &Owner, pointer: &Pointer, on: crate::finding::On) -> Option<Place> {
    landscape.document(owner).map(|document| document.place(pointer, on))
}
