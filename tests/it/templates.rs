//! The components that the program ships, rendered for shoots of every shape.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use espalier::digest::DigestKey;
use espalier::facts::{Facts, WILDCARD_CERTIFICATE};
use espalier::landscape::{Kind, Owner, Target};
use espalier::render::context::{self, Identity, Objects, Shipped, Sources};
use espalier::render::{self, Components, DesiredObject, Images, Known, Ready, RenderState, Rendered, Scope};
use espalier::secrets::{Bodies, Names, SecretRef};
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Everything below `templates/`.
fn library() -> BTreeMap<RepoPath, Arc<str>> {
    fn walk(folder: &Path, root: &Path, out: &mut BTreeMap<RepoPath, Arc<str>>) {
        for entry in std::fs::read_dir(folder).expect("templates/ is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|e| e == "yaml") {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                out.insert(RepoPath::from(name.as_str()), Arc::from(std::fs::read_to_string(&path).expect("readable")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut out = BTreeMap::new();
    walk(&root.join("templates"), root, &mut out);
    out
}

pub(crate) fn compiled() -> (Components, Images) {
    let files = library();
    let (components, findings) = render::compile(&files);
    assert!(findings.is_empty(), "{findings:#?}");
    let (images, findings) = Images::compile(&files);
    assert!(findings.is_empty(), "{findings:#?}");
    (components, images)
}

fn worker(name: &str) -> Value {
    json!({
        "name": name, "minimum": 1, "maximum": 3, "maxSurge": 1, "maxUnavailable": 0, "cri": {"name": "containerd"},
        "machine": {"type": "m5.large", "architecture": "amd64", "image": {"name": "gardenlinux", "version": "1592.3.0"}},
        "volume": {"size": "50Gi", "type": "gp3"}, "zones": ["eu-a", "eu-b"], "systemComponents": {"allow": true},
        "updateStrategy": "AutoRollingUpdate",
    })
}

/// A standard shoot; the shapes below change it.
pub(crate) fn standard() -> Value {
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot",
        "metadata": {"name": "web", "labels": {"team": "a"}},
        "spec": {
            "cloudProfile": {"kind": "CloudProfile", "name": "local"}, "credentialsBindingName": "cloud", "region": "eu",
            "purpose": "production", "schedulerName": "default-scheduler",
            "dns": {"domain": "web.shop.example.org"},
            "maintenance": {"timeWindow": {"begin": "220000+0100", "end": "230000+0100"}},
            "networking": {"type": "calico", "ipFamilies": ["IPv4"], "pods": "100.96.0.0/11", "services": "100.64.0.0/13", "nodes": "10.250.0.0/16",
                "providerConfig": {"apiVersion": "calico.networking.extensions.gardener.cloud/v1alpha1", "kind": "NetworkConfig"}},
            "kubernetes": {
                "version": "1.34.2",
                "kubeAPIServer": {
                    "requests": {"maxNonMutatingInflight": 400, "maxMutatingInflight": 200}, "eventTTL": "1h", "logging": {"verbosity": 2},
                    "defaultNotReadyTolerationSeconds": 300, "defaultUnreachableTolerationSeconds": 300,
                    "admissionPlugins": [{"name": "PodSecurity", "config": {"apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration"}}],
                    "encryptionConfig": {"resources": ["configmaps"], "provider": {"type": "aescbc"}},
                },
                "kubeControllerManager": {"nodeCIDRMaskSize": 24, "nodeMonitorGracePeriod": "40s"},
                "kubeScheduler": {"profile": "bin-packing"},
                "kubeProxy": {"mode": "IPTables", "enabled": true},
                "verticalPodAutoscaler": {"enabled": true},
            },
            "provider": {
                "type": "local", "infrastructureConfig": {"apiVersion": "x/v1", "kind": "InfrastructureConfig", "networks": {"vpc": {"id": "vpc: \"1\""}}},
                "controlPlaneConfig": {"apiVersion": "x/v1", "kind": "ControlPlaneConfig"},
                "workers": [worker("small"), worker("large")], "workersSettings": {"sshAccess": {"enabled": true}},
            },
            "systemComponents": {"coreDNS": {"autoscaling": {"mode": "horizontal"}, "rewriting": {"commonSuffixes": ["gardener.cloud"]}}},
        },
    })
}

pub(crate) fn shape(name: &str) -> Value {
    let mut shoot = standard();
    let spec = &mut shoot["spec"];
    match name {
        "standard" => {}
        "ha-zone" => spec["controlPlane"] = json!({"highAvailability": {"failureTolerance": {"type": "zone"}}}),
        "workerless" => {
            spec["provider"] = json!({"type": "local"});
            spec["networking"] = json!({"ipFamilies": ["IPv4"], "services": "100.64.0.0/13"});
            spec.as_object_mut().expect("a map").remove("credentialsBindingName");
        }
        "hibernated" => spec["hibernation"] = json!({"enabled": true}),
        "dual-stack" => {
            spec["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
            spec["kubernetes"]["version"] = json!("1.33.5");
        }
        "ipv6" => {
            let networking = json!({"type": "calico", "ipFamilies": ["IPv6"], "pods": "fd00:10::/64", "services": "fd00:20::/112", "nodes": "fd00:30::/64"});
            spec["networking"] = networking;
        }
        "many-pools" => {
            let mut pools: Vec<Value> = (0..8).map(|n| worker(&format!("pool-{n}"))).collect();
            pools[0]["kubernetes"] =
                json!({"version": "1.33.4", "kubelet": {"maxPods": 200, "evictionHard": {"memoryAvailable": "300Mi"}}});
            pools[1]["taints"] = json!([{"key": "gpu", "value": "true", "effect": "NoSchedule"}]);
            pools[1]["labels"] = json!({"on": "yes", "weight": "1.10"});
            pools[2]["dataVolumes"] = json!([{"name": "kubelet", "size": "100Gi"}]);
            pools[2]["kubeletDataVolumeName"] = json!("kubelet");
            pools[3]["clusterAutoscaler"] = json!({"scaleDownUtilizationThreshold": 0.5, "scaleDownUnneededTime": "10m"});
            pools[4]["updateStrategy"] = json!("AutoInPlaceUpdate");
            pools[5]["sysctls"] = json!({"net.core.somaxconn": "1024"});
            pools[6]["caBundle"] = json!("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----");
            spec["provider"]["workers"] = pools.into();
            spec["provider"]["workersSettings"]["sshAccess"]["enabled"] = json!(false);
            spec["kubernetes"]["kubeProxy"]["mode"] = json!("IPVS");
            spec["systemComponents"]["nodeLocalDNS"] = json!({"enabled": true});
            spec["systemComponents"]["coreDNS"]["autoscaling"]["mode"] = json!("cluster-proportional");
        }
        other => panic!("no shape {other}"),
    }
    shoot
}

const SHAPES: [&str; 7] = ["standard", "ha-zone", "workerless", "hibernated", "dual-stack", "ipv6", "many-pools"];

pub(crate) fn owner() -> Owner {
    Owner::project(Kind::Shoot, "shop", "web")
}

pub(crate) fn objects(shoot: Value) -> Objects {
    let dns = |domain: &str| json!({"type": "local-dns", "domain": domain, "credentialsRef": {"apiVersion": "v1", "kind": "Secret", "namespace": "garden", "name": "dns"}});
    let seed = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Seed", "metadata": {"name": "eu1"}, "spec": {
        "provider": {"type": "local", "region": "eu", "zones": ["eu-a", "eu-b", "eu-c"]},
        "backup": {"provider": "local", "credentialsRef": {"apiVersion": "v1", "kind": "Secret", "namespace": "garden", "name": "backup"}},
        "dns": {"internal": dns("internal.example.org"), "defaults": [dns("example.org")]},
        "networks": {"pods": "10.0.0.0/16", "services": "10.1.0.0/16", "nodes": "10.2.0.0/16"},
        "ingress": {"domain": "ingress.eu1.example.org", "controller": {"kind": "nginx"}},
        "settings": {"loadBalancerServices": {"annotations": {"example.org/a: b": "yes: \"no\""}}},
    }});
    let profile = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "CloudProfile", "metadata": {"name": "local"}, "spec": {
        "type": "local", "caBundle": "-----BEGIN CERTIFICATE-----\ny\n-----END CERTIFICATE-----",
        "machineTypes": [{"name": "m5.large", "cpu": "2", "gpu": "0", "memory": "8Gi", "architecture": "amd64"}],
    }});
    let project = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Project", "metadata": {"name": "shop"}, "spec": {
        "owner": {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann@example.org"},
        "members": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann@example.org", "role": "admin", "roles": ["owner"]},
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers", "role": "viewer"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "garden-shop", "roles": ["extension:backup"]},
        ],
    }});
    let binding = json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "CredentialsBinding", "metadata": {"name": "cloud"},
        "provider": {"type": "local"}, "credentialsRef": {"apiVersion": "v1", "kind": "Secret", "name": "account", "namespace": "garden-shop"}});
    let landscape = json!({"apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape", "metadata": {"name": "test"}, "spec": {"domains": {"internal": "i.example.org"}}});
    [
        (owner(), shoot),
        (Owner::cluster(Kind::Seed, "eu1"), seed),
        (Owner::cluster(Kind::CloudProfile, "local"), profile),
        (Owner::cluster(Kind::Project, "shop"), project),
        (Owner::project(Kind::CredentialsBinding, "shop", "cloud"), binding),
        (Owner::cluster(Kind::Landscape, "test"), landscape),
    ]
    .into_iter()
    .map(|(owner, value)| (owner, Arc::new(value)))
    .collect()
}

pub(crate) fn identity() -> Identity {
    Identity {
        uid: Some("6f2d1c9e-8a31-4d0e-9f57-0c2b7a4b9d11".into()),
        technical_id: Some("shoot--shop--web".into()),
        seed: Some("eu1".into()),
        ..Identity::default()
    }
}

/// Renders a scope as it is rendered offline: symbols stand for what only clusters know.
fn offline(scope: Scope, owner: &Owner, context: &Value, namespace: &str) -> Vec<Rendered> {
    let (components, images) = compiled();
    let known = Known {
        owner,
        target: &Target::Seed("eu1".into()),
        namespace,
        garden_namespace: "garden-shop",
        names: None,
        facts: &Facts::default(),
        bodies: &Bodies::default(),
        images: &images,
        digest_key: None,
        offline: true,
    };
    let outcome = render::components(&components, scope, context, &known);
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    outcome.components
}

fn shoot_context(shoot: Value) -> Value {
    let objects = objects(shoot);
    context::shoot(&Sources { objects: &objects, owner: &owner(), identity: &identity() }).expect("everything is known")
}

fn render_shape(name: &str) -> Vec<Rendered> {
    offline(Scope::Shoot, &owner(), &shoot_context(shape(name)), "shoot--shop--web")
}

pub(crate) fn wanted(components: &[Rendered]) -> BTreeSet<String> {
    components.iter().filter(|c| c.state == RenderState::Wanted).map(|c| c.component.id.name.clone()).collect()
}

fn all(components: &[Rendered]) -> impl Iterator<Item = &DesiredObject> {
    components.iter().flat_map(|c| &c.objects)
}

/// Every name of a Secret or ConfigMap that a pod mounts.
pub(crate) fn mounted(body: &Value) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut push = |kind, value: Option<&Value>| {
        if let Some(name) = value.and_then(Value::as_str) {
            found.push((kind, name.to_owned()));
        }
    };
    for volume in body.pointer("/spec/template/spec/volumes").and_then(Value::as_array).into_iter().flatten() {
        push("Secret", volume.pointer("/secret/secretName"));
        push("ConfigMap", volume.pointer("/configMap/name"));
        for source in volume.pointer("/projected/sources").and_then(Value::as_array).into_iter().flatten() {
            push("Secret", source.pointer("/secret/name"));
            push("ConfigMap", source.pointer("/configMap/name"));
        }
    }
    found
}

#[test]
fn every_shape_renders_and_every_reference_resolves() {
    for name in SHAPES {
        let components = render_shape(name);
        for rendered in &components {
            assert!(
                !matches!(rendered.state, RenderState::Waiting(_) | RenderState::Failed(_)),
                "{name}/{}: {:?}",
                rendered.component.id,
                rendered.state
            );
        }
        let here: BTreeSet<(String, String)> = all(&components).map(|o| (o.key.kind.clone(), o.key.name.clone())).collect();
        for object in all(&components) {
            assert!(!object.body.to_string().contains('\0'), "{name}: {}", object.key);
            assert_eq!(object.body["metadata"]["name"], object.key.name.as_str());
            for (kind, mount) in mounted(&object.body) {
                let known = mount.starts_with("<secret ")
                    || mount == "kube-root-ca.crt"
                    || here.contains(&(kind.to_owned(), mount.clone()));
                assert!(known, "{name}: {} mounts {kind} {mount}, which nobody writes", object.key);
            }
            for container in object.body.pointer("/spec/template/spec/containers").and_then(Value::as_array).into_iter().flatten()
            {
                let image = container["image"].as_str().unwrap_or_default();
                assert!(image.contains('/') && image.contains(':'), "{name}: {} runs image `{image}`", object.key);
                let volumes: BTreeSet<&str> = object
                    .body
                    .pointer("/spec/template/spec/volumes")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|v| v["name"].as_str())
                    .collect();
                for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                    let volume = mount["name"].as_str().unwrap_or_default();
                    assert!(volumes.contains(volume), "{name}: {} mounts volume {volume}", object.key);
                }
            }
        }
    }
}

/// The first path of a manifest that its own API type does not have.
fn unknown(manifest: &Value, typed: &Value, path: &str) -> Option<String> {
    match (manifest, typed) {
        (Value::Object(manifest), Value::Object(typed)) => manifest.iter().find_map(|(key, value)| match typed.get(key) {
            Some(known) => unknown(value, known, &format!("{path}/{key}")),
            // Empty fields are left out when they are written again.
            None if value.is_null() || value == &json!([]) || value == &json!({}) => None,
            None => Some(format!("{path}/{key}")),
        }),
        (Value::Array(manifest), Value::Array(typed)) if manifest.len() == typed.len() => {
            manifest.iter().zip(typed).enumerate().find_map(|(n, (value, known))| unknown(value, known, &format!("{path}/{n}")))
        }
        (Value::Array(_), _) | (_, Value::Array(_) | Value::Object(_)) => Some(path.to_owned()),
        _ => None,
    }
}

/// Reads a manifest as its own API type and says what does not fit.
pub(crate) fn misfit(manifest: &Value) -> Option<String> {
    use k8s_openapi::api::{admissionregistration, apps, autoscaling, core, networking, policy, rbac, scheduling};
    fn of<T: serde::de::DeserializeOwned + serde::Serialize>(manifest: &Value) -> Option<String> {
        match serde_json::from_value::<T>(manifest.clone()) {
            Ok(typed) => unknown(manifest, &serde_json::to_value(typed).expect("it was read"), ""),
            Err(error) => Some(error.to_string()),
        }
    }
    match (manifest["apiVersion"].as_str()?, manifest["kind"].as_str()?) {
        ("v1", "Namespace") => of::<core::v1::Namespace>(manifest),
        ("v1", "Secret") => {
            // Offline, data is a symbol and not base64.
            let mut manifest = manifest.clone();
            manifest.as_object_mut()?.remove("data");
            of::<core::v1::Secret>(&manifest)
        }
        ("v1", "ConfigMap") => of::<core::v1::ConfigMap>(manifest),
        ("v1", "Service") => of::<core::v1::Service>(manifest),
        ("v1", "ServiceAccount") => of::<core::v1::ServiceAccount>(manifest),
        ("v1", "ResourceQuota") => of::<core::v1::ResourceQuota>(manifest),
        ("apps/v1", "Deployment") => of::<apps::v1::Deployment>(manifest),
        ("apps/v1", "StatefulSet") => of::<apps::v1::StatefulSet>(manifest),
        ("apps/v1", "DaemonSet") => of::<apps::v1::DaemonSet>(manifest),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => of::<autoscaling::v2::HorizontalPodAutoscaler>(manifest),
        ("policy/v1", "PodDisruptionBudget") => of::<policy::v1::PodDisruptionBudget>(manifest),
        ("networking.k8s.io/v1", "NetworkPolicy") => of::<networking::v1::NetworkPolicy>(manifest),
        ("networking.k8s.io/v1", "IngressClass") => of::<networking::v1::IngressClass>(manifest),
        ("apiregistration.k8s.io/v1", "APIService") => {
            let mut manifest = manifest.clone();
            manifest["spec"].as_object_mut()?.remove("caBundle");
            of::<k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService>(&manifest)
        }
        ("scheduling.k8s.io/v1", "PriorityClass") => of::<scheduling::v1::PriorityClass>(manifest),
        ("rbac.authorization.k8s.io/v1", "Role") => of::<rbac::v1::Role>(manifest),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => of::<rbac::v1::RoleBinding>(manifest),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => of::<rbac::v1::ClusterRole>(manifest),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => of::<rbac::v1::ClusterRoleBinding>(manifest),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration") => {
            let mut manifest = manifest.clone();
            for webhook in manifest["webhooks"].as_array_mut()? {
                webhook["clientConfig"].as_object_mut()?.remove("caBundle");
            }
            of::<admissionregistration::v1::MutatingWebhookConfiguration>(&manifest)
        }
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration") => {
            of::<admissionregistration::v1::ValidatingWebhookConfiguration>(manifest)
        }
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            of::<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>(manifest)
        }
        _ => None,
    }
}

/// An object and, if it is the Secret of a ManagedResource, everything in it.
pub(crate) fn unpacked(object: &DesiredObject) -> Vec<Value> {
    let mut out = vec![object.body.as_ref().clone()];
    if object.key.kind == "Secret" && object.key.name.starts_with("managedresource-") {
        let data = object.body["data"]["data.yaml"].as_str().expect("packed");
        let data = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).expect("base64");
        let parsed = espalier::document::parse(&RepoPath::from("x.yaml"), &data, &espalier::document::Budget::default());
        assert!(parsed.findings.is_empty(), "{}: {:?}", object.key, parsed.findings);
        out.extend(parsed.documents.iter().map(|d| d.value().clone()));
    }
    out
}

#[test]
fn manifests_have_no_field_that_their_kind_does_not_know() {
    for name in SHAPES {
        for object in all(&render_shape(name)) {
            for manifest in unpacked(object) {
                let problem = misfit(&manifest);
                assert_eq!(problem, None, "{name}: {} in {}", manifest["metadata"]["name"], object.key);
            }
        }
    }
}

#[test]
fn a_standard_shoot_has_the_whole_creation_procedure() {
    let components = render_shape("standard");
    let expected = [
        "alert-rules",
        "apiserver-proxy",
        "backup-entry",
        "backup-entry-garden",
        "blackbox-exporter",
        "blackbox-exporter-control-plane",
        "cluster",
        "cluster-autoscaler",
        "control-plane",
        "control-plane-access",
        "coredns",
        "credentials",
        "dependency-watchdog-access",
        "dns-external",
        "dns-internal",
        "etcd-events",
        "etcd-main",
        "garden-objects",
        "gardener-access",
        "gardener-resource-manager",
        "infrastructure",
        "istio-basic-auth-server",
        "kube-apiserver",
        "kube-apiserver-service",
        "kube-apiserver-sni",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kube-state-metrics",
        "machine-controller-manager",
        "metrics-server",
        "namespace",
        "network",
        "network-policies",
        "node-exporter",
        "node-problem-detector",
        "observability-ingress",
        "operating-system-config",
        "plutono",
        "plutono-dashboards",
        "prometheus",
        "scrape-configs",
        "shoot-core-namespaces",
        "shoot-core-system",
        "static-manifests",
        "vpa",
        "vpn-seed-server",
        "vpn-shoot",
        "worker",
    ];
    assert_eq!(wanted(&components), expected.into_iter().map(str::to_owned).collect());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for object in all(&components) {
        *counts.entry(object.key.kind.as_str()).or_default() += 1;
    }
    assert_eq!(counts["OperatingSystemConfig"], 4);
    assert_eq!(counts["Etcd"], 2);
    assert_eq!(counts["Deployment"], 10);
    assert_eq!(counts["DNSRecord"], 2);
    assert_eq!(all(&components).count(), counts.values().sum::<usize>());
}

#[test]
fn a_workerless_shoot_has_nothing_of_nodes() {
    let components = render_shape("workerless");
    let kinds: BTreeSet<&str> = all(&components).map(|o| o.key.kind.as_str()).collect();
    for kind in ["Infrastructure", "ControlPlane", "Worker", "Network", "OperatingSystemConfig"] {
        assert!(!kinds.contains(kind), "{kind}");
    }
    let names = wanted(&components);
    for name in
        ["machine-controller-manager", "kube-scheduler", "kube-proxy", "coredns", "credentials", "infrastructure", "worker"]
    {
        assert!(!names.contains(name), "{name}");
    }
    for name in [
        "etcd-main",
        "etcd-events",
        "kube-apiserver",
        "kube-controller-manager",
        "gardener-resource-manager",
        "shoot-core-system",
    ] {
        assert!(names.contains(name), "{name}");
    }
    let api = all(&components).find(|o| o.key.kind == "Deployment" && o.key.name == "kube-apiserver").expect("it is there");
    let text = api.body.to_string();
    assert!(text.contains(
        "--runtime-config=apps/v1=false,autoscaling/v2=false,batch/v1=false,policy/v1=false,storage.k8s.io/v1/csinodes=false"
    ));
    assert!(!text.contains("kubelet") && !text.contains("egress"));
}

#[test]
fn a_hibernated_shoot_runs_nothing_and_has_no_dns() {
    let components = render_shape("hibernated");
    let names = wanted(&components);
    assert!(!names.contains("dns-internal") && !names.contains("dns-external") && names.contains("etcd-main"));
    for object in all(&components).filter(|o| matches!(o.key.kind.as_str(), "Deployment" | "Etcd")) {
        assert_eq!(object.body["spec"]["replicas"], 0, "{}", object.key);
    }
    assert!(!all(&components).any(|o| o.key.kind == "HorizontalPodAutoscaler"));
    // Its resource manager sleeps too, so nobody can wait for what it would apply.
    assert!(components.iter().all(|c| c.component.ready != Ready::ManagedResource));
}

#[test]
fn a_highly_available_shoot_has_three_etcd_members_and_peer_tls() {
    let components = render_shape("ha-zone");
    let etcd = all(&components).find(|o| o.key.name == "etcd-main" && o.key.kind == "Etcd").expect("it is there");
    assert_eq!(etcd.body["spec"]["replicas"], 3);
    assert!(etcd.body.pointer("/spec/etcd/peerUrlTls/serverTLSSecretRef/name").is_some());
    let namespace = all(&components).find(|o| o.key.kind == "Namespace").expect("it is there");
    let annotations = &namespace.body["metadata"]["annotations"];
    assert_eq!(annotations["high-availability-config.resources.gardener.cloud/zones"], "eu-a,eu-b,eu-c");
    assert_eq!(annotations["high-availability-config.resources.gardener.cloud/failure-tolerance-type"], "zone");
}

#[test]
fn networks_of_both_families_are_passed_on() {
    let shoot = shape("dual-stack");
    let objects = objects(shoot);
    let mut identity = identity();
    identity.status = json!({"networking": {"pods": ["100.96.0.0/11", "fd00:10::/64"], "services": ["100.64.0.0/13", "fd00:20::/112"], "nodes": ["10.250.0.0/16"]}});
    let context =
        context::shoot(&Sources { objects: &objects, owner: &owner(), identity: &identity }).expect("everything is known");
    assert_eq!(context["networks"]["dnsIPs"], json!(["100.64.0.10", "fd00:20::a"]));
    let components = offline(Scope::Shoot, &owner(), &context, "shoot--shop--web");
    let manager = all(&components)
        .find(|o| o.key.kind == "Deployment" && o.key.name == "kube-controller-manager")
        .expect("it is there")
        .body
        .to_string();
    assert!(manager.contains("--cluster-cidr=100.96.0.0/11,fd00:10::/64") && manager.contains("--node-cidr-mask-size-ipv6=64"));
}

#[test]
fn pools_have_configurations_of_their_own() {
    let components = render_shape("many-pools");
    let configs = all(&components).filter(|o| o.key.kind == "OperatingSystemConfig").count();
    assert_eq!(configs, 16);
    let worker = all(&components).find(|o| o.key.kind == "Worker").expect("it is there");
    let pools = worker.body["spec"]["pools"].as_array().expect("a list");
    assert_eq!(pools.len(), 8);
    assert_eq!(pools[0]["kubernetesVersion"], "1.33.4");
    assert_eq!(pools[1]["labels"]["weight"], "1.10");
    assert_eq!(pools[3]["clusterAutoscaler"]["scaleDownUtilizationThreshold"], "0.5");
    assert_eq!(pools[4]["nodeAgentSecretName"], "gardener-node-agent-pool-4");
    assert_eq!(pools[0]["nodeTemplate"]["capacity"]["memory"], "8Gi");
    let names: BTreeSet<&str> =
        all(&components).filter(|o| o.key.kind == "ManagedResource").map(|o| o.key.name.as_str()).collect();
    assert!(names.contains("shoot-core-kube-proxy-pool-0-v1.33.4") && names.contains("shoot-core-kube-proxy-pool-1-v1.34.2"));
}

#[test]
fn what_clusters_know_ends_up_in_manifests() {
    let (components, images) = compiled();
    let context = shoot_context(shape("standard"));
    let mut names = BTreeMap::new();
    let mut bodies = Bodies::default();
    let seed = Target::Seed("eu1".into());
    let data =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), Zeroizing::new(v.as_bytes().to_vec()))).collect();
    for compiled in components.scope(Scope::Shoot) {
        for config in &compiled.component.secrets {
            let public = config.ends_with("-bundle") && config.starts_with("ca");
            names.insert(
                config.clone(),
                Names { current: format!("{config}-12345678"), old: None, checksum: "c0ffee".into(), public },
            );
            let body = data(&[
                ("bundle.crt", "BUNDLE"),
                ("ca.crt", "AUTHORITY"),
                ("ca.key", "the key of an authority"),
                ("id_rsa", "a private key"),
                ("tls.crt", "a certificate"),
                ("tls.key", "a private key"),
                ("vpn.tlsauth", "a private key"),
                ("id_rsa.pub", "ssh-ed25519 AAAA"),
                ("username", "admin"),
                ("password", "a private key"),
                ("auth", "admin:a private key"),
                ("static_tokens.csv", "t0k3n-of-the-probe,health-check,health-check,\n"),
            ]);
            bodies.0.insert(SecretRef::secret(seed.clone(), "shoot--shop--web", format!("{config}-12345678")), Some(body));
        }
    }
    for (namespace, name) in [("garden", "dns"), ("garden", "backup"), ("garden-shop", "account")] {
        let address = SecretRef::secret(Target::Garden, namespace, name);
        bodies.0.insert(address, Some(data(&[("accessKey", "very secret")])));
    }
    let key = DigestKey(Zeroizing::new(vec![7; 32]));
    // The seed was looked at, and has no certificate of its own.
    let mut facts = Facts::default();
    facts.insert(WILDCARD_CERTIFICATE, Value::Null);
    let known = Known {
        owner: &owner(),
        target: &seed,
        namespace: "shoot--shop--web",
        garden_namespace: "garden-shop",
        names: Some(&names),
        facts: &facts,
        bodies: &bodies,
        images: &images,
        digest_key: Some(&key),
        offline: false,
    };
    let outcome = render::components(&components, Scope::Shoot, &context, &known);
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    let waiting: BTreeSet<&str> = outcome
        .components
        .iter()
        .filter(|c| matches!(c.state, RenderState::Waiting(_)))
        .map(|c| c.component.id.name.as_str())
        .collect();
    // Who gives tokens has none of its own at first.
    let manager = |components: &[Rendered]| {
        let found = all(components).find(|o| o.key.kind == "Deployment" && o.key.name == "gardener-resource-manager");
        let (_, mounts): (Vec<_>, Vec<_>) = mounted(&found.expect("it is there").body).into_iter().unzip();
        mounts.contains(&"shoot-access-gardener-resource-manager-bootstrap-12345678".to_owned())
    };
    assert!(manager(&outcome.components));
    let mut facts = facts.clone();
    facts.insert("gardener-resource-manager.token", json!("2026-11-21T09:00:00Z"));
    let later = render::components(&components, Scope::Shoot, &context, &Known { facts: &facts, ..known });
    assert!(!manager(&later.components));
    // Only what reads facts of other components waits for them.
    assert_eq!(
        waiting,
        [
            "apiserver-proxy",
            "backup-entry",
            "backup-entry-garden",
            "cluster-autoscaler",
            "dns-external",
            "dns-internal",
            "etcd-main",
            "kube-apiserver"
        ]
        .into_iter()
        .collect()
    );
    for object in all(&outcome.components) {
        let text = object.body.to_string();
        assert!(
            object.sensitive || !text.contains("very secret") && !text.contains("t0k3n") && !text.contains("private key"),
            "{}",
            object.key
        );
    }
    let infrastructure = all(&outcome.components).find(|o| o.key.kind == "Infrastructure").expect("it is there");
    assert!(!infrastructure.sensitive, "a public key is no secret");
}

#[test]
fn a_shoot_without_an_identity_says_what_is_missing() {
    let objects = objects(standard());
    let missing =
        context::shoot(&Sources { objects: &objects, owner: &owner(), identity: &Identity::default() }).expect_err("no uid");
    assert!(missing.to_string().contains("uid"), "{missing}");
}

/// What a CustomResourceDefinition's schema must be for an API server to take it: the first place where it is not.
fn unstructural(schema: &Value, path: &str) -> Option<String> {
    const KNOWN: [&str; 21] = [
        "type",
        "description",
        "title",
        "format",
        "properties",
        "additionalProperties",
        "items",
        "required",
        "enum",
        "nullable",
        "default",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
        "maxProperties",
    ];
    let map = schema.as_object()?;
    if let Some(keyword) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Some(format!("{path}: {keyword}"));
    }
    let open =
        ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"].iter().any(|k| map.get(*k) == Some(&json!(true)));
    let kind = map.get("type").and_then(Value::as_str);
    if kind.is_none() && !open {
        return Some(format!("{path}: no type"));
    }
    if map.contains_key("properties") && map.contains_key("additionalProperties") {
        return Some(format!("{path}: properties and additionalProperties"));
    }
    if kind == Some("array") && !map.get("items").is_some_and(Value::is_object) {
        return Some(format!("{path}: no items"));
    }
    let properties =
        map.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, sub)| (format!("{path}/{name}"), sub));
    let others = ["items", "additionalProperties"].into_iter().filter_map(|k| map.get(k).map(|sub| (format!("{path}/{k}"), sub)));
    properties.chain(others).find_map(|(path, sub)| unstructural(sub, &path))
}

#[test]
fn definitions_of_the_landscape_kinds_are_structural() {
    for kind in Kind::ALL {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{}.json", kind.name().to_ascii_lowercase()));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        let definition = render::crd::definition(*kind, Some(&schema));
        let structural = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(unstructural(structural, ""), None, "{kind}");
        assert_eq!(misfit(&definition), None, "{kind}");
        assert!(structural["properties"].as_object().expect("an object").len() > 3, "{kind}");
    }
}

#[test]
fn gardens_projects_and_seeds_render() {
    let objects = objects(standard());
    let identity = identity();
    let sources = |owner| Sources { objects: &objects, owner, identity: &identity };

    let landscape = Owner::cluster(Kind::Landscape, "test");
    let shipped = Shipped {
        schemas: BTreeMap::new(),
        policies: vec![
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": {"validations": []}}),
        ],
    };
    let garden = offline(Scope::Garden, &landscape, &context::garden(&sources(&landscape), &shipped).expect("known"), "");
    let definitions: Vec<&DesiredObject> = all(&garden).filter(|o| o.key.kind == "CustomResourceDefinition").collect();
    assert_eq!(definitions.len(), Kind::ALL.len() + 5);
    let shoots = definitions.iter().find(|o| o.key.name == "shoots.core.gardener.cloud").expect("it is there");
    let columns: Vec<&str> = shoots.body["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert_eq!(
        columns[..8],
        ["CloudProfile", "Provider", "Region", "K8S Version", "Hibernation", "Last Operation", "Status", "Age"]
    );
    let policy = all(&garden).find(|o| o.key.kind == "ValidatingAdmissionPolicy").expect("it is there");
    assert!(policy.body["spec"]["matchConditions"].to_string().contains("not-espalier"));

    let project = Owner::cluster(Kind::Project, "shop");
    assert!(all(&garden).all(|o| misfit(&o.body).is_none()));
    let rendered = offline(Scope::Project, &project, &context::project(&sources(&project)).expect("known"), "garden-shop");
    let viewers = all(&rendered)
        .find(|o| o.key.kind == "RoleBinding" && o.key.name == "gardener.cloud:system:project-viewer")
        .expect("it is there");
    assert_eq!(viewers.body["subjects"][0]["name"], "readers");
    assert!(all(&rendered).any(|o| o.key.name == "gardener.cloud:extension:project:shop:backup"));

    let seed = Owner::cluster(Kind::Seed, "eu1");
    assert!(all(&rendered).all(|o| misfit(&o.body).is_none()));
    let rendered = offline(Scope::Seed, &seed, &context::seed(&sources(&seed)).expect("known"), "garden");
    let doors: Vec<&DesiredObject> =
        all(&rendered).filter(|o| o.key.kind == "Service" && o.key.name == "istio-ingressgateway").collect();
    assert!(doors.iter().all(|o| o.body["spec"]["type"] == "LoadBalancer"));
    let spaces: Vec<&str> = doors.iter().map(|o| o.key.namespace.as_str()).collect();
    assert_eq!(spaces, ["istio-ingress", "istio-ingress--eu-a", "istio-ingress--eu-b", "istio-ingress--eu-c"]);
    for space in spaces {
        assert!(all(&rendered).any(|o| o.key.kind == "Namespace" && o.key.name == space), "{space}");
    }
    for object in all(&rendered) {
        assert_eq!(misfit(&object.body), None, "{}", object.key);
    }
    for object in all(&rendered).filter(|o| o.key.kind == "CustomResourceDefinition") {
        assert_eq!(object.body["metadata"]["annotations"]["render.espalier.dev/only-if-absent"], "true");
    }
}

#[test]
fn the_node_agent_reads_the_configuration_of_its_own_version() {
    let images = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/images.yaml")).expect("readable");
    let table: Value = serde_yaml::from_str(&images).expect("YAML");
    let tag = table["gardener-node-agent"][0]["tag"].as_str().expect("a tag");
    let template = library().remove(&RepoPath::from("templates/shoot/operating-system-config.yaml")).expect("it is there");
    assert!(template.contains(&format!("/var/lib/gardener-node-agent/config-{tag}.yaml")));
}

/// Writes what is rendered below a folder, for people to read: `TEMPLATES_OUT=/tmp/x cargo test shapes_can_be_written`.
#[test]
fn shapes_can_be_written_out() {
    let Some(folder) = std::env::var_os("TEMPLATES_OUT") else { return };
    for name in SHAPES {
        let folder = Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for rendered in render_shape(name) {
            let bodies: Vec<Value> = rendered.objects.iter().map(|o| o.body.as_ref().clone()).collect();
            std::fs::write(
                folder.join(format!("{}.json", rendered.component.id)),
                serde_json::to_string_pretty(&bodies).expect("JSON"),
            )
            .expect("written");
        }
    }
}

/// The objects of `landscapes/local`, as they are written: without defaults, so templates get less than admission would give them.
fn local() -> Objects {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local");
    let mut folders = vec![root.clone()];
    let mut out = Objects::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|e| e != "yaml") {
                continue;
            }
            let name = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
            let project = name.strip_prefix("projects/").and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
            let bytes = std::fs::read(&path).expect("readable");
            let parsed =
                espalier::document::parse(&RepoPath::from(name.as_str()), &bytes, &espalier::document::Budget::default());
            for document in &parsed.documents {
                let value = document.value();
                let text = |field: &str| value[field].as_str().unwrap_or_default();
                let Some(kind) = Kind::of(text("apiVersion"), text("kind")) else { continue };
                let object = value["metadata"]["name"].as_str().unwrap_or_default();
                let owner =
                    if kind.namespaced() { Owner::project(kind, project.clone(), object) } else { Owner::cluster(kind, object) };
                out.insert(owner, Arc::new(value.clone()));
            }
        }
    }
    out
}

#[test]
fn every_shoot_of_the_local_landscape_renders() {
    let objects = local();
    let seed = objects.keys().find(|o| o.kind == Kind::Seed).expect("a seed").name.clone();
    let shoots: Vec<&Owner> = objects.keys().filter(|o| o.kind == Kind::Shoot).collect();
    assert!(shoots.len() >= 6);
    for owner in shoots {
        let technical_id = format!("shoot--{}--{}", owner.project, owner.name);
        let identity = Identity { technical_id: Some(technical_id.clone()), seed: Some(seed.clone()), ..identity() };
        let context = context::shoot(&Sources { objects: &objects, owner, identity: &identity }).expect("everything is known");
        for rendered in offline(Scope::Shoot, owner, &context, &technical_id) {
            assert!(
                !matches!(rendered.state, RenderState::Waiting(_) | RenderState::Failed(_)),
                "{owner}/{}: {:?}",
                rendered.component.id,
                rendered.state
            );
        }
    }
}
