//! HTTP requests and answers: which verb a request is, and in which form its answer goes out.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::stamp;
use super::cluster::Shared;
use super::counters;
use super::decode;
use super::discovery;
use super::error::{ApiError, Cause};
use super::fault::{Asked, End};
use super::kind::{Kind, Version};
use super::left_out;
use super::openapi;
use super::path::{Query, Route, Target, route};
use super::rbac::{self, Attributes, User};
use super::review;
use super::store::Stored;
use super::table;
use super::verbs::{Caller, Unknown, Written};
use super::wire;
use go::{go, json_error};

mod components;
mod faulty;
mod go;
mod read;
mod write;

pub(crate) use faulty::Broken;
use faulty::Turn;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Broken>;

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

/// What is said to a list that goes on from what is forgotten.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";
/// The largest body that is read.
const LARGEST: usize = 3 << 20;

/// A request, taken apart.
struct Ask {
    shared: Arc<Shared>,
    /// Whose client it is: that of the cluster's own user, or of somebody whom it impersonates.
    user: User,
    method: Method,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a request of an authenticated user; without an answer, the connection is to be closed.
pub(crate) async fn handle<B>(shared: Arc<Shared>, user: &str, request: Request<B>) -> Result<Response<Body>, Broken>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let mut body = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let why = format!("Request entity too large: limit is {LARGEST}");
            return Ok(refuse(&ApiError::new(413, "RequestEntityTooLarge", why)));
        }
        Err(error) => return Ok(refuse(&ApiError::bad_request(format!("failed to read the request: {error}")))),
    };
    let mut headers = parts.headers;
    let protobuf =
        headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/vnd.kubernetes.protobuf"));
    if protobuf && let Some(object) = wire::json(&body) {
        body = Bytes::from(serde_json::to_vec(&object).unwrap_or_default());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let ask = Ask {
        shared: Arc::clone(&shared),
        user: identity(user, &headers),
        method: parts.method,
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers,
        body,
    };
    let answer = match ask.authorised(parts.uri.path()) {
        Ok(()) => ask.answer(route(parts.uri.path()), parts.uri.path()).await,
        Err(error) => Err(error),
    };
    // Nothing is said that could be lost: whatever this answer has seen is on disk before it goes out.
    if let Some(journal) = &shared.journal {
        let version = shared.server().store.version;
        if let Err(why) = journal.durable(version).await {
            return Ok(refuse(&ApiError::new(500, "InternalError", why)));
        }
    }
    let answer = answer.unwrap_or_else(|error| refuse(&error));
    faulty::sent(answer).await
}

/// The answer to what anybody may ask: whether there is a server, and which.
pub(crate) fn public(path: &str) -> Response<Body> {
    if path == "/version" {
        return value(StatusCode::OK, &discovery::version());
    }
    full(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok"))
}

/// Who asks: whoever holds a client may do everything, and may ask as somebody else.
fn identity(user: &str, headers: &HeaderMap) -> User {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let groups = headers.get_all("impersonate-group").iter().map(text).collect();
    match headers.get("impersonate-user").map(text).filter(|name| !name.is_empty()) {
        Some(name) => User::named(&name, groups),
        None => User { name: user.to_owned(), groups: vec![rbac::MASTERS.into(), rbac::AUTHENTICATED.into()] },
    }
}

fn full(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn value(status: StatusCode, value: &Value) -> Response<Body> {
    full(status, "application/json", Bytes::from(serde_json::to_vec(value).unwrap_or_default()))
}

fn warn(response: &mut Response<Body>, warning: &str) {
    let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "));
    if let Ok(text) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::WARNING, text);
    }
}

/// The answer that carries an error.
pub(crate) fn refuse(error: &ApiError) -> Response<Body> {
    if error.is_no_page() {
        let text = Bytes::from_static(b"404 page not found\n");
        return full(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text);
    }
    let mut response = value(StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error.status());
    let told = error.details.as_ref().and_then(|details| details["retryAfterSeconds"].as_u64()).filter(|seconds| *seconds > 0);
    if let Some(seconds) = told.or((error.code == 429).then_some(1)) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    for warning in &error.warnings {
        warn(&mut response, warning);
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
    /// Whether the one who asks may; nobody asks that of the cluster's own user.
    fn authorised(&self, path: &str) -> Result<(), ApiError> {
        if self.user.is_master() {
            return Ok(());
        }
        let ask = match route(path) {
            Route::Objects(target) => Attributes {
                verb: match self.verb(&target) {
                    "apply" => "patch",
                    other => other,
                }
                .to_owned(),
                namespace: if target.plural == "namespaces" { target.name.clone() } else { target.namespace },
                group: target.group,
                resource: target.plural,
                subresource: target.subresource,
                name: target.name,
                path: String::new(),
            },
            _ => Attributes { verb: self.method.as_str().to_lowercase(), path: path.to_owned(), ..Attributes::default() },
        };
        let verdict = rbac::decide(&self.shared.server().store, &self.user, &ask);
        if verdict.allowed { Ok(()) } else { Err(rbac::refusal(&self.user, &ask, &verdict.reason)) }
    }

    async fn answer(&self, route: Route, path: &str) -> Result<Response<Body>, ApiError> {
        if !matches!(route, Route::Objects(_) | Route::Health | Route::Version) {
            let asked = Asked { user: &self.user.name, verb: "get", kind: "", namespace: "", name: path };
            match self.fate(&asked).await.end {
                Some(End::Refused(error)) => return Err(error),
                Some(End::Cut(at)) => return Ok(faulty::unheard(self.page_of(route), at)),
                Some(End::Expired) | None => {}
            }
        }
        match route {
            Route::Objects(target) => self.objects(target).await,
            other => self.page_of(other),
        }
    }

    /// The answer to what is not of objects.
    fn page_of(&self, route: Route) -> Result<Response<Body>, ApiError> {
        let accept = self.headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        let reading = self.method == Method::GET || self.method == Method::HEAD;
        if !reading {
            return Err(ApiError::method_not_allowed());
        }
        let found = |document: Option<Value>| document.map(|d| value(StatusCode::OK, &d)).ok_or_else(ApiError::no_such_page);
        match route {
            Route::Root => Ok(value(
                StatusCode::OK,
                &json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}),
            )),
            Route::Health => Ok(public("/healthz")),
            Route::Version => Ok(public("/version")),
            Route::Core | Route::Groups if accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;") => {
                let document = discovery::aggregated(&self.shared.server().store.kinds, route == Route::Core);
                let body = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
                Ok(full(StatusCode::OK, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", body))
            }
            // Whoever takes nothing but a version of it that is not there.
            Route::Core | Route::Groups if accept.contains("as=APIGroupDiscoveryList") && !accept.contains(',') => {
                Err(ApiError::not_acceptable())
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
            Route::Objects(_) | Route::Unknown => Err(ApiError::no_such_page()),
        }
    }

    async fn objects(&self, mut target: Target) -> Result<Response<Body>, ApiError> {
        if let Some(answer) = self.review(&target)? {
            return Ok(answer);
        }
        if let Some(answer) = self.components(&target) {
            return answer;
        }
        if let Some(why) = left_out::why(&target.group, &target.plural, &target.subresource) {
            return Err(ApiError::not_implemented(&target.plural, &target.subresource, why));
        }
        // `namespaces/<name>/<plural>` of a cluster-scoped kind is nothing.
        let kind = self.shared.server().store.kinds.plural(&target.group, &target.plural).cloned();
        let kind = kind.ok_or_else(|| self.nothing(&target))?;
        let version = kind.version(&target.version).cloned().ok_or_else(|| self.nothing(&target))?;
        if kind.namespaced && target.namespace.is_empty() && !target.name.is_empty()
            || !kind.namespaced && !target.namespace.is_empty()
        {
            return Err(if kind.custom { ApiError::no_such_page() } else { ApiError::no_such_resource() });
        }
        if !kind.namespaced {
            target.namespace.clear();
        }
        let accept = self.headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        if !accept.is_empty() && !accept.contains("json") && !accept.contains('*') {
            let known = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
            let why = format!("406: Not Acceptable\n\nAvailable representations: {known}");
            let mut error = ApiError::new(406, "NotAcceptable", why);
            error.details = Some(json!({}));
            return Err(error);
        }
        let verb = self.verb(&target);
        let resource =
            if target.subresource.is_empty() { kind.resource() } else { format!("{}/{}", kind.resource(), target.subresource) };
        self.shared.tally.count(counters::Request { user: self.user.name.clone(), verb, resource });
        let asked = Asked { user: &self.user.name, verb, kind: &kind.kind, namespace: &target.namespace, name: &target.name };
        let fate = self.fate(&asked).await;
        let cut = match self.turn(verb, fate.end)? {
            Turn::Over(answer) => return Ok(answer),
            Turn::On(cut) => cut,
        };
        let known = match target.subresource.as_str() {
            "" => true,
            "status" => version.status,
            "scale" => version.scale.is_some(),
            "finalize" => kind.is_namespace(),
            "token" => kind.group.is_empty() && kind.kind == "ServiceAccount",
            "eviction" => kind.is_pod(),
            "approval" => kind.kind == "CertificateSigningRequest",
            _ => false,
        };
        if !known && kind.custom && matches!(target.subresource.as_str(), "status" | "scale") {
            return Err(ApiError::not_found(&kind, &target.name));
        }
        if !known {
            return Err(ApiError::no_such_resource());
        }
        let deprecated = version.deprecated.clone();
        let answer = self.object_answer(kind, version, &target, verb, fate.short);
        if let Some(at) = cut {
            return Ok(faulty::unheard(answer, at));
        }
        let Some(warning) = deprecated else { return answer };
        let mut answer = answer.unwrap_or_else(|error| refuse(&error));
        warn(&mut answer, &warning);
        Ok(answer)
    }

    fn object_answer(
        &self,
        kind: Arc<Kind>,
        version: Version,
        target: &Target,
        verb: &str,
        short: Option<(usize, ApiError)>,
    ) -> Result<Response<Body>, ApiError> {
        match (verb, target.subresource.as_str()) {
            ("create", "token") => self.token(&kind, target),
            (_, "scale") => self.scale(&kind, &version, target, verb),
            ("get", _) => self.get(&kind, &version, target),
            ("list", "") => self.list(&kind, &version, target, short),
            ("watch", "") => self.watch(kind, version, target),
            ("create", "") => self.create(&kind, &version, target),
            ("update", _) => self.update(&kind, &version, target),
            ("patch" | "apply", _) => self.patch(&kind, &version, target),
            ("delete", "") | ("create", "eviction") => self.delete(&kind, &version, target),
            ("deletecollection", "") if kind.is_namespace() => Err(ApiError::method_not_allowed()),
            ("deletecollection", "") => self.delete_all(&kind, &version, target),
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    /// That there is no such kind: a page that is not there, unless the group has other kinds of its own.
    fn nothing(&self, target: &Target) -> ApiError {
        let server = self.shared.server();
        let built_in = |kind: &Arc<Kind>| !kind.custom && kind.version(&target.version).is_some();
        let known = server.store.kinds.groups().any(|(group, kinds)| *group == target.group && kinds.values().any(built_in));
        if known { ApiError::no_such_resource() } else { ApiError::no_such_page() }
    }

    fn verb(&self, target: &Target) -> &'static str {
        match (self.method.as_str(), target.name.is_empty()) {
            ("GET" | "HEAD", true) if self.query.is("watch") => "watch",
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

    /// Who asks, and how; `options`: what Kubernetes calls the options of this request.
    fn caller(&self, options: &str) -> Result<Caller, ApiError> {
        let agent = self.headers.get(header::USER_AGENT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        let agent = agent.split('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let manager = self.query.get("fieldManager");
        if manager.len() > 128 {
            let message = "Too long: may not be more than 128 bytes".to_owned();
            return Err(ApiError::options(options, Cause { reason: "FieldValueTooLong", field: "fieldManager".into(), message }));
        }
        let unsupported = |field: &str, given: String, known: &str| {
            let message = format!("Unsupported value: {given}: supported values: {known}");
            ApiError::options(options, Cause { reason: "FieldValueNotSupported", field: field.into(), message })
        };
        let dry_run = match self.query.get("dryRun") {
            "" => false,
            "All" => true,
            other => return Err(unsupported("dryRun", format!("[{other:?}]"), "\"All\"")),
        };
        let unknown = match self.query.get("fieldValidation") {
            "Strict" => Unknown::Refuse,
            "Ignore" => Unknown::Ignore,
            "" | "Warn" => Unknown::Warn,
            other => {
                let known = "\"\", \"Ignore\", \"Strict\", \"Warn\"";
                return Err(unsupported("fieldValidation", format!("{other:?}"), known));
            }
        };
        Ok(Caller {
            manager: if manager.is_empty() { agent.to_owned() } else { manager.to_owned() },
            dry_run,
            unknown,
            twice: Vec::new(),
            patch: false,
            shown: None,
            scales: false,
            now: stamp(self.shared.clock.now()),
        })
    }

    /// The configuration of an apply: JSON or YAML.
    fn configuration(&self, caller: &Caller) -> Result<Value, ApiError> {
        let mut twice = Vec::new();
        let value = match decode::json(&self.body, &mut twice) {
            Ok(value) => value,
            Err(_) => serde_yaml::from_slice(&self.body).map_err(|error| {
                ApiError::bad_request(format!("error decoding YAML: error converting YAML to JSON: yaml: {error}"))
            })?,
        };
        if let Some(path) = twice.first().filter(|_| caller.unknown == Unknown::Refuse) {
            let key = path.rsplit('.').next().unwrap_or_default();
            let why = format!("yaml: unmarshal errors:\n  line 1: key {key:?} already set in map");
            return Err(ApiError::bad_request(format!("error strict decoding YAML: error converting YAML to JSON: {why}")));
        }
        if !value.is_object() {
            let why = format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", go(&value));
            return Err(ApiError::bad_request(format!(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}"
            )));
        }
        Ok(value)
    }

    /// The body as a value; JSON, or YAML where that is said.
    fn parse(&self) -> Result<Value, ApiError> {
        self.parsed(&mut Vec::new()).map_err(|why| ApiError::bad_request(format!("error decoding the request: {why}")))
    }

    fn parsed(&self, twice: &mut Vec<String>) -> Result<Value, String> {
        match decode::json(&self.body, twice) {
            Ok(value) => Ok(value),
            Err(_) if self.content_type().contains("yaml") => {
                serde_yaml::from_slice(&self.body).map_err(|error| error.to_string())
            }
            Err(error) => Err(json_error(&self.body, &error)),
        }
    }

    /// The body as an object of this kind and version.
    fn object(&self, kind: &Kind, version: &Version, caller: &mut Caller) -> Result<Value, ApiError> {
        let content = self.content_type().split(';').next().unwrap_or_default().trim();
        if !matches!(content, "" | "application/json" | "application/yaml" | "*/*") {
            let known = if kind.custom {
                "application/json, application/yaml"
            } else {
                "application/json, application/yaml, application/vnd.kubernetes.protobuf"
            };
            let why = format!("the body of the request was in an unknown format - accepted media types include: {known}");
            return Err(ApiError::new(415, "UnsupportedMediaType", why));
        }
        let unrecognized = |why: String| {
            let mut hex = String::new();
            for byte in &self.body {
                hex.push_str(&format!("{byte:02x}"));
            }
            let hex = if hex.is_empty() { "<empty>".to_owned() } else { hex };
            ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({hex})",
                kind.kind
            ))
        };
        let mut object = self.parsed(&mut caller.twice).map_err(unrecognized)?;
        let given = go(&object);
        let Some(map) = object.as_object_mut() else {
            let into =
                "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
            return Err(unrecognized(format!("json: cannot unmarshal {given} into Go value of type {into}")));
        };
        let api_version = kind.api_version(&version.name);
        let named = |map: &serde_json::Map<String, Value>, field: &str| {
            map.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (kind_given, version_given) = (named(map, "kind"), named(map, "apiVersion"));
        let wrong = |why: String| {
            let version = version_given.rsplit('/').next().unwrap_or_default();
            ApiError::bad_request(format!("{kind_given} in version {version:?} cannot be handled as a {}: {why}", kind.kind))
        };
        if !kind_given.is_empty() && kind_given != kind.kind && version_given == api_version {
            let why = format!("converting ({}.{kind_given}) to (core.{}): unknown conversion", version.name, kind.kind);
            return Err(wrong(why));
        }
        if !version_given.is_empty() && version_given != api_version {
            let scheme = "in scheme \"pkg/runtime/scheme.go:111\"";
            return Err(wrong(format!("no kind {kind_given:?} is registered for version {version_given:?} {scheme}")));
        }
        for (field, wanted) in [("kind", &kind.kind), ("apiVersion", &api_version)] {
            map.insert(field.into(), wanted.clone().into());
        }
        Ok(object)
    }

    fn written(&self, kind: &Kind, version: &Version, written: &Written) -> Response<Body> {
        let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        let body = render(kind, version, &written.stored, &self.form(), self.shared.clock.now());
        let mut response = full(status, "application/json", body);
        for warning in &written.warnings {
            warn(&mut response, warning);
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
        let caller = self.caller("CreateOptions")?;
        let server = self.shared.server();
        let answer = review::answer(&server.store, &target.plural, question, &self.user, &caller);
        drop(server);
        Ok(Some(value(StatusCode::CREATED, &answer)))
    }
}
