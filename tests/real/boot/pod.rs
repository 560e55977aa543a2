//! What a kubelet does with a pod: volumes at their paths in the container's own root, arguments, environment, user, a network
//! address of its own, and probes.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::apart::Node;

/// Objects of a namespace by kind and name.
pub(super) type Objects = BTreeMap<(String, String), Value>;

/// The content of a Secret or ConfigMap.
pub(super) fn data(object: &Value) -> BTreeMap<String, Vec<u8>> {
    let entries = object["data"].as_object().into_iter().flatten();
    entries
        .map(|(key, value)| {
            let text = value.as_str().expect("text");
            let bytes = if object["kind"] == "Secret" { STANDARD.decode(text).expect("base64") } else { text.into() };
            (key.clone(), bytes)
        })
        .collect()
}

/// A process to run: its program, arguments and environment, the files of its root by path with their modes, and its user.
pub(super) struct Container {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) files: BTreeMap<String, (Vec<u8>, u32)>,
    pub(super) folders: Vec<String>,
    pub(super) user: u32,
    probes: Vec<Value>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn get<'o>(objects: &'o Objects, kind: &str, name: &Value, user: &str) -> &'o Value {
    let name = name.as_str().expect("a name");
    objects.get(&(kind.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("{user} mounts {kind} {name}, which is not there"))
}

/// The files of one source of a volume.
fn source(kind: &str, source: &Value, name: &Value, objects: &Objects, user: &str) -> BTreeMap<String, Vec<u8>> {
    let content = data(get(objects, kind, name, user));
    match source["items"].as_array() {
        None => content,
        Some(items) => items
            .iter()
            .map(|item| {
                let key = item["key"].as_str().expect("a key");
                let value =
                    content.get(key).unwrap_or_else(|| panic!("{user} mounts key {key} of {kind} {name}, which has none"));
                (text(&item["path"]), value.clone())
            })
            .collect(),
    }
}

/// The files of a volume and their mode.
fn volume(volume: &Value, objects: &Objects, user: &str) -> (BTreeMap<String, Vec<u8>>, u32) {
    let mode = |value: &Value| u32::try_from(value["defaultMode"].as_u64().unwrap_or(0o644)).expect("a mode");
    if let Some(secret) = volume.get("secret") {
        (source("Secret", secret, &secret["secretName"], objects, user), mode(secret))
    } else if let Some(map) = volume.get("configMap") {
        (source("ConfigMap", map, &map["name"], objects, user), mode(map))
    } else if let Some(projected) = volume.get("projected") {
        let mut files = BTreeMap::new();
        for of in projected["sources"].as_array().expect("sources") {
            let (kind, of) = of.get("secret").map_or_else(|| ("ConfigMap", &of["configMap"]), |secret| ("Secret", secret));
            files.extend(source(kind, of, &of["name"], objects, user));
        }
        (files, mode(projected))
    } else {
        panic!("{user}: nobody knows this volume here: {volume}")
    }
}

/// The container that a Deployment is there for.
pub(super) fn container(deployment: &str, objects: &Objects) -> Container {
    let object = get(objects, "Deployment", &deployment.into(), "the test");
    let pod = &object["spec"]["template"]["spec"];
    let containers = pod["containers"].as_array().expect("containers");
    let main = containers.iter().find(|c| c["name"] == deployment).expect("the container that gives the name");
    let mut files = BTreeMap::new();
    for mount in main["volumeMounts"].as_array().into_iter().flatten() {
        let of = pod["volumes"].as_array().into_iter().flatten().find(|v| v["name"] == mount["name"]).expect("the volume");
        let (content, mode) = volume(of, objects, deployment);
        let path = text(&mount["mountPath"]);
        files.extend(content.into_iter().map(|(name, bytes)| (format!("{path}/{name}"), (bytes, mode))));
    }
    let mut command = strings(&main["command"]);
    command.extend(strings(&main["args"]));
    Container {
        name: deployment.to_owned(),
        command,
        env: main["env"].as_array().into_iter().flatten().map(|e| (text(&e["name"]), text(&e["value"]))).collect(),
        files,
        folders: Vec::new(),
        user: pod["securityContext"]["runAsUser"].as_u64().and_then(|user| user.try_into().ok()).unwrap_or(0),
        probes: ["livenessProbe", "readinessProbe"].iter().filter_map(|probe| main.get(*probe).cloned()).collect(),
    }
}

impl Container {
    /// A container that somebody else than espalier describes.
    pub(super) fn of(name: &str, command: Vec<String>, user: u32) -> Self {
        let (env, files, folders, probes) = (Vec::new(), BTreeMap::new(), Vec::new(), Vec::new());
        Self { name: name.to_owned(), command, env, files, folders, user, probes }
    }

    /// Mounts an object's content.
    pub(super) fn mount(&mut self, path: &str, kind: &str, name: &Value, objects: &Objects) {
        let content = data(get(objects, kind, name, &self.name));
        self.files.extend(content.into_iter().map(|(name, bytes)| (format!("{path}/{name}"), (bytes, 0o640))));
    }
}

/// A running pod with one container.
pub(super) struct Pod {
    name: String,
    pub(super) address: String,
    pub(super) root: PathBuf,
    process: Child,
    probes: Vec<Value>,
}

/// A network namespace with an address on the bridge, in which users may listen on every port, as container runtimes set it.
const NETWORK: &str = r#"
set -e
name=$1 address=$2
ip netns add "$name"
ip link add name "v$name" type veth peer name eth0 netns "$name"
ip link set "v$name" master pods up
ip -n "$name" addr add "$address/24" dev eth0
ip -n "$name" link set eth0 up
ip -n "$name" link set lo up
ip -n "$name" route add default via 10.1.0.1
ip netns exec "$name" sh -c 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start'
"#;

/// The root: the image's program, devices.
const ROOT: &str = r#"
set -e
root=$1 binary=$2 path=$3
mkdir -p "$root/dev" "$root/tmp" "$root$(dirname "$path")"
chmod 1777 "$root/tmp"
mount --rbind /dev "$root/dev"
touch "$root$path"
mount --bind "$binary" "$root$path"
mount -o remount,bind,ro "$root$path"
"#;

fn sh(script: &str, arguments: &[&str]) {
    let ran = Command::new("sh").args(["-c", script, "sh"]).args(arguments).output().expect("sh starts");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

impl Pod {
    /// Starts the only container of a pod. `n` makes the pod's names on the node unique; `binary` is a file of the assets.
    pub(super) fn start(node: &Node, container: Container, n: u8, binary: &str, hosts: &str) -> Self {
        let (short, address) = (format!("p{n}"), format!("10.1.0.{n}"));
        let root = node.folder.join(&short);
        let program = container.command.first().expect("a program");
        let (binary, root_text) = (node.assets.join(binary), root.to_str().expect("UTF-8").to_owned());
        sh(ROOT, &[&root_text, binary.to_str().expect("UTF-8"), program]);
        sh(NETWORK, &[&short, &address]);
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let group = |path: &Path, owner: Option<u32>| {
            if node.users {
                chown(path, owner, Some(container.user)).expect("another owner");
            }
        };
        for folder in &container.folders {
            std::fs::create_dir_all(below(folder)).expect("a folder");
            group(&below(folder), Some(container.user));
        }
        let mut files = container.files;
        files.insert("/etc/hosts".to_owned(), (hosts.as_bytes().to_vec(), 0o644));
        for (path, (bytes, mode)) in files {
            let path = below(&path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, bytes).expect("a file");
            // The group of the volume is the pod's, and it may read.
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode | 0o440)).expect("a mode");
            group(&path, None);
        }
        let log = std::fs::File::create(node.folder.join(format!("{short}.log"))).expect("a log");
        let user = if node.users { container.user } else { 0 };
        let process = Command::new("ip")
            .args(["netns", "exec", &short, "chroot", &format!("--userspec={user}:{user}"), "--groups="])
            .arg(&root)
            .args(&container.command)
            .env_clear()
            .envs(container.env.iter().cloned())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("ip starts");
        Self { name: container.name, address, root, process, probes: container.probes }
    }

    /// Everything that it said.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(self.root.with_extension("log")).unwrap_or_default()
    }

    /// What it said last.
    pub(super) fn log(&self) -> String {
        let text = self.said();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Fails if the process has ended.
    pub(super) fn lives(&mut self) {
        let ended = self.process.try_wait().expect("a process");
        assert!(ended.is_none(), "{} ended with {}:\n{}", self.name, ended.expect("a status"), self.log());
    }

    /// Asks what the probes of the container ask, until all are content.
    pub(super) async fn ready(&mut self) {
        assert!(!self.probes.is_empty(), "{} has probes", self.name);
        for probe in self.probes.clone() {
            let http = &probe["httpGet"];
            let url = format!("https://{}:{}", self.address, http["port"]);
            let mut config = kube::Config::new(url.parse().expect("a URL"));
            config.accept_invalid_certs = true;
            config.default_retry = false;
            let client = kube::Client::try_from(config).expect("a client");
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            let asked = async {
                loop {
                    tick.tick().await;
                    self.lives();
                    let mut request = http::Request::get(text(&http["path"]));
                    for header in http["httpHeaders"].as_array().into_iter().flatten() {
                        request = request.header(text(&header["name"]), text(&header["value"]));
                    }
                    if client.request_text(request.body(Vec::new()).expect("a request")).await.is_ok() {
                        return;
                    }
                }
            };
            let asked = tokio::time::timeout(Duration::from_mins(1), asked).await;
            assert!(asked.is_ok(), "{} does not answer {}:\n{}", self.name, http["path"], self.log());
        }
    }

    /// Fails if its log says that somebody did not let it in, or it others.
    pub(super) fn trusted(&self) {
        let text = self.said();
        let refused = ["forbidden", "Unauthorized", "x509:", "bad certificate", "tls: "];
        // The scheduler of a Gardener shoot gets its client authority from a flag, and may not read the ConfigMap that has it, too.
        let known = "Error looking up in-cluster authentication configuration";
        let said = |line: &&str| refused.iter().any(|word| line.contains(word)) && !line.contains(known);
        let lines: Vec<&str> = text.lines().filter(said).collect();
        assert!(lines.is_empty(), "{}:\n{}", self.name, lines.join("\n"));
    }
}
