//! BackupBucket: a bucket for backups at the provider of a seed.

use serde_json::{Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress, require_secret_ref};
use super::object::{EXTENSIONS, text};

/// The bucket controller of any provider.
pub(super) struct BackupBuckets;

impl Extension for BackupBuckets {
    fn name(&self) -> &'static str {
        "gardener-extension-backupbucket"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "BackupBucket")]
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        require_secret_ref(cx, object)?;
        Ok(Progress::Done(json!({"providerStatus": {
            "apiVersion": format!("{}.provider.extensions.gardener.cloud/v1alpha1", text(object, "/spec/type")),
            "kind": "BackupBucketStatus", "bucket": cx.key.name,
        }})))
    }
}
