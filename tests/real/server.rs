//! A real kube-apiserver over a real etcd, on loopback, for as long as the value lives.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

/// The folder with the binaries; `None`, and the reason is printed, where there is none.
pub(crate) fn assets() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "the variable is how the real binaries are handed in")]
    let folder = std::env::var("KUBEBUILDER_ASSETS").ok().map(PathBuf::from);
    match folder {
        Some(folder) if folder.join("kube-apiserver").exists() && folder.join("etcd").exists() => Some(folder),
        Some(folder) => panic!("KUBEBUILDER_ASSETS is {}, where there is no kube-apiserver and etcd", folder.display()),
        None => {
            println!("skipped: KUBEBUILDER_ASSETS is not set; build the binaries with tests/real/assets/build");
            None
        }
    }
}

/// A process that ends with this value, also after a panic.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The API server.
pub(crate) struct Server {
    client: kube::Client,
    _processes: [Process; 2],
    _dir: tempfile::TempDir,
}

const TOKEN: &str = "0123456789abcdef";

impl Server {
    pub(crate) async fn start(assets: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, peer, port) = (free_port(), free_port(), free_port());
        let etcd = Command::new(assets.join("etcd"))
            .arg("--data-dir")
            .arg(dir.path().join("etcd"))
            .arg("--unsafe-no-fsync")
            .arg("--log-level=error")
            .arg(format!("--listen-client-urls=http://127.0.0.1:{store}"))
            .arg(format!("--advertise-client-urls=http://127.0.0.1:{store}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        let etcd = Process(etcd);
        let tokens = dir.path().join("tokens");
        std::fs::write(&tokens, format!("{TOKEN},admin,admin,\"system:masters\"\n")).expect("written");
        let certificates = dir.path().join("certificates");
        let key = certificates.join("apiserver.key");
        let server = Command::new(assets.join("kube-apiserver"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--service-cluster-ip-range=10.0.0.0/16"])
            .args(["--authorization-mode=RBAC", "--anonymous-auth=false", "--allow-privileged=true"])
            .args(["--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"])
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(format!("--secure-port={port}"))
            .arg(format!("--cert-dir={}", certificates.display()))
            .arg(format!("--etcd-servers=http://127.0.0.1:{store}"))
            .arg(format!("--service-account-key-file={}", key.display()))
            .arg(format!("--service-account-signing-key-file={}", key.display()))
            .arg(format!("--token-auth-file={}", tokens.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).expect("a log"))
            .spawn()
            .expect("kube-apiserver starts");
        let server = Process(server);
        let authority = certificates.join("apiserver.crt");
        let ready = tokio::time::timeout(Duration::from_mins(1), async {
            // It says nowhere that it is ready but there.
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            loop {
                tick.tick().await;
                if let Some(client) = connect(port, &authority).await
                    && client.request_text(http::Request::get("/readyz").body(Vec::new()).expect("a request")).await.is_ok()
                {
                    return client;
                }
            }
        });
        let Ok(client) = ready.await else {
            let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            panic!("kube-apiserver does not become ready:\n{}", log.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
        };
        Self { client, _processes: [server, etcd], _dir: dir }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }
}

async fn connect(port: u16, authority: &Path) -> Option<kube::Client> {
    if !authority.exists() {
        return None;
    }
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "real",
        "clusters": [{"name": "real", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": authority}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin"}}],
    });
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.ok()?;
    kube::Client::try_from(config).ok()
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback").port()
}
