//! A shoot that boots: what espalier rendered and applied for it, run by the real etcd, API server, controllers and scheduler. Only
//! what a kubelet, etcd-druid, gardener-resource-manager, a name server and the gateway do is done for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use espalier::landscape::Target;
use espalier::snapshot::RepoPath;
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fleet::{Fleet, example, explain, name_of, objects};
use super::taken;
use apart::Node;
use pod::{Objects, Pod};

mod apart;
mod check;
mod etcd;
mod manager;
mod pod;

/// Pods' addresses end with these; the gardener-resource-manager's Service is the node itself.
const MANAGER: &str = "10.1.0.1";
const ETCDS: [(&str, u8); 2] = [("etcd-main", 21), ("etcd-events", 31)];
const SERVER: u8 = 13;
const CONTROLLERS: u8 = 14;
const SCHEDULER: u8 = 15;

/// What is written in the shoot to see it nowhere else.
const CANARY: &str = "canary-of-a-shoot";

/// Settings that reach as many flags and files as can be.
const SETTINGS: &str = "
    kubeAPIServer:
      eventTTL: 2h
      requests: {maxNonMutatingInflight: 500, maxMutatingInflight: 250}
      logging: {verbosity: 2, httpAccessVerbosity: 3}
      defaultNotReadyTolerationSeconds: 200
      defaultUnreachableTolerationSeconds: 200
      watchCacheSizes:
        resources:
          - {resource: secrets, size: 500}
          - {apiGroup: apps, resource: deployments, size: 500}
      encryptionConfig:
        resources: [configmaps]
      auditConfig:
        auditPolicy:
          configMapRef: {name: audit-policy}
      structuredAuthentication: {configMapName: authentication}
      structuredAuthorization:
        configMapName: authorization
        kubeconfigs: [{authorizerName: nobody, secretName: nobody}]
      admissionPlugins:
        - name: PodSecurity
          config:
            apiVersion: pod-security.admission.config.k8s.io/v1
            kind: PodSecurityConfiguration
            defaults: {enforce: privileged, enforce-version: latest}
    kubeControllerManager:
      nodeCIDRMaskSize: 25
      nodeMonitorGracePeriod: 60s
      horizontalPodAutoscaler: {syncPeriod: 20s, tolerance: 0.2}
    kubeScheduler:
      profile: bin-packing";

/// The files that these settings refer to, as people keep them in their project's namespace.
fn own_files() -> Vec<Value> {
    let map = |name: &str, key: &str, text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "garden-shop", "name": name}, "data": {key: text}});
    let policy = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create], namespaces: [people], resources: [{group: '', resources: [secrets]}]}
- {level: None}
";
    let authentication = "apiVersion: apiserver.config.k8s.io/v1beta1
kind: AuthenticationConfiguration
anonymous: {enabled: true, conditions: [{path: /livez}]}
";
    let authorization = "apiVersion: apiserver.config.k8s.io/v1beta1
kind: AuthorizationConfiguration
authorizers:
- type: Webhook
  name: nobody
  webhook:
    authorizedTTL: 1m
    unauthorizedTTL: 1m
    timeout: 3s
    failurePolicy: NoOpinion
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    matchConditions: [{expression: request.user == 'nobody-at-all'}]
    connectionInfo: {type: InClusterConfig}
";
    let kubeconfig = "apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: 'https://127.0.0.1:9'}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {}}]
";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "garden-shop", "name": "nobody"},
        "stringData": {"kubeconfig": kubeconfig},
    });
    vec![
        map("audit-policy", "policy", policy),
        map("authentication", "config.yaml", authentication),
        map("authorization", "config.yaml", authorization),
        secret,
    ]
}

/// A landscape's own template of the API server, that writes the audit log to the container's output. Gardener's API servers have no
/// place for audit logs of their own: extensions add it.
fn audited() -> (RepoPath, Vec<u8>) {
    let path = RepoPath::from("templates/shoot/kube-apiserver.yaml");
    let shipped = include_str!("../../templates/shoot/kube-apiserver.yaml");
    let flag = "        - --audit-policy-file=/etc/kubernetes/audit/audit-policy.yaml\n";
    let changed = shipped.replacen(flag, &format!("{flag}        - --audit-log-path=-\n"), 1);
    assert_ne!(changed, shipped);
    (path, changed.into_bytes())
}

#[allow(clippy::disallowed_methods, reason = "real processes judge certificates by the real time")]
fn real_time() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// `1.36.3` of `Kubernetes v1.36.3`.
fn version(node: &Node) -> String {
    let said = Command::new(node.assets.join("kube-apiserver")).arg("--version").output().expect("it starts").stdout;
    String::from_utf8(said).expect("text").trim().trim_start_matches("Kubernetes v").to_owned()
}

/// The example with one shoot, of the binaries' own version.
/// `mini` gets more settings, so that there are more flags and files.
fn files(shoot: &str, version: &str) -> BTreeMap<RepoPath, Vec<u8>> {
    let mut files = example();
    files.retain(|path, _| !path.as_str().contains("/shoots/") || path.as_str().ends_with(&format!("/shoots/{shoot}.yaml")));
    for (path, bytes) in &mut files {
        let text = String::from_utf8(bytes.clone()).expect("text");
        let changed = if path.as_str() == "cloudprofiles/aws.yaml" {
            text.replacen("      - version: 1.35.3\n", &format!("      - version: {version}\n      - version: 1.35.3\n"), 1)
        } else if shoot == "mini" && path.as_str().contains("/shoots/") {
            text.replacen("version: 1.35.3", &format!("version: {version}{SETTINGS}"), 1)
        } else if path.as_str().contains("/shoots/") {
            let own = if shoot == "pay" { "version: 1.35.1" } else { "version: 1.34.6" };
            text.replacen(own, &format!("version: {version}"), 1)
        } else {
            continue;
        };
        assert_ne!(changed, text, "{} has the text to replace", path.as_str());
        *bytes = changed.into_bytes();
    }
    if shoot == "mini" {
        files.extend([audited()]);
    }
    files
}

/// What people get who ask for a way in.
fn kubeconfig(dir: &Path, shoot: &str, more: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_espalier"))
        .env_clear()
        .env("HOME", dir)
        .args(["kubeconfig", shoot, "--state-dir"])
        .arg(dir)
        .args(["-o", "yaml", "-q"])
        .args(more)
        .output()
        .expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// The names that a name server and the cluster's own Services give, and the gateway in front of the API server.
fn hosts(namespace: &str, kubeconfig: &str, objects: &Objects) -> String {
    let mut lines = vec!["127.0.0.1 localhost".to_owned(), "::1 localhost".to_owned()];
    for (name, first) in ETCDS {
        for n in 0..etcd::members(name, objects) {
            let (address, client) = (format!("10.1.0.{}", first + n), format!("{name}-client"));
            lines.push(format!("{address} {client} {client}.{namespace}.svc {name}-{n}.{name}-peer.{namespace}.svc"));
        }
    }
    let mut add = |address: &str, service: &str| {
        lines.push(format!("{address} {service} {service}.{namespace} {service}.{namespace}.svc"));
    };
    add(&format!("10.1.0.{SERVER}"), "kube-apiserver");
    add(&format!("10.1.0.{CONTROLLERS}"), "kube-controller-manager");
    add(&format!("10.1.0.{SCHEDULER}"), "kube-scheduler");
    add(MANAGER, "gardener-resource-manager");
    for cluster in Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig").clusters {
        let url = cluster.cluster.and_then(|c| c.server).expect("a server");
        lines.push(format!("10.1.0.{SERVER} {}", url.trim_start_matches("https://")));
    }
    lines.join("\n") + "\n"
}

/// What one container of the shoot's namespace is, checked for what the image would be.
fn container(name: &str, objects: &Objects, version: &str) -> pod::Container {
    let deployment = &objects[&("Deployment".to_owned(), name.to_owned())];
    let images = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array).expect("containers");
    let image = images.iter().find(|c| c["name"] == name).and_then(|c| c["image"].as_str()).expect("an image");
    assert!(image.ends_with(&format!("/{name}:v{version}")), "{name} of the binaries' version, not {image}");
    pod::container(name, objects)
}

/// Says how far it is.
struct Report(Instant);

impl Report {
    #[allow(clippy::print_stdout, reason = "the transcript")]
    fn say(&self, what: &str) {
        println!("boot: {:6.2} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

#[allow(clippy::print_stdout, reason = "the transcript")]
async fn boots(test: &str, project: &str, shoot: &str) {
    let Some(node) = apart::node(test) else { return };
    let version = version(&node);
    let workerless = shoot == "api";
    println!(
        "\nboot: {project}/{shoot}, Kubernetes {version}, {}",
        if node.users { "as the pods' users" } else { "all as one user" }
    );

    // The commit, and everything that espalier makes of it.
    let start = real_time();
    let mut fleet = Fleet::starting(files(shoot, &version), start).await;
    fleet.set_clock(&start.to_string(), true);
    fleet.open_clusters(true).await;
    fleet.credentials().await;
    fleet.furnish(own_files());
    let since = Report(Instant::now());
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    since.say("espalier has applied everything");
    let namespace = format!("shoot--{project}--{shoot}");
    let mut all = Objects::new();
    for (_, sim) in fleet.sims.iter().filter(|(target, _)| **target != Target::Garden) {
        let here = objects(sim).await.into_iter().filter(|o| o["metadata"]["namespace"] == namespace.as_str());
        all.extend(here.map(|o| {
            ((o["kind"].as_str().expect("a kind").to_owned(), o["metadata"]["name"].as_str().expect("a name").to_owned()), o)
        }));
    }
    for sim in std::mem::take(&mut fleet.sims).into_values() {
        sim.close().await;
    }
    let manager = all[&("Deployment".to_owned(), "gardener-resource-manager".to_owned())].to_string();
    assert!(manager.contains("\"shoot-access-gardener-resource-manager\""), "it has a token of its own by now: {manager}");
    let dir = fleet.dir.path().to_owned();
    let called = format!("{project}/{shoot}");
    let (admin, viewer) = (kubeconfig(&dir, &called, &["--admin", "--expiration", "1h"]), kubeconfig(&dir, &called, &[]));
    let mut anybody: Value = serde_yaml::from_str(&admin).expect("a kubeconfig");
    anybody["users"][0]["user"] = json!({});
    let hosts = hosts(&namespace, &admin, &all);
    std::fs::write(node.folder.join("hosts"), &hosts).expect("a file");
    let bound = Command::new("mount").arg("--bind").arg(node.folder.join("hosts")).arg("/etc/hosts").status().expect("mount");
    assert!(bound.success());

    // etcd-druid.
    let (mut members, mut readers) = (Vec::new(), Vec::new());
    for (name, first) in ETCDS {
        for n in 0..etcd::members(name, &all) {
            members.push(Pod::start(&node, etcd::member(name, n, &namespace, &all), first + n, "etcd", &hosts));
        }
        readers.push((name, etcd::Reader::of(name, &all).await));
    }
    for (name, reader) in &readers {
        let healthy = tokio::time::timeout(Duration::from_secs(30), async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while !reader.healthy().await {
                tick.tick().await;
                members.iter_mut().for_each(Pod::lives);
            }
        });
        let logs = |members: &[Pod]| members.iter().map(Pod::log).collect::<Vec<_>>().join("\n");
        assert!(healthy.await.is_ok(), "{name} is not healthy:\n{}", logs(&members));
        let count = etcd::members(name, &all);
        since.say(&format!(
            "{name}, {count} member{}, is healthy, over TLS with the client's certificate",
            if count > 1 { "s" } else { "" }
        ));
    }

    // The API server.
    manager::serve(&all, &format!("{MANAGER}:443")).await;
    let mut server = Pod::start(&node, container("kube-apiserver", &all, &version), SERVER, "kube-apiserver", &hosts);
    server.ready().await;
    since.say("kube-apiserver answers its own probes");
    let admin = manager::client(&admin).await;
    assert_eq!(
        admin.request_text(http::Request::get("/readyz").body(Vec::new()).expect("a request")).await.expect("an answer"),
        "ok"
    );
    since.say("/readyz is ok over TLS, by its public name and the rendered CA");
    let said = admin.apiserver_version().await.expect("a version").git_version;
    assert_eq!(said, format!("v{version}"));

    // gardener-resource-manager: comes in with a certificate, gives everybody a token, applies what is packed.
    let bootstrap = manager::bootstrap(&all).await;
    let count = manager::tokens(&bootstrap, &mut all).await;
    since.say(&format!("{count} tokens requested with the bootstrap certificate of gardener-resource-manager"));
    let packed = manager::packed(&all);
    assert!(packed.len() > if workerless { 10 } else { 100 }, "ManagedResources have content");
    let wrong = taken::apply_each(&bootstrap, packed.clone(), false).await;
    assert!(wrong.is_empty(), "{} of {} packed objects are refused:\n{}", wrong.len(), packed.len(), wrong.join("\n"));
    let own = manager::with_token(&all, "gardener-resource-manager", None).await;
    let wrong = taken::apply_each(&own, packed.clone(), true).await;
    assert!(wrong.is_empty(), "with its own token:\n{}", wrong.join("\n"));
    since.say(&format!("{} objects of ManagedResources applied strictly, and again with its own token", packed.len()));

    // Controllers and scheduler.
    let mut pods = vec![Pod::start(
        &node,
        container("kube-controller-manager", &all, &version),
        CONTROLLERS,
        "kube-controller-manager",
        &hosts,
    )];
    let scheduler = all.contains_key(&("Deployment".to_owned(), "kube-scheduler".to_owned()));
    assert_eq!(scheduler, !workerless);
    if scheduler {
        pods.push(Pod::start(&node, container("kube-scheduler", &all, &version), SCHEDULER, "kube-scheduler", &hosts));
    }
    for pod in &mut pods {
        pod.ready().await;
    }
    since.say(if scheduler { "controllers and scheduler are healthy" } else { "controllers are healthy" });
    let ports = [("kube-controller-manager", 10257), ("kube-scheduler", 10259)];
    for (name, port) in &ports[..pods.len()] {
        let scraper = manager::with_token(&all, "gardener-resource-manager", Some(&format!("https://{name}:{port}"))).await;
        let request = http::Request::get("/metrics").body(Vec::new()).expect("a request");
        assert!(scraper.request_text(request).await.expect("metrics").contains("# HELP rest_client_requests_total"), "{name}");
    }
    since.say("their metrics are read with a token of the shoot, over TLS with the rendered CA");
    people(&since, &admin, &manager::client(&viewer).await, &all).await;
    at_rest(&since, &readers[0].1, &readers[1].1, &all).await;
    if shoot == "mini" {
        own_files_in_use(&since, &server, &manager::client(&anybody.to_string()).await).await;
    }
    if scheduler {
        workload(&since, &admin).await;
    }
    for pod in members.iter_mut().chain([&mut server]).chain(&mut pods) {
        pod.lives();
        pod.trusted();
    }
    since.say("nobody was refused by anybody");
}

/// What people do with their kubeconfigs, and controllers for them.
async fn people(since: &Report, admin: &kube::Client, viewer: &kube::Client, all: &Objects) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "people"}});
    manager::post(admin, "/api/v1/namespaces", &namespace).await.expect("an admin makes a namespace");
    let root =
        check::until(admin, "/api/v1/namespaces/people/configmaps/kube-root-ca.crt", "controllers publish the CA", |map| {
            map["data"]["ca.crt"].is_string()
        })
        .await;
    let bundle =
        all.values().find(|o| o["kind"] == "Secret" && o["metadata"]["labels"]["name"] == "ca-bundle").expect("a bundle");
    assert_eq!(root["data"]["ca.crt"].as_str().expect("PEM").as_bytes(), pod::data(bundle)["bundle.crt"], "the shoot's own");
    check::until(admin, "/api/v1/namespaces/people/serviceaccounts/default", "controllers make accounts", Value::is_object).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "canary"}, "stringData": {"key": CANARY}});
    manager::post(admin, "/api/v1/namespaces/people/secrets", &secret).await.expect("an admin makes a Secret");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "canary"}, "data": {"key": CANARY}});
    manager::post(admin, "/api/v1/namespaces/people/configmaps", &map).await.expect("an admin makes a ConfigMap");
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "canary"}, "reason": "Test", "type": "Normal",
        "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "name": "canary", "namespace": "people"},
    });
    manager::post(admin, "/api/v1/namespaces/people/events", &event).await.expect("an admin makes an Event");
    since.say("the admin makes a namespace and things in it; controllers furnish it");
    assert_eq!(check::code(viewer, "/api/v1/namespaces").await, 200, "a viewer looks");
    assert_eq!(check::code(viewer, "/api/v1/namespaces/people/secrets").await, 403);
    assert_eq!(check::code(viewer, "/api/v1/namespaces/people/secrets/canary").await, 403);
    let refused = manager::post(viewer, "/api/v1/namespaces", &namespace).await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 403), "a viewer changes nothing");
    since.say("the viewer sees namespaces, no Secrets, and changes nothing");
    for lease in ["kube-controller-manager", "kube-scheduler"] {
        if all.contains_key(&("Deployment".to_owned(), lease.to_owned())) {
            let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}");
            check::until(admin, &path, "somebody leads", |l| l["spec"]["holderIdentity"].as_str().is_some_and(|h| !h.is_empty()))
                .await;
        }
    }
    sign(admin).await;
    since.say("leaders are elected, and a certificate request is signed");
}

/// What the files do that people keep in their project's namespace.
async fn own_files_in_use(since: &Report, server: &Pod, anybody: &kube::Client) {
    let code = async |path: &str| match anybody.request_text(http::Request::get(path).body(Vec::new()).expect("a request")).await
    {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("GET {path}: {error}"),
    };
    assert_eq!((code("/livez").await, code("/readyz").await), (200, 401));
    since.say("anybody may ask /livez, as the authentication configuration says, and nothing else");
    let text = server.said();
    let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [event] = events.as_slice() else { panic!("one event: {events:#?}") };
    assert_eq!(
        (&event["apiVersion"], &event["level"], &event["verb"]),
        (&json!("audit.k8s.io/v1"), &json!("Metadata"), &json!("create"))
    );
    assert_eq!((&event["objectRef"]["resource"], &event["objectRef"]["name"]), (&json!("secrets"), &json!("canary")));
    assert_eq!(event["responseStatus"]["code"], 201);
    assert!(!text.contains(CANARY), "a policy at level Metadata keeps content out");
    since.say("the audit log is written, as the audit policy says");
}

/// Controllers sign client certificates with the shoot's authority for clients.
async fn sign(admin: &kube::Client) {
    use base64::Engine as _;
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "somebody");
    let request = params.serialize_request(&key).expect("a request").pem().expect("PEM");
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let body = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "somebody"},
        "spec": {
            "request": base64::engine::general_purpose::STANDARD.encode(request),
            "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"],
        },
    });
    let mut made = manager::post(admin, path, &body).await.expect("a request");
    made["status"] = json!({"conditions": [{"type": "Approved", "status": "True", "reason": "Test", "message": "fine"}]});
    let approval = http::Request::put(format!("{path}/somebody/approval")).header("content-type", "application/json");
    let approval = approval.body(made.to_string().into_bytes()).expect("a request");
    admin.request::<Value>(approval).await.expect("an approval");
    check::until(admin, &format!("{path}/somebody"), "it is signed", |c| c["status"]["certificate"].is_string()).await;
}

/// What lies in the etcds.
async fn at_rest(since: &Report, main: &etcd::Reader, events: &etcd::Reader, all: &Objects) {
    let mut kinds = vec!["secrets"];
    let config = all
        .values()
        .find(|o| o["kind"] == "Secret" && o["metadata"]["labels"]["name"] == "kube-apiserver-etcd-encryption-configuration");
    let config = pod::data(config.expect("an encryption configuration"));
    if String::from_utf8_lossy(&config["encryption-configuration.yaml"]).contains("configmaps") {
        kinds.push("configmaps");
    }
    for kind in &kinds {
        let found = main.range(&format!("/registry/{kind}/people/canary")).await;
        let [(_, value)] = found.as_slice() else { panic!("one {kind}: {found:?}") };
        assert!(value.starts_with(b"k8s:enc:aescbc:v1:key"), "{kind}: {}", String::from_utf8_lossy(value));
        assert!(!value.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()), "{kind} are ciphertext");
    }
    since.say(&format!("{} are ciphertext in etcd-main", kinds.join(" and ")));
    let found = events.range("/registry/events/").await.len();
    assert!(found > 0 && main.range("/registry/events/").await.is_empty(), "events are in their own etcd");
    assert!(events.range("/registry/namespaces/").await.is_empty());
    since.say(&format!("{found} events in etcd-events, none in etcd-main"));
}

/// What is applied for nodes gets as far as it can without any.
async fn workload(since: &Report, admin: &kube::Client) {
    let path = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns";
    let unschedulable = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|c| c["type"] == "PodScheduled" && c["reason"] == "Unschedulable")
    };
    let pods = check::until(admin, path, "the scheduler looks at the pods of CoreDNS", |list| {
        list["items"].as_array().is_some_and(|items| !items.is_empty() && items.iter().all(unschedulable))
    })
    .await;
    let names: Vec<String> = pods["items"].as_array().into_iter().flatten().map(name_of).collect();
    since.say(&format!("controllers made {} pods of CoreDNS, and the scheduler waits for nodes for them", names.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workerless_shoot_boots() {
    boots("boot::a_workerless_shoot_boots", "lab", "api").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_shoot_boots() {
    boots("boot::a_standard_shoot_boots", "shop", "mini").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_highly_available_shoot_boots() {
    boots("boot::a_highly_available_shoot_boots", "shop", "pay").await;
}
