//! `plan --live`: the plan of two revisions, with what clusters have right now. Nothing of the plan itself changes by it.

use std::collections::BTreeSet;

use anyhow::bail;
use serde_json::Value;

use super::super::drift::reconciled;
use super::super::live::Live;
use super::super::reach::Reach;
use super::super::{Context, Exit, read};
use crate::cluster::{self, KindRef};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{ObjectKey, garden_key};
use crate::plan::impact::{Impact, Pool};
use crate::print::preview::{self, Fate, LastOperation, OwnerLive, Pinned, Pins, Preview};

/// Looks at the owners that change, and at those that are named.
pub(super) async fn look(
    context: &Context,
    reach: &Reach,
    preview: &mut Preview,
    named: impl Fn(&Owner) -> bool,
) -> anyhow::Result<()> {
    let (reading, reported, _) = reconciled(context).await?;
    let against = reading.snapshot.revision.short().to_owned();
    let changing: BTreeSet<Owner> = preview.items.iter().map(|item| item.owner.clone()).collect();
    let wanted = |owner: &Owner| changing.contains(owner) || named(owner);
    let mut live = Live::look(context, reach, reading, &reported, wanted).await?;
    let mut owners = Vec::new();
    if live.is_there() {
        let all: BTreeSet<Owner> = live.world.owners().iter().chain(&changing).filter(|owner| wanted(owner)).cloned().collect();
        for owner in all {
            owners.push(found(&mut live, &owner).await);
        }
        let missing = owners.iter().filter(|found| !found.exists && !is_new(preview, &found.owner));
        let missing: Vec<String> = missing.map(|found| format!("the garden has no {}", found.owner)).collect();
        live.notes.extend(missing);
        if let Some(pins) = &mut preview.pins {
            pins.observed = owners.iter().map(|found| pinned(&live, &found.owner)).collect();
        }
    }
    count_nodes(preview, &owners);
    let mut notes = live.notes.clone();
    notes.sort();
    notes.dedup();
    preview.live = Some(preview::Live { at: live.at.to_string(), against, owners, notes });
    live.close().await;
    Ok(())
}

fn is_new(preview: &Preview, owner: &Owner) -> bool {
    preview.items.iter().any(|item| item.owner == *owner && matches!(item.fate, Fate::Created | Fate::Held(_)))
}

async fn found(live: &mut Live, owner: &Owner) -> OwnerLive {
    let drift = live.find(owner).await.drift;
    let nodes = if owner.kind == Kind::Shoot { live.nodes(owner).await } else { None };
    let object = live.garden(owner);
    let operation = object.and_then(|object| {
        let text = |key: &str| {
            object.get(&format!("/status/lastOperation/{key}")).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Some(LastOperation {
            kind: object.get("/status/lastOperation/type")?.as_str()?.to_owned(),
            state: text("state"),
            progress: object.get("/status/lastOperation/progress").and_then(Value::as_i64).unwrap_or_default(),
            description: text("description"),
            last_update_time: text("lastUpdateTime"),
        })
    });
    OwnerLive { owner: owner.clone(), exists: object.is_some(), operation, nodes, drift }
}

fn pinned(live: &Live, owner: &Owner) -> Pinned {
    let key = garden_key(owner);
    let there = live.observed.garden(owner);
    Pinned {
        cluster: Target::Garden.to_string(),
        api_version: there.map_or_else(|| owner.kind.api_version().to_owned(), |there| there.api_version.clone()),
        kind: key.kind,
        namespace: key.namespace,
        name: key.name,
        uid: there.map(|there| there.uid.clone()),
        resource_version: there.map(|there| there.resource_version.clone()),
    }
}

/// Says of pools how many nodes they have.
fn count_nodes(preview: &mut Preview, owners: &[OwnerLive]) {
    for item in &mut preview.items {
        let Some(nodes) = owners.iter().find(|found| found.owner == item.owner).and_then(|found| found.nodes.as_ref()) else {
            continue;
        };
        let counted =
            |impact: &mut Impact| impact.pools.iter_mut().for_each(|pool: &mut Pool| pool.nodes = nodes.get(&pool.name).copied());
        item.changes.iter_mut().flat_map(|change| &mut change.impact).for_each(counted);
        item.effects.iter_mut().for_each(counted);
    }
}

/// Whether everything is as it was when a plan was made; an exit code if it is not.
pub(in crate::cli) async fn still_holds(context: &Context, reach: &Reach, pins: &Pins) -> anyhow::Result<Option<Exit>> {
    if pins.observed.is_empty() {
        return Ok(None);
    }
    let reading = read::read(read::revision(context, &pins.to).await?);
    let reached = reach.plan(context, reading.landscape.settings());
    let moved = moved(&reached, &pins.observed).await;
    reached.close().await;
    Ok(match moved? {
        Some(why) => {
            context.printer.error(&why, Some("plan again: `espalier plan --live --out FILE`"));
            Some(Exit::Refused)
        }
        None => None,
    })
}

async fn moved(reached: &super::super::reach::Reached, observed: &[Pinned]) -> anyhow::Result<Option<String>> {
    for pin in observed {
        let target: Target = pin.cluster.parse().map_err(|why: String| anyhow::anyhow!("the plan cannot be used: {why}"))?;
        if Kind::of(&pin.api_version, &pin.kind).is_none() {
            bail!("the plan cannot be used: it was made from an object that is of no kind of a landscape");
        }
        let kind = KindRef::new(pin.api_version.clone(), pin.kind.clone());
        let key = ObjectKey::new(kind.group(), &pin.kind, &pin.namespace, &pin.name);
        if let Err(why) = reached.cluster(&target).await {
            bail!("{target} cannot be looked at, so nobody knows whether {key} is as it was planned for: {why}");
        }
        let mut read = cluster::whole(reached.clusters(), &target, &[(kind, key.clone())]).await?;
        let now = read.remove(&key).flatten();
        let text =
            |field: &str| now.as_ref().and_then(|now| now.pointer(&format!("/metadata/{field}"))?.as_str()).map(str::to_owned);
        let (uid, version) = (text("uid"), text("resourceVersion"));
        if uid != pin.uid || version != pin.resource_version {
            let say = |uid: Option<&str>, version: Option<&str>| match (uid, version) {
                (Some(uid), Some(version)) => format!("at resourceVersion {version} (uid {uid})"),
                _ => "absent".to_owned(),
            };
            return Ok(Some(format!(
                "{key} in {target} was {} when the plan was made, and is {} now",
                say(pin.uid.as_deref(), pin.resource_version.as_deref()),
                say(uid.as_deref(), version.as_deref())
            )));
        }
    }
    Ok(None)
}
