//! Parts that manifests of several kinds share: references to credentials, labels, tolerations, amounts. Each raises
//! what the API server says about its part.

use super::check::Out;
use super::node::Node;
use super::shared::missing;
use super::syntax;
use crate::value::name;

/// How Gardener spells an entry of a map: `spec.limits.cpu`, and `spec.limits[]` for an empty key.
pub(crate) fn child(parent: &str, key: &str) -> String {
    if key.is_empty() { format!("{parent}[]") } else { format!("{parent}.{key}") }
}

/// A name in somebody's own words: a qualified name without the prefix that such names may have.
pub(crate) fn plain_name(text: &str) -> Result<(), String> {
    syntax::label_key(text)?;
    if text.contains('/') { Err("`/` is not possible in it".to_owned()) } else { Ok(()) }
}

/// Group, version and kind that a reference names; none if its `apiVersion` cannot be read.
fn gvk<'a>(reference: &Node<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    let (version, kind) = (reference.get("apiVersion").str(), reference.get("kind").str());
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    (!version.contains('/')).then_some((group, version, kind))
}

/// A reference to credentials in any namespace: all four parts are there, and the kind is one that holds credentials.
pub(crate) fn credentials(out: &mut Out, reference: &Node<'_>) {
    for key in ["apiVersion", "kind", "name", "namespace"] {
        missing(out, &reference.get(key));
    }
    for key in ["name", "namespace"] {
        let node = reference.get(key);
        if let Err(why) = syntax::subdomain(node.str()) {
            out.invalid(&node, format!("{} is no {key}: {why}", node.shown()));
        }
    }
    let known = [
        ("", "v1", "Secret"),
        ("core.gardener.cloud", "v1beta1", "InternalSecret"),
        ("security.gardener.cloud", "v1alpha1", "WorkloadIdentity"),
    ];
    if gvk(reference).is_none_or(|gvk| !known.contains(&gvk)) {
        let (kind, version) = (reference.get("kind"), reference.get("apiVersion"));
        out.not_supported(reference, format!("{} of {} holds no credentials", kind.shown(), version.shown())).help(
            "use a `Secret` of `v1`, an `InternalSecret` of `core.gardener.cloud/v1beta1`, or a `WorkloadIdentity` of \
             `security.gardener.cloud/v1alpha1`",
        );
    }
}

/// Objects that configurations refer to by name: names are there and unique, and the kinds are ones that can be copied.
pub(crate) fn resources(out: &mut Out, list: &Node<'_>) {
    let known = [("", "v1", "Secret"), ("", "v1", "ConfigMap"), ("security.gardener.cloud", "v1alpha1", "WorkloadIdentity")];
    let mut seen = Vec::new();
    for resource in list.items() {
        let (name, reference) = (resource.get("name"), resource.get("resourceRef"));
        if !missing(out, &name) {
            if seen.contains(&name.str()) {
                out.duplicate(&name, format!("the resource {} is listed twice", name.shown()));
            }
            seen.push(name.str());
        }
        missing(out, &reference.get("apiVersion"));
        missing(out, &reference.get("kind"));
        match gvk(&reference) {
            None => {
                let version = reference.get("apiVersion");
                out.invalid(&reference, format!("{} is no API version", version.shown())).help("for example `v1`");
            }
            Some(gvk) if !known.contains(&gvk) => {
                let (kind, version) = (reference.get("kind"), reference.get("apiVersion"));
                out.not_supported(&reference, format!("{} of {} cannot be referred to", kind.shown(), version.shown()))
                    .help("use a `Secret` or `ConfigMap` of `v1`, or a `WorkloadIdentity` of `security.gardener.cloud/v1alpha1`");
            }
            Some(_) => {}
        }
        missing(out, &reference.get("name"));
    }
}

/// Extensions by type: types are DNS labels, once each.
pub(crate) fn extensions(out: &mut Out, list: &Node<'_>) {
    let mut seen = Vec::new();
    for extension in list.items() {
        let kind = extension.get("type");
        if !missing(out, &kind)
            && let Err(why) = syntax::label(kind.str())
        {
            out.invalid(&kind, format!("{} is no type of extension: {why}", kind.shown()));
        }
        if seen.contains(&kind.str()) {
            out.duplicate(&kind, format!("the extension {} is listed twice", kind.shown()));
        }
        seen.push(kind.str());
    }
}

/// Annotations as Kubernetes accepts them.
pub(crate) fn annotations(out: &mut Out, annotations: &Node<'_>) {
    for (key, node) in annotations.entries() {
        // Unlike those of labels, their case does not matter.
        if let Err(why) = syntax::label_key(&key.to_lowercase()) {
            out.invalid(&node, format!("`{key}` is no annotation key: {why}")).on_key().field(annotations.field());
        }
    }
}

/// Tolerations of pods.
pub(crate) fn tolerations(out: &mut Out, list: &Node<'_>) {
    for toleration in list.items() {
        let get = |key| toleration.get(key);
        let (key, operator, value, effect) = (get("key"), get("operator"), get("value"), get("effect"));
        if !key.is_empty()
            && let Err(why) = syntax::label_key(key.str())
        {
            out.invalid(&key, format!("{} is no key of a taint: {why}", key.shown()));
        }
        if key.is_empty() && operator.str() != "Exists" {
            out.invalid(&operator, "a toleration without a key tolerates every taint, by the operator `Exists`")
                .help("name a key, or write `operator: Exists`");
        }
        if get("tolerationSeconds").is_set() && effect.str() != "NoExecute" {
            out.invalid(&effect, "only the effect `NoExecute` can be tolerated for a time").help("remove `tolerationSeconds`");
        }
        match operator.str() {
            "" | "Equal" => {
                if let Err(why) = syntax::label_value(value.str()) {
                    out.invalid(&operator, format!("{} is no value of a taint: {why}", value.shown()));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    out.invalid(&operator, format!("`Exists` does not look at the value {}", value.shown()))
                        .help("remove the value");
                }
            }
            _ => {
                out.not_supported(&operator, format!("{} is no operator", operator.shown())).help("use `Equal` or `Exists`");
            }
        }
        if !effect.is_empty() && !matches!(effect.str(), "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            out.not_supported(&effect, format!("{} is no effect of a taint", effect.shown()))
                .help("use `NoSchedule`, `PreferNoSchedule` or `NoExecute`");
        }
    }
}

/// An amount of a resource: not negative, and whole where the resource is counted.
pub(crate) fn amount(out: &mut Out, resource: &str, node: &Node<'_>, field: &str) {
    let Some(amount) = syntax::amount(node) else { return };
    if amount.is_negative() {
        out.invalid(node, format!("{} is less than nothing", node.shown())).field(field);
    } else if counted(resource) && amount.milli_value() % 1000 != 0 {
        out.invalid(node, format!("`{resource}` is counted, and {} is no whole number", node.shown())).field(field);
    }
}

/// Resources of Kubernetes that are counted.
const COUNTED: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Whether a resource is counted: some of Kubernetes' own are, and everybody else's.
fn counted(resource: &str) -> bool {
    let foreign = resource.contains('/') && !resource.contains("kubernetes.io/") && !resource.starts_with("requests.");
    COUNTED.contains(&resource) || (foreign && name::qualified_name(&format!("requests.{resource}")).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted() {
        assert!(counted("pods") && counted("example.org/gpu"));
        assert!(!counted("cpu") && !counted("node.kubernetes.io/x") && !counted("a/b/c"));
        assert_eq!(child("spec.limits", ""), "spec.limits[]");
    }
}
