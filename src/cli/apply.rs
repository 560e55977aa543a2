//! `apply`: carries out a saved plan, once, and refuses if anything that it was made from is not as it was.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::plan::{self, Wish};
use super::reach::Reach;
use super::read;
use super::reported::Reported;
use super::{Context, Exit, input, run};
use crate::print::preview::{self, Preview};
use crate::snapshot::Revision;

/// Carry out a saved plan; normally the daemon's job.
///
/// Refuses, with 3, if the landscape's branch is not at the plan's commit any more, if something else than the plan's base was
/// reconciled, or if this program, or its policies, would do something else than what was planned; and, of a plan made with --live,
/// if an object that it was made from has another resourceVersion than it had.
///
/// Examples:
///   espalier plan --from origin/landscape/live --to HEAD --out plan.json
///   espalier apply plan.json --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// What `plan --out` wrote
    #[arg(value_name = "PLANFILE")]
    plan: PathBuf,
    /// Do it; without, the plan is shown, and nothing is done
    #[arg(long)]
    yes: bool,
    /// Simulate the garden and the seeds inside this process; needs no kubeconfig
    #[arg(long)]
    sim: bool,
    /// Folder for what survives a restart: mirrors of remote repositories, simulated clusters
    #[arg(long, value_name = "DIR", env = "ESPALIER_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let saved = input::plan(&args.plan, input::KEPT)?;
    let Some(pins) = saved.pins else {
        bail!("{} is a plan of files that are in no commit: commit them, and plan again with --out", args.plan.display());
    };
    let now = saved.now.parse().with_context(|| format!("{} was made at no time", args.plan.display()))?;
    let repo = read::repository(&context.settings).await?;
    let refuse = |why: String| {
        context.printer.error(&why, Some("plan again: `espalier plan --out FILE`"));
        Ok(Exit::Refused)
    };
    let branch = run::branch(&saved.landscape, None);
    match repo.resolve(&branch).await? {
        None => bail!("there is no branch `{branch}` in {}", repo.location()),
        Some(tip) if tip.0 != pins.to => {
            return refuse(format!("the plan is for {}, but `{branch}` is at {}", short(&pins.to), tip.short()));
        }
        Some(_) => {}
    }
    let reported = Reported::of(&repo, &saved.landscape).await?;
    match &reported.reconciled {
        Some(done) if done.0 == pins.to => {
            context.printer.note(&format!("{} is reconciled already; there is nothing to do", done.short()));
            return Ok(Exit::Done);
        }
        Some(done) if done.0 != pins.from => {
            return refuse(format!("the plan is from {}, but {} was reconciled last", short(&pins.from), done.short()));
        }
        Some(_) => {}
        None => {
            return refuse(format!(
                "the plan is from {}, but nothing of landscape {} was reconciled yet; `espalier run` does that",
                short(&pins.from),
                saved.landscape
            ));
        }
    }
    let wish = Wish { from: &pins.from, to: &pins.to, policies_from: None, now: Some(now), blame: false };
    let again = plan::preview(context, &wish, |_| true).await?;
    if let Some(why) = differs(&again, &pins, saved.digest.as_deref()) {
        return refuse(why);
    }
    let reach = Reach { sim: args.sim, state_dir: args.state_dir.clone() };
    if let Some(exit) = plan::live::still_holds(context, &reach, &pins).await? {
        return Ok(exit);
    }
    if again.is_empty() {
        context.printer.note("the plan changes nothing");
    }
    if !args.yes {
        context.printer.result(&preview::text(&again, false));
        context.printer.error("nothing was done", Some("say --yes to carry this out"));
        return Ok(Exit::Refused);
    }
    let mut settings = context.settings.clone();
    settings.global.landscape = Some(saved.landscape.clone());
    settings.global.path.clone_from(&pins.path);
    let within = Context { settings, printer: context.printer.clone() };
    run::once(&within, args.sim, args.state_dir, Revision(pins.to)).await
}

fn short(revision: &str) -> String {
    Revision(revision.to_owned()).short().to_owned()
}

/// Why a plan that is made again is another one.
fn differs(again: &Preview, pins: &preview::Pins, digest: Option<&str>) -> Option<String> {
    let now = again.pins.as_ref();
    if now.is_none_or(|now| now.policies != pins.policies) {
        return Some("the plan was judged by other policies than this program has".to_owned());
    }
    if now.is_none_or(|now| now.library != pins.library) {
        return Some("the plan was made with other templates or images than this program has".to_owned());
    }
    (again.digest.as_deref() != digest).then(|| "the plan says something else than what its commits mean".to_owned())
}
