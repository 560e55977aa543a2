//! `plan --blame`: who set the old and the new value of each field that differs. Each side's history is walked once, for all fields.

use serde_json::Value;

use crate::cli::Context;
use crate::cli::past::{self, Wanted};
use crate::cli::read::Reading;
use crate::landscape::Owner;
use crate::plan::way::Way;
use crate::print::origin::Origin;
use crate::print::preview::{Item, SetBy};

/// Says of each change who set both values.
pub(super) async fn setters(context: &Context, before: &Reading, after: &Reading, items: &mut [Item]) -> anyhow::Result<()> {
    let mut old = Side::new(before);
    let mut new = Side::new(after);
    for item in items.iter() {
        for change in &item.changes {
            let (was, is) = Way::of(&change.field);
            old.ask(&item.owner, was, change.field.before.as_ref());
            new.ask(&item.owner, is, change.field.after.as_ref());
        }
    }
    let (mut old, mut new) = (old.answers(context).await?.into_iter(), new.answers(context).await?.into_iter());
    for change in items.iter_mut().flat_map(|item| &mut item.changes) {
        change.set = Some(SetBy { before: old.next().flatten(), after: new.next().flatten() });
    }
    Ok(())
}

/// One of the two revisions.
struct Side<'a> {
    reading: &'a Reading,
    /// What is known of each, in order; the history says what is not.
    known: Vec<Option<Origin>>,
    wanted: Vec<Wanted>,
}

impl<'a> Side<'a> {
    fn new(reading: &'a Reading) -> Self {
        Self { reading, known: Vec::new(), wanted: Vec::new() }
    }

    /// Asks for a value as it was admitted: it may be written otherwise, or not at all.
    fn ask(&mut self, owner: &Owner, way: Way, admitted: Option<&Value>) {
        let document = self.reading.landscape.document(owner);
        let value = document.and_then(|document| way.find(document.value()));
        if admitted.is_some() && value.is_none() {
            self.known.push(Some(Origin::Default));
        } else {
            self.known.push(None);
            self.wanted.push(Wanted { owner: owner.clone(), way, value: value.cloned() });
        }
    }

    async fn answers(self, context: &Context) -> anyhow::Result<Vec<Option<Origin>>> {
        let absent: Vec<bool> = self.wanted.iter().map(|one| one.value.is_none()).collect();
        let (found, bounded) = past::setters(context, self.reading, self.wanted).await?;
        let mut found = found.into_iter().zip(absent).map(|(origin, absent)| match origin {
            // What nobody removed never was.
            Origin::Older if absent && bounded.is_none() => None,
            origin => Some(origin),
        });
        Ok(self.known.into_iter().map(|known| known.or_else(|| found.next().flatten())).collect())
    }
}
