//! Writing: create, update, the patches, apply, delete, and the subresources that are not stored.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::go::{go, json_error};
use super::{Ask, Body, at_version, value};
use crate::sim::decode;
use crate::sim::deletion::{DeleteOptions, Propagation};
use crate::sim::error::{ApiError, Cause, details};
use crate::sim::kind::{Kind, Version};
use crate::sim::managed;
use crate::sim::path::Target;
use crate::sim::review;
use crate::sim::store::Stored;
use crate::sim::table;
use crate::sim::verbs::{Caller, How, Spot};
use crate::sim::{patch, strategic};

impl Ask {
    pub(super) fn create(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        if !target.name.is_empty() {
            return Err(ApiError::method_not_allowed());
        }
        if kind.namespaced && target.namespace.is_empty() {
            return Err(if kind.custom { ApiError::no_such_page() } else { ApiError::method_not_allowed() });
        }
        let mut caller = self.caller("CreateOptions")?;
        let object = self.object(kind, version, &mut caller)?;
        let written = self.shared.server().create(&caller, kind, &version.name, &target.namespace, object, How::Update)?;
        Ok(self.written(kind, version, &written))
    }

    pub(super) fn update(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let mut caller = self.caller("UpdateOptions")?;
        let object = self.object(kind, version, &mut caller)?;
        let sub = door(&target.subresource);
        let written = self.shared.server().update(&caller, spot(kind, version, target, sub), object, How::Update)?;
        Ok(self.written(kind, version, &written))
    }

    pub(super) fn patch(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let content = self.content_type().split(';').next().unwrap_or_default().trim().to_owned();
        let mut caller = self.caller("PatchOptions")?;
        let sub = door(&target.subresource);
        if content == "application/apply-patch+yaml" {
            if self.query.get("fieldManager").is_empty() {
                let cause = Cause::required("fieldManager", "is required for apply patch");
                return Err(ApiError::options("PatchOptions", cause));
            }
            let body = self.configuration(&caller)?;
            let given = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
            if given("kind") != kind.kind || given("apiVersion") != kind.api_version(&version.name) {
                let api_version = given("apiVersion");
                let api_version = if api_version.contains('/') { api_version.to_owned() } else { format!("/{api_version}") };
                let why = format!("invalid object type: {api_version}, Kind={}", given("kind"));
                return Err(ApiError::bad_request(why));
            }
            let force = self.query.is("force");
            let written = self.shared.server().apply(&caller, spot(kind, version, target, sub), &body, force)?;
            return Ok(self.written(kind, version, &written));
        }
        if !self.query.get("force").is_empty() {
            return Err(ApiError::options("PatchOptions", Cause::forbidden("force", "may not be specified for non-apply patch")));
        }
        caller.patch = true;
        let strategic = content == "application/strategic-merge-patch+json";
        if strategic && kind.custom {
            let why = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(ApiError::new(415, "UnsupportedMediaType", why));
        }
        if !strategic && !matches!(content.as_str(), "application/json-patch+json" | "application/merge-patch+json") {
            let mut error = ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            error.details = Some(json!({}));
            return Err(error);
        }
        let mut server = self.shared.server();
        let stored = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        let wrong = |why: String| ApiError::bad_request(format!("error decoding patch: {why}"));
        let mut body = decode::json(&self.body, &mut caller.twice).map_err(|error| wrong(json_error(&self.body, &error)))?;
        let mut object = at_version(kind, version, &stored);
        if content == "application/json-patch+json" {
            if !body.is_array() {
                let why = format!("json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp", go(&body));
                return Err(wrong(why));
            }
            patch::json(&mut object, &body)?;
        } else if !body.is_object() && strategic {
            let why = format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", go(&body));
            return Err(ApiError::bad_request(why));
        } else if !body.is_object() {
            return Err(wrong(format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", go(&body))));
        } else if strategic {
            object = strategic::apply(&object, &mut body, kind.structure(version))?;
            caller.shown = Some(decode::printed(&body));
        } else {
            patch::merge(&mut object, &body);
        }
        if !kind.custom {
            let given = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
            let (wanted, version) = (kind.api_version(&version.name), &version.name);
            let why = if given("apiVersion") != wanted {
                let scheme = "in scheme \"pkg/runtime/scheme.go:111\"";
                Some(format!("no kind {:?} is registered for version {:?} {scheme}", given("kind"), given("apiVersion")))
            } else if given("kind") != kind.kind {
                Some(format!("converting ({version}.{}) to (core.{}): unknown conversion", given("kind"), kind.kind))
            } else {
                None
            };
            if let Some(why) = why {
                return Err(ApiError::invalid_patch(&object.to_string(), &why));
            }
        }
        let written = server.update(&caller, spot(kind, version, target, sub), object, How::Update)?;
        drop(server);
        Ok(self.written(kind, version, &written))
    }

    fn delete_options(&self) -> Result<(DeleteOptions, bool), ApiError> {
        let mut twice = Vec::new();
        let body = if self.body.is_empty() {
            Value::Null
        } else {
            decode::json(&self.body, &mut twice).map_err(|error| {
                let why = json_error(&self.body, &error);
                ApiError::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
            })?
        };
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        if let Some(kind) = text("/kind").filter(|kind| kind != "DeleteOptions") {
            let version = text("/apiVersion").unwrap_or_default();
            let why = format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"");
            return Err(ApiError::bad_request(why));
        }
        let refuse = |reason: &'static str, message: String| {
            ApiError::options("DeleteOptions", Cause { reason, field: "propagationPolicy".into(), message })
        };
        let policy = text("/propagationPolicy").unwrap_or_else(|| self.query.get("propagationPolicy").to_owned());
        let orphan =
            body.get("orphanDependents").is_some_and(|value| !value.is_null()) || !self.query.get("orphanDependents").is_empty();
        if orphan && !policy.is_empty() {
            let why = format!("Invalid value: {policy:?}: orphanDependents and deletionPropagation cannot be both set");
            return Err(refuse("FieldValueInvalid", why));
        }
        let propagation = match policy.as_str() {
            "Background" => Some(Propagation::Background),
            "Foreground" => Some(Propagation::Foreground),
            "Orphan" => Some(Propagation::Orphan),
            "" if body.get("orphanDependents") == Some(&Value::Bool(true)) || self.query.is("orphanDependents") => {
                Some(Propagation::Orphan)
            }
            "" => None,
            other => {
                let known = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                return Err(refuse("FieldValueNotSupported", format!("Unsupported value: {other:?}: supported values: {known}")));
            }
        };
        let dry_run = body.pointer("/dryRun/0").is_some() || self.query.get("dryRun") == "All";
        let grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
        let options = DeleteOptions {
            uid: text("/preconditions/uid"),
            version: text("/preconditions/resourceVersion"),
            propagation,
            grace: grace.or_else(|| self.query.get("gracePeriodSeconds").parse().ok()),
        };
        Ok((options, dry_run))
    }

    pub(super) fn delete(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let (options, dry_run) = self.delete_options()?;
        let caller = Caller { dry_run, ..self.caller("DeleteOptions")? };
        let written = self.shared.server().delete(&caller, kind, &target.namespace, &target.name, &options)?;
        if written.removed && !kind.is_shown_once_more() {
            let mut details = details(kind, &target.name, &kind.plural);
            details["uid"] = (*written.stored.uid).into();
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            return Ok(value(StatusCode::OK, &status));
        }
        Ok(self.written(kind, version, &written))
    }

    pub(super) fn delete_all(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let selector = self.selector(kind, version, target)?;
        let (options, dry_run) = self.delete_options()?;
        let caller = Caller { dry_run, ..self.caller("DeleteOptions")? };
        let namespace = Some(target.namespace.as_str()).filter(|n| !n.is_empty());
        let mut server = self.shared.server();
        let collection = server.store.of_kind(kind).ok_or_else(ApiError::no_such_resource)?;
        let found: Vec<Arc<Stored>> = collection.iter(namespace).filter(|stored| selector.matches(stored)).cloned().collect();
        for stored in &found {
            match server.delete(&caller, kind, &stored.namespace, &stored.name, &options) {
                Ok(_) => {}
                // It went as a dependent of another.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let mut meta = json!({"resourceVersion": server.store.version.to_string()});
        if kind.custom {
            meta["continue"] = "".into();
        }
        drop(server);
        Ok(self.page(kind, version, &meta, &found))
    }

    pub(super) fn token(&self, kind: &Arc<Kind>, target: &Target) -> Result<Response<Body>, ApiError> {
        let server = self.shared.server();
        let account = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        drop(server);
        let caller = self.caller("CreateOptions")?;
        let now = self.shared.clock.now();
        Ok(value(StatusCode::CREATED, &review::token(self.parse()?, &account, &self.shared.name, now, &caller)))
    }

    pub(super) fn scale(
        &self,
        kind: &Arc<Kind>,
        version: &Version,
        target: &Target,
        verb: &str,
    ) -> Result<Response<Body>, ApiError> {
        let paths = version.scale.as_ref().ok_or_else(ApiError::no_such_resource)?;
        let mut server = self.shared.server();
        let stored = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        let mut object = at_version(kind, version, &stored);
        let absent = kind.custom && table::select(&object, &paths.spec).is_empty();
        if absent && verb == "get" {
            let why = format!("the spec replicas field {:?} does not exist", paths.spec);
            let mut error = ApiError::new(500, "InternalError", format!("Internal error occurred: {why}"));
            error.details = Some(json!({"causes": [{"message": why}]}));
            return Err(error);
        }
        let mut scale = scale_of(kind, version, &object);
        match verb {
            "get" => {}
            "update" => scale = self.parse()?,
            "patch" if self.content_type().contains("json-patch+json") => patch::json(&mut scale, &self.parse()?)?,
            "patch" => patch::merge(&mut scale, &self.parse()?),
            "apply" => {
                let caller = self.caller("PatchOptions")?;
                let given = self.configuration(&caller)?;
                let same = given.pointer("/spec/replicas") == scale.pointer("/spec/replicas");
                if !self.query.is("force") && !same {
                    managed::scaled(&object, &paths.spec, &caller)?;
                }
                if kind.custom {
                    let what = format!("/{}; autoscaling/v1, Kind=Scale", target.name);
                    let why = "request to convert CR to an invalid group/version: autoscaling/v1";
                    let text = format!("failed to convert new object ({what}) to proper version: {why}");
                    return Err(ApiError::new(500, "", text));
                }
                patch::merge(&mut scale, &given);
            }
            _ => return Err(ApiError::method_not_allowed()),
        }
        if verb == "get" {
            return Ok(value(StatusCode::OK, &scale));
        }
        if absent && verb != "update" && scale.pointer("/spec/replicas").is_none() {
            return Err(ApiError::bad_request(format!("the spec replicas field {:?} cannot be empty", paths.spec)));
        }
        let replicas = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
        if !kind.custom && replicas.as_i64().is_some_and(|count| count < 0) {
            let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
            let cause = Cause { reason: "FieldValueInvalid", field: "spec.replicas".into(), message };
            return Err(ApiError::invalid_scale(&target.name, cause));
        }
        table::assign(&mut object, &paths.spec, replicas);
        if let Some(given) = scale.pointer("/metadata/resourceVersion") {
            object["metadata"]["resourceVersion"] = given.clone();
        }
        let caller = Caller { scales: verb == "apply", ..self.caller("UpdateOptions")? };
        let written = server.update(&caller, spot(kind, version, target, "scale"), object, How::Update)?;
        drop(server);
        let mut response = value(StatusCode::OK, &scale_of(kind, version, &at_version(kind, version, &written.stored)));
        for warning in &written.warnings {
            super::warn(&mut response, warning);
        }
        Ok(response)
    }
}

fn spot<'a>(kind: &'a Arc<Kind>, version: &'a Version, target: &'a Target, subresource: &'a str) -> Spot<'a> {
    Spot { kind, version: &version.name, subresource, namespace: &target.namespace, name: &target.name }
}

/// Which part of an object a subresource writes.
fn door(subresource: &str) -> &str {
    if subresource == "approval" { "status" } else { subresource }
}

fn scale_of(kind: &Kind, version: &Version, object: &Value) -> Value {
    let number = |path: &str| table::select(object, path).first().and_then(|v| v.as_i64()).unwrap_or(0);
    let (spec, status) = version.scale.as_ref().map_or((0, 0), |paths| (number(&paths.spec), number(&paths.status)));
    let selector = match object.pointer("/spec/selector/matchLabels").and_then(Value::as_object) {
        Some(labels) if !kind.custom => {
            labels.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
        }
        _ => version
            .scale
            .as_ref()
            .and_then(|paths| paths.selector.as_deref())
            .and_then(|path| table::select(object, path).first().and_then(|v| v.as_str().map(str::to_owned)))
            .unwrap_or_default(),
    };
    let meta = |field: &str| object.pointer(&format!("/metadata/{field}")).cloned().unwrap_or_default();
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta("name"), "namespace": meta("namespace"), "uid": meta("uid"),
            "resourceVersion": meta("resourceVersion"), "creationTimestamp": meta("creationTimestamp"),
        },
        "spec": {}, "status": {"replicas": status},
    });
    if spec != 0 {
        scale["spec"]["replicas"] = spec.into();
    }
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}
