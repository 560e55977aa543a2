//! CustomResourceDefinitions: of the landscape kinds, with structural schemas generated from the same types as everything else;
//! of the kinds that espalier itself writes into the garden; and minimal ones of the engines' kinds for a seed where no engine
//! has brought its own.

mod column;
mod engine;
mod structural;

use serde_json::{Map, Value, json};

use crate::landscape::Kind;

use column::{columns, short_names};
pub use engine::engines;
pub use structural::structural;

/// A column that `kubectl get` prints: name, type, JSON path, and whether only `-o wide` shows it.
type Column = (&'static str, &'static str, &'static str, bool);

/// The age of an object.
const AGE: Column = ("Age", "date", ".metadata.creationTimestamp", false);

/// The CustomResourceDefinition of a landscape kind. Without a schema its objects are open.
#[must_use]
pub fn definition(kind: Kind, schema: Option<&Value>) -> Value {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let schema = schema.map_or_else(open, structural);
    let names = Names {
        group,
        version,
        kind: kind.name(),
        plural: kind.plural(),
        short: short_names(kind),
        namespaced: kind.namespaced(),
    };
    crd(&names, schema, columns(kind), Some(json!({})), None)
}

/// Definitions of the kinds that espalier itself writes into the garden beside the landscape's own.
#[must_use]
pub fn written() -> Vec<Value> {
    let core = |kind, plural, short, namespaced| Names {
        group: "core.gardener.cloud",
        version: "v1beta1",
        kind,
        plural,
        short,
        namespaced,
    };
    vec![
        crd(
            &core("BackupBucket", "backupbuckets", &["bbc"], false),
            open(),
            &[
                ("Status", "string", ".status.lastOperation.state", false),
                ("Provider", "string", ".spec.provider.type", false),
                ("Region", "string", ".spec.provider.region", false),
                AGE,
            ],
            Some(json!({})),
            None,
        ),
        crd(
            &core("BackupEntry", "backupentries", &["bec"], true),
            open(),
            &[("Status", "string", ".status.lastOperation.state", false), ("Bucket", "string", ".spec.bucketName", false), AGE],
            Some(json!({})),
            None,
        ),
        crd(
            &core("ControllerInstallation", "controllerinstallations", &["ctrlinst"], false),
            open(),
            &[
                ("Registration", "string", ".spec.registrationRef.name", false),
                ("Seed", "string", ".spec.seedRef.name", false),
                ("Valid", "string", ".status.conditions[?(@.type==\"Valid\")].status", false),
                ("Installed", "string", ".status.conditions[?(@.type==\"Installed\")].status", false),
                ("Healthy", "string", ".status.conditions[?(@.type==\"Healthy\")].status", false),
                ("Progressing", "string", ".status.conditions[?(@.type==\"Progressing\")].status", false),
                AGE,
            ],
            Some(json!({})),
            None,
        ),
        crd(
            &core("InternalSecret", "internalsecrets", &[], true),
            open(),
            &[("Type", "string", ".type", false), AGE],
            None,
            None,
        ),
        crd(&core("ShootState", "shootstates", &[], true), open(), &[AGE], None, None),
    ]
}

/// How a kind is called.
struct Names {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
}

/// A definition with one version.
fn crd(names: &Names, schema: Value, columns: &[Column], status: Option<Value>, scale: Option<Value>) -> Value {
    let columns: Vec<Value> = columns
        .iter()
        .map(|(name, kind, path, wide)| {
            let mut column = json!({"name": name, "type": kind, "jsonPath": path});
            if *wide {
                column["priority"] = 1.into();
            }
            column
        })
        .collect();
    let mut version = json!({
        "name": names.version,
        "served": true,
        "storage": true,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    });
    let mut subresources = Map::new();
    if let Some(status) = status {
        subresources.insert("status".into(), status);
    }
    if let Some(scale) = scale {
        subresources.insert("scale".into(), scale);
    }
    if !subresources.is_empty() {
        version["subresources"] = subresources.into();
    }
    let mut accepted = json!({
        "plural": names.plural,
        "singular": names.kind.to_ascii_lowercase(),
        "kind": names.kind,
        "listKind": format!("{}List", names.kind),
    });
    if !names.short.is_empty() {
        accepted["shortNames"] = json!(names.short);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", names.plural, names.group), "annotations": {}},
        "spec": {
            "group": names.group,
            "scope": if names.namespaced { "Namespaced" } else { "Cluster" },
            "names": accepted,
            "versions": [version],
        },
    })
}

/// A schema that lets everything through.
fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
