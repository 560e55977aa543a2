//! Seeds in use: what their shoots depend on stays, and what they refer to is there.

use super::prelude::*;
use crate::observed::project_of;

rules! {
    /// Zones stay in a seed for as long as it has shoots (V-376).
    "SEED-ZONE-IN-USE", "a zone of a seed in use is removed", Seed, zones as Plugin("SeedValidator");
    /// The internal domain of a seed stays for as long as it has shoots, and a default domain for as long as a shoot is below it (V-376).
    "SEED-DOMAIN-IN-USE", "a domain of a seed in use is removed", Seed, domains as Plugin("SeedValidator");
    /// A WorkloadIdentity for backups is for the provider of the backups (V-376).
    "SEED-BACKUP-IDENTITY", "the credentials for backups are for another provider", Seed, identity as Plugin("SeedValidator");
    /// Secrets, ConfigMaps and workload identities that a seed refers to exist in the namespace `garden` (V-371, V-376).
    ///
    /// Secrets and ConfigMaps are in no landscape; where they cannot be seen, they are taken for granted.
    "SEED-REFERENCE", "something that the seed refers to does not exist", Seed, references as Plugin("ResourceReferenceManager");
    /// Every kind of resource that a seed needs is some registration's, for the type that it names (V-368).
    ///
    /// A landscape without any registrations does without extensions, and is not asked.
    "SEED-EXTENSION-UNKNOWN", "nobody is responsible for a type", Seed, known as Plugin("ExtensionValidator");
}

/// The shoots on the seed.
fn shoots<'a>(cx: &Cx<'a>) -> Vec<(&'a Owner, Node<'a>)> {
    let own = cx.owner.name.as_str();
    let on = |shoot: &Node<'_>| [shoot.at("spec/seedName"), shoot.at("status/seedName")].iter().any(|name| name.str() == own);
    cx.others(Kind::Shoot).map(|(owner, manifest)| (owner, Node::root(manifest))).filter(|(_, shoot)| on(shoot)).collect()
}

/// The first few shoots of a list, for messages.
fn named<'a>(shoots: impl IntoIterator<Item = &'a (&'a Owner, Node<'a>)>) -> String {
    listed(shoots.into_iter().map(|(owner, _)| owner.to_string()))
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let (node, before) = (cx.new.at("spec/provider/zones"), cx.before("spec/provider/zones").items());
    let kept = node.items();
    let gone: Vec<&str> = before.iter().filter(|zone| !kept.iter().any(|k| k.same(zone))).map(Node::str).collect();
    if gone.is_empty() {
        return;
    }
    let users = shoots(cx);
    if !users.is_empty() {
        out.refused(&node, format!("{} cannot be removed: the seed is used by {}", listed(gone), named(&users)))
            .help("put it back, or move the shoots first");
    }
}

fn domains(cx: &Cx<'_>, out: &mut Out) {
    let (internal, was) = (cx.new.at("spec/dns/internal/domain"), cx.before("spec/dns/internal/domain"));
    let (defaults, before) = (cx.new.at("spec/dns/defaults"), cx.before("spec/dns/defaults").items());
    let kept = defaults.items();
    let gone = before.iter().map(|d| d.get("domain")).filter(|d| !kept.iter().any(|k| k.get("domain").same(d)));
    let gone: Vec<&str> = gone.map(|d| d.str()).collect();
    let moved = !was.is_empty() && !internal.same(&was);
    if gone.is_empty() && !moved {
        return;
    }
    let users = shoots(cx);
    if moved && !users.is_empty() {
        out.refused(&internal, format!("the internal domain cannot change from {} to {}: the seed is used by {}", was.shown(), internal.shown(), named(&users)))
            .help(format!("go back to {}", was.shown()));
    }
    for domain in gone {
        let below = format!(".{domain}");
        let users: Vec<_> = users.iter().filter(|(_, shoot)| shoot.at("spec/dns/domain").str().ends_with(&below)).collect();
        if !users.is_empty() {
            out.refused(&defaults, format!("the default domain `{domain}` cannot be removed: it is used by {}", named(users))).help("put it back");
        }
    }
}

const IDENTITY: (&str, &str) = ("security.gardener.cloud/v1alpha1", "WorkloadIdentity");

/// What a reference is to: version and kind.
fn what<'a>(reference: &Node<'a>) -> (&'a str, &'a str) {
    (reference.get("apiVersion").str(), reference.get("kind").str())
}

/// A WorkloadIdentity by its namespace and name.
fn identity_of(namespace: &str, name: &Node<'_>) -> Owner {
    Owner::project(Kind::WorkloadIdentity, project_of(namespace).unwrap_or(namespace), name.str())
}

fn identity(cx: &Cx<'_>, out: &mut Out) {
    let backup = cx.new.at("spec/backup");
    let reference = backup.get("credentialsRef");
    if what(&reference) != IDENTITY {
        return;
    }
    let owner = identity_of(reference.get("namespace").str(), &reference.get("name"));
    let Some(theirs) = cx.ahead(&owner).map(|identity| identity.at("spec/targetSystem/type")) else { return };
    let provider = backup.get("provider");
    if !theirs.same(&provider) {
        out.refused(&reference.get("name"), format!("{owner} is for {}, the backups are for {}", theirs.shown(), provider.shown()))
            .and(&provider, "the provider")
            .help(format!("name a WorkloadIdentity for {}", provider.shown()));
    }
}

fn references(cx: &Cx<'_>, out: &mut Out) {
    let resources = cx.new.at("spec/resources").items();
    let mut all: Vec<(&str, Node<'_>)> = resources.iter().map(|r| ("garden", r.get("resourceRef"))).collect();
    let backup = cx.new.at("spec/backup/credentialsRef");
    all.push((backup.get("namespace").text().unwrap_or("garden"), backup.clone()));
    for (namespace, reference) in all {
        let name = reference.get("name");
        let missing = match what(&reference) {
            IDENTITY => cx.ahead(&identity_of(namespace, &name)).is_none(),
            ("v1", kind @ ("Secret" | "ConfigMap")) => matches!(cx.foreign(kind, namespace, name.str()), Elsewhere::Missing),
            _ => false,
        };
        if missing && !name.is_empty() {
            let kind = reference.get("kind").str();
            out.refused(&name, format!("there is no {kind} {} in namespace `{namespace}`", name.shown())).help("make it, or name another");
        }
    }
}

fn known(cx: &Cx<'_>, out: &mut Out) {
    let Some(registered) = cx.registered().filter(|_| !cx.new.get("spec").same(&cx.before("spec"))) else { return };
    let spec = cx.new.get("spec");
    let mut needed = vec![("ControlPlane", spec.at("provider/type")), ("DNSRecord", spec.at("dns/provider/type"))];
    needed.push(("DNSRecord", spec.at("dns/internal/type")));
    needed.extend(spec.at("dns/defaults").items().iter().map(|d| ("DNSRecord", d.get("type"))));
    for kind in ["BackupBucket", "BackupEntry"] {
        needed.push((kind, spec.at("backup/provider")));
    }
    for (kind, node) in needed {
        if !node.is_empty() && !registered.get(&format!("{kind}/{}", node.str())).is_set() {
            out.refused(&node, format!("no extension is responsible for {kind} of type {}", node.shown()))
                .help(format!("there are {}", super::plugin_extensions::types(&registered, kind)));
        }
    }
    for extension in spec.get("extensions").items() {
        let node = extension.get("type");
        let key = format!("Extension/{}", node.str());
        let entry = registered.get(&key);
        let compatible = entry.get("clusterCompatibility").items();
        if !node.is_empty() && !compatible.iter().any(|kind| kind.str() == "seed") {
            out.refused(&node, format!("no extension of type {} is for seeds", node.shown()))
                .help(format!("there are {}", super::plugin_extensions::types(&registered, "Extension")));
        }
    }
}
