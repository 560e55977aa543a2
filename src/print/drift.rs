//! Drift, for people by cause and as the document that `drift -o json` writes, with its schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{API_VERSION, published};
use super::preview::shown;
use super::table::{self, count};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::ObjectKey;
use crate::plan::drift::{Cause, Drifted};
use crate::plan::impact::Mark;

/// A live object that is not as it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectDrift {
    /// Whose it is.
    pub owner: Owner,
    /// The cluster: `garden` or `seed-NAME`.
    pub cluster: String,
    /// The object: `Kind/namespace/name`.
    pub object: String,
    /// Whether the object is gone.
    pub missing: bool,
    /// Whether it is the owner's own object in the garden, so that Git may adopt what is there.
    pub own: bool,
    /// The fields that are otherwise.
    pub fields: Vec<Drifted>,
    /// What writing the desired values again would cost, worst first; only of a shoot's own object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore: Vec<Restore>,
}

/// What restoring one field would cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restore {
    /// The field.
    pub field: String,
    /// How much.
    pub mark: Mark,
    /// What happens, or why it is refused.
    pub why: String,
}

/// What `drift -o json` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The landscape's name.
    pub landscape: String,
    /// The commit with what is desired.
    pub revision: String,
    /// When the clusters were looked at (RFC 3339).
    pub at: String,
    /// The objects that drifted.
    pub objects: Vec<ObjectDrift>,
    /// Objects that are not yet written as they are wanted now; they are no drift.
    pub pending: usize,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
    /// How much of what.
    pub summary: Summary,
}

/// How much drifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Owners.
    pub owners: usize,
    /// Objects.
    pub objects: usize,
    /// Fields by cause.
    pub causes: BTreeMap<Cause, usize>,
}

/// The kind of the document.
const KIND: &str = "Drift";

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Drift>(KIND)
}

impl ObjectDrift {
    /// An object with fields that are otherwise.
    #[must_use]
    pub fn of(owner: &Owner, target: &Target, key: &ObjectKey, fields: Vec<Drifted>) -> Self {
        let own = *target == Target::Garden && *key == crate::observed::garden_key(owner);
        let (owner, cluster, object) = (owner.clone(), target.to_string(), key.to_string());
        Self { owner, cluster, object, missing: false, own, fields, restore: Vec::new() }
    }

    /// An object that is gone.
    #[must_use]
    pub fn missing(owner: &Owner, target: &Target, key: &ObjectKey) -> Self {
        Self { missing: true, ..Self::of(owner, target, key, Vec::new()) }
    }

    /// Each thing that is otherwise with who did it: the object as a whole, or its fields.
    fn causes(&self) -> Vec<Cause> {
        if self.missing { vec![Cause::Other] } else { self.fields.iter().map(|field| field.cause).collect() }
    }

    /// Leaves only what has one of these causes.
    pub fn retain(&mut self, causes: &[Cause]) {
        self.fields.retain(|field| causes.contains(&field.cause));
        let fields: Vec<&str> = self.fields.iter().map(|field| field.field.as_str()).collect();
        self.restore.retain(|restore| fields.contains(&restore.field.as_str()));
        self.missing &= causes.contains(&Cause::Other);
    }

    /// Whether the repository may say what is observed: of an owner's own object, and never of secrets.
    #[must_use]
    pub fn is_adoptable(&self) -> bool {
        self.own && !self.missing && !self.fields.is_empty() && self.fields.iter().all(|field| !field.secret)
    }

    /// Whether nothing is otherwise.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.missing && self.fields.is_empty()
    }
}

impl Drift {
    /// A document.
    #[must_use]
    pub fn new(
        landscape: &str,
        revision: &str,
        at: String,
        objects: Vec<ObjectDrift>,
        pending: usize,
        notes: Vec<String>,
    ) -> Self {
        let mut causes = BTreeMap::new();
        for cause in objects.iter().flat_map(ObjectDrift::causes) {
            *causes.entry(cause).or_default() += 1;
        }
        let owners: std::collections::BTreeSet<&Owner> = objects.iter().map(|object| &object.owner).collect();
        let summary = Summary { owners: owners.len(), objects: objects.len(), causes };
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            landscape: landscape.to_owned(),
            revision: revision.to_owned(),
            at,
            objects,
            pending,
            notes,
            summary,
        }
    }

    /// For people: by cause, a line for each field.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for cause in Cause::ALL {
            let rows: Vec<Vec<String>> = self.objects.iter().flat_map(|object| rows(object, cause)).collect();
            if !rows.is_empty() {
                out.push_str(&format!("{}\n", title(cause)));
                out.extend(table::table(&[""; 5], &rows, false).lines().map(|line| format!("  {line}\n")));
            }
        }
        let mut restore: BTreeMap<String, usize> = BTreeMap::new();
        for cost in self.objects.iter().flat_map(|object| &object.restore) {
            *restore.entry(cost.text()).or_default() += 1;
        }
        if !restore.is_empty() {
            let times = |(text, n): (String, usize)| if n == 1 { text } else { format!("{text} ×{n}") };
            let restore: Vec<String> = restore.into_iter().map(times).collect();
            out.push_str(&format!("Restore would be: {}\n", restore.join(" · ")));
        }
        if self.objects.is_empty() {
            let doubt = if self.notes.is_empty() { "No drift" } else { "No drift seen" };
            out.push_str(&format!("{doubt}: the clusters are as {} says.\n", self.revision.get(..7).unwrap_or(&self.revision)));
        } else {
            let fields: usize = self.summary.causes.values().sum();
            let what = [count(fields, "difference"), count(self.summary.objects, "object"), count(self.summary.owners, "owner")];
            out.push_str(&format!("{} in {} of {}\n", what[0], what[1], what[2]));
        }
        if self.pending > 0 {
            out.push_str(&format!("{} not written yet as wanted now: no drift.\n", count(self.pending, "object")));
        }
        out
    }
}

impl Restore {
    fn text(&self) -> String {
        let name = self.field.rsplit('.').next().unwrap_or(&self.field);
        format!("{name} → {}", self.mark.word())
    }
}

const fn title(cause: Cause) -> &'static str {
    match cause {
        Cause::Maintenance => "Gardener maintenance (safe to adopt)",
        Cause::Schedule => "Hibernation schedule",
        Cause::Human => "People",
        Cause::Other => "Others",
    }
}

fn rows(object: &ObjectDrift, cause: Cause) -> Vec<Vec<String>> {
    let name = if object.owner.kind == Kind::Shoot { object.owner.key() } else { object.owner.label() };
    if object.missing {
        let row = vec![name, format!("{} in {}", object.object, object.cluster), "is gone".into(), String::new(), String::new()];
        return if cause == Cause::Other { vec![row] } else { Vec::new() };
    }
    let fields = object.fields.iter().filter(|field| field.cause == cause);
    fields.map(|field| row(object, &name, field)).collect()
}

fn row(object: &ObjectDrift, name: &str, field: &Drifted) -> Vec<String> {
    let place = if object.own { String::new() } else { format!("{} ", object.object) };
    let (git, live) = if field.secret {
        (String::new(), "changed (secret)".to_owned())
    } else {
        (format!("git {}", shown(field.desired.as_ref())), format!("live {}", shown(field.observed.as_ref())))
    };
    let by = match (&field.manager, &field.since) {
        (Some(manager), Some(since)) => format!("{}, {since}", manager.escape_debug()),
        (Some(manager), None) => manager.escape_debug().to_string(),
        _ => "nobody says who".to_owned(),
    };
    vec![name.to_owned(), format!("{place}{}", field.field.escape_debug()), git, live, by]
}
