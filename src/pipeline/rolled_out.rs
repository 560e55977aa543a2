//! What a shoot that waits for its maintenance windows was last rolled out from, beside its own manifest: the library, and the manifests
//! of others. The garden remembers it, so what changes there without anybody changing the shoot waits, too, whoever is restarted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::rollout::is_urgent;
use super::{Look, Memory, World, sources};
use crate::digest::{self, Digest};
use crate::landscape::{Kind, Owner};
use crate::observed::{ACCEPTED_ANNOTATION, Object, ROLLED_OUT_ANNOTATION};
use crate::plan::when::{Span, When, is_gardeners, waits_for_windows};

impl World {
    /// What is to be remembered as what a shoot was rolled out from, and the window that it waits for with what it is rendered from
    /// now. Nothing is remembered of shoots that wait for no windows.
    pub(super) fn rolled_out_from(
        &self,
        owner: &Owner,
        live: Option<&Object>,
        look: &Look<'_>,
        memory: &mut Memory,
    ) -> (Option<String>, Option<Span>) {
        let settings = self.settings.as_deref();
        let Some(manifest) = self.manifest(owner).filter(|_| owner.kind == Kind::Shoot) else { return (None, None) };
        if is_gardeners(settings) || !waits_for_windows(manifest, settings) {
            return (None, None);
        }
        let seed = live.and_then(|live| live.get("/spec/seedName")).and_then(Value::as_str);
        let others: Vec<Value> = sources(self, owner, seed)
            .iter()
            .filter_map(|source| Some(json!([source.label(), memory.digest(source, self.manifest(source)?).as_str()])))
            .collect();
        let is = digest::of_value(&json!([look.library.digest().as_str(), others])).as_str().to_owned();
        let was = live.and_then(|live| live.annotations.get(ROLLED_OUT_ANNOTATION)).filter(|was| **was != is);
        let Some(was) = was else { return (Some(is), None) };
        let now = look.now.as_second();
        // With a new spec of its own it is rolled out as it is now in all: a cluster that is woken up is not half of one.
        let urgent = self.urgent.contains(owner) || live.is_some_and(|live| is_urgent(live) || differs(live, manifest));
        match When::of_sources(owner, manifest, settings, now).not_before(now) {
            Some(span) if !urgent => (Some(was.clone()), Some(span)),
            _ => (Some(is), None),
        }
    }
}

/// Whether a shoot has a spec that was not accepted yet.
fn differs(live: &Object, manifest: &Value) -> bool {
    let accepted = live.annotations.get(ACCEPTED_ANNOTATION).and_then(|text| serde_json::from_str::<Value>(text).ok());
    accepted.is_some_and(|accepted| accepted.get("spec") != manifest.get("spec"))
}

impl Memory {
    /// The digest of a manifest, computed once.
    pub(super) fn digest(&mut self, owner: &Owner, manifest: &Arc<Value>) -> Digest {
        if let Some((known, digest)) = self.digests.get(owner)
            && Arc::ptr_eq(known, manifest)
        {
            return digest.clone();
        }
        let digest = digest::of_value(manifest);
        self.digests.insert(owner.clone(), (manifest.clone(), digest.clone()));
        digest
    }
}
