//! The program, killed without warning at ten moments of a creation: what comes of it is what comes of an undisturbed one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use espalier::sim::{Delays, Options, Sim};
use serde_json::Value;

use super::fleet::{forget_server, name_of, now, objects};

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_espalier"));
    command.args(["demo", "--speed", "none", "-v", "--log-format", "json", "--dir"]).arg(dir).stdin(Stdio::null());
    command
}

/// A line of the log that announces a write.
fn announces_a_write(line: &str) -> bool {
    ["\"create\"", "\"update\"", "\"generate\"", "\"trigger\"", "\"decide\"", "\"status\""].iter().any(|word| line.contains(word))
}

/// Runs until it has announced so many writes, then kills it; says whether it came to that.
fn killed_after(dir: &Path, writes: usize) -> bool {
    let mut child = demo(dir).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let said = lines.filter(|line| announces_a_write(line)).take(writes).count();
    let alive = said == writes && child.try_wait().expect("a child").is_none();
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    alive
}

/// The tips of all status branches.
fn status(dir: &Path) -> Vec<String> {
    let repo = git2::Repository::open(dir.join("repo")).expect("a repository");
    let found = repo.references_glob("refs/heads/espalier/status/*").expect("references");
    found.map(|r| r.expect("a reference").target().expect("a commit").to_string()).collect()
}

/// Every object that a demo left behind, by cluster.
async fn left_behind(dir: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir.join("state")).into_iter().flatten() {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|e| e != "redb") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let garden = name == "garden";
        let options =
            Options { name: name.clone(), state: Some(path), seed: 1, actors: false, garden, delays: Delays::None, start: now() };
        let sim = Sim::open(options).expect("its state is whole");
        out.insert(name, objects(&sim).await);
        sim.close().await;
    }
    out
}

/// Secrets by name, with their bytes.
fn secrets(clusters: &BTreeMap<String, Vec<Value>>) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    for (cluster, objects) in clusters {
        for object in objects.iter().filter(|o| o["kind"] == "Secret" && o["metadata"]["labels"]["managed-by"].is_string()) {
            out.insert(format!("{cluster} {}", name_of(object)), object["data"].clone());
        }
    }
    out
}

/// What two runs must have in common, object by object: without uids and what is drawn from them, times, key material, the names
/// that hash it, and what a server or a controller counts.
pub(crate) fn picture(clusters: &BTreeMap<String, Vec<Value>>) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (cluster, objects) in clusters {
        // The lease says who held it last, and events tell of each life.
        for object in objects.iter().filter(|o| o["kind"] != "Lease" && o["kind"] != "Event") {
            let mut object = object.clone();
            forget_server(&mut object);
            if object["kind"] == "Secret" || object["kind"] == "InternalSecret" {
                object["data"].as_object_mut().into_iter().flatten().for_each(|(_, value)| *value = Value::Null);
            }
            if object["kind"] == "DNSRecord" {
                // The address of the gateway, whose zone is drawn from the uid.
                object["spec"]["values"] = Value::Null;
            }
            blur(&mut object);
            out.entry(format!("{cluster} {}", blurred(&name_of(&object)))).or_default().push(object.to_string());
        }
    }
    for same in out.values_mut() {
        same.sort();
    }
    out
}

/// Fields that tell of the way and not of the end.
const OF_THE_WAY: &[&str] = &[
    // Counts writes.
    "observedGeneration",
    // The server's choice.
    "clusterIP",
    "clusterIPs",
    "nodePort",
    // Minutes and the one zone drawn from the uid.
    "defragmentationSchedule",
    "fullSnapshotSchedule",
    "high-availability-config.resources.gardener.cloud/zones",
    // Whether the last operation was the first one.
    "lastOperation",
];

fn blur(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !OF_THE_WAY.contains(&key.as_str()));
            map.values_mut().for_each(blur);
            if map.keys().any(|key| blurred(key) != *key) {
                // Keys that only their hashes tell apart.
                let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{}: {value}", blurred(key))).collect();
                pairs.sort();
                *value = Value::from(pairs);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blur),
        Value::String(text) => *text = blurred(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Text without times, certificates, uids and hashes: runs of eight or more hexadecimal digits, and longer ones of base64.
fn blurred(text: &str) -> String {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return "TIME".to_owned();
    }
    if let Some(flag) = text.strip_suffix(|c: char| c.is_ascii_digit()).and_then(|text| text.split_once("-address="))
        && flag.1.starts_with("240.")
    {
        // What the server chose for the Service.
        return flag.0.to_owned();
    }
    let text = without_zones(without_uids(text));
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '-') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(end) = rest.strip_prefix("-----BEGIN").and_then(|pem| pem.find("-----END")) {
            out.push_str("PEM");
            rest = &rest["-----BEGIN".len() + end..];
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_');
        let end = rest.find(|c: char| !word(c)).unwrap_or(rest.len()).max(1);
        let token = &rest[..end];
        let hex = token.len() >= 8 && token.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let key = token.len() >= 40 && token.bytes().any(|b| b.is_ascii_digit()) && token.bytes().any(|b| b.is_ascii_uppercase());
        out.push_str(if hex || key { "#" } else { token });
        rest = &rest[end..];
    }
    out + rest
}

/// Text without the zone of a gateway: a control plane that is in one zone has it drawn from the shoot's uid.
fn without_zones(text: String) -> String {
    let mut text = text;
    for mark in ["istio-ingress--", "ingressgateway--zone--"] {
        let mut parts = text.split(mark);
        let first = parts.next().unwrap_or_default().to_owned();
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        text = parts.fold(first, |out, part| out + mark + "ZONE" + part.trim_start_matches(name));
    }
    text
}

fn without_uids(text: &str) -> String {
    let dashes = [8, 13, 18, 23];
    let is_uid =
        |text: &str| text.bytes().enumerate().all(|(at, b)| if dashes.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() });
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text.get(at..at + 36).is_some_and(is_uid) {
            out.push_str("UID");
            at += 36;
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Where two texts part, with what stands around it.
fn parting(a: &str, b: &str) -> String {
    let at = a.bytes().zip(b.bytes()).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let around = |text: &str| {
        let from = (0..=at.saturating_sub(300)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text[from..].chars().take(500).collect::<String>()
    };
    format!("  undisturbed …{}\n  disturbed   …{}", around(a), around(b))
}

/// What two pictures do not have in common.
pub(crate) fn differences(wanted: &BTreeMap<String, Vec<String>>, found: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let differ = keys.into_iter().filter(|key| wanted.get(*key) != found.get(*key));
    differ
        .map(|key| {
            let text = |all: &BTreeMap<String, Vec<String>>| all.get(key).map_or_else(|| "nothing".to_owned(), |o| o.join("\n"));
            format!("{key}\n{}", parting(&text(wanted), &text(found)))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_killed_ten_times_comes_to_the_same_end() {
    let (calm, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let undisturbed = demo(calm.path()).output().expect("it runs");
    assert!(undisturbed.status.success(), "{}", String::from_utf8_lossy(&undisturbed.stderr));
    let all = String::from_utf8_lossy(&undisturbed.stderr).lines().filter(|line| announces_a_write(line)).count();
    assert!(all > 500, "a whole creation takes more than {all} writes");

    // A life ends after a tenth of what is left, so each one ends at another moment of the creation; what was announced and not
    // done is announced again.
    let mut known = BTreeMap::new();
    for life in 0..10 {
        assert!(killed_after(dir.path(), all / 12 + life * 3), "killed while it worked, in life {life}");
        let now = secrets(&left_behind(dir.path()).await);
        for (name, bytes) in &known {
            assert!(now.get(name) == Some(bytes), "{name} did not keep its name and its bytes over the end of life {life}");
        }
        known = now;
    }
    assert!(known.len() > 20, "secrets were made before the last kill: {}", known.len());

    let ended = demo(dir.path()).output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{:?}\n{out}\n{err}", ended.status);
    assert_eq!(out.lines().filter(|l| l.contains(" ready ") && l.contains("100%")).count(), 7, "{out}");
    let tips = status(dir.path());
    assert_eq!(tips.len(), 1, "one status branch");

    let after = left_behind(dir.path()).await;
    let now = secrets(&after);
    for (name, bytes) in &known {
        assert!(now.get(name) == Some(bytes), "{name} did not keep its name and its bytes to the end");
    }
    let (wanted, found) = (picture(&left_behind(calm.path()).await), picture(&after));
    let differ = differences(&wanted, &found);
    assert!(differ.is_empty(), "{} of {} objects differ:\n{}", differ.len(), wanted.len(), differ.join("\n"));

    // Nothing is left to do; and even the most talkative log shows no secret.
    let again = demo(dir.path()).args(["-vvv"]).output().expect("it runs");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(status(dir.path()), tips, "no new status commit");
    for text in [ended.stdout, ended.stderr, again.stdout, again.stderr] {
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("PRIVATE KEY") && !text.contains("opens-nothing"), "a secret is shown:\n{text}");
    }
}
