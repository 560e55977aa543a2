//! A seed's own namespaces are closed, and what runs there still reaches what it has to: everything is read from what shapes are made
//! of, and what the resource manager makes of Services is worked out here as `components/machines-and-network.md` §7.2 says.

use std::collections::{BTreeMap, BTreeSet};

use espalier::landscape::{Kind, Owner};
use espalier::observed::ObjectKey;
use espalier::render::context::installation::Installation;
use espalier::render::context::{self, Identity, Sources};
use espalier::render::{Rendered, Scope};
use serde_json::{Value, json};

use super::matrix::{self, SHIPPED};
use super::{matrix_seeds, templates};

const ASKS: &str = "networking.gardener.cloud/";
const REACHES: &str = "networking.resources.gardener.cloud/to-";
const CLIENTS: &str = "networking.resources.gardener.cloud/namespace-selectors";
const ALIAS: &str = "networking.resources.gardener.cloud/pod-label-selector-namespace-alias";
const WORLD: &str = "networking.resources.gardener.cloud/from-world-to-ports";

/// Everything that a shape of a seed is made of.
fn of_shape(shape: &str) -> Vec<Value> {
    matrix_seeds::manifests().filter(|(name, _)| *name == shape).map(|(_, manifest)| manifest).collect()
}

fn texts<'v>(value: &'v Value, pointer: &str) -> Vec<(&'v str, &'v str)> {
    let map = value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    map.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())).collect()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a label selector selects labels.
fn selects(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let exists = |expression: &Value| {
        let there = labels.contains_key(text(expression, "/key"));
        match text(expression, "/operator") {
            "Exists" => there,
            "DoesNotExist" => !there,
            other => panic!("{other} is not in use"),
        }
    };
    texts(selector, "/matchLabels").iter().all(|(key, value)| labels.get(key) == Some(value))
        && list(selector, "/matchExpressions").iter().all(exists)
}

/// A kind of pods in a seed's own namespaces.
struct Pods<'v> {
    of: String,
    namespace: &'v str,
    labels: BTreeMap<&'v str, &'v str>,
    /// Whether they get a token for the seed's API server, under an account that may do something with it.
    signs_in: bool,
}

/// The accounts that somebody has given a role, by namespace and name.
fn with_a_role(all: &[Value]) -> BTreeSet<(&str, &str)> {
    let bindings = all.iter().filter(|m| text(m, "/kind").ends_with("RoleBinding"));
    bindings.flat_map(|m| list(m, "/subjects")).map(|s| (text(s, "/namespace"), text(s, "/name"))).collect()
}

fn pods(all: &[Value]) -> Vec<Pods<'_>> {
    let accounts = with_a_role(all);
    let mut found = Vec::new();
    for manifest in all {
        let (kind, namespace) = (text(manifest, "/kind"), text(manifest, "/metadata/namespace"));
        let template = manifest.pointer("/spec/template").filter(|_| manifest["apiVersion"] == "apps/v1");
        let (labels, account, token) = match (template, kind) {
            (Some(pod), _) => (texts(pod, "/metadata/labels"), text(pod, "/spec/serviceAccountName"), gets_token(pod)),
            (None, "Prometheus" | "Alertmanager") => {
                let mut labels = texts(manifest, "/spec/podMetadata/labels");
                labels.push((if kind == "Prometheus" { "prometheus" } else { "alertmanager" }, text(manifest, "/metadata/name")));
                (labels, text(manifest, "/spec/serviceAccountName"), true)
            }
            // Their operators hand their labels on; of the first, the rules are those of the account that it makes.
            (None, "FluentBit") => (texts(manifest, "/metadata/labels"), "rules", !list(manifest, "/spec/rbacRules").is_empty()),
            (None, "OpenTelemetryCollector") => {
                (texts(manifest, "/metadata/labels"), text(manifest, "/spec/serviceAccount"), true)
            }
            // The account that its operator makes may do nothing.
            (None, "VLSingle") => (texts(manifest, "/spec/podMetadata/labels"), "", false),
            _ => continue,
        };
        let signs_in = token && (account == "rules" || accounts.contains(&(namespace, account)));
        let of = format!("{namespace} {kind} {}", text(manifest, "/metadata/name"));
        found.push(Pods { of, namespace, labels: labels.into_iter().collect(), signs_in });
    }
    found
}

/// Whether pods get a token for the API server: from the cluster or, where their account gets none, from the resource manager, unless
/// they say themselves that they want none; or as a volume of their own.
fn gets_token(pod: &Value) -> bool {
    let mut sources = list(pod, "/spec/volumes").iter().flat_map(|volume| list(volume, "/projected/sources"));
    let for_the_api = |source: &Value| source.get("serviceAccountToken").is_some_and(|token| token.get("audience").is_none());
    pod.pointer("/spec/automountServiceAccountToken") != Some(&json!(false)) || sources.any(for_the_api)
}

/// The network policies of a namespace that select pods.
fn policies<'v>(all: &'v [Value], pods: &Pods<'_>) -> Vec<&'v Value> {
    let of = all.iter().filter(|m| m["kind"] == "NetworkPolicy" && text(m, "/metadata/namespace") == pods.namespace);
    of.filter(|m| selects(&m["spec"]["podSelector"], &pods.labels)).collect()
}

/// Whether one of them lets pods go to ports.
fn lets_out(policies: &[&Value], port: u16) -> bool {
    let rules = policies.iter().flat_map(|policy| list(policy, "/spec/egress"));
    rules.flat_map(|rule| list(rule, "/ports")).any(|of| of["port"] == port)
}

/// The pods of a shape of which nothing says that they call anybody; the others get out where they have to.
fn quiet(all: &[Value], pods: &[Pods<'_>]) -> Vec<String> {
    let mut quiet = Vec::new();
    for pods in pods {
        let of = &pods.of;
        let policies = policies(all, pods);
        if pods.signs_in {
            assert!(lets_out(&policies, 443) && lets_out(&policies, 6443), "{of} does not reach the API server");
        }
        // What a label asks for, somebody gives.
        for asked in pods.labels.keys().filter_map(|label| label.strip_prefix(ASKS)) {
            let name = format!("allow-{asked}");
            assert!(policies.iter().any(|p| p["metadata"]["name"] == *name), "nothing comes of {asked} on {of}");
        }
        // Whoever calls somebody, does so by a name.
        if pods.signs_in || pods.labels.keys().any(|label| label.starts_with(ASKS) || label.starts_with(REACHES)) {
            assert!(lets_out(&policies, 53), "{of} finds nobody by a name");
        } else {
            quiet.push(of.clone());
        }
    }
    quiet
}

#[test]
fn everything_in_a_seeds_own_namespaces_is_closed_and_gets_out_where_it_has_to() {
    let all = of_shape("seed-victoria-logs");
    let pods = pods(&all);
    let asked = ["garden Deployment istio-basic-auth-server", "garden VLSingle victoria-logs"];
    assert_eq!(quiet(&all, &pods), asked, "they are asked, and ask nobody");
    for pods in &pods {
        let closed = policies(&all, pods).iter().any(|p| p["metadata"]["name"] == "deny-all");
        assert!(closed, "{} is open to everybody", pods.of);
    }
    let gateways = ["istio-ingress", "istio-ingress--eu-a", "istio-ingress--eu-b", "istio-ingress--eu-c"];
    let namespaces: BTreeSet<&str> = ["garden", "istio-system"].into_iter().chain(gateways).collect();
    assert_eq!(pods.iter().map(|pods| pods.namespace).collect::<BTreeSet<_>>(), namespaces);
    assert_eq!((pods.len(), pods.iter().filter(|pods| pods.signs_in).count()), (29, 20));
    let cache = pods.iter().find(|pods| pods.of == "garden Prometheus cache").expect("it is there");
    assert!(lets_out(&policies(&all, cache), 10250), "kubelets are out of reach");
}

/// A policy that lets a pod out anywhere closes every other way.
#[test]
fn pods_get_out_where_nothing_is_closed_by_us() {
    let all = of_shape("seed-elsewhere");
    let pods = pods(&all);
    assert_eq!(quiet(&all, &pods), ["garden Deployment istio-basic-auth-server"]);
    assert!(pods.iter().any(|pods| pods.of == "garden Prometheus cache"));
    assert!(!all.iter().any(|m| m["metadata"]["name"] == "deny-all"));
}

/// A way from pods to a port of a Service, with the label that pods need for it.
struct Way<'v> {
    service: String,
    port: u64,
    label: String,
    /// The client's namespace.
    from: &'v str,
}

/// What the resource manager would open for pods of a namespace, from what Services say.
fn ways<'v>(services: &[Value], (from, labels): (&'v str, &BTreeMap<&str, &str>)) -> Vec<Way<'v>> {
    let mut found = Vec::new();
    for service in services {
        let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
        let annotations = texts(service, "/metadata/annotations");
        let said = |key: &str| annotations.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
        let json = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
        let clients = said(CLIENTS).map(json).unwrap_or_default();
        let prefix = if namespace == from {
            String::new()
        } else if list(&clients, "").iter().any(|selector| selects(selector, labels)) {
            format!("{}-", said(ALIAS).unwrap_or(if namespace.starts_with("shoot--") { "all-shoots" } else { namespace }))
        } else {
            continue;
        };
        let mut open = |id: String, port: &Value| {
            let (service, label) = (format!("{namespace}/{name}"), format!("{REACHES}{prefix}{id}"));
            found.push(Way { service, port: port.as_u64().expect("a number"), label, from });
        };
        for port in list(service, "/spec/ports") {
            let target = port.get("targetPort").unwrap_or(&port["port"]);
            open(format!("{name}-tcp-{target}"), target);
        }
        for (key, value) in &annotations {
            let group =
                key.strip_prefix("networking.resources.gardener.cloud/from-").and_then(|k| k.strip_suffix("-allowed-ports"));
            let Some(group) = group else { continue };
            for port in list(&json(value), "") {
                open(group.to_owned(), &port["port"]);
            }
        }
    }
    found
}

/// The labels of namespaces, by name.
fn namespaces(all: &[Value]) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let of = |m: &'_ Value| m["kind"] == "Namespace";
    all.iter()
        .filter(|m| of(m))
        .map(|m| {
            let name = text(m, "/metadata/name");
            let mut labels: BTreeMap<&str, &str> = texts(m, "/metadata/labels").into_iter().collect();
            labels.insert("kubernetes.io/metadata.name", name);
            (name, labels)
        })
        .collect()
}

/// The Services that an operator makes of an object.
fn of_operator(object: &Value) -> Vec<Value> {
    let service = |name: &str, ports: Value, from: &Value| {
        let metadata = json!({"name": name, "namespace": object["metadata"]["namespace"], "annotations": from["annotations"], "labels": from["labels"]});
        json!({"kind": "Service", "metadata": metadata, "spec": {"ports": ports}})
    };
    match text(object, "/kind") {
        "FluentBit" => {
            let ports = json!([{"name": "metrics", "port": 2020}, {"name": "metrics-plugin", "port": 2021}]);
            vec![service("fluent-bit", ports, &object["spec"]["service"])]
        }
        "OpenTelemetryCollector" => {
            let of = |name: &str, port: Value| service(name, json!([port]), &object["metadata"]);
            vec![
                of("opentelemetry-collector-collector", json!({"name": "otlp-grpc", "port": 4317})),
                of("opentelemetry-collector-collector-monitoring", json!({"name": "monitoring", "port": 8888})),
            ]
        }
        "VLSingle" => {
            let mut usual =
                service("vlsingle-victoria-logs", json!([{"name": "http", "port": 9428}]), &object["spec"]["managedMetadata"]);
            usual["metadata"]["labels"] = json!({
                "app.kubernetes.io/name": "vlsingle", "app.kubernetes.io/instance": object["metadata"]["name"],
                "app.kubernetes.io/component": "monitoring", "managed-by": "vm-operator",
            });
            let mut additional = usual.clone();
            additional["metadata"]["name"] = object["spec"]["serviceSpec"]["metadata"]["name"].clone();
            additional["metadata"]["labels"]["operator.victoriametrics.com/additional-service"] = json!("managed");
            vec![usual, additional]
        }
        "Etcd" => {
            let ports = json!([{"name": "client", "port": 2379}, {"name": "backuprestore", "port": 8080}]);
            let name = format!("{}-client", text(object, "/metadata/name"));
            vec![service(&name, ports, &object["spec"]["etcd"]["clientService"])]
        }
        _ => Vec::new(),
    }
}

/// Services of the seed, and of shoots on it.
fn services(all: &[Value]) -> Vec<Value> {
    let of_shoots = matrix::manifests().map(|(_, m)| m).filter(|m| text(m, "/metadata/namespace").starts_with("shoot--"));
    let services = |m: Value| if m["kind"] == "Service" { vec![m] } else { of_operator(&m) };
    all.iter().cloned().chain(of_shoots).flat_map(services).collect()
}

#[test]
fn labels_of_a_seeds_pods_lead_to_services_that_let_them_in() {
    let all = of_shape("seed-victoria-logs");
    let (services, namespaces) = (services(&all), namespaces(&all));
    let mut dead = BTreeSet::new();
    let mut reached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pods in pods(&all) {
        let ways = ways(&services, (pods.namespace, &namespaces[pods.namespace]));
        for label in pods.labels.keys().filter(|label| label.starts_with(REACHES)) {
            let mut through = ways.iter().filter(|way| way.label == *label).peekable();
            if through.peek().is_none() {
                dead.insert(format!("{}: {}", pods.of, &label[REACHES.len()..]));
            }
            let ports = through.map(|way| format!("{}:{}", way.service, way.port));
            reached.entry(pods.of.clone()).or_default().extend(ports);
        }
    }
    let nowhere = [
        // Gateways are not scraped, nor are the recommenders of shoots from here; extensions bring what is scraped of them.
        "garden Prometheus aggregate: all-istio-ingresses-all-seed-scrape-targets",
        "garden Prometheus seed: all-shoots-vpa-recommender-tcp-8942",
        "garden Prometheus seed: extensions-all-seed-scrape-targets",
    ];
    assert_eq!(dead, nowhere.map(str::to_owned).into());
    // Whom they are told to call, in their arguments and configurations.
    let calls = [
        ("garden Prometheus cache", "garden/kube-state-metrics:8080"),
        ("garden Prometheus seed", "garden/prometheus-cache:9090"),
        ("garden Prometheus aggregate", "garden/prometheus-cache:9090"),
        ("garden Prometheus aggregate", "garden/prometheus-seed:9090"),
        ("garden Prometheus aggregate", "garden/alertmanager-seed:9093"),
        ("garden Prometheus aggregate", "shoot--shop--web/prometheus-shoot:9090"),
        ("garden Deployment plutono", "garden/prometheus-aggregate:9090"),
        ("garden Deployment plutono", "garden/prometheus-seed:9090"),
        ("garden Deployment plutono", "garden/logging:3100"),
        ("garden OpenTelemetryCollector opentelemetry-collector", "garden/logging:3100"),
        ("garden OpenTelemetryCollector opentelemetry-collector", "garden/logging-vl:9428"),
        ("garden Deployment etcd-druid", "shoot--shop--web/etcd-main-client:8080"),
        ("garden Deployment dependency-watchdog-prober", "shoot--shop--web/kube-apiserver:443"),
        ("garden Deployment dependency-watchdog-prober", "istio-ingress/istio-ingressgateway:9443"),
        ("istio-ingress Deployment istio-ingressgateway", "istio-system/istiod:15012"),
        ("istio-ingress--eu-a Deployment istio-ingressgateway", "istio-system/istiod:15012"),
        ("istio-ingress Deployment istio-ingressgateway", "garden/istio-basic-auth-server:10000"),
        ("istio-ingress Deployment istio-ingressgateway", "shoot--shop--web/vpn-seed-server:1194"),
    ];
    for (from, to) in calls {
        assert!(
            reached.get(from).is_some_and(|ports| ports.contains(to)),
            "{from} does not reach {to}: {:#?}",
            reached.get(from)
        );
    }
    let bit = reached.iter().find(|(of, _)| of.starts_with("garden FluentBit")).expect("it is there");
    assert!(bit.1.contains("garden/opentelemetry-collector-collector:4317"), "{bit:?}");
}

#[test]
fn prometheis_reach_what_they_are_told_to_scrape() {
    let all = of_shape("seed-victoria-logs");
    let (services, namespaces) = (services(&all), namespaces(&all));
    let pods = pods(&all);
    let mut seen = 0;
    for monitor in all.iter().filter(|m| m["kind"] == "ServiceMonitor") {
        let (name, which) = (text(monitor, "/metadata/name"), text(monitor, "/metadata/labels/prometheus"));
        let scraper = pods.iter().find(|pods| pods.of == format!("garden Prometheus {which}")).expect("it is there");
        let ways = ways(&services, (scraper.namespace, &namespaces[scraper.namespace]));
        let own = ObjectKey::of(monitor).expect("an object").namespace;
        let mut where_to: Vec<&str> =
            list(monitor, "/spec/namespaceSelector/matchNames").iter().filter_map(Value::as_str).collect();
        if where_to.is_empty() {
            where_to.push(&own);
        }
        for endpoint in list(monitor, "/spec/endpoints") {
            let port = text(endpoint, "/port");
            let is_of = |service: &&Value| {
                where_to.contains(&text(service, "/metadata/namespace"))
                    && selects(&monitor["spec"]["selector"], &texts(service, "/metadata/labels").into_iter().collect())
            };
            let scraped: Vec<(String, u64)> = services
                .iter()
                .filter(is_of)
                .flat_map(|s| list(s, "/spec/ports").iter().filter(|p| p["name"] == port).map(move |p| (s, p)))
                .map(|(s, p)| {
                    let target = p.get("targetPort").unwrap_or(&p["port"]).as_u64().expect("a number");
                    (format!("{}/{}", text(s, "/metadata/namespace"), text(s, "/metadata/name")), target)
                })
                .collect();
            assert!(!scraped.is_empty(), "{name} selects no port {port}");
            for (service, target) in scraped {
                let open = ways.iter().any(|way| {
                    way.service == service
                        && way.port == target
                        && way.from == "garden"
                        && scraper.labels.contains_key(way.label.as_str())
                });
                assert!(open, "{name}: Prometheus {which} does not reach port {target} of {service}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 11);
}

/// API servers are no pods: they are of the world.
#[test]
fn webhooks_of_a_seed_are_open_to_its_api_server() {
    let all = of_shape("seed");
    let hooks = all.iter().filter(|m| text(m, "/kind").ends_with("WebhookConfiguration"));
    let mut seen = BTreeSet::new();
    for client in hooks.flat_map(|m| list(m, "/webhooks")).map(|hook| &hook["clientConfig"]["service"]) {
        let (namespace, name) = (text(client, "/namespace"), text(client, "/name"));
        let is_it = |m: &&Value| {
            m["kind"] == "Service" && text(m, "/metadata/namespace") == namespace && text(m, "/metadata/name") == name
        };
        let service = all.iter().find(is_it).expect("it is there");
        let port = client.get("port").cloned().unwrap_or_else(|| json!(443));
        let served = list(service, "/spec/ports").iter().find(|p| p["port"] == port).expect("it has the port");
        let said = text(service, &format!("/metadata/annotations/{}", WORLD.replace('/', "~1")));
        let open: Value = serde_json::from_str(said).unwrap_or_default();
        assert!(
            list(&open, "").iter().any(|p| p["port"] == served["targetPort"]),
            "nobody gets to the webhook of {namespace}/{name}"
        );
        seen.insert(name);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["etcd-druid", "gardener-resource-manager", "istiod", "vpa-webhook"]);
}

/// The seed of a shape with an extension on it.
fn with_extension(change: fn(&mut Value, &mut Value)) -> Vec<Rendered> {
    let owner = Owner::cluster(Kind::Seed, "eu1");
    let mut objects = templates::objects(templates::standard());
    let (landscape, seed) = matrix_seeds::manifests_of(change);
    objects.insert(Owner::cluster(Kind::Landscape, "test"), landscape.into());
    objects.insert(owner.clone(), seed.into());
    let installation = Installation { registration: "network".into(), wanted: true, needed: true, why: "Network/calico".into() };
    let identity = Identity { installations: vec![installation], ..templates::identity() };
    let context = context::seed(&Sources { objects: &objects, owner: &owner, identity: &identity }).expect("everything is known");
    matrix::components(Scope::Seed, &owner, ("garden", "garden"), &context, (&matrix::facts("seed"), &SHIPPED.1))
}

#[test]
fn an_extensions_namespace_is_closed_before_it_runs_there() {
    let rendered = with_extension(|_, _| {});
    let of = |name: &str| rendered.iter().find(|r| r.component.id.name == name).expect("it is there");
    let namespace = of("extension-namespace.network").objects[0].key.name.clone();
    let policies = of("extension-network-policies.network");
    let names: BTreeSet<(&str, &str)> =
        policies.objects.iter().map(|o| (o.key.namespace.as_str(), o.key.name.as_str())).collect();
    let expected = ["to-blocked-cidrs", "to-dns", "to-private-networks", "to-public-networks", "to-runtime-apiserver"];
    let expected: BTreeSet<String> = expected.iter().map(|what| format!("allow-{what}")).chain(["deny-all".to_owned()]).collect();
    assert_eq!(names, expected.iter().map(|name| (namespace.as_str(), name.as_str())).collect());
    assert!(of("extension.network").component.needs.contains(&policies.component.id.name));
}

#[test]
fn where_others_run_the_engines_nothing_of_theirs_is_closed() {
    let namespaces = |change: fn(&mut Value, &mut Value), component: &str| -> BTreeSet<String> {
        let rendered = with_extension(change);
        let of = rendered.iter().find(|r| r.component.id.name == component).expect("it is there");
        of.objects.iter().map(|o| o.key.namespace.clone()).collect()
    };
    let manager: fn(&mut Value, &mut Value) = |landscape, _| landscape["spec"]["seedEngines"] = json!({"resourceManager": false});
    let istio: fn(&mut Value, &mut Value) = |landscape, _| landscape["spec"]["seedEngines"] = json!({"istio": false});
    assert_eq!(namespaces(manager, "network-deny-all"), BTreeSet::new());
    assert_eq!(namespaces(manager, "network-policies").len(), 6);
    assert_eq!(namespaces(manager, "extension-network-policies.network").len(), 1);
    let garden = BTreeSet::from(["garden".to_owned()]);
    for component in ["network-policies", "network-deny-all"] {
        assert_eq!(namespaces(istio, component), garden, "{component}");
    }
}
