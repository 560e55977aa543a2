//! `wait`: until a commit was reconciled and what it describes is ready, by what the status branch says.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use super::output::{self, Format, formats};
use super::reported::Reported;
use super::selector::{self, Selector};
use super::{Context, Exit, read, stop_signal};
use crate::config;
use crate::git::Repo;
use crate::landscape::Owner;
use crate::print::wait::Wait;
use crate::print::{json, table};
use crate::snapshot::Revision;

/// Wait until a commit was reconciled and what it describes is ready.
///
/// Asks no cluster: reads the status branch, whenever it moves. Ends with 0 when everything is ready, with 1 when something is held,
/// which only another commit mends, and with 4 when the time is over, as it is when something waits for a maintenance window that opens
/// later; nothing changes by that, and waiting again is safe.
///
/// Examples:
///   espalier wait --commit HEAD --timeout 45m
///   espalier wait 'shop/*' --repo https://git.example.org/landscapes.git -L live
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME [default: everything in the landscape]
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// The commit, or one after it, that must have been reconciled [default: the landscape's, as `get` reads it]
    #[arg(long, value_name = "REV")]
    commit: Option<String>,
    /// What to wait for
    #[arg(long = "for", value_name = "WHAT", default_value = "ready")]
    what: What,
    /// How long: 90s, 45m, 2h
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    timeout: Duration,
    /// Seconds between two looks at a remote repository
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

/// What may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The commit was taken up.
    Reconciled,
    /// And everything is as it should be.
    Ready,
}

fn duration(text: &str) -> Result<Duration, String> {
    let span = Span::from_str(text).map_err(|e| e.to_string())?;
    let duration = SignedDuration::try_from(span).map_err(|e| e.to_string())?;
    Duration::try_from(duration).map_err(|_| "it is negative".to_owned())
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    reconciled: bool,
    ready: usize,
    held: Vec<Owner>,
    others: Vec<Owner>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let source = match &args.commit {
        Some(rev) => read::revision(context, rev).await?,
        None => read::committed(context).await?,
    };
    let reading = read::read(source).not_empty()?;
    let commit = reading.snapshot.revision.clone();
    if commit.0 == read::WORKTREE {
        anyhow::bail!("files that are in no commit are never reconciled: say --commit REV");
    }
    let name = context.settings.global.landscape.clone().unwrap_or_else(|| reading.landscape.name.clone());
    let mut owners: BTreeSet<Owner> = reading.landscape.objects().map(|(owner, _, _)| owner).collect();
    owners.retain(|owner| selector::wanted(&args.selectors, owner));
    if owners.is_empty() && !args.selectors.is_empty() {
        let selectors: Vec<String> = args.selectors.iter().map(ToString::to_string).collect();
        anyhow::bail!("nothing in {} is called {}", reading.from, selectors.join(" or "));
    }

    let repo = read::repository(&context.settings).await?;
    let mut moved = repo.watch().await?;
    let (mut stopped, why) = stop_signal()?;
    let until = Instant::now() + args.timeout;
    let mut told = None;
    loop {
        let reported = Reported::of(&repo, &name).await?;
        let look = look(&repo, &reported, &commit, &owners).await?;
        if let Some(exit) = verdict(args.what, &look) {
            answer(context, &args, &commit, &look, exit, &reported);
            return Ok(exit);
        }
        if told.as_ref() != Some(&look) {
            context.printer.note(&line(&commit, &look, owners.len(), &reported, now(context)));
            told = Some(look.clone());
        }
        let changed = async {
            match &mut moved {
                Some(watch) => watch.changed().await,
                None => tokio::time::sleep(Duration::from_secs(args.poll)).await,
            }
        };
        tokio::select! {
            () = changed => drop(repo.fetch().await?),
            () = tokio::time::sleep_until(until) => {
                answer(context, &args, &commit, &look, Exit::TimedOut, &reported);
                return Ok(Exit::TimedOut);
            }
            _ = stopped.changed() => {
                context.printer.note(&format!("the daemon goes on; `espalier wait --commit {}` waits again", commit.short()));
                return Ok(why.get().copied().unwrap_or(Exit::Terminated));
            }
        }
    }
}

async fn look(repo: &Repo, reported: &Reported, commit: &Revision, owners: &BTreeSet<Owner>) -> anyhow::Result<Look> {
    let reconciled = match &reported.reconciled {
        Some(done) => done == commit || repo.is_ancestor(commit, done).await?,
        None => false,
    };
    let standing = |word: &str| owners.iter().filter(|owner| reported.standing(owner) == word).cloned().collect::<Vec<_>>();
    let (ready, held) = (standing("ready"), standing("held"));
    let others = owners.iter().filter(|owner| !ready.contains(owner) && !held.contains(owner)).cloned().collect();
    Ok(Look { reconciled, ready: ready.len(), held, others })
}

/// How it ends, if it does. What is held stays so until another commit comes.
fn verdict(what: What, look: &Look) -> Option<Exit> {
    match (look.reconciled, what) {
        (false, _) => None,
        (true, What::Reconciled) => Some(Exit::Done),
        (true, What::Ready) if !look.held.is_empty() => Some(Exit::Something),
        (true, What::Ready) => look.others.is_empty().then_some(Exit::Done),
    }
}

fn now(context: &Context) -> Timestamp {
    read::now(&context.settings, None, None).unwrap_or_else(|_| config::now())
}

fn line(commit: &Revision, look: &Look, all: usize, reported: &Reported, now: Timestamp) -> String {
    if !look.reconciled {
        let done = reported.reconciled.as_ref().map_or_else(|| "nothing".to_owned(), |done| done.short().to_owned());
        return format!("{} is not reconciled yet; {done} is", commit.short());
    }
    let mut text = format!("{} of {all} ready", look.ready);
    if let Some(first) = look.others.first() {
        let why = reported.waits(first, now).unwrap_or_else(|| reported.why(first));
        text.push_str(&format!("; waiting on {first}{}", if why.is_empty() { why } else { format!(": {why}") }));
    }
    text
}

fn answer(context: &Context, args: &Args, commit: &Revision, look: &Look, exit: Exit, reported: &Reported) {
    if args.output != Format::Text {
        let wait = Wait {
            api_version: json::API_VERSION.to_owned(),
            kind: Wait::KIND.to_owned(),
            commit: commit.to_string(),
            reconciled: look.reconciled,
            ready: look.ready,
            held: look.held.clone(),
            waiting: look.others.clone(),
            timed_out: exit == Exit::TimedOut,
        };
        output::answer(context, args.output, &json!(wait));
        return;
    }
    let all = look.ready + look.held.len() + look.others.len();
    match exit {
        Exit::Done if args.what == What::Reconciled => context.printer.result(&format!("{} is reconciled\n", commit.short())),
        Exit::Done => {
            context.printer.result(&format!("{} is reconciled, {} ready\n", commit.short(), table::count(all, "object")));
        }
        _ => {
            let mut out = if exit == Exit::TimedOut {
                format!("Timed out: {}\n", line(commit, look, all, reported, now(context)))
            } else {
                String::new()
            };
            for owner in &look.held {
                out.push_str(&format!("{owner} is held: {}\n", reported.why(owner)));
            }
            context.printer.result(&out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_held_objects_end_the_waiting() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert!(duration("-5m").is_err() && duration("soon").is_err());
        let owner = Owner::cluster(crate::landscape::Kind::Seed, "a");
        let look = |reconciled, held: bool, others: bool| Look {
            reconciled,
            ready: 1,
            held: held.then(|| owner.clone()).into_iter().collect(),
            others: others.then(|| owner.clone()).into_iter().collect(),
        };
        assert_eq!(verdict(What::Ready, &look(false, true, false)), None, "what was reported is about another commit");
        assert_eq!(verdict(What::Ready, &look(true, true, true)), Some(Exit::Something));
        assert_eq!(verdict(What::Ready, &look(true, false, true)), None);
        assert_eq!(verdict(What::Ready, &look(true, false, false)), Some(Exit::Done));
        assert_eq!(verdict(What::Reconciled, &look(true, true, true)), Some(Exit::Done));
    }
}
