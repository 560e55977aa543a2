//! A plan as it is published: what `plan -o json` writes, with its schema. Whoever gets one from elsewhere reads it here, so that
//! it is known to be one and not to contradict itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Live, Pins, SetBy};
use crate::finding::{Finding, Pointer};
use crate::landscape::Owner;
use crate::plan::guard::Breach;
use crate::plan::impact::{Impact, Mark, Pool};
use crate::plan::revert::Revert;
use crate::plan::when::{Occurrence, When};
use crate::print::json::{API_VERSION, published};

/// What one revision of a landscape changes against another, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The version of this shape.
    pub api_version: String,
    /// What this is.
    pub kind: String,
    /// The landscape's name.
    pub landscape: String,
    /// The revision before.
    pub from: String,
    /// The revision after, or WORKTREE.
    pub to: String,
    /// The time that was judged at (RFC 3339).
    pub now: String,
    /// How many commits lie between the revisions.
    pub commits: usize,
    /// The status commit that says on which seeds shoots are; null if there is none.
    pub placements: Option<String>,
    /// The digest of what is meant to be done; null if it is nothing.
    pub digest: Option<String>,
    /// What the plan holds for; null if that is in no commit.
    pub pins: Option<Pins>,
    /// What clusters had when the plan was made; absent if it was made offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// What changes, in the order of owners.
    pub objects: Vec<Object>,
    /// Errors that belong to no object.
    pub findings: Vec<Finding>,
    /// Guards that refuse the change as a whole.
    pub guards: Vec<Breach>,
    /// Acknowledgements that are about another change or over; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Finding>,
    /// How much of what.
    pub summary: Summary,
}

/// One object of the landscape that changes, or is rendered otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    /// Which.
    pub owner: Owner,
    /// What becomes of it.
    pub action: Action,
    /// What it is in a few words, parted by ` · `; of a shoot its purpose first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The file that it is written in.
    pub path: Option<String>,
    /// The changed fields.
    pub changes: Vec<FieldChange>,
    /// What it costs that its manifests are rendered otherwise although it was not changed itself, worst first.
    pub effects: Vec<Impact>,
    /// The worst that happens to it.
    pub worst: Mark,
    /// When it is rolled out, once it is accepted.
    pub when: Moment,
    /// The maintenance window that it is confined to: the one that is open, or the next; absent if it is to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Occurrence>,
    /// What taking the change back would do; null where nothing is done.
    pub revert: Option<Revert>,
    /// What keeps it from being used, if it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Why it stays, if it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why it cannot be told what is rendered otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What is rendered otherwise; absent if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<Component>>,
}

/// When a change is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// At once.
    Now,
    /// In its maintenance window.
    Window,
    /// When Gardener next reconciles the shoot.
    NextReconcile,
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Create,
    /// It differs.
    Update,
    /// It goes.
    Delete,
    /// It has errors and stays as it was accepted.
    Held,
    /// It is gone from Git and stays.
    Blocked,
    /// It is as it was, but something is rendered otherwise.
    Unchanged,
}

/// A changed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// Its name as people say it, list items by name: `provider.workers[cpu].maximum`.
    pub field: String,
    /// Where the new value stands; where the old one stood if there is none.
    pub pointer: Pointer,
    /// Before; null if it was absent.
    pub before: Option<Value>,
    /// After; null if it goes.
    pub after: Option<Value>,
    /// The place that it is written at, as `file:line:column`; null if it is written nowhere.
    pub at: Option<String>,
    /// What it costs, worst first.
    pub impact: Vec<Impact>,
    /// Whether nobody acts upon it yet, so that it costs nothing.
    pub idle: bool,
    /// Who set both values last; absent if that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetBy>,
}

/// The manifests of one component in one cluster that are rendered otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// Its name.
    pub component: String,
    /// The cluster: `garden` or `seed-NAME`.
    pub target: String,
    /// Its manifests that differ.
    pub manifests: Vec<Manifest>,
}

/// A rendered manifest that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// What happens to it: create, update or delete.
    pub action: Action,
    /// The API group; empty for the core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty if it is in none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// How much of what is in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// New objects.
    pub create: usize,
    /// Objects that differ.
    pub update: usize,
    /// Objects that go.
    pub delete: usize,
    /// Objects that are gone from Git and stay.
    pub blocked: usize,
    /// Objects with errors, which stay as they were accepted.
    pub held: usize,
    /// Objects to which nothing happens; they are not listed.
    pub unchanged: usize,
    /// Objects of which something is rendered otherwise.
    pub rendered: usize,
    /// Manifests that are rendered otherwise.
    pub manifests: usize,
    /// The worst that happens to anything.
    pub worst: Mark,
    /// Nodes that are replaced.
    pub replaced: Replaced,
}

/// Nodes that are replaced, by what the pools allow; as counted, where clusters were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replaced {
    /// At least.
    pub minimum: i64,
    /// At most.
    pub maximum: i64,
    /// Of how many clusters.
    pub clusters: usize,
}

impl Action {
    /// The word in every output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Object {
    /// What its changes cost that somebody acts upon.
    pub(super) fn impact(&self) -> impl Iterator<Item = &Impact> {
        self.changes.iter().filter(|change| !change.idle).flat_map(|change| &change.impact).chain(&self.effects)
    }

    /// The pools whose nodes are replaced or drained together, each once.
    pub(super) fn replaced(&self) -> Vec<&Pool> {
        super::replaced(self.impact())
    }

    /// How many manifests are rendered otherwise.
    pub(super) fn manifests(&self) -> usize {
        self.components.iter().flatten().map(|component| component.manifests.len()).sum()
    }
}

impl Plan {
    /// The kind of the document.
    pub const KIND: &'static str = "Plan";

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.findings.is_empty()
    }

    /// How many objects this becomes of.
    #[must_use]
    pub fn counted(&self, action: Action) -> usize {
        self.objects.iter().filter(|object| object.action == action).count()
    }

    /// Reads a plan that somebody else wrote. The error says what is wrong with it, in one line and without its values.
    pub fn read(value: Value) -> Result<Self, String> {
        let plan: Self = published::read(value, &schema())?;
        plan.agrees()?;
        Ok(plan)
    }

    /// Whether the summary is that of the objects; the error says in what it is not.
    fn agrees(&self) -> Result<(), String> {
        let summary = &self.summary;
        let counts = [
            ("create", summary.create, self.counted(Action::Create)),
            ("update", summary.update, self.counted(Action::Update)),
            ("delete", summary.delete, self.counted(Action::Delete)),
            ("blocked", summary.blocked, self.counted(Action::Blocked)),
            ("held", summary.held, self.counted(Action::Held)),
            ("rendered", summary.rendered, self.objects.iter().filter(|object| object.components.is_some()).count()),
            ("manifests", summary.manifests, self.objects.iter().map(Object::manifests).sum()),
        ];
        if let Some((word, said, counted)) = counts.into_iter().find(|(_, said, counted)| said != counted) {
            return Err(format!("it contradicts itself: its summary says {said} {word}, its objects are {counted}"));
        }
        let worst = self.objects.iter().map(|object| object.worst).max().unwrap_or(Mark::None);
        if worst != summary.worst {
            let (said, worst) = (summary.worst.word(), worst.word());
            return Err(format!("it contradicts itself: its summary says worst {said}, the worst of its objects is {worst}"));
        }
        Ok(())
    }
}

/// The JSON Schema of a plan.
#[must_use]
pub fn schema() -> Value {
    published::schema::<Plan>(Plan::KIND)
}

impl From<&super::Preview> for Plan {
    fn from(preview: &super::Preview) -> Self {
        let (rendered, manifests) = preview.rendered();
        let (minimum, maximum, clusters) = preview.replaced();
        let n = |action: Action| preview.counted(action.word());
        Self {
            api_version: API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            landscape: preview.landscape.clone(),
            from: preview.from.clone(),
            to: preview.to.clone(),
            now: preview.now.clone(),
            commits: preview.commits,
            placements: preview.placements.clone(),
            digest: preview.digest.clone(),
            pins: preview.pins.clone(),
            live: preview.live.clone(),
            objects: preview.items.iter().map(object).collect(),
            findings: preview.troubles.clone(),
            guards: preview.breaches.clone(),
            notes: preview.notes.clone(),
            summary: Summary {
                create: n(Action::Create),
                update: n(Action::Update),
                delete: n(Action::Delete),
                blocked: n(Action::Blocked),
                held: n(Action::Held),
                unchanged: preview.unchanged,
                rendered,
                manifests,
                worst: preview.worst(),
                replaced: Replaced { minimum, maximum, clusters },
            },
        }
    }
}

fn object(item: &super::Item) -> Object {
    use super::{Change, Consequence, Fate, Touch};
    let (action, findings, why) = match &item.fate {
        Fate::Created => (Action::Create, Vec::new(), None),
        Fate::Updated => (Action::Update, Vec::new(), None),
        Fate::Deleted => (Action::Delete, Vec::new(), None),
        Fate::Held(findings) => (Action::Held, findings.clone(), None),
        Fate::Blocked(why) => (Action::Blocked, Vec::new(), Some(why.clone())),
        Fate::Unchanged => (Action::Unchanged, Vec::new(), None),
    };
    let change = |Change { field, place, impact, idle, set }: &Change| FieldChange {
        field: field.name.clone(),
        pointer: field.pointer.clone(),
        before: field.before.clone(),
        after: field.after.clone(),
        at: place.clone(),
        impact: impact.clone(),
        idle: *idle,
        set: set.clone(),
    };
    let (unknown, components) = match &item.consequence {
        Consequence::None => (None, None),
        Consequence::Unknown(why) => (Some(why.clone()), None),
        Consequence::Rendered(components) => (None, Some(components)),
    };
    let components = components.map(|components| {
        let all = components.iter().map(|((name, target), objects)| Component {
            component: name.clone(),
            target: target.to_string(),
            manifests: objects
                .iter()
                .map(|(key, touch)| Manifest {
                    action: match touch {
                        Touch::Added => Action::Create,
                        Touch::Changed => Action::Update,
                        Touch::Removed => Action::Delete,
                    },
                    group: key.group.clone(),
                    kind: key.kind.clone(),
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                })
                .collect(),
        });
        all.collect()
    });
    let (when, window) = match item.when {
        When::Now => (Moment::Now, None),
        When::Window(span) => (Moment::Window, Some(span.occurrence())),
        When::NextReconcile => (Moment::NextReconcile, None),
    };
    Object {
        owner: item.owner.clone(),
        action,
        about: item.about.clone(),
        path: item.path.clone(),
        changes: item.changes.iter().map(change).collect(),
        effects: item.effects.clone(),
        worst: item.worst(),
        when,
        window,
        revert: item.revert.clone(),
        findings,
        why,
        unknown,
        components,
    }
}
