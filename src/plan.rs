//! What to do: desired against observed, per owner, component and object. A plan leaves execution no choice that its reader could
//! not have foreseen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::landscape::{Owner, Target};
use crate::observed::ObjectKey;
use crate::render::ComponentId;
use crate::secrets::Generate;
use crate::snapshot::Revision;

pub mod acknowledged;
pub mod covers;
mod delete;
pub mod diff;
pub mod drift;
pub mod guard;
pub mod impact;
pub mod intent;
pub mod outcome;
pub mod owner;
pub mod revert;
mod token;
mod watchdog;
pub mod way;
pub mod when;

pub use delete::{FINALIZER, gone};
pub use outcome::{ErrorClass, Outcome, StepError, StepResult};
pub use owner::{MANIFEST, Request, beside, plan, serves, settled};
pub use token::RENEW;

/// The plan of one evaluation.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Made from this commit.
    pub revision: Option<Revision>,
    /// Per owner.
    pub owners: BTreeMap<Owner, Arc<OwnerPlan>>,
}

/// The plan of one owner over all its clusters.
#[derive(Debug, Clone, Serialize)]
pub struct OwnerPlan {
    /// Whose.
    pub owner: Owner,
    /// What is being done to it as a whole.
    pub operation: Operation,
    /// Its components over all targets, in graph order.
    pub components: Vec<ComponentPlan>,
    /// Secrets to make first.
    pub generate: Vec<Generate>,
    /// Ready components in percent of wanted ones, rounded down.
    pub progress: u8,
    /// When to look again although nothing changed, as seconds since the epoch.
    pub again: Option<i64>,
    /// The maintenance window that something new waits for while the owner is kept as it was rolled out last.
    pub waits: Option<when::Span>,
}

impl OwnerPlan {
    /// The same plan to look at and not to carry out: without the manifests of its steps. Ten thousand of these are kept.
    #[must_use]
    pub fn outline(&self) -> Self {
        let mut plan = self.clone();
        for step in plan.components.iter_mut().flat_map(|c| c.steps.iter_mut().chain(&mut c.later)) {
            step.action.forget_body();
        }
        plan
    }

    /// A plan that is one status to write.
    #[must_use]
    pub fn status(owner: Owner, step: Step) -> Self {
        Self::of_manifest(owner, ComponentState::Ready, vec![step], 100)
    }

    /// The plan of an owner that could not be planned.
    #[must_use]
    pub fn failed(owner: Owner, why: String) -> Self {
        Self::of_manifest(owner, ComponentState::Failed(why), Vec::new(), 0)
    }

    fn of_manifest(owner: Owner, state: ComponentState, steps: Vec<Step>, progress: u8) -> Self {
        let id = ComponentId { scope: crate::render::Scope::Garden, name: MANIFEST.into() };
        let component = ComponentPlan { id, target: Target::Garden, beside: false, state, steps, later: Vec::new() };
        Self {
            owner,
            operation: Operation::Reconcile,
            components: vec![component],
            generate: Vec::new(),
            progress,
            again: None,
            waits: None,
        }
    }
}

/// Gardener's operation types as far as they apply to any owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Operation {
    /// It never was ready.
    Create,
    /// It exists.
    Reconcile,
    /// It is going away.
    Delete,
}

/// The plan of one component.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentPlan {
    /// Which.
    pub id: ComponentId,
    /// Where.
    pub target: Target,
    /// Whether those who wait for its owner do not wait for it.
    #[serde(skip)]
    pub beside: bool,
    /// How it stands.
    pub state: ComponentState,
    /// What to do now, in order: the frontier. Steps that must wait are in `later`.
    pub steps: Vec<Step>,
    /// What will be done once the component's needs are met.
    pub later: Vec<Step>,
}

/// How a component stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "why")]
pub enum ComponentState {
    /// Not wanted, nothing left of it.
    Skipped(String),
    /// A fact or secret that it reads is missing.
    Waiting(String),
    /// Components that it needs are not ready.
    Blocked(Vec<String>),
    /// Applied or being applied, not ready yet.
    Progressing(String),
    /// As wanted.
    Ready,
    /// Its controller reports an error; kept, retried.
    Failed(String),
    /// On its way out.
    Removing(String),
    /// An object that is not ours, or a target that could not be listed, stands in the way.
    Held(String),
}

/// One object and what happens to it.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Where.
    pub target: Target,
    /// Which.
    pub key: ObjectKey,
    /// `apiVersion` to use.
    pub api_version: String,
    /// What.
    pub action: Action,
    /// Why, for a person.
    pub reason: String,
    /// The changed fields, where the observed state is known well enough to say; values of sensitive objects are never in here.
    pub changes: Vec<Change>,
    /// Digest of the desired object, empty for deletions.
    pub digest: Option<Digest>,
}

/// One changed field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// JSON pointer into the object.
    pub pointer: String,
    /// Before; `None` if it was absent.
    pub before: Option<Value>,
    /// After; `None` if it goes.
    pub after: Option<Value>,
}

/// What is done to an object.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// It does not exist: apply, with the `once` fields by their own manager.
    Create {
        /// The manifest.
        #[serde(skip)]
        body: Arc<Value>,
        /// Fields for `espalier-once`.
        #[serde(skip)]
        once: Option<Arc<Value>>,
        /// Extension handshake after the apply.
        trigger: bool,
    },
    /// It differs: apply.
    Update {
        /// UID precondition: an object that went meanwhile is not made again by its update.
        uid: String,
        /// The manifest.
        #[serde(skip)]
        body: Arc<Value>,
        /// Fields for `espalier-once`, repeated so that they stay co-owned; sizes of volumes stay as they are.
        #[serde(skip)]
        once: Option<Arc<Value>>,
        /// Whether our content is unchanged and somebody else's hand is undone.
        drift: bool,
        /// Extension handshake after the apply.
        trigger: bool,
    },
    /// An immutable field differs: delete, then create on a later pass.
    Recreate {
        /// UID precondition.
        uid: String,
        /// resourceVersion precondition.
        resource_version: String,
    },
    /// The handshake alone is missing: the object was applied but never triggered, or its last operation failed.
    Trigger,
    /// A token of the garden is missing or grows old: asked for there, and written into this Secret.
    Renew {
        /// UID precondition.
        uid: String,
        /// The namespace of the ServiceAccount in the garden.
        namespace: String,
        /// Its name.
        account: String,
    },
    /// It is ours and no longer wanted.
    Delete {
        /// UID precondition.
        uid: String,
        /// resourceVersion precondition.
        resource_version: String,
        /// Write Gardener's deletion confirmation first (extension objects, Etcds).
        confirm: bool,
        /// Take our own finalizer off first (`espalier.dev/protect` on Shoots, Seeds and Projects).
        release: bool,
    },
    /// It is not ours and named for adoption: apply with force.
    Adopt {
        /// The manifest.
        #[serde(skip)]
        body: Arc<Value>,
    },
    /// A decision of ours, such as `spec.seedName`: applied by manager `espalier-decisions` with this resourceVersion as
    /// precondition, before anything acts upon it.
    Decide {
        /// The sparse manifest.
        #[serde(skip)]
        body: Arc<Value>,
        /// resourceVersion precondition.
        resource_version: String,
    },
    /// Labels that tell other readers how an object stands (`shoot.gardener.cloud/status`): applied by a manager of their own.
    Mark {
        /// The sparse manifest.
        #[serde(skip)]
        body: Arc<Value>,
    },
    /// The status subresource of a landscape object in the garden: merge patch.
    Status {
        /// The patch.
        #[serde(skip)]
        patch: Arc<Value>,
    },
    /// It exists, is wanted, and is not ours.
    Hold,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.verb())
    }
}

impl Action {
    fn forget_body(&mut self) {
        match self {
            Self::Create { body, once, .. } | Self::Update { body, once, .. } => {
                *body = Arc::default();
                *once = None;
            }
            Self::Adopt { body } | Self::Decide { body, .. } | Self::Mark { body } | Self::Status { patch: body } => {
                *body = Arc::default();
            }
            Self::Recreate { .. } | Self::Trigger | Self::Renew { .. } | Self::Delete { .. } | Self::Hold => {}
        }
    }

    /// Whether it brings back what was wanted all along: nothing has to be waited for with that.
    const fn is_repair(&self) -> bool {
        matches!(self, Self::Update { drift: true, .. } | Self::Trigger | Self::Renew { .. })
    }

    /// The word that plans print.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { drift: true, .. } => "restore",
            Self::Update { .. } => "update",
            Self::Recreate { .. } => "recreate",
            Self::Trigger => "trigger",
            Self::Renew { .. } => "renew",
            Self::Delete { .. } => "delete",
            Self::Adopt { .. } => "adopt",
            Self::Decide { .. } => "decide",
            Self::Mark { .. } => "mark",
            Self::Status { .. } => "status",
            Self::Hold => "hold",
        }
    }
}
