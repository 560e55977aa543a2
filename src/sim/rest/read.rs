//! Reading: one object, lists in pages, watches.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::{Ask, Body, Form, TOO_OLD, at_version, full, render, value};
use crate::sim::error::{ApiError, Cause};
use crate::sim::kind::{Kind, Version};
use crate::sim::path::Target;
use crate::sim::select::Selector;
use crate::sim::store::Stored;
use crate::sim::table;
use crate::sim::watch::{self, Scope, Start};

impl Ask {
    pub(super) fn get(&self, kind: &Kind, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let server = self.shared.server();
        if let Some(asked) = self.version_asked(false)?.filter(|asked| *asked > server.store.version) {
            return Err(ApiError::too_large(asked, server.store.version));
        }
        let stored = Arc::clone(server.get(kind, &target.namespace, &target.name)?);
        drop(server);
        Ok(full(StatusCode::OK, "application/json", render(kind, version, &stored, &self.form(), self.shared.clock.now())))
    }

    pub(super) fn selector(&self, kind: &Kind, version: &Version, target: &Target) -> Result<Selector, ApiError> {
        let mut fields = self.query.get("fieldSelector").to_owned();
        if !target.name.is_empty() {
            fields = format!("metadata.name={},{fields}", target.name);
        }
        Selector::parse(kind, version, self.query.get("labelSelector"), &fields)
    }

    fn version_asked(&self, list: bool) -> Result<Option<u64>, ApiError> {
        match self.query.get("resourceVersion") {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                let why =
                    format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
                if list { ApiError::bad_request(format!("invalid resource version: {why}")) } else { ApiError::new(500, "", why) }
            }),
        }
    }

    /// Whether the options of a list or a watch go together.
    fn check_options(&self, watch: bool) -> Result<(), ApiError> {
        let (of, version) = (self.query.get("resourceVersionMatch"), self.query.get("resourceVersion"));
        let initial = self.query.get("sendInitialEvents");
        let forbidden = |field: &str, why: &str| Err(ApiError::options("ListOptions", Cause::forbidden(field, why)));
        let field = "resourceVersionMatch";
        if !watch && !initial.is_empty() {
            return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if watch {
            if initial.is_empty() && !of.is_empty() {
                return forbidden(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
            }
            if !initial.is_empty() && of != "NotOlderThan" {
                let mut causes =
                    vec![Cause::forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")];
                if !of.is_empty() {
                    let message = format!("Unsupported value: {of:?}: supported values: \"NotOlderThan\"");
                    causes.push(Cause { reason: "FieldValueNotSupported", field: field.into(), message });
                }
                return Err(ApiError::all_options("ListOptions", &causes));
            }
            return Ok(());
        }
        if of.is_empty() {
            return Ok(());
        }
        match of {
            _ if version.is_empty() => forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
            "Exact" if version == "0" => {
                forbidden(field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
            }
            "Exact" | "NotOlderThan" => Ok(()),
            other => {
                let known = "\"Exact\", \"NotOlderThan\", \"\"";
                let message = format!("Unsupported value: {other:?}: supported values: {known}");
                Err(ApiError::options("ListOptions", Cause { reason: "FieldValueNotSupported", field: field.into(), message }))
            }
        }
    }

    /// The objects of a kind; `cut`: the list ends after so many, and what goes on is refused.
    pub(super) fn list(
        &self,
        kind: &Kind,
        version: &Version,
        target: &Target,
        cut: Option<(usize, ApiError)>,
    ) -> Result<Response<Body>, ApiError> {
        let limit = match self.query.get("limit") {
            "" => 0,
            text => text
                .parse::<i64>()
                .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?,
        };
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        self.check_options(false)?;
        self.check_form(kind)?;
        let selector = self.selector(kind, version, target)?;
        let namespace = Some(target.namespace.as_str()).filter(|n| !n.is_empty());
        let token = Token::parse(self.query.get("continue"))?;
        let seen = token.as_ref().map_or(0, |token| token.seen);
        if let Some((after, error)) = &cut
            && token.is_some()
            && seen >= *after
        {
            return Err(error.clone());
        }
        let server = self.shared.server();
        let current = server.store.version;
        let at = match (&token, self.version_asked(true)?) {
            (Some(_), Some(asked)) if asked > 0 => {
                return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
            }
            (Some(token), _) => token.version,
            (None, Some(asked)) if asked > current => return Err(ApiError::too_large(asked, current)),
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
        let (page, more) = page.map_err(|_| ApiError::expired(TOO_OLD))?;
        let left = match page.last().filter(|_| more && selector.is_everything()) {
            Some(last) => {
                let rest = collection.page(namespace, at, Some((&last.namespace, &last.name)), usize::MAX, |_| true);
                rest.map_or(0, |(rest, _)| rest.len())
            }
            None => 0,
        };
        drop(server);
        let mut meta = json!({"resourceVersion": at.to_string()});
        if kind.custom && self.form() == Form::Whole {
            meta["continue"] = "".into();
        }
        if left > 0 {
            meta["remainingItemCount"] = left.into();
        }
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

    /// Whether a list can go out in the form that is asked for.
    fn check_form(&self, kind: &Kind) -> Result<(), ApiError> {
        let include = self.query.get("includeObject");
        if matches!(self.form(), Form::Table { .. }) && !matches!(include, "" | "Metadata" | "Object" | "None") {
            let why = "must be 'Metadata', 'Object', 'None', or empty";
            let why = format!("Unable to convert to Table as requested: includeObject: Invalid value: {include:?}: {why}");
            return Err(ApiError::bad_request(why));
        }
        let accept = self.headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        if self.form() == Form::Partial && !accept.contains("as=PartialObjectMetadataList") {
            let package = if kind.group.is_empty() { "core" } else { kind.group.split('.').next().unwrap_or_default() };
            let what = if kind.custom { "unstructured.Unstructured".into() } else { format!("{package}.{}", kind.kind) };
            let why = format!("you requested PartialObjectMetadata, but the requested object is a list (*{what}List)");
            return Err(ApiError::new(406, "NotAcceptable", why));
        }
        Ok(())
    }

    pub(super) fn page(&self, kind: &Kind, version: &Version, meta: &Value, page: &[Arc<Stored>]) -> Response<Body> {
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
        if page.is_empty() && form == Form::Partial {
            let head = head.trim_end_matches('[');
            return full(StatusCode::OK, "application/json", Bytes::from(format!("{head}null}}\n")));
        }
        let mut body = BytesMut::with_capacity(head.len() + 2 + page.iter().map(|stored| stored.json.len() + 1).sum::<usize>());
        body.put(head.as_bytes());
        for (index, stored) in page.iter().enumerate() {
            if index > 0 {
                body.put_u8(b',');
            }
            let object = render(kind, version, stored, &form, now);
            // Items of built-in kinds do not say again what the list says.
            body.put(if kind.custom || form != Form::Whole { object } else { Bytes::from(without_type(&object)) });
        }
        body.put(&b"]}\n"[..]);
        full(StatusCode::OK, "application/json", body.freeze())
    }

    pub(super) fn watch(&self, kind: Arc<Kind>, version: Version, target: &Target) -> Result<Response<Body>, ApiError> {
        self.check_options(true)?;
        let selector = self.selector(&kind, &version, target)?;
        let namespace = Some(target.namespace.clone()).filter(|n| !n.is_empty());
        let asked = self.version_asked(false)?;
        let initial = self.query.is("sendInitialEvents");
        let server = self.shared.server();
        let collection = server.store.of_kind(&kind).ok_or_else(ApiError::no_such_resource)?;
        let current = server.store.version;
        let start = match asked {
            Some(asked) if asked > 0 && !initial => {
                if let Err(oldest) = collection.since(asked).map(drop) {
                    let error = ApiError::expired(format!("too old resource version: {asked} ({oldest})"));
                    return Ok(full(StatusCode::OK, "application/json", watch::error(&error)));
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
        let scope = Scope {
            user: self.user.name.clone(),
            kind,
            version,
            namespace,
            selector,
            form: self.form(),
            bookmarks: self.query.is("allowWatchBookmarks"),
        };
        let stream = watch::watch(Arc::clone(&self.shared), scope, start, changes, timeout);
        let body = StreamBody::new(stream.map(|chunk| chunk.map(http_body::Frame::data)));
        let mut response = Response::new(body.boxed_unsync());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

/// An object's JSON without `apiVersion` and `kind`, which are looked for at the top only.
fn without_type(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut depth, mut string, mut escaped) = (0_u32, false, false);
    // Where the member that is being read begins: after the brace or the comma before it.
    let mut begin = 0;
    for (index, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            _ if string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        let ends = !string && ((depth == 1 && *byte == b',') || depth == 0);
        if depth == 1 && index == 0 {
            out.push(b'{');
            begin = 1;
        } else if ends {
            let member = &json[begin..index];
            if !member.starts_with(b"\"apiVersion\":") && !member.starts_with(b"\"kind\":") {
                if out.len() > 1 {
                    out.push(b',');
                }
                out.extend_from_slice(member);
            }
            begin = index + 1;
            if depth == 0 {
                break;
            }
        }
    }
    out.push(b'}');
    out
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
        let first = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.first().copied()).unwrap_or_default();
        parse().map(Some).ok_or_else(|| {
            let why = format!("invalid character '\\u{first:04x}' looking for beginning of value");
            ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        })
    }
}
