//! The matrix of shoots and seeds as landscapes in Git: what templates are tested with, as people would commit it. What a landscape
//! says of all its clusters differs between shapes, so there is one for each way to watch them.

use std::collections::{BTreeMap, BTreeSet};

use espalier::document;
use espalier::observed::project_namespace;
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};

use crate::fleet::example;
use crate::{matrix, matrix_seeds};

/// A landscape in Git, and what is in its garden besides.
pub(super) struct Landscape {
    pub(super) files: BTreeMap<RepoPath, Vec<u8>>,
    /// ConfigMaps and Secrets that shoots refer to.
    pub(super) garden: Vec<Value>,
    /// Secrets that operators keep in seeds, with the seed's name.
    pub(super) kept: Vec<(&'static str, Value)>,
    /// The shapes of its shoots and its seeds.
    pub(super) shapes: Vec<&'static str>,
}

/// The name of a shoot of a shape: with that of its project it may be 21 characters long.
pub(super) fn name_of(shape: &str) -> String {
    shape.replace('.', "-").chars().take(17).collect::<String>().trim_end_matches('-').to_owned()
}

/// Shapes that can be in one landscape: what is watched there, shoots, and seeds with their manifests.
type Together = (Value, Vec<&'static str>, Vec<(&'static str, Value)>);

/// All shapes, in as few landscapes as can be.
pub(super) fn all() -> Vec<Landscape> {
    let mut watched: BTreeMap<String, Together> = BTreeMap::new();
    for (shape, _) in matrix::MATRIX {
        let observability = matrix::observability(shape);
        watched.entry(class(&observability)).or_insert_with(|| (observability, Vec::new(), Vec::new())).1.push(shape);
    }
    for (shape, change) in matrix_seeds::MATRIX {
        let (landscape, seed) = matrix_seeds::manifests_of(*change);
        let observability = landscape["spec"]["observability"].clone();
        watched.entry(class(&observability)).or_insert_with(|| (observability, Vec::new(), Vec::new())).2.push((shape, seed));
    }
    watched.into_values().map(|(observability, shoots, seeds)| landscape(&observability, &shoots, seeds)).collect()
}

/// What decides which landscape a shape belongs to: mail is only sent where somebody watches.
fn class(observability: &Value) -> String {
    format!("{} {}", observability["monitoring"] != false, observability["logging"] == true)
}

fn landscape(observability: &Value, shoots: &[&'static str], seeds: Vec<(&'static str, Value)>) -> Landscape {
    let mut files: BTreeMap<RepoPath, Vec<u8>> = BTreeMap::new();
    let mut write = |path: String, objects: &[Value]| {
        let text: Vec<String> = objects.iter().map(document::to_yaml).collect();
        files.insert(RepoPath::from(path), text.join("---\n").into_bytes());
    };
    let mut root: Value = serde_yaml::from_slice(&example()[&RepoPath::from("landscape.yaml")]).expect("YAML");
    root["spec"]["observability"] = observability.clone();
    root["spec"]["exposureClassHandlers"] = json!([{"name": "open"}]);
    write("landscape.yaml".into(), &[root]);
    write("cloudprofiles/local.yaml".into(), &[profile()]);
    write("extensions/local.yaml".into(), &extensions());
    for (shape, mut seed) in seeds.iter().cloned() {
        seed["metadata"]["name"] = json!(shape);
        // One without a name for its ingress is rendered, and not admitted.
        let ingress = json!({"domain": format!("ingress.{shape}.example.org"), "controller": {"kind": "nginx"}});
        seed["spec"]["ingress"] = ingress;
        write(format!("seeds/{shape}.yaml"), &[seed]);
    }
    for project in shoots.iter().map(|shape| project_of(shape)).collect::<BTreeSet<_>>() {
        let namespace = project_namespace(project);
        let body = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Project", "metadata": {"name": project}, "spec": {
            "namespace": namespace, "owner": {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada@example.org"},
        }});
        write(format!("projects/{project}/project.yaml"), &[body]);
        write(format!("projects/{project}/credentials/cloud.yaml"), &credentials(&namespace));
    }
    for shape in shoots {
        // A shape of what a seed has needs a seed that has it.
        let fits = |seed: &&(&str, Value)| shape.contains("wildcard") && seed.0.contains("wildcard");
        let seed = seeds.iter().find(fits).unwrap_or(&seeds[0]).0;
        write(format!("projects/{}/shoots/{}.yaml", project_of(shape), name_of(shape)), &[shoot(shape, seed)]);
    }
    let shapes = shoots.iter().copied().chain(seeds.iter().map(|(shape, _)| *shape)).collect();
    let kept = seeds.iter().filter(|(shape, _)| shape.contains("wildcard")).map(|(shape, _)| (*shape, wildcard(shape)));
    Landscape { files, garden: garden(), kept: kept.collect(), shapes }
}

/// The project of a shape's shoot: infrastructure is the garden's own.
pub(super) fn project_of(shape: &str) -> &'static str {
    if shape == "infrastructure" { "garden" } else { "shop" }
}

/// A shoot of a shape on a seed: with a name and a domain of its own, and without what templates take and people may not write.
fn shoot(shape: &str, seed: &str) -> Value {
    let (mut shoot, name) = (matrix::shoot(shape), name_of(shape));
    shoot["metadata"]["name"] = json!(name);
    shoot["spec"]["seedName"] = json!(seed);
    if let Some(domain) = shoot.pointer_mut("/spec/dns/domain") {
        let own = domain.as_str().expect("a domain").replacen("web", &name, 1);
        *domain = json!(own.replacen(".shop.", &format!(".{}.", project_of(shape)), 1));
    }
    let mut remove = |above: &str, field: &str| {
        if let Some(map) = shoot.pointer_mut(above).and_then(Value::as_object_mut) {
            map.remove(field);
        }
    };
    if shape == "ipv6" {
        // It is for IPv4.
        remove("/spec/kubernetes/kubeControllerManager", "nodeCIDRMaskSize");
    }
    if shape.contains("workerless") {
        remove("/spec", "systemComponents");
        for field in ["kubeControllerManager", "kubeProxy", "kubeScheduler", "verticalPodAutoscaler"] {
            remove("/spec/kubernetes", field);
        }
    }
    match shape {
        "addons" => shoot["spec"]["purpose"] = json!("evaluation"),
        "own-files" => {
            let secret = |name: &str| json!({"name": name, "resourceRef": {"apiVersion": "v1", "kind": "Secret", "name": name}});
            shoot["spec"]["resources"] = json!([secret("mine"), secret("webhook")]);
        }
        "many-pools" => {
            let made = rcgen::generate_simple_self_signed(["any".to_owned()]).expect("a certificate");
            shoot["spec"]["provider"]["workers"][6]["caBundle"] = json!(made.cert.pem());
            // Updates in place are behind a gate that no landscape opens.
            shoot["spec"]["provider"]["workers"][4]["updateStrategy"] = json!("AutoRollingUpdate");
        }
        _ => {}
    }
    shoot
}

/// The certificate that operators keep for all that is below a seed's ingress domain.
fn wildcard(seed: &str) -> Value {
    let made = rcgen::generate_simple_self_signed([format!("*.ingress.{seed}.example.org")]).expect("a certificate");
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": "garden", "name": "trusted", "labels": {"gardener.cloud/role": "controlplane-cert"}},
        "stringData": {"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()},
    })
}

fn profile() -> Value {
    let versions = ["1.36.0", "1.35.3", "1.34.2", "1.33.5", "1.33.4", "1.32.9"];
    let supported = |version: &&str| {
        if *version == "1.33.4" {
            json!({"version": version})
        } else {
            json!({"version": version, "classification": "supported"})
        }
    };
    let versions: Vec<Value> = versions.iter().map(supported).collect();
    json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "CloudProfile", "metadata": {"name": "local"}, "spec": {
        "type": "local", "kubernetes": {"versions": versions},
        "machineImages": [{"name": "gardenlinux", "updateStrategy": "minor", "versions": [{
            "version": "1592.3.0", "classification": "supported", "architectures": ["amd64"],
            "cri": [{"name": "containerd", "containerRuntimes": [{"type": "gvisor"}]}],
            "inPlaceUpdates": {"supported": true, "minVersionForUpdate": "1592.0.0"},
        }]}],
        "machineTypes": [{"name": "m5.large", "cpu": "2", "gpu": "0", "memory": "8Gi", "architecture": "amd64"}],
        "volumeTypes": [{"name": "gp3", "class": "standard"}],
        "regions": [{"name": "eu", "zones": [{"name": "eu-a"}, {"name": "eu-b"}, {"name": "eu-c"}]}],
    }})
}

fn extensions() -> Vec<Value> {
    let of = |kind: &str, name: &str| json!({"kind": kind, "type": name});
    let deployment = json!({"apiVersion": "core.gardener.cloud/v1", "kind": "ControllerDeployment", "metadata": {"name": "local"}, "helm": {
        "ociRepository": {"repository": "registry.example.org/local", "tag": "v1"},
    }});
    let kinds = ["BackupBucket", "BackupEntry", "ControlPlane", "Infrastructure", "Worker"].map(|kind| of(kind, "local"));
    let others = [
        of("DNSRecord", "local-dns"),
        of("Network", "calico"),
        of("Network", "cilium"),
        of("OperatingSystemConfig", "gardenlinux"),
        of("ContainerRuntime", "gvisor"),
    ];
    let registration = |name: &str, resources: Vec<Value>| {
        json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "ControllerRegistration", "metadata": {"name": name}, "spec": {
            "deployment": {"deploymentRefs": [{"name": "local"}]}, "resources": resources,
        }})
    };
    let of_seeds = json!({"kind": "Extension", "type": "local-ext", "clusterCompatibility": ["seed"]});
    let class = json!({"apiVersion": "core.gardener.cloud/v1beta1", "kind": "ExposureClass", "metadata": {"name": "public"}, "handler": "open"});
    vec![
        deployment,
        registration("local", kinds.into_iter().chain(others).collect()),
        registration("all", matrix::extensions()),
        registration("seeds", vec![of_seeds]),
        class,
    ]
}

fn credentials(namespace: &str) -> Vec<Value> {
    let binding = json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "CredentialsBinding", "metadata": {"name": "cloud"},
        "provider": {"type": "local"}, "credentialsRef": {"apiVersion": "v1", "kind": "Secret", "name": "account", "namespace": namespace}});
    let identity = |name: &str| {
        json!({"apiVersion": "security.gardener.cloud/v1alpha1", "kind": "WorkloadIdentity", "metadata": {"name": name}, "spec": {
            "audiences": ["example"], "targetSystem": {"type": "local"},
        }})
    };
    vec![binding, identity("robot")]
}

/// What shoots refer to by name.
fn garden() -> Vec<Value> {
    let map = |name: &str, key: &str, text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "garden-shop", "name": name}, "data": {key: text}});
    let secret = |namespace: &str, name: &str, key: &str, text: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name}, "stringData": {key: text}});
    let kubeconfig = "apiVersion: v1\nkind: Config\nclusters: []\n";
    vec![
        map("settings", "a", "b"),
        map("audit-policy", "policy", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"),
        map(
            "authentication",
            "config.yaml",
            "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\njwt: []\n",
        ),
        map(
            "authorization",
            "config.yaml",
            "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthorizationConfiguration\nauthorizers:\n- type: Webhook\n  name: mine\n  webhook: {timeout: 3s}\n",
        ),
        secret("garden-shop", "access", "token", "one"),
        secret("garden-shop", "mine", "kubeconfig", kubeconfig),
        secret("garden-shop", "webhook", "kubeconfig", kubeconfig),
        secret("garden", "mail", "auth_password", "one"),
        secret("garden", "token", "token", "one"),
    ]
}

/// The names of the shoots of all shapes are different.
#[test]
fn no_two_shapes_have_one_name() {
    let names: BTreeSet<String> = matrix::MATRIX.iter().map(|(shape, _)| name_of(shape)).collect();
    assert_eq!(names.len(), matrix::MATRIX.len());
}
