//! A whole simulated cluster as a file and back.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::sim::{Archive, Delays, Options, Sim};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use super::cli::{Ran, run_in};
use super::fleet::{CANARY, Fleet, explain, name_of, now, objects};

fn espalier(dir: &Path, args: &[&str], stdin: &str) -> Ran {
    tokio::task::block_in_place(|| run_in(dir, &[("ESPALIER_LOG", "trace")], stdin, args))
}

fn open(file: &Path, name: &str) -> Sim {
    let (name, state) = (name.to_owned(), Some(file.to_owned()));
    Sim::open(Options { name, state, seed: 1, actors: false, garden: false, delays: Delays::None, start: now() })
        .expect("it opens")
}

/// What must not be seen of Secrets: private keys, tokens, credentials, each as it may stand in a text.
fn secrets(archive: &Archive) -> Vec<String> {
    let mut out = Vec::new();
    for object in archive.objects.iter().filter(|o| o["kind"] == "Secret" || o["kind"] == "InternalSecret") {
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            let encoded = value.as_str().expect("base64");
            let bytes = STANDARD.decode(encoded).expect("base64");
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            let private = text.starts_with("-----BEGIN PRIVATE KEY") || text.contains(CANARY) || key == "token";
            if private && text.len() > 16 {
                out.push(encoded.to_owned());
                out.push(text.lines().max_by_key(|line| line.len()).expect("a line").to_owned());
            }
        }
    }
    out
}

/// What those who ask see, by kind, name and uid.
async fn seen(sim: &Sim) -> BTreeMap<String, Value> {
    let key = |object: &Value| format!("{} {} {}", object["apiVersion"], name_of(object), object["metadata"]["uid"]);
    objects(sim).await.into_iter().map(|object| (key(&object), object)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_what_was_there() {
    let mut fleet = Fleet::local(&["mini"]).await;
    fleet.open_clusters(true).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "");
    let mut names = Vec::new();
    let dir = fleet.dir.path().to_owned();
    let busy = espalier(&dir, &["sim", "export", "--state-dir", "."], "");
    assert!(busy.code == 2 && busy.out.is_empty() && busy.err.contains("end it"), "{}", busy.err);
    for (target, sim) in std::mem::take(&mut fleet.sims) {
        names.push(target.to_string());
        sim.close().await;
    }
    let exported = espalier(&dir, &["sim", "export", "--state-dir", ".", "--with-secrets"], "");
    assert_eq!(exported.code, 0, "{}", exported.err);
    assert!(exported.err.contains("give this to nobody"), "{}", exported.err);
    assert!(exported.out.contains(&STANDARD.encode(CANARY)), "with everything");
    let imported = espalier(&dir, &["sim", "import", "--state-dir", "again", "-"], &exported.out);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let again = espalier(&dir, &["sim", "export", "--state-dir", "again", "--with-secrets"], "");
    assert!(again.out == exported.out, "the same text comes out again");

    let mut known = Vec::new();
    for name in &names {
        let old = Archive::open(name, &dir.join(format!("{name}.redb"))).expect("a cluster");
        let file = dir.join(format!("again/clusters/{name}.redb"));
        let new = Archive::open(name, &file).expect("a cluster");
        assert!(old == new && !old.objects.is_empty(), "{name}: another cluster");
        known.extend(secrets(&old));
        // Those who ask see the same, uid, resourceVersion and managed fields included; and it goes on from there.
        let (sim, was) = (open(&file, name), open(&dir.join(format!("{name}.redb")), name));
        let (here, there) = (seen(&sim).await, seen(&was).await);
        assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>(), "{name}");
        let other: Vec<&String> = here.iter().filter(|(key, object)| there[*key] != **object).map(|(key, _)| key).collect();
        assert!(other.is_empty(), "{name}: answered otherwise: {other:?}");
        was.close().await;
        let map: ConfigMap = serde_json::from_value(serde_json::json!({"metadata": {"name": "one"}})).expect("a map");
        let made = Api::namespaced(sim.client(), "default").create(&PostParams::default(), &map).await.expect("it works");
        let version: u64 = made.metadata.resource_version.expect("a version").parse().expect("a number");
        assert!(version > old.version);
        let uid = made.metadata.uid.expect("a uid");
        assert!(old.objects.iter().all(|o| o["metadata"]["uid"] != uid.as_str()), "a uid is given once");
        sim.close().await;
    }

    // Masked unless it is asked for, down to the log.
    assert!(known.len() > 20, "there are secrets: {}", known.len());
    let masked = espalier(&dir, &["sim", "export", "--state-dir", "."], "");
    assert_eq!(masked.code, 0, "{}", masked.err);
    for secret in &known {
        assert!(!masked.out.contains(secret.as_str()) && !masked.err.contains(secret.as_str()), "a secret is seen");
        assert!(!exported.err.contains(secret.as_str()), "a log shows a secret");
    }
    std::fs::write(dir.join("report.yaml"), &masked.out).expect("a file");
    let imported = espalier(&dir, &["sim", "import", "--state-dir", "third", "report.yaml"], "");
    assert!(imported.code == 0 && imported.err.contains("open nothing"), "{}", imported.err);
    let third = espalier(&dir, &["sim", "export", "--state-dir", "third"], "");
    assert!(third.out == masked.out, "masked twice is masked");
    let one = espalier(&dir, &["sim", "export", "--state-dir", "third", "--cluster", "garden"], "");
    assert!(one.code == 0 && masked.out.starts_with(&one.out) && one.out.len() < masked.out.len(), "{}", one.err);

    // What is there stays, and half a file makes nothing.
    let ran = espalier(&dir, &["sim", "import", "--state-dir", "third", "report.yaml"], "");
    assert!(ran.code == 3 && ran.err.contains("say another --state-dir"), "{}", ran.err);
    let cut = masked.out.rfind("\n---\n").expect("documents");
    let twice = one.out.clone() + &one.out;
    for (text, why) in [
        (&masked.out[..cut], "objects of"),
        (masked.out[4..].split_once("\n---\n").expect("documents").1, "does not begin with the head"),
        (twice.as_str(), "is there twice"),
        (&one.out.replace("name: garden\n", "name: seed-/../x\n"), "no cluster's name"),
        ("a: [", "stdin:1:"),
        ("", "there is no cluster"),
    ] {
        let ran = espalier(&dir, &["sim", "import", "--state-dir", "fourth", "-"], text);
        assert!(ran.code == 2 && ran.err.contains(why), "{why}: {} {}", ran.code, ran.err);
        assert!(!dir.join("fourth").exists(), "{why}: nothing is made");
    }
    let ran = espalier(&dir, &["sim", "export", "--state-dir", "fourth"], "");
    assert!(ran.code == 2 && ran.err.contains("no simulated clusters in fourth"), "{}", ran.err);
    let ran = espalier(&dir, &["sim", "export", "--state-dir", "third", "--cluster", "seed-x"], "");
    assert!(ran.code == 2 && ran.err.contains("there are garden, seed-aws-eu1"), "{}", ran.err);
}
