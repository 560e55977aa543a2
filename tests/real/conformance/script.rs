//! The cases as they are written: `== title`, then requests, one a line, body after ` | `; lines that begin with a space go on.

/// A case: requests, one after another.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// A request.
pub(crate) struct Step {
    /// As written.
    pub(crate) text: String,
    pub(crate) verb: String,
    pub(crate) path: String,
    pub(crate) options: Vec<String>,
    /// YAML.
    pub(crate) body: Option<String>,
}

pub(crate) fn parse(group: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            assert!(cases.iter().all(|case| case.title != title), "{group}: two cases are called {title:?}");
            cases.push(Case { title: title.to_owned(), steps: Vec::new() });
        } else if line.is_empty() || line.starts_with('#') {
        } else {
            let case = cases.last_mut().unwrap_or_else(|| panic!("{group}: {line:?} belongs to no case"));
            if let Some(more) = line.strip_prefix(' ') {
                let step = case.steps.last_mut().unwrap_or_else(|| panic!("{group}: {line:?} belongs to no request"));
                step.text.push_str(&format!(" {}", more.trim()));
                step.body.get_or_insert_default().push_str(&format!("\n {more}"));
            } else {
                case.steps.push(step(line));
            }
        }
    }
    cases
}

fn step(line: &str) -> Step {
    let (head, body) = match line.split_once(" | ") {
        Some((head, body)) => (head, Some(body.to_owned())),
        None => (line.trim_end_matches(" |"), None),
    };
    let mut words = head.split_whitespace().map(str::to_owned);
    Step {
        text: line.to_owned(),
        verb: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        options: words.collect(),
        body,
    }
}

/// The kinds by their short names in cases: apiVersion, kind, plural, whether in a namespace.
const KINDS: &[(&str, &str, &str, &str, bool)] = &[
    ("cm", "v1", "ConfigMap", "configmaps", true),
    ("secret", "v1", "Secret", "secrets", true),
    ("svc", "v1", "Service", "services", true),
    ("sa", "v1", "ServiceAccount", "serviceaccounts", true),
    ("pod", "v1", "Pod", "pods", true),
    ("pvc", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("pv", "v1", "PersistentVolume", "persistentvolumes", false),
    ("node", "v1", "Node", "nodes", false),
    ("ns", "v1", "Namespace", "namespaces", false),
    ("event", "v1", "Event", "events", true),
    ("quota", "v1", "ResourceQuota", "resourcequotas", true),
    ("limits", "v1", "LimitRange", "limitranges", true),
    ("rc", "v1", "ReplicationController", "replicationcontrollers", true),
    ("pt", "v1", "PodTemplate", "podtemplates", true),
    ("ep", "v1", "Endpoints", "endpoints", true),
    ("deploy", "apps/v1", "Deployment", "deployments", true),
    ("sts", "apps/v1", "StatefulSet", "statefulsets", true),
    ("ds", "apps/v1", "DaemonSet", "daemonsets", true),
    ("rs", "apps/v1", "ReplicaSet", "replicasets", true),
    ("job", "batch/v1", "Job", "jobs", true),
    ("cj", "batch/v1", "CronJob", "cronjobs", true),
    ("hpa", "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("pdb", "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("role", "rbac.authorization.k8s.io/v1", "Role", "roles", true),
    ("rb", "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
    ("cr", "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
    ("crb", "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("np", "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
    ("ing", "networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("lease", "coordination.k8s.io/v1", "Lease", "leases", true),
    ("pc", "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", false),
    ("sc", "storage.k8s.io/v1", "StorageClass", "storageclasses", false),
    ("eps", "discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true),
    ("mwc", "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("vwc", "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
    ("vap", "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false),
    ("crd", "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("w", "example.org/v1", "Widget", "widgets", true),
    ("wb", "example.org/v1beta1", "Widget", "widgets", true),
    ("knob", "example.org/v1", "Knob", "knobs", false),
];

/// What a short path names.
pub(crate) struct Named {
    pub(crate) path: String,
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

/// Reads `[all:]kind[@namespace][/name[/subresource]]`; `None` if it is a plain path.
pub(crate) fn named(short: &str, namespace: &str) -> Option<Named> {
    if short.starts_with('/') {
        return None;
    }
    let (all, short) = short.strip_prefix("all:").map_or((false, short), |rest| (true, rest));
    let mut parts = short.splitn(3, '/');
    let head = parts.next().unwrap_or_default();
    let (head, namespace) = head.split_once('@').unwrap_or((head, namespace));
    let (name, subresource) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (_, api_version, kind, plural, namespaced) =
        KINDS.iter().find(|(short, ..)| *short == head).unwrap_or_else(|| panic!("no kind is called {head:?}"));
    let mut path = if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") };
    if *namespaced && !all {
        path.push_str(&format!("/namespaces/{namespace}"));
    }
    for part in [plural, name, subresource].into_iter().filter(|part| !part.is_empty()) {
        path.push_str(&format!("/{part}"));
    }
    Some(Named { path, api_version, kind, name: name.to_owned(), subresource: subresource.to_owned() })
}
