//! The Acknowledgement: what one change costs, read and accepted in words. It is bound to that change by its digest, and acknowledges no
//! other. No object of the landscape: nothing of it goes to a cluster.

use std::sync::{Arc, OnceLock};

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::{Content, Entry, Spot};
use super::meta::ObjectMeta;
use super::paths::{Folder, Path};
use super::schema::{self, Shape};
use super::shape::{Time, shapes};
use super::{Kind, Sourced, decode};
use crate::document::Document;
use crate::finding::{Code, Finding, On};

/// The `kind` of the manifest.
pub const KIND: &str = "Acknowledgement";

shapes! {
    /// What one change costs, read and accepted in words.
    struct Acknowledgement {
        /// espalier.dev/v1alpha1
        api_version: String,
        /// Acknowledgement
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What is accepted.
        spec: AcknowledgementSpec,
    }

    /// What is accepted.
    struct AcknowledgementSpec {
        /// What it costs, such as one-way or deletes.
        #[schemars(extend("enum" = ["scales", "restarts-kubelet", "restarts-control-plane",
            "workload-stops", "api-downtime", "in-place-nodes", "rolls-nodes", "recreates", "one-way", "deletes"]))]
        mark: String,
        /// Whom: shoots as project/name, all of a project as project/*, other objects by their names.
        objects: Vec<String>,
        /// The digest of the change, as `plan` shows it: no other change is acknowledged.
        #[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
        change: String,
        /// Why that is accepted.
        reason: String,
        /// Since when it acknowledges nothing any more (RFC 3339); absent means never.
        until: Option<Time>,
    }
}

/// The schema of the kind.
#[must_use]
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Acknowledgement>();
    schema::finished(schema, KIND, Kind::Landscape.api_version())
}

fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| schema::reduced(&json_schema()))
}

/// What became of a document that says it is one.
pub(super) fn entry(document: &Arc<Document>, path: Path<'_>, spot: Spot) -> Entry {
    let mut value = document.value().clone();
    let mut findings = decode::check_shape(shape(), &mut value, document);
    if path != Path::Folder(Folder::Acknowledgements) {
        let message = format!("an {KIND} does not belong in {}", document.path());
        let finding = Finding::error(Code::new("LOAD-PLACE"), message).at(document.place(&"/kind".into(), On::Value));
        findings.push(finding.help("move it to acknowledgements/"));
    }
    let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if version != Kind::Landscape.api_version() {
        let message = format!("`{KIND}` of `{version}` does not belong in a landscape");
        let finding = Finding::error(Code::new("LOAD-KIND"), message).at(document.place(&"/apiVersion".into(), On::Value));
        findings.push(finding.help(format!("write `apiVersion: {}`", Kind::Landscape.api_version())));
    }
    let spec = if findings.has_errors() { None } else { serde_json::from_value(value.clone()).ok() };
    let content = match spec {
        Some(spec) => {
            Content::Acknowledgement(Sourced { spec: Arc::new(spec), value: Arc::new(value), document: Arc::clone(document) })
        }
        None => Content::Refused,
    };
    Entry { spot, content, findings }
}
