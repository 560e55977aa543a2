//! Which wanted secrets exist, which are to be made now, and which have had their time.
//!
//! Nothing is made from anything that does not exist yet: a certificate follows only once its authority was read back.

use std::collections::{BTreeMap, BTreeSet};

use super::name::{self, Generation};
use super::{Generate, Names, Recipe, Wanted};
use crate::digest;
use crate::landscape::Target;
use crate::observed::Object;

/// A certificate is renewed when this part of its validity is over …
const RENEW_PERCENT: i64 = 80;
/// … or when less than this is left: ten days, so that a whole week of failures can be noticed and mended.
const RENEW_BEFORE: i64 = 10 * 24 * 60 * 60;

/// What exists and what is missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ensured {
    /// The objects to use, by configuration name. One that is not in here does not exist yet.
    pub names: BTreeMap<String, Names>,
    /// What to make now.
    pub generate: Vec<Generate>,
    /// When the next renewal is due, in seconds since the epoch.
    pub again: Option<i64>,
    /// Managed secrets that nothing wants any more, for cleaning up.
    pub unwanted: Vec<String>,
}

/// Compares what is wanted with what is there. The order of neither matters.
#[must_use]
pub fn ensure(wanted: &[Wanted], namespace: &str, target: &Target, have: &[&Object], now: i64) -> Ensured {
    let mut there: Vec<Existing<'_>> = have.iter().filter_map(|object| existing(object, namespace)).collect();
    there.sort_by(|a, b| b.age().cmp(&a.age()));
    let by_config: BTreeMap<&str, &Wanted> = wanted.iter().map(|w| (w.config.as_str(), w)).collect();
    let mut ensured = Ensured::default();
    let mut chosen: BTreeMap<String, Chosen<'_>> = BTreeMap::new();
    for wanted in in_order(&by_config) {
        let Some(sources) = sources(wanted, &chosen) else {
            // What it is made from is missing. What exists of it serves on meanwhile.
            if let Some(stale) = there.iter().find(|e| e.config == wanted.config) {
                choose(wanted, stale, None, &mut ensured, &mut chosen);
            }
            continue;
        };
        let generation = sources.generation(wanted);
        let of_config = || there.iter().filter(|e| e.config == wanted.config);
        let mut fitting = of_config().filter(|e| is_timeless(&wanted.recipe) || e.fits(&generation));
        let current = fitting.next();
        let old = fitting.next().filter(|_| wanted.keep_old);
        let due = current.and_then(|c| c.renewal(&wanted.recipe));
        match (current, due) {
            (Some(current), Some(due)) if due <= now => {
                // The moment it became due, not the moment it was noticed: two passes give one name.
                let renewed = Generation { rotated: Some(due), ..generation };
                ensured.generate.push(generate(
                    wanted,
                    &renewed,
                    &sources,
                    namespace,
                    target,
                    "its certificate is to be renewed",
                ));
                choose(wanted, current, old, &mut ensured, &mut chosen);
            }
            (Some(current), due) => {
                ensured.again = [ensured.again, due].into_iter().flatten().min();
                choose(wanted, current, old, &mut ensured, &mut chosen);
            }
            (None, _) => {
                let stale = of_config().next();
                let reason = if stale.is_some() { "what it is made by or from has changed" } else { "it does not exist" };
                ensured.generate.push(generate(wanted, &generation, &sources, namespace, target, reason));
                if let Some(stale) = stale {
                    choose(wanted, stale, None, &mut ensured, &mut chosen);
                }
            }
        }
    }
    let used: BTreeSet<&str> =
        ensured.names.values().flat_map(|n| [Some(n.current.as_str()), n.old.as_deref()]).flatten().collect();
    ensured.unwanted = there.iter().map(|e| e.object.key.name.clone()).filter(|name| !used.contains(name.as_str())).collect();
    ensured.unwanted.sort();
    ensured
}

/// A managed secret that is there.
#[derive(Clone, Copy)]
struct Existing<'a> {
    object: &'a Object,
    config: &'a str,
    issued: i64,
    rotated: Option<i64>,
}

fn existing<'a>(object: &'a &Object, namespace: &str) -> Option<Existing<'a>> {
    let label = |key: &str| object.labels.get(key).map(String::as_str);
    let managed = object.key.group.is_empty()
        && object.key.kind == "Secret"
        && object.key.namespace == namespace
        && !object.deleting
        && label(name::MANAGED_BY) == Some(name::MANAGER);
    let number = |key: &str| label(key).and_then(|v| v.parse().ok());
    managed.then_some(Existing {
        object,
        config: label(name::NAME)?,
        issued: number(name::ISSUED).unwrap_or_default(),
        rotated: number(name::ROTATED),
    })
}

impl Existing<'_> {
    /// Newest last; names decide between equals, so that the order of listing never does.
    fn age(&self) -> (i64, i64, &str) {
        (self.rotated.unwrap_or_default(), self.issued, &self.object.key.name)
    }

    fn label(&self, key: &str) -> &str {
        self.object.labels.get(key).map_or("", String::as_str)
    }

    fn fits(&self, generation: &Generation) -> bool {
        self.label(name::CONFIG_CHECKSUM) == generation.config && self.label(name::AUTHORITY_CHECKSUM) == generation.authority
    }

    /// When it is to be renewed, for those that expire and are not authorities.
    fn renewal(&self, recipe: &Recipe) -> Option<i64> {
        if !matches!(recipe, Recipe::Certificate { .. } | Recipe::ClientKubeconfig { .. }) {
            return None;
        }
        let until: i64 = self.label(name::VALID_UNTIL).parse().ok()?;
        let percent = self.label(name::RENEW_PERCENT).parse().ok().filter(|p| (1..=100).contains(p)).unwrap_or(RENEW_PERCENT);
        let validity = until.saturating_sub(self.issued).max(0);
        let after = self.issued + validity / 100 * percent;
        // A certificate of a few days would be due as soon as it is made.
        Some(if validity > 2 * RENEW_BEFORE { after.min(until - RENEW_BEFORE) } else { after })
    }
}

/// Authorities, keys and tokens are what they are: a new way of describing them is no reason to replace them.
fn is_timeless(recipe: &Recipe) -> bool {
    match recipe {
        Recipe::Authority { .. }
        | Recipe::SigningKey
        | Recipe::EncryptionKey
        | Recipe::StaticToken
        | Recipe::SshKeyPair
        | Recipe::BasicAuth { .. }
        | Recipe::VpnAuth
        | Recipe::RandomKey => true,
        Recipe::Bundle { .. }
        | Recipe::Certificate { .. }
        | Recipe::EncryptionConfiguration { .. }
        | Recipe::Kubeconfig { .. }
        | Recipe::ClientKubeconfig { .. } => false,
    }
}

/// The objects in use for one configuration.
struct Chosen<'a> {
    current: &'a Object,
    old: Option<&'a Object>,
}

fn choose<'a>(
    wanted: &Wanted,
    current: &Existing<'a>,
    old: Option<&Existing<'a>>,
    ensured: &mut Ensured,
    chosen: &mut BTreeMap<String, Chosen<'a>>,
) {
    let identity = format!("{}/{}", current.object.key.name, current.object.uid);
    ensured.names.insert(
        wanted.config.clone(),
        Names {
            current: current.object.key.name.clone(),
            old: old.map(|o| o.object.key.name.clone()),
            checksum: digest::of_bytes(identity.as_bytes()).0,
            public: matches!(&wanted.recipe, Recipe::Bundle { of } if of.starts_with("ca")),
        },
    );
    chosen.insert(wanted.config.clone(), Chosen { current: current.object, old: old.map(|o| o.object) });
}

/// What a secret is made from.
struct Sources<'a> {
    signer: Option<&'a Object>,
    /// Objects that go into the content, by the key under which the recipe reads them.
    reads: BTreeMap<String, &'a Object>,
}

impl Sources<'_> {
    fn generation(&self, wanted: &Wanted) -> Generation {
        let signer = self.signer.map(|s| s.uid.as_str());
        let made_from: Vec<&str> = self.reads.values().map(|o| o.uid.as_str()).filter(|uid| Some(*uid) != signer).collect();
        Generation {
            config: name::config_checksum(wanted, &made_from),
            authority: signer.map(name::authority_checksum).unwrap_or_default(),
            rotated: None,
        }
    }
}

/// Servers whose certificates follow the authority at once: their clients are restarted with them.
const CURRENT_AUTHORITY: [&str; 3] = ["etcd-peer-server-main", "etcd-peer-server-events", "gardener-resource-manager-server"];

/// The sources of a recipe, or `None` while one of them does not exist.
fn sources<'a>(wanted: &Wanted, chosen: &BTreeMap<String, Chosen<'a>>) -> Option<Sources<'a>> {
    let mut reads = BTreeMap::new();
    let mut signer = None;
    match &wanted.recipe {
        Recipe::Bundle { of } => {
            let of_chosen = chosen.get(of)?;
            reads.insert(of.clone(), of_chosen.current);
            if let Some(old) = of_chosen.old {
                reads.insert(old_key(of), old);
            }
        }
        Recipe::Certificate { authority, server, .. } => {
            let authority_chosen = chosen.get(authority)?;
            // While an authority is being replaced, clients may trust only the old one yet.
            let lag = *server && !CURRENT_AUTHORITY.contains(&wanted.config.as_str());
            let by = authority_chosen.old.filter(|_| lag).unwrap_or(authority_chosen.current);
            reads.insert(authority.clone(), by);
            signer = Some(by);
        }
        Recipe::EncryptionConfiguration { .. } => {
            let key = chosen.get(super::wanted::ENCRYPTION_KEY)?;
            reads.insert(super::wanted::ENCRYPTION_KEY.to_owned(), key.current);
            if let Some(old) = key.old {
                reads.insert(old_key(super::wanted::ENCRYPTION_KEY), old);
            }
        }
        Recipe::Kubeconfig { authority, .. } => {
            reads.insert(authority.clone(), chosen.get(&bundle(authority))?.current);
        }
        Recipe::ClientKubeconfig { server_authority, authority, .. } => {
            reads.insert(server_authority.clone(), chosen.get(&bundle(server_authority))?.current);
            let by = chosen.get(authority)?.current;
            reads.insert(authority.clone(), by);
            signer = Some(by);
        }
        Recipe::Authority { .. }
        | Recipe::SigningKey
        | Recipe::EncryptionKey
        | Recipe::StaticToken
        | Recipe::SshKeyPair
        | Recipe::BasicAuth { .. }
        | Recipe::VpnAuth
        | Recipe::RandomKey => {}
    }
    Some(Sources { signer, reads })
}

/// The configuration names that a recipe is made from.
pub(super) fn needs(recipe: &Recipe) -> Vec<String> {
    match recipe {
        Recipe::Bundle { of } => vec![of.clone()],
        Recipe::Certificate { authority, .. } => vec![authority.clone()],
        Recipe::EncryptionConfiguration { .. } => vec![super::wanted::ENCRYPTION_KEY.to_owned()],
        Recipe::Kubeconfig { authority, .. } => vec![bundle(authority)],
        Recipe::ClientKubeconfig { server_authority, authority, .. } => vec![bundle(server_authority), authority.clone()],
        Recipe::Authority { .. }
        | Recipe::SigningKey
        | Recipe::EncryptionKey
        | Recipe::StaticToken
        | Recipe::SshKeyPair
        | Recipe::BasicAuth { .. }
        | Recipe::VpnAuth
        | Recipe::RandomKey => Vec::new(),
    }
}

fn bundle(authority: &str) -> String {
    format!("{authority}-bundle")
}

/// The key of [`Generate::reads`] for the older of two generations.
fn old_key(config: &str) -> String {
    format!("{config}.old")
}

/// Each after what it is made from, otherwise by name.
fn in_order<'w>(by_config: &BTreeMap<&str, &'w Wanted>) -> Vec<&'w Wanted> {
    fn visit<'w>(
        wanted: &'w Wanted,
        by_config: &BTreeMap<&str, &'w Wanted>,
        seen: &mut BTreeSet<&'w str>,
        out: &mut Vec<&'w Wanted>,
    ) {
        if !seen.insert(&wanted.config) {
            return;
        }
        for need in needs(&wanted.recipe) {
            if let Some(need) = by_config.get(need.as_str()) {
                visit(need, by_config, seen, out);
            }
        }
        out.push(wanted);
    }
    let (mut seen, mut out) = (BTreeSet::new(), Vec::new());
    for wanted in by_config.values() {
        visit(wanted, by_config, &mut seen, &mut out);
    }
    out
}

fn generate(
    wanted: &Wanted,
    generation: &Generation,
    sources: &Sources<'_>,
    namespace: &str,
    target: &Target,
    reason: &str,
) -> Generate {
    Generate {
        target: target.clone(),
        namespace: namespace.to_owned(),
        name: name::of(wanted, generation),
        wanted: wanted.clone(),
        labels: name::labels(wanted, generation),
        reads: sources.reads.iter().map(|(key, object)| (key.clone(), object.key.name.clone())).collect(),
        reason: reason.to_owned(),
    }
}
