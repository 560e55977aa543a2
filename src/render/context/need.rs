//! The kinds and types of the extension objects that shoots and seeds need (`extension-contract.md` §4).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Sources, extension, list, network, text};
use crate::landscape::{Kind, Owner};
use crate::schedule::extensions::Need;

/// What a shoot needs on a seed. `sources` are to have the shoot, its seed, the landscape and all registrations.
#[must_use]
pub fn of_shoot(sources: &Sources<'_>, seed: &str) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    let nothing = Value::Null;
    let shoot = sources.get(sources.owner).unwrap_or(&nothing);
    let seed = sources.get(&Owner::cluster(Kind::Seed, seed)).unwrap_or(&nothing);
    let mut add = |kind: &str, of_type: &str| {
        if !of_type.is_empty() {
            needs.insert(Need::new(kind, of_type));
        }
    };
    for kind in ["BackupBucket", "BackupEntry"] {
        add(kind, text(seed, "/spec/backup/provider"));
    }
    let domains = network::domains(shoot, seed, &sources.landscape(), &sources.owner.project, &sources.owner.name);
    for which in ["/internalProvider/provider", "/externalProvider/provider"] {
        add("DNSRecord", text(&domains, which));
    }
    for of_type in extension::on(shoot, sources).keys() {
        add("Extension", of_type);
    }
    let pools = list(shoot, "/spec/provider/workers");
    if !pools.is_empty() {
        add("ControlPlane", text(seed, "/spec/provider/type"));
        for kind in ["ControlPlane", "Infrastructure", "Worker"] {
            add(kind, text(shoot, "/spec/provider/type"));
        }
        add("Network", text(shoot, "/spec/networking/type"));
    }
    for pool in pools {
        add("OperatingSystemConfig", text(pool, "/machine/image/name"));
        for runtime in list(pool, "/cri/containerRuntimes") {
            add("ContainerRuntime", text(runtime, "/type"));
        }
    }
    needs
}

/// What a seed needs for itself.
#[must_use]
pub fn of_seed<'v>(seed: &'v Value, registrations: impl IntoIterator<Item = &'v Value>) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    let mut add = |kind: &str, of_type: &str| {
        if !of_type.is_empty() {
            needs.insert(Need::new(kind, of_type));
        }
    };
    add("BackupBucket", text(seed, "/spec/backup/provider"));
    add("DNSRecord", text(seed, "/spec/dns/provider/type"));
    for kind in ["ControlPlane", "Infrastructure", "Worker"] {
        add(kind, text(seed, "/spec/provider/type"));
    }
    for of_type in extension::of_seed(seed, registrations).into_keys() {
        add("Extension", of_type);
    }
    needs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::render::context::Identity;

    fn words(needs: &BTreeSet<Need>) -> Vec<String> {
        needs.iter().map(ToString::to_string).collect()
    }

    fn shoot(spec: Value) -> Vec<String> {
        let owner = Owner::project(Kind::Shoot, "a", "one");
        let objects: BTreeMap<Owner, Arc<Value>> = [
            (owner.clone(), json!({"metadata": {"name": "one"}, "spec": spec})),
            (
                Owner::cluster(Kind::Seed, "s"),
                json!({"spec": {"provider": {"type": "aws"}, "backup": {"provider": "aws"},
                    "dns": {"internal": {"domain": "internal.example.org", "type": "aws-route53"}}}}),
            ),
            (
                Owner::cluster(Kind::ControllerRegistration, "certs"),
                json!({"spec": {"resources": [{"kind": "Extension", "type": "certs", "autoEnable": ["shoot", "seed"]}]}}),
            ),
        ]
        .into_iter()
        .map(|(owner, value)| (owner, Arc::new(value)))
        .collect();
        let sources = Sources { objects: &objects, owner: &owner, identity: &Identity::default() };
        words(&of_shoot(&sources, "s"))
    }

    #[test]
    fn a_shoot_needs_what_it_is_made_of_on_its_seed() {
        let spec = json!({
            "provider": {"type": "gcp", "workers": [{"machine": {"image": {"name": "gardenlinux"}}, "cri": {"containerRuntimes": [{"type": "gvisor"}]}}]},
            "networking": {"type": "calico"},
            "dns": {"domain": "one.example.org", "providers": [{"type": "google-clouddns", "primary": true}, {"type": "other"}]},
        });
        assert_eq!(
            shoot(spec),
            [
                "BackupBucket/aws",
                "BackupEntry/aws",
                "ContainerRuntime/gvisor",
                "ControlPlane/aws",
                "ControlPlane/gcp",
                "DNSRecord/aws-route53",
                "DNSRecord/google-clouddns",
                "Extension/certs",
                "Infrastructure/gcp",
                "Network/calico",
                "OperatingSystemConfig/gardenlinux",
                "Worker/gcp",
            ]
        );
    }

    #[test]
    fn a_shoot_without_workers_needs_no_provider_and_no_network() {
        let spec = json!({"provider": {"type": "gcp"}, "networking": {"type": "calico"}, "extensions": [{"type": "more"}]});
        assert_eq!(shoot(spec), ["BackupBucket/aws", "BackupEntry/aws", "DNSRecord/aws-route53", "Extension/more"]);
    }

    #[test]
    fn a_seed_needs_what_runs_on_it_for_its_own_sake() {
        let registration = json!({"spec": {"resources": [{"kind": "Extension", "type": "certs", "autoEnable": ["seed"]},
            {"kind": "Extension", "type": "off", "autoEnable": ["seed"]}]}});
        let seed = json!({"spec": {"provider": {"type": "aws"}, "dns": {"provider": {"type": "aws-route53"}},
            "extensions": [{"type": "off", "disabled": true}, {"type": "more"}]}});
        assert_eq!(
            words(&of_seed(&seed, [&registration])),
            [
                "ControlPlane/aws",
                "DNSRecord/aws-route53",
                "Extension/certs",
                "Extension/more",
                "Infrastructure/aws",
                "Worker/aws"
            ]
        );
    }
}
