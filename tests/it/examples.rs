//! The examples of `explain`: each piece that fails raises its code and no other error, and each that passes raises none.
//!
//! A piece is laid over an object of the shipped landscape `local`, or of `examples/` here for kinds that it has not; then the
//! whole landscape goes the way of `validate`. Maps are merged, lists of named things by their names; other lists are replaced, and
//! `null` takes a field away. An example that is a text is a whole file of the landscape. An example with `garden` is judged as the
//! garden sees an object: with Secrets and ConfigMaps, and what was accepted with its status.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use espalier::admission::policy::Policies;
use espalier::admission::{self, Accepted, Case, Extent, Foreign, Gates, Memory, World, admit, judge};
use espalier::document::{self, Budget};
use espalier::finding::{Code, Example, Finding, Findings, Severity};
use espalier::landscape::{self, FileMemo, Kind, Owner, load};
use espalier::library::{self, Library};
use espalier::plan::acknowledged;
use espalier::snapshot::RepoPath;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::landscapes::{admitted, folder, render_mini, snapshot};

/// 2026-11-21.
const NOW: i64 = 1_795_219_200;

const A_RIGHT: &str = "it asks for a right of whoever changed the object, and everybody has it unless told otherwise";
const FINALIZERS: &str = "no manifest in Git may have finalizers at all, which PASTE-FINALIZER says first";
const A_SEED: &str = "it is about the shoots that a seed has";
const NOT_IN_GIT: &str = "it depends on another object's being deleted, which no manifest in Git can say";

/// Codes without an example, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("ACK-UNUSED", "it is about the change that is planned, not about the file alone"),
    ("DOC-BUDGET-BYTES", "an example would be longer than a manifest may be"),
    ("DOC-BUDGET-NODES", "an example would have more values than a manifest may have"),
    ("DOC-BUDGET-DOCUMENTS", "an example would have more documents than a file may have"),
    ("DOC-BUDGET-DEPTH", "an example would be deeper than can be read"),
    ("DOC-BUDGET-SCALAR", "an example would be longer than can be read"),
    ("FREEZE", "it is about what was accepted in a garden, at a time"),
    ("DELETE-BUDGET", "it counts deletions of 24 hours, which only a run of the daemon has"),
    ("DOC-ENCODING", "a text cannot show what is no text"),
    ("EXTENSION-LEFT-OUT", A_SEED),
    ("EXTENSION-UNSERVED", A_SEED),
    ("FINALIZER-REMOVED", FINALIZERS),
    ("INTERNAL-ERROR", "no manifest is known that raises it"),
    ("LANDSCAPE-GONE", "it is about what was accepted in a garden"),
    ("LANDSCAPE-RENAMED", "it is about what was accepted in a garden under another name"),
    ("LOAD-LINK", "a link is no text"),
    ("LOAD-SIZE", "an example would be longer than a file may be"),
    ("LOAD-TEXT", "a text cannot show what is no text"),
    ("MANAGEDSEED-PROJECT", "in a repository every managed seed is in the project `garden`"),
    ("NAMESPACED-RIGHT", A_RIGHT),
    ("PROJECT-RIGHT", A_RIGHT),
    ("SEED-WILDCARD-CERTIFICATE", "it is about a Secret that somebody keeps in a seed"),
    ("SHOOT-BIND-RIGHT", A_RIGHT),
    ("SHOOT-CREDENTIALS-RIGHT", A_RIGHT),
    ("SHOOT-FINALIZER", FINALIZERS),
    ("SHOOT-PROJECT-DELETING", NOT_IN_GIT),
    ("SHOOT-SEED-DELETING", NOT_IN_GIT),
    ("SHOOT-SELFHOSTED-RIGHT", A_RIGHT),
];

/// Codes that another rule speaks beside, about the same mistake.
const BESIDE: &[(&str, &str)] = &[
    ("SEED-DEFAULTS-REMOVED", "SEED-DOMAIN-IN-USE"),
    ("SHOOT-BINDING-CHANGED", "SHOOT-BINDING"),
    ("SHOOT-HIBERNATION-OPERATION", "SHOOT-OPERATION-ASLEEP"),
    ("SHOOT-OWN-EXPOSURE", "SHOOT-EXTENSION-UNKNOWN"),
    ("WORKLOADIDENTITY-SUBJECT", "META-CHANGED"),
];

/// The object that a piece belongs to where only a kind is named.
const USUAL: &[(&str, &str)] = &[("Shoot", "mini"), ("Seed", "aws-eu1"), ("CloudProfile", "aws"), ("Project", "shop")];

/// An object with the path of its file.
type Placed = (String, Value);

fn documents(text: &str) -> impl Iterator<Item = Value> {
    serde_yaml::Deserializer::from_str(text).map(|d| Value::deserialize(d).expect("the landscape can be read"))
}

/// The objects that pieces are laid over.
fn base() -> Vec<Placed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/examples");
    let own = folder(&root).files.into_iter().map(|(path, blob)| (path, String::from_utf8_lossy(&blob.bytes).into_owned()));
    let shipped = library::example("local").into_iter().map(|(path, text)| (path, text.to_string()));
    let files = shipped.chain(own).collect::<Vec<_>>();
    files.iter().flat_map(|(path, text)| documents(text).map(|object| (path.to_string(), object))).collect()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Where a named object is among others: `Shoot`, `Shoot lab/api`.
fn find(objects: &[Placed], of: &str) -> usize {
    let (kind, name) = of.split_once(' ').unwrap_or((of, ""));
    let usual = USUAL.iter().find(|(k, _)| *k == kind).map(|(_, name)| *name).filter(|_| name.is_empty());
    let (project, name) = name.split_once('/').unwrap_or(("", usual.unwrap_or(name)));
    let fits = |(path, object): &Placed| {
        text(object, "/kind") == kind
            && (name.is_empty() || text(object, "/metadata/name") == name)
            && (project.is_empty() || path.contains(&format!("/{project}/")) || text(object, "/metadata/namespace") == project)
    };
    objects.iter().position(fits).unwrap_or_else(|| panic!("there is no {of}"))
}

/// Lays a piece over a value.
fn lay(over: &mut Value, piece: &Value) {
    match (over, piece) {
        (Value::Object(map), Value::Object(piece)) => {
            for (key, value) in piece {
                if value.is_null() {
                    map.remove(key);
                } else {
                    lay(map.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(list), Value::Array(piece))
            if named(list).is_some() && named(piece).is_some_and(|names| !names.is_empty()) =>
        {
            for value in piece {
                let same = |other: &&mut Value| name_of(other) == name_of(value);
                match list.iter_mut().find(same) {
                    Some(over) => lay(over, value),
                    None => list.push(value.clone()),
                }
            }
        }
        (over, piece) => {
            *over = json!(null);
            if let Value::Object(piece) = piece {
                *over = json!({});
                piece.iter().filter(|(_, value)| !value.is_null()).for_each(|(key, value)| lay(&mut over[key], value));
            } else {
                *over = piece.clone();
            }
        }
    }
}

fn name_of(value: &Value) -> Option<&str> {
    ["name", "key", "version"].iter().find_map(|key| value.get(key)?.as_str())
}

/// The names of things in a list, if all have one of their own.
fn named(list: &[Value]) -> Option<BTreeSet<&str>> {
    let names: BTreeSet<&str> = list.iter().map(name_of).collect::<Option<_>>()?;
    (names.len() == list.len()).then_some(names)
}

/// Lays the pieces of a list over the objects that they name, or beside them.
fn beside(objects: &mut Vec<Placed>, pieces: &Value) {
    for piece in pieces.as_array().into_iter().flatten() {
        let name = text(piece, "/metadata/name");
        let there = objects
            .iter()
            .position(|(_, o)| o["kind"] == piece["kind"] && (name.is_empty() || text(o, "/metadata/name") == name));
        if let Some(at) = there {
            lay(&mut objects[at].1, piece);
        } else {
            let project = text(piece, "/metadata/namespace").trim_start_matches("garden-");
            let like =
                if project.is_empty() { text(piece, "/kind").to_owned() } else { format!("{} {project}/", text(piece, "/kind")) };
            let mut new = objects[find(objects, &like)].clone();
            lay(&mut new.1, piece);
            objects.push(new);
        }
    }
}

/// The files of objects: one for each.
fn files(objects: &[Placed]) -> BTreeMap<String, String> {
    let path = |(i, (path, object)): (usize, &Placed)| {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match text(object, "/kind") {
            "Landscape" => path.clone(),
            "Project" => format!("projects/{}/project.yaml", text(object, "/metadata/name")),
            _ => format!("{folder}/{i}.yaml"),
        };
        (path, object.to_string())
    };
    objects.iter().enumerate().map(path).collect()
}

struct Harness {
    base: Vec<Placed>,
    policies: Policies,
}

/// The codes of what was found: of errors about the object, and of everything.
struct Said {
    errors: BTreeSet<String>,
    all: BTreeSet<String>,
    shown: String,
}

impl Said {
    fn of(findings: &Findings, owner: &str) -> Self {
        let policy = |code: &str| code.starts_with("POLICY-") && code != "POLICY-TEST";
        let about = |o: &str| owner.is_empty() || o.is_empty() || o == owner;
        let kept = || findings.iter().filter(|f| !policy(f.code.as_str()) && about(&f.owner));
        let errors = kept().filter(|f| f.severity == Severity::Error).map(|f| f.code.to_string());
        let lines = kept().map(|f| format!("  {} {} [{}] {}\n", f.severity, f.code, f.owner, f.message));
        Self { errors: errors.collect(), all: kept().map(|f| f.code.to_string()).collect(), shown: lines.collect() }
    }
}

impl Harness {
    /// What is said to one piece of an example.
    fn say(&self, example: &Value, piece: &Value, old: Option<&Value>) -> Said {
        let of = text(example, "/of");
        let mut objects = self.base.clone();
        beside(&mut objects, &example["beside"]);
        if of.contains('.') {
            return self.say_file(objects, of, piece);
        }
        let at = find(&objects, of);
        let owner = owner(&objects[at]);
        let mut accepted = Accepted::default();
        if let Some(old) = old {
            let mut before = objects.clone();
            lay(&mut before[at].1, old);
            accepted.0 = Arc::new(admitted(&load(&landscape_of(&files(&before)), &mut FileMemo::default()).0).0.objects);
            let stored = stored(&before[at].1, &owner, accepted.0.get(&owner));
            Arc::make_mut(&mut accepted.0).insert(owner.clone(), stored);
        }
        if piece.is_null() {
            objects.remove(at);
            return Said::of(&self.landscape(&files(&objects), &accepted), &owner.to_string());
        }
        lay(&mut objects[at].1, piece);
        if example.get("garden").is_some() || example.get("gates").is_some() {
            return garden(example, objects, at, &owner, &accepted);
        }
        let owner = crate::examples::owner(&objects[at]);
        Said::of(&self.landscape(&files(&objects), &accepted), &owner.to_string())
    }

    fn say_file(&self, objects: Vec<Placed>, path: &str, piece: &Value) -> Said {
        let mut files = files(&objects);
        files.remove(path);
        if let Some(text) = piece.as_str() {
            files.insert(path.to_owned(), text.to_owned());
        }
        let mut findings = self.landscape(&files, &Accepted::default());
        if ["templates/", "policies/", "schemas/", "landscape.yaml"].iter().any(|part| path.starts_with(part)) {
            findings.extend(self.library(&files));
        }
        Said::of(&findings, "")
    }

    /// The way of `validate`.
    fn landscape(&self, files: &BTreeMap<String, String>, accepted: &Accepted) -> Findings {
        let (landscape, mut findings) = load(&landscape_of(files), &mut FileMemo::default());
        findings.extend(admit(&landscape, accepted, &self.policies, NOW, &mut Memory::default()).1);
        findings.extend(acknowledged::check(&landscape, Timestamp::from_second(NOW).expect("a time")));
        findings
    }

    /// The way of a file that is laid over the library, or of `landscape.yaml`: to what is rendered for a shoot.
    fn library(&self, files: &BTreeMap<String, String>) -> Findings {
        let (landscape, mut findings) = load(&landscape_of(files), &mut FileMemo::default());
        findings.extend(Policies::compile(&landscape.overlays).1);
        for (path, text) in landscape.overlays.iter().filter(|(path, _)| path.as_str().starts_with("policies/")) {
            let (outcomes, _) = admission::policy::test(path, text);
            let failures = outcomes.into_iter().filter_map(|outcome| outcome.failure);
            failures.for_each(|failure| findings.push(Finding::error(Code::new("POLICY-TEST"), failure)));
        }
        let (library, found) = Library::compile(&landscape.overlays);
        findings.extend(found);
        let owner = Owner::project(Kind::Shoot, "shop", "mini");
        let objects = admit(&landscape, &Accepted::default(), &self.policies, NOW, &mut Memory::default()).0.objects;
        if objects.contains_key(&owner) {
            findings.extend(render_mini(&objects, &library).findings);
        }
        findings
    }
}

fn landscape_of(files: &BTreeMap<String, String>) -> espalier::snapshot::Snapshot {
    snapshot(files.iter().map(|(path, text)| (path.as_str(), text.as_str())))
}

fn owner((path, object): &Placed) -> Owner {
    let kind = Kind::of(text(object, "/apiVersion"), text(object, "/kind")).expect("the base has known kinds");
    let name = text(object, "/metadata/name");
    let namespace = text(object, "/metadata/namespace");
    let project = path.strip_prefix("projects/").and_then(|rest| rest.split('/').next());
    let project = project.unwrap_or_else(|| namespace.strip_prefix("garden-").unwrap_or(namespace));
    if kind.namespaced() { Owner::project(kind, project, name) } else { Owner::cluster(kind, name) }
}

/// What a server has stored of an object: as it was admitted, with what only a server writes.
fn stored(object: &Value, owner: &Owner, admitted: Option<&Arc<Value>>) -> Arc<Value> {
    let read = read(object, owner);
    let read = read.0.unwrap_or_else(|| panic!("what was accepted before cannot be read: {:#?}", read.1));
    let Some(admitted) = admitted else { return read };
    let mut stored = admitted.as_ref().clone();
    for key in ["metadata", "status"] {
        if let Some(value) = read.get(key) {
            lay(&mut stored[key], value);
        }
    }
    Arc::new(stored)
}

fn read(object: &Value, owner: &Owner) -> (Option<Arc<Value>>, Findings) {
    let mut object = object.clone();
    if owner.kind.namespaced() && text(&object, "/metadata/namespace").is_empty() {
        object["metadata"]["namespace"] = json!(espalier::observed::project_namespace(&owner.project));
    }
    let parsed = document::parse(&RepoPath::from("example.yaml"), object.to_string().as_bytes(), &Budget::default());
    let mut findings = parsed.findings;
    let read = parsed.documents.first().and_then(|document| {
        let (read, found) = landscape::read_object(document);
        findings.extend(found);
        read.map(|(_, value)| value)
    });
    (read, findings)
}

/// The judgement as the garden would have it.
fn garden(example: &Value, mut objects: Vec<Placed>, at: usize, owner: &Owner, accepted: &Accepted) -> Said {
    let (_, subject) = objects.remove(at);
    let others = admitted(&load(&landscape_of(&files(&objects)), &mut FileMemo::default()).0).0.objects;
    let key =
        |object: &Value| Foreign::new(text(object, "/kind"), text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let foreign = example["garden"].as_array().into_iter().flatten().map(|object| (key(object), Arc::new(object.clone())));
    let world = World::new("local", others, Gates::parse(text(example, "/gates")));
    let world = if example.get("garden").is_some() { world.beside(foreign.collect()) } else { world };
    let (written, mut findings) = read(&subject, owner);
    if let Some(written) = written {
        let case = Case { owner, written: &written, old: accepted.0.get(owner), now: NOW };
        findings.extend(judge(&case, &world, Extent::Everything).1);
    }
    Said::of(&findings, "")
}

/// The examples' files, by code.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/finding/examples");
    let read = |(path, blob): (RepoPath, espalier::snapshot::Blob)| {
        (path.as_str().trim_end_matches(".yaml").to_owned(), String::from_utf8_lossy(&blob.bytes).into_owned())
    };
    folder(&root).files.into_iter().map(read).collect()
}

#[test]
fn examples_say_what_is_so() {
    let (policies, _) = Policies::compile(&BTreeMap::new());
    let harness = Harness { base: base(), policies };
    let only = std::env::args().find_map(|arg| arg.strip_prefix("--skip=code:").map(str::to_owned));
    let sources: Vec<(String, String)> =
        sources().into_iter().filter(|(code, _)| only.as_ref().is_none_or(|only| code.starts_with(only))).collect();
    let check = |(code, source): &(String, String)| {
        let example: Value = serde_yaml::from_str(source).unwrap_or_else(|error| panic!("{code}: {error}"));
        let is_file = text(&example, "/of").contains('.');
        let old = example.get("old");
        let mut wrong = String::new();
        let fails = harness.say(&example, &example["fails"], old);
        let expected = fails.all.contains(code)
            && (is_file || fails.errors.iter().all(|c| c == code || BESIDE.contains(&(code.as_str(), c.as_str()))));
        if !expected {
            wrong.push_str(&format!("{code} fails, and said is\n{}", fails.shown));
        }
        let passes = harness.say(&example, &example["passes"], example.get("was").or(old));
        if passes.all.contains(code) || !(is_file || passes.errors.is_empty()) {
            wrong.push_str(&format!("{code} passes, and said is\n{}", passes.shown));
        }
        wrong
    };
    let half = sources.len() / 2;
    let wrong: String = std::thread::scope(|scope| {
        let (a, b) = sources.split_at(half);
        let other = scope.spawn(|| b.iter().map(check).collect::<String>());
        a.iter().map(check).collect::<String>() + &other.join().expect("no rule panics")
    });
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_code_has_an_example() {
    let registered = [document::CODES, landscape::CODES, admission::CODES, espalier::render::CODES];
    let codes: BTreeSet<&str> =
        admission::codes().map(|(code, _)| code).chain(registered.into_iter().flatten().map(|(code, _, _)| *code)).collect();
    let without: BTreeSet<&str> = WITHOUT.iter().map(|(code, _)| *code).collect();
    let have: BTreeSet<&str> = Example::codes().collect();
    let missing: Vec<_> = codes.iter().filter(|code| !have.contains(*code) && !without.contains(*code)).collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
    let orphans: Vec<_> = have.iter().chain(&without).filter(|code| !codes.contains(*code)).collect();
    assert!(orphans.is_empty(), "no such codes: {orphans:?}");
    let both: Vec<_> = have.intersection(&without).collect();
    assert!(both.is_empty(), "with an example after all: {both:?}");
    let on_disk = sources();
    assert_eq!(have, on_disk.keys().map(String::as_str).collect(), "files that are no examples");
}

#[test]
fn examples_are_short_and_printed_as_they_are_run() {
    for (code, source) in sources() {
        let example = Example::read(&source);
        assert!(!example.of.is_empty() && !example.fails.is_empty() && !example.passes.is_empty(), "{code}");
        assert_eq!(Example::of(&code).as_ref(), Some(&example), "{code}");
        let whole: Value = serde_yaml::from_str(&source).expect("an example is YAML");
        for key in whole.as_object().expect("an example is a map").keys() {
            assert!(
                ["of", "beside", "old", "fails", "was", "passes", "garden", "gates"].contains(&key.as_str()),
                "{code}: {key}"
            );
        }
        for (key, shown) in [("fails", &example.fails), ("passes", &example.passes), ("old", &example.old)] {
            assert!(shown.lines().count() <= 24, "{code}: {key} is long");
            if whole[key].is_object() && !example.of.contains('.') {
                let read: Value = serde_yaml::from_str(shown).expect("a piece is YAML");
                assert_eq!(read, whole[key], "{code}: {key}");
            }
        }
    }
}
