//! `plan --watch`: the plan again and again, at the cost of what changed in between.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::touched::{Touched, Watch};
use super::{Args, revisions, show, told, wish};
use crate::cli::compare::{Quick, Sides};
use crate::cli::read::{self, Reading, Source, WORKTREE};
use crate::cli::reported::Reported;
use crate::cli::{Context, Exit};
use crate::git::{self, Repo};
use crate::landscape::{self, FileMemo, Owner};
use crate::library::Library;
use crate::print::preview::Preview;
use crate::snapshot::{Differing, RepoPath, Revision, Snapshot};

/// How often a remote repository is asked.
const POLL: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let (mut desk, mut preview) = Desk::open(context, args).await?;
    let root = read::root(&context.settings);
    let mut files = (desk.to == WORKTREE).then(|| Watch::start(&root)).transpose()?;
    let mut references = desk.repo.watch().await?;
    loop {
        show(context, args, &preview);
        desk.prepare(context, args)?;
        preview = loop {
            let moved = tokio::select! {
                touched = touched(&mut files) => Moved::Files(touched?),
                () = signal(&mut references) => Moved::References,
            };
            match desk.follow(context, args, moved).await {
                Ok(Some(preview)) => break preview,
                Ok(None) => {}
                Err(error) => context.printer.failure(&error),
            }
        };
    }
}

/// What may have moved.
enum Moved {
    Files(Touched),
    References,
}

async fn touched(files: &mut Option<Watch>) -> anyhow::Result<Touched> {
    match files {
        Some(files) => files.touched().await,
        None => std::future::pending().await,
    }
}

/// Waits until references may have moved. Nobody signals those of a remote repository.
async fn signal(references: &mut Option<git::Watch>) {
    match references {
        Some(references) => references.changed().await,
        None => tokio::time::sleep(POLL).await,
    }
}

/// What is planned from, as it was last.
struct Desk {
    repo: Repo,
    from: String,
    to: String,
    memo: FileMemo,
    before: Reading,
    after: Reading,
    judge: Arc<Library>,
    /// The commit that the policies are from, if it is another one.
    judged_by: Option<Revision>,
    reported: Reported,
    quick: Quick,
}

impl Desk {
    /// Reads both sides, and plans.
    async fn open(context: &Context, args: &Args) -> anyhow::Result<(Self, Preview)> {
        let (from, to) = revisions(context, args).await?;
        if from == WORKTREE {
            anyhow::bail!("--watch compares with a revision, and the work tree is none: say --from REV");
        }
        let repo = read::repository(&context.settings).await?;
        let mut memo = FileMemo::default();
        let before = read::read_with(read::commit(context, &repo, &from).await?, &mut memo);
        let source =
            if to == WORKTREE { read::revision(context, WORKTREE).await? } else { read::commit(context, &repo, &to).await? };
        let after = read::read_with(source, &mut memo).not_empty()?;
        let (judge, judged_by) = match &args.policies_from {
            Some(rev) if rev == WORKTREE => (read::library(context, rev).await?, None),
            Some(rev) => (read::library(context, rev).await?, Some(read::resolve(&repo, rev).await?)),
            None => (before.library.clone(), None),
        };
        let reported = Reported::of(&repo, &before.landscape.name).await?;
        let committed = (to != WORKTREE).then_some(after.snapshot.committed);
        let now = read::now(&context.settings, args.now, committed)?;
        let sides = Sides { before: &before, after: &after, judge: &judge, now, placed: reported.placed() };
        let mut quick = Quick::new(&sides);
        let compared = quick.whole(&sides, |owner| wanted(args, owner));
        let preview = told(context, &wish(args, &from, &to), &sides, compared, Some(&repo), &reported).await?;
        Ok((Self { repo, from, to, memo, before, after, judge, judged_by, reported, quick }, preview))
    }

    /// Makes ready for what comes next, while the reader looks at what came last.
    fn prepare(&mut self, context: &Context, args: &Args) -> anyhow::Result<()> {
        let now = self.now(context, args)?;
        let Self { before, after, judge, reported, quick, .. } = self;
        let sides = Sides { before, after, judge, now, placed: reported.placed() };
        if !quick.is_ready() {
            quick.prepare(&sides, |owner| wanted(args, owner));
        }
        Ok(())
    }

    fn now(&self, context: &Context, args: &Args) -> anyhow::Result<Timestamp> {
        read::now(&context.settings, args.now, (self.to != WORKTREE).then_some(self.after.snapshot.committed))
    }

    /// Plans again if something moved that the plan is about.
    async fn follow(&mut self, context: &Context, args: &Args, moved: Moved) -> anyhow::Result<Option<Preview>> {
        if matches!(moved, Moved::References) && self.is_outdated(context, args).await? {
            let preview;
            (*self, preview) = Self::open(context, args).await?;
            return Ok(Some(preview));
        }
        let differing = match moved {
            Moved::References if self.to == WORKTREE => return Ok(None),
            Moved::References => {
                let revision = read::resolve(&self.repo, &self.to).await?;
                if revision == self.after.snapshot.revision {
                    return Ok(None);
                }
                let folder = self.after.prefix.trim_end_matches('/');
                self.repo.differing(&self.after.snapshot.revision, &revision, folder).await?
            }
            Moved::Files(touched) => {
                let differing = look(&read::root(&context.settings), &self.after.snapshot, touched)?;
                if differing.files.is_empty() {
                    return Ok(None);
                }
                differing
            }
        };
        self.again(context, args, differing).await.map(Some)
    }

    /// Whether anything else moved than what is compared: the side before, the policies, or what is reported.
    async fn is_outdated(&self, context: &Context, args: &Args) -> anyhow::Result<bool> {
        if self.repo.location().is_remote() {
            self.repo.fetch().await?;
        }
        let (from, to) = revisions(context, args).await?;
        let mut outdated = to != self.to || read::resolve(&self.repo, &from).await? != self.before.snapshot.revision;
        if let (Some(rev), Some(judged_by)) = (&args.policies_from, &self.judged_by) {
            outdated |= read::resolve(&self.repo, rev).await? != *judged_by;
        }
        let status = git::status_reference(&self.before.landscape.name);
        Ok(outdated || self.repo.resolve(&status).await? != self.reported.commit)
    }

    /// Plans with these files in their place.
    async fn again(&mut self, context: &Context, args: &Args, differing: Differing) -> anyhow::Result<Preview> {
        let began = Instant::now();
        let names = named(&differing);
        let Self { after, memo, .. } = self;
        let amended = landscape::amend(&mut after.landscape, &after.snapshot.files, &differing.files, memo);
        after.snapshot.amend(differing);
        if self.to != WORKTREE {
            after.from = after.snapshot.revision.short().to_owned();
        }
        if amended.is_none() {
            let source = Source { snapshot: after.snapshot.clone(), from: after.from.clone(), prefix: after.prefix.clone() };
            *after = read::read_with(source, memo);
            after.is_something()?;
        }
        let now = self.now(context, args)?;
        let Self { before, after, judge, reported, quick, .. } = self;
        let sides = Sides { before, after, judge, now, placed: reported.placed() };
        if !quick.holds(now) {
            *quick = Quick::new(&sides);
        }
        let wanted = |owner: &Owner| wanted(args, owner);
        let compared = amended.and_then(|owners| quick.compare(&sides, owners, wanted));
        let compared = compared.unwrap_or_else(|| quick.whole(&sides, wanted));
        let preview =
            told(context, &wish(args, &self.from, &self.to), &sides, compared, Some(&self.repo), &self.reported).await?;
        context.printer.note(&format!("{names}: planned in {} ms", began.elapsed().as_millis()));
        Ok(preview)
    }
}

/// What touched files have otherwise than they had.
fn look(root: &Path, before: &Snapshot, touched: Touched) -> anyhow::Result<Differing> {
    let Touched::Paths(paths) = touched else { return Ok(read::differing(before, read::work_tree(root)?.snapshot)) };
    let mut files = BTreeMap::new();
    for below in paths {
        let name = RepoPath::from(below.to_string_lossy().into_owned());
        match read::one(&root.join(&below)) {
            // A folder that came, went or was renamed with everything that is in it.
            Err(error) if error.kind() == ErrorKind::IsADirectory => {
                return Ok(read::differing(before, read::work_tree(root)?.snapshot));
            }
            blob => {
                let blob = blob.with_context(|| format!("failed to read {}", below.display()))?;
                let below = format!("{name}/");
                let was = before.files.get(&name);
                let inside = before.files.range(RepoPath::from(below.as_str())..).next();
                if blob.is_none() && inside.is_some_and(|(path, _)| path.as_str().starts_with(&below)) {
                    return Ok(read::differing(before, read::work_tree(root)?.snapshot));
                }
                if was.map(|was| (&was.id, was.kind)) != blob.as_ref().map(|blob| (&blob.id, blob.kind)) {
                    files.insert(name, blob);
                }
            }
        }
    }
    Ok(Differing { heading: read::heading(), files })
}

/// Which files differ, in a few words.
fn named(differing: &Differing) -> String {
    let mut names: Vec<&str> = differing.files.keys().map(RepoPath::as_str).collect();
    let more = names.len().saturating_sub(3);
    names.truncate(3);
    match (names.is_empty(), more) {
        (true, _) => "no file differs".to_owned(),
        (_, 0) => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}

fn wanted(args: &Args, owner: &Owner) -> bool {
    args.selectors.is_empty() || args.selectors.iter().any(|selector| selector.matches(owner))
}
