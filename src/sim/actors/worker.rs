//! Worker: the machine pools of a shoot. Writes machine classes and machine deployments, says early which deployments there
//! are, waits for their machines, and clears away what no pool wants any more.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::handshake::{Extension, Problem, Progress, require_secret, require_secret_ref, shoot};
use super::object::{EXTENSIONS, at, flag, int, is_deleting, items, label, replicas, text};
use super::{Again, Cx, Lag};
use crate::digest;
use crate::observed::ObjectKey;
use crate::sim::patch::drop_nulls;

/// The API group of machines.
pub(super) const MACHINES: &str = "machine.sapcloud.io";
/// The Deployment that moves machines.
pub(super) const MANAGER: &str = "machine-controller-manager";

/// The worker controller of any provider.
pub(super) struct Workers;

impl Extension for Workers {
    fn name(&self) -> &'static str {
        "gardener-extension-worker"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "Worker"), (MACHINES, "MachineDeployment"), (MACHINES, "Machine")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        cx.keys(EXTENSIONS, "Worker", &key.namespace)
    }

    fn lag(&self) -> Lag {
        1..=5
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        require_secret_ref(cx, object)?;
        let hibernated = flag(&shoot(cx), "/spec/hibernation/enabled");
        let mut wanted = Vec::new();
        for pool in items(object, "/spec/pools") {
            let user_data = text(pool, "/userDataSecretRef/name");
            let secret = require_secret(cx, &cx.key.namespace, user_data)?;
            if secret.pointer("/data").and_then(|d| d.get(text(pool, "/userDataSecretRef/key"))).is_none() {
                return Err(Problem::Failed(
                    format!("secret {user_data:?} lacks the user data of pool {:?}", text(pool, "/name")),
                    &["ERR_CONFIGURATION_PROBLEM"],
                ));
            }
            wanted.extend(deployments(&cx.key.namespace, object, pool));
        }
        let serves = cx.serves(MACHINES, "MachineDeployment");
        if serves {
            for deployment in &wanted {
                write(cx, object, deployment, hibernated)?;
            }
        }
        if cx.once("deployments") {
            let list: Vec<Value> = wanted.iter().map(Deployment::status).collect();
            let fields = json!({"machineDeployments": list, "machineDeploymentsLastUpdateTime": later_than(cx, object)});
            cx.merge_status(cx.key, object, &fields)?;
        }
        if !serves {
            return Ok(Progress::Done(json!({})));
        }
        let names: BTreeSet<&str> = wanted.iter().map(|d| d.name.as_str()).collect();
        if let Some(what) = unavailable(cx, &names)? {
            return Ok(Progress::Waiting(what, Again::After(Duration::from_secs(5))));
        }
        if hibernated {
            for machine in cx.list(MACHINES, "Machine", &cx.key.namespace) {
                if let Some(key) = ObjectKey::of(&machine).filter(|_| label(&machine, "force-deletion") != Some("True")) {
                    cx.patch(&key, &json!({"metadata": {"labels": {"force-deletion": "True"}}}))?;
                }
            }
        }
        let classes: BTreeSet<&str> = wanted.iter().map(|d| d.class.as_str()).collect();
        if clear(cx, &names, &classes)? {
            return Ok(Progress::Waiting("machines of former pools are going".into(), Again::After(Duration::from_secs(5))));
        }
        let manager = ObjectKey::new("apps", "Deployment", &cx.key.namespace, MANAGER);
        if hibernated && cx.get(&manager).is_some_and(|d| replicas(&d) > 0) {
            cx.scale(&manager, 0)?;
        }
        Ok(Progress::Done(json!({})))
    }

    fn delete(&self, cx: &mut Cx<'_>, _: &Value) -> Result<Progress, Problem> {
        if cx.serves(MACHINES, "MachineDeployment") && clear(cx, &BTreeSet::new(), &BTreeSet::new())? {
            return Ok(Progress::Waiting("machines are going".into(), Again::After(Duration::from_secs(5))));
        }
        Ok(Progress::Done(json!({})))
    }
}

/// The part of a pool in one zone.
struct Deployment {
    name: String,
    class: String,
    zone: Option<String>,
    minimum: i64,
    maximum: i64,
    priority: Option<i64>,
    surge: Value,
    unavailable: Value,
    pool: Value,
}

impl Deployment {
    fn status(&self) -> Value {
        let mut status = json!({"name": self.name, "minimum": self.minimum, "maximum": self.maximum});
        if let Some(priority) = self.priority {
            status["priority"] = json!(priority);
        }
        status
    }
}

/// A pool spread over its zones: numbers are split, with the remainder in the first zones.
fn deployments(namespace: &str, worker: &Value, pool: &Value) -> Vec<Deployment> {
    let zones: Vec<Option<String>> = match items(pool, "/zones") {
        [] => vec![None],
        zones => zones.iter().map(|z| z.as_str().map(str::to_owned)).collect(),
    };
    let count = i64::try_from(zones.len()).unwrap_or(i64::MAX);
    let share = |total: i64, index: i64| total / count + i64::from(index < total % count);
    let spread = |field: &str, index: i64| match pool.get(field) {
        Some(Value::String(percent)) => json!(percent),
        other => json!(share(other.and_then(Value::as_i64).unwrap_or_default(), index)),
    };
    let node = ["nodeAgentSecretName", "machineType", "machineImage", "volume", "dataVolumes", "providerConfig", "architecture"];
    let rolls: Vec<Value> = node.iter().map(|f| pool.get(*f).cloned().unwrap_or(Value::Null)).collect();
    zones
        .into_iter()
        .zip(0..)
        .map(|(zone, index)| {
            let name = format!("{namespace}-{}-z{}", text(pool, "/name"), index + 1);
            let hash = digest::of_value(&json!([rolls, text(worker, "/spec/region"), zone]));
            Deployment {
                class: format!("{name}-{}", &hash.as_str()[..5]),
                name,
                zone,
                minimum: share(int(pool, "/minimum"), index),
                maximum: share(int(pool, "/maximum"), index),
                priority: pool.get("priority").and_then(Value::as_i64),
                surge: spread("maxSurge", index),
                unavailable: spread("maxUnavailable", index),
                pool: pool.clone(),
            }
        })
        .collect()
}

/// Class, its Secret, and the deployment.
fn write(cx: &Cx<'_>, worker: &Value, deployment: &Deployment, hibernated: bool) -> Result<(), Problem> {
    let (namespace, pool) = (&cx.key.namespace, &deployment.pool);
    let user_data = require_secret(cx, namespace, text(pool, "/userDataSecretRef/name"))?;
    let user_data = user_data.pointer("/data").and_then(|d| d.get(text(pool, "/userDataSecretRef/key"))).cloned();
    cx.ensure(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": deployment.class, "namespace": namespace, "labels": {"gardener.cloud/purpose": "machineclass"}},
        "data": {"userData": user_data},
    }))?;
    let architecture = match text(pool, "/architecture") {
        "" => "amd64",
        other => other,
    };
    cx.ensure(json!({
        "apiVersion": format!("{MACHINES}/v1alpha1"), "kind": "MachineClass",
        "metadata": {"name": deployment.class, "namespace": namespace, "labels": {"gardener.cloud/purpose": "machineclass"}},
        "provider": text(worker, "/spec/type"),
        "providerSpec": {"machineType": at(pool, "/machineType"), "image": at(pool, "/machineImage"), "region": at(worker, "/spec/region")},
        "secretRef": {"name": deployment.class, "namespace": namespace},
        "credentialsSecretRef": {"name": text(worker, "/spec/secretRef/name"), "namespace": namespace},
        "nodeTemplate": {
            "capacity": pool.pointer("/nodeTemplate/capacity").cloned().unwrap_or_else(|| json!({"cpu": "2", "memory": "8Gi", "gpu": "0"})),
            "instanceType": text(pool, "/machineType"), "region": text(worker, "/spec/region"),
            "zone": deployment.zone.as_deref().unwrap_or_default(), "architecture": architecture,
        },
    }))?;
    let key = ObjectKey::new(MACHINES, "MachineDeployment", namespace, &deployment.name);
    let present = cx.get(&key);
    let fixed = items(worker, "/spec/pools").iter().all(|p| int(p, "/minimum") == int(p, "/maximum"));
    let wanted = match present.as_deref().map(replicas) {
        _ if hibernated => Some(0),
        None => Some(deployment.minimum),
        Some(_) if fixed => Some(deployment.minimum),
        Some(now) if now < deployment.minimum => Some(deployment.minimum),
        Some(now) if now > deployment.maximum => Some(deployment.maximum),
        // Between the bounds the number belongs to the cluster-autoscaler.
        Some(_) => None,
    };
    let mut spec = json!({
        "minReadySeconds": 500, "revisionHistoryLimit": 0,
        "selector": {"matchLabels": {"name": deployment.name}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": deployment.surge, "maxUnavailable": deployment.unavailable}},
        "template": {
            "metadata": {"labels": {"name": deployment.name}},
            "spec": {
                "class": {"kind": "MachineClass", "name": deployment.class},
                "nodeTemplate": {"metadata": {"labels": pool.get("labels")}, "spec": {"taints": pool.get("taints")}},
            },
        },
    });
    if let Some(number) = wanted {
        spec["replicas"] = json!(number);
    }
    drop_nulls(&mut spec);
    let kind = format!("{MACHINES}/v1alpha1");
    let metadata = json!({"name": deployment.name, "namespace": namespace, "labels": {"name": deployment.name}});
    cx.ensure(json!({"apiVersion": kind, "kind": "MachineDeployment", "metadata": metadata, "spec": spec}))?;
    Ok(())
}

/// The time now, or a second after the last one said: whoever waits for this time to change has to see a change.
fn later_than(cx: &Cx<'_>, worker: &Value) -> String {
    let stamp = cx.stamp();
    let last = text(worker, "/status/machineDeploymentsLastUpdateTime");
    match last.parse::<jiff::Timestamp>() {
        Ok(last) if stamp.parse::<jiff::Timestamp>().is_ok_and(|now| now <= last) => {
            (last + jiff::SignedDuration::from_secs(1)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        }
        _ => stamp,
    }
}

/// What the wanted deployments still lack.
fn unavailable(cx: &Cx<'_>, names: &BTreeSet<&str>) -> Result<Option<String>, Problem> {
    let mut missing = 0;
    for deployment in cx.list(MACHINES, "MachineDeployment", &cx.key.namespace) {
        if !names.contains(text(&deployment, "/metadata/name")) {
            continue;
        }
        if let Some(failed) = items(&deployment, "/status/failedMachines").first() {
            let message = format!("machine {:?} failed: {}", text(failed, "/name"), text(failed, "/lastOperation/description"));
            return Err(Problem::Failed(message, &["ERR_INFRA_RESOURCES_DEPLETED"]));
        }
        let wanted = replicas(&deployment);
        let observed = int(&deployment, "/status/observedGeneration") >= int(&deployment, "/metadata/generation");
        let status = |field: &str| int(&deployment, &format!("/status/{field}"));
        if !observed
            || status("availableReplicas") < wanted
            || status("updatedReplicas") != wanted
            || status("replicas") != wanted
        {
            missing += 1;
        }
    }
    Ok((missing > 0).then(|| format!("{missing} of {} machine deployments are not available yet", names.len())))
}

/// Deletes what no pool wants; whether something of it is still there.
fn clear(cx: &Cx<'_>, names: &BTreeSet<&str>, classes: &BTreeSet<&str>) -> Result<bool, Problem> {
    let namespace = &cx.key.namespace;
    let mut left = false;
    for deployment in cx.list(MACHINES, "MachineDeployment", namespace) {
        if let Some(key) = ObjectKey::of(&deployment).filter(|k| !names.contains(k.name.as_str())) {
            left = true;
            cx.delete(&key)?;
        }
    }
    for machine in cx.list(MACHINES, "Machine", namespace) {
        left |= is_deleting(&machine) || label(&machine, "name").is_none_or(|n| !names.contains(n));
    }
    if left {
        return Ok(true);
    }
    for class in cx.list(MACHINES, "MachineClass", namespace) {
        if let Some(key) = ObjectKey::of(&class).filter(|k| !classes.contains(k.name.as_str())) {
            cx.delete(&key)?;
            cx.delete(&ObjectKey::new("", "Secret", namespace, &key.name))?;
        }
    }
    Ok(false)
}
