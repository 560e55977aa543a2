//! The configuration of a managed seed's agent, apart from the seed that it makes.

use super::prelude::*;
use crate::admission::shared;
use crate::value::Quantity;

rules! {
    /// Numbers and durations in an agent's configuration are not negative, and within their bounds.
    "AGENT-NUMBER", "a number in an agent's configuration is not usable", ManagedSeed, numbers, validity, records;
    /// The agent writes its log in a known format, from a known level on.
    "AGENT-LOG", "the log of an agent is not usable", ManagedSeed, log;
    /// An agent reserves no more of a resource than its seed has.
    "AGENT-RESERVED", "an agent reserves more than there is", ManagedSeed, reserved;
    /// Addresses, handlers and selectors in an agent's configuration can be understood.
    "AGENT-REFERENCE", "a part of an agent's configuration is not usable", ManagedSeed, addresses, selectors, purposes;
}

/// Numbers and durations that are not negative. Gardener spells one of them differently.
const COUNTS: &[(&str, &str)] = &[
    ("controllers/bastion/concurrentSyncs", ""),
    ("controllers/shoot/concurrentSyncs", ""),
    ("controllers/shoot/progressReportPeriod", "controllers.shoot.progressReporterPeriod"),
    ("controllers/shoot/retryDuration", ""),
    ("controllers/shoot/syncPeriod", ""),
    ("controllers/shootCare/concurrentSyncs", ""),
    ("controllers/shootCare/syncPeriod", ""),
    ("controllers/shootCare/staleExtensionHealthChecks/threshold", ""),
    ("controllers/shootCare/managedResourceProgressingThreshold", ""),
    ("controllers/managedSeed/concurrentSyncs", ""),
    ("controllers/managedSeed/syncPeriod", ""),
    ("controllers/managedSeed/waitSyncPeriod", ""),
    ("controllers/managedSeed/syncJitterPeriod", ""),
    ("controllers/networkPolicy/concurrentSyncs", ""),
    ("controllers/tokenRequestorWorkloadIdentity/tokenExpirationDuration", ""),
    ("gardenClientConnection/burst", ""),
    ("seedClientConnection/burst", ""),
    ("shootClientConnection/burst", ""),
    ("nodeToleration/defaultNotReadyTolerationSeconds", ""),
    ("nodeToleration/defaultUnreachableTolerationSeconds", ""),
];

fn config<'a>(cx: &Cx<'a>) -> Node<'a> {
    cx.new.at("spec/gardenlet/config")
}

fn is_negative(node: &Node<'_>) -> bool {
    node.int().is_some_and(|n| n < 0) || node.text().and_then(syntax::duration).is_some_and(|seconds| seconds < 0.0)
}

fn numbers(cx: &Cx<'_>, out: &mut Out) {
    let config = config(cx);
    for (path, spelt) in COUNTS {
        let node = config.at(path);
        if is_negative(&node) {
            let field = if spelt.is_empty() { node.field() } else { format!("{}.{spelt}", config.field()) };
            out.invalid(&node, format!("{} is negative", node.shown())).field(field).help("at least 0");
        }
    }
    for threshold in config.at("controllers/shootCare/conditionThresholds").items() {
        let node = threshold.get("duration");
        if is_negative(&node) {
            out.invalid(&node, format!("{} is negative", node.shown())).help("at least 0");
        }
    }
}

fn validity(cx: &Cx<'_>, out: &mut Out) {
    const SHORTEST: f64 = 600.0;
    let validity = config(cx).at("gardenClientConnection/kubeconfigValidity");
    let node = validity.get("validity");
    if node.text().and_then(syntax::duration).is_some_and(|seconds| seconds < SHORTEST) {
        out.invalid(&node, format!("a kubeconfig cannot be valid for {}", node.shown())).help("at least 10m");
    }
    let (least, most) = (validity.get("autoRotationJitterPercentageMin"), validity.get("autoRotationJitterPercentageMax"));
    if least.int().is_some_and(|n| n < 1) {
        out.invalid(&least, format!("{} is too little", least.shown())).help("at least 1");
    }
    if most.int().is_some_and(|n| n > 100) {
        out.invalid(&most, format!("{} is more than everything", most.shown())).help("at most 100");
    }
    if least.int().zip(most.int()).is_some_and(|(least, most)| least >= most) {
        out.invalid(&least, format!("{} is not below {}", least.shown(), most.shown())).and(&most, "the upper bound");
    }
}

fn records(cx: &Cx<'_>, out: &mut Out) {
    let node = config(cx).at("controllers/shoot/dnsEntryTTLSeconds");
    if node.int().is_some_and(|n| !(30..=600).contains(&n)) {
        out.invalid(&node, format!("records cannot live for {} seconds", node.shown())).help("between 30 and 600");
    }
}

fn log(cx: &Cx<'_>, out: &mut Out) {
    for (what, possible) in [("logLevel", ["debug", "info", "error"].as_slice()), ("logFormat", &["json", "text"])] {
        let node = config(cx).get(what);
        if !node.is_empty() && !possible.contains(&node.str()) {
            out.not_supported(&node, format!("{} is no {what}", node.shown())).field(what).help(format!("possible are {}", listed(possible)));
        }
    }
}

fn reserved(cx: &Cx<'_>, out: &mut Out) {
    let resources = config(cx).get("resources");
    let amount = |node: &Node<'_>| {
        let text = node.text().map(str::to_owned).or_else(|| node.int().map(|n| n.to_string()));
        text.and_then(|text| text.parse::<Quantity>().ok())
    };
    for (name, node) in resources.get("reserved").entries() {
        let capacity = resources.get("capacity").get(name);
        let why = match (capacity.is_set(), amount(&node).zip(amount(&capacity))) {
            (false, _) => format!("{} of `{name}` are reserved, but nothing is said about how many there are", node.shown()),
            (true, Some((reserved, capacity))) if reserved > capacity => {
                format!("{} of `{name}` are reserved, but there are fewer", node.shown())
            }
            _ => continue,
        };
        let field = format!("{}.reserved.{name}", resources.field());
        out.invalid(&node, why).field(field).and(&resources.get("capacity"), "what there is");
    }
}

fn addresses(cx: &Cx<'_>, out: &mut Out) {
    let mut places = vec![config(cx).at("sni/ingress/serviceExternalIP")];
    for handler in config(cx).get("exposureClassHandlers").items() {
        let name = handler.get("name");
        if let Err(why) = syntax::label(name.str()) {
            out.invalid(&name, format!("{} is no handler: {why}", name.shown()));
        }
        let class = handler.at("loadBalancerService/class");
        if class.is_set()
            && let Err(why) = syntax::label_key(class.str())
        {
            out.invalid(&class, format!("{} is no class of load balancers: {why}", class.shown()));
        }
        places.push(handler.at("sni/ingress/serviceExternalIP"));
    }
    for node in places.iter().filter(|node| node.is_set()) {
        if node.str().parse::<std::net::IpAddr>().is_err() {
            out.invalid(node, format!("{} is no IP address", node.shown()));
        }
    }
}

fn selectors(cx: &Cx<'_>, out: &mut Out) {
    for selector in config(cx).at("controllers/networkPolicy/additionalNamespaceSelectors").items() {
        shared::selector(out, &selector);
    }
}

fn purposes(cx: &Cx<'_>, out: &mut Out) {
    const PURPOSES: [&str; 5] = ["evaluation", "testing", "development", "infrastructure", "production"];
    let entry = config(cx).at("controllers/backupEntry");
    let list = entry.get("deletionGracePeriodShootPurposes");
    if !list.is_empty() && entry.get("deletionGracePeriodHours").int().is_none_or(|hours| hours <= 0) {
        out.forbidden(&list, "purposes without a grace period have no effect").help("set `deletionGracePeriodHours`");
    }
    for purpose in list.items().iter().filter(|purpose| !PURPOSES.contains(&purpose.str())) {
        out.not_supported(purpose, format!("{} is no purpose", purpose.shown())).help(format!("possible are {}", listed(PURPOSES)));
    }
}
