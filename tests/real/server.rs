//! A real kube-apiserver over a real etcd, on loopback, for as long as the value lives.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// The folder with the binaries; `None`, and the reason is printed, where there is none.
#[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
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

/// The addresses of Services where nobody says.
pub(crate) const SERVICES: &str = "10.0.0.0/16";

/// Starts both, waits until nobody holds its standard input any more – however that came about – and ends both.
const KEEPER: &str = r#"
trap '' INT TERM HUP
dir=$1 assets=$2 store=$3 peer=$4 port=$5 services=$6 sync=$7
certificates=$dir/certificates
"$assets/etcd" --data-dir "$dir/etcd" $sync --log-level=error \
  --listen-client-urls="http://127.0.0.1:$store" --advertise-client-urls="http://127.0.0.1:$store" \
  --listen-peer-urls="http://127.0.0.1:$peer" </dev/null >"$dir/etcd.log" 2>&1 &
etcd=$!
"$assets/kube-apiserver" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$port" --cert-dir="$certificates" \
  --etcd-servers="http://127.0.0.1:$store" --service-cluster-ip-range="$services" --token-auth-file="$dir/tokens" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$certificates/apiserver.key" --service-account-signing-key-file="$certificates/apiserver.key" \
  --authorization-mode=RBAC --anonymous-auth=false --allow-privileged=true --disable-admission-plugins=ServiceAccount \
  --endpoint-reconciler-type=none </dev/null >"$dir/log" 2>&1 &
server=$!
cat >/dev/null
kill -9 $server $etcd
wait
rm -rf "$dir"
"#;

const TOKEN: &str = "0123456789abcdef";

/// The API server. It ends, and its folder goes, when this value is dropped or the test process is gone, even killed.
pub(crate) struct Server {
    client: kube::Client,
    kubeconfig: Value,
    store: u16,
    keeper: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

impl Server {
    pub(crate) async fn start(assets: &Path) -> Self {
        Self::start_with(assets, SERVICES, false).await
    }

    /// One with other addresses for Services; `synced`: whether what is acknowledged is on disk.
    pub(crate) async fn start_with(assets: &Path, services: &str, synced: bool) -> Self {
        let dir = tempfile::tempdir().expect("a folder").keep();
        let (store, peer, port) = (free_port(), free_port(), free_port());
        std::fs::write(dir.join("tokens"), format!("{TOKEN},admin,admin,\"system:masters\"\n")).expect("written");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([&dir, assets])
            .args([store, peer, port].map(|port| port.to_string()))
            .args([services, if synced { "" } else { "--unsafe-no-fsync" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let authority = dir.join("certificates/apiserver.crt");
        let ready = tokio::time::timeout(Duration::from_mins(2), async {
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
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("kube-apiserver does not become ready:\n{}", log.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
        };
        Self { client, kubeconfig: kubeconfig(port, &authority), store, keeper }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// A client that comes in with a token.
    #[allow(dead_code, reason = "shared with tests that need none")]
    pub(crate) async fn client_with(&self, token: &str) -> kube::Client {
        let mut kubeconfig = self.kubeconfig.clone();
        kubeconfig["users"][0]["user"]["token"] = token.into();
        client(kubeconfig).await.expect("a client")
    }

    /// Its etcd, which lets everybody in.
    #[allow(dead_code, reason = "shared with tests that need none")]
    pub(crate) fn store(&self) -> kube::Client {
        let url = format!("http://127.0.0.1:{}", self.store).parse().expect("a URL");
        kube::Client::try_from(kube::Config::new(url)).expect("a client")
    }

    /// The processes that make it up.
    #[allow(dead_code, reason = "for the benchmark")]
    pub(crate) fn processes(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.keeper.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).filter(|id| !is_cat(*id)).collect()
    }

    /// A kubeconfig, as JSON.
    pub(crate) fn kubeconfig(&self) -> String {
        self.kubeconfig.to_string()
    }
}

/// The keeper waits with `cat`.
fn is_cat(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim_end() == "cat")
}

fn kubeconfig(port: u16, authority: &Path) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "real",
        "clusters": [{"name": "real", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": authority}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin"}}],
    })
}

async fn connect(port: u16, authority: &Path) -> Option<kube::Client> {
    if !authority.exists() {
        return None;
    }
    client(kubeconfig(port, authority)).await
}

async fn client(kubeconfig: Value) -> Option<kube::Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.ok()?;
    // A refusal is an answer, too.
    config.default_retry = false;
    kube::Client::try_from(config).ok()
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback").port()
}
