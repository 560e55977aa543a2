//! The stage itself: what one owner wants, in each of its clusters.
//!
//! In two steps, because what is wanted decides which secrets and facts to look for: [`prepare`] makes the context and says which
//! secrets are wanted and where facts are found; [`render`] turns that, the secrets' names and the facts into releases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use handlebars::Context;
use serde_json::{Value, json};

use super::chart::Request;
use super::component::Scope;
use super::context::{self, Identity, Missing, Objects, Sources, installation};
use super::engine::Known;
use super::load::Compiled;
use super::release::{self, Wish};
use super::{Images, Parts, Release};
use crate::digest::{self, Digest, DigestKey};
use crate::facts::{Exported, Facts};
use crate::finding::{Code, Finding, Findings, Place};
use crate::landscape::{Kind, Owner, Target};
use crate::library::Library;
use crate::observed::project_namespace;
use crate::secrets::{self, Bodies, Ensured, SecretRef, Wanted};
use crate::snapshot::RepoPath;

/// What is known of an owner before anything of a cluster is.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Whose.
    pub owner: Owner,
    /// Which templates are for it.
    pub scope: Scope,
    /// The cluster of its components, short of those that live in the garden.
    pub target: Target,
    /// The namespace of its components; empty for none.
    pub namespace: String,
    /// The namespace of its components that live in the garden; empty for none.
    pub garden_namespace: String,
    /// The namespace of its secrets in `target`.
    pub secret_namespace: String,
    /// The secrets that its wanted components name, with what these are made from.
    pub wants: Vec<Wanted>,
    /// Where the facts of its wanted components are found.
    pub exports: Vec<Exported>,
    /// The charts of its extensions, by registration.
    pub charts: BTreeMap<String, Arc<Request>>,
    /// What is wrong with templates or settings.
    pub findings: Findings,
    /// What its templates see.
    context: Context,
    /// Of the context, for those who ask.
    context_digest: OnceLock<Digest>,
    images: Images,
    wishes: Vec<Wish>,
}

/// Everything that an owner's releases are made from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What [`prepare`] gave.
    pub prepared: &'a Prepared,
    /// Templates, images, policies.
    pub library: &'a Library,
    /// Which secrets exist; `None` if that is not known.
    pub ensured: Option<&'a Ensured>,
    /// Its facts, and those of the scopes above it.
    pub facts: &'a Facts,
    /// Secret bodies that were fetched.
    pub bodies: &'a Bodies,
    /// The key for digests of secret content.
    pub digest_key: Option<&'a DigestKey>,
    /// Whether symbols stand for what only clusters know.
    pub offline: bool,
}

/// What rendering gave.
#[derive(Debug, Default)]
pub struct Rendering {
    /// One release per cluster that has components of the owner, the owner's own cluster first.
    pub releases: Vec<Release>,
    /// What is wrong with templates.
    pub findings: Findings,
    /// Secrets whose bodies are to be fetched before rendering again.
    pub needs_bodies: BTreeSet<SecretRef>,
}

/// Which templates are for owners of a kind; `None` for kinds that are only written into the garden as they are.
#[must_use]
pub fn scope_of(kind: Kind) -> Option<Scope> {
    match kind {
        Kind::Landscape => Some(Scope::Garden),
        Kind::Project => Some(Scope::Project),
        Kind::Seed => Some(Scope::Seed),
        Kind::Shoot => Some(Scope::Shoot),
        Kind::CloudProfile
        | Kind::ExposureClass
        | Kind::ControllerDeployment
        | Kind::ControllerRegistration
        | Kind::NamespacedCloudProfile
        | Kind::Quota
        | Kind::WorkloadIdentity
        | Kind::SecretBinding
        | Kind::CredentialsBinding
        | Kind::ManagedSeed
        | Kind::Operation => None,
    }
}

/// Prepares an owner: `Ok(None)` for kinds without templates, an error that says what is not known yet.
pub fn prepare(objects: &Objects, owner: &Owner, identity: &Identity, library: &Library) -> Result<Option<Prepared>, Missing> {
    let Some(scope) = scope_of(owner.kind) else { return Ok(None) };
    let sources = Sources { objects, owner, identity };
    let context = match scope {
        Scope::Garden => context::garden(&sources, library.shipped())?,
        Scope::Project => context::project(&sources)?,
        Scope::Seed => context::seed(&sources)?,
        Scope::Shoot => context::shoot(&sources)?,
    };
    let charts = match scope {
        Scope::Seed => installation::requests(&sources, &context["seed"]),
        Scope::Garden | Scope::Project | Scope::Shoot => BTreeMap::new(),
    };
    let own = |pointer: &str| context.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let garden = || "garden".to_owned();
    let (target, namespace, garden_namespace, secret_namespace) = match scope {
        Scope::Garden => (Target::Garden, String::new(), String::new(), garden()),
        Scope::Project => (Target::Garden, project_namespace(&owner.name), String::new(), project_namespace(&owner.name)),
        Scope::Seed => (Target::Seed(owner.name.clone()), garden(), garden(), garden()),
        Scope::Shoot => {
            let namespace = own("/id/technicalID");
            let seed = identity.seed.clone().unwrap_or_default();
            (Target::Seed(seed), namespace.clone(), project_namespace(&owner.project), namespace)
        }
    };
    let components = library.components();
    let wishes = release::wishes(components, scope, &context);
    let context = Context::from(context);
    let wanted = components.scope(scope).iter().zip(&wishes).filter(|(_, wish)| !matches!(wish, Wish::Skipped(_)));
    // A hibernated component comes back: its secrets stay.
    let asleep = components.scope(scope).iter().zip(&wishes).filter(|(_, wish)| **wish == release::HIBERNATED);
    let named: BTreeSet<String> = wanted.chain(asleep).flat_map(|(c, _)| c.component.secrets.iter().cloned()).collect();
    let (exports, mut findings) = release::exports(components, scope, &wishes, &context, owner, &target);
    let images = match context.data().pointer("/landscape/spec/images").filter(|table| !table.is_null()) {
        None => library.images().clone(),
        Some(table) => library.images().overridden(table).unwrap_or_else(|message| {
            let place = Place::file(RepoPath::from("landscape.yaml"));
            findings.push(Finding::error(Code::new("LANDSCAPE-IMAGES"), message).at(place));
            library.images().clone()
        }),
    };
    let wants = secrets::wanted(scope, context.data(), &named);
    Ok(Some(Prepared {
        owner: owner.clone(),
        scope,
        target,
        namespace,
        garden_namespace,
        secret_namespace,
        context_digest: OnceLock::new(),
        context,
        wants,
        exports,
        charts,
        findings,
        images,
        wishes,
    }))
}

/// The digest of everything that an owner's releases are made from: equal digests, equal releases.
#[must_use]
pub fn input(inputs: &Inputs<'_>) -> Digest {
    let prepared = inputs.prepared;
    let components = inputs.library.components().scope(prepared.scope);
    let facts: BTreeSet<&String> = components.iter().flat_map(|c| &c.component.reads).collect();
    let facts: Vec<Value> = facts.into_iter().map(|fact| json!([fact, inputs.facts.get(fact)])).collect();
    // Bodies only by keyed digest: this value is kept and shown.
    let bodies: Vec<Value> = inputs
        .bodies
        .0
        .iter()
        .map(|(address, body)| {
            let content = body.as_ref().map(|body| {
                let hashes: Vec<String> = body.iter().map(|(key, data)| format!("{key}={}", digest::of_bytes(data))).collect();
                inputs.digest_key.map(|key| digest::keyed(key, &json!(hashes)))
            });
            json!([address, content])
        })
        .collect();
    let charts: Vec<Value> = prepared
        .charts
        .values()
        .map(|request| {
            let outcome = inputs.facts.chart(request.digest.as_str()).map(|outcome| match outcome {
                Ok(text) => inputs.digest_key.map(|key| json!(digest::keyed(key, &json!(text.as_str())))),
                Err(refused) => Some(json!(refused.to_string())),
            });
            json!([request.release, outcome])
        })
        .collect();
    digest::of_value(&json!([
        inputs.library.digest(),
        prepared.context_digest.get_or_init(|| digest::of_value(prepared.context.data())),
        prepared.target,
        inputs.ensured.map(|e| &e.names),
        facts,
        bodies,
        inputs.digest_key.is_some(),
        inputs.offline,
        charts,
    ]))
}

/// Renders an owner's releases.
#[must_use]
pub fn render(inputs: &Inputs<'_>) -> Rendering {
    rendered(inputs, &inputs.prepared.wishes, &mut Parts::once())
}

/// Renders what two sets of inputs of the same owner make differently, and nothing that they make alike. Only for inputs that
/// know nothing of clusters; others are rendered as a whole.
#[must_use]
pub fn render_differing(one: &Inputs<'_>, other: &Inputs<'_>) -> (Rendering, Rendering) {
    let alike = alike(one, other);
    let render = |inputs: &Inputs<'_>| {
        let components = inputs.library.components().scope(inputs.prepared.scope);
        let wish = |(compiled, wish): (&Arc<Compiled>, &Wish)| {
            if alike.contains(&compiled.component.id.name) { Wish::Skipped("it comes out alike") } else { wish.clone() }
        };
        let wishes: Vec<Wish> = components.iter().zip(&inputs.prepared.wishes).map(wish).collect();
        rendered(inputs, &wishes, &mut Parts::once())
    };
    (render(one), render(other))
}

/// The components that come out alike: their template is the same, and so is everything that it looks at.
fn alike(one: &Inputs<'_>, other: &Inputs<'_>) -> BTreeSet<String> {
    let (a, b) = (one.prepared, other.prepared);
    let place = |p: &Prepared| (p.owner.clone(), p.scope, p.target.clone(), p.namespace.clone(), p.garden_namespace.clone());
    let ignorant = |inputs: &Inputs<'_>| inputs.offline && inputs.ensured.is_none() && inputs.bodies.0.is_empty();
    let (seen, saw) = (a.context.data(), b.context.data());
    if place(a) != place(b) || !ignorant(one) || !ignorant(other) || seen.get("hibernated") != saw.get("hibernated") {
        return BTreeSet::new();
    }
    let mut same_roots: BTreeMap<&str, bool> = BTreeMap::new();
    let version = seen.pointer("/kubernetes/version") == saw.pointer("/kubernetes/version");
    let (images, whole) = (a.images == b.images && version, seen == saw);
    let before = one.library.components().scope(a.scope);
    let before: BTreeMap<&str, _> =
        before.iter().zip(&a.wishes).map(|(c, wish)| (c.component.id.name.as_str(), (c, wish))).collect();
    let after = other.library.components().scope(b.scope).iter().zip(&b.wishes);
    after
        .filter(|(compiled, wish)| {
            let Some((was, wished)) = before.get(compiled.component.id.name.as_str()) else { return false };
            // What a component for items sees as `item` is in its list.
            let mut roots = compiled.sees.iter().map(String::as_str).chain(compiled.component.each.as_deref());
            let mut is_same = |root| *same_roots.entry(root).or_insert_with(|| seen.get(root) == saw.get(root));
            was.text == compiled.text
                && wished == wish
                && (whole || (!compiled.whole && roots.all(&mut is_same)))
                && (images || !compiled.helpers.contains("image"))
        })
        .map(|(compiled, _)| compiled.component.id.name.clone())
        .collect()
}

/// The same where some of its components were rendered before: only those are rendered that would come out otherwise. `parts`
/// must belong to what was prepared; it is brought up to date.
#[must_use]
pub fn render_again(inputs: &Inputs<'_>, parts: &mut Parts) -> Rendering {
    rendered(inputs, &inputs.prepared.wishes, parts)
}

fn rendered(inputs: &Inputs<'_>, wishes: &[Wish], parts: &mut Parts) -> Rendering {
    let prepared = inputs.prepared;
    let known = Known {
        owner: &prepared.owner,
        target: &prepared.target,
        namespace: &prepared.namespace,
        garden_namespace: &prepared.garden_namespace,
        names: inputs.ensured.map(|e| &e.names),
        facts: inputs.facts,
        bodies: inputs.bodies,
        images: &prepared.images,
        digest_key: inputs.digest_key,
        offline: inputs.offline,
    };
    let outcome = release::wished(inputs.library.components(), prepared.scope, wishes, &prepared.context, &known, parts);
    let mut releases: Vec<Release> = release::by_target(outcome.components, &prepared.target)
        .into_iter()
        .map(|(target, components)| Release { owner: prepared.owner.clone(), target, components })
        .collect();
    releases.sort_by_key(|release| release.target != prepared.target);
    let mut findings = prepared.findings.clone();
    findings.extend(outcome.findings);
    Rendering { releases, findings, needs_bodies: outcome.needs_bodies }
}
