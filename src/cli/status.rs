//! `status`: how the fleet stands, and what needs a person.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::output::{self, Format, formats};
use super::reported::Reported;
use super::selector::{self, Selector};
use super::{Context, Exit, read};
use crate::landscape::{Kind, Owner};
use crate::pipeline::freeze;
use crate::print::{json, table};

/// Show how a landscape stands and what needs attention, from its status branch.
///
/// Needs no cluster: it says what was last reported, and which commit that was about.
///
/// Examples:
///   espalier status
///   espalier status 'shop/*' --exit-code
///   espalier status --repo https://git.example.org/landscapes.git -L live -o json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// End with 1 if anything is held or failed
    #[arg(long)]
    exit_code: bool,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "table",
        value_parser = formats(&[Format::Table, Format::Json, Format::Yaml]))]
    output: Format,
}

/// How owners may stand, best first.
const STANDINGS: [&str; 6] = ["ready", "progressing", "deleting", "held", "failed", "unknown"];

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let reading = read::read(read::committed(context).await?).not_empty()?;
    let name = context.settings.global.landscape.clone().unwrap_or_else(|| reading.landscape.name.clone());
    let (repo, reported) = Reported::read(context, &name).await?;
    let Some(commit) = &reported.commit else {
        let hint = format!("`espalier run --landscape {name}` reconciles it and writes the branch espalier/status/{name}");
        context.printer.error(&format!("nothing has been reported about `{name}` yet"), Some(&hint));
        return Ok(Exit::Failed);
    };
    let head = reading.snapshot.revision.clone();
    let behind = match (&repo, &reported.reconciled) {
        (Some(repo), Some(reconciled)) if head.0 != read::WORKTREE => Some(repo.log(&head, Some(reconciled), 1_000).await?.len()),
        _ => None,
    };
    let mut owners: BTreeSet<Owner> = reading.landscape.objects().map(|(owner, _, _)| owner).collect();
    owners.extend(reported.files.keys().cloned());
    owners.retain(|owner| selector::wanted(&args.selectors, owner));
    let mut counts: BTreeMap<Kind, BTreeMap<&str, usize>> = BTreeMap::new();
    for owner in &owners {
        *counts.entry(owner.kind).or_default().entry(reported.standing(owner)).or_default() += 1;
    }
    let attention: Vec<&Owner> = owners.iter().filter(|o| matches!(reported.standing(o), "held" | "failed")).collect();

    let now = read::now(&context.settings, None, None)?;
    let waiting: Vec<(&Owner, String)> = owners.iter().filter_map(|owner| Some((owner, reported.waits(owner, now)?))).collect();
    let (freezes, _) = freeze::in_force(reading.landscape.settings(), now);

    if args.output == Format::Table {
        let mut out = format!("{name}   head {}", if head.0 == read::WORKTREE { head.0.as_str() } else { head.short() });
        out.push_str(&format!("   reconciled {}", reported.reconciled.as_ref().map_or("unknown", |r| r.short())));
        out.push_str(&format!("   status commit {}\n", commit.short()));
        match behind {
            Some(n) if n > 0 => {
                out.push_str(&format!("{} of the branch not reconciled yet\n", table::count(n, "commit")));
            }
            _ => {}
        }
        for freeze in &freezes {
            out.push_str(&format!("{}\n", freeze.to_string().escape_debug()));
        }
        out.push('\n');
        out.push_str(&fleet(&counts));
        if attention.is_empty() {
            out.push_str("\nNothing needs attention.\n");
        } else {
            out.push_str("\nNEEDS ATTENTION\n");
            let rows: Vec<Vec<String>> = attention
                .iter()
                .map(|owner| vec![owner.to_string(), reported.standing(owner).to_owned(), reported.why(owner)])
                .collect();
            out.push_str(&table::table(&["OBJECT", "STANDING", "WHY"], &rows, true));
        }
        if !waiting.is_empty() {
            out.push_str("\nWAITING\n");
            let rows: Vec<Vec<String>> = waiting.iter().map(|(owner, why)| vec![owner.to_string(), why.clone()]).collect();
            out.push_str(&table::table(&["OBJECT", "FOR"], &rows, true));
        }
        context.printer.result(&out);
    } else {
        let waiting: Vec<Value> = waiting
            .iter()
            .map(|(owner, _)| {
                let text = |pointer: &str| reported.text(owner, pointer);
                json!({ "owner": owner, "for": text("/waits/for"), "until": text("/waits/until") })
            })
            .collect();
        let counts: BTreeMap<&str, &BTreeMap<&str, usize>> = counts.iter().map(|(kind, n)| (kind.plural(), n)).collect();
        let attention: Vec<Value> = attention
            .iter()
            .map(|owner| json!({ "owner": owner, "standing": reported.standing(owner), "why": reported.why(owner) }))
            .collect();
        let fields = json!({
            "landscape": name,
            "head": head,
            "reconciled": reported.reconciled,
            "behind": behind,
            "statusCommit": commit,
            "counts": counts,
            "attention": attention,
            "waiting": waiting,
            "frozen": freezes.iter().map(|f| json!({ "until": f.until, "projects": f.projects, "reason": f.reason })).collect::<Vec<_>>(),
        });
        output::answer(context, args.output, &json::envelope("Status", fields));
    }
    Ok(if args.exit_code && !attention.is_empty() { Exit::Something } else { Exit::Done })
}

/// Kinds that people count, one a line; the others only where not all is well.
fn fleet(counts: &BTreeMap<Kind, BTreeMap<&str, usize>>) -> String {
    let main = [Kind::Shoot, Kind::Seed, Kind::Project];
    let mut kinds: Vec<Kind> = main.into_iter().filter(|k| counts.contains_key(k)).collect();
    let troubled = |n: &BTreeMap<&str, usize>| n.keys().any(|standing| *standing != "ready");
    kinds.extend(counts.iter().filter(|(k, n)| !main.contains(k) && troubled(n)).map(|(k, _)| *k));
    let rows: Vec<Vec<String>> = kinds
        .iter()
        .map(|kind| {
            let n = &counts[kind];
            let total: usize = n.values().sum();
            let parts: Vec<String> =
                STANDINGS.iter().filter_map(|standing| n.get(standing).map(|n| format!("{standing} {n}"))).collect();
            vec![kind.plural().to_uppercase(), total.to_string(), parts.join("   ")]
        })
        .collect();
    table::table(&["", "", ""], &rows, false)
}
