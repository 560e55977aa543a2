//! The border to the CEL interpreter: JSON values in, verdicts out, and no more work than Kubernetes would do.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{Expr, IdedExpr};
use kube_cel::cel::common::types::CelList;
use kube_cel::cel::context::VariableResolver;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Program, Value as Cel};
use serde_json::{Value, json};

use super::patterns;
use super::rewrite::{self, GROWN, HAS, Known, NULL, ROOTS, SEARCH, SPEND, STEP, WEIGH};
use super::{GIT_USER, Request};
use crate::observed::project_namespace;

/// What one expression may cost: Kubernetes' limit per call.
pub(super) const PER_EXPRESSION: u64 = 1_000_000;
/// What all validations of a policy together may cost for one request: Kubernetes' budget.
pub(super) const PER_POLICY: u64 = 10_000_000;
/// What all its conditions together may cost: a quarter of that.
pub(super) const PER_CONDITIONS: u64 = PER_POLICY / 4;

/// Kubernetes' functions, and our own that count. Registering them costs more than most expressions, so it is done once.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default().with_all();
    context.add_function(WEIGH, weigh);
    context.add_function(SEARCH, search);
    context.add_function(GROWN, grown);
    context.add_function("matches", patterns::matches);
    context
});

fn weigh(ftx: &FunctionContext<'_, '_>, value: Cel) -> Result<Cel, ExecutionError> {
    spend(ftx, size(&value))?;
    Ok(value)
}

fn search(ftx: &FunctionContext<'_, '_>, value: Cel) -> Result<Cel, ExecutionError> {
    spend(ftx, size(&value).saturating_mul(10))?;
    Ok(value)
}

fn grown(ftx: &FunctionContext<'_, '_>) -> Result<bool, ExecutionError> {
    let [IdedExpr { expr: Expr::Ident(name), .. }] = ftx.args else { return Ok(true) };
    let found = ftx.ptx.get_variable(name);
    let length = found.as_ref().and_then(|list| list.downcast_ref::<CelList>()).map_or(0, |list| list.inner().len());
    drop(found);
    spend(ftx, count(length))?;
    Ok(true)
}

fn spend(ftx: &FunctionContext<'_, '_>, units: u64) -> Result<(), ExecutionError> {
    if units > 0 && ftx.ptx.get_variable(format!("{SPEND}{units}")).is_none() {
        return Err(ftx.error("too much"));
    }
    Ok(())
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What going through a value costs.
fn size(value: &Cel) -> u64 {
    match value {
        Cel::String(text) => count(text.len() / 10),
        Cel::Bytes(bytes) => count(bytes.len() / 10),
        Cel::List(items) => items.iter().map(|item| size(item).saturating_add(1)).fold(0, u64::saturating_add),
        Cel::Map(map) => map.map.values().map(|item| size(item).saturating_add(1)).fold(0, u64::saturating_add),
        _ => 0,
    }
}

/// A compiled expression.
pub(super) struct Expression {
    text: String,
    prepared: rewrite::Prepared,
}

impl Expression {
    /// Compiles an expression, or says why it cannot be.
    pub(super) fn compile(text: &str, known: Known<'_>) -> Result<Self, String> {
        // The parser of the interpreter may panic on texts that no grammar expects: that is a refusal, too.
        let program = match catch_unwind(|| Program::compile(text)) {
            Ok(Ok(program)) => program,
            Ok(Err(error)) => return Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
            Err(_) => return Err("it is no expression".to_owned()),
        };
        Ok(Self { text: text.trim().to_owned(), prepared: rewrite::prepare(program.expression().clone(), known)? })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The variables that it uses.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.prepared.variables.iter().map(String::as_str)
    }

    /// Its value, or why there is none.
    pub(super) fn run(&self, scope: &mut Scope<'_>) -> Result<Cel, String> {
        scope.spent = AtomicU64::new(self.prepared.cost);
        let allowed = scope.allowed();
        let result = {
            let mut context = FUNCTIONS.new_inner_scope();
            context.set_variable_resolver(&*scope);
            catch_unwind(AssertUnwindSafe(|| context.resolve(&self.prepared.tree)))
        };
        let spent = *scope.spent.get_mut();
        scope.left = scope.left.saturating_sub(spent);
        if spent > allowed {
            return Err(if allowed < PER_EXPRESSION {
                "together with the expressions before it, it costs more than Kubernetes allows to one policy".to_owned()
            } else {
                format!("it costs more than {PER_EXPRESSION} units, which Kubernetes allows to one expression")
            });
        }
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(scope.why(&error)),
            Err(_) => Err("the interpreter failed".to_owned()),
        }
    }
}

/// A request as expressions see it, for every policy that looks at it.
pub(super) struct Subject<'a> {
    request: &'a Request<'a>,
    namespace: String,
    admission: OnceLock<Value>,
    around: OnceLock<Value>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(request: &'a Request<'a>) -> Self {
        let owner = request.owner;
        let namespace = if owner.kind.namespaced() { project_namespace(&owner.project) } else { String::new() };
        Self { request, namespace, admission: OnceLock::new(), around: OnceLock::new() }
    }

    pub(super) fn request(&self) -> &'a Request<'a> {
        self.request
    }

    /// The namespace of the object; empty if it has none.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `request`: what Git says of whoever may merge.
    fn admission(&self) -> &Value {
        self.admission.get_or_init(|| {
            let owner = self.request.owner;
            let (group, version) = owner.kind.api_version().split_once('/').unwrap_or(("", owner.kind.api_version()));
            let kind = json!({"group": group, "version": version, "kind": owner.kind.name()});
            let resource = json!({"group": group, "version": version, "resource": owner.kind.plural()});
            json!({
                "uid": "", "operation": operation(self.request), "name": owner.name, "namespace": self.namespace,
                "kind": kind, "resource": resource, "subResource": "",
                "requestKind": kind, "requestResource": resource, "requestSubResource": "",
                "dryRun": false, "options": {},
                "userInfo": {"username": GIT_USER, "uid": "", "groups": ["system:authenticated"], "extra": {}},
            })
        })
    }

    /// `namespaceObject`: the namespace of the object's project, with the labels that espalier gives it.
    fn around(&self) -> &Value {
        self.around.get_or_init(|| match self.namespace.as_str() {
            "" => Value::Null,
            name => json!({"metadata": {"name": name, "labels": super::matching::namespace_labels(self.request.owner)}}),
        })
    }

    fn root(&self, name: &str) -> Option<&Value> {
        static NULL: Value = Value::Null;
        match name {
            "object" => Some(self.request.object.unwrap_or(&NULL)),
            "oldObject" => Some(self.request.old.unwrap_or(&NULL)),
            "request" => Some(self.admission()),
            "namespaceObject" => Some(self.around()),
            _ => None,
        }
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

/// What the expressions of one policy see of a request, and what they may still cost.
pub(super) struct Scope<'a> {
    subject: &'a Subject<'a>,
    params: Option<&'a Value>,
    /// The values of variables, or why there is none.
    pub(super) variables: BTreeMap<String, Result<Cel, String>>,
    spent: AtomicU64,
    left: u64,
}

impl<'a> Scope<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, params: Option<&'a Value>, budget: u64) -> Self {
        Self { subject, params, variables: BTreeMap::new(), spent: AtomicU64::new(0), left: budget }
    }

    fn allowed(&self) -> u64 {
        self.left.min(PER_EXPRESSION)
    }

    fn take(&self, units: u64) -> Option<()> {
        let before = self.spent.fetch_add(units.min(PER_POLICY), Ordering::Relaxed);
        (before.saturating_add(units) <= self.allowed()).then_some(())
    }

    /// Why an expression has no value.
    fn why(&self, error: &ExecutionError) -> String {
        let ExecutionError::UndeclaredReference(name) = error else { return error.to_string() };
        let way = name.trim_start_matches([HAS, NULL]);
        let mut segments = way.split(STEP);
        match (segments.next(), segments.next()) {
            (Some("variables"), Some(variable)) if matches!(self.variables.get(variable), Some(Err(_))) => {
                let why = self.variables.get(variable).and_then(|v| v.as_ref().err()).map_or("", String::as_str);
                format!("variable `{variable}`: {why}")
            }
            (Some(root), _) if ROOTS.contains(&root) => format!("there is no `{}`", rewrite::shown(way)),
            _ => format!("there is no function `{name}`"),
        }
    }

    /// Where a way begins; parameters that are not there are null.
    fn start(&self, root: &str) -> Option<&Value> {
        if root == "params" { Some(self.params.unwrap_or(&Value::Null)) } else { self.subject.root(root) }
    }

    /// The value at a way. The namespace of an object is filled in: what a file leaves to its path, a cluster would show.
    fn at(&self, way: &str) -> Option<Cel> {
        let mut segments = way.split(STEP);
        let root = segments.next()?;
        let rest: Vec<&str> = segments.collect();
        if root == "variables" {
            let value = self.variables.get(*rest.first()?)?.as_ref().ok()?;
            return rest.get(1..)?.iter().try_fold(value.clone(), |value, segment| match value {
                Cel::Map(map) => map.map.get(&key(segment)).cloned(),
                _ => None,
            });
        }
        let start = self.start(root)?;
        let namespace = self.subject.namespace();
        let filled = !namespace.is_empty() && matches!(root, "object" | "oldObject") && !start.is_null();
        if filled && rest.as_slice() == ["metadata", "namespace"] {
            return Some(Cel::String(Arc::new(namespace.to_owned())));
        }
        let value = rest.iter().try_fold(start, |value, segment| field(value, segment))?;
        if filled && (rest.is_empty() || rest.as_slice() == ["metadata"]) {
            let mut value = value.clone();
            let metadata = if rest.is_empty() { value.get_mut("metadata") } else { Some(&mut value) };
            if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
                metadata.insert("namespace".to_owned(), namespace.into());
            }
            return Some(to_cel(&value));
        }
        Some(to_cel(value))
    }

    /// Whether the last field of a way is there; `None` if those before it are not.
    fn has(&self, way: &str) -> Option<Cel> {
        let (parent, last) = way.rsplit_once(STEP)?;
        if parent.starts_with("variables") {
            return match self.at(parent)? {
                Cel::Map(map) => Some(Cel::Bool(map.map.contains_key(&key(last)))),
                _ => None,
            };
        }
        let mut segments = parent.split(STEP);
        let root = segments.next()?;
        let start = self.start(root)?;
        let value = segments.try_fold(start, field)?;
        if last == "namespace"
            && matches!(parent.split(STEP).collect::<Vec<_>>().as_slice(), ["object" | "oldObject", "metadata"])
        {
            return Some(Cel::Bool(!self.subject.namespace().is_empty()));
        }
        value.is_object().then(|| Cel::Bool(field(value, last).is_some()))
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve(&self, name: &str) -> Option<Cel> {
        if let Some(units) = name.strip_prefix(SPEND) {
            self.take(units.parse().ok()?)?;
            return Some(Cel::Bool(true));
        }
        if let Some(way) = name.strip_prefix(HAS) {
            return self.has(way);
        }
        if let Some(way) = name.strip_prefix(NULL) {
            if !way.contains(STEP) {
                return Some(Cel::Bool(self.start(way).is_none_or(Value::is_null)));
            }
            return self.at(way).map(|value| Cel::Bool(matches!(value, Cel::Null)));
        }
        if !ROOTS.contains(&name.split(STEP).next().unwrap_or(name)) {
            return None;
        }
        let value = self.at(name)?;
        self.take(size(&value))?;
        Some(value)
    }
}

/// A field of a map; Kubernetes escapes what is no identifier, and both spellings are understood.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    let found = map.get(name).or_else(|| if name.contains("__") { map.get(&unescaped(name)) } else { None });
    found.filter(|value| !value.is_null())
}

/// `app__dash__name` is `app-name`, and `__namespace__` is `namespace`.
fn unescaped(name: &str) -> String {
    if let Some(word) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))
        && !word.contains("__")
        && !matches!(word, "dot" | "dash" | "slash" | "underscores")
    {
        return word.to_owned();
    }
    let plain = name.replace("__dot__", ".").replace("__dash__", "-").replace("__slash__", "/");
    plain.replace("__underscores__", "__")
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escaped_fields_are_found() {
        for (escaped, plain) in [("__namespace__", "namespace"), ("a__dash__b__dot__c", "a-b.c"), ("x__underscores__y", "x__y")] {
            assert_eq!(unescaped(escaped), plain);
        }
    }
}
