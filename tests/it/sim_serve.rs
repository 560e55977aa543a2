//! Simulated clusters served to others: TLS, tokens, and kubectl itself where it is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use espalier::sim::{Serving, Sim, serve};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::net::TcpListener;

use crate::fleet::simulated;

async fn served(dir: &Path) -> (BTreeMap<String, Sim>, Serving) {
    let sims: BTreeMap<String, Sim> = ["garden", "seed-eu"].into_iter().map(|name| (name.to_owned(), simulated(name))).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = serve(sims.clone(), listener, Some(dir)).await.unwrap();
    (sims, serving)
}

async fn client(kubeconfig: Kubeconfig, context: &str) -> kube::Client {
    let options = KubeConfigOptions { context: Some(context.into()), ..KubeConfigOptions::default() };
    kube::Client::try_from(kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap()).unwrap()
}

#[tokio::test]
async fn only_those_with_the_right_token_are_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let (sims, serving) = served(dir.path()).await;
    let kubeconfig = Kubeconfig::from_yaml(&serving.kubeconfig).unwrap();
    let list = Api::<Namespace>::all(client(kubeconfig.clone(), "garden").await).list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), 4);
    assert_eq!(sims["garden"].counters().reads("kubectl"), 1);
    assert_eq!(sims["seed-eu"].counters().reads("kubectl"), 0);
    let mut anonymous = kubeconfig.clone();
    anonymous.auth_infos.iter_mut().for_each(|user| user.auth_info = Some(kube::config::AuthInfo::default()));
    let mut crossed = kubeconfig.clone();
    for context in &mut crossed.contexts {
        context.context.as_mut().unwrap().user = Some("seed-eu".into());
    }
    for wrong in [anonymous, crossed] {
        let error = Api::<Namespace>::all(client(wrong, "garden").await).list(&ListParams::default()).await.unwrap_err();
        assert!(matches!(error, kube::Error::Api(status) if status.code == 401));
    }
    serving.stop().await;
    let (_, again) = served(dir.path()).await;
    let users = |kubeconfig: &Kubeconfig| serde_json::to_value(&kubeconfig.auth_infos).unwrap();
    let kept = Kubeconfig::from_yaml(&again.kubeconfig).unwrap();
    assert_eq!(users(&kept), users(&kubeconfig), "tokens are kept");
    assert_eq!(
        kept.clusters[0].cluster.as_ref().unwrap().certificate_authority_data,
        kubeconfig.clusters[0].cluster.as_ref().unwrap().certificate_authority_data
    );
}

/// Runs kubectl and gives what it printed, both streams.
fn kubectl(dir: &Path, line: &str, input: &str) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new("kubectl")
        .args(line.split_whitespace())
        .env("KUBECONFIG", dir.join("kubeconfig"))
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    text
}

const MANIFESTS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: demo}}
data: {colour: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: demo}}
spec:
  replicas: 2
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: main, image: 'registry/web:1', ports: [{containerPort: 80}]}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, description: How large.}}}}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works() {
    let found =
        std::process::Command::new("kubectl").args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        eprintln!("skipped: kubectl is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, serving) = served(dir.path()).await;
    std::fs::write(dir.path().join("kubeconfig"), &serving.kubeconfig).unwrap();
    let widget = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: 3}\n";
    let steps: &[(&str, &str, &[&str])] = &[
        ("get namespaces", "", &["NAME", "STATUS", "AGE", "kube-system", "Active"]),
        ("apply -f -", MANIFESTS, &["configmap/settings created", "deployment.apps/web created", "widgets.example.org created"]),
        ("apply -f -", MANIFESTS, &["configmap/settings unchanged", "deployment.apps/web unchanged"]),
        ("apply -f -", widget, &["widget.example.org/one created"]),
        ("apply --server-side --field-manager=x -f -", widget, &["widget.example.org/one serverside-applied"]),
        ("get wd", "", &["NAME   SIZE", "one    3"]),
        ("get deploy,cm -l app=demo -o wide", "", &["deployment.apps/web", "0/2", "registry/web:1", "configmap/settings"]),
        ("get cm settings -o jsonpath={.data.colour}", "", &["red"]),
        ("label cm settings tier=one", "", &["configmap/settings labeled"]),
        ("annotate deploy web note=x", "", &["deployment.apps/web annotated"]),
        ("patch cm settings --type=merge -p {\"data\":{\"colour\":\"blue\"}}", "", &["configmap/settings patched"]),
        ("scale deploy web --replicas=3", "", &["deployment.apps/web scaled"]),
        ("set image deploy/web main=registry/web:2", "", &["deployment.apps/web image updated"]),
        ("describe deploy web", "", &["Name:", "registry/web:2", "3 desired"]),
        ("describe wd one", "", &["Name:         one", "Size:  3"]),
        ("describe cm settings", "", &["blue"]),
        ("api-resources --api-group=example.org", "", &["widgets", "wd", "example.org/v1", "Widget"]),
        ("explain widgets.spec", "", &["How large."]),
        ("auth can-i delete pods", "", &["yes"]),
        ("wait --for=condition=Established crd/widgets.example.org --timeout=5s", "", &["condition met"]),
        (
            "create -f - --validate=strict",
            "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: two}\nspec: {sizes: 3}\n",
            &["unknown field \"spec.sizes\""],
        ),
        ("get pods", "", &["No resources found in default namespace."]),
        ("get nonsense", "", &["the server doesn't have a resource type \"nonsense\""]),
        ("get cm absent", "", &["Error from server (NotFound): configmaps \"absent\" not found"]),
        ("--context seed-eu get wd", "", &["the server doesn't have a resource type \"wd\""]),
        ("diff -f -", widget, &[""]),
        ("delete crd widgets.example.org", "", &["widgets.example.org\" deleted"]),
        ("delete deploy,cm -l app=demo", "", &["deployment.apps \"web\" deleted", "configmap \"settings\" deleted"]),
        ("create -f -", "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n", &["namespace/team created"]),
        ("delete namespace team", "", &["namespace \"team\" deleted"]),
        ("version", "", &["Server Version: v1.36.0+sim"]),
    ];
    for (line, input, wanted) in steps {
        let text = tokio::task::block_in_place(|| kubectl(dir.path(), line, input));
        for piece in *wanted {
            assert!(text.contains(piece), "kubectl {line}\nlacks {piece:?}:\n{text}");
        }
    }
    serving.stop().await;
}

/// The program, serving a folder.
fn program(dir: &Path, more: &[&str]) -> std::process::Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_espalier"))
        .args(["sim", "serve", "--no-controllers", "--state-dir"])
        .arg(dir)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_clusters_is_served_until_it_is_asked_to_end() {
    use std::io::BufRead as _;
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    for (turn, (signal, code)) in [("TERM", 143), ("INT", 130)].into_iter().enumerate() {
        // What is there is served the second time.
        let names: &[&str] = if turn == 0 { &["--cluster", "garden", "--cluster", "seed-eu"] } else { &[] };
        let mut served = program(dir.path(), names);
        let mut line = String::new();
        tokio::task::block_in_place(|| {
            std::io::BufReader::new(served.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        });
        let file = Path::new(line.trim_end());
        assert_eq!(file, dir.path().canonicalize().unwrap().join("kubeconfig"));
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let kubeconfig = Kubeconfig::read_from(file).unwrap();
        for context in ["garden", "seed-eu"] {
            let namespaces = Api::<Namespace>::all(client(kubeconfig.clone(), context).await);
            assert_eq!(namespaces.list(&ListParams::default()).await.unwrap().items.len(), 4 + turn, "{context}");
            if turn == 0 {
                let team = serde_json::from_value(serde_json::json!({"metadata": {"name": "team"}})).unwrap();
                namespaces.create(&kube::api::PostParams::default(), &team).await.unwrap();
            }
        }
        anonymous(kubeconfig).await;
        let held = tokio::task::block_in_place(|| program(dir.path(), &[]).wait_with_output().unwrap());
        let said = String::from_utf8(held.stderr).unwrap();
        assert_eq!(held.status.code(), Some(2), "{said}");
        assert!(said.contains("garden.redb is in use by another process\nhint: ") && held.stdout.is_empty(), "{said}");
        let kill = std::process::Command::new("kill").args([format!("-{signal}"), served.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ended = tokio::task::block_in_place(|| served.wait_with_output().unwrap());
        assert_eq!(ended.status.code(), Some(code), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let open = tokio::task::block_in_place(|| program(dir.path(), &["--listen", "0.0.0.0:0"]).wait_with_output().unwrap());
    assert_eq!(open.status.code(), Some(64));
    assert!(String::from_utf8(open.stderr).unwrap().contains("say --allow-remote"));
}

/// Whoever shows no token may ask whether there is a server, and which.
async fn anonymous(mut kubeconfig: Kubeconfig) {
    kubeconfig.auth_infos.iter_mut().for_each(|user| user.auth_info = Some(kube::config::AuthInfo::default()));
    let client = client(kubeconfig, "garden").await;
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/livez", 200),
        ("GET", "/version", 200),
        ("POST", "/version", 401),
        ("GET", "/version/more", 401),
        ("GET", "/", 401),
        ("GET", "/api", 401),
        ("GET", "/openapi/v2", 401),
        ("GET", "/api/v1/namespaces", 401),
        ("POST", "/api/v1/namespaces", 401),
        ("PATCH", "/api/v1/namespaces/default", 401),
        ("DELETE", "/api/v1/namespaces/default", 401),
    ] {
        let request = http::Request::builder().method(method).uri(path).body(kube::client::Body::empty()).unwrap();
        assert_eq!(client.send(request).await.unwrap().status().as_u16(), status, "{method} {path}");
    }
}
