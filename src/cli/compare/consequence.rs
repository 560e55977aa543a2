//! What follows for clusters, by rendering both sides.

use std::collections::BTreeMap;

use crate::cli::offline::Offline;
use crate::landscape::{Owner, Target};
use crate::observed::ObjectKey;
use crate::print::preview::{Consequence, Fate, Touch};
use crate::render::Rendering;

/// What follows for clusters: only owners whose inputs differ are rendered. Says how many renderings that took, too.
pub(super) fn of(owner: &Owner, fate: &Fate, old: &Offline, new: &Offline) -> (Consequence, usize) {
    let (before, after) = match fate {
        Fate::Held(_) | Fate::Blocked(_) => return (Consequence::None, 0),
        Fate::Deleted => (old.prepare(owner), Ok(None)),
        Fate::Created => (Ok(None), new.prepare(owner)),
        Fate::Updated | Fate::Unchanged => (old.prepare(owner), new.prepare(owner)),
    };
    let after = match after {
        Ok(after) => after,
        Err(why) => return (Consequence::Unknown(why), 0),
    };
    // What could not be rendered before is new.
    let before = before.unwrap_or_default();
    if let (Some(before), Some(after)) = (&before, &after)
        && old.input(before) == new.input(after)
    {
        return (Consequence::None, 0);
    }
    let rendered = usize::from(before.is_some()) + usize::from(after.is_some());
    let (before, after) = match (&before, &after) {
        (Some(was), Some(is)) => {
            let (was, is) = new.render_differing((old, was), is);
            (Some(was), Some(is))
        }
        (was, is) => (was.as_ref().map(|prepared| old.render(prepared)), is.as_ref().map(|prepared| new.render(prepared))),
    };
    let (mut before, after) = (objects(before), objects(after));
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
    (if touched.is_empty() { Consequence::None } else { Consequence::Rendered(touched) }, rendered)
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
