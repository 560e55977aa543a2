//! One scope's components, rendered in graph order: wanted, skipped, waiting or failed.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use handlebars::Context;
use serde_json::{Map, Value};

use super::component::{Component, Hibernate, Ready, Scope};
use super::engine::{self, Failure, Known, Notes, Text};
use super::helper;
use super::load::{self, Compiled, Components};
use super::mould::Filled;
use super::post::{self, Refusal, Stamp};
use super::replay::outline::{Outlines, Seen};
use super::when::Converted;
use super::{RenderState, Rendered};
use crate::document::{self, Budget, Document, Parsed};
use crate::facts::Exported;
use crate::finding::{Code, Finding, Findings, On, Pointer};
use crate::landscape::{Owner, Target};
use crate::secrets::SecretRef;

const RENDER: Code = Code::new("TEMPLATE-RENDER");

/// What rendering components gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every component of the scope in graph order.
    pub components: Vec<Rendered>,
    /// What is wrong with templates.
    pub findings: Findings,
    /// Secrets to fetch the bodies of before rendering again.
    pub needs_bodies: BTreeSet<SecretRef>,
}

/// Components as they were rendered last, of one prepared owner: what asks the same and is answered the same comes out the same.
/// Those into which secret values went are not kept.
#[derive(Debug, Default)]
pub struct Parts {
    kept: BTreeMap<String, Part>,
    /// Nothing is kept.
    once: bool,
}

impl Parts {
    /// For what is rendered once.
    pub(crate) fn once() -> Self {
        Self { once: true, ..Self::default() }
    }
}

#[derive(Debug)]
struct Part {
    reads: Vec<engine::Read>,
    objects: Vec<super::DesiredObject>,
}

/// Whether a component is wanted: its `when`, and whether hibernation removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Yes.
    Wanted,
    /// No, and why.
    Skipped(&'static str),
    /// Its condition cannot be evaluated.
    Broken(String),
}

/// The wish for a component that hibernation removes.
pub(crate) const HIBERNATED: Wish = Wish::Skipped("hibernated");

/// The wish for a component that clears up after another, where there is nothing to clear up.
const CLEAR: Wish = Wish::Skipped("there is nothing to clear up");

/// What is wanted of a scope in a context, in graph order.
pub(crate) fn wishes(components: &Components, scope: Scope, context: &Value) -> Vec<Wish> {
    let hibernated = flag(context, "hibernated");
    let mut converted = Converted::default();
    let all = components.scope(scope);
    let mut wishes: Vec<Wish> = all
        .iter()
        .map(|compiled| {
            let holds = compiled.when.as_ref().map_or(Ok(true), |when| when.holds(context, &mut converted));
            match holds {
                Err(error) => Wish::Broken(error),
                Ok(false) => Wish::Skipped("its condition is not met"),
                Ok(true) if hibernated && compiled.component.hibernate == Hibernate::Removed => HIBERNATED,
                Ok(true) => Wish::Wanted,
            }
        })
        .collect();
    let following: BTreeSet<&str> =
        context.get("following").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (index, compiled) in all.iter().enumerate() {
        let Some(other) = compiled.component.follows.as_ref().filter(|_| wishes[index] == Wish::Wanted) else { continue };
        let other = all.iter().position(|c| c.component.id.name == *other).map(|other| &wishes[other]);
        match other {
            // Whether that one is wanted is not known, so neither is whether this one may go.
            Some(Wish::Broken(error)) => wishes[index] = Wish::Broken(error.clone()),
            Some(Wish::Skipped(_)) if other != Some(&HIBERNATED) && following.contains(compiled.component.id.name.as_str()) => {}
            _ => wishes[index] = CLEAR,
        }
    }
    wishes
}

/// Renders every component of a scope with a context: the whole of rendering short of where the context comes from.
#[must_use]
pub fn components(components: &Components, scope: Scope, context: &Value, known: &Known<'_>) -> Outcome {
    let wrapped = Context::from(context.clone());
    wished(components, scope, &wishes(components, scope, context), &wrapped, known, &mut Parts::once())
}

/// The same where it is known already what is wanted, and what it came to last time.
pub(crate) fn wished(
    components: &Components,
    scope: Scope,
    wishes: &[Wish],
    wrapped: &Context,
    known: &Known<'_>,
    parts: &mut Parts,
) -> Outcome {
    let context = wrapped.data();
    let outlines = Outlines::of(context);
    let mut outcome = Outcome::default();
    for (compiled, wish) in components.scope(scope).iter().zip(wishes) {
        if compiled.component.each.is_some() {
            for_items(components, compiled, wish, context, &outlines, known, &mut outcome, parts);
            continue;
        }
        let (state, objects) = match wish {
            Wish::Skipped(why) => (RenderState::Skipped((*why).to_owned()), Vec::new()),
            Wish::Broken(error) => {
                outcome.findings.push(finding(compiled, known, error, 1, 1));
                (RenderState::Failed(error.clone()), Vec::new())
            }
            Wish::Wanted => {
                let seen = Seen { roots: &compiled.sees, context: &outlines, item: None };
                one(compiled, &compiled.component, context, &seen, || wrapped, known, &mut outcome, parts)
            }
        };
        outcome.components.push(Rendered { component: asleep(&compiled.component, context), state, objects });
    }
    outcome
}

/// Renders a component for each item of its list, which it sees as `item`. An item says its `name` and whether it is `wanted`; one
/// that is not stays in the list, and says `why`, until nothing is left of it: what is in no list any more is pruned in no order.
#[expect(clippy::too_many_arguments, reason = "what one template is rendered with")]
fn for_items(
    components: &Components,
    compiled: &Compiled,
    wish: &Wish,
    context: &Value,
    outlines: &Outlines<'_>,
    known: &Known<'_>,
    outcome: &mut Outcome,
    parts: &mut Parts,
) {
    let all = components.scope(compiled.component.id.scope);
    let lists = all.iter().filter_map(|c| Some((c.component.id.name.as_str(), c.component.each.as_deref()?))).collect();
    let list = compiled.component.each.as_deref().and_then(|list| context.get(list)).and_then(Value::as_array);
    for item in list.into_iter().flatten() {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let component = Arc::new(compiled.component.for_item(text("name"), &lists));
        let (state, objects) = match wish {
            Wish::Skipped(why) => (RenderState::Skipped((*why).to_owned()), Vec::new()),
            Wish::Broken(error) => (RenderState::Failed(error.clone()), Vec::new()),
            Wish::Wanted if item.get("wanted").and_then(Value::as_bool) == Some(false) => {
                (RenderState::Skipped(text("why").to_owned()), Vec::new())
            }
            Wish::Wanted => {
                let wrapped = OnceCell::new();
                let narrow = || {
                    let roots = compiled.sees.iter().map(String::as_str).chain(helper::READ_OF_CONTEXT);
                    let roots = roots.filter_map(|root| Some((root.to_owned(), context.get(root)?.clone())));
                    let mut narrow: Map<String, Value> = roots.collect();
                    narrow.insert("item".to_owned(), item.clone());
                    Context::from(Value::Object(narrow))
                };
                let of_item = Outlines::item(item);
                let seen = Seen { roots: &compiled.sees, context: outlines, item: Some(&of_item) };
                one(compiled, &component, context, &seen, || wrapped.get_or_init(narrow), known, outcome, parts)
            }
        };
        outcome.components.push(Rendered { component, state, objects });
    }
}

/// While an owner is hibernated its resource manager does not run: what it is to apply counts as ready once it is written.
fn asleep(component: &Arc<Component>, context: &Value) -> Arc<Component> {
    if component.ready == Ready::ManagedResource && flag(context, "hibernated") {
        Arc::new(Component { ready: Ready::Exists, ..Component::clone(component) })
    } else {
        Arc::clone(component)
    }
}

#[expect(clippy::too_many_arguments, reason = "what one template is rendered with")]
fn one<'c>(
    compiled: &Compiled,
    component: &Component,
    context: &Value,
    seen: &Seen<'_, '_, '_>,
    wrapped: impl FnOnce() -> &'c Context,
    known: &Known<'_>,
    outcome: &mut Outcome,
    parts: &mut Parts,
) -> (RenderState, Vec<super::DesiredObject>) {
    let name = &component.id.name;
    match parts.kept.get(name) {
        Some(part) if part.reads.iter().all(|read| read.holds(context, known)) => {
            return (RenderState::Wanted, part.objects.clone());
        }
        Some(_) => drop(parts.kept.remove(name)),
        None => {}
    }
    let mut failed = |failure: Failure| {
        outcome.findings.push(finding(compiled, known, &failure.message, failure.line, failure.column));
        (RenderState::Failed(failure.message), Vec::new())
    };
    let owner = known.owner.label();
    let stamp = Stamp {
        owner: &owner,
        component,
        name,
        namespace: if compiled.component.in_garden { known.garden_namespace } else { known.namespace },
        hibernated: flag(context, "hibernated"),
        sensitive: &[],
        digest_key: known.digest_key,
        offline: known.offline,
    };
    // What looks at the context as a whole is run each time.
    let key = (!compiled.whole).then(|| seen.key(known.offline));
    let replayed = key.as_deref().and_then(|key| compiled.replays.objects(key, seen, context, known, &stamp));
    let (objects, reads) = if let Some((objects, reads)) = replayed {
        (objects, Some(reads))
    } else {
        if let Some(root) = compiled.roots.iter().find(|root| !seen.has(&root.name)) {
            let message = format!("`{}` is not part of the context", root.name);
            return failed(Failure { message, line: root.line, column: root.column });
        }
        let notes = Mutex::new(Notes { once: parts.once, ..Notes::default() });
        let wrapped = wrapped();
        compiled.runs.fetch_add(1, Ordering::Relaxed);
        let result = engine::run(&compiled.template, &compiled.helpers, wrapped, known, &notes);
        let notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.needs_bodies.extend(notes.needs_bodies);
        if let Some(why) = notes.refused {
            return (RenderState::Failed(why), Vec::new());
        }
        // Before errors: what is missing is null in the template, and null may well be an error there.
        if let Some(missing) = notes.waiting.first() {
            return (RenderState::Waiting(missing.clone()), Vec::new());
        }
        let made = result.and_then(|text| made(compiled, text, notes.secret, wrapped, known, &stamp));
        let (text, made) = match made {
            Ok(made) => made,
            Err(failure) => return failed(failure),
        };
        match made {
            Made::Filled(objects) => {
                if let Some(key) = key {
                    compiled.replays.learn(key, compiled, seen, context, known, &text);
                }
                (objects, (!notes.secret).then_some(notes.reads))
            }
            Made::Read(Ok(objects)) => (objects, (!notes.secret).then_some(notes.reads)),
            Made::Read(Err(Refusal::Waiting(why))) => return (RenderState::Waiting(why), Vec::new()),
            Made::Read(Err(Refusal::Wrong(index, message))) => {
                let begin = |d: &Arc<Document>| d.span(&Pointer::root(), On::Value).map_or(d.range().start, |s| s.start);
                let documents = read(compiled, &text).documents;
                let (line, column) = documents.get(index).map_or((1, 1), |document| text.origin(begin(document)));
                return failed(Failure { message, line, column });
            }
        }
    };
    // What is written and not observed would never be pruned.
    let unnamed = |o: &&super::DesiredObject| !compiled.kinds.iter().any(|(v, kind)| *v == o.api_version && *kind == o.key.kind);
    if let Some(o) = objects.iter().find(unnamed) {
        return failed(Failure {
            message: format!(
                "{} is of a kind that the template does not name; add `writes: [{}/{}]`",
                o.key, o.api_version, o.key.kind
            ),
            line: 1,
            column: 1,
        });
    }
    if let Some(reads) = reads.filter(|_| !parts.once) {
        parts.kept.insert(name.clone(), Part { reads, objects: objects.clone() });
    }
    (RenderState::Wanted, objects)
}

/// What became of a rendered text.
enum Made {
    /// It was filled into what came up before.
    Filled(Vec<super::DesiredObject>),
    Read(Result<Vec<super::DesiredObject>, Refusal>),
}

/// The objects that a rendered text comes to.
fn made(
    compiled: &Compiled,
    text: Text,
    secret: bool,
    wrapped: &Context,
    known: &Known<'_>,
    stamp: &Stamp<'_>,
) -> Result<(Text, Made), Failure> {
    // What has secret values in it is in no mould.
    let filled = if secret { None } else { compiled.moulds.fill(&text.cast, &compiled.path, &budget(), stamp) };
    match filled {
        Some(Filled::Objects(objects)) => Ok((text, Made::Filled(objects))),
        Some(Filled::Manifests(values)) => Ok((text, Made::Read(post::objects(values, stamp)))),
        None => manifests(compiled, text, secret).map(|(text, values)| {
            let sensitive = if secret { sensitive(compiled, wrapped, known, &values) } else { Vec::new() };
            (text, Made::Read(post::objects(values, &Stamp { sensitive: &sensitive, ..*stamp })))
        }),
    }
}

/// Which manifests include secret values: those that come out otherwise when the values are masked. However a template encodes,
/// cuts or joins them, nothing slips through; where the comparison fails, all of them do.
fn sensitive(compiled: &Compiled, wrapped: &Context, known: &Known<'_>, values: &[Value]) -> Vec<bool> {
    let notes = Mutex::new(Notes { masked: true, ..Notes::default() });
    let masked = engine::run(&compiled.template, &compiled.helpers, wrapped, known, &notes)
        .and_then(|text| manifests(compiled, text, true));
    match masked {
        Ok((_, masked)) if masked.len() == values.len() => values.iter().zip(&masked).map(|(a, b)| a != b).collect(),
        Ok(_) | Err(_) => vec![true; values.len()],
    }
}

/// Definitions are larger than what tenants write.
fn budget() -> Budget {
    Budget { bytes: 8 << 20, nodes: 2_000_000, scalar: 4 << 20, ..Budget::default() }
}

/// Reads rendered text with the same strict reader as tenants' files.
fn read(compiled: &Compiled, text: &Text) -> Parsed {
    document::parse(&compiled.path, text.cast.text().as_bytes(), &budget())
}

/// The manifests that reading a rendered text gives.
fn manifests(compiled: &Compiled, text: Text, secret: bool) -> Result<(Text, Vec<Value>), Failure> {
    let parsed = read(compiled, &text);
    if let Some(wrong) = parsed.findings.iter().find(|f| f.severity == crate::finding::Severity::Error) {
        let offset = wrong.places.first().and_then(|p| p.span).map_or(0, |span| span.start);
        let (line, column) = text.origin(offset);
        // A message may quote what it complains about.
        let message = if secret {
            "the result is not valid YAML".to_owned()
        } else {
            format!("the result is not valid: {}", wrong.message)
        };
        return Err(Failure { message, line, column });
    }
    Ok((text, parsed.documents.into_iter().map(Document::into_value).collect()))
}

fn finding(compiled: &Compiled, known: &Known<'_>, message: &str, line: u32, column: u32) -> Finding {
    Finding::error(RENDER, format!("component `{}`: {message}", compiled.component.id))
        .at(load::place(&compiled.path, &compiled.text, line, column))
        .of(known.owner)
}

fn flag(context: &Value, name: &str) -> bool {
    context.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// Where the facts of an owner's wanted components are found. Names that cannot be rendered are findings.
pub(crate) fn exports(
    components: &Components,
    scope: Scope,
    wishes: &[Wish],
    wrapped: &Context,
    owner: &Owner,
    target: &Target,
) -> (Vec<Exported>, Findings) {
    let mut findings = Findings::default();
    let mut out = Vec::new();
    for (compiled, wish) in components.scope(scope).iter().zip(wishes) {
        if *wish != Wish::Wanted {
            continue;
        }
        for export in &compiled.exports {
            match engine::plain(&export.name, wrapped) {
                Ok(name) => out.push(Exported {
                    fact: format!("{}.{}", compiled.component.id.name, export.fact),
                    owner: owner.label(),
                    target: if compiled.component.in_garden { Target::Garden } else { target.clone() },
                    kind: export.kind.clone(),
                    name,
                    each: export.each,
                    pointer: export.pointer.clone(),
                    ready: compiled.component.ready.clone(),
                }),
                Err(error) => findings.push(
                    Finding::error(RENDER, format!("export `{}.{}`: {error}", compiled.component.id, export.fact))
                        .at(load::place(&compiled.path, &compiled.text, 1, 1))
                        .of(owner),
                ),
            }
        }
    }
    (out, findings)
}

/// Components' objects by the cluster that they go to.
pub(crate) fn by_target(components: Vec<Rendered>, target: &Target) -> BTreeMap<Target, Vec<Rendered>> {
    let mut out: BTreeMap<Target, Vec<Rendered>> = BTreeMap::new();
    for rendered in components {
        let target = if rendered.component.in_garden { Target::Garden } else { target.clone() };
        out.entry(target).or_default().push(rendered);
    }
    out
}
