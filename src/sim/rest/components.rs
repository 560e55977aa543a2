//! The statuses of a cluster's components, which clients still ask for.

use http::{Method, Response, StatusCode};
use serde_json::json;

use super::{Ask, Body, value, warn};
use crate::sim::error::ApiError;
use crate::sim::path::Target;

impl Ask {
    /// The components of the cluster, of which there are none; `None` if something else is asked for.
    pub(super) fn components(&self, target: &Target) -> Option<Result<Response<Body>, ApiError>> {
        const WARNING: &str = "v1 ComponentStatus is deprecated in v1.19+";
        let asked = [&target.group, &target.plural, &target.version, &target.namespace, &target.subresource];
        if asked != ["", "componentstatuses", "v1", "", ""] {
            return None;
        }
        Some(match (&self.method, target.name.as_str()) {
            (&Method::GET, "") => {
                let list = json!({"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": []});
                let mut response = value(StatusCode::OK, &list);
                warn(&mut response, WARNING);
                Ok(response)
            }
            (&Method::GET, name) => {
                let why = format!("componentstatuses {name:?} not found");
                let mut error = ApiError::new(404, "NotFound", why);
                error.details = Some(json!({"name": name, "kind": "componentstatuses"}));
                error.warnings.push(WARNING.to_owned());
                Err(error)
            }
            _ => Err(ApiError::method_not_allowed()),
        })
    }
}
