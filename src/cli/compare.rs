//! What one reading of a landscape changes against another: what `plan` shows, and what promotion and rollback look at before they
//! commit. Asks no cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::offline::Offline;
use super::read::{self, Reading};
use crate::admission::{Accepted, Admitted, Gone, Memory, is_idle};
use crate::digest::Digest;
use crate::finding::{Finding, Findings, On, Severity};
use crate::git::Commit;
use crate::landscape::{Kind, Owner};
use crate::library::Library;
use crate::pipeline::freeze;
use crate::pipeline::rollout::{self, Asked};
use crate::plan::diff;
use crate::plan::guard::{self, Acknowledged, Breach, Touched};
use crate::plan::impact::{self, Mark};
use crate::plan::intent::intent;
use crate::plan::revert::{Done, Revert};
use crate::plan::when::When;
use crate::print::preview::{Change, Consequence, Fate, Item};
use crate::share;

mod consequence;
mod quick;

pub(super) use quick::Quick;

/// What is compared.
pub(super) struct Sides<'a> {
    pub(super) before: &'a Reading,
    pub(super) after: &'a Reading,
    /// Whose policies judge.
    pub(super) judge: &'a Library,
    pub(super) now: Timestamp,
    /// Where shoots are known to be.
    pub(super) placed: &'a BTreeMap<Owner, String>,
}

/// What differs.
pub(super) struct Compared {
    /// What is said of what is to be.
    pub(super) findings: Findings,
    /// The objects that differ, or that are rendered otherwise.
    pub(super) items: Vec<Item>,
    /// The settings that guard: those of the landscape before, or the first ones.
    pub(super) settings: Option<Arc<Value>>,
    /// The digest of what is meant to be done; `None` if it is nothing.
    pub(super) digest: Option<Digest>,
    /// How many of those that were looked at do not.
    pub(super) unchanged: usize,
    /// What was said of what was.
    pub(super) known: Findings,
    /// Objects that had errors before.
    pub(super) held: BTreeSet<Owner>,
}

/// What one side is, judged: what any number of others can be compared with.
pub(super) struct Base {
    old: Admitted,
    known: Findings,
    accepted: Accepted,
    /// An object that neither side changed, nor anything that its verdict looked at, is judged once.
    memory: Memory,
    offline: Offline,
}

impl Base {
    /// Judges what was, by its own policies, and places its shoots.
    fn new(before: &Reading, placed: &BTreeMap<Owner, String>, now: Timestamp) -> Self {
        let mut memory = Memory::default();
        let (old, known) = before.admit_with(&before.library, &Accepted::default(), now, &mut memory);
        memory.settle();
        let accepted = Accepted(Arc::new(old.objects.clone()));
        let offline = Offline::new(&old, &before.library, placed.clone());
        Self { old, known, accepted, memory, offline }
    }

    /// As for every guard, what the revision before says counts.
    fn settings(&self) -> Option<Arc<Value>> {
        self.old.objects.get(&Owner::cluster(Kind::Landscape, self.old.landscape.clone())).cloned()
    }

    /// Where shoots are: they stay there, and only new ones are placed anew.
    fn placed(&self, known: &BTreeMap<Owner, String>) -> BTreeMap<Owner, String> {
        let mut placed = known.clone();
        placed.extend(self.offline.placements.decisions.iter().map(|(owner, p)| (owner.clone(), p.seed.clone())));
        placed
    }

    /// Keeps back what is not rolled out now; what waits is shown as what it becomes then.
    fn keep_back(&self, new: &mut Admitted, now: Timestamp) {
        let settings = self.settings();
        let (freezes, urgent) = (freeze::in_force(settings.as_deref(), now).0, BTreeSet::new());
        let asked = Asked { freezes: &freezes, settings: settings.as_deref(), urgent: &urgent, now };
        for (owner, waiting) in rollout::keep_back(new, &self.accepted, &asked).0 {
            new.objects.insert(owner, waiting.wanted);
        }
    }
}

/// Compares; of the objects, only those that are wanted are looked at.
pub(super) fn compare(sides: &Sides<'_>, wanted: impl Fn(&Owner) -> bool) -> Compared {
    let mut base = Base::new(sides.before, sides.placed, sides.now);
    let compared = whole(&mut base, sides, wanted);
    share::drop_later(base);
    compared
}

/// Compares with what was judged before.
fn whole(base: &mut Base, sides: &Sides<'_>, wanted: impl Fn(&Owner) -> bool) -> Compared {
    let Sides { before, after, judge, now, .. } = *sides;
    let began = Instant::now();
    let took = |what: &str| tracing::debug!(ms = began.elapsed().as_millis(), "{what}");
    let (mut new, findings) = after.admit_with(judge, &base.accepted, now, &mut base.memory);
    base.keep_back(&mut new, now);
    let (going, _) = read::going(&new, &base.accepted);
    // The way back: what was, judged against what is to be. Only of what is updated does anybody ask.
    let updated = base.old.objects.iter().any(|(owner, was)| new.objects.get(owner).is_some_and(|is| is != was));
    base.memory.settle();
    let back = if updated {
        before.admit_with(judge, &Accepted(Arc::new(new.objects.clone())), now, &mut base.memory).0
    } else {
        Admitted::default()
    };
    took("judged the change and the way back");
    let mut offline = Offline::new(&new, &after.library, base.placed(sides.placed));
    took("placed");
    let mut owners: BTreeSet<&Owner> = base.old.objects.keys().chain(new.objects.keys()).chain(new.held.keys()).collect();
    owners.retain(|owner| wanted(owner));
    let owners: Vec<&Owner> = owners.into_iter().collect();
    let touched = touched(&base.old, &new, &base.offline, &offline);
    for offline in [&mut base.offline, &mut offline] {
        offline.decide(owners.iter().copied().filter(|owner| touched.as_ref().is_none_or(|touched| touched.contains(owner))));
    }
    let view = View { base, new: &new, back: &back, going: &going, offline: &offline, after, now };
    let items = view.items(&owners, touched.as_ref());
    took("compared");
    tracing::debug!(again = new.evaluated, back = back.evaluated, "counted");
    let compared = view.compared(findings, items, owners.len());
    drop((owners, touched));
    share::drop_later((new, back, offline));
    compared
}

/// Both sides, judged.
struct View<'a> {
    base: &'a Base,
    new: &'a Admitted,
    /// What was, judged against what is to be.
    back: &'a Admitted,
    going: &'a BTreeSet<Owner>,
    offline: &'a Offline,
    after: &'a Reading,
    now: Timestamp,
}

impl View<'_> {
    /// What is said of it all: `count` objects were to be looked at, and these are those that something becomes of.
    fn compared(&self, findings: Findings, items: Vec<Item>, count: usize) -> Compared {
        let Self { base, new, .. } = *self;
        let root = Owner::cluster(Kind::Landscape, new.landscape.clone());
        Compared {
            unchanged: count - items.len(),
            settings: base.settings().or_else(|| new.objects.get(&root).cloned()),
            digest: intent(&base.old.objects, new, &BTreeMap::new(), self.going, self.after.library.digest()),
            findings,
            items,
            known: base.known.clone(),
            held: base.old.held.keys().cloned().collect(),
        }
    }

    /// What becomes of these owners, of which only those that are touched are rendered; those that nothing becomes of are left out.
    fn items(&self, owners: &[&Owner], touched: Option<&BTreeSet<&Owner>>) -> Vec<Item> {
        let settings = self.base.settings();
        let (old, new, at) = (&self.base.old, self.new, self.now.as_second());
        let looked_at = share::each(owners, |owner| {
            let mut item = item(owner, old, new, self.going, self.after);
            let mut rendered = 0;
            if touched.is_none_or(|touched| touched.contains(owner)) {
                (item.consequence, rendered) = consequence::of(owner, &item.fate, &self.base.offline, self.offline);
            }
            let before = old.objects.get(*owner);
            let Some(manifest) = new.objects.get(*owner).or(before) else { return (item, rendered) };
            if let (Fate::Unchanged, Kind::Shoot) = (&item.fate, owner.kind) {
                item.effects = impact::of_kinds(item.consequence.changed_kinds(), manifest);
            }
            item.when = match item.fate {
                Fate::Updated => When::of_change(owner, before.map(Arc::as_ref), manifest, settings.as_deref(), at),
                Fate::Unchanged => When::of_sources(owner, manifest, settings.as_deref(), at),
                Fate::Created | Fate::Deleted | Fate::Held(_) | Fate::Blocked(_) => When::Now,
            };
            if !item.is_quiet() {
                let seed = self.offline.placements.decisions.get(*owner).map(|p| p.seed.as_str());
                item.about = about(owner, manifest, seed);
                item.revert = revert(&item, old, new, self.back);
            }
            (item, rendered)
        });
        let rendered: usize = looked_at.iter().map(|(_, rendered)| rendered).sum();
        tracing::debug!(owners = looked_at.len(), rendered, "looked at");
        looked_at.into_iter().map(|(item, _)| item).filter(|item| !item.is_quiet()).collect()
    }
}

impl Compared {
    /// The guards that refuse the change as a whole, after what its commits acknowledge.
    ///
    /// `said` is what files acknowledge.
    pub(super) fn breaches(&self, commits: &[Commit], said: Vec<Acknowledged>) -> Vec<Breach> {
        let touched: Vec<Touched<'_>> = self
            .items
            .iter()
            .filter(|item| !matches!(item.fate, Fate::Unchanged))
            .map(|item| Touched { owner: &item.owner, marks: item.marks() })
            .collect();
        let trailers = commits.iter().flat_map(|commit| &commit.trailers).filter(|(key, _)| key == guard::TRAILER);
        let acknowledged: Vec<Acknowledged> = trailers.filter_map(|(_, value)| Acknowledged::read(value)).chain(said).collect();
        guard::breaches(self.settings.as_deref(), &touched, &acknowledged, self.digest.as_ref())
    }

    /// Errors that belong to no object.
    pub(super) fn troubles(&self) -> Vec<Finding> {
        self.findings.iter().filter(|f| f.severity == Severity::Error && f.owner.is_empty()).cloned().collect()
    }
}

/// What becomes of one object of the landscape.
fn item(owner: &Owner, old: &Admitted, new: &Admitted, going: &BTreeSet<Owner>, after: &Reading) -> Item {
    let document = after.landscape.document(owner);
    let path = document.map(|d| after.shown(d.path()).to_string());
    let mut item = Item {
        owner: owner.clone(),
        fate: Fate::Unchanged,
        about: String::new(),
        path,
        changes: Vec::new(),
        effects: Vec::new(),
        when: When::Now,
        revert: None,
        consequence: Consequence::None,
    };
    if let Some(gone) = new.gone.get(owner) {
        item.fate = match (gone, &new.frozen) {
            (Gone::Confirmed, None) if going.contains(owner) => Fate::Deleted,
            (Gone::Confirmed, None) => Fate::Blocked("more would be deleted at once than landscape.yaml allows".to_owned()),
            (Gone::Confirmed, Some(why)) => Fate::Blocked(format!("nothing is deleted: {why}")),
            (Gone::Unconfirmed, _) => Fate::Blocked(
                "it is gone from Git, but was never confirmed to be deleted, or is in use; it stays as it was accepted; \
                 to delete it, restore its file with `confirmation.gardener.cloud/deletion: \"true\"`; and remove it in a later commit"
                    .to_owned(),
            ),
        };
        return item;
    }
    if let Some(held) = new.held.get(owner) {
        let mut findings: Vec<Finding> = held.findings.clone();
        findings.retain(|f| f.severity == Severity::Error);
        for place in findings.iter_mut().flat_map(|f| &mut f.places) {
            place.path = after.shown(&place.path);
        }
        item.fate = Fate::Held(findings);
        return item;
    }
    match (old.objects.get(owner), new.objects.get(owner)) {
        (None, Some(_)) => item.fate = Fate::Created,
        (Some(before), Some(now)) if before != now => {
            item.fate = Fate::Updated;
            item.changes = diff::fields(before, now)
                .into_iter()
                .map(|field| {
                    // A default that changed is written nowhere.
                    let place = document.filter(|d| d.value().pointer(field.pointer.as_str()).is_some() || field.after.is_none());
                    let place = place.map(|d| {
                        let mut place = d.place(&field.pointer, On::Value);
                        place.path = after.shown(&place.path);
                        place.to_string()
                    });
                    let shoot = owner.kind == Kind::Shoot;
                    let impact = if shoot { impact::of(&field, before, now) } else { Vec::new() };
                    Change { idle: shoot && is_idle(&field.path), place, impact, set: None, field }
                })
                .collect();
        }
        _ => {}
    }
    item
}

/// What taking the change of an object back would do.
fn revert(item: &Item, old: &Admitted, new: &Admitted, back: &Admitted) -> Option<Revert> {
    let owner = &item.owner;
    let done = match item.fate {
        Fate::Created => Done::Created,
        Fate::Deleted => Done::Deleted,
        Fate::Updated => {
            let (was, is) = (old.objects.get(owner)?, new.objects.get(owner)?);
            let worst = if owner.kind == Kind::Shoot { worst(is, was) } else { Mark::None };
            let findings = back.held.get(owner).map(|held| held.findings.as_slice()).unwrap_or_default();
            return Some(Revert::of(owner.kind, &Done::Changed(findings, worst)));
        }
        Fate::Held(_) | Fate::Blocked(_) | Fate::Unchanged => return None,
    };
    Some(Revert::of(owner.kind, &done))
}

/// The worst that changing one manifest of a shoot into another does.
pub(super) fn worst(before: &Value, after: &Value) -> Mark {
    let fields = diff::fields(before, after);
    let costs = fields.iter().filter(|field| !is_idle(&field.path)).flat_map(|field| impact::of(field, before, after));
    costs.map(|impact| impact.mark).max().unwrap_or(Mark::None)
}

/// The owners of which something may be rendered otherwise, where that is known without looking at each: if nothing but shoots
/// differs, it is these and those that are placed elsewhere. `None` for all.
fn touched<'a>(old: &'a Admitted, new: &'a Admitted, before: &Offline, after: &Offline) -> Option<BTreeSet<&'a Owner>> {
    let differs = |owner: &&Owner| old.objects.get(*owner) != new.objects.get(*owner);
    let mut touched: BTreeSet<&Owner> = old.objects.keys().chain(new.objects.keys()).filter(differs).collect();
    let alone = touched.iter().all(|owner| concerns_itself(owner));
    let seed = |offline: &Offline, owner: &Owner| offline.placements.decisions.get(owner).map(|placement| placement.seed.clone());
    touched.extend(new.of_kind(Kind::Shoot).map(|(owner, _)| owner).filter(|owner| seed(before, owner) != seed(after, owner)));
    (alone && before.is_made_like(after)).then_some(touched)
}

/// Whether nothing else is rendered otherwise because an object differs: a shoot, but of the project `garden` it may be a seed.
fn concerns_itself(owner: &Owner) -> bool {
    owner.kind == Kind::Shoot && owner.project != "garden"
}

/// `production · aws eu-west-1 · seed aws-eu1 · HA zone · 1.33.4`.
fn about(owner: &Owner, manifest: &Value, seed: Option<&str>) -> String {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let parts = match owner.kind {
        Kind::Shoot => vec![
            text("/spec/purpose").to_owned(),
            format!("{} {}", text("/spec/provider/type"), text("/spec/region")),
            seed.map_or_else(|| "no seed yet".to_owned(), |seed| format!("seed {seed}")),
            match text("/spec/controlPlane/highAvailability/failureTolerance/type") {
                "" => String::new(),
                kind => format!("HA {kind}"),
            },
            text("/spec/kubernetes/version").to_owned(),
        ],
        Kind::Seed => vec![format!("{} {}", text("/spec/provider/type"), text("/spec/provider/region"))],
        _ => Vec::new(),
    };
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_shoot_is_told_in_a_line() {
        let shoot = json!({"spec": {"purpose": "testing", "region": "eu", "provider": {"type": "aws"}, "kubernetes": {"version": "1.33.4"}}});
        let owner = Owner::project(crate::landscape::Kind::Shoot, "shop", "prod");
        assert_eq!(about(&owner, &shoot, Some("a")), "testing · aws eu · seed a · 1.33.4");
    }
}
