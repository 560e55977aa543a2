//! `history`: what became of an object, from the commits of the landscape and of its status branch.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::cli::{Ran, edit, git, json, report, repository, run};
use super::schemas::conforms;

const STORE: &str = "projects/shop/shoots/store.yaml";
const MINI: &str = "projects/shop/shoots/mini.yaml";
const MOVED: &str = "projects/shop/shoots/east/store.yaml";

/// What git prints.
pub(crate) fn said(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(dir).output().expect("git can be started");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Commits everything; gives the commit.
pub(crate) fn commit(dir: &Path, subject: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", subject]);
    said(dir, &["rev-parse", "HEAD"])
}

fn history(dir: &Path, args: &[&str]) -> Value {
    let all: Vec<&str> = ["history"].into_iter().chain(args.iter().copied()).chain(["-o", "json"]).collect();
    let ran = run(dir, &all);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let answer = json(&ran);
    conforms("history", &answer);
    answer
}

/// What happened, in a word each: the subjects of commits, and how the first object stood.
fn told(answer: &Value) -> Vec<String> {
    let entries = answer["entries"].as_array().expect("entries");
    let word = |entry: &Value| match entry["type"].as_str() {
        Some("report") => format!("report {}", entry["objects"][0]["standing"].as_str().expect("a standing")),
        _ => entry["subject"].as_str().expect("a subject").to_owned(),
    };
    entries.iter().map(word).collect()
}

fn status(owner: &str, standing: &str, more: &str) -> String {
    format!("for: {owner}\nstanding: {standing}\n{more}")
}

#[test]
fn an_object_is_followed_through_moves_with_what_was_reported_of_it() {
    let dir = repository();
    let at = dir.path();
    edit(at, STORE, "version: 1.34.2 ", "version: 1.34.6 ");
    let update = commit(at, "Update the store");
    let path = "projects/shop/shoots/store.status.yaml";
    report(at, [(path, status("Shoot shop/store", "progressing", "").as_str())].into());
    report(at, [(path, status("Shoot shop/store", "ready", &format!("acceptedRevision: {update}\n")).as_str())].into());
    std::fs::create_dir_all(at.join("projects/shop/shoots/east")).expect("a folder");
    git(at, &["mv", STORE, MOVED]);
    commit(at, "Move the store");
    edit(at, MOVED, "maximum: 6", "maximum: 7");
    let room = commit(at, "Room for the site");
    edit(at, MINI, "maximum: 1", "maximum: 2");
    commit(at, "Somebody else");
    git(at, &["revert", "--no-edit", &room]);
    let revert = said(at, &["rev-parse", "HEAD"]);

    let answer = history(at, &["shop/store"]);
    let want = [
        "Revert \"Room for the site\"",
        "Room for the site",
        "Move the store",
        "report ready",
        "report progressing",
        "Update the store",
        "Describe the landscape",
    ];
    assert_eq!(told(&answer), want);
    assert_eq!(answer["bounded"], Value::Null, "it goes back to the beginning");
    let entry = |n: usize| &answer["entries"][n];
    assert_eq!((&entry(0)["reverts"], &entry(1)["reverted_by"]), (&json!([room]), &Value::Null), "names are in camelCase");
    assert_eq!(entry(1)["revertedBy"], json!([revert]));
    assert_eq!(entry(1)["objects"][0]["fields"], json!([{ "field": "provider.workers[site].maximum", "before": 6, "after": 7 }]));
    assert_eq!(entry(1)["objects"][0]["verdict"], "unreported", "no report is about it");
    let moved = &entry(2)["objects"][0];
    assert_eq!((&moved["action"], &moved["movedFrom"], &moved["path"]), (&json!("move"), &json!(STORE), &json!(MOVED)));
    assert_eq!(entry(3)["reconciled"], update.as_str());
    assert_eq!((&entry(3)["objects"][0]["before"], &entry(3)["objects"][0]["accepted"]), (&json!("progressing"), &json!(update)));
    let updated = &entry(5)["objects"][0];
    assert_eq!((&updated["worst"], &updated["verdict"]), (&json!("one-way"), &json!("accepted")), "{updated}");
    assert_eq!(updated["rollout"]["result"], "ready");
    assert_eq!(updated["rollout"]["started"], "2026-11-18T11:06:40Z");
    assert_eq!(entry(6)["objects"][0]["action"], "create");

    let text = run(at, &["history", "shop/store"]).out;
    for part in [
        &format!("History of shop/store on local at {}\n", &revert[..7]),
        &format!("    revert of {}\n", &room[..7]),
        &format!("    reverted by {}\n", &revert[..7]),
        "  → Shoot shop/store  not reported\n      projects/shop/shoots/store.yaml → projects/shop/shoots/east/store.yaml\n",
        "  ~ Shoot shop/store  ⚠ one-way · accepted\n      kubernetes.version                   1.34.2 → 1.34.6\n",
        "    Shoot shop/store  progressing → ready\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }

    let field = history(at, &["shop/store", "--field", "spec.kubernetes"]);
    let commits: Vec<String> = told(&field).into_iter().filter(|word| !word.starts_with("report")).collect();
    assert_eq!(commits, ["Update the store", "Describe the landscape"]);
    assert!(told(&history(at, &["shop/store", "--since", "2100-01-01T00:00:00Z"])).is_empty());
}

#[test]
fn what_was_held_is_told_with_its_findings() {
    let dir = repository();
    let at = dir.path();
    edit(at, "projects/shop/shoots/pay.yaml", "services: 100.64.0.0/13", "services: 100.96.0.0/13");
    commit(at, "Other services");
    let findings =
        "findings:\n- severity: error\n  code: SHOOT-NET-OVERLAP\n  message: services overlap\n- severity: note\n  code: X\n";
    report(at, [("projects/shop/shoots/pay.status.yaml", status("Shoot shop/pay", "held", findings).as_str())].into());
    edit(at, "projects/shop/shoots/pay.yaml", "services: 100.96.0.0/13", "services: 100.64.0.0/13");
    commit(at, "The old ones");
    report(at, [("projects/shop/shoots/pay.status.yaml", status("Shoot shop/pay", "ready", "").as_str())].into());
    let answer = history(at, &["shop/pay"]);
    assert_eq!(told(&answer), ["report ready", "The old ones", "report held", "Other services", "Describe the landscape"]);
    let objects = |n: usize| &answer["entries"][n]["objects"][0];
    assert_eq!((&objects(1)["verdict"], &objects(1)["rollout"]["result"]), (&json!("accepted"), &json!("ready")));
    assert_eq!((&objects(3)["verdict"], &objects(3)["codes"]), (&json!("held"), &json!(["SHOOT-NET-OVERLAP"])));
    let text = run(at, &["history", "shop/pay"]).out;
    assert!(text.contains("held: SHOOT-NET-OVERLAP"), "{text}");
    // Whoever was taken up together with what came before was decided with it.
    assert_eq!(objects(4)["verdict"], "held", "both were in the first report");
}

#[test]
fn it_says_where_it_stopped_and_how_to_go_on() {
    let dir = repository();
    let at = dir.path();
    for most in 7..10 {
        edit(at, STORE, &format!("maximum: {}", most - 1), &format!("maximum: {most}"));
        commit(at, &format!("Room for {most}"));
    }
    let answer = history(at, &["shop/store", "--limit", "2"]);
    assert_eq!(told(&answer), ["Room for 9", "Room for 8"]);
    assert_eq!((&answer["bounded"]["why"], &answer["bounded"]["commits"]), (&json!("limit"), &json!(2)));
    let next = answer["bounded"]["next"].as_str().expect("a commit");
    assert_eq!(told(&history(at, &["shop/store", "--rev", next])), ["Room for 7", "Describe the landscape"]);
    let text = run(at, &["history", "shop/store", "--limit", "2"]).out;
    assert!(
        text.ends_with(&format!("Stopped after 2 commits; to go on: espalier history 'shop/store' --rev {}\n", &next[..7])),
        "{text}"
    );

    let shallow = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", at.display());
    git(shallow.path(), &["clone", "-q", "--depth", "2", "--branch", "landscape/local", &url, "."]);
    let answer = history(shallow.path(), &["shop/store"]);
    assert_eq!(answer["bounded"]["why"], "shallow");
    let text = run(shallow.path(), &["history", "shop/store"]).out;
    assert!(text.contains("`git fetch --unshallow` brings the rest"), "{text}");

    let nobody: Ran = run(at, &["history", "shop/nobody"]);
    assert!(nobody.code == 2 && nobody.err.contains("is about shop/nobody"), "{}", nobody.err);
    assert_eq!(run(at, &["history", "--limit", "0"]).code, 64);
    let lines: Vec<Value> = run(at, &["history", "shop/*", "-o", "jsonl"])
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!((&lines[0]["type"], &lines[0]["apiVersion"]), (&json!("history"), &json!("espalier.dev/cli/v1")));
    assert_eq!(lines.last().expect("lines")["type"], "end");
    assert_eq!(lines.len(), 2 + 4);
}

#[test]
fn merges_deletions_overlays_and_secrets() {
    let dir = repository();
    let at = dir.path();
    git(at, &["switch", "-q", "-c", "side"]);
    edit(at, STORE, "maximum: 6", "maximum: 7");
    commit(at, "Room for the site");
    git(at, &["switch", "-q", "landscape/local"]);
    edit(at, STORE, "maximum: 4", "maximum: 5");
    commit(at, "Room for jobs");
    git(at, &["merge", "-q", "--no-ff", "-m", "Merge side", "side"]);
    let answer = history(at, &["shop/store"]);
    let mut subjects = told(&answer);
    subjects.sort();
    assert_eq!(subjects, ["Describe the landscape", "Room for jobs", "Room for the site"], "the merge did nothing by itself");

    git(at, &["rm", "-q", MINI]);
    let canary = "c2VjcmV0LWNhbmFyeQ";
    std::fs::create_dir_all(at.join("projects/shop/credentials")).expect("a folder");
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: store\ndata:\n  key: {canary}\n");
    std::fs::write(at.join("projects/shop/credentials/leak.yaml"), secret).expect("a file");
    std::fs::create_dir_all(at.join("policies")).expect("a folder");
    std::fs::write(at.join("policies/mine.yaml"), "# nothing yet\n").expect("a file");
    commit(at, "Clean up");
    let answer = history(at, &["shop/mini"]);
    assert_eq!(
        (&answer["entries"][0]["objects"][0]["action"], &answer["entries"][0]["objects"][0]["worst"]),
        (&json!("delete"), &json!("deletes"))
    );
    let all = history(at, &[]);
    assert_eq!(all["entries"][0]["overlays"], json!(["policies/mine.yaml"]));
    for format in ["text", "json", "jsonl", "yaml"] {
        let out = run(at, &["history", "-o", format]).out;
        assert!(!out.contains(canary) && out.contains("Clean up"), "{format}");
    }
}
