//! `drift`: where clusters are not as Git says, by who made it so; and `--adopt`, which makes Git say what is there.

use std::collections::BTreeSet;

use super::change::{Base, How};
use super::live::Live;
use super::output::{self, Format, formats};
use super::reach::Reach;
use super::read::{self, Reading};
use super::reported::Reported;
use super::selector::{self, Selector};
use super::{Context, Exit};
use crate::git::Repo;
use crate::landscape::Owner;
use crate::plan::drift::Cause;
use crate::print::drift::{Drift, ObjectDrift};

mod adopt;
mod restore;

/// Show where clusters are not as Git says, who made it so, and since when.
///
/// Compares the commit that was reconciled last with the garden and the seeds, field by field, without writing anything: what
/// Gardener's maintenance or a hibernation schedule changed, what people changed by kubectl or a dashboard, and the rest. Of secrets
/// it says no more than that they changed. With --adopt, what is observed in objects that the repository describes becomes a commit;
/// it is refused, with 3, if the rules of the landscape refuse it.
///
/// Examples:
///   espalier drift --exit-code
///   espalier drift 'shop/*' -o json
///   espalier drift --adopt --cause maintenance --branch adopt-updates
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// Only what was caused so: maintenance, schedule, human, other; may be repeated
    #[arg(long = "cause", value_name = "CAUSE")]
    causes: Vec<Cause>,
    /// End with 1 if there is drift
    #[arg(long)]
    exit_code: bool,
    /// Write what is observed into the repository, as a commit; without --cause all but what a hibernation schedule did
    #[arg(long, conflicts_with = "exit_code")]
    adopt: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    reach: Reach,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if !args.adopt && args.how.is_said() {
        context
            .printer
            .error("nothing is committed without --adopt", Some("--branch, --message and --dry-run belong to --adopt"));
        return Ok(Exit::Usage);
    }
    let (reading, reported, _) = reconciled(context).await?;
    let (name, revision) = (reading.landscape.name.clone(), reading.snapshot.revision.clone());
    let wanted = |owner: &Owner| selector::wanted(&args.selectors, owner);
    let mut live = Live::look(context, &args.reach, reading, &reported, wanted).await?;
    if !live.is_there() {
        for note in &live.notes {
            context.printer.error(note, None);
        }
        live.close().await;
        return Ok(Exit::Failed);
    }
    let owners: BTreeSet<Owner> = live.world.owners().iter().filter(|owner| wanted(owner)).cloned().collect();
    if owners.is_empty() && !args.selectors.is_empty() {
        live.close().await;
        let selectors: Vec<String> = args.selectors.iter().map(ToString::to_string).collect();
        anyhow::bail!("nothing in the landscape is called {}", selectors.join(" or "));
    }
    let (mut objects, mut pending) = (Vec::new(), 0);
    for owner in &owners {
        let found = live.find(owner).await;
        pending += found.pending;
        objects.extend(found.drift);
    }
    restore::tell(&mut live, &mut objects);
    let causes = match (args.causes.is_empty(), args.adopt) {
        (false, _) => args.causes.clone(),
        (true, true) => Cause::ALL.into_iter().filter(|cause| *cause != Cause::Schedule).collect(),
        (true, false) => Cause::ALL.to_vec(),
    };
    for object in &mut objects {
        object.retain(&causes);
    }
    objects.retain(|object| !object.is_empty());
    let (at, mut notes) = (live.at, live.notes.clone());
    notes.sort();
    notes.dedup();
    live.close().await;
    for note in &notes {
        context.printer.note(note);
    }
    if args.adopt {
        let base = Base::find(context, args.how).await?;
        return adopt::adopt(context, &base, &objects).await;
    }
    let adoptable = objects.iter().any(ObjectDrift::is_adoptable);
    let exit = if args.exit_code && !objects.is_empty() { Exit::Something } else { Exit::Done };
    let unsure = !notes.is_empty();
    let drift = Drift::new(&name, &revision.0, at.to_string(), objects, pending, notes);
    match args.output {
        Format::Text => {
            let mut text = drift.text();
            if adoptable {
                text.push_str(
                    "Next: `espalier drift --adopt --branch NAME` proposes what is observed; a pass of the daemon restores\n",
                );
            }
            context.printer.result(&text);
        }
        format => output::answer(context, format, &serde_json::to_value(&drift)?),
    }
    // What could not be looked at is no `no drift`.
    Ok(if unsure && exit == Exit::Done && args.exit_code { Exit::Failed } else { exit })
}

/// The landscape at the commit that was reconciled last; where nothing says which that is, as `get` reads it.
pub(super) async fn reconciled(context: &Context) -> anyhow::Result<(Reading, Reported, Option<Repo>)> {
    let reading = read::read(read::committed(context).await?).not_empty()?;
    let name = context.settings.global.landscape.clone().unwrap_or_else(|| reading.landscape.name.clone());
    let (repo, reported) = Reported::read(context, &name).await?;
    let said = context.settings.global.rev.is_some();
    if let (false, Some(repo), Some(done)) = (said, &repo, &reported.reconciled)
        && *done != reading.snapshot.revision
        && let Ok(source) = read::commit(context, repo, &done.0).await
    {
        let reading = read::read(source).not_empty()?;
        return Ok((reading, reported, Some(repo.clone())));
    }
    Ok((reading, reported, repo))
}
