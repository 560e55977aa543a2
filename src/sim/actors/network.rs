//! Network: the pod network of a shoot. Says which families it serves.

use serde_json::{Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress};
use super::object::{EXTENSIONS, items};

/// The controller of any network plugin.
pub(super) struct Networks;

impl Extension for Networks {
    fn name(&self) -> &'static str {
        "gardener-extension-networking"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "Network")]
    }

    fn reconcile(&self, _: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        let families = items(object, "/spec/ipFamilies");
        let families = if families.is_empty() { vec![json!("IPv4")] } else { families.to_vec() };
        Ok(Progress::Done(json!({"ipFamilies": families})))
    }
}
