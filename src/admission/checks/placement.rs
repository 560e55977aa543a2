//! Where a shoot and its control plane run, who may be told of it, and what else it refers to.

use std::collections::BTreeSet;

use super::prelude::*;

rules! {
    /// A shoot names its region (V-007).
    "SHOOT-REGION-MISSING", "the region is missing", Shoot, region;
    /// The selector of seeds is a label selector (V-013).
    "SHOOT-SEED-SELECTOR", "the selector of seeds cannot be read", Shoot, selector;
    /// Keys and values of tolerations are those of labels, and no toleration is covered by an earlier one (V-015, V-016, V-017).
    "SHOOT-TOLERATION-SYNTAX", "a toleration is not usable", Shoot, tolerations;
    /// Names of the exposure class and of the scheduler are DNS names (V-018, V-019).
    "SHOOT-PLACEMENT-NAME", "a name is not usable", Shoot, names;
    /// A control plane that tolerates the failure of a zone has three zones, any other has one (V-021, V-022).
    "SHOOT-CONTROL-PLANE-ZONES", "the zones of the control plane do not fit", Shoot, zones;
    /// Receivers of alerts are e-mail addresses, each once (V-027).
    "SHOOT-ALERT-RECEIVER", "a receiver of alerts is not usable", Shoot, receivers;
    /// Suffixes that cluster DNS rewrites are DNS names of at least two labels, each once (V-032).
    "SHOOT-DNS-SUFFIX", "a suffix for cluster DNS is not usable", Shoot, suffixes;
    /// Extensions and referenced resources have a type or name, each once (V-023, V-024, V-025, V-026).
    "SHOOT-ENTRY", "an entry is incomplete or repeated", Shoot, extensions, resources;
}

fn region(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/region");
    if node.is_empty() {
        out.required(&node, "the region is missing").help("write `region: …`, one that the cloud profile offers");
    }
}

fn selector(cx: &Cx<'_>, out: &mut Out) {
    let selector = cx.new.at("spec/seedSelector");
    let labels = selector.get("matchLabels");
    for (key, node) in labels.entries() {
        if let Err(why) = syntax::label_key(key) {
            out.invalid(&node, format!("`{key}` is no label key: {why}")).on_key().field(labels.field());
        }
        if let Err(why) = syntax::label_value(node.str()) {
            out.invalid(&node, format!("{} is no label value: {why}", node.shown())).field(labels.field());
        }
    }
    for expression in selector.get("matchExpressions").items() {
        let (key, operator, values) = (expression.get("key"), expression.get("operator"), expression.get("values"));
        match operator.str() {
            "In" | "NotIn" if values.is_empty() => {
                out.required(&values, format!("the operator {} needs values", operator.shown()));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                out.forbidden(&values, format!("the operator {} takes no values", operator.shown())).on_key().help("remove them");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => {
                out.invalid(&operator, format!("{} is no operator", operator.shown())).help("use `In`, `NotIn`, `Exists` or `DoesNotExist`");
            }
        }
        if let Err(why) = syntax::label_key(key.str()) {
            out.invalid(&key, format!("{} is no label key: {why}", key.shown()));
        }
        for value in values.items() {
            if let Err(why) = syntax::label_value(value.str()) {
                out.invalid(&value, format!("{} is no label value: {why}", value.shown()));
            }
        }
    }
}

fn tolerations(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for toleration in cx.new.at("spec/tolerations").items() {
        let (key, value) = (toleration.get("key"), toleration.get("value"));
        if key.is_empty() {
            out.required(&key, "the key of the toleration is missing");
        } else if let Err(why) = syntax::label_key(key.str()) {
            out.invalid(&key, format!("{} is no key of a taint: {why}", key.shown()));
        }
        if let Err(why) = syntax::label_value(value.str()) {
            out.invalid(&value, format!("{} is no value of a taint: {why}", value.shown()));
        }
        let this = (key.str(), value.text());
        if seen.contains(&(key.str(), None)) || seen.contains(&this) {
            out.duplicate(&toleration, format!("the toleration of {} is there already", key.shown())).help("remove it");
        }
        seen.insert(this);
    }
}

fn names(cx: &Cx<'_>, out: &mut Out) {
    let (class, scheduler) = (cx.new.at("spec/exposureClassName"), cx.new.at("spec/schedulerName"));
    if class.is_set()
        && let Err(why) = syntax::subdomain(class.str())
    {
        out.invalid(&class, format!("{} is no name of an exposure class: {why}", class.shown()));
    }
    if scheduler.is_set()
        && let Err(why) = syntax::label(scheduler.str())
    {
        out.invalid(&scheduler, format!("{} is no name of a scheduler: {why}", scheduler.shown()));
    }
}

fn zones(cx: &Cx<'_>, out: &mut Out) {
    let (node, tolerated) = (cx.new.at("spec/controlPlane/zones"), cx.new.at("spec/controlPlane/highAvailability/failureTolerance/type"));
    let mut seen = BTreeSet::new();
    for zone in node.items() {
        if !seen.insert(zone.str()) {
            out.duplicate(&zone, format!("the zone {} is listed twice", zone.shown()));
        }
    }
    let wanted = if tolerated.str() == "zone" { 3 } else { 1 };
    if !node.is_empty() && seen.len() != wanted {
        out.invalid(&node, format!("the control plane has {} zones", seen.len()))
            .and(&tolerated, "what it tolerates")
            .help("three if it tolerates the failure of a `zone`, else one");
    }
}

/// Something, an `@`, and a domain of at least two labels that ends in letters.
fn is_address(text: &str) -> bool {
    let Some((who, domain)) = text.split_once('@') else { return false };
    let labels: Vec<&str> = domain.split('.').collect();
    let Some((last, others)) = labels.split_last() else { return false };
    let usable = |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    !who.is_empty() && !others.is_empty() && others.iter().all(usable) && last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic())
}

fn receivers(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for node in cx.new.at("spec/monitoring/alerting/emailReceivers").items() {
        if !is_address(node.str()) {
            out.invalid(&node, format!("{} is no e-mail address", node.shown())).help("for example `oncall@example.org`");
        }
        if !seen.insert(node.str()) {
            out.duplicate(&node, format!("{} is listed twice", node.shown()));
        }
    }
}

fn suffixes(cx: &Cx<'_>, out: &mut Out) {
    if cx.new.at("spec/provider/workers").is_empty() {
        return;
    }
    let mut seen = BTreeSet::new();
    for node in cx.new.at("spec/systemComponents/coreDNS/rewriting/commonSuffixes").items() {
        let text = node.str();
        let (name, dots) = (text.strip_prefix('.').unwrap_or(text), text.matches('.').count());
        let single = dots == 0 || (text.starts_with('.') && dots < 2);
        if single || syntax::subdomain(name.strip_suffix('.').unwrap_or(name)).is_err() {
            out.invalid(&node, format!("{} is no suffix of names", node.shown())).help("for example `.example.org`");
        }
        if !seen.insert(name) {
            out.duplicate(&node, format!("the suffix {} is listed twice", node.shown()));
        }
    }
}

fn extensions(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for extension in cx.new.at("spec/extensions").items() {
        let kind = extension.get("type");
        if kind.is_empty() {
            out.required(&kind, "the type of an extension is missing");
            continue;
        }
        if let Err(why) = syntax::label(kind.str()) {
            out.invalid(&kind, format!("{} is no type of an extension: {why}", kind.shown()));
        }
        if !seen.insert(kind.str()) {
            out.duplicate(&kind, format!("the extension {} is listed twice", kind.shown()));
        }
    }
}

fn resources(cx: &Cx<'_>, out: &mut Out) {
    const REFERABLE: [(&str, &str); 3] = [("v1", "Secret"), ("v1", "ConfigMap"), ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")];
    let mut seen = BTreeSet::new();
    for resource in cx.new.at("spec/resources").items() {
        let (name, reference) = (resource.get("name"), resource.get("resourceRef"));
        if name.is_empty() {
            out.required(&name, "the name of a resource is missing");
        } else if !seen.insert(name.str()) {
            out.duplicate(&name, format!("the resource {} is listed twice", name.shown()));
        }
        let (version, kind) = (reference.get("apiVersion"), reference.get("kind"));
        for node in [&version, &kind, &reference.get("name")] {
            if node.is_empty() {
                out.required(node, format!("`{}` is missing", node.field()));
            }
        }
        if version.str().matches('/').count() > 1 {
            out.invalid(&reference, format!("{} is no version of an API", version.shown())).help("for example `v1`");
        } else if !REFERABLE.contains(&(version.str(), kind.str())) {
            out.not_supported(&reference, format!("a resource cannot refer to {} of {}", kind.shown(), version.shown()))
                .help("a `Secret` or `ConfigMap` of `v1`, or a `WorkloadIdentity`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_domain() {
        assert!(is_address("a@b.org") && is_address("a b+c@x-1.example.org"));
        for wrong in ["", "a@x", "a", "@x.org", "a@b@c.org", "a@.org", "a@b.c", "a@b.o1"] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
