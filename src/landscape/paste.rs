//! Objects pasted from a cluster: what a server put there is dropped with one note; what would make a server or a controller act
//! is refused.

use serde_json::{Map, Value};

use super::Owner;
use crate::document::Document;
use crate::finding::{Code, Finding, Findings, On, Pointer};

/// Metadata that only servers write.
const SERVER_METADATA: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "ownerReferences",
];

/// Annotations and labels that only servers and controllers write, and that mean nothing in Git.
const SERVER_MARKS: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "gardener.cloud/created-by",
    "gardener.cloud/timestamp",
    "shoot.gardener.cloud/status",
    "shoot.gardener.cloud/uses-additional-pod-cidr",
];

/// Annotations below a privileged prefix that are ordinary settings.
const ORDINARY: &[&str] = &[
    "shoot.gardener.cloud/ignore-alerts",
    "shoot.gardener.cloud/expiration-timestamp",
    "shoot.gardener.cloud/infrastructure-cleanup-wait-period-seconds",
    "shoot.gardener.cloud/cleanup-infrastructure-resources-grace-period-seconds",
    "shoot.gardener.cloud/cleanup-webhooks-finalize-grace-period-seconds",
    "shoot.gardener.cloud/cleanup-extended-apis-finalize-grace-period-seconds",
    "shoot.gardener.cloud/cleanup-kubernetes-resources-finalize-grace-period-seconds",
    "shoot.gardener.cloud/cleanup-namespaces-finalize-grace-period-seconds",
];

/// Drops what a server put into a manifest and reports what may not be there.
pub(super) fn clean(owner: &Owner, value: &mut Value, document: &Document) -> Findings {
    let mut findings = Findings::default();
    let mut dropped: Vec<Pointer> = Vec::new();
    let Some(root) = value.as_object_mut() else { return findings };
    if root.remove("status").is_some() {
        dropped.push("/status".into());
    }
    if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
        let at = Pointer::from("/metadata");
        for key in SERVER_METADATA {
            if metadata.remove(*key).is_some() {
                dropped.push(at.key(key));
            }
        }
        for field in ["annotations", "labels"] {
            marks(metadata, field, owner, document, &mut dropped, &mut findings);
        }
        if metadata.get("finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            findings.push(
                Finding::error(Code::new("PASTE-FINALIZER"), "a manifest in Git may not have finalizers")
                    .at(document.place(&at.key("finalizers"), On::Key))
                    .help("remove `finalizers`; controllers add and remove their own")
                    .of(owner),
            );
        }
    }
    if let Some(first) = dropped.first() {
        let names: Vec<String> = dropped.iter().map(Pointer::field).collect();
        let message = format!("this was set by a server and is left out: {}", names.join(", "));
        findings.push(Finding::note(Code::new("PASTE-DROPPED"), message).at(document.place(first, On::Key)).of(owner));
    }
    findings
}

/// Drops and refuses annotations or labels.
fn marks(
    metadata: &mut Map<String, Value>,
    field: &str,
    owner: &Owner,
    document: &Document,
    dropped: &mut Vec<Pointer>,
    findings: &mut Findings,
) {
    let Some(marks) = metadata.get_mut(field).and_then(Value::as_object_mut) else { return };
    let at = Pointer::from("/metadata").key(field);
    marks.retain(|key, _| {
        if SERVER_MARKS.contains(&key.as_str()) {
            dropped.push(at.key(key));
            return false;
        }
        if let Some(help) = privileged(key, field == "annotations") {
            findings.push(
                Finding::error(Code::new("PASTE-PRIVILEGED"), format!("`{key}` may not be set in Git"))
                    .at(document.place(&at.key(key), On::Key))
                    .help(help)
                    .of(owner),
            );
        }
        true
    });
    if marks.is_empty() {
        metadata.remove(field);
    }
}

/// Why an annotation or label may not be set in Git, as advice; `None` if it may.
fn privileged(key: &str, annotation: bool) -> Option<&'static str> {
    const OPERATION: &str = "ask for it once, with an Operation in operations/";
    const OURS: &str = "remove it; espalier sets it itself";
    match key.split_once('/')? {
        ("espalier.dev" | "render.espalier.dev", _) => Some(OURS),
        _ if !annotation => None,
        ("gardener.cloud" | "maintenance.gardener.cloud", "operation") | ("shoot.gardener.cloud", "tasks") => Some(OPERATION),
        ("confirmation.gardener.cloud", "force-deletion") => {
            Some("remove it; a forced deletion leaves infrastructure behind and is asked for by hand")
        }
        ("shoot.gardener.cloud", _) if !ORDINARY.contains(&key) => {
            Some("remove it; it changes how the cluster is operated, not what is wanted")
        }
        _ => None,
    }
}
