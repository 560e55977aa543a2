//! Extension: whatever else a shoot asked for by type.

use serde_json::{Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress};
use super::object::EXTENSIONS;

/// The controller of any type of extension.
pub(super) struct Extensions;

impl Extension for Extensions {
    fn name(&self) -> &'static str {
        "gardener-extension"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "Extension")]
    }

    fn reconcile(&self, _: &mut Cx<'_>, _: &Value) -> Result<Progress, Problem> {
        Ok(Progress::Done(json!({})))
    }
}
