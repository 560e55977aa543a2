//! Namespaces of projects as the garden's API server has them: they may be on their way out, and may be full.
//!
//! Namespaces and resource quotas are in no landscape. Where nobody knows them, nothing is said.

use super::prelude::*;

rules! {
    /// Nothing new comes into a namespace that is being deleted (V-380).
    "NAMESPACE-DELETING", "the namespace is being deleted", Shoot | SecretBinding | CredentialsBinding, going as Plugin("NamespaceLifecycle");
    /// A ResourceQuota in the project's namespace limits how many shoots and bindings there are (V-380).
    "NAMESPACE-FULL", "the namespace takes no more objects", Shoot | SecretBinding, full as Plugin("ResourceQuota");
}

fn going(cx: &Cx<'_>, out: &mut Out) {
    let name = cx.namespace();
    let Elsewhere::Found(namespace) = cx.foreign("Namespace", "", &name) else { return };
    let namespace = Node::root(namespace);
    if cx.is_new() && (namespace.at("status/phase").str() == "Terminating" || namespace.at("metadata/deletionTimestamp").is_set()) {
        out.refused(&cx.new.at("metadata/name"), format!("the namespace `{name}` is being deleted, and takes nothing new"))
            .help("wait until it is gone, and make the project again");
    }
}

fn full(cx: &Cx<'_>, out: &mut Out) {
    let namespace = cx.namespace();
    let key = format!("count/{}.{}", cx.owner.kind.plural(), cx.owner.kind.group());
    for quota in cx.foreigners("ResourceQuota", &namespace).filter(|_| cx.is_new()) {
        let number = |node: Node<'_>| node.text().and_then(|text| text.parse().ok()).or(node.int());
        let Some(most) = number(quota.at("spec/hard").get(&key)) else { continue };
        let count = || i64::try_from(cx.others(cx.owner.kind).filter(|(owner, _)| owner.project == cx.owner.project).count()).unwrap_or(i64::MAX);
        let used = number(quota.at("status/used").get(&key)).unwrap_or_else(count);
        if used >= most {
            let name = quota.at("metadata/name");
            out.refused(&cx.new.at("metadata/name"), format!("the ResourceQuota {} allows {most} of `{key}`, and {used} are there", name.shown()))
                .help("delete one that is not needed, or have the quota raised");
        }
    }
}
