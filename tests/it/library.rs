//! The library that the program brings along, and what a repository lays over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use espalier::digest::DigestKey;
use espalier::facts::{Exported, Facts};
use espalier::finding::Severity;
use espalier::landscape::{Kind, Owner, Target};
use espalier::library::{self, Library};
use espalier::observed::{OWNER_LABEL, Object, ObjectKey, Observed, TRACKING_ANNOTATION};
use espalier::render::context::Identity;
use espalier::render::{self, Inputs, Ready, RenderState, Rendering, Scope};
use espalier::secrets::{Bodies, Ensured, Names};
use espalier::snapshot::{RepoPath, Revision};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn built_in() -> Library {
    let (library, findings) = Library::compile(&BTreeMap::new());
    let errors: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    library
}

fn objects(manifests: &[(Owner, Value)]) -> BTreeMap<Owner, Arc<Value>> {
    manifests.iter().map(|(owner, value)| (owner.clone(), Arc::new(value.clone()))).collect()
}

pub(crate) fn shoot() -> Owner {
    Owner::project(Kind::Shoot, "dev", "web")
}

/// A small landscape with one shoot.
pub(crate) fn landscape() -> BTreeMap<Owner, Arc<Value>> {
    objects(&[
        (
            Owner::cluster(Kind::Landscape, "local"),
            json!({"metadata": {"name": "local"}, "spec": {"domains": {"internal": "internal.example.org", "default": "example.org"}}}),
        ),
        (
            Owner::cluster(Kind::CloudProfile, "aws"),
            json!({"metadata": {"name": "aws"}, "spec": {
                "type": "aws",
                "kubernetes": {"versions": [{"version": "1.33.2"}]},
                "machineImages": [{"name": "gardenlinux", "versions": [{"version": "1877.4.0", "cri": [{"name": "containerd"}]}]}],
                "machineTypes": [{"name": "m5.large", "cpu": "2", "gpu": "0", "memory": "8Gi"}],
                "regions": [{"name": "eu-west-1", "zones": [{"name": "eu-west-1a"}]}],
            }}),
        ),
        (
            Owner::cluster(Kind::Seed, "eu"),
            json!({"metadata": {"name": "eu"}, "spec": {
                "provider": {"type": "aws", "region": "eu-west-1", "zones": ["eu-west-1a"]},
                "networks": {"nodes": "10.240.0.0/16", "pods": "10.241.0.0/16", "services": "10.242.0.0/16"},
                "ingress": {"domain": "ingress.eu.example.org", "controller": {"kind": "nginx"}},
                "dns": {"provider": {"type": "aws-route53", "secretRef": {"name": "dns", "namespace": "garden"}}},
                "backup": {"provider": "aws", "region": "eu-west-1", "secretRef": {"name": "backup", "namespace": "garden"}},
            }}),
        ),
        (Owner::cluster(Kind::Project, "dev"), json!({"metadata": {"name": "dev"}, "spec": {"namespace": "garden-dev"}})),
        (
            Owner::project(Kind::SecretBinding, "dev", "aws"),
            json!({"metadata": {"name": "aws", "namespace": "garden-dev"}, "provider": {"type": "aws"}, "secretRef": {"name": "aws-account", "namespace": "garden-dev"}}),
        ),
        (
            shoot(),
            json!({"metadata": {"name": "web", "namespace": "garden-dev"}, "spec": {
                "cloudProfile": {"kind": "CloudProfile", "name": "aws"},
                "region": "eu-west-1",
                "secretBindingName": "aws",
                "purpose": "evaluation",
                "kubernetes": {"version": "1.33.2"},
                "dns": {"domain": "web.dev.example.org"},
                "networking": {"type": "calico", "pods": "100.96.0.0/11", "services": "100.64.0.0/13", "nodes": "10.250.0.0/16"},
                "maintenance": {"timeWindow": {"begin": "220000+0100", "end": "230000+0100"}},
                "provider": {"type": "aws", "infrastructureConfig": {"kind": "InfrastructureConfig"}, "workers": [{
                    "name": "pool", "minimum": 1, "maximum": 3, "maxSurge": 1, "maxUnavailable": 0, "zones": ["eu-west-1a"],
                    "cri": {"name": "containerd"},
                    "machine": {"type": "m5.large", "architecture": "amd64", "image": {"name": "gardenlinux", "version": "1877.4.0"}},
                    "volume": {"size": "50Gi", "type": "gp3"},
                }]},
            }}),
        ),
    ])
}

pub(crate) fn identity() -> Identity {
    Identity {
        uid: Some("11111111-2222-3333-4444-555555555555".into()),
        technical_id: Some("shoot--dev--web".into()),
        seed: Some("eu".into()),
        ..Identity::default()
    }
}

fn offline(library: &Library, objects: &BTreeMap<Owner, Arc<Value>>, owner: &Owner) -> Rendering {
    let prepared = render::prepare(objects, owner, &identity(), library).expect("everything is known").expect("it has templates");
    let (facts, bodies) = (Facts::default(), Bodies::default());
    render::render(&Inputs {
        prepared: &prepared,
        library,
        ensured: None,
        facts: &facts,
        bodies: &bodies,
        digest_key: None,
        offline: true,
    })
}

#[test]
fn what_the_program_brings_along_is_sound() {
    let library = built_in();
    assert!(library.components().iter().count() > 20);
    for kind in ["Deployment", "Infrastructure"] {
        assert!(library.kinds(false).iter().any(|(_, k)| k == kind), "{kind}");
    }
    assert!(library.kinds(true).iter().any(|(_, k)| k == "CustomResourceDefinition"));
    assert!(!library.keep().pointers.is_empty());
}

#[test]
fn every_component_renders_offline() {
    let library = built_in();
    let mut landscape = landscape();
    let asleep = {
        let mut shoot = landscape[&shoot()].as_ref().clone();
        shoot["spec"]["hibernation"] = json!({"enabled": true});
        shoot
    };
    let workerless = {
        let mut shoot = landscape[&shoot()].as_ref().clone();
        shoot["spec"]["provider"] = json!({"type": "aws"});
        shoot["spec"].as_object_mut().expect("a map").remove("secretBindingName");
        shoot
    };
    let mut check = |name: &str, owner: &Owner, manifest: Option<Value>| {
        if let Some(manifest) = manifest {
            landscape.insert(owner.clone(), Arc::new(manifest));
        }
        let rendering = offline(&library, &landscape, owner);
        assert!(rendering.findings.is_empty(), "{name}: {:#?}", rendering.findings);
        assert!(rendering.needs_bodies.is_empty());
        for rendered in rendering.releases.iter().flat_map(|r| &r.components) {
            assert!(
                matches!(rendered.state, RenderState::Wanted | RenderState::Skipped(_)),
                "{name} {}: {:?}",
                rendered.component.id,
                rendered.state
            );
        }
        let again = offline(&library, &landscape, owner);
        let digests = |r: &Rendering| {
            r.releases
                .iter()
                .flat_map(|r| &r.components)
                .flat_map(|c| &c.objects)
                .map(|o| (o.key.clone(), o.digest.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(digests(&rendering), digests(&again), "{name}");
        digests(&rendering).len()
    };
    let all = check("shoot", &shoot(), None);
    let slept = check("hibernated", &shoot(), Some(asleep));
    let bare = check("workerless", &shoot(), Some(workerless));
    assert!(all > 50 && slept <= all && bare < all, "{all} {slept} {bare}");
    assert!(check("garden", &Owner::cluster(Kind::Landscape, "local"), None) > 20);
    assert!(check("project", &Owner::cluster(Kind::Project, "dev"), None) > 0);
    assert!(check("seed", &Owner::cluster(Kind::Seed, "eu"), None) > 10);
}

#[test]
fn a_shoot_waits_for_what_is_not_there_yet() {
    let library = built_in();
    let landscape = landscape();
    let prepared = render::prepare(&landscape, &shoot(), &identity(), &library).expect("known").expect("templates");
    assert!(prepared.wants.iter().any(|w| w.config == "ca"));
    assert!(prepared.exports.iter().any(|e| e.fact.starts_with("infrastructure.")));
    let (facts, bodies) = (Facts::default(), Bodies::default());
    let inputs = Inputs {
        prepared: &prepared,
        library: &library,
        ensured: None,
        facts: &facts,
        bodies: &bodies,
        digest_key: None,
        offline: false,
    };
    let rendering = render::render(&inputs);
    let state = |name: &str| {
        rendering.releases.iter().flat_map(|r| &r.components).find(|c| c.component.id.name == name).map(|c| c.state.clone())
    };
    assert_eq!(state("namespace"), Some(RenderState::Wanted));
    assert!(matches!(state("kube-apiserver"), Some(RenderState::Waiting(_))));
    assert_eq!(rendering.releases[0].target, Target::Seed("eu".into()));
    let with_fact = {
        let mut facts = Facts::default();
        for export in &prepared.exports {
            facts.insert(export.fact.clone(), json!("10.0.0.0/16"));
        }
        render::input(&Inputs { facts: &facts, ..inputs })
    };
    assert_ne!(with_fact, render::input(&inputs));
    let unknown = render::prepare(&landscape, &shoot(), &Identity::default(), &library);
    assert!(unknown.is_err());
}

/// The shoot with everything that it waits for made up.
fn online(library: &Library, landscape: &BTreeMap<Owner, Arc<Value>>) -> Rendering {
    let prepared = render::prepare(landscape, &shoot(), &identity(), library).expect("known").expect("templates");
    let mut facts = Facts::default();
    for compiled in library.components().iter() {
        for fact in &compiled.component.reads {
            let value = match fact.as_str() {
                "worker.machineDeployments" => json!([{"name": "shoot--dev--web-a-z1", "minimum": 1, "maximum": 2}]),
                "seed:istio-ingress.ip" => json!({"istio-ingress": "192.0.2.7"}),
                "seed:static-manifests.names" => json!(["extra"]),
                "seed:wildcard-certificate.name" => json!("trusted"),
                _ => json!("10.0.0.0/16"),
            };
            facts.insert(fact.clone(), value);
        }
    }
    let names = prepared.wants.iter().map(|w| {
        let public = matches!(&w.recipe, espalier::secrets::Recipe::Bundle { of } if of.starts_with("ca"));
        let names = Names { current: format!("{}-0", w.config), old: None, checksum: "c0ffee".into(), public };
        (w.config.clone(), names)
    });
    let ensured = Ensured { names: names.collect(), ..Ensured::default() };
    let key = DigestKey(Zeroizing::new(b"key".to_vec()));
    let mut bodies = Bodies::default();
    loop {
        let inputs = Inputs {
            prepared: &prepared,
            library,
            ensured: Some(&ensured),
            facts: &facts,
            bodies: &bodies,
            digest_key: Some(&key),
            offline: false,
        };
        let rendering = render::render(&inputs);
        if rendering.needs_bodies.is_empty() {
            return rendering;
        }
        for address in rendering.needs_bodies {
            let data = [
                "bundle.crt",
                "id_rsa.pub",
                "tls.crt",
                "tls.key",
                "vpn.tlsauth",
                "ca.crt",
                "kubeconfig",
                "static_tokens.csv",
                "ca.key",
                "secret",
                "id_rsa",
                "username",
                "password",
                "auth",
            ];
            let body = data.map(|key| {
                (key.to_owned(), Zeroizing::new(format!("{}-{key}-t0psecret,health,check\n", address.name).into_bytes()))
            });
            bodies.0.insert(address, Some(body.into_iter().collect()));
        }
    }
}

#[test]
fn every_component_renders_once_everything_is_there_and_secrets_are_marked() {
    let library = built_in();
    let rendering = online(&library, &landscape());
    assert!(rendering.findings.is_empty(), "{:#?}", rendering.findings);
    for rendered in rendering.releases.iter().flat_map(|r| &r.components) {
        assert!(
            matches!(rendered.state, RenderState::Wanted | RenderState::Skipped(_)),
            "{}: {:?}",
            rendered.component.id,
            rendered.state
        );
        for object in &rendered.objects {
            // Names of bundles are in their bodies here, so anything else that shows the marker came out of a secret.
            let text = object.body.to_string();
            let public = ["-bundle-0-bundle.crt-t0psecret", "-0-id_rsa.pub-t0psecret"];
            let shown = text.matches("t0psecret").count() > public.iter().map(|p| text.matches(p).count()).sum::<usize>();
            assert!(!shown || object.sensitive, "{} shows a secret", object.key);
        }
    }
    let sensitive: Vec<String> = rendering
        .releases
        .iter()
        .flat_map(|r| &r.components)
        .flat_map(|c| &c.objects)
        .filter(|o| o.sensitive)
        .map(|o| o.key.to_string())
        .collect();
    assert!(sensitive.iter().any(|key| key.ends_with("/cloudprovider")), "{sensitive:?}");
    // The health check's token stands in the API server's probes.
    assert!(sensitive.iter().any(|key| key.ends_with("/kube-apiserver")), "{sensitive:?}");
    assert!(!sensitive.iter().any(|key| key.contains("kube-scheduler")), "{sensitive:?}");
}

#[test]
fn a_repository_lays_its_files_over_the_built_in_ones() {
    let before = built_in();
    let text = "---\ncomponent: extra\nready: exists\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n";
    let overlay = BTreeMap::from([(RepoPath::from("templates/shoot/extra.yaml"), Arc::from(text))]);
    let (after, findings) = Library::compile(&overlay);
    assert!(!findings.has_errors());
    assert_ne!(before.digest(), after.digest());
    let rendering = offline(&after, &landscape(), &shoot());
    assert!(
        rendering.releases.iter().flat_map(|r| &r.components).any(|c| c.component.id.name == "extra" && c.objects.len() == 1)
    );
    let broken = BTreeMap::from([(RepoPath::from("templates/shoot/extra.yaml"), Arc::from("nonsense"))]);
    let (_, findings) = Library::compile(&broken);
    assert_eq!(findings.0.iter().filter(|f| f.severity == Severity::Error).count(), 1);
    assert_eq!(findings.0[0].places[0].path.as_str(), "templates/shoot/extra.yaml");
}

#[test]
fn images_of_a_landscape_replace_those_of_the_table() {
    let library = built_in();
    let mut landscape = landscape();
    let root = Owner::cluster(Kind::Landscape, "local");
    let mut settings = landscape[&root].as_ref().clone();
    settings["spec"]["images"] = json!({"kube-scheduler": "mirror.example.org/kube-scheduler"});
    landscape.insert(root, Arc::new(settings));
    let rendering = offline(&library, &landscape, &shoot());
    let scheduler =
        rendering.releases.iter().flat_map(|r| &r.components).find(|c| c.component.id.name == "kube-scheduler").expect("there");
    let deployment = scheduler.objects.iter().find(|o| o.key.kind == "Deployment").expect("a Deployment");
    assert_eq!(
        deployment.body["spec"]["template"]["spec"]["containers"][0]["image"],
        "mirror.example.org/kube-scheduler:v1.33.2"
    );
}

#[test]
fn the_landscape_object_carries_what_was_accepted() {
    let landscape = landscape();
    let object = render::object(&shoot(), &landscape[&shoot()], &Revision("c2".into()), None);
    assert_eq!((object.key.namespace.as_str(), object.key.name.as_str()), ("garden-dev", "web"));
    let metadata = &object.body["metadata"];
    let accepted: Value =
        serde_json::from_str(metadata["annotations"]["espalier.dev/accepted"].as_str().expect("text")).expect("JSON");
    assert_eq!(accepted, *landscape[&shoot()]);
    assert_eq!(metadata["annotations"]["espalier.dev/accepted-revision"], "c2");
    assert_eq!(metadata["annotations"]["espalier.dev/tracking"], "shoot.dev.web;core.gardener.cloud/Shoot/garden-dev/web");
    assert_eq!(metadata["finalizers"], json!(["espalier.dev/protect"]));
    assert!(object.body["spec"].get("seedName").is_none());
    let profile = Owner::cluster(Kind::CloudProfile, "aws");
    assert!(
        render::object(&profile, &landscape[&profile], &Revision("c2".into()), None).body["metadata"].get("finalizers").is_none()
    );
}

#[test]
fn the_example_landscape_is_embedded() {
    assert!(library::example("no-such").is_empty());
}

#[test]
fn facts_come_from_ready_objects_of_our_own_only() {
    let owner = shoot();
    let export = Exported {
        fact: "infrastructure.nodes".into(),
        owner: owner.label(),
        target: Target::Garden,
        kind: "Service".into(),
        name: "s".into(),
        each: false,
        pointer: "/status/nodes".into(),
        ready: Ready::Exists,
    };
    let key = ObjectKey::new("", "Service", "ns", "s");
    let object = Object {
        key: key.clone(),
        api_version: "v1".into(),
        uid: "u".into(),
        resource_version: "1".into(),
        generation: 0,
        deleting: false,
        finalizers: Vec::new(),
        labels: BTreeMap::from([(OWNER_LABEL.to_owned(), owner.label())]),
        annotations: BTreeMap::from([(TRACKING_ANNOTATION.to_owned(), format!("{};{}", owner.label(), key.path()))]),
        controlled: false,
        fields: None,
        kept: Arc::new(json!({"status": {"nodes": "10.0.0.0/8"}})),
    };
    let collect = |object: Object| {
        let mut observed = Observed::default();
        observed.targets.entry(Target::Garden).or_default().insert(Arc::new(object));
        Facts::collect(&observed, std::slice::from_ref(&export)).get("infrastructure.nodes").cloned()
    };
    assert_eq!(collect(object.clone()), Some(json!("10.0.0.0/8")));
    // One in each of several namespaces: the fact says which is where.
    let mut observed = Observed::default();
    for namespace in ["ns", "other"] {
        let key = ObjectKey::new("", "Service", namespace, "s");
        let annotations = BTreeMap::from([(TRACKING_ANNOTATION.to_owned(), format!("{};{}", owner.label(), key.path()))]);
        let kept = Arc::new(json!({"status": {"nodes": namespace}}));
        observed.targets.entry(Target::Garden).or_default().insert(Arc::new(Object { key, annotations, kept, ..object.clone() }));
    }
    let each = Facts::collect(&observed, &[Exported { each: true, ..export.clone() }]);
    assert_eq!(each.get("infrastructure.nodes"), Some(&json!({"ns": "ns", "other": "other"})));
    assert_eq!(collect(Object { deleting: true, ..object.clone() }), None);
    assert_eq!(collect(Object { annotations: BTreeMap::new(), ..object.clone() }), None);
    assert_eq!(collect(Object { kept: Arc::new(json!({"status": {"nodes": null}})), ..object }), None);

    let mut seed = Facts::default();
    seed.insert("ingress.address", json!("1.2.3.4"));
    let facts = Facts::default().with(Scope::Seed, &seed);
    assert_eq!(facts.get("seed:ingress.address"), Some(&json!("1.2.3.4")));
    assert_eq!(facts.get("ingress.address"), None);
}
