//! What etcd-druid does with an `Etcd` object: a pod for each member, its configuration file and the certificates it names.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::pod::{Container, Objects, data};

/// Etcd's user in the pods of etcd-druid.
const USER: u32 = 65532;

/// How many members an etcd has.
pub(super) fn members(name: &str, objects: &Objects) -> u8 {
    let replicas = objects[&("Etcd".to_owned(), name.to_owned())]["spec"]["replicas"].as_u64();
    replicas.and_then(|n| n.try_into().ok()).expect("a number")
}

/// A member of an etcd, by its number.
pub(super) fn member(name: &str, n: u8, namespace: &str, objects: &Objects) -> Container {
    let spec = &objects[&("Etcd".to_owned(), name.to_owned())]["spec"];
    let (tls, port, peers) = (&spec["etcd"]["clientUrlTls"], &spec["etcd"]["clientPort"], &spec["etcd"]["serverPort"]);
    let peer_tls = &spec["etcd"]["peerUrlTls"];
    let scheme = if peer_tls.is_null() { "http" } else { "https" };
    let host = |n: u8| format!("{name}-{n}.{name}-peer.{namespace}.svc");
    let peer = |n: u8| format!("{scheme}://{}:{peers}", host(n));
    let cluster: Vec<String> = (0..members(name, objects)).map(|n| format!("{name}-{n}={}", peer(n))).collect();
    let authority = |folder: &str, tls: &Value| format!("{folder}/{}", tls["tlsCASecretRef"]["dataKey"].as_str().expect("a key"));
    let mut config = json!({
        "name": format!("{name}-{n}"),
        "data-dir": "/var/etcd/data/new.etcd",
        "metrics": spec["etcd"]["metrics"],
        "snapshot-count": 75000,
        "enable-v2": false,
        "quota-backend-bytes": quota(&spec["etcd"]["quota"]),
        "listen-client-urls": format!("https://0.0.0.0:{port}"),
        "advertise-client-urls": format!("https://{}:{port}", host(n)),
        "listen-peer-urls": format!("{scheme}://0.0.0.0:{peers}"),
        "initial-advertise-peer-urls": peer(n),
        "initial-cluster": cluster.join(","),
        "initial-cluster-token": "etcd-cluster",
        "initial-cluster-state": "new",
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "30m",
        "client-transport-security": {
            "cert-file": "/var/etcd/ssl/server/tls.crt",
            "key-file": "/var/etcd/ssl/server/tls.key",
            "client-cert-auth": true,
            "trusted-ca-file": authority("/var/etcd/ssl/ca", tls),
            "auto-tls": false,
        },
    });
    let command = ["/usr/local/bin/etcd", "--config-file=/var/etcd/config/etcd.conf.yaml"].map(str::to_owned);
    let mut container = Container::of(&format!("{name}-{n}"), command.to_vec(), USER);
    container.mount("/var/etcd/ssl/ca", "Secret", &tls["tlsCASecretRef"]["name"], objects);
    container.mount("/var/etcd/ssl/server", "Secret", &tls["serverTLSSecretRef"]["name"], objects);
    container.mount("/var/etcd/ssl/client", "Secret", &tls["clientTLSSecretRef"]["name"], objects);
    if !peer_tls.is_null() {
        config["peer-transport-security"] = json!({
            "cert-file": "/var/etcd/ssl/peer/server/tls.crt",
            "key-file": "/var/etcd/ssl/peer/server/tls.key",
            "client-cert-auth": true,
            "trusted-ca-file": authority("/var/etcd/ssl/peer/ca", peer_tls),
            "auto-tls": false,
        });
        container.mount("/var/etcd/ssl/peer/ca", "Secret", &peer_tls["tlsCASecretRef"]["name"], objects);
        container.mount("/var/etcd/ssl/peer/server", "Secret", &peer_tls["serverTLSSecretRef"]["name"], objects);
    }
    container.files.insert("/var/etcd/config/etcd.conf.yaml".to_owned(), (config.to_string().into_bytes(), 0o640));
    container.folders.push("/var/etcd/data".to_owned());
    container
}

/// `8Gi` in bytes.
fn quota(quantity: &Value) -> u64 {
    let text = quantity.as_str().expect("a quantity");
    text.strip_suffix("Gi").and_then(|n| n.parse::<u64>().ok()).expect("gibibytes") << 30
}

/// Somebody who looks into an etcd with the client's certificate.
pub(super) struct Reader(kube::Client);

impl Reader {
    pub(super) async fn of(name: &str, objects: &Objects) -> Self {
        let tls = &objects[&("Etcd".to_owned(), name.to_owned())]["spec"]["etcd"]["clientUrlTls"];
        let secret = |reference: &str| {
            let name = tls[reference]["name"].as_str().expect("a name").to_owned();
            data(&objects[&("Secret".to_owned(), name)])
        };
        let (authority, client) = (secret("tlsCASecretRef"), secret("clientTLSSecretRef"));
        let kubeconfig: Kubeconfig = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "etcd",
            "contexts": [{"name": "etcd", "context": {"cluster": "etcd", "user": "etcd"}}],
            "clusters": [{"name": "etcd", "cluster": {
                "server": format!("https://{name}-client:2379"),
                "certificate-authority-data": STANDARD.encode(&authority["bundle.crt"]),
            }}],
            "users": [{"name": "etcd", "user": {
                "client-certificate-data": STANDARD.encode(&client["tls.crt"]),
                "client-key-data": STANDARD.encode(&client["tls.key"]),
            }}],
        }))
        .expect("a kubeconfig");
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("fine");
        config.default_retry = false;
        config.read_timeout = Some(Duration::from_secs(10));
        Self(kube::Client::try_from(config).expect("a client"))
    }

    /// Whether it is healthy.
    pub(super) async fn healthy(&self) -> bool {
        let request = http::Request::get("/health").body(Vec::new()).expect("a request");
        self.0.request::<Value>(request).await.is_ok_and(|answer| answer["health"] == "true")
    }

    /// Everything whose key begins like this: keys and values.
    pub(super) async fn range(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().expect("a prefix") += 1;
        let body = json!({"key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end)}).to_string().into_bytes();
        let request =
            http::Request::post("/v3/kv/range").header("content-type", "application/json").body(body).expect("a request");
        let answer: Value = self.0.request(request).await.expect("an answer");
        let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64");
        let all = answer["kvs"].as_array().into_iter().flatten();
        all.map(|kv| (String::from_utf8(bytes(&kv["key"])).expect("a key"), bytes(&kv["value"]))).collect()
    }
}
