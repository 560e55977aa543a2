//! What is decided for a shoot once, stays: its seed, its networks, its domain. And the defaults that need the seed.

use serde_json::Value;

use super::super::check::Cx;
use super::super::node::{Node, fill, list, put};
use crate::digest;
use crate::landscape::{Kind, Owner};

/// Takes over what was decided when the shoot was accepted before and Git says nothing about, then what its seed defaults.
pub(super) fn carry(cx: &Cx<'_>, shoot: &mut Value) {
    for path in ["spec/seedName", "spec/networking/nodes", "spec/networking/pods", "spec/networking/services", "spec/dns/domain"]
    {
        if let Some(decided) = cx.before(path).value() {
            fill(shoot, path, decided.clone());
        }
    }
    let seed = Node::root(shoot).at("spec/seedName").str().to_owned();
    if seed.is_empty() {
        return;
    }
    let landscape = cx.object(&Owner::cluster(Kind::Landscape, cx.landscape())).manifest();
    let Some(manifest) = cx.object(&Owner::cluster(Kind::Seed, &seed)).manifest() else { return };
    for_seed(shoot, cx.owner, manifest, landscape);
    let domains = default_domains(cx, &seed);
    assign(shoot, cx.owner, domains.first());
    primary(shoot, &domains);
}

/// The first of a shoot's DNS providers is primary, where the shoot has a domain of its own and no other is.
fn primary(shoot: &mut Value, defaults: &[String]) {
    let root = Node::root(shoot);
    let (domain, providers) = (root.at("spec/dns/domain"), root.at("spec/dns/providers").items());
    let ours = domain.text().is_some_and(|domain| defaults.iter().any(|base| domain.ends_with(&format!(".{base}"))));
    let has = providers.iter().any(|provider| provider.get("primary").flag() == Some(true));
    if domain.is_set()
        && !ours
        && !has
        && let Some(first) = list(shoot, "spec/dns/providers").first_mut()
    {
        put(first, "primary", true);
    }
}

/// The domains below which shoots get theirs, the preferred one first: those of the seed, else those of the landscape and
/// those that Secrets in the garden describe.
pub(in crate::admission) fn default_domains(cx: &Cx<'_>, seed: &str) -> Vec<String> {
    let seed = if seed.is_empty() { None } else { cx.object(&Owner::cluster(Kind::Seed, seed)).manifest() };
    let defaults = seed.map(|seed| Node::root(seed).at("spec/dns/defaults").items()).unwrap_or_default();
    if !defaults.is_empty() {
        return defaults.iter().filter_map(|d| d.get("domain").text()).map(str::to_owned).collect();
    }
    let landscape = cx.object(&Owner::cluster(Kind::Landscape, cx.landscape())).manifest();
    let shared = landscape.and_then(|l| Node::root(l).at("spec/domains/default").text()).filter(|d| !d.is_empty());
    let mut described: Vec<(i64, &str)> = cx
        .foreigners("Secret", "garden")
        .filter(|secret| secret.at("metadata/labels").get("gardener.cloud/role").str() == "default-domain")
        .filter_map(|secret| {
            let annotations = secret.at("metadata/annotations");
            let priority = annotations.get("dns.gardener.cloud/domain-default-priority").str().parse().unwrap_or(0);
            Some((priority, annotations.get("dns.gardener.cloud/domain").text()?))
        })
        .collect();
    described.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    shared.into_iter().chain(described.into_iter().map(|(_, domain)| domain)).map(str::to_owned).collect()
}

/// Fills in what follows from the seed: network ranges of the shoot's address families, and its domain.
pub(in crate::admission) fn for_seed(shoot: &mut Value, owner: &Owner, seed: &Value, landscape: Option<&Value>) {
    let root = Node::root(shoot);
    let workers = !root.at("spec/provider/workers").is_empty();
    let families: Vec<String> = root.at("spec/networking/ipFamilies").items().iter().map(|f| f.str().to_owned()).collect();
    let defaults = Node::root(seed).at("spec/networks/shootDefaults");
    let of_family = |cidr: &str| families.iter().any(|f| (f == "IPv6") == cidr.contains(':'));
    for (what, wanted) in [("pods", workers), ("services", true)] {
        if let (true, Some(cidr)) = (wanted, defaults.get(what).text().filter(|c| of_family(c))) {
            fill(shoot, &format!("spec/networking/{what}"), cidr);
        }
    }
    if !workers && families == ["IPv6"] {
        fill(shoot, "spec/networking/services", local_range(owner));
    }
    let domains = known_domains(seed, landscape);
    assign(shoot, owner, domains.first());
    primary(shoot, &domains);
}

/// The default domains that seed and landscape name: those of the seed, else the landscape's.
fn known_domains(seed: &Value, landscape: Option<&Value>) -> Vec<String> {
    let own = Node::root(seed).at("spec/dns/defaults").items();
    let own: Vec<String> = own.iter().filter_map(|d| d.get("domain").text()).map(str::to_owned).collect();
    if own.is_empty() { default_domain(seed, landscape).into_iter().collect() } else { own }
}

/// A unique local range for services that follows from the identity; Gardener draws one.
fn local_range(owner: &Owner) -> String {
    let digest = digest::of_bytes(format!("services of {owner}").as_bytes());
    let hex = digest.as_str();
    format!("fd{}:{}:{}::/112", &hex[0..2], &hex[2..6], &hex[6..10])
}

/// The domain below a default one, unless somebody else manages DNS.
fn assign(shoot: &mut Value, owner: &Owner, base: Option<&String>) {
    let root = Node::root(shoot);
    let unmanaged = root.at("spec/dns/providers").items().iter().any(|p| p.get("type").str() == "unmanaged");
    if let Some(base) = base.filter(|_| !unmanaged && !root.at("spec/dns/domain").is_set()) {
        put(shoot, "spec/dns/domain", format!("{}.{}.{base}", owner.name, owner.project));
    }
}

/// The domain under which shoots on a seed get theirs: the seed's first default, else the landscape's.
pub(in crate::admission) fn default_domain(seed: &Value, landscape: Option<&Value>) -> Option<String> {
    let first = Node::root(seed).at("spec/dns/defaults").items().first().and_then(|d| d.get("domain").text()).map(str::to_owned);
    let shared = landscape.and_then(|l| Node::root(l).at("spec/domains/default").text()).map(str::to_owned);
    first.or(shared).filter(|d| !d.is_empty())
}
