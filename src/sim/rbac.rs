//! Who may do what, as Role, ClusterRole and their bindings say. Pure: it looks at what is stored and answers.
//!
//! Like the real authorizer it only ever adds up what is allowed. Roles that are put together from others by labels are what a
//! controller has written into them.

use serde_json::{Value, json};

use super::error::ApiError;
use super::store::Store;

/// The group whose members may do everything.
pub(crate) const MASTERS: &str = "system:masters";
/// The group that everybody is in who is known by name.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The API group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";
/// What everybody may do who is known by name, in every cluster.
const ALWAYS: &[Always] = &[
    Always {
        role: "system:basic-user",
        verbs: &["create"],
        group: "authorization.k8s.io",
        resources: &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        paths: &[],
    },
    Always {
        role: "system:basic-user",
        verbs: &["create"],
        group: "authentication.k8s.io",
        resources: &["selfsubjectreviews"],
        paths: &[],
    },
    Always {
        role: "system:discovery",
        verbs: &["get"],
        group: "",
        resources: &[],
        paths: &[
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
            "/version/",
        ],
    },
];

/// A right that is bound to everybody.
struct Always {
    role: &'static str,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
    paths: &'static [&'static str],
}

/// Somebody who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// What somebody asks to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `get`, `list`, `patch` and so on.
    pub(crate) verb: String,
    pub(crate) group: String,
    /// Empty: the request is for a path.
    pub(crate) resource: String,
    pub(crate) subresource: String,
    /// Empty: of all namespaces, or of none.
    pub(crate) namespace: String,
    /// Empty: of all names.
    pub(crate) name: String,
    pub(crate) path: String,
}

/// Whether something is allowed, and why (or what stood in the way of finding out).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) reason: String,
}

impl User {
    /// Somebody by name, with the groups that come with it.
    pub(crate) fn named(name: &str, mut groups: Vec<String>) -> Self {
        if let Some((namespace, _)) = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
            && groups.is_empty()
        {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name: name.to_owned(), groups }
    }

    /// Whether nobody asks what this one may do.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

/// Decides as the RBAC authorizer does.
pub(crate) fn decide(store: &Store, user: &User, ask: &Attributes) -> Verdict {
    if user.is_master() {
        return Verdict { allowed: true, reason: String::new() };
    }
    let mut missing = Vec::new();
    let found = visit(store, user, &ask.namespace, &mut missing, |rule, by| covers(rule, ask).then(|| by.to_owned()));
    if let Some(by) = found {
        return Verdict { allowed: true, reason: format!("RBAC: allowed by {by}") };
    }
    let reason = match missing.as_slice() {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        many => format!("RBAC: [{}]", many.join(", ")),
    };
    Verdict { allowed: false, reason }
}

/// All rules that somebody has in a namespace.
pub(crate) fn rules(store: &Store, user: &User, namespace: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    let _: Option<()> = visit(store, user, namespace, &mut Vec::new(), |rule, _| {
        rules.push(rule.clone());
        None
    });
    rules
}

/// Shows each rule that somebody has, and by what, until one is answered; roles that are not there are added to `missing`.
fn visit<T>(
    store: &Store,
    user: &User,
    namespace: &str,
    missing: &mut Vec<String>,
    mut see: impl FnMut(&Value, &str) -> Option<T>,
) -> Option<T> {
    for Always { role: name, verbs, group, resources, paths } in ALWAYS {
        if !user.groups.iter().any(|group| group == AUTHENTICATED) {
            break;
        }
        let rule = match paths {
            [] => json!({"verbs": verbs, "apiGroups": [group], "resources": resources}),
            paths => json!({"verbs": verbs, "nonResourceURLs": paths}),
        };
        let by = format!("ClusterRoleBinding {name:?} of ClusterRole {name:?} to Group {AUTHENTICATED:?}");
        if let Some(answer) = see(&rule, &by) {
            return Some(answer);
        }
    }
    let kinds = [("clusterrolebindings", ""), ("rolebindings", namespace)];
    for (plural, namespace) in kinds.into_iter().filter(|(plural, namespace)| *plural != "rolebindings" || !namespace.is_empty())
    {
        let Some(collection) = store.collection(GROUP, plural) else { continue };
        let within = Some(namespace).filter(|namespace| !namespace.is_empty());
        for binding in collection.iter(within).map(|stored| stored.value()) {
            let Some(subject) = subject(&binding, user, namespace) else { continue };
            let (kind, name) = (text(&binding, "/roleRef/kind"), text(&binding, "/roleRef/name"));
            let role = match kind {
                "Role" => store.collection(GROUP, "roles").and_then(|roles| roles.get(namespace, name)),
                _ => store.collection(GROUP, "clusterroles").and_then(|roles| roles.get("", name)),
            };
            let Some(role) = role else {
                missing.push(format!("{}.{GROUP} {name:?} not found", kind.to_lowercase()));
                continue;
            };
            let bound = text(&binding, "/metadata/name");
            let bound = if namespace.is_empty() {
                format!("ClusterRoleBinding {bound:?}")
            } else {
                format!("RoleBinding {:?}", format!("{bound}/{namespace}"))
            };
            let by = format!("{bound} of {kind} {name:?} to {subject}");
            let role = role.value();
            let answer = role.get("rules").and_then(Value::as_array).into_iter().flatten().find_map(|rule| see(rule, &by));
            if answer.is_some() {
                return answer;
            }
        }
    }
    None
}

/// The refusal of what is not allowed.
pub(crate) fn refusal(user: &User, ask: &Attributes, reason: &str) -> ApiError {
    let Attributes { verb, group, resource, subresource, namespace, name, path } = ask;
    let mut why = if resource.is_empty() {
        format!("User {:?} cannot {verb} path {path:?}", user.name)
    } else {
        let whole = if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
        let place =
            if namespace.is_empty() { "at the cluster scope".to_owned() } else { format!("in the namespace {namespace:?}") };
        format!("User {:?} cannot {verb} resource {whole:?} in API group {group:?} {place}", user.name)
    };
    if !reason.is_empty() {
        why.push_str(&format!(": {reason}"));
    }
    let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let message = match (resource.is_empty(), name.is_empty()) {
        (true, _) => format!("forbidden: {why}"),
        (false, true) => format!("{qualified} is forbidden: {why}"),
        (false, false) => format!("{qualified} {name:?} is forbidden: {why}"),
    };
    let mut details = json!({});
    for (field, value) in [("name", name), ("group", group), ("kind", resource)] {
        if !value.is_empty() {
            details[field] = value.as_str().into();
        }
    }
    let mut error = ApiError::new(403, "Forbidden", message);
    error.details = Some(details);
    error
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The subject of a binding that is this user, as messages name it.
fn subject(binding: &Value, user: &User, namespace: &str) -> Option<String> {
    let subjects = binding.get("subjects").and_then(Value::as_array)?;
    subjects.iter().find_map(|subject| {
        let name = text(subject, "/name");
        match text(subject, "/kind") {
            "User" => (user.name == name).then(|| format!("User {name:?}")),
            "Group" => user.groups.iter().any(|group| group == name).then(|| format!("Group {name:?}")),
            "ServiceAccount" => {
                let place = if text(subject, "/namespace").is_empty() { namespace } else { text(subject, "/namespace") };
                let is = user.name == format!("system:serviceaccount:{place}:{name}");
                is.then(|| format!("ServiceAccount {:?}", format!("{name}/{place}")))
            }
            _ => None,
        }
    })
}

/// Whether a rule allows something.
pub(crate) fn covers(rule: &Value, ask: &Attributes) -> bool {
    let list = |field: &str| rule.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let has = |field: &str, wanted: &str| list(field).any(|value| value == "*" || value == wanted);
    if !has("verbs", &ask.verb) {
        return false;
    }
    if ask.resource.is_empty() {
        let fits = |url: &str| match url.strip_suffix('*') {
            Some(start) => ask.path.starts_with(start),
            None => url == ask.path,
        };
        return list("nonResourceURLs").any(fits);
    }
    let (resource, any) = if ask.subresource.is_empty() {
        (ask.resource.clone(), None)
    } else {
        (format!("{}/{}", ask.resource, ask.subresource), Some(format!("*/{}", ask.subresource)))
    };
    let names = rule.get("resourceNames").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    has("apiGroups", &ask.group)
        && list("resources").any(|given| given == "*" || given == resource || Some(given) == any.as_deref())
        && (!names || list("resourceNames").any(|name| name == ask.name))
}
