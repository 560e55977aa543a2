//! `plan`: what one revision would change against another, and what follows from it. Pure and offline: no cluster is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::offline::{Offline, parallel};
use super::output::{self, Format, formats};
use super::read::{self, Reading, WORKTREE};
use super::reported::Reported;
use super::selector::Selector;
use super::{Context, Exit};
use crate::admission::{Accepted, Admitted, Gone, is_idle};
use crate::finding::{Finding, On, Severity};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::ObjectKey;
use crate::pipeline::freeze;
use crate::plan::diff;
use crate::plan::impact::{self, Mark};
use crate::plan::revert::{Done, Revert};
use crate::print::json::envelope;
use crate::print::preview::{self, Change, Consequence, Fate, Item, Preview, Touch};
use crate::render::Rendering;

/// Show what a revision would change, and what follows from it, without a cluster.
///
/// Compares two revisions of a landscape: its objects field by field, and the manifests that shoots, seeds, projects and the
/// garden want because of it. Ends with 3 if something would be refused or stays because its deletion is not confirmed.
///
/// Examples:
///   espalier plan
///   espalier plan --from landscape/live --to HEAD
///   espalier plan --from HEAD~1 --to HEAD 'shop/*' -o json
///   espalier plan --from origin/landscape/live --to HEAD -o md > comment.md
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only these: PROJECT/SHOOT, KIND/NAME
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// The revision before [default: the landscape's branch with --landscape, else HEAD]
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// The revision after; WORKTREE is what lies on disk
    #[arg(long, value_name = "REV|WORKTREE", default_value = WORKTREE)]
    to: String,
    /// Judge by the policies of this revision [default: those of --from]
    #[arg(long, value_name = "REV|WORKTREE")]
    policies_from: Option<String>,
    /// End with 1 if there are changes
    #[arg(long)]
    exit_code: bool,
    /// End with 0 for no changes, 1 for an error, 2 for changes
    #[arg(long, conflicts_with = "exit_code")]
    detailed_exitcode: bool,
    /// End with 3 if something costs as much as this mark, or more: rolls-nodes, one-way, …
    #[arg(long, value_name = "MARK")]
    fail_on: Option<Mark>,
    /// The time to judge at [default: when --to was committed]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Yaml, Format::Markdown]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    match preview(context, &args).await {
        Ok(preview) => {
            match args.output {
                Format::Text => context.printer.result(&preview::text(&preview)),
                Format::Markdown => context.printer.result(&preview::markdown(&preview, preview::LIMIT)),
                _ => output::answer(context, args.output, &envelope("Plan", preview::json(&preview))),
            }
            let refused = preview.is_refused() || args.fail_on.is_some_and(|mark| preview.worst() >= mark);
            Ok(match (refused, preview.is_empty()) {
                (true, _) => Exit::Refused,
                (false, false) if args.exit_code => Exit::Something,
                (false, false) if args.detailed_exitcode => Exit::Failed,
                (false, _) => Exit::Done,
            })
        }
        Err(error) if args.detailed_exitcode => {
            context.printer.failure(&error);
            Ok(Exit::Something)
        }
        Err(error) => Err(error),
    }
}

async fn preview(context: &Context, args: &Args) -> anyhow::Result<Preview> {
    let from = args.from.clone().or_else(|| context.settings.global.rev.clone());
    let from = from.unwrap_or_else(|| read::default_revision(&context.settings));
    let before = read::read(read::revision(context, &from).await?);
    let after = read::read(read::revision(context, &args.to).await?).not_empty()?;
    let committed = (args.to != WORKTREE).then_some(after.snapshot.committed);
    let now = read::now(&context.settings, args.now, committed)?;
    let (old, _) = before.admit(&Accepted::default(), now);
    let accepted = Accepted(Arc::new(old.objects.clone()));
    // A policy of the branch under review never judges that branch.
    let judge = match &args.policies_from {
        Some(rev) => read::library(context, rev).await?,
        None => before.library.clone(),
    };
    let (mut new, findings) = after.admit_by(&judge, &accepted, now);
    // As for every guard, what the revision before says counts.
    let settings = old.objects.get(&Owner::cluster(Kind::Landscape, old.landscape.clone()));
    freeze::keep_back(&mut new, &accepted, &freeze::in_force(settings.map(Arc::as_ref), now).0);
    let (going, _) = read::going(&new, &accepted);
    // The way back: what was, judged against what is to be. Only of what is updated does anybody ask.
    let updated = old.objects.iter().any(|(owner, was)| new.objects.get(owner).is_some_and(|is| is != was));
    let back =
        if updated { before.admit_by(&judge, &Accepted(Arc::new(new.objects.clone())), now).0 } else { Admitted::default() };

    let name = if after.landscape.name.is_empty() { &before.landscape.name } else { &after.landscape.name };
    let (repo, reported) = Reported::read(context, name).await?;
    let commits = match &repo {
        Some(repo) if args.to != WORKTREE => repo.log(&after.snapshot.revision, Some(&before.snapshot.revision), 1_000).await?,
        _ => Vec::new(),
    };
    // Shoots stay where they are; only the new ones are placed anew.
    let offline_old = Offline::new(&old, &before.library, reported.placed());
    let mut placed = reported.placed();
    placed.extend(offline_old.placements.decisions.iter().map(|(owner, p)| (owner.clone(), p.seed.clone())));
    let offline_new = Offline::new(&new, &after.library, placed);

    let mut owners: BTreeSet<Owner> = old.objects.keys().chain(new.objects.keys()).chain(new.held.keys()).cloned().collect();
    owners.retain(|owner| args.selectors.is_empty() || args.selectors.iter().any(|s| s.matches(owner)));
    let owners: Vec<Owner> = owners.into_iter().collect();
    let touched = touched(&old, &new, &offline_old, &offline_new);
    let items: Vec<Item> = parallel(&owners, |owner| {
        let mut item = item(owner, &old, &new, &going, &after);
        if touched.as_ref().is_none_or(|touched| touched.contains(owner)) {
            item.consequence = consequence(owner, &item.fate, &offline_old, &offline_new);
        }
        let manifest = new.objects.get(owner).or_else(|| old.objects.get(owner));
        let seed = offline_new.placements.decisions.get(owner).map(|p| p.seed.as_str());
        item.about = manifest.map(|m| about(owner, m, seed)).unwrap_or_default();
        item.revert = revert(&item, &old, &new, &back);
        item
    })
    .into_iter()
    .collect();
    let unchanged = items.iter().filter(|item| item.is_quiet()).count();
    let authors: BTreeSet<&str> = commits.iter().map(|c| c.author.split(" <").next().unwrap_or_default()).collect();
    let about_landscape = findings.iter().filter(|f| f.severity == Severity::Error && f.owner.is_empty()).cloned().collect();
    Ok(Preview {
        landscape: name.clone(),
        from: before.from,
        to: if args.to == WORKTREE { WORKTREE.to_owned() } else { after.from.clone() },
        commits: commits.len(),
        authors: authors.into_iter().map(str::to_owned).collect(),
        placements: reported.commit.as_ref().map(|commit| commit.short().to_owned()),
        items: items.into_iter().filter(|item| !item.is_quiet()).collect(),
        unchanged,
        troubles: about_landscape,
        now: now.to_string(),
    })
}

/// What becomes of one object of the landscape.
fn item(owner: &Owner, old: &Admitted, new: &Admitted, going: &BTreeSet<Owner>, after: &Reading) -> Item {
    let document = after.landscape.document(owner);
    let path = document.map(|d| after.shown(d.path()).to_string());
    let mut item = Item {
        owner: owner.clone(),
        fate: Fate::Unchanged,
        about: String::new(),
        path,
        changes: Vec::new(),
        confined: false,
        revert: None,
        consequence: Consequence::None,
    };
    if let Some(gone) = new.gone.get(owner) {
        item.fate = match (gone, &new.frozen) {
            (Gone::Confirmed, None) if going.contains(owner) => Fate::Deleted,
            (Gone::Confirmed, None) => Fate::Blocked("more would be deleted at once than landscape.yaml allows".to_owned()),
            (Gone::Confirmed, Some(why)) => Fate::Blocked(format!("nothing is deleted: {why}")),
            (Gone::Unconfirmed, _) => Fate::Blocked(
                "it is gone from Git, but was never confirmed to be deleted, or is in use; it stays as it was accepted; \
                 to delete it, restore its file with `confirmation.gardener.cloud/deletion: \"true\"`; and remove it in a later commit"
                    .to_owned(),
            ),
        };
        return item;
    }
    if let Some(held) = new.held.get(owner) {
        let mut findings: Vec<Finding> = held.findings.clone();
        findings.retain(|f| f.severity == Severity::Error);
        for place in findings.iter_mut().flat_map(|f| &mut f.places) {
            place.path = after.shown(&place.path);
        }
        item.fate = Fate::Held(findings);
        return item;
    }
    match (old.objects.get(owner), new.objects.get(owner)) {
        (None, Some(_)) => item.fate = Fate::Created,
        (Some(before), Some(now)) if before != now => {
            item.fate = Fate::Updated;
            let confined = now.pointer("/spec/maintenance/confineSpecUpdateRollout").and_then(Value::as_bool);
            item.confined = owner.kind == Kind::Shoot && confined.unwrap_or_default();
            item.changes = diff::fields(before, now)
                .into_iter()
                .map(|field| {
                    // A default that changed is written nowhere.
                    let place = document.filter(|d| d.value().pointer(field.pointer.as_str()).is_some() || field.after.is_none());
                    let place = place.map(|d| {
                        let mut place = d.place(&field.pointer, On::Value);
                        place.path = after.shown(&place.path);
                        place.to_string()
                    });
                    let shoot = owner.kind == Kind::Shoot;
                    let impact = if shoot { impact::of(&field, before, now) } else { Vec::new() };
                    Change { idle: shoot && is_idle(&field.path), place, impact, field }
                })
                .collect();
        }
        _ => {}
    }
    item
}

/// What taking the change of an object back would do.
fn revert(item: &Item, old: &Admitted, new: &Admitted, back: &Admitted) -> Option<Revert> {
    let owner = &item.owner;
    let done = match item.fate {
        Fate::Created => Done::Created,
        Fate::Deleted => Done::Deleted,
        Fate::Updated => {
            let (was, is) = (old.objects.get(owner)?, new.objects.get(owner)?);
            let fields = if owner.kind == Kind::Shoot { diff::fields(is, was) } else { Vec::new() };
            let costs = fields.iter().filter(|field| !is_idle(&field.path)).flat_map(|field| impact::of(field, is, was));
            let worst = costs.map(|impact| impact.mark).max().unwrap_or(Mark::None);
            let findings = back.held.get(owner).map(|held| held.findings.as_slice()).unwrap_or_default();
            return Some(Revert::of(owner.kind, &Done::Changed(findings, worst)));
        }
        Fate::Held(_) | Fate::Blocked(_) | Fate::Unchanged => return None,
    };
    Some(Revert::of(owner.kind, &done))
}

/// The owners of which something may be rendered otherwise, where that is known without looking at each: if nothing but shoots
/// differs, it is these and those that are placed elsewhere. `None` for all.
fn touched<'a>(old: &'a Admitted, new: &'a Admitted, before: &'a Offline, after: &'a Offline) -> Option<BTreeSet<&'a Owner>> {
    let differs = |owner: &&Owner| old.objects.get(*owner) != new.objects.get(*owner);
    let mut touched: BTreeSet<&Owner> = old.objects.keys().chain(new.objects.keys()).filter(differs).collect();
    // A shoot of the project `garden` may be a seed.
    let alone = touched.iter().all(|owner| owner.kind == Kind::Shoot && owner.project != "garden");
    let seed = |offline: &Offline, owner: &Owner| offline.placements.decisions.get(owner).map(|placement| placement.seed.clone());
    touched.extend(new.of_kind(Kind::Shoot).map(|(owner, _)| owner).filter(|owner| seed(before, owner) != seed(after, owner)));
    (alone && before.is_made_like(after)).then_some(touched)
}

/// What follows for clusters: only owners whose inputs differ are rendered.
fn consequence(owner: &Owner, fate: &Fate, old: &Offline, new: &Offline) -> Consequence {
    let (before, after) = match fate {
        Fate::Held(_) | Fate::Blocked(_) => return Consequence::None,
        Fate::Deleted => (old.prepare(owner), Ok(None)),
        Fate::Created => (Ok(None), new.prepare(owner)),
        Fate::Updated | Fate::Unchanged => (old.prepare(owner), new.prepare(owner)),
    };
    let after = match after {
        Ok(after) => after,
        Err(why) => return Consequence::Unknown(why),
    };
    // What could not be rendered before is new.
    let before = before.unwrap_or_default();
    if let (Some(before), Some(after)) = (&before, &after)
        && old.input(before) == new.input(after)
    {
        return Consequence::None;
    }
    let mut before = objects(before.as_ref().map(|prepared| old.render(prepared)));
    let after = objects(after.as_ref().map(|prepared| new.render(prepared)));
    let mut touched: BTreeMap<(String, Target), BTreeMap<ObjectKey, Touch>> = BTreeMap::new();
    for ((component, target, key), digest) in after {
        let was = before.remove(&(component.clone(), target.clone(), key.clone()));
        let touch = match was {
            Some(was) if was == digest => continue,
            Some(_) => Touch::Changed,
            None => Touch::Added,
        };
        touched.entry((component, target)).or_default().insert(key, touch);
    }
    for (component, target, key) in before.into_keys() {
        touched.entry((component, target)).or_default().insert(key, Touch::Removed);
    }
    if touched.is_empty() { Consequence::None } else { Consequence::Rendered(touched) }
}

/// The rendered objects of an owner with the digests of their content.
fn objects(rendering: Option<Rendering>) -> BTreeMap<(String, Target, ObjectKey), String> {
    let mut out = BTreeMap::new();
    for release in rendering.into_iter().flat_map(|r| r.releases) {
        for rendered in &release.components {
            for object in &rendered.objects {
                let key = (rendered.component.id.name.clone(), release.target.clone(), object.key.clone());
                out.insert(key, object.digest.as_str().to_owned());
            }
        }
    }
    out
}

/// `production · aws eu-west-1 · seed aws-eu1 · HA zone · 1.33.4`.
fn about(owner: &Owner, manifest: &Value, seed: Option<&str>) -> String {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let parts = match owner.kind {
        Kind::Shoot => vec![
            text("/spec/purpose").to_owned(),
            format!("{} {}", text("/spec/provider/type"), text("/spec/region")),
            seed.map_or_else(|| "no seed yet".to_owned(), |seed| format!("seed {seed}")),
            match text("/spec/controlPlane/highAvailability/failureTolerance/type") {
                "" => String::new(),
                kind => format!("HA {kind}"),
            },
            text("/spec/kubernetes/version").to_owned(),
        ],
        Kind::Seed => vec![format!("{} {}", text("/spec/provider/type"), text("/spec/provider/region"))],
        _ => Vec::new(),
    };
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_shoot_is_told_in_a_line() {
        let shoot = json!({"spec": {"purpose": "testing", "region": "eu", "provider": {"type": "aws"}, "kubernetes": {"version": "1.33.4"}}});
        let owner = Owner::project(crate::landscape::Kind::Shoot, "shop", "prod");
        assert_eq!(about(&owner, &shoot, Some("a")), "testing · aws eu · seed a · 1.33.4");
    }
}
