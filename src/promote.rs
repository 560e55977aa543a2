//! Promotion: what one landscape changed goes to another as edits of the other's own documents.
//!
//! Three sides are compared object by object, by identity and not by path: what both began with, what the source has now, what the
//! target has. What the source changed is taken; what the target changed by itself is a pin and stays; what belongs to a landscape
//! (where it runs, its domains, and what its `landscape.yaml` declares) is never touched; comments and layout of the target stay.
//! A removal goes the way that a person would go: confirmed by one promotion, removed by a later one. Knows nothing about Git.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::admission::{CONFIRMATION, is_confirmed, needs_confirmation};
use crate::document::{Document, Edit};
use crate::finding::Pointer;
use crate::landscape::{Landscape, Owner};
use crate::snapshot::{Changes, RepoPath, Snapshot};

mod files;
pub mod gates;
pub mod history;
mod merge;
pub mod owned;

use files::{Files, counted};
pub use merge::Step;
use merge::{Merged, Merger, Sides, ways};
use owned::{Key, Rules};

/// What a promotion is made from.
pub struct Request<'a> {
    /// What both began with; `None` if nobody knows.
    pub base: Option<&'a Landscape>,
    /// What earlier promotions in part did to the target since, oldest first: before and after.
    pub layers: &'a [(&'a Landscape, &'a Landscape)],
    /// What held commits did to the source: before and after.
    pub held: &'a [(&'a Landscape, &'a Landscape)],
    /// The source.
    pub from: &'a Landscape,
    /// The target.
    pub to: &'a Landscape,
    /// The target's files.
    pub files: &'a Snapshot,
    /// What the source had since the base, of objects about which [`Promotion::unsure`] was said.
    pub past: &'a BTreeMap<Owner, Vec<Arc<Value>>>,
    /// What belongs to the target.
    pub rules: &'a Rules,
    /// Whether a subject is wanted at all.
    pub wanted: &'a dyn Fn(&Subject, &RepoPath) -> bool,
}

/// The label by which an object of the source is held: why.
pub const HOLD_LABEL: &str = "promotion.espalier.dev/hold";

/// What is promoted as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An object.
    Object(Owner),
    /// A file that is laid over what is built in.
    File(RepoPath),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(owner) => write!(f, "{owner}"),
            Self::File(path) => write!(f, "{path}"),
        }
    }
}

/// What is done to a subject in the target.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// It is new.
    Created,
    /// These fields get the source's values.
    Changed(Vec<Step>),
    /// Its file goes where the source's went.
    Moved(RepoPath),
    /// Its deletion is confirmed; a later promotion removes it.
    Confirmed,
    /// It goes.
    Removed,
}

/// What comes of a promotion.
#[derive(Debug, Default)]
pub struct Promotion {
    /// The files of the target that differ.
    pub changes: Changes,
    /// What is done.
    pub taken: Vec<(Subject, Deed)>,
    /// What the target changed by itself, and keeps.
    pub pinned: Vec<(Subject, Step)>,
    /// What the source changed and each landscape decides for itself.
    pub owned: BTreeSet<Subject>,
    /// What waits because a commit is held, by field.
    pub held: Vec<(Subject, String)>,
    /// What waits because its label says so, and why.
    pub labelled: Vec<(Subject, String)>,
    /// What was not wanted, and differs.
    pub unwanted: BTreeSet<Subject>,
    /// What the source let go without ever confirming that; it stays.
    pub unconfirmed: BTreeSet<Subject>,
    /// What could not be taken, and why.
    pub troubles: Vec<(Subject, String)>,
    /// Objects about which it matters what the source had before.
    pub unsure: BTreeSet<Owner>,
}

impl Promotion {
    /// Whether something is left for a later promotion.
    #[must_use]
    pub fn is_in_part(&self) -> bool {
        let waits = |(_, deed): &(Subject, Deed)| *deed == Deed::Confirmed;
        let held = !self.held.is_empty() || !self.labelled.is_empty();
        held || !self.unwanted.is_empty() || !self.troubles.is_empty() || self.taken.iter().any(waits)
    }
}

/// Promotes.
#[must_use]
pub fn promote(request: &Request<'_>) -> Promotion {
    let mut work =
        Work { request, out: Promotion::default(), files: Files::new(request.files), new: Vec::new(), gone: Vec::new() };
    let sides = [request.from, request.to].map(|side| side.objects().map(|(owner, ..)| owner).collect::<BTreeSet<_>>());
    let base = request.base.into_iter().flat_map(|base| base.objects().map(|(owner, ..)| owner).collect::<Vec<_>>());
    let owners: BTreeSet<Owner> = sides.into_iter().flatten().chain(base).collect();
    for owner in owners {
        work.object(&owner);
    }
    work.moves();
    work.create();
    work.remove();
    work.overlays();
    let Work { mut out, files, .. } = work;
    out.changes = files.changes();
    out
}

struct Work<'a> {
    request: &'a Request<'a>,
    out: Promotion,
    files: Files<'a>,
    /// Objects that come, with their documents in the source.
    new: Vec<(Owner, Arc<Document>)>,
    /// Objects that go.
    gone: Vec<(Owner, Arc<Document>)>,
}

impl Work<'_> {
    fn object(&mut self, owner: &Owner) {
        let Request { base, layers, held, from, to, past, rules, wanted, .. } = *self.request;
        let before = base.and_then(|base| base.value(owner));
        let sides = Sides {
            base: before.map(AsRef::as_ref),
            layers: layers.iter().map(|(a, b)| (a.value(owner).map(AsRef::as_ref), b.value(owner).map(AsRef::as_ref))).collect(),
            past: past.get(owner).into_iter().flatten().map(|value| Some(value.as_ref())).collect(),
            from: from.value(owner).map(AsRef::as_ref),
            to: to.value(owner).map(AsRef::as_ref),
        };
        if sides.from == sides.to {
            return;
        }
        let subject = Subject::Object(owner.clone());
        let there = [from, to].into_iter().find_map(|side| side.document(owner)).or_else(|| base?.document(owner));
        let Some(path) = there.map(|document| document.path().clone()) else { return };
        if rules.owning_path(path.as_str()).is_some() {
            if sides.from != sides.begun() && sides.from.is_some() {
                self.out.owned.insert(subject);
            }
            return;
        }
        let held: Vec<Vec<Key>> =
            held.iter().flat_map(|(a, b)| ways(a.value(owner).map(AsRef::as_ref), b.value(owner).map(AsRef::as_ref))).collect();
        let merger = Merger { kind: owner.kind, rules, held: &held };
        let changed = !merger.alike(sides.begun(), sides.from) && !merger.alike(sides.from, sides.to);
        for (side, whose) in [(from, "the landscape it comes from"), (to, "the landscape it goes to")] {
            if side.broken.contains_key(owner) {
                if changed {
                    self.out.troubles.push((subject, format!("it cannot be read in {whose}: validate shows why")));
                }
                return;
            }
        }
        if !wanted(&subject, &path) {
            if changed {
                self.out.unwanted.insert(subject);
            }
            return;
        }
        if let Some(why) = sides.from.and_then(label).filter(|_| changed) {
            self.out.labelled.push((subject, why.to_owned()));
            return;
        }
        match (sides.from, sides.to) {
            (Some(_), Some(_)) => self.both(owner, &merger, &sides),
            (Some(_), None) if !changed => {}
            (Some(_), None) if merger.is_held(&[]) => self.out.held.push((subject, String::new())),
            (Some(from_value), None) => {
                if sides.begun().is_some() {
                    // It was there, and the target let it go.
                    let step = Step { field: String::new(), before: None, after: Some(from_value.clone()) };
                    self.out.pinned.push((subject, step));
                } else if let Some(document) = from.document(owner) {
                    self.new.push((owner.clone(), Arc::clone(document)));
                }
            }
            (None, Some(_)) if merger.is_held(&[]) && changed => self.out.held.push((subject, String::new())),
            (None, Some(now)) => self.removal(owner, &merger, &sides, now),
            (None, None) => {}
        }
    }

    fn both(&mut self, owner: &Owner, merger: &Merger<'_>, sides: &Sides<'_>) {
        let subject = Subject::Object(owner.clone());
        let mut merged: Merged = merger.merge(sides);
        let [taken, pinned] = [&mut merged.taken, &mut merged.pinned].map(std::mem::take);
        if !pinned.is_empty() {
            self.out.unsure.insert(owner.clone());
        }
        if !merged.owned.is_empty() {
            self.out.owned.insert(subject.clone());
        }
        self.out.held.extend(merged.held.drain(..).map(|field| (subject.clone(), field)));
        self.out.pinned.extend(pinned.into_iter().map(|step| (subject.clone(), step)));
        let Some(document) = self.request.to.document(owner) else { return };
        if taken.is_empty() {
            return;
        }
        match self.files.edit(document.path(), document.index(), &merged.edits()) {
            Ok(()) => self.out.taken.push((subject, Deed::Changed(taken))),
            Err(why) => self.out.troubles.push((subject, why)),
        }
    }

    /// Something that the source had and has no more.
    fn removal(&mut self, owner: &Owner, merger: &Merger<'_>, sides: &Sides<'_>, now: &Value) {
        let Request { from, to, .. } = *self.request;
        let earlier: Vec<&Value> =
            sides.begun().into_iter().chain(sides.base).chain(sides.past.iter().flatten().copied()).collect();
        let Some(document) = to.document(owner) else { return };
        if earlier.is_empty() {
            // The target's own, unless its source's history says otherwise.
            if self.request.base.is_none() {
                self.out.unsure.insert(owner.clone());
            }
            return;
        }
        let subject = Subject::Object(owner.clone());
        if !from.unknown.is_empty() {
            let why = "it is gone where it comes from, but a document there cannot be read and may be it".to_owned();
            self.out.troubles.push((subject, why));
            return;
        }
        let known = |value: &&Value| merger.alike(Some(&unconfirmed(value)), Some(&unconfirmed(now)));
        if !earlier.iter().any(known) {
            self.out.unsure.insert(owner.clone());
            self.out.pinned.push((subject, Step { field: String::new(), before: Some(now.clone()), after: None }));
        } else if !needs_confirmation(owner.kind) || is_confirmed(now) {
            self.gone.push((owner.clone(), Arc::clone(document)));
        } else if earlier.iter().any(|value| is_confirmed(value)) {
            let pointer = Pointer::root().key("metadata").key("annotations").key(CONFIRMATION);
            let edit = Edit::Set { pointer, value: Value::String("true".to_owned()) };
            match self.files.edit(document.path(), document.index(), &[edit]) {
                Ok(()) => self.out.taken.push((subject, Deed::Confirmed)),
                Err(why) => self.out.troubles.push((subject, why)),
            }
        } else {
            self.out.unsure.insert(owner.clone());
            self.out.unconfirmed.insert(subject);
        }
    }

    /// Files that the source moved follow, where the target left them in place and nothing else is in them.
    fn moves(&mut self) {
        let Request { base: Some(base), from, to, wanted, rules, .. } = *self.request else { return };
        let documents: Vec<(Owner, Arc<Document>)> =
            to.objects().map(|(owner, _, document)| (owner, Arc::clone(document))).collect();
        let counts = counted(documents.iter().map(|(_, document)| &**document));
        for (owner, document) in documents {
            let (Some(was), Some(is)) = (base.document(&owner), from.document(&owner)) else { continue };
            let (old, new) = (document.path(), is.path());
            let subject = Subject::Object(owner);
            let follows = was.path() == old && new != old && counts.get(old) == Some(&1) && !self.files.has(new);
            let own = [old, new].into_iter().any(|path| rules.owning_path(path.as_str()).is_some());
            if follows && !own && wanted(&subject, new) {
                let text = self.files.text(old).map(str::to_owned);
                self.files.write(new, text);
                self.files.write(old, None);
                self.out.taken.push((subject, Deed::Moved(new.clone())));
            }
        }
    }

    fn create(&mut self) {
        let counts = counted(self.request.from.objects().map(|(_, _, document)| &**document).collect::<Vec<_>>().into_iter());
        let mut by_file: BTreeMap<RepoPath, Vec<(Owner, Arc<Document>)>> = BTreeMap::new();
        for (owner, document) in std::mem::take(&mut self.new) {
            by_file.entry(document.path().clone()).or_default().push((owner, document));
        }
        for (path, mut new) in by_file {
            new.sort_by_key(|(_, document)| document.index());
            let parsed = crate::document::parse(&path, new[0].1.text().as_bytes(), &crate::document::Budget::default());
            // Documents that are no objects (secrets, distances) do not come along.
            let whole = counts.get(&path) == Some(&new.len()) && parsed.documents.len() + parsed.broken.len() == new.len();
            let documents: Vec<&Document> = new.iter().map(|(_, document)| &**document).collect();
            self.files.add(&path, &documents, whole);
            for (owner, document) in &new {
                let subject = Subject::Object(owner.clone());
                match self.disown(&path, owner, document) {
                    Ok(()) => self.out.taken.push((subject, Deed::Created)),
                    Err(why) => self.out.troubles.push((subject, why)),
                }
            }
        }
    }

    /// Takes out of a new object what each landscape decides for itself.
    fn disown(&mut self, path: &RepoPath, owner: &Owner, source: &Document) -> Result<(), String> {
        let found = self.request.rules.not_initial(owner.kind, source.value());
        if found.is_empty() {
            return Ok(());
        }
        let pointer = |keys: &Vec<Key>| {
            keys.iter().fold(Pointer::root(), |pointer, key| match key {
                Key::Field(name) | Key::Item(name) => pointer.key(name),
            })
        };
        let edits: Vec<Edit> = found.iter().map(|keys| Edit::Remove { pointer: pointer(keys) }).collect();
        let parsed = self.files.parsed(path);
        let document = parsed.documents.iter().find(|document| document.value() == source.value());
        let index = document.ok_or("it cannot be read where it was written")?.index();
        self.files.edit(path, index, &edits)
    }

    fn remove(&mut self) {
        let mut gone = std::mem::take(&mut self.gone);
        gone.sort_by(|(_, a), (_, b)| (a.path(), b.index()).cmp(&(b.path(), a.index())));
        for (owner, document) in gone {
            let subject = Subject::Object(owner);
            match self.files.remove(document.path(), document.index()) {
                Ok(()) => self.out.taken.push((subject, Deed::Removed)),
                Err(why) => self.out.troubles.push((subject, why)),
            }
        }
    }

    /// Policies, templates and schemas, file by file.
    fn overlays(&mut self) {
        let Request { base, layers, held, from, to, rules, wanted, .. } = *self.request;
        let paths: BTreeSet<&RepoPath> = from.overlays.keys().chain(to.overlays.keys()).collect();
        for path in paths {
            let of = |landscape: &Landscape| landscape.overlays.get(path).cloned();
            let (now, wish) = (of(to), of(from));
            let written = layers.iter().rev().map(|(a, b)| (of(a), of(b))).find(|(a, b)| a != b);
            let begun = written.map_or_else(|| base.and_then(of), |(_, after)| after);
            if now == wish || wish == begun || (wish.is_none() && base.is_none()) {
                continue;
            }
            let subject = Subject::File(path.clone());
            if rules.owning_path(path.as_str()).is_some() {
                self.out.owned.insert(subject);
            } else if !wanted(&subject, path) {
                self.out.unwanted.insert(subject);
            } else if held.iter().any(|(a, b)| of(a) != of(b)) {
                self.out.held.push((subject, String::new()));
            } else if now != begun {
                self.out.pinned.push((subject, Step { field: String::new(), before: None, after: None }));
            } else {
                let deed = match (&now, &wish) {
                    (None, _) => Deed::Created,
                    (_, None) => Deed::Removed,
                    _ => Deed::Changed(Vec::new()),
                };
                self.files.write(path, wish.map(|text| text.to_string()));
                self.out.taken.push((subject, deed));
            }
        }
    }
}

/// Why an object of the source is held, if its label says that it is.
fn label(value: &Value) -> Option<&str> {
    value.get("metadata")?.get("labels")?.get(HOLD_LABEL)?.as_str()
}

/// A manifest without the confirmation of its deletion.
fn unconfirmed(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(Value::Object(metadata)) = value.get_mut("metadata")
        && let Some(Value::Object(annotations)) = metadata.get_mut("annotations")
    {
        annotations.remove(CONFIRMATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    value
}
