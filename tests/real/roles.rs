//! espalier on a real API server: with the roles that it prints for a cluster, and no others.

use std::process::Command;

use espalier::landscape::Target;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::server::Server;
use super::taken;

/// What `espalier install --print` prints for a sort of cluster.
fn printed(target: &Target) -> Vec<Value> {
    let sort = if *target == Target::Garden { "garden" } else { "seed" };
    let ran = Command::new(env!("CARGO_BIN_EXE_espalier"))
        .env_clear()
        .args(["install", "--print", "--in", sort, "-L", "local"])
        .output()
        .expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).expect("text");
    serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).expect("YAML")).filter(Value::is_object).collect()
}

/// Installs the printed roles as an administrator, and comes in as the service account that they are for.
pub(super) async fn enter(server: &Server, target: &Target) -> kube::Client {
    let admin = server.client();
    let wrong = taken::apply_each(&admin, printed(target), false).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
    let request = http::Request::post("/api/v1/namespaces/espalier/serviceaccounts/espalier/token")
        .header("content-type", "application/json")
        .body(asked.to_string().into_bytes())
        .expect("a request");
    let answer: Value = admin.request(request).await.expect("a token");
    server.client_with(answer["status"]["token"].as_str().expect("a token")).await
}
