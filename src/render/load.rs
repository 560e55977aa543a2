//! From template files to components: front matter, the compiled template, and what it reads, found in its syntax tree.
//!
//! Everything that can be wrong with a template without knowing a cluster is a finding here, with the file's line and column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use handlebars::Template;
use serde::Deserialize;

use super::component::{Component, ComponentId, DeletePhase, Hibernate, Ready, Scope, Trigger, operated};
use super::fold;
use super::mould::Moulds;
use super::post;
use super::replay::{Replays, Roots};
use super::syntax::{self, Reads, Root};
use super::when::When;
use crate::facts::GIVEN;
use crate::finding::{Code, Finding, Findings, Place, Pointer, Span};
use crate::observed::ObjectKey;
use crate::secrets;
use crate::share;
use crate::snapshot::RepoPath;

mod order;

use order::order;

const SYNTAX: Code = Code::new("TEMPLATE-SYNTAX");
const FRONT_MATTER: Code = Code::new("TEMPLATE-FRONT-MATTER");
const NAME: Code = Code::new("TEMPLATE-NAME");
const NEEDS: Code = Code::new("TEMPLATE-NEEDS");
const FACT: Code = Code::new("TEMPLATE-FACT");

/// Codes of findings about templates: code, title, explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "TEMPLATE-SYNTAX",
        "a template cannot be compiled",
        "The text is not valid, calls something that is not a helper, or goes round the escape with triple braces, partials or decorators.",
    ),
    (
        "TEMPLATE-FRONT-MATTER",
        "front matter is wrong",
        "A template begins with `---`, the component's keys, and `---`. Unknown keys are refused.",
    ),
    (
        "TEMPLATE-NAME",
        "a component's name is not its file's",
        "A component is found by its file: `component: x` belongs in `x.yaml`.",
    ),
    (
        "TEMPLATE-NEEDS",
        "needs do not form a graph",
        "A component needs components of its own scope, and never itself by way of others.",
    ),
    ("TEMPLATE-FACT", "a fact has no exporter", "A template may read only what a component exports in its front matter."),
    ("TEMPLATE-SECRET", "a secret is not known", "A template may name only the secrets that its scope can have."),
    ("TEMPLATE-WHEN", "a condition does not compile", "`when` is CEL over the variables that templates see."),
    (
        "TEMPLATE-EXPORT",
        "an export has no address",
        "An export reads `Kind/name#/json/pointer`; the name may contain expressions.",
    ),
    (
        "TEMPLATE-IMAGES",
        "the image table is wrong",
        "`templates/images.yaml` maps names to lists of repository, tag and versions.",
    ),
    (
        "TEMPLATE-RENDER",
        "a component cannot be rendered",
        "A variable is missing, a value would change the manifest's structure, or the result is not a manifest. The component is kept as it is.",
    ),
    (
        "EXTENSION-UNSERVED",
        "no registration is responsible for what a seed needs",
        "A shoot or the seed itself has an extension object of a kind and type that no ControllerRegistration lists: unless somebody installs that extension in another way, nobody will act upon it.",
    ),
    (
        "EXTENSION-LEFT-OUT",
        "a deployment asks for something that is not done",
        "The ControllerDeployment asks for a kubeconfig of the garden (`injectGardenKubeconfig`), and `spec.gardenClientConnection` of the landscape does not say where that is. The extension is installed without it.",
    ),
    (
        "SEED-WILDCARD-CERTIFICATE",
        "a seed's wildcard certificate cannot be used",
        "A Secret in a seed's namespace `garden` with the label `gardener.cloud/role=controlplane-cert` has in `tls.crt` and `tls.key` the certificate for every name below the seed's `spec.ingress.domain`. With it, API servers of shoots are reached as `api-<project>--<shoot>.<domain>`, that of the seed itself as `api-seed.<domain>` where espalier runs its gateways, and Plutono, Prometheus and Alertmanager of the seed and of its shoots show it. It is used as long as it can be read, its key fits, it is for `*.<domain>` and it has not expired; when its content changes, everything that shows it follows. If it is wrong, or goes, self-signed certificates take its place, and nothing else stops.",
    ),
    ("LANDSCAPE-IMAGES", "a landscape's images are wrong", "`spec.images` maps names of the image table to image references."),
    ("LIBRARY-SCHEMA", "a schema is not JSON", "Files in `schemas/` are JSON Schemas."),
];

/// One compiled template file.
pub struct Compiled {
    /// Its front matter and what the template reads.
    pub component: Arc<Component>,
    /// The file.
    pub path: RepoPath,
    pub(crate) text: Arc<str>,
    pub(crate) template: Template,
    pub(crate) moulds: Moulds,
    pub(crate) when: Option<When>,
    pub(crate) exports: Vec<CompiledExport>,
    pub(crate) replays: Replays,
    /// How often it was run.
    pub(crate) runs: AtomicUsize,
    pub(crate) roots: Vec<Root>,
    /// The roots that it sees, with those that may be absent.
    pub(crate) sees: Roots,
    pub(crate) whole: bool,
    pub(crate) helpers: BTreeSet<String>,
    /// What it may write, as `(apiVersion, kind)`.
    pub(crate) kinds: BTreeSet<(String, String)>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)
    }
}

/// An exported fact whose object's name is a template.
pub(crate) struct CompiledExport {
    pub(crate) fact: String,
    pub(crate) kind: String,
    pub(crate) name: Template,
    /// Whether there is one in each of several namespaces (`Kind/name/*#/json/pointer`).
    pub(crate) each: bool,
    pub(crate) pointer: String,
}

/// All components, per scope in graph order.
#[derive(Debug, Default)]
pub struct Components {
    scopes: BTreeMap<Scope, Vec<Arc<Compiled>>>,
}

impl Components {
    /// The components of a scope in graph order.
    #[must_use]
    pub fn scope(&self, scope: Scope) -> &[Arc<Compiled>] {
        self.scopes.get(&scope).map_or(&[], Vec::as_slice)
    }

    /// One component.
    #[must_use]
    pub fn get(&self, id: &ComponentId) -> Option<&Arc<Compiled>> {
        self.scope(id.scope).iter().find(|c| c.component.id == *id)
    }

    /// All components, by scope and graph order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.scopes.values().flatten()
    }

    /// The pointers that exports read, by API group and kind, for the observer to keep. The group is that of the manifest with
    /// this kind in the same file.
    #[must_use]
    pub fn exported_pointers(&self) -> BTreeMap<(String, String), BTreeSet<String>> {
        let mut out: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for compiled in self.iter() {
            for export in &compiled.exports {
                let written = compiled.kinds.iter().find(|(_, kind)| *kind == export.kind);
                let group = written.and_then(|(api_version, _)| api_version.split_once('/')).map_or("", |(group, _)| group);
                out.entry((group.to_owned(), export.kind.clone())).or_default().insert(export.pointer.clone());
            }
        }
        out
    }

    /// How often templates were run; what is replayed instead does not count.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.iter().map(|compiled| compiled.runs.load(Ordering::Relaxed)).sum()
    }

    /// What templates write into the garden (or into seeds), as `(apiVersion, kind)`.
    #[must_use]
    pub fn kinds(&self, in_garden: bool) -> BTreeSet<(String, String)> {
        let there = |c: &&Arc<Compiled>| {
            let id = &c.component.id;
            (c.component.in_garden || matches!(id.scope, Scope::Garden | Scope::Project)) == in_garden
        };
        self.iter().filter(there).flat_map(|c| c.kinds.iter().cloned()).collect()
    }
}

/// Compiles every `templates/<scope>/<component>.yaml` among the files. A file with an error is left out, and so is what needs it.
#[must_use]
pub fn compile(files: &BTreeMap<RepoPath, Arc<str>>) -> (Components, Findings) {
    let mut findings = Findings::default();
    let mut by_scope: BTreeMap<Scope, BTreeMap<String, Compiled>> = BTreeMap::new();
    let files: Vec<_> = files.iter().filter_map(|(path, text)| Some((path, text, address(path)?))).collect();
    let compiled = share::map(&files, |(path, text, (scope, stem))| component(path, *scope, stem, text));
    for ((_, _, (scope, stem)), compiled) in files.into_iter().zip(compiled) {
        match compiled {
            Ok(compiled) => {
                by_scope.entry(scope).or_default().insert(stem.to_owned(), compiled);
            }
            Err(mut found) => findings.0.append(&mut found),
        }
    }
    check_facts(&by_scope, &mut findings);
    check_secrets(&by_scope, &mut findings);
    let mut components = Components::default();
    for (scope, compiled) in by_scope {
        let ordered = order(compiled, &mut findings);
        components.scopes.insert(scope, ordered);
    }
    (components, findings.sorted())
}

/// Scope and stem of a component's file, or `None` for other files below `templates/`.
fn address(path: &RepoPath) -> Option<(Scope, &str)> {
    let (folder, file) = path.as_str().strip_prefix("templates/")?.split_once('/')?;
    let scope = match folder {
        "garden" => Scope::Garden,
        "project" => Scope::Project,
        "seed" => Scope::Seed,
        "shoot" => Scope::Shoot,
        _ => return None,
    };
    let stem = file.strip_suffix(".yaml")?;
    (!stem.contains('/')).then_some((scope, stem))
}

/// The front matter as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    component: String,
    #[serde(default)]
    needs: Vec<String>,
    each: Option<String>,
    when: Option<String>,
    target: Option<String>,
    ready: String,
    #[serde(default)]
    hibernate: Hibernate,
    #[serde(default)]
    trigger: Trigger,
    #[serde(default)]
    once: Vec<String>,
    #[serde(default)]
    delete: DeletePhase,
    #[serde(default)]
    outlasts: Vec<String>,
    follows: Option<String>,
    #[serde(default)]
    beside: bool,
    #[serde(default)]
    exports: BTreeMap<String, String>,
    /// Kinds that the template writes without naming them literally, as `apiVersion/Kind`.
    #[serde(default)]
    writes: Vec<String>,
}

fn component(path: &RepoPath, scope: Scope, stem: &str, text: &Arc<str>) -> Result<Compiled, Vec<Finding>> {
    let at = |line: u32, column: u32| place(path, text, line, column);
    let Some((front_text, front_line, body)) = split(text) else {
        return Err(vec![
            Finding::error(FRONT_MATTER, "the file does not begin with front matter")
                .at(at(1, 1))
                .help("begin with a `---` line, the component's keys, and another `---` line before the manifests"),
        ]);
    };
    let front: Front = serde_yaml::from_str(front_text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |l| (small(l.line()), small(l.column())));
        let message = error.to_string();
        vec![Finding::error(FRONT_MATTER, front_message(&message)).at(at(front_line + line - 1, column))]
    })?;
    let key_line = |key: &str| {
        let found = front_text.lines().position(|l| l.starts_with(key) && l[key.len()..].trim_start().starts_with(':'));
        front_line + found.map_or(0, small)
    };

    let mut found = Vec::new();
    let mut complain = |code: Code, key: &str, message: String| {
        found.push(Finding::error(code, message).at(at(key_line(key), 1)));
    };
    if front.component != stem {
        complain(NAME, "component", format!("component `{}` is in a file named `{stem}.yaml`", front.component));
    }
    let ready = ready(&front.ready).unwrap_or_else(|| {
        complain(FRONT_MATTER, "ready", format!("`{}` is not a kind of readiness", front.ready));
        Ready::Exists
    });
    let in_garden = match (front.target.as_deref(), scope) {
        (Some("garden"), Scope::Seed | Scope::Shoot) => true,
        (None | Some("seed"), Scope::Seed | Scope::Shoot) | (None | Some("garden"), Scope::Garden | Scope::Project) => false,
        (Some(other), _) => {
            complain(FRONT_MATTER, "target", format!("`{other}` is not a target of this scope"));
            false
        }
    };
    for once in &front.once {
        let pointer = once.split_once('#').map_or(once.as_str(), |(_, pointer)| pointer);
        if !pointer.starts_with('/') || Pointer::from(pointer).segments().any(|s| s.parse::<usize>().is_ok()) {
            complain(FRONT_MATTER, "once", format!("`{once}` is not a pointer through maps and lists of named things"));
        }
    }
    if front.each.is_some() && !front.exports.is_empty() {
        complain(FRONT_MATTER, "each", "a component of which there are several exports nothing".to_owned());
    }
    if front.follows.is_some() && (front.each.is_some() || !front.exports.is_empty()) {
        complain(FRONT_MATTER, "follows", "what clears up after another is one, and exports nothing".to_owned());
    }
    let mut kinds = kinds(text);
    if ready == Ready::Operated {
        let made = kinds.iter().filter_map(|(api_version, kind)| {
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            operated(&ObjectKey::new(group, kind, "", ""))
        });
        let made: Vec<(String, String)> = made.map(|made| ("apps/v1".to_owned(), made.kind)).collect();
        if made.is_empty() {
            complain(FRONT_MATTER, "ready", "it has no object that an operator makes another of".to_owned());
        }
        kinds.extend(made);
    }
    for written in &front.writes {
        match written.rsplit_once('/') {
            Some((api_version, kind)) => drop(kinds.insert((api_version.to_owned(), kind.to_owned()))),
            None => complain(FRONT_MATTER, "writes", format!("`{written}` is not `apiVersion/Kind`")),
        }
    }
    let when = front.when.as_deref().and_then(|text| match When::compile(text) {
        Ok(when) => Some(when),
        Err(error) => {
            complain(Code::new("TEMPLATE-WHEN"), "when", format!("`when` does not compile: {error}"));
            None
        }
    });
    let exports: Vec<CompiledExport> = front
        .exports
        .iter()
        .filter_map(|(fact, address)| {
            let compiled = export(fact, address);
            if compiled.is_none() {
                complain(
                    Code::new("TEMPLATE-EXPORT"),
                    "exports",
                    format!("export `{fact}` is `{address}`, not `Kind/name#/json/pointer`"),
                );
            }
            compiled
        })
        .collect();

    // Blank lines stand for the front matter, so that positions in the template are positions in the file.
    let before = text[..text.len() - body.len()].matches('\n').count();
    let padded = format!("{}{body}", "\n".repeat(before));
    let mut template = match Template::compile(&padded) {
        Ok(template) => template,
        Err(error) => {
            let (line, column) = error.pos().map_or((1, 1), |(l, c)| (small(l), small(c)));
            let message = error.reason().to_string();
            found.push(Finding::error(SYNTAX, format!("template syntax: {}", message.trim())).at(at(line, column)));
            return Err(found);
        }
    };
    let mut reads = Reads::default();
    syntax::walk(&template, &mut reads);
    for problem in std::mem::take(&mut reads.problems) {
        found.push(Finding::error(SYNTAX, problem.message).at(at(problem.line, problem.column)));
    }
    if !found.is_empty() {
        return Err(found);
    }
    fold::template(&mut template);
    let component = Component {
        id: ComponentId { scope, name: stem.to_owned() },
        needs: front.needs,
        in_garden,
        each: front.each,
        when: front.when,
        ready,
        hibernate: front.hibernate,
        trigger: front.trigger,
        once: front.once,
        delete: front.delete,
        outlasts: front.outlasts,
        follows: front.follows,
        beside: front.beside,
        exports: front.exports,
        reads: reads.facts,
        secrets: reads.secrets,
    };
    Ok(Compiled {
        component: Arc::new(component),
        path: path.clone(),
        text: Arc::clone(text),
        template,
        moulds: Moulds::default(),
        when,
        exports,
        replays: Replays::default(),
        runs: AtomicUsize::new(0),
        roots: reads.roots,
        sees: reads.sees,
        whole: reads.whole,
        helpers: reads.helpers,
        kinds,
    })
}

/// serde's message without its own position, which refers to the front matter alone.
fn front_message(message: &str) -> String {
    let cut = message.rfind(" at line ").unwrap_or(message.len());
    format!("front matter: {}", &message[..cut])
}

/// Front matter, the line it begins on, and the rest of the file.
fn split(text: &str) -> Option<(&str, u32, &str)> {
    let mut offset = 0;
    let mut begin = None;
    for (line, raw) in (1..).zip(text.split_inclusive('\n')) {
        let trimmed = raw.trim_end();
        match begin {
            None if trimmed == "---" => begin = Some((offset + raw.len(), line + 1)),
            None if trimmed.is_empty() || trimmed.starts_with('#') => {}
            None => return None,
            Some((start, first)) if trimmed == "---" => return Some((&text[start..offset], first, &text[offset + raw.len()..])),
            Some(_) => {}
        }
        offset += raw.len();
    }
    begin.map(|(start, first)| (&text[start..], first, ""))
}

fn ready(text: &str) -> Option<Ready> {
    Some(match text {
        "exists" => Ready::Exists,
        "rollout" => Ready::Rollout,
        "extension" => Ready::Extension,
        "etcd" => Ready::Etcd,
        "managed-resource" => Ready::ManagedResource,
        "job" => Ready::Job,
        "address" => Ready::Address,
        "operated" => Ready::Operated,
        other => Ready::Condition(
            other.strip_prefix("condition(")?.strip_suffix(')').filter(|c| !c.is_empty() && !c.contains(['(', ' ']))?.to_owned(),
        ),
    })
}

fn export(fact: &str, address: &str) -> Option<CompiledExport> {
    let (object, pointer) = address.split_once('#')?;
    let (kind, name) = object.split_once('/')?;
    let (name, each) = name.strip_suffix("/*").map_or((name, false), |name| (name, true));
    let fine = !kind.is_empty()
        && kind.chars().all(|c| c.is_ascii_alphanumeric())
        && !name.is_empty()
        && pointer.starts_with('/')
        && !fact.is_empty()
        && !fact.contains(['.', ':']);
    if !fine {
        return None;
    }
    Some(CompiledExport {
        fact: fact.to_owned(),
        kind: kind.to_owned(),
        name: Template::compile(name).ok()?,
        each,
        pointer: pointer.to_owned(),
    })
}

/// The kinds of the manifests as they stand in the text. What is packed into a ManagedResource is indented, and reaches no cluster
/// by our hand.
fn kinds(text: &str) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    let (mut api_version, mut kind) = (None, None);
    for line in text.lines() {
        let value =
            |key: &str| line.strip_prefix(key).map(|v| v.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']));
        if line.trim_end() == "---" {
            (api_version, kind) = (None, None);
        } else if let Some(found) = value("apiVersion:") {
            api_version = Some(found);
        } else if let Some(found) = value("kind:") {
            kind = Some(found);
        }
        if let (Some(api), Some(found)) = (api_version, kind)
            && !api.contains("{{")
            && !found.contains("{{")
        {
            if api == post::MANAGED_RESOURCE {
                out.insert(("v1".to_owned(), "Secret".to_owned()));
                out.insert(("resources.gardener.cloud/v1alpha1".to_owned(), "ManagedResource".to_owned()));
            } else {
                out.insert((api.to_owned(), found.to_owned()));
            }
        }
    }
    out
}

/// A template may only name facts that some component exports.
fn check_facts(by_scope: &BTreeMap<Scope, BTreeMap<String, Compiled>>, findings: &mut Findings) {
    for (scope, components) in by_scope {
        for compiled in components.values() {
            for fact in compiled.component.reads.iter().filter(|fact| !GIVEN.contains(&fact.as_str())) {
                let (exporter_scope, address) = match fact.split_once(':') {
                    Some(("garden", rest)) => (Scope::Garden, rest),
                    Some(("project", rest)) => (Scope::Project, rest),
                    Some(("seed", rest)) => (Scope::Seed, rest),
                    _ => (*scope, fact.as_str()),
                };
                let known = address.split_once('.').is_some_and(|(component, name)| {
                    by_scope
                        .get(&exporter_scope)
                        .and_then(|all| all.get(component))
                        .is_some_and(|c| c.component.exports.contains_key(name))
                });
                if !known {
                    findings.push(
                        Finding::error(FACT, format!("no component exports the fact `{fact}`"))
                            .at(Place::file(compiled.path.clone())),
                    );
                }
            }
        }
    }
}

/// A template may only name secrets that its scope can have.
fn check_secrets(by_scope: &BTreeMap<Scope, BTreeMap<String, Compiled>>, findings: &mut Findings) {
    for (scope, components) in by_scope {
        let known = secrets::configs(*scope);
        for compiled in components.values() {
            for config in compiled.component.secrets.difference(&known) {
                findings.push(
                    Finding::error(Code::new("TEMPLATE-SECRET"), format!("there is no secret `{config}` in this scope"))
                        .at(Place::file(compiled.path.clone())),
                );
            }
        }
    }
}

/// A place in a file by line and column, both from 1.
pub(crate) fn place(path: &RepoPath, text: &str, line: u32, column: u32) -> Place {
    let mut start = 0;
    for (number, raw) in text.split_inclusive('\n').enumerate() {
        if small(number) + 1 == line {
            let content = raw.trim_end_matches(['\n', '\r']);
            let skip = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
            let from = content.char_indices().nth(skip).map_or(content.len(), |(at, _)| at);
            let span = Span { start: start + from, end: start + content.len(), line, column };
            return Place { path: path.clone(), span: Some(span), pointer: Pointer::root(), note: String::new() };
        }
        start += raw.len();
    }
    let span = Span { start: text.len(), end: text.len(), line, column };
    Place { path: path.clone(), span: Some(span), pointer: Pointer::root(), note: String::new() }
}

/// Line and column numbers fit 32 bits: files are bounded by the document budget.
pub(crate) fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
