//! Volumes: one that is there keeps the size that it was made with, whatever its seed asks for now; where that is more, somebody is
//! told.

use serde_json::Value;

use super::{Look, World};
use crate::finding::{Code, Finding};
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{Object, ObjectKey};
use crate::render::context::Identity;
use crate::value::Quantity;

/// Code of the note about volumes that stay as small as they are.
pub const KEPT_SMALL: Code = Code::new("VOLUME-KEPT");

/// Where a StatefulSet says how large its volumes are; each of ours has one.
const SIZE: &str = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";

/// What of bodies is kept for that: group, kind, pointers.
pub const KEPT: (&str, &str, &[&str]) = ("apps", "StatefulSet", &[SIZE]);

impl World {
    /// What there is to say of the volumes of a shoot's control plane, or of a seed's own.
    pub(super) fn volumes(&self, owner: &Owner, identity: &Identity, look: &Look<'_>) -> Option<Finding> {
        let (seed, namespace) = match owner.kind {
            Kind::Seed => (owner.name.clone(), "garden"),
            Kind::Shoot => (identity.seed.clone()?, identity.technical_id.as_deref()?),
            _ => return None,
        };
        let manifest = self.manifest(&Owner::cluster(Kind::Seed, seed.clone()))?;
        let said = manifest.pointer("/spec/volume/minimumSize").and_then(Value::as_str)?;
        let minimum: Quantity = said.parse().ok()?;
        let first = ObjectKey::new("apps", "StatefulSet", namespace, "");
        let is_there = |key: &ObjectKey| key.group == "apps" && key.kind == "StatefulSet" && key.namespace == namespace;
        let live = look.observed.targets.get(&Target::Seed(seed))?;
        let small = live.objects.range(first..).take_while(|(key, _)| is_there(key)).filter_map(|(key, object)| {
            let size = size(object)?;
            (size.parse::<Quantity>().ok()? < minimum).then(|| format!("{} ({size})", key.name))
        });
        let small: Vec<String> = small.collect();
        (!small.is_empty()).then(|| {
            Finding::note(KEPT_SMALL, format!("volumes stay smaller than the seed's minimum of {said}: {}", small.join(", ")))
                .help("to have more, enlarge the claim, and the size in the Prometheus, Alertmanager or Etcd that it belongs to; then delete the StatefulSet: it is made anew, and finds its claim")
                .of(owner)
        })
    }
}

/// How large the volumes of a StatefulSet are.
fn size(object: &Object) -> Option<&str> {
    object.get(SIZE).and_then(Value::as_str).filter(|_| !object.deleting)
}
