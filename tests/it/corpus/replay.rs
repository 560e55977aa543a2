//! One line of the corpus: the object that it describes, what espalier says to it, and whether that agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use espalier::admission::{Case, Extent, Foreign, Gates, World, judge};
use espalier::document::{self, Budget};
use espalier::finding::{ErrorType, Finding, Findings, Severity};
use espalier::landscape::{self, Kind, Owner};
use espalier::snapshot::RepoPath;
use serde::Deserialize;
use serde_json::Value;

use super::compare;

/// 2026-08-21: between the expirations in the past and those in the future.
const NOW: i64 = 1_787_270_400;

/// (type, field).
pub(super) type Errors = BTreeSet<(String, String)>;

/// The folder, with what its lines refer to.
pub(super) struct Corpus {
    folder: PathBuf,
    bases: BTreeMap<String, Value>,
    world: World,
}

/// How one line came out.
pub(super) struct Outcome {
    pub kind: String,
    pub id: String,
    /// Whether the verdicts agree; none for lines that only show an object.
    pub verdict: Option<bool>,
    /// Whether the errors agree.
    pub fields: Option<bool>,
    /// Whether the object agrees.
    pub object: Option<bool>,
    /// What the disagreement is about, for counting.
    pub about: Vec<String>,
    /// The codes of our errors.
    pub codes: BTreeSet<String>,
    /// Everything, for reading.
    pub text: String,
}

impl Outcome {
    /// Whether anything differs.
    pub(super) fn disagrees(&self) -> bool {
        [self.verdict, self.fields, self.object].contains(&Some(false))
    }
}

/// What espalier says.
struct Said {
    manifest: Option<Arc<Value>>,
    findings: Findings,
}

impl Said {
    fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.severity == Severity::Error)
    }

    fn accepts(&self) -> bool {
        !self.findings.has_errors()
    }

    /// What an API server would answer. It stops where it cannot go on: at what it cannot decode, and after the first plugin that
    /// refuses; we go on, for whoever reads all of it at once.
    fn answer(&self) -> Errors {
        let plugin = |f: &Finding| f.cause.as_ref().and_then(|cause| cause.plugin.clone());
        let first = self.errors().next().and_then(plugin);
        let undecodable = |f: &Finding| f.cause.as_ref().is_some_and(|cause| cause.error == ErrorType::DecodeError);
        if self.errors().any(undecodable) {
            return [(ErrorType::DecodeError.to_string(), String::new())].into();
        }
        let all: Errors = self
            .errors()
            .filter(|f| plugin(f) == first)
            .map(|f| match &f.cause {
                Some(cause) => (cause.error.to_string(), cause.field.clone()),
                None => ("Espalier".to_owned(), f.code.to_string()),
            })
            .collect();
        // Within a plugin, too, it goes no further than the first step that refuses without naming fields.
        let step = (ErrorType::AdmissionError.to_string(), String::new());
        if all.contains(&step) { [step].into() } else { all }
    }
}

impl Corpus {
    pub(super) fn open(folder: &Path) -> Self {
        let mut bases = BTreeMap::new();
        for (name, text) in files(&folder.join("bases")) {
            let value = documents(&text).into_iter().next().map(|d| d.value().clone()).expect("a base is an object");
            bases.insert(name, value);
        }
        let mut objects: BTreeMap<Owner, Arc<Value>> = BTreeMap::new();
        // The world is the other side's: it may use what our own reader refuses, such as anchors.
        let others: Vec<Value> = files(&folder.join("world")).values().flat_map(|text| yaml(text)).collect();
        let texts = others.iter().map(Value::to_string);
        let read = texts.flat_map(|text| documents(&text)).filter_map(|d| landscape::read_object(&d).0);
        let mut read: Vec<_> = read.collect();
        read.sort_by(|a, b| a.0.cmp(&b.0));
        for (owner, written) in read {
            let world = World::new("corpus", objects.clone(), Gates::default());
            let case = Case { owner: &owner, written: &written, old: None, now: NOW };
            let (manifest, _) = judge(&case, &world, Extent::Gardener);
            objects.insert(owner, manifest);
        }
        let key = |object: &Value| {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            Foreign::new(text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
        };
        let core = others.into_iter().filter(|object| object["apiVersion"] == "v1");
        let foreign = core.map(|object| (key(&object), Arc::new(object))).collect();
        Self { folder: folder.to_owned(), bases, world: World::new("corpus", objects, Gates::default()).beside(foreign) }
    }

    /// The lines of a file; none if there is no such file.
    pub(super) fn lines(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join(format!("{file}.jsonl"))).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    fn base<'a>(&'a self, line: &'a Value) -> Option<&'a Value> {
        let name = line.get("base").and_then(Value::as_str).unwrap_or_default();
        self.bases.get(name).or_else(|| line.get("manifest"))
    }

    /// The kind that a line is about.
    pub(super) fn kind(&self, line: &Value) -> String {
        let raw = || kind_of(line.get("raw").and_then(Value::as_str).unwrap_or_default());
        let named = self.base(line).and_then(|base| base.get("kind")).and_then(Value::as_str);
        named.map_or_else(raw, str::to_owned)
    }

    /// Replays a line.
    pub(super) fn outcome(&self, file: &str, line: &Value, extent: Extent) -> Outcome {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let base = self.base(line);
        let update = line.get("oldPatch").is_some();
        let mut new = base.map(|base| patched(base, line.get("patch")));
        let old = base.filter(|_| update).map(|base| Arc::new(stored(&patched(base, line.get("oldPatch")))));
        if update && let Some(new) = new.as_mut().and_then(Value::as_object_mut) {
            // It is the server's, and what is written says nothing about it.
            new.remove("status");
        }
        let written = new.as_ref().map_or_else(|| text("raw").to_owned(), Value::to_string);
        let own = World::new("corpus", BTreeMap::new(), Gates::parse(text("gates")));
        let world = if extent == Extent::Static { &own } else { &self.world };
        let said = say(&written, old.as_ref(), world, extent);
        let mut outcome = Outcome {
            kind: self.kind(line),
            id: text("id").to_owned(),
            verdict: None,
            fields: None,
            object: None,
            about: Vec::new(),
            codes: said.errors().map(|f| f.code.to_string()).collect(),
            text: String::new(),
        };
        let expected = if file == "mutated" { line.get("object") } else { line.get("stored").or(line.get("defaulted")) };
        match expected {
            Some(expected) => outcome.compare_objects(line, expected, &said),
            None => outcome.compare_errors(line, &said),
        }
        outcome
    }
}

impl Outcome {
    fn compare_errors(&mut self, line: &Value, said: &Said) {
        let theirs = line.get("apply").unwrap_or(line);
        let accepted = theirs["verdict"] == "accept";
        let (want, got) = (expected(theirs), said.answer());
        self.verdict = Some(said.accepts() == accepted);
        self.fields = Some(want == got);
        if said.accepts() != accepted {
            self.about.push(if accepted { "accepted there, refused here".into() } else { "refused there, accepted here".into() });
        }
        self.about.extend(want.difference(&got).map(|e| format!("lacks {} {}", e.0, compare::without_indices(&e.1))));
        self.about.extend(got.difference(&want).map(|e| format!("adds {} {}", e.0, compare::without_indices(&e.1))));
        let patches = [line.get("gates"), line.get("oldPatch"), line.get("patch"), line.get("raw")];
        let patches: Vec<String> = patches.into_iter().flatten().map(Value::to_string).collect();
        let messages: Vec<String> = said.errors().map(|f| format!("    {} {}", f.code, f.message)).collect();
        self.text = format!(
            "{} {} {}\n  {}\n  want {} {want:?}\n  got {got:?}\n{}",
            self.id,
            line["base"].as_str().unwrap_or_default(),
            line["why"].as_str().unwrap_or_default(),
            patches.join("\n  "),
            [&theirs["verdict"], &line["plugin"]].map(|v| v.as_str().unwrap_or_default()).join(" "),
            messages.join("\n"),
        );
    }

    fn compare_objects(&mut self, line: &Value, expected: &Value, said: &Said) {
        let random: Vec<&str> = line["random"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let nothing = Value::Null;
        let differences = compare::objects(expected, said.manifest.as_deref().unwrap_or(&nothing), &random);
        self.object = Some(differences.is_empty());
        self.about = differences.iter().map(|d| compare::without_indices(&d.field)).collect();
        self.about.dedup();
        let shown: Vec<String> = differences.iter().map(|d| format!("  {}: want {} got {}", d.field, d.want, d.got)).collect();
        self.text = format!("{} {}\n  {}\n{}", self.id, line["base"], line["patch"], shown.join("\n"));
    }
}

/// The errors of a line; of those that cannot be decoded only the type tells something.
fn expected(line: &Value) -> Errors {
    let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
    let errors = line.get("errors").and_then(Value::as_array).into_iter().flatten();
    errors
        .map(|error| match text(error, "type") {
            kind if kind == ErrorType::DecodeError.as_str() => (kind, String::new()),
            kind => (kind, text(error, "field")),
        })
        .collect()
}

/// The way of a text through `validate`: the reader of documents, the decoder, defaults and rules.
fn say(text: &str, old: Option<&Arc<Value>>, world: &World, extent: Extent) -> Said {
    let parsed = document::parse(&path(), text.as_bytes(), &Budget::default());
    let [document] = parsed.documents.as_slice() else {
        let mut findings = parsed.findings;
        for document in &parsed.repetitive {
            findings.extend(landscape::read_object(document).1);
        }
        return Said { manifest: None, findings };
    };
    let (object, mut findings) = landscape::read_object(document);
    findings.extend(parsed.findings);
    let Some((owner, written)) = object.filter(|_| !findings.has_errors()) else { return Said { manifest: None, findings } };
    let (manifest, found) = judge(&Case { owner: &owner, written: &written, old, now: NOW }, world, extent);
    findings.extend(found);
    Said { manifest: Some(manifest), findings }
}

/// What a server has stored of an object: read like any other, with what only servers write.
fn stored(object: &Value) -> Value {
    let documents = documents(&object.to_string());
    let read = documents.first().and_then(|document| landscape::read_object(document).0);
    read.map_or_else(|| object.clone(), |(_, value)| value.as_ref().clone())
}

fn patched(base: &Value, patch: Option<&Value>) -> Value {
    let mut value = base.clone();
    if let Some(patch) = patch {
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).expect("patches are RFC 6902");
        json_patch::patch(&mut value, &patch).expect("patches apply to their base");
    }
    value
}

fn path() -> RepoPath {
    RepoPath::from("case.yaml")
}

fn documents(text: &str) -> Vec<Arc<document::Document>> {
    document::parse(&path(), text.as_bytes(), &Budget::default()).documents
}

/// The documents of a text, with what its anchors stand for.
fn yaml(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("the world can be read"))
        .collect()
}

/// The kind that a text names.
fn kind_of(text: &str) -> String {
    let named = |kind: &&Kind| text.contains(&format!("kind: {kind}\n")) || text.contains(&format!("kind: {kind}\r\n"));
    Kind::ALL.iter().find(named).map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// The YAML files of a folder, by name without extension.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("the file can be read"))
        })
        .collect()
}
