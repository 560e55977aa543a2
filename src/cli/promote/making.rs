//! The commit that a promotion makes: its message and branch, what it does to the target, and its publication.

use std::collections::BTreeSet;

use anyhow::bail;
use jiff::Timestamp;

use super::stage::Stage;
use super::{Args, Made, Outcome, Verdict};
use crate::cli::compare::{Compared, Sides, compare};
use crate::cli::read::Reading;
use crate::cli::reported::Reported;
use crate::git::{Message, Repo};
use crate::pipeline::freeze::FREEZE;
use crate::print::preview::{Fate as ItemFate, Preview};
use crate::print::table::line;
use crate::promote::gates;
use crate::promote::history::{self, Change};
use crate::snapshot::Revision;

/// The commit's message: what is taken, and what the next promotion has to know.
pub(super) fn message(args: &Args, outcome: &Outcome) -> Message {
    let Outcome { from, to, apart, promotion, verdicts, .. } = outcome;
    let taken: Vec<(&Change, bool)> = verdicts
        .iter()
        .filter_map(|(change, verdict)| match verdict {
            Verdict::Taken { in_part } => Some((change, *in_part)),
            _ => None,
        })
        .collect();
    let subject = args.message.clone().unwrap_or_else(|| match taken.as_slice() {
        [(change, _)] => format!("Promote from {} to {}: {}", from.name, to.name, change.subject),
        _ => format!("Promote {} commits from {} to {}", taken.len(), from.name, to.name),
    });
    let lines = |sign: char, changes: Vec<&Change>| {
        let line = |change: &Change| format!("{sign} {} {}\n", change.short(), line(&change.subject, 66));
        changes.into_iter().map(line).collect::<String>()
    };
    let others = verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Held(_) | Verdict::LeftOut | Verdict::Pinned));
    let others: Vec<&Change> = others.map(|(change, _)| change).collect();
    let mut body = lines('+', taken.iter().map(|(change, _)| *change).collect());
    if !others.is_empty() {
        body.push_str(&format!("\nNot taken:\n{}", lines('-', others)));
    }
    let mut trailers = vec![(history::FROM.to_owned(), format!("{}@{}", from.name, from.tip))];
    // What was left, or was not looked at, is for the next one.
    if promotion.is_in_part() || !args.commit.is_empty() {
        let base = apart.base.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        trailers.push((history::BASE.to_owned(), base));
    }
    for (change, in_part) in taken.iter().rev() {
        let part = if *in_part { history::IN_PART } else { "" };
        trailers.push((history::COMMIT.to_owned(), format!("{}{part}", change.id)));
    }
    Message { subject, body, trailers, author: None }
}

/// The name of the branch that is made.
pub(super) fn branch(args: &Args, outcome: &Outcome, prefix: Option<&str>) -> anyhow::Result<String> {
    let day = gates::day(Timestamp::from_second(outcome.now)?);
    let name = args
        .branch
        .clone()
        .unwrap_or_else(|| format!("{}{}-to-{}-{day}", prefix.unwrap_or("promote/"), outcome.from.name, outcome.to.name));
    let name = name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned();
    let own = outcome.to.reference.as_deref() == Some(&format!("refs/heads/{name}"));
    if (name.starts_with("landscape/") && !own) || name.starts_with("espalier/status/") {
        bail!("{name} is the branch of something else: say another --branch");
    }
    Ok(name)
}

/// What the commit does to the target, as `plan` tells it; and what would be refused in the target, and was not before.
pub(super) async fn preview(
    repo: &Repo,
    before: &Reading,
    after: &Reading,
    now: i64,
    branch: &str,
) -> anyhow::Result<(Preview, Vec<String>)> {
    let reported = Reported::of(repo, &before.landscape.name).await?;
    let now = Timestamp::from_second(now)?;
    let placed = reported.placed();
    let sides = Sides { before, after, judge: &before.library, now, placed: &placed };
    let compared = compare(&sides, |_| true);
    let refused = refused(&compared);
    let preview = Preview {
        landscape: before.landscape.name.clone(),
        from: before.from.clone(),
        to: branch.to_owned(),
        commits: 0,
        authors: Vec::new(),
        placements: reported.commit.as_ref().map(|commit| commit.short().to_owned()),
        // Whoever reviews the branch acknowledges what it costs.
        breaches: compared.breaches(&[], Vec::new()),
        notes: Vec::new(),
        troubles: compared.troubles(),
        items: compared.items,
        unchanged: compared.unchanged,
        now: now.to_string(),
        digest: compared.digest.map(|digest| digest.as_str().to_owned()),
        pins: None,
        live: None,
    };
    Ok((preview, refused))
}

fn refused(compared: &Compared) -> Vec<String> {
    let known: BTreeSet<&str> = compared.known.iter().map(|finding| finding.message.as_str()).collect();
    let troubles = compared.troubles();
    let new = troubles.iter().filter(|finding| !known.contains(finding.message.as_str()));
    let mut out: Vec<String> = new.map(|finding| format!("{} [{}]", finding.message, finding.code)).collect();
    for item in &compared.items {
        match &item.fate {
            // A freeze is a gate of its own.
            ItemFate::Held(findings) if findings.iter().all(|finding| finding.code == FREEZE) => {}
            ItemFate::Held(findings) if !compared.held.contains(&item.owner) => {
                let why = findings.first().map(|f| format!("{} [{}]", f.message, f.code)).unwrap_or_default();
                out.push(format!("{}: {why}", item.owner));
            }
            ItemFate::Blocked(why) => out.push(format!("{}: {why}", item.owner)),
            _ => {}
        }
    }
    out
}

/// Makes the branch, or moves the target's own: from where it was looked at, and from nowhere else.
pub(super) async fn publish(repo: &Repo, to: &Stage, branch: &str, commit: &Revision, after: &Reading) -> anyhow::Result<Made> {
    let reference = format!("refs/heads/{branch}");
    if to.reference.as_ref() == Some(&reference) {
        repo.publish(&reference, Some(&to.tip), commit, "promote").await?;
        return Ok(Made::Branch);
    }
    if let Some(tip) = repo.resolve(&reference).await? {
        let same = repo.snapshot(&tip, &to.root).await?.files == after.snapshot.files;
        if same && repo.is_ancestor(&to.tip, &tip).await? {
            return Ok(Made::Before);
        }
        bail!("the branch {branch} exists, with something else in it: merge or delete it, or say another --branch");
    }
    repo.publish(&reference, None, commit, "promote").await?;
    Ok(Made::Branch)
}
