//! Where commands read a landscape from: a folder on disk that is at no revision, or a commit of a repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Context;
use crate::admission::{self, Accepted, Admitted};
use crate::config::{self, Settings};
use crate::finding::{Findings, Severity};
use crate::git::{Credentials, GitError, Location, Repo};
use crate::landscape::{self, FileMemo, Kind, Landscape, Owner};
use crate::library::Library;
use crate::pipeline;
use crate::plan::acknowledged;
use crate::print::Checked;
use crate::snapshot::{RepoPath, Revision, Snapshot};

mod worktree;

pub(super) use worktree::{CLAIMED, differing, file, heading, is_claimed, is_same, one, work_tree};

/// The word for files on disk where a revision is expected.
pub(super) const WORKTREE: &str = "WORKTREE";

/// The file that makes a folder a landscape.
const MARK: &str = "landscape.yaml";

/// The files of a landscape and how to speak of them.
pub(super) struct Source {
    pub(super) snapshot: Snapshot,
    /// `9e07d31`, or the folder.
    pub(super) from: String,
    /// What to put before paths so that the reader can open them; empty or ending in `/`.
    pub(super) prefix: String,
}

/// A landscape that was read, with the library that its overlays make.
pub(super) struct Reading {
    pub(super) snapshot: Snapshot,
    pub(super) from: String,
    pub(super) prefix: String,
    pub(super) landscape: Landscape,
    pub(super) library: Arc<Library>,
    /// What loading and compiling found.
    pub(super) findings: Findings,
    /// How long loading took, short of reading the files.
    pub(super) took: Duration,
}

/// Loads a landscape and compiles its overlays.
pub(super) fn read(source: Source) -> Reading {
    read_with(source, &mut FileMemo::default())
}

/// The same; files that were read for another revision are not read again.
pub(super) fn read_with(source: Source, memo: &mut FileMemo) -> Reading {
    let Source { snapshot, from, prefix } = source;
    let began = Instant::now();
    let (landscape, mut findings) = landscape::load(&snapshot, memo);
    let took = began.elapsed();
    let (library, compiled) = Library::compile(&landscape.overlays);
    findings.extend(compiled);
    Reading { snapshot, from, prefix, landscape, library: Arc::new(library), findings, took }
}

impl Reading {
    /// Admits what was read, by its own policies.
    pub(super) fn admit(&self, accepted: &Accepted, now: Timestamp) -> (Admitted, Findings) {
        self.admit_by(&self.library, accepted, now)
    }

    /// Admits what was read, by the policies of a library that may be another one's: no branch is judged by what it says itself.
    pub(super) fn admit_by(&self, judge: &Library, accepted: &Accepted, now: Timestamp) -> (Admitted, Findings) {
        self.admit_with(judge, accepted, now, &mut admission::Memory::default())
    }

    /// The same, with what was remembered of another revision.
    pub(super) fn admit_with(
        &self,
        judge: &Library,
        accepted: &Accepted,
        now: Timestamp,
        memory: &mut admission::Memory,
    ) -> (Admitted, Findings) {
        let (admitted, mut findings) = admission::admit(&self.landscape, accepted, judge.policies(), now.as_second(), memory);
        findings.extend(self.findings.clone());
        findings.extend(going(&admitted, accepted).1);
        findings.extend(acknowledged::check(&self.landscape, now));
        (admitted, findings.sorted())
    }

    /// What was checked, with paths that the reader can open.
    pub(super) fn checked(&self, findings: Findings) -> Checked {
        let findings = Findings(
            findings
                .into_iter()
                .map(|mut finding| {
                    for place in &mut finding.places {
                        place.path = self.shown(&place.path);
                    }
                    finding
                })
                .collect(),
        );
        let mut owners: BTreeSet<Owner> = self.landscape.objects().map(|(owner, _, _)| owner).collect();
        owners.extend(self.landscape.broken.keys().cloned());
        Checked { landscape: self.landscape.name.clone(), from: self.from.clone(), findings, owners }
    }

    /// A path of the landscape as the reader can open it. Files of the program itself are in no repository.
    pub(super) fn shown(&self, path: &RepoPath) -> RepoPath {
        let built_in = path.as_str().starts_with("templates/") || path.as_str().starts_with("policies/");
        if built_in && !self.snapshot.files.contains_key(path) {
            return path.clone();
        }
        format!("{}{path}", self.prefix).into()
    }

    /// The text of a file by the path that it is shown with.
    pub(super) fn text(&self, shown: &RepoPath) -> Option<Arc<str>> {
        let path = shown.as_str().strip_prefix(&self.prefix)?;
        let blob = self.snapshot.files.get(path)?;
        std::str::from_utf8(&blob.bytes).ok().map(Arc::from)
    }

    /// The same, if there is a landscape at all.
    pub(super) fn not_empty(self) -> anyhow::Result<Self> {
        self.is_something()?;
        Ok(self)
    }

    /// An error if there is no landscape at all.
    pub(super) fn is_something(&self) -> anyhow::Result<()> {
        if self.landscape.name.is_empty() && self.landscape.objects().next().is_none() {
            bail!(
                "there is no landscape in {}: go into its folder, or say --path DIR, or --landscape NAME for its branch",
                self.from
            );
        }
        Ok(())
    }

    /// Says on stderr what keeps objects of this revision from being used.
    pub(super) fn complain(&self, context: &Context, findings: &Findings) {
        let errors = findings.count(Severity::Error);
        if errors > 0 {
            let problems = crate::print::table::count(errors, "error");
            context.printer.note(&format!("{problems} in {}; `espalier validate` shows them", self.from));
        }
    }
}

/// The library of a revision, for its policies; its manifests are not looked at.
pub(super) async fn library(context: &Context, rev: &str) -> anyhow::Result<Arc<Library>> {
    let mut source = revision(context, rev).await?;
    source.snapshot.files.retain(|path, _| landscape::is_overlay(path));
    Ok(read(source).library)
}

/// Which confirmed deletions are within the budget; its size is read from what was accepted before.
pub(super) fn going(admitted: &Admitted, accepted: &Accepted) -> (BTreeSet<Owner>, Findings) {
    let root = Owner::cluster(Kind::Landscape, admitted.landscape.clone());
    let settings = accepted.0.get(&root).or_else(|| admitted.objects.get(&root));
    pipeline::budget(admitted, settings.map(Arc::as_ref))
}

/// The time that a command takes as now: what was said, what the environment says, else `otherwise`.
pub(super) fn now(settings: &Settings, said: Option<Timestamp>, otherwise: Option<i64>) -> anyhow::Result<Timestamp> {
    if let Some(said) = said {
        return Ok(said);
    }
    if let Some(text) = &settings.now {
        return text.parse().with_context(|| format!("ESPALIER_NOW is not an RFC 3339 time: `{text}`"));
    }
    Ok(otherwise.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_else(config::now))
}

/// Whether flags or the environment name a commit to read.
pub(super) fn names_commit(settings: &Settings) -> bool {
    let global = &settings.global;
    global.rev.as_deref().is_some_and(|rev| rev != WORKTREE) || global.repo.is_some() || global.landscape.is_some()
}

/// The landscape that the global flags mean: a commit where they name one, else the folder around the working directory, else the
/// checked-out commit of the repository around it.
pub(super) async fn source(context: &Context) -> anyhow::Result<Source> {
    let global = &context.settings.global;
    match global.rev.as_deref() {
        Some(rev) => revision(context, rev).await,
        None if names_commit(&context.settings) => revision(context, &default_revision(&context.settings)).await,
        None => match around(Path::new("."), &global.path) {
            Some(root) => work_tree(&root),
            None => revision(context, "HEAD").await,
        },
    }
}

/// The landscape at a revision, or in the work tree if the revision is [`WORKTREE`].
pub(super) async fn revision(context: &Context, said: &str) -> anyhow::Result<Source> {
    if said == WORKTREE {
        return work_tree(&root(&context.settings));
    }
    let repo = repository(&context.settings).await?;
    commit(context, &repo, said).await
}

/// The folder of the landscape whose work tree is meant.
pub(super) fn root(settings: &Settings) -> PathBuf {
    let base = PathBuf::from(settings.global.repo.as_deref().unwrap_or("."));
    around(&base, &settings.global.path).unwrap_or_else(|| base.join(&settings.global.path))
}

/// The landscape at a revision of an open repository.
pub(super) async fn commit(context: &Context, repo: &Repo, said: &str) -> anyhow::Result<Source> {
    let revision = resolve(repo, said).await?;
    let mut root = context.settings.global.path.trim_matches('/').to_owned();
    // Inside a landscape that is a folder of its repository, that folder is meant, where the revision has it.
    let snapshot = match folder_in_repository(&context.settings) {
        Some(folder) if root.is_empty() => match repo.snapshot(&revision, &folder).await {
            Ok(snapshot) => {
                root = folder;
                snapshot
            }
            Err(GitError::RootMissing { .. }) => repo.snapshot(&revision, "").await?,
            Err(error) => return Err(error.into()),
        },
        _ => repo.snapshot(&revision, &root).await?,
    };
    let prefix = if root.is_empty() { String::new() } else { format!("{root}/") };
    Ok(Source { from: revision.short().to_owned(), snapshot, prefix })
}

/// The landscape around the working directory as a folder of the repository around it; `None` if it is all of it.
fn folder_in_repository(settings: &Settings) -> Option<String> {
    if settings.global.repo.is_some() {
        return None;
    }
    let folder = around(Path::new("."), "")?.canonicalize().ok()?;
    let below = folder.strip_prefix(enclosing(Path::new("."))?).ok()?.to_str()?.to_owned();
    (!below.is_empty()).then_some(below)
}

/// The landscape as it was committed, for what is told about commits: as [`source`], but the checked-out commit comes before the
/// files beside it.
pub(super) async fn committed(context: &Context) -> anyhow::Result<Source> {
    let settings = &context.settings;
    if !names_commit(settings)
        && settings.global.rev.is_none()
        && let Ok(repo) = repository(settings).await
        && let Ok(found) = commit(context, &repo, "HEAD").await
        && found.snapshot.files.contains_key(MARK)
    {
        return Ok(found);
    }
    source(context).await
}

/// The commit that is meant: a revision expression, or the name of a landscape.
pub(super) async fn resolve(repo: &Repo, said: &str) -> anyhow::Result<Revision> {
    for name in [said.to_owned(), format!("refs/heads/landscape/{said}")] {
        if let Some(revision) = repo.resolve(&name).await? {
            return Ok(revision);
        }
    }
    let shown = said.strip_prefix("refs/heads/").unwrap_or(said);
    bail!("there is no revision `{shown}` in {}{}", repo.location(), cut_off(repo).await?)
}

/// The last commit that two revisions have in common.
pub(super) async fn merge_base(repo: &Repo, one: &str, other: &str) -> anyhow::Result<Revision> {
    let (a, b) = (resolve(repo, one).await?, resolve(repo, other).await?);
    match repo.merge_base(&a, &b).await? {
        Some(base) => Ok(base),
        None => bail!("`{one}` and `{other}` have no commit in common{}", cut_off(repo).await?),
    }
}

/// What to say where a commit is missing because the clone is not whole.
async fn cut_off(repo: &Repo) -> anyhow::Result<&'static str> {
    let shallow = repo.is_shallow().await?;
    Ok(if shallow { ", whose history is cut off: `git fetch --unshallow` brings the rest" } else { "" })
}

/// The revision to read when none is said: the landscape's branch, else what is checked out.
pub(super) fn default_revision(settings: &Settings) -> String {
    match &settings.global.landscape {
        Some(name) => format!("refs/heads/landscape/{name}"),
        None => "HEAD".to_owned(),
    }
}

/// Opens the repository that `--repo` names, or the one around the working directory; a remote one is brought up to date.
pub(super) async fn repository(settings: &Settings) -> anyhow::Result<Repo> {
    let location = match &settings.global.repo {
        Some(text) => match text.parse()? {
            Location::Path(path) => Location::Path(enclosing(&path).unwrap_or(path)),
            remote @ Location::Url { .. } => remote,
        },
        None => match enclosing(Path::new(".")) {
            Some(path) => Location::Path(path),
            None => bail!("this folder is in no Git repository: say --repo PATH|URL"),
        },
    };
    let credentials = Credentials {
        token: settings.git_token.clone().map(Zeroizing::new),
        agent: settings.ssh_agent,
        ..Credentials::default()
    };
    let cache = settings.home.as_ref().map_or_else(std::env::temp_dir, |home| home.join(".cache")).join("espalier");
    let repo = Repo::open(location, &cache, credentials).await?;
    if repo.location().is_remote() {
        repo.fetch().await?;
    }
    Ok(repo)
}

/// The repository around a folder.
pub(super) fn enclosing(start: &Path) -> Option<PathBuf> {
    let start = start.canonicalize().ok()?;
    let is_repository = |dir: &Path| dir.join(".git").exists() || (dir.join("HEAD").is_file() && dir.join("objects").is_dir());
    start.ancestors().find(|dir| is_repository(dir)).map(Path::to_owned)
}

/// The landscape folder that a path is in: itself, one above, or `path` below the repository around it.
pub(super) fn around(start: &Path, path: &str) -> Option<PathBuf> {
    let direct = start.join(path.trim_matches('/'));
    if direct.join(MARK).is_file() {
        return Some(if path.trim_matches('/').is_empty() { start.to_owned() } else { direct });
    }
    let absolute = start.canonicalize().ok()?;
    let mut up = PathBuf::from(start);
    if start.is_file() {
        up.pop();
    }
    // Relative paths stay relative, so that what is shown is what a person would type.
    for dir in absolute.ancestors().skip(usize::from(!start.is_file())) {
        if start.is_file() && up.join(MARK).is_file() {
            return Some(up);
        }
        if dir.join(MARK).is_file() {
            return Some(dir.to_owned());
        }
        if dir.join(".git").exists() {
            return None;
        }
    }
    None
}

/// Landscapes in the folders below, for a hint.
pub(super) fn nearby(start: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(start.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            let path = entry.path();
            if path.join(MARK).is_file() {
                found.push(path);
            } else if depth < 2 && !entry.file_name().to_string_lossy().starts_with('.') {
                folders.push((path, depth + 1));
            }
        }
    }
    found.sort();
    found
}
