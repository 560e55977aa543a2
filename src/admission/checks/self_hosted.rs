//! Shoots that host their own control plane in one of their pools.

use std::collections::BTreeSet;

use super::prelude::*;
use super::workers::{may_run_system, pools};

rules! {
    /// A shoot hosts its own control plane in one pool of one machine, in the project `garden`, without a seed, and never sleeps
    /// (V-177).
    ///
    /// The system's components run in the zones of that pool only.
    "SHOOT-OWN-CONTROL-PLANE", "the shoot cannot host its own control plane", Shoot, pool, size, shoot;
    /// Backups of such a control plane say where they go, with credentials from the shoot's own namespace (V-177).
    "SHOOT-OWN-BACKUP", "the backup of the control plane is incomplete", Shoot, backup, credentials;
    /// Such a control plane is exposed by DNS or by an extension (V-177).
    "SHOOT-OWN-EXPOSURE", "the control plane cannot be exposed like this", Shoot, exposure;
}

const GARDEN: &str = "garden";

fn hosts<'a>(cx: &Cx<'a>) -> Vec<Node<'a>> {
    pools(cx).into_iter().filter(|pool| pool.get("controlPlane").is_set()).collect()
}

fn pool(cx: &Cx<'_>, out: &mut Out) {
    let hosts = hosts(cx);
    for other in hosts.iter().skip(1) {
        out.invalid(&other.get("controlPlane"), "a second pool hosts the control plane").and(&hosts[0], "the first one");
    }
    let Some(host) = hosts.first() else { return };
    let own = zones_of(host);
    for other in pools(cx).iter().filter(|pool| !pool.get("controlPlane").is_set() && may_run_system(pool)) {
        let elsewhere = zones_of(other).difference(&own).copied().collect::<Vec<_>>();
        if !elsewhere.is_empty() {
            let name = other.get("name").str();
            out.invalid(&other.get("systemComponents"), format!("pool `{name}` runs system components in {}, where no control plane is", listed(elsewhere)))
                .and(host, "the pool of the control plane")
                .help("set `systemComponents: {allow: false}`, or choose zones of the control plane");
        }
    }
}

fn zones_of<'a>(pool: &Node<'a>) -> BTreeSet<&'a str> {
    pool.get("zones").items().iter().map(Node::str).collect()
}

fn size(cx: &Cx<'_>, out: &mut Out) {
    let block = cx.new.at("spec/controlPlane/highAvailability");
    let (available, tolerated) = (block.is_set(), block.at("failureTolerance/type").str());
    for pool in hosts(cx) {
        let (low, high) = (pool.get("minimum"), pool.get("maximum"));
        let (least, most) = (low.int().unwrap_or(0), high.int().unwrap_or(0));
        if least != most || least != 1 {
            out.invalid(&low, format!("from {least} to {most} machines would host the control plane")).help("exactly one");
        }
        let wanted = if available { 3 } else { 1 };
        if most != wanted {
            out.invalid(&high, format!("at most {most} machines would host the control plane")).help(format!("exactly {wanted}"));
        }
        if !available {
            continue;
        }
        for what in ["maxSurge", "maxUnavailable"] {
            let node = pool.get(what);
            if node.int() != Some(1) {
                out.invalid(&node, "machines of a highly available control plane are replaced one by one").help(format!("`{what}: 1`"));
            }
        }
        let zones = pool.get("zones");
        if tolerated == "zone" && zones.items().len() != 3 {
            out.invalid(&zones, format!("the control plane is in {} zones", zones.items().len())).help("exactly 3");
        }
    }
}

fn shoot(cx: &Cx<'_>, out: &mut Out) {
    let hosts = hosts(cx);
    let Some(host) = hosts.first() else { return };
    let (seed, hibernation) = (cx.new.at("spec/seedName"), cx.new.at("spec/hibernation"));
    if cx.namespace() != GARDEN {
        out.invalid(&cx.new.at("metadata/namespace"), "only shoots of the project `garden` host their own control plane")
            .and(host, "this pool hosts it");
    }
    if seed.is_set() {
        out.invalid(&seed, "a shoot that hosts its own control plane has no seed").and(host, "this pool hosts it").help("remove it");
    }
    if hibernation.is_set() {
        out.forbidden(&hibernation, "a shoot that hosts its own control plane cannot sleep")
            .on_key()
            .and(host, "this pool hosts it")
            .help("remove it");
    }
}

fn backup(cx: &Cx<'_>, out: &mut Out) {
    for backup in hosts(cx).iter().map(|pool| pool.at("controlPlane/backup")).filter(Node::is_set) {
        let (provider, region) = (backup.get("provider"), backup.get("region"));
        if provider.is_empty() {
            out.required(&provider, "the provider of the backup is missing");
        }
        if provider.str() != cx.new.at("spec/provider/type").str() && region.is_empty() {
            out.required(&region, "a backup at another provider names its region");
        }
    }
}

fn credentials(cx: &Cx<'_>, out: &mut Out) {
    for backup in hosts(cx).iter().map(|pool| pool.at("controlPlane/backup")).filter(Node::is_set) {
        let reference = backup.get("credentialsRef");
        if !reference.is_set() {
            out.required(&reference, "the credentials of the backup are missing").help("name a `Secret` of `v1`");
            continue;
        }
        for what in ["apiVersion", "kind", "name", "namespace"] {
            if reference.get(what).is_empty() {
                out.required(&reference.get(what), format!("the {what} of the credentials is missing"));
            }
        }
        for what in ["name", "namespace"] {
            let node = reference.get(what);
            if let Err(why) = syntax::subdomain(node.str()) {
                out.invalid(&node, format!("{} is no {what}: {why}", node.shown()));
            }
        }
        if reference.get("namespace").str() != cx.namespace() {
            out.forbidden(&reference.get("namespace"), "the credentials are in another namespace than the shoot")
                .help(format!("`namespace: {}`", cx.namespace()));
        }
        match (reference.get("apiVersion").str(), reference.get("kind").str()) {
            ("v1", "Secret") => {}
            ("security.gardener.cloud/v1alpha1", "WorkloadIdentity") => {
                out.forbidden(&reference, "backups cannot use a WorkloadIdentity yet").help("name a `Secret` of `v1`");
            }
            (version, kind) => {
                out.not_supported(&reference, format!("credentials cannot be `{kind}` of `{version}`")).help("name a `Secret` of `v1`");
            }
        }
    }
}

fn exposure(cx: &Cx<'_>, out: &mut Out) {
    for exposure in hosts(cx).iter().map(|pool| pool.at("controlPlane/exposure")) {
        let (dns, extension) = (exposure.get("dns"), exposure.get("extension"));
        if dns.is_set() && extension.is_set() {
            out.invalid(&exposure, "the control plane is exposed in two ways").help("keep `dns` or `extension`");
        }
        let kind = extension.get("type");
        let field = format!("{}.type", exposure.field());
        // Without a type, it is the provider's.
        if !kind.is_set() {
            continue;
        }
        if kind.is_empty() {
            out.required(&kind, "the type of the extension is missing").field(field);
        } else if let Err(why) = syntax::label(kind.str()) {
            out.invalid(&kind, format!("{} is no type of an extension: {why}", kind.shown())).field(field);
        }
    }
}
