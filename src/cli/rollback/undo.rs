//! What is to be taken back, and the commit that would take all of it back: `git revert`'s, or files as they were before.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};

use super::keep::{self, Part};
use crate::cli::read::{self, Reading};
use crate::cli::selector::Selector;
use crate::cli::{Context, rollback};
use crate::document::{self, Budget};
use crate::git::{self, Commit, Message, Repo, Restore, Reverted};
use crate::landscape::Owner;
use crate::print::rollback::{Undone, named};
use crate::snapshot::{RepoPath, Revision};

/// So far back a shoot's file is looked at.
const DEPTH: usize = 10_000;

/// The commit that takes everything back.
pub(super) enum All {
    /// A commit that no reference points at.
    Made(Revision),
    /// There is nothing to take back.
    Nothing,
    /// Later commits changed the same lines of these files.
    Conflicts(Vec<RepoPath>),
}

/// What is taken back, of which objects (none: all), and the word for it in the name of a branch.
pub(super) struct Undo {
    pub(super) undone: Undone,
    pub(super) only: Vec<Owner>,
    pub(super) word: String,
    /// The message of the commit that takes it back.
    message: Message,
    /// Where files are taken from, where Git's own revert is not meant.
    source: Option<Reading>,
}

/// Finds out what the arguments mean.
pub(super) async fn find(context: &Context, repo: &Repo, args: &rollback::Args, tip: &Reading) -> anyhow::Result<Undo> {
    let trailers = args.trailers();
    if let Some(to) = &args.to {
        return since(context, repo, to, &args.targets, tip, trailers).await;
    }
    let [target] = args.targets.as_slice() else {
        bail!("one revision or one PROJECT/SHOOT is rolled back at a time; with --to REV, several of the latter");
    };
    let meant = if target.contains('/') { owners(&[tip], target).unwrap_or_default() } else { Vec::new() };
    match meant.as_slice() {
        [] => {
            let revision = read::resolve(repo, target).await?;
            let commit = described(repo, &revision).await?;
            if !repo.is_ancestor(&revision, &tip.snapshot.revision).await? {
                bail!("{} is not in the history of the branch: there is nothing of it to take back there", revision.short());
            }
            let message = git::revert_message(&commit, trailers);
            let word = revision.short().to_owned();
            Ok(Undo { undone: undone(&commit), only: Vec::new(), word, message, source: None })
        }
        [owner] => last(context, repo, owner, tip, trailers).await,
        _ => bail!("`{target}` means several objects: say --to REV to bring them back to where they were"),
    }
}

/// The objects that a selector means in any of these readings.
fn owners(sides: &[&Reading], target: &str) -> anyhow::Result<Vec<Owner>> {
    let selector: Selector = target.parse().map_err(anyhow::Error::msg)?;
    let mut found: Vec<Owner> = Vec::new();
    for side in sides {
        let known = side.landscape.objects().map(|(owner, _, _)| owner).chain(side.landscape.broken.keys().cloned());
        found.extend(known.filter(|owner| selector.matches(owner)));
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        let places = sides.iter().map(|side| side.from.as_str()).collect::<Vec<_>>().join(" or ");
        bail!("there is no object `{target}` at {places}");
    }
    Ok(found)
}

async fn described(repo: &Repo, revision: &Revision) -> anyhow::Result<Commit> {
    repo.log(revision, None, 1).await?.into_iter().next().context("the commit cannot be read")
}

fn undone(commit: &Commit) -> Undone {
    Undone::Commit(commit.revision.clone(), commit.subject.clone(), commit.parents.len() > 1)
}

async fn since(
    context: &Context,
    repo: &Repo,
    to: &str,
    targets: &[String],
    tip: &Reading,
    trailers: Vec<(String, String)>,
) -> anyhow::Result<Undo> {
    let revision = read::resolve(repo, to).await?;
    let source = read::read(read::commit(context, repo, &revision.0).await?).not_empty()?;
    if source.landscape.name != tip.landscape.name {
        bail!(
            "{} is about the landscape {}, and the branch about {}",
            revision.short(),
            source.landscape.name,
            tip.landscape.name
        );
    }
    let mut only = Vec::new();
    for target in targets {
        only.extend(owners(&[tip, &source], target)?);
    }
    let names = only.iter().map(named).collect::<Vec<_>>().join(", ");
    let what = match only.len() {
        0 => tip.landscape.name.clone(),
        1..=3 => names.clone(),
        n => format!("{n} objects"),
    };
    let body = format!("As they were at {revision}: {}.", if names.is_empty() { "all files" } else { &names });
    let message = Message { subject: format!("Return {what} to {}", revision.short()), body, trailers, author: None };
    let word = format!("to-{}", revision.short());
    Ok(Undo { undone: Undone::Since(revision), only, word, message, source: Some(source) })
}

/// The last commit that changed what an object says, with the landscape before it.
async fn last(
    context: &Context,
    repo: &Repo,
    owner: &Owner,
    tip: &Reading,
    trailers: Vec<(String, String)>,
) -> anyhow::Result<Undo> {
    let (commit, source) = last_change(context, repo, owner, tip).await?;
    let mut message = git::revert_message(&commit, trailers);
    message.subject = format!("{} for {}", message.subject, named(owner));
    message.body = format!("This reverts commit {} for {owner} only.", commit.revision);
    let word = format!("{}-{}", commit.revision.short(), owner.name);
    Ok(Undo { undone: undone(&commit), only: vec![owner.clone()], word, message, source: Some(source) })
}

async fn last_change(context: &Context, repo: &Repo, owner: &Owner, tip: &Reading) -> anyhow::Result<(Commit, Reading)> {
    let said = |side: &Reading| side.landscape.document(owner).map(|document| document.shared().clone());
    let wanted = said(tip);
    let mut at = tip.snapshot.revision.clone();
    let mut path = keep::path(tip, owner);
    loop {
        let Some(here) = &path else { bail!("it is not known where {owner} is written") };
        let full = format!("{}{here}", tip.prefix);
        let versions = repo.versions(&full, &at, DEPTH).await?;
        let Some(oldest) = versions.last() else { bail!("no commit changed {full}") };
        // Within one file, the first older version in which the object reads otherwise ends the search.
        let differs = |bytes: &[u8]| {
            let wanted = wanted.as_deref();
            let documents = document::parse(here, bytes, &Budget::default()).documents;
            !documents.iter().any(|document| Some(document.value()) == wanted)
        };
        let found = versions.windows(2).find(|pair| differs(&pair[1].bytes)).map(|pair| &pair[0]);
        let commit = found.unwrap_or(oldest).commit.clone();
        let Some(parent) = commit.parents.first().cloned() else {
            bail!("{owner} is as it was in the first commit: there is nothing before it to go back to");
        };
        let before = read::read(read::commit(context, repo, &parent.0).await?);
        // A file that was only moved is followed to where it was.
        if said(&before) != wanted || wanted.is_none() {
            return Ok((commit, before));
        }
        (at, path) = (parent, keep::path(&before, owner));
    }
}

impl Undo {
    /// Makes the commit that takes everything back, on no branch.
    pub(super) async fn all(
        &self,
        repo: &Repo,
        tip: &Reading,
        author: Option<&(String, String)>,
        now: i64,
    ) -> anyhow::Result<All> {
        let message = Message { author: author.cloned(), ..self.message.clone() };
        let onto = &tip.snapshot.revision;
        let Some(source) = &self.source else {
            let Undone::Commit(commit, ..) = &self.undone else { bail!("nothing to revert") };
            return Ok(match repo.revert(commit, onto, message, now).await? {
                Reverted::Made(revision) => All::Made(revision),
                Reverted::Nothing => All::Nothing,
                Reverted::Conflicts(paths) => All::Conflicts(paths),
            });
        };
        let from = &source.snapshot.revision;
        let wanted = if self.only.is_empty() {
            let root = tip.prefix.trim_end_matches('/');
            let paths = repo.changed_paths(Some(from), onto, root).await?;
            let paths = paths.into_iter().map(|path| RepoPath::from(format!("{}{path}", tip.prefix))).collect();
            Restore { paths, ..Restore::default() }
        } else {
            let parts: BTreeMap<Owner, Part> = self.only.iter().map(|owner| (owner.clone(), Part::Whole)).collect();
            keep::changes(source, tip, &parts)?
        };
        Ok(repo.restore(onto, from, wanted, message, now).await?.map_or(All::Nothing, All::Made))
    }

    /// First line of its message.
    pub(super) fn subject(&self) -> &str {
        &self.message.subject
    }
}
