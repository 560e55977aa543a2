//! When and what to report: batches status subresources in the garden and commits on the status branch, and writes nothing when
//! nothing but a timestamp would change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::queue::Millis;
use super::reverts::Reverts;
use super::state::{Effect, State};
use crate::digest::{self, Digest};
use crate::finding::Finding;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::{ACCEPTED_REVISION_ANNOTATION, Object};
use crate::pipeline::World;
use crate::pipeline::installations::installation_key;
use crate::plan::{Action, Step};
use crate::snapshot::{Changes, RepoPath, Revision};
use crate::status::{self, Line, Placement, Standing};

/// The page at the root of the status branch.
const PAGE: &str = "STATUS.md";

/// What has been reported and what has not.
#[derive(Debug, Default)]
pub(super) struct Report {
    every: Millis,
    due: Option<Millis>,
    dirty: BTreeSet<Owner>,
    summary: bool,
    lines: BTreeMap<Owner, Line>,
    paths: BTreeMap<Owner, RepoPath>,
    /// What the branch holds, as far as we know; `None` until it was read.
    branch: Option<BTreeMap<RepoPath, Digest>>,
    /// What we asked to be committed and have no answer for yet.
    committing: Option<BTreeMap<RepoPath, Option<Digest>>>,
    patching: BTreeSet<Owner>,
    removed: BTreeSet<RepoPath>,
    /// What status commits say beside the usual, until the next commit of the landscape.
    trailers: Vec<(String, String)>,
    /// Whether the branch has to be read before anything else is done with it.
    unread: bool,
    /// How often in a row the branch could not be moved or read, why, and until when it is left alone for that.
    failures: u32,
    trouble: Option<String>,
    hold: Millis,
}

/// The first wait after a failure, and the longest. A race is run again at once: whoever moved the branch is done.
const WAITS: (Millis, Millis) = (500, 60_000);
/// After so many failures in a row the branch counts as out of reach, for now.
const PATIENCE: u32 = 6;

impl Report {
    /// A reporter that reports at most every so many milliseconds while things move.
    #[must_use]
    pub(super) fn new(every: Millis) -> Self {
        Self { every, ..Self::default() }
    }

    /// An owner may have something new to say.
    pub(super) fn touch(&mut self, owner: &Owner, at: Millis) {
        self.dirty.insert(owner.clone());
        self.schedule(at);
    }

    /// The landscape as a whole has something new to say.
    pub(super) fn touch_summary(&mut self, at: Millis) {
        self.summary = true;
        self.schedule(at);
    }

    fn schedule(&mut self, at: Millis) {
        let due = at.saturating_add(self.every);
        self.due = Some(self.due.map_or(due, |d| d.min(due)));
    }

    /// When to report next although nothing happens; `None` while an answer is awaited, which is an event of its own.
    #[must_use]
    pub(super) fn wake_at(&self) -> Option<Millis> {
        let awaited = self.committing.is_some() || (self.branch.is_none() && !self.unread);
        self.due.filter(|_| self.has_something() && !awaited).map(|due| due.max(self.hold))
    }

    fn has_something(&self) -> bool {
        !self.dirty.is_empty() || self.summary || self.unread
    }

    /// Whether everything was said and every answer came; or there is nobody to say it to.
    #[must_use]
    pub(super) fn is_quiet(&self) -> bool {
        self.trouble().is_some() || self.is_said()
    }

    fn is_said(&self) -> bool {
        self.dirty.is_empty() && !self.summary && self.committing.is_none() && self.patching.is_empty() && self.branch.is_some()
    }

    /// A commit was taken up: paths may have moved.
    pub(super) fn head(&mut self, world: &World, at: Millis) {
        let owners = world.owners();
        let mut uses: BTreeMap<RepoPath, usize> = BTreeMap::new();
        for owner in owners {
            if let Some(path) = world.path(owner) {
                *uses.entry(path).or_default() += 1;
            }
        }
        let mut paths = BTreeMap::new();
        for owner in owners {
            let path = world.path(owner);
            let alone = path.as_ref().is_none_or(|p| uses.get(p).copied().unwrap_or(0) < 2);
            paths.insert(owner.clone(), status::file_path(owner, path.as_ref(), alone));
        }
        // An owner that is gone from Git but still in the garden stays where it was reported.
        for (owner, old) in &self.paths {
            match paths.get_mut(owner) {
                Some(new) if world.path(owner).is_none() => *new = old.clone(),
                Some(new) if new != old => {
                    // What is said of it moves along, though nothing else is new.
                    self.removed.insert(old.clone());
                    self.dirty.insert(owner.clone());
                }
                Some(_) => {}
                None => {
                    self.removed.insert(old.clone());
                }
            }
        }
        for path in paths.values() {
            self.removed.remove(path);
        }
        self.paths = paths;
        self.touch_summary(at);
    }

    /// Whether the commit takes others back.
    pub(super) fn reverts(&mut self, reverts: Option<&Reverts>) {
        self.trailers = reverts.map(Reverts::trailers).unwrap_or_default();
    }

    /// An owner is no more: its file goes.
    pub(super) fn forget(&mut self, owner: &Owner) {
        if let Some(path) = self.paths.remove(owner) {
            self.removed.insert(path);
        }
        self.lines.remove(owner);
        self.dirty.remove(owner);
        self.summary = true;
    }

    /// The branch was read.
    pub(super) fn present(&mut self, files: BTreeMap<RepoPath, String>, at: Millis) {
        let wanted: BTreeSet<&RepoPath> = self.paths.values().collect();
        for path in files.keys() {
            if path.as_str() != PAGE && !wanted.contains(path) && !self.paths.is_empty() {
                self.removed.insert(path.clone());
            }
        }
        self.branch = Some(files.into_iter().map(|(path, text)| (path, digest::of_bytes(text.as_bytes()))).collect());
        self.committing = None;
        self.dirty.extend(self.paths.keys().cloned());
        self.touch_summary(at);
    }

    /// The commit that was asked for is there.
    pub(super) fn committed(&mut self) {
        self.failures = 0;
        self.trouble = None;
        if let (Some(branch), Some(files)) = (&mut self.branch, self.committing.take()) {
            for (path, digest) in files {
                match digest {
                    Some(digest) => branch.insert(path, digest),
                    None => branch.remove(&path),
                };
            }
        }
    }

    /// Somebody else moved the branch, or it could not be moved or read: it is read again first, the later the oftener that
    /// happened.
    pub(super) fn failed(&mut self, why: String, at: Millis) {
        self.committing = None;
        self.branch = None;
        self.unread = true;
        let (first, longest) = WAITS;
        let wait = first.checked_shl(self.failures.saturating_sub(1)).unwrap_or(longest).min(longest);
        self.hold = at.saturating_add(if self.failures == 0 { 0 } else { wait });
        self.due = Some(self.hold);
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(why);
    }

    /// Why the branch is out of reach, once that is more than a race.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|_| self.failures >= PATIENCE)
    }

    /// A status subresource was written, or not.
    pub(super) fn patched(&mut self, owner: &Owner, ok: bool, at: Millis) {
        self.patching.remove(owner);
        if !ok {
            self.touch(owner, at);
        }
    }

    /// Whether there is something to say and it is time to say it.
    pub(super) fn is_wanted(&self, at: Millis, idle: bool) -> bool {
        self.has_something() && at >= self.hold && (idle || self.due.is_some_and(|due| due <= at))
    }

    /// Reports what is due.
    pub(super) fn run(&mut self, state: &State, now: Timestamp, at: Millis, idle: bool, effects: &mut Vec<Effect>) {
        if !self.is_wanted(at, idle) {
            return;
        }
        let Some(world) = state.world() else { return };
        if self.unread {
            self.unread = false;
            self.due = None;
            effects.push(Effect::ReadStatus);
            return;
        }
        let Some(branch) = &self.branch else { return };
        if self.committing.is_some() {
            return;
        }
        self.due = None;
        let mut wanted: BTreeMap<RepoPath, String> = BTreeMap::new();
        let mut patches = Vec::new();
        let dirty = std::mem::take(&mut self.dirty);
        let mut later = BTreeSet::new();
        for owner in dirty {
            let Some(plan) = state.plans().get(&owner) else { continue };
            let Some(path) = self.paths.get(&owner) else { continue };
            if self.patching.contains(&owner) {
                later.insert(owner);
                continue;
            }
            let live = state.observed().garden(&owner);
            let manifest = world.manifest(&owner);
            let shown = state.shown.get(&owner).cloned().unwrap_or_default();
            let failures = state.failures.get(&owner).map_or(&[][..], Vec::as_slice);
            let mut remarks = world.remarks(&owner).to_vec();
            remarks.extend(state.findings.get(&owner).into_iter().flat_map(|f| f.iter().cloned()));
            let input = status::Input {
                owner: &owner,
                plan,
                held: world.held(&owner),
                remarks: &remarks,
                failures,
                live: live.map(Arc::as_ref),
                manifest: manifest.map(Arc::as_ref),
                placement: Placement { seed: shown.seed.as_deref(), failure: shown.unplaced.as_deref() },
                networking: shown.networking.clone(),
                addresses: shown.addresses.clone(),
                technical_id: shown.technical_id.clone(),
                server: (owner.kind == Kind::Seed).then(|| state.observed().server(&Target::Seed(owner.name.clone()))).flatten(),
                cluster_identity: shown.cluster_identity.clone(),
                revision: live.and_then(|l| l.annotations.get(ACCEPTED_REVISION_ANNOTATION)).cloned(),
                kinds: (owner.kind == Kind::Landscape).then(|| state.kinds_by_place()),
                operation: manifest.and_then(|m| state.operation_status(&owner, m, live.map(Arc::as_ref))),
                installations: &shown.installations,
                reported: &shown.reported,
                silent: state.silent(shown.seed.as_deref()),
                now,
            };
            for stand in shown.installations.values() {
                let key = installation_key(&stand.name);
                let live = state.observed().get(&Target::Garden, &key).filter(|l| l.is_tracked() && !l.deleting);
                if let Some(step) = live.and_then(|live| patch(live, &status::installation(stand, live, now))) {
                    self.patching.insert(owner.clone());
                    patches.push((owner.clone(), step));
                }
            }
            if let Some(live) = live.filter(|l| l.is_tracked() && !l.deleting) {
                for step in [patch(live, &status::garden(&input)), mark(&input, live)].into_iter().flatten() {
                    self.patching.insert(owner.clone());
                    patches.push((owner.clone(), step));
                }
            }
            wanted.insert(path.clone(), status::file(&input));
            self.lines.insert(owner.clone(), line(&input));
        }
        self.dirty = later;
        let revision = &world.revision;
        let frozen = world.freezes.iter().map(ToString::to_string);
        let notes: Vec<String> = state.git_trouble.clone().into_iter().chain(frozen).collect();
        let note = (!notes.is_empty()).then(|| notes.join(" · "));
        wanted.insert(PAGE.into(), status::summary(&world.root.name, revision, note.as_deref(), &self.lines));
        self.summary = false;
        if !patches.is_empty() {
            effects.push(Effect::PatchStatus(patches));
        }
        let mut changes = Changes::new();
        let mut committing = BTreeMap::new();
        for (path, text) in wanted {
            let digest = digest::of_bytes(text.as_bytes());
            if branch.get(&path) != Some(&digest) {
                committing.insert(path.clone(), Some(digest));
                changes.insert(path, Some(text));
            }
        }
        let removed = std::mem::take(&mut self.removed);
        let used: BTreeSet<&RepoPath> = if removed.is_empty() { BTreeSet::new() } else { self.paths.values().collect() };
        for path in removed {
            if branch.contains_key(&path) && !used.contains(&path) {
                committing.insert(path.clone(), None);
                changes.insert(path, None);
            }
        }
        if !changes.is_empty() {
            self.committing = Some(committing);
            let intent = state.intent.as_ref().filter(|(of, _)| of == revision).and_then(|(_, digest)| digest.as_ref());
            effects.push(self.commit(world, revision, intent, changes));
        }
    }

    fn commit(&self, world: &World, revision: &Revision, intent: Option<&Digest>, changes: Changes) -> Effect {
        let mut counts: BTreeMap<Standing, usize> = BTreeMap::new();
        for (owner, line) in &self.lines {
            if owner.kind == Kind::Shoot {
                *counts.entry(line.standing).or_default() += 1;
            }
        }
        let words: Vec<String> = counts.iter().rev().map(|(standing, n)| format!("{n} {}", standing.word())).collect();
        let shoots = if words.is_empty() { "no shoots".to_owned() } else { format!("shoots: {}", words.join(", ")) };
        Effect::Commit {
            changes,
            subject: format!("Report {} at {}: {shoots}", world.root.name, revision.short()),
            trailers: status::trailers(&world.root.name, revision, intent, &counts)
                .into_iter()
                .chain(self.trailers.clone())
                .collect(),
        }
    }
}

fn line(input: &status::Input<'_>) -> Line {
    let text =
        |pointer: &str| input.manifest.and_then(|m| m.pointer(pointer)).and_then(Value::as_str).unwrap_or_default().to_owned();
    let note = if let Some(finding) = input.held.first() {
        told(finding)
    } else if let Some(Err(error)) = input.failures.first().map(|f| &f.result) {
        error.message.clone()
    } else if let Some(why) = input.placement.failure {
        format!("not scheduled: {why}")
    } else if let Some(words) = input.operation.as_ref().and_then(|o| o.get("message")).and_then(Value::as_str) {
        words.to_owned()
    } else {
        status::unsettled(input.plan).unwrap_or_default()
    };
    Line {
        standing: status::standing(input.plan, input.held, input.failures),
        seed: input.placement.seed.unwrap_or_default().to_owned(),
        version: if input.owner.kind == Kind::Shoot { text("/spec/kubernetes/version") } else { String::new() },
        note,
    }
}

fn told(finding: &Finding) -> String {
    match finding.places.first() {
        Some(place) => format!("{place}: {} ({})", finding.message, finding.code),
        None => format!("{} ({})", finding.message, finding.code),
    }
}

/// The merge patch that turns the live status into the wanted one; `None` if nothing but times would change.
fn patch(live: &Object, wanted: &Value) -> Option<Step> {
    let empty = json!({});
    let before = live.get("/status").filter(|s| s.is_object()).unwrap_or(&empty);
    let mut patch = merge(before, wanted)?;
    // What espalier does not write there is somebody else's and stays.
    if let Some(map) = patch.as_object_mut() {
        map.retain(|key, value| !value.is_null() || OURS.contains(&key.as_str()));
        if map.is_empty() {
            return None;
        }
    }
    Some(Step {
        target: Target::Garden,
        key: live.key.clone(),
        api_version: live.api_version.clone(),
        action: Action::Status { patch: Arc::new(json!({ "status": patch })) },
        reason: "its status changed".into(),
        changes: Vec::new(),
        digest: None,
    })
}

/// The label by which Gardener's readers tell how a shoot is; `None` if it is as it should be.
fn mark(input: &status::Input<'_>, live: &Object) -> Option<Step> {
    const LABEL: &str = "shoot.gardener.cloud/status";
    if input.owner.kind != Kind::Shoot {
        return None;
    }
    let word = match status::standing(input.plan, &[], input.failures) {
        Standing::Ready => "healthy",
        Standing::Progressing if status::as_rolled_out(input.plan) => "healthy",
        Standing::Progressing | Standing::Deleting => "progressing",
        Standing::Failed | Standing::Held => "unhealthy",
    };
    if live.labels.get(LABEL).is_some_and(|l| l == word) {
        return None;
    }
    let body = json!({
        "apiVersion": live.api_version,
        "kind": live.key.kind,
        "metadata": { "name": live.key.name, "namespace": live.key.namespace, "labels": { LABEL: word } },
    });
    Some(Step {
        target: Target::Garden,
        key: live.key.clone(),
        api_version: live.api_version.clone(),
        action: Action::Mark { body: Arc::new(body) },
        reason: "how it stands changed".into(),
        changes: Vec::new(),
        digest: None,
    })
}

/// Status fields that are ours to remove.
const OURS: &[&str] =
    &["lastErrors", "conditions", "networking", "advertisedAddresses", "seedName", "clusterIdentity", "owners", "time"];

/// The JSON merge patch (RFC 7386) from one object to another; `None` if they are equal.
fn merge(before: &Value, after: &Value) -> Option<Value> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = serde_json::Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(was) => {
                if let Some(inner) = merge(was, value) {
                    patch.insert(key.clone(), inner);
                }
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|k| !new.contains_key(*k)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn a_merge_patch_turns_one_into_the_other() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": true});
        let after = json!({"a": 1, "b": {"c": 3, "d": 2}, "new": [1]});
        let patch = merge(&before, &after).expect("they differ");
        assert_eq!(patch, json!({"b": {"c": 3}, "gone": null, "new": [1]}));
        let mut applied = before;
        json_patch::merge(&mut applied, &patch);
        assert_eq!(applied, after);
        assert_eq!(merge(&after, &after), None);
    }
}
