//! One set of cases, two API servers: each case is requests, and the real server says what the answers are.
//!
//! `conformance/cases/<group>.txt` holds the requests, `conformance/recorded/<group>.txt` what the real API server answered.
//! `RECORD=1 cargo test --test real conformance` writes the latter anew; `CASES=<text>` runs only the cases whose group and title
//! contain the text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;

use super::fleet::simulated;
use super::server::{Server, assets};
use script::Case;

pub(crate) mod answer;
pub(crate) mod run;
pub(crate) mod script;

/// What was asked and what came of it, request by request.
type Answers = Vec<(String, String)>;
/// The answers to all cases, by group and title.
type Found = BTreeMap<String, Vec<(String, Answers)>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/conformance")
}

pub(crate) fn variable(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the variables are how a person asks for something special")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All cases by group.
fn groups() -> BTreeMap<String, Vec<Case>> {
    let files = std::fs::read_dir(folder().join("cases")).expect("there are cases");
    let only = variable("CASES").unwrap_or_default();
    let mut groups = BTreeMap::new();
    for path in files.map(|file| file.expect("readable").path()) {
        let group = path.file_stem().and_then(|s| s.to_str()).expect("a name").to_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        let mut cases = script::parse(&group, &text);
        cases.retain(|case| format!("{group}: {}", case.title).contains(&only));
        groups.insert(group, cases);
    }
    groups
}

/// The answers to all cases, by group and title; each answer is what was asked and what came of it.
async fn answers(client: &kube::Client) -> Found {
    run::furnish(client, &folder().join("definitions")).await;
    let mut out = BTreeMap::new();
    for (group, cases) in groups() {
        let answers = futures::stream::iter(cases.into_iter().enumerate())
            .map(|(index, case)| {
                let (client, namespace) = (client.clone(), format!("{group}-{index}"));
                async move {
                    let answers = run::case(&client, &namespace, &case).await;
                    let unsent = answers.iter().find(|(_, answer)| answer.starts_with(run::NOT_SENT));
                    assert_eq!(unsent, None, "{namespace}");
                    (case.title, answers)
                }
            })
            .buffered(4)
            .collect::<Vec<_>>()
            .await;
        out.insert(group, answers);
    }
    out
}

fn print(cases: &[(String, Answers)]) -> String {
    let mut text = String::new();
    for (title, answers) in cases {
        text.push_str(&format!("== {title}\n"));
        for (asked, answer) in answers {
            text.push_str(&format!("> {asked}\n{answer}\n"));
        }
    }
    text
}

/// What was recorded, by group and title.
fn recorded() -> BTreeMap<String, BTreeMap<String, Answers>> {
    let mut out: BTreeMap<String, BTreeMap<String, Answers>> = BTreeMap::new();
    for group in groups().into_keys() {
        let text = std::fs::read_to_string(folder().join("recorded").join(format!("{group}.txt"))).unwrap_or_default();
        let mut cases = BTreeMap::new();
        for block in format!("\n{text}").split("\n== ").skip(1) {
            let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
            let steps = rest.split("\n> ").map(|step| step.trim_start_matches("> ").trim_end_matches('\n'));
            let steps = steps.filter(|step| !step.is_empty());
            let steps = steps.map(|step| step.split_once('\n').unwrap_or((step, ""))).map(|(a, b)| (a.to_owned(), b.to_owned()));
            cases.insert(title.to_owned(), steps.collect());
        }
        out.insert(group, cases);
    }
    out
}

/// What differs between the recorded answers and those of a server, by case.
fn differences(found: &Found) -> BTreeMap<String, Vec<String>> {
    let recorded = recorded();
    let mut out = BTreeMap::new();
    for (group, cases) in found {
        for (title, answers) in cases {
            let name = format!("{group}: {title}");
            let Some(wanted) = recorded[group].get(title) else {
                out.insert(name, vec!["not recorded".to_owned()]);
                continue;
            };
            let mut list = Vec::new();
            if wanted.len() != answers.len() {
                list.push(format!("{} answers recorded, {} given", wanted.len(), answers.len()));
            }
            for ((asked, wanted), (now, given)) in wanted.iter().zip(answers) {
                if asked != now {
                    list.push(format!("recorded for another request: {asked}"));
                } else if wanted != given {
                    list.push(format!("> {asked}"));
                    list.extend(answer::compare(wanted, given));
                }
            }
            if !list.is_empty() {
                out.insert(name, list);
            }
        }
    }
    out
}

fn explain(differences: &BTreeMap<String, Vec<String>>) -> String {
    let cases: Vec<String> = differences.iter().map(|(name, list)| format!("{name}\n    {}\n", list.join("\n    "))).collect();
    cases.concat()
}

fn count(found: &Found) -> usize {
    found.values().map(Vec::len).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_real_server() {
    let Some(assets) = assets() else { return };
    let server = Server::start(&assets).await;
    let found = answers(&server.client()).await;
    if variable("RECORD").is_some() {
        assert_eq!(variable("CASES"), None, "all cases are recorded, or none");
        for (group, cases) in &found {
            let text = format!("{}\n", print(cases).trim_end());
            std::fs::write(folder().join("recorded").join(format!("{group}.txt")), text).expect("written");
        }
    }
    let different = differences(&found);
    println!("{} cases on the real server, {} answered otherwise than recorded", count(&found), different.len());
    assert!(different.is_empty(), "{}", explain(&different));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_simulated_server_leaves_out_says_so() {
    let client = simulated("left-out").client();
    for (group, resource, why) in espalier::sim::LEFT_OUT {
        let prefix = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
        let path = match resource.split_once('/') {
            Some((plural, sub)) => format!("{prefix}/namespaces/default/{plural}/x/{sub}"),
            None => format!("{prefix}/{resource}"),
        };
        let (status, message) = run::get(&client, &path).await;
        assert_eq!(status, 501, "{path}: {message}");
        assert!(message.contains(why), "{path}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_simulated_server() {
    let sim = simulated("conformance");
    // There is no controller manager beside the real one either.
    sim.leave_to_controllers();
    let found = answers(&sim.client()).await;
    let different = differences(&found);
    if let Some(path) = variable("DIFFERENCES") {
        std::fs::write(path, explain(&different)).expect("written");
    }
    println!("{} cases on the simulated server, {} answered otherwise", count(&found), different.len());
    assert!(different.is_empty(), "{}", explain(&different));
}
