//! The border to the CEL interpreter: JSON values in, verdicts out.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, Program, Value as Cel};
use serde_json::Value;

use super::{GIT_USER, Request};
use crate::observed::project_namespace;

/// The functions of Kubernetes' CEL. Registering them costs more than most expressions, so it is done once.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// A request with its values converted once, for every policy that looks at it.
pub(super) struct Bound {
    root: Context<'static>,
}

impl Bound {
    /// Converts what policies may name: `object`, `oldObject`, `request` and `namespaceObject`.
    pub(super) fn new(request: &Request<'_>) -> Self {
        let owner = request.owner;
        let namespace = if owner.kind.namespaced() { project_namespace(&owner.project) } else { String::new() };
        let (group, version) = owner.kind.api_version().split_once('/').unwrap_or(("", owner.kind.api_version()));
        let admission = serde_json::json!({
            "operation": operation(request), "name": owner.name, "namespace": namespace, "dryRun": false, "subResource": "",
            "kind": {"group": group, "version": version, "kind": owner.kind.name()},
            "resource": {"group": group, "version": version, "resource": owner.kind.plural()},
            "userInfo": {"username": GIT_USER, "uid": "", "groups": ["system:authenticated"]},
        });
        // Policies of a cluster see the whole object; what a file leaves to its path is filled in here.
        let whole = |value: Option<&Value>| {
            value.map_or(Cel::Null, |value| {
                let mut value = value.clone();
                if let (false, Some(metadata)) = (namespace.is_empty(), value.get_mut("metadata").and_then(Value::as_object_mut))
                {
                    metadata.insert("namespace".to_owned(), namespace.clone().into());
                }
                to_cel(&value)
            })
        };
        let around = match namespace.as_str() {
            "" => Cel::Null,
            name => to_cel(&serde_json::json!({"metadata": {"name": name, "labels": super::matching::namespace_labels(owner)}})),
        };
        let variables = [
            ("object", whole(request.object)),
            ("oldObject", whole(request.old)),
            ("request", to_cel(&admission)),
            ("namespaceObject", around),
        ];
        let mut root = FUNCTIONS.new_inner_scope();
        for (name, value) in variables {
            root.add_variable_from_value(name, value);
        }
        Self { root }
    }

    /// A context in which expressions can be evaluated, and `variables` be bound.
    pub(super) fn context(&self) -> Context<'_> {
        self.root.new_inner_scope()
    }
}

/// The operation of a request as admission calls it.
pub(super) fn operation(request: &Request<'_>) -> &'static str {
    match (request.object, request.old) {
        (None, _) => "DELETE",
        (Some(_), None) => "CREATE",
        (Some(_), Some(_)) => "UPDATE",
    }
}

/// Makes the variables known so far visible as `variables`.
pub(super) fn bind_variables(context: &mut Context<'_>, variables: &HashMap<Key, Cel>) {
    context.add_variable_from_value("variables", Cel::Map(Map { map: Arc::new(variables.clone()) }));
}

/// The key of a name in a map.
pub(super) fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
}

/// The value of an expression, or why there is none.
pub(super) fn run(program: &Program, context: &Context<'_>) -> Result<Cel, String> {
    program.execute(context).map_err(|error| error.to_string())
}

/// A JSON value as CEL sees it. Keys stay as they are: manifests reach them by `.name` or `['name']`.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(b) => Cel::Bool(*b),
        Value::Number(n) => n.as_i64().map(Cel::Int).or_else(|| n.as_f64().map(Cel::Float)).unwrap_or(Cel::Null),
        Value::String(s) => Cel::String(Arc::new(s.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let entries = map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (key(k), to_cel(v)));
            Cel::Map(Map { map: Arc::new(entries.collect()) })
        }
    }
}
