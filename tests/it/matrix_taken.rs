//! What shapes are made of is what API servers take: every object, packed or not, dry-run with strict validation of fields against a
//! real one and against ours, with the definitions that the real engines bring.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::render::crd;
use regex::{Captures, Regex};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{fleet, matrix, matrix_seeds};
use server::{Server, assets};

#[allow(dead_code, reason = "shared with the tests against real binaries")]
#[path = "../real/server.rs"]
mod server;
#[allow(dead_code, reason = "shared with the tests against real binaries")]
#[path = "../real/taken.rs"]
mod taken;

/// The folder with the engines' own definitions, beside the clone.
#[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
fn definitions() -> Option<Vec<Value>> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data/crds"));
    let Some(folder) = above.into_iter().find(|folder| folder.is_dir()) else {
        println!("skipped: there is no shared/data/crds with the engines' definitions above the clone");
        return None;
    };
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let yaml = |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml");
    let texts = files.filter(yaml).map(|path| std::fs::read_to_string(path).expect("readable"));
    let documents = |text: String| -> Vec<Value> {
        serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).expect("YAML")).filter(Value::is_object).collect()
    };
    let mut all: Vec<Value> = texts.flat_map(documents).chain(crd::written()).collect();
    let there: BTreeSet<String> = all.iter().map(|definition| definition["metadata"]["name"].to_string()).collect();
    // Of a kind that is not among them there is our own, which is open.
    all.extend(crd::engines().into_iter().filter(|definition| !there.contains(&definition["metadata"]["name"].to_string())));
    Some(all)
}

/// What stands for what only clusters know, filled in.
struct Known {
    symbol: Regex,
    certificate: String,
    key: String,
}

impl Known {
    fn new() -> Self {
        let symbol = Regex::new("<(fact|secret|secret-data|secret-checksum|garden-secret|seed-secret|garden-config) ([^<>]*)>")
            .expect("a regex");
        let made = rcgen::generate_simple_self_signed(["any".to_owned()]).expect("a certificate");
        Self { symbol, certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn fact(asked: &str) -> Value {
        // What follows is the namespace.
        match asked.split(' ').next().unwrap_or_default() {
            "kube-apiserver-service.clusterIP" => json!("10.1.0.20"),
            "server.trafficDistribution" => json!("PreferSameZone"),
            "seed:istio-ingress.ip" | "istio-ingress.ip" => json!("192.0.2.7"),
            "seed:istio-ingress.hostname" | "istio-ingress.hostname" => json!("lb.example.org"),
            "seed:backup-bucket.name" => json!("bucket-1"),
            "infrastructure.providerStatus" | "seed:backup-bucket.providerStatus" => {
                json!({"apiVersion": "x/v1", "kind": "Status", "vpc": {"id": "1"}})
            }
            "worker.machineDeployments" => json!([{"name": "small", "minimum": 1, "maximum": 3}]),
            other => panic!("a test needs a value for the fact {other}"),
        }
    }

    fn text(&self, text: &str) -> String {
        let said = |found: &Captures<'_>| match (&found[1], &found[2]) {
            ("fact", name) => Self::fact(name).as_str().map_or_else(|| Self::fact(name).to_string(), str::to_owned),
            ("secret", name) => format!("{}-12345678", name.replace(' ', "-")),
            (_, name) => match name.rsplit('.').next() {
                Some("crt") => self.certificate.clone(),
                Some("key") => self.key.clone(),
                _ => "known".to_owned(),
            },
        };
        self.symbol.replace_all(text, said).into_owned()
    }

    /// An object with everything known.
    fn fill(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let whole = self.symbol.captures(text).filter(|found| found[0].len() == text.len() && &found[1] == "fact");
                *value = whole.map_or_else(|| self.text(text).into(), |found| Self::fact(&found[2]));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Value::Object(map) => {
                let filled = std::mem::take(map).into_iter().map(|(key, mut value)| {
                    self.fill(&mut value);
                    (self.text(&key), value)
                });
                *map = filled.collect();
            }
            _ => {}
        }
    }

    fn filled(&self, mut object: Value) -> Value {
        self.fill(&mut object);
        if object["kind"] == "Secret" {
            for value in object["data"].as_object_mut().into_iter().flatten().map(|(_, value)| value) {
                let text = value.as_str().unwrap_or_default();
                let inside = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                *value = STANDARD.encode(self.text(inside.as_deref().unwrap_or(text))).into();
            }
        }
        object
    }
}

/// Different objects of all shapes, by what they are; and how many there are of them in all.
fn objects() -> (Vec<Value>, usize) {
    let known = Known::new();
    let (mut different, mut count) = (BTreeMap::new(), 0);
    for (_, object) in matrix::manifests().chain(matrix_seeds::manifests()) {
        count += 1;
        let object = known.filled(object);
        different.insert(object.to_string(), object);
    }
    (different.into_values().collect(), count)
}

/// The namespaces that objects are in.
fn namespaces(objects: &[Value]) -> Vec<Value> {
    let named = objects.iter().filter_map(|o| o["metadata"]["namespace"].as_str()).filter(|name| !name.is_empty());
    let names: BTreeSet<&str> = named.collect();
    names.iter().map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).collect()
}

/// What a server says against objects.
async fn against(client: &kube::Client, definitions: Vec<Value>, objects: Vec<Value>) -> Vec<String> {
    // Authors of definitions get warnings that are not for us.
    let said = taken::apply_each(client, definitions, false).await;
    let refused: Vec<&String> = said.iter().filter(|said| said.contains(": 4") || said.contains(": 5")).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let said = taken::apply_each(client, namespaces(&objects), false).await;
    assert!(said.is_empty(), "{said:#?}");
    taken::apply_each(client, objects, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn api_servers_take_every_object_of_the_matrix() {
    let Some(assets) = assets() else { return };
    let Some(definitions) = definitions() else { return };
    let (objects, count) = objects();
    // The shapes' own addresses for Services.
    let server = Server::start_with(&assets, "100.64.0.0/13,fd00:20::/112", false).await;
    let real = against(&server.client(), definitions.clone(), objects.clone()).await;
    let sim = fleet::simulated("taken");
    let ours = against(&sim.client(), definitions, objects.clone()).await;
    println!(
        "{count} objects of the matrix, {} different: {} against the real server, {} against ours",
        objects.len(),
        real.len(),
        ours.len()
    );
    assert!(real.is_empty(), "{} are not taken by the real server:\n{}", real.len(), real.join("\n"));
    assert!(ours.is_empty(), "{} are not taken by ours:\n{}", ours.len(), ours.join("\n"));
}
