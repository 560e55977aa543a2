//! The kinds that every cluster has. Adding one is adding a row.

use std::sync::Arc;

use super::kind::{Kind, Registry, Scale, Version};

/// Lives in a namespace.
const N: u8 = 1;
/// Has a status subresource.
const S: u8 = 2;
/// Has a scale subresource.
const C: u8 = 4;
/// Counts generations.
const G: u8 = 8;

/// group, version, plural, kind, short names, categories, flags.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, u8);

const TABLE: &[Row] = &[
    ("", "v1", "namespaces", "Namespace", "ns", "", S),
    ("", "v1", "configmaps", "ConfigMap", "cm", "", N),
    ("", "v1", "secrets", "Secret", "", "", N),
    ("", "v1", "services", "Service", "svc", "all", N | S),
    ("", "v1", "serviceaccounts", "ServiceAccount", "sa", "", N),
    ("", "v1", "pods", "Pod", "po", "all", N | S | G),
    ("", "v1", "podtemplates", "PodTemplate", "", "", N | G),
    ("", "v1", "replicationcontrollers", "ReplicationController", "rc", "all", N | S | C | G),
    ("", "v1", "endpoints", "Endpoints", "ep", "", N),
    ("", "v1", "nodes", "Node", "no", "", S),
    ("", "v1", "events", "Event", "ev", "", N),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "", N | S),
    ("", "v1", "persistentvolumes", "PersistentVolume", "pv", "", S),
    ("", "v1", "resourcequotas", "ResourceQuota", "quota", "", N | S),
    ("", "v1", "limitranges", "LimitRange", "limits", "", N),
    ("apps", "v1", "deployments", "Deployment", "deploy", "all", N | S | C | G),
    ("apps", "v1", "statefulsets", "StatefulSet", "sts", "all", N | S | C | G),
    ("apps", "v1", "daemonsets", "DaemonSet", "ds", "all", N | S | G),
    ("apps", "v1", "replicasets", "ReplicaSet", "rs", "all", N | S | C | G),
    ("apps", "v1", "controllerrevisions", "ControllerRevision", "", "", N),
    ("batch", "v1", "jobs", "Job", "", "all", N | S | G),
    ("batch", "v1", "cronjobs", "CronJob", "cj", "all", N | S | G),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", "all", N | S),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "", N | S | G),
    ("rbac.authorization.k8s.io", "v1", "roles", "Role", "", "", N),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", "", N),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", "", 0),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "", "", 0),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", "", N | G),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", "ing", "", N | S | G),
    ("networking.k8s.io", "v1", "ingressclasses", "IngressClass", "", "", G),
    ("coordination.k8s.io", "v1", "leases", "Lease", "", "", N),
    ("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", "", G),
    ("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", "", 0),
    ("storage.k8s.io", "v1", "csidrivers", "CSIDriver", "", "", 0),
    ("storage.k8s.io", "v1", "csinodes", "CSINode", "", "", 0),
    ("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", "", "", S),
    ("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", "", "", 0),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        "",
        "api-extensions",
        S | G,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        "",
        "api-extensions",
        G,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        "",
        "api-extensions",
        G,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        "",
        "api-extensions",
        G,
    ),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "", "", N | G),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", "crd crds", "api-extensions", S | G),
    ("apiregistration.k8s.io", "v1", "apiservices", "APIService", "", "api-extensions", S),
    ("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", "csr", "", S),
    ("events.k8s.io", "v1", "events", "Event", "ev", "", N),
];

/// The group of CustomResourceDefinition.
pub(crate) const EXTENSIONS: &str = "apiextensions.k8s.io";
/// The plural of CustomResourceDefinition.
pub(crate) const CRDS: &str = "customresourcedefinitions";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The registry that a new cluster starts with.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    for &(group, version, plural, kind, short, categories, flags) in TABLE {
        let scale = (flags & C != 0).then(|| Scale {
            spec: ".spec.replicas".into(),
            status: ".status.replicas".into(),
            selector: Some(".status.selector".into()),
        });
        let version = Version {
            name: version.into(),
            served: true,
            status: flags & S != 0,
            scale,
            columns: super::table::builtin_columns(group, kind),
            structure: None,
            deprecated: (kind == "Endpoints")
                .then(|| "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()),
            selectable: Vec::new(),
        };
        registry.insert(Arc::new(Kind {
            group: group.into(),
            kind: kind.into(),
            list_kind: format!("{kind}List"),
            plural: plural.into(),
            singular: kind.to_ascii_lowercase(),
            short: words(short),
            categories: words(categories),
            namespaced: flags & N != 0,
            custom: false,
            counted: flags & G != 0,
            versions: vec![version],
            storage: 0,
        }));
    }
    registry
}
