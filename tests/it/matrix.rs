//! Shoots of every shape, and what each of them is made of: the lists in `tests/golden/matrix` are read by people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use espalier::facts::{Facts, WILDCARD_CERTIFICATE};
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::ObjectKey;
use espalier::render::context::{self, Identity, Objects, Sources};
use espalier::render::{self, Components, Images, Known, RenderState, Rendered, Scope};
use espalier::secrets::Bodies;
use serde_json::{Value, json};

use super::golden::compare;
use super::matrix_seeds;
use super::templates::{self, misfit, mounted, unpacked};

/// A shape: its name, and how it differs from the standard shoot.
pub(crate) type Shape = (&'static str, fn(&mut Value));

fn annotate(shoot: &mut Value, name: &str, value: &str) {
    shoot["metadata"]["annotations"][name] = json!(value);
}

fn worker(shoot: &mut Value, n: usize) -> &mut Value {
    &mut shoot["spec"]["provider"]["workers"][n]
}

fn ha(shoot: &mut Value, tolerance: &str) {
    shoot["spec"]["controlPlane"] = json!({"highAvailability": {"failureTolerance": {"type": tolerance}}});
}

fn version(shoot: &mut Value, version: &str) {
    shoot["spec"]["kubernetes"]["version"] = json!(version);
}

pub(crate) const MATRIX: &[Shape] = &[
    ("standard", |_| {}),
    ("ha-node", |s| ha(s, "node")),
    ("ha-zone", |s| ha(s, "zone")),
    ("ha-zone-one-tunnel", |s| {
        ha(s, "zone");
        annotate(s, "alpha.control-plane.shoot.gardener.cloud/high-availability-vpn", "false");
    }),
    ("two-tunnels", |s| annotate(s, "alpha.control-plane.shoot.gardener.cloud/high-availability-vpn", "true")),
    ("workerless", |s| *s = templates::shape("workerless")),
    ("workerless-ha", |s| {
        *s = templates::shape("workerless");
        ha(s, "node");
    }),
    ("hibernated", |s| s["spec"]["hibernation"] = json!({"enabled": true})),
    ("hibernated-ha", |s| {
        ha(s, "zone");
        s["spec"]["hibernation"] = json!({"enabled": true});
    }),
    ("hibernated-workerless", |s| {
        *s = templates::shape("workerless");
        s["spec"]["hibernation"] = json!({"enabled": true});
    }),
    ("testing", |s| s["spec"]["purpose"] = json!("testing")),
    ("infrastructure", |s| s["spec"]["purpose"] = json!("infrastructure")),
    ("dual-stack", |s| *s = templates::shape("dual-stack")),
    ("ipv6", |s| *s = templates::shape("ipv6")),
    ("kubernetes-1.32", |s| version(s, "1.32.9")),
    ("kubernetes-1.33", |s| version(s, "1.33.5")),
    ("kubernetes-1.35", |s| version(s, "1.35.3")),
    ("kubernetes-1.36", |s| version(s, "1.36.0")),
    ("many-pools", |s| *s = templates::shape("many-pools")),
    ("no-kube-proxy", |s| {
        s["spec"]["networking"]["type"] = json!("cilium");
        s["spec"]["kubernetes"]["kubeProxy"] = json!({"enabled": false});
    }),
    ("node-local-dns", |s| {
        s["spec"]["systemComponents"]["nodeLocalDNS"] = json!({"enabled": true, "disableForwardToUpstreamDNS": true});
    }),
    // What is left of it is below.
    ("node-local-dns-off", |s| worker(s, 1)["kubernetes"] = json!({"version": "1.33.5"})),
    ("addons", |s| {
        s["spec"]["addons"] = json!({
            "kubernetesDashboard": {"enabled": true},
            "nginxIngress": {"enabled": true, "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["10.0.0.0/8"], "config": {"use-gzip": "true"}},
        });
    }),
    ("no-vpa", |s| s["spec"]["kubernetes"]["verticalPodAutoscaler"] = json!({"enabled": false})),
    ("fixed-size", |s| {
        for n in 0..2 {
            worker(s, n)["minimum"] = json!(2);
            worker(s, n)["maximum"] = json!(2);
        }
    }),
    ("priorities", |s| {
        worker(s, 0)["priority"] = json!(10);
        s["spec"]["kubernetes"]["clusterAutoscaler"] =
            json!({"expander": "random", "startupTaints": ["a"], "scaleDownUnneededTime": "90m"});
    }),
    ("coredns-by-cluster-size", |s| {
        s["spec"]["systemComponents"]["coreDNS"]["autoscaling"]["mode"] = json!("cluster-proportional");
    }),
    ("unmanaged-domain", |s| s["spec"]["dns"] = json!({"domain": "web.elsewhere.net", "providers": [{"type": "unmanaged"}]})),
    ("no-domain", |s| drop(s["spec"].as_object_mut().expect("a map").remove("dns"))),
    ("extensions", |s| {
        s["spec"]["extensions"] = json!([
            {"type": "early", "providerConfig": {"a": 1}}, {"type": "plain"}, {"type": "late"}, {"type": "everywhere", "disabled": true},
        ]);
    }),
    ("container-runtimes", |s| {
        worker(s, 0)["cri"] =
            json!({"name": "containerd", "containerRuntimes": [{"type": "gvisor", "providerConfig": {"b": 2}}]});
    }),
    // What its landscape says of it is below.
    ("not-watched", |_| {}),
    ("watched", |s| s["spec"]["monitoring"] = json!({"alerting": {"emailReceivers": ["ann@example.org", "ben@example.org"]}})),
    ("exposure-class", |s| s["spec"]["exposureClassName"] = json!("public")),
    ("referenced-resources", |s| {
        let reference = |name: &str, version: &str, kind: &str, of: &str| json!({"name": name, "resourceRef": {"apiVersion": version, "kind": kind, "name": of}});
        s["spec"]["resources"] = json!([
            reference("a", "v1", "Secret", "access"),
            reference("b", "v1", "ConfigMap", "settings"),
            reference("again", "v1", "Secret", "access"),
            reference("c", "security.gardener.cloud/v1alpha1", "WorkloadIdentity", "robot"),
        ]);
    }),
    ("own-files", |s| {
        let server = &mut s["spec"]["kubernetes"]["kubeAPIServer"];
        server["auditConfig"] = json!({"auditPolicy": {"configMapRef": {"name": "audit-policy"}}});
        server["structuredAuthentication"] = json!({"configMapName": "authentication"});
        server["structuredAuthorization"] =
            json!({"configMapName": "authorization", "kubeconfigs": [{"authorizerName": "mine", "secretName": "mine"}]});
        server["admissionPlugins"] = json!([{"name": "ValidatingAdmissionWebhook", "kubeconfigSecretName": "webhook"}, {"name": "ImagePolicyWebhook", "config": {"imagePolicy": {"kubeConfigFile": "/etc/passwd"}}}]);
    }),
    // Where their logs are kept is below.
    ("victoria-logs", |_| {}),
    ("victoria-logs-hibernated", |s| s["spec"]["hibernation"] = json!({"enabled": true})),
    ("both-log-backends", |_| {}),
    // What its seed has is below.
    ("wildcard", |_| {}),
    ("wildcard-ha-zone", |s| ha(s, "zone")),
    ("no-ssh", |s| s["spec"]["provider"]["workersSettings"]["sshAccess"]["enabled"] = json!(false)),
];

pub(crate) fn shoot(name: &str) -> Value {
    let (_, change) = MATRIX.iter().find(|(n, _)| *n == name).expect("a shape");
    let mut shoot = templates::standard();
    change(&mut shoot);
    shoot
}

/// What the landscape of a shape watches.
pub(crate) fn observability(name: &str) -> Value {
    match name {
        "not-watched" => json!({"monitoring": false}),
        "watched" => json!({"logging": true, "mail": {
            "smarthost": "mail.example.org:587", "from": "alerts@example.org", "username": "alerts", "secretName": "mail",
        }}),
        "victoria-logs" | "victoria-logs-hibernated" => json!({"logging": true, "logBackends": ["VictoriaLogs"]}),
        "both-log-backends" => json!({"logging": true, "logBackends": ["Vali", "VictoriaLogs"]}),
        _ => Value::Null,
    }
}

/// Extensions that come at different times in the life of a shoot.
pub(crate) fn extensions() -> Vec<Value> {
    vec![
        json!({"kind": "Extension", "type": "early", "lifecycle": {"reconcile": "BeforeKubeAPIServer"}}),
        json!({"kind": "Extension", "type": "plain"}),
        json!({"kind": "Extension", "type": "late", "lifecycle": {"reconcile": "AfterWorker"}}),
        json!({"kind": "Extension", "type": "everywhere", "autoEnable": ["shoot"]}),
    ]
}

/// Everything in the landscape of a shape.
pub(crate) fn objects(name: &str) -> Objects {
    let mut objects = templates::objects(shoot(name));
    let landscape = objects.get_mut(&Owner::cluster(Kind::Landscape, "test")).expect("a landscape");
    Arc::make_mut(landscape)["spec"]["observability"] = observability(name);
    Arc::make_mut(landscape)["spec"]["exposureClassHandlers"] = json!([{"name": "open"}]);
    let seed = objects.get_mut(&Owner::cluster(Kind::Seed, "eu1")).expect("a seed");
    Arc::make_mut(seed)["spec"]["settings"]["topologyAwareRouting"] = json!({"enabled": name == "ha-zone"});
    Arc::make_mut(seed)["spec"]["settings"]["persistentVolumeClaimAutoscaler"] = json!({"enabled": name == "both-log-backends"});
    let class = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "ExposureClass", "metadata": {"name": "public"}, "handler": "open"});
    objects.insert(Owner::cluster(Kind::ExposureClass, "public"), Arc::new(class));
    let registration = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "ControllerRegistration", "metadata": {"name": "all"}, "spec": {"resources": extensions()}});
    objects.insert(Owner::cluster(Kind::ControllerRegistration, "all"), Arc::new(registration));
    objects
}

/// What a shape is made of with these images.
pub(crate) fn render_with(name: &str, images: &Images) -> Vec<Rendered> {
    let (objects, owner) = (objects(name), templates::owner());
    let left = (name == "node-local-dns-off").then(|| "node-local-dns-cleanup".to_owned());
    let identity = Identity { following: left.into_iter().collect(), ..templates::identity() };
    let context =
        context::shoot(&Sources { objects: &objects, owner: &owner, identity: &identity }).expect("everything is known");
    components(Scope::Shoot, &owner, ("shoot--shop--web", "garden-shop"), &context, (&facts(name), images))
}

/// What is known of the seed of a shape.
pub(crate) fn facts(name: &str) -> Facts {
    let mut facts = Facts::default();
    if name.contains("wildcard") {
        facts.insert(WILDCARD_CERTIFICATE, json!("trusted"));
    }
    facts
}

/// The components of an owner on the seed `eu1`, in its namespaces there and in the garden, rendered without a body.
pub(crate) fn components(
    scope: Scope,
    owner: &Owner,
    (namespace, garden_namespace): (&str, &str),
    context: &Value,
    (facts, images): (&Facts, &Images),
) -> Vec<Rendered> {
    let known = Known {
        owner,
        target: &Target::Seed("eu1".into()),
        namespace,
        garden_namespace,
        names: None,
        facts,
        bodies: &Bodies::default(),
        images,
        digest_key: None,
        offline: true,
    };
    let outcome = render::components(&SHIPPED.0, scope, context, &known);
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    outcome.components
}

/// What the program ships, compiled once.
pub(crate) static SHIPPED: LazyLock<(Components, Images)> = LazyLock::new(templates::compiled);
/// Every shape, rendered once.
static RENDERED: LazyLock<BTreeMap<&str, Vec<Rendered>>> =
    LazyLock::new(|| MATRIX.iter().map(|(name, _)| (*name, render_with(name, &SHIPPED.1))).collect());

fn render(name: &str) -> &'static [Rendered] {
    &RENDERED[name]
}

/// Everything that shapes are made of, packed or not.
pub(crate) fn manifests() -> impl Iterator<Item = (&'static str, Value)> {
    let objects = |name: &'static str| render(name).iter().flat_map(|r| &r.objects).flat_map(unpacked).map(move |m| (name, m));
    MATRIX.iter().flat_map(move |(name, _)| objects(name))
}

/// The names of a shape's wanted components.
fn wanted(name: &str) -> BTreeSet<String> {
    templates::wanted(render(name))
}

/// A name without the hash of what is in the object.
pub(crate) fn masked(name: &str) -> String {
    match name.rsplit_once('-') {
        Some((front, hash)) if hash.len() == 8 && hash.chars().all(|c| c.is_ascii_hexdigit()) => format!("{front}-*"),
        _ => name.to_owned(),
    }
}

fn line(manifest: &Value) -> String {
    let key = ObjectKey::of(manifest).expect("an object");
    let namespace = if key.namespace.is_empty() { String::new() } else { format!("{}/", key.namespace) };
    format!("{} {namespace}{}", key.kind, masked(&key.name))
}

/// The objects that a component writes, and those that are packed into its ManagedResources.
pub(crate) fn content(rendered: &Rendered) -> Vec<(String, Vec<String>)> {
    rendered
        .objects
        .iter()
        .map(|object| {
            let all = unpacked(object);
            let mut inside: Vec<String> = all[1..].iter().map(line).collect();
            inside.sort();
            (line(&all[0]), inside)
        })
        .collect()
}

#[test]
fn clients_prefer_their_own_zone_where_the_seed_says_so() {
    let prefers = |shape: &str| {
        let all: Vec<Value> = render(shape).iter().flat_map(|r| r.objects.iter().flat_map(unpacked)).collect();
        let services = all.into_iter().filter_map(|o| {
            let to = ["/spec/trafficDistribution", "/spec/etcd/clientService/trafficDistribution"]
                .iter()
                .find_map(|at| o.pointer(at))?;
            assert_eq!(to, "<fact server.trafficDistribution>");
            o.pointer("/metadata/name")?.as_str().map(str::to_owned)
        });
        services.collect::<BTreeSet<String>>()
    };
    let all = ["etcd-events", "etcd-main", "gardener-resource-manager", "kube-apiserver", "vpa-webhook"];
    assert_eq!(prefers("ha-zone"), all.into_iter().map(str::to_owned).collect());
    assert_eq!(prefers("standard"), BTreeSet::new());
}

#[test]
fn every_shape_is_made_of_what_people_read_here() {
    let mut counts: BTreeMap<String, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
    let mut totals = String::new();
    for (name, _) in MATRIX {
        let (mut list, mut sum) = (String::new(), (0, 0));
        for rendered in render(name) {
            let state = match &rendered.state {
                RenderState::Wanted => String::new(),
                RenderState::Skipped(why) => format!(": {why}"),
                other => panic!("{name}/{}: {other:?}", rendered.component.id),
            };
            writeln!(list, "{}{state}", rendered.component.id).expect("a text");
            let content = content(rendered);
            let count = (content.len(), content.iter().map(|(_, inside)| inside.len()).sum::<usize>());
            for (outer, inside) in content {
                writeln!(list, "  {outer}").expect("a text");
                for inner in inside {
                    writeln!(list, "    {inner}").expect("a text");
                }
            }
            sum = (sum.0 + count.0, sum.1 + count.1);
            counts.entry(rendered.component.id.name.clone()).or_default().insert(name, count);
        }
        compare(&format!("matrix/{name}.txt"), &list);
        writeln!(totals, "{name:<24}{:>5}{:>5}", sum.0, sum.1).expect("a text");
    }
    let columns = ["standard", "ha-zone", "workerless", "hibernated", "watched"];
    let mut table = format!("{:<32}{}\n", "objects + those packed in them", columns.map(|c| format!("{c:>12}")).concat());
    for (component, by_shape) in &counts {
        let cells =
            columns.map(|c| by_shape.get(c).filter(|n| n.0 > 0).map_or_else(|| "-".to_owned(), |n| format!("{} + {}", n.0, n.1)));
        writeln!(table, "{component:<32}{}", cells.map(|c| format!("{c:>12}")).concat()).expect("a text");
    }
    compare("matrix/counts.txt", &format!("{table}\n{totals}"));
}

/// Complains about a file in a ConfigMap that is to be YAML and is not.
pub(crate) fn unreadable(name: &str, manifest: &Value) {
    let files = manifest["data"].as_object().filter(|_| manifest["kind"] == "ConfigMap").into_iter().flatten();
    for (file, text) in files.filter(|(file, _)| file.rsplit_once('.').is_some_and(|(_, kind)| kind == "yaml")) {
        let parsed = serde_yaml::from_str::<Value>(text.as_str().expect("text"));
        assert!(parsed.is_ok(), "{name}: {file} in {}: {parsed:?}", manifest["metadata"]["name"]);
    }
}

#[test]
fn what_is_packed_fits_its_kind_and_refers_to_what_is_there() {
    for (name, _) in MATRIX {
        let (mut packed, mut outside): (Vec<Value>, BTreeSet<(String, String)>) = (Vec::new(), BTreeSet::new());
        for rendered in render(name) {
            for object in &rendered.objects {
                let all = unpacked(object);
                outside.insert((object.key.kind.clone(), object.key.name.clone()));
                for manifest in &all {
                    unreadable(name, manifest);
                    assert_eq!(misfit(manifest), None, "{name}: {} in {}", manifest["metadata"]["name"], object.key);
                }
                packed.extend_from_slice(&all[1..]);
            }
        }
        let mut here = outside;
        here.extend(packed.iter().filter_map(ObjectKey::of).map(|key| (key.kind.clone(), key.name.clone())));
        let mut pods: Vec<Value> = packed.iter().filter_map(|m| m.pointer("/spec/template/metadata/labels")).cloned().collect();
        pods.extend(render(name).iter().flat_map(|r| &r.objects).filter_map(|o| of_operator(&o.body)));
        refers_to_what_is_there(name, &packed, &here, &pods);
    }
}

/// The labels of the pods that the Prometheus operator makes of an object: it adds one of its own.
pub(crate) fn of_operator(body: &Value) -> Option<Value> {
    let key = ObjectKey::of(body).filter(|key| key.group == "monitoring.coreos.com")?;
    let mut labels = body.pointer("/spec/podMetadata/labels")?.clone();
    labels[key.kind.to_lowercase()] = json!(key.name);
    Some(labels)
}

/// Complains about mounts, targets and selectors that lead nowhere. `here` has kinds and names, `pods` the labels of pods.
pub(crate) fn refers_to_what_is_there(name: &str, manifests: &[Value], here: &BTreeSet<(String, String)>, pods: &[Value]) {
    let has = |kind: &str, name: &str| {
        // What an operator makes is there with what it makes it of.
        let (kind, name) = match name.strip_prefix("vlsingle-") {
            Some(logs) if kind == "Deployment" => ("VLSingle", logs),
            _ => (kind, name),
        };
        here.contains(&(kind.to_owned(), name.to_owned()))
    };
    for manifest in manifests {
        let key = ObjectKey::of(manifest).expect("an object");
        for (kind, mount) in mounted(manifest) {
            // What people may leave out, and what is outside of our hands.
            let known =
                mount.starts_with("<secret ") || ["kube-dns", "kube-root-ca.crt", "istio-ca-root-cert"].contains(&mount.as_str());
            assert!(known || has(kind, &mount), "{name}: {key} mounts {kind} {mount}, which nobody writes");
        }
        if let Some(target) = manifest.pointer("/spec/targetRef").or_else(|| manifest.pointer("/spec/scaleTargetRef")) {
            let (kind, target) = (target["kind"].as_str().unwrap_or_default(), target["name"].as_str().unwrap_or_default());
            assert!(has(kind, target), "{name}: {key} is for {kind} {target}, which nobody writes");
        }
        let selector = match key.kind.as_str() {
            "Service" => manifest.pointer("/spec/selector"),
            "PodDisruptionBudget" => manifest.pointer("/spec/selector/matchLabels"),
            _ => None,
        };
        if let Some(selector) = selector.and_then(Value::as_object) {
            let selects = |labels: &Value| selector.iter().all(|(k, v)| labels.get(k) == Some(v));
            assert!(pods.iter().any(selects), "{name}: {key} selects no pod");
        }
    }
}

#[test]
fn conditions_decide_which_components_there_are() {
    let standard = wanted("standard");
    let (gone, new) = (
        |name: &str| -> Vec<String> { standard.difference(&wanted(name)).cloned().collect() },
        |name: &str| -> Vec<String> { wanted(name).difference(&standard).cloned().collect() },
    );
    let watching = [
        "alert-rules",
        "blackbox-exporter",
        "blackbox-exporter-control-plane",
        "istio-basic-auth-server",
        "kube-state-metrics",
        "node-exporter",
        "observability-ingress",
        "plutono",
        "plutono-dashboards",
        "prometheus",
        "scrape-configs",
    ];
    assert_eq!((gone("testing"), gone("not-watched")), (watching.map(str::to_owned).into(), watching.map(str::to_owned).into()));
    assert_eq!(new("watched"), ["alertmanager", "event-logger", "opentelemetry-collector", "vali"]);
    assert_eq!(new("victoria-logs"), ["event-logger", "opentelemetry-collector", "victoria-logs"]);
    assert_eq!(new("both-log-backends"), ["event-logger", "opentelemetry-collector", "vali", "victoria-logs"]);
    assert_eq!(gone("no-kube-proxy"), ["kube-proxy"]);
    assert_eq!(gone("no-vpa"), ["vpa"]);
    assert_eq!(gone("fixed-size"), ["cluster-autoscaler"]);
    assert_eq!(gone("unmanaged-domain"), ["apiserver-proxy", "dns-external"]);
    assert_eq!(new("node-local-dns"), ["node-local-dns"]);
    assert_eq!(new("node-local-dns-off"), ["node-local-dns-cleanup"]);
    assert_eq!(new("addons"), ["kubernetes-dashboard", "nginx-ingress"]);
    assert_eq!(new("extensions"), ["extensions-after-worker", "extensions-before-kube-apiserver"]);
    assert_eq!(new("container-runtimes"), ["container-runtimes"]);
    assert_eq!(new("referenced-resources"), ["referenced-resources", "workload-identities"]);
    for name in [
        "ha-node",
        "ha-zone",
        "ha-zone-one-tunnel",
        "infrastructure",
        "kubernetes-1.32",
        "kubernetes-1.36",
        "no-ssh",
        "own-files",
    ] {
        assert_eq!((gone(name), new(name)), (Vec::new(), Vec::new()), "{name}");
    }
}

/// The one object of a kind and name that a shape has, packed or not.
fn object(name: &str, kind: &str, object: &str) -> Option<Value> {
    let all: Vec<Value> = render(name).iter().flat_map(|r| r.objects.iter().flat_map(unpacked)).collect();
    all.into_iter().find(|m| m["kind"] == kind && m["metadata"]["name"] == object)
}

/// What of a manifest is there for Vali only.
pub(crate) fn of_vali(manifest: &Value) -> Option<String> {
    let pattern = regex::Regex::new(r"(?i)\bvali\b|\bloki\b|logging:3100|logging-tcp-3100|\btune2fs\b").expect("a regex");
    pattern.find(&manifest.to_string()).map(|found| format!("{}: {}", line(manifest), found.as_str()))
}

#[test]
fn logs_go_where_the_landscape_keeps_them_and_nothing_of_vali_is_left_elsewhere() {
    for name in ["victoria-logs", "victoria-logs-hibernated"] {
        let all = render(name).iter().flat_map(|r| r.objects.iter().flat_map(unpacked));
        assert_eq!(all.filter_map(|m| of_vali(&m)).collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
    }
    let collector = |name: &str| object(name, "OpenTelemetryCollector", "opentelemetry-collector").expect("it is there");
    let pipelines = |name: &str| -> Vec<String> {
        let collector = collector(name);
        let config = &collector["spec"]["config"];
        let pipelines = config["service"]["pipelines"].as_object().expect("pipelines");
        // What they name is there, and nothing else is.
        for parts in ["exporters", "processors", "receivers"] {
            let named: BTreeSet<&str> =
                pipelines.values().flat_map(|p| p[parts].as_array().expect("names")).filter_map(Value::as_str).collect();
            let there: BTreeSet<&str> = config[parts].as_object().expect("a map").keys().map(String::as_str).collect();
            assert_eq!(named, there, "{name}: {parts}");
        }
        pipelines.keys().cloned().collect()
    };
    assert_eq!(pipelines("watched"), ["logs/vali"]);
    assert_eq!(pipelines("victoria-logs"), ["logs/victorialogs"]);
    assert_eq!(pipelines("both-log-backends"), ["logs/vali", "logs/victorialogs"]);

    let logs = |name: &str| object(name, "VLSingle", "victoria-logs").expect("it is there");
    let (own, asleep) = (logs("victoria-logs"), logs("victoria-logs-hibernated"));
    assert_eq!((&own["spec"]["replicaCount"], &asleep["spec"]["replicaCount"]), (&json!(1), &json!(0)));
    assert_eq!(own["spec"]["storage"]["resources"]["requests"]["storage"], "30Gi");
    let image = SHIPPED.1.pick("victoria-logs", "").expect("an image");
    let parts = ["repository", "tag"].map(|part| own["spec"]["image"][part].as_str().expect("a text"));
    assert_eq!(parts.join(":"), image);
    let grows = |name: &str| object(name, "PersistentVolumeClaimAutoscaler", "victoria-logs");
    assert_eq!(grows("both-log-backends").expect("it is there")["spec"]["volumePolicies"][0]["maxCapacity"], "40Gi");
    assert_eq!(grows("victoria-logs"), None);
    for (name, monitor) in [("victoria-logs", "shoot-victoria-logs"), ("both-log-backends", "shoot-vali")] {
        assert!(object(name, "ServiceMonitor", monitor).is_some() && object(name, "PrometheusRule", monitor).is_some(), "{name}");
    }
}

#[test]
fn a_highly_available_control_plane_has_two_tunnels() {
    let api = |name: &str| object(name, "Deployment", "kube-apiserver").expect("it is there").to_string();
    for name in ["ha-zone", "ha-node", "two-tunnels"] {
        assert_eq!(object(name, "StatefulSet", "vpn-seed-server").expect("it is there")["spec"]["replicas"], 2, "{name}");
        assert_eq!(object(name, "StatefulSet", "vpn-shoot").expect("it is there")["spec"]["replicas"], 2, "{name}");
        assert!(object(name, "Service", "vpn-seed-server-1").is_some() && object(name, "Service", "vpn-seed-server").is_none());
        assert!(api(name).contains("vpn-client-1") && !api(name).contains("--egress-selector-config-file"), "{name}");
    }
    for name in ["standard", "ha-zone-one-tunnel"] {
        assert!(object(name, "Deployment", "vpn-seed-server").is_some() && object(name, "StatefulSet", "vpn-shoot").is_none());
        assert!(!api(name).contains("vpn-client") && api(name).contains("--egress-selector-config-file"), "{name}");
    }
    let asleep = object("hibernated-ha", "StatefulSet", "vpn-seed-server").expect("it is there");
    assert_eq!(asleep["spec"]["replicas"], 0);
}

#[test]
fn kubeconfigs_in_files_of_people_are_their_own_or_none() {
    let map = |prefix: &str| {
        let all = render("own-files").iter().flat_map(|r| &r.objects).find(|o| o.key.name.starts_with(prefix));
        all.expect("it is there").body.clone()
    };
    let plugin = |file: &str| -> Value {
        let config = map("kube-apiserver-admission-config-");
        serde_json::from_str(config["data"][file].as_str().expect("a file")).expect("JSON")
    };
    let own = "/etc/kubernetes/admission-kubeconfigs/validatingadmissionwebhook-kubeconfig.yaml";
    assert_eq!(plugin("validatingadmissionwebhook.yaml")["kubeConfigFile"], own);
    assert_eq!(plugin("imagepolicywebhook.yaml")["imagePolicy"]["kubeConfigFile"], "", "nothing of the API server's own files");
    let kubeconfigs = map("kube-apiserver-admission-kubeconfigs-")["data"].clone();
    assert_eq!(
        kubeconfigs,
        json!({"validatingadmissionwebhook-kubeconfig.yaml": "<garden-secret garden-shop webhook kubeconfig>"})
    );
    let kubeconfigs = map("kube-apiserver-authorization-webhooks-kubeconfigs-")["data"].clone();
    assert_eq!(kubeconfigs, json!({"mine-kubeconfig.yaml": "<garden-secret garden-shop mine kubeconfig>"}));
    let file = |prefix: &str, key: &str| map(prefix)["data"][key].as_str().expect("a file").to_owned();
    let anonymous = file("kube-apiserver-authentication-config-", "config.yaml");
    assert!(anonymous.contains("<garden-config garden-shop authentication config.yaml>"), "{anonymous}");
    let anonymous: Value = serde_yaml::from_str(&anonymous).expect("YAML");
    assert_eq!(anonymous["anonymous"], json!({"enabled": false}), "unless the file says otherwise");
    assert!(file("audit-policy-config-", "audit-policy.yaml").contains("<garden-config garden-shop audit-policy policy>"));
    let order: Value = serde_yaml::from_str(&file("kube-apiserver-authorization-config-", "config.yaml")).expect("YAML");
    let order: Vec<&str> =
        order["authorizers"].as_array().expect("a list").iter().map(|a| a["name"].as_str().unwrap_or("theirs")).collect();
    assert_eq!(order, ["node", "rbac", "theirs", "node-agent-authorizer"]);
}

#[test]
fn api_servers_are_reached_through_the_gateway_of_their_class_and_zone() {
    let door = |name: &str| {
        let of = |kind: &str, which: &str| object(name, kind, which).expect("it is there");
        let space = of("Service", "kube-apiserver")["metadata"]["annotations"]["networking.istio.io/exportTo"].clone();
        let tunnel = of("DestinationRule", if name == "ha-zone" { "vpn-seed-server-0" } else { "vpn-seed-server" });
        for object in [of("VirtualService", "kube-apiserver"), of("DestinationRule", "kube-apiserver"), tunnel] {
            assert_eq!(object["spec"]["exportTo"], json!([space]), "{name}: {}", object["kind"]);
        }
        let space = space.as_str().expect("a namespace").to_owned();
        for record in ["web-internal", "web-external"] {
            assert_eq!(
                of("DNSRecord", record)["spec"]["values"],
                json!([format!("<fact seed:istio-ingress.ip {space}>")]),
                "{name}"
            );
        }
        // What is found below the seed's own domain is not the shoot's to choose.
        assert_eq!(of("VirtualService", "plutono")["spec"]["exportTo"], json!(["istio-ingress"]));
        (space, of("Gateway", "kube-apiserver")["spec"]["selector"].clone())
    };
    let zone = |name: &str| {
        let space = object(name, "Namespace", "shoot--shop--web").expect("it is there");
        let zones = &space["metadata"]["annotations"]["high-availability-config.resources.gardener.cloud/zones"];
        zones.as_str().expect("zones").to_owned()
    };
    let (space, selector) = door("standard");
    assert_eq!(space, format!("istio-ingress--{}", zone("standard")));
    assert_eq!(selector["istio"], format!("ingressgateway--zone--{}", zone("standard")));
    assert_eq!(door("ha-zone").0, "istio-ingress");
    let (space, selector) = door("exposure-class");
    assert_eq!(space, format!("istio-ingress-handler-open--{}", zone("exposure-class")));
    assert_eq!(selector["handler.exposureclass.gardener.cloud/name"], "open");
}

#[test]
fn what_a_shoot_refers_to_is_copied_once_under_a_name_of_its_own() {
    let all = |kind: &str, prefix: &str| -> Vec<Value> {
        let all = all_of("referenced-resources", kind).into_iter();
        all.filter(|o| o["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(prefix))).collect()
    };
    let secrets = all("Secret", "ref-");
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    assert_eq!(
        (&secrets[0]["metadata"]["name"], &secrets[0]["data"]["data"]),
        (&json!("ref-access"), &json!("<garden-secret garden-shop access>"))
    );
    let maps = all("ConfigMap", "ref-");
    assert_eq!(
        (&maps[0]["metadata"]["name"], &maps[0]["data"]["data"]),
        (&json!("ref-settings"), &json!("<garden-config garden-shop settings>"))
    );
    let identities = all("Secret", "workload-identity-ref-");
    let annotations = &identities[0]["metadata"]["annotations"];
    assert_eq!(identities[0]["metadata"]["name"], "workload-identity-ref-robot");
    assert_eq!(annotations["workloadidentity.security.gardener.cloud/namespace"], "garden-shop");
    assert!(annotations["workloadidentity.security.gardener.cloud/context-object"].as_str().expect("JSON").contains("\"Shoot\""));
}

#[test]
fn settings_of_autoscalers_reach_their_command_lines() {
    let command = object("priorities", "Deployment", "cluster-autoscaler").expect("it is there").to_string();
    for flag in ["--expander=priority,random", "--scale-down-unneeded-time=1h30m0s", "--startup-taint=a", "--max-nodes-total="] {
        assert!(command.contains(flag), "{flag}: {command}");
    }
    assert!(object("priorities", "ConfigMap", "cluster-autoscaler-priority-expander").is_some());
    assert!(object("standard", "ConfigMap", "cluster-autoscaler-priority-expander").is_none());
    let recommender = object("standard", "Deployment", "vpa-recommender").expect("it is there").to_string();
    assert!(recommender.contains("--target-cpu-percentile=0.900000") && recommender.contains("--recommender-interval=1m0s"));
}

#[test]
fn versions_of_kubernetes_differ_where_they_must() {
    let resources =
        |name: &str| object(name, "ClusterRole", "gardener.cloud:target:cluster-autoscaler").expect("it is there").to_string();
    assert!(resources("kubernetes-1.35").contains("resourceslices") && !resources("standard").contains("resourceslices"));
    let image = |name: &str, kind: &str, workload: &str| {
        let workload = object(name, kind, workload).expect("it is there");
        workload.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).expect("an image").to_owned()
    };
    let metrics = |name: &str| image(name, "Deployment", "metrics-server");
    assert_ne!(metrics("kubernetes-1.33"), metrics("standard"));
    let detectors: BTreeSet<String> = ["kubernetes-1.32", "standard", "kubernetes-1.35", "kubernetes-1.36"]
        .map(|name| image(name, "DaemonSet", "node-problem-detector"))
        .into();
    assert_eq!(detectors.len(), 4, "{detectors:?}");
    assert!(object("kubernetes-1.32", "NetworkPolicy", "gardener.cloud--deny-all").is_none());
    assert!(object("kubernetes-1.33", "NetworkPolicy", "gardener.cloud--deny-all").is_some());
    let proxy = object("kubernetes-1.33", "DaemonSet", "kube-proxy-small-v1.33.5").expect("it is there").to_string();
    assert!(proxy.contains("\"--v=1\"") && !proxy.contains("\"--v=2\""));
}

/// Everything of a kind that a shape has, packed or not.
fn all_of(name: &str, kind: &str) -> Vec<Value> {
    render(name).iter().flat_map(|r| r.objects.iter().flat_map(unpacked)).filter(|m| m["kind"] == kind).collect()
}

/// Alerts and recordings of a shape.
fn rules(name: &str) -> Vec<Value> {
    let groups = all_of(name, "PrometheusRule").into_iter().flat_map(|r| r["spec"]["groups"].as_array().expect("groups").clone());
    groups.flat_map(|g| g["rules"].as_array().expect("rules").clone()).collect()
}

/// The metrics that a query asks for by name.
fn metrics(query: &str) -> BTreeSet<String> {
    // What is quoted, matched and grouped by is no metric.
    let quoted = regex::Regex::new(r#""[^"]*""#).expect("a regex");
    let aside =
        regex::Regex::new(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring|without|group_left|group_right) *\([^)]*\)").expect("a regex");
    let text = aside.replace_all(&quoted.replace_all(query, ""), " ").into_owned();
    let word = regex::Regex::new(r"([a-zA-Z_:][a-zA-Z0-9_:]*)( *\()?").expect("a regex");
    let operators = ["and", "or", "unless", "bool", "offset", "by", "on"];
    let names = word.captures_iter(&text).filter(|found| found.get(2).is_none()).map(|found| found[1].to_owned());
    names.filter(|name| !operators.contains(&name.as_str())).collect()
}

#[test]
fn names_of_metrics_are_found_in_queries() {
    let query =
        r#"histogram_quantile(0.99, sum by (le, node) (rate(a_bucket{b="c"}[5m]))) > 3 and on (pod) d:e{f=~"g|h"} unless up"#;
    assert_eq!(metrics(query), ["a_bucket", "d:e", "up"].map(str::to_owned).into());
}

#[test]
fn alerts_and_dashboards_ask_for_what_is_scraped_and_kept() {
    for name in ["standard", "watched", "workerless", "ha-zone", "node-local-dns", "no-vpa"] {
        let mut kept: Vec<regex::Regex> = Vec::new();
        let monitors =
            all_of(name, "ServiceMonitor").into_iter().flat_map(|m| m["spec"]["endpoints"].as_array().expect("ends").clone());
        let configs = all_of(name, "ScrapeConfig").into_iter().map(|c| c["spec"].clone());
        for end in monitors.chain(configs) {
            let relabelings = end["metricRelabelings"].as_array().into_iter().flatten();
            let keeps = relabelings.filter(|r| r["action"] == "keep" && r["sourceLabels"] == json!(["__name__"]));
            kept.extend(keeps.map(|r| regex::Regex::new(r["regex"].as_str().expect("a regex")).expect("a regex")));
        }
        let rules = rules(name);
        let known: BTreeSet<&str> = rules.iter().filter_map(|r| r["record"].as_str()).collect();
        // From Prometheus itself, from the seed, and from kube-state-metrics, which answers nothing else than what is kept.
        let given = |metric: &str| {
            metric == "up" || metric.starts_with("scrape_") || metric.starts_with("kube_") || metric.starts_with("container_")
        };
        let mut asked: Vec<(String, String)> = Vec::new();
        for rule in &rules {
            let title = rule["alert"].as_str().or(rule["record"].as_str()).expect("a name");
            asked.push((title.to_owned(), rule["expr"].as_str().expect("a query").to_owned()));
        }
        let dashboards = object(name, "ConfigMap", "plutono-dashboards").expect("they are there");
        for (file, text) in dashboards["data"].as_object().expect("files") {
            let dashboard: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
            for panel in dashboard["panels"].as_array().expect("panels").iter().filter(|p| p["datasource"] == "prometheus") {
                for target in panel["targets"].as_array().expect("queries") {
                    asked.push((format!("{file}: {}", panel["title"]), target["expr"].as_str().expect("a query").to_owned()));
                }
            }
        }
        assert!(kept.len() > 8 && asked.len() > 50, "{name}: {} {}", kept.len(), asked.len());
        for (title, query) in asked {
            for metric in metrics(&query) {
                let there = given(&metric) || known.contains(metric.as_str()) || kept.iter().any(|regex| regex.is_match(&metric));
                assert!(there, "{name}: {title} asks for {metric}, which nobody keeps");
            }
        }
    }
}

#[test]
fn every_alert_says_who_is_to_look_and_where() {
    let of = |name: &str| -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for rule in rules(name).iter().filter(|rule| rule["alert"].is_string()) {
            let alert = rule["alert"].as_str().expect("a name");
            let label = |label: &str| rule["labels"][label].as_str().unwrap_or_default();
            assert!(["all", "owner", "operator"].contains(&label("visibility")), "{alert}");
            assert!(["blocker", "critical", "warning", "info"].contains(&label("severity")), "{alert}");
            assert!(["shoot", "seed"].contains(&label("type")) && !label("service").is_empty(), "{alert}");
            assert!(rule["for"].is_string() && rule["annotations"]["summary"].is_string(), "{alert}");
            names.insert(alert.to_owned());
        }
        names
    };
    let standard = of("standard");
    for alert in [
        "ApiServerNotReachable",
        "KubeEtcdMainDown",
        "KubeEtcdEventsDown",
        "NoWorkerNodes",
        "VPNShootNoPods",
        "KubeEtcdMainFullBackupFailed",
    ] {
        assert!(standard.contains(alert), "{alert}");
    }
    let workerless = of("workerless");
    assert!(
        workerless.contains("KubeApiserverDown")
            && !workerless.contains("NoWorkerNodes")
            && !workerless.contains("KubeSchedulerDown")
    );
    assert!(of("ha-zone").contains("VPNHAShootNoPods") && !of("fixed-size").contains("ClusterAutoscalerDown"));
    assert!(of("watched").is_superset(&["ValiDown", "AlertmanagerFailedReload"].map(str::to_owned).into()));
    assert!(of("testing").is_empty());
}

#[test]
fn a_sleeping_cluster_is_watched_by_nobody_and_keeps_its_volumes() {
    let prometheus = |name: &str| object(name, "Prometheus", "shoot").expect("it is there");
    assert_eq!(
        (prometheus("standard")["spec"]["replicas"].clone(), prometheus("hibernated")["spec"]["replicas"].clone()),
        (json!(1), json!(0))
    );
    let sparse = |name: &str| {
        let all = render(name).iter().flat_map(|r| &r.objects);
        all.filter(|o| o.key.kind == "Prometheus").find_map(|o| o.once.clone()).expect("set once")
    };
    let size = "/spec/storage/volumeClaimTemplate/spec/resources/requests/storage";
    for name in ["standard", "hibernated"] {
        assert_eq!(sparse(name).pointer(size), Some(&json!("20Gi")), "{name}");
        assert_eq!(prometheus(name).pointer(size), None, "{name}: it is set once, and then left to people");
    }
    let users = object("standard", "VirtualService", "plutono").expect("it is there");
    assert_eq!(users["spec"]["hosts"], json!(["gu-shop--web.ingress.eu1.example.org"]));
    assert!(object("hibernated", "VirtualService", "plutono").is_none());
    let written = object("watched", "Secret", "web.monitoring").expect("it is there");
    assert_eq!(written["metadata"]["annotations"]["alertmanager-url"], "https://au-shop--web.ingress.eu1.example.org");
}

#[test]
fn images_of_ones_own_leave_no_registry_of_others() {
    let builtin = &SHIPPED.1;
    let own: BTreeMap<&str, String> = builtin.names().map(|name| (name, format!("own.example.org/{name}:1"))).collect();
    let images = builtin.overridden(&json!(own)).expect("every name is known");
    let registries = ["registry.k8s.io", "europe-docker.pkg.dev", "quay.io", "gcr.io", "docker.io", "ghcr.io"];
    let mut seen = BTreeSet::new();
    let shoots = MATRIX.iter().flat_map(|(name, _)| render_with(name, &images).into_iter().map(move |r| (*name, r)));
    for (name, rendered) in shoots.chain(matrix_seeds::rendered_with(&images)) {
        for manifest in rendered.objects.iter().flat_map(unpacked) {
            let text = manifest.to_string();
            for registry in registries {
                assert!(!text.contains(registry), "{name}: {} names {registry}", line(&manifest));
            }
            // Some want repository and tag apart.
            let parts = |image: &str| image.rsplit_once(':').map(|(of, tag)| format!(r#""repository":"{of}","tag":"{tag}""#));
            let has = |image: &str| text.contains(image) || parts(image).is_some_and(|parts| text.contains(&parts));
            seen.extend(own.iter().filter(|(_, image)| has(image)).map(|(name, _)| (*name).to_owned()));
        }
    }
    let unused: Vec<&&str> = own.keys().filter(|name| !seen.contains(**name)).collect();
    assert!(unused.is_empty(), "neither shoots nor seeds use {unused:?}");
}
