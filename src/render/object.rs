//! A landscape object as it stands in the garden: the accepted manifest itself, and what was accepted beside it.

use serde_json::{Value, json};

use super::post::{set, tracking};
use super::{Body, DesiredObject};
use crate::digest;
use crate::landscape::{Kind, Owner, controller_deployment};
use crate::observed::{
    ACCEPTED_ANNOTATION, ACCEPTED_REVISION_ANNOTATION, COMPONENT_LABEL, DIGEST_ANNOTATION, OWNER_LABEL, ROLLED_OUT_ANNOTATION,
    TRACKING_ANNOTATION, garden_key,
};
use crate::plan::{FINALIZER, MANIFEST};
use crate::snapshot::Revision;

/// The landscape object of an owner, for the garden.
///
/// `value` is the accepted manifest. It is applied as it is; what was decided beside it (`spec.seedName` of a shoot that does not
/// pin one) belongs to another manager and must not be in it. `rolled_out_from` is remembered for shoots that wait for their
/// maintenance windows with what they are rendered from.
#[must_use]
pub fn object(owner: &Owner, value: &Value, revision: &Revision, rolled_out_from: Option<&str>) -> DesiredObject {
    let key = garden_key(owner);
    let mut body = value.clone();
    if !body.is_object() {
        body = json!({});
    }
    controller_deployment::modernise(&mut body);
    body["apiVersion"] = owner.kind.api_version().into();
    body["kind"] = owner.kind.name().into();
    if let Some(map) = body.as_object_mut() {
        map.remove("status");
    }
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    body["metadata"]["name"] = key.name.clone().into();
    if !key.namespace.is_empty() {
        body["metadata"]["namespace"] = key.namespace.clone().into();
    }
    if matches!(owner.kind, Kind::Shoot | Kind::Seed | Kind::Project) {
        let finalizers = body["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let mut finalizers: Vec<Value> = finalizers.into_iter().filter(|f| f != FINALIZER).collect();
        finalizers.push(FINALIZER.into());
        body["metadata"]["finalizers"] = finalizers.into();
    }
    set(&mut body, "annotations", ACCEPTED_ANNOTATION, digest::canonical(value));
    set(&mut body, "annotations", ACCEPTED_REVISION_ANNOTATION, revision.0.clone());
    if let Some(digest) = rolled_out_from {
        set(&mut body, "annotations", ROLLED_OUT_ANNOTATION, digest.to_owned());
    }
    let digest = digest::of_value(&body);
    set(&mut body, "labels", OWNER_LABEL, owner.label());
    set(&mut body, "labels", COMPONENT_LABEL, MANIFEST.to_owned());
    set(&mut body, "annotations", TRACKING_ANNOTATION, tracking(&owner.label(), &key));
    set(&mut body, "annotations", DIGEST_ANNOTATION, digest.0.clone());
    DesiredObject {
        key,
        api_version: owner.kind.api_version().to_owned(),
        body: Body::written(body),
        once: None,
        digest,
        sensitive: false,
    }
}
