//! Request paths and queries of the Kubernetes API.

use std::collections::BTreeMap;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`
    Root,
    /// `/healthz`, `/livez`, `/readyz` and below.
    Health,
    /// `/version`
    Version,
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/<group>`
    Group(String),
    /// `/api/v1` or `/apis/<group>/<version>`
    Resources { group: String, version: String },
    /// `/openapi/v2`
    OpenApi2,
    /// `/openapi/v3`
    OpenApi3,
    /// `/openapi/v3/<path>`
    OpenApi3Of { group: String, version: String },
    /// Objects.
    Objects(Target),
    /// Nothing that exists.
    Unknown,
}

/// The objects, or the object, that a path names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    /// Empty: none was given.
    pub(crate) namespace: String,
    /// Empty: all.
    pub(crate) name: String,
    pub(crate) subresource: String,
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Route {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [] => Route::Root,
        ["healthz" | "livez" | "readyz", ..] => Route::Health,
        ["version"] => Route::Version,
        ["api"] => Route::Core,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["openapi", "v2"] => Route::OpenApi2,
        ["openapi", "v3"] => Route::OpenApi3,
        ["openapi", "v3", "api", version] => Route::OpenApi3Of { group: String::new(), version: (*version).to_owned() },
        ["openapi", "v3", "apis", group, version] => {
            Route::OpenApi3Of { group: (*group).to_owned(), version: (*version).to_owned() }
        }
        ["api", version] => Route::Resources { group: String::new(), version: (*version).to_owned() },
        ["apis", group, version] => Route::Resources { group: (*group).to_owned(), version: (*version).to_owned() },
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => Route::Unknown,
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Route {
    let target = Target { group: group.into(), version: version.into(), ..Target::default() };
    let target = match rest {
        // `namespaces/x/status` and `namespaces/x/finalize` are the namespace's own.
        ["namespaces", name, sub @ ("status" | "finalize")] => {
            Target { plural: "namespaces".into(), name: (*name).into(), subresource: (*sub).into(), ..target }
        }
        ["namespaces", namespace, plural] => Target { plural: (*plural).into(), namespace: (*namespace).into(), ..target },
        ["namespaces", namespace, plural, name] => {
            Target { plural: (*plural).into(), namespace: (*namespace).into(), name: (*name).into(), ..target }
        }
        ["namespaces", namespace, plural, name, sub] => Target {
            plural: (*plural).into(),
            namespace: (*namespace).into(),
            name: (*name).into(),
            subresource: (*sub).into(),
            ..target
        },
        [plural] => Target { plural: (*plural).into(), ..target },
        [plural, name] => Target { plural: (*plural).into(), name: (*name).into(), ..target },
        [plural, name, sub] => Target { plural: (*plural).into(), name: (*name).into(), subresource: (*sub).into(), ..target },
        _ => return Route::Unknown,
    };
    Route::Objects(target)
}

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The value of a parameter, empty if it is absent.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Whether a parameter says yes.
    pub(crate) fn is(&self, key: &str) -> bool {
        matches!(self.get(key), "true" | "1" | "True" | "TRUE" | "t" | "T")
    }
}

fn decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let hex =
                    after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match hex {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = &after[2..];
                    }
                    None => bytes.push(b'%'),
                }
            }
            b'+' if plus => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
