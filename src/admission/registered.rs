//! What the registrations of a landscape are responsible for together, as one value that verdicts can depend on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::node::Node;
use crate::landscape::{Kind, Owner};

/// The key under which verdicts remember that they looked at this: no registration is called so.
pub(super) fn key() -> Owner {
    Owner::cluster(Kind::ControllerRegistration, "")
}

/// `Kind/type` of every primary resource, with what is said about it; none if there are no registrations.
pub(super) fn gathered(objects: &BTreeMap<Owner, Arc<Value>>) -> Option<Arc<Value>> {
    let mut all = Map::new();
    let mut some = false;
    for (_, registration) in objects.iter().filter(|(owner, _)| owner.kind == Kind::ControllerRegistration) {
        some = true;
        for resource in Node::root(registration).at("spec/resources").items() {
            if resource.get("primary").flag() != Some(false) {
                let name = format!("{}/{}", resource.get("kind").str(), resource.get("type").str());
                let said = |key: &str| resource.get(key).value().cloned().unwrap_or_default();
                let about = ["workerlessSupported", "clusterCompatibility"].map(|key| (key.to_owned(), said(key)));
                all.insert(name, json!(Map::from_iter(about)));
            }
        }
    }
    some.then(|| Arc::new(Value::Object(all)))
}
