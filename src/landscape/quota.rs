//! The Quota: limits on what credentials may be used for.

use super::meta::{ObjectMeta, ObjectReference, ResourceList};
use super::shape::shapes;

shapes! {
    /// Limits on what credentials may be used for.
    struct Quota {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// Quota
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// The limits.
        spec: QuotaSpec,
    }

    /// The limits.
    struct QuotaSpec {
        /// Days until a cluster goes.
        cluster_lifetime_days: Option<i32>,
        /// The most that all clusters together may use: cpu, gpu, memory, storage.standard, storage.premium, loadbalancer.
        metrics: ResourceList,
        /// What the limits hold for: a Project, a Secret or a WorkloadIdentity.
        scope: ObjectReference,
    }
}
