//! HTTP requests and answers: which verb a request is, and in which form its answer goes out.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::stamp;
use super::cluster::Shared;
use super::counters;
use super::discovery;
use super::error::ApiError;
use super::kind::{Kind, Version};
use super::openapi;
use super::path::{Query, Route, Target, route};
use super::review;
use super::store::Stored;
use super::table;
use super::verbs::{Caller, Unknown, Written};

mod read;
mod write;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// In which form objects go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Whole,
    /// Their metadata only.
    Partial,
    /// As rows of a table.
    Table {
        /// What of the objects goes with the rows.
        include: String,
    },
}

/// A request, taken apart.
struct Ask {
    shared: Arc<Shared>,
    user: String,
    method: Method,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a request of an authenticated user.
pub(crate) async fn handle<B>(shared: Arc<Shared>, user: &str, request: Request<B>) -> Response<Body>
where
    B: http_body::Body,
    B::Error: std::fmt::Display,
{
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refuse(&ApiError::bad_request(format!("failed to read the request: {error}"))),
    };
    let ask = Ask {
        shared: Arc::clone(&shared),
        user: user.to_owned(),
        method: parts.method,
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
    };
    let answer = ask.answer(route(parts.uri.path())).await;
    // Nothing is said that could be lost: whatever this answer has seen is on disk before it goes out.
    if let Some(journal) = &shared.journal {
        let version = shared.server().store.version;
        if let Err(why) = journal.durable(version).await {
            return refuse(&ApiError::new(500, "InternalError", why));
        }
    }
    answer.unwrap_or_else(|error| refuse(&error))
}

fn full(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn value(status: StatusCode, value: &Value) -> Response<Body> {
    full(status, "application/json", Bytes::from(serde_json::to_vec(value).unwrap_or_default()))
}

/// The answer that carries an error.
pub(crate) fn refuse(error: &ApiError) -> Response<Body> {
    let mut response = value(StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error.status());
    if error.code == 429 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A stored object in the version that was asked for.
pub(crate) fn at_version(kind: &Kind, version: &Version, stored: &Stored) -> Value {
    let mut object = stored.value();
    object["apiVersion"] = kind.api_version(&version.name).into();
    object
}

/// A stored object as it goes out.
pub(crate) fn render(kind: &Kind, version: &Version, stored: &Stored, form: &Form, now: Timestamp) -> Bytes {
    let stored_as_asked = kind.stored().name == version.name;
    let object = match form {
        Form::Whole if stored_as_asked => return stored.json.clone(),
        Form::Whole => at_version(kind, version, stored),
        Form::Partial => table::partial(&stored.value()),
        Form::Table { include } => {
            let meta = json!({"resourceVersion": stored.version.to_string()});
            table::table(kind, version, meta, &[at_version(kind, version, stored)], include, now)
        }
    };
    Bytes::from(serde_json::to_vec(&object).unwrap_or_default())
}

impl Ask {
    async fn answer(&self, route: Route) -> Result<Response<Body>, ApiError> {
        let accept = self.headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        let reading = self.method == Method::GET || self.method == Method::HEAD;
        if !reading && !matches!(route, Route::Objects(_)) {
            return Err(ApiError::method_not_allowed());
        }
        let found = |document: Option<Value>| document.map(|d| value(StatusCode::OK, &d)).ok_or_else(ApiError::no_such_resource);
        match route {
            Route::Root => Ok(value(
                StatusCode::OK,
                &json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}),
            )),
            Route::Health => Ok(full(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok"))),
            Route::Version => Ok(value(StatusCode::OK, &discovery::version())),
            Route::Core | Route::Groups if accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;") => {
                let document = discovery::aggregated(&self.shared.server().store.kinds, route == Route::Core);
                let body = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
                Ok(full(StatusCode::OK, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", body))
            }
            Route::Core => Ok(value(StatusCode::OK, &discovery::core())),
            Route::Groups => Ok(value(StatusCode::OK, &discovery::list(&self.shared.server().store.kinds))),
            Route::Group(group) => found(discovery::one(&self.shared.server().store.kinds, &group)),
            Route::Resources { group, version } => {
                found(discovery::resources(&self.shared.server().store.kinds, &group, &version))
            }
            Route::OpenApi2 if accept.contains("protobuf") && !accept.contains("json") => {
                Err(ApiError::new(406, "NotAcceptable", "only the following media types are accepted: application/json"))
            }
            Route::OpenApi2 => Ok(value(StatusCode::OK, &openapi::v2(&self.shared.server().store.kinds))),
            Route::OpenApi3 => Ok(value(StatusCode::OK, &openapi::index(&self.shared.server().store.kinds))),
            Route::OpenApi3Of { group, version } => found(openapi::v3(&self.shared.server().store.kinds, &group, &version)),
            Route::Objects(target) => self.objects(target).await,
            Route::Unknown => Err(ApiError::no_such_resource()),
        }
    }

    async fn objects(&self, mut target: Target) -> Result<Response<Body>, ApiError> {
        if let Some(answer) = self.review(&target)? {
            return Ok(answer);
        }
        // `namespaces/<name>/<plural>` of a cluster-scoped kind is nothing.
        let kind = self.shared.server().store.kinds.plural(&target.group, &target.plural).cloned();
        let kind = kind.ok_or_else(ApiError::no_such_resource)?;
        let version = kind.version(&target.version).cloned().ok_or_else(ApiError::no_such_resource)?;
        if kind.namespaced && target.namespace.is_empty() && !target.name.is_empty()
            || !kind.namespaced && !target.namespace.is_empty()
        {
            return Err(ApiError::no_such_resource());
        }
        if !kind.namespaced {
            target.namespace.clear();
        }
        let verb = self.verb(&target);
        let resource =
            if target.subresource.is_empty() { kind.resource() } else { format!("{}/{}", kind.resource(), target.subresource) };
        self.shared.tally.count(counters::Request { user: self.user.clone(), verb, resource });
        if let Some(delay) = self.shared.faults.latency(verb, &kind.kind, &target.namespace) {
            tokio::time::sleep(delay).await;
        }
        if let Some(error) = self.shared.faults.refusal(verb, &kind.kind, &target.namespace) {
            return Err(error);
        }
        let known = match target.subresource.as_str() {
            "" => true,
            "status" => version.status,
            "scale" => version.scale.is_some(),
            "finalize" => kind.group.is_empty() && kind.kind == "Namespace",
            "token" => kind.group.is_empty() && kind.kind == "ServiceAccount",
            "eviction" | "binding" | "log" | "exec" | "portforward" | "attach" | "proxy" => {
                kind.group.is_empty() && kind.kind == "Pod"
            }
            "approval" => kind.kind == "CertificateSigningRequest",
            _ => false,
        };
        if !known {
            return Err(ApiError::no_such_resource());
        }
        match (verb, target.subresource.as_str()) {
            (_, sub @ ("binding" | "log" | "exec" | "portforward" | "attach" | "proxy")) => Err(ApiError::not_implemented(sub)),
            ("create", "token") => self.token(&kind, &target),
            (_, "scale") => self.scale(&kind, &version, &target, verb),
            ("get", _) => self.get(&kind, &version, &target),
            ("list", "") => self.list(&kind, &version, &target),
            ("watch", "") => self.watch(kind, version, &target),
            ("create", "") => self.create(&kind, &version, &target),
            ("update", _) => self.update(&kind, &version, &target),
            ("patch" | "apply", _) => self.patch(&kind, &version, &target),
            ("delete", "") | ("create", "eviction") => self.delete(&kind, &version, &target),
            ("deletecollection", "") => self.delete_all(&kind, &version, &target),
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn verb(&self, target: &Target) -> &'static str {
        match (self.method.as_str(), target.name.is_empty()) {
            ("GET" | "HEAD", _) if self.query.is("watch") => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", false) => "update",
            ("PATCH", false) if self.content_type().contains("apply-patch") => "apply",
            ("PATCH", false) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "unknown",
        }
    }

    fn content_type(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default()
    }

    fn form(&self) -> Form {
        let accept = self.headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        for option in accept.split(',') {
            if option.contains("as=Table") {
                let include = self.query.get("includeObject").to_owned();
                return Form::Table { include };
            }
            if option.contains("as=PartialObjectMetadata") {
                return Form::Partial;
            }
            if option.trim().starts_with("application/json") {
                break;
            }
        }
        Form::Whole
    }

    fn caller(&self) -> Caller {
        let agent = self.headers.get(header::USER_AGENT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        let agent = agent.split('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let manager = self.query.get("fieldManager");
        Caller {
            manager: if manager.is_empty() { agent.to_owned() } else { manager.to_owned() },
            dry_run: self.query.get("dryRun") == "All",
            unknown: match self.query.get("fieldValidation") {
                "Strict" => Unknown::Refuse,
                "Ignore" => Unknown::Ignore,
                _ => Unknown::Warn,
            },
            now: stamp(self.shared.clock.now()),
        }
    }

    /// The body as a value; JSON, or YAML where that is said.
    fn parse(&self) -> Result<Value, ApiError> {
        let content = self.content_type();
        if content.contains("protobuf") || content.contains("cbor") {
            let why = format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, not {content}"
            );
            return Err(ApiError::new(415, "UnsupportedMediaType", why));
        }
        match serde_json::from_slice(&self.body) {
            Ok(value) => Ok(value),
            Err(_) if content.contains("yaml") => {
                serde_yaml::from_slice(&self.body).map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
            }
            Err(error) => Err(ApiError::bad_request(format!("error decoding the request: {error}"))),
        }
    }

    /// The body as an object of this kind and version.
    fn object(&self, kind: &Kind, version: &Version) -> Result<Value, ApiError> {
        let mut object = self.parse()?;
        let Some(map) = object.as_object_mut() else {
            return Err(ApiError::bad_request("couldn't get version/kind; json parse error: the body is not an object"));
        };
        let api_version = kind.api_version(&version.name);
        for (field, wanted) in [("kind", &kind.kind), ("apiVersion", &api_version)] {
            match map.get(field).and_then(Value::as_str).unwrap_or_default() {
                "" => {
                    map.insert(field.into(), wanted.clone().into());
                }
                given if given == wanted => {}
                given => {
                    let why = format!("the {field} in the data ({given}) does not match the expected {field} ({wanted})");
                    return Err(ApiError::bad_request(why));
                }
            }
        }
        Ok(object)
    }

    fn written(&self, kind: &Kind, version: &Version, written: &Written) -> Response<Body> {
        let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        let body = render(kind, version, &written.stored, &self.form(), self.shared.clock.now());
        let mut response = full(status, "application/json", body);
        for warning in &written.warnings {
            let text = format!("299 - \"{}\"", warning.replace(['"', '\\', '\n'], "'"));
            if let Ok(text) = HeaderValue::from_str(&text) {
                response.headers_mut().append(header::WARNING, text);
            }
        }
        response
    }

    fn review(&self, target: &Target) -> Result<Option<Response<Body>>, ApiError> {
        let known = discovery::REVIEWS
            .iter()
            .any(|(group, version, plural, _)| *group == target.group && *version == target.version && *plural == target.plural);
        if !known {
            return Ok(None);
        }
        if self.method != Method::POST {
            return Err(ApiError::method_not_allowed());
        }
        // Typed clients ask in protobuf; what they ask makes no difference to the answer.
        let question = if self.content_type().contains("protobuf") {
            let kind =
                discovery::REVIEWS.iter().find(|(_, _, plural, _)| *plural == target.plural).map_or("", |(_, _, _, kind)| kind);
            json!({"kind": kind, "apiVersion": format!("{}/{}", target.group, target.version), "spec": {}})
        } else {
            self.parse()?
        };
        Ok(Some(value(StatusCode::CREATED, &review::answer(&target.plural, question, &self.user))))
    }
}
