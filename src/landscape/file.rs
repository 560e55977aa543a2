//! One claimed file: its documents, identified, cleaned and decoded. A function of path and bytes alone, so it is remembered by
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::nearest::nearest;
use super::paths::{self, Folder, Path};
use super::{Acknowledgement, Distances, Kind, Object, Owner, Sourced, acknowledgement, decode, paste, secret};
use crate::document::{self, Budget, Document, Identity};
use crate::finding::{Code, ErrorType, Finding, Findings, On, Place, Pointer, Severity};
use crate::observed::{project_namespace, project_of};
use crate::snapshot::RepoPath;

/// The label of ConfigMaps with region distances.
const DISTANCES_LABEL: &str = "scheduling.gardener.cloud/purpose";
/// The annotation that names the cloud profiles they are for.
const DISTANCES_PROFILES: &str = "scheduling.gardener.cloud/cloudprofiles";

/// What a file contained.
#[derive(Debug, Default)]
pub struct File {
    pub(super) entries: Vec<Entry>,
    /// Findings that belong to no entry.
    pub(super) findings: Findings,
}

/// One document.
#[derive(Debug)]
pub(super) struct Entry {
    pub spot: Spot,
    pub content: Content,
    pub findings: Findings,
}

/// Where a document is. Resolving a place reads the text again, which sound documents should not cost.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    Place(Place),
    Document(Arc<Document>),
}

impl Spot {
    /// The place of the document's first line.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Place(place) => place.clone(),
            Self::Document(document) => document.place(&Pointer::root(), On::Key),
        }
    }
}

/// What became of a document.
#[derive(Debug)]
pub(super) enum Content {
    /// An object.
    Object(Owner, Object),
    /// It is about these, and unusable.
    Broken(Vec<Owner>),
    /// It is not known what it is about.
    Unknown,
    /// An encrypted Secret.
    Credential { project: String, name: String },
    /// Region distances by cloud profile.
    Distances(BTreeMap<String, Distances>),
    /// What a change costs, accepted in words.
    Acknowledgement(Sourced<Acknowledgement>),
    /// Refused, and nothing that a landscape could contain.
    Refused,
}

/// Reads a claimed file.
pub(super) fn read(path: &RepoPath, sorted: Path<'_>, bytes: &[u8]) -> File {
    if bytes.trim_ascii_start().starts_with(secret::AGE_ARMOR) {
        let note = Finding::note(Code::new("SECRET-ENCRYPTED"), "this file is encrypted with age and is not read")
            .at(Place::file(path.clone()))
            .help("what uses it waits for a Secret in the garden");
        return File { entries: Vec::new(), findings: Findings(vec![note]) };
    }
    let parsed = document::parse(path, bytes, &Budget::default());
    let mut file = File { entries: Vec::new(), findings: parsed.findings };
    for broken in parsed.broken {
        let place = Place { path: path.clone(), span: Some(broken.span), pointer: Pointer::root(), note: String::new() };
        let owners = broken.identity.as_ref().map(|identity| owners(identity, sorted)).unwrap_or_default();
        // The findings of a broken document are in its range; they go with its owner.
        let mut own = Findings::default();
        let inside = |finding: &Finding| {
            finding
                .places
                .first()
                .and_then(|p| p.span)
                .is_some_and(|span| span.start >= broken.span.start && span.start <= broken.span.end)
        };
        if let Some(owner) = owners.first() {
            for finding in &mut file.findings.0 {
                // What a file has too much of begins where the last document that was read ends, and is nobody's.
                let beyond = finding.code.as_str() == "DOC-BUDGET-DOCUMENTS";
                if finding.severity == Severity::Error && finding.owner.is_empty() && !beyond && inside(finding) {
                    finding.owner = owner.to_string();
                    own.push(finding.clone());
                }
            }
            file.findings.0.retain(|finding| !own.0.contains(finding));
            if let Some(document) = parsed.repetitive.iter().find(|document| document.index() == broken.index) {
                own.extend(decode::check(owner.kind, owner, &mut document.value().clone(), document));
            }
        }
        let content = if owners.is_empty() { Content::Unknown } else { Content::Broken(owners) };
        file.entries.push(Entry { spot: Spot::Place(place), content, findings: own });
    }
    for document in parsed.documents {
        file.entries.push(entry(&document, sorted));
    }
    file
}

/// The owners that a document is about: by its folder, and by its namespace where that says otherwise.
pub(super) fn owners(identity: &Identity, path: Path<'_>) -> Vec<Owner> {
    let Some(kind) = Kind::of(&identity.api_version, &identity.kind) else { return Vec::new() };
    if !kind.namespaced() {
        return vec![Owner::cluster(kind, identity.name.clone())];
    }
    let by_path = match path {
        Path::Project { project, .. } if !project.is_empty() => Some(project.to_owned()),
        Path::Folder(Folder::Seeds) if kind == Kind::ManagedSeed => Some("garden".to_owned()),
        _ => None,
    };
    let by_namespace = named_by(&identity.namespace);
    let mut projects: Vec<String> = by_path.into_iter().chain(by_namespace).collect();
    projects.dedup();
    projects.into_iter().map(|project| Owner::project(kind, project, identity.name.clone())).collect()
}

/// The project that a manifest's namespace names.
fn named_by(namespace: &str) -> Option<String> {
    project_of(namespace).filter(|project| !project.is_empty()).map(str::to_owned)
}

fn entry(document: &Arc<Document>, path: Path<'_>) -> Entry {
    let spot = Spot::Document(Arc::clone(document));
    let refuse = |content: Content, finding: Finding| Entry { spot: spot.clone(), content, findings: Findings(vec![finding]) };
    let value = document.value();
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if text("kind") == Some("Secret") {
        return secret_entry(document, path, spot);
    }
    if text("kind") == Some(acknowledgement::KIND) {
        return acknowledgement::entry(document, path, spot);
    }
    if text("apiVersion") == Some("v1") && text("kind") == Some("ConfigMap") && path == Path::Folder(Folder::Seeds) {
        return distances_entry(document, spot);
    }
    let Some(identity) = document.identity() else { return refuse(Content::Unknown, no_identity(document)) };
    let Some(kind) = Kind::of(&identity.api_version, &identity.kind) else {
        return refuse(Content::Unknown, unknown_kind(document, &identity));
    };
    let owners = owners(&identity, path);
    let Some(owner) = owners.first().cloned() else {
        let finding = Finding::error(
            Code::new("LOAD-IDENTITY"),
            format!("it is not known which project {kind} `{}` belongs to", identity.name),
        )
        .at(document.place(&"/metadata/namespace".into(), On::Value))
        .help(format!("set `metadata.namespace` to garden-<project>, or move it to {}", paths::home(kind, "")));
        return refuse(Content::Unknown, finding);
    };
    let mut findings = placement(document, path, kind, &identity, &owner);
    findings.extend(size(document, kind, &owner));
    let mut value = value.clone();
    findings.extend(paste::clean(&owner, &mut value, document));
    let object = fields(kind, &owner, value, document, &mut findings);
    let content = match object {
        Some(object) if !findings.has_errors() => Content::Object(owner, object),
        _ => Content::Broken(owners),
    };
    Entry { spot, content, findings }
}

/// Decodes the fields of an object.
fn fields(kind: Kind, owner: &Owner, mut value: Value, document: &Arc<Document>, findings: &mut Findings) -> Option<Object> {
    findings.extend(decode::check(kind, owner, &mut value, document));
    if findings.has_errors() {
        return None;
    }
    Object::decode(owner, &Arc::new(value), document).map_err(|finding| findings.push(*finding)).ok()
}

/// A document as an API server decodes it, wherever it lies and whatever it was pasted from: who it says it is, and its fields if
/// they can be decoded. The name may be missing; the project is the namespace without `garden-`.
#[must_use]
pub fn read_object(document: &Arc<Document>) -> (Option<(Owner, Arc<Value>)>, Findings) {
    let value = document.value();
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let identity = Identity {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    };
    let Some(kind) = Kind::of(&identity.api_version, &identity.kind) else {
        return (None, Findings(vec![unknown_kind(document, &identity)]));
    };
    let owner = if kind.namespaced() {
        let project = named_by(&identity.namespace).unwrap_or(identity.namespace);
        Owner::project(kind, project, identity.name)
    } else {
        Owner::cluster(kind, identity.name)
    };
    let mut findings = Findings::default();
    let object = fields(kind, &owner, value.clone(), document, &mut findings);
    (object.map(|object| (owner, Arc::clone(object.value()))), findings)
}

/// Whether the object is as small as a server wants it: as JSON, up to 750 KiB of a Shoot, 300 KiB of a Project.
fn size(document: &Document, kind: Kind, owner: &Owner) -> Findings {
    let most = match kind {
        Kind::Shoot => 750 << 10,
        Kind::Project => 300 << 10,
        _ => return Findings::default(),
    };
    // JSON is at most some times longer than YAML, so most texts need not be written to know.
    if document.range().len() < most / 4 || document.value().to_string().len() <= most {
        return Findings::default();
    }
    let message = format!("a {kind} of more than {} KiB is refused", most >> 10);
    let place = document.place(&"/metadata/name".into(), On::Value);
    Findings(vec![
        Finding::error(Code::new("LOAD-SIZE"), message)
            .at(place)
            .help("make it smaller: mostly one field is far too long")
            .of(owner),
    ])
}

/// Whether the object lies where it belongs.
fn placement(document: &Document, path: Path<'_>, kind: Kind, identity: &Identity, owner: &Owner) -> Findings {
    let mut findings = Findings::default();
    let mut error = |code: &'static str, message: String, pointer: &str, help: String| {
        let place = document.place(&pointer.into(), On::Value);
        findings.push(Finding::error(Code::new(code), message).at(place).help(help).of(owner));
    };
    if !paths::is_home(kind, path) {
        let message = format!("a {kind} does not belong in {}", document.path());
        error("LOAD-PLACE", message, "/kind", format!("move it to {}", paths::home(kind, &owner.project)));
    }
    let expected = if kind.namespaced() { project_namespace(&owner.project) } else { String::new() };
    if !identity.namespace.is_empty() && identity.namespace != expected {
        let (message, help) = if kind.namespaced() {
            let message =
                format!("the namespace `{}` contradicts the path: the project is `{}`", identity.namespace, owner.project);
            (message, format!("remove `namespace`, or write `{expected}`, or move the file"))
        } else {
            (format!("a {kind} has no namespace, but `{}` is given", identity.namespace), "remove `namespace`".to_owned())
        };
        error("LOAD-NAMESPACE", message, "/metadata/namespace", help);
    }
    if let (Kind::Project, Path::Project { project, .. }) = (kind, path)
        && *project != identity.name
    {
        let message = format!("the project is called `{}`, its folder `{project}`", identity.name);
        error(
            "LOAD-NAME",
            message,
            "/metadata/name",
            format!("call it `{project}`, or move it to projects/{}/project.yaml", identity.name),
        );
    }
    findings
}

/// Says what is missing of apiVersion, kind and name.
fn no_identity(document: &Document) -> Finding {
    let value = document.value();
    let missing: Vec<&str> = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
        .into_iter()
        .filter(|(pointer, _)| value.pointer(pointer).and_then(Value::as_str).is_none_or(str::is_empty))
        .map(|(_, name)| name)
        .collect();
    let mut finding = Finding::error(Code::new("LOAD-IDENTITY"), format!("the document lacks {}", missing.join(" and ")))
        .at(document.place(&Pointer::root(), On::Key))
        .help("every manifest needs apiVersion, kind and metadata.name; nothing is deleted while one has no identity");
    finding = if missing == ["metadata.name"] {
        finding.cause(ErrorType::Required, "metadata.name")
    } else {
        finding.cause(ErrorType::DecodeError, "")
    };
    let keys: Vec<&str> = value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    for wanted in ["apiVersion", "kind", "metadata"] {
        if value.get(wanted).is_none()
            && let Some(near) =
                nearest(wanted, keys.iter().copied().filter(|key| !matches!(*key, "apiVersion" | "kind" | "metadata" | "spec")))
        {
            finding = finding.at(document.place(&Pointer::root().key(near), On::Key).noted(format!("did you mean `{wanted}`?")));
        }
    }
    finding
}

fn unknown_kind(document: &Document, identity: &Identity) -> Finding {
    let same_kind = Kind::ALL.iter().find(|kind| kind.name() == identity.kind);
    let (pointer, help) = if let Some(kind) = same_kind {
        ("/apiVersion", format!("write `apiVersion: {}`", kind.api_version()))
    } else if let Some(near) = nearest(&identity.kind, Kind::ALL.iter().map(|kind| kind.name())) {
        ("/kind", format!("did you mean `{near}`?"))
    } else {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        ("/kind", format!("a landscape consists of {}", known.join(", ")))
    };
    let message = format!("`{}` of `{}` does not belong in a landscape", identity.kind, identity.api_version);
    Finding::error(Code::new("LOAD-KIND"), message)
        .at(document.place(&pointer.into(), On::Value))
        .help(help)
        .cause(ErrorType::DecodeError, "")
}

/// A Secret. Its findings point at `kind`, never at its content, which a printer would show.
fn secret_entry(document: &Document, path: Path<'_>, spot: Spot) -> Entry {
    let at = document.place(&"/kind".into(), On::Value);
    let value = document.value();
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let here = |finding: Finding, content: Content| Entry { spot: spot.clone(), content, findings: Findings(vec![finding]) };
    let Path::Project { project, part } = path else {
        let finding = Finding::error(Code::new("LOAD-PLACE"), format!("a Secret does not belong in {}", document.path()))
            .at(at)
            .help("encrypted Secrets belong in projects/<project>/credentials/");
        return here(finding, Content::Refused);
    };
    let Some(how) = secret::encryption(value) else {
        let finding = Finding::error(Code::new("SECRET-PLAIN"), format!("the Secret `{name}` is not encrypted"))
            .at(at)
            .help("take it out of the history and replace its content; keep it in the garden, or encrypt it with SOPS or age");
        return here(finding, Content::Refused);
    };
    if part != "credentials" || name.is_empty() {
        let finding = Finding::error(
            Code::new("LOAD-PLACE"),
            format!("the encrypted Secret `{name}` does not belong in {}", document.path()),
        )
        .at(at)
        .help(format!("give it a name, and move it to projects/{project}/credentials/"));
        return here(finding, Content::Refused);
    }
    let message = format!("the Secret `{name}` is encrypted with {how} and is not read");
    let finding = Finding::note(Code::new("SECRET-ENCRYPTED"), message)
        .at(at)
        .help("what uses it waits for a Secret of that name in the garden");
    here(finding, Content::Credential { project: project.to_owned(), name })
}

/// A ConfigMap with region distances.
fn distances_entry(document: &Document, spot: Spot) -> Entry {
    let value = document.value();
    let refuse = |message: String, pointer: &Pointer, help: &str| Entry {
        spot: spot.clone(),
        content: Content::Refused,
        findings: Findings(vec![
            Finding::error(Code::new("LOAD-DISTANCES"), message).at(document.place(pointer, On::Value)).help(help),
        ]),
    };
    let label = Pointer::from("/metadata/labels").key(DISTANCES_LABEL);
    if value.pointer(label.as_str()).and_then(Value::as_str) != Some("region-config") {
        let help = "label it `scheduling.gardener.cloud/purpose: region-config`, or remove it";
        return refuse("only ConfigMaps with region distances belong here".to_owned(), &label, help);
    }
    let annotation = Pointer::from("/metadata/annotations").key(DISTANCES_PROFILES);
    let Some(profiles) = value.pointer(annotation.as_str()).and_then(Value::as_str) else {
        let help = "annotate it `scheduling.gardener.cloud/cloudprofiles: <name>,<name>`";
        return refuse("it is not said which cloud profiles these distances are for".to_owned(), &annotation, help);
    };
    let mut distances = Distances::new();
    for (region, text) in value.get("data").and_then(Value::as_object).into_iter().flatten() {
        let pointer = Pointer::from("/data").key(region);
        let parsed = document::parse(document.path(), text.as_str().unwrap_or_default().as_bytes(), &Budget::default());
        let row: Option<BTreeMap<String, i64>> = match parsed.documents.as_slice() {
            [one] => {
                one.value().as_object().and_then(|map| map.iter().map(|(to, far)| Some((to.clone(), far.as_i64()?))).collect())
            }
            _ => None,
        };
        let Some(row) = row else {
            return refuse(
                format!("the distances of region `{region}` cannot be read"),
                &pointer,
                "write lines of `region: number`",
            );
        };
        distances.insert(region.clone(), row);
    }
    let by_profile =
        profiles.split(',').map(str::trim).filter(|p| !p.is_empty()).map(|p| (p.to_owned(), distances.clone())).collect();
    Entry { spot, content: Content::Distances(by_profile), findings: Findings::default() }
}
