//! Extensions: installed on the seeds that need them, from charts that `helm` renders, and removed with their last user. What cannot
//! be rendered harms nobody who does not need it, and nothing that stands.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::helm::Helm;
use espalier::landscape::{Kind, Owner, Target};
use espalier::snapshot::{Changes, RepoPath};
use espalier::status::Standing;
use serde_json::{Value, json};

use super::fleet::{Fleet, STATUS, example, explain};

/// What a program that stands in for `helm` does, where there is none: templates know `.Release.Name`, `.Release.Namespace` and
/// `.Capabilities.KubeVersion.Version`.
const STAND_IN: &str = r#"#!/bin/sh
[ "$1" = template ] || { echo "Error: no registry is reached from here" >&2; exit 1; }
release=$2; chart=$3; shift 3
while [ $# -gt 0 ]; do
  case $1 in --namespace) namespace=$2; shift;; --kube-version) version=v$2; shift;; --values) [ -r "$2" ] || exit 1; shift;; esac
  shift
done
mkdir unpacked && tar xzf "$chart" -C unpacked 2>/dev/null || { echo "Error: file does not appear to be a gzipped archive" >&2; exit 1; }
for template in unpacked/*/templates/*.yaml; do
  echo "---"
  sed -e "s/{{ .Release.Name }}/$release/g" -e "s/{{ .Release.Namespace }}/$namespace/g" \
    -e "s/{{ .Capabilities.KubeVersion.Version }}/$version/g" "$template"
done
"#;

/// `helm` on the path; else something that behaves like it for our chart.
pub(crate) fn helm(dir: &Path) -> Helm {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|dir| dir.join("helm")).find(|file| file.is_file()) {
        return Helm::new(found);
    }
    Helm::new(stand_in(dir))
}

fn stand_in(dir: &Path) -> PathBuf {
    let file = dir.join("helm");
    fs::write(&file, STAND_IN).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it may be run");
    file
}

/// A packed chart in base64, with one Deployment of so many replicas.
pub(crate) fn chart(dir: &Path, replicas: u32) -> String {
    let files = dir.join(format!("chart-{replicas}"));
    fs::create_dir_all(files.join("tiny/templates")).expect("a folder");
    fs::write(files.join("tiny/Chart.yaml"), "apiVersion: v2\nname: tiny\nversion: 0.1.0\n").expect("a file");
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: \"{{{{ .Release.Name }}}}\"\n  namespace: \"{{{{ .Release.Namespace }}}}\"\n  \
         annotations: {{made-for: \"{{{{ .Capabilities.KubeVersion.Version }}}}\"}}\n\
         spec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: tiny}}}}\n  template:\n    metadata: {{labels: {{app: tiny}}}}\n    \
         spec:\n      containers:\n      - name: tiny\n        image: registry.example.org/tiny:1\n"
    );
    fs::write(files.join("tiny/templates/deployment.yaml"), deployment).expect("a file");
    let packed = Command::new("tar").args(["czf", "-", "-C"]).arg(&files).arg("tiny").output().expect("tar runs");
    assert!(packed.status.success());
    STANDARD.encode(packed.stdout)
}

pub(crate) const FILE: &str = "extensions/networking.yaml";
pub(crate) const REGISTRATION: &str = "networking-calico";

/// The network plugins: ours is of a chart, all others are somebody else's.
pub(crate) fn networking(chart: &str) -> Vec<u8> {
    format!(
        "apiVersion: core.gardener.cloud/v1\nkind: ControllerDeployment\nmetadata: {{name: {REGISTRATION}}}\nhelm:\n  rawChart: {chart}\n  \
         values: {{password: canary-c0ffee-must-never-be-seen}}\n---\n\
         apiVersion: core.gardener.cloud/v1beta1\nkind: ControllerRegistration\nmetadata: {{name: {REGISTRATION}}}\nspec:\n  \
         deployment: {{deploymentRefs: [{{name: {REGISTRATION}}}]}}\n  resources: [{{kind: Network, type: calico}}]\n---\n\
         apiVersion: core.gardener.cloud/v1beta1\nkind: ControllerRegistration\nmetadata: {{name: networking-cilium}}\nspec:\n  \
         resources: [{{kind: Network, type: cilium}}]\n"
    )
    .into_bytes()
}

/// The example with the shoots `mini`, which needs calico, and `api`, which has no network.
pub(crate) fn files(chart: &str) -> BTreeMap<RepoPath, Vec<u8>> {
    let mut files = example();
    files.retain(|path, _| {
        !path.as_str().contains("/shoots/") || path.as_str().ends_with("/mini.yaml") || path.as_str().ends_with("/api.yaml")
    });
    for (path, text) in &mut files {
        if path.as_str().starts_with("extensions/") {
            *text = without_deployments(text);
        }
    }
    files.insert(FILE.into(), networking(chart));
    files
}

fn without_deployments(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).expect("text");
    let documents = text.split("---\n").filter(|document| !document.contains("kind: ControllerDeployment"));
    let kept = documents.map(|document| {
        let begin = document.find("  deployment:").expect("it names a deployment");
        let end = document[begin..].find("  resources:").expect("it has resources") + begin;
        format!("{}{}", &document[..begin], &document[end..])
    });
    kept.collect::<Vec<_>>().join("---\n").into_bytes()
}

pub(crate) fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

pub(crate) async fn installations(fleet: &Fleet) -> Vec<Value> {
    let path = "/apis/core.gardener.cloud/v1beta1/controllerinstallations";
    let list = fleet.get(&Target::Garden, path).await.expect("the kind is there");
    list["items"].as_array().cloned().unwrap_or_default()
}

/// `Type=Status Reason` of each condition.
pub(crate) fn conditions(installation: &Value) -> Vec<String> {
    let text = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
    let all = installation.pointer("/status/conditions").and_then(Value::as_array);
    all.into_iter().flatten().map(|c| format!("{}={} {}", text(c, "type"), text(c, "status"), text(c, "reason"))).collect()
}

pub(crate) async fn resource(fleet: &Fleet, name: &str) -> Option<Value> {
    fleet.get(&seed(), &format!("/apis/resources.gardener.cloud/v1alpha1/namespaces/garden/managedresources/{name}")).await
}

/// The manifests that the resource manager is handed.
pub(crate) async fn manifests(fleet: &Fleet, name: &str) -> String {
    let resource = resource(fleet, name).await.expect("it is there");
    let secret = resource.pointer("/spec/secretRefs/0/name").and_then(Value::as_str).expect("a Secret").to_owned();
    let secret = fleet.get(&seed(), &format!("/api/v1/namespaces/garden/secrets/{secret}")).await.expect("it is there");
    let data = STANDARD.decode(secret["data"]["data.yaml"].as_str().expect("data")).expect("base64");
    String::from_utf8(data).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_comes_with_its_first_user_and_goes_with_its_last() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let fleet = Fleet::of(files(&chart(dir.path(), 1))).await;
    fleet.credentials().await;
    let ended = fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(explain(&ended), "", "everything is ready");

    let all = installations(&fleet).await;
    let names: Vec<&str> = all.iter().filter_map(|i| i.pointer("/spec/registrationRef/name")?.as_str()).collect();
    assert_eq!(names, [REGISTRATION], "one seed needs it, and it alone is ours to install");
    let installation = &all[0];
    assert_eq!(installation["spec"]["seedRef"]["name"], "aws-eu1");
    assert_eq!(installation["spec"]["deploymentRef"]["name"], REGISTRATION);
    assert_eq!(
        conditions(installation),
        [
            "Valid=True RegistrationValid",
            "Installed=True ApplySucceeded",
            "Healthy=True ResourcesHealthy",
            "Progressing=False ResourcesRolledOut",
            "Required=True ExtensionObjectsExist",
        ]
    );
    let name = installation["metadata"]["name"].as_str().expect("a name").to_owned();
    let namespace = format!("extension-{name}");
    let housed = fleet.get(&seed(), &format!("/api/v1/namespaces/{namespace}")).await.expect("the namespace");
    assert_eq!(housed["metadata"]["labels"]["gardener.cloud/role"], "extension");
    assert_eq!(housed["metadata"]["labels"]["controllerregistration.core.gardener.cloud/name"], REGISTRATION);
    let managed = resource(&fleet, &name).await.expect("the resource");
    assert_eq!(
        (&managed["spec"]["class"], &managed["metadata"]["labels"]["controllerregistration-name"]),
        (&json!("seed"), &json!(REGISTRATION))
    );
    let text = manifests(&fleet, &name).await;
    for part in [
        format!("namespace: {namespace}"),
        format!("name: {REGISTRATION}"),
        "SEED_NAME".to_owned(),
        "aws-eu1".to_owned(),
        "made-for: v1.36.0".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} is not in\n{text}");
    }
    let eu = fleet.get(&Target::Garden, "/apis/core.gardener.cloud/v1beta1/seeds/aws-eu1").await.expect("the seed");
    assert_eq!(eu["status"]["kubernetesVersion"], "v1.36.0");
    assert!(conditions(&eu).contains(&"ExtensionsReady=True AllExtensionsReady".to_owned()), "{:?}", conditions(&eu));
    let told = fleet.repo.read_tree(STATUS).await.expect("git works");
    assert!(
        told["seeds/aws-eu1.status.yaml"].contains("extension.networking-calico: ready"),
        "{}",
        told["seeds/aws-eu1.status.yaml"]
    );
    assert!(!told.values().any(|text| text.contains("canary")), "a value of the chart was told");

    // A pass in which nothing changed changes nothing.
    let before = (installations(&fleet).await, resource(&fleet, &name).await);
    fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!((installations(&fleet).await, resource(&fleet, &name).await), before);

    // A chart that is broken harms nothing that stands.
    fleet.commit(Changes::from([(FILE.into(), Some(String::from_utf8(networking("YnJva2Vu")).expect("text")))])).await;
    let ended = fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(ended.view.owners[&Owner::project(Kind::Shoot, "shop", "mini")].standing, Standing::Ready, "{}", explain(&ended));
    assert_eq!(ended.view.owners[&Owner::cluster(Kind::Seed, "aws-us1")].standing, Standing::Ready);
    let told = explain(&ended);
    assert!(told.contains("ChartCannotBeRendered") && !told.contains("espalier-helm-"), "{told}");
    let all = installations(&fleet).await;
    assert_eq!(conditions(&all[0])[..2], ["Valid=False ChartCannotBeRendered", "Installed=True ApplySucceeded"]);
    assert_eq!(manifests(&fleet, &name).await, text);

    // One that is mended is rolled out.
    let mended = String::from_utf8(networking(&chart(dir.path(), 2))).expect("text");
    fleet.commit(Changes::from([(FILE.into(), Some(mended))])).await;
    let ended = fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(explain(&ended), "");
    assert!(manifests(&fleet, &name).await.contains("replicas: 2"));

    // The last user goes.
    let mini = "projects/shop/shoots/mini.yaml";
    fleet
        .edit(mini, "  name: mini\n", "  name: mini\n  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n")
        .await;
    fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    fleet.commit(Changes::from([(mini.into(), None)])).await;
    let ended = fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(explain(&ended), "");
    assert!(!ended.view.owners.contains_key(&Owner::project(Kind::Shoot, "shop", "mini")));
    assert_eq!(installations(&fleet).await, Vec::<Value>::new());
    assert_eq!(resource(&fleet, &name).await, None);
    assert_eq!(fleet.get(&seed(), &format!("/api/v1/namespaces/{namespace}")).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_helm_only_those_wait_who_need_what_it_renders() {
    let dir = tempfile::tempdir().expect("a folder");
    let fleet = Fleet::of(files(&chart(dir.path(), 1))).await;
    fleet.credentials().await;
    let ended = fleet.pass_with(|options| options.helm = Some(Helm::new(dir.path().join("nowhere/helm")))).await;
    let all = installations(&fleet).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        conditions(&all[0])[..3],
        ["Valid=False HelmMissing", "Installed=False HelmMissing", "Healthy=Unknown HelmMissing"]
    );
    let row = |owner: &Owner| &ended.view.owners[owner];
    assert_eq!(row(&Owner::project(Kind::Shoot, "lab", "api")).standing, Standing::Ready, "{}", explain(&ended));
    let mini = row(&Owner::project(Kind::Shoot, "shop", "mini"));
    assert_ne!(mini.standing, Standing::Ready);
    assert!(mini.note.contains("extension networking-calico for Network/calico"), "{}", mini.note);
    assert_eq!(row(&Owner::cluster(Kind::Seed, "aws-us1")).standing, Standing::Ready);
    let eu = fleet.get(&Target::Garden, "/apis/core.gardener.cloud/v1beta1/seeds/aws-eu1").await.expect("the seed");
    let eu = conditions(&eu);
    assert!(eu.contains(&"ExtensionsReady=False NotAllExtensionsValid".to_owned()), "{eu:?}");
    assert!(eu.contains(&"GardenletReady=True SeedReady".to_owned()), "{eu:?}");

    // With it, they wait no longer.
    let program = helm(dir.path());
    let ended = fleet.pass_with(|options| options.helm = Some(program)).await;
    assert_eq!(explain(&ended), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_renders_charts_nothing_is_installed() {
    let dir = tempfile::tempdir().expect("a folder");
    let fleet = Fleet::of(files(&chart(dir.path(), 1))).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "");
    assert_eq!(installations(&fleet).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_ended_and_what_is_wrong_is_told_without_values() {
    use espalier::helm::Credentials;
    use espalier::render::chart::{Reason, Request, Source};
    let dir = tempfile::tempdir().expect("a folder");
    let request = |source: Source| {
        std::sync::Arc::new(Request {
            seed: "eu1".into(),
            release: "tiny".into(),
            namespace: "extension-tiny".into(),
            source,
            values: json!({"password": "hunter2"}),
            garden: None,
            kubernetes: None,
            digest: espalier::digest::of_bytes(b""),
        })
    };
    let packed = |chart: &str| request(Source::Packed(std::sync::Arc::new(json!({"helm": {"rawChart": chart}}))));
    let script = |text: &str| {
        let file = dir.path().join(format!("program-{}", espalier::digest::of_bytes(text.as_bytes()).short()));
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it may be run");
        Helm::new(file)
    };
    let slow = script("#!/bin/sh\nexec sleep 600\n").within(std::time::Duration::from_millis(200));
    let loud = script("#!/bin/sh\necho \"Error: execution error at (a.yaml:1:2): $(cat values.yaml)\" >&2\nexit 1\n");
    let tiny = chart(dir.path(), 1);
    let registry = Source::Registry { repository: String::new(), tag: None, pull_secret: None, authorities: None };
    for (helm, request, reason, word) in [
        (&slow, packed(&tiny), Reason::ChartCannotBeRendered, "longer than"),
        (&loud, packed(&tiny), Reason::ChartCannotBeRendered, "(a.yaml:1:2)"),
        (&loud, packed("?"), Reason::ChartInformationInvalid, "base64"),
        (&loud, packed(""), Reason::ChartInformationInvalid, "neither"),
        (&loud, request(registry), Reason::ChartInformationInvalid, "no repository"),
    ] {
        let Err(refused) = helm.render(request, Credentials::default()).await else { panic!("{word} was not refused") };
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(word) && !refused.message.contains("hunter2"), "{refused}");
    }
    let made = script(STAND_IN).render(packed(&tiny), Credentials::default()).await;
    let made = made.unwrap_or_else(|refused| panic!("{refused}"));
    assert!(made.contains("namespace: extension-tiny") && made.contains("SEED_NAME"), "{}", made.as_str());
}
