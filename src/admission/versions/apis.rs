//! The APIs of Kubernetes: groups with their versions, and the resources in them, from
//! `staging/src/k8s.io/client-go/informers/generic.go` of the releases 1.32 to 1.36, and which of them a shoot cannot do without.

use super::{Span, listed_under};

/// An API that can be switched on and off: a version of a group, or one resource in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api {
    /// The versions of Kubernetes that have it.
    pub span: Span,
    always: bool,
    with_workers: bool,
}

impl Api {
    /// Whether a shoot needs it.
    pub(crate) fn needed(&self, workerless: bool) -> bool {
        if workerless { self.always } else { self.always || self.with_workers }
    }
}

/// Versions of groups, and the resources that they have.
const GROUPS: &[(&str, &str)] = &[
    (
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicies mutatingadmissionpolicybindings mutatingwebhookconfigurations \
        validatingadmissionpolicies validatingadmissionpolicybindings validatingwebhookconfigurations",
    ),
    (
        "admissionregistration.k8s.io/v1alpha1",
        "mutatingadmissionpolicies mutatingadmissionpolicybindings validatingadmissionpolicies \
        validatingadmissionpolicybindings",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "mutatingadmissionpolicies mutatingadmissionpolicybindings mutatingwebhookconfigurations \
        validatingadmissionpolicies validatingadmissionpolicybindings validatingwebhookconfigurations",
    ),
    ("apps/v1", "controllerrevisions daemonsets deployments replicasets statefulsets"),
    ("apps/v1beta1", "controllerrevisions deployments statefulsets"),
    ("apps/v1beta2", "controllerrevisions daemonsets deployments replicasets statefulsets"),
    ("autoscaling/v1", "horizontalpodautoscalers"),
    ("autoscaling/v2", "horizontalpodautoscalers"),
    ("autoscaling/v2beta1", "horizontalpodautoscalers"),
    ("autoscaling/v2beta2", "horizontalpodautoscalers"),
    ("batch/v1", "cronjobs jobs"),
    ("batch/v1beta1", "cronjobs"),
    ("certificates.k8s.io/v1", "certificatesigningrequests"),
    ("certificates.k8s.io/v1alpha1", "clustertrustbundles podcertificaterequests"),
    ("certificates.k8s.io/v1beta1", "certificatesigningrequests clustertrustbundles podcertificaterequests"),
    ("coordination.k8s.io/v1", "leases"),
    ("coordination.k8s.io/v1alpha2", "leasecandidates"),
    ("coordination.k8s.io/v1beta1", "leasecandidates leases"),
    ("discovery.k8s.io/v1", "endpointslices"),
    ("discovery.k8s.io/v1beta1", "endpointslices"),
    ("events.k8s.io/v1", "events"),
    ("events.k8s.io/v1beta1", "events"),
    ("extensions/v1beta1", "daemonsets deployments ingresses networkpolicies replicasets"),
    ("flowcontrol.apiserver.k8s.io/v1", "flowschemas prioritylevelconfigurations"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "flowschemas prioritylevelconfigurations"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "flowschemas prioritylevelconfigurations"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "flowschemas prioritylevelconfigurations"),
    ("internal.apiserver.k8s.io/v1alpha1", "storageversions"),
    ("networking.k8s.io/v1", "ingressclasses ingresses ipaddresses networkpolicies servicecidrs"),
    ("networking.k8s.io/v1alpha1", "ipaddresses servicecidrs"),
    ("networking.k8s.io/v1beta1", "ingressclasses ingresses ipaddresses servicecidrs"),
    ("node.k8s.io/v1", "runtimeclasses"),
    ("node.k8s.io/v1alpha1", "runtimeclasses"),
    ("node.k8s.io/v1beta1", "runtimeclasses"),
    ("policy/v1", "poddisruptionbudgets"),
    ("policy/v1beta1", "poddisruptionbudgets"),
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings clusterroles rolebindings roles"),
    ("rbac.authorization.k8s.io/v1alpha1", "clusterrolebindings clusterroles rolebindings roles"),
    ("rbac.authorization.k8s.io/v1beta1", "clusterrolebindings clusterroles rolebindings roles"),
    ("resource.k8s.io/v1", "deviceclasses resourceclaims resourceclaimtemplates resourceslices"),
    ("resource.k8s.io/v1alpha3", "deviceclasses devicetaintrules resourceclaims resourceclaimtemplates resourceslices"),
    ("resource.k8s.io/v1beta1", "deviceclasses resourceclaims resourceclaimtemplates resourceslices"),
    ("resource.k8s.io/v1beta2", "deviceclasses resourceclaims resourceclaimtemplates resourceslices"),
    ("scheduling.k8s.io/v1", "priorityclasses"),
    ("scheduling.k8s.io/v1alpha1", "priorityclasses workloads"),
    ("scheduling.k8s.io/v1alpha2", "podgroups workloads"),
    ("scheduling.k8s.io/v1beta1", "priorityclasses"),
    ("storage.k8s.io/v1", "csidrivers csinodes csistoragecapacities storageclasses volumeattachments volumeattributesclasses"),
    ("storage.k8s.io/v1alpha1", "csistoragecapacities volumeattachments volumeattributesclasses"),
    (
        "storage.k8s.io/v1beta1",
        "csidrivers csinodes csistoragecapacities storageclasses volumeattachments volumeattributesclasses",
    ),
    ("storagemigration.k8s.io/v1alpha1", "storageversionmigrations"),
    ("storagemigration.k8s.io/v1beta1", "storageversionmigrations"),
    (
        "v1",
        "componentstatuses configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods \
        podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services",
    ),
];
/// What came with a minor.
const SINCE: &[(u64, &str)] = &[
    (
        32,
        "coordination.k8s.io/v1alpha2 coordination.k8s.io/v1alpha2/leasecandidates resource.k8s.io/v1beta1 \
        resource.k8s.io/v1beta1/deviceclasses resource.k8s.io/v1beta1/resourceclaims resource.k8s.io/v1beta1/resourceclaimtemplates \
        resource.k8s.io/v1beta1/resourceslices admissionregistration.k8s.io/v1alpha1/mutatingadmissionpolicies \
        admissionregistration.k8s.io/v1alpha1/mutatingadmissionpolicybindings",
    ),
    (
        33,
        "resource.k8s.io/v1beta2 resource.k8s.io/v1beta2/deviceclasses resource.k8s.io/v1beta2/resourceclaims \
        resource.k8s.io/v1beta2/resourceclaimtemplates resource.k8s.io/v1beta2/resourceslices resource.k8s.io/v1alpha3/devicetaintrules \
        certificates.k8s.io/v1beta1/clustertrustbundles coordination.k8s.io/v1beta1/leasecandidates networking.k8s.io/v1/ipaddresses \
        networking.k8s.io/v1/servicecidrs",
    ),
    (
        34,
        "resource.k8s.io/v1 resource.k8s.io/v1/deviceclasses resource.k8s.io/v1/resourceclaims resource.k8s.io/v1/resourceclaimtemplates \
        resource.k8s.io/v1/resourceslices admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies \
        admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings certificates.k8s.io/v1alpha1/podcertificaterequests \
        storage.k8s.io/v1/volumeattributesclasses",
    ),
    (
        35,
        "scheduling.k8s.io/v1alpha1/workloads storagemigration.k8s.io/v1beta1 storagemigration.k8s.io/v1beta1/storageversionmigrations \
        certificates.k8s.io/v1beta1/podcertificaterequests",
    ),
    (
        36,
        "scheduling.k8s.io/v1alpha2 scheduling.k8s.io/v1alpha2/podgroups scheduling.k8s.io/v1alpha2/workloads \
        admissionregistration.k8s.io/v1/mutatingadmissionpolicies admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    ),
];
/// What is gone from a minor on.
const UNTIL: &[(u64, &str)] = &[
    (
        34,
        "networking.k8s.io/v1alpha1 networking.k8s.io/v1alpha1/ipaddresses networking.k8s.io/v1alpha1/servicecidrs \
        resource.k8s.io/v1alpha3/deviceclasses resource.k8s.io/v1alpha3/resourceclaims resource.k8s.io/v1alpha3/resourceclaimtemplates \
        resource.k8s.io/v1alpha3/resourceslices",
    ),
    (
        35,
        "certificates.k8s.io/v1alpha1/podcertificaterequests storagemigration.k8s.io/v1alpha1 \
        storagemigration.k8s.io/v1alpha1/storageversionmigrations",
    ),
    (36, "scheduling.k8s.io/v1alpha1 scheduling.k8s.io/v1alpha1/priorityclasses scheduling.k8s.io/v1alpha1/workloads"),
];
/// What every shoot needs.
const ALWAYS: &str =
    "discovery.k8s.io/v1/endpointslices events.k8s.io/v1/events networking.k8s.io/v1 rbac.authorization.k8s.io/v1 v1";
/// What shoots with workers need besides.
const WITH_WORKERS: &str = "admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1/mutatingwebhookconfigurations
    admissionregistration.k8s.io/v1/validatingwebhookconfigurations apps/v1 autoscaling/v2/horizontalpodautoscalers
    certificates.k8s.io/v1/certificatesigningrequests coordination.k8s.io/v1/leases node.k8s.io/v1/runtimeclasses
    policy/v1/poddisruptionbudgets scheduling.k8s.io/v1/priorityclasses storage.k8s.io/v1";

/// An API as `kubeAPIServer.runtimeConfig` names it: `apps/v1`, `v1`, `apps/v1/deployments`, `v1/pods`.
///
/// A group is needed if one of its resources is, and a resource if its group is.
pub(crate) fn api(name: &str) -> Result<Api, String> {
    let parts: Vec<&str> = name.split('/').collect();
    let (group, resource) = match parts[..] {
        ["v1", resource] => ("v1".to_owned(), Some(resource)),
        [group] => (group.to_owned(), None),
        [group, version] => (format!("{group}/{version}"), None),
        [group, version, resource] => (format!("{group}/{version}"), Some(resource)),
        _ => return Err(format!("`{name}` is no name of an API")),
    };
    let found = GROUPS.iter().find(|(known, _)| *known == group);
    let (_, resources) = found.ok_or_else(|| format!("there is no API `{group}`"))?;
    if let Some(resource) = resource
        && !resources.split_whitespace().any(|known| known == resource)
    {
        return Err(format!("`{group}` has no resource `{resource}`"));
    }
    let inside = |names: &str| match resource {
        None => names.split_whitespace().any(|n| n == group || n.strip_prefix(&group).is_some_and(|rest| rest.starts_with('/'))),
        Some(_) => names.split_whitespace().any(|n| n == group || n == name),
    };
    let minor = |table| listed_under(table, name).unwrap_or(0);
    Ok(Api { span: Span(minor(SINCE), minor(UNTIL)), always: inside(ALWAYS), with_workers: inside(WITH_WORKERS) })
}
