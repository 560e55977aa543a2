//! Templates to manifests: the escape, waiting, fields set once, names by content, conditions, hibernation, images.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::digest::DigestKey;
use espalier::facts::Facts;
use espalier::finding::Findings;
use espalier::landscape::{Kind, Owner, Target};
use espalier::render::{self, Components, DesiredObject, Images, Known, Outcome, RenderState, Scope};
use espalier::secrets::{Bodies, Names, SecretRef};
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn files(files: &[(&str, &str)]) -> BTreeMap<RepoPath, Arc<str>> {
    files.iter().map(|(path, text)| (RepoPath::from(*path), Arc::from(*text))).collect()
}

fn compile(list: &[(&str, &str)]) -> (Components, Findings) {
    render::compile(&files(list))
}

/// Everything that templates may know, with defaults for a shoot.
struct World {
    context: Value,
    facts: Facts,
    names: BTreeMap<String, Names>,
    bodies: Bodies,
    images: Images,
    key: Option<DigestKey>,
    offline: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            context: json!({"name": "web", "hibernated": false, "kubernetes": {"version": "1.33.2"}, "labels": {"a": "b"}, "items": []}),
            facts: Facts::default(),
            names: BTreeMap::new(),
            bodies: Bodies::default(),
            images: Images::default(),
            key: None,
            offline: false,
        }
    }
}

impl World {
    fn with(context: Value) -> Self {
        let mut world = Self::default();
        world.context.as_object_mut().expect("a map").extend(context.as_object().expect("a map").clone());
        world
    }

    fn name(mut self, config: &str, name: &str, public: bool) -> Self {
        let names = Names { current: name.into(), old: None, checksum: "c0ffee".into(), public };
        self.names.insert(config.into(), names);
        self
    }

    fn body(mut self, target: Target, namespace: &str, name: &str, data: &[(&str, &str)]) -> Self {
        let body = data.iter().map(|(k, v)| ((*k).to_owned(), Zeroizing::new(v.as_bytes().to_vec()))).collect();
        self.bodies.0.insert(SecretRef::secret(target, namespace, name), Some(body));
        self
    }

    fn all(&self, list: &[(&str, &str)]) -> Outcome {
        let (components, findings) = compile(list);
        assert!(findings.is_empty(), "{findings:?}");
        let known = Known {
            owner: &Owner::project(Kind::Shoot, "dev", "web"),
            target: &seed(),
            namespace: "shoot--dev--web",
            garden_namespace: "garden-dev",
            names: Some(&self.names),
            facts: &self.facts,
            bodies: &self.bodies,
            images: &self.images,
            digest_key: self.key.as_ref(),
            offline: self.offline,
        };
        render::components(&components, Scope::Shoot, &self.context, &known)
    }

    /// One component with this body (and more front matter).
    fn one(&self, front: &str, body: &str) -> (RenderState, Vec<DesiredObject>, Outcome) {
        let text = format!("---\ncomponent: x\nready: exists\n{front}---\n{body}");
        let outcome = self.all(&[("templates/shoot/x.yaml", &text)]);
        let rendered = outcome.components[0].clone();
        (rendered.state, rendered.objects, outcome)
    }

    fn objects(&self, body: &str) -> Vec<DesiredObject> {
        let (state, objects, outcome) = self.one("", body);
        assert_eq!(state, RenderState::Wanted, "{:?}", outcome.findings);
        objects
    }
}

fn seed() -> Target {
    Target::Seed("eu".into())
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n";

#[test]
fn a_value_can_never_add_a_key() {
    for attack in [
        "x\nevil: 1",
        "x\n  evil: \"1\"",
        "a: b",
        "a:",
        "{evil: 1}",
        "[a]",
        "*x",
        "&x y",
        "x #c",
        "\"",
        "'",
        "- a",
        "---",
        "\0",
        "a\u{2028}b: c",
    ] {
        let world = World::with(json!({ "name": attack }));
        let (state, objects, outcome) = world.one("", &format!("{CONFIG}  key: {{{{name}}}}\n"));
        assert!(matches!(state, RenderState::Failed(_)), "{attack:?} became {objects:?}");
        let place = outcome.findings.0[0].places[0].span.expect("a place");
        assert_eq!(place.line, 10, "{attack:?}: {:?}", outcome.findings);
        // The same value as data is that value and nothing else.
        for body in ["  key: {{json name}}\n", "  key: {{yaml name 4}}\n"] {
            let (state, objects, _) = world.one("", &format!("{CONFIG}{body}"));
            if attack.contains(['\0', '\u{2028}']) {
                assert!(matches!(state, RenderState::Wanted | RenderState::Failed(_)));
                continue;
            }
            assert_eq!(state, RenderState::Wanted, "{attack:?}");
            assert_eq!(objects[0].body["data"], json!({ "key": attack }));
        }
    }
}

#[test]
fn collections_are_written_as_data_wherever_they_stand() {
    let world = World::with(json!({"labels": {"on": "yes", "n": "1.30", "deep: er": "#"}}));
    for body in [
        "  labels: {{yaml labels 4}}\n",
        "  labels:\n    {{yaml labels 4}}\n",
        "  labels: {{json labels}}\n",
        "  labels:\n    {{fields labels 4}}\n",
        "  labels:\n    first: x\n    {{fields labels 4}}\n    last: x\n",
        "  labels:\n    first: x\n{{fields labels 4}}\n    last: x\n",
    ] {
        let objects = world.objects(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n{body}data: {{}}\n"));
        let labels = objects[0].body["metadata"]["labels"].as_object().expect("labels");
        assert_eq!((&labels["on"], &labels["n"], &labels["deep: er"]), (&json!("yes"), &json!("1.30"), &json!("#")), "{body}");
        let others = labels.keys().filter(|key| ["first", "last"].contains(&key.as_str())).count();
        assert_eq!(others, body.matches(": x").count(), "{body}");
    }
    for wrong in ["{{fields labels.on 2}}", "a: {{json (fields labels 2)}}"] {
        let (state, _, outcome) = world.one("", &format!("{CONFIG}  {wrong}\n"));
        assert!(matches!(state, RenderState::Failed(_)), "{wrong}: {:?}", outcome.findings);
    }
    let text = world.objects(&format!("{CONFIG}  file: |\n    first: 1\n    {{{{yaml labels 4}}}}\n    last: 2\n"));
    let file = text[0].body["data"]["file"].as_str().expect("text");
    assert!(file.starts_with("first: 1\n") && file.ends_with("last: 2\n") && !file.contains("\n\n"), "{file:?}");
}

#[test]
fn what_the_context_lacks_is_an_error_even_in_conditions() {
    for (body, what) in [
        ("  a: {{nothing}}\n", "nothing"),
        ("{{#if nothing}}\n  a: b\n{{/if}}\n", "nothing"),
        ("{{#each labels}}{{#if @root.nothing}}{{/if}}{{/each}}\n", "nothing"),
        ("  a: {{json labels.nope}}\n", "labels.nope"),
        ("  a: {{json (concat labels.nope)}}\n", "labels.nope"),
    ] {
        let (state, _, outcome) = World::default().one("", &format!("{CONFIG}{body}"));
        assert!(matches!(&state, RenderState::Failed(m) if m.contains(what)), "{body}: {state:?}");
        assert_eq!(outcome.findings.0[0].places[0].span.map(|s| s.line), Some(10), "{body}");
    }
    // An absent field of something that is there may be asked for, and may have a default.
    let objects = World::default()
        .objects(&format!("{CONFIG}  a: b{{{{#if labels.nope}}}}c{{{{/if}}}}\n  d: {{{{default labels.nope \"e\"}}}}\n"));
    assert_eq!(objects[0].body["data"], json!({"a": "b", "d": "e"}));
}

#[test]
fn a_missing_fact_makes_the_component_wait_as_a_whole() {
    let exporter =
        "---\ncomponent: infra\nready: extension\nexports: {nodes: \"Infrastructure/{{name}}#/status/nodesCIDR\"}\n---\n";
    let reader = format!(
        "---\ncomponent: x\nready: exists\nneeds: [infra]\n---\n{CONFIG}  a: {{{{cidr-host (fact \"infra.nodes\") 1}}}}\n"
    );
    let list = [("templates/shoot/infra.yaml", exporter), ("templates/shoot/x.yaml", reader.as_str())];
    let mut world = World::default();
    let waiting = world.all(&list);
    assert_eq!(waiting.components[1].state, RenderState::Waiting("fact infra.nodes".into()));
    assert!(waiting.components[1].objects.is_empty() && waiting.findings.is_empty());
    world.facts.insert("infra.nodes", json!("10.250.0.0/16"));
    let wanted = world.all(&list);
    assert_eq!(wanted.components[1].objects[0].body["data"]["a"], "10.250.0.1");

    let offline = World { offline: true, ..World::default() }.all(&list);
    assert_eq!(offline.components[1].state, RenderState::Wanted, "{:?}", offline.findings);
    assert_eq!(offline.components[1].objects[0].body["data"]["a"], "<cidr-host fact infra.nodes 1>");
}

#[test]
fn secrets_are_named_awaited_and_never_printed() {
    let body = format!("{CONFIG}  n: {{{{secret \"ca\"}}}}\n");
    assert_eq!(World::default().one("", &body).0, RenderState::Waiting("secret ca".into()));
    assert_eq!(World::default().name("ca", "ca", false).objects(&body)[0].body["data"]["n"], "ca");

    let body = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  t: {{json (secret-data \"kube-apiserver-static-token\" \"token\")}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata: {}\n";
    let unread = World::default().name("kube-apiserver-static-token", "token-1", false);
    let (state, _, outcome) = unread.one("", body);
    assert!(matches!(state, RenderState::Waiting(_)));
    let address = SecretRef::secret(seed(), "shoot--dev--web", "token-1");
    assert!(outcome.needs_bodies.contains(&address));

    let mut read = unread.body(seed(), "shoot--dev--web", "token-1", &[("token", "a: very\nsecret thing")]);
    assert_eq!(read.one("", body).0, RenderState::Waiting("the key for digests of secrets".into()));
    read.key = Some(DigestKey(Zeroizing::new(b"key".to_vec())));
    let objects = read.objects(body);
    assert!(objects[0].sensitive && !objects[1].sensitive);
    assert_eq!(objects[0].body["stringData"]["t"], "a: very\nsecret thing");
    assert!(!format!("{objects:?}").contains("very"));
    let digest = objects[0].digest.clone();
    read.key = Some(DigestKey(Zeroizing::new(b"other".to_vec())));
    assert_ne!(digest, read.objects(body)[0].digest);

    // The text of a refused secret value is not in the finding.
    let careless = body.replace(
        "json (secret-data \"kube-apiserver-static-token\" \"token\")",
        "secret-data \"kube-apiserver-static-token\" \"token\"",
    );
    let (state, _, outcome) = read.one("", &careless);
    assert!(matches!(state, RenderState::Failed(_)) && !format!("{:?}", outcome.findings).contains("very"));
}

#[test]
fn a_garden_secret_is_copied_whole() {
    let body =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: cloudprovider\ndata: {{json (garden-secret \"garden-dev\" \"aws\")}}\n";
    let world = World { key: Some(DigestKey(Zeroizing::new(vec![1]))), ..World::default() };
    let (state, _, outcome) = world.one("", body);
    assert!(matches!(state, RenderState::Waiting(_)) && outcome.needs_bodies.len() == 1);
    let world = world.body(Target::Garden, "garden-dev", "aws", &[("key", "k3y-of-the-cloud")]);
    let objects = world.objects(body);
    assert_eq!(objects[0].body["data"]["key"], STANDARD.encode("k3y-of-the-cloud"));
    assert!(objects[0].sensitive);
}

#[test]
fn one_key_of_a_garden_secret_is_copied_or_waited_for() {
    let body = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  k: {{json (garden-secret \"garden-dev\" \"hook\" \"kubeconfig\")}}\n";
    let world = |key: &str| {
        let world = World { key: Some(DigestKey(Zeroizing::new(vec![1]))), ..World::default() };
        world.body(Target::Garden, "garden-dev", "hook", &[(key, "k3y-of-the-hook")])
    };
    let objects = world("kubeconfig").objects(body);
    assert_eq!(objects[0].body["data"]["k"], STANDARD.encode("k3y-of-the-hook"));
    assert!(objects[0].sensitive);
    let (state, ..) = world("other").one("", body);
    assert_eq!(state, RenderState::Waiting("key kubeconfig of Secret garden-dev/hook in the garden, which has none".into()));
}

#[test]
fn a_file_in_a_garden_config_map_is_waited_for_and_checked() {
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  x.yaml: |\n    {{yaml (garden-config \"garden-dev\" \"audit\" \"policy\" \"audit.k8s.io/Policy\") 4}}\n";
    let at = SecretRef::config_map("garden-dev", "audit");
    let (state, _, outcome) = World::default().one("", body);
    assert!(matches!(state, RenderState::Waiting(_)) && outcome.needs_bodies == [at.clone()].into());
    let with = |data: Option<&[(&str, &str)]>| {
        let bytes = |(key, text): &(&str, &str)| ((*key).to_owned(), Zeroizing::new(text.as_bytes().to_vec()));
        let mut world = World::default();
        world.bodies.0.insert(at.clone(), data.map(|data| data.iter().map(bytes).collect()));
        world.one("", body)
    };
    let waiting = |why: &str| RenderState::Waiting(why.to_owned());
    assert_eq!(with(None).0, waiting("ConfigMap garden-dev/audit in the garden, which does not exist"));
    for other in [("other", "x"), ("policy", "")] {
        assert_eq!(with(Some(&[other])).0, waiting("key policy of ConfigMap garden-dev/audit in the garden, which has none"));
    }
    for (text, why) in [
        ("a: [", "is not YAML"),
        ("apiVersion: audit.k8s.io/v1\nkind: Rules\n", "is not of kind Policy in the group audit.k8s.io"),
        ("apiVersion: audit.k8s.io.example.org/v1\nkind: Policy\n", "is not of kind Policy in the group audit.k8s.io"),
    ] {
        let (state, _, outcome) = with(Some(&[("policy", text)]));
        assert!(
            matches!(&state, RenderState::Failed(said) if said.contains("ConfigMap garden-dev/audit") && said.contains(why)),
            "{state:?}"
        );
        assert!(outcome.findings.has_errors());
    }
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n  users: [\"on\", \"a: b\"]\n";
    let (_, objects, _) = with(Some(&[("policy", policy)]));
    let file: Value = serde_yaml::from_str(objects[0].body["data"]["x.yaml"].as_str().expect("text")).expect("YAML");
    assert_eq!(file, serde_yaml::from_str::<Value>(policy).expect("YAML"));
    assert!(!objects[0].sensitive);
}

#[test]
fn fields_set_once_leave_the_manifest() {
    let deployment =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: {{replicas 3}}\n  paused: false\n";
    let front = "once: [Deployment/d#/spec/replicas]\nhibernate: scaled\n";
    let (_, objects, _) = World::default().one(front, deployment);
    assert_eq!(objects[0].body["spec"], json!({"paused": false}));
    let once = objects[0].once.as_ref().expect("a sparse manifest");
    assert_eq!(
        **once,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shoot--dev--web"}, "spec": {"replicas": 3}})
    );
    // Asleep, zero is an order.
    let (_, objects, _) = World::with(json!({"hibernated": true})).one(front, deployment);
    assert_eq!(objects[0].body["spec"]["replicas"], 0);
    assert!(objects[0].once.is_none());
    let (_, findings) = compile(&[("templates/shoot/x.yaml", "---\ncomponent: x\nready: exists\nonce: [/spec/a/0/b]\n---\n")]);
    assert!(findings.has_errors());
}

#[test]
fn fields_set_once_may_be_of_a_thing_in_a_list_that_has_a_name() {
    let body = "apiVersion: v1\nkind: T\nmetadata:\n  name: t\nhooks:\n- {name: a, policy: Ignore, wait: 1}\n- {name: b, policy: Fail, more: {wait: 2}}\n";
    let front = "once: [T/t#/hooks/a/policy, T/t#/hooks/b/more/wait, T/t#/hooks/b/policy, T/t#/hooks/c/policy]\n";
    let (_, objects, _) = World::default().one(front, body);
    assert_eq!(objects[0].body["hooks"], json!([{"name": "a", "wait": 1}, {"name": "b"}]));
    let once = objects[0].once.as_ref().expect("a sparse manifest");
    assert_eq!(once["hooks"], json!([{"name": "a", "policy": "Ignore"}, {"name": "b", "more": {"wait": 2}, "policy": "Fail"}]));
}

#[test]
fn names_by_content_are_rewritten_where_pods_refer_to_them() {
    let body = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: conf, annotations: {render.espalier.dev/unique: "true"}}
data: {a: {{json name}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    spec:
      containers:
      - {name: c, envFrom: [{configMapRef: {name: conf}}], env: [{name: X, valueFrom: {secretKeyRef: {name: other, key: k}}}]}
      volumes:
      - {name: v, configMap: {name: conf}}
      - {name: p, projected: {sources: [{configMap: {name: conf}}]}}
"#;
    let objects = World::default().objects(body);
    let name = objects[0].key.name.clone();
    assert!(name.starts_with("conf-") && name.len() == "conf-".len() + 8);
    assert_eq!(objects[0].body["immutable"], true);
    assert_eq!(objects[0].body["metadata"]["labels"]["resources.gardener.cloud/garbage-collectable-reference"], "true");
    let deployment = &objects[1].body;
    let pod = &deployment["spec"]["template"];
    assert_eq!(pod["spec"]["volumes"][0]["configMap"]["name"], json!(name));
    assert_eq!(pod["spec"]["volumes"][1]["projected"]["sources"][0]["configMap"]["name"], json!(name));
    assert_eq!(pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"], json!(name));
    let key = format!("reference.resources.gardener.cloud/configmap-{}", espalier::digest::of_bytes(name.as_bytes()).short());
    assert_eq!(deployment["metadata"]["annotations"][&key], json!(name));
    assert_eq!(pod["metadata"]["annotations"][&key], json!(name));
    assert!(pod["metadata"]["annotations"].as_object().expect("a map").values().any(|v| v == "other"));
    let changed = World::with(json!({"name": "other"})).objects(body);
    assert_ne!(changed[0].key.name, name);
}

#[test]
fn managed_resources_are_packed_by_content() {
    let body = r#"apiVersion: render.espalier.dev/v1
kind: ManagedResource
metadata: {name: shoot-core, labels: {origin: gardener}}
spec:
  class: ""
  injectLabels: {shoot.gardener.cloud/no-cleanup: "true"}
  objects:
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: b, namespace: kube-system}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: kube-system}, data: {x: {{json name}}}}
"#;
    let objects = World::default().objects(body);
    let (secret, resource) = (&objects[0], &objects[1]);
    assert!(secret.key.name.starts_with("managedresource-shoot-core-"));
    assert_eq!((secret.key.namespace.as_str(), resource.key.namespace.as_str()), ("shoot--dev--web", "shoot--dev--web"));
    assert_eq!(resource.key.group, "resources.gardener.cloud");
    assert_eq!(resource.body["spec"]["secretRefs"], json!([{"name": secret.key.name}]));
    assert_eq!(resource.body["spec"]["class"], "");
    assert_eq!(resource.body["metadata"]["labels"]["origin"], "gardener");
    let data = STANDARD.decode(secret.body["data"]["data.yaml"].as_str().expect("text")).expect("base64");
    let data = String::from_utf8(data).expect("text");
    assert!(data.find("ConfigMap").expect("both") < data.find("ServiceAccount").expect("both"));
    assert!(secret.once.is_none() && !secret.sensitive);
    let changed = World::with(json!({"name": "other"})).objects(body);
    assert_ne!(changed[0].key.name, secret.key.name);
    let wrong = body.replace("class:", "clazz:");
    assert!(matches!(World::default().one("", &wrong).0, RenderState::Failed(m) if m.contains("clazz")));
}

#[test]
fn everything_is_stamped_and_namespaced() {
    let body = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: own}\n";
    let objects = World::default().objects(body);
    let namespaces: Vec<&str> = objects.iter().map(|o| o.key.namespace.as_str()).collect();
    assert_eq!(namespaces, ["shoot--dev--web", "", "own"]);
    let metadata = &objects[0].body["metadata"];
    assert_eq!(metadata["labels"]["espalier.dev/owner"], "shoot.dev.web");
    assert_eq!(metadata["labels"]["espalier.dev/component"], "x");
    assert_eq!(metadata["annotations"]["espalier.dev/tracking"], "shoot.dev.web;/Service/shoot--dev--web/s");
    assert_eq!(metadata["annotations"]["espalier.dev/digest"], json!(objects[0].digest.as_str()));

    let (_, objects, outcome) = World::default().one("target: garden\n", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n");
    assert_eq!(objects[0].key.namespace, "garden-dev");
    assert!(outcome.components[0].component.in_garden);

    for (wrong, why) in [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {gardener.cloud/operation: reconcile}}\n", "trigger"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: {v: 1.30}}\n", "labels[v]"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nstatus: {}\n", "status"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
            "twice",
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, name: d}\n", "name"),
    ] {
        let (state, ..) = World::default().one("", wrong);
        assert!(matches!(&state, RenderState::Failed(m) if m.contains(why)), "{wrong}: {state:?}");
    }
}

#[test]
fn conditions_and_hibernation_leave_components_out() {
    let skipped = World::default().one("when: labels.a == 'c'\n", CONFIG).0;
    assert!(matches!(skipped, RenderState::Skipped(_)));
    assert_eq!(World::default().one("when: labels.a == 'b'\n", CONFIG).0, RenderState::Wanted);
    assert!(matches!(World::default().one("when: labels.q == 'b'\n", CONFIG).0, RenderState::Failed(_)));
    assert_eq!(
        World::with(json!({"hibernated": true})).one("hibernate: removed\n", CONFIG).0,
        RenderState::Skipped("hibernated".into())
    );
}

#[test]
fn images_follow_the_version_and_the_landscape() {
    let table = "kube-proxy:\n- repository: registry.k8s.io/kube-proxy\ncoredns:\n- repository: r/coredns\n  tag: 1.11.0\n- repository: r/coredns\n  tag: 1.12.0\n  versions: '>= 1.33'\npinned:\n- repository: r/p\n  tag: sha256:abc\n";
    let (images, findings) = Images::compile(&files(&[("templates/images.yaml", table)]));
    assert!(findings.is_empty(), "{findings:?}");
    let pick = |name: &str, version: &str| images.pick(name, version);
    assert_eq!(pick("kube-proxy", "1.33.2").as_deref(), Ok("registry.k8s.io/kube-proxy:v1.33.2"));
    assert_eq!(pick("coredns", "1.32.0").as_deref(), Ok("r/coredns:1.11.0"));
    assert_eq!(pick("coredns", "1.33.0").as_deref(), Ok("r/coredns:1.12.0"));
    assert_eq!(pick("pinned", "1.33.0").as_deref(), Ok("r/p@sha256:abc"));
    assert!(pick("nothing", "1.33.0").is_err());
    let own = images.overridden(&json!({"coredns": "mirror:5000/coredns:9", "pinned": "mirror:5000/p"})).expect("a table");
    assert_eq!(own.pick("coredns", "1.33.0").as_deref(), Ok("mirror:5000/coredns:9"));
    assert_eq!(own.pick("pinned", "1.33.0").as_deref(), Ok("mirror:5000/p:v1.33.0"));
    assert!(images.overridden(&json!({"corednss": "x"})).is_err());
    assert_eq!(own.pick("kube-proxy", "1.33.2").as_deref(), Ok("registry.k8s.io/kube-proxy:v1.33.2"));

    let world = World { images: own, ..World::default() };
    let objects =
        world.objects(&format!("{CONFIG}  i: {{{{image \"kube-proxy\"}}}}\n  j: {{{{image \"kube-proxy\" \"1.32.1\"}}}}\n"));
    assert_eq!(
        objects[0].body["data"],
        json!({"i": "registry.k8s.io/kube-proxy:v1.33.2", "j": "registry.k8s.io/kube-proxy:v1.32.1"})
    );
    let (_, findings) =
        Images::compile(&files(&[("templates/images.yaml", "a:\n- repository: r\nb:\n- repository: r\n  versions: nonsense\n")]));
    assert_eq!(findings.0[0].places[0].span.map(|s| s.line), Some(3));
}

#[test]
fn mistakes_in_templates_are_findings_at_their_place() {
    let front = |rest: &str| format!("---\ncomponent: x\nready: exists\n{rest}---\n");
    let check = |text: String, line: u32, says: &str| {
        let (_, findings) = compile(&[("templates/shoot/x.yaml", &text)]);
        let finding = findings.0.first().unwrap_or_else(|| panic!("no finding for {text}"));
        assert!(finding.message.contains(says), "{}: {}", text, finding.message);
        assert_eq!(finding.places[0].span.map_or(0, |s| s.line), line, "{text}: {}", finding.message);
    };
    check("---\ncomponent: y\nready: exists\n---\n".into(), 2, "`y`");
    check("a: b\n".into(), 1, "front matter");
    check(front("reddy: x\n"), 4, "reddy");
    check("---\ncomponent: x\nready: soon\n---\n".into(), 3, "soon");
    check(front("when: has(\n"), 4, "compile");
    check(front("exports:\n  a: Kind\n"), 4, "Kind");
    check(front("target: moon\n"), 4, "moon");
    check(front("writes: [Kind]\n"), 4, "Kind");
    check(front("") + "a: {{secret \"no-such\"}}\n", 0, "no-such");
    check(front("") + "a: {{#if x}}\n", 6, "syntax");
    check(front("") + "a: 1\nb: {{{x}}}\n", 6, "triple");
    check(front("") + "a: 1\nb: {{nope x}}\n", 6, "nope");
    check(front("") + "b: {{fact name}}\n", 5, "quotes");
    check(front("") + "b: {{> partial}}\n", 5, "partials");
    check(front("") + "b: {{fact \"y.z\"}}\n", 0, "y.z");
    check(front("needs: [y]\n"), 0, "needs `y`");
    check(front("follows: y\n"), 0, "follows `y`, which is not a usable component");
    check(front("follows: x\n"), 0, "follows `x`, which follows another itself");
    check(front("each: items\nfollows: y\n"), 5, "is one, and exports nothing");
    let a = "---\ncomponent: a\nready: exists\nneeds: [b]\n---\n";
    let b = "---\ncomponent: b\nready: exists\nneeds: [a]\n---\n";
    let c = "---\ncomponent: c\nready: exists\n---\n";
    let list = [("templates/shoot/a.yaml", a), ("templates/shoot/b.yaml", b), ("templates/shoot/c.yaml", c)];
    let (components, findings) = compile(&list);
    assert!(findings.iter().all(|f| f.message.contains("cycle")) && findings.0.len() == 2, "{findings:?}");
    assert_eq!(components.scope(Scope::Shoot).len(), 1);
}

#[test]
fn what_clears_up_after_another_is_wanted_once_that_is_not_and_something_is_left() {
    let cache = format!("---\ncomponent: cache\nready: exists\nwhen: \"on\"\n---\n{CONFIG}  a: b\n");
    let cleaner = format!("---\ncomponent: a-cleaner\nready: exists\nfollows: cache\n---\n{CONFIG}  c: d\n");
    let list = [("templates/shoot/cache.yaml", cache.as_str()), ("templates/shoot/a-cleaner.yaml", cleaner.as_str())];
    let states = |context: Value| -> Vec<RenderState> {
        World::with(context).all(&list).components.into_iter().map(|rendered| rendered.state).collect()
    };
    let skipped = |why: &str| RenderState::Skipped(why.into());
    let (nothing, off) = (skipped("there is nothing to clear up"), skipped("its condition is not met"));
    assert_eq!(states(json!({"on": true, "following": ["a-cleaner"]})), [nothing.clone(), RenderState::Wanted]);
    assert_eq!(states(json!({"on": false, "following": ["a-cleaner"]})), [RenderState::Wanted, off.clone()]);
    assert_eq!(states(json!({"on": false, "following": []})), [nothing, off]);
    // Where it cannot be said whether that one is wanted, this one is not said to be unwanted: what it has stays.
    let broken = states(json!({"on": 1, "following": ["a-cleaner"]}));
    assert!(broken.iter().all(|state| matches!(state, RenderState::Failed(_))), "{broken:?}");
}

#[test]
fn a_template_says_what_it_writes() {
    let hidden = "apiVersion: {{json \"v1\"}}\nkind: ConfigMap\nmetadata: {name: c}\n";
    assert!(matches!(World::default().one("", hidden).0, RenderState::Failed(m) if m.contains("writes: [v1/ConfigMap]")));
    assert_eq!(World::default().one("writes: [v1/ConfigMap]\n", hidden).0, RenderState::Wanted);
    let text = "---\ncomponent: x\nready: exists\n---\nkind: ManagedResource\napiVersion: render.espalier.dev/v1\nmetadata: {name: x}\nspec:\n  objects:\n  - apiVersion: v1\n    kind: Pod\n";
    let (components, _) = compile(&[("templates/shoot/x.yaml", text)]);
    let kinds: Vec<String> = components.kinds(false).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["ManagedResource", "Secret"]);
    assert!(components.kinds(true).is_empty());
}

#[test]
fn what_a_template_reads_is_in_its_definition() {
    let text = "---\ncomponent: x\nready: exists\nexports: {a: Service/s#/status/loadBalancer}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  a: {{#if (has-fact \"x.a\")}}{{json (secret-data \"ca\" \"k\")}}{{else}}{{secret \"etcd-client\"}}{{/if}}\n";
    let (components, findings) = compile(&[("templates/shoot/x.yaml", text)]);
    assert!(findings.is_empty(), "{findings:?}");
    let component = &components.scope(Scope::Shoot)[0].component;
    assert_eq!(component.reads.iter().collect::<Vec<_>>(), ["x.a"]);
    assert_eq!(component.secrets.iter().collect::<Vec<_>>(), ["ca", "etcd-client"]);
    let pointers = components.exported_pointers();
    assert!(pointers[&(String::new(), "Service".to_owned())].contains("/status/loadBalancer"));
}
