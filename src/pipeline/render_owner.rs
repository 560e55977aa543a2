//! Rendering one owner: from its sources, secrets and facts, or from memory where none of them changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::decided::identity;
use super::{Kept, Look, Memory, Ready, World, sources};
use crate::admission::{Node, selects};
use crate::facts::{Exported, Facts, STATIC_MANIFESTS, TRAFFIC_DISTRIBUTION, WILDCARD_CERTIFICATE, traffic_distribution};
use crate::finding::Findings;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{OWNER_LABEL, Object, ObjectKey, Observed, STATIC_MANIFEST_SELECTOR};
use crate::render::chart::Request;
use crate::render::context::{Identity, Objects, trusted_host};
use crate::render::{self, Release, Scope};
use crate::secrets::{self, Bodies, SecretRef};

/// What rendering an owner came to.
#[derive(Default)]
pub(super) struct Made {
    pub(super) releases: Arc<Vec<Arc<Release>>>,
    pub(super) needs: BTreeSet<SecretRef>,
    pub(super) findings: Findings,
    pub(super) generate: Vec<secrets::Generate>,
    pub(super) again: Option<i64>,
    pub(super) missing: Option<String>,
    /// The name under which a shoot's API server shows its seed's wildcard certificate.
    pub(super) trusted: Option<String>,
    /// The charts that it is made from, by registration.
    pub(super) charts: BTreeMap<String, Arc<Request>>,
}

impl World {
    /// Renders an owner, or takes what was rendered before from the same inputs.
    pub(super) fn render(
        &self,
        owner: &Owner,
        manifest: &Value,
        identity: &Identity,
        look: &Look<'_>,
        memory: &mut Memory,
    ) -> Made {
        let objects = self.objects_for(owner, manifest, identity.seed.as_deref());
        let known = memory
            .prepared
            .get(owner)
            .filter(|ready| ready.library == *look.library.digest() && ready.identity == *identity && ready.objects == objects);
        let prepared = if let Some(ready) = known {
            ready.prepared.clone()
        } else {
            let prepared = match render::prepare(&objects, owner, identity, look.library) {
                Ok(Some(prepared)) => Arc::new(prepared),
                Ok(None) => return Made::default(),
                Err(missing) => return Made { missing: Some(missing.to_string()), ..Made::default() },
            };
            let library = look.library.digest().clone();
            let parts = render::Parts::default();
            let ready = Ready { objects, identity: identity.clone(), library, prepared: prepared.clone(), parts };
            memory.prepared.insert(owner.clone(), ready);
            prepared
        };
        if matches!(owner.kind, Kind::Landscape | Kind::Seed) {
            // Others read their facts.
            memory.exports.insert(owner.clone(), (Arc::new(manifest.clone()), prepared.exports.clone()));
        }
        let have = managed_secrets(look.observed, &prepared.target, &prepared.secret_namespace);
        let ensured = secrets::ensure(&prepared.wants, &prepared.secret_namespace, &prepared.target, &have, look.now.as_second());
        let mut generate = ensured.generate.clone();
        for secret in &mut generate {
            // Selects it for this owner; it carries no tracking, so it is never pruned by us.
            secret.labels.insert(OWNER_LABEL.to_owned(), owner.label());
        }
        let mut facts = Facts::collect(look.observed, &prepared.exports);
        if let Some(word) = traffic_distribution(look.observed, &prepared.target) {
            facts.insert(TRAFFIC_DISTRIBUTION, word);
        }
        if let Some(seed) = &identity.seed {
            let seed = Owner::cluster(Kind::Seed, seed.clone());
            facts = facts.with(Scope::Seed, &Facts::collect(look.observed, &self.exports_of(&seed, look, memory)));
        }
        if owner.kind == Kind::Shoot {
            let names = static_manifests(look.observed, &prepared.target, manifest);
            facts.insert(STATIC_MANIFESTS, names.into());
        }
        let seed = if owner.kind == Kind::Seed { Some(&owner.name) } else { identity.seed.as_ref() };
        let wildcard = seed.map(|seed| self.wildcard(seed, look, &mut memory.certificates)).unwrap_or_default();
        if wildcard.known {
            facts.insert(WILDCARD_CERTIFICATE, wildcard.name.clone().into());
        }
        let trusted = seed.filter(|_| owner.kind == Kind::Shoot && wildcard.name.is_some());
        let trusted = trusted.map(|seed| trusted_host(&owner.project, &owner.name, self.ingress_domain(seed)));
        // Of a seed's certificate its operators are told, and not everybody who has a shoot there.
        let told = if owner.kind == Kind::Seed { wildcard.findings } else { Findings::default() };
        if owner.kind != Kind::Landscape {
            facts = facts.with(Scope::Garden, &Facts::collect(look.observed, &self.exports_of(&self.root, look, memory)));
        }
        if let Some(charts) = look.charts.filter(|_| owner.kind == Kind::Seed) {
            facts = facts.with_charts(Arc::clone(charts));
        }
        let charts = prepared.charts.clone();
        let none = Bodies::default();
        let inputs = render::Inputs {
            prepared: &prepared,
            library: look.library,
            ensured: Some(&ensured),
            facts: &facts,
            bodies: &none,
            digest_key: look.digest_key,
            offline: false,
        };
        let input = render::input(&inputs);
        let version = |secret: &SecretRef| {
            let key = ObjectKey::new("", secret.kind.name(), &secret.namespace, &secret.name);
            look.observed.get(&secret.target, &key).map(|o| o.resource_version.clone())
        };
        let again = [ensured.again, wildcard.again].into_iter().flatten().min();
        if let Some(kept) = memory.rendered.get(owner)
            && kept.input == input
            && kept.secrets.iter().all(|(secret, at)| version(secret) == *at)
        {
            let (releases, mut findings) = (kept.releases.clone(), kept.findings.clone());
            findings.extend(told);
            let needs = wildcard.unread;
            return Made { releases, needs, findings, generate, again, trusted, charts, ..Made::default() };
        }
        memory.renders += 1;
        let inputs = render::Inputs { bodies: look.bodies, ..inputs };
        let made = match memory.prepared.get(owner) {
            Some(ready) => render::render_again(&inputs, &mut ready.parts),
            None => render::render(&inputs),
        };
        let releases: Arc<Vec<Arc<Release>>> = Arc::new(made.releases.into_iter().map(Arc::new).collect());
        let mut needs = made.needs_bodies;
        needs.extend(wildcard.unread);
        if needs.is_empty() {
            let secrets = look.bodies.0.keys().map(|secret| (secret.clone(), version(secret))).collect();
            let kept = Kept { input, secrets, releases: releases.clone(), findings: made.findings.clone() };
            memory.rendered.insert(owner.clone(), kept);
        }
        let mut findings = made.findings;
        findings.extend(told);
        Made { releases, needs, findings, generate, again, missing: None, trusted, charts }
    }

    /// The manifests that an owner's context is made from.
    fn objects_for(&self, owner: &Owner, manifest: &Value, seed: Option<&str>) -> Objects {
        let mut objects: Objects = sources(self, owner, seed)
            .into_iter()
            .filter_map(|source| self.manifest(&source).map(|value| (source, value.clone())))
            .collect();
        objects.insert(owner.clone(), Arc::new(manifest.clone()));
        objects
    }

    /// Where the facts of another scope are found; as of that owner's latest look, or prepared now.
    fn exports_of(&self, owner: &Owner, look: &Look<'_>, memory: &Memory) -> Vec<Exported> {
        let Some(manifest) = self.manifest(owner) else { return Vec::new() };
        if let Some((known, exports)) = memory.exports.get(owner)
            && known == manifest
        {
            return exports.clone();
        }
        let live = look.observed.garden(owner).filter(|o| o.is_tracked());
        let identity = identity(owner, live.map(Arc::as_ref), look, &self.root.name);
        let objects = self.objects_for(owner, manifest, None);
        render::prepare(&objects, owner, &identity, look.library).ok().flatten().map(|p| p.exports).unwrap_or_default()
    }
}

/// The Secrets of a namespace, by name.
pub(super) fn secrets_in<'a>(observed: &'a Observed, target: &Target, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
    let live = observed.targets.get(target).into_iter();
    live.flat_map(move |live| live.named("", "Secret", namespace, "")).map(Arc::as_ref)
}

/// The Secrets of a namespace that the secrets manager's labels mark.
fn managed_secrets<'a>(observed: &'a Observed, target: &Target, namespace: &'a str) -> Vec<&'a Object> {
    let marked = |object: &&Object| object.labels.get("managed-by").is_some_and(|m| m == "secrets-manager");
    secrets_in(observed, target, namespace).filter(marked).collect()
}

/// The Secrets of a seed whose manifests are for a shoot. One whose selector cannot be read is for nobody.
fn static_manifests(observed: &Observed, target: &Target, shoot: &Value) -> Vec<String> {
    let none = json!({});
    let labels = shoot.pointer("/metadata/labels").unwrap_or(&none);
    let meant = |object: &&Object| match object.annotations.get(STATIC_MANIFEST_SELECTOR) {
        None => true,
        Some(text) => {
            serde_json::from_str::<Value>(text).is_ok_and(|selector| selects(&Node::root(&selector), &Node::root(labels)).is_ok())
        }
    };
    let there = secrets_in(observed, target, "garden").filter(|object| object.is_static_manifest() && !object.deleting);
    there.filter(meant).map(|object| object.key.name.clone()).collect()
}

/// Where the key for digests of secret content is, once it was made.
#[must_use]
pub fn digest_key_ref(observed: &Observed) -> Option<SecretRef> {
    let named = managed_secrets(observed, &Target::Garden, "garden")
        .into_iter()
        .filter(|s| s.labels.get("name").is_some_and(|n| n == secrets::DIGEST_KEY));
    let newest = named.max_by_key(|s| s.key.name.clone())?;
    Some(SecretRef::secret(Target::Garden, "garden", newest.key.name.clone()))
}
