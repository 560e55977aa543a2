//! The past of a landscape's objects, newest first: what each commit did to whom. Objects are followed by what they say they are, not
//! by the path of their file, so a renamed file is the same object. The walk is bounded, and says where it ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::document::Document;
use crate::git::{Changed, Commit, Repo};
use crate::landscape::{self, Owner};
use crate::plan::diff::{self, Field};
use crate::print::origin::{Bound, Bounded};
use crate::share;
use crate::snapshot::{BlobId, RepoPath, Revision};

mod origin;
mod setters;

pub(super) use origin::{Wanted, origins};
pub(super) use setters::setters;

/// So many commits are looked at.
pub(super) const COMMITS: usize = 1_000;
/// So many of them at once.
const AT_ONCE: usize = 50;
/// So many changed files are looked at.
const FILES: usize = 100_000;
/// Up to so many names are looked for in the text of a file before it is parsed.
const NAMES: usize = 16;

/// An object as a file had it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Its text.
    pub(super) document: Arc<Document>,
}

/// What a commit did to an object.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    /// What it was in each parent of the commit; `None` where it was not.
    pub(super) before: Vec<Option<Written>>,
    /// What it is since; `None` if it is gone.
    pub(super) after: Option<Written>,
}

/// What a commit did.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The commit.
    pub(super) commit: Commit,
    /// The objects that it touched, against every parent: a merge that only brings together touched nothing.
    pub(super) objects: BTreeMap<Owner, Touched>,
    /// The policies, templates and schemas that it touched.
    pub(super) overlays: Vec<RepoPath>,
}

impl Written {
    /// The file.
    pub(super) fn path(&self) -> &RepoPath {
        self.document.path()
    }

    fn is(&self, other: &Self) -> bool {
        self.path() == other.path() && self.document.value() == other.document.value()
    }
}

impl Touched {
    /// The fields in which it differs from what it was in every parent; of one that is new or gone, its keys.
    pub(super) fn fields(&self) -> Vec<Field> {
        let nothing = Value::Object(Map::new());
        let after = value(self.after.as_ref(), &nothing);
        let mut all = self.before.iter().map(|before| diff::fields(value(before.as_ref(), &nothing), after));
        let mut fields = all.next().unwrap_or_default();
        for others in all {
            fields.retain(|field| others.iter().any(|other| other.name == field.name));
        }
        fields
    }

    /// Whether all that it is comes from one parent or another.
    fn is_brought_together(&self) -> bool {
        let path = |written: Option<&Written>| written.map(|written| written.path().clone());
        let is = path(self.after.as_ref());
        self.before.len() > 1 && self.before.iter().any(|was| path(was.as_ref()) == is) && self.fields().is_empty()
    }

    /// What it was in the first parent.
    pub(super) fn was(&self) -> Option<&Written> {
        self.before.first().and_then(Option::as_ref)
    }
}

fn value<'v>(written: Option<&'v Written>, nothing: &'v Value) -> &'v Value {
    written.map_or(nothing, |written| written.document.value())
}

/// A file and what it held.
type Key = (RepoPath, BlobId);

/// What a file said of whom.
type Known = Arc<Vec<(Owner, Arc<Document>)>>;

/// A walk into the past.
pub(super) struct Past<'r> {
    repo: &'r Repo,
    root: String,
    commits: Vec<Commit>,
    at: usize,
    files: usize,
    known: HashMap<Key, Known>,
    names: Option<BTreeSet<String>>,
    /// The first commit that it does not look at.
    beyond: Option<Revision>,
}

impl<'r> Past<'r> {
    /// Begins at a commit, in the folder of a landscape (`prefix`, empty or ending in `/`). Of objects, only those with one of these
    /// names are of interest; `None` for all.
    pub(super) async fn begin(
        repo: &'r Repo,
        head: &Revision,
        prefix: &str,
        names: Option<BTreeSet<String>>,
        most: usize,
    ) -> anyhow::Result<Self> {
        let mut commits = repo.log(head, None, most.saturating_add(1)).await?;
        let beyond = commits.get(most).map(|commit| commit.revision.clone());
        commits.truncate(most);
        let names = names.filter(|names| names.len() <= NAMES);
        let root = prefix.trim_end_matches('/').to_owned();
        Ok(Self { repo, root, commits, at: 0, files: 0, known: HashMap::new(), names, beyond })
    }

    /// All commits that it may look at, newest first.
    pub(super) fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// Why it has not come to the beginning; `None` if it has.
    pub(super) async fn bounded(&self) -> anyhow::Result<Option<Bounded>> {
        let next = self.commits.get(self.at).map(|commit| &commit.revision).or(self.beyond.as_ref());
        let why = match next {
            Some(_) => Bound::Walk,
            None if self.repo.is_shallow().await? => Bound::Shallow,
            None => return Ok(None),
        };
        Ok(Some(Bounded { commits: self.at, why, next: next.map(ToString::to_string) }))
    }

    /// The next commits, newest first; empty when there are no more.
    pub(super) async fn next(&mut self) -> anyhow::Result<Vec<Step>> {
        let end = self.commits.len().min(self.at + AT_ONCE);
        if self.at == end || self.files > FILES {
            return Ok(Vec::new());
        }
        let commits = self.commits[self.at..end].to_vec();
        self.at = end;
        let ids: Vec<Revision> = commits.iter().map(|commit| commit.revision.clone()).collect();
        let changes = self.repo.changes(&ids, &self.root).await?;
        self.files += changes.iter().flatten().map(Vec::len).sum::<usize>();
        self.read(&changes).await?;
        Ok(commits.into_iter().zip(&changes).map(|(commit, against)| self.step(commit, against)).collect())
    }

    /// Reads the files that are not known yet. What was known for the commits before is forgotten: the next ones need the newest of it
    /// only.
    async fn read(&mut self, changes: &[Vec<Vec<Changed>>]) -> anyhow::Result<()> {
        let manifests = changes.iter().flatten().flatten().filter(|changed| landscape::is_manifest(&changed.path));
        let sides = manifests.flat_map(|changed| {
            [&changed.before, &changed.after].into_iter().flatten().map(|id| (changed.path.clone(), id.clone()))
        });
        let needed: BTreeSet<(RepoPath, BlobId)> = sides.collect();
        self.known.retain(|key, _| needed.contains(key));
        let new: Vec<(RepoPath, BlobId)> = needed.into_iter().filter(|key| !self.known.contains_key(key)).collect();
        let ids: Vec<BlobId> = new.iter().map(|(_, id)| id.clone()).collect();
        let bytes = self.repo.blobs(&ids).await?;
        let files: Vec<(Key, Option<Arc<[u8]>>)> = new.into_iter().zip(bytes).collect();
        let names = self.names.as_ref();
        let read = share::map(&files, |((path, _), bytes)| match bytes {
            Some(bytes) if names.is_none_or(|names| names.iter().any(|name| holds(bytes, name.as_bytes()))) => {
                Arc::new(landscape::written(path, bytes))
            }
            _ => Arc::default(),
        });
        self.known.extend(files.into_iter().map(|(key, _)| key).zip(read));
        Ok(())
    }

    fn step(&self, commit: Commit, against: &[Vec<Changed>]) -> Step {
        let sides: Vec<[BTreeMap<Owner, Written>; 2]> = against.iter().map(|changed| self.sides(changed)).collect();
        let mut objects = BTreeMap::new();
        let first = sides.first().into_iter().flatten().flat_map(BTreeMap::keys);
        for owner in first.collect::<BTreeSet<_>>() {
            let differs = |[before, after]: &[BTreeMap<Owner, Written>; 2]| match (before.get(owner), after.get(owner)) {
                (None, None) => false,
                (Some(before), Some(after)) => !before.is(after),
                _ => true,
            };
            if sides.iter().all(differs) {
                let before = sides.iter().map(|[before, _]| before.get(owner).cloned()).collect();
                let after = sides.iter().find_map(|[_, after]| after.get(owner).cloned());
                let touched = Touched { before, after };
                if !touched.is_brought_together() {
                    objects.insert(owner.clone(), touched);
                }
            }
        }
        let overlays = match against {
            [only] => only.iter().filter(|c| landscape::is_overlay(&c.path)).map(|c| c.path.clone()).collect(),
            _ => Vec::new(),
        };
        Step { commit, objects, overlays }
    }

    /// The objects of changed files, before and after.
    fn sides(&self, changed: &[Changed]) -> [BTreeMap<Owner, Written>; 2] {
        let side = |of: fn(&Changed) -> &Option<BlobId>| {
            let files = changed.iter().filter_map(|changed| self.known.get(&(changed.path.clone(), of(changed).clone()?)));
            let written =
                |(owner, document): &(Owner, Arc<Document>)| (owner.clone(), Written { document: Arc::clone(document) });
            files.flat_map(|known| known.iter().map(written)).collect()
        };
        [side(|changed| &changed.before), side(|changed| &changed.after)]
    }
}

/// Whether some bytes are in others.
fn holds(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(word) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
