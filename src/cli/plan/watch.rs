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
use super::{Args, name, revisions, show, told, wish};
use crate::cli::compare::{Quick, Sides};
use crate::cli::read::{self, Reading, Source, WORKTREE};
use crate::cli::reported::Reported;
use crate::cli::selector;
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
    read: Read,
    /// The commit that the policies are from, if it is another one.
    judged_by: Option<Revision>,
    quick: Quick,
}

/// What was read.
struct Read {
    before: Reading,
    after: Reading,
    judge: Arc<Library>,
    reported: Reported,
    /// Where shoots are reported to be.
    placed: BTreeMap<Owner, String>,
}

impl Read {
    fn sides(&self, now: Timestamp) -> Sides<'_> {
        Sides { before: &self.before, after: &self.after, judge: &self.judge, now, placed: &self.placed }
    }

    fn now(&self, context: &Context, args: &Args) -> anyhow::Result<Timestamp> {
        let committed = (self.after.snapshot.revision.0 != WORKTREE).then_some(self.after.snapshot.committed);
        read::now(&context.settings, args.now, committed)
    }
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
        let reported = Reported::of(&repo, name(&before, &after)).await?;
        let placed = reported.placed();
        let read = Read { before, after, judge, reported, placed };
        let sides = read.sides(read.now(context, args)?);
        let mut quick = Quick::new(&sides);
        let compared = quick.whole(&sides, |owner| selector::wanted(&args.selectors, owner));
        let preview = told(context, &wish(args, &from, &to), &sides, compared, Some(&repo), &read.reported).await?;
        Ok((Self { repo, from, to, memo, read, judged_by, quick }, preview))
    }

    /// Makes ready for what comes next, while the reader looks at what came last.
    fn prepare(&mut self, context: &Context, args: &Args) -> anyhow::Result<()> {
        let sides = self.read.sides(self.read.now(context, args)?);
        self.quick.prepare(&sides, |owner| selector::wanted(&args.selectors, owner));
        Ok(())
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
                let after = &self.read.after;
                if revision == after.snapshot.revision {
                    return Ok(None);
                }
                self.repo.differing(&after.snapshot.revision, &revision, after.prefix.trim_end_matches('/')).await?
            }
            Moved::Files(touched) => {
                let differing = look(&read::root(&context.settings), &self.read.after.snapshot, touched)?;
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
        let mut outdated = to != self.to || read::resolve(&self.repo, &from).await? != self.read.before.snapshot.revision;
        if let (Some(rev), Some(judged_by)) = (&args.policies_from, &self.judged_by) {
            outdated |= read::resolve(&self.repo, rev).await? != *judged_by;
        }
        let status = git::status_reference(name(&self.read.before, &self.read.after));
        Ok(outdated || self.repo.resolve(&status).await? != self.read.reported.commit)
    }

    /// Plans with these files in their place.
    async fn again(&mut self, context: &Context, args: &Args, differing: Differing) -> anyhow::Result<Preview> {
        let began = Instant::now();
        let names = named(&differing);
        let Self { read: Read { after, .. }, memo, .. } = self;
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
        let Self { read, quick, .. } = self;
        let sides = read.sides(read.now(context, args)?);
        if !quick.holds(sides.now) {
            *quick = Quick::new(&sides);
        }
        let wanted = |owner: &Owner| selector::wanted(&args.selectors, owner);
        let compared = amended.and_then(|owners| quick.compare(&sides, owners, wanted));
        let compared = compared.unwrap_or_else(|| quick.whole(&sides, wanted));
        let preview =
            told(context, &wish(args, &self.from, &self.to), &sides, compared, Some(&self.repo), &read.reported).await?;
        context.printer.note(&format!("{names}: planned in {} ms", began.elapsed().as_millis()));
        Ok(preview)
    }
}

/// What touched files have otherwise than they had.
fn look(root: &Path, before: &Snapshot, touched: Touched) -> anyhow::Result<Differing> {
    let anything = || Ok(read::differing(before, read::work_tree(root)?.snapshot));
    let Touched::Paths(paths) = touched else { return anything() };
    let mut files = BTreeMap::new();
    for below in paths {
        let name = RepoPath::from(below.to_string_lossy().into_owned());
        let blob = match read::one(&root.join(&below)) {
            // A folder that came, went or was renamed with everything that is in it.
            Err(error) if error.kind() == ErrorKind::IsADirectory => return anything(),
            blob => blob.with_context(|| format!("failed to read {}", below.display()))?,
        };
        let inside = format!("{name}/");
        let first = before.files.range(RepoPath::from(inside.as_str())..).next();
        if blob.is_none() && first.is_some_and(|(path, _)| path.as_str().starts_with(&inside)) {
            return anything();
        }
        if !read::is_same(before.files.get(&name), blob.as_ref()) {
            files.insert(name, blob);
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
