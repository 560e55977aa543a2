//! Guards on a change as a whole: what must be acknowledged in words, and how many shoots one change may touch. Read from the accepted
//! `landscape.yaml`, so that a change cannot loosen what judges it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::impact::Mark;
use crate::digest::Digest;
use crate::landscape::{Kind, Owner};

/// The trailer by which a commit acknowledges what it costs: `Acknowledged: one-way shop/store, shop/pay`.
pub const TRAILER: &str = "Acknowledged";

/// A guard that refuses a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breach {
    /// The field of `landscape.yaml` that says so: `guards.acknowledge`.
    pub guard: Cow<'static, str>,
    /// What is refused.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Whose change it is.
    pub owners: Vec<Owner>,
}

/// An acknowledgement in a commit's message: a mark, and for whom; for nobody in particular, it is for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    mark: Mark,
    whose: Vec<String>,
}

impl Acknowledged {
    /// Reads the value of a trailer; `None` if it does not begin with a mark.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        let (mark, whose) = value.trim().split_once(char::is_whitespace).unwrap_or((value.trim(), ""));
        let whose = whose.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Some(Self { mark: mark.parse().ok()?, whose })
    }

    /// The same from elsewhere; `whose` is not empty.
    #[must_use]
    pub(super) fn of(mark: Mark, whose: Vec<String>) -> Self {
        Self { mark, whose }
    }

    fn covers(&self, mark: Mark, owner: &Owner) -> bool {
        let named =
            |word: &String| word == &owner.key() || word.strip_suffix("/*").is_some_and(|project| project == owner.project);
        self.mark == mark && (self.whose.is_empty() || self.whose.iter().any(named))
    }
}

/// What a change does to one object.
pub struct Touched<'a> {
    /// Which.
    pub owner: &'a Owner,
    /// Everything that it costs.
    pub marks: Vec<Mark>,
}

/// The guards that refuse a change. `settings` is the accepted `landscape.yaml`; without one, nothing is guarded. `change` is the digest of
/// what is meant to be done, by which a file acknowledges it.
#[must_use]
pub fn breaches(
    settings: Option<&Value>,
    touched: &[Touched<'_>],
    acknowledged: &[Acknowledged],
    change: Option<&Digest>,
) -> Vec<Breach> {
    let guards = settings.and_then(|settings| settings.pointer("/spec/guards"));
    let mut out = Vec::new();
    let marks = guards.and_then(|guards| guards.get("acknowledge")).and_then(Value::as_array).into_iter().flatten();
    for mark in marks.filter_map(Value::as_str).filter_map(|word| word.parse::<Mark>().ok()) {
        let open = |t: &&Touched<'_>| t.marks.contains(&mark) && !acknowledged.iter().any(|a| a.covers(mark, t.owner));
        let owners: Vec<Owner> = touched.iter().filter(open).map(|t| t.owner.clone()).collect();
        if let Some(first) = owners.first() {
            let names = named(&owners);
            out.push(Breach {
                guard: Cow::Borrowed("guards.acknowledge"),
                message: format!("{} is not acknowledged for {names}", mark.word()),
                help: {
                    let trailer =
                        format!("say `{TRAILER}: {} {}` in the message of a commit of this change", mark.word(), first.key());
                    match change {
                        Some(digest) => {
                            format!("{trailer}, or add an Acknowledgement of change {} to acknowledgements/", digest.as_str())
                        }
                        None => trailer,
                    }
                },
                owners,
            });
        }
    }
    if let Some(most) = guards.and_then(|guards| guards.get("maxChanged")).and_then(Value::as_u64) {
        let owners: Vec<Owner> = touched.iter().map(|t| t.owner).filter(|owner| owner.kind == Kind::Shoot).cloned().collect();
        if u64::try_from(owners.len()).is_ok_and(|n| n > most) {
            out.push(Breach {
                guard: Cow::Borrowed("guards.maxChanged"),
                message: format!("{} shoots change at once, {most} may: {}", owners.len(), named(&owners)),
                help: "change them in several steps, or raise the limit in a change of its own".to_owned(),
                owners,
            });
        }
    }
    out
}

/// A few of them, and how many there are more.
fn named(owners: &[Owner]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = owners.iter().take(SHOWN).map(Owner::key).collect();
    let more = owners.len().saturating_sub(SHOWN);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_acknowledged_is_no_breach() {
        let settings = json!({"spec": {"guards": {"acknowledge": ["one-way", "deletes"], "maxChanged": 1}}});
        let (a, b) = (Owner::project(Kind::Shoot, "shop", "store"), Owner::project(Kind::Shoot, "lab", "api"));
        let touched = [
            Touched { owner: &a, marks: vec![Mark::OneWay, Mark::RollsNodes] },
            Touched { owner: &b, marks: vec![Mark::OneWay] },
        ];
        let said = |trailers: &[&str]| {
            let read: Vec<Acknowledged> = trailers.iter().filter_map(|t| Acknowledged::read(t)).collect();
            breaches(Some(&settings), &touched, &read, None).into_iter().map(|b| b.message).collect::<Vec<_>>()
        };
        let many = "2 shoots change at once, 1 may: shop/store, lab/api";
        assert_eq!(said(&[]), ["one-way is not acknowledged for shop/store, lab/api", many]);
        assert_eq!(said(&["one-way shop/store"]), ["one-way is not acknowledged for lab/api", many]);
        assert_eq!(said(&["one-way shop/store, lab/*"]), [many]);
        assert_eq!(said(&["one-way"]), [many]);
        assert_eq!(said(&["deletes", "rubbish"]).len(), 2);
        assert!(breaches(Some(&json!({"spec": {}})), &touched, &[], None).is_empty());
        assert!(breaches(None, &touched, &[], None).is_empty());
    }
}
