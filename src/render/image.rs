//! Which container image a name stands for: `templates/images.yaml`, and what a landscape lays over it.
//!
//! An entry without a tag carries the Kubernetes version as its tag (`v1.33.2`), as the control plane's own images do.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::finding::{Code, Finding, Findings};
use crate::snapshot::RepoPath;

use super::load::{place, small};

/// The file of the table.
pub const FILE: &str = "templates/images.yaml";

/// One image that a name may stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Registry and repository.
    pub repository: String,
    /// Tag, or a digest (`sha256:…`); absent = `v` and the Kubernetes version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Kubernetes versions it is for (`>= 1.33, < 1.35`); absent = all that no other entry is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
}

/// Images by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    table: BTreeMap<String, Vec<Image>>,
    /// What a landscape says instead: full references.
    own: BTreeMap<String, String>,
}

impl Images {
    /// Reads the table among the library's files.
    #[must_use]
    pub fn compile(files: &BTreeMap<RepoPath, Arc<str>>) -> (Self, Findings) {
        let mut findings = Findings::default();
        let path = RepoPath::from(FILE);
        let Some(text) = files.get(&path) else { return (Self::default(), findings) };
        let code = Code::new("TEMPLATE-IMAGES");
        match serde_yaml::from_str::<BTreeMap<String, Vec<Image>>>(text) {
            Ok(table) => {
                for (name, message) in table.iter().filter_map(|(n, images)| check(images).err().map(|e| (n, e))) {
                    let line = text.lines().position(|l| l.starts_with(&format!("{name}:"))).map_or(1, |at| small(at) + 1);
                    findings
                        .push(Finding::error(code.clone(), format!("image `{name}`: {message}")).at(place(&path, text, line, 1)));
                }
                (Self { table, own: BTreeMap::new() }, findings)
            }
            Err(error) => {
                let (line, column) = error.location().map_or((1, 1), |l| (small(l.line()), small(l.column())));
                findings.push(Finding::error(code, format!("image table: {error}")).at(place(&path, text, line, column)));
                (Self::default(), findings)
            }
        }
    }

    /// This table with a landscape's own references (`spec.images`) in place of those of the same names.
    pub fn overridden(&self, references: &Value) -> Result<Self, String> {
        let own: BTreeMap<String, String> =
            serde_json::from_value(references.clone()).map_err(|e| format!("the landscape's images: {e}"))?;
        for (name, reference) in &own {
            if !self.table.contains_key(name) {
                return Err(format!("the landscape has an image `{name}`, which no component uses"));
            }
            if !is_reference(reference) {
                return Err(format!("the landscape's image `{name}` is `{reference}`, which is not an image reference"));
            }
        }
        Ok(Self { table: self.table.clone(), own })
    }

    /// The reference of an image for a Kubernetes version: the first entry made for the version, or else the first for all.
    pub fn pick(&self, name: &str, kubernetes: &str) -> Result<String, String> {
        if let Some(reference) = self.own.get(name) {
            let last = reference.rsplit('/').next().unwrap_or_default();
            let complete = last.contains([':', '@']);
            return Ok(if complete { reference.clone() } else { format!("{reference}:v{kubernetes}") });
        }
        let images = self.table.get(name).ok_or_else(|| format!("no image is named `{name}`"))?;
        let version = Version::parse(kubernetes).ok();
        let made_for = |image: &&Image| {
            let constraint = image.versions.as_deref().and_then(|v| VersionReq::parse(v).ok());
            matches!((constraint, &version), (Some(c), Some(v)) if c.matches(v))
        };
        let image = images
            .iter()
            .find(made_for)
            .or_else(|| images.iter().find(|image| image.versions.is_none()))
            .ok_or_else(|| format!("image `{name}` is not offered for Kubernetes {kubernetes}"))?;
        Ok(match &image.tag {
            Some(digest) if digest.starts_with("sha256:") => format!("{}@{digest}", image.repository),
            Some(tag) => format!("{}:{tag}", image.repository),
            None => format!("{}:v{kubernetes}", image.repository),
        })
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(String::as_str)
    }
}

fn check(images: &[Image]) -> Result<(), String> {
    if images.is_empty() {
        return Err("has no entry".into());
    }
    for image in images {
        if let Some(versions) = &image.versions {
            VersionReq::parse(versions).map_err(|e| format!("`{versions}` is not a version constraint: {e}"))?;
        }
        if !is_reference(&format!("{}{}", image.repository, image.tag.as_deref().unwrap_or_default())) {
            return Err(format!("`{}` is not an image repository", image.repository));
        }
    }
    Ok(())
}

/// Whether a text has only characters that image references have.
fn is_reference(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/:@+-".contains(c))
}
