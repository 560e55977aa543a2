//! What is laid over nothing but itself: templates, images, policies and schemas, compiled. The program brings its own; a repository
//! lays its files over them, file by file.
//!
//! Pure, although it holds files: they are part of the program. Whether a broken overlay is used is the caller's decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use crate::admission::policy::Policies;
use crate::digest::{self, Digest};
use crate::finding::{Code, Finding, Findings, Place};
use crate::observed::Keep;
use crate::render::context::Shipped;
use crate::render::{self, Components, Images};
use crate::snapshot::RepoPath;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");
static SCHEMAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schemas");
static EXAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/landscapes");

/// Everything compiled.
pub struct Library {
    components: Components,
    images: Images,
    policies: Policies,
    shipped: Shipped,
    digest: Digest,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Library {
    /// Compiles the program's own files with a repository's overlays (paths below `templates/`, `policies/` and `schemas/`).
    #[must_use]
    pub fn compile(overlays: &BTreeMap<RepoPath, Arc<str>>) -> (Self, Findings) {
        let mut files = builtin();
        files.extend(overlays.iter().map(|(path, text)| (path.clone(), Arc::clone(text))));
        let (components, mut findings) = render::compile(&files);
        let (images, found) = Images::compile(&files);
        findings.extend(found);
        let (policies, found) = Policies::compile(overlays);
        findings.extend(found);
        let shipped = shipped(&files, &mut findings);
        let content: Vec<Value> = files.iter().map(|(path, text)| json!([path, digest::of_bytes(text.as_bytes())])).collect();
        let digest = digest::of_value(&json!(content));
        (Self { components, images, policies, shipped, digest }, findings.sorted())
    }

    /// The components, per scope in graph order.
    #[must_use]
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// The image table.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The policies.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// What of it the garden gets.
    #[must_use]
    pub fn shipped(&self) -> &Shipped {
        &self.shipped
    }

    /// The digest of all files.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The kinds that are written into the garden (or into seeds), as `(apiVersion, kind)`; made secrets included.
    #[must_use]
    pub fn kinds(&self, in_garden: bool) -> BTreeSet<(String, String)> {
        let mut kinds = self.components.kinds(in_garden);
        kinds.insert(("v1".to_owned(), "Secret".to_owned()));
        kinds
    }

    /// What of live objects' bodies facts are read from.
    #[must_use]
    pub fn keep(&self) -> Keep {
        Keep { pointers: self.components.exported_pointers() }
    }
}

/// The program's own templates, policies and schemas by path.
#[must_use]
pub fn builtin() -> BTreeMap<RepoPath, Arc<str>> {
    let mut files = BTreeMap::new();
    for (folder, dir) in [("templates", &TEMPLATES), ("policies", &POLICIES), ("schemas", &SCHEMAS)] {
        collect(folder, dir, &mut files);
    }
    // Shapes of the program's answers are no part of a landscape, nor is what a person installs.
    files.retain(|path, _| !path.as_str().starts_with("schemas/cli/") && !path.as_str().starts_with(INSTALL));
    files
}

/// Where the manifests that a person installs are.
const INSTALL: &str = "templates/install/";

/// A sort of cluster that espalier is let into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install<'a> {
    /// The garden of a landscape.
    Garden {
        /// The landscape's name.
        landscape: &'a str,
    },
    /// Any seed.
    Seed,
}

/// The manifests by which espalier is let into a cluster: service account, roles, bindings.
#[must_use]
pub fn install(cluster: Install<'_>) -> String {
    let (file, landscape) = match cluster {
        Install::Garden { landscape } => ("install/garden.yaml", landscape),
        Install::Seed => ("install/seed.yaml", ""),
    };
    let text = TEMPLATES.get_file(file).and_then(include_dir::File::contents_utf8).unwrap_or_default();
    text.replace("{{landscape}}", landscape)
}

/// The files of an example landscape that the program brings along; none if there is no such example.
#[must_use]
pub fn example(name: &str) -> BTreeMap<RepoPath, Arc<str>> {
    let mut files = BTreeMap::new();
    collect("", &EXAMPLES, &mut files);
    let prefix = format!("/{name}/");
    files
        .into_iter()
        .filter_map(|(path, text)| path.as_str().strip_prefix(&prefix).map(|rest| (RepoPath::from(rest), text)))
        .collect()
}

fn collect(folder: &str, dir: &Dir<'_>, files: &mut BTreeMap<RepoPath, Arc<str>>) {
    for file in dir.files() {
        if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
            files.insert(RepoPath::from(format!("{folder}/{path}")), Arc::from(text));
        }
    }
    for dir in dir.dirs() {
        collect(folder, dir, files);
    }
}

/// Schemas by kind and policies as manifests.
fn shipped(files: &BTreeMap<RepoPath, Arc<str>>, findings: &mut Findings) -> Shipped {
    let mut shipped = Shipped::default();
    for (path, text) in files {
        if let Some(kind) = path.as_str().strip_prefix("schemas/").and_then(|file| file.strip_suffix(".json")) {
            match serde_json::from_str(text) {
                Ok(schema) => drop(shipped.schemas.insert(kind.to_owned(), schema)),
                Err(error) => findings.push(
                    Finding::error(Code::new("LIBRARY-SCHEMA"), format!("the schema is not JSON: {error}"))
                        .at(Place::file(path.clone())),
                ),
            }
        } else if path.as_str().starts_with("policies/") {
            // What cannot be read here is a finding of the policies already.
            let parsed = crate::document::parse(path, text.as_bytes(), &crate::document::Budget::default());
            shipped.policies.extend(parsed.documents.iter().map(|d| d.value().clone()));
        }
    }
    shipped
}
