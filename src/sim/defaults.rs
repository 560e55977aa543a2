//! What the API server fills in for built-in kinds: as much of it as controllers and clients build upon.

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::verbs::Server;

/// The finalizer that keeps a claim while something uses it.
pub(crate) const CLAIM: &str = "kubernetes.io/pvc-protection";

fn set(map: &mut Map<String, Value>, field: &str, value: impl FnOnce() -> Value) {
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.into(), value());
    }
}

fn object<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Map<String, Value>> {
    value.get_mut(field).and_then(Value::as_object_mut)
}

/// Fills in defaults.
pub(crate) fn fill(kind: &Kind, old: Option<&Value>, new: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => namespace(old, new),
        ("", "Secret") => secret(new),
        ("", "Service") => service(old, new),
        ("", "Pod") => {
            if let Some(spec) = new.get_mut("spec") {
                pod(spec);
            }
            if let Some(spec) = object(new, "spec").filter(|_| old.is_none()) {
                set(spec, "enableServiceLinks", || true.into());
            }
            if old.is_none() {
                new["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
            }
        }
        ("", "PersistentVolumeClaim") => {
            if let Some(spec) = object(new, "spec") {
                set(spec, "volumeMode", || "Filesystem".into());
            }
            if old.is_none() {
                new["status"] = json!({"phase": "Pending"});
            }
        }
        ("", "PodTemplate") => {
            if let Some(spec) = new.pointer_mut("/template/spec") {
                pod(spec);
            }
        }
        ("apps", "Deployment") => {
            workload(new, |spec| {
                set(spec, "replicas", || 1.into());
                set(spec, "progressDeadlineSeconds", || 600.into());
                set(spec, "revisionHistoryLimit", || 10.into());
                set(spec, "strategy", || json!({}));
                if let Some(strategy) = spec.get_mut("strategy").and_then(Value::as_object_mut) {
                    set(strategy, "type", || "RollingUpdate".into());
                    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
                        set(strategy, "rollingUpdate", || json!({}));
                        if let Some(rolling) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut) {
                            set(rolling, "maxSurge", || "25%".into());
                            set(rolling, "maxUnavailable", || "25%".into());
                        }
                    }
                }
            });
        }
        ("apps", "StatefulSet") => workload(new, |spec| {
            set(spec, "replicas", || 1.into());
            set(spec, "podManagementPolicy", || "OrderedReady".into());
            set(spec, "revisionHistoryLimit", || 10.into());
            set(spec, "persistentVolumeClaimRetentionPolicy", || json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
            strategy(spec, &json!({"partition": 0}), false);
            for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
                claim["apiVersion"] = "v1".into();
                claim["kind"] = "PersistentVolumeClaim".into();
                claim["status"]["phase"] = "Pending".into();
                if let Some(spec) = claim.get_mut("spec").and_then(Value::as_object_mut) {
                    set(spec, "volumeMode", || "Filesystem".into());
                }
            }
        }),
        ("apps", "DaemonSet") => {
            workload(new, |spec| {
                set(spec, "revisionHistoryLimit", || 10.into());
                strategy(spec, &json!({"maxSurge": 0, "maxUnavailable": 1}), true);
            });
            let before =
                old.and_then(|old| old.pointer(TEMPLATE_GENERATION)).and_then(Value::as_str).and_then(|n| n.parse().ok());
            let mut generation: u64 = before.unwrap_or(0);
            if old.is_none_or(|old| old.pointer("/spec/template") != new.pointer("/spec/template")) {
                generation += 1;
            }
            if !new.get("metadata").is_some_and(|m| m.get("annotations").is_some_and(Value::is_object)) {
                new["metadata"]["annotations"] = json!({});
            }
            new["metadata"]["annotations"]["deprecated.daemonset.template.generation"] = generation.to_string().into();
        }
        ("apps", "ReplicaSet") => workload(new, |spec| set(spec, "replicas", || 1.into())),
        ("batch", "Job") => {
            workload(new, |spec| {
                set(spec, "backoffLimit", || 6.into());
                set(spec, "completions", || 1.into());
                set(spec, "parallelism", || 1.into());
                set(spec, "completionMode", || "NonIndexed".into());
                set(spec, "suspend", || false.into());
                set(spec, "manualSelector", || false.into());
                set(spec, "podReplacementPolicy", || "TerminatingOrFailed".into());
            });
        }
        ("batch", "CronJob") => {
            if let Some(spec) = object(new, "spec") {
                set(spec, "concurrencyPolicy", || "Allow".into());
                set(spec, "suspend", || false.into());
                set(spec, "successfulJobsHistoryLimit", || 3.into());
                set(spec, "failedJobsHistoryLimit", || 1.into());
                if let Some(pods) = spec.get_mut("jobTemplate").and_then(|t| t.pointer_mut("/spec/template/spec")) {
                    pod(pods);
                }
            }
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            if let Some(spec) = object(new, "spec") {
                set(spec, "minReplicas", || 1.into());
                for direction in ["scaleUp", "scaleDown"] {
                    let rules = spec.get_mut("behavior").and_then(|behavior| behavior.get_mut(direction));
                    if let Some(rules) = rules.and_then(Value::as_object_mut) {
                        set(rules, "selectPolicy", || "Max".into());
                    }
                }
            }
            if let Some(status) = object(new, "status") {
                status.entry("currentMetrics").or_insert(Value::Null);
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(new),
        ("scheduling.k8s.io", "PriorityClass") => {
            if let Some(map) = new.as_object_mut() {
                set(map, "preemptionPolicy", || "PreemptLowerPriority".into());
                // What is false is not written.
                if map.get("globalDefault") == Some(&Value::Bool(false)) {
                    map.remove("globalDefault");
                }
            }
        }
        ("storage.k8s.io", "StorageClass") => {
            if let Some(map) = new.as_object_mut() {
                set(map, "reclaimPolicy", || "Delete".into());
                set(map, "volumeBindingMode", || "Immediate".into());
            }
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            if let Some(spec) = object(new, "spec") {
                let egress = spec.contains_key("egress");
                set(spec, "policyTypes", || if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
                for rules in ["ingress", "egress"] {
                    let rules = spec.get_mut(rules).and_then(Value::as_array_mut).into_iter().flatten();
                    let ports = rules.filter_map(|rule| rule.get_mut("ports").and_then(Value::as_array_mut)).flatten();
                    for port in ports.filter_map(Value::as_object_mut) {
                        set(port, "protocol", || "TCP".into());
                    }
                }
            }
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => webhooks(new),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            if let Some(spec) = object(new, "spec") {
                set(spec, "failurePolicy", || "Fail".into());
            }
            matching(new.pointer_mut("/spec/matchConstraints"));
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => matching(new.pointer_mut("/spec/matchResources")),
        ("apiregistration.k8s.io", "APIService") if old.is_none() && new.pointer("/spec/service").is_none() => {
            new["status"] = json!({"conditions": [{
                "type": "Available", "status": "True", "reason": "Local",
                "message": "Local APIServices are always available",
                "lastTransitionTime": new.pointer("/metadata/creationTimestamp").cloned().unwrap_or_default(),
            }]});
        }
        _ => {}
    }
}

fn namespace(old: Option<&Value>, new: &mut Value) {
    let name = new.pointer("/metadata/name").cloned().unwrap_or_default();
    new["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    if old.is_none() {
        new["status"] = json!({"phase": "Active"});
    }
}

fn secret(new: &mut Value) {
    use base64::Engine as _;
    let Some(map) = new.as_object_mut() else { return };
    set(map, "type", || "Opaque".into());
    let Some(Value::Object(strings)) = map.remove("stringData") else { return };
    set(map, "data", || json!({}));
    if let Some(data) = map.get_mut("data").and_then(Value::as_object_mut) {
        for (key, value) in strings {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, base64::engine::general_purpose::STANDARD.encode(text).into());
        }
    }
}

/// Where a daemon set counts the states of its template.
const TEMPLATE_GENERATION: &str = "/metadata/annotations/deprecated.daemonset.template.generation";

/// An update strategy, rolling if nothing else is said. Whether how it rolls is filled in where only the type is said (`always`)
/// differs by kind.
fn strategy(spec: &mut Map<String, Value>, rolling: &Value, always: bool) {
    set(spec, "updateStrategy", || json!({}));
    let Some(strategy) = spec.get_mut("updateStrategy").and_then(Value::as_object_mut) else { return };
    let said = strategy.contains_key("type");
    set(strategy, "type", || "RollingUpdate".into());
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        if always || !said {
            set(strategy, "rollingUpdate", || json!({}));
        }
        let Some(own) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut) else { return };
        for (field, value) in rolling.as_object().into_iter().flatten() {
            set(own, field, || value.clone());
        }
    }
}

/// What the admission of a pod adds.
fn admitted(spec: &mut Map<String, Value>) {
    set(spec, "priority", || 0.into());
    set(spec, "preemptionPolicy", || "PreemptLowerPriority".into());
    set(spec, "tolerations", || json!([]));
    let Some(list) = spec.get_mut("tolerations").and_then(Value::as_array_mut) else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covers = |toleration: &Value| {
            let text = |field: &str| toleration.get(field).and_then(Value::as_str).unwrap_or_default();
            (text("key") == key || text("key").is_empty()) && matches!(text("effect"), "" | "NoExecute")
        };
        if !list.iter().any(covers) {
            list.push(json!({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300}));
        }
    }
}

/// What the server gives out when an object is stored: addresses of a service, the identity of a job.
pub(crate) fn allocate(server: &Server, kind: &Kind, old: Option<&Value>, new: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Service") => addresses(server, old, new),
        ("", "Namespace") if old.is_none() => new["spec"]["finalizers"] = json!(["kubernetes"]),
        ("", "PersistentVolumeClaim") if old.is_none() => {
            let mut list = super::rules::finalizers(new);
            super::rules::add(&mut list, CLAIM);
            super::rules::set_finalizers(new, &list);
        }
        ("", "Pod") if old.is_none() => {
            if let Some(spec) = object(new, "spec") {
                admitted(spec);
            }
        }
        ("batch", "Job") if old.is_none() && new.pointer("/spec/manualSelector") != Some(&Value::Bool(true)) => {
            let uid = new.pointer("/metadata/uid").cloned().unwrap_or_default();
            let name = new.pointer("/metadata/name").cloned().unwrap_or_default();
            new["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
            let marks = [
                ("batch.kubernetes.io/controller-uid", &uid),
                ("batch.kubernetes.io/job-name", &name),
                ("controller-uid", &uid),
                ("job-name", &name),
            ];
            for (label, value) in marks {
                new["spec"]["template"]["metadata"]["labels"][label] = value.clone();
            }
            if !new.pointer("/metadata/labels").is_some_and(Value::is_object) {
                new["metadata"]["labels"] = json!({});
                for (label, value) in marks {
                    new["metadata"]["labels"][label] = value.clone();
                }
            }
        }
        _ => {}
    }
}

fn addresses(server: &Server, old: Option<&Value>, new: &mut Value) {
    let address = || -> Value {
        // Stable across restarts: derived from the order of writes.
        let n = server.store.version % 65_000 + 10;
        format!("10.96.{}.{}", n / 254, n % 254 + 1).into()
    };
    let previous = old.and_then(|old| old.pointer("/spec/clusterIP")).cloned();
    let families = old.and_then(|old| old.get("spec")).cloned().unwrap_or_default();
    let Some(spec) = object(new, "spec") else { return };
    if spec.get("type").and_then(Value::as_str) != Some("ExternalName") {
        if spec.get("clusterIP").and_then(Value::as_str).is_none_or(str::is_empty) {
            spec.insert("clusterIP".into(), previous.unwrap_or_else(address));
        }
        let ip = spec.get("clusterIP").cloned().unwrap_or_default();
        set(spec, "clusterIPs", || json!([ip]));
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = families.get(field).filter(|_| !spec.contains_key(field)) {
                spec.insert(field.into(), value.clone());
            }
        }
        set(spec, "ipFamilies", || json!(["IPv4"]));
        set(spec, "ipFamilyPolicy", || "SingleStack".into());
    }
    if !matches!(spec.get("type").and_then(Value::as_str), Some("LoadBalancer" | "NodePort")) {
        return;
    }
    let before = families.get("ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut);
    for (port, nth) in ports.zip(0_u64..) {
        let same = |other: &&Value| ["port", "protocol"].iter().all(|field| other.get(*field) == port.get(*field));
        let kept = before.iter().find(same).and_then(|other| other.get("nodePort")).cloned();
        // Stable across restarts, like addresses.
        set(port, "nodePort", || kept.unwrap_or_else(|| (30_000 + (server.store.version + nth) % 2_768).into()));
    }
}

fn service(old: Option<&Value>, new: &mut Value) {
    if new.get("spec").is_none() {
        new["spec"] = json!({});
    }
    let Some(spec) = object(new, "spec") else { return };
    set(spec, "type", || "ClusterIP".into());
    set(spec, "sessionAffinity", || "None".into());
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", || "Cluster".into());
    }
    // An address stays when an update leaves it out.
    for field in ["clusterIP", "clusterIPs"] {
        let given = spec.get(field).is_some_and(|value| value.as_str() != Some(""));
        if let Some(before) =
            old.and_then(|old| old.pointer(&format!("/spec/{field}"))).filter(|_| !given && kind != "ExternalName")
        {
            spec.insert(field.into(), before.clone());
        }
    }
    if matches!(kind.as_str(), "LoadBalancer" | "NodePort") {
        set(spec, "externalTrafficPolicy", || "Cluster".into());
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", || true.into());
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        set(port, "protocol", || "TCP".into());
        let number = port.get("port").cloned().unwrap_or_default();
        set(port, "targetPort", || number);
    }
    if old.is_none() {
        new["status"] = json!({"loadBalancer": {}});
    }
}

fn workload(new: &mut Value, defaults: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(spec) = object(new, "spec") {
        defaults(spec);
        if let Some(spec) = spec.get_mut("template").and_then(|t| t.get_mut("spec")) {
            pod(spec);
        }
    }
}

fn pod(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    set(spec, "restartPolicy", || "Always".into());
    set(spec, "dnsPolicy", || "ClusterFirst".into());
    set(spec, "schedulerName", || "default-scheduler".into());
    set(spec, "terminationGracePeriodSeconds", || 30.into());
    set(spec, "securityContext", || json!({}));
    if let Some(account) = spec.get("serviceAccount").filter(|_| !spec.contains_key("serviceAccountName")).cloned() {
        spec.insert("serviceAccountName".into(), account);
    }
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".into(), account);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let last = image.rsplit('/').next().unwrap_or_default();
            let floating = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
            set(container, "imagePullPolicy", || if floating { "Always".into() } else { "IfNotPresent".into() });
            set(container, "terminationMessagePath", || "/dev/termination-log".into());
            set(container, "terminationMessagePolicy", || "File".into());
            set(container, "resources", || json!({}));
            for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
                field_of_pod(variable.pointer_mut("/valueFrom/fieldRef"));
            }
            for port in
                container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
            {
                set(port, "protocol", || "TCP".into());
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
                    set(probe, "timeoutSeconds", || 1.into());
                    set(probe, "periodSeconds", || 10.into());
                    set(probe, "successThreshold", || 1.into());
                    set(probe, "failureThreshold", || 3.into());
                    if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
                        set(get, "scheme", || "HTTP".into());
                        set(get, "path", || "/".into());
                    }
                }
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        if volume.keys().all(|field| field == "name") {
            volume.insert("emptyDir".into(), json!({}));
        }
        for source in ["secret", "configMap", "projected", "downwardAPI"] {
            if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
                set(source, "defaultMode", || 420.into());
            }
        }
        downward(volume.get_mut("downwardAPI"));
        let projected = volume.get_mut("projected").and_then(|v| v.get_mut("sources")).and_then(Value::as_array_mut);
        projected.into_iter().flatten().for_each(|source| downward(source.get_mut("downwardAPI")));
        if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
            set(path, "type", || "".into());
        }
    }
}

/// What a volume, or a source of a projected one, tells of its own pod.
fn downward(source: Option<&mut Value>) {
    let items = source.and_then(|source| source.get_mut("items")).and_then(Value::as_array_mut);
    items.into_iter().flatten().for_each(|item| field_of_pod(item.get_mut("fieldRef")));
}

/// A reference to a field of its own pod.
fn field_of_pod(reference: Option<&mut Value>) {
    if let Some(field) = reference.and_then(Value::as_object_mut) {
        set(field, "apiVersion", || "v1".into());
    }
}

fn binding(new: &mut Value) {
    for subject in new.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        match subject.get("kind").and_then(Value::as_str) {
            Some("User" | "Group") => set(subject, "apiGroup", || "rbac.authorization.k8s.io".into()),
            _ => {
                if subject.get("apiGroup").and_then(Value::as_str) == Some("") {
                    subject.remove("apiGroup");
                }
            }
        }
    }
    if let Some(reference) = object(new, "roleRef") {
        set(reference, "apiGroup", || "rbac.authorization.k8s.io".into());
    }
}

/// What a policy is for, completed.
fn matching(of: Option<&mut Value>) {
    let Some(of) = of.and_then(Value::as_object_mut) else { return };
    set(of, "matchPolicy", || "Equivalent".into());
    set(of, "namespaceSelector", || json!({}));
    set(of, "objectSelector", || json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in of.get_mut(rules).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            set(rule, "scope", || "*".into());
        }
    }
}

fn webhooks(new: &mut Value) {
    let mutating = new.get("kind").and_then(Value::as_str) == Some("MutatingWebhookConfiguration");
    for hook in new.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        set(hook, "failurePolicy", || "Fail".into());
        set(hook, "matchPolicy", || "Equivalent".into());
        set(hook, "namespaceSelector", || json!({}));
        set(hook, "objectSelector", || json!({}));
        set(hook, "timeoutSeconds", || 10.into());
        if mutating {
            set(hook, "reinvocationPolicy", || "Never".into());
        }
        for rule in hook.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            set(rule, "scope", || "*".into());
        }
        if let Some(service) = hook.get_mut("clientConfig").and_then(|c| c.get_mut("service")).and_then(Value::as_object_mut) {
            set(service, "port", || 443.into());
        }
    }
}
