//! The Operation: a one-shot request with an id, done at most once.

use std::collections::BTreeMap;

use super::meta::{LabelSelector, ObjectMeta};
use super::shape::shapes;

shapes! {
    /// A one-shot request, done at most once.
    struct Operation {
        /// espalier.dev/v1alpha1
        api_version: String,
        /// Operation
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// The request.
        spec: OperationSpec,
    }

    /// The request.
    struct OperationSpec {
        /// Its id: once done, the same id is never done again. Absent means the object's name.
        id: Option<String>,
        /// What is to be done: rotate, retry, maintain, migrate or reconcile.
        #[schemars(extend("enum" = ["rotate", "retry", "maintain", "migrate", "reconcile"]))]
        request: String,
        /// To what.
        selector: OperationSelector,
        /// Details, such as `credentials: ca` or `seed: aws-us1`.
        args: BTreeMap<String, String>,
    }

    /// What a request is about; all that is given must hold.
    struct OperationSelector {
        /// Shoots as project/name.
        shoots: Vec<String>,
        /// Every shoot of these projects.
        projects: Vec<String>,
        /// Every shoot on these seeds.
        seeds: Vec<String>,
        /// Shoots with these labels.
        labels: Option<LabelSelector>,
    }
}

impl Operation {
    /// The id under which it is remembered as done.
    #[must_use]
    pub fn id(&self) -> &str {
        self.spec.id.as_deref().unwrap_or(&self.metadata.name)
    }
}

/// What can be asked for.
pub const REQUESTS: &[&str] = &["reconcile", "retry", "maintain", "rotate", "migrate"];

/// Whether a request is carried out; the others are recorded as failed.
#[must_use]
pub fn is_supported(request: &str) -> bool {
    matches!(request, "reconcile" | "retry")
}
