//! The ExposureClass: a way to reach API servers from outside.

use super::meta::{ObjectMeta, SeedSelector, Toleration};
use super::shape::shapes;

shapes! {
    /// A way to reach API servers from outside.
    struct ExposureClass {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// ExposureClass
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// The handler in the seeds that does it. Cannot be changed.
        handler: String,
        /// The seeds that can.
        scheduling: Option<ExposureClassScheduling>,
    }

    /// The seeds that can expose so.
    struct ExposureClassScheduling {
        /// Which seeds.
        seed_selector: Option<SeedSelector>,
        /// Taints of seeds that are tolerated.
        tolerations: Vec<Toleration>,
    }
}
