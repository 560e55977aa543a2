//! etcd-druid: the spec of an Etcd is acted upon only when the operation annotation asks for it; the status follows the
//! StatefulSet at all times. What it makes carries the labels of the Etcd and belongs to it.

use serde_json::{Map, Value, json};

use super::object::{
    CONFIRMATION, OPERATION, annotation, at, condition, controller_reference, has_finalizer, int, is_deleting, replicas, text,
    with_finalizer, without_finalizer,
};
use super::{Actor, Again, Cx, Fail, Refused};
use crate::observed::ObjectKey;

/// Runs Etcds.
pub(super) struct Druid;

const GROUP: &str = "druid.gardener.cloud";
const DRUID_OPERATION: &str = "druid.gardener.cloud/operation";
const FINALIZER: &str = "druid.gardener.cloud/etcd-druid";

impl Actor for Druid {
    fn name(&self) -> &'static str {
        "etcd-druid"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, "Etcd"), ("apps", "StatefulSet")]
    }

    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        // The StatefulSet has the name of its Etcd; other StatefulSets have none.
        let etcd = ObjectKey::new(GROUP, "Etcd", &key.namespace, &key.name);
        if *key == etcd || cx.exists(&etcd) { vec![etcd] } else { Vec::new() }
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused> {
        let Some(mut etcd) = cx.get(key) else { return Ok(Again::Done) };
        if is_deleting(&etcd) {
            return delete(cx, key, &etcd);
        }
        let fail = cx.fail(&etcd);
        let asked = [OPERATION, DRUID_OPERATION].iter().any(|a| annotation(&etcd, a) == Some("reconcile"));
        if asked {
            // First it says that it is at it: were the annotation gone before, a crash in between would lose what was asked for.
            if fail != Some(Fail::LostHandshake) {
                let kind = if etcd.pointer("/status/observedGeneration").is_none() { "Create" } else { "Reconcile" };
                operation(cx, key, &etcd, kind, "Processing")?;
                etcd = cx.get(key).unwrap_or(etcd);
            }
            let mut metadata = json!({"annotations": {OPERATION: null, DRUID_OPERATION: null}});
            if !has_finalizer(&etcd, FINALIZER) {
                metadata["finalizers"] = with_finalizer(&etcd, FINALIZER);
            }
            etcd = cx.patch_metadata(key, &etcd, metadata)?;
            cx.forget_waits();
        }
        if text(&etcd, "/status/lastOperation/state") == "Processing" {
            if fail == Some(Fail::Stuck) {
                return Ok(Again::Done);
            }
            if let Some(left) = cx.wait("reconcile", 1..=3) {
                return Ok(Again::After(left));
            }
            if let Some(Fail::Error(code)) = &fail {
                let error = json!({"code": code, "description": "failed as asked for by annotation", "observedAt": cx.stamp()});
                cx.merge_status(key, &etcd, &json!({"lastErrors": [error]}))?;
                operation(cx, key, &etcd, text(&etcd, "/status/lastOperation/type"), "Error")?;
                return Ok(Again::Done);
            }
            deploy(cx, key, &etcd)?;
            let behind = i64::from(fail == Some(Fail::WrongObservedGeneration));
            let observed = json!({"observedGeneration": int(&etcd, "/metadata/generation") - behind, "lastErrors": null});
            cx.merge_status(key, &etcd, &observed)?;
            operation(cx, key, &etcd, text(&etcd, "/status/lastOperation/type"), "Succeeded")?;
            etcd = cx.get(key).unwrap_or(etcd);
        } else if text(&etcd, "/status/lastOperation/state") == "Error" && !matches!(fail, Some(Fail::Error(_))) {
            operation(cx, key, &etcd, text(&etcd, "/status/lastOperation/type"), "Processing")?;
            return Ok(Again::Done);
        }
        follow(cx, key, &etcd, fail.as_ref())
    }
}

/// Says where the operation on the spec is.
fn operation(cx: &Cx<'_>, key: &ObjectKey, etcd: &Value, kind: &str, state: &str) -> Result<(), Refused> {
    let run = match (text(etcd, "/status/lastOperation/runID"), state) {
        (run, state) if !run.is_empty() && state != "Processing" => run.to_owned(),
        _ => cx.suffix(&format!("run {} {}", cx.stamp(), int(etcd, "/metadata/generation")), 12),
    };
    let last = json!({"type": kind, "state": state, "description": format!("{kind} of the etcd: {state}"), "lastUpdateTime": cx.stamp(), "runID": run});
    cx.merge_status(key, etcd, &json!({"lastOperation": last}))
}

/// Names of what belongs to an Etcd, in the order in which it is made.
fn parts(key: &ObjectKey) -> Vec<ObjectKey> {
    let part = |group: &str, kind: &str, name: &str| ObjectKey::new(group, kind, &key.namespace, name);
    let (name, role) = (key.name.as_str(), format!("druid.gardener.cloud:etcd:{}", key.name));
    vec![
        part("", "ServiceAccount", name),
        part("rbac.authorization.k8s.io", "Role", &role),
        part("rbac.authorization.k8s.io", "RoleBinding", &role),
        part("", "ConfigMap", &format!("{name}-config")),
        part("", "Service", &format!("{name}-client")),
        part("", "Service", &format!("{name}-peer")),
        part("policy", "PodDisruptionBudget", name),
        part("apps", "StatefulSet", name),
    ]
}

fn leases(key: &ObjectKey, members: i64, backup: bool) -> Vec<String> {
    let mut names: Vec<String> = (0..members).map(|n| format!("{}-{n}", key.name)).collect();
    if backup {
        names.extend(["full-snap", "delta-snap"].map(|s| format!("{}-{s}", key.name)));
    }
    names
}

fn has_backup(etcd: &Value) -> bool {
    etcd.pointer("/spec/backup/store").is_some()
}

/// Makes everything that belongs to the Etcd, from its spec.
fn deploy(cx: &Cx<'_>, key: &ObjectKey, etcd: &Value) -> Result<(), Refused> {
    let name = key.name.as_str();
    let wanted = replicas(etcd);
    let port = |field: &str, default: i64| etcd.pointer(&format!("/spec/{field}")).and_then(Value::as_i64).unwrap_or(default);
    let (client, server, backup) = (port("etcd/clientPort", 2379), port("etcd/serverPort", 2380), port("backup/port", 8080));
    let owner = controller_reference(etcd);
    let labels = |component: &str, object: &str| {
        let mut labels = etcd.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        for (label, value) in [("managed-by", "etcd-druid"), ("part-of", name), ("component", component), ("name", object)] {
            // Names of roles have colons, values of labels must not.
            labels.insert(format!("app.kubernetes.io/{label}"), json!(value.replace(':', "-")));
        }
        Value::Object(labels)
    };
    let metadata = |component: &str, object: &str| json!({"name": object, "namespace": key.namespace, "labels": labels(component, object), "ownerReferences": owner});
    let mut pod_labels: Map<String, Value> = etcd.pointer("/spec/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    for (label, value) in [("managed-by", "etcd-druid"), ("part-of", name), ("component", "etcd-statefulset"), ("name", name)] {
        pod_labels.insert(format!("app.kubernetes.io/{label}"), json!(value));
    }
    let selects = json!({"app.kubernetes.io/managed-by": "etcd-druid", "app.kubernetes.io/part-of": name, "app.kubernetes.io/component": "etcd-statefulset"});
    let service_port = |name: &str, port: i64| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": port});
    let role = format!("druid.gardener.cloud:etcd:{name}");

    cx.ensure(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("etcd-sa", name), "automountServiceAccountToken": false}))?;
    cx.ensure(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata("etcd-role", &role),
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "patch", "update", "watch"]}],
    }))?;
    cx.ensure(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata("etcd-rolebinding", &role),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": key.namespace}],
    }))?;
    let members: Vec<String> =
        (0..wanted).map(|n| format!("{name}-{n}=https://{name}-{n}.{name}-peer.{}.svc:{server}", key.namespace)).collect();
    cx.ensure(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("etcd-config", &format!("{name}-config")),
        "data": {"etcd.conf.yaml": format!("initial-cluster: {}\nquota-backend-bytes: {}\n", members.join(","), text(etcd, "/spec/etcd/quota"))},
    }))?;
    let mut client_metadata = metadata("etcd-client-service", &format!("{name}-client"));
    client_metadata["annotations"] = at(etcd, "/spec/etcd/clientService/annotations");
    if client_metadata["annotations"].is_null() {
        client_metadata["annotations"] = json!({});
    }
    cx.ensure(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": client_metadata,
        "spec": {"type": "ClusterIP", "selector": selects, "ports": [service_port("client", client), service_port("server", server), service_port("backuprestore", backup)]},
    }))?;
    cx.ensure(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata("etcd-peer-service", &format!("{name}-peer")),
        "spec": {"type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": true, "selector": selects, "ports": [service_port("peer", server)]},
    }))?;
    let quorum = if wanted > 1 { wanted / 2 + 1 } else { 0 };
    cx.ensure(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata("etcd-pdb", name),
        "spec": {"minAvailable": quorum, "selector": {"matchLabels": selects}},
    }))?;
    for lease in leases(key, wanted, has_backup(etcd)) {
        let component = if lease.ends_with("-snap") { "etcd-snapshot-lease" } else { "etcd-member-lease" };
        cx.ensure(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata(component, &lease)}))?;
    }
    let mut template = json!({"labels": pod_labels});
    if let Some(annotations) = etcd.pointer("/spec/annotations") {
        template["annotations"] = annotations.clone();
    }
    let volume = text(etcd, "/spec/volumeClaimTemplate");
    let volume = if volume.is_empty() { name } else { volume };
    let capacity = etcd.pointer("/spec/storageCapacity").cloned().unwrap_or_else(|| json!("16Gi"));
    cx.ensure(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata("etcd-statefulset", name),
        "spec": {
            "replicas": wanted, "podManagementPolicy": "Parallel", "serviceName": format!("{name}-peer"), "selector": {"matchLabels": selects},
            "template": {"metadata": template, "spec": {"serviceAccountName": name, "containers": [
                {"name": "etcd", "image": "registry.example/etcd-wrapper:sim", "ports": [{"name": "client", "containerPort": client}, {"name": "server", "containerPort": server}]},
                {"name": "backup-restore", "image": "registry.example/etcdbrctl:sim", "ports": [{"name": "server", "containerPort": backup}]},
            ]}},
            "volumeClaimTemplates": [{"metadata": {"name": volume}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": capacity}}}}],
        },
    }))?;
    Ok(())
}

/// Brings the status to what the StatefulSet says.
fn follow(cx: &mut Cx<'_>, key: &ObjectKey, etcd: &Value, fail: Option<&Fail>) -> Result<Again, Refused> {
    let Some(set) = cx.sibling("apps", "StatefulSet", &key.name) else { return Ok(Again::Done) };
    let (up, left) = super::fail::flap(cx.now());
    let flapping = fail == Some(&Fail::Flapping);
    let wanted = replicas(&set);
    let current = int(&set, "/status/observedGeneration") == int(&set, "/metadata/generation");
    let ready = if flapping && !up { 0 } else { int(&set, "/status/readyReplicas") };
    let all = current && ready >= wanted;
    let now = cx.stamp();
    let quorate = ready > wanted / 2 || wanted == 0;
    let truth = |ok: bool| if ok { "True" } else { "False" };
    let mut conditions = vec![
        condition(
            etcd,
            "AllMembersReady",
            truth(all),
            if all { "AllMembersReady" } else { "NotAllMembersReady" },
            "readiness of the members",
            &now,
        ),
        condition(
            etcd,
            "AllMembersUpdated",
            truth(all && int(&set, "/status/updatedReplicas") == wanted),
            "StatefulSetRevision",
            "whether all members have the latest revision",
            &now,
        ),
        condition(
            etcd,
            "Ready",
            truth(quorate),
            if quorate { "Quorate" } else { "QuorumLost" },
            "whether a majority of the members is ready",
            &now,
        ),
        condition(etcd, "DataVolumesReady", "True", "NoWarningsFound", "volumes", &now),
    ];
    if has_backup(etcd) {
        // Nothing is backed up here; a store whose credentials are there is taken to work.
        let secret = text(etcd, "/spec/backup/store/secretRef/name");
        let known = secret.is_empty() || cx.sibling("", "Secret", secret).is_some();
        let (status, reason) = if known { ("True", "BackupSucceeded") } else { ("False", "BackupFailed") };
        conditions.push(condition(etcd, "BackupReady", status, reason, "backups", &now));
    }
    let members: Vec<Value> = (0..wanted)
        .map(|n| {
            let name = format!("{}-{n}", key.name);
            let status = if n < ready { "Ready" } else { "NotReady" };
            let present = super::object::items(etcd, "/status/members").iter().find(|m| text(m, "/name") == name && text(m, "/status") == status);
            let since = present.map_or(now.as_str(), |m| text(m, "/lastTransitionTime"));
            let role = if n == 0 { "Leader" } else { "Member" };
            json!({"name": name, "id": cx.suffix(&name, 16), "role": role, "status": status, "reason": "LeaseSucceeded", "lastTransitionTime": since})
        })
        .collect();
    cx.merge_status(
        key,
        etcd,
        &json!({
            "ready": all && wanted == replicas(etcd), "replicas": wanted, "readyReplicas": ready,
            "currentReplicas": int(&set, "/status/currentReplicas"), "conditions": conditions, "members": members,
            "etcd": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": key.name},
            "peerUrlTLSEnabled": etcd.pointer("/spec/etcd/peerUrlTls").is_some(),
            "selector": format!("app.kubernetes.io/managed-by=etcd-druid,app.kubernetes.io/part-of={}", key.name),
        }),
    )?;
    Ok(if flapping { Again::After(left) } else { Again::Done })
}

/// Takes an Etcd away, if that was confirmed.
fn delete(cx: &mut Cx<'_>, key: &ObjectKey, etcd: &Value) -> Result<Again, Refused> {
    if !has_finalizer(etcd, FINALIZER) {
        return Ok(Again::Done);
    }
    if annotation(etcd, CONFIRMATION) != Some("true") {
        let error = "ERR_DELETION_NOT_CONFIRMED";
        if text(etcd, "/status/lastErrors/0/code") != error {
            let message = format!("annotation {CONFIRMATION:?} is missing");
            cx.merge_status(
                key,
                etcd,
                &json!({"lastErrors": [{"code": error, "description": message, "observedAt": cx.stamp()}]}),
            )?;
        }
        return Ok(Again::Done);
    }
    if cx.fail(etcd) == Some(Fail::Stuck) {
        return Ok(Again::Done);
    }
    if text(etcd, "/status/lastOperation/type") != "Delete" {
        operation(cx, key, etcd, "Delete", "Processing")?;
    }
    if let Some(left) = cx.wait("delete", 5..=20) {
        return Ok(Again::After(left));
    }
    for part in parts(key).iter().rev() {
        cx.delete(part)?;
    }
    for lease in leases(key, replicas(etcd), true) {
        cx.delete(&ObjectKey::new("coordination.k8s.io", "Lease", &key.namespace, &lease))?;
    }
    let etcd = cx.get(key).unwrap_or_default();
    cx.patch_metadata(key, &etcd, json!({"finalizers": without_finalizer(&etcd, FINALIZER)}))?;
    Ok(Again::Done)
}
