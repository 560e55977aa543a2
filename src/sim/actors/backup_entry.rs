//! BackupEntry: the place of one shoot's backups in a bucket. Writes the Secret that etcd backs up with.

use serde_json::{Map, Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress, require_secret_ref};
use super::object::{EXTENSIONS, text};
use crate::observed::ObjectKey;

/// The entry controller of any provider.
pub(super) struct BackupEntries;

/// The Secret in the shoot's namespace.
const SECRET: &str = "etcd-backup";

impl Extension for BackupEntries {
    fn name(&self) -> &'static str {
        "gardener-extension-backupentry"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "BackupEntry")]
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        use base64::Engine as _;
        let credentials = require_secret_ref(cx, object)?;
        let namespace = namespace_of(&cx.key.name);
        // Entries outlive their shoots; without the namespace there is nobody to give the Secret to.
        if cx.exists(&ObjectKey::new("", "Namespace", "", namespace)) {
            let mut data: Map<String, Value> = credentials.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
            let bucket = text(object, "/spec/bucketName");
            data.insert("bucketName".into(), json!(base64::engine::general_purpose::STANDARD.encode(bucket)));
            cx.ensure(json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
                "metadata": {"name": SECRET, "namespace": namespace, "labels": {"backup.gardener.cloud/owner": "backupentry"}},
            }))?;
        }
        Ok(Progress::Done(json!({})))
    }

    fn delete(&self, cx: &mut Cx<'_>, _: &Value) -> Result<Progress, Problem> {
        cx.delete(&ObjectKey::new("", "Secret", namespace_of(&cx.key.name), SECRET))?;
        Ok(Progress::Done(json!({})))
    }
}

/// The shoot's namespace: the name up to the last `--`, behind which is the shoot's uid.
fn namespace_of(entry: &str) -> &str {
    let entry = entry.strip_prefix("source-").unwrap_or(entry);
    entry.rsplit_once("--").map_or(entry, |(namespace, _)| namespace)
}
