//! What the simulated API server leaves out on purpose. Each row is answered with 501 and its reason, never silently.
//!
//! Left out as well, and not to be seen in an answer: webhooks are stored, not called; RBAC keeps nobody from granting more than he
//! has; quotas count objects, not what these request; the namespace, garbage-collector and quota controllers act before the answer
//! goes out rather than later.

/// Group, resource with its subresource, why there is no such thing here.
pub const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("", "bindings", "there are no nodes to bind pods to"),
    ("", "nodes/proxy", "there are no kubelets"),
    ("", "pods/attach", "there are no containers"),
    ("", "pods/binding", "there are no nodes to bind pods to"),
    ("", "pods/ephemeralcontainers", "there are no containers"),
    ("", "pods/exec", "there are no containers"),
    ("", "pods/log", "there are no containers"),
    ("", "pods/portforward", "there are no containers"),
    ("", "pods/proxy", "there are no containers"),
    ("", "pods/resize", "there are no containers"),
    ("", "services/proxy", "there are no containers"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "no object is changed on its way in"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "no object is changed on its way in"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "requests are answered in the order in which they come"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "requests are answered in the order in which they come"),
    ("networking.k8s.io", "ipaddresses", "addresses of services are counted, not stored"),
    ("networking.k8s.io", "servicecidrs", "addresses of services are counted, not stored"),
    ("resource.k8s.io", "deviceclasses", "there are no devices"),
    ("resource.k8s.io", "resourceclaims", "there are no devices"),
    ("resource.k8s.io", "resourceclaimtemplates", "there are no devices"),
    ("resource.k8s.io", "resourceslices", "there are no devices"),
    ("storage.k8s.io", "csistoragecapacities", "there are no volumes"),
    ("storage.k8s.io", "volumeattributesclasses", "there are no volumes"),
];

/// Subresources of the core group that are left out, and are listed all the same because clients look for them: kind and verbs.
pub(crate) const LISTED: &[(&str, &str, &[&str])] = &[
    ("nodes/proxy", "NodeProxyOptions", PASSED_ON),
    ("pods/attach", "PodAttachOptions", STREAMED),
    ("pods/binding", "Binding", CREATE),
    ("pods/ephemeralcontainers", "Pod", WRITTEN),
    ("pods/exec", "PodExecOptions", STREAMED),
    ("pods/log", "Pod", &["get"]),
    ("pods/portforward", "PodPortForwardOptions", STREAMED),
    ("pods/proxy", "PodProxyOptions", PASSED_ON),
    ("pods/resize", "Pod", WRITTEN),
    ("services/proxy", "ServiceProxyOptions", PASSED_ON),
];
const CREATE: &[&str] = &["create"];
const STREAMED: &[&str] = &["create", "get"];
const WRITTEN: &[&str] = &["get", "patch", "update"];
const PASSED_ON: &[&str] = &["create", "delete", "get", "patch", "update"];

/// Why a resource is left out; `None`: it is not, or there is no such thing in Kubernetes either.
pub(crate) fn why(group: &str, plural: &str, subresource: &str) -> Option<&'static str> {
    let resource = if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") };
    LEFT_OUT.iter().find(|(of, what, _)| *of == group && *what == resource).map(|(_, _, why)| *why)
}
