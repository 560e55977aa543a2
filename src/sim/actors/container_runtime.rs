//! ContainerRuntime: an additional runtime on the nodes of a pool. Nothing of it shows in the seed.

use serde_json::{Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress};
use super::object::EXTENSIONS;

/// The controller of any container runtime.
pub(super) struct ContainerRuntimes;

impl Extension for ContainerRuntimes {
    fn name(&self) -> &'static str {
        "gardener-extension-containerruntime"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "ContainerRuntime")]
    }

    fn reconcile(&self, _: &mut Cx<'_>, _: &Value) -> Result<Progress, Problem> {
        Ok(Progress::Done(json!({})))
    }
}
