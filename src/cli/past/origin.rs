//! Who gave a value to a field last: the newest commit before which it had another one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Past, Written};
use crate::git::Commit;
use crate::landscape::Owner;
use crate::plan::way::Way;

/// A field of which it is wanted who gave it this value.
pub(in crate::cli) struct Wanted {
    /// Whose.
    pub(in crate::cli) owner: Owner,
    /// The way to it.
    pub(in crate::cli) way: Way,
    /// What it is; `None` if it is absent.
    pub(in crate::cli) value: Option<Value>,
}

impl Wanted {
    fn holds(&self, written: Option<&Written>) -> bool {
        written.and_then(|written| self.way.find(written.document.value())) == self.value.as_ref()
    }
}

/// The commit of each, in their order; `None` where the walk does not go so far. The history is walked once for all of them, and no
/// farther than needed.
pub(in crate::cli) async fn origins(past: &mut Past<'_>, wanted: &[Wanted]) -> anyhow::Result<Vec<Option<Commit>>> {
    let mut found: Vec<Option<Commit>> = vec![None; wanted.len()];
    let mut open: BTreeMap<&Owner, Vec<usize>> = BTreeMap::new();
    for (index, one) in wanted.iter().enumerate() {
        open.entry(&one.owner).or_default().push(index);
    }
    while !open.is_empty() {
        let steps = past.next().await?;
        if steps.is_empty() {
            break;
        }
        for step in &steps {
            for (owner, touched) in &step.objects {
                let Some(fields) = open.get_mut(owner) else { continue };
                fields.retain(|index| {
                    let one = &wanted[*index];
                    let set = one.holds(touched.after.as_ref()) && touched.before.iter().all(|was| !one.holds(was.as_ref()));
                    if set {
                        found[*index] = Some(step.commit.clone());
                    }
                    !set
                });
                if fields.is_empty() {
                    open.remove(owner);
                }
            }
        }
    }
    Ok(found)
}
