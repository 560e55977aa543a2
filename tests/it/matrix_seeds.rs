//! Seeds of every shape, and what each of them is made of: the lists in `tests/golden/matrix/seed*.txt` are read by people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use espalier::landscape::{Kind, Owner};
use espalier::render::context::{self, Sources};
use espalier::render::{DesiredObject, Images, RenderState, Rendered, Scope};
use serde_json::{Value, json};

use super::golden::compare;
use super::matrix::{self, SHIPPED, content, of_operator, refers_to_what_is_there, unreadable};
use super::templates::{self, misfit, unpacked};

/// A shape: its name, and what its landscape and the seed itself say.
pub(crate) type Shape = (&'static str, fn(landscape: &mut Value, seed: &mut Value));

pub(crate) const MATRIX: &[Shape] = &[
    ("seed", |_, _| {}),
    ("seed-logging", |landscape, seed| {
        landscape["spec"]["observability"] = json!({"logging": true});
        volumes_grow(seed);
    }),
    // Without monitoring nobody knows how full volumes are.
    ("seed-only-logging", |landscape, seed| {
        landscape["spec"]["observability"] = json!({"logging": true, "monitoring": false});
        volumes_grow(seed);
    }),
    ("seed-victoria-logs", |landscape, seed| {
        landscape["spec"]["observability"] =
            json!({"logging": true, "logBackends": ["Vali", "VictoriaLogs"], "persesOperator": true});
        volumes_grow(seed);
    }),
    ("seed-only-victoria-logs", |landscape, _| {
        landscape["spec"]["observability"] = json!({"logging": true, "logBackends": ["VictoriaLogs"]});
    }),
    ("seed-not-watched", |landscape, _| landscape["spec"]["observability"] = json!({"monitoring": false})),
    // Nobody can find its gateway by a name.
    ("seed-nameless", |landscape, seed| {
        landscape["spec"]["observability"] = json!({"logging": true});
        volumes_grow(seed);
        for part in ["ingress", "backup"] {
            seed["spec"].as_object_mut().expect("a map").remove(part);
        }
    }),
    // The address of its gateway is in the hands of somebody who does not sign in with a Secret.
    ("seed-dns-elsewhere", |_, seed| {
        seed["spec"]["dns"]["provider"]["credentialsRef"] = json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "WorkloadIdentity", "namespace": "garden", "name": "dns"});
    }),
    ("seed-settings", |_, seed| {
        let settings = &mut seed["spec"]["settings"];
        settings["verticalPodAutoscaler"] =
            json!({"enabled": true, "featureGates": {"InPlace": true}, "maxAllowed": {"cpu": "8", "memory": "32Gi"}});
        settings["excessCapacityReservation"] = json!({"enabled": true, "configs": [
            {"resources": {"cpu": "2", "memory": "6Gi"}},
            {"resources": {"cpu": "8"}, "nodeSelector": {"pool": "big"}, "tolerations": [{"key": "big", "operator": "Exists"}]},
        ]});
        settings["topologyAwareRouting"] = json!({"enabled": true});
        seed["spec"]["extensions"] = json!([{"type": "local-ext", "providerConfig": {"apiVersion": "ext.example.org/v1", "kind": "Config", "secretName": "token"}}]);
        seed["spec"]["resources"] =
            json!([{"name": "token", "resourceRef": {"apiVersion": "v1", "kind": "Secret", "name": "token"}}]);
    }),
    // What its operators keep there is in `matrix::facts`.
    ("seed-wildcard", |_, _| {}),
    // Somebody else installs the engines.
    ("seed-elsewhere", |landscape, seed| {
        landscape["spec"]["seedEngines"] = json!({"resourceManager": false, "etcdDruid": false, "istio": false});
        let off = json!({"enabled": false});
        seed["spec"]["settings"]["verticalPodAutoscaler"] = off.clone();
        seed["spec"]["settings"]["dependencyWatchdog"] = json!({"weeder": off, "prober": off});
    }),
];

fn volumes_grow(seed: &mut Value) {
    seed["spec"]["settings"]["persistentVolumeClaimAutoscaler"] = json!({"enabled": true});
}

/// The landscape and the seed of a shape.
pub(crate) fn manifests_of(change: fn(&mut Value, &mut Value)) -> (Value, Value) {
    let objects = templates::objects(templates::standard());
    let of = |owner: &Owner| objects[owner].as_ref().clone();
    let (mut landscape, mut seed) = (of(&Owner::cluster(Kind::Landscape, "test")), of(&Owner::cluster(Kind::Seed, "eu1")));
    seed["spec"]["dns"]["provider"] = json!({"type": "local-dns", "credentialsRef": {"apiVersion": "v1", "kind": "Secret", "namespace": "garden", "name": "dns"}});
    // The one that others render is for quoting; no API server takes it.
    seed["spec"]["settings"]["loadBalancerServices"]["annotations"] = json!({"example.org/a": "yes: \"no\""});
    change(&mut landscape, &mut seed);
    (landscape, seed)
}

fn render((name, change): Shape, images: &Images) -> Vec<Rendered> {
    let owner = Owner::cluster(Kind::Seed, "eu1");
    let mut objects = templates::objects(templates::standard());
    let (landscape, seed) = manifests_of(change);
    objects.insert(Owner::cluster(Kind::Landscape, "test"), Arc::new(landscape));
    objects.insert(owner.clone(), Arc::new(seed));
    let identity = templates::identity();
    let context = context::seed(&Sources { objects: &objects, owner: &owner, identity: &identity }).expect("everything is known");
    matrix::components(Scope::Seed, &owner, ("garden", "garden"), &context, (&matrix::facts(name), images))
}

/// Every shape, rendered once.
static RENDERED: LazyLock<BTreeMap<&str, Vec<Rendered>>> =
    LazyLock::new(|| MATRIX.iter().map(|shape| (shape.0, render(*shape, &SHIPPED.1))).collect());

/// Every shape, rendered with other images.
pub(crate) fn rendered_with(images: &Images) -> impl Iterator<Item = (&'static str, Rendered)> {
    MATRIX.iter().flat_map(move |shape| render(*shape, images).into_iter().map(move |rendered| (shape.0, rendered)))
}

/// Everything that shapes are made of, short of the definitions of kinds.
pub(crate) fn manifests() -> impl Iterator<Item = (&'static str, Value)> {
    // Claims are set once, and without them there is nothing to mount.
    let created = |object: &DesiredObject| {
        let mut body = object.body.as_ref().clone();
        if let Some(claims) = object.once.as_ref().and_then(|once| once.pointer("/spec/volumeClaimTemplates")) {
            body["spec"]["volumeClaimTemplates"] = claims.clone();
        }
        body
    };
    let objects = move |name: &'static str| RENDERED[name].iter().flat_map(|r| &r.objects).map(move |o| (name, created(o)));
    MATRIX.iter().flat_map(move |(name, _)| objects(name)).filter(|(_, body)| body["kind"] != "CustomResourceDefinition")
}

/// The names of a shape's wanted components.
fn wanted(name: &str) -> BTreeSet<String> {
    templates::wanted(&RENDERED[name])
}

/// The one object of a kind and name that a shape has.
fn object(name: &str, kind: &str, object: &str) -> Option<Value> {
    let all = RENDERED[name].iter().flat_map(|r| &r.objects);
    all.map(|o| o.body.as_ref()).find(|m| m["kind"] == kind && m["metadata"]["name"] == object).cloned()
}

#[test]
fn every_seed_is_made_of_what_people_read_here() {
    let mut counts: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in MATRIX {
        let mut list = String::new();
        for rendered in &RENDERED[name] {
            let state = match &rendered.state {
                RenderState::Wanted => String::new(),
                RenderState::Skipped(why) => format!(": {why}"),
                other => panic!("{name}/{}: {other:?}", rendered.component.id),
            };
            writeln!(list, "{}{state}", rendered.component.id).expect("a text");
            let content = content(rendered);
            for (object, inside) in &content {
                writeln!(list, "  {object}").expect("a text");
                for packed in inside {
                    writeln!(list, "    {packed}").expect("a text");
                }
            }
            counts.entry(rendered.component.id.name.clone()).or_default().insert(name, content.len());
            *totals.entry(name).or_default() += content.len();
        }
        compare(&format!("matrix/{name}.txt"), &list);
    }
    let row = |head: &str, cell: &dyn Fn(&'static str) -> String| {
        let cells: Vec<String> = MATRIX.iter().map(|(name, _)| format!("{:>20}", cell(name))).collect();
        format!("{head:<26}{}\n", cells.concat())
    };
    let number = |n: Option<&usize>| n.filter(|n| **n > 0).map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut table = row("objects", &|name| name.to_owned());
    for (component, of) in &counts {
        table.push_str(&row(component, &|name| number(of.get(name))));
    }
    table.push_str(&row("", &|name| number(totals.get(name))));
    compare("matrix/seed-counts.txt", &table);
}

#[test]
fn what_a_seed_is_made_of_fits_its_kind_and_refers_to_what_is_there() {
    for (name, _) in MATRIX {
        let all: Vec<Value> = RENDERED[name].iter().flat_map(|r| &r.objects).flat_map(unpacked).collect();
        let of = |m: &Value| {
            (m["kind"].as_str().unwrap_or_default().to_owned(), m["metadata"]["name"].as_str().unwrap_or_default().to_owned())
        };
        let here: BTreeSet<(String, String)> = all.iter().map(of).collect();
        let mut pods: Vec<Value> = all.iter().filter_map(|m| m.pointer("/spec/template/metadata/labels")).cloned().collect();
        pods.extend(all.iter().filter_map(of_operator));
        for manifest in &all {
            unreadable(name, manifest);
            assert_eq!(misfit(manifest), None, "{name}: {}", manifest["metadata"]["name"]);
        }
        // Of gateways that somebody else runs, only the addresses are ours.
        let foreign = *name == "seed-elsewhere";
        let all: Vec<Value> = all.into_iter().filter(|m| !foreign || m["metadata"]["name"] != "istio-ingressgateway").collect();
        refers_to_what_is_there(name, &all, &here, &pods);
    }
}

#[test]
fn settings_switch_off_what_watches_a_seed() {
    let all = wanted("seed-logging");
    let gone = |name: &str| -> Vec<String> { all.difference(&wanted(name)).cloned().collect() };
    let logs =
        ["fluent-bit", "fluent-operator", "opentelemetry-collector", "opentelemetry-operator", "vali", "victoria-operator"];
    let grows = ["pvc-autoscaler"];
    let metrics = [
        "alert-rules",
        "alertmanager",
        "kube-state-metrics",
        "prometheus-aggregate",
        "prometheus-cache",
        "prometheus-operator",
        "prometheus-seed",
        "scrape-configs",
    ];
    let seen = ["istio-basic-auth-server", "observability-ingress", "plutono", "plutono-dashboards"];
    let sorted = |parts: &[&[&str]]| -> Vec<String> {
        parts.concat().into_iter().map(str::to_owned).collect::<BTreeSet<String>>().into_iter().collect()
    };
    assert_eq!(gone("seed"), sorted(&[&logs, &grows]));
    assert_eq!(gone("seed-only-logging"), sorted(&[&metrics, &grows]));
    assert_eq!(gone("seed-not-watched"), sorted(&[&logs, &metrics, &seen, &grows]));
    assert_eq!(
        gone("seed-nameless"),
        sorted(&[&["backup-bucket", "backup-bucket-garden", "dns-ingress", "istio-basic-auth-server", "observability-ingress"]])
    );
    assert_eq!(gone("seed-dns-elsewhere"), sorted(&[&logs, &grows, &["dns-ingress"]]));
    let added = |name: &str| -> Vec<String> { wanted(name).difference(&all).cloned().collect() };
    assert_eq!(gone("seed-victoria-logs"), sorted(&[]));
    assert_eq!(added("seed-victoria-logs"), ["perses-operator", "victoria-logs"]);
    assert_eq!(gone("seed-only-victoria-logs"), sorted(&[&grows, &["vali"]]));
    assert_eq!(added("seed-only-victoria-logs"), ["victoria-logs"]);
}

#[test]
fn a_seeds_logs_go_where_the_landscape_keeps_them_and_nothing_of_vali_is_left_elsewhere() {
    let all = manifests().filter(|(name, _)| *name == "seed-only-victoria-logs");
    assert_eq!(all.filter_map(|(_, m)| matrix::of_vali(&m)).collect::<Vec<_>>(), Vec::<String>::new());
    let pipelines = |name: &str| -> Vec<String> {
        let collector = object(name, "OpenTelemetryCollector", "opentelemetry-collector").expect("it is there");
        collector["spec"]["config"]["service"]["pipelines"].as_object().expect("a map").keys().cloned().collect()
    };
    assert_eq!(pipelines("seed-logging"), ["logs/vali"]);
    assert_eq!(pipelines("seed-victoria-logs"), ["logs/vali", "logs/victorialogs"]);
    assert_eq!(pipelines("seed-only-victoria-logs"), ["logs/victorialogs"]);
    let limit = object("seed-victoria-logs", "PersistentVolumeClaimAutoscaler", "victoria-logs").expect("it is there");
    assert_eq!(limit["spec"]["volumePolicies"][0]["maxCapacity"], "200Gi");
    // A volume keeps the size that it has.
    let kept = RENDERED["seed-victoria-logs"].iter().flat_map(|r| &r.objects).find(|o| o.key.kind == "VLSingle");
    let once = kept.and_then(|o| o.once.as_ref()).expect("set once");
    assert_eq!(once.pointer("/spec/storage/resources/requests/storage"), Some(&json!("100Gi")));
}

/// What shoots and their nodes ask the gateway for by a header, the gateway lets them have.
#[test]
fn gateways_lead_where_shoots_want_to_go() {
    let filter = object("seed", "EnvoyFilter", "http-proxy").expect("it is there");
    let patch = &filter["spec"]["configPatches"][0];
    assert_eq!(patch["match"]["listener"]["portNumber"], 8443);
    let route = &patch["patch"]["value"]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"][0];
    assert_eq!(route["route"]["cluster_header"], "X-Gardener-Destination");
    let allowed = &route["match"]["headers"][0];
    assert_eq!(allowed["name"], "X-Gardener-Destination");
    let allowed = regex::Regex::new(allowed["string_match"]["safe_regex"]["regex"].as_str().expect("a text")).expect("a regex");
    let wanted = regex::Regex::new(r"outbound\|[0-9]+\|\|(vpn|kube)[a-z0-9.-]+").expect("a regex");
    let mut asked = BTreeSet::new();
    for (_, manifest) in matrix::manifests() {
        asked.extend(wanted.find_iter(&manifest.to_string()).map(|found| found.as_str().to_owned()));
    }
    for service in ["1194||vpn-seed-server.", "1194||vpn-seed-server-1.", "443||kube-apiserver."] {
        assert!(asked.iter().any(|header| header.contains(service)), "{service}: {asked:?}");
    }
    let refused: Vec<&String> = asked.iter().filter(|header| !allowed.is_match(header)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let own = object("seed-wildcard", "ServiceEntry", "kube-apiserver-ingress").expect("it is there");
    let own = format!("outbound|443||{}", own["spec"]["hosts"][0].as_str().expect("a host"));
    for other in [
        own.as_str(),
        "outbound|443||kubernetes.default.svc.cluster.local",
        "outbound|1194||vpn-seed-server.a.svc.cluster.local.b",
    ] {
        assert!(!allowed.is_match(other), "{other}");
    }
}

/// Through that door people send tokens.
#[test]
fn the_api_server_of_a_seed_is_verified_by_the_gateway_that_leads_to_it() {
    let name = "kube-apiserver-ingress";
    let of = |kind: &str| object("seed-wildcard", kind, name).expect("it is there");
    let host = of("ServiceEntry")["spec"]["hosts"][0].clone();
    assert_eq!(of("ServiceEntry")["spec"]["endpoints"], json!([{"address": "kubernetes.default.svc.cluster.local"}]));
    let route = &of("VirtualService")["spec"]["http"][0];
    assert_eq!((&route["route"][0]["destination"]["host"], route.get("timeout")), (&host, None));
    assert_eq!(route["retries"], json!({"attempts": 0}));
    let server = &of("Gateway")["spec"]["servers"][0];
    assert_eq!(server["hosts"], json!(["api-seed.ingress.eu1.example.org"]));
    assert!(object("seed-wildcard", "Secret", server["tls"]["credentialName"].as_str().expect("a name")).is_some());
    for kind in ["DestinationRule", "ServiceEntry", "VirtualService"] {
        assert_eq!(of(kind)["spec"]["exportTo"], json!(["istio-ingress"]), "{kind}");
    }

    // Where TLS begins anew, in any shape, the gateway knows who may answer: by a Secret with an authority that is for one server, or
    // by a file of its own, and then as whom.
    let (mut rules, mut files) = (0, 0);
    for (shape, manifest) in manifests() {
        let tls = &manifest["spec"]["trafficPolicy"]["tls"];
        let other = ["DISABLE", "ISTIO_MUTUAL"].iter().any(|mode| tls["mode"] == *mode) || tls["credentialName"].is_string();
        if manifest["kind"] != "DestinationRule" || other {
            continue;
        }
        rules += 1;
        assert_eq!((shape, &manifest["metadata"]["name"], &manifest["spec"]["host"]), ("seed-wildcard", &json!(name), &host));
        let server = json!("kubernetes.default.svc.cluster.local");
        assert_eq!((&tls["mode"], &tls["sni"], &tls["subjectAltNames"]), (&json!("SIMPLE"), &server, &json!([server])));
        assert_eq!(tls.get("insecureSkipVerify"), None);
        let file = tls["caCertificates"].as_str().expect("an authority");
        let gateways = RENDERED[shape].iter().flat_map(|r| &r.objects);
        for gateway in gateways.filter(|o| o.key.kind == "Deployment" && o.key.name == "istio-ingressgateway") {
            let pod = &gateway.body["spec"]["template"]["spec"];
            let named = |list: &Value, name: &Value| list.as_array().into_iter().flatten().find(|v| v["name"] == *name).cloned();
            let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts");
            let mount = mounts.iter().find(|m| m["mountPath"].as_str().is_some_and(|path| file == format!("{path}/ca.crt")));
            let volume = named(&pod["volumes"], &mount.expect("the file is mounted")["name"]).expect("a volume");
            assert_eq!(volume["configMap"]["name"], "kube-root-ca.crt");
            files += 1;
        }
    }
    assert_eq!((rules, files), (1, 4), "one rule, and the gateways of all zones have the file");

    // It comes with the certificate, where the gateways are ours.
    let made = |name: &'static str, change: fn(&mut Value, &mut Value)| {
        let all = render((name, change), &SHIPPED.1);
        let of = all.into_iter().find(|r| r.component.id.name == "kube-apiserver-ingress").expect("it is known");
        (matches!(of.state, RenderState::Wanted), of.objects.len())
    };
    assert_eq!(made("seed-wildcard", |_, _| {}), (true, 6));
    assert_eq!(made("seed", |_, _| {}), (true, 0));
    assert_eq!(made("seed-wildcard", |landscape, _| landscape["spec"]["seedEngines"] = json!({"istio": false})), (false, 0));
}

#[test]
fn gateways_do_what_their_load_balancers_and_networks_are_said_to_do() {
    let of = |change: fn(&mut Value, &mut Value)| -> (Vec<String>, usize) {
        let objects: Vec<_> = render(("seed", change), &SHIPPED.1).into_iter().flat_map(|r| r.objects).collect();
        let filters = objects.iter().filter(|o| o.key.kind == "EnvoyFilter" && o.key.name == "proxy-protocol");
        let both = objects.iter().filter(|o| o.body.to_string().contains("ISTIO_DUAL_STACK")).count();
        (filters.map(|o| o.key.namespace.clone()).collect(), both)
    };
    assert_eq!(of(|_, _| {}), (Vec::new(), 0));
    let one = of(|_, seed| {
        seed["spec"]["settings"]["loadBalancerServices"]["zones"] = json!([{"name": "eu-b", "proxyProtocol": {"allowed": true}}]);
    });
    assert_eq!(one, (vec!["istio-ingress--eu-b".to_owned()], 0));
    let both = of(|_, seed| seed["spec"]["networks"]["ipFamilies"] = json!(["IPv4", "IPv6"]));
    assert_eq!(both, (Vec::new(), 5), "istiod and four gateways");
}

/// A field that istiod writes is not ours to write back.
#[test]
fn what_istiod_and_autoscalers_decide_is_left_to_them() {
    let all = RENDERED["seed"].iter().flat_map(|r| &r.objects);
    let owned: Vec<_> = all.filter(|o| o.once.is_some() && o.key.namespace != "garden").collect();
    let (hooks, gateways): (Vec<_>, Vec<_>) = owned.into_iter().partition(|o| o.key.kind == "ValidatingWebhookConfiguration");
    assert_eq!(gateways.len(), 4, "one for all zones, and one for each");
    for (gateway, replicas) in gateways.iter().zip([6, 2, 2, 2]) {
        let once = gateway.once.as_ref().expect("something");
        assert_eq!((&once["spec"], gateway.body["spec"].get("replicas")), (&json!({"replicas": replicas}), None));
    }
    let [hook] = hooks.as_slice() else { panic!("{} webhooks", hooks.len()) };
    let once = hook.once.as_ref().expect("something");
    assert_eq!(once["webhooks"], json!([{"name": "rev.validation.istio.io", "failurePolicy": "Ignore"}]));
    let ours = &hook.body["webhooks"][0];
    assert!(ours.get("failurePolicy").is_none() && ours["clientConfig"].get("caBundle").is_none(), "{ours}");
}

#[test]
fn settings_switch_engines_and_what_a_seed_has_of_its_own() {
    let all = wanted("seed");
    let (less, more) = (wanted("seed-elsewhere"), wanted("seed-settings"));
    let gone: Vec<&String> = all.difference(&less).collect();
    assert_eq!(
        gone,
        [
            "dependency-watchdog-prober",
            "dependency-watchdog-weeder",
            "etcd-druid",
            "etcd-druid-webhook",
            "gardener-resource-manager",
            "gardener-resource-manager-webhooks",
            "istio-gateways",
            "istio-listeners",
            "istiod",
            "kube-apiserver-ingress",
            "network-deny-all",
            "vpa",
            "vpa-webhook",
        ]
    );
    assert!(wanted("seed-logging").contains("pvc-autoscaler"));
    let limit = object("seed-logging", "PersistentVolumeClaimAutoscaler", "vali").expect("it is there");
    assert_eq!(limit["spec"]["volumePolicies"], json!([{"maxCapacity": "200Gi"}]));
    for name in ["seed-settings", "seed-only-logging"] {
        assert_eq!(object(name, "PersistentVolumeClaimAutoscaler", "vali"), None, "{name}");
    }
    assert_eq!(more.difference(&all).collect::<Vec<_>>(), ["extensions", "referenced-resources", "reserve-excess-capacity"]);

    let extension = object("seed-settings", "Extension", "local-ext").expect("it is there");
    assert_eq!((&extension["spec"]["class"], &extension["metadata"]["namespace"]), (&json!("seed"), &json!("garden")));
    assert_eq!(extension["spec"]["providerConfig"]["secretName"], "token");
    for (name, word) in [("seed", json!(null)), ("seed-settings", json!("<fact server.trafficDistribution>"))] {
        for service in ["gardener-resource-manager", "vpa-webhook"] {
            let service = object(name, "Service", service).expect("it is there");
            assert_eq!(service["spec"]["trafficDistribution"], word, "{name}");
        }
    }
    let room = object("seed-settings", "Deployment", "reserve-excess-capacity-1").expect("it is there");
    let pod = &room["spec"]["template"]["spec"];
    assert_eq!((&pod["nodeSelector"], &pod["tolerations"][0]["key"]), (&json!({"pool": "big"}), &json!("big")));
    assert_eq!(pod["containers"][0]["resources"], json!({"requests": {"cpu": "8"}, "limits": {"cpu": "8"}}));
    let recommender = object("seed-settings", "Deployment", "vpa-recommender").expect("it is there");
    let arguments = &recommender["spec"]["template"]["spec"]["containers"][0]["args"];
    for argument in [
        "--recommendation-margin-fraction=0.050000",
        "--container-recommendation-max-allowed-cpu=8",
        "--feature-gates=InPlace=true",
    ] {
        assert!(arguments.as_array().is_some_and(|all| all.contains(&json!(argument))), "{argument} is not in {arguments}");
    }
}

/// A webhook whose server does not run refuses what it is asked about, or lets it pass unseen.
#[test]
fn webhooks_come_after_the_servers_that_answer_them() {
    let mut seen = 0;
    for rendered in &RENDERED["seed"] {
        let hooks = rendered.objects.iter().filter(|o| o.key.kind.ends_with("WebhookConfiguration"));
        for (hook, client) in
            hooks.flat_map(|o| o.body["webhooks"].as_array().expect("webhooks").iter().map(move |w| (&o.key, &w["clientConfig"])))
        {
            let service = client["service"]["name"].as_str().expect("a Service");
            if service == "istiod" {
                // Lets everything pass until it has written its own authority there.
                continue;
            }
            let of = |kind: &str| {
                let has = |r: &&Rendered| r.objects.iter().any(|o| o.key.kind == kind && o.body["metadata"]["name"] == service);
                RENDERED["seed"].iter().find(has).map(|r| r.component.id.name.clone())
            };
            let server = of("Service").expect("its Service is there");
            assert!(rendered.component.needs.contains(&server), "{hook} does not wait for {server}");
            assert!(client["caBundle"].as_str().is_some_and(|bundle| !bundle.is_empty()), "{hook} does not say whom it trusts");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} webhooks");
}

#[test]
fn people_come_in_by_names_below_the_ingress_domain_and_with_a_password() {
    for (name, kind, host) in [("prometheus-aggregate", "Gateway", "p-seed"), ("plutono", "Gateway", "g-seed")] {
        let gateway = object("seed", kind, name).expect("it is there");
        assert_eq!(gateway["spec"]["servers"][0]["hosts"], json!([format!("{host}.ingress.eu1.example.org")]));
        let service = object("seed", "VirtualService", name).expect("it is there");
        assert_eq!(service["metadata"]["labels"]["reference.gardener.cloud/basic-auth-server-name"], "istio-basic-auth-server");
        assert_eq!(service["spec"]["http"][0]["directResponse"]["status"], 403);
    }
    let filter = object("seed", "EnvoyFilter", "garden-istio-basic-auth-server").expect("it is there");
    assert_eq!(filter["spec"]["configPatches"].as_array().map(Vec::len), Some(2), "one for each door");
    let only = object("seed-only-logging", "EnvoyFilter", "garden-istio-basic-auth-server").expect("it is there");
    assert_eq!(only["spec"]["configPatches"].as_array().map(Vec::len), Some(1));
    let record = object("seed", "DNSRecord", "seed-ingress").expect("it is there");
    assert_eq!(record["spec"]["name"], "*.ingress.eu1.example.org");
}

/// What Prometheis of a seed select is only found by its label.
#[test]
fn everything_that_is_scraped_or_judged_belongs_to_one_prometheus() {
    let kinds = ["ServiceMonitor", "PodMonitor", "ScrapeConfig", "PrometheusRule"];
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for manifest in RENDERED["seed-victoria-logs"].iter().flat_map(|r| &r.objects).map(|o| o.body.as_ref()) {
        if !manifest["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
            continue;
        }
        let (name, label) = (manifest["metadata"]["name"].as_str(), manifest["metadata"]["labels"]["prometheus"].as_str());
        let (name, label) = (name.expect("a name"), label.expect("a label"));
        assert!(name.starts_with(&format!("{label}-")), "{name} is of {label}");
        assert!(object("seed-logging", "Prometheus", label).is_some(), "{name} is of {label}, which is not there");
        *seen.entry(label.to_owned()).or_default() += 1;
    }
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), ["aggregate", "cache", "seed"]);
}

#[test]
fn panels_ask_for_metrics_that_somebody_keeps_or_makes() {
    let all: Vec<&Value> = RENDERED["seed-logging"].iter().flat_map(|r| &r.objects).map(|o| o.body.as_ref()).collect();
    let rules = all.iter().filter(|m| m["kind"] == "PrometheusRule");
    let records: BTreeSet<&str> = rules
        .flat_map(|m| m["spec"]["groups"].as_array().expect("groups"))
        .flat_map(|g| g["rules"].as_array().expect("rules"))
        .filter_map(|r| r["record"].as_str())
        .collect();
    let dashboards = all.iter().find(|m| m["metadata"]["name"] == "plutono-dashboards").expect("they are there");
    let own = regex::Regex::new("(?:metering|seed):[a-z_]+:[a-z_]+").expect("a regex");
    let mut asked = BTreeSet::new();
    for (file, text) in dashboards["data"].as_object().expect("files") {
        let dashboard: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
        assert_eq!(dashboard["tags"], json!(["gardener", "seed"]), "{file}");
        for target in
            dashboard["panels"].as_array().expect("panels").iter().flat_map(|p| p["targets"].as_array().expect("queries"))
        {
            asked.extend(own.find_iter(target["expr"].as_str().expect("a query")).map(|found| found.as_str().to_owned()));
        }
    }
    assert!(asked.len() > 10);
    for name in asked {
        assert!(records.contains(name.as_str()), "nobody makes {name}");
    }
}
