//! How far apart two landscapes are, by change; and `promote --status`, which says it of every pair along the way.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::cli::output::{self, Format};
use crate::cli::{Context, Exit, read};
use crate::git::Repo;
use crate::graph::Dag;
use crate::landscape::FileMemo;
use crate::landscape::config::Promotion;
use crate::print::json::API_VERSION;
use crate::print::promotion::{self, PromotionStatus};
use crate::print::table::{count, line};
use crate::promote::history::{self, Begin, Change, Fate};
use crate::promote::owned::Rules;
use crate::snapshot::Revision;

/// What lies between two landscapes.
pub(super) struct Apart {
    /// Where the next promotion begins.
    pub(super) begin: Begin,
    /// What both began with; `None` if nobody knows.
    pub(super) base: Option<Revision>,
    /// What the source changed since, newest first, with what became of it in the target.
    pub(super) ahead: Vec<(Change, Fate)>,
    /// What the target changed, newest first, that the source has not.
    pub(super) behind: Vec<Change>,
}

impl Apart {
    pub(super) async fn of(repo: &Repo, from: &Stage, to: &Stage, rules: &Rules) -> anyhow::Result<Self> {
        // Folders of one branch have no history of their own in common.
        let branches = from.reference.is_some() && to.reference.is_some();
        let common = if branches { repo.merge_base(&from.tip, &to.tip).await? } else { None };
        let theirs = to.changes(repo, common.as_ref()).await?;
        let ours = from.changes(repo, common.as_ref()).await?;
        let begin = history::begin(&from.name, &theirs);
        let recorded = match &begin.base {
            Some(base) => repo.resolve(&base.0).await?,
            None => None,
        };
        // A merge of the whole branch moves on what both began with, as a promotion does.
        let base = match (recorded, common) {
            (Some(recorded), Some(common)) if repo.is_ancestor(&recorded, &common).await? => Some(common),
            (recorded, common) => recorded.or(common),
        };
        let fates = history::fates(&from.name, &ours, &theirs);
        let pending: Option<BTreeSet<Revision>> = match &base {
            Some(base) => Some(repo.log(&from.tip, Some(base), usize::MAX).await?.into_iter().map(|c| c.revision).collect()),
            None => None,
        };
        let back = history::fates(&to.name, &theirs, &ours);
        let behind = theirs
            .iter()
            .zip(back)
            .filter(|(change, fate)| {
                let promoted = change.record().is_some_and(|record| record.from == from.name);
                // What takes a promotion back, or an own change, is a change of its own.
                !promoted && !is_own(change, rules) && matches!(fate, Fate::Ahead | Fate::Held(_))
            })
            .map(|(change, _)| change.clone())
            .collect();
        let waits = |change: &Change| pending.as_ref().is_none_or(|ids| ids.contains(&Revision(change.id.clone())));
        let ahead = ours.into_iter().zip(fates).filter(|(change, _)| waits(change)).collect();
        Ok(Self { begin, base, ahead, behind })
    }

    /// How many commits of the source are not, or not wholly, in the target, short of those that are the source's own affair.
    pub(super) fn count(&self, rules: &Rules) -> usize {
        self.ahead.iter().filter(|(change, fate)| !is_own(change, rules) && is_ahead(fate)).count()
    }
}

/// Whether a change concerns only what belongs to its landscape.
pub(super) fn is_own(change: &Change, rules: &Rules) -> bool {
    change.paths.iter().all(|path| rules.owning_path(path.as_str()).is_some())
}

/// Whether something of a change is not in the target.
pub(super) fn is_ahead(fate: &Fate) -> bool {
    matches!(fate, Fate::Ahead | Fate::Held(_) | Fate::TakenBack(_) | Fate::Promoted(_, true))
}

/// One pair of landscapes.
struct Pair {
    from: Stage,
    to: Stage,
    rules: Rules,
    apart: Apart,
}

/// `promote --status`.
pub(super) async fn run(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let repo = read::repository(&context.settings).await?;
    let stages = Stage::all(&context.settings, &repo).await?;
    let mut memo = FileMemo::default();
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut settings: BTreeMap<String, Option<Promotion>> = BTreeMap::new();
    let mut unknown = Vec::new();
    for stage in &stages {
        let config = stage.load(&repo, Some(&stage.tip), &mut memo).await?.landscape;
        let promotion = config.and_then(|config| config.spec.spec.promotion.clone());
        let (known, other): (Vec<String>, Vec<String>) = promotion
            .iter()
            .flat_map(|promotion| promotion.stages().to_vec())
            .partition(|name| stages.iter().any(|stage| stage.name == *name));
        unknown.extend(other.into_iter().map(|name| (stage.name.clone(), name)));
        order.insert(stage.name.clone(), known);
        settings.insert(stage.name.clone(), promotion);
    }
    let dag =
        Dag::new(order.keys().cloned(), &order).map_err(|error| anyhow!("the order of promotion leads nowhere: {error}"))?;
    let find = |name: &str| stages.iter().find(|stage| stage.name == name).cloned();
    let mut pairs = Vec::new();
    for name in dag.order() {
        for source in order.get(name).into_iter().flatten() {
            let (Some(from), Some(to)) = (find(source), find(name)) else { continue };
            let promotion = settings.get(name).and_then(Option::as_ref);
            let rules = Rules::of(promotion).map_err(|why| anyhow!("promotion.owned of {name}: {why}"))?;
            let apart = Apart::of(&repo, &from, &to, &rules).await?;
            pairs.push(Pair { from, to, rules, apart });
        }
    }
    match format {
        Format::Text => context.printer.result(&text(&stages, &pairs, &unknown)),
        _ => output::answer(context, format, &json_of(&pairs, &unknown)),
    }
    Ok(Exit::Done)
}

fn text(stages: &[Stage], pairs: &[Pair], unknown: &[(String, String)]) -> String {
    let mut out = String::new();
    for Pair { from, to, rules, apart } in pairs {
        let sum = format!("{} ahead, {} behind", apart.count(rules), apart.behind.len());
        let head = format!("{} {}  →  {} {}", from.name, from.tip.short(), to.name, to.tip.short());
        out.push_str(&format!("{head:46}  {sum}\n"));
        for (change, fate) in &apart.ahead {
            let short = |id: &str| id.get(..7).unwrap_or(id).to_owned();
            let (sign, note) = match fate {
                _ if is_own(change, rules) => ('·', format!("only what belongs to {}", from.name)),
                Fate::Ahead => ('+', String::new()),
                Fate::Held(why) => ('–', format!("held: {}", line(why, 40))),
                Fate::Promoted(by, false) => ('✓', format!("promoted by {}", short(by))),
                Fate::Promoted(by, true) => ('~', format!("promoted in part by {}", short(by))),
                Fate::Picked(by) => ('=', format!("picked as {}", short(by))),
                Fate::TakenBack(by) => ('↩', format!("taken back by {}", short(by))),
                Fate::Undone(by) => ('×', format!("undone by {}", short(by))),
            };
            out.push_str(&row(sign, change, &note));
        }
        for change in &apart.behind {
            out.push_str(&row('<', change, &format!("only in {}", to.name)));
        }
        out.push('\n');
    }
    if pairs.is_empty() {
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        out.push_str(&format!("{}: {}\n", count(stages.len(), "landscape"), names.join(", ")));
        out.push_str("None says where its changes come from: set spec.promotion.from in landscape.yaml\n");
    }
    for (stage, name) in unknown {
        out.push_str(&format!("{stage} is to be promoted to from {name}, which is not here\n"));
    }
    let trimmed = out.trim_end().len();
    out.truncate(trimmed);
    out.push('\n');
    out
}

/// A line of at most 80 columns.
fn row(sign: char, change: &Change, note: &str) -> String {
    let subject = line(&change.subject, if note.is_empty() { 66 } else { 38 });
    format!("{}\n", format!("  {sign} {}  {subject:38}  {}", change.short(), line(note, 27)).trim_end())
}

fn fate(change: &Change, fate: &Fate, own: bool) -> promotion::Fate {
    let (word, why, by) = match fate {
        Fate::Ahead => ("ahead", None, None),
        Fate::Held(why) => ("held", Some(why), None),
        Fate::Promoted(by, false) => ("promoted", None, Some(by)),
        Fate::Promoted(by, true) => ("promoted-in-part", None, Some(by)),
        Fate::Picked(by) => ("picked", None, Some(by)),
        Fate::TakenBack(by) => ("taken-back", None, Some(by)),
        Fate::Undone(by) => ("undone", None, Some(by)),
    };
    let state = if own { "own" } else { word };
    promotion::Fate { change: change.into(), state: state.to_owned(), why: why.cloned(), by: by.cloned() }
}

pub(super) fn stage(stage: &Stage) -> promotion::Stage {
    promotion::Stage { name: stage.name.clone(), commit: stage.tip.to_string() }
}

fn json_of(pairs: &[Pair], unknown: &[(String, String)]) -> Value {
    let pair = |Pair { from, to, rules, apart }: &Pair| promotion::Pair {
        from: stage(from),
        to: stage(to),
        base: apart.base.as_ref().map(ToString::to_string),
        changes: apart.ahead.iter().map(|(change, became)| fate(change, became, is_own(change, rules))).collect(),
        behind: apart.behind.iter().map(promotion::Change::from).collect(),
        summary: promotion::Apart { ahead: apart.count(rules), behind: apart.behind.len() },
    };
    json!(PromotionStatus {
        api_version: API_VERSION.to_owned(),
        kind: PromotionStatus::KIND.to_owned(),
        pairs: pairs.iter().map(pair).collect(),
        unknown: unknown
            .iter()
            .map(|(landscape, from)| promotion::Unknown { landscape: landscape.clone(), from: from.clone() })
            .collect(),
    })
}
