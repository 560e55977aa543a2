//! Admission plugins of the Kubernetes API server, from `pkg/kubeapiserver/options/plugins.go` and
//! `staging/src/k8s.io/apiserver/pkg/server/plugins.go` of the releases 1.32 to 1.36, and what Gardener lets people do to them.

use super::{Span, listed_under};

/// One plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plugin {
    /// The versions that have it.
    pub span: Span,
    /// Whether it may not be switched off.
    pub required: bool,
    /// Whether it takes a configuration.
    pub configurable: bool,
    /// Whether it asks an endpoint of one's own, and so takes a kubeconfig.
    pub remote: bool,
}

const ALL: &str = "AlwaysAdmit AlwaysDeny AlwaysPullImages CertificateApproval CertificateSigning CertificateSubjectRestriction
    ClusterTrustBundleAttest DefaultIngressClass DefaultStorageClass DefaultTolerationSeconds DenyServiceExternalIPs EventRateLimit
    ExtendedResourceToleration ImagePolicyWebhook LimitPodHardAntiAffinityTopology LimitRanger MutatingAdmissionPolicy
    MutatingAdmissionWebhook NamespaceAutoProvision NamespaceExists NamespaceLifecycle NodeDeclaredFeatureValidator NodeRestriction
    OwnerReferencesPermissionEnforcement PersistentVolumeClaimResize PodNodeSelector PodSecurity PodTolerationRestriction
    PodTopologyLabels Priority ResourceQuota RuntimeClass ServiceAccount StorageObjectInUseProtection TaintNodesByCondition
    ValidatingAdmissionPolicy ValidatingAdmissionWebhook";
const SINCE: &[(u64, &str)] = &[(32, "MutatingAdmissionPolicy"), (33, "PodTopologyLabels"), (35, "NodeDeclaredFeatureValidator")];
const REQUIRED: &str =
    "MutatingAdmissionWebhook NamespaceLifecycle NodeRestriction PodSecurity Priority StorageObjectInUseProtection
    ValidatingAdmissionWebhook";
const CONFIGURABLE: &str = "EventRateLimit ImagePolicyWebhook MutatingAdmissionWebhook PodNodeSelector PodSecurity
    PodTolerationRestriction ResourceQuota ValidatingAdmissionWebhook";
const REMOTE: &str = "ImagePolicyWebhook MutatingAdmissionWebhook ValidatingAdmissionWebhook";

/// All plugins in alphabetical order.
pub(crate) fn plugins() -> impl Iterator<Item = &'static str> {
    ALL.split_whitespace()
}

/// A plugin by its name.
pub(crate) fn plugin(name: &str) -> Option<Plugin> {
    let among = |names: &str| names.split_whitespace().any(|n| n == name);
    among(ALL).then(|| Plugin {
        span: Span(listed_under(SINCE, name).unwrap_or(0), 0),
        required: among(REQUIRED),
        configurable: among(CONFIGURABLE),
        remote: among(REMOTE),
    })
}
