//! kubectl, unchanged, on both servers: the same commands, and the real server says what kubectl prints.
//!
//! `tests/golden/kubectl/<topic>.txt` has commands and what they printed on the real server; `RECORD=1 cargo test --test real kubectl`
//! writes what they print anew, `TOPIC=<name>` runs one topic only. A topic has a namespace of its own, named after it.
//! `simulated/` has what only a cluster with controllers shows, as the simulated one shows it. `open.txt` lists the commands of
//! which the simulated server is known to make kubectl print something else, each with why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use espalier::sim::{Delays, LEFT_OUT, Options, Serving, Sim, serve};
use regex::Regex;
use serde_json::Value;
use tokio::net::TcpListener;

use super::server::{Server, assets};

/// Commands and what they print, in order.
type Transcript = Vec<(String, String)>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kubectl")
}

fn variable(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the variables are how a person asks for something special")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The transcripts below a folder, by topic.
fn recorded(folder: &Path) -> BTreeMap<String, Transcript> {
    let only = variable("TOPIC").unwrap_or_default();
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        let topic = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        if path.extension().is_none_or(|e| e != "txt") || topic == "open" || !topic.contains(&only) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let steps = format!("\n{text}").split("\n$ kubectl ").skip(1).map(step).collect();
        out.insert(topic, steps);
    }
    out
}

fn step(text: &str) -> (String, String) {
    let (command, printed) = text.split_once('\n').unwrap_or((text, ""));
    (command.to_owned(), printed.trim_end_matches('\n').to_owned())
}

fn print(transcript: &Transcript) -> String {
    let mut text = String::new();
    for (command, printed) in transcript {
        text.push_str(&format!("$ kubectl {command}\n{printed}{}", if printed.is_empty() { "" } else { "\n" }));
    }
    text
}

/// What differs from run to run, and what stands for it.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let mask = |pattern: &str, by| (Regex::new(pattern).expect("a pattern"), by);
    vec![
        mask(r"\b([IWE])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "$1 "),
        mask(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        mask(r"https://127\.0\.0\.1:\d+(/clusters/\w+)?", "https://SERVER"),
        mask(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
        mask(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        mask(r"/\S*/(LIVE|MERGED)-\d+/(\S+)\t.*", "/$1/$2 TIME"),
        mask(r"/\S*/(LIVE|MERGED)-\d+", "/$1"),
        mask(r#"(resourceVersion"?: *)"\d+""#, "${1}\"N\""),
        mask(r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS"),
        mask(r"\b3[0-2]\d{3}\b", "NODEPORT"),
        mask(r"\b(web-[0-9a-f]{8,10})-[a-z0-9]{5}\b", "web-HASH-NAME"),
        mask(r"\bweb-[0-9a-f]{8,10}\b", "web-HASH"),
        mask(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+", "TIME"),
        mask(r"(Resource Version: +)\d+", "${1}N"),
        mask(r"(   |\t)(\d+[dhms])+( ago)?(\s|$)", "${1}AGE${3}${4}"),
        mask(r"(\S)   +", "$1   "),
        mask(r"(?m) +$", ""),
    ]
});

/// Runs one command; what it printed on both streams, and its exit code if that is not 0.
fn kubectl(program: &Path, home: &Path, command: &str) -> String {
    let output = Command::new(program)
        .args(command.split_whitespace())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .env("TZ", "UTC")
        .env("KUBECONFIG", home.join("kubeconfig"))
        .current_dir(folder().join("manifests"))
        .stdin(Stdio::null())
        .output()
        .expect("kubectl starts");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    for (pattern, by) in MASKS.iter() {
        text = pattern.replace_all(&text, *by).into_owned();
    }
    let mut text = text.trim_end().to_owned();
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        text.push_str(&format!("{}[exit {code}]", if text.is_empty() { "" } else { "\n" }));
    }
    text
}

/// Runs the commands of every topic on a server.
async fn run(program: &Path, kubeconfig: &str, topics: &BTreeMap<String, Transcript>) -> BTreeMap<String, Transcript> {
    let mut tasks = Vec::new();
    for (topic, steps) in topics {
        let (program, topic) = (program.to_owned(), topic.clone());
        let commands: Vec<String> = steps.iter().map(|(command, _)| command.clone()).collect();
        let mut kubeconfig: Value = serde_yaml::from_str(kubeconfig).expect("a kubeconfig");
        for context in kubeconfig["contexts"].as_array_mut().expect("contexts") {
            context["context"]["namespace"] = topic.as_str().into();
        }
        tasks.push(tokio::task::spawn_blocking(move || {
            let home = tempfile::tempdir().expect("a folder");
            std::fs::write(home.path().join("kubeconfig"), kubeconfig.to_string()).expect("written");
            let made = kubectl(&program, home.path(), &format!("create namespace {topic}"));
            assert_eq!(made, format!("namespace/{topic} created"));
            let steps = commands.into_iter().map(|command| {
                let printed = kubectl(&program, home.path(), &command);
                (command, printed)
            });
            let steps: Transcript = steps.collect();
            (topic, steps)
        }));
    }
    let mut out = BTreeMap::new();
    for task in tasks {
        let (topic, steps) = task.await.expect("a transcript");
        out.insert(topic, steps);
    }
    out
}

/// What is printed otherwise than recorded: by topic and command, the lines.
fn differences(wanted: &BTreeMap<String, Transcript>, found: &BTreeMap<String, Transcript>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (topic, steps) in found {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for ((command, wanted), (_, given)) in wanted[topic].iter().zip(steps) {
            let nth = times.entry(command).and_modify(|n| *n += 1).or_insert(1);
            if wanted != given {
                let lines: Vec<String> = similar::TextDiff::from_lines(format!("{wanted}\n"), format!("{given}\n"))
                    .iter_all_changes()
                    .filter(|change| change.tag() != similar::ChangeTag::Equal)
                    .map(|change| format!("    {}{change}", change.tag()))
                    .collect();
                let again = if *nth > 1 { format!(" #{nth}") } else { String::new() };
                out.insert(format!("{topic}: kubectl {command}{again}"), lines.concat());
            }
        }
    }
    out
}

fn explain(differences: &BTreeMap<String, String>) -> String {
    let all: Vec<String> = differences.iter().map(|(command, lines)| format!("{command}\n{lines}")).collect();
    all.concat()
}

fn record(folder: &Path, found: &BTreeMap<String, Transcript>) {
    for (topic, transcript) in found {
        std::fs::write(folder.join(format!("{topic}.txt")), print(transcript)).expect("written");
    }
}

#[allow(clippy::disallowed_methods, reason = "ages are told from the real clock by kubectl itself")]
async fn simulated(actors: bool) -> (Sim, Serving) {
    let sim = Sim::open(Options {
        name: "garden".into(),
        state: None,
        seed: 1,
        actors,
        garden: true,
        delays: Delays::None,
        start: jiff::Timestamp::now(),
    })
    .expect("a simulated cluster");
    if !actors {
        // There is no controller manager beside the real one either.
        sim.leave_to_controllers();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let serving = serve(BTreeMap::from([("garden".to_owned(), sim.clone())]), listener, None).await.expect("served");
    (sim, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_on_the_real_server() {
    let Some(assets) = assets() else { return };
    let server = Server::start(&assets).await;
    let wanted = recorded(&folder());
    let found = run(&assets.join("kubectl"), &server.kubeconfig(), &wanted).await;
    if variable("RECORD").is_some() {
        record(&folder(), &found);
    } else {
        let different = differences(&wanted, &found);
        assert!(different.is_empty(), "{}", explain(&different));
    }
    kinds(&assets.join("kubectl"), &server.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_on_the_simulated_server() {
    let Some(assets) = assets() else { return };
    let (_sim, serving) = simulated(false).await;
    let wanted = recorded(&folder());
    let found = run(&assets.join("kubectl"), &serving.kubeconfig, &wanted).await;
    let mut different = differences(&wanted, &found);
    let open = std::fs::read_to_string(folder().join("open.txt")).unwrap_or_default();
    let open: BTreeSet<&str> = open.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let commands: usize = found.values().map(Vec::len).sum();
    println!(
        "{commands} commands on the simulated server, {} print something else, {} of them known",
        different.len(),
        open.len()
    );
    if let Some(path) = variable("DIFFERENCES") {
        std::fs::write(path, explain(&different)).expect("written");
    }
    if variable("TOPIC").is_none() {
        let agreed: Vec<&&str> = open.iter().filter(|command| !different.contains_key(**command)).collect();
        assert!(agreed.is_empty(), "these agree now; take them out of open.txt: {agreed:#?}");
    }
    different.retain(|command, _| !open.contains(command.as_str()));
    assert!(different.is_empty(), "{}", explain(&different));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_sees_controllers_at_work() {
    let Some(assets) = assets() else { return };
    let (sim, serving) = simulated(true).await;
    let folder = folder().join("simulated");
    let wanted = recorded(&folder);
    let found = run(&assets.join("kubectl"), &serving.kubeconfig, &wanted).await;
    if variable("RECORD").is_some() {
        record(&folder, &found);
    } else {
        let different = differences(&wanted, &found);
        assert!(different.is_empty(), "{}", explain(&different));
    }
    serving.stop().await;
    sim.close().await;
}

/// Every kind of the real server is one of the simulated server's, said in the same words, or left out with a reason.
async fn kinds(program: &Path, real: &str) {
    let (_sim, serving) = simulated(false).await;
    let list = |kubeconfig: String, command: &'static str| {
        let program = program.to_owned();
        tokio::task::spawn_blocking(move || {
            let home = tempfile::tempdir().expect("a folder");
            std::fs::write(home.path().join("kubeconfig"), kubeconfig).expect("written");
            let text = kubectl(&program, home.path(), command);
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<BTreeSet<String>>()
        })
    };
    for command in ["api-resources -o wide --no-headers", "api-versions"] {
        let wanted = list(real.to_owned(), command).await.expect("a list");
        let given = list(serving.kubeconfig.clone(), command).await.expect("a list");
        // kubectl-made kinds of other topics are there as well.
        let left_out = |line: &&String| {
            line.contains("kubectl.example.org")
                // A kind is served in its preferred version.
                || *line == "autoscaling/v1"
                || LEFT_OUT.iter().any(|(group, resource, _)| {
                    if command == "api-versions" {
                        line.starts_with(&format!("{group}/"))
                    } else {
                        line.split(' ').next() == Some(resource) && (line.contains(&format!(" {group}/")) || group.is_empty())
                    }
                })
        };
        let missing: Vec<&String> = wanted.difference(&given).filter(|line| !left_out(line)).collect();
        let more: Vec<&String> = given.difference(&wanted).collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "kubectl {command}\nonly on the real server: {missing:#?}\nonly here: {more:#?}"
        );
    }
    serving.stop().await;
}
