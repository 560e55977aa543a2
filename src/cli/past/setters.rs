//! Who set values that a reading holds, be they committed or not.

use std::collections::BTreeSet;

use super::{COMMITS, Past, Wanted, origins};
use crate::cli::Context;
use crate::cli::read::{self, Reading, WORKTREE};
use crate::landscape::{self, FileMemo};
use crate::print::origin::{Bounded, Origin};

/// Who set each of these values of a reading, in their order; and why older commits were not looked at, if one of them is older. What
/// lies on disk is compared with the commit that is checked out. The history is walked once.
pub(in crate::cli) async fn setters(
    context: &Context,
    reading: &Reading,
    wanted: Vec<Wanted>,
) -> anyhow::Result<(Vec<Origin>, Option<Bounded>)> {
    if wanted.is_empty() {
        return Ok((Vec::new(), None));
    }
    let repo = read::repository(&context.settings).await?;
    let on_disk = reading.snapshot.revision.0 == WORKTREE;
    let (revision, prefix, committed) = if on_disk {
        let base = read::commit(context, &repo, "HEAD").await?;
        let landscape = landscape::load(&base.snapshot, &mut FileMemo::default()).0;
        let holds = |one: &Wanted| {
            let document = landscape.document(&one.owner);
            document.and_then(|document| one.way.find(document.value())) == one.value.as_ref()
        };
        (base.snapshot.revision, base.prefix, wanted.iter().map(holds).collect())
    } else {
        (reading.snapshot.revision.clone(), reading.prefix.clone(), vec![true; wanted.len()])
    };
    let names: BTreeSet<String> = wanted.iter().map(|one| one.owner.name.clone()).collect();
    let look_for: Vec<Wanted> = wanted.into_iter().zip(&committed).filter(|(_, is)| **is).map(|(one, _)| one).collect();
    let mut past = Past::begin(&repo, &revision, &prefix, Some(names), COMMITS).await?;
    let found = origins(&mut past, &look_for).await?;
    let bounded = if found.iter().any(Option::is_none) { past.bounded().await? } else { None };
    let mut found = found.into_iter();
    let origin = |is_committed: bool| match is_committed.then(|| found.next().flatten()) {
        None => Origin::Uncommitted,
        Some(None) => Origin::Older,
        Some(Some(commit)) => Origin::from(&commit),
    };
    Ok((committed.into_iter().map(origin).collect(), bounded))
}
