//! HTTP requests and answers: which verb a request is, and in which form its answer goes out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::stamp;
use super::cluster::Shared;
use super::counters;
use super::discovery;
use super::error::ApiError;
use super::kind::{Kind, Version};
use super::openapi;
use super::patch;
use super::path::{Query, Route, Target, route};
use super::review;
use super::select::Selector;
use super::store::Stored;
use super::table;
use super::verbs::{Caller, DeleteOptions, How, Propagation, Unknown, Written};
use super::watch::{self, Scope, Start};

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
            ("create", "eviction") => self.delete(&kind, &version, &target),
            (_, "scale") => self.scale(&kind, &version, &target, verb),
            ("get", _) => self.get(&kind, &version, &target),
            ("list", "") => self.list(&kind, &version, &target),
            ("watch", "") => self.watch(kind, version, &target),
            ("create", "") => self.create(&kind, &version, &target),
            ("update", _) => self.update(&kind, &version, &target),
            ("patch" | "apply", _) => self.patch(&kind, &version, &target),
            ("delete", "") => self.delete(&kind, &version, &target),
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
            user: self.user.clone(),
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

    fn get(&self, kind: &Kind, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let stored = Arc::clone(self.shared.server().get(kind, &target.namespace, &target.name)?);
        Ok(full(StatusCode::OK, "application/json", render(kind, version, &stored, &self.form(), self.shared.clock.now())))
    }

    fn selector(&self, kind: &Kind, target: &Target) -> Result<Selector, ApiError> {
        let mut fields = self.query.get("fieldSelector").to_owned();
        if !target.name.is_empty() {
            fields = format!("metadata.name={},{fields}", target.name);
        }
        Selector::parse(kind, self.query.get("labelSelector"), &fields)
    }

    fn version_asked(&self) -> Result<Option<u64>, ApiError> {
        match self.query.get("resourceVersion") {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                ApiError::bad_request(format!("Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"))
            }),
        }
    }

    fn list(&self, kind: &Kind, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let selector = self.selector(kind, target)?;
        let namespace = Some(target.namespace.as_str()).filter(|n| !n.is_empty());
        let limit = self.query.get("limit").parse().ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let token = Token::parse(self.query.get("continue"))?;
        let cut = self.shared.faults.cut(&kind.kind);
        let seen = token.as_ref().map_or(0, |token| token.seen);
        if let Some((after, error)) = &cut
            && token.is_some()
            && seen >= *after
        {
            return Err(error.clone());
        }
        let server = self.shared.server();
        let current = server.store.version;
        let at = match (&token, self.version_asked()?) {
            (Some(token), _) => token.version,
            (None, Some(asked)) if asked > current => {
                let why = format!("Too large resource version: {asked}, current: {current}");
                return Err(ApiError::new(504, "Timeout", why));
            }
            (None, Some(asked)) if asked > 0 && self.query.get("resourceVersionMatch") == "Exact" => asked,
            (None, _) => current,
        };
        let collection = server.store.of_kind(kind).ok_or_else(ApiError::no_such_resource)?;
        let limit = cut.as_ref().map_or(limit, |(after, _)| limit.min(after.saturating_sub(seen)));
        let after = token.as_ref().map(|token| (token.namespace.as_str(), token.name.as_str()));
        let direct = token.is_none() && at == current;
        let page = match (selector.name(), selector.owner(), namespace) {
            (Some(name), _, Some(namespace)) if direct => {
                let found = collection.get(namespace, name).filter(|stored| selector.matches(stored));
                Ok((found.into_iter().cloned().collect(), false))
            }
            (None, Some(owner), _) if direct && limit == usize::MAX => {
                let fits = |stored: &&Arc<Stored>| namespace.is_none_or(|n| *n == *stored.namespace) && selector.matches(stored);
                Ok((collection.labelled(owner).filter(fits).cloned().collect(), false))
            }
            _ => collection.page(namespace, at, after, limit, |stored| selector.matches(stored)),
        };
        let (page, more) = page.map_err(|_| {
            ApiError::expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.")
        })?;
        drop(server);
        let mut meta = json!({"resourceVersion": at.to_string()});
        if more {
            let last = page.last();
            let token = Token {
                version: at,
                namespace: last.map_or_else(String::new, |s| s.namespace.to_string()),
                name: last.map_or_else(String::new, |s| s.name.to_string()),
                seen: seen + page.len(),
            };
            meta["continue"] = token.print().into();
        }
        Ok(self.page(kind, version, &meta, &page))
    }

    fn page(&self, kind: &Kind, version: &Version, meta: &Value, page: &[Arc<Stored>]) -> Response<Body> {
        let form = self.form();
        let now = self.shared.clock.now();
        if let Form::Table { include } = &form {
            let objects: Vec<Value> = page.iter().map(|stored| at_version(kind, version, stored)).collect();
            return value(StatusCode::OK, &table::table(kind, version, meta.clone(), &objects, include, now));
        }
        let (list_kind, api_version) = match form {
            Form::Partial => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            Form::Whole | Form::Table { .. } => (kind.list_kind.clone(), kind.api_version(&version.name)),
        };
        let head = format!(
            "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{meta},\"items\":[",
            Value::from(list_kind),
            Value::from(api_version)
        );
        let mut body = BytesMut::with_capacity(head.len() + 2 + page.iter().map(|stored| stored.json.len() + 1).sum::<usize>());
        body.put(head.as_bytes());
        for (index, stored) in page.iter().enumerate() {
            if index > 0 {
                body.put_u8(b',');
            }
            body.put(render(kind, version, stored, &form, now));
        }
        body.put(&b"]}\n"[..]);
        full(StatusCode::OK, "application/json", body.freeze())
    }

    fn watch(&self, kind: Arc<Kind>, version: Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let selector = self.selector(&kind, target)?;
        let namespace = Some(target.namespace.clone()).filter(|n| !n.is_empty());
        let asked = self.version_asked()?;
        let initial = self.query.is("sendInitialEvents");
        let server = self.shared.server();
        let collection = server.store.of_kind(&kind).ok_or_else(ApiError::no_such_resource)?;
        let current = server.store.version;
        let start = match asked {
            Some(asked) if asked > 0 && !initial => {
                if let Err(oldest) = collection.since(asked).map(drop) {
                    return Err(ApiError::expired(format!("too old resource version: {asked} ({oldest})")));
                }
                Start { version: asked, initial: Vec::new(), mark: false }
            }
            _ if self.query.get("sendInitialEvents") == "false" => Start { version: current, initial: Vec::new(), mark: false },
            _ => {
                let found = collection.iter(namespace.as_deref()).filter(|stored| selector.matches(stored)).cloned().collect();
                Start { version: current, initial: found, mark: initial && self.query.is("allowWatchBookmarks") }
            }
        };
        let changes = collection.changes();
        drop(server);
        let timeout = self.query.get("timeoutSeconds").parse().ok().filter(|s| *s > 0).map(Duration::from_secs);
        let scope =
            Scope { kind, version, namespace, selector, form: self.form(), bookmarks: self.query.is("allowWatchBookmarks") };
        let stream = watch::watch(Arc::clone(&self.shared), scope, start, changes, timeout);
        let body = StreamBody::new(stream.map(|chunk| chunk.map(http_body::Frame::data)));
        let mut response = Response::new(body.boxed_unsync());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    fn create(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        if !target.name.is_empty() {
            return Err(ApiError::method_not_allowed());
        }
        let object = self.object(kind, version)?;
        let mut namespace = target.namespace.clone();
        if kind.namespaced && namespace.is_empty() {
            namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
            if namespace.is_empty() {
                return Err(ApiError::bad_request("an empty namespace may not be set during creation"));
            }
        }
        let written = self.shared.server().create(&self.caller(), kind, &version.name, &namespace, object, How::Update)?;
        Ok(self.written(kind, version, &written))
    }

    fn update(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let object = self.object(kind, version)?;
        let sub = door(&target.subresource);
        let written = self.shared.server().update(
            &self.caller(),
            kind,
            &version.name,
            sub,
            &target.namespace,
            &target.name,
            object,
            How::Update,
        )?;
        Ok(self.written(kind, version, &written))
    }

    fn patch(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let content = self.content_type().to_owned();
        let body = self.parse()?;
        let caller = self.caller();
        let sub = door(&target.subresource);
        let mut server = self.shared.server();
        if content.contains("apply-patch") {
            if self.query.get("fieldManager").is_empty() {
                let mut error = ApiError::bad_request(
                    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                );
                error.code = 422;
                error.reason = "Invalid".into();
                return Err(error);
            }
            let given = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
            if given("kind") != kind.kind || given("apiVersion") != kind.api_version(&version.name) {
                let why = format!("invalid object type: /{}, Kind={}", given("apiVersion"), given("kind"));
                return Err(ApiError::bad_request(why));
            }
            let force = self.query.is("force");
            let written = server.apply(&caller, kind, &version.name, sub, &target.namespace, &target.name, &body, force)?;
            drop(server);
            return Ok(self.written(kind, version, &written));
        }
        let stored = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        let mut object = at_version(kind, version, &stored);
        if content.contains("strategic-merge-patch") {
            if kind.custom {
                let why = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                return Err(ApiError::new(415, "UnsupportedMediaType", why));
            }
            object = patch::strategic(&object, &body, &kind.kind);
        } else if content.contains("json-patch") {
            patch::json(&mut object, &body)?;
        } else if content.contains("merge-patch") {
            patch::merge(&mut object, &body);
        } else {
            let why = format!("the body of the request was in an unknown format: {content}");
            return Err(ApiError::new(415, "UnsupportedMediaType", why));
        }
        let written = server.update(&caller, kind, &version.name, sub, &target.namespace, &target.name, object, How::Update)?;
        drop(server);
        Ok(self.written(kind, version, &written))
    }

    fn delete_options(&self) -> Result<(DeleteOptions, bool), ApiError> {
        let body = if self.body.is_empty() { Value::Null } else { self.parse()? };
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let policy = text("/propagationPolicy").unwrap_or_else(|| self.query.get("propagationPolicy").to_owned());
        let propagation = match policy.as_str() {
            "Background" => Some(Propagation::Background),
            "Foreground" => Some(Propagation::Foreground),
            "Orphan" => Some(Propagation::Orphan),
            "" if body.get("orphanDependents") == Some(&Value::Bool(true)) || self.query.is("orphanDependents") => {
                Some(Propagation::Orphan)
            }
            "" => None,
            other => {
                let why = format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}");
                return Err(ApiError::new(422, "Invalid", why));
            }
        };
        let dry_run = body.pointer("/dryRun/0").is_some() || self.query.get("dryRun") == "All";
        let options =
            DeleteOptions { uid: text("/preconditions/uid"), version: text("/preconditions/resourceVersion"), propagation };
        Ok((options, dry_run))
    }

    fn delete(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let (options, dry_run) = self.delete_options()?;
        let caller = Caller { dry_run, ..self.caller() };
        let written = self.shared.server().delete(&caller, kind, &target.namespace, &target.name, &options)?;
        if written.removed {
            let details = json!({"name": target.name, "group": kind.group, "kind": kind.plural, "uid": &*written.stored.uid});
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            return Ok(value(StatusCode::OK, &status));
        }
        Ok(self.written(kind, version, &written))
    }

    fn delete_all(&self, kind: &Arc<Kind>, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let selector = self.selector(kind, target)?;
        let (options, dry_run) = self.delete_options()?;
        let caller = Caller { dry_run, ..self.caller() };
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
        let meta = json!({"resourceVersion": server.store.version.to_string()});
        drop(server);
        Ok(self.page(kind, version, &meta, &found))
    }

    fn token(&self, kind: &Arc<Kind>, target: &Target) -> Result<Response<Body>, ApiError> {
        let server = self.shared.server();
        let account = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        drop(server);
        Ok(value(StatusCode::CREATED, &review::token(self.parse()?, &account, &self.shared.name, self.shared.clock.now())))
    }

    fn scale(&self, kind: &Arc<Kind>, version: &Version, target: &Target, verb: &str) -> Result<Response<Body>, ApiError> {
        let paths = version.scale.as_ref().ok_or_else(ApiError::no_such_resource)?;
        let mut server = self.shared.server();
        let stored = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        let mut object = at_version(kind, version, &stored);
        let mut scale = scale_of(kind, version, &object);
        match verb {
            "get" => {}
            "update" => scale = self.parse()?,
            "patch" if self.content_type().contains("json-patch+json") => patch::json(&mut scale, &self.parse()?)?,
            "patch" => patch::merge(&mut scale, &self.parse()?),
            "apply" => return Err(ApiError::not_implemented("apply of the scale subresource")),
            _ => return Err(ApiError::method_not_allowed()),
        }
        if verb == "get" {
            return Ok(value(StatusCode::OK, &scale));
        }
        let replicas = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
        table::assign(&mut object, &paths.spec, replicas);
        if let Some(given) = scale.pointer("/metadata/resourceVersion") {
            object["metadata"]["resourceVersion"] = given.clone();
        }
        let caller = self.caller();
        let written = server.update(&caller, kind, &version.name, "", &target.namespace, &target.name, object, How::Update)?;
        drop(server);
        Ok(value(StatusCode::OK, &scale_of(kind, version, &at_version(kind, version, &written.stored))))
    }
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
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta("name"), "namespace": meta("namespace"), "uid": meta("uid"),
            "resourceVersion": meta("resourceVersion"), "creationTimestamp": meta("creationTimestamp"),
        },
        "spec": {"replicas": spec}, "status": {"replicas": status, "selector": selector},
    })
}

/// Where a list goes on.
struct Token {
    version: u64,
    namespace: String,
    name: String,
    seen: usize,
}

impl Token {
    fn print(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.version, self.namespace, self.name, self.seen]).to_string())
    }

    fn parse(text: &str) -> Result<Option<Self>, ApiError> {
        if text.is_empty() {
            return Ok(None);
        }
        let parse = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (version, namespace, name, seen) = serde_json::from_slice(&bytes).ok()?;
            Some(Self { version, namespace, name, seen })
        };
        parse().map(Some).ok_or_else(|| ApiError::bad_request("continue key is not valid"))
    }
}
