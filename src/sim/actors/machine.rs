//! machine-controller-manager with its provider: MachineDeployment → MachineSet → Machine, each of which becomes Running, and
//! goes when it is deleted. Machines are made only while the manager's own Deployment runs in the shoot's namespace.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{
    at, controller_reference, dropping_zeros, has_finalizer, int, is_controlled_by, is_deleting, items, label, replicas,
    short_condition, text, uid, without_finalizer,
};
use super::worker::{MACHINES, MANAGER};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::digest;
use crate::observed::ObjectKey;

/// Moves machines.
pub(super) struct Machines;

const FINALIZER: &str = "machine.sapcloud.io/machine-controller";
const HASH: &str = "machine-template-hash";

impl Actor for Machines {
    fn name(&self) -> &'static str {
        "machine-controller-manager"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(MACHINES, "MachineDeployment"), (MACHINES, "Machine"), ("apps", "Deployment")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        match key.kind.as_str() {
            "Machine" => {
                // Machines are named <deployment>-<hash>-<suffix>.
                let deployment = key.name.rsplitn(3, '-').nth(2).unwrap_or_default();
                let deployment = ObjectKey { kind: "MachineDeployment".into(), name: deployment.into(), ..key.clone() };
                vec![key.clone(), deployment]
            }
            "Deployment" if key.name == MANAGER => cx.keys(MACHINES, "MachineDeployment", &key.namespace),
            "Deployment" => Vec::new(),
            _ => vec![key.clone()],
        }
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(object) = cx.get(key) else { return Ok(Again::Done) };
        match (key.kind.as_str(), is_deleting(&object)) {
            ("Machine", true) => terminate(cx, key, &object),
            ("MachineDeployment", false) => roll(cx, key, &object),
            _ => Ok(Again::Done),
        }
    }
}

/// Lets a machine go.
fn terminate(cx: &mut Cx<'_>, key: &ObjectKey, machine: &Value) -> Result<Again, Refused> {
    if !has_finalizer(machine, FINALIZER) || cx.fail(machine) == Some(Fail::Stuck) {
        return Ok(Again::Done);
    }
    if let Some(left) = cx.wait("terminate", 20..=60) {
        if text(machine, "/status/currentStatus/phase") != "Terminating" {
            set_phase(cx, key, machine, "Terminating", "Delete", "Processing", None)?;
        }
        return Ok(Again::After(left));
    }
    cx.patch_metadata(key, machine, json!({"finalizers": without_finalizer(machine, FINALIZER)}))?;
    Ok(Again::Done)
}

/// Brings the machines of a deployment to its template and number.
fn roll(cx: &mut Cx<'_>, key: &ObjectKey, deployment: &Arc<Value>) -> Result<Again, Refused> {
    let fail = cx.fail(deployment);
    let wanted = usize::try_from(replicas(deployment)).unwrap_or_default();
    let hash = digest::of_value(&at(deployment, "/spec/template/spec/class")).as_str()[..5].to_owned();
    let set = machine_set(cx, key, deployment, &hash)?;
    let (mut new, mut old): (Vec<_>, Vec<_>) = cx
        .list(MACHINES, "Machine", &key.namespace)
        .into_iter()
        .filter(|m| label(m, "name") == Some(&key.name) && !is_deleting(m))
        .partition(|m| label(m, HASH) == Some(&hash));

    // As many new ones as the surge allows beside the old ones.
    let surge = allowance(deployment, "maxSurge", wanted).max(1);
    let room = (wanted + surge).saturating_sub(old.len()).min(wanted);
    if new.len() < room && cx.engine_runs(&key.namespace, MANAGER) {
        for _ in new.len()..room {
            new.push(create(cx, key, deployment, &set, &hash)?);
        }
    }
    while new.len() > wanted {
        if let Some(surplus) = new.pop().as_deref().and_then(ObjectKey::of) {
            cx.delete(&surplus)?;
        }
    }

    let (mut again, mut running, mut failed) = (Again::Done, 0, Vec::new());
    for machine in &new {
        match boot(cx, machine, fail.as_ref())? {
            Boot::Running => running += 1,
            Boot::Pending(later) => again = again.or(later),
            Boot::Failed(code) => failed.push(json!({
                "name": text(machine, "/metadata/name"), "ownerRef": text(&set, "/metadata/name"),
                "lastOperation": {"type": "Create", "state": "Failed", "errorCode": code, "description": "the cloud refused the machine as asked for by annotation"},
            })),
        }
    }

    // Old ones go as new ones come.
    let spare = allowance(deployment, "maxUnavailable", wanted);
    let keep = wanted.saturating_sub(spare + running);
    while old.len() > keep {
        if let Some(outdated) = old.pop().as_deref().and_then(ObjectKey::of) {
            cx.delete(&outdated)?;
        }
    }
    finish(cx, key, deployment, &set, new.len(), old.len(), running, failed, fail.as_ref())?;
    Ok(again)
}

/// A number or a percentage of the strategy.
fn allowance(deployment: &Value, field: &str, wanted: usize) -> usize {
    match deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}")) {
        Some(Value::String(percent)) => {
            let percent: usize = percent.trim_end_matches('%').parse().unwrap_or_default();
            (wanted * percent).div_ceil(100)
        }
        Some(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        None => 0,
    }
}

/// The set of the present template; sets of former ones are kept only while they have machines.
fn machine_set(cx: &Cx<'_>, key: &ObjectKey, deployment: &Value, hash: &str) -> Result<Arc<Value>, Refused> {
    let name = format!("{}-{hash}", key.name);
    let labels = json!({"name": key.name, HASH: hash});
    let class = at(deployment, "/spec/template/spec/class");
    cx.ensure(json!({
        "apiVersion": format!("{MACHINES}/v1alpha1"), "kind": "MachineSet",
        "metadata": {"name": name, "namespace": key.namespace, "labels": labels, "ownerReferences": controller_reference(deployment)},
        "spec": {
            "replicas": replicas(deployment), "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"class": class}},
        },
    }))
}

fn create(cx: &Cx<'_>, key: &ObjectKey, deployment: &Value, set: &Value, hash: &str) -> Result<Arc<Value>, Refused> {
    let set_name = text(set, "/metadata/name");
    let free = |name: &String| cx.get(&ObjectKey::new(MACHINES, "Machine", &key.namespace, name)).is_none();
    let name = (0..=u32::MAX).map(|n| format!("{set_name}-{}", cx.suffix(&format!("machine-{n}"), 5))).find(free);
    let name = name.expect("there are more names than machines");
    cx.create(json!({
        "apiVersion": format!("{MACHINES}/v1alpha1"), "kind": "Machine",
        "metadata": {
            "name": name, "namespace": key.namespace, "finalizers": [FINALIZER],
            "labels": {"name": key.name, HASH: hash, "node": name}, "ownerReferences": controller_reference(set),
        },
        "spec": {"class": at(deployment, "/spec/template/spec/class"), "providerID": format!("sim:///{name}")},
    }))
}

enum Boot {
    Running,
    Pending(Again),
    Failed(String),
}

/// Brings one machine up.
fn boot(cx: &mut Cx<'_>, machine: &Value, fail: Option<&Fail>) -> Result<Boot, Refused> {
    let phase = text(machine, "/status/currentStatus/phase");
    let own = Fail::of(machine);
    let key = ObjectKey::of(machine).expect("a listed object has a name");
    match own.as_ref().or(fail) {
        Some(Fail::Error(code)) => {
            if phase != "CrashLoopBackOff" {
                set_phase(cx, &key, machine, "CrashLoopBackOff", "Create", "Failed", Some(code))?;
            }
            return Ok(Boot::Failed(code.clone()));
        }
        Some(Fail::Stuck) if phase != "Running" => {
            if phase.is_empty() {
                set_phase(cx, &key, machine, "Pending", "Create", "Processing", None)?;
            }
            return Ok(Boot::Pending(Again::Done));
        }
        Some(Fail::Flapping) => {
            let (up, left) = super::fail::flap(cx.now());
            let wanted = if up { "Running" } else { "Unknown" };
            if phase != wanted {
                set_phase(cx, &key, machine, wanted, "HealthCheck", if up { "Successful" } else { "Processing" }, None)?;
            }
            return Ok(Boot::Pending(Again::After(left)));
        }
        _ => {}
    }
    if phase == "Running" {
        return Ok(Boot::Running);
    }
    if let Some(left) = cx.wait(&format!("boot {}", key.name), 60..=180) {
        if phase != "Pending" {
            set_phase(cx, &key, machine, "Pending", "Create", "Processing", None)?;
        }
        return Ok(Boot::Pending(Again::After(left)));
    }
    set_phase(cx, &key, machine, "Running", "Create", "Successful", None)?;
    Ok(Boot::Running)
}

fn set_phase(
    cx: &Cx<'_>,
    key: &ObjectKey,
    machine: &Value,
    phase: &str,
    operation: &str,
    state: &str,
    code: Option<&str>,
) -> Result<(), Refused> {
    let stamp = cx.stamp();
    let mut last = json!({
        "type": operation, "state": state, "lastUpdateTime": stamp, "description": format!("{operation} of the machine: {state}"),
    });
    if let Some(code) = code {
        last["errorCode"] = json!(code);
    }
    let current = json!({"phase": phase, "timeoutActive": phase == "Pending", "lastUpdateTime": stamp});
    cx.merge_status(key, machine, &json!({"currentStatus": current, "lastOperation": last}))
}

#[expect(clippy::too_many_arguments, reason = "the numbers of one status")]
fn finish(
    cx: &Cx<'_>,
    key: &ObjectKey,
    deployment: &Value,
    set: &Value,
    new: usize,
    old: usize,
    running: usize,
    failed: Vec<Value>,
    fail: Option<&Fail>,
) -> Result<(), Refused> {
    let wanted = usize::try_from(replicas(deployment)).unwrap_or_default();
    let set_key = ObjectKey::of(set).expect("a written object has a name");
    let set_status = json!({
        "replicas": new, "fullyLabeledReplicas": new, "readyReplicas": running, "availableReplicas": running,
        "observedGeneration": int(set, "/metadata/generation"),
    });
    cx.merge_status(&set_key, set, &set_status)?;
    if old == 0 {
        for former in cx.list(MACHINES, "MachineSet", &key.namespace) {
            let former_key = ObjectKey::of(&former).filter(|k| *k != set_key && is_controlled_by(&former, uid(deployment)));
            if let Some(former_key) = former_key {
                cx.delete(&former_key)?;
            }
        }
    }
    let now = cx.stamp();
    let available = running + old;
    let minimum = wanted.saturating_sub(allowance(deployment, "maxUnavailable", wanted));
    let condition = |kind: &str, ok: bool, yes: &str, no: &str| {
        let (status, reason) = if ok { ("True", yes) } else { ("False", no) };
        let mut condition = short_condition(deployment, kind, status, reason, "", &now);
        condition["lastUpdateTime"] = condition["lastTransitionTime"].clone();
        condition
    };
    let progressed = running == wanted && old == 0;
    let mut observed = int(deployment, "/metadata/generation");
    if fail == Some(&Fail::WrongObservedGeneration) {
        observed -= 1;
    }
    let mut status = dropping_zeros(json!({
        "observedGeneration": observed, "replicas": new + old, "updatedReplicas": new, "readyReplicas": available,
        "availableReplicas": available, "unavailableReplicas": wanted.saturating_sub(available),
    }));
    status["conditions"] = json!([
        condition("Available", available >= minimum, "MinimumReplicasAvailable", "MinimumReplicasUnavailable"),
        condition(
            "Progressing",
            failed.is_empty(),
            if progressed { "NewMachineSetAvailable" } else { "MachineSetUpdated" },
            "MachinesFailed"
        ),
    ]);
    if !failed.is_empty() {
        let same = items(deployment, "/status/failedMachines")
            .iter()
            .map(|f| text(f, "/name"))
            .eq(failed.iter().map(|f| text(f, "/name")));
        status["failedMachines"] = if same { at(deployment, "/status/failedMachines") } else { Value::Array(failed) };
    }
    cx.set_status(key, deployment, &status)
}
