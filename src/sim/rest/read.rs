//! Reading: one object, lists in pages, watches.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, BytesMut};
use futures::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::{Ask, Body, Form, at_version, full, render, value};
use crate::sim::error::ApiError;
use crate::sim::kind::{Kind, Version};
use crate::sim::path::Target;
use crate::sim::select::Selector;
use crate::sim::store::Stored;
use crate::sim::table;
use crate::sim::watch::{self, Scope, Start};

impl Ask {
    pub(super) fn get(&self, kind: &Kind, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
        let stored = Arc::clone(self.shared.server().get(kind, &target.namespace, &target.name)?);
        Ok(full(StatusCode::OK, "application/json", render(kind, version, &stored, &self.form(), self.shared.clock.now())))
    }

    pub(super) fn selector(&self, kind: &Kind, target: &Target) -> Result<Selector, ApiError> {
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

    pub(super) fn list(&self, kind: &Kind, version: &Version, target: &Target) -> Result<Response<Body>, ApiError> {
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

    pub(super) fn watch(&self, kind: Arc<Kind>, version: Version, target: &Target) -> Result<Response<Body>, ApiError> {
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
