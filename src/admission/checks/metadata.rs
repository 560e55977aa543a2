//! What every object has: a name, a namespace, labels and annotations that Kubernetes accepts.

use super::prelude::*;
use crate::admission::shared;
use crate::finding::ErrorType;

rules! {
    /// An object has a name.
    ///
    /// Bindings and workload identities are the exception: Gardener makes names for them.
    "META-NAME", "the name is missing", All, name;
    /// The name of an object is a DNS name, of most kinds a single label of it.
    ///
    /// Shoots, projects and seeds have rules of their own.
    "META-NAME-FORMAT", "the name is not usable", CloudProfile | ExposureClass | ControllerDeployment | ControllerRegistration
        | NamespacedCloudProfile | Quota | WorkloadIdentity | SecretBinding | CredentialsBinding | ManagedSeed, format;
    /// A prefix for a generated name can begin a name of its kind.
    "META-NAME-PREFIX", "the prefix of a name is not usable", All, prefix;
    /// Objects of a project are in its namespace, whose name is a DNS label.
    "META-NAMESPACE", "the namespace is missing or not usable", All, namespace;
    /// Keys and values of labels are those that Kubernetes accepts.
    "META-LABEL", "a label is not usable", All, labels;
    /// Keys of annotations are those that Kubernetes accepts, and all annotations together are not too large.
    "META-ANNOTATION", "an annotation is not usable", All, annotations;
    /// Finalizers are qualified names, and say one thing about dependent objects.
    "META-FINALIZER", "a finalizer is not usable", All, finalizers;
    /// Owners are named in full, and at most one of them is the controller.
    "META-OWNER", "an owner is not named in full", All, owners;
    /// What identifies an object stays the same for as long as it exists.
    "META-CHANGED", "metadata cannot change", All, changed;
    /// An object stays in its namespace.
    "META-NAMESPACE-CHANGED", "an object cannot move to another namespace", All, moved;
}

/// Kinds whose names are single labels.
const LABELS: [Kind; 6] =
    [Kind::ExposureClass, Kind::ControllerDeployment, Kind::ControllerRegistration, Kind::Seed, Kind::Shoot, Kind::ManagedSeed];

/// Kinds for which Gardener makes a name.
const NAMELESS: [Kind; 3] = [Kind::SecretBinding, Kind::CredentialsBinding, Kind::WorkloadIdentity];

fn name(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/name");
    let made = NAMELESS.contains(&cx.owner.kind) || !cx.new.at("metadata/generateName").is_empty();
    if node.is_empty() && !(cx.is_new() && made) {
        out.required(&node, "the name is missing").help("write `metadata: {name: …}`");
    }
}

fn usable(kind: Kind, name: &str) -> Result<(), String> {
    if LABELS.contains(&kind) { syntax::label(name) } else { syntax::subdomain(name) }
}

fn format(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/name");
    if !node.is_empty()
        && let Err(why) = usable(cx.owner.kind, node.str())
    {
        out.invalid(&node, format!("{} is no name for a {}: {why}", node.shown(), cx.owner.kind))
            .help("use lower-case letters, digits and hyphens");
    }
}

fn prefix(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/generateName");
    // What follows is a letter or digit, so a hyphen may be the last.
    let begins = node.str().strip_suffix('-').filter(|rest| !rest.is_empty()).map(|rest| format!("{rest}a"));
    if !node.is_empty()
        && let Err(why) = usable(cx.owner.kind, begins.as_deref().unwrap_or(node.str()))
    {
        out.invalid(&node, format!("no name of a {} begins with {}: {why}", cx.owner.kind, node.shown()));
    }
}

fn namespace(cx: &Cx<'_>, out: &mut Out) {
    let (node, namespace) = (cx.new.at("metadata/namespace"), cx.namespace());
    if !cx.owner.kind.namespaced() {
        return;
    }
    if namespace.is_empty() {
        if cx.is_new() {
            out.required(&node, "the namespace is missing");
        }
    } else if let Err(why) = syntax::label(&namespace) {
        out.invalid(&node, format!("`{namespace}` is no namespace: {why}"));
    }
}

fn labels(cx: &Cx<'_>, out: &mut Out) {
    shared::labels(out, &cx.new.at("metadata/labels"));
}

fn annotations(cx: &Cx<'_>, out: &mut Out) {
    shared::annotations(out, &cx.new.at("metadata/annotations"));
}

fn finalizers(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("metadata/finalizers");
    let items = list.items();
    for node in &items {
        if let Err(why) = syntax::label_key(node.str()) {
            out.invalid(node, format!("{} is no finalizer: {why}", node.shown())).field(list.field());
        }
    }
    let find = |name: &str| items.iter().find(|item| item.str() == name);
    if let (Some(orphan), Some(_)) = (find("orphan"), find("foregroundDeletion")) {
        out.invalid(orphan, "dependent objects cannot both stay and go first").field(list.field());
    }
    let deleting = cx.before("metadata/deletionTimestamp").is_set();
    let before = cx.before("metadata/finalizers").items();
    for node in items.iter().filter(|node| deleting && !before.iter().any(|b| b.same(node))) {
        out.forbidden(node, format!("{} comes too late: the object is being deleted", node.shown())).field(list.field());
    }
}

fn owners(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("metadata/ownerReferences");
    let mut controllers = 0;
    for owner in list.items() {
        for what in ["apiVersion", "kind", "name", "uid"] {
            let node = owner.get(what);
            let versioned = what != "apiVersion" || (node.str().matches('/').count() < 2 && !node.str().ends_with('/'));
            if node.is_empty() || !versioned {
                out.invalid(&node, format!("an owner needs {what}, not {}", node.shown())).field(format!("{}.{what}", list.field()));
            }
        }
        if owner.get("apiVersion").str() == "v1" && owner.get("kind").str() == "Event" {
            out.invalid(&owner, "an event cannot be an owner").field(list.field());
        }
        controllers += usize::from(owner.get("controller").flag() == Some(true));
        if controllers > 1 {
            out.invalid(&owner, "only one owner can be the controller").field(list.field());
        }
    }
}

fn changed(cx: &Cx<'_>, out: &mut Out) {
    if cx.is_new() {
        return;
    }
    let (name, before) = (cx.new.at("metadata/name"), cx.before("metadata/name"));
    if name.is_empty() || !name.same(&before) {
        out.invalid(&name, format!("the name cannot change from {} to {}", before.shown(), name.shown()))
            .help("another name is another object");
    }
    let namespace = cx.before("metadata/namespace");
    if !cx.owner.kind.namespaced() && !namespace.is_empty() {
        let node = cx.new.at("metadata/namespace");
        out.invalid(&node, format!("the namespace cannot change from {}", namespace.shown()));
    }
    for what in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, old) = (cx.new.at("metadata").get(what), cx.before("metadata").get(what));
        let kept = what == "deletionTimestamp" && old.is_set();
        if !new.is_empty() && !kept && !new.same(&old) {
            out.invalid(&new, format!("`{}` cannot change from {} to {}", new.field(), old.shown(), new.shown()))
                .help("leave it to the server");
        }
    }
}

fn moved(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("metadata/namespace"), cx.before("metadata/namespace"));
    if cx.owner.kind.namespaced() && !new.is_empty() && !old.is_empty() && !new.same(&old) {
        out.refuse(ErrorType::BadRequest, &new, format!("the namespace cannot change from {} to {}", old.shown(), new.shown()))
            .help("in another namespace it is another object");
    }
}
