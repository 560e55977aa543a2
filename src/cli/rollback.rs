//! `rollback`: takes a change back as `git revert` does, after each part of the way back was checked. What would be refused, or would
//! destroy a cluster, is left as it is by a second commit that says why. Nothing is ever forced.

use std::collections::BTreeMap;

use anyhow::bail;

use self::keep::Part;
use self::reversal::Question;
use self::undo::{All, Undo};
use super::compare::{Sides, compare};
use super::output::{self, Format, formats};
use super::read::{self, Reading};
use super::reported::Reported;
use super::selector::Selector;
use super::{Context, Exit};
use crate::finding::Finding;
use crate::git::{GitError, Message, Repo};
use crate::landscape::{FileMemo, Owner};
use crate::print::rollback::{self as shown, Reversal, Rollback, named};
use crate::snapshot::{RepoPath, Revision};

mod keep;
mod reversal;
mod undo;

/// Take a change back: a checked `git revert`.
///
/// Makes the commit that `git revert` would make, onto the landscape's branch or a proposal. Each part of the way back is judged
/// first: what the API server would refuse, and what would delete a cluster, stays as it is, by a second commit that says why.
/// Ends with 5 if something stays, and with 3 if nothing can be taken back.
///
/// Examples:
///   espalier rollback HEAD
///   espalier rollback 9e07d31 --onto landscape/live --only-clean
///   espalier rollback shop/store --reason "INC-4711 node churn"
///   espalier rollback --to v1.4 'shop/*' --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The commit to take back, or the shoot of which to take back the last change
    #[arg(value_name = "REV|PROJECT/SHOOT", required_unless_present = "to")]
    pub(super) targets: Vec<String>,
    /// Go back to this revision: the objects named, or the whole landscape
    #[arg(long, value_name = "REV")]
    pub(super) to: Option<String>,
    /// The branch to roll back [default: the landscape's branch with --landscape, else the one checked out]
    #[arg(long, value_name = "BRANCH")]
    onto: Option<String>,
    /// Take back only what interrupts nothing
    #[arg(long)]
    only_clean: bool,
    /// Also delete, or make anew, these: PROJECT/SHOOT, KIND/NAME
    #[arg(long, value_name = "SELECTOR")]
    include: Vec<Selector>,
    /// Commit onto the branch itself, not onto a proposal
    #[arg(long, conflicts_with = "branch")]
    emergency: bool,
    /// Why, for the commits' messages
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The branch to propose it on [default: revert/<commit>]
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Check and tell, and move no branch
    #[arg(long)]
    dry_run: bool,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

impl Args {
    fn trailers(&self) -> Vec<(String, String)> {
        let reason = self.reason.iter().map(|reason| ("Reason".to_owned(), reason.clone()));
        reason.chain(self.emergency.then(|| ("Emergency".to_owned(), "true".to_owned()))).collect()
    }
}

/// So often what is left is looked at again: leaving one thing may make another one impossible.
const ROUNDS: usize = 8;

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if let Some(name) = args.branch.iter().find(|name| !Repo::is_branch_name(name)) {
        bail!("`{name}` cannot be the name of a branch");
    }
    let repo = read::repository(&context.settings).await?;
    let onto = branch(context, &repo, &args).await?;
    let short = onto.strip_prefix("refs/heads/").unwrap_or(&onto).to_owned();
    let Some(tip) = repo.resolve(&onto).await? else { bail!("there is no branch `{short}` in {}", repo.location()) };
    let tip = read::read(read::commit(context, &repo, &tip.0).await?).not_empty()?;
    let undo = undo::find(context, &repo, &args, &tip).await?;
    let author = repo.person().await?;
    let now = read::now(&context.settings, None, None)?;
    let mut answer = Rollback {
        landscape: tip.landscape.name.clone(),
        onto: (short.clone(), tip.snapshot.revision.clone()),
        undone: undo.undone.clone(),
        only: undo.only.clone(),
        reversals: Vec::new(),
        outside: Vec::new(),
        troubles: Vec::new(),
        commits: Vec::new(),
        branch: None,
        dry_run: args.dry_run,
        next: Vec::new(),
    };
    let exit = match undo.all(&repo, &tip, author.as_ref(), now.as_second()).await? {
        All::Nothing => Exit::Done,
        All::Conflicts(paths) => bail!(
            "later commits changed the same lines: {}\nNext: git switch -c revert/{} {short} && git revert {}, and mend them by \
             hand; or take one shoot back: espalier rollback PROJECT/SHOOT --to REV",
            paths.iter().map(RepoPath::as_str).collect::<Vec<_>>().join(", "),
            undo.word,
            undo.word
        ),
        All::Made(revision) => {
            let made = Making { context, repo: &repo, args: &args, tip: &tip, undo: &undo, author, now };
            let result = made.check(&mut answer, revision).await?;
            match result {
                None => Exit::Refused,
                Some(result) => made.publish(&mut answer, &onto, &result).await?,
            }
        }
    };
    match args.output {
        Format::Text => context.printer.result(&shown::text(&answer)),
        _ => output::answer(context, args.output, &shown::json(&answer)),
    }
    Ok(exit)
}

/// The branch that is rolled back, as a full reference name.
async fn branch(context: &Context, repo: &Repo, args: &Args) -> anyhow::Result<String> {
    if let Some(name) = &args.onto {
        let name = name.strip_prefix("refs/heads/").unwrap_or(name);
        for full in [format!("refs/heads/{name}"), format!("refs/heads/landscape/{name}")] {
            if repo.resolve(&full).await?.is_some() {
                return Ok(full);
            }
        }
        bail!("there is no branch `{name}` in {}", repo.location());
    }
    match read::default_revision(&context.settings) {
        named if named != "HEAD" => Ok(named),
        _ => match repo.head().await? {
            Some(head) => Ok(head),
            None => bail!("no branch is checked out here: say --onto BRANCH, or --landscape NAME"),
        },
    }
}

/// A rollback on its way.
struct Making<'a> {
    context: &'a Context,
    repo: &'a Repo,
    args: &'a Args,
    tip: &'a Reading,
    undo: &'a Undo,
    author: Option<(String, String)>,
    now: jiff::Timestamp,
}

impl Making<'_> {
    /// Judges the way back and leaves what cannot be taken back, until the rest stands by itself; `None` if nothing is left of it.
    async fn check(&self, answer: &mut Rollback, all: Revision) -> anyhow::Result<Option<Revision>> {
        let Self { context, repo, args, tip, undo, .. } = *self;
        let placed = Reported::of(repo, &tip.landscape.name).await?.placed();
        let mut memo = FileMemo::default();
        let first = read::read_with(read::commit(context, repo, &all.0).await?, &mut memo);
        let mut kept: BTreeMap<Owner, Part> = BTreeMap::new();
        let mut left: Vec<Reversal> = Vec::new();
        let mut result = all.clone();
        for _ in 0..ROUNDS {
            let mut again = None;
            if result != all {
                again = Some(read::read_with(read::commit(context, repo, &result.0).await?, &mut memo));
            }
            let after = again.as_ref().unwrap_or(&first);
            let sides = Sides { before: tip, after, judge: &tip.library, now: self.now, placed: &placed };
            let compared = compare(&sides, |_| true);
            let question = Question { tip, after, only_clean: args.only_clean, include: &args.include };
            let found = reversal::all(&question, &compared);
            if found.iter().all(|reversal| reversal.taken) {
                answer.troubles = new(compared.troubles(), &tip.findings.0);
                answer.outside = self.outside(&result).await?;
                let nothing = result != all && repo.changed_paths(Some(&tip.snapshot.revision), &result, "").await?.is_empty();
                let nothing = nothing || !left.is_empty() && found.is_empty() && answer.outside.is_empty();
                answer.reversals = left;
                answer.reversals.extend(found);
                answer.reversals.sort_by(|a, b| (&a.owner, &a.field).cmp(&(&b.owner, &b.field)));
                if nothing || !answer.troubles.is_empty() {
                    return Ok(None);
                }
                answer.commits.push((all.clone(), undo.subject().to_owned()));
                if result != all {
                    answer.commits.push((result.clone(), self.message(&[]).subject));
                }
                return Ok(Some(result));
            }
            reversal::left(&found, &mut kept);
            for reversal in found.into_iter().filter(|reversal| !reversal.taken) {
                // What is left as a whole includes what was left of it before.
                left.retain(|known| known.owner != reversal.owner || known.field != reversal.field && reversal.field.is_some());
                left.push(reversal);
            }
            let wanted = keep::changes(tip, &first, &kept)?;
            let message = self.message(&left);
            let now = self.now.as_second();
            result = repo.restore(&all, &tip.snapshot.revision, wanted, message, now).await?.unwrap_or_else(|| all.clone());
        }
        bail!("the parts of {} depend on each other in ways that cannot be untangled: take back less at once", undo.word)
    }

    /// The files beyond the landscape that a commit differs in from the tip.
    async fn outside(&self, result: &Revision) -> anyhow::Result<Vec<RepoPath>> {
        let changed = self.repo.changed_paths(Some(&self.tip.snapshot.revision), result, "").await?;
        let known = |path: &str| path.strip_prefix(&self.tip.prefix).is_some_and(read::is_claimed);
        Ok(changed.into_iter().filter(|path| !known(path.as_str())).collect())
    }

    /// The message of the commit that leaves what cannot be taken back.
    fn message(&self, left: &[Reversal]) -> Message {
        let lines: Vec<String> = left
            .iter()
            .map(|reversal| {
                let field = reversal.field.as_ref().map(|field| format!(" {field}")).unwrap_or_default();
                let note = reversal.note.replace('\u{a0}', " ");
                format!("- {}{field} ({}): {note}", named(&reversal.owner), reversal.revert.word())
            })
            .collect();
        Message {
            subject: format!("Keep what the rollback of {} cannot take back", self.undo.word),
            body: lines.join("\n"),
            trailers: self.args.trailers(),
            author: self.author.clone(),
        }
    }

    /// Moves a branch to what was made, and says what to do next.
    async fn publish(&self, answer: &mut Rollback, onto: &str, result: &Revision) -> anyhow::Result<Exit> {
        let Self { repo, args, tip, undo, .. } = *self;
        let short = answer.onto.0.clone();
        let proposal = args.branch.clone().unwrap_or_else(|| format!("revert/{}", undo.word));
        let exit = if answer.is_partial() { Exit::Partly } else { Exit::Done };
        if args.dry_run {
            answer.branch = Some(if args.emergency { short } else { proposal });
            return Ok(exit);
        }
        let expected = &tip.snapshot.revision;
        let mut behind = false;
        if args.emergency {
            match repo.publish(onto, Some(expected), result, "rollback").await {
                Ok(()) => {
                    answer.branch = Some(short);
                    return Ok(exit);
                }
                Err(GitError::CheckedOut { .. }) => behind = true,
                Err(GitError::Raced { .. }) => bail!("`{short}` was moved by somebody else meanwhile: run the rollback again"),
                Err(error) => return Err(error.into()),
            }
        }
        self.propose(&proposal, result).await?;
        if behind {
            self.context.printer.note(&format!("`{short}` is checked out here and was not moved"));
            answer.next.push(format!("git merge --ff-only {proposal}"));
        } else {
            if !repo.location().is_remote() {
                answer.next.push(format!("git push origin {proposal}"));
            }
            answer.next.push(format!("espalier plan --from {short} --to {proposal}, then merge it"));
        }
        answer.branch = Some(proposal);
        Ok(if behind { Exit::Partly } else { exit })
    }

    /// Makes the branch of a proposal; one that has the same files already will do.
    async fn propose(&self, name: &str, result: &Revision) -> anyhow::Result<()> {
        let reference = format!("refs/heads/{name}");
        match self.repo.publish(&reference, None, result, "rollback").await {
            Err(GitError::Raced { .. }) => {}
            other => return Ok(other?),
        }
        let there = self.repo.resolve(&reference).await?;
        let same = match &there {
            Some(there) => self.repo.changed_paths(Some(there), result, "").await?.is_empty(),
            None => false,
        };
        let follows = match &there {
            Some(there) => self.repo.is_ancestor(&self.tip.snapshot.revision, there).await?,
            None => false,
        };
        if !(same && follows) {
            bail!("there is already another branch `{name}`: say --branch NAME, or delete it");
        }
        Ok(())
    }
}

/// Findings that were not there before.
fn new(mut findings: Vec<Finding>, before: &[Finding]) -> Vec<Finding> {
    let known = |finding: &Finding| before.iter().any(|b| b.code == finding.code && b.message == finding.message);
    findings.retain(|finding| !known(finding));
    findings
}
