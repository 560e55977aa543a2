//! What came of it, for people and for clients: Gardener's status of each landscape object in the garden, and the files of the
//! status branch, both from the same values.
//!
//! Status follows outcome. Nothing here is ever read back as input to an apply, and nothing is written when only a timestamp would
//! change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::digest::Digest;
use crate::document;
use crate::finding::{Finding, Severity};
use crate::health::condition_in;
use crate::landscape::{Kind, Owner};
use crate::observed::Object;
use crate::pipeline::installations::{Reported, Silent, Stand};
use crate::pipeline::wildcard::WILDCARD;
use crate::plan::{ComponentPlan, ComponentState, Operation, OwnerPlan, StepResult, beside, serves, settled};
use crate::snapshot::{Changes, RepoPath, Revision};
use crate::value::Version;

mod shoot;
mod summary;

pub use summary::{Line, summary};

/// How an owner stands, in one word; the order is that of concern, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its controller or a server reports an error that waiting alone may not mend.
    Failed,
    /// Its file is wrong: frozen at the last accepted spec.
    Held,
    /// Something goes on, or waits.
    Progressing,
    /// Being deleted.
    Deleting,
    /// As wanted.
    Ready,
}

impl Standing {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Progressing => "progressing",
            Self::Deleting => "deleting",
            Self::Ready => "ready",
        }
    }
}

/// Everything that one owner's status is made from.
pub struct Input<'a> {
    /// Whose.
    pub owner: &'a Owner,
    /// Its plan.
    pub plan: &'a OwnerPlan,
    /// Why it is held; empty if it is not.
    pub held: &'a [Finding],
    /// Notes and warnings about it.
    pub remarks: &'a [Finding],
    /// Failures of its latest steps.
    pub failures: &'a [StepResult],
    /// Its object in the garden, if that exists.
    pub live: Option<&'a Object>,
    /// The admitted manifest.
    pub manifest: Option<&'a Value>,
    /// The seed that hosts it, why not yet, and what else is known only to the scheduler.
    pub placement: Placement<'a>,
    /// What the infrastructure reported: `status.networking`.
    pub networking: Option<Value>,
    /// Addresses of its API server: `status.advertisedAddresses`.
    pub addresses: Vec<(String, String)>,
    /// `status.technicalID`, for shoots.
    pub technical_id: Option<String>,
    /// For a Seed: the version of its API server, as far as that tells.
    pub server: Option<&'a Version>,
    /// `status.clusterIdentity`, for shoots and seeds.
    pub cluster_identity: Option<String>,
    /// The commit that its accepted spec came from.
    pub revision: Option<String>,
    /// For the Landscape: the kinds that are written into the garden and into seeds. Those of earlier libraries are kept, so that
    /// the last object of a kind that is written no more is still found.
    pub kinds: Option<Value>,
    /// For an Operation: its id, what came of it, when, and for which shoots.
    pub operation: Option<Value>,
    /// For a Seed: how its extensions stand, by registration.
    pub installations: &'a BTreeMap<String, Stand>,
    /// For a Shoot: what extensions report of its health.
    pub reported: &'a [Reported],
    /// The extensions on its seed that are silent; `None` until that is known.
    pub silent: Option<&'a Silent>,
    /// The time.
    pub now: Timestamp,
}

/// What the scheduler said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placement<'a> {
    /// The seed.
    pub seed: Option<&'a str>,
    /// Why there is none.
    pub failure: Option<&'a str>,
}

/// The standing of an owner.
#[must_use]
pub fn standing(plan: &OwnerPlan, held: &[Finding], failures: &[StepResult]) -> Standing {
    let failed = failures.iter().any(|f| f.result.is_err())
        || plan.components.iter().any(|c| matches!(c.state, ComponentState::Failed(_) | ComponentState::Held(_)));
    if !held.is_empty() {
        Standing::Held
    } else if failed {
        Standing::Failed
    } else if plan.operation == Operation::Delete {
        Standing::Deleting
    } else if settled(plan) {
        Standing::Ready
    } else {
        Standing::Progressing
    }
}

/// The complete `status` that the owner's object in the garden should have. Timestamps are the previous ones wherever nothing but
/// the time would change, so that equal values mean no write.
#[must_use]
pub fn garden(input: &Input<'_>) -> Value {
    let previous = input.live.and_then(|l| l.get("/status")).cloned().unwrap_or(Value::Null);
    let mut status = match input.owner.kind {
        Kind::Shoot => shoot::status(input, &previous),
        Kind::Seed => seed(input, &previous),
        Kind::Project => json!({
            "phase": if settled(input.plan) { "Ready" } else { "Pending" },
            "observedGeneration": input.live.map_or(0, |l| l.generation),
        }),
        Kind::Landscape => json!({
            "observedGeneration": input.live.map_or(0, |l| l.generation),
            "kinds": input.kinds.as_ref().map(|now| united(previous.get("kinds"), now)),
        }),
        _ => {
            let mut status = input.operation.clone().filter(Value::is_object).unwrap_or_else(|| json!({}));
            status["observedGeneration"] = json!(input.live.map_or(0, |l| l.generation));
            status
        }
    };
    if let Some(map) = status.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
    status
}

/// Lists of names under the same keys, united.
fn united(before: Option<&Value>, now: &Value) -> Value {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, names) in [before, Some(now)].into_iter().flatten().filter_map(Value::as_object).flatten() {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        out.entry(key.clone()).or_default().extend(names);
    }
    json!(out)
}

/// The condition of what runs in a seed.
const SYSTEM: &str = "SeedSystemComponentsHealthy";

fn seed(input: &Input<'_>, previous: &Value) -> Value {
    let ready = serves(input.plan);
    let why = if ready { None } else { unsettled(input.plan) }.unwrap_or_else(|| "all components are ready".into());
    // Logs that nobody gathers are no reason not to place a shoot here; operators are told all the same.
    let unwell = beside(input.plan).filter(|_| ready);
    let system = unwell.map(|c| format!("{}: {}", c.id, describe(&c.state).unwrap_or_else(|| "being changed".into())));
    let (healthy, told) = (ready && system.is_none(), system.as_deref().unwrap_or(&why));
    // Nothing waits for a certificate that cannot be used, and nobody but a person mends it.
    let certificate = input.remarks.iter().find(|f| f.code == WILDCARD && f.severity == Severity::Warning).filter(|_| healthy);
    let backup = input.plan.components.iter().find(|c| c.id.name == "backup-bucket");
    let server = input.server.map(|version| format!("v{version}").into());
    let server: Option<Value> = server.or_else(|| previous.get("kubernetesVersion").cloned());
    let mut conditions = vec![
        condition(previous, "GardenletReady", ready, if ready { "SeedReady" } else { "SeedProgressing" }, &why, input.now),
        match certificate {
            Some(finding) => condition_of(previous, SYSTEM, "False", "WildcardCertificateUnhealthy", &finding.message, input.now),
            None => condition(previous, SYSTEM, healthy, if healthy { "Healthy" } else { "Progressing" }, told, input.now),
        },
    ];
    if let Some(backup) = backup.filter(|c| !matches!(c.state, ComponentState::Skipped(_))) {
        let ok = backup.state == ComponentState::Ready;
        let reason = if ok { "BackupBucketsAvailable" } else { "BackupBucketsProgressing" };
        let message = describe(&backup.state).unwrap_or_else(|| "the backup bucket is available".into());
        conditions.push(condition(previous, "BackupBucketsReady", ok, reason, &message, input.now));
    }
    if !input.installations.is_empty() {
        let (ok, reason, message) = extensions(input.installations);
        conditions.push(condition_of(previous, "ExtensionsReady", ok, reason, &message, input.now));
    }
    json!({
        "lastOperation": last_operation(input, previous, "Seed cluster"),
        "conditions": conditions,
        "observedGeneration": input.live.map_or(0, |l| l.generation),
        "gardener": gardener(),
        "clusterIdentity": input.cluster_identity,
        "kubernetesVersion": server,
        "allocatable": allocatable(input),
    })
}

/// Whether all extensions are installed and well: status, reason and message of the condition.
fn extensions(installations: &BTreeMap<String, Stand>) -> (&'static str, &'static str, String) {
    for (kind, reason) in
        [("Valid", "NotAllExtensionsValid"), ("Installed", "NotAllExtensionsInstalled"), ("Healthy", "NotAllExtensionsHealthy")]
    {
        let wrong = installations.iter().find_map(|(name, stand)| {
            let said = stand.conditions.iter().find(|c| c.kind == kind && c.status != "True")?;
            Some(format!("{name}: {}", said.message))
        });
        if let Some(message) = wrong {
            return ("False", reason, message);
        }
    }
    let changing = |stand: &&Stand| stand.conditions.iter().any(|c| c.kind == "Progressing" && c.status == "True");
    match installations.values().find(changing) {
        Some(stand) => ("False", "SomeExtensionsProgressing", format!("{} is being changed", stand.name)),
        None => ("True", "AllExtensionsReady", "all extensions are installed and healthy".to_owned()),
    }
}

/// The `status` that a `ControllerInstallation` should have; times as in [`garden`].
#[must_use]
pub fn installation(stand: &Stand, live: &Object, now: Timestamp) -> Value {
    let previous = live.get("/status").cloned().unwrap_or(Value::Null);
    let conditions: Vec<Value> =
        stand.conditions.iter().map(|c| condition_of(&previous, c.kind, c.status, &c.reason, &c.message, now)).collect();
    json!({ "conditions": conditions })
}

/// Seeds that do not say how many shoots they take get Gardener's default (`defaults.md` §3, ManagedSeed: 250).
fn allocatable(input: &Input<'_>) -> Value {
    let said = input.manifest.and_then(|m| m.pointer("/metadata/annotations/seed.espalier.dev~1shoots")).and_then(Value::as_str);
    json!({ "shoots": said.unwrap_or("250") })
}

fn gardener() -> Value {
    json!({ "id": "espalier", "name": "espalier", "version": env!("CARGO_PKG_VERSION") })
}

/// Gardener's `lastOperation`, with the time of the last real change.
fn last_operation(input: &Input<'_>, previous: &Value, what: &str) -> Value {
    let plan = input.plan;
    let standing = standing(plan, input.held, input.failures);
    let (kind, done) = match plan.operation {
        Operation::Create => ("Create", "reconciled"),
        Operation::Reconcile => ("Reconcile", "reconciled"),
        Operation::Delete => ("Delete", "deleted"),
    };
    let (state, progress, description) = if let Some(why) = input.placement.failure {
        ("Pending", 0, format!("Failed to schedule {what}: {why}"))
    } else if as_rolled_out(plan) && standing != Standing::Failed {
        // The operation keeps its type until the next one starts: a created cluster stays `Create Succeeded` until it changes.
        ("Succeeded", 100, format!("{what} has been successfully {done}."))
    } else if standing == Standing::Failed {
        let (fatal, why) = failure(input);
        (
            if fatal { "Failed" } else { "Error" },
            plan.progress,
            if fatal { why } else { format!("{why} Operation will be retried.") },
        )
    } else {
        ("Processing", plan.progress, unsettled(plan).unwrap_or_else(|| "Starting.".into()))
    };
    let kind = match previous.pointer("/lastOperation/type").and_then(Value::as_str) {
        Some(old)
            if state == "Succeeded" && previous.pointer("/lastOperation/state").and_then(Value::as_str) == Some("Succeeded") =>
        {
            old
        }
        _ => kind,
    };
    let mut operation = json!({ "type": kind, "state": state, "progress": progress, "description": description });
    stamp(&mut operation, previous.get("lastOperation"), "lastUpdateTime", input.now);
    operation
}

/// Whether everything is as it was rolled out last: as wanted, or nothing but a maintenance window is waited for.
#[must_use]
pub fn as_rolled_out(plan: &OwnerPlan) -> bool {
    let idle = |c: &ComponentPlan| {
        let kept = matches!(c.state, ComponentState::Waiting(_) | ComponentState::Blocked(_));
        c.steps.is_empty() && (kept || matches!(c.state, ComponentState::Ready | ComponentState::Skipped(_)))
    };
    settled(plan) || (plan.waits.is_some() && plan.generate.is_empty() && plan.components.iter().all(idle))
}

/// Codes after which only a person can help (`shoot-flow.md` §1.2).
const FATAL: &[&str] = &[
    "ERR_INFRA_UNAUTHENTICATED",
    "ERR_INFRA_UNAUTHORIZED",
    "ERR_INFRA_QUOTA_EXCEEDED",
    "ERR_INFRA_RATE_LIMITS_EXCEEDED",
    "ERR_INFRA_DEPENDENCIES",
    "ERR_CONFIGURATION_PROBLEM",
    "ERR_PROBLEMATIC_WEBHOOK",
];

fn failure(input: &Input<'_>) -> (bool, String) {
    let errors = last_errors(input, &Value::Null);
    let fatal = errors.iter().any(|e| {
        e.get("codes").and_then(Value::as_array).is_some_and(|c| c.iter().filter_map(Value::as_str).any(|c| FATAL.contains(&c)))
    });
    let first = errors.first().and_then(|e| e.get("description")).and_then(Value::as_str).unwrap_or("an operation failed");
    (fatal, format!("{}.", first.trim_end_matches('.')))
}

/// Gardener's `lastErrors`: one per component that fails.
fn last_errors(input: &Input<'_>, previous: &Value) -> Vec<Value> {
    let mut errors: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for component in &input.plan.components {
        if let ComponentState::Failed(why) | ComponentState::Held(why) = &component.state {
            errors.insert(component.id.name.clone(), (why.clone(), codes_in(why)));
        }
    }
    for failed in input.failures {
        if let Err(error) = &failed.result {
            let task = failed.component.as_ref().map_or_else(|| failed.key.to_string(), |c| c.name.clone());
            let words = format!("failed to {} {} in {}: {}", failed.verb, failed.key, failed.target, error.message);
            errors.entry(task).or_insert((words, Vec::new()));
        }
    }
    errors
        .into_iter()
        .map(|(task, (description, codes))| {
            let mut error = json!({ "taskID": task, "description": description });
            if !codes.is_empty() {
                error["codes"] = json!(codes);
            }
            let old =
                previous.as_array().and_then(|all| all.iter().find(|e| e.get("taskID").and_then(Value::as_str) == Some(&task)));
            stamp(&mut error, old, "lastUpdateTime", input.now);
            error
        })
        .collect()
}

fn codes_in(text: &str) -> Vec<String> {
    let mut codes: Vec<String> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("ERR_"))
        .map(str::to_owned)
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

/// A condition of Gardener's shape; transition and update times move only when something else did.
fn condition(previous: &Value, kind: &str, ok: bool, reason: &str, message: &str, now: Timestamp) -> Value {
    condition_of(previous, kind, if ok { "True" } else { "Progressing" }, reason, message, now)
}

fn condition_of(previous: &Value, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let old = find(previous, kind);
    let mut condition = json!({ "type": kind, "status": status, "reason": reason, "message": message });
    stamp(&mut condition, old, "lastUpdateTime", now);
    let transition = match old {
        Some(old) if old.get("status").and_then(Value::as_str) == Some(status) => old.get("lastTransitionTime").cloned(),
        _ => None,
    };
    condition["lastTransitionTime"] = transition.unwrap_or_else(|| json!(seconds(now)));
    condition
}

/// The condition of a type that a status has.
fn find<'a>(previous: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = previous.get("conditions").or_else(|| previous.get("constraints")).and_then(Value::as_array)?;
    condition_in(all, kind)
}

/// Sets `field` to the previous time if everything else is as before, else to now.
fn stamp(value: &mut Value, previous: Option<&Value>, field: &str, now: Timestamp) {
    let same = previous.is_some_and(|old| value.as_object().is_some_and(|new| new.iter().all(|(k, v)| old.get(k) == Some(v))));
    let time = if same { previous.and_then(|old| old.get(field)).cloned() } else { None };
    value[field] = time.unwrap_or_else(|| json!(seconds(now)));
}

fn seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// What an unsettled plan waits for, in one line; `None` if it is settled.
#[must_use]
pub fn unsettled(plan: &OwnerPlan) -> Option<String> {
    if settled(plan) {
        return None;
    }
    let mut doing = Vec::new();
    let mut waiting = Vec::new();
    for component in &plan.components {
        match &component.state {
            ComponentState::Progressing(_) | ComponentState::Removing(_) => doing.push(component.id.name.as_str()),
            ComponentState::Waiting(_) => waiting.push(component.id.name.as_str()),
            _ => {}
        }
    }
    if !plan.generate.is_empty() {
        return Some(format!("Making {} secrets", plan.generate.len()));
    }
    let mut line = String::new();
    if let (true, Some(span)) = (doing.is_empty(), plan.waits) {
        line.push_str(&format!("Waiting for {span}"));
    } else if doing.is_empty() {
        let is_waiting = |c: &&ComponentPlan| matches!(c.state, ComponentState::Waiting(_));
        let blocked = plan.components.iter().find_map(|c| match &c.state {
            ComponentState::Blocked(needs) => Some(needs),
            _ => None,
        });
        // What its own object waits for is what all the others wait for; what another is blocked by may itself wait for something
        // that somebody has to bring.
        let told = plan.components.first().filter(is_waiting).or_else(|| {
            let meant = |c: &&ComponentPlan| is_waiting(c) && blocked.is_none_or(|needs| needs.contains(&c.id.name));
            plan.components.iter().find(meant)
        });
        match (told, blocked) {
            (Some(c), _) => line.push_str(&format!("{} waits for {}", c.id.name, describe(&c.state).unwrap_or_default())),
            (None, Some(needs)) => line.push_str(&format!("Waiting for {}", needs.join(", "))),
            (None, None) => line.push_str("Waiting"),
        }
    } else {
        let shown = doing.len().min(4);
        line.push_str(&doing[..shown].join(", "));
        if doing.len() > shown {
            line.push_str(&format!(" and {} more", doing.len() - shown));
        }
    }
    Some(line)
}

/// The words of a component's state, where it has any.
#[must_use]
pub fn describe(state: &ComponentState) -> Option<String> {
    match state {
        ComponentState::Ready => None,
        ComponentState::Blocked(needs) => Some(format!("needs {}", needs.join(", "))),
        ComponentState::Skipped(why)
        | ComponentState::Waiting(why)
        | ComponentState::Progressing(why)
        | ComponentState::Failed(why)
        | ComponentState::Removing(why)
        | ComponentState::Held(why) => Some(why.clone()),
    }
}

/// The name of a component's state.
#[must_use]
pub const fn state_name(state: &ComponentState) -> &'static str {
    match state {
        ComponentState::Skipped(_) => "skipped",
        ComponentState::Waiting(_) => "waiting",
        ComponentState::Blocked(_) => "blocked",
        ComponentState::Progressing(_) => "progressing",
        ComponentState::Ready => "ready",
        ComponentState::Failed(_) => "failed",
        ComponentState::Removing(_) => "removing",
        ComponentState::Held(_) => "held",
    }
}

/// The path of an owner's file on the status branch: beside the path of the object, `prod.yaml` → `prod.status.yaml`.
///
/// Several objects of one file get the object's name in the file's name.
#[must_use]
pub fn file_path(owner: &Owner, path: Option<&RepoPath>, alone: bool) -> RepoPath {
    let Some(path) = path else {
        let kind = owner.kind.plural();
        return if owner.project.is_empty() {
            format!("{kind}/{}.status.yaml", owner.name).into()
        } else {
            format!("projects/{}/{kind}/{}.status.yaml", owner.project, owner.name).into()
        };
    };
    let stem = path.as_str().trim_end_matches(".yaml").trim_end_matches(".yml");
    if alone {
        format!("{stem}.status.yaml").into()
    } else {
        format!("{stem}.{}.{}.status.yaml", owner.kind.name().to_ascii_lowercase(), owner.name).into()
    }
}

/// The text of an owner's file on the status branch.
#[must_use]
pub fn file(input: &Input<'_>) -> String {
    let standing = standing(input.plan, input.held, input.failures);
    let mut body = Map::new();
    body.insert("apiVersion".into(), json!("espalier.dev/v1alpha1"));
    body.insert("kind".into(), json!("Status"));
    body.insert("for".into(), json!(input.owner.to_string()));
    body.insert("standing".into(), json!(standing.word()));
    if let Some(revision) = &input.revision {
        body.insert("acceptedRevision".into(), json!(revision));
    }
    if let Some(seed) = input.placement.seed {
        body.insert("seed".into(), json!(seed));
    }
    if let Some(why) = input.placement.failure {
        body.insert("notScheduled".into(), json!(why));
    }
    if let Some(span) = input.plan.waits {
        body.insert("waits".into(), json!({ "for": span.to_string(), "until": span.occurrence().begin }));
    }
    let findings: Vec<Value> = input.held.iter().chain(input.remarks).map(finding).collect();
    if !findings.is_empty() {
        body.insert("findings".into(), json!(findings));
    }
    let mut components = Map::new();
    for component in &input.plan.components {
        let words = match describe(&component.state) {
            Some(why) if !matches!(component.state, ComponentState::Skipped(_)) => {
                format!("{}: {why}", state_name(&component.state))
            }
            _ => state_name(&component.state).to_owned(),
        };
        let name = if component.id.scope == crate::render::Scope::Shoot && component.target == crate::landscape::Target::Garden {
            format!("{} (garden)", component.id.name)
        } else {
            component.id.name.clone()
        };
        components.insert(name, json!(words));
    }
    if !components.is_empty() {
        body.insert("components".into(), Value::Object(components));
    }
    // Without an object in the garden there are no earlier times to keep, and nothing was done that a status could tell of.
    if input.live.is_some() {
        body.insert("status".into(), garden(input));
    }
    format!("# Written by espalier. A mirror of what is so; edits are overwritten.\n{}", document::to_yaml(&Value::Object(body)))
}

fn finding(finding: &Finding) -> Value {
    let mut out = json!({
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.message,
    });
    if let Some(place) = finding.places.first() {
        out["at"] = json!(place.to_string());
    }
    if let Some(help) = &finding.help {
        out["help"] = json!(help);
    }
    out
}

/// Whether a finding belongs into status files: errors and warnings always, notes because they name settings that are not acted
/// upon.
#[must_use]
pub fn is_reported(finding: &Finding) -> bool {
    matches!(finding.severity, Severity::Error | Severity::Warning | Severity::Note)
}

/// Compares wanted files with those on the branch: only what differs is in the result; files of ours that nobody wants go.
#[must_use]
pub fn changes(wanted: &BTreeMap<RepoPath, String>, present: &BTreeMap<RepoPath, String>) -> Changes {
    let mut changes = Changes::new();
    for (path, text) in wanted {
        if present.get(path) != Some(text) {
            changes.insert(path.clone(), Some(text.clone()));
        }
    }
    for path in present.keys() {
        if !wanted.contains_key(path) {
            changes.insert(path.clone(), None);
        }
    }
    changes
}

/// The trailers of a status commit (design §9): `Reconciled`, `Landscape`, `Result`, and, where the commit changed something,
/// `Plan-Digest`.
#[must_use]
pub fn trailers(
    landscape: &str,
    revision: &Revision,
    intent: Option<&Digest>,
    counts: &BTreeMap<Standing, usize>,
) -> Vec<(String, String)> {
    let result: Vec<String> = counts.iter().rev().map(|(standing, n)| format!("{n} {}", standing.word())).collect();
    let mut trailers = vec![
        ("Reconciled".into(), revision.to_string()),
        ("Landscape".into(), landscape.to_owned()),
        ("Result".into(), result.join(", ")),
    ];
    trailers.extend(intent.map(|digest| ("Plan-Digest".to_owned(), digest.as_str().to_owned())));
    trailers
}
