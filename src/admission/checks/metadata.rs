//! What every object has: a name, a namespace, labels and annotations that Kubernetes accepts.

use super::prelude::*;

rules! {
    /// An object has a name.
    ///
    /// Bindings and workload identities are the exception: Gardener makes names for them.
    "META-NAME", "the name is missing", CloudProfile | ExposureClass | ControllerDeployment | ControllerRegistration | Seed | Project
        | NamespacedCloudProfile | Quota | Shoot | ManagedSeed, name;
    /// Objects of a project are in its namespace, whose name is a DNS label.
    "META-NAMESPACE", "the namespace is missing or not usable", All, namespace;
    /// Keys and values of labels are those that Kubernetes accepts.
    "META-LABEL", "a label is not usable", All, labels;
    /// Keys of annotations are those that Kubernetes accepts.
    "META-ANNOTATION", "an annotation is not usable", All, annotations;
}

fn name(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/name");
    if node.is_empty() && cx.new.at("metadata/generateName").is_empty() {
        out.required(&node, "the name is missing").help("write `metadata: {name: …}`");
    }
}

fn namespace(cx: &Cx<'_>, out: &mut Out) {
    let (node, namespace) = (cx.new.at("metadata/namespace"), cx.namespace());
    if !cx.owner.kind.namespaced() {
        return;
    }
    if namespace.is_empty() {
        out.required(&node, "the namespace is missing");
    } else if let Err(why) = syntax::label(&namespace) {
        out.invalid(&node, format!("`{namespace}` is no namespace: {why}"));
    }
}

fn labels(cx: &Cx<'_>, out: &mut Out) {
    for (key, node) in cx.new.at("metadata/labels").entries() {
        if let Err(why) = syntax::label_key(key) {
            out.invalid(&node, format!("`{key}` is no label key: {why}")).on_key().field("metadata.labels");
        }
        if let Err(why) = syntax::label_value(node.str()) {
            out.invalid(&node, format!("{} is no label value: {why}", node.shown())).field("metadata.labels");
        }
    }
}

fn annotations(cx: &Cx<'_>, out: &mut Out) {
    for (key, node) in cx.new.at("metadata/annotations").entries() {
        // Unlike those of labels, their case does not matter.
        if let Err(why) = syntax::label_key(&key.to_lowercase()) {
            out.invalid(&node, format!("`{key}` is no annotation key: {why}")).on_key().field("metadata.annotations");
        }
    }
}
