//! What a shoot's settings mean on the command lines and in the files of its control plane (`components/core.md` §5–§7).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::pool::at_least;
use super::{at, entries, flag, list, plain, text, texts};

/// `k=bool` pairs, sorted, joined by commas.
fn pairs(value: &Value) -> String {
    value
        .as_object()
        .map(|map| map.iter().collect::<BTreeMap<_, _>>())
        .unwrap_or_default()
        .into_iter()
        .map(|(k, v)| format!("{k}={}", plain(v)))
        .collect::<Vec<_>>()
        .join(",")
}

/// APIs that a cluster without nodes has no use for.
const WORKERLESS_OFF: [&str; 5] = ["apps/v1", "autoscaling/v2", "batch/v1", "policy/v1", "storage.k8s.io/v1/csinodes"];

/// `--runtime-config`: the shoot's own, and what a workerless shoot goes without.
fn runtime_config(shoot: &Value, workerless: bool) -> BTreeMap<String, bool> {
    let mut config: BTreeMap<String, bool> =
        WORKERLESS_OFF.iter().filter(|_| workerless).map(|api| ((*api).to_owned(), false)).collect();
    config.extend(
        entries(shoot, "/spec/kubernetes/kubeAPIServer/runtimeConfig").map(|(k, v)| (k.clone(), v.as_bool().unwrap_or(true))),
    );
    config
}

/// What a shoot says of admission plugins.
#[derive(Default)]
struct Admission {
    on: Vec<String>,
    off: Vec<String>,
    /// Configuration files: `{name, file, text}`.
    configured: Vec<Value>,
    /// Files of kubeconfigs and the Secrets that they come from: `{file, secret}`.
    kubeconfigs: Vec<Value>,
}

/// The file of a kubeconfig that a plugin or an authorizer uses.
fn kubeconfig_file(name: &str) -> String {
    format!("{}-kubeconfig.yaml", name.to_lowercase())
}

/// Admission plugins that are on, and their files.
fn admission(shoot: &Value) -> Admission {
    let mut out = Admission { on: vec!["NodeRestriction".to_owned()], ..Admission::default() };
    for plugin in list(shoot, "/spec/kubernetes/kubeAPIServer/admissionPlugins") {
        let name = text(plugin, "/name").to_owned();
        if flag(plugin, "/disabled") {
            out.on.retain(|known| *known != name);
            out.off.push(name);
            continue;
        }
        let secret = text(plugin, "/kubeconfigSecretName");
        let file = if secret.is_empty() { String::new() } else { kubeconfig_file(&name) };
        let mut config = at(plugin, "/config").clone();
        if !secret.is_empty() {
            out.kubeconfigs.push(json!({"file": file, "secret": secret}));
            if config.is_null() {
                config = empty_config(&name);
            }
        }
        if !config.is_null() {
            let path = if file.is_empty() { file } else { format!("/etc/kubernetes/admission-kubeconfigs/{file}") };
            secure(&name, &mut config, &path);
            out.configured
                .push(json!({"name": name, "file": format!("{}.yaml", name.to_lowercase()), "text": config.to_string()}));
        }
        if !out.on.contains(&name) {
            out.on.push(name);
        }
    }
    out
}

/// The configuration of a plugin that only has a kubeconfig.
fn empty_config(name: &str) -> Value {
    match name {
        "ImagePolicyWebhook" => json!({"imagePolicy": {}}),
        _ => json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration"}),
    }
}

/// What Gardener changes in plugin configurations: system namespaces stay exempt, and a kubeconfig is the plugin's own or none.
fn secure(name: &str, config: &mut Value, kubeconfig: &str) {
    let Some(map) = config.as_object_mut() else { return };
    match name {
        "PodSecurity" => {
            let exemptions = map.entry("exemptions").or_insert_with(|| json!({}));
            if let Some(exemptions) = exemptions.as_object_mut() {
                let namespaces = exemptions.entry("namespaces").or_insert_with(|| json!([]));
                if let Some(namespaces) = namespaces.as_array_mut()
                    && !namespaces.iter().any(|ns| ns == "kube-system")
                {
                    namespaces.push("kube-system".into());
                }
            }
        }
        "ValidatingAdmissionWebhook" | "MutatingAdmissionWebhook" => {
            map.insert("kubeConfigFile".into(), kubeconfig.into());
        }
        "ImagePolicyWebhook" => {
            if let Some(policy) = map.get_mut("imagePolicy").and_then(Value::as_object_mut) {
                policy.insert("kubeConfigFile".into(), kubeconfig.into());
            }
        }
        _ => {}
    }
}

/// Where the authorizers of the shoot's owner are configured; `Null` if nowhere.
fn authorization(settings: &Value) -> Value {
    let name = text(settings, "/configMapName");
    if name.is_empty() {
        return Value::Null;
    }
    let kubeconfigs = list(settings, "/kubeconfigs").iter().map(|entry| {
        let authorizer = text(entry, "/authorizerName");
        json!({"authorizer": authorizer, "secret": text(entry, "/secretName"), "file": kubeconfig_file(authorizer)})
    });
    json!({"name": name, "kubeconfigs": kubeconfigs.collect::<Vec<_>>()})
}

/// `apiServer` of the context.
pub(super) fn api_server(shoot: &Value, domain: &Value, networks: &Value, workerless: bool) -> Value {
    let settings = at(shoot, "/spec/kubernetes/kubeAPIServer");
    let host = text(domain, "/apiInternal");
    let mut flags: Vec<String> = Vec::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            flags.push(format!("--{name}={value}"));
        }
    };
    let mut audiences = texts(settings, "/apiAudiences");
    if audiences.is_empty() {
        audiences.push("kubernetes");
    }
    if !audiences.contains(&"gardener") {
        audiences.push("gardener");
    }
    set("api-audiences", audiences.join(","));
    let admission = admission(shoot);
    set("enable-admission-plugins", admission.on.join(","));
    set("disable-admission-plugins", admission.off.join(","));
    let default_issuer = format!("https://{host}");
    let issuer =
        Some(text(settings, "/serviceAccountConfig/issuer")).filter(|i| !i.is_empty()).unwrap_or(&default_issuer).to_owned();
    let mut issuers = vec![issuer.clone()];
    issuers.extend(texts(settings, "/serviceAccountConfig/acceptedIssuers").into_iter().map(str::to_owned));
    if !issuers.contains(&default_issuer) {
        issuers.push(default_issuer);
    }
    for issuer in &issuers {
        set("service-account-issuer", issuer.clone());
    }
    let optional = |pointer: &str| {
        let value = at(settings, pointer);
        if value.is_null() { String::new() } else { plain(value) }
    };
    set("service-account-extend-token-expiration", optional("/serviceAccountConfig/extendTokenExpiration"));
    set("service-account-max-token-expiration", optional("/serviceAccountConfig/maxTokenExpiration"));
    set("default-not-ready-toleration-seconds", optional("/defaultNotReadyTolerationSeconds"));
    set("default-unreachable-toleration-seconds", optional("/defaultUnreachableTolerationSeconds"));
    set("event-ttl", optional("/eventTTL"));
    set("max-requests-inflight", optional("/requests/maxNonMutatingInflight"));
    set("max-mutating-requests-inflight", optional("/requests/maxMutatingInflight"));
    set("tls-min-version", optional("/tlsMinVersion"));
    set("v", optional("/logging/verbosity"));
    let http = optional("/logging/httpAccessVerbosity");
    if !http.is_empty() {
        set("vmodule", format!("httplog={http}"));
    }
    set("service-cluster-ip-range", texts(networks, "/services").join(","));
    let sizes: Vec<String> = list(settings, "/watchCacheSizes/resources")
        .iter()
        .map(|r| {
            let group = text(r, "/apiGroup");
            let dot = if group.is_empty() { "" } else { "." };
            format!("{}{dot}{group}#{}", text(r, "/resource"), plain(at(r, "/size")))
        })
        .collect();
    set("watch-cache-sizes", sizes.join(","));
    set("feature-gates", pairs(at(settings, "/featureGates")));
    let runtime: Vec<String> = runtime_config(shoot, workerless).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    set("runtime-config", runtime.join(","));
    let min_allowed = at(settings, "/autoscaling/minAllowed");
    let mut encrypted = texts(settings, "/encryptionConfig/resources");
    encrypted.retain(|resource| *resource != "secrets");
    encrypted.push("secrets");
    json!({
        "flags": flags,
        "plugins": admission.configured,
        "pluginKubeconfigs": admission.kubeconfigs,
        "auditPolicy": text(settings, "/auditConfig/auditPolicy/configMapRef/name"),
        "authentication": text(settings, "/structuredAuthentication/configMapName"),
        "authorization": authorization(at(settings, "/structuredAuthorization")),
        "anonymous": flag(settings, "/enableAnonymousAuthentication"),
        "issuer": issuer,
        "encryptedResources": encrypted,
        "minAllowed": {
            "cpu": if at(min_allowed, "/cpu").is_null() { "20m".to_owned() } else { plain(at(min_allowed, "/cpu")) },
            "memory": if at(min_allowed, "/memory").is_null() { "200M".to_owned() } else { plain(at(min_allowed, "/memory")) },
        },
        "scaleDownDisabled": text(shoot, "/metadata/annotations/alpha.control-plane.scaling.shoot.gardener.cloud~1scale-down-disabled") == "true",
        "authorizerCache": at_least(text(shoot, "/spec/kubernetes/version"), 34),
    })
}

/// Controllers that a switched-off API takes along.
const CONTROLLERS_OF: [(&str, &[&str]); 4] = [
    ("apps/v1", &["daemonset", "deployment", "replicaset", "statefulset"]),
    ("autoscaling/v2", &["horizontalpodautoscaling"]),
    ("batch/v1", &["cronjob", "job", "ttl-after-finished"]),
    ("policy/v1", &["disruption"]),
];

/// `controllerManager` of the context.
pub(super) fn controller_manager(shoot: &Value, networks: &Value, workerless: bool) -> Value {
    let version = text(shoot, "/spec/kubernetes/version");
    let settings = at(shoot, "/spec/kubernetes/kubeControllerManager");
    let mut off: Vec<&str> = Vec::new();
    if workerless {
        off.extend([
            "attachdetach",
            "cloud-node-lifecycle",
            "endpoint",
            "ephemeral-volume",
            "nodeipam",
            "nodelifecycle",
            "persistentvolume-binder",
            "persistentvolume-expander",
            "pv-protection",
            "ttl",
        ]);
        if at_least(version, 33) {
            off.push("device-taint-eviction-controller");
        }
        if at_least(version, 34) {
            off.push("podcertificaterequest-cleaner-controller");
        }
        if at_least(version, 36) {
            off.extend(["podgroup-protection-controller", "resourcepoolstatusrequest-controller"]);
        }
    }
    let runtime = runtime_config(shoot, workerless);
    for (api, controllers) in CONTROLLERS_OF {
        if runtime.get(api) == Some(&false) {
            off.extend(controllers);
        }
    }
    off.sort_unstable();
    off.dedup();
    let mut controllers = vec!["*".to_owned(), "bootstrapsigner".to_owned(), "tokencleaner".to_owned()];
    controllers.extend(off.iter().map(|name| format!("-{name}")));
    let mut flags = vec![format!("--controllers={}", controllers.join(","))];
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            flags.push(format!("--{name}={value}"));
        }
    };
    let optional = |pointer: &str, fallback: &str| {
        let value = at(settings, pointer);
        if value.is_null() { fallback.to_owned() } else { plain(value) }
    };
    set("service-cluster-ip-range", texts(networks, "/services").join(","));
    set("feature-gates", pairs(at(settings, "/featureGates")));
    if !workerless {
        set("cluster-cidr", texts(networks, "/pods").join(","));
        let (v4, v6) = (optional("/nodeCIDRMaskSize", ""), optional("/nodeCIDRMaskSizeIPv6", ""));
        if flag(networks, "/dualStack") {
            set("node-cidr-mask-size-ipv4", v4);
            set("node-cidr-mask-size-ipv6", if v6.is_empty() { "64".to_owned() } else { v6 });
        } else {
            set("node-cidr-mask-size", if v6.is_empty() { v4 } else { v6 });
        }
        set("node-monitor-grace-period", optional("/nodeMonitorGracePeriod", "40s"));
        for (flag, field, fallback) in [
            ("cpu-initialization-period", "cpuInitializationPeriod", "5m0s"),
            ("downscale-stabilization", "downscaleStabilization", "5m0s"),
            ("initial-readiness-delay", "initialReadinessDelay", "30s"),
            ("sync-period", "syncPeriod", "30s"),
            ("tolerance", "tolerance", "0.1"),
        ] {
            set(&format!("horizontal-pod-autoscaler-{flag}"), optional(&format!("/horizontalPodAutoscaler/{field}"), fallback));
        }
    }
    json!({"flags": flags})
}

/// `scheduler` of the context.
pub(super) fn scheduler(shoot: &Value) -> Value {
    let settings = at(shoot, "/spec/kubernetes/kubeScheduler");
    let gates = pairs(at(settings, "/featureGates"));
    json!({
        "binPacking": text(settings, "/profile") == "bin-packing",
        "flags": if gates.is_empty() { Vec::new() } else { vec![format!("--feature-gates={gates}")] },
    })
}
