//! From an admitted object to manifests: components are templates with front matter; a release is what one owner wants in one
//! cluster. The only place where ownership is stamped.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::landscape::{Owner, Target};
use crate::observed::ObjectKey;

mod body;
mod cast;
pub mod chart;
pub mod component;
pub mod context;
pub mod crd;
mod engine;
mod fold;
mod helper;
pub mod image;
mod load;
mod mould;
mod object;
mod post;
mod program;
mod release;
mod replay;
mod script;
mod stage;
mod syntax;
mod when;

pub use body::Body;
pub use component::{Component, ComponentId, DeletePhase, Hibernate, Ready, Scope, Trigger, operated};
pub use engine::Known;
pub use image::Images;
pub use load::{CODES, Compiled, Components, compile};
pub use object::object;
pub use post::namespaced;
pub use release::{Outcome, Parts, components};
pub use stage::{Inputs, Prepared, Rendering, input, prepare, render, render_again, render_differing, scope_of};

/// What all owners want.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Per owner and cluster.
    pub releases: BTreeMap<(Owner, Target), Arc<Release>>,
}

/// All rendered components of one owner for one cluster.
#[derive(Debug, Clone)]
pub struct Release {
    /// Whose.
    pub owner: Owner,
    /// Where.
    pub target: Target,
    /// The components in graph order; every component of the scope is listed, also skipped and waiting ones.
    pub components: Vec<Rendered>,
}

/// One component, rendered.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Its definition.
    pub component: Arc<Component>,
    /// What became of it.
    pub state: RenderState,
    /// Its objects, in the order of the template; empty unless `Wanted`.
    pub objects: Vec<DesiredObject>,
}

/// What became of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RenderState {
    /// It is wanted, and here are its objects.
    Wanted,
    /// It is not wanted: its `when` is false, or hibernation removes it. Its objects may be pruned.
    Skipped(String),
    /// It is wanted but something it reads is not known yet. Its objects and secrets are never pruned.
    Waiting(String),
    /// It could not be rendered: the message. Treated as waiting.
    Failed(String),
}

/// One manifest, stamped.
#[derive(Clone)]
pub struct DesiredObject {
    /// Identity.
    pub key: ObjectKey,
    /// `apiVersion`.
    pub api_version: String,
    /// The manifest as applied by manager `espalier`, with labels and annotations stamped; without the `once` fields.
    pub body: Body,
    /// The fields set once at creation by manager `espalier-once`, as a sparse manifest; `None` for most objects.
    pub once: Option<Arc<Value>>,
    /// Digest of the content (keyed where it includes secret values); equals the stamped annotation.
    pub digest: Digest,
    /// Whether the content includes secret values: never printed, never diffed.
    pub sensitive: bool,
}

impl PartialEq for DesiredObject {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, &self.api_version, &self.digest, self.sensitive)
            == (&other.key, &other.api_version, &other.digest, other.sensitive)
            && self.body.value() == other.body.value()
            && self.once == other.once
    }
}

impl std::fmt::Debug for DesiredObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DesiredObject").field("key", &self.key).field("digest", &self.digest).finish_non_exhaustive()
    }
}
